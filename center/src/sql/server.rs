//! A PostgreSQL server: connection, statements, transactions that are tried again.
//!
//! Every transaction is SERIALIZABLE, so several centers on one database decide as if they took turns. A turn that the server takes
//! back (SQLSTATE 40001, 40P01) is begun anew with what the others have written. A row that somebody else has made at the same moment
//! (23505) is such a turn as well, a few times: then it is a fault of ours.

use super::value::{Row, Value};
use crate::logic::store::{Result, StoreError};
use postgres::{
    Client, NoTls, Statement,
    config::{Host, SslMode},
    error::SqlState,
    types::{ToSql, Type},
};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    path::PathBuf,
    time::Duration,
};

/// How often a transaction is begun anew before it counts as failed. Pauses grow to [`LONGEST_PAUSE`], so this is some seconds.
const MOST_TRIES: u32 = 200;
/// So often another's row in the way is taken for bad luck.
const MOST_DOUBLES: u32 = 5;
/// The longest pause between two tries, in milliseconds.
const LONGEST_PAUSE: u64 = 40;
/// Rows fetched at once from a cursor.
const AT_ONCE: u32 = 500;
/// The lock whose holder runs the errands of all centers on one database.
const ERRANDS: i64 = 0x746f_6c65_6d01;
/// The lock of whoever changes the tables.
const TABLES: i64 = 0x746f_6c65_6d02;
/// The lock whose holder says to the acquirer what is owed to it.
const ACQUIRER: i64 = 0x746f_6c65_6d03;

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Connection string as of libpq: `host=/run/postgresql user=tolem dbname=tolem`.
    pub connection: String,
    /// PEM file with the authority of the server's certificate; demanded for whatever is no Unix socket.
    pub ca: Option<PathBuf>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It may hold a password.
        write!(f, "Address(…, ca {:?})", self.ca)
    }
}

impl Address {
    /// What is wrong with it, if something is. Nothing is connected.
    pub fn fault(&self) -> Option<String> {
        let config = match self.connection.parse::<postgres::Config>() {
            Ok(config) => config,
            // Said without the text: it may hold a password.
            Err(error) => return Some(format!("not a connection string ({error})")),
        };
        if config.get_hosts().is_empty() {
            return Some("a host is missing: the directory of a Unix socket, or a name".into());
        }
        let named = config.get_hosts().iter().find_map(|host| match host {
            Host::Tcp(name) => Some(name),
            Host::Unix(_) => None,
        });
        match named {
            Some(name) if self.ca.is_none() => Some(format!(
                "{name} is reached over a network: store.ca must name the authority of its certificate (PEM)"
            )),
            _ => None,
        }
    }

    /// Where it is, without user and password.
    pub fn whereabouts(&self) -> String {
        let Ok(config) = self.connection.parse::<postgres::Config>() else { return "PostgreSQL".into() };
        let hosts: Vec<String> = config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        format!("PostgreSQL, host {}, database {}", hosts.join(","), config.get_dbname().unwrap_or("-"))
    }

    pub(super) fn connect(&self) -> Result<Server> {
        if let Some(fault) = self.fault() {
            return Err(StoreError(format!("key store.postgres: {fault}")));
        }
        let mut config: postgres::Config = self.connection.parse()?;
        config
            .application_name(&format!("tolem-center {}", std::process::id()))
            .connect_timeout(Duration::from_secs(10));
        let client = match &self.ca {
            Some(ca) => {
                config.ssl_mode(SslMode::Require);
                config.connect(super::tls::Connector::new(ca)?)
            }
            None => config.connect(NoTls),
        };
        let client =
            client.map_err(|error| StoreError(format!("PostgreSQL: {}", StoreError::from(error))))?;
        Ok(Server {
            client: RefCell::new(client),
            statements: RefCell::default(),
            again: Cell::new(None),
            in_work: Cell::new(false),
            leads: Cell::new(false),
            speaks: Cell::new(false),
        })
    }
}

/// Why a transaction is begun anew.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    Turn,
    Double,
}

pub(super) struct Server {
    client: RefCell<Client>,
    statements: RefCell<HashMap<String, Statement>>,
    again: Cell<Option<Again>>,
    in_work: Cell<bool>,
    leads: Cell<bool>,
    speaks: Cell<bool>,
}

