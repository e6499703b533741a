//! Reports: what happened in a period, from the ledger and the outbox, as text for people and CSV for their tools.
//!
//! Everything is computed from what is booked, so a report of an old day is the same tomorrow, and after a restore. No report
//! names a person, and of a code only the last four digits.

pub mod funnel;
pub mod operations;
pub mod settlement;
pub mod summary;
pub mod threeway;

use crate::logic::{
    cards::by_card,
    errands::NoticeKind,
    ledger::{Account, Posting},
    register::AdoptedRow,
    store::{PaymentRow, Result, Store},
};
use std::collections::BTreeSet;
use tolem_protocol::{
    Amount, Bin, KioskNumber, PaymentCode, PaymentId, UtcTime,
    catalogue::ServiceCode,
    messages::{DepositKind, HoldReason, Method, Verdict},
    signed::Signed,
    utc::Date,
};

/// What an entry reports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// The payment was accepted and has its code.
    Accepted,
    /// It was to be paid and is held instead.
    Declined,
    /// Money is held without a wish to pay: a stop, a suspense.
    Held,
    /// The gateway has the notice of payment.
    Confirmed,
    /// A code was given back, or a held balance paid back.
    Reversed,
    /// Its payer complained: withheld from the payee.
    Disputed,
    /// The complaint was unfounded: the payee gets it.
    Restored,
    /// After a complaint: the code was taken back, and the payer gets the money.
    GivenBack,
    /// The acquirer took the money of a card payment from us.
    ChargedBack,
    /// It gave it back.
    Regained,
    /// It did not, and it is our loss.
    WrittenOff,
}

/// One event of a payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When.
    pub at: UtcTime,
    /// Which payment.
    pub payment: PaymentId,
    /// What.
    pub kind: Kind,
    /// What was to be paid, if anything.
    pub service: Option<ServiceCode>,
    /// To whom.
    pub payee: Option<Bin>,
    /// How.
    pub method: Method,
    /// The sum that was asked for.
    pub requested: Amount,
    /// The sum that was granted.
    pub granted: Amount,
    /// The exact fee in it.
    pub fee: Amount,
    /// The commission in it.
    pub commission: Amount,
    /// What is held since.
    pub held: Amount,
    /// The code.
    pub code: Option<PaymentCode>,
    /// Why money is held.
    pub reason: Option<HoldReason>,
    /// Of a fee that goes back: it was owed to its payee, because the gateway had heard that it is paid.
    pub was_owed: bool,
}

/// A span of whole days in Kazakhstan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    /// First moment.
    pub from: UtcTime,
    /// First moment after it.
    pub to: UtcTime,
}

/// A day in seconds.
const DAY_S: i64 = 86_400;

impl Period {
    /// `days` days from `first` on.
    pub fn days(first: Date, days: i64) -> Self {
        let from = first.starts_at();
        Self { from, to: from.plus_seconds(days * DAY_S) }
    }

    /// The week (from Monday) of `day`.
    pub fn week(day: Date) -> Self {
        // 1970-01-01 was a Thursday; noon stands for the day.
        let since_monday = (number_of(day) + 3).rem_euclid(7);
        Self::days(Date::from_days(number_of(day) - since_monday), 7)
    }

    /// The calendar month of `day`.
    pub fn month(day: Date) -> Self {
        let (year, month, _) = day.calendar();
        let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        let first = |(year, month)| Date::from_calendar(year, month, 1).unwrap_or(day);
        Self { from: first((year, month)).starts_at(), to: first(next).starts_at() }
    }

    /// Whether `at` lies in it.
    pub fn has(&self, at: UtcTime) -> bool {
        (self.from..self.to).contains(&at)
    }
}

/// Days since 1970-01-01.
pub(crate) fn number_of(day: Date) -> i64 {
    // A day starts at 19:00 UTC of the day before; half a day later it is that day everywhere in between.
    day.starts_at().plus_seconds(DAY_S / 2).0.div_euclid(DAY_S * 1_000)
}

