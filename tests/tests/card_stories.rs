//! Stories of card payments, told by the journal: real kiosk, real drivers, real device bytes, real center rules and a test issuer whose
//! ledger is the judge; virtual time.

mod card_rig;

use card_rig::*;
use expect_test::{Expect, expect};
use std::{cell::Cell, time::Duration};
use tolem_center::logic::{
    acquirer::{Acquiring as _, CardRow, Standing},
    memory::MemoryStore,
    operator,
    store::Store as _,
};
use tolem_core::{
    health::FaultCode,
    kiosk::LinkFault,
    view::{Body, Intent},
    words::{Word, word},
};
use tolem_hal_sim::{
    card_reader_device::{Trouble, Whereabouts},
    chip_card::{CardProfile, ChipCard, IssuerKeys},
    escpos_device::PaperSupply,
    issuer::{Code, Mood},
    pin_pad_device::{Display, Key},
    world::{
        DiskFault,
        cards::{self, PIN},
    },
};
use tolem_protocol::{
    Amount,
    catalogue::{Language, Price},
    emv::apdu::Transport,
    messages::Verdict,
    qr::Qr,
    record::Fact,
};
use tolem_tests::rig::{PAYER, Rig, Wire};

fn check_story(rig: &Rig, expected: &Expect) {
    expected.assert_eq(&rig.story());
}

