//! The kiosk: the only glue between drivers, session, journal, link, printer and screen.
//!
//! Everything comes in through [`Kiosk::handle`] with the time it happened, everything goes out through [`Kiosk::poll`]. The real
//! shell and the simulated world run this same code. Each irreversible act follows from a durable fact: see [`Kiosk::act`].
//!
//! | Part | File |
//! |---|---|
//! | notes: acceptor events, which notes are welcome | `notes.rs` |
//! | talk with the center: hello, quote, outbox, claims, witness | `center.rs` |
//! | papers: which, when, what if it fails | `paper.rs` |
//! | cards: reader, PIN pad, chip, what is owed to the issuer | `card.rs`, `card_devices.rs`, `card_home.rs`, `card_debts.rs`, `card_screens.rs`, `card_service.rs` |
//! | the list that the center is judged by | `list.rs` |
//! | a note without a payment, shown | `found.rs` |
//! | the order to stop | `stopping.rs` |
//! | what the citizen does | `touch.rs` |
//! | what the citizen sees | `screens.rs` |

mod card;
mod card_debts;
mod card_devices;
mod card_home;
mod card_screens;
mod card_service;
mod center;
mod dialogue;
mod found;
mod list;
mod notes;
mod paper;
mod recall;
mod screens;
mod stopping;
mod touch;

use crate::{
    acceptor, card_reader,
    drivers::{ccnet, escpos},
    health::{FaultCode, Health},
    journal::{Journal, JournalFault},
    ports::{Signer, Store},
    printer,
    receipt::LastSymbol,
    secret::SecretBytes,
    session::{Decision, Effect, Input, Session},
    time::Instant,
    view::{Comfort, Intent, ViewModel},
};
use card::CardDesk;
use card_debts::Errands;
use center::Center;
use dialogue::Dialogue;
use found::Stray;
use std::{collections::VecDeque, mem::Discriminant, time::Duration};
use tolem_probe::{Fault, planted};
use tolem_protocol::{
    Iin, KioskNumber, PaymentId, UtcTime,
    catalogue::{CatalogueHead, Language, Service},
    messages::{DepositKind, HoldReason, Limits, Request, Response},
    record::{Fact, PrintFault},
    signed::Signed,
};

pub use card::Cards;
pub use card_devices::Reader;

/// Settings of one terminal, read from its configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Its number in the fleet.
    pub kiosk: KioskNumber,
    /// Who runs it, as printed.
    pub operator: String,
    /// Where it stands, as printed.
    pub address: String,
    /// Where the next terminal stands, for whoever finds this one closed; empty if nobody has said.
    pub nearest: String,
    /// Name and version of the software.
    pub software: String,
    /// Settings of the acceptor driver.
    pub acceptor: ccnet::Config,
    /// Patterns (years of issue) of bill types whose pattern matters: `(bill type, year)`.
    pub patterns: Vec<(u8, u16)>,
    /// Settings of the printer driver.
    pub printer: escpos::Config,
    /// Dots per row of the printer, a multiple of 8.
    pub page_width: u16,
    /// Waits that involve people.
    pub patience: Patience,
    /// Card reader and PIN pad; without them the terminal takes cash only.
    pub cards: Option<Cards>,
}

/// How long people are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Without a touch or a note before "are you still here?".
    pub idle: Duration,
    /// To answer that question.
    pub still_here: Duration,
    /// On a finished screen before it goes back to the start.
    pub finished: Duration,
    /// For the citizen of an interrupted payment to come back before its money is held.
    pub interrupted: Duration,
    /// For a note that was ordered into the cassette.
    pub stacking: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            still_here: Duration::from_secs(20),
            finished: Duration::from_secs(45),
            interrupted: Duration::from_secs(600),
            stacking: Duration::from_secs(45),
        }
    }
}

/// Why there is no link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkFault {
    /// Name, route or port: nobody answers.
    Unreachable,
    /// Certificates, dates or revocation: the secure channel is refused.
    Refused,
    /// The center closed it, or it broke.
    Closed,
    /// What came was not a message.
    Protocol,
    /// No answer in time.
    Timeout,
}

/// A switch of the cabinet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pin {
    /// Service door.
    Door,
    /// Safe with the cassette.
    Safe,
}

/// A lamp that shows where to act.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lamp {
    /// At the note slot.
    NoteSlot,
    /// At the receipt slot.
    ReceiptSlot,
    /// At the card slot.
    CardSlot,
    /// Not a lamp but a buzzer: a card waits at the gate.
    Buzzer,
}

