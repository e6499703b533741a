//! A reader into which a citizen dips a card and holds it: nothing moves it, nothing holds it fast. Readers on PC/SC are like this.
//!
//! The system's driver stands between such a reader and the kiosk, so this model speaks the vocabulary of
//! [`tolem_core::card_reader`] and no bytes. That driver itself is tested through the real `pcscd`.

use crate::chip_card::{ChipCard, Reply};
use std::collections::VecDeque;
use tolem_core::{
    card_reader::{Abilities, ChipAnswer, Command, Event, Found},
    emv::{ChipFault, ChipTransport},
};
use tolem_protocol::emv::apdu::Transport;
use zeroize::Zeroizing;

/// What it can do with a card: nothing.
pub const ABILITIES: Abilities = Abilities { can_eject: false, can_retain: false, has_latch: false };

/// The reader, with or without a card in it.
#[derive(Default)]
pub struct DipReader {
    power: bool,
    card: Option<ChipCard>,
    chip_on: bool,
    accepting: bool,
    /// The kiosk knows of the card.
    told: bool,
    leaving: bool,
    events: VecDeque<Event>,
}

impl DipReader {
    /// Power for the reader. What the kiosk asked before is forgotten; it says what it finds.
    pub fn set_power(&mut self, on: bool) {
        *self = Self { power: on, card: self.card.take(), ..Self::default() };
        if on {
            self.told = self.card.is_some();
            self.events.push_back(Event::Ready(if self.told { Found::Inside } else { Found::Nothing }));
        }
    }

    /// A hand dips a card, whether it was asked for or not. False if one is inside already.
    pub fn insert(&mut self, card: ChipCard) -> bool {
        if self.card.is_some() {
            return false;
        }
        self.card = Some(card);
        self.look();
        true
    }

    /// A hand draws the card out, at any time.
    pub fn draw_out(&mut self) -> Option<ChipCard> {
        let card = self.card.take();
        if card.is_some() && self.told && self.power {
            self.events.push_back(Event::Taken);
        }
        (self.chip_on, self.told, self.leaving) = (false, false, false);
        card
    }

    /// Whether a card is in it.
    pub fn has_card(&self) -> bool {
        self.card.is_some()
    }

    /// Whether the kiosk waits for a card.
    pub fn is_accepting(&self) -> bool {
        self.accepting
    }

    /// What it did.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn look(&mut self) {
        if self.power && self.accepting && self.card.is_some() && !self.told {
            (self.accepting, self.told) = (false, true);
            self.events.push_back(Event::Inserted);
        }
    }

    /// The kiosk wants something.
    pub fn command(&mut self, command: &Command) {
        if !self.power {
            return;
        }
        match command {
            Command::Accept => {
                self.accepting = true;
                self.look();
            }
            Command::Refuse => self.accepting = false,
            Command::PowerChip => {
                let event = match &mut self.card {
                    Some(card) => {
                        card.reset();
                        self.chip_on = true;
                        Event::ChipReady(match card.transport() {
                            Transport::T0 => ChipTransport::T0,
                            Transport::T1 => ChipTransport::T1,
                        })
                    }
                    None => Event::ChipFault(ChipFault::Removed),
                };
                self.events.push_back(event);
            }
            Command::Transmit(bytes) => match self.card.as_mut().filter(|_| self.chip_on) {
                Some(card) => match card.transmit(bytes) {
                    Reply::Bytes(answer) => {
                        self.events.push_back(Event::Answer(ChipAnswer(Zeroizing::new(answer))));
                    }
                    Reply::Mute => self.events.push_back(Event::ChipFault(ChipFault::Mute)),
                    Reply::Gone => {
                        self.events.push_back(Event::ChipFault(ChipFault::Removed));
                        self.draw_out();
                    }
                },
                None => self.events.push_back(Event::ChipFault(ChipFault::Removed)),
            },
            // It hides nothing.
            Command::Seal => self.events.push_back(Event::ChipFault(ChipFault::Reader)),
            Command::Eject | Command::Retain => {
                self.chip_on = false;
                if self.told && !self.leaving {
                    self.leaving = true;
                    self.events.push_back(Event::AtGate);
                }
            }
            Command::Restart => {}
        }
    }
}
