//! The revocation list that the center's certificate is judged by: signature, issuer and dates, replacing the file, and fetching it
//! without TLS.
//!
//! The list is signed, so it may come on any way: over the link while it stands, or from `GET /crl` of the center inside the VPN when
//! TLS refuses because the list is past its date. What is not newer than the list in force is not taken, so nobody can bring
//! a revoked certificate back with an old list.

use super::tls;
use crate::{config::Center, keys::write_private};
use std::{io, path::Path, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tolem_protocol::UtcTime;
use x509_parser::{num_bigint::BigUint, prelude::*};

/// No list is longer.
pub(super) const MAX_LIST: usize = 1024 * 1024;
/// No answer's head is longer.
const MAX_HEAD: usize = 4 * 1024;
/// For the connection, and again for the whole answer.
const FETCH_WAIT: Duration = Duration::from_secs(10);

/// A list whose signature was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List {
    /// Grows with each list of one issuer (RFC 5280, 5.2.3).
    number: Option<BigUint>,
    issued: UtcTime,
    /// Not to be believed from then on.
    pub good_until: UtcTime,
}

impl List {
    /// Reads a list in DER and checks that one of the authorities in `ca` has signed it.
    pub fn read(der: &[u8], ca: &Path) -> Result<Self, String> {
        let (rest, list) = parse_x509_crl(der).map_err(|error| format!("not a revocation list ({error})"))?;
        if !rest.is_empty() {
            return Err(format!("{} bytes after the revocation list", rest.len()));
        }
        let authorities = tls::certificates(ca)?;
        let signed = authorities.iter().any(|authority| {
            X509Certificate::from_der(authority).is_ok_and(|(_, authority)| {
                list.issuer() == authority.subject() && list.verify_signature(authority.public_key()).is_ok()
            })
        });
        if !signed {
            return Err(format!("the revocation list is not signed by the authority in {}", ca.display()));
        }
        let Some(next) = list.next_update() else {
            return Err("the revocation list does not say until when it is good (nextUpdate)".into());
        };
        Ok(Self {
            number: list.crl_number().cloned(),
            issued: UtcTime::from_seconds(list.last_update().timestamp()),
            good_until: UtcTime::from_seconds(next.timestamp()),
        })
    }

    /// Itself, while it is good.
    pub fn fresh(self, now: UtcTime) -> Result<Self, String> {
        if self.good_until > now {
            Ok(self)
        } else {
            let (ended, now) = (self.good_until.local(), now.local());
            Err(format!("the revocation list expired on {ended} (our clock: {now})"))
        }
    }

    fn is_newer_than(&self, other: &Self) -> bool {
        match (&self.number, &other.number) {
            (Some(new), Some(old)) if new != old => new > old,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(_), Some(_)) | (None, None) => self.issued > other.issued,
        }
    }
}

/// The list in the file, if it can be used now.
pub fn in_force(center: &Center, path: &Path, now: UtcTime) -> Result<List, String> {
    let named = |reason: String| format!("{}: {reason}", path.display());
    let der = tls::revocation_list(path)?;
    List::read(&der, &center.ca).and_then(|list| list.fresh(now)).map_err(named)
}

/// Puts `der` in the place of the file at `path`, if it is good and newer than what is there. False if it is what is there.
///
/// # Errors
/// Says why it is not taken; the file is as it was then.
pub fn take(center: &Center, path: &Path, der: &[u8], now: UtcTime) -> Result<bool, String> {
    let new = List::read(der, &center.ca)?.fresh(now)?;
    let known = tls::revocation_list(path).ok();
    if known.as_ref().is_some_and(|known| known.as_ref() == der) {
        return Ok(false);
    }
    // A file that cannot be read, or that nobody signed, is no list that one could fall behind.
    if let Some(known) = known.and_then(|known| List::read(&known, &center.ca).ok())
        && !new.is_newer_than(&known)
    {
        return Err(format!("the revocation list of {} is older than the one in force", new.issued.local()));
    }
    write_private(path, der).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(true)
}

/// Asks the center for its list without TLS.
pub async fn fetch(host: &str, port: u16) -> Result<Vec<u8>, String> {
    let named = |reason: String| format!("http://{host}:{port}/crl: {reason}");
    let late = |_| named("no answer".into());
    let mut stream = timeout(FETCH_WAIT, TcpStream::connect((host, port)))
        .await
        .map_err(late)?
        .map_err(|error| named(error.to_string()))?;
    let question = format!("GET /crl HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    let talk = async {
        stream.write_all(question.as_bytes()).await?;
        let mut answer = Vec::new();
        let limit = u64::try_from(MAX_HEAD + MAX_LIST).unwrap_or(u64::MAX);
        (&mut stream).take(limit).read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let answer: io::Result<Vec<u8>> = timeout(FETCH_WAIT, talk).await.map_err(late)?;
    body(&answer.map_err(|error| named(error.to_string()))?).map_err(named)
}

/// The body of a whole HTTP answer, if it says 200 and is as long as it says.
fn body(answer: &[u8]) -> Result<Vec<u8>, String> {
    let end = answer
        .windows(4)
        .take(MAX_HEAD)
        .position(|four| four == b"\r\n\r\n")
        .ok_or("this is not an HTTP answer")?;
    let head = str::from_utf8(&answer[..end]).map_err(|_| "this is not an HTTP answer")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.") || status.split(' ').nth(1) != Some("200") {
        return Err(format!("the answer is {status:?}"));
    }
    let body = &answer[end + 4..];
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .ok_or("the answer does not say how long it is")?;
    if length > MAX_LIST || body.len() != length {
        return Err(format!(
            "{} bytes came, the answer says {length}, at most {MAX_LIST} are taken",
            body.len()
        ));
    }
    Ok(body.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_is_taken() {
        let whole = b"HTTP/1.1 200 OK\r\nX: y\r\ncontent-length: 3\r\n\r\nabc";
        assert_eq!(body(whole).as_deref(), Ok(&b"abc"[..]));
        for (answer, words) in [
            (&whole[..whole.len() - 1], "2 bytes came"),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
            (b"HTTP/1.1 200 OK\r\n\r\nabc", "how long"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc", "how long"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nabc", "at most"),
            (b"220 smtp ready\r\n\r\n", "220"),
            (b"\x16\x03\x01\x00", "not an HTTP"),
            (b"", "not an HTTP"),
        ] {
            let error = body(answer).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
