//! What a hostile auditor tried: each story once lost money, printed twice, or stuck for ever.

use std::time::Duration;
use tolem_center::{
    catalogue::Catalogue,
    keys::{CenterKeys, Seeds},
    logic::{
        Moment, Via,
        memory::MemoryStore,
        operator,
        rebuild::{self, Standing as _},
        store::Store as _,
    },
};
use tolem_core::{
    health::FaultCode,
    kiosk::{Event, LinkFault, Pin},
    receipt::{DEFAULT_WIDTH, Line, Sheet},
    view::{Body, Intent},
    words::{Word, word},
};
use tolem_hal_sim::{
    ccnet_device::{Fault, Place, Way},
    escpos_device::PaperSupply,
    line::LineFaults,
    world::Center as _,
};
use tolem_protocol::{
    Amount, BalanceNumber, KioskNumber,
    catalogue::{Language, Price},
    messages::{HoldReason, Method, Quote},
    qr::Qr,
    record::Fact,
};
use tolem_tests::rig::{DiskFault, PAYER, Rig, SharedCenter, Wire};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_note_in_doubt_belongs_to_its_payer() {
    let mut rig = Rig::at(42, SharedCenter::new(6), 6, false);
    rig.until_screen("attract");
    rig.open_slot("marriage", PAYER);
    rig.push(2000);
    rig.until("the note on its way", |rig| {
        rig.acceptor.notes().last().map(|n| n.place) == Some(Place::Transport)
    });
    rig.power_off();
    rig.rest(secs(5));
    rig.replace_acceptor();
    rig.power_on();
    rig.until("suspense", |rig| rig.facts().iter().any(|fact| matches!(fact, Fact::NoteInDoubt { .. })));
    rig.until_settled();
    rig.center.store(|s| {
        s.each_balance(&mut |b| {
            assert!(b.reason != HoldReason::Suspense || b.owner.is_some(), "nobody owns the suspense");
        })
        .unwrap();
    });
}

#[test]
fn a_journal_that_fails_while_a_note_moves_loses_no_note() {
    let mut rig = Rig::ready(21);
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.push(1000);
    rig.until("the note on its way", |rig| {
        rig.acceptor.notes().last().map(|n| n.place) == Some(Place::Transport)
    });
    rig.disk.fail_after(0, DiskFault::FailedNotKept);
    rig.event(Event::Pin { pin: Pin::Door, open: true });
    rig.until("the end of the process", |rig| rig.aborted.is_some());
    rig.power_on();
    rig.rest(secs(1200));
    let (booked, cassette) = (rig.booked(), rig.cassette_sum().tiyn() as i64);
    assert_eq!(booked, cassette, "center's cash and cassette differ");
}

#[test]
fn another_kiosks_code_is_an_original_once_even_if_the_print_fails() {
    let center = SharedCenter::new(7);
    let mut rig = Rig::at(42, center.clone(), 7, true);
    rig.until_screen("attract");
    rig.open_slot("id-card", PAYER);
    rig.insert(500);
    rig.set_wire(Wire::Down);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    rig.until_screen("confirm");
    rig.tap(Word::Confirm);
    rig.until_screen("claim-slip");
    let Body::Message { number, .. } = rig.view.body.clone() else { panic!("no number") };
    rig.tap(Word::Done);
    rig.set_wire(Wire::Up);
    rig.until_settled();
    let mut other = Rig::at(43, center, 8, true);
    other.until_screen("attract");
    other.tap(Word::HaveSlip);
    other.type_digits(&number);
    other.tap(Word::Next);
    other.printer.set_paper(other.now(), PaperSupply::OutAfter(300));
    other.type_digits(PAYER);
    other.tap(Word::Next);
    other.until_screen("cannot-print");
    other.printer.set_paper(other.now(), PaperSupply::New);
    other.until("paper again", |rig| !rig.kiosk().health().printer_blocked());
    other.tap(Word::PrintAgain);
    other.until_screen("code");
    let originals =
        other.facts().iter().filter(|f| matches!(f, Fact::PrintOrdered { copy: false, .. })).count();
    assert_eq!(originals, 1, "an original was ordered {originals} times");
}

