//! Journal export as a static C2SP `tlog-tiles` directory, and reading one back for verification.
//!
//! Layout (c2sp.org/tlog-tiles): `checkpoint` is the signed note; `tile/<L>/<N>` holds up to 256 hashes of tree level `8 * L`; `tile/entries/<N>`
//! holds up to 256 records, each behind its 16-bit big-endian length; a tile with fewer than 256 is `<N>.p/<W>`. Existing
//! transparency-log tools audit such a directory, also from any static file server. It is complete for the checkpoint in it
//! and never written over: an export is evidence.

use crate::{
    store::{Entry, Reader},
    verify::{BadJournal, Source},
};
use std::{
    fs::File,
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};
use tolem_core::{journal::STORED_LEVELS, ports::StoreError};
use tolem_protocol::merkle::{Frontier, Hash};

/// Hashes in a full tile, records in a full bundle.
const TILE: u64 = 256;
/// No bundle is larger: 256 records of the longest length that two bytes can say.
const MAX_BUNDLE: u64 = TILE * (2 + 65_535);

/// What an export holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exported {
    /// Records.
    pub records: u64,
    /// Files written.
    pub files: u64,
}

/// Writes the journal of `reader` to `directory`, which must be empty or not exist yet.
pub fn export(reader: &Reader, directory: &Path) -> Result<Exported, StoreError> {
    let fail = |path: &Path, error: &io::Error| StoreError(format!("export {}: {error}", path.display()));
    let (size, note) = reader.signed_size()?;
    let note =
        note.ok_or_else(|| StoreError("export: the journal has no checkpoint yet; nothing to prove".into()))?;
    std::fs::create_dir_all(directory).map_err(|error| fail(directory, &error))?;
    let mut listing = std::fs::read_dir(directory).map_err(|error| fail(directory, &error))?;
    if listing.next().is_some() {
        return Err(StoreError(format!(
            "export {}: the directory is not empty; name a new one, an export is never written over",
            directory.display()
        )));
    }
    let mut out = Tiles { directory, levels: Vec::new(), files: 0 };
    let mut frontier = Frontier::default();
    while frontier.size() < size {
        let from = frontier.size();
        let limit = u32::try_from((size - from).min(TILE)).unwrap_or(u32::MAX);
        let entries = reader.batch(from, limit)?;
        if entries.len() != limit as usize || entries.iter().zip(from..).any(|(entry, seq)| entry.seq != seq)
        {
            return Err(StoreError(format!(
                "export: records are missing between {from} and {}; run `tolem journal verify`",
                from + u64::from(limit)
            )));
        }
        let mut bundle = Vec::new();
        for entry in &entries {
            let length = u16::try_from(entry.bytes.len())
                .map_err(|_| StoreError(format!("export: record {} is too long", entry.seq)))?;
            bundle.extend_from_slice(&length.to_be_bytes());
            bundle.extend_from_slice(&entry.bytes);
            frontier.push(entry.leaf, |level, _, hash| {
                if level.is_multiple_of(STORED_LEVELS) {
                    out.hash(usize::from(level / STORED_LEVELS), *hash);
                }
            });
        }
        out.write(&tile_path("entries", from / TILE, entries.len()), &bundle)?;
        out.full_tiles()?;
    }
    out.partial_tiles()?;
    // The checkpoint comes last: a directory without it is an export that was broken off.
    out.write(Path::new("checkpoint"), note.as_bytes())?;
    let synced = File::open(directory).and_then(|directory| Ok(rustix::fs::syncfs(directory)?));
    synced.map_err(|error| fail(directory, &error))?;
    Ok(Exported { records: size, files: out.files })
}

/// Tiles being filled: per level, the index of the open tile and its hashes.
struct Tiles<'a> {
    directory: &'a Path,
    levels: Vec<(u64, Vec<u8>)>,
    files: u64,
}

