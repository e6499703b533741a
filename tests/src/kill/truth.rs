//! The books from outside, after everything has settled: cassette, journal, ledger, paper.

use super::{PATIENCE, processes::Bench};
use crate::{
    bench::{
        AsArgument,
        books::{counted, fact, unsettled, whole_tenge},
        run, tolem, tolem_center,
    },
    files::top,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tolem_center::sqlite::SqliteStore;
use tolem_firmware::store::Reader;
use tolem_hal_sim::world::invariants::{Books, Till, at_rest};
use tolem_protocol::{KioskNumber, record::Record};
use tolem_world::ledger::ledger_of;

/// Between two looks into the journal.
pub(super) const PAUSE: Duration = Duration::from_millis(150);

/// What the terminal's own tool says stands in the journal.
pub(super) fn journal(bench: &Bench) -> Vec<Value> {
    let text =
        run(&tolem(), &[&"journal", &"show", &"--json", &"--config", &bench.place.kiosk_config()]).good();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Waits until every order to stack has an outcome and every deposit a final answer.
///
/// # Panics
/// If that does not happen.
pub(super) fn until_settled(bench: &mut Bench, mut tend: impl FnMut(&mut Bench)) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let open = unsettled(&journal(bench));
        if open.is_empty() && !bench.note_is_moving() {
            return;
        }
        assert!(Instant::now() < deadline, "never settled: {open:?}\n{}", bench.report());
        let pause = Instant::now() + PAUSE;
        while Instant::now() < pause {
            bench.look();
            tend(bench);
        }
    }
}

/// Waits until journal, ledger and the gateway's register agree payment by payment, as the center's own audit sees it: notices to the gateway are
/// repeated until it has confirmed them.
///
/// # Panics
/// If that does not happen, or the gateway's record is not whole then.
pub(super) fn until_the_gateway_agrees(bench: &mut Bench, mut tend: impl FnMut(&mut Bench)) {
    let export = bench.place.directory.join("export-for-audit");
    run(&tolem(), &[&"journal", &"export", &"--config", &bench.place.kiosk_config(), &export]).good();
    // A case may begin before midnight.
    let (year, month, day) = tolem_center::server::system_clock().plus_seconds(-86_400).date().calendar();
    let since = format!("{year:04}-{month:02}-{day:02}");
    let config = bench.place.center_config();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asked: [&dyn AsArgument; 7] =
            [&"audit", &"--gateway-since", &since, &"--config", &config, &"--journal", &export];
        let audit = run(&tolem_center(), &asked);
        if audit.success() {
            break;
        }
        assert!(Instant::now() < deadline, "the gateway never agreed: {audit}\n{}", bench.report());
        let pause = Instant::now() + PAUSE;
        while Instant::now() < pause {
            bench.look();
            tend(bench);
        }
    }
    run(&tolem_center(), &[&"gateway", &"audit", &"--config", &bench.place.gateway_config()]).good();
}

/// Compares the books. All programs have ended; so many moments were there in which something could go wrong with a note, and the citizen
/// has seen these codes.
///
/// First by the tools that an operator has, then by the rules of the world in virtual time, and the export of the journal by somebody
/// else's eyes.
///
/// # Panics
/// If they disagree about a tenge, or a paper promises what the journal does not know.
pub(super) fn check(bench: &Bench, disturbances: usize, mut seen: BTreeSet<String>) {
    let (kiosk, center) = (bench.place.kiosk_config(), bench.place.center_config());
    run(&tolem(), &[&"journal", &"verify", &"--config", &kiosk]).good();
    let records = journal(bench);
    let story = || {
        let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
        format!("{}\n{}", lines.join("\n"), bench.report())
    };
    let cassette = bench.cassette_tenge();
    assert_eq!(counted(&records), cassette, "journal and cassette\n{}", story());
    let ledger = run(&tolem_center(), &[&"audit", &"--config", &center]).good();
    let booked: u64 = ledger.lines().filter(|line| line.starts_with("cash:00001 ")).map(whole_tenge).sum();
    assert_eq!(booked, cassette, "ledger and cassette\n{ledger}\n{}", story());
    let doubts = records.iter().filter(|record| fact(record) == "NoteInDoubt").count();
    assert!(doubts <= 1, "only one note can be on its way: {doubts} in doubt\n{}", story());
    seen.extend(check_papers(bench, &records, &kiosk, &story));
    super::cards::check(bench, &records, &seen, &story);
    let found: Vec<String> = at_rest(&books(bench, disturbances)).iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}\n{ledger}\n{}", found.join("\n"), story());
    check_export(bench, records.len(), &story);
}

