//! Transcripts: a scripted pad on one side, what the driver says and does on the other.

use super::*;
use std::fmt::Write;
use tolem_protocol::{
    Amount,
    emv::CardNumber,
    pinpad::{PinBlock, describe},
    wire::Direction,
};

mod hostile;
mod table;

const SERIAL: [u8; 10] = [0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0, 1];
const KEY: SessionKey = [0x5A; 16];

fn serial(counter: u8) -> KeySerial {
    let mut bytes = SERIAL;
    bytes[9] = counter;
    KeySerial(bytes)
}

fn block() -> PinBlock {
    PinBlock::new([0xC7; 8])
}

fn slot(letter: u8) -> KeySlot {
    KeySlot::new(letter).unwrap()
}

fn request() -> PinRequest {
    PinRequest {
        card: CardNumber::parse(concat!("5413", "3300", "8902", "0011")).unwrap().into(),
        amount: Amount::from_tenge(1_500),
        limit: Duration::from_secs(60),
    }
}

fn answer(answer: &Answer) -> Vec<u8> {
    answer.frame().unwrap().to_bytes().to_vec()
}

struct Bench {
    driver: PinPad,
    now: u64,
    wake: u64,
    /// The last message that is not a bare control byte.
    said: Vec<u8>,
    log: String,
    events: Vec<String>,
}

impl Bench {
    fn new(scheme: Scheme) -> Self {
        let config = Config { scheme, ..Config::default() };
        let mut bench = Self {
            driver: PinPad::new(config, Instant(0)),
            now: 0,
            wake: 0,
            said: Vec::new(),
            log: String::new(),
            events: Vec::new(),
        };
        bench.drain();
        bench
    }

    fn dukpt() -> Self {
        Self::new(Scheme::Dukpt { last: None })
    }

    /// Started by a pad in order.
    fn ready() -> Self {
        let mut bench = Self::dukpt();
        bench.start();
        bench
    }

    fn start(&mut self) {
        for _ in 0..8 {
            if self.driver.running {
                break;
            }
            self.hear(&[ACK]);
            let reply = match self.said.get(1..3) {
                Some(b"16") => Answer::SelfTest(SelfTest::default()),
                Some(b"04") => Answer::KeyPresent(true),
                Some(b"08") => Answer::KeySelected(Ok(())),
                _ => continue,
            };
            self.hear(&answer(&reply));
            self.hear(&[EOT]);
        }
        assert!(self.driver.is_ready(), "{}", self.log);
        self.forget();
    }

    fn forget(&mut self) {
        self.log.clear();
        self.events.clear();
    }

