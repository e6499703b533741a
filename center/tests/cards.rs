//! Payments by card, from the kiosk's order to the end at gateway and acquirer: what is said to whom, in which order, and what is booked.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod card_town;
mod common;

use card_town::*;
use common::*;
use data_encoding::HEXUPPER;
use tolem_center::logic::{
    Answer,
    acquirer::{Acquiring as _, Heard, Standing},
    cards::{LineWatch, Next, Said},
    errands::{Made, NoticeKind, Reply},
    rebuild::{self, Standing as _},
    store::{CodeRow, CodeState, Store as _, Transact},
};
use tolem_protocol::{
    Amount, PaymentCode, PaymentId,
    card::{
        CardAnswer, CardOrder, CardSecret, DeclineReason, PinKey, SealedCard, SealedNumber, SecretNumber,
    },
    iso8583::{Message, MessageType, de},
    messages::{DepositKind, HoldReason, Method, Refusal, Request, Response, Verdict},
    pinpad::{KeySerial, KeySlot, PinBlock},
};

on_all_stores!(
    cards_are_offered_only_while_the_acquirer_is_there,
    a_payment_by_card_is_paid_when_its_kiosk_says_so_and_not_before,
    what_comes_to_nothing_is_void_first_and_reversed_then,
    silence_is_undone_and_a_late_approval_changes_nothing,
    what_never_left_is_void_and_owed_to_nobody,
    a_request_that_died_with_its_center_comes_to_rest,
    a_decline_voids_the_code_and_says_why,
    an_approval_of_a_part_is_undone_and_one_with_a_remark_is_one,
    a_center_that_died_before_it_asked_asks_nobody,
    an_order_is_taken_once_and_never_after_it_was_undone,
    what_cannot_be_asked_for_is_not,
    a_gateway_that_makes_no_code_is_not_waited_for,
    money_under_the_number_of_a_card_payment_is_disputed,
    a_restored_center_takes_the_money_of_a_request_that_it_knows,
    a_restored_center_hands_a_request_that_it_forgot_to_a_person_and_its_kiosk_is_free,
    an_undoing_of_what_a_restored_center_forgot_is_handed_to_a_person,
    what_a_restored_center_undid_before_it_was_told_is_its_loss_and_its_kiosk_is_free,
    what_silence_undid_and_nobody_has_heard_is_taken_when_its_kiosk_tells_of_it,
    an_order_that_waited_in_a_backup_and_comes_to_nothing_is_handed_to_a_person,
    an_approval_that_nobody_decides_about_is_alarmed,
    a_gateway_that_never_voids_a_code_holds_nobodys_money_for_ever,
    a_number_that_its_reader_has_enciphered_is_never_open_here,
    kiosks_are_told_whether_the_acquirer_is_there_and_its_loss_is_alarmed,
);

fn cards_are_offered_only_while_the_acquirer_is_there(lab: &impl Lab) {
    let mut town = town(lab, false);
    let method = |response: Response| match response {
        Response::Quote(quote) => Ok(quote.read_unverified().unwrap().method),
        Response::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    };
    assert_eq!(method(town.quote_by(Method::Either)), Ok(Method::Cash));
    assert_eq!(method(town.quote_by(Method::Card)), Err(Refusal::Unavailable));
    town.center.acquirer.as_mut().unwrap().is_open = true;
    for wanted in [Method::Either, Method::Card, Method::Cash] {
        assert_eq!(method(town.quote_by(wanted)), Ok(wanted));
    }
    // The limits are of cash.
    town.center.rules.limits.per_payment = tenge(1_000);
    assert_eq!(method(town.quote_by(Method::Either)), Ok(Method::Card));
    assert_eq!(method(town.quote_by(Method::Cash)), Err(Refusal::Limit));
    // It went away after the quote: nobody is asked, and the number of the payment is used up.
    let quote = town.card_quote();
    town.center.acquirer.as_mut().unwrap().is_open = false;
    let order = town.order_of(&quote, &secret());
    let declined = CardAnswer::Declined { reason: DeclineReason::IssuerUnavailable, issuer: None };
    assert_eq!(town.order(&order), Answer::Ready(Response::Card(declined)));
    town.center.acquirer.as_mut().unwrap().is_open = true;
    assert_eq!(town.order(&order), Answer::Ready(Response::Card(CardAnswer::Voided)));
    town.audit();
}

