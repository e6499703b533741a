//! The machine around the files: directory, cache, room, clock, and what is planned to go wrong.

use crate::sectors::{File, Media};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use tolem_hal_sim::line::Dice;

/// How one operation fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The power goes while it happens. Nothing works until [`crate::Disk::cut`].
    Cut,
    /// It reports an input/output error although it was done.
    ErrorButKept,
    /// It reports an input/output error and was not done; a failed flush leaves the cache clean, as on Linux.
    ErrorNotKept,
    /// The operation works, but what the system was writing behind the program's back did not reach the disk: of one file everything that was
    /// not flushed calls itself clean and will never be written, and its next flush reports an error, once.
    Writeback,
    /// The disk has no room for it, or for anything after it, until [`crate::Disk::limit`] says otherwise.
    Full,
}

/// What happened to a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Writes, flushes, truncations and changes of the directory.
    pub operations: u64,
    /// Flushes among them.
    pub flushes: u64,
    /// Power cuts.
    pub cuts: u64,
}

/// The operation did not work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Io,
    Full,
}

pub(crate) type Outcome = Result<(), Fault>;

/// What the operation at hand is to do.
enum Fate {
    Work,
    Die,
    Fail { kept: bool },
}

pub(crate) struct State {
    pub(crate) media: Media,
    pub(crate) capacity: Option<u64>,
    pub(crate) bent: BTreeMap<&'static str, &'static str>,
    pub(crate) counts: Counts,
    /// Open handles; none may be left at a cut.
    pub(crate) open: usize,
    dice: Dice,
    files: BTreeMap<u64, File>,
    next_file: u64,
    names: BTreeMap<String, u64>,
    /// The directory as it is on the disk.
    disk_names: BTreeMap<String, u64>,
    aside: BTreeMap<String, u64>,
    planned: Option<(u64, Failure)>,
    failed: bool,
    dead: bool,
    /// Milliseconds of SQLite's calendar (Julian day times 86,400,000).
    clock: i64,
    hash: Sha256,
}

impl State {
    pub(crate) fn new(seed: u64, media: Media) -> Self {
        Self {
            media,
            capacity: None,
            bent: BTreeMap::new(),
            counts: Counts::default(),
            open: 0,
            dice: Dice::new(seed),
            files: BTreeMap::new(),
            next_file: 0,
            names: BTreeMap::new(),
            disk_names: BTreeMap::new(),
            aside: BTreeMap::new(),
            planned: None,
            failed: false,
            dead: false,
            clock: 212_000_000_000_000,
            hash: Sha256::new(),
        }
    }

