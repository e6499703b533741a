//! Verifying: structure first, then the certificate, the signature, the digests; out come the bytes that were signed.

use super::{
    FRESH_S, Reason, Refused, Result, Trust, c14n, document, ns,
    suite::{Suite, suite_of},
};
use data_encoding::BASE64;
use roxmltree::{Document, Node};
use tolem_protocol::UtcTime;
use x509_parser::prelude::*;

/// A message whose signature is good.
#[derive(Debug)]
pub struct Message {
    /// Common name of the signer's certificate.
    pub signer: String,
    /// The canonical bytes of the Body: read these and nothing else.
    pub body: Vec<u8>,
    /// When the signer says it was made.
    pub created: UtcTime,
}

/// A document whose signature is good.
#[derive(Debug)]
pub struct SignedDocument {
    /// Common name of the signer's certificate.
    pub signer: String,
    /// The canonical bytes of the document without its signature: read these and nothing else.
    pub root: Vec<u8>,
}

/// Verifies a SOAP message that arrived at `now`.
///
/// # Errors
/// The first thing that does not fit the profile.
pub fn message(bytes: &[u8], trust: &Trust, now: UtcTime) -> Result<Message> {
    let document = document::parse(bytes)?;
    let envelope = Envelope::find(&document)?;
    let signature = Parts::find(envelope.signature)?;
    let certificate = envelope.certificate(&document, &signature)?;
    let signer = trust.signer(&certificate, now)?;
    let allowed = [envelope.body, envelope.timestamp, envelope.token];
    let mut covered = [None, None, None];
    for target in verified(&document, &signature, &certificate, &[ns::EXC_C14N])? {
        let place = allowed.iter().position(|node| *node == target.node).ok_or_else(|| {
            Refused::new(
                Reason::NotCovered,
                "a reference leads to something else than Body, Timestamp or token",
            )
        })?;
        covered[place] = Some(target.canonical);
    }
    let [body, timestamp, _] = covered;
    let uncovered = |name: &str| Refused::new(Reason::NotCovered, format!("the {name} is not signed"));
    let body = body.ok_or_else(|| uncovered("Body"))?;
    let created = fresh(&timestamp.ok_or_else(|| uncovered("Timestamp"))?, now)?;
    Ok(Message { signer, body, created })
}

/// Verifies a document with an enveloped signature at `now`.
///
/// # Errors
/// The first thing that does not fit the profile.
pub fn enveloped(bytes: &[u8], trust: &Trust, now: UtcTime) -> Result<SignedDocument> {
    let document = document::parse(bytes)?;
    let root = document.root_element();
    let node = only_signature(&document, root)?;
    let signature = Parts::find(node)?;
    let data = only_child(signature.key_info, ns::DS, "X509Data")?;
    let certificate = base64(text_of(only_child(data, ns::DS, "X509Certificate")?)?, Reason::KeyInfo)?;
    let signer = trust.signer(&certificate, now)?;
    let mut targets = verified(&document, &signature, &certificate, &[ns::ENVELOPED, ns::EXC_C14N])?;
    match (targets.pop(), targets.pop()) {
        (Some(target), None) if target.node == root => Ok(SignedDocument { signer, root: target.canonical }),
        _ => Err(Refused::new(Reason::NotCovered, "the one reference must lead to the root")),
    }
}

/// The places of a message.
struct Envelope<'a, 'input> {
    body: Node<'a, 'input>,
    timestamp: Node<'a, 'input>,
    token: Node<'a, 'input>,
    signature: Node<'a, 'input>,
}

impl<'a, 'input> Envelope<'a, 'input> {
    fn find(document: &'a Document<'input>) -> Result<Self> {
        let layout = |detail: &str| Refused::new(Reason::Layout, detail);
        let envelope = document.root_element();
        if !envelope.has_tag_name((ns::SOAP, "Envelope")) {
            return Err(layout("the root is not a SOAP 1.1 Envelope"));
        }
        let [header, body] = children(envelope, Reason::Layout)?[..] else {
            return Err(layout("an Envelope is a Header and a Body"));
        };
        if !header.has_tag_name((ns::SOAP, "Header")) || !body.has_tag_name((ns::SOAP, "Body")) {
            return Err(layout("an Envelope is a Header and a Body"));
        }
        let [security] = children(header, Reason::Layout)?[..] else {
            return Err(layout("a Header holds one Security and nothing else"));
        };
        if !security.has_tag_name((ns::WSSE, "Security")) {
            return Err(layout("a Header holds one Security and nothing else"));
        }
        if children(body, Reason::Layout)?.len() != 1 {
            return Err(layout("a Body holds one element"));
        }
        let signature = only_signature(document, security)?;
        let timestamp = one_child(security, ns::WSU, "Timestamp", Reason::Layout)?;
        let token = one_child(security, ns::WSSE, "BinarySecurityToken", Reason::KeyInfo)?;
        if children(security, Reason::Layout)?.len() != 3 {
            return Err(layout("Security holds a token, a Timestamp and a Signature"));
        }
        Ok(Self { body, timestamp, token, signature })
    }

