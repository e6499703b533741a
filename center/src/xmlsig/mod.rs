//! XML signatures, by one narrow profile: what is signed is what is read, or the message is refused with a named reason.
//!
//! Two shapes and no others: *messages* are SOAP 1.1 envelopes whose Body and Timestamp are signed as WS-Security 1.0 asks
//! (X.509 token profile), *documents* carry an enveloped signature. Exclusive C14N without comments, SHA-256, RSA (2048 bits
//! and more) or ECDSA over P-256, one certificate, a chain to the root of the authority with revocation lists that are in time.
//!
//! It refuses by design: document types and entities, processing instructions, ds:Object, manifests, XPath and XSLT, references
//! to anything but an element of this document, keys that are not in a certificate, more than one signature.
//!
//! **`verify` returns the canonical bytes it has verified, and callers read only those.** So it does not matter what stands
//! elsewhere in the message: an attacker can move the signed element about, but not make anybody read another one.

pub mod c14n;
mod document;
pub mod sign;
pub mod suite;
pub mod trust;
pub mod verify;

pub use suite::{KeyFile, Signer, Suite};
pub use trust::Trust;

use std::fmt;

/// Most bytes of a message or document.
pub const MOST_BYTES: usize = 64 * 1024;
/// Most nodes of a message or document.
pub const MOST_NODES: u32 = 5_000;
/// Elements may be nested this deep.
pub const MOST_DEPTH: usize = 64;
/// A message is taken this long before and after the moment it says it was made, in seconds.
pub const FRESH_S: i64 = 300;

/// Namespaces of the profile.
pub mod ns {
    /// XML signatures.
    pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
    /// Exclusive C14N, as algorithm and as namespace.
    pub const EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
    /// The enveloped-signature transform.
    pub const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
    /// SOAP 1.1 envelopes.
    pub const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
    /// WS-Security.
    pub const WSSE: &str =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
    /// WS-Security utilities.
    pub const WSU: &str =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
    /// Base64 in a security token.
    pub const BASE64: &str =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";
    /// One X.509 certificate in a security token.
    pub const X509: &str =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal),* $(,)?) => {
        /// Why a message or document is refused.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Reason { $($(#[$doc])* $name),* }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable word for logs and faults.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }
    };
}

reasons! {
    /// More than [`MOST_BYTES`].
    TooLarge = "too-large",
    /// Not UTF-8, or declares to be something else.
    NotUtf8 = "not-utf-8",
    /// A document type: the door to entities.
    Dtd = "document-type",
    /// Not well-formed.
    NotXml = "not-xml",
    /// More than [`MOST_NODES`].
    TooManyNodes = "too-many-nodes",
    /// Deeper than [`MOST_DEPTH`].
    TooDeep = "too-deep",
    /// A processing instruction.
    ProcessingInstruction = "processing-instruction",
    /// Not the one layout of a message that is taken.
    Layout = "layout",
    /// No signature at its place.
    NoSignature = "no-signature",
    /// More than one signature.
    ManySignatures = "many-signatures",
    /// The signature has a part it may not have, or lacks one.
    SignatureLayout = "signature-layout",
    /// An algorithm that is not on the list.
    Algorithm = "algorithm",
    /// Not exactly one certificate where it belongs.
    KeyInfo = "key-info",
    /// The certificate cannot be read.
    Certificate = "certificate",
    /// A reference to something else than an element of this document.
    Reference = "reference",
    /// An id that no element or more than one element has.
    AmbiguousId = "ambiguous-id",
    /// Body, Timestamp or root is not what was signed.
    NotCovered = "not-covered",
    /// The signature was not made with the key of the certificate.
    BadSignature = "bad-signature",
    /// A signed part was changed.
    BadDigest = "bad-digest",
    /// RSA of fewer than 2048 bits.
    WeakKey = "weak-key",
    /// The key is not one for this algorithm.
    WrongKey = "wrong-key",
    /// No chain to the root.
    Untrusted = "untrusted-issuer",
    /// The certificate or its issuer is revoked.
    Revoked = "revoked",
    /// The revocation list is out of date.
    CrlStale = "revocation-list-stale",
    /// The revocation list is not signed by the issuer.
    CrlForged = "revocation-list-forged",
    /// No revocation list of this issuer is at hand.
    CrlMissing = "revocation-list-missing",
    /// Outside the certificate's time.
    CertificateTime = "certificate-time",
    /// The certificate is not meant for signatures.
    NotForSigning = "not-for-signing",
    /// The Timestamp is too old, in the future, or past its end.
    NotFresh = "not-fresh",
}

/// A refusal: the reason, and what exactly was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// What was found, for a person.
    pub detail: String,
}

impl Refused {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.word(), self.detail)
    }
}

impl std::error::Error for Refused {}

/// Result of reading something that others wrote.
pub type Result<T, E = Refused> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
