//! Who may talk to the bench: this machine, and pages that the bench itself served.
//!
//! A web page of somebody else, open in the same browser, can send requests to the loopback (cross-site request forgery) or have
//! its own name point there (DNS rebinding). `Host` and `Origin` give both away. There is no CORS and no login.

use super::answer::Refusal;
use axum::http::{HeaderMap, Method, StatusCode, header};
use std::net::SocketAddr;

/// Says no to what was not meant for the bench at `address`.
pub(super) fn check(address: SocketAddr, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let port = address.port();
    let names = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let forbidden =
        |error: String, allowed: Vec<String>| Err(Refusal::new(StatusCode::FORBIDDEN, error, allowed));

    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or("");
    if hosts.next().is_some() || !names.iter().any(|name| name == host) {
        return forbidden(format!("this request is for {host:?}, not for the bench"), names.to_vec());
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("");
        if origin.strip_prefix("http://") != Some(host) {
            return forbidden(
                format!("a page of {origin:?} may not use the bench"),
                vec![format!("http://{host}")],
            );
        }
    }
    if let Some(site) = headers.get("sec-fetch-site")
        && !matches!(site.as_bytes(), b"same-origin" | b"none")
    {
        return forbidden("another site may not use the bench".into(), vec![format!("http://{host}")]);
    }
    if method == Method::POST {
        let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or("");
        if media.split(';').next().map(str::trim) != Some("application/json") {
            let error = format!("the body must be JSON, this request says {media:?}");
            let allowed = vec!["content-type: application/json".into()];
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error, allowed));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, lines: &[(&'static str, &'static str)]) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        match check("127.0.0.1:8700".parse().unwrap(), &method, &headers) {
            Ok(()) => 200,
            Err(refusal) => refusal.status.as_u16(),
        }
    }

    #[test]
    fn only_the_bench_itself_and_tools_without_a_page_pass() {
        let json = ("content-type", "application/json");
        assert_eq!(status(Method::GET, &[("host", "127.0.0.1:8700")]), 200);
        assert_eq!(
            status(Method::GET, &[("host", "localhost:8700"), ("origin", "http://localhost:8700")]),
            200
        );
        assert_eq!(status(Method::POST, &[("host", "127.0.0.1:8700"), json]), 200);

        assert_eq!(status(Method::GET, &[]), 403);
        assert_eq!(status(Method::GET, &[("host", "evil.example:8700")]), 403, "DNS rebinding");
        assert_eq!(status(Method::GET, &[("host", "127.0.0.1:8701")]), 403);
        assert_eq!(status(Method::GET, &[("host", "127.0.0.1:8700"), ("host", "evil.example")]), 403);
        assert_eq!(
            status(Method::POST, &[("host", "127.0.0.1:8700"), ("origin", "http://evil.example"), json]),
            403
        );
        assert_eq!(status(Method::POST, &[("host", "127.0.0.1:8700"), ("origin", "null"), json]), 403);
        assert_eq!(status(Method::GET, &[("host", "127.0.0.1:8700"), ("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(status(Method::POST, &[("host", "127.0.0.1:8700"), ("content-type", "text/plain")]), 415);
        assert_eq!(status(Method::POST, &[("host", "127.0.0.1:8700")]), 415);
    }
}
