//! The journal on disk: SQLite in WAL mode, one durable transaction for each record.
//!
//! With `synchronous=FULL` a record whose append returned survives a power cut; `NORMAL` loses acknowledged records. Frames left by
//! a cut are folded into the database (`wal_checkpoint(RESTART)`) before the first new write, so that two cuts in a row
//! cannot meet in one disk sector. The log is never cut off (docs/decisions/116), and gets its lasting length at once, in zeros.
//! A failed write or fsync is never tried again on this connection, neither of the log nor of the database (docs/decisions/118),
//! because what reached the disk is unknown then, and a start reads the log from the disk, not from the system's memory of it
//! (docs/decisions/117); the one exception is a disk that reports itself full, where nothing was written and the reserve
//! file makes room to finish the open payment. It refuses a second writer, a file that is not a journal and one of a newer layout.

mod ground;

pub use ground::{Ground, SystemGround, disk_space};

pub(crate) use ground::directory_of;

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, config::DbConfig, ffi, hooks::Wal, params,
};
use std::{
    ffi::c_int,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};
use tolem_core::ports::{Append, Store, StoreError};
use tolem_protocol::merkle::{Hash, leaf_hash};

/// `TOLM`: marks the database as a journal of this program.
const APPLICATION_ID: i64 = 0x544F_4C4D;
/// Layout of the tables below.
const LAYOUT: i64 = 1;
/// Pages in the write-ahead log at which SQLite folds it into the database.
const LOG_PAGES: u16 = 256;
/// The write-ahead log has at least this length after each opening: its header, and frames of 4096 + 24 bytes, some more than [`LOG_PAGES`],
/// since the append that reaches the mark is written whole. A log that has its length needs one wait of the disk for an append;
/// one that grows needs a second, in which the file system writes down the new length.
const LOG_BYTES: u64 = 32 + (LOG_PAGES as u64 + 32) * (4096 + 24);
/// What SQLite appends to a database's name for the name of its log.
const LOG: &str = "-wal";
/// Space kept for finishing the open payment on a full disk: the write-ahead log at its usual largest several times over,
/// and as much for the database.
pub const RESERVE_BYTES: u64 = 8 * 1024 * 1024;
/// The file beside the journal whose deletion gives the open payment room on a full disk.
const RESERVE: &str = ".reserve";

const TABLES: &str = "
    CREATE TABLE entry (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL, leaf BLOB NOT NULL CHECK (length(leaf) = 32)) STRICT;
    CREATE TABLE node (level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL CHECK (length(hash) = 32),
                       PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID;
    CREATE TABLE head (kind INTEGER PRIMARY KEY, size INTEGER NOT NULL, value BLOB NOT NULL) STRICT;
";

/// Row of `head` that holds the newest checkpoint note.
const HEAD_CHECKPOINT: i64 = 1;
/// Row of `head` that holds the newest snapshot.
const HEAD_SNAPSHOT: i64 = 2;

/// One stored record with the leaf hash that stands beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Position.
    pub seq: u64,
    /// Exact bytes of the record.
    pub bytes: Vec<u8>,
    /// Leaf hash as stored; not yet compared with the bytes.
    pub leaf: Hash,
}

/// Read access to a journal, also while a kiosk writes it.
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

