//! The served center over real sockets and real TLS: who may connect, what closes a connection, what survives a restart.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use ::ring::signature::{Ed25519KeyPair, KeyPair as _};
use common::*;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::os::unix::fs::PermissionsExt as _;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
    time::Duration,
};
use tolem_center::{
    config::Config,
    keys::{CenterKeys, seal_iin},
    logic::{
        Keys as _,
        errands::{Errands as _, Made, Notice, Order, Reply},
        ledger, rebuild,
        registry::Lookup,
        store::{Store as _, Transact as _},
    },
    pki::{Identity, Pki, Profile},
    server::{
        self, Options, Running, Seen,
        errands::{Coming, Neighbours},
        system_clock, tls,
    },
    setup,
};
use tolem_protocol::{
    KioskNumber, PaymentCode, PaymentId, UtcTime,
    messages::{
        self, Deposit, DepositKind, Hello, MAX_FRAME, Method, Quote, Refusal, Request, Response, Verdict,
    },
    signed::{Signature, Signed},
};

/// A center in a directory of its own, and what it says.
struct House {
    directory: PathBuf,
    config: Config,
    running: Option<Running>,
    lines: Option<mpsc::Receiver<String>>,
    key: Ed25519KeyPair,
    identity: Identity,
    clock: fn() -> UtcTime,
}

const KIOSK: u32 = 42;

fn number() -> KioskNumber {
    KioskNumber::new(KIOSK).unwrap()
}

impl House {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = scratch("house").join("center");
        let now = system_clock();
        let mut config = setup::init(&directory, &["localhost".into()], now).unwrap();
        config.listen = "127.0.0.1:0".parse().unwrap();
        change(&mut config);
        let key = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
        let public = key.public_key().as_ref().try_into().unwrap();
        let identity = setup::enroll(&config, number(), public, None, now).unwrap();
        let mut house =
            Self { directory, config, running: None, lines: None, key, identity, clock: system_clock };
        house.start();
        house
    }

    fn start(&mut self) {
        self.start_with(None);
    }

    fn start_with(&mut self, neighbours: Option<Arc<dyn Neighbours>>) {
        self.running = None;
        let (sender, lines) = mpsc::channel();
        let sender = Mutex::new(sender);
        let observer: server::Observer = Arc::new(move |seen| {
            let line = match seen {
                Seen::Message { kiosk, to_center, line } => format!("{kiosk} {to_center} {line}"),
                Seen::Step(step) => step.to_string(),
                Seen::Note(line) => (*line).to_owned(),
            };
            let _ = sender.lock().unwrap().send(line);
        });
        let options =
            Options { config: self.config.clone(), observer: Some(observer), clock: self.clock, neighbours };
        self.running = Some(server::start(options).unwrap());
        self.lines = Some(lines);
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    fn pki(&self) -> Pki {
        Pki::at(&self.directory)
    }

    /// Waits until the center says something with `text` in it, and gives all it said up to there.
    fn hear(&self, text: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let line = self.lines.as_ref().unwrap().recv_timeout(Duration::from_secs(20));
            heard.push(line.unwrap_or_else(|_| panic!("never said {text:?}, only {heard:#?}")));
            if heard[heard.len() - 1].contains(text) {
                return heard;
            }
        }
    }

    fn client_config(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.directory.join("pki/root.crt")).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match identity {
            Some(identity) => {
                let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        })
    }

    fn dial(&self, config: Arc<ClientConfig>) -> Wire {
        let tcp = TcpStream::connect(self.running().addr).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Wire(StreamOwned::new(ClientConnection::new(config, name).unwrap(), tcp))
    }

    fn connect(&self) -> Wire {
        self.dial(self.client_config(Some(&self.identity)))
    }

    /// Tries to get in with this identity; the error that the center logs.
    fn refuses(&self, identity: Option<&Identity>, reason: &str) {
        let mut wire = self.dial(self.client_config(identity));
        assert_eq!(wire.ask(&hello(1)), None, "{reason}");
        self.hear(reason);
    }

    fn admits(&self, identity: &Identity) {
        let mut wire = self.dial(self.client_config(Some(identity)));
        assert!(matches!(wire.ask(&hello(1)), Some(Response::Welcome(_))));
    }

    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.key.sign(message).as_ref().try_into().unwrap())
    }

    fn keys(&self) -> CenterKeys {
        self.pki().keys().unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.running = None;
        let _ = fs::remove_dir_all(self.directory.parent().unwrap());
    }
}

