//! What two people end of a card payment after having talked to the acquirer, and what they cannot.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod card_town;
mod common;

use card_town::*;
use common::{two::*, *};
use tolem_center::logic::{
    acquirer::{Acquiring as _, Standing},
    approval::{Asked, Denied, Effect},
    card_office::{CardRuling, waits_for_a_person},
    disputes::{DisputeState, Disputes as _},
    errands::Reply,
    ledger,
    office::Action,
    store::{CodeState, Store as _, Transact},
};
use tolem_protocol::{
    PaymentId,
    card::CardAnswer,
    iso8583::MessageType,
    messages::{Request, Response},
};

on_all_stores!(
    nothing_is_ended_that_a_machine_may_still_end,
    an_approval_without_its_kiosk_is_ended_either_way,
    a_ruling_on_another_state_ends_nothing,
    a_confirmation_that_the_acquirer_refuses_is_taken_or_becomes_a_dispute,
    a_reversal_that_the_acquirer_refuses_ends_with_what_it_gave_back_by_hand,
    a_code_that_is_struck_by_hand_frees_the_money,
    what_a_restored_center_forgot_is_ended_by_people,
);

fn staffed_town<L: Lab>(lab: &L) -> Town<L::Store> {
    let mut town = town(lab, true);
    for pen in [pen("aigul"), pen("bolat")] {
        assert_eq!(ask(&mut town, &pen, &add(&pen)), Ok(Asked::Founded));
    }
    town
}

fn ending<S: Transact>(town: &Town<S>, payment: PaymentId, ruling: CardRuling) -> Action {
    let seen = town.store.card(&payment).unwrap().map(|row| row.standing);
    Action::EndCard { payment, seen, ruling, why: "the acquirer's desk, by phone".into() }
}

fn end<S: Transact>(town: &mut Town<S>, payment: PaymentId, ruling: CardRuling) -> Result<Effect, Denied> {
    let action = ending(town, payment, ruling);
    assert_eq!(Action::from_bytes(&action.to_bytes()), Some(action.clone()));
    match ask(town, &pen("aigul"), &action)? {
        Asked::Waits(number) => {
            let alone = approve(town, &pen("aigul"), number);
            assert_eq!(alone, Err(Denied::SamePerson("aigul".into())));
            approve(town, &pen("bolat"), number)
        }
        other => panic!("{other:?}"),
    }
}

fn approved<S: Transact>(town: &mut Town<S>) -> PaymentId {
    let (payment, request) = town.asked();
    town.decided(&request, b"00");
    payment
}

/// The acquirer refuses whatever is said next.
fn refused<S: Transact>(town: &mut Town<S>) {
    let word = town.errands().remove(0);
    town.hear(&answer(&word, b"12"));
}

fn waits<S: Transact>(town: &Town<S>, payment: PaymentId) -> bool {
    let card = town.store.card(&payment).unwrap();
    waits_for_a_person(&town.store, &payment, card.as_ref()).unwrap()
}

const ALL: [CardRuling; 4] =
    [CardRuling::Taken, CardRuling::GivenBack, CardRuling::NotPaid, CardRuling::CodeStruck];

fn refuses_all_but<S: Transact>(town: &mut Town<S>, payment: PaymentId, good: &[CardRuling]) {
    for ruling in ALL.into_iter().filter(|ruling| !good.contains(ruling)) {
        let denied = end(town, payment, ruling);
        assert!(matches!(denied, Err(Denied::Impossible(_))), "{ruling}: {denied:?}");
    }
}

fn nothing_is_ended_that_a_machine_may_still_end(lab: &impl Lab) {
    let mut town = staffed_town(lab);
    let (asked, request) = town.asked();
    refuses_all_but(&mut town, asked, &[]);
    town.decided(&request, b"00");
    assert!(!waits(&town, asked), "its kiosk decides");
    refuses_all_but(&mut town, asked, &[]);
    town.card(Request::CardConfirm(asked));
    refuses_all_but(&mut town, asked, &[]);
    let unknown = town.next_id(1);
    refuses_all_but(&mut town, unknown, &[]);
    // A reason is needed.
    let seen = town.store.card(&asked).unwrap().map(|row| row.standing);
    let action = Action::EndCard { payment: asked, seen, ruling: CardRuling::Taken, why: " ".into() };
    assert!(matches!(ask(&mut town, &pen("aigul"), &action), Err(Denied::Impossible(_))));
    town.audit();
}

