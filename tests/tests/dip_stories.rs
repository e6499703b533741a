//! Stories of cards that are dipped: the citizen holds the card and can draw it out at any moment, and nothing can keep it. Virtual time,
//! the center's rules, a test issuer whose ledger is the judge.

use expect_test::expect;
use std::time::Duration;
use tolem_core::{
    health::FaultCode,
    words::{Word, word},
};
use tolem_hal_sim::{
    chip_card::{CardProfile, ChipCard, IssuerKeys},
    issuer::Mood,
    pin_pad_device::{Display, Key},
    world::cards::{self, PIN},
};
use tolem_protocol::{catalogue::Language, emv::apdu::Transport};
use tolem_tests::dip::{DipRig, MARRIAGE};

fn says(rig: &DipRig, phrase: Word) -> bool {
    let text = word(Language::English, phrase);
    rig.view.lead == text || rig.view.title == text
}

#[test]
fn a_dipped_card_pays_and_the_words_are_for_somebody_who_holds_it() {
    let mut rig = DipRig::ready(1);
    rig.open_slot();
    let insert = format!("{:?}", rig.view.body);
    assert!(insert.contains(word(Language::English, Word::CardInsertKeepDip)), "{insert}");
    rig.dip(cards::card());
    rig.enter(PIN);
    rig.until_screen("card-take");
    assert!(says(&rig, Word::TakeCardLeadDip), "{}", rig.view.lead);
    rig.draw_out();
    rig.until_screen("code");
    rig.judge(true);
    expect![[r#"
        -- boot --
        -- boot --
        Started 1 due 4325
        Card Inserted
        AuthorizeSent 1 for 4325
        Authorized 1
        Settled 1: paid
        Card Taken
        PrintOrdered Receipt of 1
        Printed
        ConfirmOwed 1
        Confirmed 1
    "#]]
    .assert_eq(&rig.story());
}

#[test]
fn a_card_drawn_out_at_any_command_is_told_the_truth_and_pays_nothing() {
    let whole = {
        let mut rig = DipRig::ready(2);
        rig.open_slot();
        rig.dip(cards::card());
        rig.enter(PIN);
        rig.until_screen("card-take");
        rig.draw_out().expect("a card").commands()
    };
    let mut reversed = 0;
    for at in 0..whole {
        let mut rig = DipRig::ready(2);
        rig.open_slot();
        let mut torn = cards::card();
        torn.faults.torn_at = Some(at);
        rig.dip(torn);
        rig.until("the end, or the PIN", |rig| {
            let pad = &rig.cards.as_ref().expect("fitted").pad;
            rig.view.screen == "message" || matches!(pad.display(), Display::EnterPin { stars: 0, .. })
        });
        if rig.view.screen == "card-pin" {
            rig.enter(PIN);
        }
        rig.until_screen("message");
        let owed = rig.story().contains("ReversalOwed");
        reversed += u32::from(owed);
        let truth = if owed { Word::CardPulled } else { Word::NothingTaken };
        assert!(says(&rig, truth), "{at}: {} {}\n{}", rig.view.title, rig.view.lead, rig.story());
        assert!(!rig.has_card());
        rig.judge(false);
    }
    assert!(reversed > 0, "somewhere it is torn between order and second cryptogram");
    assert!(reversed < whole);
}

#[test]
fn a_card_drawn_out_at_any_screen_is_told_the_truth() {
    // While applications are chosen.
    let mut rig = DipRig::ready(3);
    rig.open_slot();
    let two = CardProfile::with_two_applications(cards::number(), &IssuerKeys::test());
    rig.dip(ChipCard::new(two, Transport::T1));
    rig.until_screen("card-choose");
    rig.draw_out();
    rig.until_screen("message");
    assert!(says(&rig, Word::NothingTaken));
    rig.judge(false);
    // At the PIN, before and between its digits.
    for digits in 0..3 {
        let mut rig = DipRig::ready(4);
        rig.open_slot();
        rig.dip(cards::card());
        rig.until_screen("card-pin");
        rig.until("a pad that takes digits", |rig| {
            matches!(rig.cards.as_ref().expect("fitted").pad.display(), Display::EnterPin { .. })
        });
        let now = rig.now();
        for _ in 0..digits {
            assert!(rig.cards.as_mut().expect("fitted").pad.press(now, Key::Digit(2)));
        }
        rig.draw_out();
        rig.until_screen("message");
        assert!(says(&rig, Word::NothingTaken));
        rig.judge(false);
    }
    // While the bank is asked: whatever it says, it is undone.
    for mood in [None, Some(Mood::LosesAnswer)] {
        let mut rig = DipRig::ready(5);
        rig.center.bank(|bank| bank.moods.extend(mood));
        rig.answer_delay = Duration::from_secs(3);
        rig.open_slot();
        rig.dip(cards::card());
        rig.enter(PIN);
        rig.until_screen("card-bank");
        rig.draw_out();
        rig.until_screen("message");
        assert!(says(&rig, Word::CardPulled), "{}", rig.view.lead);
        rig.judge(false);
    }
    // At the question whether to try again: nothing is owed, and nothing more is asked.
    let mut rig = DipRig::ready(6);
    rig.open_slot();
    rig.dip(cards::card());
    rig.enter("1111");
    rig.until_screen("card-wrong-pin");
    rig.draw_out();
    rig.until_screen("attract");
    rig.judge(false);
    // When it is asked for: that is no tearing.
    let mut rig = DipRig::ready(7);
    rig.open_slot();
    rig.dip(cards::card());
    rig.enter(PIN);
    rig.until_screen("card-take");
    rig.draw_out();
    rig.until_screen("code");
    rig.judge(true);
}

#[test]
fn a_forgotten_card_pays_nothing_stays_where_it_is_and_cash_goes_on() {
    let mut rig = DipRig::ready(8);
    rig.open_slot();
    rig.dip(cards::card());
    rig.enter(PIN);
    rig.until_screen("card-take");
    rig.rest(Duration::from_secs(15));
    assert!(
        rig.view.notice.as_ref().is_some_and(|notice| notice.text.contains("cancelled")),
        "{:?}",
        rig.view
    );
    rig.until_screen("message");
    assert!(says(&rig, Word::CardLeftUnpaid), "{}", rig.view.lead);
    rig.judge(false);
    rig.until_screen("attract");
    rig.until_says(Word::StateCardLeft);
    assert!(rig.has_card() && rig.kiosk().health().has(FaultCode::CardLeft));
    // The next citizen pays in cash.
    tolem_tests::rig::Rig::open_slot(&mut rig, MARRIAGE, tolem_tests::rig::PAYER);
    rig.insert(500);
    rig.power_off();
    rig.power_on();
    // Its owner comes back.
    rig.until_screen("card-take");
    rig.draw_out();
    rig.until_screen("attract");
    rig.until_says(Word::StateCardYes);
    assert!(!rig.kiosk().health().has(FaultCode::CardLeft));
}

#[test]
fn a_card_that_was_in_before_anybody_asked_is_taken_when_it_is_asked_for() {
    let mut rig = DipRig::ready(9);
    rig.dip(cards::card());
    rig.rest(Duration::from_secs(2));
    assert_eq!(rig.view.screen, "catalogue", "nobody asked for it");
    rig.type_payer(MARRIAGE, tolem_tests::rig::PAYER);
    rig.tap(Word::Next);
    rig.until_screen("quote");
    rig.tap(Word::PayCard);
    rig.enter(PIN);
    rig.until_screen("card-take");
    rig.draw_out();
    rig.until_screen("code");
    rig.judge(true);
}
