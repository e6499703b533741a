//! The money rules: each test is a claim about what happens to banknotes that went in.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::*;
use tolem_center::logic::{
    Keys as _,
    gateway::{self, Verdict as Code},
    ledger::{self, Account},
    operator::{self, Found},
    store::{CodeState, Store as _},
};
use tolem_protocol::{
    Amount, BalanceNumber, PaymentId,
    messages::{
        DepositKind, HeldBalance, HoldReason, Method, PrintRight, Refusal, Request, Response, Verdict,
    },
    signed::{Signature, Signed},
};

fn accepted(verdict: &Verdict) -> (tolem_protocol::messages::CodeToken, Option<HeldBalance>) {
    match verdict {
        Verdict::Accepted { token, remainder } => (token.read_unverified().unwrap(), *remainder),
        Verdict::Held(balance) => panic!("held: {balance:?}"),
    }
}

fn held(verdict: &Verdict) -> HeldBalance {
    match verdict {
        Verdict::Held(balance) => *balance,
        Verdict::Accepted { .. } => panic!("accepted"),
    }
}

fn a_paid_fee_becomes_a_code_and_the_rest_is_held(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "driving-licence", ANNA, None);
    let read = quote.read_unverified().unwrap();
    assert_eq!((read.fee, read.cash_total), (Amount::from_tiyn(540_625), tenge(5_406)));
    let (_, answer) = town.pay(&quote, ANNA, &[2000, 2000, 2000]);
    let (token, remainder) = accepted(&verdict(&answer));
    assert_eq!(remainder.unwrap().amount, tenge(594));
    assert_eq!((token.fee, token.payer_tail, token.payment), (read.fee, 15, read.payment));
    let totals = ledger::totals(&town.store).unwrap();
    assert_eq!(town.cash(1), 600_000);
    assert_eq!(totals[&Account::Rounding], 25);
    assert_eq!(totals[&Account::Held], -59_400);
    assert_eq!(totals[&Account::parse("payable:991241000019").unwrap()], -540_625);
    town.audit();
}

fn the_exact_sum_pays_and_leaves_nothing(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    town.center.catalogue.services[0].price = tolem_protocol::catalogue::Price::Fixed(tenge(2_500));
    let quote = town.quote(1, "id-card", ANNA, None);
    let (_, answer) = town.pay(&quote, ANNA, &[2000, 500]);
    assert_eq!(accepted(&verdict(&answer)).1, None);
    // Half a voucher, half notes, to the tenge.
    let balance = town.remainder(ANNA, 500);
    let quote = town.quote(2, "id-card", ANNA, Some(balance.number));
    let (_, answer) = town.pay(&quote, ANNA, &[2000]);
    assert_eq!(accepted(&verdict(&answer)).1, None);
    assert_eq!(ledger::totals(&town.store).unwrap().get(&Account::Held), Some(&0));
    town.audit();
}

fn the_same_deposit_gets_the_very_same_answer(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "id-card", ANNA, None);
    let (deposit, answer) = town.pay(&quote, ANNA, &[1000]);
    town.now = town.now.plus_seconds(86_400);
    for _ in 0..3 {
        assert_eq!(town.commit(1, &deposit), answer);
        assert_eq!(town.ask(1, Request::Hold(deposit.clone())), Response::Outcome(answer.clone()));
    }
    let payment = outcome(&answer).payment;
    assert_eq!(town.ask(1, Request::Status(payment)), Response::Answered { deposit, outcome: answer });
    assert_eq!(refused(town.ask(2, Request::Status(payment))), Refusal::NotYours);
    assert_eq!(town.cash(1), 100_000);
    town.audit();
}

fn another_deposit_under_a_settled_id_is_a_conflict_with_disputed_money(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "id-card", ANNA, None);
    let (_, answer) = town.pay(&quote, ANNA, &[1000]);
    let payment = outcome(&answer).payment;
    let other = town.deposit(payment, DepositKind::Pay, Some(&quote), Some(ANNA), &[1000, 500]);
    for _ in 0..3 {
        assert_eq!(refused(town.ask(1, Request::Commit(other.clone()))), Refusal::IdConflict);
    }
    let alarms = town.store.alarms().unwrap();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!((alarms[0].kind.as_str(), alarms[0].disputed), ("id-conflict", tenge(1500)));
    assert_eq!(alarms[0].evidence, other.to_bytes().as_slice());
    assert_eq!(town.cash(1), 100_000);
    town.audit();
}

