//! Journal records as lines for people and as JSON, one object a line.
//!
//! Nothing personal is in them: sealed IINs, search tags and nonces are left out, and amounts are written as they are on paper.

use crate::store::Reader;
use serde_json::{Map, Value};
use std::io::{self, Write};
use tolem_core::ports::StoreError;
use tolem_protocol::{
    Denomination,
    card::CardStep,
    messages::{Deposit, DepositKind, HeldBalance, Outcome, Quote, Verdict},
    notes::NotePile,
    record::{Fact, Record, RecordError},
    signed::Signed,
};

/// Name and details of a fact.
struct Words {
    name: &'static str,
    details: Vec<(&'static str, String)>,
}

/// Writes all records from `from` on; a record that does not decode is shown as such and does not stop the rest.
pub fn show(reader: &Reader, from: u64, json: bool, out: &mut dyn Write) -> Result<(), StoreError> {
    let mut broken: Option<io::Error> = None;
    reader.records(from, &mut |seq, bytes| {
        let record = Record::from_bytes(bytes);
        let written = if json { writeln!(out, "{}", as_json(seq, &record)) } else { line(seq, &record, out) };
        match written {
            Ok(()) => true,
            Err(error) => {
                broken = Some(error);
                false
            }
        }
    })?;
    match broken {
        // `tolem journal show | head` is no error.
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(StoreError(format!("output: {error}")))
        }
        _ => Ok(()),
    }
}

fn line(seq: u64, record: &Result<Record, RecordError>, out: &mut dyn Write) -> io::Result<()> {
    let record = match record {
        Ok(record) => record,
        Err(error) => return writeln!(out, "{seq:>8}  UNREADABLE: {error}"),
    };
    let Words { name, details } = words(&record.fact);
    let details: Vec<String> = details.iter().map(|(key, value)| format!("{key} {value}")).collect();
    write!(
        out,
        "{seq:>8}  {}  start {:>3} +{:>9.3} s  {name}",
        record.utc.local(),
        record.boot,
        Seconds(record.mono_ms)
    )?;
    if details.is_empty() { writeln!(out) } else { writeln!(out, ": {}", details.join(", ")) }
}

fn as_json(seq: u64, record: &Result<Record, RecordError>) -> Value {
    let mut object = Map::new();
    object.insert("seq".into(), seq.into());
    match record {
        Ok(record) => {
            let Words { name, details } = words(&record.fact);
            object.insert("boot".into(), record.boot.into());
            object.insert("mono_ms".into(), record.mono_ms.into());
            object.insert("utc_ms".into(), record.utc.0.into());
            object.insert("fact".into(), name.into());
            object.extend(details.into_iter().map(|(key, value)| (key.replace(' ', "_"), value.into())));
        }
        Err(error) => {
            object.insert("unreadable".into(), error.to_string().into());
        }
    }
    Value::Object(object)
}

/// Milliseconds shown as seconds without floating point.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        write!(f, "{text:>width$}", width = f.width().unwrap_or(0))
    }
}