impl Reader {
    /// Opens `path` for reading only. The kiosk that owns it may go on writing.
    ///
    /// On a read-only medium this works when the kiosk was stopped cleanly (no write-ahead log is left); else the error says to copy
    /// the files first, because the newest records stand only in the log.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let fail = |cause: String| StoreError(format!("journal {}: {cause}", path.display()));
        if !path.is_file() {
            return Err(fail("there is no such file".into()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        // What is shown must be what is kept. A disk that takes nothing any more can still be read.
        SystemGround.reread(&beside(path, LOG)).ok();
        let connection = Connection::open_with_flags(path, flags).map_err(|error| fail(explain(&error)))?;
        let reader = Self { connection, path: path.to_owned() };
        let error = match reader.check_layout() {
            Ok(()) => return Ok(reader),
            Err(error) => error,
        };
        // SQLite needs to write its index of the log even for reading. Without a log the file can be read as it is.
        let log_is_empty = !holds_frames(&beside(path, LOG));
        if !error.needs_write {
            return Err(error.into());
        }
        if !log_is_empty {
            return Err(fail(
                "the directory is read-only and the newest records are still in the write-ahead log; \
                 copy the journal with its -wal file to a writable directory and read it there"
                    .into(),
            ));
        }
        let uri = format!("file:{}?immutable=1", percent_encoded(path));
        let connection = Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
            .map_err(|error| fail(explain(&error)))?;
        let reader = Self { connection, path: path.to_owned() };
        reader.check_layout()?;
        Ok(reader)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of records: one more than the last position. Holes are found by verification, not here.
    pub fn size(&self) -> Result<u64, StoreError> {
        self.one("SELECT coalesce(max(seq) + 1, 0) FROM entry", "count the records")
    }

    /// Number of records and the newest checkpoint note, from one moment.
    pub fn signed_size(&self) -> Result<(u64, Option<String>), StoreError> {
        let read = || -> rusqlite::Result<(u64, Option<Vec<u8>>)> {
            self.connection
                .prepare_cached(
                    "SELECT (SELECT coalesce(max(seq) + 1, 0) FROM entry), (SELECT value FROM head WHERE kind = ?1)",
                )?
                .query_row([HEAD_CHECKPOINT], |row| Ok((row.get(0)?, row.get(1)?)))
        };
        let (size, note) = read().map_err(|error| self.error("read its size and checkpoint", &error))?;
        match note.map(String::from_utf8).transpose() {
            Ok(note) => Ok((size, note)),
            Err(_) => Err(self.fault("read the checkpoint", "it is not text")),
        }
    }

    /// At most `limit` records from `from` on, in order. Each call is its own short read transaction, so a long
    /// verification never keeps the writer's log from being folded in.
    pub fn batch(&self, from: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Entry>> {
            let mut statement = self
                .connection
                .prepare_cached("SELECT seq, bytes, leaf FROM entry WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?;
            let rows = statement.query_map(params![from, limit], |row| {
                Ok(Entry { seq: row.get(0)?, bytes: row.get(1)?, leaf: row.get(2)? })
            })?;
            rows.collect()
        };
        read().map_err(|error| self.error(&format!("read records from {from} on"), &error))
    }

    /// Reads records from `from` on, in order, until `each` returns false.
    pub fn records(&self, from: u64, each: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<(), StoreError> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self
                .connection
                .prepare_cached("SELECT seq, bytes FROM entry WHERE seq >= ?1 ORDER BY seq")?;
            let mut rows = statement.query([from])?;
            while let Some(row) = rows.next()? {
                if !each(row.get(0)?, row.get_ref(1)?.as_blob()?) {
                    break;
                }
            }
            Ok(())
        };
        read().map_err(|error| self.error(&format!("read records from {from} on"), &error))
    }

    /// Hash of the complete subtree `(level, index)`; level 0 or a multiple of 8.
    pub fn node(&self, level: u8, index: u64) -> Result<Hash, StoreError> {
        let read = || match level {
            0 => self
                .connection
                .prepare_cached("SELECT leaf FROM entry WHERE seq = ?1")?
                .query_row([index], |row| row.get(0))
                .optional(),
            _ => self
                .connection
                .prepare_cached("SELECT hash FROM node WHERE level = ?1 AND idx = ?2")?
                .query_row(params![level, index], |row| row.get(0))
                .optional(),
        };
        let what = format!("read tree node {level}/{index}");
        match read() {
            Ok(Some(hash)) => Ok(hash),
            Ok(None) => Err(self.fault(&what, "it is missing")),
            Err(error) => Err(self.error(&what, &error)),
        }
    }

    /// Hashes of `count` neighbouring complete subtrees from `(level, index)` on; level 0 or a multiple of 8.
    pub fn nodes(&self, level: u8, index: u64, count: u64) -> Result<Vec<Hash>, StoreError> {
        let end = index.saturating_add(count);
        let read = || -> rusqlite::Result<Vec<Hash>> {
            match level {
                0 => self
                    .connection
                    .prepare_cached("SELECT leaf FROM entry WHERE seq >= ?1 AND seq < ?2 ORDER BY seq")?
                    .query_map(params![index, end], |row| row.get(0))?
                    .collect(),
                _ => self
                    .connection
                    .prepare_cached(
                        "SELECT hash FROM node WHERE level = ?1 AND idx >= ?2 AND idx < ?3 ORDER BY idx",
                    )?
                    .query_map(params![level, index, end], |row| row.get(0))?
                    .collect(),
            }
        };
        let what = format!("read {count} tree nodes from {level}/{index} on");
        match read() {
            Ok(hashes) if hashes.len() as u64 == count => Ok(hashes),
            Ok(_) => Err(self.fault(&what, "some are missing")),
            Err(error) => Err(self.error(&what, &error)),
        }
    }

    /// The newest checkpoint note.
    pub fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        let Some((_, bytes)) = self.head(HEAD_CHECKPOINT, "the checkpoint")? else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|_| self.fault("read the checkpoint", "it is not text"))
    }

    /// The newest snapshot and the number of records it covers.
    pub fn snapshot(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.head(HEAD_SNAPSHOT, "the snapshot")
    }

    fn head(&self, kind: i64, what: &str) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let read = || {
            self.connection
                .prepare_cached("SELECT size, value FROM head WHERE kind = ?1")?
                .query_row([kind], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        };
        read().map_err(|error| self.error(&format!("read {what}"), &error))
    }

    fn one(&self, sql: &str, what: &str) -> Result<u64, StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(|error| self.error(what, &error))
    }

