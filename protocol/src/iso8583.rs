//! Messages between an acquirer and an issuer: ISO 8583:1987, text in ASCII, bitmaps and cryptograms in binary.
//!
//! Only the fields that a chip card payment with an online PIN needs are known; a message with another one is refused, because where an
//! unknown field ends cannot be known. Which field carries what between these two parties is theirs to agree on; here is only how it is
//! written. A card number, track, PIN block or chip data are in it: it has no `Debug` of them and is wiped when dropped.

mod field;
pub mod frame;
pub mod mac;

pub use field::{FieldError, Shape, shape};

use crate::Amount;
use alloc::{collections::BTreeMap, vec::Vec};
use core::fmt;
use zeroize::Zeroizing;

/// The four digits in front.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageType(pub [u8; 4]);

impl MessageType {
    /// May this be paid?
    pub const AUTHORIZATION: Self = Self(*b"0100");
    /// The answer.
    pub const AUTHORIZATION_ANSWER: Self = Self(*b"0110");
    /// It is done: what was authorised is taken.
    pub const ADVICE: Self = Self(*b"0220");
    /// The answer.
    pub const ADVICE_ANSWER: Self = Self(*b"0230");
    /// It came to nothing: undo it.
    pub const REVERSAL: Self = Self(*b"0420");
    /// The same, again.
    pub const REVERSAL_REPEAT: Self = Self(*b"0421");
    /// The answer to both.
    pub const REVERSAL_ANSWER: Self = Self(*b"0430");
    /// Sign-on, echo, keys.
    pub const NETWORK: Self = Self(*b"0800");
    /// The answer.
    pub const NETWORK_ANSWER: Self = Self(*b"0810");

    /// The type of the answer; `None` for answers. A repeat is answered as what it repeats.
    pub const fn answer(self) -> Option<Self> {
        let [version, class, function, _] = self.0;
        match function {
            b'0' | b'2' => Some(Self([version, class, function + 1, b'0'])),
            _ => None,
        }
    }
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

/// Numbers of the fields.
pub mod de {
    /// Card number.
    pub const NUMBER: u8 = 2;
    /// Processing code.
    pub const PROCESSING: u8 = 3;
    /// Sum in minor units.
    pub const AMOUNT: u8 = 4;
    /// When it was sent: month, day, hour, minute, second, UTC.
    pub const SENT: u8 = 7;
    /// Trace number of the acquirer, never used twice a day.
    pub const TRACE: u8 = 11;
    /// Time at the terminal.
    pub const LOCAL_TIME: u8 = 12;
    /// Day at the terminal.
    pub const LOCAL_DATE: u8 = 13;
    /// Expiry of the card, year and month.
    pub const EXPIRY: u8 = 14;
    /// Kind of merchant.
    pub const MERCHANT_KIND: u8 = 18;
    /// How the card was read, and whether a PIN can be entered.
    pub const ENTRY: u8 = 22;
    /// Which of several cards with this number.
    pub const SEQUENCE: u8 = 23;
    /// Circumstances at the terminal.
    pub const CONDITION: u8 = 25;
    /// Longest PIN that can be entered.
    pub const PIN_CAPTURE: u8 = 26;
    /// Who acquires.
    pub const ACQUIRER: u8 = 32;
    /// Track 2 equivalent data.
    pub const TRACK2: u8 = 35;
    /// Retrieval reference of the acquirer.
    pub const REFERENCE: u8 = 37;
    /// Code of the issuer's approval.
    pub const APPROVAL: u8 = 38;
    /// What the issuer says; in a reversal, why.
    pub const RESPONSE: u8 = 39;
    /// Terminal.
    pub const TERMINAL: u8 = 41;
    /// Merchant.
    pub const MERCHANT: u8 = 42;
    /// Name and place of the merchant.
    pub const MERCHANT_NAME: u8 = 43;
    /// Private data.
    pub const PRIVATE: u8 = 48;
    /// Currency.
    pub const CURRENCY: u8 = 49;
    /// Enciphered PIN block.
    pub const PIN_BLOCK: u8 = 52;
    /// Security control; here, by agreement, nothing.
    pub const SECURITY: u8 = 53;
    /// Chip data.
    pub const CHIP: u8 = 55;
    /// By agreement: a card number that its reader has enciphered, in the place of field 2. Serial number of its key, 20 hexadecimal digits,
    /// then 48 of the number.
    pub const SEALED_NUMBER: u8 = 62;
    /// By agreement: serial number of the key of the PIN block, 20 hexadecimal digits.
    pub const PIN_KEY: u8 = 63;
    /// Code over the message, if there is no second bitmap.
    pub const MAC: u8 = 64;
    /// What a network message wants: 001 sign-on, 002 sign-off, 301 echo ([`super::network`]).
    pub const NETWORK: u8 = 70;
    /// The message that a reversal undoes.
    pub const ORIGINAL: u8 = 90;
    /// Code over the message.
    pub const MAC_2: u8 = 128;
}

/// What a network message wants, field 70.
pub mod network {
    /// Let us begin; a session's keys are made.
    pub const SIGN_ON: [u8; 3] = *b"001";
    /// Nothing more will come.
    pub const SIGN_OFF: [u8; 3] = *b"002";
    /// Are you there?
    pub const ECHO: [u8; 3] = *b"301";
}

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// They end in the type or a bitmap.
    Head,
    /// The type is not four digits of version 1987.
    Type,
    /// A field that is not known, so that nothing behind it can be read.
    Unknown(u8),
    /// A field is cut, too long, or holds what it must not.
    Field(u8, FieldError),
    /// Something follows the last field.
    Trailing(usize),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("the message ends in its type or bitmap"),
            Self::Type => f.write_str("the message has no type of ISO 8583:1987"),
            Self::Unknown(field) => write!(f, "field {field} is not known here"),
            Self::Field(field, error) => write!(f, "field {field}: {error}"),
            Self::Trailing(count) => write!(f, "{count} bytes follow the last field"),
        }
    }
}

