//! Keys of a kiosk from a seed: the real algorithms, no randomness but the seed's.

use ring::{
    hmac,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use tolem_center::keys::{seal_card, seal_iin};
use tolem_core::ports::Signer;
use tolem_hal_sim::line::Dice;
use tolem_protocol::{
    Iin, PaymentId,
    card::{CardSecret, SealedCard},
    messages::SealedIin,
    signed::Signature,
};

/// Signs, verifies and seals for one simulated kiosk.
pub struct KioskKeys {
    journal: Ed25519KeyPair,
    site: hmac::Key,
    statement: [u8; 32],
    sealing: [u8; 32],
    dice: Dice,
}

impl KioskKeys {
    /// Keys from `seed` towards a center with these public keys.
    pub fn new(seed: u64, statement: [u8; 32], sealing: [u8; 32]) -> Self {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&seed.to_be_bytes());
        Self {
            journal: Ed25519KeyPair::from_seed_unchecked(&secret).expect("32 bytes make a key"),
            site: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            statement,
            sealing,
            dice: Dice::new(seed),
        }
    }
}

impl Signer for KioskKeys {
    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.journal.sign(message).as_ref().try_into().expect("64 bytes"))
    }

    fn public_key(&self) -> [u8; 32] {
        self.journal.public_key().as_ref().try_into().expect("32 bytes")
    }

    fn verify_own(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public_key()).verify(message, &signature.0).is_ok()
    }

    fn verify_center(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.statement).verify(message, &signature.0).is_ok()
    }

    fn seal_iin(&mut self, iin: &Iin, payment: &PaymentId) -> SealedIin {
        let dice = &mut self.dice;
        seal_iin(&self.sealing, iin, payment, &mut || dice.next_u64()).expect("the center's key is good")
    }

    fn seal_card(&mut self, card: &CardSecret, payment: &PaymentId) -> SealedCard {
        let dice = &mut self.dice;
        seal_card(&self.sealing, card, payment, &mut || dice.next_u64()).expect("the center's key is good")
    }

    fn unpredictable(&mut self) -> [u8; 4] {
        (self.dice.next_u64() as u32).to_be_bytes()
    }

    fn tag_iin(&self, iin: &Iin) -> [u8; 16] {
        hmac::sign(&self.site, &iin.ascii()).as_ref()[..16].try_into().expect("16 of 32 bytes")
    }
}
