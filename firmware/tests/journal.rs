//! The journal on a real disk: what survives a cut, and that no edit of database or export goes unnamed.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "../src/scratch.rs"]
mod scratch;

use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use scratch::Scratch;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tolem_core::{
    journal::{Journal, JournalFault},
    ports::{Append, Signer, Store},
    session::Session,
    time::Instant,
};
use tolem_firmware::{
    export::{ExportDirectory, export},
    keys::{CenterKeys, KioskKeys, OnMissing},
    store::{Ground as _, Reader, SqliteStore, SystemGround, reserve_is_there, set_reserve_aside},
    verify::{BadJournal, Keys, Report, Source, Witness, ed25519, verify},
};
use tolem_protocol::{
    KioskNumber, UtcTime,
    merkle::{Hash, leaf_hash, node_hash},
    record::{Fact, Record},
    signed::Signature,
    signed_note::{self, Checkpoint, KeyKind, NoteKey},
};

/// A kiosk's journal with a witness that cosigns every tenth record.
struct Bench {
    dir: Scratch,
    signer: KioskKeys,
    witness: Ed25519KeyPair,
}

impl Bench {
    fn new(records: u64) -> Self {
        let dir = Scratch::new("journal");
        // Any point but the few weak ones will do: nothing is opened here.
        let center = CenterKeys { statement: [1; 32], sealing: [9; 32] };
        let signer = KioskKeys::open(&dir.path().join("keys"), &center, OnMissing::Create).unwrap();
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let witness = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let bench = Self { dir, signer, witness };
        bench.grow(records);
        bench
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("journal.db")
    }

    fn kiosk() -> KioskNumber {
        KioskNumber::new(42).unwrap()
    }

    fn keys(&self) -> Keys {
        Keys {
            log: Some(NoteKey {
                name: tolem_protocol::signed_note::journal_origin(Self::kiosk()),
                kind: KeyKind::Log,
                public: self.signer.public_key(),
            }),
            witnesses: vec![Witness { key: self.witness_key(), until: None }],
        }
    }

    fn witness_key(&self) -> NoteKey {
        let public = self.witness.public_key().as_ref().try_into().unwrap();
        NoteKey { name: "center.example.kz/witness".into(), kind: KeyKind::Cosigner, public }
    }

    /// One start of the program that leaves the journal with `records` records.
    fn grow(&self, records: u64) {
        let store = SqliteStore::open(&self.path()).unwrap();
        let (mut journal, mut session) = Journal::open(store, Self::kiosk(), &self.signer).unwrap();
        while journal.size() < records {
            let fact = self.fact(&journal);
            self.append(&mut journal, &mut session, fact);
        }
    }

    fn append(&self, journal: &mut Journal<SqliteStore>, session: &mut Session, fact: Fact) {
        let seq = journal.size();
        let journaled = journal
            .append(Instant(seq * 10), UtcTime::from_seconds(1_795_000_000), fact, session, &self.signer)
            .unwrap();
        session.commit(&journaled);
    }

    fn fact(&self, journal: &Journal<SqliteStore>) -> Fact {
        let size = journal.size();
        if size == 0 {
            return Fact::Booted { nonce: [7; 16], software: "tolem 0.1.0".try_into().unwrap() };
        }
        if size.is_multiple_of(10) {
            let note = journal.checkpoint().unwrap().unwrap();
            let (text, _) = signed_note::split(&note).unwrap();
            let line = signed_note::cosignature_line(text, &self.witness_key(), 1_795_000_000, |message| {
                Signature(self.witness.sign(message).as_ref().try_into().unwrap())
            });
            return Fact::Cosigned { size, line: line.trim_end().try_into().unwrap() };
        }
        Fact::FaultChanged { code: "PRN-PAPER-LOW".try_into().unwrap(), present: size % 2 == 1 }
    }

    fn verify(&self) -> Result<Report, BadJournal> {
        verify(&mut Reader::open(&self.path()).unwrap(), &self.keys(), &mut |_| true)
    }