/// What happened outside.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// Bytes from the acceptor.
    Acceptor(Vec<u8>),
    /// Bytes from the printer.
    Printer(Vec<u8>),
    /// Bytes from the card reader. A card's data may be in them.
    CardReader(SecretBytes),
    /// A card reader whose driver is not in the core did something ([`Reader::Outside`]).
    Reader(card_reader::Event),
    /// Bytes from the PIN pad.
    PinPad(SecretBytes),
    /// A touch.
    Touch(Intent),
    /// TCP and TLS stand; nobody has said hello yet.
    LinkConnected,
    /// There is no connection (any more).
    LinkLost(LinkFault),
    /// An answer from the center.
    Answer {
        /// Number of the request.
        number: u32,
        /// The answer.
        response: Box<Response>,
    },
    /// A switch changed.
    Pin {
        /// Which.
        pin: Pin,
        /// Open now.
        open: bool,
    },
    /// The whole journal was checked: number of records, or what is wrong.
    JournalVerified(Result<u64, JournalFault>),
    /// Space on the journal's disk.
    DiskSpace {
        /// Free bytes.
        free_bytes: u64,
        /// It can be written.
        writable: bool,
    },
    /// Until when the revocation list that the center is judged by is good; in the past when none can be used. Said at the start and
    /// whenever another list is in force; never said where no list is configured.
    ListGoodUntil(UtcTime),
    /// Until when our own certificate is good. Said at the start and after each look at it.
    CertificateGoodUntil(UtcTime),
    /// Stop: let the last citizen go and end.
    Stop,
    /// Only time has passed.
    Tick,
}

/// What the kiosk wants done.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send to the acceptor.
    Acceptor(Vec<u8>),
    /// Send to the printer.
    Printer(Vec<u8>),
    /// Send to the card reader.
    CardReader(SecretBytes),
    /// Tell a card reader whose driver is not in the core ([`Reader::Outside`]).
    Reader(card_reader::Command),
    /// Send to the PIN pad. A card's number may be in it.
    PinPad(SecretBytes),
    /// Ask the center.
    Send {
        /// Number of the request.
        number: u32,
        /// The request.
        request: Box<Request>,
    },
    /// Close the connection and make a new one.
    Reconnect,
    /// A revocation list from the center, not looked at yet: judge it, put it in force if it is newer, and say until when it is good.
    RevocationList(Vec<u8>),
    /// Show this.
    View(Box<ViewModel>),
    /// Switch a lamp.
    Lamp {
        /// Which.
        lamp: Lamp,
        /// On or off.
        on: bool,
    },
    /// A step of the payment, for traces (numbers of use case 5 of the source document).
    Trace {
        /// 1..=25.
        step: u8,
        /// What it is.
        text: &'static str,
    },
    /// Nothing before this instant unless something happens.
    Wait(Instant),
    /// Everything that [`Event::Stop`] asked for is done: end the process.
    Stopped,
    /// The journal failed: end the process now. The reason is for the log.
    Abort(String),
}

/// Free space below which no payment is started: room for the rest of an open one is kept.
pub const DISK_RESERVE_BYTES: u64 = 16 * 1024 * 1024;
/// A center clock further away than this is told to the technician.
const CLOCK_TOLERANCE_MS: i64 = 5 * 60 * 1_000;
/// The longest sleep: screens with seconds in them are counted down at this pace.
const TICK: Duration = Duration::from_millis(250);
/// The start screen is composed anew after this, whether anything happened or not: a day may have begun.
const RECOMPOSE: Duration = Duration::from_secs(1);
/// A store that could not be opened is tried again after this, by a new start. Whoever was interrupted here with money inside waits for it; starts
/// that follow each other faster are taken for crashes by the service manager, which restarts the machine (`deploy/tolem.service`).
const STORE_RETRY: Duration = Duration::from_secs(60);
/// After the journal failed, the emergency slip gets this long.
const LAST_WORDS: Duration = Duration::from_secs(15);

/// One terminal.
pub struct Kiosk<S, K> {
    config: Config,
    /// `None` when the journal cannot be used: the kiosk shows why and takes no money.
    journal: Option<Journal<S>>,
    session: Session,
    signer: K,
    boot_nonce: [u8; 16],
    /// Number for the next payment id of this boot.
    next_number: u64,
    now: Instant,
    utc: UtcTime,
    /// When the center last told the time, and what it said. From then on only monotonic time is added: a system clock that is
    /// set in the meantime moves nothing.
    clock_anchor: Option<(Instant, UtcTime)>,
    started_at: Instant,

