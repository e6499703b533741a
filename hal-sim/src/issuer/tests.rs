//! The issuer's rules, one by one, and what comes twice, late or in the wrong order.

use super::*;
use crate::chip_card::{CardProfile, ChipCard};
use tolem_card_keys::{TdesKey, dukpt_tdes, pin_block};
use tolem_protocol::emv::apdu::Transport;

const BASE: [u8; 16] = 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210_u128.to_be_bytes();
const SERIAL: [u8; 10] = [0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0, 1];

fn number() -> CardNumber {
    CardNumber::parse(concat!("5413", "3300", "8902", "0011")).expect("a public test number")
}

fn pin(text: &str) -> Pin {
    Pin::parse(text).expect("a PIN")
}

fn issuer() -> TestIssuer {
    let zone = TdesKey::new(&[0x5B; 16]).expect("16 bytes");
    let mut issuer = TestIssuer::new(IssuerKeys::test(), Vault::new(BASE, zone));
    issuer.open(&number(), Account::new(Amount::from_tenge(10_000), pin("2580")));
    issuer
}

/// The card's chip data for a payment of 1 500 tenge; the counter is as high as it was asked before.
fn chip_data(times: u16) -> Vec<u8> {
    let mut card = ChipCard::new(CardProfile::common(number(), &IssuerKeys::test()), Transport::T1);
    card.reset();
    card.transmit(&[&[0, 0xA4, 4, 0, 7][..], &[0xA0, 0, 0, 0, 4, 0x10, 0x10], &[0]].concat());
    for _ in 1..times {
        card.transmit(&[0x80, 0xA8, 0, 0, 2, 0x83, 0, 0]);
    }
    card.online_data([0, 0, 0, 0x15, 0, 0])
}

fn block(text: &str) -> [u8; 8] {
    let initial = dukpt_tdes::initial_key(&BASE, SERIAL);
    dukpt_tdes::pin_key(&initial, SERIAL).encrypt(pin_block::format_0(&pin(text), &number()))
}

/// A request with this trace number, counter and PIN.
fn request(trace: u16, entered: &str) -> Message {
    let digits: Vec<u8> = number().digits().iter().map(|digit| digit + b'0').collect();
    Message::new(MessageType::AUTHORIZATION)
        .with(de::NUMBER, &digits)
        .with(de::PROCESSING, b"000000")
        .with(de::AMOUNT, b"000000150000")
        .with(de::SENT, b"1122070000")
        .with(de::TRACE, format!("{trace:06}").as_bytes())
        .with(de::EXPIRY, b"3012")
        .with(de::SEQUENCE, b"001")
        .with(de::TERMINAL, b"KSK00001")
        .with(de::MERCHANT, b"KIOSKTEST000001")
        .with(de::CURRENCY, b"398")
        .with(de::PIN_BLOCK, &block(entered))
        .with(de::CHIP, &chip_data(trace))
        .with(de::PIN_KEY, b"FFFF9876543210E00001")
}

fn about(request: &Message, kind: MessageType, trace: u16) -> Message {
    let original = Original::of(request).expect("it has a name");
    Message::new(kind)
        .with(de::AMOUNT, b"000000150000")
        .with(de::SENT, b"1122070100")
        .with(de::TRACE, format!("{trace:06}").as_bytes())
        .with(de::TERMINAL, b"KSK00001")
        .with(de::ORIGINAL, &original.to_field())
}

fn ask(issuer: &mut TestIssuer, message: &Message) -> Message {
    let answer = issuer.hear(&message.encode()).expect("an answer");
    Message::decode(&answer).expect("a message")
}

fn code(issuer: &mut TestIssuer, message: &Message) -> Code {
    let answer = ask(issuer, message);
    assert_eq!(Some(answer.kind), message.kind.answer());
    Code(answer.get(de::RESPONSE).expect("a code").try_into().expect("two characters"))
}

fn available(issuer: &mut TestIssuer) -> Amount {
    issuer.account(&number()).expect("an account").available
}

