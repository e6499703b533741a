//! Key blocks of ANSI X9.143 (TR-31): a key wrapped with what it may be used for. Versions B (TDES) and D (AES).

use crate::tdes::TdesKey;
use aes::{
    Aes128, Aes256,
    cipher::{Array, BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _},
};
use cmac::{Cmac, Mac as _};
use data_encoding::HEXUPPER;
use std::fmt;
use zeroize::Zeroizing;

/// The key that wraps others.
pub enum WrappingKey {
    /// For version B.
    Tdes(TdesKey),
    /// For version D, 128 bits.
    Aes128(Zeroizing<[u8; 16]>),
    /// For version D, 256 bits.
    Aes256(Zeroizing<[u8; 32]>),
}

/// What is in a block. The key is wiped when dropped.
pub struct Unwrapped {
    /// Two letters, e.g. `P0` PIN encryption, `B1` DUKPT initial key, `K0` key encryption, `M3` MAC.
    pub usage: [u8; 2],
    /// `T` or `A`.
    pub algorithm: u8,
    /// Optional blocks by their two letters, e.g. `KS`, `IK`.
    pub options: Vec<([u8; 2], String)>,
    /// The key.
    pub key: Zeroizing<Vec<u8>>,
}

/// Why a block does not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyBlockError {
    /// Not letters and digits, or too short, or its length field disagrees.
    Form,
    /// A version other than B and D, or not that of the wrapping key.
    Version(u8),
    /// Its MAC does not fit: edited, or wrapped by another key.
    Mac,
    /// The key inside has an impossible length.
    KeyLength,
}

impl fmt::Display for KeyBlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("not a key block"),
            Self::Version(version) => {
                write!(f, "key block version {} is not for this key", char::from(*version))
            }
            Self::Mac => f.write_str("the key block was edited or belongs to another wrapping key"),
            Self::KeyLength => f.write_str("the key in the block has an impossible length"),
        }
    }
}

const HEADER: usize = 16;

impl WrappingKey {
    fn version(&self) -> u8 {
        match self {
            Self::Tdes(_) => b'B',
            Self::Aes128(_) | Self::Aes256(_) => b'D',
        }
    }

    fn block(&self) -> usize {
        if self.version() == b'B' { 8 } else { 16 }
    }

