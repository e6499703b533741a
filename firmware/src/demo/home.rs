//! The demo's directory: the center's files, and one directory for each kiosk as it would be on its own disk.
//!
//! ```text
//! tolem-demo           a mark: only a directory that has it is ever emptied
//! center/              certificates, keys, database (see tolem-center)
//! center/operators/    the keys of its two operators; elsewhere each would keep their own
//! acquirer/            the acquirer of cards: folders for the center and for its host, which is the test issuer
//! gateway/             the payment gateway and registry: its database, its authority, and a folder for each participant
//! kiosk-1/kiosk.toml   written anew at each start, because ports change
//! kiosk-1/tls/ keys/ journal.db kiosk.log
//! kiosk-1/cassette.txt what lies in the simulated cassette
//! kiosk-1/pinpad.txt    how many keys the simulated PIN pad has used
//! ```

use crate::keys::{CenterKeys, KioskKeys, OnMissing};
use anyhow::{Context, bail, ensure};
use data_encoding::BASE64;
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};
use tolem_center::{
    acquirer::setup as acquirer_setup,
    config::Config as CenterConfig,
    gateway::{
        config::{GATEWAY_FILE, GatewayConfig},
        setup as gateway_setup,
    },
    pki::{CRL_DAYS, Pki, nca::Authority},
    server::system_clock,
    setup,
};
use tolem_core::ports::Signer as _;
use tolem_protocol::KioskNumber;

/// The file that says whose directory it is.
const MARK: &str = "tolem-demo";
/// Two people at the demo's center: what moves money without a terminal needs both.
const OPERATORS: [&str; 2] = ["aigul", "bolat"];
/// A path of a Unix socket has at most 107 bytes.
const MAX_SOCKET_PATH: usize = 107;
/// Revocation lists of the demo are valid for so many days.
const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// The directory, locked for this demo.
pub struct Home {
    directory: PathBuf,
    _lock: File,
}

impl Home {
    /// Makes or opens it. With `fresh`, what a demo left there is thrown away; any other directory is not touched.
    ///
    /// # Errors
    /// If it belongs to something else, or another demo runs in it.
    pub fn open(directory: &Path, fresh: bool) -> anyhow::Result<Self> {
        let named = || format!("--dir {}", directory.display());
        make_private(directory).with_context(named)?;
        let directory = directory.canonicalize().with_context(named)?;
        let mark = directory.join(MARK);
        if !mark.exists() {
            let empty = fs::read_dir(&directory).with_context(named)?.next().is_none();
            ensure!(
                empty,
                "{}: there is something in it that no demo made; choose another directory",
                named()
            );
        }
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&mark).with_context(named)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("{}: another demo runs in it; stop that one or choose another directory", named());
        }
        if fresh {
            for entry in fs::read_dir(&directory).with_context(named)? {
                let path = entry.with_context(named)?.path();
                if path != mark {
                    remove(&path).with_context(|| path.display().to_string())?;
                }
            }
        }
        Ok(Self { directory, _lock: lock })
    }

    /// Its absolute path.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The gateway's configuration: made at the first start, with revocation lists that are fresh at each.
    ///
    /// # Errors
    /// If its files cannot be made or read, or a demo before gateways were part of it has left codes here.
    pub fn gateway(&self) -> anyhow::Result<GatewayConfig> {
        let directory = self.gateway_directory();
        let file = directory.join(GATEWAY_FILE);
        let mut config = if file.exists() {
            GatewayConfig::read(&file)?
        } else {
            ensure!(
                !self.directory.join("center").exists(),
                "--dir {}: an older demo has left payment codes here that no gateway knows; start over with --fresh",
                self.directory.display()
            );
            gateway_setup::init(&directory, &NAMES.map(str::to_owned), system_clock())?
        };
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Authority::at(&directory.join("nca")).refresh(system_clock(), CRL_DAYS)?;
        gateway_setup::publish(&directory)?;
        Ok(config)
    }

    /// Tells all participants where the gateway is in this run.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn tell_whereabouts(&self, config: &GatewayConfig, gateway: SocketAddr) -> anyhow::Result<()> {
        let parties = self.gateway_directory().join("parties");
        config
            .participants
            .keys()
            .try_for_each(|name| gateway_setup::tell_whereabouts(&parties.join(name), &gateway.to_string()))
    }

    fn gateway_directory(&self) -> PathBuf {
        self.directory.join("gateway")
    }

    /// The folder of the acquirer of cards, whose host listens at `host` in this run; made at the first start.
    ///
    /// # Errors
    /// If its files cannot be made or read.
    pub fn acquirer(&self, host: SocketAddr) -> anyhow::Result<PathBuf> {
        let folder = self.directory.join("acquirer");
        super::acquirer::prepare(&folder, host)?;
        Ok(folder)
    }

    /// The center's configuration: made at the first start, with a revocation list that is fresh at each. It is the participant
    /// "bank" of the gateway, if one was made here before; without one it makes codes itself.
    ///
    /// # Errors
    /// If its files cannot be made or read.
    pub fn center(&self) -> anyhow::Result<CenterConfig> {
        let directory = self.directory.join("center");
        let file = directory.join(setup::CONFIG_FILE);
        let mut config = if file.exists() {
            CenterConfig::read(&file)?
        } else {
            let mut alone = setup::init(&directory, &NAMES.map(str::to_owned), system_clock())?;
            if self.directory.join("acquirer/center").exists() {
                alone = acquirer_setup::attach(&file, Path::new("../acquirer/center"))?;
            }
            if self.gateway_directory().join(GATEWAY_FILE).exists() {
                // In the file too: commands that work beside the running center must ask the same gateway.
                setup::attach(&file, Path::new("../gateway/parties/bank"))?
            } else {
                alone
            }
        };
        let people = directory.join("operators");
        if !people.exists() {
            make_private(&people)?;
            for name in OPERATORS {
                setup::found_operator(&config, name, &people.join(format!("{name}.key")), system_clock())?;
            }
        }
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.crl_listen = Some(config.listen);
        Pki::at(&config.directory).refresh_crl(system_clock(), CRL_DAYS)?;
        Ok(config)
    }

    /// The directory of a kiosk, with its keys and certificates; enrolled at the center when it is new.
    ///
    /// # Errors
    /// If its files cannot be made or read.
    pub fn kiosk(&self, center: &CenterConfig, number: KioskNumber) -> anyhow::Result<Place> {
        let place = Place {
            directory: self.directory.join(format!("kiosk-{}", u32::from(number))),
            center: center.directory.clone(),
            number,
        };
        for part in ["", "tls"] {
            make_private(&place.directory.join(part))?;
        }
        if !place.directory.join("tls/kiosk.pem").exists() {
            place.enroll(center)?;
        }
        Ok(place)
    }
}

