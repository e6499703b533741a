//! The bytes of versions 1 to 3, frozen: messages, journal records, signed statements, QR texts, checkpoint notes.
//!
//! Kiosks in the field, their journals and the papers in people's pockets outlive every program. A test here that fails says
//! that a layout changed; the cure is a new version beside the old one, never another fixture. A *new* variant gets a new line,
//! which the failing test prints.

mod samples;

use samples::{Samples, largest};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    path::PathBuf,
};
use tolem_protocol::{
    BalanceNumber,
    catalogue::Service,
    enrolment::{Answer, Question},
    messages::{
        MAX_FRAME, MIN_VERSION, Message, Request, Response, VERSION, WireError, decode, encode, frame_length,
    },
    qr::{MAX_TEXT, Qr},
    record::{self, MAX_RECORD, Record, RecordError},
    signed::{MAX_STATEMENT, Signed, Statement},
    signed_note::{self, Checkpoint},
};

/// Bits flipped in one frame at most; longer frames are sampled.
const MAX_FLIPS: usize = 1_500;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "an odd number of digits: {text}");
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex")).collect()
}

/// The lines `name = value` of a fixture file; `#` starts a comment.
fn fixture(file: &str) -> BTreeMap<String, String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/frozen").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut values = BTreeMap::new();
    for line in lines {
        let (name, value) =
            line.split_once(" = ").unwrap_or_else(|| panic!("{file}: not `name = value`: {line}"));
        assert!(values.insert(name.into(), value.into()).is_none(), "{file}: {name} stands there twice");
    }
    values
}

/// Compares with the fixture: nothing changed, nothing vanished, nothing is missing.
fn check_frozen(file: &str, now: &BTreeMap<String, String>) {
    let frozen = fixture(file);
    for (name, value) in &frozen {
        let today = now
            .get(name)
            .unwrap_or_else(|| panic!("{file}: {name} is frozen, but no sample makes it any more"));
        assert_eq!(today, value, "{file}: {name} changed. That is a new version, not a new fixture");
    }
    let missing: Vec<String> = now
        .iter()
        .filter(|(name, _)| !frozen.contains_key(*name))
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    assert!(missing.is_empty(), "new in {file}:\n{}\n", missing.join("\n"));
}

fn check_frames<T>(file: &str, samples: &Samples<T>)
where
    T: Message + serde::de::DeserializeOwned + PartialEq + Debug,
{
    let frames = samples.iter().map(|(name, value)| (name.clone(), hex(&encode(7, value)))).collect();
    check_frozen(file, &frames);
    let frozen = fixture(file);
    for (name, value) in samples {
        let frame = from_hex(&frozen[name]);
        let length =
            frame_length(frame[..4].try_into().expect("four bytes")).expect("a frozen frame is well formed");
        assert_eq!(length, frame.len() - 4, "{name}");
        assert_eq!(decode::<T>(&frame[4..]).as_ref(), Ok(&(7, clone_of(value))), "{name}");
    }
}

/// Any message can be copied by way of its bytes.
fn clone_of<T: Message + serde::de::DeserializeOwned>(value: &T) -> T {
    decode(&encode(0, value)[4..]).expect("what was encoded decodes").1
}

#[test]
fn requests_are_frozen() {
    check_frames("requests.txt", &samples::requests());
}

#[test]
fn responses_are_frozen() {
    check_frames("responses.txt", &samples::responses());
}

#[test]
fn words_of_enrolment_are_frozen() {
    check_frames("enrolment-questions.txt", &samples::enrolment_questions());
    check_frames("enrolment-answers.txt", &samples::enrolment_answers());
}

#[test]
fn journal_records_are_frozen() {
    let samples = samples::records();
    let bytes = samples.iter().map(|(name, record)| (name.clone(), hex(&record.to_bytes()))).collect();
    check_frozen("records.txt", &bytes);
    let frozen = fixture("records.txt");
    for (name, record) in &samples {
        assert_eq!(Record::from_bytes(&from_hex(&frozen[name])).as_ref(), Ok(record), "{name}");
    }
}

#[test]
fn every_variant_has_a_sample() {
    // The first byte is the variant. A number without a variant is another error than a variant without its content, so the
    // count of samples is the count of variants.
    fn check<T: serde::de::DeserializeOwned + Debug>(what: &str, variants: impl Iterator<Item = u8>) {
        let found: BTreeSet<u8> = variants.collect();
        let count = u8::try_from(found.len()).expect("fewer than 128 variants");
        assert_eq!(found, (0..count).collect(), "{what}: a variant has no sample");
        let next = postcard::take_from_bytes::<T>(&[count]).map(|_| ());
        assert_eq!(next, Err(postcard::Error::SerdeDeCustom), "{what}: variant {count} has no sample");
    }
    check::<Request>("Request", samples::requests().iter().map(|(_, request)| encode(0, request)[9]));
    let questions = samples::enrolment_questions();
    check::<Question>("Question", questions.iter().map(|(_, question)| encode(0, question)[9]));
    let answers = samples::enrolment_answers();
    check::<Answer>("Answer", answers.iter().map(|(_, answer)| encode(0, answer)[9]));
    check::<Response>("Response", samples::responses().iter().map(|(_, response)| encode(0, response)[9]));
    let facts = samples::records();
    let variant = |record: &Record| postcard::to_allocvec(&record.fact).expect("a fact encodes")[0];
    check::<record::Fact>("Fact", facts.iter().map(|(_, record)| variant(record)));
}

