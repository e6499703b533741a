//! Card reader vocabulary shared by every device: motorised, dip, and PC/SC.
//!
//! A card is a person's property: the driver reports where it is, and moves it only when the kiosk says so, whose reason is on disk by then.

use crate::emv::{ChipFault, ChipTransport};
use tolem_protocol::card::SealedNumber;
use zeroize::Zeroizing;

/// What a reader can do with a card; the words on the screen follow from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abilities {
    /// It gives the card back by a motor. Otherwise the citizen draws it out.
    pub can_eject: bool,
    /// It can keep a forgotten card.
    pub can_retain: bool,
    /// It holds the card fast while the chip works.
    pub has_latch: bool,
}

/// What the kiosk wants of the reader.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Let a card in. `Inserted` follows when one is inside.
    Accept,
    /// Let no card in.
    Refuse,
    /// Give the chip power. `ChipReady` or `ChipFault` follows.
    PowerChip,
    /// Send this to the chip. `Answer` or `ChipFault` follows. Wiped when dropped.
    Transmit(Zeroizing<Vec<u8>>),
    /// Encipher the number of the card that was read, for the issuer. `Sealed` or `ChipFault` follows. Only of a reader that hides numbers.
    Seal,
    /// Give the card back. `AtGate` and `Taken` follow.
    Eject,
    /// Keep the card: from inside, or from the gate where it was forgotten. `Retained` or `Taken` follows. The reason is on disk.
    Retain,
    /// A technician has been at it: try again what failed.
    Restart,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Accept => f.write_str("Accept"),
            Self::Refuse => f.write_str("Refuse"),
            Self::PowerChip => f.write_str("PowerChip"),
            Self::Transmit(bytes) => write!(f, "Transmit({} bytes)", bytes.len()),
            Self::Seal => f.write_str("Seal"),
            Self::Eject => f.write_str("Eject"),
            Self::Retain => f.write_str("Retain"),
            Self::Restart => f.write_str("Restart"),
        }
    }
}

/// Where the card is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// There is none.
    Nothing,
    /// Inside, from before: it belongs to somebody.
    Inside,
    /// At the gate, from before.
    AtGate,
}

/// What is wrong with the reader. Raised once and cleared once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ReaderFault {
    /// Does not answer.
    Absent,
    /// Answers, but not in its protocol.
    Protocol,
    /// A card is stuck inside, or its way is blocked.
    Jam,
    /// A card does not fall into the box: it is full, or stuck there.
    BoxJam,
    /// It should hide card numbers and does not, or has no keys to encipher them with.
    NotSealing,
    /// Anything else that a person must mend; the reader's own number.
    Failure(u8),
}

/// What the reader did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// First word after a start or a gap: what was found. No card is let in.
    Ready(Found),
    /// A card is inside.
    Inserted,
    /// What was put in is no card of the right size; it was given back.
    NotACard,
    /// The chip has power and speaks like this.
    ChipReady(ChipTransport),
    /// What the chip said.
    Answer(ChipAnswer),
    /// The chip said nothing.
    ChipFault(ChipFault),
    /// The number of the card, enciphered with a key for this one time.
    Sealed(SealedNumber),
    /// The card sticks out of the gate.
    AtGate,
    /// The card was taken by somebody.
    Taken,
    /// The card is in the box.
    Retained,
    /// Cards in the box, as the reader counts; sent after `Ready` and `Retained`.
    Captured(u16),
    /// A fault began (`true`) or ended.
    Fault(ReaderFault, bool),
}

/// A chip's words: card data, so neither shown nor kept.
#[derive(Clone, PartialEq, Eq)]
pub struct ChipAnswer(pub Zeroizing<Vec<u8>>);

impl std::fmt::Debug for ChipAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What a driver wants done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send these bytes; wiped when dropped.
    Transmit(Zeroizing<Vec<u8>>),
    /// Hear this.
    Event(Event),
    /// Nothing before this instant unless bytes or a command come.
    Wait(crate::time::Instant),
}
