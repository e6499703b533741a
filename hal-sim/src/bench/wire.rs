//! The wire log of the bench: who said what to whom, decoded, newest last, bounded.
//!
//! Polling repeats itself many times a second; what was asked and answered before in just the same way is *routine* and
//! kept apart, so that it cannot push out what matters. Nothing secret comes here: the center's side masks IIN and codes
//! before it tells us.

use super::tell::{locked, unix_ms};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Mutex,
    time::Duration,
};
use tokio::sync::watch;
use tolem_protocol::{ccnet, escpos, wire::Direction};

/// At most this many entries of each source are kept, and as many routine ones; the oldest go first.
const MAX_ENTRIES: usize = 2_000;
/// At most this many entries are given out at once.
pub const MAX_ANSWER: usize = 500;
/// Bytes shown as hexadecimal pairs.
const MAX_HEX: usize = 48;
/// Bands of a picture told in one line.
const MAX_BANDS: usize = 64;
/// Exchanges remembered for telling routine from news.
const MAX_REMEMBERED: usize = 64;

/// Where an entry comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The line of the bill acceptor.
    Acceptor,
    /// The line of the printer.
    Printer,
    /// Messages between kiosk and center.
    Center,
    /// Steps of the payment.
    Trace,
    /// Hands, faults and what happens inside the devices.
    Bench,
}

impl Source {
    /// Reads the name used in the API.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Acceptor, Self::Printer, Self::Center, Self::Trace, Self::Bench]
            .into_iter()
            .find(|source| source.name() == name)
    }

    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acceptor => "acceptor",
            Self::Printer => "printer",
            Self::Center => "center",
            Self::Trace => "trace",
            Self::Bench => "bench",
        }
    }
}

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The kiosk speaks.
    FromKiosk,
    /// The kiosk is spoken to.
    ToKiosk,
    /// Something happens; nobody is addressed.
    Event,
}

/// One line of the log.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Entry {
    /// Counts all entries since the bench was started, from 1.
    pub seq: u64,
    /// Milliseconds since 1970, the bench's clock.
    pub time_ms: u64,
    /// Which kiosk, from 0.
    pub kiosk: usize,
    /// Where it comes from.
    pub source: Source,
    /// Which way.
    pub way: Way,
    /// In words.
    pub text: String,
    /// The bytes, if it was bytes; long ones are cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    /// Step of the payment, 1..=25.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u8>,
    /// Asked and answered before in just this way.
    pub routine: bool,
}

/// What is asked of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Of this kiosk.
    pub kiosk: usize,
    /// Newer than this.
    pub after: u64,
    /// Only of this source.
    pub source: Option<Source>,
    /// Routine too.
    pub routine: bool,
}

/// The log of all kiosks.
pub struct WireLog {
    entries: Mutex<Entries>,
    newest: watch::Sender<u64>,
}

#[derive(Default)]
struct Entries {
    seq: u64,
    kept: BTreeMap<(usize, Source, bool), VecDeque<Entry>>,
}

impl Default for WireLog {
    fn default() -> Self {
        Self { entries: Mutex::default(), newest: watch::Sender::new(0) }
    }
}

/// An entry before it has its number.
struct Line {
    kiosk: usize,
    source: Source,
    way: Way,
    text: String,
    hex: Option<String>,
    step: Option<u8>,
    routine: bool,
}

impl WireLog {
    /// A message between kiosk and center, already masked. Asking for the time keeps a link alive and is routine.
    pub fn message(&self, kiosk: usize, way: Way, text: String) {
        let routine = text.split_whitespace().next() == Some("Time");
        self.push(Line { kiosk, source: Source::Center, way, text, hex: None, step: None, routine });
    }

    /// A step of the payment.
    pub fn step(&self, kiosk: usize, step: u8, text: String) {
        let step = Some(step);
        self.push(Line {
            kiosk,
            source: Source::Trace,
            way: Way::Event,
            text,
            hex: None,
            step,
            routine: false,
        });
    }

