//! `[card_reader]` and `[pin_pad]`: both or none. Without them the terminal takes cash only.

use super::{
    BAUD, PORT, baud, path,
    reader::{Document, Section, text},
};
use std::path::{Path, PathBuf};

/// `[card_reader]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CardReader {
    /// Any tty.
    pub port: PathBuf,
    /// Bits per second; the reader finds out by itself, up to 19200.
    pub baud: u32,
    /// The terminal as the acquirer calls it, eight characters.
    pub terminal: [u8; 8],
    /// The merchant as the acquirer calls it, fifteen characters.
    pub merchant: [u8; 15],
    /// A forgotten card is kept in the box.
    pub keeps: bool,
}

/// `[pin_pad]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PinPad {
    /// Any tty.
    pub port: PathBuf,
    /// Bits per second.
    pub baud: u32,
}

/// Both.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cards {
    /// The reader.
    pub reader: CardReader,
    /// The PIN pad.
    pub pad: PinPad,
}

/// Reads both sections; `Some(None)` if there is neither.
pub(super) fn cards<'a>(
    document: &mut Document<'a>,
    root: &mut Section<'a>,
    base: &Path,
) -> Option<Option<Cards>> {
    let reader = root.optional_section(document, "card_reader");
    let pad = if reader.is_some() {
        // A card without a PIN pad pays nothing here.
        root.section(document, "pin_pad")
    } else {
        root.optional_section(document, "pin_pad")
    };
    match (reader, pad) {
        (None, None) => Some(None),
        (Some(reader), pad) => {
            let reader = card_reader(document, reader, base);
            let pad = pad.and_then(|pad| pin_pad(document, pad, base));
            Some(Some(Cards { reader: reader?, pad: pad? }))
        }
        (None, Some(pad)) => {
            pin_pad(document, pad, base);
            // Says that it is missing.
            root.section(document, "card_reader");
            None
        }
    }
}

fn card_reader<'a>(document: &mut Document<'a>, mut section: Section<'a>, base: &Path) -> Option<CardReader> {
    let driver = section.need(document, "driver", "\"omron-3s4yr\"", |value| {
        text(value, |text| (text == "omron-3s4yr").then_some(()))
    });
    let port = section.need(document, "port", PORT, |value| path(value, base));
    let baud = section.or(document, "baud", 19_200, BAUD, baud);
    let terminal = section.need(
        document,
        "terminal",
        "eight capital letters and digits, as the acquirer calls this terminal",
        |value| text(value, name),
    );
    let merchant = section.need(
        document,
        "merchant",
        "fifteen capital letters and digits, as the acquirer calls the merchant",
        |value| text(value, name),
    );
    let keeps = section.or(document, "keep_forgotten", true, "true or false", |value| match value {
        toml::de::DeValue::Boolean(flag) => Some(*flag),
        _ => None,
    });
    section.finish(document);
    driver?;
    Some(CardReader { port: port?, baud: baud?, terminal: terminal?, merchant: merchant?, keeps: keeps? })
}

fn pin_pad<'a>(document: &mut Document<'a>, mut section: Section<'a>, base: &Path) -> Option<PinPad> {
    let driver = section.need(document, "driver", "\"uic-pp791\"", |value| {
        text(value, |text| (text == "uic-pp791").then_some(()))
    });
    let port = section.need(document, "port", PORT, |value| path(value, base));
    let baud = section.or(document, "baud", 9_600, BAUD, baud);
    section.finish(document);
    driver?;
    Some(PinPad { port: port?, baud: baud? })
}

fn name<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes: [u8; N] = text.as_bytes().try_into().ok()?;
    bytes.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).then_some(bytes)
}
