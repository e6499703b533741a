//! The same for cards: what follows in each state of a card payment, and the rules that the rows keep.

use super::*;
use tolem_protocol::card::{CardMoved, ChipEvidence, DeclineReason, RetainReason, VoidReason};

fn sum() -> Amount {
    Amount::from_tenge(4_325)
}

fn mark(amount: Amount) -> CardMark {
    CardMark {
        last_four: [0, 0, 1, 1],
        application: heapless::Vec::from_slice(&[0xA0, 0, 0, 0, 4, 0x10, 0x10]).unwrap(),
        label: "MASTERCARD".try_into().unwrap(),
        amount,
        pin: true,
    }
}

fn offered(number: u64, method: Method) -> Fact {
    let quote = Quote { payment: id(number), fee: sum(), cash_total: sum(), method, ..plain_quote(NOW) };
    let (payment, language) = (id(number), Language::English);
    let quote = Signed::new(&quote, signature);
    Fact::Started { payment, quote, payer: payer(), payer_tag: [1; 16], language }
}

fn sent(number: u64) -> Fact {
    Fact::AuthorizeSent { deposit: deposit(number, DepositKind::Pay), card: mark(sum()) }
}

fn steps() -> Vec<CardStep> {
    let evidence = ChipEvidence { tvr: [0; 5], tsi: [0; 2], cryptogram: heapless::Vec::new() };
    vec![
        CardStep::Authorized { approval: *b"A1B2C3", evidence },
        CardStep::Declined(DeclineReason::Funds),
        CardStep::ReversalOwed(VoidReason::NoAnswer),
        CardStep::ReversalAcknowledged,
        CardStep::ConfirmOwed,
        CardStep::Confirmed,
    ]
}

fn step(number: u64, step: usize) -> Fact {
    Fact::Card { payment: id(number), step: steps()[step].clone() }
}

/// A story up to each standing of a card.
fn stories() -> Vec<Vec<Fact>> {
    let (authorized, declined, owed, undone, seen, taken) =
        (step(1, 0), step(1, 1), step(1, 2), step(1, 3), step(1, 4), step(1, 5));
    let begun = || vec![offered(1, Method::Either), sent(1)];
    let with = |facts: &[&Fact]| [begun(), facts.iter().map(|fact| (*fact).clone()).collect()].concat();
    let code = settled(1, true);
    let over = Fact::Finished { payment: id(1), ending: Ending::Voided };
    vec![
        vec![offered(1, Method::Either)],
        vec![offered(1, Method::Cash)],
        vec![offered(1, Method::Either), ordered(1, 1, None)],
        vec![offered(1, Method::Either), ordered(1, 1, None), stacked(1, 1)],
        begun(),
        with(&[&booted()]),
        with(&[&authorized]),
        with(&[&declined]),
        with(&[&owed]),
        with(&[&owed, &undone]),
        with(&[&owed, &over]),
        with(&[&authorized, &code]),
        with(&[&authorized, &code, &booted()]),
        with(&[&authorized, &code, &owed]),
        with(&[&authorized, &code, &printing(1)]),
        with(&[&authorized, &code, &seen]),
        with(&[&authorized, &code, &seen, &booted()]),
        with(&[&authorized, &code, &seen, &taken]),
        with(&[&owed, &taken]),
    ]
}

fn card_inputs() -> Vec<Input> {
    let mut all = inputs();
    all.extend([sum(), Amount::from_tenge(1)].map(|amount| Input::Authorize(mark(amount))));
    for payment in [id(1), id(9)] {
        all.extend(steps().into_iter().map(|step| Input::Card(payment, step)));
    }
    all
}

fn card_table() -> BTreeMap<String, BTreeSet<String>> {
    let known = table();
    let mut rows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for story in stories() {
        let session = after(&story);
        for input in card_inputs() {
            let row = row::of(&session, &input);
            let consequence = consequence(&session, input);
            match known.get(&row) {
                Some(before) => {
                    assert!(before.contains(&consequence), "{row}: {consequence}, not {before:?}")
                }
                None => drop(rows.entry(row).or_default().insert(consequence)),
            }
        }
    }
    rows
}

/// What is to be said of rows, as in the table of the session.
const CARD_NOTES: &[(&str, &str)] = &[(
    "center takes the card's money | to be undone",
    "rare: only a restored center says so of what its kiosk undoes",
)];

