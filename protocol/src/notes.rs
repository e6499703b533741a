//! Banknotes: which exist, which are still money, and piles of them. The table is data with dates, because patterns come and go.

use crate::{Amount, utc::Date};
use core::fmt;
use serde::{Deserialize, Serialize};

/// The face value of a banknote in whole tenge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Denomination(pub u32);

impl Denomination {
    /// The value as a sum.
    pub const fn amount(self) -> Amount {
        Amount::from_tenge(self.0 as u64)
    }
}

impl fmt::Debug for Denomination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}₸", self.0)
    }
}

/// One design of one denomination and the days on which it is money, both ends included.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NotePattern {
    /// Face value.
    pub denomination: Denomination,
    /// Year the design was issued; names the pattern.
    pub pattern: u16,
    /// First day of validity.
    pub valid_from: Date,
    /// Last day of validity; `None` while no end was announced.
    pub valid_to: Option<Date>,
}

impl NotePattern {
    /// Whether this pattern is money on `day`.
    pub fn is_valid_on(&self, day: Date) -> bool {
        self.valid_from <= day && self.valid_to.is_none_or(|last| day <= last)
    }
}

/// At most this many patterns are known at once.
pub const MAX_PATTERNS: usize = 24;

/// The dated table of notes, sent by the center inside the catalogue.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NoteTable(pub heapless::Vec<NotePattern, MAX_PATTERNS>);

impl NoteTable {
    /// Denominations of which at least one pattern is money on `day`, smallest first, without repeats.
    pub fn denominations_on(&self, day: Date) -> heapless::Vec<Denomination, MAX_PATTERNS> {
        let mut found: heapless::Vec<Denomination, MAX_PATTERNS> = self
            .0
            .iter()
            .filter(|pattern| pattern.is_valid_on(day))
            .map(|pattern| pattern.denomination)
            .collect();
        found.sort_unstable();
        let mut unique = heapless::Vec::new();
        for denomination in found {
            if unique.last() != Some(&denomination) {
                unique.push(denomination).expect("invariant: not longer than the table");
            }
        }
        unique
    }

    /// The pattern entry of `denomination` issued in `pattern`.
    pub fn find(&self, denomination: Denomination, pattern: u16) -> Option<&NotePattern> {
        self.0.iter().find(|entry| entry.denomination == denomination && entry.pattern == pattern)
    }
}

/// At most this many denominations lie on one pile.
pub const MAX_DENOMINATIONS: usize = 8;

/// A pile of notes, counted per denomination. At most eight denominations; counts are bounded by the payment limits.
///
/// Decoding refuses what no cassette can hold: no notes of a denomination, one denomination twice, more than [`Amount::MAX`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Counts", into = "Counts")]
pub struct NotePile(Counts);

/// Denominations with their counts, in order of first insertion.
type Counts = heapless::Vec<(Denomination, u16), MAX_DENOMINATIONS>;

impl TryFrom<Counts> for NotePile {
    type Error = &'static str;
    fn try_from(counts: Counts) -> Result<Self, Self::Error> {
        for (at, (denomination, count)) in counts.iter().enumerate() {
            if *count == 0 {
                return Err("a pile does not list what is not on it");
            }
            if counts[..at].iter().any(|(known, _)| known == denomination) {
                return Err("a pile lists each denomination once");
            }
        }
        let pile = Self(counts);
        if pile.total().is_some() { Ok(pile) } else { Err("no pile is worth more than one trillion tenge") }
    }
}

impl From<NotePile> for Counts {
    fn from(pile: NotePile) -> Self {
        pile.0
    }
}

impl NotePile {
    /// Puts one note on the pile.
    ///
    /// Panics with a ninth denomination: whoever names denominations bounds them. Counts stop at 65 535.
    pub fn add(&mut self, denomination: Denomination) {
        match self.0.iter_mut().find(|(known, _)| *known == denomination) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => {
                self.0.push((denomination, 1)).expect("invariant: at most eight denominations of tenge exist")
            }
        }
    }

    /// Takes one note off the pile; false if there is none of it.
    pub fn remove(&mut self, denomination: Denomination) -> bool {
        let Some(at) = self.0.iter().position(|(known, _)| *known == denomination) else { return false };
        self.0[at].1 -= 1;
        if self.0[at].1 == 0 {
            self.0.remove(at);
        }
        true
    }

    /// What the pile is worth; `None` above [`Amount::MAX`] (only a forged message can say that).
    pub fn total(&self) -> Option<Amount> {
        self.0.iter().try_fold(Amount::ZERO, |sum, (denomination, count)| {
            sum.checked_add(denomination.amount().checked_mul(u64::from(*count))?)
        })
    }

    /// Denominations and counts, in order of first insertion.
    pub fn iter(&self) -> impl Iterator<Item = (Denomination, u16)> + '_ {
        self.0.iter().copied()
    }

    /// True for no notes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of notes.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|(_, count)| u32::from(*count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        Date::parse_iso(text).unwrap()
    }

    #[test]
    fn a_pattern_stops_being_money_the_day_after_its_last() {
        let table = NoteTable(
            heapless::Vec::from_slice(&[
                NotePattern {
                    denomination: Denomination(5000),
                    pattern: 2011,
                    valid_from: day("2011-01-01"),
                    valid_to: Some(day("2025-09-24")),
                },
                NotePattern {
                    denomination: Denomination(5000),
                    pattern: 2023,
                    valid_from: day("2023-12-25"),
                    valid_to: None,
                },
            ])
            .unwrap(),
        );
        let old = table.find(Denomination(5000), 2011).unwrap();
        assert!(old.is_valid_on(day("2025-09-24")) && !old.is_valid_on(day("2025-09-25")));
        assert_eq!(table.denominations_on(day("2024-06-01")).as_slice(), [Denomination(5000)]);
        assert_eq!(table.denominations_on(day("2000-01-01")).as_slice(), []);
    }

    #[test]
    fn a_pile_adds_up() {
        let mut pile = NotePile::default();
        for tenge in [500, 2000, 500] {
            pile.add(Denomination(tenge));
        }
        assert_eq!((pile.total(), pile.count()), (Some(Amount::from_tenge(3000)), 3));
    }

    #[test]
    fn a_pile_that_cannot_lie_anywhere_is_not_decoded() {
        let decoded = |counts: &[(u32, u16)]| {
            let counts: Counts = counts.iter().map(|(tenge, count)| (Denomination(*tenge), *count)).collect();
            let mut buffer = [0; 80];
            let bytes = postcard::to_slice(&counts, &mut buffer).unwrap();
            let pile = postcard::from_bytes::<NotePile>(bytes).ok()?;
            let mut again = [0; 80];
            assert_eq!(postcard::to_slice(&pile, &mut again).unwrap(), bytes, "the bytes stay");
            Some(pile.count())
        };
        assert_eq!(decoded(&[]), Some(0));
        assert_eq!(decoded(&[(500, 2), (2000, 1)]), Some(3));
        assert_eq!(decoded(&[(500, 0)]), None);
        assert_eq!(decoded(&[(500, 1), (2000, 1), (500, 1)]), None);
        assert_eq!(decoded(&[(u32::MAX, u16::MAX)]), None);
    }
}