fn words(fact: &Fact) -> Words {
    let some = |name, details: Vec<(&'static str, String)>| Words { name, details };
    match fact {
        Fact::Booted { software, nonce: _ } => some("Booted", vec![("software", software.to_string())]),
        Fact::Linked { epoch, center_epoch } => {
            some("Linked", vec![("epoch", epoch.to_string()), ("center epoch", center_epoch.to_string())])
        }
        Fact::AcceptorIdentified { serial, part, bills } => some(
            "AcceptorIdentified",
            vec![("serial", serial.to_string()), ("part", part.to_string()), ("bills", table(bills))],
        ),
        Fact::Started { payment, quote, language, payer: _, payer_tag: _ } => {
            let mut details = vec![("payment", payment.to_string())];
            details.extend(quoted(quote));
            details.push(("language", format!("{language:?}")));
            some("Started", details)
        }
        Fact::StackOrdered { note, payment, denomination, counter } => some(
            "StackOrdered",
            vec![
                ("note", note.to_string()),
                ("value", value(*denomination)),
                ("payment", payment.to_string()),
                ("counter", counter.map_or("none".into(), |counter| counter.to_string())),
            ],
        ),
        Fact::NoteStacked { note, payment, denomination, by } => some(
            "NoteStacked",
            vec![
                ("note", note.to_string()),
                ("value", value(*denomination)),
                ("payment", payment.to_string()),
                ("known by", format!("{by:?}")),
            ],
        ),
        Fact::NoteReturned { note } => some("NoteReturned", vec![("note", note.to_string())]),
        Fact::NoteInDoubt { note, payment, denomination, doubt } => some(
            "NoteInDoubt",
            vec![
                ("note", note.to_string()),
                ("value", value(*denomination)),
                ("payment", payment.to_string()),
                ("why", format!("{doubt:?}")),
            ],
        ),
        Fact::CommitRequested { deposit } => some("CommitRequested", deposited(deposit)),
        Fact::HoldRequested { deposit } => some("HoldRequested", deposited(deposit)),
        Fact::AccountLearned { deposit } => some("AccountLearned", deposited(deposit)),
        Fact::Settled { outcome } => some("Settled", settled(outcome)),
        Fact::PrintOrdered { print, payment, paper, copy } => some(
            "PrintOrdered",
            vec![
                ("print", print.to_string()),
                ("paper", format!("{paper:?}")),
                ("copy", copy.to_string()),
                ("payment", payment.to_string()),
            ],
        ),
        Fact::Printed { print } => some("Printed", vec![("print", print.to_string())]),
        Fact::PrintFailed { print, fault } => {
            some("PrintFailed", vec![("print", print.to_string()), ("why", format!("{fault:?}"))])
        }
        Fact::Finished { payment, ending } => {
            some("Finished", vec![("payment", payment.to_string()), ("ending", format!("{ending:?}"))])
        }
        Fact::Resumed { payment } => some("Resumed", vec![("payment", payment.to_string())]),
        Fact::Cosigned { size, line } => {
            let witness = line.split(' ').nth(1).unwrap_or("?");
            some("Cosigned", vec![("records", size.to_string()), ("by", witness.into())])
        }
        Fact::CassetteRemoved(out) => {
            some("CassetteRemoved", vec![("now", if *out { "out" } else { "in" }.into())])
        }
        Fact::Opened { part, open } => some(
            "Opened",
            vec![("part", part.to_string()), ("now", if *open { "open" } else { "closed" }.into())],
        ),
        Fact::FaultChanged { code, present } => some(
            "FaultChanged",
            vec![("code", code.to_string()), ("now", if *present { "present" } else { "gone" }.into())],
        ),
        Fact::CheatReported => some("CheatReported", Vec::new()),
        Fact::AuthorizeSent { deposit, card } => {
            let mut details = deposited(deposit);
            let tail: String = card.last_four.iter().map(ToString::to_string).collect();
            details.push(("card", format!("*{tail} {}", card.label)));
            details.push(("sum", card.amount.to_string()));
            details.push(("pin", if card.pin { "entered" } else { "none" }.into()));
            some("AuthorizeSent", details)
        }
        Fact::Card { payment, step } => {
            let payment = ("payment", payment.to_string());
            match step {
                CardStep::Authorized { approval, .. } => some(
                    "CardAuthorized",
                    vec![payment, ("approval", String::from_utf8_lossy(approval).into_owned())],
                ),
                CardStep::Declined(reason) => {
                    some("CardDeclined", vec![payment, ("why", format!("{reason:?}"))])
                }
                CardStep::ReversalOwed(why) => {
                    some("ReversalOwed", vec![payment, ("why", format!("{why:?}"))])
                }
                CardStep::ReversalAcknowledged => some("ReversalAcknowledged", vec![payment]),
                CardStep::ConfirmOwed => some("ConfirmOwed", vec![payment]),
                CardStep::Confirmed => some("CardConfirmed", vec![payment]),
            }
        }
        Fact::CardMoved { payment, moved } => {
            let mut details = vec![("to", format!("{moved:?}"))];
            details.extend(payment.map(|payment| ("payment", payment.to_string())));
            some("CardMoved", details)
        }
        Fact::PinKeyUsed { serial } => {
            let serial: String = serial.iter().map(|byte| format!("{byte:02X}")).collect();
            some("PinKeyUsed", vec![("serial", serial)])
        }
        Fact::NoteMoved { from, to, denomination } => some(
            "NoteMoved",
            vec![
                ("from", from.to_string()),
                ("to", to.to_string()),
                ("denomination", denomination.0.to_string()),
            ],
        ),
    }
}

fn quoted(quote: &Signed<Quote>) -> Vec<(&'static str, String)> {
    match quote.read_unverified() {
        Some(quote) => vec![
            ("service", quote.service.to_string()),
            ("fee", quote.fee.to_string()),
            ("in cash", quote.cash_total.to_string()),
        ],
        None => vec![("quote", "unreadable".into())],
    }
}

fn deposited(deposit: &Signed<Deposit>) -> Vec<(&'static str, String)> {
    let Some(deposit) = deposit.read_unverified() else { return vec![("deposit", "unreadable".into())] };
    let asked = match deposit.kind {
        DepositKind::Pay => "pay".into(),
        DepositKind::Hold(reason) => format!("hold ({reason:?})"),
    };
    vec![("payment", deposit.payment.to_string()), ("asked", asked), ("notes", pile(&deposit.notes))]
}

fn settled(outcome: &Signed<Outcome>) -> Vec<(&'static str, String)> {
    let Some(outcome) = outcome.read_unverified() else { return vec![("outcome", "unreadable".into())] };
    let mut details = vec![("payment", outcome.payment.to_string())];
    match outcome.verdict {
        Verdict::Accepted { token, remainder } => {
            let code = token.read_unverified().map_or("unreadable".into(), |token| token.code.to_string());
            details.push(("code", code));
            details.extend(remainder.map(|held| ("left over", balance(&held))));
        }
        Verdict::Held(held) => details.push(("held", balance(&held))),
    }
    details
}

fn balance(held: &HeldBalance) -> String {
    format!("{} as {} ({:?})", held.amount, held.number, held.reason)
}

fn pile(notes: &NotePile) -> String {
    let counts: Vec<String> =
        notes.iter().map(|(note, count)| format!("{count} x {}", value(note))).collect();
    if counts.is_empty() { "none".into() } else { counts.join(" + ") }
}

fn table(bills: &[(u8, Denomination)]) -> String {
    let bills: Vec<String> =
        bills.iter().map(|(index, note)| format!("{index} = {}", value(*note))).collect();
    bills.join(" + ")
}

fn value(note: Denomination) -> String {
    note.amount().to_string()
}
