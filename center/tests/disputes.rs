//! Disputes: a citizen complains, the acquirer takes money back; two people decide, the gateway says whether the code can still be taken back,
//! and at each moment every tiyn is on one account.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod card_town;
mod common;

use card_town::FEE;
use common::{
    two::{self, approve, ask, pen},
    *,
};
use tolem_center::logic::{
    Answer, Moment,
    acquirer::Acquiring as _,
    acquirer::CardRow,
    approval::{Asked, Denied, Effect},
    cards::Next,
    disputes::{Cause, Chargeback, DisputeRow, DisputeState, Disputes as _, Fits, Move, Ruling},
    errands::{NoticeKind, Reply},
    gateway,
    ledger::{self, Account},
    office::Action,
    reports::{
        self, Kind, Period,
        settlement::{self, Terms},
        summary,
        threeway::{self, Registered},
    },
    store::{BalanceState, CodeState, PaymentState, Store as _, Transact},
};
use tolem_protocol::{
    Amount, Bin, PaymentId,
    card::CardAnswer,
    messages::{Request, Response, Verdict},
};

/// The gateway refuses the only word that is due, for good.
fn refuse_paid<S: Transact>(town: &mut Town<S>) {
    let due = town.center.notices_due(&town.store, town.now).unwrap();
    let kinds: Vec<_> = due.iter().map(|notice| notice.kind).collect();
    assert_eq!(kinds, [NoticeKind::Paid]);
    let (center, now) = (&town.center, town.now);
    let no = Reply::Refused("another bank's".into());
    let mut fresh = || 5;
    town.store
        .transact(|store| {
            let mut at = Moment { now, fresh: &mut fresh, trace: &mut |_| {} };
            center.notice_answered(store, &mut at, (due[0].id, due[0].kind), &no)
        })
        .unwrap();
}

/// The gateway never takes the word that it is paid; the dispute ends all the same.
fn a_payment_that_the_gateway_never_took_is_given_back(lab: &impl Lab) {
    let (mut town, ..) = two::staffed(lab.create());
    let quote = town.quote(1, "marriage", ANNA, None);
    let payment = quote.read_unverified().unwrap().payment;
    town.pay(&quote, ANNA, &[5_000]);
    refuse_paid(&mut town);
    town.now = town.now.plus_seconds(400);
    let why = "the portal knows no such code".to_owned();
    town.two_decide(&Action::Complain { payment, why }).unwrap();
    town.two_decide(&Action::Rule { dispute: 1, ruling: Ruling::GiveBack }).unwrap();
    refuse_paid(&mut town);
    let mut town = town.restart(lab);
    town.notices();
    assert_eq!(town.store.dispute(1).unwrap().unwrap().state, DisputeState::Returned);
    assert_eq!(town.store.code_of(&payment).unwrap().unwrap().state, CodeState::Void, "nobody can use it");
    assert_eq!(town.center.notices_due(&town.store, town.now.plus_seconds(9_999)).unwrap().len(), 0);
    let mut held = Vec::new();
    town.store.each_balance(&mut |row| held.push(row.amount)).unwrap();
    assert!(held.contains(&tenge(FEE)), "{held:?}");
    town.audit();
}

on_all_stores!(
    a_payment_that_the_gateway_never_took_is_given_back,
    a_complaint_withholds_the_money_until_it_is_given_back,
    a_used_code_is_not_given_back_and_the_payment_stands,
    a_rejected_complaint_leaves_everything_as_it_was,
    what_cannot_be_disputed_is_refused_with_the_reason,
    a_card_is_credited_by_the_acquirer_after_a_complaint,
    what_went_back_to_a_card_before_is_not_credited_again,
    a_chargeback_takes_the_code_back_and_costs_the_payee,
    a_chargeback_of_a_used_code_is_won_or_written_off,
    a_chargeback_that_does_not_fit_is_left_out,
    money_that_comes_back_late_is_held_for_the_payer,
    a_second_dispute_never_takes_a_code_twice,
    the_audit_sees_books_and_disputes_that_disagree,
    reports_show_disputes_and_payouts_follow_the_ledger,
    the_gateways_register_must_say_what_the_disputes_say,
);

fn day() -> Period {
    Period::days(noon().date(), 1)
}

