//! One file on the disk: what the system shows, what is safe, and every sector in between.
//!
//! The rules are those of real disks and of Linux. A write goes to the cache; a flush makes the file as it is now safe; at a power
//! cut each sector that was written since the last flush is chosen for itself: as it was, any state it went through, torn in
//! the middle, or garbage. The length is chosen likewise. Some cuts come when hardly anything has reached the disk, some when nearly
//! everything has ([`ON_THE_DISK`]). This module knows no SQLite and no names.

use std::collections::{BTreeMap, BTreeSet};
use tolem_hal_sim::line::Dice;

/// Bytes in a sector.
pub const SECTOR: usize = 512;

/// How much of what was not flushed has reached the disk when the power goes, of a thousand; drawn for each file at each cut. A fair coin for
/// each sector alone would hardly ever leave ten neighbours as they were, which is what an old record in an old log needs to be
/// taken for a valid one.
const ON_THE_DISK: [u16; 3] = [60, 500, 940];

/// What a disk promises, and what it keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Media {
    /// SQLite is told that bytes beside a write are safe (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`; its Unix layer says so of
    /// every disk).
    pub claims_safe_overwrite: bool,
    /// Bytes beside a write really are safe. If not, a cut may spoil the whole [`Media::unit`].
    pub keeps_neighbours: bool,
    /// Bytes that the disk writes at once and may spoil together, a multiple of [`SECTOR`]. Also told to SQLite as sector size.
    pub unit: usize,
    /// A sector that is being written when the power goes may end half old, half new. If not, each is wholly one of the two, as
    /// file systems expect it.
    pub tears: bool,
    /// It may also end as garbage.
    pub garbage: bool,
    /// Confirms every flush and does none.
    pub lies: bool,
}

impl Media {
    /// A disk that keeps its word: torn, lost and reordered sectors, each whole sector for itself.
    pub const HONEST: Self = Self {
        claims_safe_overwrite: true,
        keeps_neighbours: true,
        unit: SECTOR,
        tears: true,
        garbage: false,
        lies: false,
    };
}

/// A state a sector went through since the last flush.
struct Version {
    bytes: Box<[u8; SECTOR]>,
    /// The part that was written to get there.
    from: usize,
    to: usize,
}

/// One file, or a whole disk.
#[derive(Default)]
pub struct File {
    now: Vec<u8>,
    disk: Vec<u8>,
    unflushed: BTreeMap<usize, Vec<Version>>,
    lengths: Vec<usize>,
    /// Writing behind the program's back failed, and nobody has been told.
    untold: bool,
}

impl File {
    /// Bytes in it, as the system shows it.
    pub fn length(&self) -> usize {
        self.now.len()
    }

    /// Fills `buffer` from `at` on, with zeros behind the end. Returns the number of bytes that are in the file.
    pub fn read(&self, at: usize, buffer: &mut [u8]) -> usize {
        let there = self.now.get(at..).unwrap_or_default();
        let count = there.len().min(buffer.len());
        buffer[..count].copy_from_slice(&there[..count]);
        buffer[count..].fill(0);
        count
    }

    /// Into the cache.
    pub fn write(&mut self, at: usize, data: &[u8]) {
        let end = at + data.len();
        if end > self.now.len() {
            self.now.resize(end, 0);
            self.lengths.push(end);
        }
        self.now[at..end].copy_from_slice(data);
        self.touch(at, end);
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        let before = self.now.len();
        if length == before {
            return;
        }
        self.now.resize(length, 0);
        self.lengths.push(length);
        // What is cut off reads as zeros if the file grows again; until a flush the old bytes may come back.
        self.touch(length.min(before), before);
    }

