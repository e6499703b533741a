//! What the center owes the acquirer of cards: one request for a payment, and then, for ever, exactly one end.
//!
//! A payment is authorised by one request that is never sent again. Its trace number is taken and its row written before it is sent. When
//! no answer was heard in time, or the payment came to nothing, it is reversed, and the reversal is repeated until it is acknowledged; when
//! everything is done, it is confirmed, and that is repeated too. An answer that comes after a reversal was decided is matched and noted,
//! and changes nothing: the reversal wins. The rules call nobody: the shell sends what [`due`] gives and brings back what it heard.
//!
//! ```text
//! begin ──▶ Sent ──▶ Declined
//!            │ └────▶ Approved ──confirm──▶ Confirming ──acknowledged──▶ Confirmed
//!            │            │ void
//!            └─ silence ──┴──▶ Reversing ──acknowledged──▶ Reversed
//! ```
//!
//! The row is written before the security module has sealed the request's PIN block, so a center that dies in between owes a reversal of what
//! has never left. It comes to rest like every other: a reversal has no PIN block that could be refused, and an acquirer that knows no such
//! request says so (`25`), which is an end. Only where the number itself is the reader's, and no module opens it, nobody can say the
//! reversal: then a person asks the acquirer ([`crate::logic::card_office`]).
//!
//! The card's number is kept because a reversal needs it; sealed, and only until the end.

use crate::logic::{
    cards::ascii,
    store::{Result, StoreError},
};
use data_encoding::HEXUPPER;
use serde::{Deserialize, Serialize};
use std::fmt;
use tolem_probe::{Fault, Site, planted, sometimes};
use tolem_protocol::{
    Amount, PaymentId, UtcTime,
    card::{IssuerWords, SecretNumber},
    iso8583::{FieldError, Message, MessageType, Original, de},
    messages::Outcome,
    signed::Signed,
    utc::Date,
};

/// An answer that was not heard after so long will not be waited for, in seconds.
pub const ANSWER_WAIT_S: i64 = 60;
/// First pause before something is said again, in seconds; it doubles.
const FIRST_PAUSE_S: i64 = 10;
/// No pause is longer, in seconds.
const LONGEST_PAUSE_S: i64 = 600;
/// Answers that say that all of the sum is held (ISO 8583:1987, field 39): approved; honour with identification; approved for a very
/// important person; approved, update track 3. What a person should do besides, nobody does at a terminal without one.
const APPROVALS: [[u8; 2]; 4] = [*b"00", *b"08", *b"11", *b"16"];
/// Approved for a part of the sum: money is held, and not enough.
pub const PARTIAL: [u8; 2] = *b"10";
/// Answers to a reversal that say that no money is held: no action taken, not found.
const UNDONE: [[u8; 2]; 2] = [*b"21", *b"25"];
/// A trace number has six digits.
const TRACES: u32 = 1_000_000;

/// How a payment stands with the acquirer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Standing {
    /// Asked; no answer yet.
    Sent,
    /// The issuer said no; without its code, it was never asked.
    Declined,
    /// The money is held.
    Approved,
    /// It is to be taken; not acknowledged yet.
    Confirming,
    /// It was taken.
    Confirmed,
    /// It is to be undone; not acknowledged yet.
    Reversing,
    /// It was undone.
    Reversed,
}

impl Standing {
    /// The card's owner keeps the money, or gets it back.
    pub const fn is_undone(self) -> bool {
        matches!(self, Self::Reversing | Self::Reversed | Self::Declined)
    }
}

/// Why something is undone, field 39 of a reversal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// No answer was heard.
    NoAnswer,
    /// It came to nothing afterwards: the card refused, was torn out, the code was refused, the citizen left.
    Void,
    /// The issuer approved another sum than was asked for.
    Part,
}

impl Why {
    const fn code(self) -> [u8; 2] {
        *match self {
            Self::NoAnswer => b"68",
            Self::Void | Self::Part => b"17",
        }
    }
}

/// A message's name: what answers and reversals call it by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Name {
    /// The trace number as it was counted, from 1; six digits of it are sent.
    pub trace: u32,
    /// When it was sent.
    pub sent: UtcTime,
}

