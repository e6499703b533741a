//! The configuration of one terminal: `kiosk.toml`, read once at start and refused as a whole if anything in it is wrong.
//!
//! No secrets stand in it, only the places of key files and the center's public keys. Prices, limits, notes and services come signed
//! from the center and are not settings. `deploy/kiosk.toml` explains every line.

mod cards;
mod reader;

pub use cards::{CardReader, Cards, PinPad, ReaderDriver};
pub use reader::ConfigError;

use crate::{keys::CenterKeys, verify::Witness};
use reader::{Document, Section, list, number, text};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tolem_protocol::{
    Date, KioskNumber,
    signed_note::{KeyKind, NoteKey},
};
use toml::de::DeValue;

/// Largest configuration file in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Everything a terminal is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Who and where it is.
    pub kiosk: Kiosk,
    /// The processing center.
    pub center: Center,
    /// The bill acceptor.
    pub acceptor: Acceptor,
    /// The receipt printer.
    pub printer: Printer,
    /// Card reader and PIN pad; `None`: cash only.
    pub cards: Option<Cards>,
    /// The citizen's screen.
    pub screen: Screen,
    /// Lamps and switches; `None` when the cabinet has none on GPIO lines.
    pub pins: Option<Pins>,
    /// The journal and the keys that sign it.
    pub journal: Journal,
    /// When a stalled program is given up.
    pub watchdog: Watchdog,
}

/// `[kiosk]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kiosk {
    /// Number in the operator's fleet.
    pub number: KioskNumber,
    /// Who runs it, as printed.
    pub operator: String,
    /// Where it stands, as printed.
    pub address: String,
    /// Where the next terminal stands, for whoever finds this one closed; empty if nobody has said.
    pub nearest: String,
}

/// `[center]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Center {
    /// Name or address inside the VPN.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Name that must stand in the center's certificate.
    pub server_name: String,
    /// PEM file with the one authority that issues the center's certificate.
    pub ca: PathBuf,
    /// PEM file with this kiosk's certificate and its issuers.
    pub certificate: PathBuf,
    /// PEM file with the key of that certificate, readable by the kiosk's user alone.
    pub key: PathBuf,
    /// PEM or DER file with the revocation list of `ca`; `None` = the center's certificate is not checked for revocation.
    pub crl: Option<PathBuf>,
    /// TCP port of `host` where `GET /crl` gives the list without TLS; `None` = the list is fetched over the link alone.
    pub crl_port: Option<u16>,
    /// TCP port of `host` where certificates are given; `None` = they are brought here by hand.
    pub enroll_port: Option<u16>,
    /// Public keys of its statements and for sealing IINs.
    pub keys: CenterKeys,
    /// Public keys under which it cosigns journals, or did once; empty = cosignatures are kept but not checked here.
    pub witnesses: Vec<Witness>,
}

/// `[acceptor]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acceptor {
    /// Any tty: a serial port, a USB adapter, a pty.
    pub port: PathBuf,
    /// Bits per second.
    pub baud: u32,
    /// Country letters of the notes that are money here, as the device names them.
    pub country: [u8; 3],
    /// Years of issue of bill types whose pattern matters: (bill type, year).
    pub patterns: Vec<(u8, u16)>,
}

/// `[printer]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Printer {
    /// Any tty.
    pub port: PathBuf,
    /// Bits per second.
    pub baud: u32,
    /// Dots per row, a multiple of 8.
    pub width: u16,
}

/// `[screen]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Screen {
    /// Shape.
    pub format: Format,
    /// How it reaches the glass.
    pub backend: Backend,
}

/// Shape of the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// 1080 x 1920.
    Portrait,
    /// 1280 x 1024.
    Landscape,
}

/// How pictures reach the glass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    /// Straight to the display, without a window system: the image.
    Kms,
    /// A window, for developers.
    Window,
    /// No glass; pictures are only computed.
    Headless,
}