#[test]
fn a_restored_center_hears_everything_even_if_the_kiosk_restarts_meanwhile() {
    let mut rig = Rig::ready(31);
    let backup = rig.center.store(|s| s.clone());
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.tap(Word::Stop);
    rig.tap(Word::StopYes);
    rig.until_screen("held");
    rig.tap(Word::Done);
    rig.until_settled();
    rig.rest(secs(5));
    rig.set_wire(Wire::Down);
    rig.center.restore(backup);
    rig.center.operate(|_, s| operator::begin_new_life(s)).unwrap();
    let linked = |rig: &Rig| rig.facts().iter().filter(|f| matches!(f, Fact::Linked { .. })).count();
    let before = linked(&rig);
    rig.set_wire(Wire::Up);
    rig.until("the new life is noticed", |rig| linked(rig) > before);
    rig.power_off();
    rig.power_on();
    rig.rest(secs(600));
    assert_eq!(rig.booked(), 200_000, "the restored center never hears of the held money");
}

#[test]
fn a_restored_center_sells_nothing_until_every_kiosk_has_told_what_it_knows() {
    let center = SharedCenter::new(61);
    let mut rig = Rig::at(42, center.clone(), 61, true);
    let mut other = Rig::at(43, center.clone(), 62, true);
    rig.until_screen("attract");
    other.until_screen("attract");
    let backup = center.store(|s| s.clone());
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.tap(Word::Stop);
    rig.tap(Word::StopYes);
    rig.until_screen("held");
    rig.tap(Word::Done);
    rig.until_settled();
    rig.rest(secs(5));
    rig.set_wire(Wire::Down);
    other.set_wire(Wire::Down);
    center.restore(backup);
    let now = rig.utc();
    center.operate(|_, s| rebuild::begin(s, now, &mut || 77 << 33)).unwrap();

    // The other kiosk is back first, and must not sell: the citizen is told why before any money is in.
    other.set_wire(Wire::Up);
    other.rest(secs(60));
    other.choose("marriage", PAYER);
    other.until("the reason", |rig| rig.view.title == word(rig.view.language, Word::CenterRebuilding));
    assert_eq!(center.store(|s| rebuild::missing(s).unwrap()), [KioskNumber::new(42).unwrap()]);

    rig.set_wire(Wire::Up);
    rig.rest(secs(60));
    assert_eq!(center.store(|s| s.rebuilding().unwrap()), None, "the last kiosk opens it");
    assert_eq!(rig.booked(), 200_000);
    let alarms = center.store(|s| s.alarms().unwrap());
    assert_eq!(alarms.iter().map(|alarm| alarm.kind.as_str()).collect::<Vec<_>>(), ["own-gap"]);
    other.rest(secs(120));
    other.until_screen("attract");
    other.quote("marriage", PAYER);
}

#[test]
fn a_payment_that_a_restart_cut_off_waits_for_a_center_that_listens() {
    let center = SharedCenter::new(63);
    let mut rig = Rig::at(42, center.clone(), 63, true);
    let mut other = Rig::at(43, center.clone(), 64, true);
    rig.until_screen("attract");
    other.until_screen("attract");
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.power_off();
    other.set_wire(Wire::Down);
    let now = rig.utc();
    center.operate(|_, store| rebuild::begin(store, now, &mut || 77 << 33)).unwrap();
    rig.power_on();
    let come_back = |rig: &mut Rig| {
        rig.until("the offer to look for the payment", |rig| match &rig.view.body {
            Body::Attract { links, .. } => links.iter().any(|link| link.intent == Intent::WasInterrupted),
            _ => false,
        });
        rig.tap(Word::WasInterrupted);
        rig.type_digits(PAYER);
        rig.tap(Word::Next);
    };
    come_back(&mut rig);
    // It may know of an end that only memory told before; it says so when it has heard everybody.
    rig.until("the reason", |rig| rig.view.title == word(rig.view.language, Word::CenterRebuilding));
    other.set_wire(Wire::Up);
    other.rest(secs(60));
    assert_eq!(center.store(|store| store.rebuilding().unwrap()), None, "both have told");
    rig.rest(secs(60));
    come_back(&mut rig);
    rig.until_screen("inserting");
}

