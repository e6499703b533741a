//! What two people end of a card payment after having talked to the acquirer, and what they cannot.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod card_town;
mod common;

use card_town::*;
use common::{two::*, *};
use tolem_center::logic::{
    Answer,
    acquirer::{Acquiring as _, Standing},
    approval::{Asked, Denied, Effect},
    card_office::{CardRuling, waits_for_a_person},
    cards::Next,
    disputes::{Cause, DisputeState, Disputes as _, Ruling},
    errands::{Errands as _, Made, NoticeKind, Reply},
    ledger::{self, Account},
    office::Action,
    register::{Adopted as _, Listed, of_transaction_number, transaction_number},
    reports::threeway::{self, Registered},
    store::{CodeRow, CodeState, Store as _, Transact},
};
use tolem_protocol::{
    PaymentId,
    card::{CardAnswer, CardOrder, CardSecret, SealedNumber, SecretNumber},
    iso8583::MessageType,
    messages::{CodeToken, Outcome, Request, Response, Verdict},
    pinpad::KeySerial,
    signed::Signed,
};

on_all_stores!(
    nothing_is_ended_that_a_machine_may_still_end,
    an_approval_without_its_kiosk_is_ended_either_way,
    a_ruling_on_another_state_ends_nothing,
    a_confirmation_that_the_acquirer_refuses_is_taken_or_becomes_a_dispute,
    a_reversal_that_the_acquirer_refuses_ends_with_what_it_gave_back_by_hand,
    a_code_that_is_struck_by_hand_frees_the_money,
    a_reversal_whose_number_never_opens_is_ended_by_people,
    what_a_restored_center_forgot_is_ended_by_people,
    what_the_gateway_has_as_paid_and_these_books_forgot_is_taken_over_as_its_register_has_it,
    what_the_gateway_has_as_paid_and_these_books_undid_is_booked_with_the_answer_that_was_signed,
    a_card_payment_of_a_burnt_kiosk_that_the_acquirer_does_not_pay_is_a_dispute,
    a_recall_after_money_was_given_back_is_a_loss_with_an_alarm_of_its_own,
    a_kiosk_that_undoes_what_was_taken_over_as_paid_is_heard_by_people_first,
    a_recall_after_the_gateway_has_voided_the_code_pays_its_payee_once,
    what_two_people_take_over_is_paid_out_on_a_day_to_come,
    what_was_taken_back_in_the_lost_days_is_told_once_and_leads_nowhere,
    a_code_that_the_gateway_has_as_paid_is_not_given_back,
    a_code_that_was_given_back_and_is_paid_after_all_is_a_loss_and_pays_its_payee,
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
    Action::EndCard { payment, seen, ruling, listed: None, why: "the acquirer's desk, by phone".into() }
}

fn end<S: Transact>(town: &mut Town<S>, payment: PaymentId, ruling: CardRuling) -> Result<Effect, Denied> {
    let action = ending(town, payment, ruling);
    two_end(town, &action)
}

/// The same with what the gateway's register has of it.
fn end_as_listed<S: Transact>(
    town: &mut Town<S>,
    payment: PaymentId,
    ruling: CardRuling,
    listed: &Listed,
) -> Result<Effect, Denied> {
    assert!(
        town.center.needs_register(&town.store, &payment, ruling).unwrap() || ruling == CardRuling::GivenBack
    );
    let mut action = ending(town, payment, ruling);
    if let Action::EndCard { listed: field, .. } = &mut action {
        *field = Some(listed.clone());
    }
    two_end(town, &action)
}

