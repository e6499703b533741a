//! The cassette on disk, so that the notes of yesterday still lie in it today.
//!
//! A text file, one note a line, oldest first. It is the simulated world's memory and no book of the kiosk's: nothing that the kiosk
//! believes is ever read from here.

use crate::ccnet_device::{Banknote, Contents};
use std::{fs, io, path::Path};

/// Longest file that is read, in bytes; many times what fits into a cassette.
const MAX_FILE: u64 = 1 << 20;

/// Reads the file; an absent one is an empty cassette.
///
/// # Errors
/// Names the line that is wrong.
pub(super) fn load(path: &Path) -> io::Result<Contents> {
    let wrong =
        |text: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {text}", path.display()));
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::default()),
        Ok(about) if about.len() > MAX_FILE => {
            return Err(wrong(format!("{} bytes, at most {MAX_FILE}", about.len())));
        }
        _ => {}
    }
    let mut contents = Contents::default();
    for (index, line) in fs::read_to_string(path)?.lines().enumerate() {
        read_line(&mut contents, line).ok_or_else(|| {
            wrong(format!(
                "line {}: {line:?} is not \"counter N\", \"unconfirmed TYPE\" or \"note TENGE [of YEAR] [foreign] [bad]\"",
                index + 1
            ))
        })?;
    }
    Ok(contents)
}

fn read_line(contents: &mut Contents, line: &str) -> Option<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [] => {}
        ["counter", number] => contents.counter = number.parse().ok()?,
        ["unconfirmed", kind] => contents.credit = Some(kind.parse().ok()?),
        ["note", tenge, marks @ ..] => {
            let mut note = Banknote::tenge(tenge.parse().ok()?);
            let mut marks = marks.iter();
            while let Some(mark) = marks.next() {
                note = match *mark {
                    "of" => note.of_pattern(marks.next()?.parse().ok()?),
                    "foreign" => note.foreign(),
                    "bad" => note.bad(),
                    _ => return None,
                };
            }
            contents.notes.push(note);
        }
        _ => return None,
    }
    Some(())
}

/// Replaces the file at once, so that there is never half of it.
pub(super) fn save(path: &Path, contents: &Contents) -> io::Result<()> {
    let mut text = format!("counter {}\n", contents.counter);
    if let Some(kind) = contents.credit {
        text += &format!("unconfirmed {kind}\n");
    }
    for note in &contents.notes {
        text += &format!("note {note}\n");
    }
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lay_in_the_cassette_lies_in_it_again() {
        let path = std::env::temp_dir().join(format!("tolem-cassette-{}", std::process::id()));
        assert_eq!(load(&path).unwrap(), Contents::default());
        let notes = vec![
            Banknote::tenge(20_000),
            Banknote::tenge(2_000).of_pattern(2012),
            Banknote::tenge(500).foreign().bad(),
        ];
        let contents = Contents { notes, counter: 65_535, credit: Some(8) };
        save(&path, &contents).unwrap();
        assert_eq!(load(&path).unwrap(), contents);
        fs::write(&path, "counter 1\nnote 500\nnote many\n").unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("line 3: \"note many\""), "{error}");
        fs::remove_file(&path).unwrap();
    }
}
