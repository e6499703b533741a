//! The money of this kiosk as the journal tells it, and what may follow from it.
//!
//! Facts first: [`Session::decide`] changes nothing and proposes a fact; the kiosk makes it durable; [`Session::commit`] is the only
//! mutator and takes the proof. A replay after a restart runs the same `commit`. Nothing here knows screens, devices' bytes, or
//! the link: only which payment is open, which notes are where, and what is owed to whom.
//!
//! ```text
//!              Started                     CommitRequested              Settled            Printed
//!   (nothing) ────────▶ collecting ───────────────────────▶ requested ────────▶ settled ────────▶ handed over
//!                        │  ▲ NoteStacked   HoldRequested      │                   │ PrintFailed: owed
//!                        │  └─ StackOrdered ◀─ escrow          └─ claim slip ─▶ Finished(ClaimGiven), stays in the outbox
//!                        └─ no note: Finished(Voided)
//! ```
//! A card goes another way from *collecting* on: see `card.rs`.

mod card;
mod row;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use tolem_probe::{Fault, planted, visited};
use tolem_protocol::{
    Amount, Denomination, PaymentId, UtcTime,
    card::{CardMark, CardStep},
    catalogue::Language,
    messages::{Deposit, DepositKind, HoldReason, Outcome, Quote, SealedIin, Verdict},
    notes::NotePile,
    record::{Doubt, Ending, Fact, Paper, PrintFault, StackedBy},
    signed::Signed,
};

pub use card::{Card, CardStanding};

use crate::{acceptor::PowerUp, journal::Journaled};

/// Handed-over papers that failed to print stay owed here up to this many; older ones are still found at the center.
pub const MAX_KEPT: usize = 256;

/// One payment that is not over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// The signed quote; `None` for money without a payment.
    pub quote: Option<Signed<Quote>>,
    /// For money without a payment of its own: the quote of the payment it came in with, under whose id the payer is sealed.
    pub origin: Option<Signed<Quote>>,
    /// The payer, readable by the center alone.
    pub payer: Option<SealedIin>,
    /// Finds the payment when its payer comes back.
    pub payer_tag: Option<[u8; 16]>,
    /// Language of the citizen.
    pub language: Language,
    /// Notes in the cassette for it.
    pub notes: NotePile,
    /// What was asked of the center.
    pub deposit: Option<Signed<Deposit>>,
    /// When it was asked.
    pub requested_at: UtcTime,
    /// The final answer.
    pub outcome: Option<Signed<Outcome>>,
    /// The claim slip is out.
    pub slip_given: bool,
    /// A paper may be out although no printer confirmed it: print it again as COPY only.
    pub maybe_printed: bool,
    /// The paper that answers it is out.
    pub handed_over: bool,
    /// How it left the screen; `None` while it is on it or was interrupted.
    pub ending: Option<Ending>,
    /// The card that pays it.
    pub card: Option<Card>,
}

impl Payment {
    /// The quote, read back. Its signature was checked before it was recorded.
    pub fn quoted(&self) -> Option<Quote> {
        self.quote.as_ref().and_then(Signed::read_unverified)
    }

    /// The final answer, read back. Its signature was checked before it was recorded.
    pub fn answer(&self) -> Option<Outcome> {
        self.outcome.as_ref().and_then(Signed::read_unverified)
    }

    /// What lies in the cassette for it.
    pub fn inserted(&self) -> Amount {
        self.notes.total().expect("invariant: limits keep a payment below Amount::MAX")
    }

    /// Cash that must come in.
    pub fn due(&self) -> Amount {
        self.quoted().map_or(Amount::ZERO, |quote| quote.due())
    }

    /// Cash still to come in.
    pub fn remaining(&self) -> Amount {
        self.due().saturating_sub(self.inserted())
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        match (&self.deposit, &self.outcome) {
            (_, Some(_)) => Stage::Settled,
            (Some(_), None) => Stage::Requested,
            (None, None) => Stage::Collecting,
        }
    }

    /// Cash that the center was asked about and has not answered yet.
    pub fn is_unsettled(&self) -> bool {
        self.stage() == Stage::Requested && self.card.is_none()
    }