    /// Changes the database behind the program's back.
    fn tamper(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection
            .create_scalar_function("leaf_hash", 1, rusqlite::functions::FunctionFlags::SQLITE_UTF8, |ctx| {
                Ok(leaf_hash(ctx.get_raw(0).as_blob().unwrap()))
            })
            .unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn export(&self, name: &str) -> PathBuf {
        let directory = self.dir.path().join(name);
        export(&Reader::open(&self.path()).unwrap(), &directory).unwrap();
        directory
    }

    fn verify_export(&self, directory: &Path) -> Result<Report, BadJournal> {
        verify(&mut ExportDirectory::open(directory), &self.keys(), &mut |_| true)
    }
}

fn step<'a>(seq: u64, record: &'a [u8], nodes: &'a [(u8, u64, Hash)]) -> Append<'a> {
    Append { seq, record, leaf: leaf_hash(record), nodes, checkpoint: Some("note"), snapshot: None }
}

fn append_plain(store: &mut SqliteStore, from: u64, to: u64) {
    for seq in from..to {
        store.append(&step(seq, format!("record {seq}").as_bytes(), &[])).unwrap();
    }
}

#[test]
fn what_was_appended_is_read_back_after_reopening() {
    let dir = Scratch::new("store");
    let path = dir.path().join("journal.db");
    let mut store = SqliteStore::open(&path).unwrap();
    assert_eq!(
        (store.size().unwrap(), store.checkpoint().unwrap(), store.snapshot().unwrap()),
        (0, None, None)
    );
    store.append(&step(0, b"first", &[])).unwrap();
    store
        .append(&Append {
            snapshot: Some(b"summary"),
            checkpoint: Some("newer note"),
            ..step(1, b"second", &[(8, 0, [3; 32]), (16, 0, [4; 32])])
        })
        .unwrap();
    store.append(&Append { checkpoint: None, ..step(2, b"third", &[]) }).unwrap();
    drop(store);

    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.size().unwrap(), 3);
    let mut read = Vec::new();
    store
        .records(1, &mut |seq, bytes| {
            read.push((seq, bytes.to_vec()));
            true
        })
        .unwrap();
    assert_eq!(read, [(1, b"second".to_vec()), (2, b"third".to_vec())]);
    assert_eq!(store.node(0, 2).unwrap(), leaf_hash(b"third"));
    assert_eq!((store.node(8, 0).unwrap(), store.node(16, 0).unwrap()), ([3; 32], [4; 32]));
    assert_eq!(store.checkpoint().unwrap().as_deref(), Some("newer note"));
    assert_eq!(store.snapshot().unwrap().as_deref(), Some(&b"summary"[..]));
    let error = store.node(8, 1).unwrap_err().to_string();
    assert!(error.ends_with("journal.db: cannot read tree node 8/1: it is missing"), "{error}");
    assert!(store.reserve_ready());
}

#[test]
fn a_second_writer_is_refused_and_a_reader_is_not() {
    let dir = Scratch::new("store");
    let path = dir.path().join("journal.db");
    let mut store = SqliteStore::open(&path).unwrap();
    append_plain(&mut store, 0, 3);
    let error = SqliteStore::open(&path).err().unwrap().to_string();
    assert!(error.ends_with("another kiosk process writes this journal; stop it first"), "{error}");
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.size().unwrap(), 3);
    append_plain(&mut store, 3, 5);
    assert_eq!(reader.size().unwrap(), 5);
    drop((store, reader));
    SqliteStore::open(&path).unwrap();
}

