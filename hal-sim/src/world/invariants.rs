//! What must be true of the money, stated once.
//!
//! The rules look at plain data that somebody outside could collect: what lies in the cassettes, the records of the journals,
//! the rows of the ledger, the texts on the papers. So the world in memory, the programs under SIGKILL and a kiosk on a bench are all
//! judged by the same lines. [`always`] holds at every moment, also in the middle of a power cut; [`at_rest`] when nothing is
//! under way any more. Nothing here knows how a kiosk or a center works.

mod cards;

pub use cards::{CardBooking, CardEnd, CardName, Charge};

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use tolem_protocol::{
    Denomination, KioskNumber, PaymentCode, PaymentId,
    card::CardStep,
    merkle::{Frontier, Hash, leaf_hash},
    messages::Verdict,
    qr::Qr,
    record::{Fact, Paper, Record, StackedBy},
};

macro_rules! invariants {
    ($($(#[doc = $doc:literal])+ $name:ident, $code:literal;)*) => {
        /// A rule. Safety (`I`), liveness (`L`) or a rule of money (`M`, by its number in `docs/money.md`).
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Invariant { $($(#[doc = $doc])+ $name,)* }

        impl Invariant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its short name.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it demands, in one sentence.
            pub const fn claim(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)* }
            }
        }
    };
}

invariants! {
    /// Each note in the cassette is in the journal once, as stacked or in doubt; no other note is counted as stacked.
    NotesConserved, "I1";
    /// No more notes are in doubt than moments in which something could go wrong with one.
    DoubtBounded, "I2";
    /// Inserted + spent voucher = fee + commission + rounding + held, for each payment, kiosk and center.
    MoneyBalances, "I3";
    /// A code is on paper or screen only if the center has booked it and the journal had the answer first.
    CodeAfterAnswer, "I4";
    /// The code of a payment is ordered as an original at most once, whoever prints it.
    OneOriginal, "I5";
    /// One payment id: one start, one account, one booking, one code, whatever is repeated.
    OneBooking, "I6";
    /// A payment that a card was asked for ends only when a decline was heard, the money is to be taken, or its undoing is in the journal.
    CardDecided, "I7";
    /// A note passes the point of no return only when its order is on disk.
    StackAfterRecord, "I8";
    /// The journal has no gap, and what the center cosigned is the beginning of it.
    JournalContinues, "I9";
    /// No readable IIN on disk, on wires to devices, in the view of the start screen; no number or PIN of a card anywhere.
    SecretsKept, "I10";
    /// What the center answered is durable there, and what the kiosk learned is durable here.
    AnswersDurable, "I11";
    /// Each opening of the door that a running kiosk could see is in its journal.
    ServiceRecorded, "I13";
    /// Whoever comes next sees and gets nothing of the last citizen.
    NothingLeftBehind, "I14";
    /// What belongs to a payer is found by that payer, and handed to nobody else.
    OwnersOnly, "I15";
    /// A paper that the journal calls printed has come out.
    PapersAreOut, "I16";
    /// Issuer, center and journal tell the same of each card payment: one request, one end.
    CardsAgree, "I17";
    /// After the last fault the kiosk alone reaches its start screen, or says why it is closed.
    ComesToRest, "L1";
    /// After the last fault the outbox empties.
    OutboxEmpties, "L2";
    /// Each note in doubt is raised to the center.
    DoubtRaised, "L4";
    /// After a restart nothing personal is printed before somebody has touched the screen.
    NobodyPrintsAlone, "M14";
    /// Whoever holds a slip has lost nothing, even if its kiosk burnt.
    SlipsHonoured, "M15";
    /// A journal that fails with money in has a last word: a slip comes out, if the printer works.
    LastWord, "M16";
    /// A card's money is taken only for a code on paper or screen, a code that is out is paid for, and a code is void before money goes back.
    CodeBeforeMoney, "M17";
    /// A card is asked for once, under a name of its own, and its number is kept only until the end.
    AskedOnce, "M18";
    /// The program never ends by a failed assertion.
    NoPanic, "P1";
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.claim())
    }
}

