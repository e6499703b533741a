//! Several centers on one PostgreSQL database: they decide as if they took turns, a kiosk may come back at any of them, and one that is
//! killed in the middle of payments loses none and doubles none.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{postgres_server as server_of_tests, *};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};
use tolem_center::{
    config::Config,
    keys::seal_iin,
    logic::{
        ledger,
        store::{AttemptRow, PaymentState, Store as _, Transact as _},
    },
    pki::Pki,
    server::{self, Options, Running, system_clock},
    setup,
    sql::{Address, SqlStore},
};
use tolem_protocol::{
    KioskNumber, PaymentId,
    messages::{self, Deposit, DepositKind, Method, Outcome, Refusal, Request, Response, Verdict},
    signed::{Signature, Signed},
};

#[test]
fn counts_of_many_at_once_are_all_there() {
    let address = server_of_tests::database();
    drop(SqlStore::create_at(&address, 1).unwrap());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let address = address.clone();
            std::thread::spawn(move || {
                let mut store = SqlStore::open_at(&address).unwrap();
                for _ in 0..50 {
                    store
                        .transact(|store| {
                            let row =
                                store.attempts("key")?.unwrap_or(AttemptRow { first: noon(), count: 0 });
                            store.put_attempts("key", AttemptRow { count: row.count + 1, ..row })
                        })
                        .unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let store = SqlStore::open_at(&address).unwrap();
    assert_eq!(store.attempts("key").unwrap().unwrap().count, 200);
}

#[test]
fn one_voucher_is_taken_once_however_many_ask_at_the_same_moment() {
    let address = server_of_tests::database();
    let mut town = Town::new(SqlStore::create_at(&address, 7).unwrap());
    for round in 0..6 {
        let balance = town.remainder(ANNA, 1_000).number;
        let wishes: Vec<_> = (1..=3)
            .map(|number| {
                let payment = town.next_id(number);
                let request = Request::Quote {
                    payment,
                    service: heapless::String::try_from("id-card").unwrap(),
                    payer: iin(ANNA),
                    method: Method::Cash,
                    balance: Some(balance),
                };
                (number, request)
            })
            .collect();
        let threads: Vec<_> = wishes
            .into_iter()
            .map(|(number, request)| {
                let address = address.clone();
                std::thread::spawn(move || {
                    let mut other = Town::<SqlStore>::on(SqlStore::open_at(&address).unwrap());
                    other.dice = Dice(0xACE + u64::from(number) + 16 * round);
                    other.ask(number, request)
                })
            })
            .collect();
        let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let taken = answers.iter().filter(|answer| matches!(answer, Response::Quote(_))).count();
        let refused =
            answers.iter().filter(|answer| **answer == Response::Refused(Refusal::BalanceNotFree)).count();
        assert_eq!((taken, refused), (1, 2), "{answers:?}");
    }
    town.audit();
}

#[test]
fn the_ledger_only_grows_whoever_asks() {
    let address = server_of_tests::database();
    let mut town = Town::new(SqlStore::create_at(&address, 7).unwrap());
    town.remainder(ANNA, 1_000);
    let mut client = server_of_tests::client_of(&address);
    for wish in [
        "UPDATE line SET tiyn = 0",
        "DELETE FROM posting",
        "TRUNCATE line, posting",
        "DELETE FROM deed",
        "UPDATE alarm SET text = ''",
    ] {
        let refused = client.batch_execute(wish).unwrap_err();
        assert!(refused.as_db_error().unwrap().message().contains("only grows"), "{wish}: {refused}");
    }
    town.audit();
}

#[test]
fn a_database_is_founded_once_and_an_empty_one_is_named() {
    let address = server_of_tests::database();
    let empty = SqlStore::open_at(&address).err().unwrap().0;
    assert!(empty.contains("no center is in the PostgreSQL database"), "{empty}");
    drop(SqlStore::create_at(&address, 7).unwrap());
    let again = SqlStore::create_at(&address, 8).err().unwrap().0;
    assert!(again.contains("not overwritten"), "{again}");
    let store = SqlStore::open_at(&address).unwrap();
    assert_eq!(store.center_epoch().unwrap(), 7);
    assert!(store.back_up(Path::new("/nowhere")).unwrap_err().0.contains("pg_dump"));
    server_of_tests::client_of(&address).batch_execute("UPDATE schema_version SET version = 99").unwrap();
    let newer = SqlStore::open_at(&address).err().unwrap().0;
    assert!(newer.contains("table version 99"), "{newer}");
    let nobody = Address { connection: "host=/nowhere user=tolem".into(), ca: None };
    assert!(SqlStore::open_at(&nobody).err().unwrap().0.starts_with("PostgreSQL: "));
}

#[test]
fn one_of_several_runs_the_errands_until_it_is_gone() {
    let address = server_of_tests::database();
    let first = SqlStore::create_at(&address, 7).unwrap();
    let second = SqlStore::open_at(&address).unwrap();
    assert!(first.runs_errands().unwrap() && first.runs_errands().unwrap());
    assert!(!second.runs_errands().unwrap());
    drop(first);
    // The server notices the end of a connection when it gets to it.
    let taken = (0..1_000).any(|_| second.runs_errands().unwrap());
    assert!(taken, "nobody runs the errands");
}

/// A center on PostgreSQL with kiosks 1 to `kiosks`.
struct Fleet {
    directory: PathBuf,
    config: Config,
    address: Address,
    kiosks: u32,
}

impl Fleet {
    fn new(kiosks: u32) -> Self {
        let directory = scratch("fleet").join("center");
        let address = server_of_tests::database();
        let config =
            setup::init_at(&directory, &["localhost".into()], Some(&address), system_clock()).unwrap();
        for number in 1..=kiosks {
            let kiosk = Kiosk::new(number);
            setup::enroll(&config, kiosk.number, kiosk.public(), None, system_clock()).unwrap();
        }
        Self { directory, config, address, kiosks }
    }

    fn tls(&self, number: u32) -> Arc<ClientConfig> {
        let pki = self.directory.join("pki");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(pki.join("root.crt")).unwrap()).unwrap();
        let name = pki.join(format!("kiosks/kiosk-{number:05}"));
        let certificate = CertificateDer::from_pem_file(name.with_extension("crt")).unwrap();
        let key = PrivateKeyDer::from_pem_file(name.with_extension("key")).unwrap();
        Arc::new(
            ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .with_root_certificates(roots)
                .with_client_auth_cert(vec![certificate], key)
                .unwrap(),
        )
    }

    /// A process of the center.
    fn spawn(&self) -> Process {
        let file = self.directory.join("process.toml");
        let text = fs::read_to_string(self.directory.join("center.toml")).unwrap();
        fs::write(&file, text.replace("listen = \"127.0.0.1:7443\"", "listen = \"127.0.0.1:0\"")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tolem-center"))
            .args(["serve", "--config"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr =
            line.trim().strip_prefix("serving on ").unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        Process { child, addr }
    }

    fn start(&self) -> Running {
        let mut config = self.config.clone();
        config.listen = "127.0.0.1:0".parse().unwrap();
        server::start(Options { config, observer: None, clock: system_clock, neighbours: None }).unwrap()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.directory.parent().unwrap());
    }
}

struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: this is what the test is about.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Wire(StreamOwned<ClientConnection, TcpStream>);

impl Wire {
    fn dial(addr: SocketAddr, config: &Arc<ClientConfig>) -> Option<Self> {
        let tcp = TcpStream::connect(addr).ok()?;
        tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Some(Self(StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), tcp)))
    }

    fn ask(&mut self, request: &Request) -> Option<Response> {
        self.0.write_all(&messages::encode(7, request)).and_then(|()| self.0.flush()).ok()?;
        let mut field = [0; 4];
        self.0.read_exact(&mut field).ok()?;
        let mut body = vec![0; messages::frame_length(field).unwrap()];
        self.0.read_exact(&mut body).ok()?;
        Some(messages::decode(&body).unwrap().1)
    }

    /// A kiosk's hello; its epoch.
    fn greet(&mut self, kiosk: &Kiosk) -> Option<u32> {
        match self.ask(&kiosk.hello())? {
            Response::Welcome(welcome) => Some(welcome.epoch),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_old_conversation_is_over_when_the_kiosk_has_begun_a_new_one_elsewhere() {
    let fleet = Fleet::new(1);
    let (one, two) = (fleet.start(), fleet.start());
    let (kiosk, tls) = (Kiosk::new(1), fleet.tls(1));
    let mut old = Wire::dial(one.addr, &tls).unwrap();
    let epoch = old.greet(&kiosk).unwrap();
    let mut new = Wire::dial(two.addr, &tls).unwrap();
    assert_eq!(new.greet(&kiosk), Some(epoch), "the same boot has the same epoch at each of them");
    let payment = PaymentId { kiosk: kiosk.number, epoch, number: 1, nonce: kiosk.nonce };
    let request = Request::Quote {
        payment,
        service: heapless::String::try_from("id-card").unwrap(),
        payer: iin(ANNA),
        method: Method::Cash,
        balance: None,
    };
    assert_eq!(old.ask(&request), None, "what was still on the way is not done");
    let store = SqlStore::open_at(&fleet.address).unwrap();
    assert_eq!(store.payment(&payment).unwrap(), None);
    assert!(matches!(new.ask(&request), Some(Response::Quote(_))));
}

/// What one kiosk was answered.
type Answered = Vec<(Signed<Deposit>, Signed<Outcome>)>;

/// A kiosk that pays until it is told to stop: at any of the processes, and with the same deposit again until it has an answer.
fn pays(
    kiosk: &mut Kiosk,
    tls: &Arc<ClientConfig>,
    sealing: &[u8; 32],
    addresses: &Mutex<Vec<SocketAddr>>,
    stop: &AtomicBool,
    paid: &mpsc::Sender<u32>,
) -> Answered {
    let mut dice = Dice(0xFEED_0000 + u64::from(kiosk.number.get()));
    let mut answered = Answered::new();
    let mut open: Option<Signed<Deposit>> = None;
    let mut wire: Option<Wire> = None;
    while !stop.load(Ordering::SeqCst) || open.is_some() {
        let Some(at) = &mut wire else {
            let addresses = addresses.lock().unwrap().clone();
            let mut dialled = Wire::dial(*dice.pick(&addresses), tls);
            match dialled.as_mut().and_then(|wire| wire.greet(kiosk)) {
                Some(epoch) => kiosk.epoch = epoch,
                None => continue,
            }
            wire = dialled;
            continue;
        };
        let deposit = match &open {
            Some(deposit) => deposit.clone(),
            None => {
                let payment = kiosk.next_id();
                let request = Request::Quote {
                    payment,
                    service: heapless::String::try_from("id-card").unwrap(),
                    payer: iin(ANNA),
                    method: Method::Cash,
                    balance: None,
                };
                let quote = match at.ask(&request) {
                    Some(Response::Quote(quote)) => quote,
                    Some(other) => panic!("{other:?}"),
                    None => {
                        wire = None;
                        continue;
                    }
                };
                let payer = seal_iin(sealing, &iin(ANNA), &payment, &mut || dice.next());
                let deposit = Deposit {
                    payment,
                    kind: DepositKind::Pay,
                    quote: Some(quote),
                    payer,
                    notes: pile(&[1000]),
                    made_at: system_clock(),
                };
                let sign = |message: &[u8]| Signature(kiosk.key.sign(message).as_ref().try_into().unwrap());
                open.insert(Signed::new(&deposit, sign)).clone()
            }
        };
        match at.ask(&Request::Commit(deposit.clone())) {
            Some(Response::Outcome(outcome)) => {
                answered.push((deposit, outcome));
                open = None;
                let _ = paid.send(kiosk.number.get());
                // Often at another process the next time.
                if dice.below(3) == 0 {
                    wire = None;
                }
            }
            Some(other) => panic!("{other:?}"),
            None => wire = None,
        }
    }
    answered
}

#[test]
fn processes_killed_in_the_middle_of_payments_lose_and_double_nothing() {
    const KILLS: usize = 6;
    let fleet = Fleet::new(6);
    let sealing = Pki::at(&fleet.directory).keys().unwrap().sealing_public();
    let mut processes: Vec<Process> = (0..3).map(|_| fleet.spawn()).collect();
    let addresses = Mutex::new(processes.iter().map(|process| process.addr).collect::<Vec<_>>());
    let stop = AtomicBool::new(false);
    let (sender, paid) = mpsc::channel();
    let answered: Vec<Answered> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=fleet.kiosks)
            .map(|number| {
                let (tls, sender) = (fleet.tls(number), sender.clone());
                let (addresses, stop, sealing) = (&addresses, &stop, &sealing);
                scope.spawn(move || pays(&mut Kiosk::new(number), &tls, sealing, addresses, stop, &sender))
            })
            .collect();
        for kill in 0..KILLS {
            for _ in 0..12 {
                paid.recv_timeout(Duration::from_secs(120)).expect("payments go on while two of three live");
            }
            // Others have requests under way at it at this moment.
            let victim = kill % processes.len();
            processes[victim] = fleet.spawn();
            addresses.lock().unwrap()[victim] = processes[victim].addr;
        }
        stop.store(true, Ordering::SeqCst);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    drop(processes);

    let store = SqlStore::open_at(&fleet.address).unwrap();
    assert_eq!(ledger::audit(&store).unwrap(), Vec::<String>::new());
    let mut settled = 0;
    store.each_payment(&mut |row| settled += usize::from(row.state == PaymentState::Settled)).unwrap();
    let mut codes = std::collections::BTreeSet::new();
    for (deposit, outcome) in answered.iter().flatten() {
        let read = outcome.read_unverified().unwrap();
        let row = store.payment(&read.payment).unwrap().unwrap();
        assert_eq!(row.outcome.as_ref(), Some(outcome), "the answer that left is the answer that is kept");
        assert_eq!(row.deposit.as_ref().map(Signed::digest), Some(deposit.digest()));
        let Verdict::Accepted { token, .. } = read.verdict else { panic!("not accepted") };
        assert!(codes.insert(token.read_unverified().unwrap().code), "one code twice");
    }
    assert_eq!(settled, codes.len(), "payments settled, codes that kiosks have");
    for (place, answered) in answered.iter().enumerate() {
        let kiosk = KioskNumber::new(u32::try_from(place).unwrap() + 1).unwrap();
        let cash = ledger::totals(&store).unwrap().get(&ledger::Account::KioskCash(kiosk)).copied();
        assert_eq!(cash.unwrap_or(0), answered.len() as i64 * 100_000, "kiosk {kiosk}");
    }
    assert!(codes.len() >= KILLS * 12);
    println!("{} payments, {KILLS} kills", codes.len());
}
