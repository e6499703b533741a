//! What all wire descriptions share: who sent the bytes, and how unknown bytes are shown.

use alloc::string::String;
use core::fmt::Write;

/// Who sent the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The kiosk.
    FromHost,
    /// The device.
    FromDevice,
}

/// At most this many bytes of a dump are shown; the rest is counted.
const MAX_DUMP: usize = 16;

/// Appends `bytes` as hexadecimal pairs, long dumps cut short.
pub(crate) fn dump(out: &mut String, bytes: &[u8]) {
    for (at, byte) in bytes.iter().take(MAX_DUMP).enumerate() {
        let gap = if at == 0 { "" } else { " " };
        let _ = write!(out, "{gap}{byte:02x}");
    }
    if bytes.len() > MAX_DUMP {
        let _ = write!(out, " ... {} bytes", bytes.len());
    }
}
