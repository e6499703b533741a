//! One kiosk, its devices and its line to the center in virtual time.
//!
//! The real kiosk glue, drivers and session talk bytes to simulated devices and messages to the center's rules; only the disk, the
//! keys' randomness and the wire between kiosk and center are stand-ins. The same seed gives the same story. Power cuts drop the
//! kiosk and keep the disk; they may come before any single effect and inside any append.

mod watch;
mod watch_cards;

use super::{
    cards::CardBench,
    center::Center,
    disk::Disk,
    invariants::{Invariant, Till, Violation},
    tally::{Chronicle, Tally},
};
use crate::{
    ccnet_device::{CcnetConfig, CcnetDevice, DeviceOutput, NoteRecord, Place, Timing},
    escpos_device::{EscposConfig, EscposDevice, PrinterOutput},
    line::Dice,
    paper,
};
use std::{cell::RefCell, collections::VecDeque, sync::Arc, time::Duration};
use tolem_core::{
    drivers::{ccnet, escpos},
    kiosk::{Config, Event, Kiosk, LinkFault, Output, Patience, Pin},
    ports::Signer as _,
    time::Instant,
    view::{Body, ViewModel},
};
use tolem_protocol::{
    Denomination, KioskNumber, PaymentCode, UtcTime,
    messages::{self, Request, Response},
    record::Fact,
};
use watch::{Watch, open_order};

/// Events that may follow from each other without time passing.
const MAX_ROUNDS: u32 = 10_000;
/// From the power to the running program, and from its end to its restart by the supervisor.
const BOOT: Duration = Duration::from_secs(1);

/// Whether anything passes between kiosk and center.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    /// Everything.
    Up,
    /// Nothing passes; the kiosk is told at once.
    Down,
    /// Requests arrive, answers get lost.
    AnswersLost,
}

/// How a wire that is up treats messages; chances in thousandths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Manners {
    /// Shortest way in one direction.
    pub latency: Duration,
    /// So much longer at most.
    pub jitter: Duration,
    /// From a lost connection to the next one.
    pub reconnect: Duration,
    /// A request arrives twice.
    pub double_request: u16,
    /// An answer arrives twice.
    pub double_answer: u16,
    /// A request never arrives.
    pub lose_request: u16,
    /// An answer never arrives.
    pub lose_answer: u16,
}

impl Manners {
    /// A good line.
    pub const GOOD: Self = Self {
        latency: Duration::from_millis(20),
        jitter: Duration::ZERO,
        reconnect: Duration::from_millis(20),
        double_request: 0,
        double_answer: 0,
        lose_request: 0,
        lose_answer: 0,
    };
}

enum Transit {
    ToCenter(u32, Box<Request>),
    ToKiosk(u32, Box<Response>),
    Connected,
}

/// A death that is waiting: after so many more effects, and whether the light goes out too.
#[derive(Clone, Copy, Debug)]
struct Death {
    effects: u32,
    dark: Option<Duration>,
}

/// What happens to a station a while after something else did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Later {
    LinkDown,
    LinkUp,
    ReaderOff,
    ReaderOn,
}

/// What waits for the next order of a card.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Armed {
    /// So long after it.
    Later(Duration, Later),
    /// The program dies so many effects after it; all power goes with it for so long.
    Dies(u32, Option<Duration>),
    /// Its approval comes with the code of an earlier payment.
    Stale,
    /// It arrives twice.
    Twice,
}

/// What a station is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// Number in the fleet.
    pub kiosk: u32,
    /// All chance of its devices.
    pub seed: u64,
    /// Its acceptor counts stacked notes.
    pub counter: bool,
    /// It has a card reader and a PIN pad.
    pub cards: bool,
    /// A supervisor starts the program again when it ends, and when the power comes back.
    pub supervised: bool,
    /// The papers are read, and wires are searched for secrets. Takes time.
    pub thorough: bool,
}

