//! The revocation list that the center's certificate is judged by: asked for in time, and what follows when it is past its date.
//!
//! The list is signed by the authority of the center and judged by the shell, which holds the file; here it is bytes and a date. A
//! list that went stale on an open connection counts as a lost link for new payments: the center may have been revoked
//! since. What is under way goes on, because its answers are signed by another key.

use super::{Kiosk, Output, center::Ask};
use crate::{
    health::FaultCode,
    ports::{Signer, Store},
    time::Instant,
};
use std::time::Duration;
use tolem_protocol::{UtcTime, messages::Request};

/// The list is asked for this often while it is good for long.
const EVERY: Duration = Duration::from_secs(3_600);
/// And this often when it is in its last day or past it.
const EVERY_URGENT: Duration = Duration::from_secs(60);
/// The last day of a list, in seconds.
const URGENT_S: i64 = 86_400;
/// A certificate that has less than this left, in seconds, should have been renewed long ago: somebody must look.
const CERTIFICATE_NEAR_S: i64 = 30 * 86_400;
/// No list is longer; a revoked certificate takes some 40 bytes of it.
const MAX_BYTES: u32 = 1024 * 1024;

/// What is known of the list.
#[derive(Default)]
pub(super) struct List {
    /// Until when the one in force is good; `None` where no list is used.
    pub good_until: Option<UtcTime>,
    asked_at: Option<Instant>,
    /// Slices that came so far.
    bytes: Vec<u8>,
}

impl<S: Store, K: Signer> Kiosk<S, K> {
    /// The link stands, and the list that let it stand is still good.
    pub(super) fn center_is_trusted(&self) -> bool {
        self.link_is_up() && !self.list_is_stale()
    }

    fn list_is_stale(&self) -> bool {
        self.center.list.good_until.is_some_and(|until| self.utc >= until)
    }

    pub(super) fn judge_list(&mut self) {
        self.fault(FaultCode::ListStale, self.list_is_stale());
        let ending = self
            .center
            .certificate_until
            .is_some_and(|until| until.seconds().saturating_sub(self.utc.seconds()) < CERTIFICATE_NEAR_S);
        self.fault(FaultCode::CertificateEnding, ending);
    }

    /// Asks for the list when it is time.
    pub(super) fn ask_list(&mut self) {
        let Some(until) = self.center.list.good_until else { return };
        let urgent = until.seconds().saturating_sub(self.utc.seconds()) < URGENT_S;
        let every = if urgent { EVERY_URGENT } else { EVERY };
        let due = self.center.list.asked_at.is_none_or(|at| self.now.since(at) >= every);
        if due && !self.center.is_asking(|ask| matches!(ask, Ask::List)) {
            self.center.list.asked_at = Some(self.now);
            self.center.list.bytes.clear();
            self.ask(Ask::List, Request::Crl { offset: 0 });
        }
    }

    /// One slice came: the next, or the whole goes to the shell.
    pub(super) fn list_slice(&mut self, total: u32, slice: &[u8]) {
        let list = &mut self.center.list;
        list.bytes.extend_from_slice(slice);
        let have = u32::try_from(list.bytes.len()).unwrap_or(u32::MAX);
        if total == 0 || total > MAX_BYTES || have > total || slice.is_empty() {
            list.bytes = Vec::new();
        } else if have == total {
            let bytes = std::mem::take(&mut list.bytes);
            self.outputs.push_back(Output::RevocationList(bytes));
        } else {
            self.ask(Ask::List, Request::Crl { offset: have });
        }
    }
}