#[test]
fn an_answer_that_nobody_waits_for_changes_no_screen() {
    let center = SharedCenter::new(7);
    let mut rig = Rig::at(42, center.clone(), 7, true);
    rig.until_screen("attract");
    rig.open_slot("id-card", PAYER);
    rig.insert(500);
    rig.set_wire(Wire::Down);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    rig.until_screen("confirm");
    rig.tap(Word::Confirm);
    rig.until_screen("claim-slip");
    let Body::Message { number, .. } = rig.view.body.clone() else { panic!("no number") };
    rig.tap(Word::Done);
    rig.set_wire(Wire::Up);
    rig.until_settled();
    let mut other = Rig::at(43, center, 8, true);
    other.until_screen("attract");
    other.rest(secs(3));
    other.tap(Word::HaveSlip);
    other.type_digits(&number);
    other.tap(Word::Next);
    other.type_digits(PAYER);
    other.answer_delay = secs(12);
    other.tap(Word::Next);
    other.rest(secs(16));
    other.tap(Word::Cancel);
    other.answer_delay = secs(0);
    other.rest(secs(12));
    other.rest(secs(1000));
    assert_eq!(other.view.screen, "attract", "for ever");
}

#[test]
fn an_order_without_end_lets_the_citizen_go() {
    let mut rig = Rig::ready(41);
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.push(1000);
    rig.until("the note on its way", |rig| {
        rig.acceptor.notes().last().map(|n| n.place) == Some(Place::Transport)
    });
    let faults = LineFaults { corrupt: 1000, ..LineFaults::default() };
    rig.acceptor.set_line_faults(Way::ToHost, faults);
    rig.rest(secs(1800));
    assert_ne!(rig.view.screen, "inserting", "half an hour later");
}

#[test]
fn a_system_clock_that_is_corrected_changes_nothing() {
    let mut rig = Rig::at(42, SharedCenter::new(3), 3, true);
    rig.skew_ms = -300 * 86_400_000;
    rig.until_screen("attract");
    rig.event(Event::LinkLost(LinkFault::Closed));
    rig.set_wire(Wire::Down);
    rig.set_wire(Wire::Up);
    rig.until_screen("attract");
    rig.skew_ms = 0; // NTP steps the clock to the right time
    rig.rest(secs(7200));
    rig.choose("marriage", PAYER);
    rig.rest(secs(5));
    assert_eq!(rig.view.screen, "quote", "two hours later");
}

#[test]
fn cheating_closes_the_slot_until_somebody_has_looked() {
    let mut rig = Rig::ready(51);
    rig.open_slot("marriage", PAYER);
    rig.push(1000);
    rig.until("the note on its way", |rig| {
        rig.acceptor.notes().last().map(|n| n.place) == Some(Place::Transport)
    });
    let now = rig.now();
    rig.acceptor.set_fault(now, Fault::Cheat);
    for _ in 0..12 {
        rig.rest(secs(5));
    }
    assert!(rig.kiosk().health().has(FaultCode::Cheated), "forgotten after a minute");
}

#[test]
fn a_dead_acceptor_does_not_keep_the_money_from_the_center() {
    let mut rig = Rig::ready(61);
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.rest(secs(2));
    rig.power_off();
    let now = rig.now();
    rig.acceptor.power_off(now);
    rig.power_on();
    rig.rest(secs(7200));
    assert_eq!(rig.booked(), 200_000, "two hours later");
}

#[test]
fn a_voucher_is_free_again_after_its_quote_got_lost() {
    let mut rig = Rig::ready(71);
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.tap(Word::Stop);
    rig.tap(Word::StopYes);
    rig.until_screen("held");
    let Body::Message { number, .. } = rig.view.body.clone() else { panic!() };
    rig.tap(Word::Done);
    rig.until_settled();
    rig.quote("marriage", PAYER);
    rig.tap(Word::AddVoucher);
    rig.type_digits(&number);
    rig.rest(secs(1));
    rig.set_wire(Wire::AnswersLost);
    rig.tap(Word::Next);
    rig.rest(secs(30));
    rig.set_wire(Wire::Up);
    rig.rest(secs(3600));
    rig.quote("marriage", PAYER);
    rig.tap(Word::AddVoucher);
    rig.type_digits(&number);
    rig.tap(Word::Next);
    rig.rest(secs(5));
    assert_eq!(rig.view.screen, "quote", "an hour later the voucher is not free");
}

