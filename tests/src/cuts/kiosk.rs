//! The kiosk's journal through power cuts: the real store, the real tree, checkpoints and snapshots.

use super::{Fault, LIVES, Setting, Story, draw_failure};
use crate::rig::KioskKeys;
use std::{fs::File, io, path::Path};
use tolem_core::{
    journal::Journal,
    ports::{Append, Signer as _, Store, StoreError},
    session::Session,
    time::Instant,
};
use tolem_crash_vfs::{Disk, FILE_LAYER, Failure, Hand};
use tolem_firmware::{
    store::{Entry, Ground, Reader, SqliteStore},
    verify::{BadJournal, Keys, Source, verify},
};
use tolem_hal_sim::line::Dice;
use tolem_protocol::{
    Denomination, KioskNumber, PaymentId, UtcTime,
    merkle::Hash,
    record::{Fact, Record, StackedBy},
    signed_note::{KeyKind, NoteKey, journal_origin},
};

const PATH: &str = "/kiosk/journal.db";
/// Opening an existing journal takes fewer operations of the disk than this.
const OPERATIONS_OF_OPENING: u64 = 24;
/// A usual append takes about so many.
const OPERATIONS_OF_APPEND: u64 = 6;
/// Appends that the reserve promises to have room for, on a disk that is full.
const FINISHES: u64 = 40;

/// The store's ground on the disk of the story.
struct CrashGround {
    disk: Hand,
    believes_cache: bool,
}

impl Ground for CrashGround {
    fn file_layer(&self) -> Option<&str> {
        Some(FILE_LAYER)
    }

    fn lock(&self, _: &Path) -> Result<Option<File>, String> {
        Ok(None)
    }

    fn set_aside(&self, path: &Path, bytes: u64) -> bool {
        self.disk.set_aside(&path.to_string_lossy(), bytes)
    }

    fn give_back(&self, path: &Path) -> bool {
        self.disk.give_back(&path.to_string_lossy())
    }

    fn lengthen(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.disk.lengthen(&path.to_string_lossy(), bytes)
    }

    fn reread(&self, path: &Path) -> io::Result<()> {
        if self.believes_cache { Ok(()) } else { self.disk.reread(&path.to_string_lossy()) }
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        self.disk.sync_directory()
    }
}

/// How a life ends.
enum End {
    /// The planned failure came while the store was being opened.
    InRecovery,
    /// It came while records were appended, or the life went on to its end.
    Later,
}

/// The story of a kiosk.
struct Kiosk {
    disk: Disk,
    dice: Dice,
    keys: KioskKeys,
    believes_cache: bool,
    /// Bytes of the records that the kiosk has acted upon: acknowledged, or found on disk by a start that went well.
    known: Vec<Vec<u8>>,
    /// The record whose append failed.
    attempted: Option<Vec<u8>>,
    story: Story,
}

/// One life: what goes wrong, and what follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Operations of the disk that work before.
    pub after: u64,
    /// How the next one fails.
    pub failure: Failure,
    /// Records appended if nothing fails, beside the one that says that the program started.
    pub appends: u64,
    /// Only the process starts again, not the machine.
    pub only_the_process: bool,
    /// A disk that became full stays so in the next life.
    pub stays_full: bool,
    /// Somebody looks at the journal, as an export does, until so many records are appended, and since half of them were.
    pub read_until: u64,
}

impl Plan {
    /// Three records, and the power goes when they are durable.
    pub const CALM: Self = Self {
        after: u64::MAX,
        failure: Failure::Cut,
        appends: 3,
        only_the_process: false,
        stays_full: false,
        read_until: 0,
    };
}

/// Tells the story of `seed`.
pub fn story(seed: u64, setting: &Setting) -> Story {
    let mut kiosk = Kiosk::new(seed, setting);
    for _ in 0..LIVES {
        let plan = kiosk.draw(setting.errors);
        if !kiosk.live(plan) {
            break;
        }
    }
    kiosk.end()
}