fn a_payment_by_card_is_paid_when_its_kiosk_says_so_and_not_before(lab: &impl Lab) {
    let mut town = town(lab, true);
    let (payment, request) = town.asked();
    assert_eq!(town.enquire(payment), CardAnswer::Undecided);
    for (field, value) in [
        (de::NUMBER, concat!("5413", "3300", "8902", "0011").as_bytes()),
        (de::AMOUNT, b"000000432500"),
        (de::EXPIRY, b"3012"),
        (de::ENTRY, b"051"),
        (de::SEQUENCE, b"001"),
        (de::ACQUIRER, b"398001"),
        (de::TERMINAL, b"KSK00001"),
        (de::MERCHANT, b"KIOSKTEST000001"),
        (de::CURRENCY, b"398"),
        (de::PIN_BLOCK, &[0xA5; 8]),
        (de::PIN_KEY, b"FFFF9876543210E00001"),
    ] {
        assert_eq!(request.get(field), Some(value), "field {field}");
    }
    assert_eq!(request.get(de::TRACK2), None);
    let approved = town.decided(&request, b"00");
    let CardAnswer::Approved { outcome: signed, approval, issuer } = &approved else {
        panic!("{approved:?}")
    };
    assert_eq!((approval, &issuer.response_code), (b"A1B2C3", b"00"));
    assert_eq!((&issuer.authentication[..], &issuer.scripts[..]), (&[9; 10][..], &[0x72, 3, 0x86, 1, 0][..]));
    let Verdict::Accepted { token, remainder: None } = outcome(signed).verdict else { panic!("a code") };
    assert_eq!(token.read_unverified().unwrap().fee, tenge(FEE));
    // Enquired, after a restart too: the same bytes.
    let mut town = town.restart(lab);
    assert_eq!(town.enquire(payment), approved);
    assert!(town.errands().is_empty());
    town.notices();
    assert_eq!(town.code_state(&payment), Some(CodeState::Issued), "worth nothing before it is confirmed");
    assert_eq!((town.owed_by_cards(), town.ask(1, Request::Status(payment))), (0, Response::NoOutcome));
    town.audit();
    for _ in 0..2 {
        assert_eq!(town.card(Request::CardConfirm(payment)), CardAnswer::Confirmed);
        assert_eq!(town.card(void(payment)), CardAnswer::Confirmed, "what is confirmed stays so");
    }
    assert_eq!(town.owed_by_cards(), i64::try_from(tenge(FEE).tiyn()).unwrap());
    town.audit();
    assert_eq!(town.notices(), 1);
    assert_eq!(town.code_state(&payment), Some(CodeState::Paid));
    let advice = town.errands().remove(0);
    assert_eq!(advice.kind, MessageType::ADVICE);
    assert!(advice.get(de::PIN_BLOCK).is_none() && advice.get(de::CHIP).is_none());
    assert!(matches!(town.hear(&answer(&advice, b"00")), Said::Other(Heard::Settled(_))));
    let row = town.store.card(&payment).unwrap().unwrap();
    assert!(row.standing == Standing::Confirmed && row.sealed_number.is_empty() && row.words.is_none());
    assert!(
        matches!(town.ask(1, Request::Status(payment)), Response::Answered { outcome: kept, .. } if kept == *signed)
    );
    town.audit();
}

fn what_comes_to_nothing_is_void_first_and_reversed_then(lab: &impl Lab) {
    let mut town = town(lab, true);
    let (payment, request) = town.asked();
    town.decided(&request, b"00");
    town.gateway_down.set(true);
    assert_eq!(town.card(void(payment)), CardAnswer::Voided);
    assert_eq!(town.card(Request::CardConfirm(payment)), CardAnswer::Voided, "too late");
    for _ in 0..3 {
        town.notices();
        assert!(town.errands().is_empty(), "the code is not void yet");
    }
    let mut town = town.restart(lab);
    town.gateway_down.set(false);
    town.notices();
    assert_eq!(town.code_state(&payment), Some(CodeState::Void));
    let reversal = town.errands().remove(0);
    assert_eq!((reversal.kind, reversal.get(de::RESPONSE)), (MessageType::REVERSAL, Some(&b"17"[..])));
    town.now = town.now.plus_seconds(10);
    let again = town.errands().remove(0);
    assert_eq!(again.kind, MessageType::REVERSAL_REPEAT);
    assert!(matches!(town.hear(&answer(&again, b"00")), Said::Other(Heard::Settled(_))));
    assert_eq!(town.standing(&payment), Standing::Reversed);
    assert_eq!((town.owed_by_cards(), town.enquire(payment)), (0, CardAnswer::Voided));
    town.audit();
}

fn silence_is_undone_and_a_late_approval_changes_nothing(lab: &impl Lab) {
    let mut town = town(lab, true);
    let (payment, request) = town.asked();
    town.now = town.now.plus_seconds(59);
    assert!(town.errands().is_empty());
    assert_eq!(town.enquire(payment), CardAnswer::Undecided);
    town.now = town.now.plus_seconds(1);
    assert!(town.errands().is_empty(), "the code first");
    assert_eq!(town.enquire(payment), CardAnswer::Voided);
    assert!(matches!(town.hear(&answer(&request, b"00")), Said::Other(Heard::Late(_))));
    assert_eq!(town.card(Request::CardConfirm(payment)), CardAnswer::Voided);
    town.notices();
    let reversal = town.errands().remove(0);
    assert_eq!(reversal.get(de::RESPONSE), Some(&b"68"[..]));
    assert!(matches!(town.hear(&answer(&reversal, b"25")), Said::Other(Heard::Settled(_))));
    assert_eq!(town.code_state(&payment), Some(CodeState::Void));
    town.audit();
}

fn what_never_left_is_void_and_owed_to_nobody(lab: &impl Lab) {
    for undone in [false, true] {
        let mut town = town(lab, true);
        let (payment, request) = town.asked();
        let (told, standing) = if undone {
            assert_eq!(town.card(void(payment)), CardAnswer::Voided);
            (CardAnswer::Voided, Standing::Reversed)
        } else {
            let reason = DeclineReason::Technical;
            (CardAnswer::Declined { reason, issuer: None }, Standing::Declined)
        };
        let said = town.with(|center, store, at| center.not_sent(store, at, &payment));
        assert_eq!(said, Response::Card(told.clone()));
        let mut town = town.restart(lab);
        town.notices();
        assert_eq!((town.standing(&payment), town.code_state(&payment)), (standing, Some(CodeState::Void)));
        assert!(town.store.card(&payment).unwrap().unwrap().sealed_number.is_empty());
        town.now = town.now.plus_seconds(3_600);
        assert!(town.errands().is_empty(), "no reversal of what nobody has heard");
        assert_eq!((town.card(Request::CardConfirm(payment)), town.enquire(payment)), (told.clone(), told));
        // Whatever a host says to it.
        assert!(matches!(town.hear(&answer(&request, b"00")), Said::Other(Heard::Late(_))));
        assert_eq!((town.standing(&payment), town.owed_by_cards()), (standing, 0));
        town.audit();
    }
    // Heard and held: a word that comes too late changes nothing.
    let mut town = town(lab, true);
    let (payment, request) = town.asked();
    town.decided(&request, b"00");
    town.with(|center, store, at| center.not_sent(store, at, &payment));
    assert_eq!(town.standing(&payment), Standing::Approved);
    town.audit();
}