/// A rule that does not hold, and what shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// In words, with the numbers.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    {}", self.invariant, self.what)
    }
}

/// What can be seen of one kiosk.
#[derive(Clone, Debug)]
pub struct Till {
    /// Its number.
    pub kiosk: KioskNumber,
    /// Every note that lies in its cassette or in an earlier one.
    pub cassette: Vec<Denomination>,
    /// Notes that stuck inside and are in a technician's hand.
    pub jammed: Vec<Denomination>,
    /// Its journal, oldest record first.
    pub records: Vec<Record>,
    /// The journal that tells of this cassette is gone or not the newest (burnt, an old image, damaged): less can be demanded.
    pub journal_lost: bool,
    /// Notes that were in doubt in journals that are gone. They were held all the same, and are still to be looked for.
    pub lost_doubts: Vec<Denomination>,
    /// Texts of all QR symbols on the papers that came out.
    pub papers: Vec<String>,
    /// How often something happened that may leave a note in doubt; `None` = not counted.
    pub disturbances: Option<u64>,
    /// How often the door was opened in front of the running program; `None` = not counted.
    pub doors_opened: Option<u64>,
}

impl Till {
    /// A till of which only cassette, journal and papers are known.
    pub fn new(kiosk: KioskNumber, cassette: Vec<Denomination>, records: Vec<Record>) -> Self {
        Self {
            kiosk,
            cassette,
            jammed: Vec::new(),
            records,
            journal_lost: false,
            lost_doubts: Vec::new(),
            papers: Vec::new(),
            disturbances: None,
            doors_opened: None,
        }
    }
}

/// One booking of the ledger. Accounts by the names that `tolem-center audit` prints, debits positive, in tiyn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Posting {
    /// For which payment.
    pub payment: PaymentId,
    /// `accepted`, `held`, `recalled`, `refunded` or `cancelled`.
    pub kind: String,
    /// Account and tiyn.
    pub lines: Vec<(String, i64)>,
}

/// A payment the center has answered for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settlement {
    /// Which.
    pub payment: PaymentId,
    /// Names the signed answer.
    pub outcome: [u8; 32],
    /// The code, if it was paid.
    pub code: Option<PaymentCode>,
}

/// Whose a held balance is. Names of people as the center compares them, unreadable for anybody else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holding {
    /// The payment it came from.
    pub from: PaymentId,
    /// Whose it is; `None` when nobody typed an IIN.
    pub owner: Option<[u8; 32]>,
    /// Who paid, if that payment is known.
    pub payer: Option<[u8; 32]>,
}

/// What the center has on its books.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    /// Bookings, oldest first.
    pub postings: Vec<Posting>,
    /// Answers.
    pub settled: Vec<Settlement>,
    /// Answers that a restored center has lost and its kiosks have not told it again yet.
    pub forgotten: Vec<Settlement>,
    /// Held balances.
    pub holdings: Vec<Holding>,
    /// Per kiosk: size and root of the newest journal that was cosigned.
    pub witnessed: Vec<(KioskNumber, u64, Hash)>,
    /// What the center's own audit finds.
    pub findings: Vec<String>,
    /// Card payments.
    pub cards: Vec<CardBooking>,
    /// Card payments that a restored center does not know any more.
    pub forgotten_cards: Vec<CardBooking>,
    /// Payments whose reversal was said to the issuer before their code was void.
    pub early_reversals: Vec<PaymentId>,
}

/// Everything that is compared.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// The kiosks.
    pub tills: Vec<Till>,
    /// The center.
    pub ledger: Ledger,
    /// The card issuer's own ledger; `None` = nobody has asked it.
    pub charges: Option<Vec<Charge>>,
}