impl Name {
    /// Six digits.
    pub fn trace_digits(self) -> [u8; 6] {
        let text = format!("{:06}", self.trace % TRACES);
        text.into_bytes().try_into().expect("invariant: six digits")
    }

    /// Month, day, hour, minute, second, UTC.
    pub fn sent_digits(self) -> [u8; 10] {
        let seconds = self.sent.seconds();
        let (_, month, day) = Date::from_days(seconds.div_euclid(86_400)).calendar();
        let rest = seconds.rem_euclid(86_400);
        let text = format!("{month:02}{day:02}{:02}{:02}{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
        text.into_bytes().try_into().expect("invariant: ten digits")
    }

    /// Sets the fields that name a message.
    fn put(self, message: &mut Message) -> std::result::Result<(), FieldError> {
        message.set(de::TRACE, &self.trace_digits())?;
        message.set(de::SENT, &self.sent_digits())
    }
}

/// A payment with the acquirer.
#[derive(Clone, PartialEq, Eq)]
pub struct CardRow {
    /// The payment.
    pub payment: PaymentId,
    /// The terminal as the acquirer calls it, eight characters.
    pub terminal: [u8; 8],
    /// The merchant as the acquirer calls it, fifteen characters.
    pub merchant: [u8; 15],
    /// The sum.
    pub amount: Amount,
    /// The card's number, sealed; empty from the end on.
    pub sealed_number: Vec<u8>,
    /// The request's name.
    pub request: Name,
    /// How it stands.
    pub standing: Standing,
    /// What the issuer said, two characters, even if too late.
    pub code: Option<[u8; 2]>,
    /// Code of its approval.
    pub approval: Option<[u8; 6]>,
    /// The signed answer with the code that an approval gives to the kiosk.
    pub outcome: Option<Signed<Outcome>>,
    /// What the issuer said to the chip; kept until the end.
    pub words: Option<IssuerWords>,
    /// Why it is undone.
    pub why: Option<Why>,
    /// The name of the advice or reversal.
    pub errand: Option<Name>,
    /// How often that was said.
    pub tries: u32,
    /// When something is to be done next.
    pub next: UtcTime,
}

impl fmt::Debug for CardRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {} {:?}", self.payment, self.standing, self.amount.tiyn(), self.code)
    }
}

/// Where the rows are kept. The shell runs each rule in one transaction, and sends only what that has made durable.
pub trait Acquiring {
    /// The next trace number, from 1: counted with the row that uses it, and never given twice.
    fn next_trace(&mut self) -> Result<u32>;
    /// A payment's row.
    fn card(&self, payment: &PaymentId) -> Result<Option<CardRow>>;
    /// The row whose request, advice or reversal has this trace number (all of it, not six digits).
    fn card_by_trace(&self, trace: u32) -> Result<Option<CardRow>>;
    /// Requests of a terminal whose trace number ends in these six digits, oldest first.
    fn cards_named(&self, terminal: &[u8; 8], trace: u32) -> Result<Vec<CardRow>>;
    /// The highest trace number given so far, 0 at first.
    fn last_trace(&self) -> Result<u32>;
    /// Writes a row.
    fn put_card(&mut self, row: &CardRow) -> Result<()>;
    /// Approved payments of which nobody has said since `before` whether they are to be taken or given back; the issuer will not hold the
    /// money for ever, so somebody must.
    fn cards_undecided(&self, before: UtcTime) -> Result<Vec<CardRow>>;
    /// Gives each row to `each`, in the order of their trace numbers.
    fn each_card(&self, each: &mut dyn FnMut(CardRow)) -> Result<()>;
    /// Rows that wait for something and are due at `now`, at most so many, the longest waiting first.
    fn cards_due(&self, now: UtcTime, most: u32) -> Result<Vec<CardRow>>;
}

