//! A town whose center has an acquirer of cards, and the shell's part for it: what the tests of card payments share.
#![allow(dead_code, reason = "each test file uses its own part")]

use crate::common::*;
use tolem_center::{
    keys::seal_card,
    logic::{
        Answer, Moment,
        acquirer::Standing,
        cards::{Acquirer, Next, Said},
        ledger,
        store::{CodeState, Result, Transact},
    },
};
use tolem_protocol::{
    PaymentId,
    card::{CardAnswer, CardOrder, CardSecret, PinKey, VoidReason},
    emv::{CardNumber, tags, tlv},
    iso8583::{Message, MessageType, de},
    messages::{DepositKind, Method, Quote, Request, Response},
    pinpad::{KeySerial, PinBlock},
    signed::Signed,
};

pub const SERIAL: [u8; 10] = [0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0, 1];
pub const FEE: u64 = 4_325;

pub fn number() -> CardNumber {
    CardNumber::parse(concat!("5413", "3300", "8902", "0011")).unwrap()
}

pub fn secret() -> CardSecret {
    let pin = (PinBlock::new([0xA5; 8]), PinKey::Dukpt(KeySerial(SERIAL)));
    CardSecret { number: number().into(), expiry: [3, 0, 1, 2], sequence: Some(1), pin: Some(pin) }
}

pub fn acquirer(open: bool) -> Acquirer {
    Acquirer { number: "398001".into(), is_open: open, takes_sealed: true }
}

/// A town whose center has an acquirer.
pub fn town<L: Lab>(lab: &L, open: bool) -> Town<L::Store> {
    let mut town = Town::new(lab.create());
    town.center.acquirer = Some(acquirer(open));
    town
}

/// The shell's part, with the gateway in the same store.
impl<S: Transact> Town<S> {
    pub fn with<R>(
        &mut self,
        mut work: impl FnMut(&tolem_center::logic::Center, &mut S, &mut Moment<'_>) -> Result<R>,
    ) -> R {
        let Self { center, store, now, dice, steps, .. } = self;
        let mut fresh = || dice.next();
        let mut trace = |step| steps.push(step);
        let mut at = Moment { now: *now, fresh: &mut fresh, trace: &mut trace };
        store.transact(|store| work(center, store, &mut at)).unwrap()
    }

    pub fn quote_by(&mut self, method: Method) -> Response {
        let payment = self.next_id(1);
        let service = heapless::String::try_from("marriage").unwrap();
        self.ask(1, Request::Quote { payment, service, payer: iin(ANNA), method, balance: None })
    }

    pub fn card_quote(&mut self) -> Signed<Quote> {
        match self.quote_by(Method::Either) {
            Response::Quote(quote) => quote,
            other => panic!("{other:?}"),
        }
    }

    pub fn order_of(&mut self, quote: &Signed<Quote>, secret: &CardSecret) -> CardOrder {
        let payment = quote.read_unverified().unwrap().payment;
        let deposit = self.deposit(payment, DepositKind::Pay, Some(quote), Some(ANNA), &[]);
        let (sealing, dice) = (self.sealing, &mut self.dice);
        let sealed = seal_card(&sealing, secret, &payment, &mut || dice.next()).unwrap();
        let mut chip_data = Vec::new();
        tlv::push(&mut chip_data, tags::CRYPTOGRAM, &[1, 2, 3, 4, 5, 6, 7, 8]);
        CardOrder {
            deposit,
            terminal: *b"KSK00001",
            merchant: *b"KIOSKTEST000001",
            sealed,
            chip_data: heapless::Vec::from_slice(&chip_data).unwrap(),
        }
    }

    /// What the center says to an order by itself, or the payment that waits for its code.
    pub fn order(&mut self, order: &CardOrder) -> Answer {
        let request = Request::Authorize(order.clone());
        let who = order.deposit.read_unverified().unwrap().payment.kiosk;
        self.with(|center, store, at| center.ask(store, at, who, &request, None))
    }

    pub fn code_for(&mut self, order: &CardOrder, remembers: bool) -> Next {
        let payment = order.deposit.read_unverified().unwrap().payment;
        let draft = self.center.draft(order).filter(|_| remembers);
        self.with(|center, store, at| {
            let reply = center.card_code_here(store, at, &payment)?;
            center.card_code(store, at, &payment, &reply, draft.as_ref())
        })
    }

    /// The one request for a fresh order.
    pub fn asked(&mut self) -> (PaymentId, Message) {
        let quote = self.card_quote();
        let order = self.order_of(&quote, &secret());
        let Answer::Order(payment) = self.order(&order) else { panic!("an order that is taken") };
        let Next::Ask(message) = self.code_for(&order, true) else { panic!("the issuer is asked") };
        (payment, message)
    }

    pub fn hear(&mut self, message: &Message) -> Said {
        self.with(|center, store, at| center.acquirer_says(store, at, message))
    }

    pub fn decided(&mut self, request: &Message, code: &[u8; 2]) -> CardAnswer {
        match self.hear(&answer(request, code)) {
            Said::Decided(_, Response::Card(answer)) => answer,
            _ => panic!("a decision"),
        }
    }

    pub fn errands(&mut self) -> Vec<Message> {
        self.with(|center, store, at| center.card_errands(store, at)).0
    }

    pub fn standing(&self, payment: &PaymentId) -> Standing {
        self.store.card(payment).unwrap().unwrap().standing
    }

    pub fn code_state(&self, payment: &PaymentId) -> Option<CodeState> {
        self.store.code_of(payment).unwrap().map(|row| row.state)
    }

    pub fn card(&mut self, request: Request) -> CardAnswer {
        match self.ask(1, request) {
            Response::Card(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub fn enquire(&mut self, payment: PaymentId) -> CardAnswer {
        self.card(Request::CardEnquire(payment))
    }

    pub fn owed_by_cards(&self) -> i64 {
        ledger::totals(&self.store).unwrap().get(&ledger::Account::Cards).copied().unwrap_or(0)
    }
}

/// The acquirer's answer.
pub fn answer(request: &Message, code: &[u8; 2]) -> Message {
    let mut answer = Message::new(request.kind.answer().unwrap()).with(de::RESPONSE, code);
    for field in [de::SENT, de::TRACE, de::TERMINAL] {
        answer.set(field, request.get(field).unwrap()).unwrap();
    }
    if request.kind == MessageType::AUTHORIZATION {
        let mut chip = Vec::new();
        tlv::push(&mut chip, tags::ISSUER_AUTHENTICATION, &[9; 10]);
        tlv::push(&mut chip, tags::ISSUER_SCRIPT_2, &[0x86, 1, 0]);
        answer.set(de::CHIP, &chip).unwrap();
    }
    if code == b"00" { answer.with(de::APPROVAL, b"A1B2C3") } else { answer }
}

pub fn void(payment: PaymentId) -> Request {
    Request::CardVoid { payment, why: VoidReason::CardRefused }
}
