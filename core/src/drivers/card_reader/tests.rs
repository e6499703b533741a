//! Transcripts: a scripted reader on one side, what the driver says and does on the other.

use super::*;
use std::fmt::Write;
use tolem_protocol::{
    card_reader::{Control, describe},
    wire::Direction,
};
use zeroize::Zeroizing;

mod hostile;
mod table;

const ACK: [u8; 2] = Control::Acknowledge.bytes();
const NAK: [u8; 2] = Control::Refuse.bytes();

struct Bench {
    driver: CardReader,
    now: u64,
    wake: u64,
    /// The code of the last command said.
    said: [u8; 2],
    log: String,
    events: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let mut bench = Self {
            driver: CardReader::new(config, Instant(0)),
            now: 0,
            wake: 0,
            said: [0; 2],
            log: String::new(),
            events: Vec::new(),
        };
        bench.drain();
        bench
    }

    /// Started by a reader in which the card is in `place`.
    fn started(place: Place) -> Self {
        let mut bench = Self::new();
        bench.answer(Ok(place));
        bench.answer_with(Ok(place), b"007");
        bench.forget();
        bench
    }

    /// A card is inside.
    fn inserted() -> Self {
        let mut bench = Self::started(Place::Nowhere);
        bench.command(Command::Accept);
        bench.answer(Ok(Place::Nowhere));
        bench.run(300);
        bench.answer(Ok(Place::Inside));
        assert_eq!(bench.events, ["Inserted"], "{}", bench.log);
        bench.forget();
        bench
    }

    /// Its chip has power.
    fn powered() -> Self {
        let mut bench = Self::inserted();
        bench.command(Command::PowerChip);
        bench.answer(Ok(Place::Pressed));
        bench.answer_with(Ok(Place::Active), &[0x3B, 0x60, 0x00, 0x00]);
        assert_eq!(bench.events, ["ChipReady(T0)"], "{}", bench.log);
        bench.forget();
        bench
    }

    fn at_gate() -> Self {
        let mut bench = Self::inserted();
        bench.command(Command::Eject);
        bench.answer(Ok(Place::Inside));
        bench.answer(Ok(Place::Gate));
        assert_eq!(bench.events, ["AtGate"], "{}", bench.log);
        bench.forget();
        bench
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
                    let words = describe(Direction::FromHost, &bytes);
                    writeln!(self.log, "{:<6} kiosk  {words}", self.now).unwrap();
                    if bytes.len() > 2 {
                        self.said = [bytes[3], bytes[4]];
                    }
                }
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        writeln!(self.log, "{:<6} reader {}", self.now, describe(Direction::FromDevice, bytes)).unwrap();
        self.now += 5;
        self.driver.handle_bytes(Instant(self.now), bytes);
        self.drain();
    }

    fn reply(&mut self, result: Result<Place, ReaderError>, data: &[u8]) {
        let answer = Answer { code: self.said, result, data: Zeroizing::new(data.to_vec()) };
        self.hear(&answer.text().unwrap().frame());
    }

    /// Acknowledges what was said and answers it.
    fn answer_with(&mut self, result: Result<Place, ReaderError>, data: &[u8]) {
        self.hear(&ACK);
        self.reply(result, data);
    }

    fn answer(&mut self, result: Result<Place, ReaderError>) {
        self.answer_with(result, &[]);
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

    fn said(&self, words: &str) -> usize {
        self.log.lines().filter(|line| line.ends_with(words) && line.contains(" kiosk ")).count()
    }
}

fn transmit() -> Command {
    Command::Transmit(Zeroizing::new(vec![0, 0xA4, 4, 0]))
}

#[test]
fn a_card_comes_in_is_spoken_to_and_given_back() {
    let mut bench = Bench::powered();
    bench.command(transmit());
    bench.answer_with(Ok(Place::Answered), &[0x61, 0x10]);
    assert_eq!(bench.events, ["Answer(2 bytes)"]);
    bench.command(Command::Eject);
    let order: Vec<[u8; 2]> = (0..3)
        .map(|_| {
            let said = bench.said;
            let place = if said == *b"30" { Place::Gate } else { Place::Inside };
            bench.answer(Ok(place));
            said
        })
        .collect();
    assert_eq!(order, [*b"C3", *b"C1", *b"30"], "power off, contacts up, then the motor");
    bench.run(300);
    bench.answer(Ok(Place::Nowhere));
    assert_eq!(bench.events[1..], ["AtGate", "Taken"]);
    assert!(bench.driver.is_empty());
}