/// What a kiosk asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct Ask {
    /// The payment.
    pub payment: PaymentId,
    /// The terminal as the acquirer calls it.
    pub terminal: [u8; 8],
    /// The merchant as the acquirer calls it.
    pub merchant: [u8; 15],
    /// The sum.
    pub amount: Amount,
    /// The card's number, sealed.
    pub sealed_number: Vec<u8>,
    /// The signed answer with the code, for an approval.
    pub outcome: Option<Signed<Outcome>>,
}

/// What came of asking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Begun {
    /// Send the request of this row, once, when the row is durable.
    Send(CardRow),
    /// It was sent before, whatever this asks for: this is how it stands. Nothing is sent.
    Known(CardRow),
}

/// Begins a payment, or says how it stands.
pub fn begin(store: &mut (impl Acquiring + ?Sized), now: UtcTime, ask: Ask) -> Result<Begun> {
    if let Some(row) = store.card(&ask.payment)?
        && !planted(Fault::RetryAuthorizeWithNewId)
    {
        return Ok(Begun::Known(row));
    }
    let row = CardRow {
        payment: ask.payment,
        terminal: ask.terminal,
        merchant: ask.merchant,
        amount: ask.amount,
        sealed_number: ask.sealed_number,
        request: Name { trace: store.next_trace()?, sent: now },
        standing: Standing::Sent,
        code: None,
        approval: None,
        outcome: ask.outcome,
        words: None,
        why: None,
        errand: None,
        tries: 0,
        next: now.plus_seconds(ANSWER_WAIT_S),
    };
    store.put_card(&row)?;
    Ok(Begun::Send(row))
}

/// The request of a row: what only the kiosk knows (number, PIN block, chip data, expiry) is in `draft` and nowhere else.
pub fn request(row: &CardRow, mut draft: Message) -> std::result::Result<Message, FieldError> {
    draft.kind = MessageType::AUTHORIZATION;
    row.request.put(&mut draft)?;
    draft.set(de::TERMINAL, &row.terminal)?;
    draft.set(de::CURRENCY, b"398")?;
    draft.set_amount(row.amount)?;
    Ok(draft)
}

/// How a payment stands: the status enquiry of a kiosk that heard nothing.
pub fn enquire(store: &(impl Acquiring + ?Sized), payment: &PaymentId) -> Result<Option<CardRow>> {
    store.card(payment)
}

/// What an answer led to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Declined or approved, now.
    Decided(CardRow),
    /// The advice or reversal is acknowledged: the end.
    Settled(CardRow),
    /// Too late, or again: noted, nothing changed.
    Late(CardRow),
    /// The issuer will not do what it was told; it is told again, and a person must look.
    Disputed(CardRow),
    /// To nothing that was said.
    Unknown,
}

/// Takes in an answer of the acquirer.
///
/// An approval of a part, or of another sum than was asked for, is undone: a fee is paid whole or not at all.
pub fn hear(store: &mut (impl Acquiring + ?Sized), now: UtcTime, answer: &Message) -> Result<Heard> {
    let Some(mut row) = named(store, answer)? else { return Ok(Heard::Unknown) };
    let Some(code) = answer.get(de::RESPONSE).and_then(|code| <[u8; 2]>::try_from(code).ok()) else {
        return Ok(Heard::Unknown);
    };
    let approved = code == *b"00";
    let heard = match (answer.kind, row.standing) {
        (MessageType::AUTHORIZATION_ANSWER, Standing::Sent) => {
            row.code = Some(code);
            row.approval = answer.get(de::APPROVAL).and_then(|approval| approval.try_into().ok());
            let holds = APPROVALS.contains(&code);
            let all = answer.amount().is_none_or(|amount| amount == row.amount);
            if holds && all {
                row.standing = Standing::Approved;
            } else if holds || code == PARTIAL {
                reverse(store, &mut row, now, Why::Part)?;
            } else {
                row.standing = Standing::Declined;
                if !planted(Fault::NumberKept) {
                    row.sealed_number.clear();
                }
            }
            Heard::Decided(row)
        }
        (MessageType::AUTHORIZATION_ANSWER, _) => {
            sometimes(Site::CardAnswerLate);
            row.code = row.code.or(Some(code));
            if approved && planted(Fault::LateApprovalWins) {
                row.standing = Standing::Approved;
            }
            Heard::Late(row)
        }
        (MessageType::ADVICE_ANSWER, Standing::Confirming) if approved => {
            (row.standing, row.sealed_number) = (Standing::Confirmed, Vec::new());
            row.words = None;
            Heard::Settled(row)
        }
        // It is said again all the same: the money is owed, and a person settles why.
        (MessageType::ADVICE_ANSWER, Standing::Confirming) => Heard::Disputed(row),
        // Undone, or there was nothing to undo.
        (MessageType::REVERSAL_ANSWER, Standing::Reversing) if approved || UNDONE.contains(&code) => {
            (row.standing, row.sealed_number) = (Standing::Reversed, Vec::new());
            row.words = None;
            Heard::Settled(row)
        }
        (MessageType::REVERSAL_ANSWER, Standing::Reversing) => Heard::Disputed(row),
        (MessageType::ADVICE_ANSWER | MessageType::REVERSAL_ANSWER, _) => Heard::Late(row),
        _ => return Ok(Heard::Unknown),
    };
    if let Heard::Decided(row) | Heard::Settled(row) | Heard::Late(row) | Heard::Disputed(row) = &heard {
        store.put_card(row)?;
    }
    Ok(heard)
}

