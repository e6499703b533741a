//! A journal told in lines that people can read and compare.

use tolem_protocol::{
    card::CardStep,
    messages::{DepositKind, Verdict},
    record::{Fact, Record},
};

/// One line a fact; facts that carry no money are left out, a boot is a rule across the page.
pub fn tell(records: &[Record]) -> String {
    let mut story = String::new();
    for record in records {
        if let Some(line) = line(&record.fact) {
            story += &line;
            story.push('\n');
        }
    }
    story
}

pub(super) fn line(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::Booted { .. } => "-- boot --".into(),
        Fact::Started { payment, quote, .. } => {
            let due = quote.read_unverified().map(|quote| quote.due().tiyn() / 100).unwrap_or_default();
            format!("Started {} due {due}", payment.number)
        }
        Fact::StackOrdered { denomination, .. } => format!("StackOrdered {}", denomination.0),
        Fact::NoteStacked { denomination, by, payment, .. } => {
            format!("NoteStacked {} for {} ({by:?})", denomination.0, payment.number)
        }
        Fact::NoteReturned { .. } => "NoteReturned".into(),
        Fact::NoteInDoubt { denomination, doubt, payment, .. } => {
            format!("NoteInDoubt {} held as {} ({doubt:?})", denomination.0, payment.number)
        }
        Fact::CommitRequested { deposit } | Fact::HoldRequested { deposit } => {
            let deposit = deposit.read_unverified()?;
            let sum = deposit.notes.total()?.tiyn() / 100;
            match deposit.kind {
                DepositKind::Pay => format!("CommitRequested {} with {sum}", deposit.payment.number),
                DepositKind::Hold(reason) => {
                    format!("HoldRequested {} with {sum} ({reason:?})", deposit.payment.number)
                }
            }
        }
        Fact::AccountLearned { deposit } => {
            let deposit = deposit.read_unverified()?;
            let sum = deposit.notes.total()?.tiyn() / 100;
            format!("AccountLearned {} with {sum} ({:?})", deposit.payment.number, deposit.kind)
        }
        Fact::Settled { outcome } => {
            let outcome = outcome.read_unverified()?;
            match outcome.verdict {
                Verdict::Accepted { remainder: Some(rest), .. } => {
                    format!("Settled {}: paid, {} held", outcome.payment.number, rest.amount.tiyn() / 100)
                }
                Verdict::Accepted { remainder: None, .. } => {
                    format!("Settled {}: paid", outcome.payment.number)
                }
                Verdict::Held(balance) => {
                    let sum = balance.amount.tiyn() / 100;
                    format!("Settled {}: {sum} held ({:?})", outcome.payment.number, balance.reason)
                }
            }
        }
        Fact::PrintOrdered { payment, paper, copy, .. } => {
            format!("PrintOrdered {paper:?} of {}{}", payment.number, if *copy { " COPY" } else { "" })
        }
        Fact::Printed { .. } => "Printed".into(),
        Fact::PrintFailed { fault, .. } => format!("PrintFailed {fault:?}"),
        Fact::Finished { payment, ending } => format!("Finished {} {ending:?}", payment.number),
        Fact::Resumed { payment } => format!("Resumed {}", payment.number),
        Fact::NoteMoved { from, to, denomination } => {
            format!("NoteMoved {} from {} to {}", denomination.0, from.number, to.number)
        }
        Fact::AuthorizeSent { deposit, card } => {
            let deposit = deposit.read_unverified()?;
            format!("AuthorizeSent {} for {}", deposit.payment.number, card.amount.tiyn() / 100)
        }
        Fact::Card { payment, step } => match step {
            CardStep::Authorized { .. } => format!("Authorized {}", payment.number),
            step => format!("{step:?} {}", payment.number),
        },
        Fact::CardMoved { moved, .. } => format!("Card {moved:?}"),
        Fact::CheatReported => "CheatReported".into(),
        Fact::CassetteRemoved(removed) => format!("CassetteRemoved {removed}"),
        Fact::Opened { part, open } => format!("Opened {part} {open}"),
        Fact::Linked { .. }
        | Fact::AcceptorIdentified { .. }
        | Fact::Cosigned { .. }
        | Fact::FaultChanged { .. }
        | Fact::PinKeyUsed { .. } => return None,
    })
}
