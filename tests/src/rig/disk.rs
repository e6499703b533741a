//! A disk that survives its kiosk: what was appended is there, and a fault can be set for the next append.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};
use tolem_core::{
    journal::JournalFault,
    ports::{Append, Store, StoreError},
};
use tolem_protocol::{
    merkle::{Hash, leaf_hash},
    record::Record,
};

/// What the next append does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DiskFault {
    /// Works.
    #[default]
    None,
    /// Fails and keeps nothing.
    FailedNotKept,
    /// Fails although it was kept: nobody may rely on either.
    FailedButKept,
}

#[derive(Default)]
struct Sectors {
    records: Vec<Vec<u8>>,
    nodes: BTreeMap<(u8, u64), Hash>,
    checkpoint: Option<String>,
    snapshot: Option<Vec<u8>>,
    fault: DiskFault,
    appends_until_fault: u64,
}

/// Shared by the kiosk and whoever watches it.
#[derive(Clone, Default)]
pub struct Disk(Rc<RefCell<Sectors>>);

impl Disk {
    /// After `appends` more good appends, the next one does `fault`; it does so once.
    pub fn fail_after(&self, appends: u64, fault: DiskFault) {
        let mut sectors = self.0.borrow_mut();
        sectors.fault = fault;
        sectors.appends_until_fault = appends;
    }

    /// Number of records.
    pub fn size(&self) -> u64 {
        self.0.borrow().records.len() as u64
    }

    /// All records.
    pub fn records(&self) -> Vec<Record> {
        let sectors = self.0.borrow();
        sectors
            .records
            .iter()
            .map(|bytes| Record::from_bytes(bytes).expect("the kiosk writes records"))
            .collect()
    }

    /// Checks every record against its leaf hash, as the verifier thread does.
    pub fn verify(&self) -> Result<u64, JournalFault> {
        let sectors = self.0.borrow();
        for (seq, record) in (0u64..).zip(&sectors.records) {
            if sectors.nodes.get(&(0, seq)) != Some(&leaf_hash(record)) {
                return Err(JournalFault::Root(seq));
            }
        }
        Ok(sectors.records.len() as u64)
    }

    /// Flips one bit of one record, as a thief with an editor would.
    pub fn tamper(&self, seq: usize) {
        let record = &mut self.0.borrow_mut().records[seq];
        let last = record.len() - 1;
        record[last] ^= 1;
    }
}

impl Store for Disk {
    fn size(&self) -> Result<u64, StoreError> {
        Ok(Disk::size(self))
    }

    fn append(&mut self, step: &Append<'_>) -> Result<(), StoreError> {
        let mut sectors = self.0.borrow_mut();
        assert_eq!(step.seq, sectors.records.len() as u64, "records are appended in order");
        let fault = if sectors.fault != DiskFault::None && sectors.appends_until_fault == 0 {
            std::mem::take(&mut sectors.fault)
        } else {
            sectors.appends_until_fault = sectors.appends_until_fault.saturating_sub(1);
            DiskFault::None
        };
        if fault != DiskFault::FailedNotKept {
            sectors.records.push(step.record.to_vec());
            sectors.nodes.insert((0, step.seq), step.leaf);
            for (level, index, hash) in step.nodes {
                sectors.nodes.insert((*level, *index), *hash);
            }
            if let Some(note) = step.checkpoint {
                sectors.checkpoint = Some(note.into());
            }
            if let Some(snapshot) = step.snapshot {
                sectors.snapshot = Some(snapshot.to_vec());
            }
        }
        match fault {
            DiskFault::None => Ok(()),
            DiskFault::FailedNotKept | DiskFault::FailedButKept => {
                Err(StoreError("input/output error".into()))
            }
        }
    }

    fn records(&self, from: u64, each: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<(), StoreError> {
        let records = self.0.borrow().records.clone();
        for (seq, record) in (0u64..).zip(records).skip(from as usize) {
            if !each(seq, &record) {
                break;
            }
        }
        Ok(())
    }

    fn node(&self, level: u8, index: u64) -> Result<Hash, StoreError> {
        let sectors = self.0.borrow();
        sectors
            .nodes
            .get(&(level, index))
            .copied()
            .ok_or_else(|| StoreError(format!("no node {level}/{index}")))
    }

    fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        Ok(self.0.borrow().checkpoint.clone())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.borrow().snapshot.clone())
    }
}
