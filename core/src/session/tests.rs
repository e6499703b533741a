//! The state table: each state that matters, each input, and what the real [`Session::decide`] makes of it.

mod cards;

use super::*;
use expect_test::expect_file;
use std::collections::{BTreeMap, BTreeSet};
use tolem_protocol::{
    BalanceNumber, KioskNumber, PaymentCode,
    messages::{CodeToken, HeldBalance, Method},
    record::Record,
    signed::Signature,
};

const NOW: UtcTime = UtcTime(1_795_338_309_000);
const NOTE: Denomination = Denomination(2000);
const OTHER_NOTE: Denomination = Denomination(5000);

fn id(number: u64) -> PaymentId {
    let kiosk = KioskNumber::new(42).unwrap();
    PaymentId { kiosk, epoch: 7, number, nonce: [0xa5; 16] }
}

fn signature(_: &[u8]) -> Signature {
    Signature([7; 64])
}

fn quote(payment: PaymentId, due: u64) -> Signed<Quote> {
    let total = Amount::from_tenge(due);
    Signed::new(&Quote { payment, fee: total, cash_total: total, ..plain_quote(NOW) }, signature)
}

fn payer() -> SealedIin {
    SealedIin([0x3c; 32], heapless::Vec::from_slice(&[0xd2; 28]).unwrap())
}

fn started(number: u64, due: u64) -> Fact {
    let (payment, language) = (id(number), Language::English);
    Fact::Started { payment, quote: quote(payment, due), payer: payer(), payer_tag: [1; 16], language }
}

fn ordered(note: u64, number: u64, counter: Option<u16>) -> Fact {
    Fact::StackOrdered { note, payment: id(number), denomination: NOTE, counter }
}

fn stacked(note: u64, number: u64) -> Fact {
    Fact::NoteStacked { note, payment: id(number), denomination: NOTE, by: StackedBy::Report }
}

fn deposit(number: u64, kind: DepositKind) -> Signed<Deposit> {
    let (payment, notes) = (id(number), NotePile::default());
    let quote = Some(quote(payment, 2000));
    Signed::new(&Deposit { payment, kind, quote, payer: Some(payer()), notes, made_at: NOW }, signature)
}

fn requested(number: u64) -> Fact {
    Fact::CommitRequested { deposit: deposit(number, DepositKind::Pay) }
}

fn outcome(number: u64, paid: bool) -> Signed<Outcome> {
    let verdict = if paid {
        let token = CodeToken { payment: id(number), ..code_token(NOW) };
        Verdict::Accepted { token: Signed::new(&token, signature), remainder: None }
    } else {
        let number = BalanceNumber::from_payload(number);
        Verdict::Held(HeldBalance { number, amount: NOTE.amount(), reason: HoldReason::Stopped })
    };
    let digest = deposit(number, DepositKind::Pay).digest();
    Signed::new(
        &Outcome { payment: id(number), deposit: digest, verdict, at: NOW, center_epoch: 1 },
        signature,
    )
}

fn settled(number: u64, paid: bool) -> Fact {
    Fact::Settled { outcome: outcome(number, paid) }
}

fn booted() -> Fact {
    Fact::Booted { nonce: [0; 16], software: heapless::String::new() }
}

fn printing(print: u64) -> Fact {
    Fact::PrintOrdered { print, payment: id(1), paper: Paper::Receipt, copy: false }
}

fn after(facts: &[Fact]) -> Session {
    let mut session = Session::default();
    for (seq, fact) in (0..).zip(facts) {
        let record = Record { seq, boot: 1, mono_ms: 0, utc: NOW, fact: fact.clone() };
        session.commit(&Journaled::pretended(record));
    }
    session
}

