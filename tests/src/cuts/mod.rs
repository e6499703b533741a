//! Power cuts below SQLite: a store lives several lives on a disk that fails, and must have kept its word each time.
//!
//! The disk is `tolem-crash-vfs`; the stores are the kiosk's and the center's own, with their settings and their recovery.
//! One seed is one story of [`LIVES`] lives. What a story finds is a [`Fault`]; nothing here reads a clock or the disk of this
//! machine.

pub mod center;
pub mod kiosk;

use std::{fmt, ops::Range};
use tolem_crash_vfs::{Failure, Media};
use tolem_hal_sim::line::Dice;

/// Lives in a story; each but the last is also judged by the next one.
pub const LIVES: u32 = 6;

/// A disk and the settings that a store is made to have on it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The disk.
    pub media: Media,
    /// What the store's `PRAGMA synchronous` is bent to; `None` leaves it alone.
    pub synchronous: Option<&'static str>,
    /// What its `PRAGMA wal_checkpoint(RESTART)` at the start is bent to.
    pub checkpoint: Option<&'static str>,
    /// Failed operations and full disks too, not only cuts.
    pub errors: bool,
    /// A start believes what the system remembers of the log.
    pub believes_cache: bool,
}

impl Setting {
    /// The store as it is, on this disk, with every kind of failure.
    pub const fn ours(media: Media) -> Self {
        Self { media, synchronous: None, checkpoint: None, errors: true, believes_cache: false }
    }
}

/// How a life's failure comes: mostly the power goes.
fn draw_failure(dice: &mut Dice, errors: bool) -> Failure {
    match dice.below(10) {
        0 if errors => Failure::ErrorButKept,
        1 if errors => Failure::ErrorNotKept,
        2 if errors => Failure::Full,
        3 if errors => Failure::Writeback,
        _ => Failure::Cut,
    }
}

/// What a story found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// So many acknowledged records are gone.
    Lost(u64),
    /// The store could not be used, or holds something else than was written.
    Damaged(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(records) => write!(f, "{records} acknowledged records are gone"),
            Self::Damaged(cause) => f.write_str(cause),
        }
    }
}

/// What one story saw.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Story {
    /// Starts of the program.
    pub lives: u64,
    /// Power cuts.
    pub cuts: u64,
    /// Cuts and failures while the store was being opened.
    pub in_recovery: u64,
    /// Failed writes and flushes.
    pub errors: u64,
    /// Disks that became full.
    pub full: u64,
    /// Acknowledged records (or answers).
    pub acknowledged: u64,
    /// Records that were never acknowledged and came back all the same.
    pub extra: u64,
    /// Hash over everything that was written.
    pub digest: [u8; 32],
    /// One line for each life: what was planned, and how it ended.
    pub told: Vec<String>,
    /// What was wrong, and after how many cuts; the story ends there.
    pub fault: Option<(u64, Fault)>,
}

/// Many stories.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Stories told.
    pub seeds: u64,
    /// Sums over all of them; the digest and the fault are unused.
    pub sum: Story,
    /// Seeds whose story lost acknowledged records.
    pub lost: Vec<u64>,
    /// Seeds whose store was damaged.
    pub damaged: Vec<u64>,
    /// Fewest cuts before a fault.
    pub fewest_cuts: Option<u64>,
    /// The first fault in words.
    pub first: Option<String>,
}

/// Tells the story of each seed.
pub fn tell(seeds: Range<u64>, mut story: impl FnMut(u64) -> Story) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        let told = story(seed);
        tally.seeds += 1;
        let sum = &mut tally.sum;
        sum.lives += told.lives;
        sum.cuts += told.cuts;
        sum.in_recovery += told.in_recovery;
        sum.errors += told.errors;
        sum.full += told.full;
        sum.acknowledged += told.acknowledged;
        sum.extra += told.extra;
        if let Some((cuts, fault)) = told.fault {
            let lives = told.told.join("\n  ");
            tally.first.get_or_insert(format!("seed {seed}, after {cuts} cuts: {fault}\n  {lives}"));
            tally.fewest_cuts = Some(tally.fewest_cuts.map_or(cuts, |fewest| fewest.min(cuts)));
            match fault {
                Fault::Lost(_) => tally.lost.push(seed),
                Fault::Damaged(_) => tally.damaged.push(seed),
            }
        }
    }
    tally
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Story { lives, cuts, in_recovery, errors, full, acknowledged, extra, .. } = &self.sum;
        write!(
            f,
            "{} stories, {lives} lives, {cuts} cuts, {in_recovery} failures in recovery, {errors} errors, {full} full disks, \
             {acknowledged} acknowledged, {extra} extra, {} lost, {} damaged",
            self.seeds,
            self.lost.len(),
            self.damaged.len()
        )?;
        match &self.first {
            Some(first) => write!(f, "; {first}"),
            None => Ok(()),
        }
    }
}
