//! A receipt printer with cutter, seen from its own side of an ESC/POS line.
//!
//! Bytes go through a receive buffer to a mechanism that prints row after row in its own time, so a power cut, an empty roll or
//! an open cover stops it in the middle, and what is on the paper is what was really printed. Real-time status is
//! answered at once, whatever the mechanism does. Head and cutter are apart, as in every printer: who cuts without
//! feeding cuts through his own text.
//!
//! Text in the printer's own fonts is drawn as boxes: these printers cannot be trusted with Kazakh letters, and so the model
//! refuses to pretend that it can read them. Native symbols are not drawn either; both are remarked.

mod engine;
#[cfg(test)]
mod tests;

use crate::{
    line::{Line, LineFaults, OneFault},
    paper::{End, Paper},
};
use engine::Op;
use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};
use tolem_core::time::Instant;
use tolem_protocol::escpos::{
    Asb, Decoded, Decoder, ErrorCause, OfflineCause, PaperState, PrinterState, Query,
};

pub use crate::ccnet_device::Way;

/// A whole unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EscposConfig {
    /// Dots across the paper, a multiple of 8. 80 mm paper at 203 dots per inch: 576.
    pub width: u16,
    /// How fast it prints and feeds: 150 mm/s are 1200 rows.
    pub rows_per_second: u32,
    /// One cut.
    pub cut: Duration,
    /// Rows between head and cutter.
    pub head_to_cutter: u16,
    /// Rows on a new roll.
    pub roll: u32,
    /// The near-end sensor reports from so many rows on.
    pub near_end: u32,
    /// Bytes that it can hold; more are lost.
    pub buffer: usize,
    /// Sends XOFF when the buffer is three quarters full and XON when it is a quarter full.
    pub xon_xoff: bool,
    /// DLE ENQ 2 clears the buffers only after an error, as Epson documents it; else always, as many others do.
    pub clear_only_in_error: bool,
    /// Real-time requests are also found inside dots, as on some printers.
    pub eager_status: bool,
    /// Knows GS ( H, the proof that something was printed.
    pub has_print_done: bool,
    /// Bits per second of a serial cable, ten per byte; `None` = USB, no time at all.
    pub baud: Option<u32>,
    /// From power-on until it hears anything. It makes a short power failure visible to a host that asks often enough.
    pub boot: Duration,
    /// Command to answer.
    pub response: Duration,
    /// For line faults.
    pub seed: u64,
}

impl Default for EscposConfig {
    fn default() -> Self {
        Self {
            width: 576,
            rows_per_second: 1200,
            cut: Duration::from_millis(300),
            head_to_cutter: 104,
            roll: 640_000,
            near_end: 8_000,
            buffer: 1 << 20,
            xon_xoff: false,
            clear_only_in_error: false,
            eager_status: false,
            has_print_done: true,
            baud: None,
            boot: Duration::from_millis(1000),
            response: Duration::from_millis(2),
            seed: 0,
        }
    }
}

impl EscposConfig {
    /// Mechanics about twenty times as fast, for tests in real time.
    pub fn fast() -> Self {
        let ms = Duration::from_millis;
        Self { rows_per_second: 25_000, cut: ms(15), boot: ms(50), ..Self::default() }
    }
}

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PrinterFault {
    /// The cover is open; printing stops and goes on when it is closed.
    CoverOpen,
    /// The cutter is stuck: the next cut fails, and DLE ENQ (or power) is needed after it was freed.
    CutterJam,
    /// The head is too hot; goes away by itself when cleared.
    HeadHot,
    /// Electronics or mechanism: only a power cycle after clearing helps.
    Mechanism,
    /// Powered, but it answers and prints nothing.
    Silent,
}

/// The paper in the printer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PaperSupply {
    /// A new roll. What hung out of the printer is torn off if the old roll had ended.
    New,
    /// The roll is nearly used up.
    Low,
    /// None.
    Out,
    /// None after so many more rows.
    OutAfter(u32),
}

