//! When kiosks were there, in SQL.

use super::{SqlStore, array, value::values};
use crate::logic::{
    presence::{Presence, Slots},
    store::Result,
};
use tolem_protocol::KioskNumber;

/// Tables of schema version 5.
pub(super) const TABLES: &str = "
CREATE TABLE presence (
  kiosk INTEGER NOT NULL, day INTEGER NOT NULL, slots BLOB NOT NULL, PRIMARY KEY (kiosk, day)
) STRICT, WITHOUT ROWID;
";

impl Presence for SqlStore {
    fn slots(&self, kiosk: KioskNumber, day: i64) -> Result<Option<Slots>> {
        let sql = "SELECT slots FROM presence WHERE kiosk = ?1 AND day = ?2";
        self.one(sql, values![kiosk.get(), day], |row| array(row, "slots"))
    }

    fn put_slots(&mut self, kiosk: KioskNumber, day: i64, slots: &Slots) -> Result<()> {
        self.put("presence", &["kiosk", "day"], &["slots"], values![kiosk.get(), day, slots])
    }
}