/// One kiosk on its bench.
pub struct Station<C: Center> {
    /// The center, maybe shared with other stations.
    pub center: C,
    /// The bill acceptor.
    pub acceptor: CcnetDevice,
    /// The printer.
    pub printer: EscposDevice,
    /// Card reader and PIN pad, if it has them.
    pub cards: Option<CardBench>,
    /// The journal's disk.
    pub disk: Disk,
    /// What the screen shows.
    pub view: ViewModel,
    /// Steps of use case 5, as the kiosk said them.
    pub trace: Vec<u8>,
    /// Extra time that each answer of the center takes.
    pub answer_delay: Duration,
    /// The check of the whole journal after a start ends at once. If not, it never ends by itself.
    pub checks_journal: bool,
    /// How far the kiosk's system clock is off, in milliseconds.
    pub skew_ms: i64,
    /// Revocation lists that the kiosk has fetched from the center, oldest first.
    pub lists: Vec<Vec<u8>>,
    /// The process ended because it was told to.
    pub stopped: bool,
    /// Why the process ended itself.
    pub aborted: Option<String>,
    /// How the wire treats messages.
    pub manners: Manners,
    /// What happened how often.
    pub tally: Tally,
    /// The last things that happened.
    pub chronicle: Chronicle,
    /// The first rule that was broken in front of our eyes.
    pub violation: Option<Violation>,
    /// IINs and names that may not be seen where they do not belong.
    pub secrets: Vec<String>,
    pub(super) kiosk: Option<Kiosk<Disk, C::Keys>>,
    pub(super) now: Instant,
    pub(super) setup: Setup,
    /// Moments in which something could go wrong with a note.
    pub(super) disturbances: u64,
    pub(super) doors_opened: u64,
    /// Its journal is not the newest any more.
    pub(super) journal_lost: bool,
    /// Notes that any of its journals ever had in doubt.
    doubts: Vec<Denomination>,
    /// Papers whose symbols were read, and what they say: reading takes long and what is printed does not change.
    read: RefCell<Vec<(Arc<paper::Paper>, Vec<String>)>>,
    /// Texts of papers that were torn off and read.
    pub(super) papers: Vec<String>,
    number: KioskNumber,
    unit: u32,
    start: UtcTime,
    wire: Wire,
    connected: bool,
    transit: VecDeque<(Instant, Transit)>,
    inbox: VecDeque<Event>,
    kiosk_wait: Instant,
    acceptor_wait: Instant,
    printer_wait: Instant,
    dice: Dice,
    link_dice: Dice,
    light: bool,
    light_at: Option<Instant>,
    boot_at: Option<Instant>,
    death: Option<Death>,
    later: Vec<(Instant, Later)>,
    dark: Duration,
    touched: bool,
    seen: u64,
    shown: String,
    door_seen: bool,
    carried: Vec<NoteRecord>,
    watch: Watch,
}

impl<C: Center> Station<C> {
    /// A powered station of `center`, enrolled there.
    pub fn build(center: C, setup: Setup) -> Self {
        let number = KioskNumber::new(setup.kiosk).expect("a kiosk number");
        let seed = setup.seed;
        let acceptor = CcnetConfig {
            timing: Timing::FAST,
            has_counter: setup.counter,
            seed,
            serial: format!("12KC{:06}", setup.kiosk),
            ..CcnetConfig::default()
        };
        let keys = center.keys(number, 0);
        center.enrol(number, keys.public_key());
        let mut station = Self {
            acceptor: CcnetDevice::new(acceptor),
            printer: EscposDevice::new(EscposConfig { seed, ..EscposConfig::fast() }),
            cards: setup.cards.then(|| CardBench::new(seed)),
            disk: Disk::default(),
            view: ViewModel::default(),
            trace: Vec::new(),
            answer_delay: Duration::ZERO,
            checks_journal: true,
            skew_ms: 0,
            lists: Vec::new(),
            stopped: false,
            aborted: None,
            manners: Manners::GOOD,
            tally: Tally::default(),
            chronicle: Chronicle::default(),
            violation: None,
            secrets: Vec::new(),
            kiosk: None,
            now: Instant(0),
            setup,
            disturbances: 0,
            doors_opened: 0,
            journal_lost: false,
            doubts: Vec::new(),
            read: RefCell::default(),
            papers: Vec::new(),
            number,
            unit: 0,
            start: UtcTime::from_seconds(1_795_334_400), // 2026-11-22T08:00:00Z
            wire: Wire::Up,
            connected: false,
            transit: VecDeque::new(),
            inbox: VecDeque::new(),
            kiosk_wait: Instant(0),
            acceptor_wait: Instant(0),
            printer_wait: Instant(0),
            dice: Dice::new(seed ^ 0x5eed),
            link_dice: Dice::new(seed ^ 0x117e),
            light: true,
            light_at: None,
            boot_at: None,
            death: None,
            later: Vec::new(),
            dark: BOOT,
            touched: false,
            seen: 0,
            shown: String::new(),
            door_seen: false,
            carried: Vec::new(),
            watch: Watch::default(),
            center,
        };
        station.acceptor.power_on(station.now);
        station.printer.power_on(station.now);
        station.power_on();
        station
    }

