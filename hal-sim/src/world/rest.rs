//! After the faults: technicians mend what hands must mend, everything comes to rest, and the books are compared.

use super::{
    Center, DiskFault, Manners, Station, Wire,
    cards::town_secrets,
    invariants::{Books, Invariant, Violation, at_rest, secrets_in},
    people::{CITIZENS, Citizen, MODEL},
    run::{Report, World, both_ways},
    tally::Tally,
};
use crate::{
    ccnet_device::Way,
    escpos_device::{PaperSupply, PrinterFault},
    line::LineFaults,
};
use std::time::Duration;
use tolem_core::{health::FaultCode, session::Stage, time::Instant};
use tolem_protocol::{
    merkle::leaf_hash,
    record::{Ending, Fact},
};

/// After the faults have stopped, all must have come to rest within this.
const REST: Duration = Duration::from_secs(1_800);
/// After the last cut a kiosk shows its start screen, or says why it is closed, within this, if nobody stands at it.
const AWAKE: Duration = Duration::from_secs(120);
/// And comes again after this, as long as something waits: a disk that could not be read may turn out to be an old one.
const ROUND: Duration = Duration::from_secs(120);
/// Whoever comes to mend looks at the terminals so long first.
const LOOKED_AT: Duration = Duration::from_secs(30);
/// A citizen who does everything right has a code within this.
const SERVED: Duration = Duration::from_secs(300);

impl<C: Center> World<C> {
    /// Faults stop; technicians come.
    pub(super) fn heal(&mut self) {
        self.forget_the_plan();
        self.center.set_gateway_silent(false);
        self.center.set_registry_silent(false);
        self.center.set_quotes_good_for(None);
        self.center.set_disk_failing(false);
        let now = self.now;
        for station in &mut self.stations {
            station.chronicle.say(now, || "--- the faults stop".into());
            station.spare();
            station.calm();
            station.tally.lasting = 0;
            station.disturbed();
            station.disk.fail_after(0, DiskFault::None);
            station.disk.set_full(false);
            station.disk.set_unreadable(false);
            station.manners = Manners { reconnect: station.manners.reconnect, ..Manners::GOOD };
            station.answer_delay = Duration::ZERO;
            station.switch_light_on();
            both_ways(station, LineFaults::default());
            station.acceptor.clear_faults(now);
            station.acceptor.put_cassette(now, false);
            station.acceptor.power_on(now);
            station.printer.power_on(now);
            station.printer.set_line_faults(Way::ToHost, LineFaults::default());
            for fault in [PrinterFault::CoverOpen, PrinterFault::Silent] {
                station.printer.clear_fault(now, fault);
            }
            station.printer.set_paper(now, PaperSupply::New);
            station.set_wire(Wire::Up);
            station.set_door(false);
            station.settle();
        }
        for place in 0..self.stations.len() {
            self.free_cutter(place);
        }
        self.heal_cards();
    }

    /// Progress is demanded.
    pub(super) fn come_to_rest(&mut self) {
        self.wait(AWAKE, Invariant::ComesToRest, |station| {
            matches!(station.view.screen, "attract" | "closed") || is_waited_for(station)
        });
        // What the center says of a journal comes with the link, not with the start screen.
        self.run(self.now + LOOKED_AT);
        self.after_care();
        self.wait(REST, Invariant::ComesToRest, is_at_rest);
        self.slips_go_to_the_desk();
        self.somebody_pays(Citizen::model, |_| true);
        self.wait(REST, Invariant::ComesToRest, is_at_rest);
        self.somebody_pays(Citizen::model_by_card, |station| station.cards.is_some());
        self.wait(REST, Invariant::ComesToRest, is_at_rest);
        if self.violation.is_none() {
            self.violation = self.look_at_disks().or_else(|| at_rest(&self.books()).into_iter().next());
        }
    }

    /// Who holds an emergency slip goes to the desk with it days later, and an operator reads it in. The terminal has told the center
    /// of that money long ago, perhaps with another deposit; it must not count twice.
    fn slips_go_to_the_desk(&mut self) {
        for station in &self.stations {
            for slip in station.emergency_slips() {
                self.center.import(station.utc(), &slip);
            }
        }
    }

    /// What only hands can end: an acceptor that was cheated is switched off and on, a disk that is evidence is replaced.
    fn after_care(&mut self) {
        for place in 0..self.stations.len() {
            let now = self.now;
            let station = &mut self.stations[place];
            let Some(health) = station.try_kiosk().map(|kiosk| kiosk.health().clone()) else { continue };
            if health.has(FaultCode::Cheated) {
                station.acceptor.power_off(now);
                station.acceptor.power_on(now);
                station.settle();
            }
            let blocked = health.has(FaultCode::BlockedByCenter) || self.center.is_closed(station.number());
            let damaged = health.has(FaultCode::JournalDamaged);
            if (blocked || damaged) && station.journal_is_suspect() {
                self.tally.add(if damaged { "damaged journal found" } else { "old journal found" });
                self.burn(place);
                self.center.clear(self.stations[place].number());
            }
        }
    }

    /// Goes on until `done` holds at every kiosk.
    fn wait(&mut self, limit: Duration, invariant: Invariant, done: impl Fn(&Station<C>) -> bool) {
        let deadline = self.now + limit;
        let mut next_round = self.now + ROUND;
        while self.violation.is_none() && !self.stations.iter().all(&done) {
            if self.now >= deadline {
                let waits = self.stations.iter().find(|station| !done(station));
                let what = waits.map(why_not_at_rest).unwrap_or_default();
                self.violation = Some(Violation { invariant, what });
                return;
            }
            self.run(self.now + Duration::from_millis(500));
            if self.now >= next_round {
                next_round = self.now + ROUND;
                self.after_care();
            }
        }
    }