    /// Something happened on the bench.
    pub fn event(&self, kiosk: usize, text: String) {
        self.push(Line {
            kiosk,
            source: Source::Bench,
            way: Way::Event,
            text,
            hex: None,
            step: None,
            routine: false,
        });
    }

    fn push(&self, line: Line) {
        let mut entries = locked(&self.entries);
        entries.seq += 1;
        let seq = entries.seq;
        let Line { kiosk, source, way, text, hex, step, routine } = line;
        let ring = entries.kept.entry((kiosk, source, routine)).or_default();
        if ring.len() >= MAX_ENTRIES {
            ring.pop_front();
        }
        ring.push_back(Entry { seq, time_ms: unix_ms(), kiosk, source, way, text, hex, step, routine });
        drop(entries);
        if !routine {
            self.newest.send_replace(seq);
        }
    }

    /// The entries that are wanted, oldest first, at most [`MAX_ANSWER`]; and the number to ask after next.
    pub fn read(&self, wanted: Wanted) -> (Vec<Entry>, u64) {
        let entries = locked(&self.entries);
        let mut found: Vec<Entry> = entries
            .kept
            .iter()
            .filter(|((kiosk, source, routine), _)| {
                *kiosk == wanted.kiosk
                    && wanted.source.is_none_or(|only| only == *source)
                    && (wanted.routine || !routine)
            })
            .flat_map(|(_, ring)| ring.iter().skip(ring.partition_point(|entry| entry.seq <= wanted.after)))
            .cloned()
            .collect();
        found.sort_by_key(|entry| entry.seq);
        // Whoever starts reading gets the newest; whoever follows misses nothing.
        if wanted.after == 0 && found.len() > MAX_ANSWER {
            found.drain(..found.len() - MAX_ANSWER);
        }
        found.truncate(MAX_ANSWER);
        let next = if found.len() == MAX_ANSWER && wanted.after > 0 {
            found.last().map_or(entries.seq, |last| last.seq)
        } else {
            entries.seq
        };
        (found, next)
    }

    /// As [`WireLog::read`], but waits for as long as `limit` until there is anything.
    pub async fn wait(&self, wanted: Wanted, limit: Duration) -> (Vec<Entry>, u64) {
        let mut newest = self.newest.subscribe();
        let end = tokio::time::Instant::now() + limit;
        loop {
            newest.mark_unchanged();
            let (found, next) = self.read(wanted);
            if !found.is_empty() || tokio::time::timeout_at(end, newest.changed()).await.is_err() {
                return (found, next);
            }
        }
    }
}

/// Turns the bytes of one device's line into entries.
pub struct Decoding {
    kiosk: usize,
    source: Source,
    ears: Ears,
    exchange: Exchange,
}

enum Ears {
    Ccnet { host: Box<ccnet::Decoder>, device: Box<ccnet::Decoder> },
    Escpos { host: Box<escpos::Decoder>, picture: Picture },
}

/// Bands of one picture that came one after the other, held back to be told in one line.
#[derive(Default)]
struct Picture {
    bands: Vec<String>,
    bytes: usize,
    hex: String,
}

impl Picture {
    /// The line, once something else comes.
    fn take(&mut self) -> Option<(String, String)> {
        let Self { bands, bytes, hex } = std::mem::take(self);
        (!bands.is_empty()).then(|| (format!("{}, {bytes} bytes of dots", shorten(bands)), hex))
    }
}

/// What was asked last, what was answered to it the last time, and whether the answer of now was the same.
#[derive(Default)]
struct Exchange {
    question: String,
    place: usize,
    answers: HashMap<(String, usize), String>,
    held: Option<(String, String)>,
    same: bool,
}

impl Decoding {
    /// For the acceptor of a kiosk.
    pub fn ccnet(kiosk: usize) -> Self {
        let ears = Ears::Ccnet { host: Box::default(), device: Box::default() };
        Self { kiosk, source: Source::Acceptor, ears, exchange: Exchange::default() }
    }

