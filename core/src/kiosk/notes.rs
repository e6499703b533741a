//! Notes: what the acceptor says, which notes are welcome now, and when the slot is open.

use super::{Kiosk, Lamp, Output, dialogue::Dialogue};
use crate::{
    acceptor::{AcceptorFault, Command, Event, Identity, PowerUp, Reject},
    cash::{self, Room},
    health::{self, FaultCode},
    ports::{Signer, Store},
    session::{Input, Payment, Stage},
    view::{Notice, Tone},
    words::{Word, fill, word},
};
use tolem_probe::{Site, sometimes};
use tolem_protocol::{Amount, Denomination, messages::Quote, record::Doubt, record::Fact};

/// Something to be said of the last note or card; kept as a phrase, because the language can be switched while it stands there.
#[derive(Clone, Copy)]
pub(super) struct Remark {
    tone: Tone,
    phrase: Word,
    sum: Option<Amount>,
}

impl Remark {
    pub(super) fn new(tone: Tone, phrase: Word) -> Self {
        Self { tone, phrase, sum: None }
    }

    fn of(tone: Tone, phrase: Word, sum: Amount) -> Self {
        Self { tone, phrase, sum: Some(sum) }
    }
}

impl<S: Store, K: Signer> Kiosk<S, K> {
    pub(super) fn acceptor_event(&mut self, event: Event) {
        self.stale = true;
        match event {
            Event::PoweredUp(found) => {
                self.acceptor_ready = false;
                self.acceptor_starting = true;
                self.enabled_types = 0;
                self.counter = None;
                self.act(Input::PoweredUp(found));
                if found != PowerUp::Kept {
                    self.fault(FaultCode::Cheated, false);
                }
            }
            Event::Identified(identity) => self.identified(identity),
            Event::Counter(count) => self.counter = Some(count),
            Event::Ready => {
                self.acceptor_ready = true;
                self.acceptor_starting = false;
                self.enabled_types = 0;
                self.same_unit |= self.session.order().is_none();
                self.order_ended(|kiosk| {
                    let (counter, same_unit) = (kiosk.counter, kiosk.same_unit);
                    kiosk.act(Input::Ready { counter, same_unit });
                });
                self.remember_unit();
                self.moved_on = true;
            }
            Event::Accepting => {
                self.moved_on = true;
                self.active();
                self.last_note = Some(Remark::new(Tone::Info, Word::NoteReading));
            }
            Event::Escrowed { index } => self.escrowed(index),
            Event::Stacked { index } => self.stacked(index),
            Event::Returned { .. } => {
                self.active();
                self.act(Input::Returned);
            }
            Event::Rejected(reason) => {
                self.moved_on = true;
                self.active();
                self.last_note = Some(Remark::new(Tone::Warning, rejection(reason)));
            }
            Event::Fault(fault, present) => {
                if fault == AcceptorFault::Cheated && present {
                    self.record(Fact::CheatReported);
                }
                if fault == AcceptorFault::CassetteOut {
                    self.record(Fact::CassetteRemoved(present));
                }
                // Cheating is over when the unit has been switched off and on, not when it forgets.
                if fault != AcceptorFault::Cheated || present {
                    self.fault(health::of_acceptor(fault), present);
                }
            }
        }
    }

    fn identified(&mut self, identity: Identity) {
        let known = self.session.acceptor_serial();
        let same = !identity.serial.is_empty() && known == identity.serial;
        self.same_unit = (self.same_unit || self.session.order().is_none()) && same;
        self.identity = Some(identity);
        if self.session.order().is_none() {
            self.remember_unit();
        }
    }

    /// Journals which unit this is. Not while an order is open: the unit that took it must still be known after a power cut.
    fn remember_unit(&mut self) {
        let Some(identity) = self.identity.clone() else { return };
        let known = self.session.acceptor_serial();
        let bills: heapless::Vec<(u8, Denomination), 24> =
            tenge_types(&identity).into_iter().take(24).collect();
        if known != identity.serial || self.session.bills() != bills.as_slice() {
            self.record(Fact::AcceptorIdentified {
                serial: super::bounded(&identity.serial),
                part: super::bounded(&identity.part),
                bills,
            });
        }
    }

    fn escrowed(&mut self, index: u8) {
        self.moved_on = true;
        self.active();
        let Some(denomination) = self.value_of(index) else {
            self.acceptor.command(self.now, Command::Return);
            return;
        };
        let welcome = self.wanted_types() & (1 << index) != 0;
        let counter = self.counter;
        self.act(Input::Escrowed { denomination, welcome, counter });
    }