impl<S: Transact> Town<S> {
    fn two_decide(&mut self, action: &Action) -> Result<Vec<DisputeRow>, Denied> {
        let request = match ask(self, &pen("aigul"), action)? {
            Asked::Waits(number) => number,
            other => panic!("{other:?}"),
        };
        assert!(matches!(approve(self, &pen("aigul"), request), Err(Denied::SamePerson(_))));
        match approve(self, &pen("bolat"), request)? {
            Effect::Disputes(rows) => Ok(rows),
            other => panic!("{other:?}"),
        }
    }

    fn complain(&mut self, payment: PaymentId) -> DisputeRow {
        let action = Action::Complain { payment, why: "the desk says the code is unknown".into() };
        self.two_decide(&action).unwrap().remove(0)
    }

    fn ruled(&mut self, dispute: u32, ruling: Ruling) -> DisputeRow {
        self.two_decide(&Action::Rule { dispute, ruling }).unwrap().remove(0)
    }

    /// A payment by card whose notice the gateway has.
    fn paid_by_card(&mut self) -> PaymentId {
        let (payment, request) = self.asked();
        self.decided(&request, b"00");
        self.card(Request::CardConfirm(payment));
        self.notices();
        payment
    }

    /// A payment in cash whose notice the gateway has.
    fn paid_in_cash(&mut self) -> PaymentId {
        let quote = self.quote(1, "apostille", ANNA, None);
        let (_, outcome) = self.pay(&quote, ANNA, &[2000, 500]);
        assert!(matches!(verdict(&outcome), Verdict::Accepted { remainder: Some(_), .. }));
        self.notices();
        quote.read_unverified().unwrap().payment
    }

    fn booked_on(&self, account: Account) -> i64 {
        ledger::totals(&self.store).unwrap().get(&account).copied().unwrap_or(0)
    }

    fn payee(&self, payment: PaymentId) -> Account {
        Account::payable(self.store.payment(&payment).unwrap().unwrap().payee.unwrap())
    }

    fn dispute_state(&self, number: u32) -> DisputeState {
        self.store.dispute(number).unwrap().unwrap().state
    }

    fn payment_state(&self, payment: PaymentId) -> PaymentState {
        self.store.payment(&payment).unwrap().unwrap().state
    }

    fn use_code(&mut self, payment: PaymentId) {
        let row = self.store.code_of(&payment).unwrap().unwrap();
        let now = self.now;
        let used = self
            .store
            .transact(|store| gateway::consume(store, now, row.code, &row.payer, &row.service))
            .unwrap();
        assert!(matches!(used, gateway::Verdict::Good { .. }), "{used:?}");
    }

    fn row(&self, payment: PaymentId) -> CardRow {
        self.store.card(&payment).unwrap().unwrap()
    }

    fn line(&self, payment: PaymentId, case: &str, way: Move) -> Chargeback {
        let row = self.row(payment);
        Chargeback {
            case: case.into(),
            way,
            terminal: row.terminal,
            trace: row.request.trace % 1_000_000,
            sent: row.request.sent_digits(),
            amount: row.amount,
            reason: "10.4 fraud".into(),
        }
    }

    fn booked(&mut self, line: &Chargeback) -> DisputeRow {
        self.two_decide(&Action::Chargebacks(vec![line.clone()])).unwrap().remove(0)
    }

    /// What cannot be booked now.
    fn unfit(&self, line: &Chargeback) -> String {
        match self.center.chargeback_fits(&self.store, line).unwrap() {
            Fits::No(why) => why,
            other => panic!("{other:?}"),
        }
    }
}

/// A town with an acquirer, and with the operators aigul and bolat.
fn staffed<L: Lab>(lab: &L) -> Town<L::Store> {
    let (mut town, ..) = two::staffed(lab.create());
    town.center.acquirer = Some(card_town::acquirer(true));
    town
}

fn tiyn(tenge: u64) -> i64 {
    i64::try_from(Amount::from_tenge(tenge).tiyn()).unwrap()
}

/// 2,162.50 are paid with 2,163: half a tenge is rounding.
const CASH_FEE: i64 = 216_250;
const CASH_PAID: i64 = 216_300;

