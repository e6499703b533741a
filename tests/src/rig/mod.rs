//! One kiosk, its devices and the center in memory and virtual time.
//!
//! The real kiosk glue, drivers and session talk bytes to simulated devices and messages to the center's real rules; only the
//! disk, the keys' randomness and the wire between kiosk and center are stand-ins. The same seed gives the same story. Power cuts
//! drop the kiosk and keep the disk.

mod disk;
pub(crate) mod keys;
mod story;

pub use disk::{Disk, DiskFault};
pub use keys::KioskKeys;

use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Duration};
use tolem_center::{
    catalogue::{Catalogue, REFERENCE, REFERENCE_PERSONS, parse_persons},
    keys::{CenterKeys, Seeds},
    logic::{
        Center, Moment, Rules,
        gateway::InProcessGateway,
        ledger::{self, Account},
        memory::MemoryStore,
        registry::{ListRegistry, Switch},
        store::{KioskRow, Store as _, Transact as _},
    },
};
use tolem_core::{
    drivers::{ccnet, escpos},
    kiosk::{Config, Event, Kiosk, LinkFault, Output, Patience},
    secret::Key,
    time::Instant,
    view::{Action, Body, Intent, ViewModel},
    words::{Word, word},
};
use tolem_hal_sim::{
    ccnet_device::{Banknote, CcnetConfig, CcnetDevice, DeviceOutput, Timing},
    escpos_device::{EscposConfig, EscposDevice, PrinterOutput},
    line::Dice,
};
use tolem_protocol::{
    Amount, Denomination, KioskNumber, UtcTime,
    catalogue::Language,
    ccnet::{PollStatus, Reply},
    messages::{Request, Response},
    record::Fact,
    utc::Date,
};

/// An IIN without a living holder that the reference registry knows.
pub const PAYER: &str = "000101300019";
/// Another one.
pub const OTHER_PAYER: &str = "000101400015";
/// Message time between kiosk and center, one way.
const LATENCY: Duration = Duration::from_millis(20);
/// Events that may follow from each other without time passing.
const MAX_ROUNDS: u32 = 10_000;
/// Nobody looks away longer than this.
const LONGEST_STEP: Duration = Duration::from_secs(1);
/// Longest wait for something that must happen, in virtual time.
const PATIENCE: Duration = Duration::from_secs(1_200);

/// How the wire between kiosk and center behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    /// Well.
    Up,
    /// Nothing passes; the kiosk is told at once.
    Down,
    /// Requests arrive, answers get lost.
    AnswersLost,
}

enum Transit {
    ToCenter(u32, Box<Request>),
    ToKiosk(u32, Box<Response>),
    Connected,
}

/// The shared center of one or more kiosks.
#[derive(Clone)]
pub struct SharedCenter(Rc<RefCell<CenterState>>);

struct CenterState {
    center: Center,
    store: MemoryStore,
    dice: Dice,
    public: ([u8; 32], [u8; 32]),
}

impl SharedCenter {
    /// A center with the reference catalogue and registry.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let seeds = Seeds::draw(|bytes| bytes.iter_mut().for_each(|byte| *byte = dice.below(256) as u8));
        let today = Date::parse_iso("2026-11-22").expect("invariant: a day of the calendar");
        let persons = parse_persons(REFERENCE_PERSONS, today).expect("the reference persons are well formed");
        let keys = CenterKeys::new(&seeds);
        let public = (keys.statement_public(), keys.sealing_public());
        let center = Center {
            catalogue: Catalogue::parse(REFERENCE).expect("the reference catalogue is well formed"),
            rules: Rules::default(),
            keys: Box::new(keys),
            registry: Box::new(ListRegistry::new(persons, Switch::default())),
            gateway: Box::new(InProcessGateway::default()),
            crl: Vec::new(),
        };
        Self(Rc::new(RefCell::new(CenterState { center, store: MemoryStore::new(1), dice, public })))
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

    /// Statement and sealing key.
    pub fn public_keys(&self) -> ([u8; 32], [u8; 32]) {
        self.0.borrow().public
    }

    /// Registers a kiosk.
    pub fn enrol(&self, kiosk: KioskNumber, journal_key: [u8; 32]) {
        let row = KioskRow { kiosk, journal_key, epoch: 0, boot_nonce: [0; 16], closed: None };
        self.0.borrow_mut().store.put_kiosk(&row).expect("memory does not fail");
    }