fn too_little_is_held_and_a_stop_is_held(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "marriage", ANNA, None);
    let (_, answer) = town.pay(&quote, ANNA, &[2000, 2000]);
    let balance = held(&verdict(&answer));
    assert_eq!((balance.amount, balance.reason), (tenge(4000), HoldReason::Stopped));

    let quote = town.quote(1, "marriage", ANNA, None);
    let payment = quote.read_unverified().unwrap().payment;
    let kind = DepositKind::Hold(HoldReason::Stopped);
    let deposit = town.deposit(payment, kind, Some(&quote), Some(ANNA), &[500]);
    assert_eq!(held(&verdict(&town.commit(1, &deposit))).amount, tenge(500));
    assert_eq!(town.cash(1), 450_000);
    town.audit();
}

fn a_deposit_counts_only_with_the_right_signature_from_the_right_kiosk(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "id-card", ANNA, None);
    let payment = quote.read_unverified().unwrap().payment;
    let good = town.deposit(payment, DepositKind::Pay, Some(&quote), Some(ANNA), &[1000]);
    // Another kiosk hands it in over its own link.
    assert_eq!(refused(town.ask(2, Request::Commit(good.clone()))), Refusal::NotYours);
    // Another kiosk's key, the right name.
    let content = good.read_unverified().unwrap();
    let stranger = &town.kiosks[&2];
    let forged = Signed::new(&content, |message| stranger.sign(message));
    assert_eq!(refused(town.ask(1, Request::Commit(forged))), Refusal::NotYours);
    let unsigned = Signed::new(&content, |_| Signature([0; 64]));
    assert_eq!(refused(town.ask(1, Request::Commit(unsigned))), Refusal::NotYours);
    // A kiosk that is not registered.
    assert_eq!(refused(town.ask(99, Request::Status(payment))), Refusal::NotYours);
    assert_eq!(town.cash(1), 0);
    accepted(&verdict(&town.commit(1, &good)));
    town.audit();
}

fn a_wrong_quote_or_payer_is_held_never_refused(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let own = town.quote(1, "id-card", ANNA, None);
    let payment = own.read_unverified().unwrap().payment;
    // A quote that the kiosk made up itself.
    let mut cheap = own.read_unverified().unwrap();
    cheap.cash_total = tenge(1);
    cheap.fee = tenge(1);
    let kiosk = &town.kiosks[&1];
    let forged = Signed::new(&cheap, |message| kiosk.sign(message));
    let deposit = town.deposit(payment, DepositKind::Pay, Some(&forged), Some(ANNA), &[500]);
    assert_eq!(held(&verdict(&town.commit(1, &deposit))).reason, HoldReason::Refused);
    // The quote of another payment.
    let second = town.next_id(1);
    let deposit = town.deposit(second, DepositKind::Pay, Some(&own), Some(ANNA), &[1000]);
    assert_eq!(held(&verdict(&town.commit(1, &deposit))).reason, HoldReason::Refused);
    // Quoted for Anna, deposited for Bolat: held for Bolat, whom the kiosk sealed.
    let quote = town.quote(1, "id-card", ANNA, None);
    let (_, answer) = town.pay(&quote, BOLAT, &[1000]);
    let balance = held(&verdict(&answer));
    assert_eq!(balance.reason, HoldReason::Refused);
    let voucher = |payer| Request::Voucher { number: balance.number, payer: iin(payer) };
    assert!(matches!(town.ask(2, voucher(BOLAT)), Response::Balance(_)));
    assert_eq!(refused(town.ask(2, voucher(ANNA))), Refusal::Unknown);
    // A payer sealed for another payment does not open: the quote's payer owns it.
    let quote = town.quote(1, "id-card", ANNA, None);
    let id = quote.read_unverified().unwrap().payment;
    let elsewhere = PaymentId { number: id.number + 7, ..id };
    let sealed =
        town.deposit(elsewhere, DepositKind::Pay, None, Some(ANNA), &[]).read_unverified().unwrap().payer;
    let mut content =
        town.deposit(id, DepositKind::Pay, Some(&quote), None, &[1000]).read_unverified().unwrap();
    content.payer = sealed;
    let kiosk = &town.kiosks[&1];
    let moved = Signed::new(&content, |message| kiosk.sign(message));
    let balance = held(&verdict(&town.commit(1, &moved)));
    assert!(matches!(
        town.ask(2, Request::Voucher { number: balance.number, payer: iin(ANNA) }),
        Response::Balance(_)
    ));
    assert_eq!(town.alarms(), ["suspect-deposit"; 4]);
    assert_eq!(town.cash(1), 350_000);
    town.audit();
}

