//! CCNET frames: the serial protocol of CashCode bill validators, both directions.
//!
//! A frame is `02 ADR LNG payload CRClo CRChi`; LNG counts the whole frame and the checksum is CRC-16/KERMIT over all bytes before
//! it (CCNET 2.6.0, "Message format"). Payload bytes are not escaped, so a receiver goes by length and looks for the next
//! `02` only after a length or checksum that cannot be. Driver and simulator both use this module; it knows
//! layouts only, no timing and no order of commands. Long frames (LNG 0, firmware download) are refused: they are noise here.

mod describe;
mod frame;

pub use crate::wire::Direction;
use core::fmt;
pub use describe::describe;
use frame::encode_own;
pub use frame::{
    ADDRESS, Decoded, Decoder, Frame, FrameBytes, MAX_FRAME, MAX_PAYLOAD, MIN_FRAME, Payload, SYNC, crc16,
    encode,
};

/// Number of bill types in a table.
pub const BILL_TYPES: usize = 24;

/// A set of bill types. On the wire: three bytes, types 23..16 first, lowest bit = lowest type.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct TypeMask(u32);

impl TypeMask {
    /// No type.
    pub const NONE: Self = Self(0);

    /// Bit n = bill type n; bits above 23 are dropped.
    pub const fn new(bits: u32) -> Self {
        Self(bits & 0x00FF_FFFF)
    }

    /// Bit n = bill type n.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether bill type `index` is in the set.
    pub const fn contains(self, index: u8) -> bool {
        index < 24 && self.0 >> index & 1 == 1
    }

    /// The three bytes.
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, high, middle, low] = self.0.to_be_bytes();
        [high, middle, low]
    }

    /// From the three bytes.
    pub const fn from_bytes([high, middle, low]: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, high, middle, low]))
    }
}

impl fmt::Debug for TypeMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06x}", self.0)
    }
}

/// Why a payload is not what was expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParseError {
    /// Its length does not fit: cut, or the answer to something else.
    Length(usize),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "a payload of {length} bytes does not fit here"),
        }
    }
}

impl core::error::Error for ParseError {}

/// Confirmation, both directions.
pub const ACK: u8 = 0x00;
/// Bad checksum seen, both directions.
pub const NAK: u8 = 0xFF;
/// The device does not know the command, or not in this state. (The same byte is RESET from the host.)
pub const ILLEGAL: u8 = 0x30;

/// What the host sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Confirms a data reply.
    Ack,
    /// The data reply had a bad checksum.
    Nak,
    /// Start over: aborts everything, returns a note in escrow, disables.
    Reset,
    /// Which types are enabled?
    GetStatus,
    /// Types to be checked more strictly.
    SetSecurity(TypeMask),
    /// What is going on?
    Poll,
    /// Types to accept, and which of them stop in escrow.
    EnableBillTypes {
        /// Types to accept; none disables.
        accept: TypeMask,
        /// Types that stop in escrow; others go straight into the cassette.
        escrow: TypeMask,
    },
    /// Note in escrow to the cassette.
    Stack,
    /// Note in escrow back to the citizen.
    Return,
    /// Part and serial number.
    Identification,
    /// Ten more seconds in escrow.
    Hold,
    /// Which notes do the types mean?
    GetBillTable,
    /// How many notes were stacked in its life?
    StackedCounter,
    /// Any other code; its data is left out.
    Other(u8),
}