/// `[pins]`: line numbers on one GPIO chip.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pins {
    /// Character device of the chip.
    pub chip: PathBuf,
    /// Lamp at the note slot.
    pub note_slot_lamp: Option<u32>,
    /// Lamp at the receipt slot.
    pub receipt_slot_lamp: Option<u32>,
    /// Lamp at the card slot.
    pub card_slot_lamp: Option<u32>,
    /// Buzzer for a card that waits at the gate.
    pub buzzer: Option<u32>,
    /// Switch of the service door, active while open.
    pub door: Option<u32>,
    /// Switch of the safe, active while open.
    pub safe: Option<u32>,
    /// Switches pull the line down while open.
    pub switches_active_low: bool,
}

/// `[journal]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Journal {
    /// Database file.
    pub path: PathBuf,
    /// Directory of the keys made at the first start.
    pub keys: PathBuf,
}

/// `[watchdog]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watchdog {
    /// A thread silent for this long counts as stalled; the system's watchdog is not fed any more.
    pub stalled_after: Duration,
}

impl Config {
    /// What it asks for and this build does not have.
    pub fn not_in_this_build(&self) -> Option<&'static str> {
        let pcsc =
            self.cards.as_ref().is_some_and(|cards| matches!(cards.reader.driver, ReaderDriver::Pcsc { .. }));
        (pcsc && !cfg!(feature = "pcsc")).then_some(
            "[card_reader] driver = \"pcsc\": must be \"omron-3s4yr\" in this build, which opens no readers on PC/SC; \
             build with --features pcsc for them",
        )
    }

    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let fail = |cause: String| ConfigError(vec![format!("{}: {cause}", path.display())]);
        let about = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
        if about.len() > MAX_FILE {
            return Err(fail(format!("{} bytes, a configuration has at most {MAX_FILE}", about.len())));
        }
        let bytes = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            fail(format!("not UTF-8 text: byte {} is wrong", error.utf8_error().valid_up_to()))
        })?;
        Self::parse(path, &text)
    }

    /// Reads `text`; relative paths in it start at the directory of `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let (mut document, mut root) = Document::parse(path, text)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let config = read(&mut document, &mut root, base);
        root.finish(&mut document);
        document.finish(config)
    }

    /// The keys that verify this kiosk's journal, given its public key.
    pub fn journal_keys(&self, public: [u8; 32]) -> crate::verify::Keys {
        let name = tolem_protocol::signed_note::journal_origin(self.kiosk.number);
        crate::verify::Keys {
            log: Some(NoteKey { name, kind: KeyKind::Log, public }),
            witnesses: self.center.witnesses.clone(),
        }
    }
}

fn read<'a>(document: &mut Document<'a>, root: &mut Section<'a>, base: &Path) -> Option<Config> {
    // Every section is read before any is needed, so that all complaints come at once.
    let kiosk = root.section(document, "kiosk").and_then(|section| kiosk(document, section));
    let center = root.section(document, "center").and_then(|section| center(document, section, base));
    let acceptor = root.section(document, "acceptor").and_then(|section| acceptor(document, section, base));
    let printer = root.section(document, "printer").and_then(|section| printer(document, section, base));
    let cards = cards::cards(document, root, base);
    let screen = root.section(document, "screen").and_then(|section| screen(document, section));
    let pins = root.optional_section(document, "pins").map(|section| pins(document, section, base));
    let journal = root.section(document, "journal").and_then(|section| journal(document, section, base));
    let watchdog = match root.optional_section(document, "watchdog") {
        Some(section) => watchdog(document, section),
        None => Some(Watchdog { stalled_after: DEFAULT_STALL }),
    };
    Some(Config {
        kiosk: kiosk?,
        center: center?,
        acceptor: acceptor?,
        printer: printer?,
        cards: cards?,
        screen: screen?,
        pins: pins.map_or(Some(None), |pins| pins.map(Some))?,
        journal: journal?,
        watchdog: watchdog?,
    })
}

const DEFAULT_STALL: Duration = Duration::from_secs(20);
const PATH: &str = "a path, e.g. \"/etc/tolem/ca.pem\"";
const KEY: &str = "32 bytes in base64, as the center prints them";
const BAUD: &str = "one of 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600";
const PORT: &str = "the path of a tty, e.g. \"/dev/ttyS0\"";
const LINE: &str = "the number of a GPIO line, 0 to 1023";

