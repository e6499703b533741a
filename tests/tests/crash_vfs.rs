//! The kiosk's journal and the center's database on a disk that loses its power, fails, fills up and lies, below the real SQLite.
//!
//! `CRASH_SEEDS=5000 cargo test -p tolem-tests --test crash_vfs` for more stories, `CRASH_SEED=7` for one; how many cuts a second the
//! machine makes is printed, never judged. `tolem-powercut disk` tries more disks and settings.

use std::{ops::Range, time::Instant as Clock};
use tolem_crash_vfs::{Failure, Media};
use tolem_tests::cuts::{Setting, Story, Tally, center, kiosk, kiosk::Plan, tell};

/// Stories of six lives each: 3,000 lives of the kiosk's journal.
const SEEDS: u64 = 500;
/// Records that fill the log more than once.
const LONG_LIFE: u64 = 400;
/// A start does more than so many writes, flushes and changes of the directory.
const OPERATIONS_OF_A_START: u64 = 12;

fn seeds(usual: u64) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match number("CRASH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CRASH_SEEDS").unwrap_or(usual),
    }
}

/// Tells the stories and says how fast it went.
fn timed(what: &str, seeds: Range<u64>, setting: &Setting, story: fn(u64, &Setting) -> Story) -> Tally {
    let start = Clock::now();
    let tally = tell(seeds, |seed| story(seed, setting));
    eprintln!("{what}: {tally} ({:.0} cuts/s)", tally.sum.cuts as f64 / start.elapsed().as_secs_f64());
    tally
}

fn only_cuts(media: Media) -> Setting {
    Setting { errors: false, ..Setting::ours(media) }
}

fn nothing_is_lost(tally: &Tally) {
    assert_eq!((&tally.lost[..], &tally.damaged[..]), (&[][..], &[][..]), "{tally}");
    assert!(tally.sum.acknowledged > 0 && tally.sum.cuts >= tally.seeds, "something happened: {tally}");
}

#[test]
fn the_journal_loses_no_acknowledged_record_whatever_the_disk_does() {
    let ours = Setting::ours(Media { garbage: true, ..Media::HONEST });
    let tally = timed("kiosk", seeds(SEEDS), &ours, kiosk::story);
    nothing_is_lost(&tally);
    // Every kind of failure must have had its turn, else this says nothing.
    let sum = &tally.sum;
    if tally.seeds >= SEEDS {
        let least = [sum.in_recovery, sum.errors, sum.full, sum.extra].into_iter().min();
        assert!(least > Some(20), "cuts in recovery, errors, full disks, extra records: {tally}");
    }
}

/// Each operation of the first start, and of a later one, fails in each way; then power and disk are well again.
#[test]
fn each_operation_of_a_start_may_fail() {
    let ours = Setting::ours(Media::HONEST);
    for before in [&[][..], &[Plan::CALM]] {
        for failure in [Failure::Cut, Failure::ErrorButKept, Failure::ErrorNotKept, Failure::Full] {
            for only_the_process in [false, true] {
                let mut after = 0;
                loop {
                    let plan = Plan { after, failure, only_the_process, ..Plan::CALM };
                    let story = kiosk::planned(after, &ours, &[before, &[plan, Plan::CALM]].concat());
                    assert_eq!(story.fault, None, "{:#?}", story.told);
                    if story.in_recovery == 0 && after > OPERATIONS_OF_A_START {
                        break;
                    }
                    after += 1;
                }
            }
        }
    }
}

