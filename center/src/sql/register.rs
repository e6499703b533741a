//! What was taken over from the gateway's register, in SQL.

use super::{
    SqlStore, amount, good, id_bytes, id_of, number_value, tiyn,
    value::{Row, values},
    word, word_of,
};
use crate::logic::{
    register::{Adopted, AdoptedRow},
    store::Result,
};
use tolem_protocol::{Bin, PaymentCode, UtcTime, messages::Method};

/// Tables of schema version 10.
pub(super) const TABLES: &str = "
CREATE TABLE adopted (
  transaction_number TEXT PRIMARY KEY, payment BLOB NOT NULL, code INTEGER NOT NULL, service TEXT NOT NULL, payee TEXT,
  fee INTEGER NOT NULL, method TEXT NOT NULL, arrived_at INTEGER NOT NULL, replaced INTEGER NOT NULL
) STRICT;
ALTER TABLE center ADD COLUMN register_due INTEGER NOT NULL DEFAULT 0;
";

const METHODS: [(Method, &str); 2] = [(Method::Cash, "cash"), (Method::Card, "card")];

fn adopted_row(row: &Row<'_>) -> Result<AdoptedRow> {
    let (code, service, payee): (i64, String, Option<String>) =
        (row.get("code")?, row.get("service")?, row.get("payee")?);
    Ok(AdoptedRow {
        transaction: row.get("transaction_number")?,
        payment: id_of(row, "payment")?,
        code: good(PaymentCode::try_from(code.cast_unsigned()).ok(), "code")?,
        service: good(heapless::String::try_from(service.as_str()).ok(), "service")?,
        payee: payee.map(|bin| good(Bin::parse(&bin), "payee")).transpose()?,
        fee: amount(row, "fee")?,
        method: word(row, "method", &METHODS)?,
        arrived_at: UtcTime(row.get("arrived_at")?),
        replaced: row.get("replaced")?,
    })
}

impl Adopted for SqlStore {
    fn adopted(&self, transaction: &str) -> Result<Option<AdoptedRow>> {
        self.one("SELECT * FROM adopted WHERE transaction_number = ?1", values![transaction], adopted_row)
    }

    fn all_adopted(&self) -> Result<Vec<AdoptedRow>> {
        self.all("SELECT * FROM adopted ORDER BY transaction_number", vec![], adopted_row)
    }

    fn put_adopted(&mut self, row: &AdoptedRow) -> Result<()> {
        self.put(
            "adopted",
            &["transaction_number"],
            &["payment", "code", "service", "payee", "fee", "method", "arrived_at", "replaced"],
            values![
                &row.transaction,
                id_bytes(&row.payment),
                number_value(row.code.into()),
                row.service.as_str(),
                row.payee.map(|bin| bin.to_string()),
                tiyn(row.fee),
                word_of(row.method, &METHODS),
                row.arrived_at.0,
                row.replaced,
            ],
        )
    }
}
