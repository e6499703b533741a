//! Founding a gateway with an authority and participants of its own, for tests and demonstrations: what the command line does,
//! as functions.
//!
//! ```text
//! gateway.toml  gateway.db
//! identity/            the gateway's own folder: what it trusts, its TLS certificate, its signing certificate
//! keys/record.key tag.key
//! nca/                 the authority's private directory (stands for the national one)
//! parties/bank/ ...    one folder per participant, to hand out; party.toml says where the gateway is
//! ```

use super::{
    config::{EXAMPLE, GATEWAY_FILE, GatewayConfig},
    party::PARTY_FILE,
    store::GatewayStore,
};
use crate::pki::nca::{Authority, Purpose};
use anyhow::{Context as _, ensure};
use data_encoding::BASE64;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};
use tolem_protocol::UtcTime;
use zeroize::Zeroizing;

/// Common name of the gateway's certificates.
pub const GATEWAY_NAME: &str = "gateway";
/// Name of the database.
pub const GATEWAY_DATABASE: &str = "gateway.db";

/// Makes a gateway in `directory`, which participants call by `names`, with an authority and the participants of the example.
///
/// # Errors
/// If something is there already: nothing is overwritten.
pub fn init(directory: &Path, names: &[String], now: UtcTime) -> anyhow::Result<GatewayConfig> {
    let file = directory.join(GATEWAY_FILE);
    ensure!(!file.exists(), "{} exists; it is not overwritten", file.display());
    fs::create_dir_all(directory.join("keys")).with_context(|| directory.display().to_string())?;
    let authority = Authority::create(&directory.join("nca"), now)?;
    authority.equip(&directory.join("identity"), GATEWAY_NAME, &Purpose::Serve(names.to_vec()), now)?;
    for key in ["record", "tag"] {
        create_key(&directory.join("keys").join(format!("{key}.key")))?;
    }
    GatewayStore::create(&directory.join(GATEWAY_DATABASE))?;
    fs::write(&file, EXAMPLE).with_context(|| file.display().to_string())?;
    let config = GatewayConfig::read(&file)?;
    let host = names.first().map_or("localhost", String::as_str);
    for name in config.participants.keys() {
        let folder = directory.join("parties").join(name);
        authority.equip(&folder, name, &Purpose::Connect, now)?;
        tell_whereabouts(&folder, &format!("{host}:{}", config.listen.port()))?;
    }
    Ok(config)
}

/// Writes `party.toml`: where the gateway is.
///
/// # Errors
/// If the file cannot be written.
pub fn tell_whereabouts(folder: &Path, gateway: &str) -> anyhow::Result<()> {
    let path = folder.join(PARTY_FILE);
    let text = format!(
        "# Where the gateway is, and who signs its answers.\ngateway = {gateway:?}\nsigner = {GATEWAY_NAME:?}\n# wait_ms = 20000\n"
    );
    fs::write(&path, text).with_context(|| path.display().to_string())
}

/// Copies the authority's certificates and lists to the gateway and all participants.
///
/// # Errors
/// If a file cannot be written.
pub fn publish(directory: &Path) -> anyhow::Result<()> {
    let authority = Authority::at(&directory.join("nca"));
    authority.publish(&directory.join("identity"))?;
    for folder in fs::read_dir(directory.join("parties"))? {
        authority.publish(&folder?.path())?;
    }
    Ok(())
}

/// Revokes both certificates of a participant and publishes the new list.
///
/// # Errors
/// If there is no such participant, or a file cannot be written.
pub fn revoke(directory: &Path, name: &str, now: UtcTime) -> anyhow::Result<()> {
    let authority = Authority::at(&directory.join("nca"));
    for file in ["channel.crt", "sign.crt"] {
        let path = directory.join("parties").join(name).join(file);
        let certificate = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        authority.revoke(&certificate, now)?;
    }
    publish(directory)
}

/// Makes a key of 32 random bytes in a file of its own, base64.
pub(crate) fn create_key(path: &Path) -> anyhow::Result<()> {
    let mut key = Zeroizing::new([0; 32]);
    SystemRandom::new()
        .fill(key.as_mut_slice())
        .map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
    let text = Zeroizing::new(BASE64.encode(key.as_slice()) + "\n");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(|| path.display().to_string())
}

/// Reads a key of the gateway.
///
/// # Errors
/// Names the file.
pub fn read_key(path: &Path) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let text = Zeroizing::new(fs::read_to_string(path).with_context(|| path.display().to_string())?);
    let bytes = BASE64.decode(text.trim().as_bytes()).ok().map(Zeroizing::new);
    bytes
        .and_then(|bytes| bytes.as_slice().try_into().ok().map(Zeroizing::new))
        .with_context(|| format!("{}: not one line of base64 of 32 bytes", path.display()))
}
