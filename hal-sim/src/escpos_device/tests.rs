//! A host written by hand prints in virtual time.

use super::*;
use crate::paper::tests::qr_rows;
use expect_test::expect;
use tolem_protocol::escpos::{
    self, CUT_FULL, INIT, RECOVER_CLEAR, RECOVER_RETRY, asb, feed_and_cut, feed_dots, feed_lines,
    print_done_reply, print_done_request, raster,
};

struct Host {
    device: EscposDevice,
    now: Instant,
    remarks: Vec<String>,
}

impl Host {
    fn new(config: EscposConfig) -> Self {
        Self { device: EscposDevice::new_running(config), now: Instant(0), remarks: Vec::new() }
    }

    fn wait(&mut self, ms: u64) -> Vec<u8> {
        let end = self.now + Duration::from_millis(ms);
        let mut sent = Vec::new();
        loop {
            match self.device.poll() {
                PrinterOutput::Transmit(bytes) => sent.extend(bytes),
                PrinterOutput::Happened(PrinterEvent::Remark(text)) => self.remarks.push(text),
                PrinterOutput::Happened(_) => {}
                PrinterOutput::Wait(next) if next <= end => {
                    assert!(next > self.now, "it must not wake without progress");
                    self.now = next;
                    self.device.handle_timeout(next);
                }
                PrinterOutput::Wait(_) => break,
            }
        }
        self.now = end;
        self.device.handle_timeout(end);
        sent
    }

    fn send(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.device.handle_bytes(self.now, bytes);
        self.wait(5)
    }

    fn statuses(&mut self) -> Vec<u8> {
        Query::ALL.iter().flat_map(|query| self.send(&query.bytes())).collect()
    }

    fn papers(&self) -> Vec<Paper> {
        self.device.papers().map(|paper| paper.trimmed()).collect()
    }
}

/// A picture with something in every row, 72 bytes wide.
fn picture(rows: usize) -> Vec<u8> {
    let mut dice = crate::line::Dice::new(rows as u64);
    (0..rows * 72).map(|at| if at % 72 == 0 { 0x80 } else { dice.next_u64().to_le_bytes()[3] }).collect()
}

fn bands(picture: &[u8], rows: usize) -> Vec<u8> {
    picture.chunks(rows * 72).flat_map(|band| raster(72, band).unwrap()).collect()
}

#[test]
fn raster_bands_reproduce_the_picture_exactly_in_any_split() {
    let picture = picture(333);
    for (band, chunk) in [(64, 1), (1, 7), (255, 64), (333, 100_000)] {
        let mut host = Host::new(EscposConfig::default());
        let mut stream = INIT.to_vec();
        stream.extend(bands(&picture, band));
        stream.extend(feed_and_cut(true, 0));
        for piece in stream.chunks(chunk) {
            host.device.handle_bytes(host.now, piece);
        }
        host.wait(2000);
        let papers = host.papers();
        assert_eq!(
            (papers.len(), papers[0].rows() == picture),
            (1, true),
            "bands of {band}, chunks of {chunk}"
        );
        assert_eq!((papers[0].end(), papers[0].width()), (End::PartialCut, 576));
        assert!(host.remarks.is_empty(), "{:?}", host.remarks);
    }
}

#[test]
fn a_printed_qr_symbol_can_be_read_from_the_png() {
    let mut host = Host::new(EscposConfig::default());
    let rows: Vec<u8> = qr_rows("KZ-7788-1234", 576, 6).concat();
    host.send(&bands(&rows, 64));
    host.send(&feed_and_cut(false, 10));
    host.wait(3000);
    let paper = host.device.take_papers().remove(0);
    assert_eq!(Paper::from_png(&paper.to_png()).unwrap().qr_texts(), ["KZ-7788-1234"]);
    assert_eq!(host.device.papers().len(), 0);
}

#[test]
fn printing_takes_its_time_and_status_is_answered_meanwhile() {
    let mut host = Host::new(EscposConfig::default());
    host.device.handle_bytes(host.now, &bands(&picture(1200), 64));
    host.wait(495);
    assert_eq!(host.statuses(), [0x12; 4]);
    let printed = host.device.hanging().height() - 104;
    assert!((590..=640).contains(&printed), "about half of 1200 rows in half a second, not {printed}");
    host.device.handle_bytes(host.now, &print_done_request(*b"0042"));
    assert_eq!(host.wait(300), [0u8; 0], "not printed yet");
    assert_eq!(host.wait(300), print_done_reply(*b"0042"));
    assert_eq!(host.device.status_requests(), 4);
}

