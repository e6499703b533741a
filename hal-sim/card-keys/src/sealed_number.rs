//! A card's number as a reader enciphers it: tags `5A`, `5F24`, `5F34`, filled with zeros, in CBC under the data key of DUKPT.
//!
//! What vendors of readers with SRED do differs in tags, filling and mode, and is mostly not public; this is the common core of it.

use crate::dukpt_tdes::{self, Ksn};
use tolem_protocol::{
    card::SealedNumber,
    emv::{CardNumber, tags, tlv},
    pinpad::KeySerial,
};
use zeroize::Zeroizing;

/// What was enciphered.
#[derive(PartialEq, Eq)]
pub struct Opened {
    /// The card's number.
    pub number: CardNumber,
    /// Expiry, YYMM in digits.
    pub expiry: [u8; 4],
}

/// Enciphers what a card gave: the values of its tags `5A`, `5F24` and `5F34`. `None` if they are too long.
pub fn seal(
    initial: &[u8; 16],
    serial: Ksn,
    number: &[u8],
    expiry: &[u8],
    sequence: Option<&[u8]>,
) -> Option<SealedNumber> {
    let mut clear = Zeroizing::new(Vec::with_capacity(24));
    tlv::push(&mut clear, tags::PAN, number);
    tlv::push(&mut clear, tags::APPLICATION_EXPIRY, expiry);
    if let Some(sequence) = sequence {
        tlv::push(&mut clear, tags::PAN_SEQUENCE, sequence);
    }
    if clear.len() > 24 {
        return None;
    }
    clear.resize(24, 0);
    let cipher = dukpt_tdes::data_key(initial, serial).encrypt_cbc([0; 8], &clear);
    Some(SealedNumber { serial: KeySerial(serial), cipher: cipher.try_into().ok()? })
}

/// Opens it with the base key that the reader's keys come from. `None` if it was not sealed under them.
pub fn open(base: &[u8; 16], sealed: &SealedNumber) -> Option<Opened> {
    let serial = sealed.serial.0;
    let initial = Zeroizing::new(dukpt_tdes::initial_key(base, serial));
    let clear = Zeroizing::new(dukpt_tdes::data_key(&initial, serial).decrypt_cbc([0; 8], &sealed.cipher));
    let mut found = tlv::objects(&clear);
    let number = found.next()?.ok().filter(|object| object.tag == tags::PAN)?;
    let expiry = found.next()?.ok().filter(|object| object.tag == tags::APPLICATION_EXPIRY)?;
    let rest = found.next().transpose().ok()?;
    let good = rest.is_none_or(|object| object.tag == tags::PAN_SEQUENCE) && found.next().is_none();
    let [year, month, _day] = expiry.value.try_into().ok().filter(|_| good)?;
    let expiry: [u8; 4] = [year >> 4, year & 0xF, month >> 4, month & 0xF];
    let digits = expiry.iter().all(|digit| *digit <= 9);
    CardNumber::from_compressed(number.value).filter(|_| digits).map(|number| Opened { number, expiry })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: [u8; 16] = 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210_u128.to_be_bytes();
    const SERIAL: Ksn = [0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0, 1];

    fn value() -> [u8; 8] {
        [0x54, 0x13, 0x33, 0x00, 0x89, 0x02, 0x00, 0x11]
    }

    #[test]
    fn what_was_sealed_opens_and_a_changed_one_does_not_open_as_this_card() {
        let initial = dukpt_tdes::initial_key(&BASE, SERIAL);
        let sealed = seal(&initial, SERIAL, &value(), &[0x30, 0x12, 0x31], Some(&[1])).unwrap();
        let opened = open(&BASE, &sealed).unwrap();
        assert!(opened.number == CardNumber::from_compressed(&value()).unwrap());
        assert_eq!(opened.expiry, [3, 0, 1, 2]);
        assert!(open(&[0x55; 16], &sealed).is_none());
        for at in 0..24 {
            let mut other = sealed;
            other.cipher[at] ^= 1;
            assert!(open(&BASE, &other).is_none_or(|other| other != opened), "{at}");
        }
        let mut other = sealed;
        other.serial.0[9] ^= 1;
        assert!(open(&BASE, &other).is_none());
    }

    #[test]
    fn each_serial_number_gives_another_cipher() {
        let initial = dukpt_tdes::initial_key(&BASE, SERIAL);
        let next = dukpt_tdes::advance(SERIAL).unwrap();
        let [one, two] =
            [SERIAL, next].map(|serial| seal(&initial, serial, &value(), &[0x30, 0x12, 0x31], None));
        assert!(one.unwrap().cipher != two.unwrap().cipher);
        assert!(seal(&initial, SERIAL, &[0x11; 17], &[0x30, 0x12, 0x31], None).is_none());
    }
}
