//! Who becomes a kiosk of ours: invitations, first certificates, renewals.
//!
//! An operator invites a terminal and gets a code for it, once to be seen; the row keeps its hash. Whoever shows the code brings a
//! journal key and a TLS key of their own, both made where they stay. The same code with the same TLS key gets the same certificate
//! again, so an answer that was lost on the way costs nothing. A renewal is proven by the old certificate alone, also past its end; but
//! only the newest certificate of a kiosk may renew, so an old disk that is found somewhere opens nothing.

use crate::logic::{
    Center,
    office::{Deed, active},
    operator,
    store::{Alarm, Result, Store},
};
use ring::digest;
use tolem_protocol::{
    Amount, KioskNumber, UtcTime,
    enrolment::{Answer, Enrol, InviteCode, Question, Why},
    signed::{Signature, Signed},
};

/// Wrong codes for one kiosk in a window after which an operator is told.
const WRONG_CODES: u32 = 5;

/// Hash of a public key (SHA-256 of its SubjectPublicKeyInfo).
pub type KeyHash = [u8; 32];

/// The newest invitation of a kiosk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InviteRow {
    /// Who is invited.
    pub kiosk: KioskNumber,
    /// SHA-256 of the code.
    pub code: [u8; 32],
    /// Who gave it.
    pub by: String,
    /// Good until then.
    pub until: UtcTime,
    /// The TLS key that it was used for.
    pub used_for: Option<KeyHash>,
}

/// The newest certificate of a kiosk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateRow {
    /// Whose.
    pub kiosk: KioskNumber,
    /// The key in it.
    pub key: KeyHash,
    /// The key in the one before, which may ask for this one again as long as the kiosk may not have got it.
    pub former: Option<KeyHash>,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Its end.
    pub good_until: UtcTime,
    /// The end of the certificate with which the kiosk said hello last; zero before the first time.
    pub seen: UtcTime,
}

/// Rows of the enrolment.
pub trait Enrolment {
    /// The invitation of a kiosk.
    fn invite(&self, kiosk: KioskNumber) -> Result<Option<InviteRow>>;
    /// Inserts or replaces.
    fn put_invite(&mut self, row: &InviteRow) -> Result<()>;
    /// The newest certificate of a kiosk.
    fn certificate(&self, kiosk: KioskNumber) -> Result<Option<CertificateRow>>;
    /// Inserts or replaces.
    fn put_certificate(&mut self, row: &CertificateRow) -> Result<()>;
}

/// A certificate that was just made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issued {
    /// DER.
    pub certificate: Vec<u8>,
    /// Its end.
    pub good_until: UtcTime,
}

/// The authority that signs kiosk certificates.
pub trait Issuer {
    /// The key in a certificate request; `None` if it is none.
    fn key_of(&self, request: &[u8]) -> Option<KeyHash>;
    /// Signs a certificate for the key in the request.
    fn issue(&self, kiosk: KioskNumber, request: &[u8], now: UtcTime) -> std::result::Result<Issued, String>;
}

/// What a connection has shown: a certificate of this kiosk with this key, signed by our authority and not revoked; perhaps past its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Whose it is.
    pub kiosk: KioskNumber,
    /// The key in it.
    pub key: KeyHash,
    /// Whether it is past its end.
    pub ended: bool,
}

/// What the one who invites signs.
pub fn invite_message(by: &str, kiosk: KioskNumber, at: UtcTime) -> Vec<u8> {
    [b"tolem invite v1\0", by.as_bytes(), b"\0", &kiosk.get().to_be_bytes(), &at.0.to_be_bytes()].concat()
}

fn hash(code: InviteCode) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, &code.0);
    digest.as_ref().try_into().expect("invariant: SHA-256 has 32 bytes")
}