/// A power cut leaves any beginning of the log, and behind it whatever was on the disk.
#[test]
fn a_torn_log_loses_no_more_than_its_torn_end() {
    let dir = Scratch::new("store");
    let path = dir.path().join("journal.db");
    let mut store = SqliteStore::open(&path).unwrap();
    append_plain(&mut store, 0, 12);
    let database = fs::read(&path).unwrap();
    let mut log = fs::read(dir.path().join("journal.db-wal")).unwrap();
    assert!(log.len() > 1 << 20, "the log has its lasting length from the start");
    let frames = log.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    log.truncate(frames);
    let mut sizes = Vec::new();
    for cut in (0..=log.len()).step_by(3_001).chain([log.len()]) {
        for garbage in [false, true] {
            let copy = dir.path().join("copy.db");
            fs::write(&copy, &database).unwrap();
            let mut torn = log[..cut].to_vec();
            if garbage {
                torn.resize(log.len(), 0xA5);
            }
            fs::write(dir.path().join("copy.db-wal"), torn).unwrap();
            let mut store = SqliteStore::open(&copy).unwrap();
            let size = store.size().unwrap();
            for seq in 0..size {
                assert_eq!(store.node(0, seq).unwrap(), leaf_hash(format!("record {seq}").as_bytes()));
            }
            append_plain(&mut store, size, size + 1);
            assert_eq!(store.size().unwrap(), size + 1);
            sizes.push(size);
            drop(store);
            fs::remove_file(&copy).unwrap();
        }
    }
    assert!(sizes.is_sorted(), "a longer log never holds less");
    assert_eq!((sizes.first(), sizes.last()), (Some(&0), Some(&12)));
}

#[test]
fn unusable_places_are_named_with_their_cause() {
    let dir = Scratch::new("store");
    let check = |path: &Path, words: &str| {
        let error = SqliteStore::open(path).err().unwrap().to_string();
        assert!(error.starts_with(&format!("journal {}: cannot ", path.display())), "{error}");
        assert!(error.contains(words), "{error}");
    };
    check(Path::new("/sys/kernel/journal.db"), "Permission denied");
    check(&dir.path().join("absent/journal.db"), "No such file or directory");
    let other = dir.path().join("other.db");
    fs::write(
        &other,
        b"this is a text, and a rather long one, longer than the header of a database; really, it is.......",
    )
    .unwrap();
    check(&other, "this is not a Tolem journal");
    let foreign = dir.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    let before = fs::read(&foreign).unwrap();
    check(&foreign, "this is not a Tolem journal");
    assert_eq!(fs::read(&foreign).unwrap(), before, "a foreign database is left as it was");
    let newer = dir.path().join("newer.db");
    drop(SqliteStore::open(&newer).unwrap());
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 2).unwrap();
    check(&newer, "its layout is 2, this build knows 1");
    let error = Reader::open(&dir.path().join("absent.db")).err().unwrap().to_string();
    assert!(error.ends_with("absent.db: there is no such file"), "{error}");
}

