//! The center's line to the acquirer, served from both sides: sign-on over TLS with codes, what is owed is said until it is
//! acknowledged, connections break and come again, and nobody who cannot prove himself is believed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};
use tolem_center::{
    acquirer::setup as acquirer_setup,
    config::Config,
    logic::{
        acquirer::{self, Acquiring as _, Ask, Begun, Standing, Why},
        store::Transact as _,
    },
    server::{self, Options, Running, Seen},
    setup,
};
use tolem_firmware::demo::acquirer as host;
use tolem_hal_sim::issuer::{
    Mood, TestIssuer,
    served::{HostOptions, Log, ServedIssuer, serve},
};
use tolem_protocol::{Amount, KioskNumber, PaymentId, UtcTime, emv::CardNumber};
use tolem_tests::secrets::SearchedFolder;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const TERMINAL: [u8; 8] = *b"KSK00042";

/// The clock of the centers in this file runs ahead by so many seconds; it is moved by tests that wait for a pause.
static AHEAD: AtomicI64 = AtomicI64::new(0);

fn clock() -> UtcTime {
    server::system_clock().plus_seconds(AHEAD.load(Ordering::SeqCst))
}

/// Lines from one side, waited for without looking at a clock.
struct Lines(Receiver<String>);

impl Lines {
    fn new() -> (Sender<String>, Self) {
        let (sender, receiver) = channel();
        (sender, Self(receiver))
    }

    /// The next line with these words in it.
    fn until(&self, words: &str) -> String {
        let (mut seen, end) = (Vec::new(), Instant::now() + PATIENCE);
        loop {
            match self.0.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no {words:?} in {seen:#?}"),
            }
        }
    }
}

/// A center's directory with an acquirer's folder beside it.
struct Place {
    folder: SearchedFolder,
    config: Config,
}

impl Place {
    fn new() -> Self {
        let folder = SearchedFolder::new("tolem-");
        acquirer_setup::init(&folder.path().join("acquirer"), &["127.0.0.1".into()], clock()).unwrap();
        let directory = folder.path().join("center");
        setup::init(&directory, &["127.0.0.1".into()], clock()).unwrap();
        let file = directory.join(setup::CONFIG_FILE);
        let mut config = acquirer_setup::attach(&file, Path::new("../acquirer/center")).unwrap();
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { folder, config }
    }

    fn acquirer(&self) -> PathBuf {
        self.folder.path().join("acquirer")
    }

