//! What journals and ledger say about the money, read the way any auditor would: from their files, while they are in use.

use crate::store::Reader;
use std::{path::PathBuf, sync::Arc};
use tolem_center::{
    logic::{ledger::Account, store::Store as _},
    server::Running,
};
use tolem_hal_sim::bench::{Books, Sums};
use tolem_protocol::{
    KioskNumber,
    record::{Fact, Record},
};

/// Tiyn in a tenge.
const TIYN: i64 = 100;

/// The books of all kiosks of the demo.
pub(super) struct Ledgers {
    pub center: Arc<Running>,
    /// Number and journal of each kiosk, in the order of the tabs.
    pub journals: Vec<(KioskNumber, PathBuf)>,
}

impl Books for Ledgers {
    fn read(&self, kiosk: usize) -> Result<Sums, String> {
        let (number, journal) = self.journals.get(kiosk).ok_or("there is no such kiosk")?;
        let mut sums = Sums::default();
        let mut unreadable = None;
        Reader::open(journal)
            .and_then(|reader| {
                reader.records(0, &mut |seq, bytes| {
                    sums.records = seq + 1;
                    match Record::from_bytes(bytes) {
                        Ok(record) => add(&mut sums, &record.fact),
                        Err(error) => unreadable = Some(format!("record {seq}: {error:?}")),
                    }
                    unreadable.is_none()
                })
            })
            .map_err(|error| error.to_string())?;
        if let Some(error) = unreadable {
            return Err(format!("{}: {error}", journal.display()));
        }
        sums.center = self.center_sum(*number)? / TIYN;
        Ok(sums)
    }
}

fn add(sums: &mut Sums, fact: &Fact) {
    match fact {
        Fact::NoteStacked { denomination, .. } => sums.journal += u64::from(denomination.0),
        Fact::NoteInDoubt { denomination, .. } => sums.in_doubt += u64::from(denomination.0),
        // Everything else moves no banknote.
        _ => {}
    }
}

impl Ledgers {
    fn center_sum(&self, kiosk: KioskNumber) -> Result<i64, String> {
        let sum = self.center.operate(move |store, _| {
            let mut sum = 0;
            let account = Account::KioskCash(kiosk);
            store
                .each_posting(&mut |posting| {
                    sum += posting
                        .lines
                        .iter()
                        .filter(|(named, _)| *named == account)
                        .map(|(_, tiyn)| tiyn)
                        .sum::<i64>();
                })
                .map(|()| sum)
        });
        sum.ok_or("the center is closed")?.map_err(|error| format!("the center's ledger: {error}"))
    }
}
