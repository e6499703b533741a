//! Quotes: what a payment will cost, signed, and the held balance reserved for it.
//!
//! A quote is durable before it is answered, and the same question about the same payment gets the same quote.

use crate::logic::{
    Answer, Center, Moment,
    registry::Lookup,
    store::{BalanceRow, BalanceState, PayerTag, PaymentRow, PaymentState, Result, Store},
};
use tolem_probe::{Fault, Site, planted, sometimes};
use tolem_protocol::{
    Amount, BalanceNumber, Iin, KioskNumber, PaymentId, UtcTime,
    catalogue::ServiceCode,
    messages::{HoldReason, Method, Quote, Refusal, Response},
    signed::Signed,
};

/// The fields of `Request::Quote`.
pub(super) struct Wanted {
    pub payment: PaymentId,
    pub service: ServiceCode,
    pub payer: Iin,
    pub method: Method,
    pub balance: Option<BalanceNumber>,
}

/// Whether `payer` may use this balance now, for payment `by` if one is named.
pub(super) fn may_take(row: &BalanceRow, payer: &PayerTag, by: Option<&PaymentId>, now: UtcTime) -> bool {
    let free = match row.state {
        BalanceState::Issued => true,
        BalanceState::Reserved { by: holder, until } => Some(&holder) == by || until < now,
        BalanceState::Spent { .. } => planted(Fault::VoucherTwice),
        BalanceState::Refunded | BalanceState::Cancelled => false,
    };
    let settled = row.reason != HoldReason::Suspense || row.resolved;
    free && settled && row.owner.as_ref() == Some(payer) && !row.amount.is_zero()
}

/// Gives the balance that `payment` reserved back to its owner.
pub(super) fn release(store: &mut dyn Store, quote: Option<&Quote>, payment: &PaymentId) -> Result<()> {
    let Some((number, _)) = quote.and_then(|quote| quote.balance) else { return Ok(()) };
    if let Some(mut row) = store.balance(number)?
        && matches!(row.state, BalanceState::Reserved { by, .. } if by == *payment)
    {
        sometimes(Site::BalanceReleased);
        row.state = BalanceState::Issued;
        store.put_balance(&row)?;
    }
    Ok(())
}

impl Center {
    pub(super) fn quote(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        who: KioskNumber,
        wanted: &Wanted,
        lookup: Option<&Lookup>,
    ) -> Result<Answer> {
        let refuse = |refusal| Ok(Answer::Ready(Response::Refused(refusal)));
        let payment = wanted.payment;
        // Only a boot that this center greeted may start payments: no id is made on a copied or guessed epoch.
        if payment.kiosk != who || store.boot(who, &payment.nonce)? != Some(payment.epoch) {
            return refuse(Refusal::NotYours);
        }
        let payer = self.keys.tag_iin(&wanted.payer);
        if let Some(known) = store.payment(&payment)? {
            return self.quoted_before(store, at, wanted, &payer, &known).map(Answer::Ready);
        }
        if store.kiosk(who)?.is_none_or(|row| row.closed.is_some()) {
            return refuse(Refusal::JournalRolledBack);
        }
        // What the terminal can take and what is in service here; a held balance goes with cash only.
        let card = wanted.method.has_card() && self.takes_cards() && wanted.balance.is_none();
        let Some(mut method) = Method::of(wanted.method.has_cash(), card) else {
            return refuse(Refusal::Unavailable);
        };
        let Some(service) = self.catalogue.find(&wanted.service) else { return refuse(Refusal::Unknown) };
        let name = match lookup {
            None => return Ok(Answer::Payer(wanted.payer.clone())),
            Some(Lookup::Right { name }) => name.clone(),
            Some(Lookup::Wrong) => return refuse(Refusal::Unknown),
            Some(Lookup::Unavailable) => return refuse(Refusal::Unavailable),
        };
        let day = at.now.date();
        let Some((fee, commission)) = self.price(service, day) else { return refuse(Refusal::Unknown) };
        let Some(cash_total) = fee.checked_add(commission).map(Amount::rounded_for_cash) else {
            return refuse(Refusal::Limit);
        };
        // The limits are of cash.
        if method.has_cash() && cash_total > self.rules.limits.per_payment {
            match Method::of(false, card) {
                Some(only) => method = only,
                None => return refuse(Refusal::Limit),
            }
        }
        let balance = match wanted.balance {
            None => None,
            Some(number) => match self.reservable(store, at, who, number, &payer, &payment)? {
                Ok(row) => Some(row),
                Err(refusal) => return refuse(refusal),
            },
        };
        let mut quote = Quote {
            payment,
            service: service.code.clone(),
            service_digest: service.digest(),
            payer: name,
            fee,
            commission,
            cash_total,
            balance: balance.as_ref().map(|row| (row.number, row.amount)),
            method,
            made_at: at.now,
            valid_until: at.now.plus_seconds(self.rules.quote_valid_s),
        };
        let today = self.cash_of(store, &payer, at.now)?;
        if method.has_cash()
            && today.checked_add(quote.due()).is_none_or(|sum| sum > self.rules.limits.per_day)
        {
            match Method::of(false, card) {
                Some(only) => quote.method = only,
                None => return refuse(Refusal::Limit),
            }
        }
        if let Some(mut row) = balance {
            sometimes(Site::BalanceReserved);
            let until = at.now.plus_seconds(self.rules.reservation_s);
            row.state = BalanceState::Reserved { by: payment, until };
            store.put_balance(&row)?;
        }
        let signed = Signed::new(&quote, |message| self.keys.sign(message));
        store.put_payment(&PaymentRow {
            payment,
            state: PaymentState::Quoted,
            payer: Some(payer),
            payer_tail: tail(&wanted.payer),
            day,
            payee: Some(service.payee_bin),
            quote: Some(signed.clone()),
            deposit: None,
            outcome: None,
            inserted: Amount::ZERO,
            printed_by: None,
        })?;
        Ok(Answer::Ready(Response::Quote(signed)))
    }

