//! Driver for motorised readers that speak like OMRON's 3S4YR. The chip is reached through it.
//!
//! Two rules keep a person's card safe. Until the reader was told to carry a command out (ENQ), nothing has moved, so an unacknowledged
//! command is said again; after that it is never said again: a lost answer is asked for by ENQ, which moves nothing. And after each move,
//! and after each gap, the driver looks where the card is before it says so.
//!
//! ```text
//!  start, or        reset, card held ──▶ box counted ──▶ Ready(found)
//!  answers again ─▶
//!  Idle ──Accept──▶ Waiting ──card──▶ Inserted: Held ──PowerChip──▶ ChipReady ──Transmit──▶ Answer ...
//!                                      Held ──Eject──▶ AtGate ──hand──▶ Taken: Idle
//!                                      Held, AtGate ──Retain──▶ Retained: Idle
//!  an error that calls for a reset: reset, card held; twice in vain: Fault until Restart
//! ```

mod link;
#[cfg(test)]
mod tests;

use crate::{
    card_reader::{ChipAnswer, Command, Event, Found, Output, ReaderFault},
    emv::{ChipFault, ChipTransport},
    time::Instant,
};
use link::{Link, Outcome};
use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};
use tolem_protocol::{
    card::SealedNumber,
    card_reader::{Answer, CardGoes, Command as Wire, Place, ReaderError},
};

/// What can be set, mostly times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// It hides card numbers and enciphers them (SRED): one that should and does not is out of service.
    pub seals: bool,
    /// What the reader does with a card inside when its own power fails.
    pub at_power_loss: CardGoes,
    /// How long an acknowledgement may take. OMRON: at least 5.02 s.
    pub acknowledge: Duration,
    /// How long most answers may take.
    pub answer: Duration,
    /// How long a move may take. OMRON: 10 s, and one more for each retry.
    pub movement: Duration,
    /// How long a chip may take.
    pub chip: Duration,
    /// From look to look while a card may come or go.
    pub look: Duration,
    /// The same while nothing should happen.
    pub rest: Duration,
    /// From attempt to attempt while the reader is absent.
    pub retry: Duration,
    /// The same while a person is called: whoever frees a card has no button to say so.
    pub mended: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            seals: false,
            at_power_loss: CardGoes::Out,
            acknowledge: ms(5_100),
            answer: ms(3_000),
            movement: ms(15_000),
            chip: ms(15_000),
            look: ms(300),
            rest: ms(5_000),
            retry: ms(5_000),
            mended: ms(60_000),
        }
    }
}

/// Resets in a row before a person is called.
const MAX_RESETS: u8 = 2;
/// Things that wait to be said.
const MAX_WORK: usize = 16;
/// Events that one input may cause.
const MAX_EVENTS: usize = 16;

/// Where the card is, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Not known: a reset is due.
    Starting,
    /// No card, none let in.
    Idle,
    /// A card is let in.
    Waiting,
    /// Inside.
    Held,
    /// Sticking out.
    AtGate,
    /// A person must come.
    Broken,
}

/// The driver.
#[derive(Debug)]
pub struct CardReader {
    config: Config,
    now: Instant,
    link: Link,
    stage: Stage,
    /// To be said, in this order.
    work: VecDeque<Wire>,
    events: VecDeque<Event>,
    faults: BTreeSet<ReaderFault>,
    resets: u8,
    look_at: Instant,
    transport: Option<ChipTransport>,
    /// One more attempt for a chip that did not start.
    chip_retry: bool,
    /// A command for the chip that the kiosk waits for.
    chip_asked: bool,
}