/// Tells a story whose lives are given; the last look finds the disk well.
pub fn planned(seed: u64, setting: &Setting, plans: &[Plan]) -> Story {
    let mut kiosk = Kiosk::new(seed, setting);
    let _ = plans.iter().all(|plan| kiosk.live(*plan));
    kiosk.end()
}

impl Kiosk {
    fn new(seed: u64, setting: &Setting) -> Self {
        let disk = Disk::new(seed, setting.media);
        if let Some(value) = setting.synchronous {
            disk.bend_pragma("synchronous", value);
        }
        if let Some(value) = setting.checkpoint {
            disk.bend_pragma("wal_checkpoint", value);
        }
        Self {
            disk,
            dice: Dice::new(seed ^ 0x6b69_6f73_6b00_0000),
            keys: KioskKeys::new(seed, [1; 32], [9; 32]),
            believes_cache: setting.believes_cache,
            known: Vec::new(),
            attempted: None,
            story: Story::default(),
        }
    }

    fn draw(&mut self, errors: bool) -> Plan {
        let dice = &mut self.dice;
        // A long life lets the log wrap around by itself.
        let appends = if dice.chance(15) { 400 } else { dice.below(24) };
        let failure = draw_failure(dice, errors);
        let later = if dice.chance(350) { 0 } else { appends * OPERATIONS_OF_APPEND };
        Plan {
            after: dice.below(OPERATIONS_OF_OPENING + later),
            failure,
            appends,
            // After a failed write the process ends and starts again; the machine may, or may not, go down with it.
            only_the_process: dice.chance(500),
            stays_full: dice.chance(300),
            read_until: if dice.chance(300) { dice.below(appends + 1) } else { 0 },
        }
    }

    /// One life and its end. False if something was wrong.
    fn live(&mut self, plan: Plan) -> bool {
        self.story.lives += 1;
        self.disk.fail_after(plan.after, plan.failure);
        self.story.told.push(format!("{} records, then {plan:?}", self.known.len()));
        let end = match self.work(plan) {
            Ok(end) => end,
            Err(fault) => {
                self.story.fault = Some((self.disk.counts().cuts, fault));
                return false;
            }
        };
        let failed = self.disk.has_failed();
        if failed {
            self.story.in_recovery += u64::from(matches!(end, End::InRecovery));
            match plan.failure {
                Failure::Cut => {}
                Failure::Full => self.story.full += 1,
                Failure::ErrorButKept | Failure::ErrorNotKept | Failure::Writeback => self.story.errors += 1,
            }
        }
        if !plan.stays_full {
            self.disk.limit(None);
        }
        if failed && plan.failure != Failure::Cut && plan.only_the_process {
            self.disk.restart();
        } else {
            self.disk.cut();
        }
        true
    }

    fn end(mut self) -> Story {
        if self.story.fault.is_none()
            && let Err(fault) = self.last_look()
        {
            self.story.fault = Some((self.disk.counts().cuts, fault));
        }
        self.story.cuts = self.disk.counts().cuts;
        self.story.digest = self.disk.digest();
        self.story
    }

    fn open(&self) -> Result<SqliteStore, StoreError> {
        let ground = CrashGround { disk: self.disk.hand(), believes_cache: self.believes_cache };
        SqliteStore::open_on(Box::new(ground), Path::new(PATH))
    }

