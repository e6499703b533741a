//! The real center and its kiosks' keys, plugged into the world of `hal-sim`.
//!
//! The world brings the real kiosk with its devices, disk and wire ([`Station`]); here come the center's rules on rows in memory.
//! The same seed gives the same story.

mod cards;
mod keys;

pub use keys::KioskKeys;
pub use tolem_hal_sim::world::{Disk, DiskFault, Wire};

use crate::ledger::ledger_of;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};
use tolem_center::{
    catalogue::{Catalogue, REFERENCE, REFERENCE_PERSONS, parse_persons},
    keys::{CenterKeys, Seeds},
    logic::{
        Center, Moment, Rules, Via,
        errands::Errands as _,
        gateway::InProcessGateway,
        memory::MemoryStore,
        operator,
        rebuild::{self, Standing as _},
        registry::{ListRegistry, Switch},
        store::{Store as _, Transact as _},
    },
};
use tolem_hal_sim::{
    issuer::TestIssuer,
    line::Dice,
    world::{
        self, Station,
        invariants::{CardBooking, Ledger, Settlement},
    },
};
use tolem_protocol::{
    Iin, KioskNumber, PaymentCode, PaymentId, UtcTime,
    card::CardOrder,
    messages::{Deposit, Quote, Request, Response},
    signed::Signed,
    utc::Date,
};

/// One kiosk on its bench with the real center behind it.
pub type Rig = Station<SharedCenter>;

/// An IIN without a living holder that the reference registry knows.
pub const PAYER: &str = "000101300019";
/// Another one.
pub const OTHER_PAYER: &str = "000101400015";

/// The shared center of one or more kiosks.
#[derive(Clone)]
pub struct SharedCenter(Rc<RefCell<CenterState>>);

struct CenterState {
    center: Center,
    store: MemoryStore,
    backup: Option<MemoryStore>,
    /// Codes that are due are asked for. Not when a restored center was opened without hearing everybody: the gateway in this process forgets with
    /// the store which it has made, and a gateway of its own would not.
    orders_codes: bool,
    /// When two people open a restored center that still waits for somebody.
    opens_at: Option<UtcTime>,
    /// Slips that operators have brought while the center listened.
    slips: Vec<Signed<Deposit>>,
    /// Answers of databases that a backup has taken the place of.
    forgotten: Vec<Settlement>,
    gateway: Switch,
    registry: Switch,
    dice: Dice,
    public: ([u8; 32], [u8; 32]),
    bank: Option<TestIssuer>,
    /// Orders by card whose code is not made yet; only in memory, as a served center has them.
    orders: BTreeMap<PaymentId, CardOrder>,
    /// Answers of the bank that are on their way for too long.
    late: Vec<(UtcTime, Vec<u8>)>,
    forgotten_cards: Vec<CardBooking>,
    early_reversals: Vec<PaymentId>,
    /// Changes each quote before it is signed again.
    bent: Option<fn(&mut Quote)>,
}

