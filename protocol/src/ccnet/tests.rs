//! Frozen bytes of CCNET 2.6.0 and hostile streams.

use super::*;
use alloc::{format, string::ToString, vec, vec::Vec as List};
use expect_test::expect;

fn hex(text: &str) -> List<u8> {
    let digits: List<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Everything that a decoder finds when `bytes` come in chunks of `size` and then the line falls silent.
fn decode(bytes: &[u8], size: usize) -> List<Decoded> {
    let mut decoder = Decoder::new();
    let mut found = List::new();
    for mut chunk in bytes.chunks(size) {
        while let Some(next) = decoder.next(&mut chunk) {
            found.push(next);
        }
    }
    while let Some(next) = decoder.expire() {
        found.push(next);
    }
    found
}

fn payloads(found: &[Decoded]) -> List<List<u8>> {
    found
        .iter()
        .filter_map(|found| match found {
            Decoded::Frame(frame) => Some(frame.payload.to_vec()),
            Decoded::BadCrc => None,
        })
        .collect()
}

#[test]
fn the_checksum_is_kermit() {
    assert_eq!(crc16(b"123456789"), 0x2189);
}

#[test]
fn host_frames_are_frozen() {
    let low_three = TypeMask::new(0b111);
    for (command, bytes) in [
        (Command::Ack, "02030600 c282"),
        (Command::Nak, "020306ff ba8d"),
        (Command::Reset, "02030630 41b3"),
        (Command::GetStatus, "02030631 c8a2"),
        (Command::Poll, "02030633 da81"),
        (Command::EnableBillTypes { accept: low_three, escrow: low_three }, "02030c34000007000007 892f"),
        (
            Command::EnableBillTypes { accept: TypeMask::NONE, escrow: TypeMask::NONE },
            "02030c34000000000000 170c",
        ),
        (Command::Stack, "02030635 ece4"),
        (Command::Return, "02030636 77d6"),
        (Command::Identification, "02030637 fec7"),
        (Command::Hold, "02030638 093f"),
        (Command::GetBillTable, "02030641 4fd1"),
        (Command::SetSecurity(TypeMask::NONE), "02030932000000 261f"),
    ] {
        assert_eq!(command.frame().as_slice(), hex(bytes), "{command:?}");
        let found = decode(&command.frame(), 1);
        assert_eq!(Command::parse(&payloads(&found)[0]), Ok(command));
    }
    for command in [Command::StackedCounter, Command::Other(0x68)] {
        assert_eq!(Command::parse(&payloads(&decode(&command.frame(), 3))[0]), Ok(command));
    }
}

#[test]
fn device_frames_are_frozen() {
    for (status, bytes) in [
        (PollStatus::PowerUp, "02030610 4392"),
        (PollStatus::PowerUpBillInValidator, "02030611 ca83"),
        (PollStatus::PowerUpBillInStacker, "02030612 51b1"),
        (PollStatus::Initialize, "02030613 d8a0"),
        (PollStatus::Idling, "02030614 67d4"),
        (PollStatus::Disabled, "02030619 820f"),
        (PollStatus::Escrow(3), "0203078003 1701"),
        (PollStatus::Stacked(3), "0203078103 cf18"),
        (PollStatus::Returned(3), "0203078203 a732"),
        (PollStatus::Rejecting(RejectReason::Insertion), "0203071c60 77e0"),
        (PollStatus::Failure(FailureCode::StackerMotor), "0203074750 abe6"),
        (PollStatus::Busy(5), "0203071b05 d499"),
    ] {
        assert_eq!(Reply::Data(&status.payload()).frame().unwrap().as_slice(), hex(bytes), "{status:?}");
    }
    for (reply, bytes) in
        [(Reply::Ack, "02030600 c282"), (Reply::Nak, "020306ff ba8d"), (Reply::Illegal, "02030630 41b3")]
    {
        let frame = reply.frame().unwrap();
        assert_eq!(frame.as_slice(), hex(bytes));
        assert_eq!(Reply::parse(&payloads(&decode(&frame, 2))[0]), reply);
    }
}

#[test]
fn every_poll_answer_reads_back_as_itself() {
    for first in 0..=255 {
        for data in [&[first][..], &[first, 0], &[first, 3], &[first, 0xFF]] {
            if let Ok(status) = PollStatus::parse(data) {
                assert_eq!(PollStatus::parse(&status.payload()), Ok(status), "{data:02x?}");
            }
        }
    }
    for cut in [0x80, 0x81, 0x82] {
        assert_eq!(PollStatus::parse(&[cut]), Err(ParseError::Length(1)));
    }
    assert_eq!(PollStatus::parse(&[]), Err(ParseError::Length(0)));
    assert_eq!(PollStatus::parse(&[0x81, 1, 0]), Err(ParseError::Length(3)));
    assert_eq!(PollStatus::parse(&[0x81, 0xFE]), Ok(PollStatus::Stacked(0xFE)));
    for reason in RejectReason::KNOWN {
        assert_eq!(RejectReason::from_code(reason.code()), *reason);
    }
    for code in FailureCode::KNOWN {
        assert_eq!(FailureCode::from_code(code.code()), *code);
    }
}

#[test]
fn masks_send_the_highest_types_first() {
    assert_eq!(TypeMask::new(1 << 2).to_bytes(), [0, 0, 4]);
    assert_eq!(TypeMask::new(1 << 23).to_bytes(), [0x80, 0, 0]);
    assert_eq!(TypeMask::from_bytes([0, 1, 0]), TypeMask::new(1 << 8));
    assert_eq!(TypeMask::new(u32::MAX).bits(), 0x00FF_FFFF);
    assert!(TypeMask::new(4).contains(2) && !TypeMask::new(4).contains(3) && !TypeMask::new(4).contains(200));
}

#[test]
fn bill_values_follow_significand_and_exponent() {
    let kzt = *b"KZT";
    for (bytes, value) in [
        ([0x02, b'K', b'Z', b'T', 0x02], Some(200)),
        ([0x02, b'K', b'Z', b'T', 0x04], Some(20_000)),
        ([0x14, b'K', b'Z', b'T', 0x81], Some(2)),
        ([0x05, b'K', b'Z', b'T', 0x81], None),
        ([0xFF, b'K', b'Z', b'T', 0x09], None),
        ([0xFF, b'K', b'Z', b'T', 0x7F], None),
        ([0x01, b'K', b'Z', b'T', 0xFF], None),
    ] {
        let table = BillTable::parse(&bytes).unwrap();
        assert_eq!(table.0[0].unwrap().value(), value, "{bytes:02x?}");
        assert_eq!(table.payload()[..5], bytes);
    }
    for value in [1, 20, 500, 1000, 2000, 5000, 10_000, 20_000] {
        assert_eq!(BillEntry::from_value(kzt, value).unwrap().value(), Some(value));
    }
    assert_eq!(BillEntry::from_value(kzt, 0), None);
    assert_eq!(BillEntry::from_value(kzt, 12_345), None);
}

#[test]
fn a_bill_table_may_have_holes_and_a_cut_end() {
    let mut table = BillTable::default();
    table.0[3] = BillEntry::from_value(*b"KZT", 2000);
    assert_eq!(BillTable::parse(&table.payload()), Ok(table));
    assert_eq!(BillTable::parse(&table.payload()[..20]), Ok(table));
    assert_eq!(BillTable::parse(&[0; 4]), Err(ParseError::Length(4)));
    assert_eq!(BillTable::parse(&[0; 121]), Err(ParseError::Length(121)));
}

#[test]
fn identification_is_trimmed_and_made_printable() {
    let id = Identification::new("SM-KZ1353", "12KC004711", [1; 7]);
    assert_eq!(Identification::parse(&id.payload()), Ok(id));
    assert_eq!((id.part_text().as_str(), id.serial_text().as_str()), ("SM-KZ1353", "12KC004711"));
    let odd = Identification { part: *b"\0\0 A\xffB\n        ", serial: [0; 12], asset: [0; 7] };
    assert_eq!((odd.part_text().as_str(), odd.serial_text().as_str()), ("A?B?", ""));
    assert_eq!(Identification::parse(&[0; 33]), Err(ParseError::Length(33)));
    assert_eq!(Identification::parse(&[0; 35]), Err(ParseError::Length(35)));
}

#[test]
fn status_and_counter_read_back() {
    let status = Status { enabled: TypeMask::new(5), high_security: TypeMask::new(1 << 20) };
    assert_eq!(Status::parse(&status.payload()), Ok(status));
    assert_eq!(Status::parse(&[0; 5]), Err(ParseError::Length(5)));
    assert_eq!(parse_counter(&counter_payload(0x0102)), Ok(0x0102));
    assert_eq!(counter_payload(0x0102), [1, 2]);
    assert_eq!(parse_counter(&[1]), Err(ParseError::Length(1)));
}

#[test]
fn malformed_commands_are_named() {
    assert_eq!(Command::parse(&[]), Err(ParseError::Length(0)));
    assert_eq!(Command::parse(&[0x34, 0, 0, 7]), Err(ParseError::Length(4)));
    assert_eq!(Command::parse(&[0x33, 0]), Err(ParseError::Length(2)));
    assert_eq!(ParseError::Length(2).to_string(), "a payload of 2 bytes does not fit here");
    assert_eq!(encode(3, &[]), None);
    assert_eq!(encode(3, &[0; MAX_PAYLOAD + 1]), None);
    assert_eq!(encode(3, &[0; MAX_PAYLOAD]).unwrap().len(), MAX_FRAME);
}

#[test]
fn frames_are_found_in_any_split_and_between_noise() {
    // Noise without SYNC, a SYNC of nobody, a long frame (LNG 0), LNG 5, then two frames whose payload contains 02.
    let mut stream = hex("ff 80 02 00 02 10 06 02 03 00 02 03 05 02 02");
    stream.extend(Reply::Data(&[0x81, 0x02]).frame().unwrap());
    stream.extend(hex("13 37"));
    stream.extend(Command::Poll.frame());
    for size in 1..=stream.len() {
        assert_eq!(payloads(&decode(&stream, size)), [vec![0x81, 0x02], vec![0x33]], "chunks of {size}");
    }
}

#[test]
fn a_broken_frame_is_reported_and_does_not_eat_the_next() {
    let good = Command::Poll.frame();
    for bit in 24..48 {
        let mut stream = Command::GetBillTable.frame().to_vec();
        stream[bit / 8] ^= 1 << (bit % 8);
        stream.extend_from_slice(&good);
        let found = decode(&stream, 1);
        assert!(found.contains(&Decoded::BadCrc), "bit {bit}");
        assert_eq!(payloads(&found).last().unwrap(), &[0x33], "bit {bit}");
    }
}

#[test]
fn noise_that_looks_like_a_long_frame_hides_a_frame_until_the_line_falls_silent() {
    let mut stream = hex("02 03 ff");
    stream.extend(Command::Stack.frame());
    let mut decoder = Decoder::new();
    assert_eq!(decoder.next(&mut stream.as_slice()), None);
    assert_eq!(decoder.pending().len(), stream.len());
    assert!(matches!(decoder.expire(), Some(Decoded::Frame(frame)) if frame.payload == [0x35]));
    assert_eq!(decoder.expire(), None);
}

/// xorshift64: the same noise in every run.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed;
    core::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[4]
    })
}

