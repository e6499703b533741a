//! A card payment between kiosk and center: what is asked, what is answered, and what only the center may open.
//!
//! One order, one end. A kiosk sends [`CardOrder`] once and never again; when it hears nothing it enquires by the same payment, and whatever
//! is not known to be declined or taken is undone. The center gives the code with its approval, but the money is taken only when the kiosk
//! has confirmed that the code is in the citizen's hands.
//!
//! The card's number and the enciphered PIN travel in [`SealedCard`], which the kiosk itself cannot open again. No journal holds them.

use crate::{
    Amount,
    emv::CardNumber,
    messages::{Deposit, Outcome},
    pinpad::{KeySerial, KeySlot, PinBlock, SessionKey},
    signed::Signed,
};
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Longest chip data for the issuer, field 55 of ISO 8583, in bytes.
pub const MAX_CHIP_DATA: usize = 255;
/// Longest script templates from the issuer, in bytes: they come in the same field.
pub const MAX_SCRIPTS: usize = 255;

/// Length of [`CardSecret::to_bytes`]: always the same, so that a sealed one tells nothing by its length.
const SECRET_BYTES: usize = 64;
/// Layout of these bytes for a number in the clear.
const CLEAR_LAYOUT: u8 = 1;
/// Layout of these bytes for a number that the reader has enciphered.
const SEALED_LAYOUT: u8 = 2;
/// Bytes of an enciphered number.
const CIPHER_BYTES: usize = 24;
/// No sequence number.
const NONE: u8 = 0xFF;

/// The key a PIN is under.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PinKey {
    /// A key for this one PIN.
    Dukpt(KeySerial),
    /// A session key under a key of the pad.
    Session(KeySlot, SessionKey),
}

impl fmt::Debug for PinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dukpt(serial) => write!(f, "Dukpt({serial:?})"),
            Self::Session(slot, _) => write!(f, "Session({})", char::from(slot.letter())),
        }
    }
}

/// A card's number as its reader has enciphered it, with a key for this one time. Neither the terminal nor this program's center has that key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SealedNumber {
    /// Serial number of the key (DUKPT).
    pub serial: KeySerial,
    /// Tags `5A` (number), `5F24` (expiry) and, if there is one, `5F34` (which of several cards), filled with zeros.
    pub cipher: [u8; CIPHER_BYTES],
}

impl SealedNumber {
    /// Length of [`to_bytes`](Self::to_bytes).
    pub const BYTES: usize = 10 + CIPHER_BYTES;

    /// Serial number, then the enciphered number.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..10].copy_from_slice(&self.serial.0);
        bytes[10..].copy_from_slice(&self.cipher);
        bytes
    }

    /// Reads them back. `None` for another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (serial, cipher) = bytes.split_first_chunk::<10>()?;
        Some(Self { serial: KeySerial(*serial), cipher: cipher.try_into().ok()? })
    }
}

impl fmt::Debug for SealedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedNumber({:?})", self.serial)
    }
}

/// A card's number on its way to the issuer.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretNumber {
    /// As the chip gave it to the terminal.
    Clear(CardNumber),
    /// As the reader has enciphered it: the terminal has never seen it.
    Sealed(SealedNumber),
}

impl fmt::Debug for SecretNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretNumber(…)")
    }
}

impl From<CardNumber> for SecretNumber {
    fn from(number: CardNumber) -> Self {
        Self::Clear(number)
    }
}

/// What only the issuer may see. It lives from the chip's answer until it is sealed, and is wiped when dropped.
#[derive(PartialEq, Eq)]
pub struct CardSecret {
    /// The card's number.
    pub number: SecretNumber,
    /// Expiry, YYMM in digits.
    pub expiry: [u8; 4],
    /// Which of several cards with this number, 0..=99.
    pub sequence: Option<u8>,
    /// The enciphered PIN, if one was entered, and its key.
    pub pin: Option<(PinBlock, PinKey)>,
}

impl fmt::Debug for CardSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardSecret(…)")
    }
}

