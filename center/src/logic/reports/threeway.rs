//! The audit in three ways: what the kiosks' journals say went in, what the center booked, what the gateway knows as paid.
//!
//! Each pair is compared payment by payment, so that a finding names one. What only two of the three know is a finding; what is still
//! under way (a deposit in the kiosk's outbox, a notice in ours) is listed apart, because it will come right by itself.

use crate::logic::{
    ledger,
    register::AdoptedRow,
    store::{PaymentState, Result, Store},
};
use std::collections::{BTreeMap, BTreeSet};
use tolem_protocol::{
    Amount, KioskNumber, PaymentCode, PaymentId,
    messages::Verdict,
    record::{Fact, Record},
    signed::Signed,
};

/// The cash that one kiosk's journal counts, per payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Whose journal.
    pub kiosk: KioskNumber,
    cash: BTreeMap<PaymentId, i64>,
}

impl Counted {
    /// An empty count.
    pub fn new(kiosk: KioskNumber) -> Self {
        Self { kiosk, cash: BTreeMap::new() }
    }

    /// Reads the next record.
    pub fn record(&mut self, record: &Record) {
        let mut add = |payment: PaymentId, tiyn: i64| *self.cash.entry(payment).or_default() += tiyn;
        match &record.fact {
            Fact::NoteStacked { payment, denomination, .. }
            | Fact::NoteInDoubt { payment, denomination, .. } => {
                add(*payment, signed(denomination.amount()));
            }
            Fact::NoteMoved { from, to, denomination } => {
                add(*from, -signed(denomination.amount()));
                add(*to, signed(denomination.amount()));
            }
            _ => {}
        }
    }

    /// All cash in it.
    pub fn total(&self) -> i64 {
        self.cash.values().sum()
    }
}

/// A payment in the gateway's register.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registered {
    /// The bank's number of the payment.
    pub transaction: String,
    /// The code.
    pub code: PaymentCode,
    /// The fee.
    pub fee: Amount,
    /// The code was taken back after it was paid.
    pub refunded: bool,
}

/// What the comparison found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Audit {
    /// What is wrong.
    pub findings: Vec<String>,
    /// What is on its way.
    pub under_way: Vec<String>,
    /// Payments that all who were asked agree on.
    pub agreed: u64,
}

fn signed(amount: Amount) -> i64 {
    i64::try_from(amount.tiyn()).unwrap_or(i64::MAX)
}

fn tenge(tiyn: i64) -> String {
    let sign = if tiyn < 0 { "-" } else { "" };
    format!("{sign}{}", super::money(Amount::from_tiyn(tiyn.unsigned_abs())))
}

/// Compares. `register` is the gateway's register of the whole life of this center, by transaction number, if it was asked;
/// `number_of` gives the number of a payment there.
pub fn audit(
    store: &dyn Store,
    journals: &[Counted],
    register: Option<&[Registered]>,
    number_of: &dyn Fn(&PaymentId) -> String,
) -> Result<Audit> {
    let mut audit = Audit { findings: ledger::audit(store)?, ..Audit::default() };
    let mut cash: BTreeMap<KioskNumber, BTreeMap<PaymentId, i64>> =
        journals.iter().map(|journal| (journal.kiosk, journal.cash.clone())).collect();
    let mut register: Option<BTreeMap<&str, &Registered>> =
        register.map(|list| list.iter().map(|entry| (entry.transaction.as_str(), entry)).collect());
    let mut owed = Vec::new();
    store.each_notice(&mut |notice| {
        if notice.taken_at.is_none() {
            owed.push(notice.code);
        }
    })?;
    let taken_back: BTreeSet<PaymentId> =
        store.disputes()?.into_iter().filter(|row| row.state.took_code()).map(|row| row.payment).collect();
    store.each_payment(&mut |row| {
        let settled = matches!(row.state, PaymentState::Settled | PaymentState::Disputed);
        let mut agreed = settled;
        if let Some(counted) = cash.get_mut(&row.payment.kiosk) {
            let journal = counted.remove(&row.payment).unwrap_or(0);
            let center = signed(row.inserted);
            if settled && journal != center {
                agreed = false;
                audit.findings.push(format!(
                    "payment {}: the journal counts {}, the center booked {}",
                    row.payment,
                    tenge(journal),
                    tenge(center)
                ));
            } else if !settled && journal != 0 {
                audit.under_way.push(format!(
                    "payment {}: {} are in the kiosk's outbox",
                    row.payment,
                    tenge(journal)
                ));
            }
        }
        let outcome = row.outcome.as_ref().and_then(Signed::read_unverified);
        let token = outcome.and_then(|outcome| match outcome.verdict {
            Verdict::Accepted { token, .. } => token.read_unverified(),
            Verdict::Held(_) => None,
        });
        if let (Some(register), Some(token)) = (&mut register, token) {
            match register.remove(number_of(&row.payment).as_str()) {
                Some(entry) if entry.code == token.code && entry.fee == token.fee => {
                    let ours = taken_back.contains(&row.payment);
                    if owed.contains(&token.code) {
                        agreed = false;
                        audit.under_way.push(format!("payment {}: a notice is in the outbox", row.payment));
                    } else if entry.refunded != ours {
                        agreed = false;
                        let (here, there) =
                            if ours { ("taken back", "paid") } else { ("paid", "taken back") };
                        audit.findings.push(format!(
                            "payment {}: its code is {here} here and {there} at the gateway",
                            row.payment
                        ));
                    }
                }
                Some(entry) => {
                    agreed = false;
                    audit.findings.push(format!(
                        "payment {}: the center paid {}, the gateway has {} under {}",
                        row.payment,
                        super::money(token.fee),
                        super::money(entry.fee),
                        if entry.code == token.code { "the same code" } else { "another code" }
                    ));
                }
                None if owed.contains(&token.code) => {
                    agreed = false;
                    audit.under_way.push(format!("payment {}: its notice is in the outbox", row.payment));
                }
                None => {
                    agreed = false;
                    audit
                        .findings
                        .push(format!("payment {}: the gateway does not know it as paid", row.payment));
                }
            }
        }
        audit.agreed += u64::from(agreed);
    })?;
    for (payment, journal) in cash.into_values().flatten().filter(|(_, tiyn)| *tiyn != 0) {
        audit.under_way.push(format!(
            "payment {payment}: {} are in the journal, the center has not heard of it",
            tenge(journal)
        ));
    }
    let adopted = store.all_adopted()?;
    for entry in register.into_iter().flatten().map(|(_, entry)| entry) {
        let taken = adopted.iter().find(|row| row.transaction == entry.transaction);
        let same = |row: &&AdoptedRow| (row.code, row.fee) == (entry.code, entry.fee);
        if taken.filter(same).is_some_and(|row| taken_back.contains(&row.payment) == entry.refunded) {
            audit.agreed += 1;
            continue;
        }
        // What was taken back is no money any more, whoever has forgotten it; unless it is booked here.
        if entry.refunded && taken.is_none() {
            continue;
        }
        audit.findings.push(format!(
            "the gateway has payment {} of {} as paid, the center does not know it",
            entry.transaction,
            super::money(entry.fee)
        ));
    }
    Ok(audit)
}
