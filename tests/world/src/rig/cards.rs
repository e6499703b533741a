//! The center's way to the issuer of cards, without a wire: its rules and the test issuer in one process.

use super::{MEMORY, SharedCenter};
use crate::ledger::code_of;
use tolem_center::logic::{
    Answer,
    acquirer::{Acquiring as _, Standing},
    cards::{Acquirer, Next, Said},
    errands::Errands as _,
    rebuild::Standing as _,
    store::{CodeState, Store as _},
};
use tolem_hal_sim::issuer::TestIssuer;
use tolem_protocol::{
    KioskNumber, PaymentId, UtcTime,
    card::{CardAnswer, CardOrder},
    iso8583::{Message, MessageType, Original, de},
    messages::{Request, Response},
};

/// An answer that comes late comes after so many seconds: in time, just not, or long after everybody has given up.
const LATE_S: [i64; 3] = [3, 70, 200];

impl SharedCenter {
    /// An acquirer is connected, and this bank is behind it.
    pub fn open_cards(&self, bank: TestIssuer) {
        let mut state = self.0.borrow_mut();
        state.bank = Some(bank);
        state.center.acquirer = Some(Acquirer { number: "398001".into(), is_open: true, takes_sealed: true });
    }

    /// Whether anybody behind the center can open numbers that readers have enciphered.
    pub fn set_takes_sealed(&self, takes: bool) {
        if let Some(acquirer) = &mut self.0.borrow_mut().center.acquirer {
            acquirer.takes_sealed = takes;
        }
    }

    /// Looks at the bank, or changes it.
    pub fn bank<R>(&self, look: impl FnOnce(&mut TestIssuer) -> R) -> R {
        look(self.0.borrow_mut().bank.as_mut().expect("cards are open"))
    }

    /// Says something to the bank; what it answers, if that comes.
    fn tell_bank(&self, now: UtcTime, message: &Message) -> Option<Response> {
        if matches!(message.kind, MessageType::REVERSAL | MessageType::REVERSAL_REPEAT) {
            self.watch_reversal(message);
        }
        let answer = {
            let state = &mut *self.0.borrow_mut();
            let bank = state.bank.as_mut()?;
            let answer = bank.hear(&message.encode());
            for late in bank.late_answers() {
                let after = LATE_S[state.dice.below(LATE_S.len() as u64) as usize];
                state.late.push((now.plus_seconds(after), late));
            }
            answer?
        };
        self.hear_bank(now, &answer)
    }

    /// What the bank says is heard; the answer for whoever waits.
    fn hear_bank(&self, now: UtcTime, answer: &[u8]) -> Option<Response> {
        let answer = Message::decode(answer).expect("the bank speaks well");
        // A center whose disk has failed has not heard it.
        match self.transact(now, |center, store, moment| center.acquirer_says(store, moment, &answer))? {
            Said::Decided(_, response) => Some(response),
            Said::Other(_) => None,
        }
    }

    /// The gateway has acknowledged that the code is void before the bank hears of a reversal.
    fn watch_reversal(&self, message: &Message) {
        let state = &mut *self.0.borrow_mut();
        let Some(original) = message.get(de::ORIGINAL).and_then(Original::parse) else { return };
        let mut early = Vec::new();
        let _ = state.store.each_card(&mut |row| {
            let named =
                row.request.trace_digits() == original.trace && row.request.sent_digits() == original.sent;
            early.extend(
                row.outcome.as_ref().and_then(code_of).filter(|_| named).map(|code| (row.payment, code)),
            );
        });
        for (payment, code) in early {
            let kept = state.store.code(code).expect(MEMORY);
            if kept.is_some_and(|kept| kept.state != CodeState::Void) {
                state.early_reversals.push(payment);
            }
        }
    }

    /// An order: the code, the one request, and what is heard.
    pub(super) fn authorize(&self, now: UtcTime, who: KioskNumber, order: &CardOrder) -> Option<Response> {
        let request = Request::Authorize(order.clone());
        let asked = self.transact(now, |center, store, at| center.ask(store, at, who, &request, None))?;
        let payment = match asked {
            Answer::Ready(response) => return Some(response),
            Answer::Order(payment) => payment,
            _ => return None,
        };
        self.0.borrow_mut().orders.insert(payment, order.clone());
        self.fetch_card_code(now, payment)
    }

    /// Asks the gateway for the code of a card payment, and with it the bank.
    fn fetch_card_code(&self, now: UtcTime, payment: PaymentId) -> Option<Response> {
        let order = self.0.borrow().orders.get(&payment).cloned();
        let next = self.transact(now, |center, store, at| {
            let draft = order.as_ref().and_then(|order| center.draft(order));
            let reply = center.card_code_here(store, at, &payment)?;
            center.card_code(store, at, &payment, &reply, draft.as_ref())
        })?;
        let undecided = Response::Card(CardAnswer::Undecided);
        match next {
            Next::Wait => Some(undecided),
            Next::Answer(response) => {
                self.0.borrow_mut().orders.remove(&payment);
                Some(response)
            }
            Next::Ask(message) => {
                self.0.borrow_mut().orders.remove(&payment);
                self.tell_bank(now, &message).or(Some(undecided))
            }
        }
    }

    /// What is owed to gateway and bank is said, what comes late is heard.
    pub(super) fn settle_cards(&self, now: UtcTime) {
        if self.0.borrow().bank.is_none() {
            return;
        }
        loop {
            let due = {
                let late = &mut self.0.borrow_mut().late;
                let place = late.iter().position(|(due, _)| *due <= now);
                place.map(|place| late.remove(place))
            };
            let Some((_, answer)) = due else { break };
            self.hear_bank(now, &answer);
        }
        // What it has forgotten it hears first (its rules keep the rest from being said).
        if self.store(|store| store.rebuilding().expect(MEMORY)).is_some() {
            return;
        }
        let (notices, waiting, cards) = self.store(|store| {
            let notices = !store.notices_due(now, 1).expect(MEMORY).is_empty();
            let waiting = store.waiting_due(now, 16).expect(MEMORY);
            (notices, waiting, !store.cards_due(now, 1).expect(MEMORY).is_empty())
        });
        if notices || !waiting.is_empty() {
            self.transact(now, |center, store, at| center.deliver_notices(store, at));
        }
        for row in waiting {
            if self.transact(now, |center, store, _| center.waits_for_card(store, &row.payment)) == Some(true)
            {
                self.fetch_card_code(now, row.payment);
            }
        }
        if cards {
            let owed = self.transact(now, |center, store, at| center.card_errands(store, at));
            for message in owed.map(|(messages, _)| messages).unwrap_or_default() {
                self.tell_bank(now, &message);
            }
        }
    }

    /// Card payments that have no end at the acquirer yet. An approval of which its kiosk says nothing is not the center's to end.
    pub(super) fn cards_without_end(&self) -> usize {
        let mut owed = 0;
        self.store(|store| {
            let ended = |standing| {
                matches!(
                    standing,
                    Standing::Declined | Standing::Approved | Standing::Confirmed | Standing::Reversed
                )
            };
            store.each_card(&mut |row| owed += usize::from(!ended(row.standing)))
        })
        .expect(MEMORY);
        owed
    }
}
