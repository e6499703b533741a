//! What is under way to a neighbour, in SQL.

use super::{
    SqlStore, bad, good, id_bytes, id_of, number_value, statement,
    value::{Row, values},
    word, word_of,
};
use crate::logic::{
    errands::{Errands, NoticeKind, NoticeRow, WaitingRow},
    store::Result,
};
use tolem_protocol::{PaymentCode, PaymentId, UtcTime};

/// Tables of schema version 3. Codes that the first version had not notified go into the outbox.
pub(super) const TABLES: &str = "
CREATE TABLE waiting (
  payment BLOB PRIMARY KEY, deposit BLOB NOT NULL, since INTEGER NOT NULL, tries INTEGER NOT NULL, next INTEGER NOT NULL
) STRICT;
CREATE TABLE notice (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, payment BLOB NOT NULL, code INTEGER NOT NULL, made_at INTEGER NOT NULL,
  tries INTEGER NOT NULL, next INTEGER NOT NULL, taken_at INTEGER
) STRICT;
CREATE INDEX notice_open ON notice (code, id) WHERE taken_at IS NULL;
CREATE INDEX code_payment ON code (payment);
INSERT INTO notice (kind, payment, code, made_at, tries, next)
  SELECT 'paid', payment, code, issued_at, 0, issued_at FROM code WHERE state = 'issued' ORDER BY issued_at, code;
";

/// Tables of schema version 11: what is open is found without reading all that was ever taken.
pub(super) const OPEN: &str = "
CREATE INDEX notice_next ON notice (id) WHERE taken_at IS NULL;
";

const NOTICES_DUE: &str =
    "SELECT * FROM notice AS this WHERE taken_at IS NULL AND next <= ?1 AND NOT EXISTS (
  SELECT 1 FROM notice WHERE taken_at IS NULL AND code = this.code AND id < this.id
) ORDER BY id LIMIT ?2";

const KINDS: [(NoticeKind, &str); 3] =
    [(NoticeKind::Paid, "paid"), (NoticeKind::Void, "void"), (NoticeKind::Refund, "refund")];

fn waiting_row(row: &Row<'_>) -> Result<WaitingRow> {
    let Some(deposit) = statement(row, "deposit")? else { return bad("deposit") };
    Ok(WaitingRow {
        payment: id_of(row, "payment")?,
        deposit,
        since: UtcTime(row.get("since")?),
        tries: row.get("tries")?,
        next: UtcTime(row.get("next")?),
    })
}

fn notice_row(row: &Row<'_>) -> Result<NoticeRow> {
    let (id, code): (i64, i64) = (row.get("id")?, row.get("code")?);
    let taken: Option<i64> = row.get("taken_at")?;
    Ok(NoticeRow {
        id: id.cast_unsigned(),
        kind: word(row, "kind", &KINDS)?,
        payment: id_of(row, "payment")?,
        code: good(PaymentCode::try_from(code.cast_unsigned()).ok(), "code")?,
        made_at: UtcTime(row.get("made_at")?),
        tries: row.get("tries")?,
        next: UtcTime(row.get("next")?),
        taken_at: taken.map(UtcTime),
    })
}

impl Errands for SqlStore {
    fn waiting(&self, payment: &PaymentId) -> Result<Option<WaitingRow>> {
        self.one("SELECT * FROM waiting WHERE payment = ?1", values![id_bytes(payment)], waiting_row)
    }

    fn put_waiting(&mut self, row: &WaitingRow) -> Result<()> {
        let deposit = row.deposit.to_bytes().to_vec();
        self.put(
            "waiting",
            &["payment"],
            &["deposit", "since", "tries", "next"],
            values![id_bytes(&row.payment), deposit, row.since.0, row.tries, row.next.0],
        )
    }

    fn end_waiting(&mut self, payment: &PaymentId) -> Result<()> {
        self.run("DELETE FROM waiting WHERE payment = ?1", values![id_bytes(payment)])
    }

