//! The e-government payment gateway: makes payment codes, learns that they are paid, lets them be used once.
//!
//! ```text
//! Issued --notice--> Paid --consume--> Used
//!    |                | \--refund----> Refunded
//!    |--void--> Void  \--time--> Expired
//!    \--time--> Expired
//! ```
//! A code answers "good" in `Paid` alone; `Issued` answers "payment not confirmed yet", never "unknown".

use crate::logic::{
    errands::{Notice, NoticeKind, Order, Reply},
    registry::Switch,
    store::{CodeRow, CodeState, PayerTag, Result, Store, StoreError},
};
use tolem_protocol::{Amount, PaymentCode, UtcTime};

/// A gateway whose register lies in the same store as the center's rows, so that it is asked inside a transaction. For tests, for the
/// simulated world, and for a center that is its own gateway; a gateway elsewhere is asked by the shell.
pub trait Gateway {
    /// Makes a code for `order`; `None` while the gateway does not answer.
    fn issue(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        fresh: &mut dyn FnMut() -> u64,
        order: &Order,
    ) -> Result<Option<PaymentCode>>;

    /// Delivers a notice. Idempotent.
    fn notify(&self, store: &mut dyn Store, now: UtcTime, notice: &Notice) -> Result<Reply<()>>;

    /// Takes back a code that the center made before its database was lost. Idempotent.
    fn adopt(&self, store: &mut dyn Store, now: UtcTime, code: PaymentCode, order: &Order) -> Result<()>;
}

/// The reference gateway: its register lies in the same store.
#[derive(Default)]
pub struct InProcessGateway {
    /// While this is on, the gateway does not answer.
    pub down: Switch,
}

impl Gateway for InProcessGateway {
    fn issue(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        fresh: &mut dyn FnMut() -> u64,
        order: &Order,
    ) -> Result<Option<PaymentCode>> {
        if self.down.is_on() {
            return Ok(None);
        }
        if let Some(row) = store.code_of(&order.payment)? {
            return Ok(Some(row.code));
        }
        for _ in 0..64 {
            let code = PaymentCode::from_random(fresh());
            if store.code(code)?.is_none() {
                store.put_code(&row(code, now, order))?;
                return Ok(Some(code));
            }
        }
        Err(StoreError("no free payment code in 64 tries: the random source is broken".into()))
    }

    fn notify(&self, store: &mut dyn Store, now: UtcTime, notice: &Notice) -> Result<Reply<()>> {
        if self.down.is_on() {
            return Ok(Reply::Silent("no answer".into()));
        }
        if notice.kind == NoticeKind::Refund {
            // One that was never paid is made void; one that nobody can use any more is gone already.
            let is_gone = refund(store, notice.code)?
                || void(store, notice.code)?
                || store
                    .code(notice.code)?
                    .is_some_and(|row| matches!(row.state, CodeState::Void | CodeState::Expired));
            return Ok(if is_gone {
                Reply::Done(())
            } else {
                Reply::Refused("only a paid, unused code is refunded".into())
            });
        }
        if let Some(mut row) = store.code(notice.code)?.filter(|row| row.state == CodeState::Issued) {
            match notice.kind {
                NoticeKind::Paid => {
                    row.state = CodeState::Paid;
                    row.paid_at = Some(now);
                }
                NoticeKind::Void => row.state = CodeState::Void,
                NoticeKind::Refund => {}
            }
            store.put_code(&row)?;
        }
        Ok(Reply::Done(()))
    }

    fn adopt(&self, store: &mut dyn Store, now: UtcTime, code: PaymentCode, order: &Order) -> Result<()> {
        if store.code(code)?.is_none() {
            store.put_code(&row(code, now, order))?;
        }
        Ok(())
    }
}

/// No gateway in this store: it is elsewhere, and the shell asks it.
pub struct Elsewhere;

impl Gateway for Elsewhere {
    fn issue(
        &self,
        _: &mut dyn Store,
        _: UtcTime,
        _: &mut dyn FnMut() -> u64,
        _: &Order,
    ) -> Result<Option<PaymentCode>> {
        Ok(None)
    }