impl Command {
    /// The code byte.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ack => ACK,
            Self::Nak => NAK,
            Self::Reset => 0x30,
            Self::GetStatus => 0x31,
            Self::SetSecurity(_) => 0x32,
            Self::Poll => 0x33,
            Self::EnableBillTypes { .. } => 0x34,
            Self::Stack => 0x35,
            Self::Return => 0x36,
            Self::Identification => 0x37,
            Self::Hold => 0x38,
            Self::GetBillTable => 0x41,
            Self::StackedCounter => 0x5B,
            Self::Other(code) => code,
        }
    }

    /// The whole frame for the bill validator.
    pub fn frame(self) -> FrameBytes {
        let [a1, a2, a3, e1, e2, e3];
        match self {
            Self::SetSecurity(mask) => {
                [a1, a2, a3] = mask.to_bytes();
                encode_own(&[self.code(), a1, a2, a3])
            }
            Self::EnableBillTypes { accept, escrow } => {
                [a1, a2, a3] = accept.to_bytes();
                [e1, e2, e3] = escrow.to_bytes();
                encode_own(&[self.code(), a1, a2, a3, e1, e2, e3])
            }
            _ => encode_own(&[self.code()]),
        }
    }

    /// Reads the payload of a host frame.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let bare =
            |command| if payload.len() == 1 { Ok(command) } else { Err(ParseError::Length(payload.len())) };
        match *payload {
            [] => Err(ParseError::Length(0)),
            [ACK, ..] => bare(Self::Ack),
            [NAK, ..] => bare(Self::Nak),
            [0x30, ..] => bare(Self::Reset),
            [0x31, ..] => bare(Self::GetStatus),
            [0x32, y1, y2, y3] => Ok(Self::SetSecurity(TypeMask::from_bytes([y1, y2, y3]))),
            [0x33, ..] => bare(Self::Poll),
            [0x34, a1, a2, a3, e1, e2, e3] => Ok(Self::EnableBillTypes {
                accept: TypeMask::from_bytes([a1, a2, a3]),
                escrow: TypeMask::from_bytes([e1, e2, e3]),
            }),
            [0x32 | 0x34, ..] => Err(ParseError::Length(payload.len())),
            [0x35, ..] => bare(Self::Stack),
            [0x36, ..] => bare(Self::Return),
            [0x37, ..] => bare(Self::Identification),
            [0x38, ..] => bare(Self::Hold),
            [0x41, ..] => bare(Self::GetBillTable),
            [0x5B, ..] => bare(Self::StackedCounter),
            [code, ..] => Ok(Self::Other(code)),
        }
    }
}

/// What the device answers, by its form. A one-byte poll answer is never 00, 30 or FF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// Done.
    Ack,
    /// Bad checksum seen.
    Nak,
    /// Unknown command, or not in this state.
    Illegal,
    /// The payload asked for; to be confirmed by the host.
    Data(&'a [u8]),
}

impl<'a> Reply<'a> {
    /// Reads the payload of a device frame.
    pub const fn parse(payload: &'a [u8]) -> Self {
        match payload {
            [ACK] => Self::Ack,
            [NAK] => Self::Nak,
            [ILLEGAL] => Self::Illegal,
            data => Self::Data(data),
        }
    }

    /// The whole frame of the bill validator; `None` if the data is empty or too long.
    pub fn frame(self) -> Option<FrameBytes> {
        match self {
            Self::Ack => encode(ADDRESS, &[ACK]),
            Self::Nak => encode(ADDRESS, &[NAK]),
            Self::Illegal => encode(ADDRESS, &[ILLEGAL]),
            Self::Data(data) => encode(ADDRESS, data),
        }
    }
}

/// A closed set of device codes with names, and a variant for all others.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $code:literal $words:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {
            $(#[doc = $words] $variant,)*
            /// A code that the specification does not name.
            Unknown(u8),
        }

        impl $name {
            /// All codes that have a name.
            pub const KNOWN: &[Self] = &[$(Self::$variant),*];

            /// From the wire.
            pub const fn from_code(code: u8) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    other => Self::Unknown(other),
                }
            }

            /// To the wire.
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Unknown(code) => code,
                }
            }

            /// In words.
            pub const fn words(self) -> &'static str {
                match self {
                    $(Self::$variant => $words,)*
                    Self::Unknown(_) => "unknown",
                }
            }
        }
    };
}

codes! {
    /// Why the device refused a note (poll answer 1C).
    RejectReason {
        Insertion = 0x60 "insertion",
        Dielectric = 0x61 "dielectric or magnetic",
        PreviousBill = 0x62 "previous bill in head",
        Compensation = 0x63 "compensation",
        Transport = 0x64 "transport",
        Identification = 0x65 "identification",
        Verification = 0x66 "verification",
        Optic = 0x67 "optic",
        Inhibited = 0x68 "inhibited type",
        Capacitance = 0x69 "capacitance",
        Operation = 0x6A "operation",
        Length = 0x6C "length",
        Ultraviolet = 0x6D "ultraviolet",
        BarcodeUnidentified = 0x92 "bar-code coupon",
        BarcodeCharacters = 0x93 "bar-code characters",
        BarcodeStart = 0x94 "bar-code start",
        BarcodeStop = 0x95 "bar-code stop",
    }
}

codes! {
    /// What is broken (poll answer 47).
    FailureCode {
        StackerMotor = 0x50 "stacker motor",
        TransportSpeed = 0x51 "transport motor speed",
        TransportMotor = 0x52 "transport motor",
        Aligner = 0x53 "aligning motor",
        InitialCassette = 0x54 "initial cassette status",
        Optic = 0x55 "optic canal",
        Magnetic = 0x56 "magnetic canal",
        OperatingSystem = 0x57 "operating system",
        Memory = 0x58 "memory",
        Link = 0x59 "data link",
        I2c = 0x5A "I2C bus",
        Spi = 0x5B "SPI bus",
        InterCpu = 0x5C "inter-CPU link",
        Capacitance = 0x5F "capacitance canal",
    }
}

