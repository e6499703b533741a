//! One connection to an acquirer, without socket, clock and randomness: bytes and time in, bytes and what was heard out.
//!
//! ```text
//! Signing on ──0810 00──▶ Open ──silence──▶ asked by an echo ──0810──▶ Open
//!      │                    │                      │
//!      └── refused, late ───┴── not readable, code wrong, cut, no echo ──▶ Closed (and connected again by the channel)
//! ```
//! A connection on which something came that cannot be believed is closed at once: what else would come on it is not worth more. What
//! was under way on it has not been answered, and the rules know what follows from that.

use crate::logic::acquirer::Name;
use std::{collections::VecDeque, fmt};
use tolem_protocol::{
    UtcTime,
    iso8583::{
        Message, MessageType, de,
        frame::{Frames, frame},
        mac::{Draw, LinkKey, MacKey, SessionKeys},
        network,
    },
};
use zeroize::Zeroizing;

/// Answer to a network message that is not known.
const NOT_KNOWN: [u8; 2] = *b"30";

/// The moment of a call.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// A clock that only runs forward, in milliseconds.
    pub ms: u64,
    /// The center's clock, for field 7.
    pub utc: UtcTime,
}

/// Bounds of a session.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Longest wait for a sign-on, an echo or the rest of a frame, in milliseconds.
    pub wait_ms: u64,
    /// Silence after which an echo is sent, in milliseconds.
    pub echo_ms: u64,
}

/// Why a session has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Bytes that are no frame.
    Frame(String),
    /// A frame that is no message.
    Message(String),
    /// A message of this type whose code is wrong or missing.
    Code(MessageType),
    /// The host refuses the sign-on with this code.
    Refused(String),
    /// Something else than the answer came to the sign-on.
    SignOn(MessageType),
    /// The host has signed off.
    SignedOff,
    /// No answer to the sign-on.
    NoSignOn,
    /// No answer to an echo.
    NoEcho,
    /// The rest of a frame did not come.
    Cut,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(why) | Self::Message(why) => write!(f, "what came cannot be read: {why}"),
            Self::Code(kind) => write!(f, "a message {kind:?} with a wrong code, or without one"),
            Self::Refused(code) => write!(f, "the host refuses the sign-on: code {code}"),
            Self::SignOn(kind) => write!(f, "a message {kind:?} came before the answer to the sign-on"),
            Self::SignedOff => f.write_str("the host has signed off"),
            Self::NoSignOn => f.write_str("the sign-on was not answered"),
            Self::NoEcho => f.write_str("an echo was not answered"),
            Self::Cut => f.write_str("the rest of a frame did not come"),
        }
    }
}

/// What a session wants or has heard.
pub enum Output {
    /// Write these bytes.
    Send(Zeroizing<Vec<u8>>),
    /// Signed on: payments may be asked for.
    Open,
    /// An answer, believed; what it answers is for the rules to find.
    Heard(Message),
    /// For the log.
    Note(String),
    /// Close the connection. Nothing comes after this.
    Close(Ended),
}

enum State {
    SigningOn { name: Name, draw: Draw, until: u64 },
    Open { keys: Option<SessionKeys>, echo: Option<(Name, u64)> },
    Closed,
}

/// See the module.
pub struct Session {
    key: Option<LinkKey>,
    bounds: Bounds,
    state: State,
    frames: Frames,
    /// When something was last heard.
    heard: u64,
    /// When the frame that is not whole began.
    cut_since: Option<u64>,
    trace: u32,
    output: VecDeque<Output>,
}

impl Session {
    /// Begins: the sign-on is the first output. `draw` must be unpredictable; network messages count their trace numbers from `trace`.
    pub fn new(key: Option<LinkKey>, bounds: Bounds, draw: Draw, trace: u32, now: Now) -> Self {
        let mut session = Self {
            key,
            bounds,
            state: State::Closed,
            frames: Frames::default(),
            heard: now.ms,
            cut_since: None,
            trace,
            output: VecDeque::new(),
        };
        let (name, mut message) = session.network(network::SIGN_ON, now);
        if let Some(key) = &session.key {
            let text = data_encoding::HEXUPPER.encode(&draw);
            let _ = message.set(de::PRIVATE, text.as_bytes());
            let sign_on = key.sign_on();
            session.write(message, Some(&sign_on));
        } else {
            session.write(message, None);
        }
        session.state = State::SigningOn { name, draw, until: now.ms + bounds.wait_ms };
        session
    }

    /// Whether payments may be asked for.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Says something; nothing if it is not open.
    pub fn say(&mut self, message: Message) {
        let State::Open { keys, .. } = &self.state else { return };
        let bytes = sealed(message, keys.as_ref().map(|keys| &keys.to_host));
        self.output.extend(bytes.map(Output::Send));
    }

    /// Takes bytes in, at most [`tolem_protocol::iso8583::frame::MAX_PUSH`] at once.
    pub fn handle_bytes(&mut self, now: Now, bytes: &[u8]) {
        if matches!(self.state, State::Closed) {
            return;
        }
        self.frames.push(bytes);
        loop {
            match self.frames.next_message() {
                Ok(Some(message)) => self.take(now, &message),
                Ok(None) => break,
                Err(error) => return self.end(Ended::Frame(error.to_string())),
            }
            if matches!(self.state, State::Closed) {
                return;
            }
        }
        self.cut_since = self.frames.is_within().then_some(self.cut_since.unwrap_or(now.ms));
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.cut_since.is_some_and(|since| now.ms >= since + self.bounds.wait_ms) {
            return self.end(Ended::Cut);
        }
        match &self.state {
            State::SigningOn { until, .. } if now.ms >= *until => self.end(Ended::NoSignOn),
            State::Open { echo: Some((_, until)), .. } if now.ms >= *until => self.end(Ended::NoEcho),
            State::Open { echo: None, .. } if now.ms >= self.heard + self.bounds.echo_ms => {
                let (name, message) = self.network(network::ECHO, now);
                self.say(message);
                if let State::Open { echo, .. } = &mut self.state {
                    *echo = Some((name, now.ms + self.bounds.wait_ms));
                }
            }
            _ => {}
        }
    }

