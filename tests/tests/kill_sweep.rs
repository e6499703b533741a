//! The programs as they are shipped, killed at every write and every sync of a whole cash payment, and at a part of those of a card payment
//! (`docs/testing.md`).

use tolem_hal_sim::ccnet_device::{Banknote, Contents};
use tolem_tests::kill::{Plan, Template, count_twice, run_case_with_foreign_notes, sweep};

/// Cases that run side by side: each waits most of its time, for devices and answers.
const LANES: usize = 10;
/// A payment of two notes writes and syncs far more often than this, also when a busy machine leaves some places unreached; fewer mean
/// that something is not counted.
const AT_LEAST: u32 = 300;

#[test]
fn cut_at_every_write_and_sync_of_a_payment_nothing_is_lost() {
    let report = sweep(Plan::Short, LANES, None);
    println!("{report}");
    assert!(report.failures.is_empty(), "{} cases failed, see above", report.failures.len());
    assert!(report.cuts() >= AT_LEAST, "{} cuts", report.cuts());
    for place in ["journal.sync", "journal.write", "acceptor.write", "printer.write", "center.write"] {
        let row = report.rows.get(&format!("kiosk {place}, kill")).copied().unwrap_or_default();
        assert!(row.cuts > 0, "nothing was cut at {place}");
    }
    for place in ["card-kiosk journal.sync", "card-center ledger.sync", "card-center acquirer.write"] {
        let row = report.rows.get(&format!("{place}, kill")).copied().unwrap_or_default();
        assert!(row.cuts > 0, "nothing was cut at {place} while a card paid");
    }
}

/// The cutter stands between the program and its C library. A call that went past it would be a place that was never cut.
#[test]
fn the_cutter_counts_every_call_that_the_kernel_sees() {
    let [counted, seen] = count_twice(&Template::make());
    assert!(counted.0 > 0 && counted.1 > 0, "{counted:?}");
    assert_eq!(counted, seen, "writes and syncs: of the cutter, of strace");
}

/// A sweep whose books always agree would prove nothing.
#[test]
fn a_note_that_no_book_knows_is_found() {
    let contents = Contents { notes: vec![Banknote::tenge(500)], counter: 1, credit: None };
    let lost = run_case_with_foreign_notes(&Template::make(), contents);
    let why = lost.expect_err("500 tenge too many lie in the cassette");
    assert!(why.contains("journal and cassette"), "{why}");
}
