//! The link against a small TLS server: who is let in, who is refused, and what a broken peer does to it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "../src/scratch.rs"]
mod scratch;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ED25519, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use scratch::Scratch;
use std::{fs, future::Future, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tolem_core::kiosk::LinkFault;
use tolem_firmware::{
    config::{Center, Config},
    link::{
        Link, LinkEvent, LinkOrder, Timing,
        list::{in_force, take},
        tls::{Clock, client_config},
    },
};
use tolem_protocol::{
    Amount, UtcTime,
    messages::{Hello, Limits, Request, Response, Welcome, decode, encode},
};

/// 2027-01-01: all certificates here are good then, whatever the machine's clock says.
const NOW: i64 = 1_798_761_600;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).unwrap()
}

fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, key()).unwrap()
}

struct Leaf {
    pem: String,
    key: String,
}

const SERVER_SERIAL: u64 = 7;

fn leaf(issuer: &Issuer, name: &str, purpose: ExtendedKeyUsagePurpose, years: (i32, i32)) -> Leaf {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![purpose];
    params.serial_number = Some(SerialNumber::from(SERVER_SERIAL));
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    let key = key();
    let certificate = params.signed_by(&key, issuer).unwrap();
    Leaf { pem: certificate.pem(), key: key.serialize_pem() }
}

fn revocation_list(issuer: &Issuer, revoked: bool, until_year: i32) -> String {
    numbered_list(issuer, revoked, until_year, 1)
}

/// Lists of one issuer are told apart by their number.
fn numbered_list(issuer: &Issuer, revoked: bool, until_year: i32, number: u64) -> String {
    let revoked = revoked.then(|| RevokedCertParams {
        serial_number: SerialNumber::from(SERVER_SERIAL),
        revocation_time: date_time_ymd(2026, 2, 1),
        reason_code: None,
        invalidity_date: None,
    });
    CertificateRevocationListParams {
        this_update: date_time_ymd(2025, 1, 1),
        next_update: date_time_ymd(until_year, 1, 1),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.into_iter().collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
    .signed_by(issuer)
    .unwrap()
    .pem()
    .unwrap()
}

/// A public-key infrastructure, its files, and the settings that point to them.
struct Pki {
    dir: Scratch,
    servers: Issuer,
    devices: Issuer,
    server: Leaf,
}

impl Pki {
    fn new() -> Self {
        let (servers, devices) = (authority("servers"), authority("devices"));
        let server = leaf(&servers, "center.example.kz", ExtendedKeyUsagePurpose::ServerAuth, (2026, 2030));
        let kiosk = leaf(&devices, "kiosk-00042", ExtendedKeyUsagePurpose::ClientAuth, (2026, 2030));
        let dir = Scratch::new("link");
        let pki = Self { dir, servers, devices, server };
        pki.write("ca.pem", &pki.servers.pem());
        pki.write("kiosk.pem", &kiosk.pem);
        pki.write("kiosk.key", &kiosk.key);
        pki
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn settings(&self, port: u16) -> Center {
        let example = include_str!("../../deploy/kiosk.toml");
        let center = Config::parse(Path::new("kiosk.toml"), example).unwrap().center;
        let file = |name: &str| self.dir.path().join(name);
        Center {
            host: "127.0.0.1".into(),
            port,
            ca: file("ca.pem"),
            certificate: file("kiosk.pem"),
            key: file("kiosk.key"),
            ..center
        }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.devices.der().clone()).unwrap();
        let provider = Arc::new(default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let mut config = ServerConfig::builder_with_details(provider, Arc::new(Clock::with_wall(|| NOW)))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(self.server.pem.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(self.server.key.as_bytes()).unwrap(),
            )
            .unwrap();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        TlsAcceptor::from(Arc::new(config))
    }
}

fn quick() -> Timing {
    Timing {
        frame: Duration::from_millis(50),
        silence: Duration::from_millis(200),
        retry_first: Duration::from_millis(2),
        retry_last: Duration::from_millis(4),
        ..Timing::default()
    }
}

/// What the test holds of a running link.
struct Held {
    orders: mpsc::Sender<LinkOrder>,
    events: mpsc::Receiver<LinkEvent>,
}

impl Held {
    async fn event(&mut self) -> LinkEvent {
        tokio::time::timeout(Duration::from_secs(20), self.events.recv()).await.unwrap().unwrap()
    }

    /// The next loss; connections before it are passed over, answers are not expected.
    async fn lost(&mut self) -> (LinkFault, String) {
        loop {
            match self.event().await {
                LinkEvent::Lost { fault, reason } => return (fault, reason),
                LinkEvent::Connected => {}
                LinkEvent::Answer { .. } => panic!("an answer"),
            }
        }
    }

    async fn send(&self, number: u32, request: Request) {
        self.orders.send(LinkOrder::Send { number, request: Box::new(request) }).await.unwrap();
    }
}

fn hello() -> Request {
    Request::Hello(Hello {
        software: "test".try_into().unwrap(),
        boot_nonce: [1; 16],
        epoch: 0,
        journal_size: 0,
        clock: UtcTime(0),
        center_epoch: 0,
    })
}

fn welcome() -> Response {
    let zero = Amount::ZERO;
    Response::Welcome(Welcome {
        epoch: 1,
        center_epoch: 1,
        clock: UtcTime::from_seconds(NOW + 500),
        catalogue: 1,
        limits: Limits {
            per_payment: zero,
            per_day: zero,
            unsettled_total: zero,
            unsettled_count: 0,
            unsettled_age_s: 0,
            answer_wait_s: 0,
            print_whole_iin: false,
        },
    })
}

async fn read_request(stream: &mut (impl AsyncReadExt + Unpin)) -> (u32, Request) {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.unwrap();
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).await.unwrap();
    decode(&frame).unwrap()
}

/// Runs a link, `server` for each TCP connection, and `test`, on one thread.
fn bench<S, T>(
    change: impl FnOnce(&Pki, &mut Center),
    clock: Arc<Clock>,
    server: impl Fn(TcpStream, TlsAcceptor) -> S + 'static,
    test: impl FnOnce(Held) -> T,
) where
    S: Future<Output = ()> + 'static,
    T: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pki = Pki::new();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut center = pki.settings(listener.local_addr().unwrap().port());
        change(&pki, &mut center);
        let acceptor = pki.acceptor();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(server(stream, acceptor.clone()));
            }
        });
        let (orders, order_end) = mpsc::channel(8);
        let (event_end, events) = mpsc::channel(8);
        let link = Link { center, clock, timing: quick(), seed: 42 };
        tokio::task::spawn_local(link.run(order_end, event_end));
        test(Held { orders, events }).await;
    });
}

