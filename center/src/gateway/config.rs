//! The configuration of a gateway: a TOML file. Every error names the key, the value and what is allowed.

use super::{
    guesses::WRONG_CODES,
    rules::{Group, Participant},
    words::Token,
};
use crate::config::ConfigError;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Name of the file in a gateway's directory.
pub const GATEWAY_FILE: &str = "gateway.toml";

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Where participants connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where revocation lists are served without TLS, so that whoever has a stale one can get a new one.
    pub crl_listen: Option<SocketAddr>,
    /// Directory of the file, with `identity/`, `keys/` and `gateway.db`.
    pub directory: PathBuf,
    /// Catalogue file; `None` for the one in the program.
    pub catalogue: Option<PathBuf>,
    /// File of persons for the registry; `None` for the one in the program.
    pub registry: Option<PathBuf>,
    /// How long a code can be redeemed, in seconds.
    pub code_valid_s: i64,
    /// How often files are looked at for changes, in milliseconds.
    pub reload_ms: u64,
    /// Codes that do not exist which a portal or service center may ask for within an hour.
    pub wrong_codes: i64,
    /// Who may attach.
    pub participants: BTreeMap<String, Participant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: String,
    crl_listen: Option<String>,
    catalogue: Option<PathBuf>,
    registry: Option<PathBuf>,
    code_valid_days: Option<u64>,
    reload_ms: Option<u64>,
    wrong_codes_per_hour: Option<u64>,
    #[serde(default)]
    participant: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    group: String,
    #[serde(default)]
    kiosks: Vec<String>,
}

impl GatewayConfig {
    /// Reads a file; paths in it are relative to it.
    ///
    /// # Errors
    /// Names the file, the key and what is allowed.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let named = |error: &dyn std::fmt::Display| ConfigError(format!("{}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| named(&error))?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("."))).map_err(|error| named(&error))
    }

    /// Reads a text; paths in it are relative to `base`.
    ///
    /// # Errors
    /// Names the key and what is allowed.
    pub fn parse(text: &str, base: &Path) -> Result<Self, ConfigError> {
        let file: File =
            toml::from_str(text).map_err(|error| ConfigError(error.to_string().trim_end().to_owned()))?;
        let mut participants = BTreeMap::new();
        for entry in &file.participant {
            let participant = entry.check()?;
            if participants.insert(entry.name.clone(), participant).is_some() {
                return Err(ConfigError(format!("key participant.name: {:?} stands twice", entry.name)));
            }
        }
        Ok(Self {
            listen: address("listen", &file.listen)?,
            crl_listen: file.crl_listen.as_deref().map(|text| address("crl_listen", text)).transpose()?,
            directory: base.to_owned(),
            catalogue: file.catalogue.map(|path| base.join(path)),
            registry: file.registry.map(|path| base.join(path)),
            code_valid_s: between("code_valid_days", file.code_valid_days.unwrap_or(365), (1, 3_650))?
                * 86_400,
            reload_ms: between("reload_ms", file.reload_ms.unwrap_or(5_000), (100, 3_600_000))?
                .unsigned_abs(),
            wrong_codes: between(
                "wrong_codes_per_hour",
                file.wrong_codes_per_hour.unwrap_or(WRONG_CODES.unsigned_abs()),
                (10, 100_000),
            )?,
            participants,
        })
    }
}

impl Entry {
    fn check(&self) -> Result<Participant, ConfigError> {
        let fault = |key: &str, value: &str, allowed: &str| {
            ConfigError(format!("key participant.{key}: {value:?} is not allowed; allowed is {allowed}"))
        };
        let name = Token::new(&self.name)
            .ok_or_else(|| fault("name", &self.name, "1 to 64 letters, digits or -._:"))?;
        let group = Group::ALL.into_iter().find(|group| group.word() == self.group);
        let group =
            group.ok_or_else(|| fault("group", &self.group, "bank, portal, service-center or auditor"))?;
        let range = |text: &String| {
            let (from, to) = text.split_once('-').unwrap_or((text, text));
            let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
            (1..=to).contains(&from).then_some((from, to)).filter(|(_, to)| *to <= 99_999)
        };
        let mut kiosks = Vec::new();
        for text in &self.kiosks {
            kiosks.push(range(text).ok_or_else(|| fault("kiosks", text, "\"42\" or \"1-99999\""))?);
        }
        Ok(Participant { name, group, kiosks })
    }
}