    /// Its number.
    pub fn number(&self) -> KioskNumber {
        self.number
    }

    /// Starts the program on the disk as it is.
    pub fn power_on(&mut self) {
        assert!(self.kiosk.is_none(), "the kiosk has power already");
        self.tally.add("boots");
        self.disk.forget_failure();
        (self.stopped, self.aborted) = (false, None);
        self.boot_at = None;
        self.touched = false;
        if let Some(cards) = &mut self.cards {
            cards.start_driver(self.light);
        }
        let mut nonce = [0; 16];
        nonce.iter_mut().for_each(|byte| *byte = self.dice.below(256) as u8);
        let keys = self.center.keys(self.number, self.unit);
        let (config, utc) = (self.config(), self.shell_clock());
        let kiosk = match Kiosk::open(config.clone(), self.disk.clone(), keys, nonce, self.now, utc) {
            Ok(kiosk) => kiosk,
            Err((fault, keys)) => {
                self.chronicle.say(self.now, || format!("the journal does not open: {fault}"));
                Kiosk::closed(config, &fault, keys, nonce, self.now, utc)
            }
        };
        if self.disk.take_cut() {
            self.go_dark(self.dark);
            return;
        }
        self.kiosk = Some(kiosk);
        self.kiosk_wait = self.now;
        let checked = self.disk.verify();
        self.event(if self.checks_journal { Event::JournalVerified(checked) } else { Event::Tick });
        if self.wire != Wire::Down && self.kiosk.is_some() {
            self.connect_in(self.manners.latency);
        }
    }

    /// Ends the program (not the devices).
    pub fn power_off(&mut self) {
        if self.kiosk.take().is_some() {
            self.disturbed();
        }
        self.watch.forget_program();
        self.connected = false;
        self.transit.clear();
        self.inbox.clear();
        self.view = ViewModel::default();
        if self.setup.supervised && self.light {
            self.boot_at = Some(self.now + BOOT);
        }
    }

    /// Cuts all power, devices included, and gives it back.
    pub fn blackout(&mut self) {
        self.go_dark(Duration::ZERO);
        self.now = self.now + Duration::from_secs(2);
        self.light_again();
        if self.kiosk.is_none() {
            self.power_on();
        }
    }

    /// Cuts all power for a while.
    pub fn go_dark(&mut self, span: Duration) {
        self.light = false;
        self.boot_at = None;
        self.power_off();
        self.disturbed();
        self.acceptor.power_off(self.now);
        self.printer.power_off(self.now);
        self.power_cards(false);
        self.light_at = Some(self.now + span);
        self.chronicle.say(self.now, || format!("no power for {span:?}"));
    }

    fn light_again(&mut self) {
        (self.light, self.light_at) = (true, None);
        self.acceptor.power_on(self.now);
        self.printer.power_on(self.now);
        self.power_cards(true);
        if self.setup.supervised && self.kiosk.is_none() {
            self.boot_at = Some(self.now + BOOT);
        }
    }

    /// Whether there is light.
    pub fn has_light(&self) -> bool {
        self.light
    }

    /// The program dies before its `effects`-th effect from now; with `dark`, all power goes with it for so long.
    pub fn die_after(&mut self, effects: u32, dark: Option<Duration>) {
        self.death = Some(Death { effects, dark });
    }

