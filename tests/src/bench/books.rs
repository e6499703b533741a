//! The books of a bench: what the cassettes, the journals and the center's ledger say of the same money.

use super::{
    PATIENCE,
    program::{Demo, run, tolem, tolem_center},
};
use rusqlite::Connection;
use serde_json::Value;
use std::{path::PathBuf, time::Instant};

impl Demo {
    /// The configuration of one of its kiosks, from 0.
    pub fn kiosk_config(&self, index: usize) -> PathBuf {
        self.directory().join(format!("kiosk-{}", index + 1)).join("kiosk.toml")
    }

    /// The configuration of the center.
    pub fn center_config(&self) -> PathBuf {
        self.directory().join("center").join(tolem_center::setup::CONFIG_FILE)
    }

    /// All records of a kiosk's journal as `tolem journal show --json` tells them, oldest first.
    pub fn journal(&self, index: usize) -> Vec<Value> {
        let text =
            run(&tolem(), &[&"journal", &"show", &"--json", &"--config", &self.kiosk_config(index)]).good();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// Waits until every stacking order of the kiosk has an outcome and every deposit a final answer.
    ///
    /// # Panics
    /// If that does not happen.
    pub fn until_settled(&self, index: usize) {
        let kiosk = self.terminal(index);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let open = unsettled(&self.journal(index));
            if open.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "never settled: {open:?}\n{}", kiosk.report());
            kiosk.wait_for_anything();
        }
    }

    /// Demands that all is settled, that all journals verify, and that cassettes, journals and ledger agree to the tenge;
    /// returns the sum.
    ///
    /// # Panics
    /// If they do not.
    pub fn check_books(&self) -> u64 {
        let mut total = 0;
        for index in 0..self.kiosks() {
            self.until_settled(index);
            let config = self.kiosk_config(index);
            run(&tolem(), &[&"journal", &"verify", &"--config", &config]).good();
            let cassette = self.terminal(index).cassette_tenge();
            let journal = counted(&self.journal(index));
            assert_eq!(
                journal,
                cassette,
                "journal and cassette of kiosk {}: {:#?}",
                index + 1,
                self.journal(index)
            );
            let ledger = run(&tolem_center(), &[&"audit", &"--config", &self.center_config()]).good();
            let account = format!("cash:{:05} ", index + 1);
            let booked: u64 = ledger.lines().filter(|line| line.starts_with(&account)).map(whole_tenge).sum();
            assert_eq!(booked, cassette, "ledger and cassette of kiosk {}:\n{ledger}", index + 1);
            total += cassette;
        }
        total
    }

    /// Changes one byte of the record of the first stacked note, as somebody with a disk editor would, and names it.
    ///
    /// # Panics
    /// If there is no such record, or the bench runs.
    pub fn edit_journal(&self, index: usize) -> u64 {
        let journal = self.journal(index);
        let record =
            journal.iter().find(|record| record["fact"] == "NoteStacked").map(|record| &record["seq"]);
        let record = record.and_then(Value::as_u64).expect("a note was stacked");
        let path = self.directory().join(format!("kiosk-{}", index + 1)).join("journal.db");
        let database = Connection::open(path).expect("the journal is a SQLite database");
        let read = "SELECT bytes FROM entry WHERE seq = ?1";
        let mut bytes: Vec<u8> =
            database.query_row(read, [record], |row| row.get(0)).expect("the record is there");
        *bytes.last_mut().expect("a record has bytes") ^= 1;
        let write = "UPDATE entry SET bytes = ?2 WHERE seq = ?1";
        assert_eq!(database.execute(write, (record, bytes)).expect("the file can be written"), 1);
        record
    }
}

/// `cash:00001  4500.00`, in tenge; notes have no tiyn.
pub(crate) fn whole_tenge(line: &str) -> u64 {
    let sum = line.split_whitespace().last().unwrap_or_default();
    sum.trim_end_matches(".00").parse().unwrap_or_else(|e| panic!("{line:?}: {e}"))
}

/// What the journal says lies in the cassette, in tenge.
pub(crate) fn counted(journal: &[Value]) -> u64 {
    let stacked = journal.iter().filter(|record| ["NoteStacked", "NoteInDoubt"].contains(&fact(record)));
    stacked.map(|record| digits(&record["value"])).sum()
}

/// The name of a record's fact.
pub(crate) fn fact(record: &Value) -> &str {
    record["fact"].as_str().unwrap_or_default()
}

/// `2 000 ₸` as a number.
fn digits(value: &Value) -> u64 {
    let digits: String = value.as_str().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|e| panic!("{value}: {e}"))
}

/// What waits for an outcome: notes that were ordered, deposits that were sent.
pub(crate) fn unsettled(journal: &[Value]) -> Vec<String> {
    let mut open = Vec::new();
    for record in journal {
        let note = format!("note {}", record["note"]);
        let payment = format!("payment {}", record["payment"]);
        match fact(record) {
            "StackOrdered" => open.push(note),
            "NoteStacked" | "NoteReturned" | "NoteInDoubt" => open.retain(|other| *other != note),
            "CommitRequested" | "HoldRequested" => open.push(payment),
            "Settled" => open.retain(|other| *other != payment),
            _ => {}
        }
    }
    open
}
