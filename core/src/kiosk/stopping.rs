//! Told to stop: the slot is shut at once, a moving note and a citizen with money in are waited for, and then the program ends.
//!
//! ```text
//!   Event::Stop ─▶ slot shut ─▶ note at its end ─▶ payment stopped, held, on paper ─▶ Output::Stopped
//!                     └─ nobody here: at once ──────────────────────────────────────────────┘
//! ```
//! Nothing here is needed for the money: whatever is cut off is in the journal, and the next start goes on with it. It is for the
//! person who stands there. So every wait is bounded, and a second order to stop (the shell's business) waits for nothing.

use super::{Kiosk, Output, dialogue::Dialogue};
use crate::{
    health::FaultCode,
    ports::{Signer, Store},
};
use std::time::Duration;

/// Longest time from the order to the end: a moving note, the center and the printer one after the other.
/// `TimeoutStopSec` of the service must be longer.
const FAREWELL: Duration = Duration::from_secs(90);
/// A number that could not be printed stays on the screen this long, to be written down.
const LAST_LOOK: Duration = Duration::from_secs(30);

impl<S: Store, K: Signer> Kiosk<S, K> {
    pub(super) fn told_to_stop(&mut self) {
        if self.stopping.is_none() {
            self.stopping = Some(self.now + FAREWELL);
            self.fault(FaultCode::Stopping, true);
        }
    }

    /// What is left to do before the end, and the end.
    pub(super) fn farewell(&mut self) {
        let Some(until) = self.stopping.filter(|_| !self.stopped) else { return };
        if self.session.order().is_none() {
            self.send_citizen_home();
        }
        if self.nothing_is_open() || self.now >= until {
            self.stopped = true;
            self.outputs.push_back(Output::Stopped);
        }
    }

    fn send_citizen_home(&mut self) {
        match self.dialogue {
            Dialogue::Honest | Dialogue::Inserting { .. } | Dialogue::Confirm { .. } => self.stop(),
            Dialogue::Catalogue { .. }
            | Dialogue::Service { .. }
            | Dialogue::Iin { .. }
            | Dialogue::Number { .. }
            | Dialogue::Asking { .. }
            | Dialogue::Quoted(_)
            | Dialogue::Card(_)
            | Dialogue::Balance { .. }
            | Dialogue::Message { .. } => self.cancel(),
            Dialogue::Code { since, printed, .. }
            | Dialogue::Slip { since, printed }
            | Dialogue::Held { since, printed }
            | Dialogue::Found { since, printed, .. } => {
                if printed || self.now.since(since) >= LAST_LOOK {
                    self.done();
                }
            }
            Dialogue::Attract
            | Dialogue::Working { .. }
            | Dialogue::Handing { .. }
            | Dialogue::SlipPrinting => {}
        }
    }

    fn nothing_is_open(&self) -> bool {
        self.dialogue == Dialogue::Attract
            && self.session.current().is_none()
            && self.session.order().is_none()
            && self.session.print().is_none()
            && self.acceptor.is_quiet()
    }
}
