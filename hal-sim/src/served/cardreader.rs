//! The motorised card reader's words.

use super::{DeviceState, LineState, Model, Step, line_faults, number, unknown};
use crate::{
    card_reader_device::{CardReaderDevice, ReaderOutput, Thing, Trouble, Whereabouts},
    chip_card::{CardProfile, ChipCard, IssuerKeys},
};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use tolem_core::time::Instant;
use tolem_protocol::emv::{CardNumber, apdu::Transport};

/// So often a card counts at most while it is inside: a PIN may be tried again.
const MOST_TRIES: u16 = 16;

const HELP: &str = "insert common|poor|barred|two|expired|blocked|mute|short|long [t0|t1]; torn at COMMAND; take; tear; hold on|off; \
                    jam; shutter; box full|empty; clear; nak COUNT; silent on|off; power off|on; \
                    line ok; line drop|corrupt|duplicate|split|noise PERMILLE; line delay MS";

/// Whose test cards are put in: taken and put in again it is the same card, which counts on, because an issuer takes no count of a card twice. So
/// readers that share an issuer share a purse, and an issuer of its own has a purse of its own.
#[derive(Clone, Default)]
pub struct Purse(Arc<Mutex<u16>>);

impl Purse {
    /// The one of this process.
    pub fn shared() -> Self {
        static SHARED: LazyLock<Purse> = LazyLock::new(Purse::default);
        SHARED.clone()
    }

    /// What its cards have counted so far.
    pub fn counter(&self) -> MutexGuard<'_, u16> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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

/// A reader and the citizen's purse.
pub(super) struct CardReader {
    pub device: CardReaderDevice,
    pub purse: Purse,
}

/// A test card of this kind that has counted so far; its number is a public one.
fn card(kind: &str, transport: Transport, counter: u16) -> Option<Thing> {
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
    let mut card = ChipCard::new(profile, transport).used(counter);
    if kind == "mute" {
        card.faults.mute_from = Some(0);
    }
    Some(Thing::Card(Box::new(card)))
}

impl Model for CardReader {
    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.device.handle_bytes(now, bytes);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.device.handle_timeout(now);
    }

    fn step(&mut self) -> Step {
        match self.device.poll() {
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
                let mut counter = self.purse.counter();
                let thing = card(kind, transport, *counter).ok_or(
                    "allowed: insert common|poor|barred|two|expired|blocked|mute|short|long [t0|t1]",
                )?;
                let put_in = self.device.insert(now, thing);
                put_in.map_err(|_| "the shutter is closed, or a card is in the way")?;
                *counter = counter.wrapping_add(MOST_TRIES);
            }
            ["torn", "at", word] => {
                let at = number(word, "the number of a command to the chip, from 0")?;
                self.device.card().ok_or("no chip card is inside")?.faults.torn_at = Some(at);
            }
            ["take"] => {
                if !self.device.take(now) {
                    return Err("no card sticks out".into());
                }
            }
            ["tear"] => {
                if !self.device.tear(now) {
                    return Err("no card is there".into());
                }
            }
            ["hold", word] => self.device.hold(on(word)?),
            ["jam"] => self.device.set_trouble(now, Some(Trouble::Jam)),
            ["shutter"] => self.device.set_trouble(now, Some(Trouble::Shutter)),
            ["box", "full"] => self.device.set_trouble(now, Some(Trouble::BoxFull)),
            ["box", "empty"] => drop(self.device.empty_box()),
            ["clear"] => self.device.set_trouble(now, None),
            ["nak", word] => self.device.refuse_next(number(word, "a number of commands")?),
            ["silent", word] => self.device.set_silent(on(word)?),
            ["power", word] => self.device.set_power(now, on(word)?),
            ["line", rest @ ..] => self.device.set_line_faults(line_faults(rest)?),
            _ => return Err(unknown(words, HELP)),
        }
        Ok(self.state_line())
    }

    fn state(&self, line: LineState) -> DeviceState {
        DeviceState::CardReader(CardReaderState {
            line,
            powered: self.device.is_powered(),
            accepting: self.device.is_accepting(),
            place: self.device.place(),
            boxed: self.device.boxed().len(),
        })
    }

    fn state_line(&self) -> String {
        let place = match (self.device.is_powered(), self.device.place()) {
            (false, _) => "no power",
            (_, Whereabouts::Nowhere) if self.device.is_accepting() => "waits for a card",
            (_, Whereabouts::Nowhere) => "closed",
            (_, Whereabouts::Entering) => "draws a card in",
            (_, Whereabouts::Inside) => "a card is inside",
            (_, Whereabouts::Gate) => "a card sticks out",
        };
        format!("{place}, {} cards in the box", self.device.boxed().len())
    }

    fn help(&self) -> &'static str {
        HELP
    }
}
