//! What a journal stands on: SQLite's file layer and the few files beside the database.
//!
//! A kiosk stands on [`SystemGround`]. The seam exists for the test that cuts the power below SQLite: the store that runs
//! there is this very store, with its settings and its recovery. Nothing here decides anything.

use rustix::fs::{Advice, FallocateFlags, FlockOperation};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// The places a store needs beside its connection.
pub trait Ground {
    /// Name of the SQLite file layer (VFS); `None` is the system's.
    fn file_layer(&self) -> Option<&str>;
    /// Keeps a second writer out for as long as the answer lives. The error says what to do.
    fn lock(&self, path: &Path) -> Result<Option<File>, String>;
    /// Makes a file of `bytes` that really takes up its space, or nothing. True if it is there.
    fn set_aside(&self, path: &Path, bytes: u64) -> bool;
    /// Deletes that file. True if it was there and its space is free now.
    fn give_back(&self, path: &Path) -> bool;
    /// Gives a file that is there its lasting length, in zeros behind its end that really take up their space; without room for them,
    /// and if it is as long already, it stays as it is.
    fn lengthen(&self, path: &Path, bytes: u64) -> io::Result<()>;
    /// Makes the system forget what it remembers of a file, so that what is read next is what the disk holds. After a flush that failed it shows
    /// bytes that never reached the disk and calls them clean. No error if the file is not there.
    fn reread(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// The file system of this machine.
pub struct SystemGround;

impl Ground for SystemGround {
    fn file_layer(&self) -> Option<&str> {
        None
    }

    fn lock(&self, path: &Path) -> Result<Option<File>, String> {
        let fail = |error: io::Error| format!("{}: {error}", path.display());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(fail)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::AGAIN) => {
                Err("another kiosk process writes this journal; stop it first".into())
            }
            Err(error) => Err(fail(error.into())),
        }
    }

    fn set_aside(&self, path: &Path, bytes: u64) -> bool {
        let ready = fill(path, bytes).is_ok();
        if !ready {
            // A part of it would only take the space that is missing.
            std::fs::remove_file(path).ok();
        }
        ready
    }

    fn give_back(&self, path: &Path) -> bool {
        std::fs::remove_file(path).is_ok()
    }

    fn lengthen(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new().append(true).open(path)?;
        let there = file.metadata()?.len();
        // Space that is only promised (fallocate) would be turned into real space by the first write to each of its blocks,
        // with the second wait that this is to save.
        match write_zeros(&file, bytes.saturating_sub(there)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => file.set_len(there)?,
            Err(error) => return Err(error),
        }
        file.sync_all()
    }

    fn reread(&self, path: &Path) -> io::Result<()> {
        match File::open(path) {
            Ok(file) => {
                // What a killed process left is no less good than what it flushed, and only what is flushed can be forgotten.
                let flushed = file.sync_all();
                rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
                flushed
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

/// Free bytes on the file system of `path`, as an ordinary user may use them, and whether it can be written.
pub fn disk_space(path: &Path) -> io::Result<(u64, bool)> {
    let space = rustix::fs::statvfs(directory_of(path))?;
    let writable = !space.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
    Ok((space.f_bavail.saturating_mul(space.f_frsize), writable))
}

pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => {}
        Err(rustix::io::Errno::OPNOTSUPP) => write_zeros(&file, bytes)?,
        Err(error) => return Err(error.into()),
    }
    file.sync_all()
}

fn write_zeros(mut file: &File, bytes: u64) -> io::Result<()> {
    let block = [0; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(block.len() as u64);
        file.write_all(&block[..part as usize])?;
        left -= part;
    }
    Ok(())
}