#[test]
fn a_restored_center_grants_no_second_original() {
    let center = SharedCenter::new(7);
    let mut rig = Rig::at(42, center.clone(), 7, true);
    rig.until_screen("attract");
    rig.open_slot("id-card", PAYER);
    rig.insert(500);
    rig.set_wire(Wire::Down);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    rig.until_screen("confirm");
    rig.tap(Word::Confirm);
    rig.until_screen("claim-slip");
    let Body::Message { number, .. } = rig.view.body.clone() else { panic!("no number") };
    rig.tap(Word::Done);
    rig.set_wire(Wire::Up);
    rig.until_settled();
    rig.rest(secs(5));
    let backup = center.store(|s| s.clone());
    let mut other = Rig::at(43, center.clone(), 8, true);
    let claim = |other: &mut Rig| {
        other.until_screen("attract");
        other.tap(Word::HaveSlip);
        other.type_digits(&number);
        other.tap(Word::Next);
        other.type_digits(PAYER);
        other.tap(Word::Next);
        other.until_screen("code");
        other.tap(Word::Done);
    };
    claim(&mut other);
    let kiosk = center.store(|s| s.kiosk(KioskNumber::new(43).unwrap()).unwrap().unwrap());
    center.restore(backup);
    center
        .operate(|_, s| {
            s.put_kiosk(&kiosk)?;
            operator::begin_new_life(s)
        })
        .unwrap();
    for r in [&mut rig, &mut other] {
        r.set_wire(Wire::Down);
        r.set_wire(Wire::Up);
        r.rest(secs(60));
    }
    claim(&mut other);
    let originals =
        other.facts().iter().filter(|f| matches!(f, Fact::PrintOrdered { copy: false, .. })).count();
    assert_eq!(originals, 1, "an original was ordered {originals} times");
}

#[test]
fn a_passing_disk_fault_does_not_block_the_kiosk_at_the_center() {
    let mut rig = Rig::ready(81);
    rig.rest(secs(5));
    rig.power_off();
    rig.disk.tamper(0); // unreadable for one boot
    rig.power_on();
    rig.rest(secs(10));
    rig.power_off();
    rig.disk.tamper(0); // readable again, every byte as it was
    rig.power_on();
    rig.rest(secs(60));
    let row = rig.center.store(|s| s.kiosk(KioskNumber::new(42).unwrap()).unwrap().unwrap());
    assert_eq!(row.closed, None);
}

#[test]
fn an_imported_emergency_slip_and_the_kiosks_own_hold_end_as_one() {
    let mut rig = Rig::ready(91);
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.rest(secs(2));
    rig.set_wire(Wire::Down);
    rig.disk.fail_after(0, DiskFault::FailedNotKept);
    rig.event(Event::Pin { pin: Pin::Door, open: true });
    rig.until("the end of the process", |rig| rig.aborted.is_some());
    let text = rig.qr_texts().pop().unwrap();
    let Ok(Qr::Deposit(slip)) = Qr::parse(&text) else { panic!() };
    rig.power_on();
    rig.set_wire(Wire::Up);
    rig.rest(secs(60));
    let now = rig.utc();
    rig.center.operate(|c, s| {
        let mut n = 77u64;
        let mut fresh = || {
            n += 1;
            n * 7919
        };
        let mut at = Moment { now, fresh: &mut fresh, trace: &mut |_| {} };
        c.settle(s, &mut at, Via::Import, &slip).unwrap();
    });
    rig.rest(secs(3_600));
    assert_eq!(rig.kiosk().session().unsettled().1, 0, "never closes");
}

/// The journal fails with a note in. What the center knew before is the backup.
fn journal_failed_with_a_note_in(seed: u64, wire: Wire) -> (Rig, MemoryStore) {
    let mut rig = Rig::ready(seed);
    let backup = rig.center.store(MemoryStore::clone);
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.rest(secs(2));
    rig.set_wire(wire);
    rig.disk.fail_after(0, DiskFault::FailedNotKept);
    rig.event(Event::Pin { pin: Pin::Door, open: true });
    rig.until("the end of the process", |rig| rig.aborted.is_some());
    rig.power_on();
    (rig, backup)
}

/// The backup takes the place of the center's database.
fn restore(rig: &mut Rig, backup: MemoryStore) {
    rig.rest(secs(5));
    rig.set_wire(Wire::Down);
    rig.center.restore(backup);
    rig.center.operate(|_, store| operator::begin_new_life(store)).expect("memory does not fail");
    rig.set_wire(Wire::Up);
    rig.rest(secs(60));
}

