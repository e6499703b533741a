//! PIN pad frames and messages, as UIC's PP791 and its relatives speak them on a serial line.
//!
//! Payment messages are `STX text ETX LRC`, those for keys and maintenance `SI text SO LRC`; the LRC is the exclusive-or of everything
//! after the first byte, the last one included. ACK, NAK and EOT stand alone. The text is printable ASCII and a few separators, so
//! nothing is escaped. Nothing here can hold a PIN: the pad gives an enciphered block and the name of its key.
//! Source: "PIN Pad 791 Programmer's Manual" UDN PM0103-U rev. 06 (public as an exhibit).

mod answer;
mod describe;

pub use answer::{Answer, AnswerError, KeySerial, PinBlock, SelfTest};
pub use describe::describe;

use crate::{Amount, emv::CardNumber};
use alloc::vec::Vec;
use core::fmt;
use zeroize::{Zeroize, Zeroizing};

/// The other side understood.
pub const ACK: u8 = 0x06;
/// The other side saw a wrong LRC and wants it again.
pub const NAK: u8 = 0x15;
/// Over: cancelled, timed out, given up, or the end of a maintenance message.
pub const EOT: u8 = 0x04;
const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const SI: u8 = 0x0F;
const SO: u8 = 0x0E;
const FS: u8 = 0x1C;

/// The longest text of a message; the longest that the manual names has 266 (a packet for the MAC).
pub const MAX_TEXT: usize = 272;
/// Bytes of a message that one packet of a MAC takes; not the last ones are whole blocks.
pub const MAC_PACKET: usize = 112;

/// A message with a good LRC. It may hold a card number: no `Debug` of its text, and it is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// In `SI`...`SO`: keys and maintenance.
    pub admin: bool,
    text: heapless::Vec<u8, MAX_TEXT>,
}

impl Frame {
    /// A message of this text; `None` if it is too long or has bytes that no text has.
    pub fn new(admin: bool, text: &[u8]) -> Option<Self> {
        let fits = text.iter().all(|byte| is_text(*byte));
        let text = heapless::Vec::from_slice(text).ok()?;
        fits.then_some(Self { admin, text })
    }

    /// Its text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Its bytes on the line.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let (first, last) = if self.admin { (SI, SO) } else { (STX, ETX) };
        let lrc = self.text.iter().fold(last, |lrc, byte| lrc ^ byte);
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.text.len() + 3));
        bytes.push(first);
        bytes.extend_from_slice(&self.text);
        bytes.extend([last, lrc]);
        bytes
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({}, {} bytes)", if self.admin { "SI" } else { "STX" }, self.text.len())
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.text.as_mut_slice().zeroize();
    }
}

const fn is_text(byte: u8) -> bool {
    matches!(byte, 0x1A..=0x7E)
}

/// What came over the line.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "one at a time, on the stack")]
pub enum Decoded {
    /// [`ACK`].
    Ack,
    /// [`NAK`].
    Nak,
    /// [`EOT`].
    Eot,
    /// A message with a good LRC.
    Frame(Frame),
    /// A message that is too long, has a byte that no text has, or a wrong LRC.
    Bad,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Between,
    Text { admin: bool },
    Lrc { admin: bool },
}

/// Finds messages in a stream, in any split. Holds one message at most.
#[derive(Clone, Debug)]
pub struct Decoder {
    place: Place,
    frame: Frame,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Between two messages.
    pub const fn new() -> Self {
        Self { place: Place::Between, frame: Frame { admin: false, text: heapless::Vec::new() } }
    }

    /// Forgets what has begun.
    pub fn clear(&mut self) {
        self.place = Place::Between;
        self.frame.text.as_mut_slice().zeroize();
        self.frame.text.clear();
    }

    /// Whether a message has begun: if nothing more comes for a while, [`clear`](Self::clear) it.
    pub fn has_begun(&self) -> bool {
        self.place != Place::Between
    }

    /// Takes bytes from the front of `input` until something is found; `None` when all are used up.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Decoded> {
        while let [byte, rest @ ..] = *input {
            *input = rest;
            if let Some(found) = self.push(*byte) {
                return Some(found);
            }
        }
        None
    }

    fn push(&mut self, byte: u8) -> Option<Decoded> {
        match (self.place, byte) {
            (Place::Lrc { admin }, lrc) => {
                let last = if admin { SO } else { ETX };
                let good = self.frame.text.iter().fold(last, |lrc, byte| lrc ^ byte) == lrc;
                let frame = Frame { admin, text: self.frame.text.clone() };
                self.clear();
                Some(if good { Decoded::Frame(frame) } else { Decoded::Bad })
            }
            (_, STX | SI) => {
                let cut = self.has_begun();
                self.clear();
                self.place = Place::Text { admin: byte == SI };
                cut.then_some(Decoded::Bad)
            }
            (Place::Between, ACK) => Some(Decoded::Ack),
            (Place::Between, NAK) => Some(Decoded::Nak),
            (Place::Between, EOT) => Some(Decoded::Eot),
            (Place::Between, _) => None,
            (Place::Text { admin }, SO | ETX) if admin == (byte == SO) => {
                self.place = Place::Lrc { admin };
                None
            }
            (Place::Text { .. }, byte) if is_text(byte) && self.frame.text.push(byte).is_ok() => None,
            (Place::Text { .. }, _) => {
                self.clear();
                Some(Decoded::Bad)
            }
        }
    }
}

