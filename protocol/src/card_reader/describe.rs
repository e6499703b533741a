//! One line per piece of the line for the wire log: no card data are in it.

use super::{Answer, Command, Control, Decoded, Decoder};
use crate::wire::Direction;
use alloc::string::String;
use core::fmt::Write;

/// One line for people: every frame in `bytes` by its meaning. Bytes that are no frame are counted, never shown.
pub fn describe(direction: Direction, bytes: &[u8]) -> String {
    let mut line = String::new();
    let mut decoder = Decoder::new();
    let mut input = bytes;
    while let Some(found) = decoder.next(&mut input) {
        if !line.is_empty() {
            line.push_str(" | ");
        }
        let _ = match (found, direction) {
            (Decoded::Control(Control::Enquire), _) => write!(line, "ENQ"),
            (Decoded::Control(Control::Acknowledge), _) => write!(line, "ACK"),
            (Decoded::Control(Control::Refuse), _) => write!(line, "NAK"),
            (Decoded::Control(Control::End), _) => write!(line, "EOT"),
            (Decoded::Bad, _) => write!(line, "broken frame"),
            (Decoded::Text(text), Direction::FromHost) => match Command::parse(&text) {
                Some(Command::Exchange(transport, command)) => {
                    write!(line, "to the chip, {transport:?}: {} bytes", command.len())
                }
                Some(command) => write!(line, "{command:?}"),
                None => write!(line, "unknown command"),
            },
            (Decoded::Text(text), Direction::FromDevice) => match Answer::parse(&text) {
                Ok(Answer { code, result: Ok(place), data }) => {
                    let [a, b] = code.map(char::from);
                    write!(line, "{} {place:?}, {} bytes", Code(a, b), data.len())
                }
                Ok(Answer { code, result: Err(error), .. }) => {
                    let [a, b] = code.map(char::from);
                    write!(line, "{} error {error:?}", Code(a, b))
                }
                Err(_) => write!(line, "unknown answer"),
            },
        };
    }
    if decoder.has_begun() || line.is_empty() {
        let gap = if line.is_empty() { "" } else { " | " };
        let _ = write!(line, "{gap}{} bytes without a frame", bytes.len());
    }
    line
}

/// Two characters of a command, if they can be shown.
struct Code(char, char);

impl core::fmt::Display for Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let shown = |letter: char| if letter.is_ascii_graphic() { letter } else { '?' };
        write!(f, "{}{}", shown(self.0), shown(self.1))
    }
}
