//! The table of the driver: in each situation, each answer to what was said, each command of the kiosk, noise and silence.
//!
//! `card_reader.txt` is read by people and blessed by `UPDATE_EXPECT=1 cargo test -p tolem-core --lib card_reader`.

use super::*;
use expect_test::expect_file;

/// A name, and how it is reached.
type Situation = (&'static str, fn() -> Bench);

const SITUATIONS: [Situation; 12] = [
    ("starting", Bench::new),
    ("idle, looking", || looking(Bench::started(Place::Nowhere), 5_000)),
    ("letting a card in", || with(Bench::started(Place::Nowhere), Command::Accept)),
    ("waiting for a card, looking", || {
        let mut bench = with(Bench::started(Place::Nowhere), Command::Accept);
        bench.answer(Ok(Place::Nowhere));
        looking(bench, 300)
    }),
    ("card held, looking", || looking(Bench::inserted(), 5_000)),
    ("contacts going down", || with(Bench::inserted(), Command::PowerChip)),
    ("chip starting", || {
        let mut bench = with(Bench::inserted(), Command::PowerChip);
        bench.answer(Ok(Place::Pressed));
        bench
    }),
    ("chip asked", || with(Bench::powered(), transmit())),
    ("card going out", || {
        let mut bench = with(Bench::inserted(), Command::Eject);
        bench.answer(Ok(Place::Inside));
        bench
    }),
    ("card going into the box", || {
        let mut bench = with(Bench::inserted(), Command::Retain);
        bench.answer(Ok(Place::Inside));
        bench
    }),
    ("card at the gate, looking", || looking(Bench::at_gate(), 300)),
    ("forgotten card going into the box", || with(Bench::at_gate(), Command::Retain)),
];

/// A name, and how it is made.
type Order = (&'static str, fn() -> Command);

const COMMANDS: [Order; 7] = [
    ("accept", || Command::Accept),
    ("refuse", || Command::Refuse),
    ("chip power", || Command::PowerChip),
    ("to the chip", transmit),
    ("eject", || Command::Eject),
    ("retain", || Command::Retain),
    ("restart", || Command::Restart),
];

fn with(mut bench: Bench, command: Command) -> Bench {
    bench.command(command);
    bench.forget();
    bench
}

fn looking(mut bench: Bench, ms: u64) -> Bench {
    bench.run(ms);
    assert_eq!(bench.said, *b"10", "{}", bench.log);
    bench.forget();
    bench
}

fn results() -> Vec<Result<Place, ReaderError>> {
    let places = [Place::Nowhere, Place::Gate, Place::Inside, Place::Pressed, Place::Active, Place::Answered];
    let errors = [1, 10, 11, 14, 16, 18, 19, 20, 32, 60, 63, 64, 80, 81, 82, 87];
    places.into_iter().map(Ok).chain(errors.map(ReaderError).map(Err)).collect()
}

fn outcome(bench: &Bench) -> String {
    let events = if bench.events.is_empty() { "-".into() } else { bench.events.join(", ") };
    let next: Vec<String> = bench.driver.work.iter().map(|command| format!("{command:?}")).collect();
    let said: Vec<&str> = bench
        .log
        .lines()
        .filter_map(|line| line.split_once(" kiosk  "))
        .map(|(_, said)| said)
        .filter(|said| *said != "ENQ")
        .collect();
    let then: Vec<&str> = said.into_iter().chain(next.iter().map(String::as_str)).collect();
    let then = if then.is_empty() { "-".into() } else { then.join(", ") };
    format!("{events:<38} {then:<34} {:?}", bench.driver.stage)
}

#[test]
fn each_situation_and_answer_has_its_row() {
    let mut text = String::from(HEAD);
    for (name, reach) in SITUATIONS {
        writeln!(text, "\n{name}").unwrap();
        let mut row = |what: &str, stimulus: &dyn Fn(&mut Bench)| {
            let mut bench = reach();
            bench.forget();
            stimulus(&mut bench);
            writeln!(text, "    {what:<18} {}", outcome(&bench)).unwrap();
        };
        for result in results() {
            let what = match result {
                Ok(place) => format!("{place:?}"),
                Err(error) => format!("error {error:?}"),
            };
            row(&what, &|bench| bench.answer_with(result, &[0x3B, 0x60, 0x00, 0x00]));
        }
        row("NAK", &|bench| bench.hear(&NAK));
        row("another answer", &|bench| {
            bench.hear(&ACK);
            bench.hear(&Answer::new(*b"V0", Ok(Place::Gate)).text().unwrap().frame());
        });
        row("100 s of silence", &|bench| bench.run(100_000));
        for (what, command) in COMMANDS {
            row(&format!("kiosk: {what}"), &|bench| bench.command(command()));
        }
    }
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    expect_file!["card_reader.txt"].assert_eq(&text);
}

const HEAD: &str = "\
What the driver of the motorised reader does in each situation. Made by a test over the wire, read by people.
At the margin the situation; below it what comes, then: what the kiosk is told, what is said and will be said, and where that leads.
";