/// One of the keys for PIN, `0` to `9`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct KeySlot(u8);

impl KeySlot {
    /// Digits `0` to `9` are for PIN keys, letters `B` to `E` for MAC keys; no other place is loaded or used by a terminal.
    pub fn new(letter: u8) -> Option<Self> {
        matches!(letter, b'0'..=b'9' | b'B'..=b'E').then_some(Self(letter))
    }

    /// Its letter on the wire.
    pub const fn letter(self) -> u8 {
        self.0
    }
}

/// A working key enciphered under a key of the pad, 16 bytes. All zeros: the pad's own key is used as it is.
pub type SessionKey = [u8; 16];

/// What the terminal says.
pub enum Request<'a> {
    /// `72`: stop whatever runs.
    Cancel,
    /// `16`: how are you?
    SelfTest,
    /// `04`: is a key in this place?
    CheckKey(KeySlot),
    /// `08`: use this key for PINs from now on.
    SelectKey(KeySlot),
    /// `02`: load a key, wrapped as a key block.
    LoadKey(KeySlot, &'a str),
    /// `90`: load the first initial key of DUKPT, wrapped as a key block that names its serial number.
    LoadInitialKey(&'a str),
    /// `96`: use the first key set of DUKPT.
    FirstKeySet,
    /// `7A`: give serial numbers in full.
    FullKeySerial,
    /// `70`, DUKPT: take a PIN for this card. Without a number: for the card that is in the reader of the same secure unit; the manual has
    /// no such request, units that have it differ.
    Pin(Option<&'a CardNumber>, Amount),
    /// `70.`, master and session key: take a PIN in the same way, at most so many half minutes (1 to 9).
    PinUnderSession(Option<&'a CardNumber>, Amount, &'a SessionKey, u8),
    /// `Z66`: authenticate a message. Packet number, whether it is the last, key, at most [`MAC_PACKET`] bytes.
    Mac(u8, bool, KeySlot, &'a [u8]),
}

impl Request<'_> {
    /// The message; `None` if it cannot be said: an amount of more than 99 999.99, a key block or packet that is too long.
    pub fn frame(&self) -> Option<Frame> {
        let mut text = Zeroizing::new(Vec::with_capacity(64));
        let admin =
            matches!(self, Self::SelfTest | Self::CheckKey(_) | Self::SelectKey(_) | Self::LoadKey(..));
        match self {
            Self::Cancel => text.extend(b"72"),
            Self::SelfTest => text.extend(b"16"),
            Self::CheckKey(slot) => text.extend([b'0', b'4', slot.0]),
            Self::SelectKey(slot) => text.extend([b'0', b'8', slot.0]),
            Self::LoadKey(slot, block) => {
                text.extend([b'0', b'2', slot.0]);
                text.extend(block.bytes());
            }
            Self::LoadInitialKey(block) => {
                text.extend(b"90");
                text.extend(block.bytes());
            }
            Self::FirstKeySet => text.extend(b"960"),
            Self::FullKeySerial => text.extend(b"7A1"),
            Self::Pin(number, amount) => {
                text.extend(b"70");
                push_number(&mut text, *number);
                text.extend([FS, b'D']);
                push_amount(&mut text, *amount)?;
            }
            Self::PinUnderSession(number, amount, key, half_minutes) => {
                text.extend(b"70.");
                push_number(&mut text, *number);
                text.push(FS);
                push_hex(&mut text, *key);
                push_amount(&mut text, *amount)?;
                text.extend([FS, b'0' + half_minutes.clamp(&1, &9)]);
            }
            Self::Mac(number, last, slot, data) => {
                if data.is_empty() || data.len() > MAC_PACKET || *number > 99 {
                    return None;
                }
                text.extend(b"Z66");
                // Binary data as hexadecimal digits: the last packet, or one before it.
                text.push(if *last { b'2' } else { b'3' });
                text.extend([b'0' + number / 10, b'0' + number % 10, slot.0, FS]);
                push_hex(&mut text, &[0; 16]);
                text.extend([FS, FS]);
                push_hex(&mut text, data);
            }
        }
        Frame::new(admin, &text)
    }
}

fn push_number(text: &mut Vec<u8>, number: Option<&CardNumber>) {
    let digits = number.map(CardNumber::digits).unwrap_or_default();
    text.extend(digits.iter().map(|digit| digit + b'0'));
}

fn push_hex(text: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xF)]));
}

/// Whole units, a point, two digits: four to eight characters.
fn push_amount(text: &mut Vec<u8>, amount: Amount) -> Option<()> {
    let shown = alloc::format!("{}.{:02}", amount.tiyn() / 100, amount.tiyn() % 100);
    text.extend(shown.bytes());
    (shown.len() <= 8).then_some(())
}

#[cfg(test)]
mod tests;