struct Wire(StreamOwned<ClientConnection, TcpStream>);

impl Wire {
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).and_then(|()| self.0.flush()).is_ok()
    }

    /// One answer; `None` if the center closes instead.
    fn read(&mut self) -> Option<Response> {
        let mut field = [0; 4];
        self.0.read_exact(&mut field).ok()?;
        let mut body = vec![0; messages::frame_length(field).unwrap()];
        self.0.read_exact(&mut body).ok()?;
        let (number, response) = messages::decode(&body).unwrap();
        assert_eq!(number, 77, "the answer carries the number of its question");
        Some(response)
    }

    fn ask(&mut self, request: &Request) -> Option<Response> {
        self.send(&messages::encode(77, request)).then(|| self.read()).flatten()
    }

    fn greet(&mut self) -> u32 {
        match self.ask(&hello(1)) {
            Some(Response::Welcome(welcome)) => welcome.epoch,
            other => panic!("{other:?}"),
        }
    }
}

fn hello(nonce: u8) -> Request {
    Request::Hello(Hello {
        software: heapless::String::try_from("test\n1").unwrap(),
        boot_nonce: [nonce; 16],
        epoch: 0,
        journal_size: 0,
        clock: system_clock(),
        center_epoch: 0,
    })
}

fn quote(wire: &mut Wire, epoch: u32, count: u64) -> Signed<Quote> {
    let payment = PaymentId { kiosk: number(), epoch, number: count, nonce: [1; 16] };
    let request = Request::Quote {
        payment,
        service: heapless::String::try_from("id-card").unwrap(),
        payer: iin(ANNA),
        method: Method::Cash,
        balance: None,
    };
    match wire.ask(&request) {
        Some(Response::Quote(quote)) => quote,
        other => panic!("{other:?}"),
    }
}

fn deposit(house: &House, quote: &Signed<Quote>) -> Signed<Deposit> {
    let payment = quote.read_unverified().unwrap().payment;
    let mut dice = Dice(3);
    let payer = seal_iin(&house.keys().sealing_public(), &iin(ANNA), &payment, &mut || dice.next());
    let deposit = Deposit {
        payment,
        kind: DepositKind::Pay,
        quote: Some(quote.clone()),
        payer,
        notes: pile(&[1000]),
        made_at: system_clock(),
    };
    Signed::new(&deposit, |message| house.sign(message))
}

#[test]
fn a_payment_goes_over_the_wire_and_its_log_names_nobody() {
    let house = House::new();
    let mut wire = house.connect();
    let epoch = wire.greet();
    assert!(matches!(wire.ask(&Request::CheckPayer(iin(ANNA))), Some(Response::Payer(_))));
    let quote = quote(&mut wire, epoch, 1);
    let keys = house.keys();
    quote.open(|message, signature| keys.verify_own(message, signature)).unwrap();
    let Some(Response::Outcome(outcome)) = wire.ask(&Request::Commit(deposit(&house, &quote))) else {
        panic!()
    };
    let outcome = outcome.open(|message, signature| keys.verify_own(message, signature)).unwrap();
    let Verdict::Accepted { token, remainder } = outcome.verdict else { panic!() };
    let code = token.read_unverified().unwrap().code;
    let heard = house.hear("UC5.25").join("\n");
    let steps: Vec<u8> =
        heard.lines().filter_map(|line| line.strip_prefix("UC5.")?.split(' ').next()?.parse().ok()).collect();
    assert_eq!(steps, (3..=9).chain(12..=18).chain(21..=25).collect::<Vec<u8>>());
    for secret in
        [ANNA.to_owned(), format!("{code:#}"), code.to_string(), remainder.unwrap().number.to_string()]
    {
        assert!(!heard.contains(&secret), "{heard}");
    }
    assert!(heard.contains("Hello test?1 epoch 0"), "control letters never reach the log: {heard}");
    let findings = house.running().operate(|store, _| ledger::audit(store).unwrap()).unwrap();
    assert_eq!(findings, Vec::<String>::new());
}

