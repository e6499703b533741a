//! The journal: facts made durable before anything irreversible follows from them.
//!
//! Each fact becomes a leaf of an RFC 6962 tree, each append carries a signed checkpoint, and all of it is one durable
//! commit. What comes back is a [`Journaled`], the only key that opens [`Session::commit`](crate::session::Session::commit):
//! an effect without its record does not compile. This module refuses to mend anything: a journal that does not fit its
//! own tree is reported and left as evidence.

use crate::{
    ports::{Append, Signer, Store, StoreError},
    session::Session,
    time::Instant,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use tolem_probe::{Fault, Site, planted, sometimes};
use tolem_protocol::{
    KioskNumber, UtcTime,
    merkle::{Frontier, Hash, consistency_proof, leaf_hash, node_hash},
    record::{Fact, Record, RecordError},
    signed::Signature,
    signed_note::{self, Checkpoint, KeyKind, NoteKey},
};

/// Levels of the tree whose complete subtrees are stored; the rest is recomputed from at most 255 of them.
pub const STORED_LEVELS: u8 = 8;
/// A snapshot is taken at least every so many records, which bounds the replay at start.
pub const SNAPSHOT_EVERY: u64 = 64;

/// Proof that a fact is on disk. Made by [`Journal::append`] and by the replay of what is there already.
#[derive(Debug)]
pub struct Journaled {
    record: Record,
}

impl Journaled {
    /// The record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Proof of nothing, for tests of what follows from a record.
    #[cfg(test)]
    pub(crate) fn pretended(record: Record) -> Self {
        Self { record }
    }
}

/// Why a journal cannot be used to take money. The files stay as they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JournalFault {
    /// The store cannot be read or written.
    Store(String),
    /// This record does not decode: edited, torn, or written by a newer program.
    Record(u64, RecordError),
    /// This record claims another place than it has.
    Order(u64),
    /// The tree over the records is not the one that was signed; the number is the first record, or the size, that shows it.
    Root(u64),
    /// The checkpoint is missing, unreadable or not signed by this kiosk's key.
    Checkpoint,
    /// The snapshot is not signed by this kiosk's key or does not fit the tree.
    Snapshot,
}

impl fmt::Display for JournalFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(cause) => write!(f, "journal store: {cause}"),
            Self::Record(seq, error) => write!(f, "journal record {seq}: {error}"),
            Self::Order(seq) => write!(f, "journal record {seq} claims another position"),
            Self::Root(size) => write!(f, "journal tree of {size} records has not the signed root"),
            Self::Checkpoint => f.write_str("journal checkpoint is missing or not signed by this kiosk"),
            Self::Snapshot => {
                f.write_str("journal snapshot is not signed by this kiosk or does not fit the tree")
            }
        }
    }
}

impl From<StoreError> for JournalFault {
    fn from(error: StoreError) -> Self {
        Self::Store(error.0)
    }
}

/// The summary that saves reading the whole journal at start. Signed like everything else.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    size: u64,
    root: Hash,
    session: Session,
}

const SNAPSHOT_CONTEXT: &[u8] = b"tolem snapshot v3\0";
/// Before there were cards. Ours, but not readable any more: the records tell it all again.
const OLD_SNAPSHOT_CONTEXT: &[u8] = b"tolem snapshot v2\0";

/// The journal of one kiosk over a store.
pub struct Journal<S> {
    store: S,
    frontier: Frontier,
    key: NoteKey,
    boot: u32,
    last_snapshot: u64,
}

impl<S: Store> Journal<S> {
    /// Opens the journal and replays its end into a session. Reads O(log n + records since the last snapshot).
    pub fn open(store: S, kiosk: KioskNumber, signer: &impl Signer) -> Result<(Self, Session), JournalFault> {
        let size = store.size()?;
        let key = NoteKey {
            name: signed_note::journal_origin(kiosk),
            kind: KeyKind::Log,
            public: signer.public_key(),
        };
        let frontier = Frontier::from_nodes(size, |level, index| node_of(&store, level, index))?;
        if size > 0 {
            let note = store.checkpoint()?.ok_or(JournalFault::Checkpoint)?;
            let (text, _) =
                signed_note::open(&note, &key, |_, message, signature| signer.verify_own(message, signature))
                    .ok_or(JournalFault::Checkpoint)?;
            let signed = Checkpoint::parse(text).ok_or(JournalFault::Checkpoint)?;
            if (signed.size, signed.root) != (size, frontier.root()) || signed.origin != key.name {
                return Err(JournalFault::Root(size));
            }
        }
        let (mut session, from) = match store.snapshot()? {
            Some(bytes) => {
                sometimes(Site::SnapshotRead);
                read_snapshot(&store, &bytes, size, signer)?
            }
            None => (Session::default(), 0),
        };
        replay(&store, from, size, &mut session)?;
        let boot = session.boots() + 1;
        Ok((Self { store, frontier, key, boot, last_snapshot: from }, session))
    }

