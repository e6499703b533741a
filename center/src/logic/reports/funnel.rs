//! Conversion: how many started sessions ended with a code, and where the others stopped. Read from a kiosk's journal.
//!
//! A session begins with an accepted quote (`Started`); who leaves before that leaves no trace, because nothing happened.

use super::field;
use std::{collections::BTreeMap, fmt::Write as _};
use tolem_protocol::{
    PaymentId, UtcTime,
    messages::Verdict,
    record::{Ending, Fact, Paper, Record},
};

/// How far a session came; in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// The sum was agreed; no money is in: no note came, or the card was declined or pays nothing after all.
    Started,
    /// At least one note is in; it was not confirmed.
    Inserted,
    /// Confirmed, or the card's PIN was given; no answer yet, or the money is held.
    Confirmed,
    /// Paid; the receipt did not come out at the kiosk where it began.
    Paid,
    /// Paid, and the receipt is out.
    Printed,
}

const STEPS: [(Step, &str); 5] = [
    (Step::Started, "no money in"),
    (Step::Inserted, "stopped with notes in"),
    (Step::Confirmed, "held or unanswered"),
    (Step::Paid, "paid, no receipt"),
    (Step::Printed, "paid and printed"),
];

/// Reads journals record by record, one behind the other; the same journal twice changes nothing.
#[derive(Default)]
pub struct Funnel {
    sessions: BTreeMap<PaymentId, (UtcTime, Step)>,
    /// Receipts that were ordered in the journal that is being read: each journal counts its prints for itself.
    prints: BTreeMap<u64, PaymentId>,
}

impl Funnel {
    /// Reads the next record; the first one of a journal has number 0.
    pub fn record(&mut self, record: &Record) {
        if record.seq == 0 {
            self.prints.clear();
        }
        match &record.fact {
            Fact::Started { payment, .. } => {
                self.sessions.entry(*payment).or_insert((record.utc, Step::Started));
            }
            Fact::NoteStacked { payment, .. } => self.reached(payment, Step::Inserted),
            Fact::CommitRequested { deposit } | Fact::AuthorizeSent { deposit, .. } => {
                if let Some(read) = deposit.read_unverified() {
                    self.reached(&read.payment, Step::Confirmed);
                }
            }
            Fact::Settled { outcome } => {
                let read = outcome.read_unverified();
                if let Some(read) = read.filter(|read| matches!(read.verdict, Verdict::Accepted { .. })) {
                    self.reached(&read.payment, Step::Paid);
                }
            }
            Fact::PrintOrdered { print, payment, paper: Paper::Receipt, .. } => {
                self.prints.insert(*print, *payment);
            }
            Fact::Printed { print } => {
                if let Some(payment) = self.prints.remove(print) {
                    self.reached(&payment, Step::Printed);
                }
            }
            Fact::Finished { payment, ending: Ending::Voided } => {
                // Nothing went in after all, or it went back.
                if let Some((_, step)) = self.sessions.get_mut(payment) {
                    *step = Step::Started;
                }
            }
            _ => {}
        }
    }

    fn reached(&mut self, payment: &PaymentId, step: Step) {
        if let Some((_, reached)) = self.sessions.get_mut(payment) {
            *reached = step.max(*reached);
        }
    }

    /// Sessions that started in `period`, by how far they came.
    pub fn counts(&self, period: super::Period) -> [(Step, u64); 5] {
        STEPS.map(|(step, _)| {
            let ended = self.sessions.values().filter(|(at, reached)| period.has(*at) && *reached == step);
            (step, ended.count() as u64)
        })
    }
}

/// Conversion as text: sessions, the share that paid, and where the others stopped.
pub fn text(counts: &[(Step, u64); 5]) -> String {
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let paid: u64 = counts.iter().filter(|(step, _)| *step >= Step::Paid).map(|(_, count)| count).sum();
    let mut text = format!("sessions {all}, paid {paid}, conversion {}\n", share(paid, all));
    for ((_, count), (_, name)) in counts.iter().zip(STEPS) {
        let _ = writeln!(text, "  {name:<24}{count:>8}  {:>6}", share(*count, all));
    }
    text
}

/// Conversion as CSV.
pub fn csv(counts: &[(Step, u64); 5]) -> String {
    let mut text = String::from("ended,sessions\r\n");
    for ((_, count), (_, name)) in counts.iter().zip(STEPS) {
        let _ = write!(text, "{},{count}\r\n", field(name));
    }
    text
}

/// `66.7 %`, in integers.
fn share(part: u64, whole: u64) -> String {
    match part.saturating_mul(2_000).saturating_add(whole).checked_div(whole.saturating_mul(2)) {
        Some(thousandths) => format!("{}.{} %", thousandths / 10, thousandths % 10),
        None => "-".into(),
    }
}
