//! The reader against the driver that moves it, over lines that misbehave.

use super::*;
use crate::chip_card::{CardProfile, IssuerKeys};
use tolem_core::{
    card_reader::{Command as Order, Event, Found, Output, ReaderFault},
    drivers::card_reader::{CardReader, Config},
    emv::ChipFault,
};
use tolem_protocol::emv::{CardNumber, apdu::Transport};

fn card() -> Thing {
    let number = CardNumber::parse(concat!("5413", "3300", "8902", "0011")).expect("a public test number");
    let profile = CardProfile::common(number, &IssuerKeys::test());
    Thing::Card(Box::new(ChipCard::new(profile, Transport::T0)))
}

struct World {
    driver: CardReader,
    reader: CardReaderDevice,
    now: Instant,
    events: Vec<Event>,
}

impl World {
    fn new(seed: u64, faults: LineFaults) -> Self {
        let mut reader = CardReaderDevice::new(seed);
        reader.set_line_faults(faults);
        let driver = CardReader::new(Config::default(), Instant(0));
        Self { driver, reader, now: Instant(0), events: Vec::new() }
    }

    fn started() -> Self {
        let mut world = Self::new(1, LineFaults::default());
        world.run(5_000);
        assert_eq!(world.take(), [Event::Ready(Found::Nothing), Event::Captured(0)]);
        world
    }