    fn waiting_due(&self, now: UtcTime, limit: u32) -> Result<Vec<WaitingRow>> {
        let sql = "SELECT * FROM waiting WHERE next <= ?1 ORDER BY since, payment LIMIT ?2";
        self.all(sql, values![now.0, limit], waiting_row)
    }

    fn add_notice(&mut self, row: &NoticeRow) -> Result<()> {
        self.run(
            "INSERT INTO notice (kind, payment, code, made_at, tries, next, taken_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values![
                word_of(row.kind, &KINDS),
                id_bytes(&row.payment),
                number_value(row.code.into()),
                row.made_at.0,
                row.tries,
                row.next.0,
                row.taken_at.map(|at| at.0),
            ],
        )
    }

    fn notice(&self, id: u64) -> Result<Option<NoticeRow>> {
        self.one("SELECT * FROM notice WHERE id = ?1", values![number_value(id)], notice_row)
    }

    fn put_notice(&mut self, row: &NoticeRow) -> Result<()> {
        self.run(
            "UPDATE notice SET kind = ?2, tries = ?3, next = ?4, taken_at = ?5 WHERE id = ?1",
            values![
                number_value(row.id),
                word_of(row.kind, &KINDS),
                row.tries,
                row.next.0,
                row.taken_at.map(|at| at.0)
            ],
        )
    }

    fn notices_due(&self, now: UtcTime, limit: u32) -> Result<Vec<NoticeRow>> {
        self.all(NOTICES_DUE, values![now.0, limit], notice_row)
    }

    fn each_notice(&self, each: &mut dyn FnMut(NoticeRow)) -> Result<()> {
        let sql = "SELECT * FROM notice ORDER BY id";
        self.each(sql, &mut |row| notice_row(row).map(&mut *each))
    }

    fn notices_open(&self) -> Result<(u64, Option<UtcTime>)> {
        let sql = "SELECT count(*) AS count, min(made_at) AS oldest FROM notice WHERE taken_at IS NULL";
        let found = self.one(sql, vec![], |row| {
            let (count, oldest): (i64, Option<i64>) = (row.get("count")?, row.get("oldest")?);
            Ok((count.cast_unsigned(), oldest.map(UtcTime)))
        })?;
        Ok(found.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Base, *};
    use rusqlite::{Connection, StatementStatus};
    use tolem_protocol::KioskNumber;

    /// Steps of SQLite's machine to find what is due, in an outbox with so many notices that were taken and three that are open.
    fn steps(taken: u64) -> i32 {
        let mut store = SqlStore::create_on(Connection::open_in_memory().unwrap(), 1).unwrap();
        let now = UtcTime::from_seconds(1_795_000_000);
        let kiosk = KioskNumber::new(42).unwrap();
        for number in 1..=taken + 3 {
            let row = NoticeRow {
                id: number,
                kind: NoticeKind::Paid,
                payment: PaymentId { kiosk, epoch: 1, number, nonce: [7; 16] },
                code: PaymentCode::from_random(number),
                made_at: now,
                tries: 0,
                next: now,
                taken_at: (number <= taken).then_some(now),
            };
            store.add_notice(&row).unwrap();
            store.put_notice(&row).unwrap();
        }
        let due = store.notices_due(now, 32).unwrap();
        assert_eq!(due.iter().map(|row| row.id).collect::<Vec<_>>(), [taken + 1, taken + 2, taken + 3]);
        let Base::Sqlite(connection) = &store.base else { panic!("it is SQLite") };
        let mut statement = connection.prepare(NOTICES_DUE).unwrap();
        let mut rows = statement.query(rusqlite::params![now.0, 32]).unwrap();
        while rows.next().unwrap().is_some() {}
        drop(rows);
        statement.get_status(StatementStatus::VmStep)
    }

    #[test]
    fn notices_that_were_taken_cost_nothing_any_more() {
        assert_eq!(steps(10), steps(1_000));
    }
}
