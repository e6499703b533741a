//! What the center needs from its neighbours, written down before anybody is asked.
//!
//! The rules never call anybody. A deposit that is to be paid is kept as *waiting* in the transaction that accepts it, and
//! a notice of payment is put into the outbox in the transaction that books the payment. The shell then asks the gateway
//! outside of any transaction, as slowly as it likes, and brings the reply back as an input. A crash at any point leaves either the row
//! (the gateway is asked again, and does the same thing once) or its end.
//!
//! ```text
//! deposit ──▶ waiting ──(gateway)──▶ code: accepted, notice into the outbox ──(gateway)──▶ taken
//!                │ silent: again later      └ refused for good: held                └ silent: again later, alarm when late
//! ```

use crate::logic::{
    Center, Moment,
    cards::by_card,
    deposit::token_of,
    store::{Alarm, PayerTag, PaymentRow, PaymentState, Result, Store},
};
use tolem_probe::{Site, sometimes};
use tolem_protocol::{
    Amount, Iin, PaymentCode, PaymentId, UtcTime,
    catalogue::ServiceCode,
    messages::{Deposit, HoldReason, Method, Refusal, Response},
    signed::Signed,
};

/// First pause after a call without a result, in seconds; it doubles.
const FIRST_PAUSE_S: i64 = 1;
/// No pause is longer, in seconds.
const LONGEST_PAUSE_S: i64 = 300;
/// Calls that are handed out at once.
pub const AT_ONCE: u32 = 32;

/// What the gateway is asked for when a quote is paid.
#[derive(Clone, PartialEq, Eq)]
pub struct Order {
    /// The payment; the gateway gives the same code for the same payment.
    pub payment: PaymentId,
    /// The service it pays.
    pub service: ServiceCode,
    /// Whose it is.
    pub payer: Iin,
    /// The same, as the center stores it.
    pub tag: PayerTag,
    /// The exact fee.
    pub fee: Amount,
    /// Redeem before this, if the gateway does not say otherwise.
    pub valid_until: UtcTime,
}

/// A payment code, as the gateway made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Made {
    /// The code.
    pub code: PaymentCode,
    /// Redeem before this.
    pub valid_until: UtcTime,
    /// The gateway has it as paid already: this center said so in a life that it has forgotten.
    pub is_paid: bool,
}

/// What came of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply<T> {
    /// It was done.
    Done(T),
    /// No answer that can be trusted: it may have been done or not. Ask again.
    Silent(String),
    /// It will never be done, for this reason.
    Refused(String),
}

/// What a notice says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoticeKind {
    /// The payment is complete.
    Paid,
    /// The code is not needed: the payment came to nothing.
    Void,
    /// The code of a paid payment is taken back, if it was not used.
    Refund,
}

/// Everything a notice tells the gateway.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its place in the outbox.
    pub id: u64,
    /// What it says.
    pub kind: NoticeKind,
    /// The payment.
    pub payment: PaymentId,
    /// The code.
    pub code: PaymentCode,
    /// What was paid.
    pub service: ServiceCode,
    /// Whose it is.
    pub payer: Iin,
    /// The exact fee.
    pub fee: Amount,
    /// How it was paid.
    pub method: Method,
    /// When it was accepted.
    pub paid_at: UtcTime,
}

/// A deposit that waits for its code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WaitingRow {
    /// The payment.
    pub payment: PaymentId,
    /// What was handed in.
    pub deposit: Signed<Deposit>,
    /// Since when.
    pub since: UtcTime,
    /// Calls without a result.
    pub tries: u32,
    /// Not asked again before this.
    pub next: UtcTime,
}

/// An entry of the outbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoticeRow {
    /// Grows with each entry; the store gives it.
    pub id: u64,
    /// What it says.
    pub kind: NoticeKind,
    /// The payment.
    pub payment: PaymentId,
    /// The code it is about.
    pub code: PaymentCode,
    /// When it was put in.
    pub made_at: UtcTime,
    /// Calls without a result.
    pub tries: u32,
    /// Not sent again before this.
    pub next: UtcTime,
    /// When the gateway acknowledged it; for a refund, when it said yes or no.
    pub taken_at: Option<UtcTime>,
}

