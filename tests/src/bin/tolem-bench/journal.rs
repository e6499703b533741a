//! The journal: what a durable append costs beside a bare durable write, and whether opening depends on the length.

use super::{ROUNDS, Target, Verdict, median, ms, series};
use rusqlite::{Connection, params};
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    rc::Rc,
    time::Instant as Clock,
};
use tolem_core::{
    journal::Journal,
    ports::{Append, Signer, Store, StoreError},
    session::Session,
    time::Instant,
};
use tolem_firmware::{
    keys::{CenterKeys, KioskKeys},
    store::SqliteStore,
};
use tolem_protocol::{KioskNumber, UtcTime, merkle::Hash, record::Fact};

/// Appends in one round.
const APPENDS: usize = 200;
/// Appends, and then as many bare writes, in one turn.
const TURN: usize = 10;
/// Appends before the first round: the write-ahead log then has its lasting size.
const WARM_UP: usize = 1_200;
/// Bytes of a bare write: record, leaf hash, tree and signed note of a usual append are shorter.
const BARE: usize = 512;
/// Openings of each journal.
const OPENINGS: usize = 41;
/// Lengths that are compared.
const SHORT: u64 = 10_000;
const LONG: u64 = 1_000_000;

pub(super) fn kiosk() -> KioskNumber {
    KioskNumber::new(42).expect("in range")
}

pub(super) fn signer() -> KioskKeys {
    // Any X25519 public key will do: nothing is sealed here.
    let center = CenterKeys { statement: [1; 32], sealing: [9; 32] };
    KioskKeys::ephemeral(&center).expect("keys in memory")
}

/// A fact that leaves no trace in the session, so that only the number of records counts.
fn fact(at: u64) -> Fact {
    Fact::Opened { part: "door".try_into().expect("short"), open: at.is_multiple_of(2) }
}

fn grow<S: Store>(journal: &mut Journal<S>, session: &mut Session, signer: &impl Signer, count: usize) {
    for _ in 0..count {
        let at = journal.size();
        let journaled = journal.append(Instant(at), UtcTime(at as i64), fact(at), session, signer);
        session.commit(&journaled.expect("the disk works"));
    }
}

/// A file that has its length already, so that a durable write moves nothing but its bytes.
pub(super) struct BareFile {
    file: File,
    at: u64,
}

impl BareFile {
    const LENGTH: u64 = 4 << 20;

    pub(super) fn new(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path).expect("a file");
        file.write_all_at(&vec![0; Self::LENGTH as usize], 0).expect("room on the disk");
        file.sync_all().expect("the disk works");
        Self { file, at: 0 }
    }

    /// One pwrite and one fdatasync.
    pub(super) fn write(&mut self) {
        self.file.write_all_at(&[0x5A; BARE], self.at).expect("the disk works");
        self.file.sync_data().expect("the disk works");
        self.at = (self.at + BARE as u64) % Self::LENGTH;
    }
}

pub(super) fn append(directory: &Path) -> Vec<Verdict> {
    println!("\ndurable journal append, {APPENDS} in a round, beside pwrite + fdatasync of {BARE} bytes");
    let signer = signer();
    let store = SqliteStore::open(&directory.join("append.db")).expect("a journal");
    let (mut journal, mut session) = Journal::open(store, kiosk(), &signer).expect("an empty journal");
    let mut bare = BareFile::new(&directory.join("bare"));
    let mut round = |journal: &mut Journal<SqliteStore>, session: &mut Session| {
        let (mut written, mut appended) = (0.0, 0.0);
        // A shared disk changes its pace from second to second: short turns meet the same one.
        for _ in 0..APPENDS / TURN {
            let start = Clock::now();
            (0..TURN).for_each(|_| bare.write());
            written += start.elapsed().as_secs_f64();
            let start = Clock::now();
            grow(journal, session, &signer, TURN);
            appended += start.elapsed().as_secs_f64();
        }
        (APPENDS as f64 / written, APPENDS as f64 / appended)
    };
    // Told, not judged: after each start the log grows from nothing, and a file system writes down its new length too.
    let (written, appended) = round(&mut journal, &mut session);
    println!("  the first {APPENDS} appends after a start: {:.3} times a bare write", appended / written);
    grow(&mut journal, &mut session, &signer, WARM_UP);

    let (mut appends, mut writes, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (written, appended) = round(&mut journal, &mut session);
        writes.push(written);
        appends.push(appended);
        ratios.push(appended / written);
    }
    series("bare write", "per s", &writes);
    series("append", "per s", &appends);
    let ratio = series("ratio", "", &ratios);
    vec![Verdict {
        what: "durable append, times a bare write",
        value: ratio,
        unit: "x",
        target: Target::AtLeast(0.6),
    }]
}

