//! The center's keys: statements (Ed25519), payers' IINs (HPKE), the witness (Ed25519) and the payer tags (HMAC).
//!
//! Each key is made from 32 secret bytes, so a key file is one short line and a test can have keys of its own. Secrets are
//! wiped when dropped and never printed.

use crate::logic::{Keys, store::PayerTag};
use hpke::{
    Deserializable, Kem as _, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256, rand_core,
};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hmac,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use tolem_protocol::{
    Iin, PaymentId,
    card::{CardSecret, SealedCard, SealedNumber, SecretNumber},
    emv::CardNumber,
    messages::SealedIin,
    signed::Signature,
    signed_note::{KeyKind, NoteKey},
};
use zeroize::{Zeroize, Zeroizing};

type Kem = X25519HkdfSha256;

/// Digits of the longest card number.
const NUMBER_BYTES: usize = 19;
/// HPKE `info` of a sealed IIN.
const SEAL_INFO: &[u8] = b"tolem iin v1";
/// HPKE `info` of a sealed card.
const CARD_INFO: &[u8] = b"tolem card v1";
/// Name of the witness on its cosignature lines.
pub const WITNESS_NAME: &str = "tolem/center/witness";

/// The 32 secret bytes behind each key.
pub struct Seeds {
    /// Statement key: quotes, outcomes, code tokens.
    pub statement: Zeroizing<[u8; 32]>,
    /// Key that payers' IINs are sealed to.
    pub sealing: Zeroizing<[u8; 32]>,
    /// Witness key.
    pub witness: Zeroizing<[u8; 32]>,
    /// Key of the payer tags. If it is lost, held balances lose their owners.
    pub tag: Zeroizing<[u8; 32]>,
    /// Key that card numbers are kept under until they are settled. If it is lost, open card payments cannot be undone by us.
    pub cards: Zeroizing<[u8; 32]>,
}

impl Seeds {
    /// Seeds from a source of random bytes.
    pub fn draw(mut fill: impl FnMut(&mut [u8; 32])) -> Self {
        let mut seed = || {
            let mut bytes = Zeroizing::new([0; 32]);
            fill(&mut bytes);
            bytes
        };
        Self { statement: seed(), sealing: seed(), witness: seed(), tag: seed(), cards: seed() }
    }
}

/// The keys, ready for use.
pub struct CenterKeys {
    statement: Ed25519KeyPair,
    sealing: <Kem as hpke::Kem>::PrivateKey,
    sealing_public: [u8; 32],
    witness: Ed25519KeyPair,
    witness_key: NoteKey,
    tag: hmac::Key,
    cards: LessSafeKey,
}

impl CenterKeys {
    /// Makes the keys.
    pub fn new(seeds: &Seeds) -> Self {
        let pair = |seed: &[u8; 32]| {
            Ed25519KeyPair::from_seed_unchecked(seed).expect("invariant: an Ed25519 seed has 32 bytes")
        };
        let (sealing, public) = Kem::derive_keypair(seeds.sealing.as_slice());
        let witness = pair(&seeds.witness);
        let witness_key = NoteKey {
            name: WITNESS_NAME.into(),
            kind: KeyKind::Cosigner,
            public: public_bytes(witness.public_key().as_ref()),
        };
        Self {
            statement: pair(&seeds.statement),
            sealing,
            sealing_public: public_bytes(&public.to_bytes()),
            witness,
            witness_key,
            tag: hmac::Key::new(hmac::HMAC_SHA256, seeds.tag.as_slice()),
            cards: LessSafeKey::new(
                UnboundKey::new(&CHACHA20_POLY1305, seeds.cards.as_slice())
                    .expect("invariant: the key has 32 bytes"),
            ),
        }
    }

    /// Public half of the statement key: kiosks pin it.
    pub fn statement_public(&self) -> [u8; 32] {
        public_bytes(self.statement.public_key().as_ref())
    }

    /// Public half of the sealing key: kiosks seal IINs to it.
    pub fn sealing_public(&self) -> [u8; 32] {
        self.sealing_public
    }
}

fn public_bytes(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().expect("invariant: Ed25519 and X25519 public keys have 32 bytes")
}

impl Keys for CenterKeys {
    fn sign(&self, message: &[u8]) -> Signature {
        sign(&self.statement, message)
    }

    fn verify_own(&self, message: &[u8], signature: &Signature) -> bool {
        self.verify(&self.statement_public(), message, signature)
    }

