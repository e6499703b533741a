//! Card payments in the journal of a dead kiosk: each gets the end that its kiosk would have given it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod card_town;
mod common;

use card_town::*;
use common::*;
use tolem_center::logic::{
    Answer,
    acquirer::{Acquiring as _, Standing},
    approval::Effect,
    card_office::waits_for_a_person,
    cards::Next,
    office::Action,
    rescue::{CardEnd, Reading, Rescue, Rescued},
    store::{CodeState, Store as _, Transact},
};
use tolem_protocol::{
    KioskNumber, PaymentId,
    card::{CardAnswer, CardMark, CardOrder, CardStep, ChipEvidence, DeclineReason, VoidReason},
    iso8583::MessageType,
    messages::{Outcome, Request, Response},
    record::{Fact, Paper, PrintFault, Record},
    signed::Signed,
};

on_all_stores!(
    what_a_journal_owes_for_a_card_is_done,
    an_approval_that_nobody_has_seen_is_undone_and_one_on_paper_is_confirmed,
    what_was_never_heard_here_cannot_be_asked_for_any_more,
    a_journal_that_lacks_its_end_decides_nothing,
    a_restored_center_learns_of_a_card_from_the_journal,
    a_printed_code_that_the_center_had_undone_is_paid_as_for_its_kiosk,
    a_journal_that_contradicts_the_center_points_to_what_can_be_done,
);

/// A payment up to the bank's answer, as its kiosk has it.
struct Paying {
    order: CardOrder,
    payment: PaymentId,
    outcome: Signed<Outcome>,
}

fn approved<S: Transact>(town: &mut Town<S>) -> Paying {
    let quote = town.card_quote();
    let order = town.order_of(&quote, &secret());
    let Answer::Order(payment) = town.order(&order) else { panic!("an order that is taken") };
    let Next::Ask(request) = town.code_for(&order, true) else { panic!("the issuer is asked") };
    let CardAnswer::Approved { outcome, .. } = town.decided(&request, b"00") else { panic!("approved") };
    Paying { order, payment, outcome }
}

fn sent(order: &CardOrder) -> Fact {
    let mark = CardMark {
        last_four: [0, 0, 1, 1],
        application: heapless::Vec::new(),
        label: heapless::String::new(),
        amount: tenge(FEE),
        pin: true,
    };
    Fact::AuthorizeSent { deposit: order.deposit.clone(), card: mark }
}

fn step(payment: PaymentId, step: CardStep) -> Fact {
    Fact::Card { payment, step }
}

fn agreed(paying: &Paying) -> Vec<Fact> {
    let evidence = ChipEvidence { tvr: [0; 5], tsi: [0; 2], cryptogram: heapless::Vec::new() };
    vec![
        sent(&paying.order),
        step(paying.payment, CardStep::Authorized { approval: *b"A1B2C3", evidence }),
        Fact::Settled { outcome: paying.outcome.clone() },
    ]
}

fn receipt(payment: PaymentId) -> Fact {
    Fact::PrintOrdered { print: 1, payment, paper: Paper::Receipt, copy: false }
}

/// What the journal with these facts tells.
fn journal<S>(town: &Town<S>, facts: &[Fact], missing: u64) -> Rescue {
    let mut reading = Reading::default();
    for (seq, fact) in (0..).zip(facts) {
        let record = Record { seq, boot: 1, mono_ms: seq, utc: town.now, fact: fact.clone() };
        reading.record(&record).unwrap();
    }
    reading.end(KioskNumber::new(1).unwrap(), facts.len() as u64, [7; 32], missing)
}

/// Two people take it in; what the center knows is left out before.
fn imported<S: Transact>(town: &mut Town<S>, facts: &[Fact], missing: u64) -> Rescued {
    let told = journal(town, facts, missing);
    let rescue = town.center.sift(&town.store, told).unwrap();
    let (aigul, bolat) = (two::pen("aigul"), two::pen("bolat"));
    for pen in [&aigul, &bolat] {
        let _ = two::ask(town, pen, &two::add(pen));
    }
    let action = Action::ImportJournal(rescue);
    assert_eq!(Action::from_bytes(&action.to_bytes()), Some(action.clone()));
    let asked = two::ask(town, &aigul, &action).unwrap();
    let tolem_center::logic::approval::Asked::Waits(number) = asked else { panic!("{asked:?}") };
    match two::approve(town, &bolat, number).unwrap() {
        Effect::Journal(done) => done,
        other => panic!("{other:?}"),
    }
}

fn fee() -> i64 {
    i64::try_from(tenge(FEE).tiyn()).unwrap()
}