fn a_complaint_withholds_the_money_until_it_is_given_back(lab: &impl Lab) {
    let mut town = staffed(lab);
    let payment = town.paid_in_cash();
    let payee = town.payee(payment);
    let held = town.booked_on(Account::Held);
    assert_eq!((town.booked_on(payee), town.booked_on(Account::Rounding)), (-CASH_FEE, -50));
    let dispute = town.complain(payment);
    assert_eq!((dispute.number, dispute.cause, dispute.state), (1, Cause::Complaint, DisputeState::Open));
    assert_eq!(i64::try_from(dispute.amount.tiyn()).unwrap(), CASH_PAID);
    assert_eq!(town.payment_state(payment), PaymentState::Disputed);
    assert_eq!((town.booked_on(payee), town.booked_on(Account::Rounding)), (0, 0));
    assert_eq!(town.booked_on(Account::Disputed), -CASH_PAID);
    town.audit();
    // The code is as good as it was until two people have decided.
    assert_eq!(town.code_state(&payment), Some(CodeState::Paid));
    town.gateway_down.set(true);
    assert_eq!(town.ruled(1, Ruling::GiveBack).state, DisputeState::Returning);
    town.notices();
    assert_eq!(
        (town.dispute_state(1), town.booked_on(Account::Disputed)),
        (DisputeState::Returning, -CASH_PAID)
    );
    let mut town = town.restart(lab);
    town.audit();
    town.gateway_down.set(false);
    town.notices();
    assert_eq!(town.dispute_state(1), DisputeState::Returned);
    assert_eq!(town.code_state(&payment), Some(CodeState::Refunded));
    assert_eq!(town.payment_state(payment), PaymentState::Settled);
    assert_eq!((town.booked_on(Account::Disputed), town.booked_on(payee)), (0, 0));
    assert_eq!(town.booked_on(Account::Held) - held, -CASH_PAID);
    let mut balances = Vec::new();
    town.store.each_balance(&mut |row| balances.push(row)).unwrap();
    let back = balances.iter().find(|row| i64::try_from(row.amount.tiyn()) == Ok(CASH_PAID)).unwrap();
    assert_eq!((back.state, back.from), (BalanceState::Issued, payment));
    assert_eq!(back.owner, town.store.payment(&payment).unwrap().unwrap().payer, "its payer's");
    town.audit();
    // The notice that was answered is not sent again, and nothing is given back twice.
    town.notices();
    assert_eq!(town.booked_on(Account::Held) - held, -CASH_PAID);
    let again = town.two_decide(&Action::Complain { payment, why: "again".into() });
    assert_eq!(again, Err(Denied::Impossible("its code was taken back in dispute 1".into())));
}

fn a_used_code_is_not_given_back_and_the_payment_stands(lab: &impl Lab) {
    let mut town = staffed(lab);
    let payment = town.paid_in_cash();
    let payee = town.payee(payment);
    town.complain(payment);
    town.use_code(payment);
    town.ruled(1, Ruling::GiveBack);
    town.audit();
    town.notices();
    assert_eq!(town.dispute_state(1), DisputeState::Stands);
    assert_eq!((town.booked_on(payee), town.booked_on(Account::Disputed)), (-CASH_FEE, 0));
    assert_eq!(town.code_state(&payment), Some(CodeState::Used));
    assert_eq!(town.payment_state(payment), PaymentState::Settled);
    assert_eq!(town.alarms(), ["code-not-returned"]);
    town.audit();
    assert_eq!(town.notices(), 0, "that was the answer");
}

fn a_rejected_complaint_leaves_everything_as_it_was(lab: &impl Lab) {
    let mut town = staffed(lab);
    let payment = town.paid_in_cash();
    let before = ledger::totals(&town.store).unwrap();
    town.complain(payment);
    assert_eq!(town.ruled(1, Ruling::Reject).state, DisputeState::Stands);
    let mut after = ledger::totals(&town.store).unwrap();
    assert_eq!(after.remove(&Account::Disputed), Some(0));
    assert_eq!(after, before);
    assert_eq!(town.code_state(&payment), Some(CodeState::Paid));
    town.audit();
    // A rejected complaint may come again, with more to say.
    assert_eq!(town.complain(payment).number, 2);
    town.audit();
}

