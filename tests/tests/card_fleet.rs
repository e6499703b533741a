//! Cards at several processes of one center on one PostgreSQL: each has a line to the acquirer, one says what is owed. A kiosk orders at one and
//! comes back at another, the process that speaks is killed; no trace number comes twice, and in the end issuer, center and kiosks agree.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod card_place;
#[path = "../../center/tests/common/postgres_server.rs"]
#[allow(dead_code, reason = "the center's own tests use the rest")]
mod postgres_server;

use card_place::*;
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::TcpListener,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};
use tolem_center::sql::Address;
use tolem_hal_sim::{
    issuer::{Mood, TestIssuer},
    line::Dice,
};
use tolem_protocol::{
    PaymentId,
    card::CardAnswer,
    messages::{self, Request},
};

/// A configuration of its own for a process of the center.
fn seat_of_a_process(place: &Place) -> (PathBuf, std::net::SocketAddr) {
    let listen = free();
    let file = place.config.directory.join(format!("process-{}.toml", listen.port()));
    let text = fs::read_to_string(place.file()).unwrap();
    fs::write(&file, text.replace(&place.config.listen.to_string(), &listen.to_string())).unwrap();
    (file, listen)
}

struct Processes<'p> {
    address: &'p Address,
    files: Vec<PathBuf>,
    running: Vec<Serving>,
}

impl<'p> Processes<'p> {
    fn start(place: &'p Place, address: &'p Address, count: usize) -> Self {
        let (files, listens): (Vec<_>, Vec<_>) = (0..count).map(|_| seat_of_a_process(place)).unzip();
        *place.addresses.lock().unwrap() = listens;
        let running = files.iter().map(|file| Serving::at(file)).collect();
        Self { address, files, running }
    }