#[test]
fn cutting_without_feeding_cuts_through_the_print() {
    let mut host = Host::new(EscposConfig::default());
    let first = picture(200);
    host.send(&bands(&first, 64));
    host.send(&CUT_FULL);
    host.wait(1000);
    host.send(&bands(&first, 200));
    host.send(&feed_and_cut(false, 0));
    host.wait(1000);
    let papers: Vec<Arc<Paper>> = host.device.papers().cloned().collect();
    assert_eq!(papers[0].height(), 200, "104 white rows of before and 96 of ours");
    assert_eq!(papers[0].rows()[104 * 72..], first[..96 * 72]);
    assert_eq!(papers[1].rows()[..104 * 72], first[96 * 72..], "the rest heads the next piece");
    assert!(host.remarks.iter().any(|remark| remark.starts_with("cut through the print")));
}

#[test]
fn an_empty_roll_stops_in_the_middle_and_a_new_one_prints_the_rest() {
    let mut host = Host::new(EscposConfig::default());
    let picture = picture(300);
    host.device.set_paper(host.now, PaperSupply::OutAfter(120));
    assert_eq!(host.statuses(), [0x12, 0x12, 0x12, 0x1E], "near its end");
    let mut stream = bands(&picture, 64);
    stream.extend(feed_and_cut(false, 0));
    stream.extend(print_done_request(*b"0001"));
    host.send(&stream);
    assert_eq!(host.wait(5000), [0u8; 0]);
    assert_eq!(host.statuses(), [0x1A, 0x32, 0x12, 0x7E]);
    assert_eq!(host.device.hanging().trimmed().rows(), picture[..120 * 72].to_vec());
    host.device.set_paper(host.now, PaperSupply::New);
    assert_eq!(host.wait(2000), print_done_reply(*b"0001"));
    let papers = host.papers();
    assert_eq!((papers[0].end(), papers[0].height()), (End::Torn, 120));
    assert_eq!((papers[1].end(), papers[1].rows()), (End::FullCut, &picture[120 * 72..]));
}

#[test]
fn clearing_the_buffers_keeps_an_old_job_off_the_new_paper() {
    for (clear_only_in_error, pieces) in [(false, 0), (true, 1)] {
        let mut host = Host::new(EscposConfig { clear_only_in_error, ..EscposConfig::default() });
        host.device.set_paper(host.now, PaperSupply::Out);
        host.send(&bands(&picture(100), 64));
        host.send(&feed_and_cut(false, 0));
        host.send(&RECOVER_CLEAR);
        host.device.set_paper(host.now, PaperSupply::New);
        host.wait(2000);
        assert_eq!(host.device.papers().len(), pieces);
    }
}

#[test]
fn an_open_cover_stops_and_a_closed_one_goes_on() {
    let mut host = Host::new(EscposConfig::default());
    let picture = picture(600);
    host.device.handle_bytes(host.now, &bands(&picture, 64));
    host.device.handle_bytes(host.now, &feed_and_cut(false, 0));
    host.wait(100);
    host.device.set_fault(host.now, PrinterFault::CoverOpen);
    let stopped = host.device.hanging().height();
    assert_eq!(host.statuses(), [0x1A, 0x16, 0x12, 0x12]);
    host.wait(10_000);
    assert_eq!(host.device.hanging().height(), stopped);
    host.device.clear_fault(host.now, PrinterFault::CoverOpen);
    host.wait(3000);
    assert_eq!(host.papers()[0].rows(), picture);
}

#[test]
fn a_stuck_cutter_needs_the_technician_and_then_a_word_from_the_host() {
    for (word, pieces) in [(RECOVER_RETRY, 1), (RECOVER_CLEAR, 0)] {
        let mut host = Host::new(EscposConfig::default());
        host.device.set_fault(host.now, PrinterFault::CutterJam);
        host.send(&bands(&picture(50), 64));
        host.send(&feed_and_cut(false, 0));
        host.wait(2000);
        assert_eq!(host.statuses(), [0x3A, 0x52, 0x1A, 0x12]);
        host.send(&word);
        host.device.clear_fault(host.now, PrinterFault::CutterJam);
        host.wait(2000);
        assert_eq!(host.statuses()[2], 0x1A, "the word came too early");
        host.send(&word);
        host.wait(2000);
        assert_eq!(host.statuses(), [0x12; 4]);
        assert_eq!(host.device.papers().len(), pieces, "{word:02x?}");
    }
}

