//! The audit in three ways: ledger, journals, gateway.

use super::{At, open};
use anyhow::{Context as _, ensure};
use std::path::{Path, PathBuf};
use tolem_center::{
    export::{self, Known},
    gateway::{
        GatewayClient,
        words::{GetRegister, Owner, State, Token},
    },
    logic::{
        ledger,
        reports::threeway::{self, Counted, Registered},
    },
    pki::Pki,
    server::{soap, system_clock},
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
            Some(register(folder, bank, first)?)
        }
        (Some(_), None) => anyhow::bail!("--gateway-since: the configuration names no gateway"),
    };
    let number_of =
        |payment: &_| soap::transaction(payment).map(|token| token.to_string()).unwrap_or_default();
    let audit = threeway::audit(&store, &counts, register.as_deref(), &number_of)?;
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

/// The register of the bank from `first` to today, page by page.
fn register(folder: &Path, bank: &str, first: Date) -> anyhow::Result<Vec<Registered>> {
    let client = GatewayClient::open(folder)?;
    let name = Token::new(bank).with_context(|| format!("--bank {bank:?}: not a name"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut entries = Vec::new();
    let mut day = first;
    while day <= system_clock().date() {
        let mut skip = 0;
        loop {
            let request = GetRegister {
                message_id: Token::random(),
                owner: Owner::Bank,
                name: name.clone(),
                day,
                skip,
            };
            let page = runtime.block_on(client.get_register(&request))?;
            skip += page.entries.len() as u64;
            entries.extend(page.entries.into_iter().map(|entry| Registered {
                transaction: entry.transaction.to_string(),
                code: entry.code,
                fee: entry.amount,
                refunded: entry.state == State::Refunded,
            }));
            if !page.more {
                break;
            }
        }
        day = day.starts_at().plus_seconds(86_400).date();
    }
    Ok(entries)
}
