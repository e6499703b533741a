//! Everything that can happen to a world, as data: drawn from a seed, written to a file that people can read, left out again when a
//! story is made shorter.

use crate::line::Dice;
use std::fmt;
use tolem_core::time::Instant;

/// What sort of thing it is; the report counts by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Somebody comes.
    People,
    /// Program and power.
    Power,
    /// The journal's disk.
    Disk,
    /// The acceptor, its line and its hands.
    Acceptor,
    /// The printer and its paper.
    Printer,
    /// The wire to the center.
    Link,
    /// The center and its neighbours.
    Center,
    /// Cards, their devices and their bank.
    Card,
    /// The kiosk's clock.
    Clock,
    /// What happens to a kiosk or a center once.
    Disaster,
}

macro_rules! happenings {
    ($($(#[doc = $doc:literal])+ $name:ident, $word:literal, $kind:ident, $weight:literal
        { $($field:ident: $range:expr),* };)*) => {
        /// One thing that can happen.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "the sentence of each names its numbers")]
        pub enum What { $($(#[doc = $doc])+ $name { $($field: u64),* },)* }

        impl What {
            /// Word, kind and weight of each.
            pub const TABLE: &'static [(&'static str, Kind, u64)] = &[$(($word, Kind::$kind, $weight)),*];

            /// Its word.
            pub const fn word(&self) -> &'static str {
                match self { $(Self::$name { .. } => $word,)* }
            }

            /// Its kind.
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$name { .. } => Kind::$kind,)* }
            }

            /// What it means, for people.
            pub const fn meaning(&self) -> &'static str {
                match self { $(Self::$name { .. } => concat!($($doc),+).trim_ascii(),)* }
            }

            /// One with this word, its numbers drawn.
            pub fn draw(word: &str, dice: &mut Dice) -> Option<Self> {
                match word {
                    $($word => Some(Self::$name { $($field: within(dice, $range)),* }),)*
                    _ => None,
                }
            }

            /// Reads the word and `name=number` for each of its numbers.
            pub fn parse(word: &str, number: impl Fn(&str) -> Option<u64>) -> Option<Self> {
                match word {
                    $($word => Some(Self::$name { $($field: number(stringify!($field))?),* }),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for What {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name { $($field),* } => {
                        f.write_str($word)?;
                        $(write!(f, " {}={}", stringify!($field), $field)?;)*
                        Ok(())
                    })*
                }
            }
        }
    };
}

fn within(dice: &mut Dice, range: std::ops::RangeInclusive<u64>) -> u64 {
    range.start() + dice.below(range.end() - range.start() + 1)
}

