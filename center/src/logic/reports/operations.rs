//! The daily operations report of one terminal: a row for each authorisation (A), confirmation (F) and reversal (R), and for a complaint (D),
//! a chargeback (C), and a dispute that left the payment as it was (U).
//!
//! Columns, types and the footer follow the sample in a public presentation of Processing.kz (2013): an open authorisation has
//! its A alone, a refused one is `Decline` with 0.00 and no authorisation code, and "Total transactions" counts distinct
//! numbers, not rows. The report is dated the day after its rows. The byte layout is our own.

use super::{Entry, Kind, field, money, plain, tail};
use std::{collections::BTreeSet, fmt::Write as _};
use tolem_protocol::{Amount, UtcTime, messages::Method, utc::Date};

/// The terminal in the head of the report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terminal {
    /// Its number, written with sixteen digits.
    pub number: u64,
    /// Whose it is.
    pub name: String,
    /// Where.
    pub city: String,
    /// Country, two letters.
    pub country: String,
}

/// One row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// When.
    pub at: UtcTime,
    /// The customer's number at this center.
    pub customer: String,
    /// The customer's number at the bank.
    pub bank_customer: String,
    /// The sum asked for.
    pub requested: Amount,
    /// The sum granted.
    pub granted: Amount,
    /// `A`, `F` or `R`; `D`, `C` and `U` for disputes.
    pub kind: char,
    /// `ok` or `Decline`.
    pub response: &'static str,
    /// Authorisation code; empty for a decline.
    pub auth_code: String,
    /// Number of the transaction at this center.
    pub number: u64,
}

/// The row of an event; `None` for money that was only held.
pub fn row(entry: &Entry) -> Option<Row> {
    let (kind, response) = match entry.kind {
        Kind::Accepted => ('A', "ok"),
        Kind::Declined => ('A', "Decline"),
        Kind::Confirmed => ('F', "ok"),
        Kind::Reversed | Kind::GivenBack => ('R', "ok"),
        Kind::Disputed => ('D', "ok"),
        Kind::ChargedBack => ('C', "ok"),
        // A dispute ended for the payment.
        Kind::Restored | Kind::Regained => ('U', "ok"),
        Kind::Held | Kind::WrittenOff => return None,
    };
    let auth_code = match (entry.kind, entry.method) {
        (Kind::Declined, _) => "",
        (_, Method::Card) => "CARD",
        (_, Method::Cash | Method::Either) => "CASH",
    };
    Some(Row {
        at: entry.at,
        customer: format!("{:#}", entry.payment.claim_number()),
        bank_customer: entry.code.map(tail).unwrap_or_default(),
        requested: entry.requested,
        granted: entry.granted,
        kind,
        response,
        auth_code: auth_code.to_owned(),
        number: entry.payment.number,
    })
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// `11-July-2012`.
fn long_date(day: Date) -> String {
    let (year, month, day) = day.calendar();
    format!("{day}-{}-{year}", MONTHS[usize::from(month - 1) % 12])
}

/// `7/10/2012 16:42:19`, in Kazakhstan.
fn moment(at: UtcTime) -> String {
    let day = at.date();
    let (year, month, number) = day.calendar();
    let seconds = at.seconds() - day.starts_at().seconds();
    format!("{month}/{number}/{year} {:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

const HEADS: [&str; 9] = [
    "Date Time",
    "Customer No (Center)",
    "Customer No (Bank)",
    "Tran amount (req)",
    "Tran amount (resp)",
    "Type",
    "Response",
    "Auth Code",
    "Trans No",
];

fn distinct(rows: &[Row]) -> usize {
    rows.iter().map(|row| row.number).collect::<BTreeSet<_>>().len()
}

/// The report as text. `dated` is the day of the report, normally the one after its rows.
pub fn text(terminal: &Terminal, dated: Date, rows: &[Row]) -> String {
    let mut text = format!(
        "Local DateTime By Trans : {}\n{:016}  {}  {}  {}\n\n",
        long_date(dated),
        terminal.number,
        terminal.name,
        terminal.city,
        terminal.country
    );
    let mut line = |cells: [&str; 9]| {
        let [at, customer, bank, requested, granted, kind, response, auth, number] = cells;
        let line = format!(
            "{at:<20}{customer:<22}{bank:<20}{requested:>18}{granted:>20}  {kind:<6}{response:<10}{auth:<11}{number:>8}"
        );
        let _ = writeln!(text, "{}", line.trim_end());
    };
    line(HEADS);
    for row in rows {
        line([
            &moment(row.at),
            &row.customer,
            &row.bank_customer,
            &money(row.requested),
            &money(row.granted),
            &row.kind.to_string(),
            row.response,
            &row.auth_code,
            &row.number.to_string(),
        ]);
    }
    let _ = writeln!(text, "\nTotal transactions: {}", distinct(rows));
    text
}

/// The same as CSV: one line per row, the footer left to the reader's own counting.
pub fn csv(terminal: &Terminal, rows: &[Row]) -> String {
    let mut text = format!("Terminal,{}\r\n", HEADS.join(","));
    for row in rows {
        let cells = [
            format!("{:016}", terminal.number),
            moment(row.at),
            row.customer.clone(),
            row.bank_customer.clone(),
            plain(row.requested),
            plain(row.granted),
            row.kind.to_string(),
            row.response.to_owned(),
            row.auth_code.clone(),
            row.number.to_string(),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| field(cell)).collect();
        let _ = write!(text, "{}\r\n", cells.join(","));
    }
    text
}
