//! The harness itself is tested: bugs are planted, one at a time, and the swarm must find each.
//!
//! A swarm that finds nothing is good, or blind. So the healthy code is lived first, and must come to every reach mark and every row of
//! the session's table; then each [`Fault`] is planted in the same lives, and it is counted how many it takes until a rule is broken.

use crate::swarm::{Campaign, MOST_FAILURES, campaign, live, on_lanes};
use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
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

/// Lives the healthy code on `lanes` threads: what it went through, and where it has been.
pub fn healthy(lanes: u64, seeds: Range<u64>) -> (Campaign, Reached) {
    let lived = on_lanes(lanes, seeds, |seeds| {
        plant(None);
        let campaign = campaign(seeds, 100, MOST_FAILURES);
        (campaign, take_reached())
    });
    let both = |(campaign, mut reached): (Campaign, Reached), (other, been)| {
        reached.merge(been);
        (campaign.and(other), reached)
    };
    lived.into_iter().reduce(both).unwrap_or_else(|| (campaign(0..0, 0, 0), Reached::default()))
}

/// Searches for each of `faults` from `first`, on `lanes` threads that take the next fault when they are free.
pub fn search_all(lanes: u64, faults: &[Fault], first: u64, budget: u64) -> Vec<Search> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![Search::Missed(0); faults.len()]);
    on_lanes(lanes, 0..lanes, |_| {
        while let Some(fault) = faults.get(next.fetch_add(1, Relaxed)) {
            let search = search(*fault, first, budget);
            let place = faults.iter().position(|known| known == fault).unwrap_or_default();
            found.lock().expect("no panic while it is held")[place] = search;
        }
    });
    found.into_inner().expect("no panic while it was held")
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
