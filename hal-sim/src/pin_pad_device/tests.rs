//! The pad against the driver that asks it, over lines that misbehave; the acquirer played by its keys.

use super::*;
use tolem_card_keys::{TdesKey, dukpt_tdes, pin_block::open_format_0};
use tolem_core::{
    drivers::pinpad::{Config, PinPad, Scheme},
    pin_pad::{Command, EncryptedPin, Event, KeyPlace, Output, PadFault, PinEnd, PinKey, PinRequest},
};
use tolem_protocol::Amount;

fn number() -> CardNumber {
    CardNumber::parse(concat!("5413", "3300", "8902", "0011")).expect("a public test number")
}

fn slot(letter: u8) -> KeySlot {
    KeySlot::new(letter).expect("a place for a key")
}

struct World {
    driver: PinPad,
    pad: PinPadDevice,
    now: Instant,
    events: Vec<Event>,
    wire: Vec<u8>,
}

impl World {
    fn new(scheme: Scheme, keys: KeyStore, seed: u64, faults: LineFaults) -> Self {
        let mut pad = PinPadDevice::new(keys, seed);
        pad.set_line_faults(faults);
        let config = Config { scheme, ..Config::default() };
        let driver = PinPad::new(config, Instant(0));
        let mut world = Self { driver, pad, now: Instant(0), events: Vec::new(), wire: Vec::new() };
        world.run_to(Instant(0));
        world
    }

    fn dukpt() -> Self {
        let keys = KeyStore::delivered(&PinPadKeys::test());
        let mut world = Self::new(Scheme::Dukpt { last: None }, keys, 1, LineFaults::default());
        world.run(1_000);
        assert_eq!(world.take(), [Event::Ready]);
        world
    }

    /// Runs both sides until neither has anything to do before `end`.
    fn run_to(&mut self, end: Instant) {
        loop {
            let driver = loop {
                match self.driver.poll() {
                    Output::Transmit(bytes) => {
                        self.wire.extend(bytes.iter());
                        self.pad.handle_bytes(self.now, &bytes);
                    }
                    Output::Event(event) => self.events.push(event),
                    Output::Wait(until) => break until,
                }
            };
            let mut spoke = false;
            let pad = loop {
                match self.pad.poll() {
                    PadOutput::Transmit(bytes) => {
                        self.wire.extend(&bytes);
                        self.driver.handle_bytes(self.now, &bytes);
                        spoke = true;
                    }
                    PadOutput::Happened(_) => {}
                    PadOutput::Wait(until) => break until,
                }
            };
            if spoke {
                continue;
            }
            let next = driver.min(pad);
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.pad.handle_timeout(self.now);
            self.driver.handle_timeout(self.now);
        }
        self.now = self.now.max(end);
    }

    fn run(&mut self, ms: u64) {
        self.run_to(self.now + Duration::from_millis(ms));
    }

    fn command(&mut self, command: Command) {
        self.driver.command(self.now, command);
        self.run(1_000);
    }

    fn ask(&mut self) {
        let amount = Amount::from_tenge(1_500);
        let limit = Duration::from_secs(60);
        self.command(Command::EnterPin(PinRequest { card: number().into(), amount, limit }));
    }

    fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn pin(&mut self) -> EncryptedPin {
        match <[Event; 1]>::try_from(self.take()) {
            Ok([Event::Entered(pin)]) => pin,
            other => panic!("one PIN, not {other:?}"),
        }
    }
}

/// What the acquirer's security module sees in a block under DUKPT.
fn opened(pin: &EncryptedPin) -> Pin {
    let PinKey::Dukpt(serial) = pin.key else { panic!("a key for this one PIN") };
    let keys = PinPadKeys::test();
    let initial = dukpt_tdes::initial_key(&keys.base, serial.0);
    let clear = dukpt_tdes::pin_key(&initial, serial.0).decrypt(*pin.block.bytes());
    open_format_0(clear, &number()).expect("the block opens")
}

