//! The two things the core cannot do itself: keep bytes durably, and use keys.

use std::fmt;
use tolem_protocol::{
    Iin, PaymentId,
    card::{CardSecret, SealedCard},
    merkle::Hash,
    messages::SealedIin,
    signed::Signature,
};

/// One durable step of the journal.
#[derive(Clone, Copy, Debug)]
pub struct Append<'a> {
    /// Position of the record.
    pub seq: u64,
    /// Its exact bytes.
    pub record: &'a [u8],
    /// Its leaf hash.
    pub leaf: Hash,
    /// Subtrees completed by it whose level is a positive multiple of 8: `(level, index, hash)`.
    pub nodes: &'a [(u8, u64, Hash)],
    /// The signed note over the tree with this record, after records that end a money step.
    pub checkpoint: Option<&'a str>,
    /// A signed summary of the journal up to and including this record, so that opening does not read it all.
    pub snapshot: Option<&'a [u8]>,
}

/// Why the store failed. After a failed write the process must not go on: what is on disk is unknown.
#[derive(Debug)]
pub struct StoreError(pub String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

/// Durable, append-only storage of the journal.
pub trait Store {
    /// Number of records.
    fn size(&self) -> Result<u64, StoreError>;
    /// Stores all parts of `step` in one transaction; returns only when they are durable.
    fn append(&mut self, step: &Append<'_>) -> Result<(), StoreError>;
    /// Reads records from `from` on, in order, until `each` returns false.
    fn records(&self, from: u64, each: &mut dyn FnMut(u64, &[u8]) -> bool) -> Result<(), StoreError>;
    /// Hash of the complete subtree `(level, index)`; level 0 or a multiple of 8.
    fn node(&self, level: u8, index: u64) -> Result<Hash, StoreError>;
    /// Hashes of `count` neighbouring complete subtrees from `(level, index)` on. Opening reads runs of them, which a store may do in
    /// one go.
    fn nodes(&self, level: u8, index: u64, count: u64) -> Result<Vec<Hash>, StoreError> {
        (index..index + count).map(|index| self.node(level, index)).collect()
    }
    /// The newest checkpoint note.
    fn checkpoint(&self) -> Result<Option<String>, StoreError>;
    /// The newest snapshot.
    fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Everything that needs a key. Randomness needed for sealing is the implementation's business.
pub trait Signer {
    /// Signs with the kiosk's Ed25519 key: deposits, checkpoints, snapshots.
    fn sign(&self, message: &[u8]) -> Signature;
    /// The public half of the kiosk's key.
    fn public_key(&self) -> [u8; 32];
    /// Whether this kiosk's key made `signature`.
    fn verify_own(&self, message: &[u8], signature: &Signature) -> bool;
    /// Whether the center's statement key made `signature`: quotes, outcomes, code tokens.
    fn verify_center(&self, message: &[u8], signature: &Signature) -> bool;
    /// Seals an IIN so that only the center can read it; bound to the payment (HPKE `aad` = the payment id's display form).
    fn seal_iin(&mut self, iin: &Iin, payment: &PaymentId) -> SealedIin;
    /// Seals a card so that only the center can read it; bound to the payment like an IIN.
    fn seal_card(&mut self, card: &CardSecret, payment: &PaymentId) -> SealedCard;
    /// Four bytes that nobody can foresee, for a chip (tag `9F37`).
    fn unpredictable(&mut self) -> [u8; 4];
    /// HMAC-SHA256 of the IIN under the site key, truncated to 16 bytes.
    fn tag_iin(&self, iin: &Iin) -> [u8; 16];
}
