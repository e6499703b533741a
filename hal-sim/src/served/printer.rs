//! The receipt printer's words.

use super::{DeviceState, LineState, Model, Step, line_faults, number, unknown};
use crate::{
    escpos_device::{EscposDevice, PaperSupply, PrinterEvent, PrinterFault, PrinterOutput, Way},
    paper::Paper,
};
use std::{path::PathBuf, sync::Arc};
use tolem_core::time::Instant;
use tolem_protocol::escpos::PaperState;

const HELP: &str = "paper ok|low|out|out after ROWS; cover open|closed; cutter jam|ok; head hot|ok; mechanism broken|ok; silent; \
                    clear; take; power off|on; line ok; line drop|corrupt|duplicate|split|noise PERMILLE; line delay MS";

/// What a receipt printer shows.
#[derive(Clone, Debug)]
pub struct PrinterState {
    /// Cable.
    pub line: LineState,
    /// It has power.
    pub powered: bool,
    /// Something waits to be printed.
    pub busy: bool,
    /// Paper sensors.
    pub paper: PaperState,
    /// Faults in force.
    pub faults: Vec<PrinterFault>,
    /// Pieces that came off and were not taken, oldest first.
    pub papers: Vec<Arc<Paper>>,
    /// How many pieces came off in its life.
    pub pieces: u64,
    /// What still hangs in it, including the rows between head and cutter.
    pub hanging: Paper,
}

/// A printer and where its papers are written.
pub(super) struct Printer {
    pub(super) device: EscposDevice,
    pub(super) png: Option<PathBuf>,
}

impl Printer {
    fn paper_off(&self, piece: u64) -> String {
        let Some(directory) = &self.png else { return format!("piece {piece} of paper came off") };
        let Some(paper) = self.device.papers().last() else { return format!("piece {piece} is gone") };
        let path = directory.join(format!("receipt-{piece:06}.png"));
        match std::fs::write(&path, paper.to_png()) {
            Ok(()) => format!("piece {piece} of paper came off: {}", path.display()),
            Err(error) => {
                format!("piece {piece} of paper came off; cannot write {}: {error}", path.display())
            }
        }
    }
}

impl Model for Printer {
    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.device.handle_bytes(now, bytes);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.device.handle_timeout(now);
    }

    fn step(&mut self) -> Step {
        match self.device.poll() {
            PrinterOutput::Transmit(bytes) => Step::Transmit(bytes),
            PrinterOutput::Wait(until) => Step::Wait(until),
            PrinterOutput::Happened(event) => Step::Log(match event {
                PrinterEvent::Power(on) => format!("power {}", if on { "on" } else { "off" }),
                PrinterEvent::PaperOff(piece) => self.paper_off(piece),
                PrinterEvent::Remark(text) => text,
            }),
        }
    }

    /// A printer without power or voice does not hold the host back: what comes is lost.
    fn room(&self) -> usize {
        if self.device.is_receiving() {
            return 0;
        }
        if self.device.is_powered() && !self.device.faults().contains(&PrinterFault::Silent) {
            self.device.free_buffer()
        } else {
            usize::MAX
        }
    }

    fn command(&mut self, now: Instant, words: &[&str]) -> Result<String, String> {
        let device = &mut self.device;
        match words {
            ["paper", "ok"] => device.set_paper(now, PaperSupply::New),
            ["paper", "low"] => device.set_paper(now, PaperSupply::Low),
            ["paper", "out"] => device.set_paper(now, PaperSupply::Out),
            ["paper", "out", "after", rows] => {
                device.set_paper(now, PaperSupply::OutAfter(number(rows, "a number of rows")?));
            }
            ["paper", ..] => return Err("allowed: paper ok|low|out|out after ROWS".into()),
            ["cover", "open"] => device.set_fault(now, PrinterFault::CoverOpen),
            ["cover", "closed"] => device.clear_fault(now, PrinterFault::CoverOpen),
            ["cover", ..] => return Err("allowed: cover open|closed".into()),
            ["cutter", "jam"] => device.set_fault(now, PrinterFault::CutterJam),
            ["cutter", "ok"] => device.clear_fault(now, PrinterFault::CutterJam),
            ["cutter", ..] => return Err("allowed: cutter jam|ok".into()),
            ["head", "hot"] => device.set_fault(now, PrinterFault::HeadHot),
            ["head", "ok"] => device.clear_fault(now, PrinterFault::HeadHot),
            ["head", ..] => return Err("allowed: head hot|ok".into()),
            ["mechanism", "broken"] => device.set_fault(now, PrinterFault::Mechanism),
            ["mechanism", "ok"] => device.clear_fault(now, PrinterFault::Mechanism),
            ["mechanism", ..] => return Err("allowed: mechanism broken|ok".into()),
            ["silent"] => device.set_fault(now, PrinterFault::Silent),
            ["clear"] => {
                for fault in device.faults() {
                    device.clear_fault(now, fault);
                }
                if device.paper_state().end {
                    device.set_paper(now, PaperSupply::New);
                }
            }
            ["take"] => {
                let count = device.take_papers().len();
                return if count == 0 {
                    Err("no paper has come off".into())
                } else {
                    Ok(format!("took {count} pieces"))
                };
            }
            ["power", "off"] => device.power_off(now),
            ["power", "on"] => device.power_on(now),
            ["power", ..] => return Err("allowed: power off|on".into()),
            ["line", rest @ ..] => {
                let faults = line_faults(rest)?;
                device.set_line_faults(Way::ToHost, faults);
                device.set_line_faults(Way::ToDevice, faults);
            }
            _ => return Err(unknown(words, HELP)),
        }
        Ok(self.state_line())
    }

    fn state(&self, line: LineState) -> DeviceState {
        let device = &self.device;
        DeviceState::Printer(PrinterState {
            line,
            powered: device.is_powered(),
            busy: device.is_busy(),
            paper: device.paper_state(),
            faults: device.faults(),
            papers: device.papers().cloned().collect(),
            pieces: device.pieces(),
            hanging: device.hanging().clone(),
        })
    }

    fn state_line(&self) -> String {
        let device = &self.device;
        let power = match (device.is_powered(), device.is_busy()) {
            (false, _) => "no power",
            (true, false) => "ready",
            (true, true) => "printing",
        };
        let paper = match device.paper_state() {
            PaperState { end: true, .. } => "out",
            PaperState { near_end: true, .. } => "low",
            PaperState { .. } => "ok",
        };
        let faults: String =
            device.faults().iter().map(|fault| format!(", {}", fault_words(*fault))).collect();
        format!("{power}, paper {paper}{faults}, {} pieces to take", device.papers().len())
    }

    fn help(&self) -> &'static str {
        HELP
    }
}

fn fault_words(fault: PrinterFault) -> &'static str {
    match fault {
        PrinterFault::CoverOpen => "cover open",
        PrinterFault::CutterJam => "cutter jam",
        PrinterFault::HeadHot => "head hot",
        PrinterFault::Mechanism => "mechanism broken",
        PrinterFault::Silent => "silent",
    }
}