/// Rules that hold at every moment.
pub fn always(books: &Books) -> Vec<Violation> {
    let mut found = Findings::default();
    for till in &books.tills {
        found.extend(till, nothing_uncounted(till));
        found.extend(till, doubt_is_bounded(till));
        found.extend(till, journal_has_no_gap(till));
        found.extend(till, answers_before_papers(till));
        found.extend(till, one_account_per_payment(till));
        found.extend(till, cards::decided_before_the_end(till));
        found.extend(till, witness_saw_this_journal(till, &books.ledger));
    }
    found.add(Invariant::OneOriginal, originals(books));
    found.add(Invariant::OneBooking, bookings(books));
    found.add(Invariant::OwnersOnly, owners(&books.ledger));
    cards::always(books, &mut found);
    let told = [books.ledger.settled.as_slice(), books.ledger.forgotten.as_slice()].concat();
    found.add(Invariant::CodeAfterAnswer, codes_on_paper(books, &told));
    found.add(Invariant::MoneyBalances, postings_balance(&books.ledger));
    found.0
}

/// Rules that hold when nothing is under way any more, together with those of [`always`].
pub fn at_rest(books: &Books) -> Vec<Violation> {
    let mut found = Findings(always(books));
    for till in &books.tills {
        if till.journal_lost {
            found.extend(till, books_below_cassette(till, &books.ledger));
        } else {
            found.extend(till, cassette_is_told(till));
            found.extend(till, journal_is_booked(till, &books.ledger));
            found.extend(till, answers_are_known_on_both_sides(till, &books.ledger));
            found.extend(till, nothing_is_open(till));
            found.extend(till, doors_are_told(till));
        }
    }
    found.add(Invariant::SlipsHonoured, slips(books));
    cards::at_rest(books, &mut found);
    if !books.ledger.forgotten.is_empty() {
        found.add(Invariant::CodeAfterAnswer, codes_on_paper(books, &books.ledger.settled));
    }
    found.add(Invariant::MoneyBalances, books.ledger.findings.clone());
    found.0
}

/// Searches bytes that anybody might read for digits of people and cards: as text, as numbers, and two to a byte.
pub fn secrets_in(place: &str, bytes: &[u8], secrets: &[&str]) -> Option<Violation> {
    let mut begins = [false; 256];
    let mut wanted: Vec<(Vec<u8>, &str)> = Vec::new();
    for secret in secrets {
        let numbers: Vec<u8> = secret.bytes().map(|digit| digit.wrapping_sub(b'0')).collect();
        let packed = numbers.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect();
        for form in [secret.as_bytes().to_vec(), packed, numbers] {
            form.first().iter().for_each(|first| begins[usize::from(**first)] = true);
            wanted.push((form, secret));
        }
    }
    let here = |at: usize| wanted.iter().find(|(form, _)| bytes[at..].starts_with(form));
    let (_, hit) = (0..bytes.len()).filter(|at| begins[usize::from(bytes[*at])]).find_map(here)?;
    let what = format!("{place}: a number that ends in {} is readable", &hit[hit.len() - 4..]);
    Some(Violation { invariant: Invariant::SecretsKept, what })
}

#[derive(Default)]
struct Findings(Vec<Violation>);

/// What a rule about one till found.
type Found = Vec<(Invariant, String)>;

impl Findings {
    fn extend(&mut self, till: &Till, found: Found) {
        self.0.extend(
            found.into_iter().map(|(invariant, what)| Violation {
                invariant,
                what: format!("kiosk {}: {what}", till.kiosk),
            }),
        );
    }

    fn add(&mut self, invariant: Invariant, found: Vec<String>) {
        self.0.extend(found.into_iter().map(|what| Violation { invariant, what }));
    }
}

fn count(notes: impl IntoIterator<Item = Denomination>) -> BTreeMap<Denomination, i64> {
    let mut pile = BTreeMap::new();
    for note in notes {
        *pile.entry(note).or_insert(0) += 1;
    }
    pile
}

/// What of `pile` is not in `other`.
fn surplus(pile: &BTreeMap<Denomination, i64>, other: &BTreeMap<Denomination, i64>) -> Vec<Denomination> {
    let more = |(note, many): (&Denomination, &i64)| {
        let over = many - other.get(note).copied().unwrap_or(0);
        std::iter::repeat_n(*note, usize::try_from(over).unwrap_or(0))
    };
    pile.iter().flat_map(more).collect()
}

