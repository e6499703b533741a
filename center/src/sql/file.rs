//! A database in a file: SQLite's settings, and what is believed of its write-ahead log.

use crate::logic::store::{Result, StoreError};
use rusqlite::{Connection, ErrorCode, config::DbConfig};
use std::{ffi::c_int, io, path::Path};

/// Pages in the write-ahead log of a file at which it is folded in.
pub(super) const LOG_PAGES: u16 = 1_000;

/// Folds the log in after each commit that finds `pages` in it, as SQLite would, but lets the commit fail when that failed: then pages of the
/// database may be lost that an earlier call wrote without a flush, while somebody was reading, and that no later call would write
/// again (docs/decisions/118). What was committed is durable all the same.
pub(crate) fn fold_in_at(connection: &mut Connection, pages: u16) -> rusqlite::Result<()> {
    connection.wal_hook(Some(move |log: &mut rusqlite::hooks::Wal, there: c_int| {
        if there < c_int::from(pages) {
            return Ok(());
        }
        match log.checkpoint() {
            // Another one does it, or nothing was written for want of room: all of it is still in the log.
            Err(error)
                if matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::DatabaseBusy | ErrorCode::DiskFull)
                ) =>
            {
                Ok(())
            }
            done => done,
        }
    }))
}

/// After a failed commit: closing must not fold the log in and delete it.
pub(crate) fn keep(connection: &Connection) {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).ok();
}

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

/// The settings of the center's database, on a connection that has read nothing yet.
pub(super) fn prepare(connection: &mut Connection) -> Result<()> {
    // Another process (the command line) may write for a moment; it is waited for.
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    fold_in_at(connection, LOG_PAGES)?;
    // What a power cut left in the log is folded in before the first new write, so that two cuts in a row cannot meet in one
    // sector (docs/decisions/075); the log itself is never cut off (116). Busy is an answer, no error: whoever has the database
    // open has done it, if it is one of ours.
    connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// After one that failed nothing more is written: what the disk holds is unknown.
pub(super) fn commit(connection: &Connection, failed: &mut Option<String>) -> Result<()> {
    connection.execute_batch("COMMIT").map_err(|error| {
        keep(connection);
        // What the hook said is not handed on: SQLite says "SQL logic error", which a commit means in no other case.
        let folding =
            error.sqlite_error().is_some_and(|code| code.extended_code == rusqlite::ffi::SQLITE_ERROR);
        let error = if folding {
            StoreError("the disk failed while the database's log was folded into it".into())
        } else {
            StoreError::from(error)
        };
        *failed = Some(error.0.clone());
        error
    })
}
