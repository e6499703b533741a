//! The public-key infrastructure of one operator as a directory: root, device authority, server and kiosk certificates,
//! revocation list, and the center's own keys.
//!
//! ```text
//! pki/root.crt root.key            what kiosks trust
//! pki/device-ca.crt device-ca.key  signs kiosk certificates and the list, nothing else
//! pki/server.crt server.key        the center
//! pki/device.crl                   revocation list of kiosk certificates, DER: the server reads it
//! pki/root.crl                     revocation list of the root, DER: kiosks judge the server by it
//! pki/revoked                      one line per revoked certificate: serial, seconds since 1970, name
//! pki/kiosks/kiosk-00042.crt .key  one kiosk, the newest certificate (the key only if it was made here)
//! pki/kiosks/kiosk-00042.SERIAL.crt  a certificate of it before, which a revocation must name, too
//! keys/statement.key .pub  sealing.key .pub  witness.key .vkey  tag.key  cards.key
//! ```
//! Private files are readable by their owner alone. Kiosk certificates come from an authority of their own and carry
//! clientAuth: rustls accepts a certificate without any extended key usage as a client, so the server demands it explicitly.

pub mod nca;

use crate::keys::{CenterKeys, Seeds};
use crate::logic::{
    Keys as _,
    enrolment::{Issued, Issuer as Issuing, KeyHash},
};
use data_encoding::{BASE64, HEXLOWER};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SerialNumber,
};
use std::{
    fmt, fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};
use time::OffsetDateTime;
use tolem_protocol::{KioskNumber, UtcTime};
use zeroize::Zeroizing;

/// Days that authorities are valid.
const CA_DAYS: i64 = 3_650;
/// Days that server and kiosk certificates are valid.
pub const LEAF_DAYS: i64 = 730;
/// Days that a revocation list is valid unless somebody says otherwise.
pub const CRL_DAYS: i64 = 7;
/// Certificates begin to be valid this long before they are made: clocks differ.
const SLACK_S: i64 = 3_600;

/// Why the directory cannot be made, read or changed.
#[derive(Debug)]
pub enum PkiError {
    /// A file cannot be read or written.
    File(PathBuf, std::io::Error),
    /// A file does not hold what it should.
    Content(PathBuf, String),
    /// A certificate, request or list cannot be made.
    Certificate(String),
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Content(path, fault) => write!(f, "{}: {fault}", path.display()),
            Self::Certificate(fault) => write!(f, "certificate: {fault}"),
        }
    }
}

impl std::error::Error for PkiError {}

impl From<rcgen::Error> for PkiError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

type Result<T> = std::result::Result<T, PkiError>;

/// What a kiosk certificate says. Tests make wrong ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profile {
    /// First moment of validity.
    pub not_before: UtcTime,
    /// Last moment of validity.
    pub not_after: UtcTime,
    /// Whether it may be used as a TLS client.
    pub client_auth: bool,
}

impl Profile {
    /// A good certificate made now.
    pub fn standard(now: UtcTime) -> Self {
        Self {
            not_before: now.plus_seconds(-SLACK_S),
            not_after: now.plus_seconds(LEAF_DAYS * 86_400),
            client_auth: true,
        }
    }
}

/// Certificate and private key of a kiosk, PEM.
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS#8.
    pub key: Zeroizing<String>,
}

/// The name in a kiosk's certificate: `kiosk-00042`.
pub fn kiosk_name(kiosk: KioskNumber) -> String {
    format!("kiosk-{kiosk}")
}

/// The kiosk that a certificate name stands for; only the exact form is read.
pub fn kiosk_of_name(name: &str) -> Option<KioskNumber> {
    let digits = name.strip_prefix("kiosk-").filter(|digits| digits.len() == 5)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().and_then(KioskNumber::new)
}

/// The directory.
#[derive(Clone, Debug)]
pub struct Pki {
    directory: PathBuf,
}

