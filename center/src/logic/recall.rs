//! Recall: a center that was restored from a backup learns from the kiosks what it had answered.
//!
//! Our own signature on the answer is the proof; it is booked exactly once and as it was. What does not fit together is
//! our own fault, so the alarm accuses the center and the loss is booked on its own account, never on a citizen's.

use crate::logic::{
    Center, Moment, PayerTag,
    acquirer::{self, CardRow, Standing, Why},
    card_office::{has_money_back, is_ended, void_owed},
    cards::by_card,
    deposit::{Claimed, Via, token_of},
    errands::{NoticeKind, NoticeRow, Order},
    ledger::Account,
    store::{BalanceRow, BalanceState, PaymentRow, Result, Store},
};
use tolem_probe::{Site, sometimes};
use tolem_protocol::{
    Amount, BalanceNumber, PaymentCode, UtcTime,
    messages::{Deposit, HoldReason, Outcome, Quote, Refusal, Response, Verdict},
    signed::Signed,
};

impl Center {
    pub(super) fn recall(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        via: Via,
        signed: &Signed<Deposit>,
        answer: &Signed<Outcome>,
    ) -> Result<Response> {
        let refuse = |refusal| Ok(Response::Refused(refusal));
        let deposit = match self.opened(store, via, signed)? {
            Ok(deposit) => deposit,
            Err(refusal) => return refuse(refusal),
        };
        let Ok(outcome) = answer.open(|message, signature| self.keys.verify_own(message, signature)) else {
            return refuse(Refusal::NotYours);
        };
        let who = deposit.payment.kiosk;
        if outcome.payment != deposit.payment || outcome.deposit != signed.digest() {
            return refuse(Refusal::NotYours);
        }
        let known = store.payment(&deposit.payment)?;
        if let Some(PaymentRow { outcome: Some(ours), .. }) = &known {
            if ours == answer {
                // Nobody knows what was printed after the backup: whoever asks from now on prints a COPY.
                if let Some(mut row) = known.clone()
                    && row.printed_by.is_none()
                {
                    row.printed_by = Some(who);
                    store.put_payment(&row)?;
                }
                return Ok(Response::Recalled);
            }
            let text = format!("the center has signed two answers to payment {}", deposit.payment);
            self.alarm(store, at, who, "two-answers", text, &answer.to_bytes())?;
            return refuse(Refusal::IdConflict);
        }
        let Some(inserted) = deposit.notes.total() else { return refuse(Refusal::Malformed) };
        let claimed = self.claimed(&deposit, known.as_ref(), inserted);
        let booked = match &outcome.verdict {
            Verdict::Held(balance) if balance.amount == inserted => {
                self.book_held(store, outcome.at, &claimed, balance, "recalled")?;
                true
            }
            Verdict::Held(_) => false,
            Verdict::Accepted { .. } => self.rebook(store, at, &claimed, &outcome)?,
        };
        if !booked {
            let text = format!("the recalled answer to payment {} does not add up", deposit.payment);
            self.alarm(store, at, who, "recall-wrong", text, &answer.to_bytes())?;
            return refuse(Refusal::Malformed);
        }
        sometimes(Site::RecallBooked);
        store.end_waiting(&deposit.payment)?;
        self.keep(store, &claimed, Some(signed), answer, outcome.at)?;
        // Whoever asked first in the lost life printed the original; nobody may do it again.
        if let Some(mut row) = store.payment(&deposit.payment)? {
            row.printed_by = Some(who);
            store.put_payment(&row)?;
        }
        self.count_recalled(store)?;
        Ok(Response::Recalled)
    }

    /// Books an accepted payment as it was answered; false if its parts do not add up.
    fn rebook(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        claimed: &Claimed<'_>,
        outcome: &Outcome,
    ) -> Result<bool> {
        let (Some(quote), Some((code, token)), Some(owner)) =
            (&claimed.quote, token_of(self, &outcome.verdict), claimed.owner)
        else {
            return Ok(false);
        };
        let Verdict::Accepted { remainder, .. } = &outcome.verdict else { return Ok(false) };
        if by_card(quote, claimed.inserted).is_some() {
            return self.rebook_card(store, at, claimed, outcome);
        }
        let rest = remainder.as_ref().map_or(Amount::ZERO, |balance| balance.amount);
        let Some(needed) = quote.cash_total.checked_add(rest) else { return Ok(false) };
        let extra = needed.saturating_sub(claimed.inserted);
        if claimed.inserted > needed || token.fee != quote.fee {
            return Ok(false);
        }
        let account = match quote.balance {
            _ if extra.is_zero() => Account::Held,
            Some((number, sum)) if sum == extra => self.spend_again(store, at, claimed, number, sum)?,
            _ => return Ok(false),
        };
        if !self.adopt(store, at, claimed, quote, (owner, code, token.valid_until), outcome.at)? {
            return Ok(false);
        }
        self.book_paid(store, outcome.at, claimed, quote, (account, extra), remainder.as_ref(), "recalled")?;
        Ok(true)
    }

