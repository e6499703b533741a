//! The served center: TLS links in front, one desk with the database behind.
//!
//! [`start`] runs it on threads of its own, so that a binary, a demo and a test use the very same code.

pub(crate) mod cards;
mod crl;
pub mod desk;
mod enrolment;
pub mod errands;
mod foresight;
mod link;
mod rooms;
pub(crate) mod shared;
pub mod soap;
pub mod tls;
mod turn;
pub mod words;

pub use shared::{Observer, Seen};

use crate::{
    acquirer::{Hsm, channel::Line, config::Number},
    catalogue::{self, Catalogue},
    config::Config,
    logic::{
        Center,
        cards::Acquirer,
        gateway::{Elsewhere, InProcessGateway},
        registry::{ListRegistry, Switch},
    },
    pki::{KioskAuthority, Pki},
    setup::open_store,
    sql::SqlStore,
};
use anyhow::{Context as _, anyhow};
use cards::CardLine;
use desk::{Asking, Desk, Job, UnderWay};
use enrolment::Porch;
use errands::Neighbours;
use foresight::Foresight;
use link::Door;
use rooms::Rooms;
use shared::Shared;
use soap::SoapNeighbours;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, SystemTime},
};
use tls::Tls;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tolem_protocol::{
    KioskNumber, UtcTime,
    messages::{Request, Response},
};

/// What to start.
pub struct Options {
    /// Configuration.
    pub config: Config,
    /// Is told what happens.
    pub observer: Option<Observer>,
    /// The clock; [`system_clock`] outside tests.
    pub clock: fn() -> UtcTime,
    /// Registry and gateway; `None` for those that the configuration names, or else those in this process.
    pub neighbours: Option<Arc<dyn Neighbours>>,
}

/// Switches for faults that a test turns on; a gateway elsewhere has its own.
#[derive(Clone, Default, Debug)]
pub struct Faults {
    /// The registry of persons does not answer.
    pub registry_down: Switch,
    /// The payment gateway does not answer.
    pub gateway_down: Switch,
    /// Answers are made durable, then lost on the way.
    pub lose_answers: Switch,
}

