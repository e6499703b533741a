//! Framing: checksum, encoder and the decoder that finds frames in any stream.

use heapless::Vec;

/// First byte of every frame.
pub const SYNC: u8 = 0x02;
/// Address of a bill validator.
pub const ADDRESS: u8 = 0x03;
/// Shortest frame in bytes: one byte of payload.
pub const MIN_FRAME: usize = 6;
/// Longest frame in bytes, as its length fits one byte.
pub const MAX_FRAME: usize = 255;
/// Bytes around the payload.
pub(super) const OVERHEAD: usize = 5;
/// Longest payload in bytes.
pub const MAX_PAYLOAD: usize = MAX_FRAME - OVERHEAD;
/// Highest address a device may have.
const MAX_ADDRESS: u8 = 0x0F;
/// The bytes between length and checksum.
pub type Payload = Vec<u8, MAX_PAYLOAD>;
/// A whole frame, ready for the line.
pub type FrameBytes = Vec<u8, MAX_FRAME>;

/// CRC-16/KERMIT: polynomial 0x8408 reflected, start 0, no final inversion.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x8408 } else { crc >> 1 })
    })
}

/// One frame with a good checksum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Address of the device, in both directions.
    pub address: u8,
    /// At least one byte.
    pub payload: Payload,
}

/// Frames `payload` for the device at `address`. A payload of 0 or more than [`MAX_PAYLOAD`] bytes gives `None`.
pub fn encode(address: u8, payload: &[u8]) -> Option<FrameBytes> {
    if payload.is_empty() {
        return None;
    }
    let length = u8::try_from(payload.len() + OVERHEAD).ok()?;
    let mut frame = FrameBytes::from_slice(&[SYNC, address, length]).ok()?;
    frame.extend_from_slice(payload).ok()?;
    let crc = crc16(&frame);
    frame.extend_from_slice(&crc.to_le_bytes()).ok()?;
    Some(frame)
}

pub(super) fn encode_own(payload: &[u8]) -> FrameBytes {
    encode(ADDRESS, payload).expect("invariant: own payloads have 1 to 120 bytes")
}

/// What a decoder found in the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack; this crate does not allocate for frames"
)]
pub enum Decoded {
    /// A frame with a good checksum.
    Frame(Frame),
    /// Something shaped like a frame whose checksum is wrong: answer NAK.
    BadCrc,
}

/// Finds frames in a stream of bytes, however it is cut and whatever lies between them. Holds at most one frame.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    buffer: FrameBytes,
}

/// What the front of the buffer is.
enum Front {
    Incomplete,
    Noise,
    BadCrc,
    /// A frame of so many bytes.
    Frame(usize),
}

impl Decoder {
    /// An empty decoder.
    pub const fn new() -> Self {
        Self { buffer: Vec::new() }
    }

    /// Takes bytes from the front of `input` until something is found; `None` when `input` is used up.
    /// Call it in a loop.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Decoded> {
        loop {
            if let Some(found) = self.scan() {
                return Some(found);
            }
            let (first, rest) = input.split_first()?;
            *input = rest;
            self.buffer.push(*first).expect("invariant: scan leaves less than one frame");
        }
    }

    /// Gives up waiting for the rest of a frame (the line fell silent): looks for frames inside what was taken for its
    /// beginning, e.g. after noise that looked like a long frame. `None` when nothing is left.
    pub fn expire(&mut self) -> Option<Decoded> {
        while !self.buffer.is_empty() {
            self.drop_front(1);
            if let Some(found) = self.scan() {
                return Some(found);
            }
        }
        None
    }

    /// Bytes of an incomplete frame.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    /// Forgets an incomplete frame.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }

    /// Decides about the front of the buffer until it is an incomplete frame or empty.
    fn scan(&mut self) -> Option<Decoded> {
        while !self.buffer.is_empty() {
            match self.front() {
                Front::Incomplete => return None,
                Front::Noise => self.drop_front(1),
                Front::BadCrc => {
                    // A frame may begin inside the broken one: only its SYNC is dropped.
                    self.drop_front(1);
                    return Some(Decoded::BadCrc);
                }
                Front::Frame(length) => {
                    let payload = Payload::from_slice(&self.buffer[3..length - 2])
                        .expect("invariant: the length is one byte");
                    let frame = Frame { address: self.buffer[1], payload };
                    self.drop_front(length);
                    return Some(Decoded::Frame(frame));
                }
            }
        }
        None
    }

    fn front(&self) -> Front {
        let bytes = self.buffer.as_slice();
        let [SYNC, rest @ ..] = bytes else { return Front::Noise };
        let [address, rest @ ..] = rest else { return Front::Incomplete };
        if *address == 0 || *address > MAX_ADDRESS {
            return Front::Noise;
        }
        let [length, ..] = rest else { return Front::Incomplete };
        let length = usize::from(*length);
        if length < MIN_FRAME {
            return Front::Noise;
        }
        let Some(frame) = bytes.get(..length) else { return Front::Incomplete };
        let (body, crc) = frame.split_at(length - 2);
        if crc == crc16(body).to_le_bytes() { Front::Frame(length) } else { Front::BadCrc }
    }

    fn drop_front(&mut self, count: usize) {
        let kept = self.buffer.len() - count;
        self.buffer.copy_within(count.., 0);
        self.buffer.truncate(kept);
    }
}
