//! The vpcd protocol of the Virtual Smart Card project: a card on a socket. The real `pcscd` has a driver for it, and so does the
//! terminal in the demo.
//!
//! Each message is two bytes of length, big endian, and that many bytes. One byte from the reader is a control: `00` power off, `01` power
//! on, `02` reset, `04` give the answer to reset; only `04` is answered. Anything longer is a command, answered by the card's words.
//! Closing the connection takes the card out. Source: `vpcd.c` and `vpcd.h` of vsmartcard.

use super::{ChipCard, Reply};
use std::io::{self, Read, Write};

/// What the reader wants of a card's power.
const POWER_OFF: u8 = 0x00;
const POWER_ON: u8 = 0x01;
const RESET: u8 = 0x02;
const ANSWER_TO_RESET: u8 = 0x04;

/// Reads one message; `None` when the other side is gone.
pub fn read(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(Some(message))
}

/// Writes one message in one go, so that nobody waits for a delayed acknowledgement between its parts.
pub fn write(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a message has at most 65 535 bytes"))?;
    stream.write_all(&[&length.to_be_bytes()[..], message].concat())?;
    stream.flush()
}

/// Plays `card` until the reader closes the line or the card is torn out. `heard` is told before each answer, to log or to stop time.
pub fn serve(
    card: &mut ChipCard,
    stream: &mut (impl Read + Write),
    mut heard: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut powered = false;
    while let Some(message) = read(stream)? {
        match message.as_slice() {
            [POWER_OFF] => powered = false,
            [POWER_ON | RESET] => {
                card.reset();
                powered = true;
            }
            [ANSWER_TO_RESET] => write(stream, &card.answer_to_reset())?,
            [_unknown] => {}
            command => {
                heard(command);
                if !powered {
                    card.reset();
                    powered = true;
                }
                match card.transmit(command) {
                    Reply::Bytes(answer) => write(stream, &answer)?,
                    Reply::Mute => {}
                    Reply::Gone => return Ok(()),
                }
            }
        }
    }
    Ok(())
}