fn an_approval_without_its_kiosk_is_ended_either_way(lab: &impl Lab) {
    for take in [true, false] {
        let mut town = staffed_town(lab);
        let payment = approved(&mut town);
        town.now = town.now.plus_seconds(3_601);
        town.with(|center, store, at| center.card_alarms(store, at));
        assert!(waits(&town, payment));
        refuses_all_but(&mut town, payment, &[CardRuling::Taken, CardRuling::GivenBack]);
        let ruling = if take { CardRuling::Taken } else { CardRuling::GivenBack };
        assert_eq!(end(&mut town, payment, ruling), Ok(Effect::Done));
        town.notices();
        let (kind, code) = if take {
            (MessageType::ADVICE, CodeState::Paid)
        } else {
            (MessageType::REVERSAL, CodeState::Void)
        };
        assert_eq!((town.errands().remove(0).kind, town.code_state(&payment)), (kind, Some(code)));
        // The kiosk comes back after all, and hears how it ended.
        let said = if take { CardAnswer::Confirmed } else { CardAnswer::Voided };
        assert_eq!(town.card(void(payment)), said);
        assert!(!waits(&town, payment));
        town.audit();
    }
}

/// What two people sign, one after the other, is about what the first one saw.
fn a_ruling_on_another_state_ends_nothing(lab: &impl Lab) {
    for take in [true, false] {
        let mut town = staffed_town(lab);
        let payment = approved(&mut town);
        town.now = town.now.plus_seconds(3_601);
        town.with(|center, store, at| center.card_alarms(store, at));
        let ruling = if take { CardRuling::Taken } else { CardRuling::GivenBack };
        let action = ending(&town, payment, ruling);
        let Ok(Asked::Waits(number)) = ask(&mut town, &pen("aigul"), &action) else { panic!("it waits") };
        // The kiosk comes back and decides, and the acquirer refuses to hear of it.
        town.card(if take { Request::CardConfirm(payment) } else { void(payment) });
        town.notices();
        refused(&mut town);
        assert!(waits(&town, payment));
        let stood = town.store.card(&payment).unwrap();
        let denied = approve(&mut town, &pen("bolat"), number);
        assert!(
            matches!(&denied, Err(Denied::Impossible(why)) if why.contains("was Approved when")),
            "{denied:?}"
        );
        assert_eq!(town.store.card(&payment).unwrap(), stood, "nothing is ended that nobody looked at");
        town.audit();
    }
}

fn a_confirmation_that_the_acquirer_refuses_is_taken_or_becomes_a_dispute(lab: &impl Lab) {
    for used in [None, Some(false), Some(true)] {
        let mut town = staffed_town(lab);
        let payment = approved(&mut town);
        town.card(Request::CardConfirm(payment));
        town.notices();
        refused(&mut town);
        refuses_all_but(&mut town, payment, &[CardRuling::Taken, CardRuling::NotPaid]);
        let ruling = if used.is_none() { CardRuling::Taken } else { CardRuling::NotPaid };
        let effect = end(&mut town, payment, ruling).unwrap();
        let row = town.store.card(&payment).unwrap().unwrap();
        assert!(row.standing == Standing::Confirmed && row.sealed_number.is_empty() && row.words.is_none());
        town.now = town.now.plus_seconds(3_600);
        assert!(town.errands().is_empty(), "nothing is repeated any more");
        assert_eq!(town.card(Request::CardConfirm(payment)), CardAnswer::Confirmed, "its kiosk is free");
        let fee = i64::try_from(tenge(FEE).tiyn()).unwrap();
        assert_eq!(town.owed_by_cards(), if used.is_none() { fee } else { 0 });
        town.audit();
        let Some(used) = used else {
            assert_eq!(effect, Effect::Done);
            continue;
        };
        let Effect::Disputes(rows) = effect else { panic!("a dispute") };
        assert_eq!((rows[0].state, rows[0].amount), (DisputeState::Returning, tenge(FEE)));
        if used {
            town.with(|_, store, _| {
                let mut row = store.code_of(&payment)?.unwrap();
                row.state = CodeState::Used;
                store.put_code(&row)
            });
        }
        town.notices();
        let dispute = town.store.dispute(1).unwrap().unwrap();
        assert_eq!(dispute.state, if used { DisputeState::Open } else { DisputeState::Returned });
        town.audit();
    }
}

