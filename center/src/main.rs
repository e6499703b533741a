//! The command line of the center.

mod attach;
mod cli;

use anyhow::{Context as _, anyhow, ensure};
use clap::{Args, Parser, Subcommand};
use cli::{
    At, audit,
    cards::{self, CardCommand},
    disputes::{self, DisputeCommand},
    office::{self, OperatorCommand, RequestCommand, Signer},
    open,
    register::{self, RegisterCommand},
    reports::{self, ReportCommand},
};
use data_encoding::BASE64;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tolem_center::{
    config::Config,
    logic::{
        Keys as _, gateway, ledger, operator,
        operator::Found,
        rebuild,
        store::{BalanceState, Store, Transact},
    },
    pki::{self, Pki},
    server::{self, Options, Seen, system_clock},
    setup,
    sql::{Address, moving},
};
use tolem_protocol::{BalanceNumber, Iin, KioskNumber, PaymentCode};

#[derive(Parser)]
#[command(name = "tolem-center", version, about = "Reference processing center of Tolem kiosks")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes certificates, keys, an empty database and a configuration.
    Init {
        /// Directory to make it in.
        directory: PathBuf,
        /// Host names and addresses that kiosks call the center by.
        #[arg(long = "name", default_values = ["localhost", "127.0.0.1"])]
        names: Vec<String>,
        /// Keeps the rows in this PostgreSQL database, which must be there and empty: "host=/run/postgresql user=tolem dbname=tolem".
        #[arg(long)]
        postgres: Option<String>,
        /// Authority of the database's certificate (PEM); needed for what is no Unix socket.
        #[arg(long, requires = "postgres")]
        postgres_ca: Option<PathBuf>,
    },
    /// Shows what a kiosk must know of this center: the keys of section `[center]` of its configuration.
    Keys {
        #[command(flatten)]
        at: At,
    },
    /// Serves kiosks until SIGINT or SIGTERM; SIGHUP reads changed files.
    Serve {
        #[command(flatten)]
        at: At,
    },
    /// Registers a kiosk and issues its certificate.
    Enroll {
        #[command(flatten)]
        at: At,
        /// Number of the kiosk, 1 to 99999.
        #[arg(long)]
        kiosk: u32,
        /// Ed25519 public key of its journal, base64.
        #[arg(long)]
        journal_key: String,
        /// Certificate request of the kiosk (PEM); without it a key is made here.
        #[arg(long)]
        csr: Option<PathBuf>,
    },
    /// People who decide about money.
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// What somebody asked for and somebody else must approve.
    #[command(subcommand)]
    Request(RequestCommand),
    /// Reports for people and their tools.
    #[command(subcommand)]
    Report(ReportCommand),
    /// Shows what was done at the office, and by whom.
    Deeds {
        #[command(flatten)]
        at: At,
    },
    /// Claim slips.
    #[command(subcommand)]
    Claim(ClaimCommand),
    /// Journals of kiosks that cannot send them any more.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// The gateway's register, after a restore.
    #[command(subcommand)]
    Register(RegisterCommand),
    /// Held balances.
    #[command(subcommand)]
    Balance(BalanceCommand),
    /// Complaints of payers, and money that the acquirer of cards takes back.
    #[command(subcommand)]
    Dispute(DisputeCommand),
    /// Card payments, and how they stand with the acquirer.
    #[command(subcommand)]
    Card(CardCommand),
    /// Registered kiosks.
    #[command(subcommand)]
    Kiosk(KioskCommand),
    /// The revocation list.
    #[command(subcommand)]
    Crl(CrlCommand),
    /// Compares the ledger with all payments and balances, with journals of kiosks, and with the gateway's register; fails if a
    /// tiyn is unaccounted for.
    Audit {
        #[command(flatten)]
        at: At,
        /// Directories that `tolem journal export` made.
        #[arg(long = "journal", value_name = "EXPORT")]
        journals: Vec<PathBuf>,
        /// Also ask the gateway that the configuration names, for the days from this one on, like 2026-11-25.
        #[arg(long, value_name = "DAY")]
        gateway_since: Option<String>,
        /// This bank, as the gateway calls it.
        #[arg(long, default_value = "bank")]
        bank: String,
    },
    /// Shows what an operator must look at.
    Alarms {
        #[command(flatten)]
        at: At,
        /// With the evidence that was kept: text as it came, other bytes in base64.
        #[arg(long)]
        evidence: bool,
    },
    /// Copies the database of a running center to a new file.
    Backup {
        #[command(flatten)]
        at: At,
        /// The file.
        file: PathBuf,
    },
    /// Where the rows are.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Begins a new life after the database was restored from a backup: it listens to all kiosks before it sells.
    Restored {
        #[command(flatten)]
        at: At,
    },
    /// Shows which kiosks a restored center still waits for.
    Rebuild {
        #[command(flatten)]
        at: At,
    },
    /// Asks for a restored center to be opened although kiosks are missing.
    Open {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        signer: Signer,
    },
    /// The reference gateway.
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Redeems codes at a gateway as a portal does (use case 6).
    #[command(subcommand)]
    Portal(attach::Portal),
    /// Redeems codes at a gateway as a service center does, in two steps (use case 7).
    #[command(subcommand)]
    Desk(attach::Desk),
    /// Reads registers, statistics and summaries of a gateway.
    #[command(subcommand)]
    Auditor(attach::Auditor),
}

