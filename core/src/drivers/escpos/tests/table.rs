//! The table of the driver: in each phase of a print, each status of the printer, silence, and another order.
//!
//! Phases are reached over the wire. `escpos.txt` is read by people and blessed by
//! `UPDATE_EXPECT=1 cargo test -p tolem-core --lib escpos`.

use super::*;
use expect_test::expect_file;

/// Name of each phase and how it is reached: 300 rows are four bands.
const PHASES: [(&str, &str); 7] = [
    ("starting, nothing heard yet", ""),
    ("absent", "set silent; run 4000"),
    ("at rest", "run 2000"),
    ("out of paper", "set out; run 2000"),
    ("print ordered, status asked", "run 2000; print 7 300"),
    ("print, bands under way", "run 2000; print 7 300; run 700"),
    ("print, all sent, proof awaited", "run 2000; print 7 300; run 2200"),
];
const STATUSES: [&str; 8] = ["ok", "low", "out", "cover", "cutter", "hot", "offline", "silent"];

/// What the kiosk is told, what is sent besides questions, and where that leads.
fn outcome(bench: &Bench) -> String {
    let told: Vec<String> = bench.events.iter().map(told).collect();
    let sent =
        [("RASTER", "bands"), ("CUT", "cut"), ("RECOVER", "clears the buffers"), ("of nothing", "washes")];
    let sent: Vec<&str> =
        sent.iter().filter(|(word, _)| bench.log.contains(word)).map(|(_, says)| *says).collect();
    let or_none = |list: String| if list.is_empty() { "-".to_owned() } else { list };
    let phase = match bench.driver.job.as_ref().map(|job| job.phase) {
        None => "no print",
        Some(Phase::Checking) => "checking",
        Some(Phase::Sending { .. }) => "sending",
        Some(Phase::Proving { .. }) => "proving",
    };
    let presence = match bench.driver.present {
        None => "unknown",
        Some(true) => "present",
        Some(false) => "absent",
    };
    format!("{:<46} {:<34} {phase}, {presence}", or_none(told.join(", ")), or_none(sent.join(", ")))
}

fn told(event: &Event) -> String {
    match event {
        Event::Status(status) => match status.blocking() {
            None => format!("Status {:?}", status.paper),
            Some(fault) => format!("Status {fault:?}"),
        },
        Event::Absent => "Absent".into(),
        Event::Printed { .. } => "Printed".into(),
        Event::Failed { fault, .. } => format!("Failed {fault:?}"),
    }
}

fn row(script: &str, stimulus: &str) -> String {
    let mut bench = bench(script);
    bench.log.clear();
    bench.events.clear();
    bench.go(stimulus);
    outcome(&bench)
}

#[test]
fn each_phase_and_status_has_its_row() {
    let mut text = String::from(HEAD);
    for (name, script) in PHASES {
        writeln!(text, "\n{name}").unwrap();
        for status in STATUSES {
            let row = row(script, &format!("set {status}; run 3500"));
            writeln!(text, "    {status:<20} {row}").unwrap();
        }
        for (name, stimulus) in [
            ("another order", "print 8 40; run 10"),
            ("noise", "raw 00 ff 55; run 100"),
            ("a minute of offline", "set offline; run 75000"),
        ] {
            let row = row(script, stimulus);
            writeln!(text, "    {name:<20} {row}").unwrap();
        }
    }
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    expect_file!["escpos.txt"].assert_eq(&text);
}

/// Nothing but a printer that is well until the end makes a print count as printed.
#[test]
fn no_print_is_called_printed_by_a_printer_that_is_not_well() {
    for (name, script) in PHASES.iter().filter(|(_, script)| script.contains("print")) {
        for status in STATUSES.iter().filter(|status| !["ok", "low"].contains(*status)) {
            let row = row(script, &format!("set {status}; run 80000"));
            assert!(!row.contains("Printed"), "{name}, {status}: {row}");
        }
    }
}

const HEAD: &str = "\
What the ESC/POS driver does in each phase. Made by a test over the wire, read by people.
At the margin the phase; below it the status of the printer for 3.5 s from then on (300 rows take about 2 s), or what else happens; then what
the kiosk is told, what is sent besides questions, and where that leads.
";
