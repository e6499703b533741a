//! One line per piece of the line for the wire log: no card number, no block, no key is in it.

use super::{Answer, Decoded, Decoder, Frame};
use crate::wire::Direction;
use alloc::string::String;
use core::fmt::Write;

/// One line for people: every message in `bytes` by its meaning. Bytes that are no message are counted, never shown: they may be a part of
/// one.
pub fn describe(direction: Direction, bytes: &[u8]) -> String {
    let mut line = String::new();
    let mut decoder = Decoder::new();
    let mut input = bytes;
    while let Some(found) = decoder.next(&mut input) {
        if !line.is_empty() {
            line.push_str(" | ");
        }
        match (found, direction) {
            (Decoded::Ack, _) => line.push_str("ACK"),
            (Decoded::Nak, _) => line.push_str("NAK"),
            (Decoded::Eot, _) => line.push_str("EOT"),
            (Decoded::Bad, _) => line.push_str("broken message"),
            (Decoded::Frame(frame), Direction::FromHost) => line.push_str(request(&frame)),
            (Decoded::Frame(frame), Direction::FromDevice) => answer(&mut line, &frame),
        }
    }
    if decoder.has_begun() || line.is_empty() {
        let gap = if line.is_empty() { "" } else { " | " };
        let _ = write!(line, "{gap}{} bytes without a message", bytes.len());
    }
    line
}

fn request(frame: &Frame) -> &'static str {
    match (frame.admin, frame.text()) {
        (false, b"72") => "cancel",
        (true, b"16") => "self test",
        (true, [b'0', b'4', ..]) => "is the key there?",
        (true, [b'0', b'8', ..]) => "select key",
        (true, [b'0', b'2', ..]) => "load key (…)",
        (false, [b'9', b'0', ..]) => "load initial key (…)",
        (false, [b'9', b'6', ..]) => "select key set",
        (false, [b'7', b'A', ..]) => "serial numbers in full",
        (false, [b'7', b'0', b'.', ..]) => "take a PIN under a session key (…)",
        (false, [b'7', b'0', ..]) => "take a PIN (…)",
        (false, [b'Z', b'6', b'6', ..]) => "authenticate (…)",
        _ => "unknown message",
    }
}

fn answer(line: &mut String, frame: &Frame) {
    let letter = char::from;
    let _ = match Answer::parse(frame) {
        Ok(Answer::Pin(serial, _)) => write!(line, "PIN block (…) under key {serial:?}"),
        Ok(Answer::PinUnderSession(_)) => write!(line, "PIN block (…)"),
        Ok(Answer::PinRefused(code)) => write!(line, "no PIN: {}", letter(code)),
        Ok(Answer::InitialKey(Ok(()))) => write!(line, "initial key loaded"),
        Ok(Answer::InitialKey(Err(code))) => write!(line, "initial key refused: {}", letter(code)),
        Ok(Answer::KeyRefused(code)) => write!(line, "key refused: {}", letter(code)),
        Ok(Answer::KeyEcho) => write!(line, "key as heard (…)"),
        Ok(Answer::KeyPresent(there)) => write!(line, "key {}", if there { "there" } else { "not there" }),
        Ok(Answer::KeySelected(Ok(()))) => write!(line, "key selected"),
        Ok(Answer::KeySelected(Err(code))) => write!(line, "key not selected: {}", letter(code)),
        Ok(Answer::SelfTest(test)) => match (test.broken, test.keys_lost) {
            (false, false) => write!(line, "healthy"),
            (true, _) => write!(line, "broken"),
            (false, true) => write!(line, "keys lost"),
        },
        Ok(Answer::Mac(_)) => write!(line, "code (…)"),
        Ok(Answer::MacContinues) => write!(line, "next packet"),
        Ok(Answer::MacRefused(code)) => write!(line, "no code: {}", letter(code)),
        Err(_) => write!(line, "unknown message"),
    };
}
