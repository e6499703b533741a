//! IIN and BIN: the twelve-digit numbers of a person and of an organisation in Kazakhstan.
//!
//! Digits 1-6 of an IIN are YYMMDD of birth, digit 7 is century and sex, 8-11 a serial, 12 a control digit computed
//! in one or two passes (Government decree 406 of 22 May 2007). The control digit is weak (about 9 % of single
//! slips pass, because weight 11 is 0 modulo 11), so a number that parses here is only *plausible*: the registry decides.

use crate::utc::Date;
use core::fmt;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// A plausible IIN. Never printed by `Debug`, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "[u8; 12]", into = "[u8; 12]")]
pub struct Iin([u8; 12]);

/// Why twelve digits are not an IIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IinError {
    /// Not exactly twelve decimal digits: a typing slip or the wrong number.
    NotTwelveDigits,
    /// Digit 7 is not 1..=6, so there is no century of birth.
    NoSuchCentury,
    /// The date of birth never existed or lies in the future.
    ImpossibleDate,
    /// The control digit does not fit: most often one digit is wrong or two are swapped.
    ControlDigit,
}

/// For who types numbers into a command; the citizen's words are in the core.
impl fmt::Display for IinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTwelveDigits => "it must have exactly twelve digits",
            Self::NoSuchCentury => "its seventh digit, century and sex, must be 1 to 6",
            Self::ImpossibleDate => {
                "its first six digits are no date of birth (year, month, day) up to today"
            }
            Self::ControlDigit => "its last digit does not fit the others: look for a wrong or swapped digit",
        })
    }
}

impl Iin {
    /// Parses twelve ASCII digits; `today` bounds the date of birth.
    pub fn parse(text: &str, today: Date) -> Result<Self, IinError> {
        let digits = twelve_digits(text).ok_or(IinError::NotTwelveDigits)?;
        Self::from_digits(digits, Some(today))
    }

    fn from_digits(digits: [u8; 12], today: Option<Date>) -> Result<Self, IinError> {
        let number = |from: usize| digits[from] * 10 + digits[from + 1];
        let century = match digits[6] {
            1 | 2 => 1800,
            3 | 4 => 1900,
            5 | 6 => 2000,
            _ => return Err(IinError::NoSuchCentury),
        };
        let born = Date::from_calendar(century + i32::from(number(0)), number(2), number(4))
            .ok_or(IinError::ImpossibleDate)?;
        if today.is_some_and(|today| born > today) {
            return Err(IinError::ImpossibleDate);
        }
        if control_digit(&digits) != Some(digits[11]) {
            return Err(IinError::ControlDigit);
        }
        Ok(Self(digits))
    }

    /// The twelve digits as ASCII, for sealing, printing whole (a setting) and sending inside TLS.
    pub fn ascii(&self) -> [u8; 12] {
        self.0.map(|digit| digit + b'0')
    }

    /// The form for screens and paper: only the last four digits are shown.
    pub fn masked(&self) -> heapless::String<48> {
        let mut text = heapless::String::new();
        let ascii = self.ascii();
        let tail = core::str::from_utf8(&ascii[8..]).expect("invariant: ASCII digits");
        text.push_str("••••\u{202f}••••\u{202f}").and_then(|()| text.push_str(tail)).ok();
        text
    }
}

impl fmt::Debug for Iin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iin(…)")
    }
}