    /// For the printer of a kiosk.
    pub fn escpos(kiosk: usize) -> Self {
        let ears = Ears::Escpos { host: Box::default(), picture: Picture::default() };
        Self { kiosk, source: Source::Printer, ears, exchange: Exchange::default() }
    }

    /// Takes one write in; in any split. True if a printer was told to print dots.
    pub fn heard(&mut self, log: &WireLog, direction: Direction, bytes: &[u8]) -> bool {
        let mut prints = false;
        let lines = match &mut self.ears {
            Ears::Ccnet { .. } => self.frames(direction, bytes),
            Ears::Escpos { host, picture } => match direction {
                Direction::FromHost => {
                    let lines = escpos_commands(host, picture, bytes);
                    prints =
                        !picture.bands.is_empty() || lines.iter().any(|(text, _)| text.contains("RASTER"));
                    lines
                }
                Direction::FromDevice => {
                    if let Some((text, hex)) = picture.take() {
                        self.asked(log, text, hex);
                    }
                    vec![(escpos::describe(direction, bytes), hex(bytes))]
                }
            },
        };
        for (text, hex) in lines.into_iter().filter(|(text, _)| !text.is_empty()) {
            match direction {
                Direction::FromHost => self.asked(log, text, hex),
                Direction::FromDevice => self.answered(log, text, hex),
            }
        }
        prints
    }

    fn frames(&mut self, direction: Direction, bytes: &[u8]) -> Vec<(String, String)> {
        let Ears::Ccnet { host, device } = &mut self.ears else { return Vec::new() };
        let decoder = if direction == Direction::FromHost { host } else { device };
        let counts = direction == Direction::FromDevice && self.exchange.question == "STACKED COUNTER";
        ccnet_frames(decoder, direction, counts, bytes)
    }

    fn asked(&mut self, log: &WireLog, text: String, hex: String) {
        let exchange = &mut self.exchange;
        if let Some((text, hex)) = exchange.held.take() {
            // Nobody answered; if nobody did the last time either, that is no news.
            let same = exchange.remember(&text, 0, "");
            self.push(log, Way::FromKiosk, text, hex, same);
        }
        let exchange = &mut self.exchange;
        if text == "ACK" {
            let same = exchange.same;
            return self.push(log, Way::FromKiosk, text, hex, same);
        }
        exchange.place = 0;
        exchange.question.clone_from(&text);
        if is_question(&text) {
            exchange.held = Some((text, hex));
        } else {
            exchange.same = false;
            self.push(log, Way::FromKiosk, text, hex, false);
        }
    }

    fn answered(&mut self, log: &WireLog, text: String, hex: String) {
        let exchange = &mut self.exchange;
        let question = exchange.question.clone();
        let place = exchange.place;
        exchange.place += 1;
        let same = exchange.remember(&question, place, &text) && is_question(&question);
        exchange.same = same;
        if let Some((text, hex)) = exchange.held.take() {
            self.push(log, Way::FromKiosk, text, hex, same);
        }
        self.push(log, Way::ToKiosk, text, hex, same);
    }

    fn push(&self, log: &WireLog, way: Way, text: String, hex: String, routine: bool) {
        let hex = Some(hex);
        log.push(Line { kiosk: self.kiosk, source: self.source, way, text, hex, step: None, routine });
    }
}

impl Exchange {
    /// Whether the answer is the one of the last time.
    fn remember(&mut self, question: &str, place: usize, answer: &str) -> bool {
        if self.answers.len() >= MAX_REMEMBERED {
            self.answers.clear();
        }
        self.answers
            .insert((question.to_owned(), place), answer.to_owned())
            .is_some_and(|last| last == answer)
    }
}

/// What a kiosk asks again and again.
fn is_question(text: &str) -> bool {
    text == "POLL" || text.split(" | ").all(|part| part.starts_with("STATUS "))
}

