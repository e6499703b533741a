//! The rebuilding in SQL.

use super::{SqlStore, number_value, value::values};
use crate::logic::{
    rebuild::{Rebuilding, Standing},
    store::Result,
};
use tolem_protocol::{KioskNumber, UtcTime};

/// Tables of schema version 4.
pub(super) const TABLES: &str = "
ALTER TABLE center ADD COLUMN rebuilding_since INTEGER;
ALTER TABLE center ADD COLUMN recalled INTEGER NOT NULL DEFAULT 0;
CREATE TABLE heard (kiosk INTEGER PRIMARY KEY, center_epoch INTEGER NOT NULL) STRICT;
";

impl Standing for SqlStore {
    fn rebuilding(&self) -> Result<Option<Rebuilding>> {
        let sql = "SELECT rebuilding_since, recalled, register_due FROM center";
        let row = self.one(sql, vec![], |row| {
            let (since, recalled): (Option<i64>, i64) = (row.get("rebuilding_since")?, row.get("recalled")?);
            let register_due = row.get("register_due")?;
            Ok(since.map(|since| Rebuilding {
                since: UtcTime(since),
                recalled: recalled.cast_unsigned(),
                register_due,
            }))
        })?;
        Ok(row.flatten())
    }

    fn set_rebuilding(&mut self, state: Option<Rebuilding>) -> Result<()> {
        self.run(
            "UPDATE center SET rebuilding_since = ?1, recalled = ?2, register_due = ?3",
            values![
                state.map(|state| state.since.0),
                number_value(state.map_or(0, |state| state.recalled)),
                state.is_some_and(|state| state.register_due)
            ],
        )
    }

    fn heard(&self, kiosk: KioskNumber) -> Result<Option<u32>> {
        self.one("SELECT center_epoch FROM heard WHERE kiosk = ?1", values![kiosk.get()], |row| {
            row.get("center_epoch")
        })
    }

    fn put_heard(&mut self, kiosk: KioskNumber, center_epoch: u32) -> Result<()> {
        self.put("heard", &["kiosk"], &["center_epoch"], values![kiosk.get(), center_epoch])
    }
}