    /// Extends the tree, signs, stores: one durable commit. After an error nothing more may be done with money.
    pub fn append(
        &mut self,
        now: Instant,
        utc: UtcTime,
        fact: Fact,
        session: &Session,
        signer: &impl Signer,
    ) -> Result<Journaled, StoreError> {
        let seq = self.frontier.size();
        let record = Record { seq, boot: self.boot, mono_ms: now.0, utc, fact };
        let bytes = record.to_bytes();
        let leaf = leaf_hash(&bytes);
        let snapshot = (seq >= self.last_snapshot + SNAPSHOT_EVERY).then(|| self.snapshot(session, signer));
        let mut nodes = Vec::new();
        let mut frontier = self.frontier.clone();
        frontier.push(leaf, |level, index, hash| {
            if level > 0 && level % STORED_LEVELS == 0 {
                nodes.push((level, index, *hash));
            }
        });
        let signed = if planted(Fault::CheckpointBeforeInsert) { &self.frontier } else { &frontier };
        let checkpoint =
            Checkpoint { origin: self.key.name.clone(), size: signed.size(), root: signed.root() };
        let note = signed_note::sign(&checkpoint.text(), &self.key, |message| signer.sign(message));
        let stored = self.store.append(&Append {
            seq,
            record: &bytes,
            leaf,
            nodes: &nodes,
            checkpoint: Some(&note),
            snapshot: snapshot.as_deref(),
        });
        if let Err(error) = stored
            && !planted(Fault::WriteErrorSwallowed)
        {
            sometimes(Site::AppendFailed);
            return Err(error);
        }
        self.frontier = frontier;
        if snapshot.is_some() {
            sometimes(Site::SnapshotWritten);
            self.last_snapshot = seq;
        }
        Ok(Journaled { record })
    }

    /// Number of records.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Root over all records.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The newest signed note, for the witness.
    pub fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        self.store.checkpoint()
    }

    /// Proof that the tree of `old` records is the beginning of this one.
    pub fn consistency_proof(&self, old: u64) -> Result<Vec<Hash>, StoreError> {
        consistency_proof(old, self.size(), |level, index| node_of(&self.store, level, index))
    }

    /// Which start of the program this is, from 1.
    pub fn boot(&self) -> u32 {
        self.boot
    }

    /// Reads records from `from` on until `each` returns false.
    pub fn records(&self, from: u64, mut each: impl FnMut(&Record) -> bool) -> Result<(), JournalFault> {
        let mut fault = None;
        self.store.records(from, &mut |seq, bytes| match Record::from_bytes(bytes) {
            Ok(record) => each(&record),
            Err(error) => {
                fault = Some(JournalFault::Record(seq, error));
                false
            }
        })?;
        fault.map_or(Ok(()), Err)
    }

    fn snapshot(&self, session: &Session, signer: &impl Signer) -> Vec<u8> {
        let snapshot = Snapshot { size: self.size(), root: self.root(), session: session.clone() };
        let body = postcard::to_allocvec(&snapshot).expect("invariant: plain data always encodes");
        let signature = signer.sign(&[SNAPSHOT_CONTEXT, &body].concat());
        [&signature.0[..], &body].concat()
    }
}

fn read_snapshot(
    store: &impl Store,
    bytes: &[u8],
    size: u64,
    signer: &impl Signer,
) -> Result<(Session, u64), JournalFault> {
    let (signature, body) = bytes.split_first_chunk::<64>().ok_or(JournalFault::Snapshot)?;
    let ours = |context: &[u8]| signer.verify_own(&[context, body].concat(), &Signature(*signature));
    if !ours(SNAPSHOT_CONTEXT) {
        if ours(OLD_SNAPSHOT_CONTEXT) {
            return Ok((Session::default(), 0));
        }
        return Err(JournalFault::Snapshot);
    }
    let snapshot: Snapshot = match postcard::take_from_bytes(body) {
        Ok((snapshot, [])) => snapshot,
        // Ours, but of another build: the records tell it all again.
        Ok(_) | Err(_) => return Ok((Session::default(), 0)),
    };
    if snapshot.size > size {
        return Err(JournalFault::Snapshot);
    }
    let then = Frontier::from_nodes(snapshot.size, |level, index| node_of(store, level, index))?;
    if then.root() != snapshot.root {
        return Err(JournalFault::Snapshot);
    }
    Ok((snapshot.session, snapshot.size))
}

fn replay(store: &impl Store, from: u64, size: u64, session: &mut Session) -> Result<(), JournalFault> {
    let mut next = from;
    let mut fault = None;
    store.records(from, &mut |seq, bytes| {
        match store.node(0, seq) {
            Ok(leaf) if leaf == leaf_hash(bytes) => {}
            Ok(_) => {
                fault = Some(JournalFault::Root(seq));
                return false;
            }
            Err(error) => {
                fault = Some(error.into());
                return false;
            }
        }
        let record = match Record::from_bytes(bytes) {
            Ok(record) if record.seq == seq && seq == next => record,
            Ok(_) => {
                fault = Some(JournalFault::Order(seq));
                return false;
            }
            Err(error) => {
                fault = Some(JournalFault::Record(seq, error));
                return false;
            }
        };
        session.commit(&Journaled { record });
        next += 1;
        true
    })?;
    match fault {
        Some(fault) => Err(fault),
        None if next != size => Err(JournalFault::Order(next)),
        None => Ok(()),
    }
}

/// Any complete subtree, from the stored levels.
fn node_of(store: &impl Store, level: u8, index: u64) -> Result<Hash, StoreError> {
    let above = level % STORED_LEVELS;
    let mut hashes = store.nodes(level - above, index << above, 1 << above)?;
    while let [_, _, ..] = hashes[..] {
        hashes = hashes.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    Ok(hashes[0])
}
