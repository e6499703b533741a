//! A disk that survives its kiosk: what was appended is there, and what can go wrong with it can be told beforehand.

use std::{
    cell::{Ref, RefCell},
    collections::BTreeMap,
    rc::Rc,
};
use tolem_core::{
    journal::{JournalFault, STORED_LEVELS},
    ports::{Append, Store, StoreError},
};
use tolem_protocol::{
    merkle::{Frontier, Hash, leaf_hash},
    record::Record,
};

/// What an append does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DiskFault {
    /// Works.
    #[default]
    None,
    /// Fails and keeps nothing.
    FailedNotKept,
    /// Fails although it was kept: nobody may rely on either.
    FailedButKept,
    /// The power goes before anything is kept.
    CutNotKept,
    /// The power goes when all of it is kept and nobody was told.
    CutButKept,
    /// The power goes in the middle on a disk that lies: the record is there, its checkpoint is not.
    CutTorn,
}

#[derive(Clone, Default)]
struct Sectors {
    records: Vec<Vec<u8>>,
    nodes: BTreeMap<(u8, u64), Hash>,
    checkpoint: Option<String>,
    snapshot: Option<Vec<u8>>,
}

#[derive(Default)]
struct State {
    sectors: Sectors,
    /// The records as they were told, whatever somebody did to the bytes since.
    told: Vec<Record>,
    images: Vec<(Sectors, Vec<Record>)>,
    fault: DiskFault,
    appends_until_fault: u64,
    full: bool,
    unreadable: bool,
    cut: bool,
    torn: bool,
    failed: bool,
}

/// Shared by the kiosk and whoever watches it.
#[derive(Clone, Default)]
pub struct Disk(Rc<RefCell<State>>);

impl Disk {
    /// After `appends` more good appends, the next one does `fault`; it does so once.
    pub fn fail_after(&self, appends: u64, fault: DiskFault) {
        let mut state = self.0.borrow_mut();
        state.fault = fault;
        state.appends_until_fault = appends;
    }

    /// While full, every append fails and keeps nothing.
    pub fn set_full(&self, full: bool) {
        self.0.borrow_mut().full = full;
    }

    /// While unreadable, nothing can be read and so no journal be opened.
    pub fn set_unreadable(&self, unreadable: bool) {
        self.0.borrow_mut().unreadable = unreadable;
    }

    /// Whether the power went inside an append since this was last asked.
    pub fn take_cut(&self) -> bool {
        std::mem::take(&mut self.0.borrow_mut().cut)
    }

    /// Whether half an append was ever kept.
    pub fn is_torn(&self) -> bool {
        self.0.borrow().torn
    }

    /// Whether the next append will succeed, and none has failed since [`Disk::forget_failure`].
    pub fn is_healthy(&self) -> bool {
        let state = self.0.borrow();
        state.fault == DiskFault::None && !state.full && !state.failed
    }

    /// The program that saw a failure is gone.
    pub fn forget_failure(&self) {
        self.0.borrow_mut().failed = false;
    }

    /// Copies all sectors, as somebody with a screwdriver would.
    pub fn take_image(&self) {
        let mut state = self.0.borrow_mut();
        let image = (state.sectors.clone(), state.told.clone());
        state.images = vec![image];
    }

    /// Writes the copy back. False without one.
    pub fn put_image(&self) -> bool {
        let mut state = self.0.borrow_mut();
        let Some((sectors, told)) = state.images.pop() else { return false };
        (state.sectors, state.told) = (sectors, told);
        true
    }

    /// Number of records.
    pub fn size(&self) -> u64 {
        self.0.borrow().sectors.records.len() as u64
    }

    /// Writes the same journal, record by record, into another store.
    ///
    /// # Errors
    /// Whatever the other store says.
    pub fn copy_to(&self, store: &mut impl Store) -> Result<(), StoreError> {
        let state = self.0.borrow();
        let sectors = &state.sectors;
        let signed = sectors.checkpoint.as_ref().and_then(|note| {
            let size: u64 = note.lines().nth(1)?.parse().ok()?;
            Some((size.checked_sub(1)?, note.as_str()))
        });
        let mut tree = Frontier::default();
        for (seq, record) in (0u64..).zip(&sectors.records) {
            let (leaf, mut nodes) = (leaf_hash(record), Vec::new());
            tree.push(leaf, |level, index, hash| {
                if level > 0 && level.is_multiple_of(STORED_LEVELS) {
                    nodes.push((level, index, *hash));
                }
            });
            let checkpoint = signed.filter(|(last, _)| *last == seq).map(|(_, note)| note);
            store.append(&Append { seq, record, leaf, nodes: &nodes, checkpoint, snapshot: None })?;
        }
        Ok(())
    }

