//! The rebuilding in SQLite.

use super::{SqliteStore, number_value};
use crate::logic::{
    rebuild::{Rebuilding, Standing},
    store::Result,
};
use rusqlite::params;
use tolem_protocol::{KioskNumber, UtcTime};

/// Tables of schema version 4.
pub(super) const TABLES: &str = "
ALTER TABLE center ADD COLUMN rebuilding_since INTEGER;
ALTER TABLE center ADD COLUMN recalled INTEGER NOT NULL DEFAULT 0;
CREATE TABLE heard (kiosk INTEGER PRIMARY KEY, center_epoch INTEGER NOT NULL) STRICT;
";

impl Standing for SqliteStore {
    fn rebuilding(&self) -> Result<Option<Rebuilding>> {
        let row = self.one("SELECT rebuilding_since, recalled FROM center", [], |row| {
            let (since, recalled): (Option<i64>, i64) = (row.get(0)?, row.get(1)?);
            Ok(since.map(|since| Rebuilding { since: UtcTime(since), recalled: recalled.cast_unsigned() }))
        })?;
        Ok(row.flatten())
    }

    fn set_rebuilding(&mut self, state: Option<Rebuilding>) -> Result<()> {
        self.run(
            "UPDATE center SET rebuilding_since = ?1, recalled = ?2",
            params![state.map(|state| state.since.0), number_value(state.map_or(0, |state| state.recalled))],
        )
    }

    fn heard(&self, kiosk: KioskNumber) -> Result<Option<u32>> {
        self.one("SELECT center_epoch FROM heard WHERE kiosk = ?1", [kiosk.get()], |row| row.get(0))
    }

    fn put_heard(&mut self, kiosk: KioskNumber, center_epoch: u32) -> Result<()> {
        self.run("INSERT OR REPLACE INTO heard VALUES (?1, ?2)", params![kiosk.get(), center_epoch])
    }
}
