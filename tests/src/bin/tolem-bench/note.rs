//! From the byte that says "stacked" to the byte that acknowledges it: the time a validator waits for our disk.
//!
//! The kiosk's glue, drivers and session, the real store and real keys; a simulated validator in virtual time talks to it, and the
//! wall clock runs only while the kiosk handles the frame that says "stacked".

use super::{ROUNDS, Target, Verdict, journal::BareFile, median, ms, series};
use std::{collections::VecDeque, path::Path, time::Instant as Clock};
use tolem_core::ports::Signer as _;
use tolem_core::{
    drivers::{ccnet as driver, escpos},
    kiosk::{Config, Event, Kiosk, Output, Patience},
    time::Instant,
    view::{Intent, ViewModel},
    words::{Word, word},
};
use tolem_firmware::{
    keys::{CenterKeys, KioskKeys},
    store::SqliteStore,
};
use tolem_hal_sim::world::Center as _;
use tolem_hal_sim::{
    ccnet_device::{Banknote, CcnetConfig, CcnetDevice, DeviceOutput, Timing},
    escpos_device::{EscposConfig, EscposDevice, PrinterOutput},
};
use tolem_protocol::{UtcTime, ccnet, wire::Direction};
use tolem_tests::rig::{PAYER, SharedCenter};

/// Notes in one round; all rounds are one payment of the dearest fee, so they must not add up to more.
const NOTES: usize = 9;
/// Steps after which a thing that must happen has not happened.
const MAX_STEPS: usize = 100_000;

struct Bench {
    kiosk: Kiosk<SqliteStore, KioskKeys>,
    acceptor: CcnetDevice,
    printer: EscposDevice,
    center: SharedCenter,
    view: ViewModel,
    now: Instant,
    wake: Instant,
    inbox: VecDeque<Event>,
    /// When the frame under way that says "stacked" came, and the seconds the kiosk has worked since.
    stacked: Option<(Instant, f64)>,
    /// Seconds from each "stacked" to its acknowledgement.
    spans: Vec<f64>,
}

impl Bench {
    fn new(journal: &Path) -> Self {
        let center = SharedCenter::new(1);
        let (statement, sealing) = center.public_keys();
        let signer = KioskKeys::ephemeral(&CenterKeys { statement, sealing }).expect("keys in memory");
        let number = super::journal::kiosk();
        center.enrol(number, signer.public_key());
        let mut acceptor = CcnetDevice::new(CcnetConfig { timing: Timing::FAST, ..CcnetConfig::default() });
        let mut printer = EscposDevice::new(EscposConfig::fast());
        let now = Instant(0);
        acceptor.power_on(now);
        printer.power_on(now);
        let config = Config {
            kiosk: number,
            operator: "Tolem".into(),
            address: String::new(),
            nearest: String::new(),
            software: "tolem-bench".into(),
            acceptor: driver::Config::default(),
            patterns: acceptor.config().types.iter().map(|kind| (kind.index, kind.pattern)).collect(),
            printer: escpos::Config::default(),
            page_width: 576,
            cards: None,
            patience: Patience::default(),
        };
        let store = SqliteStore::open(journal).expect("a journal");
        let kiosk = Kiosk::open(config, store, signer, [7; 16], now, Self::utc(now));
        let Ok(kiosk) = kiosk else { panic!("a new journal does not open") };
        let inbox = VecDeque::from([Event::JournalVerified(Ok(0)), Event::LinkConnected]);
        let (view, stacked, spans) = (ViewModel::default(), None, Vec::new());
        Self { kiosk, acceptor, printer, center, view, now, wake: now, inbox, stacked, spans }
    }

    fn utc(now: Instant) -> UtcTime {
        UtcTime(1_795_334_400_000 + now.0 as i64)
    }

    /// Carries bytes and wishes until all is quiet at this instant; then gives the next instant.
    fn settle(&mut self) -> Instant {
        loop {
            let devices = self.drain_devices();
            let Some(event) = self.inbox.pop_front() else { return devices.min(self.wake) };
            let is_stacked =
                matches!(&event, Event::Acceptor(bytes) if says(Direction::FromDevice, bytes, "STACKED"));
            if is_stacked && self.stacked.is_none() {
                self.stacked = Some((self.now, 0.0));
            }
            let start = Clock::now();
            self.kiosk.handle(self.now, Self::utc(self.now), event);
            self.drain_kiosk(start);
            if let Some((_, worked)) = &mut self.stacked {
                *worked += start.elapsed().as_secs_f64();
            }
        }
    }

