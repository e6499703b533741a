//! Pulls the plug on SQLite above a disk of our own (`disk`), many more times than the tests do, and on a whole virtual machine
//! (`qemu`, prepared by `tests/qemu/run`).
//!
//! `cargo run --release -p tolem-tests --bin tolem-powercut -- disk --seeds 5000` prints one line for each disk and setting; the exit code
//! is 1 if a setting that must keep everything lost something, or a control found nothing.

mod disk;
mod nbd;
mod qemu;

use std::process::ExitCode;

const USAGE: &str = "usage: tolem-powercut disk [--seeds N] [--from SEED]
       tolem-powercut qemu --kernel FILE --initramfs FILE --image FILE [--cuts N] [--seed N] [--errors] [--control normal|lies|cache] [--accel tcg|kvm]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.split_first() {
        Some((&"disk", rest)) => disk::run(rest),
        Some((&"qemu", rest)) => qemu::run(rest),
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

/// The word behind `--name` in `words`.
fn text(words: &[&str], name: &str) -> Option<String> {
    let at = words.iter().position(|word| *word == name)?;
    words.get(at + 1).map(|&value| value.to_owned())
}
