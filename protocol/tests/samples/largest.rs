//! Everything filled to its capacity: the widest integers, the longest texts, the fullest lists.

use super::{Samples, named};
use tolem_protocol::{
    Amount, BalanceNumber, Bin, ClaimNumber, Date, Denomination, Iin, KioskNumber, PaymentCode, PaymentId,
    UtcTime,
    card::{
        CardAnswer, CardMark, CardMoved, CardOrder, CardStep, ChipEvidence, DeclineReason, IssuerWords,
        MAX_CHIP_DATA, MAX_SCRIPTS, RetainReason, SealedCard, VoidReason,
    },
    catalogue::{CatalogueHead, Group, MrpRate, Names, Price, Service},
    enrolment::{Answer, Enrol, InviteCode, MAX_CERTIFICATE, MAX_REQUEST, Question},
    messages::{
        ClaimAnswer, CodeToken, Deposit, DepositKind, HeldBalance, Hello, HoldReason, Limits, Method,
        Outcome, PayerCheck, Quote, Request, Response, SealedIin, Verdict, Welcome,
    },
    notes::{MAX_PATTERNS, NotePattern, NotePile, NoteTable},
    record::{Doubt, Fact, Record},
    signed::{MAX_STATEMENT, Signature, Signed, Statement},
};

/// Ten bytes as a varint.
const TIME: UtcTime = UtcTime(i64::MIN);
/// The largest sum that is decoded.
const SUM: Amount = Amount::MAX;

fn full<const N: usize>() -> heapless::String<N> {
    heapless::String::try_from("x".repeat(N).as_str()).expect("its capacity")
}

fn names<const N: usize>() -> Names<N> {
    Names { kk: full(), ru: full(), en: full() }
}

fn payment() -> PaymentId {
    let kiosk = KioskNumber::new(99_999).expect("the last kiosk");
    PaymentId { kiosk, epoch: u32::MAX, number: u64::MAX, nonce: [0xFF; 16] }
}

fn sealed() -> SealedIin {
    SealedIin([0xFF; 32], heapless::Vec::from_slice(&[0xFF; 28]).expect("its capacity"))
}

fn iin() -> Iin {
    Iin::parse("991231100010", Date::parse_iso("2026-11-22").expect("a day")).expect("an IIN")
}

fn number() -> BalanceNumber {
    BalanceNumber::from_payload(BalanceNumber::PAYLOADS - 1)
}

fn balance() -> HeldBalance {
    HeldBalance { number: number(), amount: SUM, reason: HoldReason::JournalFailed }
}

/// A statement of the greatest length that the wire carries, whatever it says.
pub fn signed<T: Statement>() -> Signed<T> {
    let body: heapless::Vec<u8, MAX_STATEMENT> =
        heapless::Vec::from_slice(&[0xFF; MAX_STATEMENT]).expect("its capacity");
    let bytes = postcard::to_allocvec(&(body, Signature([0xFF; 64]))).expect("plain data encodes");
    Signed::from_bytes(&bytes).expect("one signed statement")
}

pub fn quote() -> Quote {
    Quote {
        payment: payment(),
        service: full(),
        service_digest: [0xFF; 32],
        payer: full(),
        fee: SUM,
        commission: SUM,
        cash_total: SUM,
        balance: Some((number(), SUM)),
        method: Method::Either,
        made_at: TIME,
        valid_until: TIME,
    }
}

pub fn deposit() -> Deposit {
    // Four and three bytes as varints: with one byte more anywhere the pile would be worth more than there is.
    let pairs: Vec<(u32, u16)> = (0..8).map(|at| ((1 << 21) + at, 1 << 14)).collect();
    // A pile cannot be built that high by hand, but the wire can say it.
    let notes: NotePile = postcard::from_bytes(&postcard::to_allocvec(&pairs).expect("plain data encodes"))
        .expect("eight denominations");
    Deposit {
        payment: payment(),
        kind: DepositKind::Hold(HoldReason::JournalFailed),
        quote: Some(super::signed(&quote())),
        payer: Some(sealed()),
        notes,
        made_at: TIME,
    }
}

pub fn token() -> CodeToken {
    CodeToken {
        code: PaymentCode::from_payload(PaymentCode::PAYLOADS - 1),
        payment: payment(),
        service: full(),
        fee: SUM,
        payer_tail: u16::MAX,
        paid_at: TIME,
        valid_until: TIME,
    }
}

