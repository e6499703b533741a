//! The kill sweep by hand: `cargo run -p tolem-tests --bin tolem-killsweep -- [--short | --full [RANDOM] | [--keep] CASE...]`, after
//! `cargo build -p tolem-firmware -p tolem-center`. `--lanes N` runs so many cases at a time;
//! `--minutes N SEED` runs those that there is time for, in an order of the seed. See `docs/testing.md`.

use std::process::ExitCode;
use tolem_tests::kill::{Budget, Case, Plan, Template, run_case, run_case_and_keep, sweep};

const USAGE: &str = "tolem-killsweep [--lanes N] [--minutes N SEED] --short | --full [RANDOM] | [--keep] CASE...\n  \
                     CASE: 'nothing' | 'nothing-attached' | 'nothing-by-card' | 'kiosk|fresh|center|attached|gateway|card-kiosk|card-center NAME.CALL N kill|power|after|half|eio|eio-kept|stall' | 'acceptor N' | 'random SEED'";

fn main() -> ExitCode {
    // What a case says when it fails stands in its report.
    std::panic::set_hook(Box::new(|panic| {
        if std::thread::current().name() == Some("main") {
            eprintln!("{panic}");
        }
    }));
    match perform() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn perform() -> Result<bool, String> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut lanes = 6;
    if arguments.first().is_some_and(|word| word == "--lanes") {
        let number = arguments.get(1).and_then(|number| number.parse().ok());
        lanes = number.filter(|number| *number > 0).ok_or("--lanes: a number above 0")?;
        arguments.drain(..2);
    }
    let mut budget = None;
    if arguments.first().is_some_and(|word| word == "--minutes") {
        let number = |at: usize| arguments.get(at).and_then(|number| number.parse().ok());
        let minutes: u64 = number(1).ok_or("--minutes: a number of minutes, and a seed for the order")?;
        let seed = number(2).ok_or("--minutes: a number of minutes, and a seed for the order")?;
        budget = Some(Budget { time: std::time::Duration::from_secs(60 * minutes), seed });
        arguments.drain(..3);
    }
    let plan = match arguments.first().map(String::as_str) {
        None => return Err("nothing to do".into()),
        Some("--short") => Plan::Short,
        Some("--full") => {
            let random = arguments.get(1).map_or(Ok(100), |number| number.parse());
            Plan::Full { random: random.map_err(|_| "--full: a number of random cases")? }
        }
        Some("--keep") => return cases(&arguments[1..], true),
        Some(_) => return cases(&arguments, false),
    };
    let report = sweep(plan, lanes, budget);
    println!("{report}");
    Ok(report.failures.is_empty())
}

fn cases(texts: &[String], keep: bool) -> Result<bool, String> {
    let cases: Vec<Case> = texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let template = Template::make();
    let mut good = true;
    for case in cases {
        let began = std::time::Instant::now();
        let result = if keep {
            run_case_and_keep(&template, &case).map(|(outcome, directory)| {
                println!("kept: {}", directory.display());
                outcome
            })
        } else {
            run_case(&template, &case)
        };
        match result {
            Ok(outcome) => {
                let cut = if outcome.hit { outcome.what.as_str() } else { "not reached" };
                println!("good: {case} ({cut}), {:.1} s", began.elapsed().as_secs_f32());
                if matches!(case, Case::Nothing | Case::NothingAttached | Case::NothingByCard) {
                    println!(
                        "calls of the terminal: {:?}\ncalls of the center: {:?}\ncalls of the gateway: {:?}",
                        outcome.kiosk, outcome.center, outcome.gateway
                    );
                }
            }
            Err(why) => {
                good = false;
                println!("FAILED: {case}\n{why}");
            }
        }
    }
    Ok(good)
}
