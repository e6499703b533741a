//! Driver for PIN pads that speak like UIC's PP791, with DUKPT or master and session keys.
//!
//! One message at a time: it is sent, acknowledged, answered, and the answer is acknowledged. A request for a PIN is never simply said
//! again, because a pad that heard it is already asking: it is cancelled first, so that at most one entry is open and no block of an
//! earlier one is taken for the next. A block that comes too late, uninvited or twice is acknowledged and dropped.
//!
//! ```text
//!  start, or        cancel ──▶ self test ──▶ DUKPT: first key set, serial numbers in full ──▶ Running: Ready
//!  answers again ─▶                          session: key there? select it
//!
//!  Running: EnterPin ──▶ 70, ACK ──▶ asking ──▶ 71: Entered ──▶ Running
//!                                       │ EOT: Ended(Cancelled)
//!                                       │ limit, Cancel: 72 ──▶ Ended(TimedOut, Cancelled)
//!           self test twice a minute; three silences ──▶ Fault(Absent), start
//! ```

#[cfg(test)]
mod tests;

use crate::{
    pin_pad::{Command, EncryptedPin, Event, KeyPlace, Output, PadFault, PinEnd, PinKey, PinRequest},
    time::Instant,
};
use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};
use tolem_protocol::{
    Amount,
    pinpad::{
        ACK, Answer, Decoded, Decoder, EOT, Frame, KeySerial, KeySlot, MAC_PACKET, NAK, Request, SelfTest,
        SessionKey,
    },
};
use zeroize::Zeroizing;

/// The largest sum that the pad's display shows; a PIN for more cannot be asked for.
pub const MOST_SHOWN: Amount = Amount::from_tiyn(9_999_999);

/// How PINs are enciphered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// A key for each PIN; `last` is the serial number of the last block that this terminal has taken from this pad, if it knows one.
    Dukpt {
        /// Only higher ones are taken.
        last: Option<KeySerial>,
    },
    /// A session key, enciphered under a key of the pad.
    Session(KeySlot, SessionKey),
}

/// What can be set, mostly times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// How PINs are enciphered.
    pub scheme: Scheme,
    /// How long the pad may take to acknowledge. The manual: one second.
    pub acknowledge: Duration,
    /// How long an answer without human hands may take.
    pub answer: Duration,
    /// How long the EOT behind a maintenance message may take.
    pub ending: Duration,
    /// From self test to self test while nothing else happens.
    pub health: Duration,
    /// From attempt to attempt while the pad is absent.
    pub retry: Duration,
    /// A message that has begun and does not go on for so long is none.
    pub gap: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            scheme: Scheme::Dukpt { last: None },
            acknowledge: ms(1_500),
            answer: ms(5_000),
            ending: ms(500),
            health: ms(30_000),
            retry: ms(5_000),
            gap: ms(500),
        }
    }
}

/// How often something is said before it counts as not heard.
const MAX_ATTEMPTS: u8 = 3;
/// How often an answer is asked for again; then the pad gives up by EOT.
const MAX_NAKS: u8 = 3;
/// Things that wait to be said: the start and what a kiosk may want meanwhile.
const MAX_WORK: usize = 16;
/// Events that one input may cause.
const MAX_EVENTS: usize = 4 * MAX_WORK;

/// One thing to be said and answered.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Work {
    /// Stop what runs; then the entry, if any, has ended so.
    Clear(Option<PinEnd>),
    SelfTest,
    FirstKeySet,
    FullKeySerial,
    CheckKey(KeySlot),
    SelectKey(KeySlot),
    Pin(PinRequest),
    LoadKey(KeyPlace, String),
    Mac {
        slot: KeySlot,
        data: Vec<u8>,
        packet: u8,
    },
}