#[test]
fn a_restored_center_is_told_of_money_that_only_memory_told_before() {
    let (mut rig, backup) = journal_failed_with_a_note_in(92, Wire::Up);
    assert_eq!(rig.booked(), 200_000, "the center was told at once");
    rig.until("the journal knows the answer", |rig| {
        rig.facts().iter().any(|fact| matches!(fact, Fact::Settled { .. }))
    });
    restore(&mut rig, backup);
    assert_eq!(rig.booked(), 200_000, "the deposit of the emergency hold is in no journal");
    assert!(!rig.kiosk().health().has(FaultCode::PaymentDisputed));
}

#[test]
fn what_an_imported_slip_has_settled_is_told_to_a_restored_center() {
    let (mut rig, backup) = journal_failed_with_a_note_in(93, Wire::Down);
    let Ok(Qr::Deposit(slip)) = Qr::parse(&rig.qr_texts().pop().unwrap()) else { panic!("no slip") };
    // The center knows nothing yet, nobody comes back, so the kiosk signs an account of its own; but the slip is there first.
    rig.set_wire(Wire::Up);
    rig.rest(secs(60));
    let now = rig.utc();
    rig.center.import(now, &slip);
    rig.rest(secs(3_600));
    let accounts = rig.facts().iter().filter(|fact| matches!(fact, Fact::HoldRequested { .. })).count();
    assert_eq!(accounts, 1, "an account of its own");
    rig.until_settled();
    restore(&mut rig, backup);
    assert_eq!(rig.booked(), 200_000, "the account in the journal is not the one that was answered");
}

/// A receipt is being printed, and the center is restored from before its payment; the journal fails as soon as the link is there again.
#[test]
fn a_failing_journal_tells_a_restored_center_no_answer_as_if_it_were_news() {
    let mut rig = Rig::ready(97);
    let backup = rig.center.store(MemoryStore::clone);
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.insert(2000);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    rig.until_screen("confirm");
    rig.tap(Word::Confirm);
    rig.until_screen("printing");
    rig.set_wire(Wire::Down);
    rig.center.restore(backup);
    rig.center.operate(|_, store| operator::begin_new_life(store)).expect("memory does not fail");
    rig.disk.fail_after(0, DiskFault::FailedNotKept);
    rig.set_wire(Wire::Up);
    rig.until("the end of the process", |rig| rig.aborted.is_some());
    rig.power_on();
    rig.rest(secs(60));
    assert_eq!(rig.booked(), 450_000);
    assert!(!rig.kiosk().health().has(FaultCode::PaymentDisputed), "the center has signed two answers");
    assert_eq!(rig.center.store(|store| store.alarms()).expect("memory does not fail"), []);
}

#[test]
fn a_new_disk_beside_a_note_that_waits_for_its_confirmation_counts_it_and_comes_up() {
    let mut rig = Rig::ready(94);
    rig.open_slot("marriage", PAYER);
    rig.push(2000);
    rig.until("the note is in, nobody confirmed it", |rig| rig.acceptor.unconfirmed_credit().is_some());
    rig.power_off();
    rig.replace_computer();
    rig.power_on();
    rig.until_screen("attract");
    rig.until_settled();
    rig.rest(secs(5));
    assert_eq!(rig.acceptor.unconfirmed_credit(), None);
    assert_eq!(rig.booked(), 200_000, "found money is held");
}

#[test]
fn a_write_that_failed_and_is_there_does_not_close_the_kiosk_at_the_center() {
    let mut rig = Rig::ready(95);
    rig.rest(secs(5));
    // The note is on disk; the request to hold it fails, and is on disk too.
    rig.disk.fail_after(1, DiskFault::FailedButKept);
    rig.stray_note(2000);
    rig.until("the end of the process", |rig| rig.aborted.is_some());
    rig.power_on();
    rig.rest(secs(60));
    let row = rig.center.store(|s| s.kiosk(KioskNumber::new(42).unwrap()).unwrap().unwrap());
    assert_eq!(row.closed, None, "a checkpoint and a proof of different sizes were shown");
    assert_eq!(rig.booked(), 200_000);
}

#[test]
fn an_emergency_slip_without_paper_loses_no_note() {
    let mut rig = Rig::ready(22);
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.push(1000);
    rig.until("the note on its way", |rig| {
        rig.acceptor.notes().last().map(|n| n.place) == Some(Place::Transport)
    });
    rig.disk.fail_after(0, DiskFault::FailedButKept);
    rig.printer.set_paper(rig.now(), PaperSupply::Out);
    rig.until("the end of the process", |rig| rig.aborted.is_some());
    rig.printer.set_paper(rig.now(), PaperSupply::New);
    rig.power_on();
    rig.rest(secs(1200));
    assert_eq!(rig.booked(), rig.cassette_sum().tiyn() as i64);
}

