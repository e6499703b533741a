//! Digits that are somebody's secret while they are typed: wiped when dropped, never printed by `Debug`.

use std::{fmt, ops::Deref};
use zeroize::{Zeroize, Zeroizing};

/// Digits as they are typed. Their place does not grow, so no copy stays behind.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Typed {
    digits: [u8; Typed::MOST],
    len: usize,
}

impl Typed {
    /// The longest number anybody types.
    pub const MOST: usize = 16;

    /// Adds a decimal digit; anything else, and a digit too many, is ignored.
    pub fn push(&mut self, digit: char) {
        if let (Some(value), true) = (digit.to_digit(10), self.len < Self::MOST) {
            self.digits[self.len] = b'0' + value as u8;
            self.len += 1;
        }
    }

    /// Takes the last digit back.
    pub fn pop(&mut self) {
        self.len = self.len.saturating_sub(1);
        self.digits[self.len] = 0;
    }

    /// Takes all digits back.
    pub fn clear(&mut self) {
        self.digits.zeroize();
        self.len = 0;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True for none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The digits as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.len]).expect("invariant: only ASCII digits are pushed")
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed(…)")
    }
}

/// Bytes on a line that may hold a secret: wiped when dropped, and only their number is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(pub Zeroizing<Vec<u8>>);

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// A text that shows a secret to its owner. A screen reads it and lets it go.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Deref for Secret {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One key of the keypad, 0 to 9.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key(u8);

impl Key {
    /// The key that says `digit`; a larger number is the key 9.
    pub const fn new(digit: u8) -> Self {
        Self(if digit > 9 { 9 } else { digit })
    }

    /// What it types.
    pub fn digit(self) -> char {
        char::from(b'0' + self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(digits: &str) -> Typed {
        let mut typed = Typed::default();
        digits.chars().for_each(|digit| typed.push(digit));
        typed
    }

    #[test]
    fn only_digits_are_typed_and_not_too_many() {
        let mut long = typed("12a34-5678901234567890");
        assert_eq!(long.as_str(), "1234567890123456");
        long.pop();
        assert_eq!((long.len(), long.as_str()), (15, "123456789012345"));
        long.clear();
        assert!(long.is_empty() && long == Typed::default());
        long.pop();
        assert!(long.is_empty());
    }

    #[test]
    fn what_is_taken_back_leaves_nothing_in_memory() {
        let mut digits = typed("000101300019");
        for _ in 0..6 {
            digits.pop();
        }
        assert_eq!(digits.digits, *b"000101\0\0\0\0\0\0\0\0\0\0");
        digits.clear();
        assert_eq!(digits.digits, [0; Typed::MOST]);
    }

    #[test]
    fn nothing_of_it_is_printed() {
        let shown = format!(
            "{:?} {:?} {:?}",
            typed("000101300019"),
            Secret::from("000101 300 019".to_owned()),
            Key::new(7)
        );
        assert!(!shown.contains(|letter: char| letter.is_ascii_digit()), "{shown}");
    }
}
