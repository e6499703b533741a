//! A store in memory, for tests and for the simulated world. Cloning it is taking a backup.

use crate::logic::{
    acquirer::{Acquiring, CardRow, Standing as CardStanding},
    disputes::{DisputeRow, Disputes},
    enrolment::{CertificateRow, Enrolment, InviteRow},
    errands::{Errands, NoticeRow, WaitingRow},
    ledger::Posting,
    office::{Deed, Office, OperatorRow, RequestRow},
    presence::{Presence, Slots},
    rebuild::{Rebuilding, Standing},
    register::{Adopted, AdoptedRow},
    store::{
        Alarm, AttemptRow, BalanceRow, CodeRow, KioskRow, PayerTag, PaymentRow, PaymentState, Result, Store,
        StoreError, Transact, WitnessRow,
    },
};
use std::collections::BTreeMap;
use tolem_probe::{Fault, planted};
use tolem_protocol::{Amount, BalanceNumber, KioskNumber, PaymentCode, PaymentId, UtcTime, utc::Date};

/// Rows in ordered maps.
#[derive(Clone, Default, Debug)]
pub struct MemoryStore {
    center_epoch: u32,
    kiosks: BTreeMap<KioskNumber, KioskRow>,
    former_keys: BTreeMap<KioskNumber, Vec<[u8; 32]>>,
    boots: BTreeMap<(KioskNumber, [u8; 16]), u32>,
    payments: BTreeMap<PaymentId, PaymentRow>,
    balances: BTreeMap<BalanceNumber, BalanceRow>,
    codes: BTreeMap<PaymentCode, CodeRow>,
    postings: Vec<Posting>,
    witness: BTreeMap<KioskNumber, WitnessRow>,
    attempts: BTreeMap<String, AttemptRow>,
    alarms: Vec<Alarm>,
    operators: BTreeMap<String, OperatorRow>,
    requests: BTreeMap<u32, RequestRow>,
    deeds: Vec<Deed>,
    waiting: BTreeMap<PaymentId, WaitingRow>,
    notices: Vec<NoticeRow>,
    rebuilding: Option<Rebuilding>,
    heard: BTreeMap<KioskNumber, u32>,
    slots: BTreeMap<(KioskNumber, i64), Slots>,
    cards: BTreeMap<PaymentId, CardRow>,
    disputes: BTreeMap<u32, DisputeRow>,
    adopted: BTreeMap<String, AdoptedRow>,
    trace: u32,
    invites: BTreeMap<KioskNumber, InviteRow>,
    certificates: BTreeMap<KioskNumber, CertificateRow>,
    /// While set, each transaction fails at its end, after its work: the disk is gone.
    pub broken: bool,
}

impl MemoryStore {
    /// An empty store in its first life.
    pub fn new(center_epoch: u32) -> Self {
        Self { center_epoch, ..Self::default() }
    }
}

impl Store for MemoryStore {
    fn center_epoch(&self) -> Result<u32> {
        Ok(self.center_epoch)
    }

    fn set_center_epoch(&mut self, epoch: u32) -> Result<()> {
        self.center_epoch = epoch;
        Ok(())
    }

    fn kiosk(&self, kiosk: KioskNumber) -> Result<Option<KioskRow>> {
        Ok(self.kiosks.get(&kiosk).cloned())
    }

    fn kiosks(&self) -> Result<Vec<KioskRow>> {
        Ok(self.kiosks.values().cloned().collect())
    }

    fn put_kiosk(&mut self, row: &KioskRow) -> Result<()> {
        self.kiosks.insert(row.kiosk, row.clone());
        Ok(())
    }

    fn former_keys(&self, kiosk: KioskNumber) -> Result<Vec<[u8; 32]>> {
        Ok(self.former_keys.get(&kiosk).cloned().unwrap_or_default())
    }

    fn add_former_key(&mut self, kiosk: KioskNumber, key: &[u8; 32]) -> Result<()> {
        self.former_keys.entry(kiosk).or_default().push(*key);
        Ok(())
    }

    fn boot(&self, kiosk: KioskNumber, nonce: &[u8; 16]) -> Result<Option<u32>> {
        Ok(self.boots.get(&(kiosk, *nonce)).copied())
    }

    fn put_boot(&mut self, kiosk: KioskNumber, nonce: &[u8; 16], epoch: u32) -> Result<()> {
        self.boots.insert((kiosk, *nonce), epoch);
        Ok(())
    }

