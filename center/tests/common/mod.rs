//! A center and some kiosks without wires: what the tests of the rules share. Every test runs on all stores.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod office;
pub mod postgres_server;
pub mod two;

use ring::signature::{Ed25519KeyPair, KeyPair};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};
use tolem_center::{
    catalogue::{self, Catalogue},
    keys::{CenterKeys, Seeds, seal_iin},
    logic::{
        Center, Keys as _, Moment, Rules, Via,
        gateway::InProcessGateway,
        ledger,
        memory::MemoryStore,
        operator,
        registry::{ListRegistry, Switch},
        reports::{
            self, Period,
            settlement::{self, Terms},
        },
        store::{Result, Transact},
        trace::Step,
    },
    sql::{Address, SqlStore},
    sqlite::SqliteStore,
};
use tolem_protocol::{
    Amount, BalanceNumber, Denomination, Iin, KioskNumber, PaymentId, UtcTime,
    messages::{
        Deposit, DepositKind, HeldBalance, Hello, HoldReason, Method, Outcome, Quote, Refusal, Request,
        Response, Verdict,
    },
    notes::NotePile,
    signed::{Signature, Signed},
    utc::Date,
};

/// Noon of 22 November 2026 in Kazakhstan.
pub fn noon() -> UtcTime {
    Date::parse_iso("2026-11-22").unwrap().starts_at().plus_seconds(12 * 3_600)
}

pub fn iin(text: &str) -> Iin {
    Iin::parse(text, noon().date()).unwrap()
}

/// Anna, Bolat and Vera: invented, born before 1901.
pub const ANNA: &str = "000101400015";
pub const BOLAT: &str = "000101300019";
pub const VERA: &str = "500228200018";
/// Well formed, but the registry does not know it.
pub const NOBODY: &str = "500228200900";

pub fn tenge(amount: u64) -> Amount {
    Amount::from_tenge(amount)
}

/// Makes and reopens one kind of store.
pub trait Lab {
    type Store: Transact;
    fn create(&self) -> Self::Store;
    /// The newest store as it is after a power cut.
    fn reopen(&self, store: Self::Store) -> Self::Store;
    /// How often a random test may run.
    fn seeds(&self) -> u64;
}

pub struct InMemory;

impl Lab for InMemory {
    type Store = MemoryStore;
    fn create(&self) -> MemoryStore {
        MemoryStore::new(7)
    }
    fn reopen(&self, store: MemoryStore) -> MemoryStore {
        store
    }
    fn seeds(&self) -> u64 {
        100
    }
}

