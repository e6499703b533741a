//! The journal of a kiosk that cannot send it any more: what is open in it, and how that is settled once.
//!
//! A journal is signed by its kiosk, so every deposit in it is as good as one that came over the link. Notes without a
//! deposit (the kiosk died before it wrote one) are held for their payer on the journal's word. A card payment gets the end that the kiosk
//! itself would have given it after its next start ([`cards`]). What the center knows already
//! is left alone, and a later drain of the same kiosk meets the answers that were given here.

mod cards;

pub use cards::{CardEnd, LeftCard};

use crate::logic::{
    Center, Moment,
    deposit::Via,
    store::{Alarm, Result, Store},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use tolem_protocol::{
    Amount, Denomination, KioskNumber, PaymentId,
    merkle::Hash,
    messages::{Deposit, DepositKind, HoldReason, Outcome, Quote, Response, SealedIin},
    notes::{MAX_DENOMINATIONS, NotePile},
    record::{Fact, Record},
    signed::Signed,
};

/// Notes in the cassette for which the kiosk wrote no deposit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Loose {
    /// The payment they were counted for.
    pub payment: PaymentId,
    /// Why they are held.
    pub reason: HoldReason,
    /// The notes.
    pub notes: NotePile,
    /// The quote of the payment they came in with.
    pub quote: Option<Signed<Quote>>,
    /// Who put them in.
    pub payer: Option<SealedIin>,
}

/// A note that was ordered into the cassette, and the journal ends before it is known where it went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Unknown {
    /// The payment.
    pub payment: PaymentId,
    /// Its value.
    pub denomination: Denomination,
}

/// What a verified journal tells.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rescue {
    /// Whose journal.
    pub kiosk: KioskNumber,
    /// Records in it.
    pub size: u64,
    /// Its root: names exactly this journal.
    pub root: Hash,
    /// Deposits that were answered, as far as the kiosk knew.
    pub answered: Vec<(Signed<Deposit>, Signed<Outcome>)>,
    /// Deposits without an answer.
    pub open: Vec<Signed<Deposit>>,
    /// Notes without a deposit.
    pub loose: Vec<Loose>,
    /// The note whose way nobody knows.
    pub unknown: Option<Unknown>,
    /// Card payments of which the center may not know the end.
    pub cards: Vec<LeftCard>,
}

impl Rescue {
    /// Cash in what is open and loose; the note whose way is unknown does not count.
    pub fn total(&self) -> Amount {
        let deposits = self.open.iter().filter_map(Signed::read_unverified).map(|deposit| deposit.notes);
        let piles = deposits.chain(self.loose.iter().map(|loose| loose.notes.clone()));
        piles.fold(Amount::ZERO, |sum, pile| {
            sum.checked_add(pile.total().unwrap_or(Amount::MAX)).unwrap_or(Amount::MAX)
        })
    }
}

impl fmt::Display for Rescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "take in the journal of kiosk {} with {} records: {} open deposits and {} piles without one, {} together; \
             {} answers to recall",
            self.kiosk,
            self.size,
            self.open.len(),
            self.loose.len(),
            self.total(),
            self.answered.len()
        )?;
        cards::tell(f, &self.cards)?;
        match &self.unknown {
            Some(note) => write!(f, "; a note of {} that must be counted", note.denomination.amount()),
            None => Ok(()),
        }
    }
}

/// What taking a journal in did.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Rescued {
    /// Deposits that were settled now.
    pub settled: u32,
    /// Deposits that wait for the gateway.
    pub waiting: u32,
    /// Piles without a deposit that are held now.
    pub held: u32,
    /// Answers that were recalled.
    pub recalled: u32,
    /// What was refused; the alarms say why.
    pub refused: u32,
    /// What the center knew already.
    pub known: u32,
    /// Card payments that are confirmed now.
    pub confirmed: u32,
    /// Card payments that are undone now.
    pub undone: u32,
    /// Card payments whose end nobody knows; a person must say it.
    pub unclear: u32,
}

/// Reads a journal record by record.
#[derive(Default)]
pub struct Reading {
    started: BTreeMap<PaymentId, (Signed<Quote>, SealedIin)>,
    deposits: BTreeMap<PaymentId, Signed<Deposit>>,
    outcomes: BTreeMap<PaymentId, Signed<Outcome>>,
    piles: BTreeMap<PaymentId, (NotePile, HoldReason, PaymentId)>,
    order: Option<(u64, Unknown)>,
    cards: cards::Reading,
}

