//! `tolem demo`: a whole terminal, its center and its cabinet on one machine, for people and for tests.
//!
//! The kiosks are processes of this same binary (`tolem run --config ...`), started as in production, on pseudo terminals and over
//! mutual TLS; only the screen goes to the bench instead of to a display. Everything is kept in one directory and survives.
//! Nothing listens anywhere but on 127.0.0.1.

pub mod acquirer;
mod books;
mod child;
mod home;

pub use home::{Home, Place, Wiring};

use anyhow::{Context, bail};
use child::Child;
use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};
use tolem_center::{
    gateway::server as gateway,
    server::{self, Seen},
};
use tolem_hal_sim::{
    bench::{
        Bench, CenterControl, Kiosk, KioskOptions, Server,
        wire::{Way, WireLog},
    },
    ccnet_device::{CcnetConfig, Timing},
    escpos_device::EscposConfig,
    issuer::served::{self as issuer, ServedIssuer},
};
use tolem_protocol::KioskNumber;

/// Tried first; any free port if somebody else has it.
const USUAL_PORT: u16 = 8700;
/// More kiosks than tabs and processes a laptop should carry.
const MAX_KIOSKS: u32 = 8;

/// What `tolem demo` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Directory in which everything is kept
    #[arg(long, value_name = "DIR", default_value = "tolem-demo")]
    pub dir: PathBuf,
    /// Start over: throw away what is in the directory
    #[arg(long)]
    pub fresh: bool,
    /// Number of kiosks, 1 to 8
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_KIOSKS)))]
    pub kiosks: u32,
    /// Address of the bench, on 127.0.0.1; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// A screen of 1280x1024 instead of 1080x1920
    #[arg(long)]
    pub landscape: bool,
    /// The kiosk's screen in a native window (needs a build with `--features window`)
    #[arg(long)]
    pub window: bool,
    /// Devices twenty times as fast as real ones, for tests
    #[arg(long)]
    pub fast: bool,
    /// Card reader and PIN pad as one secure unit that hides card numbers (SRED)
    #[arg(long)]
    pub sred: bool,
    /// Cards of kiosk 1 go into a reader on PC/SC instead of the bench's slot: part of its name, or nothing for the first one
    #[cfg(feature = "pcsc")]
    #[arg(long, value_name = "READER", num_args = 0..=1, default_missing_value = "")]
    pub pcsc: Option<String>,
    /// Open the page in the browser
    #[arg(long)]
    pub open: bool,
}

impl Options {
    /// The reader on PC/SC of a kiosk, by its place on the bench.
    fn pcsc(&self, index: u32) -> Option<String> {
        #[cfg(feature = "pcsc")]
        let reader = self.pcsc.clone().filter(|_| index == 0);
        #[cfg(not(feature = "pcsc"))]
        let reader = None.filter(|_: &String| index == 0);
        reader
    }
}

/// A running demo. Dropping it stops everything.
pub struct Demo {
    server: Option<Server>,
    bench: Arc<Bench>,
    children: Vec<Arc<Child>>,
    _gateway: gateway::Running,
    /// The acquirer's host with the test issuer; it stops after the center.
    issuer: Option<Arc<ServedIssuer>>,
    _home: Home,
}

/// Runs the demo until Ctrl-C.
///
/// # Errors
/// Says what cannot be made, read or listened on.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let demo = Demo::start(options)?;
    let url = demo.url();
    io::stdout().write_all(welcome(&demo, &url).as_bytes()).context("cannot write to the terminal")?;
    if options.open {
        open_browser(&url);
    }
    wait_for_the_end()?;
    println!("\nStopping. Everything is kept in {}.", demo.bench.directory.display());
    Ok(())
}

