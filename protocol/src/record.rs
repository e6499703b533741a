//! The journal record: one fact, when it was written, and its exact bytes.
//!
//! A record's bytes are `version || postcard(seq, boot, mono_ms, utc, fact)`; they are a leaf of the journal's Merkle tree,
//! so the layout of a version never changes. Facts are past tense; intents that precede an irreversible act end in `Ordered` or
//! `Requested`. No fact holds a PAN, a PIN or a readable IIN.

use crate::{
    Denomination, PaymentId, UtcTime,
    card::{CardMark, CardMoved, CardStep},
    catalogue::Language,
    messages::{Deposit, Outcome, Quote, SealedIin},
    signed::Signed,
};
use serde::{Deserialize, Serialize};

/// The version this build writes.
pub const VERSION: u8 = 1;
/// Longest record in bytes.
pub const MAX_RECORD: usize = 4 * 1024;

/// One journal record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Position in the journal, from 0, without gaps.
    pub seq: u64,
    /// Counts the starts of the program on this journal, from 1.
    pub boot: u32,
    /// Milliseconds since this start, never going back.
    pub mono_ms: u64,
    /// The wall clock, for people; it may be wrong.
    pub utc: UtcTime,
    /// What happened.
    pub fact: Fact,
}

/// How it is known that a note lies in the cassette.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StackedBy {
    /// The acceptor said so after our order.
    Report,
    /// The acceptor said so at start-up, after an order whose end was not seen.
    PowerUp,
    /// The acceptor's stacked counter had grown by one.
    Counter,
    /// The acceptor stacked a note that was never ordered.
    Unordered,
}

/// Why the way of a note stays unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Doubt {
    /// The acceptor came up empty and has no counter.
    NoWitness,
    /// The counter moved by something other than 0 or 1.
    CounterJumped {
        /// Before the order.
        before: u16,
        /// Now.
        after: u16,
    },
    /// The note stuck in the transport or cassette.
    Jam,
    /// The acceptor did not answer any more.
    Absent,
    /// Another device was found in its place.
    OtherDevice,
}

/// What is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Paper {
    /// Receipt with the payment code (and the remainder voucher, if any).
    Receipt,
    /// The code follows: the QR carries the signed deposit.
    ClaimSlip,
    /// Money is held: number, sum, QR.
    Voucher,
}

/// Why a print did not succeed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PrintFault {
    /// No paper.
    PaperOut,
    /// A cover is open.
    CoverOpen,
    /// The cutter is stuck.
    Cutter,
    /// The printer reports another error.
    Mechanism,
    /// The printer does not answer.
    Absent,
    /// Power was cut in between; nobody knows what is on paper.
    Unknown,
}

/// How a payment left the kiosk's care.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ending {
    /// Code given.
    Paid,
    /// Money held, number given.
    Held,
    /// No money went in.
    Voided,
    /// The claim slip was given; the answer comes later.
    ClaimGiven,
}

