//! CCNET driver: CashCode bill validators and what speaks like them.
//!
//! A note is reported when the device says so and confirmed to the device only when the kiosk says [`Command::Acknowledge`]; until then the
//! device repeats itself, which is what makes a crash between the two harmless. Nothing is reset before the device was asked what it
//! holds, and no order is repeated before the device was seen not to have carried it out. Sources: CCNET 2.6.0; field drivers for timing.
//!
//! ```text
//!  start, or        14 19 4x: PoweredUp(Kept)                ACK
//!  answers again -> Finding ----------------> Inhibiting ----------> Resetting <----+
//!                   | polls; hands over 81 82;   ENABLE 0            ^   | RESET    | 40 s without 19
//!                   | returns 80                                     |   v          |
//!                   +--- 10 11 12: PoweredUp(...) -------------------+  Initializing+
//!                                                                        | 19
//!                   Running <--- Identified, Counter, Ready --- Asking <-+
//!                                                               IDENTIFICATION, GET BILL TABLE, SET SECURITY,
//!                                                               STACKED COUNTER, GET STATUS
//!
//!  any stage: 10 11 12          -> PoweredUp(...), Resetting
//!             silence over 5 s  -> Fault(Absent or Protocol); when it answers again: Finding
//!  Running:   note seen nowhere, or a jam for 10 s -> PoweredUp(Kept), Inhibiting
//! ```
//!
//! In `Running`: 14 -> 15 -> 80 `Escrowed` -> STACK -> 17 -> 81 `Stacked` -> Acknowledge: ACK -> 14 -> `Counter`;
//! or RETURN -> 18 -> 82 `Returned` -> Acknowledge: ACK -> 14. A jam that stays gets one RESET.

mod config;
mod link;
mod state;

pub use config::Config;

use crate::{
    acceptor::{AcceptorFault, BillType, Command, Event, Identity, Output, PowerUp, Reject},
    time::Instant,
};
use link::{Answer, Link};
use std::collections::VecDeque;
use tolem_probe::{Fault, Site, planted, sometimes};
use tolem_protocol::{
    Denomination,
    ccnet::{self, BillTable, Command as Wire, Identification, PollStatus, RejectReason, Reply, TypeMask},
};

/// Frames that one input may cause: a reply's ACK and the next command.
const MAX_TRANSMITS: usize = 4;
/// Events that one input may cause.
const MAX_EVENTS: usize = 16;
/// How often a command is tried before something else is done about it.
const MAX_ATTEMPTS: u8 = 3;

/// What is asked between initialisation and `Ready`, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Question {
    Identification,
    BillTable,
    Security,
    Counter,
    Status,
}

impl Question {
    const fn command(self) -> Wire {
        match self {
            Self::Identification => Wire::Identification,
            Self::BillTable => Wire::GetBillTable,
            Self::Security => Wire::SetSecurity(TypeMask::NONE),
            Self::Counter => Wire::StackedCounter,
            Self::Status => Wire::GetStatus,
        }
    }

    const fn next(self) -> Option<Self> {
        match self {
            Self::Identification => Some(Self::BillTable),
            Self::BillTable => Some(Self::Security),
            Self::Security => Some(Self::Counter),
            Self::Counter => Some(Self::Status),
            Self::Status => None,
        }
    }
}

/// Where in the module's diagram the driver is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Finding { since: Instant },
    Inhibiting,
    Resetting,
    Initializing { since: Instant },
    Asking(Question),
    Running,
}

/// Which way a note is to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Stack,
    Return,
}

/// STACK or RETURN, from the decision until the device is seen to have done it.
#[derive(Clone, Copy, Debug)]
struct Order {
    way: Way,
    /// When it was decided.
    since: Instant,
    /// To be sent (again).
    due: bool,
    /// When it was last sent.
    sent: Option<Instant>,
    /// The last one sent was answered with ACK.
    obeyed: bool,
    /// The note was seen moving.
    moved: bool,
    /// A POLL since it was sent had no good answer, or an answer came that nobody had asked for: what the path held meanwhile is
    /// not known, and the note in it may be the next one.
    gap: bool,
    attempts: u8,
}

/// A note that left the slot and did not arrive anywhere yet.
#[derive(Clone, Copy, Debug)]
struct Note {
    /// First sight in escrow.
    since: Instant,
    /// Last HOLD.
    held: Instant,
    /// Whether the kiosk knows of it.
    announced: bool,
}