fn what_cannot_be_disputed_is_refused_with_the_reason(lab: &impl Lab) {
    let mut town = staffed(lab);
    let refused = |town: &mut Town<_>, action: &Action| match town.two_decide(action) {
        Err(Denied::Impossible(why)) => why,
        other => panic!("{other:?}"),
    };
    let complain = |payment, why: &str| Action::Complain { payment, why: why.into() };
    let held = town.remainder(ANNA, 1_000);
    let held = town.store.balance(held.number).unwrap().unwrap().from;
    assert!(refused(&mut town, &complain(held, "mine")).contains("balance refund"));
    let nothing = town.next_id(1);
    assert!(refused(&mut town, &complain(nothing, "mine")).contains("was not accepted"));
    let payment = town.paid_in_cash();
    for why in ["", "  ", "two\nlines", &"x".repeat(201)] {
        assert!(refused(&mut town, &complain(payment, why)).contains("one line"), "{why:?}");
    }
    town.complain(payment);
    assert!(refused(&mut town, &complain(payment, "again")).contains("dispute 1 about it is open"));
    let rule = |dispute, ruling| Action::Rule { dispute, ruling };
    assert!(refused(&mut town, &rule(2, Ruling::Reject)).contains("no dispute 2"));
    assert!(refused(&mut town, &rule(1, Ruling::WriteOff)).contains("is a complaint"));
    town.gateway_down.set(true);
    town.ruled(1, Ruling::GiveBack);
    assert!(refused(&mut town, &rule(1, Ruling::Reject)).contains("is being asked"));
    town.gateway_down.set(false);
    town.notices();
    assert!(refused(&mut town, &rule(1, Ruling::Reject)).contains("is over"));
    town.audit();
}

fn a_card_is_credited_by_the_acquirer_after_a_complaint(lab: &impl Lab) {
    let mut town = staffed(lab);
    let payment = town.paid_by_card();
    assert_eq!(town.booked_on(Account::Cards), tiyn(FEE));
    town.complain(payment);
    town.audit();
    town.ruled(1, Ruling::GiveBack);
    town.notices();
    assert_eq!((town.dispute_state(1), town.booked_on(Account::Cards)), (DisputeState::Returned, 0));
    assert_eq!((town.booked_on(Account::Disputed), town.booked_on(Account::Held)), (0, 0));
    let alarm = town.store.alarms().unwrap().pop().unwrap();
    assert_eq!((alarm.kind.as_str(), alarm.disputed), ("card-credit", tenge(FEE)));
    assert!(alarm.text.contains("terminal KSK00001, trace 000001"), "{}", alarm.text);
    assert!(alarm.text.contains("approval A1B2C3"), "{}", alarm.text);
    town.audit();
}

/// A restored center undid an approval before its kiosk told that the code is out: the money went back, the fee was our loss.
fn what_went_back_to_a_card_before_is_not_credited_again(lab: &impl Lab) {
    let mut town = staffed(lab);
    let quote = town.card_quote();
    let order = town.order_of(&quote, &card_town::secret());
    let Answer::Order(payment) = town.order(&order) else { panic!("an order that is taken") };
    let Next::Ask(request) = town.code_for(&order, true) else { panic!("the issuer is asked") };
    let before = town.with(|_, store, _| store.card(&payment)).unwrap();
    let CardAnswer::Approved { outcome, .. } = town.decided(&request, b"00") else { panic!("approved") };
    town.with(|_, store, _| store.put_card(&before));
    town.now = town.now.plus_seconds(120);
    town.errands();
    town.notices();
    assert_eq!(town.code_state(&payment), Some(CodeState::Void));
    assert_eq!(town.ask(1, Request::Recall { deposit: order.deposit, outcome }), Response::Recalled);
    assert_eq!((town.booked_on(Account::OwnLoss), town.booked_on(Account::Cards)), (tiyn(FEE), 0));
    town.complain(payment);
    town.ruled(1, Ruling::GiveBack);
    for _ in 0..3 {
        town.now = town.now.plus_seconds(7_200);
        town.notices();
    }
    assert_eq!(town.dispute_state(1), DisputeState::Returned);
    assert_eq!((town.booked_on(Account::OwnLoss), town.booked_on(Account::Cards)), (0, 0));
    assert_eq!((town.booked_on(Account::Disputed), town.booked_on(Account::Held)), (0, 0));
    let alarms = town.alarms();
    assert!(!alarms.contains(&"card-credit".to_owned()), "the card would be credited twice: {alarms:?}");
    town.audit();
}