/// The center died with the row written and the request still in the house, maybe because a security module was about to refuse its PIN block:
/// what never left is undone like what was never answered, and an acquirer that has not heard of it ends that.
fn a_request_that_died_with_its_center_comes_to_rest(lab: &impl Lab) {
    for code in [b"00", b"21", b"25"] {
        let mut town = town(lab, true);
        let (payment, _) = town.asked();
        let mut town = town.restart(lab);
        town.now = town.now.plus_seconds(61);
        assert!(town.errands().is_empty(), "the code first");
        town.notices();
        let reversal = town.errands().remove(0);
        assert_eq!((reversal.kind, reversal.get(de::RESPONSE)), (MessageType::REVERSAL, Some(&b"68"[..])));
        assert!(reversal.get(de::PIN_BLOCK).is_none(), "it has nothing that a module could refuse");
        assert!(matches!(town.hear(&answer(&reversal, code)), Said::Other(Heard::Settled(_))));
        let mut town = town.restart(lab);
        town.now = town.now.plus_seconds(86_400);
        assert!(town.errands().is_empty() && town.notices() == 0, "nothing is owed any more");
        assert_eq!(
            (town.standing(&payment), town.code_state(&payment)),
            (Standing::Reversed, Some(CodeState::Void))
        );
        assert_eq!((town.owed_by_cards(), town.enquire(payment)), (0, CardAnswer::Voided));
        assert_eq!(town.alarms(), [""; 0]);
        town.audit();
    }
}

fn a_decline_voids_the_code_and_says_why(lab: &impl Lab) {
    let mut town = town(lab, true);
    for (code, reason) in [
        (b"55", DeclineReason::WrongPin),
        (b"51", DeclineReason::Funds),
        (b"91", DeclineReason::IssuerUnavailable),
    ] {
        let (payment, request) = town.asked();
        let declined = town.decided(&request, code);
        let CardAnswer::Declined { reason: said, issuer: Some(words) } = &declined else {
            panic!("{declined:?}")
        };
        assert_eq!((*said, &words.response_code), (reason, code));
        town.notices();
        assert_eq!(town.code_state(&payment), Some(CodeState::Void));
        let mut again = town.restart(lab);
        assert_eq!(again.enquire(payment), declined);
        assert_eq!(again.card(Request::CardConfirm(payment)), declined);
        assert_eq!(again.card(void(payment)), declined);
        assert!(again.errands().is_empty());
        again.audit();
        town = again;
    }
}

fn an_approval_of_a_part_is_undone_and_one_with_a_remark_is_one(lab: &impl Lab) {
    let mut town = town(lab, true);
    for code in [b"00", b"08", b"11", b"16"] {
        let (payment, request) = town.asked();
        assert!(matches!(town.decided(&request, code), CardAnswer::Approved { .. }), "{code:?}");
        assert_eq!(town.standing(&payment), Standing::Approved);
        town.card(void(payment));
    }
    town.notices();
    for message in town.errands() {
        town.hear(&answer(&message, b"00"));
    }
    // A part, as the issuer says it, and as the sum says it.
    for (code, sum) in [(b"10", 2_000), (b"00", 4_324)] {
        let (payment, request) = town.asked();
        let mut said = answer(&request, code);
        said.set_amount(tenge(sum)).unwrap();
        let Said::Decided(_, Response::Card(told)) = town.hear(&said) else { panic!("a decision") };
        let CardAnswer::Declined { reason: DeclineReason::Funds, issuer } = &told else { panic!("{told:?}") };
        assert_eq!(issuer.is_some(), code == b"10", "no chip hears an approval of what is undone");
        assert_eq!((town.standing(&payment), town.enquire(payment)), (Standing::Reversing, told.clone()));
        assert!(town.errands().is_empty(), "the code is void first");
        assert!(matches!(town.card(Request::CardConfirm(payment)), CardAnswer::Declined { .. }));
        // After a restart too.
        town = town.restart(lab);
        town.notices();
        assert_eq!(town.code_state(&payment), Some(CodeState::Void));
        let reversal = town.errands().remove(0);
        assert_eq!(reversal.kind, MessageType::REVERSAL);
        assert_eq!(reversal.amount(), Some(tenge(FEE)), "all that was asked for");
        assert!(matches!(town.hear(&answer(&reversal, b"00")), Said::Other(Heard::Settled(_))));
        // At the end the issuer's words are gone.
        let told = CardAnswer::Declined { reason: DeclineReason::Funds, issuer: None };
        assert_eq!((town.standing(&payment), town.enquire(payment)), (Standing::Reversed, told));
    }
    assert_eq!(town.owed_by_cards(), 0);
    town.audit();
}