impl Tiles<'_> {
    fn hash(&mut self, level: usize, hash: Hash) {
        if self.levels.len() == level {
            self.levels.push((0, Vec::new()));
        }
        self.levels[level].1.extend_from_slice(&hash);
    }

    fn full_tiles(&mut self) -> Result<(), StoreError> {
        for level in 0..self.levels.len() {
            let (index, hashes) = &mut self.levels[level];
            if hashes.len() as u64 == TILE * 32 {
                let (index, hashes) = (std::mem::replace(index, *index + 1), std::mem::take(hashes));
                self.write(&tile_path(&level.to_string(), index, TILE as usize), &hashes)?;
            }
        }
        Ok(())
    }

    fn partial_tiles(&mut self) -> Result<(), StoreError> {
        for (level, (index, hashes)) in std::mem::take(&mut self.levels).into_iter().enumerate() {
            if !hashes.is_empty() {
                self.write(&tile_path(&level.to_string(), index, hashes.len() / 32), &hashes)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, name: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.directory.join(name);
        let store = || -> io::Result<()> {
            let parent = path.parent().unwrap_or(self.directory);
            std::fs::create_dir_all(parent)?;
            File::create_new(&path)?.write_all(bytes)
        };
        store().map_err(|error| StoreError(format!("export {}: {error}", path.display())))?;
        self.files += 1;
        Ok(())
    }
}

/// Where the files of an export lie.
pub trait Files {
    /// The whole file `name`. An error names it and says why; more than `limit` bytes are refused, not read.
    fn read(&self, name: &Path, limit: u64) -> Result<Vec<u8>, String>;
}

/// A directory of the file system. It may come from a stranger: what is no plain file in it is not read.
pub struct Directory(PathBuf);

impl Files for Directory {
    fn read(&self, name: &Path, limit: u64) -> Result<Vec<u8>, String> {
        let path = self.0.join(name);
        let fail = |error: io::Error| format!("{}: {error}", path.display());
        let about = std::fs::metadata(&path).map_err(fail)?;
        if !about.is_file() {
            // A device has no end, a pipe no beginning.
            return Err(format!("{}: not a plain file", path.display()));
        }
        if about.len() > limit {
            return Err(format!("{}: {} bytes, at most {limit} make sense", path.display(), about.len()));
        }
        let mut bytes = Vec::new();
        File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(fail)?;
        Ok(bytes)
    }
}

/// An export on disk as something to verify.
pub type ExportDirectory = Export<Directory>;

/// An export, wherever its files lie, as something to verify.
pub struct Export<F> {
    files: F,
    size: u64,
    /// The bundle and leaf tile read last, so that reading on does not read them again.
    cached: Option<(u64, Vec<Entry>)>,
    tile: Option<((u8, u64), Vec<u8>)>,
}

impl ExportDirectory {
    /// An export at `path`; whether it is one is seen by `head`.
    pub fn open(path: &Path) -> Self {
        Self::new(Directory(path.to_owned()))
    }
}

impl<F: Files> Export<F> {
    /// An export of these files; whether it is one is seen by `head`.
    pub fn new(files: F) -> Self {
        Self { files, size: 0, cached: None, tile: None }
    }

    /// Hashes of the tile that holds number `index` of tiles' level `level`.
    fn tile(&mut self, level: u8, index: u64) -> Result<&[u8], String> {
        let number = index / TILE;
        if self.tile.as_ref().is_none_or(|(name, _)| *name != (level, number)) {
            let in_level = self.size >> (u32::from(level) * u32::from(STORED_LEVELS));
            let width = usize::try_from((in_level - number * TILE).min(TILE)).unwrap_or(usize::MAX);
            let name = tile_path(&level.to_string(), number, width);
            let bytes = self.files.read(&name, TILE * 32)?;
            if bytes.len() != width * 32 {
                return Err(format!("{}: {} bytes, must be {}", name.display(), bytes.len(), width * 32));
            }
            self.tile = Some(((level, number), bytes));
        }
        Ok(self.tile.as_ref().map_or(&[], |(_, bytes)| bytes))
    }

    fn hash(&mut self, level: u8, index: u64) -> Result<Hash, String> {
        let at = usize::try_from(index % TILE).unwrap_or(0) * 32;
        let tile = self.tile(level, index)?;
        tile.get(at..at + 32)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| format!("tile {level} has no hash {index}"))
    }

    fn bundle(&mut self, number: u64) -> Result<&[Entry], BadJournal> {
        if self.cached.as_ref().is_none_or(|(cached, _)| *cached != number) {
            let entries = self.read_bundle(number)?;
            self.cached = Some((number, entries));
        }
        Ok(self.cached.as_ref().map_or(&[], |(_, entries)| entries))
    }

    fn read_bundle(&mut self, number: u64) -> Result<Vec<Entry>, BadJournal> {
        let first = number * TILE;
        let width = usize::try_from((self.size - first).min(TILE)).unwrap_or(usize::MAX);
        let name = tile_path("entries", number, width);
        let bytes = self
            .files
            .read(&name, MAX_BUNDLE)
            .map_err(|reason| BadJournal::record_unreadable(first, reason))?;
        let mut rest = &bytes[..];
        let mut entries = Vec::with_capacity(width);
        for seq in first..first + width as u64 {
            let record = rest
                .split_first_chunk::<2>()
                .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*length))));
            let Some((record, after)) = record else {
                // What comes before the cut is good or bad by itself: it is handed out first.
                break;
            };
            rest = after;
            let leaf = self.hash(0, seq).map_err(|reason| BadJournal::record_unreadable(seq, reason))?;
            entries.push(Entry { seq, bytes: record.to_vec(), leaf });
        }
        if entries.len() == width && !rest.is_empty() {
            let reason =
                format!("{}: {} bytes are left over behind the last record", name.display(), rest.len());
            return Err(BadJournal::record_unreadable(first + width as u64 - 1, reason));
        }
        Ok(entries)
    }
}