fn check_statement<T: Statement + PartialEq + Debug>(
    lines: &mut BTreeMap<String, String>,
    name: &str,
    statement: &T,
) {
    let signed = samples::signed(statement);
    lines.insert(format!("{name}/signed"), hex(&signed.to_bytes()));
    // The digest covers context and body: what the signature is about.
    lines.insert(format!("{name}/digest"), hex(&signed.digest()));
    let frozen = &fixture("statements.txt");
    if let Some(bytes) = frozen.get(&format!("{name}/signed")) {
        let back = Signed::<T>::from_bytes(&from_hex(bytes)).expect("a frozen statement decodes");
        assert_eq!(back, signed, "{name}");
        assert_eq!(back.read_unverified().as_ref(), Some(statement), "{name}");
    }
}

#[test]
fn signed_statements_are_frozen() {
    let mut lines = BTreeMap::new();
    check_statement(&mut lines, "quote", &samples::quote());
    check_statement(&mut lines, "quote/plain", &samples::plain_quote());
    check_statement(&mut lines, "deposit", &samples::deposit());
    check_statement(&mut lines, "deposit/no-payment", &samples::deposit_without_payment());
    check_statement(&mut lines, "outcome/accepted", &samples::accepted());
    check_statement(&mut lines, "outcome/held", &samples::held());
    check_statement(&mut lines, "code-token", &samples::token());
    check_statement(&mut lines, "enrol", &samples::enrol());
    lines.insert("service/digest".into(), hex(&samples::service().digest()));
    check_frozen("statements.txt", &lines);
}

#[test]
fn papers_and_notes_are_frozen() {
    let papers = [
        ("qr/code", Qr::Code(samples::signed(&samples::token()))),
        ("qr/deposit", Qr::Deposit(samples::signed(&samples::deposit()))),
        ("qr/balance", Qr::Balance(BalanceNumber::from_payload(20_261_122_123))),
    ];
    let mut lines: BTreeMap<String, String> =
        papers.iter().map(|(name, qr)| ((*name).to_owned(), qr.encode())).collect();
    let (checkpoint, key, witness) = samples::checkpoint();
    let note = signed_note::sign(&checkpoint.text(), &key, |_| samples::SIGNATURE);
    let line =
        signed_note::cosignature_line(&checkpoint.text(), &witness, 1_795_334_400, |_| samples::SIGNATURE);
    lines.insert("note/checkpoint".into(), note.escape_debug().to_string());
    lines.insert("note/cosignature".into(), line.escape_debug().to_string());
    lines.insert("note/vkey".into(), key.to_vkey());
    lines.insert("note/witness-vkey".into(), witness.to_vkey());
    check_frozen("papers.txt", &lines);

    let frozen = fixture("papers.txt");
    for (name, qr) in papers {
        assert_eq!(Qr::parse(&frozen[name]), Ok(qr), "{name}");
    }
    let (text, signatures) = signed_note::split(&note).expect("a note");
    assert_eq!((Checkpoint::parse(text), signatures.len()), (Some(checkpoint), 1));
}

// Hostile bytes.

/// xorshift64: the same flips on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// All bits of short bytes, a seeded sample of long ones.
fn flips(bytes: &[u8]) -> Vec<usize> {
    let bits = bytes.len() * 8;
    if bits <= MAX_FLIPS {
        return (0..bits).collect();
    }
    let mut dice = Dice(0x7011_E705 ^ bits as u64);
    (0..MAX_FLIPS).map(|_| dice.below(bits)).collect()
}

fn torment<T>(samples: &Samples<T>)
where
    T: Message + serde::de::DeserializeOwned + PartialEq + Debug,
{
    for (name, value) in samples {
        let frame = &encode(7, value)[4..];
        for length in 0..frame.len() {
            let error = if length < 5 { WireError::Length(length as u32) } else { WireError::Body };
            assert_eq!(decode::<T>(&frame[..length]), Err(error), "{name} cut to {length} bytes");
        }
        for tail in [0, 1, 0xFF] {
            let long = [frame, &[tail]].concat();
            assert_eq!(decode::<T>(&long), Err(WireError::Body), "{name} with a byte too many");
        }
        for version in [0, VERSION + 1, 255] {
            let other = [&[version], &frame[1..]].concat();
            assert_eq!(decode::<T>(&other), Err(WireError::Version(version)), "{name}");
        }
        for version in MIN_VERSION..=VERSION {
            // A version has its own messages and all older ones.
            let other = [&[version], &frame[1..]].concat();
            let known = value.version() <= version;
            assert_eq!(decode::<T>(&other).is_ok(), known, "{name} in version {version}");
        }
        for bit in flips(frame) {
            let mut wrong = frame.to_vec();
            wrong[bit / 8] ^= 1 << (bit % 8);
            if let Ok((number, understood)) = decode::<T>(&wrong) {
                // What is understood can be said again and is understood the same.
                assert_eq!(
                    decode::<T>(&encode(number, &understood)[4..]),
                    Ok((number, understood)),
                    "{name}, bit {bit}"
                );
            }
        }
    }
}