fn a_center_that_died_before_it_asked_asks_nobody(lab: &impl Lab) {
    let mut town = town(lab, true);
    let quote = town.card_quote();
    let order = town.order_of(&quote, &secret());
    let Answer::Order(payment) = town.order(&order) else { panic!("it is taken") };
    let mut town = town.restart(lab);
    assert_eq!(town.enquire(payment), CardAnswer::Undecided);
    assert!(matches!(town.code_for(&order, false), Next::Wait), "another process may have it");
    town.notices();
    assert_eq!(town.code_state(&payment), Some(CodeState::Issued), "not by the way of cash");
    assert_eq!(town.enquire(payment), CardAnswer::Undecided);
    assert!(matches!(
        town.code_for(&order, false),
        Next::Answer(Response::Card(CardAnswer::Declined { .. }))
    ));
    assert!(town.store.card(&payment).unwrap().is_none());
    town.notices();
    assert_eq!(
        (town.code_state(&payment), town.enquire(payment)),
        (Some(CodeState::Void), CardAnswer::Voided)
    );
    town.audit();
}

fn an_order_is_taken_once_and_never_after_it_was_undone(lab: &impl Lab) {
    let mut town = town(lab, true);
    let quote = town.card_quote();
    let order = town.order_of(&quote, &secret());
    let Answer::Order(payment) = town.order(&order) else { panic!("it is taken") };
    let undecided = Answer::Ready(Response::Card(CardAnswer::Undecided));
    assert_eq!(town.order(&order), undecided);
    let Next::Ask(request) = town.code_for(&order, true) else { panic!("the issuer is asked") };
    assert!(matches!(town.code_for(&order, true), Next::Answer(Response::Card(CardAnswer::Undecided))));
    assert_eq!(town.order(&order), undecided);
    let approved = town.decided(&request, b"00");
    assert_eq!(town.order(&order), Answer::Ready(Response::Card(approved)));
    assert_eq!(town.store.last_trace().unwrap(), 1, "one request");
    assert_eq!(town.store.card(&payment).unwrap().unwrap().request.trace, 1);

    // Undone while its code is made.
    let quote = town.card_quote();
    let order = town.order_of(&quote, &secret());
    let Answer::Order(payment) = town.order(&order) else { panic!("it is taken") };
    assert_eq!(town.card(void(payment)), CardAnswer::Voided);
    assert!(matches!(town.code_for(&order, true), Next::Answer(Response::Card(CardAnswer::Voided))));
    town.notices();
    assert_eq!(town.code_state(&payment), Some(CodeState::Void));

    // Undone before it came, with and without a quote.
    let quote = town.card_quote();
    let order = town.order_of(&quote, &secret());
    let payment = quote.read_unverified().unwrap().payment;
    assert_eq!(town.enquire(payment), CardAnswer::Unknown);
    assert_eq!(town.card(void(payment)), CardAnswer::Voided);
    assert_eq!(town.order(&order), Answer::Ready(Response::Card(CardAnswer::Voided)));
    let unheard = town.next_id(1);
    assert_eq!(town.enquire(unheard), CardAnswer::Unknown);
    assert_eq!(town.card(void(unheard)), CardAnswer::Voided);
    town.audit();
}

fn what_cannot_be_asked_for_is_not(lab: &impl Lab) {
    let mut town = town(lab, true);
    let technical = Answer::Ready(Response::Card(CardAnswer::Declined {
        reason: DeclineReason::Technical,
        issuer: None,
    }));
    type Spoil = fn(&mut CardOrder);
    let spoiled: [Spoil; 4] = [
        |order| order.sealed = SealedCard(order.sealed.0, heapless::Vec::new()),
        |order| order.terminal = [7; 8],
        |order| order.merchant = [0; 15],
        // The number of the card, where nobody looks for it.
        |order| order.chip_data.extend_from_slice(&[0x5A, 2, 0x54, 0x13]).unwrap(),
    ];
    for spoil in spoiled {
        let quote = town.card_quote();
        let mut order = town.order_of(&quote, &secret());
        spoil(&mut order);
        assert_eq!(town.order(&order), technical);
    }
    let session = CardSecret {
        pin: Some((PinBlock::new([1; 8]), PinKey::Session(KeySlot::new(b'0').unwrap(), [2; 16]))),
        ..secret()
    };
    let quote = town.card_quote();
    let order = town.order_of(&quote, &session);
    assert_eq!(town.order(&order), technical);
    assert_eq!(town.alarms(), ["suspect-card"; 5]);
    // Sealed for another payment.
    let (one, other) = (town.card_quote(), town.card_quote());
    let sealed = town.order_of(&one, &secret()).sealed;
    let order = CardOrder { sealed, ..town.order_of(&other, &secret()) };
    assert_eq!(town.order(&order), technical);
    // No quote of ours, one without cards, notes in it, or not to pay.
    let refused = |refusal| Answer::Ready(Response::Refused(refusal));
    let quote = town.card_quote();
    let order = town.order_of(&quote, &secret());
    let payment = quote.read_unverified().unwrap().payment;
    for (kind, with, notes, refusal) in [
        (DepositKind::Pay, None, &[][..], Refusal::NotYours),
        (DepositKind::Pay, Some(&other), &[], Refusal::NotYours),
        (DepositKind::Pay, Some(&quote), &[500], Refusal::Malformed),
        (DepositKind::Hold(HoldReason::Stopped), Some(&quote), &[], Refusal::Malformed),
    ] {
        let deposit = town.deposit(payment, kind, with, Some(ANNA), notes);
        assert_eq!(town.order(&CardOrder { deposit, ..order.clone() }), refused(refusal));
    }
    let Response::Quote(cash) = town.quote_by(Method::Cash) else { panic!("a quote") };
    let for_cash = town.order_of(&cash, &secret());
    assert_eq!(town.order(&for_cash), refused(Refusal::Malformed));
    // Somebody else's.
    let strange = Request::CardEnquire(payment);
    assert_eq!(town.ask(2, strange), Response::Refused(Refusal::NotYours));
    assert_eq!(town.ask(2, void(payment)), Response::Refused(Refusal::NotYours));
    assert_eq!(town.ask(2, Request::CardConfirm(payment)), Response::Refused(Refusal::NotYours));
    assert_eq!(town.ask(2, Request::Authorize(order.clone())), Response::Refused(Refusal::NotYours));
    // And a good one is still taken, though not a day later.
    let late = town.card_quote();
    assert!(matches!(town.order(&order), Answer::Order(_)));
    town.now = town.now.plus_seconds(86_400);
    let order = town.order_of(&late, &secret());
    assert_eq!(town.order(&order), technical);
    town.audit();
}

