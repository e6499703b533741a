//! Moving a center from its file to PostgreSQL: all tables in one transaction, compared row by row, and the file never serves again.
//!
//! ```text
//! file: serves ──marked "moving"──▶ copy, compare, commit there ──marked "moved to …"──▶ kept, never opened again
//!                     └── failed: the mark is taken away        └── died here: the same command again looks and goes on
//! ```

use super::{
    Address, Base, SqlStore, file,
    value::{Row, Value},
    values,
};
use crate::logic::{
    ledger,
    store::{Result, StoreError, Transact as _},
};
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use rusqlite::Connection;
use std::{fmt, path::Path};

/// Tables of schema version 12: where the rows are now.
pub(super) const TABLES: &str = "
ALTER TABLE center ADD COLUMN moved TEXT;
";

/// The mark of a file whose move has begun.
const MOVING: &str = "moving";
/// Rows in one statement.
const AT_ONCE: usize = 100;

/// One table, as both sides have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableCopy {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// Sum of the SHA-256 of all rows, so that no order matters.
    pub digest: [u8; 32],
}

impl fmt::Display for TableCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<14}{:>10}  {}", self.table, self.rows, &HEXLOWER.encode(&self.digest)[..16])
    }
}

/// What moving did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moved {
    /// All tables.
    pub tables: Vec<TableCopy>,
    /// An earlier try had copied everything and died before it could say so.
    pub was_there: bool,
}

fn failed<T>(why: impl Into<String>) -> Result<T> {
    Err(StoreError(why.into()))
}

/// Moves the center in `file` to the empty database at `address`.
///
/// # Errors
/// If somebody has the file open, an audit finds something, the target is not empty or differs afterwards. The file then serves as before, except
/// after a connection that broke in the very commit: then the command must be given again.
pub fn move_to(file: &Path, address: &Address) -> Result<Moved> {
    let source = open_alone(file)?;
    let mark = source.moved()?;
    if let Some(mark) = mark.filter(|mark| mark != MOVING) {
        return failed(format!("{} was moved before: {mark}", file.display()));
    }
    let findings = ledger::audit(&source)?;
    if let Some(first) = findings.first() {
        return failed(format!(
            "the audit has {} findings, the first: {first}; a center is moved when every tiyn is accounted for",
            findings.len()
        ));
    }
    let mut target = SqlStore { base: Base::Postgres(Box::new(address.connect()?)), failed: None };
    let tables = source.tables()?;
    if target.version()? != 0 {
        // An earlier try may have died between the commit there and the mark here.
        let same = source.moved()?.as_deref() == Some(MOVING)
            && target.version()? == source.version()?
            && compare(&source, &target, &tables).is_ok();
        if !same {
            return failed("there is a center in that database already; nothing was moved");
        }
        let copies = digests(&source, &tables)?;
        source.mark(&format!("moved to {}", address.whereabouts()))?;
        return Ok(Moved { tables: copies, was_there: true });
    }
    if target.has_tables()? {
        return failed("that database is not empty; nothing was moved");
    }
    source.mark(MOVING)?;
    let copied = target.transact(|target| {
        target.bring_up_to_date()?;
        for table in &tables {
            copy(&source, target, table)?;
        }
        target.count_on(&tables)?;
        let copies = compare(&source, target, &tables)?;
        let findings = ledger::audit(target)?;
        if ledger::totals(&source)? != ledger::totals(target)? || !findings.is_empty() {
            return failed("the copy's books are not the same; nothing was moved");
        }
        Ok(copies)
    });
    match copied {
        Ok(copies) => {
            source.mark(&format!("moved to {}", address.whereabouts()))?;
            Ok(Moved { tables: copies, was_there: false })
        }
        Err(error) => {
            // A commit whose answer was lost may have happened: then the file stays marked, and the next try looks.
            let empty = address.connect().is_ok_and(|server| {
                let again = SqlStore { base: Base::Postgres(Box::new(server)), failed: None };
                again.version().is_ok_and(|version| version == 0)
            });
            if empty {
                source.unmark()?;
                return Err(error);
            }
            failed(format!("{error}; whether it was kept there is unknown: give the same command again"))
        }
    }
}

