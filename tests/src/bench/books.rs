//! The books of a bench: what the cassettes, the journals and the center's ledger say of the same money.

use super::{
    PATIENCE,
    program::{AsArgument, Demo, Ended, run, tolem, tolem_center},
};
use crate::secrets::SearchedFolder;
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
        self.check_three_ways();
        total
    }

    /// Demands that journals, ledger and gateway agree payment by payment, and that the gateway's record is whole.
    fn check_three_ways(&self) {
        let exports = SearchedFolder::new("tolem-exports-");
        let journal: Vec<PathBuf> =
            (0..self.kiosks()).map(|index| exports.path().join(format!("{}", index + 1))).collect();
        for (index, export) in journal.iter().enumerate() {
            run(&tolem(), &[&"journal", &"export", export, &"--config", &self.kiosk_config(index)]).good();
        }
        // A test may begin before midnight.
        let (year, month, day) = tolem_center::server::system_clock().plus_seconds(-86_400).date().calendar();
        let yesterday = format!("{year:04}-{month:02}-{day:02}");
        let mut asked: Vec<&dyn AsArgument> = vec![&"audit", &"--gateway-since", &yesterday];
        let config = self.center_config();
        asked.extend([&"--config" as &dyn AsArgument, &config]);
        for export in &journal {
            asked.extend([&"--journal" as &dyn AsArgument, export]);
        }
        run(&tolem_center(), &asked).good();
        run(&tolem_center(), &[&"gateway", &"audit", &"--config", &self.gateway().join("gateway.toml")])
            .good();
    }

    /// The directory of the gateway.
    pub fn gateway(&self) -> PathBuf {
        self.directory().join("gateway")
    }

    /// Asks the gateway as its participant `party` (`portal`, `desk`): `tolem-center PARTY WORDS`.
    pub fn at_gateway(&self, party: &str, words: &[&str]) -> Ended {
        let folder = match party {
            "desk" => "service-center",
            other => other,
        };
        let folder = self.gateway().join("parties").join(folder);
        let mut asked: Vec<&dyn AsArgument> = vec![&party, &words[0], &"--party", &folder];
        asked.extend(words[1..].iter().map(|word| word as &dyn AsArgument));
        run(&tolem_center(), &asked)
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
            "CommitRequested" | "HoldRequested" | "AccountLearned" => open.push(payment),
            "Settled" => open.retain(|other| *other != payment),
            _ => {}
        }
    }
    open
}