/// The row that a message names by its trace number, time and terminal.
pub(super) fn named(store: &(impl Acquiring + ?Sized), answer: &Message) -> Result<Option<CardRow>> {
    let digits = |field| answer.get(field).map(<[u8]>::to_vec).unwrap_or_default();
    let (trace, sent, terminal) = (digits(de::TRACE), digits(de::SENT), digits(de::TERMINAL));
    let Some(low) = std::str::from_utf8(&trace).ok().and_then(|text| text.parse::<u32>().ok()) else {
        return Ok(None);
    };
    // Six digits name the newest number that ends so, or one of the rounds before it.
    let last = store.last_trace()?;
    let mut full = last - last % TRACES + low;
    if full > last {
        let Some(before) = full.checked_sub(TRACES) else { return Ok(None) };
        full = before;
    }
    let Some(row) = store.card_by_trace(full)? else { return Ok(None) };
    let name = match answer.kind {
        MessageType::AUTHORIZATION_ANSWER => Some(row.request),
        _ => row.errand,
    };
    let fits = name.is_some_and(|name| name.trace == full && name.sent_digits()[..] == sent[..]);
    Ok((fits && row.terminal[..] == terminal[..]).then_some(row))
}

/// Everything is done and the citizen has the code: the money is to be taken. Gives how it stands then; only `Confirming` and `Confirmed`
/// mean that it will be.
pub fn confirm(store: &mut (impl Acquiring + ?Sized), now: UtcTime, payment: &PaymentId) -> Result<Standing> {
    let mut row = existing(store, payment)?;
    if row.standing == Standing::Approved {
        row.standing = Standing::Confirming;
        row.errand = Some(Name { trace: store.next_trace()?, sent: now });
        (row.tries, row.next) = (0, now);
        store.put_card(&row)?;
    }
    Ok(row.standing)
}

/// It came to nothing: whatever was or may have been held is given back. What is confirmed stays so. Gives how it stands then.
pub fn void(
    store: &mut (impl Acquiring + ?Sized),
    now: UtcTime,
    payment: &PaymentId,
    why: Why,
) -> Result<Standing> {
    let mut row = existing(store, payment)?;
    if matches!(row.standing, Standing::Sent | Standing::Approved) {
        reverse(store, &mut row, now, why)?;
        store.put_card(&row)?;
    }
    Ok(row.standing)
}

/// The request has certainly never left: nobody holds or takes anything, so nothing is said about it either. Gives the row if something
/// changed: an order that was waited for is declined, one that was undone meanwhile is so at once.
pub fn unsent(store: &mut (impl Acquiring + ?Sized), payment: &PaymentId) -> Result<Option<CardRow>> {
    let row = existing(store, payment)?;
    let standing = match row.standing {
        Standing::Sent => Standing::Declined,
        Standing::Reversing => Standing::Reversed,
        Standing::Declined
        | Standing::Approved
        | Standing::Confirming
        | Standing::Confirmed
        | Standing::Reversed => return Ok(None),
    };
    let row = CardRow { standing, sealed_number: Vec::new(), words: None, ..row };
    store.put_card(&row)?;
    Ok(Some(row))
}

