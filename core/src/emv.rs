//! The terminal's side of a contact chip card payment: EMV, online only.
//!
//! [`Kernel`] is a machine without IO: it says which command the card gets, hears the answer, and says what is to be done next
//! ([`Step`]). It asks for an online authorisation always; it never lets a card approve by itself, never sees a PIN, and keeps card
//! data only until it is dropped, wiped. The order is that of EMV 4.4 Book 3, section 8.
//!
//! ```text
//!  select ─▶ choose? ─▶ options ─▶ records ─▶ restrictions, CVM ─▶ PIN? ─▶ first GENERATE AC ─▶ online
//!                                                                              │ AAC: declined      │
//!                                 over ◀─ scripts 72 ◀─ second GENERATE AC ◀─ scripts 71 ◀─ issuer authentication
//! ```
//!
//! In scope: PSE and AID list, several applications, both response formats, T=0 and T=1, PDOL and CDOLs, processing restrictions, CVM list
//! with online PIN and no CVM, floor limit 0, action codes, issuer authentication, scripts. Out of scope, and so said to the card by the
//! terminal's capabilities: offline data authentication, offline PIN, signature, contactless, magnetic stripe, offline approval. It is
//! not approved by EMVCo.
//!
//! Behind a reader that hides numbers ([`Kernel::behind_sred`]) it works with what the reader shows; a number in the clear is refused there.

mod kernel;
mod objects;
mod rules;
mod selection;
mod verification;

#[cfg(test)]
mod tests;

pub use kernel::Kernel;
pub use selection::Candidate;
pub use verification::{ActionCode, Tsi, Tvr};

use crate::pin_pad::PinCard;
use tolem_protocol::{
    Amount, Date,
    emv::{CardNumber, MaskedNumber, StatusWord, Track2, apdu::Transport, tags::Tag},
};
use zeroize::Zeroizing;

/// An application the terminal takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Application {
    /// Its identifier, 5 to 16 bytes; a card's longer name that begins so fits too.
    pub aid: Vec<u8>,
    /// The version the terminal knows, tag `9F09`.
    pub version: [u8; 2],
}

/// What the acquirer sets for this terminal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terminal {
    /// Applications in order of preference.
    pub applications: Vec<Application>,
    /// Country, ISO 3166 numeric; 398 is Kazakhstan.
    pub country: u16,
    /// Currency, ISO 4217 numeric; 398 is the tenge.
    pub currency: u16,
    /// Terminal type, tag `9F35`: 24 is a merchant's unattended online-only terminal.
    pub kind: u8,
    /// Merchant category, ISO 18245; 9399 is government services.
    pub category: u16,
    /// Terminal identification, 8 characters.
    pub terminal_id: [u8; 8],
    /// Merchant identification, 15 characters.
    pub merchant_id: [u8; 15],
    /// Serial number of the reader, 8 characters.
    pub device_serial: [u8; 8],
    /// Terminal action codes: what the acquirer refuses outright.
    pub denial: ActionCode,
}

impl Default for Terminal {
    /// The common contact applications and an online-only terminal in Kazakhstan.
    fn default() -> Self {
        let application = |aid: &[u8], version| Application { aid: aid.into(), version };
        Self {
            applications: vec![
                application(&[0xA0, 0, 0, 0, 0x04, 0x10, 0x10], [0, 2]),
                application(&[0xA0, 0, 0, 0, 0x03, 0x10, 0x10], [0, 0x96]),
                application(&[0xA0, 0, 0, 0, 0x04, 0x30, 0x60], [0, 2]),
                application(&[0xA0, 0, 0, 0x03, 0x33, 0x01, 0x01], [0, 0x20]),
            ],
            country: 398,
            currency: 398,
            kind: 0x24,
            category: 9399,
            terminal_id: *b"00000000",
            merchant_id: *b"000000000000000",
            device_serial: *b"00000000",
            denial: ActionCode::default(),
        }
    }
}

/// What is to be paid, when, and the chance in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transaction {
    /// The sum; tiyn are the minor units of the tenge.
    pub amount: Amount,
    /// The day where the terminal stands.
    pub date: Date,
    /// Hours, minutes, seconds there.
    pub time: [u8; 3],
    /// Random, fresh for each attempt (tag `9F37`).
    pub unpredictable: [u8; 4],
    /// Counts the transactions of the terminal, at most eight digits (tag `9F41`).
    pub sequence: u32,
}

/// What the reader says instead of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChipFault {
    /// The card is not there any more.
    Removed,
    /// The card is there and says nothing.
    Mute,
    /// The reader failed.
    Reader,
}

/// What is to be done next.
#[derive(PartialEq, Eq)]
pub enum Step {
    /// Send this to the card; [`Kernel::answer`] takes what it says.
    Transmit(Zeroizing<Vec<u8>>),
    /// Several applications fit: the citizen chooses; [`Kernel::choose`] takes the index.
    Choose(Vec<Candidate>),
    /// The card wants the PIN checked online; [`Kernel::pin`] takes how it went.
    EnterPin(PinCard),
    /// Ask the issuer; [`Kernel::host`] takes the answer.
    GoOnline(Box<OnlineRequest>),
    /// Over. The card may be taken out.
    Over(Ending),
}

/// How PIN entry went. Digits never come here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PinEntry {
    /// The PIN pad holds an encrypted block.
    Entered,
    /// The citizen entered none.
    NotEntered,
    /// The PIN pad is not there or not working.
    PadFailed,
}