fn what_a_journal_owes_for_a_card_is_done(lab: &impl Lab) {
    for take in [true, false] {
        let mut town = town(lab, true);
        let paying = approved(&mut town);
        let owed = if take { CardStep::ConfirmOwed } else { CardStep::ReversalOwed(VoidReason::Abandoned) };
        let facts = [agreed(&paying), vec![step(paying.payment, owed)]].concat();
        let done = imported(&mut town, &facts, 0);
        let (confirmed, undone) = (u32::from(take), u32::from(!take));
        assert_eq!(done, Rescued { confirmed, undone, ..Rescued::default() });
        let mut town = town.restart(lab);
        town.notices();
        let (standing, code, kind, cards) = if take {
            (Standing::Confirming, CodeState::Paid, MessageType::ADVICE, fee())
        } else {
            (Standing::Reversing, CodeState::Void, MessageType::REVERSAL, 0)
        };
        assert_eq!(town.standing(&paying.payment), standing);
        assert_eq!(town.code_state(&paying.payment), Some(code));
        assert_eq!((town.errands().remove(0).kind, town.owed_by_cards()), (kind, cards));
        assert_eq!(town.alarms(), ["journal-imported"]);
        town.audit();
        // Again, and from the kiosk that was not dead after all: the same end.
        let again = town.center.sift(&town.store, journal(&town, &facts, 0)).unwrap();
        assert_eq!(again.cards, []);
        let word = if take { Request::CardConfirm(paying.payment) } else { void(paying.payment) };
        let wanted = if take { CardAnswer::Confirmed } else { CardAnswer::Voided };
        assert_eq!(town.card(word), wanted);
        town.audit();
    }
}

fn an_approval_that_nobody_has_seen_is_undone_and_one_on_paper_is_confirmed(lab: &impl Lab) {
    for (more, taken) in [(0, false), (1, true), (2, true)] {
        let mut town = town(lab, true);
        let paying = approved(&mut town);
        let paper = [receipt(paying.payment), Fact::PrintFailed { print: 1, fault: PrintFault::PaperOut }];
        let facts = [agreed(&paying), paper[..more].to_vec()].concat();
        let done = imported(&mut town, &facts, 0);
        assert_eq!((done.confirmed, done.undone), (u32::from(taken), u32::from(!taken)), "{more}");
        let standing = if taken { Standing::Confirming } else { Standing::Reversing };
        assert_eq!(town.standing(&paying.payment), standing);
        town.audit();
    }
    // A claim slip has no code on it.
    let mut town = town(lab, true);
    let paying = approved(&mut town);
    let slip = Fact::PrintOrdered { print: 1, payment: paying.payment, paper: Paper::ClaimSlip, copy: false };
    assert_eq!(imported(&mut town, &[agreed(&paying), vec![slip]].concat(), 0).undone, 1);
}

fn what_was_never_heard_here_cannot_be_asked_for_any_more(lab: &impl Lab) {
    let mut town = town(lab, true);
    // Written down and never sent; the answer on its way; declined.
    let quote = town.card_quote();
    let unsent = town.order_of(&quote, &secret());
    let quote = town.card_quote();
    let waiting = town.order_of(&quote, &secret());
    let Answer::Order(without_answer) = town.order(&waiting) else { panic!("taken") };
    let Next::Ask(_) = town.code_for(&waiting, true) else { panic!("asked") };
    let quote = town.card_quote();
    let refused = town.order_of(&quote, &secret());
    let Answer::Order(declined) = town.order(&refused) else { panic!("taken") };
    let Next::Ask(request) = town.code_for(&refused, true) else { panic!("asked") };
    town.decided(&request, b"51");
    let facts = [
        sent(&unsent),
        sent(&waiting),
        sent(&refused),
        step(declined, CardStep::Declined(DeclineReason::Funds)),
    ];
    let done = imported(&mut town, &facts, 0);
    assert_eq!(done, Rescued { undone: 2, ..Rescued::default() });
    assert_eq!(town.standing(&without_answer), Standing::Reversing);
    assert_eq!(town.order(&unsent), Answer::Ready(Response::Card(CardAnswer::Voided)));
    assert_eq!(town.owed_by_cards(), 0);
    town.audit();
}

fn a_journal_that_lacks_its_end_decides_nothing(lab: &impl Lab) {
    let mut town = town(lab, true);
    let (open, owed) = (approved(&mut town), approved(&mut town));
    let facts = [agreed(&open), agreed(&owed), vec![step(owed.payment, CardStep::ConfirmOwed)]].concat();
    let ends: Vec<_> = journal(&town, &facts, 3).cards.into_iter().map(|card| card.end).collect();
    assert_eq!(ends, [CardEnd::Unclear, CardEnd::Taken]);
    let done = imported(&mut town, &facts, 3);
    assert_eq!(done, Rescued { confirmed: 1, unclear: 1, ..Rescued::default() });
    assert_eq!(town.standing(&open.payment), Standing::Approved, "the citizen may hold the paper");
    assert_eq!(town.alarms(), ["card-unclear", "journal-imported"]);
    town.audit();
}

