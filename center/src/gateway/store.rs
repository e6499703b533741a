//! The gateway's rows in SQLite, in a file of its own: codes, numbers that were used, and the record of every message taken.
//!
//! A record is what the instruction asks for (use case 5, step 23): the bank's signed bytes as they arrived, the time of their
//! arrival, and the gateway's own signature over both, chained to the record before. The bytes name persons, so they are kept
//! encrypted; persons are known to the tables by keyed tags alone.

use super::{
    NS,
    rules::{Books, BooksError, BooksResult, CodeRow, End, Notice, Stop, When},
    words::{Line, Method, Owner, State, Token},
};
use crate::{
    sql::file,
    xmlsig::{
        Signer,
        sign::{enveloped, escape, write_time},
    },
};
use data_encoding::BASE64;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::{os::unix::fs::OpenOptionsExt as _, path::Path};
use tolem_protocol::{Amount, KioskNumber, PaymentCode, UtcTime, catalogue::ServiceCode};

/// Version of the tables; a database of another version is refused.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE code (
  code INTEGER PRIMARY KEY, bank TEXT NOT NULL, transaction_number TEXT NOT NULL, kiosk INTEGER NOT NULL,
  service TEXT NOT NULL, provider TEXT NOT NULL, person BLOB NOT NULL, amount INTEGER NOT NULL, state TEXT NOT NULL,
  issued_at INTEGER NOT NULL, valid_until INTEGER NOT NULL,
  arrived_at INTEGER, paid_at INTEGER, method TEXT, bank_reference TEXT, record INTEGER,
  ended_at INTEGER, ended_by TEXT, request TEXT, operator TEXT,
  UNIQUE (bank, transaction_number)
) STRICT;
CREATE INDEX code_issued ON code (issued_at);
CREATE INDEX code_arrived ON code (arrived_at) WHERE arrived_at IS NOT NULL;
CREATE INDEX code_ended ON code (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX code_open ON code (valid_until) WHERE state IN ('issued', 'paid');
CREATE TABLE request (
  who TEXT NOT NULL, number TEXT NOT NULL, code INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (who, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE seen (who TEXT NOT NULL, message TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (who, message))
  STRICT, WITHOUT ROWID;
CREATE INDEX seen_until ON seen (until);
CREATE TABLE record (
  number INTEGER PRIMARY KEY, arrived_at INTEGER NOT NULL, who TEXT NOT NULL, operation TEXT NOT NULL,
  message BLOB NOT NULL, seal TEXT NOT NULL
) STRICT;
";

/// Seconds that the id of a message is remembered: longer than the message itself is good.
const REMEMBER_S: i64 = 3 * crate::xmlsig::FRESH_S;

/// A message that was taken.
pub struct Record {
    /// Counts from 1 without gaps.
    pub number: u64,
    /// When it arrived.
    pub arrived_at: UtcTime,
    /// Who sent it.
    pub who: String,
    /// What it asked for.
    pub operation: String,
    /// The very bytes that arrived.
    pub message: Vec<u8>,
    /// The gateway's signed statement about it, XML.
    pub seal: String,
}

/// What is about to be recorded.
pub struct Arrival<'a> {
    /// When it arrived.
    pub at: UtcTime,
    /// Who sent it.
    pub who: &'a Token,
    /// Its id.
    pub message_id: &'a Token,
    /// What it asks for.
    pub operation: &'a str,
    /// The bytes.
    pub bytes: &'a [u8],
    /// Whether a record is kept; questions that change nothing leave none.
    pub kept: bool,
}

/// The database. After an error it refuses everything: what the disk holds is unknown until it is opened anew.
pub struct GatewayStore {
    connection: Connection,
    key: LessSafeKey,
    broken: bool,
}

impl From<rusqlite::Error> for BooksError {
    fn from(error: rusqlite::Error) -> Self {
        Self(format!("gateway database: {error}"))
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Books(error.into())
    }
}

impl GatewayStore {
    /// Makes an empty database. Fails if there is one.
    ///
    /// # Errors
    /// Names the file.
    pub fn create(path: &Path) -> BooksResult<()> {
        // Made first, so that nobody else can ever read it.
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| BooksError(format!("{}: {error}", path.display())))?;
        let connection = connect(path)?;
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        Ok(())
    }

    /// Opens a database; `key` encrypts the records.
    ///
    /// # Errors
    /// If it cannot be opened or is of another version.
    pub fn open(path: &Path, key: &[u8; 32]) -> BooksResult<Self> {
        let connection = connect(path)?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version != SCHEMA_VERSION {
            let fault = format!("{}: version {version}, this program reads {SCHEMA_VERSION}", path.display());
            return Err(BooksError(fault));
        }
        let key = UnboundKey::new(&AES_256_GCM, key)
            .map_err(|_| BooksError("the record key is unusable".into()))?;
        Ok(Self { connection, key: LessSafeKey::new(key), broken: false })
    }

    /// Runs `work` for one message in one transaction. Afterwards it is on disk with its record, or nothing is.
    ///
    /// `work` gets the rows and the number that the record will have. `Ok(None)`: this message was here before.
    ///
    /// # Errors
    /// What `work` returned, or that the database failed.
    pub fn take<T>(
        &mut self,
        arrival: &Arrival<'_>,
        signer: &dyn Signer,
        work: impl FnOnce(&mut dyn Books, u64) -> Result<T, Stop>,
    ) -> Result<Option<T>, Stop> {
        self.guarded(|store| {
            let at = arrival.at;
            let transaction =
                store.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            transaction.prepare_cached("DELETE FROM seen WHERE until < ?1")?.execute([at.0])?;
            let new = transaction.prepare_cached("INSERT OR IGNORE INTO seen VALUES (?1, ?2, ?3)")?.execute(
                params![arrival.who.as_str(), arrival.message_id.as_str(), at.plus_seconds(REMEMBER_S).0],
            )?;
            if new == 0 {
                return Ok(None);
            }
            let (last, seal): (u64, String) = transaction
                .prepare_cached("SELECT number, seal FROM record ORDER BY number DESC LIMIT 1")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?
                .unwrap_or_default();
            let number = last + 1;
            let result = work(&mut Rows(&transaction), number)?;
            if arrival.kept {
                let seal = seal_of(arrival, number, &seal, signer)?;
                let message = encrypt(&store.key, number, arrival.bytes)?;
                transaction
                    .prepare_cached("INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                    .execute(params![number, at.0, arrival.who.as_str(), arrival.operation, message, seal])?;
            }
            transaction.commit()?;
            Ok(Some(result))
        })
    }

    /// Runs `work` in a transaction of its own, without a message.
    ///
    /// # Errors
    /// That the database failed.
    pub fn tend<T>(&mut self, work: impl FnOnce(&mut dyn Books) -> BooksResult<T>) -> BooksResult<T> {
        let result = self.guarded(|store| {
            let transaction =
                store.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let result = work(&mut Rows(&transaction))?;
            transaction.commit()?;
            Ok(result)
        });
        result.map_err(|stop| match stop {
            Stop::Books(error) => error,
            Stop::Fault(fault) => BooksError(fault.reason),
        })
    }

    /// Whether it failed. Nothing is written any more; the process must start again.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        if self.broken {
            return Err(Stop::Books(BooksError(
                "the gateway database failed before; restart the gateway".into(),
            )));
        }
        let result = work(self);
        self.broken = matches!(result, Err(Stop::Books(_)));
        if self.broken {
            file::keep(&self.connection);
        }
        result
    }

    /// Calls `each` with every record, oldest first.
    ///
    /// # Errors
    /// If a record cannot be read or decrypted.
    pub fn each_record(&self, each: &mut dyn FnMut(Record)) -> BooksResult<()> {
        let mut statement = self.connection.prepare("SELECT * FROM record ORDER BY number")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (number, message): (u64, Vec<u8>) = (row.get(0)?, row.get(4)?);
            each(Record {
                number,
                arrived_at: UtcTime(row.get(1)?),
                who: row.get(2)?,
                operation: row.get(3)?,
                message: decrypt(&self.key, number, message)?,
                seal: row.get(5)?,
            });
        }
        Ok(())
    }
}

