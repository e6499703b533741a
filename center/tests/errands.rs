//! A gateway that is elsewhere: what is owed to it is written down first, so it may be slow, silent, or die at any moment, and
//! so may the center; in the end there is one code, one booking, and one notice that was taken.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::*;
use std::collections::BTreeMap;
use tolem_center::logic::{
    Answer, Moment,
    errands::{Errands as _, Made, NoticeKind, Order, Reply},
    gateway::Elsewhere,
    rebuild::{self, Standing as _},
    registry::Lookup,
    store::{BalanceState, PaymentRow, PaymentState, Store as _, Transact},
};
use tolem_protocol::{
    Amount, KioskNumber, PaymentCode, PaymentId,
    messages::{Deposit, DepositKind, HoldReason, Refusal, Request, Response, Verdict},
    signed::Signed,
};

/// A gateway as the instruction has it: the same payment number gives the same code, the same notice changes nothing.
#[derive(Default)]
struct Distant {
    codes: BTreeMap<PaymentId, PaymentCode>,
    notices: Vec<(PaymentCode, NoticeKind)>,
}

impl Distant {
    fn create(&mut self, order: &Order) -> Made {
        let next = self.codes.len() as u64 + 1;
        let code = *self.codes.entry(order.payment).or_insert_with(|| PaymentCode::from_random(next * 977));
        Made { code, valid_until: order.valid_until, is_paid: false }
    }

    fn notify(&mut self, code: PaymentCode, kind: NoticeKind) {
        if !self.notices.contains(&(code, kind)) {
            self.notices.push((code, kind));
        }
    }
}

fn far<S: Transact>(store: S) -> Town<S> {
    let mut town = Town::new(store);
    town.center.gateway = Box::new(Elsewhere);
    town
}

/// Runs rules in one transaction; with `cut`, the power fails before it is on disk.
fn rules<S: Transact, R>(
    town: &mut Town<S>,
    cut: bool,
    mut work: impl FnMut(
        &tolem_center::logic::Center,
        &mut S,
        &mut Moment<'_>,
    ) -> tolem_center::logic::store::Result<R>,
) -> Option<R> {
    let Town { center, store, now, dice, steps, .. } = town;
    let mut fresh = || dice.next();
    let mut trace = |step| steps.push(step);
    let mut at = Moment { now: *now, fresh: &mut fresh, trace: &mut trace };
    store
        .transact(|store| {
            let result = work(center, store, &mut at)?;
            if cut { Err(tolem_center::logic::store::StoreError("power".into())) } else { Ok(result) }
        })
        .ok()
}

fn commit<S: Transact>(town: &mut Town<S>, deposit: &Signed<Deposit>, cut: bool) -> Option<Answer> {
    let who = deposit.read_unverified().unwrap().payment.kiosk;
    let request = Request::Commit(deposit.clone());
    rules(town, cut, |center, store, at| center.ask(store, at, who, &request, None))
}

fn paying<S: Transact>(town: &mut Town<S>) -> (PaymentId, Signed<Deposit>) {
    let quote = town.quote(1, "id-card", ANNA, None);
    let payment = quote.read_unverified().unwrap().payment;
    let deposit = town.deposit(payment, DepositKind::Pay, Some(&quote), Some(ANNA), &[1000]);
    (payment, deposit)
}

fn orders<S: Transact>(town: &Town<S>) -> Vec<Order> {
    town.center.orders_due(&town.store, town.now).unwrap()
}

fn outcome_of(response: Option<Response>) -> Verdict {
    match response {
        Some(Response::Outcome(outcome)) => verdict(&outcome),
        other => panic!("{other:?}"),
    }
}

fn a_deposit_waits_on_disk_and_its_answer_never_changes(lab: &impl Lab) {
    let mut town = far(lab.create());
    let (payment, deposit) = paying(&mut town);
    assert_eq!(commit(&mut town, &deposit, false), Some(Answer::Code(payment)));
    assert_eq!(town.cash(1), 0, "nothing is booked before there is a code");
    assert_eq!(town.ask(1, Request::Status(payment)), Response::NoOutcome);
    assert_eq!(town.ask(1, Request::Void(payment)), Response::NoOutcome, "money is not voided by a word");
    let mut town = town.restart(lab);
    assert_eq!(commit(&mut town, &deposit, false), Some(Answer::Code(payment)), "asked again: the same wait");
    let order = orders(&town).pop().unwrap();
    assert_eq!((order.payment, order.fee), (payment, tenge(865)));
    let mut gateway = Distant::default();
    let made = gateway.create(&order);
    let arrive = |town: &mut Town<_>, made: Made| {
        rules(town, false, |center, store, at| center.code_arrived(store, at, &payment, &Reply::Done(made)))
    };
    let first = arrive(&mut town, made).unwrap();
    let Verdict::Accepted { token, remainder } = outcome_of(first.clone()) else { panic!() };
    assert_eq!(token.read_unverified().unwrap().code, made.code);
    assert_eq!(remainder.unwrap().amount, tenge(135));
    // A reply that comes twice, or late with another code, changes nothing.
    let other = Made { code: PaymentCode::from_random(5), ..made };
    assert_eq!(arrive(&mut town, other).unwrap(), first);
    assert_eq!(commit(&mut town, &deposit, false), first.map(Answer::Ready));
    assert!(orders(&town).is_empty());
    town.audit();
}

