//! Targets: what a chip card may say, from single objects to a whole conversation with the kernel.

use tolem_core::emv::{
    ChipFault, Ending, HostAnswer, Kernel, OnlineRequest, PinEntry, Step, Terminal, Transaction,
};
use tolem_hal_sim::chip_card::{CardProfile, ChipCard, IssuerKeys, Reply};
use tolem_protocol::{
    Amount, Date,
    emv::{
        CardNumber, Track2,
        apdu::{Command, Response, Transport},
        dol::{Dol, MAX_DATA},
        tags::{self, Tag},
        tlv,
    },
};

/// A public test number, in parts so that no search takes it for somebody's.
const NUMBER: &str = concat!("5413", "3300", "8902", "0011");
/// More steps than any payment takes; the kernel must have ended by itself before.
const STEPS: usize = 2_000;

/// Any bytes as data objects: each lies within them, what is read is written the same, and a search finds what a walk saw.
pub fn emv_objects(bytes: &[u8]) {
    let good: Vec<_> = tlv::objects(bytes).map_while(Result::ok).collect();
    let sum: usize = good.iter().map(|object| object.value.len() + 2).sum();
    assert!(sum <= bytes.len(), "objects do not overlap");
    let mut written = Vec::new();
    for object in &good {
        tlv::push(&mut written, object.tag, object.value);
    }
    assert!(written.len() <= bytes.len(), "written as short as possible");
    assert!(tlv::objects(&written).map(|object| object.expect("it was written well")).eq(good));

    let mut seen: Vec<(Tag, &[u8])> = Vec::new();
    let walked = tlv::walk(bytes, &mut |object| seen.push((object.tag, object.value)));
    for tag in [tags::PAN, tags::TRACK2, tags::CDOL1, tags::AFL, tags::FCI, tags::CRYPTOGRAM] {
        let first = seen.iter().find(|(name, _)| *name == tag).map(|(_, value)| *value);
        assert_eq!(tlv::find(bytes, tag), walked.map(|()| first));
    }
    for (tag, value) in seen {
        assert_eq!(Tag::read(&tag.bytes()).map(|(read, rest)| (read, rest.len())), Ok((tag, 0)));
        let track = Track2::from_tag(value);
        let number = CardNumber::from_compressed(value).or_else(|| track.as_ref()?.number());
        if let Some(number) = number {
            assert!(number.digits().iter().all(|digit| *digit <= 9));
            assert!((8..=19).contains(&number.digits().len()));
            assert!(number.digits().ends_with(&number.last_four()));
            assert_eq!(format!("{number:?}{track:?}").chars().find(char::is_ascii_digit), track.map(|_| '2'));
        }
    }
}

