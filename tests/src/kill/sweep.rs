//! Runs cases: one, or all of a plan on several lanes; and says how many there were and what was lost.

use super::{
    PATIENCE, cards,
    case::{Case, How, Side},
    citizen::Citizen,
    cutter::{Counted, read},
    place::Template,
    processes::Bench,
    truth,
};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tolem_hal_sim::{ccnet_device::Contents, line::Dice};

/// Calls of the terminal at which it is cut: its journal, and every wire on which money is spoken of.
const KIOSK_PLACES: [&str; 5] =
    ["journal.sync", "journal.write", "acceptor.write", "printer.write", "center.write"];
/// Calls of the center.
const CENTER_PLACES: [&str; 3] = ["ledger.sync", "ledger.write", "kiosk.write"];
/// Calls of a center that asks a gateway: its wires to both sides are one place.
const ATTACHED_PLACES: [&str; 3] = ["ledger.sync", "ledger.write", "wire.write"];
/// Calls of the gateway.
const GATEWAY_PLACES: [&str; 3] = ["register.sync", "register.write", "wire.write"];
/// Calls of a terminal whose citizen pays by card.
const CARD_PLACES: [&str; 6] =
    ["journal.sync", "journal.write", "reader.write", "pad.write", "printer.write", "center.write"];
/// Calls of its center.
const CARD_CENTER_PLACES: [&str; 4] = ["ledger.sync", "ledger.write", "acquirer.write", "kiosk.write"];
/// A place counts as swept when so many numbers beyond the counted ones were never reached.
const BEYOND: u32 = 2;
/// A first start has made its tables and its first record after so many calls of a kind.
const FIRST_START: u32 = 40;
/// So many cases at a time where lateness is judged.
const CALM_LANES: usize = 6;
/// So often an acceptor's answer to POLL changes in a payment of two notes at most; those beyond are not reached.
const ACCEPTOR_CHANGES: u32 = 18;
/// Random cases have at most so many cut lives.
const LIVES: u64 = 4;
/// A life of a random case is cut within so many calls, or so many milliseconds.
const RANDOM_CALLS: u64 = 500;
const RANDOM_MS: u64 = 4_000;

/// How one case ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The cut was made.
    pub hit: bool,
    /// What the terminal called, by kind, in the life that was watched.
    pub kiosk: BTreeMap<String, u32>,
    /// What the center called.
    pub center: BTreeMap<String, u32>,
    /// What the gateway called, if there was one.
    pub gateway: BTreeMap<String, u32>,
    /// What was cut, in words.
    pub what: String,
}

/// How a life of the terminal shall end.
enum End {
    AtCall(String, u32, How),
    After(Duration, How),
}

impl End {
    fn cut(&self) -> Option<(String, u32, How)> {
        match self {
            Self::AtCall(at, number, how) => Some((at.clone(), *number, *how)),
            Self::After(..) => None,
        }
    }

    fn how(&self) -> How {
        match self {
            Self::AtCall(_, _, how) | Self::After(_, how) => *how,
        }
    }
}

/// The cut lives of a random case.
fn random_lives(seed: u64) -> VecDeque<End> {
    let mut dice = Dice::new(seed);
    let mut below = |limit: u64| dice.next_u64() % limit;
    (0..1 + below(LIVES))
        .map(|_| {
            let how = [How::Kill, How::Power, How::After, How::Half][below(4) as usize];
            if below(3) == 0 {
                let how = if how == How::Power { How::Power } else { How::Kill };
                End::After(Duration::from_millis(below(RANDOM_MS)), how)
            } else {
                End::AtCall("any".into(), below(RANDOM_CALLS) as u32 + 1, how)
            }
        })
        .collect()
}

/// Runs one case on a copy of the template.
///
/// # Errors
/// Says what was lost, or what never came to its end; the directory is kept then.
pub fn run_case(template: &Template, case: &Case) -> Result<Outcome, String> {
    run_case_with(template, case, Contents::default()).map(|(outcome, _)| outcome)
}

