//! Command and response APDUs of ISO 7816-4, short form.

use alloc::vec::Vec;
use core::fmt;

/// One command to the card.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// Class, instruction and both parameters.
    pub head: [u8; 4],
    /// At most 255 bytes.
    pub data: Vec<u8>,
    /// Whether an answer with data is expected.
    pub answers: bool,
}

impl Command {
    /// SELECT by name; `next` asks for the next one that begins so (EMV Book 1, section 11.3).
    pub fn select(name: &[u8], next: bool) -> Self {
        Self { head: [0x00, 0xA4, 0x04, if next { 0x02 } else { 0x00 }], data: name.into(), answers: true }
    }

    /// READ RECORD (EMV Book 1, section 11.2).
    pub fn read_record(file: u8, record: u8) -> Self {
        Self { head: [0x00, 0xB2, record, file << 3 | 4], data: Vec::new(), answers: true }
    }

    /// GET PROCESSING OPTIONS (EMV Book 3, section 6.5.8).
    pub fn get_processing_options(list: &[u8]) -> Self {
        let mut data = Vec::new();
        super::tlv::push(&mut data, super::tags::COMMAND_TEMPLATE, list);
        Self { head: [0x80, 0xA8, 0, 0], data, answers: true }
    }

    /// GENERATE AC (EMV Book 3, section 6.5.5); `kind` is the reference control parameter.
    pub fn generate_ac(kind: u8, list: Vec<u8>) -> Self {
        Self { head: [0x80, 0xAE, kind, 0], data: list, answers: true }
    }

    /// EXTERNAL AUTHENTICATE (EMV Book 3, section 6.5.4).
    pub fn external_authenticate(data: &[u8]) -> Self {
        Self { head: [0x00, 0x82, 0, 0], data: data.into(), answers: false }
    }

    /// GET RESPONSE, after `61 xx` (T=0).
    pub fn get_response_bytes(length: u8) -> Vec<u8> {
        [0x00, 0xC0, 0x00, 0x00, length].into()
    }

    /// The bytes. With T=0 a command with data never carries Le: the card says `61 xx` and is asked.
    pub fn to_bytes(&self, transport: Transport) -> Vec<u8> {
        let mut bytes = Vec::from(self.head);
        if !self.data.is_empty() {
            bytes.push(u8::try_from(self.data.len()).expect("invariant: short commands"));
            bytes.extend_from_slice(&self.data);
        }
        let le = self.answers && (self.data.is_empty() || transport == Transport::T1);
        if le || self.data.is_empty() {
            bytes.push(0);
        }
        bytes
    }
}

/// How card and reader speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Bytewise; answers are fetched by GET RESPONSE.
    T0,
    /// In blocks.
    T1,
}

impl Transport {
    /// The protocol that a chip's answer to reset offers first (ISO/IEC 7816-3): T=0 if it names none. `None` if it is no answer to reset,
    /// or offers neither.
    pub fn from_answer_to_reset(bytes: &[u8]) -> Option<Self> {
        let [0x3B | 0x3F, format, interface @ ..] = bytes else { return None };
        // TA1, TB1, TC1 come before TD1, as far as they are there.
        let before = (format >> 4 & 0b0111).count_ones();
        if format & 0x80 == 0 {
            return Some(Self::T0);
        }
        match interface.get(before as usize)? & 0x0F {
            0 => Some(Self::T0),
            1 => Some(Self::T1),
            _ => None,
        }
    }
}

/// SW1 SW2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StatusWord(pub u16);

impl StatusWord {
    /// All is well.
    pub const OK: Self = Self(0x9000);
    /// File or application not found.
    pub const NOT_FOUND: Self = Self(0x6A82);
    /// Function not supported: the card is blocked, if said to the first SELECT.
    pub const BLOCKED: Self = Self(0x6A81);
    /// The selected application is blocked.
    pub const INVALIDATED: Self = Self(0x6283);
    /// No such record.
    pub const NO_RECORD: Self = Self(0x6A83);
    /// Conditions of use not satisfied.
    pub const CONDITIONS: Self = Self(0x6985);

    /// SW1.
    pub const fn first(self) -> u8 {
        self.0.to_be_bytes()[0]
    }
    /// SW2.
    pub const fn second(self) -> u8 {
        self.0.to_be_bytes()[1]
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

/// What the card answered. The data may be card data, so it has no `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    /// What comes before the status.
    pub data: &'a [u8],
    /// The status.
    pub status: StatusWord,
}

impl<'a> Response<'a> {
    /// Reads an answer; `None` if it has no status: the card is gone, readers then report nothing at all.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (data, [first, second]) = bytes.split_last_chunk()?;
        Some(Self { data, status: StatusWord(u16::from_be_bytes([*first, *second])) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_bytes_of_the_books() {
        let name = b"1PAY.SYS.DDF01";
        let select = Command::select(name, false);
        assert_eq!(select.to_bytes(Transport::T1), [&[0, 0xA4, 4, 0, 14][..], name, &[0]].concat());
        assert_eq!(select.to_bytes(Transport::T0), [&[0, 0xA4, 4, 0, 14][..], name].concat());
        for transport in [Transport::T0, Transport::T1] {
            assert_eq!(Command::read_record(1, 2).to_bytes(transport), [0, 0xB2, 2, 0x0C, 0]);
            let authenticate = Command::external_authenticate(&[1; 8]);
            assert_eq!(authenticate.to_bytes(transport), [&[0, 0x82, 0, 0, 8][..], &[1; 8]].concat());
        }
        let options = Command::get_processing_options(&[]);
        assert_eq!(options.to_bytes(Transport::T1), [0x80, 0xA8, 0, 0, 2, 0x83, 0, 0]);
    }

    #[test]
    fn an_answer_to_reset_names_its_protocol() {
        let read = Transport::from_answer_to_reset;
        assert_eq!(read(&[0x3B, 0x60, 0x00, 0x00]), Some(Transport::T0));
        assert_eq!(read(&[0x3B, 0xE0, 0x00, 0xFF, 0x81, 0x31, 0x55, 0x45, 0xBF]), Some(Transport::T1));
        assert_eq!(read(&[0x3F, 0x80, 0x00]), Some(Transport::T0));
        for wrong in
            [&[][..], &[0x3B], &[0x00, 0x60], &[0x3B, 0x80], &[0x3B, 0xF0, 1, 2, 3], &[0x3B, 0x80, 0x0E]]
        {
            assert_eq!(read(wrong), None, "{wrong:02X?}");
        }
    }

    #[test]
    fn an_answer_without_status_is_no_answer() {
        for bytes in [&[][..], &[0x90]] {
            assert!(Response::parse(bytes).is_none());
        }
        let answer = Response::parse(&[1, 2, 0x90, 0]).unwrap();
        assert_eq!((answer.data, answer.status), (&[1, 2][..], StatusWord::OK));
    }
}
