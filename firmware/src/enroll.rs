//! The terminal's TLS certificate: the first one by a code that a person was given, the next ones by itself with the old key.
//!
//! The private key is made here and stays here. What is under way lies beside the two files as `*.pending`, each whole when it is there
//! (written, synced, renamed), so that a kill at any moment leaves a state that the next start finishes or begins anew:
//!
//! ```text
//! key.pending                   asked for, or to be asked for again with the same key: the center gives the same answer
//! key.pending  cert.pending     both move into place, the key first
//! key          cert.pending     the certificate moves into place
//! ```

use crate::{
    config::{Center, Config},
    keys::{KioskKeys, OnMissing, read_private, write_private},
    link::{
        list,
        tls::{self, Clock},
    },
    store::SqliteStore,
};
use data_encoding::BASE64;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tolem_core::ports::{Signer, Store};
use tolem_protocol::{
    KioskNumber, UtcTime,
    enrolment::{Answer, CertificateRequest, Enrol, InviteCode, Question},
    messages::{decode, encode, frame_length},
    signed::Signed,
};
use x509_parser::prelude::*;
use zeroize::Zeroizing;

/// For the connection, the handshake, and the answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// When a certificate is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    /// First moment.
    pub from: UtcTime,
    /// Last moment.
    pub until: UtcTime,
}

impl Life {
    /// Whether two thirds of it are over.
    pub fn is_due(&self, now: UtcTime) -> bool {
        let whole = self.until.seconds() - self.from.seconds();
        now.seconds() - self.from.seconds() >= whole / 3 * 2
    }

    /// Whole days that are left; negative when it is over.
    pub fn days_left(&self, now: UtcTime) -> i64 {
        (self.until.seconds() - now.seconds()).div_euclid(86_400)
    }
}

fn pending(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pending");
    PathBuf::from(name)
}

fn named(path: &Path, cause: impl std::fmt::Display) -> String {
    format!("{}: {cause}", path.display())
}

/// The life of the certificate in force.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn life(center: &Center) -> Result<Life, String> {
    let chain = tls::certificates(&center.certificate)?;
    let leaf = chain.first().ok_or_else(|| named(&center.certificate, "no certificate"))?;
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| named(&center.certificate, error))?;
    Ok(life_of(&parsed))
}

fn life_of(parsed: &X509Certificate<'_>) -> Life {
    Life {
        from: UtcTime::from_seconds(parsed.validity().not_before.timestamp()),
        until: UtcTime::from_seconds(parsed.validity().not_after.timestamp()),
    }
}

/// Finishes what a kill has left half done. True if a certificate was put into place by it.
///
/// # Errors
/// Names the file that cannot be moved.
pub fn finish(center: &Center) -> Result<bool, String> {
    let (key, certificate) = (pending(&center.key), pending(&center.certificate));
    if !certificate.exists() {
        return Ok(false);
    }
    let chain = tls::certificates(&certificate)?;
    let spki = chain.first().and_then(|leaf| {
        let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
        Some(parsed.public_key().raw.to_vec())
    });
    let fits = |path: &Path| {
        let pair = read_private(path).ok().and_then(|pem| pair(&pem).ok());
        pair.is_some_and(|pair| Some(pair.subject_public_key_info()) == spki)
    };
    if fits(&key) {
        rename(&key, &center.key)?;
    } else if !fits(&center.key) {
        // Of a key that is gone: worth nothing to anybody.
        fs::remove_file(&certificate).map_err(|error| named(&certificate, error))?;
        return Ok(false);
    }
    rename(&certificate, &center.certificate)?;
    Ok(true)
}

/// Durable when it returns.
fn rename(from: &Path, to: &Path) -> Result<(), String> {
    let directory = crate::store::directory_of(to);
    fs::rename(from, to).and_then(|()| File::open(directory)?.sync_all()).map_err(|error| named(to, error))
}

fn pair(pem: &[u8]) -> Result<KeyPair, String> {
    let text = str::from_utf8(pem).map_err(|error| error.to_string())?;
    KeyPair::from_pem(text).map_err(|error| error.to_string())
}

/// The key that a certificate is asked for with: the one from an attempt that did not come to its end, or a new one on disk.
fn pending_key(center: &Center) -> Result<KeyPair, String> {
    let path = pending(&center.key);
    if !path.exists() {
        let pair = KeyPair::generate().map_err(|error| format!("no key can be made: {error}"))?;
        let pem = Zeroizing::new(pair.serialize_pem());
        write_private(&path, pem.as_bytes()).map_err(|error| named(&path, error))?;
    }
    // Before the center is asked: a code must not be used up by a terminal that cannot keep the answer.
    let probe = pending(&center.certificate).with_extension("probe");
    write_private(&probe, b"")
        .and_then(|()| fs::remove_file(&probe))
        .map_err(|error| named(&probe, error))?;
    let pem = read_private(&path).map_err(|error| error.to_string())?;
    pair(&pem).map_err(|error| named(&path, format!("{error}; remove the file and begin again")))
}

