//! The pure brain of the kiosk: drivers, session, journal, outbox, receipt, view, and [`kiosk::Kiosk`], the only glue.
//!
//! No IO, no clock, no threads, no randomness, no hash-map iteration: time, bytes, fresh ids and touches come in as
//! values; bytes, records and wishes go out as values. Two ports only, as generics: a store and a signer.

pub mod acceptor;
pub mod card_reader;
pub mod cash;
pub mod drivers;
pub mod emv;
pub mod health;
pub mod journal;
pub mod kiosk;
pub mod pin_pad;
pub mod ports;
pub mod printer;
pub mod receipt;
pub mod secret;
pub mod session;
pub mod time;
pub mod view;
pub mod words;
