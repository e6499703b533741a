//! The key of one operator, in a file that stays with them: one line, name and seed in base64.

use crate::logic::office::{Action, decision_message, request_message};
use data_encoding::BASE64;
use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};
use tolem_protocol::{UtcTime, signed::Signature};
use zeroize::Zeroizing;

/// An operator, ready to sign.
pub struct Pen {
    /// Name.
    pub name: String,
    key: Ed25519KeyPair,
}

/// Why a key file cannot be used.
#[derive(Debug)]
pub enum PenError {
    /// It cannot be read, or is there already.
    File(PathBuf, io::Error),
    /// It holds something else.
    Content(PathBuf),
    /// The system has no random numbers.
    Random,
}

impl fmt::Display for PenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Content(path) => {
                write!(f, "{}: not an operator key (one line: name, a space, base64)", path.display())
            }
            Self::Random => f.write_str("the system has no random numbers"),
        }
    }
}

impl std::error::Error for PenError {}

impl fmt::Debug for Pen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pen({})", self.name)
    }
}

impl Pen {
    /// Makes a new key in `file`, readable by its owner alone; nothing is overwritten.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(name: &str, file: &Path) -> Result<Self, PenError> {
        let mut seed = Zeroizing::new([0u8; 32]);
        SystemRandom::new().fill(seed.as_mut_slice()).map_err(|_| PenError::Random)?;
        let text = Zeroizing::new(format!("{name} {}\n", BASE64.encode(seed.as_slice())));
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
        made.and_then(|mut made| made.write_all(text.as_bytes()).and_then(|()| made.sync_all()))
            .map_err(|error| PenError::File(file.to_owned(), error))?;
        Self::from_seed(name, &seed).ok_or_else(|| PenError::Content(file.to_owned()))
    }

    /// Reads one.
    ///
    /// # Errors
    /// If the file is none.
    pub fn read(file: &Path) -> Result<Self, PenError> {
        let text = fs::read_to_string(file).map_err(|error| PenError::File(file.to_owned(), error))?;
        let text = Zeroizing::new(text);
        let read = || {
            let (name, seed) = text.trim().split_once(' ')?;
            let seed = Zeroizing::new(BASE64.decode(seed.as_bytes()).ok()?);
            Self::from_seed(name, &Zeroizing::new(seed.as_slice().try_into().ok()?))
        };
        read().ok_or_else(|| PenError::Content(file.to_owned()))
    }

    /// A pen with this key.
    pub fn from_seed(name: &str, seed: &Zeroizing<[u8; 32]>) -> Option<Self> {
        let key = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).ok()?;
        Some(Self { name: name.to_owned(), key })
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.key.public_key().as_ref().try_into().expect("invariant: an Ed25519 public key has 32 bytes")
    }

    /// Signs that its owner asks for `action`.
    pub fn ask(&self, at: UtcTime, action: &Action) -> Signature {
        self.sign(&request_message(&self.name, at, &action.to_bytes()))
    }

    /// Signs that its owner approves a request (`yes`), or withdraws it.
    pub fn decide(&self, request: &crate::logic::office::RequestRow, yes: bool) -> Signature {
        self.sign(&decision_message(&self.name, request, yes))
    }

    /// Signs any message of the office.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let bytes = self.key.sign(message);
        Signature(bytes.as_ref().try_into().expect("invariant: an Ed25519 signature has 64 bytes"))
    }
}
