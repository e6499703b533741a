//! Money: a whole number of tiyn. 100 tiyn = 1 tenge (KZT, ISO 4217 number 398). Never a float, never negative.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A non-negative sum in tiyn.
///
/// Arithmetic is checked: an overflow or a negative result is our bug and panics, because going on with a wrong sum
/// is worse than stopping. Where data from outside is added up, use [`Amount::checked_add`].
///
/// Decoding refuses more than [`Amount::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Amount(u64);

impl TryFrom<u64> for Amount {
    type Error = &'static str;
    fn try_from(tiyn: u64) -> Result<Self, Self::Error> {
        let amount = Self(tiyn);
        if amount <= Self::MAX { Ok(amount) } else { Err("no sum is above one trillion tenge") }
    }
}

impl From<Amount> for u64 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

impl Amount {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The largest sum this system will speak of: one trillion tenge. Anything above it is refused at the edge.
    pub const MAX: Self = Self(100_000_000_000_000);

    /// A sum of `tiyn`.
    pub const fn from_tiyn(tiyn: u64) -> Self {
        Self(tiyn)
    }

    /// A sum of whole `tenge`.
    pub const fn from_tenge(tenge: u64) -> Self {
        Self(tenge * 100)
    }

    /// The sum in tiyn.
    pub const fn tiyn(self) -> u64 {
        self.0
    }

    /// True for no money.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Adds data from outside: `None` above [`Amount::MAX`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self).filter(|sum| *sum <= Self::MAX)
    }

    /// Takes `other` away, stopping at zero.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// This sum `times` over; `None` above [`Amount::MAX`].
    pub fn checked_mul(self, times: u64) -> Option<Self> {
        self.0.checked_mul(times).map(Self).filter(|sum| *sum <= Self::MAX)
    }

    /// The sum as it is paid in cash: tiyn are rounded arithmetically to whole tenge, 50 tiyn and more going up
    /// (Kazakhstan, amendment of 4 July 2009 on rounding in cash payments).
    pub const fn rounded_for_cash(self) -> Self {
        Self((self.0 + 50) / 100 * 100)
    }
}

impl core::ops::Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.checked_add(other).expect("invariant: sums of parsed amounts stay below Amount::MAX")
    }
}

impl core::ops::Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.checked_sub(other.0).expect("invariant: only a part is taken from a sum"))
    }
}

impl core::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, |sum, next| sum + next)
    }
}

/// House format: `34 600 ₸`, tiyn only where there are any (`2 162,50 ₸`); groups and sign are set off by U+202F, so a
/// sum never breaks over two lines.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenge = self.0 / 100;
        let mut divisor = 1_000;
        while tenge / divisor > 0 {
            divisor *= 1_000;
        }
        divisor /= 1_000;
        write!(f, "{}", tenge / divisor)?;
        while divisor > 1 {
            divisor /= 1_000;
            write!(f, "\u{202f}{:03}", tenge / divisor % 1_000)?;
        }
        if !self.0.is_multiple_of(100) {
            write!(f, ",{:02}", self.0 % 100)?;
        }
        f.write_str("\u{202f}₸")
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}₸", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn tiyn_round_arithmetically_in_cash() {
        for (exact, cash) in [(540_625, 540_600), (216_250, 216_300), (49, 0), (50, 100), (86_500, 86_500)] {
            assert_eq!(Amount::from_tiyn(exact).rounded_for_cash(), Amount::from_tiyn(cash), "{exact}");
        }
    }

    #[test]
    fn sums_are_grouped_and_never_break() {
        for (tiyn, text) in [
            (0, "0\u{202f}₸"),
            (99_900, "999\u{202f}₸"),
            (100_000, "1\u{202f}000\u{202f}₸"),
            (3_460_000, "34\u{202f}600\u{202f}₸"),
            (216_250, "2\u{202f}162,50\u{202f}₸"),
            (12_345_678_900, "123\u{202f}456\u{202f}789\u{202f}₸"),
        ] {
            assert_eq!(Amount::from_tiyn(tiyn).to_string(), text);
        }
    }

    #[test]
    fn outside_sums_above_the_maximum_are_refused() {
        assert_eq!(Amount::MAX.checked_add(Amount::from_tiyn(1)), None);
        assert_eq!(Amount::from_tiyn(u64::MAX).checked_add(Amount::from_tiyn(1)), None);
        assert_eq!(Amount::MAX.checked_mul(2), None);
    }

    #[test]
    fn a_sum_above_the_maximum_is_not_decoded() {
        for tiyn in [0, 1, Amount::MAX.tiyn(), Amount::MAX.tiyn() + 1, u64::MAX] {
            let mut buffer = [0; 10];
            let bytes = postcard::to_slice(&tiyn, &mut buffer).unwrap();
            let expected = (tiyn <= Amount::MAX.tiyn()).then_some(Amount::from_tiyn(tiyn));
            assert_eq!(postcard::from_bytes::<Amount>(bytes).ok(), expected, "{tiyn}");
            if let Some(amount) = expected {
                let mut again = [0; 10];
                assert_eq!(postcard::to_slice(&amount, &mut again).unwrap(), bytes, "the bytes stay");
            }
        }
    }
}
