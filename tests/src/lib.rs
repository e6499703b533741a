//! Tests that need more than one room.
//!
//! This library holds only what several of them share: the files of the repository, a client of the bench's HTTP
//! interface, a client of the browser. Claims about the kiosk stand in `tests/`, one file per level (`docs/testing.md`).

pub mod bench;
pub mod browser;
pub mod cuts;
pub mod dip;
pub mod files;
pub mod fuzz;
pub mod kill;
pub mod secrets;

pub use tolem_world::{ledger, rig, swarm};