    /// Whether nothing more is to be done for it here.
    fn is_over(&self) -> bool {
        match self.ending {
            None => false,
            Some(_) if self.card_owes() => false,
            Some(Ending::Voided) => true,
            Some(Ending::ClaimGiven) => self.outcome.is_some() || planted(Fault::ClaimForgotten),
            Some(Ending::Paid | Ending::Held) => self.handed_over,
        }
    }
}

/// Where a payment stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Notes may go in.
    Collecting,
    /// The center is asked.
    Requested,
    /// The center has answered for good.
    Settled,
}

/// A note that was ordered into the cassette and whose end was not seen yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Number of the order.
    pub note: u64,
    /// For which payment.
    pub payment: PaymentId,
    /// What the acceptor saw.
    pub denomination: Denomination,
    /// Its stacked counter before.
    pub counter: Option<u16>,
}

/// A print whose end was not seen yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Print {
    /// Its number.
    pub print: u64,
    /// For which payment.
    pub payment: PaymentId,
    /// Which paper.
    pub paper: Paper,
    /// Marked COPY.
    pub copy: bool,
}

/// Everything the journal says, as far as something can still follow from it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Session {
    boots: u32,
    epoch: u32,
    center_epoch: u32,
    next_number: u64,
    next_note: u64,
    next_print: u64,
    /// Payments that are not over, oldest first.
    payments: Vec<Payment>,
    /// The one on the screen; forgotten at each start, when it becomes "interrupted".
    current: Option<PaymentId>,
    order: Option<Order>,
    /// How the last order ended: a repeated "stacked" of it is acknowledged, never credited.
    last_note: Option<Denomination>,
    print: Option<Print>,
    cassette: NotePile,
    cosigned: u64,
    acceptor_serial: String,
    bills: Vec<(u8, Denomination)>,
    /// Serial number of the last key that the PIN pad used.
    pin_serial: Option<[u8; 10]>,
    /// Whether a card is in the reader, as far as the journal knows, and its payment.
    card_inside: Option<Option<PaymentId>>,
}

/// What happened, as far as money is concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "one input at a time, passed by value on the stack")]
pub enum Input {
    /// The citizen accepted a quote.
    Begin {
        /// The payment.
        payment: PaymentId,
        /// The verified quote.
        quote: Signed<Quote>,
        /// The sealed payer.
        payer: SealedIin,
        /// Finds it again.
        payer_tag: [u8; 16],
        /// Language.
        language: Language,
    },
    /// A note waits in escrow. `welcome` says whether policy and limits want it now.
    Escrowed {
        /// Its value.
        denomination: Denomination,
        /// Wanted now.
        welcome: bool,
        /// Stacked counter of the acceptor.
        counter: Option<u16>,
    },
    /// The acceptor says a note is in the cassette.
    Stacked {
        /// Its value.
        denomination: Denomination,
        /// The acceptor has moved on since the last "stacked": this is another note.
        another: bool,
        /// Said while starting up.
        power_up: bool,
    },
    /// The acceptor says the note from escrow is back in the citizen's hand.
    Returned,
    /// The acceptor started; pending notes were reported before.
    PoweredUp(PowerUp),
    /// The acceptor is initialised; what it could say about an open order it has said.
    Ready {
        /// Stacked counter of the acceptor.
        counter: Option<u16>,
        /// It is the unit that took the order.
        same_unit: bool,
    },
    /// An order stays without an end too long, or the note is stuck.
    OrderTimedOut(Doubt),
    /// The citizen confirms.
    Confirm,
    /// The citizen stops, leaves or times out; or a restart found the payment and nobody came back for it.
    Stop(PaymentId),
    /// The citizen of an interrupted payment came back.
    Resume(PaymentId),
    /// The center's verified final answer for a payment.
    Answered {
        /// Which.
        payment: PaymentId,
        /// The answer.
        outcome: Box<Signed<Outcome>>,
    },
    /// Print this.
    Print {
        /// For which payment.
        payment: PaymentId,
        /// Which paper.
        paper: Paper,
        /// Marked COPY.
        copy: bool,
    },
    /// The printer confirmed, or gave up on, a print.
    PrintEnded {
        /// Which.
        print: u64,
        /// How.
        result: Result<(), PrintFault>,
    },
    /// The payment leaves the screen.
    Leave,
    /// The chip has answered, and the center is to be asked about this card.
    Authorize(CardMark),
    /// A card payment goes a step further.
    Card(PaymentId, CardStep),
}

