//! What the pad answers.

use super::{FS, Frame};
use core::fmt;
use zeroize::Zeroize;

/// The serial number of a DUKPT key, 10 bytes, of which the last 21 bits count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeySerial(pub [u8; 10]);

impl KeySerial {
    /// Reads the hexadecimal digits of the pad, whose leading `F`s may be missing.
    fn parse(digits: &[u8]) -> Option<Self> {
        let missing = 20_usize.checked_sub(digits.len())?;
        let mut all = [b'F'; 20];
        all[missing..].copy_from_slice(digits);
        hex(&all).map(Self)
    }

    /// Which key of which device, without the counter.
    pub fn device(self) -> [u8; 10] {
        let mut bytes = self.0;
        bytes[7] &= 0xE0;
        (bytes[8], bytes[9]) = (0, 0);
        bytes
    }

    /// How many keys the device has used, 21 bits.
    pub fn counter(self) -> u32 {
        u32::from_be_bytes([0, self.0[7], self.0[8], self.0[9]]) & 0x1F_FFFF
    }
}

impl fmt::Debug for KeySerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

/// An enciphered PIN block, format 0 of ISO 9564-1. Neither shown nor kept: wiped when dropped.
#[derive(PartialEq, Eq)]
pub struct PinBlock([u8; 8]);

impl PinBlock {
    /// A block of these bytes.
    pub const fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for the message to the issuer.
    pub const fn bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Debug for PinBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinBlock(…)")
    }
}

impl Drop for PinBlock {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What the pad found about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SelfTest {
    /// Memory or program are damaged.
    pub broken: bool,
    /// Its keys are gone or damaged, as after an attack.
    pub keys_lost: bool,
}

/// Something else than the manual says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnswerError;

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer of this PIN pad")
    }
}

/// A message from the pad. A letter of refusal is the manual's error code.
#[derive(PartialEq, Eq, Debug)]
pub enum Answer {
    /// `71`, DUKPT.
    Pin(KeySerial, PinBlock),
    /// `71.`, master and session key.
    PinUnderSession(PinBlock),
    /// `71` and a letter.
    PinRefused(u8),
    /// `91`: the initial key was loaded, or not.
    InitialKey(Result<(), u8>),
    /// `02?`: the key was not loaded.
    KeyRefused(u8),
    /// `02` again: what was sent, to be confirmed.
    KeyEcho,
    /// `04`: a key is in the place.
    KeyPresent(bool),
    /// `08`: the key is used from now on, or not.
    KeySelected(Result<(), u8>),
    /// `16`.
    SelfTest(SelfTest),
    /// `Z670`: the code.
    Mac([u8; 8]),
    /// `Z671`: the next packet, please.
    MacContinues,
    /// `Z67` and another letter.
    MacRefused(u8),
}

impl Answer {
    /// Reads a message.
    pub fn parse(frame: &Frame) -> Result<Self, AnswerError> {
        let read = if frame.admin { Self::admin(frame.text()) } else { Self::payment(frame.text()) };
        read.ok_or(AnswerError)
    }

    fn admin(text: &[u8]) -> Option<Self> {
        let (id, rest) = text.split_first_chunk::<2>()?;
        Some(match (id, rest) {
            (b"16", tests) if (1..=3).contains(&tests.len()) => {
                let known = tests.iter().all(|test| matches!(test, b'0' | b'1' | b'2' | b'5'));
                let has = |test: u8| tests.contains(&test);
                known.then_some(Self::SelfTest(SelfTest {
                    broken: has(b'1') || has(b'2'),
                    keys_lost: has(b'5'),
                }))?
            }
            (b"04", [b'0', ..]) => Self::KeyPresent(false),
            (b"04", [b'F', ..]) => Self::KeyPresent(true),
            (b"08", [b'0']) => Self::KeySelected(Ok(())),
            (b"08", [letter]) => Self::KeySelected(Err(*letter)),
            (b"02", [b'?', letter]) => Self::KeyRefused(*letter),
            (b"02", [_, _, ..]) => Self::KeyEcho,
            _ => return None,
        })
    }

