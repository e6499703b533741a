//! What the reader answers.

use super::Text;
use alloc::vec::Vec;
use core::fmt;
use zeroize::Zeroizing;

/// Where the card is, and what its chip does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// `00`: no card.
    Nowhere,
    /// `01`: at the gate, to be taken.
    Gate,
    /// `02`, `04`: inside.
    Inside,
    /// `10`: inside, contacts down.
    Pressed,
    /// `11`: inside, chip powered.
    Active,
    /// `20`: inside, the chip has answered.
    Answered,
}

impl Place {
    const ALL: [(Self, [u8; 2]); 7] = [
        (Self::Nowhere, *b"00"),
        (Self::Gate, *b"01"),
        (Self::Inside, *b"02"),
        (Self::Inside, *b"04"),
        (Self::Pressed, *b"10"),
        (Self::Active, *b"11"),
        (Self::Answered, *b"20"),
    ];

    fn parse(code: [u8; 2]) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == code).map(|(place, _)| *place)
    }

    fn code(self) -> [u8; 2] {
        Self::ALL.iter().find(|(place, _)| *place == self).map_or(*b"00", |(_, code)| *code)
    }

    /// Inside, whatever its chip does.
    pub const fn is_inside(self) -> bool {
        matches!(self, Self::Inside | Self::Pressed | Self::Active | Self::Answered)
    }
}

/// An error number of the reader, two digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReaderError(pub u8);

impl ReaderError {
    /// Not now.
    pub const SEQUENCE: Self = Self(1);
    /// A card is stuck.
    pub const JAM: Self = Self(10);
    /// The shutter does not open or close.
    pub const SHUTTER: Self = Self(11);
    /// The card was drawn out while it was inside.
    pub const DRAWN_OUT: Self = Self(14);
    /// A card is stuck at the box: it may be full.
    pub const BOX_JAM: Self = Self(16);
    /// Power failed.
    pub const POWER_DOWN: Self = Self(18);
    /// Only a reset is taken now.
    pub const NEEDS_RESET: Self = Self(19);
    /// The card is too long.
    pub const TOO_LONG: Self = Self(20);
    /// The card is too short.
    pub const TOO_SHORT: Self = Self(21);
    /// The card was moved from outside.
    pub const MOVED: Self = Self(32);
    /// There was no card at the gate when it was to be taken in again.
    pub const GONE: Self = Self(60);
    /// Somebody holds the card at the gate.
    pub const HELD: Self = Self(64);
    /// The chip did not answer, or too much.
    pub const CHIP_SILENT: Self = Self(80);
    /// The contacts do not go down or up.
    pub const CONTACTS: Self = Self(81);
    /// The chip does not start.
    pub const CHIP_DEAD: Self = Self(82);
    /// Numbers are to be enciphered, and there is no key, no key any more, or no number yet. Not in the specification.
    pub const NOT_SEALED: Self = Self(95);
    /// The chip speaks no known protocol.
    pub const CHIP_UNKNOWN: Self = Self(87);

    /// After these only a reset is taken.
    pub const fn calls_for_reset(self) -> bool {
        matches!(self.0, 10..=19 | 71 | 81 | 88)
    }

    /// The chip or its contacts, not the card's way.
    pub const fn is_of_chip(self) -> bool {
        matches!(self.0, 80 | 82 | 84..=87)
    }
}

impl fmt::Debug for ReaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

/// Something else than the specification says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnswerError;

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer of this card reader")
    }
}

/// An answer. Its data may be a card's: no `Debug` of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The command it answers.
    pub code: [u8; 2],
    /// Where the card is now, or what went wrong.
    pub result: Result<Place, ReaderError>,
    /// What comes with it.
    pub data: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// An answer without data.
    pub fn new(code: [u8; 2], result: Result<Place, ReaderError>) -> Self {
        Self { code, result, data: Zeroizing::default() }
    }

    /// Reads a text.
    pub fn parse(text: &Text) -> Result<Self, AnswerError> {
        let [kind, a, b, first, second, data @ ..] = text.bytes() else { return Err(AnswerError) };
        let result = match kind {
            b'P' => Ok(Place::parse([*first, *second]).ok_or(AnswerError)?),
            b'N' if first.is_ascii_digit() && second.is_ascii_digit() => {
                Err(ReaderError((first - b'0') * 10 + (second - b'0')))
            }
            _ => return Err(AnswerError),
        };
        Ok(Self { code: [*a, *b], result, data: Zeroizing::new(data.to_vec()) })
    }

    /// The text; `None` if the data are too long or the error has more than two digits.
    pub fn text(&self) -> Option<Text> {
        let (kind, [first, second]) = match self.result {
            Ok(place) => (b'P', place.code()),
            Err(error) if error.0 < 100 => (b'N', [b'0' + error.0 / 10, b'0' + error.0 % 10]),
            Err(_) => return None,
        };
        let [a, b] = self.code;
        let mut bytes = Zeroizing::new(Vec::from([kind, a, b, first, second]));
        bytes.extend_from_slice(&self.data);
        Text::new(&bytes)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = self.code.map(char::from);
        write!(f, "{a}{b} {:?} with {} bytes", self.result, self.data.len())
    }
}
