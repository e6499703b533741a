//! The journal as evidence: an export is judged by other people's code, no byte of it can be changed unseen, and whoever holds
//! the kiosk's own key still cannot take back what the center has cosigned.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod journals;

use expect_test::expect;
use journals::{Flipped, Kept, Memory, kiosk, lay_out, noon, oracle, records_of, signed_by};
use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};
use tolem_center::{
    logic::{
        Moment,
        store::{Alarm, KioskRow, Store as _, Transact as _},
    },
    setup,
    sqlite::SqliteStore as CenterStore,
};
use tolem_firmware::{
    export::Export,
    verify::{Keys, Pass, Source as _, ed25519, verify},
};
use tolem_hal_sim::world::Center as _;
use tolem_protocol::{
    merkle::{Frontier, consistency_proof, leaf_hash},
    messages::{Refusal, Request, Response},
    record::{Fact, Record},
    signed_note::{self, Checkpoint, journal_origin},
};
use tolem_tests::bench::{run, tolem, tolem_center};

#[test]
fn go_and_python_find_an_export_right_and_the_newer_one_a_continuation() {
    let mut kept = Kept::new();
    kept.grow(700);
    let older = kept.export("older");
    kept.grow(1_030);
    let newer = kept.export("newer");
    let report = kept.verify(&newer).unwrap();
    assert_eq!((report.records, report.cosignatures, report.cosigned_size), (1_030, 10, Some(1_000)));
    let root = data_encoding::BASE64.encode(&report.root);
    let said = format!("good: 1030 records, root {root}, continues 700 records\n");
    let (vkey, older, newer) = (kept.log_key().to_vkey(), kept.path(&older), kept.path(&newer));
    for judge in ["verify.go", "verify.py"] {
        assert_eq!(oracle(judge, &[&vkey, &newer, &older]).good(), said, "{judge}");
        // Another kiosk's key, or the newer export as the older one.
        let other = Kept::new_with_seed(99).log_key().to_vkey();
        assert!(!oracle(judge, &[&other, &newer]).success(), "{judge}");
        assert!(!oracle(judge, &[&vkey, &older, &newer]).success(), "{judge}");
    }
    // A cosignature is judged by the definition too.
    let note = kept.cosigned_note();
    fs::write(kept.path("cosigned"), &note).unwrap();
    let witness = kept.witness_key().to_vkey();
    let said = oracle("verify.py", &["--cosigned", &witness, &kept.path("cosigned")]);
    assert_eq!(said.good(), "good: cosigned tolem/journal/00042 at 1000 records\n");
    fs::write(kept.path("cosigned"), note.replace("\n1000\n", "\n1001\n")).unwrap();
    assert!(!oracle("verify.py", &["--cosigned", &witness, &kept.path("cosigned")]).success());
}

/// All bytes of all files, one at a time. What precedes the changed record is the same as in the good export, so it is judged
/// once and the pass goes on from there.
#[test]
fn no_byte_of_a_thousand_records_can_be_changed_unseen() {
    let mut kept = Kept::new();
    kept.grow(1_000);
    let good = kept.files("export");
    // The weakest judge there is: it does not know the center's key.
    let keys = Keys { log: Some(kept.log_key()), witnesses: vec![] };
    let mut source = Export::new(&good);
    let (size, _) = source.head().unwrap();
    let mut pass = Pass::new(&keys, Some(journal_origin(kiosk())));
    let mut passes = Vec::new();
    for seq in 0..size {
        passes.push(pass.clone());
        pass.read(&mut source, seq + 1, &mut |_| true).unwrap();
    }
    let found = |name: &str, at: usize, record: Option<usize>| {
        let mut flipped = Export::new(Flipped { good: &good, name, at });
        let Some(record) = record else { return verify(&mut flipped, &keys, &mut |_| true).is_err() };
        flipped.head().unwrap();
        let bad = passes[record].clone().read(&mut flipped, size, &mut |_| true).unwrap_err();
        // The place is named, too.
        bad.record == Some(record as u64)
    };
    let sweep = |name: &str, record_at: &dyn Fn(usize) -> Option<usize>| -> usize {
        let length = good.0[name].len();
        let unseen: Vec<usize> = (0..length).filter(|at| !found(name, *at, record_at(*at))).take(5).collect();
        assert!(
            unseen.is_empty(),
            "{unseen:?} of {name}: bytes that can be changed unseen, or whose record is not named"
        );
        length
    };
    let records = records_of(&good);
    let flips = std::sync::atomic::AtomicUsize::new(0);
    let add = |count| flips.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (number, tile) in records.chunks(256).enumerate() {
                let name = journals::tile_name("0", number, tile.len());
                add(sweep(&name, &|at| Some(number * 256 + at / 32)));
            }
        });
        for (number, tile) in records.chunks(256).enumerate() {
            let name = journals::tile_name("entries", number, tile.len());
            let ends: Vec<usize> = tile
                .iter()
                .scan(0, |end, record| {
                    *end += 2 + record.len();
                    Some(*end)
                })
                .collect();
            add(sweep(&name, &|at| Some(number * 256 + ends.partition_point(|end| *end <= at))));
        }
        add(sweep("tile/1/000.p/3", &|_| None));
        add(sweep("checkpoint", &|_| None));
    });
    let bytes: usize = good.0.values().map(Vec::len).sum();
    assert_eq!(flips.into_inner(), bytes, "every byte of every file was flipped");
    println!("{bytes} bytes flipped, every one found and its record named");
}

