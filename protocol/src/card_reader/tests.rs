//! Frames against the specification's bytes, and broken ones.

use super::*;
use crate::wire::Direction;
use alloc::vec;
use data_encoding::HEXUPPER;

fn decode(bytes: &[u8]) -> Vec<Decoded> {
    let (mut decoder, mut input, mut found) = (Decoder::new(), bytes, Vec::new());
    while let Some(next) = decoder.next(&mut input) {
        found.push(next);
    }
    found
}

#[test]
fn commands_have_the_bytes_of_the_specification() {
    let hex = |command: Command| HEXUPPER.encode(&command.text().unwrap().frame());
    assert_eq!(hex(Command::Deny), "1002433A3110034B");
    assert_eq!(hex(Command::Eject), "1002433330100343");
    let select = b"\x00\xA4\x04\x00\x0E1PAY.SYS.DDF01".to_vec();
    let exchange = Command::Exchange(Transport::T0, Zeroizing::new(select));
    assert_eq!(hex(exchange), "100243463000A404000E315041592E5359532E44444630311003FF");
    let text = |command: Command| command.text().unwrap().bytes().to_vec();
    assert_eq!(text(Command::Reset(CardGoes::Held, CardGoes::Out)), b"C020B");
    assert_eq!(text(Command::Reset(CardGoes::Out, CardGoes::Held)), b"C000A");
    let answer = Answer::parse(&Text::new(b"P3001").unwrap()).unwrap();
    assert_eq!((answer.code, answer.result), (*b"30", Ok(Place::Gate)));
    assert_eq!(HEXUPPER.encode(&answer.text().unwrap().frame()), "10025033303031100351");
}

#[test]
fn every_command_and_answer_reads_as_it_was_written() {
    let all = [CardGoes::Out, CardGoes::Captured, CardGoes::Held];
    let resets = all.into_iter().flat_map(|now| all.map(|later| Command::Reset(now, later)));
    let chip = Zeroizing::new(vec![0x10, 0x02, 0x10, 0x10, 0x03]);
    let others = [
        Command::Status,
        Command::Permit,
        Command::Deny,
        Command::Eject,
        Command::Capture,
        Command::Recapture,
        Command::Captured,
        Command::ForgetCaptured,
        Command::Press,
        Command::Release,
        Command::Activate,
        Command::Deactivate,
        Command::Exchange(Transport::T0, chip.clone()),
        Command::Exchange(Transport::T1, chip.clone()),
    ];
    for command in resets.chain(others) {
        let text = command.text().unwrap();
        assert_eq!(decode(&text.frame()), [Decoded::Text(text.clone())]);
        assert_eq!(Command::parse(&text), Some(command));
    }
    for result in [Ok(Place::Answered), Ok(Place::Nowhere), Err(ReaderError(7)), Err(ReaderError::CHIP_DEAD)]
    {
        let answer = Answer { code: *b"F0", result, data: chip.clone() };
        assert_eq!(Answer::parse(&answer.text().unwrap()), Ok(answer));
    }
    for control in [Control::Enquire, Control::Acknowledge, Control::Refuse, Control::End] {
        assert_eq!(decode(&control.bytes()), [Decoded::Control(control)]);
    }
}

#[test]
fn what_is_no_answer_or_command_is_refused() {
    for wrong in [&b"P"[..], b"P300", b"P3099", b"N30A1", b"X3001", b"N301"] {
        assert_eq!(Answer::parse(&Text::new(wrong).unwrap()), Err(AnswerError));
    }
    for wrong in [&b"C"[..], b"C1", b"C99", b"P10", b"C10x", b"C02X", b"C020D", b"C020BB"] {
        assert_eq!(Command::parse(&Text::new(wrong).unwrap()), None);
    }
    assert!(Text::new(&[]).is_none() && Text::new(&[0; MAX_TEXT + 1]).is_none());
    let long = Command::Exchange(Transport::T1, Zeroizing::new(vec![0; MAX_TEXT]));
    assert!(long.text().is_none());
}

#[test]
fn streams_are_cut_anywhere_and_broken_frames_are_told() {
    let text = Text::new(b"PF020\x10\x02\x10\x03\x90\x00").unwrap();
    let frame = text.frame();
    let mut decoder = Decoder::new();
    let mut found = Vec::new();
    for byte in frame.iter() {
        found.extend(decoder.next(&mut core::slice::from_ref(byte)));
    }
    assert_eq!(found, [Decoded::Text(text.clone())]);
    for at in 0..frame.len() {
        for bit in 0..8 {
            let mut wrong = frame.to_vec();
            wrong[at] ^= 1 << bit;
            assert!(!decode(&wrong).contains(&Decoded::Text(text.clone())), "{at} {bit}");
        }
    }
    // A frame that begins within another takes its place; an endless text ends.
    let again = [&frame[..7], &frame].concat();
    assert_eq!(decode(&again), [Decoded::Text(text)]);
    let endless = [&[DLE, STX][..], &[b'A'; 1_000]].concat();
    assert_eq!(decode(&endless), [Decoded::Bad]);
    assert_eq!(decode(&[DLE, STX, DLE, ETX, ETX]), [Decoded::Bad], "an empty text");
    assert_eq!(decode(&[DLE, STX, b'C', DLE, 0x04]), [Decoded::Control(Control::End)]);
    assert_eq!(decode(&[DLE, DLE, 0x06]), [Decoded::Control(Control::Acknowledge)]);
}

#[test]
fn the_wire_log_shows_no_card_data() {
    let number = [0x54, 0x13, 0x33, 0x00];
    let command = Command::Exchange(Transport::T0, Zeroizing::new(number.to_vec()));
    let answer = Answer { code: *b"F0", result: Ok(Place::Answered), data: Zeroizing::new(number.to_vec()) };
    let words = describe(Direction::FromHost, &command.text().unwrap().frame());
    assert_eq!(words, "to the chip, T0: 4 bytes");
    let frame = answer.text().unwrap().frame();
    assert_eq!(describe(Direction::FromDevice, &frame), "F0 Answered, 4 bytes");
    assert_eq!(describe(Direction::FromDevice, &frame[..9]), "9 bytes without a frame");
    assert_eq!(describe(Direction::FromHost, &Control::Enquire.bytes()), "ENQ");
    assert_eq!(alloc::format!("{answer:?}"), "F0 Ok(Answered) with 4 bytes");
}
