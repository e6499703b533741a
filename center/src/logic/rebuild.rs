//! After a restore: the center listens before it sells.
//!
//! A database from a backup has forgotten answers that it signed. Until every kiosk has told them again it takes recalls and
//! journals, and sells nothing: a voucher that was spent in the lost days would be spent twice, an original printed twice. The gap is the
//! center's own fault, and the alarm says so. Two people can open it early; the request names who is missing.
//!
//! ```text
//! open ──restored──▶ rebuilding ──the last kiosk has told everything, the gateway's register is compared──▶ open
//!                        └──────two people, naming who is missing─────▶ open
//! ```

use crate::logic::{
    Center, Moment,
    office::Deed,
    store::{Alarm, AttemptRow, Result, Store},
};
use tolem_protocol::{Amount, KioskNumber, UtcTime, messages::Request};

/// How the rebuilding stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rebuilding {
    /// When it began.
    pub since: UtcTime,
    /// Answers that were recalled in it.
    pub recalled: u64,
    /// The gateway's register must be compared before it opens.
    pub register_due: bool,
}

/// Rows of the rebuilding.
pub trait Standing {
    /// `None` while the center is open.
    fn rebuilding(&self) -> Result<Option<Rebuilding>>;
    /// Begins, counts, or ends it.
    fn set_rebuilding(&mut self, state: Option<Rebuilding>) -> Result<()>;
    /// The newest life of this database of which a kiosk has said that it told it everything.
    fn heard(&self, kiosk: KioskNumber) -> Result<Option<u32>>;
    /// Remembers it.
    fn put_heard(&mut self, kiosk: KioskNumber, center_epoch: u32) -> Result<()>;
}

/// Under this the newest restore is remembered when the center is open again.
const RESTORED: &str = "restored";

/// Whether what followed a moment may be forgotten: it is before the restore that this life began with.
pub(super) fn may_have_forgotten(store: &dyn Store, moment: UtcTime) -> Result<bool> {
    Ok(store.attempts(RESTORED)?.is_some_and(|restored| moment <= restored.first))
}

/// Begins a new life of a database that was restored, in which it first listens. Gives the new epoch: random, so that
/// restoring one backup twice gives two lives.
pub fn begin(store: &mut dyn Store, now: UtcTime, fresh: &mut dyn FnMut() -> u64) -> Result<u32> {
    let old = store.center_epoch()?;
    let mut epoch = old;
    while epoch == old || epoch == 0 {
        epoch = (fresh() >> 33) as u32;
    }
    store.set_center_epoch(epoch)?;
    store.set_rebuilding(Some(Rebuilding { since: now, recalled: 0, register_due: false }))?;
    store.put_attempts(RESTORED, AttemptRow { first: now, count: 1 })?;
    let what = format!("the database was restored from a backup and lives epoch {epoch}; it listens first");
    store.write_deed(&Deed { at: now, by: "center".into(), what })?;
    Ok(epoch)
}

/// Lets the rebuilding wait for the gateway's register too, which knows what no kiosk comes to tell of.
pub fn await_register(store: &mut dyn Store) -> Result<()> {
    match store.rebuilding()? {
        Some(state) => store.set_rebuilding(Some(Rebuilding { register_due: true, ..state })),
        None => Ok(()),
    }
}

/// The kiosks that have not told everything yet.
pub fn missing(store: &dyn Store) -> Result<Vec<KioskNumber>> {
    let epoch = store.center_epoch()?;
    let mut missing = Vec::new();
    for row in store.kiosks()? {
        if store.heard(row.kiosk)? != Some(epoch) {
            missing.push(row.kiosk);
        }
    }
    Ok(missing)
}

/// Whether this must wait until the center has heard everybody: it would rest on what may be forgotten.
pub(super) fn must_wait(request: &Request) -> bool {
    match request {
        Request::CheckPayer(_)
        | Request::Quote { .. }
        | Request::Commit(_)
        | Request::Hold(_)
        | Request::Status(_)
        | Request::Voucher { .. }
        | Request::PrintRight(_)
        | Request::Authorize(_)
        | Request::CardConfirm(_)
        | Request::CardEnquire(_) => true,
        Request::Hello(_)
        | Request::Catalogue
        | Request::Service(_)
        | Request::Void(_)
        | Request::Claim { .. }
        | Request::Time
        | Request::Crl { .. }
        | Request::CardService
        | Request::SealedCardService
        | Request::Checkpoint { .. }
        // Only its kiosk could have confirmed it, and says that it did not.
        | Request::CardVoid { .. }
        | Request::Recall { .. } => false,
    }
}

impl Center {
    /// A kiosk has told everything it knows; the last one opens the center.
    pub(super) fn heard_all_of(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        kiosk: KioskNumber,
    ) -> Result<()> {
        let Some(state) = store.rebuilding()? else { return Ok(()) };
        let epoch = store.center_epoch()?;
        store.put_heard(kiosk, epoch)?;
        if missing(store)?.is_empty() && !state.register_due {
            self.open_again(store, at, state, &[])?;
        }
        Ok(())
    }

    /// The gateway's register was compared, or two people go on without it; if all kiosks have told, the center opens.
    pub(super) fn register_heard(&self, store: &mut dyn Store, at: &Moment<'_>) -> Result<()> {
        let Some(state) = store.rebuilding()? else { return Ok(()) };
        let state = Rebuilding { register_due: false, ..state };
        store.set_rebuilding(Some(state))?;
        if missing(store)?.is_empty() {
            self.open_again(store, at, state, &[])?;
        }
        Ok(())
    }

    /// Ends the rebuilding, and says whose fault it was. With somebody missing two people have decided it (see [`Center::approve`]).
    pub fn open_again(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        state: Rebuilding,
        without: &[KioskNumber],
    ) -> Result<()> {
        store.set_rebuilding(None)?;
        let list: Vec<String> = without.iter().map(ToString::to_string).collect();
        let without = if list.is_empty() {
            "all kiosks have told".into()
        } else {
            format!("without kiosk {}", list.join(", "))
        };
        let what =
            format!("the restored center is open: {without}, {} answers were recalled", state.recalled);
        store.write_deed(&Deed { at: at.now, by: "center".into(), what: what.clone() })?;
        let Some(first) = store.kiosks()?.first().map(|row| row.kiosk) else { return Ok(()) };
        store.raise(&Alarm {
            at: at.now,
            kiosk: first,
            kind: "own-gap".into(),
            text: format!("this center had forgotten what it answered, no kiosk is to blame; {what}"),
            disputed: Amount::ZERO,
            evidence: Vec::new(),
        })
    }

    /// Counts a recalled answer.
    pub(super) fn count_recalled(&self, store: &mut dyn Store) -> Result<()> {
        match store.rebuilding()? {
            Some(state) => store.set_rebuilding(Some(Rebuilding { recalled: state.recalled + 1, ..state })),
            None => Ok(()),
        }
    }
}