/// The answer to POLL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PollStatus {
    /// 10: it had lost power.
    PowerUp,
    /// 11: it had lost power; a note is in the validator and RESET returns it.
    PowerUpBillInValidator,
    /// 12: it had lost power; a note is in the stacker path. After RESET and initialisation comes 81.
    PowerUpBillInStacker,
    /// 13: initialising.
    Initialize,
    /// 14: waiting for a note.
    Idling,
    /// 15: drawing a note in.
    Accepting,
    /// 17: moving the note to the cassette.
    Stacking,
    /// 18: giving the note back; lasts until it is taken.
    Returning,
    /// 19: no type is enabled.
    Disabled,
    /// 1A: holding the note in escrow at our request.
    Holding,
    /// 1B: busy for so many tenths of a second.
    Busy(u8),
    /// 1C: refusing a note.
    Rejecting(RejectReason),
    /// 41: the cassette is full.
    CassetteFull,
    /// 42: the cassette is out.
    CassetteOut,
    /// 43: a note is stuck in the validator.
    ValidatorJam,
    /// 44: a note is stuck in the cassette.
    CassetteJam,
    /// 45: somebody tried to pull a note back.
    Cheated,
    /// 46: a second note was pushed in.
    Pause,
    /// 47: broken.
    Failure(FailureCode),
    /// 80: a note of this type waits in escrow.
    Escrow(u8),
    /// 81: a note of this type is in the cassette. Repeats until confirmed.
    Stacked(u8),
    /// 82: a note of this type was given back. Repeats until confirmed.
    Returned(u8),
    /// 84: a suspicious note of this type.
    Suspect(u8),
    /// 90: a counterfeit note of this type was kept.
    Counterfeit(u8),
    /// A code of another kind of device, or of a newer one.
    Unknown(u8),
}

impl PollStatus {
    /// Reads a poll answer. A type above 23 is passed on: a note of an impossible type is still a note.
    pub fn parse(data: &[u8]) -> Result<Self, ParseError> {
        if data.is_empty() || data.len() > 2 {
            return Err(ParseError::Length(data.len()));
        }
        let second = data.get(1).copied();
        let bill = || second.ok_or(ParseError::Length(1));
        Ok(match data[0] {
            0x10 => Self::PowerUp,
            0x11 => Self::PowerUpBillInValidator,
            0x12 => Self::PowerUpBillInStacker,
            0x13 => Self::Initialize,
            0x14 => Self::Idling,
            0x15 => Self::Accepting,
            0x17 => Self::Stacking,
            0x18 => Self::Returning,
            0x19 => Self::Disabled,
            0x1A => Self::Holding,
            0x1B => Self::Busy(second.unwrap_or(0)),
            0x1C => Self::Rejecting(RejectReason::from_code(second.unwrap_or(0))),
            0x41 => Self::CassetteFull,
            0x42 => Self::CassetteOut,
            0x43 => Self::ValidatorJam,
            0x44 => Self::CassetteJam,
            0x45 => Self::Cheated,
            0x46 => Self::Pause,
            0x47 => Self::Failure(FailureCode::from_code(second.unwrap_or(0))),
            0x80 => Self::Escrow(bill()?),
            0x81 => Self::Stacked(bill()?),
            0x82 => Self::Returned(bill()?),
            0x84 => Self::Suspect(second.unwrap_or(0)),
            0x90 => Self::Counterfeit(second.unwrap_or(0)),
            other => Self::Unknown(other),
        })
    }

    /// The one or two bytes of the answer.
    pub fn payload(self) -> Payload {
        let (first, second) = match self {
            Self::PowerUp => (0x10, None),
            Self::PowerUpBillInValidator => (0x11, None),
            Self::PowerUpBillInStacker => (0x12, None),
            Self::Initialize => (0x13, None),
            Self::Idling => (0x14, None),
            Self::Accepting => (0x15, None),
            Self::Stacking => (0x17, None),
            Self::Returning => (0x18, None),
            Self::Disabled => (0x19, None),
            Self::Holding => (0x1A, None),
            Self::Busy(tenths) => (0x1B, Some(tenths)),
            Self::Rejecting(reason) => (0x1C, Some(reason.code())),
            Self::CassetteFull => (0x41, None),
            Self::CassetteOut => (0x42, None),
            Self::ValidatorJam => (0x43, None),
            Self::CassetteJam => (0x44, None),
            Self::Cheated => (0x45, None),
            Self::Pause => (0x46, None),
            Self::Failure(code) => (0x47, Some(code.code())),
            Self::Escrow(index) => (0x80, Some(index)),
            Self::Stacked(index) => (0x81, Some(index)),
            Self::Returned(index) => (0x82, Some(index)),
            Self::Suspect(code) => (0x84, Some(code)),
            Self::Counterfeit(code) => (0x90, Some(code)),
            Self::Unknown(code) => (code, None),
        };
        core::iter::once(first).chain(second).collect()
    }
}