#[test]
fn endless_noise_never_panics_and_the_buffer_stays_bounded() {
    for seed in 1..=20 {
        let mut decoder = Decoder::new();
        // Every second byte is one that frames are made of.
        let mut bytes = noise(seed);
        let shaped = noise(seed + 100).map(|byte| match byte {
            0..=60 => SYNC,
            61..=120 => ADDRESS,
            121..=180 => 6,
            _ => bytes.next().unwrap(),
        });
        for byte in shaped.take(20_000) {
            let mut input = &[byte][..];
            while let Some(found) = decoder.next(&mut input) {
                if let Decoded::Frame(frame) = found {
                    let _ = Command::parse(&frame.payload);
                    let _ = describe(Direction::FromDevice, &encode(frame.address, &frame.payload).unwrap());
                }
            }
            assert!(input.is_empty() && decoder.pending().len() < MAX_FRAME);
        }
        while decoder.expire().is_some() {}
        assert!(decoder.pending().is_empty());
        let mut input: &[u8] = &Command::Poll.frame();
        assert!(matches!(decoder.next(&mut input), Some(Decoded::Frame(_))));
    }
}

#[test]
fn payload_parsers_take_any_bytes() {
    let mut bytes = noise(7);
    for length in 0..200 {
        let data: List<u8> = bytes.by_ref().take(length).collect();
        let _ = (Command::parse(&data), Reply::parse(&data), PollStatus::parse(&data), Status::parse(&data));
        let _ = parse_counter(&data);
        if let Ok(table) = BillTable::parse(&data) {
            let _ = table.0.iter().flatten().filter_map(BillEntry::value).count();
        }
        if let Ok(id) = Identification::parse(&data) {
            let _ = (id.part_text(), id.serial_text());
        }
        let _ = describe(Direction::FromHost, &data);
    }
}

