//! What matters of the state for an input, in words: the rows of `states.txt`.
//!
//! The words are as fine as [`Session::decide`] is: equal words, equal decision. A test holds them to that, and the swarm
//! counts which rows it has been to.

use super::{CardStanding, Input, Payment, Session, Stage};
use crate::acceptor::PowerUp;
use tolem_protocol::{PaymentId, card::CardStep, messages::Verdict, record::Ending};

/// The row as one line: `input | state`.
pub(super) fn of(session: &Session, input: &Input) -> String {
    let (input, state) = words(session, input);
    format!("{input} | {state}")
}

fn words(session: &Session, input: &Input) -> (String, &'static str) {
    let open = session.order;
    match input {
        Input::Begin { .. } => {
            ("begin".into(), if session.current.is_some() { "a payment is open" } else { "no payment" })
        }
        Input::Escrowed { denomination, welcome, .. } => match open {
            Some(order) if order.denomination == *denomination => {
                ("note in escrow".into(), "its order is on disk")
            }
            Some(_) => ("note in escrow".into(), "another note's order is on disk"),
            None => {
                let wanted = if *welcome { "wanted" } else { "not wanted" };
                let state = match session.current().map(Payment::stage) {
                    None => "no payment",
                    Some(Stage::Collecting) => "collecting",
                    Some(Stage::Requested | Stage::Settled) => "past collecting",
                };
                (format!("note in escrow, {wanted}"), state)
            }
        },
        Input::Stacked { denomination, another, power_up } => match open {
            Some(order) => {
                let when = if *power_up { "note stacked, at power-up" } else { "note stacked" };
                (when.into(), owner(session, order.payment))
            }
            None if !another && session.last_note == Some(*denomination) => {
                ("note stacked".into(), "said before")
            }
            None if session.current().is_some_and(|payment| payment.stage() == Stage::Collecting) => {
                ("note stacked".into(), "not ordered, collecting")
            }
            None => ("note stacked".into(), "not ordered, not collecting"),
        },
        Input::Returned => ("note returned".into(), ordered(session)),
        Input::PoweredUp(found) => {
            let found = match found {
                PowerUp::Empty => "empty",
                PowerUp::NoteReturned => "note given back",
                PowerUp::NoteInStacker => "note in stacker",
                PowerUp::Kept => "power kept",
            };
            (format!("acceptor started, {found}"), ordered(session))
        }
        Input::Ready { counter, same_unit } => match open {
            None => ("acceptor ready".into(), "not ordered"),
            Some(_) if !same_unit => ("acceptor ready, another unit".into(), "ordered"),
            Some(order) => match (order.counter, *counter) {
                (Some(before), Some(after)) if after == before => {
                    ("acceptor ready, counter as before".into(), "ordered")
                }
                (Some(before), Some(after)) if after == before.wrapping_add(1) => {
                    ("acceptor ready, counter one further".into(), owner(session, order.payment))
                }
                (Some(_), Some(_)) => ("acceptor ready, counter jumped".into(), "ordered"),
                (None, _) | (_, None) => ("acceptor ready, no counter".into(), "ordered"),
            },
        },
        Input::OrderTimedOut(doubt) => (format!("order overdue, {doubt:?}").to_lowercase(), ordered(session)),
        Input::Confirm => {
            let state = match session.current() {
                Some(payment) if payment.stage() == Stage::Collecting && open.is_some() => "a note moves",
                _ => here(session),
            };
            ("confirm".into(), state)
        }
        Input::Stop(payment) => {
            let state = match session.payment(*payment) {
                Some(payment) if payment.stage() == Stage::Collecting && open.is_some() => "a note moves",
                Some(payment) => place(payment),
                None => "unknown payment",
            };
            ("stop".into(), state)
        }
        Input::Resume(payment) => {
            let known = session.interrupted().any(|other| other.id == *payment);
            let state = match (known, session.current) {
                (false, _) => "not cut off",
                (true, None) => "cut off",
                (true, Some(_)) => "cut off, somebody else pays",
            };
            ("resume".into(), state)
        }
        Input::Answered { payment, .. } => {
            let known = session.payment(*payment);
            let state = match known.map(Payment::stage) {
                Some(Stage::Requested) if known.is_some_and(|known| !known.awaits_answer()) => {
                    "a card that the chip did not agree to"
                }
                None => "unknown payment",
                Some(Stage::Collecting) => "collecting",
                Some(Stage::Requested) => "requested",
                Some(Stage::Settled) => "answered before",
            };
            ("center answered".into(), state)
        }
        Input::Print { .. } => ("print".into(), if session.print.is_some() { "printing" } else { "free" }),
        Input::PrintEnded { print, result } => {
            let end = if result.is_ok() { "print confirmed" } else { "print failed" };
            let state = match session.print {
                Some(open) if open.print == *print => "under way",
                Some(_) => "another is under way",
                None => "none is under way",
            };
            (end.into(), state)
        }
        Input::Leave => ("leave".into(), here(session)),
        Input::Authorize(mark) => {
            let state = match session.current() {
                None => "no payment",
                Some(_) if open.is_some() => "a note moves",
                Some(payment) if payment.stage() != Stage::Collecting => "past collecting",
                Some(payment) if !payment.notes.is_empty() => "notes are in",
                Some(payment)
                    if payment.quoted().and_then(|quote| quote.card_total()) == Some(mark.amount) =>
                {
                    "its quote offers this to cards"
                }
                Some(_) => "its quote does not offer this to cards",
            };
            ("card is to be authorised".into(), state)
        }
        Input::Card(payment, step) => {
            let input = match step {
                CardStep::Authorized { .. } => "card authorised",
                CardStep::Declined(_) => "card declined",
                CardStep::ReversalOwed(_) => "card is to be undone",
                CardStep::ReversalAcknowledged => "center undoes the card",
                CardStep::ConfirmOwed => "code was seen",
                CardStep::Confirmed => "center takes the card's money",
            };
            let known = session.payment(*payment);
            let has_code = known.is_some_and(|known| known.outcome.is_some());
            let state = match known.and_then(Payment::card_standing) {
                None => "no card",
                Some(CardStanding::Sent) => "asked",
                Some(CardStanding::Declined(_)) => "declined",
                Some(CardStanding::Authorized) if has_code => "authorised, the code is durable",
                Some(CardStanding::Authorized) => "authorised",
                Some(CardStanding::Reversing(_)) => "to be undone",
                Some(CardStanding::Reversed) => "undone",
                Some(CardStanding::Confirming) => "to be taken",
                Some(CardStanding::Confirmed) => "taken",
            };
            (input.into(), state)
        }
    }
}