/// What changes from start to start.
pub struct Wiring {
    /// Where the kiosk finds its center.
    pub link: SocketAddr,
    /// Where the center gives its revocation list without TLS. The kiosk fetches its first one there.
    pub lists: Option<SocketAddr>,
    /// A screen that is wider than high.
    pub landscape: bool,
    /// A screen in a window of this machine.
    pub window: bool,
    /// Cards go into a reader on PC/SC with this in its name (empty for any) instead of the bench's slot.
    pub pcsc: Option<String>,
    /// The bench's reader hides card numbers, and is one unit with the pad.
    pub sred: bool,
    /// Bill types and the years of their designs.
    pub patterns: Vec<(u8, u16)>,
}

/// The disk of one kiosk.
pub struct Place {
    directory: PathBuf,
    center: PathBuf,
    number: KioskNumber,
}

impl Place {
    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.directory.join("kiosk.toml")
    }

    /// Its journal.
    pub fn journal(&self) -> PathBuf {
        self.directory.join("journal.db")
    }

    /// What it writes to its standard error.
    pub fn log(&self) -> PathBuf {
        self.directory.join("kiosk.log")
    }

    /// Where the bench listens for its screen.
    pub fn socket(&self) -> PathBuf {
        let here = self.directory.join("screen.sock");
        if here.as_os_str().len() <= MAX_SOCKET_PATH {
            return here;
        }
        std::env::temp_dir().join(format!(
            "tolem-bench-{}-{}.sock",
            std::process::id(),
            u32::from(self.number)
        ))
    }

    fn center_keys(&self) -> anyhow::Result<CenterKeys> {
        let key = |name: &str| -> anyhow::Result<[u8; 32]> {
            let path = self.center.join("keys").join(name);
            let text = read(&path)?;
            let bytes = BASE64.decode(text.trim().as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
            bytes.with_context(|| format!("{}: not 32 bytes in base64", path.display()))
        };
        Ok(CenterKeys { statement: key("statement.pub")?, sealing: key("sealing.pub")? })
    }

    /// Makes the kiosk's keys just as its first start would, tells the center the public one and takes its certificate.
    fn enroll(&self, center: &CenterConfig) -> anyhow::Result<()> {
        let signer = KioskKeys::open(&self.directory.join("keys"), &self.center_keys()?, OnMissing::Create)?;
        let identity = setup::enroll(center, self.number, signer.public_key(), None, system_clock())?;
        let tls = self.directory.join("tls");
        let root = read(&self.center.join("pki/root.crt"))?;
        write_private(&tls.join("center-ca.pem"), &root)?;
        write_private(&tls.join("kiosk.key"), &identity.key)?;
        // Last: it says that all the rest is there.
        write_private(&tls.join("kiosk.pem"), &identity.certificate)
    }

    /// Writes `kiosk.toml`, as somebody would who installs this terminal.
    ///
    /// # Errors
    /// If the file cannot be written, or the center's keys cannot be read.
    pub fn write_config(&self, wiring: &Wiring) -> anyhow::Result<()> {
        let keys = self.center_keys()?;
        let witness = read(&self.center.join("keys/witness.vkey"))?;
        let patterns: Vec<String> =
            wiring.patterns.iter().map(|(kind, year)| format!("[{kind}, {year}]")).collect();
        let text = format!(
            "# Written by `tolem demo` at each start; deploy/kiosk.toml explains every line.\n\n\
             [kiosk]\nnumber = {number}\noperator = \"«Үлгі банк» АҚ\"\naddress = \"Астана қ., Мәңгілік Ел даңғ., 8, {number}-терминал\"\n\
             nearest = \"Астана қ., Бейбітшілік көш., 3, 1-қабат\"\n\n\
             [center]\nhost = \"127.0.0.1\"\nport = {port}\nserver_name = \"localhost\"\nca = \"tls/center-ca.pem\"\n\
             certificate = \"tls/kiosk.pem\"\nkey = \"tls/kiosk.key\"\nstatement_key = \"{statement}\"\nsealing_key = \"{sealing}\"\n\
             witness_key = \"{witness}\"\n{lists}\n\
             [acceptor]\ndriver = \"ccnet\"\nport = \"acceptor\"\ncountry = \"KZT\"\npatterns = [{patterns}]\n\n\
             [printer]\ndriver = \"escpos\"\nport = \"printer\"\nbaud = 921600\n\n\
             [card_reader]\n{reader}\nterminal = \"KSK{number:05}\"\nmerchant = \"KIOSKTEST000001\"\n\n\
             [pin_pad]\ndriver = \"uic-pp791\"\nport = \"pinpad\"\n\n\
             [screen]\nformat = \"{format}\"\nbackend = \"{backend}\"\n\n\
             [journal]\npath = \"journal.db\"\nkeys = \"keys\"\n",
            number = u32::from(self.number),
            reader = match wiring.pcsc.as_deref() {
                None => format!("driver = \"omron-3s4yr\"\nport = \"cards\"\nsred = {}", wiring.sred),
                Some("") => "driver = \"pcsc\"".to_owned(),
                Some(name) => format!("driver = \"pcsc\"\nreader = {name:?}"),
            },
            port = wiring.link.port(),
            statement = BASE64.encode(&keys.statement),
            sealing = BASE64.encode(&keys.sealing),
            witness = witness.trim(),
            lists = wiring.lists.map_or_else(String::new, |lists| {
                format!("crl = \"tls/center.crl\"\ncrl_port = {}\n", lists.port())
            }),
            patterns = patterns.join(", "),
            format = if wiring.landscape { "landscape" } else { "portrait" },
            backend = if wiring.window { "window" } else { "headless" },
        );
        let path = self.config();
        fs::write(&path, text).with_context(|| path.display().to_string())
    }
}

fn make_private(directory: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().mode(0o700).recursive(true).create(directory);
    made.with_context(|| format!("cannot make {}", directory.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .with_context(|| path.display().to_string())
}

fn remove(path: &Path) -> std::io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn fresh_never_empties_a_directory_that_is_not_a_demo() {
        let scratch = Scratch::new("demo-home");
        let directory = scratch.path().join("documents");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("thesis.txt"), "years of work").unwrap();
        let error = Home::open(&directory, true).err().unwrap().to_string();
        assert!(error.contains("no demo made"), "{error}");
        assert!(directory.join("thesis.txt").exists());
    }

    #[test]
    fn a_demo_starts_over_only_when_told_and_two_never_share_a_directory() {
        let scratch = Scratch::new("demo-fresh");
        let directory = scratch.path().join("demo");
        let home = Home::open(&directory, false).unwrap();
        fs::write(directory.join("state"), "kept").unwrap();
        let error = Home::open(&directory, true).err().unwrap().to_string();
        assert!(error.contains("another demo"), "{error}");
        drop(home);
        drop(Home::open(&directory, false).unwrap());
        assert!(directory.join("state").exists());
        drop(Home::open(&directory, true).unwrap());
        assert!(!directory.join("state").exists());
    }
}