/// Stories that lead to each state that some input can tell from another.
fn states() -> Vec<Session> {
    let stories: Vec<Vec<Fact>> = vec![
        vec![],
        vec![started(1, 4000)],
        vec![started(1, 0)],
        vec![started(1, 4000), ordered(1, 1, Some(9))],
        vec![started(1, 4000), ordered(1, 1, None)],
        vec![started(1, 4000), ordered(1, 1, None), booted()],
        vec![started(1, 4000), ordered(1, 1, Some(9)), requested(1)],
        vec![started(1, 4000), ordered(1, 1, Some(9)), stacked(1, 1)],
        vec![started(1, 4000), ordered(1, 1, Some(9)), Fact::NoteReturned { note: 1 }],
        vec![started(1, 2000), ordered(1, 1, Some(9)), stacked(1, 1)],
        vec![started(1, 2000), ordered(1, 1, Some(9)), stacked(1, 1), requested(1)],
        vec![started(1, 2000), ordered(1, 1, Some(9)), stacked(1, 1), requested(1), settled(1, true)],
        vec![started(1, 2000), ordered(1, 1, Some(9)), stacked(1, 1), requested(1), settled(1, false)],
        vec![started(1, 2000), requested(1), settled(1, true), printing(1)],
        vec![started(1, 4000), ordered(1, 1, Some(9)), stacked(1, 1), booted()],
        vec![started(1, 4000), ordered(1, 1, Some(9)), stacked(1, 1), booted(), started(2, 4000)],
        vec![started(1, 4000), booted()],
        vec![stacked(1, 1), Fact::HoldRequested { deposit: deposit(1, DepositKind::Pay) }],
        vec![started(1, 4000), Fact::Finished { payment: id(1), ending: Ending::Voided }],
    ];
    stories.iter().map(|story| after(story)).collect()
}

fn inputs() -> Vec<Input> {
    let mut inputs = vec![Input::Returned, Input::Confirm, Input::Leave, Input::Resume(id(1))];
    let (payment, language) = (id(3), Language::English);
    inputs.push(Input::Begin {
        payment,
        quote: quote(payment, 4000),
        payer: payer(),
        payer_tag: [2; 16],
        language,
    });
    for welcome in [true, false] {
        for denomination in [NOTE, OTHER_NOTE] {
            inputs.push(Input::Escrowed { denomination, welcome, counter: Some(9) });
            for another in [true, false] {
                inputs.push(Input::Stacked { denomination, another, power_up: welcome });
            }
        }
    }
    for found in [PowerUp::Empty, PowerUp::NoteReturned, PowerUp::NoteInStacker, PowerUp::Kept] {
        inputs.push(Input::PoweredUp(found));
    }
    for counter in [None, Some(9), Some(10), Some(11)] {
        inputs.extend([true, false].map(|same_unit| Input::Ready { counter, same_unit }));
    }
    inputs.extend([Doubt::Jam, Doubt::Absent].map(Input::OrderTimedOut));
    for payment in [id(1), id(9)] {
        inputs.push(Input::Stop(payment));
        inputs.push(Input::Answered { payment, outcome: Box::new(outcome(payment.number, true)) });
    }
    inputs.push(Input::Print { payment: id(1), paper: Paper::Receipt, copy: false });
    for print in [1, 9] {
        inputs.push(Input::PrintEnded { print, result: Ok(()) });
        inputs.push(Input::PrintEnded { print, result: Err(PrintFault::PaperOut) });
    }
    inputs
}

/// Inputs that tell of a note which has moved or is about to.
fn bears_money(row: &str) -> bool {
    let note = ["note in escrow", "note stacked", "note returned"].iter().any(|start| row.starts_with(start));
    let ends_order = ["acceptor ready", "order overdue", "acceptor started, note given back"]
        .iter()
        .any(|start| row.starts_with(start))
        && !row.contains("not ordered");
    note || ends_order
}

/// What follows, and what that allows once it is durable.
fn consequence(session: &Session, input: Input) -> String {
    let fresh = id(77);
    match session.decide(input, fresh, NOW) {
        Decision::Nothing => "nothing".into(),
        Decision::Repeat(effect) => format!("again: {}", effect_word(effect)),
        Decision::Request(deposit) => format!("request {:?} of it", deposit.kind),
        Decision::Authorize(deposit, _) => format!("AuthorizeSent with an order to {:?}", deposit.kind),
        Decision::Record(fact) => {
            let what = match &fact {
                Fact::Started { .. } => "Started".into(),
                Fact::StackOrdered { .. } => "StackOrdered".into(),
                Fact::NoteStacked { payment, by, .. } => {
                    format!("NoteStacked ({by:?}) {}", whose(*payment, fresh))
                }
                Fact::NoteReturned { .. } => "NoteReturned".into(),
                Fact::NoteInDoubt { payment, doubt, .. } => {
                    format!("NoteInDoubt ({doubt:?}) {}", whose(*payment, fresh))
                }
                Fact::Settled { .. } => "Settled".into(),
                Fact::PrintOrdered { .. } => "PrintOrdered".into(),
                Fact::Printed { .. } => "Printed".into(),
                Fact::PrintFailed { .. } => "PrintFailed".into(),
                Fact::Finished { ending, .. } => format!("Finished ({ending:?})"),
                Fact::Resumed { .. } => "Resumed".into(),
                Fact::Card { step, .. } => format!("Card {}", step_word(step)),
                other => panic!("the session proposes {other:?}"),
            };
            let record = Record { seq: 99, boot: 1, mono_ms: 0, utc: NOW, fact };
            match session.clone().commit(&Journaled::pretended(record)) {
                Effect::None => what,
                effect => format!("{what}, then {}", effect_word(effect)),
            }
        }
    }
}