#[test]
fn the_command_and_go_find_flipped_bytes_too() {
    let mut kept = Kept::new();
    kept.grow(600);
    let directory = kept.export("export");
    let files = kept.read(&directory);
    let (log, witness) = (kept.log_key().to_vkey(), kept.witness_key().to_vkey());
    let directory = kept.path(&directory);
    for (name, good) in &files.0 {
        let path = Path::new(&directory).join(name);
        for at in [0, 1, good.len() / 3, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&path, bad).unwrap();
            let said =
                run(&tolem(), &[&"journal", &"verify", &directory, &"--key", &log, &"--witness", &witness]);
            assert!(!said.success() && said.text().contains("BAD: "), "{name}, byte {at}: {said}");
            let said = oracle("verify.go", &[&log, &directory]);
            assert!(!said.success() && said.text().contains("BAD: "), "{name}, byte {at}: {said}");
        }
        fs::write(&path, good).unwrap();
    }
    run(&tolem(), &[&"journal", &"verify", &directory, &"--key", &log, &"--witness", &witness]).good();
}

type Edit = fn(&mut Vec<Vec<u8>>, usize);

/// What somebody does who wants a record gone.
const EDITS: [(&str, Edit); 5] = [
    ("the end is cut off", |records, at| records.truncate(at)),
    ("a record is dropped", |records, at| drop(records.remove(at))),
    ("two records change places", |records, at| records.swap(at, at + 1)),
    ("a record stands twice", |records, at| records.insert(at, records[at].clone())),
    ("a record is replaced", |records, at| {
        let mut record = Record::from_bytes(&records[at]).unwrap();
        record.fact = Fact::CheatReported;
        records[at] = record.to_bytes();
    }),
];

/// A record that the center has cosigned, and one behind the newest cosignature.
const PLACES: [usize; 2] = [333, 555];