fn a_note_that_does_not_exist_is_suspense(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "id-card", ANNA, None);
    let (_, answer) = town.pay(&quote, ANNA, &[700, 1000]);
    assert_eq!(held(&verdict(&answer)).reason, HoldReason::Suspense);
    assert_eq!(town.alarms(), ["suspect-deposit"]);
    town.audit();
}

fn a_voided_payment_keeps_late_money(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let balance = town.remainder(ANNA, 500);
    let quote = town.quote(1, "id-card", ANNA, Some(balance.number));
    let payment = quote.read_unverified().unwrap().payment;
    assert_eq!(town.ask(1, Request::Void(payment)), Response::NoOutcome);
    assert_eq!(town.ask(1, Request::Void(payment)), Response::NoOutcome);
    assert_eq!(refused(town.ask(2, Request::Void(payment))), Refusal::NotYours);
    // The reservation is gone, the id is used up.
    assert_eq!(refused(town.want(payment, "id-card", ANNA, Some(balance.number))), Refusal::IdConflict);
    let (_, answer) = town.pay(&quote, ANNA, &[1000]);
    let late = held(&verdict(&answer));
    assert_eq!((late.amount, late.reason), (tenge(1000), HoldReason::Refused));
    assert_eq!(town.ask(1, Request::Void(payment)), Response::Outcome(answer));
    let voucher = Request::Voucher { number: balance.number, payer: iin(ANNA) };
    assert!(matches!(town.ask(3, voucher), Response::Balance(found) if found == balance));
    // A void that overtakes its quote.
    let ahead = town.next_id(1);
    assert_eq!(town.ask(1, Request::Void(ahead)), Response::NoOutcome);
    assert_eq!(refused(town.want(ahead, "id-card", ANNA, Some(balance.number))), Refusal::IdConflict);
    town.audit();
}

fn two_kiosks_never_both_have_one_balance(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let balance = town.remainder(ANNA, 1000);
    let first = town.quote(1, "id-card", ANNA, Some(balance.number));
    let second = town.next_id(2);
    assert_eq!(refused(town.want(second, "id-card", ANNA, Some(balance.number))), Refusal::BalanceNotFree);
    assert_eq!(
        refused(town.ask(2, Request::Voucher { number: balance.number, payer: iin(ANNA) })),
        Refusal::BalanceNotFree
    );
    // 865 of 1,000 are used without any note; the rest comes back under a new number.
    assert_eq!(first.read_unverified().unwrap().due(), Amount::ZERO);
    let (_, answer) = town.pay(&first, ANNA, &[]);
    let (_, remainder) = accepted(&verdict(&answer));
    let rest = remainder.unwrap();
    assert_eq!(rest.amount, tenge(135));
    assert_ne!(rest.number, balance.number);
    let third = town.next_id(2);
    assert_eq!(refused(town.want(third, "id-card", ANNA, Some(balance.number))), Refusal::BalanceNotFree);
    let id = town.next_id(2);
    assert!(matches!(town.want(id, "id-card", ANNA, Some(rest.number)), Response::Quote(_)));
    town.audit();
}