#[test]
fn a_note_stacked_while_the_witness_answers_is_shown_to_the_witness_too() {
    let mut rig = Rig::ready(23);
    rig.open_slot("marriage", PAYER);
    rig.answer_delay = secs(4);
    rig.insert(1000);
    rig.insert(1000);
    rig.rest(secs(30));
    let facts = rig.facts();
    let stacked = facts.iter().rposition(|fact| matches!(fact, Fact::NoteStacked { .. })).unwrap();
    let seen = facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Cosigned { size, .. } => Some(*size),
            _ => None,
        })
        .max();
    assert!(
        seen.is_some_and(|seen| seen > stacked as u64),
        "record {stacked} is a note, cosigned are {seen:?}"
    );
}

/// What a center signs instead of what is in its books.
type Bend = fn(&mut Quote);

/// The payment stopped before any money, the screen says why, and nothing is owed to anybody.
fn until_quote_refused(rig: &mut Rig, case: &str) {
    rig.until_screen("message");
    for language in Language::ALL {
        rig.touch(Intent::SetLanguage(language));
        let read = [rig.view.title.as_str(), rig.view.lead.as_str()];
        let words = [Word::PaymentRefused, Word::QuoteDiffers].map(|phrase| word(language, phrase));
        assert_eq!(read, words, "{case}");
    }
    rig.touch(Intent::PayCash);
    rig.rest(secs(2));
    assert_eq!(rig.view.screen, "message", "{case}");
    let owed = |fact: &Fact| {
        matches!(fact, Fact::Started { .. } | Fact::HoldRequested { .. } | Fact::CommitRequested { .. })
    };
    assert!(!rig.facts().iter().any(owed), "{case}: {}", rig.story());
}

#[test]
fn a_quote_that_is_not_what_was_asked_for_stops_the_payment_before_any_money() {
    let bends: [(&str, Bend); 14] = [
        ("another payment", |quote| quote.payment.number += 1),
        ("another boot", |quote| quote.payment.nonce[0] ^= 1),
        ("another kiosk", |quote| quote.payment.kiosk = KioskNumber::new(43).expect("a number")),
        ("another service", |quote| quote.service = "id-card".try_into().expect("a code")),
        ("another entry of the catalogue", |quote| quote.service_digest[31] ^= 1),
        ("cards, where none are taken", |quote| quote.method = Method::Either),
        ("cards only", |quote| quote.method = Method::Card),
        ("a voucher that nobody named", |quote| {
            quote.balance =
                Some((BalanceNumber::parse("203040506072").expect("a number"), Amount::from_tenge(500)));
        }),
        ("a higher fee", |quote| {
            quote.fee = quote.fee + Amount::from_tenge(1);
            quote.cash_total = quote.cash_total + Amount::from_tenge(1);
        }),
        ("a lower fee", |quote| {
            quote.fee = quote.fee - Amount::from_tenge(1);
            quote.cash_total = quote.cash_total - Amount::from_tenge(1);
        }),
        ("more cash than fee and commission", |quote| {
            quote.cash_total = quote.cash_total + Amount::from_tenge(1);
        }),
        ("less cash than fee and commission", |quote| {
            quote.cash_total = quote.cash_total - Amount::from_tenge(1);
        }),
        ("sums beyond all bounds", |quote| quote.commission = Amount::MAX),
        ("a date that has passed", |quote| quote.valid_until = quote.made_at),
    ];
    for (case, bend) in bends {
        let mut rig = Rig::ready(98);
        rig.center.bend_quotes(Some(bend));
        rig.choose("marriage", PAYER);
        until_quote_refused(&mut rig, case);
        rig.center.bend_quotes(None);
        rig.tap(Word::Done);
        rig.quote("marriage", PAYER);
        assert_eq!(rig.booked(), 0, "{case}");
    }
}

#[test]
fn a_quote_under_another_key_stops_the_payment_before_any_money() {
    let mut rig = Rig::ready(99);
    let seeds = Seeds::draw(|bytes| bytes.fill(9));
    rig.center.change(|center| center.keys = Box::new(CenterKeys::new(&seeds)));
    rig.choose("marriage", PAYER);
    until_quote_refused(&mut rig, "another key");
}

