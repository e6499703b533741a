//! The gateway's doors: HTTP over mutual TLS, and a plain door for revocation lists.
//!
//! Signatures and the disk take their time, so each message is answered on a thread of its own; the doors never wait.

use super::{
    DESCRIPTIONS, channel,
    config::{GATEWAY_FILE, GatewayConfig},
    desk::Desk,
    guesses::Guesses,
    party::Party,
    rules::Rules,
    setup::{GATEWAY_DATABASE, read_key},
    store::GatewayStore,
    words::{FaultCode, Request},
};
use crate::{
    catalogue::{self, Catalogue},
    logic::registry::{ListRegistry, Switch},
    xmlsig::{MOST_BYTES, Trust, trust},
};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{Path as UrlPath, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use http_body_util::BodyExt as _;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use ring::hmac;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, SystemTime},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tolem_protocol::{Iin, UtcTime};

/// Connections at one time.
const MOST_CONNECTIONS: usize = 256;
/// A handshake, or the head of a request, must arrive within this.
const HEAD: Duration = Duration::from_secs(10);
/// A connection is closed after this, whatever it does.
const CONNECTION: Duration = Duration::from_secs(60);

/// Is told what happens, line by line; never a person, never a code.
pub type Observer = Arc<dyn Fn(&str) + Send + Sync>;

/// What to start.
pub struct Options {
    /// Configuration.
    pub config: GatewayConfig,
    /// Is told what happens.
    pub observer: Option<Observer>,
    /// The clock; [`crate::server::system_clock`] outside tests.
    pub clock: fn() -> UtcTime,
}

/// Switches for faults that a demo or test turns on.
#[derive(Clone, Default, Debug)]
pub struct Faults {
    /// The registry of persons does not answer; the gateway says so.
    pub registry_down: Switch,
    /// The payment gateway closes connections without an answer and does nothing; the registry beside it goes on.
    pub silent: Switch,
    /// Everything is done and stored, then the answer is lost.
    pub lose_answers: Switch,
}