happenings! {
    /// Citizen number `who` comes; `mood` is all of that person's chance.
    Visit, "visit", People, 0 { who: 0..=5, mood: 0..=0xffff_ffff };
    /// Somebody pulls at whatever note is in the slot.
    Pull, "pull", People, 4 {};
    /// The program is killed and starts again.
    ProgramDies, "program-dies", Power, 5 {};
    /// All power goes for `ms`.
    Blackout, "blackout", Power, 8 { ms: 200..=8_000 };
    /// The program dies before its next effect but `effects`.
    DiesAfter, "program-dies-after", Power, 10 { effects: 0..=40 };
    /// All power goes for `ms`, before the next effect but `effects`.
    DarkAfter, "blackout-after", Power, 12 { effects: 0..=40, ms: 200..=8_000 };
    /// All power goes for `ms`, inside the next append but `appends`, which is `kept` or not.
    CutInAppend, "cut-in-append", Power, 14 { appends: 0..=9, kept: 0..=1, ms: 200..=8_000 };
    /// The next append but `appends` fails, and is `kept` all the same or not.
    DiskFails, "disk-fails", Disk, 8 { appends: 0..=9, kept: 0..=1 };
    /// No append succeeds for `ms`: no space.
    DiskFull, "disk-full", Disk, 3 { ms: 1_000..=60_000 };
    /// The disk cannot be read for `ms`; who starts meanwhile opens no journal.
    DiskUnreadable, "disk-unreadable", Disk, 2 { ms: 1_000..=20_000 };
    /// The acceptor alone has no power for `ms`.
    AcceptorOff, "acceptor-off", Acceptor, 8 { ms: 100..=6_000 };
    /// A note sticks in the validator or (`deep`) before the cassette; RESET helps if `soft`; a technician mends it after `ms`.
    Jam, "jam", Acceptor, 4 { deep: 0..=1, soft: 0..=1, ms: 5_000..=60_000 };
    /// The acceptor answers nothing for `ms`.
    AcceptorSilent, "acceptor-silent", Acceptor, 4 { ms: 500..=40_000 };
    /// The acceptor says "busy" for so many `tenths` of a second.
    AcceptorBusy, "acceptor-busy", Acceptor, 3 { tenths: 1..=60 };
    /// The acceptor forgets which notes it may take.
    AcceptorForgets, "acceptor-forgets", Acceptor, 3 {};
    /// The acceptor reports failure `code` until a technician mends it after `ms`.
    AcceptorFails, "acceptor-fails", Acceptor, 2 { code: 0x50..=0x5c, ms: 5_000..=40_000 };
    /// The cassette is full until it is emptied after `ms`.
    CassetteFull, "cassette-full", Acceptor, 2 { ms: 5_000..=60_000 };
    /// Somebody pulls the note in the path back on a string.
    Cheat, "cheat", Acceptor, 2 {};
    /// Frames on the acceptor's line are lost, flipped, doubled, late, split, after noise: thousandths each, for `ms`.
    LineBad, "line-bad", Acceptor, 10
        { drop: 0..=120, flip: 0..=120, double: 0..=120, late: 0..=120, split: 0..=120, noise: 0..=120, ms: 1_000..=30_000 };
    /// Nothing passes on the acceptor's line for `ms`.
    LineDead, "line-dead", Acceptor, 3 { ms: 500..=60_000 };
    /// The very next frame to the kiosk (`way` 0) or to the acceptor (1) suffers: 0 lost, 1 flipped, 2 doubled, 3 late, 4 split, 5 noise.
    OneFrame, "one-frame", Acceptor, 8 { way: 0..=1, fault: 0..=5 };
    /// The printer alone has no power for `ms`.
    PrinterOff, "printer-off", Printer, 4 { ms: 100..=6_000 };
    /// The paper ends after `rows` rows; a new roll comes after `ms`.
    PaperEnds, "paper-ends", Printer, 5 { rows: 0..=2_500, ms: 2_000..=60_000 };
    /// The printer's cover is open for `ms`.
    CoverOpen, "cover-open", Printer, 3 { ms: 1_000..=30_000 };
    /// The cutter is stuck until a technician frees it after `ms`.
    CutterStuck, "cutter-stuck", Printer, 2 { ms: 2_000..=40_000 };
    /// The printer answers nothing for `ms`.
    PrinterSilent, "printer-silent", Printer, 2 { ms: 1_000..=40_000 };
    /// The printer's answers are lost, flipped or doubled, thousandths each, for `ms`.
    PrinterLine, "printer-line", Printer, 2 { drop: 0..=200, flip: 0..=60, double: 0..=200, ms: 1_000..=30_000 };
    /// The center cannot be reached for `ms`.
    LinkDown, "link-down", Link, 10 { ms: 300..=90_000 };
    /// The connection breaks and comes back.
    LinkBreaks, "link-breaks", Link, 5 {};
    /// Requests arrive, answers do not, for `ms`.
    AnswersLost, "answers-lost", Link, 8 { ms: 500..=40_000 };
    /// Messages are lost or doubled, thousandths each, for `ms`.
    LinkRude, "link-rude", Link, 6 { lose: 0..=150, double: 0..=300, ms: 2_000..=60_000 };
    /// Each answer takes `by` longer, for `ms`.
    LinkSlow, "link-slow", Link, 4 { by: 100..=25_000, ms: 2_000..=60_000 };
    /// The center is down for `ms` and starts again.
    CenterDown, "center-down", Center, 5 { ms: 500..=40_000 };
    /// The gateway that makes the codes does not answer for `ms`.
    GatewaySilent, "gateway-silent", Center, 4 { ms: 1_000..=60_000 };
    /// The registry of persons does not answer for `ms`.
    RegistrySilent, "registry-silent", Center, 3 { ms: 1_000..=40_000 };
    /// The kiosk's system clock jumps to `minutes` minus 100000 minutes off.
    ClockJumps, "clock-jumps", Clock, 4 { minutes: 0..=200_000 };
    /// A technician opens the door and closes it after `ms`.
    Door, "door", People, 3 { ms: 1_000..=20_000 };
    /// A technician opens the door, takes the cassette and puts an empty one in after `ms`.
    Collect, "collect", People, 3 { ms: 2_000..=15_000 };
    /// A technician puts another acceptor in.
    AcceptorReplaced, "acceptor-replaced", People, 1 {};
    /// Somebody opens the acceptor's head and takes the next ordered note out of its path.
    NoteTakenOut, "note-taken-out", Acceptor, 0 {};
    /// The next ordered note sticks in the path until a technician takes it out after `ms`.
    NoteSticks, "note-sticks", Acceptor, 0 { ms: 60_000..=150_000 };
    /// The acceptor loses power when the next note falls into its cassette, and forgets to tell of it.
    AcceptorAmnesia, "acceptor-amnesia", Acceptor, 0 {};
    /// For `ms` the other side answers with the quote or answer it gave before.
    AnswersStale, "answers-stale", Link, 0 { ms: 5_000..=120_000 };
    /// For `ms` a quote is good for so many `seconds` only, so that its time runs out while a note goes in.
    QuotesShort, "quotes-short", Center, 0 { seconds: 1..=9, ms: 60_000..=240_000 };
    /// The disk of the center's database fails for `ms`: nothing is kept, so nothing is answered.
    CenterDiskFails, "center-disk-fails", Center, 0 { ms: 500..=20_000 };
    /// The card reader alone has no power for `ms`, whatever is inside.
    ReaderOff, "reader-off", Card, 0 { ms: 100..=8_000 };
    /// The PIN pad alone has no power for `ms`.
    PadOff, "pad-off", Card, 0 { ms: 100..=8_000 };
    /// Frames on the card reader's line are lost, flipped, doubled or late: thousandths each, for `ms`.
    ReaderLine, "reader-line", Card, 0 { drop: 0..=120, flip: 0..=120, double: 0..=120, late: 0..=120, ms: 1_000..=30_000 };
    /// Frames on the PIN pad's line are lost, flipped, doubled or late: thousandths each, for `ms`.
    PadLine, "pad-line", Card, 0 { drop: 0..=120, flip: 0..=120, double: 0..=120, late: 0..=120, ms: 1_000..=30_000 };
    /// The card reader answers its next `naks` commands with NAK.
    ReaderRefuses, "reader-refuses", Card, 0 { naks: 1..=12 };
    /// The PIN pad answers its next `naks` messages with NAK.
    PadRefuses, "pad-refuses", Card, 0 { naks: 1..=12 };
    /// The card reader answers nothing for `ms`.
    ReaderSilent, "reader-silent", Card, 0 { ms: 500..=40_000 };
    /// The PIN pad answers nothing for `ms`.
    PadSilent, "pad-silent", Card, 0 { ms: 500..=40_000 };
    /// The card reader's motor (`how` 0), shutter (1) or box (2) is stuck until a technician frees it after `ms`.
    CardStuck, "card-stuck", Card, 0 { how: 0..=2, ms: 5_000..=60_000 };
    /// Somebody opens the PIN pad: it wipes its keys; a technician loads it anew after `ms`.
    PadOpened, "pad-opened", Card, 0 { ms: 5_000..=60_000 };
    /// The bank carries out the next message it hears, and its answer is lost.
    BankLosesAnswer, "bank-loses-answer", Card, 0 {};
    /// The next message to the bank is lost.
    BankLosesRequest, "bank-loses-request", Card, 0 {};
    /// The bank's next answer comes late.
    BankLate, "bank-late", Card, 0 {};
    /// The bank declines the next request, for reason number `why`.
    BankDeclines, "bank-declines", Card, 0 { why: 0..=6 };
    /// The line to the acquirer is down for `ms`.
    AcquirerGone, "acquirer-gone", Card, 0 { ms: 1_000..=90_000 };
    /// The center's program is killed and starts again: what it had in memory is gone.
    CenterDies, "center-dies", Card, 0 {};
    /// The center cannot be reached for `ms`, beginning `after` ms behind the order of a card.
    LinkDiesInOrder, "link-dies-in-order", Card, 0 { after: 0..=80, ms: 300..=90_000 };
    /// Once a card is asked for, the program dies before its next effect but `effects`; all power goes with it for `ms`, if that is not 0.
    DiesInOrder, "dies-in-order", Card, 0 { effects: 0..=80, ms: 0..=8_000 };
    /// Once a card is asked for, the card reader has no power for `ms`.
    ReaderDiesInOrder, "reader-dies-in-order", Card, 0 { ms: 100..=8_000 };
    /// The next approval of a card comes with the code of an earlier payment.
    ApprovalStale, "approval-stale", Card, 0 {};
    /// The next order of a card arrives twice.
    OrderTwice, "order-twice", Card, 0 {};
    /// A backup of the center's database is taken.
    BackedUp, "center-backed-up", Disaster, 0 {};
    /// The center's database is replaced by the backup.
    Restored, "center-restored", Disaster, 0 {};
    /// Somebody copies the kiosk's disk.
    ImageTaken, "disk-image-taken", Disaster, 0 {};
    /// Somebody puts the copy of the kiosk's disk back.
    ImagePut, "disk-image-put", Disaster, 0 {};
    /// The kiosk's computer burns; another one comes after `ms`.
    Burns, "kiosk-burns", Disaster, 0 { ms: 2_000..=60_000 };
    /// The disk lies: the power goes for `ms` inside the next append but `appends`, and half of it is there.
    Tears, "disk-tears", Disaster, 0 { appends: 0..=9, ms: 200..=8_000 };
}

