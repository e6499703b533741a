//! `cargo planted`: plants bugs and counts how many lives it takes to find each.
//!
//! ```text
//! cargo planted                   the healthy code in 2000 lives and 500 with cards, then every fault from three first seeds
//! cargo planted --quick           fewer lives, then every fault from one first seed, with a small budget: what ./tests/run does
//! cargo planted --fault NAME      one fault from three first seeds; `list` names them
//! cargo planted ... --seeds N     lives at most for each search
//! cargo planted ... --lanes N     threads; as many as there are processors
//! ```
//! The exit code is 1 if a fault is not found, if the healthy code breaks a rule, or if its lives miss a happening, a reach mark or a row
//! of the session's table.

use std::{ops::Range, process::ExitCode, time::Instant};
use tolem_hal_sim::world::CARDS_FROM;
use tolem_probe::Fault;
use tolem_world::{
    planted::{Search, healthy, missed, search_all, untold},
    swarm::quiet_but_for_the_harness,
};

/// Lives of the healthy code in towns without cards and in towns with them, and lives at most for each search.
const WHOLE: Lives = Lives { cash: 2_000, cards: 500, search: 2_000 };
/// The same with `--quick`.
const QUICK: Lives = Lives { cash: 1_600, cards: 400, search: 400 };
/// Where the searches begin.
const FIRST: [u64; 3] = [0, 100_000, 200_000];

fn main() -> ExitCode {
    quiet_but_for_the_harness(perform)
}

fn perform() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match chosen(&arguments) {
        Ok(Chosen { quick, fault: None, seeds, lanes }) => {
            let (firsts, lives) = if quick { (&FIRST[..1], QUICK) } else { (&FIRST[..], WHOLE) };
            let towns = [0..lives.cash, CARDS_FROM..CARDS_FROM + lives.cards];
            let whole = is_whole(lanes, &towns);
            let sound: &[Range<u64>] = if whole { &towns } else { &[] };
            let all = plant_all(Fault::ALL, firsts, seeds.unwrap_or(lives.search), lanes, sound);
            if whole && all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ok(Chosen { fault: Some(fault), seeds, lanes, .. }) => {
            if plant_all(&[fault], &FIRST, seeds.unwrap_or(WHOLE.search), lanes, &[]) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

struct Lives {
    cash: u64,
    cards: u64,
    search: u64,
}

struct Chosen {
    quick: bool,
    fault: Option<Fault>,
    seeds: Option<u64>,
    lanes: u64,
}

fn chosen(arguments: &[String]) -> Result<Chosen, String> {
    let lanes = std::thread::available_parallelism().map_or(1, |many| many.get() as u64);
    let mut chosen = Chosen { quick: false, fault: None, seeds: None, lanes };
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match (word, words.clone().next()) {
            ("--quick", _) => {
                chosen.quick = true;
                continue;
            }
            ("--fault", Some(name)) => {
                let known = Fault::ALL.iter().find(|fault| format!("{fault:?}") == name);
                let names = || -> String {
                    Fault::ALL.iter().map(|fault| format!("{fault:?}: {}\n", fault.says())).collect()
                };
                chosen.fault = Some(*known.ok_or_else(names)?);
            }
            ("--seeds", Some(count)) => chosen.seeds = Some(number(count)?),
            ("--lanes", Some(count)) => chosen.lanes = number(count)?.max(1),
            _ => return Err("use: cargo planted [--quick | --fault NAME] [--seeds N] [--lanes N]".into()),
        }
        words.next();
    }
    Ok(chosen)
}

/// Whether the healthy code keeps all rules and comes everywhere.
fn is_whole(lanes: u64, towns: &[Range<u64>]) -> bool {
    let (campaign, reached) = healthy(lanes, towns);
    print!("{}", campaign.summary());
    println!("  reached: {} marks, {} rows of the session's tables", reached.sites.len(), reached.rows.len());
    let (missed, untold) = (missed(&reached), untold(&reached));
    missed.iter().for_each(|what| println!("NEVER REACHED: {what}"));
    untold.iter().for_each(|row| println!("WRONGLY REACHED: {row}"));
    campaign.is_in_order() && missed.is_empty() && untold.is_empty()
}

/// Plants each and prints a row for it; whether all were found from every first seed.
fn plant_all(faults: &[Fault], firsts: &[u64], budget: u64, lanes: u64, sound: &[Range<u64>]) -> bool {
    let begun = Instant::now();
    let searches: Vec<Vec<Search>> =
        firsts.iter().map(|first| search_all(lanes, faults, *first, budget, sound)).collect();
    let mut found = 0;
    let mut all: Vec<u64> = Vec::new();
    for (place, fault) in faults.iter().enumerate() {
        let of = |searches: &Vec<Search>| searches.get(place).copied();
        let searches: Vec<Search> = searches.iter().filter_map(of).collect();
        let cells: Vec<String> = searches.iter().map(|search| cell(*search)).collect();
        println!("| {fault:?} | {} |", cells.join(" | "));
        let lives: Vec<u64> = searches.iter().filter_map(lives).collect();
        found += usize::from(lives.len() == searches.len());
        all.extend(lives);
    }
    all.sort_unstable();
    let median = all.get(all.len() / 2).copied().unwrap_or(0);
    println!(
        "{found} of {} found from every first seed; median {median} lives; {} s",
        faults.len(),
        begun.elapsed().as_secs()
    );
    found == faults.len()
}

fn cell(search: Search) -> String {
    match search {
        Search::Found(found) => format!("{} ({})", found.seeds, found.invariant.code()),
        Search::Missed(chances) => format!("NOT FOUND, {chances} chances"),
    }
}

fn lives(search: &Search) -> Option<u64> {
    match search {
        Search::Found(found) => Some(found.seeds),
        Search::Missed(_) => None,
    }
}
