//! The desk: one thread that owns the database and decides requests one after the other.
//!
//! One writer means that no two kiosks can ever have the same balance, without a lock to get wrong. Several processes on one PostgreSQL
//! have a desk each, and the database lets them take turns. What waits together is decided in one transaction (`turn.rs`), and an answer leaves only
//! after its transaction is on disk. Nobody is called from here: what a neighbour must do is handed out, and its reply is one more job. When the database fails, the desk closes: nobody gets an answer that may not last.

use crate::{
    logic::{
        Center, Moment,
        enrolment::{Issuer, Shown},
        errands::{Made, NoticeKind, Reply},
        registry::Lookup,
        store::{StoreError, Transact as _},
        trace::Step,
    },
    server::{
        cards::{CardLine, Word},
        errands::Call,
        foresight::{Foreseen, Foresight},
        turn::{Item, Sorted, Sorter, TOGETHER, deliver_here},
    },
    sql::SqlStore,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};
use tolem_protocol::{
    KioskNumber, PaymentId, UtcTime,
    enrolment::{self as enrolment_words, Question},
    iso8583::Message,
    messages::{Refusal, Request, Response},
};

/// Requests that may wait; whoever comes then waits at the socket.
const QUEUE: usize = 64;

/// A kiosk that has waited this long for a code is told to ask again; its deposit stays where it is. Below what a kiosk waits for.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Work of an operator on the database and the rules.
pub(crate) type Work = Box<dyn FnOnce(&mut SqlStore, &mut Center) + Send>;

/// A request of a kiosk over connection `link`, which grows with each connection.
pub(crate) struct Asking {
    pub kiosk: KioskNumber,
    pub link: u64,
    /// End of the certificate that the link was opened with.
    pub good_until: UtcTime,
    pub request: Request,
    /// What was computed about it already.
    #[expect(
        dead_code,
        reason = "it is held until the request is answered, and takes its results along when it is dropped"
    )]
    pub foreseen: Option<Foreseen>,
    pub reply: oneshot::Sender<Response>,
}

/// A question at the port for enrolment.
pub(crate) struct Enrolling {
    pub question: Question,
    pub shown: Option<Shown>,
    pub reply: oneshot::Sender<enrolment_words::Answer>,
}

/// What a neighbour has replied.
pub(crate) enum Heard {
    Payer(Lookup, Box<Asking>),
    Code(PaymentId, Reply<Made>),
    Notice((u64, NoticeKind), Reply<()>),
    /// The acquirer is there; this is how it is spoken to.
    AcquirerOpen(mpsc::UnboundedSender<Word>),
    /// An answer of the acquirer.
    Acquirer(Box<Message>),
    /// The acquirer is not there any more; what was under way has no answer.
    AcquirerGone,
    /// The request of this payment was not sent, for this reason.
    NotSent(PaymentId, String),
    /// A confirmation or reversal was not said, for this reason.
    NotSaid(Box<Message>, String),
}

/// Something to do with the database.
pub(crate) enum Job {
    /// A kiosk asks.
    Request(Box<Asking>),
    /// Somebody wants a certificate.
    Enrol(Box<Enrolling>),
    /// A neighbour has replied.
    Heard(Heard),
    /// Whatever an operator wants.
    Do(Work),
    /// Time has passed: do what is due.
    Tick,
}

/// What the desk needs.
pub(super) struct Desk {
    pub store: SqlStore,
    pub center: Center,
    /// Signs certificates of kiosks.
    pub issuer: Box<dyn Issuer + Send>,
    pub clock: fn() -> UtcTime,
    pub step: Box<dyn FnMut(Step) + Send>,
    pub fault: Box<dyn Fn(&str) + Send>,
    /// Where neighbours are called; `None` if registry and gateway are in this process.
    pub calls: Option<mpsc::UnboundedSender<Call>>,
    pub under_way: UnderWay,
    pub cards: CardLine,
    pub foresight: Foresight,
}

/// What was called for and has not come back. It is only memory: the rows say what is owed.
#[derive(Default)]
pub(super) struct UnderWay {
    pub(super) codes: BTreeSet<PaymentId>,
    pub(super) notices: BTreeSet<u64>,
    /// The conversation of each kiosk here, on a database of several processes.
    pub(super) sessions: BTreeMap<KioskNumber, i64>,
    /// Kiosks that wait for the answer to a deposit, and since when.
    pub(super) waiters: BTreeMap<PaymentId, Vec<(Instant, oneshot::Sender<Response>)>>,
}

/// Opens the desk on a thread of its own. It closes when all senders are gone, or when the database fails.
pub(super) fn open(desk: Desk) -> std::io::Result<(mpsc::Sender<Job>, std::thread::JoinHandle<()>)> {
    let (sender, jobs) = mpsc::channel(QUEUE);
    let thread = std::thread::Builder::new().name("center-desk".into()).spawn(move || desk.run(jobs))?;
    Ok((sender, thread))
}

