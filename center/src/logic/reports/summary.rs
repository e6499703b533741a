//! Sums of a day, a week or a month, and statistics by service, payee, kiosk, method, day or hour.

use super::{Entry, Kind, field, method_word, money, plain};
use std::{collections::BTreeMap, fmt::Write as _};
use tolem_protocol::Amount;

/// What statistics are broken down by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// The service: the direction of the payment.
    Service,
    /// Who gets the money.
    Payee,
    /// The terminal.
    Kiosk,
    /// The method of payment.
    Method,
    /// The calendar day.
    Day,
    /// The hour of the day.
    Hour,
}

impl By {
    /// All of them, with the words of the command line.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Service, "service"),
        (Self::Payee, "payee"),
        (Self::Kiosk, "kiosk"),
        (Self::Method, "method"),
        (Self::Day, "day"),
        (Self::Hour, "hour"),
    ];

    fn key(self, entry: &Entry) -> String {
        match self {
            Self::Service => entry.service.as_ref().map_or_else(|| "-".into(), ToString::to_string),
            Self::Payee => entry.payee.map_or_else(|| "-".into(), |bin| bin.to_string()),
            Self::Kiosk => entry.payment.kiosk.to_string(),
            Self::Method => method_word(entry.method).into(),
            Self::Day => format!("{:?}", entry.at.date()),
            Self::Hour => {
                let seconds = entry.at.seconds() - entry.at.date().starts_at().seconds();
                format!("{:02}", seconds / 3_600)
            }
        }
    }
}

/// Payments of one key.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Group {
    /// Accepted payments.
    pub count: u64,
    /// What was paid for them, commission and rounding included.
    pub sum: Amount,
    /// Payments that were to be made and are held instead.
    pub declined: u64,
}

impl Group {
    /// The average ticket; nothing without payments.
    pub fn average(&self) -> Amount {
        Amount::from_tiyn(self.sum.tiyn().checked_div(self.count).unwrap_or(0))
    }
}

/// Accepted payments, grouped.
pub fn statistics(entries: &[Entry], by: By) -> BTreeMap<String, Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for entry in entries {
        match entry.kind {
            Kind::Accepted => {
                let group = groups.entry(by.key(entry)).or_default();
                group.count += 1;
                group.sum = group.sum + entry.granted;
            }
            Kind::Declined => groups.entry(by.key(entry)).or_default().declined += 1,
            _ => {}
        }
    }
    groups
}

/// Statistics as text.
pub fn statistics_text(groups: &BTreeMap<String, Group>) -> String {
    let mut text = format!("{:<26}{:>10}{:>18}{:>14}{:>10}\n", "", "payments", "sum", "average", "declined");
    for (key, group) in groups {
        let _ = writeln!(
            text,
            "{key:<26}{:>10}{:>18}{:>14}{:>10}",
            group.count,
            money(group.sum),
            money(group.average()),
            group.declined
        );
    }
    text
}

/// Statistics as CSV.
pub fn statistics_csv(groups: &BTreeMap<String, Group>) -> String {
    let mut text = String::from("key,payments,sum,average,declined\r\n");
    for (key, group) in groups {
        let _ = write!(
            text,
            "{},{},{},{},{}\r\n",
            field(key),
            group.count,
            plain(group.sum),
            plain(group.average()),
            group.declined
        );
    }
    text
}

/// What happened in a period.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Summary {
    /// Accepted payments: number, fees, commission.
    pub accepted: (u64, Amount, Amount),
    /// What was asked for them in all; the rest over fees and commission is rounding.
    pub asked: Amount,
    /// Payments that became held money.
    pub declined: u64,
    /// Held money that came up, remainders included: number and sum.
    pub held: (u64, Amount),
    /// Notices that the gateway took: number and fees.
    pub confirmed: (u64, Amount),
    /// What was given back: number and sum.
    pub reversed: (u64, Amount),
    /// Complaints of payers: number and sum.
    pub disputed: (u64, Amount),
    /// What the acquirer took back: number and sum.
    pub charged_back: (u64, Amount),
    /// Disputes that left the payment as it was: number and sum.
    pub upheld: (u64, Amount),
    /// What was lost to chargebacks: number and sum.
    pub written_off: (u64, Amount),
}

/// Sums the entries of a period up.
pub fn summary(entries: &[Entry]) -> Summary {
    let mut sums = Summary::default();
    for entry in entries {
        match entry.kind {
            Kind::Accepted => {
                let (count, fees, commission) = &mut sums.accepted;
                *count += 1;
                *fees = *fees + entry.fee;
                *commission = *commission + entry.commission;
                sums.asked = sums.asked + entry.granted;
            }
            Kind::Declined => sums.declined += 1,
            Kind::Confirmed => {
                sums.confirmed.0 += 1;
                sums.confirmed.1 = sums.confirmed.1 + entry.fee;
            }
            Kind::Reversed | Kind::GivenBack => count(&mut sums.reversed, entry),
            Kind::Disputed => count(&mut sums.disputed, entry),
            Kind::ChargedBack => count(&mut sums.charged_back, entry),
            Kind::Restored | Kind::Regained => count(&mut sums.upheld, entry),
            Kind::WrittenOff => count(&mut sums.written_off, entry),
            Kind::Held => {}
        }
        let settled = matches!(entry.kind, Kind::Accepted | Kind::Declined | Kind::Held);
        let new_balance = settled || matches!(entry.kind, Kind::GivenBack | Kind::Regained);
        if new_balance && !entry.held.is_zero() {
            sums.held.0 += 1;
            sums.held.1 = sums.held.1 + entry.held;
        }
    }
    sums
}

fn count((number, sum): &mut (u64, Amount), entry: &Entry) {
    *number += 1;
    *sum = *sum + entry.granted;
}

impl Summary {
    fn lines(&self) -> [(&'static str, u64, Amount); 11] {
        let (count, fees, commission) = self.accepted;
        [
            ("payments accepted, as paid", count, self.asked),
            ("  fees in them", count, fees),
            ("  commission in them", count, commission),
            ("payments that became held money", self.declined, Amount::ZERO),
            ("balances that came up", self.held.0, self.held.1),
            ("notices the gateway took, fees", self.confirmed.0, self.confirmed.1),
            ("given back", self.reversed.0, self.reversed.1),
            ("disputed by payers", self.disputed.0, self.disputed.1),
            ("charged back by the acquirer", self.charged_back.0, self.charged_back.1),
            ("disputes that changed nothing", self.upheld.0, self.upheld.1),
            ("lost to chargebacks", self.written_off.0, self.written_off.1),
        ]
    }

    /// As text, under a title.
    pub fn text(&self, title: &str) -> String {
        let mut text = format!("{title}\n");
        for (name, count, sum) in self.lines() {
            let _ = writeln!(text, "{name:<34}{count:>8}{:>18}", money(sum));
        }
        text
    }

    /// As CSV.
    pub fn csv(&self) -> String {
        let mut text = String::from("what,count,sum\r\n");
        for (name, count, sum) in self.lines() {
            let _ = write!(text, "{},{count},{}\r\n", field(name.trim()), plain(sum));
        }
        text
    }
}