/// A running center. Dropping it stops it.
pub struct Running {
    /// Where kiosks connect.
    pub addr: SocketAddr,
    /// Where the kiosks' revocation list is given without TLS, if it is.
    pub crl_addr: Option<SocketAddr>,
    /// Where kiosks enrol and renew, if they do here.
    pub enroll_addr: Option<SocketAddr>,
    /// Faults to turn on.
    pub faults: Faults,
    desk: mpsc::Sender<Job>,
    foresight: Foresight,
    links: Arc<Shared>,
    reload: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
    stop: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// The clock of this machine.
pub fn system_clock() -> UtcTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UtcTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Opens the database, reads all files, and serves until [`Running::stop`].
///
/// # Errors
/// Names the file that is missing or wrong, or why the address cannot be used.
pub fn start(options: Options) -> anyhow::Result<Running> {
    start_with(options, None)
}

/// The same with a security module, in which PIN blocks are translated if the acquirer wants that.
///
/// # Errors
/// See [`start`].
pub fn start_with(options: Options, hsm: Option<Arc<dyn Hsm>>) -> anyhow::Result<Running> {
    let Options { config, observer, clock, neighbours } = options;
    let directory = &config.directory;
    let shared = Arc::new(Shared::new(config.links, observer));
    let faults = Faults { lose_answers: shared.lose_answers.clone(), ..Faults::default() };
    let tls = Tls::load(directory)?;
    let store = open_store(&config)?;
    let mut center = open_center(&config, &faults, clock())?;
    let foresight = Foresight::new(Pki::at(directory).keys()?);
    center.keys = Box::new(foresight.clone());
    let (calls, errands) = mpsc::unbounded_channel();
    let neighbours = match (neighbours, &config.gateway) {
        (None, Some(folder)) => Some(Arc::new(SoapNeighbours::open(folder)?) as Arc<dyn Neighbours>),
        (given, _) => given,
    };
    let acquirer = config.acquirer.as_deref().map(|folder| Line::open(folder, hsm)).transpose()?;
    center.acquirer = acquirer.as_ref().map(|line| Acquirer {
        number: line.terms.acquirer.clone(),
        is_open: false,
        takes_sealed: line.terms.number != Number::Refuse,
    });
    if neighbours.is_some() {
        center.gateway = Box::new(Elsewhere);
    }
    let (steps, faulty) = (shared.clone(), shared.clone());
    let (desk, desk_thread) = desk::open(Desk {
        store,
        center,
        issuer: Box::new(KioskAuthority { pki: Pki::at(directory), days: config.certificate_days }),
        clock,
        step: Box::new(move |step| steps.see(&Seen::Step(step))),
        fault: Box::new(move |line| faulty.note(line)),
        calls: neighbours.is_some().then_some(calls),
        under_way: UnderWay::default(),
        cards: CardLine::default(),
        foresight: foresight.clone(),
    })?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = listen(&runtime, config.listen)
        .with_context(|| format!("key listen: cannot use {}", config.listen))?;
    let addr = listener.local_addr()?;
    let lists = config.crl_listen.map(|address| bind("crl_listen", address)).transpose()?;
    let crl_addr = lists.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
    let enrolments = config.enroll_listen.map(|address| bind("enroll_listen", address)).transpose()?;
    let enroll_addr = enrolments.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
    let pki_directory = directory.clone();
    let links = shared.clone();
    let (stop, stopped) = oneshot::channel();
    let (reload, reloads) = mpsc::channel(1);
    let files = Files { config, clock, tls: tls.clone(), desk: desk.clone(), seen: Vec::new() };
    let porch = Porch {
        shared: shared.clone(),
        acceptor: TlsAcceptor::from(Arc::new(tls.enrolment_config()?)),
        tls: tls.clone(),
        desk: desk.clone(),
        clock,
    };
    let acceptor = TlsAcceptor::from(Arc::new(tls.config()?));
    let line = acquirer.map(|line| line.run(desk.clone(), shared.clone(), clock));
    let door = Door { shared, acceptor, tls, desk: desk.clone(), foresight: foresight.clone(), clock };
    let (rooms, mut threads) = Rooms::open(&door)?;
    let thread = std::thread::Builder::new().name("center-links".into()).spawn(move || {
        runtime.block_on(async move {
            if let Some(neighbours) = neighbours {
                tokio::spawn(errands::run(neighbours, errands, door.desk.clone()));
            }
            if let Some(line) = line {
                tokio::spawn(line);
            }
            tokio::select! {
                () = rooms.accept(listener) => {}
                () = give_lists(lists, &pki_directory, &door.shared) => {}
                () = invite_in(porch, enrolments) => {}
                () = files.watch(reloads, &door.shared) => {}
                _ = stopped => {}
            }
        });
    })?;
    threads.extend([thread, desk_thread]);
    let stop = Some(stop);
    Ok(Running { addr, crl_addr, enroll_addr, faults, desk, foresight, links, reload, stop, threads })
}

/// A socket that keeps more callers waiting than the standard library asks for.
fn listen(runtime: &tokio::runtime::Runtime, address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let _inside = runtime.enter();
    let socket =
        if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(rooms::BACKLOG)?.into_std()
}

fn bind(key: &str, address: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    let listener =
        std::net::TcpListener::bind(address).with_context(|| format!("key {key}: cannot use {address}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn invite_in(porch: Porch, listener: Option<std::net::TcpListener>) {
    match listener {
        Some(listener) => porch.serve(listener).await,
        None => std::future::pending().await,
    }
}

async fn give_lists(listener: Option<std::net::TcpListener>, directory: &Path, shared: &Arc<Shared>) {
    match listener {
        Some(listener) => crl::serve(listener, directory, shared).await,
        None => std::future::pending().await,
    }
}

/// The rules with everything they need, from the files that a configuration names.
///
/// # Errors
/// Names the file and key that is wrong.
pub fn open_center(config: &Config, faults: &Faults, now: UtcTime) -> anyhow::Result<Center> {
    let persons = match &config.registry {
        Some(path) => read(path)?,
        None => catalogue::REFERENCE_PERSONS.to_owned(),
    };
    let persons = catalogue::parse_persons(&persons, now.date()).context("registry of persons")?;
    Ok(Center {
        catalogue: read_catalogue(config)?,
        rules: config.rules.clone(),
        keys: Box::new(Pki::at(&config.directory).keys()?),
        registry: Box::new(ListRegistry::new(persons, faults.registry_down.clone())),
        gateway: match config.gateway {
            Some(_) => Box::new(Elsewhere),
            None => Box::new(InProcessGateway { down: faults.gateway_down.clone() }),
        },
        crl: tls::read_root_crl(&config.directory)?,
        acquirer: None,
    })
}

fn read_catalogue(config: &Config) -> anyhow::Result<Catalogue> {
    match &config.catalogue {
        Some(path) => Catalogue::parse(&read(path)?).with_context(|| path.display().to_string()),
        None => Ok(Catalogue::parse(catalogue::REFERENCE)?),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

impl Running {
    /// Does something with the database and the rules, between two requests, and gives its result.
    ///
    /// `None` if the center has closed because its database failed.
    pub fn operate<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqlStore, &mut Center) -> R + Send + 'static,
    ) -> Option<R> {
        let (reply, answer) = std::sync::mpsc::channel();
        let work = Box::new(move |store: &mut SqlStore, center: &mut Center| {
            let _ = reply.send(work(store, center));
        });
        self.desk.blocking_send(Job::Do(work)).ok()?;
        answer.recv().ok()
    }

    /// A way to the desk without a socket, for measurements and tests: the caller vouches for the kiosk. Like a new connection of it.
    pub fn counter(&self, kiosk: KioskNumber) -> Counter<'_> {
        Counter { kiosk, link: self.links.next_link(), center: self }
    }

    /// How many jobs wait at the desk.
    pub fn waiting(&self) -> usize {
        self.desk.max_capacity() - self.desk.capacity()
    }

    /// Reads revocation list, certificates and catalogue again. On an error the old ones stay in force.
    ///
    /// # Errors
    /// Names the file that is wrong.
    pub fn reload(&self) -> Result<(), String> {
        let closed = || "the center is closed".to_owned();
        let (reply, answer) = oneshot::channel();
        self.reload.blocking_send(reply).map_err(|_| closed())?;
        answer.blocking_recv().map_err(|_| closed())?
    }

    /// Whether it still answers: false after its database failed.
    pub fn is_serving(&self) -> bool {
        !self.desk.is_closed() && self.threads.iter().all(|thread| !thread.is_finished())
    }

    /// Closes all links and the database.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        // The desk ends when its last sender is gone.
        let (closed, _) = mpsc::channel(1);
        self.desk = closed;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// See [`Running::counter`].
pub struct Counter<'a> {
    kiosk: KioskNumber,
    link: u64,
    center: &'a Running,
}

impl Counter<'_> {
    /// Asks, and waits for the answer. `None` if there is none: the database failed, or the kiosk has come back on a newer connection.
    pub fn ask(&self, request: Request) -> Option<Response> {
        let (reply, answer) = oneshot::channel();
        let foreseen = self.center.foresight.look(self.kiosk, &request);
        let (kiosk, link, good_until) = (self.kiosk, self.link, UtcTime(i64::MAX));
        let asking = Asking { kiosk, link, good_until, request, foreseen, reply };
        self.center.desk.blocking_send(Job::Request(Box::new(asking))).ok()?;
        answer.blocking_recv().ok()
    }
}

/// Looks after files that change while the center runs.
struct Files {
    config: Config,
    clock: fn() -> UtcTime,
    tls: Tls,
    desk: mpsc::Sender<Job>,
    seen: Vec<(PathBuf, Option<(SystemTime, u64)>)>,
}

impl Files {
    async fn watch(
        mut self,
        mut reloads: mpsc::Receiver<oneshot::Sender<Result<(), String>>>,
        shared: &Shared,
    ) {
        self.changed();
        let mut warn = tokio::time::interval(Duration::from_secs(3_600));
        let mut look = tokio::time::interval(Duration::from_millis(self.config.links.reload_ms));
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    let _ = self.desk.try_send(Job::Tick);
                }
                _ = warn.tick() => {
                    let ends = tls::crl_ends(&self.config.directory).ok().flatten().unwrap_or(0);
                    let left = ends - (self.clock)().seconds();
                    if left < 86_400 {
                        shared.note(&format!(
                            "the revocation list ends in {left} s, then nobody gets in: tolem-center crl refresh"
                        ));
                    }
                }
                _ = look.tick() => {
                    if self.changed() {
                        match self.reload().await {
                            Ok(()) => shared.note("changed files were read"),
                            Err(error) => shared.note(&format!("changed files are refused: {error}")),
                        }
                    }
                }
                Some(reply) = reloads.recv() => {
                    self.changed();
                    let _ = reply.send(self.reload().await);
                }
            }
        }
    }

    /// Whether a file has changed since the last call.
    fn changed(&mut self) -> bool {
        let mut paths: Vec<PathBuf> = ["device.crl", "root.crl", "server.crt"]
            .map(|file| self.config.directory.join("pki").join(file))
            .into();
        paths.extend(self.config.catalogue.clone());
        let stamp =
            |path: &PathBuf| fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len()))).ok();
        let now: Vec<_> = paths.into_iter().map(|path| (path.clone(), stamp(&path))).collect();
        let changed = now != self.seen;
        self.seen = now;
        changed
    }

    async fn reload(&self) -> Result<(), String> {
        self.tls.reload().map_err(|error| error.to_string())?;
        let crl = tls::read_root_crl(&self.config.directory).map_err(|error| error.to_string())?;
        let catalogue = read_catalogue(&self.config).map_err(|error| format!("{error:#}"))?;
        let (reply, answer) = oneshot::channel();
        let work = move |_: &mut SqlStore, center: &mut Center| {
            center.crl = crl;
            let (old, new) = (center.catalogue.head.version, catalogue.head.version);
            let _ = reply.send(if catalogue == center.catalogue {
                Ok(())
            } else if new > old {
                center.catalogue = catalogue;
                Ok(())
            } else {
                Err(format!("catalogue, key version: {new} is not above {old}, but the content changed"))
            });
        };
        self.desk.send(Job::Do(Box::new(work))).await.map_err(|_| "the desk is closed".to_owned())?;
        answer.await.map_err(|_| anyhow!("the desk is closed").to_string())?
    }
}