    /// The light is on from now.
    pub fn switch_light_on(&mut self) {
        if !self.light {
            self.light_again();
        }
    }

    /// The service door. Whether the program must have seen it open is counted.
    pub fn set_door(&mut self, open: bool) {
        let seen =
            self.disk.is_healthy() && self.kiosk.as_ref().is_some_and(|kiosk| kiosk.journal().is_some());
        if open && !self.door_seen && seen {
            self.doors_opened += 1;
        }
        self.door_seen = open && seen;
        self.event(Event::Pin { pin: Pin::Door, open });
    }

    /// How long it stays dark when the power goes inside an append.
    pub fn set_darkness(&mut self, dark: Duration) {
        self.dark = dark;
    }

    /// No death is waiting any more.
    pub fn spare(&mut self) {
        self.death = None;
    }

    /// Counts a moment in which a note could get lost, if one is on its way.
    pub(super) fn disturbed(&mut self) {
        if self.note_is_under_way() {
            self.disturbances += 1;
        }
    }

    fn note_is_under_way(&self) -> bool {
        open_order(&self.disk).is_some()
            || self
                .acceptor
                .notes()
                .iter()
                .any(|note| matches!(note.place, Place::Validator | Place::Escrow | Place::Transport))
    }

    /// Changes the wire to the center.
    pub fn set_wire(&mut self, wire: Wire) {
        self.wire = wire;
        match wire {
            Wire::Down => self.break_link(LinkFault::Unreachable),
            Wire::Up | Wire::AnswersLost => {
                if !self.connected && self.kiosk.is_some() {
                    self.connect_in(self.manners.latency);
                }
            }
        }
    }

    /// The connection breaks; a new one follows if the wire is up.
    pub fn break_link(&mut self, fault: LinkFault) {
        self.transit.clear();
        self.connected = false;
        self.event(Event::LinkLost(fault));
        if self.wire != Wire::Down && self.kiosk.is_some() {
            self.connect_in(self.manners.reconnect);
        }
    }

    fn connect_in(&mut self, span: Duration) {
        if !self.transit.iter().any(|(_, transit)| matches!(transit, Transit::Connected)) {
            self.transit.push_back((self.now + span, Transit::Connected));
        }
    }

    /// One message after the other, as TCP delivers them.
    fn travel(&mut self, extra: Duration, transit: Transit) {
        let jitter = u64::try_from(self.manners.jitter.as_millis()).unwrap_or(0);
        let way = self.manners.latency + Duration::from_millis(self.link_dice.below(jitter + 1)) + extra;
        let last = self.transit.back().map_or(self.now, |(due, _)| *due);
        self.transit.push_back(((self.now + way).max(last), transit));
    }

    fn config(&self) -> Config {
        let patterns = self.acceptor.config().types.iter().map(|kind| (kind.index, kind.pattern)).collect();
        Config {
            kiosk: self.number,
            operator: "Tolem test".into(),
            address: "Astana, Mangilik El 8".into(),
            nearest: "Астана қ., Бейбітшілік көш., 3".into(),
            software: "tolem test".into(),
            acceptor: ccnet::Config::default(),
            patterns,
            // Less often than a real one: nothing depends on it, and idle questions are most of what happens here.
            printer: escpos::Config { poll_idle: Duration::from_secs(2), ..escpos::Config::default() },
            page_width: 576,
            cards: self.cards.as_ref().map(|cards| cards.settings(self.number.get())),
            patience: self.patience(),
        }
    }

    /// In a crowded world nobody waits ten minutes for somebody who does not come back.
    fn patience(&self) -> Patience {
        let interrupted = Duration::from_secs(if self.setup.supervised { 90 } else { 600 });
        Patience { interrupted, ..Patience::default() }
    }

    /// The true time.
    pub fn utc(&self) -> UtcTime {
        UtcTime(self.start.0 + self.now.0 as i64)
    }

    fn shell_clock(&self) -> UtcTime {
        UtcTime(self.utc().0.saturating_add(self.skew_ms))
    }

    /// The kiosk, while it has power.
    pub fn kiosk(&self) -> &Kiosk<Disk, C::Keys> {
        self.kiosk.as_ref().expect("the kiosk has power")
    }