fn kiosk<'a>(document: &mut Document<'a>, mut section: Section<'a>) -> Option<Kiosk> {
    let kiosk_number = section.need(document, "number", "a whole number from 1 to 99999", |value| {
        number(value, 1..100_000).and_then(|number| KioskNumber::new(u32::try_from(number).ok()?))
    });
    let printed = "a text of 1 to 80 letters without line breaks";
    let operator = section.need(document, "operator", printed, printed_text);
    let address = section.need(document, "address", printed, printed_text);
    let nearest = section.or(document, "nearest", String::new(), printed, printed_text);
    section.finish(document);
    Some(Kiosk { number: kiosk_number?, operator: operator?, address: address?, nearest: nearest? })
}

fn center<'a>(document: &mut Document<'a>, mut section: Section<'a>, base: &Path) -> Option<Center> {
    let host = section.need(document, "host", "a host name or IP address", |value| text(value, host));
    let tcp = "a whole number from 1 to 65535";
    let port = section.need(document, "port", tcp, tcp_port);
    let name = "the host name or IP address in the center's certificate";
    let server_name = section.need(document, "server_name", name, |value| {
        text(value, |text| {
            rustls::pki_types::ServerName::try_from(text).ok()?;
            Some(text.to_owned())
        })
    });
    let ca = section.need(document, "ca", PATH, |value| path(value, base));
    let certificate = section.need(document, "certificate", PATH, |value| path(value, base));
    let key = section.need(document, "key", PATH, |value| path(value, base));
    let crl = section.or(document, "crl", None, PATH, |value| path(value, base).map(Some));
    let crl_port = section.or(document, "crl_port", None, tcp, |value| tcp_port(value).map(Some));
    let enroll_port = section.or(document, "enroll_port", None, tcp, |value| tcp_port(value).map(Some));
    let statement = section.need(document, "statement_key", KEY, key_bytes);
    let sealing = section.need(document, "sealing_key", KEY, key_bytes);
    let vkey = "a cosigner's key as name+id+base64, as the center prints it";
    let witness = section.or(document, "witness_key", None, vkey, |value| text(value, cosigner).map(Some));
    let pairs = "a list of [key, last day], e.g. [[\"tolem/center/witness+1a2b3c4d+BA…\", \"2027-03-31\"]]";
    let former = section.or(document, "former_witness_keys", Vec::new(), pairs, |value| {
        list(value, |pair| match list(pair, |part| text(part, |text| Some(text.to_owned())))?.as_slice() {
            [key, day] => {
                let until = Some(Date::parse_iso(day)?.starts_at().plus_seconds(86_400));
                Some(Witness { key: cosigner(key)?, until })
            }
            _ => None,
        })
    });
    section.finish(document);
    Some(Center {
        host: host?,
        port: port?,
        server_name: server_name?,
        ca: ca?,
        certificate: certificate?,
        key: key?,
        crl: crl?,
        crl_port: crl_port?,
        enroll_port: enroll_port?,
        keys: CenterKeys { statement: statement?, sealing: sealing? },
        witnesses: witness?.map(|key| Witness { key, until: None }).into_iter().chain(former?).collect(),
    })
}

fn acceptor<'a>(document: &mut Document<'a>, mut section: Section<'a>, base: &Path) -> Option<Acceptor> {
    let driver = section
        .need(document, "driver", "\"ccnet\"", |value| text(value, |text| (text == "ccnet").then_some(())));
    let port = section.need(document, "port", PORT, |value| path(value, base));
    let baud = section.or(document, "baud", 9_600, BAUD, baud);
    let country = section.or(document, "country", *b"KAZ", "three capital letters, e.g. \"KAZ\"", |value| {
        text(value, |text| {
            let letters: [u8; 3] = text.as_bytes().try_into().ok()?;
            letters.iter().all(u8::is_ascii_uppercase).then_some(letters)
        })
    });
    let pairs = "a list of [bill type 0 to 23, year of issue], e.g. [[4, 2011], [9, 2023]]";
    let patterns = section.or(document, "patterns", Vec::new(), pairs, |value| {
        list(value, |item| match list(item, |part| number(part, 0..10_000))?.as_slice() {
            [bill @ 0..=23, year @ 1993..=9_999] => {
                Some((u8::try_from(*bill).ok()?, u16::try_from(*year).ok()?))
            }
            _ => None,
        })
    });
    section.finish(document);
    driver?;
    Some(Acceptor { port: port?, baud: baud?, country: country?, patterns: patterns? })
}

