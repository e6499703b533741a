//! What can be seen of cards by somebody who stands beside a station.

use super::{Armed, Later, Station, Wire};
use crate::world::{
    center::Center,
    invariants::{Invariant, secrets_in},
};
use tolem_core::view::Body;
use tolem_protocol::{
    PaymentId,
    card::{CardAnswer, CardMoved, CardStep},
    record::{Fact, Paper},
};

impl<C: Center> Station<C> {
    /// Something waits for the next order of a card.
    pub(in crate::world) fn arm(&mut self, armed: Armed) {
        self.watch.armed.push(armed);
    }

    /// Looks at what a new record says of cards.
    pub(super) fn watch_card(&mut self, fact: &Fact) {
        match fact {
            Fact::AuthorizeSent { .. } => {
                self.tally.add("card asked for");
                self.armed_for_order();
            }
            Fact::Card { payment, step } => {
                self.tally.add(match step {
                    CardStep::Authorized { .. } => "card approved",
                    CardStep::Declined(_) => "card declined",
                    CardStep::ReversalOwed(_) => "card to be undone",
                    CardStep::ReversalAcknowledged => "card undone",
                    CardStep::ConfirmOwed => "card to be taken",
                    CardStep::Confirmed => "card paid",
                });
                if *step == CardStep::ConfirmOwed {
                    self.watch.must_show = !self.is_on_paper(*payment);
                }
            }
            Fact::CardMoved { moved: CardMoved::Retained(_), .. } => self.tally.add("card kept"),
            _ => {}
        }
    }

    /// Whether its receipt was ordered: then it is out, or may be.
    fn is_on_paper(&self, payment: PaymentId) -> bool {
        let ordered = |fact: &Fact| matches!(fact, Fact::PrintOrdered { payment: of, paper: Paper::Receipt, .. } if *of == payment);
        self.disk.told().iter().any(|record| ordered(&record.fact))
    }

    /// Money is taken for what somebody can read.
    pub(super) fn watch_code_shown(&mut self) {
        if std::mem::take(&mut self.watch.must_show) && !matches!(self.view.body, Body::Code { .. }) {
            self.break_rule(
                Invariant::CodeBeforeMoney,
                "a card's money is to be taken, and its code is neither on paper nor on the screen",
            );
        }
    }

    fn armed_for_order(&mut self) {
        for armed in std::mem::take(&mut self.watch.armed) {
            match armed {
                Armed::Later(after, what) => self.later.push((self.now + after, what)),
                Armed::Dies(effects, dark) => self.die_after(effects, dark),
                Armed::Stale | Armed::Twice => self.watch.armed.push(armed),
            }
        }
    }

    /// What was to happen a while later is due.
    pub(super) fn do_later(&mut self) {
        while let Some(place) = self.later.iter().position(|(due, _)| *due <= self.now) {
            let (_, what) = self.later.remove(place);
            self.chronicle.say(self.now, || format!("{what:?}"));
            match (what, &mut self.cards) {
                (Later::LinkDown, _) => self.set_wire(Wire::Down),
                (Later::LinkUp, _) => self.set_wire(Wire::Up),
                (Later::ReaderOff, Some(cards)) => cards.reader.set_power(self.now, false),
                (Later::ReaderOn, Some(cards)) if self.light && !cards.reader.is_powered() => {
                    cards.reader.set_power(self.now, true)
                }
                (Later::ReaderOff | Later::ReaderOn, _) => {}
            }
        }
    }

    /// An approval, or one with the code of an earlier payment.
    pub(super) fn maybe_stale_approval(&mut self, answer: CardAnswer) -> CardAnswer {
        let CardAnswer::Approved { outcome, approval, issuer } = answer else { return answer };
        let before = self.watch.last_approval.replace(outcome.clone());
        match before.filter(|before| *before != outcome) {
            Some(before) if self.take_armed(Armed::Stale) => {
                self.tally.add("stale approval");
                CardAnswer::Approved { outcome: before, approval, issuer }
            }
            _ => CardAnswer::Approved { outcome, approval, issuer },
        }
    }

    /// Whether this waits for now; then it waits no more.
    pub(super) fn take_armed(&mut self, wanted: Armed) -> bool {
        let found = self.watch.armed.iter().position(|armed| *armed == wanted);
        found.map(|place| self.watch.armed.remove(place)).is_some()
    }

    /// Neither number nor PIN of a card is ever here, where people's own numbers may be.
    pub(super) fn look_for_cards(&mut self, place: &str, bytes: &[u8]) {
        let digits: Vec<&str> =
            self.secrets.iter().map(String::as_str).filter(|digits| !is_iin(digits)).collect();
        if !digits.is_empty() && self.violation.is_none() {
            self.violation = secrets_in(place, bytes, &digits);
        }
    }
}

fn is_iin(digits: &str) -> bool {
    digits.len() == 12 && digits != crate::world::cards::LONG_PIN
}
