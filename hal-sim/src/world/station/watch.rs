//! What somebody who stands beside a station sees with own eyes, and the rules that only such eyes can judge.

use super::{Armed, Station};
use crate::{
    ccnet_device::{Fault, PhysicalEvent, Place},
    paper::Paper,
    world::{
        center::Center,
        disk::Disk,
        invariants::{Invariant, secrets_in},
        story,
    },
};
use std::sync::Arc;
use tolem_core::{health::FaultCode, session::Stage, time::Instant, view::ViewModel};
use tolem_protocol::{
    PaymentId,
    messages::{Deposit, Outcome, Quote, Response},
    qr::Qr,
    record::{Fact, Paper as Kind},
    signed::Signed,
};

/// What was seen before and is compared later.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// The IIN that was typed here last.
    typed: Option<String>,
    /// The printer or its line may be out of order until then.
    printer_unwell_until: Instant,
    /// Pieces of paper that had come out when a print was ordered, by its number.
    ordered: Option<(u64, u64)>,
    /// The journal has failed. Pieces of paper at that moment, and whether a slip must follow.
    failed: Option<(u64, bool)>,
    /// Pieces of paper that came out while a journal had failed.
    last_words: Vec<Arc<Paper>>,
    /// The next note that is ordered is taken out of the path by hand.
    pub(super) takes_note_out: bool,
    /// The next note that is ordered sticks in the path.
    pub(super) sticks: bool,
    /// The acceptor forgets the next note that falls into its cassette.
    pub(super) loses_memory: bool,
    /// Answers of a kind are answered with the one before.
    pub(super) stale: bool,
    /// What waits for the next order of a card.
    pub(super) armed: Vec<Armed>,
    /// The money of a card is to be taken for a code that is not on paper: it is on the screen next.
    pub(super) must_show: bool,
    pub(super) last_approval: Option<Signed<Outcome>>,
    last_outcome: Option<Signed<Outcome>>,
    last_quote: Option<Signed<Quote>>,
}

impl Watch {
    /// The program ends, and what it was about to do.
    pub(super) fn forget_program(&mut self) {
        (self.ordered, self.failed, self.must_show) = (None, None, false);
    }
}

impl<C: Center> Station<C> {
    /// Somebody types this IIN.
    pub(in crate::world) fn typed(&mut self, iin: &str) {
        self.watch.typed = Some(iin.to_owned());
    }

    /// The next ordered note is taken out of the acceptor's path by hand.
    pub(in crate::world) fn will_take_note_out(&mut self) {
        self.watch.takes_note_out = true;
    }

    /// The next ordered note will stick in the acceptor's path, or will not any more.
    pub(in crate::world) fn will_stick(&mut self, sticks: bool) {
        self.watch.sticks = sticks;
    }

    /// The acceptor will forget the next note that falls into its cassette.
    pub(in crate::world) fn will_lose_memory(&mut self) {
        self.watch.loses_memory = true;
    }

    /// From now on answers and quotes of earlier payments are given for new ones, or no more.
    pub(in crate::world) fn set_stale(&mut self, stale: bool) {
        self.watch.stale = stale;
    }

    /// No hand and no forgetting is waiting any more.
    pub(in crate::world) fn calm(&mut self) {
        (self.watch.takes_note_out, self.watch.sticks) = (false, false);
        (self.watch.loses_memory, self.watch.stale) = (false, false);
        self.watch.armed.clear();
    }

    /// Something is wrong with the printer until then.
    pub(in crate::world) fn printer_unwell_until(&mut self, until: Instant) {
        self.watch.printer_unwell_until = self.watch.printer_unwell_until.max(until);
    }

