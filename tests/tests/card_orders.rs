//! Payments by card through a served center and a served issuer: the center is killed anywhere, answers are lost or late, the line is cut;
//! in the end the issuer's ledger, the center's books and what the kiosk wrote down say the same.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tolem_card_keys::{
    TdesKey, dukpt_tdes,
    pin_block::{self, Pin},
};
use tolem_center::{
    acquirer::{Hsm, HsmError, setup as acquirer_setup},
    config::Config,
    keys::{CenterKeys, seal_card, seal_iin},
    logic::{
        acquirer::{Acquiring as _, Standing},
        ledger,
    },
    pki::{Identity, Pki},
    server::{self, Options, system_clock},
    setup,
    sqlite::SqliteStore,
};
use tolem_firmware::demo::acquirer as host;
use tolem_hal_sim::{
    chip_card::{CardProfile, ChipCard, IssuerKeys},
    issuer::{Mood, Standing as AtIssuer, TestIssuer, Vault, ZONE, served},
    line::Dice,
    pin_pad_device::PinPadKeys,
};
use tolem_protocol::{
    Amount, Iin, KioskNumber, PaymentId,
    card::{CardAnswer, CardOrder, CardSecret, PinKey, VoidReason},
    emv::{CardNumber, apdu::Transport},
    messages::{self, Deposit, DepositKind, Hello, Method, Quote, Request, Response},
    pinpad::{KeySerial, PinBlock},
    signed::{Signature, Signed},
};
use tolem_tests::bench::tolem_center;
use tolem_tests::secrets::SearchedFolder;

const KIOSK: u32 = 42;
const PAYER: &str = "000101300019";
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// The fee of the service, as a card signs it.
const PACKED_FEE: [u8; 6] = [0, 0, 0, 0x43, 0x25, 0];

fn kiosk() -> KioskNumber {
    KioskNumber::new(KIOSK).unwrap()
}

fn number() -> CardNumber {
    CardNumber::parse(concat!("5413", "3300", "8902", "0011")).unwrap()
}

/// A center's directory, an acquirer's folder, and a kiosk that is enrolled.
struct Place {
    folder: SearchedFolder,
    config: Config,
    identity: Identity,
    key: Ed25519KeyPair,
    keys: CenterKeys,
}

impl Place {
    fn new(host: SocketAddr) -> Self {
        let folder = SearchedFolder::new("tolem-");
        host::prepare(&folder.path().join("acquirer"), host).unwrap();
        let directory = folder.path().join("center");
        setup::init(&directory, &["localhost".into()], system_clock()).unwrap();
        let file = directory.join(setup::CONFIG_FILE);
        let mut config = acquirer_setup::attach(&file, Path::new("../acquirer/center")).unwrap();
        // Where the center listens in all its lives.
        config.listen = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("127.0.0.1:7443", &config.listen.to_string())).unwrap();
        let key = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
        let public = key.public_key().as_ref().try_into().unwrap();
        let identity = setup::enroll(&config, kiosk(), public, None, system_clock()).unwrap();
        let keys = Pki::at(&directory).keys().unwrap();
        Self { folder, config, identity, key, keys }
    }

    fn file(&self) -> PathBuf {
        self.config.directory.join(setup::CONFIG_FILE)
    }

    fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let root = self.config.directory.join("pki/root.crt");
        roots.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
        let certificate = CertificateDer::from_pem_slice(self.identity.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.identity.key.as_bytes()).unwrap();
        Arc::new(
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .with_root_certificates(roots)
                .with_client_auth_cert(vec![certificate], key)
                .unwrap(),
        )
    }
}

/// `tolem-center serve`, killed without a word.
struct Serving(Child);

impl Serving {
    fn start(place: &Place) -> Self {
        let mut command = Command::new(tolem_center());
        command.arg("serve").arg("--config").arg(place.file());
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// SIGKILL, and the next life.
    fn kill_and_start(&mut self, place: &Place) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        *self = Self::start(place);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A kiosk: its card, its pad's counter, its link, and what it has written down.
struct Kiosk<'p> {
    place: &'p Place,
    client: Arc<ClientConfig>,
    link: Option<StreamOwned<ClientConnection, TcpStream>>,
    epoch: u32,
    count: u64,
    card: ChipCard,
    serial: dukpt_tdes::Ksn,
    dice: Dice,
    /// How each payment ended, as the kiosk knows it.
    journal: BTreeMap<PaymentId, CardAnswer>,
}

impl<'p> Kiosk<'p> {
    fn new(place: &'p Place, seed: u64) -> Self {
        let mut card = ChipCard::new(CardProfile::common(number(), &IssuerKeys::test()), Transport::T1);
        card.reset();
        Self {
            place,
            client: place.client(),
            link: None,
            epoch: 0,
            count: 0,
            card,
            serial: PinPadKeys::test().serial,
            dice: Dice::new(seed),
            journal: BTreeMap::new(),
        }
    }

