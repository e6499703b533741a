//! The configuration of a center: a TOML file. Every error names the key, the value and what is allowed.

use crate::{
    logic::{Rules, reports::settlement::Terms},
    pki::LEAF_DAYS,
    sql::Address,
};
use serde::Deserialize;
use std::{
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tolem_protocol::{Amount, messages::Limits, utc::Date};

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where kiosks connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where kiosks fetch the revocation list without TLS; `None` = nowhere. Port 0 takes a free one.
    pub crl_listen: Option<SocketAddr>,
    /// Where kiosks enrol and renew their certificates; `None` = nowhere. Port 0 takes a free one.
    pub enroll_listen: Option<SocketAddr>,
    /// Days that a kiosk certificate given there is good.
    pub certificate_days: i64,
    /// Directory with `pki/`, `keys/` and `center.db`.
    pub directory: PathBuf,
    /// The PostgreSQL database with the rows; `None` for `center.db`.
    pub store: Option<Address>,
    /// Catalogue file; `None` for the one in the program.
    pub catalogue: Option<PathBuf>,
    /// File of persons for the reference registry; `None` for the one in the program.
    pub registry: Option<PathBuf>,
    /// Numbers the operator sets.
    pub rules: Rules,
    /// Bounds of the links.
    pub links: Links,
    /// The folder of this bank as a participant of a gateway; `None` for the register in the center's own database.
    pub gateway: Option<PathBuf>,
    /// The folder of the acquirer of cards; `None` for a center without cards.
    pub acquirer: Option<PathBuf>,
    /// How payouts are computed.
    pub terms: Terms,
    /// What stands in the head of reports.
    pub place: Place,
}

/// What stands in the head of reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Who runs the terminals.
    pub name: String,
    /// Where.
    pub city: String,
}

impl Default for Place {
    fn default() -> Self {
        Self { name: "Tolem".into(), city: "Astana".into() }
    }
}

/// Bounds of the links.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Links {
    /// Most connections at one time.
    pub most: usize,
    /// A handshake or the rest of a frame must arrive within this, in milliseconds.
    pub frame_ms: u64,
    /// A connection without any request for this long is closed, in milliseconds.
    pub idle_ms: u64,
    /// How often files are looked at for changes (revocation list, catalogue, server certificate), in milliseconds.
    pub reload_ms: u64,
}

impl Default for Links {
    fn default() -> Self {
        Self { most: 1_024, frame_ms: 10_000, idle_ms: 180_000, reload_ms: 5_000 }
    }
}

