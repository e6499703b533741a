//! Many worlds, one after the other: what they went through, and what they broke.

use crate::rig::SharedCenter;
use std::{
    ops::Range,
    panic,
    process::ExitCode,
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
/// Campaigns of so many seeds are asked whether everything has happened.
const WHOLE_CAMPAIGN: u64 = 1_000;

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

/// After so many failures a campaign usually ends.
pub const MOST_FAILURES: usize = 5;

/// Lives all `seeds` until so many failed; each `twice_every`-th is lived twice, and both must end alike. Every 16th reads all
/// papers.
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
        let options = Options { thorough: seed % 16 == 0, ..Options::default() };
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
    on_lanes(lanes, seeds, |seeds| campaign(seeds, twice_every, most_failures))
        .into_iter()
        .reduce(Campaign::and)
        .unwrap_or_else(|| campaign(0..0, 0, 0))
}

/// Does `work` with a share of `seeds` on each of `lanes` threads.
pub fn on_lanes<R: Send>(lanes: u64, seeds: Range<u64>, work: impl Fn(Range<u64>) -> R + Sync) -> Vec<R> {
    let share = (seeds.end - seeds.start).div_ceil(lanes.max(1)).max(1);
    let begins = seeds.clone().step_by(usize::try_from(share).unwrap_or(usize::MAX));
    let shares: Vec<Range<u64>> = begins.map(|from| from..(from + share).min(seeds.end)).collect();
    let work = &work;
    thread::scope(|scope| {
        let hands: Vec<_> = shares.into_iter().map(|share| scope.spawn(move || work(share))).collect();
        hands.into_iter().map(|hand| hand.join().expect("a life that panics is caught in it")).collect()
    })
}

impl Campaign {
    /// Both together, lived side by side.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.lives += other.lives;
        self.tally.merge(&other.tally);
        self.lasted += other.lasted;
        self.took = self.took.max(other.took);
        self.failures.extend(other.failures);
        self.differences.extend(other.differences);
        self
    }

    /// What should have happened and did not; empty for campaigns that are too short to ask.
    pub fn missing(&self) -> Vec<&'static str> {
        if self.lives < WHOLE_CAMPAIGN {
            return Vec::new();
        }
        let words = What::TABLE.iter().map(|(word, ..)| *word);
        words.chain(MUST_HAPPEN.iter().copied()).filter(|word| self.tally.of(word) == 0).collect()
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
