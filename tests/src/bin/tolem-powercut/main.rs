//! Pulls the plug on SQLite above a disk of our own (`disk`), many more times than the tests do.
//!
//! `cargo run --release -p tolem-tests --bin tolem-powercut -- disk --seeds 5000` prints one line for each disk and setting; the exit code
//! is 1 if a setting that must keep everything lost something, or a control found nothing.

mod disk;

use std::process::ExitCode;

const USAGE: &str = "usage: tolem-powercut disk [--seeds N] [--from SEED]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.split_first() {
        Some((&"disk", rest)) => disk::run(rest),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(cause) => {
            eprintln!("{cause}");
            ExitCode::from(2)
        }
    }
}

/// The value of `--name` in `words`, or `usual`.
fn number(words: &[&str], name: &str, usual: u64) -> Result<u64, String> {
    match words.iter().position(|word| *word == name) {
        None => Ok(usual),
        Some(at) => words
            .get(at + 1)
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| format!("{name} needs a whole number\n{USAGE}")),
    }
}