fn a_gateway_that_makes_no_code_is_not_waited_for(lab: &impl Lab) {
    let mut town = town(lab, true);
    town.gateway_down.set(true);
    let quote = town.card_quote();
    let order = town.order_of(&quote, &secret());
    let Answer::Order(payment) = town.order(&order) else { panic!("it is taken") };
    assert!(matches!(town.code_for(&order, true), Next::Wait));
    town.now = town.now.plus_seconds(21);
    let Next::Answer(Response::Card(CardAnswer::Declined { reason, .. })) = town.code_for(&order, true)
    else {
        panic!("a decline")
    };
    assert_eq!((reason, town.enquire(payment)), (DeclineReason::Technical, CardAnswer::Voided));
    // It may have been made all the same, so it is asked for and made void.
    town.gateway_down.set(false);
    assert!(matches!(town.code_for(&order, true), Next::Answer(Response::Card(CardAnswer::Voided))));
    town.notices();
    assert_eq!(town.code_state(&payment), Some(CodeState::Void));
    // Refused for good.
    let quote = town.card_quote();
    let order = town.order_of(&quote, &secret());
    let (Answer::Order(payment), draft) = (town.order(&order), town.center.draft(&order)) else {
        panic!("taken")
    };
    let next = town.with(|center, store, at| {
        center.card_code(store, at, &payment, &Reply::Refused("no".into()), draft.as_ref())
    });
    assert!(matches!(next, Next::Answer(Response::Card(CardAnswer::Declined { .. }))));
    assert_eq!(town.enquire(payment), CardAnswer::Voided);
    assert_eq!(town.alarms(), ["code-refused"]);
    town.audit();
}

fn money_under_the_number_of_a_card_payment_is_disputed(lab: &impl Lab) {
    let mut town = town(lab, true);
    let (payment, request) = town.asked();
    let quote = town.store.payment(&payment).unwrap().unwrap().quote.unwrap();
    let notes = town.deposit(payment, DepositKind::Pay, Some(&quote), Some(ANNA), &[5_000]);
    assert_eq!(town.ask(1, Request::Commit(notes.clone())), Response::Refused(Refusal::IdConflict));
    town.decided(&request, b"00");
    town.card(Request::CardConfirm(payment));
    assert_eq!(town.ask(1, Request::Commit(notes)), Response::Refused(Refusal::IdConflict));
    assert_eq!(town.alarms(), ["id-conflict"]);
    assert_eq!(town.store.alarms().unwrap()[0].disputed, tenge(5_000));
    // The order itself is no deposit of cash.
    let quote = town.card_quote();
    let order = town.order_of(&quote, &secret());
    assert!(matches!(town.order(&order), Answer::Order(_)));
    assert_eq!(town.ask(1, Request::Commit(order.deposit.clone())), Response::Refused(Refusal::Malformed));
    // And cash is not undone by a word about cards.
    let cash = town.quote(1, "marriage", ANNA, None);
    let paid = cash.read_unverified().unwrap().payment;
    town.pay(&cash, ANNA, &[5_000]);
    assert_eq!(town.ask(1, void(paid)), Response::Refused(Refusal::IdConflict));
    town.audit();
}

/// The order of a card payment that is asked for, and the request.
fn ordered<S: Transact>(town: &mut Town<S>) -> (CardOrder, PaymentId, Message) {
    let quote = town.card_quote();
    let order = town.order_of(&quote, &secret());
    let Answer::Order(payment) = town.order(&order) else { panic!("an order that is taken") };
    let Next::Ask(message) = town.code_for(&order, true) else { panic!("the issuer is asked") };
    (order, payment, message)
}

fn a_restored_center_takes_the_money_of_a_request_that_it_knows(lab: &impl Lab) {
    for heard in [true, false] {
        let mut town = town(lab, true);
        let (order, payment, request) = ordered(&mut town);
        let before = town.with(|_, store, _| store.card(&payment)).unwrap();
        let CardAnswer::Approved { outcome, .. } = town.decided(&request, b"00") else { panic!("approved") };
        if !heard {
            // The backup was made while the answer was on its way.
            town.with(|_, store, _| store.put_card(&before));
            town.now = town.now.plus_seconds(120);
            town.with(|_, store, at| rebuild::begin(store, at.now, at.fresh));
            assert!(town.errands().is_empty(), "nothing is undone before its kiosk was heard");
            town.with(|_, store, _| store.set_rebuilding(None));
        }
        assert_eq!(
            town.ask(1, Request::Recall { deposit: order.deposit.clone(), outcome }),
            Response::Recalled
        );
        assert_eq!(town.standing(&payment), Standing::Confirming, "the answer was heard: {heard}");
        assert_eq!(town.card(Request::CardConfirm(payment)), CardAnswer::Confirmed);
        let advice = town.errands().remove(0);
        assert!(matches!(town.hear(&answer(&advice, b"00")), Said::Other(Heard::Settled(_))));
        assert_eq!(town.owed_by_cards(), i64::try_from(tenge(FEE).tiyn()).unwrap());
        assert_eq!(town.alarms(), [""; 0]);
        town.audit();
    }
}