fn two_end<S: Transact>(town: &mut Town<S>, action: &Action) -> Result<Effect, Denied> {
    assert_eq!(Action::from_bytes(&action.to_bytes()), Some(action.clone()));
    match ask(town, &pen("aigul"), action)? {
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
    let (ruling, why) = (CardRuling::Taken, " ".into());
    let action = Action::EndCard { payment: asked, seen, ruling, listed: None, why };
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

/// The center died before the security module had refused the number that a reader has enciphered: the reversal needs the same number, and
/// whether the request ever left is known to the acquirer alone.
fn a_reversal_whose_number_never_opens_is_ended_by_people(lab: &impl Lab) {
    let mut town = staffed_town(lab);
    let sealed = SealedNumber { serial: KeySerial(SERIAL), cipher: [0xC5; 24] };
    let card = CardSecret { number: SecretNumber::Sealed(sealed), ..secret() };
    let quote = town.card_quote();
    let order = town.order_of(&quote, &card);
    let Answer::Order(payment) = town.order(&order) else { panic!("taken") };
    let Next::Ask(_) = town.code_for(&order, true) else { panic!("asked") };
    let mut town = town.restart(lab);
    town.now = town.now.plus_seconds(61);
    town.errands();
    town.notices();
    for _ in 0..6 {
        refuses_all_but(&mut town, payment, &[]);
        let reversal = town.errands().remove(0);
        town.with(|center, store, at| center.card_errand_failed(store, at, &reversal, "refused"));
        town.now = town.now.plus_seconds(600);
    }
    assert_eq!((town.alarms(), waits(&town, payment)), (vec!["card-message".to_owned()], true));
    refuses_all_but(&mut town, payment, &[CardRuling::GivenBack]);
    assert_eq!(end(&mut town, payment, CardRuling::GivenBack), Ok(Effect::Done));
    town.now = town.now.plus_seconds(3_600);
    assert_eq!((town.standing(&payment), town.errands().len()), (Standing::Reversed, 0));
    town.audit();
}

fn a_code_that_is_struck_by_hand_frees_the_money(lab: &impl Lab) {
    let mut town = staffed_town(lab);
    let payment = approved(&mut town);
    town.card(void(payment));
    refuses_all_but(&mut town, payment, &[]);
    let due = town.with(|center, store, at| center.notices_due(store, at.now));
    let no = Reply::Refused("not permitted".into());
    town.with(|center, store, at| center.notice_answered(store, at, (due[0].id, due[0].kind), &no));
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

/// A card payment of a life that is forgotten, as its kiosk and the gateway have it.
struct Forgotten {
    order: CardOrder,
    payment: PaymentId,
    outcome: Signed<Outcome>,
    token: CodeToken,
}

/// 2 % of commission, which the gateway's register does not know.
const COMMISSION: u64 = 8_650;

fn with_commission<S: Transact>(mut town: Town<S>) -> Town<S> {
    town.center.rules.commission_thousandths = 20;
    town
}

fn lived<S: Transact>(lost: &mut Town<S>) -> Forgotten {
    let quote = lost.card_quote();
    let order = lost.order_of(&quote, &secret());
    let Answer::Order(payment) = lost.order(&order) else { panic!("taken") };
    let Next::Ask(request) = lost.code_for(&order, true) else { panic!("asked") };
    let CardAnswer::Approved { outcome, .. } = lost.decided(&request, b"00") else { panic!("approved") };
    let Verdict::Accepted { token, .. } = verdict(&outcome) else { panic!("accepted") };
    let token = token.read_unverified().unwrap();
    Forgotten { order, payment, outcome, token }
}

impl Forgotten {
    /// What the gateway's register has of it.
    fn listed<S>(&self, town: &Town<S>) -> Listed {
        Listed {
            transaction: transaction_number(&self.payment),
            code: self.token.code,
            service: self.token.service.clone(),
            fee: self.token.fee,
            by_card: true,
            arrived_at: town.now,
            refunded: false,
        }
    }

    /// The gateway has its code as paid, or used.
    fn stands_at_the_gateway<S: Transact>(&self, town: &mut Town<S>, state: CodeState) {
        let token = &self.token;
        town.with(|center, store, at| {
            store.put_code(&CodeRow {
                code: token.code,
                payment: self.payment,
                service: token.service.clone(),
                payer: center.keys.tag_iin(&iin(ANNA)),
                fee: token.fee,
                state,
                issued_at: at.now,
                paid_at: Some(at.now),
                valid_until: token.valid_until,
            })
        });
    }

    /// Its kiosk comes back after all, and tells what it has.
    fn kiosk_returns<S: Transact>(&self, town: &mut Town<S>) {
        let recall = Request::Recall { deposit: self.order.deposit.clone(), outcome: self.outcome.clone() };
        for _ in 0..2 {
            assert_eq!(town.ask(1, recall.clone()), Response::Recalled);
            assert_eq!(town.card(Request::CardConfirm(self.payment)), CardAnswer::Confirmed);
        }
    }

    /// Books and gateway say the same of it.
    fn agrees<S: Transact>(&self, town: &Town<S>, refunded: bool) {
        let number_of = |payment: &PaymentId| transaction_number(payment);
        let (transaction, code) = (number_of(&self.payment), self.token.code);
        let registered = [Registered { transaction, code, fee: self.token.fee, refunded }];
        let audit = threeway::audit(&town.store, &[], Some(&registered), &number_of).unwrap();
        assert_eq!((audit.findings, audit.under_way), (vec![], vec![]));
    }
}

fn on<S: Transact>(town: &Town<S>, account: Account) -> i64 {
    ledger::totals(&town.store).unwrap().get(&account).copied().unwrap_or(0)
}

fn tiyn(tenge_of: u64) -> i64 {
    i64::try_from(tenge(tenge_of).tiyn()).unwrap()
}

/// The order is in the backup, the answer is not, and the kiosk burnt: the gateway has its code as paid.
fn what_the_gateway_has_as_paid_and_these_books_forgot_is_taken_over_as_its_register_has_it(lab: &impl Lab) {
    for (ruling, used) in
        [(CardRuling::Taken, false), (CardRuling::NotPaid, false), (CardRuling::NotPaid, true)]
    {
        let forgotten = lived(&mut with_commission(town(lab, true)));
        let payment = forgotten.payment;
        let mut town = with_commission(staffed_town(lab));
        town.card_quote();
        assert!(matches!(town.order(&forgotten.order), Answer::Order(id) if id == payment));
        forgotten.stands_at_the_gateway(&mut town, if used { CodeState::Used } else { CodeState::Paid });
        let (code, valid_until) = (forgotten.token.code, forgotten.token.valid_until);
        let paid = Reply::Done(Made { code, valid_until, is_paid: true });
        let draft = town.center.draft(&forgotten.order);
        town.with(|center, store, at| center.card_code(store, at, &payment, &paid, draft.as_ref()));
        assert_eq!((town.alarms(), waits(&town, payment)), (vec!["card-recalled".to_owned()], true));
        refuses_all_but(&mut town, payment, &[CardRuling::GivenBack]);
        let listed = forgotten.listed(&town);
        for wrong in [
            Listed { fee: tenge(1), ..listed.clone() },
            Listed { by_card: false, ..listed.clone() },
            Listed { refunded: true, ..listed.clone() },
            Listed { transaction: transaction_number(&town.next_id(1)), ..listed.clone() },
        ] {
            let denied = end_as_listed(&mut town, payment, ruling, &wrong);
            assert!(matches!(denied, Err(Denied::Impossible(_))), "{wrong}: {denied:?}");
        }
        let denied = end_as_listed(&mut town, payment, CardRuling::GivenBack, &listed);
        assert!(matches!(denied, Err(Denied::Impossible(_))), "{denied:?}");
        let effect = end_as_listed(&mut town, payment, ruling, &listed).unwrap();
        let mut town = town.restart(lab);
        town.audit();
        assert!(!waits(&town, payment));
        refuses_all_but(&mut town, payment, &[]);
        let denied = ending(&town, payment, CardRuling::Taken);
        assert!(ask(&mut town, &pen("aigul"), &denied).is_err(), "once");
        if ruling == CardRuling::Taken {
            assert_eq!((effect, town.owed_by_cards()), (Effect::Done, tiyn(FEE)));
            forgotten.agrees(&town, false);
        } else {
            let Effect::Disputes(rows) = effect else { panic!("a dispute") };
            assert_eq!((rows[0].cause, rows[0].amount), (Cause::Chargeback, tenge(FEE)));
            assert_eq!((town.owed_by_cards(), on(&town, Account::Disputed)), (0, tiyn(FEE)));
            town.notices();
            let stands = town.store.dispute(1).unwrap().unwrap().state;
            assert_eq!(stands, if used { DisputeState::Open } else { DisputeState::Returned });
            town.audit();
            forgotten.agrees(&town, !used);
        }
        // The kiosk did not burn: what it tells takes the place of what was taken over, and nobody is asked again.
        forgotten.kiosk_returns(&mut town);
        town.audit();
        assert!(town.store.all_adopted().unwrap().iter().all(|row| row.replaced));
        let alarms = town.alarms();
        assert_eq!(alarms.iter().filter(|kind| *kind == "card-recalled").count(), 1, "{alarms:?}");
        let all = tiyn(FEE) + COMMISSION.cast_signed();
        if ruling == CardRuling::Taken {
            assert_eq!(
                (town.owed_by_cards(), on(&town, Account::Commission)),
                (all, -COMMISSION.cast_signed())
            );
            continue;
        }
        assert_eq!(town.owed_by_cards(), 0, "the acquirer does not pay the commission either");
        if used {
            assert_eq!(on(&town, Account::Disputed), all);
            let write_off = Action::Rule { dispute: 1, ruling: Ruling::WriteOff };
            two_end(&mut town, &write_off).unwrap();
            assert_eq!((on(&town, Account::OwnLoss), on(&town, Account::Disputed)), (all, 0));
            town.audit();
        } else {
            assert_eq!((on(&town, Account::Commission), on(&town, Account::Disputed)), (0, 0));
        }
    }
}

/// The backup was made while the answer was on its way, nobody told of it, and the request was undone as overdue.
fn what_the_gateway_has_as_paid_and_these_books_undid_is_booked_with_the_answer_that_was_signed(
    lab: &impl Lab,
) {
    for (ruling, by_register, reversed) in [
        (CardRuling::Taken, true, false),
        (CardRuling::Taken, false, false),
        (CardRuling::NotPaid, true, true),
    ] {
        let mut town = with_commission(staffed_town(lab));
        let quote = town.card_quote();
        let order = town.order_of(&quote, &secret());
        let Answer::Order(payment) = town.order(&order) else { panic!("taken") };
        let Next::Ask(request) = town.code_for(&order, true) else { panic!("asked") };
        let outcome = town.store.card(&payment).unwrap().unwrap().outcome.unwrap();
        let Verdict::Accepted { token, .. } = verdict(&outcome) else { panic!("accepted") };
        let token = token.read_unverified().unwrap();
        let forgotten = Forgotten { order, payment, outcome, token };
        forgotten.stands_at_the_gateway(&mut town, CodeState::Paid);
        town.now = town.now.plus_seconds(61);
        assert!(town.errands().is_empty());
        assert_eq!(town.standing(&payment), Standing::Reversing);
        let listed = forgotten.listed(&town);
        let denied = end_as_listed(&mut town, payment, ruling, &listed);
        assert!(matches!(denied, Err(Denied::Impossible(_))), "nothing says yet that a person must look");
        if reversed {
            town.notices();
            let word = town.errands().remove(0);
            town.hear(&answer(&word, b"00"));
        }
        if by_register {
            let compared = town.center.compare_register(&town.store, std::slice::from_ref(&listed)).unwrap();
            assert_eq!(compared.conflicts.len(), 1);
            two_end(&mut town, &Action::TakeRegister(compared)).unwrap();
            assert_eq!((town.alarms(), waits(&town, payment)), (vec!["register-conflict".to_owned()], true));
        } else {
            // The gateway says that it is paid each time it is told that it is void.
            town.now = town.now.plus_seconds(7_200);
            let due = town.with(|center, store, at| center.notices_due(store, at.now));
            let silent = Reply::Silent("it is paid".into());
            town.with(|center, store, at| {
                center.notice_answered(store, at, (due[0].id, due[0].kind), &silent)
            });
            assert_eq!(town.alarms(), ["notice-overdue"]);
        }
        refuses_all_but(&mut town, payment, &[]);
        let other = Listed { code: tolem_protocol::PaymentCode::from_random(3), ..listed.clone() };
        assert!(matches!(end_as_listed(&mut town, payment, ruling, &other), Err(Denied::Impossible(_))));
        end_as_listed(&mut town, payment, ruling, &listed).unwrap();
        let mut town = town.restart(lab);
        let row = town.store.card(&payment).unwrap().unwrap();
        assert!(row.standing == Standing::Confirmed && row.sealed_number.is_empty());
        let taken_back = ruling == CardRuling::NotPaid;
        let mut words = Vec::new();
        town.store.each_notice(&mut |row| words.push((row.kind, row.taken_at.is_some()))).unwrap();
        let asked_back = [(NoticeKind::Refund, false)];
        let wanted = [&[(NoticeKind::Paid, true)], &asked_back[..usize::from(taken_back)]].concat();
        assert_eq!(words, wanted, "that it is void is no word to the gateway, and no row of a report");
        town.now = town.now.plus_seconds(86_400);
        assert!(town.errands().is_empty(), "nothing is given back any more");
        let all = tiyn(FEE) + COMMISSION.cast_signed();
        assert_eq!(town.owed_by_cards(), if ruling == CardRuling::Taken { all } else { 0 });
        town.audit();
        assert!(!waits(&town, payment));
        town.notices();
        let state = if taken_back { CodeState::Refunded } else { CodeState::Paid };
        assert_eq!(town.code_state(&payment), Some(state));
        assert_eq!(town.store.notices_open().unwrap().0, 0, "it is void to nobody");
        forgotten.agrees(&town, taken_back);
        assert!(matches!(town.hear(&answer(&request, b"00")), tolem_center::logic::cards::Said::Other(_)));
        forgotten.kiosk_returns(&mut town);
        assert_eq!(town.owed_by_cards(), if ruling == CardRuling::Taken { all } else { 0 }, "once");
        town.audit();
    }
}

/// The gateway's register alone knows of it: neither its order nor its payer is here.
fn a_card_payment_of_a_burnt_kiosk_that_the_acquirer_does_not_pay_is_a_dispute(lab: &impl Lab) {
    for ruling in [CardRuling::Taken, CardRuling::NotPaid] {
        let forgotten = lived(&mut with_commission(town(lab, true)));
        let mut town = with_commission(staffed_town(lab));
        let listed = forgotten.listed(&town);
        let compared = town.center.compare_register(&town.store, &[listed]).unwrap();
        two_end(&mut town, &Action::TakeRegister(compared)).unwrap();
        // Half of its nonce is not known there.
        let payment = town.store.all_adopted().unwrap().remove(0).payment;
        assert_eq!((town.alarms(), waits(&town, payment)), (vec!["card-recalled".to_owned()], true));
        refuses_all_but(&mut town, payment, &[CardRuling::Taken, CardRuling::NotPaid]);
        end(&mut town, payment, ruling).unwrap();
        town.audit();
        refuses_all_but(&mut town, payment, &[]);
        let all = tiyn(FEE) + COMMISSION.cast_signed();
        if ruling == CardRuling::Taken {
            assert_eq!(town.owed_by_cards(), tiyn(FEE));
        } else {
            // The gateway cannot be told without the order; its code may be used.
            assert_eq!(town.store.dispute(1).unwrap().unwrap().state, DisputeState::Open);
            assert_eq!((town.owed_by_cards(), town.store.notices_open().unwrap().0), (0, 0));
            two_end(&mut town, &Action::Rule { dispute: 1, ruling: Ruling::WriteOff }).unwrap();
            assert_eq!(on(&town, Account::OwnLoss), tiyn(FEE));
        }
        forgotten.agrees(&town, false);
        town.audit();
        // It did not burn.
        forgotten.kiosk_returns(&mut town);
        town.audit();
        let (owed, lost) = if ruling == CardRuling::Taken { (all, 0) } else { (0, all) };
        assert_eq!((town.owed_by_cards(), on(&town, Account::OwnLoss)), (owed, lost));
        assert!(!waits(&town, payment) && !waits(&town, forgotten.payment), "nobody is asked again");
    }
}

/// People had what was taken credited by hand, and then its kiosk comes with the code that is out.
fn a_recall_after_money_was_given_back_is_a_loss_with_an_alarm_of_its_own(lab: &impl Lab) {
    let forgotten = lived(&mut town(lab, true));
    let payment = forgotten.payment;
    let mut town = staffed_town(lab);
    assert_eq!(town.card(void(payment)), CardAnswer::Voided);
    assert_eq!(end(&mut town, payment, CardRuling::GivenBack), Ok(Effect::Done));
    forgotten.kiosk_returns(&mut town);
    assert_eq!(town.alarms(), ["card-recalled", "card-loss"]);
    assert_eq!((town.owed_by_cards(), on(&town, Account::OwnLoss)), (0, tiyn(FEE)), "no acquirer owes it");
    assert!(!waits(&town, payment));
    town.audit();
    // A complaint is given back once, and that was before.
    two_end(&mut town, &Action::Complain { payment, why: "paid twice".into() }).unwrap();
    two_end(&mut town, &Action::Rule { dispute: 1, ruling: Ruling::GiveBack }).unwrap();
    town.notices();
    town.notices();
    assert_eq!(town.store.dispute(1).unwrap().unwrap().state, DisputeState::Returned);
    assert_eq!((on(&town, Account::OwnLoss), town.owed_by_cards()), (0, 0));
    assert!(!town.alarms().contains(&"card-credit".to_owned()), "{:?}", town.alarms());
    town.audit();
}

/// The register has it as paid, and its kiosk says that it came to nothing: which of them is right decides whether a card was charged for a code
/// that nobody holds.
fn a_kiosk_that_undoes_what_was_taken_over_as_paid_is_heard_by_people_first(lab: &impl Lab) {
    for (is_quoted, ruling, before) in [
        (true, CardRuling::Taken, false),
        (false, CardRuling::Taken, true),
        (true, CardRuling::NotPaid, true),
        (false, CardRuling::NotPaid, false),
    ] {
        let forgotten = lived(&mut town(lab, true));
        let payment = forgotten.payment;
        let mut town = staffed_town(lab);
        if is_quoted {
            assert_eq!(town.card_quote().read_unverified().unwrap().payment, payment);
        }
        let listed = forgotten.listed(&town);
        let compared = town.center.compare_register(&town.store, &[listed]).unwrap();
        two_end(&mut town, &Action::TakeRegister(compared)).unwrap();
        let taken_over = town.store.all_adopted().unwrap().remove(0).payment;
        assert_eq!(taken_over == payment, is_quoted);
        assert_eq!(town.enquire(payment), CardAnswer::Unknown);
        if before {
            end(&mut town, taken_over, ruling).unwrap();
        }
        let mut town = town.restart(lab);
        let stood = town.store.payment(&payment).unwrap();
        let ended = Response::Card(CardAnswer::Confirmed);
        let open = Response::Card(CardAnswer::Undecided);
        for _ in 0..2 {
            assert_eq!(town.ask(1, void(payment)), if before { ended.clone() } else { open.clone() });
            assert_eq!(town.alarms(), ["card-recalled", "card-contradicted"], "once");
        }
        assert_eq!(town.store.payment(&payment).unwrap(), stood);
        assert_eq!(town.owed_by_cards(), if before && ruling == CardRuling::NotPaid { 0 } else { tiyn(FEE) });
        town.audit();
        if !before {
            assert!(waits(&town, taken_over));
            end(&mut town, taken_over, ruling).unwrap();
            assert_eq!(town.ask(1, void(payment)), ended, "its kiosk hears how people ended it");
        }
        assert_eq!(town.alarms(), ["card-recalled", "card-contradicted"]);
        town.audit();
    }
}

/// It was undone here as overdue, the gateway heard that its code is void, the money went back; and then its kiosk comes with the code that is out.
fn a_recall_after_the_gateway_has_voided_the_code_pays_its_payee_once(lab: &impl Lab) {
    let mut town = town(lab, true);
    let quote = town.card_quote();
    let order = town.order_of(&quote, &secret());
    let Answer::Order(payment) = town.order(&order) else { panic!("taken") };
    let Next::Ask(_) = town.code_for(&order, true) else { panic!("asked") };
    let outcome = town.store.card(&payment).unwrap().unwrap().outcome.unwrap();
    town.now = town.now.plus_seconds(61);
    assert!(town.errands().is_empty());
    assert_eq!(town.notices(), 1, "that it is void");
    let word = town.errands().remove(0);
    town.hear(&answer(&word, b"00"));
    town.audit();
    town.now = town.now.plus_seconds(86_400);
    let recall = Request::Recall { deposit: order.deposit.clone(), outcome };
    assert_eq!(town.ask(1, recall), Response::Recalled);
    town.notices();
    assert_eq!(town.store.notices_open().unwrap().0, 0);
    town.audit();
}

/// The day on which its notice arrived at the gateway was settled long ago.
fn what_two_people_take_over_is_paid_out_on_a_day_to_come(lab: &impl Lab) {
    let (forgotten, mut town) = undone_by_its_kiosk(lab);
    let listed = Listed { arrived_at: town.now.plus_seconds(-3 * 86_400), ..forgotten.listed(&town) };
    end_as_listed(&mut town, forgotten.payment, CardRuling::Taken, &listed).unwrap();
    assert!(!town.owed().is_empty());
    assert_eq!(town.paid_out(town.now), town.owed());
    town.audit();
}

/// A kiosk undoes a payment that this center has forgotten.
fn undone_by_its_kiosk<L: Lab>(lab: &L) -> (Forgotten, Town<L::Store>) {
    let forgotten = lived(&mut town(lab, true));
    let mut town = staffed_town(lab);
    assert_eq!(town.card(void(forgotten.payment)), CardAnswer::Voided);
    assert!(waits(&town, forgotten.payment));
    (forgotten, town)
}

/// No command finds a payment of which nothing is here.
fn what_was_taken_back_in_the_lost_days_is_told_once_and_leads_nowhere(lab: &impl Lab) {
    let forgotten = lived(&mut town(lab, true));
    let mut town = staffed_town(lab);
    let listed = Listed { refunded: true, ..forgotten.listed(&town) };
    for _ in 0..2 {
        let compared = town.center.compare_register(&town.store, std::slice::from_ref(&listed)).unwrap();
        assert_eq!(compared.conflicts.len(), 1);
        two_end(&mut town, &Action::TakeRegister(compared)).unwrap();
    }
    let [alarm] = &town.store.alarms().unwrap()[..] else { panic!("one alarm") };
    assert_eq!(alarm.kind, "register-conflict");
    let wanted = "; nothing of it is here: compare it with the acquirer's register";
    assert!(alarm.text.ends_with(wanted), "{}", alarm.text);
    assert!(!waits(&town, of_transaction_number(&listed.transaction).unwrap()));
    // The same payment of which a row is here is shown, and told anew.
    town.card(void(forgotten.payment));
    let compared = town.center.compare_register(&town.store, &[listed]).unwrap();
    two_end(&mut town, &Action::TakeRegister(compared)).unwrap();
    let last = town.store.alarms().unwrap().pop().unwrap().text;
    assert!(last.ends_with(&format!("; see: tolem-center card show {}", forgotten.payment)), "{last}");
}

fn a_code_that_the_gateway_has_as_paid_is_not_given_back(lab: &impl Lab) {
    let (forgotten, mut town) = undone_by_its_kiosk(lab);
    let (payment, given_back) = (forgotten.payment, CardRuling::GivenBack);
    assert!(town.center.needs_register(&town.store, &payment, given_back).unwrap());
    let listed = forgotten.listed(&town);
    let denied = end_as_listed(&mut town, payment, given_back, &listed);
    assert!(
        matches!(&denied, Err(Denied::Impossible(why)) if why.contains("taken or not-paid")),
        "{denied:?}"
    );
    let refunded = Listed { refunded: true, ..listed };
    assert_eq!(end_as_listed(&mut town, payment, given_back, &refunded), Ok(Effect::Done));
    assert!(town.store.all_adopted().unwrap().is_empty());
    assert!(!waits(&town, payment));
    town.audit();
}

/// People had what was taken credited by hand before anybody had read the gateway's register.
fn a_code_that_was_given_back_and_is_paid_after_all_is_a_loss_and_pays_its_payee(lab: &impl Lab) {
    let (forgotten, mut town) = undone_by_its_kiosk(lab);
    let payment = forgotten.payment;
    assert_eq!(end(&mut town, payment, CardRuling::GivenBack), Ok(Effect::Done));
    let listed = forgotten.listed(&town);
    let denied = end_as_listed(&mut town, payment, CardRuling::NotPaid, &listed);
    assert!(matches!(&denied, Err(Denied::Impossible(why)) if why.contains("given back")), "{denied:?}");
    assert_eq!(end_as_listed(&mut town, payment, CardRuling::Taken, &listed), Ok(Effect::Done));
    assert_eq!((on(&town, Account::OwnLoss), town.owed_by_cards()), (tiyn(FEE), 0), "no acquirer owes it");
    town.audit();
    forgotten.agrees(&town, false);
    refuses_all_but(&mut town, payment, &[]);
    // Its kiosk comes after all: still once.
    forgotten.kiosk_returns(&mut town);
    assert_eq!((on(&town, Account::OwnLoss), town.owed_by_cards()), (tiyn(FEE), 0));
    town.audit();
}
