//! Hostile input for everything that decodes bytes from outside: what is claimed, what it is tried on, and a small engine.
//!
//! A target is a plain function that panics when its claim is broken. Two engines drive the same functions: this one, which needs
//! the stable toolchain alone and whose every input follows from a seed, in the tests; and libFuzzer, which looks where the code
//! branches, by hand and at night (`tests/fuzz`). The corpus is what the repository keeps anyway: the frozen bytes of every message,
//! record and paper, one frame of every device command and answer, what simulated cards say, signed messages, the annotated
//! configuration files. What a fuzzer
//! found once stands in `tests/fuzz/found.txt` for good.

mod cards;
mod devices;
mod files;
mod gateway;
mod lines;
mod links;
mod papers;
mod seeds;

pub use gateway::found_authority;

use std::panic::{AssertUnwindSafe, catch_unwind};
use tolem_hal_sim::line::Dice;

/// Longest input in bytes: longer than anything a decoder takes whole.
pub const MAX_INPUT: usize = 16 * 1024;

/// One decoder and what is claimed of it.
pub struct Target {
    /// Its name on the command line and in `tests/fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Panics if the claim is broken for this input.
    pub run: fn(&[u8]),
    /// Good inputs to start from, named.
    pub seeds: fn() -> Vec<(String, Vec<u8>)>,
    /// Heap memory that one input may take in sum, in bytes.
    pub memory: usize,
}

/// All of them.
pub const TARGETS: [Target; 22] = [
    Target { name: "ccnet_frames", run: devices::ccnet_frames, seeds: seeds::ccnet_frames, memory: 8 * MEBI },
    Target { name: "ccnet_answers", run: devices::ccnet_answers, seeds: seeds::ccnet_payloads, memory: MEBI },
    Target { name: "escpos_commands", run: devices::escpos_commands, seeds: seeds::escpos, memory: 8 * MEBI },
    Target { name: "escpos_status", run: devices::escpos_status, seeds: seeds::escpos_status, memory: MEBI },
    Target { name: "pin_pad", run: lines::pin_pad, seeds: lines::pin_pad_seeds, memory: 8 * MEBI },
    Target {
        name: "card_reader",
        run: lines::card_reader,
        seeds: lines::card_reader_seeds,
        memory: 8 * MEBI,
    },
    Target { name: "iso8583", run: lines::iso8583, seeds: lines::iso8583_seeds, memory: MEBI },
    Target {
        name: "acquirer_line",
        run: lines::acquirer_line,
        seeds: lines::acquirer_line_seeds,
        memory: 8 * MEBI,
    },
    Target { name: "requests", run: links::requests, seeds: seeds::requests, memory: MEBI },
    Target { name: "responses", run: links::responses, seeds: seeds::responses, memory: MEBI },
    Target { name: "center", run: links::center, seeds: links::center_seeds, memory: 16 * MEBI },
    Target { name: "records", run: papers::records, seeds: seeds::records, memory: MEBI },
    Target { name: "notes", run: papers::notes, seeds: seeds::notes, memory: MEBI },
    Target { name: "papers", run: papers::papers, seeds: seeds::papers, memory: MEBI },
    Target { name: "kiosk_config", run: files::kiosk_config, seeds: seeds::kiosk_config, memory: 16 * MEBI },
    Target { name: "center_files", run: files::center_files, seeds: seeds::center_files, memory: 32 * MEBI },
    Target { name: "emv_objects", run: cards::emv_objects, seeds: cards::objects, memory: 8 * MEBI },
    Target { name: "emv_lists", run: cards::emv_lists, seeds: cards::lists, memory: MEBI },
    Target { name: "emv_answers", run: cards::emv_answers, seeds: cards::answers, memory: MEBI },
    Target { name: "emv_card", run: cards::emv_card, seeds: cards::cards, memory: 8 * MEBI },
    Target { name: "signatures", run: gateway::signatures, seeds: gateway::signed, memory: 64 * MEBI },
    Target { name: "gateway_words", run: gateway::gateway_words, seeds: gateway::words, memory: 32 * MEBI },
];

const MEBI: usize = 1024 * 1024;

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Runs the target `name`, for an engine that keeps its inputs itself.
///
/// # Panics
/// If the claim is broken, or there is no such target.
pub fn run(name: &str, input: &[u8]) {
    let target = target(name).unwrap_or_else(|| panic!("no target {name:?}"));
    (target.run)(input);
}