impl Desk {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut sorter = Sorter::default();
        let mut next = None;
        while let Some(job) = next.take().or_else(|| jobs.blocking_recv()) {
            let result = match sorter.sort(job) {
                Sorted::Turn(first) => {
                    let mut turn = vec![first];
                    while next.is_none() && turn.len() < TOGETHER {
                        let Ok(job) = jobs.try_recv() else { break };
                        match sorter.sort(job) {
                            Sorted::Turn(item) => turn.push(item),
                            Sorted::Alone(job) => next = Some(job),
                            Sorted::Late => {}
                        }
                    }
                    self.decide(turn)
                }
                Sorted::Alone(job) => self.alone(job),
                Sorted::Late => Ok(()),
            };
            if let Err(error) = result {
                (self.fault)(&format!("the database failed, nothing is answered any more: {error}"));
                return;
            }
        }
    }

    /// What has a transaction of its own, or several.
    fn alone(&mut self, job: Job) -> Result<(), StoreError> {
        match job {
            Job::Request(asking) => self.order_by_card(*asking),
            Job::Enrol(enrolling) => self.enrol(*enrolling),
            Job::Heard(Heard::AcquirerOpen(say)) => self.acquirer_open(say),
            Job::Heard(Heard::Acquirer(message)) => self.acquirer_says(&message),
            Job::Heard(Heard::AcquirerGone) => self.acquirer_gone(),
            Job::Heard(Heard::NotSent(payment, why)) => self.not_sent(payment, &why),
            Job::Heard(Heard::NotSaid(message, why)) => {
                self.work(|center, store, at| center.card_errand_failed(store, at, &message, &why))
            }
            Job::Heard(Heard::Payer(lookup, asking)) => self.decide(vec![Item::Asked(asking, Some(lookup))]),
            Job::Heard(Heard::Code(payment, reply)) => self.decide(vec![Item::Code(payment, reply)]),
            Job::Heard(Heard::Notice(told, reply)) => self.decide(vec![Item::Notice(told, reply)]),
            Job::Do(work) => {
                work(&mut self.store, &mut self.center);
                // Whoever asked was told; the desk must not go on with a file that failed.
                self.store.not_failed()
            }
            Job::Tick => self.tick(),
        }
    }

    /// Runs rules in one transaction. When it is durable, the steps of the payment have happened.
    pub(super) fn work<R>(
        &mut self,
        mut rules: impl FnMut(&Center, &mut SqlStore, &mut Moment<'_>) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let Self { store, center, clock, step, .. } = self;
        let mut fresh = fresh();
        let mut steps = Vec::new();
        let result = store.transact(|store| {
            // Steps of a turn that was taken back have not happened.
            steps.clear();
            let mut trace = |step| steps.push(step);
            let mut at = Moment { now: clock(), fresh: &mut fresh, trace: &mut trace };
            rules(center, store, &mut at)
        })?;
        steps.into_iter().for_each(step);
        Ok(result)
    }

    fn enrol(&mut self, asked: Enrolling) -> Result<(), StoreError> {
        let Self { store, center, issuer, clock, fault, .. } = self;
        let (now, Enrolling { question, shown, reply }) = (clock(), asked);
        let (answer, trouble) =
            store.transact(|store| center.enrol(store, now, &question, shown, &**issuer))?;
        if let Some(trouble) = trouble {
            fault(&format!("no certificate can be signed: {trouble}"));
        }
        let _ = reply.send(answer);
        Ok(())
    }

    fn tick(&mut self) -> Result<(), StoreError> {
        for waiters in self.under_way.waiters.values_mut() {
            let late = |(since, _): &mut (Instant, _)| since.elapsed() > LONGEST_WAIT;
            for (_, waiter) in waiters.extract_if(.., late) {
                let _ = waiter.send(Response::Refused(Refusal::Unavailable));
            }
        }
        self.under_way.waiters.retain(|_, waiters| !waiters.is_empty());
        self.cards_tick()?;
        self.due()
    }

    /// Calls for whatever may be called for now.
    pub(super) fn due(&mut self) -> Result<(), StoreError> {
        self.gateway_due()?;
        self.cards_due()
    }

    fn gateway_due(&mut self) -> Result<(), StoreError> {
        use crate::logic::errands::Errands as _;
        if !self.store.runs_errands()? {
            return Ok(());
        }
        let now = (self.clock)();
        let Some(calls) = &self.calls else {
            let waits = !self.store.waiting_due(now, 1)?.is_empty() || self.store.notices_open()?.0 > 0;
            return if waits { self.work(deliver_here) } else { Ok(()) };
        };
        for order in self.center.orders_due(&self.store, now)? {
            if self.under_way.codes.insert(order.payment) {
                let _ = calls.send(Call::Code(Box::new(order)));
            }
        }
        for notice in self.center.notices_due(&self.store, now)? {
            if self.under_way.notices.insert(notice.id) {
                let _ = calls.send(Call::Notice(Box::new(notice)));
            }
        }
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