#[derive(Subcommand)]
enum ClaimCommand {
    /// Asks for the deposit in the QR text of a claim slip to be settled; shows the answer of one that was settled before.
    Import {
        #[command(flatten)]
        at: At,
        /// File with the text, or - for standard input.
        file: PathBuf,
        #[command(flatten)]
        signer: Signer,
    },
}

#[derive(Subcommand)]
enum JournalCommand {
    /// Verifies the export of a dead or revoked kiosk's journal and asks for what is open in it to be settled.
    Import {
        #[command(flatten)]
        at: At,
        /// The directory that `tolem journal export` made.
        export: PathBuf,
        #[command(flatten)]
        signer: Signer,
    },
}

#[derive(Subcommand)]
enum BalanceCommand {
    /// Lists all balances.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Asks for a suspense to be settled after the cassette was counted.
    Resolve {
        #[command(flatten)]
        at: At,
        /// Number of the balance.
        number: String,
        /// Whether the money was found: yes or no.
        #[arg(long, value_parser = ["yes", "no"])]
        found: String,
        #[command(flatten)]
        signer: Signer,
    },
    /// Asks for a balance to be paid back to its owner.
    Refund {
        #[command(flatten)]
        at: At,
        /// Number of the balance.
        number: String,
        #[command(flatten)]
        signer: Signer,
    },
}

#[derive(Subcommand)]
enum KioskCommand {
    /// Lists all kiosks.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Gives a code with which a terminal enrols once (`tolem enroll`).
    Invite {
        #[command(flatten)]
        at: At,
        /// Number of the kiosk.
        kiosk: u32,
        /// The code is good for so many hours.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(i64).range(1..=168))]
        hours: i64,
        #[command(flatten)]
        signer: Signer,
    },
    /// Lets a closed kiosk take money again.
    Clear {
        #[command(flatten)]
        at: At,
        /// Number of the kiosk.
        kiosk: u32,
    },
    /// Revokes the certificate of a kiosk.
    Revoke {
        #[command(flatten)]
        at: At,
        /// Number of the kiosk.
        kiosk: u32,
    },
}

#[derive(Subcommand)]
enum StoreCommand {
    /// Moves a stopped center from its file to an empty PostgreSQL database, compares both row by row, and closes the file for good.
    Move {
        #[command(flatten)]
        at: At,
        /// The database: "host=/run/postgresql user=tolem dbname=tolem".
        #[arg(long)]
        to: String,
        /// Authority of its certificate (PEM); needed for what is no Unix socket.
        #[arg(long)]
        to_ca: Option<PathBuf>,
        /// Lets the file serve again after a try that was cut off, if nothing is in the target.
        #[arg(long)]
        cancel: bool,
    },
}

#[derive(Subcommand)]
enum CrlCommand {
    /// Signs the list anew.
    Refresh {
        #[command(flatten)]
        at: At,
        /// Days that it is valid.
        #[arg(long, default_value_t = pki::CRL_DAYS, value_parser = clap::value_parser!(i64).range(1..=366))]
        days: i64,
    },
}