fn connect(path: &Path) -> BooksResult<Connection> {
    file::reread(path).map_err(|error| BooksError(format!("{}-wal: {error}", path.display())))?;
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Folded in after 16 MB instead of 4: a notice writes about ten pages, and most of them again and again.
    file::fold_in_at(&mut connection, 4_000)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // What a power cut left in the log is folded in before anything is written behind it. A command beside the running gateway
    // is told that it is busy, and leaves it alone.
    connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))?;
    Ok(connection)
}

/// SHA-256 in base64.
pub fn fingerprint(bytes: &[u8]) -> String {
    BASE64.encode(digest(&SHA256, bytes).as_ref())
}

/// The gateway's signed statement about a message, chained to the statement before.
fn seal_of(arrival: &Arrival<'_>, number: u64, previous: &str, signer: &dyn Signer) -> BooksResult<String> {
    let record = format!(
        "<t:Record xmlns:t=\"{NS}\"><t:Number>{number}</t:Number><t:ArrivedAt>{}</t:ArrivedAt>\
         <t:Participant>{}</t:Participant><t:Operation>{}</t:Operation><t:MessageId>{}</t:MessageId>\
         <t:MessageSha256>{}</t:MessageSha256><t:PreviousSha256>{}</t:PreviousSha256></t:Record>",
        write_time(arrival.at),
        escape(arrival.who.as_str()),
        arrival.operation,
        escape(arrival.message_id.as_str()),
        fingerprint(arrival.bytes),
        fingerprint(previous.as_bytes()),
    );
    enveloped(signer, &record).map_err(|error| BooksError(format!("the record cannot be signed: {error}")))
}