/// When, where and what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Happening {
    /// Virtual time.
    pub at: Instant,
    /// At which kiosk, from 0.
    pub place: usize,
    /// What.
    pub what: What,
}

/// A whole story before it is lived: the same plan always gives the same life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Where it came from; also the chance of devices, lines and keys.
    pub seed: u64,
    /// Kiosks with a counter in their acceptor, from 0, as bits.
    pub counters: u64,
    /// Kiosks with a card reader and a PIN pad, from 0, as bits.
    pub cards: u64,
    /// When the faults stop.
    pub heals_at: Instant,
    /// In order of time.
    pub happenings: Vec<Happening>,
}

/// Kiosks in a world.
pub const KIOSKS: usize = 2;
/// Visits in a plan.
const VISITS: u64 = 30;
/// Faults in a plan at most.
const FAULTS: u64 = 40;
/// Length of the unsafe time.
const SPAN_MS: u64 = 420_000;

impl Plan {
    /// The plan of a seed. Each seed has its own mix: a few kinds of faults often, others never, as real bad days are.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x0070_1a17);
        let mut happenings = Vec::new();
        let counters = dice.below(4);
        for _ in 0..VISITS {
            happenings.extend(somewhere(&mut dice, "visit"));
        }
        let weights: Vec<(&str, u64)> = What::TABLE
            .iter()
            .filter(|(_, kind, _)| *kind != Kind::Card)
            .map(|(word, _, weight)| (*word, weight * [0, 1, 1, 4][dice.below(4) as usize]))
            .collect();
        let total: u64 = weights.iter().map(|(_, weight)| weight).sum();
        for _ in 0..dice.below(FAULTS + 1) {
            let mut left = dice.below(total);
            let chosen = weights.iter().find(|(_, weight)| {
                let here = left < *weight;
                left = left.saturating_sub(*weight);
                here
            });
            if let Some((word, _)) = chosen {
                happenings.extend(somewhere(&mut dice, word));
            }
        }
        disaster(&mut dice, &mut happenings);
        rare(&mut dice, &mut happenings);
        let cards = if seed < CARDS_FROM { 0 } else { by_card(&mut dice, &mut happenings) };
        happenings.extend(order_twice(seed, cards));
        happenings.sort_by_key(|happening| happening.at);
        Self { seed, counters, cards, heals_at: Instant(SPAN_MS + 10_000), happenings }
    }

    /// The same story without some of its happenings.
    pub fn without(&self, leave: impl Fn(usize) -> bool) -> Self {
        let kept = self.happenings.iter().enumerate().filter(|(index, _)| !leave(*index));
        Self { happenings: kept.map(|(_, happening)| *happening).collect(), ..self.clone() }
    }

    /// Reads what [`fmt::Display`] wrote. The error names the line and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut plan = Self { seed: 0, counters: 0, cards: 0, heals_at: Instant(0), happenings: Vec::new() };
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(first) = words.next() else { continue };
            let rest: Vec<&str> = words.collect();
            let wrong = || format!("line {number}: cannot be read: {line:?}");
            let value = || rest.first().and_then(|word| word.parse::<u64>().ok()).ok_or_else(wrong);
            match first {
                "seed" => plan.seed = value()?,
                "counters" => plan.counters = value()?,
                "cards" => plan.cards = value()?,
                "heals" => plan.heals_at = Instant(value()?),
                at => plan.happenings.push(happening(at, &rest).ok_or_else(wrong)?),
            }
        }
        plan.happenings.sort_by_key(|happening| happening.at);
        Ok(plan)
    }
}