#[test]
fn a_good_request_holds_an_advice_takes_and_a_reversal_gives_back() {
    let mut issuer = issuer();
    let first = request(1, "2580");
    let answer = ask(&mut issuer, &first);
    assert_eq!(answer.get(de::RESPONSE), Some(&b"00"[..]));
    assert_eq!(answer.get(de::APPROVAL), Some(&b"000001"[..]));
    let proof = chip(&answer, tags::ISSUER_AUTHENTICATION).expect("a proof for the card");
    assert_eq!((proof.len(), &proof[8..]), (10, &b"00"[..]));
    assert_eq!(available(&mut issuer), Amount::from_tenge(8_500));
    assert_eq!(issuer.taken_and_held(), (Amount::from_tenge(0), Amount::from_tenge(1_500)));
    for _ in 0..2 {
        assert_eq!(code(&mut issuer, &about(&first, MessageType::ADVICE, 2)), Code::APPROVED);
        assert_eq!(issuer.taken_and_held(), (Amount::from_tenge(1_500), Amount::from_tenge(0)));
    }
    for kind in [MessageType::REVERSAL, MessageType::REVERSAL_REPEAT, MessageType::REVERSAL_REPEAT] {
        assert_eq!(code(&mut issuer, &about(&first, kind, 3)), Code::APPROVED);
        assert_eq!(available(&mut issuer), Amount::from_tenge(10_000), "given back once");
    }
    assert_eq!(code(&mut issuer, &about(&first, MessageType::ADVICE, 4)), Code::NOT_FOUND);
}

#[test]
fn every_reason_to_decline_has_its_code() {
    type Change = fn(&mut TestIssuer, Message) -> Message;
    let with_account = |change: fn(&mut Account)| {
        move |issuer: &mut TestIssuer| change(issuer.account(&number()).expect("an account"))
    };
    let low = with_account(|account| account.available = Amount::from_tenge(1_499));
    let small = with_account(|account| account.limit = Amount::from_tenge(1_000));
    let shut = with_account(|account| account.blocked = true);
    let mut checked = 0;
    let mut check = |expected: Code, prepare: &dyn Fn(&mut TestIssuer), change: Change| {
        let mut issuer = issuer();
        prepare(&mut issuer);
        let before = available(&mut issuer);
        let message = change(&mut issuer, request(1, "2580"));
        assert_eq!(code(&mut issuer, &message), expected);
        assert_eq!(available(&mut issuer), before, "{expected:?}: nothing is held");
        checked += 1;
    };
    let same: Change = |_, message| message;
    check(Code::FUNDS, &low, same);
    check(Code::LIMIT, &small, same);
    check(Code::BLOCKED, &shut, same);
    check(Code::EXPIRED, &|issuer| issuer.today = *b"3101", same);
    check(Code::NO_CARD, &|_| {}, |_, message| {
        message.with(de::NUMBER, concat!("4761", "7390", "0101", "0119").as_bytes())
    });
    check(Code::WRONG_PIN, &|_| {}, |_, message| message.with(de::PIN_BLOCK, &block("1111")));
    check(Code::WRONG_PIN, &|_| {}, |_, message| message.with(de::PIN_BLOCK, &[0; 8]));
    check(Code::WRONG_PIN, &|_| {}, |_, message| message.with(de::PIN_KEY, b"FFFF9876543210E00002"));
    check(Code::REFUSED, &|_| {}, |_, mut message| {
        message.remove(de::PIN_BLOCK);
        message
    });
    // Another sum than the card signed, another terminal's data, a changed cryptogram.
    check(Code::CRYPTOGRAM, &|_| {}, |_, message| message.with(de::AMOUNT, b"000000150001"));
    check(Code::CRYPTOGRAM, &|_| {}, |_, message| {
        let mut chip = message.get(de::CHIP).expect("chip data").to_vec();
        *chip.last_mut().expect("bytes") ^= 1;
        message.with(de::CHIP, &chip)
    });
    check(Code::FORMAT, &|_| {}, |_, mut message| {
        message.remove(de::CHIP);
        message
    });
    assert_eq!(checked, 12);
}

#[test]
fn a_pin_may_be_wrong_three_times_and_a_right_one_forgives() {
    let mut issuer = issuer();
    let mut trace = 0;
    let mut enter = |issuer: &mut TestIssuer, entered: &str| {
        trace += 1;
        code(issuer, &request(trace, entered))
    };
    assert_eq!(enter(&mut issuer, "0000"), Code::WRONG_PIN);
    assert_eq!(enter(&mut issuer, "0000"), Code::WRONG_PIN);
    assert_eq!(enter(&mut issuer, "2580"), Code::APPROVED);
    for expected in [Code::WRONG_PIN, Code::WRONG_PIN, Code::PIN_TRIES] {
        assert_eq!(enter(&mut issuer, "9999"), expected);
    }
    assert_eq!(enter(&mut issuer, "2580"), Code::PIN_TRIES);
}