    fn verify(&self, public: &[u8; 32], message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, public).verify(message, &signature.0).is_ok()
    }

    fn open_iin(&self, sealed: &SealedIin, payment: &PaymentId) -> Option<Iin> {
        let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(&sealed.0).ok()?;
        let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &self.sealing,
            &encapsulated,
            SEAL_INFO,
            &sealed.1,
            payment.to_string().as_bytes(),
        );
        let opened = Zeroizing::new(opened.ok()?);
        let mut digits: [u8; 12] = opened.as_slice().try_into().ok()?;
        for digit in &mut digits {
            *digit = digit.wrapping_sub(b'0');
        }
        let iin = Iin::try_from(digits).ok();
        digits.zeroize();
        iin
    }

    fn open_card(&self, sealed: &SealedCard, payment: &PaymentId) -> Option<CardSecret> {
        let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(&sealed.0).ok()?;
        let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &self.sealing,
            &encapsulated,
            CARD_INFO,
            &sealed.1,
            payment.to_string().as_bytes(),
        );
        CardSecret::from_bytes(&Zeroizing::new(opened.ok()?))
    }

    fn tag_iin(&self, iin: &Iin) -> PayerTag {
        let mut digits = iin.ascii();
        let tag = hmac::sign(&self.tag, &digits);
        digits.zeroize();
        PayerTag(public_bytes(tag.as_ref()))
    }

    fn seal_number(&self, number: &SecretNumber, payment: &PaymentId, nonce: [u8; 12]) -> Vec<u8> {
        let mut bytes = match number {
            SecretNumber::Clear(number) => {
                // One length for all numbers, so that nothing is told by it.
                let mut bytes = vec![0xFF; NUMBER_BYTES];
                bytes[..number.digits().len()].copy_from_slice(number.digits());
                bytes
            }
            SecretNumber::Sealed(sealed) => sealed.to_bytes().to_vec(),
        };
        let aad = Aad::from(payment.to_string());
        self.cards
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes)
            .expect("invariant: so few bytes can be sealed");
        [&nonce[..], &bytes].concat()
    }

    fn open_number(&self, sealed: &[u8], payment: &PaymentId) -> Option<SecretNumber> {
        let (nonce, sealed) = sealed.split_first_chunk::<12>()?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let aad = Aad::from(payment.to_string());
        let digits = self.cards.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut bytes).ok()?;
        // The two kinds are told apart by their length.
        if digits.len() != NUMBER_BYTES {
            return SealedNumber::from_bytes(digits).map(SecretNumber::Sealed);
        }
        let length = digits.iter().position(|digit| *digit == 0xFF).unwrap_or(digits.len());
        let mut text = Zeroizing::new(String::with_capacity(NUMBER_BYTES));
        text.extend(digits[..length].iter().map(|digit| char::from(b'0' + (digit % 10))));
        CardNumber::parse(&text).map(SecretNumber::Clear)
    }

    fn witness(&self) -> &NoteKey {
        &self.witness_key
    }

    fn sign_witness(&self, message: &[u8]) -> Signature {
        sign(&self.witness, message)
    }
}

/// Seals an IIN to a center, as a kiosk does: HPKE base mode, bound to the payment. For tools and tests.
///
/// `fresh` must be unpredictable where the secrecy of the IIN matters.
pub fn seal_iin(
    public: &[u8; 32],
    iin: &Iin,
    payment: &PaymentId,
    fresh: &mut dyn FnMut() -> u64,
) -> Option<SealedIin> {
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(public).ok()?;
    let mut digits = iin.ascii();
    let sealed = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Kem, _>(
        &OpModeS::Base,
        &public,
        SEAL_INFO,
        &digits,
        payment.to_string().as_bytes(),
        &mut Source(fresh),
    );
    digits.zeroize();
    let (encapsulated, sealed) = sealed.ok()?;
    let encapsulated: [u8; 32] = encapsulated.to_bytes().as_slice().try_into().ok()?;
    Some(SealedIin(encapsulated, heapless::Vec::from_slice(&sealed).ok()?))
}

/// Seals a card to a center, as a kiosk does. For tools and tests.
///
/// `fresh` must be unpredictable where the secrecy of the card matters.
pub fn seal_card(
    public: &[u8; 32],
    card: &CardSecret,
    payment: &PaymentId,
    fresh: &mut dyn FnMut() -> u64,
) -> Option<SealedCard> {
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(public).ok()?;
    let (encapsulated, sealed) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Kem, _>(
        &OpModeS::Base,
        &public,
        CARD_INFO,
        &card.to_bytes(),
        payment.to_string().as_bytes(),
        &mut Source(fresh),
    )
    .ok()?;
    let encapsulated: [u8; 32] = encapsulated.to_bytes().as_slice().try_into().ok()?;
    Some(SealedCard(encapsulated, heapless::Vec::from_slice(&sealed).ok()?))
}

/// The given numbers in the shape that the hpke crate wants.
struct Source<'a>(&'a mut dyn FnMut() -> u64);

impl rand_core::RngCore for Source<'_> {
    fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    fn next_u64(&mut self) -> u64 {
        (self.0)()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}

impl rand_core::CryptoRng for Source<'_> {}