#[test]
fn a_card_pays_with_its_pin_and_the_money_is_taken_when_the_code_is_on_paper() {
    let mut rig = ready(1);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    take(&mut rig);
    rig.until_screen("code");
    let Body::Code { code, .. } = rig.view.body.clone() else { panic!("no code on {:?}", rig.view.screen) };
    let texts = rig.qr_texts();
    let Ok(Qr::Code(token)) = Qr::parse(&texts[0]) else { panic!("no code in {texts:?}") };
    assert_eq!(token.read_unverified().map(|token| token.code.to_string()), Some(code));
    rig.tap(Word::Done);
    rig.until_screen("attract");
    judge(&mut rig, true);
    check_story(
        &rig,
        &expect![[r#"
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
        Finished 1 Paid
        Confirmed 1
    "#]],
    );
}

#[test]
fn a_wrong_pin_may_be_tried_again_and_each_try_is_a_payment_of_its_own() {
    let mut rig = ready(2);
    pay_at_the_second_try(&mut rig);
    check_story(
        &rig,
        &expect![[r#"
            -- boot --
            -- boot --
            Started 1 due 4325
            Card Inserted
            AuthorizeSent 1 for 4325
            Declined(WrongPin) 1
            Finished 1 Voided
            Started 2 due 4325
            AuthorizeSent 2 for 4325
            Authorized 2
            Settled 2: paid
            Card Taken
            PrintOrdered Receipt of 2
            Printed
            ConfirmOwed 2
            Confirmed 2
        "#]],
    );
}

#[test]
fn a_wrong_pin_and_no_second_try_gives_the_card_back_and_takes_nothing() {
    let mut rig = ready(3);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, "1111");
    rig.until_screen("card-wrong-pin");
    rig.tap(Word::GiveCardBack);
    take(&mut rig);
    rig.until_screen("attract");
    judge(&mut rig, false);
}

#[test]
fn a_decline_is_explained_in_its_group_when_the_card_is_taken() {
    for (code, reason) in [
        (Code::FUNDS, Word::DeclineFunds),
        (Code::EXPIRED, Word::DeclineExpired),
        (Code::LIMIT, Word::DeclineLimit),
        (Code::BLOCKED, Word::DeclineBlocked),
        (Code::PIN_TRIES, Word::DeclinePinTries),
        (Code::REFUSED, Word::DeclineOther),
        (Code(*b"91"), Word::DeclineIssuerUnavailable),
    ] {
        let mut rig = ready(4);
        rig.center.bank(|bank| bank.moods.push_back(Mood::Declines(code)));
        open_slot(&mut rig);
        insert(&mut rig, cards::card());
        enter(&mut rig, PIN);
        take(&mut rig);
        until_message(&mut rig, reason);
        judge(&mut rig, false);
    }
}

#[test]
fn an_approval_with_a_remark_is_an_approval() {
    for code in [Code::WITH_IDENTIFICATION, Code::IMPORTANT, Code::UPDATE_TRACK] {
        let mut rig = ready(50);
        rig.center.bank(|bank| bank.moods.push_back(Mood::Approves(code)));
        open_slot(&mut rig);
        insert(&mut rig, cards::card());
        enter(&mut rig, PIN);
        take(&mut rig);
        rig.until_screen("code");
        judge(&mut rig, true);
    }
}

#[test]
fn an_approval_of_a_part_is_given_back_and_told_as_too_little_money() {
    let mut rig = ready(51);
    rig.center.bank(|bank| bank.moods.push_back(Mood::Approves(Code::PARTIAL)));
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    take(&mut rig);
    until_message(&mut rig, Word::DeclineFunds);
    judge(&mut rig, false);
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        -- boot --
        Started 1 due 4325
        Card Inserted
        AuthorizeSent 1 for 4325
        Declined(Funds) 1
        Finished 1 Voided
        Card Taken
    "#]],
    );
}

#[test]
fn cancel_at_each_step_gives_the_card_back_and_takes_nothing() {
    // Before a card is in.
    let mut rig = ready(5);
    open_slot(&mut rig);
    rig.tap(Word::Cancel);
    rig.until_screen("attract");
    rig.until("a shut slot", |rig| !rig.cards.as_ref().expect("fitted").reader.is_accepting());
    judge(&mut rig, false);
    // At the PIN, on the screen and on the pad.
    for on_pad in [false, true] {
        let mut rig = ready(6);
        open_slot(&mut rig);
        insert(&mut rig, cards::card());
        rig.until_screen("card-pin");
        rig.rest(Duration::from_secs(3));
        if on_pad {
            let now = rig.now();
            assert!(rig.cards.as_mut().expect("fitted").pad.press(now, Key::Cancel));
        } else {
            rig.tap(Word::Cancel);
        }
        take(&mut rig);
        rig.until_screen("attract");
        judge(&mut rig, false);
    }
}

#[test]
fn nobody_enters_a_pin_and_the_card_is_given_back() {
    let mut rig = ready(7);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    rig.until_screen("card-pin");
    rig.until_screen("card-take");
    take(&mut rig);
    until_message(&mut rig, Word::NothingTaken);
    judge(&mut rig, false);
}

#[test]
fn several_applications_are_chosen_from() {
    let mut rig = ready(8);
    open_slot(&mut rig);
    let two = CardProfile::with_two_applications(cards::number(), &IssuerKeys::test());
    insert(&mut rig, ChipCard::new(two, Transport::T1));
    rig.until_screen("card-choose");
    rig.touch(Intent::ChooseApplication(1));
    enter(&mut rig, PIN);
    take(&mut rig);
    rig.until_screen("code");
    judge(&mut rig, true);
}

#[test]
fn a_card_torn_out_at_any_command_is_told_the_truth_and_pays_nothing() {
    let (mut paid, mut reversed) = (0, 0);
    for at in 0..16 {
        let mut rig = ready(9);
        open_slot(&mut rig);
        let mut torn = cards::card();
        torn.faults.torn_at = Some(at);
        insert(&mut rig, torn);
        rig.until("the end", |rig| {
            let pad = &rig.cards.as_ref().expect("fitted").pad;
            matches!(rig.view.screen, "message" | "code" | "card-take")
                || matches!(pad.display(), Display::EnterPin { stars: 0, .. })
        });
        if rig.view.screen == "card-pin" {
            enter(&mut rig, PIN);
        }
        rig.until("the end", |rig| matches!(rig.view.screen, "message" | "code" | "card-take"));
        rig.until("the end", |rig| {
            let reader = &rig.cards.as_ref().expect("fitted").reader;
            matches!(rig.view.screen, "message" | "code") || reader.place() == Whereabouts::Gate
        });
        let now = rig.now();
        rig.cards.as_mut().expect("fitted").reader.take(now);
        rig.until("the end", |rig| matches!(rig.view.screen, "message" | "code"));
        let done = rig.view.screen == "code";
        let told = rig.story();
        reversed += u32::from(told.contains("ReversalOwed"));
        paid += u32::from(done);
        assert!(!(done && told.contains("ReversalOwed")), "{told}");
        judge(&mut rig, done);
    }
    assert!(reversed > 0, "somewhere it is torn between order and second cryptogram");
    assert!(paid < 16);
}

#[test]
fn a_card_that_refuses_after_the_approval_is_reversed() {
    let mut rig = ready(10);
    open_slot(&mut rig);
    let mut stubborn = cards::card();
    stubborn.faults.refuses_after_approval = true;
    insert(&mut rig, stubborn);
    enter(&mut rig, PIN);
    take(&mut rig);
    until_message(&mut rig, Word::CardRefusedAfter);
    judge(&mut rig, false);
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        -- boot --
        Started 1 due 4325
        Card Inserted
        AuthorizeSent 1 for 4325
        ReversalOwed(CardRefused) 1
        Finished 1 Voided
        ReversalAcknowledged 1
        Card Taken
    "#]],
    );
}

#[test]
fn a_lost_answer_is_enquired_and_reversed_until_it_is_acknowledged() {
    for mood in [Mood::LosesAnswer, Mood::LosesRequest] {
        let mut rig = ready(11);
        rig.center.bank(|bank| bank.moods.push_back(mood));
        open_slot(&mut rig);
        insert(&mut rig, cards::card());
        enter(&mut rig, PIN);
        take(&mut rig);
        until_message(&mut rig, Word::CardNoAnswer);
        judge(&mut rig, false);
        assert!(rig.story().contains("ReversalAcknowledged"), "{}", rig.story());
    }
}

#[test]
fn a_link_that_breaks_while_the_bank_is_asked_leaves_a_reversal_that_waits_for_it() {
    let mut rig = ready(12);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    rig.answer_delay = Duration::from_secs(5);
    enter(&mut rig, PIN);
    rig.until_screen("card-bank");
    rig.rest(Duration::from_millis(100));
    rig.set_wire(Wire::Down);
    take(&mut rig);
    until_message(&mut rig, Word::CardNoAnswer);
    rig.rest(Duration::from_secs(60));
    assert_eq!(rig.kiosk().session().card_errands().count(), 1, "it is owed");
    let held = rig.center.bank(|bank| bank.taken_and_held());
    assert_eq!(held, (Amount::ZERO, sum()), "the bank has approved it");
    rig.answer_delay = Duration::ZERO;
    rig.set_wire(Wire::Up);
    judge(&mut rig, false);
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        -- boot --
        Started 1 due 4325
        Card Inserted
        AuthorizeSent 1 for 4325
        ReversalOwed(NoAnswer) 1
        Finished 1 Voided
        Card Taken
        ReversalAcknowledged 1
    "#]],
    );
}

