//! A motorised card reader, seen from its own side of the line: shutter, motor, contacts, box, and the one card in it.
//!
//! Written from the device's point of view (OMRON's specification of the 3S4YR): a command is carried out only after ENQ, a further ENQ
//! repeats the last answer, and after a mechanical error or a power cut only a reset is taken. It owns the physical truth: where each card
//! is. Whoever is in the reader may be a chip card, which is spoken to through it.

mod sred;
#[cfg(test)]
mod tests;

pub use sred::{SecureUnit, Sred};

use crate::{
    chip_card::{ChipCard, Reply},
    line::{Line, LineFaults, OneFault},
};
use std::{collections::VecDeque, time::Duration};
use tolem_core::time::Instant;
use tolem_protocol::card_reader::{
    Answer, CardGoes, Command, Control, Decoded, Decoder, Place, ReaderError, Text,
};
use zeroize::Zeroizing;

pub use crate::ccnet_device::Way;

/// What somebody pushes into the slot.
pub enum Thing {
    /// A card with a chip.
    Card(Box<ChipCard>),
    /// A piece of plastic that is too short.
    Short,
    /// One that is too long.
    Long,
}

/// Where the thing in the reader is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whereabouts {
    /// There is none.
    Nowhere,
    /// Being drawn in.
    Entering,
    /// Inside.
    Inside,
    /// Sticking out of the gate.
    Gate,
}

/// What lasts until somebody mends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// A card is stuck.
    Jam,
    /// The shutter does not open.
    Shutter,
    /// The box is full: a card stays at its mouth.
    BoxFull,
}

/// What it wants done next.
#[derive(Clone, PartialEq, Eq)]
pub enum ReaderOutput {
    /// Send these bytes.
    Transmit(Vec<u8>),
    /// This happened, in words; no card data.
    Happened(String),
    /// Nothing before this instant unless bytes or hands come.
    Wait(Instant),
}

/// How far a command is.
enum Phase {
    Idle,
    /// Acknowledged; waits for ENQ.
    Understood(Command),
    /// Being carried out.
    Busy {
        until: Instant,
        command: Command,
    },
}

const THINKING: Duration = Duration::from_millis(20);
const INTAKE: Duration = Duration::from_millis(900);
/// A chip that says nothing is given up after this.
const CHIP_PATIENCE: Duration = Duration::from_secs(5);

fn duration(command: &Command) -> Duration {
    Duration::from_millis(match command {
        Command::Reset(..) => 2_000,
        Command::Eject => 1_000,
        Command::Capture => 1_200,
        Command::Recapture => 1_800,
        Command::Press | Command::Release => 250,
        Command::Activate => 300,
        Command::Exchange(..) => 40,
        _ => 10,
    })
}

/// The device.
pub struct CardReaderDevice {
    now: Instant,
    powered: bool,
    silent: bool,
    phase: Phase,
    last: Option<Text>,
    decoder: Decoder,
    needs_reset: bool,
    drawn_out: bool,
    accepting: bool,
    thing: Option<Thing>,
    place: Whereabouts,
    arrives: Option<Instant>,
    pressed: bool,
    active: bool,
    /// The secure part, if it has one.
    sred: Option<Sred>,
    at_power_loss: CardGoes,
    trouble: Option<Trouble>,
    held_by_hand: bool,
    naks: u32,
    captured: u16,
    /// Cards in the box.
    boxed: Vec<ChipCard>,
    /// Cards that somebody took or tore out.
    taken: Vec<ChipCard>,
    moves: u32,
    to_host: Line,
    to_device: Line,
    events: VecDeque<String>,
}

