//! What must be true of card payments, between the issuer's ledger, the center's rows and the kiosks' journals.

use super::{Books, Findings, Found, Invariant, Ledger, Till, facts};
use std::collections::{BTreeMap, BTreeSet};
use tolem_protocol::{Amount, PaymentCode, PaymentId, card::CardStep, messages::Verdict, record::Fact};

/// What a request is called by everybody: the terminal, its trace number and its time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CardName {
    /// The terminal, eight characters.
    pub terminal: [u8; 8],
    /// Six digits.
    pub trace: [u8; 6],
    /// Ten digits: month, day, hour, minute, second.
    pub sent: [u8; 10],
}

/// How a card payment stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CardEnd {
    /// Asked for, nothing heard.
    Asked,
    /// Refused.
    Declined,
    /// The money is held.
    Held,
    /// It is to be taken.
    Taking,
    /// It is taken.
    Taken,
    /// It is to be given back.
    Undoing,
    /// It was given back, or never held.
    Undone,
}

/// A card payment as the center has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CardBooking {
    /// Which.
    pub payment: PaymentId,
    /// Its sum.
    pub amount: Amount,
    /// What its request is called.
    pub name: CardName,
    /// How it stands.
    pub standing: CardEnd,
    /// The code that was made for it.
    pub code: Option<PaymentCode>,
    /// That code is void; `None` if this center does not keep the register of codes.
    pub code_void: Option<bool>,
    /// The card's number is still kept.
    pub number_kept: bool,
}

/// A card payment as the issuer has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Charge {
    /// What the request is called.
    pub name: CardName,
    /// Its sum; zero if it was undone before it came.
    pub amount: Amount,
    /// How it stands: declined, held, taken or undone.
    pub standing: CardEnd,
}

/// A payment that a card was asked for is not over before somebody knows how.
pub(super) fn decided_before_the_end(till: &Till) -> Found {
    let mut open = BTreeSet::new();
    let mut found = Vec::new();
    for fact in facts(till) {
        match fact {
            Fact::AuthorizeSent { deposit, .. } => {
                open.extend(deposit.read_unverified().map(|deposit| deposit.payment));
            }
            Fact::Card { payment, step } if !matches!(step, CardStep::Authorized { .. }) => {
                open.remove(payment);
            }
            Fact::Finished { payment, .. } if open.contains(payment) => {
                found.push((
                    Invariant::CardDecided,
                    format!("{payment} ended while its card was not decided"),
                ));
            }
            _ => {}
        }
    }
    found
}

/// Codes that a card pays for, or will.
pub(super) fn good_codes(ledger: &Ledger) -> BTreeMap<PaymentId, Option<PaymentCode>> {
    let good =
        |booking: &&CardBooking| matches!(booking.standing, CardEnd::Held | CardEnd::Taking | CardEnd::Taken);
    let all = ledger.forgotten_cards.iter().chain(&ledger.cards);
    all.filter(good).map(|booking| (booking.payment, booking.code)).collect()
}

/// What a kiosk has asked for by card, and the last step it knows.
fn asked(till: &Till) -> BTreeMap<PaymentId, (Amount, Vec<&CardStep>)> {
    let mut asked = BTreeMap::new();
    for fact in facts(till) {
        match fact {
            Fact::AuthorizeSent { deposit, card } => {
                if let Some(deposit) = deposit.read_unverified() {
                    asked.insert(deposit.payment, (card.amount, Vec::new()));
                }
            }
            Fact::Card { payment, step } => {
                if let Some((_, steps)) = asked.get_mut(payment) {
                    steps.push(step);
                }
            }
            _ => {}
        }
    }
    asked
}

pub(super) fn always(books: &Books, found: &mut Findings) {
    let ledger = &books.ledger;
    found.add(Invariant::AskedOnce, names_are_own(ledger));
    for till in books.tills.iter().filter(|till| !till.journal_lost) {
        found.extend(till, center_was_asked(till, ledger));
    }
    let early =
        ledger.early_reversals.iter().map(|payment| format!("{payment} was undone before its code was void"));
    found.add(Invariant::CodeBeforeMoney, early.collect());
    if let Some(charges) = &books.charges {
        found.add(
            Invariant::CardsAgree,
            charges.iter().filter_map(|charge| not_booked(charge, ledger)).collect(),
        );
    }
}

