//! What waits together at the desk is decided in one transaction: durable by one commit, and all of it or nothing of it, answered or silent.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use ::ring::signature::{Ed25519KeyPair, KeyPair as _};
use common::scratch;
use std::{
    path::Path,
    sync::mpsc,
    thread::{Scope, ScopedJoinHandle},
};
use tolem_center::{
    config::Config,
    keys::seal_iin,
    logic::{
        ledger,
        store::{PaymentState, Store as _},
    },
    pki::Pki,
    server::{self, Options, Running, desk::fresh, system_clock},
    setup,
    sql::SqlStore,
};
use tolem_protocol::{
    Denomination, Iin, KioskNumber, PaymentId,
    messages::{Deposit, DepositKind, Hello, Method, Request, Response, Verdict},
    notes::NotePile,
    signed::{Signature, Signed},
};

/// Kiosks that ask at once.
const KIOSKS: u32 = 8;

fn key(kiosk: u32) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[u8::try_from(kiosk).unwrap(); 32]).unwrap()
}

fn number(kiosk: u32) -> KioskNumber {
    KioskNumber::new(kiosk).unwrap()
}

fn found(directory: &Path) -> Config {
    let now = system_clock();
    let mut config = setup::init(directory, &["localhost".into()], now).unwrap();
    config.listen = "127.0.0.1:0".parse().unwrap();
    for kiosk in 1..=KIOSKS {
        let public = key(kiosk).public_key().as_ref().try_into().unwrap();
        setup::enroll(&config, number(kiosk), public, None, now).unwrap();
    }
    config
}

fn serve(config: &Config) -> Running {
    let config = config.clone();
    server::start(Options { config, observer: None, clock: system_clock, neighbours: None }).unwrap()
}

/// Says hello, has a payment quoted, and gives the deposit that pays it.
fn ready_to_pay(center: &Running, config: &Config, kiosk: u32, count: u64) -> Request {
    let counter = center.counter(number(kiosk));
    let hello = Hello {
        software: heapless::String::new(),
        boot_nonce: [1; 16],
        epoch: 0,
        journal_size: 0,
        clock: system_clock(),
        center_epoch: 0,
    };
    let Some(Response::Welcome(welcome)) = counter.ask(Request::Hello(hello)) else { panic!("no welcome") };
    let payer = Iin::parse("000101300019", system_clock().date()).unwrap();
    let payment = PaymentId { kiosk: number(kiosk), epoch: welcome.epoch, number: count, nonce: [1; 16] };
    let service = heapless::String::try_from("id-card").unwrap();
    let wanted =
        Request::Quote { payment, service, payer: payer.clone(), method: Method::Cash, balance: None };
    let Some(Response::Quote(quote)) = counter.ask(wanted) else { panic!("no quote") };
    let sealing = Pki::at(&config.directory).keys().unwrap().sealing_public();
    let mut notes = NotePile::default();
    notes.add(Denomination(1_000));
    let deposit = Deposit {
        payment,
        kind: DepositKind::Pay,
        quote: Some(quote),
        payer: seal_iin(&sealing, &payer, &payment, &mut fresh()),
        notes,
        made_at: system_clock(),
    };
    let sign = |message: &[u8]| Signature(key(kiosk).sign(message).as_ref().try_into().unwrap());
    Request::Commit(Signed::new(&deposit, sign))
}

/// Hands in all requests while the desk is held up, and lets it go on when all of them wait.
fn all_at_once<'scope>(
    scope: &'scope Scope<'scope, '_>,
    center: &'scope Running,
    requests: Vec<Request>,
) -> Vec<ScopedJoinHandle<'scope, Option<Response>>> {
    let (held, is_held) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    scope.spawn(move || {
        center.operate(move |_, _| {
            held.send(()).unwrap();
            may_go_on.recv().unwrap();
        })
    });
    is_held.recv().unwrap();
    let asking: Vec<_> = requests
        .into_iter()
        .zip(1..)
        .map(|(request, kiosk)| scope.spawn(move || center.counter(number(kiosk)).ask(request)))
        .collect();
    while center.waiting() < asking.len() {
        std::thread::yield_now();
    }
    go_on.send(()).unwrap();
    asking
}

