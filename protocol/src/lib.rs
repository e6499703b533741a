//! Every byte layout that leaves a process, and the words those bytes are made of.
//!
//! `no_std`, no heap in the types themselves: device frames, kiosk-center messages, the journal record, signed notes,
//! and [`Amount`], [`Iin`], [`PaymentCode`], ... Parsing happens here and only here; the rest of the house holds
//! values that are already known to be sane. This crate refuses IO, clocks and keys.
#![no_std]
extern crate alloc;

pub mod amount;
pub mod card;
pub mod card_reader;
pub mod catalogue;
pub mod ccnet;
pub mod digits;
pub mod emv;
pub mod enrolment;
pub mod escpos;
pub mod iin;
pub mod iso8583;
pub mod merkle;
pub mod messages;
pub mod notes;
pub mod payment;
pub mod pinpad;
pub mod qr;
pub mod record;
pub mod signed;
pub mod signed_note;
pub mod utc;
pub mod wire;

pub use amount::Amount;
pub use digits::{BalanceNumber, ClaimNumber, PaymentCode};
pub use iin::{Bin, Iin};
pub use notes::Denomination;
pub use payment::{KioskNumber, PaymentId};
pub use utc::{Date, UtcTime};
