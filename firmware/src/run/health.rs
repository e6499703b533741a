//! Which threads are alive: each beats, and the watchdog is fed only while all of them do.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The hearts of one process.
#[derive(Clone)]
pub(crate) struct Pulse {
    start: Instant,
    stalled_after: Duration,
    hearts: Arc<Mutex<Vec<Named>>>,
}

/// A thread's name and its last beat.
type Named = (&'static str, Arc<AtomicU64>);

/// One thread's sign of life.
#[derive(Clone)]
pub struct Heart {
    start: Instant,
    last_ms: Arc<AtomicU64>,
}

/// Before its first beat a heart is not judged: a screen takes its time to open.
const NEVER: u64 = u64::MAX;

impl Pulse {
    pub fn new(stalled_after: Duration) -> Self {
        Self { start: Instant::now(), stalled_after, hearts: Arc::default() }
    }

    pub fn heart(&self, name: &'static str) -> Heart {
        let last_ms = Arc::new(AtomicU64::new(NEVER));
        self.hearts.lock().unwrap_or_else(PoisonError::into_inner).push((name, last_ms.clone()));
        Heart { start: self.start, last_ms }
    }

    /// The first thread that is silent for too long.
    pub fn stalled(&self) -> Option<&'static str> {
        self.stalled_at(self.start.elapsed())
    }

    fn stalled_at(&self, elapsed: Duration) -> Option<&'static str> {
        let hearts = self.hearts.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |last: u64| {
            last != NEVER && elapsed.saturating_sub(Duration::from_millis(last)) > self.stalled_after
        };
        hearts.iter().find(|(_, last)| silent(last.load(Ordering::Relaxed))).map(|(name, _)| *name)
    }
}

impl Heart {
    /// Still alive.
    pub fn beat(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(NEVER - 1);
        self.last_ms.store(now, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_thread_is_named_and_one_that_never_began_is_not() {
        let pulse = Pulse::new(Duration::from_secs(20));
        let kiosk = pulse.heart("kiosk");
        let _screen = pulse.heart("screen");
        assert_eq!(pulse.stalled_at(Duration::from_secs(500)), None);
        kiosk.beat();
        assert_eq!(pulse.stalled_at(Duration::from_secs(19)), None);
        assert_eq!(pulse.stalled_at(Duration::from_secs(500)), Some("kiosk"));
    }
}
