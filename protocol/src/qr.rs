//! What a QR code on our paper says, as text: the code of a receipt, the deposit of a claim slip, the number of a voucher.
//!
//! `TOLEM:C1:` and `TOLEM:D1:` are followed by the compact form of a signed statement in base45 (RFC 9285), `TOLEM:V1:` by the
//! twelve digits of a balance number. All letters lie in the QR alphanumeric set, so two of them cost 11 bits. Reading says
//! only that the text is well formed: whoever acts on a statement verifies its signature.

use crate::{
    BalanceNumber,
    messages::{CodeToken, Deposit},
    signed::{Signed, Statement},
};
use alloc::{format, string::String};
use core::fmt;

const CODE: &str = "TOLEM:C1:";
const DEPOSIT: &str = "TOLEM:D1:";
const BALANCE: &str = "TOLEM:V1:";

/// Longest text this module reads, in bytes: a statement of the greatest length, and some.
pub const MAX_TEXT: usize = 1_400;

/// The content of one QR code.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "one at a time; no heap in the types of this crate")]
pub enum Qr {
    /// On a receipt: the payment code and what it proves.
    Code(Signed<CodeToken>),
    /// On a claim slip: the whole signed deposit, so that a burnt kiosk loses nobody's money.
    Deposit(Signed<Deposit>),
    /// On a voucher: the number of the held balance.
    Balance(BalanceNumber),
}

/// Why a text is not one of our QR codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QrError {
    /// It does not start with `TOLEM:`: somebody else's code.
    Foreign,
    /// It is ours, but of a kind or version this build does not know.
    Kind,
    /// Longer than [`MAX_TEXT`].
    Length(usize),
    /// The base45 part has a letter or length that does not decode: misread or cut off.
    Base45,
    /// The bytes are not one signed statement: cut off or made by something else.
    Statement,
    /// The digits are not a balance number: mistyped or misread.
    Number,
}

impl fmt::Display for QrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("not a Tolem code: the text must start with TOLEM:"),
            Self::Kind => f.write_str("unknown kind of Tolem code: known are C1, D1 and V1"),
            Self::Length(length) => write!(f, "text of {length} bytes, at most {MAX_TEXT} are read"),
            Self::Base45 => f.write_str("the part after the kind is not base45: misread or cut off"),
            Self::Statement => f.write_str("the bytes are not one signed statement: cut off or altered"),
            Self::Number => f.write_str("not a balance number: twelve digits with their check digit"),
        }
    }
}

impl core::error::Error for QrError {}

impl Qr {
    /// The text to put into the QR code.
    pub fn encode(&self) -> String {
        match self {
            Self::Code(signed) => format!("{CODE}{}", base45::encode(signed.to_bytes())),
            Self::Deposit(signed) => format!("{DEPOSIT}{}", base45::encode(signed.to_bytes())),
            Self::Balance(number) => format!("{BALANCE}{number:#}"),
        }
    }

    /// Reads a text; white space around it (line ends of a scanner) is ignored.
    pub fn parse(text: &str) -> Result<Self, QrError> {
        // A space is a base45 letter, so only line ends are cut off behind.
        let text = text.trim_start().trim_end_matches(['\r', '\n', '\t']);
        if text.len() > MAX_TEXT {
            return Err(QrError::Length(text.len()));
        }
        if let Some(rest) = text.strip_prefix(CODE) {
            statement(rest).map(Self::Code)
        } else if let Some(rest) = text.strip_prefix(DEPOSIT) {
            statement(rest).map(Self::Deposit)
        } else if let Some(rest) = text.strip_prefix(BALANCE) {
            BalanceNumber::parse(rest).map(Self::Balance).ok_or(QrError::Number)
        } else if text.starts_with("TOLEM:") {
            Err(QrError::Kind)
        } else {
            Err(QrError::Foreign)
        }
    }
}

fn statement<T: Statement>(text: &str) -> Result<Signed<T>, QrError> {
    let bytes = base45::decode(text).map_err(|_| QrError::Base45)?;
    // The decoder lets a last pair above 255 pass; only the one text that the encoder makes is ours.
    if bytes.is_empty() || base45::encode(&bytes) != text {
        return Err(QrError::Base45);
    }
    Signed::from_bytes(&bytes).ok_or(QrError::Statement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Amount, Denomination, KioskNumber, PaymentCode, PaymentId, UtcTime,
        messages::{DepositKind, HoldReason},
        notes::NotePile,
        signed::Signature,
    };
    use expect_test::expect;

    fn deposit() -> Signed<Deposit> {
        let mut notes = NotePile::default();
        notes.add(Denomination(2000));
        let kiosk = KioskNumber::new(42).unwrap();
        let statement = Deposit {
            payment: PaymentId { kiosk, epoch: 3, number: 7, nonce: [5; 16] },
            kind: DepositKind::Hold(HoldReason::Stopped),
            quote: None,
            payer: None,
            notes,
            made_at: UtcTime::from_seconds(1_800_000_000),
        };
        Signed::new(&statement, |_| Signature([9; 64]))
    }

    #[test]
    fn the_text_of_version_1_is_frozen() {
        let number = BalanceNumber::from_payload(12_345_678_901);
        expect!["TOLEM:V1:123456789018"].assert_eq(&Qr::Balance(number).encode());
        expect!["TOLEM:D1:U84AH0PS0PS0PS0PS0PS0PS0PS0PS0V50000EA0G+1KCGTSSVXSI61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61I61"]
            .assert_eq(&Qr::Deposit(deposit()).encode());
    }

    fn token() -> Signed<CodeToken> {
        let token = CodeToken {
            code: PaymentCode::from_random(12_345_678_901_234),
            payment: deposit().read_unverified().unwrap().payment,
            service: heapless::String::try_from("passport-36").unwrap(),
            fee: Amount::from_tenge(34_600),
            payer_tail: 19,
            paid_at: UtcTime::from_seconds(1_800_000_000),
            valid_until: UtcTime::from_seconds(1_831_536_000),
        };
        Signed::new(&token, |_| Signature([7; 64]))
    }

    #[test]
    fn what_is_printed_reads_back() {
        let balance = Qr::Balance(BalanceNumber::from_payload(7));
        for qr in [Qr::Deposit(deposit()), Qr::Code(token()), balance] {
            let text = qr.encode();
            assert_eq!(Qr::parse(&text), Ok(qr.clone()));
            assert_eq!(Qr::parse(&format!("  {text}\r\n")), Ok(qr));
        }
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let good = Qr::Deposit(deposit()).encode();
        for (text, error) in [
            ("https://example.kz", QrError::Foreign),
            ("", QrError::Foreign),
            ("TOLEM:D2:ABC", QrError::Kind),
            ("TOLEM:D1:", QrError::Base45),
            ("TOLEM:D1:abc", QrError::Base45),
            ("TOLEM:D1::::", QrError::Base45),
            ("TOLEM:D1:ӘӘӘ", QrError::Base45),
            ("TOLEM:D1:::", QrError::Base45),
            ("TOLEM:D1:BB8", QrError::Statement),
            ("TOLEM:V1:123456789015", QrError::Number),
            ("TOLEM:V1:", QrError::Number),
        ] {
            assert_eq!(Qr::parse(text), Err(error), "{text}");
        }
        assert_eq!(Qr::parse(&"A".repeat(MAX_TEXT + 1)), Err(QrError::Length(MAX_TEXT + 1)));
        for cut in 0..good.len() {
            assert!(Qr::parse(&good[..cut]).is_err(), "{cut}");
        }
    }
}
