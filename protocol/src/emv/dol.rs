//! Data object lists: what a card wants to hear, as tags and lengths without values (EMV Book 3, section 5.4).

use super::{
    tags::{Format, Tag},
    tlv::TlvError,
};
use alloc::vec::Vec;
use core::fmt;

/// Most entries a list may have.
pub const MAX_ENTRIES: usize = 64;
/// Most bytes a built list may have, so that it fits one short command.
pub const MAX_DATA: usize = 252;

/// A parsed list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dol(heapless::Vec<(Tag, u8), MAX_ENTRIES>);

/// Why bytes are not a usable list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DolError {
    /// A tag or its length is cut.
    Entry(TlvError),
    /// More than [`MAX_ENTRIES`].
    TooMany,
    /// The data it asks for would not fit one command: more than [`MAX_DATA`] bytes.
    TooLong,
}

impl fmt::Display for DolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(error) => write!(f, "data object list: {error}"),
            Self::TooMany => write!(f, "data object list: more than {MAX_ENTRIES} entries"),
            Self::TooLong => write!(f, "data object list: asks for more than {MAX_DATA} bytes"),
        }
    }
}

impl Dol {
    /// Parses tags and lengths.
    pub fn parse(mut bytes: &[u8]) -> Result<Self, DolError> {
        let mut entries = heapless::Vec::new();
        let mut total = 0;
        while !bytes.is_empty() {
            let (tag, rest) = Tag::read(bytes).map_err(DolError::Entry)?;
            let (length, rest) = rest.split_first().ok_or(DolError::Entry(TlvError::Truncated))?;
            total += usize::from(*length);
            entries.push((tag, *length)).map_err(|_| DolError::TooMany)?;
            bytes = rest;
        }
        if total > MAX_DATA { Err(DolError::TooLong) } else { Ok(Self(entries)) }
    }

    /// Whether the card asks for `tag`.
    pub fn wants(&self, tag: Tag) -> bool {
        self.0.iter().any(|(wanted, _)| *wanted == tag)
    }

    /// Concatenates the values, each fitted to the length asked for. What `value` does not know, and templates, become zeros.
    pub fn build<'a>(&self, value: impl Fn(Tag) -> Option<&'a [u8]>) -> Vec<u8> {
        let mut data = Vec::new();
        for (tag, length) in &self.0 {
            let known = Some(*tag).filter(|tag| !tag.is_template()).and_then(&value).unwrap_or(&[]);
            let absent = known.is_empty();
            fit(&mut data, if absent { Format::Other } else { tag.format() }, known, usize::from(*length));
        }
        data
    }
}

/// Appends `value` as exactly `length` bytes.
fn fit(data: &mut Vec<u8>, format: Format, value: &[u8], length: usize) {
    let fill = length.saturating_sub(value.len());
    let surplus = value.len().saturating_sub(length);
    match format {
        Format::Numeric => {
            data.extend(core::iter::repeat_n(0, fill));
            data.extend_from_slice(&value[surplus..]);
        }
        Format::Compressed | Format::Other => {
            data.extend_from_slice(&value[..value.len() - surplus]);
            let filler = if format == Format::Compressed { 0xFF } else { 0 };
            data.extend(core::iter::repeat_n(filler, fill));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emv::tags;

    fn built(list: &[u8], tag: Tag, value: &'static [u8]) -> Vec<u8> {
        Dol::parse(list).unwrap().build(|asked| (asked == tag).then_some(value))
    }

    #[test]
    fn numbers_are_cut_and_filled_on_the_left() {
        assert_eq!(built(&[0x9F, 0x02, 4], tags::AMOUNT_AUTHORISED, &[0, 0, 0, 1, 0x50, 0]), [0, 1, 0x50, 0]);
        assert_eq!(
            built(&[0x9F, 0x02, 8], tags::AMOUNT_AUTHORISED, &[1, 0x50, 0]),
            [0, 0, 0, 0, 0, 1, 0x50, 0]
        );
    }

    #[test]
    fn compressed_numbers_are_filled_with_f_and_the_rest_with_zeros_on_the_right() {
        assert_eq!(built(&[0x5A, 4], tags::PAN, &[0x54, 0x13]), [0x54, 0x13, 0xFF, 0xFF]);
        assert_eq!(built(&[0x5A, 1], tags::PAN, &[0x54, 0x13]), [0x54]);
        assert_eq!(built(&[0x9F, 0x1C, 4], tags::TERMINAL_ID, b"K1"), *b"K1\0\0");
        assert_eq!(built(&[0x9F, 0x1C, 1], tags::TERMINAL_ID, b"K1"), *b"K");
    }

    #[test]
    fn unknown_tags_and_templates_become_zeros() {
        assert_eq!(built(&[0x9F, 0x7A, 2, 0x61, 3, 0x95, 1], tags::TVR, &[8]), [0, 0, 0, 0, 0, 8]);
        assert_eq!(built(&[0x5A, 2], tags::TVR, &[8]), [0, 0], "an absent compressed number is zeros too");
    }

    #[test]
    fn each_broken_list_is_refused_by_name() {
        assert_eq!(Dol::parse(&[0x9F]), Err(DolError::Entry(TlvError::Truncated)));
        assert_eq!(Dol::parse(&[0x9F, 0x37]), Err(DolError::Entry(TlvError::Truncated)));
        assert_eq!(Dol::parse(&[0x9F, 0x81, 0x01, 4]), Err(DolError::Entry(TlvError::LongTag)));
        assert_eq!(Dol::parse(&[0x95, 253]), Err(DolError::TooLong));
        assert_eq!(Dol::parse(&[0x95, 0].repeat(65)), Err(DolError::TooMany));
        assert_eq!(Dol::parse(&[]), Ok(Dol::default()));
    }
}