impl Drop for Iin {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<Iin> for [u8; 12] {
    fn from(iin: Iin) -> Self {
        iin.0
    }
}

impl TryFrom<[u8; 12]> for Iin {
    type Error = &'static str;
    fn try_from(digits: [u8; 12]) -> Result<Self, Self::Error> {
        if digits.iter().any(|digit| *digit > 9) {
            return Err("an IIN has decimal digits only");
        }
        Self::from_digits(digits, None).map_err(|_| "not an IIN")
    }
}

/// The business number of a payee: the same twelve digits and control digit, another meaning of the rest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "[u8; 12]", into = "[u8; 12]")]
pub struct Bin([u8; 12]);

impl Bin {
    /// Parses twelve ASCII digits whose control digit fits and whose fifth digit names a kind of organisation (4, 5, 6).
    pub fn parse(text: &str) -> Option<Self> {
        twelve_digits(text).and_then(|digits| Self::try_from(digits).ok())
    }
}

impl TryFrom<[u8; 12]> for Bin {
    type Error = &'static str;
    fn try_from(digits: [u8; 12]) -> Result<Self, Self::Error> {
        let plausible = digits.iter().all(|digit| *digit <= 9)
            && (4..=6).contains(&digits[4])
            && control_digit(&digits) == Some(digits[11]);
        if plausible { Ok(Self(digits)) } else { Err("not a BIN") }
    }
}

impl From<Bin> for [u8; 12] {
    fn from(bin: Bin) -> Self {
        bin.0
    }
}

impl fmt::Display for Bin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|digit| write!(f, "{digit}"))
    }
}

fn twelve_digits(text: &str) -> Option<[u8; 12]> {
    let bytes: [u8; 12] = text.as_bytes().try_into().ok()?;
    bytes.iter().all(u8::is_ascii_digit).then(|| bytes.map(|byte| byte - b'0'))
}

/// First pass with weights 1..=11; if that gives 10, a second with 3..=11, 1, 2; if 10 again, the number is never issued.
fn control_digit(digits: &[u8; 12]) -> Option<u8> {
    let pass = |weight: fn(usize) -> usize| -> u8 {
        let sum: usize = (0..11).map(|i| usize::from(digits[i]) * weight(i)).sum();
        u8::try_from(sum % 11).expect("invariant: a remainder below 11")
    };
    match pass(|i| i + 1) {
        10 => Some(pass(|i| (i + 2) % 11 + 1)).filter(|digit| *digit != 10),
        digit => Some(digit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn today() -> Date {
        Date::parse_iso("2026-11-22").unwrap()
    }

    #[test]
    fn numbers_of_both_passes_parse() {
        // Born 1850-1900: no living holder.
        for text in [
            "000101300019",
            "000101301805",
            "000101400015",
            "000101400601",
            "991231100010",
            "991231100109",
            "500228200018",
            "500228200900",
        ] {
            assert!(Iin::parse(text, today()).is_ok(), "{text}");
        }
    }

    #[test]
    fn numbers_that_are_never_issued_are_refused() {
        for stem in ["00010130188", "00010140140", "99123110016", "50022820095"] {
            for last in 0..10 {
                assert_eq!(Iin::parse(&format!("{stem}{last}"), today()), Err(IinError::ControlDigit));
            }
        }
    }

    #[test]
    fn each_fault_has_its_own_error() {
        for (text, error) in [
            ("", IinError::NotTwelveDigits),
            ("00010130001", IinError::NotTwelveDigits),
            ("0001013000190", IinError::NotTwelveDigits),
            ("00010130001x", IinError::NotTwelveDigits),
            ("٠٠٠١٠١", IinError::NotTwelveDigits),
            ("000101700019", IinError::NoSuchCentury),
            ("000101000019", IinError::NoSuchCentury),
            ("000230300019", IinError::ImpossibleDate),
            ("001331300019", IinError::ImpossibleDate),
            ("000229300019", IinError::ImpossibleDate), // 1900 was no leap year
            ("991231500016", IinError::ImpossibleDate), // 2099
            ("960229600013", IinError::ImpossibleDate), // 2096
            ("000101300018", IinError::ControlDigit),
        ] {
            assert_eq!(Iin::parse(text, today()), Err(error), "{text}");
        }
    }

    #[test]
    fn debug_and_mask_hide_the_number() {
        let iin = Iin::parse("000101300019", today()).unwrap();
        assert_eq!(format!("{iin:?}"), "Iin(…)");
        assert_eq!(iin.masked().as_str(), "••••\u{202f}••••\u{202f}0019");
    }

    #[test]
    fn bins_need_their_kind_and_control_digit() {
        for text in ["991240000013", "991241000019", "991242000014", "991250000018"] {
            assert_eq!(format!("{}", Bin::parse(text).unwrap()), text);
        }
        assert_eq!(Bin::parse("000101300019"), None);
        assert_eq!(Bin::parse("991240000014"), None);
    }
}
