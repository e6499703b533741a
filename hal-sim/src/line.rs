//! A serial line that misbehaves: frames dropped, flipped, doubled, late, split, noise before them.
//!
//! Everything is drawn from one seeded stream, so a run can be repeated bit by bit. The line knows nothing of protocols
//! and refuses to look inside a frame.

use std::{collections::VecDeque, time::Duration};
use tolem_core::time::Instant;

/// A small seeded generator (SplitMix64, Steele et al. 2014). Good enough to choose faults, not for keys.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A stream of its own for each seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }

    /// True in `permille` of 1000 throws.
    pub fn chance(&mut self, permille: u16) -> bool {
        permille > 0 && self.below(1000) < u64::from(permille)
    }
}

/// How often a frame suffers, each in thousandths. The default is a perfect line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LineFaults {
    /// The frame never arrives.
    pub drop: u16,
    /// One bit of it is flipped.
    pub corrupt: u16,
    /// It arrives twice.
    pub duplicate: u16,
    /// It arrives late by up to [`LineFaults::delay_by`].
    pub delay: u16,
    /// It arrives byte by byte, one each millisecond.
    pub split: u16,
    /// One to eight random bytes arrive before it.
    pub noise: u16,
    /// The longest delay.
    pub delay_by: Duration,
}

/// One fault for the very next frame, for tests that need exactly this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OneFault {
    /// Lose it.
    Drop,
    /// Flip a bit.
    Corrupt,
    /// Send it twice.
    Duplicate,
    /// Send it late.
    Delay(Duration),
    /// Send it byte by byte.
    Split,
    /// Send noise before it.
    Noise,
}

/// At most this many pieces wait on the line; more are lost, as on a real one.
const MAX_PIECES: usize = 4096;

/// One direction of a line: bytes go in, bytes come out when they are due.
#[derive(Clone, Debug)]
pub struct Line {
    faults: LineFaults,
    next: VecDeque<OneFault>,
    dice: Dice,
    pieces: VecDeque<(Instant, Vec<u8>)>,
}

impl Line {
    /// A line with its own stream of chance.
    pub fn new(seed: u64) -> Self {
        Self {
            faults: LineFaults::default(),
            next: VecDeque::new(),
            dice: Dice::new(seed),
            pieces: VecDeque::new(),
        }
    }

    /// Changes how the line misbehaves from now on.
    pub fn set_faults(&mut self, faults: LineFaults) {
        self.faults = faults;
    }

    /// Queues one fault for the next frame; several are used up one per frame.
    pub fn fault_next(&mut self, fault: OneFault) {
        self.next.push_back(fault);
    }

    /// Puts a frame on the line; it is due at `due` unless a fault delays it.
    pub fn send(&mut self, due: Instant, frame: &[u8]) {
        let mut due = self.pieces.back().map_or(due, |(last, _)| due.max(*last));
        let one = self.next.pop_front();
        let faults = self.faults;
        let hit = |dice: &mut Dice, permille, this: fn(&OneFault) -> bool| {
            one.as_ref().is_some_and(this) || dice.chance(permille)
        };
        if hit(&mut self.dice, faults.drop, |f| matches!(f, OneFault::Drop)) {
            return;
        }
        if let Some(OneFault::Delay(by)) = one {
            due = due + by;
        } else if self.dice.chance(faults.delay) {
            let most = u64::try_from(faults.delay_by.as_millis()).unwrap_or(u64::MAX);
            due = Instant(due.0.saturating_add(self.dice.below(most.saturating_add(1))));
        }
        if hit(&mut self.dice, faults.noise, |f| matches!(f, OneFault::Noise)) {
            let length = 1 + self.dice.below(8);
            let noise = (0..length).map(|_| self.dice.next_u64().to_le_bytes()[0]).collect();
            self.push(due, noise);
        }
        let mut frame = frame.to_vec();
        if hit(&mut self.dice, faults.corrupt, |f| matches!(f, OneFault::Corrupt)) {
            let at = self.dice.below(frame.len() as u64) as usize;
            let bit = self.dice.below(8);
            if let Some(byte) = frame.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        let times =
            1 + usize::from(hit(&mut self.dice, faults.duplicate, |f| matches!(f, OneFault::Duplicate)));
        let split = hit(&mut self.dice, faults.split, |f| matches!(f, OneFault::Split));
        for _ in 0..times {
            if split {
                for byte in &frame {
                    self.push(due, vec![*byte]);
                    due = due + Duration::from_millis(1);
                }
            } else {
                self.push(due, frame.clone());
            }
        }
    }

    /// The next piece that is due at `now`.
    pub fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.pieces.front()?.0 <= now { self.pieces.pop_front().map(|(_, bytes)| bytes) } else { None }
    }