impl Pki {
    /// The infrastructure under `directory`, which holds `pki/` and `keys/`. Nothing is read yet.
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Makes everything new. `names` are the host names and addresses that kiosks call the center by.
    ///
    /// Fails if there is one already: a root is never overwritten.
    pub fn create(directory: &Path, names: &[String], now: UtcTime) -> Result<Self> {
        let pki = Self::at(directory);
        for part in ["pki/kiosks", "keys"] {
            let path = directory.join(part);
            fs::create_dir_all(&path).map_err(|error| PkiError::File(path, error))?;
        }
        let root_key = KeyPair::generate()?;
        let root_params = authority("Tolem root", now);
        let root = root_params.self_signed(&root_key)?;
        let root_issuer = Issuer::new(root_params, &root_key);
        let device_key = KeyPair::generate()?;
        let device = authority("Tolem device authority", now).signed_by(&device_key, &root_issuer)?;
        let server_key = KeyPair::generate()?;
        let mut server = CertificateParams::new(names.to_vec())?;
        name(&mut server, "tolem-center");
        validity(&mut server, &Profile::standard(now));
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let server = server.signed_by(&server_key, &root_issuer)?;

        pki.private("pki/root.key", &root_key.serialize_pem())?;
        pki.public("pki/root.crt", root.pem().as_bytes())?;
        pki.private("pki/device-ca.key", &device_key.serialize_pem())?;
        pki.public("pki/device-ca.crt", device.pem().as_bytes())?;
        pki.private("pki/server.key", &server_key.serialize_pem())?;
        pki.public("pki/server.crt", server.pem().as_bytes())?;
        pki.public("pki/revoked", b"")?;
        pki.create_keys()?;
        pki.refresh_crl(now, CRL_DAYS)?;
        Ok(pki)
    }

    /// Path of a file below the directory.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    /// Issues a certificate and key for a kiosk and keeps both under `pki/kiosks`.
    pub fn issue(&self, kiosk: KioskNumber, now: UtcTime) -> Result<Identity> {
        let identity = self.make(kiosk, &Profile::standard(now))?;
        let name = kiosk_name(kiosk);
        self.replace_private(&format!("pki/kiosks/{name}.key"), &identity.key)?;
        self.keep(kiosk, &identity.certificate)?;
        Ok(identity)
    }

