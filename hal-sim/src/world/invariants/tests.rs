//! Each rule finds what it is there for, and says nothing about books that are in order.

use super::*;
use tolem_protocol::{
    Amount, UtcTime,
    card::{CardMark, ChipEvidence},
    messages::{CodeToken, Deposit, DepositKind, HeldBalance, HoldReason, Outcome},
    notes::NotePile,
    record::{Ending, StackedBy},
    signed::{Signature, Signed, Statement},
};

const NOTE: Denomination = Denomination(2000);

fn kiosk() -> KioskNumber {
    KioskNumber::new(42).unwrap()
}

fn payment(number: u64) -> PaymentId {
    PaymentId { kiosk: kiosk(), epoch: 1, number, nonce: [7; 16] }
}

fn signed<T: Statement>(statement: &T) -> Signed<T> {
    Signed::new(statement, |_| Signature([1; 64]))
}

fn deposit() -> Signed<Deposit> {
    let mut notes = NotePile::default();
    notes.add(NOTE);
    signed(&Deposit {
        payment: payment(1),
        kind: DepositKind::Hold(HoldReason::Stopped),
        quote: None,
        payer: None,
        notes,
        made_at: UtcTime(0),
    })
}

fn outcome() -> Signed<Outcome> {
    let balance = HeldBalance {
        number: tolem_protocol::BalanceNumber::from_payload(5),
        amount: Amount::from_tenge(2000),
        reason: HoldReason::Stopped,
    };
    let deposit = deposit().digest();
    let verdict = Verdict::Held(balance);
    signed(&Outcome { payment: payment(1), deposit, verdict, at: UtcTime(0), center_epoch: 1 })
}

fn stacked_fact() -> Fact {
    Fact::NoteStacked { note: 0, payment: payment(1), denomination: NOTE, by: StackedBy::Report }
}

fn records(facts: Vec<Fact>) -> Vec<Record> {
    let number = |(seq, fact)| Record { seq, boot: 1, mono_ms: seq, utc: UtcTime(0), fact };
    (0..).zip(facts).map(number).collect()
}

fn held() -> Vec<Fact> {
    vec![
        Fact::StackOrdered { note: 0, payment: payment(1), denomination: NOTE, counter: None },
        stacked_fact(),
        Fact::HoldRequested { deposit: deposit() },
        Fact::Settled { outcome: outcome() },
    ]
}

fn posting() -> Posting {
    let lines = vec![("cash:00042".into(), 200_000), ("held".into(), -200_000)];
    Posting { payment: payment(1), kind: "held".into(), lines }
}

/// One note that was stopped and is held.
fn books() -> Books {
    let records = records(held());
    let mut tree = Frontier::default();
    records.iter().for_each(|record| tree.push(leaf_hash(&record.to_bytes()), |_, _, _| {}));
    let ledger = Ledger {
        postings: vec![posting()],
        settled: vec![Settlement { payment: payment(1), outcome: outcome().digest(), code: None }],
        witnessed: vec![(kiosk(), 4, tree.root())],
        ..Ledger::default()
    };
    Books { tills: vec![Till::new(kiosk(), vec![NOTE], records)], ledger, charges: None }
}

fn broken(change: impl FnOnce(&mut Books)) -> Vec<&'static str> {
    let mut books = books();
    change(&mut books);
    let mut codes: Vec<&str> = at_rest(&books).iter().map(|violation| violation.invariant.code()).collect();
    codes.dedup();
    codes
}

fn retell(books: &mut Books, facts: Vec<Fact>) {
    books.tills[0].records = records(facts);
    books.ledger.witnessed.clear();
}

#[test]
fn books_in_order_are_left_in_peace() {
    assert_eq!(at_rest(&books()), []);
}

#[test]
fn a_note_that_vanished_or_appeared_is_missed() {
    assert_eq!(broken(|books| books.tills[0].cassette.clear()), ["I1"], "counted, but not there");
    assert_eq!(broken(|books| books.tills[0].cassette.push(NOTE)), ["I1"], "there, but not counted");
    assert_eq!(
        broken(|books| books.tills[0].cassette = vec![Denomination(1000)]),
        ["I1"],
        "another note than the one that was counted"
    );
}

#[test]
fn a_note_counted_twice_is_found_in_journal_and_ledger() {
    let twice = |books: &mut Books| {
        let mut facts = held();
        facts.insert(2, stacked_fact());
        retell(books, facts);
    };
    assert_eq!(broken(twice), ["I1", "I6", "I3"]);
}

