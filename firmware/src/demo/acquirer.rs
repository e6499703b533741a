//! The test issuer as an acquirer's host beside a center: `tolem sim issuer`, and the one of the demo.

use anyhow::Context as _;
use data_encoding::BASE64;
use rustls::{ServerConnection, StreamOwned};
use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, Mutex},
};
use tolem_center::{acquirer::setup, pki::CRL_DAYS, server::system_clock};
use tolem_hal_sim::issuer::{
    TestIssuer,
    served::{HostOptions, Log, ServedIssuer, Stream, serve},
};
use tolem_protocol::UtcTime;
use zeroize::Zeroizing;

/// Names that the host's certificate has.
const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// Makes the two folders if they are not there, signs their lists anew, and tells the center's where the host is.
///
/// # Errors
/// If a file cannot be made or read.
pub fn prepare(folder: &Path, host: SocketAddr) -> anyhow::Result<()> {
    let now = system_clock();
    if !folder.join("center").exists() {
        setup::init(folder, &NAMES.map(str::to_owned), now)?;
    }
    setup::refresh(folder, CRL_DAYS, now)?;
    setup::tell_whereabouts(&folder.join("center"), &host.to_string())
}

/// Serves the issuer of the public test cards behind TLS and codes, with the folder that [`prepare`] has made.
///
/// # Errors
/// If a file is wrong or the port cannot be used.
pub fn start(folder: &Path, listener: TcpListener, log: Option<Log>) -> anyhow::Result<ServedIssuer> {
    let mut issuer = TestIssuer::common();
    issuer.today = today(system_clock());
    serve(listener, Arc::new(Mutex::new(issuer)), options(folder, log)?).context("cannot serve the issuer")
}

/// How the host's folder says that it is served.
///
/// # Errors
/// If a file is missing or wrong.
pub fn options(folder: &Path, log: Option<Log>) -> anyhow::Result<HostOptions> {
    let host = folder.join("host");
    let config = Arc::new(setup::host_tls(&host)?);
    let wrap = move |stream| {
        let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, stream)) as Box<dyn Stream>)
    };
    Ok(HostOptions { key: Some(key(&host)?), wrap: Arc::new(wrap), log })
}

fn key(host: &Path) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let path = host.join("link.key");
    let text = Zeroizing::new(fs::read_to_string(&path).with_context(|| path.display().to_string())?);
    let bytes = BASE64.decode(text.trim().as_bytes()).ok().map(Zeroizing::new);
    let key = bytes.and_then(|bytes| bytes.as_slice().try_into().ok().map(Zeroizing::new));
    key.with_context(|| format!("{}: not one line of base64 of 32 bytes", path.display()))
}

/// Year and month in four digits, as cards write their expiry.
fn today(now: UtcTime) -> [u8; 4] {
    let (year, month, _) = now.date().calendar();
    let text = format!("{:02}{month:02}", year % 100);
    text.into_bytes().try_into().unwrap_or(*b"2611")
}