fn request(number: KioskNumber, pair: &KeyPair) -> Result<CertificateRequest, String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("kiosk-{number}"));
    let request = params.serialize_request(pair).map_err(|error| error.to_string())?;
    CertificateRequest::from_slice(request.der()).map_err(|_| "the certificate request is too long".into())
}

/// Asks one question.
async fn ask(
    center: &Center,
    clock: &Arc<Clock>,
    question: &Question,
    with_certificate: bool,
) -> Result<Vec<u8>, String> {
    let port = center.enroll_port.ok_or(
        "[center] enroll_port is not set: the port of `enroll_listen` in the center's configuration",
    )?;
    let (config, name) = if with_certificate {
        tls::client_config(center, clock)?
    } else {
        tls::stranger_config(center, clock)?
    };
    let place = format!("{}:{port}", center.host);
    let told = |cause: String| format!("{place}: {cause} (our clock: {})", clock.now().local());
    let talk = async {
        let tcp = TcpStream::connect((center.host.as_str(), port)).await?;
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        stream.write_all(&encode(1, question)).await?;
        stream.flush().await?;
        let mut field = [0; 4];
        stream.read_exact(&mut field).await?;
        let length = frame_length(field).map_err(|error| io::Error::other(error.to_string()))?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        io::Result::Ok(body)
    };
    let body =
        timeout(PATIENCE, talk).await.map_err(|_| told("no answer".into()))?.map_err(|error| match error
            .kind()
        {
            io::ErrorKind::UnexpectedEof => told("the center closed the connection; its log says why".into()),
            _ => told(error.to_string()),
        })?;
    match decode::<Answer>(&body).map_err(|error| told(error.to_string()))?.1 {
        Answer::Issued(certificate) => Ok(certificate.to_vec()),
        Answer::Refused(why) => Err(why.to_string()),
    }
}

/// Puts a certificate into place if it is ours.
fn take(
    center: &Center,
    number: KioskNumber,
    pair: &KeyPair,
    der: &[u8],
    now: UtcTime,
) -> Result<Life, String> {
    let (_, parsed) = X509Certificate::from_der(der)
        .map_err(|error| format!("the center's answer is no certificate ({error})"))?;
    let life = life_of(&parsed);
    let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    if parsed.public_key().raw != pair.subject_public_key_info() {
        return Err("the center's certificate is for another key".into());
    }
    if name != Some(&format!("kiosk-{number}")) {
        return Err(format!("the center's certificate is for {}", name.unwrap_or("nobody")));
    }
    if now < life.from || life.until <= now {
        // The key stays pending: once the clock is right, the same question gets the same certificate.
        return Err(format!(
            "the center's certificate is good from {} until {}, and our clock says {}: set the clock and try again",
            life.from.local(),
            life.until.local(),
            now.local()
        ));
    }
    let lines: Vec<String> = BASE64
        .encode(der)
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    let path = pending(&center.certificate);
    write_private(&path, pem.as_bytes()).map_err(|error| named(&path, error))?;
    if finish(center)? { Ok(life) } else { Err(named(&path, "does not fit the key beside it")) }
}

/// Gets the next certificate with the key of the old one.
///
/// # Errors
/// Says why there is none; the old one stays in force.
pub async fn renew(center: &Center, number: KioskNumber, clock: &Arc<Clock>) -> Result<Life, String> {
    let pair = pending_key(center)?;
    let question = Question::Renew(request(number, &pair)?);
    let der = ask(center, clock, &question, true).await?;
    take(center, number, &pair, &der, clock.now())
}

/// What [`enroll`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Enrolled {
    /// Got a certificate.
    New(Life),
    /// Finished what was half done.
    Finished(Life),
}

