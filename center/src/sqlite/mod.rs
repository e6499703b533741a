//! The center's rows in SQLite: write-ahead log, `synchronous=FULL`, one transaction per request.
//!
//! What `transact` has returned is on disk. After an error nothing is tried again: what the disk holds is unknown until the
//! database is opened anew. Tables are STRICT and named so that an operator can read them with the sqlite3 tool.

mod acquirer;
mod enrolment;
mod errands;
mod office;
mod presence;
mod rebuild;

use crate::logic::{
    ledger::{Account, KINDS, Posting, reason_word},
    store::{
        Alarm, AttemptRow, BalanceRow, BalanceState, CodeRow, CodeState, KioskRow, PayerTag, PaymentRow,
        PaymentState, Result, Store, StoreError, Transact, WitnessRow,
    },
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use std::{os::unix::fs::OpenOptionsExt as _, path::Path};
use tolem_protocol::{
    Amount, BalanceNumber, Bin, KioskNumber, PaymentCode, PaymentId, UtcTime,
    messages::HoldReason,
    signed::{Signed, Statement},
    utc::Date,
};

/// The tables, as they grew: entry `n` leads from version `n` to `n + 1`. A database of an older version is brought up to
/// date when it is opened, one of a newer version is refused.
const SCHEMAS: [&str; 7] = [
    FIRST,
    office::TABLES,
    errands::TABLES,
    rebuild::TABLES,
    presence::TABLES,
    acquirer::TABLES,
    enrolment::TABLES,
];

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
pub struct SqliteStore {
    connection: Connection,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self(format!("database: {error}"))
    }
}

impl SqliteStore {
    /// Makes a database that begins its life as `center_epoch`. Fails if there is one.
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
    pub fn create_on(connection: Connection, center_epoch: u32) -> Result<Self> {
        let mut store = Self { connection };
        store.prepare()?;
        store.transact(|store| {
            store.bring_up_to_date(0)?;
            store.run("INSERT INTO center (one, epoch) VALUES (1, ?1)", [center_epoch])
        })?;
        Ok(store)
    }

    /// Opens a database.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_file() {
            return Err(StoreError(format!("{} is missing; tolem-center init makes one", path.display())));
        }
        Self::open_on(Connection::open(path)?)
    }

    /// The same on a connection.
    pub fn open_on(connection: Connection) -> Result<Self> {
        let mut store = Self { connection };
        let version = store.version()?;
        if !(1..=SCHEMAS.len()).contains(&version) {
            let name = store.connection.path().unwrap_or("the database");
            let fault =
                format!("{name} has table version {version}, this build reads 1 to {}", SCHEMAS.len());
            return Err(StoreError(fault));
        }
        store.prepare()?;
        if version < SCHEMAS.len() {
            // Asked again inside: another process may have been faster.
            store.transact(|store| store.bring_up_to_date(store.version()?))?;
        }
        Ok(store)
    }

    /// Writes a copy of the whole database, as it is at this moment, to a new file.
    ///
    /// # Errors
    /// If the file is there already or cannot be written.
    pub fn back_up(&self, path: &Path) -> Result<()> {
        let name = path.to_str().ok_or_else(|| StoreError(format!("{}: not a name", path.display())))?;
        if path.exists() {
            return Err(StoreError(format!("{name} exists; it is not overwritten")));
        }
        self.run("VACUUM INTO ?1", [name])
    }

    fn version(&self) -> Result<usize> {
        let version: i64 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok(usize::try_from(version).unwrap_or(usize::MAX))
    }

    fn bring_up_to_date(&self, from: usize) -> Result<()> {
        for tables in SCHEMAS.iter().skip(from) {
            self.connection.execute_batch(tables)?;
        }
        self.connection.pragma_update(None, "user_version", i64::try_from(SCHEMAS.len()).unwrap_or(0))?;
        Ok(())
    }

    fn prepare(&self) -> Result<()> {
        // Another process (the command line) may write for a moment; it is waited for.
        self.connection.busy_timeout(std::time::Duration::from_secs(5))?;
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        // What a power cut left in the log is folded in before the first new write, so that two cuts in a row cannot meet in one
        // sector (docs/decisions/075). Busy is an answer, no error: whoever has the database open has done it.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        self.connection.pragma_update(None, "foreign_keys", true)?;
        self.connection.set_prepared_statement_cache_capacity(64);
        Ok(())
    }

    fn run(&self, sql: &str, values: impl Params) -> Result<()> {
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.connection.prepare_cached(sql)?.query_row(values, read).optional()?)
    }

    fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(values, read)?.collect::<rusqlite::Result<Vec<T>>>()?;
        Ok(rows)
    }
}