fn printer<'a>(document: &mut Document<'a>, mut section: Section<'a>, base: &Path) -> Option<Printer> {
    let driver = section
        .need(document, "driver", "\"escpos\"", |value| text(value, |text| (text == "escpos").then_some(())));
    let port = section.need(document, "port", PORT, |value| path(value, base));
    let baud = section.or(document, "baud", 115_200, BAUD, baud);
    let dots = "a multiple of 8 from 384 to 832 (576 for 80 mm paper at 203 dpi)";
    let width = section.or(document, "width", 576, dots, |value| {
        number(value, 384..833).filter(|dots| dots % 8 == 0).and_then(|dots| u16::try_from(dots).ok())
    });
    section.finish(document);
    driver?;
    Some(Printer { port: port?, baud: baud?, width: width? })
}

fn screen<'a>(document: &mut Document<'a>, mut section: Section<'a>) -> Option<Screen> {
    let format =
        section.need(document, "format", "\"portrait\" (1080x1920) or \"landscape\" (1280x1024)", |value| {
            text(value, |text| match text {
                "portrait" => Some(Format::Portrait),
                "landscape" => Some(Format::Landscape),
                _ => None,
            })
        });
    let backend =
        section.or(document, "backend", Backend::Kms, "\"kms\", \"window\" or \"headless\"", |value| {
            text(value, |text| match text {
                "kms" => Some(Backend::Kms),
                "window" => Some(Backend::Window),
                "headless" => Some(Backend::Headless),
                _ => None,
            })
        });
    section.finish(document);
    Some(Screen { format: format?, backend: backend? })
}

fn pins<'a>(document: &mut Document<'a>, mut section: Section<'a>, base: &Path) -> Option<Pins> {
    let chip = section.need(document, "chip", "the path of a GPIO chip, e.g. \"/dev/gpiochip0\"", |value| {
        path(value, base)
    });
    let mut line = |document: &mut Document<'a>, key| {
        section.or(document, key, None, LINE, |value| {
            number(value, 0..1024).and_then(|line| u32::try_from(line).ok()).map(Some)
        })
    };
    let note_slot_lamp = line(document, "note_slot_lamp");
    let receipt_slot_lamp = line(document, "receipt_slot_lamp");
    let card_slot_lamp = line(document, "card_slot_lamp");
    let buzzer = line(document, "buzzer");
    let door = line(document, "door");
    let safe = line(document, "safe");
    let switches_active_low =
        section.or(document, "switches_active_low", false, "true or false", |value| match value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => None,
        });
    section.finish(document);
    Some(Pins {
        chip: chip?,
        note_slot_lamp: note_slot_lamp?,
        receipt_slot_lamp: receipt_slot_lamp?,
        card_slot_lamp: card_slot_lamp?,
        buzzer: buzzer?,
        door: door?,
        safe: safe?,
        switches_active_low: switches_active_low?,
    })
}

fn journal<'a>(document: &mut Document<'a>, mut section: Section<'a>, base: &Path) -> Option<Journal> {
    let file = section
        .need(document, "path", "a path, e.g. \"/var/lib/tolem/journal.db\"", |value| path(value, base));
    let keys = section
        .need(document, "keys", "a directory, e.g. \"/var/lib/tolem/keys\"", |value| path(value, base));
    section.finish(document);
    Some(Journal { path: file?, keys: keys? })
}

fn watchdog<'a>(document: &mut Document<'a>, mut section: Section<'a>) -> Option<Watchdog> {
    let seconds =
        section.or(document, "stalled_after_s", DEFAULT_STALL.as_secs(), "seconds from 5 to 120", |value| {
            number(value, 5..121)
        });
    section.finish(document);
    Some(Watchdog { stalled_after: Duration::from_secs(seconds?) })
}