    acceptor: ccnet::Ccnet,
    acceptor_wait: Instant,
    acceptor_ready: bool,
    acceptor_starting: bool,
    same_unit: bool,
    identity: Option<acceptor::Identity>,
    counter: Option<u16>,
    enabled_types: u32,
    /// The acceptor has done something else since it last said "stacked".
    moved_on: bool,
    order_since: Option<Instant>,

    printer: escpos::Escpos,
    printer_wait: Instant,
    printer_status: Option<printer::Status>,

    desk: Option<CardDesk>,
    errands: Errands,

    center: Center,
    limits: Option<Limits>,
    catalogue: Option<CatalogueHead>,
    services: Vec<Service>,
    health: Health,

    dialogue: Dialogue,
    language: Language,
    comfort: Comfort,
    payer: Option<Iin>,
    payer_name: String,
    wrong_payers: u8,
    last_note: Option<notes::Remark>,
    stray: Option<Stray>,
    last_activity: Instant,
    still_here_until: Option<Instant>,

    outputs: VecDeque<Output>,
    shown: Option<Box<ViewModel>>,
    symbol: LastSymbol,
    /// Something happened since the screen was composed.
    stale: bool,
    /// When that was, and at which place of the conversation.
    composed: Option<(Instant, Discriminant<Dialogue>)>,
    lamps: [bool; 4],
    dying: Option<(Instant, String)>,
    /// Told to stop; the end comes at this instant at the latest.
    stopping: Option<Instant>,
    stopped: bool,
}

impl<S: Store, K: Signer> Kiosk<S, K> {
    /// Starts on a journal that opened well.
    pub fn open(
        config: Config,
        store: S,
        signer: K,
        boot_nonce: [u8; 16],
        now: Instant,
        utc: UtcTime,
    ) -> Result<Self, (JournalFault, K)> {
        let (journal, session) = match Journal::open(store, config.kiosk, &signer) {
            Ok(opened) => opened,
            Err(fault) => return Err((fault, signer)),
        };
        let mut kiosk = Self::assemble(config, Some(journal), session, signer, boot_nonce, now, utc);
        kiosk.health.set(FaultCode::JournalChecking, true);
        kiosk.boot();
        kiosk.settle();
        Ok(kiosk)
    }

    /// Starts without a journal: shows why it is closed, takes no money.
    pub fn closed(
        config: Config,
        fault: &JournalFault,
        signer: K,
        boot_nonce: [u8; 16],
        now: Instant,
        utc: UtcTime,
    ) -> Self {
        let mut kiosk = Self::assemble(config, None, Session::default(), signer, boot_nonce, now, utc);
        kiosk.health.set(journal_fault_code(fault), true);
        kiosk.settle();
        kiosk
    }

    fn assemble(
        config: Config,
        journal: Option<Journal<S>>,
        session: Session,
        signer: K,
        boot_nonce: [u8; 16],
        now: Instant,
        utc: UtcTime,
    ) -> Self {
        let mut health = Health::default();
        health.set(FaultCode::StartingUp, true);
        health.set(FaultCode::LinkDown, true);
        Self {
            acceptor: ccnet::Ccnet::new(config.acceptor.clone(), now),
            printer: escpos::Escpos::new(config.printer.clone(), now),
            desk: config.cards.as_ref().map(|cards| CardDesk::new(cards, session.pin_serial(), now)),
            errands: Errands::default(),
            config,
            next_number: session.next_number(),
            journal,
            session,
            signer,
            boot_nonce: if planted(Fault::PaymentIdReused) { [1; 16] } else { boot_nonce },
            now,
            utc,
            clock_anchor: None,
            started_at: now,
            acceptor_wait: now,
            acceptor_ready: false,
            acceptor_starting: true,
            same_unit: true,
            identity: None,
            counter: None,
            enabled_types: 0,
            moved_on: false,
            order_since: None,
            printer_wait: now,
            printer_status: None,
            center: Center::default(),
            limits: None,
            catalogue: None,
            services: Vec::new(),
            health,
            dialogue: Dialogue::Attract,
            language: Language::default(),
            comfort: Comfort::default(),
            payer: None,
            payer_name: String::new(),
            wrong_payers: 0,
            last_note: None,
            stray: None,
            last_activity: now,
            still_here_until: None,
            outputs: VecDeque::new(),
            shown: None,
            symbol: LastSymbol::default(),
            stale: true,
            composed: None,
            lamps: [false; 4],
            dying: None,
            stopping: None,
            stopped: false,
        }
    }

