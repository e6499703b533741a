//! ESC/POS driver: receipt printers with a cutter, fed with dots.
//!
//! A receipt counts as printed only when the printer says so after its last byte: "sent" proves nothing, because a printer
//! without paper still takes bytes, and prints them on the next roll. So the status is read before, between bands and after, and on
//! any fault the rest is thrown away on both sides. Sources: Epson ESC/POS command reference; field drivers for timing.
//!
//! ```text
//!           start: throw away what an earlier process left (dots of a cut band, an error, settings)
//!             v
//!  Print -> Checking --ok--> Sending --last band, cut--> Proving --2 good rounds (and GS ( H)--> Printed
//!             | blocked        |  ^                        |
//!             |                |  +- band, drained,        | blocked, silent, too long
//!             v                v     4 x DLE EOT good      v
//!           Failed          Failed, buffers cleared     Failed, buffers cleared
//! ```
//!
//! DLE EOT is sent only between complete commands and one at a time, with a pause after each answer, so that a stray byte cannot shift
//! answers from one question to the next.

mod bands;

use crate::{
    printer::{Command, Event, Output, Page, PaperLevel, Status},
    time::Instant,
};
use std::{collections::VecDeque, time::Duration};
use tolem_probe::{Fault, Site, planted, sometimes};
use tolem_protocol::{
    escpos::{self, ErrorCause, OfflineCause, PaperState, PrinterState, Query},
    record::PrintFault,
};

/// Outputs that one input may cause.
const MAX_OUTPUTS: usize = 16;
/// Shortest time that anything takes on the line.
const TICK: Duration = Duration::from_millis(1);
/// Prints that may wait for the one under way.
const MAX_JOBS: usize = 4;
/// Rows in one raster band at most; more would only make faults be seen later.
const MAX_BAND_ROWS: usize = 128;
/// Longest page in bytes: about 20 m of paper.
const MAX_PAGE: usize = 12 * 1024 * 1024;
/// Bytes of the answer to GS ( H.
const PRINT_DONE: usize = 7;
/// Longest pause between attempts to free an absent printer.
pub const MAX_WASH_PAUSE: Duration = Duration::from_secs(300);
/// Good rounds of status in a row that prove a print.
const PROOF_ROUNDS: u8 = 2;

/// What can be set, with the values that field drivers use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// What the line carries: baud rate / 10 for a serial line. Bands are paced by it.
    pub bytes_per_second: u32,
    /// Rows that the mechanism prints in a second at least. Bands are paced by it too, and no proof is looked for before.
    pub rows_per_second: u32,
    /// Bytes per row of the print head, to wash out a band that an earlier process left unfinished.
    pub bytes_per_row: u16,
    /// Whether the printer answers GS ( H ("print done"). Many clones do not.
    pub print_done: bool,
    /// Whether the cutter leaves a bridge, so that the paper does not fall.
    pub partial_cut: bool,
    /// Vertical motion units fed beyond the cutter before the cut.
    pub feed_before_cut: u8,
    /// From status round to status round without a print.
    pub poll_idle: Duration,
    /// The same during a print.
    pub poll_printing: Duration,
    /// How long one status byte may take after the line is drained.
    pub reply: Duration,
    /// Pause after each status byte.
    pub quiet: Duration,
    /// Silence after which the printer counts as absent.
    pub silence: Duration,
    /// From the loss of a printer to the first attempt to free it from an unfinished band; each further pause is twice as long,
    /// up to [`MAX_WASH_PAUSE`], so that a port without a printer does not fill up.
    pub absent_wash: Duration,
    /// How long one cut takes, with the feed before it.
    pub cut: Duration,
    /// How long a print may take beyond the time that its bytes and rows need.
    pub patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            bytes_per_second: 11_520,
            rows_per_second: 800,
            bytes_per_row: 72,
            print_done: false,
            partial_cut: true,
            feed_before_cut: 0,
            poll_idle: ms(1000),
            poll_printing: ms(250),
            reply: ms(500),
            quiet: ms(10),
            silence: ms(3000),
            absent_wash: ms(5000),
            cut: ms(500),
            patience: ms(60_000),
        }
    }
}

impl Config {
    /// How long the line needs for so many bytes.
    fn line_time(&self, bytes: usize) -> Duration {
        Duration::from_millis((bytes as u64 * 1000).div_ceil(u64::from(self.bytes_per_second.max(1))))
    }

    /// How long the mechanism needs for so many rows.
    fn print_time(&self, rows: usize) -> Duration {
        Duration::from_millis(rows as u64 * 1000 / u64::from(self.rows_per_second.max(1)))
    }

    /// Rows of a band: half a second of the line, so that a fault is seen in time.
    fn band_rows(&self, bytes_per_row: usize) -> usize {
        (self.bytes_per_second as usize / 2 / bytes_per_row.max(1)).clamp(1, MAX_BAND_ROWS)
    }

