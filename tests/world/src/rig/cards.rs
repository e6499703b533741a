//! The center's way to the issuer of cards, without a wire: its rules and the test issuer in one process.

use super::{MEMORY, SharedCenter};
use tolem_center::logic::{
    Answer,
    cards::{Acquirer, Next, Said},
};
use tolem_hal_sim::issuer::TestIssuer;
use tolem_protocol::{
    KioskNumber, UtcTime,
    card::{CardAnswer, CardOrder},
    iso8583::Message,
    messages::{Request, Response},
};

impl SharedCenter {
    /// An acquirer is connected, and this bank is behind it.
    pub fn open_cards(&self, bank: TestIssuer) {
        let mut state = self.0.borrow_mut();
        state.bank = Some(bank);
        state.center.acquirer = Some(Acquirer { number: "398001".into(), is_open: true });
    }

    /// Looks at the bank, or changes it.
    pub fn bank<R>(&self, look: impl FnOnce(&mut TestIssuer) -> R) -> R {
        look(self.0.borrow_mut().bank.as_mut().expect("cards are open"))
    }

    /// Says something to the bank; what it answers, if that comes.
    fn tell_bank(&self, now: UtcTime, message: &Message) -> Option<Response> {
        let answer = self.0.borrow_mut().bank.as_mut()?.hear(&message.encode())?;
        let answer = Message::decode(&answer).expect("the bank speaks well");
        let said = self.transact(now, |center, store, moment| center.acquirer_says(store, moment, &answer));
        match said.expect(MEMORY) {
            Said::Decided(_, response) => Some(response),
            Said::Other(_) => None,
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
        let next = self.transact(now, |center, store, at| {
            let draft = center.draft(order);
            let reply = center.card_code_here(store, at, &payment)?;
            center.card_code(store, at, &payment, &reply, draft.as_ref())
        })?;
        match next {
            Next::Answer(response) => Some(response),
            Next::Wait => Some(Response::Card(CardAnswer::Undecided)),
            Next::Ask(message) => {
                Some(self.tell_bank(now, &message).unwrap_or(Response::Card(CardAnswer::Undecided)))
            }
        }
    }

    /// What is owed to gateway and bank is said.
    pub(super) fn settle_cards(&self, now: UtcTime) {
        if self.0.borrow().bank.is_none() {
            return;
        }
        self.transact(now, |center, store, at| center.deliver_notices(store, at));
        let owed = self.transact(now, |center, store, at| center.card_errands(store, at));
        for message in owed.map(|(messages, _)| messages).unwrap_or_default() {
            self.tell_bank(now, &message);
        }
    }
}
