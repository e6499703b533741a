//! The center's rows in a database: an SQLite file (write-ahead log, `synchronous=FULL`) for one process, or PostgreSQL for several.
//! One transaction per request; the same tables and statements in both, so the same tests judge both.
//!
//! What `transact` has returned is on disk. After an error nothing is tried again: what the disk holds is unknown until the
//! database is opened anew. Tables are named so that an operator can read them with sqlite3 or psql.

mod acquirer;
mod disputes;
mod enrolment;
mod errands;
pub(crate) mod file;
pub mod moving;
mod office;
mod presence;
mod rebuild;
mod register;
mod server;
mod tls;
mod value;

pub use server::Address;

use crate::logic::{
    ledger::{Account, KINDS, Posting, reason_word},
    store::{
        Alarm, AttemptRow, BalanceRow, BalanceState, CodeRow, CodeState, KioskRow, PayerTag, PaymentRow,
        PaymentState, Result, Store, StoreError, Transact, WitnessRow,
    },
};
use rusqlite::{Connection, OptionalExtension as _};
use server::{Server, Tries};
use std::{io, os::unix::fs::OpenOptionsExt as _, path::Path};
use tolem_protocol::{
    Amount, BalanceNumber, Bin, KioskNumber, PaymentCode, PaymentId, UtcTime,
    messages::HoldReason,
    signed::{Signed, Statement},
    utc::Date,
};
use value::{Row, Value, bad, good, values};

/// The tables, as they grew: entry `n` leads from version `n` to `n + 1`. A database of an older version is brought up to
/// date when it is opened, one of a newer version is refused.
const SCHEMAS: [&str; 13] = [
    FIRST,
    office::TABLES,
    errands::TABLES,
    rebuild::TABLES,
    presence::TABLES,
    acquirer::TABLES,
    enrolment::TABLES,
    acquirer::WORDS,
    disputes::TABLES,
    register::TABLES,
    errands::OPEN,
    moving::TABLES,
    CASH,
];

/// Tables of schema version 13: what a payer has put in today is summed without reading a payment.
const CASH: &str = "
CREATE INDEX payment_cash ON payment (payer, day, state, inserted);
DROP INDEX payment_payer;
";

