//! One line per write for the wire log.

use super::{
    Asb, Decoded, Decoder, Direction, ErrorCause, OfflineCause, PaperState, PrinterState, Query, XOFF, XON,
    is_status,
};
use crate::wire::dump;
use alloc::{string::String, vec::Vec};
use core::fmt::Write;

/// At most this many commands of one write are named; the rest is counted.
const MAX_NAMED: usize = 24;

/// One line for people: every command in `bytes`, or what the printer answered. A single status byte is
/// told by its form alone, so it is shown as a number with the bits that all four answers share.
pub fn describe(direction: Direction, bytes: &[u8]) -> String {
    match direction {
        Direction::FromHost => describe_commands(bytes),
        Direction::FromDevice => describe_answers(bytes),
    }
}

/// What a status byte means as the answer to `query`, e.g. `offline, waiting for recovery`.
pub fn describe_status(query: Query, byte: u8) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut say = |set: bool, word: &'static str| {
        if set {
            words.push(word);
        }
    };
    match query {
        Query::Printer => {
            let Some(state) = PrinterState::parse(byte) else { return no_status(byte) };
            say(state.offline, "offline");
            say(state.waiting_recovery, "waiting for recovery");
            say(state.feed_button, "feed button");
        }
        Query::Offline => {
            let Some(cause) = OfflineCause::parse(byte) else { return no_status(byte) };
            say(cause.cover_open, "cover open");
            say(cause.feeding, "feeding");
            say(cause.paper_end, "stopped by paper end");
            say(cause.error, "error");
        }
        Query::Error => {
            let Some(cause) = ErrorCause::parse(byte) else { return no_status(byte) };
            say(cause.recoverable, "recoverable error");
            say(cause.cutter, "cutter error");
            say(cause.unrecoverable, "unrecoverable error");
            say(cause.auto_recoverable, "error that goes away by itself");
        }
        Query::Paper => {
            let Some(paper) = PaperState::parse(byte) else { return no_status(byte) };
            say(paper.near_end, "paper near end");
            say(paper.end, "paper out");
        }
    }
    if words.is_empty() { String::from("ok") } else { words.join(", ") }
}

fn no_status(byte: u8) -> String {
    let mut line = String::new();
    let _ = write!(line, "no status: {byte:02x}");
    line
}

fn describe_commands(bytes: &[u8]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut decoder = Decoder::new();
    let (mut text, mut rest, mut dots) = (0_usize, 0_usize, false);
    for byte in bytes {
        match decoder.push(*byte) {
            None | Some(Decoded::Dots(_)) => dots = true,
            Some(Decoded::Text(_)) => text += 1,
            Some(_) if parts.len() >= MAX_NAMED => rest += 1,
            Some(command) => parts.push(describe_command(&command)),
        }
    }
    let mut line = parts.join(" | ");
    let mut add = |words: core::fmt::Arguments<'_>| {
        let gap = if line.is_empty() { "" } else { " | " };
        let _ = write!(line, "{gap}{words}");
    };
    if rest > 0 {
        add(format_args!("{rest} more commands"));
    }
    if text > 0 {
        add(format_args!("{text} bytes of text"));
    }
    if dots && !decoder.is_between_commands() {
        add(format_args!("cut short"));
    }
    if line.is_empty() && !bytes.is_empty() {
        let _ = write!(line, "{} bytes of nothing", bytes.len());
    }
    line
}

/// One command in words, e.g. `CUT partial after feed 0`.
pub fn describe_command(command: &Decoded) -> String {
    let mut line = String::new();
    let _ = match command {
        Decoded::Init => write!(line, "INIT"),
        Decoded::LineFeed => write!(line, "LF"),
        Decoded::FeedLines(lines) => write!(line, "FEED {lines} lines"),
        Decoded::FeedDots(dots) => write!(line, "FEED {dots} dots"),
        Decoded::Cut { partial, feed } => {
            let kind = if *partial { "CUT partial" } else { "CUT full" };
            match feed {
                Some(units) => write!(line, "{kind} after feed {units}"),
                None => write!(line, "{kind}"),
            }
        }
        Decoded::StatusRequest(query) => write!(line, "STATUS {}?", query.number()),
        Decoded::RecoverRetry => write!(line, "RECOVER, retry"),
        Decoded::RecoverClear => write!(line, "RECOVER, clear buffers"),
        Decoded::AutomaticStatus(causes) => write!(line, "AUTOMATIC STATUS {causes:02x}"),
        Decoded::PrintDoneRequest(id) => {
            write!(line, "PRINT DONE? ").and_then(|()| write!(line, "{}", id.escape_ascii()))
        }
        Decoded::Raster { bytes_per_row, rows, .. } => {
            write!(line, "RASTER {}x{rows} dots", u32::from(*bytes_per_row) * 8)
        }
        Decoded::Extended { function, length, .. } => write!(line, "GS ( {function:02x} with {length} bytes"),
        Decoded::Other(bytes) => write!(line, "command ").map(|()| dump(&mut line, bytes)),
        Decoded::Unknown(bytes) => write!(line, "UNKNOWN ").map(|()| dump(&mut line, bytes)),
        Decoded::Dots(byte) | Decoded::Text(byte) => write!(line, "{byte:02x}"),
    };
    line
}

fn describe_answers(bytes: &[u8]) -> String {
    let mut line = String::new();
    let mut rest = bytes;
    let mut named = 0;
    while !rest.is_empty() && named < MAX_NAMED {
        if named > 0 {
            line.push_str(" | ");
        }
        named += 1;
        rest = describe_answer(&mut line, rest);
    }
    if !rest.is_empty() {
        let _ = write!(line, " | {} more bytes", rest.len());
    }
    line
}

/// Describes what `bytes` begins with and returns what is left.
fn describe_answer<'a>(line: &mut String, bytes: &'a [u8]) -> &'a [u8] {
    if let [0x37, 0x22, a, b, c, d, 0x00, rest @ ..] = bytes {
        let _ = write!(line, "PRINT DONE {}", [*a, *b, *c, *d].escape_ascii());
        return rest;
    }
    if let [a, b, c, d, rest @ ..] = bytes
        && let Some(asb) = Asb::parse([*a, *b, *c, *d])
    {
        let words = if asb == Asb::default() { "ok" } else { "not ok" };
        let _ = write!(line, "AUTOMATIC STATUS {words} ");
        dump(line, &bytes[..4]);
        return rest;
    }
    let Some((byte, rest)) = bytes.split_first() else { return bytes };
    let _ = match *byte {
        XON => write!(line, "XON"),
        XOFF => write!(line, "XOFF"),
        0x12 => write!(line, "status 12 ok"),
        status if is_status(status) => write!(line, "status {status:02x}"),
        other => write!(line, "byte {other:02x}"),
    };
    rest
}
