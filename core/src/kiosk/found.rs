//! A note that was taken although no payment was open: it is held at once, and shown to whoever stands there.
//!
//! It belongs to nobody the terminal knows, so there is nothing personal about it: a number and a sum, on the screen, and on paper
//! if somebody asks. Without it the number would be known to the journal and the center alone.

use super::{
    Kiosk,
    dialogue::{Dialogue, Serving},
};
use crate::{
    ports::{Signer, Store},
    session::Input,
    time::Instant,
    view::{Body, Intent, Picture, Tone, ViewModel, Weight},
    words::Word,
};
use std::time::Duration;
use tolem_protocol::{
    Amount, PaymentId,
    messages::{HeldBalance, Outcome, Verdict},
    record::Paper,
};

/// Whoever pushed the note in has left after this.
const STANDS_THERE: Duration = Duration::from_secs(120);

/// Money without an owner that came in a moment ago.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Stray {
    pub payment: PaymentId,
    pub amount: Amount,
    /// The center's answer: what it keeps the money under.
    pub outcome: Option<Outcome>,
    /// Our own number is on paper, so it stays the one on the screen.
    pub slip_given: bool,
    pub since: Instant,
}

impl Stray {
    /// The balance to name on the screen.
    fn balance(&self) -> Option<HeldBalance> {
        match self.outcome.as_ref()?.verdict {
            Verdict::Held(balance) if !self.slip_given => Some(balance),
            Verdict::Held(_) | Verdict::Accepted { .. } => None,
        }
    }
}

impl<S: Store, K: Signer> Kiosk<S, K> {
    /// Notes stacked at a start are nobody's who stands there now.
    pub(super) fn stray_taken(&mut self, payment: PaymentId, amount: Amount) {
        if !self.acceptor_starting {
            self.stray = Some(Stray { payment, amount, outcome: None, slip_given: false, since: self.now });
        }
    }

    /// The center's answer names the balance.
    pub(super) fn stray_settled(&mut self, outcome: &Outcome) {
        if let Some(stray) = self.stray.as_mut().filter(|stray| stray.payment == outcome.payment) {
            stray.outcome = Some(outcome.clone());
        }
    }

    /// Shows it as soon as the screen is free.
    pub(super) fn show_stray(&mut self) {
        let Some(stray) = &self.stray else { return };
        let shown = matches!(self.dialogue, Dialogue::Found { .. });
        if !shown && self.now.since(stray.since) >= STANDS_THERE {
            self.stray = None;
        } else if self.dialogue == Dialogue::Attract {
            self.dialogue = Dialogue::Found { since: self.now, printed: false };
            self.active();
        }
    }

    /// On paper, because somebody asked: the voucher, or the claim slip while the center has not answered.
    pub(super) fn print_stray(&mut self) {
        // Touched twice: one paper after the other.
        if self.session.print().is_some() {
            return;
        }
        let Some(stray) = &mut self.stray else { return };
        let payment = stray.payment;
        let paper = match stray.outcome.clone() {
            Some(outcome) => {
                self.center.serving = Some(Serving { outcome, quote: None });
                Paper::Voucher
            }
            None => {
                stray.slip_given = true;
                Paper::ClaimSlip
            }
        };
        self.act(Input::Print { payment, paper, copy: false });
    }

    /// A note without a payment: the number, the sum and whom to call. The number changes once, from our own to the center's.
    pub(super) fn found_screen(&self, printed: bool) -> ViewModel {
        let Some(stray) = &self.stray else { return self.closed_screen() };
        let number = match stray.balance() {
            Some(balance) => balance.number.to_string(),
            None => stray.payment.claim_number().to_string(),
        };
        let mut actions = vec![self.action(Word::Done, Intent::Done, Weight::Primary)];
        if !printed && !self.health.printer_blocked() {
            let mut print = self.action(Word::FoundPrint, Intent::Print, Weight::Secondary);
            print.enabled = self.session.print().is_none();
            actions.push(print);
        }
        ViewModel {
            screen: "found",
            title: self.say(if printed { Word::FoundPrinted } else { Word::FoundTitle }),
            lead: self.say(Word::FoundLead),
            body: Body::Message {
                tone: Tone::Good,
                picture: Picture::Slip,
                number,
                number_label: self.say(Word::FoundNumber),
                qr: None,
                rows: vec![self.row(Word::FoundSum, stray.amount.to_string(), true)],
                points: vec![self.notice_with(Tone::Info, Word::FoundHow, &[("phone", self.phone())])],
            },
            actions,
            ..ViewModel::default()
        }
    }
}