/// Any bytes as a list of wanted objects: what is built is exactly as long as the list says, and fits one command.
pub fn emv_lists(bytes: &[u8]) {
    let list = match Dol::parse(bytes) {
        Ok(list) => list,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let (mut rest, mut wanted) = (bytes, 0);
    while !rest.is_empty() {
        let (tag, after) = Tag::read(rest).expect("it was read before");
        assert!(list.wants(tag));
        wanted += usize::from(after[0]);
        rest = &after[1..];
    }
    for value in [&[][..], &[0x12], &[0x99; 300]] {
        let built = list.build(|_| Some(value));
        assert_eq!(built.len(), wanted);
        assert!(built.len() <= MAX_DATA);
        for transport in [Transport::T0, Transport::T1] {
            assert!(is_command(&Command::get_processing_options(&built).to_bytes(transport)));
            assert!(is_command(&Command::generate_ac(0x80, built.clone()).to_bytes(transport)));
        }
    }
}

/// Any bytes as one answer of a card.
pub fn emv_answers(bytes: &[u8]) {
    let Some(answer) = Response::parse(bytes) else { return assert!(bytes.len() < 2) };
    assert_eq!([answer.data, &[answer.status.first(), answer.status.second()]].concat(), bytes);
    assert_eq!(format!("{:?}", answer.status), format!("{:04X}", answer.status.0));
}

/// Four bytes of head; a length and so much data; a length wanted (ISO/IEC 7816-4, short form).
fn is_command(bytes: &[u8]) -> bool {
    match bytes.len() {
        5 => true,
        6.. => [5, 6].map(|more| more + usize::from(bytes[4])).contains(&bytes.len()),
        _ => false,
    }
}

fn kernel(transport: Transport) -> Kernel {
    let transaction = Transaction {
        amount: Amount::from_tenge(1_500),
        date: Date::parse_iso("2026-11-22").expect("a day"),
        time: [12, 0, 0],
        unpredictable: [0xDE, 0xAD, 0xBE, 0xEF],
        sequence: 1,
    };
    Kernel::new(Terminal::default(), transaction, transport)
}

/// A conversation: the first byte says the transport, the PIN pad's luck and the issuer's word; then each answer of the card
/// with one byte of length before it. Behind the last the card is torn out.
pub fn emv_card(bytes: &[u8]) {
    let Some((manner, mut rest)) = bytes.split_first() else { return };
    let transport = if manner & 1 == 0 { Transport::T1 } else { Transport::T0 };
    let entry = [PinEntry::Entered, PinEntry::NotEntered, PinEntry::PadFailed][usize::from(manner >> 1) % 3];
    let approves = manner & 0x40 != 0;
    let mut asked = 0;
    let mut kernel = kernel(transport);
    let mut step = kernel.start();
    for _ in 0..STEPS {
        step = match step {
            Step::Transmit(command) => {
                assert!(is_command(&command), "a command has the form of one");
                let Some((length, after)) = rest.split_first() else {
                    step = kernel.answer(Err(ChipFault::Removed));
                    continue;
                };
                let (answer, after) = after.split_at(usize::from(*length).min(after.len()));
                rest = after;
                kernel.answer(Ok(answer))
            }
            Step::Choose(several) => {
                // One alone is shown too, if the card wants it confirmed.
                assert!(!several.is_empty(), "there is something to choose");
                kernel.choose(usize::from(manner >> 4) % several.len())
            }
            Step::EnterPin(_) => kernel.pin(entry),
            Step::GoOnline(request) => {
                asked += 1;
                judge_request(&request);
                kernel.host(if manner & 0x80 != 0 {
                    HostAnswer::Unreachable
                } else {
                    HostAnswer::Answered {
                        approved: approves,
                        response_code: if approves { *b"00" } else { *b"51" },
                        issuer_authentication: vec![7; 10],
                        scripts: Vec::new(),
                    }
                })
            }
            Step::Over(ending) => {
                assert!(asked <= 1, "the issuer is asked once for one payment");
                let may_cost = matches!(ending, Ending::Approved(_) | Ending::RefusedAfterApproval(_));
                let did_approve = asked == 1 && approves && manner & 0x80 == 0;
                assert_eq!(may_cost, did_approve, "a reversal is due if and only if the issuer has approved");
                let again = kernel.answer(Ok(&[0x90, 0]));
                assert!(matches!(again, Step::Over(Ending::Failed(_))), "over is over");
                return;
            }
        };
    }
    panic!("card and kernel never end");
}

/// What leaves for the issuer has no number in the part that others may keep.
fn judge_request(request: &OnlineRequest) {
    for forbidden in [tags::PAN, tags::TRACK2] {
        let found = tlv::find(&request.chip_data, forbidden).expect("our own objects are well formed");
        assert!(found.is_none(), "{forbidden} is in the chip data");
    }
    assert!(request.chip_data.len() <= 255, "field 55 has at most 255 bytes");
}

type Seeds = Vec<(String, Vec<u8>)>;

/// What simulated cards say in whole payments.
fn conversations() -> Vec<(Transport, Vec<Vec<u8>>)> {
    let keys = IssuerKeys::test();
    let number = || CardNumber::parse(NUMBER).expect("a public test number");
    let mut all = Vec::new();
    for transport in [Transport::T1, Transport::T0] {
        for profile in
            [CardProfile::common(number(), &keys), CardProfile::with_two_applications(number(), &keys)]
        {
            let mut card = ChipCard::new(profile, transport);
            card.reset();
            let mut kernel = kernel(transport);
            let (mut step, mut said) = (kernel.start(), Vec::new());
            loop {
                step = match step {
                    Step::Transmit(command) => {
                        let Reply::Bytes(answer) = card.transmit(&command) else {
                            panic!("a card that works")
                        };
                        said.push(answer);
                        kernel.answer(Ok(said.last().expect("it was put there")))
                    }
                    Step::Choose(several) => kernel.choose(several.len() - 1),
                    Step::EnterPin(_) => kernel.pin(PinEntry::Entered),
                    Step::GoOnline(_) => kernel.host(HostAnswer::Unreachable),
                    Step::Over(_) => break,
                };
            }
            all.push((transport, said));
        }
    }
    all
}

/// Every answer of the simulated cards.
pub fn answers() -> Seeds {
    let mut answers: Vec<_> = conversations().into_iter().flat_map(|(_, said)| said).collect();
    answers.sort();
    answers.dedup();
    answers.into_iter().enumerate().map(|(at, answer)| (format!("answer-{at}"), answer)).collect()
}

/// The answers without their status.
pub fn objects() -> Seeds {
    let data = answers().into_iter().filter_map(|(name, answer)| {
        Some((name, Response::parse(&answer)?.data.to_vec())).filter(|(_, data)| !data.is_empty())
    });
    data.collect()
}

/// The lists in them.
pub fn lists() -> Seeds {
    let mut lists = Vec::new();
    for (name, data) in objects() {
        for tag in [tags::PDOL, tags::CDOL1, tags::CDOL2] {
            if let Ok(Some(list)) = tlv::find(&data, tag) {
                lists.push((format!("{name}/{tag}"), list.to_vec()));
            }
        }
    }
    lists
}

/// The conversations, each with an issuer who approves, one who declines and one who is silent.
pub fn cards() -> Seeds {
    let mut seeds = Vec::new();
    for (at, (transport, said)) in conversations().into_iter().enumerate() {
        for issuer in [0x40, 0, 0x80] {
            let mut bytes = vec![issuer | u8::from(transport == Transport::T0)];
            for answer in &said {
                bytes.push(u8::try_from(answer.len()).unwrap_or(u8::MAX));
                bytes.extend_from_slice(answer);
            }
            seeds.push((format!("card-{at}-{issuer:02x}"), bytes));
        }
    }
    seeds
}
