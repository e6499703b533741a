//! Kiosk-center messages: what is asked, what is answered, and the frame around both.
//!
//! A frame is a 4-byte big-endian length and that many bytes: version, request number, postcard body. All types are
//! bounded, so a frame never exceeds [`MAX_FRAME`]. The bytes of each version are frozen by tests; a change of layout is a
//! new version, and both sides serve [`MIN_VERSION`]..=[`VERSION`]. A frame carries the oldest version that has its message
//! ([`Message::version`]), so a newer program is understood by an older one in all that both know.
//!
//! | Version | Messages |
//! |---|---|
//! | 1 | everything for cash |
//! | 2 | cards: [`Method::Either`], [`Request::Authorize`] and what follows it |
//! | 3 | [`Request::CardService`] |
//! | 4 | [`Request::SealedCardService`] |

use crate::{
    Amount, BalanceNumber, ClaimNumber, Iin, PaymentCode, PaymentId, UtcTime,
    card::{CardAnswer, CardOrder, VoidReason},
    catalogue::{CatalogueHead, Service, ServiceCode},
    merkle::Hash,
    notes::NotePile,
    signed::{Signed, Statement},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The newest version of a message that this build knows.
pub const VERSION: u8 = 4;
/// The oldest version this build reads.
pub const MIN_VERSION: u8 = 1;
/// Longest frame in bytes, without the length field.
pub const MAX_FRAME: usize = 8 * 1024;

/// The IIN, sealed to the center's public key (HPKE base mode, RFC 9180: X25519, HKDF-SHA256, ChaCha20-Poly1305). The
/// kiosk that made it cannot open it. 32 bytes encapsulated key, 12 + 16 bytes ciphertext and tag.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedIin(pub [u8; 32], pub heapless::Vec<u8, 28>);

impl core::fmt::Debug for SealedIin {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SealedIin(…)")
    }
}

/// How a payment can be paid: in a request what the terminal can take now, in a quote what is offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Method {
    /// Banknotes.
    Cash,
    /// A payment card.
    Card,
    /// One of them, as the citizen chooses. Since version 2.
    Either,
}

impl Method {
    /// Of `cash` and `card` those that are true; `None` for neither.
    pub const fn of(cash: bool, card: bool) -> Option<Self> {
        match (cash, card) {
            (true, true) => Some(Self::Either),
            (true, false) => Some(Self::Cash),
            (false, true) => Some(Self::Card),
            (false, false) => None,
        }
    }

    /// Banknotes are among them.
    pub const fn has_cash(self) -> bool {
        matches!(self, Self::Cash | Self::Either)
    }

    /// Cards are among them.
    pub const fn has_card(self) -> bool {
        matches!(self, Self::Card | Self::Either)
    }

    /// Whether everything offered here was asked for by `asked`.
    pub const fn is_within(self, asked: Self) -> bool {
        (asked.has_cash() || !self.has_cash()) && (asked.has_card() || !self.has_card())
    }
}

/// The center's signed promise: pay this, and the fee is paid. Screen and paper show exactly this.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Quote {
    /// The payment it is for.
    pub payment: PaymentId,
    /// What is paid.
    pub service: ServiceCode,
    /// [`Service::digest`] of the catalogue entry: payee, budget codes and all names are signed with it.
    pub service_digest: [u8; 32],
    /// The payer's name as the registry masks it, empty if it gives none.
    pub payer: heapless::String<64>,
    /// Exact fee.
    pub fee: Amount,
    /// Exact commission, zero unless a signed tariff says otherwise.
    pub commission: Amount,
    /// Fee and commission as paid in cash (rounded to whole tenge).
    pub cash_total: Amount,
    /// A held balance reserved for this payment, and its sum.
    pub balance: Option<(BalanceNumber, Amount)>,
    /// How it can be paid.
    pub method: Method,
    /// When it was made.
    pub made_at: UtcTime,
    /// Not valid for a payment whose first note is stacked after this.
    pub valid_until: UtcTime,
}