#[test]
fn doubt_has_a_bound_and_is_raised() {
    let doubtful = |books: &mut Books| {
        let mut facts = held();
        let doubt = tolem_protocol::record::Doubt::NoWitness;
        facts.push(Fact::NoteInDoubt { note: 1, payment: payment(2), denomination: NOTE, doubt });
        retell(books, facts);
        books.tills[0].disturbances = Some(0);
    };
    assert_eq!(broken(doubtful), ["I2", "I3", "L4"]);
}

#[test]
fn a_booking_that_is_off_missing_or_doubled_is_found() {
    assert_eq!(broken(|books| books.ledger.postings[0].lines[0].1 += 1), ["I3"]);
    assert_eq!(broken(|books| books.ledger.postings.clear()), ["I3"]);
    assert_eq!(broken(|books| books.ledger.postings.push(posting())), ["I6", "I3"]);
    assert_eq!(broken(|books| books.ledger.findings.push("off".into())), ["I3"]);
}

#[test]
fn a_gap_in_the_journal_and_a_shorter_or_other_one_are_found() {
    assert_eq!(broken(|books| books.tills[0].records[3].seq = 9), ["I9"]);
    assert_eq!(broken(|books| books.ledger.witnessed[0].1 = 5), ["I9"]);
    assert_eq!(broken(|books| books.ledger.witnessed[0].2 = [0; 32]), ["I9"]);
}

#[test]
fn an_answer_that_only_one_side_knows_is_found() {
    assert_eq!(broken(|books| books.ledger.settled.clear()), ["I11"]);
    assert_eq!(broken(|books| retell(books, held()[..3].to_vec())), ["I11", "L2"]);
    assert_eq!(broken(|books| books.ledger.settled[0].outcome = [0; 32]), ["I11"]);
}

#[test]
fn an_order_without_end_is_found() {
    let facts = || Fact::StackOrdered { note: 1, payment: payment(1), denomination: NOTE, counter: None };
    assert_eq!(broken(|books| retell(books, [held(), vec![facts()]].concat())), ["L1"]);
}

fn started() -> Fact {
    Fact::Started {
        payment: payment(1),
        quote: Signed::from_bytes(&deposit().to_bytes()).unwrap(),
        payer: tolem_protocol::messages::SealedIin([0; 32], heapless::Vec::new()),
        payer_tag: [0; 16],
        language: tolem_protocol::catalogue::Language::default(),
    }
}

#[test]
fn a_receipt_without_an_answer_and_a_second_original_are_found() {
    let print = |print| Fact::PrintOrdered { print, payment: payment(1), paper: Paper::Receipt, copy: false };
    assert_eq!(broken(|books| retell(books, [held(), vec![print(0), print(1)]].concat())), ["I5"]);
    assert_eq!(
        broken(|books| retell(books, [vec![started()], held(), vec![print(0)]].concat())),
        ["I4"],
        "it was held, not paid"
    );
}

#[test]
fn a_code_on_paper_that_is_not_booked_is_found() {
    let token = CodeToken {
        code: PaymentCode::from_payload(77),
        payment: payment(1),
        service: heapless::String::try_from("marriage").unwrap(),
        fee: Amount::from_tenge(1),
        payer_tail: 19,
        paid_at: UtcTime(0),
        valid_until: UtcTime(0),
    };
    let text = Qr::Code(signed(&token)).encode();
    assert_eq!(broken(|books| books.tills[0].papers.push(text.clone())), ["I4"]);
    let known = |books: &mut Books| {
        books.tills[0].papers.push(text);
        books.ledger.settled[0].code = Some(PaymentCode::from_payload(77));
    };
    assert_eq!(broken(known), [""; 0]);
}

#[test]
fn a_lost_journal_still_may_not_make_money() {
    let lost = |books: &mut Books| {
        books.tills[0].journal_lost = true;
        books.tills[0].records.clear();
    };
    assert_eq!(broken(lost), [""; 0]);
    let empty = |books: &mut Books| {
        lost(books);
        books.tills[0].cassette.clear();
    };
    assert_eq!(broken(empty), ["I3"]);
}