impl Transact for SqliteStore {
    fn transact<R>(&mut self, work: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let result = work(self).and_then(|value| {
            self.connection.execute_batch("COMMIT")?;
            Ok(value)
        });
        if result.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        result
    }
}

/// A value in the database that this build cannot read: edited by hand, or by another version.
fn bad<T>(what: &str) -> rusqlite::Result<T> {
    let fault = StoreError(format!("column {what} holds a value that this build cannot read"));
    Err(rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, Box::new(fault)))
}

fn good<T>(value: Option<T>, what: &str) -> rusqlite::Result<T> {
    value.map_or_else(|| bad(what), Ok)
}

fn array<const N: usize>(row: &Row<'_>, column: &str) -> rusqlite::Result<[u8; N]> {
    let bytes: Vec<u8> = row.get(column)?;
    good(bytes.try_into().ok(), column)
}

fn kiosk_number(row: &Row<'_>, column: &str) -> rusqlite::Result<KioskNumber> {
    good(KioskNumber::new(row.get(column)?), column)
}

fn amount(row: &Row<'_>, column: &str) -> rusqlite::Result<Amount> {
    let tiyn: i64 = row.get(column)?;
    good(u64::try_from(tiyn).ok().map(Amount::from_tiyn).filter(|sum| *sum <= Amount::MAX), column)
}

fn tiyn(amount: Amount) -> i64 {
    i64::try_from(amount.tiyn()).expect("invariant: an amount is at most Amount::MAX")
}

fn id_bytes(payment: &PaymentId) -> Vec<u8> {
    postcard::to_allocvec(payment).expect("invariant: a payment id encodes")
}

fn id_of(row: &Row<'_>, column: &str) -> rusqlite::Result<PaymentId> {
    let bytes: Vec<u8> = row.get(column)?;
    good(postcard::from_bytes(&bytes).ok(), column)
}

fn statement<T: Statement>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Signed<T>>> {
    let bytes: Option<Vec<u8>> = row.get(column)?;
    bytes.map(|bytes| good(Signed::from_bytes(&bytes), column)).transpose()
}

fn bytes_of<T: Statement>(signed: Option<&Signed<T>>) -> Option<Vec<u8>> {
    signed.map(|signed| signed.to_bytes().to_vec())
}

fn word<T: Copy>(row: &Row<'_>, column: &str, all: &[(T, &str)]) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    good(all.iter().find(|(_, word)| *word == text).map(|(value, _)| *value), column)
}

const PAYMENT_STATES: [(PaymentState, &str); 3] =
    [(PaymentState::Quoted, "quoted"), (PaymentState::Voided, "voided"), (PaymentState::Settled, "settled")];

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