    fn check_layout(&self) -> Result<(), LayoutError> {
        let pragma = |name: &str| {
            self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(|error| {
                LayoutError { needs_write: needs_write(&error), error: self.error("read its header", &error) }
            })
        };
        let refuse = |cause: String| LayoutError { needs_write: false, error: self.fault("open", &cause) };
        let (application, layout) = (pragma("application_id")?, pragma("user_version")?);
        if application != APPLICATION_ID {
            return Err(refuse("this is not a Tolem journal; check [journal] path".into()));
        }
        if layout != LAYOUT {
            return Err(refuse(format!(
                "its layout is {layout}, this build knows {LAYOUT}; use the newer program"
            )));
        }
        Ok(())
    }

    fn error(&self, doing: &str, error: &rusqlite::Error) -> StoreError {
        self.fault(doing, &explain(error))
    }

    fn fault(&self, doing: &str, cause: &str) -> StoreError {
        StoreError(format!("journal {}: cannot {doing}: {cause}", self.path.display()))
    }
}

struct LayoutError {
    error: StoreError,
    needs_write: bool,
}

impl From<LayoutError> for StoreError {
    fn from(error: LayoutError) -> Self {
        error.error
    }
}

/// The one writer of a journal.
pub struct SqliteStore {
    reader: Reader,
    size: u64,
    ground: Box<dyn Ground + Send>,
    /// The space for finishing a payment is set aside.
    reserve_ready: bool,
    /// Set by the first failed write; nothing is written after it.
    failed: Option<String>,
    /// Held for the life of the store: SQLite's own locks let a second writer in between two transactions.
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens or creates the journal at `path`, folds in what a power cut left in the log, and sets the reserve aside.
    ///
    /// Time does not depend on the number of records: all of them are judged by [`crate::verify`], which runs beside the kiosk.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_on(Box::new(SystemGround), path)
    }

    /// The same on another ground.
    pub fn open_on(ground: Box<dyn Ground + Send>, path: &Path) -> Result<Self, StoreError> {
        let lock = ground
            .lock(&beside(path, ".lock"))
            .map_err(|cause| StoreError(format!("journal {}: cannot open: {cause}", path.display())))?;
        let reserve = beside(path, RESERVE);
        let reader = match Self::connect(&*ground, path) {
            Ok(reader) => reader,
            // On a full disk not even the log's index can be made. What is open from before comes first; a new reserve cannot
            // be set aside below, so cash stays closed.
            Err(_) if ground.give_back(&reserve) => Self::connect(&*ground, path)?,
            Err(error) => return Err(error),
        };
        let size = reader.size()?;
        let reserve_ready = ground.set_aside(&reserve, RESERVE_BYTES);
        let store = Self { reader, size, ground, reserve_ready, failed: None, _lock: lock };
        store.check_last_record()?;
        Ok(store)
    }

    fn connect(ground: &dyn Ground, path: &Path) -> Result<Reader, StoreError> {
        let fail = |doing: &str, cause: &str| {
            StoreError(format!("journal {}: cannot {doing}: {cause}", path.display()))
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        ground
            .reread(&beside(path, LOG))
            .map_err(|error| fail("read its log from the disk", &error.to_string()))?;
        let connection = match ground.file_layer() {
            None => Connection::open_with_flags(path, flags),
            Some(name) => Connection::open_with_flags_and_vfs(path, flags, name),
        };
        let connection = connection.map_err(|error| fail("open", &explain(&error)))?;
        let mut reader = Reader { connection, path: path.to_owned() };
        // A foreign database is refused before anything in it is touched.
        let tables = reader.one("SELECT count(*) FROM sqlite_schema", "open")?;
        if tables > 0 {
            reader.check_layout()?;
        }
        prepare(&mut reader.connection, tables == 0).map_err(|error| fail("prepare", &explain(&error)))?;
        reader.check_layout()?;
        fold_in_log(&reader)?;
        // Without room the log grows as it is needed, out of the reserve in the end.
        ground
            .lengthen(&beside(path, LOG), LOG_BYTES)
            .map_err(|error| fail("give its log its length", &error.to_string()))?;
        ground
            .sync_directory(directory_of(path))
            .map_err(|error| fail("make its directory durable", &error.to_string()))?;
        Ok(reader)
    }

    /// Whether the space for finishing a payment was set aside by this store. If not, cash must stay closed until
    /// [`set_reserve_aside`] has done it.
    pub fn reserve_ready(&self) -> bool {
        self.reserve_ready
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.reader.path()
    }

    /// Read access on the same connection.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// A torn or edited end is named at once instead of being built upon.
    fn check_last_record(&self) -> Result<(), StoreError> {
        let Some(last) = self.size.checked_sub(1) else { return Ok(()) };
        let entry = self.reader.batch(last, 1)?;
        match entry.first() {
            Some(entry) if leaf_hash(&entry.bytes) == entry.leaf => Ok(()),
            _ => Err(self.reader.fault(
                &format!("go on after record {last}"),
                "its bytes do not fit its hash; run `tolem journal verify`",
            )),
        }
    }

    fn write(&mut self, step: &Append<'_>) -> rusqlite::Result<()> {
        let connection = &self.reader.connection;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        connection
            .prepare_cached("INSERT INTO entry (seq, bytes, leaf) VALUES (?1, ?2, ?3)")?
            .execute(params![step.seq, step.record, step.leaf])?;
        for (level, index, hash) in step.nodes {
            connection
                .prepare_cached("INSERT INTO node (level, idx, hash) VALUES (?1, ?2, ?3)")?
                .execute(params![level, index, hash])?;
        }
        let heads = [(HEAD_CHECKPOINT, step.checkpoint.map(str::as_bytes)), (HEAD_SNAPSHOT, step.snapshot)];
        for (kind, value) in heads {
            let Some(value) = value else { continue };
            connection
                .prepare_cached("INSERT OR REPLACE INTO head (kind, size, value) VALUES (?1, ?2, ?3)")?
                .execute(params![kind, step.seq + 1, value])?;
        }
        connection.prepare_cached("COMMIT")?.execute([]).map_err(|error| match error.sqlite_error() {
            // What the hook said is not handed on: SQLite says "SQL logic error", which a commit means in no other case.
            Some(code) if code.extended_code == ffi::SQLITE_ERROR => rusqlite::Error::SqliteFailure(
                ffi::Error::new(ffi::SQLITE_IOERR),
                Some("its log could not be folded into it".into()),
            ),
            _ => error,
        })?;
        Ok(())
    }

    /// Gives the reserve back to the disk. True if there was one.
    fn give_back(&mut self) -> bool {
        self.reserve_ready = false;
        self.ground.give_back(&beside(self.path(), RESERVE))
    }

    /// Leaves the transaction that a full disk broke off. False if even that fails.
    fn roll_back(&self) -> bool {
        let connection = &self.reader.connection;
        connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok()
    }
}

