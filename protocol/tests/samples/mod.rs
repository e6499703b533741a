//! Representative values of everything that has frozen bytes, and (in `largest`) everything filled to its capacity.

pub mod largest;

use tolem_protocol::{
    Amount, BalanceNumber, Bin, ClaimNumber, Date, Denomination, Iin, KioskNumber, PaymentCode, PaymentId,
    UtcTime,
    card::{
        CardAnswer, CardMark, CardMoved, CardOrder, CardStep, ChipEvidence, DeclineReason, IssuerWords,
        RetainReason, SealedCard, VoidReason,
    },
    catalogue::{CatalogueHead, Group, Language, MrpRate, Names, Price, Service, ServiceCode},
    enrolment::{Answer, Enrol, InviteCode, Question, Why},
    messages::{
        ClaimAnswer, CodeToken, Deposit, DepositKind, HeldBalance, Hello, HoldReason, Limits, Method,
        Outcome, PayerCheck, PrintRight, Quote, Refusal, Request, Response, SealedIin, Verdict, Welcome,
    },
    notes::{NotePattern, NotePile, NoteTable},
    record::{Doubt, Ending, Fact, Paper, PrintFault, Record, StackedBy},
    signed::{Signature, Signed, Statement},
    signed_note::{Checkpoint, KeyKind, NoteKey},
};

/// Named values.
pub type Samples<T> = Vec<(String, T)>;

/// What stands where a signature stands. Nothing here is verified.
pub const SIGNATURE: Signature = {
    let mut bytes = [0; 64];
    let mut at = 0;
    while at < 64 {
        bytes[at] = at as u8 ^ 0xA5;
        at += 1;
    }
    Signature(bytes)
};

/// 2026-11-22T08:00:00Z.
const NOW: UtcTime = UtcTime::from_seconds(1_795_334_400);

pub fn signed<T: Statement>(statement: &T) -> Signed<T> {
    Signed::new(statement, |_| SIGNATURE)
}

pub fn text<const N: usize>(text: &str) -> heapless::String<N> {
    heapless::String::try_from(text).expect("it fits")
}

fn named<T>(name: &str, value: T) -> (String, T) {
    (name.into(), value)
}

fn day(iso: &str) -> Date {
    Date::parse_iso(iso).expect("a day")
}

pub fn payment() -> PaymentId {
    let kiosk = KioskNumber::new(42).expect("a kiosk number");
    PaymentId { kiosk, epoch: 3, number: 1_234, nonce: *b"0123456789abcdef" }
}

/// From the table of numbers without living holders.
fn iin() -> Iin {
    Iin::parse("000101300019", day("2026-11-22")).expect("an IIN")
}

fn sealed() -> SealedIin {
    SealedIin([0x5A; 32], heapless::Vec::from_slice(&[0xC3; 28]).expect("28 bytes"))
}

fn pile() -> NotePile {
    let mut pile = NotePile::default();
    for tenge in [2_000, 500, 2_000] {
        pile.add(Denomination(tenge));
    }
    pile
}

fn balance(reason: HoldReason) -> HeldBalance {
    let number = BalanceNumber::from_payload(20_261_122_123);
    HeldBalance { number, amount: Amount::from_tenge(1_137), reason }
}

pub fn quote() -> Quote {
    Quote {
        payment: payment(),
        service: text("passport-36"),
        service_digest: [0x11; 32],
        payer: text("А••• Б•••"),
        fee: Amount::from_tiyn(3_460_049),
        commission: Amount::from_tiyn(150),
        cash_total: Amount::from_tenge(34_602),
        balance: Some((BalanceNumber::from_payload(7), Amount::from_tenge(500))),
        method: Method::Cash,
        made_at: NOW,
        valid_until: NOW.plus_seconds(900),
    }
}

pub fn plain_quote() -> Quote {
    Quote { payer: text(""), commission: Amount::ZERO, balance: None, method: Method::Card, ..quote() }
}

pub fn deposit() -> Deposit {
    Deposit {
        payment: payment(),
        kind: DepositKind::Pay,
        quote: Some(signed(&quote())),
        payer: Some(sealed()),
        notes: pile(),
        made_at: NOW.plus_seconds(60),
    }
}