#[test]
fn only_our_own_kiosks_get_in() {
    let house = House::new();
    let pki = house.pki();
    let now = system_clock();
    house.admits(&house.identity);
    house.refuses(None, "peer sent no certificates");
    let day = 86_400;
    let make = |from: i64, to: i64, client_auth| {
        let profile =
            Profile { not_before: now.plus_seconds(from), not_after: now.plus_seconds(to), client_auth };
        pki.make(number(), &profile).unwrap()
    };
    house.admits(&make(-day, day, true));
    house.refuses(Some(&make(-2 * day, -day, true)), "certificate expired");
    house.refuses(Some(&make(day, 2 * day, true)), "certificate not valid yet");
    house.refuses(Some(&make(-day, day, false)), "no clientAuth");
    let other = House::new();
    // Another authority that calls itself by the same name.
    house.refuses(Some(&other.identity), "invalid peer certificate: BadSignature");
    // The center's own certificate is not a kiosk's.
    let server = Identity {
        certificate: fs::read_to_string(house.directory.join("pki/server.crt")).unwrap(),
        key: fs::read_to_string(house.directory.join("pki/server.key")).unwrap().into(),
    };
    house.refuses(Some(&server), "refused");
    let der = CertificateDer::from_pem_slice(server.certificate.as_bytes()).unwrap();
    assert!(tls::kiosk_of(&der).unwrap_err().contains("clientAuth"));
    // A good certificate of a kiosk that was never registered.
    let stranger = pki.make(KioskNumber::new(7).unwrap(), &Profile::standard(now)).unwrap();
    let mut wire = house.dial(house.client_config(Some(&stranger)));
    assert_eq!(wire.ask(&hello(1)), Some(Response::Refused(Refusal::NotYours)));
}

#[test]
fn a_revoked_kiosk_is_out_at_once_and_there_is_no_resumption() {
    let house = House::new();
    let config = house.client_config(Some(&house.identity));
    for _ in 0..2 {
        let mut wire = house.dial(config.clone());
        wire.greet();
        assert_eq!(wire.0.conn.handshake_kind(), Some(HandshakeKind::Full));
    }
    let mut open = house.dial(config.clone());
    open.greet();
    house.pki().revoke(number(), system_clock()).unwrap();
    house.running().reload().unwrap();
    // Neither the connection that was open nor a new one with the same TLS session store.
    assert_eq!(open.ask(&Request::Time), None);
    house.hear("disconnected: invalid peer certificate: Revoked");
    let mut again = house.dial(config);
    assert_eq!(again.ask(&hello(1)), None);
    house.hear("refused: invalid peer certificate: Revoked");
    // A new certificate for the same kiosk is another matter.
    house.admits(&house.pki().issue(number(), system_clock()).unwrap());
}

#[test]
fn a_stale_revocation_list_admits_nobody_until_it_is_refreshed() {
    let house = House::new();
    house.pki().refresh_crl(system_clock().plus_seconds(-8 * 86_400), 7).unwrap();
    house.running().reload().unwrap();
    house.refuses(Some(&house.identity), "certificate revocation list expired");
    house.pki().refresh_crl(system_clock(), 7).unwrap();
    house.running().reload().unwrap();
    house.admits(&house.identity);
    // A list of another authority is no list.
    let other = House::new();
    fs::copy(other.directory.join("pki/device.crl"), house.directory.join("pki/device.crl")).unwrap();
    house.running().reload().unwrap();
    house.refuses(Some(&house.identity), "invalid certificate revocation list: BadSignature");
    // A broken file changes nothing.
    house.pki().refresh_crl(system_clock(), 7).unwrap();
    house.running().reload().unwrap();
    fs::write(house.directory.join("pki/device.crl"), b"rubbish").unwrap();
    assert!(house.running().reload().unwrap_err().contains("device.crl"));
    house.admits(&house.identity);
}

#[test]
fn a_list_that_goes_stale_on_an_open_connection_ends_it() {
    static AHEAD_S: AtomicI64 = AtomicI64::new(0);
    let mut house = House::new();
    house.clock = || system_clock().plus_seconds(AHEAD_S.load(Ordering::SeqCst));
    house.start();
    house.pki().refresh_crl(system_clock(), 7).unwrap();
    house.running().reload().unwrap();
    let mut wire = house.connect();
    wire.greet();
    AHEAD_S.store(6 * 86_400, Ordering::SeqCst);
    assert!(matches!(wire.ask(&Request::Time), Some(Response::Time(_))));
    AHEAD_S.store(8 * 86_400, Ordering::SeqCst);
    assert_eq!(wire.ask(&Request::Time), None);
    house.hear("device.crl went stale on the open connection");
}