fn encrypt(key: &LessSafeKey, number: u64, message: &[u8]) -> BooksResult<Vec<u8>> {
    let failed = |_| BooksError("a record cannot be encrypted".into());
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(failed)?;
    let mut bytes = message.to_vec();
    let aad = Aad::from(number.to_be_bytes());
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes).map_err(failed)?;
    Ok([&nonce[..], &bytes].concat())
}

fn decrypt(key: &LessSafeKey, number: u64, stored: Vec<u8>) -> BooksResult<Vec<u8>> {
    let failed = || BooksError(format!("record {number} does not open: another key, or it was changed"));
    let (nonce, bytes) = stored.split_first_chunk::<NONCE_LEN>().ok_or_else(failed)?;
    let mut bytes = bytes.to_vec();
    let aad = Aad::from(number.to_be_bytes());
    let plain =
        key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut bytes).map_err(|_| failed())?;
    Ok(plain.to_vec())
}

/// The rows inside one transaction.
struct Rows<'a>(&'a Connection);

impl Books for Rows<'_> {
    fn code(&self, code: PaymentCode) -> BooksResult<Option<CodeRow>> {
        let mut statement = self.0.prepare_cached("SELECT * FROM code WHERE code = ?1")?;
        Ok(statement.query_row([u64::from(code)], read_code).optional()?)
    }

    fn code_of(&self, bank: &Token, transaction: &Token) -> BooksResult<Option<CodeRow>> {
        let sql = "SELECT * FROM code WHERE bank = ?1 AND transaction_number = ?2";
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.query_row([bank.as_str(), transaction.as_str()], read_code).optional()?)
    }

    fn put_code(&mut self, row: &CodeRow) -> BooksResult<()> {
        let (notice, end) = (row.notice.as_ref(), row.end.as_ref());
        // What a code stands for never changes; an index whose columns stay the same is not written.
        let sql = "INSERT INTO code VALUES \
                   (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20) \
                   ON CONFLICT (code) DO UPDATE SET state = excluded.state, arrived_at = excluded.arrived_at, \
                   paid_at = excluded.paid_at, method = excluded.method, bank_reference = excluded.bank_reference, \
                   record = excluded.record, ended_at = excluded.ended_at, ended_by = excluded.ended_by, \
                   request = excluded.request, operator = excluded.operator";
        self.0.prepare_cached(sql)?.execute(params![
            u64::from(row.code),
            row.bank.as_str(),
            row.transaction.as_str(),
            row.kiosk.get(),
            row.service.as_str(),
            row.provider.as_str(),
            row.person.as_slice(),
            row.amount.tiyn(),
            row.state.word(),
            row.issued_at.0,
            row.valid_until.0,
            notice.map(|notice| notice.arrived_at.0),
            notice.map(|notice| notice.paid_at.0),
            notice.map(|notice| notice.method.word()),
            notice.and_then(|notice| notice.bank_reference.as_ref()).map(Token::as_str),
            notice.map(|notice| notice.record),
            end.map(|end| end.at.0),
            end.and_then(|end| end.by.as_ref()).map(Token::as_str),
            end.and_then(|end| end.request.as_ref()).map(Token::as_str),
            end.and_then(|end| end.operator.as_ref()).map(Line::as_str),
        ])?;
        Ok(())
    }

    fn request(&self, who: &Token, request: &Token) -> BooksResult<Option<(PaymentCode, UtcTime)>> {
        let mut statement =
            self.0.prepare_cached("SELECT code, at FROM request WHERE who = ?1 AND number = ?2")?;
        let read = |row: &Row<'_>| {
            Ok((parsed(row, 0, |value: u64| PaymentCode::try_from(value).ok())?, UtcTime(row.get(1)?)))
        };
        Ok(statement.query_row([who.as_str(), request.as_str()], read).optional()?)
    }

    fn put_request(
        &mut self,
        who: &Token,
        request: &Token,
        code: PaymentCode,
        at: UtcTime,
    ) -> BooksResult<()> {
        let sql = "INSERT OR REPLACE INTO request VALUES (?1, ?2, ?3, ?4)";
        self.0.prepare_cached(sql)?.execute(params![
            who.as_str(),
            request.as_str(),
            u64::from(code),
            at.0
        ])?;
        Ok(())
    }

    fn between(&self, when: When, from: UtcTime, to: UtcTime) -> BooksResult<Vec<CodeRow>> {
        let column = match when {
            When::Issued => "issued_at",
            When::Paid => "arrived_at",
            When::Ended => "ended_at",
        };
        let sql =
            format!("SELECT * FROM code WHERE {column} >= ?1 AND {column} < ?2 ORDER BY {column}, code");
        let mut statement = self.0.prepare_cached(&sql)?;
        let rows = statement.query_map([from.0, to.0], read_code)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn register(
        &self,
        (owner, name): (Owner, &Token),
        (from, to): (UtcTime, UtcTime),
        (skip, most): (u64, usize),
    ) -> BooksResult<(u64, Amount, Vec<CodeRow>)> {
        let column = match owner {
            Owner::Provider => "provider",
            Owner::Bank => "bank",
        };
        let which = format!("FROM code WHERE arrived_at >= ?1 AND arrived_at < ?2 AND {column} = ?3");
        let sql = format!("SELECT count(*), coalesce(sum(amount), 0) {which}");
        let read = |row: &Row<'_>| Ok((row.get(0)?, Amount::from_tiyn(row.get(1)?)));
        let (count, total) =
            self.0.prepare_cached(&sql)?.query_row(params![from.0, to.0, name.as_str()], read)?;
        let sql = format!("SELECT * {which} ORDER BY arrived_at, code LIMIT ?4 OFFSET ?5");
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        let mut statement = self.0.prepare_cached(&sql)?;
        let rows = statement.query_map(params![from.0, to.0, name.as_str(), most, skip], read_code)?;
        Ok((count, total, rows.collect::<Result<_, _>>()?))
    }

    fn overdue(&self, now: UtcTime, most: usize) -> BooksResult<Vec<CodeRow>> {
        let sql = "SELECT * FROM code WHERE state IN ('issued', 'paid') AND valid_until < ?1 LIMIT ?2";
        let mut statement = self.0.prepare_cached(sql)?;
        let rows = statement.query_map(params![now.0, most], read_code)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn read_code(row: &Row<'_>) -> rusqlite::Result<CodeRow> {
    let token = |column| parsed(row, column, |text: String| Token::new(&text));
    let arrived: Option<i64> = row.get(11)?;
    let notice = match arrived {
        None => None,
        Some(arrived) => Some(Notice {
            arrived_at: UtcTime(arrived),
            paid_at: UtcTime(row.get(12)?),
            method: parsed(row, 13, |text: String| Method::of_word(&text))?,
            bank_reference: maybe_token(row, 14)?,
            record: row.get(15)?,
        }),
    };
    let ended: Option<i64> = row.get(16)?;
    let end = match ended {
        None => None,
        Some(at) => Some(End {
            at: UtcTime(at),
            by: maybe_token(row, 17)?,
            request: maybe_token(row, 18)?,
            operator: row.get::<_, Option<String>>(19)?.and_then(|text| Line::new(&text)),
        }),
    };
    Ok(CodeRow {
        code: parsed(row, 0, |value: u64| PaymentCode::try_from(value).ok())?,
        bank: token(1)?,
        transaction: token(2)?,
        kiosk: parsed(row, 3, KioskNumber::new)?,
        service: parsed(row, 4, |text: String| ServiceCode::try_from(text.as_str()).ok())?,
        provider: token(5)?,
        person: row.get(6)?,
        amount: Amount::from_tiyn(row.get(7)?),
        state: parsed(row, 8, |text: String| State::of_word(&text))?,
        issued_at: UtcTime(row.get(9)?),
        valid_until: UtcTime(row.get(10)?),
        notice,
        end,
    })
}

fn maybe_token(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Token>> {
    Ok(row.get::<_, Option<String>>(column)?.and_then(|text| Token::new(&text)))
}

/// Reads a column as something that not every value is.
fn parsed<V: rusqlite::types::FromSql, T>(
    row: &Row<'_>,
    column: usize,
    read: impl FnOnce(V) -> Option<T>,
) -> rusqlite::Result<T> {
    let value: V = row.get(column)?;
    read(value).ok_or_else(|| {
        let fault = format!("column {column} does not hold what it should").into();
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Null, fault)
    })
}
