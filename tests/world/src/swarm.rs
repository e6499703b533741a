//! Many worlds, one after the other: what they went through, and what they broke.

use crate::rig::SharedCenter;
use std::{
    fs,
    ops::Range,
    panic,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use tolem_hal_sim::world::{self, Kind, Options, Plan, Report, What, shrink::shrink, tally::Tally};

/// What must have happened somewhere in a campaign, beside each happening of the plans: else the campaign proves less than it says.
const MUST_HAPPEN: &[&str] = &[
    "aborts",
    "answer lost",
    "answer twice",
    "boots",
    "cut between two effects",
    "damaged journal found",
    "note in doubt",
    "notes",
    "notes returned",
    "old journal found",
    "power cut",
    "power cut inside an append",
    "program killed",
    "request lost",
    "request twice",
    "sessions",
    "stacked by counter",
    "stacked by power-up",
    "stacked by report",
];
/// The same in towns with cards.
const CARDS_MUST: &[&str] = &[
    "card approved",
    "card asked for",
    "card declined",
    "card forgotten",
    "card kept",
    "card paid",
    "card put in",
    "card to be undone",
    "card torn out",
    "card undone",
    "stale approval",
    "wrong PIN",
];
/// Campaigns of so many seeds are asked whether everything has happened; the rarest happens two dozen times in so many.
const WHOLE_CAMPAIGN: u64 = 400;

/// Runs a program whose lives may panic: a panic in a life is a finding, told with its seed; one outside of a life is told
/// here, and ends the program with 101 as usual.
pub fn quiet_but_for_the_harness(program: impl FnOnce() -> ExitCode) -> ExitCode {
    panic::set_hook(Box::new(|_| {}));
    panic::catch_unwind(panic::AssertUnwindSafe(program)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no words");
        eprintln!("the harness itself panicked: {text}");
        ExitCode::from(101)
    })
}

/// Lives the plan of `seed` with the real center.
pub fn live(seed: u64, options: Options) -> Report {
    live_plan(&Plan::draw(seed), options)
}

/// Lives a plan with the real center.
pub fn live_plan(plan: &Plan, options: Options) -> Report {
    world::live::<SharedCenter>(plan, options)
}

/// What a campaign went through.
#[derive(Debug)]
pub struct Campaign {
    /// Seeds that were lived.
    pub lives: u64,
    /// What happened how often.
    pub tally: Tally,
    /// Virtual time in all of them.
    pub lasted: Duration,
    /// Real time.
    pub took: Duration,
    /// Reports with a broken rule.
    pub failures: Vec<Report>,
    /// What differed when a seed was lived twice.
    pub differences: Vec<String>,
}

/// In a campaign every 16th life reads all papers.
pub fn is_thorough(seed: u64) -> bool {
    seed.is_multiple_of(16)
}

/// After so many failures a campaign usually ends.
pub const MOST_FAILURES: usize = 5;

/// Lives all `seeds` until so many failed; each `twice_every`-th is lived twice, and both must end alike. Some
/// are [thorough](is_thorough).
pub fn campaign(seeds: Range<u64>, twice_every: u64, most_failures: usize) -> Campaign {
    let begun = Instant::now();
    let mut campaign = Campaign {
        lives: 0,
        tally: Tally::default(),
        lasted: Duration::ZERO,
        took: Duration::ZERO,
        failures: Vec::new(),
        differences: Vec::new(),
    };
    for seed in seeds {
        let options = Options { thorough: is_thorough(seed), ..Options::default() };
        let report = live(seed, options);
        campaign.lives += 1;
        campaign.tally.merge(&report.tally);
        campaign.lasted += report.lasted;
        if twice_every > 0 && seed % twice_every == 0 {
            let again = live(seed, Options { chronicle: true, ..options });
            if again.hash != report.hash || again.violation != report.violation {
                campaign.differences.push(format!("seed {seed} ends in two ways"));
            }
        }
        if report.violation.is_some() {
            campaign.failures.push(report);
            if campaign.failures.len() == most_failures {
                break;
            }
        }
    }
    campaign.took = begun.elapsed();
    campaign
}

/// The same on `lanes` threads: lives do not touch each other.
pub fn campaign_on(lanes: u64, seeds: Range<u64>, twice_every: u64, most_failures: usize) -> Campaign {
    campaign_with(lanes, seeds, twice_every, most_failures, || ()).0
}

/// The same; `seen` is asked on its thread for what a share of the seeds has left there.
pub fn campaign_with<T: Send>(
    lanes: u64,
    seeds: Range<u64>,
    twice_every: u64,
    most_failures: usize,
    seen: impl Fn() -> T + Sync,
) -> (Campaign, Vec<T>) {
    let begun = Instant::now();
    let failed = AtomicUsize::new(0);
    let shares = on_lanes(lanes, seeds, |seeds| {
        let left = most_failures.saturating_sub(failed.load(Relaxed));
        let lived = campaign(if left > 0 { seeds } else { 0..0 }, twice_every, left);
        failed.fetch_add(lived.failures.len(), Relaxed);
        (lived, seen())
    });
    let (lived, seen): (Vec<_>, Vec<_>) = shares.into_iter().unzip();
    let whole = lived.into_iter().reduce(Campaign::and).unwrap_or_else(|| campaign(0..0, 0, 0));
    (Campaign { took: begun.elapsed(), ..whole }, seen)
}

