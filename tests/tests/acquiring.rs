//! The center's rules for the acquirer against the test issuer: every message may be lost, every answer late or twice, the center dies in any
//! transaction; in the end both ledgers agree, trace numbers were never used twice, and a reversal was never overtaken.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use tolem_card_keys::{
    TdesKey, dukpt_tdes,
    pin_block::{self, Pin},
};
use tolem_center::{
    logic::{
        acquirer::{self, Acquiring, Ask, Begun, Heard, Standing, Why},
        memory::MemoryStore,
        store::{StoreError, Transact},
    },
    sqlite::SqliteStore,
};
use tolem_hal_sim::{
    chip_card::{CardProfile, ChipCard, IssuerKeys},
    issuer::{Account, Mood, Standing as AtIssuer, TestIssuer, Vault},
    line::Dice,
};
use tolem_protocol::{
    Amount, KioskNumber, PaymentId, UtcTime,
    emv::{CardNumber, apdu::Transport},
    iso8583::{Message, MessageType, de},
};
use tolem_tests::secrets::SearchedFolder;

const BASE: [u8; 16] = 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210_u128.to_be_bytes();
const SERIAL: [u8; 10] = [0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0, 1];
const TERMINAL: [u8; 8] = *b"KSK00042";
/// 2026-11-22, noon.
const START: UtcTime = UtcTime(1_795_348_800_000);

fn number() -> CardNumber {
    CardNumber::parse(concat!("5413", "3300", "8902", "0011")).unwrap()
}

fn digits() -> Vec<u8> {
    number().digits().iter().map(|digit| digit + b'0').collect()
}

fn amount() -> Amount {
    Amount::from_tenge(1_500)
}

fn payment(number: u64) -> PaymentId {
    PaymentId { kiosk: KioskNumber::new(42).unwrap(), epoch: 3, number, nonce: [0xAB; 16] }
}

fn ask(number: u64) -> Ask {
    // Sealed in a real center; here it only has to be opaque.
    Ask {
        payment: payment(number),
        terminal: TERMINAL,
        merchant: *b"KIOSKTEST000001",
        amount: amount(),
        sealed_number: vec![0x5E; 40],
        outcome: None,
    }
}

/// One card and what a kiosk would send of it.
struct Kiosk {
    card: ChipCard,
}

impl Kiosk {
    fn new() -> Self {
        let mut card = ChipCard::new(CardProfile::common(number(), &IssuerKeys::test()), Transport::T1);
        card.reset();
        Self { card }
    }

    /// What only the kiosk knows; the rules add the rest.
    fn draft(&mut self, entered: &str) -> Message {
        let initial = dukpt_tdes::initial_key(&BASE, SERIAL);
        let clear = pin_block::format_0(&Pin::parse(entered).unwrap(), &number());
        let block = dukpt_tdes::pin_key(&initial, SERIAL).encrypt(clear);
        Message::new(MessageType::AUTHORIZATION)
            .with(de::NUMBER, &digits())
            .with(de::PROCESSING, b"000000")
            .with(de::EXPIRY, b"3012")
            .with(de::SEQUENCE, b"001")
            .with(de::PIN_BLOCK, &block)
            .with(de::PIN_KEY, b"FFFF9876543210E00001")
            .with(de::CHIP, &self.card.online_data([0, 0, 0, 0x15, 0, 0]))
    }
}

fn full() -> Amount {
    Amount::from_tenge(1_000_000)
}

fn issuer() -> TestIssuer {
    let vault = Vault::new(BASE, TdesKey::new(&[0x5B; 16]).unwrap());
    let mut issuer = TestIssuer::new(IssuerKeys::test(), vault);
    issuer.open(&number(), Account::new(full(), Pin::parse("2580").unwrap()));
    issuer
}

/// Sends what the rules gave out; the answer, if one comes.
fn say(issuer: &mut TestIssuer, message: &Message) -> Option<Message> {
    issuer.hear(&message.encode()).map(|answer| Message::decode(&answer).unwrap())
}

fn begin<S: Transact + Acquiring>(store: &mut S, now: UtcTime, number: u64) -> Begun {
    store.transact(|store| acquirer::begin(store, now, ask(number))).unwrap()
}

fn hear<S: Transact + Acquiring>(store: &mut S, answer: &Message) -> Heard {
    store.transact(|store| acquirer::hear(store, START, answer)).unwrap()
}

