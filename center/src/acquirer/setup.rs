//! Two folders that fit together, the center's and a host's, with a test authority of their own: for tests and demonstrations.
//!
//! A real acquirer hands out its side by its own procedure; then only the center's folder is made, by hand, as
//! [`super::config`] describes it.

use super::config::{ACQUIRER_FILE, KEY_FILE};
use crate::{
    config::Config,
    gateway::{channel, setup::create_key},
    pki::nca::{Authority, Purpose},
    xmlsig::Trust,
};
use anyhow::{Context as _, anyhow, ensure};
use arc_swap::ArcSwap;
use std::{fs, path::Path, sync::Arc};
use tolem_protocol::UtcTime;

/// Makes `center/`, `host/` and `authority/` in `directory`. The host is called by `names`.
///
/// # Errors
/// If something is there already: nothing is overwritten.
pub fn init(directory: &Path, names: &[String], now: UtcTime) -> anyhow::Result<()> {
    let (center, host) = (directory.join("center"), directory.join("host"));
    ensure!(!center.exists(), "{} exists; it is not overwritten", center.display());
    let authority = Authority::create(&directory.join("authority"), now)?;
    authority.equip(&host, "acquirer", &Purpose::Serve(names.to_vec()), now)?;
    authority.equip(&center, "center", &Purpose::Connect, now)?;
    for folder in [&center, &host] {
        for file in ["sign.crt", "sign.key"] {
            // Nothing is signed on this line.
            fs::remove_file(folder.join(file)).with_context(|| folder.display().to_string())?;
        }
    }
    create_key(&center.join(KEY_FILE))?;
    fs::copy(center.join(KEY_FILE), host.join(KEY_FILE)).with_context(|| host.display().to_string())?;
    let name = names.first().map_or("localhost", String::as_str);
    tell_whereabouts(&center, &format!("{name}:8583"))
}

/// TLS of a host with the folder that [`init`] has made: clients with a certificate of the same authority get in.
///
/// # Errors
/// Names the file that is missing or wrong.
pub fn host_tls(folder: &Path) -> anyhow::Result<rustls::ServerConfig> {
    let trust = Trust::read(folder).map_err(|refused| anyhow!(refused.detail))?;
    let mut config = channel::server(folder, Arc::new(ArcSwap::from_pointee(trust)))?;
    config.alpn_protocols.clear();
    Ok(config)
}

/// Signs the revocation lists of both folders anew.
///
/// # Errors
/// If a file cannot be read or written.
pub fn refresh(directory: &Path, days: i64, now: UtcTime) -> anyhow::Result<()> {
    let authority = Authority::at(&directory.join("authority"));
    authority.refresh(now, days)?;
    for folder in ["center", "host"] {
        authority.publish(&directory.join(folder))?;
    }
    Ok(())
}

/// Writes `acquirer.toml`: where the host is. Everything else has the value of the test issuer.
///
/// # Errors
/// If the file cannot be written.
pub fn tell_whereabouts(folder: &Path, host: &str) -> anyhow::Result<()> {
    let path = folder.join(ACQUIRER_FILE);
    let text = format!(
        "# Where the acquirer's host is, and its own number.\nhost = {host:?}\nacquirer = \"398001\"\n\
         # pin = \"forward\"   # or \"translate\", with a security module\n\
         # Numbers that readers have enciphered: \"forward\", \"open\" with a security module, or \"refuse\" (default).\n\
         number = \"forward\"\n# tls = true\n# codes = true\n\
         # wait_ms = 10000\n# echo_ms = 60000\n"
    );
    fs::write(&path, text).with_context(|| path.display().to_string())
}

/// Writes into a configuration that was just made that cards go to an acquirer, whose folder for this center is `folder` (relative to
/// the file).
///
/// # Errors
/// If the file cannot be changed, or somebody has written something else into its `[acquirer]`.
pub fn attach(file: &Path, folder: &Path) -> anyhow::Result<Config> {
    const UNATTACHED: &str = "[acquirer]\n# folder = ";
    let named = || file.display().to_string();
    let text = fs::read_to_string(file).with_context(named)?;
    ensure!(text.contains(UNATTACHED), "{}: its [acquirer] is not as it was made", named());
    let attached = format!("[acquirer]\nfolder = {folder:?}\n# folder = ");
    fs::write(file, text.replacen(UNATTACHED, &attached, 1)).with_context(named)?;
    Ok(Config::read(file)?)
}