#[test]
fn a_power_cut_at_any_effect_ends_in_money_taken_with_a_code_or_not_at_all() {
    let (mut paid, mut undone, mut nothing) = (0, 0, 0);
    for effects in (0..90).step_by(3) {
        let mut rig = ready(13);
        open_slot(&mut rig);
        insert(&mut rig, cards::card());
        rig.until_screen("card-pin");
        rig.until("a pad that takes digits", |rig| {
            matches!(rig.cards.as_ref().expect("fitted").pad.display(), Display::EnterPin { .. })
        });
        rig.die_after(effects, None);
        let now = rig.now();
        rig.cards.as_mut().expect("fitted").pad.enter(now, PIN);
        rig.until("death, or the end", |rig| {
            rig.try_kiosk().is_none() || matches!(rig.view.screen, "card-take" | "code")
        });
        for _ in 0..600 {
            if rig.try_kiosk().is_none() {
                break;
            }
            let now = rig.now();
            rig.cards.as_mut().expect("fitted").reader.take(now);
            rig.rest(Duration::from_millis(100));
        }
        rig.spare();
        if rig.try_kiosk().is_none() {
            rig.power_on();
        }
        rig.rest(Duration::from_secs(20));
        let now = rig.now();
        rig.cards.as_mut().expect("fitted").reader.take(now);
        let story = rig.story();
        let done = story.contains("ConfirmOwed");
        let owed = story.contains("ReversalOwed");
        assert!(!(done && owed), "{effects}: {story}");
        (paid, undone, nothing) =
            (paid + u32::from(done), undone + u32::from(owed), nothing + u32::from(!done && !owed));
        judge(&mut rig, done);
    }
    assert!(paid > 0 && undone > 0 && nothing > 0, "{paid} paid, {undone} undone, {nothing} nothing");
}

