//! Algorithms: what a signature method is, and who signs with one.
//!
//! A [`Suite`] names a signature method with its digest and can check it; a [`Signer`] owns a key for one. The national algorithms
//! (GOST 34.10-2015 with GOST 34.11-2015, method names below `urn:ietf:params:xml:ns:pkigovkz:`) are closed, certified libraries;
//! they would be one more of each, added to [`SUITES`] and [`super::Trust`]. They are not here: see `docs/gateway.md`.

use super::{Reason, Refused, Result};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
    },
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use std::{fmt, fs, path::Path};
use x509_parser::{prelude::*, public_key::PublicKey};

/// A signature method and the digest that goes with it.
pub trait Suite: Sync {
    /// Name of the signature method in XML.
    fn method(&self) -> &'static str;
    /// Name of the digest in XML.
    fn digest_method(&self) -> &'static str;
    /// Digest of `bytes`.
    fn digest(&self, bytes: &[u8]) -> Vec<u8>;
    /// Checks `signature` over `message` with the key of a certificate.
    fn verify(&self, key: &SubjectPublicKeyInfo<'_>, message: &[u8], signature: &[u8]) -> Result<()>;
}

/// The methods that are taken.
pub static SUITES: [&dyn Suite; 2] = [&RsaSha256, &EcdsaP256Sha256];

/// The suite of a signature method, if it is on the list.
pub fn suite_of(method: &str) -> Result<&'static dyn Suite> {
    let found = SUITES.into_iter().find(|suite| suite.method() == method);
    found.ok_or_else(|| Refused::new(Reason::Algorithm, format!("signature method {method:?}")))
}

const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

fn sha256(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().to_vec()
}

fn wrong_key(wanted: &str) -> Refused {
    Refused::new(Reason::WrongKey, format!("the certificate has no {wanted} key"))
}

fn bad_signature() -> Refused {
    Refused::new(Reason::BadSignature, "the key of the certificate did not make this signature")
}

/// RSA, PKCS #1 v1.5, with SHA-256; 2048 to 8192 bits.
pub struct RsaSha256;

impl Suite for RsaSha256 {
    fn method(&self) -> &'static str {
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
    }

    fn digest_method(&self) -> &'static str {
        SHA256
    }

    fn digest(&self, bytes: &[u8]) -> Vec<u8> {
        sha256(bytes)
    }

    fn verify(&self, key: &SubjectPublicKeyInfo<'_>, message: &[u8], signature: &[u8]) -> Result<()> {
        let Ok(PublicKey::RSA(rsa)) = key.parsed() else { return Err(wrong_key("RSA")) };
        let bits = rsa.modulus.iter().skip_while(|byte| **byte == 0).count() * 8;
        if bits < 2_048 {
            return Err(Refused::new(
                Reason::WeakKey,
                format!("RSA of {bits} bits, at least 2048 are needed"),
            ));
        }
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.subject_public_key.data)
            .verify(message, signature)
            .map_err(|_| bad_signature())
    }
}

/// ECDSA over P-256 with SHA-256. In XML a signature is r and s, 32 bytes each, and not DER.
pub struct EcdsaP256Sha256;

impl Suite for EcdsaP256Sha256 {
    fn method(&self) -> &'static str {
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
    }

    fn digest_method(&self) -> &'static str {
        SHA256
    }

    fn digest(&self, bytes: &[u8]) -> Vec<u8> {
        sha256(bytes)
    }

    fn verify(&self, key: &SubjectPublicKeyInfo<'_>, message: &[u8], signature: &[u8]) -> Result<()> {
        let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        let is_p256 = key.algorithm.algorithm == x509_parser::oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY
            && curve == Some(x509_parser::oid_registry::OID_EC_P256);
        if !is_p256 {
            return Err(wrong_key("P-256"));
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.subject_public_key.data)
            .verify(message, signature)
            .map_err(|_| bad_signature())
    }
}

/// Somebody who signs: a key, its certificate, its suite.
pub trait Signer: Send + Sync {
    /// How it signs.
    fn suite(&self) -> &dyn Suite;
    /// Its certificate, DER.
    fn certificate(&self) -> &[u8];
    /// Signs; fails if the key cannot be used (a token was pulled out, for one).
    fn sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, KeyError>;
}

/// Why a signing key cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyError(pub String);

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}

/// A signer whose key lies in a file: PKCS #8, RSA or P-256.
pub struct KeyFile {
    key: Key,
    certificate: Vec<u8>,
    random: SystemRandom,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>),
}

impl KeyFile {
    /// Reads `certificate` and `key` (PEM) and checks that they belong together.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn read(certificate: &Path, key: &Path) -> std::result::Result<Self, KeyError> {
        let text =
            |path: &Path| fs::read(path).map_err(|error| KeyError(format!("{}: {error}", path.display())));
        let (certificate_pem, key_pem) = (text(certificate)?, zeroize::Zeroizing::new(text(key)?));
        Self::from_pem(&certificate_pem, &key_pem)
            .map_err(|error| KeyError(format!("{} and {}: {error}", certificate.display(), key.display())))
    }

    /// The same from texts.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> std::result::Result<Self, KeyError> {
        let certificate = CertificateDer::from_pem_slice(certificate)
            .map_err(|error| KeyError(format!("certificate: {error}")))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(key).map_err(|error| {
            KeyError(format!("key: {error}; a PKCS #8 key is needed (BEGIN PRIVATE KEY)"))
        })?;
        let random = SystemRandom::new();
        let bytes = key.secret_pkcs8_der();
        let (key, public) = match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes, &random) {
            Ok(pair) => {
                let public = pair.public_key().as_ref().to_vec();
                (Key::Ecdsa(Box::new(pair)), public)
            }
            Err(_) => {
                let pair = RsaKeyPair::from_pkcs8(bytes).map_err(|error| {
                    KeyError(format!("key: neither P-256 nor RSA from 2048 bits: {error}"))
                })?;
                let public = pair.public_key().as_ref().to_vec();
                (Key::Rsa(Box::new(pair)), public)
            }
        };
        let (_, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|error| KeyError(format!("certificate: {error}")))?;
        if parsed.public_key().subject_public_key.data.as_ref() != public.as_slice() {
            return Err(KeyError("the key is not the certificate's".into()));
        }
        Ok(Self { key, certificate: certificate.to_vec(), random })
    }
}

impl Signer for KeyFile {
    fn suite(&self) -> &dyn Suite {
        match self.key {
            Key::Rsa(_) => &RsaSha256,
            Key::Ecdsa(_) => &EcdsaP256Sha256,
        }
    }

    fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    fn sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError("the system has no random numbers".into());
        match &self.key {
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Key::Ecdsa(pair) => Ok(pair.sign(&self.random, message).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({}, ..)", self.suite().method())
    }
}