fn a_balance_is_for_its_owner_alone(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let balance = town.remainder(ANNA, 1000);
    let id = town.next_id(2);
    assert_eq!(refused(town.want(id, "id-card", BOLAT, Some(balance.number))), Refusal::BalanceNotFree);
    let unknown = BalanceNumber::from_payload(5);
    let id = town.next_id(2);
    assert_eq!(refused(town.want(id, "id-card", ANNA, Some(unknown))), Refusal::BalanceNotFree);
    let id = town.next_id(2);
    assert!(matches!(town.want(id, "id-card", ANNA, Some(balance.number)), Response::Quote(_)));
}

fn a_reservation_ends_but_late_money_still_counts(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let balance = town.remainder(ANNA, 1000);
    let first = town.quote(1, "marriage", ANNA, Some(balance.number));
    town.now = town.now.plus_seconds(town.center.rules.reservation_s + 1);
    // Nobody took it meanwhile: the payment of the first kiosk still has it.
    let (_, answer) = town.pay(&first, ANNA, &[2000, 2000]);
    assert_eq!(accepted(&verdict(&answer)).1.unwrap().amount, tenge(675));

    let balance = town.remainder(ANNA, 1000);
    let slow = town.quote(1, "marriage", ANNA, Some(balance.number));
    town.now = town.now.plus_seconds(town.center.rules.reservation_s + 1);
    let quick = town.quote(2, "marriage", ANNA, Some(balance.number));
    let (_, answer) = town.pay(&quick, ANNA, &[2000, 2000]);
    accepted(&verdict(&answer));
    // Spent elsewhere: 4,000 do not pay 4,325 alone, so they are held.
    let (_, answer) = town.pay(&slow, ANNA, &[2000, 2000]);
    assert_eq!(held(&verdict(&answer)).amount, tenge(4000));
    town.audit();
}

fn a_quote_is_given_again_word_for_word_and_conflicts_are_named(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let payment = town.next_id(1);
    let first = town.want(payment, "id-card", ANNA, None);
    town.now = town.now.plus_seconds(60);
    assert_eq!(town.want(payment, "id-card", ANNA, None), first);
    assert_eq!(refused(town.want(payment, "marriage", ANNA, None)), Refusal::IdConflict);
    assert_eq!(refused(town.want(payment, "id-card", BOLAT, None)), Refusal::IdConflict);
    assert_eq!(town.alarms(), ["id-conflict"; 2]);
}

fn quotes_are_refused_for_the_true_reason(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let ask = |town: &mut Town<_>, service: &str, payer: &str| {
        let id = town.next_id(1);
        refused(town.want(id, service, payer, None))
    };
    assert_eq!(ask(&mut town, "no-such-fee", ANNA), Refusal::Unknown);
    assert_eq!(ask(&mut town, "id-card", NOBODY), Refusal::Unknown);
    town.registry_down.set(true);
    assert_eq!(ask(&mut town, "id-card", ANNA), Refusal::Unavailable);
    town.registry_down.set(false);
    town.center.rules.limits.per_payment = tenge(34_599);
    assert_eq!(ask(&mut town, "passport-36", ANNA), Refusal::Limit);
    town.center.rules.limits.per_payment = tenge(34_600);
    town.center.rules.limits.per_day = tenge(35_465);
    // 34,600 are asked for and wait; 865 more are allowed, then no more today.
    town.quote(1, "passport-36", ANNA, None);
    let small = town.quote(1, "id-card", ANNA, None);
    assert_eq!(ask(&mut town, "id-card", ANNA), Refusal::Limit);
    // Another payer has a day of her own; an expired quote counts no more, paid cash does.
    town.quote(1, "id-card", VERA, None);
    town.pay(&small, ANNA, &[1000]);
    town.now = town.now.plus_seconds(town.center.rules.quote_valid_s + 1);
    assert_eq!(ask(&mut town, "passport-36", ANNA), Refusal::Limit);
    town.quote(1, "id-card", ANNA, None);
    town.now = town.now.plus_seconds(86_400);
    town.quote(1, "passport-36", ANNA, None);

    let mut foreign = town.next_id(1);
    foreign.nonce = [99; 16];
    assert_eq!(refused(town.want(foreign, "id-card", ANNA, None)), Refusal::NotYours);
    let mut future = town.next_id(1);
    future.epoch += 1;
    assert_eq!(refused(town.want(future, "id-card", ANNA, None)), Refusal::NotYours);
    let payment = town.next_id(1);
    let service = heapless::String::try_from("id-card").unwrap();
    let card = Request::Quote { payment, service, payer: iin(ANNA), method: Method::Card, balance: None };
    assert_eq!(refused(town.ask(1, card)), Refusal::Unavailable);
}

