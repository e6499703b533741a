//! `[card_reader]` and `[pin_pad]`: both or none. Without them the terminal takes cash only.
//!
//! Which keys the reader has depends on its driver.

use super::{
    BAUD, PORT, baud, path,
    reader::{Document, Section, number, text},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// `[card_reader]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CardReader {
    /// What it is and how it is reached.
    pub driver: ReaderDriver,
    /// The terminal as the acquirer calls it, eight characters.
    pub terminal: [u8; 8],
    /// The merchant as the acquirer calls it, fifteen characters.
    pub merchant: [u8; 15],
}

/// `[card_reader] driver`
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReaderDriver {
    /// A motorised reader on a serial line.
    Omron {
        /// Any tty.
        port: PathBuf,
        /// Bits per second; the reader finds out by itself, up to 19200.
        baud: u32,
        /// A forgotten card is kept in the box.
        keeps: bool,
        /// It hides card numbers, and is one secure unit with the PIN pad.
        sred: bool,
    },
    /// A reader that the system's `pcscd` knows; the citizen holds the card.
    Pcsc {
        /// Part of its name; `None` for the first one.
        reader: Option<String>,
        /// How long a chip may take for one command.
        patience: Duration,
    },
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

/// The drivers of readers.
#[derive(Clone, Copy)]
enum Kind {
    Omron,
    Pcsc,
}

fn card_reader<'a>(document: &mut Document<'a>, mut section: Section<'a>, base: &Path) -> Option<CardReader> {
    let kind = section.need(document, "driver", "\"omron-3s4yr\" or \"pcsc\"", |value| {
        text(value, |text| match text {
            "omron-3s4yr" => Some(Kind::Omron),
            "pcsc" => Some(Kind::Pcsc),
            _ => None,
        })
    });
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
    // Which other keys there are nobody can say without the driver.
    let driver = match kind? {
        Kind::Omron => omron(document, &mut section, base),
        Kind::Pcsc => pcsc(document, &mut section),
    };
    section.finish(document);
    Some(CardReader { driver: driver?, terminal: terminal?, merchant: merchant? })
}

fn omron<'a>(document: &mut Document<'a>, section: &mut Section<'a>, base: &Path) -> Option<ReaderDriver> {
    let port = section.need(document, "port", PORT, |value| path(value, base));
    let baud = section.or(document, "baud", 19_200, BAUD, baud);
    let flag = |value: &toml::de::DeValue<'_>| match value {
        toml::de::DeValue::Boolean(flag) => Some(*flag),
        _ => None,
    };
    let keeps = section.or(document, "keep_forgotten", true, "true or false", flag);
    let sred = section.or(document, "sred", false, "true or false", flag);
    Some(ReaderDriver::Omron { port: port?, baud: baud?, keeps: keeps?, sred: sred? })
}

fn pcsc<'a>(document: &mut Document<'a>, section: &mut Section<'a>) -> Option<ReaderDriver> {
    let reader =
        section.or(document, "reader", None, "part of the reader's name as pcscd lists it", |value| {
            text(value, |text| (1..=120).contains(&text.len()).then(|| Some(text.to_owned())))
        });
    let patience =
        section.or(document, "chip_timeout_s", 10, "seconds from 2 to 60", |value| number(value, 2..61));
    Some(ReaderDriver::Pcsc { reader: reader?, patience: Duration::from_secs(patience?) })
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
