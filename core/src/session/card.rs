//! A card's part of a payment: sent once, and then exactly one end.
//!
//! ```text
//!  AuthorizeSent ──▶ Sent ──Declined──────────────────────────────────▶ Declined: over
//!                     │ └──Authorized──▶ Authorized ──(code durable)── ConfirmOwed ──▶ Confirming ──▶ Confirmed
//!                     └──────ReversalOwed──────┴────▶ Reversing ──▶ Reversed: over
//!                                                        └─ a decline is heard, or the code was used: that is the end instead
//! ```

use super::{Decision, Effect, Payment, Session, Stage, account};
use serde::{Deserialize, Serialize};
use tolem_probe::{Fault, planted};
use tolem_protocol::{
    PaymentId, UtcTime,
    card::{CardMark, CardMoved, CardStep, ChipEvidence, DeclineReason, VoidReason},
    messages::{DepositKind, Verdict},
    record::Fact,
};

/// How a card's part of a payment stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CardStanding {
    /// The center is asked, once; nothing is known.
    Sent,
    /// Declined: nothing is held.
    Declined(DeclineReason),
    /// Issuer and chip agree; nobody has seen the code.
    Authorized,
    /// To be undone; the center has not taken that on.
    Reversing(VoidReason),
    /// The center undoes it.
    Reversed,
    /// The code was seen: the money is to be taken; the center has not taken that on.
    Confirming,
    /// The center takes it.
    Confirmed,
}

impl CardStanding {
    /// Something is still to be said to the center.
    pub const fn owes(self) -> bool {
        matches!(self, Self::Sent | Self::Authorized | Self::Reversing(_) | Self::Confirming)
    }

    /// The money is or will be taken.
    pub const fn is_taken(self) -> bool {
        matches!(self, Self::Confirming | Self::Confirmed)
    }

    /// It came to nothing.
    pub const fn is_nothing(self) -> bool {
        matches!(self, Self::Declined(_) | Self::Reversing(_) | Self::Reversed)
    }
}

/// A card's part of a payment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Card {
    /// Which card, as far as anybody may know.
    pub mark: CardMark,
    /// How it stands.
    pub standing: CardStanding,
    /// The issuer's code, once it is authorised.
    pub approval: Option<[u8; 6]>,
    /// What the chip left, once it is authorised.
    pub evidence: Option<ChipEvidence>,
}

impl Payment {
    /// How its card stands, if it is paid by card.
    pub fn card_standing(&self) -> Option<CardStanding> {
        self.card.as_ref().map(|card| card.standing)
    }

    /// A code was issued for it, and it counts.
    fn has_code(&self) -> bool {
        matches!(self.answer().map(|outcome| outcome.verdict), Some(Verdict::Accepted { .. }))
    }

    /// An answer to it would be news. Of a card's, only after the chip agreed, and before it is undone.
    pub(super) fn awaits_answer(&self) -> bool {
        self.outcome.is_none()
            && self.card_standing().is_none_or(|standing| standing == CardStanding::Authorized)
    }

    /// Its card came to nothing here: declined, undone, or taken for a code that somebody used although this terminal never showed it.
    pub(super) fn card_came_to_nothing(&self) -> bool {
        self.card_standing().is_some_and(|standing| {
            standing.is_nothing() || standing == CardStanding::Confirmed && self.outcome.is_none()
        })
    }

    /// Something about its card is still to be said to the center.
    pub(super) fn card_owes(&self) -> bool {
        self.card_standing().is_some_and(CardStanding::owes)
    }
}

impl Session {
    /// The card is about to be authorised: only for a payment that offers cards, for its very sum, and with nothing else in it.
    pub(super) fn authorize(&self, mark: CardMark, utc: UtcTime) -> Decision {
        match self.current() {
            Some(payment)
                if payment.stage() == Stage::Collecting
                    && self.order.is_none()
                    && payment.notes.is_empty()
                    && payment.quoted().and_then(|quote| quote.card_total()) == Some(mark.amount) =>
            {
                Decision::Authorize(account(payment, DepositKind::Pay, utc), mark)
            }
            Some(_) | None => Decision::Nothing,
        }
    }