impl Quote {
    /// Cash still to come in: the cash total less the reserved balance.
    pub fn due(&self) -> Amount {
        self.cash_total.saturating_sub(self.balance.map_or(Amount::ZERO, |(_, sum)| sum))
    }

    /// What a card pays: fee and commission to the tiyn. `None` if the quote offers no cards, uses a held balance (that goes with cash
    /// only), or is beyond all bounds.
    pub fn card_total(&self) -> Option<Amount> {
        let offered = self.method.has_card() && self.balance.is_none();
        self.fee.checked_add(self.commission).filter(|sum| offered && !sum.is_zero())
    }
}

impl Statement for Quote {
    const CONTEXT: &'static str = "tolem quote v1";
}

/// What a kiosk asks for the money it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DepositKind {
    /// Pay the quoted fee; what is left over is held.
    Pay,
    /// Hold everything for the payer.
    Hold(HoldReason),
}

/// Why money is held instead of paid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HoldReason {
    /// The citizen stopped, or walked away, before the sum was reached.
    Stopped,
    /// More came in than the fee.
    Remainder,
    /// A note whose way could not be settled after a power cut or jam.
    Suspense,
    /// A note was stacked while no payment was open.
    NoPayment,
    /// The center could not accept the payment although the money was in.
    Refused,
    /// The journal failed while money was in.
    JournalFailed,
}

/// The kiosk's signed account of the money of one payment. Sent as commit or hold; printed as the QR of a claim slip.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Deposit {
    /// The payment, or a fresh id for money without one.
    pub payment: PaymentId,
    /// What is asked.
    pub kind: DepositKind,
    /// The accepted quote; `None` for money without a payment.
    pub quote: Option<Signed<Quote>>,
    /// The payer, readable by the center alone; `None` when nobody typed one.
    pub payer: Option<SealedIin>,
    /// Notes that are in the cassette for this payment.
    pub notes: NotePile,
    /// When the kiosk wrote it.
    pub made_at: UtcTime,
}

impl Statement for Deposit {
    const CONTEXT: &'static str = "tolem deposit v1";
}

/// Money the center keeps for somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HeldBalance {
    /// Its number, on the voucher.
    pub number: BalanceNumber,
    /// How much.
    pub amount: Amount,
    /// Why.
    pub reason: HoldReason,
}

/// What a payment code proves, checkable offline: the QR of a receipt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CodeToken {
    /// The code.
    pub code: PaymentCode,
    /// The payment.
    pub payment: PaymentId,
    /// What was paid.
    pub service: ServiceCode,
    /// The exact fee paid.
    pub fee: Amount,
    /// Last four digits of the payer's IIN.
    pub payer_tail: u16,
    /// When it was accepted.
    pub paid_at: UtcTime,
    /// Redeem before this.
    pub valid_until: UtcTime,
}

impl Statement for CodeToken {
    const CONTEXT: &'static str = "tolem code v1";
}

/// The final answer to a deposit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "one message at a time lives on the stack; no heap in this crate"
)]
pub enum Verdict {
    /// The fee is paid.
    Accepted {
        /// The code and what it proves, for the receipt's QR.
        token: Signed<CodeToken>,
        /// What was left over.
        remainder: Option<HeldBalance>,
    },
    /// Everything is held.
    Held(HeldBalance),
}

/// The center's signed final answer. Kept at least 90 days; re-sent if the center's epoch changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The payment.
    pub payment: PaymentId,
    /// [`Signed::digest`] of the deposit this answers.
    pub deposit: [u8; 32],
    /// The answer.
    pub verdict: Verdict,
    /// When.
    pub at: UtcTime,
    /// Life of the center's database; a new one after a restore.
    pub center_epoch: u32,
}

impl Statement for Outcome {
    const CONTEXT: &'static str = "tolem outcome v1";
}

