//! The folder of a participant: whom it trusts, how it connects, how it signs, and where the gateway is.

use crate::xmlsig::{KeyFile, Trust};
use serde::Deserialize;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// The file that tells where the gateway is.
pub const PARTY_FILE: &str = "party.toml";

/// Why a folder cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartyError(pub String);

impl fmt::Display for PartyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PartyError {}

/// Where the gateway is, as a participant's `party.toml` says.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whereabouts {
    /// Address, `host:port`; the host stands in the gateway's TLS certificate.
    pub gateway: String,
    /// Common name of the certificate that signs the gateway's answers.
    pub signer: String,
    /// How long an exchange may take, in milliseconds.
    #[serde(default = "twenty_seconds")]
    pub wait_ms: u64,
}

fn twenty_seconds() -> u64 {
    20_000
}

impl Whereabouts {
    /// Reads `party.toml` of a folder.
    ///
    /// # Errors
    /// Names the file and the key that is wrong.
    pub fn read(folder: &Path) -> Result<Self, PartyError> {
        let path = folder.join(PARTY_FILE);
        let fault = |error: &dyn fmt::Display| PartyError(format!("{}: {error}", path.display()));
        let text = fs::read_to_string(&path).map_err(|error| fault(&error))?;
        let read: Self = toml::from_str(&text).map_err(|error| fault(&error.to_string().trim_end()))?;
        if !(100..=600_000).contains(&read.wait_ms) {
            return Err(fault(&"key wait_ms: allowed are 100..=600000"));
        }
        match read.gateway.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(read),
            _ => Err(fault(&"key gateway: must be host:port")),
        }
    }

    /// The host without the port.
    pub fn host(&self) -> &str {
        self.gateway.rsplit_once(':').map_or(self.gateway.as_str(), |(host, _)| host)
    }
}

/// What a folder holds, ready for use.
#[derive(Debug)]
pub struct Party {
    /// The folder.
    pub folder: PathBuf,
    /// Whom it trusts.
    pub trust: Trust,
    /// How it signs.
    pub signer: KeyFile,
}

impl Party {
    /// Reads the certificates, lists and keys of a folder.
    ///
    /// # Errors
    /// Names the file that is missing or wrong.
    pub fn read(folder: &Path) -> Result<Self, PartyError> {
        let trust = Trust::read(folder).map_err(|refused| PartyError(refused.detail))?;
        let signer = KeyFile::read(&folder.join("sign.crt"), &folder.join("sign.key"))
            .map_err(|error| PartyError(error.to_string()))?;
        Ok(Self { folder: folder.to_owned(), trust, signer })
    }
}