    /// Makes a certificate without keeping it.
    pub fn make(&self, kiosk: KioskNumber, profile: &Profile) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let params = leaf(kiosk, profile)?;
        let certificate = params.signed_by(&key, &self.issuer("device-ca")?)?;
        Ok(Identity { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
    }

    /// Issues a certificate for a key that the kiosk made itself. Of the request only the key is used.
    pub fn sign_request(&self, kiosk: KioskNumber, request: &str, now: UtcTime) -> Result<String> {
        let request = CertificateSigningRequestParams::from_pem(request)?;
        let certificate = self.sign(kiosk, &request, &Profile::standard(now))?;
        Ok(certificate.pem())
    }

    fn sign(
        &self,
        kiosk: KioskNumber,
        request: &CertificateSigningRequestParams,
        profile: &Profile,
    ) -> Result<rcgen::Certificate> {
        let certificate = leaf(kiosk, profile)?.signed_by(&request.public_key, &self.issuer("device-ca")?)?;
        self.keep(kiosk, &certificate.pem())?;
        Ok(certificate)
    }

    /// Keeps the newest certificate of a kiosk, and the one before under its serial number.
    fn keep(&self, kiosk: KioskNumber, certificate: &str) -> Result<()> {
        let file = format!("pki/kiosks/{}.crt", kiosk_name(kiosk));
        let path = self.path(&file);
        match fs::read_to_string(&path) {
            Ok(before) if before != certificate => {
                let serial = HEXLOWER.encode(&serial_of(&path, &before)?);
                self.public(&format!("pki/kiosks/{}.{serial}.crt", kiosk_name(kiosk)), before.as_bytes())?;
            }
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(PkiError::File(path, error)),
        }
        self.public(&file, certificate.as_bytes())
    }

    /// Revokes all kept certificates of a kiosk, those that were renewed too, and makes a new list.
    pub fn revoke(&self, kiosk: KioskNumber, now: UtcTime) -> Result<()> {
        let newest = self.path(&format!("pki/kiosks/{}.crt", kiosk_name(kiosk)));
        let mut serials = vec![serial_of(&newest, &self.read(&newest)?)?];
        let directory = self.path("pki/kiosks");
        let fault = |error| PkiError::File(directory.clone(), error);
        for entry in fs::read_dir(&directory).map_err(fault)? {
            let path = entry.map_err(fault)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(&format!("{}.", kiosk_name(kiosk)))
                && name.ends_with(".crt")
                && path != newest
            {
                serials.push(serial_of(&path, &self.read(&path)?)?);
            }
        }
        let mut list = self.read(&self.path("pki/revoked"))?;
        for serial in serials {
            let serial = HEXLOWER.encode(&serial);
            if !list.lines().any(|line| line.split(' ').next() == Some(serial.as_str())) {
                list.push_str(&format!("{serial} {} {}\n", now.seconds(), kiosk_name(kiosk)));
            }
        }
        self.public("pki/revoked", list.as_bytes())?;
        self.refresh_crl(now, CRL_DAYS)
    }

    /// Signs the revocation lists anew, valid for `days` from `now`. The root's list is left as it is where the root's key
    /// is kept elsewhere, as it should be.
    pub fn refresh_crl(&self, now: UtcTime, days: i64) -> Result<()> {
        if self.path("pki/root.key").exists() {
            let list = sign_list(&self.issuer("root")?, Vec::new(), now, days)?;
            self.public("pki/root.crl", &list)?;
        }
        let list = sign_list(&self.issuer("device-ca")?, self.revoked()?, now, days)?;
        self.public("pki/device.crl", &list)
    }

    fn revoked(&self) -> Result<Vec<RevokedCertParams>> {
        let path = self.path("pki/revoked");
        parse_revoked(&path, &self.read(&path)?)
    }

    /// Reads the center's keys.
    pub fn keys(&self) -> Result<CenterKeys> {
        // A center from before cards gets this key at its first start; nothing was ever sealed under another one.
        if !self.path("keys/cards.key").exists() {
            self.create_cards_key()?;
        }
        let seed = |name: &str| -> Result<Zeroizing<[u8; 32]>> {
            let path = self.path(&format!("keys/{name}.key"));
            let text = Zeroizing::new(self.read(&path)?);
            let bytes = BASE64.decode(text.trim().as_bytes()).ok().map(Zeroizing::new);
            bytes
                .and_then(|bytes| bytes.as_slice().try_into().ok().map(Zeroizing::new))
                .ok_or_else(|| PkiError::Content(path, "not one line of base64 of 32 bytes".into()))
        };
        Ok(CenterKeys::new(&Seeds {
            statement: seed("statement")?,
            sealing: seed("sealing")?,
            witness: seed("witness")?,
            tag: seed("tag")?,
            cards: seed("cards")?,
        }))
    }

    fn create_keys(&self) -> Result<()> {
        let mut broken = false;
        let seeds = Seeds::draw(|seed| {
            let random = ring::rand::SystemRandom::new();
            broken |= ring::rand::SecureRandom::fill(&random, seed).is_err();
        });
        if broken {
            return Err(PkiError::Certificate("the system has no random numbers".into()));
        }
        let keys = CenterKeys::new(&seeds);
        let named = [
            ("statement", &seeds.statement),
            ("sealing", &seeds.sealing),
            ("witness", &seeds.witness),
            ("tag", &seeds.tag),
            ("cards", &seeds.cards),
        ];
        for (name, seed) in named {
            let text = Zeroizing::new(BASE64.encode(seed.as_slice()) + "\n");
            self.private(&format!("keys/{name}.key"), &text)?;
        }
        let line = |bytes: &[u8]| BASE64.encode(bytes) + "\n";
        self.public("keys/statement.pub", line(&keys.statement_public()).as_bytes())?;
        self.public("keys/sealing.pub", line(&keys.sealing_public()).as_bytes())?;
        self.public("keys/witness.vkey", (keys.witness().to_vkey() + "\n").as_bytes())
    }

    fn create_cards_key(&self) -> Result<()> {
        let mut seed = Zeroizing::new([0; 32]);
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), seed.as_mut_slice())
            .map_err(|_| PkiError::Certificate("the system has no random numbers".into()))?;
        let text = Zeroizing::new(BASE64.encode(seed.as_slice()) + "\n");
        self.private("keys/cards.key", &text)
    }

    fn issuer(&self, name: &str) -> Result<Issuer<'static, KeyPair>> {
        let key = self.read(&self.path(&format!("pki/{name}.key"))).map(Zeroizing::new)?;
        let certificate = self.read(&self.path(&format!("pki/{name}.crt")))?;
        Ok(Issuer::from_ca_cert_pem(&certificate, KeyPair::from_pem(&key)?)?)
    }

    fn read(&self, path: &Path) -> Result<String> {
        fs::read_to_string(path).map_err(|error| PkiError::File(path.to_owned(), error))
    }

    fn private(&self, file: &str, text: &str) -> Result<()> {
        let path = self.path(file);
        write_new(&path, text.as_bytes()).map_err(|error| PkiError::File(path, error))
    }

    fn replace_private(&self, file: &str, text: &str) -> Result<()> {
        let _ = fs::remove_file(self.path(file));
        self.private(file, text)
    }

    fn public(&self, file: &str, bytes: &[u8]) -> Result<()> {
        replace(&self.path(file), bytes)
    }
}

/// The key in a certificate, PEM.
pub fn key_of_pem(pem: &str) -> Option<(KeyHash, Issued)> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let good_until = UtcTime::from_seconds(certificate.validity().not_after.timestamp());
    let key = hash_key(certificate.public_key().raw);
    drop(certificate);
    Some((key, Issued { certificate: pem.contents, good_until }))
}

/// SHA-256 of a SubjectPublicKeyInfo.
pub fn hash_key(spki: &[u8]) -> KeyHash {
    let digest = ring::digest::digest(&ring::digest::SHA256, spki);
    digest.as_ref().try_into().expect("invariant: SHA-256 has 32 bytes")
}