#[derive(Args)]
struct Bearer {
    #[command(flatten)]
    at: At,
    /// The payment code.
    code: String,
    /// IIN of the bearer.
    iin: String,
    /// Code of the service wanted.
    service: String,
}

#[derive(Subcommand)]
enum GatewayCommand {
    #[command(flatten)]
    Operate(attach::Operate),
    /// Asks whether a code is good, in the center's own books.
    Validate(Bearer),
    /// Uses a code up, in the center's own books.
    Consume(Bearer),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // A server whose log nobody reads serves on.
    if !matches!(command, Command::Serve { .. } | Command::Gateway(_)) {
        end_when_nobody_reads();
    }
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tolem-center: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `tolem-center card list | head` is no bug to report: whoever read the output has enough. But what was not said may have been a
/// finding, so the command does not claim success: it ends as the shell says of one that SIGPIPE ended.
fn end_when_nobody_reads() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_unread = panic.payload_as_str().is_some_and(|text| {
            text.starts_with("failed printing to stdout") && text.contains("Broken pipe")
        });
        if is_unread {
            std::process::exit(141);
        }
        report(panic);
    }));
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Init { directory, names, postgres, postgres_ca } => {
            let address = postgres.map(|connection| Address { connection, ca: postgres_ca });
            setup::init_at(&directory, &names, address.as_ref(), system_clock())?;
            println!("made a center in {}", directory.display());
            print_keys(&directory)
        }
        Command::Keys { at } => print_keys(&Config::read(&at.config)?.directory),
        Command::Serve { at } => serve(&at.config),
        Command::Enroll { at, kiosk, journal_key, csr } => enroll(&at, kiosk, &journal_key, csr),
        Command::Operator(command) => office::operator(command),
        Command::Request(command) => office::request(command),
        Command::Report(command) => reports::report(command),
        Command::Deeds { at } => office::deeds(&at),
        Command::Claim(ClaimCommand::Import { at, file, signer }) => office::import_slip(&at, &file, &signer),
        Command::Journal(JournalCommand::Import { at, export, signer }) => {
            office::import_journal(&at, &export, &signer)
        }
        Command::Balance(command) => balance(command),
        Command::Register(command) => register::register(command),
        Command::Dispute(command) => disputes::dispute(command),
        Command::Card(command) => cards::card(command),
        Command::Kiosk(command) => kiosk(command),
        Command::Crl(CrlCommand::Refresh { at, days }) => {
            let config = Config::read(&at.config)?;
            Pki::at(&config.directory).refresh_crl(system_clock(), days)?;
            println!("the revocation list is valid for {days} days; a running center reads it by itself");
            Ok(())
        }
        Command::Audit { at, journals, gateway_since, bank } => {
            audit::audit(&at, &journals, gateway_since.as_deref(), &bank)
        }
        Command::Alarms { at, evidence } => {
            for alarm in open(&at)?.1.alarms()? {
                let (when, disputed) = (alarm.at.local(), alarm.disputed);
                println!("{when} kiosk {} {} (disputed {disputed}): {}", alarm.kiosk, alarm.kind, alarm.text);
                if evidence {
                    print_evidence(&alarm.evidence);
                }
            }
            Ok(())
        }
        Command::Backup { at, file } => Ok(open(&at)?.1.back_up(&file)?),
        Command::Store(StoreCommand::Move { at, to, to_ca, cancel }) => move_store(&at, to, to_ca, cancel),
        Command::Restored { at } => {
            let (config, mut store) = open(&at)?;
            let epoch = store.transact(|store| {
                let epoch = rebuild::begin(store, system_clock(), &mut server::desk::fresh())?;
                if config.gateway.is_some() {
                    rebuild::await_register(store)?;
                }
                Ok(epoch)
            })?;
            println!(
                "the database lives its epoch {epoch}; it sells nothing until all kiosks have told what they know"
            );
            office::missing(&store)
        }
        Command::Rebuild { at } => office::missing(&open(&at)?.1),
        Command::Open { at, signer } => office::open_early(&at, &signer),
        Command::Gateway(command) => ask_gateway(command),
        Command::Portal(command) => attach::portal(command),
        Command::Desk(command) => attach::desk(command),
        Command::Auditor(command) => attach::auditor(command),
    }
}