fn good_clock() -> Arc<Clock> {
    Arc::new(Clock::with_wall(|| NOW))
}

/// Answers hello with welcome and the clock with the clock, for ever.
async fn polite(stream: TcpStream, acceptor: TlsAcceptor) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut length = [0; 4];
    while stream.read_exact(&mut length).await.is_ok() {
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut frame).await.unwrap();
        let (number, request) = decode::<Request>(&frame).unwrap();
        let response = match request {
            Request::Hello(_) => welcome(),
            _ => Response::Time(UtcTime::from_seconds(NOW + 900)),
        };
        stream.write_all(&encode(number, &response)).await.unwrap();
        stream.flush().await.unwrap();
    }
}

fn refused(change: impl FnOnce(&Pki, &mut Center), clock: Arc<Clock>, fault: LinkFault, words: &str) {
    bench(change, clock, polite, async |mut held| {
        let (found, reason) = held.lost().await;
        assert!(found == fault && reason.contains(words), "{found:?}: {reason}");
    });
}

#[test]
fn questions_are_answered_over_mutual_tls_and_the_centers_clock_is_learnt() {
    let clock = good_clock();
    bench(
        |_, _| {},
        clock.clone(),
        polite,
        async |mut held| {
            assert!(matches!(held.event().await, LinkEvent::Connected));
            held.send(3, hello()).await;
            let LinkEvent::Answer { number: 3, response } = held.event().await else { panic!("no welcome") };
            assert_eq!(*response, welcome());
            held.send(4, Request::Time).await;
            let LinkEvent::Answer { number: 4, response } = held.event().await else { panic!("no time") };
            assert_eq!(*response, Response::Time(UtcTime::from_seconds(NOW + 900)));
        },
    );
    assert_eq!(clock.now().seconds(), NOW + 900);
}