impl CardSecret {
    /// The bytes that are sealed, of one length for all cards.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(alloc::vec![0; SECRET_BYTES]);
        let pin = match &self.number {
            SecretNumber::Clear(number) => {
                let digits = number.digits();
                bytes[0] = CLEAR_LAYOUT;
                bytes[1] = u8::try_from(digits.len()).expect("invariant: at most 19 digits");
                bytes[2..2 + digits.len()].copy_from_slice(digits);
                bytes[21..25].copy_from_slice(&self.expiry);
                bytes[25] = self.sequence.unwrap_or(NONE);
                26
            }
            SecretNumber::Sealed(sealed) => {
                let [a, b, c, d] = self.expiry;
                bytes[..4].copy_from_slice(&[
                    SEALED_LAYOUT,
                    a << 4 | b,
                    c << 4 | d,
                    self.sequence.unwrap_or(NONE),
                ]);
                bytes[4..38].copy_from_slice(&sealed.to_bytes());
                38
            }
        };
        if let Some((block, key)) = &self.pin {
            bytes[pin + 1..pin + 9].copy_from_slice(block.bytes());
            match key {
                PinKey::Dukpt(serial) => {
                    bytes[pin] = 1;
                    bytes[pin + 9..pin + 19].copy_from_slice(&serial.0);
                }
                PinKey::Session(slot, session) => {
                    (bytes[pin], bytes[pin + 9]) = (2, slot.letter());
                    bytes[pin + 10..pin + 26].copy_from_slice(session);
                }
            }
        }
        bytes
    }

    /// Reads them back. `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != SECRET_BYTES {
            return None;
        }
        let (number, expiry, sequence, pin) = match bytes[0] {
            CLEAR_LAYOUT => {
                let digits = bytes[2..21].get(..usize::from(bytes[1]))?;
                let number = CardNumber::from_digits(digits)?.into();
                (number, bytes[21..25].try_into().ok()?, bytes[25], &bytes[26..])
            }
            SEALED_LAYOUT => {
                let number = SecretNumber::Sealed(SealedNumber::from_bytes(&bytes[4..38])?);
                let expiry = [bytes[1] >> 4, bytes[1] & 0xF, bytes[2] >> 4, bytes[2] & 0xF];
                (number, expiry, bytes[3], &bytes[38..])
            }
            _ => return None,
        };
        let block: [u8; 8] = pin[1..9].try_into().ok()?;
        let key = match pin[0] {
            0 => None,
            1 => Some(PinKey::Dukpt(KeySerial(pin[9..19].try_into().ok()?))),
            2 => Some(PinKey::Session(KeySlot::new(pin[9])?, pin[10..26].try_into().ok()?)),
            _ => return None,
        };
        let sequence = Some(sequence).filter(|sequence| *sequence != NONE);
        let secret = Self { number, expiry, sequence, pin: key.map(|key| (PinBlock::new(block), key)) };
        let sane = expiry.iter().all(|digit| *digit <= 9) && sequence.is_none_or(|sequence| sequence <= 99);
        // What is not said is zero: there is one way to say a thing.
        (sane && secret.to_bytes().as_slice() == bytes).then_some(secret)
    }
}

/// A [`CardSecret`], sealed to the center's public key and bound to the payment (HPKE as for the IIN, with `info` "tolem card v1"): 32 bytes
/// encapsulated key, 64 + 16 bytes ciphertext and tag.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedCard(pub [u8; 32], pub heapless::Vec<u8, 80>);

impl fmt::Debug for SealedCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedCard(…)")
    }
}

/// A card payment, as a kiosk orders it. Sent once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CardOrder {
    /// The signed order to pay: kind [`Pay`](crate::messages::DepositKind::Pay), no notes, a quote that offers cards. The sum is
    /// [`card_total`](crate::messages::Quote::card_total) of that quote.
    pub deposit: Signed<Deposit>,
    /// The terminal as the acquirer calls it, eight characters.
    pub terminal: [u8; 8],
    /// The merchant as the acquirer calls it, fifteen characters.
    pub merchant: [u8; 15],
    /// Number, expiry and PIN, for the center alone.
    pub sealed: SealedCard,
    /// Chip data for the issuer as TLV. Neither number nor track is in it.
    pub chip_data: heapless::Vec<u8, MAX_CHIP_DATA>,
}

/// What the issuer says to the chip.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct IssuerWords {
    /// Response code, two characters (tag `8A`).
    pub response_code: [u8; 2],
    /// Issuer authentication data (tag `91`); empty for none.
    pub authentication: heapless::Vec<u8, 16>,
    /// Script templates `71` and `72` as they came; empty for none.
    pub scripts: heapless::Vec<u8, MAX_SCRIPTS>,
}

