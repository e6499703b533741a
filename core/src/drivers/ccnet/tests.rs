//! Wire transcripts: a scripted device on one side, what the driver says and does on the other.
//!
//! A script line is one of
//! `poll HEX` the next POLL is answered so; `CODE HEX` from now on this command (hex code) is answered so (`-` = silence, `bad HEX` =
//! broken checksum); `cmd enable MASK|stack|return|ack` the kiosk; `auto` the kiosk acknowledges at once from here on;
//! `raw HEX` bytes at this moment; `run MS` time goes by, POLLs are answered as the last one; `split` replies come byte by byte.

use super::*;
use ccnet::{BillEntry, Direction, describe};
use expect_test::{Expect, expect};
use std::{collections::BTreeMap, fmt::Write};

/// From the host's last byte to the device's first.
const DEVICE_MS: u64 = 5;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn tenge_table() -> BillTable {
    let mut table = BillTable::default();
    for (index, value) in [(1, 500), (2, 1000), (3, 2000), (4, 5000)] {
        table.0[index] = BillEntry::from_value(*b"KZT", value);
    }
    table.0[5] = BillEntry::from_value(*b"USD", 20);
    table
}

struct Bench {
    driver: Ccnet,
    now: u64,
    wake: u64,
    /// Host command waiting for an answer.
    asked: Option<Vec<u8>>,
    answers: BTreeMap<u8, String>,
    auto: bool,
    split: bool,
    log: String,
    /// Whether polls whose answer repeats are left out of the log.
    last_poll: String,
    events: Vec<Event>,
}

impl Bench {
    fn new() -> Self {
        let table: String = tenge_table().payload().iter().map(|byte| format!("{byte:02x}")).collect();
        let id: String = Identification::new("SM-KZ1353", "12KC004711", [0; 7])
            .payload()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let answers = [
            (0x30, "00"),
            (0x31, "000000000000"),
            (0x32, "00"),
            (0x34, "00"),
            (0x35, "00"),
            (0x36, "00"),
            (0x37, id.as_str()),
            (0x38, "00"),
            (0x41, table.as_str()),
            (0x5B, "002a"),
        ];
        let mut bench = Self {
            driver: Ccnet::new(Config::default(), Instant(0)),
            now: 0,
            wake: 0,
            asked: None,
            answers: answers.map(|(code, answer)| (code, answer.to_owned())).into(),
            auto: false,
            split: false,
            log: String::new(),
            last_poll: String::new(),
            events: Vec::new(),
        };
        bench.drain();
        bench
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        writeln!(self.log, "{:>6} {text}", self.now).unwrap();
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
                    match &event {
                        Event::Identified(identity) => {
                            let Identity { part, serial, bills } = identity;
                            self.line(format_args!("  = Identified {part} {serial} {} bills", bills.len()));
                        }
                        other => self.line(format_args!("  = {other:?}")),
                    }
                    let acknowledge =
                        self.auto && matches!(event, Event::Stacked { .. } | Event::Returned { .. });
                    self.events.push(event);
                    if acknowledge {
                        self.driver.command(Instant(self.now), Command::Acknowledge);
                    }
                }
                Output::Transmit(bytes) => {
                    let payload = bytes[3];
                    if payload == 0x00 || payload == 0xFF {
                        let word = describe(Direction::FromHost, &bytes);
                        // At once after the answer: on its line.
                        match self.log.lines().last() {
                            Some(line) if line.contains("| dev") && !line.contains("| host") => {
                                self.log.pop();
                                writeln!(self.log, " | host {word}").unwrap();
                            }
                            _ => self.line(format_args!("host {word}")),
                        }
                    } else {
                        assert_eq!(self.asked, None, "two commands at once\n{}", self.log);
                        self.asked = Some(bytes);
                    }
                }
            }
        }
    }

    /// Answers what was asked and lets the reply arrive.
    fn answer(&mut self, answer: &str) {
        let asked = self.asked.take().unwrap();
        let question = describe(Direction::FromHost, &asked);
        if answer == "-" {
            self.line(format_args!("host {question} (no answer)"));
            return;
        }
        let (bad, answer) = match answer.strip_prefix("bad ") {
            Some(rest) => (true, rest),
            None => (false, answer),
        };
        let mut frame = ccnet::encode(3, &hex(answer)).unwrap().to_vec();
        if bad {
            *frame.last_mut().unwrap() ^= 0x55;
        }
        self.line(format_args!("host {question} | dev {}", describe(Direction::FromDevice, &frame)));
        self.now += DEVICE_MS;
        if self.split {
            for byte in &frame[..frame.len() - 1] {
                self.driver.handle_bytes(Instant(self.now), &[*byte]);
                self.drain();
            }
            frame.drain(..frame.len() - 1);
        }
        self.driver.handle_bytes(Instant(self.now), &frame);
        self.drain();
    }

    /// Lets time go by until a command is asked, at most until `end`; true if one was.
    fn until_asked(&mut self, end: u64) -> bool {
        while self.asked.is_none() && self.wake <= end {
            self.now = self.wake.max(self.now);
            self.driver.handle_timeout(Instant(self.now));
            self.drain();
        }
        if self.asked.is_none() {
            self.now = self.now.max(end);
        }
        self.asked.is_some()
    }

    fn is_poll(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked[3] == 0x33)
    }

    fn command(&mut self, command: Command) {
        self.line(format_args!("  < {command:?}"));
        self.driver.command(Instant(self.now), command);
        self.drain();
    }

    fn step(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "poll" => {
                self.answer_others_until_poll(u64::MAX);
                self.last_poll = rest.to_owned();
                self.answer(rest);
            }
            "cmd" => {
                let (what, types) = rest.split_once(' ').unwrap_or((rest, ""));
                self.command(match what {
                    "enable" => Command::Enable { types: u32::from_str_radix(types, 16).unwrap() },
                    "stack" => Command::Stack,
                    "return" => Command::Return,
                    "ack" => Command::Acknowledge,
                    other => panic!("unknown kiosk command {other}"),
                });
            }
            "auto" => self.auto = true,
            "split" => self.split = true,
            "raw" => {
                self.now += 1;
                self.line(format_args!("dev  raw {rest}"));
                self.driver.handle_bytes(Instant(self.now), &hex(rest));
                self.drain();
            }
            "run" => {
                let end = self.now + rest.parse::<u64>().unwrap();
                while self.answer_others_until_poll(end) {
                    let answer = self.last_poll.clone();
                    self.answer(&answer);
                }
            }
            code => {
                self.answers.insert(u8::from_str_radix(code, 16).unwrap(), rest.to_owned());
            }
        }
    }

    fn answer_others_until_poll(&mut self, end: u64) -> bool {
        loop {
            if !self.until_asked(end) {
                return false;
            }
            if self.is_poll() {
                return true;
            }
            let code = self.asked.as_ref().unwrap()[3];
            let answer = self.answers[&code].clone();
            self.answer(&answer);
        }
    }

    fn run(script: &str) -> Self {
        let mut bench = Self::new();
        bench.run_more(script);
        bench
    }

    fn run_more(&mut self, script: &str) {
        for line in script.split(['\n', ';']).map(str::trim).filter(|line| !line.is_empty()) {
            self.step(line);
        }
    }

    /// A bench whose driver is ready and has these types enabled; its log is empty.
    fn enabled(types: u32) -> Self {
        let mut bench = Self::run("poll 10; poll 13; poll 19; run 500");
        assert_eq!(bench.events.last(), Some(&Event::Ready), "{}", bench.log);
        bench.command(Command::Enable { types });
        bench.run_more("poll 14");
        bench.log.clear();
        bench.events.clear();
        bench
    }
}