#[test]
fn a_center_of_another_authority_is_refused() {
    refused(
        |pki, _| pki.write("ca.pem", &authority("servers").pem()),
        good_clock(),
        LinkFault::Refused,
        "invalid peer certificate",
    );
}

#[test]
fn a_center_of_another_name_is_refused() {
    refused(
        |_, center| center.server_name = "other.example.kz".into(),
        good_clock(),
        LinkFault::Refused,
        "not valid for name \"other.example.kz\"",
    );
}

#[test]
fn an_expired_center_is_refused_and_the_reason_shows_our_clock() {
    // 2040: the certificate is expired, or the clock is wrong; the words let a technician see which.
    let clock = Arc::new(Clock::with_wall(|| 2_208_988_800));
    refused(|_, _| {}, clock, LinkFault::Refused, "our clock: 01.01.2040");
}

#[test]
fn a_clock_at_1970_does_not_lock_the_kiosk_out() {
    bench(
        |_, _| {},
        Arc::new(Clock::with_wall(|| 0)),
        polite,
        async |mut held| {
            assert!(matches!(held.event().await, LinkEvent::Connected));
        },
    );
}

#[test]
fn a_revoked_center_and_a_stale_list_are_refused() {
    let with_list = |revoked, until| {
        move |pki: &Pki, center: &mut Center| {
            pki.write("center.crl", &revocation_list(&pki.servers, revoked, until));
            center.crl = Some(pki.dir.path().join("center.crl"));
        }
    };
    refused(with_list(true, 2030), good_clock(), LinkFault::Refused, "Revoked");
    refused(with_list(false, 2026), good_clock(), LinkFault::Refused, "xpired");
    let other = |pki: &Pki, center: &mut Center| {
        pki.write("center.crl", &revocation_list(&pki.devices, false, 2030));
        center.crl = Some(pki.dir.path().join("center.crl"));
    };
    refused(other, good_clock(), LinkFault::Refused, "is not signed by the authority");
    bench(with_list(false, 2030), good_clock(), polite, async |mut held| {
        assert!(matches!(held.event().await, LinkEvent::Connected));
    });
}

/// A list in DER, as the center sends it.
fn der(pem: &str) -> Vec<u8> {
    rustls::pki_types::CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap().as_ref().to_vec()
}

#[test]
fn only_a_newer_list_of_the_authority_replaces_the_file() {
    let pki = Pki::new();
    let path = pki.dir.path().join("center.crl");
    let center = Center { crl: Some(path.clone()), ..pki.settings(1) };
    let now = UtcTime::from_seconds(NOW);
    let list = |number, until| der(&numbered_list(&pki.servers, false, until, number));
    let refused = |bytes: &[u8], words: &str| {
        let before = fs::read(&path).ok();
        let error = take(&center, &path, bytes, now).unwrap_err();
        assert!(error.contains(words), "{error}");
        assert_eq!(fs::read(&path).ok(), before, "the file is as it was");
    };
    assert!(in_force(&center, &path, now).unwrap_err().contains("No such file"));
    assert_eq!(take(&center, &path, &list(5, 2030), now), Ok(true), "the first one");
    assert_eq!(in_force(&center, &path, now).unwrap().good_until.local().to_string(), "01.01.2030 05:00:00");
    assert_eq!(take(&center, &path, &list(5, 2030), now), Ok(false), "the same again");
    refused(&list(4, 2031), "older than the one in force");
    refused(&list(6, 2026), "expired on 01.01.2026");
    refused(&der(&numbered_list(&pki.devices, false, 2030, 9)), "is not signed by the authority");
    refused(b"rubbish", "not a revocation list");
    let mut forged = list(9, 2030);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    refused(&forged, "is not signed by the authority");
    assert_eq!(take(&center, &path, &list(6, 2031), now), Ok(true), "a newer one");
    // A damaged file locks nobody out.
    fs::write(&path, "rubbish").unwrap();
    assert_eq!(take(&center, &path, &list(7, 2031), now), Ok(true));
    assert_eq!(fs::read_dir(pki.dir.path()).unwrap().count(), 4, "nothing is left lying about");
}