/// Why a card was declined, as a citizen is told it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum DeclineReason {
    /// Not enough money.
    Funds,
    /// The PIN is wrong; it may be tried again.
    WrongPin,
    /// The PIN was wrong too often: only the bank can help.
    PinTries,
    /// The card is past its date.
    Expired,
    /// A limit of the card or account.
    Limit,
    /// The card or bank does not permit such payments.
    NotPermitted,
    /// The card is blocked, lost or stolen.
    Blocked,
    /// The issuer cannot be reached.
    IssuerUnavailable,
    /// Our side: no code could be had, no acquirer, a message that was not understood.
    Technical,
    /// The issuer gave another reason.
    Other,
}

impl DeclineReason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Funds,
        Self::WrongPin,
        Self::PinTries,
        Self::Expired,
        Self::Limit,
        Self::NotPermitted,
        Self::Blocked,
        Self::IssuerUnavailable,
        Self::Technical,
        Self::Other,
    ];

    /// The group of an issuer's response code (field 39 of ISO 8583:1987) that is no approval.
    pub const fn of_response(code: [u8; 2]) -> Self {
        match &code {
            // `10` approves a part of the sum: whoever needs all of it has been declined.
            b"51" | b"10" => Self::Funds,
            b"55" => Self::WrongPin,
            b"38" | b"75" => Self::PinTries,
            b"33" | b"54" => Self::Expired,
            b"61" | b"65" => Self::Limit,
            b"57" | b"58" => Self::NotPermitted,
            b"04" | b"07" | b"62" | b"34" | b"36" | b"37" | b"41" | b"43" => Self::Blocked,
            b"91" | b"92" | b"68" => Self::IssuerUnavailable,
            b"03" | b"12" | b"13" | b"30" | b"94" | b"96" => Self::Technical,
            _ => Self::Other,
        }
    }
}

/// The center's answer to a [`CardOrder`], a confirmation, an order to undo, and an enquiry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "one message at a time lives on the stack; no heap in this crate"
)]
pub enum CardAnswer {
    /// The money is held and the code is made. It is worth nothing until the kiosk confirms.
    Approved {
        /// The signed final answer with the code.
        outcome: Signed<Outcome>,
        /// The issuer's authorisation code, six characters.
        approval: [u8; 6],
        /// For the chip. The center keeps them until the payment is confirmed or undone.
        issuer: IssuerWords,
    },
    /// The issuer said no, or nobody was asked. Nothing is held.
    Declined {
        /// Why.
        reason: DeclineReason,
        /// For the chip; `None` if no issuer was asked, or if the center does not have them any more.
        issuer: Option<IssuerWords>,
    },
    /// Asked, and no answer was heard yet: enquire again. So a center need not keep a kiosk waiting on one question.
    Undecided,
    /// No such order was ever heard. To an enquiry only.
    Unknown,
    /// Nothing is taken: what was held, or may come to be, is undone, and the center sees to it until it is.
    Voided,
    /// The money is taken: the center sees to it until it is.
    Confirmed,
}

/// Why a card payment is undone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum VoidReason {
    /// No answer was heard in time.
    NoAnswer,
    /// The card said no after the approval, or was torn out.
    CardRefused,
    /// The center's answer could not be used: its signature or its sum is wrong.
    BadAnswer,
    /// Power was cut before the code was on paper or screen.
    PowerCut,
    /// The citizen left the card, or the terminal was stopped, before the code was on paper or screen.
    Abandoned,
}

/// A card in the journal: what is needed to enquire, to undo and to write a receipt. It names nobody.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CardMark {
    /// The last four digits of the number, as values.
    pub last_four: [u8; 4],
    /// The application on the chip.
    pub application: heapless::Vec<u8, 16>,
    /// Its name as the citizen knows it.
    pub label: heapless::String<16>,
    /// The sum asked for.
    pub amount: Amount,
    /// Whether a PIN was entered.
    pub pin: bool,
}

/// What the chip left behind: for receipt and dispute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChipEvidence {
    /// Terminal verification results.
    pub tvr: [u8; 5],
    /// Transaction status information.
    pub tsi: [u8; 2],
    /// The last cryptogram, 8 bytes, or empty.
    pub cryptogram: heapless::Vec<u8, 8>,
}