const FIRST: &str = "
CREATE TABLE center (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL) STRICT;
CREATE TABLE kiosk (
  kiosk INTEGER PRIMARY KEY, journal_key BLOB NOT NULL, epoch INTEGER NOT NULL, boot_nonce BLOB NOT NULL, closed TEXT
) STRICT;
CREATE TABLE former_key (id INTEGER PRIMARY KEY, kiosk INTEGER NOT NULL, key BLOB NOT NULL) STRICT;
CREATE TABLE boot (
  kiosk INTEGER NOT NULL, nonce BLOB NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (kiosk, nonce)
) STRICT, WITHOUT ROWID;
CREATE TABLE payment (
  kiosk INTEGER NOT NULL, epoch INTEGER NOT NULL, number INTEGER NOT NULL, nonce BLOB NOT NULL,
  slip INTEGER NOT NULL, state TEXT NOT NULL, payer BLOB, payer_tail INTEGER NOT NULL, day INTEGER NOT NULL,
  payee TEXT, quote BLOB, deposit BLOB, outcome BLOB, inserted INTEGER NOT NULL, printed_by INTEGER,
  PRIMARY KEY (kiosk, epoch, number, nonce)
) STRICT;
CREATE INDEX payment_slip ON payment (kiosk, slip);
CREATE INDEX payment_payer ON payment (payer, day);
CREATE TABLE balance (
  number INTEGER PRIMARY KEY, owner BLOB, amount INTEGER NOT NULL, reason TEXT NOT NULL, origin BLOB NOT NULL,
  state TEXT NOT NULL, holder BLOB, until INTEGER, resolved INTEGER NOT NULL, made_at INTEGER NOT NULL
) STRICT;
CREATE TABLE code (
  code INTEGER PRIMARY KEY, payment BLOB NOT NULL, service TEXT NOT NULL, payer BLOB NOT NULL, fee INTEGER NOT NULL,
  state TEXT NOT NULL, issued_at INTEGER NOT NULL, paid_at INTEGER, valid_until INTEGER NOT NULL
) STRICT;
CREATE INDEX code_due ON code (issued_at) WHERE state = 'issued';
CREATE TABLE posting (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, payment BLOB NOT NULL, kind TEXT NOT NULL) STRICT;
CREATE TABLE line (
  posting INTEGER NOT NULL REFERENCES posting, place INTEGER NOT NULL, account TEXT NOT NULL, tiyn INTEGER NOT NULL,
  PRIMARY KEY (posting, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE witness (kiosk INTEGER PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL) STRICT;
CREATE TABLE attempt (key TEXT PRIMARY KEY, first INTEGER NOT NULL, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE alarm (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kiosk INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
  disputed INTEGER NOT NULL, evidence BLOB NOT NULL
) STRICT;
";

/// The center's database.
pub struct SqlStore {
    base: Base,
    /// Why a commit to the file failed.
    failed: Option<String>,
}

enum Base {
    Sqlite(Connection),
    Postgres(Box<Server>),
}

impl SqlStore {
    /// Makes a database in a file that begins its life as `center_epoch`. Fails if there is one.
    pub fn create(path: &Path, center_epoch: u32) -> Result<Self> {
        if path.exists() {
            return Err(StoreError(format!("{} exists; it is not overwritten", path.display())));
        }
        // Readable by its owner alone; the log files beside it take over its mode.
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| StoreError(format!("{}: {error}", path.display())))?;
        Self::create_on(Connection::open(path)?, center_epoch)
    }

    /// The same on a connection to an empty database.
    pub fn create_on(mut connection: Connection, center_epoch: u32) -> Result<Self> {
        file::prepare(&mut connection)?;
        Self { base: Base::Sqlite(connection), failed: None }.found(center_epoch)
    }

    /// Makes the tables in an empty database of a PostgreSQL server.
    ///
    /// # Errors
    /// If it cannot be reached, or there is a center in it already.
    pub fn create_at(address: &Address, center_epoch: u32) -> Result<Self> {
        let store = Self { base: Base::Postgres(Box::new(address.connect()?)), failed: None };
        if store.version()? != 0 {
            return Err(StoreError("the database has a center already; it is not overwritten".into()));
        }
        store.found(center_epoch)
    }

    fn found(mut self, center_epoch: u32) -> Result<Self> {
        self.transact(|store| {
            store.bring_up_to_date()?;
            store.run("INSERT INTO center (one, epoch) VALUES (1, ?1)", values![center_epoch])
        })?;
        Ok(self)
    }

    /// Opens a database in a file.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_file() {
            return Err(StoreError(format!("{} is missing; tolem-center init makes one", path.display())));
        }
        Self::open_on(Connection::open(path)?, || file::reread(path))
    }

    /// The same on a connection; `reread` reads its log from the disk, as [`Self::open`] does.
    pub fn open_on(connection: Connection, reread: impl FnOnce() -> io::Result<()>) -> Result<Self> {
        reread().map_err(|error| {
            StoreError(format!("the database's log cannot be read from the disk: {error}"))
        })?;
        let mut store = Self { base: Base::Sqlite(connection), failed: None };
        let old = store.is_old()?;
        if let Base::Sqlite(connection) = &mut store.base {
            file::prepare(connection)?;
        }
        if old {
            // Looked at again inside: another process may have been faster.
            store.transact(|store| store.bring_up_to_date())?;
        }
        store.refuse_moved()?;
        Ok(store)
    }

    /// Opens a database of a PostgreSQL server.
    ///
    /// # Errors
    /// If it cannot be reached, or there is no center in it.
    pub fn open_at(address: &Address) -> Result<Self> {
        let mut store = Self { base: Base::Postgres(Box::new(address.connect()?)), failed: None };
        if store.is_old()? {
            store.transact(|store| store.bring_up_to_date())?;
        }
        Ok(store)
    }

    /// Says why a commit failed, if one has: nothing more is written then, and the process must start again.
    pub fn not_failed(&self) -> Result<()> {
        match &self.failed {
            None => Ok(()),
            Some(cause) => {
                Err(StoreError(format!("{cause} (nothing is written after that; the process must restart)")))
            }
        }
    }

    /// Whether several processes may work on it, so that what one of them remembers is not all there is.
    pub fn is_shared(&self) -> bool {
        matches!(self.base, Base::Postgres(_))
    }

    /// Whether this process does what is due at the neighbours. Of several on one database one does, until its connection ends.
    pub fn runs_errands(&self) -> Result<bool> {
        match &self.base {
            Base::Sqlite(_) => Ok(true),
            Base::Postgres(server) => server.leads(),
        }
    }

    /// Whether this process says what is owed to the acquirer: of several on one database one with an open line.
    pub fn speaks_to_acquirer(&self, line_is_open: bool) -> Result<bool> {
        match &self.base {
            Base::Sqlite(_) => Ok(line_is_open),
            Base::Postgres(server) => server.speaks(line_is_open),
        }
    }

    /// Begins a conversation of a kiosk, in a transaction; those before are over, wherever they were. For a shared database.
    pub fn begin_session(&mut self, kiosk: KioskNumber) -> Result<i64> {
        let number = self.session(kiosk)? + 1;
        self.put("session", &["kiosk"], &["number"], values![kiosk.get(), number])?;
        Ok(number)
    }

    /// The newest conversation of a kiosk; 0 before the first.
    pub fn session(&self, kiosk: KioskNumber) -> Result<i64> {
        let sql = "SELECT number FROM session WHERE kiosk = ?1";
        Ok(self.one(sql, values![kiosk.get()], |row| row.get("number"))?.unwrap_or(0))
    }

    /// Writes a copy of the whole database, as it is at this moment, to a new file.
    ///
    /// # Errors
    /// If the file is there already or cannot be written, or the database is PostgreSQL's, which has its own tools for that.
    pub fn back_up(&self, path: &Path) -> Result<()> {
        let name = path.to_str().ok_or_else(|| StoreError(format!("{}: not a name", path.display())))?;
        if self.is_shared() {
            let fault = "the store is PostgreSQL: use pg_dump, or its continuous archiving";
            return Err(StoreError(fault.into()));
        }
        if path.exists() {
            return Err(StoreError(format!("{name} exists; it is not overwritten")));
        }
        // SQLite takes an empty file as its target: made here, so that nobody else can read it.
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        made.map_err(|error| StoreError(format!("{name}: {error}")))?;
        self.run("VACUUM INTO ?1", values![name])
    }

    /// Whether its tables are of an older version; an error if there are none, or of a newer one.
    fn is_old(&self) -> Result<bool> {
        let version = self.version()?;
        if (1..=SCHEMAS.len()).contains(&version) {
            return Ok(version < SCHEMAS.len());
        }
        let name = match &self.base {
            Base::Sqlite(connection) => connection.path().unwrap_or("the database").to_owned(),
            Base::Postgres(_) if version == 0 => {
                return Err(StoreError(
                    "no center is in the PostgreSQL database; tolem-center init --postgres makes one".into(),
                ));
            }
            Base::Postgres(_) => "the PostgreSQL database".into(),
        };
        Err(StoreError(format!(
            "{name} has table version {version}, this build reads 1 to {}",
            SCHEMAS.len()
        )))
    }

    fn version(&self) -> Result<usize> {
        let version: i64 = match &self.base {
            Base::Sqlite(connection) => {
                connection.pragma_query_value(None, "user_version", |row| row.get(0))?
            }
            Base::Postgres(_) => {
                let there = "SELECT to_regclass('schema_version')::text AS name";
                match self.one(there, vec![], |row| row.get::<Option<String>>("name"))?.flatten() {
                    Some(_) => {
                        let sql = "SELECT version FROM schema_version";
                        self.one(sql, vec![], |row| row.get("version"))?.unwrap_or(0)
                    }
                    None => 0,
                }
            }
        };
        Ok(usize::try_from(version).unwrap_or(usize::MAX))
    }

    /// Makes what is missing of the tables, in a transaction.
    fn bring_up_to_date(&self) -> Result<()> {
        let newest = SCHEMAS.len();
        match &self.base {
            Base::Sqlite(connection) => {
                for tables in SCHEMAS.iter().skip(self.version()?) {
                    connection.execute_batch(tables)?;
                }
                connection.pragma_update(None, "user_version", i64::try_from(newest).unwrap_or(0))?;
            }
            Base::Postgres(server) => {
                server.lock_tables()?;
                let from = self.version()?;
                for tables in SCHEMAS.iter().skip(from) {
                    server.batch(&server::tables(tables))?;
                }
                if from == 0 {
                    server.batch(server::APPEND_ONLY)?;
                    server.batch("CREATE TABLE schema_version (version BIGINT NOT NULL)")?;
                    server.batch("INSERT INTO schema_version VALUES (0)")?;
                }
                server.batch(&format!("UPDATE schema_version SET version = {newest}"))?;
            }
        }
        Ok(())
    }

    fn run(&self, sql: &str, values: Vec<Value>) -> Result<()> {
        match &self.base {
            Base::Sqlite(connection) => {
                connection.prepare_cached(sql)?.execute(rusqlite::params_from_iter(values))?;
            }
            Base::Postgres(server) => {
                server.rows(sql, &values)?;
            }
        }
        Ok(())
    }

    /// Inserts a row, or replaces the one with the same keys. The values stand in the order of `keys` and then `rest`.
    fn put(&self, table: &str, keys: &[&str], rest: &[&str], values: Vec<Value>) -> Result<()> {
        let quoted = |names: &[&str]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>();
        let (keys, rest) = (quoted(keys), quoted(rest));
        let places: Vec<_> = (1..=keys.len() + rest.len()).map(|place| format!("?{place}")).collect();
        let set: Vec<_> = rest.iter().map(|name| format!("{name} = excluded.{name}")).collect();
        let sql = format!(
            "INSERT INTO {table} ({}, {}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}",
            keys.join(", "),
            rest.join(", "),
            places.join(", "),
            keys.join(", "),
            set.join(", ")
        );
        self.run(&sql, values)
    }

    fn one<T>(
        &self,
        sql: &str,
        values: Vec<Value>,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        match &self.base {
            Base::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let read = |row: &rusqlite::Row<'_>| Ok(read(&Row::Sqlite(row)));
                statement.query_row(rusqlite::params_from_iter(values), read).optional()?.transpose()
            }
            Base::Postgres(server) => {
                server.rows(sql, &values)?.first().map(|row| read(&Row::Postgres(row))).transpose()
            }
        }
    }

    fn all<T>(
        &self,
        sql: &str,
        values: Vec<Value>,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        match &self.base {
            Base::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let read = |row: &rusqlite::Row<'_>| Ok(read(&Row::Sqlite(row)));
                let rows = statement.query_map(rusqlite::params_from_iter(values), read)?;
                rows.map(|row| row?).collect()
            }
            Base::Postgres(server) => {
                server.rows(sql, &values)?.iter().map(|row| read(&Row::Postgres(row))).collect()
            }
        }
    }

    /// Gives each row to `each`, without having all of them in memory.
    fn each(&self, sql: &str, each: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        match &self.base {
            Base::Sqlite(_) => self.all(sql, vec![], each).map(|_: Vec<()>| ()),
            Base::Postgres(server) => server.each(sql, each),
        }
    }
}

