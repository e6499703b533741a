//! Secure reading: the reader knows the card's number, the terminal does not.
//!
//! What the chip says passes through here. Numbers and tracks are overwritten with what may be seen, other data that would give a number away
//! with zeros, and an answer that cannot be read is withheld. The number goes to the issuer under a key for one time, and to the PIN pad of
//! the same unit over a line inside of it. Vendors keep their own forms of this secret; the words of ours ([`Command::SealState`],
//! [`Command::SealCard`](tolem_protocol::card_reader::Command::SealCard)) are generic.
//!
//! [`Command::SealState`]: tolem_protocol::card_reader::Command::SealState

use crate::pin_pad_device::PinPadKeys;
use std::sync::{Arc, Mutex, PoisonError};
use tolem_card_keys::{
    dukpt_tdes::{self, Ksn},
    sealed_number,
};
use tolem_protocol::{
    card::SealedNumber,
    emv::{CardNumber, MaskedNumber, Track2, tags, tlv},
};
use zeroize::Zeroizing;

/// Tags whose values give a number or a name away, if not in plain sight: track 1 and its remainders, the cardholder's name, and the chip's
/// certificates, out of which everybody reads the number with the schemes' public keys.
const WITHHELD: [u16; 7] = [0x56, 0x5F20, 0x9F0B, 0x9F1F, 0x9F20, 0x9F2D, 0x9F46];

/// What reader and PIN pad share in their one case: the number of the card that is in.
#[derive(Clone, Default)]
pub struct SecureUnit(Arc<Mutex<Option<CardNumber>>>);

impl SecureUnit {
    fn put(&self, number: Option<CardNumber>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = number;
    }

    /// The number of the card that is in, for the pad.
    pub fn number(&self) -> Option<CardNumber> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What was read of a card since its chip has power. The bytes as the chip gave them.
#[derive(Default)]
struct Read {
    number: Zeroizing<Vec<u8>>,
    expiry: Vec<u8>,
    sequence: Option<Vec<u8>>,
    track: Option<CardNumber>,
}

/// The secure part of a reader, with keys of its own.
pub struct Sred {
    initial: Zeroizing<[u8; 16]>,
    serial: Ksn,
    wiped: bool,
    hides: bool,
    unit: SecureUnit,
    read: Read,
}

impl Sred {
    /// With test keys, in one case with the pad that has `unit`.
    pub fn new(unit: SecureUnit) -> Self {
        let serial = [0xFF, 0xFF, 0x98, 0x76, 0x54, 0x33, 0x10, 0xE0, 0, 0];
        let initial = Zeroizing::new(dukpt_tdes::initial_key(&PinPadKeys::test().base, serial));
        Self { initial, serial, wiped: false, hides: true, unit, read: Read::default() }
    }

    /// It was opened: its keys are gone. It hides numbers all the same.
    pub(super) fn wipe(&mut self) {
        *self.initial = [0; 16];
        self.wiped = true;
    }

    /// It says that it hides numbers and does not.
    pub(super) fn set_hides(&mut self, hides: bool) {
        self.hides = hides;
    }

    pub(super) fn is_good(&self) -> bool {
        !self.wiped
    }

    /// There is no card, or another one.
    pub(super) fn forget(&mut self) {
        self.read = Read::default();
        self.unit.put(None);
    }

    /// The number that was read, under the next key.
    pub(super) fn seal(&mut self) -> Option<SealedNumber> {
        if self.wiped || self.read.number.is_empty() {
            return None;
        }
        self.serial = dukpt_tdes::advance(self.serial)?;
        let Read { number, expiry, sequence, .. } = &self.read;
        sealed_number::seal(&self.initial, self.serial, number, expiry, sequence.as_deref())
    }

    /// What the terminal gets of an answer of the chip.
    pub(super) fn shown(&mut self, answer: &[u8]) -> Vec<u8> {
        let Some((data, status)) = answer.split_last_chunk::<2>() else { return Vec::new() };
        let shown = self.hide(data).unwrap_or_default();
        if self.hides { [&shown[..], status].concat() } else { answer.to_vec() }
    }