#[test]
fn a_forgotten_card_is_kept_with_its_reason_on_disk_and_nothing_is_paid() {
    let mut rig = ready(14);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    rig.until_screen("card-take");
    rig.until_screen("message");
    assert_eq!(rig.view.title, word(Language::English, Word::CardKept));
    assert_eq!(rig.cards.as_ref().expect("fitted").reader.boxed().len(), 1);
    rig.until_screen("attract");
    judge(&mut rig, false);
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        -- boot --
        Started 1 due 4325
        Card Inserted
        AuthorizeSent 1 for 4325
        Authorized 1
        Settled 1: paid
        ReversalOwed(Abandoned) 1
        Finished 1 Voided
        Card RetainOrdered(Forgotten)
        ReversalAcknowledged 1
        Card Retained(Some(1))
    "#]],
    );
}

/// A card was left: cards are closed, cash goes on, and the card is where its owner finds it.
fn until_left(rig: &mut Rig) {
    rig.until_screen("attract");
    assert!(rig.kiosk().health().has(FaultCode::CardLeft));
    let Body::Attract { states, .. } = &rig.view.body else { panic!("{:?}", rig.view.screen) };
    for phrase in [Word::StateCardLeft, Word::StateCashYes] {
        let says = |language| states.iter().any(|state| state.text == word(language, phrase));
        assert!(Language::ALL.into_iter().any(says), "{states:?}");
    }
    rig.rest(Duration::from_secs(30));
    assert_eq!(rig.view.screen, "attract");
    let reader = &rig.cards.as_ref().expect("fitted").reader;
    assert_eq!((reader.place(), reader.boxed().len()), (Whereabouts::Gate, 0));
    assert!(reader.moves() < 10, "a motor does not pull for ever: {}", reader.moves());
    let story = rig.story();
    assert!(!story.contains("Card Retained") && story.matches("RetainOrdered").count() == 2, "{story}");
}

#[test]
fn a_forgotten_card_that_cannot_be_drawn_in_or_boxed_closes_cards_and_nothing_else() {
    for full in [false, true] {
        let mut rig = ready(52);
        open_slot(&mut rig);
        insert(&mut rig, cards::card());
        enter(&mut rig, PIN);
        rig.until_screen("card-take");
        let now = rig.now();
        let reader = &mut rig.cards.as_mut().expect("fitted").reader;
        if full {
            reader.set_trouble(now, Some(Trouble::BoxFull));
        } else {
            reader.hold(true);
        }
        until_left(&mut rig);
        judge(&mut rig, false);
        let now = rig.now();
        let reader = &mut rig.cards.as_mut().expect("fitted").reader;
        reader.hold(false);
        reader.set_trouble(now, None);
        assert!(reader.take(now));
        rig.until("cards again", |rig| !rig.kiosk().health().has(FaultCode::CardLeft));
    }
}

#[test]
fn nobody_is_told_that_a_card_is_kept_before_it_is() {
    for taken in [true, false] {
        let mut rig = ready(53);
        open_slot(&mut rig);
        insert(&mut rig, cards::card());
        enter(&mut rig, PIN);
        rig.until("the order to keep it", |rig| rig.story().contains("RetainOrdered"));
        let now = rig.now();
        let reader = &mut rig.cards.as_mut().expect("fitted").reader;
        if taken {
            assert!(reader.take(now), "at the last moment");
        } else {
            reader.set_silent(true);
        }
        until_message(&mut rig, Word::CardLeftUnpaid);
        assert!(!rig.story().contains("Card Retained"), "{}", rig.story());
    }
}

#[test]
fn the_pad_shows_its_greeting_again_when_the_bank_has_spoken() {
    let mut rig = ready(54);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    rig.until_screen("card-take");
    rig.rest(Duration::from_secs(1));
    assert_eq!(*rig.cards.as_ref().expect("fitted").pad.display(), Display::Idle);
}

#[test]
fn a_card_that_sticks_and_comes_out_later_brings_no_second_receipt() {
    let mut rig = ready(18);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    rig.until_screen("card-take");
    let now = rig.now();
    rig.cards.as_mut().expect("fitted").reader.set_trouble(now, Some(Trouble::Shutter));
    rig.until_screen("code");
    let now = rig.now();
    rig.cards.as_mut().expect("fitted").reader.set_trouble(now, None);
    take(&mut rig);
    rig.until_screen("attract");
    judge(&mut rig, true);
    let receipts = rig.story().matches("PrintOrdered Receipt").count();
    assert_eq!(receipts, 1, "{}", rig.story());
}