pub fn deposit_without_payment() -> Deposit {
    Deposit { kind: DepositKind::Hold(HoldReason::NoPayment), quote: None, payer: None, ..deposit() }
}

pub fn token() -> CodeToken {
    CodeToken {
        code: PaymentCode::from_random(12_345_678_901_234),
        payment: payment(),
        service: text("passport-36"),
        fee: Amount::from_tiyn(3_460_049),
        payer_tail: 19,
        paid_at: NOW.plus_seconds(61),
        valid_until: NOW.plus_seconds(365 * 86_400),
    }
}

fn outcome(verdict: Verdict) -> Outcome {
    let deposit = signed(&deposit()).digest();
    Outcome { payment: payment(), deposit, verdict, at: NOW.plus_seconds(61), center_epoch: 2 }
}

pub fn accepted() -> Outcome {
    let remainder = Some(balance(HoldReason::Remainder));
    outcome(Verdict::Accepted { token: signed(&token()), remainder })
}

pub fn held() -> Outcome {
    outcome(Verdict::Held(balance(HoldReason::Refused)))
}

pub fn service() -> Service {
    let code: ServiceCode = text("passport-36");
    Service {
        code,
        group: Group::Documents,
        name: Names::new("Паспорт, 36 бет", "Паспорт, 36 страниц", "Passport, 36 pages").expect("short"),
        about: Names::new("10 жылға.", "На 10 лет.", "For 10 years.").expect("short"),
        payee: Names::new("ҚР ІІМ", "МВД РК", "Ministry of the Interior").expect("short"),
        payee_bin: Bin::parse("991240000013").expect("a BIN"),
        kbk: 108_125,
        knp: 911,
        price: Price::Mrp { thousandths: 8_000 },
        rank: 1,
    }
}

fn head() -> CatalogueHead {
    let pattern = |tenge, pattern, from, to: Option<&str>| NotePattern {
        denomination: Denomination(tenge),
        pattern,
        valid_from: day(from),
        valid_to: to.map(day),
    };
    let notes =
        [pattern(5_000, 2011, "2011-01-01", Some("2025-09-24")), pattern(5_000, 2023, "2023-12-25", None)];
    CatalogueHead {
        version: 9,
        services: 14,
        mrp: heapless::Vec::from_slice(&[MrpRate {
            from: day("2026-01-01"),
            amount: Amount::from_tenge(4_325),
        }])
        .expect("one"),
        notes: NoteTable(heapless::Vec::from_slice(&notes).expect("two")),
        phone: text("1414"),
        site: text("egov.kz"),
    }
}

fn limits() -> Limits {
    Limits {
        per_payment: Amount::from_tenge(200_000),
        per_day: Amount::from_tenge(1_000_000),
        unsettled_total: Amount::from_tenge(500_000),
        unsettled_count: 20,
        unsettled_age_s: 86_400,
        answer_wait_s: 30,
        print_whole_iin: false,
    }
}

