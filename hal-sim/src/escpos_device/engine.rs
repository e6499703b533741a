//! Receive buffer and mechanism: what was heard becomes steps, steps take their time.

use super::{EscposDevice, MAX_COMMANDS, MAX_HANGING};
use crate::paper::End;
use tolem_core::time::Instant;
use tolem_protocol::escpos::{Decoded, Query, XOFF, XON, print_done_reply};

/// Rows of one line of the printer's own text, with its spacing.
const LINE: u16 = 30;
/// Width of one letter.
const LETTER: usize = 12;

/// One step waiting in the receive buffer.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// GS v 0. `rows` grows while the dots arrive.
    Raster { stride: usize, mode: u8, total: usize, rows: Vec<u8>, printed: usize, repeated: bool },
    /// White rows.
    Feed { left: u32 },
    /// A line in the printer's own letters.
    Letters { count: usize, left: u16 },
    /// Cut here.
    Cut { partial: bool },
    /// Tell when this point is reached.
    PrintDone([u8; 4]),
    /// GS a.
    Subscribe(u8),
}

impl Op {
    fn size(&self) -> usize {
        match self {
            Self::Raster { rows, .. } => rows.len() + 8,
            Self::PrintDone(_) => 11,
            Self::Feed { .. } | Self::Letters { .. } | Self::Cut { .. } | Self::Subscribe(_) => 3,
        }
    }
}

/// What the mechanism can do with the first step.
enum Next {
    /// Nothing: empty, waiting for dots, or blocked.
    Rest,
    /// A step that takes so many microseconds.
    Takes(u64),
}

impl EscposDevice {
    /// Runs mechanism and line up to `now`, each step at its own time.
    pub(super) fn advance(&mut self, now: Instant) {
        loop {
            let step = self.next_step().filter(|due| *due <= now);
            let heard = self.to_device.next_due().filter(|due| *due <= now);
            match (step, heard) {
                (Some(due), arrives) if arrives.is_none_or(|arrives| due <= arrives) => {
                    self.now = self.now.max(due);
                    self.run(self.now);
                }
                (_, Some(due)) => {
                    self.now = self.now.max(due);
                    let bytes = self.to_device.receive(due).unwrap_or_default();
                    if self.powered && !self.silent && self.now >= self.boots_until {
                        self.hear(&bytes);
                    }
                }
                _ => break,
            }
        }
        self.now = self.now.max(now);
        self.run(self.now);
    }

    /// When something can be seen from outside next: a step ends, or the paper does.
    pub(super) fn next_step(&self) -> Option<Instant> {
        let Next::Takes(us) = self.next() else { return None };
        let rows = match self.queue.front()? {
            Op::Raster { stride, rows, printed, .. } => (rows.len() / (*stride).max(1) - printed) as u64,
            Op::Feed { left } => u64::from(*left),
            Op::Letters { left, .. } => u64::from(*left),
            Op::Cut { .. } | Op::PrintDone(_) | Op::Subscribe(_) => 1,
        };
        let until_sensor = [self.paper_left, self.paper_left.saturating_sub(self.config.near_end)]
            .into_iter()
            .filter(|left| *left > 0)
            .min()
            .unwrap_or(1);
        let rows = rows.min(u64::from(until_sensor)).max(1);
        Some(Instant((self.engine_us + us * rows).div_ceil(1000)))
    }

    fn next(&self) -> Next {
        if !self.powered || self.is_offline() || self.silent {
            return Next::Rest;
        }
        let row = 1_000_000 / u64::from(self.config.rows_per_second.max(1));
        match self.queue.front() {
            None => Next::Rest,
            Some(Op::Raster { stride, total, rows, printed, .. }) => {
                if *printed < *total && rows.len() < (printed + 1) * stride {
                    Next::Rest
                } else {
                    Next::Takes(row)
                }
            }
            Some(Op::Feed { .. } | Op::Letters { .. }) => Next::Takes(row),
            Some(Op::Cut { .. }) => Next::Takes(self.config.cut.as_micros() as u64),
            Some(Op::PrintDone(_) | Op::Subscribe(_)) => Next::Takes(0),
        }
    }

    /// Does all steps that end by `now`.
    fn run(&mut self, now: Instant) {
        let now_us = now.0.saturating_mul(1000);
        while let Next::Takes(us) = self.next() {
            if self.engine_us + us > now_us {
                break;
            }
            self.engine_us += us;
            self.do_step();
        }
        if matches!(self.next(), Next::Rest) {
            self.engine_us = self.engine_us.max(now_us);
        }
        self.tell_change();
    }

