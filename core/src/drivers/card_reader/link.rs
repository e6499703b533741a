//! One command at a time: said until acknowledged, carried out by ENQ, its answer asked for until it is there.

use super::Config;
use crate::time::Instant;
use std::{collections::VecDeque, time::Duration};
use tolem_protocol::card_reader::{Answer, Command, Control, Decoded, Decoder, Text};
use zeroize::Zeroizing;

/// How often a command is said before the reader counts as absent.
const MAX_SAID: u8 = 3;
/// How often an answer is asked for.
const MAX_ASKED: u8 = 5;

/// How a command ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The reader answered it.
    Answered(Command, Answer),
    /// It did not, however often it was asked; `nonsense` came instead.
    Lost { nonsense: bool },
}

#[derive(Debug)]
enum Phase {
    Free {
        from: Instant,
    },
    /// Said; nothing has moved.
    Said {
        until: Instant,
        times: u8,
    },
    /// Told to carry it out: from here on it is never said again.
    Asked {
        until: Instant,
        times: u8,
    },
}

/// The line.
#[derive(Debug)]
pub(super) struct Link {
    decoder: Decoder,
    phase: Phase,
    command: Option<(Command, Text, Duration)>,
    transmits: VecDeque<Zeroizing<Vec<u8>>>,
    nonsense: bool,
}

impl Link {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            decoder: Decoder::new(),
            phase: Phase::Free { from: now },
            command: None,
            transmits: VecDeque::new(),
            nonsense: false,
        }
    }

    /// When the next command may be said.
    pub(super) fn free_from(&self) -> Instant {
        match self.phase {
            Phase::Free { from } => from,
            Phase::Said { until, .. } | Phase::Asked { until, .. } => until,
        }
    }

    /// When what is awaited is overdue.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Free { .. } => None,
            Phase::Said { until, .. } | Phase::Asked { until, .. } => Some(until),
        }
    }

    /// Nothing is said before this instant.
    pub(super) fn pause(&mut self, until: Instant) {
        if let Phase::Free { from } = &mut self.phase {
            *from = until;
        }
    }

    /// So long nobody could have been heard.
    pub(super) fn excuse_silence(&mut self, span: Duration) {
        if let Phase::Said { until, .. } | Phase::Asked { until, .. } = &mut self.phase {
            *until = *until + span;
        }
    }

    pub(super) fn next_transmit(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.transmits.pop_front()
    }

    /// Says a command whose answer may take `limit`; false if it cannot be said.
    pub(super) fn send(&mut self, config: &Config, now: Instant, command: &Command, limit: Duration) -> bool {
        let Some(text) = command.text() else { return false };
        self.nonsense = false;
        self.decoder.clear();
        self.transmits.push_back(text.frame());
        self.command = Some((command.clone(), text, limit));
        self.phase = Phase::Said { until: now + config.acknowledge, times: 1 };
        true
    }

    fn say_again(&mut self, config: &Config, now: Instant, times: u8) -> Option<Outcome> {
        let Some((_, text, _)) = self.command.as_ref().filter(|_| times < MAX_SAID) else {
            return Some(self.lost(now));
        };
        self.decoder.clear();
        self.transmits.push_back(text.frame());
        self.phase = Phase::Said { until: now + config.acknowledge, times: times + 1 };
        None
    }

    /// Asks for the answer, for the first time or again.
    fn ask(&mut self, now: Instant, times: u8) -> Option<Outcome> {
        let Some((_, _, limit)) = self.command.as_ref().filter(|_| times < MAX_ASKED) else {
            return Some(self.lost(now));
        };
        self.decoder.clear();
        self.transmits.push_back(Zeroizing::new(Control::Enquire.bytes().to_vec()));
        self.phase = Phase::Asked { until: now + *limit, times: times + 1 };
        None
    }

    fn lost(&mut self, now: Instant) -> Outcome {
        self.command = None;
        self.phase = Phase::Free { from: now };
        Outcome::Lost { nonsense: self.nonsense }
    }

    /// Takes bytes from the front; to be called until it is `None`.
    pub(super) fn handle_bytes(
        &mut self,
        config: &Config,
        now: Instant,
        bytes: &mut &[u8],
    ) -> Option<Outcome> {
        while let Some(found) = self.decoder.next(bytes) {
            let ended = match (&self.phase, found) {
                (Phase::Said { .. }, Decoded::Control(Control::Acknowledge)) => self.ask(now, 0),
                (Phase::Said { times, .. }, Decoded::Control(Control::Refuse)) => {
                    let times = *times;
                    self.say_again(config, now, times)
                }
                (Phase::Asked { times, .. }, Decoded::Bad) => {
                    self.nonsense = true;
                    let times = *times;
                    self.ask(now, times)
                }
                (Phase::Asked { .. }, Decoded::Text(text)) => self.answered(now, &text),
                (_, Decoded::Bad) => {
                    self.nonsense = true;
                    None
                }
                // Late, again, or to nobody.
                _ => None,
            };
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    fn answered(&mut self, now: Instant, text: &Text) -> Option<Outcome> {
        let Phase::Asked { times, .. } = self.phase else { return None };
        let Ok(answer) = Answer::parse(text) else {
            self.nonsense = true;
            return self.ask(now, times);
        };
        if self.command.as_ref().is_none_or(|(command, ..)| command.code() != answer.code) {
            // An answer of before, late or again. The command may be on its way all the same, so it is asked for, never said, again.
            self.nonsense = true;
            return self.ask(now, times);
        }
        let (command, ..) = self.command.take()?;
        self.phase = Phase::Free { from: now };
        Some(Outcome::Answered(command, answer))
    }

    /// Ends or repeats what is overdue.
    pub(super) fn handle_timeout(&mut self, config: &Config, now: Instant) -> Option<Outcome> {
        match self.phase {
            Phase::Said { until, times } if until <= now => self.say_again(config, now, times),
            Phase::Asked { until, times } if until <= now => self.ask(now, times),
            _ => None,
        }
    }
}