pub fn requests() -> Samples<Request> {
    let hello = Hello {
        software: text("tolem 0.1.0"),
        boot_nonce: *b"0123456789abcdef",
        epoch: 3,
        journal_size: 100_000,
        clock: NOW,
        center_epoch: 2,
    };
    let ask = |balance| Request::Quote {
        payment: payment(),
        service: text("passport-36"),
        payer: iin(),
        method: Method::Cash,
        balance,
    };
    let number = BalanceNumber::from_payload(20_261_122_123);
    let mut samples = vec![
        named("Hello", Request::Hello(hello)),
        named("Catalogue", Request::Catalogue),
        named("Service", Request::Service(300)),
        named("CheckPayer", Request::CheckPayer(iin())),
        named("Quote", ask(None)),
        named("Quote/balance", ask(Some(number))),
        named("Commit", Request::Commit(signed(&deposit()))),
        named("Status", Request::Status(payment())),
        named("Void", Request::Void(payment())),
        named("Claim", Request::Claim { claim: ClaimNumber::new(payment().kiosk, 1_234), payer: iin() }),
        named("Voucher", Request::Voucher { number, payer: iin() }),
        named("PrintRight", Request::PrintRight(payment())),
        named("Time", Request::Time),
        named("Crl", Request::Crl { offset: 4_096 }),
        named(
            "Checkpoint",
            Request::Checkpoint {
                old_size: 1_000,
                proof: heapless::Vec::from_slice(&[[0xAB; 32], [0xCD; 32]]).expect("two"),
                note: text("tolem/journal/00042\n7\nroot\n\n— tolem/journal/00042 c2ln\n"),
            },
        ),
        named("Recall", Request::Recall { deposit: signed(&deposit()), outcome: signed(&accepted()) }),
        named("Authorize", Request::Authorize(order())),
        named("CardConfirm", Request::CardConfirm(payment())),
        named("CardEnquire", Request::CardEnquire(payment())),
        named("CardService", Request::CardService),
        named("SealedCardService", Request::SealedCardService),
    ];
    for why in VOIDS {
        samples.push((format!("CardVoid/{why:?}"), Request::CardVoid { payment: payment(), why }));
    }
    for method in [Method::Card, Method::Either] {
        let (payment, service) = (payment(), text("id-card"));
        let request = Request::Quote { payment, service, payer: iin(), method, balance: None };
        samples.push((format!("Quote/{method:?}"), request));
    }
    for reason in REASONS {
        let kind = DepositKind::Hold(reason);
        let hold = Deposit { kind, ..deposit_without_payment() };
        samples.push((format!("Hold/{reason:?}"), Request::Hold(signed(&hold))));
    }
    samples
}

const VOIDS: [VoidReason; 5] = [
    VoidReason::NoAnswer,
    VoidReason::CardRefused,
    VoidReason::BadAnswer,
    VoidReason::PowerCut,
    VoidReason::Abandoned,
];

fn card_deposit() -> Deposit {
    let quote = Some(signed(&Quote { method: Method::Either, ..plain_quote() }));
    Deposit { quote, notes: NotePile::default(), ..deposit() }
}

fn order() -> CardOrder {
    CardOrder {
        deposit: signed(&card_deposit()),
        terminal: *b"KSK00042",
        merchant: *b"KIOSKTEST000001",
        sealed: SealedCard([0x5A; 32], heapless::Vec::from_slice(&[0xC3; 80]).expect("80 bytes")),
        chip_data: heapless::Vec::from_slice(&[0x9F, 0x36, 0x02, 0x00, 0x07]).expect("five"),
    }
}

fn issuer(response_code: [u8; 2]) -> IssuerWords {
    IssuerWords {
        response_code,
        authentication: heapless::Vec::from_slice(&[0x91; 10]).expect("ten"),
        scripts: heapless::Vec::from_slice(&[0x72, 0x02, 0x86, 0x00]).expect("four"),
    }
}

fn card_answers() -> Samples<CardAnswer> {
    let mut samples = vec![
        named(
            "Approved",
            CardAnswer::Approved {
                outcome: signed(&accepted()),
                approval: *b"A1B2C3",
                issuer: issuer(*b"00"),
            },
        ),
        named("Undecided", CardAnswer::Undecided),
        named("Unknown", CardAnswer::Unknown),
        named("Voided", CardAnswer::Voided),
        named("Confirmed", CardAnswer::Confirmed),
        named(
            "Declined/told",
            CardAnswer::Declined { reason: DeclineReason::Funds, issuer: Some(issuer(*b"51")) },
        ),
    ];
    for reason in DeclineReason::ALL {
        samples.push((format!("Declined/{reason:?}"), CardAnswer::Declined { reason, issuer: None }));
    }
    samples
}

