//! The center's database through power cuts: what was answered is there, each request wholly or not at all.

use super::{Fault, LIVES, Setting, Story, draw_failure};
use rusqlite::{Connection, OpenFlags};
use tolem_center::{
    logic::{
        ledger::{Account, Posting},
        store::{Alarm, AttemptRow, Store as _, StoreError, Transact as _},
    },
    sqlite::SqliteStore,
};
use tolem_crash_vfs::{Disk, FILE_LAYER, Failure};
use tolem_hal_sim::line::Dice;
use tolem_protocol::{Amount, KioskNumber, PaymentId, UtcTime};

const PATH: &str = "/center/center.db";
const OPERATIONS_OF_OPENING: u64 = 16;
const OPERATIONS_OF_REQUEST: u64 = 12;

/// One life: what goes wrong, and what follows.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Operations of the disk that work before.
    pub after: u64,
    /// How the next one fails.
    pub failure: Failure,
    /// Requests if nothing fails.
    pub requests: u64,
    /// After a failure that is no cut only the process starts again.
    pub only_the_process: bool,
}

/// Tells the story of `seed`.
pub fn story(seed: u64, setting: &Setting) -> Story {
    let mut dice = Dice::new(seed ^ 0x6365_6e74_6572_0000);
    tell(seed, setting, &mut (0..LIVES).map(|_| draw(&mut dice, setting.errors)))
}

/// Tells a story whose lives are given.
pub fn planned(seed: u64, setting: &Setting, plans: &[Plan]) -> Story {
    tell(seed, setting, &mut plans.iter().copied())
}

fn draw(dice: &mut Dice, errors: bool) -> Plan {
    let requests = if dice.chance(15) { 400 } else { dice.below(24) };
    let failure = draw_failure(dice, errors);
    let room = OPERATIONS_OF_OPENING + requests * OPERATIONS_OF_REQUEST;
    let room = if dice.chance(350) { OPERATIONS_OF_OPENING } else { room };
    Plan { after: dice.below(room), failure, requests, only_the_process: dice.chance(500) }
}

fn tell(seed: u64, setting: &Setting, plans: &mut dyn Iterator<Item = Plan>) -> Story {
    let disk = Disk::new(seed, setting.media);
    if let Some(value) = setting.synchronous {
        disk.bend_pragma("synchronous", value);
    }
    if let Some(value) = setting.checkpoint {
        disk.bend_pragma("wal_checkpoint", value);
    }
    let believes_cache = setting.believes_cache;
    let mut center = Center { disk, believes_cache, answered: 0, story: Story::default() };
    center.found();
    for plan in plans {
        if let Err(fault) = center.life(plan) {
            center.story.fault = Some((center.disk.counts().cuts, fault));
            break;
        }
    }
    if center.story.fault.is_none()
        && let Err(fault) = center.last_look()
    {
        center.story.fault = Some((center.disk.counts().cuts, fault));
    }
    center.story.cuts = center.disk.counts().cuts;
    center.story.digest = center.disk.digest();
    center.story
}

struct Center {
    disk: Disk,
    believes_cache: bool,
    /// Requests whose answer has left.
    answered: u32,
    story: Story,
}