/// What comes back for `question` on the port that needs no TLS.
fn plain(house: &House, question: &str) -> Vec<u8> {
    let mut tcp = TcpStream::connect(house.running().crl_addr.unwrap()).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // Whoever is cut off in the middle of a question may see a reset, at any of these.
    let mut answer = Vec::new();
    tcp.write_all(question.as_bytes())
        .and_then(|()| tcp.shutdown(std::net::Shutdown::Write))
        .and_then(|()| tcp.read_to_end(&mut answer))
        .ok();
    answer
}

#[test]
fn the_list_is_given_without_tls_and_nothing_else_is() {
    let house = House::with(|config| config.crl_listen = Some("127.0.0.1:0".parse().unwrap()));
    let list = fs::read(house.directory.join("pki/root.crl")).unwrap();
    let answer = plain(&house, "GET /crl HTTP/1.1\r\nHost: center\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(&list));
    house.hear("took the revocation list without TLS");
    let not_found = plain(&house, "GET /../keys/statement.key HTTP/1.1\r\n\r\n");
    assert!(not_found.starts_with(b"HTTP/1.1 404") && not_found.ends_with(b"\r\n\r\n"));
    assert!(plain(&house, "POST /crl HTTP/1.1\r\n\r\n").starts_with(b"HTTP/1.1 400"));
    assert_eq!(plain(&house, "GET /crl"), b"");
    house.hear("cut off");
    assert_eq!(plain(&house, &"x".repeat(5_000)).len(), 0);
    house.hear("longer than 2048 bytes");
    assert!(House::new().running().crl_addr.is_none(), "it is served only where it is configured");
}

#[test]
fn the_list_that_kiosks_judge_the_center_by_is_served() {
    let house = House::new();
    let mut wire = house.connect();
    wire.greet();
    let list = fs::read(house.directory.join("pki/root.crl")).unwrap();
    let Some(Response::Crl { total, slice }) = wire.ask(&Request::Crl { offset: 0 }) else { panic!() };
    assert_eq!((total as usize, slice.as_slice()), (list.len(), list.as_slice()));
}

#[test]
fn whatever_is_not_a_message_closes_the_connection_with_a_reason() {
    let house = House::with(|config| config.links.frame_ms = 1_000);
    let frame = messages::encode(77, &Request::Time);
    let mut other_version = frame.clone();
    other_version[4] = 99;
    let mut trailing = frame.clone();
    trailing.push(0);
    trailing[3] += 1;
    let mut random = Dice(9);
    let garbage: Vec<u8> =
        [0, 0, 0, 200].into_iter().chain((0..200).map(|_| random.next().to_le_bytes()[0])).collect();
    let large = u32::try_from(MAX_FRAME + 1).unwrap().to_be_bytes();
    for (bytes, reason) in [
        (large.as_slice(), "frame of 8193 bytes"),
        (&[0xFF; 64], "frame of 4294967295 bytes"),
        (&[0; 4], "frame of 0 bytes"),
        (&other_version, "message version 99"),
        (&trailing, "message body does not decode"),
        (&garbage, "message version"),
        (&frame[..8], "did not arrive within 1s"),
        (&frame[..2], "nothing was asked for too long"),
    ] {
        let mut wire = house.connect();
        if reason != "nothing was asked for too long" {
            wire.greet();
        }
        assert!(wire.send(bytes));
        assert_eq!(wire.read(), None, "{reason}");
        house.hear(reason);
    }
    let mut wire = house.connect();
    assert_eq!(wire.ask(&Request::Time), None);
    house.hear("the first message was not Hello");
    // Bytes that are not TLS at all, and a peer that says nothing.
    let mut plain = TcpStream::connect(house.running().addr).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    house.hear("refused: received corrupt message");
    let silent = TcpStream::connect(house.running().addr).unwrap();
    house.hear("no handshake within 1s");
    drop(silent);
    house.admits(&house.identity);
}

#[test]
fn places_are_bounded_and_a_newer_link_replaces_the_older() {
    let house = House::with(|config| config.links.most = 2);
    let (mut first, mut second) = (house.connect(), house.connect());
    first.greet();
    second.greet();
    let mut third = house.connect();
    assert_eq!(third.ask(&hello(1)), None);
    house.hear("all 2 places are taken");
    assert_eq!(first.ask(&Request::Time), None, "its kiosk came back on another connection");
    house.hear("came back on a newer connection");
    assert!(matches!(second.ask(&Request::Time), Some(Response::Time(_))));
}

#[test]
fn an_answer_lost_on_the_way_or_with_the_process_is_given_again() {
    let mut house = House::new();
    let mut wire = house.connect();
    let epoch = wire.greet();
    let quote = quote(&mut wire, epoch, 1);
    let deposit = deposit(&house, &quote);
    house.running().faults.lose_answers.set(true);
    assert_eq!(wire.ask(&Request::Commit(deposit.clone())), None);
    house.running().faults.lose_answers.set(false);
    let mut wire = house.connect();
    wire.greet();
    let first = wire.ask(&Request::Commit(deposit.clone())).unwrap();
    assert!(matches!(first, Response::Outcome(_)));
    house.start();
    let mut wire = house.connect();
    assert_eq!(wire.greet(), epoch, "the same boot has the same epoch after a restart of the center");
    assert_eq!(wire.ask(&Request::Commit(deposit)), Some(first));
    let findings = house.running().operate(|store, _| ledger::audit(store).unwrap()).unwrap();
    assert_eq!(findings, Vec::<String>::new());
}

#[test]
fn a_changed_catalogue_needs_a_new_version() {
    let mut house = House::new();
    let path = house.directory.join("catalogue.toml");
    let text = tolem_center::catalogue::REFERENCE;
    fs::write(&path, text).unwrap();
    house.config.catalogue = Some(path.clone());
    house.start();
    let version = |house: &House| house.running().operate(|_, center| center.catalogue.head.version).unwrap();
    let changed = text.replace("phone = \"1414\"", "phone = \"1415\"");
    fs::write(&path, &changed).unwrap();
    assert!(house.running().reload().unwrap_err().contains("key version: 1 is not above 1"));
    fs::write(&path, changed.replace("version = 1", "version = 2").replace("knp = 911", "knp = 9")).unwrap();
    assert!(house.running().reload().unwrap_err().contains("key knp: 9 has not three digits"));
    assert_eq!(version(&house), 1);
    fs::write(&path, changed.replace("version = 1", "version = 2")).unwrap();
    house.running().reload().unwrap();
    assert_eq!(version(&house), 2);
}

#[test]
fn a_center_is_never_founded_over_another_and_private_files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::new();
    let error = setup::init(&house.directory, &["localhost".into()], system_clock()).unwrap_err();
    assert!(error.to_string().contains("is not overwritten"), "{error}");
    assert!(Pki::create(&house.directory, &["localhost".into()], system_clock()).is_err());
    for file in [
        "center.db",
        "pki/root.key",
        "pki/device-ca.key",
        "pki/server.key",
        "pki/kiosks/kiosk-00042.key",
        "keys/statement.key",
        "keys/sealing.key",
        "keys/witness.key",
        "keys/tag.key",
    ] {
        let mode = fs::metadata(house.directory.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn missing_and_broken_files_are_named() {
    for file in
        ["pki/server.key", "pki/device-ca.crt", "pki/device.crl", "pki/root.crl", "keys/tag.key", "center.db"]
    {
        let mut house = House::new();
        house.running = None;
        let path = house.directory.join(file);
        for broken in [true, false] {
            if broken {
                fs::write(&path, b"rubbish").unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            let options = Options {
                config: house.config.clone(),
                observer: None,
                clock: system_clock,
                neighbours: None,
            };
            let error = server::start(options).err().map(|error| format!("{error:#}")).unwrap();
            let named = error.contains(file.rsplit('/').next().unwrap()) || error.contains("database");
            assert!(named, "{file}: {error}");
        }
    }
}

/// A gateway that answers when the test lets it, and remembers what it did.
struct Slow {
    open: tokio::sync::Semaphore,
    asked: Mutex<Vec<PaymentId>>,
    told: Mutex<Vec<PaymentCode>>,
}

impl Slow {
    fn new() -> Self {
        Self { open: tokio::sync::Semaphore::new(0), asked: Mutex::default(), told: Mutex::default() }
    }

    async fn passes(&self) {
        self.open.acquire().await.unwrap().forget();
    }
}

impl Neighbours for Slow {
    fn check_payer<'a>(&'a self, _: &'a tolem_protocol::Iin) -> Coming<'a, Lookup> {
        Box::pin(async { Lookup::Right { name: heapless::String::new() } })
    }

    fn create_code<'a>(&'a self, order: &'a Order) -> Coming<'a, Reply<Made>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(order.payment);
            self.passes().await;
            let code = PaymentCode::from_random(order.payment.number);
            Reply::Done(Made { code, valid_until: order.valid_until, is_paid: false })
        })
    }

    fn deliver<'a>(&'a self, notice: &'a Notice) -> Coming<'a, Reply<()>> {
        Box::pin(async move {
            self.passes().await;
            self.told.lock().unwrap().push(notice.code);
            Reply::Done(())
        })
    }
}

#[test]
fn a_slow_gateway_stops_no_other_kiosk_and_no_restart_loses_what_it_owes() {
    let mut house = House::new();
    let slow = Arc::new(Slow::new());
    house.start_with(Some(slow.clone()));
    let other = KioskNumber::new(43).unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&[6; 32]).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    let neighbour = setup::enroll(&house.config, other, public, None, system_clock()).unwrap();

    let mut wire = house.connect();
    let epoch = wire.greet();
    assert!(matches!(wire.ask(&Request::CheckPayer(iin(ANNA))), Some(Response::Payer(_))));
    let quoted = quote(&mut wire, epoch, 1);
    let paying = deposit(&house, &quoted);
    assert!(wire.send(&messages::encode(77, &Request::Commit(paying.clone()))));
    house.hear("Commit");
    // The gateway sits on it. Another kiosk is served meanwhile.
    let mut second = house.dial(house.client_config(Some(&neighbour)));
    second.greet();
    assert!(matches!(second.ask(&Request::CheckPayer(iin(BOLAT))), Some(Response::Payer(_))));
    let booked = |house: &House| house.running().operate(|store, _| ledger::totals(store).unwrap().len());
    assert_eq!(booked(&house), Some(0), "nothing is booked yet");
    slow.open.add_permits(1);
    let Some(Response::Outcome(answer)) = wire.read() else { panic!() };
    assert_eq!(slow.asked.lock().unwrap().len(), 1);

    // A second payment; the center dies with the code on its way and the first notice undelivered.
    let mut wire = house.connect();
    let epoch = wire.greet();
    let quoted = quote(&mut wire, epoch, 2);
    let second_payment = deposit(&house, &quoted);
    assert!(wire.send(&messages::encode(77, &Request::Commit(second_payment.clone()))));
    house.hear("Commit");
    house.running().operate(|_, _| ()).unwrap();
    house.start_with(Some(slow.clone()));
    slow.open.add_permits(100);
    house.hear("UC5.25");
    house.hear("UC5.25");
    let mut wire = house.connect();
    wire.greet();
    assert_eq!(wire.ask(&Request::Commit(paying)), Some(Response::Outcome(answer)), "the very same answer");
    assert!(matches!(wire.ask(&Request::Commit(second_payment)), Some(Response::Outcome(_))));
    let told: Vec<u64> = {
        let mut told: Vec<u64> = slow.told.lock().unwrap().iter().map(|code| u64::from(*code)).collect();
        told.sort_unstable();
        told.dedup();
        told
    };
    let mut codes = [1, 2].map(|number| u64::from(PaymentCode::from_random(number)));
    codes.sort_unstable();
    assert_eq!(told, codes);
    let (open, findings) = house
        .running()
        .operate(|store, _| (store.notices_open().unwrap().0, ledger::audit(store).unwrap()))
        .unwrap();
    assert_eq!((open, findings), (0, vec![]));
}