    /// Looks at what was appended since the last look.
    pub(super) fn read_journal(&mut self) {
        if self.disk.size() == self.seen {
            return;
        }
        let disk = self.disk.clone();
        let told = disk.told();
        for record in told.iter().skip(usize::try_from(self.seen).unwrap_or(usize::MAX)) {
            let fact = &record.fact;
            self.chronicle.say(self.now, || story::line(fact).unwrap_or_else(|| format!("{fact:.40?}")));
            self.watch_papers(fact);
            self.watch_owner(fact);
            self.watch_card(fact);
            if matches!(fact, Fact::StackOrdered { .. }) && std::mem::take(&mut self.watch.takes_note_out) {
                self.disturbances += 1;
                self.tally.add("note taken out");
                self.acceptor.take_note_out(self.now);
            }
            if matches!(fact, Fact::StackOrdered { .. }) && std::mem::take(&mut self.watch.sticks) {
                self.disturbances += 1;
                self.tally.add("note stuck");
                self.acceptor.set_fault(self.now, Fault::Jam);
            }
            match fact {
                Fact::PrintOrdered { paper: Kind::Receipt | Kind::Voucher, .. } if !self.touched => {
                    self.break_rule(Invariant::NobodyPrintsAlone, "a paper is printed and nobody is there");
                }
                Fact::NoteStacked { by, .. } => self.tally.add(stacked_word(*by)),
                Fact::NoteInDoubt { denomination, .. } => {
                    self.tally.add("note in doubt");
                    self.doubts.push(*denomination);
                }
                Fact::StackOrdered { .. } if self.acceptor_is_unwell() => self.disturbances += 1,
                _ => {}
            }
        }
        self.seen = told.len() as u64;
    }

    fn acceptor_is_unwell(&self) -> bool {
        self.tally.lasting > 0
    }

    /// A paper that the journal calls printed has come out.
    fn watch_papers(&mut self, fact: &Fact) {
        match fact {
            Fact::PrintOrdered { print, .. } => self.watch.ordered = Some((*print, self.printer.pieces())),
            Fact::Printed { print } => {
                if let Some((_, before)) = self.watch.ordered.take_if(|(ordered, _)| ordered == print)
                    && self.printer.pieces() <= before
                {
                    self.break_rule(
                        Invariant::PapersAreOut,
                        "a paper is called printed and did not come out",
                    );
                }
            }
            _ => {}
        }
    }

    /// Only whoever typed the payer's IIN goes on with a payment or gets its paper.
    fn watch_owner(&mut self, fact: &Fact) {
        let payment: PaymentId = match fact {
            Fact::Resumed { payment }
            | Fact::PrintOrdered { payment, paper: Kind::Receipt | Kind::Voucher, .. } => *payment,
            _ => return,
        };
        let stranger =
            self.watch.typed.as_ref().is_some_and(|iin| self.center.belongs_to(payment, iin) == Some(false));
        if stranger {
            self.break_rule(Invariant::OwnersOnly, &format!("somebody else is given {payment}"));
        }
    }

    /// The journal has just failed: is a slip due?
    pub(super) fn watch_journal_failing(&mut self) {
        let Some(kiosk) = self.kiosk.as_ref().filter(|_| self.watch.failed.is_none()) else { return };
        if kiosk.journal().is_none() || !kiosk.health().has(FaultCode::JournalUnwritable) {
            return;
        }
        let money = kiosk
            .session()
            .current()
            .is_some_and(|payment| payment.stage() == Stage::Collecting && !payment.notes.is_empty());
        let due = money && kiosk.session().print().is_none() && self.printer_is_well();
        self.watch.failed = Some((self.printer.pieces(), due));
    }

    /// The program ends because its journal failed.
    pub(super) fn watch_last_words(&mut self) {
        let Some((before, due)) = self.watch.failed else { return };
        let out = self.printer.pieces().saturating_sub(before);
        if due && out == 0 && self.printer_is_well() {
            self.break_rule(Invariant::LastWord, "the journal failed with money in, and no slip came out");
        }
        let older = self.printer.papers().len().saturating_sub(usize::try_from(out).unwrap_or(usize::MAX));
        self.watch.last_words.extend(self.printer.papers().skip(older).cloned());
    }