pub(super) fn open(directory: &Path) -> Vec<Verdict> {
    println!("\nopening a journal of {LONG} records beside one of {SHORT}");
    let signer = signer();
    let paths: [PathBuf; 2] = [SHORT, LONG].map(|records| {
        let path = directory.join(format!("open-{records}.db"));
        let start = Clock::now();
        write_journal(&path, records, &signer);
        println!("  {records} records written in {:.1} s", start.elapsed().as_secs_f64());
        path
    });
    let mut spans = [Vec::new(), Vec::new()];
    // One round that does not count: caches.
    for round in 0..=OPENINGS {
        for (path, spans) in paths.iter().zip(&mut spans) {
            let start = Clock::now();
            let store = SqliteStore::open(path).expect("the journal that was just written");
            let (journal, _) = Journal::open(store, kiosk(), &signer).expect("a sound journal");
            if round > 0 {
                spans.push(ms(start.elapsed()));
            }
            assert!(journal.size() == SHORT || journal.size() == LONG);
        }
    }
    series("short", "ms", &spans[0]);
    series("long", "ms", &spans[1]);
    // An opening waits for the disk a few times, and the disk has its moods: neighbours meet the same one.
    let pairs: Vec<f64> = spans[0].iter().zip(&spans[1]).map(|(short, long)| long / short).collect();
    let value = median(&pairs);
    vec![Verdict { what: "opening 1 M records, times 10 k", value, unit: "x", target: Target::AtMost(1.2) }]
}

/// Writes a sound journal with the real tree, notes and snapshots, but in one transaction.
fn write_journal(path: &Path, records: u64, signer: &KioskKeys) {
    drop(SqliteStore::open(path).expect("a journal"));
    let connection = Rc::new(Connection::open(path).expect("the journal"));
    connection.execute_batch("PRAGMA synchronous = OFF; BEGIN").expect("a transaction");
    let (mut journal, mut session) =
        Journal::open(InOneGo { connection: connection.clone(), size: 0 }, kiosk(), signer)
            .expect("an empty journal");
    grow(&mut journal, &mut session, signer, usize::try_from(records).expect("it fits"));
    connection.execute_batch("COMMIT").expect("room on the disk");
}

/// The tables of `SqliteStore` without durability between records.
struct InOneGo {
    connection: Rc<Connection>,
    size: u64,
}

impl InOneGo {
    fn write(&self, step: &Append<'_>) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("INSERT INTO entry (seq, bytes, leaf) VALUES (?1, ?2, ?3)")?
            .execute(params![step.seq as i64, step.record, step.leaf])?;
        for (level, index, hash) in step.nodes {
            self.connection
                .prepare_cached("INSERT INTO node (level, idx, hash) VALUES (?1, ?2, ?3)")?
                .execute(params![level, *index as i64, hash])?;
        }
        let heads = [(1, step.checkpoint.map(str::as_bytes)), (2, step.snapshot)];
        for (kind, value) in heads {
            let Some(value) = value else { continue };
            self.connection
                .prepare_cached("INSERT OR REPLACE INTO head (kind, size, value) VALUES (?1, ?2, ?3)")?
                .execute(params![kind, step.seq as i64 + 1, value])?;
        }
        Ok(())
    }
}

fn fail(error: rusqlite::Error) -> StoreError {
    StoreError(error.to_string())
}

impl Store for InOneGo {
    fn size(&self) -> Result<u64, StoreError> {
        Ok(self.size)
    }

    fn append(&mut self, step: &Append<'_>) -> Result<(), StoreError> {
        self.write(step).map_err(fail)?;
        self.size += 1;
        Ok(())
    }

    fn records(&self, _: u64, _: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<(), StoreError> {
        // Only asked at the opening, when there are none.
        Ok(())
    }

    fn node(&self, level: u8, index: u64) -> Result<Hash, StoreError> {
        Err(StoreError(format!("no node {level}/{index} in an empty journal")))
    }

    fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}