/// An input that breaks a claim, and what the panic said.
pub struct Broken {
    /// The input.
    pub input: Vec<u8>,
    /// What was said.
    pub said: String,
}

impl Target {
    /// The seeds, and what was found before.
    pub fn corpus(&self) -> Vec<Vec<u8>> {
        let mut corpus: Vec<_> = (self.seeds)().into_iter().map(|(_, bytes)| bytes).collect();
        corpus.extend(seeds::found(self.name));
        corpus
    }

    /// Tries one input.
    pub fn try_one(&self, input: &[u8]) -> Result<(), Broken> {
        catch_unwind(AssertUnwindSafe(|| (self.run)(input))).map_err(|panic| {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Broken { input: input.to_owned(), said: said.unwrap_or_default() }
        })
    }

    /// Tries the corpus, then `rounds` mutations of it; stops at the first broken claim, made as short as it gets.
    /// `each` is told the length of each input before it is tried, and called again after it.
    pub fn explore(&self, seed: u64, rounds: u64, each: &mut dyn FnMut(Step)) -> Result<(), Broken> {
        let corpus = self.corpus();
        assert!(!corpus.is_empty(), "{}: no corpus", self.name);
        let mut dice = Dice::new(seed ^ name_hash(self.name));
        let mut attempt = |input: &[u8]| {
            each(Step::Before);
            let tried = self.try_one(input);
            each(Step::After(input.len()));
            tried
        };
        let first = corpus.iter().try_for_each(|input| attempt(input));
        let mut tried = first;
        for _ in 0..rounds {
            if tried.is_err() {
                break;
            }
            tried = attempt(&mutated(&corpus, &mut dice));
        }
        tried.map_err(|broken| self.shortened(broken))
    }

    /// Leaves out what can be left out without mending it.
    fn shortened(&self, mut broken: Broken) -> Broken {
        // Only the first panic is told, not the hundreds on the way.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let mut width = broken.input.len() / 2;
        while width > 0 {
            let mut at = 0;
            while at < broken.input.len() {
                let mut less = broken.input.clone();
                less.drain(at..(at + width).min(less.len()));
                match self.try_one(&less) {
                    Err(still) => broken = still,
                    Ok(()) => at += width,
                }
            }
            width /= 2;
        }
        std::panic::set_hook(hook);
        broken
    }
}

/// Before and after each input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It is about to be tried.
    Before,
    /// It was tried; its length.
    After(usize),
}

fn name_hash(name: &str) -> u64 {
    name.bytes().fold(7, |hash, byte| Dice::new(hash ^ u64::from(byte)).next_u64())
}

/// Values that sit on the edges of lengths, varints and texts.
const EDGES: [&[u8]; 14] = [
    &[0],
    &[1],
    &[0x7F],
    &[0x80],
    &[0xFF],
    &[0xFF; 4],
    &[0xFF; 9],
    &[0x80, 0],
    b"\n",
    b"\n\n",
    b"-1",
    b"99999999999999999999",
    "—".as_bytes(),
    "\u{202f}₸".as_bytes(),
];

/// One input of the corpus after one to eight accidents.
fn mutated(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let pick = |dice: &mut Dice| &corpus[dice.below(corpus.len() as u64) as usize];
    let mut input = pick(dice).clone();
    for _ in 0..1 << dice.below(4) {
        let at = dice.below(input.len() as u64 + 1) as usize;
        let reach = 1 << dice.below(8);
        let end = (at + dice.below(reach) as usize + 1).min(input.len());
        match dice.below(8) {
            0 | 1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            2 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = dice.below(256) as u8;
                }
            }
            3 => drop(input.drain(at.min(end)..end)),
            4 => {
                let again = input[at.min(end)..end].to_vec();
                input.splice(at..at, again);
            }
            5 => {
                let edge = EDGES[dice.below(EDGES.len() as u64) as usize];
                let over = if dice.chance(500) { (at + edge.len()).min(input.len()) } else { at };
                input.splice(at..over.max(at), edge.iter().copied());
            }
            6 => {
                let other = pick(dice);
                let from = dice.below(other.len() as u64 + 1) as usize;
                input.splice(at.., other[from..].iter().copied());
            }
            _ => input.truncate(at),
        }
    }
    input.truncate(MAX_INPUT);
    input
}

/// Bytes as pairs of hexadecimal digits, the form of `tests/fuzz/found.txt`.
pub fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
