//! What the citizen sees of a card payment.

use super::{
    Kiosk,
    card::KEEP_AFTER,
    dialogue::{CardScreen, Offer},
};
use crate::{
    drivers::pinpad,
    health::FaultCode,
    ports::{Signer, Store},
    view::{Action, Body, Intent, Notice, Picture, Row, Tone, ViewModel, Weight},
    words::Word,
};
use tolem_protocol::{Amount, PaymentId};

/// The bank is waited for this long before the screen says so, in seconds.
const BANK_SLOW_S: u64 = 8;
/// A card that lies at the gate is spoken of after this, in seconds.
const FORGOTTEN_S: u64 = 10;
/// Applications that fit the screen.
const MOST_CHOICES: usize = 4;

impl<S: Store, K: Signer> Kiosk<S, K> {
    /// What works now, on the start screen. Cards are not spoken of where there is no reader.
    pub(super) fn live_states(&self) -> Vec<Notice> {
        let state = |good: bool, yes, no| {
            self.notice(if good { Tone::Good } else { Tone::Warning }, if good { yes } else { no })
        };
        let mut states = vec![
            state(!self.health.printer_blocked(), Word::StateReceiptsYes, Word::StateReceiptsNo),
            state(self.cash_in_service(), Word::StateCashYes, Word::StateCashNo),
        ];
        if self.has_cards() {
            let no = if self.card_was_left() { Word::StateCardLeft } else { Word::StateCardNo };
            states.push(state(self.card_in_service(), Word::StateCardYes, no));
        }
        states.push(state(self.link_is_up(), Word::StateLinkYes, Word::StateLinkNo));
        states
    }

    /// The buttons of a quote: what it offers and what works.
    pub(super) fn ways_to_pay(&self, offer: &Offer) -> Vec<Action> {
        let mut ways = Vec::new();
        if self.takes_cash_for(&offer.quote) {
            ways.push(self.action(Word::PayCash, Intent::PayCash, Weight::Primary));
        }
        if self.card_offer(offer).is_some() {
            let weight = if ways.is_empty() { Weight::Primary } else { Weight::Secondary };
            ways.push(self.action(Word::PayCard, Intent::PayCard, weight));
        }
        ways
    }

    /// Why no card is offered for a sum that it could pay elsewhere.
    pub(super) fn too_much_for_card(&self, offer: &Offer) -> Option<Notice> {
        let most = pinpad::MOST_SHOWN.to_string();
        self.is_too_much_for_card(offer)
            .then(|| self.notice_with(Tone::Info, Word::CardTooMuch, &[("sum", &most)]))
    }

    /// The exact sum for a card, where it differs from the rounded one in cash.
    pub(super) fn card_total_row(&self, offer: &Offer) -> Option<Row> {
        let total = self.card_offer(offer)?;
        (offer.quote.method.has_cash() && total != offer.quote.due())
            .then(|| self.row(Word::CardTotal, total.to_string(), false))
    }

    /// What to have ready: a card where there is a reader.
    pub(super) fn what_to_bring(&self) -> Word {
        if self.has_cards() { Word::NeedCashOrCard } else { Word::NeedCash }
    }

    /// The sum, and which card paid it.
    pub(super) fn paid_with(&self, payment: PaymentId, fee: Amount) -> String {
        let Some(card) = self.session.payment(payment).and_then(|known| known.card.as_ref()) else {
            return fee.to_string();
        };
        let tail: String = card.mark.last_four.iter().map(|digit| char::from(b'0' + digit % 10)).collect();
        format!("{fee} · •••• {tail}")
    }

    pub(super) fn card_screen(&self, screen: &CardScreen) -> ViewModel {
        match screen {
            CardScreen::Insert => self.insert_screen(),
            CardScreen::Reading => self.chip_screen(Word::CardReadingTitle, self.read_stages(), None),
            CardScreen::Choose(found) => self.choose_screen(found),
            CardScreen::Pin => self.pin_screen(),
            CardScreen::Asking { since } => {
                let slow = self.now.since(*since).as_secs() >= BANK_SLOW_S;
                let notice = slow.then(|| self.notice(Tone::Info, Word::BankSlow));
                self.chip_screen(Word::BankAskedTitle, 1, notice)
            }
            CardScreen::WrongPin { .. } => ViewModel {
                screen: "card-wrong-pin",
                title: self.say(Word::WrongPinTitle),
                lead: self.say(Word::WrongPinLead),
                step: 3,
                body: self.card_body(Tone::Warning, Picture::PinPad, self.sum_row(), Vec::new()),
                actions: vec![
                    self.action(Word::PinAgain, Intent::TryAgain, Weight::Primary),
                    self.action(
                        if self.gives_cards_out() { Word::GiveCardBack } else { Word::TakeCardOut },
                        Intent::Cancel,
                        Weight::Quiet,
                    ),
                ],
                ..ViewModel::default()
            },
            CardScreen::Take { since, .. } => self.take_screen(self.now.since(*since).as_secs()),
        }
    }

