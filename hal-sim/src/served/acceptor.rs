//! The bill acceptor's words.

use super::{DeviceState, LineState, Model, Step, code, line_faults, number, unknown};
use crate::ccnet_device::{
    Banknote, CcnetDevice, Contents, DeviceOutput, Fault, NoteRecord, PhysicalEvent, Place, Way,
};
use std::collections::BTreeMap;
use tolem_core::time::Instant;
use tolem_protocol::{
    Denomination,
    ccnet::{PollStatus, RejectReason, TypeMask},
};

const HELP: &str = "insert TENGE [foreign] [bad] [YEAR]; take; jam [soft]; cassette out|in|new|full|jam|jam soft; cheat; \
                    fail CODE; reject CODE; misread TYPE; busy TENTHS; silent; forget; clear; power off|on; \
                    line ok; line drop|corrupt|duplicate|split|noise PERMILLE; line delay MS";

/// So many notes of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CassetteCount {
    /// Face value.
    pub denomination: Denomination,
    /// Year of the design; `None` = the newest.
    pub pattern: Option<u16>,
    /// How many.
    pub count: u32,
}

/// What a bill acceptor shows.
#[derive(Clone, Debug)]
pub struct AcceptorState {
    /// Cable.
    pub line: LineState,
    /// What it would answer to POLL; `None` without power.
    pub status: Option<PollStatus>,
    /// Bill types enabled now.
    pub enabled: TypeMask,
    /// The cassette is in its place.
    pub cassette_present: bool,
    /// What is in it, smallest notes first.
    pub cassette: Vec<CassetteCount>,
    /// Its own counter of stacked notes.
    pub counter: u16,
    /// A stacked note that the kiosk did not confirm yet.
    pub unconfirmed: bool,
    /// All notes remembered, oldest first.
    pub notes: Vec<NoteRecord>,
    /// What it would bring along into another life.
    pub contents: Contents,
}

impl AcceptorState {
    /// Sum in the cassette in tenge.
    pub fn cassette_tenge(&self) -> u64 {
        self.cassette.iter().map(|kind| u64::from(kind.denomination.0) * u64::from(kind.count)).sum()
    }
}

