//! The center's rows as plain data for `world::invariants`, from whatever store holds them.

use tolem_center::logic::{
    ledger,
    store::{Result, Store},
};
use tolem_hal_sim::world::invariants::{Holding, Ledger, Posting, Settlement};
use tolem_protocol::messages::Verdict;

/// Reads everything the invariants compare: bookings, answers, cosigned journals, and what the center's own audit says.
pub fn ledger_of(store: &dyn Store) -> Result<Ledger> {
    let mut read = Ledger { findings: ledger::audit(store)?, ..Ledger::default() };
    store.each_posting(&mut |posting| {
        let lines = posting.lines.iter().map(|(account, tiyn)| (account.to_string(), *tiyn)).collect();
        read.postings.push(Posting { payment: posting.payment, kind: posting.kind.into(), lines });
    })?;
    store.each_payment(&mut |row| {
        let Some(outcome) = row.outcome else { return };
        let code = match outcome.read_unverified().map(|outcome| outcome.verdict) {
            Some(Verdict::Accepted { token, .. }) => token.read_unverified().map(|token| token.code),
            Some(Verdict::Held(_)) | None => None,
        };
        read.settled.push(Settlement { payment: row.payment, outcome: outcome.digest(), code });
    })?;
    let mut balances = Vec::new();
    store.each_balance(&mut |row| balances.push((row.from, row.owner)))?;
    for (from, owner) in balances {
        let payer = store.payment(&from)?.and_then(|row| row.payer);
        read.holdings.push(Holding { from, owner: owner.map(|tag| tag.0), payer: payer.map(|tag| tag.0) });
    }
    for kiosk in store.kiosks()? {
        if let Some(row) = store.witness(kiosk.kiosk)? {
            read.witnessed.push((kiosk.kiosk, row.size, row.root));
        }
    }
    Ok(read)
}
