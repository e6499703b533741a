//! Speed and size of terminal and center, measured: `cargo run --release -p tolem-tests --bin tolem-bench [DIRECTORY [PART...]]`.
//!
//! A number that depends on the machine is measured beside the bare operation it rests on, in the same run and the same directory,
//! in rounds that take turns; the median counts and every round is printed. The files are made in DIRECTORY (default: the system's
//! directory for temporary files), which must lie on a real disk. PART is one of [`PARTS`]; without any, all are measured. No test: a busy machine must not fail a build. Method and
//! results are in `docs/performance.md`.

mod cost;
mod journal;
mod note;
mod notice;
mod payments;
mod reconnect;
mod screen;

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
    time::Duration,
};

/// Rounds of each measurement.
const ROUNDS: usize = 7;

/// What can be measured alone.
const PARTS: [&str; 9] =
    ["append", "open", "note", "redraw", "process", "payments", "notice", "reconnect", "idle"];

/// What is asked of one number.
enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// One result against its target.
struct Verdict {
    what: &'static str,
    value: f64,
    unit: &'static str,
    target: Target,
}

impl Verdict {
    fn is_met(&self) -> bool {
        match self.target {
            Target::AtLeast(bound) => self.value >= bound,
            Target::AtMost(bound) => self.value <= bound,
        }
    }
}

/// The middle of several values.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// Prints the rounds of one series and gives their median.
fn series(name: &str, unit: &str, values: &[f64]) -> f64 {
    let rounds: Vec<String> = values.iter().map(|value| format!("{value:.3}")).collect();
    let middle = median(values);
    println!("  {name}: median {middle:.3} {unit}  [{}]", rounds.join(" "));
    middle
}

fn main() -> ExitCode {
    if cfg!(debug_assertions) {
        eprintln!("built without optimisation: use `cargo run --release -p tolem-tests --bin tolem-bench`");
        return ExitCode::FAILURE;
    }
    let place = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    // Sockets lie below it, and their paths are short by law.
    let scratch = match tempfile::Builder::new().prefix("tb-").tempdir_in(&place) {
        Ok(scratch) => scratch,
        Err(error) => {
            eprintln!("{}: cannot make a directory there: {error}", place.display());
            return ExitCode::FAILURE;
        }
    };
    let parts: Vec<String> = std::env::args().skip(2).collect();
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        eprintln!("{unknown}: no such part; there are {}", PARTS.join(", "));
        return ExitCode::FAILURE;
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|named| named == part);
    if wanted("process") && !build("tolem-firmware", "tolem") {
        return ExitCode::FAILURE;
    }
    if wanted("idle") && !build("tolem-center", "tolem-center") {
        return ExitCode::FAILURE;
    }
    println!("files in {}", scratch.path().display());
    let mut verdicts = Vec::new();
    for part in PARTS.into_iter().filter(|part| wanted(part)) {
        verdicts.extend(match part {
            "append" => journal::append(scratch.path()),
            "open" => journal::open(scratch.path()),
            "note" => note::stacked_to_ack(scratch.path()),
            "redraw" => screen::redraw(),
            "payments" => payments::payments(scratch.path()),
            "notice" => notice::notice(scratch.path()),
            "reconnect" => reconnect::reconnect(scratch.path()),
            "idle" => payments::idle(scratch.path(), &tolem_tests::bench::tolem_center()),
            _ => screen::process(scratch.path()),
        });
    }

    println!("\n{:<52} {:>10}      target", "", "measured");
    for verdict in &verdicts {
        let (sign, bound) = match verdict.target {
            Target::AtLeast(bound) => (">=", bound),
            Target::AtMost(bound) => ("<=", bound),
        };
        let met = if verdict.is_met() { "" } else { "  MISSED" };
        println!("{:<52} {:>10.2} {:<3} {sign} {bound:.2}{met}", verdict.what, verdict.value, verdict.unit);
    }
    ExitCode::SUCCESS
}

/// The process that is measured is the shipped program, not this one.
fn build(package: &str, program: &str) -> bool {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["build", "--release", "-p", package, "--bin", program]).status();
    match built {
        Ok(status) if status.success() => true,
        Ok(status) => {
            eprintln!("tolem does not build: {status}");
            false
        }
        Err(error) => {
            eprintln!("cargo cannot be started: {error}");
            false
        }
    }
}
