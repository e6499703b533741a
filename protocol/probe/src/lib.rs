//! Where tests look in: planted faults, reach marks, visited rows of state tables.
//!
//! A harness that finds nothing is good, or blind. So the code carries seams, one line each, where a bug could live: with the feature
//! `planted-faults` a test chooses one at run time, and the swarm must find it. Marks and rows show that the swarm has been
//! where things are difficult. Without the feature, which no shipped crate can switch on, [`planted`] is a constant `false`
//! and the others do nothing. Everything belongs to the thread that asks, so runs stay apart and repeatable.
#![cfg_attr(not(feature = "planted-faults"), no_std)]
extern crate alloc;

mod fault;
#[cfg(feature = "planted-faults")]
mod kept;
mod site;

use alloc::string::String;

pub use fault::Fault;
#[cfg(feature = "planted-faults")]
pub use kept::{Reached, plant, take_reached, times_planted};
pub use site::Site;

/// Whether this fault is planted now.
#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub const fn planted(_fault: Fault) -> bool {
    false
}

/// Marks a place that a good test campaign reaches sometimes.
#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub const fn sometimes(_site: Site) {}

/// Counts a visit to the row of a state table. The text is not even made without the feature.
#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub fn visited(_row: impl FnOnce() -> String) {}

/// Whether this fault is planted now.
#[cfg(feature = "planted-faults")]
pub fn planted(fault: Fault) -> bool {
    kept::planted(fault)
}

/// Marks a place that a good test campaign reaches sometimes.
#[cfg(feature = "planted-faults")]
pub fn sometimes(site: Site) {
    kept::sometimes(site);
}

/// Counts a visit to the row of a state table.
#[cfg(feature = "planted-faults")]
pub fn visited(row: impl FnOnce() -> String) {
    kept::visited(row());
}