    fn notify(&self, _: &mut dyn Store, _: UtcTime, _: &Notice) -> Result<Reply<()>> {
        Ok(Reply::Silent("it is elsewhere".into()))
    }

    fn adopt(&self, _: &mut dyn Store, _: UtcTime, _: PaymentCode, _: &Order) -> Result<()> {
        Ok(())
    }
}

fn row(code: PaymentCode, now: UtcTime, order: &Order) -> CodeRow {
    CodeRow {
        code,
        payment: order.payment,
        service: order.service.clone(),
        payer: order.tag,
        fee: order.fee,
        state: CodeState::Issued,
        issued_at: now,
        paid_at: None,
        valid_until: order.valid_until,
    }
}

/// What a portal or service center is told about a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Paid, unused, in time: the service may be given.
    Good {
        /// What was paid.
        fee: Amount,
    },
    /// The payment is not confirmed yet: try later.
    NotConfirmed,
    /// No such code, or it belongs to another IIN or service.
    Unknown,
    /// Used before.
    Used,
    /// The payment failed.
    Void,
    /// Too late.
    Expired,
    /// The money went back.
    Refunded,
}

/// Asks about `code` on behalf of the bearer `payer` who wants `service`. Does not use it up.
pub fn validate(
    store: &mut dyn Store,
    now: UtcTime,
    code: PaymentCode,
    payer: &PayerTag,
    service: &str,
) -> Result<Verdict> {
    let Some(mut row) = store.code(code)? else { return Ok(Verdict::Unknown) };
    if row.payer != *payer || row.service.as_str() != service {
        return Ok(Verdict::Unknown);
    }
    let open = matches!(row.state, CodeState::Issued | CodeState::Paid);
    if open && now > row.valid_until {
        row.state = CodeState::Expired;
        store.put_code(&row)?;
    }
    Ok(match row.state {
        CodeState::Issued => Verdict::NotConfirmed,
        CodeState::Paid => Verdict::Good { fee: row.fee },
        CodeState::Used => Verdict::Used,
        CodeState::Void => Verdict::Void,
        CodeState::Expired => Verdict::Expired,
        CodeState::Refunded => Verdict::Refunded,
    })
}

/// Like [`validate`], and uses the code up if it is good: the second time it answers [`Verdict::Used`].
pub fn consume(
    store: &mut dyn Store,
    now: UtcTime,
    code: PaymentCode,
    payer: &PayerTag,
    service: &str,
) -> Result<Verdict> {
    let verdict = validate(store, now, code, payer, service)?;
    if matches!(verdict, Verdict::Good { .. }) {
        change(store, code, CodeState::Paid, CodeState::Used)?;
    }
    Ok(verdict)
}

/// Marks a code whose payment failed; only an unconfirmed code can be voided. False if it was not changed.
pub fn void(store: &mut dyn Store, code: PaymentCode) -> Result<bool> {
    change(store, code, CodeState::Issued, CodeState::Void)
}

/// Marks a code whose money goes back, which it does before it is used, also when only its time is over. True if it is marked, now or before.
pub fn refund(store: &mut dyn Store, code: PaymentCode) -> Result<bool> {
    let Some(row) = store.code(code)? else { return Ok(false) };
    match row.state {
        CodeState::Refunded => Ok(true),
        CodeState::Paid => change(store, code, CodeState::Paid, CodeState::Refunded),
        CodeState::Expired if row.paid_at.is_some() => {
            change(store, code, CodeState::Expired, CodeState::Refunded)
        }
        CodeState::Issued | CodeState::Used | CodeState::Void | CodeState::Expired => Ok(false),
    }
}

fn change(store: &mut dyn Store, code: PaymentCode, from: CodeState, to: CodeState) -> Result<bool> {
    match store.code(code)?.filter(|row| row.state == from) {
        Some(mut row) => {
            row.state = to;
            store.put_code(&row)?;
            Ok(true)
        }
        None => Ok(false),
    }
}
