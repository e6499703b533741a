//! The kill sweep: the programs as they are shipped, cut at every write and every sync of a whole cash payment.
//!
//! One run is one [`Case`]: a fresh terminal and center (copied from a template), real pseudo terminals, TLS and SQLite; device
//! models and a citizen in this process; one cut, placed by a library that counts the calls of the program under test (`tests/cut/cut.c`).
//! After the cut everything runs again without faults, the citizen comes back, and when all has settled the books are compared
//! from outside: cassette, journal, ledger, paper. A case says how to run it alone, and runs alone as it ran in the sweep.

mod case;
mod citizen;
mod cutter;
mod place;
mod processes;
mod sweep;
mod truth;

pub use case::{Case, How, Side};
pub use place::Template;
pub use sweep::{
    Budget, Plan, Report, count_twice, run_case, run_case_and_keep, run_case_with_foreign_notes, sweep,
};

use std::time::Duration;

/// Longest time for one case to come to its end. It needs some seconds; a busy machine needs many.
pub const PATIENCE: Duration = Duration::from_secs(240);
