//! The printer's ear: finds commands in the stream, however it is cut.

use super::Query;
use heapless::Vec;

/// Bytes of a `GS (` command that are kept; longer ones are counted and cut.
pub const MAX_DATA: usize = 64;
/// Longest head of a command before its length is known.
const MAX_HEAD: usize = 8;

/// One command, or one byte of dots or text.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack; this crate does not allocate for commands"
)]
pub enum Decoded {
    /// ESC @.
    Init,
    /// LF.
    LineFeed,
    /// ESC d n.
    FeedLines(u8),
    /// ESC J n.
    FeedDots(u8),
    /// GS V, ESC i, ESC m: cut, after feeding to the cutter and by so many units if given.
    Cut {
        /// Partial or full.
        partial: bool,
        /// `Some` = feed to the cutter plus so many units before.
        feed: Option<u8>,
    },
    /// DLE EOT n with n = 1..4: answer at once, even when busy or offline.
    StatusRequest(Query),
    /// DLE ENQ 1: recover and print the line again.
    RecoverRetry,
    /// DLE ENQ 2: recover and clear the buffers.
    RecoverClear,
    /// GS a n.
    AutomaticStatus(u8),
    /// GS ( H, function 48: answer when all before is printed.
    PrintDoneRequest([u8; 4]),
    /// GS v 0: rows of dots follow as [`Decoded::Dots`], `bytes_per_row * rows` of them.
    Raster {
        /// 0 normal, 1 double width, 2 double height, 3 both.
        mode: u8,
        /// Bytes in a row.
        bytes_per_row: u16,
        /// Number of rows.
        rows: u16,
    },
    /// Eight dots of the last [`Decoded::Raster`], most significant bit left.
    Dots(u8),
    /// `GS (` with another function.
    Extended {
        /// The letter after `GS (`.
        function: u8,
        /// Its data, cut after [`MAX_DATA`] bytes.
        data: Vec<u8, MAX_DATA>,
        /// How many bytes it really had.
        length: u16,
    },
    /// A command of known length that has no variant of its own, e.g. alignment.
    Other(Vec<u8, MAX_HEAD>),
    /// Not a command that this module knows: its first bytes. What follows will look like text.
    Unknown(Vec<u8, MAX_HEAD>),
    /// Any other byte: text in some code page.
    Text(u8),
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Head,
    Dots {
        left: u32,
    },
    Extended {
        function: u8,
        length: u16,
        left: u16,
        data: Vec<u8, MAX_DATA>,
    },
    /// Data after a head that only has to be skipped.
    Skip {
        left: u32,
        head: Vec<u8, MAX_HEAD>,
    },
}

/// Finds commands in a stream of bytes, one byte at a time. Never holds more than a head.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
    head: Vec<u8, MAX_HEAD>,
}

/// What a head means so far.
enum Head {
    More,
    Done(Decoded),
    Then(Decoded, State),
    Quietly(State),
}

impl Decoder {
    /// An empty decoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the stream is between two commands.
    pub fn is_between_commands(&self) -> bool {
        matches!(self.state, State::Head) && self.head.is_empty()
    }

    /// Takes one byte.
    pub fn push(&mut self, byte: u8) -> Option<Decoded> {
        match &mut self.state {
            State::Head => self.push_head(byte),
            State::Dots { left } => {
                *left -= 1;
                if *left == 0 {
                    self.state = State::Head;
                }
                Some(Decoded::Dots(byte))
            }
            State::Extended { function, length, left, data } => {
                let _ = data.push(byte);
                *left -= 1;
                if *left > 0 {
                    return None;
                }
                let done = extended(*function, core::mem::take(data), *length);
                self.state = State::Head;
                Some(done)
            }
            State::Skip { left, head } => {
                *left -= 1;
                if *left > 0 {
                    return None;
                }
                let done = Decoded::Other(core::mem::take(head));
                self.state = State::Head;
                Some(done)
            }
        }
    }

    fn push_head(&mut self, byte: u8) -> Option<Decoded> {
        self.head.push(byte).expect("invariant: heads are decided within their length");
        match head(&self.head) {
            Head::More => None,
            Head::Done(done) => {
                self.head.clear();
                Some(done)
            }
            Head::Then(done, state) => {
                (self.head, self.state) = (Vec::new(), state);
                Some(done)
            }
            Head::Quietly(state) => {
                (self.head, self.state) = (Vec::new(), state);
                None
            }
        }
    }
}

fn extended(function: u8, data: Vec<u8, MAX_DATA>, length: u16) -> Decoded {
    match (function, data.as_slice()) {
        (b'H', [0x30, 0x30, a, b, c, d]) => Decoded::PrintDoneRequest([*a, *b, *c, *d]),
        _ => Decoded::Extended { function, data, length },
    }
}

fn head(bytes: &[u8]) -> Head {
    match *bytes {
        [0x0A] => Head::Done(Decoded::LineFeed),
        [0x10 | 0x1B | 0x1C | 0x1D] => Head::More,
        // NUL prints nothing.
        [0x00] => Head::Quietly(State::Head),
        [byte] => Head::Done(Decoded::Text(byte)),
        [0x10, ..] => real_time(bytes),
        [0x1B, ..] => escape(bytes),
        [0x1D, ..] => group(bytes),
        _ => Head::Done(Decoded::Unknown(kept(bytes))),
    }
}

