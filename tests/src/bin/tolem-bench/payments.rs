//! The center: durable payments of many terminals at once beside PostgreSQL's own benchmark on the same disk, and what an idle
//! connection costs.

use super::{
    Target, Verdict,
    cost::{self, Spent},
    median, series,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Barrier},
    time::Instant,
};
use tolem_center::{
    config::Config,
    keys::seal_iin,
    pki::{Identity, Pki},
    server::{self, Counter, Options, Running, desk::fresh, system_clock},
    setup,
    sql::Address,
};
use tolem_protocol::{
    Amount, Denomination, Iin, KioskNumber, PaymentId,
    messages::{self, Deposit, DepositKind, Hello, Method, Quote, Request, Response},
    notes::NotePile,
    signed::{Signature, Signed},
};

/// Terminals that pay at once, and clients of pgbench.
pub(super) const AT_ONCE: u32 = 64;
/// Payments of each in a round.
const EACH: u64 = 60;
/// The same on PostgreSQL, where each waits for the disk alone.
const EACH_SHARED: u64 = 16;
/// Rounds.
const ROUNDS: usize = 3;
/// Connections whose memory is measured.
const IDLE: u32 = 1_000;

type Key = ::ring::signature::Ed25519KeyPair;

pub(super) struct Terminal {
    pub number: KioskNumber,
    key: Key,
    pub tls: Arc<ClientConfig>,
    payer: Iin,
}

pub(super) struct Wire(StreamOwned<ClientConnection, TcpStream>);

impl Wire {
    pub fn ask(&mut self, request: &Request) -> Response {
        let said = self.0.write_all(&messages::encode(1, request)).and_then(|()| self.0.flush());
        said.expect("the center listens");
        let mut field = [0; 4];
        self.0.read_exact(&mut field).expect("the center answers");
        let mut body = vec![0; messages::frame_length(field).expect("a frame")];
        self.0.read_exact(&mut body).expect("the center answers");
        messages::decode(&body).expect("an answer").1
    }
}

/// How a terminal reaches the center.
enum Line<'a> {
    Wire(Box<Wire>),
    /// In the same process, without TLS.
    Counter(Counter<'a>),
}

impl Line<'_> {
    fn ask(&mut self, request: Request) -> Response {
        match self {
            Self::Wire(wire) => wire.ask(&request),
            Self::Counter(counter) => counter.ask(request).expect("the center answers"),
        }
    }
}

/// Where terminals go.
#[derive(Clone, Copy)]
enum Place<'a> {
    Socket(SocketAddr),
    Desk(&'a Running),
}

fn hello() -> Request {
    Request::Hello(Hello {
        software: heapless::String::new(),
        boot_nonce: [1; 16],
        epoch: 0,
        journal_size: 0,
        clock: system_clock(),
        center_epoch: 0,
    })
}

fn epoch_of(answer: Response) -> u32 {
    match answer {
        Response::Welcome(welcome) => welcome.epoch,
        other => panic!("{other:?}"),
    }
}

impl Terminal {
    fn go<'a>(&self, place: Place<'a>) -> (Line<'a>, u32) {
        match place {
            Place::Socket(addr) => {
                let (wire, epoch) = self.connect(addr);
                (Line::Wire(Box::new(wire)), epoch)
            }
            Place::Desk(center) => {
                let counter = center.counter(self.number);
                let epoch = epoch_of(counter.ask(hello()).expect("the center answers"));
                (Line::Counter(counter), epoch)
            }
        }
    }

    /// Connects and says hello; gives the epoch.
    pub fn connect(&self, addr: SocketAddr) -> (Wire, u32) {
        let tcp = TcpStream::connect(addr).expect("the center listens");
        tcp.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(self.tls.clone(), name).expect("a connection");
        let mut wire = Wire(StreamOwned::new(connection, tcp));
        let epoch = epoch_of(wire.ask(&hello()));
        (wire, epoch)
    }

    fn quote(&self, line: &mut Line<'_>, epoch: u32, count: u64) -> Signed<Quote> {
        let request = Request::Quote {
            payment: PaymentId { kiosk: self.number, epoch, number: count, nonce: [1; 16] },
            service: heapless::String::try_from("id-card").expect("it fits"),
            payer: self.payer.clone(),
            method: Method::Cash,
            balance: None,
        };
        match line.ask(request) {
            Response::Quote(quote) => quote,
            other => panic!("{other:?}"),
        }
    }

    fn deposit(&self, quote: Signed<Quote>, sealing: &[u8; 32]) -> Signed<Deposit> {
        let payment = quote.read_unverified().expect("a quote").payment;
        let mut notes = NotePile::default();
        notes.add(Denomination(1_000));
        let deposit = Deposit {
            payment,
            kind: DepositKind::Pay,
            quote: Some(quote),
            payer: seal_iin(sealing, &self.payer, &payment, &mut fresh()),
            notes,
            made_at: system_clock(),
        };
        Signed::new(&deposit, |message| {
            Signature(self.key.sign(message).as_ref().try_into().expect("64 bytes"))
        })
    }
}