#[test]
fn an_unseen_door_and_a_readable_iin_are_found() {
    assert_eq!(broken(|books| books.tills[0].doors_opened = Some(1)), ["I13"]);
    let iin = "000101300019";
    let numbers: Vec<u8> = iin.bytes().map(|digit| digit - b'0').collect();
    assert!(secrets_in("a disk", format!("x{iin}y").as_bytes(), &[iin]).is_some());
    assert!(secrets_in("a disk", &numbers, &[iin]).is_some());
    assert_eq!(secrets_in("a disk", &iin.as_bytes()[1..], &[iin]), None);
}

#[test]
fn a_balance_that_forgot_whose_it_is_is_found() {
    let of = |owner, payer| Holding { from: payment(1), owner, payer };
    let books = |holding| Books {
        tills: Vec::new(),
        ledger: Ledger { holdings: vec![holding], ..Ledger::default() },
        charges: None,
    };
    for good in [of(Some([1; 32]), Some([1; 32])), of(None, None), of(Some([1; 32]), None)] {
        assert_eq!(always(&books(good)), []);
    }
    for bad in [of(None, Some([1; 32])), of(Some([2; 32]), Some([1; 32]))] {
        let found = always(&books(bad));
        assert_eq!(found.iter().map(|found| found.invariant).collect::<Vec<_>>(), [Invariant::OwnersOnly]);
    }
}

#[test]
fn what_a_lost_journal_may_have_told_is_not_held_against_the_next() {
    let held = |number| Posting {
        payment: payment(number),
        kind: "held".into(),
        lines: vec![("cash:00042".into(), 200_000), ("held".into(), -200_000)],
    };
    let till = Till { journal_lost: true, jammed: vec![NOTE], ..Till::new(kiosk(), Vec::new(), Vec::new()) };
    let rules = |till: &Till| {
        let ledger = Ledger { postings: vec![held(1), held(2)], ..Ledger::default() };
        let found = at_rest(&Books { tills: vec![till.clone()], ledger, charges: None });
        found.into_iter().map(|found| found.invariant).collect::<Vec<_>>()
    };
    assert_eq!(rules(&till), [Invariant::MoneyBalances], "two bookings, one note");
    assert_eq!(rules(&Till { lost_doubts: vec![NOTE], ..till.clone() }), []);
    // Found by the next journal before its first payment: the one before may have told of it.
    let by = StackedBy::Unordered;
    let found = Fact::NoteStacked { note: 0, payment: payment(2), denomination: NOTE, by };
    assert_eq!(rules(&Till { records: records(vec![found.clone()]), ..till.clone() }), []);
    let later = records(vec![started(), found]);
    assert_eq!(rules(&Till { records: later, ..till }), [Invariant::MoneyBalances]);
}

fn card_deposit() -> Signed<Deposit> {
    signed(&Deposit {
        payment: payment(1),
        kind: DepositKind::Pay,
        quote: None,
        payer: None,
        notes: NotePile::default(),
        made_at: UtcTime(0),
    })
}

fn card_outcome() -> Signed<Outcome> {
    let token = CodeToken {
        code: PaymentCode::from_payload(7),
        payment: payment(1),
        service: "marriage".try_into().unwrap(),
        fee: Amount::from_tenge(4_325),
        payer_tail: 19,
        paid_at: UtcTime(0),
        valid_until: UtcTime(1),
    };
    let verdict = Verdict::Accepted { token: signed(&token), remainder: None };
    let deposit = card_deposit().digest();
    signed(&Outcome { payment: payment(1), deposit, verdict, at: UtcTime(0), center_epoch: 1 })
}

/// One card payment that was paid, on all three sides.
fn card_books() -> Books {
    let amount = Amount::from_tenge(4_325);
    let mark = CardMark {
        last_four: [0, 0, 1, 1],
        application: heapless::Vec::new(),
        label: heapless::String::new(),
        amount,
        pin: true,
    };
    let step = |step| Fact::Card { payment: payment(1), step };
    let evidence = ChipEvidence { tvr: [0; 5], tsi: [0; 2], cryptogram: heapless::Vec::new() };
    let records = records(vec![
        Fact::AuthorizeSent { deposit: card_deposit(), card: mark },
        step(CardStep::Authorized { approval: *b"000001", evidence }),
        Fact::Settled { outcome: card_outcome() },
        step(CardStep::ConfirmOwed),
        Fact::Finished { payment: payment(1), ending: Ending::Paid },
        step(CardStep::Confirmed),
    ]);
    let name = CardName { terminal: *b"KSK00042", trace: *b"000001", sent: *b"1122080000" };
    let booking = CardBooking {
        payment: payment(1),
        amount,
        name,
        standing: CardEnd::Taken,
        code: Some(PaymentCode::from_payload(7)),
        code_void: Some(false),
        number_kept: false,
    };
    let lines = vec![("cards".into(), 432_500), ("fees".into(), -432_500)];
    let settled = Settlement {
        payment: payment(1),
        outcome: card_outcome().digest(),
        code: Some(PaymentCode::from_payload(7)),
    };
    let ledger = Ledger {
        postings: vec![Posting { payment: payment(1), kind: "accepted".into(), lines }],
        settled: vec![settled],
        cards: vec![booking],
        ..Ledger::default()
    };
    let charges = Some(vec![Charge { name, amount, standing: CardEnd::Taken }]);
    Books { tills: vec![Till::new(kiosk(), Vec::new(), records)], ledger, charges }
}

