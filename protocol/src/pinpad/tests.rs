//! Frames against bytes computed by hand from the manual's words, and broken ones.

use super::*;
use crate::wire::Direction;
use alloc::{string::ToString, vec};
use data_encoding::HEXUPPER;

fn number() -> CardNumber {
    CardNumber::parse(concat!("5413", "3300", "8902", "0011")).unwrap()
}

fn decode(bytes: &[u8]) -> Vec<Decoded> {
    let (mut decoder, mut input, mut found) = (Decoder::new(), bytes, Vec::new());
    while let Some(next) = decoder.next(&mut input) {
        found.push(next);
    }
    found
}

#[test]
fn requests_have_the_bytes_of_the_manual() {
    let hex = |request: Request<'_>| HEXUPPER.encode(&request.frame().unwrap().to_bytes());
    let amount = Amount::from_tenge(1_500);
    let pin = "023730353431333333303038393032303031311C44313530302E30300376";
    assert_eq!(hex(Request::Pin(Some(&number()), amount)), pin);
    assert_eq!(hex(Request::FullKeySerial), "023741310344");
    assert_eq!(hex(Request::Cancel), "0237320306");
    assert_eq!(hex(Request::SelfTest), "0F31360E09");
    let text = |request: Request<'_>| {
        alloc::string::String::from_utf8(request.frame().unwrap().text().to_vec()).unwrap()
    };
    let key = [0xAB; 16];
    let session = text(Request::PinUnderSession(Some(&number()), amount, &key, 2));
    let digits =
        number().digits().iter().map(|digit| char::from(digit + b'0')).collect::<alloc::string::String>();
    assert_eq!(session, alloc::format!("70.{digits}\u{1c}{}1500.00\u{1c}2", "AB".repeat(16)));
    let slot = KeySlot::new(b'B').unwrap();
    let mac = text(Request::Mac(7, true, slot, &[0x12, 0xEF]));
    assert_eq!(mac, alloc::format!("Z66207B\u{1c}{}\u{1c}\u{1c}12EF", "0".repeat(32)));
    assert_eq!(text(Request::LoadKey(KeySlot::new(b'1').unwrap(), "B0080P0")), "021B0080P0");
}

#[test]
fn what_cannot_be_said_is_not_said() {
    assert!(Request::Pin(Some(&number()), Amount::from_tenge(100_000)).frame().is_none());
    assert!(Request::Pin(Some(&number()), Amount::from_tiyn(9_999_999)).frame().is_some());
    let slot = KeySlot::new(b'B').unwrap();
    assert!(Request::Mac(0, true, slot, &[]).frame().is_none());
    assert!(Request::Mac(0, true, slot, &[0; MAC_PACKET + 1]).frame().is_none());
    assert!(Request::Mac(0, true, slot, &[0; MAC_PACKET]).frame().is_some());
    assert!(Request::LoadInitialKey(&"A".repeat(MAX_TEXT)).frame().is_none());
    assert!(Request::LoadInitialKey("a\nb").frame().is_none());
    for letter in *b"AFGa:" {
        assert!(KeySlot::new(letter).is_none());
    }
}

#[test]
fn answers_are_read_and_written_the_same() {
    let block = || PinBlock::new([1, 2, 3, 4, 5, 6, 7, 0xFF]);
    let serial = KeySerial([0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0, 3]);
    let answers = [
        Answer::Pin(serial, block()),
        Answer::PinUnderSession(block()),
        Answer::PinRefused(b'A'),
        Answer::InitialKey(Ok(())),
        Answer::InitialKey(Err(b'C')),
        Answer::KeyRefused(b'D'),
        Answer::KeyPresent(true),
        Answer::KeyPresent(false),
        Answer::KeySelected(Ok(())),
        Answer::KeySelected(Err(b'1')),
        Answer::SelfTest(SelfTest::default()),
        Answer::SelfTest(SelfTest { broken: true, keys_lost: true }),
        Answer::Mac([0xA5; 8]),
        Answer::MacContinues,
        Answer::MacRefused(b'3'),
    ];
    for answer in answers {
        let frame = answer.frame().unwrap();
        assert_eq!(decode(&frame.to_bytes()), [Decoded::Frame(frame.clone())]);
        assert_eq!(Answer::parse(&frame), Ok(answer));
    }
    assert_eq!((serial.counter(), serial.device()[7..].to_vec()), (3, vec![0xE0, 0, 0]));
}