impl Server {
    fn heard<T>(&self, result: std::result::Result<T, postgres::Error>) -> Result<T> {
        result.map_err(|error| {
            if let Some(code) = error.code() {
                if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) {
                    self.again.set(Some(Again::Turn));
                } else if *code == SqlState::UNIQUE_VIOLATION {
                    self.again.set(Some(Again::Double));
                }
            }
            error.into()
        })
    }

    fn prepared(&self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.heard(self.client.borrow_mut().prepare(&sql.replace('?', "$")))?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<postgres::Row>> {
        let statement = self.prepared(sql)?;
        let bound: Vec<Box<dyn ToSql + Sync>> =
            values.iter().zip(statement.params()).map(|(value, kind)| bind(value, kind)).collect();
        let bound: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|value| &**value).collect();
        self.heard(self.client.borrow_mut().query(&statement, &bound))
    }

    pub fn batch(&self, sql: &str) -> Result<()> {
        self.heard(self.client.borrow_mut().batch_execute(sql))
    }

    /// Gives each row of a statement without values, however many there are. Nothing is borrowed while `each` runs, so it may ask again.
    pub fn each(&self, sql: &str, each: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        // A cursor lives in a transaction; outside of one this is a picture of one moment.
        let own = !self.in_work.get();
        if own {
            self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        }
        let name = format!("c{}", self.statements.borrow().len());
        let mut run = || {
            self.batch(&format!("DECLARE {name} NO SCROLL CURSOR FOR {sql}"))?;
            loop {
                let rows =
                    self.heard(self.client.borrow_mut().query(&format!("FETCH {AT_ONCE} FROM {name}"), &[]))?;
                for row in &rows {
                    each(&Row::Postgres(row))?;
                }
                if rows.len() < AT_ONCE as usize {
                    return self.batch(&format!("CLOSE {name}"));
                }
            }
        };
        let result = run();
        if own {
            self.batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        }
        result
    }

    /// Holds off whoever else wants to change the tables, until the transaction ends.
    pub fn lock_tables(&self) -> Result<()> {
        self.batch(&format!("SELECT pg_advisory_xact_lock({TABLES})"))
    }

    /// Whether this process runs the errands. The server takes it from a process whose connection ends.
    pub fn leads(&self) -> Result<bool> {
        self.has(&self.leads, ERRANDS)
    }

    /// Whether this process says what is owed to the acquirer. One whose line is closed lets another do it.
    pub fn speaks(&self, line_is_open: bool) -> Result<bool> {
        if !line_is_open && self.speaks.get() {
            self.batch(&format!("SELECT pg_advisory_unlock({ACQUIRER})"))?;
            self.speaks.set(false);
        }
        if line_is_open { self.has(&self.speaks, ACQUIRER) } else { Ok(false) }
    }

    fn has(&self, mine: &Cell<bool>, lock: i64) -> Result<bool> {
        if !mine.get() {
            let sql = format!("SELECT pg_try_advisory_lock({lock}) AS mine");
            let row = self.heard(self.client.borrow_mut().query_one(&sql, &[]))?;
            mine.set(row.try_get("mine")?);
        }
        Ok(mine.get())
    }

    /// Runs one try of a transaction; `None` if it must be begun anew.
    pub fn begin(&self) -> Result<()> {
        self.again.set(None);
        self.batch("BEGIN ISOLATION LEVEL SERIALIZABLE")?;
        self.in_work.set(true);
        Ok(())
    }

    pub fn commit(&self) -> Result<()> {
        self.batch("COMMIT")
    }

    /// Ends a try that has failed. True if it may be begun anew.
    pub fn end(&self, tries: &mut Tries) -> bool {
        self.in_work.set(false);
        let why = self.again.take();
        // A connection that is gone has rolled back, or committed: nobody knows, and the error says so.
        if self.client.borrow_mut().batch_execute("ROLLBACK").is_err() {
            return false;
        }
        tries.may_go_on(why)
    }

    pub fn ended(&self) {
        self.in_work.set(false);
    }
}

/// Tries of one transaction so far.
#[derive(Default)]
pub(super) struct Tries {
    turns: u32,
    doubles: u32,
}

