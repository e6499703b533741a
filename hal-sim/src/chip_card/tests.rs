//! The card against the kernel that pays with it, the issuer played by its keys.

use super::*;
use profile::IssuerKeys;
use tolem_core::emv::{
    ChipFault, Decline, Ending, Failure, HostAnswer, Kernel, OnlineRequest, PinEntry, Step, Terminal,
    Transaction, Tvr,
};
use tolem_protocol::{Amount, Date, emv::CardNumber};

fn number() -> CardNumber {
    CardNumber::parse(concat!("5413", "3300", "8902", "0011")).expect("a public test number")
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

/// What the issuer sees of a request: the cryptogram checked with its own keys.
fn issuer_checks(request: &OnlineRequest, keys: &IssuerKeys) -> TdesKey {
    let find = |tag| tlv::find(&request.chip_data, tag).expect("well formed").unwrap_or_default().to_vec();
    let card = emv::card_key(
        &keys.cryptograms,
        request.card.number().expect("in the clear"),
        request.sequence.unwrap_or(0),
    );
    let counter = find(tags::ATC).try_into().expect("two bytes");
    let session = emv::session_key(&card, emv::counter_diversifier(counter));
    let input = [
        find(tags::AMOUNT_AUTHORISED),
        find(tags::AMOUNT_OTHER),
        find(tags::TERMINAL_COUNTRY),
        find(tags::TVR),
        find(tags::CURRENCY_CODE),
        find(tags::TRANSACTION_DATE),
        find(tags::TRANSACTION_TYPE),
        find(tags::UNPREDICTABLE),
        find(tags::AIP),
        find(tags::ATC),
        find(tags::ISSUER_APPLICATION_DATA)[2..8].to_vec(),
    ];
    assert_eq!(
        emv::cryptogram(&session, &input.concat()).to_vec(),
        find(tags::CRYPTOGRAM),
        "the cryptogram fits"
    );
    session
}

enum Issuer {
    Approves,
    /// Approves with a wrong proof.
    Forged,
    Declines,
}

fn pay(card: &mut ChipCard, issuer: &Issuer) -> Ending {
    let keys = IssuerKeys::test();
    card.reset();
    let mut kernel = kernel(card.transport());
    let mut step = kernel.start();
    for _ in 0..200 {
        step = match step {
            Step::Transmit(command) => match card.transmit(&command) {
                Reply::Bytes(answer) => kernel.answer(Ok(&answer)),
                Reply::Mute => kernel.answer(Err(ChipFault::Mute)),
                Reply::Gone => kernel.answer(Ok(&[])),
            },
            Step::Choose(several) => kernel.choose(several.len() - 1),
            Step::EnterPin(entered) => {
                assert_eq!(entered, number().into());
                kernel.pin(PinEntry::Entered)
            }
            Step::GoOnline(request) => {
                let session = issuer_checks(&request, &keys);
                let cryptogram = tlv::find(&request.chip_data, tags::CRYPTOGRAM).expect("well formed");
                let cryptogram = cryptogram.expect("a cryptogram").try_into().expect("eight bytes");
                let (approved, code) =
                    if matches!(issuer, Issuer::Declines) { (false, *b"51") } else { (true, *b"00") };
                let mut proof = emv::answer_1(&session, cryptogram, code);
                if matches!(issuer, Issuer::Forged) {
                    proof[0] ^= 1;
                }
                kernel.host(HostAnswer::Answered {
                    approved,
                    response_code: code,
                    issuer_authentication: [&proof[..], &code].concat(),
                    scripts: vec![],
                })
            }
            Step::Over(ending) => return ending,
        };
    }
    panic!("card and kernel never end");
}

fn card(transport: Transport) -> ChipCard {
    ChipCard::new(CardProfile::common(number(), &IssuerKeys::test()), transport)
}

#[test]
fn a_whole_payment_is_approved_by_card_and_issuer_in_both_transports_and_formats() {
    for transport in [Transport::T0, Transport::T1] {
        let mut card = card(transport);
        assert!(matches!(pay(&mut card, &Issuer::Approves), Ending::Approved(_)));
        assert_eq!(card.cryptograms().iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [ARQC, TC]);
        // Two applications: the second answers in objects and wants the proof by command.
        let profile = CardProfile::with_two_applications(number(), &IssuerKeys::test());
        let mut card = ChipCard::new(profile, transport);
        let Ending::Approved(evidence) = pay(&mut card, &Issuer::Approves) else { panic!("approved") };
        assert!(!evidence.tvr.has(Tvr::ISSUER_NOT_AUTHENTICATED));
    }
}

#[test]
fn the_cryptogram_is_the_one_that_others_compute_too() {
    // pyemv 1.5.0, over the same amount, country, results, day and unpredictable number; results 8000040000.
    let mut card = card(Transport::T1);
    card.reset();
    let select = [&[0, 0xA4, 4, 0, 7][..], &[0xA0, 0, 0, 0, 4, 0x10, 0x10], &[0]].concat();
    card.transmit(&select);
    card.transmit(&[0x80, 0xA8, 0, 0, 2, 0x83, 0, 0]);
    let list = [
        0, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0x03, 0x98, 0x80, 0x00, 0x04, 0x00, 0x00, 0x03, 0x98, 0x26,
        0x11, 0x22, 0, 0xDE, 0xAD, 0xBE, 0xEF,
    ];
    card.transmit(&[&[0x80, 0xAE, 0x80, 0, 29][..], &list, &[0]].concat());
    assert_eq!(card.cryptograms(), [(ARQC, [0x88, 0xDE, 0xE9, 0x57, 0x0C, 0x7F, 0xBD, 0x52])]);
}

#[test]
fn a_forged_issuer_is_refused_by_the_card_and_calls_for_a_reversal() {
    let mut card = card(Transport::T1);
    assert!(matches!(pay(&mut card, &Issuer::Forged), Ending::RefusedAfterApproval(Ok(_))));
    let mut card = self::card(Transport::T1);
    assert!(matches!(pay(&mut card, &Issuer::Declines), Ending::Declined(Decline::Issuer, _)));
}

#[test]
fn cards_that_are_blocked_expired_mute_or_torn_out_end_as_they_should() {
    let keys = IssuerKeys::test();
    let changed = |change: &dyn Fn(&mut CardProfile)| {
        let mut profile = CardProfile::common(number(), &keys);
        change(&mut profile);
        ChipCard::new(profile, Transport::T1)
    };
    let mut blocked = changed(&|card| card.blocked = true);
    assert_eq!(pay(&mut blocked, &Issuer::Approves), Ending::Failed(Failure::CardBlocked));
    let mut blocked = changed(&|card| card.applications[0].blocked = true);
    assert_eq!(pay(&mut blocked, &Issuer::Approves), Ending::Failed(Failure::ApplicationBlocked));
    let mut expired = changed(&|card| card.applications[0].expiry = [0x25, 0x12, 0x31]);
    assert!(matches!(pay(&mut expired, &Issuer::Approves), Ending::Declined(Decline::Terminal, _)));
    let mut mute = card(Transport::T1);
    mute.faults.mute_from = Some(0);
    assert_eq!(pay(&mut mute, &Issuer::Approves), Ending::Failed(Failure::Chip(ChipFault::Mute)));
    let mut stubborn = card(Transport::T1);
    stubborn.faults.refuses_after_approval = true;
    assert!(matches!(pay(&mut stubborn, &Issuer::Approves), Ending::RefusedAfterApproval(Ok(_))));
    for at in 0..8 {
        let mut torn = card(Transport::T1);
        torn.faults.torn_at = Some(at);
        let removed = Failure::Chip(ChipFault::Removed);
        let ending = pay(&mut torn, &Issuer::Approves);
        let seen = [Ending::Failed(removed), Ending::RefusedAfterApproval(Err(removed))].contains(&ending);
        assert!(seen, "{at}: {ending:?}");
    }
}

#[test]
fn a_script_is_carried_out_only_with_the_issuers_code() {
    let mut card = card(Transport::T1);
    card.reset();
    card.transmit(&[&[0, 0xA4, 4, 0, 7][..], &[0xA0, 0, 0, 0, 4, 0x10, 0x10], &[0]].concat());
    card.transmit(&[0x80, 0xA8, 0, 0, 2, 0x83, 0, 0]);
    card.transmit(&[&[0x80, 0xAE, 0x80, 0, 29][..], &[0; 29], &[0]].concat());
    let (_, cryptogram) = card.cryptograms()[0];
    let key = emv::card_key(&IssuerKeys::test().scripts, &number(), 1);
    let head = [0x84, 0x1E, 0, 0, 4];
    let code =
        emv::script_code(&emv::session_key(&key, cryptogram), &[&head[..], &[0, 1], &cryptogram].concat());
    let command = |code: &[u8]| [&head[..], code].concat();
    let status = |reply| if let Reply::Bytes(bytes) = reply { bytes } else { panic!("an answer") };
    assert_eq!(status(card.transmit(&command(&[0; 4]))), [0x69, 0x88]);
    assert_eq!(status(card.transmit(&command(&code[..4]))), [0x90, 0x00]);
    assert_eq!(card.scripts_done(), 1);
    // The application is blocked now.
    let select = [&[0, 0xA4, 4, 0, 7][..], &[0xA0, 0, 0, 0, 4, 0x10, 0x10], &[0]].concat();
    assert_eq!(status(card.transmit(&select)), [0x62, 0x83]);
}

#[test]
fn no_command_makes_a_card_panic() {
    let mut dice = crate::line::Dice::new(7);
    let mut card = card(Transport::T0);
    for _ in 0..20_000 {
        let length = dice.below(12) as usize;
        let mut command: Vec<u8> = (0..length).map(|_| dice.below(256) as u8).collect();
        if length > 4 && dice.chance(700) {
            let known = [
                [0, 0xA4, 4, 0],
                [0, 0xB2, 1, 12],
                [0x80, 0xA8, 0, 0],
                [0x80, 0xAE, 0x80, 0],
                [0x84, 0x1E, 0, 0],
            ];
            command[..4].copy_from_slice(&known[dice.below(5) as usize]);
        }
        card.transmit(&command);
    }
}

#[test]
fn over_the_wire_it_speaks_vpcd() {
    use std::os::unix::net::UnixStream;
    let (mut reader, mut contacts) = UnixStream::pair().expect("a pair of sockets");
    let playing = std::thread::spawn(move || {
        let mut card = card(Transport::T1);
        vpcd::serve(&mut card, &mut contacts, |_| {}).expect("the socket works");
        card.cryptograms().len()
    });
    vpcd::write(&mut reader, &[1]).expect("power");
    vpcd::write(&mut reader, &[4]).expect("answer to reset");
    let answer = vpcd::read(&mut reader).expect("the socket works");
    assert_eq!(answer, Some(card(Transport::T1).answer_to_reset()));
    vpcd::write(&mut reader, &[0, 0xA4, 4, 0, 2, 0xAA, 0xBB, 0]).expect("a command");
    assert_eq!(vpcd::read(&mut reader).expect("the socket works"), Some(vec![0x6A, 0x82]));
    drop(reader);
    assert_eq!(playing.join().expect("the card played"), 0);
}
