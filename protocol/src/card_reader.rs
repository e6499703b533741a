//! Frames and messages of motorised card readers that speak like OMRON's 3S4YR: `DLE STX text DLE ETX BCC`, each `DLE` in the text doubled.
//!
//! A command is acknowledged (`DLE ACK`), carried out when the terminal says `DLE ENQ`, and answered. A lost answer is asked for by another
//! `DLE ENQ`, which moves nothing: the last answer comes again. Source: OMRON "Data Transmission Specifications 3S4YR-MVFW(DL)-0 Series",
//! rev. A4 (1999).

mod answer;
mod describe;

pub use answer::{Answer, AnswerError, Place, ReaderError};
pub use describe::describe;

use crate::emv::apdu::Transport;
use alloc::vec::Vec;
use core::fmt;
use zeroize::{Zeroize, Zeroizing};

const DLE: u8 = 0x10;
const STX: u8 = 0x02;
const ETX: u8 = 0x03;

/// The longest text: a command for a chip in blocks has 363 bytes.
pub const MAX_TEXT: usize = 368;

/// The pairs that stand alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// Carry it out, or say the last answer again.
    Enquire,
    /// The command was understood.
    Acknowledge,
    /// The command was not understood.
    Refuse,
    /// Stop.
    End,
}

impl Control {
    /// Its bytes.
    pub const fn bytes(self) -> [u8; 2] {
        let second = match self {
            Self::Enquire => 0x05,
            Self::Acknowledge => 0x06,
            Self::Refuse => 0x15,
            Self::End => 0x04,
        };
        [DLE, second]
    }

    const fn from_second(byte: u8) -> Option<Self> {
        Some(match byte {
            0x05 => Self::Enquire,
            0x06 => Self::Acknowledge,
            0x15 => Self::Refuse,
            0x04 => Self::End,
            _ => return None,
        })
    }
}

/// A text with a good BCC. It may hold card data: no `Debug` of it, and it is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(heapless::Vec<u8, MAX_TEXT>);

impl Text {
    /// A text of these bytes; `None` if there are too many or none.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let text = heapless::Vec::from_slice(bytes).ok()?;
        (!text.is_empty()).then_some(Self(text))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The frame.
    pub fn frame(&self) -> Zeroizing<Vec<u8>> {
        let mut frame = Zeroizing::new(Vec::with_capacity(2 * self.0.len() + 5));
        frame.extend([DLE, STX]);
        for byte in &self.0 {
            if *byte == DLE {
                frame.push(DLE);
            }
            frame.push(*byte);
        }
        let bcc = self.0.iter().fold(ETX, |bcc, byte| bcc ^ byte);
        frame.extend([DLE, ETX, bcc]);
        frame
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

/// What came over the line.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "one at a time, on the stack")]
pub enum Decoded {
    /// A pair that stands alone.
    Control(Control),
    /// A text with a good BCC.
    Text(Text),
    /// A text that is too long, or whose BCC or stuffing is wrong.
    Bad,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Between { dle: bool },
    Text { dle: bool },
    Bcc,
}

/// Finds frames in a stream, in any split. Holds one text at most.
#[derive(Clone, Debug)]
pub struct Decoder {
    at: At,
    text: Text,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Between two frames.
    pub const fn new() -> Self {
        Self { at: At::Between { dle: false }, text: Text(heapless::Vec::new()) }
    }

    /// Forgets what has begun.
    pub fn clear(&mut self) {
        self.at = At::Between { dle: false };
        self.wipe();
    }

    fn wipe(&mut self) {
        self.text.0.as_mut_slice().zeroize();
        self.text.0.clear();
    }

    /// Whether a frame has begun.
    pub fn has_begun(&self) -> bool {
        self.at != At::Between { dle: false }
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
        match (self.at, byte) {
            (At::Between { dle: false } | At::Text { dle: false }, DLE) => {
                self.at = match self.at {
                    At::Between { .. } => At::Between { dle: true },
                    _ => At::Text { dle: true },
                };
                None
            }
            (At::Between { dle: false }, _) => None,
            // A frame that begins while one is open takes its place, on both sides.
            (At::Between { dle: true } | At::Text { dle: true }, STX) => {
                self.wipe();
                self.at = At::Text { dle: false };
                None
            }
            (At::Between { dle: true }, byte) => {
                self.at = At::Between { dle: byte == DLE };
                Control::from_second(byte).map(Decoded::Control)
            }
            (At::Text { dle: true }, ETX) => {
                self.at = At::Bcc;
                None
            }
            (At::Text { dle: true }, DLE) => self.keep(DLE),
            (At::Text { dle: true }, byte) => {
                self.clear();
                Some(match Control::from_second(byte) {
                    Some(Control::End) => Decoded::Control(Control::End),
                    _ => Decoded::Bad,
                })
            }
            (At::Text { dle: false }, byte) => self.keep(byte),
            (At::Bcc, bcc) => {
                let good = self.text.0.iter().fold(ETX, |sum, byte| sum ^ byte) == bcc;
                let text = self.text.clone();
                self.clear();
                Some(if good && !text.0.is_empty() { Decoded::Text(text) } else { Decoded::Bad })
            }
        }
    }

    fn keep(&mut self, byte: u8) -> Option<Decoded> {
        self.at = At::Text { dle: false };
        if self.text.0.push(byte).is_ok() {
            return None;
        }
        self.clear();
        Some(Decoded::Bad)
    }
}

/// What becomes of a card that is inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CardGoes {
    /// To the citizen.
    Out,
    /// Into the box.
    Captured,
    /// It stays.
    Held,
}

/// What the terminal says. No `Debug` of what goes to the chip.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// `00`, `01`, `02`: begin; what becomes of a card inside now, and when the power fails from now on.
    Reset(CardGoes, CardGoes),
    /// `10`: where is the card?
    Status,
    /// `:0`: let a card in.
    Permit,
    /// `:1`: let no card in.
    Deny,
    /// `30`: the card goes to the gate.
    Eject,
    /// `31`: the card goes into the box.
    Capture,
    /// `41`: the card at the gate goes into the box.
    Recapture,
    /// `Q0`: how many cards went into the box?
    Captured,
    /// `Q1`: the box was emptied.
    ForgetCaptured,
    /// `C0`: contacts down.
    Press,
    /// `C1`: contacts up.
    Release,
    /// `C2`: power for the chip.
    Activate,
    /// `C3`: no power for the chip.
    Deactivate,
    /// `F0`, `F1`: a command for the chip.
    Exchange(Transport, Zeroizing<Vec<u8>>),
    /// `S0`: do you hide numbers, and have you keys for it? Not in the specification: readers that encipher differ, this is a generic word.
    SealState,
    /// `S1`: the number of the card that was read, enciphered. Generic, too.
    SealCard,
}