fn a_chargeback_takes_the_code_back_and_costs_the_payee(lab: &impl Lab) {
    let mut town = staffed(lab);
    let payment = town.paid_by_card();
    let (payee, line) = (town.payee(payment), town.line(payment, "CB-1", Move::Taken));
    assert_eq!(town.center.chargeback_fits(&town.store, &line).unwrap(), Fits::Yes);
    let dispute = town.booked(&line);
    assert_eq!((dispute.state, dispute.case.as_str()), (DisputeState::Returning, "CB-1"));
    assert_eq!((town.booked_on(Account::Cards), town.booked_on(Account::Disputed)), (0, tiyn(FEE)));
    assert_eq!(town.booked_on(payee), -tiyn(FEE), "not the payee's loss before the code is taken back");
    town.audit();
    let mut town = town.restart(lab);
    assert_eq!(town.center.chargeback_fits(&town.store, &line).unwrap(), Fits::Known);
    town.notices();
    assert_eq!(town.dispute_state(1), DisputeState::Returned);
    assert_eq!(town.code_state(&payment), Some(CodeState::Refunded));
    assert_eq!(
        (town.booked_on(Account::Disputed), town.booked_on(payee), town.booked_on(Account::OwnLoss)),
        (0, 0, 0)
    );
    assert!(town.alarms().is_empty(), "{:?}", town.alarms());
    town.audit();
}

fn a_chargeback_of_a_used_code_is_won_or_written_off(lab: &impl Lab) {
    let mut town = staffed(lab);
    let (won, lost) = (town.paid_by_card(), town.paid_by_card());
    for (payment, case) in [(won, "CB-1"), (lost, "CB-2")] {
        town.use_code(payment);
        let line = town.line(payment, case, Move::Taken);
        assert_eq!(town.booked(&line).state, DisputeState::Returning);
        let early = town.line(payment, case, Move::Returned);
        assert!(town.unfit(&early).contains("is being asked"));
    }
    town.notices();
    assert_eq!([town.dispute_state(1), town.dispute_state(2)], [DisputeState::Open; 2]);
    assert_eq!(town.booked_on(Account::Disputed), 2 * tiyn(FEE));
    town.audit();
    let back = town.line(won, "CB-1", Move::Returned);
    assert_eq!(town.booked(&back).state, DisputeState::Stands);
    assert_eq!(town.center.chargeback_fits(&town.store, &back).unwrap(), Fits::Known);
    assert_eq!(town.ruled(2, Ruling::WriteOff).state, DisputeState::Lost);
    assert_eq!((town.booked_on(Account::Disputed), town.booked_on(Account::OwnLoss)), (0, tiyn(FEE)));
    assert_eq!(town.booked_on(Account::Cards), tiyn(FEE));
    town.audit();
    // The acquirer changes its mind.
    let late = town.line(lost, "CB-2", Move::Returned);
    assert_eq!(town.booked(&late).state, DisputeState::Stands);
    assert_eq!((town.booked_on(Account::OwnLoss), town.booked_on(Account::Cards)), (0, 2 * tiyn(FEE)));
    town.audit();
}

