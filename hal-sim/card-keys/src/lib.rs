//! Keys of the card world: what test cards, simulated PIN pads and the test issuer compute with them.
//!
//! A terminal never holds such a key: its PIN pad and its cards do, and its acquirer's security module. So this crate is linked by the
//! simulator and by the center's test issuer only, and a test checks that a terminal's image has no DES in its tree. The ciphers are the
//! RustCrypto ones; here is only what payment standards build from them. Nothing here is constant-time beyond what the ciphers are:
//! these are test keys.

pub mod dukpt_aes;
pub mod dukpt_tdes;
pub mod emv;
pub mod key_block;
pub mod pin_block;
pub mod sealed_number;
pub mod tdes;

pub use tdes::TdesKey;
