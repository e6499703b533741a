//! Verification of a whole journal, of the database or of an export, that names the first bad record.
//!
//! Every record is decoded, its place, boot and clock are compared with its neighbours, the tree is computed again and compared
//! with the stored hashes, with the signed checkpoint and with each cosignature of the center. The pass is streaming (memory
//! grows by 32 bytes for 256 records) and reads in short steps, so it can run on a thread beside a kiosk that takes
//! money. It mends nothing.

use crate::store::{Entry, Reader};
use ring::signature::{ED25519, UnparsedPublicKey};
use std::{collections::VecDeque, fmt};
use tolem_core::journal::{JournalFault, STORED_LEVELS};
use tolem_protocol::{
    UtcTime,
    merkle::{Frontier, Hash, leaf_hash, node_hash},
    record::{Fact, Record},
    signed::Signature,
    signed_note::{self, Checkpoint, NoteKey},
};

/// Records read in one step.
const BATCH: u32 = 512;
/// Newest leaf hashes kept for checking cosignatures without reading again.
const RECENT_LEAVES: usize = 4096;

/// Where records come from. An error names the record it is about, if it is about one.
pub trait Source {
    /// Number of records and the signed checkpoint, from one moment.
    fn head(&mut self) -> Result<(u64, Option<String>), BadJournal>;
    /// At most `limit` records from `from` on, in order.
    fn batch(&mut self, from: u64, limit: u32) -> Result<Vec<Entry>, BadJournal>;
    /// Stored hash of the complete subtree `(level, index)`, whose level is a positive multiple of 8.
    fn node(&mut self, level: u8, index: u64) -> Result<Hash, BadJournal>;
}

/// What the verifier knows before it looks. What is `None` is not checked, and the report says so.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The kiosk's journal key, named like the journal.
    pub log: Option<NoteKey>,
    /// The center's witness keys: the one in use and former ones.
    pub witnesses: Vec<Witness>,
}

/// A key under which the center cosigns journals, or did once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witness {
    /// The key.
    pub key: NoteKey,
    /// Its cosignatures are earlier than this; `None` while it is in use.
    pub until: Option<UtcTime>,
}

/// What was found right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Number of records.
    pub records: u64,
    /// Root over all of them.
    pub root: Hash,
    /// Name of the journal; `None` when it is empty.
    pub origin: Option<String>,
    /// The checkpoint's signature was checked.
    pub signature_checked: bool,
    /// Cosignatures found.
    pub cosignatures: u64,
    /// The largest size for which a cosignature was checked.
    pub cosigned_size: Option<u64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(origin) = &self.origin else { return f.write_str("the journal is empty") };
        writeln!(f, "{origin}: {} records, every one in its place", self.records)?;
        writeln!(f, "root        {}", data_encoding::BASE64.encode(&self.root))?;
        let signature = if self.signature_checked {
            "signed by this kiosk's key"
        } else {
            "present, NOT checked: give the kiosk's key with --key or --config"
        };
        writeln!(f, "checkpoint  {signature}")?;
        match (self.cosigned_size, self.cosignatures) {
            (_, 0) => f.write_str("witness     the center has not cosigned anything yet"),
            (Some(size), count) => {
                write!(f, "witness     {count} cosignatures right, the newest over {size} records")
            }
            (None, count) => {
                write!(
                    f,
                    "witness     {count} cosignatures, NOT checked: give the center's key with --witness or --config"
                )
            }
        }
    }
}

/// The first thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadJournal {
    /// The first bad record, or the first of a range of which at least one is bad.
    pub record: Option<u64>,
    /// What is wrong with it.
    pub reason: String,
    /// The same in the words of the core.
    pub fault: JournalFault,
}

