//! The command line of the gateway and of those who attach to it: portal (use case 6), service desk (use case 7), auditor.

use anyhow::{Context as _, anyhow, ensure};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use tolem_center::{
    gateway::{
        CallError, GatewayClient,
        audit::audit,
        config::{GATEWAY_FILE, GatewayConfig},
        server::{self, Faults, Observer, Options},
        setup::{self, GATEWAY_NAME},
        words::*,
    },
    pki::nca::Authority,
    server::system_clock,
    xmlsig::Trust,
};
use tolem_protocol::{Amount, Iin, PaymentCode, utc::Date};

/// Where a gateway's configuration is.
#[derive(Args)]
pub struct At {
    /// Configuration file of the gateway.
    #[arg(long, default_value = GATEWAY_FILE)]
    config: PathBuf,
}

impl At {
    fn read(&self) -> anyhow::Result<GatewayConfig> {
        Ok(GatewayConfig::read(&self.config)?)
    }
}

/// The gateway itself.
#[derive(Subcommand)]
pub enum Operate {
    /// Makes a gateway with an authority, keys, an empty database, a configuration, and one folder per participant.
    Init {
        /// Directory to make it in.
        directory: PathBuf,
        /// Host names and addresses that participants call the gateway by.
        #[arg(long = "name", default_values = ["localhost", "127.0.0.1"])]
        names: Vec<String>,
    },
    /// Serves participants until SIGINT or SIGTERM. Changed lists and participants are read by themselves.
    Serve {
        #[command(flatten)]
        at: At,
    },
    /// Signs the authority's revocation lists anew and hands them to the gateway and all participants.
    Crl {
        #[command(flatten)]
        at: At,
        /// Days that they are valid.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(i64).range(1..=366))]
        days: i64,
    },
    /// Revokes both certificates of a participant.
    Revoke {
        #[command(flatten)]
        at: At,
        /// Name of the participant.
        name: String,
    },
    /// Reads the record of all messages again: signatures, seals, chain. Fails if something does not fit.
    Audit {
        #[command(flatten)]
        at: At,
    },
}

/// Whose keys are used.
#[derive(Args)]
pub struct Folder {
    /// Folder of the participant, with its keys, what it trusts, and party.toml.
    #[arg(long)]
    party: PathBuf,
}

/// What a citizen shows and asks for.
#[derive(Args)]
pub struct Bearer {
    /// The payment code.
    code: String,
    /// IIN of the recipient.
    iin: String,
    /// Code of the service.
    service: String,
}

/// A portal.
#[derive(Subcommand)]
pub enum Portal {
    /// Asks whether a code is good and leaves it as it is.
    Check {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        bearer: Bearer,
        /// Number under which the service is asked for; a new one is made if it is left out.
        #[arg(long)]
        request: Option<String>,
    },
    /// Uses a code up and prints the number of the request. If the answer is lost: again, with --request and the same number.
    Redeem {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        bearer: Bearer,
        /// Number under which the service is asked for; a new one is made if it is left out.
        #[arg(long)]
        request: Option<String>,
    },
}

/// A desk of a service center.
#[derive(Subcommand)]
pub enum Desk {
    /// First step: is the code good, and whose is it? Compare the person with the document of identity.
    Validate {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        bearer: Bearer,
        /// Number under which the service is asked for; a new one is made if it is left out.
        #[arg(long)]
        request: Option<String>,
    },
    /// Second step, within an hour: uses the code up. If the answer is lost: again, with the same numbers.
    Close {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        bearer: Bearer,
        /// The number that the first step printed.
        #[arg(long)]
        request: String,
        /// Who has compared the identity; it is recorded.
        #[arg(long)]
        operator: String,
    },
}

/// An auditor, or a bank that reads its own register.
#[derive(Subcommand)]
pub enum Auditor {
    /// Payments of one day of a provider (BIN) or a bank (name), as CSV.
    Register {
        #[command(flatten)]
        folder: Folder,
        /// provider or bank.
        owner: String,
        /// BIN or name.
        name: String,
        /// The day, like 2026-11-22.
        day: String,
    },
    /// Payments by service, provider, bank, kiosk, method, day or hour, as CSV.
    Statistics {
        #[command(flatten)]
        folder: Folder,
        /// By what.
        by: String,
        /// First day.
        from: String,
        /// Last day.
        to: String,
    },
    /// What happened in a day, week or month, and what each bank owes.
    Summary {
        #[command(flatten)]
        folder: Folder,
        /// day, week or month.
        period: String,
        /// A day in it.
        day: String,
    },
}