#[test]
fn a_center_that_a_new_list_revokes_is_left_at_once() {
    let made = std::cell::OnceCell::new();
    bench(
        |pki, center| {
            pki.write("center.crl", &numbered_list(&pki.servers, false, 2030, 1));
            let file = pki.dir.path().join("center.crl");
            center.crl = Some(file.clone());
            made.set((file, numbered_list(&pki.servers, true, 2030, 2))).unwrap();
        },
        good_clock(),
        polite,
        async |mut held| {
            assert!(matches!(held.event().await, LinkEvent::Connected));
            held.orders.send(LinkOrder::Judge).await.unwrap();
            held.send(3, hello()).await;
            assert!(matches!(held.event().await, LinkEvent::Answer { .. }), "it is not revoked yet");
            let (file, revoking) = made.get().unwrap();
            fs::write(file, revoking).unwrap();
            held.orders.send(LinkOrder::Judge).await.unwrap();
            let (fault, reason) = held.lost().await;
            assert!(fault == LinkFault::Refused && reason.contains("Revoked"), "{fault:?}: {reason}");
        },
    );
}

/// TLS 1.3 lets the client finish before the server has judged it: connected, and lost at the first read.
#[test]
fn a_kiosk_that_the_center_refuses_learns_it_after_connecting() {
    let stranger = |pki: &Pki, _: &mut Center| {
        let leaf =
            leaf(&authority("devices"), "kiosk-00042", ExtendedKeyUsagePurpose::ClientAuth, (2026, 2030));
        pki.write("kiosk.pem", &leaf.pem);
        pki.write("kiosk.key", &leaf.key);
    };
    let expired = |pki: &Pki, _: &mut Center| {
        let leaf = leaf(&pki.devices, "kiosk-00042", ExtendedKeyUsagePurpose::ClientAuth, (2024, 2025));
        pki.write("kiosk.pem", &leaf.pem);
        pki.write("kiosk.key", &leaf.key);
    };
    let server_certificate = |pki: &Pki, _: &mut Center| {
        let leaf = leaf(&pki.devices, "kiosk-00042", ExtendedKeyUsagePurpose::ServerAuth, (2026, 2030));
        pki.write("kiosk.pem", &leaf.pem);
        pki.write("kiosk.key", &leaf.key);
    };
    refused(stranger, good_clock(), LinkFault::Refused, "received fatal alert");
    refused(expired, good_clock(), LinkFault::Refused, "received fatal alert");
    refused(server_certificate, good_clock(), LinkFault::Refused, "received fatal alert");
}

