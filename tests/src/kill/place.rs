//! Directories: a template with a center and an enrolled terminal that has started once, and a copy of it for each case.

use super::{
    case::{Case, Side},
    processes::{Bench, Started},
};
use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
};
use tempfile::TempDir;
use tolem_center::{
    gateway::config::GATEWAY_FILE,
    setup::{CONFIG_FILE, DATABASE},
};
use tolem_firmware::demo::Home;
use tolem_hal_sim::ccnet_device::Contents;
use tolem_protocol::KioskNumber;

/// Below the range from which systems take ports for outgoing connections.
const FIRST_PORT: u16 = 18_000;
const PORTS: u16 = 12_000;

/// The directories that cases are copied from: a terminal that has started once, one that was never switched on, one whose
/// center asks a payment gateway, and one that takes cards.
pub struct Template {
    started: TempDir,
    fresh: TempDir,
    attached: TempDir,
    cards: TempDir,
}

impl Template {
    /// Founds a center, enrols a terminal and lets both start once.
    ///
    /// # Panics
    /// If that fails.
    pub fn make() -> Self {
        let fresh = founded(None);
        let beside = |what| started(&founded(Some(what)));
        Self {
            started: started(&fresh),
            attached: beside(Beside::Gateway),
            cards: beside(Beside::Acquirer),
            fresh,
        }
    }

    /// A copy of it for one case.
    pub(super) fn copy(&self, case: &Case) -> (TempDir, Place) {
        copied(match case {
            Case::Cut { side: Side::Fresh, .. } => &self.fresh,
            case if case.is_attached() => &self.attached,
            case if case.is_by_card() => &self.cards,
            _ => &self.started,
        })
    }
}

/// Whom the center asks.
enum Beside {
    Gateway,
    Acquirer,
}

/// A center, with somebody beside it if wanted, and a terminal that was never switched on.
fn founded(beside: Option<Beside>) -> TempDir {
    let directory = directory();
    let home = Home::open(directory.path(), false).expect("the directory is empty");
    match beside {
        Some(Beside::Gateway) => drop(home.gateway().expect("a gateway can be founded")),
        // Where it listens is told to each case anew.
        Some(Beside::Acquirer) => {
            drop(home.acquirer((Ipv4Addr::LOCALHOST, 0).into()).expect("an acquirer can be founded"));
        }
        None => {}
    }
    let center = home.center().expect("a center can be founded");
    let number = KioskNumber::new(1).expect("invariant: 1 is a number");
    home.kiosk(&center, number).expect("a kiosk can be enrolled");
    directory
}

/// A copy in which all have started once.
fn started(fresh: &TempDir) -> TempDir {
    let (started, place) = copied(fresh);
    let mut bench = Bench::set_up(place, None, Contents::default());
    bench.start_gateway(None);
    bench.start_center(None);
    bench.start_kiosk(None);
    bench.until_ready();
    assert!(bench.stop().iter().all(std::process::ExitStatus::success), "{}", bench.report());
    started
}

/// Sockets live in it, and their paths are short by law: not in cargo's own directory for tests.
fn directory() -> TempDir {
    tempfile::Builder::new().prefix("tolem-kill-").tempdir().expect("a directory")
}

fn copied(from: &TempDir) -> (TempDir, Place) {
    let directory = directory();
    copy(from.path(), directory.path());
    let gateway = directory.path().join("gateway").is_dir().then(free_port);
    let place = Place { directory: directory.path().to_owned(), port: free_port(), gateway };
    (directory, place)
}

/// The files of one case.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Where all of them are.
    pub directory: PathBuf,
    /// Where its center listens.
    pub port: u16,
    /// Where its gateway listens, if there is one.
    pub gateway: Option<u16>,
}

impl Place {
    /// The terminal's disk.
    pub fn kiosk(&self) -> PathBuf {
        self.directory.join("kiosk-1")
    }

    /// The terminal's configuration.
    pub fn kiosk_config(&self) -> PathBuf {
        self.kiosk().join("kiosk.toml")
    }

    /// The center's configuration.
    pub fn center_config(&self) -> PathBuf {
        self.directory.join("center").join(CONFIG_FILE)
    }

    /// The terminal's journal.
    pub fn journal(&self) -> PathBuf {
        self.kiosk().join("journal.db")
    }

    /// The center's database.
    pub fn ledger(&self) -> PathBuf {
        self.directory.join("center").join(DATABASE)
    }

    /// The acquirer's folder; in a directory whose center asks none it is not there.
    pub fn acquirer(&self) -> PathBuf {
        self.directory.join("acquirer")
    }

    /// The gateway's configuration.
    pub fn gateway_config(&self) -> PathBuf {
        self.directory.join("gateway").join(GATEWAY_FILE)
    }

    /// Tells center and gateway their ports and the terminal its center and bill types.
    pub fn write_configs(&self, patterns: Vec<(u8, u16)>) {
        use tolem_firmware::demo::Wiring;
        let home = Home::open(&self.directory, false).expect("the directory is a demo's");
        let center = home.center().expect("the center is founded");
        let number = KioskNumber::new(1).expect("invariant: 1 is a number");
        let kiosk = home.kiosk(&center, number).expect("the kiosk is enrolled");
        let link = (Ipv4Addr::LOCALHOST, self.port).into();
        kiosk
            .write_config(&Wiring {
                link,
                lists: None,
                landscape: false,
                window: false,
                pcsc: None,
                sred: false,
                patterns,
            })
            .expect("the configuration can be written");
        listen_on(&self.center_config(), self.port);
        if let Some(port) = self.gateway {
            let gateway = home.gateway().expect("the gateway is founded");
            let address = (Ipv4Addr::LOCALHOST, port).into();
            home.tell_whereabouts(&gateway, address).expect("the participants' folders can be written");
            listen_on(&self.gateway_config(), port);
        }
    }

    /// The log of the cutter in this life of a program.
    pub fn calls(&self, started: &Started) -> PathBuf {
        self.directory.join(format!("calls-{}-{}", started.name, started.life))
    }
}

/// Writes the port into a configuration.
fn listen_on(config: &Path, port: u16) {
    let text = fs::read_to_string(config).unwrap_or_else(|e| panic!("{}: {e}", config.display()));
    let lines: Vec<String> = text
        .lines()
        .map(|line| match line.strip_prefix("listen = ") {
            Some(_) => format!("listen = \"127.0.0.1:{port}\""),
            None => line.to_owned(),
        })
        .collect();
    fs::write(config, lines.join("\n") + "\n").unwrap_or_else(|e| panic!("{}: {e}", config.display()));
}

/// A port that nobody listens on. Each process begins elsewhere, so that two of them rarely meet.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = (std::process::id().wrapping_mul(97) % u32::from(PORTS)) as u16;
    for _ in 0..PORTS {
        let port = FIRST_PORT + own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free from {FIRST_PORT} on");
}

/// Files and directories, nothing else: what listens somewhere is made anew.
fn copy(from: &Path, to: &Path) {
    let entries = fs::read_dir(from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap_or_else(|e| panic!("{}: {e}", source.display()));
        if kind.is_dir() {
            fs::create_dir(&target).unwrap_or_else(|e| panic!("{}: {e}", target.display()));
            let mode = fs::metadata(&source).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
            fs::set_permissions(&target, mode.permissions())
                .unwrap_or_else(|e| panic!("{}: {e}", target.display()));
            copy(&source, &target);
        } else if kind.is_file() {
            fs::copy(&source, &target).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
        }
    }
}