#[test]
fn a_hot_head_cools_and_a_broken_mechanism_needs_a_power_cycle() {
    let mut host = Host::new(EscposConfig::default());
    host.device.set_fault(host.now, PrinterFault::HeadHot);
    assert_eq!(host.statuses(), [0x1A, 0x52, 0x52, 0x12]);
    host.device.clear_fault(host.now, PrinterFault::HeadHot);
    assert_eq!(host.statuses(), [0x12; 4]);
    host.device.set_fault(host.now, PrinterFault::Mechanism);
    host.device.clear_fault(host.now, PrinterFault::Mechanism);
    host.send(&RECOVER_CLEAR);
    assert_eq!(host.statuses(), [0x1A, 0x52, 0x32, 0x12]);
    host.device.power_off(host.now);
    assert_eq!(host.statuses(), [0u8; 0]);
    host.device.power_on(host.now);
    assert_eq!(host.statuses(), [0u8; 0], "it boots");
    host.wait(1000);
    assert_eq!(host.statuses(), [0x12; 4]);
}

#[test]
fn a_power_cut_in_the_middle_leaves_exactly_what_was_printed() {
    let picture = picture(800);
    for after in (0..800_u64).step_by(37) {
        let mut host = Host::new(EscposConfig::default());
        host.device.handle_bytes(host.now, &bands(&picture, 64));
        host.device.handle_bytes(host.now, &feed_and_cut(false, 255));
        host.wait(after);
        host.device.power_off(host.now);
        host.wait(5000);
        host.device.power_on(host.now);
        host.wait(5000);
        let rows = host.device.hanging().rows()[104 * 72..].to_vec();
        let height = host.device.hanging().height() as u64 - 104;
        assert!(height.abs_diff(after * 12 / 10) <= 10, "cut after {after} ms: {height} rows");
        let printed = rows.len().min(picture.len());
        assert_eq!(rows[..printed], picture[..printed]);
        assert_eq!(host.device.papers().len(), 0, "what was in the buffer is lost");
    }
}

#[test]
fn a_band_cut_short_swallows_the_next_commands_as_dots() {
    let mut host = Host::new(EscposConfig::default());
    let band = raster(72, &picture(2)).unwrap();
    host.send(&band[..band.len() - 10]);
    assert_eq!(host.statuses(), [0u8; 0], "ten bytes are dots, two are text");
    assert_eq!(host.statuses(), [0x12; 4]);
}

#[test]
fn automatic_status_comes_at_once_and_on_every_change() {
    let mut host = Host::new(EscposConfig::default());
    assert_eq!(host.send(&asb(0x0E)), [0x10, 0, 0, 0]);
    host.device.set_fault(host.now, PrinterFault::CoverOpen);
    assert_eq!(host.wait(10), [0x38, 0, 0, 0]);
    host.device.clear_fault(host.now, PrinterFault::CoverOpen);
    assert_eq!(host.wait(10), [0x10, 0, 0, 0]);
    host.device.set_paper(host.now, PaperSupply::OutAfter(10));
    assert_eq!(host.wait(10), [0x10, 0, 0x03, 0]);
    host.device.handle_bytes(host.now, &feed_dots(200));
    assert_eq!(host.wait(8), [0u8; 0]);
    assert_eq!(host.wait(10), [0x18, 0, 0x0F, 0], "the moment the paper ends");
    host.device.set_paper(host.now, PaperSupply::New);
    assert_eq!(host.wait(1000), [0x10, 0, 0, 0]);
    assert_eq!(host.send(&asb(0)), [0u8; 0]);
    host.device.set_paper(host.now, PaperSupply::Low);
    assert_eq!(host.wait(10), [0u8; 0]);
}

