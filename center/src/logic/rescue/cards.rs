//! Card payments in the journal of a dead kiosk: each gets the end that the kiosk would have given it after its next start.
//!
//! The rule is the kiosk's own (docs/money.md, rule 17): what it owed, it owes; of what it had not decided, the code may have been seen if a
//! paper with it was ordered, and then the money is taken; otherwise it is undone. The center does it as if the kiosk had said so. Only
//! where records are known to be missing nobody can tell whether a paper followed, and a person must.

use super::{Rescue, Rescued};
use crate::logic::{
    Center, Moment,
    acquirer::Standing,
    deposit::Via,
    store::{PaymentState, Result, Store},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use tolem_protocol::{
    PaymentId,
    card::{CardAnswer, CardStep, VoidReason},
    messages::{Deposit, Outcome, Response},
    record::{Fact, Paper},
    signed::Signed,
};

/// How a card payment ends, as its journal tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CardEnd {
    /// Its code was or may have been seen: the money is taken.
    Taken,
    /// It came to nothing.
    Undone(VoidReason),
    /// The center said that it undoes it; only one that has forgotten that must do it again.
    SaidUndone,
    /// Records are missing in which it may have ended.
    Unclear,
}

/// A card payment in a journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeftCard {
    /// The payment.
    pub payment: PaymentId,
    /// Its signed order.
    pub deposit: Signed<Deposit>,
    /// The center's signed answer with the code, if the kiosk had it.
    pub outcome: Option<Signed<Outcome>>,
    /// How it ends.
    pub end: CardEnd,
}

/// Says what will be done with them, for the request that two people see.
pub(super) fn tell(f: &mut fmt::Formatter<'_>, cards: &[LeftCard]) -> fmt::Result {
    let count = |wanted: fn(CardEnd) -> bool| cards.iter().filter(|card| wanted(card.end)).count();
    let taken = count(|end| end == CardEnd::Taken);
    let unclear = count(|end| end == CardEnd::Unclear);
    if !cards.is_empty() {
        let undone = cards.len() - taken - unclear;
        write!(f, "; card payments: {taken} to confirm, {undone} to undo, {unclear} without a known end")?;
    }
    Ok(())
}

/// What a person can do about a payment that a journal leaves open or contradicts: `card end` only where that will be accepted
/// ([`crate::logic::card_office::waits_for_a_person`]).
const fn then(standing: Option<Standing>) -> &'static str {
    match standing {
        None | Some(Standing::Approved) => "then: tolem-center card end",
        Some(Standing::Sent | Standing::Declined | Standing::Reversing | Standing::Reversed) => {
            "nothing is taken by it and its code is void here, so whoever has that code on paper is to pay again"
        }
        Some(Standing::Confirming | Standing::Confirmed) => {
            "it stays booked as paid; for a citizen without the code: tolem-center dispute open"
        }
    }
}

struct Told {
    deposit: Signed<Deposit>,
    step: Option<CardStep>,
    seen: bool,
}

/// Reads what a journal says of cards.
#[derive(Default)]
pub(super) struct Reading(BTreeMap<PaymentId, Told>);

impl Reading {
    pub(super) fn record(&mut self, fact: &Fact) {
        match fact {
            Fact::AuthorizeSent { deposit, .. } => {
                if let Some(read) = deposit.read_unverified() {
                    let told = Told { deposit: deposit.clone(), step: None, seen: false };
                    self.0.insert(read.payment, told);
                }
            }
            Fact::Card { payment, step } => {
                if let Some(told) = self.0.get_mut(payment) {
                    told.step = Some(step.clone());
                }
            }
            // A paper that was begun may be in somebody's hand, whatever the printer said afterwards.
            Fact::PrintOrdered { payment, paper: Paper::Receipt | Paper::Voucher, .. } => {
                if let Some(told) = self.0.get_mut(payment) {
                    told.seen = true;
                }
            }
            _ => {}
        }
    }