/// Bounds that the operator sets for all kiosks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Most cash in one payment.
    pub per_payment: Amount,
    /// Most cash of one payer in one day (enforced by the center when it quotes).
    pub per_day: Amount,
    /// Cash closes when this much is unsettled at the kiosk, and no payment begins in cash that would exceed it.
    pub unsettled_total: Amount,
    /// Cash closes when so many payments are unsettled.
    pub unsettled_count: u16,
    /// Cash closes when the oldest unsettled payment is older than this.
    pub unsettled_age_s: u32,
    /// How long a citizen waits for the code before the claim slip is printed.
    pub answer_wait_s: u16,
    /// Whether the whole IIN is printed instead of its last four digits.
    pub print_whole_iin: bool,
}

/// First message on each connection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Software name and version.
    pub software: heapless::String<48>,
    /// Random of this boot.
    pub boot_nonce: [u8; 16],
    /// The epoch the center granted to this boot; 0 before.
    pub epoch: u32,
    /// Journal size in records.
    pub journal_size: u64,
    /// The kiosk's clock.
    pub clock: UtcTime,
    /// The center epoch of the newest signed answer in the journal; 0 for none.
    pub center_epoch: u32,
}

/// The link is up only when this was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// Epoch of this boot, never granted twice.
    pub epoch: u32,
    /// Life of the center's database.
    pub center_epoch: u32,
    /// The center's clock.
    pub clock: UtcTime,
    /// Catalogue version to have.
    pub catalogue: u32,
    /// Bounds in force.
    pub limits: Limits,
}

/// What the kiosk asks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "one message at a time lives on the stack; no heap in this crate"
)]
pub enum Request {
    /// Opens the conversation.
    Hello(Hello),
    /// Head of the catalogue.
    Catalogue,
    /// One service by its position.
    Service(u16),
    /// Ask the registry about an IIN.
    CheckPayer(Iin),
    /// Ask for a signed quote.
    Quote {
        /// The new payment.
        payment: PaymentId,
        /// What is to be paid.
        service: ServiceCode,
        /// For whom.
        payer: Iin,
        /// What the terminal can take now. The quote offers that or a part of it.
        method: Method,
        /// A voucher to use.
        balance: Option<BalanceNumber>,
    },
    /// Pay. Idempotent by payment id.
    Commit(Signed<Deposit>),
    /// Hold. Idempotent by payment id.
    Hold(Signed<Deposit>),
    /// Is there a final answer for this payment?
    Status(PaymentId),
    /// Nothing was stacked: forget the quote, release the reserved balance.
    Void(PaymentId),
    /// "I have a claim slip."
    Claim {
        /// From the slip.
        claim: ClaimNumber,
        /// Typed by the citizen.
        payer: Iin,
    },
    /// "I have a voucher": what is it worth?
    Voucher {
        /// From the voucher.
        number: BalanceNumber,
        /// Typed by the citizen.
        payer: Iin,
    },
    /// May this kiosk print the code of this payment as an original?
    PrintRight(PaymentId),
    /// The center's clock.
    Time,
    /// The certificate revocation list in force, in slices (it is also a file inside the VPN and outside TLS).
    Crl {
        /// First byte wanted.
        offset: u32,
    },
    /// Witness this checkpoint (C2SP tlog-witness `add-checkpoint`).
    Checkpoint {
        /// Size the witness cosigned last, as the kiosk knows it.
        old_size: u64,
        /// Consistency proof from `old_size`.
        proof: heapless::Vec<Hash, 64>,
        /// The signed note.
        note: heapless::String<1024>,
    },
    /// A signed answer the kiosk got earlier, for a center that was restored from a backup.
    Recall {
        /// The deposit that was answered.
        deposit: Signed<Deposit>,
        /// The answer.
        outcome: Signed<Outcome>,
    },
    /// Hold the money of a card and make the code. Sent once for a payment, never again; sent again all the same, it is answered as an
    /// enquiry. Since version 2.
    Authorize(CardOrder),
    /// The code is on paper or screen: take the money. Repeated until `Confirmed` is heard. Since version 2.
    CardConfirm(PaymentId),
    /// It came to nothing: undo it. Repeated until `Voided` is heard, or `Confirmed` where the code was used already. An order of this
    /// payment that comes later is not taken. Since version 2.
    CardVoid {
        /// The payment.
        payment: PaymentId,
        /// Why.
        why: VoidReason,
    },
    /// How does a card payment stand? Since version 2.
    CardEnquire(PaymentId),
    /// Can cards be taken now, as far as the center sees? Since version 3.
    CardService,
    /// The same for cards whose number the reader has enciphered ([`SecretNumber::Sealed`](crate::card::SecretNumber)): a center that does
    /// not know this question cannot take them. Answered like `CardService`. Since version 4.
    SealedCardService,
}