    fn payment(&self, payment: &PaymentId) -> Result<Option<PaymentRow>> {
        Ok(self.payments.get(payment).cloned())
    }

    fn put_payment(&mut self, row: &PaymentRow) -> Result<()> {
        self.payments.insert(row.payment, row.clone());
        Ok(())
    }

    fn payments_on_slip(&self, kiosk: KioskNumber, slip: u64) -> Result<Vec<PaymentRow>> {
        let on_slip =
            |row: &&PaymentRow| row.payment.kiosk == kiosk && row.payment.number % 10_000_000 == slip;
        Ok(self.payments.values().rev().filter(on_slip).cloned().collect())
    }

    fn settled_cash(&self, payer: &PayerTag, day: Date) -> Result<Amount> {
        let settled = |row: &&PaymentRow| matches!(row.state, PaymentState::Settled | PaymentState::Disputed);
        let of = |row: &&PaymentRow| row.payer.as_ref() == Some(payer) && row.day == day;
        let sums = self.payments.values().filter(of).filter(settled).map(|row| row.inserted);
        Ok(sums.fold(Amount::ZERO, |sum, cash| sum.checked_add(cash).unwrap_or(Amount::MAX)))
    }

    fn quoted_of(&self, payer: &PayerTag, day: Date) -> Result<Vec<PaymentRow>> {
        let of = |row: &&PaymentRow| row.payer.as_ref() == Some(payer) && row.day == day;
        let quoted = |row: &&PaymentRow| row.state == PaymentState::Quoted;
        Ok(self.payments.values().filter(of).filter(quoted).cloned().collect())
    }

    fn each_payment(&self, each: &mut dyn FnMut(PaymentRow)) -> Result<()> {
        self.payments.values().cloned().for_each(each);
        Ok(())
    }

    fn balance(&self, number: BalanceNumber) -> Result<Option<BalanceRow>> {
        Ok(self.balances.get(&number).cloned())
    }

    fn put_balance(&mut self, row: &BalanceRow) -> Result<()> {
        self.balances.insert(row.number, row.clone());
        Ok(())
    }

    fn each_balance(&self, each: &mut dyn FnMut(BalanceRow)) -> Result<()> {
        self.balances.values().cloned().for_each(each);
        Ok(())
    }

    fn code(&self, code: PaymentCode) -> Result<Option<CodeRow>> {
        Ok(self.codes.get(&code).cloned())
    }

    fn put_code(&mut self, row: &CodeRow) -> Result<()> {
        self.codes.insert(row.code, row.clone());
        Ok(())
    }

    fn code_of(&self, payment: &PaymentId) -> Result<Option<CodeRow>> {
        Ok(self.codes.values().find(|row| row.payment == *payment).cloned())
    }

    fn post(&mut self, posting: &Posting) -> Result<()> {
        self.postings.push(posting.clone());
        Ok(())
    }

    fn each_posting(&self, each: &mut dyn FnMut(Posting)) -> Result<()> {
        self.postings.iter().cloned().for_each(each);
        Ok(())
    }

    fn witness(&self, kiosk: KioskNumber) -> Result<Option<WitnessRow>> {
        Ok(self.witness.get(&kiosk).cloned())
    }

    fn put_witness(&mut self, kiosk: KioskNumber, row: &WitnessRow) -> Result<()> {
        self.witness.insert(kiosk, row.clone());
        Ok(())
    }

    fn attempts(&self, key: &str) -> Result<Option<AttemptRow>> {
        Ok(self.attempts.get(key).copied())
    }

    fn put_attempts(&mut self, key: &str, row: AttemptRow) -> Result<()> {
        self.attempts.insert(key.to_owned(), row);
        Ok(())
    }

    fn raise(&mut self, alarm: &Alarm) -> Result<()> {
        self.alarms.push(alarm.clone());
        Ok(())
    }

    fn alarms(&self) -> Result<Vec<Alarm>> {
        Ok(self.alarms.clone())
    }
}

impl Office for MemoryStore {
    fn operator(&self, name: &str) -> Result<Option<OperatorRow>> {
        Ok(self.operators.get(name).cloned())
    }

    fn operators(&self) -> Result<Vec<OperatorRow>> {
        Ok(self.operators.values().cloned().collect())
    }

    fn put_operator(&mut self, row: &OperatorRow) -> Result<()> {
        self.operators.insert(row.name.clone(), row.clone());
        Ok(())
    }

