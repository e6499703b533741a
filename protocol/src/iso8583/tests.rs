//! Messages written by pyiso8583 4.0.1 (ASCII, binary bitmaps): read, compared field by field, written again.

use super::*;
use alloc::{string::ToString, vec};
use data_encoding::HEXUPPER;

/// Name, type, fields with binary ones in hexadecimal digits, bytes.
type Vector = (&'static str, &'static str, &'static [(u8, &'static str)], &'static str);

const VECTORS: [Vector; 4] = [
    (
        "0200 sale, chip, online PIN",
        "0200",
        &[
            (2, concat!("5413", "3300", "8902", "0011")),
            (3, "000000"),
            (4, "000000150000"),
            (7, "1122070000"),
            (11, "000123"),
            (12, "120000"),
            (13, "1122"),
            (14, "3012"),
            (18, "9399"),
            (22, "051"),
            (23, "001"),
            (25, "00"),
            (35, concat!("5413", "3300", "8902", "0011", "D301220100000000000")),
            (37, "632612000123"),
            (41, "KSK00001"),
            (42, "KIOSKTEST000001"),
            (49, "398"),
            (52, "78A1C4115DB580CC"),
            (
                55,
                concat!(
                    "9F260888DEE9570C7FBD529F2701809F10120110A00003220000000000000000000000FF9F3704DE",
                    "ADBEEF9F36020001950580000400009A032611229C01009F02060000001500005F2A020398820218",
                    "009F1A0203989F03060000000000009F33036040009F34034203009F3501248407A0000000041010"
                ),
            ),
        ],
        concat!(
            "30323030723C468028C092003136353431333333303038393032303031313030303030303030303030303135",
            "3030303031313232303730303030303030313233313230303030313132323330313239333939303531303031",
            "3030333535343133333330303839303230303131443330313232303130303030303030303030303633323631",
            "323030303132334B534B30303030314B494F534B5445535430303030303133393878A1C4115DB580CC313230",
            "9F260888DEE9570C7FBD529F2701809F10120110A00003220000000000000000000000FF9F3704DEADBEEF9F",
            "36020001950580000400009A032611229C01009F02060000001500005F2A020398820218009F1A0203989F03",
            "060000000000009F33036040009F34034203009F3501248407A0000000041010",
        ),
    ),
    (
        "0210 declined 51",
        "0210",
        &[
            (3, "000000"),
            (4, "000000150000"),
            (7, "1122070001"),
            (11, "000123"),
            (37, "632612000123"),
            (39, "51"),
            (41, "KSK00001"),
            (42, "KIOSKTEST000001"),
            (49, "398"),
        ],
        concat!(
            "30323130322000000AC080003030303030303030303030303135303030303131323230373030303130303031",
            "323336333236313230303031323335314B534B30303030314B494F534B54455354303030303031333938",
        ),
    ),
    (
        "0421 repeat",
        "0421",
        &[
            (2, concat!("5413", "3300", "8902", "0011")),
            (3, "000000"),
            (4, "000000150000"),
            (7, "1122070000"),
            (11, "000124"),
            (12, "120000"),
            (13, "1122"),
            (14, "3012"),
            (18, "9399"),
            (22, "051"),
            (23, "001"),
            (25, "00"),
            (37, "632612000123"),
            (39, "68"),
            (41, "KSK00001"),
            (42, "KIOSKTEST000001"),
            (49, "398"),
            (90, "020000012311220700000000000000000000000000"),
        ],
        concat!(
            "30343231F23C46800AC080000000004000000000313635343133333330303839303230303131303030303030",
            "3030303030303135303030303131323230373030303030303031323431323030303031313232333031323933",
            "3939303531303031303036333236313230303031323336384B534B30303030314B494F534B54455354303030",
            "3030313339383032303030303031323331313232303730303030303030303030303030303030303030303030",
            "30303030",
        ),
    ),
    (
        "0800 sign-on",
        "0800",
        &[(7, "1122070000"), (11, "000001"), (70, "001")],
        "303830308220000000000000040000000000000031313232303730303030303030303031303031",
    ),
];

fn vector(at: usize) -> Vec<u8> {
    HEXUPPER.decode(VECTORS[at].3.as_bytes()).unwrap()
}