#[test]
fn own_files_that_are_not_usable_are_named() {
    let pki = Pki::new();
    let check = |change: &dyn Fn(&mut Center), words: &str| {
        let mut center = pki.settings(1);
        change(&mut center);
        let error = client_config(&center, &good_clock()).err().unwrap();
        assert!(error.contains(words), "{error}");
    };
    pki.write("empty.pem", "");
    pki.write("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let file = |name: &str| pki.dir.path().join(name);
    check(&|center| center.ca = file("absent.pem"), "absent.pem: No such file");
    check(&|center| center.ca = file("empty.pem"), "empty.pem: no certificate in PEM");
    check(&|center| center.ca = file("garbage.pem"), "garbage.pem: ");
    check(&|center| center.certificate = file("empty.pem"), "empty.pem: no certificate in PEM");
    check(&|center| center.key = file("kiosk.pem"), "kiosk.pem: not a private key in PEM");
    check(&|center| center.crl = Some(file("kiosk.pem")), "kiosk.pem: not a revocation list in PEM");
    pki.write("other.key", &key().serialize_pem());
    check(&|center| center.key = file("other.key"), "other.key: keys may not be consistent");
    fs::set_permissions(file("kiosk.key"), PermissionsExt::from_mode(0o644)).unwrap();
    check(&|_| {}, "kiosk.key: others can read it (mode 0644)");
}

/// A server that sends `bytes` after the handshake and then holds still.
fn peer_that_sends(bytes: &'static [u8], fault: LinkFault, words: &str) {
    let server = move |stream: TcpStream, acceptor: TlsAcceptor| async move {
        let Ok(mut stream): Result<TlsStream<TcpStream>, _> = acceptor.accept(stream).await else { return };
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        stream.read_u8().await.ok();
    };
    bench(
        |_, _| {},
        good_clock(),
        server,
        async |mut held| {
            let (found, reason) = held.lost().await;
            assert!(found == fault && reason.contains(words), "{found:?}: {reason}");
            assert!(matches!(held.event().await, LinkEvent::Connected), "and it comes back");
        },
    );
}

#[test]
fn what_is_no_message_ends_the_connection() {
    peer_that_sends(&[0xff; 4], LinkFault::Protocol, "frame of 4294967295 bytes, allowed are 6..=8192");
    peer_that_sends(&[0; 4], LinkFault::Protocol, "frame of 0 bytes");
    peer_that_sends(&[0, 0, 0, 6, 99, 0, 0, 0, 1, 0], LinkFault::Protocol, "message version 99");
    peer_that_sends(&[0, 0, 0, 6, 1, 0, 0, 0, 1, 0xff], LinkFault::Protocol, "message body does not decode");
}

#[test]
fn a_peer_that_falls_silent_is_left() {
    peer_that_sends(&[], LinkFault::Timeout, "silent");
    peer_that_sends(&[0, 0, 0, 200, 1, 0], LinkFault::Timeout, "silent");
}

#[test]
fn a_peer_that_closes_or_does_not_speak_tls_is_told_apart() {
    let closing = async |stream: TcpStream, acceptor: TlsAcceptor| {
        if let Ok(mut stream) = acceptor.accept(stream).await {
            stream.shutdown().await.ok();
        }
    };
    bench(
        |_, _| {},
        good_clock(),
        closing,
        async |mut held| {
            assert_eq!(held.lost().await.0, LinkFault::Closed);
        },
    );
    let web_server = async |mut stream: TcpStream, _: TlsAcceptor| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream.read_u8().await.ok();
    };
    bench(
        |_, _| {},
        good_clock(),
        web_server,
        async |mut held| {
            let (fault, reason) = held.lost().await;
            assert!(fault == LinkFault::Protocol && reason.contains("does not speak TLS"), "{reason}");
        },
    );
    refused(
        |_, center| center.host = "center.invalid".into(),
        good_clock(),
        LinkFault::Unreachable,
        "center.invalid:",
    );
    // A port that was just free: nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    refused(move |_, center| center.port = port, good_clock(), LinkFault::Unreachable, "refused");
}

#[test]
fn questions_from_before_the_hello_are_not_sent() {
    let server = async |stream: TcpStream, acceptor: TlsAcceptor| {
        let mut stream = acceptor.accept(stream).await.unwrap();
        // The answer's number tells which question came first.
        let (number, request) = read_request(&mut stream).await;
        assert!(matches!(request, Request::Hello(_)), "{request:?}");
        stream.write_all(&encode(number, &welcome())).await.unwrap();
        stream.read_u8().await.ok();
    };
    bench(
        |_, _| {},
        good_clock(),
        server,
        async |mut held| {
            assert!(matches!(held.event().await, LinkEvent::Connected));
            held.send(1, Request::Catalogue).await;
            held.send(2, Request::Time).await;
            held.send(3, hello()).await;
            assert!(matches!(held.event().await, LinkEvent::Answer { number: 3, .. }));
        },
    );
}

#[test]
fn the_kiosk_can_ask_for_a_new_connection() {
    bench(
        |_, _| {},
        good_clock(),
        polite,
        async |mut held| {
            assert!(matches!(held.event().await, LinkEvent::Connected));
            held.orders.send(LinkOrder::Reconnect).await.unwrap();
            assert_eq!(held.lost().await, (LinkFault::Closed, "given up by the kiosk".into()));
            assert!(matches!(held.event().await, LinkEvent::Connected));
        },
    );
}
