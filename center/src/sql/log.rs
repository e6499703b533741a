//! The file of an SQLite database's write-ahead log.

use std::{io, path::Path};

/// Makes the system forget what it remembers of the write-ahead log of the database at `path`, so that what is read next is what the disk
/// holds. After a flush that failed it shows bytes that never reached the disk and calls them clean (docs/decisions/117). Comes before
/// the first statement; others may have the database open (SQLite has no lock on its log that closing it here could take away).
pub(crate) fn reread(path: &Path) -> io::Result<()> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match std::fs::File::open(log) {
        Ok(log) => {
            log.sync_all()?;
            Ok(rustix::fs::fadvise(&log, 0, None, rustix::fs::Advice::DontNeed)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