    fn boot(&mut self) {
        let software = bounded(&self.config.software);
        self.record(Fact::Booted { nonce: self.boot_nonce, software });
        if let Some(print) = self.session.print() {
            self.act(Input::PrintEnded { print: print.print, result: Err(PrintFault::Unknown) });
        }
        if self.session.order().is_some() {
            self.order_since = Some(self.now);
        }
    }

    /// Takes in what happened at `now`; `utc` is the shell's wall clock.
    pub fn handle(&mut self, now: Instant, utc: UtcTime, event: Event) {
        self.now = self.now.max(now);
        self.utc = match self.clock_anchor {
            Some((at, told)) => {
                let gone = i64::try_from(self.now.since(at).as_millis()).unwrap_or(i64::MAX);
                UtcTime(told.0.saturating_add(gone))
            }
            None => utc,
        };
        if self.dying.is_some() {
            self.last_words(event);
            return;
        }
        self.stale |= !matches!(
            event,
            Event::Acceptor(_) | Event::Printer(_) | Event::CardReader(_) | Event::PinPad(_) | Event::Tick
        );
        match event {
            Event::Acceptor(bytes) => self.acceptor.handle_bytes(self.now, &bytes),
            Event::Printer(bytes) => self.printer.handle_bytes(self.now, &bytes),
            Event::CardReader(bytes) => self.card_bytes(&bytes.0),
            Event::Reader(event) => self.outside_reader_did(event),
            Event::PinPad(bytes) => self.pad_bytes(&bytes.0),
            Event::Touch(intent) => self.touched(intent),
            Event::LinkConnected => self.link_connected(utc),
            Event::LinkLost(fault) => self.link_lost(fault),
            Event::Answer { number, response } => self.answered(number, *response, utc),
            Event::Pin { pin, open } => self.pin_changed(pin, open),
            Event::JournalVerified(result) => self.journal_verified(result),
            Event::DiskSpace { free_bytes, writable } => {
                self.fault(FaultCode::DiskLow, free_bytes < DISK_RESERVE_BYTES);
                if self.journal.is_some() {
                    self.fault(FaultCode::JournalUnwritable, !writable);
                }
            }
            Event::ListGoodUntil(until) => self.center.list.good_until = Some(until),
            Event::CertificateGoodUntil(until) => self.center.certificate_until = Some(until),
            Event::Stop => self.told_to_stop(),
            Event::Tick => {}
        }
        self.settle();
    }

    /// The next wish; [`Output::Wait`] when there is none.
    pub fn poll(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let cards = self.desk.as_ref().map_or(self.now + TICK, CardDesk::wait);
        let next = self.acceptor_wait.min(self.printer_wait).min(cards).min(self.now + TICK);
        Output::Wait(next.max(self.now))
    }

    /// Brings everything that follows from the new state out: drivers, timers, orphans, outbox, slot, lamps, screen.
    fn settle(&mut self) {
        self.drain_acceptor();
        self.drain_printer();
        self.drain_cards();
        self.retry_store();
        if self.dying.is_none() {
            self.tick();
            self.tick_cards();
            self.judge_list();
            self.farewell();
            self.hold_orphans();
            self.show_stray();
            self.pump();
            self.command_slot();
            self.drain_acceptor();
            self.drain_printer();
            self.drain_cards();
        }
        self.show();
    }

    /// Sends the screen out if it changed. It waits for something to happen: day and night devices say that all is as it was, and
    /// composing it anew each time would be most of what an idle kiosk does. Seconds that run down on it are looked at often enough.
    fn show(&mut self) {
        let kind = std::mem::discriminant(&self.dialogue);
        let rest = if self.dialogue == Dialogue::Attract { RECOMPOSE } else { TICK };
        let idle = !self.stale && self.dying.is_none() && self.composed.is_some_and(|(_, last)| last == kind);
        if idle && self.composed.is_some_and(|(at, _)| self.now.since(at) < rest) {
            return;
        }
        (self.stale, self.composed) = (false, Some((self.now, kind)));
        let view = Box::new(self.compose());
        if self.shown.as_ref() != Some(&view) {
            self.outputs.push_back(Output::View(view.clone()));
            self.shown = Some(view);
        }
    }

    /// Started without a journal because the store could not be opened: that may pass, so the program is started again.
    fn retry_store(&mut self) {
        let passing = self.journal.is_none() && self.health.has(FaultCode::JournalUnwritable);
        if passing && self.dying.is_none() && self.now.since(self.started_at) >= STORE_RETRY {
            self.outputs.push_back(Output::Abort("the journal could not be opened: trying again".into()));
            self.started_at = self.now;
        }
    }