#[test]
fn a_restored_center_sells_nothing_over_the_wire_until_its_kiosk_has_told() {
    let mut house = House::new();
    let mut wire = house.connect();
    let epoch = wire.greet();
    let old = house.running().operate(|store, _| store.center_epoch().unwrap()).unwrap();
    let quoted = quote(&mut wire, epoch, 1);
    let paying = deposit(&house, &quoted);
    let backup = house.directory.join("backup.db");
    let copy = backup.clone();
    let saved =
        house.running().operate(move |store, _| store.back_up(&copy).map_err(|error| error.to_string()));
    assert_eq!(saved, Some(Ok(())));
    let mode = fs::metadata(&backup).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "whose money it is nobody else reads");
    let Some(Response::Outcome(answer)) = wire.ask(&Request::Commit(paying.clone())) else { panic!() };
    // The disk dies; the backup of before the payment comes back.
    house.running = None;
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(house.directory.join(format!("center.db{end}")));
    }
    fs::rename(&backup, house.directory.join("center.db")).unwrap();
    let mut store = tolem_center::sqlite::SqliteStore::open(&house.directory.join("center.db")).unwrap();
    let mut dice = Dice(99);
    store.transact(|store| rebuild::begin(store, system_clock(), &mut || dice.next())).unwrap();
    drop(store);
    house.start();
    let mut wire = house.connect();
    let Request::Hello(mut greeting) = hello(1) else { panic!() };
    greeting.center_epoch = old;
    let Some(Response::Welcome(welcome)) = wire.ask(&Request::Hello(greeting.clone())) else { panic!() };
    assert_ne!(welcome.center_epoch, old);
    let rebuilding = Some(Response::Refused(Refusal::Rebuilding));
    assert_eq!(wire.ask(&Request::CheckPayer(iin(ANNA))), rebuilding);
    assert_eq!(wire.ask(&Request::Commit(paying.clone())), rebuilding);
    let recall = Request::Recall { deposit: paying.clone(), outcome: answer.clone() };
    assert_eq!(wire.ask(&recall), Some(Response::Recalled));
    greeting.center_epoch = welcome.center_epoch;
    assert!(matches!(wire.ask(&Request::Hello(greeting)), Some(Response::Welcome(_))));
    assert_eq!(wire.ask(&Request::Commit(paying)), Some(Response::Outcome(answer)));
    assert!(matches!(wire.ask(&Request::CheckPayer(iin(ANNA))), Some(Response::Payer(_))));
}