/// An event that the device repeats until it is confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arrival {
    Stacked(u8),
    Returned(u8),
}

impl Arrival {
    const fn event(self) -> Event {
        match self {
            Self::Stacked(index) => Event::Stacked { index },
            Self::Returned(index) => Event::Returned { index },
        }
    }
}

/// A repeating event and how far its confirmation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Confirmation {
    /// No such event.
    None,
    /// Reported; the kiosk has not said `Acknowledge` yet.
    Asked(Arrival),
    /// The kiosk said `Acknowledge`; the device was not seen leaving the event yet, so the same event is a repetition.
    Given(Arrival),
}

/// The driver.
#[derive(Debug)]
pub struct Ccnet {
    config: Config,
    /// The last input's time.
    now: Instant,
    link: Link,
    events: VecDeque<Event>,
    stage: Stage,
    /// What the last POLL said, for events that are reported once.
    last: Option<PollStatus>,
    poll_at: Instant,
    /// The last command was something else than POLL: the next due POLL goes first.
    poll_first: bool,
    /// Commands other than POLL wait: the device refused too often.
    held_back: Instant,
    /// The same: the device said how long it is busy.
    busy_until: Instant,
    attempts: u8,
    identity: Option<Identity>,
    part: Option<Identification>,
    /// Asking who it is before an early `Stacked` can be understood; done or given up when `None`.
    early: Option<Question>,
    early_done: bool,
    /// The kiosk could not value a note, at this instant: while the device initialises it is asked for its table, and says 81 again
    /// then. CCNET does not allow GET BILL TABLE in 81, and an event that was not confirmed survives RESET as it survives a power cut.
    learning: Option<Instant>,
    /// What is told when `early` is over.
    deferred: Option<Arrival>,
    counter: Option<u16>,
    counter_due: bool,
    wanted: TypeMask,
    applied: Option<TypeMask>,
    /// When `applied` was confirmed.
    applied_at: Instant,
    /// It was seen doing something since then.
    applied_seen: bool,
    note: Option<Note>,
    order: Option<Order>,
    confirmation: Confirmation,
    /// What became of the note of the last order was not seen, and another one was in the path when everything was started over: if
    /// that one comes back, the order has not ended by it. Until `Ready`, when the counter or a person decides.
    unsure: bool,
    device_fault: Option<AcceptorFault>,
    fault_since: Instant,
    /// One RESET per jam was tried.
    fault_reset_done: bool,
    line_fault: Option<AcceptorFault>,
    absent_reset_at: Instant,
    /// A POLL of an absent device was not answered: now RESET may be tried.
    absent_reset_due: bool,
}