/// Something happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "one record at a time; no heap in this crate")]
pub enum Fact {
    /// The program started on this journal.
    Booted {
        /// Random of this boot.
        nonce: [u8; 16],
        /// Name and version.
        software: heapless::String<48>,
    },
    /// The center granted an epoch to this boot.
    Linked {
        /// The epoch.
        epoch: u32,
        /// Life of the center's database.
        center_epoch: u32,
    },
    /// The acceptor named itself.
    AcceptorIdentified {
        /// Serial number.
        serial: heapless::String<16>,
        /// Firmware part number.
        part: heapless::String<16>,
        /// Its bill table, so that a note reported before the next identification has a value.
        bills: heapless::Vec<(u8, Denomination), 24>,
    },
    /// A payment began; no money is in yet.
    Started {
        /// Its id.
        payment: PaymentId,
        /// What the center promised.
        quote: Signed<Quote>,
        /// The payer, readable by the center alone.
        payer: SealedIin,
        /// HMAC-SHA256 of the IIN under the site key, truncated: finds the payment when its payer comes back.
        payer_tag: [u8; 16],
        /// Language of the citizen.
        language: Language,
    },
    /// About to order the acceptor to stack the note in escrow.
    StackOrdered {
        /// Counts the orders of this kiosk.
        note: u64,
        /// The payment it is for.
        payment: PaymentId,
        /// What the acceptor saw.
        denomination: Denomination,
        /// The acceptor's stacked counter before, if it has one.
        counter: Option<u16>,
    },
    /// A note is in the cassette.
    NoteStacked {
        /// The order, or a fresh number for an unordered note.
        note: u64,
        /// The payment credited; a fresh id when none was open.
        payment: PaymentId,
        /// Its value.
        denomination: Denomination,
        /// How we know.
        by: StackedBy,
    },
    /// An ordered note went back to the citizen.
    NoteReturned {
        /// The order.
        note: u64,
    },
    /// The way of an ordered note cannot be settled: suspense.
    NoteInDoubt {
        /// The order.
        note: u64,
        /// A fresh id under which its value is held until an operator has looked.
        payment: PaymentId,
        /// Its value.
        denomination: Denomination,
        /// Why.
        doubt: Doubt,
    },
    /// The citizen confirmed; the center is to pay. In the outbox from here on.
    CommitRequested {
        /// The signed account.
        deposit: Signed<Deposit>,
    },
    /// The center is to hold this money. In the outbox from here on.
    HoldRequested {
        /// The signed account.
        deposit: Signed<Deposit>,
    },
    /// The center's final answer: a code or a held balance.
    Settled {
        /// The answer.
        outcome: Signed<Outcome>,
    },
    /// About to print.
    PrintOrdered {
        /// Counts the prints of this kiosk.
        print: u64,
        /// The payment.
        payment: PaymentId,
        /// Which paper.
        paper: Paper,
        /// Marked COPY.
        copy: bool,
    },
    /// The printer confirmed it.
    Printed {
        /// The print.
        print: u64,
    },
    /// It did not come out, or nobody knows.
    PrintFailed {
        /// The print.
        print: u64,
        /// Why.
        fault: PrintFault,
    },
    /// A payment left the screen.
    Finished {
        /// Its id.
        payment: PaymentId,
        /// How.
        ending: Ending,
    },
    /// The citizen of an interrupted payment came back and typed the IIN.
    Resumed {
        /// Its id.
        payment: PaymentId,
    },
    /// The center cosigned the journal up to `size`.
    Cosigned {
        /// Number of records.
        size: u64,
        /// The witness' signature line.
        line: heapless::String<256>,
    },
    /// The cassette was taken out (`true`) or put back.
    CassetteRemoved(bool),
    /// A door or the safe was opened (`true`) or closed.
    Opened {
        /// `door` or `safe`.
        part: heapless::String<8>,
        /// Whether it is open now.
        open: bool,
    },
    /// A fault was raised (`true`) or cleared.
    FaultChanged {
        /// Its stable code, e.g. `ACC-JAM`.
        code: heapless::String<16>,
        /// Whether it is present now.
        present: bool,
    },
    /// A note was stacked or attempted although the acceptor reported cheating.
    CheatReported,
    /// The center's answer to an emergency hold did not cover this note: it gets an account of its own.
    NoteMoved {
        /// The payment it was counted for.
        from: PaymentId,
        /// A fresh id, held for the same payer.
        to: PaymentId,
        /// Its value.
        denomination: Denomination,
    },
    /// The center has answered this account of a payment and not the one in the journal, if there is one: it was signed from memory
    /// when an append had failed, and comes back from the center. The answer follows.
    AccountLearned {
        /// The signed account, as the center got it.
        deposit: Signed<Deposit>,
    },
    /// About to ask the center to authorise a card, once. Number and PIN block go with the message and stay nowhere.
    AuthorizeSent {
        /// The signed order to pay.
        deposit: Signed<Deposit>,
        /// Which card, as far as anybody may know later.
        card: CardMark,
    },
    /// A card payment went a step further.
    Card {
        /// The payment.
        payment: PaymentId,
        /// The step.
        step: CardStep,
    },
    /// A card was moved, or is to be.
    CardMoved {
        /// The payment it is for, if there is one.
        payment: Option<PaymentId>,
        /// Where to.
        moved: CardMoved,
    },
    /// The PIN pad used a key; no key comes twice.
    PinKeyUsed {
        /// The key's serial number.
        serial: [u8; 10],
    },
}

/// Why bytes are not a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordError {
    /// Written by a newer program, or not a record.
    Version(u8),
    /// Cut short, edited, or with bytes left over.
    Body,
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Version(version) => write!(f, "record version {version}, this build reads {VERSION}"),
            Self::Body => f.write_str("record body does not decode"),
        }
    }
}

impl Record {
    /// The exact bytes that are stored, hashed and exported.
    pub fn to_bytes(&self) -> alloc::vec::Vec<u8> {
        let mut buffer = alloc::vec![0; MAX_RECORD];
        buffer[0] = VERSION;
        let used = postcard::to_slice(self, &mut buffer[1..]).expect("invariant: facts are bounded").len();
        buffer.truncate(used + 1);
        buffer
    }

    /// Reads the bytes back.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        match bytes {
            [VERSION, body @ ..] => match postcard::take_from_bytes(body) {
                Ok((record, [])) => Ok(record),
                _ => Err(RecordError::Body),
            },
            [version, ..] => Err(RecordError::Version(*version)),
            [] => Err(RecordError::Body),
        }
    }
}
