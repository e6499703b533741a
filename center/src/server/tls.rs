//! Who may connect: TLS 1.3 with a kiosk certificate that is ours, in time, not revoked, and meant for it.
//!
//! Measured with rustls 0.23 and closed here: a certificate without extended key usage passes as a client, so clientAuth is
//! demanded; a stale revocation list passes unless its expiration is enforced; a resumed session is not verified again, so
//! there is no resumption; the list inside a verifier is frozen, so the verifier itself is replaced.

use crate::{
    logic::enrolment::Shown,
    pki::{hash_key, kiosk_of_name},
};
use arc_swap::ArcSwap;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime,
        pem::{self, PemObject},
    },
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};
use tolem_protocol::{KioskNumber, UtcTime};
use x509_parser::{extensions::GeneralName, prelude::*};

/// Why the server side of TLS cannot be set up.
#[derive(Debug)]
pub struct SetupError(pub String);

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SetupError {}

/// The parts of the server's TLS that can be replaced while it runs.
#[derive(Clone, Debug)]
pub struct Tls {
    directory: PathBuf,
    verifier: Arc<Gate>,
    certificate: Arc<Certificate>,
    /// When the list in force goes stale, in seconds since 1970.
    ends: Arc<AtomicI64>,
    /// Counts the loads, so that an open connection notices that the list has changed.
    loads: Arc<AtomicU64>,
}

impl Tls {
    /// Reads certificates, key and revocation list from `directory`.
    pub fn load(directory: &Path) -> Result<Self, SetupError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(Gate {
            inner: ArcSwap::from_pointee(verifier(directory, &provider)?),
            hints: Vec::new(),
        });
        let certificate = Arc::new(Certificate(ArcSwap::from_pointee(certified(directory, &provider)?)));
        let loads = Arc::new(AtomicU64::new(1));
        let ends = Arc::new(AtomicI64::new(crl_ends(directory)?.unwrap_or(i64::MAX)));
        Ok(Self { directory: directory.to_owned(), verifier, certificate, ends, loads })
    }

    /// Reads everything again; on an error everything stays as it was. New handshakes follow the new files.
    pub fn reload(&self) -> Result<(), SetupError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = verifier(&self.directory, &provider)?;
        let certificate = certified(&self.directory, &provider)?;
        let ends = crl_ends(&self.directory)?.unwrap_or(i64::MAX);
        self.ends.store(ends, Ordering::SeqCst);
        self.verifier.inner.store(Arc::new(verifier));
        self.certificate.0.store(Arc::new(certificate));
        self.loads.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Number of loads so far.
    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }

    /// Whether the list in force is past its date: nobody knows who was revoked since, so nobody is trusted.
    pub fn is_stale(&self, now: UtcTime) -> bool {
        now.seconds() >= self.ends.load(Ordering::SeqCst)
    }

    /// Judges a certificate again by what is in force now.
    pub fn judge(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        self.verifier.verify_client_cert(certificate, &[], UnixTime::now()).map(|_| ())
    }

    /// The server's configuration.
    pub fn config(&self) -> Result<ServerConfig, SetupError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| SetupError(error.to_string()))?
            .with_client_cert_verifier(self.verifier.clone())
            .with_cert_resolver(self.certificate.clone());
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// The configuration of the port for enrolment: a certificate is not demanded, and one past its end is taken.
    pub fn enrolment_config(&self) -> Result<ServerConfig, SetupError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| SetupError(error.to_string()))?
            .with_client_cert_verifier(Arc::new(Lenient(self.verifier.clone())))
            .with_cert_resolver(self.certificate.clone());
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

/// The gate, but for the end of a certificate, and for those who have none yet.
#[derive(Debug)]
struct Lenient(Arc<Gate>);

impl ClientCertVerifier for Lenient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // As if it were the last second of its life. That the revocation list is in force now is asked by whoever reads the question.
        let end = X509Certificate::from_der(end_entity)
            .ok()
            .and_then(|(_, parsed)| u64::try_from(parsed.validity().not_after.timestamp()).ok())
            .ok_or_else(|| Error::General("the certificate cannot be read".into()))?;
        let then = std::time::Duration::from_secs(end.min(now.as_secs()));
        self.0.verify_client_cert(end_entity, intermediates, UnixTime::since_unix_epoch(then))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Whose certificate this is, with which key, and whether it is past its end.
pub(super) fn shown(certificate: &CertificateDer<'_>, now: UtcTime) -> Result<Shown, &'static str> {
    let kiosk = kiosk_of(certificate)?;
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| "the certificate cannot be read")?;
    let ended = parsed.validity().not_after.timestamp() < now.seconds();
    Ok(Shown { kiosk, key: hash_key(parsed.public_key().raw), ended })
}

