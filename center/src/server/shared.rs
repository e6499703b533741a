//! What all connections share: the observer, the bounds, the switches for faults.

use crate::{config::Links, logic::registry::Switch, logic::trace::Step};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tolem_protocol::KioskNumber;

/// Something that happened, for a log or a bench. Never holds an IIN, a name or a whole code.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// A message went over a link.
    Message {
        /// Whose link.
        kiosk: KioskNumber,
        /// True for a request, false for an answer.
        to_center: bool,
        /// One line about it.
        line: &'a str,
    },
    /// A step of use case 5 was taken.
    Step(Step),
    /// One line about connections, files or faults.
    Note(&'a str),
}

/// Is told everything that is seen. Called from several threads; must not block.
pub type Observer = Arc<dyn Fn(&Seen<'_>) + Send + Sync>;

/// See the module.
pub(crate) struct Shared {
    pub links: Links,
    pub observer: Option<Observer>,
    /// While on, each answer is thrown away and its connection closed, after it is durable.
    pub lose_answers: Switch,
    next: AtomicU64,
}

impl Shared {
    pub fn new(links: Links, observer: Option<Observer>) -> Self {
        Self { links, observer, lose_answers: Switch::default(), next: AtomicU64::new(1) }
    }

    pub fn see(&self, seen: &Seen<'_>) {
        if let Some(observer) = &self.observer {
            observer(seen);
        }
    }

    pub fn note(&self, line: &str) {
        self.see(&Seen::Note(line));
    }

    pub fn next_link(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}