impl SharedCenter {
    /// A center with the reference catalogue and registry.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let seeds = Seeds::draw(|bytes| bytes.iter_mut().for_each(|byte| *byte = dice.below(256) as u8));
        let today = Date::parse_iso("2026-11-22").expect("invariant: a day of the calendar");
        let persons = parse_persons(REFERENCE_PERSONS, today).expect("the reference persons are well formed");
        let (gateway, registry) = (Switch::default(), Switch::default());
        let keys = CenterKeys::new(&seeds);
        let public = (keys.statement_public(), keys.sealing_public());
        let center = Center {
            catalogue: Catalogue::parse(REFERENCE).expect("the reference catalogue is well formed"),
            rules: Rules::default(),
            keys: Box::new(keys),
            registry: Box::new(ListRegistry::new(persons, registry.clone())),
            gateway: Box::new(InProcessGateway { down: gateway.clone() }),
            crl: Vec::new(),
            acquirer: None,
        };
        let store = MemoryStore::new(1);
        let state = CenterState {
            center,
            store,
            backup: None,
            orders_codes: true,
            opens_at: None,
            slips: Vec::new(),
            forgotten: Vec::new(),
            gateway,
            registry,
            dice,
            public,
            bank: None,
            orders: BTreeMap::new(),
            late: Vec::new(),
            forgotten_cards: Vec::new(),
            early_reversals: Vec::new(),
            bent: None,
        };
        Self(Rc::new(RefCell::new(state)))
    }

    /// Looks at the rows.
    pub fn store<R>(&self, look: impl FnOnce(&MemoryStore) -> R) -> R {
        look(&self.0.borrow().store)
    }

    /// Puts another database in: a backup is restored.
    pub fn restore(&self, backup: MemoryStore) {
        self.0.borrow_mut().store = backup;
    }

    /// Works on the rows with the rules at hand, as an operator does.
    pub fn operate<R>(&self, work: impl FnOnce(&Center, &mut MemoryStore) -> R) -> R {
        let state = &mut *self.0.borrow_mut();
        work(&state.center, &mut state.store)
    }

    /// Changes the center.
    pub fn change(&self, change: impl FnOnce(&mut Center)) {
        change(&mut self.0.borrow_mut().center);
    }

    /// From now on each quote says something else than the books, under the center's good signature.
    pub fn bend_quotes(&self, bend: Option<fn(&mut Quote)>) {
        self.0.borrow_mut().bent = bend;
    }

    fn bend(&self, response: Response) -> Response {
        let state = self.0.borrow();
        match (response, state.bent) {
            (Response::Quote(signed), Some(bend)) => {
                let mut quote = signed.read_unverified().expect("the center writes quotes");
                bend(&mut quote);
                Response::Quote(Signed::new(&quote, |message| state.center.keys.sign(message)))
            }
            (response, _) => response,
        }
    }

    /// Statement and sealing key.
    pub fn public_keys(&self) -> ([u8; 32], [u8; 32]) {
        self.0.borrow().public
    }

    /// Two people open a restored center without those who have not told.
    fn open_early(&self, now: UtcTime) {
        if self.0.borrow().opens_at.is_none_or(|at| now < at) {
            return;
        }
        let opened = self.transact(now, |center, store, moment| {
            let Some(rebuilding) = store.rebuilding()? else { return Ok(false) };
            let missing = rebuild::missing(store)?;
            center.open_again(store, moment, rebuilding, &missing)?;
            Ok(true)
        });
        if let Some(early) = opened {
            let state = &mut *self.0.borrow_mut();
            state.opens_at = None;
            state.orders_codes &= !early;
        }
    }

    /// Operators read in what slips tell: when a restored center has heard everybody, because it may know them already.
    fn read_slips(&self, now: UtcTime) {
        if self.store(|store| store.rebuilding().expect(MEMORY)).is_some() {
            return;
        }
        let slips = std::mem::take(&mut self.0.borrow_mut().slips);
        // An operator who sees it fail does it again.
        let broken = std::mem::take(&mut self.0.borrow_mut().store.broken);
        for slip in &slips {
            self.transact(now, |center, store, moment| center.settle(store, moment, Via::Import, slip));
        }
        self.0.borrow_mut().store.broken = broken;
    }

    /// Runs `work` as the served center would: all of it is kept, or nothing.
    fn transact<R>(
        &self,
        now: UtcTime,
        mut work: impl FnMut(&Center, &mut MemoryStore, &mut Moment<'_>) -> tolem_center::logic::store::Result<R>,
    ) -> Option<R> {
        let state = &mut *self.0.borrow_mut();
        let (center, dice) = (&state.center, &mut state.dice);
        let done = state.store.transact(|store| {
            let mut fresh = || dice.next_u64();
            let mut moment = Moment { now, fresh: &mut fresh, trace: &mut |_| {} };
            work(center, store, &mut moment)
        });
        done.ok()
    }
}

const MEMORY: &str = "memory does not fail";

/// The longest that anybody waits for a kiosk which has not told a restored center everything, in seconds.
const MOST_PATIENCE_S: i64 = 240;

impl world::Center for SharedCenter {
    type Keys = KioskKeys;

    fn found(seed: u64) -> Self {
        Self::new(seed)
    }

    fn keys(&self, kiosk: KioskNumber, unit: u32) -> KioskKeys {
        let (statement, sealing) = self.public_keys();
        KioskKeys::new(u64::from(unit) << 32 | u64::from(kiosk.get()), statement, sealing)
    }

    fn enrol(&self, kiosk: KioskNumber, journal_key: [u8; 32]) {
        operator::register(&mut self.0.borrow_mut().store, kiosk, journal_key).expect(MEMORY);
    }

    fn handle(&self, now: UtcTime, who: KioskNumber, request: Request) -> Option<Response> {
        self.work(now);
        if self.0.borrow().orders_codes
            && self.store(|store| !store.waiting_due(now, 1).expect(MEMORY).is_empty())
        {
            self.transact(now, |center, store, moment| center.deliver_notices(store, moment));
        }
        match &request {
            Request::Authorize(order) => self.authorize(now, who, order),
            _ => {
                let answer = self.transact(now, |center, store, moment| {
                    center.handle(store, moment, who, request.clone())
                });
                answer.map(|response| self.bend(response))
            }
        }
    }

    fn open_cards(&self, bank: TestIssuer) {
        Self::open_cards(self, bank);
    }

