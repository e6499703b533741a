//! What the acquirer's clearing says about money that it takes back from us, and may give back later.
//!
//! It comes as a file ([`parse`]): card schemes pass chargebacks on in clearing, days after the payment, and an acquirer hands its merchants a list.
//! A line names the payment as the authorisation did: terminal (field 41), trace number (11) and time (7); no card number is needed or kept.

use super::{Cause, DisputeRow, DisputeState, Paid};
use crate::logic::{
    Center, Moment,
    acquirer::{CardRow, Standing},
    ledger::Account,
    register::AdoptedRow,
    store::{Result, Store},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use tolem_protocol::{Amount, PaymentId, UtcTime};

/// The first line of a file.
pub const HEAD: &str = "case,move,terminal,trace,sent,amount_tiyn,reason";
/// Lines in one file; a request stays readable.
pub const MOST_LINES: usize = 1_000;

/// Which way the money goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Move {
    /// The acquirer takes it from us.
    Taken,
    /// It gives it back: our answer was accepted.
    Returned,
}

/// One line of the acquirer's file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Chargeback {
    /// The acquirer's number of the case: up to 32 letters, digits, `-`, `.` and `/`.
    pub case: String,
    /// Which way the money goes.
    pub way: Move,
    /// The terminal as the acquirer calls it.
    pub terminal: [u8; 8],
    /// Trace number of the authorisation, six digits.
    pub trace: u32,
    /// Its time: month, day, hour, minute, second, UTC.
    pub sent: [u8; 10],
    /// How much.
    pub amount: Amount,
    /// Why, as the acquirer says, at most 80 letters.
    pub reason: String,
}

impl fmt::Display for Chargeback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let way = match self.way {
            Move::Taken => "takes",
            Move::Returned => "gives back",
        };
        write!(
            f,
            "case {} {way} {}: terminal {}, trace {:06}, sent {} ({})",
            self.case,
            self.amount,
            text(&self.terminal),
            self.trace,
            text(&self.sent),
            self.reason
        )
    }
}

/// What is wrong with a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileFault {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: &'static str,
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fault)
    }
}

impl std::error::Error for FileFault {}

/// Reads a file. Nothing of it is taken if a line is wrong.
///
/// # Errors
/// Names the line.
pub fn parse(text: &str) -> std::result::Result<Vec<Chargeback>, FileFault> {
    let mut lines = text.lines().map(|line| line.trim_end_matches('\r')).enumerate();
    let fault = |line: usize, fault| FileFault { line: line + 1, fault };
    if lines.next().is_none_or(|(_, head)| head != HEAD) {
        return Err(fault(0, "the first line must be: case,move,terminal,trace,sent,amount_tiyn,reason"));
    }
    let mut read: Vec<Chargeback> = Vec::new();
    for (number, line) in lines {
        if line.is_empty() {
            continue;
        }
        let chargeback = chargeback(line).map_err(|what| fault(number, what))?;
        if read.iter().any(|other| other.case == chargeback.case && other.way == chargeback.way) {
            return Err(fault(number, "this case is in the file already"));
        }
        if read.len() == MOST_LINES {
            return Err(fault(number, "more than 1000 lines; divide the file"));
        }
        read.push(chargeback);
    }
    Ok(read)
}

fn chargeback(line: &str) -> std::result::Result<Chargeback, &'static str> {
    let fields: Vec<&str> = line.splitn(7, ',').collect();
    let [case, way, terminal, trace, sent, amount, reason] = fields[..] else {
        return Err("seven fields with commas between them are needed");
    };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-./".contains(&byte);
    if !(1..=32).contains(&case.len()) || !case.bytes().all(named) {
        return Err("case: 1 to 32 letters, digits, - . or /");
    }
    let way = match way {
        "taken" => Move::Taken,
        "returned" => Move::Returned,
        _ => return Err("move: taken or returned"),
    };
    let printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if terminal.len() > 8 || terminal.is_empty() || !terminal.bytes().all(printable) {
        return Err("terminal: 1 to 8 letters or digits");
    }
    let mut padded = [b' '; 8];
    padded[..terminal.len()].copy_from_slice(terminal.as_bytes());
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(trace, 6) {
        return Err("trace: six digits");
    }
    let sent = <[u8; 10]>::try_from(sent.as_bytes()).ok().filter(|_| digits(sent, 10));
    let plain = amount.bytes().all(|byte| byte.is_ascii_digit());
    let sum = amount
        .parse()
        .ok()
        .map(Amount::from_tiyn)
        .filter(|sum| plain && !sum.is_zero() && *sum <= Amount::MAX);
    let clean = !reason.is_empty() && reason.chars().count() <= 80 && !reason.chars().any(char::is_control);
    Ok(Chargeback {
        case: case.to_owned(),
        way,
        terminal: padded,
        trace: trace.parse().map_err(|_| "trace: six digits")?,
        sent: sent.ok_or("sent: ten digits, MMDDhhmmss in UTC")?,
        amount: sum.ok_or("amount_tiyn: a whole number of tiyn above 0")?,
        reason: Some(reason.to_owned()).filter(|_| clean).ok_or("reason: 1 to 80 letters")?,
    })
}

