//! Invitations and certificates, in SQL.

use super::{SqlStore, array, good, value::values};
use crate::logic::{
    enrolment::{CertificateRow, Enrolment, InviteRow},
    store::Result,
};
use tolem_protocol::{KioskNumber, UtcTime};

/// Tables of schema version 7.
pub(super) const TABLES: &str = "
CREATE TABLE invite (
  kiosk INTEGER PRIMARY KEY, code BLOB NOT NULL, by TEXT NOT NULL, until INTEGER NOT NULL, used_for BLOB
) STRICT;
CREATE TABLE certificate (
  kiosk INTEGER PRIMARY KEY, key BLOB NOT NULL, former BLOB, certificate BLOB NOT NULL, good_until INTEGER NOT NULL,
  seen INTEGER NOT NULL
) STRICT;
";

impl Enrolment for SqlStore {
    fn invite(&self, kiosk: KioskNumber) -> Result<Option<InviteRow>> {
        self.one("SELECT * FROM invite WHERE kiosk = ?1", values![kiosk.get()], |row| {
            let used_for: Option<Vec<u8>> = row.get("used_for")?;
            Ok(InviteRow {
                kiosk,
                code: array(row, "code")?,
                by: row.get("by")?,
                until: UtcTime(row.get("until")?),
                used_for: used_for.map(|key| good(key.try_into().ok(), "used_for")).transpose()?,
            })
        })
    }

    fn put_invite(&mut self, row: &InviteRow) -> Result<()> {
        self.put(
            "invite",
            &["kiosk"],
            &["code", "by", "until", "used_for"],
            values![row.kiosk.get(), row.code, &row.by, row.until.0, row.used_for],
        )
    }

    fn certificate(&self, kiosk: KioskNumber) -> Result<Option<CertificateRow>> {
        self.one("SELECT * FROM certificate WHERE kiosk = ?1", values![kiosk.get()], |row| {
            let former: Option<Vec<u8>> = row.get("former")?;
            Ok(CertificateRow {
                kiosk,
                key: array(row, "key")?,
                former: former.map(|key| good(key.try_into().ok(), "former")).transpose()?,
                certificate: row.get("certificate")?,
                good_until: UtcTime(row.get("good_until")?),
                seen: UtcTime(row.get("seen")?),
            })
        })
    }

    fn put_certificate(&mut self, row: &CertificateRow) -> Result<()> {
        self.put(
            "certificate",
            &["kiosk"],
            &["key", "former", "certificate", "good_until", "seen"],
            values![row.kiosk.get(), row.key, row.former, &row.certificate, row.good_until.0, row.seen.0],
        )
    }
}