    /// The certificate in the token that the signature points to.
    fn certificate(&self, document: &Document<'_>, signature: &Parts<'_, '_>) -> Result<Vec<u8>> {
        let fault = |detail: &str| Refused::new(Reason::KeyInfo, detail);
        let reference = only_child(signature.key_info, ns::WSSE, "SecurityTokenReference")?;
        let reference = only_child(reference, ns::WSSE, "Reference")?;
        let id = reference.attribute("URI").and_then(|uri| uri.strip_prefix('#'));
        let token = by_id(document, id.ok_or_else(|| fault("the token is not referred to by id"))?)?;
        if token != self.token {
            return Err(fault("the reference does not lead to the BinarySecurityToken"));
        }
        if token.attribute("ValueType") != Some(ns::X509)
            || token.attribute("EncodingType") != Some(ns::BASE64)
        {
            return Err(fault("the token is not one X.509 certificate (X509v3) in Base64Binary"));
        }
        base64(text_of(token)?, Reason::KeyInfo)
    }
}

/// The parts of a signature.
struct Parts<'a, 'input> {
    signed_info: Node<'a, 'input>,
    references: Vec<Node<'a, 'input>>,
    suite: &'static dyn Suite,
    value: Vec<u8>,
    key_info: Node<'a, 'input>,
}

impl<'a, 'input> Parts<'a, 'input> {
    fn find(signature: Node<'a, 'input>) -> Result<Self> {
        let names = [(ns::DS, "SignedInfo"), (ns::DS, "SignatureValue"), (ns::DS, "KeyInfo")];
        let [signed_info, value, key_info] = exactly(signature, names)?;
        let parts = children(signed_info, Reason::SignatureLayout)?;
        let [method_of_c14n, method, references @ ..] = &parts[..] else {
            return Err(layout("SignedInfo lacks its methods"));
        };
        let fits = method_of_c14n.has_tag_name((ns::DS, "CanonicalizationMethod"))
            && method.has_tag_name((ns::DS, "SignatureMethod"))
            && references.iter().all(|node| node.has_tag_name((ns::DS, "Reference")));
        if !fits {
            return Err(layout("SignedInfo holds CanonicalizationMethod, SignatureMethod and References"));
        }
        if !(1..=3).contains(&references.len()) {
            return Err(layout("one to three References are taken"));
        }
        if algorithm(*method_of_c14n)? != ns::EXC_C14N {
            return Err(Refused::new(
                Reason::Algorithm,
                "only exclusive canonicalization without comments is taken",
            ));
        }
        if !children(*method, Reason::SignatureLayout)?.is_empty() {
            return Err(layout("SignatureMethod has no parameters"));
        }
        Ok(Self {
            signed_info,
            references: references.to_vec(),
            suite: suite_of(algorithm(*method)?)?,
            value: base64(text_of(value)?, Reason::SignatureLayout)?,
            key_info,
        })
    }
}

/// A signed element and the bytes that its digest fits.
struct Target<'a, 'input> {
    node: Node<'a, 'input>,
    canonical: Vec<u8>,
}

/// Checks the signature over SignedInfo, then every digest, and gives what was signed.
fn verified<'a, 'input>(
    document: &'a Document<'input>,
    signature: &Parts<'a, 'input>,
    certificate: &[u8],
    transforms: &[&str],
) -> Result<Vec<Target<'a, 'input>>> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| Refused::new(Reason::Certificate, error.to_string()))?;
    let method = one_child(signature.signed_info, ns::DS, "CanonicalizationMethod", Reason::SignatureLayout)?;
    let prefixes = inclusive_prefixes(method)?;
    let signed =
        c14n::canonical(signature.signed_info, &c14n::Options { inclusive: &prefixes, without: None });
    signature.suite.verify(parsed.public_key(), &signed, &signature.value)?;

    let mut targets: Vec<Target<'_, '_>> = Vec::new();
    for reference in &signature.references {
        let target = target(document, signature, *reference, transforms)?;
        if targets.iter().any(|other| other.node == target.node) {
            return Err(Refused::new(Reason::Reference, "two references lead to one element"));
        }
        targets.push(target);
    }
    Ok(targets)
}