impl<F: Files> Source for Export<F> {
    fn head(&mut self) -> Result<(u64, Option<String>), BadJournal> {
        let bytes = self.files.read(Path::new("checkpoint"), 64 * 1024).map_err(BadJournal::unreadable)?;
        let note = String::from_utf8(bytes)
            .map_err(|_| BadJournal::unreadable("checkpoint: not text; this is no export".into()))?;
        let checkpoint = tolem_protocol::signed_note::split(&note)
            .and_then(|(text, _)| tolem_protocol::signed_note::Checkpoint::parse(text))
            .ok_or_else(|| {
                BadJournal::unreadable("checkpoint: not a signed tree head; this is no export".into())
            })?;
        self.size = checkpoint.size;
        Ok((checkpoint.size, Some(note)))
    }

    fn batch(&mut self, from: u64, limit: u32) -> Result<Vec<Entry>, BadJournal> {
        let skip = usize::try_from(from % TILE).unwrap_or(0);
        let entries = self.bundle(from / TILE)?;
        let found: Vec<Entry> = entries.iter().skip(skip).take(limit as usize).cloned().collect();
        if found.is_empty() {
            let reason =
                "its bundle ends before it: the file was cut short or its lengths were changed".into();
            return Err(BadJournal::record_unreadable(from, reason));
        }
        Ok(found)
    }

    fn node(&mut self, level: u8, index: u64) -> Result<Hash, BadJournal> {
        self.hash(level / STORED_LEVELS, index)
            .map_err(|reason| BadJournal::record_unreadable(index << level, reason))
    }
}

/// `tile/<level>/<N>` with `N` in groups of three digits, all but the last behind an `x`; partial tiles get `.p/<W>`.
fn tile_path(level: &str, number: u64, width: usize) -> PathBuf {
    let mut groups = vec![format!("{:03}", number % 1000)];
    let mut rest = number / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    let mut path = PathBuf::from("tile").join(level);
    path.extend(groups.iter().rev());
    if (width as u64) < TILE {
        path.as_mut_os_string().push(".p");
        path.push(width.to_string());
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tile_names_are_those_of_the_specification() {
        for (number, width, name) in [
            (0, 256, "tile/0/000"),
            (1_234_067, 256, "tile/0/x001/x234/067"),
            (1_000, 256, "tile/0/x001/000"),
            (273, 112, "tile/0/273.p/112"),
            (999, 1, "tile/0/999.p/1"),
        ] {
            assert_eq!(tile_path("0", number, width), Path::new(name));
        }
        assert_eq!(tile_path("entries", 3, 255), Path::new("tile/entries/003.p/255"));
    }
}