/// The same with notes in the cassette that no book knows: it has to fail.
///
/// # Errors
/// What the books said.
pub fn run_case_with_foreign_notes(template: &Template, contents: Contents) -> Result<Outcome, String> {
    run_case_with(template, &Case::Nothing, contents).map(|(outcome, _)| outcome)
}

/// The same; the directory with journals, ledger and logs is kept in any case and named.
///
/// # Errors
/// As [`run_case`].
pub fn run_case_and_keep(template: &Template, case: &Case) -> Result<(Outcome, PathBuf), String> {
    run_case_with(template, case, Contents::default()).map(|(outcome, directory)| (outcome, directory.keep()))
}

fn run_case_with(template: &Template, case: &Case, contents: Contents) -> Result<(Outcome, TempDir), String> {
    let (directory, place) = template.copy(case);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let interrupt = match case {
            Case::Acceptor { number } => Some(*number),
            Case::Nothing
            | Case::NothingAttached
            | Case::NothingByCard
            | Case::Cut { .. }
            | Case::Random { .. } => None,
        };
        perform(Bench::set_up(place, interrupt, contents), case)
    }));
    match result {
        Ok(outcome) => Ok((outcome, directory)),
        Err(panic) => {
            let why = panic.downcast_ref::<String>().cloned();
            let why = why.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let (why, kept) = (why.unwrap_or_default(), directory.keep());
            let report = kept.join("report.txt");
            // Without a report the reason itself is still told.
            let _ = std::fs::write(&report, &why);
            let first: Vec<&str> = why.lines().take(3).collect();
            Err(format!("{}\nsee {}", first.join("\n"), report.display()))
        }
    }
}

fn perform(mut bench: Bench, case: &Case) -> Outcome {
    let mut ends = VecDeque::new();
    let (mut center_cut, mut gateway_cut) = (None, None);
    match case {
        Case::Cut { side: Side::Kiosk | Side::Fresh | Side::CardKiosk, at, number, how } => {
            ends.push_back(End::AtCall(at.clone(), *number, *how))
        }
        Case::Cut { side: Side::Center | Side::Attached | Side::CardCenter, at, number, how } => {
            center_cut = Some((at.clone(), *number, *how))
        }
        Case::Cut { side: Side::Gateway, at, number, how } => {
            gateway_cut = Some((at.clone(), *number, *how));
        }
        Case::Random { seed } => ends = random_lives(*seed),
        Case::Nothing | Case::NothingAttached | Case::NothingByCard | Case::Acceptor { .. } => {}
    }
    let gateway = bench.start_gateway(Some(gateway_cut));
    let center = bench.start_center(Some(center_cut));
    let mut shift = Shift { ends, now: None, since: Instant::now(), ended: Vec::new() };
    let kiosk = shift.start(&mut bench, true);

    let mut citizen = Citizen::at(&bench);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let view = bench.look();
        shift.tend(&mut bench);
        if citizen.is_served(&bench, &view) && shift.now.is_none() {
            break;
        }
        if citizen.is_served(&bench, &view) && matches!(shift.now, Some(End::AtCall(..))) {
            // This life was to be cut later than the payment lasts.
            break;
        }
        citizen.act(&mut bench, &view);
        assert!(Instant::now() < deadline, "it never came to its end\n{}", bench.report());
    }
    truth::until_settled(&mut bench, |bench| shift.tend(bench));
    if bench.desk.is_some() {
        cards::until_decided(&mut bench, |bench| shift.tend(bench));
    }
    if bench.place.gateway.is_some() {
        truth::until_the_gateway_agrees(&mut bench, |bench| shift.tend(bench));
    }
    let ended = bench.stop();
    let (kiosk, center) = (read(&bench.place.calls(&kiosk)), read(&bench.place.calls(&center)));
    let gateway = gateway.map(|gateway| read(&bench.place.calls(&gateway))).unwrap_or_default();
    for (status, counted) in ended.iter().zip([&kiosk, &center, &gateway]) {
        // The last calls are those of the orderly end, and can be cut too.
        assert!(
            status.success() || counted.cut.is_some() || shift.now.is_some(),
            "told to stop, it ended with {status}\n{}",
            bench.report()
        );
    }
    let interrupted = bench.interrupted.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // A cut that nobody died of is a failed call on a wire, which can hide a note's fate as well.
    let moments = shift.ended.len() + interrupted.len() + usize::from(kiosk.cut.is_some());
    truth::check(&bench, moments, citizen.seen);
    if matches!(case, Case::Cut { how: How::Stall, .. }) {
        truth::check_undisturbed(&bench);
    }
    outcome(case, [kiosk, center, gateway], &shift.ended, &interrupted)
}

