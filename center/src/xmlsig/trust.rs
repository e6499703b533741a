//! Whose certificates are believed: a root, its issuing authorities, and revocation lists that are in time.
//!
//! The whole chain is checked against the lists; a list that is out of date, forged or missing refuses, because a signature of
//! which nobody can say whether it is revoked is worth nothing. Signing certificates must carry the extended key usage
//! emailProtection, as those of the national authority do: a certificate that only opens TLS channels signs nothing here.

use super::{Reason, Refused, Result};
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime, pem::PemObject as _};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tolem_protocol::UtcTime;
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::prelude::*;

/// Extended key usages as DER content. id-kp-emailProtection, 1.3.6.1.5.5.7.3.4.
const EMAIL_PROTECTION: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x04];
/// id-kp-clientAuth, 1.3.6.1.5.5.7.3.2.
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// Signature algorithms of certificates and revocation lists.
static CHAIN: [&dyn rustls::pki_types::SignatureVerificationAlgorithm; 2] =
    [webpki::ring::ECDSA_P256_SHA256, webpki::ring::RSA_PKCS1_2048_8192_SHA256];

/// Judgements that are kept; more certificates than that are not used at one time.
const MOST_JUDGED: usize = 1_024;

/// Root, issuers and revocation lists.
///
/// A certificate that was found good is good until the first moment at which something that the judgement rests on ends: four signatures
/// are not checked again for each message. Nothing else is remembered, and nothing outlives this value, so a new list judges everybody anew.
#[derive(Debug)]
pub struct Trust {
    anchor: TrustAnchor<'static>,
    issuers: Vec<CertificateDer<'static>>,
    lists: Vec<CertRevocationList<'static>>,
    /// The first end of an issuer or a list, in seconds.
    ends: i64,
    /// Good certificates by SHA-256 of purpose and certificate: since when and until before when, in seconds.
    judged: Mutex<BTreeMap<Vec<u8>, (i64, i64)>>,
}

/// When an authority's certificate ends, in seconds; one that cannot be read has no time of its own.
fn end_of_certificate(der: &[u8]) -> i64 {
    X509Certificate::from_der(der).map_or(i64::MIN, |(_, read)| read.validity().not_after.timestamp())
}

/// When a list ends, in seconds.
fn end_of_list(der: &[u8]) -> i64 {
    let next = CertificateRevocationList::from_der(der).ok().and_then(|(_, list)| list.next_update());
    next.map_or(i64::MIN, |next| next.timestamp())
}