impl fmt::Display for BadJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.record {
            Some(record) => write!(f, "record {record}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for BadJournal {}

impl BadJournal {
    /// The store or the export cannot be read; about no single record.
    pub fn unreadable(reason: String) -> Self {
        Self { record: None, fault: JournalFault::Store(reason.clone()), reason }
    }

    /// Record `seq` cannot be read.
    pub fn record_unreadable(seq: u64, reason: String) -> Self {
        Self { record: Some(seq), fault: JournalFault::Store(format!("record {seq}: {reason}")), reason }
    }

    fn order(seq: u64, reason: String) -> Self {
        Self { record: Some(seq), reason, fault: JournalFault::Order(seq) }
    }

    fn root(seq: u64, size: u64, reason: String) -> Self {
        Self { record: Some(seq), reason, fault: JournalFault::Root(size) }
    }

    fn checkpoint(reason: &str) -> Self {
        Self { record: None, reason: reason.into(), fault: JournalFault::Checkpoint }
    }
}

/// Verifies everything `source` has. `go_on` is asked after each step with the number of records done; `false` stops the pass
/// with an error.
pub fn verify(
    source: &mut dyn Source,
    keys: &Keys,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Report, BadJournal> {
    let (size, note) = source.head()?;
    let checkpoint = note.as_deref().map(|note| open_checkpoint(note, keys)).transpose()?;
    let origin = checkpoint.as_ref().map(|checkpoint| checkpoint.origin.clone());
    let mut pass = Pass::new(keys, origin);
    match &checkpoint {
        Some(signed) if signed.size > size => {
            // The records that are there are judged first: what is missing may not be the first fault.
            pass.read(source, size, go_on)?;
            let reason = format!("it and all after it are missing: {} records were signed", signed.size);
            return Err(BadJournal::order(size, reason));
        }
        _ => pass.read(source, size, go_on)?,
    }
    let root = pass.frontier.root();
    match &checkpoint {
        None if size > 0 => return Err(BadJournal::checkpoint("the checkpoint is missing")),
        Some(signed) if signed.size < size => {
            let reason = format!("it was added behind the signed end: {} records were signed", signed.size);
            return Err(BadJournal::order(signed.size, reason));
        }
        Some(signed) if signed.root != root => return Err(pass.bad_root(size, "the signed checkpoint")),
        _ => {}
    }
    Ok(Report {
        records: size,
        root,
        signature_checked: keys.log.is_some() && note.is_some(),
        cosignatures: pass.cosignatures,
        cosigned_size: (pass.trusted > 0).then_some(pass.trusted),
        origin: pass.origin,
    })
}

/// Ed25519 as the note formats want it.
pub fn ed25519(public: &[u8; 32], message: &[u8], signature: &Signature) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, &signature.0).is_ok()
}

fn open_checkpoint(note: &str, keys: &Keys) -> Result<Checkpoint, BadJournal> {
    let text = match &keys.log {
        Some(key) => match signed_note::open(note, key, ed25519) {
            Some((text, _)) => text,
            None => {
                return Err(BadJournal::checkpoint(&format!(
                    "the checkpoint is not signed by {}: another kiosk's journal, another key, or forged",
                    key.to_vkey()
                )));
            }
        },
        None => {
            signed_note::split(note)
                .ok_or_else(|| BadJournal::checkpoint("the checkpoint is not a signed note"))?
                .0
        }
    };
    let checkpoint = Checkpoint::parse(text)
        .ok_or_else(|| BadJournal::checkpoint("the checkpoint's text is not a checkpoint"))?;
    if keys.log.as_ref().is_some_and(|key| key.name != checkpoint.origin) {
        return Err(BadJournal::checkpoint(&format!(
            "the checkpoint is of another journal, {}",
            checkpoint.origin
        )));
    }
    Ok(checkpoint)
}

/// A pass over the records, as far as it came. A copy of it goes on from the same record: who has read a journal up to there
/// need not read it again to judge what follows.
#[derive(Clone)]
pub struct Pass<'a> {
    keys: &'a Keys,
    frontier: Frontier,
    /// Computed hashes of the stored levels: `tops[n]` is level `8 * (n + 1)`.
    tops: Vec<Vec<Hash>>,
    recent: VecDeque<Hash>,
    boot: u32,
    mono_ms: u64,
    origin: Option<String>,
    cosignatures: u64,
    /// Everything below this is proven by a checked cosignature.
    trusted: u64,
}

impl<'a> Pass<'a> {
    /// Before the first record of the journal named `origin`.
    pub fn new(keys: &'a Keys, origin: Option<String>) -> Self {
        Self {
            keys,
            frontier: Frontier::default(),
            tops: Vec::new(),
            recent: VecDeque::with_capacity(RECENT_LEAVES),
            boot: 0,
            mono_ms: 0,
            origin,
            cosignatures: 0,
            trusted: 0,
        }
    }