fn target<'a, 'input>(
    document: &'a Document<'input>,
    signature: &Parts<'a, 'input>,
    reference: Node<'a, 'input>,
    wanted: &[&str],
) -> Result<Target<'a, 'input>> {
    let names = [(ns::DS, "Transforms"), (ns::DS, "DigestMethod"), (ns::DS, "DigestValue")];
    let [transforms, method, value] = exactly(reference, names)?;
    if algorithm(method)? != signature.suite.digest_method() {
        return Err(Refused::new(Reason::Algorithm, format!("digest method {:?}", algorithm(method)?)));
    }
    let transforms = children(transforms, Reason::SignatureLayout)?;
    let mut found = Vec::new();
    for transform in &transforms {
        found.push(algorithm(*transform)?);
    }
    if found != wanted {
        return Err(Refused::new(Reason::Algorithm, format!("transforms {found:?}; {wanted:?} are taken")));
    }
    let uri = reference.attribute("URI");
    let node = match uri {
        Some("") if wanted.contains(&ns::ENVELOPED) => document.root_element(),
        Some(uri) if uri.len() > 1 && uri.starts_with('#') => by_id(document, &uri[1..])?,
        _ => {
            let detail = format!("{uri:?}: only \"#id\" is taken");
            return Err(Refused::new(Reason::Reference, detail));
        }
    };
    let prefixes = inclusive_prefixes(*transforms.last().unwrap_or(&reference))?;
    let without = signature.signed_info.parent().map(|node| node.id());
    let without = without.filter(|_| wanted.contains(&ns::ENVELOPED));
    let canonical = c14n::canonical(node, &c14n::Options { inclusive: &prefixes, without });
    if signature.suite.digest(&canonical) != base64(text_of(value)?, Reason::SignatureLayout)? {
        let name = node.tag_name().name();
        return Err(Refused::new(Reason::BadDigest, format!("{name} is not what was signed")));
    }
    Ok(Target { node, canonical })
}

/// The one element that has this id, whatever its id attribute is called: verifiers must not disagree about that.
fn by_id<'a, 'input>(document: &'a Document<'input>, id: &str) -> Result<Node<'a, 'input>> {
    let has = |node: &Node<'_, '_>| {
        node.attributes().filter(|at| at.name().eq_ignore_ascii_case("id") && at.value() == id).count()
    };
    let mut found = None;
    for node in document.descendants().filter(Node::is_element) {
        let count = has(&node);
        if count > 1 || (count == 1 && found.is_some()) {
            return Err(Refused::new(Reason::AmbiguousId, format!("{id:?} stands more than once")));
        }
        if count == 1 {
            found = Some(node);
        }
    }
    found.ok_or_else(|| Refused::new(Reason::AmbiguousId, format!("no element has the id {id:?}")))
}

/// The only signature of the document, which must be a child of `place`.
fn only_signature<'a, 'input>(
    document: &'a Document<'input>,
    place: Node<'a, 'input>,
) -> Result<Node<'a, 'input>> {
    let mut all = document.descendants().filter(|node| node.has_tag_name((ns::DS, "Signature")));
    let signature =
        all.next().ok_or_else(|| Refused::new(Reason::NoSignature, "there is no ds:Signature"))?;
    if all.next().is_some() {
        return Err(Refused::new(Reason::ManySignatures, "there is more than one ds:Signature"));
    }
    if signature.parent() != Some(place) {
        let detail = format!("the ds:Signature is not a child of {}", place.tag_name().name());
        return Err(Refused::new(Reason::NoSignature, detail));
    }
    Ok(signature)
}

fn layout(detail: &str) -> Refused {
    Refused::new(Reason::SignatureLayout, detail)
}

/// The child elements of a node that holds elements only.
fn children<'a, 'input>(node: Node<'a, 'input>, reason: Reason) -> Result<Vec<Node<'a, 'input>>> {
    let stray = |child: &Node<'_, '_>| child.is_text() && !child.text().unwrap_or_default().trim().is_empty();
    if node.children().any(|child| stray(&child)) {
        return Err(Refused::new(reason, format!("text between the elements of {}", node.tag_name().name())));
    }
    Ok(node.children().filter(Node::is_element).collect())
}

