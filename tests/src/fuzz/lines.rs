//! Targets: what PIN pads, card readers and issuers say.

use tolem_center::acquirer::session::{Bounds, Now, Output, Session};
use tolem_hal_sim::issuer::{TestIssuer, host::HostLine};
use tolem_protocol::{
    Amount, UtcTime,
    card_reader::{self, CardGoes, Control, Place, ReaderError},
    emv::{CardNumber, apdu::Transport},
    iso8583::{
        Message, MessageType, Original, de,
        frame::{Frames, MAX_PUSH, frame},
    },
    pinpad::{
        self, Answer, Decoded, Decoder, Frame, KeySerial, KeySlot, MAX_TEXT, PinBlock, Request, SelfTest,
    },
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
        Request::Pin(Some(&number), Amount::from_tenge(1_500)),
        Request::PinUnderSession(Some(&number), Amount::from_tenge(1_500), &[0x5A; 16], 3),
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
    let frames =
        requests.chain(answers.iter().map(Answer::frame)).map(|frame| frame.expect("it can be said"));
    let named = |(n, frame): (usize, Frame)| {
        (format!("message {n}"), [&frame.to_bytes()[..], &[pinpad::ACK]].concat())
    };
    frames.enumerate().map(named).collect()
}

fn reader_found(bytes: &[u8], size: usize) -> Vec<card_reader::Decoded> {
    let (mut decoder, mut found) = (card_reader::Decoder::new(), Vec::new());
    for mut piece in bytes.chunks(size) {
        while let Some(next) = decoder.next(&mut piece) {
            found.push(next);
        }
        assert!(piece.is_empty(), "a piece is used up before the decoder asks for more");
    }
    assert!(found.len() <= bytes.len(), "each finding uses a byte up");
    found
}

/// Any stream, in any pieces: the same frames, each of which encodes to bytes that decode to it alone; commands and answers are written as
/// they were read.
pub fn card_reader(bytes: &[u8]) {
    let all = reader_found(bytes, bytes.len().max(1));
    assert_eq!(all, reader_found(bytes, 1), "how a stream is cut changes nothing");
    assert_eq!(all, reader_found(bytes, 7), "how a stream is cut changes nothing");
    for found in &all {
        let card_reader::Decoded::Text(text) = found else { continue };
        assert!(text.bytes().len() <= card_reader::MAX_TEXT);
        assert_eq!(reader_found(&text.frame(), 5), [card_reader::Decoded::Text(text.clone())]);
        if let Some(command) = card_reader::Command::parse(text) {
            let again = command.text().and_then(|text| card_reader::Command::parse(&text));
            assert_eq!(again, Some(command));
        }
        if let Ok(answer) = card_reader::Answer::parse(text) {
            let again = answer.text().map(|text| card_reader::Answer::parse(&text));
            assert_eq!(again, Some(Ok(answer)));
        }
    }
    for direction in [Direction::FromHost, Direction::FromDevice] {
        let words = card_reader::describe(direction, bytes);
        assert!(words.len() <= 64 + 64 * bytes.len(), "a line for people stays one");
    }
    let _ = Transport::from_answer_to_reset(bytes);
}

/// One of each frame.
pub fn card_reader_seeds() -> Vec<(String, Vec<u8>)> {
    use card_reader::Command;
    let chip = || vec![0x00, 0xA4, 0x04, 0x00, 0x02, 0x10, 0x10].into();
    let commands = [
        Command::Reset(CardGoes::Held, CardGoes::Out),
        Command::Status,
        Command::Permit,
        Command::Eject,
        Command::Exchange(Transport::T0, chip()),
        Command::Exchange(Transport::T1, chip()),
    ];
    let mut card = card_reader::Answer::new(*b"F0", Ok(Place::Answered));
    card.data = vec![0x10, 0x03, 0x90, 0x00].into();
    let answers = [card, card_reader::Answer::new(*b"30", Err(ReaderError::JAM))];
    let texts = commands.iter().map(Command::text).chain(answers.iter().map(card_reader::Answer::text));
    let frames = texts.map(|text| text.expect("it can be said").frame().to_vec());
    let named = |(n, frame): (usize, Vec<u8>)| {
        (
            format!("frame {n}"),
            [&Control::Acknowledge.bytes()[..], &frame, &Control::Enquire.bytes()].concat(),
        )
    };
    frames.enumerate().map(named).collect()
}

