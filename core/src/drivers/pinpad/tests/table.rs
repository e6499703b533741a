//! The table of the driver: in each situation, each answer of the pad, each command of the kiosk, noise and silence.
//!
//! `pinpad.txt` is read by people and blessed by `UPDATE_EXPECT=1 cargo test -p tolem-core --lib pinpad`.

use super::*;
use expect_test::expect_file;

/// A name, and how it is reached.
type Situation = (&'static str, fn() -> Bench);

const SITUATIONS: [Situation; 13] = [
    ("starting, cancel said", Bench::dukpt),
    ("starting, self test said", || after(Bench::dukpt(), &[ACK])),
    ("starting, self test heard", || after(after(Bench::dukpt(), &[ACK]), &[ACK])),
    ("starting under a session key, key looked for", || {
        let mut bench = after(after(Bench::new(Scheme::Session(slot(b'1'), KEY)), &[ACK]), &[ACK]);
        bench.hear(&answer(&Answer::SelfTest(SelfTest::default())));
        after(after(bench, &[EOT]), &[ACK])
    }),
    ("ready", Bench::ready),
    ("PIN said", || with(Bench::ready(), enter())),
    ("PIN heard", asking),
    ("PIN heard, answer broken", || after(asking(), BROKEN)),
    ("PIN heard, cancel said", || with(asking(), Command::Cancel)),
    ("key heard", || after(with(Bench::ready(), load(KeyPlace::Slot(slot(b'1')))), &[ACK])),
    ("key repeated and acknowledged", || {
        let bench = after(with(Bench::ready(), load(KeyPlace::Slot(slot(b'1')))), &[ACK]);
        let sent = bench.said.clone();
        after(bench, &sent)
    }),
    ("initial key heard", || after(with(Bench::ready(), load(KeyPlace::Initial)), &[ACK])),
    ("first of two packets heard", || {
        after(with(Bench::ready(), Command::Authenticate(slot(b'B'), vec![7; 120])), &[ACK])
    }),
];

const BROKEN: &[u8] = &[0x02, b'7', b'1', 0x03, 0x00];

fn after(mut bench: Bench, bytes: &[u8]) -> Bench {
    bench.hear(bytes);
    bench
}

fn with(mut bench: Bench, command: Command) -> Bench {
    bench.command(command);
    bench
}

fn asking() -> Bench {
    after(with(Bench::ready(), enter()), &[ACK])
}

fn enter() -> Command {
    Command::EnterPin(request())
}

fn load(place: KeyPlace) -> Command {
    Command::LoadKey(place, "B0080K0".into())
}

fn answers() -> Vec<(&'static str, Vec<u8>)> {
    let load = Request::LoadKey(slot(b'1'), "B0080K0").frame().unwrap().to_bytes().to_vec();
    let other = Request::LoadKey(slot(b'2'), "B0080K0").frame().unwrap().to_bytes().to_vec();
    let said = |said: Answer| answer(&said);
    vec![
        ("ACK", vec![ACK]),
        ("NAK", vec![NAK]),
        ("EOT", vec![EOT]),
        ("broken", BROKEN.to_vec()),
        ("no such answer", Frame::new(false, b"99").unwrap().to_bytes().to_vec()),
        ("71 block", said(Answer::Pin(serial(1), block()))),
        ("71. block", said(Answer::PinUnderSession(block()))),
        ("71 A no key", said(Answer::PinRefused(b'A'))),
        ("71 F used up", said(Answer::PinRefused(b'F'))),
        ("71 7 too often", said(Answer::PinRefused(b'7'))),
        ("16 healthy", said(Answer::SelfTest(SelfTest::default()))),
        ("16 broken", said(Answer::SelfTest(SelfTest { broken: true, keys_lost: false }))),
        ("16 keys lost", said(Answer::SelfTest(SelfTest { broken: false, keys_lost: true }))),
        ("04 there", said(Answer::KeyPresent(true))),
        ("04 not there", said(Answer::KeyPresent(false))),
        ("08 selected", said(Answer::KeySelected(Ok(())))),
        ("02 as sent", load),
        ("02 otherwise", other),
        ("02? refused", said(Answer::KeyRefused(b'C'))),
        ("91 loaded", said(Answer::InitialKey(Ok(())))),
        ("91 refused", said(Answer::InitialKey(Err(b'C')))),
        ("Z670 code", said(Answer::Mac([9; 8]))),
        ("Z671 next packet", said(Answer::MacContinues)),
        ("Z673 refused", said(Answer::MacRefused(b'3'))),
    ]
}

fn outcome(bench: &Bench) -> String {
    let said: Vec<&str> =
        bench.log.lines().filter_map(|line| line.split_once(" kiosk ")).map(|(_, said)| said).collect();
    let said = if said.is_empty() { "-".into() } else { said.join(", ") };
    let events = if bench.events.is_empty() { "-".into() } else { bench.events.join(", ") };
    let place = match &bench.driver.phase {
        Phase::Free { .. } if bench.driver.running => "ready",
        Phase::Free { .. } => "to start",
        Phase::Said { .. } => "said",
        Phase::Heard { .. } => "heard",
        Phase::Ending { .. } => "ending",
    };
    format!("{said:<34} {events:<52} {place}")
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
        for (what, bytes) in answers() {
            row(what, &|bench| bench.hear(&bytes));
        }
        row("kiosk: PIN", &|bench| bench.command(enter()));
        row("kiosk: cancel", &|bench| bench.command(Command::Cancel));
        row("kiosk: key", &|bench| bench.command(load(KeyPlace::Initial)));
        row("kiosk: code", &|bench| bench.command(Command::Authenticate(slot(b'B'), vec![1])));
        row("2 s of silence", &|bench| bench.run(2_000));
        row("70 s of silence", &|bench| bench.run(70_000));
    }
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    expect_file!["pinpad.txt"].assert_eq(&text);
}

/// An entry that was asked for ends exactly once, whatever the pad says and however long it is silent.
#[test]
fn every_entry_ends_once() {
    for (name, bytes) in answers() {
        for second in answers() {
            let mut bench = Bench::ready();
            bench.command(enter());
            bench.hear(&bytes);
            bench.hear(&second.1);
            bench.run(600_000);
            let ends = bench.count("Entered") + bench.count("Ended");
            assert_eq!(ends, 1, "{name}, {}: {}", second.0, bench.log);
        }
    }
}

const HEAD: &str = "\
What the PIN pad driver does in each situation. Made by a test over the wire, read by people.
At the margin the situation; below it what comes, then: what is said to the pad, what the kiosk is told, and where that leads.
";