/// Says everything that is due, and takes in what is answered.
fn work<S: Transact + Acquiring>(store: &mut S, issuer: &mut TestIssuer, now: UtcTime) -> Vec<MessageType> {
    let due = store.transact(|store| acquirer::due(store, now, 8)).unwrap();
    let mut said = Vec::new();
    for row in due {
        let message = acquirer::errand(&row, &number().into()).unwrap().unwrap();
        for secret in [de::PIN_BLOCK, de::TRACK2, de::CHIP] {
            assert_eq!(message.get(secret), None, "nothing secret is said again");
        }
        said.push(message.kind);
        if let Some(answer) = say(issuer, &message) {
            hear(store, &answer);
        }
    }
    said
}

fn standing<S: Acquiring>(store: &S, number: u64) -> Standing {
    acquirer::enquire(store, &payment(number)).unwrap().unwrap().standing
}

/// A database that lives as long as its folder.
fn sqlite() -> (SearchedFolder, SqliteStore) {
    let folder = SearchedFolder::new("tolem-");
    let store = SqliteStore::create(&folder.path().join("center.db"), 1).unwrap();
    (folder, store)
}

#[test]
fn a_payment_is_asked_for_once_confirmed_and_agrees() {
    fn story<S: Transact + Acquiring>(mut store: S) {
        let (mut issuer, mut kiosk) = (issuer(), Kiosk::new());
        let Begun::Send(row) = begin(&mut store, START, 1) else { panic!("a new payment") };
        assert!(matches!(begin(&mut store, START, 1), Begun::Known(_)), "never sent again");
        let message = acquirer::request(&row, kiosk.draft("2580")).unwrap();
        let answer = say(&mut issuer, &message).unwrap();
        assert!(
            matches!(hear(&mut store, &answer), Heard::Decided(row) if row.standing == Standing::Approved)
        );
        assert!(matches!(hear(&mut store, &answer), Heard::Late(_)));
        // Nobody has decided yet, and that is seen.
        assert_eq!(store.cards_undecided(START).unwrap().len(), 1);
        assert!(work(&mut store, &mut issuer, START.plus_seconds(3_600)).is_empty());
        let confirmed = store.transact(|store| acquirer::confirm(store, START, &payment(1))).unwrap();
        assert_eq!(confirmed, Standing::Confirming);
        issuer.moods.extend([Mood::LosesAnswer, Mood::LosesRequest]);
        for at in [0, 10, 30] {
            assert_eq!(work(&mut store, &mut issuer, START.plus_seconds(at)), [MessageType::ADVICE]);
        }
        assert_eq!(standing(&store, 1), Standing::Confirmed);
        // What is confirmed stays so, and its number is forgotten.
        let voided = store.transact(|store| acquirer::void(store, START, &payment(1), Why::Void)).unwrap();
        assert_eq!(voided, Standing::Confirmed);
        assert!(store.card(&payment(1)).unwrap().unwrap().sealed_number.is_empty());
        assert_eq!(issuer.taken_and_held(), (amount(), Amount::from_tiyn(0)));
    }
    story(MemoryStore::new(1));
    let (_folder, store) = sqlite();
    story(store);
}

#[test]
fn a_missing_answer_is_reversed_until_acknowledged_and_comes_too_late_after_that() {
    fn story<S: Transact + Acquiring>(mut store: S) {
        let (mut issuer, mut kiosk) = (issuer(), Kiosk::new());
        let Begun::Send(row) = begin(&mut store, START, 1) else { panic!("a new payment") };
        let message = acquirer::request(&row, kiosk.draft("2580")).unwrap();
        let late = say(&mut issuer, &message).unwrap();
        assert!(work(&mut store, &mut issuer, START.plus_seconds(59)).is_empty(), "it may still come");
        issuer.moods.extend([Mood::LosesRequest, Mood::LosesAnswer]);
        assert_eq!(work(&mut store, &mut issuer, START.plus_seconds(60)), [MessageType::REVERSAL]);
        assert!(matches!(hear(&mut store, &late), Heard::Late(_)), "the reversal wins");
        assert_eq!(standing(&store, 1), Standing::Reversing);
        let confirmed = store.transact(|store| acquirer::confirm(store, START, &payment(1))).unwrap();
        assert_eq!(confirmed, Standing::Reversing, "too late to take it");
        for at in [70, 90] {
            assert_eq!(work(&mut store, &mut issuer, START.plus_seconds(at)), [MessageType::REVERSAL_REPEAT]);
        }
        assert_eq!(standing(&store, 1), Standing::Reversed);
        assert!(work(&mut store, &mut issuer, START.plus_seconds(9_999)).is_empty());
        assert_eq!(issuer.account(&number()).unwrap().available, full());
    }
    story(MemoryStore::new(1));
    let (_folder, store) = sqlite();
    story(store);
}

