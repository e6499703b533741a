//! The center as the world sees it. The world's crate may not know the real one; whoever does plugs it in.

use super::invariants::Ledger;
use crate::issuer::TestIssuer;
use tolem_core::ports::Signer;
use tolem_protocol::{
    KioskNumber, PaymentCode, PaymentId, UtcTime,
    messages::{Deposit, Request, Response},
    signed::Signed,
};

/// One center, shared by its kiosks: a clone is another handle to the same one.
pub trait Center: Clone {
    /// The keys of a kiosk of this center.
    type Keys: Signer;

    /// A center with an empty ledger. All its chance comes from `seed`.
    fn found(seed: u64) -> Self;

    /// The keys of kiosk `kiosk`; `unit` counts the computers it had.
    fn keys(&self, kiosk: KioskNumber, unit: u32) -> Self::Keys;

    /// Registers a kiosk, or gives it a new journal key.
    fn enrol(&self, kiosk: KioskNumber, journal_key: [u8; 32]);

    /// Answers one request; `None` when nothing can be answered, which the kiosk hears as silence.
    fn handle(&self, now: UtcTime, who: KioskNumber, request: Request) -> Option<Response>;

    /// An acquirer is connected, and this bank is behind it.
    fn open_cards(&self, bank: TestIssuer);

    /// Looks at the bank, or changes it; `None` without one.
    fn bank<R>(&self, look: impl FnOnce(&mut TestIssuer) -> R) -> Option<R>;

    /// The line to the acquirer is up, or down.
    fn set_acquirer_open(&self, open: bool);

    /// Does what a center does by itself, without being asked.
    fn work(&self, now: UtcTime);

    /// Its program ends and starts again: what was only in memory is gone.
    fn restart(&self);

    /// Card payments that have no end at the acquirer yet.
    fn cards_owed(&self) -> usize;

    /// An operator reads in the deposit of a slip.
    fn import(&self, now: UtcTime, slip: &Signed<Deposit>);

    /// Takes a backup of the database; only the newest is kept.
    fn back_up(&self);

    /// Puts the backup in place of the database, as an operator does it: a new life begins, which listens first. False without a backup.
    fn restore(&self, now: UtcTime) -> bool;

    /// Restored, and not everything is heard yet.
    fn is_listening(&self) -> bool;

    /// The gateway stops answering, or answers again.
    fn set_gateway_silent(&self, silent: bool);

    /// Quotes are good for so many seconds from now on; `None`: as long as usual.
    fn set_quotes_good_for(&self, seconds: Option<i64>);

    /// The registry of persons stops answering, or answers again.
    fn set_registry_silent(&self, silent: bool);

    /// The disk of the database fails: whatever is asked is not kept and not answered. Or it works again.
    fn set_disk_failing(&self, failing: bool);

    /// Whether a payment is the payer's with this IIN; `None` if the center does not know.
    fn belongs_to(&self, payment: PaymentId, iin: &str) -> Option<bool>;

    /// An operator lets a closed kiosk work again.
    fn clear(&self, kiosk: KioskNumber);

    /// Whether the center has put this kiosk out of service.
    fn is_closed(&self, kiosk: KioskNumber) -> bool;

    /// Whether the books say that this code was given for a payment, or said so before a backup took their place.
    fn has_booked(&self, code: PaymentCode) -> bool;

    /// Position of a service in the catalogue.
    fn service(&self, code: &str) -> Option<u16>;

    /// Everything the invariants compare.
    fn ledger(&self) -> Ledger;
}
