//! `cargo swarm`: lives many worlds and says what they broke.
//!
//! ```text
//! cargo swarm                     2000 seeds
//! cargo swarm --seeds 500         the first 500
//! cargo swarm --seed 7            this one, with its last events
//! cargo swarm --plan 7            what happens in this one, as a file that can be replayed
//! cargo swarm --replay FILE       a scenario that an earlier run has written
//! cargo swarm --survey 500        the first 500: which fail and why, in a line each, none made short
//! cargo swarm --nightly           a million, each hundredth lived twice
//! cargo swarm --cards 500         the first 500 of the towns in which kiosks take cards (seeds from 1000000 on)
//! ```
//! A failure prints the seed, shortens the story and writes it to a file in `target/scenarios/`. The exit code is then 1.

use std::process::ExitCode;
use tolem_hal_sim::world::{CARDS_FROM, Options, Plan, Report};
use tolem_world::swarm::{MOST_FAILURES, campaign, campaign_on, live_plan, quiet_but_for_the_harness};

/// Seeds of a run without arguments.
const SEEDS: u64 = 2_000;
/// Seeds of a night.
const NIGHT: u64 = 1_000_000;

fn main() -> ExitCode {
    quiet_but_for_the_harness(perform)
}

fn perform() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let result = match words[..] {
        [] => Ok(run(0, SEEDS, 100)),
        ["--nightly"] => Ok(run(0, NIGHT, 100)),
        ["--seeds", count] => number(count).map(|count| run(0, count, 100)),
        ["--seeds", count, "--from", from] => number(count)
            .and_then(|count| Ok((count, number(from)?)))
            .map(|(count, from)| run(from, count, 100)),
        ["--cards", count] => number(count).map(|count| run(CARDS_FROM, count, 100)),
        ["--survey", count] => number(count).map(|count| survey(0, count)),
        ["--survey", count, "--from", from] => number(count)
            .and_then(|count| Ok((count, number(from)?)))
            .map(|(count, from)| survey(from, count)),
        ["--plan", seed] => number(seed).map(|seed| {
            print!("{}", Plan::draw(seed));
            true
        }),
        ["--seed", seed] => number(seed).map(|seed| one(&Plan::draw(seed))),
        ["--replay", file] => std::fs::read_to_string(file)
            .map_err(|error| format!("{file}: {error}"))
            .and_then(|text| Plan::parse(&text).map_err(|error| format!("{file}: {error}")))
            .map(|plan| one(&plan)),
        _ => Err("use: cargo swarm [--seeds N [--from M] | --survey N [--from M] | --seed N | --plan N | --replay FILE | --nightly | --cards N]".into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// One life with everything it says.
fn one(plan: &Plan) -> bool {
    let report = live_plan(plan, Options { chronicle: true, thorough: true });
    for line in &report.chronicle {
        println!("{line}");
    }
    for story in &report.stories {
        println!("\n{story}");
    }
    tell(&report);
    report.violation.is_none()
}

fn tell(report: &Report) {
    match &report.violation {
        Some(violation) => println!("seed {} BROKE {violation}", report.seed),
        None => println!("seed {} is in order, hash {}", report.seed, hex(&report.hash)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Which of many seeds fail.
fn survey(from: u64, count: u64) -> bool {
    let campaign = campaign(from..from.saturating_add(count), 0, usize::MAX);
    print!("{}", campaign.summary());
    for report in &campaign.failures {
        tell(report);
    }
    campaign.failures.is_empty()
}

fn run(from: u64, count: u64, twice_every: u64) -> bool {
    let lanes = std::thread::available_parallelism().map_or(1, |many| many.get() as u64);
    let campaign = campaign_on(lanes, from..from.saturating_add(count), twice_every, MOST_FAILURES);
    print!("{}", campaign.summary());
    campaign.is_in_order()
}