impl Work {
    fn frame(&self, scheme: &Scheme) -> Option<Frame> {
        match self {
            Self::Clear(_) => Request::Cancel.frame(),
            Self::SelfTest => Request::SelfTest.frame(),
            Self::FirstKeySet => Request::FirstKeySet.frame(),
            Self::FullKeySerial => Request::FullKeySerial.frame(),
            Self::CheckKey(slot) => Request::CheckKey(*slot).frame(),
            Self::SelectKey(slot) => Request::SelectKey(*slot).frame(),
            Self::Pin(PinRequest { card, amount, limit }) => match scheme {
                Scheme::Dukpt { .. } => Request::Pin(card.number(), *amount).frame(),
                Scheme::Session(_, key) => {
                    // Its own limit is the next longer one: ours comes first and is told apart from a key press.
                    let half_minutes = u8::try_from(limit.as_secs() / 30 + 1).unwrap_or(9);
                    Request::PinUnderSession(card.number(), *amount, key, half_minutes).frame()
                }
            },
            Self::LoadKey(KeyPlace::Initial, block) => Request::LoadInitialKey(block).frame(),
            Self::LoadKey(KeyPlace::Slot(slot), block) => Request::LoadKey(*slot, block).frame(),
            Self::Mac { slot, data, packet } => {
                let from = usize::from(*packet) * MAC_PACKET;
                let rest = data.get(from..)?;
                let last = rest.len() <= MAC_PACKET;
                Request::Mac(*packet, last, *slot, &rest[..rest.len().min(MAC_PACKET)]).frame()
            }
        }
    }

    /// Acknowledged, it is over.
    const fn needs_no_answer(&self) -> bool {
        matches!(self, Self::Clear(_) | Self::FirstKeySet | Self::FullKeySerial)
    }
}

/// How far the thing that is being said is.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing is; the next may be said from this instant on.
    Free { from: Instant },
    /// Said; not acknowledged.
    Said { work: Work, until: Instant, attempts: u8 },
    /// Acknowledged; not answered.
    Heard { work: Work, until: Instant, naks: u8 },
    /// Answered and acknowledged; an EOT follows. A key that was loaded is told then.
    Ending { until: Instant, loaded: Option<KeyPlace> },
}

/// The driver.
#[derive(Debug)]
pub struct PinPad {
    config: Config,
    now: Instant,
    decoder: Decoder,
    begun: Instant,
    phase: Phase,
    running: bool,
    work: VecDeque<Work>,
    transmits: VecDeque<Zeroizing<Vec<u8>>>,
    events: VecDeque<Event>,
    faults: BTreeSet<PadFault>,
    /// The last serial number taken.
    last: Option<KeySerial>,
    /// A request for a PIN that was not acknowledged: how often.
    unheard: u8,
    health_at: Instant,
    /// Good messages since the last silence that make no sense.
    nonsense: bool,
}

impl PinPad {
    /// Starts by stopping whatever the pad does.
    pub fn new(config: Config, now: Instant) -> Self {
        let last = match config.scheme {
            Scheme::Dukpt { last } => last,
            Scheme::Session(..) => None,
        };
        let mut driver = Self {
            config,
            now,
            decoder: Decoder::new(),
            begun: now,
            phase: Phase::Free { from: now },
            running: false,
            work: VecDeque::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            faults: BTreeSet::new(),
            last,
            unheard: 0,
            health_at: now,
            nonsense: false,
        };
        driver.begin();
        driver.act();
        driver
    }

    /// Takes bytes from the line, in any split.
    pub fn handle_bytes(&mut self, now: Instant, mut bytes: &[u8]) {
        self.advance(now);
        if self.decoder.has_begun() && now.since(self.begun) >= self.config.gap {
            self.decoder.clear();
        }
        let whole = bytes.len();
        while let Some(found) = self.decoder.next(&mut bytes) {
            self.take(found);
        }
        if whole > 0 {
            self.begun = now;
        }
        self.act();
    }