/// A card's way through a payment.
fn cards() -> Samples<Fact> {
    let mut facts = vec![
        named(
            "AuthorizeSent",
            Fact::AuthorizeSent {
                deposit: signed(&card_deposit()),
                card: CardMark {
                    last_four: [0, 0, 1, 1],
                    application: heapless::Vec::from_slice(&[0xA0, 0, 0, 0, 4, 0x10, 0x10]).expect("seven"),
                    label: text("MASTERCARD"),
                    amount: Amount::from_tiyn(3_460_049),
                    pin: true,
                },
            },
        ),
        named(
            "PinKeyUsed",
            Fact::PinKeyUsed { serial: [0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0, 1] },
        ),
    ];
    let evidence = ChipEvidence {
        tvr: [0x80, 0, 4, 0x80, 0],
        tsi: [0xE8, 0],
        cryptogram: heapless::Vec::from_slice(&[0xAC; 8]).expect("eight"),
    };
    let mut steps = vec![
        ("Authorized".to_owned(), CardStep::Authorized { approval: *b"A1B2C3", evidence }),
        ("ReversalAcknowledged".to_owned(), CardStep::ReversalAcknowledged),
        ("ConfirmOwed".to_owned(), CardStep::ConfirmOwed),
        ("Confirmed".to_owned(), CardStep::Confirmed),
    ];
    steps.extend(VOIDS.map(|why| (format!("ReversalOwed/{why:?}"), CardStep::ReversalOwed(why))));
    steps.extend(
        DeclineReason::ALL.map(|reason| (format!("Declined/{reason:?}"), CardStep::Declined(reason))),
    );
    for (name, step) in steps {
        facts.push((format!("Card/{name}"), Fact::Card { payment: payment(), step }));
    }
    for (name, moved) in [
        ("Inserted", CardMoved::Inserted),
        ("Taken", CardMoved::Taken),
        ("RetainOrdered/Forgotten", CardMoved::RetainOrdered(RetainReason::Forgotten)),
        ("RetainOrdered/FoundAtStart", CardMoved::RetainOrdered(RetainReason::FoundAtStart)),
        ("Retained", CardMoved::Retained(Some(3))),
        ("Retained/uncounted", CardMoved::Retained(None)),
    ] {
        facts.push((format!("CardMoved/{name}"), Fact::CardMoved { payment: Some(payment()), moved }));
    }
    let moved = CardMoved::Taken;
    facts.push(named("CardMoved/without-payment", Fact::CardMoved { payment: None, moved }));
    facts
}

const REASONS: [HoldReason; 6] = [
    HoldReason::Stopped,
    HoldReason::Remainder,
    HoldReason::Suspense,
    HoldReason::NoPayment,
    HoldReason::Refused,
    HoldReason::JournalFailed,
];