fn facts(till: &Till) -> impl Iterator<Item = &Fact> {
    till.records.iter().map(|record| &record.fact)
}

fn stacked(till: &Till) -> BTreeMap<Denomination, i64> {
    count(facts(till).filter_map(|fact| match fact {
        Fact::NoteStacked { denomination, .. } => Some(*denomination),
        _ => None,
    }))
}

fn doubted(till: &Till) -> Vec<Denomination> {
    let doubts = facts(till).filter_map(|fact| match fact {
        Fact::NoteInDoubt { denomination, .. } => Some(*denomination),
        _ => None,
    });
    doubts.collect()
}

fn nothing_uncounted(till: &Till) -> Found {
    let inside = count(till.cassette.iter().chain(&till.jammed).copied());
    let phantoms = surplus(&stacked(till), &inside);
    let what = format!("counted as stacked, but not there: {phantoms:?}");
    if phantoms.is_empty() { Vec::new() } else { vec![(Invariant::NotesConserved, what)] }
}

fn cassette_is_told(till: &Till) -> Found {
    let lost = surplus(&count(till.cassette.iter().copied()), &stacked(till));
    let untold = surplus(&count(lost), &count(doubted(till)));
    let what = format!("in the cassette, but neither stacked nor in doubt in the journal: {untold:?}");
    if untold.is_empty() { Vec::new() } else { vec![(Invariant::NotesConserved, what)] }
}

fn doubt_is_bounded(till: &Till) -> Found {
    let doubts = doubted(till).len() as u64;
    match till.disturbances {
        Some(most) if doubts > most => {
            vec![(Invariant::DoubtBounded, format!("{doubts} notes in doubt after {most} disturbances"))]
        }
        Some(_) | None => Vec::new(),
    }
}

fn journal_has_no_gap(till: &Till) -> Found {
    let mut found = Vec::new();
    let (mut boot, mut cosigned) = (0, 0);
    for (seq, record) in (0u64..).zip(&till.records) {
        if record.seq != seq {
            found.push((Invariant::JournalContinues, format!("record {seq} says it is {}", record.seq)));
        }
        if record.boot < boot {
            found.push((Invariant::JournalContinues, format!("record {seq} is of boot {}", record.boot)));
        }
        boot = record.boot;
        if let Fact::Cosigned { size, .. } = &record.fact {
            // An operator who clears a kiosk lets its journal begin anew at the witness, never ahead of what is there.
            if *size > seq {
                found.push((Invariant::JournalContinues, format!("{size} cosigned at record {seq}")));
            }
            cosigned = cosigned.max(*size);
        }
    }
    if cosigned > till.records.len() as u64 {
        let what = format!("{cosigned} records are cosigned, {} are there", till.records.len());
        found.push((Invariant::JournalContinues, what));
    }
    found
}

fn witness_saw_this_journal(till: &Till, ledger: &Ledger) -> Found {
    let known = ledger.witnessed.iter().find(|(kiosk, ..)| *kiosk == till.kiosk);
    let Some((_, size, root)) = known.filter(|_| !till.journal_lost) else { return Vec::new() };
    let have = till.records.len() as u64;
    if *size > have {
        let what = format!("the center cosigned {size} records, {have} are there");
        return vec![(Invariant::JournalContinues, what)];
    }
    let mut tree = Frontier::default();
    for record in till.records.iter().take(usize::try_from(*size).unwrap_or(usize::MAX)) {
        tree.push(leaf_hash(&record.to_bytes()), |_, _, _| {});
    }
    if *size > 0 && tree.root() != *root {
        return vec![(Invariant::JournalContinues, format!("the center cosigned another tree of {size}"))];
    }
    Vec::new()
}