    /// To be called at the instant of the last [`Output::Wait`]; harmless at any other.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.act();
    }

    /// Takes an order of the kiosk.
    pub fn command(&mut self, now: Instant, command: Command) {
        self.advance(now);
        match command {
            Command::EnterPin(request) => {
                if self.running && self.can_take_pins() && !self.is_asking() {
                    self.unheard = 0;
                    self.queue(Work::Pin(request));
                } else {
                    self.say(Event::Ended(PinEnd::Failed));
                }
            }
            Command::Cancel => self.cancel(),
            Command::Idle if self.running && !self.is_asking() => self.queue(Work::Clear(None)),
            // It is at the start, which ends so, or a PIN is wanted already.
            Command::Idle => {}
            Command::LoadKey(place, block) => {
                if self.running && self.work.len() < MAX_WORK {
                    self.queue(Work::LoadKey(place, block));
                } else {
                    self.say(Event::KeyNotLoaded(place, None));
                }
            }
            Command::Authenticate(slot, data) => {
                let fits = !data.is_empty() && data.len() <= MAC_PACKET * 100;
                if self.running && fits && self.work.len() < MAX_WORK {
                    self.queue(Work::Mac { slot, data, packet: 0 });
                } else {
                    self.say(Event::NotAuthenticated(None));
                }
            }
        }
        self.act();
    }

    /// What is to be done. Drain it down to [`Output::Wait`] after each input.
    pub fn poll(&mut self) -> Output {
        if let Some(bytes) = self.transmits.pop_front() {
            return Output::Transmit(bytes);
        }
        match self.events.pop_front() {
            Some(event) => Output::Event(event),
            None => Output::Wait(self.wake()),
        }
    }

    /// A PIN can be asked for now.
    pub fn is_ready(&self) -> bool {
        self.running && self.can_take_pins()
    }

    /// The serial number of the last block taken, to be kept for the next start.
    pub fn last_serial(&self) -> Option<KeySerial> {
        self.last
    }

    /// Time goes on. What passes after the driver wanted to be called is the program's own delay, so that silence proves nothing.
    fn advance(&mut self, now: Instant) {
        let late = now.since(self.wake().max(self.now));
        if let Phase::Said { until, .. } | Phase::Heard { until, .. } | Phase::Ending { until, .. } =
            &mut self.phase
        {
            *until = *until + late;
        }
        self.now = now;
    }

    fn wake(&self) -> Instant {
        match &self.phase {
            Phase::Free { from } if !self.work.is_empty() => *from,
            Phase::Free { .. } => self.health_at,
            Phase::Said { until, .. } | Phase::Heard { until, .. } | Phase::Ending { until, .. } => *until,
        }
    }

    fn can_take_pins(&self) -> bool {
        self.faults.is_empty()
    }

    /// An entry is open or about to be.
    fn is_asking(&self) -> bool {
        let asks = |work: &Work| matches!(work, Work::Pin(_) | Work::Clear(Some(_)));
        let current = match &self.phase {
            Phase::Said { work, .. } | Phase::Heard { work, .. } => asks(work),
            Phase::Free { .. } | Phase::Ending { .. } => false,
        };
        current || self.work.iter().any(asks)
    }

    fn begin(&mut self) {
        self.running = false;
        self.work.clear();
        self.work.extend([Work::Clear(None), Work::SelfTest]);
        match self.config.scheme {
            Scheme::Dukpt { .. } => self.work.extend([Work::FirstKeySet, Work::FullKeySerial]),
            Scheme::Session(slot, _) => self.work.extend([Work::CheckKey(slot), Work::SelectKey(slot)]),
        }
    }

    fn queue(&mut self, work: Work) {
        self.work.push_back(work);
    }

    fn say(&mut self, event: Event) {
        assert!(self.events.len() < MAX_EVENTS, "outputs must be drained after each input");
        self.events.push_back(event);
    }

    fn fault(&mut self, fault: PadFault, began: bool) {
        let changed = if began { self.faults.insert(fault) } else { self.faults.remove(&fault) };
        if changed {
            self.say(Event::Fault(fault, began));
        }
    }

    fn cancel(&mut self) {
        let before = self.work.len();
        self.work.retain(|work| !matches!(work, Work::Pin(_)));
        let waited = self.work.len() < before;
        let open = |work: &Work| matches!(work, Work::Pin(_));
        match &self.phase {
            Phase::Said { work, .. } | Phase::Heard { work, .. } if open(work) => {
                self.interrupt(PinEnd::Cancelled);
            }
            // It was not said yet, or is cancelled and will be said again no more.
            _ if waited => self.say(Event::Ended(PinEnd::Cancelled)),
            // Nothing is open, or it is on its way out with its own word.
            _ => {}
        }
    }

    /// Gives up the entry that is open: `72`, and then it has ended so.
    fn interrupt(&mut self, end: PinEnd) {
        self.phase = Phase::Free { from: self.now };
        self.work.push_front(Work::Clear(Some(end)));
    }

    /// Lets time do its work and says what is due.
    fn act(&mut self) {
        self.watch();
        if let Phase::Free { from } = self.phase
            && from <= self.now
        {
            if self.work.is_empty() && self.running && self.health_at <= self.now {
                self.queue(Work::SelfTest);
            }
            if let Some(work) = self.work.pop_front() {
                self.speak(work, 1);
            }
        }
    }

    fn watch(&mut self) {
        match &self.phase {
            Phase::Free { .. } => {}
            Phase::Said { until, .. } if *until <= self.now => self.unacknowledged(),
            Phase::Heard { until, work: Work::Pin(_), .. } if *until <= self.now => {
                self.interrupt(PinEnd::TimedOut);
            }
            Phase::Heard { until, .. } if *until <= self.now => self.lost(),
            Phase::Ending { until, loaded } if *until <= self.now => {
                if let Some(place) = *loaded {
                    // Whether it was stored is not known; to load it again does no harm.
                    self.say(Event::KeyNotLoaded(place, None));
                }
                self.over();
            }
            Phase::Said { .. } | Phase::Heard { .. } | Phase::Ending { .. } => {}
        }
    }

    fn speak(&mut self, work: Work, attempts: u8) {
        let Some(frame) = work.frame(&self.config.scheme) else {
            // It cannot be said in this protocol, e.g. an amount that its display does not hold.
            return self.ended(work, None);
        };
        self.decoder.clear();
        self.transmits.push_back(frame.to_bytes());
        self.phase = Phase::Said { work, until: self.now + self.config.acknowledge, attempts };
    }

    fn control(&mut self, byte: u8) {
        self.transmits.push_back(Zeroizing::new(vec![byte]));
    }

    /// It was said and not acknowledged.
    fn unacknowledged(&mut self) {
        let Phase::Said { work, attempts, .. } = self.free() else { return };
        match work {
            // Perhaps it was heard: then the pad is asking already.
            Work::Pin(_) => {
                self.unheard += 1;
                self.work.push_front(work);
                if self.unheard < MAX_ATTEMPTS {
                    self.work.push_front(Work::Clear(None));
                } else {
                    self.lost();
                }
            }
            work if attempts < MAX_ATTEMPTS => self.speak(work, attempts + 1),
            work => {
                self.work.push_front(work);
                self.lost();
            }
        }
    }

    fn free(&mut self) -> Phase {
        std::mem::replace(&mut self.phase, Phase::Free { from: self.now })
    }

    /// The pad does not answer: everything that waits for it has failed, and it is looked for from the start.
    fn lost(&mut self) {
        let open = match self.free() {
            Phase::Said { work, .. } | Phase::Heard { work, .. } => Some(work),
            Phase::Free { .. } | Phase::Ending { .. } => None,
        };
        let waiting: Vec<Work> = open.into_iter().chain(self.work.drain(..)).collect();
        for work in waiting {
            self.ended(work, None);
        }
        let fault = if self.nonsense { PadFault::Protocol } else { PadFault::Absent };
        self.nonsense = false;
        self.fault(fault, true);
        self.begin();
        self.phase = Phase::Free { from: self.now + self.config.retry };
    }

    /// It came to nothing; the pad's letter, if it gave one.
    fn ended(&mut self, work: Work, letter: Option<u8>) {
        let letter = letter.map(char::from);
        match work {
            Work::Pin(_) | Work::Clear(Some(_)) => self.say(Event::Ended(PinEnd::Failed)),
            Work::LoadKey(place, _) => self.say(Event::KeyNotLoaded(place, letter)),
            Work::Mac { .. } => self.say(Event::NotAuthenticated(letter)),
            Work::Clear(None)
            | Work::SelfTest
            | Work::FirstKeySet
            | Work::FullKeySerial
            | Work::CheckKey(_)
            | Work::SelectKey(_) => {}
        }
    }

    /// The thing is done: on to the next.
    fn over(&mut self) {
        self.phase = Phase::Free { from: self.now };
        self.health_at = self.now + self.config.health;
        if self.work.is_empty() && !self.running {
            self.running = true;
            self.say(Event::Ready);
        }
    }

    // ---- What came ------------------------------------------------------------------------------------------------

    fn take(&mut self, found: Decoded) {
        match found {
            Decoded::Ack => self.acknowledged(),
            Decoded::Nak => {
                if matches!(&self.phase, Phase::Said { .. }) {
                    self.refused();
                }
            }
            Decoded::Eot => self.ended_by_pad(),
            Decoded::Bad => {
                self.nonsense = true;
                if let Phase::Heard { naks, .. } = &mut self.phase
                    && *naks < MAX_NAKS
                {
                    *naks += 1;
                    self.control(NAK);
                }
            }
            Decoded::Frame(frame) => self.message(&frame),
        }
    }

    /// The pad says that it heard nothing sensible, so nothing has begun: the same again.
    fn refused(&mut self) {
        let Phase::Said { work, attempts, .. } = self.free() else { return };
        if attempts < MAX_ATTEMPTS {
            self.speak(work, attempts + 1);
        } else {
            self.work.push_front(work);
            self.lost();
        }
    }

    fn acknowledged(&mut self) {
        let Phase::Said { work, .. } = &self.phase else { return };
        let work = work.clone();
        self.heard();
        if let Work::Clear(end) = work {
            if let Some(end) = end {
                self.say(Event::Ended(end));
            }
            self.over();
        } else if work.needs_no_answer() {
            self.over();
        } else {
            let limit = if let Work::Pin(request) = &work { request.limit } else { self.config.answer };
            self.phase = Phase::Heard { work, until: self.now + limit, naks: 0 };
        }
    }

    /// Somebody who speaks this protocol is there.
    fn heard(&mut self) {
        self.nonsense = false;
        self.fault(PadFault::Absent, false);
        self.fault(PadFault::Protocol, false);
    }

    fn ended_by_pad(&mut self) {
        match &self.phase {
            // It was asking and has stopped.
            Phase::Said { work: Work::Clear(_), .. } => self.acknowledged(),
            // An EOT from before, or its third NAK was lost: silence decides.
            Phase::Said { .. } | Phase::Free { .. } => {}
            Phase::Heard { work: Work::Pin(_), naks, .. } => {
                // After broken answers it gave up; otherwise the citizen did.
                let end = if *naks > 0 { PinEnd::Failed } else { PinEnd::Cancelled };
                self.say(Event::Ended(end));
                self.over();
            }
            Phase::Heard { .. } => {
                if let Phase::Heard { work, .. } = self.free() {
                    self.ended(work, None);
                    self.over();
                }
            }
            Phase::Ending { loaded, .. } => {
                if let Some(place) = *loaded {
                    self.key_loaded(place);
                }
                self.over();
            }
        }
    }

    fn message(&mut self, frame: &Frame) {
        let Phase::Heard { work, .. } = &self.phase else {
            // Uninvited or again: acknowledged, so that it stops, and dropped.
            return self.control(ACK);
        };
        let work = work.clone();
        let Ok(answer) = Answer::parse(frame) else {
            return self.take(Decoded::Bad);
        };
        match (work, answer) {
            (Work::Pin(_), Answer::Pin(serial, block)) => {
                self.control(ACK);
                self.entered(serial, EncryptedPin { block, key: PinKey::Dukpt(serial) });
            }
            (Work::Pin(_), Answer::PinUnderSession(block)) => {
                self.control(ACK);
                match self.config.scheme {
                    Scheme::Session(slot, key) => {
                        self.over();
                        let key = PinKey::Session(slot, key);
                        self.say(Event::Entered(EncryptedPin { block, key }));
                    }
                    // A block under a key that nobody has chosen.
                    Scheme::Dukpt { .. } => self.entry_failed(Some(PadFault::Protocol)),
                }
            }
            (Work::Pin(_), Answer::PinRefused(letter)) => {
                self.control(ACK);
                self.entry_failed(match letter {
                    b'A' | b'9' => Some(PadFault::KeysLost),
                    b'F' => Some(PadFault::UsedUp),
                    b'B' => Some(PadFault::Broken),
                    _ => None,
                });
            }
            (Work::SelfTest, Answer::SelfTest(test)) => {
                self.control(ACK);
                self.tested(test);
                self.ending(None);
            }
            (Work::CheckKey(_), Answer::KeyPresent(there)) => {
                self.control(ACK);
                self.fault(PadFault::KeysLost, !there);
                self.ending(None);
            }
            (Work::SelectKey(_), Answer::KeySelected(selected)) => {
                self.control(ACK);
                if selected.is_err() {
                    self.fault(PadFault::KeysLost, true);
                }
                self.ending(None);
            }
            (work @ Work::LoadKey(place, _), answer) => self.load_answered(&work, place, frame, &answer),
            (work @ Work::Mac { .. }, answer) => self.mac_answered(work, &answer),
            // An answer to something else, e.g. the last one again.
            _ => self.control(ACK),
        }
    }

    fn ending(&mut self, loaded: Option<KeyPlace>) {
        self.phase = Phase::Ending { until: self.now + self.config.ending, loaded };
    }

    fn entry_failed(&mut self, fault: Option<PadFault>) {
        self.over();
        self.say(Event::Ended(PinEnd::Failed));
        if let Some(fault) = fault {
            self.fault(fault, true);
        }
    }

    fn entered(&mut self, serial: KeySerial, pin: EncryptedPin) {
        let next = self
            .last
            .is_none_or(|last| last.device() == serial.device() && last.counter() < serial.counter());
        match self.config.scheme {
            Scheme::Dukpt { .. } if next => {
                self.last = Some(serial);
                self.over();
                self.say(Event::Entered(pin));
            }
            Scheme::Dukpt { .. } => self.entry_failed(Some(PadFault::KeySerial)),
            Scheme::Session(..) => self.entry_failed(Some(PadFault::Protocol)),
        }
    }

    fn tested(&mut self, test: SelfTest) {
        self.fault(PadFault::Broken, test.broken);
        if test.keys_lost {
            self.fault(PadFault::KeysLost, true);
        }
    }

    fn load_answered(&mut self, work: &Work, place: KeyPlace, frame: &Frame, answer: &Answer) {
        match (place, answer) {
            (KeyPlace::Slot(_), Answer::KeyEcho) => {
                let same = work.frame(&self.config.scheme).is_some_and(|sent| sent == *frame);
                if same {
                    self.control(ACK);
                    self.ending(Some(place));
                } else {
                    self.control(EOT);
                    self.say(Event::KeyNotLoaded(place, None));
                    self.over();
                }
            }
            (KeyPlace::Slot(_), Answer::KeyRefused(letter)) => {
                self.control(ACK);
                self.say(Event::KeyNotLoaded(place, Some(char::from(*letter))));
                self.ending(None);
            }
            (KeyPlace::Initial, Answer::InitialKey(loaded)) => {
                self.control(ACK);
                match loaded {
                    Ok(()) => self.key_loaded(place),
                    Err(letter) => self.say(Event::KeyNotLoaded(place, Some(char::from(*letter)))),
                }
                self.over();
            }
            _ => self.control(ACK),
        }
    }

    fn key_loaded(&mut self, place: KeyPlace) {
        self.say(Event::KeyLoaded(place));
        match (place, self.config.scheme) {
            (KeyPlace::Initial, Scheme::Dukpt { .. }) => {
                // Another key, other serial numbers.
                self.last = None;
                for fault in [PadFault::KeysLost, PadFault::UsedUp, PadFault::KeySerial] {
                    self.fault(fault, false);
                }
            }
            (KeyPlace::Slot(slot), Scheme::Session(used, _)) if slot == used => {
                self.fault(PadFault::KeysLost, false);
                self.queue(Work::SelectKey(slot));
            }
            _ => {}
        }
    }

    fn mac_answered(&mut self, work: Work, answer: &Answer) {
        match (work, answer) {
            (_, Answer::Mac(code)) => {
                self.control(ACK);
                self.say(Event::Authenticated(*code));
                self.over();
            }
            (Work::Mac { slot, data, packet }, Answer::MacContinues) => {
                self.control(ACK);
                self.over();
                self.work.push_front(Work::Mac { slot, data, packet: packet + 1 });
            }
            (work, Answer::MacRefused(letter)) => {
                self.control(ACK);
                self.ended(work, Some(*letter));
                self.over();
            }
            _ => self.control(ACK),
        }
    }
}