#[test]
fn damaged_requests_are_refused_or_understood_but_never_fatal() {
    torment(&samples::requests());
}

#[test]
fn damaged_responses_are_refused_or_understood_but_never_fatal() {
    torment(&samples::responses());
    torment(&samples::enrolment_questions());
    torment(&samples::enrolment_answers());
}

#[test]
fn damaged_records_are_refused_or_understood_but_never_fatal() {
    for (name, record) in samples::records() {
        let bytes = record.to_bytes();
        for length in 0..bytes.len() {
            assert_eq!(
                Record::from_bytes(&bytes[..length]),
                Err(RecordError::Body),
                "{name} cut to {length} bytes"
            );
        }
        assert_eq!(Record::from_bytes(&[&bytes[..], &[0]].concat()), Err(RecordError::Body), "{name}");
        for version in [0, 2, 255] {
            let other = [&[version], &bytes[1..]].concat();
            assert_eq!(Record::from_bytes(&other), Err(RecordError::Version(version)), "{name}");
        }
        for bit in flips(&bytes) {
            let mut wrong = bytes.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            if let Ok(understood) = Record::from_bytes(&wrong) {
                assert_eq!(Record::from_bytes(&understood.to_bytes()), Ok(understood), "{name}, bit {bit}");
            }
        }
    }
}

#[test]
fn lengths_outside_the_bounds_are_named() {
    assert_eq!((MIN_VERSION, VERSION, record::VERSION), (1, 4, 1));
    let most = MAX_FRAME as u32;
    for length in [0, 1, 5, most + 1, 0x0100_0000, u32::MAX] {
        assert_eq!(frame_length(length.to_be_bytes()), Err(WireError::Length(length)));
    }
    for length in [6, most] {
        assert_eq!(frame_length(length.to_be_bytes()), Ok(length as usize));
    }
    assert_eq!(
        WireError::Length(9_000).to_string(),
        format!("frame of 9000 bytes, allowed are 6..={MAX_FRAME}")
    );
}

// The bounds hold: every type filled to its capacity still fits.

#[test]
fn the_largest_messages_fit_a_frame() {
    fn check<T: Message + serde::de::DeserializeOwned + PartialEq + Debug>(samples: &Samples<T>) {
        for (name, value) in samples {
            let frame = encode(u32::MAX, value);
            let length = frame_length(frame[..4].try_into().expect("four bytes"));
            assert_eq!(length, Ok(frame.len() - 4), "{name}: {} of {MAX_FRAME} bytes", frame.len());
            assert!(decode::<T>(&frame[4..]) == Ok((u32::MAX, clone_of(value))), "{name}");
        }
    }
    check(&largest::requests());
    check(&largest::responses());
    check(&largest::enrolment_questions());
    check(&largest::enrolment_answers());
}

#[test]
fn the_largest_records_fit() {
    for (name, record) in largest::records() {
        let bytes = record.to_bytes();
        assert!(bytes.len() <= MAX_RECORD, "{name}: {} of {MAX_RECORD} bytes", bytes.len());
        assert_eq!(Record::from_bytes(&bytes).as_ref(), Ok(&record), "{name}");
    }
}

#[test]
fn the_largest_statements_fit_their_bounds_and_a_qr_text() {
    fn size<T: Statement>(statement: &T) -> usize {
        // Panics if it does not fit.
        samples::signed(statement).to_bytes().len()
    }
    let sizes = [
        size(&largest::quote()),
        size(&largest::deposit()),
        size(&largest::outcome()),
        size(&largest::token()),
        size(&largest::enrol()),
    ];
    // Length field and signature stand beside the body.
    assert!(sizes.iter().all(|size| *size <= MAX_STATEMENT + 66), "{sizes:?}");
    for qr in [
        Qr::Code(samples::signed(&largest::token())),
        Qr::Deposit(samples::signed(&largest::deposit())),
        Qr::Deposit(largest::signed()),
    ] {
        let text = qr.encode();
        assert!(text.len() <= MAX_TEXT, "{} of {MAX_TEXT}", text.len());
        assert_eq!(Qr::parse(&text), Ok(qr));
    }
}

#[test]
fn the_largest_service_can_be_digested() {
    let service: Service = largest::service();
    let size = postcard::to_allocvec(&service).expect("plain data encodes").len();
    // `Service::digest` has a buffer of this size and panics beyond it.
    assert!(size <= 3_072, "{size}");
    assert_ne!(service.digest(), samples::service().digest());
}
