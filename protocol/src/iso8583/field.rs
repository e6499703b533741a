//! How each field is written.

use alloc::vec::Vec;
use core::fmt;

/// How a field is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// So many digits.
    Digits(usize),
    /// So many printable characters.
    Text(usize),
    /// So many bytes.
    Bytes(usize),
    /// Two digits of length, at most so many digits.
    VarDigits(usize),
    /// Two digits of length, at most so many digits and one separator, `=` or `D`.
    Track(usize),
    /// Three digits of length, at most so many printable characters.
    VarText(usize),
    /// Three digits of length, at most so many bytes.
    VarBytes(usize),
}

/// Why a value does not fit its field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldError {
    /// The message ends within it, or within its length.
    Cut,
    /// Its length is not what it must be.
    Length,
    /// A character that it must not have.
    Character,
    /// It is not there.
    Missing,
    /// No field of this number is known.
    Unknown,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "the message ends within it",
            Self::Length => "its length is wrong",
            Self::Character => "it has a character that it must not have",
            Self::Missing => "it is missing",
            Self::Unknown => "it is not known here",
        })
    }
}

/// The shape of a field; `None` if it is not known here.
pub const fn shape(field: u8) -> Option<Shape> {
    Some(match field {
        2 => Shape::VarDigits(19),
        3 | 11 | 12 => Shape::Digits(6),
        4 => Shape::Digits(12),
        7 => Shape::Digits(10),
        13 | 14 | 18 => Shape::Digits(4),
        22 | 23 | 49 | 70 => Shape::Digits(3),
        25 | 26 => Shape::Digits(2),
        32 => Shape::VarDigits(11),
        35 => Shape::Track(37),
        37 => Shape::Text(12),
        38 => Shape::Text(6),
        39 => Shape::Text(2),
        41 => Shape::Text(8),
        42 => Shape::Text(15),
        43 => Shape::Text(40),
        48 | 54 | 62 | 63 => Shape::VarText(999),
        52 | 64 | 128 => Shape::Bytes(8),
        53 => Shape::Digits(16),
        55 => Shape::VarBytes(255),
        90 => Shape::Digits(42),
        _ => return None,
    })
}

impl Shape {
    /// Digits of its length in front, and its longest or only length.
    const fn lengths(self) -> (usize, usize) {
        match self {
            Self::Digits(length) | Self::Text(length) | Self::Bytes(length) => (0, length),
            Self::VarDigits(most) | Self::Track(most) => (2, most),
            Self::VarText(most) | Self::VarBytes(most) => (3, most),
        }
    }

    /// Whether `value` may stand in it.
    pub fn check(self, value: &[u8]) -> Result<(), FieldError> {
        let (prefix, most) = self.lengths();
        let fits = if prefix == 0 { value.len() == most } else { (1..=most).contains(&value.len()) };
        if !fits {
            return Err(FieldError::Length);
        }
        let good = match self {
            Self::Digits(_) | Self::VarDigits(_) => value.iter().all(u8::is_ascii_digit),
            Self::Text(_) | Self::VarText(_) => value.iter().all(|byte| matches!(byte, b' '..=b'~')),
            Self::Bytes(_) | Self::VarBytes(_) => true,
            Self::Track(_) => {
                let separators = value.iter().filter(|byte| matches!(byte, b'=' | b'D')).count();
                separators == 1 && value.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'=' | b'D'))
            }
        };
        if good { Ok(()) } else { Err(FieldError::Character) }
    }

    /// Appends a checked value with its length.
    pub(super) fn write(self, bytes: &mut Vec<u8>, value: &[u8]) {
        let (prefix, _) = self.lengths();
        let mut power = 10_usize.pow(u32::try_from(prefix).unwrap_or(0));
        for _ in 0..prefix {
            power /= 10;
            bytes.push(b'0' + u8::try_from(value.len() / power % 10).unwrap_or(0));
        }
        bytes.extend_from_slice(value);
    }

    /// Takes a value from the front.
    pub(super) fn read(self, bytes: &[u8]) -> Result<(&[u8], &[u8]), FieldError> {
        let (prefix, most) = self.lengths();
        let (digits, rest) = bytes.split_at_checked(prefix).ok_or(FieldError::Cut)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(FieldError::Length);
        }
        let said = digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        let length = if prefix == 0 { most } else { said };
        if length > most {
            return Err(FieldError::Length);
        }
        let (value, rest) = rest.split_at_checked(length).ok_or(FieldError::Cut)?;
        self.check(value)?;
        Ok((value, rest))
    }
}