    /// Somebody who sees the journal as it is now, until it is dropped.
    fn look() -> rusqlite::Result<rusqlite::Connection> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let looking = rusqlite::Connection::open_with_flags_and_vfs(PATH, flags, FILE_LAYER)?;
        looking.execute_batch("BEGIN; SELECT count(*) FROM entry")?;
        Ok(looking)
    }

    /// Starts, judges what is there, and appends until the failure comes or the plan is done.
    fn work(&mut self, Plan { failure, appends, read_until, .. }: Plan) -> Result<End, Fault> {
        let store = match self.open() {
            Ok(store) => store,
            // A disk that stayed full since an earlier life may be refused, with everything on it.
            Err(_) if self.disk.has_failed() || self.disk.is_limited() => return Ok(End::InRecovery),
            Err(error) => return Err(damage(error)),
        };
        // On a disk that is still full from an earlier life, the reserve may be used up before this life's own failure comes.
        let reserve = store.reserve_ready() && !self.disk.is_limited();
        let (mut journal, mut session) = match self.judge(store) {
            Ok(found) => found,
            Err(_) if self.disk.has_failed() && failure != Failure::Full => return Ok(End::InRecovery),
            Err(fault) => return Err(fault),
        };
        let mut after_full = 0;
        let mut looking = None;
        for turn in 0..=appends {
            if turn == read_until {
                drop(looking.take());
            } else if turn == read_until / 2 {
                // On a disk that fails there may be nothing to see.
                looking = Self::look().ok();
            }
            let fact = self.fact(turn);
            let now = (Instant(turn * 10), UtcTime::from_seconds(1_795_000_000 + turn as i64));
            let record = Record {
                seq: journal.size(),
                boot: journal.boot(),
                mono_ms: now.0.0,
                utc: now.1,
                fact: fact.clone(),
            };
            match journal.append(now.0, now.1, fact, &session, &self.keys) {
                Ok(journaled) => {
                    session.commit(&journaled);
                    self.known.push(journaled.record().to_bytes());
                    self.story.acknowledged += 1;
                    after_full += u64::from(failure == Failure::Full && self.disk.has_failed());
                }
                Err(error) if !self.disk.has_failed() && !self.disk.is_limited() => {
                    return Err(damage(error));
                }
                Err(error) if failure == Failure::Full && reserve && after_full < FINISHES => {
                    return Err(Fault::Damaged(format!("the reserve did not last: {error}")));
                }
                Err(error) => {
                    self.story.told.push(error.0);
                    self.attempted = Some(record.to_bytes());
                    return Ok(End::Later);
                }
            }
        }
        // Half of the lives that outlast their plan are stopped cleanly; the others are killed.
        if self.dice.chance(500) {
            self.disk.forget_plan();
        } else if !self.disk.has_failed() {
            self.disk.fail_after(0, Failure::Cut);
        }
        Ok(End::Later)
    }

    /// What the store gives back, against what the kiosk knows.
    fn judge(&mut self, store: SqliteStore) -> Result<(Journal<SqliteStore>, Session), Fault> {
        let mut back = Vec::new();
        store
            .records(0, &mut |_, bytes| {
                back.push(bytes.to_vec());
                true
            })
            .map_err(damage)?;
        let known = self.known.len();
        if let Some(missing) = known.checked_sub(back.len()).filter(|missing| *missing > 0) {
            return Err(Fault::Lost(missing as u64));
        }
        if back[..known] != self.known[..] {
            return Err(Fault::Damaged("a record came back changed".into()));
        }
        match &back[known..] {
            [] => {}
            [extra] if Some(extra) == self.attempted.as_ref() => {
                self.story.extra += 1;
                self.known.push(extra.clone());
            }
            _ => return Err(Fault::Damaged("records came back that nobody wrote".into())),
        }
        self.attempted = None;
        let kiosk = kiosk_number();
        let key = NoteKey { name: journal_origin(kiosk), kind: KeyKind::Log, public: self.keys.public_key() };
        let report =
            verify(&mut Seen(store.reader()), &Keys { log: Some(key), witnesses: vec![] }, &mut |_| true)
                .map_err(|bad| Fault::Damaged(format!("verification: {bad}")))?;
        if report.records != self.known.len() as u64 {
            return Err(Fault::Damaged(format!("{} of {} records verify", report.records, self.known.len())));
        }
        let (_, told_again) = Journal::open(WithoutSnapshot(&store), kiosk, &self.keys)
            .map_err(|fault| Fault::Damaged(fault.to_string()))?;
        let (journal, session) =
            Journal::open(store, kiosk, &self.keys).map_err(|fault| Fault::Damaged(fault.to_string()))?;
        if session != told_again {
            return Err(Fault::Damaged("snapshot and tail tell another session than all records".into()));
        }
        Ok((journal, session))
    }

    /// The disk is well again: everything must be there, and SQLite itself must find nothing wrong.
    fn last_look(&mut self) -> Result<(), Fault> {
        self.disk.limit(None);
        let store = self.open().map_err(damage)?;
        let (journal, _) = self.judge(store)?;
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let said = rusqlite::Connection::open_with_flags_and_vfs(PATH, flags, FILE_LAYER)
            .and_then(|second| second.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)))
            .map_err(|error| Fault::Damaged(error.to_string()))?;
        drop(journal);
        if said == "ok" { Ok(()) } else { Err(Fault::Damaged(said)) }
    }

    /// Facts of all sizes; some of them move money in the session.
    fn fact(&mut self, turn: u64) -> Fact {
        let dice = &mut self.dice;
        if turn == 0 {
            return Fact::Booted { nonce: [dice.below(256) as u8; 16], software: fits("tolem of a test") };
        }
        let payment = PaymentId { kiosk: kiosk_number(), epoch: 1, number: dice.below(5), nonce: [3; 16] };
        let denomination = Denomination(500);
        match dice.below(8) {
            0 => Fact::Cosigned { size: turn, line: fits(&"c".repeat(1 + dice.below(256) as usize)) },
            1 => Fact::AcceptorIdentified {
                serial: fits("A1234567"),
                part: fits("SM-KZ1234"),
                bills: (0..dice.below(24) as u8).map(|bill| (bill, denomination)).collect(),
            },
            2 => Fact::StackOrdered { note: turn, payment, denomination, counter: None },
            3 | 4 => Fact::NoteStacked { note: turn, payment, denomination, by: StackedBy::Report },
            5 => Fact::CassetteRemoved(dice.chance(500)),
            6 => Fact::FaultChanged { code: fits("PRN-PAPER-LOW"), present: dice.chance(500) },
            _ => Fact::Opened { part: fits("door"), open: dice.chance(500) },
        }
    }
}