pub fn outcome() -> Outcome {
    Outcome {
        payment: payment(),
        deposit: [0xFF; 32],
        verdict: Verdict::Accepted { token: super::signed(&token()), remainder: Some(balance()) },
        at: TIME,
        center_epoch: u32::MAX,
    }
}

pub fn service() -> Service {
    Service {
        code: full(),
        group: Group::Property,
        name: names(),
        about: names(),
        payee: names(),
        payee_bin: Bin::parse("991250000018").expect("a BIN"),
        kbk: u32::MAX,
        knp: u16::MAX,
        price: Price::Fixed(SUM),
        rank: u16::MAX,
    }
}

fn head() -> CatalogueHead {
    let day = Date::from_days(i64::MIN);
    let pattern = NotePattern {
        denomination: Denomination(u32::MAX),
        pattern: u16::MAX,
        valid_from: day,
        valid_to: Some(day),
    };
    CatalogueHead {
        version: u32::MAX,
        services: u16::MAX,
        mrp: (0..8).map(|_| MrpRate { from: day, amount: SUM }).collect(),
        notes: NoteTable((0..MAX_PATTERNS).map(|_| pattern.clone()).collect()),
        phone: full(),
        site: full(),
    }
}

pub fn requests() -> Samples<Request> {
    let hello = Hello {
        software: full(),
        boot_nonce: [0xFF; 16],
        epoch: u32::MAX,
        journal_size: u64::MAX,
        clock: TIME,
        center_epoch: u32::MAX,
    };
    let quote = Request::Quote {
        payment: payment(),
        service: full(),
        payer: iin(),
        method: Method::Either,
        balance: Some(number()),
    };
    let proof = (0..64).map(|_| [0xFF; 32]).collect();
    vec![
        named("Hello", Request::Hello(hello)),
        named("Service", Request::Service(u16::MAX)),
        named("CheckPayer", Request::CheckPayer(iin())),
        named("Quote", quote),
        named("Commit", Request::Commit(signed())),
        named("Hold", Request::Hold(signed())),
        named("Status", Request::Status(payment())),
        named("Void", Request::Void(payment())),
        named("Claim", Request::Claim { claim: ClaimNumber::new(payment().kiosk, 9_999_999), payer: iin() }),
        named("Voucher", Request::Voucher { number: number(), payer: iin() }),
        named("PrintRight", Request::PrintRight(payment())),
        named("Crl", Request::Crl { offset: u32::MAX }),
        named("Checkpoint", Request::Checkpoint { old_size: u64::MAX, proof, note: full() }),
        named("Recall", Request::Recall { deposit: signed(), outcome: signed() }),
        named(
            "Authorize",
            Request::Authorize(CardOrder {
                deposit: signed(),
                terminal: [0xFF; 8],
                merchant: [0xFF; 15],
                sealed: SealedCard([0xFF; 32], bytes::<80>()),
                chip_data: bytes::<MAX_CHIP_DATA>(),
            }),
        ),
        named("CardConfirm", Request::CardConfirm(payment())),
        named("CardVoid", Request::CardVoid { payment: payment(), why: VoidReason::Abandoned }),
        named("CardEnquire", Request::CardEnquire(payment())),
        named("CardService", Request::CardService),
        named("SealedCardService", Request::SealedCardService),
    ]
}

fn bytes<const N: usize>() -> heapless::Vec<u8, N> {
    (0..N).map(|_| 0xFF).collect()
}

fn issuer() -> IssuerWords {
    IssuerWords { response_code: [0xFF; 2], authentication: bytes::<16>(), scripts: bytes::<MAX_SCRIPTS>() }
}

