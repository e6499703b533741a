//! A center that was restored from an old backup, and a kiosk that burnt in the lost days: the gateway's register speaks for it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod card_town;
mod common;

use common::{
    two::{approve, ask, pen, staffed},
    *,
};
use tolem_center::logic::{
    approval::{Asked, Denied, Effect},
    ledger::{self, Account},
    office::Action,
    rebuild::{self, Standing as _},
    register::{Adopted as _, Compared, Listed, first_day, newest, transaction_number},
    reports::{
        self, Kind, Period,
        settlement::{self, Terms},
        threeway::{self, Registered},
    },
    store::{BalanceState, Store as _, Transact},
};
use tolem_protocol::{
    Bin, KioskNumber, PaymentId,
    catalogue::ServiceCode,
    messages::{Deposit, DepositKind, Hello, HoldReason, Outcome, Request, Response, Verdict},
    signed::Signed,
};

on_all_stores!(
    a_register_that_agrees_is_two_peoples_word,
    a_slip_with_a_forgotten_voucher_stays_paid,
    what_a_burnt_kiosk_took_is_taken_over_from_the_register_before_the_center_opens,
    a_deposit_that_turns_up_takes_the_place_of_what_was_taken_over,
    what_contradicts_the_books_is_an_alarm_and_never_booked,
    the_register_is_waited_for_and_two_people_can_go_on_without_it,
    what_was_taken_over_is_in_reports_and_audits,
    what_an_open_center_takes_over_is_paid_out_on_a_day_to_come,
);

type Answered = (Signed<Deposit>, Signed<Outcome>);

/// What the gateway lists for an accepted payment.
fn listed<S: Transact>(town: &Town<S>, answered: &Answered, refunded: bool) -> Listed {
    let Verdict::Accepted { token, .. } = verdict(&answered.1) else { panic!("accepted") };
    let token = token.read_unverified().unwrap();
    Listed {
        transaction: transaction_number(&token.payment),
        code: token.code,
        service: token.service,
        fee: token.fee,
        by_card: false,
        arrived_at: town.now,
        refunded,
    }
}

impl<S: Transact> Town<S> {
    fn sell(&mut self, number: u32) -> Answered {
        let quote = self.quote(number, "apostille", ANNA, None);
        self.pay(&quote, ANNA, &[2000, 500])
    }

    fn tell(&mut self, number: u32) {
        let center_epoch = self.store.center_epoch().unwrap();
        let Request::Hello(hello) = self.kiosks[&number].hello() else { panic!() };
        self.ask(number, Request::Hello(Hello { center_epoch, ..hello }));
    }

    fn recalled(&mut self, (deposit, outcome): &Answered) -> Response {
        let who = deposit.read_unverified().unwrap().payment.kiosk.get();
        self.ask(who, Request::Recall { deposit: deposit.clone(), outcome: outcome.clone() })
    }

    fn compared(&self, register: &[Listed]) -> Compared {
        self.center.compare_register(&self.store, register).unwrap()
    }

    fn two(&mut self, action: &Action) -> Result<Effect, Denied> {
        let Asked::Waits(number) = ask(self, &pen("aigul"), action)? else { panic!("no operator") };
        assert!(matches!(approve(self, &pen("aigul"), number), Err(Denied::SamePerson(_))));
        approve(self, &pen("bolat"), number)
    }

    fn take(&mut self, register: &[Listed]) -> Compared {
        let compared = self.compared(register);
        assert_eq!(self.two(&Action::TakeRegister(compared.clone())), Ok(Effect::Done));
        compared
    }

    fn is_open(&self) -> bool {
        self.store.rebuilding().unwrap().is_none()
    }
}

/// A restored center that has lost two payments of kiosk 1 and one of kiosk 2, and what the gateway lists.
fn lost<L: Lab>(lab: &L) -> (Town<L::Store>, [Answered; 3], Vec<Listed>) {
    let mut town = Town::new(lab.create());
    let (mut backup, ..) = staffed(lab.create());
    backup.dice = Dice(0xD1CE);
    let answered = [town.sell(1), town.sell(1), town.sell(2)];
    let register = answered.iter().map(|answered| listed(&town, answered, false)).collect();
    let now = backup.now;
    backup
        .store
        .transact(|store| {
            rebuild::begin(store, now, &mut || 99 << 40)?;
            rebuild::await_register(store)
        })
        .unwrap();
    (backup.restart(lab), answered, register)
}

