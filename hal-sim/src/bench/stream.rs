//! What passes between a kiosk on the bench and the bench: pictures, elements, lamps and trace out; touches and switches in.
//!
//! Exists in the demo build alone: the image has neither this stream nor anything that could inject a touch. Each message
//! is a length (u32, big endian, of what follows), one byte of kind, and the body: JSON, and after it the PNG where there
//! is one. Both sides refuse messages that are too long before they read them.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};

/// Longest message from the kiosk, in bytes: a picture that does not compress at all.
pub const MAX_TO_BENCH: u32 = 16 << 20;
/// Longest message to the kiosk, in bytes.
pub const MAX_TO_KIOSK: u32 = 1 << 10;

const PICTURE: u8 = 1;
const LAMPS: u8 = 2;
const TRACE: u8 = 3;
const TOUCH: u8 = 16;
const SWITCHES: u8 = 17;

/// One element on the screen, as assistive technology would see it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Element {
    /// Role as in ARIA: button, text, textbox, progressbar, img.
    pub role: String,
    /// What it says.
    pub label: String,
    /// What was typed or how far it is; may be empty.
    pub value: String,
    /// Left edge of its visible part, in pixels.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width of the visible part.
    pub w: f32,
    /// Height of the visible part.
    pub h: f32,
    /// Whether it answers to a touch.
    pub enabled: bool,
    /// Whether it is the chosen one of several.
    pub selected: bool,
}

impl Element {
    /// Whether a finger can do something with it.
    pub fn is_touchable(&self) -> bool {
        self.enabled && matches!(self.role.as_str(), "button" | "textbox")
    }
}

/// What the screen shows, without the pixels.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Scene {
    /// Stable name of the screen, e.g. `attract`.
    pub screen: String,
    /// `kk`, `ru` or `en`.
    pub language: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Everything that can be seen, in the order in which it is drawn.
    pub elements: Vec<Element>,
}

/// The lamps that show where to act.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Lamps {
    /// At the note slot.
    pub note_slot: bool,
    /// At the receipt slot.
    pub receipt_slot: bool,
    /// At the card slot.
    pub card_slot: bool,
    /// Not a lamp: it buzzes, because a card waits at the gate.
    pub buzzer: bool,
}

/// One step of a payment, numbered as in use case 5 of the instruction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TraceStep {
    /// 1..=25.
    pub step: u8,
    /// What it is.
    pub text: String,
}

/// From the kiosk.
#[derive(Clone, PartialEq, Debug)]
pub enum ToBench {
    /// The screen changed. `png` is empty when the pixels are still the same.
    Picture {
        /// What it shows.
        scene: Scene,
        /// The pixels as PNG.
        png: Vec<u8>,
    },
    /// A lamp changed.
    Lamps(Lamps),
    /// A step was taken.
    Trace(TraceStep),
}

/// What a finger does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Down and up again at once.
    Tap,
    /// Down.
    Pressed,
    /// Moves while down.
    Moved,
    /// Up.
    Released,
}

/// A finger on the glass.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Touch {
    /// What it does.
    pub phase: Phase,
    /// Pixels from the left.
    pub x: f32,
    /// Pixels from the top.
    pub y: f32,
}

/// The switches of the cabinet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Switches {
    /// Service door.
    pub door_open: bool,
    /// Safe with the cassette.
    pub safe_open: bool,
}

/// To the kiosk.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ToKiosk {
    /// A finger.
    Touch(Touch),
    /// Both switches as they are now; sent once after each start and after each change.
    Switches(Switches),
}

fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(|error| wrong(format!("bad message on the bench stream: {error}")))
}

fn json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| wrong(error.to_string()))
}

fn send(to: &mut impl Write, kind: u8, parts: &[&[u8]], limit: u32) -> io::Result<()> {
    let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    let length = u32::try_from(length).ok().filter(|length| *length <= limit);
    let length =
        length.ok_or_else(|| wrong(format!("a message for the bench stream is over {limit} bytes")))?;
    let mut head = length.to_be_bytes().to_vec();
    head.push(kind);
    to.write_all(&head)?;
    parts.iter().try_for_each(|part| to.write_all(part))?;
    to.flush()
}

/// `None` at the end of the stream.
fn receive(from: &mut impl Read, limit: u32) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; 4];
    match from.read(&mut head)? {
        0 => return Ok(None),
        got => from.read_exact(&mut head[got..])?,
    }
    let length = u32::from_be_bytes(head);
    if length == 0 || length > limit {
        return Err(wrong(format!(
            "a message of {length} bytes on the bench stream; 1 to {limit} are allowed"
        )));
    }
    let mut kind = [0];
    from.read_exact(&mut kind)?;
    let mut body = Vec::new();
    from.take(u64::from(length) - 1).read_to_end(&mut body)?;
    if body.len() as u64 != u64::from(length) - 1 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((kind[0], body)))
}