impl Trust {
    /// Trusts `root` with the authorities it made (`issuers`), as far as `lists` do not revoke them; all DER.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn new(root: &[u8], issuers: Vec<Vec<u8>>, lists: &[Vec<u8>]) -> Result<Self> {
        let root = CertificateDer::from(root);
        let anchor = webpki::anchor_from_trusted_cert(&root)
            .map_err(|error| Refused::new(Reason::Certificate, format!("root: {error}")))?
            .to_owned();
        let mut read = Vec::new();
        for list in lists {
            let list = BorrowedCertRevocationList::from_der(list)
                .and_then(|list| list.to_owned())
                .map_err(|error| Refused::new(Reason::Certificate, format!("revocation list: {error}")))?;
            read.push(list.into());
        }
        let ends = issuers.iter().map(|der| end_of_certificate(der));
        let ends = ends.chain(lists.iter().map(|der| end_of_list(der))).min().unwrap_or(i64::MIN);
        let issuers = issuers.into_iter().map(CertificateDer::from).collect();
        Ok(Self { anchor, issuers, lists: read, ends, judged: Mutex::default() })
    }

    /// Reads `root.crt`, `ca.crt` (PEM) and `root.crl`, `ca.crl` (DER) from a directory.
    ///
    /// # Errors
    /// Names the file that is missing or wrong.
    pub fn read(directory: &Path) -> Result<Self> {
        let path = |name: &str| directory.join(name);
        let fault = |name: &str, error: &dyn std::fmt::Display| {
            Refused::new(Reason::Certificate, format!("{}: {error}", path(name).display()))
        };
        let certificate =
            |name: &str| CertificateDer::from_pem_file(path(name)).map_err(|error| fault(name, &error));
        let list = |name: &str| fs::read(path(name)).map_err(|error| fault(name, &error));
        let (root, issuer) = (certificate("root.crt")?, certificate("ca.crt")?);
        Self::new(&root, vec![issuer.to_vec()], &[list("root.crl")?, list("ca.crl")?])
    }

    /// Judges a certificate that made a signature at `now` and gives the common name of its subject.
    ///
    /// # Errors
    /// Says why it is not believed.
    pub fn signer(&self, certificate: &[u8], now: UtcTime) -> Result<String> {
        self.check(certificate, now, EMAIL_PROTECTION)?;
        name_of(certificate)
    }

    /// Judges a certificate that opened a TLS channel at `now` and gives the common name of its subject.
    ///
    /// # Errors
    /// Says why it is not believed.
    pub fn channel(&self, certificate: &[u8], now: UtcTime) -> Result<String> {
        self.check(certificate, now, CLIENT_AUTH)?;
        name_of(certificate)
    }

    fn check(&self, certificate: &[u8], now: UtcTime, purpose: &'static [u8]) -> Result<()> {
        let mut name = ring::digest::Context::new(&ring::digest::SHA256);
        name.update(purpose);
        name.update(certificate);
        let (name, second) = (name.finish().as_ref().to_vec(), now.seconds());
        let judged = || self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if judged().get(&name).is_some_and(|(from, until)| (*from..*until).contains(&second)) {
            return Ok(());
        }
        self.judge(certificate, now, purpose)?;
        let mut judged = judged();
        if judged.len() >= MOST_JUDGED {
            judged.clear();
        }
        judged.insert(name, (second, self.ends.min(end_of_certificate(certificate))));
        Ok(())
    }

    fn judge(&self, certificate: &[u8], now: UtcTime, purpose: &'static [u8]) -> Result<()> {
        let der = CertificateDer::from(certificate);
        let leaf = EndEntityCert::try_from(&der)
            .map_err(|error| Refused::new(Reason::Certificate, error.to_string()))?;
        let lists: Vec<_> = self.lists.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&lists)
            .map_err(|_| Refused::new(Reason::CrlMissing, "no revocation list at all"))?
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(now.seconds().max(0).unsigned_abs()));
        let anchors = std::slice::from_ref(&self.anchor);
        // webpki asks the authorities too, which name no purpose; so the certificate itself is asked once more.
        let usage = KeyUsage::required_if_present(purpose);
        leaf.verify_for_usage(&CHAIN, anchors, &self.issuers, at, usage, Some(revocation), None)
            .map_err(|error| Refused::new(reason_of(&error), error.to_string()))?;
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|error| Refused::new(Reason::Certificate, error.to_string()))?;
        match parsed.extended_key_usage() {
            Ok(Some(_)) => Ok(()),
            _ => Err(Refused::new(Reason::NotForSigning, "the certificate names no purpose")),
        }
    }
}

fn reason_of(error: &Error) -> Reason {
    match error {
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension | Error::CaUsedAsEndEntity => {
            Reason::NotForSigning
        }
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } => Reason::CertificateTime,
        Error::CertRevoked => Reason::Revoked,
        Error::CrlExpired { .. } => Reason::CrlStale,
        Error::InvalidCrlSignatureForPublicKey
        | Error::IssuerNotCrlSigner
        | Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => Reason::CrlForged,
        Error::UnknownRevocationStatus => Reason::CrlMissing,
        _ => Reason::Untrusted,
    }
}

/// The one common name of a certificate's subject.
pub fn name_of(certificate: &[u8]) -> Result<String> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| Refused::new(Reason::Certificate, error.to_string()))?;
    let mut names = parsed.subject().iter_common_name();
    match (names.next().and_then(|name| name.as_str().ok()), names.next()) {
        (Some(name), None) => Ok(name.to_owned()),
        _ => Err(Refused::new(Reason::Certificate, "the subject has not exactly one common name")),
    }
}