    /// Answers one request; `None` when the rules failed, which the kiosk hears as silence.
    pub fn handle(&self, now: UtcTime, who: KioskNumber, request: Request) -> Option<Response> {
        let state = &mut *self.0.borrow_mut();
        let (center, dice) = (&state.center, &mut state.dice);
        let answer = state.store.transact(|store| {
            let mut fresh = || dice.next_u64();
            let mut moment = Moment { now, fresh: &mut fresh, trace: &mut |_| {} };
            center.handle(store, &mut moment, who, request)
        });
        answer.ok()
    }
}

/// One kiosk on its bench.
pub struct Rig {
    /// The center, maybe shared with other rigs.
    pub center: SharedCenter,
    /// The bill acceptor.
    pub acceptor: CcnetDevice,
    /// The printer.
    pub printer: EscposDevice,
    /// The journal's disk.
    pub disk: Disk,
    /// What the screen shows.
    pub view: ViewModel,
    /// Steps of use case 5, as the kiosk said them.
    pub trace: Vec<u8>,
    /// Extra time that each answer of the center takes.
    pub answer_delay: Duration,
    /// How far the kiosk's system clock is off, in milliseconds.
    pub skew_ms: i64,
    /// Revocation lists that the kiosk has fetched from the center, oldest first.
    pub lists: Vec<Vec<u8>>,
    /// The process ended because it was told to.
    pub stopped: bool,
    /// Why the process ended itself.
    pub aborted: Option<String>,
    kiosk: Option<Kiosk<Disk, KioskKeys>>,
    number: KioskNumber,
    now: Instant,
    start: UtcTime,
    wire: Wire,
    connected: bool,
    transit: VecDeque<(Instant, Transit)>,
    inbox: VecDeque<Event>,
    kiosk_wait: Instant,
    acceptor_wait: Instant,
    printer_wait: Instant,
    dice: Dice,
    boots: u64,
}

impl Rig {
    /// A powered kiosk number 42 with its own center.
    pub fn new(seed: u64) -> Self {
        Self::at(42, SharedCenter::new(seed), seed, true)
    }

    /// A powered kiosk `number` at `center`. `counter`: whether its acceptor counts stacked notes.
    pub fn at(number: u32, center: SharedCenter, seed: u64, counter: bool) -> Self {
        let number = KioskNumber::new(number).expect("a kiosk number");
        let acceptor =
            CcnetConfig { timing: Timing::FAST, has_counter: counter, seed, ..CcnetConfig::default() };
        let mut rig = Self {
            acceptor: CcnetDevice::new(acceptor),
            printer: EscposDevice::new(EscposConfig { seed, ..EscposConfig::fast() }),
            disk: Disk::default(),
            view: ViewModel::default(),
            trace: Vec::new(),
            answer_delay: Duration::ZERO,
            skew_ms: 0,
            lists: Vec::new(),
            stopped: false,
            aborted: None,
            kiosk: None,
            number,
            now: Instant(0),
            start: UtcTime::from_seconds(1_795_334_400), // 2026-11-22T08:00:00Z
            wire: Wire::Up,
            connected: false,
            transit: VecDeque::new(),
            inbox: VecDeque::new(),
            kiosk_wait: Instant(0),
            acceptor_wait: Instant(0),
            printer_wait: Instant(0),
            dice: Dice::new(seed ^ 0x5eed),
            boots: 0,
            center,
        };
        let keys = rig.keys();
        rig.center.enrol(number, tolem_core::ports::Signer::public_key(&keys));
        rig.acceptor.power_on(rig.now);
        rig.printer.power_on(rig.now);
        rig.power_on();
        rig
    }

    /// The same kiosk, waited for until it is ready to sell.
    pub fn ready(seed: u64) -> Self {
        let mut rig = Self::new(seed);
        rig.until_screen("attract");
        rig
    }

    fn keys(&self) -> KioskKeys {
        let (statement, sealing) = self.center.public_keys();
        KioskKeys::new(u64::from(self.number.get()), statement, sealing)
    }

    /// Starts the program on the disk as it is.
    pub fn power_on(&mut self) {
        assert!(self.kiosk.is_none(), "the kiosk has power already");
        self.boots += 1;
        self.stopped = false;
        self.aborted = None;
        let mut nonce = [0; 16];
        nonce.iter_mut().for_each(|byte| *byte = self.dice.below(256) as u8);
        let (config, keys, utc) = (self.config(), self.keys(), self.utc());
        let kiosk = match Kiosk::open(config.clone(), self.disk.clone(), keys, nonce, self.now, utc) {
            Ok(kiosk) => kiosk,
            Err((fault, keys)) => Kiosk::closed(config, &fault, keys, nonce, self.now, utc),
        };
        self.kiosk = Some(kiosk);
        self.kiosk_wait = self.now;
        let checked = self.disk.verify();
        self.event(Event::JournalVerified(checked));
        if self.wire != Wire::Down {
            self.transit.push_back((self.now + LATENCY, Transit::Connected));
        }
    }