/// A message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: MessageType,
    fields: BTreeMap<u8, Zeroizing<Vec<u8>>>,
}

impl Message {
    /// A message without fields.
    pub const fn new(kind: MessageType) -> Self {
        Self { kind, fields: BTreeMap::new() }
    }

    /// Sets a field, in the characters of the wire without its length; the error says why it cannot be so.
    pub fn set(&mut self, field: u8, value: &[u8]) -> Result<(), FieldError> {
        let shape = shape(field).ok_or(FieldError::Unknown)?;
        shape.check(value)?;
        self.fields.insert(field, Zeroizing::new(value.to_vec()));
        Ok(())
    }

    /// The same in a chain, for values that are known to fit.
    ///
    /// # Panics
    /// If the value does not fit.
    #[must_use]
    pub fn with(mut self, field: u8, value: &[u8]) -> Self {
        self.set(field, value).unwrap_or_else(|error| panic!("field {field}: {error}"));
        self
    }

    /// Leaves a field out.
    pub fn remove(&mut self, field: u8) {
        self.fields.remove(&field);
    }

    /// A field's characters.
    pub fn get(&self, field: u8) -> Option<&[u8]> {
        self.fields.get(&field).map(|value| value.as_slice())
    }

    /// A field that must be there.
    pub fn need(&self, field: u8) -> Result<&[u8], FieldError> {
        self.get(field).ok_or(FieldError::Missing)
    }

    /// Which fields are there, in order.
    pub fn fields(&self) -> impl Iterator<Item = u8> {
        self.fields.keys().copied()
    }