/// Runs itself again on a real file system of 12 MiB, mounted in a name space of its own.
#[test]
fn a_full_disk_gives_up_the_reserve_so_that_the_open_payment_is_finished() {
    const INSIDE: &str = "TOLEM_TEST_SMALL_DISK";
    if let Some(directory) = std::env::var_os(INSIDE) {
        return on_a_small_disk(Path::new(&directory));
    }
    let dir = Scratch::new("small-disk");
    let as_root = rustix::process::geteuid().is_root();
    let output = std::process::Command::new("unshare")
        .args(if as_root { &["-m"][..] } else { &["-r", "-m"] })
        .args(["sh", "-c", "mount -t tmpfs -o size=12M none \"$0\" && exec \"$@\""])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_full_disk_gives_up_the_reserve_so_that_the_open_payment_is_finished",
            "--nocapture",
        ])
        .env(INSIDE, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn on_a_small_disk(directory: &Path) {
    let path = directory.join("journal.db");
    let mut store = SqliteStore::open(&path).unwrap();
    assert!(store.reserve_ready());
    append_plain(&mut store, 0, 2);
    // Somebody else fills the disk to the last byte.
    let fill = |name: &str| {
        let mut file = fs::File::create(directory.join(name)).unwrap();
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    };
    fill("fill");
    // The record that no longer fits takes the reserve; a payment's worth of records follows.
    let long = vec![7; 4_000];
    let mut seq = 2;
    while store.reserve_ready() {
        store.append(&step(seq, &long, &[])).unwrap();
        seq += 1;
    }
    for _ in 0..100 {
        store.append(&step(seq, &long, &[])).unwrap();
        seq += 1;
    }
    // Full for good: named, and nothing more is written.
    fill("more");
    let error = loop {
        match store.append(&step(seq, &long, &[])) {
            Ok(()) => seq += 1,
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains(&format!("cannot append record {seq}: the disk is full")), "{error}");
    let again = store.append(&step(seq, b"short", &[])).unwrap_err().to_string();
    assert!(again.contains("nothing is written after that"), "{again}");
    drop(store);
    // Without any space the journal cannot even be opened; with a reserve from before it can, and cash stays closed.
    assert!(SqliteStore::open(&path).is_err());
    fs::remove_file(directory.join("more")).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.size().unwrap(), seq);
    drop(store);
    fs::remove_file(directory.join("fill")).unwrap();
    assert!(SqliteStore::open(&path).unwrap().reserve_ready());
    fill("fill");
    let mut store = SqliteStore::open(&path).unwrap();
    assert!(!store.reserve_ready());
    store.append(&step(seq, b"what was open is finished", &[])).unwrap();
    seq += 1;
    // Room again: the reserve is set aside beside the open store, which spends it when it must, and lives from it.
    fs::remove_file(directory.join("fill")).unwrap();
    assert!(!reserve_is_there(&path) && set_reserve_aside(&path) && reserve_is_there(&path));
    fill("fill");
    while reserve_is_there(&path) {
        store.append(&step(seq, &long, &[])).unwrap();
        seq += 1;
    }
    for _ in 0..100 {
        store.append(&step(seq, &long, &[])).unwrap();
        seq += 1;
    }
}

/// Runs itself again under the system's tracer. `fsync` would also write down the time of the change, which a file system does in a
/// journal of its own.
#[test]
fn an_append_waits_for_its_bytes_alone_and_the_log_is_never_cut_off() {
    const INSIDE: &str = "TOLEM_TEST_TRACED";
    const APPENDS: u64 = 20;
    if let Some(directory) = std::env::var_os(INSIDE) {
        let beside = |name: &str| Path::new(&directory).join(name);
        let mut store = SqliteStore::open(&beside("journal.db")).unwrap();
        append_plain(&mut store, 0, APPENDS);
        // As a power cut leaves it: with frames in the log.
        for end in ["", "-wal"] {
            fs::copy(beside(&format!("journal.db{end}")), beside(&format!("copy.db{end}"))).unwrap();
        }
        let mut store = SqliteStore::open(&beside("copy.db")).unwrap();
        assert_eq!(store.size().unwrap(), APPENDS);
        return append_plain(&mut store, APPENDS, 2 * APPENDS);
    }
    let dir = Scratch::new("traced");
    let trace = dir.path().join("trace");
    let output = std::process::Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fsync,fdatasync,ftruncate", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "an_append_waits_for_its_bytes_alone_and_the_log_is_never_cut_off"])
        .env(INSIDE, dir.path())
        .output()
        .expect("strace: apt-get install strace");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let trace = fs::read_to_string(&trace).unwrap();
    let waits =
        |call: &str| trace.lines().filter(|line| line.contains(call) && line.contains("-wal>")).count();
    // At each start the log gets its length, or has it, and is flushed; one that was there is first read from the disk. Making the
    // tables and closing wait too.
    assert_eq!(waits(" fsync("), 3, "{trace}");
    assert!(waits(" fdatasync(") as u64 >= 2 * APPENDS, "{trace}");
    assert_eq!(
        waits(" ftruncate("),
        0,
        "what is cut off may come back in part (docs/decisions/116): {trace}"
    );
}

#[test]
fn a_log_is_read_again_if_it_is_there() {
    let dir = Scratch::new("ground");
    let log = dir.path().join("journal.db-wal");
    SystemGround.reread(&log).expect("a log that is not there");
    fs::write(&log, "frames").unwrap();
    SystemGround.reread(&log).unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), "frames");
    let error = SystemGround.reread(&log.join("beneath")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotADirectory);
}

#[test]
fn an_edited_last_record_is_not_built_upon() {
    let bench = Bench::new(5);
    bench.tamper("UPDATE entry SET bytes = zeroblob(length(bytes)) WHERE seq = 4");
    let error = SqliteStore::open(&bench.path()).err().unwrap().to_string();
    assert!(error.contains("cannot go on after record 4: its bytes do not fit its hash"), "{error}");
}

