//! Disputes in SQL.

use super::{
    SqlStore, amount, id_bytes, id_of, tiyn,
    value::{Row, values},
    word, word_of,
};
use crate::logic::{
    disputes::{Cause, DisputeRow, DisputeState, Disputes},
    store::Result,
};
use tolem_protocol::{PaymentId, UtcTime};

/// Tables of schema version 9.
pub(super) const TABLES: &str = "
CREATE TABLE dispute (
  number INTEGER PRIMARY KEY, payment BLOB NOT NULL, cause TEXT NOT NULL, \"case\" TEXT NOT NULL, why TEXT NOT NULL,
  amount INTEGER NOT NULL, opened_at INTEGER NOT NULL, state TEXT NOT NULL, changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX dispute_payment ON dispute (payment);
";

const CAUSES: [(Cause, &str); 2] = [(Cause::Complaint, "complaint"), (Cause::Chargeback, "chargeback")];
const STATES: [(DisputeState, &str); 6] = [
    (DisputeState::Open, "open"),
    (DisputeState::Returning, "returning"),
    (DisputeState::Returned, "returned"),
    (DisputeState::Stands, "stands"),
    (DisputeState::Lost, "lost"),
    (DisputeState::Released, "released"),
];

fn dispute_row(row: &Row<'_>) -> Result<DisputeRow> {
    Ok(DisputeRow {
        number: row.get("number")?,
        payment: id_of(row, "payment")?,
        cause: word(row, "cause", &CAUSES)?,
        case: row.get("case")?,
        why: row.get("why")?,
        amount: amount(row, "amount")?,
        opened_at: UtcTime(row.get("opened_at")?),
        state: word(row, "state", &STATES)?,
        changed_at: UtcTime(row.get("changed_at")?),
    })
}

impl Disputes for SqlStore {
    fn dispute(&self, number: u32) -> Result<Option<DisputeRow>> {
        self.one("SELECT * FROM dispute WHERE number = ?1", values![number], dispute_row)
    }

    fn disputes(&self) -> Result<Vec<DisputeRow>> {
        self.all("SELECT * FROM dispute ORDER BY number", vec![], dispute_row)
    }

    fn disputes_of(&self, payment: &PaymentId) -> Result<Vec<DisputeRow>> {
        let sql = "SELECT * FROM dispute WHERE payment = ?1 ORDER BY number";
        self.all(sql, values![id_bytes(payment)], dispute_row)
    }

    fn put_dispute(&mut self, row: &DisputeRow) -> Result<()> {
        self.put(
            "dispute",
            &["number"],
            &["payment", "cause", "case", "why", "amount", "opened_at", "state", "changed_at"],
            values![
                row.number,
                id_bytes(&row.payment),
                word_of(row.cause, &CAUSES),
                &row.case,
                &row.why,
                tiyn(row.amount),
                row.opened_at.0,
                word_of(row.state, &STATES),
                row.changed_at.0,
            ],
        )
    }
}
