//! The world: kiosks, their devices, their people and one center in memory and virtual time.

pub mod cards;
pub mod center;
pub mod disk;
mod hands;
pub mod happenings;
pub mod invariants;
mod payers;
pub mod people;
mod rest;
mod run;
mod run_cards;
pub mod shrink;
pub mod station;
pub mod story;
pub mod tally;

pub use center::Center;
pub use disk::{Disk, DiskFault};
pub use happenings::{CARDS_FROM, Happening, Kind, Plan, What};
pub use run::{Options, Report, live};
pub use station::{Manners, Setup, Station, Wire};
