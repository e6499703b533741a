//! The gateway's register: read in pages, compared with the books after a restore.

use super::{
    At,
    office::{self, Signer},
    open,
};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use std::path::Path;
use tolem_center::{
    gateway::{
        GatewayClient,
        words::{Entry, GetRegister, Method, Owner, State, Token},
    },
    logic::{
        office::Action,
        rebuild::Standing as _,
        register::{Listed, first_day, transaction_number},
        store::Store as _,
    },
    server::system_clock,
};
use tolem_protocol::{PaymentId, utc::Date};

#[derive(Subcommand)]
pub enum RegisterCommand {
    /// Compares the gateway's register with the books of a restored center, and asks for what is missing to be taken over.
    Compare {
        #[command(flatten)]
        at: At,
        /// From this day on; if it is left out, from the day before the newest booking that was restored.
        #[arg(long, value_name = "DAY")]
        since: Option<String>,
        /// This bank, as the gateway calls it.
        #[arg(long, default_value = "bank")]
        bank: String,
        #[command(flatten)]
        signer: Signer,
    },
    /// Asks for a restored center to go on without the register, because the gateway is gone for good.
    Leave {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        signer: Signer,
    },
}

/// Most days that the gateway gives at once.
const AT_ONCE: i64 = 366;
const DAY_S: i64 = 86_400;

/// The register of a bank for the days from `first` to today, page by page.
pub fn read(folder: &Path, bank: &str, first: Date) -> anyhow::Result<Vec<Entry>> {
    let client = GatewayClient::open(folder)?;
    let name = Token::new(bank).with_context(|| format!("--bank {bank:?}: not a name"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut entries, mut day, today) = (Vec::new(), first, system_clock().date());
    while day <= today {
        let last = day.starts_at().plus_seconds((AT_ONCE - 1) * DAY_S).date().min(today);
        let mut skip = 0;
        loop {
            let request = GetRegister {
                message_id: Token::random(),
                owner: Owner::Bank,
                name: name.clone(),
                day,
                skip,
                last_day: Some(last),
            };
            let page = runtime.block_on(client.get_register(&request))?;
            skip += page.entries.len() as u64;
            let more = page.more && !page.entries.is_empty();
            entries.extend(page.entries);
            if !more {
                break;
            }
        }
        day = last.starts_at().plus_seconds(DAY_S).date();
    }
    Ok(entries)
}

pub fn register(command: RegisterCommand) -> anyhow::Result<()> {
    match command {
        RegisterCommand::Compare { at, since, bank, signer } => {
            compare(&at, since.as_deref(), &bank, &signer)
        }
        RegisterCommand::Leave { at, signer } => office::ask(&at, &signer, &Action::LeaveRegister),
    }
}

fn parse_day(day: &str) -> anyhow::Result<Date> {
    Date::parse_iso(day).with_context(|| format!("--since {day:?}: a day looks like 2026-11-25"))
}

fn listed(entry: Entry) -> Listed {
    Listed {
        transaction: entry.transaction.to_string(),
        code: entry.code,
        service: entry.service,
        fee: entry.amount,
        by_card: entry.method == Method::Card,
        arrived_at: entry.arrived_at,
        refunded: entry.state == State::Refunded,
    }
}

/// What the gateway's register has of one payment as paid, whose notice arrived there on `since` or later, or else on `quoted` or later, the day
/// of its quote; `None` without a gateway elsewhere. Says what was read.
pub fn listed_as_paid(
    at: &At,
    bank: &str,
    (since, quoted): (Option<&str>, Option<Date>),
    payment: &PaymentId,
) -> anyhow::Result<Option<Listed>> {
    let Some(folder) = open(at)?.0.gateway else {
        println!("the gateway's register was not read: the configuration names no gateway elsewhere");
        return Ok(None);
    };
    let first = match (since.map(parse_day).transpose()?, quoted) {
        (Some(day), _) | (None, Some(day)) => day,
        (None, None) => bail!(
            "the day on which payment {payment} was quoted is not known here: say from which day on the gateway's register is to be read \
             with --since 2026-11-25"
        ),
    };
    let number = transaction_number(payment);
    let entries = read(&folder, bank, first)?;
    let found = entries.into_iter().map(listed).find(|listed| listed.transaction == number);
    let was = if found.is_some() { "was" } else { "was not" };
    println!("payment {number} {was} found in the gateway's register since {first:?}");
    Ok(found)
}

fn compare(at: &At, since: Option<&str>, bank: &str, signer: &Signer) -> anyhow::Result<()> {
    let (config, store) = open(at)?;
    let Some(folder) = &config.gateway else {
        bail!("the configuration names no gateway: the register is in this database, and was lost with it");
    };
    let first = match since {
        Some(day) => parse_day(day)?,
        None => match first_day(&store)? {
            Some(day) => day,
            None => bail!("nothing is booked here: say from which day on with --since 2026-11-25"),
        },
    };
    let rebuilding = store.rebuilding()?;
    drop(store);
    let listed: Vec<Listed> = read(folder, bank, first)?.into_iter().map(listed).collect();
    println!("the gateway's register has {} payments since {first:?}", listed.len());
    let (center, store) = office::center(at)?;
    let mut compared = center.compare_register(&store, &listed)?;
    compared.since = Some(first);
    if rebuilding.is_none() {
        println!("the center is open: this is not part of a rebuilding");
        if compared.agrees() {
            println!("{compared}: nothing is to be done");
            return Ok(());
        }
    }
    let told = store.kiosks()?.len() - tolem_center::logic::rebuild::missing(&store)?.len();
    if rebuilding.is_some() && told < store.kiosks()?.len() {
        println!("not all kiosks have told yet: what they still tell takes the place of what is taken over");
    }
    drop(store);
    office::ask(at, signer, &Action::TakeRegister(compared))
}