/// With `counts` the two bytes that are told by their form alone as a poll answer are a counter.
fn ccnet_frames(
    decoder: &mut ccnet::Decoder,
    direction: Direction,
    counts: bool,
    bytes: &[u8],
) -> Vec<(String, String)> {
    let mut input = bytes;
    let mut lines = Vec::new();
    while let Some(found) = decoder.next(&mut input) {
        lines.push(match found {
            ccnet::Decoded::BadCrc => ("bad checksum".to_owned(), hex(bytes)),
            ccnet::Decoded::Frame(frame) => match ccnet::encode(frame.address, &frame.payload) {
                Some(whole) => match ccnet::parse_counter(&frame.payload) {
                    Ok(count) if counts => (format!("counter {count}"), hex(&whole)),
                    _ => (ccnet::describe(direction, &whole), hex(&whole)),
                },
                None => ("an empty frame".to_owned(), hex(bytes)),
            },
        });
    }
    lines
}

/// The lines that are whole now. Bands wait in `picture` for whatever comes after them.
fn escpos_commands(
    decoder: &mut escpos::Decoder,
    picture: &mut Picture,
    bytes: &[u8],
) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    let mut letters = 0;
    for byte in bytes {
        let command = match decoder.push(*byte) {
            None => continue,
            Some(escpos::Decoded::Dots(_)) => {
                picture.bytes += 1;
                continue;
            }
            Some(escpos::Decoded::Text(_)) => {
                letters += 1;
                continue;
            }
            Some(command) => escpos::describe_command(&command),
        };
        if command.starts_with("RASTER") {
            if !parts.is_empty() {
                lines.push((shorten(std::mem::take(&mut parts)), hex(bytes)));
            }
            if picture.bands.is_empty() {
                picture.hex = hex(bytes);
            }
            picture.bands.push(command);
            if picture.bands.len() == MAX_BANDS {
                lines.extend(picture.take());
            }
        } else {
            lines.extend(picture.take());
            parts.push(command);
        }
    }
    if letters > 0 {
        parts.push(format!("{letters} bytes of text"));
    }
    if !parts.is_empty() {
        lines.push((shorten(parts), hex(bytes)));
    }
    lines
}

