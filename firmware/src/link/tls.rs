//! TLS 1.3 with one authority, one server name and our certificate; and the clock that certificates are judged by.
//!
//! Files are read for each connection, so renewed certificates and revocation lists need no restart. There is no
//! resumption: a resumed session would not see that a certificate was revoked. Public authorities are not consulted.

use super::list;
use crate::{config::Center, keys::read_private};
use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::ring::default_provider,
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject,
    },
    time_provider::TimeProvider,
    version::TLS13,
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tolem_protocol::UtcTime;

/// No clock that shows less than this is right: the program is younger. Seconds since 1970; 2026-11-22.
const OLDEST: i64 = 1_795_305_600;
/// No certificate or list file is longer than this.
const MAX_FILE: u64 = 1024 * 1024;

/// Seconds since 1970 in `SOURCE_DATE_EPOCH` at build time, where the build gives one.
const BUILT: Option<&str> = option_env!("SOURCE_DATE_EPOCH");

/// The wall clock, but never before a time that somebody trustworthy has named: a dead clock battery must not lock the kiosk out,
/// nor make an expired certificate good again.
#[derive(Debug)]
pub struct Clock {
    floor: AtomicI64,
    wall: fn() -> i64,
}

impl Clock {
    /// The system's clock with the build time as its floor.
    pub fn new() -> Self {
        Self::with_wall(wall_seconds)
    }

    /// Another wall clock in seconds since 1970, for tests.
    pub fn with_wall(wall: fn() -> i64) -> Self {
        let built = BUILT.and_then(|text| text.parse().ok()).unwrap_or(OLDEST);
        Self { floor: AtomicI64::new(built.max(OLDEST)), wall }
    }

    /// It is at least `time`: the center said so over an authenticated link, or signed so in the journal.
    pub fn raise(&self, time: UtcTime) {
        self.floor.fetch_max(time.seconds(), Ordering::Relaxed);
    }

    /// Now.
    pub fn now(&self) -> UtcTime {
        UtcTime::from_seconds((self.wall)().max(self.floor.load(Ordering::Relaxed)))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

fn wall_seconds() -> i64 {
    let span = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.now().seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Reads all files and makes the settings of the next connection. The error names the file and what is wrong with it.
pub fn client_config(
    center: &Center,
    clock: &Arc<Clock>,
) -> Result<(ClientConfig, ServerName<'static>), String> {
    let name = server_name(center)?;
    let provider = Arc::new(default_provider());
    let verifier = verifier(center, clock)?;
    let chain = certificates(&center.certificate)?;
    let key = read_private(&center.key).map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|error| format!("{}: not a private key in PEM ({error})", center.key.display()))?;
    let mut config = ClientConfig::builder_with_details(provider, clock.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| error.to_string())?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("{} and {}: {error}", center.certificate.display(), center.key.display()))?;
    config.resumption = Resumption::disabled();
    Ok((config, name))
}

/// The same for a terminal that has no certificate yet.
pub fn stranger_config(
    center: &Center,
    clock: &Arc<Clock>,
) -> Result<(ClientConfig, ServerName<'static>), String> {
    let mut config = ClientConfig::builder_with_details(Arc::new(default_provider()), clock.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| error.to_string())?
        .with_webpki_verifier(verifier(center, clock)?)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok((config, server_name(center)?))
}

fn server_name(center: &Center) -> Result<ServerName<'static>, String> {
    ServerName::try_from(center.server_name.clone())
        .map_err(|_| format!("[center] server_name = {}: not a name", center.server_name))
}

fn verifier(center: &Center, clock: &Clock) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&center.ca)? {
        roots.add(certificate).map_err(|error| format!("{}: {error}", center.ca.display()))?;
    }
    let mut verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    if let Some(path) = &center.crl {
        // Ours names what is wrong with the list; without the last call here one past its date would still be believed.
        list::in_force(center, path, clock.now())?;
        verifier = verifier
            .with_crls([revocation_list(path)?])
            .only_check_end_entity_revocation()
            .enforce_revocation_expiration();
    }
    verifier.build().map_err(|error| match &center.crl {
        Some(path) => format!("{}: {error}", path.display()),
        None => format!("{}: {error}", center.ca.display()),
    })
}

/// Judges the certificates of an open connection again by the files as they are now.
pub(super) fn judge(center: &Center, clock: &Clock, chain: &[CertificateDer<'_>]) -> Result<(), String> {
    let (end_entity, intermediates) = chain.split_first().ok_or("the center has shown no certificate")?;
    let seconds = u64::try_from(clock.now().seconds()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    verifier(center, clock)?
        .verify_server_cert(end_entity, intermediates, &server_name(center)?, &[], now)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(format!("{}: no certificate in PEM", path.display())),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{}: not a certificate in PEM ({error})", path.display())),
    }
}

pub(super) fn revocation_list(path: &Path) -> Result<CertificateRevocationListDer<'static>, String> {
    let bytes = read(path)?;
    if bytes.starts_with(b"-----") {
        CertificateRevocationListDer::from_pem_slice(&bytes)
            .map_err(|error| format!("{}: not a revocation list in PEM ({error})", path.display()))
    } else {
        Ok(CertificateRevocationListDer::from(bytes))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", path.display());
    if std::fs::metadata(path).map_err(fail)?.len() > MAX_FILE {
        return Err(format!("{}: longer than {MAX_FILE} bytes", path.display()));
    }
    std::fs::read(path).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_behind_is_lifted_and_a_clock_ahead_is_not_held() {
        let dead = Clock::with_wall(|| 0);
        assert_eq!(dead.now().seconds(), OLDEST);
        dead.raise(UtcTime::from_seconds(OLDEST + 50));
        dead.raise(UtcTime::from_seconds(5));
        assert_eq!(dead.now().seconds(), OLDEST + 50);
        assert_eq!(Clock::with_wall(|| 2_208_988_800).now().seconds(), 2_208_988_800);
    }
}