impl Transact for SqlStore {
    fn transact<R>(&mut self, mut work: impl FnMut(&mut Self) -> Result<R>) -> Result<R> {
        let mut tries = Tries::default();
        self.not_failed()?;
        loop {
            match &self.base {
                Base::Sqlite(connection) => connection.execute_batch("BEGIN IMMEDIATE")?,
                Base::Postgres(server) => server.begin()?,
            }
            let result = work(self).and_then(|value| {
                match &self.base {
                    Base::Sqlite(connection) => file::commit(connection, &mut self.failed)?,
                    Base::Postgres(server) => server.commit()?,
                }
                Ok(value)
            });
            match &self.base {
                Base::Sqlite(connection) => {
                    if result.is_err() && !connection.is_autocommit() {
                        connection.execute_batch("ROLLBACK")?;
                    }
                    return result;
                }
                Base::Postgres(server) if result.is_ok() => {
                    server.ended();
                    return result;
                }
                Base::Postgres(server) => {
                    if !server.end(&mut tries) {
                        return result;
                    }
                }
            }
        }
    }
}

fn array<const N: usize>(row: &Row<'_>, column: &str) -> Result<[u8; N]> {
    let bytes: Vec<u8> = row.get(column)?;
    good(bytes.try_into().ok(), column)
}