    fn cmac(&self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Tdes(key) => key.cmac(data).to_vec(),
            Self::Aes128(key) => {
                let mut mac = Cmac::<Aes128>::new(&Array::from(**key));
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }
            Self::Aes256(key) => {
                let mut mac = Cmac::<Aes256>::new(&Array::from(**key));
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }
        }
    }

    /// A key for enciphering (`usage` 0) or authenticating (1), derived from this one.
    fn derive(&self, usage: u8) -> Self {
        let (algorithm, bits, blocks): (u8, u16, u8) = match self {
            Self::Tdes(TdesKey::Double(_)) => (0, 128, 2),
            Self::Tdes(TdesKey::Triple(_)) => (1, 192, 3),
            Self::Aes128(_) => (2, 128, 1),
            Self::Aes256(_) => (4, 256, 2),
        };
        let [high, low] = bits.to_be_bytes();
        let derived: Zeroizing<Vec<u8>> = Zeroizing::new(
            (1..=blocks).flat_map(|n| self.cmac(&[n, 0, usage, 0, 0, algorithm, high, low])).collect(),
        );
        let exact = "invariant: as many bytes as the key has";
        match self {
            Self::Tdes(_) => Self::Tdes(TdesKey::new(&derived).expect(exact)),
            Self::Aes128(_) => Self::Aes128(Zeroizing::new(derived.as_slice().try_into().expect(exact))),
            Self::Aes256(_) => Self::Aes256(Zeroizing::new(derived.as_slice().try_into().expect(exact))),
        }
    }

    fn decrypt(&self, chain: &[u8], data: &[u8]) -> Zeroizing<Vec<u8>> {
        let aes = |decrypt: &dyn Fn(&mut [u8; 16])| {
            let mut chain = chain.to_vec();
            let mut clear = Zeroizing::new(Vec::new());
            for block in data.as_chunks::<16>().0 {
                let mut work = *block;
                decrypt(&mut work);
                clear.extend(work.iter().zip(&chain).map(|(a, b)| a ^ b));
                chain = block.to_vec();
            }
            clear
        };
        match self {
            Self::Tdes(key) => {
                let chain = chain.try_into().expect("invariant: one block of MAC");
                Zeroizing::new(key.decrypt_cbc(chain, data))
            }
            Self::Aes128(key) => {
                let cipher = Aes128::new(&Array::from(**key));
                aes(&|block| in_place(block, |array| cipher.decrypt_block(array)))
            }
            Self::Aes256(key) => {
                let cipher = Aes256::new(&Array::from(**key));
                aes(&|block| in_place(block, |array| cipher.decrypt_block(array)))
            }
        }
    }

    fn encrypt(&self, chain: &[u8], data: &[u8]) -> Vec<u8> {
        let aes = |encrypt: &dyn Fn(&mut [u8; 16])| {
            let mut chain: [u8; 16] = chain.try_into().expect("invariant: one block of MAC");
            let mut secret = Vec::new();
            for block in data.as_chunks::<16>().0 {
                chain = crate::tdes::xor(*block, chain);
                encrypt(&mut chain);
                secret.extend(chain);
            }
            secret
        };
        match self {
            Self::Tdes(key) => key.encrypt_cbc(chain.try_into().expect("invariant: one block of MAC"), data),
            Self::Aes128(key) => {
                let cipher = Aes128::new(&Array::from(**key));
                aes(&|block| in_place(block, |array| cipher.encrypt_block(array)))
            }
            Self::Aes256(key) => {
                let cipher = Aes256::new(&Array::from(**key));
                aes(&|block| in_place(block, |array| cipher.encrypt_block(array)))
            }
        }
    }

    /// Wraps `key`. `head` is usage, algorithm, mode, version and exportability: `P0TE00N` for a PIN key. `random` fills the block.
    pub fn wrap(&self, head: &[u8; 7], key: &[u8], random: impl Fn(usize) -> u8) -> String {
        self.wrap_with(head, &[], key, random)
    }

    /// The same with optional blocks: two letters and a value each, e.g. `KS` and the serial number of a DUKPT key.
    ///
    /// # Panics
    /// If they do not fill whole blocks of the cipher: padding is the caller's.
    pub fn wrap_with(
        &self,
        head: &[u8; 7],
        options: &[([u8; 2], &str)],
        key: &[u8],
        random: impl Fn(usize) -> u8,
    ) -> String {
        let mut optional = String::new();
        for (name, value) in options {
            optional.extend(name.iter().copied().map(char::from));
            optional.push_str(&format!("{:02X}{value}", value.len() + 4));
        }
        assert!(optional.len().is_multiple_of(self.block()), "optional blocks fill whole blocks");
        let bits = u16::try_from(key.len() * 8).expect("invariant: keys are short");
        let mut clear = Zeroizing::new(bits.to_be_bytes().to_vec());
        clear.extend_from_slice(key);
        while !clear.len().is_multiple_of(self.block()) {
            let fill = random(clear.len());
            clear.push(fill);
        }
        let total = HEADER + optional.len() + 2 * (clear.len() + self.block());
        let text = std::str::from_utf8(head).expect("invariant: letters");
        let version = char::from(self.version());
        let header = format!("{version}{total:04}{text}{:02}00{optional}", options.len());
        let mac = self.derive(1).cmac(&[header.as_bytes(), &clear].concat());
        let secret = self.derive(0).encrypt(&mac, &clear);
        format!("{header}{}{}", HEXUPPER.encode(&secret), HEXUPPER.encode(&mac))
    }

    /// Opens a block.
    pub fn unwrap(&self, block: &str) -> Result<Unwrapped, KeyBlockError> {
        let bytes = block.as_bytes();
        if bytes.len() < HEADER || !bytes.iter().all(u8::is_ascii_graphic) {
            return Err(KeyBlockError::Form);
        }
        if bytes[0] != self.version() {
            return Err(KeyBlockError::Version(bytes[0]));
        }
        let number =
            |range: std::ops::Range<usize>| block.get(range).and_then(|text| text.parse::<usize>().ok());
        if number(1..5) != Some(bytes.len()) {
            return Err(KeyBlockError::Form);
        }
        let (options, body) = options(block, number(12..14).ok_or(KeyBlockError::Form)?)?;
        let mac_at =
            bytes.len().checked_sub(2 * self.block()).filter(|at| *at > body).ok_or(KeyBlockError::Form)?;
        let hex = |text: &str| HEXUPPER.decode(text.as_bytes()).map_err(|_| KeyBlockError::Form);
        let (secret, mac) = (hex(&block[body..mac_at])?, hex(&block[mac_at..])?);
        if !secret.len().is_multiple_of(self.block()) {
            return Err(KeyBlockError::Form);
        }
        let clear = self.derive(0).decrypt(&mac, &secret);
        if self.derive(1).cmac(&[&bytes[..body], &clear].concat()) != mac {
            return Err(KeyBlockError::Mac);
        }
        let (length, rest) = clear.split_first_chunk::<2>().ok_or(KeyBlockError::KeyLength)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let key = rest.get(..length / 8).filter(|_| length.is_multiple_of(8) && length > 0);
        let key = Zeroizing::new(key.ok_or(KeyBlockError::KeyLength)?.to_vec());
        Ok(Unwrapped { usage: [bytes[5], bytes[6]], algorithm: bytes[7], options, key })
    }
}

fn in_place<S: des::cipher::array::ArraySize>(block: &mut [u8; 16], work: impl Fn(&mut Array<u8, S>))
where
    Array<u8, S>: From<[u8; 16]> + Into<[u8; 16]>,
{
    let mut array = Array::<u8, S>::from(*block);
    work(&mut array);
    *block = array.into();
}

type Options = Vec<([u8; 2], String)>;

/// The optional blocks, and where the key begins.
fn options(block: &str, count: usize) -> Result<(Options, usize), KeyBlockError> {
    let mut at = HEADER;
    let mut found = Vec::new();
    for _ in 0..count {
        let head = block.get(at..at + 4).ok_or(KeyBlockError::Form)?;
        let length = usize::from_str_radix(&head[2..], 16).ok().filter(|length| *length >= 4);
        let end = at + length.ok_or(KeyBlockError::Form)?;
        let value = block.get(at + 4..end).ok_or(KeyBlockError::Form)?;
        let name = head.as_bytes();
        found.push(([name[0], name[1]], value.to_owned()));
        at = end;
    }
    Ok((found, at))
}
