//! A center on disk or on PostgreSQL, kiosks that pay by card, a served issuer: what the tests of card payments across processes share.
#![allow(dead_code, reason = "each test file uses its own part")]

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
    dukpt_tdes,
    pin_block::{self, Pin},
    sealed_number,
};
use tolem_center::{
    acquirer::setup as acquirer_setup,
    config::Config,
    keys::{CenterKeys, seal_card, seal_iin},
    logic::{
        acquirer::{Acquiring as _, Standing},
        ledger,
    },
    pki::{Identity, Pki},
    server::system_clock,
    setup,
    sql::{Address, SqlStore},
};
use tolem_firmware::demo::acquirer as host;
use tolem_hal_sim::{
    chip_card::{CardProfile, ChipCard, IssuerKeys},
    issuer::{Standing as AtIssuer, TestIssuer, served},
    line::Dice,
    pin_pad_device::PinPadKeys,
};
use tolem_protocol::{
    Amount, Iin, KioskNumber, PaymentId,
    card::{CardAnswer, CardOrder, CardSecret, PinKey, SecretNumber, VoidReason},
    emv::{CardNumber, apdu::Transport},
    messages::{self, Deposit, DepositKind, Hello, Method, Quote, Request, Response},
    pinpad::{KeySerial, PinBlock},
    signed::{Signature, Signed},
};
use tolem_tests::{bench::tolem_center, secrets::SearchedFolder};

pub const KIOSK: u32 = 42;
pub const PAYER: &str = "000101300019";
/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The fee of the service, as a card signs it.
pub const PACKED_FEE: [u8; 6] = [0, 0, 0, 0x43, 0x25, 0];

pub fn number() -> CardNumber {
    CardNumber::parse(concat!("5413", "3300", "8902", "0011")).unwrap()
}

/// A kiosk that is enrolled.
pub struct Seat {
    pub number: KioskNumber,
    pub identity: Identity,
    pub key: Ed25519KeyPair,
}

/// A center's directory, an acquirer's folder, and kiosks that are enrolled, from number 42 on.
pub struct Place {
    pub folder: SearchedFolder,
    pub config: Config,
    pub seats: Vec<Seat>,
    pub keys: CenterKeys,
    /// Where the center's processes listen.
    pub addresses: Mutex<Vec<SocketAddr>>,
}

impl Place {
    /// One process with a file, one kiosk.
    pub fn new(host: SocketAddr) -> Self {
        Self::on(host, None, 1)
    }

