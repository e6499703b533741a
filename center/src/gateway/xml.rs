//! From elements to fields and back: strictly the sequence of the schema, nothing beside it.

use super::NS;
use crate::xmlsig::sign::escape;
use roxmltree::Node;
use std::fmt::Write as _;
use tolem_protocol::utc::Date;

/// Most bytes of one field.
const MOST_TEXT: usize = 256;
/// Most rows of one list.
const MOST_ROWS: usize = 1_000;

/// What is wrong with a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldFault {
    /// Name of the element.
    pub field: String,
    /// What is wrong with it.
    pub fault: String,
}

impl FieldFault {
    pub(super) fn new(field: &str, fault: impl Into<String>) -> Self {
        Self { field: field.to_owned(), fault: fault.into() }
    }
}

/// A value that an element can hold as text.
pub(super) trait Field: Sized {
    /// What is allowed, for the fault.
    const WANTED: &'static str;
    /// Reads it; `today` bounds dates of birth.
    fn read(text: &str, today: Date) -> Option<Self>;
    /// Writes it.
    fn write(&self) -> String;
}

/// An element that holds elements.
pub trait Element: Sized {
    /// Its name.
    const TAG: &'static str;
    /// Reads its children.
    fn read_parts(reader: &mut Reader<'_, '_>) -> Result<Self, FieldFault>;
    /// Writes its children.
    fn write_parts(&self, xml: &mut String);

    /// Reads the element `node`.
    fn read(node: Node<'_, '_>, today: Date) -> Result<Self, FieldFault> {
        if !node.has_tag_name((NS, Self::TAG)) {
            return Err(FieldFault::new(node.tag_name().name(), format!("{} was expected", Self::TAG)));
        }
        let mut reader = Reader::new(node, today)?;
        let this = Self::read_parts(&mut reader)?;
        reader.end()?;
        Ok(this)
    }

    /// Writes the element with its namespace, for a Body.
    fn to_xml(&self) -> String {
        let mut xml = format!("<t:{} xmlns:t=\"{NS}\">", Self::TAG);
        self.write_parts(&mut xml);
        let _ = write!(xml, "</t:{}>", Self::TAG);
        xml
    }
}

/// Reads the children of an element in their order.
pub struct Reader<'a, 'input> {
    parent: &'a str,
    children: Vec<Node<'a, 'input>>,
    at: usize,
    today: Date,
}

impl<'a, 'input> Reader<'a, 'input> {
    fn new(node: Node<'a, 'input>, today: Date) -> Result<Self, FieldFault> {
        let parent = node.tag_name().name();
        if let Some(attribute) = node.attributes().next() {
            return Err(FieldFault::new(parent, format!("must not have the attribute {}", attribute.name())));
        }
        let stray =
            |child: &Node<'_, '_>| child.is_text() && !child.text().unwrap_or_default().trim().is_empty();
        if node.children().any(|child| stray(&child)) {
            return Err(FieldFault::new(parent, "must hold elements and no text"));
        }
        Ok(Self { parent, children: node.children().filter(Node::is_element).collect(), at: 0, today })
    }

    /// The next child, if its name is `tag`.
    fn next(&mut self, tag: &str) -> Result<Option<Node<'a, 'input>>, FieldFault> {
        let Some(node) = self.children.get(self.at) else { return Ok(None) };
        if node.tag_name().name() != tag {
            return Ok(None);
        }
        if node.tag_name().namespace() != Some(NS) {
            return Err(FieldFault::new(tag, format!("must be in the namespace {NS}")));
        }
        self.at += 1;
        Ok(Some(*node))
    }

    fn missing(&self, tag: &str) -> FieldFault {
        match self.children.get(self.at) {
            Some(other) if self.is_doubled(*other) => self.too_much(*other),
            Some(other) => {
                FieldFault::new(tag, format!("is missing; {} stands there", other.tag_name().name()))
            }
            None => FieldFault::new(tag, "is missing"),
        }
    }

