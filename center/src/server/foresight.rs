//! What of a request can be computed before its turn: is this signature right, whose IIN is sealed in here.
//!
//! These are pure functions of keys and bytes, and a fifth of a millisecond each payment that the desk would be busy with. A connection's
//! own thread computes them and lays the results down; the desk asks its [`Keys`] as ever and finds the result of exactly the
//! same question there, or computes it. Nothing is decided here, and the rules do not know of it.

use crate::{
    keys::CenterKeys,
    logic::{Keys, store::PayerTag},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tolem_protocol::{
    Iin, KioskNumber, PaymentId,
    card::{CardSecret, SealedCard, SecretNumber},
    messages::{Deposit, Request, SealedIin},
    signed::{Signature, Signed},
    signed_note::NoteKey,
};

/// A question whether a key made a signature, and its answer.
struct Judged {
    public: [u8; 32],
    message: Vec<u8>,
    right: bool,
}

/// A question whose IIN is sealed in something, and its answer.
struct Opened {
    sealed: SealedIin,
    payment: PaymentId,
    iin: Option<Iin>,
}

#[derive(Default)]
struct Results {
    judged: HashMap<[u8; 64], Judged>,
    opened: HashMap<[u8; 32], Opened>,
    /// Which key most likely signs for a kiosk. A guess: a wrong one only means that the desk computes.
    likely: HashMap<KioskNumber, [u8; 32]>,
}

/// Keys that many threads may use, with results that were laid down ahead.
#[derive(Clone)]
pub(crate) struct Foresight {
    keys: Arc<CenterKeys>,
    results: Arc<Mutex<Results>>,
}

/// Results laid down for one request; they are taken away with it.
pub(crate) struct Foreseen {
    results: Arc<Mutex<Results>>,
    judged: Vec<[u8; 64]>,
    opened: Option<[u8; 32]>,
}

impl Drop for Foreseen {
    fn drop(&mut self) {
        let mut results = lock(&self.results);
        for signature in &self.judged {
            results.judged.remove(signature);
        }
        if let Some(encapsulated) = &self.opened {
            results.opened.remove(encapsulated);
        }
    }
}

fn lock(results: &Mutex<Results>) -> MutexGuard<'_, Results> {
    // Whoever died in here has at most not laid a result down.
    results.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Foresight {
    pub fn new(keys: CenterKeys) -> Self {
        Self { keys: Arc::new(keys), results: Arc::default() }
    }

    /// Remembers whose signature a kiosk's deposits will carry.
    pub fn expect(&self, kiosk: KioskNumber, key: [u8; 32]) {
        lock(&self.results).likely.insert(kiosk, key);
    }

    /// Computes what the desk will ask about a request. Costs processor time, and waits for nobody.
    pub fn look(&self, who: KioskNumber, request: &Request) -> Option<Foreseen> {
        let (Request::Commit(signed) | Request::Hold(signed)) = request else { return None };
        let deposit = signed.read_unverified()?;
        let likely = lock(&self.results).likely.get(&who).copied();
        let mut judged = Vec::new();
        if let Some(public) = likely {
            judged.extend(self.judge(signed, public));
        }
        if let Some(quote) = &deposit.quote {
            judged.extend(self.judge(quote, self.keys.statement_public()));
        }
        let opened = self.open(&deposit);
        let mut seen = Foreseen { results: self.results.clone(), judged: Vec::new(), opened: None };
        let mut results = lock(&self.results);
        for (signature, result) in judged {
            seen.judged.push(signature);
            results.judged.insert(signature, result);
        }
        if let Some(result) = opened {
            seen.opened = Some(result.sealed.0);
            results.opened.insert(result.sealed.0, result);
        }
        drop(results);
        Some(seen)
    }

    fn judge<T: tolem_protocol::signed::Statement>(
        &self,
        signed: &Signed<T>,
        public: [u8; 32],
    ) -> Option<([u8; 64], Judged)> {
        let mut found = None;
        // Only to see what is asked: the statement itself is read by whoever asks.
        let _ = signed.open(|message, signature| {
            let right = self.keys.verify(&public, message, signature);
            found = Some((signature.0, Judged { public, message: message.to_vec(), right }));
            right
        });
        found
    }

    fn open(&self, deposit: &Deposit) -> Option<Opened> {
        let (sealed, payment) = (deposit.payer.clone()?, deposit.payment);
        let iin = self.keys.open_iin(&sealed, &payment);
        Some(Opened { sealed, payment, iin })
    }
}

impl Keys for Foresight {
    fn sign(&self, message: &[u8]) -> Signature {
        self.keys.sign(message)
    }

    fn verify_own(&self, message: &[u8], signature: &Signature) -> bool {
        self.verify(&self.keys.statement_public(), message, signature)
    }

    fn verify(&self, public: &[u8; 32], message: &[u8], signature: &Signature) -> bool {
        let same = |known: &&Judged| known.public == *public && known.message == message;
        let known = lock(&self.results).judged.get(&signature.0).filter(same).map(|known| known.right);
        known.unwrap_or_else(|| self.keys.verify(public, message, signature))
    }

    fn open_iin(&self, sealed: &SealedIin, payment: &PaymentId) -> Option<Iin> {
        let same = |known: &&Opened| known.sealed == *sealed && known.payment == *payment;
        let known = lock(&self.results).opened.get(&sealed.0).filter(same).map(|known| known.iin.clone());
        known.unwrap_or_else(|| self.keys.open_iin(sealed, payment))
    }

    fn open_card(&self, sealed: &SealedCard, payment: &PaymentId) -> Option<CardSecret> {
        self.keys.open_card(sealed, payment)
    }

    fn tag_iin(&self, iin: &Iin) -> PayerTag {
        self.keys.tag_iin(iin)
    }

    fn seal_number(&self, number: &SecretNumber, payment: &PaymentId, nonce: [u8; 12]) -> Vec<u8> {
        self.keys.seal_number(number, payment, nonce)
    }

    fn open_number(&self, sealed: &[u8], payment: &PaymentId) -> Option<SecretNumber> {
        self.keys.open_number(sealed, payment)
    }

    fn witness(&self) -> &NoteKey {
        self.keys.witness()
    }

    fn sign_witness(&self, message: &[u8]) -> Signature {
        self.keys.sign_witness(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Seeds, seal_iin};
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use tolem_protocol::{
        Denomination, UtcTime,
        messages::{DepositKind, HoldReason},
        notes::NotePile,
    };

    fn foresight() -> Foresight {
        let mut next = 0;
        Foresight::new(CenterKeys::new(&Seeds::draw(|seed| {
            next += 1;
            *seed = [next; 32];
        })))
    }

    fn deposit(foresight: &Foresight, key: &Ed25519KeyPair) -> Signed<Deposit> {
        let kiosk = KioskNumber::new(42).unwrap();
        let payment = PaymentId { kiosk, epoch: 1, number: 9, nonce: [7; 16] };
        let iin = Iin::parse("000101300019", UtcTime::from_seconds(1_795_000_000).date()).unwrap();
        let mut count = 0;
        let payer = seal_iin(&foresight.keys.sealing_public(), &iin, &payment, &mut || {
            count += 1;
            count
        });
        let mut notes = NotePile::default();
        notes.add(Denomination(1_000));
        let kind = DepositKind::Hold(HoldReason::Stopped);
        let made_at = UtcTime::from_seconds(1_795_000_000);
        let deposit = Deposit { payment, kind, quote: None, payer, notes, made_at };
        Signed::new(&deposit, |message| Signature(key.sign(message).as_ref().try_into().unwrap()))
    }

    fn public(key: &Ed25519KeyPair) -> [u8; 32] {
        key.public_key().as_ref().try_into().unwrap()
    }

    /// The same answers to all questions, foreseen or not: only the very same question is answered from what was laid down.
    #[test]
    fn what_was_foreseen_answers_its_own_question_and_no_other() {
        let foresight = foresight();
        let kiosk = KioskNumber::new(42).unwrap();
        let key = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        let signed = deposit(&foresight, &key);
        let read = signed.read_unverified().unwrap();
        let other_payment = PaymentId { number: 10, ..read.payment };
        let ask = |by: &[u8; 32]| {
            signed.open(|message, signature| foresight.verify(by, message, signature)).is_ok()
        };
        let changed = || {
            signed.open(|message, signature| {
                let mut message = message.to_vec();
                message[30] ^= 1;
                foresight.verify(&public(&key), &message, signature)
            })
        };
        let sealed = read.payer.clone().unwrap();
        let mut forged = sealed.clone();
        forged.1[3] ^= 1;
        for expected in [public(&key), public(&other)] {
            // The right guess, and a wrong one.
            foresight.expect(kiosk, expected);
            let seen = foresight.look(kiosk, &Request::Hold(signed.clone()));
            assert!(ask(&public(&key)));
            assert!(!ask(&public(&other)));
            assert!(changed().is_err());
            assert_eq!(
                foresight.open_iin(&sealed, &read.payment),
                foresight.keys.open_iin(&sealed, &read.payment)
            );
            assert!(foresight.open_iin(&sealed, &read.payment).is_some());
            assert_eq!(foresight.open_iin(&sealed, &other_payment), None);
            assert_eq!(foresight.open_iin(&forged, &read.payment), None);
            drop(seen);
        }
        let results = lock(&foresight.results);
        assert!(results.judged.is_empty() && results.opened.is_empty(), "nothing stays behind a request");
    }

    /// If this fails, the thread of a connection computes for nothing.
    #[test]
    fn what_was_foreseen_is_found() {
        let foresight = foresight();
        let kiosk = KioskNumber::new(42).unwrap();
        let key = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
        foresight.expect(kiosk, public(&key));
        let signed = deposit(&foresight, &key);
        let seen = foresight.look(kiosk, &Request::Commit(signed.clone())).unwrap();
        for known in lock(&foresight.results).judged.values_mut() {
            known.right = false;
        }
        let answer = signed.open(|message, signature| foresight.verify(&public(&key), message, signature));
        assert!(answer.is_err(), "the result that was laid down is taken");
        drop(seen);
        let answer = signed.open(|message, signature| foresight.verify(&public(&key), message, signature));
        assert!(answer.is_ok(), "without it the signature itself is judged");
    }
}
