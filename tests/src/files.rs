//! The repository's own text files, for tests that read the source as data.
//!
//! The tree is walked rather than asked from git, so that a new file is held to the rules before it is committed and an
//! unpacked archive can be tested too. What programs write is left out: build output, the demo's state, logs.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A text file of the repository.
#[derive(Debug)]
pub struct TextFile {
    /// Path from the top of the repository, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl TextFile {
    /// Whether its name ends so.
    pub fn is(&self, extension: &str) -> bool {
        self.path.ends_with(extension)
    }
}

/// The top of the repository.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("invariant: this crate lies one level below the top")
        .into()
}

/// All text files, sorted by path. Files that are not UTF-8 (fonts, pictures, journals) are left out.
///
/// # Panics
/// If the repository cannot be read, because then a test that reads it would pass for nothing.
pub fn text_files() -> Vec<TextFile> {
    let mut found = Vec::new();
    walk(&top(), "", &mut found);
    assert!(found.len() > 50, "only {} text files found below {}", found.len(), top().display());
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn walk(directory: &Path, prefix: &str, found: &mut Vec<TextFile>) {
    let entries = fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        // A file that another process removes meanwhile is not ours.
        let Ok(kind) = entry.file_type() else { continue };
        if is_written_by_programs(&path) {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), found);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            found.push(TextFile { path, text });
        }
    }
}

fn is_written_by_programs(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(name, ".git" | "target" | "tolem-demo") || path.starts_with("target-") || name.ends_with(".log")
}
