//! The desk: one thread that owns the database and answers requests one after the other.
//!
//! One writer means that no two kiosks can ever have the same balance, without a lock to get wrong. An answer leaves only
//! after its transaction is on disk. When the database fails, the desk closes: nobody gets an answer that may not last.

use crate::{
    logic::{
        Center, Moment,
        store::{StoreError, Transact as _},
        trace::Step,
    },
    sqlite::SqliteStore,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};
use tolem_protocol::{
    KioskNumber, UtcTime,
    messages::{Request, Response},
};

/// Requests that may wait; whoever comes then waits at the socket.
const QUEUE: usize = 64;

/// Work of an operator on the database and the rules.
pub(super) type Work = Box<dyn FnOnce(&mut SqliteStore, &mut Center) + Send>;

/// Something to do with the database.
pub(super) enum Job {
    /// A request of a kiosk over connection `link`, which grows with each connection.
    Request { kiosk: KioskNumber, link: u64, request: Box<Request>, reply: oneshot::Sender<Response> },
    /// Whatever an operator wants.
    Do(Work),
    /// Time has passed: deliver what is due.
    Tick,
}

/// What the desk needs.
pub(super) struct Desk {
    pub store: SqliteStore,
    pub center: Center,
    pub clock: fn() -> UtcTime,
    pub step: Box<dyn FnMut(Step) + Send>,
    pub fault: Box<dyn Fn(&str) + Send>,
}

/// Opens the desk on a thread of its own. It closes when all senders are gone, or when the database fails.
pub(super) fn open(desk: Desk) -> std::io::Result<(mpsc::Sender<Job>, std::thread::JoinHandle<()>)> {
    let (sender, jobs) = mpsc::channel(QUEUE);
    let thread = std::thread::Builder::new().name("center-desk".into()).spawn(move || desk.run(jobs))?;
    Ok((sender, thread))
}

impl Desk {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut newest: BTreeMap<KioskNumber, u64> = BTreeMap::new();
        while let Some(job) = jobs.blocking_recv() {
            let result = match job {
                Job::Request { kiosk, link, request, reply } => {
                    let newest = newest.entry(kiosk).or_default();
                    if link < *newest {
                        // What an old connection still had on the way is not answered: its kiosk has come back on a new one
                        // and asks again. Dropping `reply` closes the old connection.
                        continue;
                    }
                    *newest = link;
                    self.answer(kiosk, *request, reply)
                }
                Job::Do(work) => {
                    work(&mut self.store, &mut self.center);
                    Ok(())
                }
                Job::Tick => self.notices(),
            };
            if let Err(error) = result {
                (self.fault)(&format!("the database failed, nothing is answered any more: {error}"));
                return;
            }
        }
    }

    fn answer(
        &mut self,
        kiosk: KioskNumber,
        request: Request,
        reply: oneshot::Sender<Response>,
    ) -> Result<(), StoreError> {
        let may_pay = matches!(request, Request::Commit(_) | Request::Recall { .. });
        let Self { store, center, clock, step, .. } = self;
        let mut fresh = fresh();
        let mut steps = Vec::new();
        let mut trace = |step| steps.push(step);
        let mut at = Moment { now: clock(), fresh: &mut fresh, trace: &mut trace };
        let response = store.transact(|store| center.handle(store, &mut at, kiosk, request))?;
        // Durable now, so the steps have happened. Whoever asked may be gone; it will ask again.
        steps.into_iter().for_each(step);
        let _ = reply.send(response);
        if may_pay { self.notices() } else { Ok(()) }
    }

    fn notices(&mut self) -> Result<(), StoreError> {
        use crate::logic::store::Store as _;
        let Self { store, center, clock, step, .. } = self;
        if store.codes_to_notify(1)?.is_empty() {
            return Ok(());
        }
        let mut fresh = fresh();
        let mut steps = Vec::new();
        let mut trace = |step| steps.push(step);
        let mut at = Moment { now: clock(), fresh: &mut fresh, trace: &mut trace };
        store.transact(|store| center.deliver_notices(store, &mut at))?;
        steps.into_iter().for_each(step);
        Ok(())
    }
}

/// Unpredictable numbers from the system.
pub fn fresh() -> impl FnMut() -> u64 {
    let random = SystemRandom::new();
    move || {
        let mut bytes = [0; 8];
        random.fill(&mut bytes).expect("invariant: a system that has started has random numbers");
        u64::from_le_bytes(bytes)
    }
}
