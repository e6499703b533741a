//! The audit in three ways: ledger, journals, gateway.

use super::{At, open, register};
use anyhow::{Context as _, ensure};
use std::path::{Path, PathBuf};
use tolem_center::{
    export::{self, Known},
    gateway::words::State,
    logic::{
        ledger,
        register::transaction_number,
        reports::threeway::{self, Counted, Registered},
    },
    pki::Pki,
};
use tolem_protocol::utc::Date;

pub fn audit(at: &At, journals: &[PathBuf], since: Option<&str>, bank: &str) -> anyhow::Result<()> {
    let (config, store) = open(at)?;
    for (account, tiyn) in ledger::totals(&store)? {
        println!(
            "{account}  {}{}.{:02}",
            if tiyn < 0 { "-" } else { "" },
            tiyn.abs() / 100,
            tiyn.abs() % 100
        );
    }
    let keys = Pki::at(&config.directory).keys()?;
    let mut counts: Vec<Counted> = Vec::new();
    for directory in journals {
        let kiosk = export::whose(directory)?;
        let known = Known::of(&store, kiosk)?.with_context(|| format!("kiosk {kiosk} is not registered"))?;
        ensure!(counts.iter().all(|count| count.kiosk != kiosk), "kiosk {kiosk} is named twice");
        let mut count = Counted::new(kiosk);
        export::read_each(directory, kiosk, &known, &keys, &mut |record| count.record(record))?;
        counts.push(count);
    }
    let register = match (since, &config.gateway) {
        (None, _) => None,
        (Some(day), Some(folder)) => {
            let first = Date::parse_iso(day)
                .with_context(|| format!("--gateway-since {day:?}: a day looks like 2026-11-25"))?;
            Some(registered(folder, bank, first)?)
        }
        (Some(_), None) => anyhow::bail!("--gateway-since: the configuration names no gateway"),
    };
    let audit = threeway::audit(&store, &counts, register.as_deref(), &transaction_number)?;
    for line in &audit.under_way {
        println!("under way: {line}");
    }
    for finding in &audit.findings {
        println!("{finding}");
    }
    ensure!(audit.findings.is_empty(), "{} findings", audit.findings.len());
    let with = match (counts.len(), &register) {
        (0, None) => String::new(),
        (0, Some(_)) => " here and at the gateway".into(),
        (many, None) => format!(" here and in {many} journals"),
        (many, Some(_)) => format!(" here, in {many} journals and at the gateway"),
    };
    println!("every tiyn is accounted for{with}");
    Ok(())
}

/// The register of the bank from `first` to today.
fn registered(folder: &Path, bank: &str, first: Date) -> anyhow::Result<Vec<Registered>> {
    let entries = register::read(folder, bank, first)?.into_iter().map(|entry| Registered {
        transaction: entry.transaction.to_string(),
        code: entry.code,
        fee: entry.amount,
        refunded: entry.state == State::Refunded,
    });
    Ok(entries.collect())
}