/// What follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Make this durable, then commit.
    Record(Fact),
    /// Sign this account and make it durable, then commit.
    Request(Deposit),
    /// Sign this order for a card, make it durable, commit; then the center may be asked, once.
    Authorize(Deposit, CardMark),
    /// An older fact already allows this.
    Repeat(Effect),
    /// Nothing follows.
    Nothing,
}

/// What a durable fact allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Order the acceptor to take the note.
    Stack,
    /// Give the note back.
    Return,
    /// Confirm "stacked" or "returned" to the acceptor.
    Acknowledge,
    /// Send the print to the printer.
    Print(Print),
    /// Nothing to be done.
    None,
}

impl Session {
    /// What follows from `input`. Changes nothing. `fresh` names a new payment if one must be made for money without one.
    pub fn decide(&self, input: Input, fresh: PaymentId, utc: UtcTime) -> Decision {
        visited(|| row::of(self, &input));
        match input {
            Input::Begin { payment, quote, payer, payer_tag, language } => match self.current {
                None => Decision::Record(Fact::Started { payment, quote, payer, payer_tag, language }),
                Some(_) => Decision::Nothing,
            },
            Input::Escrowed { denomination, welcome, counter } => {
                self.escrowed(denomination, welcome, counter)
            }
            Input::Stacked { denomination, another, power_up } => {
                self.stacked(denomination, another, power_up, fresh)
            }
            Input::Returned => match self.order {
                Some(order) => Decision::Record(Fact::NoteReturned { note: order.note }),
                None => Decision::Repeat(Effect::Acknowledge),
            },
            Input::PoweredUp(found) => match (self.order, found) {
                (Some(order), PowerUp::NoteReturned) => {
                    Decision::Record(Fact::NoteReturned { note: order.note })
                }
                (Some(_), PowerUp::Empty | PowerUp::NoteInStacker | PowerUp::Kept) | (None, _) => {
                    Decision::Nothing
                }
            },
            Input::Ready { counter, same_unit } => self.order.map_or(Decision::Nothing, |order| {
                let owner = self.owner(order, fresh);
                Decision::Record(settle(order, owner, counter, same_unit, fresh))
            }),
            Input::OrderTimedOut(doubt) => {
                self.order.map_or(Decision::Nothing, |order| Decision::Record(in_doubt(order, doubt, fresh)))
            }
            Input::Confirm => self.confirm(utc),
            Input::Stop(payment) => self.stop(payment, utc),
            Input::Resume(payment) => match self.interrupted().find(|known| known.id == payment) {
                Some(_) if self.current.is_none() => Decision::Record(Fact::Resumed { payment }),
                Some(_) | None => Decision::Nothing,
            },
            Input::Answered { payment, outcome } => match self.payment(payment) {
                Some(known) if known.awaits_answer() => Decision::Record(Fact::Settled { outcome: *outcome }),
                Some(_) | None => Decision::Nothing,
            },
            Input::Print { payment, paper, copy } => match self.print {
                None => Decision::Record(Fact::PrintOrdered { print: self.next_print, payment, paper, copy }),
                Some(_) => Decision::Nothing,
            },
            Input::PrintEnded { print, result } => match self.print {
                Some(open) if open.print == print => Decision::Record(match result {
                    Ok(()) => Fact::Printed { print },
                    Err(fault) => Fact::PrintFailed { print, fault },
                }),
                Some(_) | None => Decision::Nothing,
            },
            Input::Leave => self.leave(),
            Input::Authorize(mark) => self.authorize(mark, utc),
            Input::Card(payment, step) => self.card_step(payment, step),
        }
    }

