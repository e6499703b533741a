//! Which notes make sense now.
//!
//! There is no change: notes up to what remains are welcome; if none fits, only the smallest one above it, and only after the
//! citizen agreed on screen to keep the remainder as a voucher.

use tolem_protocol::{Amount, Denomination};

/// What bounds the choice.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Cash still to come in.
    pub remaining: Amount,
    /// Most that may still come in under the limits.
    pub limit: Amount,
    /// The citizen agreed to keep a remainder.
    pub remainder_agreed: bool,
}

/// Denominations to enable, in the order of `known`.
pub fn welcome(known: &[Denomination], room: Room) -> Vec<Denomination> {
    if room.remaining.is_zero() {
        return Vec::new();
    }
    let within = |note: &Denomination| note.amount() <= room.limit;
    let fitting: Vec<_> =
        known.iter().copied().filter(|note| note.amount() <= room.remaining).filter(within).collect();
    if !fitting.is_empty() || !room.remainder_agreed {
        return fitting;
    }
    smallest_above(known, room.remaining).filter(within).into_iter().collect()
}

/// The note that would leave a remainder, if only such notes are left.
pub fn smallest_above(known: &[Denomination], remaining: Amount) -> Option<Denomination> {
    if known.iter().any(|note| note.amount() <= remaining) {
        return None;
    }
    known.iter().copied().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Denomination; 6] = [
        Denomination(500),
        Denomination(1000),
        Denomination(2000),
        Denomination(5000),
        Denomination(10000),
        Denomination(20000),
    ];

    fn tenge(remaining: u64, limit: u64, remainder_agreed: bool) -> Vec<u32> {
        let room = Room {
            remaining: Amount::from_tenge(remaining),
            limit: Amount::from_tenge(limit),
            remainder_agreed,
        };
        welcome(&KNOWN, room).into_iter().map(|note| note.0).collect()
    }

    #[test]
    fn only_notes_up_to_what_remains() {
        assert_eq!(tenge(4325, 1_000_000, false), [500, 1000, 2000]);
        assert_eq!(tenge(4325, 1_000_000, true), [500, 1000, 2000]);
    }

    #[test]
    fn a_larger_note_only_when_none_fits_and_only_after_consent() {
        assert_eq!(tenge(325, 1_000_000, false), []);
        assert_eq!(tenge(325, 1_000_000, true), [500]);
    }

    #[test]
    fn limits_close_the_slot() {
        assert_eq!(tenge(4325, 600, false), [500]);
        assert_eq!(tenge(325, 400, true), []);
        assert_eq!(tenge(0, 1_000_000, true), []);
    }
}
