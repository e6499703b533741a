//! A terminal with card devices in virtual time, and what its stories have in common.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::time::Duration;
use tolem_core::{
    view::{Body, Intent},
    words::{Word, word},
};
use tolem_hal_sim::{
    card_reader_device::{Thing, Whereabouts},
    chip_card::ChipCard,
    pin_pad_device::Display,
    world::cards::{self, PIN},
};
use tolem_protocol::{Amount, catalogue::Language};
use tolem_tests::rig::{PAYER, Rig};

/// 4 325 ₸, one index.
pub const MARRIAGE: &str = "marriage";

pub fn sum() -> Amount {
    Amount::from_tenge(4_325)
}

pub fn full() -> Amount {
    Amount::from_tenge(50_000)
}

/// A terminal with a card reader and a PIN pad, ready.
pub fn ready(seed: u64) -> Rig {
    ready_with(seed, Rig::fit_cards)
}

/// The same with these devices.
pub fn ready_with(seed: u64, fit: impl FnOnce(&mut Rig)) -> Rig {
    let mut rig = Rig::ready(seed);
    rig.center.open_cards(cards::bank(full()));
    fit(&mut rig);
    rig.until_screen("attract");
    rig.until("cards in service", |rig| match &rig.view.body {
        Body::Attract { states, .. } => states
            .iter()
            .any(|state| Language::ALL.iter().any(|l| state.text == word(*l, Word::StateCardYes))),
        _ => false,
    });
    rig
}

/// From the start screen to the open card slot.
pub fn open_slot(rig: &mut Rig) {
    rig.touch(Intent::SetLanguage(Language::English));
    rig.type_payer(MARRIAGE, PAYER);
    rig.tap(Word::Next);
    rig.until_screen("quote");
    rig.tap(Word::PayCard);
    rig.until_screen("card-insert");
    rig.until("an open slot", |rig| rig.cards.as_ref().is_some_and(|cards| cards.reader.is_accepting()));
}

pub fn insert(rig: &mut Rig, card: ChipCard) {
    let now = rig.now();
    let cards = rig.cards.as_mut().expect("fitted");
    assert!(cards.reader.insert(now, Thing::Card(Box::new(card))).is_ok(), "the slot is open");
}

pub fn enter(rig: &mut Rig, pin: &str) {
    rig.until_screen("card-pin");
    rig.until("a pad that takes digits", |rig| {
        matches!(rig.cards.as_ref().expect("fitted").pad.display(), Display::EnterPin { .. })
    });
    let now = rig.now();
    assert!(rig.cards.as_mut().expect("fitted").pad.enter(now, pin), "the pad takes it");
}

pub fn take(rig: &mut Rig) {
    rig.until_screen("card-take");
    rig.until("the card at the gate", |rig| {
        rig.cards.as_ref().expect("fitted").reader.place() == Whereabouts::Gate
    });
    let now = rig.now();
    assert!(rig.cards.as_mut().expect("fitted").reader.take(now));
}

/// A card whose PIN is wrong at first, and right when it is asked for again: to the code, and paid.
pub fn pay_at_the_second_try(rig: &mut Rig) {
    open_slot(rig);
    insert(rig, cards::card());
    enter(rig, "1111");
    rig.until_screen("card-wrong-pin");
    rig.tap(Word::PinAgain);
    enter(rig, PIN);
    take(rig);
    rig.until_screen("code");
    judge(rig, true);
}

/// The issuer's ledger is the truth: taken or not, and never held for ever.
pub fn judge(rig: &mut Rig, paid: bool) {
    for _ in 0..150 {
        rig.rest(Duration::from_secs(10));
        let held = rig.center.bank(|bank| bank.taken_and_held().1);
        if held.is_zero() && rig.kiosk().session().card_errands().count() == 0 {
            break;
        }
    }
    let expected = if paid { sum() } else { Amount::ZERO };
    let (taken_and_held, available) = rig
        .center
        .bank(|bank| (bank.taken_and_held(), bank.account(&cards::number()).expect("an account").available));
    assert_eq!(taken_and_held, (expected, Amount::ZERO), "{}", rig.story());
    assert_eq!(available, full().saturating_sub(expected));
    let owed = rig.kiosk().session().card_errands().count();
    assert_eq!(owed, 0, "{}", rig.story());
}

/// A story that ends in a message after the card was taken.
pub fn until_message(rig: &mut Rig, lead: Word) {
    rig.until_screen("message");
    assert_eq!(rig.view.lead, word(Language::English, lead).replace("{phone}", ""), "{:?}", rig.view.title);
}