impl Ccnet {
    /// Starts by asking the device what it holds.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut driver = Self {
            config,
            now,
            link: Link::new(now),
            events: VecDeque::new(),
            stage: Stage::Finding { since: now },
            last: None,
            poll_at: now,
            poll_first: true,
            held_back: now,
            busy_until: now,
            attempts: 0,
            identity: None,
            part: None,
            early: None,
            early_done: false,
            learning: None,
            deferred: None,
            counter: None,
            counter_due: false,
            wanted: TypeMask::NONE,
            applied: None,
            applied_at: now,
            applied_seen: false,
            note: None,
            order: None,
            confirmation: Confirmation::None,
            unsure: false,
            device_fault: None,
            fault_since: now,
            fault_reset_done: false,
            line_fault: None,
            absent_reset_at: now,
            absent_reset_due: false,
        };
        driver.act();
        driver
    }

    /// Takes bytes from the line, in any split.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.advance(now);
        if let Some((command, answer)) = self.link.handle_bytes(&self.config, now, bytes) {
            self.answered(command, answer);
        }
        self.hear_late();
        self.act();
    }

    /// To be called at the instant of the last [`Output::Wait`]; harmless at any other.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.act();
    }

    /// Time goes on. What passes after the driver wanted to be called is the program's own delay, e.g. a slow disk: nothing was
    /// asked then, so that silence proves nothing.
    fn advance(&mut self, now: Instant) {
        self.link.excuse_silence(now.since(self.wake().max(self.now)));
        self.now = now;
    }

    /// Takes an order of the kiosk. One that does not fit any more (the note went its own way) does nothing.
    pub fn command(&mut self, now: Instant, command: Command) {
        self.advance(now);
        match command {
            // Before `Ready` nothing may be enabled; the kiosk says it again then.
            Command::Enable { types } => {
                if self.stage == Stage::Running {
                    self.wanted = TypeMask::new(types);
                }
            }
            Command::Stack => self.decide(Way::Stack),
            Command::Return => self.decide(Way::Return),
            Command::Acknowledge => self.acknowledge(),
            Command::Learn => self.learn(),
        }
        self.act();
    }

    /// What is to be done. Drain it down to [`Output::Wait`] after each input.
    pub fn poll(&mut self) -> Output {
        // Bytes first: hearing an event may cost the kiosk a disk write, and the device waits for its ACK.
        if let Some(bytes) = self.link.next_transmit() {
            return Output::Transmit(bytes);
        }
        match self.events.pop_front() {
            Some(event) => Output::Event(event),
            None => Output::Wait(self.wake()),
        }
    }

    /// No note is on its way, and none can come: the slot is shut, or nobody answers.
    pub fn is_quiet(&self) -> bool {
        let open = matches!(
            self.last,
            Some(
                PollStatus::Idling
                    | PollStatus::Accepting
                    | PollStatus::Escrow(_)
                    | PollStatus::Holding
                    | PollStatus::Stacking
                    | PollStatus::Returning
                    | PollStatus::Rejecting(_)
            )
        );
        !open || self.line_fault.is_some()
    }

    fn say(&mut self, event: Event) {
        assert!(self.events.len() < MAX_EVENTS, "outputs must be drained after each input");
        self.events.push_back(event);
    }

    fn decide(&mut self, way: Way) {
        let decided = self.order.is_some_and(|order| order.sent.is_some());
        if self.stage == Stage::Running && self.note.is_some_and(|note| note.announced) && !decided {
            self.give_order(way);
        }
    }

    fn give_order(&mut self, way: Way) {
        self.order = Some(Order {
            way,
            since: self.now,
            due: true,
            sent: None,
            obeyed: false,
            moved: false,
            gap: false,
            attempts: 0,
        });
    }

    fn acknowledge(&mut self) {
        if self.deferred.is_some() {
            // It was not told yet, so this is about something else.
            return;
        }
        if let Confirmation::Asked(arrival) = self.confirmation {
            self.confirmation = Confirmation::Given(arrival);
            // Too late for this reply? Then the repetition is confirmed at once.
            self.link.confirm(&self.config, self.now);
            if matches!((self.stage, arrival), (Stage::Finding { .. }, Arrival::Returned(_))) {
                // The note that somebody before us left inside is with its citizen. The types of then may still be enabled, and
                // whoever feeds one note after the other would keep us from ever finding it at rest.
                self.start_over();
            }
        }
    }

    /// Whoever wrote this note's order down is gone with the table, e.g. a disk was replaced. A device that keeps its table to itself
    /// is asked again, but not without end in a row.
    fn learn(&mut self) {
        let rests = self.learning.is_some_and(|since| self.now.since(since) < self.config.initialize);
        if self.identity.is_none() && self.is_asked() && !rests {
            sometimes(Site::TableLearned);
            self.learning = Some(self.now);
            self.confirmation = Confirmation::None;
            self.start_over();
        }
    }

    fn wake(&self) -> Instant {
        match (self.link.overdue_at(), self.link.free_from()) {
            (Some(overdue), _) => overdue,
            (None, Some(free)) if self.next_command().is_some() => free,
            (None, free) => free.unwrap_or_default().max(self.poll_at),
        }
    }

    /// Lets time do its work and sends what is due.
    fn act(&mut self) {
        if let Some((command, answer)) = self.link.handle_timeout(&self.config, self.now) {
            self.answered(command, answer);
        }
        self.watch_line();
        self.watch_note();
        self.watch_fault();
        if self.link.free_from().is_some_and(|free| free <= self.now)
            && let Some(command) = self.next_command()
        {
            self.send(command);
        }
    }

    /// What is to be sent now, if the line is free.
    fn next_command(&self) -> Option<Wire> {
        let poll = (self.poll_at <= self.now).then_some(Wire::Poll);
        let urgent = if self.busy_until <= self.now { self.urgent() } else { None };
        match (poll, urgent) {
            (Some(poll), Some(_)) if self.poll_first => Some(poll),
            (poll, urgent) => urgent.or(poll),
        }
    }

    /// What is to be said besides POLL.
    fn urgent(&self) -> Option<Wire> {
        if self.line_fault.is_some() {
            return self.absent_reset_due.then_some(Wire::Reset);
        }
        if let Some(question) = self.early {
            return Some(question.command());
        }
        if let Some(Order { due: true, way, .. }) = self.order {
            return Some(match way {
                Way::Stack => Wire::Stack,
                Way::Return => Wire::Return,
            });
        }
        if self.held_back > self.now {
            return None;
        }
        let inhibit = Wire::EnableBillTypes { accept: TypeMask::NONE, escrow: TypeMask::NONE };
        match self.stage {
            Stage::Finding { .. } => None,
            // Nothing is reset before the kiosk has on disk what the device reports.
            Stage::Inhibiting | Stage::Resetting | Stage::Initializing { .. } | Stage::Asking(_)
                if self.is_asked() =>
            {
                None
            }
            // RETURN gets its time before RESET does the same by force.
            Stage::Resetting
                if self.order.is_some_and(|order| self.now.since(order.since) < self.config.order) =>
            {
                None
            }
            Stage::Inhibiting => Some(inhibit),
            Stage::Resetting => Some(Wire::Reset),
            // Idling although RESET clears all masks.
            Stage::Initializing { .. } => (self.last == Some(PollStatus::Idling)).then_some(inhibit),
            Stage::Asking(question) => Some(question.command()),
            Stage::Running if self.is_hold_due() => Some(Wire::Hold),
            Stage::Running if self.applied != Some(self.wanted) => {
                let wanted = if planted(Fault::MaskReversed) { reversed(self.wanted) } else { self.wanted };
                Some(Wire::EnableBillTypes { accept: wanted, escrow: wanted })
            }
            Stage::Running if self.counter_due && self.is_at_rest() => Some(Wire::StackedCounter),
            Stage::Running => None,
        }
    }

    fn is_hold_due(&self) -> bool {
        self.order.is_none() && self.note.is_some_and(|note| self.now.since(note.held) >= self.config.hold)
    }

    fn is_at_rest(&self) -> bool {
        matches!(self.last, Some(PollStatus::Idling | PollStatus::Disabled))
    }

    fn send(&mut self, command: Wire) {
        self.poll_first = command != Wire::Poll;
        match command {
            Wire::Poll => {
                let idle = self.applied == Some(TypeMask::NONE) && self.note.is_none() && self.is_at_rest();
                let period = if idle { self.config.poll_idle } else { self.config.poll_busy };
                self.poll_at = self.now + period;
            }
            Wire::Stack | Wire::Return => {
                if let Some(order) = &mut self.order {
                    (order.due, order.obeyed, order.sent) = (false, false, Some(self.now));
                    order.attempts = order.attempts.saturating_add(1);
                    if order.attempts > 1 {
                        sometimes(Site::OrderRepeated);
                    }
                }
                // Look at once what became of it.
                self.poll_at = self.now;
            }
            Wire::Reset => {
                self.absent_reset_due = false;
                self.absent_reset_at = self.now;
            }
            _ => {}
        }
        self.link.send(&self.config, self.now, command);
    }

    fn answered(&mut self, command: Wire, answer: Answer) {
        let wants_data = matches!(
            command,
            Wire::Poll | Wire::GetStatus | Wire::Identification | Wire::GetBillTable | Wire::StackedCounter
        );
        if command == Wire::Poll && !matches!(answer, Answer::Payload(_)) {
            self.lose_sight();
        }
        let payload = match answer {
            Answer::Payload(payload) => payload,
            Answer::Corrupt => {
                sometimes(Site::FrameCorrupt);
                self.link.refuse(&self.config, self.now, wants_data);
                return self.failed(command);
            }
            Answer::Silence => {
                if command == Wire::Poll && self.line_fault.is_some() {
                    self.absent_reset_due = self.may_reset_absent();
                }
                return self.failed(command);
            }
        };
        match Reply::parse(&payload) {
            Reply::Nak => self.failed(command),
            Reply::Illegal if command != Wire::Poll => {
                self.hear();
                self.refused(command);
            }
            Reply::Ack if !wants_data => {
                self.hear();
                self.attempts = 0;
                self.obeyed(command);
            }
            Reply::Data(data) if wants_data && self.take_data(command, data) => {
                // A POLL in between does not make another command succeed.
                if command != Wire::Poll {
                    self.attempts = 0;
                }
            }
            Reply::Ack | Reply::Illegal | Reply::Data(_) => {
                self.link.refuse(&self.config, self.now, wants_data);
                self.failed(command);
            }
        }
    }

    /// The answer to the POLL before was late and taken for the answer to this one, whose own answer follows. If we confirmed the
    /// first, the device took that for a confirmation of the second: what left the path will not be said again.
    fn hear_late(&mut self) {
        if self.link.has_late() {
            self.lose_sight();
        }
        let Some(payload) = self.link.take_late_poll() else { return };
        let Reply::Data(data) = Reply::parse(&payload) else { return };
        let arrival = match PollStatus::parse(data) {
            Ok(PollStatus::Stacked(index)) => Arrival::Stacked(index),
            Ok(PollStatus::Returned(index)) => Arrival::Returned(index),
            _ => return,
        };
        let known = [Confirmation::Asked(arrival), Confirmation::Given(arrival)].contains(&self.confirmation);
        if !known && self.line_fault.is_none() {
            sometimes(Site::ArrivalLate);
            self.hear();
            self.link.open_late();
            self.arrived(arrival);
        }
    }

    /// What the path holds could not be seen for a moment.
    fn lose_sight(&mut self) {
        if let Some(order) = self.order.as_mut().filter(|order| order.sent.is_some()) {
            order.gap = true;
        }
    }

    /// Reads a data reply and confirms it, unless the kiosk must do so; false if it makes no sense.
    fn take_data(&mut self, command: Wire, data: &[u8]) -> bool {
        if command == Wire::Poll {
            let Ok(status) = PollStatus::parse(data) else { return false };
            self.hear();
            self.take_status(status);
            return true;
        }
        let understood = match command {
            Wire::Identification => Identification::parse(data).map(|part| self.part = Some(part)).is_ok(),
            Wire::GetBillTable => BillTable::parse(data).map(|table| self.take_table(&table)).is_ok(),
            Wire::StackedCounter => ccnet::parse_counter(data).map(|count| self.take_counter(count)).is_ok(),
            _ => ccnet::Status::parse(data).is_ok(),
        };
        if understood {
            self.hear();
            self.link.confirm(&self.config, self.now);
            self.step(command);
        }
        understood
    }

    /// The device said something sensible.
    fn hear(&mut self) {
        self.link.accept(self.now);
        if let Some(fault) = self.line_fault.take() {
            self.say(Event::Fault(fault, false));
            // A gap: it may be another device, or the same with a note in its path.
            self.find();
        }
    }

    fn find(&mut self) {
        self.stage = Stage::Finding { since: self.now };
        self.forget();
    }

    /// Forgets what is only true without a gap or reset in between.
    fn forget(&mut self) {
        (self.note, self.order, self.last) = (None, None, None);
        (self.early, self.early_done) = (None, false);
        if self.deferred.take().is_some() {
            // The kiosk was not told, so it will never acknowledge; the device says it again.
            self.confirmation = Confirmation::None;
        }
        (self.identity, self.part, self.counter) = (None, None, None);
        (self.wanted, self.applied, self.counter_due) = (TypeMask::NONE, None, false);
        self.attempts = 0;
        self.held_back = self.now;
    }

    fn take_table(&mut self, table: &BillTable) {
        let bills = (0..).zip(&table.0).filter_map(|(index, entry)| {
            let entry = entry.filter(|entry| self.config.countries.contains(&entry.country))?;
            let denomination = Denomination(entry.value()?);
            Some(BillType { index, country: entry.country, denomination })
        });
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        self.learning = None;
        self.identity = Some(Identity {
            part: text(self.part.map(|part| part.part_text()).as_deref()),
            serial: text(self.part.map(|part| part.serial_text()).as_deref()),
            bills: bills.collect(),
        });
    }

    fn take_counter(&mut self, count: u16) {
        self.counter = Some(count);
        if self.stage == Stage::Running {
            self.counter_due = false;
            self.say(Event::Counter(count));
        }
    }

    /// A command that changes something was confirmed.
    fn obeyed(&mut self, command: Wire) {
        match command {
            Wire::EnableBillTypes { accept, .. } => {
                self.applied = Some(if planted(Fault::MaskReversed) { reversed(accept) } else { accept });
                (self.applied_at, self.applied_seen) = (self.now, false);
                if self.stage == Stage::Inhibiting {
                    self.stage = Stage::Resetting;
                }
            }
            Wire::Reset => {
                if self.stage == Stage::Resetting {
                    self.stage = Stage::Initializing { since: self.now };
                    (self.applied, self.last) = (Some(TypeMask::NONE), None);
                    self.poll_at = self.now;
                }
            }
            Wire::Stack | Wire::Return => {
                if let Some(order) = &mut self.order {
                    order.obeyed = true;
                }
            }
            Wire::Hold => self.held(),
            _ => self.step(command),
        }
    }

    fn held(&mut self) {
        if let Some(note) = &mut self.note {
            note.held = self.now;
        }
    }

    /// A question is answered or given up: on to the next.
    fn step(&mut self, command: Wire) {
        if self.early.is_some_and(|question| question.command() == command) {
            match command {
                Wire::Identification => self.early = Some(Question::BillTable),
                _ => self.end_early(),
            }
            return;
        }
        let Stage::Asking(question) = self.stage else { return };
        if question.command() != command {
            return;
        }
        self.attempts = 0;
        match question.next() {
            Some(next) => self.stage = Stage::Asking(next),
            None => self.be_ready(),
        }
    }

    /// The table was read, or not: now the note can be told.
    fn end_early(&mut self) {
        self.early = None;
        if let Some(identity) = self.identity.clone() {
            self.say(Event::Identified(identity));
        }
        if let Some(arrival) = self.deferred.take() {
            self.say(arrival.event());
        }
    }

    fn be_ready(&mut self) {
        self.stage = Stage::Running;
        self.unsure = false;
        self.say(Event::Identified(self.identity.clone().unwrap_or_default()));
        if let Some(count) = self.counter {
            self.say(Event::Counter(count));
        }
        self.wanted = TypeMask::NONE;
        self.say(Event::Ready);
    }

    /// ILLEGAL COMMAND: the device does not know it, or not in this state.
    fn refused(&mut self, command: Wire) {
        match command {
            Wire::Hold => self.held(),
            Wire::SetSecurity(_) | Wire::GetStatus => self.step(command),
            Wire::StackedCounter if self.stage == Stage::Running => self.failed(command),
            Wire::StackedCounter => self.step(command),
            _ => self.failed(command),
        }
    }

    /// No use was made of the command: it is tried again, and after some attempts something else is done.
    fn failed(&mut self, command: Wire) {
        if matches!(command, Wire::Poll | Wire::Stack | Wire::Return) {
            // POLL comes again anyway; STACK and RETURN are decided by the state that POLL shows.
            return;
        }
        if self.early.is_some_and(|question| question.command() == command) {
            return self.end_early();
        }
        self.attempts = self.attempts.saturating_add(1);
        if self.attempts < MAX_ATTEMPTS {
            return;
        }
        self.attempts = 0;
        match command {
            Wire::SetSecurity(_) | Wire::GetStatus => self.step(command),
            Wire::StackedCounter if self.stage == Stage::Running => self.counter_due = false,
            Wire::StackedCounter => self.step(command),
            Wire::Hold => self.held(),
            Wire::Identification | Wire::GetBillTable => {
                // Without its table no note has a value.
                self.stage = Stage::Resetting;
                self.held_back = self.now + self.config.pause;
            }
            Wire::EnableBillTypes { .. } if self.stage == Stage::Inhibiting => self.stage = Stage::Resetting,
            // The kiosk may want to stop notes: not for long.
            Wire::EnableBillTypes { .. } => self.held_back = self.now + self.config.settle,
            _ => self.held_back = self.now + self.config.pause,
        }
    }
}

/// Only a planted fault sends a mask like this.
fn reversed(mask: TypeMask) -> TypeMask {
    let [high, middle, low] = mask.to_bytes();
    TypeMask::from_bytes([low, middle, high])
}

#[cfg(test)]
mod tests;