#[test]
fn a_quote_that_leaves_the_voucher_out_stops_the_payment_and_the_voucher_is_free() {
    let mut rig = Rig::ready(100);
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.tap(Word::Stop);
    rig.tap(Word::StopYes);
    rig.until_screen("held");
    let Body::Message { number, .. } = rig.view.body.clone() else { panic!("no number") };
    rig.tap(Word::Done);
    rig.until_settled();
    rig.quote("marriage", PAYER);
    rig.tap(Word::AddVoucher);
    rig.type_digits(&number);
    rig.center.bend_quotes(Some(|quote| quote.balance = None));
    rig.tap(Word::Next);
    rig.until("an end", |rig| matches!(rig.view.screen, "message" | "quote"));
    assert_eq!(
        rig.view.title,
        word(rig.view.language, Word::PaymentRefused),
        "4 325 ₸ in cash for a voucher"
    );
    rig.center.bend_quotes(None);
    rig.tap(Word::Done);
    rig.quote("marriage", PAYER);
    rig.tap(Word::AddVoucher);
    rig.type_digits(&number);
    rig.tap(Word::Next);
    rig.until_screen("quote");
}

/// What `label` and `value` look like in a row of the paper.
fn dots_of_row(label: &str, value: &str) -> Vec<u8> {
    let mut sheet = Sheet::new(DEFAULT_WIDTH);
    sheet.push(Line::Row { label: label.into(), value: value.into(), strong: false });
    let page = sheet.page();
    let black = |row: &&[u8]| row.iter().any(|byte| *byte != 0);
    let rows: Vec<&[u8]> = page.rows.chunks(usize::from(DEFAULT_WIDTH / 8)).collect();
    let first = rows.iter().position(black).expect("something is printed");
    let last = rows.iter().rposition(black).expect("something is printed");
    rows[first..=last].concat()
}

#[test]
fn the_whole_iin_is_on_paper_only_where_the_center_has_set_it() {
    let stride = usize::from(DEFAULT_WIDTH / 8);
    let label =
        [Language::Kazakh, Language::English].map(|language| word(language, Word::PaperIin)).join(" / ");
    let whole = dots_of_row(&label, "000101\u{202f}300\u{202f}019");
    let masked = dots_of_row(&label, "••••\u{202f}••••\u{202f}0019");
    for set in [false, true] {
        let center = SharedCenter::new(101);
        center.change(|center| center.rules.limits.print_whole_iin = set);
        let mut rig = Rig::at(42, center, 101, true);
        rig.until_screen("attract");
        rig.open_slot("id-card", PAYER);
        rig.insert(500);
        rig.touch(Intent::AgreeRemainder);
        rig.insert(500);
        rig.until_screen("confirm");
        rig.tap(Word::Confirm);
        rig.until_screen("code");
        let paper = rig.printer.papers().next().expect("a receipt");
        let shows = |dots: &[u8]| {
            let places = (0..=paper.rows().len().saturating_sub(dots.len())).step_by(stride);
            places.into_iter().any(|at| paper.rows()[at..].starts_with(dots))
        };
        assert_eq!((shows(&whole), shows(&masked)), (set, !set));
    }
}

/// A center that was restored from before a change of prices has the older catalogue, and it is this one that it signs quotes by.
#[test]
fn an_older_catalogue_of_a_restored_center_is_taken_and_sold_by() {
    let mut rig = Rig::ready(102);
    let older = rig.center.operate(|center, _| center.catalogue.clone());
    let put = |rig: &mut Rig, catalogue: &Catalogue| {
        rig.center.change(|center| center.catalogue = catalogue.clone());
        rig.set_wire(Wire::Down);
        rig.set_wire(Wire::Up);
        rig.rest(secs(5));
    };
    let mut newer = older.clone();
    newer.head.version += 1;
    let marriage =
        newer.services.iter_mut().find(|entry| entry.code.as_str() == "marriage").expect("a service");
    marriage.price = Price::Fixed(Amount::from_tenge(5_000));
    for (catalogue, price) in [(&newer, 5_000), (&older, 4_325)] {
        put(&mut rig, catalogue);
        rig.quote("marriage", PAYER);
        rig.tap(Word::PayCash);
        let due = rig.kiosk().session().current().map(|payment| payment.due());
        assert_eq!(due, Some(Amount::from_tenge(price)));
        rig.touch(Intent::Cancel);
        rig.until_screen("attract");
    }
}
