//! Rules of the house that a machine can check, so that nobody has to remember them.
//!
//! They read the source as data. What clippy can see is left to clippy (`[workspace.lints]`); here stands what it cannot:
//! unfinished work, places of one machine, numbers that could belong to a living person, dead links.

use expect_test::expect_file;
use std::{collections::BTreeSet, fmt::Write as _, fs};
use tolem_protocol::iin::Iin;
use tolem_tests::files::{TextFile, text_files, top};

/// IINs that no living person can have: born 1850 to 1900, or in a year still to come. All others stay out.
const FIXTURE_IINS: [&str; 12] = [
    "000101300019",
    "000101301805",
    "000101400015",
    "000101400601",
    "991231100010",
    "991231100109",
    "500228200018",
    "500228200900",
    "991231500016",
    "991231500707",
    "960229600013",
    "960229600409",
];

/// Public test numbers of card schemes and of the standards' own examples. All others stay out.
const FIXTURE_CARDS: [&str; 4] = [
    concat!("5413", "3300", "8902", "0011"),
    concat!("4761", "7390", "0101", "0119"),
    concat!("4012", "3456", "7890", "9"),
    concat!("4111", "1111", "1111", "1111"),
];

/// Longer files are read by nobody.
const LINES_PER_FILE: usize = 900;

/// Two screens; a function that needs more wants splitting.
const LINES_PER_FUNCTION: usize = 150;

/// Fails with one line per finding.
fn none(findings: &[String]) {
    let mut text = String::new();
    for finding in findings {
        let _ = writeln!(text, "  {finding}");
    }
    assert!(findings.is_empty(), "{} findings:\n{text}", findings.len());
}

/// Runs a check over each line of each file and collects `path:line: what`.
fn lines(files: &[TextFile], check: impl Fn(&TextFile, &str) -> Option<String>) -> Vec<String> {
    let each = |file: &TextFile| -> Vec<String> {
        let numbered = file.text.lines().enumerate();
        numbered
            .filter_map(|(n, line)| Some(format!("{}:{}: {}", file.path, n + 1, check(file, line)?)))
            .collect()
    };
    files.iter().flat_map(each).collect()
}

fn is_source(file: &TextFile) -> bool {
    [".rs", ".slint", ".js", ".ts", ".html", ".css", ".sh", ".py", ".toml"].iter().any(|end| file.is(end))
        || ["tests/run", ".ci/run"].contains(&file.path.as_str())
}