#[test]
fn messages_of_another_implementation_read_and_write_the_same() {
    for (name, kind, fields, hex) in VECTORS {
        let bytes = HEXUPPER.decode(hex.as_bytes()).unwrap();
        let message = Message::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(message.kind.0, kind.as_bytes(), "{name}");
        let mut built = Message::new(MessageType(kind.as_bytes().try_into().unwrap()));
        for (field, value) in fields {
            let binary = matches!(shape(*field), Some(Shape::Bytes(_) | Shape::VarBytes(_)));
            let value =
                if binary { HEXUPPER.decode(value.as_bytes()).unwrap() } else { value.as_bytes().to_vec() };
            assert_eq!(message.get(*field), Some(&value[..]), "{name}: field {field}");
            built.set(*field, &value).unwrap();
        }
        assert_eq!(built, message, "{name}");
        assert_eq!(*message.encode(), bytes, "{name}");
    }
}

#[test]
fn cut_and_longer_messages_are_refused_and_no_byte_is_skipped() {
    for at in 0..VECTORS.len() {
        let bytes = vector(at);
        for length in 0..bytes.len() {
            assert!(Message::decode(&bytes[..length]).is_err(), "{at}: {length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Message::decode(&longer), Err(DecodeError::Trailing(1)));
        for changed in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[changed] ^= 0x80;
            // What is still a message is another one, and writes as it was read.
            if let Ok(message) = Message::decode(&wrong) {
                assert_eq!(*message.encode(), wrong);
            }
        }
    }
}

#[test]
fn wrong_fields_are_refused_by_name() {
    let mut message = Message::new(MessageType::AUTHORIZATION);
    for (field, value, error) in [
        (3, &b"00000"[..], FieldError::Length),
        (3, b"00000x", FieldError::Character),
        (2, b"", FieldError::Length),
        (2, &[b'1'; 20], FieldError::Length),
        (35, b"12345678", FieldError::Character),
        (35, b"1234=56=78", FieldError::Character),
        (52, &[0; 7], FieldError::Length),
        (39, b"\x7F0", FieldError::Character),
        (5, b"0", FieldError::Unknown),
    ] {
        assert_eq!(message.set(field, value), Err(error), "{field}");
    }
    assert_eq!(message.need(2), Err(FieldError::Missing));
    let unknown = [&b"0100"[..], &[0x08, 0, 0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(Message::decode(&unknown), Err(DecodeError::Unknown(5)));
    assert_eq!(Message::decode(b"1100"), Err(DecodeError::Type));
    assert_eq!(Message::decode(b"010x00000000"), Err(DecodeError::Type));
    let long = [&b"0100"[..], &[0x40, 0, 0, 0, 0, 0, 0, 0], b"20", &[b'1'; 20]].concat();
    assert_eq!(Message::decode(&long), Err(DecodeError::Field(2, FieldError::Length)));
    assert_eq!(DecodeError::Field(2, FieldError::Cut).to_string(), "field 2: the message ends within it");
}

#[test]
fn sums_are_minor_units_and_originals_name_their_message() {
    let mut message = Message::decode(&vector(0)).unwrap();
    assert_eq!(message.amount(), Some(Amount::from_tenge(1_500)));
    message.set_amount(Amount::from_tiyn(999_999_999_999)).unwrap();
    assert_eq!(message.set_amount(Amount::from_tiyn(1_000_000_000_000)), Err(FieldError::Length));
    let original = Original::of(&message).unwrap();
    let field = original.to_field();
    assert_eq!(field.len(), 42);
    assert_eq!(&field[..20], b"02000001231122070000");
    assert_eq!(Original::parse(&field), Some(original));
    assert_eq!(Original::of(&Message::new(MessageType::NETWORK)), None);
    let kinds =
        [MessageType::AUTHORIZATION, MessageType::ADVICE, MessageType::REVERSAL_REPEAT, MessageType::NETWORK];
    let answers = vec![
        MessageType::AUTHORIZATION_ANSWER,
        MessageType::ADVICE_ANSWER,
        MessageType::REVERSAL_ANSWER,
        MessageType::NETWORK_ANSWER,
    ];
    assert_eq!(kinds.map(|kind| kind.answer().unwrap()).to_vec(), answers);
    assert!(answers.iter().all(|kind| kind.answer().is_none()));
}

#[test]
fn what_is_shown_of_a_message_is_not_the_cards() {
    let message = Message::decode(&vector(0)).unwrap();
    let shown = alloc::format!("{message:?}");
    assert!(shown.starts_with("0200 2 3 4=000000150000 7=1122070000 11=000123"), "{shown}");
    assert!(!shown.contains("5413") && !shown.contains("78A1") && !shown.contains("3012"), "{shown}");
}
