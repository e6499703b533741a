//! The rows of the office in SQL.

use super::{
    SqlStore, array, bad,
    value::{Row, values},
};
use crate::logic::{
    office::{Deed, Office, OperatorRow, RequestRow, RequestState},
    store::Result,
};
use tolem_protocol::{UtcTime, signed::Signature};

/// Tables of schema version 2.
pub(super) const TABLES: &str = "
CREATE TABLE operator (name TEXT PRIMARY KEY, key BLOB NOT NULL, since INTEGER NOT NULL, \"left\" INTEGER) STRICT;
CREATE TABLE request (
  number INTEGER PRIMARY KEY, at INTEGER NOT NULL, by TEXT NOT NULL, action BLOB NOT NULL, signature BLOB NOT NULL,
  state TEXT NOT NULL, decided_by TEXT, decided_at INTEGER, decision BLOB
) STRICT;
CREATE TABLE deed (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, by TEXT NOT NULL, what TEXT NOT NULL) STRICT;
";

fn operator_row(row: &Row<'_>) -> Result<OperatorRow> {
    let left: Option<i64> = row.get("left")?;
    Ok(OperatorRow {
        name: row.get("name")?,
        key: array(row, "key")?,
        since: UtcTime(row.get("since")?),
        left: left.map(UtcTime),
    })
}

fn request_row(row: &Row<'_>) -> Result<RequestRow> {
    let state: String = row.get("state")?;
    let decided = || -> Result<(String, UtcTime, Signature)> {
        Ok((row.get("decided_by")?, UtcTime(row.get("decided_at")?), Signature(array(row, "decision")?)))
    };
    let state = match state.as_str() {
        "open" => RequestState::Open,
        "done" => decided().map(|(by, at, signature)| RequestState::Done { by, at, signature })?,
        "withdrawn" => decided().map(|(by, at, signature)| RequestState::Withdrawn { by, at, signature })?,
        _ => return bad("state"),
    };
    Ok(RequestRow {
        number: row.get("number")?,
        at: UtcTime(row.get("at")?),
        by: row.get("by")?,
        action: row.get("action")?,
        signature: Signature(array(row, "signature")?),
        state,
    })
}

impl Office for SqlStore {
    fn operator(&self, name: &str) -> Result<Option<OperatorRow>> {
        self.one("SELECT * FROM operator WHERE name = ?1", values![name], operator_row)
    }

    fn operators(&self) -> Result<Vec<OperatorRow>> {
        self.all("SELECT * FROM operator ORDER BY name", vec![], operator_row)
    }

    fn put_operator(&mut self, row: &OperatorRow) -> Result<()> {
        self.put(
            "operator",
            &["name"],
            &["key", "since", "left"],
            values![&row.name, row.key, row.since.0, row.left.map(|at| at.0)],
        )
    }

    fn request(&self, number: u32) -> Result<Option<RequestRow>> {
        self.one("SELECT * FROM request WHERE number = ?1", values![number], request_row)
    }

    fn requests(&self) -> Result<Vec<RequestRow>> {
        self.all("SELECT * FROM request ORDER BY number", vec![], request_row)
    }

    fn put_request(&mut self, row: &RequestRow) -> Result<()> {
        let (state, decided) = match &row.state {
            RequestState::Open => ("open", None),
            RequestState::Done { by, at, signature } => ("done", Some((by, at.0, signature.0))),
            RequestState::Withdrawn { by, at, signature } => ("withdrawn", Some((by, at.0, signature.0))),
        };
        self.put(
            "request",
            &["number"],
            &["at", "by", "action", "signature", "state", "decided_by", "decided_at", "decision"],
            values![
                row.number,
                row.at.0,
                &row.by,
                &row.action,
                row.signature.0,
                state,
                decided.map(|(by, ..)| by),
                decided.map(|(_, at, _)| at),
                decided.map(|(.., signature)| signature),
            ],
        )
    }

    fn write_deed(&mut self, deed: &Deed) -> Result<()> {
        self.run(
            "INSERT INTO deed (at, by, what) VALUES (?1, ?2, ?3)",
            values![deed.at.0, &deed.by, &deed.what],
        )
    }

    fn deeds(&self) -> Result<Vec<Deed>> {
        self.all("SELECT * FROM deed ORDER BY id", vec![], |row| {
            Ok(Deed { at: UtcTime(row.get("at")?), by: row.get("by")?, what: row.get("what")? })
        })
    }
}