/// Somebody who was born on the first day of 1900, by number.
fn person(number: u32) -> String {
    let today = system_clock().date();
    let numbered = (0..10).map(|last| format!("0001013{number:04}{last}"));
    // Some serial numbers have no control digit; the next one that has is taken.
    numbered
        .into_iter()
        .find(|text| Iin::parse(text, today).is_ok())
        .unwrap_or_else(|| person(number + 5_000))
}

/// A center with `count` terminals in a directory.
pub(super) fn found(directory: &Path, count: u32, store: Option<&Address>) -> (Config, Vec<Terminal>) {
    let now = system_clock();
    let mut config = setup::init_at(directory, &["localhost".into()], store, now).expect("a center");
    config.listen = "127.0.0.1:0".parse().expect("an address");
    config.links.most = 4_096;
    config.rules.limits.per_day = Amount::from_tenge(100_000_000);
    let people: Vec<String> = (1..=count).map(person).collect();
    let list: String =
        people.iter().map(|iin| format!("[[person]]\niin = \"{iin}\"\nname = \"А••• Б•••\"\n")).collect();
    let registry = directory.join("registry.toml");
    fs::write(&registry, list).expect("a file");
    config.registry = Some(registry);
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(directory.join("pki/root.crt")).expect("a certificate");
    roots.add(root).expect("a certificate");
    let terminals = people
        .iter()
        .zip(1..)
        .map(|(iin, number)| {
            use ::ring::signature::KeyPair as _;
            let mut seed = [0; 32];
            seed[..4].copy_from_slice(&u32::to_be_bytes(number));
            let key = Key::from_seed_unchecked(&seed).expect("a seed");
            let number = KioskNumber::new(number).expect("a number");
            let public = key.public_key().as_ref().try_into().expect("32 bytes");
            let Identity { certificate, key: private } =
                setup::enroll(&config, number, public, None, now).expect("a kiosk");
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
            let private = PrivateKeyDer::from_pem_slice(private.as_bytes()).expect("a key");
            let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("TLS 1.3")
                .with_root_certificates(roots.clone())
                .with_client_auth_cert(chain, private)
                .expect("an identity");
            let payer = Iin::parse(iin, now.date()).expect("an IIN");
            Terminal { number, key, tls: Arc::new(tls), payer }
        })
        .collect();
    (config, terminals)
}

/// PostgreSQL with pgbench's tables, on the same disk, with its disk syncs.
struct Rival {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    socket: String,
}