fn outcome(
    case: &Case,
    [kiosk, center, gateway]: [Counted; 3],
    ended: &[String],
    interrupted: &[String],
) -> Outcome {
    let (hit, what) = match case {
        Case::Nothing | Case::NothingAttached | Case::NothingByCard => (true, String::new()),
        Case::Cut { side: Side::Kiosk | Side::Fresh | Side::CardKiosk, .. } => {
            (kiosk.cut.is_some(), kiosk.cut.unwrap_or_default())
        }
        Case::Cut { side: Side::Center | Side::Attached | Side::CardCenter, .. } => {
            (center.cut.is_some(), center.cut.unwrap_or_default())
        }
        Case::Cut { side: Side::Gateway, .. } => (gateway.cut.is_some(), gateway.cut.unwrap_or_default()),
        Case::Acceptor { .. } => (!interrupted.is_empty(), interrupted.join(", ")),
        Case::Random { .. } => (!ended.is_empty(), ended.join(", ")),
    };
    Outcome { hit, kiosk: kiosk.calls, center: center.calls, gateway: gateway.calls, what }
}

/// Runs a payment without any cut under `strace`: what the cutter counted, and what the kernel was asked for; writes and syncs.
///
/// # Panics
/// If `strace` is missing, or the payment fails.
pub fn count_twice(template: &Template) -> [(u32, u32); 2] {
    let (directory, place) = template.copy(&Case::Nothing);
    let trace = directory.path().join("trace");
    let mut bench = Bench::set_up(place, None, Contents::default());
    bench.start_center(None);
    let started = bench.start_traced_kiosk(&trace);
    let mut citizen = Citizen::at(&bench);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let view = bench.look();
        if citizen.is_served(&bench, &view) {
            break;
        }
        citizen.act(&mut bench, &view);
        assert!(
            bench.kiosk_ended().is_none(),
            "it ended under strace (apt-get install strace)\n{}",
            bench.report()
        );
        assert!(Instant::now() < deadline, "it never came to its end\n{}", bench.report());
    }
    bench.stop();
    let sum = |calls: &BTreeMap<String, u32>, kind: &str| {
        calls.iter().filter(|(name, _)| name.ends_with(kind)).map(|(_, count)| count).sum()
    };
    let counted = read(&bench.place.calls(&started)).calls;
    let trace = std::fs::read_to_string(&trace).expect("strace wrote what it saw");
    // `1234 fdatasync(7) = 0`; a call that was interrupted stands there once with its name and once as `<... resumed>`.
    let names = trace
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1)?.split_once('(').map(|(name, _)| name));
    let syncs = |name: &&str| ["fsync", "fdatasync"].contains(name);
    let (sync, write): (Vec<&str>, Vec<&str>) = names.partition(syncs);
    [(sum(&counted, ".write"), sum(&counted, ".sync")), (write.len() as u32, sync.len() as u32)]
}

/// Whoever restarts what has died.
struct Shift {
    /// How the lives to come shall end; after the last one nothing is cut any more.
    ends: VecDeque<End>,
    /// How this life shall end.
    now: Option<End>,
    /// Since when it lives.
    since: Instant,
    /// How lives ended.
    ended: Vec<String>,
}

impl Shift {
    fn start(&mut self, bench: &mut Bench, counted: bool) -> super::processes::Started {
        self.now = self.ends.pop_front();
        self.since = Instant::now();
        let cut = self.now.as_ref().and_then(End::cut);
        bench.start_kiosk((counted || cut.is_some()).then_some(cut))
    }