fn a_reversal_that_the_acquirer_refuses_ends_with_what_it_gave_back_by_hand(lab: &impl Lab) {
    let mut town = staffed_town(lab);
    let payment = approved(&mut town);
    town.card(void(payment));
    refuses_all_but(&mut town, payment, &[]);
    town.notices();
    refused(&mut town);
    refuses_all_but(&mut town, payment, &[CardRuling::GivenBack]);
    assert_eq!(end(&mut town, payment, CardRuling::GivenBack), Ok(Effect::Done));
    let mut town = town.restart(lab);
    town.now = town.now.plus_seconds(3_600);
    assert_eq!((town.standing(&payment), town.errands().len()), (Standing::Reversed, 0));
    assert!(town.store.card(&payment).unwrap().unwrap().sealed_number.is_empty());
    refuses_all_but(&mut town, payment, &[]);
    town.audit();
}

fn a_code_that_is_struck_by_hand_frees_the_money(lab: &impl Lab) {
    let mut town = staffed_town(lab);
    let payment = approved(&mut town);
    town.card(void(payment));
    refuses_all_but(&mut town, payment, &[]);
    let due = town.with(|center, store, at| center.notices_due(store, at.now));
    let no = Reply::Refused("not permitted".into());
    town.with(|center, store, at| center.notice_answered(store, at, due[0].id, &no));
    assert!(town.errands().is_empty(), "the code first");
    refuses_all_but(&mut town, payment, &[CardRuling::CodeStruck]);
    assert_eq!(end(&mut town, payment, CardRuling::CodeStruck), Ok(Effect::Done));
    assert_eq!(town.errands().remove(0).kind, MessageType::REVERSAL);
    town.now = town.now.plus_seconds(3_600);
    let due = town.with(|center, store, at| center.notices_due(store, at.now));
    assert!(due.is_empty(), "the gateway is not asked any more");
    refuses_all_but(&mut town, payment, &[]);
    town.audit();
}

fn what_a_restored_center_forgot_is_ended_by_people(lab: &impl Lab) {
    let mut lost = town(lab, true);
    let quote = lost.card_quote();
    let order = lost.order_of(&quote, &secret());
    let tolem_center::logic::Answer::Order(payment) = lost.order(&order) else { panic!("taken") };
    let tolem_center::logic::cards::Next::Ask(request) = lost.code_for(&order, true) else { panic!("asked") };
    let CardAnswer::Approved { outcome, .. } = lost.decided(&request, b"00") else { panic!("approved") };
    for paid in [true, false] {
        let mut town = staffed_town(lab);
        let recall = Request::Recall { deposit: order.deposit.clone(), outcome: outcome.clone() };
        assert_eq!(town.ask(1, recall), Response::Recalled);
        assert!(waits(&town, payment));
        refuses_all_but(&mut town, payment, &[CardRuling::Taken, CardRuling::NotPaid]);
        let ruling = if paid { CardRuling::Taken } else { CardRuling::NotPaid };
        end(&mut town, payment, ruling).unwrap();
        refuses_all_but(&mut town, payment, &[]);
        assert_eq!(town.owed_by_cards() == 0, !paid);
        assert!(ledger::totals(&town.store).is_ok());
        town.audit();
    }
    let mut town = staffed_town(lab);
    assert_eq!(town.card(void(payment)), CardAnswer::Voided);
    refuses_all_but(&mut town, payment, &[CardRuling::GivenBack]);
    assert_eq!(end(&mut town, payment, CardRuling::GivenBack), Ok(Effect::Done));
    assert!(!waits(&town, payment));
    refuses_all_but(&mut town, payment, &[]);
    town.audit();
}