    fn escrowed(&self, denomination: Denomination, welcome: bool, counter: Option<u16>) -> Decision {
        match (self.order, self.current()) {
            // The order is on disk already, but the acceptor still holds the note: say it again.
            (Some(order), _) if order.denomination == denomination => Decision::Repeat(Effect::Stack),
            (None, Some(payment)) if welcome && payment.stage() == Stage::Collecting => {
                Decision::Record(Fact::StackOrdered {
                    note: self.next_note,
                    payment: payment.id,
                    denomination,
                    counter,
                })
            }
            (Some(_) | None, _) => Decision::Repeat(Effect::Return),
        }
    }

    fn stacked(
        &self,
        denomination: Denomination,
        another: bool,
        power_up: bool,
        fresh: PaymentId,
    ) -> Decision {
        let record =
            |note, payment, by| Decision::Record(Fact::NoteStacked { note, payment, denomination, by });
        match self.order {
            Some(order) => {
                let by = if power_up { StackedBy::PowerUp } else { StackedBy::Report };
                record(order.note, self.owner(order, fresh), by)
            }
            // The acceptor repeats itself because our acknowledgement got lost, maybe by a restart.
            None if !another
                && self.last_note == Some(denomination)
                && !planted(Fault::CreditEveryStacked) =>
            {
                Decision::Repeat(Effect::Acknowledge)
            }
            None => {
                let open = self.current().filter(|payment| payment.stage() == Stage::Collecting);
                record(self.next_note, open.map_or(fresh, |payment| payment.id), StackedBy::Unordered)
            }
        }
    }

    /// Whose note it is: its payment's, unless that was settled meanwhile without it.
    fn owner(&self, order: Order, fresh: PaymentId) -> PaymentId {
        match self.payment(order.payment) {
            Some(payment) if payment.stage() == Stage::Collecting => order.payment,
            Some(_) | None => fresh,
        }
    }

    fn confirm(&self, utc: UtcTime) -> Decision {
        match self.current() {
            Some(payment)
                if payment.stage() == Stage::Collecting
                    && self.order.is_none()
                    && payment.quote.is_some()
                    && payment.remaining().is_zero() =>
            {
                Decision::Request(account(payment, DepositKind::Pay, utc))
            }
            Some(_) | None => Decision::Nothing,
        }
    }

    fn stop(&self, payment: PaymentId, utc: UtcTime) -> Decision {
        match self.payment(payment) {
            Some(payment) if payment.ending.is_none() && payment.card_came_to_nothing() => {
                Decision::Record(Fact::Finished { payment: payment.id, ending: Ending::Voided })
            }
            // A note that is still moving for another payment keeps nobody.
            Some(payment)
                if payment.stage() == Stage::Collecting
                    && self.order.is_none_or(|order| order.payment != payment.id) =>
            {
                if payment.inserted().is_zero() {
                    Decision::Record(Fact::Finished { payment: payment.id, ending: Ending::Voided })
                } else {
                    Decision::Request(account(payment, DepositKind::Hold(HoldReason::Stopped), utc))
                }
            }
            Some(_) | None => Decision::Nothing,
        }
    }

    fn leave(&self) -> Decision {
        let Some(payment) = self.current() else { return Decision::Nothing };
        let card = payment.card_standing();
        let ending = match (payment.stage(), payment.answer().map(|outcome| outcome.verdict)) {
            _ if payment.card_came_to_nothing() => Ending::Voided,
            // It is decided first.
            _ if card.is_some_and(|card| !card.is_taken()) => return Decision::Nothing,
            (Stage::Settled, Some(Verdict::Accepted { .. })) => Ending::Paid,
            (Stage::Settled, Some(Verdict::Held(_))) => Ending::Held,
            (Stage::Requested, _) => Ending::ClaimGiven,
            (Stage::Collecting, _) if payment.inserted().is_zero() => Ending::Voided,
            (Stage::Collecting | Stage::Settled, _) => return Decision::Nothing,
        };
        Decision::Record(Fact::Finished { payment: payment.id, ending })
    }

