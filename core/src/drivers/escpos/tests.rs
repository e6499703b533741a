//! Wire transcripts: a scripted printer on one side, what the driver says and does on the other.
//!
//! A script line is one of `print N ROWS`, `set STATUS` (`ok`, `low`, `out`, `cover`, `cutter`, `hot`, `offline`, `silent`),
//! `raw HEX` (bytes from the printer at this moment), `done N` (its answer to GS ( H), `run MS`, `quietly` (rounds of status are left out of the log).

use super::*;
use escpos::{Decoded, Decoder, Direction, describe};
use expect_test::{Expect, expect};
use std::fmt::Write;

mod table;

/// From a question to its answer.
const PRINTER_MS: u64 = 4;

struct Bench {
    driver: Escpos,
    now: u64,
    wake: u64,
    answers: Option<[u8; 4]>,
    asked: Option<Query>,
    ear: Decoder,
    dots: Vec<u8>,
    log: String,
    events: Vec<Event>,
    /// All bytes with the time they were sent.
    sent: Vec<(u64, usize)>,
}

impl Bench {
    fn new(config: Config) -> Self {
        let mut bench = Self {
            driver: Escpos::new(config, Instant(0)),
            now: 0,
            wake: 0,
            answers: Some([0x12; 4]),
            asked: None,
            ear: Decoder::new(),
            dots: Vec::new(),
            log: String::new(),
            events: Vec::new(),
            sent: Vec::new(),
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
                        Event::Status(status) if status.blocking().is_none() => {
                            self.line(format_args!("  = Status paper {:?}", status.paper))
                        }
                        Event::Status(status) => {
                            self.line(format_args!("  = Status {:?}", status.blocking()))
                        }
                        other => self.line(format_args!("  = {other:?}")),
                    }
                    self.events.push(event);
                }
                Output::Transmit(bytes) => self.hear(&bytes),
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.sent.push((self.now, bytes.len()));
        let words = describe(Direction::FromHost, bytes);
        if !words.starts_with("STATUS") {
            self.line(format_args!("host {words}"));
        }
        for byte in bytes {
            match self.ear.push(*byte) {
                Some(Decoded::Dots(dots)) => self.dots.push(dots),
                Some(Decoded::StatusRequest(query)) => {
                    assert_eq!(self.asked, None, "two questions at once\n{}", self.log);
                    self.asked = Some(query);
                }
                _ => {}
            }
        }
    }

    /// Answers the question under way, or goes on to the next instant; false when `end` is reached.
    fn step(&mut self, end: u64) -> bool {
        if let (Some(query), Some(answers)) = (self.asked.take(), self.answers) {
            self.now += PRINTER_MS;
            let byte = answers[usize::from(query.number()) - 1];
            self.driver.handle_bytes(Instant(self.now), &[byte]);
        } else if self.wake <= end {
            self.now = self.wake;
            self.driver.handle_timeout(Instant(self.now));
        } else {
            self.now = self.now.max(end);
            return false;
        }
        self.drain();
        true
    }

    fn go(&mut self, script: &str) {
        for line in script.split(';').map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.split(' ');
            let word = words.next().unwrap();
            let rest: Vec<&str> = words.collect();
            let number = |at: usize| rest[at].parse::<u64>().unwrap();
            match word {
                "print" => {
                    let rows = (0..number(1) * 72).map(|at| (at / 72) as u8).collect();
                    let page = Page { width: 576, rows };
                    self.line(format_args!("  < Print {} of {} rows", rest[0], rest[1]));
                    self.driver.command(Instant(self.now), Command::Print { print: number(0), page });
                    self.drain();
                }
                "set" => {
                    self.line(format_args!("dev  {}", rest[0]));
                    self.answers = match rest[0] {
                        "ok" => Some([0x12; 4]),
                        "low" => Some([0x12, 0x12, 0x12, 0x1E]),
                        "out" => Some([0x1A, 0x32, 0x12, 0x7E]),
                        "cover" => Some([0x1A, 0x16, 0x52, 0x12]),
                        "cutter" => Some([0x1A, 0x52, 0x1A, 0x12]),
                        "hot" => Some([0x1A, 0x52, 0x52, 0x12]),
                        "offline" => Some([0x1A, 0x12, 0x12, 0x12]),
                        "silent" => None,
                        other => panic!("unknown status {other}"),
                    };
                }
                "raw" | "done" => {
                    let bytes = match word {
                        "done" => escpos::print_done_reply(escpos::print_done_id(number(0))).to_vec(),
                        _ => rest.iter().map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect(),
                    };
                    self.line(format_args!("dev  {}", describe(Direction::FromDevice, &bytes)));
                    for byte in bytes {
                        self.driver.handle_bytes(Instant(self.now), &[byte]);
                        self.drain();
                    }
                }
                "run" => {
                    let end = self.now + number(0);
                    while self.step(end) {}
                }
                other => panic!("unknown word {other}"),
            }
        }
    }
}

