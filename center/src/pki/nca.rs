//! An authority like the national one (NCA, ҰКО), for tests and demonstrations: a root, an issuing authority below it, and
//! revocation lists of both.
//!
//! ```text
//! root.crt root.key   what everybody trusts
//! ca.crt ca.key       signs the participants' certificates and their list
//! root.crl ca.crl     revocation lists, DER; `GET /crl` of the gateway gives the second
//! revoked             one line per revoked certificate: serial, seconds since 1970, name
//! ```
//! A participant has two certificates: one opens its TLS channels (clientAuth; the gateway's own serverAuth), one signs its
//! messages (emailProtection, as the national authority's signing certificates say). Neither is taken for the other.
//! The real authority hands certificates out by its own procedure; then this module is not used at all.

use super::{
    CRL_DAYS, Identity, PkiError, Profile, Result, authority, name, parse_revoked, replace, serial_of,
    sign_list, validity, write_new,
};
use data_encoding::HEXLOWER;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tolem_protocol::UtcTime;
use zeroize::Zeroizing;

/// What a certificate is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To sign messages.
    Sign,
    /// To open TLS channels.
    Connect,
    /// To serve TLS channels under these host names and addresses.
    Serve(Vec<String>),
}

/// The authority's directory.
#[derive(Clone, Debug)]
pub struct Authority {
    directory: PathBuf,
}

impl Authority {
    /// The authority in `directory`. Nothing is read yet.
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Founds an authority. Fails if there is one already: a root is never overwritten.
    pub fn create(directory: &Path, now: UtcTime) -> Result<Self> {
        fs::create_dir_all(directory).map_err(|error| PkiError::File(directory.to_owned(), error))?;
        let this = Self::at(directory);
        let root_key = KeyPair::generate()?;
        this.new_key("root.key", &root_key)?;
        let root_params = authority("Tolem test root (NCA)", now);
        let root = root_params.self_signed(&root_key)?;
        let key = KeyPair::generate()?;
        let mut params = authority("Tolem test authority (NCA)", now);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.use_authority_key_identifier_extension = true;
        let issuing = params.signed_by(&key, &Issuer::new(root_params, &root_key))?;
        this.new_key("ca.key", &key)?;
        replace(&this.path("root.crt"), root.pem().as_bytes())?;
        replace(&this.path("ca.crt"), issuing.pem().as_bytes())?;
        replace(&this.path("revoked"), b"")?;
        this.refresh(now, CRL_DAYS)?;
        Ok(this)
    }

    /// Path of a file of the authority.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    /// Makes a key and a certificate for it. Nothing is kept.
    pub fn issue(&self, who: &str, purpose: &Purpose, profile: &Profile) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let certificate = leaf(who, purpose, profile)?.signed_by(&key, &self.issuer("ca")?)?.pem();
        Ok(Identity { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// A certificate for a key that was made elsewhere (RSA, for one). Of the request only the key is used.
    pub fn certify(&self, who: &str, purpose: &Purpose, request: &str, profile: &Profile) -> Result<String> {
        let request = CertificateSigningRequestParams::from_pem(request)?;
        let params = leaf(who, purpose, profile)?;
        Ok(params.signed_by(&request.public_key, &self.issuer("ca")?)?.pem())
    }

    /// Revokes a certificate (PEM) and makes a new list.
    pub fn revoke(&self, certificate: &str, now: UtcTime) -> Result<()> {
        let path = self.path("revoked");
        let serial = serial_of(&path, certificate)?;
        let mut list = self.read("revoked")?;
        list.push_str(&format!("{} {} revoked\n", HEXLOWER.encode(&serial), now.seconds()));
        replace(&path, list.as_bytes())?;
        self.refresh(now, CRL_DAYS)
    }

    /// Signs both revocation lists anew, valid for `days` from `now`.
    pub fn refresh(&self, now: UtcTime, days: i64) -> Result<()> {
        let list = sign_list(&self.issuer("root")?, Vec::new(), now, days)?;
        replace(&self.path("root.crl"), &list)?;
        let revoked = parse_revoked(&self.path("revoked"), &self.read("revoked")?)?;
        let list = sign_list(&self.issuer("ca")?, revoked, now, days)?;
        replace(&self.path("ca.crl"), &list)
    }

    /// Writes the folder of a participant: what it trusts, and its two identities. `channel` serves if it has names.
    ///
    /// ```text
    /// root.crt ca.crt root.crl ca.crl   the authority
    /// channel.crt channel.key           TLS, with the issuing authority's certificate behind its own
    /// sign.crt sign.key                 signatures
    /// ```
    pub fn equip(&self, folder: &Path, who: &str, channel: &Purpose, now: UtcTime) -> Result<()> {
        fs::create_dir_all(folder).map_err(|error| PkiError::File(folder.to_owned(), error))?;
        self.publish(folder)?;
        let profile = Profile::standard(now);
        let authority = self.read("ca.crt")?;
        for (file, purpose) in [("channel", channel), ("sign", &Purpose::Sign)] {
            let identity = self.issue(who, purpose, &profile)?;
            let key = folder.join(format!("{file}.key"));
            write_new(&key, identity.key.as_bytes()).map_err(|error| PkiError::File(key, error))?;
            let mut chain = identity.certificate;
            if file == "channel" {
                chain.push_str(&authority);
            }
            replace(&folder.join(format!("{file}.crt")), chain.as_bytes())?;
        }
        Ok(())
    }

    /// Copies what is public, certificates and lists, into a participant's folder.
    pub fn publish(&self, folder: &Path) -> Result<()> {
        for file in ["root.crt", "ca.crt", "root.crl", "ca.crl"] {
            let path = self.path(file);
            let bytes = fs::read(&path).map_err(|error| PkiError::File(path, error))?;
            replace(&folder.join(file), &bytes)?;
        }
        Ok(())
    }

    fn issuer(&self, file: &str) -> Result<Issuer<'static, KeyPair>> {
        let key = self.read(&format!("{file}.key")).map(Zeroizing::new)?;
        let certificate = self.read(&format!("{file}.crt"))?;
        Ok(Issuer::from_ca_cert_pem(&certificate, KeyPair::from_pem(&key)?)?)
    }

    fn new_key(&self, file: &str, key: &KeyPair) -> Result<()> {
        let path = self.path(file);
        let pem = Zeroizing::new(key.serialize_pem());
        write_new(&path, pem.as_bytes()).map_err(|error| PkiError::File(path, error))
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.path(file);
        fs::read_to_string(&path).map_err(|error| PkiError::File(path, error))
    }
}

fn leaf(who: &str, purpose: &Purpose, profile: &Profile) -> Result<CertificateParams> {
    let names = match purpose {
        Purpose::Serve(names) => names.clone(),
        Purpose::Sign | Purpose::Connect => Vec::new(),
    };
    let mut params = CertificateParams::new(names)?;
    name(&mut params, who);
    validity(&mut params, profile);
    params.key_usages = match purpose {
        Purpose::Sign => vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment],
        Purpose::Connect | Purpose::Serve(_) => vec![KeyUsagePurpose::DigitalSignature],
    };
    params.extended_key_usages = vec![match purpose {
        Purpose::Sign => ExtendedKeyUsagePurpose::EmailProtection,
        Purpose::Connect => ExtendedKeyUsagePurpose::ClientAuth,
        Purpose::Serve(_) => ExtendedKeyUsagePurpose::ServerAuth,
    }];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