impl Store for SqliteStore {
    fn size(&self) -> Result<u64, StoreError> {
        Ok(self.size)
    }

    fn append(&mut self, step: &Append<'_>) -> Result<(), StoreError> {
        if let Some(cause) = &self.failed {
            return Err(StoreError(format!(
                "{cause} (nothing is written after that; the process must restart)"
            )));
        }
        assert_eq!(step.seq, self.size, "records are appended without gaps");
        let mut result = self.write(step);
        if result.as_ref().is_err_and(is_full) && self.roll_back() && self.give_back() {
            result = self.write(step);
        }
        if let Err(error) = result {
            let error = self.reader.error(&format!("append record {}", step.seq), &error);
            // Closing must not copy pages of unknown fate into the database.
            self.reader.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).ok();
            self.failed = Some(error.0.clone());
            return Err(error);
        }
        self.size += 1;
        Ok(())
    }

    fn records(&self, from: u64, each: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<(), StoreError> {
        self.reader.records(from, each)
    }

    fn node(&self, level: u8, index: u64) -> Result<Hash, StoreError> {
        self.reader.node(level, index)
    }

    fn nodes(&self, level: u8, index: u64, count: u64) -> Result<Vec<Hash>, StoreError> {
        self.reader.nodes(level, index, count)
    }

    fn checkpoint(&self) -> Result<Option<String>, StoreError> {
        self.reader.checkpoint()
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.reader.snapshot()?.map(|(_, bytes)| bytes))
    }
}

