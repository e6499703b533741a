//! A turn at the desk: everything that waits together is decided in order, in one transaction, and answered when that is on disk.
//!
//! While the disk takes one turn, the next ones come in, so the more there is to do the fewer syncs each of them costs. The law stays what
//! it was: no answer before its transaction is durable. If one thing of a turn fails, the database has failed: nothing of that turn
//! has happened, none of it is answered, and the desk closes. All of them ask again.

use super::{
    desk::{Asking, Desk, Heard, Job},
    errands::Call,
};
use crate::{
    logic::{
        Answer, Center, Moment, enrolment,
        errands::{AT_ONCE, Errands as _, Made, NoticeKind, Reply},
        registry::Lookup,
        store::{Store as _, StoreError},
    },
    sql::SqlStore,
};
use std::{collections::BTreeMap, mem, time::Instant};
use tolem_protocol::{
    KioskNumber, PaymentId,
    messages::{Request, Response},
};

/// Most things in one turn: as many as the desk lets wait.
pub(super) const TOGETHER: usize = 64;

/// Something that is decided in a turn.
pub(super) enum Item {
    /// A kiosk asks; with what the registry said, if it was asked.
    Asked(Box<Asking>, Option<Lookup>),
    /// The gateway has replied about a code.
    Code(PaymentId, Reply<Made>),
    /// The gateway has replied about a notice.
    Notice((u64, NoticeKind), Reply<()>),
}

/// Where a job goes.
pub(super) enum Sorted {
    /// Into a turn, with others.
    Turn(Item),
    /// It has transactions of its own.
    Alone(Job),
    /// Nowhere: its kiosk has come back on a newer connection.
    Late,
}

/// Knows the newest connection of each kiosk.
#[derive(Default)]
pub(super) struct Sorter {
    newest: BTreeMap<KioskNumber, u64>,
}

impl Sorter {
    pub fn sort(&mut self, job: Job) -> Sorted {
        match job {
            Job::Request(asking) => {
                let newest = self.newest.entry(asking.kiosk).or_default();
                if asking.link < *newest {
                    // What an old connection still had on the way is not answered: its kiosk has come back on a new one
                    // and asks again. Dropping `reply` closes the old connection.
                    return Sorted::Late;
                }
                *newest = asking.link;
                if matches!(asking.request, Request::Authorize(_)) {
                    Sorted::Alone(Job::Request(asking))
                } else {
                    Sorted::Turn(Item::Asked(asking, None))
                }
            }
            Job::Heard(Heard::Payer(lookup, asking)) => {
                if self.newest.get(&asking.kiosk).is_some_and(|newest| asking.link < *newest) {
                    return Sorted::Late;
                }
                Sorted::Turn(Item::Asked(asking, Some(lookup)))
            }
            Job::Heard(Heard::Code(payment, reply)) => Sorted::Turn(Item::Code(payment, reply)),
            Job::Heard(Heard::Notice(told, reply)) => Sorted::Turn(Item::Notice(told, reply)),
            other => Sorted::Alone(other),
        }
    }
}

/// What was decided of an [`Item`].
enum Decided {
    /// The conversation is over, here or at another process: nobody is answered.
    Over,
    /// A kiosk's request, in this conversation.
    Answer(i64, Answer),
    /// A code was booked, or held; whoever waits for it gets this.
    Code(Option<Response>),
    /// It is the code of a payment by card, which has transactions of its own.
    CardCode,
    /// The outbox is up to date.
    Notice,
}

fn may_pay(request: &Request) -> bool {
    matches!(
        request,
        Request::Commit(_) | Request::Recall { .. } | Request::CardConfirm(_) | Request::CardVoid { .. }
    )
}

/// The conversation in which a request is answered; `None` if that one is over.
fn conversation(
    store: &mut SqlStore,
    asking: &Asking,
    known: Option<i64>,
) -> Result<Option<i64>, StoreError> {
    let hello = matches!(asking.request, Request::Hello(_));
    if hello {
        enrolment::seen(store, asking.kiosk, asking.good_until)?;
    }
    // On a database of several processes the newest conversation may be at another one; then this one is over.
    match store.is_shared() {
        false => Ok(Some(0)),
        true if hello => store.begin_session(asking.kiosk).map(Some),
        true => {
            let newest = store.session(asking.kiosk)?;
            Ok(known.filter(|known| *known == newest))
        }
    }
}