/// What the terminal knows of a card's number.
#[derive(PartialEq, Eq)]
pub enum CardData {
    /// All of it, and track 2 equivalent data, if the card gave them.
    Clear(CardNumber, Option<Track2>),
    /// What its reader shows of it. The issuer gets it enciphered, from the reader ([`Command::Seal`](crate::card_reader::Command::Seal)).
    Masked(MaskedNumber),
}

impl CardData {
    /// The number, where the terminal knows it.
    pub const fn number(&self) -> Option<&CardNumber> {
        match self {
            Self::Clear(number, _) => Some(number),
            Self::Masked(_) => None,
        }
    }

    /// The last four digits: all that paper and screen may show.
    pub fn last_four(&self) -> [u8; 4] {
        match self {
            Self::Clear(number, _) => number.last_four(),
            Self::Masked(masked) => masked.last_four(),
        }
    }
}

/// What the issuer must see. Dropped, it is wiped.
#[derive(PartialEq, Eq)]
pub struct OnlineRequest {
    /// The card's number, as far as this terminal knows it.
    pub card: CardData,
    /// Which of several cards with this number.
    pub sequence: Option<u8>,
    /// Expiry, YYMM in digits.
    pub expiry: [u8; 4],
    /// Chip data as TLV: field 55 of ISO 8583. No number or track is in it.
    pub chip_data: Vec<u8>,
    /// The PIN was entered for it.
    pub pin_entered: bool,
    /// The application used.
    pub application: Candidate,
}

/// The issuer's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostAnswer {
    /// The issuer answered.
    Answered {
        /// It approves.
        approved: bool,
        /// Response code as the card gets it, two characters (tag `8A`).
        response_code: [u8; 2],
        /// Issuer authentication data, 8 to 16 bytes (tag `91`), if any.
        issuer_authentication: Vec<u8>,
        /// Script templates `71` and `72` as they came.
        scripts: Vec<u8>,
    },
    /// No answer. The card is told `Z3`; what became of the money is for others to ask.
    Unreachable,
}

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Issuer and card agree.
    Approved(Evidence),
    /// Declined before or by the issuer.
    Declined(Decline, Evidence),
    /// The issuer approved and the card, or the loss of it, says no: a reversal is due.
    RefusedAfterApproval(Result<Evidence, Failure>),
    /// Nothing was authorised.
    Failed(Failure),
}

/// Who declined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decline {
    /// Action codes of terminal or issuer, offline (`Z1`).
    Terminal,
    /// The card, when asked for a request cryptogram.
    Card,
    /// The issuer.
    Issuer,
    /// Nobody could be asked (`Z3`).
    Unreachable,
}

/// What the chip left behind, for receipt, reversal and dispute. No card number is in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Evidence {
    /// Terminal verification results.
    pub tvr: Tvr,
    /// Transaction status information.
    pub tsi: Tsi,
    /// The last cryptogram, 8 bytes, or empty.
    pub cryptogram: Vec<u8>,
    /// Results of issuer scripts, tag `9F5B`: five bytes each.
    pub script_results: Vec<u8>,
}

/// Why nothing was authorised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The reader's words.
    Chip(ChipFault),
    /// The whole card is blocked (`6A81`).
    CardBlocked,
    /// Only blocked applications fit (`6283`).
    ApplicationBlocked,
    /// No application fits this terminal.
    NoApplication,
    /// The card answered with this status where it must not.
    Status(StatusWord),
    /// The card's data are not well formed; the object at fault.
    Malformed(Tag),
    /// The card left out data that it must have.
    Missing(Tag),
    /// The card gave an object twice.
    Twice(Tag),
    /// The reader should hide this object and did not.
    NotHidden(Tag),
    /// The card wants to hear this object, which the reader hides.
    Hidden(Tag),
    /// The card promised more than it was asked for: a cryptogram above the request.
    Cryptogram(u8),
    /// The card makes the terminal go on for ever: too many records or responses.
    Endless,
    /// Our own order of calls was wrong.
    OutOfOrder,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Chip(ChipFault::Removed) => f.write_str("the card was taken out"),
            Self::Chip(ChipFault::Mute) => f.write_str("the card does not answer"),
            Self::Chip(ChipFault::Reader) => f.write_str("the card reader failed"),
            Self::CardBlocked => f.write_str("the card is blocked"),
            Self::ApplicationBlocked => f.write_str("the application on the card is blocked"),
            Self::NoApplication => f.write_str("no application on the card is taken here"),
            Self::Status(status) => write!(f, "the card answered {status:?}"),
            Self::Malformed(tag) => write!(f, "the card's data object {tag} is not well formed"),
            Self::Missing(tag) => write!(f, "the card lacks data object {tag}"),
            Self::Twice(tag) => write!(f, "the card gave data object {tag} twice"),
            Self::NotHidden(tag) => write!(f, "the reader should hide data object {tag} and does not"),
            Self::Hidden(tag) => write!(f, "the card wants data object {tag}, which the reader hides"),
            Self::Cryptogram(kind) => {
                write!(f, "the card answered with cryptogram {kind:02X}, which was not asked for")
            }
            Self::Endless => f.write_str("the card does not come to an end"),
            Self::OutOfOrder => f.write_str("the terminal's own steps came in a wrong order"),
        }
    }
}

/// How the reader speaks to this card, from its answer to reset.
pub type ChipTransport = Transport;
