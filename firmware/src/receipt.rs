//! Checks the QR code of a receipt offline: what the center signed, or why it is no receipt of this center.
//!
//! Says nothing about the code's later life: whether it was redeemed or voided is known at the center only.

use crate::verify::ed25519;
use std::fmt;
use tolem_protocol::{
    messages::CodeToken,
    qr::{Qr, QrError},
    signed::OpenError,
};

/// Why a text is no receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReceiptError {
    /// Not one of our QR texts.
    Text(QrError),
    /// One of ours, but of another paper.
    OtherPaper(&'static str),
    /// The center's key did not sign it.
    Forged,
    /// Rightly signed, by a newer center than this program knows.
    Unreadable,
}

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => write!(f, "not a receipt: {error}"),
            Self::OtherPaper(paper) => write!(f, "not a receipt: this is the code of a {paper}"),
            Self::Forged => f.write_str(
                "FORGED, altered, or of another center: the signature does not fit the center's key",
            ),
            Self::Unreadable => f.write_str("rightly signed, but by a newer version: update this program"),
        }
    }
}

impl std::error::Error for ReceiptError {}

/// Reads the text of a receipt's QR code and checks its signature under the center's statement key.
pub fn verify(text: &str, center: &[u8; 32]) -> Result<CodeToken, ReceiptError> {
    match Qr::parse(text).map_err(ReceiptError::Text)? {
        Qr::Code(signed) => {
            signed.open(|message, signature| ed25519(center, message, signature)).map_err(|error| match error
            {
                OpenError::Signature => ReceiptError::Forged,
                OpenError::Unreadable => ReceiptError::Unreadable,
            })
        }
        Qr::Deposit(_) => Err(ReceiptError::OtherPaper("claim slip; `tolem-center claim import` takes it")),
        Qr::Balance(_) => Err(ReceiptError::OtherPaper("voucher")),
    }
}

/// What a receipt proves, in lines.
pub fn describe(token: &CodeToken) -> String {
    format!(
        "payment code  {}\nservice       {}\npaid          {}\naccepted      {}\nvalid until   {}\npayer         ••••\u{202f}••••\u{202f}{:04}\npayment       {}\n",
        token.code,
        token.service,
        token.fee,
        token.paid_at.local(),
        token.valid_until.local(),
        token.payer_tail,
        token.payment,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use tolem_protocol::{
        Amount, BalanceNumber, KioskNumber, PaymentCode, PaymentId, UtcTime,
        signed::{Signature, Signed},
    };

    fn center(seed: u8) -> (Ed25519KeyPair, [u8; 32]) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let public = pair.public_key().as_ref().try_into().unwrap();
        (pair, public)
    }

    fn receipt(pair: &Ed25519KeyPair) -> String {
        let kiosk = KioskNumber::new(42).unwrap();
        let token = CodeToken {
            code: PaymentCode::from_random(12_345_678_901_234),
            payment: PaymentId { kiosk, epoch: 3, number: 17, nonce: [0xab; 16] },
            service: "passport-36".try_into().unwrap(),
            fee: Amount::from_tiyn(3_460_000),
            payer_tail: 19,
            paid_at: UtcTime::from_seconds(1_795_338_309),
            valid_until: UtcTime::from_seconds(1_797_930_309),
        };
        let sign = |message: &[u8]| Signature(pair.sign(message).as_ref().try_into().unwrap());
        Qr::Code(Signed::new(&token, sign)).encode()
    }

    #[test]
    fn a_right_receipt_says_what_was_paid() {
        let (pair, public) = center(1);
        let text = describe(&verify(&format!("{}\r\n", receipt(&pair)), &public).unwrap());
        expect![[r#"
            payment code  0123 4567 8901 2345
            service       passport-36
            paid          34 600 ₸
            accepted      22.11.2026 14:05:09
            valid until   22.12.2026 14:05:09
            payer         •••• •••• 0019
            payment       00042-3-17-abababab
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn what_is_no_receipt_of_this_center_is_refused() {
        let (pair, public) = center(1);
        let text = receipt(&pair);
        assert_eq!(verify(&text, &center(2).1), Err(ReceiptError::Forged));
        let mut found = 0;
        for at in 0..text.len() {
            let mut letters = text.clone().into_bytes();
            letters[at] = if letters[at] == b'7' { b'8' } else { b'7' };
            found += u32::from(verify(std::str::from_utf8(&letters).unwrap(), &public).is_err());
        }
        assert_eq!(found as usize, text.len(), "every changed letter is found");
        assert_eq!(verify("https://example.kz", &public), Err(ReceiptError::Text(QrError::Foreign)));
        let voucher = Qr::Balance(BalanceNumber::from_payload(5)).encode();
        assert_eq!(verify(&voucher, &public), Err(ReceiptError::OtherPaper("voucher")));
    }
}
