//! The folder of an acquirer: where its host is, the key of the codes, our certificates. What it calls terminals and merchants is
//! configured at the terminals and comes with each order.
//!
//! ```text
//! acquirer.toml            where the host is and what it wants to hear
//! link.key                 base64 of 32 bytes: key of the codes over messages (left out with `codes = false`)
//! root.crt root.crl ca.crl whom we trust, and who is revoked (left out with `tls = false`)
//! channel.crt channel.key  our certificate for TLS
//! ```

use crate::gateway::party::PartyError;
use serde::Deserialize;
use std::{fmt, fs, path::Path};
use zeroize::Zeroizing;

/// The file that tells where the host is.
pub const ACQUIRER_FILE: &str = "acquirer.toml";
/// The file with the key of the codes.
pub const KEY_FILE: &str = "link.key";

/// What becomes of the PIN blocks of the pads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pin {
    /// They go to the acquirer as they are, with the serial number of their key; it translates them.
    Forward,
    /// Our security module translates them.
    Translate,
}

/// What becomes of card numbers that readers have enciphered (SRED).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Number {
    /// Nobody can open them: terminals with such readers take no cards.
    Refuse,
    /// They go to the acquirer as they are, with the serial number of their key; it opens them.
    Forward,
    /// Our security module opens them.
    Open,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    host: String,
    acquirer: String,
    pin: Option<Pin>,
    number: Option<Number>,
    tls: Option<bool>,
    codes: Option<bool>,
    wait_ms: Option<u64>,
    echo_ms: Option<u64>,
}

/// What an acquirer's folder says, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Address, `host:port`; the host stands in its TLS certificate.
    pub host: String,
    /// Who acquires, field 32: up to eleven digits.
    pub acquirer: String,
    /// What becomes of PIN blocks.
    pub pin: Pin,
    /// What becomes of enciphered card numbers.
    pub number: Number,
    /// TLS with certificates on both sides.
    pub tls: bool,
    /// Codes over messages.
    pub codes: bool,
    /// Longest wait for connecting, a sign-on, an echo or the rest of a frame, in milliseconds.
    pub wait_ms: u64,
    /// Silence after which the host is asked whether it is there, in milliseconds.
    pub echo_ms: u64,
}

impl Terms {
    /// Reads `acquirer.toml` of a folder.
    ///
    /// # Errors
    /// Names the file, the key, the value and what is allowed.
    pub fn read(folder: &Path) -> Result<Self, PartyError> {
        let path = folder.join(ACQUIRER_FILE);
        let fault = |error: &dyn fmt::Display| PartyError(format!("{}: {error}", path.display()));
        let text = fs::read_to_string(&path).map_err(|error| fault(&error))?;
        Self::parse(&text).map_err(|error| fault(&error))
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Names the key, the value and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let within = |key: &str, value: Option<u64>, (from, to): (u64, u64), default: u64| match value {
            Some(value) if !(from..=to).contains(&value) => {
                Err(format!("key {key}: {value} is not allowed; allowed are {from}..={to}"))
            }
            value => Ok(value.unwrap_or(default)),
        };
        let good_host = file.host.rsplit_once(':');
        if !good_host.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
            return Err(format!(
                "key host: {:?} is not host:port, like \"acquirer.example:8583\"",
                file.host
            ));
        }
        let digits = file.acquirer.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !(1..=11).contains(&file.acquirer.len()) {
            return Err(format!("key acquirer: {:?} is not 1 to 11 digits", file.acquirer));
        }
        let terms = Self {
            host: file.host,
            acquirer: file.acquirer,
            pin: file.pin.unwrap_or(Pin::Forward),
            number: file.number.unwrap_or(Number::Refuse),
            tls: file.tls.unwrap_or(true),
            codes: file.codes.unwrap_or(true),
            wait_ms: within("wait_ms", file.wait_ms, (100, 60_000), 10_000)?,
            echo_ms: within("echo_ms", file.echo_ms, (100, 3_600_000), 60_000)?,
        };
        if terms.pin == Pin::Translate && terms.number == Number::Forward {
            return Err("keys pin and number: a PIN block cannot be translated here without its card's number, so number \
                 is \"open\" or \"refuse\" where pin is \"translate\""
                .into());
        }
        if !terms.tls && !terms.codes {
            return Err("keys tls and codes: both are false, and nobody would know who answers".into());
        }
        Ok(terms)
    }

    /// The host without the port.
    pub fn host_name(&self) -> &str {
        self.host.rsplit_once(':').map_or(self.host.as_str(), |(host, _)| host)
    }
}

/// The key of the codes.
pub(super) fn read_key(folder: &Path) -> Result<Zeroizing<[u8; 32]>, PartyError> {
    let path = folder.join(KEY_FILE);
    crate::gateway::setup::read_key(&path).map_err(|error| PartyError(format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "host = \"localhost:8583\"\nacquirer = \"398001\"\n";

    #[test]
    fn left_out_keys_have_their_values_and_wrong_ones_are_named() {
        let terms = Terms::parse(GOOD).unwrap();
        assert_eq!((terms.host_name(), &*terms.acquirer, terms.pin), ("localhost", "398001", Pin::Forward));
        assert!(terms.tls && terms.codes && terms.number == Number::Refuse);
        for (line, named) in [
            ("host = \"localhost\"", "key host: \"localhost\" is not host:port"),
            ("acquirer = \"39800a\"", "key acquirer: \"39800a\" is not 1 to 11 digits"),
            ("wait_ms = 5", "key wait_ms: 5 is not allowed; allowed are 100..=60000"),
            ("echo_ms = 0", "key echo_ms: 0 is not allowed"),
            ("pin = \"open\"", "unknown variant `open`"),
            ("number = \"clear\"", "unknown variant `clear`, expected one of `refuse`, `forward`, `open`"),
            ("tls = false\ncodes = false", "nobody would know who answers"),
            (
                "pin = \"translate\"\nnumber = \"forward\"",
                "keys pin and number: a PIN block cannot be translated",
            ),
            ("colour = 1", "unknown field `colour`"),
        ] {
            let key = line.split(' ').next().unwrap();
            let rest: Vec<&str> = GOOD.lines().filter(|line| !line.starts_with(key)).chain([line]).collect();
            let error = Terms::parse(&rest.join("\n")).unwrap_err();
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
