//! What is owed to the center about cards: confirmations and reversals, from the journal, until they are taken on.

use super::{Kiosk, center::Ask};
use crate::{
    health::FaultCode,
    ports::{Signer, Store},
    session::{CardStanding, Input},
    time::Instant,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tolem_probe::{Site, sometimes};
use tolem_protocol::{
    PaymentId,
    card::{CardAnswer, CardStep, VoidReason},
    messages::{Refusal, Request},
};

/// What an errand that was refused rests.
const ERRAND_REST: Duration = Duration::from_secs(30);

/// What is owed, beside the journal: when to say it again, and what was enquired already.
#[derive(Default)]
pub(super) struct Errands {
    resting: BTreeMap<PaymentId, Instant>,
    enquired: BTreeSet<PaymentId>,
    /// Approvals that a restored center was told of in this boot.
    pub(super) recalled: BTreeSet<PaymentId>,
}

impl<S: Store, K: Signer> Kiosk<S, K> {
    /// After a restart: each card payment that nobody decided is decided now, before anything is sent.
    pub(super) fn settle_cut_off_cards(&mut self) {
        while self.dying.is_none()
            && let Some((payment, step)) = self.session.undecided_card()
        {
            sometimes(if step == CardStep::ConfirmOwed {
                Site::CardCutOffConfirmed
            } else {
                Site::CardCutOffUndone
            });
            self.act(Input::Card(payment, step));
        }
        while self.dying.is_none()
            && let Some(payment) = self.session.card_leftover()
        {
            self.act(Input::Stop(payment));
        }
    }

    /// The code is on paper, may be on paper, or is about to be on the screen: the money is to be taken.
    pub(super) fn code_seen(&mut self, payment: PaymentId) {
        self.act(Input::Card(payment, CardStep::ConfirmOwed));
    }

    /// Says what is owed to the center about cards, one thing at a time. True if something is under way.
    pub(super) fn pump_cards(&mut self) -> bool {
        if self.center.is_asking(|ask| matches!(ask, Ask::Card(_) | Ask::CardErrand { .. })) {
            return true;
        }
        let errands = &self.errands;
        let rested =
            |payment: &PaymentId| errands.resting.get(payment).is_none_or(|until| self.now >= *until);
        let Some((payment, standing)) = self.session.card_errands().find(|(payment, _)| rested(payment))
        else {
            return false;
        };
        let enquiry = !errands.enquired.contains(&payment);
        let request = match standing {
            CardStanding::Confirming => Request::CardConfirm(payment),
            // How it stands is asked first: a decline that was not heard needs no reversal.
            CardStanding::Reversing(_) if enquiry => Request::CardEnquire(payment),
            CardStanding::Reversing(why) => Request::CardVoid { payment, why },
            _ => return false,
        };
        let enquiry = matches!(request, Request::CardEnquire(_));
        self.ask(Ask::CardErrand { payment, enquiry }, request);
        true
    }

    /// What the center says of a payment whose end is owed to it.
    pub(super) fn errand_answered(&mut self, payment: PaymentId, enquiry: bool, answer: CardAnswer) {
        let standing = self.session.payment(payment).and_then(|known| known.card_standing());
        let Some(standing) = standing else { return };
        let step = match (standing, answer) {
            (CardStanding::Reversing(_), CardAnswer::Declined { reason, .. }) => {
                Some(CardStep::Declined(reason))
            }
            (CardStanding::Reversing(_), CardAnswer::Voided) => Some(CardStep::ReversalAcknowledged),
            (CardStanding::Reversing(_) | CardStanding::Confirming, CardAnswer::Confirmed) => {
                Some(CardStep::Confirmed)
            }
            (
                CardStanding::Confirming,
                CardAnswer::Voided
                | CardAnswer::Declined { .. }
                | CardAnswer::Unknown
                | CardAnswer::Undecided,
            ) => {
                // The center does not know its own answer any more: it gets it again, and then the question.
                if self.recall_approval(payment) {
                    return;
                }
                // The citizen has a code that the center does not stand by: a person must look.
                self.fault(FaultCode::PaymentDisputed, true);
                None
            }
            _ => None,
        };
        match step {
            Some(step) => {
                self.act(Input::Card(payment, step));
                self.settle_cut_off_cards();
            }
            None if enquiry => {
                self.errands.enquired.insert(payment);
            }
            None => self.errand_rests(payment),
        }
    }

    pub(super) fn errand_rests(&mut self, payment: PaymentId) {
        let until = self.now + ERRAND_REST;
        self.errands.resting.insert(payment, until);
    }

    /// The center does not do what the order or an errand asks.
    pub(super) fn card_refused(&mut self, payment: PaymentId, refusal: Refusal) {
        if matches!(refusal, Refusal::IdConflict | Refusal::NotYours | Refusal::Malformed | Refusal::Unknown)
        {
            self.fault(FaultCode::PaymentDisputed, true);
        }
        self.errand_rests(payment);
        if self.desk.as_ref().is_some_and(|desk| desk.asked.is_some()) {
            self.no_answer(payment, VoidReason::NoAnswer);
        }
    }
}
