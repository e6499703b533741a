//! The table of the driver: in each situation, each answer to POLL, each command of the kiosk, noise and silence.
//!
//! Situations are reached over the wire, as in a cabinet. `ccnet.txt` is read by people and blessed by
//! `UPDATE_EXPECT=1 cargo test -p tolem-core --lib ccnet`.

use super::*;
use expect_test::expect_file;

/// Name of each situation and how it is reached.
const SITUATIONS: [(&str, &str); 15] = [
    ("starting, nothing heard yet", ""),
    ("starting, a note is being stacked", "poll 17"),
    ("starting, 81 said, table asked", "poll 81 03"),
    ("inhibiting before RESET", "34 -; poll 14"),
    ("resetting", "30 -; poll 10"),
    ("initializing", "poll 10; poll 13"),
    ("initializing, 81 said", "poll 12; poll 13; poll 81 03"),
    ("asking who it is", "37 -; poll 10; poll 13; poll 19"),
    ("running, nothing enabled", READY),
    ("running, notes enabled", ENABLED),
    ("running, a note in escrow", "ENABLED; poll 80 03"),
    ("running, STACK is to be sent", "ENABLED; poll 80 03; 35 -; cmd stack"),
    ("running, stacking", "ENABLED; poll 80 03; cmd stack; poll 17"),
    ("running, 81 said", "ENABLED; poll 80 03; cmd stack; poll 17; poll 81 03"),
    ("running, 81 acknowledged", "ENABLED; poll 80 03; cmd stack; poll 17; poll 81 03; cmd ack"),
];
const READY: &str = "poll 10; poll 13; poll 19; run 500";
const ENABLED: &str = "poll 10; poll 13; poll 19; run 500; cmd enable 1e; poll 14";

const POLLS: [&str; 24] = [
    "10", "11", "12", "13", "14", "15", "17", "18", "19", "1a", "1b 0a", "1c 60", "41", "42", "43", "44",
    "45", "46", "47 50", "80 03", "81 03", "82 03", "90 03", "c3",
];
const COMMANDS: [&str; 4] = ["enable 1e", "stack", "return", "ack"];

fn at(script: &str) -> Bench {
    let mut bench = Bench::run(&script.replace("ENABLED", ENABLED));
    bench.log.clear();
    bench.events.clear();
    bench
}

/// Confirmed or not, what the kiosk is told, what is said next, and where that leads.
fn outcome(bench: &Bench) -> String {
    let confirmed = match () {
        () if bench.log.contains("host ACK") => "ACK",
        () if bench.log.contains("host NAK") => "NAK",
        () => "-",
    };
    let events: Vec<String> = bench
        .events
        .iter()
        .map(|event| match event {
            Event::Identified(_) => "Identified".into(),
            other => format!("{other:?}"),
        })
        .collect();
    let events = if events.is_empty() { "-".into() } else { events.join(", ") };
    let next = match bench.driver.urgent() {
        Some(Wire::EnableBillTypes { accept, .. }) if accept == TypeMask::NONE => "ENABLE nothing".into(),
        Some(command) => format!("{command:?}").split([' ', '(']).next().unwrap_or_default().to_uppercase(),
        None => "poll".into(),
    };
    format!("{confirmed:<4} {events:<42} {next:<22} {}", situation(&bench.driver))
}

fn situation(driver: &Ccnet) -> String {
    let stage = match driver.stage {
        Stage::Finding { .. } => "finding",
        Stage::Inhibiting => "inhibiting",
        Stage::Resetting => "resetting",
        Stage::Initializing { .. } => "initializing",
        Stage::Asking(_) => "asking",
        Stage::Running => "running",
    };
    let note = match (driver.note, driver.order) {
        (_, Some(Order { way: Way::Stack, .. })) => ", note goes in",
        (_, Some(Order { way: Way::Return, .. })) => ", note goes back",
        (Some(_), None) => ", note waits",
        (None, None) => "",
    };
    let confirmation = match driver.confirmation {
        Confirmation::None => "",
        Confirmation::Asked(_) => ", to be acknowledged",
        Confirmation::Given(_) => ", acknowledged",
    };
    format!("{stage}{note}{confirmation}")
}

fn row(script: &str, stimulus: impl FnOnce(&mut Bench)) -> String {
    let mut bench = at(script);
    stimulus(&mut bench);
    outcome(&bench)
}

#[test]
fn each_situation_and_answer_has_its_row() {
    let mut text = String::from(HEAD);
    for (name, script) in SITUATIONS {
        writeln!(text, "\n{name}").unwrap();
        for poll in POLLS {
            let words = describe(Direction::FromDevice, &ccnet::encode(3, &hex(poll)).unwrap());
            let row = row(script, |bench| {
                bench.asked = bench.asked.take().filter(|asked| asked[3] == 0x33);
                bench.answer_others_until_poll(u64::MAX);
                bench.log.clear();
                bench.events.clear();
                bench.answer(poll);
            });
            writeln!(text, "    {words:<32} {row}").unwrap();
        }
        for command in COMMANDS {
            let row = row(script, |bench| bench.step(&format!("cmd {command}")));
            writeln!(text, "    kiosk: {command:<25} {row}").unwrap();
        }
        let noise = row(script, |bench| {
            if bench.until_asked(bench.now + 1_000) {
                bench.answer("bad 14");
                bench.until_asked(bench.now + 1_000);
            }
        });
        writeln!(text, "    {:<32} {noise}", "broken checksum").unwrap();
        let silence = row(script, |bench| {
            let end = bench.now + 6_000;
            while bench.until_asked(end) {
                bench.answer("-");
            }
        });
        writeln!(text, "    {:<32} {silence}", "6 s of silence").unwrap();
    }
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    expect_file!["ccnet.txt"].assert_eq(&text);
}

/// Whatever is said in whatever situation, 81 and 82 are never confirmed before the kiosk has acknowledged them.
#[test]
fn no_arrival_is_confirmed_by_reflex() {
    for (name, script) in SITUATIONS.iter().filter(|(name, _)| !name.ends_with("acknowledged")) {
        for poll in ["81 03", "82 03"] {
            let row = row(script, |bench| {
                bench.asked = bench.asked.take().filter(|asked| asked[3] == 0x33);
                bench.answer_others_until_poll(u64::MAX);
                bench.log.clear();
                bench.answer(poll);
            });
            assert!(row.starts_with('-'), "{name}, {poll}: {row}");
        }
    }
}

const HEAD: &str = "\
What the CCNET driver does in each situation. Made by a test over the wire, read by people.
At the margin the situation; below it what comes, then: confirmed with ACK or not, what the kiosk is told, what is said to the device
next besides POLL, and where that leads. 81 and 82 are confirmed only when the kiosk, whose record is then on disk, acknowledges them.
";