/// Gets the first certificate with a code. `again` takes another one although there is one.
///
/// # Errors
/// Says what is wrong and what to do; nothing that was in force is changed.
pub async fn enroll(config: &Config, code: InviteCode, again: bool) -> Result<Enrolled, String> {
    let center = &config.center;
    if finish(center)? {
        return Ok(Enrolled::Finished(life(center)?));
    }
    if !again && center.certificate.exists() && center.key.exists() {
        let until = life(center)?.until.local();
        return Err(format!(
            "this terminal has a certificate until {until} ({}); with --again it gets another one",
            center.certificate.display()
        ));
    }
    // Opening proves that no terminal runs on the journal, and that it can be written.
    let store = SqliteStore::open(&config.journal.path).map_err(|error| error.to_string())?;
    let empty = store.size().map_err(|error| error.to_string())? == 0;
    let missing = if empty { OnMissing::Create } else { OnMissing::Refuse };
    let signer =
        KioskKeys::open(&config.journal.keys, &center.keys, missing).map_err(|error| error.to_string())?;
    let clock = Arc::new(Clock::new());
    if let Some(path) = &center.crl
        && list::in_force(center, path, clock.now()).is_err()
        && let Some(port) = center.crl_port
    {
        let bytes = list::fetch(&center.host, port).await?;
        list::take(center, path, &bytes, clock.now())?;
    }
    let pair = pending_key(center)?;
    let number = config.kiosk.number;
    let enrol =
        Enrol { kiosk: number, journal_key: signer.public_key(), code, request: request(number, &pair)? };
    let question = Question::Enrol(Signed::new(&enrol, |message| signer.sign(message)));
    let der = ask(center, &clock, &question, false).await?;
    take(center, number, &pair, &der, clock.now()).map(Enrolled::New)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn settings(scratch: &Scratch) -> Center {
        let example = include_str!("../../deploy/kiosk.toml");
        let center = Config::parse(Path::new("kiosk.toml"), example).unwrap().center;
        Center {
            certificate: scratch.path().join("kiosk.pem"),
            key: scratch.path().join("kiosk.key"),
            ..center
        }
    }

    fn put(path: &Path, text: &str) {
        write_private(path, text.as_bytes()).unwrap();
    }

    /// A key and a certificate for it.
    fn made() -> (String, String) {
        let pair = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&pair).unwrap();
        (pair.serialize_pem(), certificate.pem())
    }

    #[test]
    fn whatever_a_kill_leaves_is_finished_or_begun_anew() {
        let ((old_key, old), (new_key, new)) = (made(), made());
        // What lies there: key, certificate, key.pending, cert.pending; what it must become, and whether it was finished.
        type Left<'a> = [Option<&'a str>; 4];
        let (ok, oc, nk, nc) =
            (Some(old_key.as_str()), Some(old.as_str()), Some(new_key.as_str()), Some(new.as_str()));
        let cases: [(Left<'_>, Left<'_>, bool); 7] = [
            ([None, None, None, None], [None, None, None, None], false),
            ([None, None, nk, None], [None, None, nk, None], false),
            ([None, None, nk, nc], [nk, nc, None, None], true),
            ([nk, None, None, nc], [nk, nc, None, None], true),
            ([ok, oc, nk, nc], [nk, nc, None, None], true),
            ([nk, oc, None, nc], [nk, nc, None, None], true),
            // The key of the pending certificate is nowhere.
            ([ok, oc, None, nc], [ok, oc, None, None], false),
        ];
        for (number, (before, after, finished)) in cases.iter().enumerate() {
            let scratch = Scratch::new("pending");
            let center = settings(&scratch);
            let paths = [
                center.key.clone(),
                center.certificate.clone(),
                pending(&center.key),
                pending(&center.certificate),
            ];
            for (path, text) in paths.iter().zip(before) {
                if let Some(text) = text {
                    put(path, text);
                }
            }
            assert_eq!(finish(&center), Ok(*finished), "case {number}");
            for (path, text) in paths.iter().zip(after) {
                let found = fs::read_to_string(path).ok();
                assert_eq!(found.as_deref(), *text, "case {number}, {}", path.display());
            }
            assert_eq!(finish(&center), Ok(false), "case {number}: once");
        }
    }

    #[test]
    fn a_key_is_kept_until_its_certificate_is_in_place() {
        let scratch = Scratch::new("pending-key");
        let center = settings(&scratch);
        let first = pending_key(&center).unwrap();
        let second = pending_key(&center).unwrap();
        assert_eq!(first.subject_public_key_info(), second.subject_public_key_info());
        // A disk that takes nothing stops it before anybody is asked.
        let nowhere = Center { certificate: scratch.path().join("no/such/kiosk.pem"), ..center };
        assert!(pending_key(&nowhere).unwrap_err().contains("no/such/kiosk.pem"));
    }

    #[test]
    fn a_certificate_is_due_after_two_thirds() {
        let at = UtcTime::from_seconds;
        let life = Life { from: at(1_000_000), until: at(1_000_000 + 730 * 86_400) };
        assert!(!life.is_due(at(1_000_000 + 486 * 86_400)));
        assert!(life.is_due(at(1_000_000 + 487 * 86_400)));
        assert_eq!(life.days_left(at(1_000_000 + 729 * 86_400)), 1);
        assert_eq!(life.days_left(at(1_000_001 + 730 * 86_400)), -1);
    }
}