fn move_store(at: &At, to: String, to_ca: Option<PathBuf>, cancel: bool) -> anyhow::Result<()> {
    let config = Config::read(&at.config)?;
    ensure!(
        config.store.is_none(),
        "{}: store.postgres is set: there is no file to move",
        at.config.display()
    );
    let ca = match to_ca {
        Some(ca) => Some(ca.canonicalize().with_context(|| ca.display().to_string())?),
        None => None,
    };
    let (file, address) = (config.directory.join(setup::DATABASE), Address { connection: to, ca });
    if cancel {
        moving::cancel(&file, &address)?;
        println!("{} serves again", file.display());
        return Ok(());
    }
    let moved = moving::move_to(&file, &address)?;
    println!("{:<14}{:>10}  SHA-256 of all rows, here and there", "table", "rows");
    moved.tables.iter().for_each(|table| println!("{table}"));
    if moved.was_there {
        println!("an earlier try had copied all of it; only the mark was missing");
    }
    println!(
        "every row is there and the audit finds nothing; {} never serves again, keep it as a memory",
        file.display()
    );
    println!("next, in section [store] of {}:", at.config.display());
    println!("    postgres = {:?}", address.connection);
    if let Some(ca) = &address.ca {
        println!("    ca = {ca:?}");
    }
    println!("then start the center");
    Ok(())
}

fn print_keys(directory: &Path) -> anyhow::Result<()> {
    let pki = Pki::at(directory);
    let keys = pki.keys()?;
    for (key, file) in [("ca", "pki/root.crt"), ("crl", "pki/root.crl")] {
        let path = pki.path(file);
        println!("{key} = {:?}", path.canonicalize().with_context(|| path.display().to_string())?);
    }
    println!("statement_key = {:?}", BASE64.encode(&keys.statement_public()));
    println!("sealing_key = {:?}", BASE64.encode(&keys.sealing_public()));
    println!("witness_key = {:?}", keys.witness().to_vkey());
    Ok(())
}

/// Set in by four spaces, so that a note can be copied out and checked with any tool for signed notes.
fn print_evidence(bytes: &[u8]) {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => BASE64.encode(bytes),
    };
    text.lines().for_each(|line| println!("    {line}"));
}

fn serve(path: &Path) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    let observer: server::Observer = Arc::new(|seen| {
        let now = system_clock().local();
        match seen {
            Seen::Message { kiosk, to_center, line } => {
                eprintln!("{now} kiosk {kiosk} {} {line}", if *to_center { ">" } else { "<" });
            }
            Seen::Step(step) => eprintln!("{now} {step}"),
            Seen::Note(line) => eprintln!("{now} {line}"),
        }
    });
    let running =
        server::start(Options { config, observer: Some(observer), clock: system_clock, neighbours: None })?;
    println!("serving on {}", running.addr);
    if let Some(at) = running.crl_addr {
        println!("revocation list at http://{at}/crl");
    }
    if let Some(at) = running.enroll_addr {
        println!("enrolment on {at}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::listen() })?;
    loop {
        match runtime.block_on(signals.next()) {
            Heard::Reload => {
                if let Err(error) = running.reload() {
                    eprintln!("reload refused, the old files stay in force: {error}");
                }
            }
            Heard::Stop => {
                running.stop();
                return Ok(());
            }
            Heard::Nothing => ensure!(running.is_serving(), "the database failed; see the log above"),
        }
    }
}

enum Heard {
    Reload,
    Stop,
    Nothing,
}

/// The signals of the process, listened to from the start so that none is lost.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next signal, or nothing after a second.
    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.hangup.recv() => Heard::Reload,
            _ = self.interrupt.recv() => Heard::Stop,
            _ = self.terminate.recv() => Heard::Stop,
            () = tokio::time::sleep(Duration::from_secs(1)) => Heard::Nothing,
        }
    }
}