/// One whole life of a payment, with the power cut at place `cut`: before or after each act on either side.
fn life(lab: &impl Lab, cut: usize) -> bool {
    let mut town = far(lab.create());
    let (payment, deposit) = paying(&mut town);
    let mut gateway = Distant::default();
    let mut place = 0;
    let mut happened = false;
    let mut now_is = |place: &mut usize| {
        *place += 1;
        let cut_here = *place == cut;
        happened |= cut_here;
        cut_here
    };
    for _ in 0..6 {
        town.now = town.now.plus_seconds(2);
        // The kiosk asks until it has an answer.
        let lost = now_is(&mut place);
        commit(&mut town, &deposit, lost);
        if now_is(&mut place) {
            town = town.restart(lab);
            continue;
        }
        for order in orders(&town) {
            if now_is(&mut place) {
                continue; // the call never reached the gateway
            }
            let made = gateway.create(&order);
            if now_is(&mut place) {
                town = town.restart(lab); // the gateway acted, its reply is lost with the process
                continue;
            }
            let lost = now_is(&mut place);
            rules(&mut town, lost, |center, store, at| {
                center.code_arrived(store, at, &payment, &Reply::Done(made))
            });
        }
        if now_is(&mut place) {
            town = town.restart(lab);
        }
        for notice in town.center.notices_due(&town.store, town.now).unwrap() {
            if now_is(&mut place) {
                continue;
            }
            gateway.notify(notice.code, notice.kind);
            if now_is(&mut place) {
                town = town.restart(lab);
                continue;
            }
            let lost = now_is(&mut place);
            rules(&mut town, lost, |center, store, at| {
                center.notice_answered(store, at, (notice.id, notice.kind), &Reply::Done(()))
            });
        }
    }
    assert_eq!(gateway.codes.len(), 1, "cut {cut}: one code");
    let code = gateway.codes[&payment];
    assert_eq!(gateway.notices, [(code, NoticeKind::Paid)], "cut {cut}: one notice");
    assert_eq!(town.store.notices_open().unwrap().0, 0, "cut {cut}: and it is taken");
    assert_eq!(town.cash(1), 100_000, "cut {cut}: booked once");
    let answer = town.store.payment(&payment).unwrap().unwrap().outcome.unwrap();
    let Verdict::Accepted { token, .. } = verdict(&answer) else { panic!() };
    assert_eq!(token.read_unverified().unwrap().code, code, "cut {cut}");
    town.audit();
    happened
}

fn a_cut_at_any_moment_gives_one_code_one_booking_and_one_notice(lab: &impl Lab) {
    let mut cut = 0;
    while life(lab, cut) || cut == 0 {
        cut += 1;
    }
    assert!(cut > 20, "only {cut} moments were cut");
}

fn a_final_refusal_holds_the_money_and_gives_the_voucher_back(lab: &impl Lab) {
    let mut town = far(lab.create());
    let voucher = town.remainder(ANNA, 500);
    let quote = town.quote(1, "id-card", ANNA, Some(voucher.number));
    let payment = quote.read_unverified().unwrap().payment;
    let deposit = town.deposit(payment, DepositKind::Pay, Some(&quote), Some(ANNA), &[500]);
    assert_eq!(commit(&mut town, &deposit, false), Some(Answer::Code(payment)));
    // However long the gateway takes, nobody else gets the voucher meanwhile.
    town.now = town.now.plus_seconds(40 * 86_400);
    let second = town.next_id(2);
    assert_eq!(refused(town.want(second, "id-card", ANNA, Some(voucher.number))), Refusal::BalanceNotFree);
    let reply = Reply::Refused("UnknownService".into());
    let response =
        rules(&mut town, false, |center, store, at| center.code_arrived(store, at, &payment, &reply));
    let Verdict::Held(held) = outcome_of(response.unwrap()) else { panic!() };
    assert_eq!((held.amount, held.reason), (tenge(500), HoldReason::Refused));
    assert_eq!(town.store.balance(voucher.number).unwrap().unwrap().state, BalanceState::Issued);
    assert_eq!(town.alarms(), ["code-refused"]);
    town.audit();
}