    /// The kiosk, if it has power.
    pub fn try_kiosk(&self) -> Option<&Kiosk<Disk, C::Keys>> {
        self.kiosk.as_ref()
    }

    /// Virtual time since the start.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Puts another unit of the same type in, with an empty memory; what it had swallowed comes along as collected.
    pub fn replace_acceptor(&mut self) {
        self.disturbed();
        let mut config = self.acceptor.config().clone();
        if self.setup.supervised {
            config.serial = format!("{}-{}", &config.serial[..10], self.carried.len() % 10);
        }
        self.carried.extend_from_slice(self.acceptor.notes());
        self.acceptor = CcnetDevice::new(config);
        self.acceptor.power_on(self.now);
    }

    /// Another computer with an empty disk and a key of its own takes the place of the old one. The devices keep their power.
    pub fn replace_computer(&mut self) {
        self.power_off();
        self.unit += 1;
        self.disk = Disk::default();
        self.seen = 0;
        self.journal_lost = true;
        self.center.enrol(self.number, self.center.keys(self.number, self.unit).public_key());
    }

    /// An older state of the disk is in force.
    pub(super) fn rewound(&mut self) {
        self.seen = self.disk.size();
    }

    /// Its journal may rightly be refused: rolled back, torn by a disk that lies, or begun anew.
    pub(super) fn journal_is_suspect(&self) -> bool {
        self.journal_lost || self.disk.is_torn()
    }

    /// Lets the kiosk hear of something at this instant.
    pub fn event(&mut self, event: Event) {
        if let Event::Touch(intent) = &event {
            self.touched = true;
            self.chronicle.say(self.now, || format!("touch {intent:?} on {:?}", self.view.screen));
        }
        self.inbox.push_back(event);
        self.settle();
    }

    /// Carries bytes and wishes back and forth until all is quiet at this instant.
    pub fn settle(&mut self) {
        for round in 0.. {
            self.drain_devices();
            let Some(event) = self.inbox.pop_front() else { return };
            assert!(
                round < MAX_ROUNDS,
                "kiosk and devices talk for ever without time passing at {:?}: {event:?}",
                self.now
            );
            let utc = self.shell_clock();
            let Some(kiosk) = &mut self.kiosk else { continue };
            kiosk.handle(self.now, utc, event);
            self.tally.events += 1;
            self.read_journal();
            self.watch_journal_failing();
            if self.disk.take_cut() {
                self.tally.add("power cut inside an append");
                self.go_dark(self.dark);
            }
            self.drain_kiosk();
        }
    }

    /// True if the program dies here, before the effect that is next.
    fn dies_now(&mut self) -> bool {
        match &mut self.death {
            Some(death) if death.effects == 0 => {
                let dark = death.dark;
                self.death = None;
                self.chronicle.say(self.now, || "dies before the next effect".into());
                self.tally.add("cut between two effects");
                match dark {
                    Some(span) => self.go_dark(span),
                    None => self.power_off(),
                }
                true
            }
            Some(death) => {
                death.effects -= 1;
                false
            }
            None => false,
        }
    }