fn tcp_port(value: &DeValue<'_>) -> Option<u16> {
    number(value, 1..65_536).and_then(|port| u16::try_from(port).ok())
}

fn cosigner(text: &str) -> Option<NoteKey> {
    NoteKey::parse_vkey(text).filter(|key| key.kind == KeyKind::Cosigner)
}

fn printed_text(value: &DeValue<'_>) -> Option<String> {
    text(value, |text| {
        let fits = (1..=80).contains(&text.trim().chars().count()) && !text.chars().any(char::is_control);
        fits.then(|| text.trim().to_owned())
    })
}

fn host(text: &str) -> Option<String> {
    let plain = (1..=253).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte));
    plain.then(|| text.to_owned())
}

fn path(value: &DeValue<'_>, base: &Path) -> Option<PathBuf> {
    text(value, |text| (!text.is_empty() && !text.contains('\0')).then(|| base.join(text)))
}

fn baud(value: &DeValue<'_>) -> Option<u32> {
    const KNOWN: [u32; 11] =
        [1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600];
    number(value, 0..1_000_000).and_then(|baud| u32::try_from(baud).ok()).filter(|baud| KNOWN.contains(baud))
}

fn key_bytes(value: &DeValue<'_>) -> Option<[u8; 32]> {
    text(value, |text| data_encoding::BASE64.decode(text.trim().as_bytes()).ok()?.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const EXAMPLE: &str = include_str!("../../../deploy/kiosk.toml");

    fn check(from: &str, to: &str, expected: Expect) {
        assert!(from.is_empty() || EXAMPLE.contains(from), "{from}");
        let text = if from.is_empty() { to.to_owned() } else { EXAMPLE.replace(from, to) };
        expected.assert_eq(&Config::parse(Path::new("kiosk.toml"), &text).unwrap_err().to_string());
    }

    #[test]
    fn the_example_is_right() {
        let config = Config::parse(Path::new("/etc/tolem/kiosk.toml"), EXAMPLE).unwrap();
        assert_eq!(config.kiosk.number.get(), 42);
        assert_eq!(config.center.ca, Path::new("/etc/tolem/tls/center-ca.pem"));
        assert_eq!(config.journal.path, Path::new("/var/lib/tolem/journal.db"));
        assert_eq!((config.acceptor.baud, config.printer.baud, config.printer.width), (9_600, 115_200, 576));
        assert_eq!((config.pins, config.cards, config.screen.backend), (None, None, Backend::Kms));
    }

    #[test]
    fn every_commented_setting_of_the_example_is_one() {
        let text = EXAMPLE
            .lines()
            .map(|line| {
                let setting = line.strip_prefix('#').filter(|rest| {
                    rest.starts_with('[') || rest.starts_with(|letter: char| letter.is_ascii_lowercase())
                });
                setting.filter(|setting| !setting.contains("witness_key")).unwrap_or(line)
            })
            .collect::<Vec<_>>()
            .join("\n");
        let config = Config::parse(Path::new("kiosk.toml"), &text).unwrap();
        let pins = config.pins.unwrap();
        assert_eq!((pins.note_slot_lamp, pins.safe, pins.switches_active_low), (Some(5), Some(27), false));
        assert_eq!((pins.card_slot_lamp, pins.buzzer), (Some(12), Some(13)));
        let cards = config.cards.unwrap();
        assert_eq!((&cards.reader.terminal, &cards.reader.merchant), (b"KSK00042", b"KIOSKKZT0000001"));
        let port = PathBuf::from("/dev/tolem-cards");
        assert_eq!(cards.reader.driver, ReaderDriver::Omron { port, baud: 19_200, keeps: true, sred: false });
        assert_eq!(cards.pad.baud, 9_600);
        assert_eq!(config.acceptor.patterns, [(4, 2011), (9, 2023)]);
        assert_eq!(config.center.crl.as_deref(), Some(Path::new("/var/lib/tolem/center.crl")));
        assert_eq!((config.center.crl_port, config.center.enroll_port), (Some(7_480), Some(7_481)));
    }

    #[test]
    fn each_complaint_names_line_key_value_and_what_is_allowed() {
        check(
            "number = 42",
            "number = 0",
            expect!["kiosk.toml:10: [kiosk] number = 0: must be a whole number from 1 to 99999"],
        );
        check(
            "number = 42",
            "number = 4.2",
            expect!["kiosk.toml:10: [kiosk] number = 4.2: must be a whole number from 1 to 99999"],
        );
        check(
            "number = 42",
            "nubmer = 42",
            expect![[r#"
            kiosk.toml:7: [kiosk] number is missing: must be a whole number from 1 to 99999
            kiosk.toml:10: [kiosk] nubmer is not known: keys are number, operator, address, nearest"#]],
        );
        check(
            "port = 7443",
            "port = 70000",
            expect!["kiosk.toml:21: [center] port = 70000: must be a whole number from 1 to 65535"],
        );
        check(
            "host = \"10.77.0.1\"",
            "host = \"http://center\"",
            expect![[r#"kiosk.toml:20: [center] host = "http://center": must be a host name or IP address"#]],
        );
        check(
            "\"center.example.kz\"",
            "\"center example\"",
            expect![[
                r#"kiosk.toml:23: [center] server_name = "center example": must be the host name or IP address in the center's certificate"#
            ]],
        );
        check(
            "statement_key = \"11qY",
            "statement_key = \"11q",
            expect![[
                r#"kiosk.toml:40: [center] statement_key = "11qAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=": must be 32 bytes in base64, as the center prints them"#
            ]],
        );
        check(
            "driver = \"ccnet\"",
            "driver = \"id003\"",
            expect![[r#"kiosk.toml:52: [acceptor] driver = "id003": must be "ccnet""#]],
        );
        check(
            "#baud = 9600",
            "baud = 9601",
            expect![
                "kiosk.toml:56: [acceptor] baud = 9601: must be one of 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, \
                 230400, 460800, 921600"
            ],
        );
        check(
            "#country = \"KAZ\"",
            "country = \"Kazakhstan\"",
            expect![[
                r#"kiosk.toml:58: [acceptor] country = "Kazakhstan": must be three capital letters, e.g. "KAZ""#
            ]],
        );
        check(
            "#patterns = [[4, 2011], [9, 2023]]",
            "patterns = [[24, 2011]]",
            expect![
                "kiosk.toml:61: [acceptor] patterns = [[24, 2011]]: must be a list of [bill type 0 to 23, year of issue], e.g. [[4, 2011], [9, 2023]]"
            ],
        );
        check(
            "#width = 576",
            "width = 577",
            expect![
                "kiosk.toml:70: [printer] width = 577: must be a multiple of 8 from 384 to 832 (576 for 80 mm paper at 203 dpi)"
            ],
        );
        check(
            "format = \"portrait\"",
            "format = \"upright\"",
            expect![[
                r#"kiosk.toml:98: [screen] format = "upright": must be "portrait" (1080x1920) or "landscape" (1280x1024)"#
            ]],
        );
        check(
            "#stalled_after_s = 20",
            "stalled_after_s = 1",
            expect!["kiosk.toml:125: [watchdog] stalled_after_s = 1: must be seconds from 5 to 120"],
        );
        check(
            "#witness_key = \"center.example.kz/witness+1a2b3c4d+BA…\"",
            "witness_key = \"center+00000000+AQ==\"",
            expect![[
                r#"kiosk.toml:45: [center] witness_key = "center+00000000+AQ==": must be a cosigner's key as name+id+base64, as the center prints it"#
            ]],
        );
        check(
            "[journal]",
            "[jurnal]",
            expect![[r#"
                kiosk.toml:1: [journal] is missing: this section is needed
                kiosk.toml:115: [jurnal] is not known: sections are kiosk, center, acceptor, printer, card_reader, pin_pad, screen, pins, journal, watchdog"#]],
        );
        check(
            "path = \"/var/lib/tolem/journal.db\"",
            "path = 7",
            expect![[
                r#"kiosk.toml:118: [journal] path = 7: must be a path, e.g. "/var/lib/tolem/journal.db""#
            ]],
        );
        check(
            "operator = \"«Үлгі банк» АҚ\"",
            "operator = \"\"",
            expect![[
                r#"kiosk.toml:12: [kiosk] operator = "": must be a text of 1 to 80 letters without line breaks"#
            ]],
        );
    }

    #[test]
    fn cards_need_both_devices_and_the_acquirers_names() {
        check(
            "#[card_reader]",
            "[card_reader]",
            expect![[r#"
                kiosk.toml:1: [pin_pad] is missing: this section is needed
                kiosk.toml:73: [card_reader] driver is missing: must be "omron-3s4yr" or "pcsc"
                kiosk.toml:73: [card_reader] merchant is missing: must be fifteen capital letters and digits, as the acquirer calls the merchant
                kiosk.toml:73: [card_reader] terminal is missing: must be eight capital letters and digits, as the acquirer calls this terminal"#]],
        );
        check(
            "#[pin_pad]",
            "[pin_pad]",
            expect![[r#"
                kiosk.toml:1: [card_reader] is missing: this section is needed
                kiosk.toml:90: [pin_pad] driver is missing: must be "uic-pp791"
                kiosk.toml:90: [pin_pad] port is missing: must be the path of a tty, e.g. "/dev/ttyS0""#]],
        );
    }

    #[test]
    fn a_reader_has_the_keys_of_its_driver() {
        let reader = "[card_reader]\nterminal = \"KSK00042\"\nmerchant = \"KIOSKKZT0000001\"\n";
        let pad = "[pin_pad]\ndriver = \"uic-pp791\"\nport = \"/dev/tolem-pinpad\"\n";
        let with = |keys: &str| format!("{reader}{keys}{pad}[printer]");
        check(
            "[printer]",
            &with("driver = \"dip\"\n"),
            expect![[r#"kiosk.toml:66: [card_reader] driver = "dip": must be "omron-3s4yr" or "pcsc""#]],
        );
        check(
            "[printer]",
            &with("driver = \"pcsc\"\nport = \"/dev/ttyS0\"\n"),
            expect![
                "kiosk.toml:67: [card_reader] port is not known: keys are driver, terminal, merchant, reader, chip_timeout_s"
            ],
        );
        check(
            "[printer]",
            &with("driver = \"pcsc\"\nsred = true\n"),
            expect![
                "kiosk.toml:67: [card_reader] sred is not known: keys are driver, terminal, merchant, reader, chip_timeout_s"
            ],
        );
        check(
            "[printer]",
            &with("driver = \"omron-3s4yr\"\nport = \"/dev/ttyS0\"\nsred = \"yes\"\n"),
            expect![[r#"kiosk.toml:68: [card_reader] sred = "yes": must be true or false"#]],
        );
        check(
            "[printer]",
            &with("driver = \"pcsc\"\nreader = \"\"\nchip_timeout_s = 1\n"),
            expect![[r#"
            kiosk.toml:67: [card_reader] reader = "": must be part of the reader's name as pcscd lists it
            kiosk.toml:68: [card_reader] chip_timeout_s = 1: must be seconds from 2 to 60"#]],
        );
        check(
            "[printer]",
            &with("driver = \"omron-3s4yr\"\nreader = \"OMNIKEY\"\n"),
            expect![[r#"
            kiosk.toml:63: [card_reader] port is missing: must be the path of a tty, e.g. "/dev/ttyS0"
            kiosk.toml:67: [card_reader] reader is not known: keys are driver, terminal, merchant, port, baud, keep_forgotten, sred"#]],
        );
    }

    #[test]
    fn a_reader_on_pcsc_is_read_and_told_of_where_the_build_has_none() {
        let keys = "driver = \"pcsc\"\nreader = \"OMNIKEY\"\nchip_timeout_s = 5\nterminal = \"KSK00042\"\nmerchant = \"KIOSKKZT0000001\"\n";
        let pad = "[pin_pad]\ndriver = \"uic-pp791\"\nport = \"/dev/tolem-pinpad\"\n";
        let text = EXAMPLE.replacen("[printer]", &format!("[card_reader]\n{keys}{pad}[printer]"), 1);
        let config = Config::parse(Path::new("/etc/tolem/kiosk.toml"), &text).unwrap();
        let driver = &config.cards.as_ref().unwrap().reader.driver;
        let patience = Duration::from_secs(5);
        assert_eq!(*driver, ReaderDriver::Pcsc { reader: Some("OMNIKEY".into()), patience });
        assert_eq!(config.not_in_this_build().is_some(), !cfg!(feature = "pcsc"));
    }

    #[test]
    fn all_complaints_come_at_once_in_the_order_of_the_file() {
        check(
            "",
            "[kiosk]\nnumber = 42\n[center]\nport = \"7443\"\n[pins]\ndoor = -1\n",
            expect![[r#"
            kiosk.toml:1: [acceptor] is missing: this section is needed
            kiosk.toml:1: [journal] is missing: this section is needed
            kiosk.toml:1: [printer] is missing: this section is needed
            kiosk.toml:1: [screen] is missing: this section is needed
            kiosk.toml:1: [kiosk] address is missing: must be a text of 1 to 80 letters without line breaks
            kiosk.toml:1: [kiosk] operator is missing: must be a text of 1 to 80 letters without line breaks
            kiosk.toml:3: [center] ca is missing: must be a path, e.g. "/etc/tolem/ca.pem"
            kiosk.toml:3: [center] certificate is missing: must be a path, e.g. "/etc/tolem/ca.pem"
            kiosk.toml:3: [center] host is missing: must be a host name or IP address
            kiosk.toml:3: [center] key is missing: must be a path, e.g. "/etc/tolem/ca.pem"
            kiosk.toml:3: [center] sealing_key is missing: must be 32 bytes in base64, as the center prints them
            kiosk.toml:3: [center] server_name is missing: must be the host name or IP address in the center's certificate
            kiosk.toml:3: [center] statement_key is missing: must be 32 bytes in base64, as the center prints them
            kiosk.toml:4: [center] port = "7443": must be a whole number from 1 to 65535
            kiosk.toml:5: [pins] chip is missing: must be the path of a GPIO chip, e.g. "/dev/gpiochip0"
            kiosk.toml:6: [pins] door = -1: must be the number of a GPIO line, 0 to 1023"#]],
        );
    }

    #[test]
    fn what_is_not_toml_is_placed() {
        check(
            "number = 42",
            "number = ",
            expect!["kiosk.toml:10: not TOML: string values must be quoted, expected literal string"],
        );
        check(
            "",
            "kiosk = 5",
            expect![[r#"
            kiosk.toml:1: [acceptor] is missing: this section is needed
            kiosk.toml:1: [center] is missing: this section is needed
            kiosk.toml:1: [journal] is missing: this section is needed
            kiosk.toml:1: [kiosk] = 5: must be a section
            kiosk.toml:1: [printer] is missing: this section is needed
            kiosk.toml:1: [screen] is missing: this section is needed"#]],
        );
        check("[printer]", "[printer]\n[printer]", expect!["kiosk.toml:64: not TOML: duplicate key"]);
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let error = Config::load(Path::new("/nowhere/kiosk.toml")).unwrap_err().to_string();
        assert_eq!(error, "/nowhere/kiosk.toml: No such file or directory (os error 2)");
        let dir = crate::scratch::Scratch::new("config");
        let path = dir.path().join("kiosk.toml");
        std::fs::write(&path, b"[kiosk]\n\xff").unwrap();
        let error = Config::load(&path).unwrap_err().to_string();
        assert!(error.ends_with("kiosk.toml: not UTF-8 text: byte 8 is wrong"), "{error}");
        std::fs::write(&path, vec![b'#'; 65 * 1024]).unwrap();
        let error = Config::load(&path).unwrap_err().to_string();
        assert!(error.ends_with("66560 bytes, a configuration has at most 65536"), "{error}");
    }
}