/// All events in `period`, in order of time.
pub fn entries(store: &dyn Store, period: Period) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut postings = Vec::new();
    store.each_posting(&mut |posting| {
        if period.has(posting.at) {
            postings.push(posting);
        }
    })?;
    let (mut taken_words, mut told) = (Vec::new(), BTreeSet::new());
    store.each_notice(&mut |notice| {
        let Some(at) = notice.taken_at else { return };
        if notice.kind == NoticeKind::Paid {
            told.insert(notice.payment);
        }
        if period.has(at) {
            taken_words.push((notice, at));
        }
    })?;
    let adopted = store.all_adopted()?;
    for posting in postings {
        let taken = adopted.iter().find(|row| row.payment == posting.payment);
        match (posting.kind, taken) {
            // The gateway had its notice, so it was accepted and confirmed.
            ("adopted", Some(row)) => {
                found.push(taken_over(row, posting.at, Kind::Accepted));
                found.push(taken_over(row, posting.at, Kind::Confirmed));
                continue;
            }
            ("replaced", Some(row)) => {
                found.push(taken_over(row, posting.at, Kind::Reversed));
                continue;
            }
            _ => {}
        }
        let row = store.payment(&posting.payment)?;
        let answered = row.as_ref().and_then(|row| settled(row, posting.at));
        // What was taken over has no answer of ours, and can be in dispute all the same.
        let in_dispute = |kind| {
            let entry = answered.clone().or_else(|| Some(taken_over(taken?, posting.at, kind)));
            let was_owed = taken.is_some() || told.contains(&posting.payment);
            entry.map(|entry| Entry { was_owed, ..disputed(entry, &posting, kind) })
        };
        match posting.kind {
            "accepted" | "held" | "recalled" => found.extend(answered),
            "refunded" => {
                let lines = posting.lines.iter();
                let sum = lines
                    .filter(|(account, _)| *account == Account::Held)
                    .map(|(_, tiyn)| *tiyn)
                    .sum::<i64>();
                let sum = Amount::from_tiyn(sum.unsigned_abs());
                let entry = row.map(|row| bare(&row, posting.at, Kind::Reversed));
                found.extend(entry.map(|entry| Entry { requested: sum, granted: sum, ..entry }));
            }
            "disputed" => found.extend(in_dispute(Kind::Disputed)),
            "restored" => found.extend(in_dispute(Kind::Restored)),
            "given-back" => found.extend(in_dispute(Kind::GivenBack)),
            "charged-back" => found.extend(in_dispute(Kind::ChargedBack)),
            "taken-back" => found.extend(in_dispute(Kind::Reversed)),
            "regained" | "released" => found.extend(in_dispute(Kind::Regained)),
            "written-off" => found.extend(in_dispute(Kind::WrittenOff)),
            // A suspense that turned out to be no money never was an operation.
            _ => {}
        }
    }
    for (notice, at) in taken_words {
        let Some(row) = store.payment(&notice.payment)? else { continue };
        let entry = match notice.kind {
            NoticeKind::Paid => {
                let entry = settled(&row, at).unwrap_or_else(|| bare(&row, at, Kind::Confirmed));
                Entry { kind: Kind::Confirmed, ..entry }
            }
            // The fee of a void code was owed to nobody, whatever became of its payment later.
            NoticeKind::Void => bare(&row, at, Kind::Reversed),
            // Its dispute says what came of it.
            NoticeKind::Refund => continue,
        };
        found.push(Entry { code: Some(notice.code), ..entry });
    }
    found.sort_by_key(|entry| (entry.at, entry.payment, entry.kind));
    Ok(found)
}

fn bare(row: &PaymentRow, at: UtcTime, kind: Kind) -> Entry {
    let quote = row.quote.as_ref().and_then(Signed::read_unverified);
    let outcome = row.outcome.as_ref().and_then(Signed::read_unverified);
    let paid = outcome.is_some_and(|outcome| matches!(outcome.verdict, Verdict::Accepted { .. }));
    let card = quote.as_ref().filter(|_| paid).and_then(|quote| by_card(quote, row.inserted));
    Entry {
        at,
        payment: row.payment,
        kind,
        service: quote.as_ref().map(|quote| quote.service.clone()),
        payee: row.payee,
        method: if card.is_some() { Method::Card } else { Method::Cash },
        requested: card.or(quote.as_ref().map(|quote| quote.cash_total)).unwrap_or(row.inserted),
        granted: Amount::ZERO,
        fee: Amount::ZERO,
        commission: Amount::ZERO,
        held: Amount::ZERO,
        code: None,
        reason: None,
        was_owed: false,
    }
}