    pub fn on(host: SocketAddr, database: Option<&Address>, kiosks: u32) -> Self {
        let folder = SearchedFolder::new("tolem-");
        host::prepare(&folder.path().join("acquirer"), host).unwrap();
        let directory = folder.path().join("center");
        setup::init_at(&directory, &["localhost".into()], database, system_clock()).unwrap();
        let file = directory.join(setup::CONFIG_FILE);
        let mut config = acquirer_setup::attach(&file, Path::new("../acquirer/center")).unwrap();
        // Where the center listens in all its lives.
        config.listen = free();
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("127.0.0.1:7443", &config.listen.to_string())).unwrap();
        let enrol = |number| {
            let number = KioskNumber::new(number).unwrap();
            let key =
                Ed25519KeyPair::from_seed_unchecked(&[u8::try_from(number.get()).unwrap(); 32]).unwrap();
            let public = key.public_key().as_ref().try_into().unwrap();
            let identity = setup::enroll(&config, number, public, None, system_clock()).unwrap();
            Seat { number, identity, key }
        };
        let seats = (KIOSK..KIOSK + kiosks).map(enrol).collect();
        let keys = Pki::at(&directory).keys().unwrap();
        let addresses = Mutex::new(vec![config.listen]);
        Self { folder, config, seats, keys, addresses }
    }

    pub fn file(&self) -> PathBuf {
        self.config.directory.join(setup::CONFIG_FILE)
    }

    pub fn store(&self) -> SqlStore {
        setup::open_store(&self.config).unwrap()
    }

    pub fn client(&self, seat: usize) -> Arc<ClientConfig> {
        let identity = &self.seats[seat].identity;
        let mut roots = RootCertStore::empty();
        let root = self.config.directory.join("pki/root.crt");
        roots.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
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

/// An address that nobody listens at.
pub fn free() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// `tolem-center serve`, killed without a word.
pub struct Serving(pub Child);

impl Serving {
    pub fn start(place: &Place) -> Self {
        Self::at(&place.file())
    }

    pub fn at(file: &Path) -> Self {
        let mut command = Command::new(tolem_center());
        command.arg("serve").arg("--config").arg(file);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// SIGKILL, and the next life.
    pub fn kill_and_start(&mut self, place: &Place) {
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
pub struct Kiosk<'p> {
    pub place: &'p Place,
    pub seat: usize,
    pub client: Arc<ClientConfig>,
    pub link: Option<StreamOwned<ClientConnection, TcpStream>>,
    pub epoch: u32,
    pub count: u64,
    pub card: ChipCard,
    pub serial: dukpt_tdes::Ksn,
    /// Serial number of the reader's last key.
    pub reader: dukpt_tdes::Ksn,
    pub dice: Dice,
    /// How each payment ended, as the kiosk knows it.
    pub journal: BTreeMap<PaymentId, CardAnswer>,
}

impl<'p> Kiosk<'p> {
    pub fn new(place: &'p Place, seed: u64) -> Self {
        Self::on(place, 0, seed)
    }

    pub fn on(place: &'p Place, seat: usize, seed: u64) -> Self {
        let mut card = ChipCard::new(CardProfile::common(number(), &IssuerKeys::test()), Transport::T1);
        card.reset();
        Self {
            place,
            seat,
            client: place.client(seat),
            link: None,
            epoch: 0,
            count: 0,
            card,
            serial: PinPadKeys::test().serial,
            reader: [0xFF, 0xFF, 0x98, 0x76, 0x54, 0x33, 0x10, 0xE0, 0, 0],
            dice: Dice::new(seed),
            journal: BTreeMap::new(),
        }
    }

    /// Asks until somebody answers; `None` for a question whose link broke before its answer.
    pub fn try_ask(&mut self, request: &Request) -> Option<Response> {
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

    pub fn ask(&mut self, request: &Request) -> Response {
        loop {
            if let Some(answer) = self.try_ask(request) {
                return answer;
            }
        }
    }

    pub fn dial(&mut self) -> Option<StreamOwned<ClientConnection, TcpStream>> {
        let addresses = self.place.addresses.lock().unwrap().clone();
        let which = if addresses.len() > 1 { self.dice.below(addresses.len() as u64) } else { 0 };
        let tcp = TcpStream::connect(addresses[which as usize]).ok()?;
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

    pub fn number(&self) -> KioskNumber {
        self.place.seats[self.seat].number
    }

    /// A quote that offers cards; asked again, under a new number, while the acquirer is not there.
    pub fn quote(&mut self) -> Signed<Quote> {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "no cards are offered");
            if self.link.is_none() {
                self.link = self.dial();
                continue;
            }
            self.count += 1;
            let payment =
                PaymentId { kiosk: self.number(), epoch: self.epoch, number: self.count, nonce: [7; 16] };
            let service = heapless::String::try_from("marriage").unwrap();
            let payer = Iin::parse(PAYER, system_clock().date()).unwrap();
            let request = Request::Quote { payment, service, payer, method: Method::Card, balance: None };
            if let Response::Quote(quote) = self.ask(&request) {
                return quote;
            }
        }
    }

    pub fn order(&mut self, quote: &Signed<Quote>, pin: &str) -> CardOrder {
        self.order_of(quote, pin, number().into(), [3, 0, 1, 2])
    }

    /// The same with a number that the reader has enciphered, for a card that expires then.
    pub fn sealed_order(&mut self, quote: &Signed<Quote>, pin: &str, expiry: [u8; 4]) -> CardOrder {
        self.reader = dukpt_tdes::advance(self.reader).unwrap();
        let initial = dukpt_tdes::initial_key(&PinPadKeys::test().base, self.reader);
        let value = [0x54, 0x13, 0x33, 0x00, 0x89, 0x02, 0x00, 0x11];
        let sealed =
            sealed_number::seal(&initial, self.reader, &value, &[0x30, 0x12, 0x31], Some(&[1])).unwrap();
        self.order_of(quote, pin, SecretNumber::Sealed(sealed), expiry)
    }

    fn order_of(&mut self, quote: &Signed<Quote>, pin: &str, of: SecretNumber, expiry: [u8; 4]) -> CardOrder {
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
        let seat = &place.seats[self.seat];
        let sign = |message: &[u8]| Signature(seat.key.sign(message).as_ref().try_into().unwrap());
        let deposit = Signed::new(&deposit, sign);
        self.serial = dukpt_tdes::advance(self.serial).unwrap();
        let initial = dukpt_tdes::initial_key(&PinPadKeys::test().base, self.serial);
        let clear = pin_block::format_0(&Pin::parse(pin).unwrap(), &number());
        let block = dukpt_tdes::pin_key(&initial, self.serial).encrypt(clear);
        let pin = (PinBlock::new(block), PinKey::Dukpt(KeySerial(self.serial)));
        let secret = CardSecret { number: of, expiry, sequence: Some(1), pin: Some(pin) };
        let dice = &mut self.dice;
        let sealed = seal_card(&sealing, &secret, &payment, &mut || dice.next_u64()).unwrap();
        let chip_data = heapless::Vec::from_slice(&self.card.online_data(PACKED_FEE)).unwrap();
        let terminal = format!("KSK{}", self.number()).into_bytes().try_into().unwrap();
        CardOrder { deposit, terminal, merchant: *b"KIOSKTEST000001", sealed, chip_data }
    }

    pub fn card_answer(&mut self, request: &Request) -> CardAnswer {
        match self.ask(request) {
            Response::Card(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// From the answer to the order, if one came, to the end: as a kiosk does it, whatever is lost.
    pub fn finish(&mut self, payment: PaymentId, heard: Option<Response>) {
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
pub fn exchange(link: &mut StreamOwned<ClientConnection, TcpStream>, request: &Request) -> Option<Response> {
    link.write_all(&messages::encode(77, request)).and_then(|()| link.flush()).ok()?;
    let mut field = [0; 4];
    link.read_exact(&mut field).ok()?;
    let mut body = vec![0; messages::frame_length(field).unwrap()];
    link.read_exact(&mut body).ok()?;
    Some(messages::decode(&body).unwrap().1)
}

pub fn served(place: &Place, listener: TcpListener, issuer: &Arc<Mutex<TestIssuer>>) -> served::ServedIssuer {
    let options = host::options(&place.folder.path().join("acquirer"), None).unwrap();
    served::serve(listener, issuer.clone(), options).unwrap()
}

/// All three say the same, payment by payment.
pub fn compare(place: &Place, issuer: &TestIssuer, journal: &BTreeMap<PaymentId, CardAnswer>) -> [usize; 3] {
    let store = place.store();
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
                // What never left the line has no code, and the issuer has never heard of it.
                match row.as_ref().and_then(|row| row.code) {
                    Some(_) => matches!(theirs, Some(AtIssuer::Declined(_))),
                    None => theirs.is_none(),
                }
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
pub fn until_rest(place: &Place) {
    let end = Instant::now() + PATIENCE;
    loop {
        let store = place.store();
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