    /// Dots of a band in bytes: as many as that many whole rows have, however many rows they turn out to be.
    fn band_bytes(&self, bytes_per_row: usize) -> usize {
        self.band_rows(bytes_per_row) * bytes_per_row
    }
}

/// How far a print is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// A round of status that began after the order decides.
    Checking,
    /// Bands from this row on.
    Sending { row: usize },
    /// All is sent; so many good rounds were seen. Before `not_before` they prove nothing.
    Proving { not_before: Instant, good: u8 },
}

#[derive(Debug)]
struct Job {
    print: u64,
    page: Page,
    phase: Phase,
    /// A good round was seen: the next band may go.
    send_due: bool,
    /// When it must be over.
    until: Instant,
    /// The printer answered GS ( H.
    done: bool,
}

/// A round of the four questions.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    answers: [u8; 4],
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    until: Instant,
    /// The answer is not wanted any more.
    stale: bool,
}

/// The driver.
#[derive(Debug)]
pub struct Escpos {
    config: Config,
    /// The last input's time.
    now: Instant,
    outputs: VecDeque<Output>,
    /// A status byte is awaited.
    asked: Option<Asked>,
    round: Round,
    /// When the next round begins.
    poll_at: Instant,
    /// Bytes on their way to the printer, or the pause after an answer.
    busy_until: Instant,
    /// Last answer, or the start.
    heard: Instant,
    present: Option<bool>,
    /// It was absent, answers again, and its buffers were cleared.
    cleared: bool,
    washed_at: Instant,
    wash_pause: Duration,
    status: Option<Status>,
    /// XOFF was received: no dots.
    held: bool,
    /// Part of a print is on the paper and not cut off.
    scrap: bool,
    job: Option<Job>,
    waiting: VecDeque<(u64, Page)>,
    done_bytes: Vec<u8>,
}

