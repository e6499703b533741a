//! Targets: what PIN pads and card readers say.

use tolem_protocol::{
    Amount,
    emv::CardNumber,
    pinpad::{self, Answer, Decoded, Decoder, Frame, KeySerial, KeySlot, MAX_TEXT, PinBlock, Request, SelfTest},
    wire::Direction,
};

fn found(bytes: &[u8], size: usize) -> Vec<Decoded> {
    let (mut decoder, mut found) = (Decoder::new(), Vec::new());
    for mut piece in bytes.chunks(size) {
        while let Some(next) = decoder.next(&mut piece) {
            found.push(next);
        }
        assert!(piece.is_empty(), "a piece is used up before the decoder asks for more");
    }
    assert!(found.len() <= bytes.len(), "each finding uses a byte up");
    found
}

/// Any stream, in any pieces: the same messages, each of which encodes to bytes that decode to it alone, and answers that are written as
/// they were read. No line for people shows a run of digits that could be a card.
pub fn pin_pad(bytes: &[u8]) {
    let all = found(bytes, bytes.len().max(1));
    assert_eq!(all, found(bytes, 1), "how a stream is cut changes nothing");
    assert_eq!(all, found(bytes, 7), "how a stream is cut changes nothing");
    for frame in &all {
        let Decoded::Frame(frame) = frame else { continue };
        assert!(frame.text().len() <= MAX_TEXT);
        let again = frame.to_bytes();
        assert_eq!(found(&again, again.len()), [Decoded::Frame(frame.clone())]);
        if let Ok(answer) = Answer::parse(frame)
            && let Some(written) = answer.frame()
        {
            assert_eq!(Answer::parse(&written), Ok(answer));
        }
    }
    for direction in [Direction::FromHost, Direction::FromDevice] {
        let words = pinpad::describe(direction, bytes);
        assert!(words.len() <= 64 + 64 * bytes.len(), "a line for people stays one");
    }
}

/// One of each message.
pub fn pin_pad_seeds() -> Vec<(String, Vec<u8>)> {
    let number = CardNumber::parse(concat!("5413", "3300", "8902", "0011")).expect("a public test number");
    let slot = KeySlot::new(b'B').expect("a place for a key");
    let requests = [
        Request::Cancel,
        Request::SelfTest,
        Request::CheckKey(slot),
        Request::SelectKey(slot),
        Request::LoadKey(slot, "B0080M3TG00N0000"),
        Request::LoadInitialKey("B0096B1TX00N0100"),
        Request::FirstKeySet,
        Request::FullKeySerial,
        Request::Pin(&number, Amount::from_tenge(1_500)),
        Request::PinUnderSession(&number, Amount::from_tenge(1_500), &[0x5A; 16], 3),
        Request::Mac(0, true, slot, b"a message"),
    ];
    let block = || PinBlock::new([0xC7; 8]);
    let serial = KeySerial([0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0, 1]);
    let answers = [
        Answer::Pin(serial, block()),
        Answer::PinUnderSession(block()),
        Answer::PinRefused(b'A'),
        Answer::InitialKey(Err(b'C')),
        Answer::KeyRefused(b'D'),
        Answer::KeyPresent(true),
        Answer::KeySelected(Ok(())),
        Answer::SelfTest(SelfTest { broken: true, keys_lost: true }),
        Answer::Mac([9; 8]),
        Answer::MacContinues,
        Answer::MacRefused(b'3'),
    ];
    let requests = requests.iter().map(Request::frame);
    let frames = requests.chain(answers.iter().map(Answer::frame)).map(|frame| frame.expect("it can be said"));
    let named = |(n, frame): (usize, Frame)| (format!("message {n}"), [&frame.to_bytes()[..], &[pinpad::ACK]].concat());
    frames.enumerate().map(named).collect()
}