/// The children of `node`, which must be these and no others, in this order.
fn exactly<'a, 'input, const N: usize>(
    node: Node<'a, 'input>,
    names: [(&str, &str); N],
) -> Result<[Node<'a, 'input>; N]> {
    let found = children(node, Reason::SignatureLayout)?;
    let fits = found.len() == N && found.iter().zip(names).all(|(child, name)| child.has_tag_name(name));
    let found = <[Node<'_, '_>; N]>::try_from(found).ok().filter(|_| fits);
    found.ok_or_else(|| {
        let wanted = names.map(|(_, name)| name).join(", ");
        layout(&format!("{} holds {wanted} and nothing else", node.tag_name().name()))
    })
}

fn one_child<'a, 'input>(
    node: Node<'a, 'input>,
    namespace: &str,
    name: &str,
    reason: Reason,
) -> Result<Node<'a, 'input>> {
    let mut found = node.children().filter(|child| child.has_tag_name((namespace, name)));
    match (found.next(), found.next()) {
        (Some(child), None) => Ok(child),
        _ => Err(Refused::new(reason, format!("{} must hold one {name}", node.tag_name().name()))),
    }
}

/// The only child of a part that leads to the certificate: no second opinion about the key.
fn only_child<'a, 'input>(node: Node<'a, 'input>, namespace: &str, name: &str) -> Result<Node<'a, 'input>> {
    match children(node, Reason::KeyInfo)?[..] {
        [child] if child.has_tag_name((namespace, name)) => Ok(child),
        _ => {
            let detail = format!("{} must hold one {name} and nothing else", node.tag_name().name());
            Err(Refused::new(Reason::KeyInfo, detail))
        }
    }
}

fn algorithm<'a>(node: Node<'a, '_>) -> Result<&'a str> {
    node.attribute("Algorithm")
        .ok_or_else(|| layout(&format!("{} names no Algorithm", node.tag_name().name())))
}

/// The prefix list of a canonicalization, which may have no other parameter.
fn inclusive_prefixes<'a>(method: Node<'a, '_>) -> Result<Vec<&'a str>> {
    match children(method, Reason::SignatureLayout)?[..] {
        [] => Ok(Vec::new()),
        [only] if only.has_tag_name((ns::EXC_C14N, "InclusiveNamespaces")) => {
            Ok(only.attribute("PrefixList").unwrap_or_default().split_ascii_whitespace().collect())
        }
        _ => Err(Refused::new(
            Reason::Algorithm,
            "a canonicalization has no parameter but InclusiveNamespaces",
        )),
    }
}

/// The text of an element that holds nothing else.
fn text_of<'a>(node: Node<'a, '_>) -> Result<&'a str> {
    match (node.first_child(), node.children().count()) {
        (Some(child), 1) if child.is_text() => Ok(child.text().unwrap_or_default()),
        _ => Err(layout(&format!("{} must hold one text", node.tag_name().name()))),
    }
}

fn base64(text: &str, reason: Reason) -> Result<Vec<u8>> {
    let text: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    BASE64.decode(text.as_bytes()).map_err(|error| Refused::new(reason, format!("not base64: {error}")))
}

/// Reads the canonical bytes of a Timestamp and gives when the message was made.
fn fresh(timestamp: &[u8], now: UtcTime) -> Result<UtcTime> {
    let fault = |detail: &str| Refused::new(Reason::NotFresh, detail);
    let document = document::parse(timestamp)?;
    let time = |name: &str| -> Result<Option<UtcTime>> {
        let mut found = document.root_element().children().filter(|node| node.has_tag_name((ns::WSU, name)));
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(node), None) => {
                let read = super::sign::parse_time(text_of(node)?);
                read.map(Some).ok_or_else(|| fault(&format!("{name} is no date and time with zone")))
            }
            _ => Err(fault(&format!("{name} stands twice"))),
        }
    };
    let created = time("Created")?.ok_or_else(|| fault("Created is missing"))?;
    let age = now.seconds() - created.seconds();
    if age.abs() > FRESH_S {
        return Err(fault(&format!(
            "made {age} s before it arrived; at most {FRESH_S} s are taken, either way"
        )));
    }
    if time("Expires")?.is_some_and(|end| end < now) {
        return Err(fault("its end has passed"));
    }
    Ok(created)
}