    /// Money that needs an account of its own: notes in doubt, and notes without a payment. Called after each commit until `None`.
    pub fn orphan(&self, utc: UtcTime) -> Option<Deposit> {
        self.payments
            .iter()
            .find(|payment| {
                payment.quote.is_none() && payment.stage() == Stage::Collecting && !payment.notes.is_empty()
            })
            .map(|payment| {
                let reason =
                    if payment.payer.is_some() { HoldReason::Suspense } else { HoldReason::NoPayment };
                account(payment, DepositKind::Hold(reason), utc)
            })
    }

    /// Takes in a durable fact and says what it allows. The only mutator.
    pub fn commit(&mut self, journaled: &Journaled) -> Effect {
        let record = journaled.record();
        match &record.fact {
            Fact::Booted { .. } => {
                self.boots = record.boot;
                self.current = None;
                self.next_number = if planted(Fault::PaymentIdReused) { 1 } else { self.next_number };
                Effect::None
            }
            Fact::Linked { epoch, center_epoch } => {
                self.epoch = *epoch;
                self.center_epoch = *center_epoch;
                Effect::None
            }
            Fact::AcceptorIdentified { serial, bills, .. } => {
                self.acceptor_serial = serial.as_str().into();
                self.bills = bills.to_vec();
                Effect::None
            }
            Fact::Started { payment, quote, payer, payer_tag, language } => {
                self.next_number = self.next_number.max(payment.number + 1);
                self.current = Some(*payment);
                self.payments.push(Payment {
                    quote: Some(quote.clone()),
                    payer: Some(payer.clone()),
                    payer_tag: Some(*payer_tag),
                    language: *language,
                    ..empty(*payment)
                });
                Effect::None
            }
            Fact::StackOrdered { note, payment, denomination, counter } => {
                self.next_note = note + 1;
                self.order = Some(Order {
                    note: *note,
                    payment: *payment,
                    denomination: *denomination,
                    counter: *counter,
                });
                if planted(Fault::CreditAtEscrow) {
                    self.credit(*payment, *denomination, None);
                }
                Effect::Stack
            }
            Fact::NoteStacked { note, payment, denomination, by } => {
                self.close_order(*note, *denomination);
                self.cassette.add(*denomination);
                // A note that nobody ordered belongs to whoever stands there.
                let here = self.current().cloned();
                if *by == StackedBy::Unordered || !planted(Fault::CreditAtEscrow) {
                    self.credit(*payment, *denomination, here);
                }
                Effect::Acknowledge
            }
            Fact::NoteReturned { .. } => {
                self.order = None;
                self.last_note = None;
                Effect::Acknowledge
            }
            Fact::NoteInDoubt { note, payment, denomination, .. } => {
                let payer = self.order.and_then(|order| self.payment(order.payment)).cloned();
                self.close_order(*note, *denomination);
                self.credit(*payment, *denomination, payer);
                Effect::None
            }
            Fact::CommitRequested { deposit }
            | Fact::HoldRequested { deposit }
            | Fact::AccountLearned { deposit } => {
                if let Some(id) = deposit.read_unverified().map(|deposit| deposit.payment)
                    && let Some(payment) = self.payment_mut(id)
                {
                    payment.deposit = Some(deposit.clone());
                    payment.requested_at = record.utc;
                }
                Effect::None
            }
            Fact::Settled { outcome } => {
                if let Some(id) = outcome.read_unverified().map(|outcome| outcome.payment)
                    && let Some(payment) = self.payment_mut(id)
                {
                    payment.outcome = Some(outcome.clone());
                    if payment.payer_tag.is_none() {
                        // Nobody can come back for the paper of money that nobody typed an IIN for.
                        payment.ending.get_or_insert(Ending::ClaimGiven);
                    }
                }
                self.forget();
                Effect::None
            }
            Fact::PrintOrdered { print, payment, paper, copy } => {
                self.next_print = print + 1;
                let open = Print { print: *print, payment: *payment, paper: *paper, copy: *copy };
                self.print = Some(open);
                Effect::Print(open)
            }
            Fact::Printed { .. } => {
                if let Some(print) = self.print.take()
                    && let Some(payment) = self.payment_mut(print.payment)
                {
                    match print.paper {
                        Paper::ClaimSlip => payment.slip_given = true,
                        Paper::Receipt | Paper::Voucher => payment.handed_over = true,
                    }
                }
                self.forget();
                Effect::None
            }
            Fact::PrintFailed { .. } => {
                if let Some(print) = self.print.take()
                    && print.paper != Paper::ClaimSlip
                    && let Some(payment) = self.payment_mut(print.payment)
                {
                    payment.maybe_printed = true;
                }
                Effect::None
            }
            Fact::Finished { payment, ending } => {
                if self.current == Some(*payment) {
                    self.current = None;
                }
                if let Some(payment) = self.payment_mut(*payment) {
                    payment.ending = Some(*ending);
                }
                self.forget();
                Effect::None
            }
            Fact::Cosigned { size, .. } => {
                self.cosigned = *size;
                Effect::None
            }
            Fact::CassetteRemoved(removed) => {
                if *removed {
                    self.cassette = NotePile::default();
                }
                Effect::None
            }
            Fact::Resumed { payment } => {
                self.current = Some(*payment);
                Effect::None
            }
            Fact::NoteMoved { from, to, denomination } => {
                let owner = self.payment(*from).cloned();
                if self.payment_mut(*from).is_some_and(|payment| payment.notes.remove(*denomination)) {
                    self.credit(*to, *denomination, owner);
                }
                Effect::None
            }
            fact => self.commit_card_fact(fact, record.utc),
        }
    }

