//! Card payments behind a reader that hides card numbers (SRED): real kiosk, real drivers, device bytes, the center's rules and a test issuer
//! that opens what the reader has enciphered; virtual time. No byte of a number comes to the kiosk.

mod card_rig;

use card_rig::*;
use tolem_core::{
    health::FaultCode,
    view::Body,
    words::{Word, word},
};
use tolem_hal_sim::{
    card_reader_device::Whereabouts,
    chip_card::{CardProfile, ChipCard, IssuerKeys},
    world::cards::{self, CardBench, PIN},
};
use tolem_protocol::{catalogue::Language, emv::apdu::Transport};
use tolem_tests::rig::Rig;

fn secure(seed: u64) -> Rig {
    ready_with(seed, Rig::fit_secure_unit)
}

fn bench(rig: &mut Rig) -> &mut CardBench {
    rig.cards.as_mut().expect("fitted")
}

/// How often the number, or the part of it that is hidden, is in what was on the wires: as letters, or packed in whichever half bytes.
fn numbers_on(wires: &[Vec<u8>]) -> usize {
    let digits: String = cards::number().digits().iter().map(|digit| char::from(b'0' + digit)).collect();
    // The hidden six and one on either side.
    let hidden = &digits[5..13];
    let shows = |bytes: &[u8]| {
        let packed: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        packed.contains(hidden) || String::from_utf8_lossy(bytes).contains(hidden)
    };
    wires.iter().filter(|piece| shows(piece)).count()
}

/// Pays, and gives what was on the wires of reader and pad.
fn paid(mut rig: Rig, card: ChipCard) -> Vec<Vec<u8>> {
    bench(&mut rig).wires = Some(Vec::new());
    open_slot(&mut rig);
    insert(&mut rig, card);
    enter(&mut rig, PIN);
    take(&mut rig);
    rig.until_screen("code");
    let tail = "•••• 0011";
    let Body::Code { rows, .. } = &rig.view.body else { panic!("no code on {:?}", rig.view.screen) };
    assert!(rows.iter().any(|row| row.value.contains(tail)), "{rows:?}");
    judge(&mut rig, true);
    bench(&mut rig).wires.take().expect("somebody listens")
}

#[test]
fn a_card_pays_and_no_digit_that_is_hidden_comes_from_a_device_to_the_kiosk() {
    for transport in [Transport::T0, Transport::T1] {
        let card = || ChipCard::new(CardProfile::common(cards::number(), &IssuerKeys::test()), transport);
        let wires = paid(secure(1), card());
        assert!(wires.len() > 50, "{} pieces", wires.len());
        assert_eq!(numbers_on(&wires), 0, "{transport:?}");
        // The search finds what a plain reader says, and what a plain pad is told.
        assert!(numbers_on(&paid(ready(1), card())) >= 2, "{transport:?}");
    }
}

#[test]
fn a_wrong_pin_is_tried_again_under_another_key_of_the_reader() {
    let mut rig = secure(2);
    pay_at_the_second_try(&mut rig);
}

#[test]
fn a_card_torn_out_at_any_command_pays_nothing_here_too() {
    let mut reversed = 0;
    for at in 0..16 {
        let mut rig = secure(3);
        open_slot(&mut rig);
        let mut torn = cards::card();
        torn.faults.torn_at = Some(at);
        insert(&mut rig, torn);
        rig.until("the end, or the PIN", |rig| {
            matches!(rig.view.screen, "message" | "card-take" | "card-pin")
        });
        if rig.view.screen == "card-pin" {
            enter(&mut rig, PIN);
        }
        rig.until("the end", |rig| matches!(rig.view.screen, "message" | "code" | "card-take"));
        rig.until("a card to be taken, if there is one", |rig| {
            let reader = &rig.cards.as_ref().expect("fitted").reader;
            matches!(rig.view.screen, "message" | "code") || reader.place() == Whereabouts::Gate
        });
        let now = rig.now();
        bench(&mut rig).reader.take(now);
        rig.until("the end", |rig| matches!(rig.view.screen, "message" | "code"));
        let done = rig.view.screen == "code";
        reversed += u32::from(rig.story().contains("ReversalOwed"));
        judge(&mut rig, done);
    }
    assert!(reversed > 0, "somewhere it is torn between order and second cryptogram");
}

/// The reader is not what it should be: nobody is asked, cards close, and cash goes on.
fn until_cards_close(rig: &mut Rig) {
    rig.until_screen("attract");
    rig.until("cards closed", |rig| rig.kiosk().health().has(FaultCode::CardReaderNotSealing));
    let Body::Attract { states, .. } = &rig.view.body else { panic!("{:?}", rig.view.screen) };
    for (phrase, shown) in
        [(Word::StateCardNo, true), (Word::StateCashYes, true), (Word::StateCardYes, false)]
    {
        let says = |language| states.iter().any(|state| state.text == word(language, phrase));
        assert_eq!(Language::ALL.into_iter().any(says), shown, "{states:?}");
    }
    assert!(!rig.story().contains("AuthorizeSent"), "{}", rig.story());
}

#[test]
fn a_reader_whose_keys_are_gone_takes_no_card_and_still_shows_no_number() {
    let mut rig = secure(4);
    bench(&mut rig).wires = Some(Vec::new());
    open_slot(&mut rig);
    let now = rig.now();
    bench(&mut rig).reader.tamper(now);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    take(&mut rig);
    until_message(&mut rig, Word::CardUnreadableLead);
    until_cards_close(&mut rig);
    judge(&mut rig, false);
    assert_eq!(numbers_on(bench(&mut rig).wires.as_ref().expect("somebody listens")), 0);
}

#[test]
fn a_reader_that_says_it_hides_numbers_and_does_not_is_found_out_before_anybody_types_a_pin() {
    let mut rig = secure(5);
    open_slot(&mut rig);
    bench(&mut rig).reader.set_hides(false);
    insert(&mut rig, cards::card());
    take(&mut rig);
    until_message(&mut rig, Word::CardUnreadableLead);
    until_cards_close(&mut rig);
    judge(&mut rig, false);
}

#[test]
fn a_plain_reader_in_the_place_of_one_that_hides_numbers_takes_no_card() {
    let mut rig = Rig::ready(6);
    rig.center.open_cards(cards::bank(full()));
    rig.fit_secure_unit();
    let plain = CardBench::new(6);
    (bench(&mut rig).reader, bench(&mut rig).pad) = (plain.reader, plain.pad);
    until_cards_close(&mut rig);
}

#[test]
fn a_center_that_can_open_no_hidden_number_is_asked_for_none() {
    let mut rig = Rig::ready(7);
    rig.center.open_cards(cards::bank(full()));
    rig.center.set_takes_sealed(false);
    rig.fit_secure_unit();
    rig.until_screen("attract");
    rig.until("cards closed", |rig| rig.kiosk().health().has(FaultCode::AcquirerDown));
}