impl CardReaderDevice {
    /// A powered device without a card, which nobody has reset yet.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant(0),
            powered: true,
            silent: false,
            phase: Phase::Idle,
            last: None,
            decoder: Decoder::new(),
            needs_reset: true,
            drawn_out: false,
            accepting: false,
            thing: None,
            place: Whereabouts::Nowhere,
            arrives: None,
            pressed: false,
            active: false,
            sred: None,
            at_power_loss: CardGoes::Out,
            trouble: None,
            held_by_hand: false,
            naks: 0,
            captured: 0,
            boxed: Vec::new(),
            taken: Vec::new(),
            moves: 0,
            to_host: Line::new(seed ^ 0x9696),
            to_device: Line::new(seed ^ 0x6969),
            events: VecDeque::new(),
        }
    }

    /// The same with a secure part: it hides numbers, enciphers them, and shares them with the pad of its unit alone.
    #[must_use]
    pub fn with_sred(mut self, unit: SecureUnit) -> Self {
        self.sred = Some(Sred::new(unit));
        self
    }

    /// Somebody opened the secure part: its keys are gone.
    pub fn tamper(&mut self, now: Instant) {
        self.handle_timeout(now);
        if let Some(sred) = &mut self.sred {
            sred.wipe();
            self.note("opened: all keys are wiped");
        }
    }

    /// The secure part hides numbers, or lies and does not.
    pub fn set_hides(&mut self, hides: bool) {
        if let Some(sred) = &mut self.sred {
            sred.set_hides(hides);
        }
    }

    /// What comes out next; call until [`ReaderOutput::Wait`].
    pub fn poll(&mut self) -> ReaderOutput {
        if let Some(event) = self.events.pop_front() {
            return ReaderOutput::Happened(event);
        }
        if let Some(bytes) = self.to_host.receive(self.now) {
            return ReaderOutput::Transmit(bytes);
        }
        let next = [self.deadline(), self.to_host.next_due(), self.to_device.next_due()];
        ReaderOutput::Wait(next.into_iter().flatten().min().unwrap_or(Instant(u64::MAX)))
    }

    /// Time went by.
    pub fn handle_timeout(&mut self, now: Instant) {
        loop {
            let timer = self.deadline().filter(|due| *due <= now);
            let bytes = self.to_device.next_due().filter(|due| *due <= now);
            match (timer, bytes) {
                (Some(timer), bytes) if bytes.is_none_or(|bytes| timer <= bytes) => {
                    self.now = self.now.max(timer);
                    self.step();
                }
                (_, Some(due)) => {
                    self.now = self.now.max(due);
                    if let Some(bytes) = self.to_device.receive(due) {
                        self.hear(&bytes);
                    }
                }
                _ => break,
            }
        }
        self.now = self.now.max(now);
    }

    /// Bytes came from the terminal, in any split.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.to_device.send(now, bytes);
        self.handle_timeout(now);
    }

    /// How both directions of the line misbehave from now on.
    pub fn set_line_faults(&mut self, faults: LineFaults) {
        self.to_host.set_faults(faults);
        self.to_device.set_faults(faults);
    }

    /// One fault for the next bytes in this direction.
    pub fn fault_next(&mut self, way: Way, fault: OneFault) {
        match way {
            Way::ToHost => self.to_host.fault_next(fault),
            Way::ToDevice => self.to_device.fault_next(fault),
        }
    }

    // ---- Hands ------------------------------------------------------------------------------------------------------

    /// Pushes something into the slot; back if the shutter is closed or something is in the way.
    pub fn insert(&mut self, now: Instant, thing: Thing) -> Result<(), Thing> {
        self.handle_timeout(now);
        if !self.powered || !self.accepting || self.place != Whereabouts::Nowhere {
            return Err(thing);
        }
        self.thing = Some(thing);
        self.accepting = false;
        self.place = Whereabouts::Entering;
        self.arrives = Some(self.now + INTAKE);
        self.note("a card is drawn in");
        Ok(())
    }

    /// Takes the card from the gate; false if none sticks out.
    pub fn take(&mut self, now: Instant) -> bool {
        self.handle_timeout(now);
        if self.place != Whereabouts::Gate {
            return false;
        }
        self.remove();
        self.note("the card was taken");
        true
    }

    /// Tears the card out with a tool, wherever it is; false if there is none.
    pub fn tear(&mut self, now: Instant) -> bool {
        self.handle_timeout(now);
        if self.thing.is_none() {
            return false;
        }
        self.tear_out();
        true
    }

    /// A hand holds the card at the gate fast: it cannot be drawn in again.
    pub fn hold(&mut self, held: bool) {
        self.held_by_hand = held;
    }

    /// Something is wrong from now on, or nothing any more. A technician who mends it takes a stuck card out.
    pub fn set_trouble(&mut self, now: Instant, trouble: Option<Trouble>) {
        self.handle_timeout(now);
        self.trouble = trouble;
    }

    /// The next so many commands are answered with NAK.
    pub fn refuse_next(&mut self, naks: u32) {
        self.naks = naks;
    }

    /// It hears and says nothing, though it has power.
    pub fn set_silent(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Power on or off. Off, a condenser still does with the card what the last reset said.
    pub fn set_power(&mut self, now: Instant, on: bool) {
        self.handle_timeout(now);
        if self.powered && !on && matches!(self.place, Whereabouts::Inside | Whereabouts::Entering) {
            match self.at_power_loss {
                CardGoes::Held => self.place = Whereabouts::Inside,
                CardGoes::Out => self.place = Whereabouts::Gate,
                CardGoes::Captured => self.put_into_box(),
            }
        }
        self.powered = on;
        self.phase = Phase::Idle;
        self.last = None;
        self.arrives = None;
        (self.accepting, self.pressed, self.active) = (false, false, false);
        self.forget_number();
        (self.needs_reset, self.drawn_out) = (true, false);
        self.decoder.clear();
        self.to_host.clear();
        self.to_device.clear();
        self.note(if on { "power on" } else { "power off" });
    }

    /// Whoever has a card again puts it away.
    pub fn put_away(&mut self) -> Vec<ChipCard> {
        std::mem::take(&mut self.taken)
    }

    /// A technician empties the box.
    pub fn empty_box(&mut self) -> Vec<ChipCard> {
        std::mem::take(&mut self.boxed)
    }

    // ---- Truth ------------------------------------------------------------------------------------------------------

    /// Where the thing in it is.
    pub fn place(&self) -> Whereabouts {
        self.place
    }

    /// It has power.
    pub fn is_powered(&self) -> bool {
        self.powered
    }

    /// A card is let in.
    pub fn is_accepting(&self) -> bool {
        self.accepting
    }

    /// Cards in the box.
    pub fn boxed(&self) -> &[ChipCard] {
        &self.boxed
    }

    /// Cards that somebody has again, in order.
    pub fn taken(&self) -> &[ChipCard] {
        &self.taken
    }

    /// How often the motor turned for a card.
    pub fn moves(&self) -> u32 {
        self.moves
    }

    /// The chip card in it.
    pub fn card(&mut self) -> Option<&mut ChipCard> {
        match &mut self.thing {
            Some(Thing::Card(card)) => Some(card),
            _ => None,
        }
    }

    fn note(&mut self, text: &str) {
        self.events.push_back(text.to_owned());
    }

    fn forget_number(&mut self) {
        if let Some(sred) = &mut self.sred {
            sred.forget();
        }
    }

    fn remove(&mut self) {
        self.forget_number();
        if let Some(Thing::Card(card)) = self.thing.take() {
            self.taken.push(*card);
        }
        self.thing = None;
        self.place = Whereabouts::Nowhere;
        self.arrives = None;
        (self.pressed, self.active) = (false, false);
    }

    fn tear_out(&mut self) {
        let inside = self.place == Whereabouts::Inside;
        self.remove();
        self.drawn_out = inside;
        self.note("the card was torn out");
    }

    fn put_into_box(&mut self) {
        self.forget_number();
        if let Some(Thing::Card(card)) = self.thing.take() {
            self.boxed.push(*card);
        }
        self.thing = None;
        self.place = Whereabouts::Nowhere;
        self.captured = self.captured.saturating_add(1).min(999);
        self.note("the card fell into the box");
    }

    // ---- Line -------------------------------------------------------------------------------------------------------

    fn deadline(&self) -> Option<Instant> {
        let busy = if let Phase::Busy { until, .. } = &self.phase { Some(*until) } else { None };
        [busy, self.arrives].into_iter().flatten().min().filter(|_| self.powered)
    }

    fn step(&mut self) {
        if self.arrives.is_some_and(|arrives| arrives <= self.now) {
            self.arrives = None;
            self.place = Whereabouts::Inside;
            self.note("a card is inside");
        }
        if let Phase::Busy { until, .. } = &self.phase
            && *until <= self.now
            && let Phase::Busy { command, .. } = std::mem::replace(&mut self.phase, Phase::Idle)
        {
            let answer = self.carry_out(&command);
            self.last = answer.text();
            self.say_last();
        }
    }

    fn say_last(&mut self) {
        if let Some(text) = &self.last {
            self.to_host.send(self.now + THINKING, &text.frame());
        }
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        if !self.powered || self.silent {
            return;
        }
        while let Some(found) = self.decoder.next(&mut bytes) {
            // While it works it hears nothing.
            if matches!(self.phase, Phase::Busy { .. }) {
                continue;
            }
            match found {
                Decoded::Control(Control::Enquire) => match std::mem::replace(&mut self.phase, Phase::Idle) {
                    Phase::Understood(command) => self.begin(command),
                    _ => self.say_last(),
                },
                Decoded::Control(Control::End) => self.phase = Phase::Idle,
                Decoded::Control(_) => {}
                Decoded::Bad => {
                    self.phase = Phase::Idle;
                    self.control(Control::Refuse);
                }
                Decoded::Text(_) if self.naks > 0 => {
                    self.naks -= 1;
                    self.phase = Phase::Idle;
                    self.control(Control::Refuse);
                }
                Decoded::Text(text) => {
                    self.control(Control::Acknowledge);
                    match Command::parse(&text) {
                        Some(command) => self.phase = Phase::Understood(command),
                        // An unknown command is answered as such.
                        None => {
                            let code = text.bytes().get(1..3).and_then(|code| code.try_into().ok());
                            self.last = Answer::new(code.unwrap_or(*b"??"), Err(ReaderError(0))).text();
                            self.phase = Phase::Idle;
                        }
                    }
                }
            }
        }
    }

    fn control(&mut self, control: Control) {
        self.to_host.send(self.now + THINKING, &control.bytes());
    }

    fn begin(&mut self, command: Command) {
        let patience = match (&command, self.card()) {
            (Command::Exchange(..), Some(card)) if card.faults.mute_from.is_some() => CHIP_PATIENCE,
            _ => Duration::ZERO,
        };
        let until = self.now + duration(&command) + patience;
        self.phase = Phase::Busy { until, command };
    }

    // ---- Mechanics --------------------------------------------------------------------------------------------------

    fn carry_out(&mut self, command: &Command) -> Answer {
        let code = command.code();
        let mut data = Zeroizing::default();
        let done = match command {
            Command::Reset(goes, later) => {
                self.at_power_loss = *later;
                self.reset(*goes)
            }
            _ if self.needs_reset => Err(ReaderError::NEEDS_RESET),
            _ if self.drawn_out => Err(ReaderError::DRAWN_OUT),
            command => self.ordinary(command, &mut data),
        };
        if let Err(error) = done
            && error.calls_for_reset()
        {
            self.needs_reset = true;
            (self.pressed, self.active, self.accepting) = (false, false, false);
        }
        Answer { code, result: done.map(|()| self.reported(command)), data }
    }

    fn reported(&self, command: &Command) -> Place {
        match (self.place, command) {
            (Whereabouts::Nowhere | Whereabouts::Entering, _) => Place::Nowhere,
            (Whereabouts::Gate, _) => Place::Gate,
            (Whereabouts::Inside, Command::Exchange(..)) => Place::Answered,
            (Whereabouts::Inside, Command::Press) => Place::Pressed,
            (Whereabouts::Inside, Command::Activate) => Place::Active,
            (Whereabouts::Inside, _) => Place::Inside,
        }
    }

    fn reset(&mut self, goes: CardGoes) -> Result<(), ReaderError> {
        (self.needs_reset, self.drawn_out) = (false, false);
        (self.accepting, self.pressed, self.active) = (false, false, false);
        match (goes, self.place) {
            (_, Whereabouts::Nowhere) => self.trouble_with(Trouble::Shutter),
            (CardGoes::Out, _) => self.eject(),
            (CardGoes::Held | CardGoes::Captured, Whereabouts::Gate) if self.held_by_hand => {
                Err(ReaderError::HELD)
            }
            (CardGoes::Held, _) => {
                self.blocked()?;
                if self.place == Whereabouts::Gate {
                    self.moves += 1;
                }
                self.place = Whereabouts::Inside;
                Ok(())
            }
            (CardGoes::Captured, _) => self.capture(),
        }
    }

    fn trouble_with(&self, trouble: Trouble) -> Result<(), ReaderError> {
        match self.trouble {
            Some(found) if found == trouble => Err(match trouble {
                Trouble::Jam => ReaderError::JAM,
                Trouble::Shutter => ReaderError::SHUTTER,
                Trouble::BoxFull => ReaderError::BOX_JAM,
            }),
            _ => Ok(()),
        }
    }

    fn blocked(&self) -> Result<(), ReaderError> {
        self.trouble_with(Trouble::Jam)
    }

    fn eject(&mut self) -> Result<(), ReaderError> {
        self.blocked()?;
        self.trouble_with(Trouble::Shutter)?;
        self.moves += 1;
        self.place = Whereabouts::Gate;
        self.note("the card sticks out");
        Ok(())
    }

    fn capture(&mut self) -> Result<(), ReaderError> {
        self.blocked()?;
        self.trouble_with(Trouble::BoxFull)?;
        self.moves += 1;
        self.put_into_box();
        Ok(())
    }

    fn ordinary(&mut self, command: &Command, data: &mut Zeroizing<Vec<u8>>) -> Result<(), ReaderError> {
        let inside = self.place == Whereabouts::Inside;
        let wrong_size = match self.thing {
            Some(Thing::Short) if inside => Some(ReaderError::TOO_SHORT),
            Some(Thing::Long) if inside => Some(ReaderError::TOO_LONG),
            _ => None,
        };
        if let Some(error) = wrong_size
            && *command != Command::Eject
        {
            return Err(error);
        }
        match command {
            Command::Status => Ok(()),
            Command::Permit if self.place == Whereabouts::Nowhere => {
                self.trouble_with(Trouble::Shutter)?;
                self.accepting = true;
                Ok(())
            }
            Command::Deny => {
                self.accepting = false;
                Ok(())
            }
            Command::Eject if inside && !self.pressed => self.eject(),
            Command::Capture if inside && !self.pressed => self.capture(),
            Command::Recapture if self.place != Whereabouts::Gate => Err(ReaderError::GONE),
            Command::Recapture if self.held_by_hand => Err(ReaderError::HELD),
            Command::Recapture => self.capture(),
            Command::Captured => {
                data.extend(format!("{:03}", self.captured).bytes());
                Ok(())
            }
            Command::ForgetCaptured => {
                self.captured = 0;
                Ok(())
            }
            Command::Press if inside => {
                self.pressed = true;
                Ok(())
            }
            Command::Release if inside => {
                (self.pressed, self.active) = (false, false);
                self.forget_number();
                Ok(())
            }
            Command::SealState if self.sred.is_some() => {
                data.push(if self.sred.as_ref().is_some_and(Sred::is_good) { b'1' } else { b'0' });
                Ok(())
            }
            Command::SealCard if inside => {
                let sealed = self.sred.as_mut().and_then(Sred::seal).ok_or(ReaderError::NOT_SEALED)?;
                data.extend(sealed.to_bytes());
                Ok(())
            }
            Command::Activate if self.pressed => {
                self.forget_number();
                let card = self.card().ok_or(ReaderError::CHIP_DEAD)?;
                if card.faults.mute_from == Some(0) {
                    return Err(ReaderError::CHIP_DEAD);
                }
                data.extend(card.reset());
                self.active = true;
                Ok(())
            }
            Command::Deactivate if inside => {
                self.active = false;
                Ok(())
            }
            Command::Exchange(transport, bytes) if self.active => {
                let card = self.card().ok_or(ReaderError::CHIP_SILENT)?;
                if card.transport() != *transport {
                    self.active = false;
                    return Err(ReaderError::CHIP_SILENT);
                }
                match card.transmit(bytes) {
                    Reply::Bytes(answer) => {
                        data.extend(match &mut self.sred {
                            Some(sred) => sred.shown(&answer),
                            None => answer,
                        });
                        Ok(())
                    }
                    Reply::Mute => {
                        self.active = false;
                        Err(ReaderError::CHIP_SILENT)
                    }
                    Reply::Gone => {
                        self.tear_out();
                        Err(ReaderError::DRAWN_OUT)
                    }
                }
            }
            _ => Err(ReaderError::SEQUENCE),
        }
    }
}