impl Command {
    /// The two characters that the answer repeats.
    pub const fn code(&self) -> [u8; 2] {
        *match self {
            Self::Reset(CardGoes::Out, _) => b"00",
            Self::Reset(CardGoes::Captured, _) => b"01",
            Self::Reset(CardGoes::Held, _) => b"02",
            Self::Status => b"10",
            Self::Permit => b":0",
            Self::Deny => b":1",
            Self::Eject => b"30",
            Self::Capture => b"31",
            Self::Recapture => b"41",
            Self::Captured => b"Q0",
            Self::ForgetCaptured => b"Q1",
            Self::Press => b"C0",
            Self::Release => b"C1",
            Self::Activate => b"C2",
            Self::Deactivate => b"C3",
            Self::Exchange(Transport::T0, _) => b"F0",
            Self::Exchange(Transport::T1, _) => b"F1",
            Self::SealState => b"S0",
            Self::SealCard => b"S1",
        }
    }

    /// The motor turns.
    pub const fn moves(&self) -> bool {
        matches!(self, Self::Reset(..) | Self::Eject | Self::Capture | Self::Recapture)
    }

    /// The text; `None` if a command for the chip is too long.
    pub fn text(&self) -> Option<Text> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(8));
        bytes.push(b'C');
        bytes.extend(self.code());
        match self {
            Self::Reset(_, at_power_loss) => bytes.extend([
                b'0',
                match at_power_loss {
                    CardGoes::Held => b'A',
                    CardGoes::Out => b'B',
                    CardGoes::Captured => b'C',
                },
            ]),
            Self::Exchange(_, command) => bytes.extend_from_slice(command),
            _ => {}
        }
        Text::new(&bytes)
    }

    /// Reads a text.
    pub fn parse(text: &Text) -> Option<Self> {
        let [b'C', first, second, rest @ ..] = text.bytes() else { return None };
        let plain = match &[*first, *second] {
            b"F0" => return Some(Self::Exchange(Transport::T0, Zeroizing::new(rest.to_vec()))),
            b"F1" => return Some(Self::Exchange(Transport::T1, Zeroizing::new(rest.to_vec()))),
            b"00" => Self::Reset(CardGoes::Out, power_loss(rest)?),
            b"01" => Self::Reset(CardGoes::Captured, power_loss(rest)?),
            b"02" => Self::Reset(CardGoes::Held, power_loss(rest)?),
            _ if !rest.is_empty() => return None,
            b"10" => Self::Status,
            b":0" => Self::Permit,
            b":1" => Self::Deny,
            b"30" => Self::Eject,
            b"31" => Self::Capture,
            b"41" => Self::Recapture,
            b"Q0" => Self::Captured,
            b"Q1" => Self::ForgetCaptured,
            b"C0" => Self::Press,
            b"C1" => Self::Release,
            b"C2" => Self::Activate,
            b"C3" => Self::Deactivate,
            b"S0" => Self::SealState,
            b"S1" => Self::SealCard,
            _ => return None,
        };
        Some(plain)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset(now, later) => return write!(f, "Reset({now:?}, {later:?})"),
            Self::Exchange(transport, bytes) => {
                return write!(f, "Exchange({transport:?}, {} bytes)", bytes.len());
            }
            Self::Status => "Status",
            Self::Permit => "Permit",
            Self::Deny => "Deny",
            Self::Eject => "Eject",
            Self::Capture => "Capture",
            Self::Recapture => "Recapture",
            Self::Captured => "Captured",
            Self::ForgetCaptured => "ForgetCaptured",
            Self::Press => "Press",
            Self::Release => "Release",
            Self::Activate => "Activate",
            Self::Deactivate => "Deactivate",
            Self::SealState => "SealState",
            Self::SealCard => "SealCard",
        })
    }
}

/// Settings of a reset: both may be left out, then a card goes out when the power fails.
fn power_loss(settings: &[u8]) -> Option<CardGoes> {
    match settings {
        [] | [b'0' | b'2'..=b'9'] | [b'0' | b'2'..=b'9', b'B'] => Some(CardGoes::Out),
        [b'0' | b'2'..=b'9', b'A'] => Some(CardGoes::Held),
        [b'0' | b'2'..=b'9', b'C'] => Some(CardGoes::Captured),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