/// Commits in SQLite's write-ahead log: frames that say how large the database is after them (file format, section 4.1).
fn commits(config: &Config) -> usize {
    let log = std::fs::read(config.directory.join("center.db-wal")).unwrap();
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let salts = &log[16..24];
    let frames = log[32..].chunks_exact(24 + page).take_while(|frame| &frame[8..16] == salts);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

#[test]
fn what_waits_together_is_durable_by_one_commit() {
    let config = found(&scratch("turns").join("center"));
    let center = serve(&config);
    let requests = (1..=KIOSKS).map(|kiosk| ready_to_pay(&center, &config, kiosk, 1)).collect();
    let before = commits(&config);
    let answers = std::thread::scope(|scope| {
        let asked = all_at_once(scope, &center, requests);
        asked.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    for answer in answers {
        let Some(Response::Outcome(outcome)) = answer else { panic!("{answer:?}") };
        let outcome = outcome.read_unverified().unwrap();
        assert!(matches!(outcome.verdict, Verdict::Accepted { .. }), "{outcome:?}");
    }
    assert_eq!(commits(&config) - before, 1, "payments, codes and their notices in one");
    let open = center.operate(|store, _| {
        use tolem_center::logic::errands::Errands as _;
        (ledger::audit(store).unwrap(), store.notices_open().unwrap().0)
    });
    assert_eq!(open, Some((vec![], 0)));
}

#[test]
fn one_that_fails_takes_its_turn_along_and_nobody_is_answered() {
    let config = found(&scratch("turns").join("center"));
    let center = serve(&config);
    let requests: Vec<_> = (1..=KIOSKS).map(|kiosk| ready_to_pay(&center, &config, kiosk, 1)).collect();
    // The database fails at the sixth booking of the turn: five were decided before, two come after.
    let other = rusqlite::Connection::open(config.directory.join("center.db")).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER broken BEFORE INSERT ON posting WHEN (SELECT count(*) FROM posting) >= 5
             BEGIN SELECT RAISE(ABORT, 'the disk is gone'); END",
        )
        .unwrap();
    let again = requests.clone();
    let answers = std::thread::scope(|scope| {
        let asked = all_at_once(scope, &center, requests);
        asked.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(answers.iter().all(Option::is_none), "an answer that is not on disk: {answers:?}");
    assert!(!center.is_serving(), "the desk closes");
    drop(center);
    other.execute_batch("DROP TRIGGER broken").unwrap();
    let store = SqlStore::open(&config.directory.join("center.db")).unwrap();
    let mut settled = 0;
    store.each_payment(&mut |row| settled += usize::from(row.state == PaymentState::Settled)).unwrap();
    assert_eq!(settled, 0, "nothing of the turn has happened");
    assert_eq!(ledger::audit(&store).unwrap(), Vec::<String>::new());
    drop(store);

    let center = serve(&config);
    for (request, kiosk) in again.into_iter().zip(1..) {
        let answer = center.counter(number(kiosk)).ask(request);
        assert!(matches!(answer, Some(Response::Outcome(_))), "asked again, it is paid: {answer:?}");
    }
    assert_eq!(center.operate(|store, _| ledger::audit(store).unwrap()), Some(vec![]));
}

#[test]
fn one_deposit_twice_in_a_turn_is_one_payment() {
    let config = found(&scratch("turns").join("center"));
    let center = serve(&config);
    let request = ready_to_pay(&center, &config, 1, 1);
    let counter = center.counter(number(1));
    let answers = std::thread::scope(|scope| {
        let (held, is_held) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let running = &center;
        scope.spawn(move || {
            running.operate(move |_, _| {
                held.send(()).unwrap();
                may_go_on.recv().unwrap();
            })
        });
        is_held.recv().unwrap();
        let twice: Vec<_> = (0..2)
            .map(|_| {
                let (counter, request) = (&counter, request.clone());
                scope.spawn(move || counter.ask(request))
            })
            .collect();
        while center.waiting() < 2 {
            std::thread::yield_now();
        }
        go_on.send(()).unwrap();
        twice.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(matches!(answers[0], Some(Response::Outcome(_))), "{answers:?}");
    assert_eq!(answers[0], answers[1]);
    assert_eq!(center.operate(|store, _| ledger::audit(store).unwrap()), Some(vec![]));
}