    /// All records.
    pub fn records(&self) -> Vec<Record> {
        self.0.borrow().told.clone()
    }

    /// Looks at all records without copying them.
    pub fn told(&self) -> Ref<'_, [Record]> {
        Ref::map(self.0.borrow(), |state| state.told.as_slice())
    }

    /// The bytes of all records, one after the other.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().sectors.records.concat()
    }

    /// Checks every record against its leaf hash, as the verifier thread does.
    pub fn verify(&self) -> Result<u64, JournalFault> {
        let state = self.0.borrow();
        for (seq, record) in (0u64..).zip(&state.sectors.records) {
            if state.sectors.nodes.get(&(0, seq)) != Some(&leaf_hash(record)) {
                return Err(JournalFault::Root(seq));
            }
        }
        Ok(state.sectors.records.len() as u64)
    }

    /// Flips one bit of one record, as a thief with an editor would.
    pub fn tamper(&self, seq: usize) {
        let record = &mut self.0.borrow_mut().sectors.records[seq];
        let last = record.len() - 1;
        record[last] ^= 1;
    }
}

impl State {
    /// What this append does, and that it is one nearer to the next fault.
    fn draw(&mut self) -> DiskFault {
        if self.full {
            return DiskFault::FailedNotKept;
        }
        if self.fault != DiskFault::None && self.appends_until_fault == 0 {
            return std::mem::take(&mut self.fault);
        }
        self.appends_until_fault = self.appends_until_fault.saturating_sub(1);
        DiskFault::None
    }

    fn keep(&mut self, step: &Append<'_>, whole: bool) {
        self.told.push(Record::from_bytes(step.record).expect("the kiosk writes records"));
        let sectors = &mut self.sectors;
        sectors.records.push(step.record.to_vec());
        sectors.nodes.insert((0, step.seq), step.leaf);
        for (level, index, hash) in step.nodes {
            sectors.nodes.insert((*level, *index), *hash);
        }
        if let Some(note) = step.checkpoint.filter(|_| whole) {
            sectors.checkpoint = Some(note.into());
        }
        if let Some(snapshot) = step.snapshot {
            sectors.snapshot = Some(snapshot.to_vec());
        }
    }
}

impl Store for Disk {
    fn size(&self) -> Result<u64, StoreError> {
        if self.0.borrow().unreadable {
            return Err(StoreError("input/output error".into()));
        }
        Ok(Self::size(self))
    }

    fn append(&mut self, step: &Append<'_>) -> Result<(), StoreError> {
        let mut state = self.0.borrow_mut();
        assert_eq!(step.seq, state.sectors.records.len() as u64, "records are appended in order");
        let fault = state.draw();
        match fault {
            DiskFault::None | DiskFault::FailedButKept | DiskFault::CutButKept => state.keep(step, true),
            DiskFault::CutTorn => state.keep(step, false),
            DiskFault::FailedNotKept | DiskFault::CutNotKept => {}
        }
        state.torn |= fault == DiskFault::CutTorn;
        state.failed |= fault != DiskFault::None;
        state.cut |= matches!(fault, DiskFault::CutNotKept | DiskFault::CutButKept | DiskFault::CutTorn);
        if fault == DiskFault::None { Ok(()) } else { Err(StoreError("input/output error".into())) }
    }

    fn records(&self, from: u64, each: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<(), StoreError> {
        let state = self.0.borrow();
        for (seq, record) in (0u64..).zip(&state.sectors.records).skip(from as usize) {
            if !each(seq, record) {
                break;
            }
        }
        Ok(())
    }

    fn node(&self, level: u8, index: u64) -> Result<Hash, StoreError> {
        let state = self.0.borrow();
        let node = state.sectors.nodes.get(&(level, index)).copied();
        node.ok_or_else(|| StoreError(format!("no node {level}/{index}")))
    }

    fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        Ok(self.0.borrow().sectors.checkpoint.clone())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.borrow().sectors.snapshot.clone())
    }
}