    /// A step of a card payment, if it follows from where it stands.
    pub(super) fn card_step(&self, payment: PaymentId, step: CardStep) -> Decision {
        use CardStanding::{Authorized, Confirming, Reversing, Sent};
        let Some(known) = self.payment(payment) else { return Decision::Nothing };
        let Some(standing) = known.card_standing() else { return Decision::Nothing };
        let follows = match (&step, standing) {
            (CardStep::Authorized { .. }, Sent)
            | (CardStep::Declined(_), Sent | Reversing(_))
            | (CardStep::ReversalOwed(_), Sent | Authorized)
            | (CardStep::ReversalAcknowledged, Reversing(_))
            | (CardStep::Confirmed, Confirming | Reversing(_)) => true,
            (CardStep::ConfirmOwed, Authorized) => known.has_code(),
            _ => false,
        };
        if follows { Decision::Record(Fact::Card { payment, step }) } else { Decision::Nothing }
    }

    /// Takes in a durable fact about a card; others change nothing here.
    pub(super) fn commit_card_fact(&mut self, fact: &Fact, utc: UtcTime) -> Effect {
        match fact {
            Fact::AuthorizeSent { deposit, card } => {
                let id = deposit.read_unverified().map(|deposit| deposit.payment);
                if let Some(payment) = id.and_then(|id| self.payment_mut(id)) {
                    (payment.deposit, payment.requested_at) = (Some(deposit.clone()), utc);
                    payment.card = Some(Card {
                        mark: card.clone(),
                        standing: CardStanding::Sent,
                        approval: None,
                        evidence: None,
                    });
                }
            }
            Fact::Card { payment, step } => self.commit_card(*payment, step),
            Fact::CardMoved { payment, moved } => {
                self.card_inside = match moved {
                    CardMoved::Inserted | CardMoved::RetainOrdered(_) => Some(*payment),
                    CardMoved::Taken | CardMoved::Retained(_) => None,
                };
            }
            Fact::PinKeyUsed { serial } => self.pin_serial = Some(*serial),
            _ => {}
        }
        Effect::None
    }

    fn commit_card(&mut self, payment: PaymentId, step: &CardStep) {
        let Some(known) = self.payment_mut(payment) else { return };
        let Some(card) = &mut known.card else { return };
        card.standing = match step {
            CardStep::Authorized { approval, evidence } => {
                (card.approval, card.evidence) = (Some(*approval), Some(evidence.clone()));
                CardStanding::Authorized
            }
            CardStep::Declined(reason) => CardStanding::Declined(*reason),
            CardStep::ReversalOwed(why) => {
                // Its code is worth nothing, whoever asks.
                known.outcome = None;
                CardStanding::Reversing(*why)
            }
            CardStep::ReversalAcknowledged => CardStanding::Reversed,
            CardStep::ConfirmOwed => CardStanding::Confirming,
            CardStep::Confirmed => CardStanding::Confirmed,
        };
        self.forget();
    }

    /// A card payment that a restart cut off before it was decided, and what becomes of it: confirmed if its code may have been seen,
    /// undone otherwise.
    pub fn undecided_card(&self) -> Option<(PaymentId, CardStep)> {
        let cut_off =
            |payment: &&Payment| self.current != Some(payment.id) && self.print_of(payment.id).is_none();
        self.payments.iter().filter(cut_off).find_map(|payment| {
            // Without a code there is nothing to have seen, and [`Self::card_step`] takes no confirmation.
            let seen = payment.has_code()
                && (payment.maybe_printed || payment.handed_over || planted(Fault::CutOffConfirmed));
            let step = match payment.card_standing()? {
                CardStanding::Authorized if seen => CardStep::ConfirmOwed,
                CardStanding::Sent | CardStanding::Authorized => CardStep::ReversalOwed(VoidReason::PowerCut),
                _ => return None,
            };
            Some((payment.id, step))
        })
    }

    /// A card payment whose end the center has not taken on yet, the oldest first: what is to be said of it.
    pub fn card_errands(&self) -> impl Iterator<Item = (PaymentId, CardStanding)> + '_ {
        self.payments.iter().filter_map(|payment| {
            let standing = payment.card_standing()?;
            matches!(standing, CardStanding::Reversing(_) | CardStanding::Confirming)
                .then_some((payment.id, standing))
        })
    }

    /// A card payment that came to nothing while nobody stood before it: its record of having ended is due.
    pub fn card_leftover(&self) -> Option<PaymentId> {
        let left = |payment: &&Payment| {
            payment.ending.is_none() && self.current != Some(payment.id) && payment.card_came_to_nothing()
        };
        self.payments.iter().find(left).map(|payment| payment.id)
    }

    fn print_of(&self, payment: PaymentId) -> Option<u64> {
        self.print.filter(|print| print.payment == payment).map(|print| print.print)
    }
}