#[test]
fn the_acquirer_opens_what_the_citizen_entered_and_each_block_has_its_own_key() {
    let mut world = World::dukpt();
    let mut seen = Vec::new();
    for (n, pin) in ["1234", "123456789012", "0000"].into_iter().enumerate() {
        world.ask();
        assert!(world.pad.enter(world.now, pin));
        world.run(1_000);
        let entered = world.pin();
        assert_eq!(opened(&entered), Pin::parse(pin).expect("a PIN"));
        let PinKey::Dukpt(serial) = entered.key else { panic!("DUKPT") };
        assert_eq!(serial.counter() as usize, n + 1);
        seen.push(*entered.block.bytes());
    }
    assert!(seen[0] != seen[1] && seen[1] != seen[2]);
    // Neither a PIN nor its clear block was ever on the line.
    let clear = pin_block::format_0(&Pin::parse("1234").expect("a PIN"), &number());
    let hex: String = clear.iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(!world.wire.windows(16).any(|bytes| bytes == hex.as_bytes()));
    assert!(!world.wire.windows(12).any(|bytes| bytes == b"123456789012"));
}

#[test]
fn the_first_block_is_the_one_of_the_standards_example() {
    // ANSI X9.24-1:2009, A.4.2: PIN 1234, the example's own card number, serial number ...E00001.
    let mut pad = PinPadDevice::new(KeyStore::delivered(&PinPadKeys::test()), 1);
    let card = concat!("4012", "3456", "7890", "9");
    let text = format!("70{card}\u{1c}D1.00");
    let frame = Frame::new(false, text.as_bytes()).expect("a message");
    pad.handle_bytes(Instant(0), &frame.to_bytes());
    assert!(pad.enter(Instant(1), "1234"));
    pad.handle_timeout(Instant(100));
    let mut sent = Vec::new();
    loop {
        match pad.poll() {
            PadOutput::Transmit(bytes) => sent.extend(bytes),
            PadOutput::Happened(_) => {}
            PadOutput::Wait(_) => break,
        }
    }
    let (mut decoder, mut input) = (Decoder::new(), &sent[..]);
    assert_eq!(decoder.next(&mut input), Some(Decoded::Ack));
    let Some(Decoded::Frame(answer)) = decoder.next(&mut input) else { panic!("an answer") };
    assert_eq!(answer.text(), b"7109876543210E000011B9C1845EB993A7A", "without leading letters, as asked");
}

#[test]
fn keys_of_people_are_beeps_stars_and_ends() {
    let mut world = World::dukpt();
    assert!(!world.pad.press(world.now, Key::Digit(1)), "nobody asked");
    world.ask();
    assert!(!world.pad.enter(world.now, "123"), "too short");
    assert_eq!(*world.pad.display(), Display::EnterPin { amount: "1500.00".into(), stars: 3 });
    assert!(world.pad.press(world.now, Key::Clear));
    assert!(!world.pad.enter(world.now, "1234567890123"), "the thirteenth digit is a beep");
    world.run(1_000);
    assert_eq!(opened(&world.pin()), Pin::parse("123456789012").expect("a PIN"));
    world.ask();
    assert!(world.pad.press(world.now, Key::Cancel));
    world.run(1_000);
    assert_eq!(world.take(), [Event::Ended(PinEnd::Cancelled)]);
    world.ask();
    world.run(61_000);
    assert_eq!(world.take(), [Event::Ended(PinEnd::TimedOut)]);
    assert_eq!(*world.pad.display(), Display::Idle);
    world.ask();
    world.command(Command::Cancel);
    assert_eq!(world.take(), [Event::Ended(PinEnd::Cancelled)]);
}

