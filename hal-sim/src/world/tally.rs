//! What happened how often, and what happened last.

use std::collections::{BTreeMap, VecDeque};
use tolem_core::time::Instant;

/// Counts by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    counts: BTreeMap<&'static str, u64>,
    /// Events the kiosks handled.
    pub events: u64,
    /// Faults of the acceptor or its line that are in force now.
    pub lasting: u32,
}

impl Tally {
    /// One more.
    pub fn add(&mut self, what: &'static str) {
        *self.counts.entry(what).or_insert(0) += 1;
    }

    /// How often.
    pub fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// All counts, by name.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(name, count)| (*name, *count))
    }

    /// Takes in another one's counts.
    pub fn merge(&mut self, other: &Self) {
        for (name, count) in other.counts() {
            *self.counts.entry(name).or_insert(0) += count;
        }
        self.events += other.events;
    }
}

/// The last things that happened. Off by default: words cost more than the deeds, and the same seed can be run again.
#[derive(Clone, Debug, Default)]
pub struct Chronicle {
    lines: Option<VecDeque<(Instant, String)>>,
}

/// How many lines are kept.
const MOST: usize = 10_000;

impl Chronicle {
    /// Begins to write.
    pub fn open(&mut self) {
        self.lines.get_or_insert_default();
    }

    /// Writes a line, if anybody wants to read it.
    pub fn say(&mut self, now: Instant, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            if lines.len() == MOST {
                lines.pop_front();
            }
            lines.push_back((now, line()));
        }
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &(Instant, String)> {
        self.lines.iter().flatten()
    }
}