fn answers_before_papers(till: &Till) -> Found {
    let mut found = Vec::new();
    let mut known: BTreeSet<PaymentId> = BTreeSet::new();
    let mut paid: BTreeSet<PaymentId> = BTreeSet::new();
    for record in &till.records {
        match &record.fact {
            Fact::Started { payment, .. } => {
                known.insert(*payment);
            }
            Fact::Settled { outcome } => {
                if let Some(outcome) = outcome.read_unverified()
                    && matches!(outcome.verdict, Verdict::Accepted { .. })
                {
                    paid.insert(outcome.payment);
                }
            }
            Fact::PrintOrdered { payment, paper: Paper::Receipt, .. }
                if known.contains(payment) && !paid.contains(payment) =>
            {
                let what = format!("record {} orders a receipt of {payment} without an answer", record.seq);
                found.push((Invariant::CodeAfterAnswer, what));
            }
            _ => {}
        }
    }
    found
}

fn one_account_per_payment(till: &Till) -> Found {
    let mut found = Vec::new();
    let mut started = BTreeSet::new();
    let mut accounts = BTreeSet::new();
    let mut answers = BTreeSet::new();
    let mut orders = BTreeSet::new();
    let mut ends = BTreeSet::new();
    for record in &till.records {
        let doubled = match &record.fact {
            Fact::Started { payment, .. } => (!started.insert(*payment)).then(|| format!("{payment} began")),
            Fact::CommitRequested { deposit } | Fact::HoldRequested { deposit } => deposit
                .read_unverified()
                .filter(|deposit| !accounts.insert(deposit.payment))
                .map(|deposit| format!("an account of {} was made", deposit.payment)),
            Fact::Settled { outcome } => outcome
                .read_unverified()
                .filter(|outcome| !answers.insert(outcome.payment))
                .map(|outcome| format!("{} was settled", outcome.payment)),
            Fact::StackOrdered { note, .. } => {
                (!orders.insert(*note)).then(|| format!("note {note} was ordered"))
            }
            Fact::NoteStacked { note, .. } | Fact::NoteReturned { note } | Fact::NoteInDoubt { note, .. } => {
                (!ends.insert(*note)).then(|| format!("note {note} ended"))
            }
            _ => None,
        };
        if let Some(what) = doubled {
            found.push((Invariant::OneBooking, format!("record {}: {what} a second time", record.seq)));
        }
    }
    found
}

fn originals(books: &Books) -> Vec<String> {
    let mut orders: BTreeMap<PaymentId, Vec<KioskNumber>> = BTreeMap::new();
    for till in &books.tills {
        for fact in facts(till) {
            if let Fact::PrintOrdered { payment, paper: Paper::Receipt, copy: false, .. } = fact {
                orders.entry(*payment).or_default().push(till.kiosk);
            }
        }
    }
    let doubled = orders.into_iter().filter(|(_, kiosks)| kiosks.len() > 1);
    doubled.map(|(payment, kiosks)| format!("{payment} was ordered as an original at {kiosks:?}")).collect()
}

/// Kinds of postings that settle a payment. Each payment has at most one.
fn settles(posting: &Posting) -> bool {
    matches!(posting.kind.as_str(), "accepted" | "held" | "recalled")
}

fn bookings(books: &Books) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for posting in books.ledger.postings.iter().filter(|posting| settles(posting)) {
        if !seen.insert(posting.payment) {
            found.push(format!("{} is booked twice", posting.payment));
        }
    }
    let mut codes = BTreeSet::new();
    for settled in &books.ledger.settled {
        if settled.code.is_some_and(|code| !codes.insert(u64::from(code))) {
            found.push(format!("the code of {} is another payment's too", settled.payment));
        }
    }
    let mut started = BTreeSet::new();
    for fact in books.tills.iter().flat_map(facts) {
        if let Fact::Started { payment, .. } = fact
            && !started.insert((*payment, payment.kiosk))
        {
            found.push(format!("{payment} began twice"));
        }
    }
    found
}