fn a_chargeback_that_does_not_fit_is_left_out(lab: &impl Lab) {
    let mut town = staffed(lab);
    let payment = town.paid_by_card();
    let good = town.line(payment, "CB-1", Move::Taken);
    let unknown = "no payment of ours";
    for (line, why) in [
        (Chargeback { trace: 7, ..good.clone() }, unknown),
        (Chargeback { terminal: *b"KSK00002", ..good.clone() }, unknown),
        (Chargeback { sent: *b"0101000000", ..good.clone() }, unknown),
        (Chargeback { amount: tenge(FEE + 1), ..good.clone() }, "more than was paid"),
        (Chargeback { way: Move::Returned, ..good.clone() }, "this case is unknown"),
    ] {
        assert!(town.unfit(&line).contains(why), "{line}");
        let denied = town.two_decide(&Action::Chargebacks(vec![line]));
        assert!(matches!(denied, Err(Denied::Impossible(said)) if said.contains(why)), "{why}");
    }
    let wrong = vec![good.clone(), Chargeback { trace: 7, case: "CB-7".into(), ..good.clone() }];
    let denied = town.two_decide(&Action::Chargebacks(wrong));
    assert!(matches!(denied, Err(Denied::Impossible(said)) if said.contains(unknown)), "all or nothing");
    let twice = vec![good.clone(), Chargeback { case: "CB-8".into(), ..good.clone() }];
    let denied = town.two_decide(&Action::Chargebacks(twice));
    assert!(matches!(denied, Err(Denied::Impossible(said)) if said.contains("the payment of case CB-1")));
    // Approved, and never confirmed.
    let (open, request) = town.asked();
    town.decided(&request, b"00");
    let never = town.line(open, "CB-9", Move::Taken);
    assert!(town.unfit(&never).contains("never taken"));
    // A part of the sum: the citizen keeps the code.
    let part = Chargeback { amount: tenge(1_000), ..good };
    assert_eq!(town.booked(&part).state, DisputeState::Open);
    let other = Chargeback { amount: tenge(2_000), ..part.clone() };
    assert!(town.unfit(&other).contains("the same case is dispute 1"));
    let second = Chargeback { case: "CB-2".into(), ..part };
    assert!(town.unfit(&second).contains("decide it first"));
    town.notices();
    assert_eq!(town.code_state(&payment), Some(CodeState::Paid));
    assert_eq!(town.ruled(1, Ruling::WriteOff).state, DisputeState::Lost);
    assert_eq!(town.booked_on(Account::OwnLoss), tiyn(1_000));
    let both = town.two_decide(&Action::Complain { payment, why: "the desk says no".into() });
    assert!(matches!(both, Err(Denied::Impossible(said)) if said.contains("to the card's owner")));
    town.audit();
}

fn money_that_comes_back_late_is_held_for_the_payer(lab: &impl Lab) {
    let mut town = staffed(lab);
    let payment = town.paid_by_card();
    let line = town.line(payment, "CB-1", Move::Taken);
    town.booked(&line);
    town.notices();
    assert_eq!(town.dispute_state(1), DisputeState::Returned);
    let back = town.line(payment, "CB-1", Move::Returned);
    assert_eq!(town.booked(&back).state, DisputeState::Released);
    assert_eq!((town.booked_on(Account::Cards), town.booked_on(Account::Held)), (tiyn(FEE), -tiyn(FEE)));
    town.audit();
}

fn a_second_dispute_never_takes_a_code_twice(lab: &impl Lab) {
    let mut town = staffed(lab);
    let payment = town.paid_by_card();
    let payee = town.payee(payment);
    town.complain(payment);
    let line = town.line(payment, "CB-1", Move::Taken);
    assert!(town.unfit(&line).contains("decide it first"));
    town.ruled(1, Ruling::GiveBack);
    town.notices();
    // Credited by the acquirer, and charged back as well: contested, and never the payee's.
    assert_eq!(town.booked(&line).state, DisputeState::Open);
    town.notices();
    assert_eq!((town.dispute_state(2), town.booked_on(payee)), (DisputeState::Open, 0));
    assert_eq!((town.booked_on(Account::Cards), town.booked_on(Account::Disputed)), (-tiyn(FEE), tiyn(FEE)));
    town.audit();
    let back = town.line(payment, "CB-1", Move::Returned);
    assert_eq!(town.booked(&back).state, DisputeState::Stands);
    assert_eq!((town.booked_on(Account::Cards), town.booked_on(Account::Disputed)), (0, 0));
    town.audit();
}

fn the_audit_sees_books_and_disputes_that_disagree(lab: &impl Lab) {
    let mut town = staffed(lab);
    let payment = town.paid_in_cash();
    let good = town.complain(payment);
    for (wrong, finding) in [
        (DisputeRow { state: DisputeState::Stands, ..good.clone() }, "are in dispute, booked are"),
        (DisputeRow { state: DisputeState::Returned, ..good.clone() }, "and its disputes disagree"),
        (DisputeRow { amount: tenge(1), ..good.clone() }, "are in dispute, booked are"),
    ] {
        town.store.transact(|store| store.put_dispute(&wrong)).unwrap();
        let found = ledger::audit(&town.store).unwrap();
        assert!(found.iter().any(|line| line.contains(finding)), "{finding}: {found:?}");
    }
    let nobody = DisputeRow { number: 2, payment: town.next_id(2), ..good.clone() };
    town.store
        .transact(|store| {
            store.put_dispute(&good)?;
            store.put_dispute(&nobody)
        })
        .unwrap();
    let found = ledger::audit(&town.store).unwrap();
    assert!(found.len() == 1 && found[0].contains("which is unknown"), "{found:?}");
}

