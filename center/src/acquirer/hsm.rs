//! The security module of a center, if it has one: PIN blocks are translated in it and nowhere else, and card numbers that readers have
//! enciphered are opened in it.
//!
//! This program has no cipher that opens a PIN block or a reader's number. Without a module, they go to the acquirer as the devices made
//! them, with the serial number of their key, and the acquirer's own module opens them; many acquirers want it so.

use std::fmt;
use tolem_protocol::{
    card::SealedNumber,
    emv::CardNumber,
    pinpad::{KeySerial, PinBlock},
};

/// Why a module did not translate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HsmError {
    /// It is no block of this card under that key, or no number under it: nothing is asked, and the payment is undone.
    Refused,
    /// The module does not answer; the reason is for the log.
    Down(String),
}

impl fmt::Display for HsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("the security module refuses the PIN block or the number"),
            Self::Down(why) => write!(f, "the security module does not answer: {why}"),
        }
    }
}

/// A hardware security module. Called from the thread of the line, outside of any transaction; make its wait bounded.
pub trait Hsm: Send + Sync {
    /// A block of format 0 under the key of a pad (DUKPT, named by its serial number) as a block of format 0 under the key between
    /// center and acquirer.
    ///
    /// # Errors
    /// Says whether another try can help.
    fn translate(
        &self,
        block: &PinBlock,
        serial: KeySerial,
        number: &CardNumber,
    ) -> Result<PinBlock, HsmError>;

    /// The number that a reader has enciphered under a data key (DUKPT, named by its serial number). It lives from here until the message
    /// with it is on the line.
    ///
    /// # Errors
    /// Says whether another try can help.
    fn open(&self, sealed: &SealedNumber) -> Result<OpenedNumber, HsmError>;
}

/// What a reader had enciphered.
pub struct OpenedNumber {
    /// The card's number.
    pub number: CardNumber,
    /// Expiry, YYMM in digits: it must be the one that the kiosk names.
    pub expiry: [u8; 4],
}