    /// The data with everything overwritten that must not be seen; `None` if that cannot be told.
    fn hide(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let mut shown = data.to_vec();
        let mut learned = Some(());
        tlv::walk(data, &mut |object| {
            let from = object.value.as_ptr() as usize - data.as_ptr() as usize;
            let place = &mut shown[from..from + object.value.len()];
            match object.tag {
                tags::PAN => learned = learned.and(self.learn_number(object.value, place)),
                tags::TRACK2 => learned = learned.and(self.learn_track(object.value, place)),
                tags::APPLICATION_EXPIRY => self.read.expiry = object.value.to_vec(),
                tags::PAN_SEQUENCE => self.read.sequence = Some(object.value.to_vec()),
                tag if WITHHELD.contains(&tag.number()) => place.fill(0),
                _ => {}
            }
        })
        .ok()?;
        learned?;
        // Two numbers on one card: the terminal cannot see that any more.
        let number = CardNumber::from_compressed(&self.read.number);
        match (&number, &self.read.track) {
            (Some(number), Some(track)) if number != track => return None,
            _ => {}
        }
        self.unit.put(number);
        Some(shown)
    }

    fn learn_number(&mut self, value: &[u8], place: &mut [u8]) -> Option<()> {
        let number = CardNumber::from_compressed(value)?;
        self.read.number = Zeroizing::new(value.to_vec());
        overwrite(place, &MaskedNumber::of(&number).nibbles());
        Some(())
    }

    fn learn_track(&mut self, value: &[u8], place: &mut [u8]) -> Option<()> {
        let number = Track2::from_tag(value)?.number()?;
        let seen = MaskedNumber::of(&number).nibbles();
        self.read.track = Some(number);
        place.fill(0xCC);
        overwrite(place, &seen);
        Some(())
    }
}

/// Puts half bytes over the first ones of `place`.
fn overwrite(place: &mut [u8], nibbles: &[u8]) {
    for (at, nibble) in nibbles.iter().enumerate() {
        let byte = &mut place[at / 2];
        *byte = if at % 2 == 0 { *byte & 0x0F | nibble << 4 } else { *byte & 0xF0 | nibble };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXUPPER.decode(text.replace(' ', "").as_bytes()).unwrap()
    }

    fn record() -> Vec<u8> {
        let mut inner = Vec::new();
        for (tag, value) in [
            (tags::PAN, "5413330089020011"),
            (tags::TRACK2, "5413330089020011D30122010000000000"),
            (tags::APPLICATION_EXPIRY, "301231"),
            (tags::PAN_SEQUENCE, "01"),
            (tags::CARDHOLDER_NAME, "4E414D45"),
        ] {
            tlv::push(&mut inner, tag, &hex(value));
        }
        let mut record = Vec::new();
        tlv::push(&mut record, tags::RECORD, &inner);
        record.extend([0x90, 0]);
        record
    }

    #[test]
    fn a_record_is_shown_without_what_must_not_be_seen_and_in_its_old_length() {
        let unit = SecureUnit::default();
        let mut sred = Sred::new(unit.clone());
        let record = record();
        let shown = sred.shown(&record);
        assert_eq!(shown.len(), record.len());
        assert!(!data_encoding::HEXUPPER.encode(&shown).contains("541333008"));
        let find = |tag| tlv::find(&shown[..shown.len() - 2], tag).unwrap().unwrap().to_vec();
        assert_eq!(find(tags::PAN), hex("541333CCCCCC0011"));
        assert_eq!(find(tags::APPLICATION_EXPIRY), hex("301231"));
        let opened = sealed_number::open(&PinPadKeys::test().base, &sred.seal().unwrap()).unwrap();
        assert!(Some(opened.number) == unit.number());
        sred.forget();
        assert!(unit.number().is_none() && sred.seal().is_none());
    }

    #[test]
    fn what_cannot_be_read_or_holds_two_numbers_is_withheld() {
        let mut other = record();
        let at = other.windows(3).position(|window| window == [0x57, 0x11, 0x54]).unwrap();
        other[at + 8] ^= 1;
        for bad in [&other[..], &hex("5A0854133300890200 9000"), &hex("70095A08541333008902 6300")] {
            assert_eq!(Sred::new(SecureUnit::default()).shown(bad), bad[bad.len() - 2..], "{bad:02X?}");
        }
        for plain in [hex("9000"), hex("6A82"), hex("800B8000010102030405060708 9000")] {
            assert_eq!(Sred::new(SecureUnit::default()).shown(&plain), plain);
        }
    }

    #[test]
    fn without_keys_it_hides_and_gives_nothing() {
        let mut sred = Sred::new(SecureUnit::default());
        sred.wipe();
        assert!(!data_encoding::HEXUPPER.encode(&sred.shown(&record())).contains("541333008"));
        assert!(sred.seal().is_none());
    }
}
