//! "I have a claim slip", "I have a voucher", and who may print an original.
//!
//! Numbers on paper can be guessed, so wrong ones are counted: under the kiosk that asks and under the number itself.

use crate::logic::{
    Center, Moment,
    quote::may_take,
    store::{AttemptRow, PaymentRow, Result, Store},
};
use tolem_probe::{Fault, Site, planted, sometimes};
use tolem_protocol::{
    BalanceNumber, ClaimNumber, Iin, KioskNumber, PaymentId, UtcTime,
    messages::{ClaimAnswer, HeldBalance, PrintRight, Refusal, Response, Verdict},
};

/// Nothing of its money was heard of yet: at most the quote is known, and after a restore not even that.
fn not_arrived() -> Response {
    sometimes(Site::ClaimNotArrived);
    Response::Claim(ClaimAnswer::NotArrived)
}

impl Center {
    pub(super) fn claim(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        who: KioskNumber,
        claim: ClaimNumber,
        payer: &Iin,
    ) -> Result<Response> {
        let keys = [format!("kiosk:{who}"), format!("claim:{claim:#}")];
        if self.locked(store, at.now, &keys)? {
            return Ok(Response::Refused(Refusal::TooManyAttempts));
        }
        let (kiosk, slip) = claim.parts();
        let kiosk = u32::try_from(kiosk).ok().and_then(KioskNumber::new);
        let registered = match kiosk {
            Some(kiosk) => store.kiosk(kiosk)?.map(|row| row.kiosk),
            None => None,
        };
        let Some(kiosk) = registered else {
            self.count_wrong(store, at.now, &keys)?;
            return Ok(Response::Claim(ClaimAnswer::NoMatch));
        };
        let tag = self.keys.tag_iin(payer);
        let rows = store.payments_on_slip(kiosk, slip)?;
        if rows.is_empty() {
            return Ok(not_arrived());
        }
        let mine: Vec<PaymentRow> = rows
            .into_iter()
            .filter(|row| row.payer == Some(tag) || planted(Fault::ClaimForAnybody))
            .collect();
        // A number can come twice: after ten million payments, or when the power failed before its first use was written
        // down. What was answered goes before what was only quoted.
        let settled = mine.iter().find_map(|row| Some((row.outcome.clone()?, row.quote.clone())));
        match settled {
            Some((outcome, quote)) => {
                sometimes(Site::ClaimAnswered);
                Ok(Response::Claim(ClaimAnswer::Settled { outcome, quote }))
            }
            None if !mine.is_empty() => Ok(not_arrived()),
            None => {
                sometimes(Site::ClaimRefused);
                self.count_wrong(store, at.now, &keys)?;
                Ok(Response::Claim(ClaimAnswer::NoMatch))
            }
        }
    }

    pub(super) fn voucher(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        who: KioskNumber,
        number: BalanceNumber,
        payer: &Iin,
    ) -> Result<Response> {
        let keys = [format!("kiosk:{who}"), format!("balance:{number:#}")];
        if self.locked(store, at.now, &keys)? {
            return Ok(Response::Refused(Refusal::TooManyAttempts));
        }
        let tag = self.keys.tag_iin(payer);
        let Some(row) = store.balance(number)?.filter(|row| row.owner == Some(tag)) else {
            self.count_wrong(store, at.now, &keys)?;
            return Ok(Response::Refused(Refusal::Unknown));
        };
        if !may_take(&row, &tag, None, at.now) {
            return Ok(Response::Refused(Refusal::BalanceNotFree));
        }
        Ok(Response::Balance(HeldBalance { number, amount: row.amount, reason: row.reason }))
    }

    pub(super) fn print_right(
        &self,
        store: &mut dyn Store,
        who: KioskNumber,
        payment: &PaymentId,
    ) -> Result<Response> {
        let Some(mut row) = store.payment(payment)? else {
            return Ok(Response::Refused(Refusal::Unknown));
        };
        let paid = row
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.read_unverified())
            .is_some_and(|outcome| matches!(outcome.verdict, Verdict::Accepted { .. }));
        if !paid {
            return Ok(Response::Refused(Refusal::Unknown));
        }
        if row.printed_by.is_some() && !planted(Fault::OriginalForEverybody) {
            sometimes(Site::CopyGranted);
            return Ok(Response::PrintRight(PrintRight::Copy));
        }
        row.printed_by = Some(who);
        store.put_payment(&row)?;
        Ok(Response::PrintRight(PrintRight::Original))
    }

    /// Whether guessing has used up what is allowed: `keys` are the asking kiosk and the number asked about.
    pub(super) fn locked(&self, store: &dyn Store, now: UtcTime, keys: &[String; 2]) -> Result<bool> {
        let [kiosk, number] = keys;
        Ok(self.too_many(store, now, kiosk, self.rules.wrong_per_kiosk)?
            || self.too_many(store, now, number, self.rules.wrong_per_number)?)
    }

    pub(super) fn count_wrong(&self, store: &mut dyn Store, now: UtcTime, keys: &[String; 2]) -> Result<()> {
        keys.iter().try_for_each(|key| self.count_attempt(store, now, key))
    }

    pub(super) fn too_many(&self, store: &dyn Store, now: UtcTime, key: &str, most: u32) -> Result<bool> {
        Ok(store.attempts(key)?.is_some_and(|row| self.in_window(&row, now) && row.count >= most))
    }

    pub(super) fn count_attempt(&self, store: &mut dyn Store, now: UtcTime, key: &str) -> Result<()> {
        let row = match store.attempts(key)?.filter(|row| self.in_window(row, now)) {
            Some(row) => AttemptRow { count: row.count.saturating_add(1), ..row },
            None => AttemptRow { first: now, count: 1 },
        };
        store.put_attempts(key, row)
    }

    fn in_window(&self, row: &AttemptRow, now: UtcTime) -> bool {
        now < row.first.plus_seconds(self.rules.attempt_window_s)
    }
}