    /// Where the host is; `more` are further keys.
    fn tell(&self, host: SocketAddr, more: &str) {
        let folder = self.acquirer().join("center");
        acquirer_setup::tell_whereabouts(&folder, &host.to_string()).unwrap();
        let file = folder.join("acquirer.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, text + more).unwrap();
    }

    fn center(&self) -> (Running, Lines) {
        let (sender, lines) = Lines::new();
        let sender = Mutex::new(sender);
        let observer: server::Observer = Arc::new(move |seen| {
            if let Seen::Note(line) = seen {
                let _ = sender.lock().unwrap().send((*line).to_owned());
            }
        });
        let options =
            Options { config: self.config.clone(), observer: Some(observer), clock, neighbours: None };
        (server::start(options).unwrap(), lines)
    }

    /// A host with TLS and codes.
    fn host(&self, listener: TcpListener, issuer: &Arc<Mutex<TestIssuer>>) -> (ServedIssuer, Lines) {
        let (log, lines) = log();
        let options = host::options(&self.acquirer(), Some(log)).unwrap();
        (serve(listener, issuer.clone(), options).unwrap(), lines)
    }
}

fn log() -> (Log, Lines) {
    let (sender, lines) = Lines::new();
    let sender = Mutex::new(sender);
    (Arc::new(move |line: &str| drop(sender.lock().unwrap().send(line.to_owned()))), lines)
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn issuer() -> Arc<Mutex<TestIssuer>> {
    Arc::new(Mutex::new(TestIssuer::common()))
}

fn number() -> CardNumber {
    CardNumber::parse(concat!("5413", "3300", "8902", "0011")).unwrap()
}

fn payment(number: u64) -> PaymentId {
    PaymentId { kiosk: KioskNumber::new(42).unwrap(), epoch: 3, number, nonce: [0xAB; 16] }
}

fn ask(n: u64, sealed_number: Vec<u8>) -> Ask {
    let (terminal, merchant) = (TERMINAL, *b"KIOSKTEST000001");
    let amount = Amount::from_tenge(1_500);
    Ask { payment: payment(n), terminal, merchant, amount, sealed_number, outcome: None }
}

/// A request that an earlier life of the center has sent, and nobody has answered.
fn unanswered(center: &Running, n: u64) {
    center
        .operate(move |store, center| {
            let sealed_number =
                center.keys.seal_number(&number().into(), &payment(n), [u8::try_from(n).unwrap(); 12]);
            let ask = ask(n, sealed_number);
            let now = clock().plus_seconds(-61);
            let begun = store.transact(|store| acquirer::begin(store, now, ask.clone())).unwrap();
            assert!(matches!(begun, Begun::Send(_)));
        })
        .unwrap();
}

/// Asks the center until a payment stands so.
fn until_standing(center: &Running, n: u64, wanted: Standing) {
    let end = Instant::now() + PATIENCE;
    loop {
        let row = center.operate(move |store, _| store.card(&payment(n)).unwrap().unwrap()).unwrap();
        if row.standing == wanted {
            return;
        }
        assert!(Instant::now() < end, "payment {n} is still {:?}", row.standing);
        std::thread::yield_now();
    }
}

#[test]
fn what_is_owed_is_said_until_it_is_acknowledged_and_the_number_is_nowhere_on_the_disk() {
    let place = Place::new();
    let (socket, addr) = listener();
    place.tell(addr, "");
    let issuer = issuer();
    let (host, said) = place.host(socket, &issuer);
    let (center, notes) = place.center();
    notes.until("signed on");
    host.issuer().moods.extend([Mood::LosesRequest, Mood::LosesAnswer]);
    unanswered(&center, 1);
    said.until("< 0420");
    said.until("no answer");
    for kind in ["< 0421", "< 0421"] {
        AHEAD.fetch_add(700, Ordering::SeqCst);
        said.until(kind);
    }
    said.until("> 0430");
    until_standing(&center, 1, Standing::Reversed);
    let row = center.operate(|store, _| store.card(&payment(1)).unwrap().unwrap()).unwrap();
    assert!(row.sealed_number.is_empty() && row.tries == 3, "{row:?}");

    // While it is open, the number is kept: sealed.
    host.issuer().moods.push_back(Mood::LosesRequest);
    unanswered(&center, 2);
    said.until("no answer");
    drop(center);
    let text = concat!("5413", "3300", "8902", "0011");
    let digits: Vec<u8> = number().digits().to_vec();
    let packed = [0x54, 0x13, 0x33, 0x00, 0x89, 0x02, 0x00, 0x11];
    let mut scanned = 0;
    for file in fs::read_dir(&place.config.directory).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            scanned += bytes.len();
            for secret in [text.as_bytes(), &digits, &packed] {
                assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{}", path.display());
            }
        }
    }
    assert!(scanned > 10_000, "the database was read");
    // And the next life of the center finds it and goes on.
    AHEAD.fetch_add(700, Ordering::SeqCst);
    let (center, _notes) = place.center();
    until_standing(&center, 2, Standing::Reversed);
}

#[test]
fn a_confirmation_of_what_the_issuer_does_not_know_is_alarmed_and_said_again() {
    let place = Place::new();
    let (socket, addr) = listener();
    place.tell(addr, "");
    let (_host, said) = place.host(socket, &issuer());
    let (center, _notes) = place.center();
    center
        .operate(|store, center| {
            let sealed_number = center.keys.seal_number(&number().into(), &payment(1), [1; 12]);
            let ask = ask(1, sealed_number);
            store
                .transact(|store| {
                    let Begun::Send(mut row) = acquirer::begin(store, clock(), ask.clone())? else {
                        panic!("it is new")
                    };
                    row.standing = Standing::Approved;
                    store.put_card(&row)?;
                    acquirer::confirm(store, clock(), &payment(1))
                })
                .unwrap()
        })
        .unwrap();
    said.until("> 0230");
    let kinds = |center: &Running| {
        center.operate(|store, _| {
            use tolem_center::logic::store::Store as _;
            store.alarms().unwrap().into_iter().map(|alarm| alarm.kind).collect::<Vec<_>>()
        })
    };
    let end = Instant::now() + PATIENCE;
    while kinds(&center).unwrap() != ["card-disputed"] {
        assert!(Instant::now() < end, "{:?}", kinds(&center));
        std::thread::yield_now();
    }
    AHEAD.fetch_add(700, Ordering::SeqCst);
    said.until("< 0220");
    // Confirmed is confirmed, whatever is said of it.
    let voided = center.operate(|store, _| {
        store.transact(|store| acquirer::void(store, clock(), &payment(1), Why::Void)).unwrap()
    });
    assert_eq!(voided, Some(Standing::Confirming));
}

