//! Two people for each decision about money.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{two::*, *};
use tolem_center::{
    logic::{
        Moment,
        approval::{Asked, Denied, Effect},
        office::{Action, Office as _, RequestState, active},
        operator::Found,
        rebuild::{self, Standing as _},
        store::{BalanceState, Store as _, Transact},
    },
    pen::Pen,
};
use tolem_protocol::{
    BalanceNumber, KioskNumber,
    messages::{DepositKind, HoldReason, Response, Verdict},
};

fn number(asked: Result<Asked, Denied>) -> u32 {
    match asked {
        Ok(Asked::Waits(number)) => number,
        other => panic!("{other:?}"),
    }
}

fn state<S: Transact>(town: &Town<S>, number: BalanceNumber) -> BalanceState {
    town.store.balance(number).unwrap().unwrap().state
}

fn nobody_moves_money_alone(lab: &impl Lab) {
    let (mut town, aigul, bolat) = staffed(lab.create());
    let balance = town.remainder(ANNA, 1_000).number;
    let refund = Action::Refund { balance };
    let request = number(ask(&mut town, &aigul, &refund));
    assert_eq!(number(ask(&mut town, &bolat, &refund)), request, "the same wish is one request");
    assert_eq!(approve(&mut town, &aigul, request), Err(Denied::SamePerson("aigul".into())));
    assert_eq!(state(&town, balance), BalanceState::Issued, "nothing has moved");
    assert_eq!(approve(&mut town, &pen("vera"), request), Err(Denied::UnknownOperator("vera".into())));
    // Bolat's name under Aigul's hand.
    let row = town.store.request(request).unwrap().unwrap();
    let forged = Pen::from_seed("bolat", &[pen_seed("aigul"); 32].into()).unwrap().decide(&row, true);
    let (center, mut fresh) = (&town.center, || 1);
    let mut at = Moment { now: town.now, fresh: &mut fresh, trace: &mut |_| {} };
    let answer = center.approve(&mut town.store, &mut at, request, "bolat", &forged).unwrap();
    assert_eq!(answer, Err(Denied::Signature("bolat".into())));
    assert_eq!(approve(&mut town, &bolat, request), Ok(Effect::Done));
    assert_eq!(state(&town, balance), BalanceState::Refunded);
    assert_eq!(approve(&mut town, &bolat, request), Err(Denied::NotOpen(request)), "once");
    assert!(matches!(ask(&mut town, &aigul, &refund), Err(Denied::Impossible(_))), "it is gone");
    town.audit();
    let town = town.restart(lab);
    let row = town.store.request(request).unwrap().unwrap();
    assert!(matches!(&row.state, RequestState::Done { by, .. } if by == "bolat"));
    let deeds: Vec<String> =
        town.store.deeds().unwrap().into_iter().map(|deed| format!("{}: {}", deed.by, deed.what)).collect();
    assert_eq!(deeds.len(), 4, "{deeds:?}");
    assert!(deeds[3].starts_with("aigul and bolat: request 1 is done: pay balance"), "{deeds:?}");
}

fn pen_seed(name: &str) -> u8 {
    name.bytes().fold(7u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte))
}

fn nobody_makes_themselves_a_second_person(lab: &impl Lab) {
    let (mut town, aigul, bolat) = staffed(lab.create());
    let vera = pen("vera");
    assert_eq!(ask(&mut town, &vera, &add(&vera)), Err(Denied::UnknownOperator("vera".into())));
    let request = number(ask(&mut town, &aigul, &add(&vera)));
    assert_eq!(approve(&mut town, &aigul, request), Err(Denied::SamePerson("aigul".into())));
    assert_eq!(approve(&mut town, &vera, request), Err(Denied::UnknownOperator("vera".into())));
    assert_eq!(approve(&mut town, &bolat, request), Ok(Effect::Done));
    // A second name for a key that is known, a name twice, a name that is none.
    let twin = Action::AddOperator { name: "aigul-2".into(), key: aigul.public() };
    assert!(matches!(ask(&mut town, &aigul, &twin), Err(Denied::Impossible(_))));
    for name in ["aigul", "", "Aigul", "a b", "x\n"] {
        let again = Action::AddOperator { name: name.into(), key: [9; 32] };
        assert!(matches!(ask(&mut town, &bolat, &again), Err(Denied::Impossible(_))), "{name:?}");
    }
    let leave = |name: &str| Action::RemoveOperator { name: name.into() };
    let request = number(ask(&mut town, &bolat, &leave("aigul")));
    assert_eq!(approve(&mut town, &vera, request), Ok(Effect::Done));
    assert_eq!(active(&town.store).unwrap().len(), 2);
    assert_eq!(ask(&mut town, &aigul, &leave("vera")), Err(Denied::UnknownOperator("aigul".into())));
    assert!(matches!(ask(&mut town, &bolat, &leave("vera")), Err(Denied::Impossible(_))), "two must stay");
    let back = Action::AddOperator { name: "aigul".into(), key: [3; 32] };
    assert!(matches!(ask(&mut town, &bolat, &back), Err(Denied::Impossible(_))), "names are not used twice");
}

