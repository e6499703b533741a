//! A real receipt through the real driver to the device: the same dots as if every row had been sent whole, with few bytes.

#[path = "../../core/src/receipt/sample.rs"]
#[allow(dead_code, reason = "the core's own tests use more of it")]
mod sample;

use std::time::Duration;
use tolem_core::{
    drivers::escpos::{Config, Escpos},
    printer::{Command, Event, Output, Page},
    receipt::{PaperFacts, receipt},
    time::Instant,
};
use tolem_hal_sim::{
    escpos_device::{EscposConfig, EscposDevice, PrinterEvent, PrinterOutput},
    paper::Paper,
};
use tolem_protocol::{
    catalogue::Language,
    escpos::{INIT, feed_and_cut, raster},
};

/// Longest wait for a print, in virtual time.
const PATIENCE: Duration = Duration::from_secs(300);

/// What came out, the bytes it took after the driver had settled, and the time.
struct Printed {
    paper: Paper,
    bytes: usize,
    took: Duration,
}

fn print(page: &Page, baud: u32) -> Printed {
    let bytes_per_second = baud / 10;
    let mut device = EscposDevice::new_running(EscposConfig { baud: Some(baud), ..EscposConfig::default() });
    let mut driver = Escpos::new(Config { bytes_per_second, ..Config::default() }, Instant(0));
    let (mut now, mut ordered, mut bytes) = (Instant(0), None, 0);
    loop {
        let driver_wait = loop {
            match driver.poll() {
                Output::Transmit(sent) => {
                    bytes += sent.len();
                    device.handle_bytes(now, &sent);
                }
                Output::Event(Event::Status(_)) if ordered.is_none() => {
                    (ordered, bytes) = (Some(now), 0);
                    driver.command(now, Command::Print { print: 1, page: page.clone() });
                }
                Output::Event(Event::Printed { .. }) => {
                    assert_eq!(device.pieces(), 1);
                    let paper = device.papers().next().expect("one piece").trimmed();
                    return Printed { paper, bytes, took: now.since(ordered.expect("it was ordered")) };
                }
                Output::Event(Event::Status(_)) => {}
                Output::Event(other) => panic!("{other:?}"),
                Output::Wait(until) => break until,
            }
        };
        let device_wait = loop {
            match device.poll() {
                PrinterOutput::Transmit(answer) => {
                    driver.handle_bytes(now, &answer);
                    break now;
                }
                PrinterOutput::Happened(PrinterEvent::Remark(text)) => panic!("{text}"),
                PrinterOutput::Happened(_) => {}
                PrinterOutput::Wait(until) => break until,
            }
        };
        // An answer may have made the driver want something at once.
        if device_wait == now {
            continue;
        }
        let next = driver_wait.min(device_wait).max(Instant(now.0 + 1));
        assert!(next.since(Instant(0)) < PATIENCE, "it never ends");
        now = next;
        device.handle_timeout(now);
        driver.handle_timeout(now);
    }
}

/// Every row sent whole, by hand.
fn print_whole(page: &Page) -> Paper {
    let mut device = EscposDevice::new_running(EscposConfig::default());
    let band = raster(page.width / 8, &page.rows).expect("one band");
    device.handle_bytes(Instant(0), &[&INIT[..], &band, &feed_and_cut(true, 0)].concat());
    device.handle_timeout(Instant(0) + PATIENCE);
    device.papers().next().expect("one piece").trimmed()
}

#[test]
fn a_receipt_is_the_same_to_the_dot_with_two_thirds_of_the_bytes() {
    let sample = sample::sample();
    let facts = sample.facts(Language::Russian);
    let page = receipt(&facts, &sample.code, &sample.code_qr(), Some(&sample.remainder)).page();
    let whole = print_whole(&page);
    for baud in [9_600, 115_200, 921_600] {
        let printed = print(&page, baud);
        println!(
            "{} of {} bytes, {} rows, {baud} baud: {:?}",
            printed.bytes,
            page.rows.len(),
            page.height(),
            printed.took
        );
        assert!(printed.paper.rows() == whole.rows(), "other dots at {baud} baud");
        // Status questions included.
        assert!(printed.bytes * 3 / 2 < page.rows.len(), "{} of {} bytes", printed.bytes, page.rows.len());
    }
}