fn another_deposit_while_one_waits_is_a_conflict(lab: &impl Lab) {
    let mut town = far(lab.create());
    let (payment, deposit) = paying(&mut town);
    commit(&mut town, &deposit, false);
    let stop = DepositKind::Hold(HoldReason::Stopped);
    let other = town.deposit(payment, stop, None, Some(ANNA), &[2000]);
    assert_eq!(refused(town.ask(1, Request::Hold(other))), Refusal::IdConflict);
    assert_eq!(town.alarms(), ["id-conflict"]);
    let order = orders(&town).pop().unwrap();
    let made = Distant::default().create(&order);
    rules(&mut town, false, |center, store, at| center.code_arrived(store, at, &payment, &Reply::Done(made)));
    assert_eq!(town.cash(1), 100_000);
    town.audit();
}

fn a_silent_gateway_is_asked_less_and_less_and_named_once(lab: &impl Lab) {
    let mut town = far(lab.create());
    let (payment, deposit) = paying(&mut town);
    commit(&mut town, &deposit, false);
    let start = town.now;
    let mut tries = Vec::new();
    while town.now < start.plus_seconds(1_300) {
        for order in orders(&town) {
            tries.push((town.now.0 - start.0) / 1_000);
            let reply = Reply::Silent("no route".into());
            let answer = rules(&mut town, false, |center, store, at| {
                center.code_arrived(store, at, &order.payment, &reply)
            });
            assert_eq!(answer.unwrap(), Some(Response::Refused(Refusal::Unavailable)));
        }
        town.now = town.now.plus_seconds(1);
    }
    assert_eq!(tries, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1_111]);
    assert_eq!(town.alarms(), ["code-overdue"]);
    let made =
        Distant::default().create(&town.center.order(&town.store, town.now, &payment).unwrap().unwrap());
    rules(&mut town, false, |center, store, at| center.code_arrived(store, at, &payment, &Reply::Done(made)));
    town.now = town.now.plus_seconds(700);
    for reply in [Reply::Silent("down".into()), Reply::Refused("WrongState".into()), Reply::Done(())] {
        let due = town.center.notices_due(&town.store, town.now).unwrap();
        assert_eq!(due.len(), 1, "never given up: {reply:?}");
        assert_eq!((due[0].code, due[0].fee), (made.code, tenge(865)));
        rules(&mut town, false, |center, store, at| {
            center.notice_answered(store, at, (due[0].id, due[0].kind), &reply)
        });
        town.now = town.now.plus_seconds(301);
    }
    assert_eq!(town.alarms(), ["code-overdue", "notice-overdue", "notice-refused"]);
    assert!(town.center.notices_due(&town.store, town.now).unwrap().is_empty());
}

fn notices_of_one_code_go_out_in_order(lab: &impl Lab) {
    let mut town = far(lab.create());
    let (payment, deposit) = paying(&mut town);
    commit(&mut town, &deposit, false);
    let order = orders(&town).pop().unwrap();
    let made = Distant::default().create(&order);
    rules(&mut town, false, |center, store, at| center.code_arrived(store, at, &payment, &Reply::Done(made)));
    let first = town.center.notices_due(&town.store, town.now).unwrap().pop().unwrap();
    let row = town.store.notice(first.id).unwrap().unwrap();
    let second = tolem_center::logic::errands::NoticeRow { kind: NoticeKind::Void, ..row };
    town.store.transact(|store| store.add_notice(&second)).unwrap();
    let due = |town: &Town<_>| town.center.notices_due(&town.store, town.now).unwrap();
    assert_eq!(due(&town).iter().map(|notice| notice.kind).collect::<Vec<_>>(), [NoticeKind::Paid]);
    // The first rests after a failure; the second does not overtake it.
    let silent = Reply::Silent("down".into());
    rules(&mut town, false, |center, store, at| {
        center.notice_answered(store, at, (first.id, first.kind), &silent)
    });
    assert!(due(&town).is_empty());
    town.now = town.now.plus_seconds(2);
    rules(&mut town, false, |center, store, at| {
        center.notice_answered(store, at, (first.id, first.kind), &Reply::Done(()))
    });
    assert_eq!(due(&town).iter().map(|notice| notice.kind).collect::<Vec<_>>(), [NoticeKind::Void]);
}