    /// Somebody who does everything right comes to each kiosk that is `meant` and gets a code.
    fn somebody_pays(&mut self, model: fn(Instant) -> Citizen, meant: fn(&Station<C>) -> bool) {
        let paid = |station: &Station<C>| {
            let ends = |fact: &Fact| matches!(fact, Fact::Finished { ending: Ending::Paid, .. });
            station.disk.told().iter().filter(|record| ends(&record.fact)).count()
        };
        let before: Vec<usize> = self.stations.iter().map(paid).collect();
        for place in 0..self.stations.len() {
            self.cards_come_back(place);
        }
        for place in 0..self.stations.len() {
            if meant(&self.stations[place]) {
                self.come(place, model(self.now));
            }
        }
        let numbers: Vec<_> = self.stations.iter().map(Station::number).collect();
        self.wait(SERVED, Invariant::ComesToRest, |station| {
            let place = numbers.iter().position(|number| *number == station.number()).unwrap_or(0);
            !meant(station) || paid(station) > before[place]
        });
        self.people = [const { None }; super::happenings::KIOSKS];
    }

    fn look_at_disks(&self) -> Option<Violation> {
        let cards = if self.plan.cards == 0 { Vec::new() } else { town_secrets() };
        let people = CITIZENS.iter().copied().chain([MODEL]);
        let secrets: Vec<&str> = people.chain(cards.iter().map(String::as_str)).collect();
        self.stations.iter().find_map(|station| {
            let place = format!("disk of kiosk {}", station.number());
            secrets_in(&place, &station.disk.bytes(), &secrets)
        })
    }

    pub(super) fn books(&self) -> Books {
        let tills = self.stations.iter().map(Station::till).collect();
        Books { tills, ledger: self.center.ledger(), charges: self.charges() }
    }

    pub(super) fn report(self) -> Report {
        let mut tally = Tally::default();
        let mut bytes = format!("{:?}", self.center.ledger()).into_bytes();
        let mut chronicle: Vec<_> = Vec::new();
        for station in &self.stations {
            tally.merge(&station.tally);
            bytes.extend(station.disk.bytes());
            let lines = station.chronicle.lines();
            chronicle.extend(lines.map(|(at, line)| (*at, station.number(), line.clone())));
        }
        tally.merge(&self.tally);
        chronicle.sort_by_key(|(at, ..)| *at);
        let told = |(at, kiosk, line): &(Instant, _, String)| format!("{:>7} {kiosk} {line}", at.0);
        Report {
            seed: self.plan.seed,
            hash: leaf_hash(&bytes),
            violation: self.violation,
            tally,
            chronicle: chronicle.iter().map(told).collect(),
            stories: self.stations.iter().map(Station::story).collect(),
            lasted: Duration::from_millis(self.now.0),
        }
    }
}

/// A citizen left it in the middle of something: it asks "are you still here?" first.
fn is_waited_for<C: Center>(station: &Station<C>) -> bool {
    station.try_kiosk().is_some() && !matches!(station.view.screen, "")
}

fn is_at_rest<C: Center>(station: &Station<C>) -> bool {
    let Some(kiosk) = station.try_kiosk() else { return false };
    let session = kiosk.session();
    station.view.screen == "attract"
        // A program that saw its disk fail is about to end.
        && station.disk.is_healthy()
        && kiosk.link_is_up()
        && session.order().is_none()
        && session.print().is_none()
        && session.payments().iter().all(|payment| payment.stage() == Stage::Settled || payment.card.is_some())
        && session.card_errands().count() == 0
        && station.acceptor.unconfirmed_credit().is_none()
        && station.cards.as_ref().is_none_or(|cards| cards.is_empty() && station.takes_cards())
        && station.center.cards_owed() == 0
        && !station.center.is_listening()
}

fn why_not_at_rest<C: Center>(station: &Station<C>) -> String {
    let number = station.number();
    let Some(kiosk) = station.try_kiosk() else { return format!("kiosk {number} does not run") };
    let open: Vec<String> = kiosk
        .session()
        .payments()
        .iter()
        .filter(|payment| payment.stage() != Stage::Settled)
        .map(|payment| format!("{} {:?}", payment.id, payment.stage()))
        .collect();
    let closed = kiosk.health().closed_by().map(FaultCode::code);
    let cards = station.cards.as_ref().map(|cards| {
        let owed: Vec<String> = kiosk
            .session()
            .card_errands()
            .map(|(payment, standing)| format!("{payment} {standing:?}"))
            .collect();
        let place = cards.reader.place();
        let taken = station.takes_cards();
        format!(
            ", reader {place:?}, cards taken {taken} (closed by {:?}), owed {owed:?} and by the center {}",
            kiosk.health().closed_for_cards().map(FaultCode::code),
            station.center.cards_owed()
        )
    });
    let cards = cards.unwrap_or_default();
    format!(
        "kiosk {number} waits: screen {:?} {:?}, closed by {closed:?}, link {}, order {:?}, acceptor {:?}, open {open:?}{cards}",
        station.view.screen,
        station.view.lead,
        kiosk.link_is_up(),
        kiosk.session().order(),
        station.acceptor.status(),
    )
}
