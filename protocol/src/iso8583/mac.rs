//! Codes over messages, so that nobody between acquirer and center can change, invent or replay one.
//!
//! Both sides have a key of 32 bytes. At each sign-on each side draws 16 bytes, and four keys follow from the long key and both draws, so
//! that a message of an earlier connection, or one that was turned round, does not fit. The code stands in the last field of a message: 128
//! if it has fields above 64, else 64. It is HMAC-SHA-256 over all bytes before it, bitmap included, cut to eight bytes.
//!
//! This is a convention of this house, as every acquirer has its own; MAC algorithms of ISO 9797-1 need DES, which no program of
//! ours has. Sources: RFC 2104 and RFC 4231 for HMAC; ISO 8583:1987 for the fields.

use super::{FieldError, Message, de};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What each side draws at a sign-on.
pub type Draw = [u8; 16];
/// Bytes of a code.
const CODE: usize = 8;

/// The key that acquirer and center have agreed on. Wiped when dropped.
pub struct LinkKey(Zeroizing<[u8; 32]>);

/// A key for messages in one direction. Wiped when dropped.
pub struct MacKey(Zeroizing<[u8; 32]>);

/// The keys of one connection.
pub struct SessionKeys {
    /// Of messages to the acquirer.
    pub to_host: MacKey,
    /// Of messages to the center.
    pub to_center: MacKey,
}

impl LinkKey {
    /// A key of these bytes.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The key of the sign-on itself, when only one side has drawn.
    pub fn sign_on(&self) -> MacKey {
        self.derive(b"tolem acquirer sign-on v1", &[])
    }

    /// The keys of the connection for which the center and the host have drawn these.
    pub fn session(&self, center: &Draw, host: &Draw) -> SessionKeys {
        SessionKeys {
            to_host: self.derive(b"tolem acquirer to host v1", &[center, host]),
            to_center: self.derive(b"tolem acquirer to center v1", &[center, host]),
        }
    }

    fn derive(&self, label: &[u8], draws: &[&Draw]) -> MacKey {
        let mut hmac = keyed(&self.0);
        hmac.update(label);
        draws.iter().for_each(|draw| hmac.update(*draw));
        MacKey(Zeroizing::new(hmac.finalize().into_bytes().into()))
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("invariant: HMAC takes keys of any length")
}

/// The field that a message's code stands in.
fn place(message: &Message) -> u8 {
    if message.fields().any(|field| field > de::MAC && field != de::MAC_2) { de::MAC_2 } else { de::MAC }
}

impl MacKey {
    /// Puts the code of a message into its last field, instead of one that is there.
    ///
    /// # Errors
    /// Never for a message whose fields fit.
    pub fn seal(&self, message: &mut Message) -> Result<(), FieldError> {
        message.remove(de::MAC);
        message.remove(de::MAC_2);
        let place = place(message);
        message.set(place, &[0; CODE])?;
        let bytes = message.encode();
        let code = self.over(&bytes[..bytes.len() - CODE]).finalize().into_bytes();
        message.set(place, &code[..CODE])
    }

    /// Whether a message has the right code in the right field, and only there.
    pub fn fits(&self, message: &Message) -> bool {
        let place = place(message);
        let other = if place == de::MAC { de::MAC_2 } else { de::MAC };
        let Some(code) = message.get(place).filter(|_| message.get(other).is_none()) else { return false };
        let bytes = message.encode();
        self.over(&bytes[..bytes.len() - CODE]).verify_truncated_left(code).is_ok()
    }

    fn over(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut hmac = keyed(&self.0);
        hmac.update(bytes);
        hmac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso8583::MessageType;
    use data_encoding::HEXLOWER;

    fn key() -> LinkKey {
        LinkKey::new(Zeroizing::new(core::array::from_fn(|n| n as u8)))
    }

    fn echo() -> Message {
        Message::new(MessageType::NETWORK)
            .with(de::SENT, b"1126140000")
            .with(de::TRACE, b"000001")
            .with(de::NETWORK, b"301")
    }

    fn advice() -> Message {
        Message::new(MessageType::ADVICE_ANSWER)
            .with(de::TRACE, b"000007")
            .with(de::RESPONSE, b"00")
            .with(de::TERMINAL, b"KSK00042")
    }

    /// Computed with `hmac` and `hashlib` of Python 3.11 over the bytes written out by hand.
    #[test]
    fn codes_are_those_that_python_computes() {
        let session = key().session(&[0xC0; 16], &[0x50; 16]);
        for (mac, mut message, field, code) in [
            (key().sign_on(), echo(), de::MAC_2, "0a1d29a3683ac2cd"),
            (session.to_host, echo(), de::MAC_2, "d485d558eb8b34f2"),
            (session.to_center, advice(), de::MAC, "aff86dae2800f5c7"),
        ] {
            mac.seal(&mut message).expect("it fits");
            assert_eq!(message.get(field).map(|code| HEXLOWER.encode(code)).as_deref(), Some(code));
            assert!(mac.fits(&message));
            assert!(mac.fits(&Message::decode(&message.encode()).expect("a message")));
        }
    }

    #[test]
    fn no_field_can_be_changed_added_or_taken_away_and_no_other_key_fits() {
        let session = key().session(&[0xC0; 16], &[0x50; 16]);
        let mut sealed = advice();
        session.to_center.seal(&mut sealed).expect("it fits");
        for other in [
            key().sign_on(),
            key().session(&[0xC0; 16], &[0x51; 16]).to_center,
            key().session(&[0xC1; 16], &[0x50; 16]).to_center,
            key().session(&[0x50; 16], &[0xC0; 16]).to_center,
            session.to_host,
        ] {
            assert!(!other.fits(&sealed));
        }
        let fits = |message: &Message| session.to_center.fits(message);
        assert!(fits(&sealed));
        assert!(!fits(&sealed.clone().with(de::RESPONSE, b"05")));
        assert!(!fits(&sealed.clone().with(de::APPROVAL, b"000001")));
        // Moved to the other field, or in both.
        let code = sealed.get(de::MAC).expect("a code").to_vec();
        assert!(!fits(&sealed.clone().with(de::MAC_2, &code)));
        let mut moved = sealed.clone().with(de::MAC_2, &code);
        moved.remove(de::MAC);
        assert!(!fits(&moved));
        for bit in 0..64 {
            let mut code = code.clone();
            code[bit / 8] ^= 1 << (bit % 8);
            assert!(!fits(&sealed.clone().with(de::MAC, &code)), "bit {bit}");
        }
        for field in [de::TRACE, de::RESPONSE, de::TERMINAL, de::MAC] {
            let mut less = sealed.clone();
            less.remove(field);
            assert!(!fits(&less), "without field {field}");
        }
        let mut kind = sealed.clone();
        kind.kind = MessageType::REVERSAL_ANSWER;
        assert!(!fits(&kind));
    }
}