fn bench(script: &str) -> Bench {
    let mut bench = Bench::new(Config::default());
    bench.go(script);
    bench
}

fn check(script: &str, expected: Expect) {
    expected.assert_eq(&bench(script).log);
}

#[test]
fn a_page_is_sent_in_bands_and_proven_by_two_good_rounds() {
    check(
        "run 2000; print 7 200; run 5000",
        expect![[r#"
            0      host 5760 bytes of nothing
            0      host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
            547      = Status paper Present
            2000     < Print 7 of 200 rows
            2056   host RASTER 576x80 dots
            2613   host RASTER 576x80 dots
            3170   host RASTER 576x40 dots | CUT partial after feed 0
            4356     = Printed { print: 7 }
        "#]],
    );
}

#[test]
fn every_row_reaches_the_paper_once_and_in_order() {
    let bench = bench("run 2000; print 7 1000; run 30000");
    let expected: Vec<u8> = (0..72_000).map(|at| (at / 72) as u8).collect();
    assert!(bench.dots == expected, "{} of 72000 bytes", bench.dots.len());
    assert_eq!(bench.events.last(), Some(&Event::Printed { print: 7 }));
}

#[test]
fn bands_keep_to_the_speed_of_the_line() {
    for bytes_per_second in [960, 11_520, 1_000_000] {
        let config = Config { bytes_per_second, ..Config::default() };
        let mut bench = Bench::new(config);
        bench.go("run 20000; print 7 300; run 100000");
        assert_eq!(bench.events.last(), Some(&Event::Printed { print: 7 }));
        for pair in bench.sent.windows(2) {
            let ((at, bytes), (next, _)) = (pair[0], pair[1]);
            let questions = bytes <= 8;
            assert!(
                questions || (next - at) * u64::from(bytes_per_second) >= bytes as u64 * 1000 || next == at
            );
        }
    }
}

#[test]
fn status_changes_are_told_once() {
    check(
        "run 3000; set low; run 3000; set out; run 3000; set cover; run 2000; set hot; run 2000; set ok; run 2000",
        expect![[r#"
            0      host 5760 bytes of nothing
            0      host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
            547      = Status paper Present
            3000   dev  low
            3685     = Status paper Low
            6000   dev  out
            6823     = Status Some(PaperOut)
            9000   dev  cover
            9961     = Status Some(CoverOpen)
            11000  dev  hot
            12053    = Status Some(Mechanism)
            13000  dev  ok
            13099    = Status paper Present
        "#]],
    );
}

#[test]
fn nothing_is_sent_to_a_printer_that_cannot_print() {
    for (status, fault) in [
        ("out", PrintFault::PaperOut),
        ("cover", PrintFault::CoverOpen),
        ("cutter", PrintFault::Cutter),
        ("hot", PrintFault::Mechanism),
    ] {
        let bench = bench(&format!("run 2000; set {status}; print 7 200; run 1000"));
        assert_eq!(bench.events.last(), Some(&Event::Failed { print: 7, fault }));
        assert!(bench.dots.is_empty());
    }
}

#[test]
fn paper_out_in_the_middle_stops_and_clears_and_the_next_print_cuts_the_rest_off() {
    check(
        "run 2000; print 7 300; run 700; set out; run 3000; set ok; run 3000; print 8 40; run 3000",
        expect![[r#"
            0      host 5760 bytes of nothing
            0      host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
            547      = Status paper Present
            2000     < Print 7 of 300 rows
            2056   host RASTER 576x80 dots
            2613   host RASTER 576x80 dots
            2700   dev  out
            3160     = Status Some(PaperOut)
            3160   host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
            3160     = Failed { print: 7, fault: PaperOut }
            5700   dev  ok
            6594     = Status paper Present
            8700     < Print 8 of 40 rows
            8756   host CUT partial after feed 0
            9257   host RASTER 576x40 dots | CUT partial after feed 0
            10443    = Printed { print: 8 }
        "#]],
    );
}

#[test]
fn cutter_error_after_the_last_band_is_a_failure() {
    check(
        "run 2000; print 7 40; run 300; set cutter; run 3000",
        expect![[r#"
            0      host 5760 bytes of nothing
            0      host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
            547      = Status paper Present
            2000     < Print 7 of 40 rows
            2056   host RASTER 576x40 dots | CUT partial after feed 0
            2300   dev  cutter
            2354     = Status Some(Cutter)
            2354   host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
            2354     = Failed { print: 7, fault: Cutter }
        "#]],
    );
}

#[test]
fn a_printer_that_falls_silent_fails_the_print_and_recovers() {
    check(
        "run 2000; print 7 300; run 700; set silent; run 12000; print 8 40; run 100; set ok; run 4000; print 9 40; run 3000",
        expect![[r#"
            0      host 5760 bytes of nothing
            0      host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
            547      = Status paper Present
            2000     < Print 7 of 300 rows
            2056   host RASTER 576x80 dots
            2613   host RASTER 576x80 dots
            2700   dev  silent
            3614   host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
            3614     = Failed { print: 7, fault: Absent }
            6864     = Absent
            11864  host 5760 bytes of nothing
            11864  host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
            14700    < Print 8 of 40 rows
            14700    = Failed { print: 8, fault: Absent }
            14800  dev  ok
            15868  host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
            15925    = Status paper Present
            18800    < Print 9 of 40 rows
            18856  host CUT partial after feed 0
            19357  host RASTER 576x40 dots | CUT partial after feed 0
            20543    = Printed { print: 9 }
        "#]],
    );
}

/// A slow disk or a receipt to draw: nothing was asked, so nothing was left unanswered.
#[test]
fn silence_while_the_program_stood_still_is_not_the_printers() {
    let mut bench = Bench::new(Config::default());
    bench.go("run 2000");
    bench.now += 5_000;
    bench.driver.handle_timeout(Instant(bench.now));
    bench.drain();
    bench.go("run 2000");
    assert!(!bench.events.contains(&Event::Absent), "{}", bench.log);
    bench.go("set silent; run 5000");
    assert!(bench.events.contains(&Event::Absent), "silence that was asked for still counts\n{}", bench.log);
}

#[test]
fn a_printer_that_never_answers_is_absent_after_three_seconds() {
    check(
        "set silent; print 7 40; run 20000",
        expect![[r#"
            0      host 5760 bytes of nothing
            0      host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
            0      dev  silent
            0        < Print 7 of 40 rows
            3501     = Absent
            3501     = Failed { print: 7, fault: Absent }
            8501   host 5760 bytes of nothing
            8501   host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
            18501  host 5760 bytes of nothing
            18501  host RECOVER, clear buffers | INIT | AUTOMATIC STATUS 00
        "#]],
    );
}

#[test]
fn offline_without_a_reason_is_waited_for_but_not_for_ever() {
    let bench = bench(
        "run 2000; set offline; print 7 40; run 5000; set ok; run 5000; set offline; print 8 40; run 90000",
    );
    let ends: Vec<_> = bench.events.iter().filter(|event| !matches!(event, Event::Status(_))).collect();
    assert_eq!(
        ends,
        [&Event::Printed { print: 7 }, &Event::Failed { print: 8, fault: PrintFault::Mechanism }]
    );
}

#[test]
fn xoff_holds_the_bands_until_xon() {
    let mut bench = bench("run 2000; print 7 300; run 700; raw 13");
    let before = bench.dots.len();
    bench.go("run 10000");
    assert_eq!(bench.dots.len(), before);
    bench.go("raw 11; run 10000");
    assert_eq!(bench.dots.len(), 300 * 72);
    assert_eq!(bench.events.last(), Some(&Event::Printed { print: 7 }));
}

#[test]
fn xoff_for_ever_fails_the_print() {
    let bench = bench("run 2000; print 7 300; run 700; raw 13; run 90000");
    assert_eq!(bench.events.last(), Some(&Event::Failed { print: 7, fault: PrintFault::Mechanism }));
}

#[test]
fn print_done_is_waited_for_where_the_printer_has_it() {
    let config = Config { print_done: true, ..Config::default() };
    let mut bench = Bench::new(config.clone());
    bench.go("run 2000; print 7 40; run 10000");
    assert!(matches!(bench.events.last(), Some(Event::Status(_))), "{}", bench.log);
    // Another id, a cut answer, then the right one.
    bench.go("done 6; raw 37 22; raw 37 22 30; done 7; run 1000");
    assert_eq!(bench.events.last(), Some(&Event::Printed { print: 7 }), "{}", bench.log);
    let mut never = Bench::new(config);
    never.go("run 2000; print 7 40; run 90000");
    assert_eq!(never.events.last(), Some(&Event::Failed { print: 7, fault: PrintFault::Unknown }));
}

#[test]
fn stray_bytes_do_not_shift_the_answers() {
    let mut bench = bench("run 2000; set low; run 100");
    for _ in 0..200 {
        bench.go("raw 12; run 37; raw 1E 00 FF 10 00 0C 00; run 41");
    }
    bench.go("run 3000");
    let Some(Event::Status(last)) = bench.events.last() else { panic!("{}", bench.log) };
    assert_eq!((last.paper, last.blocking()), (PaperLevel::Low, None));
}

#[test]
fn prints_wait_for_each_other_and_the_queue_is_bounded() {
    let bench =
        bench("run 2000; print 1 40; print 2 40; print 3 40; print 4 40; print 5 40; print 6 40; run 60000");
    let ends: Vec<_> = bench.events.iter().filter(|event| !matches!(event, Event::Status(_))).collect();
    let printed = |print| Event::Printed { print };
    let refused = Event::Failed { print: 6, fault: PrintFault::Mechanism };
    assert_eq!(ends, [&refused, &printed(1), &printed(2), &printed(3), &printed(4), &printed(5)]);
}

#[test]
fn pages_that_are_no_pages_fail_at_once() {
    for page in [
        Page::default(),
        Page { width: 7, rows: vec![0; 7] },
        Page { width: 16, rows: vec![0; 3] },
        Page { width: 8, rows: vec![0; MAX_PAGE + 1] },
    ] {
        let mut bench = Bench::new(Config::default());
        bench.driver.command(Instant(0), Command::Print { print: 1, page });
        bench.drain();
        assert_eq!(bench.events, [Event::Failed { print: 1, fault: PrintFault::Mechanism }]);
    }
}

#[test]
fn a_band_left_unfinished_by_an_earlier_process_is_washed_out() {
    let mut printer = Decoder::new();
    for byte in &escpos::raster(72, &[1; 72 * 128]).unwrap()[..100] {
        printer.push(*byte);
    }
    let mut driver = Escpos::new(Config { bytes_per_second: 1_000_000, ..Config::default() }, Instant(0));
    let mut found = Vec::new();
    while let Output::Transmit(bytes) = driver.poll() {
        found.extend(
            bytes
                .iter()
                .filter_map(|byte| printer.push(*byte))
                .filter(|found| !matches!(found, Decoded::Dots(_))),
        );
    }
    assert_eq!(found, [Decoded::RecoverClear, Decoded::Init, Decoded::AutomaticStatus(0)]);
}

/// Any answers at any time: no panic, no wait for the past, every print ends, and a printer that behaves again prints.
#[test]
fn a_mad_printer_never_stops_the_driver() {
    for seed in 1..=100_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) % below
        };
        let mut bench = Bench::new(Config { print_done: seed % 2 == 0, ..Config::default() });
        let states = ["ok", "ok", "ok", "low", "out", "cover", "cutter", "hot", "offline", "silent"];
        let mut prints = 0;
        for _ in 0..60 {
            match next(4) {
                0 => bench.go(&format!("set {}", states[next(states.len() as u64) as usize])),
                1 => {
                    prints += 1;
                    bench.go(&format!("print {prints} {}", 1 + next(400)));
                }
                2 => {
                    let noise: Vec<u8> = (0..next(30))
                        .map(|_| [0x12, 0x37, 0x13, next(256) as u8][next(4) as usize])
                        .collect();
                    bench.driver.handle_bytes(Instant(bench.now), &noise);
                    bench.drain();
                }
                _ => bench.go(&format!("run {}", next(4000))),
            }
        }
        bench.go("set ok; run 700000");
        let ends =
            bench.events.iter().filter(|event| matches!(event, Event::Printed { .. } | Event::Failed { .. }));
        assert_eq!(ends.count(), prints, "seed {seed}\n{}", bench.log);
        bench.go("raw 11; print 9999 50; run 3000; done 9999; run 3000");
        assert_eq!(bench.events.last(), Some(&Event::Printed { print: 9999 }), "seed {seed}\n{}", bench.log);
    }
}