    /// Asks until somebody answers; `None` for a question whose link broke before its answer.
    fn try_ask(&mut self, request: &Request) -> Option<Response> {
        let end = Instant::now() + PATIENCE;
        while self.link.is_none() {
            assert!(Instant::now() < end, "the center does not come back");
            self.link = self.dial();
        }
        let answer = self.link.as_mut().and_then(|link| exchange(link, request));
        if answer.is_none() {
            self.link = None;
        }
        answer
    }

    fn ask(&mut self, request: &Request) -> Response {
        loop {
            if let Some(answer) = self.try_ask(request) {
                return answer;
            }
        }
    }

    fn dial(&mut self) -> Option<StreamOwned<ClientConnection, TcpStream>> {
        let tcp = TcpStream::connect(self.place.config.listen).ok()?;
        tcp.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let name = ServerName::try_from("localhost").ok()?;
        let mut link = StreamOwned::new(ClientConnection::new(self.client.clone(), name).ok()?, tcp);
        let hello = Request::Hello(Hello {
            software: heapless::String::try_from("test 1").unwrap(),
            boot_nonce: [7; 16],
            epoch: self.epoch,
            journal_size: 0,
            clock: system_clock(),
            center_epoch: 0,
        });
        match exchange(&mut link, &hello)? {
            Response::Welcome(welcome) => self.epoch = welcome.epoch,
            other => panic!("{other:?}"),
        }
        Some(link)
    }