    fn stacked(&mut self, index: u8) {
        self.active();
        let denomination =
            self.value_of(index).or_else(|| self.session.order().map(|order| order.denomination));
        let repeated = self.session.last_note().filter(|_| !self.moved_on);
        let Some(denomination) = denomination.or(repeated) else {
            // A note of unknown value from a unit never seen before: left un-acknowledged, so it is said again after identification.
            self.acceptor.command(self.now, Command::Learn);
            return;
        };
        let before = self.session.current().map(|payment| payment.inserted());
        let (another, power_up) = (self.moved_on, self.acceptor_starting);
        let in_cassette = self.session.cassette().count();
        self.order_ended(|kiosk| kiosk.act(Input::Stacked { denomination, another, power_up }));
        if self.session.cassette().count() != in_cassette {
            // Until the acceptor is asked again, its counter is one further than it last said.
            self.counter = self.counter.map(|count| count.wrapping_add(1));
        }
        self.moved_on = false;
        if self.session.current().map(|payment| payment.inserted()) != before {
            self.trace(10, "citizen inserted a banknote");
            self.last_note = Some(Remark::of(Tone::Good, Word::NoteAccepted, denomination.amount()));
        }
    }

    /// Tells the citizen when an order ends in doubt.
    fn order_ended(&mut self, end: impl FnOnce(&mut Self)) {
        let open = self.session.order();
        end(self);
        if let Some(order) = open
            && self.session.order().is_none()
        {
            self.order_since = None;
            if self.session.payments().iter().any(|payment| {
                payment.quote.is_none() && payment.payer.is_some() && !payment.notes.is_empty()
            }) {
                self.last_note =
                    Some(Remark::of(Tone::Alarm, Word::NoteInDoubt, order.denomination.amount()));
            }
        }
    }

    pub(super) fn note_returned_by_us(&mut self) {
        self.last_note = Some(Remark::new(Tone::Warning, Word::NoteReturnedByUs));
    }

    fn value_of(&self, index: u8) -> Option<Denomination> {
        let told = self.identity.as_ref().map(tenge_types);
        let table = told.as_deref().unwrap_or_else(|| self.session.bills());
        table.iter().find(|(known, _)| *known == index).map(|(_, denomination)| *denomination)
    }

    /// Bill types that are money today, smallest first.
    fn valid_types(&self) -> Vec<(u8, Denomination)> {
        let Some(head) = &self.catalogue else { return Vec::new() };
        let today = self.utc.date();
        let valid = head.notes.denominations_on(today);
        let mut types: Vec<(u8, Denomination)> = self
            .session
            .bills()
            .iter()
            .copied()
            .filter(|(index, denomination)| {
                match self.config.patterns.iter().find(|(known, _)| known == index) {
                    Some((_, pattern)) => {
                        head.notes.find(*denomination, *pattern).is_some_and(|entry| entry.is_valid_on(today))
                    }
                    None => valid.contains(denomination),
                }
            })
            .collect();
        types.sort_by_key(|(index, denomination)| (*denomination, *index));
        types
    }

    /// Denominations this terminal can take today, smallest first.
    pub(super) fn known_notes(&self) -> Vec<Denomination> {
        let mut notes: Vec<Denomination> =
            self.valid_types().into_iter().map(|(_, denomination)| denomination).collect();
        notes.dedup();
        notes
    }

    /// Denominations that are welcome for the payment on the screen, if the citizen agreed to what `agreed` says.
    pub(super) fn welcome_notes(&self, agreed: Option<Denomination>) -> Vec<Denomination> {
        let (Some(payment), Some(limits)) = (self.session.current(), &self.limits) else { return Vec::new() };
        let limit = limits.per_payment.saturating_sub(payment.inserted());
        let known = self.known_notes();
        let room = Room { remaining: payment.remaining(), limit, remainder_agreed: agreed.is_some() };
        cash::welcome(&known, room)
    }

    /// Whether cash can be taken for a quote: what it adds may wait for the center's answer too. Asked before the payment begins; one
    /// that has begun may end, whatever waits by then.
    pub(super) fn takes_cash_for(&self, quote: &Quote) -> bool {
        let Some(limits) = &self.limits else { return false };
        let (unsettled, _, _) = self.session.unsettled();
        let all = unsettled.checked_add(quote.due());
        let fits = all.is_some_and(|all| all <= limits.unsettled_total);
        quote.method.has_cash() && fits && !self.health.has(FaultCode::UnsettledLimit)
    }

    /// The note above what remains that would have to be agreed to, and the remainder it would leave.
    pub(super) fn larger_note(&self) -> Option<(Denomination, Amount)> {
        let payment = self.session.current()?;
        let remaining = payment.remaining();
        if remaining.is_zero() {
            return None;
        }
        let note = cash::smallest_above(&self.known_notes(), remaining)?;
        Some((note, note.amount() - remaining))
    }