    /// Decides, makes the fact durable, commits it, and only then acts.
    fn act(&mut self, input: Input) {
        if self.journal.is_none() || self.dying.is_some() {
            return;
        }
        let fresh = self.fresh_id();
        match self.session.decide(input, fresh, self.utc) {
            Decision::Record(fact) => self.record(fact),
            Decision::Request(deposit) => {
                let pays = deposit.kind == DepositKind::Pay;
                let deposit = Signed::new(&deposit, |message| self.signer.sign(message));
                self.record(if pays {
                    Fact::CommitRequested { deposit }
                } else {
                    Fact::HoldRequested { deposit }
                });
            }
            Decision::Authorize(deposit, card) => {
                let deposit = Signed::new(&deposit, |message| self.signer.sign(message));
                self.record(Fact::AuthorizeSent { deposit, card });
            }
            Decision::Repeat(effect) => self.run(effect),
            Decision::Nothing => {}
        }
    }

    fn record(&mut self, fact: Fact) {
        if self.dying.is_some() {
            return;
        }
        let Some(journal) = &mut self.journal else { return };
        self.stale = true;
        if planted(Fault::ActBeforeRecord) && matches!(fact, Fact::StackOrdered { .. }) {
            // Past the driver, as a bug there could do it: once it is on the wire, no later word calls it back.
            let stack = tolem_protocol::ccnet::Command::Stack.frame();
            self.outputs.push_back(Output::Acceptor(stack.to_vec()));
        }
        if planted(Fault::AcknowledgeBeforeRecord) && matches!(fact, Fact::NoteStacked { .. }) {
            self.acceptor.command(self.now, acceptor::Command::Acknowledge);
        }
        match journal.append(self.now, self.utc, fact.clone(), &self.session, &self.signer) {
            Ok(journaled) => {
                let effect = self.session.commit(&journaled);
                self.center.note_progress(&journaled.record().fact);
                self.next_number = self.next_number.max(self.session.next_number());
                self.run(effect);
            }
            Err(error) => self.journal_failed(error.0, Some(&fact)),
        }
    }

    fn run(&mut self, effect: Effect) {
        match effect {
            Effect::Stack => {
                self.order_since = Some(self.now);
                self.acceptor.command(self.now, acceptor::Command::Stack);
            }
            Effect::Return => {
                self.note_returned_by_us();
                self.acceptor.command(self.now, acceptor::Command::Return);
            }
            Effect::Acknowledge => {
                self.order_since = None;
                self.acceptor.command(self.now, acceptor::Command::Acknowledge);
            }
            Effect::Print(print) => self.send_print(print),
            Effect::None => {}
        }
    }

    /// Money that came without a payment, and notes in doubt, are asked to be held at once.
    fn hold_orphans(&mut self) {
        while self.dying.is_none() && self.journal.is_some() && !planted(Fault::OrphanNotHeld) {
            let Some(deposit) = self.session.orphan(self.utc) else { return };
            if deposit.kind == DepositKind::Hold(HoldReason::NoPayment) {
                self.stray_taken(deposit.payment, deposit.notes.total().unwrap_or_default());
            }
            let deposit = Signed::new(&deposit, |message| self.signer.sign(message));
            self.record(Fact::HoldRequested { deposit });
        }
    }

    fn drain_acceptor(&mut self) {
        if self.acceptor_wait <= self.now {
            self.acceptor.handle_timeout(self.now);
        }
        loop {
            match self.acceptor.poll() {
                acceptor::Output::Transmit(bytes) => self.outputs.push_back(Output::Acceptor(bytes)),
                acceptor::Output::Event(event) => self.acceptor_event(event),
                acceptor::Output::Wait(until) => {
                    self.acceptor_wait = until;
                    return;
                }
            }
        }
    }

    fn drain_printer(&mut self) {
        if self.printer_wait <= self.now {
            self.printer.handle_timeout(self.now);
        }
        loop {
            match self.printer.poll() {
                printer::Output::Transmit(bytes) => self.outputs.push_back(Output::Printer(bytes)),
                printer::Output::Event(event) => self.printer_event(event),
                printer::Output::Wait(until) => {
                    self.printer_wait = until;
                    return;
                }
            }
        }
    }

