//! ESC/POS bytes: the few commands a receipt of dots needs, and the status bytes, both directions.
//!
//! The paper is rasterised by the host, because no code page of these printers can be trusted with Kazakh letters. So
//! only start, raster bands, feed, cut and status are here. The printer's side is a [`Decoder`] that takes the stream in any split;
//! it knows the length of the usual commands, so that one that it does not act on does not turn into text.
//! Sources: Epson "ESC/POS command reference"; KPM and VKP80 manuals of Custom.

mod decoder;
mod describe;
mod status;

pub use crate::wire::Direction;
use alloc::vec::Vec;
pub use decoder::{Decoded, Decoder, MAX_DATA};
pub use describe::{describe, describe_command, describe_status};
pub use status::{Asb, ErrorCause, OfflineCause, PaperState, PrinterState, is_status};

/// ESC @: forget all settings.
pub const INIT: [u8; 2] = [0x1B, 0x40];
/// GS a 0: no status bytes unless asked.
pub const ASB_OFF: [u8; 3] = [0x1D, 0x61, 0x00];
/// DLE ENQ 1: recover from an error, print the line again.
pub const RECOVER_RETRY: [u8; 3] = [0x10, 0x05, 0x01];
/// DLE ENQ 2: recover from an error, throw away what was received.
pub const RECOVER_CLEAR: [u8; 3] = [0x10, 0x05, 0x02];
/// GS V 1: partial cut here.
pub const CUT_PARTIAL: [u8; 3] = [0x1D, 0x56, 0x01];
/// GS V 0: full cut here.
pub const CUT_FULL: [u8; 3] = [0x1D, 0x56, 0x00];
/// The printer's receive buffer is full: stop sending.
pub const XOFF: u8 = 0x13;
/// It takes bytes again.
pub const XON: u8 = 0x11;

/// The four real-time status questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Query {
    /// [`PrinterState`].
    Printer,
    /// [`OfflineCause`].
    Offline,
    /// [`ErrorCause`].
    Error,
    /// [`PaperState`].
    Paper,
}

impl Query {
    /// In the order in which they are asked.
    pub const ALL: [Self; 4] = [Self::Printer, Self::Offline, Self::Error, Self::Paper];

    /// The number in DLE EOT n.
    pub const fn number(self) -> u8 {
        match self {
            Self::Printer => 1,
            Self::Offline => 2,
            Self::Error => 3,
            Self::Paper => 4,
        }
    }

    /// From the number in DLE EOT n.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Printer),
            2 => Some(Self::Offline),
            3 => Some(Self::Error),
            4 => Some(Self::Paper),
            _ => None,
        }
    }

    /// DLE EOT n. To be sent only between complete commands.
    pub const fn bytes(self) -> [u8; 3] {
        [0x10, 0x04, self.number()]
    }
}

/// GS a n: status bytes by themselves on changes (bit 0 drawer, 1 online, 2 error, 3 paper, 6 panel).
pub const fn asb(causes: u8) -> [u8; 3] {
    [0x1D, 0x61, causes]
}

/// GS v 0 with its dots: `rows` holds whole rows of `bytes_per_row`, most significant bit left, 1 = black. `None` for an empty
/// band, a cut row, or more than 65 535 rows.
pub fn raster(bytes_per_row: u16, rows: &[u8]) -> Option<Vec<u8>> {
    let width = usize::from(bytes_per_row);
    if width == 0 || rows.is_empty() || !rows.len().is_multiple_of(width) {
        return None;
    }
    let [xl, xh] = bytes_per_row.to_le_bytes();
    let [yl, yh] = u16::try_from(rows.len() / width).ok()?.to_le_bytes();
    let mut bytes = Vec::with_capacity(rows.len() + 8);
    bytes.extend_from_slice(&[0x1D, 0x76, 0x30, 0x00, xl, xh, yl, yh]);
    bytes.extend_from_slice(rows);
    Some(bytes)
}

/// ESC d n: print the line and feed n lines.
pub const fn feed_lines(lines: u8) -> [u8; 3] {
    [0x1B, 0x64, lines]
}

/// ESC J n: feed n vertical motion units (dots, or half dots on some models).
pub const fn feed_dots(dots: u8) -> [u8; 3] {
    [0x1B, 0x4A, dots]
}

/// GS V 65/66 n: feed to the cutter plus n units, then cut.
pub const fn feed_and_cut(partial: bool, units: u8) -> [u8; 4] {
    [0x1D, 0x56, if partial { 0x42 } else { 0x41 }, units]
}

/// GS ( H, function 48: answer with `id` once everything before this point is printed. Each byte of `id` in 32..=126.
pub const fn print_done_request([a, b, c, d]: [u8; 4]) -> [u8; 11] {
    [0x1D, 0x28, 0x48, 0x06, 0x00, 0x30, 0x30, a, b, c, d]
}

/// The printer's answer to [`print_done_request`].
pub const fn print_done_reply([a, b, c, d]: [u8; 4]) -> [u8; 7] {
    [0x37, 0x22, a, b, c, d, 0x00]
}

/// A printable id for [`print_done_request`], different for neighbouring prints.
pub fn print_done_id(print: u64) -> [u8; 4] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [12, 8, 4, 0].map(|shift| DIGITS[(print >> shift & 0xF) as usize])
}

#[cfg(test)]
mod tests;
