//! PIN blocks of ISO 9564-1: formats 0 and 3 (one DES block, bound to the card number) and 4 (AES, two passes).

use crate::tdes::xor;
use aes::{
    Aes128,
    cipher::{Array, BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _},
};
use tolem_protocol::emv::CardNumber;
use zeroize::Zeroizing;

/// A PIN in the clear: digits as values. It exists in PIN pads and security modules only; never shown, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pin(…)")
    }
}

/// Why a block does not open to a PIN. Mostly: another card number, or another key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PinBlockError {
    /// Another format's block.
    Format(u8),
    /// A length outside 4 to 12.
    Length(u8),
    /// A digit above 9 in the PIN.
    Digit,
    /// The filling is not what it must be.
    Filling,
}

impl Pin {
    /// Four to twelve ASCII digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().map(|letter| letter.is_ascii_digit().then(|| letter - b'0'));
        let digits = Zeroizing::new(digits.collect::<Option<Vec<u8>>>()?);
        (4..=12).contains(&digits.len()).then_some(Self(digits))
    }

    /// `control | length | digits | filler` as 16 nibbles packed.
    fn field(&self, control: u8, filler: impl Fn(usize) -> u8) -> [u8; 8] {
        let nibble = |n: usize| match n {
            0 => control,
            1 => u8::try_from(self.0.len()).expect("invariant: at most 12"),
            n => self.0.get(n - 2).copied().unwrap_or_else(|| filler(n)),
        };
        std::array::from_fn(|n| nibble(2 * n) << 4 | nibble(2 * n + 1))
    }

    fn from_field(field: [u8; 8], control: u8, filler: impl Fn(u8) -> bool) -> Result<Self, PinBlockError> {
        let nibbles: Zeroizing<Vec<u8>> =
            Zeroizing::new(field.iter().flat_map(|byte| [byte >> 4, byte & 0xF]).collect());
        if nibbles[0] != control {
            return Err(PinBlockError::Format(nibbles[0]));
        }
        let length = nibbles[1];
        if !(4..=12).contains(&length) {
            return Err(PinBlockError::Length(length));
        }
        let (digits, rest) = nibbles[2..].split_at(usize::from(length));
        if digits.iter().any(|digit| *digit > 9) {
            return Err(PinBlockError::Digit);
        }
        if !rest.iter().all(|nibble| filler(*nibble)) {
            return Err(PinBlockError::Filling);
        }
        Ok(Self(Zeroizing::new(digits.to_vec())))
    }
}

/// `0000` and the twelve rightmost digits before the check digit.
fn number_part(number: &CardNumber) -> [u8; 8] {
    let digits = number.digits();
    let body = &digits[..digits.len() - 1];
    let nibble = |n: usize| (n + body.len()).checked_sub(16).map_or(0, |at| if n < 4 { 0 } else { body[at] });
    std::array::from_fn(|n| nibble(2 * n) << 4 | nibble(2 * n + 1))
}

/// Clear block of format 0.
pub fn format_0(pin: &Pin, number: &CardNumber) -> [u8; 8] {
    xor(pin.field(0, |_| 0xF), number_part(number))
}

/// Opens a clear block of format 0.
pub fn open_format_0(block: [u8; 8], number: &CardNumber) -> Result<Pin, PinBlockError> {
    Pin::from_field(xor(block, number_part(number)), 0, |nibble| nibble == 0xF)
}

/// Clear block of format 3; `random` fills what the PIN leaves free.
pub fn format_3(pin: &Pin, number: &CardNumber, random: [u8; 16]) -> [u8; 8] {
    xor(pin.field(3, |n| 10 + random[n] % 6), number_part(number))
}

/// Opens a clear block of format 3.
pub fn open_format_3(block: [u8; 8], number: &CardNumber) -> Result<Pin, PinBlockError> {
    Pin::from_field(xor(block, number_part(number)), 3, |nibble| nibble > 9)
}

/// Card number field of format 4: length above 12, digits, zeros.
fn number_field(number: &CardNumber) -> [u8; 16] {
    let digits = number.digits();
    let padded: Vec<u8> =
        std::iter::repeat_n(0, 12_usize.saturating_sub(digits.len())).chain(digits.iter().copied()).collect();
    let nibble = |n: usize| match n {
        0 => u8::try_from(padded.len() - 12).expect("invariant: at most 19 digits"),
        n => padded.get(n - 1).copied().unwrap_or(0),
    };
    std::array::from_fn(|n| nibble(2 * n) << 4 | nibble(2 * n + 1))
}

/// Enciphered block of format 4.
pub fn encrypt_format_4(pin: &Pin, number: &CardNumber, random: [u8; 8], key: &[u8; 16]) -> [u8; 16] {
    let cipher = Aes128::new(&Array::from(*key));
    let mut clear = Zeroizing::new([0; 16]);
    clear[..8].copy_from_slice(&pin.field(4, |_| 0xA));
    clear[8..].copy_from_slice(&random);
    let mut block = Array::from(*clear);
    cipher.encrypt_block(&mut block);
    block = Array::from(xor(block.into(), number_field(number)));
    cipher.encrypt_block(&mut block);
    block.into()
}

/// Opens an enciphered block of format 4.
pub fn decrypt_format_4(block: [u8; 16], number: &CardNumber, key: &[u8; 16]) -> Result<Pin, PinBlockError> {
    let cipher = Aes128::new(&Array::from(*key));
    let mut block = Array::from(block);
    cipher.decrypt_block(&mut block);
    block = Array::from(xor(block.into(), number_field(number)));
    cipher.decrypt_block(&mut block);
    let field = Zeroizing::new(<[u8; 16]>::from(block));
    let (field, _random) = field.split_first_chunk::<8>().expect("invariant: 16 bytes");
    Pin::from_field(*field, 4, |nibble| nibble == 0xA)
}