/// Databases in a directory of their own, removed at the end.
pub struct OnDisk {
    directory: PathBuf,
    made: std::cell::Cell<u32>,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

pub fn scratch(name: &str) -> PathBuf {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("tolem-{name}-{}-{count}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

impl OnDisk {
    pub fn new() -> Self {
        Self { directory: scratch("store"), made: std::cell::Cell::new(0) }
    }
}

impl OnDisk {
    fn newest(&self) -> PathBuf {
        self.directory.join(format!("center-{}.db", self.made.get()))
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Lab for OnDisk {
    type Store = SqliteStore;
    fn create(&self) -> SqliteStore {
        self.made.set(self.made.get() + 1);
        SqliteStore::create(&self.newest(), 7).unwrap()
    }
    fn reopen(&self, store: SqliteStore) -> SqliteStore {
        drop(store);
        SqliteStore::open(&self.newest()).unwrap()
    }
    fn seeds(&self) -> u64 {
        4
    }
}

/// Databases of a PostgreSQL server.
pub struct OnServer(std::cell::RefCell<Option<Address>>);

impl OnServer {
    pub fn new() -> Self {
        Self(std::cell::RefCell::new(None))
    }
}

impl Lab for OnServer {
    type Store = SqlStore;
    fn create(&self) -> SqlStore {
        let address = postgres_server::database();
        let store = SqlStore::create_at(&address, 7).unwrap();
        self.0.replace(Some(address));
        store
    }
    fn reopen(&self, store: SqlStore) -> SqlStore {
        drop(store);
        SqlStore::open_at(self.0.borrow().as_ref().unwrap()).unwrap()
    }
    fn seeds(&self) -> u64 {
        2
    }
}

/// Runs each test function on all stores.
#[macro_export]
macro_rules! on_all_stores {
    ($($name:ident),* $(,)?) => {
        mod in_memory { $(#[test] fn $name() { super::$name(&$crate::common::InMemory) })* }
        mod on_disk { $(#[test] fn $name() { super::$name(&$crate::common::OnDisk::new()) })* }
        mod on_server { $(#[test] fn $name() { super::$name(&$crate::common::OnServer::new()) })* }
    };
}

/// xorshift64*: enough for tests.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// A kiosk as the center sees it.
pub struct Kiosk {
    pub number: KioskNumber,
    pub key: Ed25519KeyPair,
    pub nonce: [u8; 16],
    pub epoch: u32,
    pub count: u64,
}

impl Kiosk {
    pub fn new(number: u32) -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[u8::try_from(number % 251).unwrap(); 32]).unwrap();
        Self { number: KioskNumber::new(number).unwrap(), key, nonce: [1; 16], epoch: 0, count: 0 }
    }

    pub fn public(&self) -> [u8; 32] {
        self.key.public_key().as_ref().try_into().unwrap()
    }

    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.key.sign(message).as_ref().try_into().unwrap())
    }

    pub fn next_id(&mut self) -> PaymentId {
        self.count += 1;
        PaymentId { kiosk: self.number, epoch: self.epoch, number: self.count, nonce: self.nonce }
    }

    pub fn hello(&self) -> Request {
        Request::Hello(Hello {
            software: heapless::String::try_from("test 1").unwrap(),
            boot_nonce: self.nonce,
            epoch: self.epoch,
            journal_size: 1_000,
            clock: noon(),
            center_epoch: 0,
        })
    }
}

pub fn pile(notes: &[u32]) -> NotePile {
    let mut pile = NotePile::default();
    notes.iter().for_each(|note| pile.add(Denomination(*note)));
    pile
}

pub struct Town<S> {
    pub center: Center,
    pub store: S,
    pub now: UtcTime,
    pub dice: Dice,
    pub steps: Vec<Step>,
    pub kiosks: BTreeMap<u32, Kiosk>,
    pub registry_down: Switch,
    pub gateway_down: Switch,
    pub sealing: [u8; 32],
}

pub fn keys() -> CenterKeys {
    let mut next = 100;
    CenterKeys::new(&Seeds::draw(|seed| {
        next += 1;
        *seed = [next; 32];
    }))
}

pub fn center(registry_down: &Switch, gateway_down: &Switch) -> Center {
    let persons = catalogue::parse_persons(catalogue::REFERENCE_PERSONS, noon().date()).unwrap();
    Center {
        catalogue: Catalogue::parse(catalogue::REFERENCE).unwrap(),
        rules: Rules::default(),
        keys: Box::new(keys()),
        registry: Box::new(ListRegistry::new(persons, registry_down.clone())),
        gateway: Box::new(InProcessGateway { down: gateway_down.clone() }),
        crl: vec![1; 5_000],
        acquirer: None,
    }
}

impl<S: Transact> Town<S> {
    /// A center with kiosks 1, 2 and 3, greeted.
    pub fn new(store: S) -> Self {
        let mut town = Self::on(store);
        for number in 1..=3 {
            let mut kiosk = Kiosk::new(number);
            kiosk.nonce = [u8::try_from(number).unwrap() + 10; 16];
            town.store.transact(|store| operator::register(store, kiosk.number, kiosk.public())).unwrap();
            town.kiosks.insert(number, kiosk);
            town.greet(number);
        }
        town
    }

    /// The same center on a store that has its kiosks.
    pub fn on(store: S) -> Self {
        let (registry_down, gateway_down) = (Switch::default(), Switch::default());
        Self {
            center: center(&registry_down, &gateway_down),
            store,
            now: noon(),
            dice: Dice(0x9E37_79B9_7F4A_7C15),
            steps: Vec::new(),
            kiosks: BTreeMap::new(),
            registry_down,
            gateway_down,
            sealing: keys().sealing_public(),
        }
    }

    /// Power off and on at the center.
    pub fn restart(self, lab: &impl Lab<Store = S>) -> Self {
        Self { store: lab.reopen(self.store), ..self }
    }

    /// A center with the same keys and kiosks whose database was lost.
    pub fn without_memory(&self, lab: &impl Lab<Store = S>) -> Self {
        let mut other = Self::new(lab.create());
        other.dice = Dice(0xD1CE);
        other
    }

    pub fn greet(&mut self, number: u32) {
        let hello = self.kiosks[&number].hello();
        match self.ask(number, hello) {
            Response::Welcome(welcome) => self.kiosks.get_mut(&number).unwrap().epoch = welcome.epoch,
            other => panic!("{other:?}"),
        }
    }

    pub fn try_ask(&mut self, number: u32, request: Request) -> Result<Response> {
        let Self { center, store, now, dice, steps, .. } = self;
        let mut fresh = || dice.next();
        let mut trace = |step| steps.push(step);
        let mut at = Moment { now: *now, fresh: &mut fresh, trace: &mut trace };
        let who = KioskNumber::new(number).unwrap();
        store.transact(|store| center.handle(store, &mut at, who, request.clone()))
    }

    pub fn ask(&mut self, number: u32, request: Request) -> Response {
        self.try_ask(number, request).unwrap()
    }

    /// Hands in the QR of a claim slip at the center's counter.
    pub fn import(&mut self, deposit: &Signed<Deposit>) -> Response {
        let Self { center, store, now, dice, steps, .. } = self;
        let mut fresh = || dice.next();
        let mut trace = |step| steps.push(step);
        let mut at = Moment { now: *now, fresh: &mut fresh, trace: &mut trace };
        store.transact(|store| center.settle(store, &mut at, Via::Import, deposit)).unwrap()
    }

    /// Lets the gateway in this process do what is due, after the longest pause between two tries.
    pub fn notices(&mut self) -> usize {
        self.now = self.now.plus_seconds(300);
        let Self { center, store, now, dice, steps, .. } = self;
        let mut fresh = || dice.next();
        let mut trace = |step| steps.push(step);
        let mut at = Moment { now: *now, fresh: &mut fresh, trace: &mut trace };
        store.transact(|store| center.deliver_notices(store, &mut at)).unwrap()
    }

    pub fn next_id(&mut self, number: u32) -> PaymentId {
        self.kiosks.get_mut(&number).unwrap().next_id()
    }

    pub fn want(
        &mut self,
        payment: PaymentId,
        service: &str,
        payer: &str,
        balance: Option<BalanceNumber>,
    ) -> Response {
        let request = Request::Quote {
            payment,
            service: heapless::String::try_from(service).unwrap(),
            payer: iin(payer),
            method: Method::Cash,
            balance,
        };
        self.ask(payment.kiosk.get(), request)
    }

    /// A quote that must be given.
    pub fn quote(
        &mut self,
        number: u32,
        service: &str,
        payer: &str,
        balance: Option<BalanceNumber>,
    ) -> Signed<Quote> {
        let payment = self.next_id(number);
        match self.want(payment, service, payer, balance) {
            Response::Quote(quote) => quote,
            other => panic!("{other:?}"),
        }
    }

    /// The deposit of `notes`, signed by the kiosk the payment belongs to.
    pub fn deposit(
        &mut self,
        payment: PaymentId,
        kind: DepositKind,
        quote: Option<&Signed<Quote>>,
        payer: Option<&str>,
        notes: &[u32],
    ) -> Signed<Deposit> {
        let dice = &mut self.dice;
        let payer =
            payer.map(|text| seal_iin(&self.sealing, &iin(text), &payment, &mut || dice.next()).unwrap());
        let deposit =
            Deposit { payment, kind, quote: quote.cloned(), payer, notes: pile(notes), made_at: self.now };
        let kiosk = &self.kiosks[&payment.kiosk.get()];
        Signed::new(&deposit, |message| kiosk.sign(message))
    }

    /// Pays a quote with `notes`; gives deposit and answer.
    pub fn pay(
        &mut self,
        quote: &Signed<Quote>,
        payer: &str,
        notes: &[u32],
    ) -> (Signed<Deposit>, Signed<Outcome>) {
        let payment = quote.read_unverified().unwrap().payment;
        let deposit = self.deposit(payment, DepositKind::Pay, Some(quote), Some(payer), notes);
        let outcome = self.commit(payment.kiosk.get(), &deposit);
        (deposit, outcome)
    }

    pub fn commit(&mut self, number: u32, deposit: &Signed<Deposit>) -> Signed<Outcome> {
        match self.ask(number, Request::Commit(deposit.clone())) {
            Response::Outcome(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    /// Puts a remainder of `rest` tenge on Anna's account at kiosk 1.
    pub fn remainder(&mut self, payer: &str, rest: u64) -> HeldBalance {
        let payment = self.next_id(1);
        let notes = vec![500; (rest / 500) as usize];
        let kind = DepositKind::Hold(HoldReason::Stopped);
        let deposit = self.deposit(payment, kind, None, Some(payer), &notes);
        match verdict(&self.commit(1, &deposit)) {
            Verdict::Held(balance) => balance,
            other => panic!("{other:?}"),
        }
    }

    /// Every tiyn is accounted for, and once the gateway has heard everything, all payouts together are what is owed to the payees.
    pub fn audit(&self) {
        assert_eq!(ledger::audit(&self.store).unwrap(), Vec::<String>::new());
        if self.store.notices_open().unwrap().0 == 0 {
            assert_eq!(self.paid_out(UtcTime(i64::MIN)), self.owed());
        }
    }

    /// Tiyn that the settlements since `first` pay to each payee: of the days on which something was booked, or the gateway took a word.
    pub fn paid_out(&self, first: UtcTime) -> BTreeMap<String, i64> {
        let (mut days, mut sums) = (BTreeSet::new(), BTreeMap::new());
        let mut add = |at: UtcTime| {
            if at >= first {
                days.insert(at.date());
            }
        };
        self.store.each_posting(&mut |posting| add(posting.at)).unwrap();
        self.store.each_notice(&mut |notice| notice.taken_at.into_iter().for_each(&mut add)).unwrap();
        for day in days {
            let entries = reports::entries(&self.store, Period::days(day, 1)).unwrap();
            for (payee, payout) in settlement::payouts(&entries, day, &Terms::default()) {
                *sums.entry(payee).or_default() += payout.due();
            }
        }
        sums.retain(|_, tiyn| *tiyn != 0);
        sums
    }

    /// Tiyn that the ledger owes to each payee.
    pub fn owed(&self) -> BTreeMap<String, i64> {
        let of_payee = |(account, tiyn): (ledger::Account, i64)| match account {
            ledger::Account::Payable(_) => {
                Some((account.to_string().strip_prefix("payable:")?.to_owned(), -tiyn))
            }
            ledger::Account::Unassigned => Some(("unassigned".to_owned(), -tiyn)),
            _ => None,
        };
        let totals = ledger::totals(&self.store).unwrap();
        totals.into_iter().filter_map(of_payee).filter(|(_, tiyn)| *tiyn != 0).collect()
    }

    pub fn cash(&self, number: u32) -> i64 {
        let kiosk = KioskNumber::new(number).unwrap();
        let totals = ledger::totals(&self.store).unwrap();
        totals.get(&ledger::Account::KioskCash(kiosk)).copied().unwrap_or(0)
    }

    pub fn alarms(&self) -> Vec<String> {
        self.store.alarms().unwrap().into_iter().map(|alarm| alarm.kind).collect()
    }
}

/// Opens an outcome with the center's key.
pub fn outcome(signed: &Signed<Outcome>) -> Outcome {
    let keys = keys();
    signed.open(|message, signature| keys.verify_own(message, signature)).unwrap()
}

pub fn verdict(signed: &Signed<Outcome>) -> Verdict {
    outcome(signed).verdict
}

pub fn refused(response: Response) -> Refusal {
    match response {
        Response::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}