impl Center {
    fn connect() -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        Ok(Connection::open_with_flags_and_vfs(PATH, flags, FILE_LAYER)?)
    }

    fn open(&self) -> Result<SqliteStore, StoreError> {
        let hand = self.disk.hand();
        let reread = || if self.believes_cache { Ok(()) } else { hand.reread(&format!("{PATH}-wal")) };
        SqliteStore::open_on(Self::connect()?, reread)
    }

    /// An operator makes the database with the power on, and looks at it.
    fn found(&self) {
        let store = Self::connect().and_then(|connection| SqliteStore::create_on(connection, 1));
        drop(store.expect("a disk without faults"));
        self.disk.hand().sync_directory().expect("a disk without faults");
    }

    fn life(&mut self, plan: Plan) -> Result<(), Fault> {
        let Plan { after, failure, requests, only_the_process } = plan;
        self.story.lives += 1;
        self.story.told.push(format!("{} requests, then {plan:?}", self.answered));
        self.disk.fail_after(after, failure);
        let opened = self.live(requests)?;
        let failed = self.disk.has_failed();
        if failed {
            self.story.in_recovery += u64::from(!opened);
            match failure {
                Failure::Cut => {}
                Failure::Full => self.story.full += 1,
                Failure::ErrorButKept | Failure::ErrorNotKept | Failure::Writeback => self.story.errors += 1,
            }
        }
        if failure == Failure::Full {
            self.disk.limit(None);
        }
        if failed && failure != Failure::Cut && only_the_process {
            self.disk.restart();
        } else {
            self.disk.cut();
        }
        Ok(())
    }

    /// False if the failure came before the database was open.
    fn live(&mut self, requests: u64) -> Result<bool, Fault> {
        let mut store = match self.open().and_then(|store| self.judge(store)) {
            Ok(Ok(store)) => store,
            Ok(Err(fault)) => return Err(fault),
            Err(_) if self.disk.has_failed() => return Ok(false),
            Err(error) => return Err(Fault::Damaged(error.0)),
        };
        for _ in 0..requests {
            let number = self.answered + 1;
            match store.transact(|store| request(store, number)) {
                Ok(()) => {
                    self.answered = number;
                    self.story.acknowledged += 1;
                }
                Err(_) if self.disk.has_failed() => {
                    // A commit that failed may be durable or not: nothing may be said that rests on either.
                    let went_on = store.not_failed().is_err() && store.transact(|_| Ok(())).is_ok();
                    let fault = Fault::Damaged("it went on after a commit that failed".into());
                    return if went_on { Err(fault) } else { Ok(true) };
                }
                Err(error) => return Err(Fault::Damaged(error.0)),
            }
        }
        if !self.disk.has_failed() {
            self.disk.fail_after(0, Failure::Cut);
        }
        Ok(true)
    }

    /// All three places must tell of the same requests: those that were answered, and at most one more.
    fn judge(&mut self, store: SqliteStore) -> Result<Result<SqliteStore, Fault>, StoreError> {
        let alarms = store.alarms()?.len() as u64;
        let attempts = u64::from(store.attempts(KEY)?.map_or(0, |row| row.count));
        let (mut postings, mut sum) = (0, 0);
        store.each_posting(&mut |posting| {
            postings += 1;
            sum += posting.lines.iter().map(|(_, tiyn)| tiyn).sum::<i64>();
        })?;
        let answered = u64::from(self.answered);
        Ok(if let Some(missing) = answered.checked_sub(alarms).filter(|missing| *missing > 0) {
            Err(Fault::Lost(missing))
        } else if (alarms, postings, sum) != (attempts, attempts, 0) || alarms > answered + 1 {
            Err(Fault::Damaged(format!(
                "{answered} answered, but {alarms} alarms, {attempts} attempts, {postings} postings of sum {sum}"
            )))
        } else {
            self.story.extra += alarms - answered;
            self.answered = alarms as u32;
            Ok(store)
        })
    }

    fn last_look(&mut self) -> Result<(), Fault> {
        self.disk.forget_plan();
        let store =
            self.open().and_then(|store| self.judge(store)).map_err(|error| Fault::Damaged(error.0))??;
        drop(store);
        let said = Self::connect()
            .and_then(|second| {
                Ok(second.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))?)
            })
            .map_err(|error| Fault::Damaged(error.0))?;
        if said == "ok" { Ok(()) } else { Err(Fault::Damaged(said)) }
    }
}

const KEY: &str = "requests";

/// A request that touches several tables, as a settled payment does.
fn request(store: &mut SqliteStore, number: u32) -> Result<(), StoreError> {
    let at = UtcTime::from_seconds(1_795_000_000 + i64::from(number));
    let kiosk = KioskNumber::new(42).expect("in range");
    let payment = PaymentId { kiosk, epoch: 1, number: number.into(), nonce: [3; 16] };
    store.put_attempts(KEY, AttemptRow { first: at, count: number })?;
    store.post(&Posting {
        at,
        payment,
        kind: "accepted",
        lines: vec![(Account::KioskCash(kiosk), 50_000), (Account::Commission, -50_000)],
    })?;
    store.raise(&Alarm {
        at,
        kiosk,
        kind: "of-a-test".into(),
        text: format!("request {number}"),
        disputed: Amount::from_tenge(500),
        evidence: vec![number as u8; (number % 700) as usize],
    })
}