    /// Reads on until `size` records are judged. `go_on` as in [`verify`].
    pub fn read(
        &mut self,
        source: &mut dyn Source,
        size: u64,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), BadJournal> {
        let mut limit = BATCH;
        while self.frontier.size() < size {
            let next = self.frontier.size();
            let left = u32::try_from(size - next).unwrap_or(u32::MAX);
            let entries = match source.batch(next, limit.min(left)) {
                Ok(entries) => entries,
                // Somewhere in this step something cannot be read: go on one by one, to name the record.
                Err(_) if limit > 1 => {
                    limit = 1;
                    continue;
                }
                Err(error) if error.record.is_some() => return Err(error),
                Err(error) => return Err(BadJournal::record_unreadable(next, error.reason)),
            };
            if entries.is_empty() {
                return Err(BadJournal::order(next, "it and all after it are missing".into()));
            }
            for entry in &entries {
                self.entry(source, entry)?;
            }
            if !go_on(self.frontier.size()) {
                return Err(BadJournal::unreadable("verification was stopped".into()));
            }
        }
        Ok(())
    }

    fn entry(&mut self, source: &mut dyn Source, entry: &Entry) -> Result<(), BadJournal> {
        let seq = self.frontier.size();
        if entry.seq != seq {
            return Err(BadJournal::order(
                seq,
                format!("it is missing; the next one there is {}", entry.seq),
            ));
        }
        let leaf = leaf_hash(&entry.bytes);
        if leaf != entry.leaf {
            return Err(BadJournal::root(seq, seq + 1, "its bytes do not fit its stored hash".into()));
        }
        let record = Record::from_bytes(&entry.bytes).map_err(|error| BadJournal {
            record: Some(seq),
            reason: error.to_string(),
            fault: JournalFault::Record(seq, error),
        })?;
        self.neighbours(seq, &record)?;
        self.push(source, leaf)?;
        if let Fact::Cosigned { size, line } = &record.fact {
            self.cosigned(source, seq, *size, line)?;
        }
        Ok(())
    }

    fn neighbours(&mut self, seq: u64, record: &Record) -> Result<(), BadJournal> {
        if record.seq != seq {
            return Err(BadJournal::order(seq, format!("it says that it is record {}", record.seq)));
        }
        if record.boot < self.boot {
            let reason =
                format!("it was written in start {}, the one before it in start {}", record.boot, self.boot);
            return Err(BadJournal::order(seq, reason));
        }
        if record.boot == self.boot && record.mono_ms < self.mono_ms {
            let reason =
                format!("it was written at {} ms, the one before it at {} ms", record.mono_ms, self.mono_ms);
            return Err(BadJournal::order(seq, reason));
        }
        (self.boot, self.mono_ms) = (record.boot, record.mono_ms);
        Ok(())
    }

    /// Extends the tree and compares each stored hash that the leaf completes.
    fn push(&mut self, source: &mut dyn Source, leaf: Hash) -> Result<(), BadJournal> {
        let mut completed = Vec::new();
        self.frontier.push(leaf, |level, index, hash| {
            if level > 0 && level.is_multiple_of(STORED_LEVELS) {
                completed.push((level, index, *hash));
            }
        });
        if self.recent.len() == RECENT_LEAVES {
            self.recent.pop_front();
        }
        self.recent.push_back(leaf);
        for (level, index, hash) in completed {
            let place = usize::from(level / STORED_LEVELS) - 1;
            if self.tops.len() == place {
                self.tops.push(Vec::new());
            }
            self.tops[place].push(hash);
            if source.node(level, index)? != hash {
                let first = (index << level).max(self.trusted);
                let last = ((index + 1) << level) - 1;
                let reason = format!(
                    "at least one of the records {first}..={last} was changed together with its hash: tree node \
                     {level}/{index} does not fit"
                );
                return Err(BadJournal::root(first, last + 1, reason));
            }
        }
        Ok(())
    }

