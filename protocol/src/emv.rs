//! Bytes between a chip card and a terminal: BER-TLV, data object lists, command and response APDUs, card numbers.
//!
//! Only layouts live here; what a terminal decides from them is `core/src/emv`. Everything a card says is hostile until it parsed:
//! each rule of EMV Book 3, Annex B that a card can break has an error of its own, and nothing here panics or loops.

pub mod apdu;
pub mod card_number;
pub mod dol;
pub mod masked;
pub mod tags;
pub mod tlv;

pub use apdu::{Command, Response, StatusWord};
pub use card_number::{CardNumber, Track2};
pub use dol::Dol;
pub use masked::MaskedNumber;
pub use tags::Tag;
pub use tlv::{Tlv, TlvError};
