//! The number of a card as a reader shows it that enciphers numbers itself: what may be seen, and nothing to be hidden.

use super::CardNumber;
use alloc::vec::Vec;
use core::fmt;

/// Stands on the wire where a digit is hidden: no number has it.
const HIDDEN: u8 = 0xC;
/// Fills the last half byte of an odd number.
const FILL: u8 = 0xF;
/// Digits that are shown at the end.
const LAST: usize = 4;
/// Digits that may be shown at the beginning.
const FIRST: usize = 6;
/// A shorter number shows none of its first digits: too few would be left to guess.
const SHORTEST_WITH_FIRST: usize = 13;

/// A number of which the last four digits are known, of a long one mostly the first six too. The others never came here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MaskedNumber {
    length: u8,
    first: Option<[u8; FIRST]>,
    last: [u8; LAST],
}

impl MaskedNumber {
    /// What a reader shows of a number.
    pub fn of(number: &CardNumber) -> Self {
        let digits = number.digits();
        let first = digits.first_chunk().copied().filter(|_| digits.len() >= SHORTEST_WITH_FIRST);
        Self { length: u8::try_from(digits.len()).unwrap_or(0), first, last: number.last_four() }
    }

    /// Reads the value of tag `5A` as such a reader gives it: two digits a byte, `C` for a hidden one, filled with `F`. `None` for anything
    /// else, and above all for a number that is not hidden.
    pub fn from_compressed(bytes: &[u8]) -> Option<Self> {
        let mut nibbles: heapless::Vec<u8, 20> = heapless::Vec::new();
        for byte in bytes {
            nibbles.extend_from_slice(&[byte >> 4, byte & 0xF]).ok()?;
        }
        let length = nibbles.iter().position(|nibble| *nibble == FILL).unwrap_or(nibbles.len());
        if !(8..=19).contains(&length) || nibbles[length..].iter().any(|nibble| *nibble != FILL) {
            return None;
        }
        let (head, last) = nibbles[..length].split_last_chunk::<LAST>()?;
        let first: Option<&[u8; FIRST]> = head.first_chunk().filter(|_| length >= SHORTEST_WITH_FIRST);
        let first = first.copied().filter(|first| first.iter().all(|digit| *digit <= 9));
        let shown = if first.is_some() { FIRST } else { 0 };
        let good =
            head[shown..].iter().all(|nibble| *nibble == HIDDEN) && last.iter().all(|digit| *digit <= 9);
        good.then_some(Self { length: u8::try_from(length).ok()?, first, last: *last })
    }

    /// The half bytes of tag `5A`, without the fill.
    pub fn nibbles(&self) -> Vec<u8> {
        let hidden = usize::from(self.length) - LAST - self.first.map_or(0, |_| FIRST);
        let first = self.first.iter().flatten().copied();
        first.chain(core::iter::repeat_n(HIDDEN, hidden)).chain(self.last).collect()
    }

    /// The last four digits: all that paper and screen may show.
    pub const fn last_four(&self) -> [u8; LAST] {
        self.last
    }
}

impl fmt::Debug for MaskedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskedNumber(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    fn packed(nibbles: &[u8]) -> Vec<u8> {
        let mut filled = nibbles.to_vec();
        if filled.len() % 2 == 1 {
            filled.push(FILL);
        }
        filled.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    #[test]
    fn first_six_and_last_four_are_seen_and_no_other_digit() {
        for (text, seen) in [
            (
                concat!("5413", "3300", "8902", "0011"),
                vec![5, 4, 1, 3, 3, 3, 12, 12, 12, 12, 12, 12, 0, 0, 1, 1],
            ),
            (concat!("4012", "3456", "7890", "9"), vec![4, 0, 1, 2, 3, 4, 12, 12, 12, 8, 9, 0, 9]),
            ("991234567890", vec![12, 12, 12, 12, 12, 12, 12, 12, 7, 8, 9, 0]),
            ("99123456", vec![12, 12, 12, 12, 3, 4, 5, 6]),
        ] {
            let masked = MaskedNumber::of(&CardNumber::parse(text).unwrap());
            assert_eq!(masked.nibbles(), seen, "{text}");
            assert_eq!(MaskedNumber::from_compressed(&packed(&seen)), Some(masked), "{text}");
            assert_eq!(format!("{masked:?}"), "MaskedNumber(…)");
        }
    }

    #[test]
    fn a_number_that_is_not_hidden_or_shows_more_is_refused() {
        let good = [5, 4, 1, 3, 3, 3, 12, 12, 12, 12, 12, 12, 0, 0, 1, 1];
        let with = |changes: &[(usize, u8)]| {
            let mut nibbles = good;
            changes.iter().for_each(|(at, nibble)| nibbles[*at] = *nibble);
            packed(&nibbles)
        };
        let clear = packed(CardNumber::parse(concat!("5413", "3300", "8902", "0011")).unwrap().digits());
        for bad in [
            clear,
            with(&[(6, 8)]),
            with(&[(11, 8)]),
            with(&[(0, 12)]),
            with(&[(15, 12)]),
            with(&[(9, 13)]),
            with(&[(3, 15)]),
            packed(&[1, 2, 3, 4, 12, 12, 3, 4, 5, 6]),
            packed(&[1, 2, 3, 4, 5, 6, 3, 4, 5, 6]),
            vec![],
            vec![0xCC; 11],
            vec![0xFF; 8],
        ] {
            assert!(MaskedNumber::from_compressed(&bad).is_none(), "{bad:02X?}");
        }
        let long = [&with(&[])[..], &[0xFF, 0xFF]].concat();
        assert!(MaskedNumber::from_compressed(&long).is_some(), "filled to ten bytes, as some cards do");
    }
}