/// Any bytes: a message that is read is written to the bytes it was read from, unless its second bitmap was empty, and is never shown whole.
pub fn iso8583(bytes: &[u8]) {
    let Ok(message) = Message::decode(bytes) else { return };
    let written = message.encode();
    assert_eq!(Message::decode(&written).as_ref(), Ok(&message));
    if message.fields().any(|field| field > 64) || bytes[4] & 0x80 == 0 {
        assert_eq!(*written, bytes);
    }
    if let Some(number) = message.get(de::NUMBER).and_then(|number| std::str::from_utf8(number).ok())
        && number.len() > 12
    {
        assert!(!format!("{message:?}").contains(number));
    }
    let _ = (message.amount(), Original::of(&message), message.get(de::ORIGINAL).and_then(Original::parse));
}

/// A request and a reversal.
pub fn iso8583_seeds() -> Vec<(String, Vec<u8>)> {
    let number = concat!("5413", "3300", "8902", "0011").as_bytes();
    let request = Message::new(MessageType::AUTHORIZATION)
        .with(de::NUMBER, number)
        .with(de::PROCESSING, b"000000")
        .with(de::AMOUNT, b"000000150000")
        .with(de::SENT, b"1122070000")
        .with(de::TRACE, b"000123")
        .with(de::TRACK2, &[number, b"=3012"].concat())
        .with(de::PIN_BLOCK, &[0xC7; 8])
        .with(de::CHIP, &[0x9F, 0x27, 0x01, 0x80])
        .with(de::PIN_KEY, b"FFFF9876543210E00001");
    let original = Original::of(&request).expect("it has a trace number");
    let reversal = Message::new(MessageType::REVERSAL)
        .with(de::NUMBER, number)
        .with(de::RESPONSE, b"68")
        .with(de::ORIGINAL, &original.to_field())
        .with(de::MAC_2, &[0xA5; 8]);
    let network = Message::new(MessageType::NETWORK).with(de::NETWORK, b"301");
    let named = |(name, message): (&str, Message)| (name.to_owned(), message.encode().to_vec());
    [("request", request), ("reversal", reversal), ("echo", network)].map(named).to_vec()
}

/// Any bytes on the line to an acquirer, at both its ends, without codes so that they are believed: each ends at most once and waits for
/// nothing then, and whatever is said is a whole message.
pub fn acquirer_line(bytes: &[u8]) {
    let now = Now { ms: 1, utc: UtcTime::from_seconds(1_795_694_400) };
    let bounds = Bounds { wait_ms: 1_000, echo_ms: 5_000 };
    let mut session = Session::new(None, bounds, [7; 16], 1, now);
    let mut host = HostLine::new(None, [9; 16]);
    let mut issuer = TestIssuer::common();
    let (mut to_host, mut to_center, mut ends) = (Frames::default(), Frames::default(), 0);
    // The two sign on with each other first.
    while let Some(Output::Send(sign_on)) = session.poll() {
        for answer in host.handle_bytes(&mut issuer, &sign_on).frames {
            session.handle_bytes(now, &answer);
        }
    }
    assert!(session.is_open());
    let mut host_is_closed = false;
    for part in bytes.chunks(MAX_PUSH) {
        session.handle_bytes(now, part);
        while let Some(output) = session.poll() {
            match output {
                Output::Send(bytes) => whole(&mut to_host, &bytes),
                Output::Close(why) => {
                    assert!(!why.to_string().is_empty());
                    ends += 1;
                }
                Output::Heard(_) | Output::Note(_) | Output::Open => {
                    assert_eq!(ends, 0, "nothing after the end")
                }
            }
        }
        if !host_is_closed {
            let said = host.handle_bytes(&mut issuer, part);
            said.frames.iter().for_each(|frame| whole(&mut to_center, frame));
            host_is_closed = said.close.is_some();
        }
    }
    assert!(ends <= 1 && session.wait().is_some() == (ends == 0));
    session.handle_timeout(Now { ms: 1_000_000, ..now });
}

fn whole(frames: &mut Frames, bytes: &[u8]) {
    frames.push(bytes);
    let message = frames.next_message().expect("a frame").expect("the whole of it");
    assert!(Message::decode(&message).is_ok() && !frames.is_within());
}

/// The messages of [`iso8583_seeds`] and an answer, each in its frame.
pub fn acquirer_line_seeds() -> Vec<(String, Vec<u8>)> {
    let answer = Message::new(MessageType::AUTHORIZATION_ANSWER)
        .with(de::SENT, b"1122070000")
        .with(de::TRACE, b"000123")
        .with(de::TERMINAL, b"KSK00042")
        .with(de::RESPONSE, b"00");
    let mut seeds = iso8583_seeds();
    seeds.push(("answer".to_owned(), answer.encode().to_vec()));
    seeds.iter_mut().for_each(|(_, bytes)| *bytes = frame(bytes).expect("a short message").to_vec());
    seeds
}