fn happening(at: &str, rest: &[&str]) -> Option<Happening> {
    let (place, word, numbers) = match rest {
        [kiosk, place, word, numbers @ ..] if *kiosk == "kiosk" => (place, word, numbers),
        _ => return None,
    };
    let number = |name: &str| {
        let found = numbers.iter().filter_map(|text| text.split_once('=')).find(|(known, _)| *known == name);
        found.and_then(|(_, value)| value.parse().ok())
    };
    let place = place.parse::<usize>().ok().filter(|place| *place < KIOSKS)?;
    Some(Happening { at: Instant(at.parse().ok()?), place, what: What::parse(word, number)? })
}

fn somewhere(dice: &mut Dice, word: &str) -> Option<Happening> {
    let at = Instant(2_000 + dice.below(SPAN_MS));
    let place = dice.below(KIOSKS as u64) as usize;
    Some(Happening { at, place, what: What::draw(word, dice)? })
}

/// At most one in a life.
fn disaster(dice: &mut Dice, happenings: &mut Vec<Happening>) {
    let pair = match dice.below(12) {
        0 => ["center-backed-up", "center-restored"],
        1 => ["disk-image-taken", "disk-image-put"],
        2 => ["kiosk-burns", ""],
        3 => ["disk-tears", ""],
        _ => return,
    };
    let place = dice.below(KIOSKS as u64) as usize;
    let mut at = 2_000 + dice.below(SPAN_MS * 2 / 3);
    for word in pair {
        if let Some(what) = What::draw(word, dice) {
            happenings.push(Happening { at: Instant(at), place, what });
        }
        // The second comes at any time after the first, in the unsafe time or behind it.
        at += 1_000 + dice.below(SPAN_MS.saturating_sub(at).max(1));
    }
}