/// What happened inside, for the log and the invariants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PrinterEvent {
    /// Power came or went.
    Power(bool),
    /// A piece of paper came off; the number counts all pieces so far.
    PaperOff(u64),
    /// The device saw something that a careful host would not do, or lost something. In words.
    Remark(String),
}

/// What the device wants done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PrinterOutput {
    /// Send these bytes.
    Transmit(Vec<u8>),
    /// This happened.
    Happened(PrinterEvent),
    /// Nothing before this instant unless bytes or hands come.
    Wait(Instant),
}

/// At most this many pieces of paper are kept; the oldest go first.
const MAX_PAPERS: usize = 200;
/// At most this many commands are remembered; the oldest go first.
const MAX_COMMANDS: usize = 10_000;
/// An uncut strip is torn off when it gets longer than this (20 m), whoever does it.
const MAX_HANGING: usize = 160_000;

/// The device.
#[derive(Clone)]
pub struct EscposDevice {
    config: EscposConfig,
    now: Instant,
    powered: bool,
    boots_until: Instant,
    // Lost with the power.
    decoder: Decoder,
    recent: [u8; 3],
    queue: VecDeque<Op>,
    queued: usize,
    overflowed: bool,
    stopped_by_xoff: bool,
    text: Vec<u8>,
    asb_mask: u8,
    asb_told: [u8; 4],
    cutter_error: bool,
    mechanism_error: bool,
    /// When the mechanism finished its last step, in microseconds.
    engine_us: u64,
    // Physics.
    cover_open: bool,
    cutter_jam: bool,
    head_hot: bool,
    mechanism: bool,
    silent: bool,
    paper_left: u32,
    hanging: Paper,
    papers: VecDeque<Arc<Paper>>,
    pieces: u64,
    // Books.
    commands: VecDeque<Decoded>,
    status_requests: u64,
    to_host: Line,
    to_device: Line,
    events: VecDeque<PrinterEvent>,
}

impl fmt::Debug for EscposDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EscposDevice")
            .field("now", &self.now)
            .field("powered", &self.powered)
            .field("queue", &self.queue.len())
            .field("hanging", &self.hanging)
            .field("papers", &self.papers)
            .finish_non_exhaustive()
    }
}

impl EscposDevice {
    /// A printer with a new roll, not powered.
    pub fn new(config: EscposConfig) -> Self {
        let mut hanging = Paper::new(config.width);
        hanging.feed(usize::from(config.head_to_cutter));
        Self {
            now: Instant(0),
            powered: false,
            boots_until: Instant(0),
            decoder: Decoder::new(),
            recent: [0; 3],
            queue: VecDeque::new(),
            queued: 0,
            overflowed: false,
            stopped_by_xoff: false,
            text: Vec::new(),
            asb_mask: 0,
            asb_told: [0; 4],
            cutter_error: false,
            mechanism_error: false,
            engine_us: 0,
            cover_open: false,
            cutter_jam: false,
            head_hot: false,
            mechanism: false,
            silent: false,
            paper_left: config.roll,
            hanging,
            papers: VecDeque::new(),
            pieces: 0,
            commands: VecDeque::new(),
            status_requests: 0,
            to_host: Line::new(config.seed ^ 0xC3C3),
            to_device: Line::new(config.seed ^ 0x3C3C),
            events: VecDeque::new(),
            config,
        }
    }

    /// A printer with a new roll that was switched on long ago.
    pub fn new_running(config: EscposConfig) -> Self {
        Self { powered: true, ..Self::new(config) }
    }

    /// What comes out next; call until [`PrinterOutput::Wait`].
    pub fn poll(&mut self) -> PrinterOutput {
        if let Some(event) = self.events.pop_front() {
            return PrinterOutput::Happened(event);
        }
        if let Some(bytes) = self.to_host.receive(self.now) {
            return PrinterOutput::Transmit(bytes);
        }
        let next = [self.next_step(), self.to_host.next_due(), self.to_device.next_due()];
        PrinterOutput::Wait(next.into_iter().flatten().min().unwrap_or(Instant(u64::MAX)))
    }