impl ToBench {
    /// Writes one message.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Picture { scene, png } => {
                let scene = json(scene)?;
                let length = u32::try_from(scene.len()).map_err(|_| wrong("too many elements".into()))?;
                send(to, PICTURE, &[&length.to_be_bytes(), &scene, png], MAX_TO_BENCH)
            }
            Self::Lamps(lamps) => send(to, LAMPS, &[&json(lamps)?], MAX_TO_BENCH),
            Self::Trace(step) => send(to, TRACE, &[&json(step)?], MAX_TO_BENCH),
        }
    }

    /// Reads one message; `None` when the kiosk has ended.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let Some((kind, body)) = receive(from, MAX_TO_BENCH)? else { return Ok(None) };
        match kind {
            PICTURE => {
                let (length, rest) =
                    body.split_first_chunk().ok_or_else(|| wrong("a picture without a scene".into()))?;
                let length = u32::from_be_bytes(*length) as usize;
                let (scene, png) =
                    rest.split_at_checked(length).ok_or_else(|| wrong("a scene that is cut short".into()))?;
                Ok(Some(Self::Picture { scene: parse(scene)?, png: png.to_vec() }))
            }
            LAMPS => Ok(Some(Self::Lamps(parse(&body)?))),
            TRACE => Ok(Some(Self::Trace(parse(&body)?))),
            other => Err(wrong(format!("kind {other} is not known on the bench stream"))),
        }
    }
}

impl ToKiosk {
    /// Writes one message.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Touch(touch) => send(to, TOUCH, &[&json(touch)?], MAX_TO_KIOSK),
            Self::Switches(switches) => send(to, SWITCHES, &[&json(switches)?], MAX_TO_KIOSK),
        }
    }

    /// Reads one message; `None` when the bench has ended.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let Some((kind, body)) = receive(from, MAX_TO_KIOSK)? else { return Ok(None) };
        match kind {
            TOUCH => Ok(Some(Self::Touch(parse(&body)?))),
            SWITCHES => Ok(Some(Self::Switches(parse(&body)?))),
            other => Err(wrong(format!("kind {other} is not known on the bench stream"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> ToBench {
        let element = Element {
            role: "button".into(),
            label: "Артқа".into(),
            value: String::new(),
            x: 1.5,
            y: 2.0,
            w: 300.0,
            h: 90.0,
            enabled: true,
            selected: false,
        };
        let scene = Scene {
            screen: "iin".into(),
            language: "kk".into(),
            width: 1080,
            height: 1920,
            elements: vec![element],
        };
        ToBench::Picture { scene, png: vec![0x89, b'P'] }
    }

    #[test]
    fn every_message_comes_out_as_it_went_in() {
        let all = [
            picture(),
            ToBench::Lamps(Lamps { note_slot: true, buzzer: true, ..Lamps::default() }),
            ToBench::Trace(TraceStep { step: 10, text: "notes".into() }),
        ];
        let mut bytes = Vec::new();
        all.iter().for_each(|message| message.write(&mut bytes).unwrap());
        let mut from = bytes.as_slice();
        for message in &all {
            assert_eq!(ToBench::read(&mut from).unwrap().as_ref(), Some(message));
        }
        assert_eq!(ToBench::read(&mut from).unwrap(), None);

        let all = [
            ToKiosk::Touch(Touch { phase: Phase::Moved, x: 540.0, y: 1900.5 }),
            ToKiosk::Switches(Switches { door_open: true, safe_open: false }),
        ];
        let mut bytes = Vec::new();
        all.iter().for_each(|message| message.write(&mut bytes).unwrap());
        let mut from = bytes.as_slice();
        for message in &all {
            assert_eq!(ToKiosk::read(&mut from).unwrap().as_ref(), Some(message));
        }
    }

    #[test]
    fn what_is_cut_too_long_or_unknown_is_an_error_and_never_a_message() {
        let mut bytes = Vec::new();
        picture().write(&mut bytes).unwrap();
        for length in 1..bytes.len() {
            assert!(ToBench::read(&mut &bytes[..length]).is_err(), "{length} bytes of {}", bytes.len());
        }
        let text = |bytes: &[u8]| ToKiosk::read(&mut &bytes[..]).unwrap_err().to_string();
        assert!(text(&[0, 0, 4, 1, 16]).contains("1025 bytes"));
        assert!(text(&[0, 0, 0, 0]).contains("0 bytes"));
        assert!(text(&[0, 0, 0, 1, 99]).contains("kind 99"));
        assert!(text(&[0, 0, 0, 3, 16, b'{', b'}']).contains("missing field"));
    }
}
