//! The world of `hal-sim` with the real center in it, and the swarm that lives it by seed.
//!
//! A crate of its own, so that `cargo swarm` builds kiosk, devices and center with optimisation and nothing else: no window, no
//! browser, no programs. The tests of other levels use the same [`rig`].

pub mod ledger;
#[cfg(feature = "planted-faults")]
pub mod planted;
pub mod rig;
pub mod swarm;
