//! A store in memory, for tests and for the simulated world. Cloning it is taking a backup.

use crate::logic::{
    ledger::Posting,
    store::{
        Alarm, AttemptRow, BalanceRow, CodeRow, CodeState, KioskRow, PayerTag, PaymentRow, Result, Store,
        StoreError, Transact, WitnessRow,
    },
};
use std::collections::BTreeMap;
use tolem_probe::{Fault, planted};
use tolem_protocol::{BalanceNumber, KioskNumber, PaymentCode, PaymentId, utc::Date};

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

    fn payments_of(&self, payer: &PayerTag, day: Date) -> Result<Vec<PaymentRow>> {
        let of = |row: &&PaymentRow| row.payer.as_ref() == Some(payer) && row.day == day;
        Ok(self.payments.values().filter(of).cloned().collect())
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

    fn codes_to_notify(&self, limit: u32) -> Result<Vec<CodeRow>> {
        let mut due: Vec<CodeRow> =
            self.codes.values().filter(|row| row.state == CodeState::Issued).cloned().collect();
        due.sort_by_key(|row| (row.issued_at, row.code));
        due.truncate(limit as usize);
        Ok(due)
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

impl Transact for MemoryStore {
    fn transact<R>(&mut self, work: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
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