/// What came to the world later, drawn behind everything else so that older seeds keep most of their story.
fn rare(dice: &mut Dice, happenings: &mut Vec<Happening>) {
    for word in [
        "note-taken-out",
        "acceptor-amnesia",
        "answers-stale",
        "center-disk-fails",
        "quotes-short",
        "note-sticks",
    ] {
        if dice.below(4) == 0 {
            happenings.extend(somewhere(dice, word));
        }
    }
}

/// The first seed of a town in which kiosks may take cards.
pub const CARDS_FROM: u64 = 1_000_000;
/// Faults of cards in a plan at most.
const CARD_FAULTS: u64 = 12;

/// Drawn from dice of its own, so that the other faults of cards stay as they were.
const ORDER_TWICE: &str = "order-twice";

/// In each third town with cards.
fn order_twice(seed: u64, cards: u64) -> Option<Happening> {
    let mut dice = Dice::new(seed ^ 0x0020_0d0e);
    (cards != 0 && dice.below(3) == 0).then(|| somewhere(&mut dice, ORDER_TWICE)).flatten()
}

/// Which kiosks take cards, and what goes wrong with them; drawn last of all, for the same reason.
fn by_card(dice: &mut Dice, happenings: &mut Vec<Happening>) -> u64 {
    let cards = dice.below(1 << KIOSKS);
    if cards == 0 {
        return cards;
    }
    let words: Vec<&str> = What::TABLE
        .iter()
        .filter(|(word, kind, _)| *kind == Kind::Card && *word != ORDER_TWICE)
        .map(|(word, ..)| *word)
        .collect();
    for _ in 0..dice.below(CARD_FAULTS + 1) {
        let word = words[dice.below(words.len() as u64) as usize];
        // Where there is a reader, if only one kiosk has one.
        let at = somewhere(dice, word);
        happenings.extend(at.map(|found| match cards {
            1 => Happening { place: 0, ..found },
            2 => Happening { place: 1, ..found },
            _ => found,
        }));
    }
    cards
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "counters {}   # kiosks whose acceptor counts stacked notes, as bits", self.counters)?;
        writeln!(f, "cards {}   # kiosks with a card reader, as bits", self.cards)?;
        writeln!(
            f,
            "heals {}   # ms; from here on no fault, and everything must come to rest",
            self.heals_at.0
        )?;
        for Happening { at, place, what } in &self.happenings {
            writeln!(f, "{} kiosk {place} {what}   # {}", at.0, what.meaning())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_back_as_it_was_written() {
        for seed in 0..50 {
            let plan = Plan::draw(seed);
            assert_eq!(Plan::parse(&plan.to_string()), Ok(plan));
        }
    }

    #[test]
    fn a_broken_line_is_named() {
        for line in ["17 kiosk 0 blackout", "17 kiosk 9 pull", "17 kiosk 0 fly", "seed x", "x kiosk 0 pull"] {
            let error = Plan::parse(&format!("seed 1\n{line}\n")).unwrap_err();
            assert!(error.contains("line 2"), "{error}");
        }
    }

    #[test]
    fn every_seed_has_a_plan() {
        for seed in 0..20_000 {
            assert!(!Plan::draw(seed).happenings.is_empty());
        }
    }

    #[test]
    fn every_kind_of_fault_is_drawn_by_some_seed() {
        let mut missing: Vec<&str> = What::TABLE.iter().map(|(word, ..)| *word).collect();
        for seed in (0..200).chain(CARDS_FROM..CARDS_FROM + 200) {
            let plan = Plan::draw(seed);
            missing.retain(|word| plan.happenings.iter().all(|happening| happening.what.word() != *word));
        }
        assert_eq!(missing, [""; 0]);
    }
}
