//! The center's rows as plain data for `world::invariants`, from whatever store holds them.

use tolem_center::logic::{
    acquirer::{CardRow, Standing},
    ledger,
    store::{CodeState, Result, Store},
};
use tolem_hal_sim::world::invariants::{
    CardBooking, CardEnd, CardName, Holding, Ledger, Posting, Settlement,
};
use tolem_protocol::{
    PaymentCode,
    messages::{Outcome, Verdict},
    signed::Signed,
};

/// Reads everything the invariants compare: bookings, answers, cosigned journals, and what the center's own audit says.
pub fn ledger_of(store: &dyn Store) -> Result<Ledger> {
    let mut read = Ledger { findings: ledger::audit(store)?, ..Ledger::default() };
    store.each_posting(&mut |posting| {
        let lines = posting.lines.iter().map(|(account, tiyn)| (account.to_string(), *tiyn)).collect();
        read.postings.push(Posting { payment: posting.payment, kind: posting.kind.into(), lines });
    })?;
    store.each_payment(&mut |row| {
        let Some(outcome) = row.outcome else { return };
        let code = code_of(&outcome);
        read.settled.push(Settlement { payment: row.payment, outcome: outcome.digest(), code });
    })?;
    let mut balances = Vec::new();
    store.each_balance(&mut |row| balances.push((row.from, row.owner)))?;
    for (from, owner) in balances {
        let payer = store.payment(&from)?.and_then(|row| row.payer);
        read.holdings.push(Holding { from, owner: owner.map(|tag| tag.0), payer: payer.map(|tag| tag.0) });
    }
    let mut cards = Vec::new();
    store.each_card(&mut |row| cards.push(row))?;
    for row in cards {
        let code = row.outcome.as_ref().and_then(code_of);
        let kept = code.map(|code| store.code(code)).transpose()?.flatten();
        let void = kept.map(|kept| kept.state == CodeState::Void);
        read.cards.push(booking_of(&row, code, void));
    }
    for kiosk in store.kiosks()? {
        if let Some(row) = store.witness(kiosk.kiosk)? {
            read.witnessed.push((kiosk.kiosk, row.size, row.root));
        }
    }
    Ok(read)
}

/// The code that a signed answer gives.
pub fn code_of(outcome: &Signed<Outcome>) -> Option<PaymentCode> {
    match outcome.read_unverified()?.verdict {
        Verdict::Accepted { token, .. } => token.read_unverified().map(|token| token.code),
        Verdict::Held(_) => None,
    }
}

fn booking_of(row: &CardRow, code: Option<PaymentCode>, code_void: Option<bool>) -> CardBooking {
    CardBooking {
        payment: row.payment,
        amount: row.amount,
        name: CardName {
            terminal: row.terminal,
            trace: row.request.trace_digits(),
            sent: row.request.sent_digits(),
        },
        standing: match row.standing {
            Standing::Sent => CardEnd::Asked,
            Standing::Declined => CardEnd::Declined,
            Standing::Approved => CardEnd::Held,
            Standing::Confirming => CardEnd::Taking,
            Standing::Confirmed => CardEnd::Taken,
            Standing::Reversing => CardEnd::Undoing,
            Standing::Reversed => CardEnd::Undone,
        },
        code,
        code_void,
        number_kept: !row.sealed_number.is_empty(),
    }
}