fn a_restored_center_hands_a_request_that_it_forgot_to_a_person_and_its_kiosk_is_free(lab: &impl Lab) {
    let mut lost = town(lab, true);
    let (order, payment, request) = ordered(&mut lost);
    let CardAnswer::Approved { outcome, .. } = lost.decided(&request, b"00") else { panic!("approved") };
    let mut town = town(lab, true);
    assert_eq!(town.enquire(payment), CardAnswer::Unknown);
    assert_eq!(town.ask(1, Request::Recall { deposit: order.deposit, outcome }), Response::Recalled);
    assert_eq!(town.card(Request::CardConfirm(payment)), CardAnswer::Confirmed);
    assert_eq!(town.alarms(), ["card-recalled"]);
    assert_eq!(town.owed_by_cards(), i64::try_from(tenge(FEE).tiyn()).unwrap());
    town.audit();
}

fn an_undoing_of_what_a_restored_center_forgot_is_handed_to_a_person(lab: &impl Lab) {
    let mut lost = town(lab, true);
    let (payment, request) = lost.asked();
    lost.decided(&request, b"00");
    let mut town = town(lab, true);
    for _ in 0..2 {
        assert_eq!(town.card(void(payment)), CardAnswer::Voided, "its kiosk is free");
        assert_eq!(town.alarms(), ["card-recalled"], "the issuer may still hold the money");
    }
    // One that was quoted and never asked for holds nothing. (The number that was forgotten is used up.)
    town.next_id(1);
    let quoted = town.card_quote().read_unverified().unwrap().payment;
    assert_eq!(town.card(void(quoted)), CardAnswer::Voided);
    assert_eq!(town.alarms(), ["card-recalled"]);
    // But a backup may be made between a quote and what was asked after it: a restored center does not know that, neither while it listens nor
    // when it was opened without this kiosk.
    let quoted = [(); 2].map(|()| town.card_quote().read_unverified().unwrap().payment);
    town.now = town.now.plus_seconds(60);
    let now = town.now;
    town.with(|_, store, at| rebuild::begin(store, now, at.fresh));
    for (told, late) in [false, true].into_iter().enumerate() {
        if late {
            town.with(|_, store, _| store.set_rebuilding(None));
            town.now = town.now.plus_seconds(86_400);
        }
        for _ in 0..2 {
            assert_eq!(town.card(void(quoted[told])), CardAnswer::Voided, "its kiosk is free");
            assert_eq!(town.alarms(), vec!["card-recalled"; told + 2], "once for each");
        }
    }
    // What was quoted in this life and undone was never asked for.
    let quoted = town.card_quote().read_unverified().unwrap().payment;
    let mut town = town.restart(lab);
    assert_eq!(town.card(void(quoted)), CardAnswer::Voided);
    assert_eq!(town.alarms().len(), 3);
    town.audit();
}

/// What the outbox says of codes, and whether the gateway has taken it.
fn words<S: Transact>(town: &Town<S>) -> Vec<(NoticeKind, bool)> {
    let mut words = Vec::new();
    town.store.each_notice(&mut |row| words.push((row.kind, row.taken_at.is_some()))).unwrap();
    words
}

fn what_a_restored_center_undid_before_it_was_told_is_its_loss_and_its_kiosk_is_free(lab: &impl Lab) {
    // The code is void and its reversal is said, or is about to be; or somebody's word has undone it and the gateway does not void its code.
    for (by_word, is_void, said) in [(false, true, true), (false, true, false), (true, false, false)] {
        let mut town = town(lab, true);
        let (order, payment, request) = ordered(&mut town);
        let before = town.with(|_, store, _| store.card(&payment)).unwrap();
        let CardAnswer::Approved { outcome, .. } = town.decided(&request, b"00") else { panic!("approved") };
        if by_word {
            assert_eq!(town.card(void(payment)), CardAnswer::Voided);
        } else {
            // The backup was made while the answer was on its way, and its kiosk comes only after the answer is overdue.
            town.with(|_, store, _| store.put_card(&before));
            town.now = town.now.plus_seconds(120);
        }
        town.errands();
        if is_void {
            assert_eq!(town.notices(), 1);
        }
        if said {
            assert_eq!(town.errands().len(), 1);
        }
        assert_eq!(town.standing(&payment), Standing::Reversing);
        assert_eq!(town.card(Request::CardConfirm(payment)), CardAnswer::Voided);
        assert_eq!(town.ask(1, Request::Recall { deposit: order.deposit, outcome }), Response::Recalled);
        assert_eq!(town.card(Request::CardConfirm(payment)), CardAnswer::Confirmed, "its code is out");
        assert_eq!(town.standing(&payment), Standing::Reversing, "the money goes back");
        assert_eq!(town.owed_by_cards(), 0, "no acquirer owes it");
        assert_eq!(town.alarms(), ["card-loss"]);
        let told = [(NoticeKind::Void, true), (NoticeKind::Paid, false)];
        assert_eq!(
            words(&town),
            told[usize::from(!is_void)..],
            "nobody is told that a code is void which is out"
        );
        town.now = town.now.plus_seconds(60);
        let reversal = town.errands().remove(0);
        assert!(matches!(town.hear(&answer(&reversal, b"00")), Said::Other(Heard::Settled(_))));
        assert_eq!(town.notices(), 1);
        town.audit();
    }
}