#[test]
fn a_right_journal_verifies_in_database_and_export() {
    for records in [1, 2, 255, 256, 257, 513, 700] {
        let bench = Bench::new(records);
        let report = bench.verify().unwrap();
        assert_eq!(report.records, records);
        assert_eq!(report.cosignatures, (records - 1) / 10);
        assert_eq!(report.cosigned_size, ((records - 1) / 10 * 10 > 0).then_some((records - 1) / 10 * 10));
        let directory = bench.export("export");
        assert_eq!(bench.verify_export(&directory).unwrap(), report, "{records}");
        assert_eq!(root_by_definition(&leaves_of(&directory, records)), report.root, "{records}");
    }
}

#[test]
fn verification_runs_beside_the_writer() {
    let bench = Bench::new(20);
    let store = SqliteStore::open(&bench.path()).unwrap();
    let (mut journal, mut session) = Journal::open(store, Bench::kiosk(), &bench.signer).unwrap();
    let mut reader = Reader::open(&bench.path()).unwrap();
    let report = verify(&mut reader, &bench.keys(), &mut |_| {
        // Between two steps of the pass the kiosk goes on.
        let fact = bench.fact(&journal);
        bench.append(&mut journal, &mut session, fact);
        true
    })
    .unwrap();
    assert_eq!((report.records, journal.size()), (20, 21));
    assert_eq!(bench.verify().unwrap().records, 21);
}

#[test]
fn the_first_bad_record_of_a_database_is_named() {
    let bench = Bench::new(300);
    let good = fs::read(bench.path()).unwrap();
    let check = |sql: &str, record: Option<u64>, words: &str| {
        fs::write(bench.path(), &good).unwrap();
        bench.tamper(sql);
        let bad = bench.verify().unwrap_err();
        assert_eq!(bad.record, record, "{sql}: {bad}");
        assert!(bad.to_string().contains(words), "{sql}: {bad}");
    };
    check(
        "UPDATE entry SET bytes = CAST(bytes || x'00' AS BLOB) WHERE seq IN (17, 200)",
        Some(17),
        "do not fit its stored hash",
    );
    check("UPDATE entry SET leaf = zeroblob(32) WHERE seq = 0", Some(0), "do not fit its stored hash");
    check("DELETE FROM entry WHERE seq = 150", Some(150), "it is missing; the next one there is 151");
    check("DELETE FROM entry WHERE seq >= 299", Some(299), "missing: 300 records were signed");
    check("DELETE FROM entry", Some(0), "missing: 300 records were signed");
    check("DELETE FROM head WHERE kind = 1", None, "the checkpoint is missing");
    check("UPDATE head SET value = x'ff' WHERE kind = 1", None, "it is not text");
    check(
        "UPDATE head SET value = CAST('x' AS BLOB) WHERE kind = 1",
        None,
        "not signed by tolem/journal/00042+",
    );
    check(
        "UPDATE node SET hash = zeroblob(32)",
        Some(250),
        "records 250..=255 was changed together with its hash",
    );
    check("DELETE FROM node", Some(0), "cannot read tree node 8/0: it is missing");
    // Record and hash edited together: seen by its own words, by the center's cosignature, or by the tree.
    let edit = |seq: u64, body: &str| {
        format!(
            "UPDATE entry SET bytes = {body} WHERE seq = {seq}; UPDATE entry SET leaf = leaf_hash(bytes) WHERE seq = {seq}"
        )
    };
    check(&edit(33, "x'02'"), Some(33), "record version 2, this build reads 1");
    check(&edit(33, "x'01'"), Some(33), "record body does not decode");
    check(&edit(33, "(SELECT bytes FROM entry WHERE seq = 35)"), Some(33), "it says that it is record 35");
    fs::write(bench.path(), &good).unwrap();
    let (mut forged, mut late) = (record_at(&bench, 33), record_at(&bench, 295));
    forged.fact = Fact::CheatReported;
    check(&edit(33, &hex(&forged)), Some(30), "one of 30..40 was changed after it saw them");
    forged.mono_ms = 0;
    check(&edit(33, &hex(&forged)), Some(33), "it was written at 0 ms, the one before it at 320 ms");
    forged.boot = 0;
    check(&edit(33, &hex(&forged)), Some(33), "it was written in start 0, the one before it in start 1");
    // Behind the newest cosignature only the tree speaks.
    late.fact = Fact::CheatReported;
    check(
        &edit(295, &hex(&late)),
        Some(290),
        "records 290..300 was changed together with all hashes above it",
    );
    late.seq = 300;
    check(
        &format!("INSERT INTO entry (seq, bytes, leaf) VALUES (300, {0}, leaf_hash({0}))", hex(&late)),
        Some(300),
        "it was written at 2950 ms, the one before it at 2990 ms",
    );
    late.mono_ms = 3_000;
    check(
        &format!("INSERT INTO entry (seq, bytes, leaf) VALUES (300, {0}, leaf_hash({0}))", hex(&late)),
        Some(300),
        "it was added behind the signed end: 300 records were signed",
    );
}