impl Reading {
    /// Reads the next record.
    ///
    /// # Errors
    /// If it says something that no kiosk writes.
    pub fn record(&mut self, record: &Record) -> std::result::Result<(), &'static str> {
        self.cards.record(&record.fact);
        match &record.fact {
            Fact::Started { payment, quote, payer, .. } => {
                self.started.insert(*payment, (quote.clone(), payer.clone()));
            }
            Fact::StackOrdered { note, payment, denomination, .. } => {
                self.order = Some((*note, Unknown { payment: *payment, denomination: *denomination }));
            }
            Fact::NoteStacked { note, payment, denomination, .. } => {
                self.put(*payment, *denomination, HoldReason::Stopped, *payment)?;
                self.ended(*note);
            }
            Fact::NoteReturned { note } => {
                self.ended(*note);
            }
            Fact::NoteInDoubt { note, payment, denomination, .. } => {
                let from = self.ended(*note).map_or(*payment, |order| order.payment);
                self.put(*payment, *denomination, HoldReason::Suspense, from)?;
            }
            Fact::NoteMoved { from, to, denomination } => {
                if !self.piles.get_mut(from).is_some_and(|(pile, ..)| pile.remove(*denomination)) {
                    return Err("it moves a note that was not counted");
                }
                self.put(*to, *denomination, HoldReason::Stopped, *from)?;
            }
            Fact::CommitRequested { deposit }
            | Fact::HoldRequested { deposit }
            | Fact::AccountLearned { deposit } => {
                let read = deposit.read_unverified().ok_or("its deposit cannot be read")?;
                self.deposits.insert(read.payment, deposit.clone());
            }
            Fact::Settled { outcome } => {
                let read = outcome.read_unverified().ok_or("its answer cannot be read")?;
                self.outcomes.insert(read.payment, outcome.clone());
            }
            Fact::Booted { .. }
            | Fact::Linked { .. }
            | Fact::AcceptorIdentified { .. }
            | Fact::PrintOrdered { .. }
            | Fact::Printed { .. }
            | Fact::PrintFailed { .. }
            | Fact::Finished { .. }
            | Fact::Resumed { .. }
            // No cash is in these; of cards see `cards`.
            | Fact::AuthorizeSent { .. }
            | Fact::Card { .. }
            | Fact::CardMoved { .. }
            | Fact::PinKeyUsed { .. }
            | Fact::Cosigned { .. }
            | Fact::CassetteRemoved(_)
            | Fact::Opened { .. }
            | Fact::FaultChanged { .. }
            | Fact::CheatReported => {}
        }
        Ok(())
    }

    fn ended(&mut self, note: u64) -> Option<Unknown> {
        let (_, order) = self.order.take_if(|(ordered, _)| *ordered == note)?;
        Some(order)
    }

    fn put(
        &mut self,
        payment: PaymentId,
        denomination: Denomination,
        reason: HoldReason,
        from: PaymentId,
    ) -> std::result::Result<(), &'static str> {
        let (pile, ..) = self.piles.entry(payment).or_insert_with(|| (NotePile::default(), reason, from));
        let known = pile.iter().any(|(other, _)| other == denomination);
        if !known && pile.iter().count() == MAX_DENOMINATIONS {
            return Err("it counts more denominations than exist");
        }
        pile.add(denomination);
        Ok(())
    }

    /// What the whole journal tells. `missing` records of it are known to exist and were not read.
    pub fn end(self, kiosk: KioskNumber, size: u64, root: Hash, missing: u64) -> Rescue {
        let Self { started, deposits, outcomes, piles, order, cards } = self;
        let mut rescue = Rescue {
            kiosk,
            size,
            root,
            answered: Vec::new(),
            open: Vec::new(),
            loose: Vec::new(),
            unknown: order.map(|(_, order)| order),
            cards: cards.end(&outcomes, missing > 0),
        };
        for (payment, (notes, reason, from)) in piles {
            if deposits.contains_key(&payment) || outcomes.contains_key(&payment) || notes.is_empty() {
                continue;
            }
            let (quote, payer) = started.get(&from).cloned().unzip();
            let reason = match (reason, &payer) {
                (HoldReason::Stopped, None) => HoldReason::NoPayment,
                (reason, _) => reason,
            };
            rescue.loose.push(Loose { payment, reason, notes, quote, payer });
        }
        for (payment, deposit) in deposits {
            match outcomes.get(&payment) {
                Some(outcome) => rescue.answered.push((deposit, outcome.clone())),
                None => rescue.open.push(deposit),
            }
        }
        rescue
    }
}

