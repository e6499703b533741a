//! Frames on a line to an acquirer: two bytes of length, big endian, and a message of that many bytes.

use alloc::vec::Vec;
use core::fmt;
use zeroize::Zeroizing;

/// Longest message in bytes. Whatever says more is no acquirer.
pub const MAX_MESSAGE: usize = 4_096;
/// Most bytes that are given to [`Frames::push`] at once.
pub const MAX_PUSH: usize = 2_048;

/// Why bytes are no frame. Nothing behind them can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// A message of no bytes.
    Empty,
    /// A message of so many bytes, more than [`MAX_MESSAGE`].
    Long(usize),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a frame without a message"),
            Self::Long(length) => write!(f, "a frame of {length} bytes, at most {MAX_MESSAGE} are allowed"),
        }
    }
}

/// A message with its length in front.
///
/// # Errors
/// If it is empty or longer than [`MAX_MESSAGE`].
pub fn frame(message: &[u8]) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let length = check(message.len())?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(message.len() + 2));
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(message);
    Ok(bytes)
}

fn check(length: usize) -> Result<u16, FrameError> {
    match u16::try_from(length) {
        Ok(0) => Err(FrameError::Empty),
        Ok(short) if length <= MAX_MESSAGE => Ok(short),
        _ => Err(FrameError::Long(length)),
    }
}

/// Cuts a stream of bytes into messages, however they were cut on the way. Wiped when dropped.
pub struct Frames {
    bytes: Zeroizing<Vec<u8>>,
}

impl Default for Frames {
    fn default() -> Self {
        // Never grown, so that no copy is left behind in freed memory.
        Self { bytes: Zeroizing::new(Vec::with_capacity(MAX_MESSAGE + 2 + MAX_PUSH)) }
    }
}

impl Frames {
    /// Takes bytes in, at most [`MAX_PUSH`]; call [`Frames::next_message`] until it gives nothing before the next ones.
    ///
    /// # Panics
    /// If there are more.
    pub fn push(&mut self, bytes: &[u8]) {
        assert!(self.bytes.len() + bytes.len() <= self.bytes.capacity(), "bytes are taken in small pieces");
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    /// Close the line: where the next frame begins is not known.
    pub fn next_message(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, FrameError> {
        let Some((length, rest)) = self.bytes.split_first_chunk::<2>() else { return Ok(None) };
        let length = usize::from(check(usize::from(u16::from_be_bytes(*length)))?);
        let Some(message) = rest.get(..length) else { return Ok(None) };
        let message = Zeroizing::new(message.to_vec());
        self.bytes.drain(..length + 2);
        Ok(Some(message))
    }

    /// Whether the beginning of a frame is here and its end is not.
    pub fn is_within(&self) -> bool {
        !self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let messages: [&[u8]; 3] = [b"0800", &[7; 300], &[9; MAX_MESSAGE]];
        let stream: Vec<u8> =
            messages.iter().flat_map(|message| frame(message).expect("a frame").to_vec()).collect();
        for step in [1, 2, 3, 299, 1_000, MAX_PUSH] {
            let (mut frames, mut found) = (Frames::default(), 0);
            for part in stream.chunks(step) {
                frames.push(part);
                while let Some(message) = frames.next_message().expect("good frames") {
                    assert_eq!(message.as_slice(), messages[found]);
                    found += 1;
                }
            }
            assert_eq!((found, frames.is_within()), (3, false), "in pieces of {step}");
        }
        assert_eq!(frame(b"0800").expect("a frame").as_slice(), b"\x00\x040800");
    }

    #[test]
    fn empty_and_endless_frames_are_refused_before_they_arrive() {
        for (length, error) in [
            (0_u16, FrameError::Empty),
            (4_097, FrameError::Long(4_097)),
            (u16::MAX, FrameError::Long(65_535)),
        ] {
            let mut frames = Frames::default();
            frames.push(&length.to_be_bytes());
            assert_eq!(frames.next_message(), Err(error));
        }
        assert_eq!(frame(&[]), Err(FrameError::Empty));
        assert_eq!(frame(&[0; 4_097]), Err(FrameError::Long(4_097)));
        let mut frames = Frames::default();
        frames.push(&[0]);
        assert_eq!((frames.next_message(), frames.is_within()), (Ok(None), true));
    }
}