fn a_payer_is_asked_for_outside_and_nothing_is_kept_meanwhile(lab: &impl Lab) {
    let mut town = far(lab.create());
    let who = KioskNumber::new(1).unwrap();
    let payment = town.next_id(1);
    let request = Request::Quote {
        payment,
        service: heapless::String::try_from("id-card").unwrap(),
        payer: iin(ANNA),
        method: tolem_protocol::messages::Method::Cash,
        balance: None,
    };
    let mut ask = |lookup: Option<&Lookup>| {
        rules(&mut town, false, |center, store, at| center.ask(store, at, who, &request, lookup)).unwrap()
    };
    assert_eq!(ask(None), Answer::Payer(iin(ANNA)));
    assert_eq!(ask(Some(&Lookup::Unavailable)), Answer::Ready(Response::Refused(Refusal::Unavailable)));
    let right = Lookup::Right { name: heapless::String::new() };
    let quoted = ask(Some(&right));
    assert!(matches!(&quoted, Answer::Ready(Response::Quote(_))));
    assert_eq!(ask(None), quoted, "quoted before: nobody is asked again");
    assert_eq!(town.store.payment(&payment).unwrap().unwrap().inserted, Amount::ZERO);
}

/// What waits in a backup may have been answered since; asked for again it would get a second answer.
fn a_restored_center_asks_nobody_before_it_has_heard_everybody(lab: &impl Lab) {
    let mut town = far(lab.create());
    let (payment, deposit) = paying(&mut town);
    assert_eq!(commit(&mut town, &deposit, false), Some(Answer::Code(payment)));
    let (other, paid) = paying(&mut town);
    commit(&mut town, &paid, false);
    let made = Made {
        code: PaymentCode::from_random(3),
        valid_until: town.now.plus_seconds(86_400),
        is_paid: false,
    };
    rules(&mut town, false, |center, store, at| center.code_arrived(store, at, &other, &Reply::Done(made)));
    let notices = |town: &Town<_>| town.center.notices_due(&town.store, town.now).unwrap().len();
    assert_eq!((orders(&town).len(), notices(&town)), (1, 1));
    let now = town.now;
    town.store.transact(|store| rebuild::begin(store, now, &mut || 99 << 40)).unwrap();
    assert_eq!((orders(&town).len(), notices(&town)), (0, 0));
    rules(&mut town, false, |center, store, at| center.deliver_notices(store, at));
    assert!(town.store.waiting(&payment).unwrap().is_some());
    town.store.transact(|store| store.set_rebuilding(None)).unwrap();
    assert_eq!((orders(&town).len(), notices(&town)), (1, 1));
}

/// The gateway has the payment as paid: told in a life that is forgotten. It is not told again, with another moment.
fn what_the_gateway_has_as_paid_owes_no_notice(lab: &impl Lab) {
    for held in [false, true] {
        let mut town = far(lab.create());
        let (payment, deposit) = paying(&mut town);
        assert_eq!(commit(&mut town, &deposit, false), Some(Answer::Code(payment)));
        let made = Made { is_paid: true, ..Distant::default().create(&orders(&town).pop().unwrap()) };
        if held {
            // It cannot be paid here any more: the payment was voided meanwhile.
            town.store
                .transact(|store| {
                    let row = store.payment(&payment)?.unwrap();
                    store.put_payment(&PaymentRow { state: PaymentState::Voided, ..row })
                })
                .unwrap();
        }
        let reply = Reply::Done(made);
        let answer =
            rules(&mut town, false, |center, store, at| center.code_arrived(store, at, &payment, &reply));
        let verdict = outcome_of(answer.unwrap());
        assert_eq!(matches!(verdict, Verdict::Held(_)), held);
        let due = town.center.notices_due(&town.store, town.now).unwrap();
        if held {
            let kinds: Vec<_> = due.iter().map(|notice| notice.kind).collect();
            assert_eq!(kinds, [NoticeKind::Refund], "it is not void there, it is paid");
            let used = Reply::Refused("used".into());
            rules(&mut town, false, |center, store, at| {
                center.notice_answered(store, at, (due[0].id, due[0].kind), &used).map(|_| Some(()))
            });
            assert!(town.store.alarms().unwrap().iter().any(|alarm| alarm.kind == "code-not-returned"));
        } else {
            assert!(due.is_empty());
            let mut taken = Vec::new();
            town.store.each_notice(&mut |row| taken.push((row.kind, row.taken_at.is_some()))).unwrap();
            assert_eq!(taken, [(NoticeKind::Paid, true)], "reports count it as told");
        }
        town.audit();
    }
}

on_all_stores!(
    what_the_gateway_has_as_paid_owes_no_notice,
    a_deposit_waits_on_disk_and_its_answer_never_changes,
    a_cut_at_any_moment_gives_one_code_one_booking_and_one_notice,
    a_final_refusal_holds_the_money_and_gives_the_voucher_back,
    another_deposit_while_one_waits_is_a_conflict,
    a_silent_gateway_is_asked_less_and_less_and_named_once,
    notices_of_one_code_go_out_in_order,
    a_payer_is_asked_for_outside_and_nothing_is_kept_meanwhile,
    a_restored_center_asks_nobody_before_it_has_heard_everybody,
);