pub fn responses() -> Samples<Response> {
    let limits = Limits {
        per_payment: SUM,
        per_day: SUM,
        unsettled_total: SUM,
        unsettled_count: u16::MAX,
        unsettled_age_s: u32::MAX,
        answer_wait_s: u16::MAX,
        print_whole_iin: true,
    };
    let welcome =
        Welcome { epoch: u32::MAX, center_epoch: u32::MAX, clock: TIME, catalogue: u32::MAX, limits };
    let slice = (0..4096).map(|_| 0xFF).collect();
    vec![
        named("Welcome", Response::Welcome(welcome)),
        named("Catalogue", Response::Catalogue(head())),
        named("Service", Response::Service(service())),
        named("Payer", Response::Payer(PayerCheck::Right { name: full() })),
        named("Quote", Response::Quote(signed())),
        named("Outcome", Response::Outcome(signed())),
        named("Claim", Response::Claim(ClaimAnswer::Settled { outcome: signed(), quote: Some(signed()) })),
        named("Balance", Response::Balance(balance())),
        named("Time", Response::Time(TIME)),
        named("Crl", Response::Crl { total: u32::MAX, slice }),
        named("Cosigned", Response::Cosigned(full())),
        named("WitnessAt", Response::WitnessAt(u64::MAX)),
        named("CardService", Response::CardService { clock: TIME, open: true }),
        named(
            "Card/Approved",
            Response::Card(CardAnswer::Approved { outcome: signed(), approval: [0xFF; 6], issuer: issuer() }),
        ),
        named(
            "Card/Declined",
            Response::Card(CardAnswer::Declined { reason: DeclineReason::Other, issuer: Some(issuer()) }),
        ),
    ]
}

fn mark() -> CardMark {
    CardMark { last_four: [9; 4], application: bytes::<16>(), label: full(), amount: SUM, pin: true }
}

pub fn enrol() -> Enrol {
    let request = heapless::Vec::from_slice(&[0xFF; MAX_REQUEST]).expect("its capacity");
    Enrol { kiosk: payment().kiosk, journal_key: [0xFF; 32], code: InviteCode([0xFF; 10]), request }
}

pub fn enrolment_questions() -> Samples<Question> {
    let renew = Question::Renew(enrol().request);
    vec![named("Enrol", Question::Enrol(signed())), named("Renew", renew)]
}

pub fn enrolment_answers() -> Samples<Answer> {
    let certificate = heapless::Vec::from_slice(&[0xFF; MAX_CERTIFICATE]).expect("its capacity");
    vec![named("Issued", Answer::Issued(certificate))]
}

pub fn records() -> Samples<Record> {
    let (payment, note, denomination) = (payment(), u64::MAX, Denomination(u32::MAX));
    let doubt = Doubt::CounterJumped { before: u16::MAX, after: u16::MAX };
    let language = tolem_protocol::catalogue::Language::English;
    let evidence = ChipEvidence { tvr: [0xFF; 5], tsi: [0xFF; 2], cryptogram: bytes::<8>() };
    let step = CardStep::Authorized { approval: [0xFF; 6], evidence };
    let facts = vec![
        named("Booted", Fact::Booted { nonce: [0xFF; 16], software: full() }),
        named(
            "AcceptorIdentified",
            Fact::AcceptorIdentified {
                serial: full(),
                part: full(),
                bills: (0..24).map(|_| (u8::MAX, denomination)).collect(),
            },
        ),
        named(
            "Started",
            Fact::Started { payment, quote: signed(), payer: sealed(), payer_tag: [0xFF; 16], language },
        ),
        named("StackOrdered", Fact::StackOrdered { note, payment, denomination, counter: Some(u16::MAX) }),
        named("NoteInDoubt", Fact::NoteInDoubt { note, payment, denomination, doubt }),
        named("CommitRequested", Fact::CommitRequested { deposit: signed() }),
        named("HoldRequested", Fact::HoldRequested { deposit: signed() }),
        named("AccountLearned", Fact::AccountLearned { deposit: signed() }),
        named("Settled", Fact::Settled { outcome: signed() }),
        named("Cosigned", Fact::Cosigned { size: u64::MAX, line: full() }),
        named("FaultChanged", Fact::FaultChanged { code: full(), present: true }),
        named("AuthorizeSent", Fact::AuthorizeSent { deposit: signed(), card: mark() }),
        named("Card/Authorized", Fact::Card { payment, step }),
        named(
            "CardMoved",
            Fact::CardMoved { payment: Some(payment), moved: CardMoved::Retained(Some(u16::MAX)) },
        ),
        named(
            "CardMoved/RetainOrdered",
            Fact::CardMoved {
                payment: Some(payment),
                moved: CardMoved::RetainOrdered(RetainReason::FoundAtStart),
            },
        ),
        named("PinKeyUsed", Fact::PinKeyUsed { serial: [0xFF; 10] }),
    ];
    facts
        .into_iter()
        .map(|(name, fact)| {
            (name, Record { seq: u64::MAX, boot: u32::MAX, mono_ms: u64::MAX, utc: TIME, fact })
        })
        .collect()
}
