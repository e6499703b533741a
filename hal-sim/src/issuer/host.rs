//! The acquirer's host in front of the test issuer: one connection, without IO. Bytes in, bytes out.
//!
//! It takes nothing before a sign-on, answers echoes, checks the code of each message and puts its own under each answer. What cannot be
//! believed closes the connection, with the reason.

use super::TestIssuer;
use data_encoding::HEXUPPER;
use tolem_protocol::iso8583::{
    Message, MessageType, de,
    frame::{Frames, frame},
    mac::{Draw, LinkKey, MacKey, SessionKeys},
    network,
};
use zeroize::Zeroizing;

/// What is said to bytes that came.
#[derive(Default)]
pub struct Said {
    /// To be written, in this order.
    pub frames: Vec<Zeroizing<Vec<u8>>>,
    /// To be closed afterwards, for this reason.
    pub close: Option<String>,
    /// What happened, one line each, for people.
    pub lines: Vec<String>,
}

/// One connection.
pub struct HostLine {
    key: Option<LinkKey>,
    draw: Draw,
    signed_on: bool,
    keys: Option<SessionKeys>,
    frames: Frames,
}

impl HostLine {
    /// A connection that has just been accepted. `draw` is what the host draws for it.
    pub fn new(key: Option<LinkKey>, draw: Draw) -> Self {
        Self { key, draw, signed_on: false, keys: None, frames: Frames::default() }
    }

    /// Takes bytes in, at most [`tolem_protocol::iso8583::frame::MAX_PUSH`] at once.
    pub fn handle_bytes(&mut self, issuer: &mut TestIssuer, bytes: &[u8]) -> Said {
        let mut said = Said::default();
        self.frames.push(bytes);
        while said.close.is_none() {
            match self.frames.next_message() {
                Ok(Some(message)) => self.take(issuer, &message, &mut said),
                Ok(None) => break,
                Err(error) => said.close = Some(error.to_string()),
            }
        }
        said
    }

    fn take(&mut self, issuer: &mut TestIssuer, bytes: &[u8], said: &mut Said) {
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(error) => return said.close = Some(error.to_string()),
        };
        said.lines.push(format!("< {message:?}"));
        if !self.signed_on {
            return self.sign_on(&message, said);
        }
        if self.keys.as_ref().is_some_and(|keys| !keys.to_host.fits(&message)) {
            return said.close =
                Some(format!("a message {:?} with a wrong code, or without one", message.kind));
        }
        let answers = match message.kind {
            MessageType::NETWORK => Some(echoed(&message)),
            _ => issuer.hear(&message.encode()).and_then(|answer| Message::decode(&answer).ok()),
        };
        let late = issuer.late_answers();
        // An answer that was to come late comes behind the next one; if there is none now, it waits.
        match answers {
            Some(answer) => {
                self.say(answer, said);
                for bytes in late {
                    if let Ok(answer) = Message::decode(&bytes) {
                        self.say(answer, said);
                    }
                }
            }
            None => {
                said.lines.push("no answer".into());
                issuer.late.extend(late);
            }
        }
    }

    fn sign_on(&mut self, message: &Message, said: &mut Said) {
        let is_sign_on =
            message.kind == MessageType::NETWORK && message.get(de::NETWORK) == Some(&network::SIGN_ON);
        if !is_sign_on {
            return said.close = Some(format!("a message {:?} before the sign-on", message.kind));
        }
        let mut answer = echoed(message);
        if let Some(key) = &self.key {
            let sign_on = key.sign_on();
            let drawn = message.get(de::PRIVATE).and_then(|text| HEXUPPER.decode(text).ok()?.try_into().ok());
            let Some(center) = drawn.filter(|_| sign_on.fits(message)) else {
                let refused = answer.with(de::RESPONSE, b"63");
                said.frames.extend(sealed(refused, Some(&sign_on)));
                return said.close = Some("a sign-on with a wrong code, or without one".into());
            };
            answer = answer.with(de::PRIVATE, HEXUPPER.encode(&self.draw).as_bytes());
            self.keys = Some(key.session(&center, &self.draw));
        }
        self.signed_on = true;
        self.say(answer, said);
    }

    fn say(&self, answer: Message, said: &mut Said) {
        said.lines.push(format!("> {answer:?}"));
        said.frames.extend(sealed(answer, self.keys.as_ref().map(|keys| &keys.to_center)));
    }
}

fn sealed(mut message: Message, key: Option<&MacKey>) -> Option<Zeroizing<Vec<u8>>> {
    if let Some(key) = key {
        key.seal(&mut message).ok()?;
    }
    frame(&message.encode()).ok()
}

fn echoed(message: &Message) -> Message {
    let mut answer = Message::new(MessageType::NETWORK_ANSWER).with(de::RESPONSE, b"00");
    for field in [de::SENT, de::TRACE, de::NETWORK] {
        if let Some(value) = message.get(field) {
            let _ = answer.set(field, value);
        }
    }
    answer
}