/// The authority of the kiosks, for a life of certificates in days.
pub struct KioskAuthority {
    /// Where its key is.
    pub pki: Pki,
    /// How long a certificate lives.
    pub days: i64,
}

impl Issuing for KioskAuthority {
    fn key_of(&self, request: &[u8]) -> Option<KeyHash> {
        use x509_parser::prelude::{FromDer as _, X509CertificationRequest};
        let (rest, parsed) = X509CertificationRequest::from_der(request).ok()?;
        // rcgen refuses what it could not sign for, and a request whose own signature is wrong.
        CertificateSigningRequestParams::from_der(&request.into()).ok()?;
        rest.is_empty().then(|| hash_key(parsed.certification_request_info.subject_pki.raw))
    }

    fn issue(&self, kiosk: KioskNumber, request: &[u8], now: UtcTime) -> std::result::Result<Issued, String> {
        let make = || -> Result<Issued> {
            let request = CertificateSigningRequestParams::from_der(&request.into())?;
            let profile =
                Profile { not_after: now.plus_seconds(self.days * 86_400), ..Profile::standard(now) };
            let certificate = self.pki.sign(kiosk, &request, &profile)?;
            let good_until = UtcTime::from_seconds(profile.not_after.seconds());
            Ok(Issued { certificate: certificate.der().to_vec(), good_until })
        };
        make().map_err(|error| error.to_string())
    }
}

/// Replaces a file at once, so that neither a reader nor a power cut ever leaves half of it.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("new");
    fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| fs::File::open(directory_of(path))?.sync_all())
        .map_err(|error| PkiError::File(path.to_owned(), error))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn authority(common_name: &str, now: UtcTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    name(&mut params, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = moment(now.plus_seconds(-SLACK_S));
    params.not_after = moment(now.plus_seconds(CA_DAYS * 86_400));
    params
}

fn leaf(kiosk: KioskNumber, profile: &Profile) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(vec![kiosk_name(kiosk)])?;
    name(&mut params, &kiosk_name(kiosk));
    validity(&mut params, profile);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if profile.client_auth {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn name(params: &mut CertificateParams, common_name: &str) {
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
}

fn validity(params: &mut CertificateParams, profile: &Profile) {
    params.not_before = moment(profile.not_before);
    params.not_after = moment(profile.not_after);
}

fn moment(at: UtcTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn sign_list(
    issuer: &Issuer<'_, KeyPair>,
    revoked_certs: Vec<RevokedCertParams>,
    now: UtcTime,
    days: i64,
) -> Result<Vec<u8>> {
    let params = CertificateRevocationListParams {
        this_update: moment(now.plus_seconds(-SLACK_S)),
        next_update: moment(now.plus_seconds(days * 86_400)),
        // Grows with each list, as RFC 5280 asks: no two are made in one millisecond.
        crl_number: SerialNumber::from(now.0.unsigned_abs()),
        issuing_distribution_point: None,
        revoked_certs,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(params.signed_by(issuer)?.der().to_vec())
}

/// The lines of a file of revoked certificates: serial, seconds since 1970, name.
fn parse_revoked(path: &Path, list: &str) -> Result<Vec<RevokedCertParams>> {
    let entry = |(index, line): (usize, &str)| {
        let mut words = line.split_whitespace();
        let serial = words.next().and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
        let seconds = words.next().and_then(|text| text.parse().ok());
        match (serial, seconds) {
            (Some(serial), Some(seconds)) => Ok(RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: moment(UtcTime::from_seconds(seconds)),
                reason_code: Some(RevocationReason::Unspecified),
                invalidity_date: None,
            }),
            _ => {
                let fault = format!("line {}: must be serial (hexadecimal), seconds, name", index + 1);
                Err(PkiError::Content(path.to_owned(), fault))
            }
        }
    };
    list.lines().enumerate().map(entry).collect()
}

fn serial_of(path: &Path, pem: &str) -> Result<Vec<u8>> {
    let fault = |fault: String| PkiError::Content(path.to_owned(), fault);
    let (_, pem) =
        x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|error| fault(error.to_string()))?;
    let certificate = pem.parse_x509().map_err(|error| fault(error.to_string()))?;
    Ok(certificate.raw_serial().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_name_of_a_kiosk_is_read() {
        let kiosk = KioskNumber::new(42).unwrap();
        assert_eq!(kiosk_of_name(&kiosk_name(kiosk)), Some(kiosk));
        for name in ["kiosk-42", "kiosk-00000", "kiosk-+0042", "Kiosk-00042", "kiosk-000042", "kiosk-", ""] {
            assert_eq!(kiosk_of_name(name), None, "{name}");
        }
    }
}