/// Why a card is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RetainReason {
    /// Its owner did not take it in time.
    Forgotten,
    /// It was inside when the terminal started, and nobody took it.
    FoundAtStart,
}

/// A step in a card's payment that comes after the order, in the journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CardStep {
    /// The issuer and the chip agree.
    Authorized {
        /// The issuer's code.
        approval: [u8; 6],
        /// The chip's.
        evidence: ChipEvidence,
    },
    /// A decline was heard.
    Declined(DeclineReason),
    /// It is to be undone. In the outbox from here on.
    ReversalOwed(VoidReason),
    /// The center has taken the reversal on.
    ReversalAcknowledged,
    /// The code is on paper or screen, so the money is to be taken. In the outbox from here on.
    ConfirmOwed,
    /// The center has taken it on, or had done so.
    Confirmed,
}

/// What became of a card as a thing, in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CardMoved {
    /// It is inside.
    Inserted,
    /// Somebody took it.
    Taken,
    /// It is to be kept.
    RetainOrdered(RetainReason),
    /// It is in the box; how many are, as the reader counts.
    Retained(Option<u16>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn number() -> CardNumber {
        CardNumber::parse(concat!("5413", "3300", "8902", "0011")).expect("a public test number")
    }

    fn secrets() -> [CardSecret; 6] {
        let session = PinKey::Session(KeySlot::new(b'2').expect("a slot"), [0x5B; 16]);
        let dukpt = PinKey::Dukpt(KeySerial([0x31; 10]));
        let clear = || SecretNumber::from(number());
        let sealed =
            || SecretNumber::Sealed(SealedNumber { serial: KeySerial([0x13; 10]), cipher: [0xC5; 24] });
        let card = |number, sequence, pin| CardSecret { number, expiry: [2, 9, 1, 2], sequence, pin };
        let with_dukpt = || Some((PinBlock::new([0xA5; 8]), dukpt));
        let with_session = || Some((PinBlock::new([0x5A; 8]), session));
        [
            card(clear(), None, None),
            card(clear(), Some(1), with_dukpt()),
            card(clear(), Some(99), with_session()),
            card(sealed(), None, None),
            card(sealed(), Some(1), with_dukpt()),
            card(sealed(), Some(99), with_session()),
        ]
    }

    #[test]
    fn a_secret_is_read_back_and_all_are_of_one_length() {
        for secret in secrets() {
            let bytes = secret.to_bytes();
            assert_eq!(bytes.len(), 64);
            assert!(CardSecret::from_bytes(&bytes) == Some(secret));
        }
    }

    #[test]
    fn there_is_one_way_to_say_a_card() {
        for secret in secrets() {
            let bytes = secret.to_bytes();
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut other = bytes.to_vec();
                    other[at] ^= 1 << bit;
                    if let Some(read) = CardSecret::from_bytes(&other) {
                        assert!(read.to_bytes().as_slice() == other, "byte {at}");
                    }
                }
            }
            assert!(CardSecret::from_bytes(&bytes[1..]).is_none());
        }
    }

    #[test]
    fn nothing_of_a_card_is_shown() {
        for secret in secrets() {
            assert_eq!(format!("{secret:?}"), "CardSecret(…)");
            assert_eq!(format!("{:?}", secret.number), "SecretNumber(…)");
        }
        let sealed = SealedCard([7; 32], heapless::Vec::new());
        assert_eq!(format!("{sealed:?}"), "SealedCard(…)");
    }

    #[test]
    fn the_issuers_codes_fall_into_the_groups_a_citizen_is_told() {
        for (code, reason) in [
            (*b"51", DeclineReason::Funds),
            (*b"10", DeclineReason::Funds),
            (*b"55", DeclineReason::WrongPin),
            (*b"75", DeclineReason::PinTries),
            (*b"54", DeclineReason::Expired),
            (*b"61", DeclineReason::Limit),
            (*b"57", DeclineReason::NotPermitted),
            (*b"43", DeclineReason::Blocked),
            (*b"91", DeclineReason::IssuerUnavailable),
            (*b"96", DeclineReason::Technical),
            (*b"05", DeclineReason::Other),
        ] {
            assert_eq!(DeclineReason::of_response(code), reason);
        }
    }
}
