//! PIN pad vocabulary shared by every device protocol.
//!
//! The rule of this interface: a PIN never comes here. The pad takes the digits, enciphers them bound to the card's number, and gives a
//! block that nothing in a terminal can open, with the name of its key. What is not given cannot leak, so there is no call for it.

use std::time::Duration;
use tolem_protocol::{
    Amount,
    emv::CardNumber,
    pinpad::{KeySlot, PinBlock},
};
use zeroize::Zeroizing;

pub use tolem_protocol::card::PinKey;

/// The card that a PIN is bound to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PinCard {
    /// The one with this number.
    Number(CardNumber),
    /// The one that is in the reader: reader and pad are one secure unit, which knows the number, and nobody here does.
    Inside,
}

impl PinCard {
    /// Its number, if it is known here.
    pub const fn number(&self) -> Option<&CardNumber> {
        match self {
            Self::Number(number) => Some(number),
            Self::Inside => None,
        }
    }
}

impl From<CardNumber> for PinCard {
    fn from(number: CardNumber) -> Self {
        Self::Number(number)
    }
}

/// What a PIN is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PinRequest {
    /// The card the PIN is bound to.
    pub card: PinCard,
    /// Shown by pads with a display of their own.
    pub amount: Amount,
    /// After this time without an end the entry is cancelled.
    pub limit: Duration,
}

/// Where a key goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum KeyPlace {
    /// The initial key of DUKPT.
    Initial,
    /// A key of the pad.
    Slot(KeySlot),
}

/// What the kiosk wants of the pad.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Take a PIN. One `Entered` or `Ended` follows.
    EnterPin(PinRequest),
    /// Take none any more. `Ended` follows; a block that was on its way is dropped.
    Cancel,
    /// Nothing more is coming: show the greeting again. Nothing follows.
    Idle,
    /// Load a key that its owner has wrapped for this pad (key block of X9.143). One `KeyLoaded` or `KeyNotLoaded` follows.
    LoadKey(KeyPlace, String),
    /// Authenticate a message with a MAC key of the pad. One `Authenticated` or `NotAuthenticated` follows.
    Authenticate(KeySlot, Vec<u8>),
}

/// An enciphered PIN. Dropped, it is wiped; sent once and forgotten.
#[derive(PartialEq, Eq, Debug)]
pub struct EncryptedPin {
    /// The block, format 0 of ISO 9564-1.
    pub block: PinBlock,
    /// Its key.
    pub key: PinKey,
}

/// How an entry ended without a PIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PinEnd {
    /// The citizen or the kiosk cancelled.
    Cancelled,
    /// Nobody finished in time.
    TimedOut,
    /// The pad is not there, not working, without keys, or busy.
    Failed,
}

/// What is wrong with the pad. Raised once and cleared once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PadFault {
    /// Does not answer.
    Absent,
    /// Answers, but not in its protocol.
    Protocol,
    /// Its keys are gone, as after an attack on it, or were never loaded.
    KeysLost,
    /// It has used up its keys: a new initial key is due.
    UsedUp,
    /// A serial number of a key came again, went back, or is another pad's: a replay or an exchanged pad.
    KeySerial,
    /// It says that its memory is damaged.
    Broken,
}

/// What the pad did.
#[derive(PartialEq, Eq, Debug)]
pub enum Event {
    /// It was found, and is as its last self test says.
    Ready,
    /// A PIN was entered.
    Entered(EncryptedPin),
    /// No PIN was entered.
    Ended(PinEnd),
    /// The key is in its place.
    KeyLoaded(KeyPlace),
    /// The key is not in its place, or nobody knows; the pad's letter, if it gave one.
    KeyNotLoaded(KeyPlace, Option<char>),
    /// The message's code.
    Authenticated([u8; 8]),
    /// There is no code; the pad's letter, if it gave one.
    NotAuthenticated(Option<char>),
    /// A fault began (`true`) or ended.
    Fault(PadFault, bool),
}

/// What a driver wants done next.
#[derive(PartialEq, Eq, Debug)]
pub enum Output {
    /// Send these bytes. A card number may be in them: they are wiped when dropped and go into no log.
    Transmit(Zeroizing<Vec<u8>>),
    /// Hear this.
    Event(Event),
    /// Nothing before this instant unless bytes or a command come.
    Wait(crate::time::Instant),
}