    pub(crate) fn plan(&mut self, operations: u64, failure: Failure) {
        self.planned = Some((operations, failure));
        self.failed = false;
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn forget_plan(&mut self) {
        self.planned = None;
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    pub(crate) fn random(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.dice.next_u64() as u8);
    }

    pub(crate) fn now(&mut self) -> i64 {
        self.clock += 1;
        self.clock
    }

    pub(crate) fn sleep(&mut self, microseconds: i64) {
        self.clock += microseconds / 1000;
    }

    // -- the machine --------------------------------------------------------------------------------------------------

    pub(crate) fn cut(&mut self) {
        assert_eq!(self.open, 0, "a connection outlived the process that held it");
        self.counts.cuts += 1;
        let (names, disk_names) = (std::mem::take(&mut self.names), std::mem::take(&mut self.disk_names));
        let mut all: Vec<&String> = names.keys().chain(disk_names.keys()).collect();
        all.sort_unstable();
        all.dedup();
        for name in all {
            let (new, old) = (names.get(name), disk_names.get(name));
            let kept = if new == old || self.dice.chance(500) { new } else { old };
            if let Some(file) = kept {
                self.names.insert(name.clone(), *file);
            }
        }
        self.disk_names.clone_from(&self.names);
        self.drop_nameless();
        for file in self.files.values_mut() {
            file.cut(&self.media, &mut self.dice);
        }
        self.restart();
    }

    pub(crate) fn restart(&mut self) {
        assert_eq!(self.open, 0, "a connection outlived the process that held it");
        self.dead = false;
        self.planned = None;
    }

    fn drop_nameless(&mut self) {
        let (names, disk_names) = (&self.names, &self.disk_names);
        self.files.retain(|file, _| names.values().chain(disk_names.values()).any(|named| named == file));
    }

    /// Counts an operation and says whether it works.
    fn next(&mut self, what: &str, name: u64, at: u64, bytes: &[u8]) -> Result<Fate, Fault> {
        if self.dead {
            return Err(Fault::Io);
        }
        self.counts.operations += 1;
        self.hash.update(what);
        self.hash.update(name.to_le_bytes());
        self.hash.update(at.to_le_bytes());
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
        let Some((left, failure)) = self.planned.take() else { return Ok(Fate::Work) };
        if left > 0 {
            self.planned = Some((left - 1, failure));
            return Ok(Fate::Work);
        }
        self.failed = true;
        match failure {
            Failure::Cut => {
                self.dead = true;
                Ok(Fate::Die)
            }
            Failure::ErrorButKept => Ok(Fate::Fail { kept: true }),
            Failure::ErrorNotKept => Ok(Fate::Fail { kept: false }),
            Failure::Writeback => {
                let waiting: Vec<u64> =
                    self.files.iter().filter(|(_, file)| file.is_dirty()).map(|(file, _)| *file).collect();
                if !waiting.is_empty() {
                    let file = waiting[self.dice.below(waiting.len() as u64) as usize];
                    self.file_mut(file).fail_writeback();
                }
                Ok(Fate::Work)
            }
            Failure::Full => {
                self.capacity = Some(self.used());
                Ok(Fate::Work)
            }
        }
    }

    // -- names --------------------------------------------------------------------------------------------------------

    pub(crate) fn find(&self, name: &str) -> Option<u64> {
        self.names.get(name).copied()
    }

    /// A new empty file; without a name it is gone when it is closed.
    pub(crate) fn create(&mut self, name: Option<&str>) -> Result<u64, Fault> {
        let fate = self.next("create", self.next_file, 0, name.unwrap_or_default().as_bytes())?;
        let file = self.next_file;
        if !matches!(fate, Fate::Fail { kept: false }) {
            self.next_file += 1;
            self.files.insert(file, File::default());
            if let Some(name) = name {
                self.names.insert(name.into(), file);
            }
        }
        done(fate).map(|()| file)
    }

    pub(crate) fn delete(&mut self, name: &str, durably: bool) -> Outcome {
        let fate = self.next("delete", 0, u64::from(durably), name.as_bytes())?;
        if !matches!(fate, Fate::Fail { kept: false }) {
            self.names.remove(name);
        }
        if durably && matches!(fate, Fate::Work | Fate::Fail { kept: true }) && !self.media.lies {
            self.disk_names.clone_from(&self.names);
        }
        done(fate)
    }

    pub(crate) fn sync_directory(&mut self) -> Outcome {
        let fate = self.next("sync directory", 0, 0, &[])?;
        if matches!(fate, Fate::Work | Fate::Fail { kept: true }) && !self.media.lies {
            self.disk_names.clone_from(&self.names);
        }
        done(fate)
    }

    // -- content ------------------------------------------------------------------------------------------------------

    pub(crate) fn file(&self, file: u64) -> &File {
        &self.files[&file]
    }

    fn file_mut(&mut self, file: u64) -> &mut File {
        self.files.get_mut(&file).expect("an open file is there")
    }

    /// Bytes of all files, also of what is set aside.
    pub(crate) fn used(&self) -> u64 {
        self.files.values().map(|file| file.length() as u64).sum::<u64>() + self.aside.values().sum::<u64>()
    }

    fn room(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()))
    }

    pub(crate) fn write(&mut self, file: u64, at: u64, data: &[u8]) -> Outcome {
        let fate = self.next("write", file, at, data)?;
        let growth = (at + data.len() as u64).saturating_sub(self.file(file).length() as u64);
        let lacking = growth.saturating_sub(self.room());
        let mut kept = data.len() - (lacking as usize).min(data.len());
        if matches!(fate, Fate::Fail { kept: false }) {
            kept = self.dice.below(kept as u64 + 1) as usize;
        }
        if kept > 0 {
            self.file_mut(file).write(at as usize, &data[..kept]);
        }
        done(fate)?;
        if lacking > 0 { Err(Fault::Full) } else { Ok(()) }
    }

    pub(crate) fn truncate(&mut self, file: u64, length: u64) -> Outcome {
        let fate = self.next("truncate", file, length, &[])?;
        if !matches!(fate, Fate::Fail { kept: false }) {
            self.file_mut(file).truncate(length as usize);
        }
        done(fate)
    }

    /// Zeros behind the end of a file up to `length`, if there is room, and a flush.
    pub(crate) fn lengthen(&mut self, name: &str, length: u64) -> Outcome {
        let file = self.find(name).ok_or(Fault::Io)?;
        let there = self.file(file).length() as u64;
        let missing = length.saturating_sub(there);
        if missing > 0 && missing <= self.room() {
            self.write(file, there, &vec![0; missing as usize])?;
        }
        self.flush(file, false)
    }

    /// Flushes a file, if it is there, and shows what the disk holds, as Linux does when a file's clean pages are dropped.
    pub(crate) fn reread(&mut self, name: &str) -> Outcome {
        let Some(file) = self.find(name) else { return Ok(()) };
        self.flush(file, false)?;
        self.file_mut(file).reread();
        Ok(())
    }

    /// Flushes a file, and with it the directory if its name is young, as SQLite's Unix layer does for its logs.
    pub(crate) fn flush(&mut self, file: u64, with_name: bool) -> Outcome {
        self.counts.flushes += 1;
        let fate = self.next("flush", file, u64::from(with_name), &[])?;
        match fate {
            Fate::Die => {}
            Fate::Work | Fate::Fail { kept: true } if self.media.lies => {}
            Fate::Work | Fate::Fail { kept: true } => {
                let reported = self.file_mut(file).flush();
                if with_name {
                    self.disk_names.clone_from(&self.names);
                }
                done(fate)?;
                return if reported { Ok(()) } else { Err(Fault::Io) };
            }
            Fate::Fail { kept: false } => self.file_mut(file).forget(),
        }
        done(fate)
    }

    // -- room kept free -----------------------------------------------------------------------------------------------

    pub(crate) fn set_aside(&mut self, name: &str, bytes: u64) -> bool {
        let there = self.aside.get(name).copied().unwrap_or(0);
        if self.dead || bytes.saturating_sub(there) > self.room() {
            return false;
        }
        self.aside.insert(name.into(), bytes);
        true
    }

    pub(crate) fn give_back(&mut self, name: &str) -> bool {
        !self.dead && self.aside.remove(name).is_some()
    }
}

fn done(fate: Fate) -> Outcome {
    match fate {
        Fate::Work => Ok(()),
        Fate::Die | Fate::Fail { .. } => Err(Fault::Io),
    }
}