#[test]
fn no_unfinished_work_is_left() {
    // Split, so that this file does not find itself.
    let marks = [
        concat!("to", "do!("),
        concat!("unimplemen", "ted!("),
        concat!("#[ign", "ore"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("HA", "CK"),
    ];
    none(&lines(&text_files(), |file, line| {
        let mark = marks.iter().find(|mark| is_source(file) && line.contains(**mark))?;
        Some(format!("unfinished or switched off: {mark}"))
    }));
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    let long = text_files().into_iter().filter(|file| is_source(file) && !file.is(".toml"));
    let long =
        long.map(|file| (file.text.lines().count(), file.path)).filter(|(lines, _)| *lines > LINES_PER_FILE);
    none(
        &long
            .map(|(lines, path)| format!("{path}: {lines} lines, at most {LINES_PER_FILE}"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn no_function_is_longer_than_two_screens() {
    let mut long = Vec::new();
    for file in text_files().iter().filter(|file| file.is(".rs")) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let indent = &line[..line.len() - line.trim_start().len()];
            // rustfmt closes a body at the indent of its head.
            let end = lines[start..].iter().position(|line| line.strip_prefix(indent) == Some("}"));
            if let Some(length) = end.filter(|length| *length > LINES_PER_FUNCTION) {
                long.push(format!("{}:{}: `{name}` has {length} lines", file.path, start + 1));
            }
        }
    }
    none(&long);
}

/// The name, if a function with a body of its own lines begins here.
fn function_name(line: &str) -> Option<&str> {
    let head = line.split_once("fn ").filter(|(before, _)| {
        before
            .split_whitespace()
            .all(|word| word.starts_with("pub") || ["async", "const", "unsafe"].contains(&word))
    })?;
    let one_line = line.trim_end().ends_with('}') || line.trim_end().ends_with(';');
    head.1.split(['(', '<']).next().filter(|_| !one_line)
}

/// Where memory is not guarded by the compiler: the table of functions that SQLite calls in tests.
const MAY_BE_UNSAFE: [&str; 1] = ["tests/crash-vfs/src/layer.rs"];

#[test]
fn unsafe_code_stays_in_its_place() {
    // Split, so that this file does not find itself.
    let marks = [
        concat!("unsa", "fe {"),
        concat!("unsa", "fe fn"),
        concat!("unsa", "fe impl"),
        concat!("unsa", "fe extern"),
    ];
    let files = text_files();
    let found = |file: &TextFile, line: &str| {
        let code = file.is(".rs") && !MAY_BE_UNSAFE.contains(&&*file.path);
        (code && marks.iter().any(|mark| line.contains(mark)))
            .then(|| "unsafe code outside its place".to_owned())
    };
    none(&lines(&files, found));
    let there = files.iter().filter(|file| MAY_BE_UNSAFE.contains(&&*file.path));
    assert!(there.clone().all(|file| marks.iter().any(|mark| file.text.contains(mark))), "the search works");
    assert_eq!(there.count(), MAY_BE_UNSAFE.len());
}

#[test]
fn no_place_of_one_machine_is_named() {
    // A mirror or a home directory in the tree works for one person only. Split, so that this file does not find itself.
    let places =
        [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/tmp/", "bash")];
    none(&lines(&text_files(), |_, line| {
        let place = places.iter().find(|place| line.contains(**place))?;
        Some(format!("a path of one machine: {place}"))
    }));
}

#[test]
fn packages_come_from_the_public_index_only() {
    let mut wrong = lines(&text_files(), |file, line| {
        let source = line.strip_prefix("source = ").filter(|_| file.is("Cargo.lock"))?;
        let public = source == "\"registry+https://github.com/rust-lang/crates.io-index\"";
        (!public).then(|| format!("not from crates.io: {source}"))
    });
    let redirects =
        ["[source.", "[registries", "replace-with", "index-url", "--registry", "GOPROXY", "PIP_INDEX"];
    wrong.extend(lines(&text_files(), |file, line| {
        let redirect = redirects.iter().find(|redirect| line.contains(**redirect))?;
        (is_source(file) && file.path != "tests/tests/tidy.rs")
            .then(|| format!("points packages elsewhere: {redirect}"))
    }));
    none(&wrong);
}

#[test]
fn each_module_says_what_it_is() {
    let silent = text_files().into_iter().filter(|file| file.is(".rs") && !file.is("tests.rs"));
    let silent = silent.filter(|file| !file.text.starts_with("//! "));
    none(&silent.map(|file| format!("{}:1: begins without `//! `", file.path)).collect::<Vec<_>>());
}

#[test]
fn each_crate_obeys_the_lints_of_the_workspace() {
    let manifests = text_files().into_iter().filter(|file| file.is("/Cargo.toml"));
    let outside = manifests.filter(|file| !file.text.contains("[workspace]"));
    let deaf = outside.filter(|file| !file.text.contains("[lints]\nworkspace = true\n"));
    none(&deaf.map(|file| format!("{}: has no `[lints] workspace = true`", file.path)).collect::<Vec<_>>());
}

#[test]
fn the_core_repeats_the_bans_of_the_root() {
    // A crate's own clippy.toml replaces the root's, it does not add to it.
    let read = |path: &str| fs::read_to_string(top().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let (root, core) = (read("clippy.toml"), read("core/clippy.toml"));
    let entries = root.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let missing = entries.filter(|entry| !["[", "]"].contains(entry) && !core.contains(entry));
    none(&missing.map(|entry| format!("core/clippy.toml lacks: {entry}")).collect::<Vec<_>>());
}

/// Blessed by `UPDATE_EXPECT=1 cargo test -p tolem-tests --test tidy`.
#[test]
fn the_list_of_faults_is_the_one_in_the_code() {
    expect_file!["../../docs/faults.md"].assert_eq(&tolem_core::health::markdown());
}

/// What stands in backticks in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The money rules name a function for each thing they say; other documents name tests, whose names are long.
#[test]
fn functions_and_tests_that_documents_name_are_there() {
    let files = text_files();
    let sources = files.iter().filter(|file| file.is(".rs")).map(|file| file.text.as_str());
    let heads = sources.flat_map(|text| text.split("fn ").skip(1));
    let functions: BTreeSet<&str> = heads.filter_map(|head| head.split(['(', '<']).next()).collect();
    let mut missing = Vec::new();
    for file in files.iter().filter(|file| file.is(".md")) {
        let least = if file.path == "docs/money.md" { 1 } else { 4 };
        let is_name = |word: &&str| {
            word.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'.')
                && word.matches('_').count() >= least
                && !word.ends_with(".rs")
        };
        for name in quoted(&file.text).filter(is_name) {
            let is_there = match (name.strip_prefix("..."), name.strip_suffix("...")) {
                (Some(end), _) => functions.iter().any(|function| function.ends_with(end)),
                (_, Some(start)) => functions.iter().any(|function| function.starts_with(start)),
                (None, None) => functions.contains(name),
            };
            if !is_there {
                missing.push(format!("{}: there is no function `{name}`", file.path));
            }
        }
    }
    none(&missing);
}

/// A phrase that nobody shows is no help to anybody, and what it promises may be wrong.
#[test]
fn each_phrase_for_citizens_is_shown_by_something() {
    let files = text_files();
    let is_text =
        |file: &&TextFile| file.path.starts_with("core/src/words/") && !file.path.ends_with("tests.rs");
    let declared = files.iter().filter(is_text).flat_map(|file| file.text.lines()).filter_map(|line| {
        let name = line.strip_prefix("        ")?.split_once(':')?.0;
        (name.starts_with(char::is_uppercase) && name.chars().all(char::is_alphanumeric)).then_some(name)
    });
    let shows = |file: &&TextFile| {
        let product = ["core/src/", "ui/", "firmware/src/"].iter().any(|place| file.path.starts_with(place));
        product && file.is(".rs") && !file.path.starts_with("core/src/words/")
    };
    let shown: BTreeSet<&str> =
        files.iter().filter(shows).flat_map(|file| file.text.split(|c: char| !c.is_alphanumeric())).collect();
    let declared: Vec<&str> = declared.collect();
    assert!(declared.len() > 150, "{} phrases are found", declared.len());
    none(
        &declared
            .into_iter()
            .filter(|name| !shown.contains(name))
            .map(|name| format!("core/src/words: {name} is shown by nothing"))
            .collect::<Vec<_>>(),
    );
}

/// Words with a dash in the center's rules that are no alarms: they stand in postings and accounts.
const LEDGER_WORDS: [&str; 7] =
    ["charged-back", "given-back", "journal-failed", "no-payment", "own-loss", "taken-back", "written-off"];

#[test]
fn each_alarm_of_the_center_says_what_to_do() {
    let files = text_files();
    let is_word = |word: &&str| {
        word.contains('-')
            && !word.starts_with('-')
            && word.bytes().all(|c| c.is_ascii_lowercase() || c == b'-')
            && !LEDGER_WORDS.contains(word)
    };
    let rules = files.iter().filter(|file| file.path.starts_with("center/src/logic/") && file.is(".rs"));
    let lines = rules.flat_map(|file| file.text.split("#[cfg(test)]").next().unwrap_or_default().lines());
    let raised: BTreeSet<&str> =
        lines.flat_map(|line| line.split('"').skip(1).step_by(2)).filter(is_word).collect();
    let center = fs::read_to_string(top().join("docs/center.md")).unwrap_or_default();
    let mut told = BTreeSet::new();
    for table in center.split("\n| Alarm |").skip(1) {
        for row in table.lines().skip(2).take_while(|line| line.starts_with("| ")) {
            told.extend(quoted(row.split('|').nth(1).unwrap_or_default()));
        }
    }
    let silent =
        raised.difference(&told).map(|word| format!("docs/center.md has no row for the alarm `{word}`"));
    let idle =
        told.difference(&raised).map(|word| format!("docs/center.md: nothing raises the alarm `{word}`"));
    none(&silent.chain(idle).collect::<Vec<_>>());
}

/// The lines of the item that begins with `head` in a source file, without the head.
fn item<'f>(files: &'f [TextFile], path: &str, head: &str) -> &'f str {
    let file = files.iter().find(|file| file.path == path);
    let body = file.and_then(|file| file.text.split_once(head)).and_then(|(_, rest)| rest.split_once("\n}"));
    body.unwrap_or_else(|| panic!("{path} has no {head:?}")).0
}

#[test]
fn each_reason_to_refuse_is_in_the_integrators_list() {
    let files = text_files();
    let reasons = item(&files, "protocol/src/messages.rs", "pub enum Refusal {").lines().map(str::trim);
    let reasons: Vec<&str> = reasons.filter_map(|line| line.strip_suffix(',')).collect();
    assert!(reasons.contains(&"NotYours"), "the search works: {reasons:?}");
    let guide = fs::read_to_string(top().join("docs/integrator.md")).unwrap_or_default();
    let list = guide.lines().find(|line| line.contains("`Refused(reason)`")).unwrap_or_default();
    let silent = reasons.iter().filter(|reason| !list.contains(&format!("`{reason}`")));
    none(
        &silent
            .map(|reason| format!("docs/integrator.md does not say what `{reason}` means"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn each_option_of_the_demo_is_in_its_table() {
    let files = text_files();
    let fields = item(&files, "firmware/src/demo/mod.rs", "pub struct Options {").lines().map(str::trim);
    let options = fields.filter_map(|line| line.strip_prefix("pub ")?.split_once(':'));
    let options: Vec<String> = options.map(|(name, _)| format!("--{}", name.replace('_', "-"))).collect();
    assert!(options.contains(&"--kiosks".to_owned()), "the search works: {options:?}");
    let bench = fs::read_to_string(top().join("docs/bench.md")).unwrap_or_default();
    let silent = options.iter().filter(|option| !bench.contains(&format!("| `{option}")));
    none(&silent.map(|option| format!("docs/bench.md has no row for `{option}`")).collect::<Vec<_>>());
}

#[test]
fn links_between_documents_lead_somewhere() {
    let files = text_files();
    let mut dead = Vec::new();
    for file in files.iter().filter(|file| file.is(".md")) {
        let folder = top().join(&file.path).parent().map(std::path::Path::to_path_buf).unwrap_or_default();
        for target in file.text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ', '#']).next()) {
            let outside = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !outside && !folder.join(target).exists() {
                dead.push(format!("{}: `{target}` is not there", file.path));
            }
        }
    }
    none(&dead);
}

#[test]
fn no_number_can_belong_to_a_living_person_or_card() {
    none(&lines(&text_files(), |file, line| {
        let lock = file.is("Cargo.lock");
        let number =
            numbers(line).into_iter().find(|number| !lock && (is_foreign_iin(number) || is_card(number)))?;
        // The number itself is not repeated into logs.
        let what =
            if number.len() == 12 { "a valid IIN outside the fixture table" } else { "a valid card number" };
        Some(format!("{what}, beginning {}", &number[..2]))
    }));
}

/// The numbers a person would read in a line: whole runs of digits, and runs grouped as IINs and cards are.
fn numbers(line: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut groups: Vec<&str> = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let before = &rest[..start];
        let run = &rest[start..];
        let end = run.find(|c: char| !c.is_ascii_digit()).unwrap_or(run.len());
        // Part of a word (a hash, base64) is no number; a separator of one character continues a grouped one.
        let in_word = before.ends_with(|c: char| c.is_ascii_alphabetic())
            || run[end..].starts_with(|c: char| c.is_ascii_alphabetic());
        if !matches!(before, " " | "-" | "_" | "\u{a0}" | "\u{202f}" | "\u{2009}") || in_word {
            groups.clear();
        }
        if !in_word {
            groups.push(&run[..end]);
            found.push(run[..end].to_owned());
            let shape = |shape: &[usize]| {
                let tail = groups.len().checked_sub(shape.len()).map(|from| &groups[from..])?;
                tail.iter().map(|group| group.len()).eq(shape.iter().copied()).then(|| tail.concat())
            };
            found.extend([&[6, 3, 3][..], &[6, 6], &[4, 4, 4, 4]].into_iter().filter_map(shape));
        }
        rest = &run[end..];
    }
    found
}

fn is_foreign_iin(number: &str) -> bool {
    let digits: Result<[u8; 12], _> = number.bytes().map(|c| c - b'0').collect::<Vec<_>>().try_into();
    digits.is_ok_and(|digits| Iin::try_from(digits).is_ok()) && !FIXTURE_IINS.contains(&number)
}

/// A number of 13 to 19 digits with a fitting check digit that begins as issued cards do (2 to 6).
fn is_card(number: &str) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let digits = number.chars().rev().filter_map(|c| c.to_digit(10));
    let sum: u32 = digits.enumerate().map(|(n, digit)| if n % 2 == 1 { doubled(digit) } else { digit }).sum();
    (13..=19).contains(&number.len())
        && number.starts_with(['2', '3', '4', '5', '6'])
        && sum.is_multiple_of(10)
        && !FIXTURE_CARDS.contains(&number)
}

#[test]
fn the_search_for_numbers_finds_what_it_should() {
    // Built from parts, so that this file stays clean.
    let foreign = ["9001", "0130", "0017"].concat();
    assert!(is_foreign_iin(&foreign), "a plausible living person's IIN is found");
    assert!(!is_foreign_iin(FIXTURE_IINS[0]) && !is_foreign_iin("000101300018"));
    let card = ["55", "55", "5555", "5555", "4444"].concat();
    assert!(is_card(&card) && !is_card("5555555555554445") && !is_card(FIXTURE_CARDS[0]));
    let line = format!("iin={foreign}, {} {} {}.", &foreign[..6], &foreign[6..9], &foreign[9..]);
    assert_eq!(numbers(&line).iter().filter(|number| **number == foreign).count(), 2, "plain and grouped");
    assert!(numbers(&format!("sha256:a{foreign}")).is_empty(), "part of a hash is no number");
    let grouped = format!("{}-{}-{}-{}", &card[..4], &card[4..8], &card[8..12], &card[12..]);
    assert!(numbers(&grouped).contains(&card));
}
