//! A connection from its sign-on to every end it can have, against a host played by hand.

use super::*;
use tolem_protocol::iso8583::mac::LinkKey;

const BOUNDS: Bounds = Bounds { wait_ms: 1_000, echo_ms: 5_000 };
const DRAW: Draw = [0xC0; 16];
const HOST: Draw = [0x50; 16];

fn at(ms: u64) -> Now {
    Now { ms, utc: UtcTime::from_seconds(1_795_694_400) }
}

fn key() -> LinkKey {
    LinkKey::new(Zeroizing::new([7; 32]))
}

fn keys() -> SessionKeys {
    key().session(&DRAW, &HOST)
}

struct Line {
    session: Session,
    frames: Frames,
}

impl Line {
    fn new(with_key: bool) -> Self {
        let session = Session::new(with_key.then(key), BOUNDS, DRAW, 5, at(0));
        Self { session, frames: Frames::default() }
    }

    /// A session that is signed on.
    fn open() -> Self {
        let mut line = Self::new(true);
        let asked = line.sent();
        line.say(1, signed_on(&asked[0], HOST), Some(&keys().to_center));
        assert!(matches!(line.session.poll(), Some(Output::Open)) && line.session.is_open());
        line
    }

    /// Messages that the session has written.
    fn sent(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut rest = VecDeque::new();
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(bytes) => self.frames.push(&bytes),
                other => rest.push_back(other),
            }
        }
        self.session.output = rest;
        while let Some(message) = self.frames.next_message().unwrap() {
            messages.push(Message::decode(&message).unwrap());
        }
        messages
    }

    fn say(&mut self, ms: u64, message: Message, key: Option<&MacKey>) {
        self.session.handle_bytes(at(ms), &sealed(message, key).unwrap());
    }

    /// Why it ended.
    fn end(&mut self) -> Ended {
        let mut end = None;
        while let Some(output) = self.session.poll() {
            if let Output::Close(why) = output {
                end = Some(why);
            }
        }
        assert_eq!(self.session.wait(), None, "an ended session waits for nothing");
        end.expect("it has ended")
    }
}

fn answer(to: &Message) -> Message {
    let mut answer = Message::new(MessageType::NETWORK_ANSWER).with(de::RESPONSE, b"00");
    for field in [de::SENT, de::TRACE, de::NETWORK] {
        answer.set(field, to.get(field).unwrap()).unwrap();
    }
    answer
}

fn signed_on(to: &Message, draw: Draw) -> Message {
    answer(to).with(de::PRIVATE, data_encoding::HEXUPPER.encode(&draw).as_bytes())
}

fn approval() -> Message {
    Message::new(MessageType::AUTHORIZATION_ANSWER)
        .with(de::SENT, b"1126120000")
        .with(de::TRACE, b"000123")
        .with(de::TERMINAL, b"KSK00042")
        .with(de::RESPONSE, b"00")
}

#[test]
fn it_signs_on_with_its_draw_and_is_open_only_with_the_hosts() {
    let mut line = Line::new(true);
    line.session.say(approval());
    let asked = line.sent();
    assert_eq!(asked.len(), 1, "nothing is said before it is open");
    let (sign_on, text) = (&asked[0], data_encoding::HEXUPPER.encode(&DRAW));
    assert_eq!(sign_on.get(de::NETWORK), Some(&b"001"[..]));
    assert_eq!(sign_on.get(de::TRACE), Some(&b"000005"[..]));
    assert_eq!(sign_on.get(de::PRIVATE), Some(text.as_bytes()));
    assert!(key().sign_on().fits(sign_on));

    let mut line = Line::open();
    line.session.say(Message::new(MessageType::ADVICE).with(de::TRACE, b"000009"));
    let said = line.sent();
    assert!(said.len() == 1 && keys().to_host.fits(&said[0]), "with a code in our direction");

    let mut plain = Line::new(false);
    let asked = plain.sent();
    assert!(asked[0].get(de::PRIVATE).is_none() && asked[0].get(de::MAC_2).is_none());
    plain.say(1, answer(&asked[0]), None);
    assert!(plain.session.is_open());
}

#[test]
fn a_host_that_cannot_prove_itself_is_not_believed() {
    type Change = fn(Message) -> Message;
    let same: Change = |message| message;
    type Key = fn() -> MacKey;
    let cases: [(&str, Change, Key, Ended); 6] = [
        (
            "another session",
            same,
            || key().session(&[1; 16], &HOST).to_center,
            Ended::Code(MessageType::NETWORK_ANSWER),
        ),
        ("turned round", same, || keys().to_host, Ended::Code(MessageType::NETWORK_ANSWER)),
        ("the key of the sign-on", same, || key().sign_on(), Ended::Code(MessageType::NETWORK_ANSWER)),
        (
            "another sign-on",
            |message| message.with(de::TRACE, b"000006"),
            || keys().to_center,
            Ended::SignOn(MessageType::NETWORK_ANSWER),
        ),
        (
            "refused",
            |message| message.with(de::RESPONSE, b"05"),
            || keys().to_center,
            Ended::Refused("05".into()),
        ),
        (
            "not an answer",
            |mut message| {
                message.kind = MessageType::AUTHORIZATION_ANSWER;
                message
            },
            || keys().to_center,
            Ended::SignOn(MessageType::AUTHORIZATION_ANSWER),
        ),
    ];
    for (what, change, with, end) in cases {
        let mut line = Line::new(true);
        let asked = line.sent();
        line.say(1, change(signed_on(&asked[0], HOST)), Some(&with()));
        assert_eq!(line.end(), end, "{what}");
    }
    // Refused before the host has drawn: the reason is believed, for it has the right code.
    let mut line = Line::new(true);
    let asked = line.sent();
    line.say(1, answer(&asked[0]).with(de::RESPONSE, b"63"), Some(&key().sign_on()));
    assert_eq!(line.end(), Ended::Refused("63".into()));
    let mut line = Line::new(true);
    line.session.handle_timeout(at(999));
    assert!(line.sent().len() == 1 && line.session.wait() == Some(1_000));
    line.session.handle_timeout(at(1_000));
    assert_eq!(line.end(), Ended::NoSignOn);
}