    fn drain_kiosk(&mut self, start: Clock) {
        loop {
            match self.kiosk.poll() {
                Output::Acceptor(bytes) => {
                    if says(Direction::FromHost, &bytes, "ACK")
                        && let Some((came, worked)) = self.stacked.take()
                    {
                        // What the driver waits by itself counts too.
                        let waited = self.now.since(came).as_secs_f64();
                        self.spans.push(waited + worked + start.elapsed().as_secs_f64());
                    }
                    self.acceptor.handle_bytes(self.now, &bytes);
                }
                Output::Printer(bytes) => self.printer.handle_bytes(self.now, &bytes),
                Output::Send { number, request } => {
                    let who = super::journal::kiosk();
                    if let Some(response) = self.center.handle(Self::utc(self.now), who, *request) {
                        self.inbox.push_back(Event::Answer { number, response: Box::new(response) });
                    }
                }
                Output::View(view) => self.view = *view,
                Output::Reconnect => self.inbox.push_back(Event::LinkConnected),
                Output::Lamp { .. }
                | Output::Trace { .. }
                | Output::RevocationList(_)
                | Output::CardReader(_)
                | Output::Reader(_)
                | Output::PinPad(_)
                | Output::Stopped => {}
                Output::Abort(reason) => panic!("the journal failed: {reason}"),
                Output::Wait(until) => {
                    self.wake = until;
                    return;
                }
            }
        }
    }

    fn drain_devices(&mut self) -> Instant {
        let acceptor = loop {
            match self.acceptor.poll() {
                DeviceOutput::Transmit(bytes) => self.inbox.push_back(Event::Acceptor(bytes)),
                DeviceOutput::Happened(_) => {}
                DeviceOutput::Wait(until) => break until,
            }
        };
        let printer = loop {
            match self.printer.poll() {
                PrinterOutput::Transmit(bytes) => self.inbox.push_back(Event::Printer(bytes)),
                PrinterOutput::Happened(_) => {}
                PrinterOutput::Wait(until) => break until,
            }
        };
        acceptor.min(printer)
    }

    fn step(&mut self) {
        let next = self.settle();
        self.now = next.max(Instant(self.now.0 + 1));
        self.acceptor.handle_timeout(self.now);
        self.printer.handle_timeout(self.now);
        if self.wake <= self.now {
            self.inbox.push_back(Event::Tick);
        }
        self.settle();
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..MAX_STEPS {
            if done(self) {
                return;
            }
            self.step();
        }
        panic!("waited in vain for {what} on {:?}", self.view.screen);
    }

    fn until_screen(&mut self, screen: &str) {
        self.until(screen, |bench| bench.view.screen == screen);
    }

    fn touch(&mut self, intent: Intent) {
        self.inbox.push_back(Event::Touch(intent));
        self.settle();
    }

    fn tap(&mut self, phrase: Word) {
        let label = word(self.view.language, phrase);
        let action = self.view.actions.iter().find(|action| action.label == label).cloned();
        let screen = self.view.screen;
        self.touch(action.unwrap_or_else(|| panic!("no button {label:?} on {screen:?}")).intent);
    }

    /// From the start screen to the open slot, for a fee that many notes fit into.
    fn open_slot(&mut self) {
        self.until_screen("attract");
        self.touch(Intent::Start);
        // The dearest fee of the reference catalogue: a ten-year passport.
        self.touch(Intent::ChooseService(dearest()));
        self.tap(Word::PayThis);
        for digit in PAYER.bytes() {
            self.touch(Intent::Digit(tolem_core::secret::Key::new(digit - b'0')));
        }
        self.tap(Word::Next);
        self.until_screen("quote");
        self.tap(Word::PayCash);
        self.tap(Word::HonestAgree);
        self.until_screen("inserting");
    }

    fn insert(&mut self) {
        let before = self.spans.len();
        self.until("an open slot", |bench| bench.acceptor.insert(bench.now, Banknote::tenge(500)).is_ok());
        self.until("the acknowledgement", |bench| bench.spans.len() > before);
    }
}

fn dearest() -> u16 {
    use tolem_center::catalogue::{Catalogue, REFERENCE};
    let catalogue = Catalogue::parse(REFERENCE).expect("the reference catalogue is well formed");
    let found = catalogue.services.iter().position(|service| service.code.as_str() == "passport-36");
    found.and_then(|at| u16::try_from(at).ok()).expect("a passport")
}

fn says(direction: Direction, bytes: &[u8], word: &str) -> bool {
    ccnet::describe(direction, bytes).starts_with(word)
}

pub(super) fn stacked_to_ack(directory: &Path) -> Vec<Verdict> {
    println!("\nfrom STACKED to ACK, {NOTES} notes in a round, beside one pwrite + fdatasync");
    let mut bench = Bench::new(&directory.join("stacked.db"));
    let mut bare = BareFile::new(&directory.join("bare-note"));
    bench.open_slot();
    let (mut acks, mut writes, mut above) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut spans = Vec::new();
        for _ in 0..NOTES {
            let start = Clock::now();
            bare.write();
            spans.push(ms(start.elapsed()));
            bench.insert();
        }
        let of_round: Vec<f64> = bench.spans.drain(..).map(|seconds| seconds * 1e3).collect();
        writes.push(median(&spans));
        acks.push(median(&of_round));
        above.push(median(&of_round) - median(&spans));
    }
    series("one durable write", "ms", &writes);
    series("STACKED to ACK", "ms", &acks);
    let value = series("above one durable write", "ms", &above);
    vec![Verdict {
        what: "STACKED to ACK, above one durable write",
        value,
        unit: "ms",
        target: Target::AtMost(5.0),
    }]
}