#[test]
fn descriptions_are_one_line_for_people() {
    let host = |command: Command| describe(Direction::FromHost, &command.frame());
    let device = |data: &[u8]| describe(Direction::FromDevice, &Reply::Data(data).frame().unwrap());
    let mut table = BillTable::default();
    table.0[1] = BillEntry::from_value(*b"KZT", 500);
    table.0[2] = BillEntry::from_value(*b"KZT", 1000);
    let types = TypeMask::new(6);
    let mut two = Command::Ack.frame().to_vec();
    two.extend(Command::Poll.frame());
    let lines = [
        host(Command::Poll),
        host(Command::EnableBillTypes { accept: types, escrow: types }),
        host(Command::SetSecurity(TypeMask::NONE)),
        host(Command::Other(0x68)),
        describe(Direction::FromHost, &encode(3, &[0x34, 1]).unwrap()),
        describe(Direction::FromHost, &encode(5, &[0x33]).unwrap()),
        describe(Direction::FromHost, &two),
        device(&[0x81, 3]),
        device(&[0x1C, 0x60]),
        device(&[0x47, 0x77]),
        device(&[0x1B, 5]),
        device(&[0x30]),
        device(&types.to_bytes()),
        device(&Status { enabled: types, high_security: TypeMask::NONE }.payload()),
        device(&Identification::new("SM-KZ1353", "12KC004711", [0; 7]).payload()),
        device(&table.payload()),
        describe(Direction::FromDevice, &hex("02030633da82")),
        describe(Direction::FromDevice, &[0x41; 20]),
    ];
    let text: alloc::string::String = lines.iter().map(|line| format!("{line}\n")).collect();
    expect![[r#"
        POLL
        ENABLE BILL TYPES 000006 escrow 000006
        SET SECURITY 000000
        command 68 (unknown)
        command 34: a payload of 2 bytes does not fit here
        for address 05: 33
        ACK | POLL
        STACKED type 3
        REJECTING 60 insertion
        FAILURE 77 unknown
        BUSY 500 ms
        ILLEGAL COMMAND
        data 00 00 06
        status: enabled 000006, high security 000000
        part "SM-KZ1353", serial "12KC004711"
        bill table 1=KZT500 2=KZT1000
        bad checksum
        no frame: 41 41 41 41 41 41 41 41 41 41 41 41 41 41 41 41 ... 20 bytes
    "#]]
    .assert_eq(&text);
}

/// Found by `cargo swarm --seed 1537`: the answer to IDENTIFICATION came twice, and the second was read as a table without tenge.
#[test]
fn the_answer_to_another_question_is_no_table() {
    let identification = Identification::new("SM-KZ1353", "12KC004711", [0; 7]).payload();
    assert_eq!(BillTable::parse(&identification), Err(ParseError::Length(identification.len())));
    assert_eq!(BillTable::parse(&[0; 6]), Err(ParseError::Length(6)), "GET STATUS");
    assert_eq!(BillTable::parse(&[0; 120]), Ok(BillTable::default()));
    assert!(BillTable::parse(b"\x05KZT\x02").is_ok(), "cut behind its last entry");
}