fn check(script: &str, expected: Expect) {
    expected.assert_eq(&Bench::run(script).log);
}

fn check_enabled(script: &str, expected: Expect) {
    let mut bench = Bench::enabled(0b1_1110);
    bench.run_more(script);
    expected.assert_eq(&bench.log);
}

#[test]
fn cold_start_resets_identifies_and_is_ready() {
    check(
        "poll 10; poll 13; poll 19; run 600",
        expect![[r#"
                 0 host POLL | dev POWER UP | host ACK
                 5   = PoweredUp(Empty)
                25 host RESET | dev ACK
                50 host POLL | dev INITIALIZE | host ACK
               250 host POLL | dev DISABLED | host ACK
               275 host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
               300 host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
               325 host SET SECURITY 000000 | dev ACK
               350 host STACKED COUNTER | dev state 00 (unknown) | host ACK
               375 host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
               380   = Identified SM-KZ1353 12KC004711 4 bills
               380   = Counter(42)
               380   = Ready
               450 host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_unit_that_kept_its_power_is_inhibited_and_reset() {
    check(
        "poll 14; poll 13; poll 19; run 300",
        expect![[r#"
                 0 host POLL | dev IDLING | host ACK
                 5   = PoweredUp(Kept)
                25 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
                50 host RESET | dev ACK
                75 host POLL | dev INITIALIZE | host ACK
               275 host POLL | dev DISABLED | host ACK
               300 host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
               325 host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
               350 host SET SECURITY 000000 | dev ACK
               375 host STACKED COUNTER | dev state 00 (unknown) | host ACK
               400 host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
               405   = Identified SM-KZ1353 12KC004711 4 bills
               405   = Counter(42)
               405   = Ready
               475 host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_note_found_in_the_validator_goes_back_to_the_citizen() {
    check(
        "poll 11; poll 13; poll 18; poll 19; run 300",
        expect![[r#"
                 0 host POLL | dev POWER UP, bill in validator | host ACK
                 5   = PoweredUp(NoteReturned)
                25 host RESET | dev ACK
                50 host POLL | dev INITIALIZE | host ACK
               250 host POLL | dev RETURNING | host ACK
               450 host POLL | dev DISABLED | host ACK
               475 host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
               500 host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
               525 host SET SECURITY 000000 | dev ACK
               550 host STACKED COUNTER | dev state 00 (unknown) | host ACK
               575 host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
               580   = Identified SM-KZ1353 12KC004711 4 bills
               580   = Counter(42)
               580   = Ready
               650 host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_note_found_in_the_stacker_is_reported_after_initialisation() {
    check(
        "poll 12; poll 13; poll 81 03; poll 81 03; cmd ack; poll 19; run 300",
        expect![[r#"
                 0 host POLL | dev POWER UP, bill in stacker | host ACK
                 5   = PoweredUp(NoteInStacker)
                25 host RESET | dev ACK
                50 host POLL | dev INITIALIZE | host ACK
               250 host POLL | dev STACKED type 3
               405 host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
               430 host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
               435   = Identified SM-KZ1353 12KC004711 4 bills
               435   = Stacked { index: 3 }
               455 host POLL | dev STACKED type 3
               460   = Stacked { index: 3 }
               460   < Acknowledge
               460 host ACK
               655 host POLL | dev DISABLED | host ACK
               680 host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
               705 host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
               730 host SET SECURITY 000000 | dev ACK
               755 host STACKED COUNTER | dev state 00 (unknown) | host ACK
               780 host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
               785   = Identified SM-KZ1353 12KC004711 4 bills
               785   = Counter(42)
               785   = Ready
               855 host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_pending_stacked_is_handed_over_before_reset() {
    check(
        "37 30; poll 81 03; poll 81 03; poll 81 03; cmd ack; poll 14; run 50",
        expect![[r#"
                 0 host POLL | dev STACKED type 3
               155 host IDENTIFICATION | dev ILLEGAL COMMAND
               160   = Stacked { index: 3 }
               200 host POLL | dev STACKED type 3
               205   = Stacked { index: 3 }
               400 host POLL | dev STACKED type 3
               405   = Stacked { index: 3 }
               405   < Acknowledge
               405 host ACK
               600 host POLL | dev IDLING | host ACK
               605   = PoweredUp(Kept)
               625 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
               650 host RESET | dev ACK
        "#]],
    );
}

#[test]
fn a_pending_returned_is_handed_over_before_reset() {
    check(
        "poll 82 02; poll 82 02; cmd ack; poll 19; run 50",
        expect![[r#"
                 0 host POLL | dev RETURNED type 2
               155 host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
               180 host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
               185   = Identified SM-KZ1353 12KC004711 4 bills
               185   = Returned { index: 2 }
               205 host POLL | dev RETURNED type 2
               210   = Returned { index: 2 }
               210   < Acknowledge
               210 host ACK
               405 host POLL | dev DISABLED | host ACK
               410   = PoweredUp(Kept)
               430 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
               455 host RESET | dev ACK
        "#]],
    );
}

#[test]
fn a_note_found_in_escrow_is_returned() {
    check(
        "auto; poll 80 03; poll 18; poll 82 03; poll 82 03; poll 14; run 50",
        expect![[r#"
                 0 host POLL | dev ESCROW type 3 | host ACK
                25 host RETURN | dev ACK
                50 host POLL | dev RETURNING | host ACK
               250 host POLL | dev RETURNED type 3
               405 host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
               430 host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
               435   = Identified SM-KZ1353 12KC004711 4 bills
               435   = Returned { index: 3 }
               455 host POLL | dev RETURNED type 3 | host ACK
               655 host POLL | dev IDLING | host ACK
               660   = PoweredUp(Kept)
               680 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
               705 host RESET | dev ACK
        "#]],
    );
}

#[test]
fn a_note_is_stacked_and_counted() {
    check_enabled(
        "poll 15; poll 15; poll 80 03; cmd stack; poll 17; 5B 002b; poll 81 03; cmd ack; poll 14; run 300",
        expect![[r#"
              1150 host POLL | dev ACCEPTING | host ACK
              1155   = Accepting
              1350 host POLL | dev ACCEPTING | host ACK
              1550 host POLL | dev ESCROW type 3 | host ACK
              1555   = Escrowed { index: 3 }
              1555   < Stack
              1575 host STACK | dev ACK
              1600 host POLL | dev STACKING | host ACK
              1800 host POLL | dev STACKED type 3
              1805   = Stacked { index: 3 }
              1805   < Acknowledge
              1805 host ACK
              2000 host POLL | dev IDLING | host ACK
              2025 host STACKED COUNTER | dev state 00 (unknown) | host ACK
              2030   = Counter(43)
              2200 host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn a_late_acknowledge_confirms_the_repetition_and_is_not_a_second_note() {
    check_enabled(
        "poll 80 03; cmd stack; poll 81 03; poll 81 03; run 190; cmd ack; poll 81 03; poll 81 03; poll 14",
        expect![[r#"
              1150 host POLL | dev ESCROW type 3 | host ACK
              1155   = Escrowed { index: 3 }
              1155   < Stack
              1175 host STACK | dev ACK
              1200 host POLL | dev STACKED type 3
              1205   = Stacked { index: 3 }
              1400 host POLL | dev STACKED type 3
              1405   = Stacked { index: 3 }
              1595   < Acknowledge
              1595 host ACK
              1615 host POLL | dev STACKED type 3 | host ACK
              1815 host POLL | dev STACKED type 3 | host ACK
              2015 host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn the_same_type_twice_is_two_notes() {
    check_enabled(
        "auto; poll 80 03; cmd stack; poll 81 03; poll 14; poll 15; poll 80 03; cmd stack; poll 17; poll 81 03; poll 14",
        expect![[r#"
              1150 host POLL | dev ESCROW type 3 | host ACK
              1155   = Escrowed { index: 3 }
              1155   < Stack
              1175 host STACK | dev ACK
              1200 host POLL | dev STACKED type 3
              1205   = Stacked { index: 3 }
              1205 host ACK
              1400 host POLL | dev IDLING | host ACK
              1425 host STACKED COUNTER | dev state 00 (unknown) | host ACK
              1430   = Counter(42)
              1600 host POLL | dev ACCEPTING | host ACK
              1605   = Accepting
              1800 host POLL | dev ESCROW type 3 | host ACK
              1805   = Escrowed { index: 3 }
              1805   < Stack
              1825 host STACK | dev ACK
              1850 host POLL | dev STACKING | host ACK
              2050 host POLL | dev STACKED type 3
              2055   = Stacked { index: 3 }
              2055 host ACK
              2250 host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn a_lost_stack_reply_is_not_repeated_if_it_was_obeyed() {
    check_enabled(
        "auto; poll 80 03; 35 -; cmd stack; poll 17; poll 81 03; poll 14",
        expect![[r#"
              1150 host POLL | dev ESCROW type 3 | host ACK
              1155   = Escrowed { index: 3 }
              1155   < Stack
              1175 host STACK (no answer)
              1475 host POLL | dev STACKING | host ACK
              1675 host POLL | dev STACKED type 3
              1680   = Stacked { index: 3 }
              1680 host ACK
              1875 host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn a_lost_stack_order_is_repeated_after_the_note_was_seen_in_escrow() {
    check_enabled(
        "auto; poll 80 03; 35 -; cmd stack; poll 80 03; 35 00; poll 80 03; poll 17; poll 81 03; poll 14",
        expect![[r#"
              1150 host POLL | dev ESCROW type 3 | host ACK
              1155   = Escrowed { index: 3 }
              1155   < Stack
              1175 host STACK (no answer)
              1475 host POLL | dev ESCROW type 3 | host ACK
              1500 host STACK | dev ACK
              1525 host POLL | dev ESCROW type 3 | host ACK
              1725 host POLL | dev STACKING | host ACK
              1925 host POLL | dev STACKED type 3
              1930   = Stacked { index: 3 }
              1930 host ACK
              2125 host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn a_stack_order_is_given_three_times_at_most() {
    check_enabled(
        "poll 80 03; 35 30; cmd stack; run 3000",
        expect![[r#"
              1150 host POLL | dev ESCROW type 3 | host ACK
              1155   = Escrowed { index: 3 }
              1155   < Stack
              1175 host STACK | dev ILLEGAL COMMAND
              1200 host POLL | dev ESCROW type 3 | host ACK
              1225 host STACK | dev ILLEGAL COMMAND
              1250 host POLL | dev ESCROW type 3 | host ACK
              1275 host STACK | dev ILLEGAL COMMAND
              1300 host POLL | dev ESCROW type 3 | host ACK
              1500 host POLL | dev ESCROW type 3 | host ACK
              1700 host POLL | dev ESCROW type 3 | host ACK
              1900 host POLL | dev ESCROW type 3 | host ACK
              2100 host POLL | dev ESCROW type 3 | host ACK
              2300 host POLL | dev ESCROW type 3 | host ACK
              2500 host POLL | dev ESCROW type 3 | host ACK
              2700 host POLL | dev ESCROW type 3 | host ACK
              2900 host POLL | dev ESCROW type 3 | host ACK
              3100 host POLL | dev ESCROW type 3 | host ACK
              3300 host POLL | dev ESCROW type 3 | host ACK
              3500 host POLL | dev ESCROW type 3 | host ACK
              3700 host POLL | dev ESCROW type 3 | host ACK
              3900 host POLL | dev ESCROW type 3 | host ACK
              4100 host POLL | dev ESCROW type 3 | host ACK
        "#]],
    );
}

#[test]
fn a_returned_note_is_reported_until_acknowledged() {
    check_enabled(
        "poll 80 03; cmd return; poll 18; poll 18; poll 82 03; poll 82 03; cmd ack; poll 14; run 100",
        expect![[r#"
              1150 host POLL | dev ESCROW type 3 | host ACK
              1155   = Escrowed { index: 3 }
              1155   < Return
              1175 host RETURN | dev ACK
              1200 host POLL | dev RETURNING | host ACK
              1400 host POLL | dev RETURNING | host ACK
              1600 host POLL | dev RETURNED type 3
              1605   = Returned { index: 3 }
              1800 host POLL | dev RETURNED type 3
              1805   = Returned { index: 3 }
              1805   < Acknowledge
              1805 host ACK
              2000 host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn the_device_gives_an_undecided_note_back_by_itself() {
    check_enabled(
        "auto; poll 80 03; poll 18; poll 82 03; poll 14",
        expect![[r#"
              1150 host POLL | dev ESCROW type 3 | host ACK
              1155   = Escrowed { index: 3 }
              1350 host POLL | dev RETURNING | host ACK
              1550 host POLL | dev RETURNED type 3
              1555   = Returned { index: 3 }
              1555 host ACK
              1750 host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn a_broken_checksum_gets_a_nak_and_another_poll() {
    check_enabled(
        "poll bad 80 03; poll bad 80 03; poll 80 03",
        expect![[r#"
              1150 host POLL | dev bad checksum | host NAK
              1350 host POLL | dev bad checksum | host NAK
              1550 host POLL | dev ESCROW type 3 | host ACK
              1555   = Escrowed { index: 3 }
        "#]],
    );
}

#[test]
fn a_broken_identification_is_asked_three_times_then_reset() {
    check(
        "37 bad 00; poll 10; poll 19; run 1500",
        expect![[r#"
                 0 host POLL | dev POWER UP | host ACK
                 5   = PoweredUp(Empty)
                25 host RESET | dev ACK
                50 host POLL | dev DISABLED | host ACK
                75 host IDENTIFICATION | dev bad checksum | host NAK
               160 host IDENTIFICATION | dev bad checksum | host NAK
               245 host IDENTIFICATION | dev bad checksum | host NAK
               330 host POLL | dev DISABLED | host ACK
               830 host POLL | dev DISABLED | host ACK
              1330 host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn an_unordered_note_of_an_inhibited_type_is_returned() {
    check_enabled(
        "poll 80 07; poll 18; poll 82 07; poll 14; run 100",
        expect![[r#"
              1150 host POLL | dev ESCROW type 7 | host ACK
              1155   = Rejected(Inhibited)
              1175 host RETURN | dev ACK
              1200 host POLL | dev RETURNING | host ACK
              1400 host POLL | dev RETURNED type 7 | host ACK
              1600 host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn a_note_stacked_without_escrow_is_reported() {
    check_enabled(
        "auto; poll 15; poll 17; poll 81 04; poll 14",
        expect![[r#"
              1150 host POLL | dev ACCEPTING | host ACK
              1155   = Accepting
              1350 host POLL | dev STACKING | host ACK
              1550 host POLL | dev STACKED type 4
              1555   = Stacked { index: 4 }
              1555 host ACK
              1750 host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn refusals_are_told_once_each() {
    check_enabled(
        "poll 1c 60; poll 1c 60; poll 1c 68; poll 1c 6a; poll 1c 77; poll 46; poll 46; poll 84 01; poll 90 01; poll 14",
        expect![[r#"
              1150 host POLL | dev REJECTING 60 insertion | host ACK
              1155   = Rejected(Unread)
              1350 host POLL | dev REJECTING 60 insertion | host ACK
              1550 host POLL | dev REJECTING 68 inhibited type | host ACK
              1555   = Rejected(Inhibited)
              1750 host POLL | dev REJECTING 6a operation | host ACK
              1755   = Rejected(Other(106))
              1950 host POLL | dev REJECTING 77 unknown | host ACK
              1955   = Rejected(Other(119))
              2150 host POLL | dev PAUSE | host ACK
              2155   = Rejected(TooFast)
              2350 host POLL | dev PAUSE | host ACK
              2550 host POLL | dev SUSPECT BILL 01 | host ACK
              2555   = Rejected(Other(132))
              2750 host POLL | dev COUNTERFEIT 01 | host ACK
              2755   = Rejected(Other(144))
              2950 host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn faults_are_raised_once_and_cleared_once() {
    check_enabled(
        "poll 45; poll 14; poll 43; poll 43; poll 44; poll 47 50; poll 47 77; poll c3; poll 14; poll 14",
        expect![[r#"
              1150 host POLL | dev CHEATED | host ACK
              1155   = Fault(Cheated, true)
              1350 host POLL | dev IDLING | host ACK
              1355   = Fault(Cheated, false)
              1550 host POLL | dev VALIDATOR JAMMED | host ACK
              1555   = Fault(ValidatorJam, true)
              1750 host POLL | dev VALIDATOR JAMMED | host ACK
              1950 host POLL | dev CASSETTE JAMMED | host ACK
              1955   = Fault(ValidatorJam, false)
              1955   = Fault(CassetteJam, true)
              2150 host POLL | dev FAILURE 50 stacker motor | host ACK
              2155   = Fault(CassetteJam, false)
              2155   = Fault(Failure(80), true)
              2350 host POLL | dev FAILURE 77 unknown | host ACK
              2355   = Fault(Failure(80), false)
              2355   = Fault(Failure(119), true)
              2550 host POLL | dev state c3 (unknown) | host ACK
              2555   = Fault(Failure(119), false)
              2555   = Fault(Failure(195), true)
              2750 host POLL | dev IDLING | host ACK
              2755   = Fault(Failure(195), false)
              2950 host POLL | dev IDLING | host ACK
        "#]],
    );
}

#[test]
fn a_cassette_taken_out_and_put_back_ends_in_ready() {
    check_enabled(
        "poll 42; poll 42; poll 13; poll 19; run 100; cmd enable 1e; poll 14; poll 41; poll 41; poll 19; run 50",
        expect![[r#"
              1150 host POLL | dev CASSETTE OUT | host ACK
              1155   = Fault(CassetteOut, true)
              1350 host POLL | dev CASSETTE OUT | host ACK
              1550 host POLL | dev INITIALIZE | host ACK
              1750 host POLL | dev DISABLED | host ACK
              1755   = Fault(CassetteOut, false)
              1755   = Ready
              1855   < Enable { types: 30 }
              1855 host ENABLE BILL TYPES 00001e escrow 00001e | dev ACK
              1950 host POLL | dev IDLING | host ACK
              2150 host POLL | dev CASSETTE FULL | host ACK
              2155   = Fault(CassetteFull, true)
              2350 host POLL | dev CASSETTE FULL | host ACK
              2550 host POLL | dev DISABLED | host ACK
              2555   = Fault(CassetteFull, false)
              2555   = Ready
        "#]],
    );
}

#[test]
fn a_unit_that_disables_itself_says_ready_again() {
    check_enabled(
        "run 1000; poll 19; run 300",
        expect![[r#"
              1150 host POLL | dev IDLING | host ACK
              1350 host POLL | dev IDLING | host ACK
              1550 host POLL | dev IDLING | host ACK
              1750 host POLL | dev IDLING | host ACK
              1950 host POLL | dev IDLING | host ACK
              2150 host POLL | dev DISABLED | host ACK
              2155   = Ready
              2350 host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn inhibiting_is_repeated_until_it_is_seen() {
    check_enabled(
        "34 -; cmd enable 0; run 1000; 34 00; run 6000; poll 14; run 300; poll 19",
        expect![[r#"
               955   < Enable { types: 0 }
               975 host ENABLE BILL TYPES 000000 escrow 000000 (no answer)
              1275 host POLL | dev IDLING | host ACK
              1300 host ENABLE BILL TYPES 000000 escrow 000000 (no answer)
              1600 host POLL | dev IDLING | host ACK
              1625 host ENABLE BILL TYPES 000000 escrow 000000 (no answer)
              1925 host POLL | dev IDLING | host ACK
              2125 host POLL | dev IDLING | host ACK
              2325 host POLL | dev IDLING | host ACK
              2525 host POLL | dev IDLING | host ACK
              2725 host POLL | dev IDLING | host ACK
              2925 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
              2950 host POLL | dev IDLING | host ACK
              3450 host POLL | dev IDLING | host ACK
              3950 host POLL | dev IDLING | host ACK
              3975 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
              4450 host POLL | dev IDLING | host ACK
              4950 host POLL | dev IDLING | host ACK
              5450 host POLL | dev IDLING | host ACK
              5475 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
              5950 host POLL | dev IDLING | host ACK
              6450 host POLL | dev IDLING | host ACK
              6950 host POLL | dev IDLING | host ACK
              6975 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
              7450 host POLL | dev IDLING | host ACK
              7950 host POLL | dev IDLING | host ACK
              8450 host POLL | dev IDLING | host ACK
              8475 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
              8950 host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_busy_unit_is_polled_but_not_commanded() {
    check_enabled(
        "poll 1b 05; cmd enable 0; run 600; poll 19; run 100",
        expect![[r#"
              1150 host POLL | dev BUSY 500 ms | host ACK
              1155   < Enable { types: 0 }
              1350 host POLL | dev BUSY 500 ms | host ACK
              1550 host POLL | dev BUSY 500 ms | host ACK
              1750 host POLL | dev BUSY 500 ms | host ACK
              1950 host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_reboot_while_accepting_starts_over() {
    check_enabled(
        "poll 80 03; cmd stack; poll 12; poll 13; poll 81 03; cmd ack; poll 81 03; cmd ack; poll 19; run 200",
        expect![[r#"
              1150 host POLL | dev ESCROW type 3 | host ACK
              1155   = Escrowed { index: 3 }
              1155   < Stack
              1175 host STACK | dev ACK
              1200 host POLL | dev POWER UP, bill in stacker | host ACK
              1205   = PoweredUp(NoteInStacker)
              1225 host RESET | dev ACK
              1250 host POLL | dev INITIALIZE | host ACK
              1450 host POLL | dev STACKED type 3
              1455   < Acknowledge
              1605 host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
              1630 host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
              1635   = Identified SM-KZ1353 12KC004711 4 bills
              1635   = Stacked { index: 3 }
              1655 host POLL | dev STACKED type 3
              1660   = Stacked { index: 3 }
              1660   < Acknowledge
              1660 host ACK
              1855 host POLL | dev DISABLED | host ACK
              1880 host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
              1905 host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
              1930 host SET SECURITY 000000 | dev ACK
              1955 host STACKED COUNTER | dev state 00 (unknown) | host ACK
              1980 host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
              1985   = Identified SM-KZ1353 12KC004711 4 bills
              1985   = Counter(42)
              1985   = Ready
              2055 host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn a_reboot_before_our_ack_arrived_is_not_a_second_note() {
    check_enabled(
        "auto; poll 80 03; cmd stack; poll 81 03; poll 12; poll 13; poll 81 03; poll 19",
        expect![[r#"
              1150 host POLL | dev ESCROW type 3 | host ACK
              1155   = Escrowed { index: 3 }
              1155   < Stack
              1175 host STACK | dev ACK
              1200 host POLL | dev STACKED type 3
              1205   = Stacked { index: 3 }
              1205 host ACK
              1400 host POLL | dev POWER UP, bill in stacker | host ACK
              1405   = PoweredUp(Empty)
              1425 host RESET | dev ACK
              1450 host POLL | dev INITIALIZE | host ACK
              1650 host POLL | dev STACKED type 3 | host ACK
              1850 host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn silence_is_absence_and_ends_in_finding() {
    check_enabled(
        "poll -; run 17000; poll 19; poll 13; poll 19; run 300",
        expect![[r#"
              1150 host POLL (no answer)
              1450 host POLL (no answer)
              1750 host POLL (no answer)
              2050 host POLL (no answer)
              2350 host POLL (no answer)
              2650 host POLL (no answer)
              2950 host POLL (no answer)
              3250 host POLL (no answer)
              3550 host POLL (no answer)
              3850 host POLL (no answer)
              4150 host POLL (no answer)
              4450 host POLL (no answer)
              4750 host POLL (no answer)
              5050 host POLL (no answer)
              5350 host POLL (no answer)
              5650 host POLL (no answer)
              5950 host POLL (no answer)
              6200   = Fault(Absent, true)
              6250 host POLL (no answer)
              6550 host POLL (no answer)
              6850 host POLL (no answer)
              7150 host POLL (no answer)
              7450 host POLL (no answer)
              7750 host POLL (no answer)
              8050 host POLL (no answer)
              8350 host POLL (no answer)
              8650 host POLL (no answer)
              8950 host POLL (no answer)
              9250 host POLL (no answer)
              9550 host POLL (no answer)
              9850 host POLL (no answer)
             10150 host POLL (no answer)
             10450 host POLL (no answer)
             10750 host POLL (no answer)
             11050 host POLL (no answer)
             11350 host POLL (no answer)
             11650 host POLL (no answer)
             11950 host POLL (no answer)
             12250 host POLL (no answer)
             12550 host POLL (no answer)
             12850 host POLL (no answer)
             13150 host POLL (no answer)
             13450 host POLL (no answer)
             13750 host POLL (no answer)
             14050 host POLL (no answer)
             14350 host POLL (no answer)
             14650 host POLL (no answer)
             14950 host POLL (no answer)
             15250 host POLL (no answer)
             15550 host POLL (no answer)
             15850 host POLL (no answer)
             16150 host POLL (no answer)
             16450 host RESET | dev ACK
             16455   = Fault(Absent, false)
             16475 host POLL (no answer)
             16775 host POLL (no answer)
             17075 host POLL (no answer)
             17375 host POLL (no answer)
             17675 host POLL (no answer)
             17975 host POLL (no answer)
             18275 host POLL | dev DISABLED | host ACK
             18280   = PoweredUp(Kept)
             18300 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
             18325 host RESET | dev ACK
             18350 host POLL | dev INITIALIZE | host ACK
             18550 host POLL | dev DISABLED | host ACK
             18575 host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
             18600 host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
             18625 host SET SECURITY 000000 | dev ACK
             18650 host STACKED COUNTER | dev state 00 (unknown) | host ACK
             18675 host GET STATUS | dev status: enabled 000000, high security 000000 | host ACK
             18680   = Identified SM-KZ1353 12KC004711 4 bills
             18680   = Counter(42)
             18680   = Ready
             18750 host POLL | dev DISABLED | host ACK
        "#]],
    );
}

#[test]
fn an_absent_unit_with_a_note_in_its_path_is_not_reset() {
    let mut bench = Bench::enabled(0b1000);
    bench.run_more("poll 80 03; cmd stack; poll -; run 60000");
    assert!(!bench.log.contains("RESET"), "{}", bench.log);
    assert!(bench.events.contains(&Event::Fault(AcceptorFault::Absent, true)));
    bench.log.clear();
    bench.run_more("auto; poll 81 03; poll 81 03; poll 14; run 50");
    expect![[r#"
         61500 host POLL | dev STACKED type 3
         61505   = Fault(Absent, false)
         61655 host IDENTIFICATION | dev part "SM-KZ1353", serial "12KC004711" | host ACK
         61680 host GET BILL TABLE | dev bill table 1=KZT500 2=KZT1000 3=KZT2000 4=KZT5000 5=USD20 | host ACK
         61685   = Identified SM-KZ1353 12KC004711 4 bills
         61685   = Stacked { index: 3 }
         61705 host POLL | dev STACKED type 3 | host ACK
         61905 host POLL | dev IDLING | host ACK
         61910   = PoweredUp(Kept)
         61930 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
         61955 host RESET | dev ACK
    "#]].assert_eq(&bench.log);
}

#[test]
fn an_undecided_note_is_held_for_a_minute_then_returned() {
    let mut bench = Bench::enabled(0b1000);
    bench.run_more("poll 80 03; run 65000");
    assert_eq!(bench.log.matches("HOLD").count(), 11, "{}", bench.log);
    assert!(bench.log.contains("RETURN"));
}

#[test]
fn a_note_that_neither_arrives_nor_returns_is_a_jam_and_gets_one_reset() {
    let mut bench = Bench::enabled(0b1000);
    bench.run_more("poll 80 03; cmd stack; poll 17; run 39000");
    assert_eq!(bench.events.last(), Some(&Event::Fault(AcceptorFault::ValidatorJam, true)));
    bench.run_more("run 2000");
    assert_eq!(bench.log.matches("RESET").count(), 1, "{}", bench.log);
    assert_eq!(bench.events.last(), Some(&Event::PoweredUp(PowerUp::Kept)));
    bench.run_more("run 20000; poll 43; poll 19; run 300");
    assert!(bench.events.ends_with(&[Event::Ready]), "{:?}", bench.events);
    assert!(bench.events.contains(&Event::Fault(AcceptorFault::ValidatorJam, false)));
}

#[test]
fn a_note_not_taken_from_the_slot_is_not_reset_away() {
    let mut bench = Bench::enabled(0b1000);
    bench.run_more("poll 80 03; cmd return; poll 18; run 120000");
    assert!(!bench.log.contains("RESET"));
    bench.run_more("auto; poll 82 03; poll 14");
    assert!(
        bench
            .events
            .ends_with(&[Event::Fault(AcceptorFault::ValidatorJam, false), Event::Returned { index: 3 }])
    );
}

#[test]
fn a_note_seen_nowhere_is_settled_by_a_new_start() {
    check_enabled(
        "poll 80 03; cmd stack; poll 17; poll 14; run 100",
        expect![[r#"
              1150 host POLL | dev ESCROW type 3 | host ACK
              1155   = Escrowed { index: 3 }
              1155   < Stack
              1175 host STACK | dev ACK
              1200 host POLL | dev STACKING | host ACK
              1400 host POLL | dev IDLING | host ACK
              1405   = PoweredUp(Kept)
              1425 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
              1450 host RESET | dev ACK
              1475 host POLL | dev IDLING | host ACK
              1500 host ENABLE BILL TYPES 000000 escrow 000000 | dev ACK
        "#]],
    );
}

#[test]
fn without_a_counter_there_is_no_counter_event() {
    let mut bench = Bench::run("5B 30; 32 30; 31 30; poll 10; poll 19; run 500");
    assert_eq!(bench.events.last(), Some(&Event::Ready), "{}", bench.log);
    bench.run_more("auto; cmd enable 8; poll 14; poll 80 03; cmd stack; poll 81 03; poll 14; run 500");
    assert!(!bench.events.iter().any(|event| matches!(event, Event::Counter(_))));
}

#[test]
fn only_bills_of_accepted_countries_have_a_value() {
    let bench = Bench::run("poll 10; poll 19; run 500");
    let identity = bench.events.iter().find_map(|event| match event {
        Event::Identified(identity) => Some(identity.clone()),
        _ => None,
    });
    let bills: Vec<_> =
        identity.unwrap().bills.iter().map(|bill| (bill.index, bill.denomination.0)).collect();
    assert_eq!(bills, [(1, 500), (2, 1000), (3, 2000), (4, 5000)]);
}

#[test]
fn initialisation_that_never_ends_is_reset_again() {
    let bench = Bench::run("poll 10; poll 13; run 100000");
    assert_eq!(bench.log.matches("RESET").count(), 3, "{}", bench.log);
    assert_eq!(bench.events, [Event::PoweredUp(PowerUp::Empty)]);
}

#[test]
fn byte_by_byte_and_between_noise_is_the_same() {
    let script = "poll 10; poll 13; poll 19; run 2000; cmd enable 8; poll 14; poll 80 03; cmd stack; poll 17; poll 81 03; cmd ack; poll 14";
    let whole = Bench::run(script);
    let split = Bench::run(&format!("split; {script}"));
    assert_eq!(split.log, whole.log);
    let mut noisy = Bench::new();
    for line in script.split(';').map(str::trim) {
        if line.starts_with("poll") {
            noisy.answer_others_until_poll(u64::MAX);
            noisy.driver.handle_bytes(Instant(noisy.now), &hex("00 02 03 ff 02 10 02 03 05"));
            noisy.drain();
        }
        noisy.step(line);
    }
    assert_eq!(noisy.events, whole.events);
}

#[test]
fn endless_garbage_is_a_protocol_fault() {
    let mut bench = Bench::new();
    for at in 0..2000_u64 {
        bench.asked = None;
        bench.now = at * 10;
        bench.driver.handle_timeout(Instant(bench.now));
        bench.drain();
        bench.driver.handle_bytes(Instant(bench.now), &[0x55; 10]);
        bench.drain();
    }
    assert_eq!(bench.events, [Event::Fault(AcceptorFault::Protocol, true)]);
    bench.asked = None;
    bench.run_more("poll 10; poll 19; run 300");
    assert!(bench.events.starts_with(&[
        Event::Fault(AcceptorFault::Protocol, true),
        Event::Fault(AcceptorFault::Protocol, false),
        Event::PoweredUp(PowerUp::Empty),
    ]));
    assert_eq!(bench.events.last(), Some(&Event::Ready));
}

/// Any answers, any commands, at any time: no panic, no wait for the past, no two commands at once, and a device that behaves again
/// is made ready again.
#[test]
fn a_mad_device_never_stops_the_driver() {
    for seed in 1..=150_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) % below
        };
        let mut bench = Bench::new();
        let polls = [
            0x10, 0x11, 0x12, 0x13, 0x14, 0x14, 0x15, 0x17, 0x18, 0x19, 0x19, 0x1A, 0x1B, 0x1C, 0x41, 0x42,
            0x43, 0x44, 0x45, 0x46, 0x47, 0x80, 0x81, 0x82, 0xC3,
        ];
        for _ in 0..300 {
            let command = match next(12) {
                0 => Some(Command::Stack),
                1 => Some(Command::Return),
                2 | 3 => Some(Command::Acknowledge),
                4 => Some(Command::Enable { types: next(32) as u32 }),
                _ => None,
            };
            if let Some(command) = command {
                bench.command(command);
            }
            if next(10) == 0 {
                let noise: Vec<u8> =
                    (0..next(40)).map(|_| [0x02, 0x03, 0x06, next(256) as u8][next(4) as usize]).collect();
                bench.driver.handle_bytes(Instant(bench.now), &noise);
                bench.drain();
            }
            if !bench.until_asked(bench.now + next(3000)) {
                continue;
            }
            let code = bench.asked.as_ref().unwrap()[3];
            let poll = polls[next(polls.len() as u64) as usize];
            let answer = match next(12) {
                0 => "-".to_owned(),
                1 => "bad 00".to_owned(),
                2 => "30".to_owned(),
                3 => "ff".to_owned(),
                4 => "00".to_owned(),
                _ if code == 0x33 && poll >= 0x80 => format!("{poll:02x} {:02x}", next(6)),
                _ if code == 0x33 => format!("{poll:02x}"),
                _ => bench.answers[&code].clone(),
            };
            bench.answer(&answer);
        }
        bench.run_more(
            "auto; cmd ack; poll 10; poll 13; poll 19; run 60000; poll 10; poll 13; poll 19; run 60000",
        );
        assert_eq!(bench.events.last(), Some(&Event::Ready), "seed {seed}\n{}", bench.log);
    }
}
