//! One command at a time on the line: frames, reply time-outs, ACK and NAK, quiet times.
//!
//! It knows nothing of states. The device speaks only when asked, so what comes while no reply is awaited is noise, or the
//! answer to the last question after an answer that came too late was taken for it. A frame of the second sort is kept for whoever
//! can tell what it means.

use super::{Config, MAX_TRANSMITS};
use crate::time::Instant;
use std::{collections::VecDeque, time::Duration};
use tolem_protocol::ccnet::{ADDRESS, Command, Decoded, Decoder, MIN_FRAME, Payload};

/// How a command ended.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one at a time, on the stack")]
pub(super) enum Answer {
    /// The device answered with this payload. Data must still be confirmed.
    Payload(Payload),
    /// Something came, but no good frame.
    Corrupt,
    /// Nothing came.
    Silence,
}

#[derive(Debug)]
enum Phase {
    /// Nothing under way; the next command may go at this instant.
    Free { from: Instant },
    /// A reply is awaited.
    Waiting { command: Command, until: Instant, corrupt: bool },
}

/// The line.
#[derive(Debug)]
pub(super) struct Link {
    decoder: Decoder,
    phase: Phase,
    transmits: VecDeque<Vec<u8>>,
    /// The last reply was data and neither confirmed nor followed by another command.
    unconfirmed: bool,
    /// The last two commands, the newer one first.
    asked: [Option<Command>; 2],
    /// A good frame that came when nothing was awaited.
    late: Option<Payload>,
    /// Last good frame, or the start.
    heard: Instant,
    /// Bytes since `heard` that made no good frame.
    garbage: usize,
}

impl Link {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            decoder: Decoder::new(),
            phase: Phase::Free { from: now },
            transmits: VecDeque::new(),
            unconfirmed: false,
            asked: [None; 2],
            late: None,
            heard: now,
            garbage: 0,
        }
    }

    /// When the next command may be sent; `None` while a reply is awaited.
    pub(super) fn free_from(&self) -> Option<Instant> {
        match self.phase {
            Phase::Free { from } => Some(from),
            Phase::Waiting { .. } => None,
        }
    }

    /// When the awaited reply is overdue.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Free { .. } => None,
            Phase::Waiting { until, .. } => Some(until),
        }
    }

    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// Whether enough bytes came since the last good frame to say that somebody talks, but not CCNET.
    pub(super) fn is_babbling(&self) -> bool {
        self.garbage >= MIN_FRAME
    }

    /// Starts counting silence and garbage anew.
    pub(super) fn restart_silence(&mut self, now: Instant) {
        (self.heard, self.garbage) = (now, 0);
    }

    /// So long nobody could have been heard.
    pub(super) fn excuse_silence(&mut self, span: Duration) {
        self.heard = self.heard + span;
    }

    pub(super) fn next_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    fn transmit(&mut self, command: Command) {
        assert!(self.transmits.len() < MAX_TRANSMITS, "outputs must be drained after each input");
        self.transmits.push_back(command.frame().to_vec());
    }

    pub(super) fn send(&mut self, config: &Config, now: Instant, command: Command) {
        self.decoder.clear();
        self.unconfirmed = false;
        self.asked = [Some(command), self.asked[0]];
        self.late = None;
        self.phase = Phase::Waiting { command, until: now + config.reply_limit(command), corrupt: false };
        self.transmit(command);
    }

    /// Takes received bytes; at most one command ends.
    pub(super) fn handle_bytes(
        &mut self,
        config: &Config,
        now: Instant,
        mut bytes: &[u8],
    ) -> Option<(Command, Answer)> {
        self.garbage = self.garbage.saturating_add(bytes.len());
        let mut answer = None;
        while let Some(found) = self.decoder.next(&mut bytes) {
            let Phase::Waiting { command, until, corrupt } = &mut self.phase else {
                if let Decoded::Frame(frame) = found
                    && frame.address == ADDRESS
                {
                    self.late = Some(frame.payload);
                }
                continue;
            };
            match found {
                Decoded::Frame(frame) if frame.address == ADDRESS => {
                    let command = *command;
                    answer = Some(self.answered(config, now, command, frame.payload));
                }
                // Another device's frame on a shared line is nobody's fault.
                Decoded::Frame(_) => {}
                Decoded::BadCrc => {
                    // The real answer may follow the noise: look a little longer before saying NAK.
                    *corrupt = true;
                    *until = (*until).min(now + config.after_corrupt);
                }
            }
        }
        answer
    }

    /// What came when nothing was awaited, if it can only be the answer to a POLL; from then on it is the last reply, and open.
    pub(super) fn take_late_poll(&mut self) -> Option<Payload> {
        let late = self.late.take()?;
        let polls = self.asked == [Some(Command::Poll); 2] && self.free_from().is_some();
        polls.then_some(late)
    }

    /// Whether a good frame came when nothing was awaited.
    pub(super) fn has_late(&self) -> bool {
        self.late.is_some()
    }

    /// The last reply is one that came unasked.
    pub(super) fn open_late(&mut self) {
        self.unconfirmed = true;
    }

    fn answered(
        &mut self,
        config: &Config,
        now: Instant,
        command: Command,
        payload: Payload,
    ) -> (Command, Answer) {
        self.decoder.clear();
        self.phase = Phase::Free { from: now + config.quiet };
        self.unconfirmed = true;
        (command, Answer::Payload(payload))
    }

    /// Ends a command whose reply is overdue.
    pub(super) fn handle_timeout(&mut self, config: &Config, now: Instant) -> Option<(Command, Answer)> {
        let Phase::Waiting { command, until, corrupt } = self.phase else { return None };
        if now < until {
            return None;
        }
        while let Some(found) = self.decoder.expire() {
            if let Decoded::Frame(frame) = found
                && frame.address == ADDRESS
            {
                return Some(self.answered(config, now, command, frame.payload));
            }
        }
        if corrupt {
            return Some((command, Answer::Corrupt));
        }
        self.phase = Phase::Free { from: now + config.after_loss };
        Some((command, Answer::Silence))
    }

    /// The last answer made sense: somebody speaks CCNET.
    pub(super) fn accept(&mut self, now: Instant) {
        self.restart_silence(now);
    }

    /// Confirms the last data reply, if the device still waits for it.
    pub(super) fn confirm(&mut self, config: &Config, now: Instant) -> bool {
        let open = self.unconfirmed && self.free_from().is_some();
        if open {
            self.unconfirmed = false;
            self.transmit(Command::Ack);
            self.phase = Phase::Free { from: now + config.quiet };
        }
        open
    }

    /// Leaves the last data reply open: nothing else is said for a while, so that a confirmation can follow.
    pub(super) fn leave_open(&mut self, config: &Config, now: Instant) {
        self.phase = Phase::Free { from: now + config.confirm_window };
    }

    /// The last answer was broken: says so if it should have been data.
    pub(super) fn refuse(&mut self, config: &Config, now: Instant, was_data: bool) {
        self.unconfirmed = false;
        if was_data {
            self.transmit(Command::Nak);
        }
        self.phase = Phase::Free { from: now + config.after_loss };
    }
}