    /// Bill types that are wanted right now.
    fn wanted_types(&self) -> u32 {
        let Dialogue::Inserting { agreed, stopping: false } = &self.dialogue else { return 0 };
        let Some(payment) = self.session.current() else { return 0 };
        if payment.stage() != Stage::Collecting || self.slot_shut(payment).is_some() {
            return 0;
        }
        let welcome = self.welcome_notes(*agreed);
        self.valid_types()
            .into_iter()
            .filter(|(index, denomination)| *index < 24 && welcome.contains(denomination))
            .fold(0, |mask, (index, _)| mask | 1 << index)
    }

    /// Why no note is taken for this payment now although its sum is not in yet, for the citizen.
    pub(super) fn slot_shut(&self, payment: &Payment) -> Option<(Tone, Word)> {
        use FaultCode::{AcceptorAbsent, AcceptorFailure, AcceptorProtocol, CassetteJam, ValidatorJam};
        match self.health.shuts_slot() {
            Some(ValidatorJam | CassetteJam) => Some((Tone::Alarm, Word::JamWithMoney)),
            Some(AcceptorAbsent | AcceptorFailure | AcceptorProtocol) => {
                Some((Tone::Alarm, Word::AcceptorFailedWithMoney))
            }
            // A fault that shuts the slot has its reason.
            Some(fault) => Some((Tone::Warning, fault.reason().unwrap_or(Word::ClosedCashTitle))),
            // A payment starts online only; once money is in, a lost link does not stop it.
            None if !payment.notes.is_empty() => None,
            None if !self.center_is_trusted() => Some((Tone::Warning, Word::ReasonNoLink)),
            None => {
                let quote_lives = payment.quoted().is_some_and(|quote| quote.valid_until > self.utc);
                (!quote_lives).then_some((Tone::Warning, Word::QuoteExpired))
            }
        }
    }

    /// Opens or closes the slot as the moment asks, and lights its lamp.
    pub(super) fn command_slot(&mut self) {
        let wanted = self.wanted_types();
        if self.acceptor_ready && wanted != self.enabled_types {
            self.enabled_types = wanted;
            self.acceptor.command(self.now, Command::Enable { types: wanted });
        }
        let open = self.acceptor_ready && wanted != 0;
        self.lamp(Lamp::NoteSlot, open);
    }

    pub(super) fn lamp(&mut self, lamp: Lamp, on: bool) {
        if self.lamps[lamp as usize] != on {
            self.lamps[lamp as usize] = on;
            self.outputs.push_back(Output::Lamp { lamp, on });
        }
    }

    /// A note that was ordered but neither stacked nor came back for too long.
    pub(super) fn order_timer(&mut self) {
        let Some(since) = self.order_since else { return };
        if self.session.order().is_none() {
            self.order_since = None;
        } else if self.now.since(since) >= self.config.patience.stacking {
            let stuck = self.health.has(FaultCode::ValidatorJam) || self.health.has(FaultCode::CassetteJam);
            let absent = self.health.has(FaultCode::AcceptorAbsent);
            let long = self.now.since(since) >= self.config.patience.stacking * 3;
            if stuck || absent || long || !self.acceptor_ready || self.acceptor_faulty() {
                sometimes(Site::OrderTimedOut);
                let doubt = if absent && !stuck { Doubt::Absent } else { Doubt::Jam };
                self.order_ended(|kiosk| kiosk.act(Input::OrderTimedOut(doubt)));
                self.moved_on = false;
            }
        }
    }

    fn acceptor_faulty(&self) -> bool {
        use FaultCode::{AcceptorFailure, AcceptorProtocol, CassetteFull, CassetteOut, Cheated};
        [AcceptorFailure, AcceptorProtocol, CassetteFull, CassetteOut, Cheated]
            .into_iter()
            .any(|fault| self.health.has(fault))
    }

    /// What is to be said of the last note or card, in the language of now.
    pub(super) fn last_remark(&self) -> Option<Notice> {
        let Remark { tone, phrase, sum } = self.last_note?;
        let text = match sum {
            Some(sum) => fill(self.language, phrase, &[("sum", &sum.to_string())]),
            None => word(self.language, phrase).into(),
        };
        Some(Notice { tone, text })
    }
}

/// The bill types that can be counted: at most as many denominations as a pile of notes holds.
fn tenge_types(identity: &Identity) -> Vec<(u8, Denomination)> {
    let mut denominations: Vec<Denomination> = Vec::new();
    let mut types = Vec::new();
    for bill in &identity.bills {
        if !denominations.contains(&bill.denomination) {
            if denominations.len() == tolem_protocol::notes::MAX_DENOMINATIONS {
                continue;
            }
            denominations.push(bill.denomination);
        }
        types.push((bill.index, bill.denomination));
    }
    types
}

fn rejection(reason: Reject) -> Word {
    match reason {
        Reject::Unread => Word::NoteUnread,
        Reject::Inhibited => Word::NoteInhibited,
        Reject::TooFast => Word::NoteTooFast,
        Reject::Other(_) => Word::NoteRefused,
    }
}
