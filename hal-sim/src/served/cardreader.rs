//! The motorised card reader's words.

use super::{DeviceState, LineState, Model, Step, line_faults, number, unknown};
use crate::{
    card_reader_device::{CardReaderDevice, ReaderOutput, Thing, Trouble, Whereabouts},
    chip_card::{CardProfile, ChipCard, IssuerKeys},
};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use tolem_core::time::Instant;
use tolem_protocol::emv::{CardNumber, apdu::Transport};

/// So often a card counts at most while it is inside: a PIN may be tried again.
const MOST_TRIES: u16 = 16;

const HELP: &str = "insert common|poor|barred|two|expired|blocked|mute|short|long [t0|t1]; torn at COMMAND; take; tear; hold on|off; \
                    jam; shutter; box full|empty; clear; nak COUNT; silent on|off; power off|on; \
                    line ok; line drop|corrupt|duplicate|split|noise PERMILLE; line delay MS";

/// What a card reader shows.
#[derive(Clone, Debug)]
pub struct CardReaderState {
    /// Cable.
    pub line: LineState,
    /// It has power.
    pub powered: bool,
    /// A card is let in.
    pub accepting: bool,
    /// Where the card is.
    pub place: Whereabouts,
    /// Cards in the box.
    pub boxed: usize,
}

/// A test card of this kind; its number is a public one.
fn card(kind: &str, transport: Transport) -> Option<Thing> {
    // The numbers of the accounts that the test issuer has: one that can pay, one without money, one that is barred.
    let number = CardNumber::parse(match kind {
        "poor" => concat!("4761", "7390", "0101", "0119"),
        "barred" => concat!("4012", "3456", "7890", "9"),
        _ => concat!("5413", "3300", "8902", "0011"),
    })
    .expect("a public test number");
    let keys = IssuerKeys::test();
    let mut profile = match kind {
        "two" => CardProfile::with_two_applications(number, &keys),
        "short" => return Some(Thing::Short),
        "long" => return Some(Thing::Long),
        "common" | "poor" | "barred" | "expired" | "blocked" | "mute" => CardProfile::common(number, &keys),
        _ => return None,
    };
    match kind {
        "expired" => profile.applications[0].expiry = [0x25, 0x12, 0x31],
        "blocked" => profile.blocked = true,
        _ => {}
    }
    // Taken and put in again it is the same card, and an issuer takes no count twice.
    static USES: AtomicU16 = AtomicU16::new(0);
    let mut card = ChipCard::new(profile, transport).used(USES.fetch_add(MOST_TRIES, Relaxed));
    if kind == "mute" {
        card.faults.mute_from = Some(0);
    }
    Some(Thing::Card(Box::new(card)))
}

impl Model for CardReaderDevice {
    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        Self::handle_bytes(self, now, bytes);
    }

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn step(&mut self) -> Step {
        match self.poll() {
            ReaderOutput::Transmit(bytes) => Step::Transmit(bytes),
            ReaderOutput::Happened(what) => Step::Log(what),
            ReaderOutput::Wait(until) => Step::Wait(until),
        }
    }

    fn room(&self) -> usize {
        usize::MAX
    }

    fn command(&mut self, now: Instant, words: &[&str]) -> Result<String, String> {
        let on = |word: &str| match word {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(format!("{word:?} is neither on nor off")),
        };
        match words {
            ["insert", kind, rest @ ..] => {
                let transport = match rest {
                    [] | ["t0"] => Transport::T0,
                    ["t1"] => Transport::T1,
                    _ => return Err("a chip speaks t0 or t1".into()),
                };
                let thing = card(kind, transport).ok_or(
                    "allowed: insert common|poor|barred|two|expired|blocked|mute|short|long [t0|t1]",
                )?;
                self.insert(now, thing).map_err(|_| "the shutter is closed, or a card is in the way")?;
            }
            ["torn", "at", word] => {
                let at = number(word, "the number of a command to the chip, from 0")?;
                self.card().ok_or("no chip card is inside")?.faults.torn_at = Some(at);
            }
            ["take"] => {
                if !self.take(now) {
                    return Err("no card sticks out".into());
                }
            }
            ["tear"] => {
                if !self.tear(now) {
                    return Err("no card is there".into());
                }
            }
            ["hold", word] => self.hold(on(word)?),
            ["jam"] => self.set_trouble(now, Some(Trouble::Jam)),
            ["shutter"] => self.set_trouble(now, Some(Trouble::Shutter)),
            ["box", "full"] => self.set_trouble(now, Some(Trouble::BoxFull)),
            ["box", "empty"] => drop(self.empty_box()),
            ["clear"] => self.set_trouble(now, None),
            ["nak", word] => self.refuse_next(number(word, "a number of commands")?),
            ["silent", word] => self.set_silent(on(word)?),
            ["power", word] => self.set_power(now, on(word)?),
            ["line", rest @ ..] => self.set_line_faults(line_faults(rest)?),
            _ => return Err(unknown(words, HELP)),
        }
        Ok(self.state_line())
    }

    fn state(&self, line: LineState) -> DeviceState {
        DeviceState::CardReader(CardReaderState {
            line,
            powered: self.is_powered(),
            accepting: self.is_accepting(),
            place: self.place(),
            boxed: self.boxed().len(),
        })
    }

    fn state_line(&self) -> String {
        let place = match (self.is_powered(), self.place()) {
            (false, _) => "no power",
            (_, Whereabouts::Nowhere) if self.is_accepting() => "waits for a card",
            (_, Whereabouts::Nowhere) => "closed",
            (_, Whereabouts::Entering) => "draws a card in",
            (_, Whereabouts::Inside) => "a card is inside",
            (_, Whereabouts::Gate) => "a card sticks out",
        };
        format!("{place}, {} cards in the box", self.boxed().len())
    }

    fn help(&self) -> &'static str {
        HELP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The issuer takes no count of a card twice: without this the second payment with it would always be declined.
    #[test]
    fn a_card_that_is_put_in_again_counts_on() {
        let counter = || match card("common", Transport::T0) {
            Some(Thing::Card(card)) => card.counter(),
            _ => panic!("a card"),
        };
        let first = counter();
        assert!(counter() >= first + MOST_TRIES);
    }
}