fn a_restored_center_learns_of_a_card_from_the_journal(lab: &impl Lab) {
    let mut lost = town(lab, true);
    let (taken, undone) = (approved(&mut lost), approved(&mut lost));
    let mut town = town(lab, true);
    let facts = [
        agreed(&taken),
        vec![receipt(taken.payment), step(taken.payment, CardStep::Confirmed)],
        agreed(&undone),
        vec![step(undone.payment, CardStep::ReversalOwed(VoidReason::CardRefused))],
    ]
    .concat();
    let done = imported(&mut town, &facts, 0);
    assert_eq!(done, Rescued { confirmed: 1, undone: 1, ..Rescued::default() });
    assert_eq!(town.owed_by_cards(), fee());
    assert_eq!(town.alarms(), ["card-recalled", "card-recalled", "journal-imported"]);
    town.audit();
}

/// Brings a payment that was approved to where a restored or an impatient center may have it.
fn brought<S: Transact>(town: &mut Town<S>, standing: Standing) -> Paying {
    let quote = town.card_quote();
    let order = town.order_of(&quote, &secret());
    let Answer::Order(payment) = town.order(&order) else { panic!("an order that is taken") };
    let Next::Ask(request) = town.code_for(&order, true) else { panic!("the issuer is asked") };
    let before = town.with(|_, store, _| store.card(&payment)).unwrap();
    let CardAnswer::Approved { outcome, .. } = town.decided(&request, b"00") else { panic!("approved") };
    match standing {
        Standing::Sent => town.with(|_, store, _| store.put_card(&before)),
        Standing::Declined => {
            town.with(|_, store, _| store.put_card(&before));
            town.decided(&request, b"51");
        }
        Standing::Approved => {}
        Standing::Confirming | Standing::Confirmed => {
            assert_eq!(town.card(Request::CardConfirm(payment)), CardAnswer::Confirmed);
        }
        Standing::Reversing | Standing::Reversed => {
            assert_eq!(town.card(void(payment)), CardAnswer::Voided);
        }
    }
    if matches!(standing, Standing::Confirmed | Standing::Reversed) {
        town.notices();
        let word = town.errands().remove(0);
        town.hear(&answer(&word, b"00"));
    }
    assert_eq!(town.standing(&payment), standing);
    Paying { order, payment, outcome }
}

fn a_printed_code_that_the_center_had_undone_is_paid_as_for_its_kiosk(lab: &impl Lab) {
    for standing in [Standing::Reversing, Standing::Reversed, Standing::Declined] {
        let mut town = town(lab, true);
        let paying = brought(&mut town, standing);
        let facts = [agreed(&paying), vec![receipt(paying.payment)]].concat();
        let done = imported(&mut town, &facts, 0);
        assert_eq!(done, Rescued { confirmed: 1, ..Rescued::default() }, "{standing:?}");
        assert_eq!(town.alarms(), ["card-loss", "journal-imported"]);
        assert_eq!(town.standing(&paying.payment), standing, "the money goes back");
        assert_eq!(town.owed_by_cards(), 0, "no acquirer owes it");
        town.audit();
        let again = town.center.sift(&town.store, journal(&town, &facts, 0)).unwrap();
        assert_eq!(again.cards, []);
        assert_eq!(town.card(Request::CardConfirm(paying.payment)), CardAnswer::Confirmed, "its code is out");
        town.audit();
    }
}

fn a_journal_that_contradicts_the_center_points_to_what_can_be_done(lab: &impl Lab) {
    let unsigned = |paying: &Paying| agreed(paying)[..2].to_vec();
    let taken = |paying: &Paying| [unsigned(paying), vec![receipt(paying.payment)]].concat();
    let undone = |paying: &Paying| {
        [agreed(paying), vec![step(paying.payment, CardStep::ReversalOwed(VoidReason::CardRefused))]].concat()
    };
    let told = |told: &dyn Fn(&Paying) -> Vec<Fact>, standing, missing, done: &Rescued| {
        let mut town = town(lab, true);
        let paying = brought(&mut town, standing);
        let facts = told(&paying);
        assert_eq!(&imported(&mut town, &facts, missing), done, "{standing:?}");
        assert_eq!(town.standing(&paying.payment), standing);
        let alarm = town.store.alarms().unwrap().remove(0);
        assert_eq!(alarm.kind, "card-unclear");
        let card = town.store.card(&paying.payment).unwrap();
        let waits = waits_for_a_person(&town.store, &paying.payment, card.as_ref()).unwrap();
        assert_eq!(alarm.text.contains("card end"), waits, "{standing:?}: {}", alarm.text);
        town.audit();
        waits
    };
    let refused = Rescued { refused: 1, ..Rescued::default() };
    // The journal has the paper, and not our answer: nothing proves what was on it.
    for standing in [Standing::Sent, Standing::Reversing, Standing::Reversed, Standing::Declined] {
        assert!(!told(&taken, standing, 0, &refused));
    }
    for standing in [Standing::Confirming, Standing::Confirmed] {
        assert!(!told(&undone, standing, 0, &refused));
    }
    let unclear = Rescued { unclear: 1, ..Rescued::default() };
    assert!(!told(&agreed, Standing::Sent, 3, &unclear));
    assert!(told(&agreed, Standing::Approved, 3, &unclear), "the citizen may hold the paper");
}