/// Does what the operator of the gateway asks for.
pub fn operate(command: Operate) -> anyhow::Result<()> {
    match command {
        Operate::Init { directory, names } => {
            let config = setup::init(&directory, &names, system_clock())?;
            println!("made a gateway in {}; it will listen on {}", directory.display(), config.listen);
            println!("hand out to the participants:");
            for name in config.participants.keys() {
                println!("  {}", directory.join("parties").join(name).display());
            }
            Ok(())
        }
        Operate::Serve { at } => serve(at.read()?),
        Operate::Crl { at, days } => {
            let directory = at.read()?.directory;
            Authority::at(&directory.join("nca")).refresh(system_clock(), days)?;
            setup::publish(&directory)?;
            println!("the lists are valid for {days} days; a running gateway reads them by itself");
            Ok(())
        }
        Operate::Revoke { at, name } => {
            setup::revoke(&at.read()?.directory, &name, system_clock())?;
            println!("{name} is revoked; a running gateway reads the new list by itself");
            Ok(())
        }
        Operate::Audit { at } => {
            let config = at.read()?;
            let desk = server::open(&config, &Faults::default(), system_clock())?;
            let trust = Trust::read(&config.directory.join("identity"))?;
            let store = desk.store.lock().map_err(|_| anyhow!("the database was abandoned"))?;
            let audit = audit(&store, &trust, GATEWAY_NAME).map_err(|error| anyhow!(error))?;
            audit.findings.iter().for_each(|finding| println!("{finding}"));
            ensure!(audit.findings.is_empty(), "{} findings", audit.findings.len());
            println!(
                "{} records, every signature and seal is good ({} of signers revoked since)",
                audit.records, audit.since_revoked
            );
            Ok(())
        }
    }
}