fn payment_row(row: &Row<'_>) -> rusqlite::Result<PaymentRow> {
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

fn balance_row(row: &Row<'_>) -> rusqlite::Result<BalanceRow> {
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

fn code_row(row: &Row<'_>) -> rusqlite::Result<CodeRow> {
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

fn kiosk_row(row: &Row<'_>) -> rusqlite::Result<KioskRow> {
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

impl Store for SqliteStore {
    fn center_epoch(&self) -> Result<u32> {
        let epoch = self.one("SELECT epoch FROM center", [], |row| row.get(0))?;
        epoch.ok_or_else(|| StoreError("table center is empty".into()))
    }

    fn set_center_epoch(&mut self, epoch: u32) -> Result<()> {
        self.run("UPDATE center SET epoch = ?1", [epoch])
    }

    fn kiosk(&self, kiosk: KioskNumber) -> Result<Option<KioskRow>> {
        self.one("SELECT * FROM kiosk WHERE kiosk = ?1", [kiosk.get()], kiosk_row)
    }

    fn kiosks(&self) -> Result<Vec<KioskRow>> {
        self.all("SELECT * FROM kiosk ORDER BY kiosk", [], kiosk_row)
    }

    fn put_kiosk(&mut self, row: &KioskRow) -> Result<()> {
        self.run(
            "INSERT OR REPLACE INTO kiosk VALUES (?1, ?2, ?3, ?4, ?5)",
            params![row.kiosk.get(), row.journal_key, row.epoch, row.boot_nonce, row.closed],
        )
    }

    fn former_keys(&self, kiosk: KioskNumber) -> Result<Vec<[u8; 32]>> {
        let sql = "SELECT key FROM former_key WHERE kiosk = ?1 ORDER BY id";
        self.all(sql, [kiosk.get()], |row| array(row, "key"))
    }

    fn add_former_key(&mut self, kiosk: KioskNumber, key: &[u8; 32]) -> Result<()> {
        self.run("INSERT INTO former_key (kiosk, key) VALUES (?1, ?2)", params![kiosk.get(), key])
    }

    fn boot(&self, kiosk: KioskNumber, nonce: &[u8; 16]) -> Result<Option<u32>> {
        let sql = "SELECT epoch FROM boot WHERE kiosk = ?1 AND nonce = ?2";
        self.one(sql, params![kiosk.get(), nonce], |row| row.get(0))
    }

    fn put_boot(&mut self, kiosk: KioskNumber, nonce: &[u8; 16], epoch: u32) -> Result<()> {
        self.run("INSERT OR REPLACE INTO boot VALUES (?1, ?2, ?3)", params![kiosk.get(), nonce, epoch])
    }

    fn payment(&self, payment: &PaymentId) -> Result<Option<PaymentRow>> {
        self.one(
            "SELECT * FROM payment WHERE kiosk = ?1 AND epoch = ?2 AND number = ?3 AND nonce = ?4",
            params![payment.kiosk.get(), payment.epoch, number_value(payment.number), payment.nonce],
            payment_row,
        )
    }

    fn put_payment(&mut self, row: &PaymentRow) -> Result<()> {
        let id = row.payment;
        self.run(
            "INSERT OR REPLACE INTO payment VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
            params![
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
            params![kiosk.get(), number_value(slip)],
            payment_row,
        )
    }

    fn payments_of(&self, payer: &PayerTag, day: Date) -> Result<Vec<PaymentRow>> {
        self.all(
            "SELECT * FROM payment WHERE payer = ?1 AND day = ?2 ORDER BY kiosk, epoch, number, nonce",
            params![payer.0, days(day)],
            payment_row,
        )
    }

    fn each_payment(&self, each: &mut dyn FnMut(PaymentRow)) -> Result<()> {
        let sql = "SELECT * FROM payment ORDER BY kiosk, epoch, number, nonce";
        self.all(sql, [], |row| payment_row(row).map(&mut *each)).map(|_: Vec<()>| ())
    }

    fn balance(&self, number: BalanceNumber) -> Result<Option<BalanceRow>> {
        let sql = "SELECT * FROM balance WHERE number = ?1";
        self.one(sql, [number_value(number.into())], balance_row)
    }

    fn put_balance(&mut self, row: &BalanceRow) -> Result<()> {
        let (state, holder, until) = match row.state {
            BalanceState::Issued => ("issued", None, None),
            BalanceState::Reserved { by, until } => ("reserved", Some(by), Some(until.0)),
            BalanceState::Spent { by } => ("spent", Some(by), None),
            BalanceState::Refunded => ("refunded", None, None),
            BalanceState::Cancelled => ("cancelled", None, None),
        };
        self.run(
            "INSERT OR REPLACE INTO balance VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
            params![
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
        self.all(sql, [], |row| balance_row(row).map(&mut *each)).map(|_: Vec<()>| ())
    }

    fn code(&self, code: PaymentCode) -> Result<Option<CodeRow>> {
        self.one("SELECT * FROM code WHERE code = ?1", [number_value(code.into())], code_row)
    }

    fn put_code(&mut self, row: &CodeRow) -> Result<()> {
        self.run(
            "INSERT OR REPLACE INTO code VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)",
            params![
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
        self.one("SELECT * FROM code WHERE payment = ?1", [id_bytes(payment)], code_row)
    }

    fn post(&mut self, posting: &Posting) -> Result<()> {
        self.run(
            "INSERT INTO posting (at, payment, kind) VALUES (?1, ?2, ?3)",
            params![posting.at.0, id_bytes(&posting.payment), posting.kind],
        )?;
        let id = self.connection.last_insert_rowid();
        for (place, (account, tiyn)) in posting.lines.iter().enumerate() {
            let values = params![id, number_value(place as u64), account.to_string(), tiyn];
            self.run("INSERT INTO line VALUES (?1, ?2, ?3, ?4)", values)?;
        }
        Ok(())
    }

    fn each_posting(&self, each: &mut dyn FnMut(Posting)) -> Result<()> {
        let mut lines = self
            .connection
            .prepare_cached("SELECT account, tiyn FROM line WHERE posting = ?1 ORDER BY place")?;
        let mut read = |row: &Row<'_>| {
            let kind: String = row.get("kind")?;
            let id: i64 = row.get("id")?;
            let lines = lines.query_map([id], |row| {
                let account: String = row.get(0)?;
                Ok((good(Account::parse(&account), "account")?, row.get(1)?))
            })?;
            let posting = Posting {
                at: UtcTime(row.get("at")?),
                payment: id_of(row, "payment")?,
                kind: good(KINDS.into_iter().find(|known| *known == kind), "kind")?,
                lines: lines.collect::<rusqlite::Result<_>>()?,
            };
            each(posting);
            Ok(())
        };
        self.all("SELECT * FROM posting ORDER BY id", [], &mut read).map(|_: Vec<()>| ())
    }

    fn witness(&self, kiosk: KioskNumber) -> Result<Option<WitnessRow>> {
        self.one("SELECT * FROM witness WHERE kiosk = ?1", [kiosk.get()], |row| {
            let size: i64 = row.get("size")?;
            Ok(WitnessRow { size: size.cast_unsigned(), root: array(row, "root")?, note: row.get("note")? })
        })
    }

    fn put_witness(&mut self, kiosk: KioskNumber, row: &WitnessRow) -> Result<()> {
        self.run(
            "INSERT OR REPLACE INTO witness VALUES (?1, ?2, ?3, ?4)",
            params![kiosk.get(), number_value(row.size), row.root, row.note],
        )
    }

    fn attempts(&self, key: &str) -> Result<Option<AttemptRow>> {
        self.one("SELECT first, count FROM attempt WHERE key = ?1", [key], |row| {
            Ok(AttemptRow { first: UtcTime(row.get(0)?), count: row.get(1)? })
        })
    }

    fn put_attempts(&mut self, key: &str, row: AttemptRow) -> Result<()> {
        self.run("INSERT OR REPLACE INTO attempt VALUES (?1, ?2, ?3)", params![key, row.first.0, row.count])
    }

    fn raise(&mut self, alarm: &Alarm) -> Result<()> {
        self.run(
            "INSERT INTO alarm (at, kiosk, kind, text, disputed, evidence) VALUES (?1,?2,?3,?4,?5,?6)",
            params![
                alarm.at.0,
                alarm.kiosk.get(),
                alarm.kind,
                alarm.text,
                tiyn(alarm.disputed),
                alarm.evidence
            ],
        )
    }

    fn alarms(&self) -> Result<Vec<Alarm>> {
        self.all("SELECT * FROM alarm ORDER BY id", [], |row| {
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
