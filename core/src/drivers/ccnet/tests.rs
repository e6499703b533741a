//! Wire transcripts: a scripted device on one side, what the driver says and does on the other.
//!
//! A script line is one of
//! `poll HEX` the next POLL is answered so; `CODE HEX` from now on this command (hex code) is answered so (`-` = silence, `bad HEX` =
//! broken checksum); `cmd enable MASK|stack|return|ack|learn` the kiosk; `auto` the kiosk acknowledges at once from here on;
//! `raw HEX` bytes at this moment; `run MS` time goes by, POLLs are answered as the last one; `split` replies come byte by byte.

use super::*;
use ccnet::{BillEntry, Direction, describe};
use expect_test::{Expect, expect};
use std::{collections::BTreeMap, fmt::Write};

mod faults;
mod notes;
mod start;
mod table;

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
        writeln!(self.log, "{:<6} {text}", self.now).unwrap();
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
                    "learn" => Command::Learn,
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