    fn request(&self, number: u32) -> Result<Option<RequestRow>> {
        Ok(self.requests.get(&number).cloned())
    }

    fn requests(&self) -> Result<Vec<RequestRow>> {
        Ok(self.requests.values().cloned().collect())
    }

    fn put_request(&mut self, row: &RequestRow) -> Result<()> {
        self.requests.insert(row.number, row.clone());
        Ok(())
    }

    fn write_deed(&mut self, deed: &Deed) -> Result<()> {
        self.deeds.push(deed.clone());
        Ok(())
    }

    fn deeds(&self) -> Result<Vec<Deed>> {
        Ok(self.deeds.clone())
    }
}

impl Errands for MemoryStore {
    fn waiting(&self, payment: &PaymentId) -> Result<Option<WaitingRow>> {
        Ok(self.waiting.get(payment).cloned())
    }

    fn put_waiting(&mut self, row: &WaitingRow) -> Result<()> {
        self.waiting.insert(row.payment, row.clone());
        Ok(())
    }

    fn end_waiting(&mut self, payment: &PaymentId) -> Result<()> {
        self.waiting.remove(payment);
        Ok(())
    }

    fn waiting_due(&self, now: UtcTime, limit: u32) -> Result<Vec<WaitingRow>> {
        let mut due: Vec<WaitingRow> = self.waiting.values().filter(|row| row.next <= now).cloned().collect();
        due.sort_by_key(|row| (row.since, row.payment));
        due.truncate(limit as usize);
        Ok(due)
    }

    fn add_notice(&mut self, row: &NoticeRow) -> Result<()> {
        let id = self.notices.len() as u64 + 1;
        self.notices.push(NoticeRow { id, ..row.clone() });
        Ok(())
    }

    fn notice(&self, id: u64) -> Result<Option<NoticeRow>> {
        Ok(self.notices.iter().find(|row| row.id == id).cloned())
    }

    fn put_notice(&mut self, row: &NoticeRow) -> Result<()> {
        if let Some(known) = self.notices.iter_mut().find(|known| known.id == row.id) {
            *known = row.clone();
        }
        Ok(())
    }

    fn notices_due(&self, now: UtcTime, limit: u32) -> Result<Vec<NoticeRow>> {
        let open = |row: &&NoticeRow| row.taken_at.is_none();
        let first = |row: &&NoticeRow| {
            !self.notices.iter().filter(open).any(|other| other.code == row.code && other.id < row.id)
        };
        let due = self.notices.iter().filter(open).filter(|row| row.next <= now).filter(first);
        Ok(due.take(limit as usize).cloned().collect())
    }

    fn each_notice(&self, each: &mut dyn FnMut(NoticeRow)) -> Result<()> {
        self.notices.iter().cloned().for_each(each);
        Ok(())
    }

    fn notices_open(&self) -> Result<(u64, Option<UtcTime>)> {
        let open = || self.notices.iter().filter(|row| row.taken_at.is_none());
        Ok((open().count() as u64, open().map(|row| row.made_at).min()))
    }
}

impl Presence for MemoryStore {
    fn slots(&self, kiosk: KioskNumber, day: i64) -> Result<Option<Slots>> {
        Ok(self.slots.get(&(kiosk, day)).copied())
    }

    fn put_slots(&mut self, kiosk: KioskNumber, day: i64, slots: &Slots) -> Result<()> {
        self.slots.insert((kiosk, day), *slots);
        Ok(())
    }
}

impl Standing for MemoryStore {
    fn rebuilding(&self) -> Result<Option<Rebuilding>> {
        Ok(self.rebuilding)
    }

    fn set_rebuilding(&mut self, state: Option<Rebuilding>) -> Result<()> {
        self.rebuilding = state;
        Ok(())
    }

    fn heard(&self, kiosk: KioskNumber) -> Result<Option<u32>> {
        Ok(self.heard.get(&kiosk).copied())
    }

    fn put_heard(&mut self, kiosk: KioskNumber, center_epoch: u32) -> Result<()> {
        self.heard.insert(kiosk, center_epoch);
        Ok(())
    }
}

impl Enrolment for MemoryStore {
    fn invite(&self, kiosk: KioskNumber) -> Result<Option<InviteRow>> {
        Ok(self.invites.get(&kiosk).cloned())
    }

    fn put_invite(&mut self, row: &InviteRow) -> Result<()> {
        self.invites.insert(row.kiosk, row.clone());
        Ok(())
    }

