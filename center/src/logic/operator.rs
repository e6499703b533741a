//! What an operator may do: register and clear kiosks, settle suspense, pay balances back, begin a new life after a restore.

use crate::logic::{
    ledger::{Account, Posting, assert_balanced},
    store::{BalanceRow, BalanceState, KioskRow, Result, Store, WitnessRow},
};
use serde::{Deserialize, Serialize};
use tolem_protocol::{BalanceNumber, KioskNumber, UtcTime, merkle::empty_root, messages::HoldReason};

/// Registers a kiosk, or gives a registered one a new journal key. With a new key a new journal begins at the witness;
/// claim slips signed with the old one stay good, because a burnt kiosk must not lose anybody's money.
pub fn register(store: &mut dyn Store, kiosk: KioskNumber, journal_key: [u8; 32]) -> Result<()> {
    let row = match store.kiosk(kiosk)? {
        Some(row) if row.journal_key == journal_key => return Ok(()),
        Some(row) => {
            store.add_former_key(kiosk, &row.journal_key)?;
            KioskRow { journal_key, ..row }
        }
        None => KioskRow { kiosk, journal_key, epoch: 0, boot_nonce: [0; 16], closed: None },
    };
    store.put_kiosk(&row)?;
    forget_journal(store, kiosk)
}

/// Lets a closed kiosk take money again; its journal may begin anew at the witness. False if it was not closed.
///
/// The evidence stays in the alarms.
pub fn clear(store: &mut dyn Store, kiosk: KioskNumber) -> Result<bool> {
    match store.kiosk(kiosk)?.filter(|row| row.closed.is_some()) {
        Some(mut row) => {
            row.closed = None;
            store.put_kiosk(&row)?;
            forget_journal(store, kiosk)?;
            Ok(true)
        }
        None => Ok(false),
    }
}

fn forget_journal(store: &mut dyn Store, kiosk: KioskNumber) -> Result<()> {
    if store.witness(kiosk)?.is_some() {
        store.put_witness(kiosk, &WitnessRow { size: 0, root: empty_root(), note: String::new() })?;
    }
    Ok(())
}

/// What the count of the cassette said about a suspense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Found {
    /// The money is there: the owner may use the balance.
    Money,
    /// It never was: the balance is cancelled.
    Nothing,
}

/// Whether this is a suspense that waits for a count.
pub fn may_resolve(row: &BalanceRow) -> bool {
    row.reason == HoldReason::Suspense && !row.resolved && row.state == BalanceState::Issued
}

/// Whether this balance can be paid back: nobody has it, and it is certain that it is money.
pub fn may_refund(row: &BalanceRow, now: UtcTime) -> bool {
    let free = match row.state {
        BalanceState::Issued => true,
        BalanceState::Reserved { until, .. } => until < now,
        BalanceState::Spent { .. } | BalanceState::Refunded | BalanceState::Cancelled => false,
    };
    free && (row.reason != HoldReason::Suspense || row.resolved)
}

/// Settles an open suspense; two people have decided it (see [`Center::approve`](super::Center::approve)). False if there is no open one with this number.
pub fn resolve(store: &mut dyn Store, now: UtcTime, number: BalanceNumber, found: Found) -> Result<bool> {
    let Some(mut row) = store.balance(number)?.filter(may_resolve) else { return Ok(false) };
    row.resolved = true;
    if found == Found::Nothing {
        row.state = BalanceState::Cancelled;
        book(store, now, &row, Account::KioskCash(row.from.kiosk), "cancelled")?;
    }
    store.put_balance(&row)?;
    Ok(true)
}

/// Marks an open balance as paid back to its owner; two people have decided it. False if it is reserved, gone, or an unsettled suspense.
pub fn refund(store: &mut dyn Store, now: UtcTime, number: BalanceNumber) -> Result<bool> {
    let Some(mut row) = store.balance(number)?.filter(|row| may_refund(row, now)) else { return Ok(false) };
    row.state = BalanceState::Refunded;
    book(store, now, &row, Account::Refunds, "refunded")?;
    store.put_balance(&row)?;
    Ok(true)
}

fn book(
    store: &mut dyn Store,
    now: UtcTime,
    row: &BalanceRow,
    other: Account,
    kind: &'static str,
) -> Result<()> {
    let tiyn = i64::try_from(row.amount.tiyn()).expect("invariant: an amount is at most Amount::MAX");
    let lines = vec![(Account::Held, tiyn), (other, -tiyn)];
    assert_balanced(&lines);
    store.post(&Posting { at: now, payment: row.from, kind, lines })
}

/// Begins a new life of the database, after it was restored from a backup: kiosks then send their signed answers again.
pub fn begin_new_life(store: &mut dyn Store) -> Result<u32> {
    let epoch = store.center_epoch()?.wrapping_add(1).max(1);
    store.set_center_epoch(epoch)?;
    Ok(epoch)
}