/// What the registry says of an IIN.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PayerCheck {
    /// Exists. The masked name may be empty.
    Right {
        /// E.g. `А••• Б•••`.
        name: heapless::String<64>,
    },
    /// No such person: type it again.
    Wrong,
    /// The registry does not answer: that says nothing about the IIN.
    Unavailable,
}

/// What the center has for a claim slip.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "one message at a time lives on the stack; no heap in this crate"
)]
pub enum ClaimAnswer {
    /// The final answer and, for a paid fee, the quote it answers.
    Settled {
        /// Code or held balance.
        outcome: Signed<Outcome>,
        /// What was quoted; `None` for held money without a quote.
        quote: Option<Signed<Quote>>,
    },
    /// The slip is well formed but its payment has not reached the center yet: keep the slip.
    NotArrived,
    /// Number and IIN do not belong together.
    NoMatch,
}

/// Who may print the code as an original.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PrintRight {
    /// This kiosk, now.
    Original,
    /// The original was granted before: print COPY.
    Copy,
}

/// Why the center does not do what was asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// Same payment id, other content: our bug or an attack. Alarmed.
    IdConflict,
    /// A signature does not fit, or the id names another kiosk.
    NotYours,
    /// No such service, balance or payment.
    Unknown,
    /// A limit per payment, payer or day is reached.
    Limit,
    /// The voucher is reserved by another payment, spent, or belongs to another IIN.
    BalanceNotFree,
    /// Too many wrong numbers from this kiosk or for this slip: wait.
    TooManyAttempts,
    /// The registry or gateway does not answer; try later.
    Unavailable,
    /// The journal of this kiosk contradicts what it showed before: out of service.
    JournalRolledBack,
    /// The request is not well formed.
    Malformed,
    /// The center was restored from a backup and still learns what it had answered; nothing is lost, try later.
    Rebuilding,
}

/// What the center answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "one message at a time lives on the stack; no heap in this crate"
)]
pub enum Response {
    /// To `Hello`.
    Welcome(Welcome),
    /// To `Catalogue`.
    Catalogue(CatalogueHead),
    /// To `Service`.
    Service(Service),
    /// To `CheckPayer`.
    Payer(PayerCheck),
    /// To `Quote`.
    Quote(Signed<Quote>),
    /// To `Commit` and `Hold`, and to `Status` for money that was held without a deposit.
    Outcome(Signed<Outcome>),
    /// To `Status` when there is no final answer, and to `Void`.
    NoOutcome,
    /// To `Claim`.
    Claim(ClaimAnswer),
    /// To `Voucher`.
    Balance(HeldBalance),
    /// To `PrintRight`.
    PrintRight(PrintRight),
    /// To `Time`.
    Time(UtcTime),
    /// To `Crl`: total length and one slice.
    Crl {
        /// Length of the whole list in bytes.
        total: u32,
        /// Bytes from the offset asked for.
        slice: heapless::Vec<u8, 4096>,
    },
    /// To `Checkpoint`: the cosignature line.
    Cosigned(heapless::String<256>),
    /// To `Checkpoint`: the witness knows another size; prove from there.
    WitnessAt(u64),
    /// To `Recall`.
    Recalled,
    /// Not done.
    Refused(Refusal),
    /// To `Status`: the deposit that was answered, and the answer. The kiosk may have made it when its journal had failed already,
    /// so that no other copy of it exists.
    Answered {
        /// The deposit, as it arrived.
        deposit: Signed<Deposit>,
        /// The answer.
        outcome: Signed<Outcome>,
    },
    /// To `Authorize`, `CardConfirm`, `CardVoid` and `CardEnquire`. Since version 2.
    Card(CardAnswer),
    /// To `CardService` and `SealedCardService`. Since version 3.
    CardService {
        /// The center's clock, as to `Time`.
        clock: UtcTime,
        /// Its acquirer is signed on.
        open: bool,
    },
}