    /// Looks after both programs.
    fn tend(&mut self, bench: &mut Bench) {
        if let Some(End::After(moment, _)) = &self.now
            && self.since.elapsed() >= *moment
        {
            bench.kill_kiosk();
        }
        if let Some(status) = bench.kiosk_ended() {
            assert!(
                self.now.is_some(),
                "the terminal ended although nothing was cut: {status}\n{}",
                bench.report()
            );
            self.ended.push(status.to_string());
            if self.now.as_ref().is_some_and(|end| end.how() == How::Power) {
                bench.blackout();
            }
            self.start(bench, false);
        }
        if bench.center_ended().is_some() {
            bench.start_center(None);
        }
        if bench.gateway_ended().is_some() {
            bench.start_gateway(None);
        }
    }
}

/// How much is swept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plan {
    /// What a build machine has minutes for: the terminal killed at every call (the plug pulled at every second one), and a part
    /// of all else.
    Short,
    /// Everything, and this many random cases.
    Full {
        /// Random cases, from seed 1.
        random: u64,
    },
}

/// What a sweep found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Cases and cuts by place and kind.
    pub rows: BTreeMap<String, Row>,
    /// What failed: the case and why.
    pub failures: Vec<(Case, String)>,
    /// How long it took.
    pub took: Duration,
    /// Cases that were planned and not begun, because the time was over.
    pub left: usize,
}

/// A night is not always long enough for everything: then the cases are drawn in an order of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// No case begins later.
    pub time: Duration,
    /// Of the order.
    pub seed: u64,
}

/// One line of the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Row {
    /// Cases run.
    pub cases: u32,
    /// Of which the cut was made; the others came to their end before.
    pub cuts: u32,
    /// Of which something was lost or never came to its end.
    pub losses: u32,
}

impl Report {
    /// Cuts made, over all rows.
    pub fn cuts(&self) -> u32 {
        self.rows.values().map(|row| row.cuts).sum()
    }