impl fmt::Display for PollStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerUp => f.write_str("POWER UP"),
            Self::PowerUpBillInValidator => f.write_str("POWER UP, bill in validator"),
            Self::PowerUpBillInStacker => f.write_str("POWER UP, bill in stacker"),
            Self::Initialize => f.write_str("INITIALIZE"),
            Self::Idling => f.write_str("IDLING"),
            Self::Accepting => f.write_str("ACCEPTING"),
            Self::Stacking => f.write_str("STACKING"),
            Self::Returning => f.write_str("RETURNING"),
            Self::Disabled => f.write_str("DISABLED"),
            Self::Holding => f.write_str("HOLDING"),
            Self::Busy(tenths) => write!(f, "BUSY {} ms", u32::from(*tenths) * 100),
            Self::Rejecting(reason) => write!(f, "REJECTING {:02x} {}", reason.code(), reason.words()),
            Self::CassetteFull => f.write_str("CASSETTE FULL"),
            Self::CassetteOut => f.write_str("CASSETTE OUT"),
            Self::ValidatorJam => f.write_str("VALIDATOR JAMMED"),
            Self::CassetteJam => f.write_str("CASSETTE JAMMED"),
            Self::Cheated => f.write_str("CHEATED"),
            Self::Pause => f.write_str("PAUSE"),
            Self::Failure(code) => write!(f, "FAILURE {:02x} {}", code.code(), code.words()),
            Self::Escrow(index) => write!(f, "ESCROW type {index}"),
            Self::Stacked(index) => write!(f, "STACKED type {index}"),
            Self::Returned(index) => write!(f, "RETURNED type {index}"),
            Self::Suspect(code) => write!(f, "SUSPECT BILL {code:02x}"),
            Self::Counterfeit(code) => write!(f, "COUNTERFEIT {code:02x}"),
            Self::Unknown(code) => write!(f, "state {code:02x} (unknown)"),
        }
    }
}

/// The answer to GET STATUS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// Enabled types.
    pub enabled: TypeMask,
    /// Types under high security.
    pub high_security: TypeMask,
}

impl Status {
    /// Six bytes.
    pub const fn payload(self) -> [u8; 6] {
        let [a, b, c] = self.enabled.to_bytes();
        let [d, e, f] = self.high_security.to_bytes();
        [a, b, c, d, e, f]
    }

    /// Reads the six bytes.
    pub const fn parse(data: &[u8]) -> Result<Self, ParseError> {
        match *data {
            [a, b, c, d, e, f] => Ok(Self {
                enabled: TypeMask::from_bytes([a, b, c]),
                high_security: TypeMask::from_bytes([d, e, f]),
            }),
            _ => Err(ParseError::Length(data.len())),
        }
    }
}

/// The answer to IDENTIFICATION: ASCII padded with blanks, asset number binary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identification {
    /// Part number of the firmware.
    pub part: [u8; 15],
    /// Serial number.
    pub serial: [u8; 12],
    /// Number given by the owner.
    pub asset: [u8; 7],
}

impl Identification {
    /// From texts; too long ones are cut.
    pub fn new(part: &str, serial: &str, asset: [u8; 7]) -> Self {
        Self { part: padded(part), serial: padded(serial), asset }
    }

    /// The 34 bytes.
    pub fn payload(&self) -> [u8; 34] {
        let mut bytes = [0; 34];
        bytes[..15].copy_from_slice(&self.part);
        bytes[15..27].copy_from_slice(&self.serial);
        bytes[27..].copy_from_slice(&self.asset);
        bytes
    }

    /// Reads the 34 bytes.
    pub fn parse(data: &[u8]) -> Result<Self, ParseError> {
        let wrong = ParseError::Length(data.len());
        let (part, rest) = data.split_first_chunk().ok_or(wrong)?;
        let (serial, rest) = rest.split_first_chunk().ok_or(wrong)?;
        let asset = rest.try_into().map_err(|_| wrong)?;
        Ok(Self { part: *part, serial: *serial, asset })
    }