#[test]
fn an_opened_pad_is_out_of_service_until_it_was_loaded_again() {
    let mut world = World::dukpt();
    world.pad.tamper(world.now);
    world.run(60_000);
    assert_eq!(world.take(), [Event::Fault(PadFault::KeysLost, true)]);
    world.ask();
    assert_eq!(world.take(), [Event::Ended(PinEnd::Failed)]);
    // Not even its owner can load it over the line: the wrapping key is gone too.
    let keys = PinPadKeys::test();
    let mut serial = keys.serial;
    serial[6] ^= 0x10;
    let load = Command::LoadKey(KeyPlace::Initial, keys.initial_key_block(serial));
    world.command(load.clone());
    assert_eq!(world.take(), [Event::KeyNotLoaded(KeyPlace::Initial, Some('D'))]);
    world.pad.reload(world.now);
    world.command(load);
    let expected = [Event::KeyLoaded(KeyPlace::Initial), Event::Fault(PadFault::KeysLost, false)];
    assert_eq!(world.take(), expected);
    world.ask();
    world.pad.enter(world.now, "4321");
    world.run(1_000);
    let pin = world.pin();
    let PinKey::Dukpt(given) = pin.key else { panic!("DUKPT") };
    assert_eq!(given.device(), KeySerial(serial).device());
    assert_eq!(opened(&pin), Pin::parse("4321").expect("a PIN"));
}

#[test]
fn a_pad_at_its_last_key_says_so() {
    let mut keys = KeyStore::delivered(&PinPadKeys::test());
    keys.set_counter(0x1F_F7FF);
    let mut world = World::new(Scheme::Dukpt { last: None }, keys, 1, LineFaults::default());
    world.run(1_000);
    world.take();
    world.ask();
    world.pad.enter(world.now, "1234");
    world.run(1_000);
    assert_eq!(opened(&world.pin()), Pin::parse("1234").expect("a PIN"));
    world.ask();
    assert_eq!(world.take(), [Event::Ended(PinEnd::Failed), Event::Fault(PadFault::UsedUp, true)]);
}

#[test]
fn master_and_session_keys_are_loaded_wrapped_and_used_enciphered() {
    let keys = PinPadKeys::test();
    let master = [0x31; 16];
    let session = TdesKey::new(&[[0x45; 8], [0x6B; 8]].concat()).expect("16 bytes");
    let held = TdesKey::new(&master).expect("16 bytes");
    let half = |n: usize| held.encrypt(session.bytes()[8 * n..8 * n + 8].try_into().expect("half"));
    let enciphered: [u8; 16] = [half(0), half(1)].concat().try_into().expect("16 bytes");
    let store = KeyStore::with_wrapping_key_only(&keys);
    let scheme = Scheme::Session(slot(b'1'), enciphered);
    let mut world = World::new(scheme, store, 1, LineFaults::default());
    world.run(3_000);
    assert_eq!(world.take(), [Event::Fault(PadFault::KeysLost, true), Event::Ready]);
    let place = KeyPlace::Slot(slot(b'1'));
    world.command(Command::LoadKey(place, keys.key_block(b"K0TD00N", &master)));
    world.run(2_000);
    assert_eq!(world.take(), [Event::KeyLoaded(place), Event::Fault(PadFault::KeysLost, false)]);
    world.ask();
    world.pad.enter(world.now, "2468");
    world.run(1_000);
    let pin = world.pin();
    assert_eq!(pin.key, PinKey::Session(slot(b'1'), enciphered));
    let clear = session.decrypt(*pin.block.bytes());
    assert_eq!(open_format_0(clear, &number()), Ok(Pin::parse("2468").expect("a PIN")));
    // A forged block, a key for something else, and one in two places are refused with the manual's letters.
    let mut forged = keys.key_block(b"P0TE00N", &[0x77; 16]);
    forged.pop();
    forged.push('0');
    for (slot_letter, block, letter) in [
        (b'2', forged, 'C'),
        (b'2', keys.key_block(b"M3TG00N", &[0x77; 16]), 'E'),
        (b'2', keys.key_block(b"K0TD00N", &master), '2'),
        (b'2', "B0080".into(), 'A'),
    ] {
        let place = KeyPlace::Slot(slot(slot_letter));
        world.command(Command::LoadKey(place, block));
        assert_eq!(world.take(), [Event::KeyNotLoaded(place, Some(letter))]);
    }
}

