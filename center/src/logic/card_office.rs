//! What a person ends of a card payment, after having talked to acquirer or gateway: where a program would ask for ever, or cannot ask.
//!
//! Nothing here is done while a machine may still end it: a ruling is possible only when an alarm says that a person must look. Two people
//! sign it ([`crate::logic::approval`]). What the gateway has as paid and these books have forgotten or undone is taken over with it, as
//! the gateway's register has it ([`Listed`]).

use crate::logic::{
    Center, Moment,
    acquirer::{CardRow, Standing},
    deposit::token_of,
    disputes::DisputeRow,
    errands::{Made, NoticeKind, NoticeRow},
    register::{Listed, of_transaction_number, transaction_number},
    store::{Result, Store},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use tolem_protocol::{PaymentCode, PaymentId, UtcTime, card::VoidReason, messages::Outcome, signed::Signed};

/// What a person found out about a card payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CardRuling {
    /// The money is taken: the acquirer has it, or takes it on our word; the citizen has the code.
    Taken,
    /// Nothing is held or taken from the card, or it was credited by hand; the code is worth nothing.
    GivenBack,
    /// The citizen has the code and the acquirer does not pay: it is treated as a chargeback of all of it.
    NotPaid,
    /// The gateway's people have struck the code that the gateway would not void.
    CodeStruck,
}

impl fmt::Display for CardRuling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taken => "its money is taken",
            Self::GivenBack => "its money is given back",
            Self::NotPaid => "the acquirer does not pay it",
            Self::CodeStruck => "its code was struck at the gateway",
        })
    }
}

/// Alarms after which a person decides about an approval.
const UNDECIDED: [&str; 2] = ["card-undecided", "card-unclear"];
/// Alarms after which a person ends what is said to the acquirer again and again.
const STUCK: [&str; 3] = ["card-disputed", "card-number-lost", "card-message"];
/// Alarms about a payment whose request this database does not have.
const FORGOTTEN: [&str; 2] = ["card-recalled", "card-unclear"];
/// The alarm about a payment that the gateway's register has as paid, and these books as undone.
const CONTRADICTED: [&str; 1] = ["register-conflict"];
/// Alarms about a gateway that does not hear that a code is void: it may have it as paid.
const NOT_VOID: [&str; 3] = ["notice-refused", "notice-overdue", "code-not-void"];