/// Whether a line of the acquirer's file can be booked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fits {
    /// It can.
    Yes,
    /// It is booked.
    Known,
    /// It cannot, for this reason.
    No(String),
}

fn tiyn(amount: Amount) -> i64 {
    i64::try_from(amount.tiyn()).expect("invariant: an amount is at most Amount::MAX")
}

impl Center {
    /// Whether `line` can be booked now.
    pub fn chargeback_fits(&self, store: &dyn Store, line: &Chargeback) -> Result<Fits> {
        let no = |why: &str| Ok(Fits::No(why.to_owned()));
        let case = store.disputes()?.into_iter().find(|row| row.case == line.case);
        let Some(card) = card_of(store, line)? else {
            return no("no payment of ours has this terminal, trace number and time");
        };
        if let Some(row) = &case
            && (row.payment != card.payment || row.amount != line.amount)
        {
            return Ok(Fits::No(format!(
                "the same case is dispute {} over {} about payment {}",
                row.number, row.amount, row.payment
            )));
        }
        match (line.way, case.map(|row| (row.number, row.state))) {
            (Move::Taken, Some(_)) => Ok(Fits::Known),
            (Move::Taken, None) => {
                let taken = matches!(card.standing, Standing::Confirming | Standing::Confirmed);
                if !taken || self.paid(store, &card.payment)?.is_none() {
                    return no("this payment was never taken from the card");
                }
                if line.amount > card.amount {
                    return no("it is more than was paid");
                }
                let open = store.disputes_of(&card.payment)?.into_iter().find(|row| row.state.is_open());
                Ok(open.map_or(Fits::Yes, |row| {
                    Fits::No(format!("dispute {} about the payment is open: decide it first", row.number))
                }))
            }
            (Move::Returned, None) => no("this case is unknown: the line that took the money comes first"),
            (Move::Returned, Some((number, DisputeState::Returning))) => Ok(Fits::No(format!(
                "the gateway is being asked to take the code of dispute {number} back: again when it has answered"
            ))),
            (Move::Returned, Some((_, DisputeState::Stands | DisputeState::Released))) => Ok(Fits::Known),
            (Move::Returned, Some((_, DisputeState::Open | DisputeState::Returned | DisputeState::Lost))) => {
                Ok(Fits::Yes)
            }
        }
    }

    /// Books a line that fits.
    pub(in crate::logic) fn take_chargeback(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        line: &Chargeback,
    ) -> Result<Option<DisputeRow>> {
        let Some(card) = card_of(store, line)? else { return Ok(None) };
        let Some(paid) = self.paid(store, &card.payment)? else { return Ok(None) };
        let (payment, sum) = (card.payment, tiyn(line.amount));
        if line.way == Move::Taken {
            return self
                .charged_back(store, at.now, &paid, line.amount, (&line.case, &line.reason))
                .map(Some);
        }
        let case = store.disputes_of(&payment)?.into_iter().find(|row| row.case == line.case);
        let Some(row) = case else { return Ok(None) };
        let (kind, from, state) = match row.state {
            DisputeState::Open => ("regained", Account::Disputed, DisputeState::Stands),
            DisputeState::Lost => ("regained", Account::OwnLoss, DisputeState::Stands),
            DisputeState::Returned => ("released", Account::Held, DisputeState::Released),
            DisputeState::Returning | DisputeState::Stands | DisputeState::Released => return Ok(None),
        };
        self.book_dispute(store, at.now, payment, kind, vec![(Account::Cards, sum), (from, -sum)])?;
        if state == DisputeState::Released {
            self.hold_disputed(store, at, (&row, &paid))?;
        }
        self.set_dispute(store, at.now, &row, state).map(Some)
    }
}

impl Center {
    /// The acquirer has taken `amount` of a payment back.
    fn charged_back(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        paid: &Paid,
        amount: Amount,
        (case, reason): (&str, &str),
    ) -> Result<DisputeRow> {
        let (payment, sum) = (paid.payment, tiyn(amount));
        let lines = vec![(Account::Cards, -sum), (Account::Disputed, sum)];
        self.book_dispute(store, now, payment, "charged-back", lines)?;
        let taken_before = store.disputes_of(&payment)?.iter().any(|row| row.state.took_code());
        let what = (payment, Cause::Chargeback, amount);
        let row = self.open_dispute(store, now, what, (case, reason))?;
        // A part of the sum leaves the citizen the code; and a code is taken back once. Without its order nobody here can ask for it.
        let whole = amount == paid.total && !taken_before && paid.has_order;
        if whole { self.ask_for_code(store, now, &row, paid.code) } else { Ok(row) }
    }

