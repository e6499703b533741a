//! Chance against the ledger: citizens, vouchers, lost answers, power cuts and copies drawn from a seed, audited after each step.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::*;
use std::collections::BTreeMap;
use tolem_center::logic::{
    ledger::{self, Account},
    operator::{self, Found},
    store::BalanceState,
};
use tolem_protocol::{
    Amount, PaymentId,
    messages::{Deposit, DepositKind, HeldBalance, HoldReason, Outcome, Quote, Request, Response, Verdict},
    signed::Signed,
};

const PAYERS: [&str; 3] = [ANNA, BOLAT, VERA];
const SERVICES: [&str; 5] = ["id-card", "driving-licence", "apostille", "marriage", "car-first-registration"];
const NOTES: [u32; 4] = [500, 1000, 2000, 5000];
const STEPS: u64 = 60;

/// What the citizens and kiosks know, independent of the center.
#[derive(Default)]
struct Truth {
    /// Notes in cassettes, by payment.
    cash: BTreeMap<PaymentId, u64>,
    open: Vec<(Signed<Quote>, &'static str)>,
    sent: Vec<(Signed<Deposit>, Signed<Outcome>)>,
    lost: Vec<(Signed<Deposit>, &'static str)>,
    vouchers: Vec<(HeldBalance, &'static str)>,
}

fn one_seed(lab: &impl Lab, seed: u64) {
    let mut town = Town::new(lab.create());
    town.center.rules.limits.per_day = tenge(10_000_000);
    town.center.rules.wrong_per_kiosk = 1_000_000;
    town.center.rules.wrong_per_number = 1_000_000;
    town.center.rules.commission_thousandths = if seed.is_multiple_of(3) { 17 } else { 0 };
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut truth = Truth::default();
    for step in 0..STEPS {
        town.now = town.now.plus_seconds(i64::try_from(dice.below(4_000)).unwrap());
        match dice.below(12) {
            0..=3 => start(&mut town, &mut dice, &mut truth),
            4..=6 => finish(&mut town, &mut dice, &mut truth),
            7 => repeat(&mut town, &mut dice, &mut truth),
            8 => void(&mut town, &mut dice, &mut truth),
            9 => operator_acts(&mut town, &mut dice),
            10 => {
                town.gateway_down.set(dice.below(2) == 0);
                town.notices();
            }
            _ => town = town.restart(lab),
        }
        let findings = ledger::audit(&town.store).unwrap();
        assert_eq!(findings, Vec::<String>::new(), "SEED={seed} step {step}");
    }
    // Then everything works again, and everything owed is delivered.
    town.gateway_down.set(false);
    for (deposit, _) in std::mem::take(&mut truth.lost) {
        let outcome = town.commit(deposit.read_unverified().unwrap().payment.kiosk.get(), &deposit);
        truth.sent.push((deposit, outcome));
    }
    while town.notices() > 0 {}
    settle_up(&town, &truth, seed);
}

fn start<S: tolem_center::logic::store::Transact>(town: &mut Town<S>, dice: &mut Dice, truth: &mut Truth) {
    let payer = *dice.pick(&PAYERS);
    let kiosk = 1 + u32::try_from(dice.below(3)).unwrap();
    let balance = (dice.below(2) == 0 && !truth.vouchers.is_empty()).then(|| *dice.pick(&truth.vouchers));
    let payment = town.next_id(kiosk);
    let service = *dice.pick(&SERVICES);
    match town.want(payment, service, payer, balance.map(|(balance, _)| balance.number)) {
        Response::Quote(quote) => {
            if let Some((_, owner)) = balance {
                assert_eq!(owner, payer, "a voucher was quoted to somebody else");
            }
            truth.open.push((quote, payer));
        }
        Response::Refused(_) => assert!(balance.is_some(), "without a voucher nothing speaks against it"),
        other => panic!("{other:?}"),
    }
}

fn finish<S: tolem_center::logic::store::Transact>(town: &mut Town<S>, dice: &mut Dice, truth: &mut Truth) {
    if truth.open.is_empty() {
        return;
    }
    let at = dice.below(truth.open.len() as u64) as usize;
    let (quote, payer) = truth.open.swap_remove(at);
    let read = quote.read_unverified().unwrap();
    let mut notes = Vec::new();
    let mut sum = 0;
    let due = read.due().tiyn() / 100;
    let stops = dice.below(4) == 0;
    while sum < due && !(stops && dice.below(3) == 0) {
        notes.push(*dice.pick(&NOTES));
        sum += u64::from(notes[notes.len() - 1]);
    }
    let reasons = [HoldReason::Stopped, HoldReason::Suspense, HoldReason::JournalFailed];
    let kind =
        if stops && dice.below(2) == 0 { DepositKind::Hold(*dice.pick(&reasons)) } else { DepositKind::Pay };
    let sealed = if dice.below(8) == 0 { *dice.pick(&PAYERS) } else { payer };
    let deposit = town.deposit(read.payment, kind, Some(&quote), Some(sealed), &notes);
    truth.cash.insert(read.payment, sum);
    hand_in(town, dice, truth, deposit, sealed);
}

fn hand_in<S: tolem_center::logic::store::Transact>(
    town: &mut Town<S>,
    dice: &mut Dice,
    truth: &mut Truth,
    deposit: Signed<Deposit>,
    payer: &'static str,
) {
    let read = deposit.read_unverified().unwrap();
    let kiosk = read.payment.kiosk.get();
    match town.ask(kiosk, Request::Commit(deposit.clone())) {
        Response::Outcome(outcome) => {
            let verdict = verdict(&outcome);
            if let Some(balance) = ledger::held_by(&verdict) {
                truth.vouchers.push((balance, payer));
            }
            if dice.below(3) == 0 {
                truth.lost.push((deposit.clone(), payer));
            }
            truth.sent.push((deposit, outcome));
        }
        Response::Refused(_) => truth.lost.push((deposit, payer)),
        other => panic!("{other:?}"),
    }
}

fn repeat<S: tolem_center::logic::store::Transact>(town: &mut Town<S>, dice: &mut Dice, truth: &mut Truth) {
    if !truth.sent.is_empty() {
        let (deposit, outcome) = dice.pick(&truth.sent).clone();
        let kiosk = deposit.read_unverified().unwrap().payment.kiosk.get();
        let answer = match dice.below(3) {
            0 => town.import(&deposit),
            1 => town.ask(kiosk, Request::Recall { deposit, outcome: outcome.clone() }),
            _ => town.ask(kiosk, Request::Commit(deposit)),
        };
        assert!(answer == Response::Outcome(outcome) || answer == Response::Recalled, "{answer:?}");
    }
    if !truth.lost.is_empty() {
        let (deposit, payer) = truth.lost.swap_remove(dice.below(truth.lost.len() as u64) as usize);
        hand_in(town, dice, truth, deposit, payer);
    }
}

fn void<S: tolem_center::logic::store::Transact>(town: &mut Town<S>, dice: &mut Dice, truth: &mut Truth) {
    if !truth.open.is_empty() {
        let at = dice.below(truth.open.len() as u64) as usize;
        let payment = truth.open[at].0.read_unverified().unwrap().payment;
        assert_eq!(town.ask(payment.kiosk.get(), Request::Void(payment)), Response::NoOutcome);
        // Sometimes the note went in all the same: the quote stays with the kiosk.
        if dice.below(3) > 0 {
            truth.open.swap_remove(at);
        }
    }
}

fn operator_acts<S: tolem_center::logic::store::Transact>(town: &mut Town<S>, dice: &mut Dice) {
    let mut numbers = Vec::new();
    town.store.each_balance(&mut |row| numbers.push(row.number)).unwrap();
    if numbers.is_empty() {
        return;
    }
    let number = *dice.pick(&numbers);
    let (now, choice) = (town.now, dice.below(3));
    town.store
        .transact(|store| match choice {
            0 => operator::resolve(store, now, number, Found::Money),
            1 => operator::resolve(store, now, number, Found::Nothing),
            _ => operator::refund(store, now, number),
        })
        .unwrap();
}

/// The center's books against the cassettes.
fn settle_up<S: tolem_center::logic::store::Transact>(town: &Town<S>, truth: &Truth, seed: u64) {
    let mut settled: BTreeMap<PaymentId, u64> = BTreeMap::new();
    let mut fees = Amount::ZERO;
    for (deposit, outcome) in &truth.sent {
        let read = deposit.read_unverified().unwrap();
        if settled.insert(read.payment, read.notes.total().unwrap().tiyn() / 100).is_none()
            && let Verdict::Accepted { token, .. } = verdict(outcome)
        {
            fees = fees + token.read_unverified().unwrap().fee;
        }
    }
    assert_eq!(settled, truth.cash, "SEED={seed}: every cassette is known");
    let totals = ledger::totals(&town.store).unwrap();
    let (mut cancelled, mut codes) = (0, 0);
    town.store
        .each_balance(&mut |row| {
            if row.state == BalanceState::Cancelled {
                cancelled += i64::try_from(row.amount.tiyn()).unwrap();
            }
        })
        .unwrap();
    let cash: i64 = (1..=3).map(|kiosk| town.cash(kiosk)).sum();
    let inserted = i64::try_from(truth.cash.values().sum::<u64>() * 100).unwrap();
    assert_eq!(cash, inserted - cancelled, "SEED={seed}");
    let payable: i64 = totals
        .iter()
        .filter(|(account, _)| matches!(account, Account::Payable(_)))
        .map(|(_, tiyn)| -tiyn)
        .sum();
    assert_eq!(payable, i64::try_from(fees.tiyn()).unwrap(), "SEED={seed}");
    assert_eq!(totals.get(&Account::OwnLoss), None, "SEED={seed}");
    assert_eq!(totals.values().sum::<i64>(), 0, "SEED={seed}");
    assert!(town.store.notices_open().unwrap().0 == 0, "SEED={seed}: every notice is delivered");
    town.store.each_posting(&mut |posting| codes += i32::from(posting.kind == "accepted")).unwrap();
    let accepted = truth
        .sent
        .iter()
        .filter_map(|(_, outcome)| match verdict(outcome) {
            Verdict::Accepted { token, .. } => Some(u64::from(token.read_unverified().unwrap().code)),
            Verdict::Held(_) => None,
        })
        .collect::<std::collections::BTreeSet<u64>>();
    assert_eq!(codes as usize, accepted.len(), "SEED={seed}: one code for each paid fee");
}

fn no_order_of_events_loses_or_makes_a_tiyn(lab: &impl Lab) {
    match std::env::var("SEED") {
        Ok(seed) => one_seed(lab, seed.parse().expect("SEED is a number")),
        Err(_) => (1..=lab.seeds()).for_each(|seed| one_seed(lab, seed)),
    }
}

on_all_stores!(no_order_of_events_loses_or_makes_a_tiyn);