    /// The process that says what is owed to the acquirer, as the database knows it.
    fn speaker(&self) -> usize {
        let mut client = postgres_server::client_of(self.address);
        let sql = "SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid) \
                   WHERE locktype = 'advisory' AND datname = current_database() AND objid = 1818586371";
        let end = Instant::now() + PATIENCE;
        loop {
            let names: Vec<String> = client.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect();
            assert!(names.len() < 2, "one speaks: {names:?}");
            let ids: Vec<String> =
                self.running.iter().map(|process| format!("tolem-center {}", process.0.id())).collect();
            if let Some(place) = names.first().and_then(|name| ids.iter().position(|id| id == name)) {
                return place;
            }
            assert!(Instant::now() < end, "nobody speaks: {names:?}, {ids:?}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn kill(&mut self, which: usize) {
        let _ = self.running[which].0.kill();
        let _ = self.running[which].0.wait();
        self.running[which] = Serving::at(&self.files[which]);
    }
}

/// Pays by card until it is told to stop; what is sent, lost and asked again is the seed's.
fn pays(
    place: &Place,
    seat: usize,
    seed: u64,
    stop: &AtomicBool,
    paid: &mpsc::Sender<()>,
) -> BTreeMap<PaymentId, CardAnswer> {
    let (mut kiosk, mut dice) = (Kiosk::on(place, seat, seed), Dice::new(seed ^ 0xF1EE7));
    while !stop.load(Ordering::SeqCst) {
        let quote = kiosk.quote();
        let payment = quote.read_unverified().unwrap().payment;
        let order = kiosk.order(&quote, "2580");
        let heard = if dice.chance(300) {
            // Ordered at one process, and then the kiosk comes back at whichever it is.
            let link = kiosk.link.as_mut().unwrap();
            let _ = link.write_all(&messages::encode(77, &Request::Authorize(order)));
            let _ = link.flush();
            kiosk.link = None;
            None
        } else {
            kiosk.try_ask(&Request::Authorize(order))
        };
        if dice.chance(300) {
            kiosk.link = None;
        }
        kiosk.finish(payment, heard);
        let _ = paid.send(());
    }
    kiosk.journal
}

#[test]
fn the_speaking_process_is_killed_and_issuer_center_and_kiosks_agree() {
    const KILLS: usize = 4;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = postgres_server::database();
    let place = Place::on(listener.local_addr().unwrap(), Some(&address), 4);
    let issuer = Arc::new(Mutex::new(TestIssuer::common()));
    let host = served(&place, listener, &issuer);
    let mut processes = Processes::start(&place, &address, 3);
    let stop = AtomicBool::new(false);
    let (sender, paid) = mpsc::channel();
    let journals: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..place.seats.len())
            .map(|seat| {
                let (place, stop, sender) = (&place, &stop, sender.clone());
                scope.spawn(move || pays(place, seat, 7 + seat as u64, stop, &sender))
            })
            .collect();
        let mut killed = Vec::new();
        for kill in 0..KILLS {
            for _ in 0..6 {
                paid.recv_timeout(PATIENCE).expect("payments go on while two of three live");
            }
            if kill % 2 == 1 {
                host.issuer().moods.extend([Mood::LosesAnswer, Mood::AnswersLate]);
            }
            let speaker = processes.speaker();
            processes.kill(speaker);
            killed.push(speaker);
        }
        host.issuer().moods.clear();
        // How many come through between the kills is the machine's affair; after them the rest works again.
        for _ in 0..12 {
            paid.recv_timeout(PATIENCE).expect("payments go on after the last kill");
        }
        stop.store(true, Ordering::SeqCst);
        println!("killed, in order: {killed:?}");
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let all: BTreeMap<PaymentId, CardAnswer> = journals.into_iter().flatten().collect();
    until_rest(&place);
    drop(processes);
    let [confirmed, reversed, _] = compare(&place, &host.issuer(), &all);
    assert!(confirmed > 2 && reversed > 0, "{confirmed} confirmed, {reversed} reversed");
    println!(
        "{} payments, {confirmed} confirmed, {reversed} reversed, {KILLS} kills of the speaker",
        all.len()
    );
}

/// The line of the process that speaks is cut and stays so: another one with a line says what is owed.
#[test]
fn what_is_owed_is_said_by_whoever_has_a_line() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = postgres_server::database();
    let place = Place::on(listener.local_addr().unwrap(), Some(&address), 1);
    let issuer = Arc::new(Mutex::new(TestIssuer::common()));
    let host = served(&place, listener, &issuer);
    // The first runs all errands, and has no line: its acquirer is nobody.
    let (deaf, at_deaf) = seat_of_a_process(&place);
    let folder = place.folder.path().join("acquirer");
    let nobody = place.folder.path().join("nobody");
    copy(&folder.join("center"), &nobody);
    let terms = fs::read_to_string(nobody.join("acquirer.toml")).unwrap();
    fs::write(nobody.join("acquirer.toml"), terms.replace(&host.addr.port().to_string(), "1")).unwrap();
    let text = fs::read_to_string(&deaf).unwrap();
    fs::write(&deaf, text.replace("../acquirer/center", "../nobody")).unwrap();
    *place.addresses.lock().unwrap() = vec![at_deaf];
    let _first = Serving::at(&deaf);
    let mut kiosk = Kiosk::on(&place, 0, 1);
    // It serves, and takes no cards.
    let nothing = PaymentId { kiosk: kiosk.number(), epoch: 1, number: 9, nonce: [7; 16] };
    assert_eq!(kiosk.card_answer(&Request::CardEnquire(nothing)), CardAnswer::Unknown);
    let _second = Processes::start(&place, &address, 1);
    kiosk.link = None;
    let quote = kiosk.quote();
    let payment = quote.read_unverified().unwrap().payment;
    let order = kiosk.order(&quote, "2580");
    let approved = kiosk.card_answer(&Request::Authorize(order));
    assert!(matches!(approved, CardAnswer::Approved { .. }), "{approved:?}");
    let end = kiosk.card_answer(&Request::CardConfirm(payment));
    kiosk.journal.insert(payment, end);
    until_rest(&place);
    let [confirmed, ..] = compare(&place, &host.issuer(), &kiosk.journal);
    assert_eq!(confirmed, 1);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
