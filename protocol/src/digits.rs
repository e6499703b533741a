//! Numbers that people read from paper and type: payment code, claim number, balance number.
//!
//! All end in a Damm check digit, which catches every single slip and every swap of neighbours (H. M. Damm, 2004).
//! Payment codes never start a card-number range (their first digit is 0) so that a scan for card numbers stays sharp.

use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! checked_number {
    ($(#[$doc:meta])* $name:ident, $digits:literal, groups $groups:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name(u64);

        impl $name {
            /// Number of digits, the check digit included.
            pub const DIGITS: usize = $digits;
            /// Payload values lie below this.
            pub const PAYLOADS: u64 = 10u64.pow($digits - 1);

            /// Adds the check digit to `payload`, taken modulo [`Self::PAYLOADS`].
            pub fn from_payload(payload: u64) -> Self {
                let payload = payload % Self::PAYLOADS;
                Self(payload * 10 + u64::from(damm(payload, $digits - 1)))
            }

            /// The number without its check digit.
            pub const fn payload(self) -> u64 {
                self.0 / 10
            }

            /// Parses what was typed; spaces are ignored. `None` when the length or the check digit does not fit.
            pub fn parse(text: &str) -> Option<Self> {
                let mut value = 0u64;
                let mut count = 0;
                for letter in text.chars().filter(|letter| !letter.is_whitespace()) {
                    value = value.checked_mul(10)?.checked_add(u64::from(letter.to_digit(10)?))?;
                    count += 1;
                }
                if count == $digits { Self::try_from(value).ok() } else { None }
            }
        }

        impl TryFrom<u64> for $name {
            type Error = &'static str;
            fn try_from(value: u64) -> Result<Self, Self::Error> {
                if value / 10 < Self::PAYLOADS && damm(value, $digits) == 0 {
                    Ok(Self(value))
                } else {
                    Err(concat!(stringify!($name), ": the check digit does not fit"))
                }
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> u64 {
                number.0
            }
        }

        /// In groups, as it stands on paper; `{:#}` gives the bare digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut left: u32 = $digits;
                for (index, size) in $groups.iter().enumerate() {
                    if index > 0 && !f.alternate() {
                        f.write_str(" ")?;
                    }
                    left -= size;
                    let group = self.0 / 10u64.pow(left) % 10u64.pow(*size);
                    write!(f, "{group:0width$}", width = *size as usize)?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#})"), self)
            }
        }
    };
}

checked_number! {
    /// The unique payment code (төлемнің бірегей коды, ТБК; уникальный код платежа, УКП): what the citizen redeems.
    PaymentCode, 16, groups [4u32, 4, 4, 4]
}
checked_number! {
    /// Names a claim slip: five digits of kiosk number and seven of the payment's number, so the kiosk can make it
    /// alone and any other kiosk can tell where the money went in.
    ClaimNumber, 13, groups [5u32, 4, 4]
}
checked_number! {
    /// Names a held balance (a remainder voucher, for one). Random, made by the center.
    BalanceNumber, 12, groups [4u32, 4, 4]
}

impl ClaimNumber {
    /// The claim number of payment `number` made at `kiosk`.
    pub fn new(kiosk: crate::KioskNumber, number: u64) -> Self {
        Self::from_payload(u64::from(kiosk.get()) * 10_000_000 + number % 10_000_000)
    }

    /// The kiosk that printed the slip, and its payment number modulo ten million.
    pub fn parts(self) -> (u64, u64) {
        (self.payload() / 10_000_000, self.payload() % 10_000_000)
    }
}

impl PaymentCode {
    /// A code from `random` bits: the first digit is 0, fourteen digits are random.
    pub fn from_random(random: u64) -> Self {
        Self::from_payload(random % 10u64.pow(14))
    }
}

/// Damm's quasigroup of order 10; the interim digit over all digits of a checked number is 0.
fn damm(value: u64, digits: u32) -> u8 {
    const TABLE: [[u8; 10]; 10] = [
        [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
        [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
        [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
        [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
        [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
        [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
        [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
        [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
        [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
        [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
    ];
    (0..digits).rev().fold(0u8, |interim, place| {
        let digit = (value / 10u64.pow(place) % 10) as usize;
        TABLE[interim as usize][digit]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn the_published_example_holds() {
        // Wikipedia, "Damm algorithm": 572 has check digit 4.
        assert_eq!(damm(572, 3), 4);
        assert_eq!(damm(5724, 4), 0);
    }

    #[test]
    fn every_slip_and_every_swap_is_found() {
        let code = PaymentCode::from_random(12_345_678_901_234);
        let digits: alloc::vec::Vec<char> = alloc::format!("{code:#}").chars().collect();
        for place in 0..16 {
            for digit in '0'..='9' {
                let mut wrong = digits.clone();
                wrong[place] = digit;
                let text: alloc::string::String = wrong.iter().collect();
                assert_eq!(PaymentCode::parse(&text).is_some(), wrong == digits, "{text}");
            }
            if place > 0 && digits[place] != digits[place - 1] {
                let mut wrong = digits.clone();
                wrong.swap(place, place - 1);
                assert_eq!(PaymentCode::parse(&wrong.iter().collect::<alloc::string::String>()), None);
            }
        }
    }

    #[test]
    fn what_is_printed_can_be_typed() {
        let claim = ClaimNumber::new(crate::KioskNumber::new(42).unwrap(), 123);
        assert_eq!(ClaimNumber::parse(&claim.to_string()), Some(claim));
        assert_eq!(claim.parts(), (42, 123));
        assert!(claim.to_string().starts_with("00042 0000 123"), "{claim}");
        for text in ["", "1", "00042 0000 12", "x0042 0000 1234", "99999999999999999999999"] {
            assert_eq!(ClaimNumber::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_code_starts_no_card_number_range() {
        for random in [0, u64::MAX, 0xDEAD_BEEF_DEAD_BEEF] {
            assert!(PaymentCode::from_random(random).to_string().starts_with('0'));
        }
    }
}