fn address(key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    let fault = "is not an address and port, like \"127.0.0.1:7543\"";
    text.parse().map_err(|_| ConfigError(format!("key {key}: {text:?} {fault}")))
}

fn between(key: &str, value: u64, (from, to): (u64, u64)) -> Result<i64, ConfigError> {
    let fits = (from..=to).contains(&value);
    let value_read = i64::try_from(value).ok().filter(|_| fits);
    value_read
        .ok_or_else(|| ConfigError(format!("key {key}: {value} is not allowed; allowed are {from}..={to}")))
}

/// The file that `tolem-center gateway init` writes.
pub const EXAMPLE: &str = r#"# Configuration of a reference gateway. Paths are relative to this file. Keys that are left out have the value shown.

# Where participants connect.
listen = "127.0.0.1:7543"

# Where the authority's revocation lists are served without TLS (GET /crl, GET /crl/root).
# crl_listen = "127.0.0.1:7580"

# Services and persons; left out, those in the program are used.
# catalogue = "catalogue.toml"
# registry = "registry.toml"

# code_valid_days = 365

# Codes that do not exist which a portal or service center may ask for within an hour; then it waits for the next. Counted in memory.
# wrong_codes_per_hour = 100
# reload_ms = 5000        # certificates, lists and participants are looked at this often

# Who may attach. The name is the common name of both certificates; the group decides what may be called:
# bank, portal, service-center or auditor. A bank lists its kiosks.
[[participant]]
name = "bank"
group = "bank"
kiosks = ["1-99999"]

[[participant]]
name = "portal"
group = "portal"

[[participant]]
name = "service-center"
group = "service-center"

[[participant]]
name = "auditor"
group = "auditor"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_example_is_good_and_each_wrong_key_is_named() {
        let config = GatewayConfig::parse(EXAMPLE, Path::new("/srv/gateway")).unwrap();
        assert_eq!(config.participants.len(), 4);
        assert_eq!(config.participants["bank"].kiosks, [(1, 99_999)]);
        assert_eq!((config.code_valid_s, config.wrong_codes), (365 * 86_400, 100));
        let start = "listen = \"127.0.0.1:1\"\n";
        let said: String = [
            "listen = \"here\"",
            "crl_listen = \"here\"\nlisten = \"127.0.0.1:1\"",
            &format!("{start}code_valid_days = 0"),
            &format!("{start}reload_ms = 1"),
            &format!("{start}[[participant]]\nname = \"a b\"\ngroup = \"bank\""),
            &format!("{start}[[participant]]\nname = \"a\"\ngroup = \"king\""),
            &format!("{start}[[participant]]\nname = \"a\"\ngroup = \"bank\"\nkiosks = [\"5-3\"]"),
            &format!("{start}[[participant]]\nname = \"a\"\ngroup = \"bank\"\nkiosks = [\"1-100000\"]"),
            &format!("{start}[[participant]]\nname = \"a\"\ngroup = \"bank\"\n[[participant]]\nname = \"a\"\ngroup = \"bank\""),
        ]
        .map(|text| format!("{}\n", GatewayConfig::parse(text, Path::new("/")).unwrap_err()))
        .concat();
        expect![[r#"
            key listen: "here" is not an address and port, like "127.0.0.1:7543"
            key crl_listen: "here" is not an address and port, like "127.0.0.1:7543"
            key code_valid_days: 0 is not allowed; allowed are 1..=3650
            key reload_ms: 1 is not allowed; allowed are 100..=3600000
            key participant.name: "a b" is not allowed; allowed is 1 to 64 letters, digits or -._:
            key participant.group: "king" is not allowed; allowed is bank, portal, service-center or auditor
            key participant.kiosks: "5-3" is not allowed; allowed is "42" or "1-99999"
            key participant.kiosks: "1-100000" is not allowed; allowed is "42" or "1-99999"
            key participant.name: "a" stands twice
        "#]]
        .assert_eq(&said);
    }
}