fn codes_on_paper(books: &Books, answers: &[Settlement]) -> Vec<String> {
    let mut known: BTreeMap<PaymentId, Option<PaymentCode>> = cards::good_codes(&books.ledger);
    known.extend(answers.iter().map(|settled| (settled.payment, settled.code)));
    let mut found = Vec::new();
    for text in books.tills.iter().flat_map(|till| &till.papers) {
        let Ok(Qr::Code(token)) = Qr::parse(text) else { continue };
        let Some(token) = token.read_unverified() else {
            found.push("a code on paper cannot be read".into());
            continue;
        };
        if known.get(&token.payment).copied().flatten() != Some(token.code) {
            found.push(format!("the code of {} on paper is not on the center's books", token.payment));
        }
    }
    found
}

fn postings_balance(ledger: &Ledger) -> Vec<String> {
    let off = |posting: &&Posting| posting.lines.iter().map(|(_, tiyn)| tiyn).sum::<i64>() != 0;
    ledger
        .postings
        .iter()
        .filter(off)
        .map(|posting| format!("a posting of {} is off", posting.payment))
        .collect()
}

fn owners(ledger: &Ledger) -> Vec<String> {
    let lost = ledger.holdings.iter().filter(|held| held.payer.is_some() && held.owner != held.payer);
    lost.map(|held| format!("what is held of {} is not its payer's", held.from)).collect()
}

/// Cash that the ledger has of each payment of `kiosk`, without what a count has cancelled.
fn booked(ledger: &Ledger, kiosk: KioskNumber) -> BTreeMap<PaymentId, i64> {
    let mut cash = BTreeMap::new();
    for posting in &ledger.postings {
        if posting.payment.kiosk == kiosk && settles(posting) {
            let account = format!("cash:{kiosk}");
            let lines = posting.lines.iter().filter(|(name, _)| *name == account);
            *cash.entry(posting.payment).or_insert(0) += lines.map(|(_, tiyn)| tiyn).sum::<i64>();
        }
    }
    cash
}

fn tiyn(note: Denomination) -> i64 {
    i64::from(note.0) * 100
}

/// Notes of each payment as the journal tells them, in tiyn.
fn told(till: &Till) -> BTreeMap<PaymentId, i64> {
    let mut told = BTreeMap::new();
    for fact in facts(till) {
        match fact {
            Fact::NoteStacked { payment, denomination, .. }
            | Fact::NoteInDoubt { payment, denomination, .. } => {
                *told.entry(*payment).or_insert(0) += tiyn(*denomination);
            }
            Fact::NoteMoved { from, to, denomination } => {
                *told.entry(*from).or_insert(0) -= tiyn(*denomination);
                *told.entry(*to).or_insert(0) += tiyn(*denomination);
            }
            _ => {}
        }
    }
    told.retain(|_, sum| *sum != 0);
    told
}

fn journal_is_booked(till: &Till, ledger: &Ledger) -> Found {
    let (told, booked) = (told(till), booked(ledger, till.kiosk));
    let payments: BTreeSet<&PaymentId> = told.keys().chain(booked.keys()).collect();
    let mut found = Vec::new();
    for payment in payments {
        let (here, there) = (told.get(payment).unwrap_or(&0), booked.get(payment).unwrap_or(&0));
        if here != there {
            let what = format!("{payment}: {here} tiyn in the journal, {there} in the ledger");
            found.push((Invariant::MoneyBalances, what));
        }
    }
    found
}

/// Without its journal the ledger still never has more of a kiosk than lies in it; the rest is found by counting.
fn books_below_cassette(till: &Till, ledger: &Ledger) -> Found {
    let booked: i64 = booked(ledger, till.kiosk).values().sum();
    let inside: i64 = till.cassette.iter().chain(&till.jammed).map(|note| tiyn(*note)).sum();
    let doubts = doubted(till).into_iter().chain(till.lost_doubts.iter().copied()).chain(found_first(till));
    let doubts: i64 = doubts.map(tiyn).sum();
    let what = format!("{booked} tiyn are booked, {inside} are inside");
    if booked > inside + doubts { vec![(Invariant::MoneyBalances, what)] } else { Vec::new() }
}