/// Opens a file that nobody else has open, and keeps it so.
fn open_alone(file: &Path) -> Result<SqlStore> {
    let locked =
        |_| StoreError(format!("{} is open: stop the center, and whatever else reads it", file.display()));
    let missing = || StoreError(format!("{} is missing: there is no center in a file here", file.display()));
    if !file.is_file() {
        return Err(missing());
    }
    file::reread(file).map_err(|error| StoreError(format!("{}-wal: {error}", file.display())))?;
    let mut connection = Connection::open(file)?;
    file::fold_in_at(&mut connection, file::LOG_PAGES)?;
    // With a log beside the file, this takes the file for oneself at the first write, and until the connection is closed.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.execute_batch("BEGIN IMMEDIATE").map_err(locked)?;
    connection.execute_batch("COMMIT").map_err(locked)?;
    let mut store = SqlStore { base: Base::Sqlite(connection), failed: None };
    if store.is_old()? {
        store.transact(|store| store.bring_up_to_date())?;
    }
    Ok(store)
}

/// Takes a mark away that a try has left, when nothing is in the target.
///
/// # Errors
/// If the file is not marked as moving, or the target has a center.
pub fn cancel(file: &Path, address: &Address) -> Result<()> {
    let source = open_alone(file)?;
    if source.moved()?.as_deref() != Some(MOVING) {
        return failed(format!("{} is not being moved", file.display()));
    }
    let target = SqlStore { base: Base::Postgres(Box::new(address.connect()?)), failed: None };
    if target.version()? != 0 {
        return failed(
            "there is a center in that database; give the command without --cancel, it looks whether all is there",
        );
    }
    source.unmark()
}

impl SqlStore {
    /// Where the rows of this database are now, if not here.
    fn moved(&self) -> Result<Option<String>> {
        Ok(self.one("SELECT moved FROM center", vec![], |row| row.get("moved"))?.flatten())
    }

    /// Refuses a file whose rows are elsewhere.
    pub(super) fn refuse_moved(&self) -> Result<()> {
        match self.moved()? {
            Some(mark) if mark == MOVING => {
                failed("this database is being moved: give tolem-center store move again, or with --cancel")
            }
            Some(mark) => failed(format!(
                "this database was {mark}; store.postgres must name that, and the file is only a memory"
            )),
            None => Ok(()),
        }
    }

    fn mark(&self, mark: &str) -> Result<()> {
        self.run("UPDATE center SET moved = ?1", values![mark])
    }

    fn unmark(&self) -> Result<()> {
        self.run("UPDATE center SET moved = NULL", vec![])
    }

    /// The tables of a file and their columns, as they were made: what is referred to comes first.
    fn tables(&self) -> Result<Vec<(String, Vec<String>)>> {
        let sql =
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
        let names: Vec<String> = self.all(sql, vec![], |row| row.get("name"))?;
        let columns = |table: &String| -> Result<Vec<String>> {
            self.all("SELECT name FROM pragma_table_info(?1) ORDER BY cid", values![table], |row| {
                row.get("name")
            })
        };
        names.into_iter().map(|table| Ok((table.clone(), columns(&table)?))).collect()
    }

    fn has_tables(&self) -> Result<bool> {
        let sql = "SELECT count(*) AS many FROM pg_tables WHERE schemaname = current_schema()";
        let many: Option<i64> = self.one(sql, vec![], |row| row.get("many"))?;
        Ok(many != Some(0))
    }