fn ordered(session: &Session) -> &'static str {
    if session.order.is_some() { "ordered" } else { "not ordered" }
}

/// What became of the payment that ordered the note.
fn owner(session: &Session, payment: PaymentId) -> &'static str {
    match session.payment(payment).map(Payment::stage) {
        Some(Stage::Collecting) => "ordered",
        Some(Stage::Requested | Stage::Settled) | None => "ordered, its payment went on without it",
    }
}

/// The payment on the screen.
fn here(session: &Session) -> &'static str {
    session.current().map_or("no payment", place)
}

fn place(payment: &Payment) -> &'static str {
    match (payment.stage(), payment.answer().map(|outcome| outcome.verdict)) {
        _ if payment.ending == Some(Ending::Voided) => "voided",
        _ if payment.card_came_to_nothing() => "card, nothing is taken",
        _ if payment.card_standing().is_some_and(|card| !card.is_taken()) => "card, not decided",
        (Stage::Collecting, _) if payment.quote.is_none() => "collecting without a quote",
        (Stage::Collecting, _) if payment.remaining().is_zero() && payment.notes.is_empty() => {
            "collecting, a voucher pays all"
        }
        (Stage::Collecting, _) if payment.notes.is_empty() => "collecting, nothing in",
        (Stage::Collecting, _) if payment.remaining().is_zero() => "collecting, complete",
        (Stage::Collecting, _) => "collecting, too little in",
        (Stage::Requested, _) => "requested",
        (Stage::Settled, Some(Verdict::Accepted { .. })) => "paid",
        (Stage::Settled, Some(Verdict::Held(_)) | None) => "held",
    }
}