    fn bank<R>(&self, look: impl FnOnce(&mut TestIssuer) -> R) -> Option<R> {
        self.0.borrow_mut().bank.as_mut().map(look)
    }

    fn set_acquirer_open(&self, open: bool) {
        if let Some(acquirer) = &mut self.0.borrow_mut().center.acquirer {
            acquirer.is_open = open;
        }
    }

    fn work(&self, now: UtcTime) {
        self.open_early(now);
        self.read_slips(now);
        self.settle_cards(now);
    }

    fn is_listening(&self) -> bool {
        self.store(|store| store.rebuilding().expect(MEMORY)).is_some() || !self.0.borrow().slips.is_empty()
    }

    fn restart(&self) {
        self.0.borrow_mut().orders.clear();
    }

    fn cards_owed(&self) -> usize {
        self.cards_without_end()
    }

    fn import(&self, now: UtcTime, slip: &Signed<Deposit>) {
        self.0.borrow_mut().slips.push(slip.clone());
        self.read_slips(now);
    }

    fn back_up(&self) {
        let state = &mut *self.0.borrow_mut();
        let mut backup = state.store.clone();
        backup.broken = false;
        state.backup = Some(backup);
    }

    fn restore(&self, now: UtcTime) -> bool {
        let state = &mut *self.0.borrow_mut();
        let Some(backup) = state.backup.clone() else { return false };
        let lost = ledger_of(&state.store).expect(MEMORY);
        state.forgotten.extend(lost.settled);
        state.forgotten_cards.extend(lost.cards);
        state.orders.clear();
        // The kiosks' certificates did not get lost with the database.
        let kiosks = state.store.kiosks().expect(MEMORY);
        state.store = backup;
        for kiosk in kiosks {
            operator::register(&mut state.store, kiosk.kiosk, kiosk.journal_key).expect(MEMORY);
            state.store.put_kiosk(&kiosk).expect(MEMORY);
        }
        let dice = &mut state.dice;
        rebuild::begin(&mut state.store, now, &mut || dice.next_u64()).expect(MEMORY);
        // Two people may open it before everybody has told: at once, or when they have waited for long enough.
        let patience = if dice.chance(250) { 0 } else { MOST_PATIENCE_S };
        state.opens_at = Some(now.plus_seconds(patience));
        true
    }

    fn set_gateway_silent(&self, silent: bool) {
        self.0.borrow().gateway.set(silent);
    }

    fn set_quotes_good_for(&self, seconds: Option<i64>) {
        let usual = Rules::default().quote_valid_s;
        self.0.borrow_mut().center.rules.quote_valid_s = seconds.unwrap_or(usual);
    }

    fn set_registry_silent(&self, silent: bool) {
        self.0.borrow().registry.set(silent);
    }

    fn set_disk_failing(&self, failing: bool) {
        self.0.borrow_mut().store.broken = failing;
    }

    fn belongs_to(&self, payment: PaymentId, iin: &str) -> Option<bool> {
        let state = self.0.borrow();
        let digits: Vec<u8> = iin.bytes().map(|digit| digit.wrapping_sub(b'0')).collect();
        let iin = Iin::try_from(<[u8; 12]>::try_from(digits).ok()?).ok()?;
        let payer = state.store.payment(&payment).expect(MEMORY)?.payer?;
        Some(payer == state.center.keys.tag_iin(&iin))
    }

    fn clear(&self, kiosk: KioskNumber) {
        operator::clear(&mut self.0.borrow_mut().store, kiosk).expect(MEMORY);
    }

    fn is_closed(&self, kiosk: KioskNumber) -> bool {
        self.store(|store| store.kiosk(kiosk).expect(MEMORY)).is_some_and(|row| row.closed.is_some())
    }

    fn has_booked(&self, code: PaymentCode) -> bool {
        let state = self.0.borrow();
        let before = |settled: &Settlement| settled.code == Some(code);
        let forgotten_card = |booking: &CardBooking| booking.code == Some(code);
        state.store.code(code).expect(MEMORY).is_some()
            || state.forgotten.iter().any(before)
            || state.forgotten_cards.iter().any(forgotten_card)
    }

    fn service(&self, code: &str) -> Option<u16> {
        let state = self.0.borrow();
        let place = state.center.catalogue.services.iter().position(|entry| entry.code.as_str() == code);
        place.and_then(|place| u16::try_from(place).ok())
    }

    fn ledger(&self) -> Ledger {
        let state = self.0.borrow();
        let (forgotten, early_reversals) = (state.forgotten.clone(), state.early_reversals.clone());
        let forgotten_cards = state.forgotten_cards.clone();
        drop(state);
        Ledger {
            forgotten,
            forgotten_cards,
            early_reversals,
            ..self.store(|store| ledger_of(store)).expect(MEMORY)
        }
    }
}
