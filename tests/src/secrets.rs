//! No number of a test card and no PIN stays anywhere: a search through everything that the programs under test leave behind.
//!
//! Every folder in which programs worked is searched when its test is over and has passed, and so is each line that they wrote and
//! each answer of the bench, which is what is on the glass, on paper and on the wires as people see them. A number is looked for as text,
//! in groups, as values and packed as on a card; a PIN as it is typed and in the clear blocks of ISO 9564.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use tempfile::TempDir;
use tolem_card_keys::pin_block::{self, Pin};
use tolem_protocol::emv::CardNumber;

/// The cards that come to the bench and to the tests: public test numbers.
pub const NUMBERS: [&str; 3] = [
    concat!("5413", "3300", "8902", "0011"),
    concat!("4761", "7390", "0101", "0119"),
    concat!("4012", "3456", "7890", "9"),
];
/// Their PIN.
pub const PIN: &str = "2580";

/// Files are read in pieces of this length; one that is all zeros is a reserve, or a log that has its length already.
const PIECE: usize = 4096;

/// What must not be found, by its first byte, each with what it is.
struct Wanted {
    by_first: Vec<Vec<(Vec<u8>, String)>>,
}

impl Wanted {
    fn make() -> Self {
        let mut wanted = Self { by_first: vec![Vec::new(); 256] };
        for number in NUMBERS {
            let what =
                |form: &str| format!("the card number that ends in {}, {form}", &number[number.len() - 4..]);
            let values: Vec<u8> = number.bytes().map(|digit| digit - b'0').collect();
            wanted.add(number.as_bytes().to_vec(), what("as text"));
            for between in [" ", "-"] {
                let groups =
                    number.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned());
                wanted.add(groups.collect::<Vec<_>>().join(between).into_bytes(), what("in groups"));
            }
            wanted.add(values.clone(), what("as values"));
            // As on a card and in track 2, whichever half of a byte it begins in.
            for start in [0, 1] {
                let pairs = values[start..].chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]);
                wanted.add(pairs.collect(), what("packed"));
            }
            let (pin, number) = (Pin::parse(PIN), CardNumber::parse(number));
            let (pin, number) = pin.zip(number).expect("invariant: a PIN and a public test number");
            let block = pin_block::format_0(&pin, &number);
            wanted.add(block.to_vec(), "a PIN in the clear, ISO 9564 format 0".into());
            for hex in [data_encoding::HEXUPPER.encode(&block), data_encoding::HEXLOWER.encode(&block)] {
                wanted.add(hex.into_bytes(), "a PIN in the clear, ISO 9564 format 0 as text".into());
            }
        }
        for typed in [format!("press {PIN}"), format!("{PIN} enter"), format!("PIN {PIN}")] {
            wanted.add(typed.into_bytes(), "a PIN as it is typed".into());
        }
        wanted
    }

    fn add(&mut self, bytes: Vec<u8>, what: String) {
        self.by_first[usize::from(bytes[0])].push((bytes, what));
    }
}

/// The first thing in `bytes` that nobody may read, in words that do not repeat it.
pub fn find(bytes: &[u8]) -> Option<&'static str> {
    static WANTED: OnceLock<Wanted> = OnceLock::new();
    let wanted = WANTED.get_or_init(Wanted::make);
    let mut at = 0;
    while at < bytes.len() {
        if at + PIECE <= bytes.len() && bytes[at..at + PIECE] == [0; PIECE] {
            at += PIECE;
            continue;
        }
        // What begins here may end in the next piece.
        let end = bytes.len().min(at + PIECE);
        for start in at..end {
            for (form, what) in &wanted.by_first[usize::from(bytes[start])] {
                if bytes[start..].starts_with(form) {
                    return Some(what);
                }
            }
        }
        at = end;
    }
    None
}

/// Searches every file below `folder`; the number of files.
///
/// # Panics
/// If there is a secret in one of them, which it names.
pub fn search(folder: &Path) -> usize {
    let (mut folders, mut files) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        // What a program that ends removes meanwhile is gone.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(about) = fs::symlink_metadata(&path) else { continue };
            if about.is_dir() {
                folders.push(path);
            } else if about.is_file()
                && let Ok(bytes) = fs::read(&path)
            {
                files += 1;
                if let Some(what) = find(&bytes) {
                    panic!("{} holds {what}", path.display());
                }
            }
        }
    }
    files
}

/// A folder for programs under test, which is searched before it is removed, unless its test has failed already.
#[derive(Debug)]
pub struct SearchedFolder(Option<TempDir>);

impl SearchedFolder {
    /// A new one whose name begins so, in the system's directory for such. Sockets live there, and their paths are short by law.
    ///
    /// # Panics
    /// If there is no place for it.
    pub fn new(prefix: &str) -> Self {
        let folder =
            tempfile::Builder::new().prefix(prefix).tempdir().expect("a folder for programs under test");
        Self(Some(folder))
    }

    /// It stays, to be looked at.
    pub fn keep(mut self) -> PathBuf {
        self.0.take().map(TempDir::keep).unwrap_or_default()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.as_ref().map(TempDir::path).unwrap_or(Path::new(""))
    }
}

impl Deref for SearchedFolder {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.path()
    }
}

impl AsRef<Path> for SearchedFolder {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

impl Drop for SearchedFolder {
    fn drop(&mut self) {
        if let Some(folder) = &self.0
            && !std::thread::panicking()
        {
            search(folder.path());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]
    use super::*;

    /// A search that finds nothing proves nothing unless it would find.
    #[test]
    fn each_form_of_a_number_is_found_wherever_it_stands() {
        let number = NUMBERS[0];
        let packed = data_encoding::HEXLOWER.decode(number.as_bytes()).unwrap();
        let odd = data_encoding::HEXLOWER.decode(format!("f{number}f").as_bytes()).unwrap();
        let values: Vec<u8> = number.bytes().map(|digit| digit - b'0').collect();
        let grouped = format!("{} {} {} {}", &number[..4], &number[4..8], &number[8..12], &number[12..]);
        for form in [number.as_bytes(), &packed, &odd, &values, grouped.as_bytes(), b"key press 2580 enter"] {
            for before in [0, 1, PIECE - 3, PIECE, 3 * PIECE - 1] {
                let bytes = [&vec![0xAA; before], form, &[0; 100]].concat();
                assert!(find(&bytes).is_some(), "{form:?} after {before}");
                let zeros = [&vec![0; before], form].concat();
                assert!(find(&zeros).is_some(), "{form:?} after {before} zeros");
            }
        }
        assert_eq!(find(b"541333******0011 and 2580.00 tenge"), None);
    }

    #[test]
    fn a_file_with_a_number_fails_its_test_without_repeating_it() {
        let folder = SearchedFolder::new("tolem-secrets-");
        fs::create_dir(folder.join("deep")).unwrap();
        fs::write(folder.join("deep/log"), format!("card {} refused", NUMBERS[1])).unwrap();
        let said = std::panic::catch_unwind(|| search(folder.path())).unwrap_err();
        let said = said.downcast_ref::<String>().unwrap();
        assert!(said.ends_with("deep/log holds the card number that ends in 0119, as text"), "{said}");
        fs::remove_file(folder.join("deep/log")).unwrap();
        assert_eq!(search(folder.path()), 0);
    }
}