/// Does `work` with all of `seeds` on `lanes` threads: each takes the next share when it is free, so that all end at about the same time.
/// In the order of the seeds.
pub fn on_lanes<R: Send>(lanes: u64, seeds: Range<u64>, work: impl Fn(Range<u64>) -> R + Sync) -> Vec<R> {
    const SHARES: u64 = 32;
    let share = ((seeds.end - seeds.start) / (lanes * SHARES).max(1)).max(1);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let hand = || {
        loop {
            let place = next.fetch_add(1, Relaxed);
            let from = seeds.start + place as u64 * share;
            if from >= seeds.end {
                return;
            }
            let result = work(from..(from + share).min(seeds.end));
            done.lock().expect("nobody panics while it is held").push((place, result));
        }
    };
    thread::scope(|scope| {
        let hands: Vec<_> = (0..lanes).map(|_| scope.spawn(hand)).collect();
        hands.into_iter().for_each(|hand| hand.join().expect("a life that panics is caught in it"));
    });
    let mut done = done.into_inner().expect("nobody panicked while it was held");
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

impl Campaign {
    /// Both together, lived one after the other.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.lives += other.lives;
        self.tally.merge(&other.tally);
        self.lasted += other.lasted;
        self.took += other.took;
        self.failures.extend(other.failures);
        self.differences.extend(other.differences);
        self
    }

    /// What should have happened and did not; empty for campaigns that are too short to ask.
    pub fn missing(&self) -> Vec<&'static str> {
        if self.lives < WHOLE_CAMPAIGN {
            return Vec::new();
        }
        // A campaign in towns without cards proves nothing about them, and says so by its seeds.
        let with_cards = self.tally.of("card asked for") > 0;
        let asked = |kind: Kind| with_cards || kind != Kind::Card;
        let words = What::TABLE.iter().filter(|(_, kind, _)| asked(*kind)).map(|(word, ..)| *word);
        let others = MUST_HAPPEN.iter().chain(CARDS_MUST.iter().filter(|_| with_cards)).copied();
        words.chain(others).filter(|word| self.tally.of(word) == 0).collect()
    }

    /// Says what is wrong with it: what differed, what never happened, and each failure, made short and written to a file in
    /// `target/scenarios`. Whether all is in order.
    pub fn is_in_order(&self) -> bool {
        self.differences.iter().for_each(|what| println!("NOT REPEATABLE: {what}"));
        let missing = self.missing();
        missing.iter().for_each(|what| println!("NEVER HAPPENED: {what}"));
        for report in &self.failures {
            report.violation.iter().for_each(|violation| println!("seed {} BROKE {violation}", report.seed));
            let thorough = is_thorough(report.seed);
            let text = scenario(&Plan::draw(report.seed), Options { thorough, ..Options::default() });
            match write(report.seed, &text) {
                Ok(path) => println!("{text}\nwritten to {}", path.display()),
                Err(error) => println!("{text}\nnot written: {error}"),
            }
        }
        if self.failures.is_empty() {
            println!("no rule was broken, no note lost");
        }
        self.failures.is_empty() && self.differences.is_empty() && missing.is_empty()
    }

    /// Everything in lines.
    pub fn summary(&self) -> String {
        let seconds = self.took.as_secs_f64().max(1e-9);
        let count = |word| self.tally.of(word);
        let cuts = count("cut between two effects")
            + count("power cut inside an append")
            + count("power cut")
            + count("program killed");
        let mut text = format!(
            "{} seeds, {} sessions, {} notes, {} boots, {} deaths and cuts; {:.0} h of virtual time in {seconds:.1} s: \
             {:.0} sessions/s, {:.0} seeds/s\n",
            self.lives,
            count("sessions"),
            count("notes"),
            count("boots"),
            cuts,
            self.lasted.as_secs_f64() / 3600.0,
            count("sessions") as f64 / seconds,
            self.lives as f64 / seconds,
        );
        for kind in [
            Kind::People,
            Kind::Power,
            Kind::Disk,
            Kind::Acceptor,
            Kind::Printer,
            Kind::Link,
            Kind::Center,
            Kind::Card,
            Kind::Clock,
            Kind::Disaster,
        ] {
            let of = What::TABLE.iter().filter(|(_, known, _)| *known == kind);
            let counts: Vec<String> = of.map(|(word, ..)| format!("{word} {}", count(word))).collect();
            text += &format!("  {kind:?}: {}\n", counts.join(", "));
        }
        let seen: Vec<String> = MUST_HAPPEN.iter().map(|word| format!("{word} {}", count(word))).collect();
        text += &format!("  seen: {}\n", seen.join(", "));
        text
    }
}

/// Shortens a failing plan and gives the file that tells it: how to replay it, what it breaks, what happens, and the last events.
pub fn scenario(plan: &Plan, options: Options) -> String {
    let broken = |plan: &Plan| live_plan(plan, options).violation.map(|violation| violation.invariant);
    let wanted = broken(plan);
    let short = shrink(plan, |candidate| broken(candidate) == wanted);
    let report = live_plan(&short, Options { chronicle: true, ..options });
    let mut text = format!("# Live it again: cargo swarm --replay THIS-FILE\n{short}\n");
    if let Some(violation) = &report.violation {
        for line in violation.to_string().lines() {
            text += &format!("# {line}\n");
        }
    }
    text += "#\n# The last events: ms, kiosk, what\n";
    let from = report.chronicle.len().saturating_sub(50);
    for line in &report.chronicle[from..] {
        text += &format!("# {line}\n");
    }
    text
}

fn write(seed: u64, text: &str) -> std::io::Result<PathBuf> {
    let folder = PathBuf::from("target").join("scenarios");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("seed-{seed}.txt"));
    fs::write(&path, text)?;
    Ok(path)
}
