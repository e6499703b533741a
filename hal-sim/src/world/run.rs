//! Living a plan: two kiosks, one center, people and faults, one heap of events in virtual time.
//!
//! First safety: whatever happens, the rules of [`invariants`](super::invariants) hold. Then the faults stop, technicians mend what hands
//! must mend, and progress is demanded: everything comes to rest by itself, and a citizen who does everything right gets a code.

use super::{
    Center, DiskFault, Manners, Station, Wire, cards,
    happenings::{KIOSKS, Kind, Plan, What},
    invariants::{Invariant, Violation, always},
    people::{CITIZENS, Citizen, MODEL, Pockets},
    station::Setup,
    tally::Tally,
};
use crate::{
    ccnet_device::{Fault, Way},
    escpos_device::{PaperSupply, PrinterFault},
    line::{LineFaults, OneFault},
};
use std::{cmp::Reverse, collections::BinaryHeap, panic, time::Duration};
use tolem_core::{
    kiosk::{Event, LinkFault},
    time::Instant,
};
use tolem_protocol::{merkle::Hash, messages::Deposit, qr::Qr, signed::Signed};

/// A printer is itself again, and the kiosk knows it, so long after the last thing that happened to it.
const PRINTER_RECOVERS: Duration = Duration::from_secs(30);
/// How often the center looks what is owed.
const TICK: Duration = Duration::from_secs(1);
/// Numbers of the kiosks.
const NUMBERS: [u32; KIOSKS] = [42, 43];
/// How a plan is lived.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Write down what happens.
    pub chronicle: bool,
    /// Read all papers and search all wires for secrets.
    pub thorough: bool,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The plan's seed.
    pub seed: u64,
    /// Over all journals and the ledger: the same plan gives the same.
    pub hash: Hash,
    /// The first broken rule.
    pub violation: Option<Violation>,
    /// What happened how often.
    pub tally: Tally,
    /// The last lines of the chronicle, if it was written.
    pub chronicle: Vec<String>,
    /// The journals at the end.
    pub stories: Vec<String>,
    /// Virtual time that went by.
    pub lasted: Duration,
}