/// Equal neighbours are counted: a receipt is many bands of dots.
fn shorten(parts: Vec<String>) -> String {
    let mut short: Vec<(String, usize)> = Vec::new();
    for part in parts {
        match short.last_mut() {
            Some((last, count)) if *last == part => *count += 1,
            _ => short.push((part, 1)),
        }
    }
    let words =
        short.into_iter().map(|(part, count)| if count > 1 { format!("{part} x{count}") } else { part });
    words.collect::<Vec<_>>().join(" | ")
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().take(MAX_HEX).map(|byte| format!("{byte:02x}")).collect();
    let more = bytes.len().saturating_sub(MAX_HEX);
    if more > 0 { format!("{} +{more}", pairs.join(" ")) } else { pairs.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tolem_protocol::ccnet::{Command, PollStatus, Reply};

    fn texts(log: &WireLog, routine: bool) -> Vec<String> {
        let wanted = Wanted { routine, ..Wanted::default() };
        log.read(wanted).0.into_iter().map(|entry| entry.text).collect()
    }

    fn poll(decoding: &mut Decoding, log: &WireLog, status: PollStatus) {
        decoding.heard(log, Direction::FromHost, &Command::Poll.frame());
        let frame = Reply::Data(&status.payload()).frame().unwrap();
        let (first, second) = frame.split_at(3);
        decoding.heard(log, Direction::FromDevice, first);
        decoding.heard(log, Direction::FromDevice, second);
        decoding.heard(log, Direction::FromHost, &Command::Ack.frame());
    }

    #[test]
    fn the_same_poll_again_is_routine_and_a_new_answer_is_not() {
        let log = WireLog::default();
        let mut decoding = Decoding::ccnet(0);
        for status in [PollStatus::Disabled, PollStatus::Disabled, PollStatus::Disabled, PollStatus::Idling] {
            poll(&mut decoding, &log, status);
        }
        decoding.heard(&log, Direction::FromHost, &Command::Stack.frame());
        assert_eq!(texts(&log, false).iter().filter(|text| *text == "POLL").count(), 2);
        assert_eq!(texts(&log, false).last().map(String::as_str), Some("STACK"));
        assert_eq!(texts(&log, true).len(), 13);
    }

    #[test]
    fn a_counter_is_told_by_its_question() {
        let log = WireLog::default();
        let mut decoding = Decoding::ccnet(0);
        decoding.heard(&log, Direction::FromHost, &Command::StackedCounter.frame());
        decoding.heard(&log, Direction::FromDevice, &Reply::Data(&[0x00, 0x07]).frame().unwrap());
        assert_eq!(texts(&log, false), ["STACKED COUNTER", "counter 7"]);
    }

    #[test]
    fn silence_is_told_once() {
        let log = WireLog::default();
        let mut decoding = Decoding::ccnet(0);
        for _ in 0..5 {
            decoding.heard(&log, Direction::FromHost, &Command::Poll.frame());
        }
        assert_eq!(texts(&log, false), ["POLL"]);
        poll(&mut decoding, &log, PollStatus::Idling);
        assert_eq!(texts(&log, false).len(), 4);
    }

    #[test]
    fn the_log_is_bounded_and_routine_cannot_push_news_out() {
        let log = WireLog::default();
        log.event(0, "the beginning".into());
        let mut decoding = Decoding::ccnet(0);
        for _ in 0..3_000 {
            poll(&mut decoding, &log, PollStatus::Idling);
        }
        assert_eq!(texts(&log, false)[0], "the beginning");
        let kept: usize = locked(&log.entries).kept.values().map(VecDeque::len).sum();
        assert!(kept <= MAX_ENTRIES + 10, "{kept}");
    }

    #[test]
    fn a_reader_that_follows_misses_nothing() {
        let log = WireLog::default();
        (0..1_200).for_each(|number| log.event(0, number.to_string()));
        log.event(1, "of another kiosk".into());
        let mut seen = vec![0];
        loop {
            let (found, next) = log.read(Wanted { after: seen[seen.len() - 1], ..Wanted::default() });
            // The very first question gives the newest; from the second on each entry comes once.
            if found.is_empty() {
                assert_eq!(next, 1_201);
                break;
            }
            seen.extend(found.iter().map(|entry| entry.seq));
        }
        assert_eq!(seen[1], 701);
        assert!(seen.windows(2).skip(1).all(|pair| pair[1] == pair[0] + 1));
    }

    #[test]
    fn dots_are_counted_across_writes_and_equal_bands_are_joined() {
        let log = WireLog::default();
        let mut decoding = Decoding::escpos(0);
        let mut bytes = Vec::new();
        for _ in 0..3 {
            bytes.extend([0x1D, b'v', b'0', 0, 2, 0, 2, 0, 1, 2, 3, 4]);
        }
        bytes.extend([0x1B, b'@']);
        for chunk in bytes.chunks(5) {
            decoding.heard(&log, Direction::FromHost, chunk);
        }
        assert_eq!(texts(&log, true), ["RASTER 16x2 dots x3, 12 bytes of dots", "INIT"]);
    }

    #[test]
    fn a_picture_is_told_before_what_the_printer_says_to_it_and_a_long_one_in_pieces() {
        let log = WireLog::default();
        let mut decoding = Decoding::escpos(0);
        let band = [0x1D, b'v', b'0', 0, 2, 0, 2, 0, 1, 2, 3, 4];
        assert!(decoding.heard(&log, Direction::FromHost, &band), "dots are on their way at once");
        assert!(texts(&log, true).is_empty(), "it may go on");
        decoding.heard(&log, Direction::FromDevice, &[0x12]);
        assert_eq!(texts(&log, true)[0], "RASTER 16x2 dots, 4 bytes of dots");
        for _ in 0..MAX_BANDS + 1 {
            decoding.heard(&log, Direction::FromHost, &band);
        }
        let last = texts(&log, true).pop().unwrap();
        assert!(last.starts_with(&format!("RASTER 16x2 dots x{MAX_BANDS}, ")), "{last}");
    }
}