/// Everything that somebody outside can collect.
fn books(bench: &Bench, disturbances: usize) -> Books {
    let journal = Reader::open(&bench.place.journal()).expect("the journal can be read");
    let mut records = Vec::new();
    let read = journal.records(0, &mut |_, bytes| {
        records.push(Record::from_bytes(bytes).expect("a record"));
        true
    });
    read.expect("the journal can be read");
    let number = KioskNumber::new(1).expect("invariant: 1 is a number");
    let till = Till {
        papers: bench.symbols(),
        disturbances: Some(disturbances as u64),
        ..Till::new(number, bench.cassette(), records)
    };
    let center = SqliteStore::open(&bench.place.ledger()).expect("the ledger can be opened");
    Books { tills: vec![till], ledger: ledger_of(&center).expect("the ledger can be read"), charges: None }
}

/// Python's own eyes on an export of the journal (`tests/oracles/journal`).
fn check_export(bench: &Bench, records: usize, story: &dyn Fn() -> String) {
    let directory = bench.place.directory.join("export");
    let kiosk = bench.place.kiosk_config();
    run(&tolem(), &[&"journal", &"export", &"--config", &kiosk, &directory]).good();
    let key = run(&tolem(), &[&"journal", &"key", &"--config", &kiosk]).good();
    let judge = top().join("tests/oracles/journal/verify.py");
    // Debian's own Python: `python3-cryptography` is installed for it.
    let said =
        run(Path::new("/usr/bin/python3"), &[&judge, &key.lines().last().unwrap_or_default(), &directory])
            .good();
    let wanted = format!("good: {records} records");
    assert!(said.starts_with(&wanted), "{said}, not {wanted}\n{}", story());
}

/// A slow disk is no fault of a device: the receipt is printed, and none is called absent.
///
/// # Panics
/// If not.
pub(super) fn check_undisturbed(bench: &Bench) {
    // Where no card pays, reader and PIN pad really are not there.
    let devices: &[&str] = if bench.desk.is_some() { &["ACC", "PRN", "CRD", "PIN"] } else { &["ACC", "PRN"] };
    for record in journal(bench) {
        let code = record["code"].as_str().and_then(|code| code.strip_suffix("-ABSENT"));
        let gone = record["now"] == "present" && code.is_some_and(|code| devices.contains(&code));
        assert!(fact(&record) != "PrintFailed" && !gone, "for a slow disk: {record}\n{}", bench.report());
    }
}

/// A code on paper was settled before the first dot, is the center's, and is an original once. Gives the codes.
fn check_papers(
    bench: &Bench,
    records: &[Value],
    kiosk: &PathBuf,
    story: &dyn Fn() -> String,
) -> BTreeSet<String> {
    let mut printed = BTreeSet::new();
    let mut settled: BTreeMap<String, usize> = BTreeMap::new();
    let mut originals: BTreeMap<String, u32> = BTreeMap::new();
    let mut ordered: BTreeMap<String, String> = BTreeMap::new();
    for (position, record) in records.iter().enumerate() {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        match fact(record) {
            "Settled" if record["code"].is_string() => {
                let code: String = text("code").chars().filter(char::is_ascii_digit).collect();
                assert!(settled.insert(code, position).is_none(), "one code, settled twice\n{}", story());
            }
            "PrintOrdered" if text("paper").starts_with("Receipt") && text("copy") == "false" => {
                ordered.insert(text("print"), text("payment"));
            }
            "Printed" => {
                if let Some(payment) = ordered.get(&text("print")) {
                    *originals.entry(payment.clone()).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    assert!(originals.values().all(|count| *count <= 1), "an original twice: {originals:?}\n{}", story());
    for text in bench.symbols().iter().filter(|text| text.starts_with("TOLEM:C1:")) {
        let proof = run(&tolem(), &[&"receipt", &"verify", &"--config", kiosk, text]).good();
        let code: String =
            proof.lines().next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        assert!(
            settled.contains_key(&code),
            "a code on paper that the journal does not know: {proof}\n{}",
            story()
        );
        printed.insert(code);
    }
    printed
}
