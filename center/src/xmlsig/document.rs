//! Reading XML within bounds, before anything else looks at it.

use super::{MOST_BYTES, MOST_DEPTH, MOST_NODES, Reason, Refused, Result};
use roxmltree::{Document, Error, Node, ParsingOptions};

/// Parses `bytes` if they stay within the bounds of the profile.
pub(super) fn parse(bytes: &[u8]) -> Result<Document<'_>> {
    if bytes.len() > MOST_BYTES {
        return Err(Refused::new(
            Reason::TooLarge,
            format!("{} bytes, at most {MOST_BYTES} are read", bytes.len()),
        ));
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| Refused::new(Reason::NotUtf8, error.to_string()))?;
    declares_utf8(text)?;
    // The parser would let an empty document type pass.
    if text.contains("<!DOCTYPE") {
        return Err(Refused::new(Reason::Dtd, "document types are not read"));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        Error::NodesLimitReached => {
            Refused::new(Reason::TooManyNodes, format!("at most {MOST_NODES} nodes are read"))
        }
        Error::DtdDetected => Refused::new(Reason::Dtd, "document types are not read"),
        other => Refused::new(Reason::NotXml, other.to_string()),
    })?;
    walk(&document)?;
    Ok(document)
}

fn declares_utf8(text: &str) -> Result<()> {
    let Some(declaration) = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) else {
        return Ok(());
    };
    let Some((_, encoding)) = declaration.0.split_once("encoding") else { return Ok(()) };
    let encoding = encoding.trim_start_matches([' ', '\t', '\r', '\n', '=']);
    let name = encoding.trim_start_matches(['"', '\'']).split(['"', '\'']).next().unwrap_or_default();
    if name.eq_ignore_ascii_case("utf-8") {
        Ok(())
    } else {
        Err(Refused::new(Reason::NotUtf8, format!("declares encoding {name:?}")))
    }
}

/// Depth and processing instructions, without recursion: what comes later may then rely on the depth.
fn walk(document: &Document<'_>) -> Result<()> {
    let mut depth = 0;
    let mut next = document.root().first_child();
    while let Some(node) = next {
        if node.is_pi() {
            return Err(Refused::new(Reason::ProcessingInstruction, "processing instructions are not read"));
        }
        if depth >= MOST_DEPTH && node.is_element() {
            let detail = format!("elements may be nested {MOST_DEPTH} deep");
            return Err(Refused::new(Reason::TooDeep, detail));
        }
        next = following(node, &mut depth);
    }
    Ok(())
}

fn following<'a, 'input>(node: Node<'a, 'input>, depth: &mut usize) -> Option<Node<'a, 'input>> {
    if let Some(child) = node.first_child() {
        *depth += 1;
        return Some(child);
    }
    let mut at = node;
    loop {
        if let Some(sibling) = at.next_sibling() {
            return Some(sibling);
        }
        at = at.parent()?;
        *depth = depth.saturating_sub(1);
    }
}
