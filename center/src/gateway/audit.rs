//! Reading the record again, as an auditor does: every seal, every signature, no gap.

use super::{
    NS,
    store::{GatewayStore, Record, fingerprint},
};
use crate::xmlsig::{
    Reason, Trust,
    sign::parse_time,
    verify::{enveloped, message},
};
use roxmltree::Document;

/// What was found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Audit {
    /// Records that were read.
    pub records: u64,
    /// Records whose signer's certificate was revoked since; their signature was good when they were taken.
    pub since_revoked: u64,
    /// What does not fit, one line each.
    pub findings: Vec<String>,
}

/// Reads the whole record and compares everything with everything.
///
/// # Errors
/// If the database cannot be read.
pub fn audit(store: &GatewayStore, trust: &Trust, gateway: &str) -> Result<Audit, String> {
    let mut audit = Audit::default();
    let mut previous = String::new();
    let read = store.each_record(&mut |record| {
        audit.records += 1;
        let number = record.number;
        if number != audit.records {
            audit.findings.push(format!("record {number} follows record {}", audit.records - 1));
            audit.records = number;
        }
        if let Err(finding) = sealed(&record, &previous, trust, gateway) {
            audit.findings.push(format!("record {number}: {finding}"));
        }
        match message(&record.message, trust, record.arrived_at) {
            Ok(read) if read.signer == record.who => {}
            Ok(read) => audit.findings.push(format!("record {number}: signed by {}", read.signer)),
            Err(refused) if refused.reason == Reason::Revoked => audit.since_revoked += 1,
            Err(refused) => audit.findings.push(format!("record {number}: message: {refused}")),
        }
        previous = record.seal;
    });
    read.map_err(|error| error.to_string())?;
    Ok(audit)
}

/// Whether the gateway's own statement says what the record holds.
fn sealed(record: &Record, previous: &str, trust: &Trust, gateway: &str) -> Result<(), String> {
    let read = enveloped(record.seal.as_bytes(), trust, record.arrived_at)
        .map_err(|refused| format!("seal: {refused}"))?;
    if read.signer != gateway {
        return Err(format!("seal: signed by {}", read.signer));
    }
    let text = std::str::from_utf8(&read.root).map_err(|error| error.to_string())?;
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    let says = |tag: &str| {
        let node = document.root_element().children().find(|node| node.has_tag_name((NS, tag)));
        node.and_then(|node| node.text()).unwrap_or_default()
    };
    let fits = [
        ("number", says("Number") == record.number.to_string()),
        ("time of arrival", parse_time(says("ArrivedAt")) == Some(record.arrived_at)),
        ("participant", says("Participant") == record.who),
        ("operation", says("Operation") == record.operation),
        ("message", says("MessageSha256") == fingerprint(&record.message)),
        ("record before", says("PreviousSha256") == fingerprint(previous.as_bytes())),
    ];
    let wrong: Vec<_> = fits.iter().filter(|(_, fits)| !fits).map(|(name, _)| *name).collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("the seal speaks of another {}", wrong.join(", "))) }
}