impl Escpos {
    /// Starts by throwing away whatever is in the printer's buffers.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut driver = Self {
            wash_pause: config.absent_wash,
            config,
            now,
            outputs: VecDeque::new(),
            asked: None,
            round: Round::default(),
            poll_at: now,
            busy_until: now,
            heard: now,
            present: None,
            cleared: false,
            washed_at: now,
            status: None,
            held: false,
            scrap: false,
            job: None,
            waiting: VecDeque::new(),
            done_bytes: Vec::with_capacity(PRINT_DONE),
        };
        driver.wash();
        driver
    }

    /// Takes bytes from the line, in any split.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.advance(now);
        for byte in bytes {
            self.take_byte(*byte);
        }
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
        self.heard = self.heard + now.since(self.wake().max(self.now));
        self.now = now;
    }

    /// Takes an order. A page that cannot be printed at all, or one too many, fails with [`PrintFault::Mechanism`].
    pub fn command(&mut self, now: Instant, command: Command) {
        self.advance(now);
        let Command::Print { print, page } = command;
        let bytes_per_row = usize::from(page.width / 8);
        let sane = page.width.is_multiple_of(8)
            && bytes_per_row > 0
            && !page.rows.is_empty()
            && page.rows.len().is_multiple_of(bytes_per_row)
            && page.rows.len() <= MAX_PAGE;
        if !sane || self.waiting.len() >= MAX_JOBS {
            self.say(Event::Failed { print, fault: PrintFault::Mechanism });
        } else {
            self.waiting.push_back((print, page));
        }
        self.act();
    }

    /// What is to be done. Drain it down to [`Output::Wait`] after each input.
    pub fn poll(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait(self.wake()))
    }

    fn put(&mut self, output: Output) {
        assert!(self.outputs.len() < MAX_OUTPUTS, "outputs must be drained after each input");
        self.outputs.push_back(output);
    }

    fn say(&mut self, event: Event) {
        self.put(Output::Event(event));
    }

    fn transmit(&mut self, bytes: Vec<u8>) {
        self.busy_until = self.busy_until.max(self.now) + self.config.line_time(bytes.len()).max(TICK);
        self.put(Output::Transmit(bytes));
    }

    fn period(&self) -> Duration {
        if self.job.is_some() { self.config.poll_printing } else { self.config.poll_idle }
    }

    fn wake(&self) -> Instant {
        match self.asked {
            Some(asked) => asked.until,
            None if self.round.count > 0 || self.is_band_due() => self.busy_until,
            None => self.busy_until.max(self.poll_at),
        }
    }

    fn is_band_due(&self) -> bool {
        !self.held && self.job.as_ref().is_some_and(|job| job.send_due)
    }

    /// Lets time do its work and sends what is due.
    fn act(&mut self) {
        if self.asked.is_some_and(|asked| asked.until <= self.now) {
            self.asked = None;
            self.round = Round::default();
            self.poll_at = self.now + self.period();
            self.fail_unanswered();
        }
        self.watch();
        self.begin_job();
        if self.asked.is_some() || self.busy_until > self.now {
            return;
        }
        if self.round.count == 0 && self.is_band_due() {
            self.send_next();
        } else if self.round.count > 0 || self.poll_at <= self.now {
            let query = Query::ALL[self.round.count];
            self.put(Output::Transmit(query.bytes().to_vec()));
            self.asked = Some(Asked { until: self.now + self.config.reply, stale: false });
        }
    }

    /// Silence, and prints that take too long.
    fn watch(&mut self) {
        // While the line is busy nothing is asked.
        if self.now.since(self.heard.max(self.busy_until)) >= self.config.silence {
            if self.present != Some(false) {
                (self.present, self.cleared) = (Some(false), false);
                (self.washed_at, self.wash_pause) = (self.now, self.config.absent_wash);
                self.status = None;
                self.say(Event::Absent);
            }
            self.fail_job(PrintFault::Absent);
            if self.now.since(self.washed_at) >= self.wash_pause && self.asked.is_none() {
                self.wash_pause = self.wash_pause.saturating_mul(2).min(MAX_WASH_PAUSE);
                self.wash();
            }
        }
        if self.job.as_ref().is_some_and(|job| job.until <= self.now) {
            let fault = match (self.status.and_then(|status| status.blocking()), &self.job) {
                (Some(fault), _) => fault,
                // All was sent and nothing is wrong, but nobody confirmed it.
                (None, Some(Job { phase: Phase::Proving { .. }, .. })) => PrintFault::Unknown,
                (None, _) => PrintFault::Mechanism,
            };
            self.clear();
            self.fail_job(fault);
        }
    }

    fn begin_job(&mut self) {
        if self.present == Some(false) {
            while let Some((print, _)) = self.waiting.pop_front() {
                self.say(Event::Failed { print, fault: PrintFault::Absent });
            }
        }
        if self.job.is_some() {
            return;
        }
        let Some((print, page)) = self.waiting.pop_front() else { return };
        let needed =
            self.config.line_time(page.rows.len()).saturating_mul(2) + self.config.print_time(page.height());
        let until = self.now + self.config.patience + needed;
        self.job = Some(Job { print, page, phase: Phase::Checking, send_due: false, until, done: false });
        // Only a round that begins now counts.
        self.round = Round::default();
        self.poll_at = self.now;
        if let Some(asked) = &mut self.asked {
            asked.stale = true;
        }
    }

    fn fail_job(&mut self, fault: PrintFault) {
        if let Some(job) = self.job.take() {
            if job.phase != Phase::Checking {
                sometimes(Site::PrintBroken);
                self.scrap = true;
            }
            self.round = Round::default();
            self.say(Event::Failed { print: job.print, fault });
        }
    }

    /// A printer that did not answer in the middle of a print may have lost its power and with it what it had not printed; it
    /// does not say so when it is back.
    fn fail_unanswered(&mut self) {
        if self.job.as_ref().is_some_and(|job| job.phase != Phase::Checking) {
            self.clear();
            self.fail_job(PrintFault::Absent);
        }
    }

    /// Ends a band that an earlier process may have left unfinished, then clears all.
    fn wash(&mut self) {
        let width = usize::from(self.config.bytes_per_row);
        // NUL is a white dot inside a band and nothing outside.
        self.washed_at = self.now;
        self.transmit(vec![0; self.config.band_bytes(width)]);
        self.clear();
    }

    /// Throws away what the printer has received and not printed; back to known settings.
    fn clear(&mut self) {
        let bytes = [&escpos::RECOVER_CLEAR[..], &escpos::INIT, &escpos::ASB_OFF].concat();
        self.transmit(bytes);
        self.held = false;
    }

    /// The next band, or the end of the page.
    fn send_next(&mut self) {
        let cut = escpos::feed_and_cut(self.config.partial_cut, self.config.feed_before_cut);
        if std::mem::take(&mut self.scrap) {
            // What is left of a failed print must not hang on this one.
            sometimes(Site::ScrapCut);
            self.transmit(cut.to_vec());
            self.busy_until = self.busy_until + self.config.cut;
            return;
        }
        let Some(job) = &mut self.job else { return };
        job.send_due = false;
        let first = match job.phase {
            Phase::Checking => 0,
            Phase::Sending { row } => row,
            Phase::Proving { .. } => return,
        };
        let width = usize::from(job.page.width / 8);
        let (mut bytes, rows) =
            bands::next(&job.page, first, MAX_BAND_ROWS, self.config.band_bytes(width) + bands::HEAD);
        let next = first + rows;
        if next < job.page.height() {
            job.phase = Phase::Sending { row: next };
        } else {
            bytes.extend(cut);
            if self.config.print_done {
                bytes.extend(escpos::print_done_request(escpos::print_done_id(job.print)));
            }
            let behind = self.config.print_time(rows) + self.config.cut;
            let not_before = self.now + self.config.line_time(bytes.len()) + behind;
            job.phase = Phase::Proving { not_before, good: 0 };
        }
        if planted(Fault::PrintedWhenSent)
            && let Phase::Proving { .. } = job.phase
        {
            let print = job.print;
            self.job = None;
            self.say(Event::Printed { print });
        }
        self.transmit(bytes);
        // Not faster than the mechanism either: what lies in its buffer cannot be called back.
        self.busy_until = self.busy_until.max(self.now + self.config.print_time(rows));
        self.poll_at = self.busy_until;
    }

    fn take_byte(&mut self, byte: u8) {
        if !self.done_bytes.is_empty() || byte == 0x37 {
            return self.take_done_byte(byte);
        }
        match byte {
            escpos::XOFF => self.held = true,
            escpos::XON => self.held = false,
            _ if escpos::is_status(byte) => self.take_status(byte),
            // Automatic status of a printer that ignores ASB off, or noise.
            _ => {}
        }
    }

    /// Collects the answer to GS ( H.
    fn take_done_byte(&mut self, byte: u8) {
        self.done_bytes.push(byte);
        let expected =
            self.job.as_ref().map(|job| escpos::print_done_reply(escpos::print_done_id(job.print)));
        let fits = expected.is_some_and(|expected| expected.starts_with(&self.done_bytes));
        if !fits {
            // Not ours: the rest may still be something else.
            let wrong = std::mem::take(&mut self.done_bytes);
            if wrong.len() > 1 {
                self.take_byte(byte);
            }
        } else if self.done_bytes.len() == PRINT_DONE {
            self.done_bytes.clear();
            if let Some(job) = &mut self.job {
                job.done = true;
            }
        }
    }

    fn take_status(&mut self, byte: u8) {
        let Some(asked) = self.asked.take() else { return };
        self.heard = self.now;
        self.busy_until = self.busy_until.max(self.now + self.config.quiet);
        if self.present == Some(false) && !self.cleared {
            // It was away: whatever it still holds must not be printed.
            self.cleared = true;
            self.round = Round::default();
            self.poll_at = self.now;
            return self.clear();
        }
        if asked.stale {
            return;
        }
        self.round.answers[self.round.count] = byte;
        self.round.count += 1;
        if self.round.count == Query::ALL.len() {
            let answers = std::mem::take(&mut self.round).answers;
            self.poll_at = self.now + self.period();
            if let Some((status, online)) = read(answers) {
                self.finish_round(status, online);
            }
        }
    }

    fn finish_round(&mut self, status: Status, online: bool) {
        self.present = Some(true);
        if self.status.replace(status) != Some(status) {
            self.say(Event::Status(status));
        }
        let Some(job) = &mut self.job else { return };
        if let Some(fault) = status.blocking() {
            if job.phase != Phase::Checking {
                self.clear();
            }
            return self.fail_job(fault);
        }
        match &mut job.phase {
            // Offline without a reason, e.g. while paper is fed by hand: it may pass.
            Phase::Proving { good, .. } if !online => *good = 0,
            _ if !online => {}
            Phase::Checking | Phase::Sending { .. } => job.send_due = true,
            Phase::Proving { not_before, good } if *not_before <= self.now => {
                *good = good.saturating_add(1);
                if *good >= PROOF_ROUNDS && (job.done || !self.config.print_done) {
                    let print = job.print;
                    self.job = None;
                    self.poll_at = self.now + self.period();
                    self.say(Event::Printed { print });
                }
            }
            Phase::Proving { .. } => {}
        }
    }
}

/// The four answers of a round: the status, and whether the printer is online.
fn read([printer, offline, error, paper]: [u8; 4]) -> Option<(Status, bool)> {
    let printer = PrinterState::parse(printer)?;
    let offline = OfflineCause::parse(offline)?;
    let error = ErrorCause::parse(error)?;
    let paper = PaperState::parse(paper)?;
    let level = match (paper.end || offline.paper_end, paper.near_end) {
        (true, _) => PaperLevel::Out,
        (false, true) => PaperLevel::Low,
        (false, false) => PaperLevel::Present,
    };
    let status = Status {
        paper: level,
        cover_open: offline.cover_open,
        cutter_error: error.cutter,
        other_error: error.recoverable
            || error.unrecoverable
            || error.auto_recoverable
            || printer.waiting_recovery
            || offline.error && !error.cutter,
    };
    Some((status, !printer.offline))
}

#[cfg(test)]
mod tests;