    /// When [`Session::handle_timeout`] wants to be called, in milliseconds of its clock; `None` when it has ended.
    pub fn wait(&self) -> Option<u64> {
        let next = match &self.state {
            State::SigningOn { until, .. } | State::Open { echo: Some((_, until)), .. } => *until,
            State::Open { echo: None, .. } => self.heard + self.bounds.echo_ms,
            State::Closed => return None,
        };
        Some(self.cut_since.map_or(next, |since| next.min(since + self.bounds.wait_ms)))
    }

    /// The next output, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    fn end(&mut self, why: Ended) {
        self.state = State::Closed;
        self.output.push_back(Output::Close(why));
    }

    /// A network message of our own.
    fn network(&mut self, what: [u8; 3], now: Now) -> (Name, Message) {
        let name = Name { trace: self.trace, sent: now.utc };
        self.trace = self.trace.wrapping_add(1);
        let message = Message::new(MessageType::NETWORK)
            .with(de::SENT, &name.sent_digits())
            .with(de::TRACE, &name.trace_digits())
            .with(de::NETWORK, &what);
        (name, message)
    }

    fn write(&mut self, message: Message, key: Option<&MacKey>) {
        self.output.extend(sealed(message, key).map(Output::Send));
    }

    fn take(&mut self, now: Now, bytes: &[u8]) {
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(error) => return self.end(Ended::Message(error.to_string())),
        };
        match &self.state {
            State::SigningOn { name, draw, .. } => {
                if message.kind != MessageType::NETWORK_ANSWER {
                    return self.end(Ended::SignOn(message.kind));
                }
                let (name, draw) = (*name, *draw);
                self.signed_on(now, name, draw, &message);
            }
            State::Open { keys, .. } => {
                if keys.as_ref().is_some_and(|keys| !keys.to_center.fits(&message)) {
                    return self.end(Ended::Code(message.kind));
                }
                self.heard = now.ms;
                self.believed(message);
            }
            State::Closed => {}
        }
    }

    fn signed_on(&mut self, now: Now, name: Name, draw: Draw, answer: &Message) {
        let keys = match &self.key {
            None => None,
            Some(key) => {
                let host = answer.get(de::PRIVATE).and_then(draw_of);
                // A refusal comes before the host has drawn.
                let keys = host.map(|host| key.session(&draw, &host));
                let sign_on = key.sign_on();
                let with = keys.as_ref().map_or(&sign_on, |keys| &keys.to_center);
                if !with.fits(answer) {
                    return self.end(Ended::Code(answer.kind));
                }
                keys
            }
        };
        if !names(answer, name) {
            return self.end(Ended::SignOn(answer.kind));
        }
        match answer.get(de::RESPONSE) {
            Some(b"00") if self.key.is_none() || keys.is_some() => {
                self.heard = now.ms;
                self.state = State::Open { keys, echo: None };
                self.output.push_back(Output::Open);
            }
            code => {
                let code = String::from_utf8_lossy(code.unwrap_or(b"missing")).into_owned();
                self.end(Ended::Refused(code));
            }
        }
    }

    /// A message whose code was right.
    fn believed(&mut self, message: Message) {
        match message.kind {
            MessageType::NETWORK_ANSWER => {
                let State::Open { echo, .. } = &mut self.state else { return };
                if echo.is_some_and(|(name, _)| names(&message, name)) {
                    *echo = None;
                } else {
                    self.output.push_back(Output::Note(format!("an answer to no echo: {message:?}")));
                }
            }
            MessageType::NETWORK => self.asked(&message),
            MessageType::AUTHORIZATION_ANSWER | MessageType::ADVICE_ANSWER | MessageType::REVERSAL_ANSWER => {
                self.output.push_back(Output::Heard(message))
            }
            _ => self.output.push_back(Output::Note(format!("refused, it is nothing for us: {message:?}"))),
        }
    }

    /// The host asks something of the line itself.
    fn asked(&mut self, message: &Message) {
        let what = message.get(de::NETWORK).unwrap_or_default().to_vec();
        let code = if what == network::ECHO || what == network::SIGN_OFF { *b"00" } else { NOT_KNOWN };
        let mut answer = Message::new(MessageType::NETWORK_ANSWER).with(de::RESPONSE, &code);
        for field in [de::SENT, de::TRACE, de::NETWORK] {
            if let Some(value) = message.get(field) {
                let _ = answer.set(field, value);
            }
        }
        self.say(answer);
        if what == network::SIGN_OFF {
            self.end(Ended::SignedOff);
        } else if code == NOT_KNOWN {
            self.output.push_back(Output::Note(format!("refused, it is not known here: {message:?}")));
        }
    }
}

/// A message in its frame; nothing if it is too long for one, which no message of ours is.
fn sealed(mut message: Message, key: Option<&MacKey>) -> Option<Zeroizing<Vec<u8>>> {
    if let Some(key) = key {
        key.seal(&mut message).ok()?;
    }
    frame(&message.encode()).ok()
}

fn names(answer: &Message, name: Name) -> bool {
    answer.get(de::TRACE) == Some(&name.trace_digits()) && answer.get(de::SENT) == Some(&name.sent_digits())
}

fn draw_of(text: &[u8]) -> Option<Draw> {
    data_encoding::HEXUPPER.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests;