    /// Notes the present state of the sectors in `from..to`.
    fn touch(&mut self, from: usize, to: usize) {
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            let start = sector * SECTOR;
            let mut bytes = Box::new([0; SECTOR]);
            self.read(start, &mut bytes[..]);
            let version = Version { bytes, from: from.saturating_sub(start), to: (to - start).min(SECTOR) };
            self.unflushed.entry(sector).or_default().push(version);
        }
    }

    pub(crate) fn is_dirty(&self) -> bool {
        !self.unflushed.is_empty()
    }

    /// The system could not write what was not flushed. It says so at the next flush, to whoever has the file open.
    pub(crate) fn fail_writeback(&mut self) {
        self.forget();
        self.untold = true;
    }

    /// Everything is safe that was written since the last flush, failed or not; the length always. False if something was lost before,
    /// which is said once.
    pub fn flush(&mut self) -> bool {
        self.disk.resize(self.now.len(), 0);
        for sector in self.unflushed.keys() {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(self.now.len());
            if !range.is_empty() {
                self.disk[range.clone()].copy_from_slice(&self.now[range]);
            }
        }
        self.forget();
        !std::mem::take(&mut self.untold)
    }

    /// A flush failed the way Linux fails it: the cache calls itself clean, shows the new bytes, and will never write them.
    pub(crate) fn forget(&mut self) {
        self.unflushed.clear();
        self.lengths.clear();
    }

    /// Everything is clean and is read from the disk again. The length is remembered elsewhere and stays.
    pub(crate) fn reread(&mut self) {
        // A disk that lies has what it confirmed in a memory of its own, and shows that.
        if self.unflushed.is_empty() {
            let length = self.now.len();
            self.now.clone_from(&self.disk);
            self.now.resize(length, 0);
        }
    }

    /// The power is gone. What is on the disk now?
    pub fn cut(&mut self, media: &Media, dice: &mut Dice) {
        let on_the_disk = ON_THE_DISK[dice.below(ON_THE_DISK.len() as u64) as usize];
        let choice = dice.below(self.lengths.len() as u64 + 1) as usize;
        let length = choice.checked_sub(1).map_or(self.disk.len(), |index| self.lengths[index]);
        let old = std::mem::take(&mut self.disk);
        self.disk = old.clone();
        self.disk.resize(length, 0);
        let mut spoilt = BTreeSet::new();
        for (sector, versions) in &self.unflushed {
            let start = sector * SECTOR;
            if !dice.chance(on_the_disk) {
                continue;
            }
            let choice = dice.below(versions.len() as u64) as usize;
            let mut bytes = before(&old, versions, start, choice);
            let Version { bytes: new, from, to } = &versions[choice];
            // Behind the choice everything that was ever written to the sector, in the order of the writes.
            let (mut from, mut to) = (*from, *to);
            match dice.below(8) {
                0 if media.tears => to = from + dice.below((to - from) as u64 + 1) as usize,
                1 if media.tears => from += dice.below((to - from) as u64 + 1) as usize,
                2 if media.garbage && media.keeps_neighbours => {
                    bytes[from..to].fill_with(|| dice.next_u64() as u8);
                    (from, to) = (0, 0);
                }
                2 if media.garbage => {
                    spoilt.insert(start / media.unit);
                }
                _ => {}
            }
            bytes[from..to].copy_from_slice(&new[from..to]);
            put(&mut self.disk, start, &bytes);
        }
        for unit in spoilt {
            let mut bytes = vec![0; media.unit];
            bytes.fill_with(|| dice.next_u64() as u8);
            put(&mut self.disk, unit * media.unit, &bytes);
        }
        self.now.clone_from(&self.disk);
        self.forget();
        self.untold = false;
    }
}

/// The sector before its `choice`-th new state.
fn before(old: &[u8], versions: &[Version], start: usize, choice: usize) -> [u8; SECTOR] {
    if let Some(earlier) = choice.checked_sub(1) {
        return *versions[earlier].bytes;
    }
    let mut bytes = [0; SECTOR];
    let there = old.get(start..).unwrap_or_default();
    let count = there.len().min(SECTOR);
    bytes[..count].copy_from_slice(&there[..count]);
    bytes
}

/// Writes what of `bytes` lies inside the file.
fn put(disk: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(there) = disk.get_mut(at..) {
        let count = there.len().min(bytes.len());
        there[..count].copy_from_slice(&bytes[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An old record in an old log is taken for valid only if many neighbours stay as they were: such cuts must come, too.
    #[test]
    fn some_cuts_find_hardly_anything_on_the_disk_and_some_nearly_everything() {
        const SECTORS: usize = 40;
        let mut dice = Dice::new(1);
        let new = (0..300).map(|_| {
            let mut file = File::default();
            file.write(0, &[1; SECTORS * SECTOR]);
            file.flush();
            file.write(0, &[2; SECTORS * SECTOR]);
            file.cut(&Media { tears: false, ..Media::HONEST }, &mut dice);
            let mut bytes = [0; SECTORS * SECTOR];
            file.read(0, &mut bytes);
            bytes.chunks(SECTOR).filter(|sector| sector[0] == 2).count()
        });
        let new: Vec<usize> = new.collect();
        let count =
            |range: std::ops::RangeInclusive<usize>| new.iter().filter(|new| range.contains(new)).count();
        assert!(count(0..=4) > 50 && count(15..=25) > 50 && count(36..=SECTORS) > 50, "{new:?}");
    }
}