const FEE: i64 = 216_250;

fn payable(town: &Town<impl Transact>) -> i64 {
    let service: ServiceCode = "apostille".try_into().unwrap();
    let payee = town.center.catalogue.find(&service).unwrap().payee_bin;
    ledger::totals(&town.store).unwrap().get(&Account::payable(payee)).copied().unwrap_or(0)
}

fn what_a_burnt_kiosk_took_is_taken_over_from_the_register_before_the_center_opens(lab: &impl Lab) {
    let (mut town, [_, _, second], register) = lost(lab);
    let known = newest(&town.store).unwrap();
    // Kiosk 2 and 3 come and tell; kiosk 1 burnt.
    town.now = town.now.plus_seconds(60);
    assert_eq!(town.recalled(&second), Response::Recalled);
    assert_eq!(newest(&town.store).unwrap(), known, "the lost days begin where the backup ends");
    [2, 3].into_iter().for_each(|number| town.tell(number));
    assert!(!town.is_open());
    let early = town.two(&Action::Open { missing: vec![KioskNumber::new(1).unwrap()] });
    assert!(matches!(early, Err(Denied::Impossible(why)) if why.contains("register compare")));
    let compared = town.compared(&register);
    assert_eq!((compared.agreed, compared.missing.len(), compared.conflicts.len()), (1, 2, 0));
    assert_eq!(town.cash(1), 0, "a comparison books nothing");
    town.take(&register);
    assert_eq!((town.cash(1), payable(&town)), (2 * FEE, -3 * FEE));
    town.audit();
    assert!(!town.is_open(), "kiosk 1 is still missing");
    assert_eq!(town.two(&Action::Open { missing: vec![KioskNumber::new(1).unwrap()] }), Ok(Effect::Done));
    assert!(town.is_open());
    let mut town = town.restart(lab);
    town.audit();
    let again = town.take(&register);
    assert_eq!((again.agreed, again.missing.len()), (3, 0), "once");
    assert_eq!(town.cash(1), 2 * FEE);
}

fn a_deposit_that_turns_up_takes_the_place_of_what_was_taken_over(lab: &impl Lab) {
    let (mut town, [by_slip, by_kiosk, second], register) = lost(lab);
    town.recalled(&second);
    town.take(&register);
    [2, 3].into_iter().for_each(|number| town.tell(number));
    town.two(&Action::Open { missing: vec![KioskNumber::new(1).unwrap()] }).unwrap();
    // Two people asked before a slip came: what they saw is not true any more.
    let old = town.compared(&register);
    // The citizen comes with the claim slip: the gateway gives the same code for the same number, so the test gives it, too.
    let Response::Outcome(outcome) = town.import(&by_slip.0) else { panic!("settled") };
    assert!(matches!(verdict(&outcome), Verdict::Accepted { remainder: Some(_), .. }));
    assert_eq!(
        (town.cash(1), payable(&town)),
        (250_000 + FEE, -3 * FEE),
        "2,500 in notes, and one taken over"
    );
    town.audit();
    // And the kiosk is found in the ashes.
    assert_eq!(town.recalled(&by_kiosk), Response::Recalled);
    assert_eq!((town.cash(1), payable(&town)), (500_000, -3 * FEE));
    assert_eq!(town.recalled(&by_kiosk), Response::Recalled);
    assert_eq!(town.cash(1), 500_000);
    assert!(town.store.all_adopted().unwrap().iter().all(|row| row.replaced));
    town.audit();
    drop(old);
}