    /// A quote that offers cards; asked again, under a new number, while the acquirer is not there.
    fn quote(&mut self) -> Signed<Quote> {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "no cards are offered");
            if self.link.is_none() {
                self.link = self.dial();
                continue;
            }
            self.count += 1;
            let payment = PaymentId { kiosk: kiosk(), epoch: self.epoch, number: self.count, nonce: [7; 16] };
            let service = heapless::String::try_from("marriage").unwrap();
            let payer = Iin::parse(PAYER, system_clock().date()).unwrap();
            let request = Request::Quote { payment, service, payer, method: Method::Card, balance: None };
            if let Response::Quote(quote) = self.ask(&request) {
                return quote;
            }
        }
    }

    fn order(&mut self, quote: &Signed<Quote>, pin: &str) -> CardOrder {
        let payment = quote.read_unverified().unwrap().payment;
        let (place, dice) = (self.place, &mut self.dice);
        let sealing = place.keys.sealing_public();
        let payer = Iin::parse(PAYER, system_clock().date()).unwrap();
        let payer = seal_iin(&sealing, &payer, &payment, &mut || dice.next_u64()).unwrap();
        let deposit = Deposit {
            payment,
            kind: DepositKind::Pay,
            quote: Some(quote.clone()),
            payer: Some(payer),
            notes: Default::default(),
            made_at: system_clock(),
        };
        let sign = |message: &[u8]| Signature(place.key.sign(message).as_ref().try_into().unwrap());
        let deposit = Signed::new(&deposit, sign);
        self.serial = dukpt_tdes::advance(self.serial).unwrap();
        let initial = dukpt_tdes::initial_key(&PinPadKeys::test().base, self.serial);
        let clear = pin_block::format_0(&Pin::parse(pin).unwrap(), &number());
        let block = dukpt_tdes::pin_key(&initial, self.serial).encrypt(clear);
        let pin = (PinBlock::new(block), PinKey::Dukpt(KeySerial(self.serial)));
        let secret = CardSecret { number: number(), expiry: [3, 0, 1, 2], sequence: Some(1), pin: Some(pin) };
        let dice = &mut self.dice;
        let sealed = seal_card(&sealing, &secret, &payment, &mut || dice.next_u64()).unwrap();
        let chip_data = heapless::Vec::from_slice(&self.card.online_data(PACKED_FEE)).unwrap();
        CardOrder { deposit, terminal: *b"KSK00042", merchant: *b"KIOSKTEST000001", sealed, chip_data }
    }

    fn card_answer(&mut self, request: &Request) -> CardAnswer {
        match self.ask(request) {
            Response::Card(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// From the answer to the order, if one came, to the end: as a kiosk does it, whatever is lost.
    fn finish(&mut self, payment: PaymentId, heard: Option<Response>) {
        let answer = match heard {
            Some(Response::Card(CardAnswer::Undecided)) | None => {
                self.card_answer(&Request::CardEnquire(payment))
            }
            Some(Response::Card(answer)) => answer,
            Some(other) => panic!("{other:?}"),
        };
        let end = match answer {
            CardAnswer::Approved { .. } if !self.dice.chance(250) => {
                self.card_answer(&Request::CardConfirm(payment))
            }
            CardAnswer::Declined { .. } | CardAnswer::Voided => answer,
            CardAnswer::Approved { .. } | CardAnswer::Undecided | CardAnswer::Unknown => {
                let why = if matches!(answer, CardAnswer::Approved { .. }) {
                    VoidReason::CardRefused
                } else {
                    VoidReason::NoAnswer
                };
                self.card_answer(&Request::CardVoid { payment, why })
            }
            CardAnswer::Confirmed => panic!("nobody has confirmed {payment}"),
        };
        self.journal.insert(payment, end);
    }
}

/// One question and its answer.
fn exchange(link: &mut StreamOwned<ClientConnection, TcpStream>, request: &Request) -> Option<Response> {
    link.write_all(&messages::encode(77, request)).and_then(|()| link.flush()).ok()?;
    let mut field = [0; 4];
    link.read_exact(&mut field).ok()?;
    let mut body = vec![0; messages::frame_length(field).unwrap()];
    link.read_exact(&mut body).ok()?;
    Some(messages::decode(&body).unwrap().1)
}

fn served(place: &Place, listener: TcpListener, issuer: &Arc<Mutex<TestIssuer>>) -> served::ServedIssuer {
    let options = host::options(&place.folder.path().join("acquirer"), None).unwrap();
    served::serve(listener, issuer.clone(), options).unwrap()
}

/// All three say the same, payment by payment.
fn compare(place: &Place, issuer: &TestIssuer, journal: &BTreeMap<PaymentId, CardAnswer>) -> [usize; 3] {
    let store = SqliteStore::open(&place.config.directory.join(setup::DATABASE)).unwrap();
    assert_eq!(ledger::audit(&store).unwrap(), Vec::<String>::new());
    let mut rows = BTreeMap::new();
    store.each_card(&mut |row| drop(rows.insert(row.payment, row))).unwrap();
    let at_issuer: BTreeMap<[u8; 6], AtIssuer> =
        issuer.ledger().map(|((_, original), entry)| (original.trace, entry.standing)).collect();
    assert_eq!(at_issuer.len(), issuer.ledger().count(), "no trace number came twice");
    let mut ends = [0; 3];
    for (payment, end) in journal {
        let row = rows.remove(payment);
        let theirs = row.as_ref().and_then(|row| at_issuer.get(&row.request.trace_digits()));
        let fits = match (end, row.as_ref().map(|row| row.standing)) {
            (CardAnswer::Confirmed, Some(Standing::Confirmed)) => {
                ends[0] += 1;
                theirs == Some(&AtIssuer::Taken)
            }
            (CardAnswer::Voided, Some(Standing::Reversed)) => {
                ends[1] += 1;
                // What was declined with an answer that nobody heard is taken back as well, and stays declined.
                matches!(theirs, Some(AtIssuer::Reversed | AtIssuer::Declined(_)))
            }
            // Nobody was asked.
            (CardAnswer::Voided | CardAnswer::Declined { .. }, None) => true,
            (CardAnswer::Declined { .. }, Some(Standing::Declined)) => {
                ends[2] += 1;
                matches!(theirs, Some(AtIssuer::Declined(_)))
            }
            _ => false,
        };
        assert!(fits, "{payment}: the kiosk says {end:?}, the center {row:?}, the issuer {theirs:?}");
    }
    assert!(rows.is_empty(), "payments that the kiosk does not know: {rows:?}");
    let (taken, held) = issuer.taken_and_held();
    let booked = ledger::totals(&store).unwrap().get(&ledger::Account::Cards).copied().unwrap_or(0);
    assert_eq!((i64::try_from(taken.tiyn()).unwrap(), held), (booked, Amount::from_tenge(0)));
    ends
}

/// Waits until the center owes nobody anything.
fn until_rest(place: &Place) {
    let end = Instant::now() + PATIENCE;
    loop {
        let store = SqliteStore::open(&place.config.directory.join(setup::DATABASE)).unwrap();
        let mut open = Vec::new();
        store
            .each_card(&mut |row| {
                let over = [Standing::Confirmed, Standing::Reversed, Standing::Declined];
                if !over.contains(&row.standing) {
                    open.push(format!("{row:?}"));
                }
            })
            .unwrap();
        if open.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "still owed: {open:#?}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn killed_and_unheard_by_seed_issuer_center_and_kiosk_agree() {
    let mut all = [0; 3];
    for seed in 0..3 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let place = Place::new(listener.local_addr().unwrap());
        let issuer = Arc::new(Mutex::new(TestIssuer::common()));
        let host = served(&place, listener, &issuer);
        let mut center = Serving::start(&place);
        let mut kiosk = Kiosk::new(&place, seed);
        let mut dice = Dice::new(seed ^ 0xACE);
        for _ in 0..8 {
            let quote = kiosk.quote();
            let payment = quote.read_unverified().unwrap().payment;
            let order = kiosk.order(&quote, if dice.chance(300) { "1111" } else { "2580" });
            for mood in [Mood::LosesRequest, Mood::LosesAnswer, Mood::AnswersLate] {
                if dice.chance(80) {
                    host.issuer().moods.push_back(mood);
                }
            }
            let heard = match dice.below(5) {
                // Killed with the order on its way, or just taken.
                0 => {
                    let link = kiosk.link.as_mut().unwrap();
                    let _ = link.write_all(&messages::encode(77, &Request::Authorize(order)));
                    let _ = link.flush();
                    center.kill_and_start(&place);
                    kiosk.link = None;
                    None
                }
                // Nobody listens to the answer.
                1 => {
                    let link = kiosk.link.as_mut().unwrap();
                    let _ = link.write_all(&messages::encode(77, &Request::Authorize(order)));
                    let _ = link.flush();
                    kiosk.link = None;
                    None
                }
                2 => {
                    let heard = kiosk.try_ask(&Request::Authorize(order));
                    center.kill_and_start(&place);
                    kiosk.link = None;
                    heard
                }
                3 => {
                    let heard = kiosk.try_ask(&Request::Authorize(order));
                    host.cut();
                    heard
                }
                _ => kiosk.try_ask(&Request::Authorize(order)),
            };
            kiosk.finish(payment, heard);
        }
        host.issuer().moods.clear();
        until_rest(&place);
        drop(center);
        let ends = compare(&place, &host.issuer(), &kiosk.journal);
        all.iter_mut().zip(ends).for_each(|(sum, more)| *sum += more);
    }
    assert!(all.iter().all(|count| *count > 0), "confirmed, reversed, declined: {all:?}");
}

/// The test security module: the only one that this house has, and never in a program that is shipped.
struct TestHsm(Vault);

impl Hsm for TestHsm {
    fn translate(
        &self,
        block: &PinBlock,
        serial: KeySerial,
        number: &CardNumber,
    ) -> Result<PinBlock, HsmError> {
        let serial: String = serial.0.iter().map(|byte| format!("{byte:02X}")).collect();
        let block = self.0.translate(*block.bytes(), serial.as_bytes(), number);
        block.map(PinBlock::new).ok_or(HsmError::Refused)
    }
}

#[test]
fn pin_blocks_are_translated_in_the_security_module_where_the_acquirer_wants_it() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let place = Place::new(listener.local_addr().unwrap());
    let terms = place.folder.path().join("acquirer/center/acquirer.toml");
    let text = fs::read_to_string(&terms).unwrap();
    fs::write(&terms, text + "pin = \"translate\"\n").unwrap();
    let options =
        || Options { config: place.config.clone(), observer: None, clock: system_clock, neighbours: None };
    let error = server::start(options()).err().map(|error| format!("{error:#}")).unwrap();
    assert!(error.contains("key pin: \"translate\" needs a security module"), "{error}");

    let issuer = Arc::new(Mutex::new(TestIssuer::common()));
    let host = served(&place, listener, &issuer);
    let vault = Vault::new(PinPadKeys::test().base, TdesKey::new(&ZONE).unwrap());
    let center = server::start_with(options(), Some(Arc::new(TestHsm(vault)))).unwrap();
    let mut kiosk = Kiosk::new(&place, 1);
    for (pin, approved) in [("2580", true), ("1111", false)] {
        let quote = kiosk.quote();
        let payment = quote.read_unverified().unwrap().payment;
        let order = kiosk.order(&quote, pin);
        let heard = kiosk.card_answer(&Request::Authorize(order));
        assert_eq!(matches!(heard, CardAnswer::Approved { .. }), approved, "{heard:?}");
        let end = if approved { kiosk.card_answer(&Request::CardConfirm(payment)) } else { heard };
        kiosk.journal.insert(payment, end);
    }
    // A block that is no block of this card: the module refuses, nothing is asked, and the payment is undone.
    let quote = kiosk.quote();
    let mut order = kiosk.order(&quote, "2580");
    let payment = quote.read_unverified().unwrap().payment;
    let wrong = (PinBlock::new([9; 8]), PinKey::Dukpt(KeySerial(kiosk.serial)));
    let secret = CardSecret { number: number(), expiry: [3, 0, 1, 2], sequence: Some(1), pin: Some(wrong) };
    order.sealed = seal_card(&place.keys.sealing_public(), &secret, &payment, &mut || 5).unwrap();
    let heard = kiosk.card_answer(&Request::Authorize(order));
    assert_eq!(heard, CardAnswer::Voided);
    kiosk.journal.insert(payment, heard);
    until_rest(&place);
    drop(center);
    assert_eq!(host.issuer().ledger().filter(|(_, entry)| entry.standing == AtIssuer::Taken).count(), 1);
    compare(&place, &host.issuer(), &kiosk.journal);
}