/// Blessed like the table of the session.
#[test]
fn each_state_of_a_card_and_input_has_one_consequence() {
    let head = "What follows for cards, beside `states.txt`: each state of a card payment with each input. Made by a test, read by people.\n\
                The swarm reaches every row that records something, but for those that say `never` or `rare` and why.\n";
    let text = written(head, &card_table(), CARD_NOTES);
    expect_file!["../cards.txt"].assert_eq(&text);
}

/// Every way that a card payment can go ends in exactly one of: declined, undone, taken; and never in both of the last.
#[test]
fn a_card_payment_ends_once() {
    fn walk(story: &[Fact], ends: &mut BTreeSet<String>) {
        let session = after(story);
        let standing = session.payment(id(1)).and_then(Payment::card_standing);
        let mut moved = false;
        for step in steps() {
            let Decision::Record(fact) = session.decide(Input::Card(id(1), step), id(77), NOW) else {
                continue;
            };
            moved = true;
            walk(&[story, &[fact]].concat(), ends);
        }
        if let Some(CardStanding::Authorized) = standing
            && session.payment(id(1)).unwrap().outcome.is_none()
        {
            moved = true;
            walk(&[story, &[settled(1, true)]].concat(), ends);
        }
        if !moved {
            ends.insert(format!("{:?}", standing.unwrap()));
        }
    }
    let mut ends = BTreeSet::new();
    walk(&[offered(1, Method::Card), sent(1)], &mut ends);
    assert_eq!(ends, ["Confirmed", "Declined(Funds)", "Reversed"].map(String::from).into());
}

#[test]
fn what_a_power_cut_leaves_is_undone_unless_the_code_may_have_been_seen() {
    let decided = |story: &[Fact]| after(story).undecided_card();
    let undone = Some((id(1), CardStep::ReversalOwed(VoidReason::PowerCut)));
    let begun = [offered(1, Method::Either), sent(1)];
    assert_eq!(decided(&begun), None, "somebody stands there");
    assert_eq!(decided(&[&begun[..], &[booted()]].concat()), undone);
    let approved = [&begun[..], &[step(1, 0), settled(1, true)]].concat();
    assert_eq!(decided(&[&approved[..], &[booted()]].concat()), undone);
    let print = [&approved[..], &[printing(1), booted()]].concat();
    assert_eq!(decided(&print), None, "the print is settled first");
    for fact in [Fact::PrintFailed { print: 1, fault: PrintFault::Unknown }, Fact::Printed { print: 1 }] {
        let seen = [&print[..], &[fact]].concat();
        assert_eq!(decided(&seen), Some((id(1), CardStep::ConfirmOwed)));
    }
}

#[test]
fn what_is_owed_for_a_card_is_never_forgotten() {
    let begun = [offered(1, Method::Either), sent(1), step(1, 2)];
    let mut story = begun.to_vec();
    story.push(Fact::Finished { payment: id(1), ending: Ending::Voided });
    for number in 2..2 + MAX_KEPT as u64 + 10 {
        story.extend([started(number, 2000), requested(number), settled(number, true), booted()]);
    }
    let session = after(&story);
    let errands: Vec<_> = session.card_errands().collect();
    assert_eq!(errands, [(id(1), CardStanding::Reversing(VoidReason::NoAnswer))]);
    assert!(session.payments().len() <= MAX_KEPT + 1, "{}", session.payments().len());
    story.push(step(1, 3));
    assert!(after(&story).payment(id(1)).is_none(), "and then it is over");
}

#[test]
fn where_a_card_is_and_which_key_was_last_survive_a_restart() {
    let moved = |moved| Fact::CardMoved { payment: Some(id(1)), moved };
    let key = Fact::PinKeyUsed { serial: [7; 10] };
    let session = after(&[offered(1, Method::Card), moved(CardMoved::Inserted), key, booted()]);
    assert_eq!((session.card_inside(), session.pin_serial()), (Some(Some(id(1))), Some([7; 10])));
    for gone in [CardMoved::Taken, CardMoved::Retained(Some(1))] {
        let story = [offered(1, Method::Card), moved(CardMoved::Inserted), moved(gone)];
        assert_eq!(after(&story).card_inside(), None);
    }
    let kept = moved(CardMoved::RetainOrdered(RetainReason::Forgotten));
    assert_eq!(
        after(&[offered(1, Method::Card), moved(CardMoved::Inserted), kept]).card_inside(),
        Some(Some(id(1)))
    );
}