/// Rows of what is under way to a neighbour.
pub trait Errands {
    /// The deposit of a payment that waits for its code.
    fn waiting(&self, payment: &PaymentId) -> Result<Option<WaitingRow>>;
    /// Inserts or replaces.
    fn put_waiting(&mut self, row: &WaitingRow) -> Result<()>;
    /// Ends the waiting.
    fn end_waiting(&mut self, payment: &PaymentId) -> Result<()>;
    /// Deposits whose gateway may be asked now, oldest first, at most `limit`.
    fn waiting_due(&self, now: UtcTime, limit: u32) -> Result<Vec<WaitingRow>>;
    /// Adds to the outbox; the store gives the id.
    fn add_notice(&mut self, row: &NoticeRow) -> Result<()>;
    /// One entry.
    fn notice(&self, id: u64) -> Result<Option<NoticeRow>>;
    /// Replaces an entry.
    fn put_notice(&mut self, row: &NoticeRow) -> Result<()>;
    /// Entries that may be sent now, oldest first, at most `limit`; of each code only the first that is not taken.
    fn notices_due(&self, now: UtcTime, limit: u32) -> Result<Vec<NoticeRow>>;
    /// Gives each entry of the outbox to `each`, oldest first.
    fn each_notice(&self, each: &mut dyn FnMut(NoticeRow)) -> Result<()>;
    /// Number of entries that are not taken, and when the oldest of them was made.
    fn notices_open(&self) -> Result<(u64, Option<UtcTime>)>;
}

pub(super) fn pause(tries: u32) -> i64 {
    FIRST_PAUSE_S
        .checked_shl(tries.saturating_sub(1))
        .filter(|_| tries < 10)
        .unwrap_or(LONGEST_PAUSE_S)
        .min(LONGEST_PAUSE_S)
}

impl Center {
    /// Puts a notice into the outbox.
    pub(super) fn owe_notice(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        kind: NoticeKind,
        payment: PaymentId,
        code: PaymentCode,
    ) -> Result<()> {
        store.add_notice(&NoticeRow {
            id: 0,
            kind,
            payment,
            code,
            made_at: now,
            tries: 0,
            next: now,
            taken_at: None,
        })
    }

    /// The same for a code that was just made. What the gateway has as paid was told in a life that is forgotten, and is not told again: only
    /// the moment would differ, and the first one stands there.
    pub(super) fn owe_paid(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        payment: PaymentId,
        made: &Made,
    ) -> Result<()> {
        let taken_at = made.is_paid.then_some(now);
        store.add_notice(&NoticeRow {
            id: 0,
            kind: NoticeKind::Paid,
            payment,
            code: made.code,
            made_at: now,
            tries: 0,
            next: now,
            taken_at,
        })
    }

    /// The codes that the gateway may be asked for now. A restored center asks nobody before it has heard what it answered in the lost life:
    /// it would answer anew.
    pub fn orders_due(&self, store: &dyn Store, now: UtcTime) -> Result<Vec<Order>> {
        let mut orders = Vec::new();
        if store.rebuilding()?.is_some() {
            return Ok(orders);
        }
        for row in store.waiting_due(now, AT_ONCE)? {
            orders.extend(self.order_of(store, now, &row)?);
        }
        Ok(orders)
    }

    /// The code that a waiting deposit needs.
    pub fn order(&self, store: &dyn Store, now: UtcTime, payment: &PaymentId) -> Result<Option<Order>> {
        match store.waiting(payment)? {
            Some(row) => self.order_of(store, now, &row),
            None => Ok(None),
        }
    }

    fn order_of(&self, store: &dyn Store, now: UtcTime, row: &WaitingRow) -> Result<Option<Order>> {
        let Some(deposit) = row.deposit.read_unverified() else { return Ok(None) };
        let known = store.payment(&row.payment)?;
        let claimed = self.claimed(&deposit, known.as_ref(), deposit.notes.total().unwrap_or_default());
        let (Some(quote), Some(payer)) = (&claimed.quote, &claimed.payer) else { return Ok(None) };
        Ok(Some(Order {
            payment: row.payment,
            service: quote.service.clone(),
            payer: payer.clone(),
            tag: self.keys.tag_iin(payer),
            fee: quote.fee,
            valid_until: now.plus_seconds(self.rules.code_valid_s),
        }))
    }

