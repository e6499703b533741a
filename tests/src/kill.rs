//! The kill sweep: the programs as they are shipped, cut at every write and every sync of a whole payment, by cash or by card.
//!
//! One run is one [`Case`]: a fresh terminal and center (copied from a template), real pseudo terminals, TLS and SQLite; device
//! models and a citizen in this process; one cut, placed by a library that counts the calls of the program under test (`tests/cut/cut.c`).
//! After the cut everything runs again without faults, the citizen comes back, and when all has settled the books are compared
//! from outside: cassette, journal, ledger, paper. A case says how to run it alone, and runs alone as it ran in the sweep.

mod cards;
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

use std::{path::Path, time::Duration};

/// Longest time for one case to come to its end. It needs some seconds; a busy machine needs many.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// The environment in which a program is counted, and cut if `cut` says so (`tests/cut/cut.c` has the words): name and place of what is
/// watched, and where the calls are written down.
pub fn armed(watch: &[(&'static str, String)], cut: Option<&str>, log: &Path) -> Vec<(&'static str, String)> {
    let cutter = cutter::Cutter { watch: watch.to_vec(), cut: None, log: log.to_owned() };
    let mut all = cutter.environment();
    all.extend(cut.map(|cut| ("TOLEM_CUT", cut.to_owned())));
    all
}
