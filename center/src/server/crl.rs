//! `GET /crl`: the revocation list that kiosks judge the center by, inside the VPN and outside TLS.
//!
//! A kiosk whose list is past its date cannot open a TLS connection to fetch a newer one. The list is signed by our authority, so whoever
//! changes it on the way is found out, and there is nothing secret in it. One question a connection, nothing else is served.

use super::{shared::Shared, tls};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

/// No question is longer.
const MAX_QUESTION: usize = 2_048;
/// Most connections at one time.
const MOST: usize = 64;
/// For the question, and again for taking the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until it is dropped.
pub(super) async fn serve(listener: std::net::TcpListener, directory: &Path, shared: &Arc<Shared>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return shared.note(&format!("the socket for revocation lists failed: {error}")),
    };
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let (directory, shared) = (directory.to_owned(), shared.clone());
        tokio::spawn(async move {
            match answer(stream, &directory).await {
                Ok(true) => shared.note(&format!("{peer}: took the revocation list without TLS")),
                Ok(false) => {}
                Err(error) => shared.note(&format!("{peer}: asked for the revocation list: {error}")),
            }
            drop(place);
        });
    }
}

/// True if the list was given.
async fn answer(mut stream: TcpStream, directory: &Path) -> Result<bool, String> {
    let question = timeout(PATIENCE, question(&mut stream)).await.map_err(|_| "no question came")??;
    let (status, list) = match question.split(' ').collect::<Vec<_>>()[..] {
        ["GET", "/crl", version] if version.starts_with("HTTP/1.") => {
            ("200 OK", tls::read_root_crl(directory).map_err(|error| error.to_string())?)
        }
        ["GET", _, version] if version.starts_with("HTTP/1.") => ("404 Not Found", Vec::new()),
        _ => ("400 Bad Request", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/pkix-crl\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        list.len()
    );
    let give = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&list).await?;
        stream.shutdown().await
    };
    timeout(PATIENCE, give)
        .await
        .map_err(|_| "the answer was not taken")?
        .map_err(|error| error.to_string())?;
    Ok(!list.is_empty())
}

/// The first line of a whole head.
async fn question(stream: &mut TcpStream) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(256);
    while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        if bytes.len() > MAX_QUESTION {
            return Err(format!("a question longer than {MAX_QUESTION} bytes"));
        }
        if stream.read_buf(&mut bytes).await.map_err(|error| error.to_string())? == 0 {
            return Err("the question was cut off".into());
        }
    }
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}