    /// The acquirer does not pay a card payment whose code is out, two people say: as if it had taken all of it back.
    pub(in crate::logic) fn not_paid(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        payment: &PaymentId,
        why: &str,
    ) -> Result<Option<DisputeRow>> {
        let Some(paid) = self.paid(store, payment)? else { return Ok(None) };
        let case = format!("not-paid-{payment}");
        self.charged_back(store, at.now, &paid, paid.total, (&case, why.trim())).map(Some)
    }

    /// The deposit of a payment has taken the place of what the gateway's register knew: its fee, under an id of which half a nonce is missing,
    /// maybe. What is in dispute is all of the payment now, the commission too.
    pub(in crate::logic) fn dispute_all_of(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        (payment, adopted): (&PaymentId, &AdoptedRow),
    ) -> Result<()> {
        let (Some(paid), before) = (self.paid(store, payment)?, Paid::of_register(adopted, None)) else {
            return Ok(());
        };
        for row in store.disputes_of(&adopted.payment)? {
            if let Some(lines) = charged(&row, &before) {
                let lines = lines.into_iter().map(|(account, tiyn)| (account, -tiyn)).collect();
                self.book_dispute(store, now, adopted.payment, "regained", lines)?;
            }
            let row = DisputeRow { payment: *payment, amount: paid.total, ..row };
            if let Some(lines) = charged(&row, &paid) {
                self.book_dispute(store, now, *payment, "charged-back", lines)?;
            }
            self.set_dispute(store, now, &row, row.state)?;
        }
        Ok(())
    }
}

/// What is booked for a chargeback of all of a payment as it stands; `None` if nothing is, any more.
fn charged(row: &DisputeRow, paid: &Paid) -> Option<Vec<(Account, i64)>> {
    let mut lines = match row.state {
        DisputeState::Open | DisputeState::Returning => vec![(Account::Disputed, tiyn(paid.total))],
        DisputeState::Lost => vec![(Account::OwnLoss, tiyn(paid.total))],
        DisputeState::Returned => paid.shares(),
        DisputeState::Stands | DisputeState::Released => return None,
    };
    lines.push((Account::Cards, -tiyn(paid.total)));
    Some(lines)
}

/// The payment that a line names; of two a year apart the newer one.
fn card_of(store: &dyn Store, line: &Chargeback) -> Result<Option<CardRow>> {
    let rows = store.cards_named(&line.terminal, line.trace)?;
    Ok(rows.into_iter().rev().find(|row| row.request.sent_digits() == line.sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "CB-1,taken,KSK42,000123,1126120000,432500,10.4 fraud, card absent";

    #[test]
    fn a_file_is_read_line_by_line_or_not_at_all() {
        let text = format!("{HEAD}\r\n{GOOD}\r\n\r\n{}\r\n", GOOD.replace("taken", "returned"));
        let read = parse(&text).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(
            read[0].to_string(),
            "case CB-1 takes 4325.00₸: terminal KSK42   , trace 000123, sent 1126120000 (10.4 fraud, card absent)"
                .replace("4325.00₸", &Amount::from_tenge(4_325).to_string())
        );
        for (spoiled, fault) in [
            (GOOD.replace("CB-1", "CB 1"), "case"),
            (GOOD.replace("taken", "took"), "move"),
            (GOOD.replace("KSK42", "KSK000042"), "terminal"),
            (GOOD.replace("000123", "123"), "trace"),
            (GOOD.replace("000123", "00012a"), "trace"),
            (GOOD.replace("1126120000", "112612000"), "sent"),
            (GOOD.replace("432500", "0"), "amount_tiyn"),
            (GOOD.replace("432500", "+4"), "amount_tiyn"),
            (GOOD.replace("432500", "18446744073709551615"), "amount_tiyn"),
            (GOOD.replace("10.4 fraud, card absent", ""), "reason"),
            ("CB-1,taken".to_owned(), "seven fields"),
        ] {
            let found = parse(&format!("{HEAD}\n{spoiled}\n")).unwrap_err();
            assert!(found.line == 2 && found.fault.starts_with(fault), "{spoiled}: {found}");
        }
        assert!(parse(&format!("{HEAD}\n{GOOD}\n{GOOD}\n")).unwrap_err().fault.contains("already"));
        assert_eq!(parse("").unwrap_err().line, 1);
        assert_eq!(parse(GOOD).unwrap_err().line, 1);
    }
}