fn kiosk_number(row: &Row<'_>, column: &str) -> Result<KioskNumber> {
    good(KioskNumber::new(row.get(column)?), column)
}

fn amount(row: &Row<'_>, column: &str) -> Result<Amount> {
    let tiyn: i64 = row.get(column)?;
    good(u64::try_from(tiyn).ok().map(Amount::from_tiyn).filter(|sum| *sum <= Amount::MAX), column)
}

fn tiyn(amount: Amount) -> i64 {
    i64::try_from(amount.tiyn()).expect("invariant: an amount is at most Amount::MAX")
}

fn id_bytes(payment: &PaymentId) -> Vec<u8> {
    postcard::to_allocvec(payment).expect("invariant: a payment id encodes")
}

fn id_of(row: &Row<'_>, column: &str) -> Result<PaymentId> {
    let bytes: Vec<u8> = row.get(column)?;
    good(postcard::from_bytes(&bytes).ok(), column)
}

fn statement<T: Statement>(row: &Row<'_>, column: &str) -> Result<Option<Signed<T>>> {
    let bytes: Option<Vec<u8>> = row.get(column)?;
    bytes.map(|bytes| good(Signed::from_bytes(&bytes), column)).transpose()
}

fn bytes_of<T: Statement>(signed: Option<&Signed<T>>) -> Option<Vec<u8>> {
    signed.map(|signed| signed.to_bytes().to_vec())
}