fn damage(error: StoreError) -> Fault {
    Fault::Damaged(error.0)
}

fn kiosk_number() -> KioskNumber {
    KioskNumber::new(42).expect("in range")
}

fn fits<const N: usize>(text: &str) -> heapless::String<N> {
    heapless::String::try_from(text).expect("a short text")
}

/// The reader of an open store, as the verifier takes it.
struct Seen<'a>(&'a Reader);

impl Source for Seen<'_> {
    fn head(&mut self) -> Result<(u64, Option<String>), BadJournal> {
        self.0.signed_size().map_err(|error| BadJournal::unreadable(error.0))
    }

    fn batch(&mut self, from: u64, limit: u32) -> Result<Vec<Entry>, BadJournal> {
        self.0.batch(from, limit).map_err(|error| BadJournal::unreadable(error.0))
    }

    fn node(&mut self, level: u8, index: u64) -> Result<Hash, BadJournal> {
        self.0.node(level, index).map_err(|error| BadJournal::unreadable(error.0))
    }
}

/// The same journal, as if no snapshot had ever been taken.
struct WithoutSnapshot<'a>(&'a SqliteStore);

impl Store for WithoutSnapshot<'_> {
    fn size(&self) -> Result<u64, StoreError> {
        self.0.size()
    }

    fn append(&mut self, _: &Append<'_>) -> Result<(), StoreError> {
        Err(StoreError("only for reading".into()))
    }

    fn records(&self, from: u64, each: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<(), StoreError> {
        self.0.records(from, each)
    }

    fn node(&self, level: u8, index: u64) -> Result<Hash, StoreError> {
        self.0.node(level, index)
    }

    fn nodes(&self, level: u8, index: u64, count: u64) -> Result<Vec<Hash>, StoreError> {
        self.0.nodes(level, index, count)
    }

    fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        self.0.checkpoint()
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}