    /// The part number without padding; bytes that are not printable ASCII become `?`.
    pub fn part_text(&self) -> heapless::String<15> {
        trimmed(&self.part)
    }

    /// The serial number without padding; bytes that are not printable ASCII become `?`.
    pub fn serial_text(&self) -> heapless::String<12> {
        trimmed(&self.serial)
    }
}

fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [b' '; N];
    for (to, from) in bytes.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    bytes
}

fn trimmed<const N: usize>(bytes: &[u8; N]) -> heapless::String<N> {
    let blank = |byte: &u8| matches!(byte, 0 | b' ');
    let first = bytes.iter().position(|byte| !blank(byte)).unwrap_or(N);
    let end = bytes.iter().rposition(|byte| !blank(byte)).map_or(first, |last| last + 1);
    bytes[first..end]
        .iter()
        .map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' })
        .collect()
}

/// One entry of the bill table: value = significand x 10^exponent, or divided if bit 7 of the exponent is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BillEntry {
    /// First digits of the value.
    pub significand: u8,
    /// Three letters of country.
    pub country: [u8; 3],
    /// Bits 0-6: decimal places; bit 7: to the left.
    pub exponent: u8,
}

impl BillEntry {
    /// An entry for a value in whole units; `None` if it has no such form (e.g. 12 345).
    pub fn from_value(country: [u8; 3], value: u32) -> Option<Self> {
        let (mut rest, mut exponent) = (value, 0);
        while rest >= 10 && rest % 10 == 0 {
            rest /= 10;
            exponent += 1;
        }
        Some(Self { significand: u8::try_from(rest).ok().filter(|digits| *digits > 0)?, country, exponent })
    }

    /// The value in whole units; `None` for fractions, zero and what does not fit.
    pub fn value(&self) -> Option<u32> {
        let power = 10_u32.checked_pow(u32::from(self.exponent & 0x7F))?;
        let significand = u32::from(self.significand);
        let value = if self.exponent & 0x80 == 0 {
            significand.checked_mul(power)?
        } else {
            (significand % power == 0).then_some(significand / power)?
        };
        (value > 0).then_some(value)
    }
}

/// The answer to GET BILL TABLE: index = bill type; holes are `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BillTable(pub [Option<BillEntry>; BILL_TYPES]);

/// Bytes of one table entry.
const ENTRY: usize = 5;

impl BillTable {
    /// The 120 bytes.
    pub fn payload(&self) -> [u8; BILL_TYPES * ENTRY] {
        let mut bytes = [0; BILL_TYPES * ENTRY];
        for (chunk, entry) in bytes.chunks_exact_mut(ENTRY).zip(&self.0) {
            if let Some(entry) = entry {
                let [a, b, c] = entry.country;
                chunk.copy_from_slice(&[entry.significand, a, b, c, entry.exponent]);
            }
        }
        bytes
    }

    /// Reads up to 120 bytes; missing bytes at the end count as zero (some firmware cuts them).
    pub fn parse(data: &[u8]) -> Result<Self, ParseError> {
        let mut bytes = [0; BILL_TYPES * ENTRY];
        // The shortest sensible table has one entry; a shorter answer belongs to another command.
        if data.len() < ENTRY {
            return Err(ParseError::Length(data.len()));
        }
        bytes.get_mut(..data.len()).ok_or(ParseError::Length(data.len()))?.copy_from_slice(data);
        let mut table = Self::default();
        for (entry, chunk) in table.0.iter_mut().zip(bytes.chunks_exact(ENTRY)) {
            if let [significand, a, b, c, exponent] = *chunk
                && significand > 0
            {
                if ![a, b, c].iter().all(u8::is_ascii_uppercase) {
                    // What a line doubled or delayed: the answer to IDENTIFICATION.
                    return Err(ParseError::Length(data.len()));
                }
                *entry = Some(BillEntry { significand, country: [a, b, c], exponent });
            }
        }
        if table.0.iter().all(Option::is_none) && data.len() < bytes.len() {
            // Or the one to GET STATUS: a table of nothing has all its bytes.
            return Err(ParseError::Length(data.len()));
        }
        Ok(table)
    }
}

/// The two bytes of the answer to STACKED-BILL COUNTER.
pub const fn counter_payload(count: u16) -> [u8; 2] {
    count.to_be_bytes()
}

/// Reads the answer to STACKED-BILL COUNTER.
pub const fn parse_counter(data: &[u8]) -> Result<u16, ParseError> {
    match *data {
        [high, low] => Ok(u16::from_be_bytes([high, low])),
        _ => Err(ParseError::Length(data.len())),
    }
}

#[cfg(test)]
mod tests;
