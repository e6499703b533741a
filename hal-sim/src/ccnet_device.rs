//! A bill validator with cassette, seen from its own side of a CCNET line.
//!
//! Written from the device's point of view (CCNET common specifications 2.6.0): it answers when asked, repeats an event until
//! the host confirms it, and loses its memory of everything but the last credit with its power. It owns the physical truth:
//! where each banknote is. It knows nothing of payments, and it refuses to be kind: what a real unit would do, it does.
//!
//! ```text
//! power on -> 10|11|12 --RESET--> 13 ----> 19 <--ENABLE--> 14 --note--> 15 --> 80 --STACK--> 17 --> 81 --ACK--> 14
//!                                  |                                     |      \--RETURN, 10 s--> 18 --> 82 --ACK--> 14
//!                                  \--(12)--> 81 --ACK--> 19             \--> 1C --> 14
//! ```

mod config;
mod firmware;
mod mechanics;
#[cfg(test)]
mod tests;

pub use config::{CcnetConfig, Contents, NoteType, Timing};

use crate::line::{Line, LineFaults, OneFault};
use std::{collections::VecDeque, fmt};
use tolem_core::time::Instant;
use tolem_protocol::{
    Denomination,
    ccnet::{Decoder, PollStatus, RejectReason, TypeMask},
};

/// A piece of paper that somebody pushes into the slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Banknote {
    /// Face value.
    pub denomination: Denomination,
    /// Year of its design; `None` = the newest that the device knows.
    pub pattern: Option<u16>,
    /// Real money of its country.
    pub genuine: bool,
    /// Of another country.
    pub foreign: bool,
}

impl Banknote {
    /// A good note of `tenge`, newest design.
    pub const fn tenge(tenge: u32) -> Self {
        Self { denomination: Denomination(tenge), pattern: None, genuine: true, foreign: false }
    }

    /// The same note in the design of `year`.
    pub const fn of_pattern(mut self, year: u16) -> Self {
        self.pattern = Some(year);
        self
    }

    /// A note of the same number from abroad.
    pub const fn foreign(mut self) -> Self {
        self.foreign = true;
        self
    }

    /// A forgery, or a note too worn to be recognised.
    pub const fn bad(mut self) -> Self {
        self.genuine = false;
        self
    }
}

impl fmt::Display for Banknote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.denomination.0)?;
        if let Some(year) = self.pattern {
            write!(f, " of {year}")?;
        }
        f.write_str(if self.foreign { " foreign" } else { "" })?;
        f.write_str(if self.genuine { "" } else { " bad" })
    }
}

/// Names one inserted note for as long as the simulation lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NoteId(pub u32);

/// Where a note is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// In the slot: just pushed in, or offered back; the citizen can take it.
    Inlet,
    /// Between slot and escrow, held by the rollers.
    Validator,
    /// In the escrow position.
    Escrow,
    /// Past the point of no return, not yet in the cassette.
    Transport,
    /// In the cassette.
    Cassette,
    /// Back in the citizen's hand.
    Returned,
    /// In the technician's hand, after a jam was cleared.
    Technician,
    /// Taken away with an earlier cassette.
    Collected,
}

/// One note and its truth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoteRecord {
    /// Which one.
    pub id: NoteId,
    /// What it is.
    pub note: Banknote,
    /// Where it is.
    pub place: Place,
}

/// What happened inside, for the log and the invariants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PhysicalEvent {
    /// Power came or went.
    Power(bool),
    /// A note moved; `from` is `None` when it came in.
    NoteMoved {
        /// Which note.
        id: NoteId,
        /// From where.
        from: Option<Place>,
        /// To where.
        to: Place,
    },
    /// The cassette was put in or taken out.
    Cassette(bool),
    /// The device saw something that a careful host would not do, or the line is bad. In words.
    Remark(String),
}