    fn add(&mut self, case: &Case, result: Result<Outcome, String>) {
        let row = self.rows.entry(row_of(case)).or_default();
        row.cases += 1;
        match result {
            Ok(outcome) => row.cuts += u32::from(outcome.hit),
            Err(why) => {
                row.cuts += 1;
                row.losses += 1;
                eprintln!(
                    "FAILED: {case}\n{why}\nagain: cargo run -p tolem-tests --bin tolem-killsweep -- '{case}'"
                );
                self.failures.push((case.clone(), why));
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:34} {:>6} {:>6} {:>6}", "place, how", "cases", "cuts", "losses")?;
        for (name, row) in &self.rows {
            writeln!(f, "{name:34} {:>6} {:>6} {:>6}", row.cases, row.cuts, row.losses)?;
        }
        let losses: u32 = self.rows.values().map(|row| row.losses).sum();
        let cases: u32 = self.rows.values().map(|row| row.cases).sum();
        let left = if self.left > 0 { format!(", {} cases left over", self.left) } else { String::new() };
        write!(f, "{cases} cases, {} cuts, {losses} losses, {} s{left}", self.cuts(), self.took.as_secs())
    }
}

fn row_of(case: &Case) -> String {
    match case {
        Case::Nothing => "nothing".into(),
        Case::NothingAttached => "nothing, with a gateway".into(),
        Case::NothingByCard => "nothing, by card".into(),
        Case::Cut { side, at, how, .. } => {
            format!("{} {at}, {}", side.word(), how.word())
        }
        Case::Acceptor { .. } => "acceptor loses power".into(),
        Case::Random { .. } => "random lives".into(),
    }
}

/// Runs all cases of a plan, or those that there is time for, `lanes` at a time.
///
/// # Panics
/// If even the case without a cut fails.
pub fn sweep(plan: Plan, lanes: usize, budget: Option<Budget>) -> Report {
    let began = Instant::now();
    let template = Template::make();
    let undisturbed = |case: Case, what: &str| {
        run_case(&template, &case).unwrap_or_else(|why| panic!("{what}, without any cut: {why}"))
    };
    let [counts, chain, card] = std::thread::scope(|scope| {
        [
            (Case::Nothing, "by cash"),
            (Case::NothingAttached, "with a gateway"),
            (Case::NothingByCard, "by card"),
        ]
        .map(|(case, what)| scope.spawn(move || undisturbed(case, what)))
        .map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    println!(
        "calls of the terminal: {:?}\ncalls of the center: {:?}\ncalls of a center with a gateway: {:?}\n\
         calls of the gateway: {:?}\ncalls of a terminal that takes a card: {:?}\ncalls of its center: {:?}",
        counts.kiosk, counts.center, chain.center, chain.gateway, card.kiosk, card.center
    );
    let mut report = Report::default();
    report.add(&Case::Nothing, Ok(counts.clone()));
    report.add(&Case::NothingAttached, Ok(chain.clone()));
    report.add(&Case::NothingByCard, Ok(card.clone()));
    let mut cases = cases(plan, [&counts, &chain, &card]);
    if let Some(Budget { seed, .. }) = budget {
        let mut dice = Dice::new(seed);
        cases.sort_by_cached_key(|_| dice.next_u64());
    }
    let end = budget.map(|budget| began + budget.time);
    let is_slow = |case: &Case| matches!(case, Case::Cut { how: How::Stall, .. });
    let (slow, cases): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(is_slow);
    run_all(&template, cases, lanes, end, &mut report);
    // On processors that are short a device is late for other reasons than a slow disk.
    run_all(&template, slow, lanes.min(CALM_LANES), end, &mut report);
    if end.is_some_and(|end| Instant::now() >= end) {
        report.took = began.elapsed();
        return report;
    }
    // A run has not always the same number of calls: go on until the end is passed for certain.
    let beyond = std::thread::scope(|scope| {
        let template = &template;
        KIOSK_PLACES
            .map(|at| {
                let counted = counts.kiosk.get(at).copied().unwrap_or_default();
                scope.spawn(move || beyond_the_end(template, at, counted))
            })
            .map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    for (case, result) in beyond.into_iter().flatten() {
        report.add(&case, result);
    }
    report.took = began.elapsed();
    report
}

/// Cuts the terminal at the calls of a kind after the counted ones, until [`BEYOND`] in a row are not reached.
fn beyond_the_end(template: &Template, at: &str, counted: u32) -> Vec<(Case, Result<Outcome, String>)> {
    let (mut done, mut missed) = (Vec::new(), 0);
    for number in counted + 1..counted + 40 {
        let case = Case::Cut { side: Side::Kiosk, at: at.into(), number, how: How::Kill };
        let result = run_case(template, &case);
        let hit = result.as_ref().map_or(true, |outcome| outcome.hit);
        done.push((case, result));
        missed = if hit { 0 } else { missed + 1 };
        if missed >= BEYOND {
            break;
        }
    }
    done
}

fn run_all(template: &Template, cases: Vec<Case>, lanes: usize, end: Option<Instant>, report: &mut Report) {
    let planned = cases.len();
    let (queue, results) = (Mutex::new(VecDeque::from(cases)), Mutex::new((0, report)));
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                loop {
                    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    let over = end.is_some_and(|end| Instant::now() >= end);
                    let next = if over { None } else { queue.pop_front() };
                    drop(queue);
                    let Some(case) = next else { return };
                    let result = run_case(template, &case);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.1.add(&case, result);
                    results.0 += 1;
                    if results.0 % 50 == 0 {
                        println!("{} of {planned} cases", results.0);
                    }
                }
            });
        }
    });
    let left = queue.into_inner().unwrap_or_else(PoisonError::into_inner).len();
    results.into_inner().unwrap_or_else(PoisonError::into_inner).1.left += left;
}

/// All ways to cut that make sense there: what is slow is a disk.
fn hows(at: &str) -> impl Iterator<Item = How> {
    let disk = at.ends_with(".sync");
    How::ALL.into_iter().filter(move |how| disk || *how != How::Stall)
}