fn record_at(bench: &Bench, seq: u64) -> Record {
    let entry = Reader::open(&bench.path()).unwrap().batch(seq, 1).unwrap().remove(0);
    Record::from_bytes(&entry.bytes).unwrap()
}

fn hex(record: &Record) -> String {
    format!("x'{}'", data_encoding::HEXLOWER.encode(&record.to_bytes()))
}

#[test]
fn another_kiosks_keys_do_not_verify() {
    let (bench, other) = (Bench::new(30), Bench::new(30));
    let check = |keys: Keys, words: &str| {
        let bad = verify(&mut Reader::open(&bench.path()).unwrap(), &keys, &mut |_| true).unwrap_err();
        assert!(bad.to_string().contains(words), "{bad}");
    };
    check(Keys { log: other.keys().log, ..bench.keys() }, "not signed by tolem/journal/00042+");
    check(Keys { witnesses: other.keys().witnesses, ..bench.keys() }, "which is not known here");
    let report = verify(&mut Reader::open(&bench.path()).unwrap(), &Keys::default(), &mut |_| true).unwrap();
    let text = report.to_string();
    assert!(text.contains("present, NOT checked") && text.contains("2 cosignatures, NOT checked"), "{text}");
}

#[test]
fn a_rewritten_journal_with_the_kiosks_own_key_is_found_by_the_cosignatures() {
    // Whoever holds disk and key can sign another history, but not the center's part of it.
    let bench = Bench::new(40);
    let keys = bench.keys();
    let forger = Bench { witness: Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap(), ..bench };
    fs::remove_file(forger.path()).unwrap();
    forger.grow(40);
    let bad = verify(&mut Reader::open(&forger.path()).unwrap(), &keys, &mut |_| true).unwrap_err();
    assert_eq!(bad.fault, JournalFault::Root(10), "{bad}");
}

/// The center got another witness key: what it cosigned before stays good, under the key of that time and no longer.
#[test]
fn cosignatures_before_a_change_of_the_witness_key_stay_good() {
    let before = Bench::new(20);
    let old = before.witness_key();
    let bench = Bench { witness: Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap(), ..before };
    bench.grow(40);
    let new = bench.witness_key();
    let judge = |witnesses: Vec<Witness>| {
        verify(&mut Reader::open(&bench.path()).unwrap(), &Keys { witnesses, ..bench.keys() }, &mut |_| true)
    };
    let day = |iso: &str| Some(tolem_protocol::Date::parse_iso(iso).unwrap().starts_at());
    let in_use = || Witness { key: new.clone(), until: None };
    let former = |until| Witness { key: old.clone(), until };

    let report = judge(vec![in_use(), former(day("2027-01-01"))]).unwrap();
    assert_eq!(report.cosigned_size, Some(30), "{report}");
    let unknown = judge(vec![in_use()]).unwrap_err();
    let id = u32::from_be_bytes(old.id());
    assert!(unknown.reason.contains(&format!("{}+{id:08x}, which is not known here", old.name)), "{unknown}");
    assert_eq!(unknown.record, Some(10));
    // 1 795 000 000 is 18 November 2026.
    let late = judge(vec![in_use(), former(day("2026-11-01"))]).unwrap_err();
    assert!(late.reason.contains("by a key out of use"), "{late}");
}

