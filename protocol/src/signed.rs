//! Statements somebody signs: bytes, the context that keeps one kind from passing for another, and an Ed25519 signature.
//!
//! The bytes that were signed are kept and sent as they are; nobody re-encodes before verifying.

use core::{fmt, marker::PhantomData};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// An Ed25519 signature (RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl Serialize for Signature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (left, right) = self.0.split_at(32);
        let half = |bytes: &[u8]| -> [u8; 32] { bytes.try_into().expect("invariant: 64 = 32 + 32") };
        (half(left), half(right)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (left, right) = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&left);
        bytes[32..].copy_from_slice(&right);
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// A kind of statement. `CONTEXT` is signed in front of the bytes.
pub trait Statement: Serialize + DeserializeOwned {
    /// Names the kind and its version, e.g. `tolem quote v1`.
    const CONTEXT: &'static str;
}

/// Largest encoded statement in bytes. A claim slip carries one as a QR code.
pub const MAX_STATEMENT: usize = 768;

/// A signed statement of kind `T`: not to be believed before [`Signed::open`].
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Signed<T> {
    body: heapless::Vec<u8, MAX_STATEMENT>,
    signature: Signature,
    #[serde(skip)]
    kind: PhantomData<fn() -> T>,
}

/// Why a signed statement is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// The signature does not fit the key: forged, changed on the way, or another signer.
    Signature,
    /// Rightly signed, but not a statement this version can read.
    Unreadable,
}

impl<T: Statement> Signed<T> {
    /// Encodes `statement` and has it signed. Panics if it is longer than [`MAX_STATEMENT`]: its types bound it.
    pub fn new(statement: &T, sign: impl FnOnce(&[u8]) -> Signature) -> Self {
        let mut buffer = [0; MAX_STATEMENT];
        let used = postcard::to_slice(statement, &mut buffer).expect("invariant: statements are bounded");
        let body = heapless::Vec::from_slice(used).expect("invariant: it was in a buffer of this size");
        let signature = sign(&Self::message(&body));
        Self { body, signature, kind: PhantomData }
    }

    /// Reads the statement, if `verify(message, signature)` says that the right key signed it.
    pub fn open(&self, verify: impl FnOnce(&[u8], &Signature) -> bool) -> Result<T, OpenError> {
        if !verify(&Self::message(&self.body), &self.signature) {
            return Err(OpenError::Signature);
        }
        self.read_unverified().ok_or(OpenError::Unreadable)
    }

    /// Reads the statement *without* judging the signature: for our own journal, whose records are proven by its tree.
    pub fn read_unverified(&self) -> Option<T> {
        match postcard::take_from_bytes(&self.body) {
            Ok((statement, [])) => Some(statement),
            _ => None,
        }
    }

    /// SHA-256 of the signed bytes: names this very statement.
    pub fn digest(&self) -> [u8; 32] {
        use sha2::Digest;
        sha2::Sha256::digest(Self::message(&self.body)).into()
    }

    /// The compact form for QR codes: postcard of this value.
    pub fn to_bytes(&self) -> heapless::Vec<u8, { MAX_STATEMENT + 96 }> {
        let mut buffer = [0; MAX_STATEMENT + 96];
        let used = postcard::to_slice(self, &mut buffer).expect("invariant: statements are bounded");
        heapless::Vec::from_slice(used).expect("invariant: it was in a buffer of this size")
    }

    /// Reads the compact form; `None` unless it is exactly one signed statement.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((signed, [])) => Some(signed),
            _ => None,
        }
    }

    fn message(body: &[u8]) -> alloc::vec::Vec<u8> {
        [T::CONTEXT.as_bytes(), &[0], body].concat()
    }
}

impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self { body: self.body.clone(), signature: self.signature, kind: PhantomData }
    }
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body && self.signature == other.signature
    }
}

impl<T> Eq for Signed<T> {}

impl<T: Statement> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed[{}, {} bytes]", T::CONTEXT, self.body.len())
    }
}