    fn close_order(&mut self, note: u64, denomination: Denomination) {
        self.order = None;
        self.last_note = Some(denomination);
        self.next_note = self.next_note.max(note + 1);
    }

    /// Credits a note to `owner`, making the account if money came without a payment.
    fn credit(&mut self, owner: PaymentId, denomination: Denomination, like: Option<Payment>) {
        self.next_number = self.next_number.max(owner.number + 1);
        match self.payment_mut(owner) {
            Some(payment) if payment.stage() == Stage::Collecting => payment.notes.add(denomination),
            Some(_) | None => {
                let mut payment = empty(owner);
                if let Some(like) = like {
                    payment.origin = like.quote.or(like.origin);
                    payment.payer = like.payer;
                    payment.payer_tag = like.payer_tag;
                    payment.language = like.language;
                }
                payment.notes.add(denomination);
                self.payments.push(payment);
            }
        }
    }

    fn forget(&mut self) {
        self.payments.retain(|payment| !payment.is_over());
        let kept = |payment: &Payment| payment.outcome.is_some() && !payment.card_owes();
        let surplus = self.payments.iter().filter(|payment| kept(payment)).count().saturating_sub(MAX_KEPT);
        let mut dropped = 0;
        self.payments.retain(|payment| {
            let drop = kept(payment) && dropped < surplus;
            dropped += usize::from(drop);
            !drop
        });
    }

    /// Starts of the program so far.
    pub fn boots(&self) -> u32 {
        self.boots
    }

    /// The last epoch granted by the center, and its database's.
    pub fn epochs(&self) -> (u32, u32) {
        (self.epoch, self.center_epoch)
    }

    /// Number for the next payment.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// The payment on the screen.
    pub fn current(&self) -> Option<&Payment> {
        self.current.and_then(|id| self.payment(id))
    }

    /// Payments whose citizen was cut off by a restart.
    pub fn cut_off(&self) -> impl Iterator<Item = &Payment> {
        self.payments.iter().filter(|payment| {
            payment.ending.is_none() && self.current != Some(payment.id) && payment.payer_tag.is_some()
        })
    }

    /// Those of them that somebody may come back for: money is in, or a voucher was already given for it.
    pub fn interrupted(&self) -> impl Iterator<Item = &Payment> {
        self.cut_off().filter(|payment| match payment.card_standing() {
            Some(standing) => standing.is_taken() && payment.outcome.is_some(),
            None => !payment.notes.is_empty() || payment.deposit.is_some(),
        })
    }