fn reports_show_disputes_and_payouts_follow_the_ledger(lab: &impl Lab) {
    let mut town = staffed(lab);
    let (stands, back) = (town.paid_in_cash(), town.paid_in_cash());
    let (charged, used) = (town.paid_by_card(), town.paid_by_card());
    town.use_code(used);
    for (payment, ruling) in [(stands, Ruling::Reject), (back, Ruling::GiveBack)] {
        let dispute = town.complain(payment).number;
        town.ruled(dispute, ruling);
    }
    let open = town.paid_in_cash();
    town.complain(open);
    for (payment, case) in [(charged, "CB-1"), (used, "CB-2")] {
        let line = town.line(payment, case, Move::Taken);
        town.booked(&line);
    }
    town.notices();
    town.ruled(5, Ruling::WriteOff);
    town.audit();
    let entries = reports::entries(&town.store, day()).unwrap();
    let count = |kind| entries.iter().filter(|entry| entry.kind == kind).count();
    let counts = [
        Kind::Disputed,
        Kind::Restored,
        Kind::GivenBack,
        Kind::ChargedBack,
        Kind::Reversed,
        Kind::WrittenOff,
    ];
    assert_eq!(counts.map(count), [3, 1, 1, 2, 1, 1]);
    expect_test::expect![[r#"
        22.11.2026
        payments accepted, as paid               5         15,139.00
          fees in them                           5         15,137.50
          commission in them                     5              0.00
        payments that became held money          0              0.00
        balances that came up                    4          3,174.00
        notices the gateway took, fees           5         15,137.50
        given back                               2          6,488.00
        disputed by payers                       3          6,489.00
        charged back by the acquirer             2          8,650.00
        disputes that changed nothing            1          2,163.00
        lost to chargebacks                      1          4,325.00
    "#]]
    .assert_eq(&summary::summary(&entries).text("22.11.2026"));
    let payouts = settlement::payouts(&entries, noon().date(), &Terms::default());
    expect_test::expect![[r#"
        Settlement of 22.11.2026
        provider          paid            fees    withheld  returned           sum      disputed          payout  value date
        090440004151         3        6,487.50        0.00         1      2,162.50      2,162.50        2,162.50  23.11.2026
        991242000014         2        8,650.00        0.00         1      4,325.00          0.00        4,325.00  23.11.2026

        Reimbursement claim to bank demo-bank: 15,137.50 for 5 notified payments
    "#]].assert_eq(&settlement::text(noon().date(), &payouts, "demo-bank"));
    for (name, payout) in payouts {
        let payee = Account::payable(Bin::parse(&name).unwrap());
        assert_eq!(payout.due(), -town.booked_on(payee), "{name}: paid out is what is owed");
    }
}

fn the_gateways_register_must_say_what_the_disputes_say(lab: &impl Lab) {
    let mut town = staffed(lab);
    let payment = town.paid_in_cash();
    let code = town.store.code_of(&payment).unwrap().unwrap();
    let entry =
        |refunded| Registered { transaction: payment.to_string(), code: code.code, fee: code.fee, refunded };
    let audit = |town: &Town<_>, refunded| {
        let register = [entry(refunded)];
        let audit =
            threeway::audit(&town.store, &[], Some(&register), &|payment| payment.to_string()).unwrap();
        (audit.findings.len(), audit.under_way.len())
    };
    town.complain(payment);
    assert_eq!((audit(&town, false), audit(&town, true)), ((0, 0), (1, 0)));
    town.gateway_down.set(true);
    town.ruled(1, Ruling::GiveBack);
    assert_eq!((audit(&town, false), audit(&town, true)), ((0, 1), (0, 1)), "the question is on its way");
    town.gateway_down.set(false);
    town.notices();
    assert_eq!((audit(&town, false), audit(&town, true)), ((1, 0), (0, 0)));
}