    /// What the gateway replied to an [`Order`]. Gives the answer for whoever waits for it; `None` if nothing was ordered.
    pub fn code_arrived(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        payment: &PaymentId,
        reply: &Reply<Made>,
    ) -> Result<Option<Response>> {
        let Some(mut row) = store.waiting(payment)? else {
            let known = store.payment(payment)?.and_then(|row| row.outcome);
            return Ok(known.map(Response::Outcome));
        };
        let Some(deposit) = row.deposit.read_unverified() else { return Ok(None) };
        let known = store.payment(payment)?;
        let claimed = self.claimed(&deposit, known.as_ref(), deposit.notes.total().unwrap_or_default());
        let verdict = match reply {
            Reply::Silent(why) => {
                row.tries = row.tries.saturating_add(1);
                row.next = at.now.plus_seconds(pause(row.tries));
                store.put_waiting(&row)?;
                let text = format!("the gateway makes no code for payment {payment}: {why}");
                self.alarm_when_late(store, at, row.since, ("code-overdue", *payment, text))?;
                return Ok(Some(Response::Refused(Refusal::Unavailable)));
            }
            Reply::Refused(why) => {
                let text = format!("the gateway refuses a code for payment {payment}, so it is held: {why}");
                self.alarm(store, at, payment.kiosk, "code-refused", text, &[])?;
                self.hold(store, at, &claimed, HoldReason::Refused)?
            }
            Reply::Done(made) => self.pay_or_hold(store, at, &claimed, made)?,
        };
        store.end_waiting(payment)?;
        let outcome = self.outcome(store, at, *payment, row.deposit.digest(), verdict)?;
        self.keep(store, &claimed, Some(&row.deposit), &outcome, at.now)?;
        Ok(Some(Response::Outcome(outcome)))
    }

    /// The notices that may be sent now; of a restored center none before it has heard everybody.
    pub fn notices_due(&self, store: &dyn Store, now: UtcTime) -> Result<Vec<Notice>> {
        let mut notices = Vec::new();
        if store.rebuilding()?.is_some() {
            return Ok(notices);
        }
        for row in store.notices_due(now, AT_ONCE)? {
            if let Some(payment) = store.payment(&row.payment)? {
                notices.extend(self.notice_of(&row, &payment));
            }
        }
        Ok(notices)
    }

    fn notice_of(&self, row: &NoticeRow, payment: &PaymentRow) -> Option<Notice> {
        let deposit = payment.deposit.as_ref()?.read_unverified()?;
        let claimed = self.claimed(&deposit, Some(payment), payment.inserted);
        let quote = claimed.quote?;
        let token = payment.outcome.as_ref().and_then(Signed::read_unverified);
        let token = token.and_then(|outcome| token_of(self, &outcome.verdict));
        let method = if by_card(&quote, payment.inserted).is_some() { Method::Card } else { Method::Cash };
        Some(Notice {
            id: row.id,
            kind: row.kind,
            payment: row.payment,
            code: row.code,
            service: quote.service,
            payer: claimed.payer?,
            fee: quote.fee,
            method,
            paid_at: token.map_or(row.made_at, |(_, token)| token.paid_at),
        })
    }

    /// What the gateway replied to a notice, by its id and what it said: a reply that comes when the entry says something else already is to
    /// nothing that is owed. True if it is taken now.
    pub fn notice_answered(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        (id, said): (u64, NoticeKind),
        reply: &Reply<()>,
    ) -> Result<bool> {
        let open = |row: &NoticeRow| row.taken_at.is_none() && row.kind == said;
        let Some(mut row) = store.notice(id)?.filter(open) else { return Ok(false) };
        let (kiosk, payment) = (row.payment.kiosk, row.payment);
        match reply {
            Reply::Done(()) => {
                row.taken_at = Some(at.now);
                store.put_notice(&row)?;
                match row.kind {
                    NoticeKind::Paid => (21..=25).for_each(|number| at.step(number, kiosk, Some(payment))),
                    NoticeKind::Void => self.code_is_void(store, at.now, &payment)?,
                    NoticeKind::Refund => self.code_taken_back(store, at, &payment)?,
                }
                return Ok(true);
            }
            Reply::Silent(why) => {
                row.tries = row.tries.saturating_add(1);
                row.next = at.now.plus_seconds(pause(row.tries));
                let text = format!("the gateway has not taken the notice of payment {payment}: {why}");
                self.alarm_when_late(store, at, row.made_at, ("notice-overdue", payment, text))?;
            }
            // Used before: that is an answer, and the dispute ends by it.
            Reply::Refused(why) if row.kind == NoticeKind::Refund => {
                row.taken_at = Some(at.now);
                if store.disputes_of(&payment)?.is_empty() {
                    let text = format!(
                        "the money of payment {payment} is held here, and the gateway does not take its code back: {why}"
                    );
                    self.alarm_once(store, at, ("code-not-returned", payment, text))?;
                }
                self.code_stays(store, at.now, &payment, why)?;
            }
            // It will not hear that it is paid, and the money goes back: so it is never told, and its word about the refund, which comes
            // next, decides.
            Reply::Refused(why) if row.kind == NoticeKind::Paid && self.is_returning(store, &payment)? => {
                (row.kind, row.taken_at) = (NoticeKind::Void, Some(at.now));
                let text = format!(
                    "the gateway refuses the notice of payment {payment}, whose money goes back: {why}"
                );
                self.alarm_once(store, at, ("notice-refused", payment, text))?;
            }
            Reply::Refused(why) => {
                // Somebody must look; until then it is still owed, so it is not given up.
                row.tries = row.tries.saturating_add(1);
                row.next = at.now.plus_seconds(LONGEST_PAUSE_S);
                let text = format!("the gateway refuses the notice of payment {payment}: {why}");
                self.alarm_once(store, at, ("notice-refused", payment, text))?;
                if row.kind == NoticeKind::Void {
                    self.code_never_void(store, at, (&payment, row.made_at))?;
                }
            }
        }
        store.put_notice(&row)?;
        Ok(false)
    }