    /// When the next piece is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.pieces.front().map(|(due, _)| *due)
    }

    /// When the last piece is due.
    pub fn last_due(&self) -> Option<Instant> {
        self.pieces.back().map(|(due, _)| *due)
    }

    /// Forgets what is on the line (power cut, cable pulled).
    pub fn clear(&mut self) {
        self.pieces.clear();
    }

    fn push(&mut self, due: Instant, bytes: Vec<u8>) {
        if self.pieces.len() < MAX_PIECES {
            self.pieces.push_back((due, bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(line: &mut Line) -> Vec<(u64, Vec<u8>)> {
        let mut out = Vec::new();
        while let Some(due) = line.next_due() {
            out.push((due.0, line.receive(due).unwrap()));
        }
        out
    }

    #[test]
    fn a_perfect_line_delivers_in_order_and_not_before_time() {
        let mut line = Line::new(1);
        line.send(Instant(5), b"ab");
        line.send(Instant(3), b"cd");
        assert_eq!(line.receive(Instant(4)), None);
        assert_eq!(drain(&mut line), [(5, b"ab".to_vec()), (5, b"cd".to_vec())]);
    }

    #[test]
    fn each_single_fault_hits_exactly_the_next_frame() {
        for (fault, pieces) in [
            (OneFault::Drop, vec![(9, 3)]),
            (OneFault::Duplicate, vec![(0, 3), (0, 3), (9, 3)]),
            (OneFault::Delay(Duration::from_millis(50)), vec![(50, 3), (50, 3)]),
            (OneFault::Split, vec![(0, 1), (1, 1), (2, 1), (9, 3)]),
        ] {
            let mut line = Line::new(7);
            line.fault_next(fault);
            line.send(Instant(0), b"abc");
            line.send(Instant(9), b"def");
            let seen: Vec<_> = drain(&mut line).iter().map(|(due, bytes)| (*due, bytes.len())).collect();
            assert_eq!(seen, pieces, "{fault:?}");
        }
        let mut line = Line::new(7);
        line.fault_next(OneFault::Corrupt);
        line.send(Instant(0), &[0; 8]);
        let (_, bytes) = drain(&mut line).remove(0);
        assert_eq!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1, "one bit differs");
        line.fault_next(OneFault::Noise);
        line.send(Instant(0), b"abc");
        let pieces = drain(&mut line);
        assert!(pieces.len() == 2 && (1..=8).contains(&pieces[0].1.len()) && pieces[1].1 == b"abc");
    }

    #[test]
    fn the_same_seed_misbehaves_the_same_way() {
        let run = |seed| {
            let mut line = Line::new(seed);
            line.set_faults(LineFaults {
                drop: 100,
                corrupt: 200,
                duplicate: 200,
                delay: 200,
                split: 200,
                noise: 200,
                delay_by: Duration::from_millis(30),
            });
            for at in 0..50 {
                line.send(Instant(at * 100), b"frame");
            }
            drain(&mut line)
        };
        assert_eq!(run(11), run(11));
        assert_ne!(run(11), run(12));
    }
}