fn existing(store: &(impl Acquiring + ?Sized), payment: &PaymentId) -> Result<CardRow> {
    store.card(payment)?.ok_or_else(|| StoreError(format!("no card payment {payment}")))
}

fn reverse(store: &mut (impl Acquiring + ?Sized), row: &mut CardRow, now: UtcTime, why: Why) -> Result<()> {
    (row.standing, row.why) = (Standing::Reversing, Some(why));
    row.errand = Some(Name { trace: store.next_trace()?, sent: now });
    (row.tries, row.next) = (0, now);
    Ok(())
}

/// What is to be said now: advices and reversals, each with its row as it is kept from here on. A request whose answer is overdue becomes a
/// reversal here, also after a crash. Call it again after the pause that the rows name.
pub fn due(store: &mut (impl Acquiring + ?Sized), now: UtcTime, most: u32) -> Result<Vec<CardRow>> {
    let mut rows = store.cards_due(now, most)?;
    for row in &mut rows {
        if row.standing == Standing::Sent {
            reverse(store, row, now, Why::NoAnswer)?;
        }
        if row.tries > 0 {
            sometimes(Site::CardErrandRepeated);
        }
        let pause = FIRST_PAUSE_S.saturating_mul(1 << row.tries.min(16)).min(LONGEST_PAUSE_S);
        row.tries = row.tries.saturating_add(1);
        row.next = now.plus_seconds(pause);
        let mut kept = row.clone();
        match kept.standing {
            Standing::Reversing if planted(Fault::ReversalForgotten) => kept.standing = Standing::Reversed,
            Standing::Confirming if planted(Fault::ConfirmationForgotten) => {
                kept.standing = Standing::Confirmed;
            }
            _ => {}
        }
        store.put_card(&kept)?;
    }
    Ok(rows)
}

/// Puts a card's number into a message: in the clear, or as its reader has enciphered it, to be opened on the line or by the acquirer.
pub fn put_number(message: &mut Message, number: &SecretNumber) -> std::result::Result<(), FieldError> {
    match number {
        SecretNumber::Clear(number) => message.set(de::NUMBER, &ascii(number.digits())),
        SecretNumber::Sealed(sealed) => {
            message.set(de::SEALED_NUMBER, HEXUPPER.encode(&sealed.to_bytes()).as_bytes())
        }
    }
}

/// The message of a row that [`due`] gave; `number` is the card's, opened for this message alone. `None` if nothing is to be said of it.
pub fn errand(row: &CardRow, number: &SecretNumber) -> std::result::Result<Option<Message>, FieldError> {
    let kind = match (row.standing, row.tries) {
        (Standing::Confirming, _) => MessageType::ADVICE,
        (Standing::Reversing, 0 | 1) => MessageType::REVERSAL,
        (Standing::Reversing, _) => MessageType::REVERSAL_REPEAT,
        _ => return Ok(None),
    };
    let Some(name) = row.errand else { return Ok(None) };
    let original = Original {
        kind: MessageType::AUTHORIZATION,
        trace: row.request.trace_digits(),
        sent: row.request.sent_digits(),
    };
    let mut message = Message::new(kind);
    name.put(&mut message)?;
    put_number(&mut message, number)?;
    message.set(de::PROCESSING, b"000000")?;
    message.set_amount(row.amount)?;
    message.set(de::TERMINAL, &row.terminal)?;
    message.set(de::MERCHANT, &row.merchant)?;
    message.set(de::CURRENCY, b"398")?;
    message.set(de::ORIGINAL, &original.to_field())?;
    if let Some(approval) = row.approval {
        message.set(de::APPROVAL, &approval)?;
    }
    if let Some(why) = row.why {
        message.set(de::RESPONSE, &why.code())?;
    }
    Ok(Some(message))
}
