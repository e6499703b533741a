//! Every decoder against hostile input: the corpus, everything found before, and some thousand accidents that follow from a seed.
//!
//! The claims stand in `tests/src/fuzz`. Memory is counted here, because a program has one allocator.

use cap::Cap;
use std::{alloc::System, collections::BTreeSet, fs, sync::Mutex};
use tolem_tests::{
    files::top,
    fuzz::{Step, TARGETS, Target, hex, target},
};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// One at a time: what another test of this process takes would be counted too.
static ALONE: Mutex<()> = Mutex::new(());

/// Accidents for each target in an ordinary run; `FUZZ_ROUNDS` says another number, `FUZZ_SEED` another seed.
const ROUNDS: u64 = 2_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}

#[test]
fn no_input_breaks_a_decoder_or_its_claims() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (seed, rounds) = (setting("FUZZ_SEED", 1), setting("FUZZ_ROUNDS", ROUNDS));
    for target in &TARGETS {
        explore(target, seed, rounds);
    }
}

fn explore(target: &Target, seed: u64, rounds: u64) {
    // What a target makes once and keeps is not the input's.
    let warm = target.corpus();
    warm.iter().take(1).for_each(|input| drop(target.try_one(input)));
    let (mut before, mut most, mut inputs, mut bytes) = (0, 0, 0, 0);
    let tried = target.explore(seed, rounds, &mut |step| match step {
        Step::Before => before = MEMORY.total_allocated(),
        Step::After(length) => {
            most = most.max(MEMORY.total_allocated() - before);
            (inputs, bytes) = (inputs + 1, bytes + length);
        }
    });
    if let Err(broken) = tried {
        panic!(
            "{}: {}\nFUZZ_SEED={seed} FUZZ_ROUNDS={rounds}; for tests/fuzz/found.txt:\n{} = {}",
            target.name,
            broken.said,
            target.name,
            hex(&broken.input)
        );
    }
    assert!(most <= target.memory, "{}: an input took {most} bytes of memory", target.name);
    println!("{:<16} {inputs:>7} inputs, {bytes:>9} bytes, at most {most:>8} bytes of memory", target.name);
}

/// The other engine drives the same functions, and all of them.
#[test]
fn every_target_can_be_run_by_libfuzzer_too() {
    let directory = top().join("tests/fuzz/fuzz_targets");
    let listed = fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let files: BTreeSet<String> =
        listed.filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned)).collect();
    assert_eq!(files, TARGETS.iter().map(|target| target.name.to_owned()).collect());
    let manifest = fs::read_to_string(top().join("tests/fuzz/Cargo.toml")).unwrap_or_default();
    for target in &TARGETS {
        let path = format!("path = \"fuzz_targets/{}.rs\"", target.name);
        assert!(manifest.contains(&path), "tests/fuzz/Cargo.toml does not name {}", target.name);
    }
}

/// A decoder that does break is caught, and what is printed breaks it again.
#[test]
fn the_engine_finds_a_planted_fault_and_makes_it_short() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let planted = Target {
        name: "planted",
        run: |bytes| assert!(!bytes.windows(2).any(|pair| pair == [0xFF, 0]), "planted"),
        seeds: || vec![("good".into(), vec![0; 300])],
        memory: 0,
    };
    let broken = planted.explore(1, 20_000, &mut |_| ()).err().map(|broken| (broken.input, broken.said));
    assert_eq!(broken, Some((vec![0xFF, 0], "planted".to_owned())));
    assert!(target("planted").is_none() && target("records").is_some());
}