    /// The deposits on papers that came out while a journal had failed: their holders go to the desk with them, whatever the
    /// terminal has told the center since.
    pub(in crate::world) fn emergency_slips(&self) -> Vec<Signed<Deposit>> {
        let slip = |text: String| match Qr::parse(&text) {
            Ok(Qr::Deposit(slip)) => Some(slip),
            _ => None,
        };
        self.watch.last_words.iter().flat_map(|paper| self.texts_of(paper)).filter_map(slip).collect()
    }

    fn printer_is_well(&self) -> bool {
        let blocked = self.kiosk.as_ref().is_none_or(|kiosk| kiosk.health().printer_blocked());
        !blocked && self.now > self.watch.printer_unwell_until && self.printer.faults().is_empty()
    }

    /// The answer, or the one before of its kind while the other side is confused.
    pub(super) fn maybe_stale(&mut self, response: Response) -> Response {
        let stale = self.watch.stale;
        match response {
            Response::Outcome(outcome) => {
                let before = self.watch.last_outcome.replace(outcome.clone());
                Response::Outcome(before.filter(|_| stale).unwrap_or(outcome))
            }
            Response::Quote(quote) => {
                let before = self.watch.last_quote.replace(quote.clone());
                Response::Quote(before.filter(|_| stale).unwrap_or(quote))
            }
            Response::Card(answer) => Response::Card(self.maybe_stale_approval(answer)),
            other => other,
        }
    }

    /// A note passes the point of no return only with its order on disk.
    pub(super) fn happened(&mut self, event: PhysicalEvent) {
        self.chronicle.say(self.now, || format!("acceptor: {event:?}"));
        if let PhysicalEvent::NoteMoved { to, .. } = event {
            match to {
                Place::Transport if open_order(&self.disk).is_none() && !self.journal_lost => {
                    self.break_rule(
                        Invariant::StackAfterRecord,
                        "a note is stacked without an order on disk",
                    );
                }
                Place::Cassette => {
                    self.tally.add("notes");
                    if std::mem::take(&mut self.watch.loses_memory) {
                        self.disturbances += 1;
                        self.tally.add("note forgotten by the acceptor");
                        self.acceptor.lose_memory(self.now);
                    }
                }
                Place::Returned => self.tally.add("notes returned"),
                Place::Transport
                | Place::Inlet
                | Place::Validator
                | Place::Escrow
                | Place::Technician
                | Place::Collected => {}
            }
        }
    }

    /// The start screen shows nothing of whoever was here last.
    pub(super) fn look_for_traces(&mut self, view: &ViewModel) {
        if self.secrets.is_empty() {
            return;
        }
        let text = format!("{view:?}");
        let hit = self.secrets.iter().find(|secret| text.contains(secret.as_str())).cloned();
        let code = (!self.shown.is_empty() && text.contains(&self.shown)).then(|| self.shown.clone());
        if let Some(trace) = hit.or(code) {
            let what = format!("the start screen still shows {}", trace.chars().take(3).collect::<String>());
            self.break_rule(Invariant::NothingLeftBehind, &what);
        }
    }

    pub(super) fn look_for_secrets(&mut self, place: &str, bytes: &[u8]) {
        if self.setup.thorough && self.violation.is_none() {
            let digits: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
            self.violation = secrets_in(place, bytes, &digits);
        }
    }
}

/// The order that stands open on the disk, whatever the program believes.
pub(super) fn open_order(disk: &Disk) -> Option<u64> {
    disk.told().iter().rev().find_map(|record| match &record.fact {
        Fact::StackOrdered { note, .. } => Some(Some(*note)),
        Fact::NoteStacked { .. } | Fact::NoteReturned { .. } | Fact::NoteInDoubt { .. } => Some(None),
        _ => None,
    })?
}

fn stacked_word(by: tolem_protocol::record::StackedBy) -> &'static str {
    use tolem_protocol::record::StackedBy;
    match by {
        StackedBy::Report => "stacked by report",
        StackedBy::PowerUp => "stacked by power-up",
        StackedBy::Counter => "stacked by counter",
        StackedBy::Unordered => "stacked unordered",
    }
}