fn a_request_can_be_taken_back_and_then_does_nothing(lab: &impl Lab) {
    let (mut town, aigul, bolat) = staffed(lab.create());
    let balance = town.remainder(ANNA, 1_000).number;
    let request = number(ask(&mut town, &aigul, &Action::Refund { balance }));
    let row = town.store.request(request).unwrap().unwrap();
    let (now, signature) = (town.now, aigul.decide(&row, false));
    let center = &town.center;
    let forged = center.withdraw(&mut town.store, now, request, "bolat", &signature).unwrap();
    assert_eq!(forged, Err(Denied::Signature("bolat".into())));
    // An approval does not pass for a withdrawal, nor the other way round.
    let approval = bolat.decide(&row, true);
    let mixed = center.withdraw(&mut town.store, now, request, "bolat", &approval).unwrap();
    assert_eq!(mixed, Err(Denied::Signature("bolat".into())));
    center.withdraw(&mut town.store, now, request, "aigul", &signature).unwrap().unwrap();
    assert_eq!(approve(&mut town, &bolat, request), Err(Denied::NotOpen(request)));
    assert_eq!(town.store.balance(balance).unwrap().unwrap().state, BalanceState::Issued);
}

fn a_slip_and_a_count_need_two_people(lab: &impl Lab) {
    let (mut town, aigul, bolat) = staffed(lab.create());
    let payment = town.next_id(1);
    let kind = DepositKind::Hold(HoldReason::Suspense);
    let deposit = town.deposit(payment, kind, None, Some(ANNA), &[5_000]);
    let request = number(ask(&mut town, &aigul, &Action::ImportSlip { deposit: deposit.clone() }));
    assert_eq!(town.cash(1), 0, "asked, not done");
    let Ok(Effect::Slip(response)) = approve(&mut town, &bolat, request) else { panic!() };
    let Response::Outcome(answer) = *response else { panic!() };
    let Verdict::Held(held) = verdict(&answer) else { panic!() };
    assert_eq!(town.commit(1, &deposit), answer, "a later drain gets the same answer");
    let found = Action::Resolve { balance: held.number, found: Found::Money };
    let request = number(ask(&mut town, &bolat, &found));
    assert!(!town.store.balance(held.number).unwrap().unwrap().resolved);
    assert_eq!(approve(&mut town, &aigul, request), Ok(Effect::Done));
    assert!(town.store.balance(held.number).unwrap().unwrap().resolved);
    assert_eq!(town.cash(1), 500_000);
    town.audit();
    // What has become impossible between asking and approving is not done, and the request stays for people to withdraw.
    let refund = Action::Refund { balance: held.number };
    let request = number(ask(&mut town, &aigul, &refund));
    tolem_center::logic::operator::refund(&mut town.store, town.now, held.number).unwrap();
    assert!(matches!(approve(&mut town, &bolat, request), Err(Denied::Impossible(_))));
    assert_eq!(town.store.request(request).unwrap().unwrap().state, RequestState::Open);
}

fn a_restored_center_is_opened_early_by_two_who_say_who_is_missing(lab: &impl Lab) {
    let (mut town, aigul, bolat) = staffed(lab.create());
    let open = |missing: &[u32]| Action::Open {
        missing: missing.iter().map(|number| KioskNumber::new(*number).unwrap()).collect(),
    };
    assert!(matches!(ask(&mut town, &aigul, &open(&[])), Err(Denied::Impossible(_))), "it is open");
    let now = town.now;
    town.store.transact(|store| rebuild::begin(store, now, &mut || 99 << 40)).unwrap();
    town.greet(1);
    assert!(matches!(ask(&mut town, &aigul, &open(&[1, 2, 3])), Err(Denied::Impossible(_))), "1 has told");
    let request = number(ask(&mut town, &aigul, &open(&[2, 3])));
    town.greet(2);
    assert!(
        matches!(approve(&mut town, &bolat, request), Err(Denied::Impossible(_))),
        "2 has told meanwhile"
    );
    let request = number(ask(&mut town, &aigul, &open(&[3])));
    assert_eq!(approve(&mut town, &bolat, request), Ok(Effect::Done));
    assert_eq!(town.store.rebuilding().unwrap(), None);
    let alarm = town.store.alarms().unwrap().pop().unwrap();
    assert!(alarm.text.contains("without kiosk 00003"), "{}", alarm.text);
}

on_all_stores!(
    nobody_moves_money_alone,
    nobody_makes_themselves_a_second_person,
    a_request_can_be_taken_back_and_then_does_nothing,
    a_slip_and_a_count_need_two_people,
    a_restored_center_is_opened_early_by_two_who_say_who_is_missing,
);
