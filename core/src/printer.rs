//! Receipt printer vocabulary shared by every device protocol.

use tolem_protocol::record::PrintFault;

/// What the paper sensors say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum PaperLevel {
    /// Enough.
    #[default]
    Present,
    /// Near its end: still prints.
    Low,
    /// None.
    Out,
}

/// The printer's real-time status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// Paper.
    pub paper: PaperLevel,
    /// A cover is open.
    pub cover_open: bool,
    /// The cutter is stuck.
    pub cutter_error: bool,
    /// Any other error that stops printing (head too hot, mechanism, electronics).
    pub other_error: bool,
}

impl Status {
    /// Why it cannot print now; `None` if it can.
    pub fn blocking(&self) -> Option<PrintFault> {
        if self.cover_open {
            Some(PrintFault::CoverOpen)
        } else if self.paper == PaperLevel::Out {
            Some(PrintFault::PaperOut)
        } else if self.cutter_error {
            Some(PrintFault::Cutter)
        } else if self.other_error {
            Some(PrintFault::Mechanism)
        } else {
            None
        }
    }
}

/// What the kiosk wants of the printer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Print and cut this. The intent is on disk.
    Print {
        /// Number of the print.
        print: u64,
        /// The paper.
        page: Page,
    },
}

/// A page as dots: rows from the top, 1 = black.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// Dots per row, a multiple of 8.
    pub width: u16,
    /// Row after row, `width / 8` bytes each, most significant bit left.
    pub rows: Vec<u8>,
}

impl Page {
    /// Number of rows.
    pub fn height(&self) -> usize {
        self.rows.len() / usize::from(self.width / 8).max(1)
    }
}

/// What the printer did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// It answers (again) or its status changed.
    Status(Status),
    /// It does not answer any more.
    Absent,
    /// The page is out and cut; the printer confirmed it.
    Printed {
        /// Number of the print.
        print: u64,
    },
    /// The page is not (wholly) out.
    Failed {
        /// Number of the print.
        print: u64,
        /// Why.
        fault: PrintFault,
    },
}

/// What a driver wants done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit(Vec<u8>),
    /// Hear this.
    Event(Event),
    /// Nothing before this instant unless bytes or a command come.
    Wait(crate::time::Instant),
}
