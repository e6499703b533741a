//! The harness itself is tested: bugs are planted, one at a time, and the swarm must find each.
//!
//! A swarm that finds nothing is good, or blind. So the healthy code is lived first, and must come to every reach mark and every row of
//! the session's table; then each [`Fault`] is planted in the same lives, and it is counted how many it takes until a rule is broken.

use crate::swarm::{Campaign, MOST_FAILURES, campaign, campaign_with, is_thorough, live, on_lanes};
use std::{collections::BTreeMap, ops::Range};
use tolem_hal_sim::world::{CARDS_FROM, Options, invariants::Invariant};
use tolem_probe::{Fault, Reached, Site, plant, take_reached, times_planted};

/// The tables of the session, as its own tests write them: all that matters to notes and papers, and what cards add to it.
const STATES: &str = include_str!("../../../core/src/session/states.txt");
const CARDS: &str = include_str!("../../../core/src/session/cards.txt");

/// What it took to find a planted fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// Lives until then, this one included.
    pub seeds: u64,
    /// The life that showed it.
    pub seed: u64,
    /// The rule that was broken.
    pub invariant: Invariant,
}

/// What became of a planted fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Search {
    /// A rule was broken that the healthy code keeps in the same life.
    Found(Found),
    /// No rule was broken; so often the fault had its chance.
    Missed(u64),
}

/// Faults that only a town with cards can show.
const OF_CARDS: &[Fault] = &[
    Fault::PanLogged,
    Fault::ConfirmBeforePrint,
    Fault::SilenceIsDecline,
    Fault::CutOffConfirmed,
    Fault::ForgottenCardPays,
    Fault::RetryAuthorizeWithNewId,
    Fault::ReversalForgotten,
    Fault::TraceNumberReused,
    Fault::LateApprovalWins,
    Fault::ReversalBeforeVoid,
    Fault::DeclineLeavesCode,
    Fault::ConfirmationForgotten,
    Fault::NumberKept,
];

/// Plants `fault` in the lives from `first` on, among towns with cards if it is of cards, at most `budget` of them. The healthy code is
/// known to keep all rules in the lives `sound`; a life in which it breaks one too proves nothing, and the next one is looked at.
pub fn search(fault: Fault, first: u64, budget: u64, sound: &[Range<u64>]) -> Search {
    let mut chances = 0;
    let first = if OF_CARDS.contains(&fault) { first.saturating_add(CARDS_FROM) } else { first };
    for seed in first..first.saturating_add(budget) {
        plant(Some(fault));
        let report = live(seed, options(seed));
        chances += times_planted();
        plant(None);
        let Some(violation) = report.violation else { continue };
        let known = sound.iter().any(|seeds| seeds.contains(&seed));
        if known || live(seed, options(seed)).violation.is_none() {
            return Search::Found(Found { seeds: seed - first + 1, seed, invariant: violation.invariant });
        }
    }
    Search::Missed(chances)
}

/// As in a campaign.
pub fn options(seed: u64) -> Options {
    Options { thorough: is_thorough(seed), ..Options::default() }
}

/// Lives the healthy code on `lanes` threads, in each of `towns`: what it went through, and where it has been.
pub fn healthy(lanes: u64, towns: &[Range<u64>]) -> (Campaign, Reached) {
    let mut reached = Reached::default();
    let lived = towns.iter().map(|seeds| {
        let (campaign, been) = campaign_with(lanes, seeds.clone(), 100, MOST_FAILURES, take_reached);
        been.into_iter().for_each(|been| reached.merge(been));
        campaign
    });
    let campaign = lived.reduce(Campaign::and).unwrap_or_else(|| campaign(0..0, 0, 0));
    (campaign, reached)
}

/// Searches for each of `faults` from `first`, on `lanes` threads.
pub fn search_all(
    lanes: u64,
    faults: &[Fault],
    first: u64,
    budget: u64,
    sound: &[Range<u64>],
) -> Vec<Search> {
    let one = |place: u64| search(faults[place as usize], first, budget, sound);
    on_lanes(lanes, 0..faults.len() as u64, |places| places.map(one).collect::<Vec<_>>()).concat()
}

/// Reach marks and rows of the session's tables that should have been visited and were not.
pub fn missed(reached: &Reached) -> Vec<String> {
    let marks = Site::ALL.iter().filter(|site| !reached.sites.contains_key(site));
    let marks = marks.map(|site| format!("mark {site:?}: {}", site.says()));
    // Of the rows of cards most are guards: the kiosk does not even ask there.
    let cards = table(CARDS).into_iter().filter(|(_, wanted)| *wanted != Wanted::Guard);
    let rows = table(STATES).into_iter().chain(cards);
    let wanted = |wanted: &Wanted| matches!(wanted, Wanted::Sometimes | Wanted::Guard);
    let rows = rows.filter(|(row, how)| wanted(how) && !reached.rows.contains_key(row));
    marks.chain(rows.map(|(row, _)| format!("row {row}"))).collect()
}

/// Rows that are visited but stand in no table, or stand there as never visited.
pub fn untold(reached: &Reached) -> Vec<String> {
    let told: BTreeMap<String, Wanted> = [table(STATES), table(CARDS)].concat().into_iter().collect();
    let wrong = |row: &String| match told.get(row) {
        None => Some(format!("{row}: in no table")),
        Some(Wanted::Never) => Some(format!("{row}: its table says that nothing leads there")),
        Some(Wanted::Sometimes | Wanted::Guard | Wanted::Rare) => None,
    };
    reached.rows.keys().filter_map(wrong).collect()
}

/// What a table says of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    /// It is reached.
    Sometimes,
    /// The same, and nothing follows there.
    Guard,
    /// It may be.
    Rare,
    /// It is not.
    Never,
}

/// All rows.
fn table(text: &str) -> Vec<(String, Wanted)> {
    let mut input = "";
    let mut rows = Vec::new();
    for line in text.lines() {
        match line.split_once(" -> ") {
            Some((state, then)) if line.starts_with(' ') => {
                let wanted = match then {
                    then if then.contains("(never") => Wanted::Never,
                    then if then.contains("(rare") => Wanted::Rare,
                    "nothing" => Wanted::Guard,
                    _ => Wanted::Sometimes,
                };
                rows.push((format!("{input} | {}", state.trim()), wanted));
            }
            _ => input = line.trim(),
        }
    }
    rows
}