impl Center {
    /// Leaves out what this center knows already, so that two people look only at what will be done.
    pub fn sift(&self, store: &dyn Store, rescue: Rescue) -> Result<Rescue> {
        let known = |payment: &PaymentId| -> Result<bool> {
            Ok(store.payment(payment)?.is_some_and(|row| row.outcome.is_some()))
        };
        let id = |deposit: &Signed<Deposit>| deposit.read_unverified().map(|read| read.payment);
        let mut sifted = Rescue {
            answered: Vec::new(),
            open: Vec::new(),
            loose: Vec::new(),
            cards: Vec::new(),
            ..rescue.clone()
        };
        for (deposit, outcome) in rescue.answered {
            if !id(&deposit).map_or(Ok(true), |payment| known(&payment))? {
                sifted.answered.push((deposit, outcome));
            }
        }
        for deposit in rescue.open {
            let first = match id(&deposit) {
                Some(payment) => store.payment(&payment)?.filter(|row| row.outcome.is_some()),
                None => continue,
            };
            // Another deposit under a settled id is a dispute, and is shown.
            if first.is_none_or(|row| row.deposit.is_some_and(|first| first.digest() != deposit.digest())) {
                sifted.open.push(deposit);
            }
        }
        for loose in rescue.loose {
            if !known(&loose.payment)? {
                sifted.loose.push(loose);
            }
        }
        for card in rescue.cards {
            if self.is_news(store, &card)? {
                sifted.cards.push(card);
            }
        }
        Ok(sifted)
    }

    /// Settles what is open in a journal. The kiosk takes no more money until an operator clears it: its journal was taken for dead.
    pub(super) fn rescue(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        rescue: &Rescue,
    ) -> Result<Rescued> {
        let mut done = Rescued::default();
        for (deposit, outcome) in &rescue.answered {
            match self.recall(store, at, Via::Import, deposit, outcome)? {
                Response::Recalled => done.recalled += 1,
                _ => done.refused += 1,
            }
        }
        for deposit in &rescue.open {
            match self.settle(store, at, Via::Import, deposit)? {
                Response::Outcome(_) => done.settled += 1,
                Response::Refused(tolem_protocol::messages::Refusal::Unavailable) => done.waiting += 1,
                _ => done.refused += 1,
            }
        }
        for loose in &rescue.loose {
            match self.hold_loose(store, at, loose, &rescue.root)? {
                true => done.held += 1,
                false => done.known += 1,
            }
        }
        for card in &rescue.cards {
            self.end_card(store, at, rescue, card, &mut done)?;
        }
        let kiosk = rescue.kiosk;
        self.heard_all_of(store, at, kiosk)?;
        if let Some(note) = rescue.unknown {
            store.raise(&Alarm {
                at: at.now,
                kiosk,
                kind: "note-unknown".into(),
                text: format!(
                    "the imported journal ends while a note of {} of payment {} was on its way: count the cassette",
                    note.denomination.amount(),
                    note.payment
                ),
                disputed: note.denomination.amount(),
                evidence: rescue.root.to_vec(),
            })?;
        }
        if let Some(mut row) = store.kiosk(kiosk)? {
            let text =
                format!("the journal of kiosk {kiosk} with {} records was imported by file", rescue.size);
            self.close(store, at, &mut row, "journal-imported", text, &rescue.root)?;
        }
        Ok(done)
    }

    /// Holds notes on the word of a journal; false if their payment has an answer.
    fn hold_loose(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        loose: &Loose,
        root: &Hash,
    ) -> Result<bool> {
        let known = store.payment(&loose.payment)?;
        if known.as_ref().is_some_and(|row| row.outcome.is_some()) {
            return Ok(false);
        }
        let deposit = Deposit {
            payment: loose.payment,
            kind: DepositKind::Hold(loose.reason),
            quote: loose.quote.clone(),
            payer: loose.payer.clone(),
            notes: loose.notes.clone(),
            made_at: at.now,
        };
        let inserted = loose.notes.total().unwrap_or(Amount::MAX);
        let claimed = self.claimed(&deposit, known.as_ref(), inserted);
        let verdict = self.hold(store, at, &claimed, loose.reason)?;
        let outcome = self.outcome(store, at, loose.payment, *root, verdict)?;
        self.keep(store, &claimed, None, &outcome, at.now)?;
        Ok(true)
    }
}