    /// A fault began or ended: journaled once, shown at once.
    fn fault(&mut self, fault: FaultCode, present: bool) {
        let changed = self.health.set(fault, present);
        self.stale |= changed;
        if changed && self.dying.is_none() && fault.is_journaled() {
            self.record(Fact::FaultChanged { code: bounded(fault.code()), present });
        }
    }

    fn pin_changed(&mut self, pin: Pin, open: bool) {
        let part = match pin {
            Pin::Door => "door",
            Pin::Safe => "safe",
        };
        if self.center.pins_open[pin as usize] != open {
            self.center.pins_open[pin as usize] = open;
            self.record(Fact::Opened { part: bounded(part), open });
            let any = self.center.pins_open.contains(&true);
            self.fault(FaultCode::DoorOpen, any);
        }
    }

    fn journal_verified(&mut self, result: Result<u64, JournalFault>) {
        match result {
            Ok(_) => self.fault(FaultCode::JournalChecking, false),
            Err(fault) => {
                // The journal is evidence now: nothing is written to it any more, so nothing may follow from it.
                let reason = fault.to_string();
                if self.session.current().is_some() {
                    self.journal_failed(reason, None);
                }
                self.journal = None;
                self.health.set(journal_fault_code(&fault), true);
                self.health.set(FaultCode::JournalChecking, false);
            }
        }
    }

    /// The journal failed: what is on disk is unknown, so nothing more may follow from it. The escrow goes back, the citizen
    /// gets an emergency slip signed from memory, the center is told if it can be, and the process ends.
    fn journal_failed(&mut self, reason: String, unwritten: Option<&Fact>) {
        self.dying = Some((self.now + LAST_WORDS, reason));
        // Whoever stands there sees that it is closed, and does not touch a start screen that hears nothing any more.
        self.health.set(FaultCode::JournalUnwritable, true);
        self.acceptor.command(self.now, acceptor::Command::Return);
        self.acceptor.command(self.now, acceptor::Command::Enable { types: 0 });
        self.let_card_go();
        self.emergency_slip(unwritten);
    }

    fn last_words(&mut self, event: Event) {
        match event {
            Event::Acceptor(bytes) => self.acceptor.handle_bytes(self.now, &bytes),
            Event::Printer(bytes) => self.printer.handle_bytes(self.now, &bytes),
            Event::CardReader(bytes) => self.card_bytes(&bytes.0),
            Event::Reader(event) => self.outside_reader_did(event),
            Event::PinPad(bytes) => self.pad_bytes(&bytes.0),
            Event::Touch(_)
            | Event::LinkConnected
            | Event::LinkLost(_)
            | Event::Answer { .. }
            | Event::Pin { .. }
            | Event::JournalVerified(_)
            | Event::DiskSpace { .. }
            | Event::ListGoodUntil(_)
            | Event::CertificateGoodUntil(_)
            | Event::Stop
            | Event::Tick => {}
        }
        self.settle();
        let over = self.dying.as_ref().is_some_and(|(until, _)| self.now >= *until);
        if over && let Some((until, reason)) = self.dying.take() {
            self.outputs.push_back(Output::Abort(reason.clone()));
            self.dying = Some((until + LAST_WORDS * 1_000, reason));
        }
    }

    /// An id nobody used before: number and boot nonce see to that.
    fn fresh_id(&self) -> PaymentId {
        let number = self.next_number.max(self.session.next_number()).max(1);
        PaymentId { kiosk: self.config.kiosk, epoch: self.session.epochs().0, number, nonce: self.boot_nonce }
    }

    fn trace(&mut self, step: u8, text: &'static str) {
        self.outputs.push_back(Output::Trace { step, text });
    }

    /// What the journal says.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Faults that are present.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Number of records and root of the journal.
    pub fn journal(&self) -> Option<&Journal<S>> {
        self.journal.as_ref()
    }

    /// The screen as it is now.
    pub fn view(&self) -> ViewModel {
        self.compose()
    }
}

fn journal_fault_code(fault: &JournalFault) -> FaultCode {
    match fault {
        JournalFault::Store(_) => FaultCode::JournalUnwritable,
        JournalFault::Record(..)
        | JournalFault::Order(_)
        | JournalFault::Root(_)
        | JournalFault::Checkpoint
        | JournalFault::Snapshot => FaultCode::JournalDamaged,
    }
}

/// As much of `text` as fits.
fn bounded<const N: usize>(text: &str) -> heapless::String<N> {
    let mut short = heapless::String::new();
    for letter in text.chars() {
        if short.push(letter).is_err() {
            break;
        }
    }
    short
}