/// What the device wants done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceOutput {
    /// Send these bytes.
    Transmit(Vec<u8>),
    /// This happened.
    Happened(PhysicalEvent),
    /// Nothing before this instant unless bytes or hands come.
    Wait(Instant),
}

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// 43: a note sticks in the validator until the technician clears it.
    Jam,
    /// 43: the same, but RESET frees it.
    SoftJam,
    /// 44: a note sticks between validator and cassette until the technician clears it.
    CassetteJam,
    /// 44: the same, but RESET frees it and the note falls into the cassette.
    SoftCassetteJam,
    /// 41, whatever the cassette holds.
    CassetteFull,
    /// 47 with this code, until cleared.
    Failure(u8),
    /// 45: somebody pulls the note in the path back out.
    Cheat,
    /// 1B: busy for so many tenths of a second.
    Busy(u8),
    /// Powered, but it answers nothing.
    Silent,
    /// It disables itself and forgets what was enabled (14 becomes 19).
    Forget,
    /// The next note is refused for this reason.
    RejectNext(RejectReason),
    /// The next note is taken for this bill type.
    MisreadNext(u8),
}

/// Why a note does not go in. It stays in the citizen's hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InsertError {
    /// No power: the rollers do not turn.
    NoPower,
    /// The device does not take notes now; this is what it reports.
    Inhibited(PollStatus),
    /// Another note is in the way.
    Occupied(PollStatus),
}

impl fmt::Display for InsertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPower => f.write_str("the acceptor has no power; switch it on first"),
            Self::Inhibited(status) => {
                write!(f, "the acceptor takes no notes now ({status}); it must be IDLING")
            }
            Self::Occupied(status) => write!(f, "another note is in the way ({status}); wait until IDLING"),
        }
    }
}

impl std::error::Error for InsertError {}

/// Direction of a line fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the device to the kiosk.
    ToHost,
    /// From the kiosk to the device.
    ToDevice,
}

/// What lasts until the technician (or a RESET) does something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stuck {
    Validator { soft: bool },
    Cassette { soft: bool },
    Failure(u8),
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    Off,
    /// Had lost power; waits for RESET.
    PowerUp(PollStatus),
    /// `until` is the far future while a returned note was not taken yet.
    Initialize {
        until: Instant,
    },
    /// 14 or 19 by the mask, 41-47 by what is wrong.
    Ready,
    Accepting {
        until: Instant,
    },
    Escrow {
        until: Instant,
        holding: bool,
    },
    Stacking {
        commits: Instant,
        until: Instant,
    },
    StackedTold,
    Returning {
        until: Instant,
    },
    ReturnedTold,
    Rejecting {
        until: Instant,
        reason: RejectReason,
        told: bool,
    },
    Paused {
        until: Instant,
        since: Instant,
        was: Box<Phase>,
    },
    CheatedTold,
    Busy {
        since: Instant,
        until: Instant,
        was: Box<Phase>,
    },
}

/// At most this many notes that are no longer in the device are remembered one by one.
const MAX_REMEMBERED: usize = 256;

/// The device.
#[derive(Clone, Debug)]
pub struct CcnetDevice {
    config: CcnetConfig,
    now: Instant,
    phase: Phase,
    // Lost with the power.
    accept: TypeMask,
    escrow: TypeMask,
    security: TypeMask,
    told: Option<PollStatus>,
    kind: u8,
    decoder: Decoder,
    heard: Instant,
    deaf_until: Instant,
    // Survives.
    credit: Option<u8>,
    counter: u16,
    // Physics.
    notes: Vec<NoteRecord>,
    next_note: u32,
    path: Option<NoteId>,
    second: Option<NoteId>,
    take_at: Option<Instant>,
    cassette_in: bool,
    full: bool,
    stuck: Option<Stuck>,
    silent: bool,
    reject_next: Option<RejectReason>,
    misread_next: Option<u8>,
    cheat_waits: bool,
    to_host: Line,
    to_device: Line,
    events: VecDeque<PhysicalEvent>,
}