#[test]
fn a_line_that_is_cut_comes_again_and_so_does_a_host_that_was_away() {
    let place = Place::new();
    let (socket, addr) = listener();
    place.tell(addr, "");
    let issuer = issuer();
    let (host, _said) = place.host(socket, &issuer);
    let (center, notes) = place.center();
    notes.until("signed on");
    host.cut();
    notes.until("signed on");
    drop(host);
    notes.until(&format!("acquirer {addr}"));
    // What falls due while nobody is there is said when somebody is.
    unanswered(&center, 1);
    let (_host, said) = place.host(TcpListener::bind(addr).unwrap(), &issuer);
    notes.until("signed on");
    said.until("> 0430");
    until_standing(&center, 1, Standing::Reversed);
}

/// Lists run out every week, and nobody restarts a center for that.
#[test]
fn a_revocation_list_that_has_run_out_is_replaced_without_a_restart() {
    let place = Place::new();
    let (socket, addr) = listener();
    place.tell(addr, "");
    let (_host, _said) = place.host(socket, &issuer());
    let (week, now) = (7, server::system_clock());
    acquirer_setup::refresh(&place.acquirer(), week, now.plus_seconds(-8 * 86_400)).unwrap();
    let (_center, notes) = place.center();
    let why = notes.until(&format!("acquirer {addr}: "));
    assert!(
        why.contains("revocation") || why.contains("CRL") || why.contains("ExpiredRevocationList"),
        "{why}"
    );
    acquirer_setup::refresh(&place.acquirer(), week, now).unwrap();
    notes.until("signed on");
}

#[test]
fn whoever_has_another_key_or_certificate_is_nobody() {
    let place = Place::new();
    let (socket, addr) = listener();
    place.tell(addr, "wait_ms = 2000\n");
    // Another authority, on both sides.
    let stranger = Place::new();
    let (host, said) = stranger.host(socket, &issuer());
    let (center, notes) = place.center();
    let why = notes.until(&format!("acquirer {addr}: "));
    assert!(why.contains("certificate"), "{why}");
    said.until("127.0.0.1:");
    drop((host, center));
    // The right certificates and another key.
    let (socket, addr) = listener();
    place.tell(addr, "");
    let mut options = host::options(&place.acquirer(), None).unwrap();
    options.key = Some([9; 32].into());
    let _host = serve(socket, issuer(), options).unwrap();
    let (_center, notes) = place.center();
    notes.until("a message 0810 with a wrong code, or without one");
}

#[test]
fn hosts_that_speak_nonsense_are_left_and_the_next_good_one_is_taken() {
    let place = Place::new();
    let (socket, addr) = listener();
    place.tell(addr, "tls = false\nwait_ms = 500\n");
    let (center, notes) = place.center();
    for (bytes, why) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "a frame of 18516 bytes, at most 4096 are allowed"),
        (b"\x00\x00", "a frame without a message"),
        (b"\x00\x040810", "the message ends in its type or bitmap"),
        (b"\x01\x000810", "the rest of a frame did not come"),
        (b"", "the sign-on was not answered"),
    ] {
        let (mut stream, _) = socket.accept().unwrap();
        let mut hello = [0; 2];
        stream.read_exact(&mut hello).unwrap();
        stream.write_all(bytes).unwrap();
        let said = notes.until(&format!("acquirer {addr}: "));
        assert!(said.contains(why), "{said}");
    }
    let (stream, _) = socket.accept().unwrap();
    drop(stream);
    notes.until("");
    let key = fs::read(place.acquirer().join("host/link.key")).unwrap();
    let key = data_encoding::BASE64.decode(key.trim_ascii()).unwrap();
    let options = HostOptions::plain(Some(key.try_into().unwrap()));
    let _host = serve(socket, issuer(), options).unwrap();
    notes.until("signed on");
    assert!(center.is_serving());
}

#[test]
fn what_is_wrong_in_an_acquirers_folder_is_named_at_the_start() {
    let place = Place::new();
    let start = || {
        let options = Options { config: place.config.clone(), observer: None, clock, neighbours: None };
        server::start(options).err().map(|error| format!("{error:#}")).unwrap()
    };
    let file = place.acquirer().join("center/acquirer.toml");
    fs::write(&file, "host = \"localhost\"\nacquirer = \"1\"\n").unwrap();
    let error = start();
    assert!(error.contains("acquirer.toml: key host: \"localhost\" is not host:port"), "{error}");
    place.tell(SocketAddr::from(([127, 0, 0, 1], 1)), "");
    let key = place.acquirer().join("center/link.key");
    fs::write(&key, "short\n").unwrap();
    assert!(start().contains("link.key: not one line of base64 of 32 bytes"));
    fs::remove_file(&key).unwrap();
    assert!(start().contains("link.key"));
    fs::remove_file(&file).unwrap();
    assert!(start().contains("acquirer.toml"));
}