    fn is_doubled(&self, node: Node<'_, '_>) -> bool {
        self.children[..self.at].iter().any(|other| other.tag_name() == node.tag_name())
    }

    fn too_much(&self, node: Node<'_, '_>) -> FieldFault {
        let fault = if self.is_doubled(node) {
            "stands more than once".to_owned()
        } else {
            format!("does not belong into {}", self.parent)
        };
        FieldFault::new(node.tag_name().name(), fault)
    }

    fn value<T: Field>(&self, node: Node<'a, 'input>) -> Result<T, FieldFault> {
        let tag = node.tag_name().name();
        if let Some(attribute) = node.attributes().next() {
            return Err(FieldFault::new(tag, format!("must not have the attribute {}", attribute.name())));
        }
        let text = match (node.first_child(), node.children().count()) {
            (None, _) => "",
            (Some(child), 1) if child.is_text() => child.text().unwrap_or_default(),
            _ => return Err(FieldFault::new(tag, "must hold text and no elements")),
        };
        if text.len() > MOST_TEXT {
            return Err(FieldFault::new(tag, format!("{} bytes, at most {MOST_TEXT} are read", text.len())));
        }
        T::read(text.trim_matches([' ', '\t', '\n', '\r']), self.today)
            .ok_or_else(|| FieldFault::new(tag, format!("must be {}", T::WANTED)))
    }

    pub(super) fn one<T: Field>(&mut self, tag: &str) -> Result<T, FieldFault> {
        let node = self.next(tag)?.ok_or_else(|| self.missing(tag))?;
        self.value(node)
    }

    pub(super) fn maybe<T: Field>(&mut self, tag: &str) -> Result<Option<T>, FieldFault> {
        self.next(tag)?.map(|node| self.value(node)).transpose()
    }

    pub(super) fn many<T: Element>(&mut self, tag: &str) -> Result<Vec<T>, FieldFault> {
        let mut rows = Vec::new();
        while let Some(node) = self.next(tag)? {
            if rows.len() == MOST_ROWS {
                return Err(FieldFault::new(tag, format!("at most {MOST_ROWS} are read")));
            }
            rows.push(T::read(node, self.today)?);
        }
        Ok(rows)
    }

    fn end(&self) -> Result<(), FieldFault> {
        self.children.get(self.at).map_or(Ok(()), |node| Err(self.too_much(*node)))
    }
}

pub(super) fn write_one<T: Field>(xml: &mut String, tag: &str, value: &T) {
    let _ = write!(xml, "<t:{tag}>{}</t:{tag}>", escape(&value.write()));
}

pub(super) fn write_maybe<T: Field>(xml: &mut String, tag: &str, value: &Option<T>) {
    if let Some(value) = value {
        write_one(xml, tag, value);
    }
}

pub(super) fn write_many<T: Element>(xml: &mut String, tag: &str, rows: &[T]) {
    for row in rows {
        let _ = write!(xml, "<t:{tag}>");
        row.write_parts(xml);
        let _ = write!(xml, "</t:{tag}>");
    }
}

/// Declares a struct for an element of the schema: `field: type = one|maybe|many "Tag"`.
macro_rules! element {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $type:ty = $mode:ident $tag:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct $name { $($(#[$about])* pub $field: $type),* }

        impl Element for $name {
            const TAG: &'static str = stringify!($name);

            fn read_parts(reader: &mut Reader<'_, '_>) -> Result<Self, FieldFault> {
                Ok(Self { $($field: reader.$mode($tag)?),* })
            }

            fn write_parts(&self, xml: &mut String) {
                $(element!(@write $mode xml, $tag, &self.$field);)*
            }
        }
    };
    (@write one $xml:ident, $tag:literal, $value:expr) => { write_one($xml, $tag, $value) };
    (@write maybe $xml:ident, $tag:literal, $value:expr) => { write_maybe($xml, $tag, $value) };
    (@write many $xml:ident, $tag:literal, $value:expr) => { write_many($xml, $tag, $value) };
}
pub(super) use element;