#[test]
fn answers_are_heard_only_with_a_good_code_and_garbage_ends_it() {
    let mut line = Line::open();
    line.say(2, approval(), Some(&keys().to_center));
    assert!(
        matches!(line.session.poll(), Some(Output::Heard(message)) if message.get(de::TRACE) == Some(b"000123"))
    );
    type Bytes = fn() -> Vec<u8>;
    let cases: [(Bytes, Ended); 6] = [
        (|| sealed(approval(), None).unwrap().to_vec(), Ended::Code(MessageType::AUTHORIZATION_ANSWER)),
        (
            || sealed(approval(), Some(&keys().to_host)).unwrap().to_vec(),
            Ended::Code(MessageType::AUTHORIZATION_ANSWER),
        ),
        (
            || {
                let mut bytes = sealed(approval(), Some(&keys().to_center)).unwrap().to_vec();
                let at = bytes.len() - 9;
                bytes[at] ^= 1;
                bytes
            },
            Ended::Code(MessageType::AUTHORIZATION_ANSWER),
        ),
        (|| vec![0, 0], Ended::Frame("a frame without a message".into())),
        (|| vec![0xFF; 2], Ended::Frame("a frame of 65535 bytes, at most 4096 are allowed".into())),
        (
            || [&[0, 12][..], &[b'x'; 12]].concat(),
            Ended::Message("the message has no type of ISO 8583:1987".into()),
        ),
    ];
    for (bytes, end) in cases {
        let mut line = Line::open();
        line.session.handle_bytes(at(2), &bytes());
        // What stands behind it is not read any more.
        line.say(2, approval(), Some(&keys().to_center));
        assert_eq!(line.end(), end);
    }
}

#[test]
fn silence_is_asked_and_no_answer_is_the_end() {
    let mut line = Line::open();
    assert_eq!(line.session.wait(), Some(5_001));
    line.session.handle_timeout(at(5_001));
    let echo = line.sent().remove(0);
    assert_eq!(echo.get(de::NETWORK), Some(&b"301"[..]));
    assert!(keys().to_host.fits(&echo));
    // An answer to another one is none.
    line.say(5_500, answer(&echo).with(de::TRACE, b"000099"), Some(&keys().to_center));
    assert_eq!(line.session.wait(), Some(6_001));
    line.say(5_600, answer(&echo), Some(&keys().to_center));
    assert_eq!(line.session.wait(), Some(10_600));
    line.session.handle_timeout(at(10_600));
    line.session.handle_timeout(at(11_600));
    assert_eq!(line.end(), Ended::NoEcho);
}

#[test]
fn half_a_frame_is_not_waited_for_longer_than_that() {
    let mut line = Line::open();
    let bytes = sealed(approval(), Some(&keys().to_center)).unwrap();
    line.session.handle_bytes(at(10), &bytes[..30]);
    assert_eq!(line.session.wait(), Some(1_010));
    // A byte now and then does not help.
    line.session.handle_bytes(at(900), &bytes[30..31]);
    line.session.handle_timeout(at(1_010));
    assert_eq!(line.end(), Ended::Cut);
    let mut line = Line::open();
    line.session.handle_bytes(at(10), &bytes[..30]);
    line.session.handle_bytes(at(900), &bytes[30..]);
    assert!(matches!(line.session.poll(), Some(Output::Heard(_))));
    assert_eq!(line.session.wait(), Some(5_900));
}

#[test]
fn the_host_may_ask_too_and_say_good_bye() {
    let mut line = Line::open();
    let ask = |what: &[u8]| {
        Message::new(MessageType::NETWORK)
            .with(de::SENT, b"1126120000")
            .with(de::TRACE, b"000777")
            .with(de::NETWORK, what)
    };
    for (what, code) in [(b"301", b"00"), (b"161", b"30")] {
        line.say(2, ask(what), Some(&keys().to_center));
        let said = line.sent().remove(0);
        assert_eq!((said.get(de::RESPONSE), said.get(de::TRACE)), (Some(&code[..]), Some(&b"000777"[..])));
        assert!(keys().to_host.fits(&said) && line.session.is_open());
    }
    // A request is nothing for a center.
    let mut request = approval();
    request.kind = MessageType::AUTHORIZATION;
    line.say(3, request, Some(&keys().to_center));
    assert!(line.session.is_open());
    line.say(4, ask(b"002"), Some(&keys().to_center));
    assert_eq!(line.end(), Ended::SignedOff);
}
