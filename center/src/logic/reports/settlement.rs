//! Who gets what money, and when: registers of providers and banks, what is paid out, the claim for reimbursement.
//!
//! A fee is owed to its provider from the moment the gateway has the notice of payment. What is withheld for our service is taken
//! from the payout and never added to the payer (that would be a commission, and stands in the signed quote). What was given back
//! is withheld from a later payout; the fee for the service is not returned with it. What a payer disputes is withheld until it is decided, and
//! paid out if the payment stands. Money moves on the next working day.

use super::{Entry, Kind, field, money, number_of, plain, tail};
use std::{collections::BTreeMap, collections::BTreeSet, fmt::Write as _};
use tolem_protocol::{Amount, Bin, utc::Date};

/// How payouts are computed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Terms {
    /// Withheld from each fee, in thousandths.
    pub withheld_thousandths: u32,
    /// Least that is withheld from a payment, if anything is.
    pub withheld_least: Amount,
    /// Days on which banks are closed beside Saturdays and Sundays.
    pub holidays: BTreeSet<i64>,
}

impl Terms {
    /// Makes `day` a holiday.
    pub fn close(&mut self, day: Date) {
        self.holidays.insert(number_of(day));
    }

    /// What is withheld from one fee, never more than the fee.
    pub fn withheld(&self, fee: Amount) -> Amount {
        if self.withheld_thousandths == 0 {
            return Amount::ZERO;
        }
        let part =
            fee.tiyn().saturating_mul(u64::from(self.withheld_thousandths)).saturating_add(500) / 1_000;
        Amount::from_tiyn(part).max(self.withheld_least).min(fee)
    }

    /// The next working day after `day`: when its money moves.
    pub fn value_date(&self, day: Date) -> Date {
        let mut next = number_of(day) + 1;
        // 1970-01-01 was a Thursday: Saturday is 2, Sunday 3 days later.
        while matches!(next.rem_euclid(7), 2 | 3) || self.holidays.contains(&next) {
            next += 1;
        }
        Date::from_days(next)
    }
}

/// What one provider is paid for one day.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Payout {
    /// Notified payments and their fees.
    pub paid: (u64, Amount),
    /// What is withheld for the service.
    pub withheld: Amount,
    /// What was given back on this day, withheld too.
    pub reversed: (u64, Amount),
    /// What was newly disputed on this day less what was decided, in tiyn: withheld, too.
    pub disputed: i64,
    /// When the money moves.
    pub value_date: Option<Date>,
}

impl Payout {
    /// What is paid out, in tiyn; negative if more was given back than came in: then it is withheld from the next payouts.
    pub fn due(&self) -> i64 {
        tiyn(self.paid.1) - tiyn(self.withheld) - tiyn(self.reversed.1) - self.disputed
    }
}

fn tiyn(amount: Amount) -> i64 {
    i64::try_from(amount.tiyn()).unwrap_or(i64::MAX)
}

/// Payouts per provider of a day's entries.
pub fn payouts(entries: &[Entry], day: Date, terms: &Terms) -> BTreeMap<String, Payout> {
    let mut payouts: BTreeMap<String, Payout> = BTreeMap::new();
    for entry in entries {
        let concerns = match entry.kind {
            // A code that was given back; a held balance never was the provider's.
            Kind::Reversed => entry.code.is_some(),
            Kind::Confirmed | Kind::GivenBack | Kind::Disputed | Kind::Restored => true,
            // The acquirer's money is ours until the code is taken back.
            Kind::Accepted
            | Kind::Declined
            | Kind::Held
            | Kind::ChargedBack
            | Kind::Regained
            | Kind::WrittenOff => false,
        };
        if !concerns {
            continue;
        }
        let payout = payouts.entry(provider(entry.payee)).or_default();
        payout.value_date = Some(terms.value_date(day));
        if entry.kind == Kind::Confirmed {
            payout.paid.0 += 1;
            payout.paid.1 = payout.paid.1 + entry.fee;
            payout.withheld = payout.withheld + terms.withheld(entry.fee);
        }
        if matches!(entry.kind, Kind::Reversed | Kind::GivenBack) {
            payout.reversed.0 += 1;
            payout.reversed.1 = payout.reversed.1 + entry.fee;
        }
        match entry.kind {
            Kind::Disputed => payout.disputed += tiyn(entry.fee),
            Kind::Restored | Kind::GivenBack => payout.disputed -= tiyn(entry.fee),
            _ => {}
        }
    }
    payouts
}

fn provider(payee: Option<Bin>) -> String {
    payee.map_or_else(|| "unassigned".into(), |bin| bin.to_string())
}

fn signed(tiyn: i64) -> String {
    let amount = money(Amount::from_tiyn(tiyn.unsigned_abs()));
    if tiyn < 0 { format!("-{amount}") } else { amount }
}

/// The settlement of a day as text, with the claim for reimbursement: what the gateway's operator asks of this bank.
pub fn text(day: Date, payouts: &BTreeMap<String, Payout>, bank: &str) -> String {
    let mut text = format!(
        "Settlement of {day}\n{:<14}{:>8}{:>16}{:>12}{:>10}{:>14}{:>14}{:>16}  {}\n",
        "provider", "paid", "fees", "withheld", "returned", "sum", "disputed", "payout", "value date"
    );
    let mut claim = (0, Amount::ZERO);
    for (provider, payout) in payouts {
        claim = (claim.0 + payout.paid.0, claim.1 + payout.paid.1);
        let date = payout.value_date.map(|date| date.to_string()).unwrap_or_default();
        let _ = writeln!(
            text,
            "{provider:<14}{:>8}{:>16}{:>12}{:>10}{:>14}{:>14}{:>16}  {date}",
            payout.paid.0,
            money(payout.paid.1),
            money(payout.withheld),
            payout.reversed.0,
            money(payout.reversed.1),
            signed(payout.disputed),
            signed(payout.due()),
        );
    }
    let _ = writeln!(
        text,
        "\nReimbursement claim to bank {bank}: {} for {} notified payments",
        money(claim.1),
        claim.0
    );
    text
}

/// The register of one provider, or with `None` of the whole bank: every payment whose notice the gateway took, as CSV.
pub fn register(entries: &[Entry], provider: Option<Bin>) -> String {
    let mut text = String::from("at,kiosk,transaction,service,provider,code,fee,method\r\n");
    let mut total = (0u64, Amount::ZERO);
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Confirmed) {
        if provider.is_some() && entry.payee != provider {
            continue;
        }
        total = (total.0 + 1, total.1 + entry.fee);
        let _ = write!(
            text,
            "{},{},{},{},{},{},{},{}\r\n",
            entry.at.local(),
            entry.payment.kiosk,
            entry.payment,
            field(entry.service.as_deref().unwrap_or("-")),
            self::provider(entry.payee),
            entry.code.map(tail).unwrap_or_default(),
            plain(entry.fee),
            super::method_word(entry.method),
        );
    }
    let _ = write!(text, "total,,{},,,,{},\r\n", total.0, plain(total.1));
    text
}
