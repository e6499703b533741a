//! The security module of acquirer and issuer: the only place besides the pad where a PIN block is opened. Test keys only.

use tolem_card_keys::{
    TdesKey, dukpt_tdes,
    pin_block::{self, Pin},
    sealed_number::{self, Opened},
};
use tolem_protocol::{card::SealedNumber, emv::CardNumber};
use zeroize::Zeroizing;

/// The keys, and what is done with them. No function gives a PIN out.
pub struct Vault {
    /// Base derivation key of the acquirer's pads.
    base: Zeroizing<[u8; 16]>,
    /// Between acquirer and issuer.
    zone: TdesKey,
}

impl Vault {
    /// A module with the base key of the pads and the key between acquirer and issuer.
    pub fn new(base: [u8; 16], zone: TdesKey) -> Self {
        Self { base: Zeroizing::new(base), zone }
    }

    /// A block under a pad's key, named by its serial number of 20 hexadecimal digits, as a block under the zone key. `None` if it is no block of this
    /// card under that key.
    pub fn translate(&self, block: [u8; 8], serial: &[u8], number: &CardNumber) -> Option<[u8; 8]> {
        let text = std::str::from_utf8(serial).ok().filter(|text| text.len() == 20)?;
        let mut bytes = [0; 10];
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
        }
        let initial = Zeroizing::new(dukpt_tdes::initial_key(&self.base, bytes));
        let clear = Zeroizing::new(dukpt_tdes::pin_key(&initial, bytes).decrypt(block));
        pin_block::open_format_0(*clear, number).ok()?;
        Some(self.zone.encrypt(*clear))
    }

    /// A number that a reader has enciphered. `None` if it was not enciphered under a key that comes from the base key.
    pub fn open(&self, sealed: &SealedNumber) -> Option<Opened> {
        sealed_number::open(&self.base, sealed)
    }

    /// Whether a block under the zone key holds this PIN.
    pub fn is_pin(&self, block: [u8; 8], number: &CardNumber, pin: &Pin) -> bool {
        let clear = Zeroizing::new(self.zone.decrypt(block));
        pin_block::open_format_0(*clear, number).is_ok_and(|found| found == *pin)
    }
}