#[test]
fn a_lost_answer_is_asked_for_and_the_motor_never_turns_twice() {
    for lost in 0..4 {
        let mut bench = Bench::inserted();
        bench.command(Command::Eject);
        bench.answer(Ok(Place::Inside));
        bench.hear(&ACK);
        for _ in 0..lost {
            bench.run(15_000);
        }
        bench.reply(Ok(Place::Gate), &[]);
        assert_eq!(bench.events, ["AtGate"], "{}", bench.log);
        assert_eq!((bench.said("Eject"), bench.said("ENQ")), (1, lost + 2), "{}", bench.log);
    }
    // An answer that came broken, and one to something else, are no answers either.
    let mut bench = Bench::inserted();
    bench.command(Command::Eject);
    bench.answer(Ok(Place::Inside));
    bench.hear(&ACK);
    let mut broken = Answer::new(*b"30", Ok(Place::Gate)).text().unwrap().frame().to_vec();
    broken[4] ^= 1;
    bench.hear(&broken);
    bench.hear(&Answer::new(*b"10", Ok(Place::Inside)).text().unwrap().frame());
    bench.reply(Ok(Place::Gate), &[]);
    assert_eq!((bench.said("Eject"), bench.said("ENQ")), (1, 4), "{}", bench.log);
    assert_eq!(bench.events, ["AtGate"]);
}

#[test]
fn a_command_that_was_not_acknowledged_has_moved_nothing_and_is_said_again() {
    let mut bench = Bench::inserted();
    bench.command(Command::Eject);
    bench.answer(Ok(Place::Inside));
    bench.hear(&NAK);
    bench.run(5_100);
    assert_eq!((bench.said("Eject"), bench.said("ENQ")), (3, 1), "{}", bench.log);
    bench.run(5_100);
    assert_eq!(bench.events, ["Fault(Absent, true)"]);
    // It is looked for, and only a look says where the card is.
    bench.run(5_000);
    assert_eq!(bench.said, *b"02");
    bench.answer(Ok(Place::Inside));
    assert_eq!(bench.events[1..], ["Fault(Absent, false)", "Ready(Inside)"]);
}

#[test]
fn a_forgotten_card_is_kept_only_if_it_is_still_there() {
    let mut bench = Bench::at_gate();
    bench.command(Command::Retain);
    assert_eq!(bench.said, *b"41");
    bench.answer(Ok(Place::Nowhere));
    bench.answer_with(Ok(Place::Nowhere), b"008");
    assert_eq!(bench.events, ["Retained", "Captured(8)"]);
    let mut bench = Bench::at_gate();
    bench.command(Command::Retain);
    bench.answer(Err(ReaderError::GONE));
    assert_eq!(bench.events, ["Taken"]);
    // Taken between the decision and the order: the look that was under way says so, and nothing is kept.
    let mut bench = Bench::at_gate();
    bench.run(300);
    bench.command(Command::Retain);
    bench.answer(Ok(Place::Nowhere));
    assert_eq!((bench.events.as_slice(), bench.said), (&["Taken".to_owned()][..], *b"10"));
}

#[test]
fn a_card_that_came_in_while_the_slot_was_being_shut_is_inside() {
    let mut bench = Bench::started(Place::Nowhere);
    bench.command(Command::Accept);
    bench.answer(Ok(Place::Nowhere));
    bench.command(Command::Refuse);
    bench.answer(Ok(Place::Inside));
    assert_eq!(bench.events, ["Inserted"]);
}

#[test]
fn a_chip_that_does_not_start_gets_one_more_attempt() {
    let mut bench = Bench::inserted();
    bench.command(Command::PowerChip);
    bench.answer(Ok(Place::Pressed));
    bench.answer(Err(ReaderError::CHIP_DEAD));
    assert!(bench.events.is_empty());
    bench.answer(Ok(Place::Inside));
    bench.answer(Ok(Place::Pressed));
    bench.answer(Err(ReaderError::CHIP_DEAD));
    assert_eq!(bench.events, ["ChipFault(Mute)"]);
    // A chip of no known protocol, and one that falls silent later.
    let mut bench = Bench::inserted();
    bench.command(Command::PowerChip);
    bench.answer(Ok(Place::Pressed));
    bench.answer_with(Ok(Place::Active), &[0x3B, 0x80, 0x0E]);
    assert_eq!(bench.events, ["ChipFault(Mute)"]);
    let mut bench = Bench::powered();
    bench.command(transmit());
    bench.answer(Err(ReaderError::CHIP_SILENT));
    bench.command(transmit());
    assert_eq!(bench.events, ["ChipFault(Mute)", "ChipFault(Mute)"]);
}