#[test]
fn a_payment_goes_through_a_real_gateway_and_its_code_is_used_once() {
    use tolem_center::gateway::{
        GatewayClient, server as gateway, setup as gateway_setup,
        words::{State, Token, ValidateUpc},
    };
    let mut house = House::new();
    let directory = house.directory.parent().unwrap().join("gateway");
    let mut config = gateway_setup::init(&directory, &["localhost".into()], system_clock()).unwrap();
    config.listen = "127.0.0.1:0".parse().unwrap();
    let served = gateway::start(gateway::Options { config, observer: None, clock: system_clock }).unwrap();
    for party in ["bank", "portal"] {
        let at = format!("localhost:{}", served.addr.port());
        gateway_setup::tell_whereabouts(&directory.join("parties").join(party), &at).unwrap();
    }
    house.config.gateway = Some(directory.join("parties/bank"));
    house.start();
    let mut wire = house.connect();
    let epoch = wire.greet();
    assert!(matches!(wire.ask(&Request::CheckPayer(iin(ANNA))), Some(Response::Payer(_))));
    served.faults.registry_down.set(true);
    let unknown = wire.ask(&Request::CheckPayer(iin(ANNA)));
    assert_eq!(unknown, Some(Response::Payer(messages::PayerCheck::Unavailable)));
    served.faults.registry_down.set(false);

    // The gateway makes the code and its answer gets lost: the kiosk is told to ask again, and gets that very code.
    let quoted = quote(&mut wire, epoch, 1);
    let paying = deposit(&house, &quoted);
    served.faults.lose_answers.set(true);
    let lost = wire.ask(&Request::Commit(paying.clone()));
    assert_eq!(lost, Some(Response::Refused(Refusal::Unavailable)));
    served.faults.lose_answers.set(false);
    house.hear("UC5.25");
    let Some(Response::Outcome(answer)) = wire.ask(&Request::Commit(paying)) else { panic!() };
    let keys = house.keys();
    let outcome = answer.open(|message, signature| keys.verify_own(message, signature)).unwrap();
    let Verdict::Accepted { token, .. } = outcome.verdict else { panic!() };
    let token = token.read_unverified().unwrap();
    let portal = GatewayClient::open(&directory.join("parties/portal")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let redeem = |number: &str| {
        let request = ValidateUpc {
            message_id: Token::random(),
            request: Token::new(number).unwrap(),
            code: token.code,
            recipient: iin(ANNA),
            service: token.service.clone(),
            consume: true,
        };
        runtime.block_on(portal.validate_upc(&request))
    };
    let used = redeem("R1").unwrap();
    assert_eq!((used.state, used.amount), (State::Used, token.fee));
    assert!(redeem("R2").is_err(), "once");
    let open = house.running().operate(|store, _| store.notices_open().unwrap().0);
    assert_eq!(open, Some(0));
}