impl Model for CcnetDevice {
    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        Self::handle_bytes(self, now, bytes);
    }

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn step(&mut self) -> Step {
        match self.poll() {
            DeviceOutput::Transmit(bytes) => Step::Transmit(bytes),
            DeviceOutput::Wait(until) => Step::Wait(until),
            DeviceOutput::Happened(event) => Step::Log(match event {
                PhysicalEvent::Power(on) => format!("power {}", if on { "on" } else { "off" }),
                PhysicalEvent::NoteMoved { id, from: None, to } => format!("note {} to {}", id.0, place(to)),
                PhysicalEvent::NoteMoved { id, from: Some(from), to } => {
                    format!("note {} from {} to {}", id.0, place(from), place(to))
                }
                PhysicalEvent::Cassette(there) => format!("cassette {}", if there { "in" } else { "out" }),
                PhysicalEvent::Remark(text) => text,
            }),
        }
    }

    fn room(&self) -> usize {
        usize::MAX
    }

    fn command(&mut self, now: Instant, words: &[&str]) -> Result<String, String> {
        let set = |device: &mut Self, fault| {
            device.set_fault(now, fault);
            Ok(device.state_line())
        };
        match words {
            ["insert", tenge, marks @ ..] => self.insert_words(now, tenge, marks),
            ["insert"] => Err(format!("insert which note? {}", self.allowed_notes())),
            ["take"] => match self.pull_note(now) {
                Some(id) => Ok(format!("took note {}", id.0)),
                None => Err("no note sticks out of the slot".into()),
            },
            ["jam"] => set(self, Fault::Jam),
            ["jam", "soft"] => set(self, Fault::SoftJam),
            ["cassette", "jam"] => set(self, Fault::CassetteJam),
            ["cassette", "jam", "soft"] => set(self, Fault::SoftCassetteJam),
            ["cassette", "full"] => set(self, Fault::CassetteFull),
            ["cassette", "out"] if self.cassette_present() => {
                self.remove_cassette(now);
                Ok(self.state_line())
            }
            ["cassette", "out"] => Err("the cassette is out already; cassette in, or cassette new".into()),
            ["cassette", how @ ("in" | "new")] => {
                self.put_cassette(now, *how == "new");
                Ok(self.state_line())
            }
            ["cassette", ..] => Err("allowed: cassette out|in|new|full|jam|jam soft".into()),
            ["cheat"] => set(self, Fault::Cheat),
            ["fail", word] => set(self, Fault::Failure(code(word, "a failure code, e.g. 50")?)),
            ["reject", word] => {
                set(self, Fault::RejectNext(RejectReason::from_code(code(word, "a reason, e.g. 65")?)))
            }
            ["misread", word] => set(self, Fault::MisreadNext(number(word, "a bill type, 0..23")?)),
            ["busy", word] => set(self, Fault::Busy(number(word, "tenths of a second, 1..255")?)),
            ["silent"] => set(self, Fault::Silent),
            ["forget"] => set(self, Fault::Forget),
            ["clear"] => {
                self.clear_faults(now);
                Ok(self.state_line())
            }
            ["power", "off"] => {
                self.power_off(now);
                Ok(self.state_line())
            }
            ["power", "on"] => {
                self.power_on(now);
                Ok(self.state_line())
            }
            ["power", ..] => Err("allowed: power off|on".into()),
            ["line", rest @ ..] => {
                let faults = line_faults(rest)?;
                self.set_line_faults(Way::ToHost, faults);
                self.set_line_faults(Way::ToDevice, faults);
                Ok(format!("line {}", rest.join(" ")))
            }
            _ => Err(unknown(words, HELP)),
        }
    }

    fn state(&self, line: LineState) -> DeviceState {
        DeviceState::Acceptor(AcceptorState {
            line,
            status: self.status(),
            enabled: self.enabled(),
            cassette_present: self.cassette_present(),
            cassette: counts(self),
            counter: self.counter(),
            unconfirmed: self.unconfirmed_credit().is_some(),
            notes: self.notes().to_vec(),
            contents: self.contents(),
        })
    }

    fn state_line(&self) -> String {
        let status = self.status().map_or("no power".into(), |status| status.to_string());
        let sum: u64 = self.cassette().map(|note| u64::from(note.denomination.0)).sum();
        let there = if self.cassette_present() { "in" } else { "out" };
        format!("{status}, cassette {there} with {} notes of {sum} tenge", self.cassette().count())
    }

    fn help(&self) -> &'static str {
        HELP
    }
}

impl CcnetDevice {
    fn insert_words(&mut self, now: Instant, tenge: &str, marks: &[&str]) -> Result<String, String> {
        let mut note = Banknote::tenge(number(tenge, "a face value in tenge")?);
        for mark in marks {
            note = match *mark {
                "foreign" => note.foreign(),
                "bad" => note.bad(),
                year => note.of_pattern(number(year, "foreign, bad or the year of a design")?),
            };
        }
        let value = note.denomination;
        if !note.foreign && !self.config().types.iter().any(|kind| kind.denomination == value) {
            return Err(format!("there is no note of {} tenge; {}", value.0, self.allowed_notes()));
        }
        let id = self.insert(now, note).map_err(|error| error.to_string())?;
        Ok(format!("note {} ({note}) goes in", id.0))
    }

    fn allowed_notes(&self) -> String {
        let mut values: Vec<u32> = self.config().types.iter().map(|kind| kind.denomination.0).collect();
        values.sort_unstable();
        values.dedup();
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        format!("allowed: insert {} [foreign] [bad] [YEAR]", values.join("|"))
    }
}

fn counts(device: &CcnetDevice) -> Vec<CassetteCount> {
    let mut found: BTreeMap<(u32, Option<u16>), u32> = BTreeMap::new();
    for note in device.cassette() {
        *found.entry((note.denomination.0, note.pattern)).or_default() += 1;
    }
    found
        .into_iter()
        .map(|((value, pattern), count)| CassetteCount { denomination: Denomination(value), pattern, count })
        .collect()
}

fn place(place: Place) -> &'static str {
    match place {
        Place::Inlet => "slot",
        Place::Validator => "validator",
        Place::Escrow => "escrow",
        Place::Transport => "transport",
        Place::Cassette => "cassette",
        Place::Returned => "citizen",
        Place::Technician => "technician",
        Place::Collected => "collection",
    }
}
