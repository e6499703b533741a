//! Derived unique key per transaction with AES-128 (ANSI X9.24-3:2017).

use aes::{
    Aes128,
    cipher::{Array, BlockCipherEncrypt as _, KeyInit as _},
};

/// Key serial number: initial key id, then a counter of 32 bits.
pub type Ksn = [u8; 12];
/// A counter never has more ones than this.
const MOST_ONES: u32 = 16;

/// What a derived key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usage {
    /// Enciphers PIN blocks.
    Pin,
    /// Makes message authentication codes.
    MacGeneration,
    /// Enciphers data.
    DataEncryption,
    /// Derives further keys.
    Derivation,
    /// The key a device is loaded with.
    Initial,
}

impl Usage {
    const fn code(self) -> [u8; 2] {
        match self {
            Self::Pin => [0x10, 0x00],
            Self::MacGeneration => [0x20, 0x00],
            Self::DataEncryption => [0x30, 0x00],
            Self::Derivation => [0x80, 0x00],
            Self::Initial => [0x80, 0x01],
        }
    }
}

fn derive(key: &[u8; 16], usage: Usage, tail: [u8; 8]) -> [u8; 16] {
    let [high, low] = usage.code();
    // Version 1, first block, usage, AES-128, 128 bits.
    let head = [0x01, 0x01, high, low, 0x00, 0x02, 0x00, 0x80];
    let mut block =
        Array::from(std::array::from_fn::<u8, 16, _>(|n| if n < 8 { head[n] } else { tail[n - 8] }));
    Aes128::new(&Array::from(*key)).encrypt_block(&mut block);
    block.into()
}

/// The key a device is loaded with, from the base derivation key.
pub fn initial_key(base: &[u8; 16], id: [u8; 8]) -> [u8; 16] {
    derive(base, Usage::Initial, id)
}

/// A working key of one transaction.
pub fn working_key(initial: &[u8; 16], ksn: Ksn, usage: Usage) -> [u8; 16] {
    let [_, _, _, _, a, b, c, d, counter @ ..] = ksn;
    let tail = |counter: u32| {
        let [w, x, y, z] = counter.to_be_bytes();
        [a, b, c, d, w, x, y, z]
    };
    let target = u32::from_be_bytes(counter);
    let mut current = *initial;
    let mut reached = 0;
    for bit in (0..32).rev().map(|n| 1 << n).filter(|bit| target & bit != 0) {
        reached |= bit;
        current = derive(&current, Usage::Derivation, tail(reached));
    }
    derive(&current, usage, tail(target))
}

/// The next serial number whose counter has at most sixteen ones; `None` when the device is used up.
pub fn advance(ksn: Ksn) -> Option<Ksn> {
    let [id @ .., a, b, c, d] = ksn;
    let id: [u8; 8] = id;
    let next = u32::from_be_bytes([a, b, c, d]).checked_add(1)?;
    let next = (next..=u32::MAX).find(|counter| counter.count_ones() <= MOST_ONES)?.to_be_bytes();
    Some(std::array::from_fn(|n| if n < 8 { id[n] } else { next[n - 8] }))
}