    /// Time went by.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// Bytes came from the host, in any split.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        let begins = self.to_device.last_due().map_or(now, |last| last.max(now));
        let travels = self.config.baud.map_or(0, |baud| bytes.len() as u64 * 10_000 / u64::from(baud.max(1)));
        self.to_device.send(begins + Duration::from_millis(travels), bytes);
        self.advance(now);
    }

    /// Bytes are still travelling on the cable.
    pub fn is_receiving(&self) -> bool {
        self.to_device.next_due().is_some()
    }

    /// How a direction of the line misbehaves from now on.
    pub fn set_line_faults(&mut self, way: Way, faults: LineFaults) {
        self.line(way).set_faults(faults);
    }

    /// One fault for the next chunk in this direction.
    pub fn fault_next_chunk(&mut self, way: Way, fault: OneFault) {
        self.line(way).fault_next(fault);
    }

    fn line(&mut self, way: Way) -> &mut Line {
        match way {
            Way::ToHost => &mut self.to_host,
            Way::ToDevice => &mut self.to_device,
        }
    }

    /// Whether it has power.
    pub fn is_powered(&self) -> bool {
        self.powered
    }

    /// Whether it still has something to do, able or not.
    pub fn is_busy(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Bytes that still fit into the receive buffer.
    pub fn free_buffer(&self) -> usize {
        self.config.buffer.saturating_sub(self.queued)
    }

    /// Pieces of paper that came off, oldest first.
    pub fn papers(&self) -> impl ExactSizeIterator<Item = &Arc<Paper>> {
        self.papers.iter()
    }

    /// The citizen takes all pieces.
    pub fn take_papers(&mut self) -> Vec<Arc<Paper>> {
        self.papers.drain(..).collect()
    }

    /// How many pieces came off in its life.
    pub fn pieces(&self) -> u64 {
        self.pieces
    }

    /// What still hangs in the printer, including the rows between head and cutter.
    pub fn hanging(&self) -> &Paper {
        &self.hanging
    }

    /// What the sensors say about the roll.
    pub fn paper_state(&self) -> PaperState {
        PaperState { near_end: self.paper_left <= self.config.near_end, end: self.paper_left == 0 }
    }

    /// Faults that are in force, in a fixed order.
    pub fn faults(&self) -> Vec<PrinterFault> {
        [
            (self.cover_open, PrinterFault::CoverOpen),
            (self.cutter_jam || self.cutter_error, PrinterFault::CutterJam),
            (self.head_hot, PrinterFault::HeadHot),
            (self.mechanism || self.mechanism_error, PrinterFault::Mechanism),
            (self.silent, PrinterFault::Silent),
        ]
        .into_iter()
        .filter_map(|(there, fault)| there.then_some(fault))
        .collect()
    }

    /// Commands received, oldest first: no dots, no single letters of text, no status requests.
    pub fn commands(&self) -> impl ExactSizeIterator<Item = &Decoded> {
        self.commands.iter()
    }

    /// How often the status was asked.
    pub fn status_requests(&self) -> u64 {
        self.status_requests
    }

    /// The configuration.
    pub fn config(&self) -> &EscposConfig {
        &self.config
    }

    // Hands.

    /// Something goes wrong.
    pub fn set_fault(&mut self, now: Instant, fault: PrinterFault) {
        self.change(now, fault, true);
    }

    /// The technician mends it. What needs DLE ENQ or a power cycle afterwards still needs it.
    pub fn clear_fault(&mut self, now: Instant, fault: PrinterFault) {
        self.change(now, fault, false);
    }

    fn change(&mut self, now: Instant, fault: PrinterFault, on: bool) {
        self.advance(now);
        match fault {
            PrinterFault::CoverOpen => self.cover_open = on,
            PrinterFault::CutterJam => self.cutter_jam = on,
            PrinterFault::HeadHot => self.head_hot = on,
            PrinterFault::Mechanism => {
                self.mechanism = on;
                self.mechanism_error |= on;
            }
            PrinterFault::Silent => self.silent = on,
        }
        self.advance(now);
    }

    /// Changes the roll.
    pub fn set_paper(&mut self, now: Instant, supply: PaperSupply) {
        self.advance(now);
        self.paper_left = match supply {
            PaperSupply::New => {
                if self.paper_left == 0 {
                    self.tear_off();
                }
                self.config.roll
            }
            PaperSupply::Low => self.config.near_end,
            PaperSupply::Out => 0,
            PaperSupply::OutAfter(rows) => rows,
        };
        self.advance(now);
    }

    /// Cuts the power: all that was received and not yet printed is lost; the paper stays as it is.
    pub fn power_off(&mut self, now: Instant) {
        self.advance(now);
        if !std::mem::replace(&mut self.powered, false) {
            return;
        }
        self.clear_buffers();
        self.decoder = Decoder::new();
        (self.asb_mask, self.cutter_error, self.mechanism_error) = (0, false, false);
        (self.stopped_by_xoff, self.overflowed) = (false, false);
        self.to_host.clear();
        self.to_device.clear();
        self.events.push_back(PrinterEvent::Power(false));
    }

    /// Switches the power on.
    pub fn power_on(&mut self, now: Instant) {
        self.advance(now);
        if std::mem::replace(&mut self.powered, true) {
            return;
        }
        self.mechanism_error = self.mechanism;
        self.silent = false;
        self.boots_until = now + self.config.boot;
        self.engine_us = now.0.saturating_mul(1000);
        self.events.push_back(PrinterEvent::Power(true));
    }

    // Status.

    fn is_offline(&self) -> bool {
        self.cover_open || self.paper_left == 0 || self.has_error()
    }

    fn has_error(&self) -> bool {
        self.cutter_error || self.mechanism_error || self.head_hot
    }

    fn error_cause(&self) -> ErrorCause {
        ErrorCause {
            recoverable: false,
            cutter: self.cutter_error,
            unrecoverable: self.mechanism_error,
            auto_recoverable: self.head_hot,
        }
    }

    /// The answer to DLE EOT.
    pub fn real_time_status(&self, query: Query) -> u8 {
        match query {
            Query::Printer => PrinterState {
                offline: self.is_offline(),
                waiting_recovery: self.cutter_error,
                ..PrinterState::default()
            }
            .byte(),
            Query::Offline => OfflineCause {
                cover_open: self.cover_open,
                feeding: false,
                paper_end: self.paper_left == 0,
                error: self.has_error(),
            }
            .byte(),
            Query::Error => self.error_cause().byte(),
            Query::Paper => self.paper_state().byte(),
        }
    }

    /// The four bytes of Automatic Status Back, reduced to what was subscribed.
    fn automatic_status(&self) -> [u8; 4] {
        let wants = |bit: u8| self.asb_mask & bit != 0;
        let mut asb = Asb::default();
        if wants(2) {
            (asb.offline, asb.cover_open) = (self.is_offline(), self.cover_open);
        }
        if wants(4) {
            (asb.error, asb.waiting_recovery) = (self.error_cause(), self.cutter_error);
        }
        if wants(8) {
            asb.paper = self.paper_state();
        }
        asb.bytes()
    }

    fn remark(&mut self, text: String) {
        self.events.push_back(PrinterEvent::Remark(text));
    }

    fn tear_off(&mut self) {
        let rows = self.hanging.height();
        let piece = self.hanging.split_off_top(rows, End::Torn);
        self.hanging.feed(usize::from(self.config.head_to_cutter));
        if !piece.is_blank() {
            self.keep(piece);
        }
    }

    fn keep(&mut self, piece: Paper) {
        if self.papers.len() >= MAX_PAPERS {
            self.papers.pop_front();
        }
        self.papers.push_back(Arc::new(piece));
        self.pieces += 1;
        self.events.push_back(PrinterEvent::PaperOff(self.pieces));
    }
}