#[test]
fn a_card_that_is_drawn_in_when_it_comes_back_while_a_receipt_is_printed_brings_no_second_one() {
    let mut rig = ready(19);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    rig.until_screen("card-take");
    let now = rig.now();
    let reader = |rig: &mut Rig, on| rig.cards.as_mut().expect("fitted").reader.set_power(now, on);
    reader(&mut rig, false);
    rig.until_screen("printing");
    reader(&mut rig, true);
    rig.until_screen("card-take");
    rig.rest(Duration::from_secs(15));
    take(&mut rig);
    rig.until_screen("code");
    judge(&mut rig, true);
    assert_eq!(rig.story().matches("PrintOrdered Receipt").count(), 1, "{}", rig.story());
}

#[test]
fn a_card_that_a_power_cut_kept_out_of_the_box_is_kept_at_the_next_try() {
    let mut rig = ready(20);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    rig.until("the order to keep it", |rig| rig.story().contains("RetainOrdered"));
    let now = rig.now();
    let reader = |rig: &mut Rig, on| rig.cards.as_mut().expect("fitted").reader.set_power(now, on);
    reader(&mut rig, false);
    reader(&mut rig, true);
    rig.until("a card in the box", |rig| rig.cards.as_ref().expect("fitted").reader.boxed().len() == 1);
    rig.until_screen("attract");
    judge(&mut rig, false);
}

#[test]
fn a_card_that_is_kept_leaves_no_payment_open_behind_it() {
    let mut rig = ready(21);
    open_slot(&mut rig);
    // The reader loses its power with the card just inside: nobody has asked anything of it yet.
    insert(&mut rig, cards::card());
    rig.rest(Duration::from_millis(500));
    let now = rig.now();
    rig.cards.as_mut().expect("fitted").reader.set_power(now, false);
    rig.rest(Duration::from_secs(30));
    let now = rig.now();
    rig.cards.as_mut().expect("fitted").reader.set_power(now, true);
    rig.until("a card in the box", |rig| rig.cards.as_ref().expect("fitted").reader.boxed().len() == 1);
    rig.until_screen("attract");
    rig.until("nothing open", |rig| rig.kiosk().session().current().is_none());
    judge(&mut rig, false);
}

#[test]
fn a_card_that_was_inside_at_the_start_is_given_back_first() {
    let mut rig = ready(15);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    rig.until_screen("card-pin");
    rig.power_off();
    rig.power_on();
    take(&mut rig);
    rig.until_screen("attract");
    judge(&mut rig, false);
}

#[test]
fn without_paper_the_code_on_the_screen_is_what_the_money_is_taken_for() {
    let mut rig = ready(16);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    rig.until_screen("card-take");
    let now = rig.now();
    rig.printer.set_paper(now, PaperSupply::Out);
    rig.rest(Duration::from_secs(5));
    take(&mut rig);
    rig.until_screen("cannot-print");
    judge(&mut rig, true);
}

/// The journal fails at each record around the end: whoever reads a code on the screen has paid for it, and nobody else has.
#[test]
fn without_paper_no_code_is_shown_whose_record_was_not_kept() {
    let mut ends = [0; 2];
    for appends in 0..4 {
        let mut rig = ready(40 + appends);
        open_slot(&mut rig);
        insert(&mut rig, cards::card());
        enter(&mut rig, PIN);
        rig.until_screen("card-take");
        let now = rig.now();
        rig.printer.set_paper(now, PaperSupply::Out);
        rig.rest(Duration::from_secs(5));
        rig.disk.fail_after(appends, DiskFault::FailedNotKept);
        take(&mut rig);
        let shown = Cell::new(false);
        rig.until("the end of the process, or of the payment", |rig| {
            shown.set(shown.get() || ["code", "cannot-print"].contains(&rig.view.screen));
            rig.aborted.is_some() || rig.story().contains("Finished")
        });
        let owed = rig.story().contains("ConfirmOwed");
        assert!(owed || !shown.get(), "after {appends}: {}", rig.story());
        ends[usize::from(owed)] += 1;
        rig.disk.fail_after(0, DiskFault::None);
        if rig.aborted.is_some() {
            rig.power_on();
        }
        judge(&mut rig, owed);
    }
    assert!(ends.iter().all(|count| *count > 0), "not kept, kept: {ends:?}");
}