    pub(super) fn alarm_when_late(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        since: UtcTime,
        alarm: (&str, PaymentId, String),
    ) -> Result<()> {
        let late = since.plus_seconds(self.rules.notice_alarm_s) < at.now;
        if late { self.alarm_once(store, at, alarm) } else { Ok(()) }
    }

    pub(super) fn alarm_once(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        (kind, payment, text): (&str, PaymentId, String),
    ) -> Result<()> {
        let key = format!("{kind}:{payment}");
        if store.attempts(&key)?.is_some() {
            return Ok(());
        }
        self.count_attempt(store, at.now, &key)?;
        store.raise(&Alarm {
            at: at.now,
            kiosk: payment.kiosk,
            kind: kind.to_owned(),
            text,
            disputed: Amount::ZERO,
            evidence: Vec::new(),
        })
    }

    /// Asks the gateway in this process for one code; for centers whose gateway is in the same store.
    pub(super) fn fetch_code(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        payment: &PaymentId,
    ) -> Result<Response> {
        let reply = match self.order(store, at.now, payment)? {
            Some(order) => match self.gateway.issue(store, at.now, at.fresh, &order)? {
                Some(code) => Reply::Done(Made { code, valid_until: order.valid_until, is_paid: false }),
                None => {
                    sometimes(Site::GatewaySilent);
                    Reply::Silent("no answer".into())
                }
            },
            None => Reply::Silent("nothing is waiting".into()),
        };
        let answer = self.code_arrived(store, at, payment, &reply)?;
        Ok(answer.unwrap_or(Response::Refused(Refusal::Unavailable)))
    }

    /// Does everything that is due with the gateway in this process. Gives the number of notices that were taken.
    pub fn deliver_notices(&self, store: &mut dyn Store, at: &mut Moment<'_>) -> Result<usize> {
        for order in self.orders_due(store, at.now)? {
            // Of a card payment the shell knows whether it can still be asked for.
            if !self.waits_for_card(store, &order.payment)? {
                self.fetch_code(store, at, &order.payment)?;
            }
        }
        let mut taken = 0;
        for notice in self.notices_due(store, at.now)? {
            let reply = self.gateway.notify(store, at.now, &notice)?;
            taken += usize::from(self.notice_answered(store, at, (notice.id, notice.kind), &reply)?);
        }
        Ok(taken)
    }

    /// Whether money of this payment is in and waits for its code.
    pub(super) fn is_waiting(&self, store: &dyn Store, row: &PaymentRow) -> Result<Option<Amount>> {
        if row.state != PaymentState::Quoted {
            return Ok(None);
        }
        let waiting = store.waiting(&row.payment)?.and_then(|row| row.deposit.read_unverified());
        Ok(waiting.and_then(|deposit| deposit.notes.total()))
    }
}

#[cfg(test)]
mod tests {
    use super::pause;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let pauses: Vec<i64> = [1, 2, 3, 8, 9, 10, 40, u32::MAX].map(pause).into();
        assert_eq!(pauses, [1, 2, 4, 128, 256, 300, 300, 300]);
    }
}
