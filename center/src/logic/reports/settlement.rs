//! Who gets what money, and when: registers of providers and banks, what is paid out, the claim for reimbursement.
//!
//! A fee is owed to its provider from the moment the gateway has the notice of payment. What is withheld for our service is taken
//! from the payout and never added to the payer (that would be a commission, and stands in the signed quote). What was given back
//! is withheld from a later payout, if it had been owed; the fee for the service is not returned with it. What a payer disputes is withheld
//! until it is decided, and paid out if the payment stands. Money moves on the next working day.

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
            // A held balance never was the provider's, nor a code of which the gateway never heard that it is paid.
            Kind::Reversed => entry.was_owed,
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
        if matches!(entry.kind, Kind::Reversed | Kind::GivenBack) && entry.was_owed {
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

/// Tiyn that may be negative, in the words of `write`.
fn with_sign(tiyn: i64, write: fn(Amount) -> String) -> String {
    let amount = write(Amount::from_tiyn(tiyn.unsigned_abs()));
    if tiyn < 0 { format!("-{amount}") } else { amount }
}

/// The claim for reimbursement: notified payments and their fees.
fn claim(payouts: &BTreeMap<String, Payout>) -> (u64, Amount) {
    payouts
        .values()
        .fold((0, Amount::ZERO), |(count, fees), payout| (count + payout.paid.0, fees + payout.paid.1))
}

/// The settlement of a day as text, with the claim for reimbursement: what the gateway's operator asks of this bank.
pub fn text(day: Date, payouts: &BTreeMap<String, Payout>, bank: &str) -> String {
    let mut text = format!(
        "Settlement of {day}\n{:<14}{:>8}{:>16}{:>12}{:>10}{:>14}{:>14}{:>16}  {}\n",
        "provider", "paid", "fees", "withheld", "returned", "sum", "disputed", "payout", "value date"
    );
    for (provider, payout) in payouts {
        let date = payout.value_date.map(|date| date.to_string()).unwrap_or_default();
        let _ = writeln!(
            text,
            "{provider:<14}{:>8}{:>16}{:>12}{:>10}{:>14}{:>14}{:>16}  {date}",
            payout.paid.0,
            money(payout.paid.1),
            money(payout.withheld),
            payout.reversed.0,
            money(payout.reversed.1),
            with_sign(payout.disputed, money),
            with_sign(payout.due(), money),
        );
    }
    let (count, fees) = claim(payouts);
    let _ =
        writeln!(text, "\nReimbursement claim to bank {bank}: {} for {count} notified payments", money(fees));
    text
}

/// The same as CSV: a line for each provider, the claim for reimbursement last.
pub fn csv(payouts: &BTreeMap<String, Payout>, bank: &str) -> String {
    let mut text = String::from("provider,paid,fees,withheld,returned,sum,disputed,payout,value_date\r\n");
    for (provider, payout) in payouts {
        let _ = write!(
            text,
            "{provider},{},{},{},{},{},{},{},{}\r\n",
            payout.paid.0,
            plain(payout.paid.1),
            plain(payout.withheld),
            payout.reversed.0,
            plain(payout.reversed.1),
            with_sign(payout.disputed, plain),
            with_sign(payout.due(), plain),
            payout.value_date.map(|date| format!("{date:?}")).unwrap_or_default(),
        );
    }
    let (count, fees) = claim(payouts);
    let _ = write!(text, "{},{count},{},,,,,,\r\n", field(&format!("claim on {bank}")), plain(fees));
    text
}

/// The payments whose notice the gateway took, of one provider, or with `None` of the whole bank; then their number and fees.
fn notified(entries: &[Entry], provider: Option<Bin>) -> (Vec<&Entry>, u64, Amount) {
    let confirmed = entries.iter().filter(|entry| entry.kind == Kind::Confirmed);
    let rows: Vec<&Entry> = confirmed.filter(|entry| provider.is_none() || entry.payee == provider).collect();
    let (count, fees) = rows.iter().fold((0, Amount::ZERO), |(n, sum), entry| (n + 1, sum + entry.fee));
    (rows, count, fees)
}

/// What a line of the register says of a payment, before its sum.
fn described(entry: &Entry) -> [String; 6] {
    [
        entry.at.local().to_string(),
        entry.payment.kiosk.to_string(),
        entry.payment.to_string(),
        entry.service.as_deref().unwrap_or("-").to_owned(),
        provider(entry.payee),
        entry.code.map(tail).unwrap_or_default(),
    ]
}

/// The register of one provider, or with `None` of the whole bank: every payment whose notice the gateway took, as text.
pub fn register_text(entries: &[Entry], provider: Option<Bin>) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 8]| {
        let [at, kiosk, transaction, service, provider, code, fee, method] = cells;
        let line = format!(
            "{at:<21}{kiosk:<7}{transaction:<30}{service:<26}{provider:<14}{code:<7}{fee:>14}  {method}"
        );
        let _ = writeln!(text, "{}", line.trim_end());
    };
    line(["at", "kiosk", "transaction", "service", "provider", "code", "fee", "method"]);
    let (rows, count, fees) = notified(entries, provider);
    for entry in rows {
        let [at, kiosk, transaction, service, provider, code] = &described(entry);
        let method = super::method_word(entry.method);
        line([at, kiosk, transaction, service, provider, code, &money(entry.fee), method]);
    }
    line(["total", "", &count.to_string(), "", "", "", &money(fees), ""]);
    text
}

/// The same as CSV.
pub fn register_csv(entries: &[Entry], provider: Option<Bin>) -> String {
    let mut text = String::from("at,kiosk,transaction,service,provider,code,fee,method\r\n");
    let (rows, count, fees) = notified(entries, provider);
    for entry in rows {
        let cells = described(entry).map(|cell| field(&cell)).join(",");
        let _ = write!(text, "{cells},{},{}\r\n", plain(entry.fee), super::method_word(entry.method));
    }
    let _ = write!(text, "total,,{count},,,,{},\r\n", plain(fees));
    text
}