/// The reversal waits for the gateway, which does not void what it has as paid: so nobody has heard of the undoing when the kiosk comes.
fn what_silence_undid_and_nobody_has_heard_is_taken_when_its_kiosk_tells_of_it(lab: &impl Lab) {
    for is_paid in [true, false] {
        let mut town = town(lab, true);
        let (order, payment, request) = ordered(&mut town);
        let before = town.with(|_, store, _| store.card(&payment)).unwrap();
        let CardAnswer::Approved { outcome, .. } = town.decided(&request, b"00") else { panic!("approved") };
        town.with(|_, store, _| store.put_card(&before));
        town.now = town.now.plus_seconds(120);
        town.errands();
        assert_eq!(
            (town.standing(&payment), words(&town)),
            (Standing::Reversing, vec![(NoticeKind::Void, false)])
        );
        let under_way = town.with(|center, store, at| center.notices_due(store, at.now)).remove(0);
        if is_paid {
            town.with(|_, store, at| {
                let row = store.code_of(&payment)?.unwrap();
                store.put_code(&CodeRow { state: CodeState::Paid, paid_at: Some(at.now), ..row })
            });
            let silent = Reply::Silent("it is paid".into());
            let told = (under_way.id, under_way.kind);
            town.with(|center, store, at| center.notice_answered(store, at, told, &silent));
        }
        let mut town = town.restart(lab);
        let recall = Request::Recall { deposit: order.deposit, outcome };
        for _ in 0..2 {
            assert_eq!(town.ask(1, recall.clone()), Response::Recalled);
            assert_eq!(town.card(Request::CardConfirm(payment)), CardAnswer::Confirmed);
            assert_eq!(town.standing(&payment), Standing::Confirming, "paid there: {is_paid}");
            // Nor does a late reply to the other word close this one.
            let (told, done) = ((under_way.id, under_way.kind), Reply::Done(()));
            town.with(|center, store, at| center.notice_answered(store, at, told, &done));
            assert_eq!(
                words(&town),
                [(NoticeKind::Paid, false)],
                "the gateway hears nothing else of its code"
            );
        }
        assert_eq!(town.owed_by_cards(), i64::try_from(tenge(FEE).tiyn()).unwrap());
        assert_eq!(town.notices(), 1);
        assert_eq!(town.code_state(&payment), Some(CodeState::Paid));
        let advice = town.errands().remove(0);
        assert_eq!((advice.kind, advice.get(de::RESPONSE)), (MessageType::ADVICE, None));
        assert!(matches!(town.hear(&answer(&advice, b"00")), Said::Other(Heard::Settled(_))));
        assert_eq!(town.alarms(), [""; 0]);
        town.audit();
    }
}

/// The lost life may have had the code and the issuer's yes for it; this one says to its kiosk that it came to nothing.
fn an_order_that_waited_in_a_backup_and_comes_to_nothing_is_handed_to_a_person(lab: &impl Lab) {
    let made = Made {
        code: PaymentCode::from_random(3),
        valid_until: noon().plus_seconds(30 * 86_400),
        is_paid: false,
    };
    let replies = [
        None,
        Some(Reply::Done(made)),
        Some(Reply::Silent("no answer".into())),
        Some(Reply::Refused("its code was made before and is void".into())),
    ];
    for (reply, restored) in replies.iter().flat_map(|reply| [true, false].map(|restored| (reply, restored)))
    {
        let mut town = town(lab, true);
        let quote = town.card_quote();
        let order = town.order_of(&quote, &secret());
        let Answer::Order(payment) = town.order(&order) else { panic!("an order that is taken") };
        town.now = town.now.plus_seconds(61);
        if restored {
            town.with(|_, store, at| rebuild::begin(store, at.now, at.fresh));
            town.with(|_, store, _| store.set_rebuilding(None));
        }
        let mut town = town.restart(lab);
        if let Some(reply) = reply {
            let next = town.with(|center, store, at| center.card_code(store, at, &payment, reply, None));
            assert!(matches!(next, Next::Answer(Response::Card(CardAnswer::Declined { .. }))));
        }
        for _ in 0..2 {
            assert_eq!(town.card(void(payment)), CardAnswer::Voided, "its kiosk is free");
            let told = town.alarms().into_iter().filter(|kind| kind == "card-recalled").count();
            assert_eq!(told, usize::from(restored), "{reply:?}");
        }
        town.audit();
    }
}

fn an_approval_that_nobody_decides_about_is_alarmed(lab: &impl Lab) {
    let mut town = town(lab, true);
    let (_, request) = town.asked();
    town.decided(&request, b"00");
    for (after, wanted) in [(3_599, 0), (1, 1), (3_600, 1)] {
        town.now = town.now.plus_seconds(after);
        town.with(|center, store, at| center.card_alarms(store, at));
        assert_eq!(town.alarms(), vec!["card-undecided"; wanted]);
    }
    // And one whose number cannot be read any more is told to people.
    let (payment, request) = town.asked();
    town.decided(&request, b"00");
    town.card(Request::CardConfirm(payment));
    town.with(|_, store, _| {
        let mut row = store.card(&payment)?.unwrap();
        row.sealed_number[20] ^= 1;
        store.put_card(&row)
    });
    assert!(town.errands().is_empty());
    assert_eq!(town.alarms(), ["card-undecided", "card-number-lost"]);
    assert_eq!(Amount::from_tiyn(u64::try_from(town.owed_by_cards()).unwrap()), tenge(FEE));
}