    /// Cuts the power of the computer (not of the devices).
    pub fn power_off(&mut self) {
        self.kiosk = None;
        self.connected = false;
        self.transit.clear();
        self.inbox.clear();
        self.view = ViewModel::default();
    }

    /// Cuts all power, devices included, and gives it back.
    pub fn blackout(&mut self) {
        self.power_off();
        self.acceptor.power_off(self.now);
        self.printer.power_off(self.now);
        self.now = self.now + Duration::from_secs(2);
        self.acceptor.power_on(self.now);
        self.printer.power_on(self.now);
        self.power_on();
    }

    /// Changes the wire to the center.
    pub fn set_wire(&mut self, wire: Wire) {
        self.wire = wire;
        match wire {
            Wire::Down => {
                self.transit.clear();
                self.connected = false;
                self.event(Event::LinkLost(LinkFault::Unreachable));
            }
            Wire::Up | Wire::AnswersLost => {
                if !self.connected && self.kiosk.is_some() {
                    self.transit.push_back((self.now + LATENCY, Transit::Connected));
                }
            }
        }
    }

    fn config(&self) -> Config {
        let patterns = self.acceptor.config().types.iter().map(|kind| (kind.index, kind.pattern)).collect();
        Config {
            kiosk: self.number,
            operator: "Tolem test".into(),
            address: "Astana, Mangilik El 8".into(),
            software: "tolem test".into(),
            acceptor: ccnet::Config::default(),
            patterns,
            printer: escpos::Config::default(),
            page_width: 576,
            patience: Patience::default(),
        }
    }

    /// The wall clock.
    pub fn utc(&self) -> UtcTime {
        UtcTime(self.start.0 + self.now.0 as i64)
    }

    /// The kiosk, while it has power.
    pub fn kiosk(&self) -> &Kiosk<Disk, KioskKeys> {
        self.kiosk.as_ref().expect("the kiosk has power")
    }

    /// The kiosk, if it has power.
    pub fn try_kiosk(&self) -> Option<&Kiosk<Disk, KioskKeys>> {
        self.kiosk.as_ref()
    }

    /// Virtual time since the start.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Puts another unit of the same type in, with an empty memory but the old cassette's content counted as collected.
    pub fn replace_acceptor(&mut self) {
        let config = self.acceptor.config().clone();
        self.acceptor = CcnetDevice::new(config);
        self.acceptor.power_on(self.now);
    }

    /// Lets the kiosk hear of something at this instant.
    pub fn event(&mut self, event: Event) {
        self.inbox.push_back(event);
        self.settle();
    }

    /// Carries bytes and wishes back and forth until all is quiet at this instant.
    fn settle(&mut self) {
        for round in 0.. {
            self.drain_devices();
            let Some(event) = self.inbox.pop_front() else { return };
            assert!(
                round < MAX_ROUNDS,
                "kiosk and devices talk for ever without time passing at {:?}: {event:?}",
                self.now
            );
            let utc = UtcTime(self.utc().0 + self.skew_ms);
            if let Some(kiosk) = &mut self.kiosk {
                kiosk.handle(self.now, utc, event);
                self.drain_kiosk();
            }
        }
    }

    fn drain_kiosk(&mut self) {
        while let Some(kiosk) = &mut self.kiosk {
            match kiosk.poll() {
                Output::Acceptor(bytes) => self.acceptor.handle_bytes(self.now, &bytes),
                Output::Printer(bytes) => self.printer.handle_bytes(self.now, &bytes),
                Output::Send { number, request } => {
                    if self.connected && self.wire != Wire::Down {
                        self.transit.push_back((self.now + LATENCY, Transit::ToCenter(number, request)));
                    }
                }
                Output::Reconnect => {
                    self.connected = false;
                    self.transit.clear();
                    if self.wire != Wire::Down {
                        self.transit.push_back((self.now + LATENCY, Transit::Connected));
                    }
                }
                Output::RevocationList(list) => self.lists.push(list),
                Output::Stopped => {
                    self.stopped = true;
                    self.power_off();
                }
                Output::View(view) => self.view = *view,
                Output::Lamp { .. } => {}
                Output::Trace { step, .. } => self.trace.push(step),
                Output::Wait(until) => {
                    self.kiosk_wait = until;
                    return;
                }
                Output::Abort(reason) => {
                    self.aborted = Some(reason);
                    self.power_off();
                }
            }
        }
    }

