//! The harness itself is tested: bugs are planted, one at a time, and the swarm must find each.
//!
//! A swarm that finds nothing is good, or blind. So the healthy code is lived first, and must come to every reach mark and every row of
//! the session's table; then each [`Fault`] is planted in the same lives, and it is counted how many it takes until a rule is broken.

use crate::swarm::live;
use std::collections::BTreeSet;
use tolem_hal_sim::world::{Options, invariants::Invariant};
use tolem_probe::{Fault, Reached, Site, plant, take_reached, times_planted};

/// The table of the session, as its own test writes it.
const STATES: &str = include_str!("../../../core/src/session/states.txt");

/// What it took to find a planted fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// Lives until then, this one included.
    pub seeds: u64,
    /// The life that showed it.
    pub seed: u64,
    /// The rule that was broken.
    pub invariant: Invariant,
}

/// What became of a planted fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Search {
    /// A rule was broken that the healthy code keeps in the same life.
    Found(Found),
    /// No rule was broken; so often the fault had its chance.
    Missed(u64),
    /// The healthy code breaks the same rule in this life: nothing is proven.
    NotHealthy(u64),
}

/// Plants `fault` in the lives from `first` on, at most `budget` of them.
pub fn search(fault: Fault, first: u64, budget: u64) -> Search {
    let mut chances = 0;
    for seed in first..first.saturating_add(budget) {
        plant(Some(fault));
        let report = live(seed, options(seed));
        chances += times_planted();
        plant(None);
        if let Some(violation) = report.violation {
            if live(seed, options(seed)).violation.is_some() {
                return Search::NotHealthy(seed);
            }
            return Search::Found(Found { seeds: seed - first + 1, seed, invariant: violation.invariant });
        }
    }
    Search::Missed(chances)
}

/// As in a campaign: every 16th life reads all papers.
pub fn options(seed: u64) -> Options {
    Options { thorough: seed % 16 == 0, ..Options::default() }
}

/// Lives `seeds` lives of the healthy code from `first` on. Gives where they have been, and the lives that broke a rule.
pub fn healthy(first: u64, seeds: u64) -> (Reached, Vec<u64>) {
    plant(None);
    let _before = take_reached();
    let broken = (first..first.saturating_add(seeds))
        .filter(|seed| live(*seed, options(*seed)).violation.is_some())
        .collect();
    (take_reached(), broken)
}

/// Reach marks and rows of the session's table that should have been visited and were not.
pub fn missed(reached: &Reached) -> Vec<String> {
    let marks = Site::ALL.iter().filter(|site| !reached.sites.contains_key(site));
    let marks = marks.map(|site| format!("mark {site:?}: {}", site.says()));
    let rows = rows().into_iter().filter(|row| !reached.rows.contains_key(row));
    marks.chain(rows.map(|row| format!("row {row}"))).collect()
}

/// Rows that are visited but stand in no table.
pub fn untold(reached: &Reached) -> Vec<&String> {
    let told: BTreeSet<String> = table().into_iter().map(|(row, _)| row).collect();
    reached.rows.keys().filter(|row| !told.contains(*row)).collect()
}

/// The rows that can be reached.
fn rows() -> Vec<String> {
    table().into_iter().filter(|(_, never)| !never).map(|(row, _)| row).collect()
}

/// All rows, and whether the table says that they are never reached.
fn table() -> Vec<(String, bool)> {
    let mut input = "";
    let mut rows = Vec::new();
    for line in STATES.lines() {
        match line.split_once(" -> ") {
            Some((state, then)) if line.starts_with(' ') => {
                rows.push((format!("{input} | {}", state.trim()), then.contains("(never")));
            }
            _ => input = line.trim(),
        }
    }
    rows
}