#[test]
fn a_decline_is_an_end_and_answers_to_nothing_are_nothing() {
    let (mut store, mut issuer, mut kiosk) = (MemoryStore::new(1), issuer(), Kiosk::new());
    let Begun::Send(row) = begin(&mut store, START, 1) else { panic!("a new payment") };
    let answer = say(&mut issuer, &acquirer::request(&row, kiosk.draft("1111")).unwrap()).unwrap();
    for (field, value) in
        [(de::TRACE, &b"000009"[..]), (de::SENT, b"1122120001"), (de::TERMINAL, b"KSK00043")]
    {
        assert_eq!(hear(&mut store, &answer.clone().with(field, value)), Heard::Unknown);
    }
    assert!(matches!(hear(&mut store, &answer), Heard::Decided(row) if row.code == Some(*b"55")));
    let voided = store.transact(|store| acquirer::void(store, START, &payment(1), Why::Void)).unwrap();
    assert_eq!(voided, Standing::Declined);
    assert!(work(&mut store, &mut issuer, START.plus_seconds(9_999)).is_empty());
    assert!(store.card(&payment(1)).unwrap().unwrap().sealed_number.is_empty());
}

/// An answer that is no acknowledgement ends nothing.
#[test]
fn a_reversal_that_the_issuer_refuses_is_said_again() {
    let mut store = MemoryStore::new(1);
    begin(&mut store, START, 1);
    let row = store.transact(|store| acquirer::due(store, START.plus_seconds(60), 8)).unwrap().remove(0);
    let name = row.errand.unwrap();
    let answer = |code: &[u8]| {
        Message::new(MessageType::REVERSAL_ANSWER)
            .with(de::TRACE, &name.trace_digits())
            .with(de::SENT, &name.sent_digits())
            .with(de::TERMINAL, &TERMINAL)
            .with(de::RESPONSE, code)
    };
    assert!(matches!(hear(&mut store, &answer(b"30")), Heard::Disputed(_)));
    assert_eq!(standing(&store, 1), Standing::Reversing);
    assert_eq!(store.transact(|store| acquirer::due(store, START.plus_seconds(70), 8)).unwrap().len(), 1);
    assert!(matches!(hear(&mut store, &answer(b"25")), Heard::Settled(_)));
    assert_eq!(standing(&store, 1), Standing::Reversed);
}

/// Six digits go round; the answer still finds the newest request that they name, and an old one does not.
#[test]
fn trace_numbers_go_round_without_being_mistaken() {
    let mut store = MemoryStore::new(1);
    let answer_to = |row: &acquirer::CardRow| {
        Message::new(MessageType::AUTHORIZATION_ANSWER)
            .with(de::TRACE, &row.request.trace_digits())
            .with(de::SENT, &row.request.sent_digits())
            .with(de::TERMINAL, &TERMINAL)
            .with(de::RESPONSE, b"51")
    };
    let Begun::Send(old) = begin(&mut store, START, 1) else { panic!("a new payment") };
    while store.last_trace().unwrap() < 999_999 {
        store.next_trace().unwrap();
    }
    let Begun::Send(before) = begin(&mut store, START.plus_seconds(1), 2) else { panic!("a new payment") };
    let Begun::Send(after) = begin(&mut store, START.plus_seconds(2), 3) else { panic!("a new payment") };
    assert_eq!((before.request.trace_digits(), after.request.trace_digits()), (*b"000000", *b"000001"));
    assert_eq!(old.request.trace_digits(), after.request.trace_digits());
    for (row, number) in [(&before, 2), (&after, 3)] {
        assert!(
            matches!(hear(&mut store, &answer_to(row)), Heard::Decided(found) if found.payment == payment(number))
        );
    }
    assert_eq!(hear(&mut store, &answer_to(&old)), Heard::Unknown, "a million messages later");
}