    /// All payments that are not over.
    pub fn payments(&self) -> &[Payment] {
        &self.payments
    }

    /// One of them.
    pub fn payment(&self, id: PaymentId) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.id == id)
    }

    fn payment_mut(&mut self, id: PaymentId) -> Option<&mut Payment> {
        self.payments.iter_mut().find(|payment| payment.id == id)
    }

    /// The note whose end was not seen yet.
    pub fn order(&self) -> Option<Order> {
        self.order
    }

    /// The print whose end was not seen yet.
    pub fn print(&self) -> Option<Print> {
        self.print
    }

    /// What lies in the cassette since it was last put in, as far as the journal knows.
    pub fn cassette(&self) -> &NotePile {
        &self.cassette
    }

    /// Records the center has cosigned.
    pub fn cosigned(&self) -> u64 {
        self.cosigned
    }

    /// Serial number of the acceptor seen last.
    pub fn acceptor_serial(&self) -> &str {
        &self.acceptor_serial
    }

    /// Serial number of the last key that the PIN pad used.
    pub fn pin_serial(&self) -> Option<[u8; 10]> {
        self.pin_serial
    }

    /// Whether a card is in the reader, as far as the journal knows, and the payment it is for.
    pub fn card_inside(&self) -> Option<Option<PaymentId>> {
        self.card_inside
    }

    /// Bill table of the acceptor seen last.
    pub fn bills(&self) -> &[(u8, Denomination)] {
        &self.bills
    }

    /// Value of the last note that was stacked or fell into doubt, unless one was returned since.
    pub fn last_note(&self) -> Option<Denomination> {
        self.last_note
    }

    /// Sum, number and age of what the center has not answered yet.
    pub fn unsettled(&self) -> (Amount, usize, Option<UtcTime>) {
        let open = || self.payments.iter().filter(|payment| payment.is_unsettled());
        (
            open().map(Payment::inserted).sum(),
            open().count(),
            open().map(|payment| payment.requested_at).min(),
        )
    }
}

fn empty(id: PaymentId) -> Payment {
    Payment {
        id,
        quote: None,
        origin: None,
        payer: None,
        payer_tag: None,
        language: Language::default(),
        notes: NotePile::default(),
        deposit: None,
        requested_at: UtcTime::default(),
        outcome: None,
        slip_given: false,
        maybe_printed: false,
        handed_over: false,
        ending: None,
        card: None,
    }
}

fn account(payment: &Payment, kind: DepositKind, utc: UtcTime) -> Deposit {
    Deposit {
        payment: payment.id,
        kind,
        quote: payment.quote.clone().or_else(|| payment.origin.clone()),
        payer: payment.payer.clone(),
        notes: payment.notes.clone(),
        made_at: utc,
    }
}

/// What the acceptor's silence about an open order means once it is initialised.
fn settle(order: Order, owner: PaymentId, counter: Option<u16>, same_unit: bool, fresh: PaymentId) -> Fact {
    let doubt = |doubt| in_doubt(order, doubt, fresh);
    if !same_unit {
        return doubt(Doubt::OtherDevice);
    }
    match (order.counter, counter) {
        (Some(before), Some(after)) if after == before && !planted(Fault::CounterIgnored) => {
            Fact::NoteReturned { note: order.note }
        }
        (Some(before), Some(after))
            if after == before.wrapping_add(1) || planted(Fault::CounterIgnored) && after == before =>
        {
            Fact::NoteStacked {
                note: order.note,
                payment: owner,
                denomination: order.denomination,
                by: StackedBy::Counter,
            }
        }
        (Some(before), Some(after)) => doubt(Doubt::CounterJumped { before, after }),
        (None, _) | (_, None) if planted(Fault::DoubtIsReturned) => Fact::NoteReturned { note: order.note },
        (None, _) | (_, None) => doubt(Doubt::NoWitness),
    }
}

fn in_doubt(order: Order, doubt: Doubt, fresh: PaymentId) -> Fact {
    Fact::NoteInDoubt { note: order.note, payment: fresh, denomination: order.denomination, doubt }
}
