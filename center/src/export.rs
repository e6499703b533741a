//! Reads the export of a kiosk's journal (a C2SP `tlog-tiles` directory) with the center's own eyes.
//!
//! Believed is only what the kiosk signed: each record's hash goes into a tree that is built anew, and its root must be the one
//! in the checkpoint. Where the witness cosigned this journal before, the tree must go through what it saw. The hash tiles are not
//! needed for that and not read. Format: c2sp.org/tlog-tiles, bundles of up to 256 entries, each behind a 16-bit length.

use crate::logic::{
    Keys,
    rescue::{Reading, Rescue},
    store::{Result as Stored, Store, WitnessRow},
};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};
use tolem_protocol::{
    KioskNumber,
    merkle::{Frontier, leaf_hash},
    record::Record,
    signed_note::{self, Checkpoint, KeyKind, NoteKey, journal_origin},
};

/// Entries in a full bundle.
const BUNDLE: u64 = 256;
/// A bundle is never larger: 256 records of the longest length that two bytes can say.
const MAX_BUNDLE: u64 = BUNDLE * (2 + 65_535);
/// A checkpoint is never larger.
const MAX_CHECKPOINT: u64 = 64 * 1024;

/// Why an export is not believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadExport {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for BadExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

impl std::error::Error for BadExport {}

/// What the center knows of a kiosk before it reads.
pub struct Known {
    /// Journal keys, the newest first.
    pub keys: Vec<[u8; 32]>,
    /// What the witness cosigned of the newest key's journal.
    pub witness: Option<WitnessRow>,
}

impl Known {
    /// Reads it; `None` if the kiosk is not registered.
    pub fn of(store: &dyn Store, kiosk: KioskNumber) -> Stored<Option<Self>> {
        let Some(row) = store.kiosk(kiosk)? else { return Ok(None) };
        let mut keys = vec![row.journal_key];
        keys.extend(store.former_keys(kiosk)?.into_iter().rev());
        Ok(Some(Self { keys, witness: store.witness(kiosk)?.filter(|row| row.size > 0) }))
    }
}

/// A believed export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// What it tells.
    pub rescue: Rescue,
    /// Records that the witness has seen and the export lacks: it was made too early.
    pub missing: u64,
}

/// The kiosk whose journal lies in `directory`, as its checkpoint says; nothing is believed yet.
///
/// # Errors
/// Names the file that is none.
pub fn whose(directory: &Path) -> Result<KioskNumber, BadExport> {
    let (file, note) = read_note(directory)?;
    let checkpoint =
        signed_note::split(&note).and_then(|(text, _)| Checkpoint::parse(text)).ok_or_else(|| BadExport {
            file: file.clone(),
            reason: "not a signed tree head; this is no export".into(),
        })?;
    let number = checkpoint.origin.rsplit('/').next().and_then(|number| number.parse().ok());
    number
        .and_then(KioskNumber::new)
        .filter(|kiosk| journal_origin(*kiosk) == checkpoint.origin)
        .ok_or_else(|| BadExport { file, reason: format!("{} is no journal of a kiosk", checkpoint.origin) })
}

/// Verifies the whole export like [`read`], and gives each record to `each` before the whole is judged.
///
/// # Errors
/// Names the file, and the first record in it that is wrong.
pub fn read_each(
    directory: &Path,
    kiosk: KioskNumber,
    known: &Known,
    keys: &dyn Keys,
    each: &mut dyn FnMut(&Record),
) -> Result<Export, BadExport> {
    verified(directory, kiosk, known, keys, each)
}

/// Reads and verifies the whole export.
///
/// # Errors
/// Names the file, and the first record in it that is wrong.
pub fn read(
    directory: &Path,
    kiosk: KioskNumber,
    known: &Known,
    keys: &dyn Keys,
) -> Result<Export, BadExport> {
    verified(directory, kiosk, known, keys, &mut |_| {})
}