impl Demo {
    /// Makes what is missing and starts center, devices, kiosks and page.
    ///
    /// # Errors
    /// Says what cannot be made, read or listened on.
    pub fn start(options: &Options) -> anyhow::Result<Self> {
        if options.window && !cfg!(feature = "window") {
            bail!(
                "--window: this build has no window; use `cargo run --features window --bin tolem -- demo --window`"
            );
        }
        let listener = listen(options.listen)?;
        let home = Home::open(&options.dir, options.fresh)?;
        let wire = Arc::new(WireLog::default());
        let gateway_config = home.gateway()?;
        let host = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
        let acquirer_folder = home.acquirer(host.local_addr()?)?;
        let center_config = home.center()?;
        let gateway = gateway::start(gateway::Options {
            config: gateway_config.clone(),
            observer: Some(notes(&wire)),
            clock: server::system_clock,
        })?;
        home.tell_whereabouts(&gateway_config, gateway.addr)?;
        let issuer = match &center_config.acquirer {
            Some(_) => Some(Arc::new(acquirer::start(&acquirer_folder, host, Some(issuer_notes(&wire)))?)),
            // A directory from before there were cards.
            None => None,
        };
        let center = Arc::new(server::start(server::Options {
            config: center_config.clone(),
            observer: Some(observer(&wire)),
            clock: server::system_clock,
            neighbours: None,
        })?);

        let (mut kiosks, mut children, mut journals) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..options.kiosks {
            let number = KioskNumber::new(index + 1).context("a kiosk number is out of range")?;
            let place = home.kiosk(&center_config, number)?;
            let kiosk = Kiosk::set_up(kiosk_options(options, index, number, &place, center.addr), &wire)
                .with_context(|| format!("kiosk {number}: cannot set up its devices"))?;
            place.write_config(&home::Wiring {
                link: kiosk.link.address(),
                lists: center.crl_addr,
                landscape: options.landscape,
                window: options.window,
                pcsc: options.pcsc(index),
                sred: options.sred,
                patterns: acceptor(options).types.iter().map(|kind| (kind.index, kind.pattern)).collect(),
            })?;
            let child = Child::new(&place, kiosk.screen.path())?;
            kiosk.plug_in(child.clone());
            kiosk.switch_on().map_err(|error| anyhow::anyhow!("kiosk {number}: {error}"))?;
            kiosks.push(kiosk);
            children.push(child);
            journals.push((number, place.journal()));
        }
        let bench = Arc::new(Bench {
            kiosks,
            center: Box::new(Switches(gateway.faults.clone(), issuer.clone())),
            books: Box::new(books::Ledgers { center, journals }),
            wire,
            directory: home.directory().to_owned(),
            commands: commands(&home),
        });
        let server = Server::start(bench.clone(), listener).context("cannot serve the bench")?;
        Ok(Self { server: Some(server), bench, children, _gateway: gateway, issuer, _home: home })
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        let address =
            self.server.as_ref().map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Server::address);
        format!("http://{address}/")
    }

    /// The test issuer, to look into its ledger and to move it; `None` in a directory from before there were cards.
    pub fn issuer(&self) -> Option<&ServedIssuer> {
        self.issuer.as_deref()
    }

    /// What is on the bench.
    pub fn bench(&self) -> &Arc<Bench> {
        &self.bench
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.server.take());
        self.children.iter().for_each(|child| child.ask_to_stop());
        self.children.iter().for_each(|child| child.wait_or_kill());
    }
}

fn listen(wanted: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if let Some(address) = wanted {
        if address.ip() != Ipv4Addr::LOCALHOST {
            bail!(
                "--listen {address}: the bench can do anything to its kiosks, so only 127.0.0.1 is allowed"
            );
        }
        return TcpListener::bind(address).with_context(|| format!("--listen {address}: cannot be used"));
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PORT))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("no free port on 127.0.0.1")
}

fn acceptor(options: &Options) -> CcnetConfig {
    let timing = if options.fast { Timing::FAST } else { Timing::REALISTIC };
    CcnetConfig { timing, ..CcnetConfig::default() }
}

fn kiosk_options(
    options: &Options,
    index: u32,
    number: KioskNumber,
    place: &home::Place,
    center: SocketAddr,
) -> KioskOptions {
    let serial = format!("12KC{:06}", 4_711 + index);
    KioskOptions {
        index: index as usize,
        number: number.into(),
        acceptor: CcnetConfig { serial, seed: u64::from(index), ..acceptor(options) },
        printer: if options.fast { EscposConfig::fast() } else { EscposConfig::default() },
        lines: place.directory().to_owned(),
        socket: place.socket(),
        center,
        cassette: Some(place.directory().join("cassette.txt")),
        sred: options.sred,
    }
}

