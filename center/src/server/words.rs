//! One line for people about a message: no IIN, no name, and of codes and numbers only the last four digits.

use std::fmt::Display;
use tolem_protocol::{
    card::CardAnswer,
    messages::{ClaimAnswer, PayerCheck, Request, Response, Verdict},
};

fn tail(number: impl Into<u64>) -> String {
    format!("…{:04}", number.into() % 10_000)
}

fn verdict_line(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accepted { token, remainder } => {
            let code = token.read_unverified().map_or_else(String::new, |token| tail(token.code));
            let rest =
                remainder.map_or_else(String::new, |balance| format!(", remainder {:?}", balance.amount));
            format!("accepted, code {code}{rest}")
        }
        Verdict::Held(balance) => {
            format!("held {:?} ({:?}), balance {}", balance.amount, balance.reason, tail(balance.number))
        }
    }
}

/// What a kiosk asks.
pub fn request(request: &Request) -> String {
    match request {
        Request::Hello(hello) => format!(
            "Hello {} epoch {} journal {} records",
            printable(&hello.software),
            hello.epoch,
            hello.journal_size
        ),
        Request::Catalogue => "Catalogue".into(),
        Request::Service(index) => format!("Service {index}"),
        Request::CheckPayer(_) => "CheckPayer ••••".into(),
        Request::Quote { payment, service, balance, method, .. } => {
            let with = balance.map_or_else(String::new, |number| format!(" with balance {}", tail(number)));
            format!("Quote {payment} {} {method:?}{with}", printable(service))
        }
        Request::Commit(deposit) | Request::Hold(deposit) => match deposit.read_unverified() {
            Some(deposit) => format!(
                "{} {} {} notes {:?}",
                if matches!(request, Request::Commit(_)) { "Commit" } else { "Hold" },
                deposit.payment,
                deposit.notes.count(),
                deposit.notes.total().unwrap_or_default()
            ),
            None => "a deposit that cannot be read".into(),
        },
        Request::Status(payment) => format!("Status {payment}"),
        Request::Void(payment) => format!("Void {payment}"),
        Request::Claim { claim, .. } => format!("Claim {}", tail(*claim)),
        Request::Voucher { number, .. } => format!("Voucher {}", tail(*number)),
        Request::PrintRight(payment) => format!("PrintRight {payment}"),
        Request::Time => "Time".into(),
        Request::Crl { offset } => format!("Crl from byte {offset}"),
        Request::Checkpoint { old_size, note, .. } => {
            format!("Checkpoint from {old_size} to {}", printable(note.lines().nth(1).unwrap_or("?")))
        }
        Request::Recall { .. } => "Recall of an earlier answer".into(),
        Request::Authorize(order) => match order.deposit.read_unverified() {
            Some(deposit) => format!("Authorize {}", deposit.payment),
            None => "a card order that cannot be read".into(),
        },
        Request::CardConfirm(payment) => format!("CardConfirm {payment}"),
        Request::CardVoid { payment, why } => format!("CardVoid {payment} ({why:?})"),
        Request::CardEnquire(payment) => format!("CardEnquire {payment}"),
        Request::CardService => "CardService".into(),
        Request::SealedCardService => "SealedCardService".into(),
    }
}

/// What the center answers.
pub fn response(response: &Response) -> String {
    match response {
        Response::Welcome(welcome) => {
            format!("Welcome epoch {} catalogue {}", welcome.epoch, welcome.catalogue)
        }
        Response::Catalogue(head) => format!("Catalogue {} with {} services", head.version, head.services),
        Response::Service(service) => format!("Service {}", service.code),
        Response::Payer(PayerCheck::Right { .. }) => "Payer right".into(),
        Response::Payer(PayerCheck::Wrong) => "Payer wrong".into(),
        Response::Payer(PayerCheck::Unavailable) => "Payer: the registry does not answer".into(),
        Response::Quote(quote) => match quote.read_unverified() {
            Some(quote) => format!("Quote {:?}, due {:?}", quote.cash_total, quote.due()),
            None => "Quote".into(),
        },
        Response::Outcome(outcome) | Response::Answered { outcome, .. } => match outcome.read_unverified() {
            Some(outcome) => format!("Outcome {}: {}", outcome.payment, verdict_line(&outcome.verdict)),
            None => "Outcome".into(),
        },
        Response::NoOutcome => "NoOutcome".into(),
        Response::Claim(ClaimAnswer::Settled { outcome, .. }) => match outcome.read_unverified() {
            Some(outcome) => format!("Claim settled: {}", verdict_line(&outcome.verdict)),
            None => "Claim settled".into(),
        },
        Response::Claim(ClaimAnswer::NotArrived) => "Claim: not arrived yet".into(),
        Response::Claim(ClaimAnswer::NoMatch) => "Claim: no match".into(),
        Response::Balance(balance) => {
            format!("Balance {} {:?} ({:?})", tail(balance.number), balance.amount, balance.reason)
        }
        Response::PrintRight(right) => format!("PrintRight {right:?}"),
        Response::Time(at) => format!("Time {}", at.local()),
        Response::Crl { total, slice } => format!("Crl {} of {total} bytes", slice.len()),
        Response::Cosigned(_) => "Cosigned".into(),
        Response::WitnessAt(size) => format!("WitnessAt {size}"),
        Response::Recalled => "Recalled".into(),
        Response::Refused(refusal) => format!("Refused {refusal:?}"),
        Response::CardService { open, .. } => {
            format!("Cards are {}", if *open { "open" } else { "closed" })
        }
        Response::Card(CardAnswer::Approved { outcome, .. }) => match outcome.read_unverified() {
            Some(outcome) => format!("Card approved: {}", verdict_line(&outcome.verdict)),
            None => "Card approved".into(),
        },
        Response::Card(CardAnswer::Declined { reason, .. }) => format!("Card declined ({reason:?})"),
        Response::Card(CardAnswer::Undecided) => "Card undecided".into(),
        Response::Card(CardAnswer::Unknown) => "Card unknown".into(),
        Response::Card(CardAnswer::Voided) => "Card voided".into(),
        Response::Card(CardAnswer::Confirmed) => "Card confirmed".into(),
    }
}

/// Text from outside, made safe for a log line.
fn printable(text: impl Display) -> String {
    text.to_string().chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}