fn verified(
    directory: &Path,
    kiosk: KioskNumber,
    known: &Known,
    keys: &dyn Keys,
    each: &mut dyn FnMut(&Record),
) -> Result<Export, BadExport> {
    let (file, note) = read_note(directory)?;
    let origin = journal_origin(kiosk);
    let opened = known.keys.iter().enumerate().find_map(|(place, public)| {
        let key = NoteKey { name: origin.clone(), kind: KeyKind::Log, public: *public };
        let verify =
            |public: &[u8; 32], message: &[u8], signature: &_| keys.verify(public, message, signature);
        signed_note::open(&note, &key, verify).map(|(text, _)| (place, text))
    });
    let Some((place, text)) = opened else {
        return Err(BadExport { file, reason: format!("not signed by a key of kiosk {kiosk}") });
    };
    let checkpoint = Checkpoint::parse(text).filter(|checkpoint| checkpoint.origin == origin);
    let Some(checkpoint) = checkpoint else {
        return Err(BadExport { file, reason: format!("not a tree head of {origin}") });
    };
    // What the witness saw belongs to the newest key; an older key had another journal.
    let witness = known.witness.as_ref().filter(|_| place == 0);
    let (tree, reading) = (Frontier::default(), Reading::default());
    let mut pass = Pass { tree, reading, each, boot: 0, mono_ms: 0, witness };
    while pass.tree.size() < checkpoint.size {
        pass.bundle(directory, checkpoint.size)?;
    }
    if pass.tree.root() != checkpoint.root {
        let reason = "the records do not have the root that was signed: at least one was changed".into();
        return Err(BadExport { file, reason });
    }
    let missing = witness.map_or(0, |row| row.size.saturating_sub(checkpoint.size));
    let rescue = pass.reading.end(kiosk, checkpoint.size, checkpoint.root, missing);
    Ok(Export { rescue, missing })
}

struct Pass<'a> {
    tree: Frontier,
    reading: Reading,
    each: &'a mut dyn FnMut(&Record),
    boot: u32,
    mono_ms: u64,
    witness: Option<&'a WitnessRow>,
}

impl Pass<'_> {
    fn bundle(&mut self, directory: &Path, size: u64) -> Result<(), BadExport> {
        let first = self.tree.size();
        let width = (size - first).min(BUNDLE);
        let file = directory.join(bundle_path(first / BUNDLE, width));
        let bad = |reason: String| BadExport { file: file.clone(), reason };
        let bytes = read_bounded(&file, MAX_BUNDLE)?;
        let mut rest = &bytes[..];
        for seq in first..first + width {
            let record = rest
                .split_first_chunk::<2>()
                .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*length))));
            let Some((record, after)) = record else {
                return Err(bad(format!("it ends before record {seq}")));
            };
            rest = after;
            self.record(seq, record).map_err(|reason| bad(format!("record {seq}: {reason}")))?;
        }
        if !rest.is_empty() {
            return Err(bad(format!("{} bytes are left over behind the last record", rest.len())));
        }
        Ok(())
    }

    fn record(&mut self, seq: u64, bytes: &[u8]) -> Result<(), String> {
        let record = Record::from_bytes(bytes).map_err(|error| error.to_string())?;
        if record.seq != seq {
            return Err(format!("it says that it is record {}", record.seq));
        }
        if record.boot < self.boot || (record.boot == self.boot && record.mono_ms < self.mono_ms) {
            return Err("it was written before the one in front of it".into());
        }
        (self.boot, self.mono_ms) = (record.boot, record.mono_ms);
        self.reading.record(&record)?;
        (self.each)(&record);
        self.tree.push(leaf_hash(bytes), |_, _, _| {});
        match self.witness {
            Some(row) if row.size == self.tree.size() && row.root != self.tree.root() => Err(format!(
                "up to here the journal is not the one of which {} records were cosigned",
                row.size
            )),
            _ => Ok(()),
        }
    }
}

fn read_note(directory: &Path) -> Result<(PathBuf, String), BadExport> {
    let file = directory.join("checkpoint");
    let bytes = read_bounded(&file, MAX_CHECKPOINT)?;
    match String::from_utf8(bytes) {
        Ok(note) => Ok((file, note)),
        Err(_) => Err(BadExport { file, reason: "not text; this is no export".into() }),
    }
}

fn read_bounded(file: &Path, limit: u64) -> Result<Vec<u8>, BadExport> {
    let bad = |reason: String| BadExport { file: file.to_owned(), reason };
    let length = fs::metadata(file).map_err(|error| bad(error.to_string()))?.len();
    if length > limit {
        return Err(bad(format!("{length} bytes, at most {limit} make sense")));
    }
    fs::read(file).map_err(|error| bad(error.to_string()))
}

/// `tile/entries/<N>` with `N` in groups of three digits, all but the last behind an `x`; a partial bundle ends in `.p/<W>`.
fn bundle_path(number: u64, width: u64) -> PathBuf {
    let mut name = format!("{:03}", number % 1_000);
    let mut rest = number / 1_000;
    while rest > 0 {
        name = format!("x{:03}/{name}", rest % 1_000);
        rest /= 1_000;
    }
    let part = if width < BUNDLE { format!(".p/{width}") } else { String::new() };
    PathBuf::from(format!("tile/entries/{name}{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_are_found_where_the_specification_puts_them() {
        for (number, width, path) in [
            (0, 256, "tile/entries/000"),
            (3, 255, "tile/entries/003.p/255"),
            (1_234_067, 256, "tile/entries/x001/x234/067"),
            (1_000, 1, "tile/entries/x001/000.p/1"),
        ] {
            assert_eq!(bundle_path(number, width), Path::new(path));
        }
    }
}