#[test]
fn edits_with_all_hashes_made_anew_do_not_fit_the_signature() {
    let mut kept = Kept::new();
    kept.grow(600);
    let good = kept.files("export");
    let note = String::from_utf8(good.0["checkpoint"].clone()).unwrap();
    let mut told = String::new();
    for (at, (edit, change)) in PLACES.into_iter().flat_map(|at| EDITS.map(|edit| (at, edit))) {
        let mut records = records_of(&good);
        change(&mut records, at);
        let forged = lay_out(&records, &note);
        let bad = verify(&mut Export::new(&forged), &kept.keys(), &mut |_| true).unwrap_err();
        writeln!(told, "{at}, {edit}: {bad}").unwrap();
        let directory = kept.write(&format!("{edit}-{at}"), &forged);
        for judge in ["verify.go", "verify.py"] {
            assert!(!oracle(judge, &[&kept.log_key().to_vkey(), &directory]).success(), "{judge}: {edit}");
        }
    }
    expect![[r#"
        333, the end is cut off: record 0: tile/1/000.p/2: it is not there
        333, a record is dropped: record 333: it says that it is record 334
        333, two records change places: record 333: it says that it is record 334
        333, a record stands twice: record 334: it says that it is record 333
        333, a record is replaced: record 300: the center did not cosign these records: one of 300..400 was changed after it saw them, or this line was
        555, the end is cut off: record 512: tile/entries/002.p/88: it is not there
        555, a record is dropped: record 512: tile/entries/002.p/88: it is not there
        555, two records change places: record 555: it says that it is record 556
        555, a record stands twice: record 512: tile/entries/002.p/88: it is not there
        555, a record is replaced: record 500: at least one of the records 500..600 was changed together with all hashes above it: the signed checkpoint has another root
    "#]].assert_eq(&told);
}

/// Somebody has the kiosk's key and signs the edited journal: to everybody who knows only that key it is right. What was not
/// cosigned yet can be rewritten so, and what was can be left out at the end; both show when the kiosk next meets its witness (below).
#[test]
fn edits_signed_with_the_kiosks_own_key_contradict_the_cosignatures() {
    let mut kept = Kept::new();
    kept.grow(600);
    let good = kept.files("export");
    let mut told = String::new();
    for (at, (edit, change)) in PLACES.into_iter().flat_map(|at| EDITS.map(|edit| (at, edit))) {
        let mut records = records_of(&good);
        change(&mut records, at);
        let records = renumbered(&records);
        let forged = lay_out(&records, &signed_by(&kept, &records));
        let directory = kept.write(&format!("{edit}-{at}"), &forged);
        oracle("verify.go", &[&kept.log_key().to_vkey(), &directory]).good();
        match verify(&mut Export::new(&forged), &kept.keys(), &mut |_| true) {
            Ok(report) => {
                writeln!(told, "{at}, {edit}: unseen, {} cosigned", report.cosigned_size.unwrap()).unwrap()
            }
            Err(bad) => writeln!(told, "{at}, {edit}: {bad}").unwrap(),
        }
    }
    expect![[r#"
        333, the end is cut off: unseen, 300 cosigned
        333, a record is dropped: record 399: it says that the center cosigned 400 records, but it is record 399 itself
        333, two records change places: record 300: the center did not cosign these records: one of 300..400 was changed after it saw them, or this line was
        333, a record stands twice: record 300: the center did not cosign these records: one of 300..400 was changed after it saw them, or this line was
        333, a record is replaced: record 300: the center did not cosign these records: one of 300..400 was changed after it saw them, or this line was
        555, the end is cut off: unseen, 500 cosigned
        555, a record is dropped: unseen, 500 cosigned
        555, two records change places: unseen, 500 cosigned
        555, a record stands twice: unseen, 500 cosigned
        555, a record is replaced: unseen, 500 cosigned
    "#]].assert_eq(&told);
}

/// As [`EDITS`], but every record says its new place and nothing runs backwards.
fn renumbered(records: &[Vec<u8>]) -> Vec<Vec<u8>> {
    (0..)
        .zip(records)
        .map(|(seq, bytes)| {
            let mut record = Record::from_bytes(bytes).unwrap();
            (record.seq, record.mono_ms) = (seq, seq * 10);
            record.to_bytes()
        })
        .collect()
}

/// Records without any trace of the center, so that only the center itself can object.
fn another_story(kept: &Kept, common: usize, size: usize) -> (Vec<Vec<u8>>, String, Frontier) {
    let mut records = records_of(&kept.files(&format!("as-it-was-{common}-{size}")));
    records.truncate(common);
    while records.len() < size {
        records.push(records[1].clone());
    }
    let records = renumbered(&records);
    let mut frontier = Frontier::default();
    records.iter().for_each(|record| frontier.push(leaf_hash(record), |_, _, _| ()));
    let note = signed_by(kept, &records);
    (records, note, frontier)
}

/// What a kiosk with these records shows to a witness that knows `old` of them.
fn shown(records: &[Vec<u8>], note: &str, old: u64) -> Request {
    let mut nodes = BTreeMap::new();
    let mut frontier = Frontier::default();
    for record in records {
        frontier.push(leaf_hash(record), |level, index, hash| {
            nodes.insert((level, index), *hash);
        });
    }
    let node = |level, index| Ok::<_, std::convert::Infallible>(nodes[&(level, index)]);
    let proof = consistency_proof(old, records.len() as u64, node).unwrap();
    Request::Checkpoint {
        old_size: old,
        proof: heapless::Vec::from_slice(&proof).unwrap(),
        note: note.try_into().unwrap(),
    }
}

#[test]
fn a_journal_that_went_back_or_forked_is_closed_by_the_center_and_the_evidence_convicts_it() {
    let mut kept = Kept::new();
    kept.grow(401);
    assert_eq!(kept.cosigned, 400);
    let before = kept.center.store(Clone::clone);
    for (what, common, size, old, words) in [
        ("rolled back", 300, 300, 400, "300 records are shown, 400 were cosigned"),
        ("rolled back and grown again", 300, 350, 400, "350 records are shown, 400 were cosigned"),
        ("forked at the same size", 300, 400, 400, "another root is shown for 400 records"),
        ("forked and overtaken", 300, 450, 400, "450 records do not continue the 400 that were cosigned"),
    ] {
        kept.center.restore(before.clone());
        let (records, note, _) = another_story(&kept, common, size);
        let answer = kept.center.handle(noon(), kiosk(), shown(&records, &note, old.min(size as u64)));
        assert_eq!(answer, Some(Response::Refused(Refusal::JournalRolledBack)), "{what}");
        let alarms = kept.center.store(|store| store.alarms()).unwrap();
        let [alarm] = &alarms[..] else { panic!("{what}: one alarm, not {alarms:?}") };
        assert!(alarm.kind == "journal-rolled-back" && alarm.text.ends_with(words), "{what}: {}", alarm.text);
        let (known, now) = convicts(&kept, alarm);
        assert_eq!((known.size, now.size), (400, size as u64), "{what}");
        // The kiosk stays out, also with its true journal, until an operator has looked; the first evidence stays.
        let true_records = records_of(&kept.files(&format!("true-{size}-{common}")));
        let again = kept.center.handle(noon(), kiosk(), shown(&true_records, &kept.note(), 400));
        assert_eq!(again, Some(Response::Refused(Refusal::JournalRolledBack)), "{what}");
        assert_eq!(kept.center.store(|store| store.alarms()).unwrap(), alarms, "{what}");
    }
    // The true journal, longer: no objection.
    kept.center.restore(before);
    let records = records_of(&kept.files("true"));
    let answer = kept.center.handle(noon(), kiosk(), shown(&records, &kept.note(), 400));
    assert!(matches!(answer, Some(Response::Cosigned(_))), "{answer:?}");
}

/// The evidence holds two checkpoints that the kiosk's key signed and that cannot both be true of one growing journal.
fn convicts(kept: &Kept, alarm: &Alarm) -> (Checkpoint, Checkpoint) {
    let text = std::str::from_utf8(&alarm.evidence).unwrap();
    // A checkpoint begins with the journal's name on a line of its own; a signature line names it too.
    let second = text.rfind(&format!("{}\n", journal_origin(kiosk()))).unwrap();
    let open = |note: &str| {
        let (text, _) = signed_note::open(note, &kept.log_key(), ed25519).expect("signed by the kiosk");
        Checkpoint::parse(text).unwrap()
    };
    let (known, now) = (open(&text[..second - 1]), open(&text[second..]));
    assert_ne!(known, now);
    (known, now)
}

#[test]
fn the_evidence_is_printed_for_the_technician() {
    let mut kept = Kept::new();
    kept.grow(101);
    let (records, note, _) = another_story(&kept, 50, 90);
    let directory = kept.path("center");
    let names = ["center.example.kz".to_owned()];
    setup::init(Path::new(&directory), &names, noon()).unwrap();
    let mut store = CenterStore::open(&Path::new(&directory).join(setup::DATABASE)).unwrap();
    let known = kept.center.store(|store| store.witness(kiosk())).unwrap().unwrap();
    let row = KioskRow {
        kiosk: kiosk(),
        journal_key: kept.log_key().public,
        epoch: 0,
        boot_nonce: [0; 16],
        closed: None,
    };
    store
        .transact(|store| {
            store.put_kiosk(&row)?;
            store.put_witness(kiosk(), &known)
        })
        .unwrap();
    let answer = kept.center.operate(|center, _| {
        store.transact(|store| {
            let mut moment = Moment { now: noon(), fresh: &mut || 7, trace: &mut |_| {} };
            center.handle(store, &mut moment, kiosk(), shown(&records, &note, 90))
        })
    });
    assert_eq!(answer.unwrap(), Response::Refused(Refusal::JournalRolledBack));
    drop(store);
    let config = format!("{directory}/{}", setup::CONFIG_FILE);
    let short = run(&tolem_center(), &[&"alarms", &"--config", &config]).good();
    assert_eq!(short.lines().count(), 1, "{short}");
    let long = run(&tolem_center(), &[&"alarms", &"--config", &config, &"--evidence"]).good();
    assert!(long.starts_with(&short) && short.contains("90 records are shown, 100 were cosigned"), "{long}");
    // Copied out as it stands, each note is good for Go's own tools.
    let printed: Vec<&str> = long.lines().skip(1).map(|line| line.strip_prefix("    ").unwrap()).collect();
    assert_eq!(printed.join("\n") + "\n", [known.note.as_str(), &note].join("\n"));
}

/// An export may come from a stranger, on his stick.
#[test]
fn what_is_no_plain_file_in_an_export_is_not_read() {
    let mut kept = Kept::new();
    kept.grow(3);
    let directory = kept.export("export");
    let bundle = Path::new(&kept.path(&directory)).join("tile/entries/000.p/3");
    fs::remove_file(&bundle).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &bundle).unwrap();
    let bad = kept.verify(&directory).unwrap_err();
    assert!(bad.reason.ends_with("tile/entries/000.p/3: not a plain file"), "{bad}");
}

/// Used by the tests above through `Memory`; named here so that the two stay one.
#[test]
fn our_own_layout_is_that_of_the_command() {
    let mut kept = Kept::new();
    kept.grow(515);
    let good: Memory = kept.files("export");
    let note = String::from_utf8(good.0["checkpoint"].clone()).unwrap();
    assert_eq!(lay_out(&records_of(&good), &note), good);
}