    /// Takes the code of a lost life on again, and owes its notice: nobody knows any more whether the gateway has it; it takes it once.
    /// Of a code that is out the gateway does not hear any more that it is void. False without a payer.
    fn adopt(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        claimed: &Claimed<'_>,
        quote: &Quote,
        (owner, code, valid_until): (PayerTag, PaymentCode, UtcTime),
        answered_at: UtcTime,
    ) -> Result<bool> {
        let Some(payer) = &claimed.payer else { return Ok(false) };
        let payment = claimed.deposit.payment;
        let order = Order {
            payment,
            service: quote.service.clone(),
            payer: payer.clone(),
            tag: owner,
            fee: quote.fee,
            valid_until,
        };
        self.gateway.adopt(store, answered_at, code, &order)?;
        match void_owed(store, &payment)?.filter(|row| row.code == code) {
            // Behind that word this one would never be said: the gateway does not void what it has as paid.
            Some(row) => store.put_notice(&NoticeRow {
                kind: NoticeKind::Paid,
                made_at: at.now,
                tries: 0,
                next: at.now,
                ..row
            })?,
            None => self.owe_notice(store, at.now, NoticeKind::Paid, payment, code)?,
        }
        Ok(true)
    }

    /// The same for a payment by card: its code is out, so the money is to be taken. If the backup knows the request, the acquirer is told
    /// so, once more maybe, also if it was undone as overdue and neither acquirer nor gateway has heard that; of a request that is forgotten nobody
    /// here knows the card any more, so a person compares it; what was undone otherwise meanwhile is the center's loss.
    fn rebook_card(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        claimed: &Claimed<'_>,
        outcome: &Outcome,
    ) -> Result<bool> {
        let (Some(quote), Some((code, token)), Some(owner)) =
            (&claimed.quote, token_of(self, &outcome.verdict), claimed.owner)
        else {
            return Ok(false);
        };
        let payment = claimed.deposit.payment;
        let asked = acquirer::enquire(store, &payment)?;
        // Its reversal waits until its code is void.
        let is_void = void_owed(store, &payment)?.is_none();
        if token.fee != quote.fee
            || !self.adopt(store, at, claimed, quote, (owner, code, token.valid_until), outcome.at)?
        {
            return Ok(false);
        }
        let payee = claimed.known.and_then(|row| row.payee);
        let is_asked_for = |row: &CardRow| match row.standing {
            Standing::Sent | Standing::Approved => true,
            // Undone because nobody had heard the answer, which we see now; not on somebody's word.
            Standing::Reversing => !is_void && row.tries == 0 && row.why == Some(Why::NoAnswer),
            _ => false,
        };
        let takes = asked.as_ref().is_some_and(is_asked_for);
        // What this life has undone already, or people have given back, is not taken any more: the code is out, so the center pays for it.
        let went_back = !takes && has_money_back(store, &payment, asked.as_ref())?;
        let from = if went_back { Account::OwnLoss } else { Account::Cards };
        self.book_by_card(store, outcome.at, (payment, payee), quote, (from, "recalled"))?;
        if let Some(row) = asked.filter(|_| takes) {
            // We signed the answer, so it was approved in the lost life, if not in this one.
            store.put_card(&CardRow { standing: Standing::Approved, why: None, ..row })?;
            acquirer::confirm(store, at.now, &payment)?;
            return Ok(true);
        }
        if went_back {
            // Its code will not be void any more, so a reversal that waits for that goes now.
            self.code_is_void(store, at.now, &payment)?;
            // A word of its own: that it was forgotten may have been told before, and people have ended it then.
            let text = format!(
                "card payment {payment} was recalled after its money was given back: its code is out, which is our loss; \
                 see that the gateway takes the code as paid"
            );
            self.alarm_once(store, at, ("card-loss", payment, text))?;
        } else if !is_ended(store, &payment)? {
            let text =
                format!("card payment {payment} was recalled; compare it with the acquirer's register");
            self.alarm_once(store, at, ("card-recalled", payment, text))?;
        }
        Ok(true)
    }

    /// Marks a balance as spent by a recalled payment. Gives the account that answers for it.
    pub(super) fn spend_again(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        claimed: &Claimed<'_>,
        number: BalanceNumber,
        sum: Amount,
    ) -> Result<Account> {
        let payment = claimed.deposit.payment;
        let spent = BalanceState::Spent { by: payment };
        let row = match store.balance(number)? {
            Some(row) if matches!(row.state, BalanceState::Issued | BalanceState::Reserved { .. }) => {
                BalanceRow { state: spent, ..row }
            }
            Some(_) => {
                let text = format!(
                    "balance {number:#} was spent twice around a restore, again by payment {payment}"
                );
                self.alarm(store, at, payment.kiosk, "spent-twice", text, &[])?;
                return Ok(Account::OwnLoss);
            }
            None => BalanceRow {
                number,
                owner: claimed.owner,
                amount: sum,
                reason: HoldReason::Remainder,
                from: payment,
                state: spent,
                resolved: false,
                made_at: at.now,
            },
        };
        store.put_balance(&row)?;
        Ok(Account::Held)
    }
}