#[test]
fn a_serial_number_without_its_leading_letters_is_the_same() {
    let parse = |text: &str| Answer::parse(&Frame::new(false, text.as_bytes()).unwrap());
    let full = parse("710FFFF9876543210E000030102030405060708");
    assert!(matches!(full, Ok(Answer::Pin(..))));
    assert_eq!(parse("7109876543210E000030102030405060708"), full);
    for wrong in [
        "7109876543210102030405060708",
        "710FFFFF9876543210E000030102030405060708FF",
        "7109876543210e000030102030405060708",
        "71.003010102030405060708",
        "71.013010102030405060708",
        "71.00401010203040506070",
        "",
        "7",
        "91",
        "912X1",
        "Z67",
        "Z670123",
        "Z6712",
        "99",
    ] {
        assert_eq!(parse(wrong), Err(AnswerError), "{wrong}");
    }
    for wrong in ["16", "163", "160000", "08", "0811", "02", "021", "049", "710"] {
        assert_eq!(Answer::parse(&Frame::new(true, wrong.as_bytes()).unwrap()), Err(AnswerError), "{wrong}");
    }
    assert_eq!(AnswerError.to_string(), "no answer of this PIN pad");
}

#[test]
fn streams_are_cut_anywhere_and_broken_frames_are_told() {
    let good = Request::Pin(Some(&number()), Amount::from_tenge(1)).frame().unwrap().to_bytes();
    let mut decoder = Decoder::new();
    let mut found = Vec::new();
    for byte in good.iter() {
        let mut one = core::slice::from_ref(byte);
        found.extend(decoder.next(&mut one));
    }
    assert!(matches!(&found[..], [Decoded::Frame(_)]) && !decoder.has_begun());
    for at in 1..good.len() {
        let mut wrong = good.to_vec();
        wrong[at] ^= 0x20;
        let found = decode(&wrong);
        assert!(!found.iter().any(|found| matches!(found, Decoded::Frame(_))), "{at}");
    }
    // An endless text, a text that begins anew, and lone control bytes.
    assert_eq!(decode(&[&[STX][..], &[b'A'; 400]].concat()), [Decoded::Bad]);
    assert_eq!(decode(&[STX, b'7', STX, b'7', b'2', ETX, 0x06])[0], Decoded::Bad);
    assert_eq!(decode(&[ACK, 0xFF, NAK, EOT]), [Decoded::Ack, Decoded::Nak, Decoded::Eot]);
    // SO does not end what STX has begun.
    assert_eq!(decode(&[STX, b'7', SO]), [Decoded::Bad]);
}

#[test]
fn the_wire_log_shows_neither_number_nor_block_nor_key() {
    let serial = KeySerial([0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0, 3]);
    let request = Request::Pin(Some(&number()), Amount::from_tenge(1)).frame().unwrap();
    let answer = Answer::Pin(serial, PinBlock::new([0xC7; 8])).frame().unwrap();
    let key = Request::LoadInitialKey("B0096B1TX00N0000C7C7").frame().unwrap();
    let cut = &request.to_bytes()[..15];
    for (direction, bytes) in [
        (Direction::FromHost, &request.to_bytes()[..]),
        (Direction::FromHost, &key.to_bytes()),
        (Direction::FromHost, cut),
        (Direction::FromHost, &cut[1..]),
        (Direction::FromDevice, &answer.to_bytes()),
        // Even the wrong way round.
        (Direction::FromDevice, &request.to_bytes()),
        (Direction::FromHost, &answer.to_bytes()),
    ] {
        let line = describe(direction, bytes);
        assert!(!line.contains("5413") && !line.contains("8902") && !line.contains("C7"), "{line}");
    }
    let line = describe(Direction::FromDevice, &answer.to_bytes());
    assert_eq!(line, "PIN block (…) under key FFFF9876543210E00003");
    assert_eq!(alloc::format!("{request:?}"), "Frame(STX, 24 bytes)");
}