    fn with_card() -> Self {
        let mut world = Self::started();
        world.order(Order::Accept);
        assert!(world.reader.insert(world.now, card()).is_ok());
        world.run(3_000);
        assert_eq!(world.take(), [Event::Inserted]);
        world
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            let driver = loop {
                match self.driver.poll() {
                    Output::Transmit(bytes) => self.reader.handle_bytes(self.now, &bytes),
                    Output::Event(event) => self.events.push(event),
                    Output::Wait(until) => break until,
                }
            };
            let mut spoke = false;
            let reader = loop {
                match self.reader.poll() {
                    ReaderOutput::Transmit(bytes) => {
                        self.driver.handle_bytes(self.now, &bytes);
                        spoke = true;
                    }
                    ReaderOutput::Happened(_) => {}
                    ReaderOutput::Wait(until) => break until,
                }
            };
            if spoke {
                continue;
            }
            let next = driver.min(reader);
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.reader.handle_timeout(self.now);
            self.driver.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn order(&mut self, order: Order) {
        self.driver.command(self.now, order);
        self.run(4_000);
    }

    fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn exchange(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.order(Order::Transmit(Zeroizing::new(bytes.to_vec())));
        self.run(8_000);
        self.take()
    }
}

#[test]
fn a_card_is_drawn_in_spoken_to_and_given_back() {
    let mut world = World::with_card();
    world.order(Order::PowerChip);
    assert_eq!(world.take(), [Event::ChipReady(Transport::T0)]);
    let said = world.exchange(&[0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 0, 4, 0x10, 0x10]);
    assert!(matches!(&said[..], [Event::Answer(answer)] if answer.0[0] == 0x61), "{said:?}");
    world.order(Order::Eject);
    assert_eq!(world.take(), [Event::AtGate]);
    assert_eq!(world.reader.place(), Whereabouts::Gate);
    assert!(world.reader.take(world.now));
    world.run(2_000);
    assert_eq!(world.take(), [Event::Taken]);
    assert_eq!((world.reader.taken().len(), world.reader.moves()), (1, 1));
}

#[test]
fn a_forgotten_card_goes_into_the_box_unless_somebody_holds_it() {
    let mut world = World::with_card();
    world.order(Order::Eject);
    world.take();
    world.reader.hold(true);
    world.order(Order::Retain);
    assert_eq!((world.take(), world.reader.place()), (vec![], Whereabouts::Gate));
    world.reader.hold(false);
    world.order(Order::Retain);
    assert_eq!(world.take(), [Event::Retained, Event::Captured(1)]);
    assert_eq!(world.reader.boxed().len(), 1);
}

#[test]
fn a_card_that_does_not_fall_into_the_box_is_told_and_stays() {
    let mut world = World::with_card();
    world.reader.set_trouble(world.now, Some(Trouble::BoxFull));
    world.order(Order::Retain);
    world.run(10_000);
    // After the reset it is inside, and whoever ordered it decides anew: here, that its owner gets it back.
    assert_eq!(world.take(), [Event::Ready(Found::Inside), Event::Captured(0)]);
    world.order(Order::Eject);
    assert_eq!((world.take(), world.reader.place()), (vec![Event::AtGate], Whereabouts::Gate));
}

#[test]
fn a_jam_calls_a_person_and_the_card_is_still_known() {
    let mut world = World::with_card();
    world.reader.set_trouble(world.now, Some(Trouble::Jam));
    world.order(Order::Eject);
    world.run(30_000);
    assert_eq!(world.take(), [Event::Fault(ReaderFault::Jam, true)]);
    world.reader.set_trouble(world.now, None);
    world.order(Order::Restart);
    world.run(5_000);
    let expected = [Event::Fault(ReaderFault::Jam, false), Event::Ready(Found::Inside), Event::Captured(0)];
    assert_eq!(world.take(), expected);
}

#[test]
fn whoever_frees_a_card_need_not_say_so() {
    let mut world = World::with_card();
    world.reader.set_trouble(world.now, Some(Trouble::Jam));
    world.order(Order::Eject);
    world.run(300_000);
    assert_eq!(world.take(), [Event::Fault(ReaderFault::Jam, true)]);
    world.reader.set_trouble(world.now, None);
    world.run(70_000);
    let expected = [Event::Fault(ReaderFault::Jam, false), Event::Ready(Found::Inside), Event::Captured(0)];
    assert_eq!(world.take(), expected);
}

#[test]
fn a_power_cut_with_a_card_inside_ends_where_the_reset_said() {
    for (goes, found) in [(CardGoes::Out, Whereabouts::Gate), (CardGoes::Held, Whereabouts::Inside)] {
        let mut world = World::started();
        let config = Config { at_power_loss: goes, ..Config::default() };
        world.driver = CardReader::new(config, world.now);
        world.run(5_000);
        world.order(Order::Accept);
        assert!(world.reader.insert(world.now, card()).is_ok());
        world.run(3_000);
        world.take();
        world.order(Order::PowerChip);
        world.take();
        world.reader.set_power(world.now, false);
        assert_eq!(world.reader.place(), found);
        world.run(60_000);
        assert_eq!(world.take(), [Event::Fault(ReaderFault::Absent, true)]);
        world.reader.set_power(world.now, true);
        world.run(60_000);
        let events = world.take();
        assert_eq!(events[..2], [Event::Fault(ReaderFault::Absent, false), Event::Ready(Found::Inside)]);
    }
}

#[test]
fn mute_and_torn_cards_are_told_apart() {
    let mut world = World::with_card();
    world.order(Order::PowerChip);
    world.take();
    world.reader.card().expect("a card").faults.mute_from = Some(1);
    assert!(matches!(world.exchange(&[0, 0xA4, 4, 0, 1, 0xA0])[..], [Event::Answer(_)]));
    assert_eq!(world.exchange(&[0, 0xB2, 1, 0x0C, 0]), [Event::ChipFault(ChipFault::Mute)]);
    let mut world = World::with_card();
    world.order(Order::PowerChip);
    world.take();
    world.reader.card().expect("a card").faults.torn_at = Some(0);
    let said = world.exchange(&[0, 0xB2, 1, 0x0C, 0]);
    assert_eq!(said[..2], [Event::ChipFault(ChipFault::Removed), Event::Ready(Found::Nothing)]);
    assert_eq!(world.reader.taken().len(), 1);
}

#[test]
fn what_is_no_card_is_given_back() {
    for thing in [Thing::Short, Thing::Long] {
        let mut world = World::started();
        world.order(Order::Accept);
        assert!(world.reader.insert(world.now, thing).is_ok());
        world.run(6_000);
        assert_eq!(world.take()[..2], [Event::NotACard, Event::Ready(Found::AtGate)]);
        assert_eq!(world.reader.place(), Whereabouts::Gate);
    }
}

/// Whatever the line does: the motor turns at most once for each order and reset, no card is lost, and what is told is true.
#[test]
fn a_bad_line_never_moves_a_card_twice_or_loses_it() {
    let (mut done, mut moved) = (0, 0);
    for seed in 0..80 {
        let faults = LineFaults {
            drop: 40,
            corrupt: 60,
            duplicate: 60,
            delay: 60,
            split: 200,
            noise: 60,
            delay_by: Duration::from_millis(900),
        };
        let mut world = World::new(seed, faults);
        world.run(120_000);
        world.take();
        let (mut orders, mut inserted) = (0, 0);
        for round in 0..4 {
            world.order(Order::Accept);
            world.run(30_000);
            if world.reader.insert(world.now, card()).is_err() {
                continue;
            }
            inserted += 1;
            world.run(60_000);
            world.order(if round % 2 == 0 { Order::Eject } else { Order::Retain });
            orders += 1;
            world.run(120_000);
            let told = world.take();
            let (gate, kept) = (told.contains(&Event::AtGate), told.contains(&Event::Retained));
            if gate && world.reader.place() == Whereabouts::Gate {
                done += 1;
            }
            if kept {
                assert!(!world.reader.boxed().is_empty(), "seed {seed}: {told:?}");
                done += 1;
            }
            // A person takes what sticks out; what is inside is ordered out until it is.
            for _ in 0..6 {
                if world.reader.take(world.now) || world.reader.place() == Whereabouts::Nowhere {
                    break;
                }
                world.order(Order::Eject);
                orders += 1;
                world.run(60_000);
            }
            world.run(60_000);
            world.take();
        }
        let cards = world.reader.taken().len() + world.reader.boxed().len();
        let inside = usize::from(world.reader.place() != Whereabouts::Nowhere);
        assert_eq!(cards + inside, inserted, "seed {seed}: every card is somewhere");
        // Each reset may draw one card in from the gate; each order moves one card once.
        assert!(
            world.reader.moves() <= 2 * orders,
            "seed {seed}: {} moves, {orders} orders",
            world.reader.moves()
        );
        moved += world.reader.moves();
    }
    assert!(done > 150 && moved > 0, "{done} orders ended well");
}