    fn drain_kiosk(&mut self) {
        while let Some(kiosk) = &mut self.kiosk {
            let output = kiosk.poll();
            let effect = matches!(
                output,
                Output::Acceptor(_)
                    | Output::Printer(_)
                    | Output::CardReader(_)
                    | Output::Reader(_)
                    | Output::PinPad(_)
                    | Output::Send { .. }
            );
            if effect && self.dies_now() {
                return;
            }
            match output {
                Output::Acceptor(bytes) => {
                    self.look_for_secrets("wire to the acceptor", &bytes);
                    self.acceptor.handle_bytes(self.now, &bytes);
                }
                Output::Printer(bytes) => {
                    self.look_for_secrets("wire to the printer", &bytes);
                    self.printer.handle_bytes(self.now, &bytes);
                }
                Output::CardReader(bytes) => {
                    if let Some(cards) = &mut self.cards {
                        cards.tell_reader(self.now, &bytes.0);
                    }
                }
                Output::Reader(command) => {
                    if let Some(dip) = self.cards.as_mut().and_then(|cards| cards.dip.as_mut()) {
                        dip.command(&command);
                    }
                }
                Output::PinPad(bytes) => {
                    if let Some(cards) = &mut self.cards {
                        cards.tell_pad(self.now, &bytes.0);
                    }
                }
                Output::Send { number, request } => self.send(number, request),
                Output::Reconnect => {
                    self.connected = false;
                    self.transit.clear();
                    if self.wire != Wire::Down {
                        self.connect_in(self.manners.reconnect);
                    }
                }
                Output::RevocationList(list) => self.lists.push(list),
                Output::Stopped => {
                    self.stopped = true;
                    self.power_off();
                }
                Output::View(view) => self.show(*view),
                Output::Lamp { .. } => {}
                Output::Trace { step, .. } => self.trace.push(step),
                Output::Wait(until) => {
                    self.kiosk_wait = until;
                    self.watch_code_shown();
                    return;
                }
                Output::Abort(reason) => {
                    self.chronicle.say(self.now, || format!("the program ends itself: {reason}"));
                    self.tally.add("aborts");
                    self.aborted = Some(reason);
                    self.watch_last_words();
                    self.power_off();
                }
            }
        }
    }

    fn send(&mut self, number: u32, request: Box<Request>) {
        if !self.connected || self.wire == Wire::Down {
            return;
        }
        if self.setup.thorough {
            self.look_for_cards("wire to the center", &messages::encode(number, &*request));
        }
        if self.link_dice.chance(self.manners.lose_request) {
            self.tally.add("request lost");
            return;
        }
        let again = matches!(*request, Request::Authorize(_)) && self.take_armed(Armed::Twice);
        if self.link_dice.chance(self.manners.double_request) || again {
            self.tally.add("request twice");
            self.travel(Duration::ZERO, Transit::ToCenter(number, request.clone()));
        }
        self.travel(Duration::ZERO, Transit::ToCenter(number, request));
    }

    fn show(&mut self, view: ViewModel) {
        if view.screen != self.view.screen {
            self.chronicle.say(self.now, || format!("screen {:?}", view.screen));
            if view.screen == "attract" {
                self.look_for_traces(&view);
            }
        }
        if let Body::Code { code, .. } = &view.body
            && *code != self.shown
        {
            self.shown.clone_from(code);
            if !PaymentCode::parse(code).is_some_and(|code| self.center.has_booked(code)) {
                self.break_rule(
                    Invariant::CodeAfterAnswer,
                    "a code is on the screen, not on the center's books",
                );
            }
        }
        if self.setup.thorough {
            self.look_for_cards("screen", format!("{view:?}").as_bytes());
        }
        self.view = view;
    }

    pub(super) fn break_rule(&mut self, invariant: Invariant, what: &str) {
        let what = format!("kiosk {}: {what}", self.number);
        self.chronicle.say(self.now, || format!("BROKEN {what}"));
        self.violation.get_or_insert(Violation { invariant, what });
    }

    fn drain_devices(&mut self) {
        loop {
            match self.acceptor.poll() {
                DeviceOutput::Transmit(bytes) => self.inbox.push_back(Event::Acceptor(bytes)),
                DeviceOutput::Happened(event) => self.happened(event),
                DeviceOutput::Wait(until) => {
                    self.acceptor_wait = until;
                    break;
                }
            }
        }
        loop {
            match self.printer.poll() {
                PrinterOutput::Transmit(bytes) => self.inbox.push_back(Event::Printer(bytes)),
                PrinterOutput::Happened(event) => {
                    self.chronicle.say(self.now, || format!("printer: {event:?}"));
                }
                PrinterOutput::Wait(until) => {
                    self.printer_wait = until;
                    break;
                }
            }
        }
        if let Some(cards) = &mut self.cards {
            let (now, chronicle) = (self.now, &mut self.chronicle);
            cards.drain(&mut self.inbox, |what| chronicle.say(now, || format!("card: {what}")));
        }
    }