    fn do_step(&mut self) {
        let Some(mut op) = self.queue.pop_front() else { return };
        let size = op.size();
        let done = match &mut op {
            Op::Raster { stride, mode, total, rows, printed, repeated } => {
                if *printed < *total {
                    let row = &rows[*printed * *stride..(*printed + 1) * *stride];
                    if *mode & 1 == 1 {
                        self.hanging.push_row(&doubled(row));
                    } else {
                        self.hanging.push_row(row);
                    }
                    *repeated = *mode & 2 == 2 && !*repeated;
                    *printed += usize::from(!*repeated);
                    self.paper_moved();
                }
                printed >= total
            }
            Op::Feed { left } => {
                self.hanging.feed(1);
                *left -= 1;
                self.paper_moved();
                *left == 0
            }
            Op::Letters { count, left } => {
                let row = if *left > 6 { letters(self.hanging.width(), *count) } else { Vec::new() };
                self.hanging.push_row(&row);
                *left -= 1;
                self.paper_moved();
                *left == 0
            }
            Op::Cut { partial } => self.cut(*partial),
            Op::PrintDone(id) => {
                if self.config.has_print_done {
                    self.answer(&print_done_reply(*id));
                }
                true
            }
            Op::Subscribe(causes) => {
                self.asb_mask = *causes;
                if *causes != 0 {
                    self.asb_told = self.automatic_status();
                    self.answer(&self.asb_told.clone());
                }
                true
            }
        };
        if done {
            self.queued = self.queued.saturating_sub(size);
            self.flow();
        } else {
            self.queue.push_front(op);
        }
    }

    fn paper_moved(&mut self) {
        self.paper_left = self.paper_left.saturating_sub(1);
        if self.hanging.height() > MAX_HANGING {
            self.remark("20 m of paper without a cut were torn off".into());
            self.tear_off();
        }
    }

    /// False if the cutter is stuck.
    fn cut(&mut self, partial: bool) -> bool {
        if self.cutter_jam {
            self.cutter_error = true;
            return false;
        }
        let rows = self.hanging.height().saturating_sub(usize::from(self.config.head_to_cutter));
        if rows == 0 {
            self.remark("a cut with no paper beyond the cutter".into());
            return true;
        }
        let end = if partial { End::PartialCut } else { End::FullCut };
        let piece = self.hanging.split_off_top(rows, end);
        if !self.hanging.is_blank() {
            self.remark("cut through the print: rows between head and cutter go on the next piece".into());
        }
        self.keep(piece);
        true
    }

    // Ear.

