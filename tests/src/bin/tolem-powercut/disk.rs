//! Every disk, every setting: what is lost where.

use super::number;
use std::time::Instant as Clock;
use tolem_crash_vfs::Media;
use tolem_tests::cuts::{Setting, center, kiosk, tell};

/// What a row must show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Must {
    /// Not one loss.
    Keep,
    /// At least one: else the harness is blind.
    Bite,
    /// Nothing: it is only told.
    Tell,
}

pub(crate) fn run(words: &[&str]) -> Result<bool, String> {
    let (from, seeds) = (number(words, "--from", 0)?, number(words, "--seeds", 500)?);
    let mut good = true;
    for (name, must, setting) in rows() {
        for (whose, story) in [("kiosk", kiosk::story as fn(u64, &Setting) -> _), ("center", center::story)] {
            let start = Clock::now();
            let tally = tell(from..from + seeds, |seed| story(seed, &setting));
            let rate = tally.sum.cuts as f64 / start.elapsed().as_secs_f64();
            println!("{whose}, {name}: {tally} ({rate:.0} cuts/s)");
            let faults = tally.lost.len() + tally.damaged.len();
            good &= match must {
                Must::Keep => faults == 0,
                Must::Bite => faults > 0,
                Must::Tell => true,
            };
        }
    }
    Ok(good)
}

fn rows() -> Vec<(&'static str, Must, Setting)> {
    let honest = Media::HONEST;
    let garbage = Media { garbage: true, ..honest };
    let unsafe_media = Media { keeps_neighbours: false, claims_safe_overwrite: false, ..garbage };
    let wrongly_claimed = Media { claims_safe_overwrite: true, ..unsafe_media };
    let only_cuts = |media| Setting { errors: false, ..Setting::ours(media) };
    let no_checkpoint = |media| Setting { checkpoint: Some("NOOP"), ..only_cuts(media) };
    let bent = |value| Setting { synchronous: Some(value), ..only_cuts(honest) };
    vec![
        ("ours, torn/lost/reordered", Must::Keep, only_cuts(honest)),
        ("ours, with errors and full disks", Must::Keep, Setting::ours(honest)),
        ("ours, garbage in what was written", Must::Keep, Setting::ours(garbage)),
        ("ours, garbage in whole sectors, SQLite knows", Must::Keep, only_cuts(unsafe_media)),
        ("ours, garbage in whole sectors, SQLite does not know", Must::Tell, only_cuts(wrongly_claimed)),
        ("ours, garbage in 4 KiB, SQLite knows", Must::Keep, only_cuts(Media { unit: 4096, ..unsafe_media })),
        (
            "ours, garbage in 4 KiB, SQLite does not know",
            Must::Tell,
            only_cuts(Media { unit: 4096, ..wrongly_claimed }),
        ),
        ("no checkpoint at the start", Must::Tell, no_checkpoint(honest)),
        ("no checkpoint, garbage in whole sectors, SQLite knows", Must::Tell, no_checkpoint(unsafe_media)),
        (
            "no checkpoint, garbage in whole sectors, SQLite does not know",
            Must::Tell,
            no_checkpoint(wrongly_claimed),
        ),
        ("synchronous=NORMAL", Must::Bite, bent("1")),
        ("synchronous=OFF", Must::Bite, bent("0")),
        ("ours on a disk that lies", Must::Bite, only_cuts(Media { lies: true, ..honest })),
    ]
}