fn a_gateway_that_never_voids_a_code_holds_nobodys_money_for_ever(lab: &impl Lab) {
    let mut town = town(lab, true);
    let (payment, request) = town.asked();
    town.decided(&request, b"00");
    assert_eq!(town.card(void(payment)), CardAnswer::Voided);
    let refused = |town: &mut Town<_>| {
        let due = town.with(|center, store, at| center.notices_due(store, at.now));
        assert_eq!(due.len(), 1, "it is still owed");
        let reply = Reply::Refused("not permitted".into());
        town.with(|center, store, at| center.notice_answered(store, at, (due[0].id, due[0].kind), &reply));
    };
    // Repeated for a day, and the code comes first.
    for _ in 0..4 {
        refused(&mut town);
        assert!(town.errands().is_empty());
        town.now = town.now.plus_seconds(6 * 3_600);
    }
    let mut town = town.restart(lab);
    refused(&mut town);
    let reversal = town.errands().remove(0);
    assert_eq!(reversal.kind, MessageType::REVERSAL);
    assert!(matches!(town.hear(&answer(&reversal, b"00")), Said::Other(Heard::Settled(_))));
    // The gateway is still told, and somebody looks, once.
    town.now = town.now.plus_seconds(600);
    refused(&mut town);
    assert!(town.errands().is_empty());
    let alarms = town.store.alarms().unwrap();
    assert_eq!(alarms.iter().filter(|alarm| alarm.kind == "code-not-void").count(), 1);
    assert_eq!((town.owed_by_cards(), town.enquire(payment)), (0, CardAnswer::Voided));
}

fn a_number_that_its_reader_has_enciphered_is_never_open_here(lab: &impl Lab) {
    let sealed = SealedNumber { serial: KeySerial(SERIAL), cipher: [0xC5; 24] };
    let card = || CardSecret { number: SecretNumber::Sealed(sealed), ..secret() };
    let mut town = town(lab, true);
    let quote = town.card_quote();
    let order = town.order_of(&quote, &card());
    let Answer::Order(payment) = town.order(&order) else { panic!("an order that is taken") };
    let Next::Ask(request) = town.code_for(&order, true) else { panic!("the issuer is asked") };
    let named = |message: &Message| {
        assert!(message.get(de::NUMBER).is_none());
        message.get(de::SEALED_NUMBER).map(|text| String::from_utf8_lossy(text).into_owned())
    };
    let digits = format!("{}{}", HEXUPPER.encode(&SERIAL), "C5".repeat(24));
    assert_eq!(named(&request), Some(digits.clone()));
    let kept = town.store.card(&payment).unwrap().unwrap().sealed_number;
    assert!(!kept.windows(4).any(|part| part == [0xC5; 4]), "kept under a key of ours all the same");
    town.decided(&request, b"00");
    assert_eq!(town.card(Request::CardConfirm(payment)), CardAnswer::Confirmed);
    let advice = town.errands().remove(0);
    assert_eq!((advice.kind, named(&advice)), (MessageType::ADVICE, Some(digits)));
    // The security module is away: said again, and after some minutes a person hears of it, once.
    for tries in 1..10 {
        town.with(|center, store, at| center.card_errand_failed(store, at, &advice, "no module"));
        let told = town.store.alarms().unwrap().iter().filter(|alarm| alarm.kind == "card-message").count();
        assert_eq!(told, usize::from(tries >= 6), "after {tries}");
        town.now = town.now.plus_seconds(600);
        town.errands();
    }
    assert!(matches!(town.hear(&answer(&advice, b"00")), Said::Other(Heard::Settled(_))));
    assert!(town.store.card(&payment).unwrap().unwrap().sealed_number.is_empty());
    // Where nobody can open it nobody is asked.
    town.center.acquirer.as_mut().unwrap().takes_sealed = false;
    let quote = town.card_quote();
    let order = town.order_of(&quote, &card());
    let reason = DeclineReason::Technical;
    let declined = CardAnswer::Declined { reason, issuer: None };
    assert_eq!(town.order(&order), Answer::Ready(Response::Card(declined)));
    town.audit();
}

fn kiosks_are_told_whether_the_acquirer_is_there_and_its_loss_is_alarmed(lab: &impl Lab) {
    let mut town = town(lab, false);
    for open in [false, true, false] {
        town.center.acquirer.as_mut().unwrap().is_open = open;
        let clock = town.now;
        assert_eq!(town.ask(1, Request::CardService), Response::CardService { clock, open });
        for takes in [false, true] {
            town.center.acquirer.as_mut().unwrap().takes_sealed = takes;
            let open = open && takes;
            assert_eq!(town.ask(1, Request::SealedCardService), Response::CardService { clock, open });
        }
    }
    town.center.acquirer = None;
    assert!(matches!(town.ask(1, Request::CardService), Response::CardService { open: false, .. }));
    let mut watch = LineWatch::default();
    let mut told = |seconds: u32, open| (0..seconds).filter(|_| watch.tick(open)).count();
    assert_eq!(told(299, false), 0);
    assert_eq!(told(1, true), 0, "it came back in time");
    assert_eq!(told(299, false), 0);
    assert_eq!(told(10_000, false), 1, "once for each time it goes away");
    assert_eq!((told(1, true), told(300, false)), (0, 1));
    town.with(|center, store, at| center.acquirer_lost(store, at));
    assert!(town.store.alarms().unwrap().iter().any(|alarm| alarm.kind == "acquirer-lost"));
}