/// When a certificate ends.
pub(super) fn good_until(certificate: &CertificateDer<'_>) -> UtcTime {
    let parsed = X509Certificate::from_der(certificate);
    parsed.map_or(UtcTime::default(), |(_, parsed)| {
        UtcTime::from_seconds(parsed.validity().not_after.timestamp())
    })
}

/// Reads the list that kiosks judge the center by, as it lies in the directory.
pub fn read_root_crl(directory: &Path) -> Result<Vec<u8>, SetupError> {
    let path = directory.join("pki/root.crl");
    let list = read_list(&path)?;
    parse_x509_crl(&list).map_err(|error| SetupError(format!("{}: {error}", path.display())))?;
    Ok(list)
}

/// When the list that kiosks are judged by goes stale, in seconds since 1970; then nobody gets in any more.
pub fn crl_ends(directory: &Path) -> Result<Option<i64>, SetupError> {
    let path = directory.join("pki/device.crl");
    let list = read_list(&path)?;
    let (_, list) =
        parse_x509_crl(&list).map_err(|error| SetupError(format!("{}: {error}", path.display())))?;
    Ok(list.next_update().map(|at| at.timestamp()))
}

fn read_list(path: &Path) -> Result<Vec<u8>, SetupError> {
    fs::read(path).map_err(|error| SetupError(format!("{}: {error}", path.display())))
}

fn verifier(directory: &Path, provider: &Arc<CryptoProvider>) -> Result<Inner, SetupError> {
    let path = directory.join("pki/device-ca.crt");
    let authority = CertificateDer::from_pem_file(&path).map_err(|error| wrong_pem(&path, &error))?;
    let mut roots = RootCertStore::empty();
    roots.add(authority).map_err(|error| SetupError(format!("{}: {error}", path.display())))?;
    let crl = CertificateRevocationListDer::from(read_list(&directory.join("pki/device.crl"))?);
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .with_crls([crl])
        .enforce_revocation_expiration()
        .build()
        .map(Inner)
        .map_err(|error| SetupError(format!("{}: {error}", directory.join("pki/device.crl").display())))
}

fn certified(directory: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, SetupError> {
    let (chain, key) = (directory.join("pki/server.crt"), directory.join("pki/server.key"));
    let certificates = CertificateDer::pem_file_iter(&chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong_pem(&chain, &error))?;
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| wrong_pem(&key, &error))?;
    CertifiedKey::from_der(certificates, private, provider)
        .map_err(|error| SetupError(format!("{} and {}: {error}", chain.display(), key.display())))
}

fn wrong_pem(path: &Path, error: &pem::Error) -> SetupError {
    SetupError(format!("{}: {error}", path.display()))
}

#[derive(Debug)]
struct Certificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

#[derive(Debug)]
struct Inner(Arc<dyn ClientCertVerifier>);

/// The verifier in force, and our own demands on top of it.
#[derive(Debug)]
struct Gate {
    inner: ArcSwap<Inner>,
    hints: Vec<DistinguishedName>,
}

impl ClientCertVerifier for Gate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // None: kiosks have one certificate, and nobody else need learn the name of our authority.
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.load().0.verify_client_cert(end_entity, intermediates, now)?;
        kiosk_of(end_entity).map_err(|reason| Error::General(reason.into()))?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.load().0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.load().0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.load().0.supported_verify_schemes()
    }
}

/// The kiosk a certificate names, if it is one that may connect: clientAuth demanded, one common name, the same name as
/// its only alternative name.
pub fn kiosk_of(certificate: &CertificateDer<'_>) -> Result<KioskNumber, &'static str> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Err("the certificate cannot be read");
    };
    let usage =
        parsed.extended_key_usage().map_err(|_| "the certificate's extended key usage is malformed")?;
    if !usage.is_some_and(|usage| usage.value.client_auth) {
        return Err("the certificate is not meant for TLS clients (no clientAuth)");
    }
    let mut names = parsed.subject().iter_common_name();
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err("the certificate has not exactly one common name");
    };
    let kiosk = name.as_str().ok().and_then(kiosk_of_name);
    let kiosk = kiosk.ok_or("the certificate does not name a kiosk (kiosk-00001 to kiosk-99999)")?;
    let alternative =
        parsed.subject_alternative_name().map_err(|_| "the certificate's alternative names are malformed")?;
    let fits = alternative.is_some_and(|names| {
        matches!(names.value.general_names.as_slice(),
            [GeneralName::DNSName(other)] if kiosk_of_name(other) == Some(kiosk))
    });
    if fits { Ok(kiosk) } else { Err("the certificate's alternative name is not its common name") }
}
