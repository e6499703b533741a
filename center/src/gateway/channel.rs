//! Mutual TLS 1.3 of the gateway, from both sides. No resumption: a resumed session is not verified again, and a revoked
//! participant would still get in.

use super::party::PartyError;
use crate::xmlsig::Trust;
use arc_swap::ArcSwap;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
    client::{Resumption, WebPkiServerVerifier, danger::HandshakeSignatureValid},
    crypto::{CryptoProvider, ring, verify_tls13_signature},
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    server::{
        NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::{fmt, fs, path::Path, sync::Arc};
use tolem_protocol::UtcTime;

fn fault(path: &Path, error: &dyn fmt::Display) -> PartyError {
    PartyError(format!("{}: {error}", path.display()))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(folder: &Path) -> Result<Identity, PartyError> {
    let (chain, key) = (folder.join("channel.crt"), folder.join("channel.key"));
    let certificates = CertificateDer::pem_file_iter(&chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(&chain, &error))?;
    Ok((certificates, PrivateKeyDer::from_pem_file(&key).map_err(|error| fault(&key, &error))?))
}

/// The server's side: whom `trust` believes as the owner of a channel gets in.
pub(crate) fn server(folder: &Path, trust: Arc<ArcSwap<Trust>>) -> Result<ServerConfig, PartyError> {
    let provider = Arc::new(ring::default_provider());
    let (chain, key) = identity(folder)?;
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| fault(folder, &error))?
        .with_client_cert_verifier(Arc::new(Door { trust, provider }))
        .with_single_cert(chain, key)
        .map_err(|error| fault(&folder.join("channel.crt"), &error))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The client's side: the server must have a certificate of the authority for its host, not revoked by lists that are in time.
/// `speaks` are the protocols that are offered (ALPN).
pub(crate) fn client(folder: &Path, speaks: &[&str]) -> Result<ClientConfig, PartyError> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    let root = folder.join("root.crt");
    let certificate = CertificateDer::from_pem_file(&root).map_err(|error| fault(&root, &error))?;
    roots.add(certificate).map_err(|error| fault(&root, &error))?;
    let mut lists = Vec::new();
    for file in ["root.crl", "ca.crl"] {
        let path = folder.join(file);
        lists
            .push(CertificateRevocationListDer::from(fs::read(&path).map_err(|error| fault(&path, &error))?));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .with_crls(lists)
        .enforce_revocation_expiration()
        .build()
        .map_err(|error| fault(folder, &error))?;
    let (chain, key) = identity(folder)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| fault(folder, &error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(chain, key)
        .map_err(|error| fault(&folder.join("channel.crt"), &error))?;
    config.resumption = Resumption::disabled();
    config.alpn_protocols = speaks.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

/// Lets in whom the trust in force believes.
#[derive(Debug)]
struct Door {
    trust: Arc<ArcSwap<Trust>>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Door {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let now = UtcTime::from_seconds(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        match self.trust.load().channel(end_entity, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(refused) => Err(Error::General(refused.to_string())),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