#[test]
fn no_number_and_no_pin_is_left_anywhere() {
    let mut rig = ready(17);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    take(&mut rig);
    rig.until_screen("code");
    judge(&mut rig, true);
    let number: String = cards::number().digits().iter().map(|digit| char::from(b'0' + digit)).collect();
    let packed: Vec<u8> = cards::number().digits().chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let journal: Vec<u8> =
        rig.disk.records().iter().flat_map(tolem_protocol::record::Record::to_bytes).collect();
    let seen = format!("{:?} {} {:?}", rig.view, rig.story(), rig.kiosk().session());
    for (what, bytes) in [("journal", journal.as_slice()), ("screen, story, session", seen.as_bytes())] {
        for secret in [number.as_bytes(), packed.as_slice(), cards::number().digits()] {
            assert!(
                !bytes.windows(secret.len()).any(|window| window == secret),
                "a card's number is in {what}"
            );
        }
    }
}

/// Whether the start screen says so, in any language.
fn start_says(rig: &Rig, phrase: Word) -> bool {
    match &rig.view.body {
        Body::Attract { states, .. } => {
            states.iter().any(|state| Language::ALL.iter().any(|l| state.text == word(*l, phrase)))
        }
        _ => false,
    }
}

#[test]
fn the_start_screen_takes_cards_only_while_the_centers_acquirer_is_there() {
    let mut rig = ready(18);
    let set = |rig: &Rig, open| {
        rig.center.change(|center| center.acquirer.as_mut().expect("cards are open").is_open = open);
    };
    set(&rig, false);
    rig.until("no cards", |rig| start_says(rig, Word::StateCardNo));
    assert!(rig.kiosk().health().has(FaultCode::AcquirerDown));
    assert!(start_says(&rig, Word::StateCashYes), "cash goes on");
    set(&rig, true);
    rig.until("cards again", |rig| start_says(rig, Word::StateCardYes));
    assert!(!rig.kiosk().health().has(FaultCode::AcquirerDown));
    // Said at each welcome, not only when nothing was asked for a while.
    set(&rig, false);
    rig.set_wire(Wire::Down);
    rig.until_screen("closed");
    rig.set_wire(Wire::Up);
    rig.until_screen("attract");
    assert!(start_says(&rig, Word::StateCardNo));
}

#[test]
fn a_sum_above_the_pads_display_is_told_to_be_for_cash() {
    let mut rig = Rig::ready(19);
    rig.center.open_cards(cards::bank(full()));
    rig.center.change(|center| {
        let services = &mut center.catalogue.services;
        let dear = services.iter_mut().find(|service| service.code.as_str() == MARRIAGE).expect("a service");
        dear.price = Price::Mrp { thousandths: 24_000 };
        center.catalogue.head.version += 1;
    });
    rig.fit_cards();
    rig.until_screen("attract");
    rig.until("cards", |rig| start_says(rig, Word::StateCardYes));
    rig.type_payer(MARRIAGE, PAYER);
    rig.tap(Word::Next);
    rig.until_screen("quote");
    let Body::Facts { points, .. } = &rig.view.body else { panic!("no facts on the quote") };
    assert!(points.iter().any(|point| point.text.contains("up to 99\u{202f}999,99")), "{points:?}");
    assert!(rig.view.actions.iter().all(|action| action.intent != Intent::PayCard));
    assert!(rig.view.actions.iter().any(|action| action.intent == Intent::PayCash));
}