#[test]
fn what_it_does_not_know_is_said_aloud() {
    let mut host = Host::new(EscposConfig::default());
    host.send(b"\x1bZ\x1b\x45\x01Hello\n\x1d(k\x03\x00\x31\x51\x30");
    host.send(&raster(80, &[0xFF; 80]).unwrap());
    host.send(&feed_lines(2));
    host.wait(1000);
    expect![[r#"
        unknown command [1b, 5a]
        setting [1b, 45, 01] has no effect on this model
        text in the printer's own letters, drawn as boxes: "Hello"
        GS ( k with 3 bytes is not modelled
        640 dots do not fit on 576: the rest is lost at the edge"#]]
    .assert_eq(&host.remarks.join("\n"));
    assert_eq!(host.device.hanging().height(), 104 + 30 + 1 + 60);
    assert_eq!(host.device.commands().len(), 6);
}

#[test]
fn doubled_dots_are_doubled() {
    let mut host = Host::new(EscposConfig::default());
    host.send(&[0x1D, 0x76, 0x30, 3, 1, 0, 2, 0, 0b1010_0000, 0b0000_0001]);
    host.wait(100);
    let paper = host.device.hanging().trimmed();
    let rows: Vec<&[u8]> = paper.rows().chunks(72).map(|row| &row[..2]).collect();
    assert_eq!(rows, [[0b1100_1100, 0], [0b1100_1100, 0], [0, 0b11], [0, 0b11]]);
}

#[test]
fn a_full_buffer_stops_the_host_or_loses_data_visibly() {
    let config = EscposConfig { buffer: 8000, xon_xoff: true, ..EscposConfig::default() };
    let mut host = Host::new(config);
    assert_eq!(host.send(&bands(&picture(90), 30)), [escpos::XOFF]);
    assert_eq!(host.wait(1000), [escpos::XON]);
    assert_eq!(host.device.hanging().height(), 194);
    host.send(&bands(&picture(300), 30));
    host.wait(2000);
    assert!(host.remarks.iter().any(|remark| remark == "more than 8000 bytes waiting: data lost"));
}

#[test]
fn bytes_on_a_slow_cable_arrive_in_their_own_time() {
    let mut host = Host::new(EscposConfig { baud: Some(9600), ..EscposConfig::default() });
    let band = raster(72, &picture(64)).unwrap();
    host.device.handle_bytes(host.now, &band);
    host.device.handle_bytes(host.now, &Query::Printer.bytes());
    assert!(host.device.is_receiving());
    assert_eq!(host.wait(4800), [0u8; 0], "4616 bytes at 960 a second");
    assert_eq!(host.wait(20), [0x12]);
    assert!(!host.device.is_receiving());
}

#[test]
fn a_silent_printer_and_a_printer_that_answers_inside_dots() {
    let mut host =
        Host::new(EscposConfig { eager_status: true, has_print_done: false, ..EscposConfig::default() });
    let band = raster(3, &Query::Printer.bytes()).unwrap();
    assert_eq!(host.send(&band), [0x12], "an answer nobody asked for");
    assert_eq!(host.send(&print_done_request(*b"0000")), [0u8; 0], "not on all models");
    host.device.set_fault(host.now, PrinterFault::Silent);
    assert_eq!(host.statuses(), [0u8; 0]);
    host.device.clear_fault(host.now, PrinterFault::Silent);
    assert_eq!(host.statuses(), [0x12; 4]);
}

#[test]
fn any_bytes_are_survived_and_memory_stays_bounded() {
    for seed in 0..20 {
        let mut dice = crate::line::Dice::new(seed);
        let mut host = Host::new(EscposConfig { buffer: 20_000, ..EscposConfig::fast() });
        for _ in 0..200 {
            let chunk: Vec<u8> = (0..dice.below(400))
                .map(|_| match dice.below(6) {
                    0 => 0x1D,
                    1 => 0x1B,
                    2 => [0x56, 0x76, 0x30, 0x40, 0x10, 0x04][dice.below(6) as usize],
                    _ => dice.next_u64().to_le_bytes()[0],
                })
                .collect();
            host.send(&chunk);
            assert!(host.device.queued <= 20_000 && host.device.papers().len() <= MAX_PAPERS);
        }
        host.device.power_off(host.now);
        host.device.power_on(host.now);
        host.wait(50);
        assert_eq!(host.statuses()[0] & 0x10, 0x10);
    }
}
