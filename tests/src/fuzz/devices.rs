//! Targets: what comes over a serial line.

use tolem_protocol::{
    ccnet::{
        self, BillTable, Command, Decoded, Decoder, Identification, MAX_FRAME, PollStatus, Reply, Status,
    },
    escpos::{self, Asb, ErrorCause, OfflineCause, PaperState, PrinterState, Query},
    wire::Direction,
};

/// Everything that a CCNET decoder finds when `bytes` come in pieces of `size` and then the line falls silent.
fn found(bytes: &[u8], size: usize) -> Vec<Decoded> {
    let (mut decoder, mut found) = (Decoder::new(), Vec::new());
    for mut piece in bytes.chunks(size) {
        while let Some(next) = decoder.next(&mut piece) {
            found.push(next);
        }
        assert!(piece.is_empty(), "a piece is used up before the decoder asks for more");
        assert!(decoder.pending().len() <= MAX_FRAME, "at most one frame is held");
    }
    while let Some(next) = decoder.expire() {
        found.push(next);
    }
    assert!(decoder.pending().is_empty() && found.len() <= bytes.len(), "each finding uses a byte up");
    found
}

/// Any stream, in any pieces: the same frames, each of which encodes to bytes that decode to it alone.
pub fn ccnet_frames(bytes: &[u8]) {
    let frames = found(bytes, bytes.len().max(1));
    assert_eq!(frames, found(bytes, 1), "how a stream is cut changes nothing");
    assert_eq!(frames, found(bytes, 7), "how a stream is cut changes nothing");
    for frame in frames {
        let Decoded::Frame(frame) = frame else { continue };
        let again = ccnet::encode(frame.address, &frame.payload).expect("a decoded frame encodes");
        assert_eq!(found(&again, again.len()), [Decoded::Frame(frame)]);
    }
    for direction in [Direction::FromHost, Direction::FromDevice] {
        let words = ccnet::describe(direction, bytes);
        assert!(words.len() <= 64 + 256 * bytes.len(), "a line for people stays one");
    }
}

/// Any payload, read as a command and as each kind of answer: what is read encodes to bytes that read the same.
pub fn ccnet_answers(payload: &[u8]) {
    if let Ok(command) = Command::parse(payload) {
        let Ok([Decoded::Frame(frame)]) = <[Decoded; 1]>::try_from(found(&command.frame(), MAX_FRAME)) else {
            panic!("{command:?} is one frame")
        };
        assert_eq!(Command::parse(&frame.payload), Ok(command));
    }
    if let Some(bytes) = Reply::parse(payload).frame() {
        let Ok([Decoded::Frame(frame)]) = <[Decoded; 1]>::try_from(found(&bytes, MAX_FRAME)) else {
            panic!("an answer is one frame")
        };
        assert_eq!(Reply::parse(&frame.payload), Reply::parse(payload));
    }
    if let Ok(poll) = PollStatus::parse(payload) {
        assert_eq!(PollStatus::parse(&poll.payload()), Ok(poll), "{poll}");
    }
    if let Ok(status) = Status::parse(payload) {
        assert_eq!(status.payload(), payload);
    }
    if let Ok(identification) = Identification::parse(payload) {
        assert_eq!(identification.payload(), payload);
        let texts = [identification.part_text().as_str(), identification.serial_text().as_str()].concat();
        assert!(texts.chars().all(|letter| matches!(letter, ' '..='~')), "{texts:?}");
    }
    if let Ok(table) = BillTable::parse(payload) {
        assert_eq!(BillTable::parse(&table.payload()), Ok(table));
        assert!(table.0.iter().flatten().all(|entry| entry.value() != Some(0)));
    }
    if let Ok(count) = ccnet::parse_counter(payload) {
        assert_eq!(ccnet::counter_payload(count), payload);
    }
}

/// Any stream to the printer: every byte ends in at most one finding, and rows of dots are as long as their head says.
pub fn escpos_commands(bytes: &[u8]) {
    let mut decoder = escpos::Decoder::new();
    let mut dots_left = 0;
    for byte in bytes {
        let Some(command) = decoder.push(*byte) else { continue };
        assert!(!escpos::describe_command(&command).is_empty());
        match command {
            escpos::Decoded::Raster { bytes_per_row, rows, .. } => {
                dots_left = u32::from(bytes_per_row) * u32::from(rows);
            }
            escpos::Decoded::Dots(dots) => {
                assert!(dots == *byte && dots_left > 0, "dots belong to a head");
                dots_left -= 1;
            }
            _ => assert_eq!(dots_left, 0, "nothing but dots within a picture"),
        }
    }
    for direction in [Direction::FromHost, Direction::FromDevice] {
        assert!(escpos::describe(direction, bytes).len() <= 64 + 128 * bytes.len());
    }
}

/// Any status bytes: what is read encodes to bytes that read the same.
pub fn escpos_status(bytes: &[u8]) {
    for byte in bytes {
        if let Some(state) = PrinterState::parse(*byte) {
            assert_eq!(state.byte(), *byte);
        }
        if let Some(cause) = OfflineCause::parse(*byte) {
            assert_eq!(cause.byte(), *byte);
        }
        if let Some(cause) = ErrorCause::parse(*byte) {
            assert_eq!(cause.byte(), *byte);
        }
        if let Some(paper) = PaperState::parse(*byte) {
            assert_eq!(PaperState::parse(paper.byte()), Some(paper));
        }
        for query in Query::ALL {
            assert!(!escpos::describe_status(query, *byte).is_empty());
        }
    }
    for four in bytes.windows(4).filter_map(|four| four.first_chunk()) {
        if let Some(asb) = Asb::parse(*four) {
            assert_eq!(Asb::parse(asb.bytes()), Some(asb));
        }
    }
}