fn what_contradicts_the_books_is_an_alarm_and_never_booked(lab: &impl Lab) {
    let (mut town, [first, other, second], register) = lost(lab);
    town.recalled(&second);
    let kind = DepositKind::Hold(HoldReason::Stopped);
    town.store.transact(|store| store.set_rebuilding(None)).unwrap();
    let payment = town.next_id(3);
    let stopped = town.deposit(payment, kind, None, Some(ANNA), &[500]);
    town.commit(3, &stopped);
    let waiting = town.quote(3, "apostille", ANNA, None);
    town.gateway_down.set(true);
    let id = waiting.read_unverified().unwrap().payment;
    let deposit = town.deposit(id, DepositKind::Pay, Some(&waiting), Some(ANNA), &[2000, 500]);
    assert!(matches!(town.ask(3, Request::Commit(deposit)), Response::Refused(_)));
    let before = ledger::totals(&town.store).unwrap();
    let named = |transaction: String| Listed { transaction, ..register[0].clone() };
    let cases = [
        (Listed { fee: tenge(1), ..register[2].clone() }, "another code or fee here"),
        (Listed { code: register[0].code, ..register[2].clone() }, "another code or fee here"),
        (Listed { refunded: true, ..register[2].clone() }, "taken back there"),
        (Listed { refunded: true, ..register[0].clone() }, "have forgotten"),
        (named(transaction_number(&payment)), "its money is held here"),
        (named("T1".into()), "no kiosk of this center"),
    ];
    let mut all: Vec<Listed> = cases.iter().map(|(listed, _)| listed.clone()).collect();
    all.push(named(transaction_number(&id)));
    let compared = town.take(&all);
    assert_eq!((compared.missing.len(), compared.under_way), (0, 1));
    let alarms = town.store.alarms().unwrap();
    let told: Vec<&str> = alarms
        .iter()
        .filter(|alarm| alarm.kind == "register-conflict")
        .map(|alarm| alarm.text.as_str())
        .collect();
    assert_eq!(told.len(), cases.len());
    for ((_, why), text) in cases.iter().zip(told) {
        assert!(text.contains(why), "{why}: {text}");
    }
    assert_eq!(ledger::totals(&town.store).unwrap(), before);
    town.audit();
    drop((first, other));
}

fn the_register_is_waited_for_and_two_people_can_go_on_without_it(lab: &impl Lab) {
    let (mut town, answered, _) = lost(lab);
    for answered in &answered {
        assert_eq!(town.recalled(answered), Response::Recalled);
    }
    (1..=3).for_each(|number| town.tell(number));
    assert!(!town.is_open(), "all have told, the register has not");
    let mut town = town.restart(lab);
    assert!(!town.is_open());
    assert_eq!(town.two(&Action::LeaveRegister), Ok(Effect::Done));
    assert!(town.is_open());
    assert!(matches!(town.two(&Action::LeaveRegister), Err(Denied::Impossible(_))));
    // The other way round: the register first, and the last kiosk opens.
    let (mut town, answered, register) = lost(lab);
    town.take(&register);
    assert!(!town.is_open());
    for answered in &answered {
        assert_eq!(town.recalled(answered), Response::Recalled);
    }
    (1..=3).for_each(|number| town.tell(number));
    assert!(town.is_open());
    assert_eq!((town.cash(1), payable(&town)), (500_000, -3 * FEE), "what they told has taken the place");
    town.audit();
}

fn what_was_taken_over_is_in_reports_and_audits(lab: &impl Lab) {
    let (mut town, [_, _, second], register) = lost(lab);
    town.recalled(&second);
    town.take(&register);
    let entries = reports::entries(&town.store, Period::days(noon().date(), 1)).unwrap();
    let of_one: Vec<Kind> =
        entries.iter().filter(|entry| entry.payment.kiosk.get() == 1).map(|entry| entry.kind).collect();
    assert_eq!(of_one.iter().filter(|kind| **kind == Kind::Accepted).count(), 2, "{of_one:?}");
    assert_eq!(of_one.iter().filter(|kind| **kind == Kind::Confirmed).count(), 2);
    let payouts = settlement::payouts(&entries, noon().date(), &Terms::default());
    let [(name, payout)] = &payouts.into_iter().collect::<Vec<_>>()[..] else { panic!("one payee") };
    assert!(Bin::parse(name).is_some());
    assert_eq!(payout.due(), 2 * FEE, "kiosk 2's notice is not taken again yet");
    let told: Vec<Registered> = register
        .iter()
        .map(|listed| Registered {
            transaction: listed.transaction.clone(),
            code: listed.code,
            fee: listed.fee,
            refunded: false,
        })
        .collect();
    let audit = |town: &Town<_>, told: &[Registered]| {
        threeway::audit(&town.store, &[], Some(told), &|payment: &PaymentId| transaction_number(payment))
            .unwrap()
    };
    assert_eq!(audit(&town, &told).findings, Vec::<String>::new());
    let mut wrong = told.clone();
    wrong[0].fee = tenge(7);
    assert_eq!(audit(&town, &wrong).findings.len(), 1);
    // A booking that nobody can explain is found.
    let row = town.store.all_adopted().unwrap().remove(0);
    town.store
        .transact(|store| {
            let replaced = tolem_center::logic::register::AdoptedRow { replaced: true, ..row.clone() };
            store.put_adopted(&replaced)
        })
        .unwrap();
    assert_eq!(ledger::audit(&town.store).unwrap().len(), 1);
}