#[test]
fn a_jam_gets_two_resets_then_one_try_a_minute_until_a_person_was_there() {
    let mut bench = Bench::inserted();
    bench.command(Command::Eject);
    bench.answer(Ok(Place::Inside));
    bench.answer(Err(ReaderError::JAM));
    for _ in 0..2 {
        bench.run(300);
        assert_eq!(bench.said, *b"02");
        bench.answer(Err(ReaderError::JAM));
    }
    assert_eq!(bench.events, ["Fault(Jam, true)"]);
    // Whoever frees it has no button to say so: one try a minute, no more.
    for _ in 0..3 {
        bench.forget();
        bench.run(59_000);
        assert_eq!(bench.log, "");
        bench.run(2_000);
        assert_eq!(bench.said, *b"02");
        bench.answer(Err(ReaderError::JAM));
    }
    bench.forget();
    bench.run(10_000);
    bench.command(Command::Restart);
    bench.answer(Ok(Place::Nowhere));
    assert_eq!(bench.events, ["Fault(Jam, false)", "Ready(Nothing)"]);
}

#[test]
fn a_reader_that_lost_power_is_asked_what_it_holds() {
    let mut bench = Bench::powered();
    bench.command(transmit());
    bench.answer(Err(ReaderError::NEEDS_RESET));
    assert_eq!(bench.events, ["ChipFault(Reader)"]);
    bench.run(300);
    bench.answer(Ok(Place::Gate));
    assert_eq!(bench.events[1..], ["Ready(AtGate)"]);
}

#[test]
fn a_card_torn_out_ends_what_the_chip_was_asked() {
    let mut bench = Bench::powered();
    bench.command(transmit());
    bench.answer(Err(ReaderError::DRAWN_OUT));
    bench.run(300);
    bench.answer(Ok(Place::Nowhere));
    assert_eq!(bench.events, ["ChipFault(Removed)", "Ready(Nothing)"]);
    // Noticed while nothing was asked.
    let mut bench = Bench::powered();
    bench.run(5_000);
    bench.answer(Ok(Place::Nowhere));
    assert_eq!(bench.events, ["Taken"]);
    bench.command(transmit());
    assert_eq!(bench.events[1..], ["ChipFault(Removed)"]);
}

#[test]
fn what_is_no_card_is_given_back() {
    let mut bench = Bench::started(Place::Nowhere);
    bench.command(Command::Accept);
    bench.answer(Ok(Place::Nowhere));
    bench.run(300);
    bench.answer(Err(ReaderError::TOO_SHORT));
    assert_eq!((bench.events.as_slice(), bench.said), (&["NotACard".to_owned()][..], *b"00"));
    bench.answer(Ok(Place::Gate));
    assert_eq!(bench.events[1..], ["Ready(AtGate)"]);
}

/// A reader that should hide numbers, asked whether it does.
fn asked_to_hide(place: Place) -> Bench {
    let mut bench = Bench::with(Config { seals: true, ..Config::default() });
    bench.answer(Ok(place));
    bench.answer_with(Ok(place), b"007");
    assert_eq!(bench.said, *b"S0", "{}", bench.log);
    bench.forget();
    bench
}

#[test]
fn a_reader_that_should_hide_numbers_is_asked_at_each_start_and_is_out_of_service_until_it_does() {
    for (result, data) in
        [(Ok(Place::Nowhere), &b"0"[..]), (Ok(Place::Nowhere), b""), (Err(ReaderError(0)), b"")]
    {
        let mut bench = asked_to_hide(Place::Nowhere);
        bench.answer_with(result, data);
        assert_eq!(bench.events, ["Fault(NotSealing, true)"], "{}", bench.log);
        bench.forget();
        bench.command(Command::Restart);
        bench.answer(Ok(Place::Nowhere));
        bench.answer_with(Ok(Place::Nowhere), b"007");
        bench.answer_with(Ok(Place::Nowhere), b"1");
        assert!(bench.events.contains(&"Fault(NotSealing, false)".to_owned()), "{}", bench.log);
    }
}

#[test]
fn an_enciphered_number_is_given_once_and_each_order_for_one_is_answered() {
    let number = SealedNumber { serial: tolem_protocol::pinpad::KeySerial([7; 10]), cipher: [9; 24] };
    let held = || {
        let mut bench = asked_to_hide(Place::Inside);
        bench.answer_with(Ok(Place::Inside), b"1");
        bench.forget();
        bench.command(Command::Seal);
        bench
    };
    let mut bench = held();
    bench.answer_with(Ok(Place::Inside), &number.to_bytes());
    assert_eq!(bench.events, [format!("{:?}", Event::Sealed(number))], "{}", bench.log);
    let mut bench = held();
    bench.answer_with(Ok(Place::Inside), &[0; 33]);
    assert_eq!(bench.events, ["ChipFault(Reader)"], "{}", bench.log);
    let mut bench = held();
    bench.answer(Err(ReaderError::NOT_SEALED));
    assert_eq!(bench.events, ["Fault(NotSealing, true)", "ChipFault(Reader)"], "{}", bench.log);
    // A plain reader is never asked for one.
    let mut bench = Bench::inserted();
    bench.command(Command::Seal);
    assert_eq!(bench.events, ["ChipFault(Reader)"], "{}", bench.log);
}