    pub(super) fn end(self, outcomes: &BTreeMap<PaymentId, Signed<Outcome>>, is_cut: bool) -> Vec<LeftCard> {
        let mut left = Vec::new();
        for (payment, Told { deposit, step, seen }) in self.0 {
            let end = match step {
                None | Some(CardStep::Authorized { .. }) if is_cut && !seen => CardEnd::Unclear,
                None => CardEnd::Undone(VoidReason::PowerCut),
                Some(CardStep::Authorized { .. }) if seen => CardEnd::Taken,
                Some(CardStep::Authorized { .. }) => CardEnd::Undone(VoidReason::PowerCut),
                Some(CardStep::ReversalOwed(why)) => CardEnd::Undone(why),
                Some(CardStep::ReversalAcknowledged) => CardEnd::SaidUndone,
                Some(CardStep::ConfirmOwed | CardStep::Confirmed) => CardEnd::Taken,
                Some(CardStep::Declined(_)) => continue,
            };
            let outcome = outcomes.get(&payment).cloned();
            left.push(LeftCard { payment, deposit, outcome, end });
        }
        left
    }
}

impl Center {
    /// Whether this center does not know the end of a card payment yet.
    pub(super) fn is_news(&self, store: &dyn Store, card: &LeftCard) -> Result<bool> {
        use Standing::{Approved, Confirmed, Confirming, Declined, Reversed, Reversing, Sent};
        let known = store.payment(&card.payment)?;
        let settled = known.as_ref().is_some_and(|row| row.outcome.is_some());
        let voided = known.is_some_and(|row| row.state == PaymentState::Voided);
        let standing = store.card(&card.payment)?.map(|row| row.standing);
        Ok(match (card.end, standing) {
            (CardEnd::Taken, Some(Confirming | Confirmed)) => false,
            // What was never asked for or is undone, and is booked all the same: recalled before.
            (CardEnd::Taken, None | Some(Reversing | Reversed | Declined)) => !settled,
            (CardEnd::Taken, Some(Sent | Approved)) => true,
            (_, Some(Sent | Approved)) => true,
            (CardEnd::Undone(_), Some(Reversing | Reversed | Declined)) => false,
            (CardEnd::Undone(_), Some(Confirming | Confirmed)) => true,
            (CardEnd::Undone(_), None) => !voided,
            (CardEnd::Unclear, None) => self.waits_for_card(store, &card.payment)?,
            (CardEnd::SaidUndone | CardEnd::Unclear, _) => false,
        })
    }

    /// Ends a card payment on the word of a journal, by the rules for the kiosk's own word.
    pub(super) fn end_card(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        rescue: &Rescue,
        card: &LeftCard,
        done: &mut Rescued,
    ) -> Result<()> {
        let (who, payment) = (rescue.kiosk, &card.payment);
        if !self.is_news(store, card)? {
            done.known += 1;
            return Ok(());
        }
        let answer = match card.end {
            CardEnd::Taken => {
                let known = store.payment(payment)?.is_some_and(|row| row.outcome.is_some());
                let standing = store.card(payment)?.map(|row| row.standing);
                let contradicted = !known && standing != Some(Standing::Approved);
                if let (true, Some(outcome)) = (contradicted, &card.outcome) {
                    // We signed that, and have forgotten or undone it: as when a living kiosk hears so, the code that is out is paid.
                    self.recall(store, at, Via::Import, &card.deposit, outcome)?;
                }
                self.card_confirm(store, at, who, payment)?
            }
            CardEnd::Undone(why) => self.card_void(store, at, who, payment, why)?,
            CardEnd::SaidUndone => self.card_void(store, at, who, payment, VoidReason::Abandoned)?,
            CardEnd::Unclear => {
                let then = then(store.card(payment)?.map(|row| row.standing));
                let text = format!(
                    "the imported journal of kiosk {who} ends before card payment {payment} does: find out whether the citizen has the \
                     code; {then}"
                );
                self.alarm_once(store, at, ("card-unclear", *payment, text))?;
                done.unclear += 1;
                return Ok(());
            }
        };
        match (card.end, answer) {
            (CardEnd::Taken, Response::Card(CardAnswer::Confirmed)) => done.confirmed += 1,
            (CardEnd::Undone(_) | CardEnd::SaidUndone, Response::Card(CardAnswer::Voided)) => {
                done.undone += 1
            }
            (end, answer) => {
                let then = then(store.card(payment)?.map(|row| row.standing));
                let text = format!(
                    "the imported journal of kiosk {who} ends card payment {payment} with {end:?}, and this center says {answer:?}: \
                     compare it with the acquirer; {then}"
                );
                self.alarm_once(store, at, ("card-unclear", *payment, text))?;
                done.refused += 1;
            }
        }
        Ok(())
    }
}