/// After a flush that failed, Linux shows bytes that never reached the disk and calls them clean. A process that starts again finds a
/// transaction there that the next cut takes back, and must not have built upon it.
#[test]
fn what_a_failed_flush_left_in_the_cache_is_not_built_upon() {
    let ours = Setting::ours(Media::HONEST);
    let believing = Setting { believes_cache: true, ..ours };
    let kiosk = |failed, then, setting: &Setting| {
        let cut = Plan { only_the_process: true, ..Plan::CALM };
        let failed = Plan { after: failed, failure: Failure::ErrorNotKept, ..cut };
        kiosk::planned(then, setting, &[cut, failed, Plan { after: then, ..cut }, cut])
    };
    let center = |failed, then, setting: &Setting| {
        let cut =
            center::Plan { after: u64::MAX, failure: Failure::Cut, requests: 3, only_the_process: true };
        let failed = center::Plan { after: failed, failure: Failure::ErrorNotKept, ..cut };
        center::planned(then, setting, &[cut, failed, center::Plan { after: then, ..cut }, cut])
    };
    for story in [&kiosk as &dyn Fn(u64, u64, &Setting) -> Story, &center] {
        let mut bitten = false;
        for failed in 0..5 * OPERATIONS_OF_A_START {
            for then in (0..2 * OPERATIONS_OF_A_START).step_by(2) {
                let told = story(failed, then, &ours);
                assert_eq!(told.fault, None, "{failed}, then {then}: {:#?}", told.told);
                bitten = bitten || story(failed, then, &believing).fault.is_some();
            }
        }
        assert!(bitten, "whoever believes the cache loses nothing here");
    }
}

/// While somebody looks, the log is folded in only up to what they see, without a flush of the database. Where the system then fails to write
/// those pages by itself, the next flush of the database says so, and nobody may go on as if it had not.
#[test]
fn pages_that_never_reached_the_database_are_missed_in_time() {
    let ours = Setting::ours(Media::HONEST);
    let mut told = String::new();
    for after in (0..LONG_LIFE * 5).step_by(37) {
        let looked_at = Plan {
            after,
            failure: Failure::Writeback,
            appends: LONG_LIFE,
            read_until: LONG_LIFE / 2,
            ..Plan::CALM
        };
        let story = kiosk::planned(after, &ours, &[Plan::CALM, looked_at, Plan::CALM]);
        assert_eq!(story.fault, None, "{:#?}", story.told);
        told += &story.told.join("\n");
    }
    let words = "the disk reports an input/output error (its log could not be folded into it)";
    assert!(told.contains(words), "{told}");
}

#[test]
fn the_center_loses_no_answer_whatever_the_disk_does() {
    let ours = Setting::ours(Media { garbage: true, ..Media::HONEST });
    nothing_is_lost(&timed("center", seeds(100), &ours, center::story));
}

/// Media that spoil what lies beside a write: a cut may take an older record with it that stands in the same sector.
#[test]
fn two_cuts_in_a_row_do_not_meet_in_one_sector() {
    let media =
        Media { garbage: true, keeps_neighbours: false, claims_safe_overwrite: false, ..Media::HONEST };
    for (whose, story) in [("kiosk", kiosk::story as fn(u64, &Setting) -> Story), ("center", center::story)] {
        nothing_is_lost(&timed(whose, seeds(100), &only_cuts(media), story));
    }
    let without = Setting { checkpoint: Some("NOOP"), ..only_cuts(media) };
    let tally = timed("center without a checkpoint at the start", seeds(100), &without, center::story);
    assert!(!tally.lost.is_empty(), "the checkpoint changes nothing here: {tally}");
}

#[test]
fn the_harness_bites_when_the_log_is_flushed_seldom_or_never() {
    for value in ["1", "0"] {
        let bent = Setting { synchronous: Some(value), ..only_cuts(Media::HONEST) };
        for story in [kiosk::story, center::story] {
            let tally = timed(&format!("synchronous={value}"), 0..20, &bent, story);
            assert!(
                tally.lost.len() + tally.damaged.len() > 0,
                "synchronous={value} keeps everything here: {tally}"
            );
        }
    }
}

#[test]
fn no_setting_helps_on_a_disk_that_lies() {
    let lying = only_cuts(Media { lies: true, ..Media::HONEST });
    for story in [kiosk::story, center::story] {
        let tally = timed("lies", 0..20, &lying, story);
        assert!(tally.lost.len() + tally.damaged.len() > 0, "a lying disk keeps everything here: {tally}");
    }
}

#[test]
fn the_same_seed_writes_the_same_bytes() {
    let ours = Setting::ours(Media { garbage: true, ..Media::HONEST });
    for story in [kiosk::story, center::story] {
        let first: Vec<Story> = (0..10).map(|seed| story(seed, &ours)).collect();
        let second: Vec<Story> = (0..10).map(|seed| story(seed, &ours)).collect();
        assert_eq!(first, second);
        let mut digests: Vec<_> = first.iter().map(|story| story.digest).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), first.len(), "each seed writes something of its own");
    }
}