    /// The sum; `None` without one.
    pub fn amount(&self) -> Option<Amount> {
        let digits = self.get(de::AMOUNT)?;
        Some(Amount::from_tiyn(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))))
    }

    /// Sets the sum; the error is for more than twelve digits of minor units.
    pub fn set_amount(&mut self, amount: Amount) -> Result<(), FieldError> {
        self.set(de::AMOUNT, alloc::format!("{:012}", amount.tiyn()).as_bytes())
    }

    /// Its bytes.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bitmap = [0; 16];
        let second = self.fields.keys().any(|field| *field > 64);
        for field in self.fields.keys().copied().chain(second.then_some(1)) {
            let bit = usize::from(field - 1);
            bitmap[bit / 8] |= 0x80 >> (bit % 8);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        bytes.extend(self.kind.0);
        bytes.extend_from_slice(&bitmap[..if second { 16 } else { 8 }]);
        for (field, value) in &self.fields {
            if let Some(shape) = shape(*field) {
                shape.write(&mut bytes, value);
            }
        }
        bytes
    }

    /// Reads bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (kind, rest) = bytes.split_first_chunk::<4>().ok_or(DecodeError::Head)?;
        if kind[0] != b'0' || !kind.iter().all(u8::is_ascii_digit) {
            return Err(DecodeError::Type);
        }
        let (first, mut rest) = rest.split_first_chunk::<8>().ok_or(DecodeError::Head)?;
        let mut bitmap = u128::from(u64::from_be_bytes(*first)) << 64;
        if first[0] & 0x80 != 0 {
            let (second, after) = rest.split_first_chunk::<8>().ok_or(DecodeError::Head)?;
            bitmap |= u128::from(u64::from_be_bytes(*second));
            rest = after;
        }
        let mut message = Self::new(MessageType(*kind));
        for field in (2..=128_u8).filter(|field| bitmap >> (128 - field) & 1 == 1) {
            let shape = shape(field).ok_or(DecodeError::Unknown(field))?;
            let (value, after) = shape.read(rest).map_err(|error| DecodeError::Field(field, error))?;
            message.fields.insert(field, Zeroizing::new(value.to_vec()));
            rest = after;
        }
        if rest.is_empty() { Ok(message) } else { Err(DecodeError::Trailing(rest.len())) }
    }
}

impl fmt::Debug for Message {
    /// Type and fields; of the values only those that name the message, never the card.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)?;
        for (field, value) in &self.fields {
            let shown = matches!(
                *field,
                de::AMOUNT | de::SENT | de::TRACE | de::REFERENCE | de::RESPONSE | de::NETWORK
            );
            match core::str::from_utf8(value) {
                Ok(text) if shown => write!(f, " {field}={text}")?,
                _ => write!(f, " {field}")?,
            }
        }
        Ok(())
    }
}

/// Field 90: which message a reversal undoes. Text of 42 digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Original {
    /// Its type.
    pub kind: MessageType,
    /// Its trace number, six digits.
    pub trace: [u8; 6],
    /// When it was sent, ten digits.
    pub sent: [u8; 10],
}

impl Original {
    /// What names `message`; `None` if it has no trace number or time.
    pub fn of(message: &Message) -> Option<Self> {
        let trace = message.get(de::TRACE)?.try_into().ok()?;
        let sent = message.get(de::SENT)?.try_into().ok()?;
        Some(Self { kind: message.kind, trace, sent })
    }

    /// The field. Acquirer and forwarder are zeros, as where they are in other fields.
    pub fn to_field(self) -> [u8; 42] {
        let mut field = [b'0'; 42];
        field[..4].copy_from_slice(&self.kind.0);
        field[4..10].copy_from_slice(&self.trace);
        field[10..20].copy_from_slice(&self.sent);
        field
    }

    /// Reads the field.
    pub fn parse(field: &[u8]) -> Option<Self> {
        let field: &[u8; 42] = field.try_into().ok()?;
        let part = |from: usize, to: usize| &field[from..to];
        Some(Self {
            kind: MessageType(part(0, 4).try_into().ok()?),
            trace: part(4, 10).try_into().ok()?,
            sent: part(10, 20).try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests;