    fn certificate(&self, kiosk: KioskNumber) -> Result<Option<CertificateRow>> {
        Ok(self.certificates.get(&kiosk).cloned())
    }

    fn put_certificate(&mut self, row: &CertificateRow) -> Result<()> {
        self.certificates.insert(row.kiosk, row.clone());
        Ok(())
    }
}

impl Adopted for MemoryStore {
    fn adopted(&self, transaction: &str) -> Result<Option<AdoptedRow>> {
        Ok(self.adopted.get(transaction).cloned())
    }

    fn all_adopted(&self) -> Result<Vec<AdoptedRow>> {
        Ok(self.adopted.values().cloned().collect())
    }

    fn put_adopted(&mut self, row: &AdoptedRow) -> Result<()> {
        self.adopted.insert(row.transaction.clone(), row.clone());
        Ok(())
    }
}

impl Disputes for MemoryStore {
    fn dispute(&self, number: u32) -> Result<Option<DisputeRow>> {
        Ok(self.disputes.get(&number).cloned())
    }

    fn disputes(&self) -> Result<Vec<DisputeRow>> {
        Ok(self.disputes.values().cloned().collect())
    }

    fn disputes_of(&self, payment: &PaymentId) -> Result<Vec<DisputeRow>> {
        Ok(self.disputes.values().filter(|row| row.payment == *payment).cloned().collect())
    }

    fn put_dispute(&mut self, row: &DisputeRow) -> Result<()> {
        self.disputes.insert(row.number, row.clone());
        Ok(())
    }
}

impl Transact for MemoryStore {
    fn transact<R>(&mut self, mut work: impl FnMut(&mut Self) -> Result<R>) -> Result<R> {
        let before = self.clone();
        let result = work(self);
        let lost = self.broken && planted(Fault::AnswerBeforeDurable);
        let result = if self.broken && !lost { Err(StoreError("the disk is gone".into())) } else { result };
        if result.is_err() || lost {
            let broken = self.broken;
            *self = before;
            self.broken = broken;
        }
        result
    }
}

impl Acquiring for MemoryStore {
    fn next_trace(&mut self) -> Result<u32> {
        if planted(Fault::TraceNumberReused) {
            self.trace = 0;
        }
        self.trace += 1;
        Ok(self.trace)
    }

    fn last_trace(&self) -> Result<u32> {
        Ok(self.trace)
    }

    fn card(&self, payment: &PaymentId) -> Result<Option<CardRow>> {
        Ok(self.cards.get(payment).cloned())
    }

    fn card_by_trace(&self, trace: u32) -> Result<Option<CardRow>> {
        let has = |row: &&CardRow| {
            row.request.trace == trace || row.errand.is_some_and(|errand| errand.trace == trace)
        };
        Ok(self.cards.values().find(has).cloned())
    }

    fn cards_named(&self, terminal: &[u8; 8], trace: u32) -> Result<Vec<CardRow>> {
        let named = |row: &&CardRow| row.terminal == *terminal && row.request.trace % 1_000_000 == trace;
        let mut rows: Vec<CardRow> = self.cards.values().filter(named).cloned().collect();
        rows.sort_by_key(|row| row.request.trace);
        Ok(rows)
    }

    fn put_card(&mut self, row: &CardRow) -> Result<()> {
        self.cards.insert(row.payment, row.clone());
        Ok(())
    }

    fn each_card(&self, each: &mut dyn FnMut(CardRow)) -> Result<()> {
        let mut rows: Vec<&CardRow> = self.cards.values().collect();
        rows.sort_by_key(|row| row.request.trace);
        rows.into_iter().cloned().for_each(each);
        Ok(())
    }

    fn cards_undecided(&self, before: UtcTime) -> Result<Vec<CardRow>> {
        let undecided = |row: &&CardRow| row.standing == CardStanding::Approved && row.request.sent <= before;
        let mut rows: Vec<CardRow> = self.cards.values().filter(undecided).cloned().collect();
        rows.sort_by_key(|row| row.request.trace);
        Ok(rows)
    }

    fn cards_due(&self, now: UtcTime, most: u32) -> Result<Vec<CardRow>> {
        use CardStanding::{Confirming, Reversing, Sent};
        let waits = |row: &&CardRow| matches!(row.standing, Sent | Confirming | Reversing) && row.next <= now;
        let mut due: Vec<CardRow> = self.cards.values().filter(waits).cloned().collect();
        due.sort_by_key(|row| (row.next, row.request.trace));
        due.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        Ok(due)
    }
}