pub fn responses() -> Samples<Response> {
    let welcome = Welcome { epoch: 4, center_epoch: 2, clock: NOW, catalogue: 9, limits: limits() };
    let settled = |outcome: Outcome, quote: Option<Quote>| {
        Response::Claim(ClaimAnswer::Settled { outcome: signed(&outcome), quote: quote.as_ref().map(signed) })
    };
    let mut samples = vec![
        named("Welcome", Response::Welcome(welcome)),
        named("Catalogue", Response::Catalogue(head())),
        named("Payer/Right", Response::Payer(PayerCheck::Right { name: text("А••• Б•••") })),
        named("Payer/Wrong", Response::Payer(PayerCheck::Wrong)),
        named("Payer/Unavailable", Response::Payer(PayerCheck::Unavailable)),
        named("Quote", Response::Quote(signed(&quote()))),
        named("Outcome/Accepted", Response::Outcome(signed(&accepted()))),
        named("Outcome/Held", Response::Outcome(signed(&held()))),
        named("NoOutcome", Response::NoOutcome),
        named("Claim/Settled", settled(accepted(), Some(quote()))),
        named("Claim/Settled/held", settled(held(), None)),
        named("Claim/NotArrived", Response::Claim(ClaimAnswer::NotArrived)),
        named("Claim/NoMatch", Response::Claim(ClaimAnswer::NoMatch)),
        named("PrintRight/Original", Response::PrintRight(PrintRight::Original)),
        named("PrintRight/Copy", Response::PrintRight(PrintRight::Copy)),
        named("Time", Response::Time(NOW)),
        named("Time/before-1970", Response::Time(UtcTime(-1))),
        named(
            "Crl",
            Response::Crl { total: 5_000, slice: heapless::Vec::from_slice(b"der").expect("three") },
        ),
        named("Cosigned", Response::Cosigned(text("— tolem/witness c2ln\n"))),
        named("WitnessAt", Response::WitnessAt(999)),
        named("Recalled", Response::Recalled),
        named("Answered", Response::Answered { deposit: signed(&deposit()), outcome: signed(&accepted()) }),
    ];
    for group in Group::ALL {
        let service = Service { group, ..service() };
        samples.push((format!("Service/{group:?}"), Response::Service(service)));
    }
    let fixed = Service { price: Price::Fixed(Amount::from_tenge(1_000)), ..service() };
    samples.push(named("Service/fixed", Response::Service(fixed)));
    for reason in REASONS {
        samples.push((format!("Balance/{reason:?}"), Response::Balance(balance(reason))));
    }
    for refusal in [
        Refusal::IdConflict,
        Refusal::NotYours,
        Refusal::Unknown,
        Refusal::Limit,
        Refusal::BalanceNotFree,
        Refusal::TooManyAttempts,
        Refusal::Unavailable,
        Refusal::JournalRolledBack,
        Refusal::Malformed,
        Refusal::Rebuilding,
    ] {
        samples.push((format!("Refused/{refusal:?}"), Response::Refused(refusal)));
    }
    for open in [false, true] {
        samples.push((format!("CardService/{open}"), Response::CardService { clock: NOW, open }));
    }
    samples.extend(
        card_answers().into_iter().map(|(name, answer)| (format!("Card/{name}"), Response::Card(answer))),
    );
    samples
}

pub fn records() -> Samples<Record> {
    let record = |(name, fact)| (name, Record { seq: 300, boot: 2, mono_ms: 90_000, utc: NOW, fact });
    let mut samples: Samples<Record> = life().into_iter().map(record).collect();
    samples.extend(money().into_iter().map(record));
    samples.extend(paper().into_iter().map(record));
    samples.extend(cards().into_iter().map(record));
    samples
}

/// The terminal and its devices.
fn life() -> Samples<Fact> {
    let bills = [(2, Denomination(500)), (4, Denomination(2_000))];
    vec![
        named("Booted", Fact::Booted { nonce: *b"0123456789abcdef", software: text("tolem 0.1.0") }),
        named("Linked", Fact::Linked { epoch: 4, center_epoch: 2 }),
        named(
            "AcceptorIdentified",
            Fact::AcceptorIdentified {
                serial: text("12KC004711"),
                part: text("SM-KZ1353"),
                bills: heapless::Vec::from_slice(&bills).expect("two"),
            },
        ),
        named("Cosigned", Fact::Cosigned { size: 300, line: text("— tolem/witness c2ln\n") }),
        named("CassetteRemoved", Fact::CassetteRemoved(true)),
        named("CassetteRemoved/back", Fact::CassetteRemoved(false)),
        named("Opened", Fact::Opened { part: text("door"), open: true }),
        named("FaultChanged", Fact::FaultChanged { code: text("ACC-JAM"), present: true }),
        named("CheatReported", Fact::CheatReported),
        named(
            "NoteMoved",
            Fact::NoteMoved {
                from: payment(),
                to: PaymentId { number: payment().number + 1, ..payment() },
                denomination: Denomination(1000),
            },
        ),
    ]
}