fn prepare(connection: &mut Connection, fresh: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let mode = switch_to_log(connection)?;
    if mode != "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CANTOPEN),
            Some(format!("this file system does not support write-ahead logging (mode stays `{mode}`)")),
        ));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.wal_hook(Some(fold_in_full_log))?;
    connection.set_prepared_statement_cache_capacity(32);
    if fresh {
        // One transaction: a cut in between leaves an empty file, which is fresh again.
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {LAYOUT}; COMMIT;"
        ))?;
    }
    Ok(())
}

/// The journal mode after asking for WAL. SQLite answers `wal` first and writes the header of the database when the statement
/// ends: whoever reads the answer only would take a failed write for success, and go on without a log.
fn switch_to_log(connection: &Connection) -> rusqlite::Result<String> {
    let mut statement = connection.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = statement.query([])?;
    let mode = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?.get(0)?;
    while rows.next()?.is_some() {}
    Ok(mode)
}

/// Folds the log in after the commit that fills it, as SQLite would, but tells when it failed: then pages of the database may be lost that
/// an earlier call wrote without a flush, while somebody was reading, and that no later call would write again (docs/decisions/118).
fn fold_in_full_log(log: &mut Wal, pages: c_int) -> rusqlite::Result<()> {
    if pages < c_int::from(LOG_PAGES) {
        return Ok(());
    }
    match log.checkpoint() {
        // Another one does it, or nothing was written for want of room: all of it is still in the log.
        Err(error)
            if matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DiskFull)) =>
        {
            Ok(())
        }
        done => done,
    }
}

fn fold_in_log(reader: &Reader) -> Result<(), StoreError> {
    let busy: i64 = reader
        .connection
        .query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))
        .map_err(|error| reader.error("fold in the write-ahead log", &error))?;
    if busy == 0 {
        Ok(())
    } else {
        Err(reader.fault("fold in the write-ahead log", "another program is reading the journal; try again"))
    }
}

/// Whether a write-ahead log was begun. One that only got its length starts with zeros where the format wants its magic number
/// (SQLite file format, section 4.1).
fn holds_frames(log: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(log).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic != [0; 4]
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether the space for finishing a payment is set aside beside the journal at `path`.
pub fn reserve_is_there(path: &Path) -> bool {
    beside(path, RESERVE).metadata().is_ok_and(|file| file.len() == RESERVE_BYTES)
}

/// Sets it aside, also while a [`SqliteStore`] is open there, which finds and uses it; true if it is there then. Waits for the disk.
pub fn set_reserve_aside(path: &Path) -> bool {
    SystemGround.set_aside(&beside(path, RESERVE), RESERVE_BYTES)
}

fn percent_encoded(path: &Path) -> String {
    use std::{fmt::Write as _, os::unix::ffi::OsStrExt};
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").ok();
        }
    }
    text
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

fn needs_write(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// Words for the cases a technician meets; SQLite's own for the rest.
fn explain(error: &rusqlite::Error) -> String {
    let cause = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full",
        Some(ErrorCode::ReadOnly) => "the disk or file is read-only",
        Some(ErrorCode::CannotOpen) => {
            "it cannot be opened: check that the directory exists and may be written"
        }
        Some(ErrorCode::PermissionDenied) => "permission denied",
        Some(ErrorCode::NotADatabase) => "this is not a Tolem journal; check [journal] path",
        Some(ErrorCode::DatabaseCorrupt) => "the file is damaged; run `tolem journal verify`",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program holds it",
        Some(ErrorCode::SystemIoFailure) => "the disk reports an input/output error",
        _ => return error.to_string(),
    };
    format!("{cause} ({error})")
}
