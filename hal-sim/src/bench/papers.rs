//! The pieces of paper that came out, kept after they were taken, as pictures and as what a phone would read.

use crate::paper::{End, Paper};
use std::{collections::VecDeque, sync::Arc};

/// At most this many are kept; the oldest go first.
const MAX_PAPERS: usize = 100;

/// One piece.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Counts all pieces since the bench was started, from 1.
    pub number: u64,
    /// Dots across.
    pub width: u16,
    /// Rows.
    pub height: usize,
    /// How it ended.
    pub end: End,
    /// Its picture.
    pub png: Arc<Vec<u8>>,
    /// What its QR symbols say, from the top.
    pub qr: Arc<Vec<String>>,
    /// Somebody took it.
    pub taken: bool,
}

/// All pieces.
#[derive(Debug, Default)]
pub struct Papers(VecDeque<Piece>);

impl Papers {
    /// Takes over what lies at the printer now: the last of `pieces` ever, oldest first.
    pub fn update(&mut self, lying: &[Arc<Paper>], pieces: u64) {
        let first = pieces.saturating_sub(lying.len() as u64) + 1;
        for piece in &mut self.0 {
            piece.taken = piece.number < first;
        }
        let known = self.0.back().map_or(0, |piece| piece.number);
        for (number, paper) in (first..).zip(lying).filter(|(number, _)| *number > known) {
            if self.0.len() >= MAX_PAPERS {
                self.0.pop_front();
            }
            self.0.push_back(Piece {
                number,
                width: paper.width(),
                height: paper.height(),
                end: paper.end(),
                png: Arc::new(paper.to_png()),
                qr: Arc::new(paper.qr_texts()),
                taken: false,
            });
        }
    }

    /// Newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Piece> {
        self.0.iter().rev()
    }

    /// The one with this number.
    pub fn get(&self, number: u64) -> Option<&Piece> {
        self.0.iter().find(|piece| piece.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_their_numbers_and_stay_after_they_were_taken() {
        let paper = || Arc::new(Paper::new(16));
        let mut papers = Papers::default();
        papers.update(&[paper(), paper()], 2);
        papers.update(&[], 2);
        papers.update(&[paper()], 3);
        let seen: Vec<_> = papers.newest_first().map(|piece| (piece.number, piece.taken)).collect();
        assert_eq!(seen, [(3, false), (2, true), (1, true)]);
        assert!(papers.get(4).is_none());
    }
}