#[test]
fn the_first_bad_record_of_an_export_is_named() {
    let bench = Bench::new(260);
    let cuts = [
        ("tile/entries/000", 0, Some(0)),
        ("tile/entries/000", 1, Some(0)),
        ("tile/entries/001.p/4", 1, Some(256)),
        ("tile/0/000", 0, Some(0)),
    ];
    for (at, (name, keep, record)) in cuts.into_iter().enumerate() {
        let directory = bench.export(&format!("cut-{at}"));
        let bytes = fs::read(directory.join(name)).unwrap();
        fs::write(directory.join(name), &bytes[..keep]).unwrap();
        let bad = bench.verify_export(&directory).unwrap_err();
        assert_eq!(bad.record, record, "{name} cut to {keep}: {bad}");
    }
    let directory = bench.export("last-byte");
    let name = directory.join("tile/entries/000");
    let bytes = fs::read(&name).unwrap();
    fs::write(&name, &bytes[..bytes.len() - 1]).unwrap();
    let bad = bench.verify_export(&directory).unwrap_err();
    assert_eq!(bad.record, Some(255), "{bad}");
    fs::write(&name, [&bytes[..], b"x"].concat()).unwrap();
    assert!(bench.verify_export(&directory).unwrap_err().to_string().contains("1 bytes are left over"));
    fs::write(&name, &bytes).unwrap();
    fs::remove_file(directory.join("tile/entries/001.p/4")).unwrap();
    assert_eq!(bench.verify_export(&directory).unwrap_err().record, Some(256));
    fs::remove_file(directory.join("checkpoint")).unwrap();
    assert!(bench.verify_export(&directory).unwrap_err().to_string().contains("checkpoint: No such file"));
}

#[test]
fn an_export_is_never_written_over() {
    let bench = Bench::new(3);
    let directory = bench.export("export");
    let error = export(&Reader::open(&bench.path()).unwrap(), &directory).unwrap_err().to_string();
    assert!(error.ends_with("is not empty; name a new one, an export is never written over"), "{error}");
}

#[test]
fn a_stopped_verification_says_so() {
    let bench = Bench::new(3);
    let bad = verify(&mut Reader::open(&bench.path()).unwrap(), &bench.keys(), &mut |_| false).unwrap_err();
    assert_eq!(bad.to_string(), "verification was stopped");
}

#[test]
fn the_checkpoint_of_an_export_is_a_note_of_this_kiosk() {
    let bench = Bench::new(3);
    let note = fs::read_to_string(bench.export("export").join("checkpoint")).unwrap();
    let (text, _) = signed_note::open(&note, &bench.keys().log.unwrap(), ed25519).unwrap();
    assert_eq!(Checkpoint::parse(text).unwrap().size, 3);
    let (size, again) = Source::head(&mut Reader::open(&bench.path()).unwrap()).unwrap();
    assert_eq!((size, again), (3, Some(note)));
}

/// Reads the bundles with nothing of ours: length-prefixed records, 256 to a file.
fn leaves_of(directory: &Path, size: u64) -> Vec<Hash> {
    let mut leaves = Vec::new();
    for number in 0..size.div_ceil(256) {
        let width = (size - number * 256).min(256);
        let name = if width == 256 { format!("{number:03}") } else { format!("{number:03}.p/{width}") };
        let bytes = fs::read(directory.join("tile/entries").join(name)).unwrap();
        let mut rest = &bytes[..];
        while let [high, low, tail @ ..] = rest {
            let (record, after) = tail.split_at(usize::from(*high) << 8 | usize::from(*low));
            leaves.push(leaf_hash(record));
            rest = after;
        }
    }
    leaves
}

/// RFC 6962, 2.1, word for word.
fn root_by_definition(leaves: &[Hash]) -> Hash {
    if let [one] = leaves {
        return *one;
    }
    let split = leaves.len().next_power_of_two() / 2;
    node_hash(&root_by_definition(&leaves[..split]), &root_by_definition(&leaves[split..]))
}