/// Whoever says that nothing was forgotten opens the center: that is no one person's word, even if nothing moves.
fn a_register_that_agrees_is_two_peoples_word(lab: &impl Lab) {
    let (mut backup, ..) = staffed(lab.create());
    backup.sell(3);
    backup.now = backup.now.plus_seconds(60);
    let now = backup.now;
    backup
        .store
        .transact(|store| {
            rebuild::begin(store, now, &mut || 98 << 40)?;
            rebuild::await_register(store)
        })
        .unwrap();
    let agreed = Compared { since: first_day(&backup.store).unwrap(), ..backup.compared(&[]) };
    let asked = ask(&mut backup, &pen("aigul"), &Action::TakeRegister(agreed));
    let Ok(Asked::Waits(number)) = asked else { panic!("{asked:?}") };
    assert!(matches!(approve(&mut backup, &pen("aigul"), number), Err(Denied::SamePerson(_))));
    assert!(backup.store.rebuilding().unwrap().unwrap().register_due);
    assert_eq!(approve(&mut backup, &pen("bolat"), number), Ok(Effect::Done));
    assert!(!backup.store.rebuilding().unwrap().unwrap().register_due);
}

/// The kiosk burnt, its payment was taken over from the register, and the slip names a voucher that the restored center has forgotten: its
/// code is out, so the money is not held beside it.
fn a_slip_with_a_forgotten_voucher_stays_paid(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let (mut backup, ..) = staffed(lab.create());
    backup.dice = Dice(0xD1CE);
    let voucher = town.remainder(ANNA, 2_000);
    let quote = town.quote(1, "apostille", ANNA, Some(voucher.number));
    let paid = town.pay(&quote, ANNA, &[500]);
    let register = [listed(&town, &paid, false)];
    let now = backup.now;
    backup
        .store
        .transact(|store| {
            rebuild::begin(store, now, &mut || 97 << 40)?;
            rebuild::await_register(store)
        })
        .unwrap();
    backup.take(&register);
    backup.store.transact(|store| store.set_rebuilding(None)).unwrap();
    assert_eq!(payable(&backup), -FEE);
    let Response::Outcome(outcome) = backup.import(&paid.0) else { panic!("settled") };
    assert!(matches!(verdict(&outcome), Verdict::Accepted { .. }), "its code is out");
    assert_eq!(payable(&backup), -FEE, "once");
    assert!(backup.store.all_adopted().unwrap().iter().all(|row| row.replaced));
    let row = backup.store.balance(voucher.number).unwrap().unwrap();
    assert!(matches!(row.state, BalanceState::Spent { .. }), "nobody spends it again");
    // And the kiosk that took the voucher's money tells of that, too.
    let made = town.store.balance(voucher.number).unwrap().unwrap().from;
    let made = town.store.payment(&made).unwrap().unwrap();
    assert_eq!(backup.recalled(&(made.deposit.unwrap(), made.outcome.unwrap())), Response::Recalled);
    backup.audit();
}

/// While it listens, the lost days get their reports; of an open center they were made, and what they lack is never paid out by them.
fn what_an_open_center_takes_over_is_paid_out_on_a_day_to_come(lab: &impl Lab) {
    for is_open in [false, true] {
        let (mut town, _, register) = lost(lab);
        if is_open {
            town.store.transact(|store| store.set_rebuilding(None)).unwrap();
        }
        town.now = town.now.plus_seconds(3 * 86_400);
        town.take(&register[..1]);
        assert_eq!(payable(&town), -FEE);
        assert_eq!(town.paid_out(town.now) == town.owed(), is_open);
        town.audit();
    }
}