fn names_are_own(ledger: &Ledger) -> Vec<String> {
    let mut names = BTreeSet::new();
    let doubled = ledger.cards.iter().filter(|booking| !names.insert(booking.name));
    doubled.map(|booking| format!("the name of {}'s request is another's too", booking.payment)).collect()
}

/// Each card payment of the center was ordered, for this sum; what is taken, was to be taken.
fn center_was_asked(till: &Till, ledger: &Ledger) -> Found {
    let asked = asked(till);
    let mut found = Vec::new();
    for booking in ledger.cards.iter().filter(|booking| booking.payment.kiosk == till.kiosk) {
        let payment = booking.payment;
        let taken = matches!(booking.standing, CardEnd::Taking | CardEnd::Taken);
        match asked.get(&payment) {
            None => {
                found.push((Invariant::CardsAgree, format!("{payment} was not ordered, the center has it")))
            }
            Some((amount, _)) if *amount != booking.amount => {
                found.push((
                    Invariant::CardsAgree,
                    format!("{payment}: {amount} ordered, {} asked for", booking.amount),
                ));
            }
            Some((_, steps)) if taken && !steps.contains(&&CardStep::ConfirmOwed) => {
                found.push((Invariant::CodeBeforeMoney, format!("{payment} is taken, nobody saw its code")));
            }
            Some(_) => {}
        }
    }
    found
}

/// The center knows of whatever the issuer holds or has taken, and meant it.
fn not_booked(charge: &Charge, ledger: &Ledger) -> Option<String> {
    let CardName { trace, .. } = charge.name;
    let trace = String::from_utf8_lossy(&trace);
    let all = ledger.cards.iter().chain(&ledger.forgotten_cards);
    let mut same = all.filter(|booking| booking.name == charge.name).peekable();
    if same.peek().is_none() {
        return Some(format!("the issuer has a request {trace} that the center does not know"));
    }
    let fits = |booking: &CardBooking| {
        let sum = charge.amount == booking.amount || charge.amount.is_zero();
        let end = match charge.standing {
            CardEnd::Taken => matches!(booking.standing, CardEnd::Taking | CardEnd::Taken),
            CardEnd::Undone => matches!(booking.standing, CardEnd::Undoing | CardEnd::Undone),
            _ => !matches!(booking.standing, CardEnd::Taken),
        };
        // What a restored center has forgotten may have gone on before the loss.
        sum && (end || ledger.forgotten_cards.contains(booking))
    };
    (!same.any(fits)).then(|| format!("the issuer has {trace} as {:?}, the center has not", charge.standing))
}

pub(super) fn at_rest(books: &Books, found: &mut Findings) {
    let ledger = &books.ledger;
    let forgotten: BTreeSet<PaymentId> =
        ledger.forgotten_cards.iter().map(|booking| booking.payment).collect();
    let lost =
        |payment: &PaymentId| books.tills.iter().any(|till| till.kiosk == payment.kiosk && till.journal_lost);
    for booking in &ledger.cards {
        // A kiosk that burnt cannot say what became of an approval: a person does.
        if !(booking.standing == CardEnd::Held && lost(&booking.payment)) {
            found.add(Invariant::CardsAgree, has_no_end(booking).into_iter().collect());
        }
        found.add(Invariant::AskedOnce, number_is_kept(booking).into_iter().collect());
        found.add(Invariant::CodeBeforeMoney, code_is_wrong(booking).into_iter().collect());
    }
    found.add(Invariant::CardsAgree, posted(ledger));
    for charge in books.charges.iter().flatten() {
        found.add(Invariant::CardsAgree, issuer_differs(charge, ledger, &lost).into_iter().collect());
    }
    for till in books.tills.iter().filter(|till| !till.journal_lost) {
        found.extend(till, journal_differs(till, ledger, &forgotten));
    }
}

fn has_no_end(booking: &CardBooking) -> Option<String> {
    let ended = matches!(booking.standing, CardEnd::Declined | CardEnd::Taken | CardEnd::Undone);
    (!ended).then(|| format!("{} has no end at the center: {:?}", booking.payment, booking.standing))
}

fn number_is_kept(booking: &CardBooking) -> Option<String> {
    (has_no_end(booking).is_none() && booking.number_kept)
        .then(|| format!("the card's number of {} is kept after its end", booking.payment))
}

