//! Frozen bytes and hostile streams.

use super::*;
use alloc::{format, string::String, vec};
use expect_test::expect;

fn decode(bytes: &[u8]) -> Vec<Decoded> {
    let mut decoder = Decoder::new();
    bytes.iter().filter_map(|byte| decoder.push(*byte)).collect()
}

#[test]
fn commands_are_frozen_and_read_back() {
    let cut = |partial, feed| Decoded::Cut { partial, feed };
    let cases: &[(&[u8], &str, Decoded)] = &[
        (&INIT, "1b40", Decoded::Init),
        (&ASB_OFF, "1d6100", Decoded::AutomaticStatus(0)),
        (&asb(0x0F), "1d610f", Decoded::AutomaticStatus(0x0F)),
        (&RECOVER_RETRY, "100501", Decoded::RecoverRetry),
        (&RECOVER_CLEAR, "100502", Decoded::RecoverClear),
        (&CUT_FULL, "1d5600", cut(false, None)),
        (&CUT_PARTIAL, "1d5601", cut(true, None)),
        (&feed_and_cut(false, 3), "1d564103", cut(false, Some(3))),
        (&feed_and_cut(true, 0), "1d564200", cut(true, Some(0))),
        (&feed_lines(4), "1b6404", Decoded::FeedLines(4)),
        (&feed_dots(200), "1b4ac8", Decoded::FeedDots(200)),
        (&Query::Printer.bytes(), "100401", Decoded::StatusRequest(Query::Printer)),
        (&Query::Paper.bytes(), "100404", Decoded::StatusRequest(Query::Paper)),
        (&print_done_request(*b"00A7"), "1d28480600303030304137", Decoded::PrintDoneRequest(*b"00A7")),
        (b"\x0a", "0a", Decoded::LineFeed),
        (b"\x1b\x69", "1b69", cut(false, None)),
        (b"\x1b\x6d", "1b6d", cut(true, None)),
    ];
    for (bytes, frozen, decoded) in cases {
        let shown: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((shown.as_str(), decode(bytes)), (*frozen, vec![decoded.clone()]));
    }
}

#[test]
fn a_raster_band_carries_its_size_and_its_dots() {
    let band = raster(2, &[1, 2, 3, 4, 5, 6]).unwrap();
    assert_eq!(band, [0x1D, 0x76, 0x30, 0, 2, 0, 3, 0, 1, 2, 3, 4, 5, 6]);
    let mut stream = band;
    stream.extend(Query::Paper.bytes());
    let found = decode(&stream);
    assert_eq!(found[0], Decoded::Raster { mode: 0, bytes_per_row: 2, rows: 3 });
    assert_eq!(found[1..7], [1, 2, 3, 4, 5, 6].map(Decoded::Dots));
    assert_eq!(found[7..], [Decoded::StatusRequest(Query::Paper)]);
    assert_eq!(decode(&[0x1D, 0x76, 0x30, 0, 0, 0, 3, 0, 0x0A]).len(), 2);
    for (width, rows) in [(0, 4), (2, 0), (3, 4)] {
        assert_eq!(raster(width, &vec![0; rows]), None, "{width} {rows}");
    }
    assert_eq!(raster(1, &vec![0; 65_536]), None);
}

#[test]
fn a_status_request_inside_dots_is_dots() {
    let band = raster(3, &Query::Printer.bytes()).unwrap();
    assert_eq!(decode(&band)[1..], [0x10, 0x04, 0x01].map(Decoded::Dots));
}

#[test]
fn commands_without_a_variant_keep_the_stream_in_step() {
    let stream: &[&[u8]] = &[
        b"\x1ba\x01",
        b"\x1bE\x01",
        b"\x1bt\x35",
        b"\x1bc5\x01",
        b"\x1bp\x00\x10\x10",
        b"\x1b2",
        b"\x1d!\x11",
        b"\x1dL\x00\x00",
        b"\x1dr\x01",
        b"\x10\x14\x01\x00\x01",
        b"\x10\x04\x14",
        b"\x10\x05\x07",
        b"\x1b*\x21\x02\x00abcdef",
        b"\x1b*\x00\x00\x00",
    ];
    for command in stream {
        let found = decode(command);
        assert!(matches!(found.as_slice(), [Decoded::Other(_)]), "{command:02x?} {found:?}");
    }
    let qr = [&b"\x1d(k\x64\x00"[..], &[7; 100]].concat();
    let found = decode(&qr);
    let [Decoded::Extended { function: b'k', data, length: 100 }] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(data.len(), MAX_DATA);
    assert_eq!(decode(b"\x1d(A\x00\x00").len(), 1);
    assert!(matches!(decode(b"\x1bZ!").as_slice(), [Decoded::Unknown(_), Decoded::Text(b'!')]));
    assert!(matches!(decode(b"\x1c.").as_slice(), [Decoded::Unknown(_)]));
    assert!(matches!(decode(b"\x1d\x76\x31").as_slice(), [Decoded::Unknown(_)]));
}