/// Decides one thing. `here`: the gateway is in this process, and so in this transaction.
fn decide_one(
    center: &Center,
    store: &mut SqlStore,
    at: &mut Moment<'_>,
    item: &Item,
    sessions: (&BTreeMap<KioskNumber, i64>, &mut BTreeMap<KioskNumber, i64>),
    here: bool,
) -> Result<Decided, StoreError> {
    match item {
        Item::Asked(asking, lookup) => {
            let (known, begun) = sessions;
            let known = begun.get(&asking.kiosk).or_else(|| known.get(&asking.kiosk)).copied();
            let Some(session) = conversation(store, asking, known)? else { return Ok(Decided::Over) };
            begun.insert(asking.kiosk, session);
            let answer = if here {
                Answer::Ready(center.handle(store, at, asking.kiosk, asking.request.clone())?)
            } else {
                center.ask(store, at, asking.kiosk, &asking.request, lookup.as_ref())?
            };
            Ok(Decided::Answer(session, answer))
        }
        Item::Code(payment, reply) => {
            if center.waits_for_card(store, payment)? {
                return Ok(Decided::CardCode);
            }
            center.code_arrived(store, at, payment, reply).map(Decided::Code)
        }
        Item::Notice(told, reply) => {
            center.notice_answered(store, at, *told, reply)?;
            Ok(Decided::Notice)
        }
    }
}

impl Desk {
    /// Decides everything of a turn, makes it durable, and then answers.
    pub(super) fn decide(&mut self, turn: Vec<Item>) -> Result<(), StoreError> {
        let here = self.calls.is_none();
        let due = turn.iter().any(|item| match item {
            Item::Asked(asking, _) => may_pay(&asking.request),
            Item::Code(..) | Item::Notice(..) => true,
        });
        let known = mem::take(&mut self.under_way.sessions);
        let decided = self.work(|center, store, at| {
            // All anew if the database takes the turn back.
            let mut begun = BTreeMap::new();
            let mut decided = Vec::with_capacity(turn.len());
            for item in &turn {
                decided.push(decide_one(center, store, at, item, (&known, &mut begun), here)?);
            }
            if here && due && store.runs_errands()? {
                // The gateway is in this very store: its notices need no transaction of their own.
                deliver_here(center, store, at)?;
            }
            Ok(decided)
        });
        self.under_way.sessions = known;
        // From here on it is on disk.
        for (item, decided) in turn.into_iter().zip(decided?) {
            self.tell(item, decided)?;
        }
        match (here, due) {
            (true, true) => self.cards_due(),
            (false, true) => self.due(),
            (_, false) => Ok(()),
        }
    }

    /// Tells whoever waits what was decided, after it is durable.
    fn tell(&mut self, item: Item, decided: Decided) -> Result<(), StoreError> {
        match (item, decided) {
            (Item::Asked(asking, _), Decided::Answer(session, answer)) => {
                self.reply(*asking, session, answer)
            }
            (Item::Code(payment, _), Decided::Code(response)) => {
                self.under_way.codes.remove(&payment);
                for (_, waiter) in self.under_way.waiters.remove(&payment).unwrap_or_default() {
                    // Without an answer the connection closes, and the kiosk asks again.
                    if let Some(response) = &response {
                        let _ = waiter.send(response.clone());
                    }
                }
                Ok(())
            }
            (Item::Code(payment, reply), Decided::CardCode) => {
                self.under_way.codes.remove(&payment);
                self.card_code(payment, &reply)
            }
            (Item::Notice((id, _), _), _) => {
                self.under_way.notices.remove(&id);
                Ok(())
            }
            // Dropping what was asked closes its connection.
            (Item::Asked(..) | Item::Code(..), _) => Ok(()),
        }
    }

    fn reply(&mut self, asking: Asking, session: i64, answer: Answer) -> Result<(), StoreError> {
        self.under_way.sessions.insert(asking.kiosk, session);
        if matches!(asking.request, Request::Hello(_))
            && let Some(row) = self.store.kiosk(asking.kiosk)?
        {
            self.foresight.expect(asking.kiosk, row.journal_key);
        }
        match answer {
            Answer::Ready(response) => {
                if let Request::CardVoid { payment, .. } = &asking.request {
                    self.card_voided(payment, &response);
                }
                // Whoever asked may be gone; it will ask again.
                let _ = asking.reply.send(response);
            }
            // Orders by card are taken alone.
            Answer::Order(_) => {}
            Answer::Payer(iin) => {
                if let Some(calls) = &self.calls {
                    let _ = calls.send(Call::Payer(iin, Box::new(asking)));
                }
            }
            Answer::Code(payment) => {
                self.under_way.waiters.entry(payment).or_default().push((Instant::now(), asking.reply));
                if !self.under_way.codes.contains(&payment)
                    && let Some(calls) = &self.calls
                    && let Some(order) = self.center.order(&self.store, (self.clock)(), &payment)?
                {
                    self.under_way.codes.insert(payment);
                    let _ = calls.send(Call::Code(Box::new(order)));
                }
            }
        }
        Ok(())
    }
}

/// Delivers to the gateway in this store what waits for it.
pub(super) fn deliver_here(
    center: &Center,
    store: &mut SqlStore,
    at: &mut Moment<'_>,
) -> Result<(), StoreError> {
    let waits = !store.waiting_due(at.now, 1)?.is_empty() || store.notices_open()?.0 > 0;
    // A turn may make more notices than are looked at in one go.
    while waits && center.deliver_notices(store, at)? >= AT_ONCE as usize {}
    Ok(())
}
