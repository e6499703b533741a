//! Exclusive XML Canonicalization 1.0 (<https://www.w3.org/TR/xml-exc-c14n/>) without comments, of one element or a whole document.
//!
//! Walks without recursion. What the tree does not keep, the literal prefixes, is cut out of the text.

use roxmltree::{Node, NodeId, NodeType};

/// How to canonicalize.
#[derive(Clone, Copy, Default, Debug)]
pub struct Options<'a> {
    /// Prefixes that are treated as Canonical XML 1.0 would (`InclusiveNamespaces`); `#default` is the default namespace.
    pub inclusive: &'a [&'a str],
    /// An element that is left out with all it contains: the signature, in the enveloped-signature transform.
    pub without: Option<NodeId>,
}

/// The canonical bytes of `apex`: an element with all it contains, or the root of a document.
pub fn canonical(apex: Node<'_, '_>, options: &Options<'_>) -> Vec<u8> {
    let mut writer = Writer { out: Vec::new(), options, rendered: Vec::new() };
    let mut open: Vec<(Node<'_, '_>, usize)> = Vec::new();
    let mut next = Some(apex);
    while let Some(node) = next {
        let left_out = node.is_comment() || Some(node.id()) == options.without;
        let mark = writer.rendered.len();
        if !left_out {
            writer.start(node);
        }
        if let Some(child) = node.first_child().filter(|_| !left_out) {
            open.push((node, mark));
            next = Some(child);
            continue;
        }
        if !left_out {
            writer.end(node, mark);
        }
        next = after(node, apex, &mut open, &mut writer);
    }
    writer.out
}

/// What follows `node` inside `apex`; writes the end tags on the way up.
fn after<'a, 'input>(
    node: Node<'a, 'input>,
    apex: Node<'a, 'input>,
    open: &mut Vec<(Node<'a, 'input>, usize)>,
    writer: &mut Writer<'_>,
) -> Option<Node<'a, 'input>> {
    let mut at = node;
    loop {
        if at == apex {
            return None;
        }
        if let Some(sibling) = at.next_sibling() {
            return Some(sibling);
        }
        let (parent, mark) = open.pop()?;
        writer.end(parent, mark);
        at = parent;
    }
}

struct Writer<'a> {
    out: Vec<u8>,
    options: &'a Options<'a>,
    /// Namespace declarations that are in force in the output, newest last.
    rendered: Vec<(String, String)>,
}

impl Writer<'_> {
    fn start(&mut self, node: Node<'_, '_>) {
        match node.node_type() {
            NodeType::Element => self.start_tag(node),
            NodeType::Text => escape_text(node.text().unwrap_or_default(), &mut self.out),
            NodeType::PI => self.instruction(node),
            NodeType::Root | NodeType::Comment => {}
        }
    }

    fn end(&mut self, node: Node<'_, '_>, mark: usize) {
        if node.is_element() {
            self.out.extend(b"</");
            self.out.extend(qualified_name(node).as_bytes());
            self.out.push(b'>');
            self.rendered.truncate(mark);
        }
    }

    fn start_tag(&mut self, node: Node<'_, '_>) {
        let name = qualified_name(node);
        self.out.push(b'<');
        self.out.extend(name.as_bytes());
        let text = node.document().input_text();
        let mut attributes: Vec<_> = node.attributes().collect();
        // By namespace, then local name; no namespace comes first.
        attributes.sort_by_key(|attribute| (attribute.namespace().unwrap_or_default(), attribute.name()));
        let mut prefixes = vec![prefix_of(name).to_owned()];
        for attribute in &attributes {
            // An attribute without prefix is in no namespace.
            if let Some((prefix, _)) = text[attribute.range_qname()].split_once(':') {
                prefixes.push(prefix.to_owned());
            }
        }
        for &prefix in self.options.inclusive {
            prefixes.push(if prefix == "#default" { String::new() } else { prefix.to_owned() });
        }
        prefixes.sort();
        prefixes.dedup();
        for prefix in prefixes {
            self.declare(node, prefix);
        }
        for attribute in &attributes {
            self.attribute(&text[attribute.range_qname()], attribute.value());
        }
        self.out.push(b'>');
    }

    /// Writes the declaration of `prefix` if the output needs it here.
    fn declare(&mut self, node: Node<'_, '_>, prefix: String) {
        if prefix == "xml" {
            return;
        }
        let name = Some(prefix.as_str()).filter(|prefix| !prefix.is_empty());
        let declared = node.namespaces().find(|namespace| namespace.name() == name).map(|found| found.uri());
        let uri = match declared {
            Some(uri) => uri,
            None if prefix.is_empty() => "",
            // An inclusive prefix that means nothing here.
            None => return,
        };
        let in_force =
            self.rendered.iter().rev().find(|(other, _)| *other == prefix).map(|(_, uri)| uri.as_str());
        if in_force == Some(uri) || (in_force.is_none() && uri.is_empty()) {
            return;
        }
        let attribute = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
        let uri = uri.to_owned();
        self.attribute(&attribute, &uri);
        self.rendered.push((prefix, uri));
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(b' ');
        self.out.extend(name.as_bytes());
        self.out.extend(b"=\"");
        escape_attribute(value, &mut self.out);
        self.out.push(b'"');
    }

    fn instruction(&mut self, node: Node<'_, '_>) {
        let Some(instruction) = node.pi() else { return };
        // Outside the root element a line break keeps instructions apart.
        let outside = node.parent().is_some_and(|parent| parent.is_root());
        let before_root = outside && node.next_siblings().any(|other| other.is_element());
        if outside && !before_root {
            self.out.push(b'\n');
        }
        self.out.extend(b"<?");
        self.out.extend(instruction.target.as_bytes());
        if let Some(value) = instruction.value {
            self.out.push(b' ');
            // Line ends are normalised everywhere; the tree keeps instructions as they stand.
            let value = value.replace("\r\n", "\n").replace('\r', "\n");
            self.out.extend(value.as_bytes());
        }
        self.out.extend(b"?>");
        if before_root {
            self.out.push(b'\n');
        }
    }
}

/// The name in the start tag, with its literal prefix.
fn qualified_name<'a>(node: Node<'a, '_>) -> &'a str {
    let tag = &node.document().input_text()[node.range().start + 1..];
    let end = tag.find(|letter: char| letter.is_ascii_whitespace() || matches!(letter, '/' | '>'));
    &tag[..end.unwrap_or(tag.len())]
}

fn prefix_of(name: &str) -> &str {
    name.split_once(':').map_or("", |(prefix, _)| prefix)
}

fn escape_text(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'&' => out.extend(b"&amp;"),
            b'<' => out.extend(b"&lt;"),
            b'>' => out.extend(b"&gt;"),
            b'\r' => out.extend(b"&#xD;"),
            other => out.push(other),
        }
    }
}

fn escape_attribute(value: &str, out: &mut Vec<u8>) {
    for byte in value.bytes() {
        match byte {
            b'&' => out.extend(b"&amp;"),
            b'<' => out.extend(b"&lt;"),
            b'"' => out.extend(b"&quot;"),
            b'\t' => out.extend(b"&#x9;"),
            b'\n' => out.extend(b"&#xA;"),
            b'\r' => out.extend(b"&#xD;"),
            other => out.push(other),
        }
    }
}