/// A message that a frame can carry.
pub trait Message: Serialize {
    /// The oldest version that has it.
    fn version(&self) -> u8;
}

impl Message for Request {
    fn version(&self) -> u8 {
        match self {
            Self::Quote { method: Method::Either, .. }
            | Self::Authorize(_)
            | Self::CardConfirm(_)
            | Self::CardVoid { .. }
            | Self::CardEnquire(_) => 2,
            Self::CardService => 3,
            Self::SealedCardService => 4,
            _ => 1,
        }
    }
}

impl Message for Response {
    fn version(&self) -> u8 {
        match self {
            Self::Card(_) => 2,
            Self::CardService { .. } => 3,
            _ => 1,
        }
    }
}

/// Why bytes from the link are not a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireError {
    /// The frame is longer than [`MAX_FRAME`] or has no body.
    Length(u32),
    /// Written by a version outside [`MIN_VERSION`]..=[`VERSION`].
    Version(u8),
    /// The body does not decode, or bytes are left over.
    Body,
}

impl core::fmt::Display for WireError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Length(length) => write!(f, "frame of {length} bytes, allowed are 6..={MAX_FRAME}"),
            Self::Version(version) => {
                write!(f, "message version {version}, this build reads {MIN_VERSION}..={VERSION}")
            }
            Self::Body => f.write_str("message body does not decode"),
        }
    }
}

/// Encodes one frame, length field included.
///
/// Panics if the body is longer than [`MAX_FRAME`]: its types bound it, and a test encodes the largest of each.
pub fn encode<T: Message>(number: u32, body: &T) -> alloc::vec::Vec<u8> {
    let mut frame = alloc::vec![0; MAX_FRAME + 4];
    frame[4] = body.version();
    frame[5..9].copy_from_slice(&number.to_be_bytes());
    let used = postcard::to_slice(body, &mut frame[9..]).expect("invariant: messages are bounded").len() + 5;
    frame[..4].copy_from_slice(&u32::try_from(used).expect("invariant: below MAX_FRAME").to_be_bytes());
    frame.truncate(used + 4);
    frame
}

/// Checks the length field of a frame and gives the number of bytes that follow it.
pub fn frame_length(field: [u8; 4]) -> Result<usize, WireError> {
    let length = u32::from_be_bytes(field);
    if (6..=MAX_FRAME as u32).contains(&length) {
        Ok(length as usize)
    } else {
        Err(WireError::Length(length))
    }
}

/// Decodes what follows the length field: request number and body. A message that the frame's version does not have is refused.
pub fn decode<T: Message + DeserializeOwned>(frame: &[u8]) -> Result<(u32, T), WireError> {
    let [version, a, b, c, d, body @ ..] = frame else {
        return Err(WireError::Length(u32::try_from(frame.len()).unwrap_or(u32::MAX)));
    };
    if !(MIN_VERSION..=VERSION).contains(version) {
        return Err(WireError::Version(*version));
    }
    match postcard::take_from_bytes(body) {
        Ok((message, [])) if T::version(&message) <= *version => {
            Ok((u32::from_be_bytes([*a, *b, *c, *d]), message))
        }
        _ => Err(WireError::Body),
    }
}
