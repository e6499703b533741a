//! Triple DES with two or three keys: single blocks, CBC, retail MAC, check values.

use cmac::{Cmac, Mac as _};
use des::{
    Des, TdesEde2, TdesEde3,
    cipher::{Array, BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _},
};
use zeroize::Zeroizing;

/// One block.
pub type Block = [u8; 8];

/// A double- or triple-length key. Wiped when dropped, never shown.
#[derive(Clone)]
pub enum TdesKey {
    /// 16 bytes.
    Double(Zeroizing<[u8; 16]>),
    /// 24 bytes.
    Triple(Zeroizing<[u8; 24]>),
}

impl std::fmt::Debug for TdesKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TdesKey(…)")
    }
}

/// How data are filled to whole blocks (ISO/IEC 9797-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Padding {
    /// Method 1: zeros, only if needed.
    Zeros,
    /// Method 2: `80`, then zeros.
    Marked,
}

impl Padding {
    /// Fills `data` to whole blocks.
    pub fn apply(self, data: &[u8]) -> Vec<u8> {
        let mut padded = data.to_vec();
        if self == Self::Marked {
            padded.push(0x80);
        }
        padded.resize(padded.len().next_multiple_of(8), 0);
        padded
    }
}

impl TdesKey {
    /// A key of 16 or 24 bytes.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        match bytes.len() {
            16 => bytes.try_into().ok().map(|key| Self::Double(Zeroizing::new(key))),
            24 => bytes.try_into().ok().map(|key| Self::Triple(Zeroizing::new(key))),
            _ => None,
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Double(key) => key.as_slice(),
            Self::Triple(key) => key.as_slice(),
        }
    }

    /// Enciphers one block.
    pub fn encrypt(&self, block: Block) -> Block {
        let mut block = Array::from(block);
        match self {
            Self::Double(key) => TdesEde2::new(&Array::from(**key)).encrypt_block(&mut block),
            Self::Triple(key) => TdesEde3::new(&Array::from(**key)).encrypt_block(&mut block),
        }
        block.into()
    }

    /// Deciphers one block.
    pub fn decrypt(&self, block: Block) -> Block {
        let mut block = Array::from(block);
        match self {
            Self::Double(key) => TdesEde2::new(&Array::from(**key)).decrypt_block(&mut block),
            Self::Triple(key) => TdesEde3::new(&Array::from(**key)).decrypt_block(&mut block),
        }
        block.into()
    }

    /// CBC over whole blocks.
    pub fn encrypt_cbc(&self, mut chain: Block, data: &[u8]) -> Vec<u8> {
        let (blocks, rest) = data.as_chunks::<8>();
        assert!(rest.is_empty(), "whole blocks are enciphered");
        let each = blocks.iter().flat_map(|block| {
            chain = self.encrypt(xor(*block, chain));
            chain
        });
        each.collect()
    }

    /// CBC over whole blocks.
    pub fn decrypt_cbc(&self, mut chain: Block, data: &[u8]) -> Vec<u8> {
        let (blocks, rest) = data.as_chunks::<8>();
        assert!(rest.is_empty(), "whole blocks are deciphered");
        let each = blocks.iter().flat_map(|block| {
            let clear = xor(self.decrypt(*block), chain);
            chain = *block;
            clear
        });
        each.collect()
    }

    /// Retail MAC: ISO/IEC 9797-1 algorithm 3, single DES but for the last block. Double-length keys only.
    pub fn retail_mac(&self, padding: Padding, data: &[u8]) -> Block {
        let Self::Double(key) = self else { panic!("a retail MAC has a double-length key") };
        let (left, right) = key.split_at(8);
        let half = |half: &[u8]| Des::new(&Array::try_from(half).expect("invariant: half of 16 bytes"));
        let (left, right) = (half(left), half(right));
        let mut chain = [0; 8];
        for block in padding.apply(data).as_chunks::<8>().0 {
            let mut mixed = Array::from(xor(*block, chain));
            left.encrypt_block(&mut mixed);
            chain = mixed.into();
        }
        let mut last = Array::from(chain);
        right.decrypt_block(&mut last);
        left.encrypt_block(&mut last);
        last.into()
    }

    /// CMAC (NIST SP 800-38B).
    pub fn cmac(&self, data: &[u8]) -> Block {
        match self {
            Self::Double(key) => {
                let mut mac = Cmac::<TdesEde2>::new(&Array::from(**key));
                mac.update(data);
                mac.finalize().into_bytes().into()
            }
            Self::Triple(key) => {
                let mut mac = Cmac::<TdesEde3>::new(&Array::from(**key));
                mac.update(data);
                mac.finalize().into_bytes().into()
            }
        }
    }

    /// Check value: the first three bytes of an enciphered block of zeros.
    pub fn check_value(&self) -> [u8; 3] {
        let [a, b, c, ..] = self.encrypt([0; 8]);
        [a, b, c]
    }
}

/// Both blocks, bit by bit.
pub fn xor<const N: usize>(one: [u8; N], other: [u8; N]) -> [u8; N] {
    std::array::from_fn(|n| one[n] ^ other[n])
}

/// Sets the lowest bit of each byte so that its number of ones is odd, as DES keys have it.
pub fn odd_parity<const N: usize>(bytes: [u8; N]) -> [u8; N] {
    bytes.map(|byte| (byte & 0xFE) | u8::from((byte >> 1).count_ones().is_multiple_of(2)))
}
