//! The number of a card (PAN) and track 2 equivalent data: wiped when dropped, never shown whole.

use core::fmt;
use zeroize::Zeroize;

/// A primary account number: 8 to 19 digits (ISO/IEC 7812-1).
///
/// It lives in memory from READ RECORD until it is sealed for the center, and nowhere else: no `Serialize`, no `Display`, and `Debug`
/// shows no digit. Paper and screen get [`last_four`](Self::last_four).
#[derive(Clone, PartialEq, Eq)]
pub struct CardNumber {
    digits: [u8; 19],
    length: u8,
}

/// Track 2 equivalent data: number, expiry, service code and the issuer's own digits. Sensitive authentication data (PCI DSS 3.3.1): it
/// must not exist after the authorisation.
#[derive(Clone, PartialEq, Eq)]
pub struct Track2 {
    digits: heapless::Vec<u8, 38>,
}

impl CardNumber {
    /// Reads compressed digits (`cn`): two a byte, filled with `F`.
    pub fn from_compressed(bytes: &[u8]) -> Option<Self> {
        let mut nibbles: heapless::Vec<u8, 20> = heapless::Vec::new();
        for byte in bytes {
            nibbles.extend_from_slice(&[byte >> 4, byte & 0xF]).ok()?;
        }
        let found = Self::from_nibbles(&nibbles);
        nibbles.zeroize();
        found
    }

    /// Reads ASCII digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut nibbles: heapless::Vec<u8, 20> = heapless::Vec::new();
        for letter in text.bytes() {
            nibbles.push(letter.is_ascii_digit().then(|| letter - b'0')?).ok()?;
        }
        let found = Self::from_nibbles(&nibbles);
        nibbles.zeroize();
        found
    }

    /// Takes digits as values 0..=9.
    pub fn from_digits(digits: &[u8]) -> Option<Self> {
        digits.iter().all(|digit| *digit <= 9).then(|| Self::from_nibbles(digits))?
    }

    fn from_nibbles(nibbles: &[u8]) -> Option<Self> {
        let length = nibbles.iter().position(|digit| *digit > 9).unwrap_or(nibbles.len());
        let filled = nibbles[length..].iter().all(|digit| *digit == 0xF);
        let mut digits = [0; 19];
        digits.get_mut(..length)?.copy_from_slice(&nibbles[..length]);
        let length = u8::try_from(length).ok()?;
        (filled && (8..=19).contains(&length)).then_some(Self { digits, length })
    }

    /// The digits as values 0..=9, for sealing and for the PIN pad, which binds the PIN to them.
    pub fn digits(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }

    /// The last four digits: all that paper and screen may show.
    pub fn last_four(&self) -> [u8; 4] {
        let mut four = [0; 4];
        four.copy_from_slice(&self.digits()[usize::from(self.length) - 4..]);
        four
    }

    /// The check digit fits (Luhn, ISO/IEC 7812-1 Annex B). A warning, never a gate: the issuer decides.
    pub fn check_digit_fits(&self) -> bool {
        let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
        let each = self.digits().iter().rev().enumerate();
        let sum: u32 = each
            .map(|(n, digit)| if n % 2 == 1 { doubled(u32::from(*digit)) } else { u32::from(*digit) })
            .sum();
        sum.is_multiple_of(10)
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardNumber(…)")
    }
}

impl Drop for CardNumber {
    fn drop(&mut self) {
        self.digits.zeroize();
    }
}

impl Track2 {
    /// Reads tag `57`: number, `D`, the rest, filled with `F`.
    pub fn from_tag(bytes: &[u8]) -> Option<Self> {
        let mut digits: heapless::Vec<u8, 38> = heapless::Vec::new();
        for byte in bytes {
            digits.extend_from_slice(&[byte >> 4, byte & 0xF]).ok()?;
        }
        while digits.last() == Some(&0xF) {
            digits.pop();
        }
        let track = Self { digits };
        let one_separator = track.digits.iter().filter(|digit| **digit > 9).count() == 1;
        (one_separator && track.digits.contains(&0xD) && track.number().is_some() && track.expiry().is_some())
            .then_some(track)
    }

    fn separator(&self) -> usize {
        self.digits.iter().position(|digit| *digit == 0xD).unwrap_or(self.digits.len())
    }

    /// The number in it.
    pub fn number(&self) -> Option<CardNumber> {
        CardNumber::from_nibbles(&self.digits[..self.separator()])
    }

    /// Expiry as YYMM digits.
    pub fn expiry(&self) -> Option<[u8; 4]> {
        self.digits.get(self.separator() + 1..)?.first_chunk().copied()
    }

    /// As ISO 8583 field 35 writes it, `=` or `D` being the caller's choice.
    pub fn to_ascii(&self, separator: u8) -> zeroize::Zeroizing<alloc::vec::Vec<u8>> {
        let letter = |digit: &u8| if *digit == 0xD { separator } else { digit + b'0' };
        zeroize::Zeroizing::new(self.digits.iter().map(letter).collect())
    }
}

impl fmt::Debug for Track2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Track2(…)")
    }
}

impl Drop for Track2 {
    fn drop(&mut self) {
        self.digits.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    /// A public test number, in parts so that no search takes it for somebody's.
    const TEST: &str = concat!("5413", "3300", "8902", "0011");

    #[test]
    fn a_number_is_read_from_both_forms_and_never_shown() {
        let number = CardNumber::parse(TEST).unwrap();
        let compressed = data_encoding::HEXUPPER.decode(TEST.as_bytes()).unwrap();
        assert_eq!(CardNumber::from_compressed(&compressed).unwrap(), number);
        assert_eq!((number.digits().len(), number.last_four()), (16, [0, 0, 1, 1]));
        assert!(number.check_digit_fits());
        assert_eq!(format!("{number:?}"), "CardNumber(…)");
    }

    #[test]
    fn odd_numbers_are_filled_with_f_and_nothing_else_is() {
        assert_eq!(CardNumber::from_compressed(&[0x12, 0x34, 0x56, 0x78, 0x9F]).unwrap().digits().len(), 9);
        for bad in [&[0x12][..], &[0x12, 0x34, 0x56, 0x7A], &[0x12, 0x34, 0x56, 0x78, 0xF9], &[0x11; 10]] {
            assert!(CardNumber::from_compressed(bad).is_none(), "{bad:02X?}");
        }
        for bad in ["", "1234567", "12345678x", "12345678901234567890"] {
            assert!(CardNumber::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn track_2_names_number_and_expiry() {
        let tag = data_encoding::HEXUPPER.decode(format!("{TEST}D301220100000000000F").as_bytes()).unwrap();
        let track = Track2::from_tag(&tag).unwrap();
        assert_eq!(track.number(), CardNumber::parse(TEST));
        assert_eq!(track.expiry(), Some([3, 0, 1, 2]));
        assert_eq!(*track.to_ascii(b'='), *format!("{TEST}=301220100000000000").as_bytes());
        assert_eq!(format!("{track:?}"), "Track2(…)");
    }

    #[test]
    fn broken_tracks_are_refused() {
        for text in
            ["", "12", "1234567890123456", "D3012201", "12345678D301", "12345678D30A2", "12345678E3012"]
        {
            let padded = if text.len() % 2 == 1 { format!("{text}F") } else { text.into() };
            let bytes = data_encoding::HEXUPPER.decode(padded.as_bytes()).unwrap();
            assert!(Track2::from_tag(&bytes).is_none(), "{text}");
        }
    }
}