    /// The id is known: the same question gets the same quote, anything else is a conflict.
    fn quoted_before(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        wanted: &Wanted,
        payer: &PayerTag,
        known: &PaymentRow,
    ) -> Result<Response> {
        let same = |quote: &Quote| {
            quote.service == wanted.service
                && quote.method.is_within(wanted.method)
                && quote.balance.map(|(number, _)| number) == wanted.balance
                && known.payer.as_ref() == Some(payer)
                && known.state != PaymentState::Voided
        };
        if let Some(signed) = &known.quote
            && signed.read_unverified().is_some_and(|quote| same(&quote))
        {
            return Ok(Response::Quote(signed.clone()));
        }
        let text = format!("payment {} was asked to be quoted with other content", known.payment);
        self.alarm(store, at, known.payment.kiosk, "id-conflict", text, &[])?;
        Ok(Response::Refused(Refusal::IdConflict))
    }

    /// Fee and commission of a service on `day`; `None` if no index applies yet or the sum is beyond all bounds.
    fn price(
        &self,
        service: &tolem_protocol::catalogue::Service,
        day: tolem_protocol::utc::Date,
    ) -> Option<(Amount, Amount)> {
        let fee = service.price.amount(self.catalogue.head.mrp_on(day)?)?;
        if self.rules.commission_thousandths == 0 {
            return Some((fee, Amount::ZERO));
        }
        let product = fee.checked_mul(u64::from(self.rules.commission_thousandths))?;
        let commission = Amount::from_tiyn((product.tiyn() + 500) / 1_000);
        Some((fee, commission.max(self.rules.commission_least)))
    }

    fn reservable(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        who: KioskNumber,
        number: BalanceNumber,
        payer: &PayerTag,
        payment: &PaymentId,
    ) -> Result<std::result::Result<BalanceRow, Refusal>> {
        let keys = [format!("kiosk:{who}"), format!("balance:{number:#}")];
        if self.locked(store, at.now, &keys)? {
            return Ok(Err(Refusal::TooManyAttempts));
        }
        match store.balance(number)? {
            Some(row) if may_take(&row, payer, Some(payment), at.now) => Ok(Ok(row)),
            Some(row) if row.owner.as_ref() == Some(payer) => Ok(Err(Refusal::BalanceNotFree)),
            // Somebody else's, or nobody's: the same answer, and it counts as a guess.
            _ => {
                self.count_wrong(store, at.now, &keys)?;
                Ok(Err(Refusal::BalanceNotFree))
            }
        }
    }

    /// Cash of one payer today: what went in, and what live quotes still ask for.
    fn cash_of(&self, store: &dyn Store, payer: &PayerTag, now: UtcTime) -> Result<Amount> {
        let mut sum = store.settled_cash(payer, now.date())?;
        for row in &store.quoted_of(payer, now.date())? {
            let quoted = || {
                let quote = row.quote.as_ref().and_then(Signed::read_unverified);
                let quote = quote.filter(|quote| quote.method.has_cash());
                quote.filter(|quote| quote.valid_until >= now).map_or(Amount::ZERO, |quote| quote.due())
            };
            let cash = self.is_waiting(store, row)?.unwrap_or_else(quoted);
            sum = sum.checked_add(cash).unwrap_or(Amount::MAX);
        }
        Ok(sum)
    }

    pub(super) fn void(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        who: KioskNumber,
        payment: &PaymentId,
    ) -> Result<Response> {
        if payment.kiosk != who {
            return Ok(Response::Refused(Refusal::NotYours));
        }
        let mut row = match store.payment(payment)? {
            Some(row) => row,
            // The quote never arrived. The id is used up all the same, so that a late copy of it reserves nothing.
            None => {
                sometimes(Site::VoidedUnknown);
                PaymentRow {
                    payment: *payment,
                    state: PaymentState::Quoted,
                    payer: None,
                    payer_tail: 0,
                    day: at.now.date(),
                    payee: None,
                    quote: None,
                    deposit: None,
                    outcome: None,
                    inserted: Amount::ZERO,
                    printed_by: None,
                }
            }
        };
        if let Some(outcome) = row.outcome {
            return Ok(Response::Outcome(outcome));
        }
        if store.waiting(payment)?.is_some() {
            // Its money is in and signed for; that is not taken back by a word.
            return Ok(Response::NoOutcome);
        }
        let quote = row.quote.as_ref().and_then(Signed::read_unverified);
        release(store, quote.as_ref(), payment)?;
        row.state = PaymentState::Voided;
        store.put_payment(&row)?;
        Ok(Response::NoOutcome)
    }
}

/// Last four digits of an IIN as a number.
pub(super) fn tail(iin: &Iin) -> u16 {
    iin.ascii()[8..].iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0'))
}