fn a_commission_is_in_the_quote_and_in_the_ledger(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    town.center.rules.commission_thousandths = 15;
    let quote = town.quote(1, "driving-licence", ANNA, None);
    let read = quote.read_unverified().unwrap();
    // 1.5 % of 5,406.25 is 81.09375: half up to the tiyn, the sum to the tenge.
    assert_eq!((read.commission, read.cash_total), (Amount::from_tiyn(8_109), tenge(5_487)));
    town.pay(&quote, ANNA, &[5000, 500]);
    let totals = ledger::totals(&town.store).unwrap();
    assert_eq!((totals[&Account::Commission], totals[&Account::Rounding]), (-8_109, 34));
    town.center.rules.commission_least = tenge(100);
    let quote = town.quote(1, "id-card", ANNA, None);
    assert_eq!(quote.read_unverified().unwrap().commission, tenge(100));
    town.audit();
}

fn a_silent_gateway_is_not_an_answer(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "id-card", ANNA, None);
    let payment = quote.read_unverified().unwrap().payment;
    let deposit = town.deposit(payment, DepositKind::Pay, Some(&quote), Some(ANNA), &[1000]);
    town.gateway_down.set(true);
    for _ in 0..2 {
        assert_eq!(refused(town.ask(1, Request::Commit(deposit.clone()))), Refusal::Unavailable);
    }
    assert_eq!(town.ask(1, Request::Status(payment)), Response::NoOutcome);
    assert_eq!(town.cash(1), 0);
    town.gateway_down.set(false);
    accepted(&verdict(&town.commit(1, &deposit)));
    town.audit();
}

fn a_code_is_good_once_and_for_its_bearer(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "id-card", ANNA, None);
    let (_, answer) = town.pay(&quote, ANNA, &[1000]);
    let code = accepted(&verdict(&answer)).0.code;
    let (anna, bolat) = (keys().tag_iin(&iin(ANNA)), keys().tag_iin(&iin(BOLAT)));
    let now = town.now;
    let ask = |town: &mut Town<_>, payer, service| {
        gateway::validate(&mut town.store, now, code, &payer, service).unwrap()
    };
    // The gateway has not taken the notice yet.
    assert_eq!(ask(&mut town, anna, "id-card"), Code::NotConfirmed);
    town.gateway_down.set(true);
    assert_eq!(town.notices(), 0);
    town.now = town.now.plus_seconds(town.center.rules.notice_alarm_s + 1);
    assert_eq!((town.notices(), town.notices()), (0, 0));
    assert_eq!(town.alarms(), ["notice-overdue"]);
    town.gateway_down.set(false);
    assert_eq!((town.notices(), town.notices()), (1, 0));
    assert_eq!(ask(&mut town, anna, "id-card"), Code::Good { fee: tenge(865) });
    assert_eq!(ask(&mut town, bolat, "id-card"), Code::Unknown);
    assert_eq!(ask(&mut town, anna, "marriage"), Code::Unknown);
    let consume =
        |town: &mut Town<_>| gateway::consume(&mut town.store, now, code, &anna, "id-card").unwrap();
    assert_eq!(consume(&mut town), Code::Good { fee: tenge(865) });
    assert_eq!(consume(&mut town), Code::Used);
    assert!(!gateway::refund(&mut town.store, code).unwrap(), "a used code is not refunded");
    assert!(!gateway::void(&mut town.store, code).unwrap());
}

