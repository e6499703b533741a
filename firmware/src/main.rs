//! `tolem`: the terminal's program and the tools of its technician.

use anyhow::{Context, anyhow, bail};
use clap::{Args, Parser, Subcommand};
use data_encoding::BASE64;
use std::{
    fs,
    io::{self, BufRead, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tolem_firmware::{
    config::Config,
    enroll::{self, Enrolled},
    export::{ExportDirectory, export},
    keys::{self, OnMissing},
    link::tls::{Clock, client_config},
    receipt, run, show,
    store::{Reader, SqliteStore},
    verify::{Keys, Witness, verify},
};
use tolem_protocol::{
    enrolment::InviteCode,
    signed_note::{KeyKind, NoteKey, journal_origin},
};

/// Payment terminal for government fees
#[derive(Parser)]
#[command(name = "tolem", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the terminal
    Run {
        /// Its configuration
        #[arg(long, value_name = "FILE", default_value = "/etc/tolem/kiosk.toml")]
        config: PathBuf,
        /// Socket of the bench that shows the screen and touches it
        #[cfg(feature = "demo")]
        #[arg(long, value_name = "SOCKET", hide = true)]
        bench: Option<PathBuf>,
        /// Socket of a test that reads the screen as lines and touches it with lines
        #[cfg(feature = "demo")]
        #[arg(long, value_name = "SOCKET", hide = true, conflicts_with = "bench")]
        plain: Option<PathBuf>,
    },
    /// Get the terminal's first certificate from the center, with a code that the center's operator gives
    Enroll {
        /// Configuration of the terminal
        #[arg(long, value_name = "FILE", default_value = "/etc/tolem/kiosk.toml")]
        config: PathBuf,
        /// The code (from standard input if left out, so that nobody reads it in the list of processes)
        #[arg(long)]
        code: Option<String>,
        /// Another certificate although there is one
        #[arg(long)]
        again: bool,
    },
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at the journal; safe while the terminal runs
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Check papers
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Serve one simulated device on a pty or a cable, moved by lines on standard input (`help` lists them)
    #[cfg(feature = "demo")]
    #[command(subcommand)]
    Sim(sim::SimCommand),
    /// A whole terminal on this machine: center, devices and a web page to play with
    #[cfg(feature = "demo")]
    Demo(tolem_firmware::demo::Options),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Name everything that is wrong in a configuration, with file and line, and in the TLS files it points to
    Check {
        /// The configuration
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum JournalCommand {
    /// Check every record, hash and signature; name the first bad record
    Verify {
        #[command(flatten)]
        place: Place,
        /// The kiosk's journal key: name+id+base64, as `tolem journal key` prints it
        #[arg(long, value_name = "VKEY")]
        key: Option<String>,
        /// A witness key of the center, name+id+base64; several after a change of keys
        #[arg(long, value_name = "VKEY")]
        witness: Vec<String>,
    },
    /// Print records, one a line
    Show {
        #[command(flatten)]
        place: Place,
        /// First record
        #[arg(long, value_name = "N", default_value_t = 0)]
        from: u64,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a C2SP tlog-tiles directory that other transparency-log tools can audit
    Export {
        /// Where to; must be empty or not exist
        directory: PathBuf,
        #[command(flatten)]
        place: JournalFile,
    },
    /// Print the public key of the journal for enrolling the terminal at the center; makes the keys at the first start
    Key {
        /// Configuration of the terminal
        #[arg(long, value_name = "FILE", default_value = "/etc/tolem/kiosk.toml")]
        config: PathBuf,
    },
}

#[derive(Args)]
struct Place {
    /// A journal (file) or an export (directory), instead of the configured journal
    path: Option<PathBuf>,
    /// Configuration that names journal and keys
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct JournalFile {
    /// The journal
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Configuration that names the journal
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum ReceiptCommand {
    /// Check the QR text of a receipt offline. Exit code 1 when it is forged
    Verify {
        /// The text, starting with TOLEM:C1: (from standard input if left out)
        text: Option<String>,
        /// The center's statement key in base64
        #[arg(long, value_name = "BASE64", required_unless_present = "config")]
        key: Option<String>,
        /// Configuration that names the center's key
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match perform(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(command: Command) -> anyhow::Result<()> {
    match command {
        #[cfg(not(feature = "demo"))]
        Command::Run { config } => run::run(&Config::load(&config)?, run::Parts::default()),
        #[cfg(feature = "demo")]
        Command::Run { config, bench, plain } => {
            let config = Config::load(&config)?;
            let parts = match (bench, plain) {
                (Some(socket), _) => tolem_firmware::screen_stream::parts(&socket, &config)?,
                (None, Some(socket)) => tolem_firmware::plain_screen::parts(&socket)?,
                (None, None) => run::Parts::default(),
            };
            run::run(&config, parts)
        }
        #[cfg(feature = "demo")]
        Command::Demo(options) => tolem_firmware::demo::run(&options),
        Command::Enroll { config, code, again } => enroll_terminal(&Config::load(&config)?, code, again),
        Command::Config(ConfigCommand::Check { file }) => config_check(&file),
        Command::Journal(JournalCommand::Verify { place, key, witness }) => {
            journal_verify(&place, key, &witness)
        }
        Command::Journal(JournalCommand::Show { place, from, json }) => {
            let (path, _) = place.find()?;
            show::show(&Reader::open(&path)?, from, json, &mut io::stdout().lock())?;
            Ok(())
        }
        Command::Journal(JournalCommand::Export { directory, place }) => {
            let path = match (place.journal, place.config) {
                (Some(path), _) => path,
                (None, Some(config)) => Config::load(&config)?.journal.path,
                (None, None) => bail!("name the journal with --journal or --config"),
            };
            let done = export(&Reader::open(&path)?, &directory)?;
            println!("{} records in {} files in {}", done.records, done.files, directory.display());
            Ok(())
        }
        Command::Journal(JournalCommand::Key { config }) => journal_key(&Config::load(&config)?),
        Command::Receipt(ReceiptCommand::Verify { text, key, config }) => receipt_verify(text, key, config),
        #[cfg(feature = "demo")]
        Command::Sim(command) => sim::serve(command),
    }
}

fn config_check(file: &Path) -> anyhow::Result<()> {
    let config = Config::load(file)?;
    if let Some(why) = config.not_in_this_build() {
        bail!("{}: {why}", file.display());
    }
    client_config(&config.center, &Clock::new().into()).map_err(|error| anyhow!("[center] {error}"))?;
    let clock = Clock::new();
    let life = enroll::life(&config.center).map_err(|error| anyhow!("[center] {error}"))?;
    println!("{}: all right, terminal {}", file.display(), config.kiosk.number);
    println!("certificate until {}, {} days left", life.until.local(), life.days_left(clock.now()));
    Ok(())
}

fn enroll_terminal(config: &Config, code: Option<String>, again: bool) -> anyhow::Result<()> {
    let text = match code {
        Some(text) => text,
        None => {
            if io::stdin().is_terminal() {
                eprint!("code from the center: ");
            }
            let mut text = String::new();
            io::stdin().lock().take(256).read_line(&mut text).context("standard input")?;
            text
        }
    };
    let code = InviteCode::parse(&text)
        .ok_or_else(|| anyhow!("this is no code: sixteen letters and digits, like 7K3M-Q9ZX-01AB-CDEF"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(enroll::enroll(config, code, again)).map_err(|error| anyhow!(error))?;
    let (how, life) = match done {
        Enrolled::New(life) => ("is enrolled", life),
        Enrolled::Finished(life) => ("was enrolled; what was cut off is finished now", life),
    };
    let days = life.days_left(Clock::new().now());
    println!("terminal {} {how}: certificate until {}, {days} days", config.kiosk.number, life.until.local());
    Ok(())
}

fn journal_verify(place: &Place, key: Option<String>, witnesses: &[String]) -> anyhow::Result<()> {
    let (path, config) = place.find()?;
    let mut known = Keys::default();
    if let Some(config) = &config {
        known.witnesses.clone_from(&config.center.witnesses);
        match keys::journal_public_key(&config.journal.keys) {
            Ok(public) => known = config.journal_keys(public),
            Err(error) if key.is_none() => bail!("{error}; give the kiosk's key with --key"),
            Err(_) => {}
        }
    }
    if let Some(key) = key {
        known.log = Some(note_key(&key, KeyKind::Log).context("--key")?);
    }
    for witness in witnesses {
        let key = note_key(witness, KeyKind::Cosigner).context("--witness")?;
        known.witnesses.push(Witness { key, until: None });
    }
    let mut go_on = |_| true;
    let report = if path.is_dir() {
        verify(&mut ExportDirectory::open(&path), &known, &mut go_on)
    } else {
        verify(&mut Reader::open(&path)?, &known, &mut go_on)
    };
    let report = report.map_err(|bad| anyhow!("{}: BAD: {bad}", path.display()))?;
    println!("{report}");
    Ok(())
}

fn journal_key(config: &Config) -> anyhow::Result<()> {
    // Opening proves that no terminal runs on it, so that two first starts cannot make two keys.
    let empty = SqliteStore::open(&config.journal.path)?.reader().size()? == 0;
    let missing = if empty { OnMissing::Create } else { OnMissing::Refuse };
    let signer = keys::KioskKeys::open(&config.journal.keys, &config.center.keys, missing)?;
    let public = tolem_core::ports::Signer::public_key(&signer);
    let key = NoteKey { name: journal_origin(config.kiosk.number), kind: KeyKind::Log, public };
    println!("{}\n{}", BASE64.encode(&public), key.to_vkey());
    Ok(())
}

fn note_key(text: &str, kind: KeyKind) -> anyhow::Result<NoteKey> {
    let key = NoteKey::parse_vkey(text).ok_or_else(|| anyhow!("{text}: not a key as name+id+base64"))?;
    if key.kind == kind { Ok(key) } else { bail!("{text}: this key is for something else") }
}

fn receipt_verify(text: Option<String>, key: Option<String>, config: Option<PathBuf>) -> anyhow::Result<()> {
    let center = match (key, config) {
        (Some(key), _) => {
            BASE64.decode(key.trim().as_bytes()).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(
                || anyhow!("--key {key}: must be 32 bytes in base64, as the center prints them"),
            )?
        }
        (None, Some(config)) => Config::load(&config)?.center.keys.statement,
        (None, None) => bail!("give the center's key with --key or --config"),
    };
    let text = match text {
        Some(text) => text,
        None => {
            let mut text = String::new();
            // A longer text is refused by its length; endless input is not read to its end.
            io::stdin().take(64 * 1024).read_to_string(&mut text).context("standard input")?;
            text
        }
    };
    let token = receipt::verify(&text, &center)?;
    io::stdout().write_all(receipt::describe(&token).as_bytes())?;
    Ok(())
}

impl Place {
    /// The journal or export, and the configuration if one was given.
    fn find(&self) -> anyhow::Result<(PathBuf, Option<Config>)> {
        let config = self.config.as_deref().map(Config::load).transpose()?;
        let path = match (&self.path, &config) {
            (Some(path), _) => path.clone(),
            (None, Some(config)) => config.journal.path.clone(),
            (None, None) => bail!("name a journal, an export directory, or --config FILE"),
        };
        fs::metadata(&path).with_context(|| path.display().to_string())?;
        Ok((path, config))
    }
}

#[cfg(feature = "demo")]
mod sim {
    //! Simulated devices for anybody's driver.

    use anyhow::Context;
    use clap::{Args, Subcommand};
    use std::{
        io,
        net::{SocketAddr, TcpListener},
        path::{Path, PathBuf},
        sync::Arc,
    };
    use tolem_firmware::demo::acquirer;
    use tolem_hal_sim::{
        ccnet_device::CcnetConfig,
        escpos_device::EscposConfig,
        issuer::served::Log,
        pin_pad_device::{KeyStore, PinPadKeys},
        served::{
            Cable, Purse, ServeOptions, serve_acceptor, serve_card_reader, serve_pin_pad, serve_printer,
        },
    };

    #[derive(Subcommand)]
    pub enum SimCommand {
        /// A bill acceptor that speaks CCNET
        Ccnet {
            #[command(flatten)]
            cable: CableArgs,
        },
        /// A receipt printer that speaks ESC/POS
        Escpos {
            #[command(flatten)]
            cable: CableArgs,
            /// Directory for the papers as PNG pictures
            #[arg(long, value_name = "DIR")]
            png: Option<PathBuf>,
        },
        /// A motorised card reader that speaks like OMRON's 3S4YR, with test cards
        Cardreader {
            #[command(flatten)]
            cable: CableArgs,
        },
        /// An acquirer's host with a test issuer, for anybody's center: ISO 8583 over TCP, inside TLS
        Issuer {
            /// Where to listen
            #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8583")]
            listen: SocketAddr,
            /// Folder with `center/` (put it into the center's `[acquirer] folder`) and `host/`; made if it is not there
            #[arg(long, value_name = "DIR", default_value = "tolem-issuer")]
            folder: PathBuf,
            /// Print messages on standard error: types, trace numbers, codes, never a card
            #[arg(long)]
            verbose: bool,
        },
        /// A PIN pad with test keys that speaks like UIC's PP791
        Pinpad {
            #[command(flatten)]
            cable: CableArgs,
        },
    }

    #[derive(Args)]
    pub struct CableArgs {
        /// Make a pty and this symbolic link to it
        #[arg(long, value_name = "PATH", conflicts_with = "tty")]
        link: Option<PathBuf>,
        /// Use this tty instead of a pty
        #[arg(long, value_name = "PATH")]
        tty: Option<PathBuf>,
        /// Speed of the tty
        #[arg(long, default_value_t = 9_600, requires = "tty")]
        baud: u32,
        /// Print what happens inside the device on standard error
        #[arg(long)]
        verbose: bool,
    }

    impl CableArgs {
        fn options(self) -> ServeOptions {
            let cable = match self.tty {
                Some(path) => Cable::Tty { path, speed: self.baud },
                None => Cable::Pty { link: self.link },
            };
            let events: Option<tolem_hal_sim::served::EventLog> =
                self.verbose.then(|| Arc::new(|text: &str| eprintln!("{text}")) as _);
            ServeOptions { cable, powered: true, wire: None, events }
        }
    }

    fn serve_issuer(listen: SocketAddr, folder: &Path, verbose: bool) -> anyhow::Result<()> {
        let listener = TcpListener::bind(listen).with_context(|| format!("--listen {listen}"))?;
        let addr = listener.local_addr()?;
        acquirer::prepare(folder, addr).with_context(|| format!("--folder {}", folder.display()))?;
        let log: Option<Log> = verbose.then(|| Arc::new(|line: &str| eprintln!("{line}")) as _);
        let served = acquirer::start(folder, listener, log)?;
        println!("{addr}");
        served.console(io::stdin().lock(), io::stdout().lock())?;
        Ok(())
    }

    pub fn serve(command: SimCommand) -> anyhow::Result<()> {
        let device = match command {
            SimCommand::Ccnet { cable } => serve_acceptor(CcnetConfig::default(), cable.options()),
            SimCommand::Escpos { cable, png } => serve_printer(EscposConfig::default(), png, cable.options()),
            SimCommand::Cardreader { cable } => serve_card_reader(1, None, Purse::shared(), cable.options()),
            SimCommand::Issuer { listen, folder, verbose } => return serve_issuer(listen, &folder, verbose),
            SimCommand::Pinpad { cable } => {
                serve_pin_pad(KeyStore::delivered(&PinPadKeys::test()), 1, None, cable.options())
            }
        }
        .context("cannot serve the device")?;
        if let Some(path) = device.path() {
            println!("{}", path.display());
        }
        device.console(io::stdin().lock(), io::stdout().lock())?;
        Ok(())
    }
}