/// Notes that nobody ordered and a new journal heard of before its first payment, when no slot was ever open: the journal before may
/// have told of them too, and only a count can say.
fn found_first(till: &Till) -> Vec<Denomination> {
    let young = facts(till).take_while(|fact| !matches!(fact, Fact::Started { .. }));
    let found = young.filter_map(|fact| match fact {
        Fact::NoteStacked { denomination, by: StackedBy::Unordered, .. } => Some(*denomination),
        _ => None,
    });
    found.collect()
}

fn answers_are_known_on_both_sides(till: &Till, ledger: &Ledger) -> Found {
    let there: BTreeMap<PaymentId, [u8; 32]> =
        ledger.settled.iter().map(|settled| (settled.payment, settled.outcome)).collect();
    let mut here = BTreeMap::new();
    for fact in facts(till) {
        if let Fact::Settled { outcome } = fact
            && let Some(read) = outcome.read_unverified()
        {
            here.insert(read.payment, outcome.digest());
        }
        // What a card was approved for and is undone is no answer any more.
        if let Fact::Card { payment, step: CardStep::ReversalOwed(_) } = fact {
            here.remove(payment);
        }
    }
    let mut found = Vec::new();
    for (payment, digest) in &here {
        if there.get(payment) != Some(digest) {
            let what = format!("the answer to {payment} is here, but not on the center's books");
            found.push((Invariant::AnswersDurable, what));
        }
    }
    for payment in there.keys().filter(|payment| payment.kiosk == till.kiosk) {
        if !here.contains_key(payment) {
            let what = format!("the center has answered {payment}, the journal does not know it");
            found.push((Invariant::AnswersDurable, what));
        }
    }
    found
}

fn nothing_is_open(till: &Till) -> Found {
    let mut notes: BTreeSet<u64> = BTreeSet::new();
    let mut deposits: BTreeSet<PaymentId> = BTreeSet::new();
    let mut doubts: BTreeSet<PaymentId> = BTreeSet::new();
    for fact in facts(till) {
        match fact {
            Fact::StackOrdered { note, .. } => {
                notes.insert(*note);
            }
            Fact::NoteStacked { note, .. } | Fact::NoteReturned { note } => {
                notes.remove(note);
            }
            Fact::NoteInDoubt { note, payment, .. } => {
                notes.remove(note);
                doubts.insert(*payment);
            }
            Fact::CommitRequested { deposit }
            | Fact::HoldRequested { deposit }
            | Fact::AccountLearned { deposit } => {
                deposits.extend(deposit.read_unverified().map(|deposit| deposit.payment));
            }
            Fact::Settled { outcome } => {
                if let Some(outcome) = outcome.read_unverified() {
                    deposits.remove(&outcome.payment);
                    doubts.remove(&outcome.payment);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    found.extend(notes.iter().map(|note| (Invariant::ComesToRest, format!("order {note} has no end"))));
    found
        .extend(deposits.iter().map(|payment| (Invariant::OutboxEmpties, format!("{payment} is unsettled"))));
    found.extend(doubts.iter().map(|payment| (Invariant::DoubtRaised, format!("{payment} was not raised"))));
    found
}

fn slips(books: &Books) -> Vec<String> {
    let settled: BTreeSet<PaymentId> = books.ledger.settled.iter().map(|settled| settled.payment).collect();
    let texts = books.tills.iter().flat_map(|till| &till.papers);
    let owed = texts.filter_map(|text| match Qr::parse(text) {
        Ok(Qr::Deposit(slip)) => slip.read_unverified().map(|deposit| deposit.payment),
        _ => None,
    });
    let unknown = owed.filter(|payment| !settled.contains(payment));
    unknown.map(|payment| format!("a slip for {payment} is out, the center does not know it")).collect()
}

fn doors_are_told(till: &Till) -> Found {
    let told = facts(till).filter(|fact| matches!(fact, Fact::Opened { open: true, .. })).count() as u64;
    match till.doors_opened {
        Some(opened) if told < opened => {
            vec![(Invariant::ServiceRecorded, format!("{opened} openings, {told} in the journal"))]
        }
        Some(_) | None => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