fn codes_end_by_time_void_or_refund(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let anna = keys().tag_iin(&iin(ANNA));
    let make = |town: &mut Town<_>| {
        let quote = town.quote(1, "id-card", ANNA, None);
        let (_, answer) = town.pay(&quote, ANNA, &[1000]);
        accepted(&verdict(&answer)).0
    };
    let void = make(&mut town).code;
    assert!(gateway::void(&mut town.store, void).unwrap());
    let (refund, late) = (make(&mut town).code, make(&mut town));
    assert_eq!(town.notices(), 3, "the notice of a void code is taken, and changes nothing");
    assert!(gateway::refund(&mut town.store, refund).unwrap());
    let mut ask = |code, now| gateway::validate(&mut town.store, now, code, &anna, "id-card").unwrap();
    let now = noon();
    assert_eq!((ask(void, now), ask(refund, now)), (Code::Void, Code::Refunded));
    assert_eq!(ask(late.code, late.valid_until), Code::Good { fee: tenge(865) });
    assert_eq!(ask(late.code, late.valid_until.plus_seconds(1)), Code::Expired);
    assert_eq!(ask(late.code, now), Code::Expired, "time does not bring it back");
    assert_eq!(town.store.code(late.code).unwrap().unwrap().state, CodeState::Expired);
}

fn a_suspense_waits_for_the_operator(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let make = |town: &mut Town<_>| {
        let payment = town.next_id(1);
        let kind = DepositKind::Hold(HoldReason::Suspense);
        let deposit = town.deposit(payment, kind, None, Some(ANNA), &[5000]);
        held(&verdict(&town.commit(1, &deposit)))
    };
    let (found, missing) = (make(&mut town), make(&mut town));
    let voucher = |number| Request::Voucher { number, payer: iin(ANNA) };
    assert_eq!(refused(town.ask(2, voucher(found.number))), Refusal::BalanceNotFree);
    let now = town.now;
    assert!(!operator::refund(&mut town.store, now, found.number).unwrap(), "unsettled is not paid back");
    let other = town.remainder(ANNA, 500);
    for answer in [Found::Money, Found::Nothing] {
        assert!(!operator::resolve(&mut town.store, now, other.number, answer).unwrap(), "no suspense");
    }
    assert!(operator::resolve(&mut town.store, now, found.number, Found::Money).unwrap());
    assert!(!operator::resolve(&mut town.store, now, found.number, Found::Nothing).unwrap());
    assert!(operator::resolve(&mut town.store, now, missing.number, Found::Nothing).unwrap());
    assert!(matches!(town.ask(2, voucher(found.number)), Response::Balance(_)));
    assert_eq!(refused(town.ask(2, voucher(missing.number))), Refusal::BalanceNotFree);
    assert_eq!(town.cash(1), 550_000, "the note that never was is not cash");
    town.audit();
    assert!(operator::refund(&mut town.store, now, found.number).unwrap());
    assert!(!operator::refund(&mut town.store, now, found.number).unwrap());
    assert_eq!(refused(town.ask(2, voucher(found.number))), Refusal::BalanceNotFree);
    town.audit();
}

fn money_without_an_owner_is_held_for_whoever_proves_it(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let payment = town.next_id(1);
    let kind = DepositKind::Hold(HoldReason::NoPayment);
    let deposit = town.deposit(payment, kind, None, None, &[2000]);
    let balance = held(&verdict(&town.commit(1, &deposit)));
    assert_eq!((balance.amount, balance.reason), (tenge(2000), HoldReason::NoPayment));
    let voucher = Request::Voucher { number: balance.number, payer: iin(ANNA) };
    assert_eq!(refused(town.ask(1, voucher)), Refusal::Unknown);
    let now = town.now;
    assert!(operator::refund(&mut town.store, now, balance.number).unwrap());
    town.audit();
}