/// Kiosk numbers are 1, 2, ... in the order of the tabs.
fn observer(wire: &Arc<WireLog>) -> server::Observer {
    let wire = wire.clone();
    let place = |kiosk: KioskNumber| u32::from(kiosk).saturating_sub(1) as usize;
    Arc::new(move |seen| match seen {
        Seen::Message { kiosk, to_center, line } => {
            let way = if *to_center { Way::FromKiosk } else { Way::ToKiosk };
            wire.message(place(*kiosk), way, (*line).to_owned());
        }
        Seen::Step(step) => wire.step(place(step.kiosk), step.number, step.text().to_owned()),
        Seen::Note(line) => wire.event(0, format!("center: {line}")),
    })
}

/// What the gateway says of itself: never a person, never a code.
fn notes(wire: &Arc<WireLog>) -> gateway::Observer {
    let wire = wire.clone();
    Arc::new(move |line| wire.event(0, format!("gateway: {line}")))
}

/// What the acquirer's host says: types, trace numbers, codes; never a card.
fn issuer_notes(wire: &Arc<WireLog>) -> issuer::Log {
    let wire = wire.clone();
    Arc::new(move |line| wire.event(0, format!("issuer: {line}")))
}

struct Switches(gateway::Faults, Option<Arc<ServedIssuer>>);

impl CenterControl for Switches {
    fn registry_up(&self) -> bool {
        !self.0.registry_down.is_on()
    }

    fn set_registry(&self, up: bool) {
        self.0.registry_down.set(!up);
    }

    fn gateway_up(&self) -> bool {
        !self.0.silent.is_on()
    }

    fn set_gateway(&self, up: bool) {
        self.0.silent.set(!up);
    }

    fn issuer(&self, line: &str) -> Result<String, String> {
        let issuer =
            self.1.as_ref().ok_or("there is no issuer: this directory is from before there were cards")?;
        issuer.command(&line.split_whitespace().collect::<Vec<_>>())
    }
}

/// What is worth trying in another terminal.
fn commands(home: &Home) -> Vec<(String, String)> {
    let program = short(&std::env::current_exe().unwrap_or_else(|_| "tolem".into()));
    let config = short(&home.directory().join("kiosk-1/kiosk.toml"));
    vec![
        (
            "Verify the kiosk's journal, record by record".into(),
            format!("{program} journal verify --config {config}"),
        ),
        (
            "Verify a receipt by its QR code, offline".into(),
            format!("{program} receipt verify --config {config} '{{qr}}'"),
        ),
    ]
}

/// Relative to where we are, if that is shorter.
fn short(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    match path.strip_prefix(&here) {
        // A shell looks for a bare name elsewhere.
        Ok(inside) if inside.components().count() == 1 => format!("./{}", inside.display()),
        Ok(inside) => inside.display().to_string(),
        Err(_) => path.display().to_string(),
    }
}

fn welcome(demo: &Demo, url: &str) -> String {
    let directory = short(&demo.bench.directory);
    let kiosks = match demo.bench.kiosks.len() {
        1 => "one kiosk".to_owned(),
        many => format!("{many} kiosks"),
    };
    let mut text = format!(
        "\nThe bench is open: {url}\n\n  {kiosks}, a processing center, a payment gateway, a card issuer and all devices; everything is kept in {directory}\n\n\
         Try\n  pay       touch the screen, choose a service, enter the IIN 000101300019, insert banknotes, confirm\n  \
         card      the same, but \"pay by card\": insert a card, type 2580 on the PIN pad, take the card\n  \
         cut       arm \"pull the plug by itself: while the note is being stacked\", insert a note, power on again\n  \
         lose      link down while money is in; take the claim slip, link up, \"I have a claim slip\"\n\n\
         In another terminal\n",
    );
    for (_, line) in &demo.bench.commands {
        text += &format!("  {}\n", line.replace("'{qr}'", "'TEXT OF THE QR CODE'"));
    }
    text + "\nCtrl-C stops everything.\n"
}

fn open_browser(url: &str) {
    let display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if !display {
        return println!("--open: there is no display; open the address by hand.");
    }
    if let Err(error) = std::process::Command::new("xdg-open").arg(url).spawn() {
        println!("--open: xdg-open cannot be started ({error}); open the address by hand.");
    }
}

fn wait_for_the_end() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
