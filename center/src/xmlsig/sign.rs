//! Signing: messages and documents of exactly the shapes that [`super::verify`] takes.
//!
//! What is signed is written in its canonical form to begin with, so there is one text and no second opinion about it.

use super::{
    c14n, ns,
    suite::{KeyError, Signer},
};
use data_encoding::BASE64;
use roxmltree::{Document, Node};
use std::fmt::Write as _;
use tolem_protocol::{UtcTime, utc::Date};

/// How long a message says that it is good, in seconds.
const GOOD_FOR_S: i64 = super::FRESH_S;

/// A SOAP message with `body` (one element, canonical or not, that declares its own namespaces), signed at `now`.
///
/// # Errors
/// If the key cannot be used, or `body` is not XML.
pub fn message(signer: &dyn Signer, body: &str, now: UtcTime) -> Result<String, KeyError> {
    let (soap, wsse, wsu) = (ns::SOAP, ns::WSSE, ns::WSU);
    let head = format!(
        "<soap:Envelope xmlns:soap=\"{soap}\"><soap:Header>\
         <wsse:Security xmlns:wsse=\"{wsse}\" soap:mustUnderstand=\"1\">\
         <wsse:BinarySecurityToken xmlns:wsu=\"{wsu}\" EncodingType=\"{}\" ValueType=\"{}\" wsu:Id=\"token\">{}\
         </wsse:BinarySecurityToken>",
        ns::BASE64,
        ns::X509,
        BASE64.encode(signer.certificate())
    );
    let timestamp = format!(
        "<wsu:Timestamp xmlns:wsu=\"{wsu}\" wsu:Id=\"time\"><wsu:Created>{}</wsu:Created>\
         <wsu:Expires>{}</wsu:Expires></wsu:Timestamp>",
        write_time(now),
        write_time(now.plus_seconds(GOOD_FOR_S))
    );
    let tail = format!(
        "</wsse:Security></soap:Header>\
         <soap:Body xmlns:wsu=\"{wsu}\" wsu:Id=\"body\">{body}</soap:Body></soap:Envelope>"
    );
    let unsigned = format!("{head}{timestamp}{tail}");
    let document = Document::parse(&unsigned).map_err(|error| KeyError(format!("not XML: {error}")))?;
    let exclusive = |name: &str| canonical_of(&document, name);
    let references = [("#body", exclusive("Body")), ("#time", exclusive("Timestamp"))];
    let references: Vec<_> = references
        .iter()
        .map(|(uri, bytes)| reference(signer, uri, &[ns::EXC_C14N], bytes.as_slice()))
        .collect();
    let key_info = format!(
        "<wsse:SecurityTokenReference><wsse:Reference URI=\"#token\" ValueType=\"{}\"/>\
         </wsse:SecurityTokenReference>",
        ns::X509
    );
    let signature = signature(signer, &references.concat(), &key_info)?;
    Ok(format!("{head}{timestamp}{signature}{tail}"))
}

/// `root`, one element without a signature, with an enveloped signature as its last child.
///
/// # Errors
/// If the key cannot be used, or `root` is not XML or has no end tag of its own.
pub fn enveloped(signer: &dyn Signer, root: &str) -> Result<String, KeyError> {
    let document = Document::parse(root).map_err(|error| KeyError(format!("not XML: {error}")))?;
    let bytes = c14n::canonical(document.root_element(), &c14n::Options::default());
    let reference = reference(signer, "", &[ns::ENVELOPED, ns::EXC_C14N], &bytes);
    let key_info = format!(
        "<ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>",
        BASE64.encode(signer.certificate())
    );
    let signature = signature(signer, &reference, &key_info)?;
    let end = root.rfind("</").ok_or_else(|| KeyError("the root element is empty".into()))?;
    Ok(format!("{}{signature}{}", &root[..end], &root[end..]))
}

fn canonical_of(document: &Document<'_>, name: &str) -> Vec<u8> {
    let node = document.descendants().find(|node: &Node<'_, '_>| node.tag_name().name() == name);
    node.map(|node| c14n::canonical(node, &c14n::Options::default())).unwrap_or_default()
}

/// In canonical form, without declarations: those stand at SignedInfo.
fn reference(signer: &dyn Signer, uri: &str, transforms: &[&str], bytes: &[u8]) -> String {
    let mut text = format!("<ds:Reference URI=\"{uri}\"><ds:Transforms>");
    for transform in transforms {
        let _ = write!(text, "<ds:Transform Algorithm=\"{transform}\"></ds:Transform>");
    }
    let suite = signer.suite();
    let _ = write!(
        text,
        "</ds:Transforms><ds:DigestMethod Algorithm=\"{}\"></ds:DigestMethod>\
         <ds:DigestValue>{}</ds:DigestValue></ds:Reference>",
        suite.digest_method(),
        BASE64.encode(&suite.digest(bytes))
    );
    text
}

fn signature(signer: &dyn Signer, references: &str, key_info: &str) -> Result<String, KeyError> {
    let signed_info = format!(
        "<ds:SignedInfo xmlns:ds=\"{}\"><ds:CanonicalizationMethod Algorithm=\"{}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>{references}</ds:SignedInfo>",
        ns::DS,
        ns::EXC_C14N,
        signer.suite().method()
    );
    let value = signer.sign(signed_info.as_bytes())?;
    Ok(format!(
        "<ds:Signature xmlns:ds=\"{}\">{signed_info}<ds:SignatureValue>{}</ds:SignatureValue>\
         <ds:KeyInfo>{key_info}</ds:KeyInfo></ds:Signature>",
        ns::DS,
        BASE64.encode(&value)
    ))
}

/// Writes a text with `&`, `<`, `>` and `"` escaped, for elements and attributes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `2026-11-22T09:05:09.000Z`.
pub fn write_time(at: UtcTime) -> String {
    let ms = at.0.clamp(0, 253_402_300_799_999);
    let (year, month, day) = Date::from_days(ms / 86_400_000).calendar();
    let second = ms / 1_000 % 86_400;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

/// Reads an `xs:dateTime` that names its zone; what is finer than a millisecond is cut off.
pub fn parse_time(text: &str) -> Option<UtcTime> {
    let text = text.trim();
    let (date, time) = text.split_once('T')?;
    let days = i64::from(days(date)?);
    let (clock, zone_s) = match time.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let at = time.rfind(['+', '-'])?;
            let (hours, minutes) = time[at + 1..].split_once(':')?;
            let offset = number(hours, 2)? * 3_600 + number(minutes, 2)? * 60;
            if offset > 14 * 3_600 {
                return None;
            }
            (&time[..at], if time.as_bytes()[at] == b'-' { -offset } else { offset })
        }
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let (hour, minute, second) =
        (number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let ms: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - zone_s;
    Some(UtcTime(seconds * 1_000 + ms))
}

fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Days since 1970-01-01, zone left aside.
fn days(date: &str) -> Option<i32> {
    let date = Date::parse_iso(date)?;
    let since = date.starts_at().0 + 5 * 3_600_000;
    i32::try_from(since.div_euclid(86_400_000)).ok()
}