fn a_claim_slip_is_imported_once_and_the_drain_is_deduplicated(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "id-card", ANNA, None);
    let payment = quote.read_unverified().unwrap().payment;
    let deposit = town.deposit(payment, DepositKind::Pay, Some(&quote), Some(ANNA), &[1000]);
    let first = town.import(&deposit);
    assert!(
        matches!(&first, Response::Outcome(answer) if matches!(verdict(answer), Verdict::Accepted { .. }))
    );
    assert_eq!(town.import(&deposit), first);
    assert_eq!(Response::Outcome(town.commit(1, &deposit)), first);
    assert_eq!(town.cash(1), 100_000);
    town.audit();
}

fn the_slips_of_a_burnt_kiosk_stay_good(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "id-card", ANNA, None);
    let payment = quote.read_unverified().unwrap().payment;
    let slip = town.deposit(payment, DepositKind::Pay, Some(&quote), Some(ANNA), &[1000]);
    // Another cabinet with another key takes over the place and number; twice.
    let number = town.kiosks[&1].number;
    for stranger in [Kiosk::new(8), Kiosk::new(9)] {
        operator::register(&mut town.store, number, stranger.public()).unwrap();
    }
    let Response::Outcome(answer) = town.import(&slip) else { panic!() };
    accepted(&verdict(&answer));
    let content = slip.read_unverified().unwrap();
    let stranger = Kiosk::new(10);
    let forged = Signed::new(&content, |message| stranger.sign(message));
    assert_eq!(refused(town.import(&forged)), Refusal::NotYours);
    town.audit();
}

fn the_original_is_printed_once(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "id-card", ANNA, None);
    let payment = quote.read_unverified().unwrap().payment;
    assert_eq!(refused(town.ask(1, Request::PrintRight(payment))), Refusal::Unknown);
    town.pay(&quote, ANNA, &[1000]);
    assert_eq!(town.ask(1, Request::PrintRight(payment)), Response::PrintRight(PrintRight::Original));
    for kiosk in [1, 2, 1] {
        assert_eq!(town.ask(kiosk, Request::PrintRight(payment)), Response::PrintRight(PrintRight::Copy));
    }
    // Held money has no code to print.
    let balance = town.remainder(ANNA, 500);
    let from = town.store.balance(balance.number).unwrap().unwrap().from;
    assert_eq!(refused(town.ask(1, Request::PrintRight(from))), Refusal::Unknown);
}

fn an_answer_that_was_lost_with_the_power_is_given_again(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "id-card", ANNA, None);
    let (deposit, answer) = town.pay(&quote, ANNA, &[1000]);
    let mut town = town.restart(lab);
    assert_eq!(town.commit(1, &deposit), answer);
    assert_eq!(town.cash(1), 100_000);
    town.audit();
}

on_all_stores!(
    the_exact_sum_pays_and_leaves_nothing,
    a_paid_fee_becomes_a_code_and_the_rest_is_held,
    the_same_deposit_gets_the_very_same_answer,
    another_deposit_under_a_settled_id_is_a_conflict_with_disputed_money,
    too_little_is_held_and_a_stop_is_held,
    a_deposit_counts_only_with_the_right_signature_from_the_right_kiosk,
    a_wrong_quote_or_payer_is_held_never_refused,
    a_note_that_does_not_exist_is_suspense,
    a_voided_payment_keeps_late_money,
    two_kiosks_never_both_have_one_balance,
    a_balance_is_for_its_owner_alone,
    a_reservation_ends_but_late_money_still_counts,
    a_quote_is_given_again_word_for_word_and_conflicts_are_named,
    quotes_are_refused_for_the_true_reason,
    a_commission_is_in_the_quote_and_in_the_ledger,
    a_silent_gateway_is_not_an_answer,
    a_code_is_good_once_and_for_its_bearer,
    codes_end_by_time_void_or_refund,
    a_suspense_waits_for_the_operator,
    money_without_an_owner_is_held_for_whoever_proves_it,
    a_claim_slip_is_imported_once_and_the_drain_is_deduplicated,
    the_slips_of_a_burnt_kiosk_stay_good,
    the_original_is_printed_once,
    an_answer_that_was_lost_with_the_power_is_given_again,
);
