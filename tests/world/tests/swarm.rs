//! A small swarm with every build, and each story that once broke a rule. The large ones: `cargo swarm`.

use std::{fs, path::Path};
use tolem_hal_sim::world::{Options, Plan};
use tolem_world::swarm::{MOST_FAILURES, campaign, live, live_plan};

/// Enough to see that people pay; the rest is `cargo swarm`'s, which is built for speed.
const SEEDS: u64 = 2;

#[test]
fn whatever_happens_no_note_is_lost_or_counted_twice() {
    let campaign = campaign(1..1 + SEEDS, 2, MOST_FAILURES);
    let broken: Vec<_> = campaign.failures.iter().map(|report| (report.seed, &report.violation)).collect();
    assert!(broken.is_empty(), "{broken:#?}\ncargo swarm --seed N tells more");
    assert!(campaign.differences.is_empty(), "the same seed twice: {:?}", campaign.differences);
    for word in ["sessions", "notes", "boots", "stacked by report"] {
        assert!(campaign.tally.of(word) > SEEDS, "the swarm did nothing:\n{}", campaign.summary());
    }
}

#[test]
fn another_seed_is_another_life() {
    let options = Options::default();
    assert_ne!(live(1, options).hash, live(2, options).hash);
}

#[test]
fn stories_that_once_broke_a_rule_stay_in_order() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut lived = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let plan = Plan::parse(&fs::read_to_string(&path).unwrap());
        let plan = plan.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let report = live_plan(&plan, Options { thorough: true, ..Options::default() });
        assert_eq!(report.violation, None, "{}", path.display());
        lived += 1;
    }
    assert!(lived > 0, "no story in {}", folder.display());
}
