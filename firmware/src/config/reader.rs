//! Reads TOML with a line number for every complaint, and collects all complaints instead of stopping at the first.
//!
//! A technician mends a file once. Each complaint names the file, the line, the key, the value that stands there and what may
//! stand there; an unknown key is one too, because a misspelt key would silently leave a default in force.

use std::{fmt, ops::Range, path::Path};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Longest part of a value that a complaint repeats, in characters.
const SHOWN_VALUE: usize = 48;

/// Everything that is wrong with a configuration file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// The file being read and what is wrong with it so far.
pub(super) struct Document<'a> {
    name: String,
    text: &'a str,
    /// Byte offset and complaint.
    problems: Vec<(usize, String)>,
}

impl<'a> Document<'a> {
    /// Parses `text`, which came from `path`.
    pub fn parse(path: &Path, text: &'a str) -> Result<(Self, Section<'a>), ConfigError> {
        let document = Self { name: path.display().to_string(), text, problems: Vec::new() };
        match DeTable::parse(text) {
            Ok(table) => {
                let root =
                    Section { name: String::new(), at: 0, table: table.into_inner(), known: Vec::new() };
                Ok((document, root))
            }
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                Err(ConfigError(vec![
                    document.place(at, &format!("not TOML: {}", error.message().replace('\n', "; "))),
                ]))
            }
        }
    }

    /// All complaints in the order of the file, or `value`.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, ConfigError> {
        self.problems.sort();
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(ConfigError(self.problems.iter().map(|(at, text)| self.place(*at, text)).collect())),
        }
    }

    fn problem(&mut self, at: usize, text: String) {
        self.problems.push((at, text));
    }

    fn place(&self, at: usize, text: &str) -> String {
        let line = self.text[..at.min(self.text.len())].matches('\n').count() + 1;
        format!("{}:{line}: {text}", self.name)
    }

    fn shown(&self, span: Range<usize>) -> String {
        let text = self.text.get(span).unwrap_or("?").split_whitespace().collect::<Vec<_>>().join(" ");
        if text.chars().count() > SHOWN_VALUE {
            text.chars().take(SHOWN_VALUE).chain(['…']).collect()
        } else {
            text
        }
    }
}

/// A table of the file. Keys are taken out one by one; what is left at the end is unknown.
pub(super) struct Section<'a> {
    name: String,
    at: usize,
    table: DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The table `key`; a complaint if it is missing.
    pub fn section(&mut self, document: &mut Document<'a>, key: &'static str) -> Option<Self> {
        let section = self.optional_section(document, key);
        if section.is_none()
            && !document.problems.iter().any(|(_, text)| text.starts_with(&format!("[{key}]")))
        {
            document.problem(self.at, format!("[{key}] is missing: this section is needed"));
        }
        section
    }

    /// The table `key`, if there is one.
    pub fn optional_section(&mut self, document: &mut Document<'a>, key: &'static str) -> Option<Self> {
        let (at, value) = self.remove(key)?;
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(Self { name: key.into(), at, table, known: Vec::new() }),
            _ => {
                let shown = document.shown(span);
                document.problem(at, format!("[{key}] = {shown}: must be a section"));
                None
            }
        }
    }

    /// The value of `key`; a complaint if it is missing or `read` does not take it. `allowed` completes "must be …".
    pub fn need<T>(
        &mut self,
        document: &mut Document<'a>,
        key: &'static str,
        allowed: &str,
        read: impl FnOnce(&DeValue<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.remove(key) {
            Some((at, value)) => self.judge(document, key, allowed, at, &value, read),
            None => {
                document.problem(self.at, format!("[{}] {key} is missing: must be {allowed}", self.name));
                None
            }
        }
    }

    /// The value of `key`, `default` without one.
    pub fn or<T>(
        &mut self,
        document: &mut Document<'a>,
        key: &'static str,
        default: T,
        allowed: &str,
        read: impl FnOnce(&DeValue<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.remove(key) {
            Some((at, value)) => self.judge(document, key, allowed, at, &value, read),
            None => Some(default),
        }
    }

    /// Complains about all keys that nobody took.
    pub fn finish(self, document: &mut Document<'a>) {
        for (key, _) in &self.table {
            let (at, name) = (key.span().start, key.get_ref());
            let known = self.known.join(", ");
            let text = if self.name.is_empty() {
                format!("[{name}] is not known: sections are {known}")
            } else {
                format!("[{}] {name} is not known: keys are {known}", self.name)
            };
            document.problem(at, text);
        }
    }

    fn judge<T>(
        &self,
        document: &mut Document<'a>,
        key: &str,
        allowed: &str,
        at: usize,
        value: &Spanned<DeValue<'a>>,
        read: impl FnOnce(&DeValue<'a>) -> Option<T>,
    ) -> Option<T> {
        let read = read(value.get_ref());
        if read.is_none() {
            let shown = document.shown(value.span());
            document.problem(at, format!("[{}] {key} = {shown}: must be {allowed}", self.name));
        }
        read
    }

    fn remove(&mut self, key: &'static str) -> Option<(usize, Spanned<DeValue<'a>>)> {
        self.known.push(key);
        let (name, value) = self.table.remove_entry(key)?;
        Some((name.span().start, value))
    }
}

/// A text that `parse` takes.
pub(super) fn text<'v, T>(value: &'v DeValue<'_>, parse: impl FnOnce(&'v str) -> Option<T>) -> Option<T> {
    match value {
        DeValue::String(text) => parse(text),
        _ => None,
    }
}

/// A whole number within `range`.
pub(super) fn number(value: &DeValue<'_>, range: Range<u64>) -> Option<u64> {
    match value {
        DeValue::Integer(integer) => {
            let plain = integer.as_str().replace('_', "");
            u64::from_str_radix(plain.trim_start_matches('+'), integer.radix()).ok()
        }
        _ => None,
    }
    .filter(|number| range.contains(number))
}

/// A list whose every item `parse` takes.
pub(super) fn list<T>(value: &DeValue<'_>, parse: impl Fn(&DeValue<'_>) -> Option<T>) -> Option<Vec<T>> {
    match value {
        DeValue::Array(items) => items.iter().map(|item| parse(item.get_ref())).collect(),
        _ => None,
    }
}
