//! BER-TLV as EMV narrows it (EMV Book 3, Annex B): tags of at most two bytes, lengths of at most three, no indefinite length.

use super::tags::Tag;
use core::fmt;

/// Templates may stand in each other this deep: `6F / A5 / BF0C / 61`.
pub const MAX_DEPTH: usize = 4;
/// Longest record of a card in bytes.
pub const MAX_RECORD: usize = 254;

/// Why bytes are not EMV's BER-TLV. The card is broken, or torn out while it spoke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlvError {
    /// The bytes end inside a tag, a length or a value.
    Truncated,
    /// A tag of more than two bytes.
    LongTag,
    /// Length byte `80`: BER knows it, EMV forbids it.
    IndefiniteLength,
    /// A length of more than three bytes.
    LongLength,
    /// Templates in templates beyond [`MAX_DEPTH`].
    TooDeep,
}

impl fmt::Display for TlvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the data ends inside an object",
            Self::LongTag => "a tag is longer than two bytes",
            Self::IndefiniteLength => "an object has an indefinite length",
            Self::LongLength => "a length is longer than three bytes",
            Self::TooDeep => "templates are nested too deeply",
        })
    }
}

/// One data object; its value may be card data, so it has no `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// What it is.
    pub tag: Tag,
    /// Its bytes.
    pub value: &'a [u8],
}

/// The objects that stand side by side in `bytes`. Ends after the first error.
pub fn objects(bytes: &[u8]) -> Objects<'_> {
    Objects { rest: bytes }
}

/// See [`objects`].
pub struct Objects<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Objects<'a> {
    type Item = Result<Tlv<'a>, TlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        // `00` and `FF` may stand before, between and after objects.
        while let [0x00 | 0xFF, rest @ ..] = self.rest {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        let read = read_one(self.rest);
        self.rest = match &read {
            Ok((_, rest)) => rest,
            Err(_) => &[],
        };
        Some(read.map(|(object, _)| object))
    }
}

fn read_one(bytes: &[u8]) -> Result<(Tlv<'_>, &[u8]), TlvError> {
    let (tag, rest) = Tag::read(bytes)?;
    let (length, rest) = match rest {
        [length @ 0x00..=0x7F, rest @ ..] => (usize::from(*length), rest),
        [0x80, ..] => return Err(TlvError::IndefiniteLength),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [0x83..=0xFF, ..] => return Err(TlvError::LongLength),
        [] | [0x81 | 0x82, ..] => return Err(TlvError::Truncated),
    };
    let (value, rest) = rest.split_at_checked(length).ok_or(TlvError::Truncated)?;
    Ok((Tlv { tag, value }, rest))
}

/// Visits every object, templates before what is in them, and checks all of `bytes` on the way.
pub fn walk<'a>(bytes: &'a [u8], visit: &mut dyn FnMut(Tlv<'a>)) -> Result<(), TlvError> {
    walk_level(bytes, MAX_DEPTH, visit)
}

fn walk_level<'a>(bytes: &'a [u8], left: usize, visit: &mut dyn FnMut(Tlv<'a>)) -> Result<(), TlvError> {
    let left = left.checked_sub(1).ok_or(TlvError::TooDeep)?;
    for object in objects(bytes) {
        let object = object?;
        visit(object);
        if object.tag.is_template() {
            walk_level(object.value, left, visit)?;
        }
    }
    Ok(())
}

/// The first object with `tag`, at any depth, if all of `bytes` is well formed.
pub fn find(bytes: &[u8], tag: Tag) -> Result<Option<&[u8]>, TlvError> {
    let mut found = None;
    walk(bytes, &mut |object| {
        if object.tag == tag && found.is_none() {
            found = Some(object.value);
        }
    })?;
    Ok(found)
}

/// Appends one object to `out`. Values are at most 65 535 bytes long.
pub fn push(out: &mut alloc::vec::Vec<u8>, tag: Tag, value: &[u8]) {
    out.extend_from_slice(tag.bytes().as_slice());
    let length = u16::try_from(value.len()).expect("invariant: values are short");
    match length.to_be_bytes() {
        [0, low @ 0x00..=0x7F] => out.push(low),
        [0, low] => out.extend([0x81, low]),
        [high, low] => out.extend([0x82, high, low]),
    }
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emv::tags;
    use alloc::{vec, vec::Vec};

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXUPPER.decode(text.as_bytes()).unwrap()
    }

    fn all(bytes: &[u8]) -> Result<Vec<(u16, usize)>, TlvError> {
        let mut seen = Vec::new();
        walk(bytes, &mut |object| seen.push((object.tag.number(), object.value.len())))?;
        Ok(seen)
    }

    #[test]
    fn a_file_control_information_is_read_whole() {
        // The same structure as pyemv 1.5.0 reads.
        let fci = hex("6F1E8407A0000000041010A513500854455354434152448701019F38039F3501");
        assert_eq!(
            all(&fci).unwrap(),
            [(0x6F, 30), (0x84, 7), (0xA5, 19), (0x50, 8), (0x87, 1), (0x9F38, 3)]
        );
        assert_eq!(find(&fci, tags::APPLICATION_LABEL).unwrap(), Some(&b"TESTCARD"[..]));
        assert_eq!(find(&fci, tags::AFL).unwrap(), None);
    }

    #[test]
    fn each_broken_form_is_refused_by_name() {
        for (text, error) in [
            ("9F", TlvError::Truncated),
            ("5F", TlvError::Truncated),
            ("5A", TlvError::Truncated),
            ("5A81", TlvError::Truncated),
            ("5A8200", TlvError::Truncated),
            ("5A0811", TlvError::Truncated),
            ("70025A08", TlvError::Truncated),
            ("5A80", TlvError::IndefiniteLength),
            ("5A83000001FF", TlvError::LongLength),
            ("9F818101FF", TlvError::LongTag),
            ("7008700670047002700000", TlvError::TooDeep),
        ] {
            assert_eq!(all(&hex(text)), Err(error), "{text}");
        }
    }

    #[test]
    fn padding_between_objects_is_skipped_and_inside_values_kept() {
        let bytes = hex("00FF8A0230300000FF9F3602000000");
        assert_eq!(all(&bytes).unwrap(), [(0x8A, 2), (0x9F36, 2)]);
        assert_eq!(find(&bytes, tags::ATC).unwrap(), Some(&[0, 0][..]));
    }

    #[test]
    fn lengths_of_all_three_forms_survive_the_way_back() {
        for length in [0, 1, 127, 128, 255, 256, 700] {
            let mut bytes = Vec::new();
            push(&mut bytes, tags::ISSUER_SCRIPT_2, &vec![0; length]);
            // 72 is a template and nothing but padding is in it.
            assert_eq!(all(&bytes).unwrap(), [(0x72, length)]);
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_loop() {
        let good = hex("6F1E8407A0000000041010A513500854455354434152448701019F38039F3501");
        for at in 0..good.len() {
            for value in 0..=255 {
                let mut bad = good.clone();
                bad[at] = value;
                let _result = all(&bad);
                let _result = all(&bad[..at]);
            }
        }
    }
}