    fn hear(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.recent = [self.recent[1], self.recent[2], *byte];
            if let Some(found) = self.decoder.push(*byte) {
                self.take(found);
            }
        }
    }

    fn take(&mut self, found: Decoded) {
        match found {
            Decoded::Dots(byte) => return self.take_dots(byte),
            Decoded::Text(byte) => return self.take_text(byte),
            Decoded::StatusRequest(query) => {
                self.status_requests += 1;
                let status = self.real_time_status(query);
                return self.answer(&[status]);
            }
            _ => {}
        }
        if self.commands.len() >= MAX_COMMANDS {
            self.commands.pop_front();
        }
        self.commands.push_back(found.clone());
        match found {
            Decoded::Init => self.text.clear(),
            Decoded::LineFeed => self.feed_line(),
            Decoded::FeedLines(lines) => {
                if lines > 0 {
                    self.feed_line();
                }
                self.feed(u32::from(lines.saturating_sub(1)) * u32::from(LINE));
            }
            Decoded::FeedDots(dots) => {
                self.flush_text();
                self.feed(u32::from(dots));
            }
            Decoded::Cut { partial, feed } => {
                self.flush_text();
                if let Some(units) = feed {
                    self.feed(u32::from(self.config.head_to_cutter) + u32::from(units));
                }
                self.enqueue(Op::Cut { partial });
            }
            Decoded::RecoverRetry => self.recover(false),
            Decoded::RecoverClear => self.recover(true),
            Decoded::AutomaticStatus(causes) => self.enqueue(Op::Subscribe(causes)),
            Decoded::PrintDoneRequest(id) => self.enqueue(Op::PrintDone(id)),
            Decoded::Raster { mode, bytes_per_row, rows } => self.begin_raster(mode, bytes_per_row, rows),
            Decoded::Extended { function, length, .. } => {
                self.remark(format!("GS ( {} with {length} bytes is not modelled", char::from(function)));
            }
            Decoded::Other(bytes) => self.remark(format!("setting {bytes:02x?} has no effect on this model")),
            Decoded::Unknown(bytes) => self.remark(format!("unknown command {bytes:02x?}")),
            Decoded::Dots(_) | Decoded::Text(_) | Decoded::StatusRequest(_) => {}
        }
    }

    fn begin_raster(&mut self, mode: u8, bytes_per_row: u16, rows: u16) {
        self.flush_text();
        let (stride, total) = (usize::from(bytes_per_row), usize::from(rows));
        let mode = if mode >= 0x30 { mode - 0x30 } else { mode };
        if mode > 3 {
            self.remark(format!("raster mode {mode} is not known, printed as 0"));
        }
        if stride == 0 || total == 0 {
            return self.remark(format!("raster of {stride} bytes x {total} rows is empty"));
        }
        if stride * if mode & 1 == 1 { 16 } else { 8 } > usize::from(self.config.width) {
            let width = self.config.width;
            self.remark(format!("{} dots do not fit on {width}: the rest is lost at the edge", stride * 8));
        }
        let (rows, mode) = (Vec::new(), if mode > 3 { 0 } else { mode });
        self.enqueue(Op::Raster { stride, mode, total, rows, printed: 0, repeated: false });
    }

    fn take_dots(&mut self, byte: u8) {
        if self.config.eager_status
            && let [0x10, 0x04, number] = self.recent
            && let Some(query) = Query::from_number(number)
        {
            let status = self.real_time_status(query);
            self.answer(&[status]);
        }
        // The buffers may have been cleared, or the band refused, while its dots are still coming.
        let full = self.queued >= self.config.buffer;
        if let Some(Op::Raster { stride, total, rows, .. }) = self.queue.back_mut()
            && rows.len() < *stride * *total
        {
            // What does not fit any more prints as white, so that the rest stays in its place.
            rows.push(if full { 0 } else { byte });
            if full {
                self.note_overflow();
            } else {
                self.queued += 1;
                self.flow();
            }
        }
    }

    fn take_text(&mut self, byte: u8) {
        // Other control bytes (NUL, CR) print nothing.
        if byte >= 0x20 && self.text.len() < usize::from(self.config.width) / LETTER {
            self.text.push(byte);
        }
    }

    fn flush_text(&mut self) {
        if self.text.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&self.text).into_owned();
        let count = std::mem::take(&mut self.text).len();
        self.remark(format!("text in the printer's own letters, drawn as boxes: {text:?}"));
        self.enqueue(Op::Letters { count, left: LINE });
    }

    fn feed_line(&mut self) {
        if self.text.is_empty() {
            self.feed(u32::from(LINE));
        } else {
            self.flush_text();
        }
    }

    fn feed(&mut self, rows: u32) {
        if rows > 0 {
            self.enqueue(Op::Feed { left: rows });
        }
    }

    fn enqueue(&mut self, op: Op) {
        if self.queued + op.size() > self.config.buffer {
            return self.note_overflow();
        }
        self.queued += op.size();
        self.queue.push_back(op);
        self.flow();
    }

    fn note_overflow(&mut self) {
        if !std::mem::replace(&mut self.overflowed, true) {
            self.remark(format!("more than {} bytes waiting: data lost", self.config.buffer));
        }
    }

    fn recover(&mut self, clear: bool) {
        let was_error = self.cutter_error;
        if !self.cutter_jam {
            self.cutter_error = false;
        }
        if clear && (was_error || !self.config.clear_only_in_error) {
            self.clear_buffers();
        }
    }

    pub(super) fn clear_buffers(&mut self) {
        self.queue.clear();
        self.text.clear();
        self.queued = 0;
        self.overflowed = false;
        self.flow();
    }

    // Mouth.

    fn answer(&mut self, bytes: &[u8]) {
        self.to_host.send(self.now + self.config.response, bytes);
    }

    fn flow(&mut self) {
        if !self.config.xon_xoff || !self.powered {
            return;
        }
        if !self.stopped_by_xoff && self.queued * 4 >= self.config.buffer * 3 {
            self.stopped_by_xoff = true;
            self.answer(&[XOFF]);
        } else if self.stopped_by_xoff && self.queued * 4 <= self.config.buffer {
            self.stopped_by_xoff = false;
            self.answer(&[XON]);
        }
    }

    /// Automatic Status Back on each change of what was subscribed.
    fn tell_change(&mut self) {
        if !self.powered || self.silent || self.asb_mask == 0 {
            return;
        }
        let status = self.automatic_status();
        if status != self.asb_told {
            self.asb_told = status;
            self.answer(&status);
        }
    }
}

/// Each dot twice.
fn doubled(row: &[u8]) -> Vec<u8> {
    row.iter()
        .flat_map(|byte| {
            let wide =
                (0..8).fold(0u16, |wide, bit| wide | (u16::from(byte >> bit & 1) * (0b11 << (2 * bit))));
            wide.to_be_bytes()
        })
        .collect()
}

/// A row through `count` boxes.
fn letters(width: u16, count: usize) -> Vec<u8> {
    let mut row = vec![0u8; usize::from(width) / 8];
    for x in (0..count * LETTER).filter(|x| x % LETTER < LETTER - 3) {
        if let Some(byte) = row.get_mut(x / 8) {
            *byte |= 0x80 >> (x % 8);
        }
    }
    row
}
