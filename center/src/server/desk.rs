//! The desk: one thread that owns the database and answers requests one after the other.
//!
//! One writer means that no two kiosks can ever have the same balance, without a lock to get wrong. Several processes on one PostgreSQL
//! have a desk each, and the database lets them take turns. An answer leaves only
//! after its transaction is on disk. Nobody is called from here: what a neighbour must do is handed out, and its reply is one more job. When the database fails, the desk closes: nobody gets an answer that may not last.

use crate::{
    logic::{
        Answer, Center, Moment,
        enrolment::{self, Issuer, Shown},
        errands::{Made, Reply},
        registry::Lookup,
        store::{StoreError, Transact as _},
        trace::Step,
    },
    server::{
        cards::{CardLine, Word},
        errands::Call,
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
    Notice(u64, Reply<()>),
    /// The acquirer is there; this is how it is spoken to.
    AcquirerOpen(mpsc::UnboundedSender<Word>),
    /// An answer of the acquirer.
    Acquirer(Box<Message>),
    /// The acquirer is not there any more; what was under way has no answer.
    AcquirerGone,
    /// The request of this payment was not sent, for this reason.
    NotSent(PaymentId, String),
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
}

/// What was called for and has not come back. It is only memory: the rows say what is owed.
#[derive(Default)]
pub(super) struct UnderWay {
    pub(super) codes: BTreeSet<PaymentId>,
    notices: BTreeSet<u64>,
    /// The conversation of each kiosk here, on a database of several processes.
    pub(super) sessions: BTreeMap<KioskNumber, i64>,
    /// Kiosks that wait for the answer to a deposit, and since when.
    waiters: BTreeMap<PaymentId, Vec<(Instant, oneshot::Sender<Response>)>>,
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
                Job::Request(asking) => {
                    let newest = newest.entry(asking.kiosk).or_default();
                    if asking.link < *newest {
                        // What an old connection still had on the way is not answered: its kiosk has come back on a new one
                        // and asks again. Dropping `reply` closes the old connection.
                        continue;
                    }
                    *newest = asking.link;
                    self.answer(asking, None)
                }
                Job::Heard(Heard::Payer(lookup, asking)) => {
                    if newest.get(&asking.kiosk).is_some_and(|newest| asking.link < *newest) {
                        continue;
                    }
                    self.answer(asking, Some(&lookup))
                }
                Job::Enrol(enrolling) => self.enrol(*enrolling),
                Job::Heard(Heard::Code(payment, reply)) => self.code_arrived(payment, &reply),
                Job::Heard(Heard::Notice(id, reply)) => self.notice_answered(id, &reply),
                Job::Heard(Heard::AcquirerOpen(say)) => self.acquirer_open(say),
                Job::Heard(Heard::Acquirer(message)) => self.acquirer_says(&message),
                Job::Heard(Heard::AcquirerGone) => self.acquirer_gone(),
                Job::Heard(Heard::NotSent(payment, why)) => self.not_sent(payment, &why),
                Job::Do(work) => {
                    work(&mut self.store, &mut self.center);
                    Ok(())
                }
                Job::Tick => self.tick(),
            };
            if let Err(error) = result {
                (self.fault)(&format!("the database failed, nothing is answered any more: {error}"));
                return;
            }
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

    fn answer(&mut self, asking: Box<Asking>, lookup: Option<&Lookup>) -> Result<(), StoreError> {
        if matches!(asking.request, Request::Authorize(_)) {
            return self.order_by_card(*asking);
        }
        let Asking { kiosk, link, good_until, request, reply } = *asking;
        let hello = matches!(request, Request::Hello(_));
        let voided = match &request {
            Request::CardVoid { payment, .. } => Some(*payment),
            _ => None,
        };
        let may_pay = matches!(
            request,
            Request::Commit(_) | Request::Recall { .. } | Request::CardConfirm(_) | Request::CardVoid { .. }
        );
        // On a database of several processes the newest conversation may be at another one; then this one is over.
        let known = self.under_way.sessions.get(&kiosk).copied();
        let opened = |store: &mut SqlStore| {
            if hello {
                enrolment::seen(store, kiosk, good_until)?;
            }
            match store.is_shared() {
                false => Ok(Some(0)),
                true if hello => store.begin_session(kiosk).map(Some),
                true => {
                    let newest = store.session(kiosk)?;
                    Ok(known.filter(|known| *known == newest))
                }
            }
        };
        let Some(calls) = self.calls.clone() else {
            let done = self.work(|center, store, at| match opened(store)? {
                Some(session) => Ok(Some((session, center.handle(store, at, kiosk, request.clone())?))),
                None => Ok(None),
            })?;
            // Whoever asked may be gone; it will ask again. Without an answer its connection closes.
            let Some((session, response)) = done else { return Ok(()) };
            self.under_way.sessions.insert(kiosk, session);
            if let Some(payment) = voided {
                self.card_voided(&payment, &response);
            }
            let _ = reply.send(response);
            return if may_pay { self.due() } else { Ok(()) };
        };
        let done = self.work(|center, store, at| match opened(store)? {
            Some(session) => Ok(Some((session, center.ask(store, at, kiosk, &request, lookup)?))),
            None => Ok(None),
        })?;
        let Some((session, answer)) = done else { return Ok(()) };
        self.under_way.sessions.insert(kiosk, session);
        match answer {
            Answer::Ready(response) => {
                if let Some(payment) = voided {
                    self.card_voided(&payment, &response);
                }
                let _ = reply.send(response);
            }
            // Taken above.
            Answer::Order(_) => {}
            Answer::Payer(iin) => {
                let asking = Asking { kiosk, link, good_until, request, reply };
                let _ = calls.send(Call::Payer(iin, Box::new(asking)));
            }
            Answer::Code(payment) => {
                self.under_way.waiters.entry(payment).or_default().push((Instant::now(), reply));
                if !self.under_way.codes.contains(&payment)
                    && let Some(order) = self.center.order(&self.store, (self.clock)(), &payment)?
                {
                    self.under_way.codes.insert(payment);
                    let _ = calls.send(Call::Code(Box::new(order)));
                }
            }
        }
        if may_pay { self.due() } else { Ok(()) }
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

    fn code_arrived(&mut self, payment: PaymentId, reply: &Reply<Made>) -> Result<(), StoreError> {
        self.under_way.codes.remove(&payment);
        if self.center.waits_for_card(&self.store, &payment)? {
            self.card_code(payment, reply)?;
            return self.due();
        }
        let response = self.work(|center, store, at| center.code_arrived(store, at, &payment, reply))?;
        for (_, waiter) in self.under_way.waiters.remove(&payment).unwrap_or_default() {
            // Without an answer the connection closes, and the kiosk asks again.
            if let Some(response) = &response {
                let _ = waiter.send(response.clone());
            }
        }
        self.due()
    }

    fn notice_answered(&mut self, id: u64, reply: &Reply<()>) -> Result<(), StoreError> {
        self.under_way.notices.remove(&id);
        self.work(|center, store, at| center.notice_answered(store, at, id, reply))?;
        self.due()
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
            return if waits {
                self.work(|center, store, at| center.deliver_notices(store, at)).map(drop)
            } else {
                Ok(())
            };
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