fn codes_of(books: &Books) -> BTreeSet<&'static str> {
    at_rest(books).into_iter().map(|found| found.invariant.code()).collect()
}

#[test]
fn a_card_payment_that_all_tell_alike_is_in_order() {
    assert_eq!(at_rest(&card_books()), []);
}

#[test]
fn each_thing_that_can_be_wrong_with_a_card_payment_is_found() {
    let mut books = card_books();
    let booking = |books: &mut Books| books.ledger.cards[0].clone();
    // The issuer holds it for ever, has given it back, or was never asked by this center.
    for standing in [CardEnd::Held, CardEnd::Undone, CardEnd::Declined] {
        books.charges.as_mut().unwrap()[0].standing = standing;
        assert!(codes_of(&books).contains("I17"), "{standing:?}");
    }
    books = card_books();
    books.charges.as_mut().unwrap()[0].name.trace = *b"000002";
    assert!(codes_of(&books).contains("I17"));
    // Another name under the same payment's, another sum, no end, a number that is kept, a code that is void.
    books = card_books();
    let twin = booking(&mut books);
    books.ledger.cards.push(CardBooking { payment: payment(2), ..twin });
    assert!(codes_of(&books).contains("M18"));
    books = card_books();
    books.ledger.cards[0].amount = Amount::from_tenge(1);
    assert!(codes_of(&books).contains("I17"));
    books = card_books();
    books.ledger.cards[0].number_kept = true;
    assert!(codes_of(&books).contains("M18"));
    books = card_books();
    books.ledger.cards[0].code_void = Some(true);
    assert!(codes_of(&books).contains("M17"));
    books = card_books();
    books.ledger.early_reversals.push(payment(1));
    assert!(codes_of(&books).contains("M17"));
    // Taken for a code that nobody saw; ended without a word; not booked.
    books = card_books();
    books.tills[0].records.retain(|record| {
        !matches!(record.fact, Fact::Card { step: CardStep::ConfirmOwed | CardStep::Confirmed, .. })
    });
    let found = codes_of(&books);
    assert!(["I7", "M17", "L2"].iter().all(|code| found.contains(code)), "{found:?}");
    books = card_books();
    books.ledger.postings.clear();
    assert!(codes_of(&books).contains("I17"));
    // A center that forgot it in a restore is not blamed for what the issuer has, a kiosk that burnt not for what is still held.
    books = card_books();
    books.ledger.forgotten_cards = std::mem::take(&mut books.ledger.cards);
    assert_eq!(at_rest(&books), []);
    books = card_books();
    books.tills[0].journal_lost = true;
    books.ledger.cards[0].standing = CardEnd::Held;
    books.ledger.cards[0].code_void = Some(false);
    books.charges.as_mut().unwrap()[0].standing = CardEnd::Held;
    books.ledger.postings.clear();
    assert_eq!(at_rest(&books), []);
}

#[test]
fn a_card_number_is_found_as_text_as_numbers_and_packed() {
    let digits = ["40001234", "12341234"].concat();
    let packed = [0x40, 0x00, 0x12, 0x34, 0x12, 0x34, 0x12, 0x34];
    assert!(secrets_in("a disk", &[b"ab", &packed[..], b"c"].concat(), &[&digits]).is_some());
    assert!(secrets_in("a disk", format!("x{digits}").as_bytes(), &[&digits]).is_some());
    assert_eq!(secrets_in("a disk", &packed[1..], &[&digits]), None);
}
