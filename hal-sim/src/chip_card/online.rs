//! What the issuer of this card gets to see of a payment, without a kernel: for tests of whoever stands behind the terminal.

use super::{ChipCard, Reply};
use tolem_protocol::emv::{tags, tlv};

impl ChipCard {
    /// Lets the common application make a request cryptogram over `amount` (12 digits, packed; tenge 398, 2026-11-22, online PIN
    /// entered) and gives the objects of the request, as data element 55 carries them.
    ///
    /// # Panics
    /// If the card has no power, or a fault is set that keeps it from answering.
    pub fn online_data(&mut self, amount: [u8; 6]) -> Vec<u8> {
        self.transmit(&[&[0, 0xA4, 4, 0, 7][..], &[0xA0, 0, 0, 0, 4, 0x10, 0x10], &[0]].concat());
        self.transmit(&[0x80, 0xA8, 0, 0, 2, 0x83, 0, 0]);
        let fields: [(_, &[u8]); 8] = [
            (tags::AMOUNT_AUTHORISED, &amount),
            (tags::AMOUNT_OTHER, &[0; 6]),
            (tags::TERMINAL_COUNTRY, &[0x03, 0x98]),
            (tags::TVR, &[0x80, 0, 0x04, 0, 0]),
            (tags::CURRENCY_CODE, &[0x03, 0x98]),
            (tags::TRANSACTION_DATE, &[0x26, 0x11, 0x22]),
            (tags::TRANSACTION_TYPE, &[0]),
            (tags::UNPREDICTABLE, &[0xDE, 0xAD, 0xBE, 0xEF]),
        ];
        let list: Vec<u8> = fields.iter().flat_map(|(_, value)| value.to_vec()).collect();
        let command = [&[0x80, 0xAE, 0x80, 0, 29][..], &list, &[0]].concat();
        assert!(matches!(self.transmit(&command), Reply::Bytes(_)), "the card answers");
        let (_, cryptogram) = *self.cryptograms().last().expect("invariant: it was just made");
        let mut data = Vec::new();
        for (tag, value) in fields {
            tlv::push(&mut data, tag, value);
        }
        tlv::push(&mut data, tags::AIP, &self.profile.applications[0].profile());
        tlv::push(&mut data, tags::ATC, &self.counter.to_be_bytes());
        let issuer = [&[0x01, 0x10, 0xA0, 0x00, 0x03, 0x22, 0, 0, 0, 0][..], &[0; 7], &[0xFF]].concat();
        tlv::push(&mut data, tags::ISSUER_APPLICATION_DATA, &issuer);
        tlv::push(&mut data, tags::CRYPTOGRAM, &cryptogram);
        data
    }
}