fn alarmed(store: &dyn Store, payment: &PaymentId, kinds: &[&str]) -> Result<bool> {
    for kind in kinds {
        if store.attempts(&format!("{kind}:{payment}"))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn ended_key(payment: &PaymentId) -> String {
    format!("card-ended:{payment}")
}

/// Whether people have ended a payment, or what was taken over of it under the half of its nonce that the gateway knows.
pub(super) fn is_ended(store: &dyn Store, payment: &PaymentId) -> Result<bool> {
    let half = of_transaction_number(&transaction_number(payment));
    for payment in [Some(*payment), half].into_iter().flatten() {
        if store.attempts(&ended_key(&payment))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn given_back_key(payment: &PaymentId) -> String {
    format!("card-given-back:{payment}")
}

/// Whether the card's owner has the money, or will have it: `card` is undone with the acquirer, or, where it is forgotten, people have seen to it.
pub(super) fn has_money_back(store: &dyn Store, payment: &PaymentId, card: Option<&CardRow>) -> Result<bool> {
    match card {
        Some(row) => Ok(row.standing.is_undone()),
        None => Ok(store.attempts(&given_back_key(payment))?.is_some()),
    }
}

/// The words that the code of a payment is void, taken or not.
fn voids(store: &dyn Store, payment: &PaymentId) -> Result<Vec<NoticeRow>> {
    let mut told = Vec::new();
    store.each_notice(&mut |row| {
        if row.payment == *payment && row.kind == NoticeKind::Void {
            told.push(row);
        }
    })?;
    Ok(told)
}

/// The word that the code is void, which the gateway has not taken.
pub(super) fn void_owed(store: &dyn Store, payment: &PaymentId) -> Result<Option<NoticeRow>> {
    Ok(voids(store, payment)?.into_iter().rfind(|row| row.taken_at.is_none()))
}

/// Whether a person must end this payment at the acquirer. `card` is its row, if there is one.
pub fn waits_for_a_person(store: &dyn Store, payment: &PaymentId, card: Option<&CardRow>) -> Result<bool> {
    match card.map(|row| row.standing) {
        Some(Standing::Approved) => alarmed(store, payment, &UNDECIDED),
        Some(Standing::Confirming) => alarmed(store, payment, &STUCK),
        Some(Standing::Reversing) if alarmed(store, payment, &STUCK)? => Ok(true),
        Some(Standing::Reversing | Standing::Reversed | Standing::Declined) => {
            let is_booked = store.payment(payment)?.is_some_and(|row| row.outcome.is_some());
            Ok(!is_booked && alarmed(store, payment, &CONTRADICTED)?)
        }
        Some(Standing::Sent | Standing::Confirmed) => Ok(false),
        None => Ok(!is_ended(store, payment)?
            && (alarmed(store, payment, &FORGOTTEN)? || alarmed(store, payment, &CONTRADICTED)?)),
    }
}

impl Center {
    /// Whether this ruling is about a payment that is not in these books as paid, so that the gateway's register must say whether it is: then its
    /// code may be used, and is not given back.
    pub fn needs_register(&self, store: &dyn Store, payment: &PaymentId, ruling: CardRuling) -> Result<bool> {
        let card = store.card(payment)?;
        let asks = match ruling {
            CardRuling::Taken | CardRuling::NotPaid => card.is_none_or(|row| row.standing.is_undone()),
            // Of what is known here the gateway is told that it is void.
            CardRuling::GivenBack => card.is_none(),
            CardRuling::CodeStruck => false,
        };
        Ok(asks && !self.is_paid_by_card(store, payment)?)
    }

    /// Why a payment cannot be taken over as the gateway's register has it, if it cannot.
    fn cannot_take_over(
        &self,
        store: &dyn Store,
        payment: &PaymentId,
        (card, ruling): (Option<&CardRow>, CardRuling),
        listed: &Listed,
    ) -> Result<Option<String>> {
        let no =
            |why: &str| Ok(Some(format!("payment {payment} cannot be taken over from the register: {why}")));
        if !self.needs_register(store, payment, ruling)? {
            return no("these books have it, or nothing of it is kept");
        }
        let mut told = alarmed(store, payment, &CONTRADICTED)?;
        for kinds in [&FORGOTTEN[..], &NOT_VOID[..], &STUCK[..]] {
            told = told || alarmed(store, payment, kinds)?;
        }
        // What people have given back, not knowing that the gateway has it as paid, is ours to pay.
        let went_back = card.is_none() && has_money_back(store, payment, None)?;
        if !told || (card.is_none() && is_ended(store, payment)? && !went_back) {
            return no("no alarm says that a person must end it, or people have");
        }
        if went_back && ruling == CardRuling::NotPaid {
            return no("its money was given back, so no acquirer owes it: it is taken, and our loss");
        }
        if transaction_number(payment) != listed.transaction {
            return no("it speaks of another payment");
        }
        if !listed.by_card || listed.refunded {
            return no("there it was paid in cash, or taken back");
        }
        let known = store.payment(payment)?;
        if store.waiting(payment)?.is_some() || known.as_ref().is_some_and(|row| row.outcome.is_some()) {
            return no("its code is being asked for, or its money is held here");
        }
        let quote = known.and_then(|row| row.quote).and_then(|quote| quote.read_unverified());
        let ours = card.map(|row| self.code_in(row.outcome.as_ref()));
        let same = ours.is_none_or(|ours| ours == Some(listed.code))
            && quote.is_none_or(|quote| quote.fee == listed.fee);
        if same { Ok(None) } else { no("it has another code or fee here") }
    }

    fn code_in(&self, outcome: Option<&Signed<Outcome>>) -> Option<PaymentCode> {
        let verdict = outcome.and_then(Signed::read_unverified)?.verdict;
        token_of(self, &verdict).map(|(code, _)| code)
    }

    /// Why a card payment cannot be ended so, if it cannot. `seen` is how it stood when that was asked for.
    pub(super) fn cannot_end_card(
        &self,
        store: &dyn Store,
        (payment, seen): (&PaymentId, Option<Standing>),
        (ruling, listed): (CardRuling, Option<&Listed>),
        why: &str,
    ) -> Result<Option<String>> {
        if let Some(fault) = super::disputes::wrong_reason(why) {
            return Ok(Some(fault));
        }
        if ruling == CardRuling::CodeStruck {
            let refused = alarmed(store, payment, &["notice-refused", "code-not-void"])?;
            let owed = void_owed(store, payment)?.is_some();
            return Ok((!owed || !refused)
                .then(|| format!("the gateway has not refused to void the code of payment {payment}")));
        }
        let card = store.card(payment)?;
        let stands = card.as_ref().map(|row| row.standing);
        if stands != seen {
            let word = |standing: Option<Standing>| {
                standing.map_or_else(|| "forgotten".to_owned(), |standing| format!("{standing:?}"))
            };
            return Ok(Some(format!(
                "payment {payment} was {} when this was asked for and is {} now: look again (`card show`) and ask anew",
                word(seen),
                word(stands)
            )));
        }
        match (ruling, listed) {
            (CardRuling::GivenBack, Some(listed)) if listed.by_card && !listed.refunded => {
                return Ok(Some(
                    "the gateway's register has its code as paid, so it may be used: it is taken or not-paid"
                        .to_owned(),
                ));
            }
            (CardRuling::GivenBack, _) | (_, None) => {}
            (_, Some(listed)) => {
                return self.cannot_take_over(store, payment, (card.as_ref(), ruling), listed);
            }
        }
        if !waits_for_a_person(store, payment, card.as_ref())? {
            return Ok(Some(match card {
                Some(row) => format!(
                    "payment {payment} is {:?}, and no alarm says that a person must end it",
                    row.standing
                ),
                None => format!("no alarm says that a person must end payment {payment}"),
            }));
        }
        if ruling == CardRuling::NotPaid
            && let Some(row) = store.disputes_of(payment)?.into_iter().find(|row| row.state.is_open())
        {
            return Ok(Some(format!("dispute {} about the payment is open: decide it first", row.number)));
        }
        let paid = self.is_paid_by_card(store, payment)?;
        Ok(match (card.map(|row| row.standing), ruling) {
            (Some(Standing::Approved), CardRuling::Taken | CardRuling::GivenBack)
            | (Some(Standing::Confirming), CardRuling::Taken | CardRuling::NotPaid) => None,
            (Some(Standing::Reversing), CardRuling::GivenBack) if alarmed(store, payment, &STUCK)? => None,
            (None, CardRuling::Taken | CardRuling::NotPaid) if paid => None,
            (None, CardRuling::GivenBack) if !paid => None,
            (Some(Standing::Approved), _) => {
                Some("it is not confirmed: it is taken or given-back".to_owned())
            }
            (Some(Standing::Confirming), _) => {
                Some("it is booked as paid and its citizen has the code: it is taken or not-paid".to_owned())
            }
            (Some(Standing::Reversing), _) => Some(
                "its code is void: have the money credited by hand, then it is given-back; it is taken or not-paid only if the gateway's register \
                 has the code as paid"
                    .to_owned(),
            ),
            (None, _) if paid => Some("it is booked as paid: it is taken or not-paid".to_owned()),
            (None, _) => Some(
                "no code of it is known here: it is taken or not-paid only if it is found as paid in the gateway's register; if not, have what was \
                 taken credited by hand, then it is given-back"
                    .to_owned(),
            ),
            (Some(Standing::Reversed | Standing::Declined), _) if !paid => Some(
                "it is undone: taken or not-paid only if the gateway's register has its code as paid".to_owned(),
            ),
            (Some(_), _) => Some("it is over".to_owned()),
        })
    }

    /// Does what two people found out. Gives the dispute that begins by it.
    pub(super) fn rule_card(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        payment: &PaymentId,
        (ruling, listed): (CardRuling, Option<&Listed>),
        why: &str,
    ) -> Result<Option<DisputeRow>> {
        let card = store.card(payment)?;
        if let Some(listed) = listed.filter(|_| ruling != CardRuling::GivenBack) {
            match &card {
                Some(row) => self.redo_card(store, at, row, listed.code)?,
                None => self.take_over(store, at.now, listed, *payment)?,
            }
        }
        match (ruling, card.as_ref().map(|row| row.standing)) {
            (CardRuling::CodeStruck, _) => {
                if let Some(row) = void_owed(store, payment)? {
                    store.put_notice(&NoticeRow { taken_at: Some(at.now), ..row })?;
                    self.code_is_void(store, at.now, payment)?;
                }
                return Ok(None);
            }
            (CardRuling::Taken, Some(Standing::Approved)) => {
                self.card_confirm(store, at, payment.kiosk, payment)?;
            }
            (CardRuling::GivenBack, Some(Standing::Approved)) => {
                self.card_void(store, at, payment.kiosk, payment, VoidReason::Abandoned)?;
            }
            _ => {
                self.count_attempt(store, at.now, &ended_key(payment))?;
                if ruling == CardRuling::GivenBack && card.is_none() {
                    self.count_attempt(store, at.now, &given_back_key(payment))?;
                }
                if let Some(row) = card {
                    let standing = match ruling {
                        CardRuling::GivenBack => Standing::Reversed,
                        CardRuling::Taken | CardRuling::NotPaid | CardRuling::CodeStruck => {
                            Standing::Confirmed
                        }
                    };
                    store.put_card(&CardRow { standing, sealed_number: Vec::new(), words: None, ..row })?;
                }
                if ruling == CardRuling::NotPaid {
                    return self.not_paid(store, at, payment, why);
                }
            }
        }
        Ok(None)
    }

    /// Books what was undone here and is paid at the gateway, with the answer that was signed for it.
    fn redo_card(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        row: &CardRow,
        code: PaymentCode,
    ) -> Result<()> {
        if self.book_card(store, at, row)?.is_some() {
            self.void_was_wrong(store, at.now, &row.payment, code)?;
        }
        Ok(())
    }

    /// The gateway has a code as paid of which it was told, or is owed, that it is void: what counts is what stands there.
    fn void_was_wrong(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        payment: &PaymentId,
        code: PaymentCode,
    ) -> Result<()> {
        let told = voids(store, payment)?;
        if told.is_empty() {
            let made = Made { code, valid_until: now, is_paid: true };
            return self.owe_paid(store, now, *payment, &made);
        }
        told.into_iter().try_for_each(|row| {
            store.put_notice(&NoticeRow { kind: NoticeKind::Paid, taken_at: Some(now), ..row })
        })
    }
}
