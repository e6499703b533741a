//! What a unit is and how fast it moves.

use super::Banknote;
use std::time::Duration;
use tolem_protocol::{
    Denomination,
    ccnet::{BillEntry, BillTable},
};

/// One bill type that the firmware was taught.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoteType {
    /// Index in the bill table, 0..=23.
    pub index: u8,
    /// Face value.
    pub denomination: Denomination,
    /// Year of the design.
    pub pattern: u16,
}

/// How long things take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// Slot to escrow.
    pub accept: Duration,
    /// Escrow to cassette.
    pub stack: Duration,
    /// From the start of stacking until the note cannot come back. A power cut before it gives 11 and the note back, after it
    /// 12 and the credit.
    pub no_return: Duration,
    /// Escrow back to the slot; also for refused notes.
    pub give_back: Duration,
    /// RESET to ready.
    pub initialize: Duration,
    /// It hears nothing for so long after RESET, as slow models do.
    pub reset_silence: Duration,
    /// The host decides about a note in escrow within this time, or the note goes back.
    pub escrow_limit: Duration,
    /// A second note is taken out of the slot within this time, or both go back.
    pub pause_limit: Duration,
    /// The citizen takes a returned note after this time; `None` = only when told so.
    pub citizen_takes: Option<Duration>,
    /// Command to answer.
    pub response: Duration,
    /// A frame with a longer gap inside is dropped. The specification says 5 ms; a host on Linux cannot keep that.
    pub inter_byte: Duration,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Timing {
    /// As a real unit moves.
    pub const REALISTIC: Self = Self {
        accept: ms(1200),
        stack: ms(1000),
        no_return: ms(300),
        give_back: ms(800),
        initialize: ms(2000),
        reset_silence: ms(0),
        escrow_limit: ms(10_000),
        pause_limit: ms(10_000),
        citizen_takes: Some(ms(1000)),
        response: ms(4),
        inter_byte: ms(50),
    };

    /// Mechanics twenty times as fast, for tests in real time; limits of the protocol stay.
    pub const FAST: Self = Self {
        accept: ms(60),
        stack: ms(50),
        no_return: ms(15),
        give_back: ms(40),
        initialize: ms(100),
        citizen_takes: Some(ms(50)),
        ..Self::REALISTIC
    };
}

/// What a unit brings along from an earlier life.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// In the cassette, oldest first.
    pub notes: Vec<Banknote>,
    /// Its counter of stacked notes.
    pub counter: u16,
    /// Type of the last stacked note, if the host did not confirm it.
    pub credit: Option<u8>,
}

/// A whole unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CcnetConfig {
    /// Firmware part number, at most 15 ASCII characters are sent.
    pub part: String,
    /// Serial number, at most 12.
    pub serial: String,
    /// Number given by the owner.
    pub asset: [u8; 7],
    /// Letters of country in the bill table.
    pub country: [u8; 3],
    /// What it was taught.
    pub types: Vec<NoteType>,
    /// How fast it moves.
    pub timing: Timing,
    /// So many notes fit into the cassette.
    pub capacity: usize,
    /// Knows the stacked-bill counter (5B).
    pub has_counter: bool,
    /// For line faults.
    pub seed: u64,
    /// What it brings along.
    pub contents: Contents,
}

/// Types 0 to 5: the designs in use, smallest first. From 6 on older designs, so that dates in a note table matter: some
/// are still money, some no longer.
const KZT: [(u8, u32, u16); 12] = [
    (0, 500, 2025),
    (1, 1000, 2025),
    (2, 2000, 2024),
    (3, 5000, 2023),
    (4, 10_000, 2024),
    (5, 20_000, 2022),
    (6, 500, 2017),
    (7, 1000, 2014),
    (8, 2000, 2012),
    (9, 5000, 2011),
    (10, 10_000, 2012),
    (11, 1000, 2006),
];

impl Default for CcnetConfig {
    fn default() -> Self {
        let note = |(index, tenge, pattern)| NoteType { index, denomination: Denomination(tenge), pattern };
        Self {
            part: "SM-KZ1353".into(),
            serial: "12KC004711".into(),
            asset: [0, 0, 0, 0, 0, 0x12, 0x67],
            country: *b"KZT",
            types: KZT.into_iter().map(note).collect(),
            timing: Timing::REALISTIC,
            capacity: 600,
            has_counter: true,
            seed: 0,
            contents: Contents::default(),
        }
    }
}

impl CcnetConfig {
    /// The answer to GET BILL TABLE. Types beyond 23 and values without a form in the table stay holes.
    pub fn bill_table(&self) -> BillTable {
        let mut table = BillTable::default();
        for kind in &self.types {
            if let Some(entry) = table.0.get_mut(usize::from(kind.index)) {
                *entry = BillEntry::from_value(self.country, kind.denomination.0);
            }
        }
        table
    }

    /// The type of a note; without a year that of its newest design.
    pub fn type_of(&self, denomination: Denomination, pattern: Option<u16>) -> Option<&NoteType> {
        self.types
            .iter()
            .filter(|kind| {
                kind.denomination == denomination && pattern.is_none_or(|year| year == kind.pattern)
            })
            .max_by_key(|kind| kind.pattern)
    }
}