fn step_word(step: &CardStep) -> String {
    let text = format!("{step:?}");
    text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap().to_owned()
}

fn whose(payment: PaymentId, fresh: PaymentId) -> &'static str {
    if payment == fresh { "for an account of its own" } else { "for its payment" }
}

fn effect_word(effect: Effect) -> &'static str {
    match effect {
        Effect::Stack => "stack",
        Effect::Return => "give back",
        Effect::Acknowledge => "acknowledge",
        Effect::Print(_) => "print",
        Effect::None => "nothing",
    }
}

/// Rows to which something is to be said. `never`: why no citizen and no fault leads there; the swarm demands that none does. `rare`: possible, and
/// so seldom that the swarm does not demand it.
const NOTES: &[(&str, &str)] = &[
    ("acceptor started, note in stacker | ordered", "the device says 81 for it, before or after RESET"),
    ("acceptor started, empty | ordered", "the counter is asked, then `acceptor ready`"),
    ("acceptor started, power kept | ordered", "the counter is asked, then `acceptor ready`"),
    (
        "acceptor ready, counter one further | ordered, its payment went on without it",
        "never: nothing is asked of the center while an order is open",
    ),
    (
        "note stacked | ordered, its payment went on without it",
        "never: nothing is asked of the center while an order is open",
    ),
    (
        "note stacked, at power-up | ordered, its payment went on without it",
        "never: nothing is asked of the center while an order is open",
    ),
    (
        "order overdue, absent | ordered",
        "rare: an acceptor has to be gone from the order of a note on, and for long",
    ),
    ("begin | a payment is open", "never: a quote is shown when no payment is open"),
    (
        "center answered | answered before",
        "never: what is answered is not asked about again, and one question is under way at a time",
    ),
    (
        "center answered | collecting",
        "never: an account that only the center had is recorded before its answer",
    ),
    ("center answered | unknown payment", "never: what is asked about is kept until the answer"),
    ("confirm | a note moves", "never: the button comes when the sum is in, and then the slot is shut"),
    ("confirm | collecting, nothing in", "never: the button comes when the sum is in"),
    ("confirm | collecting, too little in", "never: the button comes when the sum is in"),
    ("confirm | held", "never: the button goes when it was touched"),
    ("confirm | no payment", "never: the button comes when the sum is in"),
    ("confirm | paid", "never: the button goes when it was touched"),
    ("confirm | requested", "never: the button goes when it was touched"),
    (
        "leave | collecting, a voucher pays all",
        "never: only the last screens of a payment are left, others are stopped",
    ),
    (
        "leave | collecting, complete",
        "never: only the last screens of a payment are left, others are stopped",
    ),
    (
        "leave | collecting, nothing in",
        "never: only the last screens of a payment are left, others are stopped",
    ),
    (
        "leave | collecting, too little in",
        "never: only the last screens of a payment are left, others are stopped",
    ),
    ("leave | no payment", "never: only the last screens of a payment are left, others are stopped"),
    (
        "note in escrow | another note's order is on disk",
        "never: the driver starts over when another note comes, and the order has its end by then",
    ),
    (
        "note in escrow | its order is on disk",
        "never: the driver repeats its order itself, and a start gives a note back",
    ),
    (
        "note in escrow, not wanted | collecting",
        "rare: the quote's time must end between two answers of the acceptor",
    ),
    (
        "note in escrow, not wanted | no payment",
        "never: the driver gives back what comes when the slot is shut",
    ),
    (
        "note in escrow, not wanted | past collecting",
        "never: the driver gives back what comes when the slot is shut",
    ),
    ("note in escrow, wanted | no payment", "never: a note is wanted by a payment that collects"),
    ("note in escrow, wanted | past collecting", "never: a note is wanted by a payment that collects"),
    (
        "note stacked | not ordered, collecting",
        "never: only a computer that is new beside an old note hears of one, and that at its start",
    ),
    ("order overdue, absent | not ordered", "never: the clock of an order ends with it"),
    ("order overdue, jam | not ordered", "never: the clock of an order ends with it"),
    ("print confirmed | another is under way", "never: the answer to another print is dropped before"),
    ("print confirmed | none is under way", "never: the answer to another print is dropped before"),
    ("print failed | another is under way", "never: the answer to another print is dropped before"),
    ("print failed | none is under way", "never: the answer to another print is dropped before"),
    ("print | printing", "never: who prints looks first whether something is being printed"),
    ("resume | cut off, somebody else pays", "never: an IIN is typed when no payment is open"),
    ("resume | not cut off", "never: it is found among those cut off"),
    ("stop | unknown payment", "never: it is found on the screen or among those cut off"),
];

