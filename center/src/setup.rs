//! Founding a center and enrolling kiosks: what the command line does, as functions for demos and tests.

use crate::{
    config::{Config, EXAMPLE},
    logic::{approval::Asked, enrolment, office::Action, operator, store::Transact as _},
    pen::Pen,
    pki::{Identity, Pki, key_of_pem},
    server::{Faults, desk::fresh, open_center},
    sqlite::SqliteStore,
};
use anyhow::Context as _;
use std::{fs, path::Path};
use tolem_protocol::{KioskNumber, UtcTime};

/// Name of the configuration file in a center's directory.
pub const CONFIG_FILE: &str = "center.toml";
/// Name of the database in a center's directory.
pub const DATABASE: &str = "center.db";

/// Makes a center in `directory`: certificates, keys, an empty database and a configuration with every key explained.
///
/// # Errors
/// If something is there already: nothing is overwritten.
pub fn init(directory: &Path, names: &[String], now: UtcTime) -> anyhow::Result<Config> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let file = directory.join(CONFIG_FILE);
    anyhow::ensure!(!file.exists(), "{} exists; it is not overwritten", file.display());
    Pki::create(directory, names, now)?;
    // Random, so that a database made anew after a loss does not pass for the old one.
    let epoch = u32::try_from(fresh()() >> 33).unwrap_or(1).max(1);
    SqliteStore::create(&directory.join(DATABASE), epoch)?;
    fs::write(&file, EXAMPLE).with_context(|| file.display().to_string())?;
    Ok(Config::read(&file)?)
}

/// Writes into a configuration that was just made that its codes come from a gateway, whose folder for this bank is `party`
/// (relative to the file).
///
/// # Errors
/// If the file cannot be changed, or somebody has written something else into its `[gateway]`.
pub fn attach(file: &Path, party: &Path) -> anyhow::Result<Config> {
    const UNATTACHED: &str = "[gateway]\n# folder = ";
    let named = || file.display().to_string();
    let text = fs::read_to_string(file).with_context(named)?;
    anyhow::ensure!(text.contains(UNATTACHED), "{}: its [gateway] is not as it was made", named());
    let attached = format!("[gateway]\nfolder = {party:?}\n# folder = ");
    fs::write(file, text.replacen(UNATTACHED, &attached, 1)).with_context(named)?;
    Ok(Config::read(file)?)
}

/// Makes a key in `file` for one of the first two operators of a center and lets them decide.
///
/// # Errors
/// If the file exists, or there are two operators already: then two others must decide it.
pub fn found_operator(config: &Config, name: &str, file: &Path, now: UtcTime) -> anyhow::Result<()> {
    let pen = Pen::create(name, file)?;
    let center = open_center(config, &Faults::default(), now)?;
    let mut store = SqliteStore::open(&config.directory.join(DATABASE))?;
    let action = Action::AddOperator { name: name.to_owned(), key: pen.public() };
    let signature = pen.ask(now, &action);
    let asked = store.transact(|store| center.ask_two(store, now, name, &action, &signature))??;
    anyhow::ensure!(asked == Asked::Founded, "operator {name}: two others must approve it");
    Ok(())
}

/// Registers a kiosk with the public key of its journal and issues a certificate for it. With `request` (PEM) the kiosk
/// keeps the private key it made itself, and the identity's key is empty.
///
/// # Errors
/// If the database or the authority's key cannot be used, or the request cannot be read.
pub fn enroll(
    config: &Config,
    kiosk: KioskNumber,
    journal_key: [u8; 32],
    request: Option<&str>,
    now: UtcTime,
) -> anyhow::Result<Identity> {
    let mut store = SqliteStore::open(&config.directory.join(DATABASE))?;
    store.transact(|store| operator::register(store, kiosk, journal_key))?;
    let pki = Pki::at(&config.directory);
    let identity = match request {
        Some(request) => {
            Identity { certificate: pki.sign_request(kiosk, request, now)?, key: Default::default() }
        }
        None => pki.issue(kiosk, now)?,
    };
    let (key, issued) =
        key_of_pem(&identity.certificate).context("the certificate just made is unreadable")?;
    store.transact(|store| enrolment::note_certificate(store, kiosk, key, &issued))?;
    Ok(identity)
}