fn sign(pair: &Ed25519KeyPair, message: &[u8]) -> Signature {
    let bytes = pair.sign(message);
    Signature(bytes.as_ref().try_into().expect("invariant: an Ed25519 signature has 64 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tolem_protocol::{
        KioskNumber, UtcTime,
        card::PinKey,
        emv::CardNumber,
        pinpad::{KeySerial, PinBlock},
    };

    fn keys() -> CenterKeys {
        let mut next = 0;
        CenterKeys::new(&Seeds::draw(|seed| {
            next += 1;
            *seed = [next; 32];
        }))
    }

    #[test]
    fn a_kept_card_number_opens_for_its_payment_only_and_all_are_of_one_length() {
        let keys = keys();
        let kiosk = KioskNumber::new(42).unwrap();
        let payment = PaymentId { kiosk, epoch: 1, number: 9, nonce: [7; 16] };
        for text in [concat!("5413", "3300", "8902", "0011"), concat!("4012", "3456", "7890", "9")] {
            let number = CardNumber::parse(text).unwrap();
            let number = SecretNumber::Clear(number);
            let sealed = keys.seal_number(&number, &payment, [3; 12]);
            assert_eq!(sealed.len(), 12 + NUMBER_BYTES + 16);
            let SecretNumber::Clear(clear) = &number else { panic!("a number in the clear") };
            assert!(!sealed.windows(4).any(|part| part == &clear.digits()[..4]));
            assert_eq!(keys.open_number(&sealed, &payment), Some(number));
            assert_eq!(keys.open_number(&sealed, &PaymentId { number: 10, ..payment }), None);
            for at in [0, 12, 30, 46] {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert_eq!(keys.open_number(&changed, &payment), None, "{at}");
            }
            assert_eq!(keys.open_number(&sealed[..11], &payment), None);
            assert_eq!(keys.open_number(&[], &payment), None);
        }
        let number = SecretNumber::Sealed(SealedNumber { serial: KeySerial([0x13; 10]), cipher: [0xC5; 24] });
        let sealed = keys.seal_number(&number, &payment, [4; 12]);
        assert!(!sealed.windows(4).any(|part| part == [0xC5; 4]));
        assert_eq!(keys.open_number(&sealed, &payment), Some(number));
    }

    #[test]
    fn a_sealed_iin_opens_for_its_payment_only() {
        let keys = keys();
        let today = UtcTime::from_seconds(1_795_000_000).date();
        let iin = Iin::parse("000101300019", today).unwrap();
        let kiosk = KioskNumber::new(42).unwrap();
        let payment = PaymentId { kiosk, epoch: 1, number: 9, nonce: [7; 16] };
        let mut count = 0;
        let sealed = seal_iin(&keys.sealing_public(), &iin, &payment, &mut || {
            count += 1;
            count
        })
        .unwrap();
        assert_eq!(sealed.1.len(), 28);
        assert_eq!(keys.open_iin(&sealed, &payment), Some(iin));
        assert_eq!(keys.open_iin(&sealed, &PaymentId { number: 10, ..payment }), None);
        let mut changed = sealed.clone();
        changed.1[3] ^= 1;
        assert_eq!(keys.open_iin(&changed, &payment), None);
        let short = SealedIin(sealed.0, heapless::Vec::new());
        assert_eq!(keys.open_iin(&short, &payment), None);
    }

    #[test]
    fn a_sealed_card_opens_for_its_payment_only_and_never_as_an_iin() {
        let keys = keys();
        let kiosk = KioskNumber::new(42).unwrap();
        let payment = PaymentId { kiosk, epoch: 1, number: 9, nonce: [7; 16] };
        let number = CardNumber::parse(concat!("5413", "3300", "8902", "0011")).unwrap();
        let pin = (PinBlock::new([0xA5; 8]), PinKey::Dukpt(KeySerial([0x31; 10])));
        let number = SecretNumber::Clear(number);
        let card = CardSecret { number, expiry: [2, 9, 1, 2], sequence: Some(1), pin: Some(pin) };
        let mut count = 0;
        let mut fresh = || {
            count += 1;
            count
        };
        let sealed = seal_card(&keys.sealing_public(), &card, &payment, &mut fresh).unwrap();
        assert_eq!(sealed.1.len(), 80);
        assert_eq!(keys.open_card(&sealed, &payment), Some(card));
        assert_eq!(keys.open_card(&sealed, &PaymentId { number: 10, ..payment }), None);
        assert_eq!(
            keys.open_iin(&SealedIin(sealed.0, sealed.1.iter().take(28).copied().collect()), &payment),
            None
        );
        for at in [0, 40, 79] {
            let mut changed = sealed.clone();
            changed.1[at] ^= 1;
            assert_eq!(keys.open_card(&changed, &payment), None, "{at}");
        }
    }
}