fn serve(config: GatewayConfig) -> anyhow::Result<()> {
    let observer: Observer = std::sync::Arc::new(|line| eprintln!("{} {line}", system_clock().local()));
    let running = server::start(Options { config, observer: Some(observer), clock: system_clock })?;
    println!("serving on {}", running.addr);
    if let Some(addr) = running.crl_addr {
        println!("revocation lists on {addr}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { crate::Signals::listen() })?;
    loop {
        match runtime.block_on(signals.next()) {
            crate::Heard::Reload => {
                if let Err(error) = running.reload() {
                    eprintln!("reload refused, the old files stay in force: {error}");
                }
            }
            crate::Heard::Stop => return Ok(()),
            crate::Heard::Nothing => {
                ensure!(running.is_serving(), "the gateway has stopped; see the log above")
            }
        }
    }
}

/// One call, with what to do if it fails.
fn call<T>(work: impl Future<Output = Result<T, CallError>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work).map_err(|error| match &error {
        CallError::Refused(fault) => {
            let state = fault.state.map(|state| format!(" (the code is {state})")).unwrap_or_default();
            anyhow!("{error}{state}")
        }
        CallError::Unreachable(_) | CallError::NotTrusted(_) => {
            anyhow!("{error}; it may have acted: ask again with the same numbers")
        }
        CallError::CannotSign(_) => anyhow!("{error}"),
    })
}

fn token(name: &str, text: &str) -> anyhow::Result<Token> {
    Token::new(text).ok_or_else(|| anyhow!("{name} {text:?}: 1 to 64 letters, digits or -._: are needed"))
}

fn number_of_request(request: Option<String>) -> anyhow::Result<Token> {
    request.map_or_else(|| Ok(Token::random()), |text| token("--request", &text))
}

fn date(text: &str) -> anyhow::Result<Date> {
    Date::parse_iso(text).ok_or_else(|| anyhow!("{text:?} is not a day like 2026-11-22"))
}

impl Bearer {
    fn question(&self, request: Token, consume: bool) -> anyhow::Result<ValidateUpc> {
        let recipient = Iin::parse(&self.iin, system_clock().date());
        let service = self.service.as_str().try_into();
        Ok(ValidateUpc {
            message_id: Token::random(),
            request,
            code: PaymentCode::parse(&self.code)
                .context("the code is not sixteen digits with a check digit")?,
            recipient: recipient.map_err(|error| anyhow!("the IIN is wrong: {error}"))?,
            service: service.map_err(|_| anyhow!("the service code is longer than 24 characters"))?,
            consume,
        })
    }
}

/// Does what a portal asks for.
pub fn portal(command: Portal) -> anyhow::Result<()> {
    let (folder, bearer, request, consume) = match command {
        Portal::Check { folder, bearer, request } => (folder, bearer, request, false),
        Portal::Redeem { folder, bearer, request } => (folder, bearer, request, true),
    };
    let request = number_of_request(request)?;
    if consume {
        // Before the answer, so that it is known even if the answer is lost.
        println!("request {request}");
    }
    let question = bearer.question(request, consume)?;
    let client = GatewayClient::open(&folder.party)?;
    let answer = call(client.validate_upc(&question))?;
    println!("{} {} for {}", answer.state, money(answer.amount), answer.service);
    Ok(())
}

/// Does what a service desk asks for.
pub fn desk(command: Desk) -> anyhow::Result<()> {
    match command {
        Desk::Validate { folder, bearer, request } => {
            let request = number_of_request(request)?;
            let question = bearer.question(request.clone(), false)?;
            let answer = call(GatewayClient::open(&folder.party)?.validate_upc(&question))?;
            println!("request {request}");
            println!("{} {} for {}", answer.state, money(answer.amount), answer.service);
            let name = answer.recipient_name.as_ref().map_or("(the registry gives no name)", Line::as_str);
            println!("recipient {name}, IIN {}", bearer.iin);
            println!(
                "compare with the document of identity, then: desk close --request {request} --operator ..."
            );
            Ok(())
        }
        Desk::Close { folder, bearer, request, operator } => {
            let question = bearer.question(token("--request", &request)?, false)?;
            let operator = Line::new(&operator).context("--operator: 1 to 160 characters are needed")?;
            let order = CloseUpc {
                message_id: question.message_id,
                request: question.request,
                code: question.code,
                recipient: question.recipient,
                service: question.service,
                operator,
            };
            let answer = call(GatewayClient::open(&folder.party)?.close_upc(&order))?;
            let again = if answer.repeated { ", as it was before" } else { "" };
            println!("{} since {}{again}", answer.state, answer.closed_at.local());
            Ok(())
        }
    }
}

/// Does what an auditor asks for.
pub fn auditor(command: Auditor) -> anyhow::Result<()> {
    match command {
        Auditor::Register { folder, owner, name, day } => {
            let owner =
                Owner::of_word(&owner).with_context(|| format!("{owner:?}: provider or bank is needed"))?;
            register(&folder.party, owner, &token("name", &name)?, date(&day)?)
        }
        Auditor::Statistics { folder, by, from, to } => {
            let by = By::of_word(&by).with_context(|| {
                format!("{by:?}: service, provider, bank, kiosk, method, day or hour is needed")
            })?;
            let question =
                GetStatistics { message_id: Token::random(), by, from: date(&from)?, to: date(&to)? };
            let answer = call(GatewayClient::open(&folder.party)?.get_statistics(&question))?;
            println!("{by},count,tenge");
            for row in answer.rows {
                println!("{},{},{}", row.key, row.count, money(row.total));
            }
            Ok(())
        }
        Auditor::Summary { folder, period, day } => {
            let period = Period::of_word(&period)
                .with_context(|| format!("{period:?}: day, week or month is needed"))?;
            let question = GetSummary { message_id: Token::random(), period, day: date(&day)? };
            let sum = call(GatewayClient::open(&folder.party)?.get_summary(&question))?;
            println!("{} to {}", sum.from, sum.to);
            println!("issued {}  void {}  expired {}", sum.issued, sum.void, sum.expired);
            println!("paid {} {}", sum.paid, money(sum.paid_total));
            println!("used {} {}", sum.used, money(sum.used_total));
            println!("refunded {} {}", sum.refunded, money(sum.refunded_total));
            for claim in sum.claims {
                let (notified, refunded) = (claim.notified_total, claim.refunded_total);
                println!(
                    "claim on {}: {} notices, {} less {} refunded",
                    claim.bank,
                    claim.notified,
                    money(notified),
                    money(refunded)
                );
            }
            Ok(())
        }
    }
}

fn register(party: &Path, owner: Owner, name: &Token, day: Date) -> anyhow::Result<()> {
    let client = GatewayClient::open(party)?;
    println!("code,bank,transaction,kiosk,service,tenge,method,arrived,state");
    let mut skip = 0;
    loop {
        let (message_id, name, last_day) = (Token::random(), name.clone(), None);
        let question = GetRegister { message_id, owner, name, day, skip, last_day };
        let page = call(client.get_register(&question))?;
        for row in &page.entries {
            println!(
                "{:#},{},{},{},{},{},{},{},{}",
                row.code,
                row.bank,
                row.transaction,
                row.kiosk,
                row.service,
                money(row.amount),
                row.method,
                row.arrived_at.local(),
                row.state
            );
        }
        skip += page.entries.len() as u64;
        if !page.more || page.entries.is_empty() {
            println!("total,,,,,{},,,{}", money(page.total), page.count);
            return Ok(());
        }
    }
}

/// Tenge with two places, for files.
fn money(amount: Amount) -> String {
    format!("{}.{:02}", amount.tiyn() / 100, amount.tiyn() % 100)
}