impl CcnetDevice {
    /// A device with what its configuration brings along, not powered.
    pub fn new(config: CcnetConfig) -> Self {
        let seed = config.seed;
        let notes: Vec<NoteRecord> = (1..)
            .zip(&config.contents.notes)
            .map(|(id, note)| NoteRecord { id: NoteId(id), note: *note, place: Place::Cassette })
            .collect();
        let next_note = notes.last().map_or(1, |last| last.id.0 + 1);
        let Contents { counter, credit, .. } = config.contents;
        Self {
            config,
            now: Instant(0),
            phase: Phase::Off,
            accept: TypeMask::NONE,
            escrow: TypeMask::NONE,
            security: TypeMask::NONE,
            told: None,
            kind: 0,
            decoder: Decoder::new(),
            heard: Instant(0),
            deaf_until: Instant(0),
            credit,
            counter,
            notes,
            next_note,
            path: None,
            second: None,
            take_at: None,
            cassette_in: true,
            full: false,
            stuck: None,
            silent: false,
            reject_next: None,
            misread_next: None,
            cheat_waits: false,
            to_host: Line::new(seed ^ 0xA5A5),
            to_device: Line::new(seed ^ 0x5A5A),
            events: VecDeque::new(),
        }
    }

    /// What comes out next; call until [`DeviceOutput::Wait`].
    pub fn poll(&mut self) -> DeviceOutput {
        if let Some(event) = self.events.pop_front() {
            return DeviceOutput::Happened(event);
        }
        if let Some(bytes) = self.to_host.receive(self.now) {
            return DeviceOutput::Transmit(bytes);
        }
        let partial = (!self.decoder.pending().is_empty()).then(|| self.silence_at());
        let next = [self.deadline(), self.to_host.next_due(), self.to_device.next_due(), partial];
        DeviceOutput::Wait(next.into_iter().flatten().min().unwrap_or(Instant(u64::MAX)))
    }

    /// Time went by.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// Bytes came from the host, in any split.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.to_device.send(now, bytes);
        self.advance(now);
    }

    /// How a direction of the line misbehaves from now on.
    pub fn set_line_faults(&mut self, way: Way, faults: LineFaults) {
        self.line(way).set_faults(faults);
    }

    /// One fault for the next frame in this direction.
    pub fn fault_next_frame(&mut self, way: Way, fault: OneFault) {
        self.line(way).fault_next(fault);
    }

    fn line(&mut self, way: Way) -> &mut Line {
        match way {
            Way::ToHost => &mut self.to_host,
            Way::ToDevice => &mut self.to_device,
        }
    }

    /// What it would answer to POLL now; `None` without power.
    pub fn status(&self) -> Option<PollStatus> {
        (self.phase != Phase::Off).then(|| self.poll_status())
    }

    /// Types enabled now.
    pub fn enabled(&self) -> TypeMask {
        self.accept
    }

    /// Notes stacked in its life, as its own counter says.
    pub fn counter(&self) -> u16 {
        self.counter
    }

    /// The last credit that the host did not confirm yet; survives power cuts.
    pub fn unconfirmed_credit(&self) -> Option<u8> {
        self.credit
    }

    /// All notes known, oldest first.
    pub fn notes(&self) -> &[NoteRecord] {
        &self.notes
    }

    /// Where a note is; `None` once it is gone so long that it was forgotten.
    pub fn place_of(&self, id: NoteId) -> Option<Place> {
        self.notes.iter().find(|record| record.id == id).map(|record| record.place)
    }

    /// What is in the cassette: notes in order of arrival.
    pub fn cassette(&self) -> impl Iterator<Item = &Banknote> {
        self.notes.iter().filter(|record| record.place == Place::Cassette).map(|record| &record.note)
    }

    /// What a unit would bring along that went on from here: a note past the point of no return is in the cassette.
    pub fn contents(&self) -> Contents {
        let passing = |record: &&NoteRecord| record.place == Place::Transport;
        let late = self.notes.iter().filter(passing);
        let notes: Vec<Banknote> =
            self.cassette().copied().chain(late.clone().map(|record| record.note)).collect();
        let counter = self.counter.wrapping_add(u16::try_from(late.count()).unwrap_or(u16::MAX));
        Contents { notes, counter, credit: self.credit }
    }

    /// The cassette is in its place.
    pub fn cassette_present(&self) -> bool {
        self.cassette_in
    }

    /// The configuration.
    pub fn config(&self) -> &CcnetConfig {
        &self.config
    }
}
