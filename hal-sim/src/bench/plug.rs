//! The plug of a kiosk: power for the process and its devices, and the moments at which it can be pulled by itself.
//!
//! A hand is too slow to hit the tenth of a second in which a note passes the point of no return; an armed plug is not.

use super::tell::locked;
use std::sync::Mutex;

/// Whether the kiosk process runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PowerState {
    /// It runs.
    pub on: bool,
    /// Its process number.
    pub pid: Option<u32>,
    /// How it ended, if it ended: `pulled`, or `exited with ...` when it did so by itself.
    pub ended: Option<String>,
}

/// Starts and kills the kiosk process.
pub trait Power: Send + Sync {
    /// Starts it; an error if it runs already or cannot be started.
    fn switch_on(&self) -> Result<(), String>;
    /// Kills it without a word (SIGKILL); harmless if it does not run.
    fn kill(&self);
    /// Whether it runs.
    fn state(&self) -> PowerState;
}

/// When an armed plug is pulled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// The kiosk has ordered the note to be stacked; the note still lies in escrow.
    Ordered,
    /// The note has passed the point of no return and is not in the cassette yet.
    Passing,
    /// The note is in the cassette; the kiosk may not have heard of it.
    Stacked,
    /// A piece of paper begins to come out.
    Printing,
}

impl Moment {
    /// The words of the API.
    pub const ALLOWED: &str = "ordered, passing, stacked, printing";

    /// Reads the word of the API.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "ordered" => Self::Ordered,
            "passing" => Self::Passing,
            "stacked" => Self::Stacked,
            "printing" => Self::Printing,
            _ => return None,
        })
    }

    /// The word of the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Passing => "passing",
            Self::Stacked => "stacked",
            Self::Printing => "printing",
        }
    }

    /// The moment that a line of the acceptor's log stands for.
    pub fn of_event(event: &str) -> Option<Self> {
        if !event.starts_with("note ") {
            return None;
        }
        if event.ends_with(" to transport") {
            Some(Self::Passing)
        } else if event.ends_with(" to cassette") {
            Some(Self::Stacked)
        } else {
            None
        }
    }
}

/// The trap: at most one moment is waited for.
#[derive(Debug, Default)]
pub struct Trap(Mutex<Option<Moment>>);

impl Trap {
    /// Waits for `moment`, and for nothing else any more.
    pub fn arm(&self, moment: Option<Moment>) {
        *locked(&self.0) = moment;
    }

    /// What is waited for.
    pub fn armed(&self) -> Option<Moment> {
        *locked(&self.0)
    }

    /// True once, when `moment` is the one that was waited for.
    pub fn springs(&self, moment: Moment) -> bool {
        let mut armed = locked(&self.0);
        let hit = *armed == Some(moment);
        if hit {
            *armed = None;
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_springs_once_and_only_at_its_moment() {
        let trap = Trap::default();
        trap.arm(Some(Moment::Passing));
        assert!(!trap.springs(Moment::Stacked));
        assert!(trap.springs(Moment::Passing));
        assert!(!trap.springs(Moment::Passing));
    }

    #[test]
    fn moments_are_read_from_the_log_of_the_acceptor() {
        assert_eq!(Moment::of_event("note 3 from escrow to transport"), Some(Moment::Passing));
        assert_eq!(Moment::of_event("note 3 from transport to cassette"), Some(Moment::Stacked));
        assert_eq!(Moment::of_event("note 3 to validator"), None);
        assert_eq!(Moment::of_event("power on"), None);
    }
}
