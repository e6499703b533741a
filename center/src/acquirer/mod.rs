//! The line to the acquirer of cards: who is there, how it is spoken to, and that nothing is lost when it breaks.
//!
//! What is owed to the acquirer stands in the database and is decided by [`crate::logic::acquirer`]; nothing of that is here. Here is the
//! line itself: one long TCP connection, inside TLS with certificates on both sides, frames with a length in front, a sign-on that makes
//! fresh keys, a code over each message, echoes in silence, and a new connection with growing pauses when it ends.
//!
//! ```text
//! desk ── words ──▶ channel (tokio) ── bytes ──▶ acquirer
//!   ◀── heard ────    └ session: no clock, no socket, no randomness
//! ```

pub(crate) mod channel;
pub mod config;
pub mod hsm;
pub mod session;
pub mod setup;

pub use config::Terms;
pub use hsm::{Hsm, HsmError, OpenedNumber};
