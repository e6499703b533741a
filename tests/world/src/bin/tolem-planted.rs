//! `cargo planted`: plants bugs and counts how many lives it takes to find each.
//!
//! ```text
//! cargo planted                   the healthy code in 2000 lives, then every fault from three first seeds
//! cargo planted --quick           every fault from one first seed, with a small budget
//! cargo planted --fault NAME      one fault; `list` names them
//! cargo planted ... --seeds N     lives at most for each search (and for the healthy code)
//! ```
//! The exit code is 1 if a fault is not found, if the healthy code breaks a rule, or if it misses a reach mark or a row of a table.

use std::process::ExitCode;
use tolem_probe::Fault;
use tolem_world::planted::{Search, healthy, missed, search, untold};

/// Lives at most for each search.
const BUDGET: u64 = 2_000;
/// The same with `--quick`.
const QUICK: u64 = 150;
/// With `--quick`, so many faults must be found.
const QUICK_FINDS: usize = 25;
/// Where the searches begin.
const FIRST: [u64; 3] = [0, 100_000, 200_000];

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match chosen(&arguments) {
        Ok(Chosen { quick, fault, seeds }) => {
            let good = match fault {
                Some(fault) => plant_all(&[fault], &FIRST, seeds.unwrap_or(BUDGET)) == 1,
                None if quick => plant_all(Fault::ALL, &FIRST[..1], seeds.unwrap_or(QUICK)) >= QUICK_FINDS,
                None => {
                    let budget = seeds.unwrap_or(BUDGET);
                    let whole = is_whole(budget);
                    plant_all(Fault::ALL, &FIRST, budget) == Fault::ALL.len() && whole
                }
            };
            if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

#[derive(Default)]
struct Chosen {
    quick: bool,
    fault: Option<Fault>,
    seeds: Option<u64>,
}

fn chosen(arguments: &[String]) -> Result<Chosen, String> {
    let mut chosen = Chosen::default();
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match (word, words.clone().next()) {
            ("--quick", _) => chosen.quick = true,
            ("--fault", Some(name)) => {
                let known = Fault::ALL.iter().find(|fault| format!("{fault:?}") == name);
                let names = || -> String {
                    Fault::ALL.iter().map(|fault| format!("{fault:?}: {}\n", fault.says())).collect()
                };
                chosen.fault = Some(*known.ok_or_else(names)?);
                words.next();
            }
            ("--seeds", Some(count)) => {
                chosen.seeds = Some(count.parse().map_err(|error| format!("{count:?}: {error}"))?);
                words.next();
            }
            _ => return Err("use: cargo planted [--quick | --fault NAME] [--seeds N]".into()),
        }
    }
    Ok(chosen)
}

/// Whether the healthy code keeps all rules and comes everywhere.
fn is_whole(seeds: u64) -> bool {
    let (reached, broken) = healthy(0, seeds);
    println!("healthy: {seeds} lives, {} marks, {} rows", reached.sites.len(), reached.rows.len());
    let missed = missed(&reached);
    let untold = untold(&reached);
    broken.iter().for_each(|seed| println!("BROKEN without a fault: seed {seed}"));
    missed.iter().for_each(|what| println!("NEVER REACHED: {what}"));
    untold.iter().for_each(|row| println!("IN NO TABLE: {row}"));
    broken.is_empty() && missed.is_empty() && untold.is_empty()
}

/// Plants each and prints a row for it; gives how many were found from every first seed.
fn plant_all(faults: &[Fault], firsts: &[u64], budget: u64) -> usize {
    let mut found = 0;
    let mut all: Vec<u64> = Vec::new();
    for fault in faults {
        let searches: Vec<Search> = firsts.iter().map(|first| search(*fault, *first, budget)).collect();
        let cells: Vec<String> = searches.iter().map(|search| cell(*search)).collect();
        println!("| {fault:?} | {} |", cells.join(" | "));
        let lives: Vec<u64> = searches.iter().filter_map(lives).collect();
        found += usize::from(lives.len() == searches.len());
        all.extend(lives);
    }
    all.sort_unstable();
    let median = all.get(all.len() / 2).copied().unwrap_or(0);
    println!("{found} of {} found from every first seed; median {median} lives", faults.len());
    found
}

fn cell(search: Search) -> String {
    match search {
        Search::Found(found) => format!("{} ({})", found.seeds, found.invariant.code()),
        Search::Missed(chances) => format!("NOT FOUND, {chances} chances"),
        Search::NotHealthy(seed) => format!("seed {seed} FAILS WITHOUT IT"),
    }
}

fn lives(search: &Search) -> Option<u64> {
    match search {
        Search::Found(found) => Some(found.seeds),
        Search::Missed(_) | Search::NotHealthy(_) => None,
    }
}