/// All cases of a plan.
fn cases(plan: Plan, [counts, chain, card]: [&Outcome; 3]) -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |side: Side, at: &str, how: &dyn Fn(u32) -> Vec<How>| {
        let calls = match side {
            Side::Kiosk | Side::Fresh => &counts.kiosk,
            Side::Center => &counts.center,
            Side::Attached => &chain.center,
            Side::Gateway => &chain.gateway,
            Side::CardKiosk => &card.kiosk,
            Side::CardCenter => &card.center,
        };
        for number in 1..=calls.get(at).copied().unwrap_or_default() {
            all.extend(how(number).into_iter().map(|how| Case::Cut { side, at: at.into(), number, how }));
        }
    };
    for at in KIOSK_PLACES {
        add(Side::Kiosk, at, &|number| match plan {
            Plan::Full { .. } => hows(at).collect(),
            Plan::Short => {
                let mut how = vec![if number % 2 == 0 { How::Power } else { How::Kill }];
                if number % 40 == 20 {
                    how.extend([How::Eio, How::Half]);
                }
                how
            }
        });
    }
    for at in CENTER_PLACES {
        add(Side::Center, at, &|number| match plan {
            Plan::Full { .. } => hows(at).filter(|how| *how != How::Power).collect(),
            Plan::Short if number % 20 == 10 => vec![if number % 40 == 10 { How::Kill } else { How::Eio }],
            Plan::Short => Vec::new(),
        });
    }
    for at in GATEWAY_PLACES {
        add(Side::Gateway, at, &|number| match plan {
            Plan::Full { .. } => hows(at).filter(|how| *how != How::Power).collect(),
            Plan::Short if at == "register.sync" => {
                vec![if number % 4 == 0 { How::EioKept } else { How::Kill }]
            }
            Plan::Short if number % 8 == 4 => vec![How::Kill],
            Plan::Short => Vec::new(),
        });
    }
    for at in ATTACHED_PLACES {
        add(Side::Attached, at, &|number| match plan {
            Plan::Full { .. } => hows(at).filter(|how| *how != How::Power).collect(),
            Plan::Short if number % 10 == 5 => vec![How::Kill],
            Plan::Short => Vec::new(),
        });
    }
    for at in CARD_PLACES {
        add(Side::CardKiosk, at, &|number| match plan {
            Plan::Full { .. } => hows(at).collect(),
            Plan::Short => {
                let every = match at {
                    "journal.sync" => 2,
                    "pad.write" => 4,
                    "center.write" => 10,
                    "reader.write" => 20,
                    _ => 40,
                };
                let how = if number % (2 * every) < every { How::Kill } else { How::Power };
                if number % every == every / 2 { vec![how] } else { Vec::new() }
            }
        });
    }
    for at in CARD_CENTER_PLACES {
        add(Side::CardCenter, at, &|number| match plan {
            Plan::Full { .. } => hows(at).filter(|how| *how != How::Power).collect(),
            Plan::Short => {
                let every = match at {
                    "acquirer.write" => 1,
                    "ledger.sync" => 6,
                    "kiosk.write" => 14,
                    _ => 40,
                };
                if number % every == every / 2 { vec![How::Kill] } else { Vec::new() }
            }
        });
    }
    let (fresh, hows): (usize, &[How]) = match plan {
        Plan::Full { .. } => (1, &[How::Kill, How::After, How::Half, How::Eio, How::EioKept]),
        Plan::Short => (6, &[How::Kill]),
    };
    // The first start makes tables; what comes after it is a payment like any other.
    for at in ["journal.sync", "journal.write"] {
        let calls = counts.kiosk.get(at).copied().unwrap_or_default();
        for number in (1..=calls.min(FIRST_START)).step_by(fresh) {
            let case = |how: &How| Case::Cut { side: Side::Fresh, at: at.into(), number, how: *how };
            all.extend(hows.iter().map(case));
        }
    }
    if plan == Plan::Short {
        // The journal does not open, and a minute later it does.
        all.push(Case::Cut { side: Side::Fresh, at: "journal.write".into(), number: 30, how: How::EioKept });
        // The reserve cannot be set aside, and a look later it can.
        all.push(Case::Cut { side: Side::Kiosk, at: "journal.sync".into(), number: 3, how: How::EioKept });
    }
    let (every, random) = match plan {
        Plan::Full { random } => (1, random),
        Plan::Short => (3, 4),
    };
    all.extend((1..=ACCEPTOR_CHANGES).step_by(every).map(|number| Case::Acceptor { number }));
    all.extend((1..=random).map(|seed| Case::Random { seed }));
    all
}
