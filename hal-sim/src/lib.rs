//! The other side of every wire: device models, faults and the bench.
//!
//! A model here plays the *device*, at byte level, from its manual; it never looks into the driver it talks to. The same
//! model serves the in-memory world (virtual time), a pseudo terminal or a real cable (real time), and the bench. The
//! models keep the physical truth: where each note is, every dot on paper.

#[cfg(feature = "bench")]
pub mod bench;
pub mod card_reader_device;
pub mod ccnet_device;
pub mod chip_card;
pub mod dip_reader;
pub mod escpos_device;
pub mod issuer;
pub mod lamps;
pub mod line;
pub mod link_proxy;
pub mod paper;
pub mod pin_pad_device;
pub mod pty;
pub mod served;
pub mod world;