#[test]
fn a_request_that_comes_again_is_answered_the_same_and_counted_once() {
    let mut issuer = issuer();
    let first = request(1, "2580");
    let answers = [ask(&mut issuer, &first), ask(&mut issuer, &first)];
    assert!(answers[0] == answers[1]);
    assert_eq!(available(&mut issuer), Amount::from_tenge(8_500));
    // A cryptogram that is used again under another name, and another request under the same name.
    let replay = first.clone().with(de::TRACE, b"000009");
    assert_eq!(code(&mut issuer, &replay), Code::CRYPTOGRAM);
    let other = request(2, "2580").with(de::TRACE, b"000001");
    assert_eq!(code(&mut issuer, &other), Code::DUPLICATE);
    assert_eq!(available(&mut issuer), Amount::from_tenge(8_500));
}

#[test]
fn a_reversal_wins_over_the_request_that_comes_after_it() {
    let mut issuer = issuer();
    let late = request(1, "2580");
    issuer.moods.push_back(Mood::LosesRequest);
    assert_eq!(issuer.hear(&late.encode()), None);
    assert_eq!(code(&mut issuer, &about(&late, MessageType::REVERSAL, 2)), Code::APPROVED);
    assert_eq!(code(&mut issuer, &late), Code::NO_ACTION);
    assert_eq!(available(&mut issuer), Amount::from_tenge(10_000));
    // The answer is lost: the money is held until the reversal comes.
    let unheard = request(3, "2580");
    issuer.moods.push_back(Mood::LosesAnswer);
    assert_eq!(issuer.hear(&unheard.encode()), None);
    assert_eq!(available(&mut issuer), Amount::from_tenge(8_500));
    assert_eq!(code(&mut issuer, &about(&unheard, MessageType::REVERSAL, 4)), Code::APPROVED);
    assert_eq!(available(&mut issuer), Amount::from_tenge(10_000));
}

#[test]
fn sign_on_and_echo_are_answered_and_nonsense_is_not() {
    let mut issuer = issuer();
    for what in [b"001", b"301"] {
        let message = Message::new(MessageType::NETWORK).with(de::TRACE, b"000001").with(de::NETWORK, what);
        let answer = ask(&mut issuer, &message);
        assert_eq!((answer.get(de::NETWORK), answer.get(de::RESPONSE)), (Some(&what[..]), Some(&b"00"[..])));
    }
    assert_eq!(issuer.hear(b"garbage"), None);
    assert_eq!(issuer.hear(&Message::new(MessageType::NETWORK_ANSWER).encode()), None);
    assert_eq!(code(&mut issuer, &Message::new(MessageType::ADVICE)), Code::FORMAT);
    assert_eq!(code(&mut issuer, &Message::new(MessageType::AUTHORIZATION)), Code::FORMAT);
}

#[test]
fn approvals_with_a_remark_hold_the_sum_and_one_of_a_part_holds_the_part_until_it_is_reversed() {
    for (code, held) in [
        (Code::WITH_IDENTIFICATION, 1_500),
        (Code::IMPORTANT, 1_500),
        (Code::UPDATE_TRACK, 1_500),
        (Code::PARTIAL, 750),
    ] {
        let mut issuer = issuer();
        issuer.moods.push_back(Mood::Approves(code));
        let asked = request(1, "2580");
        let answer = Message::decode(&issuer.hear(&asked.encode()).expect("an answer")).expect("a message");
        assert_eq!(answer.get(de::RESPONSE), Some(&code.0[..]));
        assert_eq!(answer.amount(), Some(Amount::from_tenge(held)));
        assert_eq!(issuer.taken_and_held(), (Amount::ZERO, Amount::from_tenge(held)));
        let original = Original::of(&asked).expect("a name").to_field();
        let reversal = Message::new(MessageType::REVERSAL)
            .with(de::TERMINAL, b"KSK00001")
            .with(de::TRACE, b"000002")
            .with(de::ORIGINAL, &original);
        issuer.hear(&reversal.encode()).expect("an answer");
        assert_eq!(issuer.taken_and_held(), (Amount::ZERO, Amount::ZERO));
        let available = issuer.account(&number()).expect("an account").available;
        assert_eq!(available, Amount::from_tenge(10_000));
    }
    // Nobody approves what the rules refuse.
    let mut issuer = issuer();
    issuer.moods.push_back(Mood::Approves(Code::IMPORTANT));
    let answer = issuer.hear(&request(1, "1111").encode()).expect("an answer");
    assert_eq!(Message::decode(&answer).expect("a message").get(de::RESPONSE), Some(&Code::WRONG_PIN.0[..]));
}
