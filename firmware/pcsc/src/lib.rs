//! Card readers on PC/SC: the kiosk's card reader vocabulary on one side, the system's `pcscd` on the other.
//!
//! A chip may never answer, and PC/SC has no bound for that: a transmission blocks as long as the card keeps silent. So a reader has a thread
//! of its own, and whoever watches it does not wait with it: after the bound the chip is called mute, the thread is left to itself, and a new
//! one takes its place when the old one is gone or the reader is opened anew. An answer without any byte is a card that was drawn out.
//!
//! Such readers neither move a card nor hold it: it sticks out, and the citizen takes it.

#[cfg(feature = "system")]
mod reader;

#[cfg(feature = "system")]
pub use reader::{Options, PcscReader};

use tolem_core::card_reader::Abilities;

/// What a reader on PC/SC can do with a card.
pub const ABILITIES: Abilities = Abilities { can_eject: false, can_retain: false, has_latch: false };