/// Notes, deposits, answers.
fn money() -> Samples<Fact> {
    let (denomination, payment) = (Denomination(2_000), payment());
    let mut facts = vec![
        named("StackOrdered", Fact::StackOrdered { note: 17, payment, denomination, counter: Some(1_016) }),
        named(
            "StackOrdered/uncounted",
            Fact::StackOrdered { note: 17, payment, denomination, counter: None },
        ),
        named("NoteReturned", Fact::NoteReturned { note: 17 }),
        named("CommitRequested", Fact::CommitRequested { deposit: signed(&deposit()) }),
        named("HoldRequested", Fact::HoldRequested { deposit: signed(&deposit_without_payment()) }),
        named("AccountLearned", Fact::AccountLearned { deposit: signed(&deposit()) }),
        named("Settled/Accepted", Fact::Settled { outcome: signed(&accepted()) }),
        named("Settled/Held", Fact::Settled { outcome: signed(&held()) }),
        named("Resumed", Fact::Resumed { payment }),
    ];
    for language in Language::ALL {
        let (quote, payer, payer_tag) = (signed(&quote()), sealed(), [0x77; 16]);
        let fact = Fact::Started { payment, quote, payer, payer_tag, language };
        facts.push((format!("Started/{language:?}"), fact));
    }
    for by in [StackedBy::Report, StackedBy::PowerUp, StackedBy::Counter, StackedBy::Unordered] {
        facts
            .push((format!("NoteStacked/{by:?}"), Fact::NoteStacked { note: 17, payment, denomination, by }));
    }
    for (name, doubt) in [
        ("NoWitness", Doubt::NoWitness),
        ("CounterJumped", Doubt::CounterJumped { before: 1_016, after: 1_020 }),
        ("Jam", Doubt::Jam),
        ("Absent", Doubt::Absent),
        ("OtherDevice", Doubt::OtherDevice),
    ] {
        facts.push((
            format!("NoteInDoubt/{name}"),
            Fact::NoteInDoubt { note: 17, payment, denomination, doubt },
        ));
    }
    for ending in [Ending::Paid, Ending::Held, Ending::Voided, Ending::ClaimGiven] {
        facts.push((format!("Finished/{ending:?}"), Fact::Finished { payment, ending }));
    }
    facts
}

fn paper() -> Samples<Fact> {
    let mut facts = vec![named("Printed", Fact::Printed { print: 5 })];
    for (paper, copy) in [(Paper::Receipt, false), (Paper::ClaimSlip, false), (Paper::Voucher, true)] {
        let fact = Fact::PrintOrdered { print: 5, payment: payment(), paper, copy };
        facts.push((format!("PrintOrdered/{paper:?}"), fact));
    }
    for fault in [
        PrintFault::PaperOut,
        PrintFault::CoverOpen,
        PrintFault::Cutter,
        PrintFault::Mechanism,
        PrintFault::Absent,
        PrintFault::Unknown,
    ] {
        facts.push((format!("PrintFailed/{fault:?}"), Fact::PrintFailed { print: 5, fault }));
    }
    facts
}

pub fn enrol() -> Enrol {
    let request = heapless::Vec::from_slice(&[0x30; 200]).expect("it fits");
    Enrol { kiosk: payment().kiosk, journal_key: [0x42; 32], code: InviteCode(*b"0123456789"), request }
}

pub fn enrolment_questions() -> Samples<Question> {
    let request = heapless::Vec::from_slice(&[0x30; 200]).expect("it fits");
    vec![named("Enrol", Question::Enrol(signed(&enrol()))), named("Renew", Question::Renew(request))]
}

pub fn enrolment_answers() -> Samples<Answer> {
    let certificate = heapless::Vec::from_slice(&[0x30; 500]).expect("it fits");
    let mut all = vec![named("Issued", Answer::Issued(certificate))];
    for why in [
        Why::WrongCode,
        Why::CodeExpired,
        Why::CodeUsed,
        Why::Signature,
        Why::Request,
        Why::NoCertificate,
        Why::Superseded,
        Why::Unknown,
        Why::Unavailable,
    ] {
        all.push((format!("Refused/{why:?}"), Answer::Refused(why)));
    }
    all
}

/// A checkpoint, the key of its log and the key of its witness.
pub fn checkpoint() -> (Checkpoint, NoteKey, NoteKey) {
    let origin = tolem_protocol::signed_note::journal_origin(payment().kiosk);
    let key = |name: &str, kind| NoteKey { name: name.into(), kind, public: [0x42; 32] };
    let (log, witness) = (key(&origin, KeyKind::Log), key("tolem/witness", KeyKind::Cosigner));
    (Checkpoint { origin, size: 300, root: [0x99; 32] }, log, witness)
}