impl CardReader {
    /// Starts by asking where a card is.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut driver = Self {
            config,
            now,
            link: Link::new(now),
            stage: Stage::Starting,
            work: VecDeque::new(),
            events: VecDeque::new(),
            faults: BTreeSet::new(),
            resets: 0,
            look_at: now,
            transport: None,
            chip_retry: false,
            chip_asked: false,
        };
        driver.begin();
        driver.act();
        driver
    }

    /// Takes bytes from the line, in any split.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.advance(now);
        let mut rest = bytes;
        while let Some(outcome) = self.link.handle_bytes(&self.config, now, &mut rest) {
            self.take(outcome);
        }
        self.act();
    }

    /// To be called at the instant of the last [`Output::Wait`]; harmless at any other.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.act();
    }

    /// Takes an order of the kiosk. One that does not fit where the card is does nothing; one for the chip ends as a removed card.
    pub fn command(&mut self, now: Instant, command: Command) {
        self.advance(now);
        match (command, self.stage) {
            (Command::Accept, Stage::Idle) => self.queue(Wire::Permit),
            // The word before it may still be on its way.
            (Command::Refuse, Stage::Idle | Stage::Waiting) => self.queue(Wire::Deny),
            (Command::PowerChip, Stage::Held) if !self.chip_asked => {
                (self.transport, self.chip_retry, self.chip_asked) = (None, true, true);
                self.queue(Wire::Press);
                self.queue(Wire::Activate);
            }
            (Command::Transmit(bytes), Stage::Held) if !self.chip_asked => match self.transport {
                Some(transport) => {
                    self.chip_asked = true;
                    self.queue(Wire::Exchange(transport, bytes));
                }
                None => self.say(Event::ChipFault(ChipFault::Mute)),
            },
            (Command::Seal, Stage::Held) if !self.chip_asked && self.config.seals => {
                self.chip_asked = true;
                self.queue(Wire::SealCard);
            }
            (Command::PowerChip | Command::Transmit(_) | Command::Seal, _) => {
                let fault = if self.stage == Stage::Held { ChipFault::Reader } else { ChipFault::Removed };
                self.say(Event::ChipFault(fault));
            }
            (Command::Eject, Stage::Held) => self.let_go(Wire::Eject),
            (Command::Retain, Stage::Held) => self.let_go(Wire::Capture),
            (Command::Retain, Stage::AtGate) => self.queue(Wire::Recapture),
            (Command::Restart, _) => {
                self.resets = 0;
                self.begin();
            }
            (Command::Accept | Command::Refuse | Command::Eject | Command::Retain, _) => {}
        }
        self.act();
    }

    /// What is to be done. Drain it down to [`Output::Wait`] after each input.
    pub fn poll(&mut self) -> Output {
        if let Some(bytes) = self.link.next_transmit() {
            return Output::Transmit(bytes);
        }
        match self.events.pop_front() {
            Some(event) => Output::Event(event),
            None => Output::Wait(self.wake()),
        }
    }

    /// No card is inside or moving.
    pub fn is_empty(&self) -> bool {
        matches!(self.stage, Stage::Idle | Stage::Waiting)
    }

    fn advance(&mut self, now: Instant) {
        self.link.excuse_silence(now.since(self.wake().max(self.now)));
        self.now = now;
    }

    fn wake(&self) -> Instant {
        match self.link.overdue_at() {
            Some(overdue) => overdue,
            None if self.work.is_empty() => self.link.free_from().max(self.look_at),
            None => self.link.free_from(),
        }
    }

    fn queue(&mut self, command: Wire) {
        if self.work.len() < MAX_WORK {
            self.work.push_back(command);
        }
    }

    fn say(&mut self, event: Event) {
        assert!(self.events.len() < MAX_EVENTS, "outputs must be drained after each input");
        self.events.push_back(event);
    }

    fn fault(&mut self, fault: ReaderFault, began: bool) {
        let changed = if began { self.faults.insert(fault) } else { self.faults.remove(&fault) };
        if changed {
            self.say(Event::Fault(fault, began));
        }
    }

    /// Everything is asked anew; what waited has come to nothing.
    fn begin(&mut self) {
        self.stage = Stage::Starting;
        self.work.clear();
        self.transport = None;
        self.chip_failed(ChipFault::Reader);
        self.queue(Wire::Reset(CardGoes::Held, self.config.at_power_loss));
        self.queue(Wire::Captured);
        if self.config.seals {
            self.queue(Wire::SealState);
        }
    }

    /// The kiosk that waits for the chip is told.
    fn chip_failed(&mut self, fault: ChipFault) {
        if std::mem::take(&mut self.chip_asked) {
            self.say(Event::ChipFault(fault));
        }
    }

    /// Contacts up, then the card moves.
    fn let_go(&mut self, movement: Wire) {
        self.work.clear();
        self.chip_failed(ChipFault::Reader);
        if self.transport.take().is_some() {
            self.queue(Wire::Deactivate);
        }
        self.queue(Wire::Release);
        self.queue(movement);
    }

    /// Says what is due.
    fn act(&mut self) {
        if let Some(outcome) = self.link.handle_timeout(&self.config, self.now) {
            self.take(outcome);
        }
        if self.link.overdue_at().is_some() || self.link.free_from() > self.now {
            return;
        }
        if self.work.is_empty() && self.look_at <= self.now {
            if self.stage == Stage::Broken {
                // One try: its failure ends where this began.
                self.begin();
            } else {
                self.work.push_back(Wire::Status);
            }
        }
        if let Some(command) = self.work.pop_front() {
            let limit = match &command {
                command if command.moves() => self.config.movement,
                Wire::Exchange(..) | Wire::Activate => self.config.chip,
                _ => self.config.answer,
            };
            if !self.link.send(&self.config, self.now, &command, limit) {
                // Longer than a command for a chip can be.
                self.chip_failed(ChipFault::Reader);
            }
        }
        self.look_again();
    }

    fn look_again(&mut self) {
        let pause = match self.stage {
            Stage::Waiting | Stage::AtGate => self.config.look,
            Stage::Starting | Stage::Idle | Stage::Held => self.config.rest,
            Stage::Broken => self.config.mended,
        };
        if self.look_at <= self.now {
            self.look_at = self.now + pause;
        }
    }

    // ---- What came of it --------------------------------------------------------------------------------------------

    fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Lost { nonsense } => {
                self.fault(if nonsense { ReaderFault::Protocol } else { ReaderFault::Absent }, true);
                self.begin();
                self.link.pause(self.now + self.config.retry);
            }
            Outcome::Answered(command, answer) => {
                self.fault(ReaderFault::Absent, false);
                self.fault(ReaderFault::Protocol, false);
                match answer.result {
                    Ok(place) => self.done(&command, place, answer),
                    Err(error) => self.failed(&command, error),
                }
            }
        }
    }

    fn done(&mut self, command: &Wire, place: Place, answer: Answer) {
        match command {
            Wire::Reset(..) => {
                for fault in [ReaderFault::Jam, ReaderFault::BoxJam] {
                    self.fault(fault, false);
                }
                self.faults.iter().copied().collect::<Vec<_>>().into_iter().for_each(|fault| {
                    if matches!(fault, ReaderFault::Failure(_)) {
                        self.fault(fault, false);
                    }
                });
                self.start_from(place);
            }
            Wire::Captured => {
                let digits = std::str::from_utf8(&answer.data).ok();
                if let Some(count) = digits.and_then(|digits| digits.parse().ok()) {
                    self.say(Event::Captured(count));
                }
            }
            Wire::Permit => {
                self.stage = Stage::Waiting;
                self.look_at = self.now + self.config.look;
                self.seen(place);
            }
            // Nobody waits for it any more: the card is on its way out.
            Wire::Activate if !self.chip_asked => {}
            Wire::Activate => match ChipTransport::from_answer_to_reset(&answer.data) {
                Some(transport) => {
                    self.transport = Some(transport);
                    self.chip_asked = false;
                    self.say(Event::ChipReady(transport));
                }
                None => self.chip_failed(ChipFault::Mute),
            },
            Wire::Exchange(..) => {
                if std::mem::take(&mut self.chip_asked) {
                    self.say(Event::Answer(ChipAnswer(answer.data)));
                }
            }
            Wire::SealState => self.fault(ReaderFault::NotSealing, *answer.data != *b"1"),
            Wire::SealCard => match SealedNumber::from_bytes(&answer.data) {
                Some(sealed) => {
                    if std::mem::take(&mut self.chip_asked) {
                        self.say(Event::Sealed(sealed));
                    }
                }
                None => self.chip_failed(ChipFault::Reader),
            },
            Wire::Deny => {
                // A card that came in at the last moment is inside.
                if place == Place::Nowhere {
                    self.stage = Stage::Idle;
                }
                self.seen(place);
            }
            Wire::Capture | Wire::Recapture if place == Place::Nowhere => {
                self.gone(Event::Retained);
                self.queue(Wire::Captured);
            }
            Wire::Eject | Wire::Capture | Wire::Recapture | Wire::Status => self.seen(place),
            Wire::Press | Wire::Release | Wire::Deactivate | Wire::ForgetCaptured => {}
        }
    }

    fn start_from(&mut self, place: Place) {
        self.resets = 0;
        let (stage, found) = match place {
            Place::Nowhere => (Stage::Idle, Found::Nothing),
            Place::Gate => (Stage::AtGate, Found::AtGate),
            _ => (Stage::Held, Found::Inside),
        };
        self.stage = stage;
        self.look_at = self.now + self.config.look;
        self.say(Event::Ready(found));
    }

    /// The card was seen in a place: what that means from where it was.
    fn seen(&mut self, place: Place) {
        match (self.stage, place) {
            (Stage::Waiting, place) if place.is_inside() => {
                self.stage = Stage::Held;
                self.say(Event::Inserted);
            }
            (Stage::Held, Place::Gate) => {
                (self.stage, self.transport) = (Stage::AtGate, None);
                self.chip_failed(ChipFault::Removed);
                self.look_at = self.now + self.config.look;
                self.say(Event::AtGate);
            }
            (Stage::Held | Stage::AtGate, Place::Nowhere) => self.gone(Event::Taken),
            // Nobody was let in, and yet there is one: somebody's, as after a start.
            (Stage::Idle, place) if place != Place::Nowhere => self.start_from(place),
            // Taken in again by itself, or by hand.
            (Stage::AtGate, place) if place.is_inside() => self.stage = Stage::Held,
            _ => {}
        }
    }

    /// There is no card any more.
    fn gone(&mut self, event: Event) {
        (self.stage, self.transport) = (Stage::Idle, None);
        self.work.clear();
        self.chip_failed(ChipFault::Removed);
        self.say(event);
    }

    fn failed(&mut self, command: &Wire, error: ReaderError) {
        match (command, error) {
            (Wire::Recapture, ReaderError::GONE) => self.seen(Place::Nowhere),
            // Somebody holds it: it is still at the gate, and the kiosk may try again.
            (Wire::Recapture, error) if !error.calls_for_reset() => self.look_at = self.now,
            (Wire::Activate, error) if !error.calls_for_reset() => {
                if std::mem::take(&mut self.chip_retry) {
                    for again in [Wire::Activate, Wire::Press, Wire::Release] {
                        self.work.push_front(again);
                    }
                } else {
                    self.chip_failed(ChipFault::Mute);
                }
            }
            (Wire::Exchange(..), error) if error.is_of_chip() => {
                self.transport = None;
                self.chip_failed(ChipFault::Mute);
            }
            (_, ReaderError::TOO_LONG | ReaderError::TOO_SHORT) => {
                self.say(Event::NotACard);
                self.work.clear();
                self.work.extend([Wire::Reset(CardGoes::Out, self.config.at_power_loss), Wire::Captured]);
                self.stage = Stage::Starting;
            }
            (_, error) if error.calls_for_reset() => self.reset_for(command, error),
            (Wire::SealState, error) if !error.calls_for_reset() => self.fault(ReaderFault::NotSealing, true),
            (Wire::SealCard, ReaderError::NOT_SEALED) => {
                self.fault(ReaderFault::NotSealing, true);
                self.chip_failed(ChipFault::Reader);
            }
            // Nobody counts cards here, or not now.
            (Wire::Captured | Wire::Status | Wire::Release | Wire::Deactivate, _) => {}
            (Wire::Reset(..), error) => self.reset_for(command, error),
            (_, ReaderError::MOVED) => self.look_at = self.now,
            _ => {
                self.chip_failed(ChipFault::Reader);
                self.look_at = self.now;
            }
        }
    }

    /// Only a reset is taken now.
    fn reset_for(&mut self, command: &Wire, error: ReaderError) {
        if error == ReaderError::DRAWN_OUT {
            self.chip_failed(ChipFault::Removed);
        }
        let was_reset = matches!(command, Wire::Reset(..));
        if was_reset && error == ReaderError::HELD {
            // Whoever holds the card has it: it is at the gate.
            return self.start_from(Place::Gate);
        }
        let fault = match error {
            ReaderError::BOX_JAM => Some(ReaderFault::BoxJam),
            ReaderError(10..=13 | 15 | 17) => Some(ReaderFault::Jam),
            ReaderError::DRAWN_OUT | ReaderError::POWER_DOWN | ReaderError::NEEDS_RESET => None,
            ReaderError(number) => Some(ReaderFault::Failure(number)),
        };
        if self.resets < MAX_RESETS {
            self.resets += 1;
            self.begin();
            return self.link.pause(self.now + self.config.look);
        }
        self.fault(fault.unwrap_or(ReaderFault::Failure(error.0)), true);
        self.work.clear();
        self.chip_failed(ChipFault::Reader);
        (self.stage, self.transport) = (Stage::Broken, None);
        self.look_at = self.now + self.config.mended;
    }
}