#[test]
fn a_message_has_the_code_that_its_receiver_computes() {
    let mut world = World::dukpt();
    let keys = PinPadKeys::test();
    let key = 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210_u128.to_be_bytes();
    let place = KeyPlace::Slot(slot(b'B'));
    world.command(Command::LoadKey(place, keys.key_block(b"M3TG00N", &key)));
    assert_eq!(world.take(), [Event::KeyLoaded(place)]);
    // psec 1.3.0, retail MAC with padding method 1.
    world.command(Command::Authenticate(slot(b'B'), b"0200IIN=000000000000;AMT=1500.00".to_vec()));
    let expected = [0x69, 0x62, 0x8C, 0x34, 0x01, 0x78, 0x01, 0x55];
    assert_eq!(world.take(), [Event::Authenticated(expected)]);
    let long: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    world.command(Command::Authenticate(slot(b'B'), long.clone()));
    world.run(5_000);
    let expected = TdesKey::new(&key).expect("16 bytes").retail_mac(Padding::Zeros, &long);
    assert_eq!(world.take(), [Event::Authenticated(expected)]);
    world.command(Command::Authenticate(slot(b'C'), vec![1]));
    assert_eq!(world.take(), [Event::NotAuthenticated(Some('3'))]);
}

#[test]
fn power_cuts_and_pulled_cables_end_an_entry_and_leave_no_block() {
    let mut world = World::dukpt();
    world.ask();
    world.pad.press(world.now, Key::Digit(1));
    world.pad.set_power(world.now, false);
    world.run(90_000);
    assert_eq!(world.take(), [Event::Ended(PinEnd::Failed), Event::Fault(PadFault::Absent, true)]);
    world.pad.set_power(world.now, true);
    world.run(20_000);
    assert_eq!(world.take(), [Event::Fault(PadFault::Absent, false), Event::Ready]);
    world.ask();
    world.pad.enter(world.now, "1234");
    world.run(1_000);
    assert_eq!(opened(&world.pin()), Pin::parse("1234").expect("a PIN"));
}

/// Whatever the line does: each entry ends once, every block that is taken opens to what was entered, and no serial number comes twice.
#[test]
fn a_bad_line_never_gives_a_wrong_block_or_the_same_twice() {
    let (mut taken, mut lost) = (0, 0);
    for seed in 0..60 {
        let faults = LineFaults {
            drop: 40,
            corrupt: 60,
            duplicate: 60,
            delay: 100,
            split: 200,
            noise: 60,
            delay_by: Duration::from_millis(700),
        };
        let store = KeyStore::delivered(&PinPadKeys::test());
        let mut world = World::new(Scheme::Dukpt { last: None }, store, seed, faults);
        world.run(60_000);
        world.take();
        let mut serials = Vec::new();
        for n in 0..6 {
            let pin = format!("{:04}", 1_000 * n + seed);
            world.ask();
            for _ in 0..40 {
                world.run(2_000);
                world.pad.enter(world.now, &pin);
            }
            world.run(120_000);
            let ends: Vec<Event> = world
                .take()
                .into_iter()
                .filter(|event| matches!(event, Event::Entered(_) | Event::Ended(_)))
                .collect();
            match ends.as_slice() {
                [Event::Entered(entered)] => {
                    assert_eq!(opened(entered), Pin::parse(&pin).expect("a PIN"), "seed {seed}");
                    let PinKey::Dukpt(serial) = entered.key else { panic!("DUKPT") };
                    serials.push(serial.counter());
                    taken += 1;
                }
                [Event::Ended(_)] => lost += 1,
                other => panic!("seed {seed}: {other:?}"),
            }
        }
        assert!(serials.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: {serials:?}");
    }
    assert!(taken > lost, "{taken} taken, {lost} not");
}