fn word<T: Copy>(row: &Row<'_>, column: &str, all: &[(T, &str)]) -> Result<T> {
    let text: String = row.get(column)?;
    good(all.iter().find(|(_, word)| *word == text).map(|(value, _)| *value), column)
}

const PAYMENT_STATES: [(PaymentState, &str); 4] = [
    (PaymentState::Quoted, "quoted"),
    (PaymentState::Voided, "voided"),
    (PaymentState::Settled, "settled"),
    (PaymentState::Disputed, "disputed"),
];

const CODE_STATES: [(CodeState, &str); 6] = [
    (CodeState::Issued, "issued"),
    (CodeState::Paid, "paid"),
    (CodeState::Used, "used"),
    (CodeState::Void, "void"),
    (CodeState::Expired, "expired"),
    (CodeState::Refunded, "refunded"),
];

const REASONS: [HoldReason; 6] = [
    HoldReason::Stopped,
    HoldReason::Remainder,
    HoldReason::Suspense,
    HoldReason::NoPayment,
    HoldReason::Refused,
    HoldReason::JournalFailed,
];

fn word_of<T: Copy + PartialEq>(value: T, all: &[(T, &'static str)]) -> &'static str {
    all.iter()
        .find(|(known, _)| *known == value)
        .map(|(_, word)| *word)
        .expect("invariant: every state has a word")
}

fn payment_row(row: &Row<'_>) -> Result<PaymentRow> {
    let number: i64 = row.get("number")?;
    let payer: Option<Vec<u8>> = row.get("payer")?;
    let payee: Option<String> = row.get("payee")?;
    let printed: Option<u32> = row.get("printed_by")?;
    Ok(PaymentRow {
        payment: PaymentId {
            kiosk: kiosk_number(row, "kiosk")?,
            epoch: row.get("epoch")?,
            number: number.cast_unsigned(),
            nonce: array(row, "nonce")?,
        },
        state: word(row, "state", &PAYMENT_STATES)?,
        payer: payer.map(|bytes| good(bytes.try_into().ok().map(PayerTag), "payer")).transpose()?,
        payer_tail: row.get("payer_tail")?,
        day: Date::from_days(row.get("day")?),
        payee: payee.map(|bin| good(Bin::parse(&bin), "payee")).transpose()?,
        quote: statement(row, "quote")?,
        deposit: statement(row, "deposit")?,
        outcome: statement(row, "outcome")?,
        inserted: amount(row, "inserted")?,
        printed_by: printed.map(|number| good(KioskNumber::new(number), "printed_by")).transpose()?,
    })
}

fn balance_row(row: &Row<'_>) -> Result<BalanceRow> {
    let number: i64 = row.get("number")?;
    let owner: Option<Vec<u8>> = row.get("owner")?;
    let reason: String = row.get("reason")?;
    let state: String = row.get("state")?;
    let state = match state.as_str() {
        "issued" => BalanceState::Issued,
        "reserved" => BalanceState::Reserved { by: id_of(row, "holder")?, until: UtcTime(row.get("until")?) },
        "spent" => BalanceState::Spent { by: id_of(row, "holder")? },
        "refunded" => BalanceState::Refunded,
        "cancelled" => BalanceState::Cancelled,
        _ => return bad("state"),
    };
    Ok(BalanceRow {
        number: good(BalanceNumber::try_from(number.cast_unsigned()).ok(), "number")?,
        owner: owner.map(|bytes| good(bytes.try_into().ok().map(PayerTag), "owner")).transpose()?,
        amount: amount(row, "amount")?,
        reason: good(REASONS.into_iter().find(|known| reason_word(*known) == reason), "reason")?,
        from: id_of(row, "origin")?,
        state,
        resolved: row.get("resolved")?,
        made_at: UtcTime(row.get("made_at")?),
    })
}

fn code_row(row: &Row<'_>) -> Result<CodeRow> {
    let code: i64 = row.get("code")?;
    let service: String = row.get("service")?;
    let paid: Option<i64> = row.get("paid_at")?;
    Ok(CodeRow {
        code: good(PaymentCode::try_from(code.cast_unsigned()).ok(), "code")?,
        payment: id_of(row, "payment")?,
        service: good(heapless::String::try_from(service.as_str()).ok(), "service")?,
        payer: PayerTag(array(row, "payer")?),
        fee: amount(row, "fee")?,
        state: word(row, "state", &CODE_STATES)?,
        issued_at: UtcTime(row.get("issued_at")?),
        paid_at: paid.map(UtcTime),
        valid_until: UtcTime(row.get("valid_until")?),
    })
}

fn kiosk_row(row: &Row<'_>) -> Result<KioskRow> {
    Ok(KioskRow {
        kiosk: kiosk_number(row, "kiosk")?,
        journal_key: array(row, "journal_key")?,
        epoch: row.get("epoch")?,
        boot_nonce: array(row, "boot_nonce")?,
        closed: row.get("closed")?,
    })
}

fn number_value(number: u64) -> i64 {
    number.cast_signed()
}

impl Store for SqlStore {
    fn center_epoch(&self) -> Result<u32> {
        let epoch = self.one("SELECT epoch FROM center", vec![], |row| row.get("epoch"))?;
        epoch.ok_or_else(|| StoreError("table center is empty".into()))
    }

    fn set_center_epoch(&mut self, epoch: u32) -> Result<()> {
        self.run("UPDATE center SET epoch = ?1", values![epoch])
    }

    fn kiosk(&self, kiosk: KioskNumber) -> Result<Option<KioskRow>> {
        self.one("SELECT * FROM kiosk WHERE kiosk = ?1", values![kiosk.get()], kiosk_row)
    }

    fn kiosks(&self) -> Result<Vec<KioskRow>> {
        self.all("SELECT * FROM kiosk ORDER BY kiosk", vec![], kiosk_row)
    }

    fn put_kiosk(&mut self, row: &KioskRow) -> Result<()> {
        self.put(
            "kiosk",
            &["kiosk"],
            &["journal_key", "epoch", "boot_nonce", "closed"],
            values![row.kiosk.get(), row.journal_key, row.epoch, row.boot_nonce, row.closed.as_deref()],
        )
    }

    fn former_keys(&self, kiosk: KioskNumber) -> Result<Vec<[u8; 32]>> {
        let sql = "SELECT key FROM former_key WHERE kiosk = ?1 ORDER BY id";
        self.all(sql, values![kiosk.get()], |row| array(row, "key"))
    }

    fn add_former_key(&mut self, kiosk: KioskNumber, key: &[u8; 32]) -> Result<()> {
        self.run("INSERT INTO former_key (kiosk, key) VALUES (?1, ?2)", values![kiosk.get(), key])
    }

    fn boot(&self, kiosk: KioskNumber, nonce: &[u8; 16]) -> Result<Option<u32>> {
        let sql = "SELECT epoch FROM boot WHERE kiosk = ?1 AND nonce = ?2";
        self.one(sql, values![kiosk.get(), nonce], |row| row.get("epoch"))
    }

    fn put_boot(&mut self, kiosk: KioskNumber, nonce: &[u8; 16], epoch: u32) -> Result<()> {
        self.put("boot", &["kiosk", "nonce"], &["epoch"], values![kiosk.get(), nonce, epoch])
    }

    fn payment(&self, payment: &PaymentId) -> Result<Option<PaymentRow>> {
        self.one(
            "SELECT * FROM payment WHERE kiosk = ?1 AND epoch = ?2 AND number = ?3 AND nonce = ?4",
            values![payment.kiosk.get(), payment.epoch, number_value(payment.number), payment.nonce],
            payment_row,
        )
    }

    fn put_payment(&mut self, row: &PaymentRow) -> Result<()> {
        let id = row.payment;
        self.put(
            "payment",
            &["kiosk", "epoch", "number", "nonce"],
            &[
                "slip",
                "state",
                "payer",
                "payer_tail",
                "day",
                "payee",
                "quote",
                "deposit",
                "outcome",
                "inserted",
                "printed_by",
            ],
            values![
                id.kiosk.get(),
                id.epoch,
                number_value(id.number),
                id.nonce,
                number_value(id.number % 10_000_000),
                word_of(row.state, &PAYMENT_STATES),
                row.payer.map(|tag| tag.0),
                row.payer_tail,
                days(row.day),
                row.payee.map(|bin| bin.to_string()),
                bytes_of(row.quote.as_ref()),
                bytes_of(row.deposit.as_ref()),
                bytes_of(row.outcome.as_ref()),
                tiyn(row.inserted),
                row.printed_by.map(KioskNumber::get),
            ],
        )
    }

    fn payments_on_slip(&self, kiosk: KioskNumber, slip: u64) -> Result<Vec<PaymentRow>> {
        self.all(
            "SELECT * FROM payment WHERE kiosk = ?1 AND slip = ?2 ORDER BY epoch DESC, number DESC, nonce DESC",
            values![kiosk.get(), number_value(slip)],
            payment_row,
        )
    }

    fn settled_cash(&self, payer: &PayerTag, day: Date) -> Result<Amount> {
        let sql = "SELECT CAST(COALESCE(SUM(inserted), 0) AS BIGINT) AS cash FROM payment \
                   WHERE payer = ?1 AND day = ?2 AND state IN ('settled', 'disputed')";
        let sum: Option<i64> = self.one(sql, values![payer.0, days(day)], |row| row.get("cash"))?;
        let sum = u64::try_from(sum.unwrap_or_default()).ok();
        Ok(sum.map_or(Amount::MAX, |sum| Amount::from_tiyn(sum.min(Amount::MAX.tiyn()))))
    }

    fn quoted_of(&self, payer: &PayerTag, day: Date) -> Result<Vec<PaymentRow>> {
        self.all(
            "SELECT * FROM payment WHERE payer = ?1 AND day = ?2 AND state = 'quoted' \
             ORDER BY kiosk, epoch, number, nonce",
            values![payer.0, days(day)],
            payment_row,
        )
    }

    fn each_payment(&self, each: &mut dyn FnMut(PaymentRow)) -> Result<()> {
        let sql = "SELECT * FROM payment ORDER BY kiosk, epoch, number, nonce";
        self.each(sql, &mut |row| payment_row(row).map(&mut *each))
    }

    fn balance(&self, number: BalanceNumber) -> Result<Option<BalanceRow>> {
        let sql = "SELECT * FROM balance WHERE number = ?1";
        self.one(sql, values![number_value(number.into())], balance_row)
    }

    fn put_balance(&mut self, row: &BalanceRow) -> Result<()> {
        let (state, holder, until) = match row.state {
            BalanceState::Issued => ("issued", None, None),
            BalanceState::Reserved { by, until } => ("reserved", Some(by), Some(until.0)),
            BalanceState::Spent { by } => ("spent", Some(by), None),
            BalanceState::Refunded => ("refunded", None, None),
            BalanceState::Cancelled => ("cancelled", None, None),
        };
        self.put(
            "balance",
            &["number"],
            &["owner", "amount", "reason", "origin", "state", "holder", "until", "resolved", "made_at"],
            values![
                number_value(row.number.into()),
                row.owner.map(|tag| tag.0),
                tiyn(row.amount),
                reason_word(row.reason),
                id_bytes(&row.from),
                state,
                holder.as_ref().map(id_bytes),
                until,
                row.resolved,
                row.made_at.0,
            ],
        )
    }

    fn each_balance(&self, each: &mut dyn FnMut(BalanceRow)) -> Result<()> {
        let sql = "SELECT * FROM balance ORDER BY number";
        self.each(sql, &mut |row| balance_row(row).map(&mut *each))
    }

    fn code(&self, code: PaymentCode) -> Result<Option<CodeRow>> {
        self.one("SELECT * FROM code WHERE code = ?1", values![number_value(code.into())], code_row)
    }

    fn put_code(&mut self, row: &CodeRow) -> Result<()> {
        self.put(
            "code",
            &["code"],
            &["payment", "service", "payer", "fee", "state", "issued_at", "paid_at", "valid_until"],
            values![
                number_value(row.code.into()),
                id_bytes(&row.payment),
                row.service.as_str(),
                row.payer.0,
                tiyn(row.fee),
                word_of(row.state, &CODE_STATES),
                row.issued_at.0,
                row.paid_at.map(|at| at.0),
                row.valid_until.0,
            ],
        )
    }

    fn code_of(&self, payment: &PaymentId) -> Result<Option<CodeRow>> {
        self.one("SELECT * FROM code WHERE payment = ?1", values![id_bytes(payment)], code_row)
    }

    fn post(&mut self, posting: &Posting) -> Result<()> {
        let id: i64 = self
            .one(
                "INSERT INTO posting (at, payment, kind) VALUES (?1, ?2, ?3) RETURNING id",
                values![posting.at.0, id_bytes(&posting.payment), posting.kind],
                |row| row.get("id"),
            )?
            .ok_or_else(|| StoreError("a posting got no number".into()))?;
        if posting.lines.is_empty() {
            return Ok(());
        }
        // All lines at once: each statement is a way to the server and back.
        let mut places = Vec::new();
        let mut values = Vec::new();
        for (place, (account, tiyn)) in posting.lines.iter().enumerate() {
            let first = values.len();
            places.push(format!("(?{}, ?{}, ?{}, ?{})", first + 1, first + 2, first + 3, first + 4));
            values.extend(values![id, number_value(place as u64), account.to_string(), *tiyn]);
        }
        self.run(
            &format!("INSERT INTO line (posting, place, account, tiyn) VALUES {}", places.join(", ")),
            values,
        )
    }

    fn each_posting(&self, each: &mut dyn FnMut(Posting)) -> Result<()> {
        let sql = "SELECT posting.id AS id, at, payment, kind, account, tiyn FROM posting LEFT JOIN line ON line.posting = posting.id \
                   ORDER BY posting.id, line.place";
        let mut open: Option<(i64, Posting)> = None;
        self.each(sql, &mut |row| {
            let (id, kind): (i64, String) = (row.get("id")?, row.get("kind")?);
            if open.as_ref().is_none_or(|(known, _)| *known != id) {
                let posting = Posting {
                    at: UtcTime(row.get("at")?),
                    payment: id_of(row, "payment")?,
                    kind: good(KINDS.into_iter().find(|known| *known == kind), "kind")?,
                    lines: Vec::new(),
                };
                if let Some((_, done)) = open.replace((id, posting)) {
                    each(done);
                }
            }
            let account: Option<String> = row.get("account")?;
            if let (Some(account), Some((_, posting))) = (account, &mut open) {
                posting.lines.push((good(Account::parse(&account), "account")?, row.get("tiyn")?));
            }
            Ok(())
        })?;
        if let Some((_, done)) = open {
            each(done);
        }
        Ok(())
    }

    fn witness(&self, kiosk: KioskNumber) -> Result<Option<WitnessRow>> {
        self.one("SELECT * FROM witness WHERE kiosk = ?1", values![kiosk.get()], |row| {
            let size: i64 = row.get("size")?;
            Ok(WitnessRow { size: size.cast_unsigned(), root: array(row, "root")?, note: row.get("note")? })
        })
    }

    fn put_witness(&mut self, kiosk: KioskNumber, row: &WitnessRow) -> Result<()> {
        self.put(
            "witness",
            &["kiosk"],
            &["size", "root", "note"],
            values![kiosk.get(), number_value(row.size), row.root, &row.note],
        )
    }

    fn attempts(&self, key: &str) -> Result<Option<AttemptRow>> {
        self.one("SELECT first, count FROM attempt WHERE key = ?1", values![key], |row| {
            Ok(AttemptRow { first: UtcTime(row.get("first")?), count: row.get("count")? })
        })
    }

    fn put_attempts(&mut self, key: &str, row: AttemptRow) -> Result<()> {
        self.put("attempt", &["key"], &["first", "count"], values![key, row.first.0, row.count])
    }

    fn raise(&mut self, alarm: &Alarm) -> Result<()> {
        self.run(
            "INSERT INTO alarm (at, kiosk, kind, text, disputed, evidence) VALUES (?1,?2,?3,?4,?5,?6)",
            values![
                alarm.at.0,
                alarm.kiosk.get(),
                &alarm.kind,
                &alarm.text,
                tiyn(alarm.disputed),
                &alarm.evidence
            ],
        )
    }

    fn alarms(&self) -> Result<Vec<Alarm>> {
        self.all("SELECT * FROM alarm ORDER BY id", vec![], |row| {
            Ok(Alarm {
                at: UtcTime(row.get("at")?),
                kiosk: kiosk_number(row, "kiosk")?,
                kind: row.get("kind")?,
                text: row.get("text")?,
                disputed: amount(row, "disputed")?,
                evidence: row.get("evidence")?,
            })
        })
    }
}

/// Days since 1970-01-01; the inverse of [`Date::from_days`].
fn days(day: Date) -> i64 {
    // A day starts at 19:00 UTC of the day before; half a day later it is that day everywhere in between.
    day.starts_at().plus_seconds(12 * 3_600).0.div_euclid(86_400_000)
}
