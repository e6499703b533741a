//! Bill acceptor vocabulary shared by every device protocol.
//!
//! A driver reports what the device did; it never decides about money. Whoever credits a note must have its record on
//! disk before it says [`Command::Acknowledge`], so a note is counted once even if the device repeats itself.

use tolem_protocol::Denomination;

/// What the kiosk wants of the acceptor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Accept exactly these bill types (indexes of the device's table), each with escrow. Empty = inhibit.
    Enable {
        /// Bit n = bill type n.
        types: u32,
    },
    /// Take the note in escrow. The intent is on disk.
    Stack,
    /// Give the note in escrow back.
    Return,
    /// The last `Stacked` or `Returned` is on disk: confirm it to the device.
    Acknowledge,
    /// The last `Stacked` is of a type whose value nobody here knows. It stays unconfirmed: learn what the types are worth, and tell it
    /// again.
    Learn,
}

/// One entry of the device's bill table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BillType {
    /// Index in the device's table, 0..=23.
    pub index: u8,
    /// Three letters of country, as the device gives them.
    pub country: [u8; 3],
    /// Face value in whole units.
    pub denomination: Denomination,
}

/// What the device is and what it can take.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// Firmware part number.
    pub part: String,
    /// Serial number.
    pub serial: String,
    /// Its bill table without the holes.
    pub bills: Vec<BillType>,
}

/// What the acceptor found at start-up, before our RESET.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PowerUp {
    /// It had lost power; nothing was in the path.
    Empty,
    /// It had lost power; a note was in the validator and goes back to the citizen.
    NoteReturned,
    /// It had lost power; a note was on its way into the cassette. `Stacked` follows.
    NoteInStacker,
    /// It kept its power and had no event pending.
    Kept,
}

/// Why a note was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reject {
    /// Inserted crooked or not recognised: smooth it and try again.
    Unread,
    /// Recognised, but this denomination is not wanted now.
    Inhibited,
    /// A second note came too early.
    TooFast,
    /// Something else; the device's own code.
    Other(u8),
}

/// What is wrong with the acceptor. Raised once and cleared once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AcceptorFault {
    /// Does not answer.
    Absent,
    /// The cassette is full.
    CassetteFull,
    /// The cassette is out.
    CassetteOut,
    /// A note stuck in the validator.
    ValidatorJam,
    /// A note stuck in the cassette.
    CassetteJam,
    /// Somebody tried to pull a note back.
    Cheated,
    /// Hardware failure; the device's own code.
    Failure(u8),
    /// The device answers, but not in its protocol (wrong device or wrong line settings).
    Protocol,
}

/// What the acceptor did. `Stacked` and `Returned` repeat until acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// First word after start or after a gap: what was found. Sent before any RESET, after pending events.
    PoweredUp(PowerUp),
    /// It named itself and its bills; sent after each initialisation.
    Identified(Identity),
    /// Its counter of stacked notes, if it has one; sent after each initialisation and after each stacked note.
    Counter(u16),
    /// Initialised, inhibited, nothing in the path: ready for `Enable`.
    Ready,
    /// A note is being drawn in.
    Accepting,
    /// A note waits in escrow for `Stack` or `Return`.
    Escrowed {
        /// Bill type.
        index: u8,
    },
    /// A note is in the cassette. Repeats until `Acknowledge`.
    Stacked {
        /// Bill type.
        index: u8,
    },
    /// The note from escrow was given back and taken. Repeats until `Acknowledge`.
    Returned {
        /// Bill type.
        index: u8,
    },
    /// A note was refused by the device.
    Rejected(Reject),
    /// A fault began (`true`) or ended.
    Fault(AcceptorFault, bool),
}

/// What a driver wants done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit(Vec<u8>),
    /// Hear this.
    Event(Event),
    /// Nothing before this instant unless bytes or a command come.
    Wait(crate::time::Instant),
}