impl Rival {
    fn start(scratch: &Path) -> Self {
        let script = tolem_tests::files::top().join("tests/with-postgres");
        let bench = "export PGHOST=$TOLEM_TEST_POSTGRES PGUSER=tolem; createdb b; createdb tolem; pgbench -i -q -s 64 b >&2; \
                     echo $PGHOST; while read go; do pgbench -c 64 -j 2 -T 8 b 2>/dev/null; done";
        let mut child = Command::new(script)
            .args(["sh", "-c", bench])
            .env("TMPDIR", scratch)
            .env("TOLEM_TEST_POSTGRES_SYNC", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("tests/with-postgres");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a pipe");
        assert!(line.starts_with('/'), "PostgreSQL did not start: apt-get install postgresql");
        Self { child, said, socket: line.trim().to_owned() }
    }

    /// Transactions a second with 64 clients.
    fn run(&mut self) -> f64 {
        self.child.stdin.as_mut().expect("a pipe").write_all(b"go\n").expect("pgbench");
        loop {
            let mut line = String::new();
            assert!(self.said.read_line(&mut line).expect("a pipe") > 0, "pgbench failed");
            if let Some(rest) = line.strip_prefix("tps = ") {
                return rest.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
            }
        }
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What one round gave.
struct Round {
    /// Quotes a second.
    quotes: f64,
    /// Payments a second.
    payments: f64,
    /// Processor time of each payment, by thread.
    spent: Spent,
}

/// Everybody has quotes made, then signs all deposits, then hands them in. The clock runs while it is quoted and while it is paid.
fn round(
    terminals: &[Terminal],
    sealing: &[u8; 32],
    places: &[Place<'_>],
    (each, round): (u64, u64),
) -> Round {
    let all = terminals.len() + 1;
    let (begin, quoted, paid, leave) =
        (Barrier::new(all), Barrier::new(all), Barrier::new(all), Barrier::new(all));
    let count = (terminals.len() as u64 * each) as f64;
    std::thread::scope(|scope| {
        let (begin, quoted, paid, leave) = (&begin, &quoted, &paid, &leave);
        for (terminal, place) in terminals.iter().zip(places.iter().cycle()) {
            let client = std::thread::Builder::new().name("client".into());
            let client = client.spawn_scoped(scope, move || {
                let (mut line, epoch) = terminal.go(*place);
                begin.wait();
                let wanted: Vec<_> =
                    (1..=each).map(|count| terminal.quote(&mut line, epoch, round * each + count)).collect();
                quoted.wait();
                let deposits: Vec<_> =
                    wanted.into_iter().map(|quote| terminal.deposit(quote, sealing)).collect();
                begin.wait();
                for deposit in deposits {
                    match line.ask(Request::Commit(deposit)) {
                        Response::Outcome(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
                paid.wait();
                leave.wait();
            });
            client.expect("a thread");
        }
        let timed = |end: &Barrier| {
            begin.wait();
            let (since, before) = (Instant::now(), Spent::now());
            end.wait();
            (count / since.elapsed().as_secs_f64(), Spent::now().since(&before).each(count))
        };
        let (quotes, _) = timed(quoted);
        let (payments, spent) = timed(paid);
        leave.wait();
        Round { quotes, payments, spent }
    })
}

pub(super) fn serve(config: &Config) -> Running {
    let config = config.clone();
    server::start(Options { config, observer: None, clock: system_clock, neighbours: None })
        .expect("a center")
}

fn audited(running: &Running) {
    let findings = running
        .operate(|store, _| tolem_center::logic::ledger::audit(store).expect("the ledger"))
        .expect("a center");
    assert!(findings.is_empty(), "{findings:?}");
}

/// Payments of 64 terminals at once: a signed deposit in, a signed answer out, booked and durable in between.
pub fn payments(scratch: &Path) -> Vec<Verdict> {
    println!("payments: {AT_ONCE} terminals, {EACH} payments each, beside pgbench with {AT_ONCE} clients");
    let mut rival = Rival::start(scratch);
    let (config, terminals) = found(&scratch.join("center"), AT_ONCE, None);
    let sealing = Pki::at(&config.directory).keys().expect("keys").sealing_public();
    let running = serve(&config);
    let address = Address { connection: format!("host={} user=tolem dbname=tolem", rival.socket), ca: None };
    let (shared, others) = found(&scratch.join("shared"), AT_ONCE, Some(&address));
    let their_sealing = Pki::at(&shared.directory).keys().expect("keys").sealing_public();
    let several = [serve(&shared), serve(&shared)];
    let places = [Place::Socket(several[0].addr), Place::Socket(several[1].addr)];
    let (mut desk, mut spent) = (vec![], Spent::default());
    let (mut ours, mut quotes, mut theirs, mut alone, mut two) = (vec![], vec![], vec![], vec![], vec![]);
    for turn in 0..ROUNDS as u64 {
        let done = round(&terminals, &sealing, &[Place::Socket(running.addr)], (EACH, 2 * turn));
        quotes.push(done.quotes);
        ours.push(done.payments);
        spent = done.spent;
        desk.push(round(&terminals, &sealing, &[Place::Desk(&running)], (EACH, 2 * turn + 1)).payments);
        theirs.push(rival.run());
        alone.push(round(&others, &their_sealing, &places[..1], (EACH_SHARED, 2 * turn)).payments);
        two.push(round(&others, &their_sealing, &places, (EACH_SHARED, 2 * turn + 1)).payments);
    }
    audited(&running);
    audited(&several[0]);
    series("signed quotes", "per s", &quotes);
    series("durable payments", "per s", &ours);
    series("durable payments, without TLS and sockets", "per s", &desk);
    series("pgbench, TPC-B", "per s", &theirs);
    series("durable payments, one process on PostgreSQL", "per s", &alone);
    series("durable payments, two processes on PostgreSQL", "per s", &two);
    println!("  processor time of a payment (last round): {spent}");
    cost::bound(&terminals[0].key, &sealing, median(&theirs));
    vec![Verdict {
        what: "durable payments, times pgbench TPC-B at c=64",
        value: median(&ours) / median(&theirs),
        unit: "",
        target: Target::AtLeast(5.0),
    }]
}

/// Memory of the shipped program for each terminal that is connected and says nothing.
pub fn idle(scratch: &Path, program: &Path) -> Vec<Verdict> {
    println!("idle: {IDLE} terminals connected");
    let directory = scratch.join("idle");
    let (_, terminals) = found(&directory, 1, None);
    let file = directory.join("center.toml");
    let text = fs::read_to_string(&file).expect("a configuration");
    let text =
        text.replace("127.0.0.1:7443", "127.0.0.1:0").replacen("[links]\n", "[links]\nmost = 4096\n", 1);
    fs::write(&file, text).expect("a configuration");
    let mut child = Command::new(program)
        .args(["serve", "--config"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the center's program");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a pipe");
    let addr = line.trim().strip_prefix("serving on ").expect("an address").parse().expect("an address");
    let resident = |child: &Child| -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    // The first hundred also pay for what all of them share.
    let warm: Vec<_> = (0..100).map(|_| terminals[0].connect(addr)).collect();
    let before = resident(&child);
    let open: Vec<_> = (0..IDLE).map(|_| terminals[0].connect(addr)).collect();
    let each = (resident(&child) - before) / f64::from(IDLE);
    drop((warm, open));
    let _ = child.kill();
    let _ = child.wait();
    vec![Verdict {
        what: "memory of an idle connection",
        value: each,
        unit: "KiB",
        target: Target::AtMost(40.0),
    }]
}