fn code_is_wrong(booking: &CardBooking) -> Option<String> {
    let taken = booking.standing == CardEnd::Taken;
    match booking.code_void {
        Some(void) if void == taken && has_no_end(booking).is_none() => {
            let code = if void { "void" } else { "good" };
            Some(format!("{} is {:?}, its code is {code}", booking.payment, booking.standing))
        }
        _ => None,
    }
}

/// What is taken is on the books once, and nothing else of cards is.
fn posted(ledger: &Ledger) -> Vec<String> {
    let mut found = Vec::new();
    let mut posted: BTreeMap<PaymentId, i64> = BTreeMap::new();
    for posting in &ledger.postings {
        for (_, tiyn) in posting.lines.iter().filter(|(account, _)| account == "cards") {
            *posted.entry(posting.payment).or_insert(0) += tiyn;
        }
    }
    for booking in ledger.cards.iter().filter(|booking| booking.standing == CardEnd::Taken) {
        let sum = posted.remove(&booking.payment).unwrap_or(0).unsigned_abs();
        if sum != booking.amount.tiyn() {
            found.push(format!("{}: {} taken, {sum} tiyn on the books", booking.payment, booking.amount));
        }
    }
    let known =
        |payment: &PaymentId| ledger.forgotten_cards.iter().any(|booking| booking.payment == *payment);
    let rest = posted.iter().filter(|(payment, tiyn)| **tiyn != 0 && !known(payment));
    found.extend(
        rest.map(|(payment, tiyn)| format!("{payment}: {tiyn} tiyn of a card are booked, nothing is taken")),
    );
    found
}

fn issuer_differs(charge: &Charge, ledger: &Ledger, lost: &dyn Fn(&PaymentId) -> bool) -> Option<String> {
    let trace = String::from_utf8_lossy(&charge.name.trace).into_owned();
    let Some(booking) = ledger.cards.iter().find(|booking| booking.name == charge.name) else {
        let forgotten = ledger.forgotten_cards.iter().any(|booking| booking.name == charge.name);
        return (!forgotten)
            .then(|| format!("the issuer has {trace} as {:?}, the center nothing", charge.standing));
    };
    let same = match (charge.standing, booking.standing) {
        (CardEnd::Held, CardEnd::Held) => lost(&booking.payment),
        (CardEnd::Taken, CardEnd::Taken) | (CardEnd::Undone, CardEnd::Undone) => true,
        // A decline that nobody heard is undone too.
        (CardEnd::Declined, CardEnd::Declined | CardEnd::Undone) => true,
        _ => false,
    };
    (!same).then(|| {
        format!(
            "{}: {:?} at the issuer, {:?} at the center",
            booking.payment, charge.standing, booking.standing
        )
    })
}

fn journal_differs(till: &Till, ledger: &Ledger, forgotten: &BTreeSet<PaymentId>) -> Found {
    let mut found = Vec::new();
    let answered: BTreeSet<PaymentId> = facts(till)
        .filter_map(|fact| match fact {
            Fact::Settled { outcome } => outcome.read_unverified(),
            _ => None,
        })
        .filter(|outcome| matches!(outcome.verdict, Verdict::Accepted { .. }))
        .map(|outcome| outcome.payment)
        .collect();
    for (payment, (_, steps)) in asked(till) {
        if forgotten.contains(&payment) {
            continue;
        }
        let booking = ledger.cards.iter().find(|booking| booking.payment == payment);
        let taken = booking.is_some_and(|booking| booking.standing == CardEnd::Taken);
        let told = match steps.last() {
            Some(CardStep::Confirmed) => true,
            Some(CardStep::Declined(_) | CardStep::ReversalAcknowledged) => false,
            _ => {
                found.push((
                    Invariant::OutboxEmpties,
                    format!("the card of {payment} has no end in the journal"),
                ));
                continue;
            }
        };
        if told != taken {
            let what = format!("{payment}: {:?} in the journal, {:?} at the center", steps.last(), booking);
            found.push((Invariant::CardsAgree, what));
        }
        if taken && !answered.contains(&payment) {
            found.push((
                Invariant::CodeBeforeMoney,
                format!("{payment} is taken, and the journal has no code for it"),
            ));
        }
    }
    found
}