    /// Lets the columns that count by themselves go on behind what was copied.
    fn count_on(&self, tables: &[(String, Vec<String>)]) -> Result<()> {
        for (table, _) in tables.iter().filter(|(_, columns)| columns.iter().any(|column| column == "id")) {
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) AS last FROM {table} HAVING max(id) > 0"
            );
            self.one(&sql, vec![], |_| Ok(()))?;
        }
        Ok(())
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn copy(source: &SqlStore, target: &SqlStore, (table, columns): &(String, Vec<String>)) -> Result<()> {
    // What making the tables has put in is the file's to say.
    if target.one(&format!("SELECT 1::bigint AS one FROM {table} LIMIT 1"), vec![], |_| Ok(()))?.is_some() {
        target.run(&format!("DELETE FROM {table}"), vec![])?;
    }
    let insert = |rows: usize| {
        let width = columns.len();
        let places: Vec<String> = (0..rows)
            .map(|row| {
                let places: Vec<String> =
                    (1..=width).map(|column| format!("?{}", row * width + column)).collect();
                format!("({})", places.join(", "))
            })
            .collect();
        format!("INSERT INTO {table} ({}) VALUES {}", quoted(columns), places.join(", "))
    };
    let whole = insert(AT_ONCE);
    let mut waiting: Vec<Value> = Vec::new();
    source.each(&format!("SELECT {} FROM {table}", quoted(columns)), &mut |row| {
        waiting.extend(values_of(row, table, columns)?);
        if waiting.len() == AT_ONCE * columns.len() {
            target.run(&whole, std::mem::take(&mut waiting))?;
        }
        Ok(())
    })?;
    let rest = waiting.len() / columns.len().max(1);
    if rest > 0 { target.run(&insert(rest), waiting) } else { Ok(()) }
}

/// The values of a row. The mark of a move is no part of a center.
fn values_of(row: &Row<'_>, table: &str, columns: &[String]) -> Result<Vec<Value>> {
    columns
        .iter()
        .map(
            |column| if table == "center" && column == "moved" { Ok(Value::Null) } else { row.value(column) },
        )
        .collect()
}

fn digests(store: &SqlStore, tables: &[(String, Vec<String>)]) -> Result<Vec<TableCopy>> {
    tables
        .iter()
        .map(|(table, columns)| {
            let mut copy = TableCopy { table: table.clone(), rows: 0, digest: [0; 32] };
            store.each(&format!("SELECT {} FROM {table}", quoted(columns)), &mut |row| {
                copy.rows += 1;
                let hash = digest(&SHA256, &bytes_of(&values_of(row, table, columns)?));
                let mut carry = 0u16;
                for (sum, byte) in copy.digest.iter_mut().zip(hash.as_ref()) {
                    let [low, high] = (u16::from(*sum) + u16::from(*byte) + carry).to_le_bytes();
                    (*sum, carry) = (low, high.into());
                }
                Ok(())
            })?;
            Ok(copy)
        })
        .collect()
}

/// A row as bytes, each value with its kind and length.
fn bytes_of(row: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in row {
        let (kind, content) = match value {
            Value::Null => (0, Vec::new()),
            Value::Int(number) => (1, number.to_be_bytes().to_vec()),
            Value::Text(text) => (2, text.as_bytes().to_vec()),
            Value::Blob(blob) => (3, blob.clone()),
        };
        bytes.push(kind);
        bytes.extend((content.len() as u64).to_be_bytes());
        bytes.extend(content);
    }
    bytes
}

/// Both sides, row by row; an error names the first table that differs.
fn compare(source: &SqlStore, target: &SqlStore, tables: &[(String, Vec<String>)]) -> Result<Vec<TableCopy>> {
    let (here, there) = (digests(source, tables)?, digests(target, tables)?);
    match here.iter().zip(&there).find(|(here, there)| here != there) {
        Some((here, there)) => failed(format!(
            "table {} has {} rows here and {} there, and they differ; nothing was moved",
            here.table, here.rows, there.rows
        )),
        None => Ok(here),
    }
}
