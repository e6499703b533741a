//! Founding a center and enrolling kiosks: what the command line does, as functions for demos and tests.

use crate::{
    config::{Config, EXAMPLE},
    logic::{
        approval::Asked,
        enrolment,
        office::Action,
        operator,
        store::{StoreError, Transact as _},
    },
    pen::Pen,
    pki::{Identity, Pki, key_of_pem},
    server::{Faults, desk::fresh, open_center},
    sql::{Address, SqlStore},
};
use anyhow::Context as _;
use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};
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
    init_at(directory, names, None, now)
}

/// The same with the rows in a PostgreSQL database, which must be there and empty.
///
/// # Errors
/// If something is there already, or the database cannot be reached. The database is tried first, so nothing is left behind then.
pub fn init_at(
    directory: &Path,
    names: &[String],
    address: Option<&Address>,
    now: UtcTime,
) -> anyhow::Result<Config> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let file = directory.join(CONFIG_FILE);
    anyhow::ensure!(!file.exists(), "{} exists; it is not overwritten", file.display());
    // Random, so that a database made anew after a loss does not pass for the old one.
    let epoch = u32::try_from(fresh()() >> 33).unwrap_or(1).max(1);
    let text = match address {
        Some(address) => {
            SqlStore::create_at(address, epoch)?;
            let mut lines = format!("[store]\npostgres = {:?}\n", address.connection);
            if let Some(ca) = &address.ca {
                let ca = ca.canonicalize().with_context(|| ca.display().to_string())?;
                lines += &format!("ca = {ca:?}\n");
            }
            EXAMPLE.replacen("[store]\n", &lines, 1)
        }
        None => EXAMPLE.to_owned(),
    };
    Pki::create(directory, names, now)?;
    if address.is_none() {
        SqlStore::create(&directory.join(DATABASE), epoch)?;
    }
    // It may hold a password.
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(if address.is_some() { 0o600 } else { 0o644 })
        .open(&file)
        .and_then(|mut made| made.write_all(text.as_bytes()))
        .with_context(|| file.display().to_string())?;
    Ok(Config::read(&file)?)
}

/// Opens the store that a configuration names.
///
/// # Errors
/// If it is missing, of a newer version, or cannot be reached.
pub fn open_store(config: &Config) -> Result<SqlStore, StoreError> {
    match &config.store {
        Some(address) => SqlStore::open_at(address),
        None => SqlStore::open(&config.directory.join(DATABASE)),
    }
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
    let mut store = open_store(config)?;
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
    let mut store = open_store(config)?;
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
