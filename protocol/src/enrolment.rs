//! How a terminal gets its TLS certificate: the words of the center's port for enrolment.
//!
//! One question and one answer for each connection, in the frames of [`messages`](crate::messages). The connection is TLS with the
//! center's certificate; a renewal shows the old certificate of the terminal as well, and that is its whole proof. A first enrolment has
//! none to show: it is proven by a code that the center gave to a person, and by the journal's key, which signs the question.

use crate::{
    KioskNumber,
    messages::Message,
    signed::{Signed, Statement},
};
use core::fmt;
use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Serialize};

/// Longest certificate request in bytes of DER; one with a P-256 key and a common name has some 200.
pub const MAX_REQUEST: usize = 512;
/// Longest certificate in bytes of DER; ours have some 500.
pub const MAX_CERTIFICATE: usize = 2_048;

/// A certificate request (PKCS #10) in DER.
pub type CertificateRequest = heapless::Vec<u8, MAX_REQUEST>;

/// Lets one terminal enrol once. 80 random bits, written as sixteen letters and digits that cannot be confused.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteCode(pub [u8; 10]);

/// Crockford's base 32: no I, L, O, U; small letters and those look-alikes are read as what they look like.
fn letters() -> Encoding {
    let mut letters = Specification::new();
    letters.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    letters.translate.from.push_str("abcdefghjkmnpqrstvwxyzoOiIlL");
    letters.translate.to.push_str("ABCDEFGHJKMNPQRSTVWXYZ001111");
    letters.ignore.push_str("- ");
    letters.encoding().expect("invariant: the specification is a constant, and a test uses it")
}

impl InviteCode {
    /// Reads what was typed; dashes and spaces are ignored.
    pub fn parse(text: &str) -> Option<Self> {
        letters().decode(text.trim().as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

/// As it is read out and typed: `7K3M-Q9ZX-…`.
impl fmt::Display for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = letters().encode(&self.0);
        let [a, b, c, d] = [0, 4, 8, 12].map(|at| &text[at..at + 4]);
        write!(f, "{a}-{b}-{c}-{d}")
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteCode(…)")
    }
}

/// What a terminal without a certificate says; signed with the key of its journal, which is registered with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Enrol {
    /// Its number.
    pub kiosk: KioskNumber,
    /// Ed25519 public key of its journal.
    pub journal_key: [u8; 32],
    /// The code that the center gave.
    pub code: InviteCode,
    /// Request for the certificate. Of it only the key is used.
    pub request: CertificateRequest,
}

impl Statement for Enrol {
    const CONTEXT: &'static str = "tolem enrol v1";
}

/// The question.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "one message at a time lives on the stack; no heap in this crate"
)]
pub enum Question {
    /// The first certificate. The same code with the same key again gets the same certificate.
    Enrol(Signed<Enrol>),
    /// The next certificate, for the terminal whose certificate this connection has shown; it may be past its end.
    Renew(CertificateRequest),
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "one message at a time lives on the stack; no heap in this crate"
)]
pub enum Answer {
    /// The certificate in DER.
    Issued(heapless::Vec<u8, MAX_CERTIFICATE>),
    /// None.
    Refused(Why),
}

impl Message for Question {
    fn version(&self) -> u8 {
        1
    }
}

impl Message for Answer {
    fn version(&self) -> u8 {
        1
    }
}

/// Why there is no certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Why {
    /// No code, or another one, was given for this terminal.
    WrongCode,
    /// The code is right and too old.
    CodeExpired,
    /// The code is right and was used, for another key.
    CodeUsed,
    /// The signature is not of the journal's key that the question names.
    Signature,
    /// The certificate request cannot be read.
    Request,
    /// A renewal without a certificate of a terminal.
    NoCertificate,
    /// The certificate shown is not the newest of this terminal: its key may be in other hands.
    Superseded,
    /// The terminal is not registered.
    Unknown,
    /// The center cannot sign certificates now.
    Unavailable,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongCode => "the center has given no such code for this terminal; a newer one replaces those before",
            Self::CodeExpired => "the code is too old; ask the center for a new one",
            Self::CodeUsed => "the code was used before, with another key; ask the center for a new one",
            Self::Signature => "the journal's key did not sign this",
            Self::Request => "the center cannot read the certificate request",
            Self::NoCertificate => "no certificate of a terminal was shown",
            Self::Superseded => "this terminal has got a newer certificate than the one it shows; the center must invite it again",
            Self::Unknown => "this terminal is not registered at the center",
            Self::Unavailable => "the center cannot sign certificates now; its log says why",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString};

    #[test]
    fn a_code_is_read_as_people_write_it() {
        let code = InviteCode(*b"\x00\x44\x32\x14\xC7\x42\x54\xB6\x35\xCF");
        assert_eq!(code.to_string(), "0123-4567-89AB-CDEF");
        for text in ["0123456789abcdef", " o123 4567-89AB-CDEF\n", "0l23-4567-89ab-cdef"] {
            assert_eq!(InviteCode::parse(text), Some(code), "{text:?}");
        }
        for text in ["", "0123-4567-89AB-CDE", "0123-4567-89AB-CDEFG", "0123-4567-89AB-CDEU", "«»"] {
            assert_eq!(InviteCode::parse(text), None, "{text:?}");
        }
        assert_eq!(format!("{code:?}"), "InviteCode(…)");
    }
}
