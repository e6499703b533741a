//! What a restored center has forgotten: the answers that it signed are in this journal, and it gets them again.

use super::Kiosk;
use crate::ports::{Signer, Store};
use std::collections::{BTreeMap, VecDeque};
use tolem_probe::{Fault, planted};
use tolem_protocol::{
    PaymentId,
    card::{CardStep, VoidReason},
    messages::{Deposit, Outcome, Request},
    record::Fact,
    signed::Signed,
};

/// What a restored center is told.
#[derive(Clone)]
pub(super) enum Recall {
    /// An account and its signed answer.
    Answer(Box<(Signed<Deposit>, Signed<Outcome>)>),
    /// A card payment that came to nothing. The lost life has taken that on; this one may still hold the money for it.
    Undone(PaymentId, VoidReason),
}

impl Recall {
    fn answer(deposit: Signed<Deposit>, outcome: Signed<Outcome>) -> Self {
        Self::Answer(Box::new((deposit, outcome)))
    }

    pub(super) fn request(self) -> Request {
        match self {
            Self::Answer(told) => {
                let (deposit, outcome) = *told;
                Request::Recall { deposit, outcome }
            }
            Self::Undone(payment, why) => Request::CardVoid { payment, why },
        }
    }
}

impl<S: Store, K: Signer> Kiosk<S, K> {
    /// The center's database is another one than before: it gets our signed answers of the last 90 days again, and hears
    /// of what was undone.
    pub(super) fn recall_answers(&mut self) {
        const KEPT_SECONDS: i64 = 90 * 86_400;
        let Some(journal) = self.journal.as_ref().filter(|_| !planted(Fault::RecallForgotten)) else {
            return;
        };
        let oldest = self.utc.plus_seconds(-KEPT_SECONDS);
        let mut deposits: BTreeMap<PaymentId, Signed<Deposit>> = BTreeMap::new();
        // An approval that was not confirmed is nothing that anybody has.
        let mut approvals: BTreeMap<PaymentId, Signed<Outcome>> = BTreeMap::new();
        let mut undoing: BTreeMap<PaymentId, VoidReason> = BTreeMap::new();
        let (mut recalls, mut approved) = (VecDeque::new(), None);
        let read = journal.records(0, |record| {
            match &record.fact {
                Fact::CommitRequested { deposit }
                | Fact::HoldRequested { deposit }
                | Fact::AccountLearned { deposit }
                | Fact::AuthorizeSent { deposit, .. } => {
                    if let Some(read) = deposit.read_unverified() {
                        deposits.insert(read.payment, deposit.clone());
                    }
                }
                Fact::Card { payment, step: CardStep::Authorized { .. } } => approved = Some(*payment),
                Fact::Card { payment, step: CardStep::ConfirmOwed } => {
                    let deposit = deposits.remove(payment);
                    recalls.extend(
                        deposit.and_then(|deposit| Some(Recall::answer(deposit, approvals.remove(payment)?))),
                    );
                }
                Fact::Card { payment, step: CardStep::ReversalOwed(why) } => {
                    undoing.insert(*payment, *why);
                }
                Fact::Card { payment, step: CardStep::ReversalAcknowledged } if record.utc >= oldest => {
                    recalls.extend(undoing.remove(payment).map(|why| Recall::Undone(*payment, why)));
                }
                Fact::Settled { outcome } if record.utc >= oldest => {
                    let Some(read) = outcome.read_unverified() else { return true };
                    if approved == Some(read.payment) {
                        approvals.insert(read.payment, outcome.clone());
                    } else {
                        let deposit = deposits.remove(&read.payment);
                        recalls.extend(deposit.map(|deposit| Recall::answer(deposit, outcome.clone())));
                    }
                }
                _ => {}
            }
            true
        });
        match read {
            Ok(()) => self.center.recalls = recalls,
            Err(fault) => self.journal_failed(fault.to_string(), None),
        }
    }

    pub(super) fn recall_ended(&mut self) {
        let (epoch, known) = self.session.epochs();
        if let Some(center_epoch) = self.center.recalled_epoch.filter(|epoch| *epoch != known)
            && self.center.recalls.is_empty()
        {
            self.record(Fact::Linked { epoch, center_epoch });
            // Says that everything is told: a restored center opens when it has heard that from all.
            if self.link_is_up() {
                self.say_hello(self.utc);
            }
        }
    }

    /// A code that was printed while a restored center listened was not among what it was told: it is told now, once in a boot. False if
    /// that was done, or cannot be.
    pub(super) fn recall_approval(&mut self, payment: PaymentId) -> bool {
        let told = self
            .session
            .payment(payment)
            .and_then(|known| Some(Recall::answer(known.deposit.clone()?, known.outcome.clone()?)));
        let Some(told) = told.filter(|_| self.errands.recalled.insert(payment)) else { return false };
        self.center.recalls.push_back(told);
        true
    }
}