fn enroll(at: &At, number: u32, journal_key: &str, csr: Option<PathBuf>) -> anyhow::Result<()> {
    let config = Config::read(&at.config)?;
    let kiosk = kiosk_number(number)?;
    let key = BASE64.decode(journal_key.trim().as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    let key = key.ok_or_else(|| anyhow!("--journal-key {journal_key:?}: base64 of 32 bytes is needed"))?;
    let request = match &csr {
        Some(path) => {
            Some(std::fs::read_to_string(path).with_context(|| format!("--csr {}", path.display()))?)
        }
        None => None,
    };
    setup::enroll(&config, kiosk, key, request.as_deref(), system_clock())?;
    let name = config.directory.join("pki/kiosks").join(pki::kiosk_name(kiosk));
    println!("kiosk {kiosk} is registered; its certificate is {}.crt", name.display());
    if request.is_none() {
        println!("its private key is {}.key: move it to the kiosk and delete it here", name.display());
    }
    Ok(())
}

fn balance(command: BalanceCommand) -> anyhow::Result<()> {
    let parse = |text: &str| {
        BalanceNumber::parse(text).ok_or_else(|| anyhow!("{text:?} is not a balance number of twelve digits"))
    };
    match command {
        BalanceCommand::List { at } => {
            let (_, store) = open(&at)?;
            store.each_balance(&mut |row| {
                let state = match row.state {
                    BalanceState::Issued => "open".to_owned(),
                    BalanceState::Reserved { by, until } => {
                        format!("reserved by {by} until {}", until.local())
                    }
                    BalanceState::Spent { by } => format!("spent by {by}"),
                    BalanceState::Refunded => "refunded".into(),
                    BalanceState::Cancelled => "cancelled".into(),
                };
                let reason = ledger::reason_word(row.reason);
                println!("{}  {}  {reason}  from {}  {state}", row.number, row.amount, row.from);
            })?;
            Ok(())
        }
        BalanceCommand::Resolve { at, number, found, signer } => {
            let found = if found == "yes" { Found::Money } else { Found::Nothing };
            office::resolve(&at, parse(&number)?, found, &signer)
        }
        BalanceCommand::Refund { at, number, signer } => office::refund(&at, parse(&number)?, &signer),
    }
}

fn kiosk(command: KioskCommand) -> anyhow::Result<()> {
    match command {
        KioskCommand::List { at } => {
            let (now, store) = (system_clock(), open(&at)?.1);
            for row in store.kiosks()? {
                let state = row.closed.unwrap_or_else(|| "open".into());
                println!(
                    "{}  epoch {}  journal key {}  certificate {}  {state}",
                    row.kiosk,
                    row.epoch,
                    BASE64.encode(&row.journal_key),
                    office::days_left(&store, row.kiosk, now)?
                );
            }
            Ok(())
        }
        KioskCommand::Invite { at, kiosk, hours, signer } => {
            office::invite(&at, kiosk_number(kiosk)?, hours, &signer)
        }
        KioskCommand::Clear { at, kiosk } => {
            let kiosk = kiosk_number(kiosk)?;
            let changed = open(&at)?.1.transact(|store| operator::clear(store, kiosk))?;
            ensure!(changed, "kiosk {kiosk} is not closed");
            Ok(())
        }
        KioskCommand::Revoke { at, kiosk } => {
            let config = Config::read(&at.config)?;
            Pki::at(&config.directory).revoke(kiosk_number(kiosk)?, system_clock())?;
            println!("revoked; a running center reads the new list by itself");
            Ok(())
        }
    }
}

fn ask_gateway(command: GatewayCommand) -> anyhow::Result<()> {
    let (bearer, consume) = match command {
        GatewayCommand::Operate(command) => return attach::operate(command),
        GatewayCommand::Validate(bearer) => (bearer, false),
        GatewayCommand::Consume(bearer) => (bearer, true),
    };
    let (config, mut store) = open(&bearer.at)?;
    let now = system_clock();
    let code =
        PaymentCode::parse(&bearer.code).context("the code is not sixteen digits with a check digit")?;
    let iin = Iin::parse(&bearer.iin, now.date()).map_err(|error| anyhow!("the IIN is wrong: {error}"))?;
    let payer = Pki::at(&config.directory).keys()?.tag_iin(&iin);
    let ask = if consume { gateway::consume } else { gateway::validate };
    let verdict = store.transact(|store| ask(store, now, code, &payer, &bearer.service))?;
    println!("{verdict:?}");
    ensure!(matches!(verdict, gateway::Verdict::Good { .. }), "the code is not good");
    Ok(())
}

fn kiosk_number(number: u32) -> anyhow::Result<KioskNumber> {
    KioskNumber::new(number).ok_or_else(|| anyhow!("kiosk number {number} is not in 1..=99999"))
}