fn table() -> BTreeMap<String, BTreeSet<String>> {
    let mut rows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for session in states() {
        for input in inputs() {
            rows.entry(row::of(&session, &input)).or_default().insert(consequence(&session, input.clone()));
        }
    }
    rows
}

/// A table as it is written, with what is to be said of its rows.
fn written(head: &str, table: &BTreeMap<String, BTreeSet<String>>, notes: &[(&str, &str)]) -> String {
    let (mut text, mut last) = (String::from(head), "");
    for (row, consequences) in table {
        assert_eq!(consequences.len(), 1, "{row}: the words are too coarse: {consequences:?}");
        let (input, state) = row.split_once(" | ").unwrap();
        if input != last {
            text += &format!("\n{input}\n");
            last = input;
        }
        let note = notes.iter().find(|(noted, _)| noted == row).map(|(_, note)| *note);
        let line = format!("    {state:<42} -> {}", consequences.first().unwrap());
        match note {
            Some(note) => text += &format!("{line:<110} ({note})\n"),
            None => text += &format!("{line}\n"),
        }
    }
    for (row, _) in notes {
        assert!(table.contains_key(*row), "a remark about a row that does not exist: {row}");
    }
    text
}

/// Blessed by `UPDATE_EXPECT=1 cargo test -p tolem-core --lib session`. The swarm reads the same file.
#[test]
fn each_state_and_input_has_one_consequence() {
    let text = written(HEAD, &table(), NOTES);
    expect_file!["states.txt"].assert_eq(&text);
}

const HEAD: &str = "\
What follows from each input in each state of the session, as `Session::decide` says. Made by a test, read by people.
An input stands at the margin; below it the state, what is recorded first, and what that allows once it is durable.
Every row is reached by the swarm, but for those that say `never` or `rare` and why; they are here because the code must be right there too.
";

#[test]
fn no_note_is_ever_answered_with_nothing() {
    let table = table();
    let notes: Vec<_> = table.iter().filter(|(row, _)| bears_money(row)).collect();
    assert!(notes.len() > 20, "rows about notes: {}", notes.len());
    for (row, consequences) in notes {
        assert!(!consequences.contains("nothing"), "{row}: nothing follows");
    }
}

/// Whoever gives a payment up while a note of the payment before is still moving leaves nothing open behind; the note's own payment waits for it.
#[test]
fn a_note_that_moves_for_another_payment_keeps_nobody() {
    let moving = [started(1, 4000), ordered(1, 1, Some(9)), booted(), started(2, 4000)];
    let session = after(&moving);
    assert!(session.order.is_some_and(|order| order.payment == id(1)), "the story is another one");
    let given_up = session.decide(Input::Stop(id(2)), id(77), NOW);
    let void = Fact::Finished { payment: id(2), ending: Ending::Voided };
    assert!(matches!(&given_up, Decision::Record(fact) if *fact == void), "{given_up:?}");
    assert!(matches!(session.decide(Input::Stop(id(1)), id(77), NOW), Decision::Nothing));
}

#[test]
fn deciding_changes_nothing() {
    for session in states() {
        for input in inputs() {
            let decide = || session.decide(input.clone(), id(77), NOW);
            assert_eq!(decide(), decide());
        }
    }
}

fn plain_quote(now: UtcTime) -> Quote {
    Quote {
        payment: id(1),
        service: "id-card".try_into().unwrap(),
        service_digest: [0; 32],
        payer: "A••• B•••".try_into().unwrap(),
        fee: Amount::ZERO,
        commission: Amount::ZERO,
        cash_total: Amount::ZERO,
        balance: None,
        method: Method::Cash,
        made_at: now,
        valid_until: now.plus_seconds(900),
    }
}

fn code_token(now: UtcTime) -> CodeToken {
    CodeToken {
        code: PaymentCode::from_random(12_345_678),
        payment: id(1),
        service: "id-card".try_into().unwrap(),
        fee: Amount::ZERO,
        payer_tail: 19,
        paid_at: now,
        valid_until: now.plus_seconds(900),
    }
}