    fn drain_devices(&mut self) {
        loop {
            match self.acceptor.poll() {
                DeviceOutput::Transmit(bytes) => self.inbox.push_back(Event::Acceptor(bytes)),
                DeviceOutput::Happened(_) => {}
                DeviceOutput::Wait(until) => {
                    self.acceptor_wait = until;
                    break;
                }
            }
        }
        loop {
            match self.printer.poll() {
                PrinterOutput::Transmit(bytes) => self.inbox.push_back(Event::Printer(bytes)),
                PrinterOutput::Happened(_) => {}
                PrinterOutput::Wait(until) => {
                    self.printer_wait = until;
                    break;
                }
            }
        }
    }

    /// Lets time pass until the next thing happens, anywhere.
    pub fn step(&mut self) {
        let mut next = self.acceptor_wait.min(self.printer_wait).min(self.now + LONGEST_STEP);
        if self.kiosk.is_some() {
            next = next.min(self.kiosk_wait);
        }
        if let Some((due, _)) = self.transit.front() {
            next = next.min(*due);
        }
        self.now = next.max(self.now + Duration::from_millis(1));
        while self.transit.front().is_some_and(|(due, _)| *due <= self.now) {
            let Some((_, transit)) = self.transit.pop_front() else { break };
            self.deliver(transit);
        }
        self.acceptor.handle_timeout(self.now);
        self.printer.handle_timeout(self.now);
        self.settle();
        if self.kiosk_wait <= self.now {
            self.event(Event::Tick);
        }
    }

    fn deliver(&mut self, transit: Transit) {
        match transit {
            Transit::Connected if self.wire != Wire::Down => {
                self.connected = true;
                self.event(Event::LinkConnected);
            }
            Transit::Connected => {}
            Transit::ToCenter(number, request) => {
                if let Some(response) = self.center.handle(self.utc(), self.number, *request)
                    && self.wire == Wire::Up
                {
                    self.transit.push_back((
                        self.now + LATENCY + self.answer_delay,
                        Transit::ToKiosk(number, Box::new(response)),
                    ));
                }
            }
            Transit::ToKiosk(number, response) => self.event(Event::Answer { number, response }),
        }
    }

