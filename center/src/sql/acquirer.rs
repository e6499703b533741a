//! Card payments with the acquirer, in SQL.

use super::{
    SqlStore, array, bad, bytes_of, good, id_bytes, id_of, statement,
    value::{Row, values},
    word, word_of,
};
use crate::logic::{
    acquirer::{Acquiring, CardRow, Name, Standing, Why},
    store::Result,
};
use tolem_protocol::{Amount, PaymentId, UtcTime};

/// Tables of schema version 6.
pub(super) const TABLES: &str = "
CREATE TABLE trace (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL) STRICT;
INSERT INTO trace VALUES (1, 0);
CREATE TABLE card (
  payment BLOB PRIMARY KEY, terminal BLOB NOT NULL, amount INTEGER NOT NULL, sealed_number BLOB NOT NULL,
  trace INTEGER NOT NULL UNIQUE, sent INTEGER NOT NULL, standing TEXT NOT NULL, code BLOB, approval BLOB, why TEXT,
  errand_trace INTEGER UNIQUE, errand_sent INTEGER, tries INTEGER NOT NULL, next INTEGER NOT NULL
) STRICT;
CREATE INDEX card_due ON card (next) WHERE standing IN ('sent', 'confirming', 'reversing');
";

/// Tables of schema version 8: what an approval gives to its kiosk.
pub(super) const WORDS: &str = "
ALTER TABLE card ADD COLUMN merchant BLOB;
ALTER TABLE card ADD COLUMN outcome BLOB;
ALTER TABLE card ADD COLUMN words BLOB;
CREATE INDEX card_undecided ON card (sent) WHERE standing = 'approved';
";

const STANDINGS: [(Standing, &str); 7] = [
    (Standing::Sent, "sent"),
    (Standing::Declined, "declined"),
    (Standing::Approved, "approved"),
    (Standing::Confirming, "confirming"),
    (Standing::Confirmed, "confirmed"),
    (Standing::Reversing, "reversing"),
    (Standing::Reversed, "reversed"),
];
const WHYS: [(Why, &str); 3] = [(Why::NoAnswer, "no answer"), (Why::Void, "void"), (Why::Part, "part")];

fn card_row(row: &Row<'_>) -> Result<CardRow> {
    let amount: i64 = row.get("amount")?;
    let why: Option<String> = row.get("why")?;
    let (errand_trace, errand_sent): (Option<u32>, Option<i64>) =
        (row.get("errand_trace")?, row.get("errand_sent")?);
    let optional = |column: &str| -> Result<Option<Vec<u8>>> { row.get(column) };
    let code = optional("code")?.map(|code| good(code.try_into().ok(), "code")).transpose()?;
    let approval = optional("approval")?.map(|code| good(code.try_into().ok(), "approval")).transpose()?;
    let words =
        optional("words")?.map(|bytes| good(postcard::from_bytes(&bytes).ok(), "words")).transpose()?;
    Ok(CardRow {
        payment: id_of(row, "payment")?,
        terminal: array(row, "terminal")?,
        // Rows from before merchants were kept name none.
        merchant: optional("merchant")?
            .map_or(Ok([b' '; 15]), |bytes| good(bytes.try_into().ok(), "merchant"))?,
        amount: Amount::from_tiyn(good(u64::try_from(amount).ok(), "amount")?),
        sealed_number: row.get("sealed_number")?,
        request: Name { trace: row.get("trace")?, sent: UtcTime(row.get("sent")?) },
        standing: word(row, "standing", &STANDINGS)?,
        code,
        approval,
        outcome: statement(row, "outcome")?,
        words,
        why: if why.is_some() { Some(word(row, "why", &WHYS)?) } else { None },
        errand: match (errand_trace, errand_sent) {
            (Some(trace), Some(sent)) => Some(Name { trace, sent: UtcTime(sent) }),
            (None, None) => None,
            _ => return bad("errand_trace"),
        },
        tries: row.get("tries")?,
        next: UtcTime(row.get("next")?),
    })
}

impl Acquiring for SqlStore {
    fn next_trace(&mut self) -> Result<u32> {
        self.run("UPDATE trace SET last = last + 1", vec![])?;
        self.last_trace()
    }

    fn last_trace(&self) -> Result<u32> {
        let last = self.one("SELECT last FROM trace", vec![], |row| row.get("last"))?;
        Ok(last.unwrap_or_default())
    }

    fn card(&self, payment: &PaymentId) -> Result<Option<CardRow>> {
        self.one("SELECT * FROM card WHERE payment = ?1", values![id_bytes(payment)], card_row)
    }

    fn card_by_trace(&self, trace: u32) -> Result<Option<CardRow>> {
        self.one("SELECT * FROM card WHERE trace = ?1 OR errand_trace = ?1", values![trace], card_row)
    }

    fn cards_named(&self, terminal: &[u8; 8], trace: u32) -> Result<Vec<CardRow>> {
        let sql = "SELECT * FROM card WHERE terminal = ?1 AND trace % 1000000 = ?2 ORDER BY trace";
        self.all(sql, values![terminal, trace], card_row)
    }

    fn put_card(&mut self, row: &CardRow) -> Result<()> {
        let amount = i64::try_from(row.amount.tiyn()).unwrap_or(i64::MAX);
        self.run(
            // A trace number that is there already under another payment is an error, never a replacement.
            "INSERT INTO card VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17) \
             ON CONFLICT (payment) DO UPDATE SET sealed_number = excluded.sealed_number, standing = excluded.standing, \
             code = excluded.code, approval = excluded.approval, why = excluded.why, \
             errand_trace = excluded.errand_trace, errand_sent = excluded.errand_sent, tries = excluded.tries, \
             next = excluded.next, outcome = excluded.outcome, words = excluded.words",
            values![
                id_bytes(&row.payment),
                row.terminal,
                amount,
                &row.sealed_number,
                row.request.trace,
                row.request.sent.0,
                word_of(row.standing, &STANDINGS),
                row.code,
                row.approval,
                row.why.map(|why| word_of(why, &WHYS)),
                row.errand.map(|name| name.trace),
                row.errand.map(|name| name.sent.0),
                row.tries,
                row.next.0,
                row.merchant,
                bytes_of(row.outcome.as_ref()),
                row.words.as_ref().map(|words| postcard::to_allocvec(words).expect("invariant: they encode")),
            ],
        )
    }

    fn cards_undecided(&self, before: UtcTime) -> Result<Vec<CardRow>> {
        self.all(
            "SELECT * FROM card WHERE standing = 'approved' AND sent <= ?1 ORDER BY sent, trace",
            values![before.0],
            card_row,
        )
    }

    fn each_card(&self, each: &mut dyn FnMut(CardRow)) -> Result<()> {
        self.all("SELECT * FROM card ORDER BY trace", vec![], card_row)?.into_iter().for_each(each);
        Ok(())
    }

    fn cards_due(&self, now: UtcTime, most: u32) -> Result<Vec<CardRow>> {
        self.all(
            "SELECT * FROM card WHERE standing IN ('sent', 'confirming', 'reversing') AND next <= ?1 \
             ORDER BY next, trace LIMIT ?2",
            values![now.0, most],
            card_row,
        )
    }
}