#[test]
fn status_bytes_have_the_bits_of_the_manual() {
    assert_eq!(PrinterState::default().byte(), 0x12);
    assert_eq!(PrinterState { offline: true, ..Default::default() }.byte(), 0x1A);
    assert_eq!(OfflineCause { cover_open: true, ..Default::default() }.byte(), 0x16);
    assert_eq!(OfflineCause { paper_end: true, ..Default::default() }.byte(), 0x32);
    assert_eq!(ErrorCause { cutter: true, ..Default::default() }.byte(), 0x1A);
    assert_eq!(PaperState { near_end: true, end: true }.byte(), 0x7E);
    for byte in 0..=255 {
        let known = [
            PrinterState::parse(byte).map(PrinterState::byte),
            OfflineCause::parse(byte).map(OfflineCause::byte),
            ErrorCause::parse(byte).map(ErrorCause::byte),
        ];
        assert_eq!(known, [is_status(byte).then_some(byte); 3], "{byte:02x}");
        assert_eq!(PaperState::parse(byte).is_some(), is_status(byte));
    }
    // One of the two bits of a sensor is enough.
    assert_eq!(PaperState::parse(0x32), Some(PaperState { near_end: false, end: true }));
    assert_eq!(PaperState::parse(0x16), Some(PaperState { near_end: true, end: false }));
}

#[test]
fn automatic_status_reads_back() {
    assert_eq!(Asb::default().bytes(), [0x10, 0, 0, 0]);
    for bits in 0..=0x0FFF_u32 {
        let bit = |at: u32| bits >> at & 1 == 1;
        let asb = Asb {
            drawer: bit(0),
            offline: bit(1),
            cover_open: bit(2),
            feeding: bit(3),
            waiting_recovery: bit(4),
            feed_button: bit(5),
            error: ErrorCause {
                recoverable: bit(6),
                cutter: bit(7),
                unrecoverable: bit(8),
                auto_recoverable: bit(9),
            },
            paper: PaperState { near_end: bit(10), end: bit(11) },
        };
        assert_eq!(Asb::parse(asb.bytes()), Some(asb));
    }
    assert_eq!(Asb::parse([0x12, 0, 0, 0]), None);
    assert_eq!(Asb::parse([0x10, 0x80, 0, 0]), None);
}

#[test]
fn print_done_ids_are_printable_and_differ_between_neighbours() {
    assert_eq!(print_done_id(0), *b"0000");
    assert_eq!(print_done_id(0x0001_A7FE), *b"A7FE");
    assert_eq!(print_done_reply(*b"A7FE"), *b"\x37\x22A7FE\x00");
}

#[test]
fn any_bytes_decode_without_panic() {
    for seed in 1..=20_u64 {
        let mut state = seed;
        let mut decoder = Decoder::new();
        for _ in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let byte = match state >> 32 & 7 {
                0 => 0x1D,
                1 => 0x1B,
                2 => 0x10,
                3 => 0x00,
                _ => (state >> 40) as u8,
            };
            let _ = decoder.push(byte);
        }
    }
}

#[test]
fn descriptions_are_one_line_for_people() {
    let mut start = INIT.to_vec();
    start.extend(ASB_OFF);
    start.extend(Query::Printer.bytes());
    let band = raster(72, &[0; 72 * 128]).unwrap();
    let mut end = feed_and_cut(true, 0).to_vec();
    end.extend(print_done_request(*b"0007"));
    let host = |bytes: &[u8]| describe(Direction::FromHost, bytes);
    let device = |bytes: &[u8]| describe(Direction::FromDevice, bytes);
    let lines = [
        host(&start),
        host(&band),
        host(&band[..1000]),
        host(&end),
        host(b"Hello\n"),
        host(b"\x1ba\x01\x1bZ"),
        host(&RECOVER_CLEAR),
        host(&[0x0A; 30]),
        host(&[]),
        host(&[0; 100]),
        device(&[0x12]),
        device(&[0x1A, 0x11, 0x13, 0xC3]),
        device(&print_done_reply(*b"0007")),
        device(&[0x18, 0, 0x0C, 0]),
        device(&[0xFF; 30]),
        describe_status(Query::Printer, 0x3A),
        describe_status(Query::Offline, 0x36),
        describe_status(Query::Error, 0x1A),
        describe_status(Query::Paper, 0x7E),
        describe_status(Query::Paper, 0x12),
        describe_status(Query::Paper, 0x00),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    expect![[r#"
        INIT | AUTOMATIC STATUS 00 | STATUS 1?
        RASTER 576x128 dots
        RASTER 576x128 dots | cut short
        CUT partial after feed 0 | PRINT DONE? 0007
        LF | 5 bytes of text
        command 1b 61 01 | UNKNOWN 1b 5a
        RECOVER, clear buffers
        LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | LF | 6 more commands

        100 bytes of nothing
        status 12 ok
        status 1a | XON | XOFF | byte c3
        PRINT DONE 0007
        AUTOMATIC STATUS not ok 18 00 0c 00
        byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | byte ff | 6 more bytes
        offline, waiting for recovery
        cover open, stopped by paper end
        cutter error
        paper near end, paper out
        ok
        no status: 00
    "#]]
    .assert_eq(&text);
}