/// Keeps the certificate of a kiosk that was made in another way than by this port.
pub fn note_certificate(
    store: &mut dyn Store,
    kiosk: KioskNumber,
    key: KeyHash,
    issued: &Issued,
) -> Result<()> {
    let before = store.certificate(kiosk)?;
    store.put_certificate(&CertificateRow {
        kiosk,
        key,
        former: before.as_ref().map(|row| row.key),
        certificate: issued.certificate.clone(),
        good_until: issued.good_until,
        seen: before.map_or(UtcTime::default(), |row| row.seen),
    })
}

/// A kiosk has said hello with a certificate that ends at `good_until`.
pub fn seen(store: &mut dyn Store, kiosk: KioskNumber, good_until: UtcTime) -> Result<()> {
    match store.certificate(kiosk)? {
        Some(row) if row.seen != good_until => {
            store.put_certificate(&CertificateRow { seen: good_until, ..row })
        }
        _ => Ok(()),
    }
}

impl Center {
    /// Keeps an invitation of operator `by`, who has signed [`invite_message`]; the one before is void. The error is for the operator.
    #[allow(clippy::too_many_arguments, reason = "the parts of one signed message and its row")]
    pub fn invite(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        by: &str,
        signature: &Signature,
        kiosk: KioskNumber,
        code: InviteCode,
        until: UtcTime,
    ) -> Result<std::result::Result<(), String>> {
        let Some(operator) = active(store)?.into_iter().find(|row| row.name == by) else {
            return Ok(Err(format!("{by} is no operator of this center; see: tolem-center operator list")));
        };
        if !self.keys.verify(&operator.key, &invite_message(by, kiosk, now), signature) {
            return Ok(Err(format!("this is not the key of {by}")));
        }
        let row = InviteRow { kiosk, code: hash(code), by: by.to_owned(), until, used_for: None };
        store.put_invite(&row)?;
        let again = if store.kiosk(kiosk)?.is_some() { " anew" } else { "" };
        let what = format!("invited kiosk {kiosk} to enrol{again}, until {}", until.local());
        store.write_deed(&Deed { at: now, by: by.to_owned(), what })?;
        Ok(Ok(()))
    }

    /// Answers one question of the enrolment port. What is answered must be durable before it is sent.
    ///
    /// # Errors
    /// If the store fails. That the authority cannot sign is an answer; why stands in the second value, for the log.
    pub fn enrol(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        question: &Question,
        shown: Option<Shown>,
        issuer: &dyn Issuer,
    ) -> Result<(Answer, Option<String>)> {
        let done = match question {
            Question::Enrol(signed) => self.first(store, now, signed, issuer)?,
            Question::Renew(request) => match shown {
                Some(shown) => renew(store, now, shown, request, issuer)?,
                None => Err(Failed::Why(Why::NoCertificate)),
            },
        };
        Ok(match done {
            Ok(certificate) => match heapless::Vec::from_slice(&certificate) {
                Ok(certificate) => (Answer::Issued(certificate), None),
                Err(_) => (Answer::Refused(Why::Unavailable), Some("a certificate is too long".into())),
            },
            Err(Failed::Why(why)) => (Answer::Refused(why), None),
            Err(Failed::Authority(reason)) => (Answer::Refused(Why::Unavailable), Some(reason)),
        })
    }