#[test]
fn a_restored_center_is_told_a_confirmed_card_payment_and_takes_the_money_once() {
    use tolem_hal_sim::world::Center;
    let mut rig = ready(20);
    Center::back_up(&rig.center);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    take(&mut rig);
    rig.until_screen("code");
    judge(&mut rig, true);
    let payment = rig.kiosk().session().payments()[0].id;
    let now = rig.utc();
    assert!(Center::restore(&rig.center, now));
    assert!(rig.center.store(|store| store.payment(&payment)).expect("memory").is_none(), "forgotten");
    rig.set_wire(Wire::Down);
    rig.until("no link", |rig| !rig.kiosk().link_is_up());
    rig.set_wire(Wire::Up);
    rig.until("the link", |rig| rig.kiosk().link_is_up());
    rig.rest(Duration::from_secs(30));
    let known = rig.center.store(|store| store.payment(&payment)).expect("memory").expect("it is told");
    let Some(outcome) = known.outcome.and_then(|outcome| outcome.read_unverified()) else {
        panic!("no answer")
    };
    assert!(matches!(outcome.verdict, Verdict::Accepted { .. }));
    let alarms = rig.center.store(|store| store.alarms()).expect("memory");
    assert_eq!(alarms.iter().filter(|alarm| alarm.kind == "card-recalled").count(), 1);
    assert!(!rig.kiosk().health().has(FaultCode::PaymentDisputed));
    judge(&mut rig, true);
}

/// A payment whose code is on its way to paper while the center is restored: `forget` makes its database of those from before the payment and of now.
fn restored_while_printing(seed: u64, forget: impl FnOnce(MemoryStore, MemoryStore) -> MemoryStore) -> Rig {
    let mut rig = ready(seed);
    let before = rig.center.store(MemoryStore::clone);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    take(&mut rig);
    rig.until_screen("printing");
    let now = rig.center.store(MemoryStore::clone);
    rig.center.restore(forget(before, now));
    rig.center.operate(|_, store| operator::begin_new_life(store)).expect("memory does not fail");
    rig.break_link(LinkFault::Closed);
    rig.until_screen("code");
    rig.rest(Duration::from_secs(120));
    rig
}

fn alarms(rig: &Rig) -> Vec<String> {
    let alarms = rig.center.store(|store| store.alarms()).expect("memory");
    alarms.into_iter().map(|alarm| alarm.kind).filter(|kind| kind != "own-gap").collect()
}

#[test]
fn a_code_printed_after_the_center_forgot_it_is_told_and_handed_to_a_person() {
    let rig = restored_while_printing(21, |before, _| before);
    let asked = rig.facts().into_iter().find_map(|fact| match fact {
        Fact::AuthorizeSent { deposit, .. } => deposit.read_unverified(),
        _ => None,
    });
    let payment = asked.expect("the center was asked").payment;
    assert_eq!(rig.kiosk().session().card_errands().count(), 0, "{}", rig.story());
    assert!(!rig.kiosk().health().has(FaultCode::PaymentDisputed));
    let known = rig.center.store(|store| store.payment(&payment)).expect("memory").expect("it is told");
    assert!(known.outcome.is_some(), "it is on the books");
    assert_eq!(alarms(&rig), ["card-recalled"]);
}

#[test]
fn a_code_printed_after_the_center_forgot_the_approval_takes_the_money() {
    let mut rig = restored_while_printing(22, |_, mut now| {
        let mut asked = Vec::new();
        now.each_card(&mut |row| asked.push(row)).expect("memory does not fail");
        for row in asked {
            let sent = CardRow { standing: Standing::Sent, code: None, approval: None, ..row };
            now.put_card(&sent).expect("memory does not fail");
        }
        now
    });
    judge(&mut rig, true);
    assert!(!rig.kiosk().health().has(FaultCode::PaymentDisputed));
    assert_eq!(alarms(&rig), [""; 0]);
}

#[test]
fn a_restored_center_is_told_that_a_card_payment_was_undone_and_gives_the_money_back() {
    use tolem_hal_sim::world::Center;
    let mut rig = ready(23);
    open_slot(&mut rig);
    insert(&mut rig, cards::card());
    enter(&mut rig, PIN);
    rig.until_screen("card-take");
    Center::back_up(&rig.center);
    // Nobody takes the card: it is kept, and the center has taken the undoing on.
    rig.rest(Duration::from_secs(90));
    assert_eq!(rig.kiosk().session().card_errands().count(), 0, "{}", rig.story());
    let now = rig.utc();
    assert!(Center::restore(&rig.center, now));
    rig.break_link(LinkFault::Closed);
    judge(&mut rig, false);
    let mut standings = Vec::new();
    rig.center.store(|store| store.each_card(&mut |row| standings.push(row.standing))).expect("memory");
    assert_eq!(standings, [Standing::Reversed], "the approval in the backup waits for nobody");
    assert_eq!(alarms(&rig), [""; 0]);
}