/// Whatever is lost, late, doubled or cut: at rest the issuer's ledger is the center's.
#[test]
fn by_seed_both_ledgers_agree_and_no_trace_number_comes_twice() {
    let folder = SearchedFolder::new("tolem-");
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..12 {
        let path = folder.path().join(format!("{seed}.db"));
        drop(SqliteStore::create(&path, 1).unwrap());
        chaos(seed, &path, &mut ends);
    }
    for wanted in ["Confirmed", "Reversed", "Declined"] {
        assert!(ends.get(wanted).is_some_and(|count| *count > 5), "{ends:?}");
    }
}

fn chaos(seed: u64, path: &std::path::Path, ends: &mut BTreeMap<String, u32>) {
    let mut dice = Dice::new(seed);
    let (mut issuer, mut kiosk) = (issuer(), Kiosk::new());
    let mut store = SqliteStore::open(path).unwrap();
    let (mut now, mut late) = (START, Vec::<Message>::new());
    for n in 1..=12 {
        for mood in [Mood::LosesRequest, Mood::LosesAnswer] {
            if dice.chance(150) {
                issuer.moods.push_back(mood);
            }
        }
        // The center dies in the middle of a transaction: nothing of it happened, and nothing was sent.
        if dice.chance(200) {
            let cut = store.transact(|store| {
                acquirer::begin(store, now, ask(n))?;
                Err::<(), _>(StoreError("the power failed".into()))
            });
            assert!(cut.is_err());
            store = SqliteStore::open(path).unwrap();
        }
        if let Begun::Send(row) = begin(&mut store, now, n) {
            let entered = if dice.chance(150) { "9999" } else { "2580" };
            let message = acquirer::request(&row, kiosk.draft(entered)).unwrap();
            match say(&mut issuer, &message) {
                Some(answer) if dice.chance(200) => late.push(answer),
                Some(answer) => drop(hear(&mut store, &answer)),
                None => {}
            }
        }
        if dice.chance(100) {
            store = SqliteStore::open(path).unwrap();
        }
        // The kiosk decides by what the center says, which may have changed meanwhile.
        if standing(&store, n) == Standing::Approved {
            let at = now;
            let decided = if dice.chance(700) {
                store.transact(|store| acquirer::confirm(store, at, &payment(n))).unwrap()
            } else {
                store.transact(|store| acquirer::void(store, at, &payment(n), Why::Void)).unwrap()
            };
            assert!(matches!(decided, Standing::Confirming | Standing::Reversing));
        }
        now = now.plus_seconds(dice.below(90) as i64);
        work(&mut store, &mut issuer, now);
        if dice.chance(300)
            && let Some(answer) = late.pop()
        {
            hear(&mut store, &answer);
        }
    }
    // The faults stop; a late approval that nobody used is given back, as its kiosk would say.
    issuer.moods.clear();
    for answer in &late {
        hear(&mut store, answer);
    }
    for row in store.cards_undecided(now).unwrap() {
        store.transact(|store| acquirer::void(store, now, &row.payment, Why::Void)).unwrap();
    }
    for _ in 0..40 {
        now = now.plus_seconds(600);
        work(&mut store, &mut issuer, now);
    }
    let (mut taken, mut traces) = (0, BTreeSet::new());
    for n in 1..=12 {
        let row = store.card(&payment(n)).unwrap().unwrap();
        for name in [Some(row.request), row.errand].into_iter().flatten() {
            assert!(traces.insert(name.trace), "seed {seed}: a trace number came twice");
        }
        assert!(row.sealed_number.is_empty(), "seed {seed}: nothing is kept longer than it is needed");
        let end = row.standing;
        *ends.entry(format!("{end:?}")).or_default() += 1;
        assert!(
            matches!(end, Standing::Declined | Standing::Confirmed | Standing::Reversed),
            "seed {seed}: {end:?}"
        );
        taken += u64::from(end == Standing::Confirmed) * amount().tiyn();
    }
    let (at_issuer, held) = issuer.taken_and_held();
    assert_eq!((at_issuer.tiyn(), held.tiyn()), (taken, 0), "seed {seed}");
    let open = issuer.ledger().filter(|(_, entry)| entry.standing == AtIssuer::Held).count();
    assert_eq!(open, 0, "seed {seed}");
    let left = issuer.account(&number()).unwrap().available;
    assert_eq!(left, full().saturating_sub(Amount::from_tiyn(taken)), "seed {seed}");
}