fn kept(bytes: &[u8]) -> Vec<u8, MAX_HEAD> {
    bytes.iter().copied().take(MAX_HEAD).collect()
}

/// Waits until `bytes` is `length` long, then it is a command without a variant of its own.
fn sized(bytes: &[u8], length: usize) -> Head {
    if bytes.len() < length { Head::More } else { Head::Done(Decoded::Other(kept(bytes))) }
}

fn real_time(bytes: &[u8]) -> Head {
    match *bytes {
        [_, 0x04 | 0x05] => Head::More,
        [_, 0x04, number] => Head::Done(match Query::from_number(number) {
            Some(query) => Decoded::StatusRequest(query),
            None => Decoded::Other(kept(bytes)),
        }),
        [_, 0x05, 0x01] => Head::Done(Decoded::RecoverRetry),
        [_, 0x05, 0x02] => Head::Done(Decoded::RecoverClear),
        [_, 0x05, _] => Head::Done(Decoded::Other(kept(bytes))),
        [_, 0x14, ..] => sized(bytes, 5),
        _ => Head::Done(Decoded::Unknown(kept(bytes))),
    }
}

fn escape(bytes: &[u8]) -> Head {
    match *bytes {
        [_, 0x40] => Head::Done(Decoded::Init),
        [_, 0x69] => Head::Done(Decoded::Cut { partial: false, feed: None }),
        [_, 0x6D] => Head::Done(Decoded::Cut { partial: true, feed: None }),
        [_, 0x64, lines] => Head::Done(Decoded::FeedLines(lines)),
        [_, 0x4A, dots] => Head::Done(Decoded::FeedDots(dots)),
        // ESC * m nL nH: column mode dots, skipped.
        [_, 0x2A, mode, low, high] => {
            let columns = u32::from(u16::from_le_bytes([low, high]));
            let left = columns * if mode < 32 { 1 } else { 3 };
            if left == 0 {
                return Head::Done(Decoded::Other(kept(bytes)));
            }
            Head::Quietly(State::Skip { left, head: kept(bytes) })
        }
        [_, 0x64 | 0x4A] => Head::More,
        [_, 0x2A, ..] => Head::More,
        // ESC 2, ESC v, ESC <: no parameter.
        [_, 0x32 | 0x76 | 0x3C] => Head::Done(Decoded::Other(kept(bytes))),
        // One parameter: space, !, %, -, 3, =, ?, E, G, M, R, V, a, c 5 n (two), r, t, {.
        [_, 0x20 | 0x21 | 0x25 | 0x2D | 0x33 | 0x3D | 0x3F | 0x45 | 0x47 | 0x4D | 0x52 | 0x56, ..]
        | [_, 0x61 | 0x72 | 0x74 | 0x7B, ..] => sized(bytes, 3),
        [_, 0x63 | 0x24 | 0x5C, ..] => sized(bytes, 4),
        [_, 0x70, ..] => sized(bytes, 5),
        _ => Head::Done(Decoded::Unknown(kept(bytes))),
    }
}

fn group(bytes: &[u8]) -> Head {
    match *bytes {
        // GS V: 0, 1, 48, 49 cut here; 65, 66 feed and cut.
        [_, 0x56] => Head::More,
        [_, 0x56, 0x00 | 0x30] => Head::Done(Decoded::Cut { partial: false, feed: None }),
        [_, 0x56, 0x01 | 0x31] => Head::Done(Decoded::Cut { partial: true, feed: None }),
        [_, 0x56, 0x41 | 0x42] => Head::More,
        [_, 0x56, 0x41, units] => Head::Done(Decoded::Cut { partial: false, feed: Some(units) }),
        [_, 0x56, 0x42, units] => Head::Done(Decoded::Cut { partial: true, feed: Some(units) }),
        [_, 0x61] => Head::More,
        [_, 0x61, causes] => Head::Done(Decoded::AutomaticStatus(causes)),
        [_, 0x76, 0x30, mode, xl, xh, yl, yh] => {
            let (bytes_per_row, rows) = (u16::from_le_bytes([xl, xh]), u16::from_le_bytes([yl, yh]));
            let head = Decoded::Raster { mode, bytes_per_row, rows };
            match u32::from(bytes_per_row) * u32::from(rows) {
                0 => Head::Done(head),
                left => Head::Then(head, State::Dots { left }),
            }
        }
        [_, 0x76] | [_, 0x76, 0x30, ..] => Head::More,
        [_, 0x28, function, low, high] => match u16::from_le_bytes([low, high]) {
            0 => Head::Done(Decoded::Extended { function, data: Vec::new(), length: 0 }),
            length => Head::Quietly(State::Extended { function, length, left: length, data: Vec::new() }),
        },
        [_, 0x28, ..] => Head::More,
        // One parameter: !, B, H, I, b, e, f, h, r, w.
        [_, 0x21 | 0x42 | 0x48 | 0x49 | 0x62 | 0x65 | 0x66 | 0x68 | 0x72 | 0x77, ..] => sized(bytes, 3),
        // Two: margin, units, width.
        [_, 0x4C | 0x50 | 0x57, ..] => sized(bytes, 4),
        _ => Head::Done(Decoded::Unknown(kept(bytes))),
    }
}
