//! When kiosks were there, in SQLite.

use super::{SqliteStore, array};
use crate::logic::{
    presence::{Presence, Slots},
    store::Result,
};
use rusqlite::params;
use tolem_protocol::KioskNumber;

/// Tables of schema version 5.
pub(super) const TABLES: &str = "
CREATE TABLE presence (
  kiosk INTEGER NOT NULL, day INTEGER NOT NULL, slots BLOB NOT NULL, PRIMARY KEY (kiosk, day)
) STRICT, WITHOUT ROWID;
";

impl Presence for SqliteStore {
    fn slots(&self, kiosk: KioskNumber, day: i64) -> Result<Option<Slots>> {
        let sql = "SELECT slots FROM presence WHERE kiosk = ?1 AND day = ?2";
        self.one(sql, params![kiosk.get(), day], |row| array(row, "slots"))
    }

    fn put_slots(&mut self, kiosk: KioskNumber, day: i64, slots: &Slots) -> Result<()> {
        self.run("INSERT OR REPLACE INTO presence VALUES (?1, ?2, ?3)", params![kiosk.get(), day, slots])
    }
}