    fn drain(&mut self) {
        loop {
            match self.driver.poll() {
                Output::Wait(at) => {
                    self.wake = at.0;
                    assert!(self.wake > self.now, "waits for the past at {}\n{}", self.now, self.log);
                    return;
                }
                Output::Event(event) => {
                    writeln!(self.log, "{:<6}   = {event:?}", self.now).unwrap();
                    self.events.push(format!("{event:?}"));
                }
                Output::Transmit(bytes) => {
                    writeln!(self.log, "{:<6} kiosk {}", self.now, describe(Direction::FromHost, &bytes))
                        .unwrap();
                    if bytes.len() > 1 {
                        self.said = bytes.to_vec();
                    }
                }
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        writeln!(self.log, "{:<6} pad   {}", self.now, describe(Direction::FromDevice, bytes)).unwrap();
        self.now += 5;
        self.driver.handle_bytes(Instant(self.now), bytes);
        self.drain();
    }

    fn command(&mut self, command: Command) {
        self.driver.command(Instant(self.now), command);
        self.drain();
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        while self.wake <= end {
            self.now = self.wake.max(self.now);
            self.driver.handle_timeout(Instant(self.now));
            self.drain();
        }
        self.now = end;
    }

    fn count(&self, event: &str) -> usize {
        self.events.iter().filter(|seen| seen.contains(event)).count()
    }
}

#[test]
fn a_pin_is_taken_and_leaves_only_a_block_and_the_name_of_its_key() {
    let mut bench = Bench::ready();
    bench.command(Command::EnterPin(request()));
    bench.hear(&[ACK]);
    bench.run(20_000);
    bench.hear(&answer(&Answer::Pin(serial(1), block())));
    assert_eq!(
        bench.events,
        ["Entered(EncryptedPin { block: PinBlock(…), key: Dukpt(FFFF9876543210E00001) })"]
    );
    assert!(
        bench.log.contains(
            "kiosk ACK
"
        ),
        "{}",
        bench.log
    );
    assert_eq!(bench.driver.last_serial(), Some(serial(1)));
    assert!(!bench.log.contains("5413") && !bench.log.contains("C7"), "{}", bench.log);
}

#[test]
fn a_serial_number_that_does_not_grow_is_a_replay() {
    for (case, given) in [serial(5), serial(4), KeySerial([0xAA; 10])].into_iter().enumerate() {
        let mut bench = Bench::new(Scheme::Dukpt { last: Some(serial(5)) });
        bench.start();
        bench.command(Command::EnterPin(request()));
        bench.hear(&[ACK]);
        bench.hear(&answer(&Answer::Pin(given, block())));
        assert_eq!(bench.events, ["Ended(Failed)", "Fault(KeySerial, true)"], "{case}");
        // No PIN is asked for any more.
        bench.command(Command::EnterPin(request()));
        assert_eq!(bench.events.last().map(String::as_str), Some("Ended(Failed)"));
        assert!(!bench.driver.is_ready());
    }
}

#[test]
fn a_request_that_may_have_been_heard_is_cancelled_before_it_is_said_again() {
    let mut bench = Bench::ready();
    bench.command(Command::EnterPin(request()));
    bench.run(1_500);
    assert!(bench.said.starts_with(b"\x0272"), "{}", bench.log);
    // The pad was asking: it says EOT, not ACK.
    bench.hear(&[EOT]);
    assert!(bench.said.starts_with(b"\x0270"), "{}", bench.log);
    bench.hear(&[ACK]);
    bench.hear(&answer(&Answer::Pin(serial(1), block())));
    assert_eq!(bench.count("Entered"), 1);
}

#[test]
fn a_block_that_comes_with_or_after_a_cancellation_is_dropped() {
    for reply in [ACK, EOT] {
        let mut bench = Bench::ready();
        bench.command(Command::EnterPin(request()));
        bench.hear(&[ACK]);
        bench.command(Command::Cancel);
        bench.hear(&answer(&Answer::Pin(serial(1), block())));
        assert!(bench.events.is_empty(), "{}", bench.log);
        bench.hear(&[reply]);
        assert_eq!(bench.events, ["Ended(Cancelled)"]);
        bench.hear(&answer(&Answer::Pin(serial(2), block())));
        assert_eq!(bench.events.len(), 1, "{}", bench.log);
        assert_eq!(bench.driver.last_serial(), None);
    }
}

#[test]
fn nobody_at_the_pad_is_told_from_a_cancelled_entry() {
    let mut bench = Bench::ready();
    bench.command(Command::EnterPin(request()));
    bench.hear(&[ACK]);
    bench.run(60_000);
    bench.hear(&[EOT]);
    assert_eq!(bench.events, ["Ended(TimedOut)"]);
    bench.forget();
    bench.command(Command::EnterPin(request()));
    bench.hear(&[ACK]);
    bench.run(10_000);
    bench.hear(&[EOT]);
    assert_eq!(bench.events, ["Ended(Cancelled)"]);
}

#[test]
fn under_a_session_key_the_key_is_looked_for_and_selected_first() {
    let mut bench = Bench::new(Scheme::Session(slot(b'1'), KEY));
    bench.start();
    bench.command(Command::EnterPin(request()));
    assert!(bench.said.starts_with(b"\x0270."), "{}", bench.log);
    bench.hear(&[ACK]);
    bench.hear(&answer(&Answer::PinUnderSession(block())));
    assert_eq!(bench.events, ["Entered(EncryptedPin { block: PinBlock(…), key: Session(1) })"]);
    // A block under another scheme is not taken.
    bench.command(Command::EnterPin(request()));
    bench.hear(&[ACK]);
    bench.hear(&answer(&Answer::Pin(serial(1), block())));
    assert_eq!(bench.events[1..], ["Ended(Failed)", "Fault(Protocol, true)"]);
}

#[test]
fn a_pad_without_its_key_takes_no_pin_until_it_was_loaded() {
    let mut bench = Bench::ready();
    bench.command(Command::EnterPin(request()));
    bench.hear(&[ACK]);
    bench.hear(&answer(&Answer::PinRefused(b'A')));
    assert_eq!(bench.events, ["Ended(Failed)", "Fault(KeysLost, true)"]);
    bench.command(Command::EnterPin(request()));
    assert_eq!(bench.events.len(), 3);
    bench.command(Command::LoadKey(KeyPlace::Initial, "B0080".into()));
    bench.hear(&[ACK]);
    bench.hear(&answer(&Answer::InitialKey(Ok(()))));
    assert_eq!(bench.events[3..], ["KeyLoaded(Initial)", "Fault(KeysLost, false)"]);
    assert!(bench.driver.is_ready());
}

#[test]
fn a_key_is_stored_only_if_the_pad_repeats_it_right() {
    let load = |bench: &mut Bench| {
        bench.command(Command::LoadKey(KeyPlace::Slot(slot(b'B')), "B0080M3".into()));
        bench.hear(&[ACK]);
        bench.said.clone()
    };
    let mut bench = Bench::ready();
    let sent = load(&mut bench);
    bench.hear(&sent);
    assert!(bench.events.is_empty() && bench.log.ends_with("kiosk ACK\n"), "{}", bench.log);
    bench.hear(&[EOT]);
    assert_eq!(bench.events, ["KeyLoaded(Slot(KeySlot(66)))"]);
    let mut bench = Bench::ready();
    load(&mut bench);
    let other = Request::LoadKey(slot(b'B'), "B0080M4").frame().unwrap().to_bytes();
    bench.hear(&other);
    assert_eq!(bench.events, ["KeyNotLoaded(Slot(KeySlot(66)), None)"]);
    assert!(bench.log.contains("kiosk EOT\n"), "{}", bench.log);
}

#[test]
fn a_long_message_is_authenticated_in_packets() {
    let mut bench = Bench::ready();
    bench.command(Command::Authenticate(slot(b'B'), vec![7; MAC_PACKET + 3]));
    assert!(bench.said.starts_with(b"\x02Z66300B"), "{:?}", bench.said);
    bench.hear(&[ACK]);
    bench.hear(&answer(&Answer::MacContinues));
    assert!(bench.said.starts_with(b"\x02Z66201B"), "{:?}", bench.said);
    bench.hear(&[ACK]);
    bench.hear(&answer(&Answer::Mac([9; 8])));
    assert_eq!(bench.events, ["Authenticated([9, 9, 9, 9, 9, 9, 9, 9])"]);
}

#[test]
fn a_pad_that_falls_silent_is_absent_and_one_that_answers_again_is_not() {
    let mut bench = Bench::ready();
    bench.run(40_000);
    assert_eq!(bench.events, ["Fault(Absent, true)"]);
    bench.command(Command::EnterPin(request()));
    assert_eq!(bench.events[1..], ["Ended(Failed)"]);
    bench.run(60_000);
    bench.hear(&[ACK]);
    bench.forget();
    bench.start();
    // Babble that is no protocol is told from silence.
    let mut bench = Bench::ready();
    bench.run(30_000);
    for _ in 0..3 {
        bench.hear(&[0x02, 0xFF, 0xFF]);
        bench.run(1_500);
    }
    assert_eq!(bench.events, ["Fault(Protocol, true)"], "{}", bench.log);
}

#[test]
fn the_programs_own_delay_is_not_the_pads_silence() {
    let mut bench = Bench::ready();
    bench.command(Command::EnterPin(request()));
    // Nobody called the driver for an hour, then the answer that was there all the time.
    bench.now += 3_600_000;
    bench.hear(&[ACK]);
    bench.hear(&answer(&Answer::Pin(serial(1), block())));
    assert_eq!(bench.count("Entered"), 1, "{}", bench.log);
}

#[test]
fn an_amount_that_the_display_does_not_hold_is_not_asked_for() {
    let mut bench = Bench::ready();
    bench.command(Command::EnterPin(PinRequest { amount: Amount::from_tenge(100_000), ..request() }));
    assert_eq!(bench.events, ["Ended(Failed)"]);
    assert!(bench.driver.is_ready());
}
