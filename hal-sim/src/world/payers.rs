//! People with cards: how they put them in, what they do at the PIN pad, and whether they take them home.
//!
//! What such a person does follows from the mood as everything else, but from dice of its own: whoever pays in cash does what he did
//! before there were cards.

use super::{
    Center,
    cards::{LONG_PIN, Wallet},
    station::Station,
};
use crate::{
    card_reader_device::{Thing, Whereabouts},
    chip_card::CardFaults,
    line::Dice,
    pin_pad_device::{Display, Key},
};
use tolem_core::{
    kiosk::Event,
    time::Instant,
    view::{Action, Intent},
};

/// What somebody does when the PIN is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AtPad {
    Enters,
    CancelsOnPad,
    CancelsOnScreen,
    Waits,
}

/// How somebody pays by card.
#[derive(Clone, Debug)]
pub(super) struct CardHabit {
    dice: Dice,
    pays: bool,
    like: usize,
    faults: CardFaults,
    /// Wrong PINs before the right one.
    wrong: u64,
    at_pad: AtPad,
    /// Thousandths, at each look while the card is inside.
    tears: u16,
    forgets: bool,
}

/// What a look at a card screen leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// It is no screen for cards.
    NotMine,
    Stays,
    Leaves,
}

impl CardHabit {
    /// The habit of a mood.
    pub(super) fn of(mood: u64) -> Self {
        let mut dice = Dice::new(mood ^ 0xCA4D_CA4D);
        let command = |dice: &mut Dice, chance| dice.chance(chance).then(|| dice.below(20) as u32);
        Self {
            pays: dice.chance(650),
            like: [0, 0, 0, 1, 1, 2][dice.below(6) as usize],
            faults: CardFaults {
                torn_at: command(&mut dice, 90),
                mute_from: command(&mut dice, 30),
                refuses: dice.chance(20),
                refuses_after_approval: dice.chance(40),
            },
            wrong: [0, 0, 0, 0, 0, 0, 0, 1, 1, 4][dice.below(10) as usize],
            at_pad: match dice.below(100) {
                0..4 => AtPad::CancelsOnPad,
                4..7 => AtPad::CancelsOnScreen,
                7..11 => AtPad::Waits,
                _ => AtPad::Enters,
            },
            tears: [0, 0, 0, 60][dice.below(4) as usize],
            forgets: dice.chance(70),
            dice,
        }
    }

    /// Somebody without a card.
    pub(super) fn none() -> Self {
        Self { pays: false, ..Self::model() }
    }

    /// Somebody who does everything right.
    pub(super) fn model() -> Self {
        Self {
            dice: Dice::new(1),
            pays: true,
            like: 0,
            faults: CardFaults::default(),
            wrong: 0,
            at_pad: AtPad::Enters,
            tears: 0,
            forgets: false,
        }
    }

    /// Whether this person presses "pay by card" here.
    pub(super) fn chooses<'a>(&self, screen: &str, actions: &'a [Action]) -> Option<&'a Action> {
        let by_card = |action: &&Action| action.intent == Intent::PayCard && action.enabled;
        actions.iter().find(by_card).filter(|_| self.pays && screen == "quote")
    }

    /// What this person does at a screen of cards.
    pub(super) fn act<C: Center>(&mut self, station: &mut Station<C>, wallet: &mut Wallet) -> Next {
        let now = station.now();
        if station.view.dialog.is_some() || station.cards.is_none() {
            return Next::NotMine;
        }
        let next = match station.view.screen {
            "card-insert" => self.insert(now, station, wallet),
            "card-choose" => {
                let index = self.dice.below(2) as u8;
                station.event(Event::Touch(Intent::ChooseApplication(index)));
                Next::Stays
            }
            "card-pin" => self.pin(now, station),
            "card-wrong-pin" => {
                let again = self.dice.chance(800);
                station.event(Event::Touch(if again { Intent::TryAgain } else { Intent::Cancel }));
                Next::Stays
            }
            "card-reading" | "card-bank" => {
                let tears = self.dice.chance(self.tears);
                if tears && station.cards.as_mut().is_some_and(|cards| cards.reader.tear(now)) {
                    station.tally.add("card torn out");
                }
                Next::Stays
            }
            "card-take" => self.take(now, station),
            _ => return Next::NotMine,
        };
        station.settle();
        next
    }

    fn insert<C: Center>(&mut self, now: Instant, station: &mut Station<C>, wallet: &mut Wallet) -> Next {
        let Some(cards) = station.cards.as_mut().filter(|cards| cards.reader.is_accepting()) else {
            return Next::Stays;
        };
        // Whoever left the favourite one in another terminal has others.
        let Some(mut card) = (0..3).find_map(|more| wallet.take((self.like + more) % 3)) else {
            station.event(Event::Touch(Intent::Cancel));
            return Next::Stays;
        };
        card.faults = self.faults;
        match cards.reader.insert(now, Thing::Card(Box::new(card))) {
            Ok(()) => station.tally.add("card put in"),
            Err(Thing::Card(card)) => wallet.put(*card),
            Err(Thing::Short | Thing::Long) => {}
        }
        Next::Stays
    }

    fn pin<C: Center>(&mut self, now: Instant, station: &mut Station<C>) -> Next {
        let Some(cards) = &mut station.cards else { return Next::NotMine };
        if !matches!(cards.pad.display(), Display::EnterPin { stars: 0, .. }) {
            return Next::Stays;
        }
        match self.at_pad {
            AtPad::Waits => {}
            AtPad::CancelsOnPad => {
                cards.pad.press(now, Key::Cancel);
            }
            AtPad::CancelsOnScreen => station.event(Event::Touch(Intent::Cancel)),
            AtPad::Enters if self.wrong > 0 => {
                self.wrong -= 1;
                station.tally.add("wrong PIN");
                cards.pad.enter(now, "1111");
            }
            AtPad::Enters => {
                cards.pad.enter(now, LONG_PIN);
            }
        }
        Next::Stays
    }

    fn take<C: Center>(&mut self, now: Instant, station: &mut Station<C>) -> Next {
        let Some(cards) = &mut station.cards else { return Next::NotMine };
        if cards.reader.place() == Whereabouts::Gate {
            if self.forgets {
                station.tally.add("card forgotten");
                return Next::Leaves;
            }
            cards.reader.take(now);
        }
        Next::Stays
    }
}