/// The event of a final answer.
fn settled(row: &PaymentRow, at: UtcTime) -> Option<Entry> {
    let outcome = row.outcome.as_ref()?.read_unverified()?;
    let quote = row.quote.as_ref().and_then(Signed::read_unverified);
    let entry = bare(row, at, Kind::Accepted);
    Some(match outcome.verdict {
        Verdict::Accepted { token, remainder } => {
            let token = token.read_unverified()?;
            Entry {
                granted: entry.requested,
                fee: token.fee,
                commission: quote.map_or(Amount::ZERO, |quote| quote.commission),
                held: remainder.map_or(Amount::ZERO, |balance| balance.amount),
                code: Some(token.code),
                ..entry
            }
        }
        Verdict::Held(balance) => {
            let deposit = row.deposit.as_ref().and_then(Signed::read_unverified);
            let to_pay = deposit.is_some_and(|deposit| deposit.kind == DepositKind::Pay);
            let kind = if to_pay { Kind::Declined } else { Kind::Held };
            Entry { kind, held: balance.amount, reason: Some(balance.reason), ..entry }
        }
    })
}

/// The event of a payment that was taken over from the gateway's register.
fn taken_over(row: &AdoptedRow, at: UtcTime, kind: Kind) -> Entry {
    Entry {
        at,
        payment: row.payment,
        kind,
        service: Some(row.service.clone()),
        payee: row.payee,
        method: row.method,
        requested: row.fee,
        granted: row.fee,
        fee: row.fee,
        commission: Amount::ZERO,
        held: Amount::ZERO,
        code: Some(row.code),
        reason: None,
        was_owed: true,
    }
}

/// The event of a dispute: the sum that moves, with the fee and the code of its payment, which is `entry`.
fn disputed(entry: Entry, posting: &Posting, kind: Kind) -> Entry {
    let sum: i64 = posting.lines.iter().map(|(_, tiyn)| (*tiyn).max(0)).sum();
    let sum = Amount::from_tiyn(sum.unsigned_abs());
    Entry {
        kind,
        requested: sum,
        granted: sum,
        held: if posting.lines.iter().any(|(account, _)| *account == Account::Held) {
            sum
        } else {
            Amount::ZERO
        },
        ..entry
    }
}

/// Which kiosks a report is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// All of them.
    All,
    /// One.
    Kiosk(KioskNumber),
}

impl Scope {
    /// Whether an entry belongs to it.
    pub fn has(self, entry: &Entry) -> bool {
        self.covers(entry.payment.kiosk)
    }

    /// Whether a kiosk belongs to it.
    pub fn covers(self, kiosk: KioskNumber) -> bool {
        match self {
            Self::All => true,
            Self::Kiosk(only) => only == kiosk,
        }
    }
}

/// `1,234.50`: the way the reports write money.
pub(crate) fn money(amount: Amount) -> String {
    let (tenge, tiyn) = (amount.tiyn() / 100, amount.tiyn() % 100);
    let digits = tenge.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text}.{tiyn:02}")
}

/// `1234.50`: the way tools read it.
pub(crate) fn plain(amount: Amount) -> String {
    format!("{}.{:02}", amount.tiyn() / 100, amount.tiyn() % 100)
}

/// A field of CSV (RFC 4180), safe to open in a spreadsheet: what looks like a formula gets an apostrophe in front.
pub(crate) fn field(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// The last four digits of a code.
pub(crate) fn tail(code: PaymentCode) -> String {
    format!("*{:04}", u64::from(code) % 10_000)
}

/// The word of a method.
pub(crate) fn method_word(method: Method) -> &'static str {
    match method {
        Method::Card => "card",
        Method::Cash | Method::Either => "cash",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday_and_months_with_their_first() {
        let day = Date::parse_iso("2026-11-25").unwrap(); // a Wednesday
        let week = Period::week(day);
        assert_eq!(week.from.date(), Date::parse_iso("2026-11-23").unwrap());
        assert_eq!(week.to.date(), Date::parse_iso("2026-11-30").unwrap());
        assert_eq!(Period::week(Date::parse_iso("2026-11-23").unwrap()), week);
        assert_eq!(Period::week(Date::parse_iso("2026-11-29").unwrap()), week);
        let month = Period::month(Date::parse_iso("2026-12-31").unwrap());
        assert_eq!(month.from.date(), Date::parse_iso("2026-12-01").unwrap());
        assert_eq!(month.to.date(), Date::parse_iso("2027-01-01").unwrap());
    }

    #[test]
    fn money_and_fields_are_written_for_people_and_for_tools() {
        for (tiyn, people, tools) in [
            (0, "0.00", "0.00"),
            (5, "0.05", "0.05"),
            (1_580_000, "15,800.00", "15800.00"),
            (123_456_789, "1,234,567.89", "1234567.89"),
        ] {
            assert_eq!(
                (money(Amount::from_tiyn(tiyn)), plain(Amount::from_tiyn(tiyn))),
                (people.into(), tools.into())
            );
        }
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(field("=HYPERLINK()"), "'=HYPERLINK()");
    }
}