/// A running gateway. Dropping it stops it.
pub struct Running {
    /// Where participants connect.
    pub addr: SocketAddr,
    /// Where lists are served without TLS.
    pub crl_addr: Option<SocketAddr>,
    /// Faults to turn on.
    pub faults: Faults,
    reload: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Doors {
    desk: Desk,
    identity: PathBuf,
    directory: PathBuf,
    faults: Faults,
    clock: fn() -> UtcTime,
    observer: Option<Observer>,
    /// The database failed, and the last answer that could be given is given.
    failed: Notify,
}

/// The owner of a channel, as its certificate names it.
#[derive(Clone)]
struct Peer {
    name: String,
    certificate: Arc<Vec<u8>>,
}

/// Opens the database, reads all files, and serves until the result is dropped.
///
/// # Errors
/// Names the file that is missing or wrong, or why an address cannot be used.
pub fn start(options: Options) -> anyhow::Result<Running> {
    let Options { config, observer, clock } = options;
    let faults = Faults::default();
    let identity = config.directory.join("identity");
    let desk = open(&config, &faults, clock())?;
    let trust = Arc::new(ArcSwap::from(desk.trust.load_full()));
    let acceptor = TlsAcceptor::from(Arc::new(channel::server(&identity, trust.clone())?));
    let (listener, addr) = bind("listen", config.listen)?;
    let plain = config.crl_listen.map(|wanted| bind("crl_listen", wanted)).transpose()?;
    let (plain, crl_addr) = plain.map_or((None, None), |(listener, addr)| (Some(listener), Some(addr)));
    let doors = Arc::new(Doors {
        desk,
        identity,
        directory: config.directory.clone(),
        faults: faults.clone(),
        clock,
        observer,
        failed: Notify::new(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel();
    let (reload, reloads) = mpsc::channel(1);
    let files = Files { doors: doors.clone(), channel: trust, seen: Vec::new(), every: config.reload_ms };
    let thread = std::thread::Builder::new().name("gateway".into()).spawn(move || {
        runtime.block_on(async move {
            tokio::select! {
                () = accept(listener, acceptor, doors.clone()) => {}
                () = serve_lists(plain, doors.clone()) => {}
                () = files.watch(reloads) => {}
                () = failure(&doors) => {}
                _ = stopped => {}
            }
        });
        // Whoever is writing to the disk finishes.
        runtime_down(runtime);
    })?;
    Ok(Running { addr, crl_addr, faults, reload, stop: Some(stop), thread: Some(thread) })
}

/// Waits until the database has failed. A gateway that stayed then would refuse everything for ever; whoever supervises it starts a new
/// one, which finds out what is on the disk.
async fn failure(doors: &Doors) {
    doors.failed.notified().await;
    // The answer that tells of it is on its way out.
    tokio::time::sleep(Duration::from_millis(100)).await;
    doors.note("the database failed: the gateway stops and must be started again");
}

fn runtime_down(runtime: tokio::runtime::Runtime) {
    runtime.shutdown_timeout(Duration::from_secs(5));
}

fn bind(key: &str, wanted: SocketAddr) -> anyhow::Result<(std::net::TcpListener, SocketAddr)> {
    let listener =
        std::net::TcpListener::bind(wanted).with_context(|| format!("key {key}: cannot use {wanted}"))?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// The desk with everything it needs, from the files of a configuration.
///
/// # Errors
/// Names the file that is missing or wrong.
pub fn open(config: &GatewayConfig, faults: &Faults, now: UtcTime) -> anyhow::Result<Desk> {
    let directory = &config.directory;
    let read = |path: &Path| fs::read_to_string(path).with_context(|| path.display().to_string());
    let catalogue = match &config.catalogue {
        Some(path) => Catalogue::parse(&read(path)?).with_context(|| path.display().to_string())?,
        None => Catalogue::parse(catalogue::REFERENCE)?,
    };
    let persons = match &config.registry {
        Some(path) => read(path)?,
        None => catalogue::REFERENCE_PERSONS.to_owned(),
    };
    let persons = catalogue::parse_persons(&persons, now.date()).context("registry of persons")?;
    let party = Party::read(&directory.join("identity"))?;
    let tag = hmac::Key::new(hmac::HMAC_SHA256, read_key(&directory.join("keys/tag.key"))?.as_slice());
    let tag = move |iin: &Iin| {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&tag, &iin.ascii()).as_ref());
        bytes
    };
    let store = GatewayStore::open(
        &directory.join(GATEWAY_DATABASE),
        &*read_key(&directory.join("keys/record.key"))?,
    )?;
    Ok(Desk {
        rules: Rules {
            catalogue,
            registry: Box::new(ListRegistry::new(persons, faults.registry_down.clone())),
            code_valid_s: config.code_valid_s,
            tag: Box::new(tag),
        },
        participants: ArcSwap::from_pointee(config.participants.clone()),
        trust: ArcSwap::from_pointee(party.trust),
        signer: Arc::new(party.signer),
        store: store.into(),
        guesses: Guesses::new(config.wrong_codes).into(),
    })
}

impl Running {
    /// Reads certificates, lists and participants again. On an error the old ones stay in force.
    ///
    /// # Errors
    /// Names the file that is wrong.
    pub fn reload(&self) -> Result<(), String> {
        let closed = || "the gateway is closed".to_owned();
        let (reply, answer) = oneshot::channel();
        self.reload.blocking_send(reply).map_err(|_| closed())?;
        answer.blocking_recv().map_err(|_| closed())?
    }

    /// Whether it still serves.
    pub fn is_serving(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Doors {
    fn note(&self, line: &str) {
        if let Some(observer) = &self.observer {
            observer(line);
        }
    }
}

async fn accept(listener: std::net::TcpListener, acceptor: TlsAcceptor, doors: Arc<Doors>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return doors.note(&format!("the listening socket failed: {error}")),
    };
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let router = router(doors.clone());
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                doors.note(&format!("a connection was not accepted: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            doors.note(&format!("{address}: refused: all {MOST_CONNECTIONS} places are taken"));
            continue;
        };
        let (acceptor, router, doors) = (acceptor.clone(), router.clone(), doors.clone());
        tokio::spawn(async move {
            if let Err(error) = serve(stream, &acceptor, router).await {
                doors.note(&format!("{address}: {error}"));
            }
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, acceptor: &TlsAcceptor, router: Router) -> Result<(), String> {
    let stream = timeout(HEAD, acceptor.accept(stream))
        .await
        .map_err(|_| "no handshake in time".to_owned())?
        .map_err(|error| error.to_string())?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = certificate.ok_or("no certificate")?.to_vec();
    let name = trust::name_of(&certificate).map_err(|refused| refused.to_string())?;
    let peer = Peer { name, certificate: Arc::new(certificate) };
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION, connection).await {
        Ok(Ok(())) | Err(_) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
    }
}

fn router(doors: Arc<Doors>) -> Router {
    lists(doors.clone()).merge(
        Router::new()
            .route("/gateway", get(describe_gateway).post(gateway))
            .route("/registry", get(describe_registry).post(registry))
            .route("/wsdl/{file}", get(description))
            .with_state(doors),
    )
}

fn lists(doors: Arc<Doors>) -> Router {
    Router::new()
        .route("/crl", get(|State(doors): State<Arc<Doors>>| async move { list(&doors, "ca.crl") }))
        .route("/crl/root", get(|State(doors): State<Arc<Doors>>| async move { list(&doors, "root.crl") }))
        .with_state(doors)
}

fn list(doors: &Doors, file: &str) -> Response {
    match fs::read(doors.identity.join(file)) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/pkix-crl")], bytes).into_response(),
        Err(error) => {
            doors.note(&format!("{file}: {error}"));
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn serve_lists(listener: Option<std::net::TcpListener>, doors: Arc<Doors>) {
    let Some(Ok(listener)) = listener.map(TcpListener::from_std) else {
        return std::future::pending().await;
    };
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let router = lists(doors);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
            let _ = timeout(CONNECTION, builder.serve_connection(TokioIo::new(stream), service)).await;
            drop(place);
        });
    }
}

async fn description(UrlPath(file): UrlPath<String>) -> Response {
    described(&file)
}

async fn describe_gateway(RawQuery(query): RawQuery) -> Response {
    if query.as_deref() == Some("wsdl") {
        described("gateway.wsdl")
    } else {
        StatusCode::METHOD_NOT_ALLOWED.into_response()
    }
}

async fn describe_registry(RawQuery(query): RawQuery) -> Response {
    if query.as_deref() == Some("wsdl") {
        described("registry.wsdl")
    } else {
        StatusCode::METHOD_NOT_ALLOWED.into_response()
    }
}

fn described(file: &str) -> Response {
    match DESCRIPTIONS.iter().find(|(name, _)| *name == file) {
        Some((_, text)) => ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], *text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn gateway(State(doors): State<Arc<Doors>>, Extension(peer): Extension<Peer>, body: Body) -> Response {
    if doors.faults.silent.is_on() {
        return hang_up();
    }
    let operations = Request::OPERATIONS.iter().copied().filter(|operation| *operation != "CheckIin");
    answer(doors, peer, operations.collect(), body).await
}

async fn registry(State(doors): State<Arc<Doors>>, Extension(peer): Extension<Peer>, body: Body) -> Response {
    answer(doors, peer, vec!["CheckIin"], body).await
}

/// Closing without a word, as a dead peer would.
fn hang_up() -> Response {
    Response::builder().status(StatusCode::SERVICE_UNAVAILABLE).body(Body::empty()).unwrap_or_default()
}

async fn answer(doors: Arc<Doors>, peer: Peer, operations: Vec<&'static str>, body: Body) -> Response {
    let bytes = match up_to_the_bound(body).await {
        Ok(bytes) => bytes,
        Err(error) => {
            doors.note(&format!("{}: a message was cut off: {error}", peer.name));
            return StatusCode::BAD_REQUEST.into_response();
        }
    };
    let working = doors.clone();
    let worked = tokio::task::spawn_blocking(move || {
        let now = (working.clock)();
        // The connection is older than the list that may have come since.
        if let Err(refused) = working.desk.trust.load().channel(&peer.certificate, now) {
            working.note(&format!("{}: {refused}", peer.name));
            return None;
        }
        working.desk.answer(&bytes, &peer.name, &operations, now)
    });
    let Ok(Some(answer)) = worked.await else { return StatusCode::FORBIDDEN.into_response() };
    doors.note(&answer.line);
    answer.alarm.iter().for_each(|alarm| doors.note(alarm));
    if answer.fault == Some(FaultCode::Unavailable) && doors.desk.is_broken() {
        doors.failed.notify_one();
    }
    if doors.faults.lose_answers.is_on() {
        return hang_up();
    }
    let status = if answer.fault.is_some() { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    (status, [(header::CONTENT_TYPE, "text/xml; charset=utf-8")], answer.envelope).into_response()
}

/// Reads a body, but no more of it than shows that it is too large: that too is answered with a signed fault.
async fn up_to_the_bound(mut body: Body) -> Result<Bytes, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        if bytes.len() > MOST_BYTES {
            break;
        }
    }
    Ok(bytes.into())
}

/// Looks after files that change while the gateway runs, and after codes whose time is over.
struct Files {
    doors: Arc<Doors>,
    channel: Arc<ArcSwap<Trust>>,
    seen: Vec<Option<(SystemTime, u64)>>,
    every: u64,
}

impl Files {
    async fn watch(mut self, mut reloads: mpsc::Receiver<oneshot::Sender<Result<(), String>>>) {
        self.changed();
        let mut look = tokio::time::interval(Duration::from_millis(self.every));
        let mut expire = tokio::time::interval(Duration::from_secs(60));
        loop {
            tokio::select! {
                _ = look.tick() => {
                    if self.changed() {
                        match self.reload() {
                            Ok(()) => self.doors.note("changed files were read"),
                            Err(error) => self.doors.note(&format!("changed files are refused: {error}")),
                        }
                    }
                }
                _ = expire.tick() => {
                    let doors = self.doors.clone();
                    let ended = tokio::task::spawn_blocking(move || doors.desk.expire((doors.clock)())).await;
                    match ended {
                        Ok(Ok(0)) => {}
                        Ok(Ok(count)) => self.doors.note(&format!("{count} codes were not redeemed in time")),
                        Ok(Err(error)) => {
                            self.doors.note(&error);
                            self.doors.failed.notify_one();
                        }
                        Err(error) => self.doors.note(&error.to_string()),
                    }
                }
                Some(reply) = reloads.recv() => {
                    self.changed();
                    let _ = reply.send(self.reload());
                }
            }
        }
    }

    fn changed(&mut self) -> bool {
        let files = ["root.crl", "ca.crl", "ca.crt"].map(|file| self.doors.identity.join(file));
        let files = files.into_iter().chain([self.doors.directory.join(GATEWAY_FILE)]);
        let stamp =
            |path: PathBuf| fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len()))).ok();
        let now: Vec<_> = files.map(stamp).collect();
        let changed = now != self.seen;
        self.seen = now;
        changed
    }

    fn reload(&self) -> Result<(), String> {
        let trust = Arc::new(Trust::read(&self.doors.identity).map_err(|refused| refused.to_string())?);
        let config = GatewayConfig::read(&self.doors.directory.join(GATEWAY_FILE))
            .map_err(|error| error.to_string())?;
        self.channel.store(trust.clone());
        self.doors.desk.trust.store(trust);
        self.doors.desk.participants.store(Arc::new(config.participants));
        Ok(())
    }
}