    /// Lets time pass until `done`; panics with the screen and the story if that does not come.
    pub fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = self.now + PATIENCE;
        while !done(self) {
            assert!(
                self.now < deadline,
                "waited in vain for {what}; screen {:?} {:?} {:?}\n{}",
                self.view.screen,
                self.view.title,
                self.view.lead,
                self.story()
            );
            self.step();
        }
    }

    /// Lets time pass.
    pub fn rest(&mut self, span: Duration) {
        let until = self.now + span;
        while self.now < until {
            self.step();
        }
    }

    /// Waits for a screen.
    pub fn until_screen(&mut self, screen: &str) {
        self.until(screen, |rig| rig.view.screen == screen);
    }

    /// Touches the button that says `phrase`.
    pub fn tap(&mut self, phrase: Word) {
        let label = word(self.view.language, phrase);
        let action = self
            .buttons()
            .into_iter()
            .find(|action| action.label == label)
            .unwrap_or_else(|| panic!("no button {label:?} on {:?}", self.view.screen));
        assert!(action.enabled, "button {label:?} on {:?} is not enabled", self.view.screen);
        self.touch(action.intent);
    }

    /// Touches whatever means `intent`.
    pub fn touch(&mut self, intent: Intent) {
        self.event(Event::Touch(intent));
    }

    fn buttons(&self) -> Vec<Action> {
        let mut buttons = self.view.actions.clone();
        if let Some(dialog) = &self.view.dialog {
            buttons.extend(dialog.actions.clone());
        }
        if let Body::Attract { links, .. } = &self.view.body {
            buttons.extend(links.clone());
        }
        buttons
    }

    /// Types digits on the keypad.
    pub fn type_digits(&mut self, digits: &str) {
        for digit in digits.chars().filter_map(|digit| digit.to_digit(10)) {
            self.touch(Intent::Digit(Key::new(digit as u8)));
        }
    }

    /// Goes from attract to the quote for the service with this code.
    pub fn quote(&mut self, service: &str, payer: &str) {
        self.choose(service, payer);
        self.until_screen("quote");
    }

    /// Goes from attract to the end of the IIN entry for the service with this code.
    pub fn choose(&mut self, service: &str, payer: &str) {
        self.type_payer(service, payer);
        self.tap(Word::Next);
    }

    /// Goes from attract to a typed IIN for the service with this code.
    pub fn type_payer(&mut self, service: &str, payer: &str) {
        self.touch(Intent::SetLanguage(Language::English));
        if self.view.screen == "attract" {
            self.touch(Intent::Start);
        }
        let index = {
            let state = self.center.0.borrow();
            let found =
                state.center.catalogue.services.iter().position(|entry| entry.code.as_str() == service);
            found.unwrap_or_else(|| panic!("no service {service:?}")) as u16
        };
        self.touch(Intent::ChooseService(index));
        self.tap(Word::PayThis);
        self.type_digits(payer);
    }

    /// Goes from attract to the open note slot.
    pub fn open_slot(&mut self, service: &str, payer: &str) {
        self.quote(service, payer);
        self.tap(Word::PayCash);
        self.tap(Word::HonestAgree);
        self.until_screen("inserting");
    }

    /// Pushes a note in as soon as the slot takes it, and waits until it is counted.
    pub fn insert(&mut self, tenge: u32) {
        let before = self.cassette_sum();
        self.push(tenge);
        self.until("the note in the cassette and counted", |rig| {
            rig.cassette_sum() > before
                && rig.kiosk().session().order().is_none()
                && rig.acceptor.unconfirmed_credit().is_none()
        });
    }

    /// Pushes a note in as soon as the slot takes it.
    pub fn push(&mut self, tenge: u32) {
        let deadline = self.now + PATIENCE;
        while self.acceptor.insert(self.now, Banknote::tenge(tenge)).is_err() {
            assert!(
                self.now < deadline,
                "the slot never opened; screen {:?}\n{}",
                self.view.screen,
                self.story()
            );
            self.step();
        }
        self.settle();
    }

    /// Lets the acceptor say that it has stacked a note that nobody ordered. The books are off by it afterwards: it is in no cassette.
    pub fn stray_note(&mut self, tenge: u32) {
        let types = &self.acceptor.config().types;
        let kind = types.iter().find(|kind| kind.denomination == Denomination(tenge)).expect("a known note");
        let says = PollStatus::Stacked(kind.index).payload();
        let frame = Reply::Data(&says).frame().expect("a short frame").to_vec();
        let before = self.kiosk().session().cassette().count();
        let deadline = self.now + PATIENCE;
        while self.kiosk().session().cassette().count() == before {
            assert!(self.now < deadline, "nobody heard of the note\n{}", self.story());
            self.step();
            self.event(Event::Acceptor(frame.clone()));
        }
    }

    /// What really lies in the cassette.
    pub fn cassette_sum(&self) -> Amount {
        self.acceptor.cassette().map(|note| note.denomination.amount()).sum()
    }

    /// Facts of the journal, oldest first.
    pub fn facts(&self) -> Vec<Fact> {
        self.disk.records().into_iter().map(|record| record.fact).collect()
    }

    /// The journal as a story that people can read.
    pub fn story(&self) -> String {
        story::tell(&self.disk.records())
    }

    /// QR texts of all papers that came out, oldest first.
    pub fn qr_texts(&self) -> Vec<String> {
        self.printer.papers().flat_map(|paper| paper.qr_texts()).collect()
    }

    /// Waits until nothing is under way: no order, no unsettled payment.
    pub fn until_settled(&mut self) {
        self.until("everything settled", |rig| {
            let session = rig.kiosk().session();
            session.order().is_none() && session.unsettled().1 == 0
        });
    }

    /// Cash of this kiosk in the center's ledger, in tiyn.
    pub fn booked(&self) -> i64 {
        let totals = self.center.store(|store| ledger::totals(store)).expect("memory does not fail");
        totals.get(&Account::KioskCash(self.number)).copied().unwrap_or(0)
    }

    /// Every tenge is accounted for: cassette = journal = ledger. Demands that everything is settled.
    pub fn check_books(&self) {
        let journal: Amount = self.facts().iter().filter_map(counted).sum();
        assert_eq!(journal, self.cassette_sum(), "journal and cassette differ\n{}", self.story());
        let findings = self.center.store(|store| tolem_center::logic::ledger::audit(store)).expect("memory");
        assert!(findings.is_empty(), "ledger: {findings:?}");
        let booked = self.booked();
        let cassette = i64::try_from(self.cassette_sum().tiyn()).unwrap_or(i64::MAX);
        assert_eq!(booked, cassette, "center and cassette differ\n{}", self.story());
    }
}

/// What a fact says lies in the cassette.
fn counted(fact: &Fact) -> Option<Amount> {
    match fact {
        Fact::NoteStacked { denomination, .. } | Fact::NoteInDoubt { denomination, .. } => {
            Some(denomination.amount())
        }
        _ => None,
    }
}