/// Why a configuration is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// A configuration with the default rules.
    pub fn new(listen: SocketAddr, directory: &Path) -> Self {
        Self {
            listen,
            crl_listen: None,
            enroll_listen: None,
            certificate_days: LEAF_DAYS,
            directory: directory.to_owned(),
            store: None,
            catalogue: None,
            registry: None,
            rules: Rules::default(),
            links: Links::default(),
            gateway: None,
            acquirer: None,
            terms: Terms::default(),
            place: Place::default(),
        }
    }

    /// Reads a file; paths in it are relative to it.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|error| ConfigError(format!("{}: {error}", path.display())))?;
        let base = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, base).map_err(|error| ConfigError(format!("{}: {error}", path.display())))
    }

    /// Reads a text; paths in it are relative to `base`.
    pub fn parse(text: &str, base: &Path) -> Result<Self, ConfigError> {
        let file: File =
            toml::from_str(text).map_err(|error| ConfigError(error.to_string().trim_end().to_owned()))?;
        file.check(base)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: String,
    crl_listen: Option<String>,
    enroll_listen: Option<String>,
    certificate_days: Option<u64>,
    #[serde(default)]
    directory: Option<PathBuf>,
    catalogue: Option<PathBuf>,
    registry: Option<PathBuf>,
    #[serde(default)]
    store: StoreTable,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    tariff: TariffTable,
    #[serde(default)]
    times: TimesTable,
    #[serde(default)]
    attempts: AttemptsTable,
    #[serde(default)]
    links: LinksTable,
    #[serde(default)]
    gateway: FolderTable,
    #[serde(default)]
    acquirer: FolderTable,
    #[serde(default)]
    settlement: SettlementTable,
    #[serde(default)]
    reports: ReportsTable,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct StoreTable {
    postgres: Option<String>,
    ca: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    per_payment_tenge: Option<u64>,
    per_day_tenge: Option<u64>,
    unsettled_total_tenge: Option<u64>,
    unsettled_count: Option<u64>,
    unsettled_age_s: Option<u64>,
    answer_wait_s: Option<u64>,
    print_whole_iin: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct TariffTable {
    commission_thousandths: Option<u64>,
    commission_least_tenge: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct TimesTable {
    quote_valid_s: Option<u64>,
    reservation_s: Option<u64>,
    code_valid_days: Option<u64>,
    notice_alarm_s: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct AttemptsTable {
    wrong_per_kiosk: Option<u64>,
    wrong_per_number: Option<u64>,
    wrong_payers: Option<u64>,
    window_s: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LinksTable {
    most: Option<u64>,
    frame_ms: Option<u64>,
    idle_ms: Option<u64>,
    reload_ms: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FolderTable {
    folder: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct SettlementTable {
    withheld_thousandths: Option<u64>,
    withheld_least_tenge: Option<u64>,
    #[serde(default)]
    holidays: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ReportsTable {
    name: Option<String>,
    city: Option<String>,
}

/// Takes the value of `key` if it lies in `from..=to`, or `default`.
fn number<T: TryFrom<u64>>(
    key: &str,
    value: Option<u64>,
    (from, to): (u64, u64),
    default: T,
) -> Result<T, ConfigError> {
    let Some(value) = value else { return Ok(default) };
    let error = || ConfigError(format!("key {key}: {value} is not allowed; allowed are {from}..={to}"));
    if !(from..=to).contains(&value) {
        return Err(error());
    }
    T::try_from(value).map_err(|_| error())
}

fn tenge(key: &str, value: Option<u64>, range: (u64, u64), default: Amount) -> Result<Amount, ConfigError> {
    number(key, value, range, default.tiyn() / 100).map(Amount::from_tenge)
}

impl File {
    fn check(self, base: &Path) -> Result<Config, ConfigError> {
        let address = |key: &str, value: &str, like: &str| {
            value.parse::<SocketAddr>().map_err(|_| {
                ConfigError(format!("key {key}: {value:?} is not an address and port, like {like:?}"))
            })
        };
        let listen = address("listen", &self.listen, "127.0.0.1:7443")?;
        let crl_listen = match &self.crl_listen {
            Some(value) => Some(address("crl_listen", value, "127.0.0.1:7480")?),
            None => None,
        };
        let enroll_listen = match &self.enroll_listen {
            Some(value) => Some(address("enroll_listen", value, "127.0.0.1:7481")?),
            None => None,
        };
        let place = |path: PathBuf| base.join(path);
        Ok(Config {
            listen,
            crl_listen,
            enroll_listen,
            certificate_days: number("certificate_days", self.certificate_days, (1, 3_650), LEAF_DAYS)?,
            store: self.store.check(base)?,
            directory: self.directory.map_or_else(|| base.to_owned(), place),
            catalogue: self.catalogue.map(place),
            registry: self.registry.map(place),
            rules: Rules {
                limits: self.limits.check()?,
                commission_thousandths: number(
                    "tariff.commission_thousandths",
                    self.tariff.commission_thousandths,
                    (0, 200),
                    Rules::default().commission_thousandths,
                )?,
                commission_least: tenge(
                    "tariff.commission_least_tenge",
                    self.tariff.commission_least_tenge,
                    (0, 10_000),
                    Rules::default().commission_least,
                )?,
                ..self.times.check(&self.attempts)?
            },
            links: self.links.check()?,
            gateway: self.gateway.folder.map(place),
            acquirer: self.acquirer.folder.map(place),
            terms: self.settlement.check()?,
            place: self.reports.check(),
        })
    }
}

impl StoreTable {
    fn check(self, base: &Path) -> Result<Option<Address>, ConfigError> {
        let Some(connection) = self.postgres else {
            let unused = self.ca.is_some();
            let fault = || ConfigError("key store.ca: it is for store.postgres, which is missing".into());
            return if unused { Err(fault()) } else { Ok(None) };
        };
        let address = Address { connection, ca: self.ca.map(|ca| base.join(ca)) };
        match address.fault() {
            None => Ok(Some(address)),
            Some(fault) => Err(ConfigError(format!("key store.postgres: {fault}"))),
        }
    }
}

impl LimitsTable {
    fn check(&self) -> Result<Limits, ConfigError> {
        let default = Rules::default().limits;
        let sums = (1, 100_000_000);
        let limits = Limits {
            per_payment: tenge(
                "limits.per_payment_tenge",
                self.per_payment_tenge,
                sums,
                default.per_payment,
            )?,
            per_day: tenge("limits.per_day_tenge", self.per_day_tenge, sums, default.per_day)?,
            unsettled_total: tenge(
                "limits.unsettled_total_tenge",
                self.unsettled_total_tenge,
                sums,
                default.unsettled_total,
            )?,
            unsettled_count: number(
                "limits.unsettled_count",
                self.unsettled_count,
                (1, 10_000),
                default.unsettled_count,
            )?,
            unsettled_age_s: number(
                "limits.unsettled_age_s",
                self.unsettled_age_s,
                (60, 30 * 86_400),
                default.unsettled_age_s,
            )?,
            answer_wait_s: number(
                "limits.answer_wait_s",
                self.answer_wait_s,
                (1, 600),
                default.answer_wait_s,
            )?,
            print_whole_iin: self.print_whole_iin.unwrap_or(default.print_whole_iin),
        };
        if limits.per_day < limits.per_payment {
            return Err(ConfigError(
                "key limits.per_day_tenge: must not be less than limits.per_payment_tenge".into(),
            ));
        }
        Ok(limits)
    }
}

impl TimesTable {
    fn check(&self, attempts: &AttemptsTable) -> Result<Rules, ConfigError> {
        let default = Rules::default();
        let most = (1, 1_000_000);
        Ok(Rules {
            quote_valid_s: number(
                "times.quote_valid_s",
                self.quote_valid_s,
                (60, 86_400),
                default.quote_valid_s,
            )?,
            reservation_s: number(
                "times.reservation_s",
                self.reservation_s,
                (60, 30 * 86_400),
                default.reservation_s,
            )?,
            code_valid_s: number(
                "times.code_valid_days",
                self.code_valid_days,
                (1, 3_650),
                default.code_valid_s / 86_400,
            )? * 86_400,
            notice_alarm_s: number(
                "times.notice_alarm_s",
                self.notice_alarm_s,
                (1, 86_400),
                default.notice_alarm_s,
            )?,
            wrong_per_kiosk: number(
                "attempts.wrong_per_kiosk",
                attempts.wrong_per_kiosk,
                most,
                default.wrong_per_kiosk,
            )?,
            wrong_per_number: number(
                "attempts.wrong_per_number",
                attempts.wrong_per_number,
                most,
                default.wrong_per_number,
            )?,
            wrong_payers: number("attempts.wrong_payers", attempts.wrong_payers, most, default.wrong_payers)?,
            attempt_window_s: number(
                "attempts.window_s",
                attempts.window_s,
                (1, 7 * 86_400),
                default.attempt_window_s,
            )?,
            ..default
        })
    }
}

impl LinksTable {
    fn check(&self) -> Result<Links, ConfigError> {
        let default = Links::default();
        Ok(Links {
            most: number("links.most", self.most, (1, 65_536), default.most)?,
            frame_ms: number("links.frame_ms", self.frame_ms, (100, 600_000), default.frame_ms)?,
            idle_ms: number("links.idle_ms", self.idle_ms, (1_000, 86_400_000), default.idle_ms)?,
            reload_ms: number("links.reload_ms", self.reload_ms, (100, 3_600_000), default.reload_ms)?,
        })
    }
}

impl SettlementTable {
    fn check(&self) -> Result<Terms, ConfigError> {
        let mut terms = Terms {
            withheld_thousandths: number(
                "settlement.withheld_thousandths",
                self.withheld_thousandths,
                (0, 200),
                0,
            )?,
            withheld_least: tenge(
                "settlement.withheld_least_tenge",
                self.withheld_least_tenge,
                (0, 10_000),
                Amount::ZERO,
            )?,
            ..Terms::default()
        };
        for text in &self.holidays {
            let day = Date::parse_iso(text).ok_or_else(|| {
                ConfigError(format!("key settlement.holidays: {text:?} is not a day like \"2026-12-16\""))
            })?;
            terms.close(day);
        }
        Ok(terms)
    }
}

impl ReportsTable {
    fn check(self) -> Place {
        let default = Place::default();
        Place { name: self.name.unwrap_or(default.name), city: self.city.unwrap_or(default.city) }
    }
}

/// The file that `tolem-center init` writes.
pub const EXAMPLE: &str = r#"# Configuration of a tolem-center. Paths are relative to this file. Keys that are left out have the value shown.

# Where kiosks connect (inside the VPN).
listen = "127.0.0.1:7443"

# Where kiosks fetch the revocation list of our own certificate without TLS (inside the VPN as well). Left out: nowhere, and
# kiosks whose list is past its date stay out until somebody brings them a newer one.
# crl_listen = "127.0.0.1:7480"

# Where terminals enrol with a code (`tolem-center kiosk invite`) and renew their certificates by themselves. Left out: nowhere.
# enroll_listen = "127.0.0.1:7481"
# certificate_days = 730          # a terminal renews its certificate after two thirds of this

# Catalogue and persons of the reference registry; left out, those in the program are used.
# catalogue = "catalogue.toml"
# registry = "registry.toml"

[store]
# Left out: the rows are in center.db beside this file, for one process. A PostgreSQL database serves several processes: a Unix socket, or
# a server whose certificate the authority in `ca` (PEM) has signed. `tolem-center init --postgres` makes the tables.
# postgres = "host=/run/postgresql user=tolem dbname=tolem"
# ca = "postgres-ca.pem"

[limits]
# per_payment_tenge = 200000      # most cash in one payment
# per_day_tenge = 500000          # most cash of one payer in one day
# unsettled_total_tenge = 1000000 # a kiosk begins no payment in cash that would exceed this with what is unsettled there;
# unsettled_count = 20            # it stops taking cash when so many payments are unsettled,
# unsettled_age_s = 259200        # or the oldest is older than this
# answer_wait_s = 20              # a citizen waits this long for the code, then gets a claim slip
# print_whole_iin = false

[tariff]
# commission_thousandths = 0      # of the fee
# commission_least_tenge = 0

[times]
# quote_valid_s = 900             # a quote waits this long for its first note
# reservation_s = 86400           # a voucher stays reserved this long for a payment of which nothing is heard
# code_valid_days = 365
# notice_alarm_s = 600

[attempts]
# wrong_per_kiosk = 30            # wrong numbers from one kiosk in a window
# wrong_per_number = 5            # wrong IINs for one slip or voucher
# wrong_payers = 120              # unknown IINs from one kiosk
# window_s = 3600

[links]
# most = 1024
# frame_ms = 10000
# idle_ms = 180000
# reload_ms = 5000                # changed files are looked for this often

[gateway]
# folder = "../gateway/parties/bank" # this bank's folder as a participant; without it codes are made in the center's own database

[acquirer]
# folder = "../acquirer/center"    # where the acquirer of cards is and how we prove ourselves; without it no cards are taken

[settlement]
# withheld_thousandths = 0        # of each fee, kept from the provider's payout; never added to the payer
# withheld_least_tenge = 0
# holidays = []                   # days on which banks are closed, like "2026-12-16"; weekends are known

[reports]
# name = "Tolem"                  # head of the operations report
# city = "Astana"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("/srv/center"))
    }

    #[test]
    fn the_example_says_what_the_defaults_are() {
        let as_is = parse(EXAMPLE).unwrap();
        let uncommented: String = EXAMPLE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => rest,
                _ => line,
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        assert!(uncommented.contains("\nreload_ms = 5000") && uncommented.contains("\nholidays = []"));
        let spelled_out = parse(&uncommented).unwrap();
        assert_eq!((&as_is.rules, as_is.links), (&spelled_out.rules, spelled_out.links));
        assert_eq!(as_is.rules, Rules::default());
        assert_eq!((as_is.crl_listen, spelled_out.crl_listen.map(|at| at.port())), (None, Some(7_480)));
        assert_eq!(as_is.directory, Path::new("/srv/center"));
        assert_eq!(spelled_out.catalogue.as_deref(), Some(Path::new("/srv/center/catalogue.toml")));
    }

    #[test]
    fn each_wrong_key_is_named() {
        let list: String = [
            "listen = \"here\"",
            "listen = \"127.0.0.1:1\"\ncrl_listen = \"7480\"",
            "listen = \"127.0.0.1:1\"\n[limits]\nper_payment_tenge = 0",
            "listen = \"127.0.0.1:1\"\n[limits]\nper_payment_tenge = 900000",
            "listen = \"127.0.0.1:1\"\n[tariff]\ncommission_thousandths = 201",
            "listen = \"127.0.0.1:1\"\n[links]\nmost = 0",
            "listen = \"127.0.0.1:1\"\n[times]\nquote_valid_s = 1",
            "listen = \"127.0.0.1:1\"\n[settlement]\nholidays = [\"16.12.2026\"]",
        ]
        .map(|text| format!("{}\n", parse(text).unwrap_err()))
        .concat();
        expect![[r#"
            key listen: "here" is not an address and port, like "127.0.0.1:7443"
            key crl_listen: "7480" is not an address and port, like "127.0.0.1:7480"
            key limits.per_payment_tenge: 0 is not allowed; allowed are 1..=100000000
            key limits.per_day_tenge: must not be less than limits.per_payment_tenge
            key tariff.commission_thousandths: 201 is not allowed; allowed are 0..=200
            key links.most: 0 is not allowed; allowed are 1..=65536
            key times.quote_valid_s: 1 is not allowed; allowed are 60..=86400
            key settlement.holidays: "16.12.2026" is not a day like "2026-12-16"
        "#]]
        .assert_eq(&list);
        for (text, named) in [
            ("", "listen"),
            ("listen = 5", "listen"),
            ("listen = \"127.0.0.1:1\"\n[links]\nspeed = 1", "unknown field `speed`"),
            ("listen = \"127.0.0.1:1\"\n[limits]\nper_day_tenge = -1", "per_day_tenge"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