    /// When something happens here next, if nobody does anything.
    pub fn next_due(&self) -> Instant {
        let mut next = self.acceptor_wait.min(self.printer_wait);
        if self.kiosk.is_some() {
            next = next.min(self.kiosk_wait);
        }
        let cards = self.cards.as_ref().map(CardBench::wait);
        let later = self.later.iter().map(|(due, _)| *due).min();
        let others = [self.transit.front().map(|(due, _)| *due), self.light_at, self.boot_at, cards, later];
        others.into_iter().flatten().fold(next, Instant::min)
    }

    /// It is `now`: everything that is due happens.
    pub fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.light_at.is_some_and(|at| at <= self.now) {
            self.light_again();
        }
        if self.boot_at.is_some_and(|at| at <= self.now) && self.light && self.kiosk.is_none() {
            self.power_on();
        }
        self.do_later();
        while self.transit.front().is_some_and(|(due, _)| *due <= self.now) {
            let Some((_, transit)) = self.transit.pop_front() else { break };
            self.deliver(transit);
        }
        self.acceptor.handle_timeout(self.now);
        self.printer.handle_timeout(self.now);
        if let Some(cards) = &mut self.cards {
            cards.handle_timeout(self.now);
        }
        self.settle();
        if self.kiosk.is_some() && self.kiosk_wait <= self.now {
            self.event(Event::Tick);
        }
    }

    fn deliver(&mut self, transit: Transit) {
        match transit {
            Transit::Connected if self.wire != Wire::Down && self.kiosk.is_some() => {
                self.connected = true;
                self.event(Event::LinkConnected);
            }
            Transit::Connected => {}
            Transit::ToCenter(number, request) => {
                let answer = self.center.handle(self.utc(), self.number, *request);
                let lost = self.wire != Wire::Up || self.link_dice.chance(self.manners.lose_answer);
                let Some(response) = answer.map(|response| self.maybe_stale(response)) else { return };
                if lost {
                    self.tally.add("answer lost");
                    return;
                }
                let response = Box::new(response);
                if self.link_dice.chance(self.manners.double_answer) {
                    self.tally.add("answer twice");
                    self.travel(self.answer_delay, Transit::ToKiosk(number, response.clone()));
                }
                self.travel(self.answer_delay, Transit::ToKiosk(number, response));
            }
            Transit::ToKiosk(number, response) => self.event(Event::Answer { number, response }),
        }
    }

    /// QR texts of all papers that came out, oldest first.
    pub fn qr_texts(&self) -> Vec<String> {
        self.printer.papers().flat_map(|piece| self.texts_of(piece)).collect()
    }

    /// QR texts of one of them.
    fn texts_of(&self, piece: &Arc<paper::Paper>) -> Vec<String> {
        let mut read = self.read.borrow_mut();
        if let Some((_, known)) = read.iter().find(|(known, _)| Arc::ptr_eq(known, piece)) {
            return known.clone();
        }
        let new = piece.qr_texts();
        read.push((piece.clone(), new.clone()));
        new
    }

    /// What somebody outside can see of it.
    pub fn till(&self) -> Till {
        let lying = |wanted: &[Place]| {
            let notes = self.acceptor.notes().iter().chain(&self.carried);
            let notes = notes.filter(|note| wanted.contains(&note.place));
            notes.map(|note| note.note.denomination).collect()
        };
        let mut papers = self.papers.clone();
        if self.setup.thorough {
            papers.extend(self.qr_texts());
        }
        let mut lost_doubts = self.doubts.clone();
        for record in self.disk.told().iter() {
            if let Fact::NoteInDoubt { denomination, .. } = &record.fact
                && let Some(at) = lost_doubts.iter().position(|note| note == denomination)
            {
                lost_doubts.swap_remove(at);
            }
        }
        Till {
            lost_doubts,
            cassette: lying(&[Place::Cassette, Place::Collected]),
            jammed: lying(&[Place::Technician, Place::Transport]),
            journal_lost: self.journal_is_suspect(),
            papers,
            disturbances: self.setup.supervised.then_some(self.disturbances),
            doors_opened: self.setup.supervised.then_some(self.doors_opened),
            ..Till::new(self.number, Vec::new(), self.disk.records())
        }
    }
}