    fn payment(text: &[u8]) -> Option<Self> {
        if let [b'Z', b'6', b'7', rest @ ..] = text {
            return match rest {
                [b'0', code @ ..] => Some(Self::Mac(hex(code)?)),
                [b'1'] => Some(Self::MacContinues),
                [letter] => Some(Self::MacRefused(*letter)),
                _ => None,
            };
        }
        let (id, rest) = text.split_first_chunk::<2>()?;
        Some(match (id, rest) {
            (b"91", [b'0']) => Self::InitialKey(Ok(())),
            (b"91", [b'1']) => Self::InitialKey(Err(b'?')),
            (b"91", [b'1', letter]) => Self::InitialKey(Err(*letter)),
            (b"71", [letter]) => Self::PinRefused(*letter),
            // Function key flag, length, format, block.
            (b"71", [b'.', b'0', tens, ones, b'0', b'1', block @ ..]) => {
                let length = [*tens, *ones];
                matches!(&length, b"04" | b"05" | b"06" | b"07" | b"08" | b"09" | b"10" | b"11" | b"12")
                    .then_some(Self::PinUnderSession(PinBlock(hex(block)?)))?
            }
            (b"71", [b'0', rest @ ..]) => {
                let (serial, block) = rest.split_last_chunk::<16>()?;
                (serial.len() >= 10).then_some(Self::Pin(KeySerial::parse(serial)?, PinBlock(hex(block)?)))?
            }
            _ => return None,
        })
    }

    /// The message that says this, as the pad sends it. `KeyEcho` is what it repeats, so it is not made here.
    pub fn frame(&self) -> Option<Frame> {
        let mut text: heapless::Vec<u8, 48> = heapless::Vec::new();
        let mut push = |bytes: &[u8]| text.extend_from_slice(bytes).ok();
        match self {
            Self::Pin(serial, block) => {
                push(b"710")?;
                push(&digits(&serial.0))?;
                push(&digits(&block.0))?;
            }
            Self::PinUnderSession(block) => {
                push(b"71.00401")?;
                push(&digits(&block.0))?;
            }
            Self::PinRefused(letter) => push(&[b'7', b'1', *letter])?,
            Self::InitialKey(Ok(())) => push(b"910")?,
            Self::InitialKey(Err(letter)) => push(&[b'9', b'1', b'1', *letter])?,
            Self::KeyRefused(letter) => push(&[b'0', b'2', b'?', *letter])?,
            Self::KeyEcho => return None,
            Self::KeyPresent(true) => push(&[b'0', b'4', b'F', b'K', b'0', FS, b'D', FS, b'T'])?,
            Self::KeyPresent(false) => push(b"040")?,
            Self::KeySelected(Ok(())) => push(b"080")?,
            Self::KeySelected(Err(letter)) => push(&[b'0', b'8', *letter])?,
            Self::SelfTest(test) => {
                push(b"16")?;
                let tests: &[u8] = match (test.broken, test.keys_lost) {
                    (false, false) => b"0",
                    (true, false) => b"1",
                    (false, true) => b"5",
                    (true, true) => b"15",
                };
                push(tests)?;
            }
            Self::Mac(code) => {
                push(b"Z670")?;
                push(&digits(code))?;
            }
            Self::MacContinues => push(b"Z671")?,
            Self::MacRefused(letter) => push(&[b'Z', b'6', b'7', *letter])?,
        }
        let admin = matches!(
            self,
            Self::KeyRefused(_) | Self::KeyPresent(_) | Self::KeySelected(_) | Self::SelfTest(_)
        );
        Frame::new(admin, &text)
    }
}

fn digits(bytes: &[u8]) -> heapless::Vec<u8, 20> {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xF)]).collect()
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return None;
    }
    let digit = |letter: u8| match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'A'..=b'F' => Some(letter - b'A' + 10),
        _ => None,
    };
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}
