//! What this thread has planted and where it has been.

use crate::{Fault, Site};
use alloc::{collections::BTreeMap, string::String};
use std::cell::{Cell, RefCell};

/// Where a run has been, and how often.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reached {
    /// Marks.
    pub sites: BTreeMap<Site, u64>,
    /// Rows of state tables.
    pub rows: BTreeMap<String, u64>,
}

impl Reached {
    /// Adds what another run has reached.
    pub fn merge(&mut self, other: Self) {
        for (site, times) in other.sites {
            *self.sites.entry(site).or_default() += times;
        }
        for (row, times) in other.rows {
            *self.rows.entry(row).or_default() += times;
        }
    }
}

thread_local! {
    static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    static TIMES: Cell<u64> = const { Cell::new(0) };
    static REACHED: RefCell<Reached> = RefCell::new(Reached::default());
}

/// Plants a fault for this thread, or none.
pub fn plant(fault: Option<Fault>) {
    PLANTED.set(fault);
    TIMES.set(0);
}

/// How often the planted fault has had its chance since it was planted.
pub fn times_planted() -> u64 {
    TIMES.get()
}

/// Where this thread has been since the last call.
pub fn take_reached() -> Reached {
    REACHED.take()
}

pub(crate) fn planted(fault: Fault) -> bool {
    let here = PLANTED.get() == Some(fault);
    if here {
        TIMES.set(TIMES.get() + 1);
    }
    here
}

pub(crate) fn sometimes(site: Site) {
    REACHED.with_borrow_mut(|reached| *reached.sites.entry(site).or_default() += 1);
}

pub(crate) fn visited(row: String) {
    REACHED.with_borrow_mut(|reached| *reached.rows.entry(row).or_default() += 1);
}