    fn cosigned(
        &mut self,
        source: &mut dyn Source,
        seq: u64,
        size: u64,
        line: &str,
    ) -> Result<(), BadJournal> {
        if size > seq {
            let reason =
                format!("it says that the center cosigned {size} records, but it is record {seq} itself");
            return Err(BadJournal::order(seq, reason));
        }
        self.cosignatures += 1;
        let Some(origin) = self.origin.clone().filter(|_| !self.keys.witnesses.is_empty()) else {
            return Ok(());
        };
        let stranger = |reason| BadJournal { record: Some(seq), reason, fault: JournalFault::Root(size) };
        let witness = self.witness_of(line).map_err(stranger)?.clone();
        let root = self.root_at(source, size)?;
        let text = Checkpoint { origin, size, root }.text();
        let note = format!("{text}\n{}\n", line.trim_end_matches('\n'));
        let opened = signed_note::open(&note, &witness.key, ed25519);
        let seconds = opened.and_then(|(_, seconds)| i64::try_from(seconds?).ok());
        if let (Some(seconds), Some(until)) = (seconds, witness.until)
            && UtcTime::from_seconds(seconds) >= until
        {
            let at = UtcTime::from_seconds(seconds).local();
            let reason = format!("it was cosigned on {at} by a key out of use, {}", witness.key.to_vkey());
            return Err(stranger(reason));
        }
        if opened.is_none() {
            let reason = format!(
                "the center did not cosign these records: one of {}..{size} was changed after it saw them, or this line was",
                self.trusted
            );
            return Err(BadJournal::root(self.trusted.min(seq), size, reason));
        }
        self.trusted = self.trusted.max(size);
        Ok(())
    }

    /// The known key that a cosignature line names.
    fn witness_of(&self, line: &str) -> Result<&Witness, String> {
        let (name, id) = signed_note::line_key(line)
            .ok_or_else(|| "it holds no cosignature: a name and base64 are expected".to_owned())?;
        let named = |witness: &&Witness| witness.key.name == name && witness.key.id() == id;
        self.keys.witnesses.iter().find(named).ok_or_else(|| {
            let id = u32::from_be_bytes(id);
            let known: Vec<String> =
                self.keys.witnesses.iter().map(|witness| witness.key.to_vkey()).collect();
            format!(
                "it is a cosignature under the key {name}+{id:08x}, which is not known here (known: {}). Either \
                 somebody else signed, or the center has another key since: name both, with former_witness_keys or --witness",
                known.join(", ")
            )
        })
    }

    fn bad_root(&self, size: u64, what: &str) -> BadJournal {
        let reason = format!(
            "at least one of the records {}..{size} was changed together with all hashes above it: {what} has another root",
            self.trusted
        );
        BadJournal::root(self.trusted, size, reason)
    }

    /// Root of the first `size` records, all of which were read in this pass.
    fn root_at(&self, source: &mut dyn Source, size: u64) -> Result<Hash, BadJournal> {
        Ok(Frontier::from_nodes(size, |level, index| self.computed(source, level, index))?.root())
    }

    fn computed(&self, source: &mut dyn Source, level: u8, index: u64) -> Result<Hash, BadJournal> {
        if level == 0 {
            return self.leaf(source, index);
        }
        if level.is_multiple_of(STORED_LEVELS) {
            let place = usize::from(level / STORED_LEVELS) - 1;
            return Ok(self.tops[place][usize::try_from(index).expect("invariant: it is in memory")]);
        }
        let left = self.computed(source, level - 1, index * 2)?;
        Ok(node_hash(&left, &self.computed(source, level - 1, index * 2 + 1)?))
    }

    fn leaf(&self, source: &mut dyn Source, seq: u64) -> Result<Hash, BadJournal> {
        let first = self.frontier.size() - self.recent.len() as u64;
        if let Some(hash) = seq.checked_sub(first).and_then(|at| self.recent.get(usize::try_from(at).ok()?)) {
            return Ok(*hash);
        }
        match source.batch(seq, 1)?.first() {
            Some(entry) if entry.seq == seq => Ok(entry.leaf),
            _ => Err(BadJournal::order(seq, "it went missing during verification".into())),
        }
    }
}

impl Source for Reader {
    fn head(&mut self) -> Result<(u64, Option<String>), BadJournal> {
        self.signed_size().map_err(|error| BadJournal::unreadable(error.0))
    }

    fn batch(&mut self, from: u64, limit: u32) -> Result<Vec<Entry>, BadJournal> {
        Self::batch(self, from, limit).map_err(|error| BadJournal::unreadable(error.0))
    }

    fn node(&mut self, level: u8, index: u64) -> Result<Hash, BadJournal> {
        Self::node(self, level, index).map_err(|error| BadJournal::record_unreadable(index << level, error.0))
    }
}