    fn first(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        signed: &Signed<Enrol>,
        issuer: &dyn Issuer,
    ) -> Result<Attempt> {
        let claimed = signed.read_unverified().map(|read| read.journal_key);
        let opened = claimed.and_then(|key| {
            signed.open(|message, signature| self.keys.verify(&key, message, signature)).ok()
        });
        let Some(Enrol { kiosk, journal_key, code, request }) = opened else {
            return Ok(Err(Failed::Why(Why::Signature)));
        };
        let Some(key) = issuer.key_of(&request) else { return Ok(Err(Failed::Why(Why::Request))) };
        let Some(mut invite) = store.invite(kiosk)?.filter(|row| row.code == hash(code)) else {
            self.wrong_code(store, now, kiosk)?;
            return Ok(Err(Failed::Why(Why::WrongCode)));
        };
        if let Some(used_for) = invite.used_for {
            // The answer may have been lost; whoever asks again has the same key and the same journal.
            let given = store.certificate(kiosk)?.filter(|row| row.key == used_for && used_for == key);
            let known = store.kiosk(kiosk)?.is_some_and(|row| row.journal_key == journal_key);
            return Ok(match given {
                Some(row) if known => Ok(row.certificate),
                _ => Err(Failed::Why(Why::CodeUsed)),
            });
        }
        if now >= invite.until {
            return Ok(Err(Failed::Why(Why::CodeExpired)));
        }
        let issued = match issuer.issue(kiosk, &request, now) {
            Ok(issued) => issued,
            Err(reason) => return Ok(Err(Failed::Authority(reason))),
        };
        operator::register(store, kiosk, journal_key)?;
        note_certificate(store, kiosk, key, &issued)?;
        // A key before this enrolment has no say in it.
        if let Some(row) = store.certificate(kiosk)? {
            store.put_certificate(&CertificateRow { former: None, ..row })?;
        }
        let what = format!("kiosk {kiosk} has enrolled, its certificate ends {}", issued.good_until.local());
        store.write_deed(&Deed { at: now, by: invite.by.clone(), what })?;
        invite.used_for = Some(key);
        store.put_invite(&invite)?;
        Ok(Ok(issued.certificate))
    }

    fn wrong_code(&self, store: &mut dyn Store, now: UtcTime, kiosk: KioskNumber) -> Result<()> {
        let key = format!("enrol:{kiosk}");
        self.count_attempt(store, now, &key)?;
        // Eighty random bits are not guessed; a row of tries still is something to look at. Said once for a window.
        if store.attempts(&key)?.is_some_and(|row| row.count == WRONG_CODES) {
            let text = format!("{WRONG_CODES} wrong codes were shown to enrol as kiosk {kiosk}");
            let (kind, evidence) = ("enrol-wrong-code".to_owned(), Vec::new());
            store.raise(&Alarm { at: now, kiosk, kind, text, disputed: Amount::ZERO, evidence })?;
        }
        Ok(())
    }
}

enum Failed {
    Why(Why),
    Authority(String),
}

type Attempt = std::result::Result<Vec<u8>, Failed>;

fn renew(
    store: &mut dyn Store,
    now: UtcTime,
    shown: Shown,
    request: &[u8],
    issuer: &dyn Issuer,
) -> Result<Attempt> {
    if store.kiosk(shown.kiosk)?.is_none() {
        return Ok(Err(Failed::Why(Why::Unknown)));
    }
    let Some(key) = issuer.key_of(request) else { return Ok(Err(Failed::Why(Why::Request))) };
    match store.certificate(shown.kiosk)? {
        // With the key it has there is nothing to renew, but an answer to repeat.
        Some(row) if row.key == shown.key && row.key == key && !shown.ended => {
            return Ok(Ok(row.certificate));
        }
        Some(row) if row.key == shown.key => {}
        // Its answer was lost, and is said again as long as it is worth something.
        Some(row) if row.former == Some(shown.key) && row.key == key && now < row.good_until => {
            return Ok(Ok(row.certificate));
        }
        Some(row) if row.former == Some(shown.key) && row.key == key => {}
        Some(_) => return Ok(Err(Failed::Why(Why::Superseded))),
        // Enrolled before certificates were kept here: one in force proves itself, one past its end does not.
        None if shown.ended => return Ok(Err(Failed::Why(Why::Superseded))),
        None => {}
    }
    let issued = match issuer.issue(shown.kiosk, request, now) {
        Ok(issued) => issued,
        Err(reason) => return Ok(Err(Failed::Authority(reason))),
    };
    let seen = store.certificate(shown.kiosk)?.map_or(UtcTime::default(), |row| row.seen);
    store.put_certificate(&CertificateRow {
        kiosk: shown.kiosk,
        key,
        former: Some(shown.key),
        certificate: issued.certificate.clone(),
        good_until: issued.good_until,
        seen,
    })?;
    Ok(Ok(issued.certificate))
}