impl Report {
    fn broken(seed: u64, violation: Violation) -> Self {
        Self {
            seed,
            hash: [0; 32],
            violation: Some(violation),
            tally: Tally::default(),
            chronicle: Vec::new(),
            stories: Vec::new(),
            lasted: Duration::ZERO,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Thing {
    Happens(usize),
    Ends(usize),
    /// Somebody at this kiosk looks at the screen.
    Looks(usize),
    /// A technician switches the printer of this kiosk on again.
    PrinterOn(usize),
    /// The center looks what is to be done.
    Works,
}

/// Lives a plan at `center`.
pub fn live<C: Center>(plan: &Plan, options: Options) -> Report {
    let whole = || {
        let mut world = World::<C>::new(plan.clone(), options);
        world.unsafe_time();
        if world.violation.is_none() {
            world.heal();
            world.come_to_rest();
        }
        world.report()
    };
    panic::catch_unwind(panic::AssertUnwindSafe(whole)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Report::broken(plan.seed, Violation { invariant: Invariant::NoPanic, what: text.unwrap_or_default() })
    })
}

pub(super) struct World<C: Center> {
    pub(super) center: C,
    pub(super) stations: Vec<Station<C>>,
    pub(super) plan: Plan,
    pub(super) now: Instant,
    heap: BinaryHeap<Reverse<(Instant, u64, Thing)>>,
    queued: u64,
    pub(super) people: [Option<Citizen>; KIOSKS],
    pub(super) pockets: Pockets,
    pub(super) violation: Option<Violation>,
    pub(super) tally: Tally,
    imported: Vec<Signed<Deposit>>,
}

impl<C: Center> World<C> {
    fn new(plan: Plan, options: Options) -> Self {
        let center = C::found(plan.seed);
        if plan.cards != 0 {
            center.open_cards(cards::town_bank());
        }
        let mut stations = Vec::new();
        for (place, kiosk) in NUMBERS.into_iter().enumerate() {
            let counter = plan.counters >> place & 1 == 1;
            let seed = plan.seed.wrapping_mul(31).wrapping_add(u64::from(kiosk));
            let cards = plan.cards >> place & 1 == 1;
            let setup = Setup { kiosk, seed, counter, cards, supervised: true, thorough: options.thorough };
            let mut station = Station::build(center.clone(), setup);
            station.manners.reconnect = Duration::from_secs(1);
            station.secrets = CITIZENS.iter().chain([&MODEL]).map(|iin| (*iin).to_owned()).collect();
            if plan.cards != 0 {
                station.secrets.extend(cards::town_secrets());
            }
            if options.chronicle {
                station.chronicle.open();
            }
            stations.push(station);
        }
        let mut world = Self {
            center,
            stations,
            now: Instant(0),
            heap: BinaryHeap::new(),
            queued: 0,
            people: [const { None }; KIOSKS],
            pockets: Pockets::default(),
            violation: None,
            tally: Tally::default(),
            imported: Vec::new(),
            plan,
        };
        world.center_works();
        for (index, happening) in world.plan.happenings.clone().iter().enumerate() {
            world.queue(happening.at, Thing::Happens(index));
        }
        world
    }

    fn queue(&mut self, at: Instant, thing: Thing) {
        self.queued += 1;
        self.heap.push(Reverse((at, self.queued, thing)));
    }

    /// Goes on until `until`, or until a rule is broken.
    pub(super) fn run(&mut self, until: Instant) {
        while self.now < until && self.violation.is_none() {
            let due = self.stations.iter().map(Station::next_due).min().unwrap_or(until);
            let thing = self.heap.peek().map_or(until, |Reverse((at, ..))| *at);
            self.now = due.max(self.now + Duration::from_millis(1)).min(thing).min(until).max(self.now);
            while let Some(Reverse((at, _, thing))) = self.heap.peek().copied()
                && at <= self.now
            {
                self.heap.pop();
                self.stations.iter_mut().for_each(|station| station.advance(at));
                self.happens(thing);
            }
            for station in &mut self.stations {
                if station.next_due() <= self.now {
                    station.advance(self.now);
                }
                if self.violation.is_none() {
                    self.violation = station.violation.clone();
                }
            }
        }
    }

    /// The center's own clock ticks, if it has anything to do by itself.
    fn center_works(&mut self) {
        if self.plan.cards != 0 {
            self.queue(self.now + TICK, Thing::Works);
        }
    }

    /// No happening of the plan comes any more, and everybody goes home.
    pub(super) fn forget_the_plan(&mut self) {
        self.heap.clear();
        self.center_works();
        self.people = [const { None }; KIOSKS];
    }

    fn unsafe_time(&mut self) {
        self.run(self.plan.heals_at);
        if self.violation.is_none() {
            // In the middle of everything, on what is durable at this very moment.
            self.violation = always(&self.books()).into_iter().next();
        }
    }

    fn happens(&mut self, thing: Thing) {
        match thing {
            Thing::Looks(place) => self.looks(place),
            Thing::Works => {
                self.center.work(self.stations[0].utc());
                self.center_works();
            }
            Thing::PrinterOn(place) => {
                let station = &mut self.stations[place];
                if station.has_light() {
                    station.printer.power_on(self.now);
                    station.settle();
                }
            }
            Thing::Happens(index) => {
                let happening = self.plan.happenings[index];
                let (now, place, what) = (self.now, happening.place, happening.what);
                self.tally.add(what.word());
                self.stations[place].chronicle.say(now, || format!("--- {what}"));
                if !matches!(what.kind(), Kind::People | Kind::Card | Kind::Clock) {
                    self.stations[place].disturbed();
                }
                let span = self.apply(place, what);
                if what.kind() == Kind::Printer {
                    let until = now + span.unwrap_or_default() + PRINTER_RECOVERS;
                    self.stations[place].printer_unwell_until(until);
                }
                if let Some(span) = span {
                    self.stations[place].tally.lasting += u32::from(lasts_on_notes(what));
                    self.queue(now + span, Thing::Ends(index));
                }
                self.stations[place].settle();
            }
            Thing::Ends(index) => {
                let happening = self.plan.happenings[index];
                let station = &mut self.stations[happening.place];
                station.chronicle.say(self.now, || format!("--- over: {}", happening.what.word()));
                station.tally.lasting -= u32::from(lasts_on_notes(happening.what));
                station.disturbed();
                self.mend(happening.place, happening.what);
                self.stations[happening.place].settle();
            }
        }
    }

    fn looks(&mut self, place: usize) {
        let Some(mut citizen) = self.people[place].take() else { return };
        if citizen.act(&mut self.stations[place], &mut self.pockets) {
            self.queue(self.now + citizen.pause(), Thing::Looks(place));
            self.people[place] = Some(citizen);
        }
        if let Some(cards) = &mut self.stations[place].cards {
            cards.reader.put_away().into_iter().for_each(|card| self.pockets.wallet.put(card));
        }
    }

    pub(super) fn come(&mut self, place: usize, citizen: Citizen) {
        self.tally.add("sessions");
        if self.people[place].replace(citizen).is_none() {
            self.queue(self.now, Thing::Looks(place));
        }
    }

    /// Does what happens; gives how long it lasts, if it ends.
    fn apply(&mut self, place: usize, what: What) -> Option<Duration> {
        let now = self.now;
        let of = Duration::from_millis;
        if let What::Visit { who, mood } = what {
            self.cards_come_back(place);
            // Who finds somebody there mostly turns around.
            if self.people[place].is_none() || mood % 3 == 0 {
                self.come(place, Citizen::new(now, who, mood, &self.pockets.slips));
            }
            return None;
        }
        if what.kind() == Kind::Center || what.kind() == Kind::Disaster {
            return self.apply_far(place, what);
        }
        if what.kind() == Kind::Card {
            return self.apply_to_cards(place, what);
        }
        let station = &mut self.stations[place];
        let light = station.has_light();
        let acceptor = &mut station.acceptor;
        match what {
            What::Pull {} => {
                let _note = acceptor.pull_note(now);
            }
            What::ProgramDies {} => {
                station.tally.add("program killed");
                station.power_off();
            }
            What::Blackout { ms } if light => {
                station.tally.add("power cut");
                station.go_dark(of(ms));
            }
            What::DiesAfter { effects } => station.die_after(effects as u32, None),
            What::DarkAfter { effects, ms } => station.die_after(effects as u32, Some(of(ms))),
            What::CutInAppend { appends, kept, ms } => {
                station.set_darkness(of(ms));
                let fault = if kept == 1 { DiskFault::CutButKept } else { DiskFault::CutNotKept };
                station.disk.fail_after(appends, fault);
            }
            What::DiskFails { appends, kept } => {
                let fault = if kept == 1 { DiskFault::FailedButKept } else { DiskFault::FailedNotKept };
                station.disk.fail_after(appends, fault);
            }
            What::DiskFull { ms } => {
                station.disk.set_full(true);
                station.event(Event::DiskSpace { free_bytes: 0, writable: true });
                return Some(of(ms));
            }
            What::DiskUnreadable { ms } => {
                station.disk.set_unreadable(true);
                return Some(of(ms));
            }
            What::AcceptorOff { ms } => {
                acceptor.power_off(now);
                return Some(of(ms));
            }
            What::Jam { deep, soft, ms } => {
                let fault = match (deep, soft) {
                    (0, 0) => Fault::Jam,
                    (0, _) => Fault::SoftJam,
                    (_, 0) => Fault::CassetteJam,
                    (_, _) => Fault::SoftCassetteJam,
                };
                acceptor.set_fault(now, fault);
                return Some(of(ms));
            }
            What::AcceptorSilent { ms } => {
                acceptor.set_fault(now, Fault::Silent);
                return Some(of(ms));
            }
            What::AcceptorBusy { tenths } => acceptor.set_fault(now, Fault::Busy(tenths as u8)),
            What::AcceptorForgets {} => acceptor.set_fault(now, Fault::Forget),
            What::AcceptorFails { code, ms } => {
                acceptor.set_fault(now, Fault::Failure(code as u8));
                return Some(of(ms));
            }
            What::CassetteFull { ms } => {
                acceptor.set_fault(now, Fault::CassetteFull);
                return Some(of(ms));
            }
            What::Cheat {} => acceptor.set_fault(now, Fault::Cheat),
            What::LineBad { drop, flip, double, late, split, noise, ms } => {
                let faults = LineFaults {
                    drop: drop as u16,
                    corrupt: flip as u16,
                    duplicate: double as u16,
                    delay: late as u16,
                    split: split as u16,
                    noise: noise as u16,
                    delay_by: of(400),
                };
                both_ways(station, faults);
                return Some(of(ms));
            }
            What::LineDead { ms } => {
                both_ways(station, LineFaults { drop: 1000, ..LineFaults::default() });
                return Some(of(ms));
            }
            What::OneFrame { way, fault } => {
                let fault = [
                    OneFault::Drop,
                    OneFault::Corrupt,
                    OneFault::Duplicate,
                    OneFault::Delay(of(300)),
                    OneFault::Split,
                    OneFault::Noise,
                ][fault as usize % 6];
                acceptor.fault_next_frame(if way == 0 { Way::ToHost } else { Way::ToDevice }, fault);
            }
            What::NoteTakenOut {} => station.will_take_note_out(),
            What::NoteSticks { ms } => {
                station.will_stick(true);
                return Some(of(ms));
            }
            What::AcceptorAmnesia {} => station.will_lose_memory(),
            What::AcceptorReplaced {} => station.replace_acceptor(),
            What::ClockJumps { minutes } => station.skew_ms = (minutes as i64 - 100_000) * 60_000,
            What::Door { ms } | What::Collect { ms } => {
                let collects = matches!(what, What::Collect { .. });
                station.set_door(true);
                if collects {
                    station.acceptor.remove_cassette(now);
                }
                return Some(of(ms));
            }
            _ => return self.apply_outside(place, what),
        }
        None
    }

    fn apply_outside(&mut self, place: usize, what: What) -> Option<Duration> {
        let now = self.now;
        let of = Duration::from_millis;
        let station = &mut self.stations[place];
        let printer = &mut station.printer;
        match what {
            What::PrinterOff { ms } => {
                printer.power_off(now);
                Some(of(ms))
            }
            What::PaperEnds { rows, ms } => {
                printer.set_paper(now, PaperSupply::OutAfter(rows as u32));
                Some(of(ms))
            }
            What::CoverOpen { ms } => {
                printer.set_fault(now, PrinterFault::CoverOpen);
                Some(of(ms))
            }
            What::CutterStuck { ms } => {
                printer.set_fault(now, PrinterFault::CutterJam);
                Some(of(ms))
            }
            What::PrinterSilent { ms } => {
                printer.set_fault(now, PrinterFault::Silent);
                Some(of(ms))
            }
            What::PrinterLine { drop, flip, double, ms } => {
                let faults = LineFaults {
                    drop: drop as u16,
                    corrupt: flip as u16,
                    duplicate: double as u16,
                    ..LineFaults::default()
                };
                printer.set_line_faults(Way::ToHost, faults);
                Some(of(ms))
            }
            What::LinkDown { ms } => {
                station.set_wire(Wire::Down);
                Some(of(ms))
            }
            What::LinkBreaks {} => {
                station.break_link(LinkFault::Closed);
                None
            }
            What::AnswersLost { ms } => {
                station.set_wire(Wire::AnswersLost);
                Some(of(ms))
            }
            What::LinkRude { lose, double, ms } => {
                let (lose, double) = (lose as u16, double as u16);
                station.manners = Manners {
                    jitter: of(300),
                    double_request: double,
                    double_answer: double,
                    lose_request: lose,
                    lose_answer: lose,
                    ..station.manners
                };
                Some(of(ms))
            }
            What::AnswersStale { ms } => {
                station.set_stale(true);
                Some(of(ms))
            }
            What::LinkSlow { by, ms } => {
                station.answer_delay = of(by);
                Some(of(ms))
            }
            _ => None,
        }
    }

    /// What happens to the center, or once in a life.
    fn apply_far(&mut self, place: usize, what: What) -> Option<Duration> {
        let of = Duration::from_millis;
        match what {
            What::CenterDown { ms } => {
                self.stations.iter_mut().for_each(|station| station.set_wire(Wire::Down));
                return Some(of(ms));
            }
            What::GatewaySilent { ms } => {
                self.center.set_gateway_silent(true);
                return Some(of(ms));
            }
            What::QuotesShort { seconds, ms } => {
                self.center.set_quotes_good_for(Some(seconds as i64));
                return Some(of(ms));
            }
            What::RegistrySilent { ms } => {
                self.center.set_registry_silent(true);
                return Some(of(ms));
            }
            What::CenterDiskFails { ms } => {
                self.center.set_disk_failing(true);
                return Some(of(ms));
            }
            What::BackedUp {} => self.center.back_up(),
            What::Restored {} if self.center.restore(self.stations[place].utc()) => {
                let now = self.stations[place].utc();
                self.imported.iter().for_each(|slip| self.center.import(now, slip));
                self.stations.iter_mut().for_each(|station| station.break_link(LinkFault::Closed));
            }
            What::ImageTaken {} => self.stations[place].disk.take_image(),
            What::ImagePut {} => {
                let station = &mut self.stations[place];
                station.power_off();
                if station.disk.put_image() {
                    station.journal_lost = true;
                    station.rewound();
                }
            }
            What::Burns { ms } => {
                self.burn(place);
                return Some(of(ms));
            }
            What::Tears { appends, ms } => {
                let station = &mut self.stations[place];
                station.set_darkness(of(ms));
                station.disk.fail_after(appends, DiskFault::CutTorn);
            }
            _ => {}
        }
        None
    }

    /// The computer burns, or its disk is evidence: another one takes its place. The papers are with their owners, and the operator
    /// reads them in.
    pub(super) fn burn(&mut self, place: usize) {
        let station = &mut self.stations[place];
        let texts = station.qr_texts();
        station.papers.clone_from(&texts);
        station.replace_computer();
        for text in &texts {
            if let Ok(Qr::Deposit(slip)) = Qr::parse(text) {
                self.center.import(self.stations[place].utc(), &slip);
                self.imported.push(slip);
            }
        }
    }

    /// What `docs/faults.md` tells the technician: scraps out, then the printer off and on.
    pub(super) fn free_cutter(&mut self, place: usize) {
        let (now, station) = (self.now, &mut self.stations[place]);
        station.printer.clear_fault(now, PrinterFault::CutterJam);
        if station.has_light() && station.printer.faults().contains(&PrinterFault::CutterJam) {
            station.printer.power_off(now);
            self.queue(now + SWITCHED_OFF, Thing::PrinterOn(place));
        }
    }

    /// A fault is over, or a technician has mended it.
    fn mend(&mut self, place: usize, what: What) {
        if what.kind() == Kind::Card {
            return self.mend_cards(place, what);
        }
        let now = self.now;
        let station = &mut self.stations[place];
        let light = station.has_light();
        match what {
            What::DiskFull { .. } => {
                station.disk.set_full(false);
                station.event(Event::DiskSpace { free_bytes: 1 << 30, writable: true });
            }
            What::DiskUnreadable { .. } => station.disk.set_unreadable(false),
            What::AcceptorOff { .. } if light => station.acceptor.power_on(now),
            What::NoteSticks { .. } => {
                station.will_stick(false);
                station.acceptor.clear_faults(now);
            }
            What::Jam { .. }
            | What::AcceptorSilent { .. }
            | What::AcceptorFails { .. }
            | What::CassetteFull { .. } => station.acceptor.clear_faults(now),
            What::LineBad { .. } | What::LineDead { .. } => both_ways(station, LineFaults::default()),
            What::Door { .. } => station.set_door(false),
            What::Collect { .. } => {
                station.acceptor.put_cassette(now, true);
                station.set_door(false);
            }
            What::PrinterOff { .. } if light => station.printer.power_on(now),
            What::PaperEnds { .. } => station.printer.set_paper(now, PaperSupply::New),
            What::CoverOpen { .. } => station.printer.clear_fault(now, PrinterFault::CoverOpen),
            What::CutterStuck { .. } => self.free_cutter(place),
            What::PrinterSilent { .. } => station.printer.clear_fault(now, PrinterFault::Silent),
            What::PrinterLine { .. } => {
                station.printer.set_line_faults(Way::ToHost, LineFaults::default());
            }
            What::LinkDown { .. } | What::AnswersLost { .. } => station.set_wire(Wire::Up),
            What::LinkRude { .. } => {
                station.manners = Manners { reconnect: station.manners.reconnect, ..Manners::GOOD };
            }
            What::AnswersStale { .. } => station.set_stale(false),
            What::CenterDiskFails { .. } => self.center.set_disk_failing(false),
            What::LinkSlow { .. } => station.answer_delay = Duration::ZERO,
            What::CenterDown { .. } => {
                self.center.restart();
                self.stations.iter_mut().for_each(|station| station.set_wire(Wire::Up));
            }
            What::GatewaySilent { .. } => self.center.set_gateway_silent(false),
            What::RegistrySilent { .. } => self.center.set_registry_silent(false),
            What::QuotesShort { .. } => self.center.set_quotes_good_for(None),
            _ => {}
        }
    }
}

/// How long a technician's hand leaves a printer switched off. No printer is back sooner, and its silence is how a driver knows.
const SWITCHED_OFF: Duration = Duration::from_secs(2);

/// Whether a note that is ordered while it lasts may end in doubt.
fn lasts_on_notes(what: What) -> bool {
    what.kind() == Kind::Acceptor
}

pub(super) fn both_ways<C: Center>(station: &mut Station<C>, faults: LineFaults) {
    station.acceptor.set_line_faults(Way::ToHost, faults);
    station.acceptor.set_line_faults(Way::ToDevice, faults);
}