    fn card_body(&self, tone: Tone, picture: Picture, rows: Vec<Row>, points: Vec<Notice>) -> Body {
        Body::Message {
            tone,
            picture,
            number: String::new(),
            number_label: String::new(),
            qr: None,
            rows,
            points,
        }
    }

    fn card_sum(&self) -> Option<Amount> {
        self.session.current()?.quoted()?.card_total()
    }

    fn sum_row(&self) -> Vec<Row> {
        self.card_sum().map(|sum| self.row(Word::ToPay, sum.to_string(), true)).into_iter().collect()
    }

    fn insert_screen(&self) -> ViewModel {
        let notice = if self.card_in_service() {
            self.last_remark()
        } else {
            Some(self.notice(Tone::Warning, Word::StateCardNo))
        };
        let keep = if self.gives_cards_out() { Word::CardInsertKeep } else { Word::CardInsertKeepDip };
        let points = vec![self.notice(Tone::Info, keep), self.notice(Tone::Info, Word::CardInsertPin)];
        ViewModel {
            screen: "card-insert",
            title: self.say(Word::CardInsertTitle),
            lead: self.say(Word::CardInsertLead),
            step: 3,
            notice,
            body: self.card_body(Tone::Info, Picture::CardIn, self.sum_row(), points),
            actions: vec![self.action(Word::Cancel, Intent::Cancel, Weight::Quiet)],
            ..ViewModel::default()
        }
    }

    /// The first stage before the bank has spoken, the second after.
    fn read_stages(&self) -> usize {
        usize::from(self.session.current().is_some_and(|payment| payment.card.is_some()))
    }

    fn chip_screen(&self, title: Word, active: usize, notice: Option<Notice>) -> ViewModel {
        let words = [Word::StageCardRead, Word::StageBank, Word::StageCodeGiven];
        ViewModel {
            screen: if title == Word::BankAskedTitle { "card-bank" } else { "card-reading" },
            title: self.say(title),
            lead: self.say(Word::CardReadingLead),
            step: 3,
            notice,
            body: Body::Working { stages: self.stages(&words, active) },
            ..ViewModel::default()
        }
    }

    fn choose_screen(&self, found: &[String]) -> ViewModel {
        let mut actions: Vec<Action> = (0..)
            .zip(found)
            .take(MOST_CHOICES)
            .map(|(index, label)| Action {
                label: label.clone(),
                ..self.action(Word::Next, Intent::ChooseApplication(index), Weight::Secondary)
            })
            .collect();
        actions.push(self.action(Word::Cancel, Intent::Cancel, Weight::Quiet));
        ViewModel {
            screen: "card-choose",
            title: self.say(Word::CardChooseTitle),
            lead: self.say(Word::CardChooseLead),
            step: 3,
            body: Body::Facts { rows: self.sum_row(), points: Vec::new(), notes: Vec::new() },
            actions,
            ..ViewModel::default()
        }
    }

    fn pin_screen(&self) -> ViewModel {
        let points = vec![self.notice(Tone::Info, Word::PinCover), self.notice(Tone::Info, Word::PinSecret)];
        ViewModel {
            screen: "card-pin",
            title: self.say(Word::PinTitle),
            lead: self.say(Word::PinLead),
            step: 3,
            body: self.card_body(Tone::Info, Picture::PinPad, self.sum_row(), points),
            actions: vec![self.action(Word::Cancel, Intent::Cancel, Weight::Quiet)],
            ..ViewModel::default()
        }
    }

    fn take_screen(&self, waited: u64) -> ViewModel {
        let stuck = self.health.has(FaultCode::CardJam);
        let notice = if stuck {
            Some(self.notice_with(Tone::Alarm, Word::TakeCardStuck, &[("phone", self.phone())]))
        } else if waited >= FORGOTTEN_S {
            let left = KEEP_AFTER.as_secs().saturating_sub(waited).to_string();
            let word = match (self.can_keep_cards(), self.waits_for_the_card()) {
                (true, _) => Word::TakeCardForgotten,
                (false, true) => Word::TakeCardOrUnpaid,
                (false, false) => Word::TakeCardRemember,
            };
            Some(self.notice_with(Tone::Warning, word, &[("seconds", &left)]))
        } else {
            None
        };
        ViewModel {
            screen: "card-take",
            title: self.say(Word::TakeCardTitle),
            lead: self.say(if self.gives_cards_out() { Word::TakeCardLead } else { Word::TakeCardLeadDip }),
            step: 3,
            notice,
            body: self.card_body(Tone::Good, Picture::CardOut, Vec::new(), Vec::new()),
            ..ViewModel::default()
        }
    }
}