impl Tries {
    fn may_go_on(&mut self, why: Option<Again>) -> bool {
        match why {
            None => return false,
            Some(Again::Turn) => self.turns += 1,
            Some(Again::Double) => self.doubles += 1,
        }
        if self.turns >= MOST_TRIES || self.doubles >= MOST_DOUBLES {
            return false;
        }
        // Spread by the process and the count, so that two that met do not meet again.
        let spread =
            u64::from(std::process::id().wrapping_mul(2_654_435_761) >> 24) + u64::from(self.turns) * 7;
        let pause = (spread % 8 + 1) * u64::from(self.turns + self.doubles).min(8);
        std::thread::sleep(Duration::from_millis(pause.min(LONGEST_PAUSE)));
        true
    }
}

fn bind(value: &Value, kind: &Type) -> Box<dyn ToSql + Sync> {
    match value {
        Value::Int(number) => Box::new(*number),
        Value::Text(text) => Box::new(text.clone()),
        Value::Blob(bytes) => Box::new(bytes.clone()),
        Value::Null if *kind == Type::TEXT => Box::new(None::<String>),
        Value::Null if *kind == Type::BYTEA => Box::new(None::<Vec<u8>>),
        Value::Null => Box::new(None::<i64>),
    }
}

/// Tables as SQLite has them, in PostgreSQL's words. A column `id` counts by itself in both.
pub(super) fn tables(sqlite: &str) -> String {
    sqlite
        .replace("id INTEGER PRIMARY KEY", "id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY")
        .replace("INTEGER", "BIGINT")
        .replace("BLOB", "BYTEA")
        .replace(") STRICT, WITHOUT ROWID", ")")
        .replace(") STRICT", ")")
}

/// What is written once stays: not even this program may change it.
pub(super) const APPEND_ONLY: &str = "
CREATE FUNCTION tolem_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% only grows: a row of it is never changed or taken away', TG_TABLE_NAME;
END $$;
CREATE TRIGGER posting_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON posting EXECUTE FUNCTION tolem_append_only();
CREATE TRIGGER line_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON line EXECUTE FUNCTION tolem_append_only();
CREATE TRIGGER alarm_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON alarm EXECUTE FUNCTION tolem_append_only();
CREATE TRIGGER deed_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON deed EXECUTE FUNCTION tolem_append_only();
CREATE TABLE session (kiosk BIGINT PRIMARY KEY, number BIGINT NOT NULL);
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_needs_an_authority_and_passwords_are_never_said() {
        let address = |connection: &str, ca: Option<&str>| Address {
            connection: connection.into(),
            ca: ca.map(PathBuf::from),
        };
        assert_eq!(address("host=/run/postgresql dbname=tolem", None).fault(), None);
        assert_eq!(address("host=db.example dbname=tolem", Some("ca.pem")).fault(), None);
        let fault = address("host=db.example password=sesame", None).fault().unwrap();
        assert!(fault.contains("db.example") && !fault.contains("sesame"), "{fault}");
        let fault = address("dbname=tolem", None).fault().unwrap();
        assert!(fault.contains("a host is missing"), "{fault}");
        let wrong = address("hots=x password=sesame", None);
        assert!(!wrong.fault().unwrap().contains("sesame"));
        assert!(!format!("{wrong:?}").contains("sesame"));
    }

    #[test]
    fn tables_are_the_same_in_both_words() {
        let said = tables(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, b BLOB NOT NULL) STRICT;\nCREATE TABLE c (d INTEGER) STRICT, WITHOUT ROWID;",
        );
        assert_eq!(
            said,
            "CREATE TABLE a (id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, b BYTEA NOT NULL);\nCREATE TABLE c (d BIGINT);"
        );
    }

    #[test]
    fn a_transaction_is_not_tried_for_ever() {
        let mut tries = Tries::default();
        assert!(!tries.may_go_on(None), "another error is no bad luck");
        assert!(tries.may_go_on(Some(Again::Turn)));
        let doubles = (0..20).take_while(|_| tries.may_go_on(Some(Again::Double))).count();
        assert_eq!(doubles, MOST_DOUBLES as usize - 1);
    }
}
