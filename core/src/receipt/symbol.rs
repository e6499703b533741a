//! QR symbols for paper and screen.

use crate::view::Qr;
use qrcode::{
    Color, EcLevel,
    bits::encode_auto,
    canvas::{Canvas, MaskPattern},
    ec::construct_codewords,
};
use std::cell::RefCell;

/// White modules that must surround a symbol (ISO/IEC 18004).
pub(super) const QUIET: usize = 4;
/// Modules of this many dots are read by every phone (0.6 mm at 203 dpi).
const GOOD_DOTS: usize = 5;
/// Below this many dots per module (0.4 mm) thermal bleeding fills the gaps.
const LEAST_DOTS: usize = 3;
/// More dots per module than this only cost paper.
const MOST_DOTS: usize = 8;
/// A symbol is not made wider than this, quiet zone included, unless its modules would become too small.
const COMFORTABLE_WIDTH: usize = 416;

/// The modules of a QR symbol for `text`, medium error correction, or low where it does not fit otherwise.
///
/// `None` when `text` is longer than the largest symbol holds (about 4,296 alphanumeric letters).
pub fn qr_modules(text: &str) -> Option<Qr> {
    symbol(text, EcLevel::M).or_else(|| symbol(text, EcLevel::L))
}

/// The last symbol that a screen asked for. A screen is composed anew with each event and its symbol costs more than all the rest of
/// it, so the same text is drawn once.
#[derive(Default)]
pub(crate) struct LastSymbol(RefCell<Option<(String, Option<Qr>)>>);

impl LastSymbol {
    /// As [`qr_modules`].
    pub(crate) fn modules(&self, text: String) -> Option<Qr> {
        let mut last = self.0.borrow_mut();
        match &*last {
            Some((known, symbol)) if *known == text => symbol.clone(),
            _ => {
                let symbol = qr_modules(&text);
                *last = Some((text, symbol.clone()));
                symbol
            }
        }
    }

    /// Nobody may find it here any more.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// A symbol for paper `width` dots wide and the size of its modules in dots. Medium error correction where modules stay
/// readily readable, else low. `None` when it cannot be read at this width at all.
pub(super) fn for_paper(text: &str, width: usize) -> Option<(Qr, usize)> {
    let fit = |level, least: usize| {
        let qr = symbol(text, level)?;
        let side = usize::from(qr.size) + 2 * QUIET;
        let wanted = (COMFORTABLE_WIDTH / side).clamp(GOOD_DOTS, MOST_DOTS);
        let dots = wanted.min(width / side);
        (dots >= least).then_some((qr, dots))
    };
    fit(EcLevel::M, GOOD_DOTS).or_else(|| fit(EcLevel::L, LEAST_DOTS))
}

fn symbol(text: &str, level: EcLevel) -> Option<Qr> {
    let bits = encode_auto(text.as_bytes(), level).ok()?;
    let version = bits.version();
    let (data, correction) = construct_codewords(&bits.into_bytes(), version, level).ok()?;
    let mut canvas = Canvas::new(version, level);
    canvas.draw_all_functional_patterns();
    canvas.draw_data(&data, &correction);
    let size = u16::try_from(version.width()).ok()?;
    let masked = MASKS.iter().map(|mask| {
        let mut canvas = canvas.clone();
        canvas.apply_mask(*mask);
        let dark = canvas.into_colors().into_iter().map(|color| color == Color::Dark).collect();
        Qr { size, dark }
    });
    masked.min_by_key(penalty)
}

const MASKS: [MaskPattern; 8] = [
    MaskPattern::Checkerboard,
    MaskPattern::HorizontalLines,
    MaskPattern::VerticalLines,
    MaskPattern::DiagonalLines,
    MaskPattern::LargeCheckerboard,
    MaskPattern::Fields,
    MaskPattern::Diamonds,
    MaskPattern::Meadow,
];

/// How hard a masked symbol is to read (ISO/IEC 18004, 7.8.3; the balance not rounded). The crate counts the same and takes
/// a hundred times as long for a large symbol, as a citizen waiting for a slip would see.
fn penalty(qr: &Qr) -> usize {
    let side = usize::from(qr.size);
    let rows: Vec<&[bool]> = qr.dark.chunks(side).collect();
    let turned: Vec<bool> = (0..side).flat_map(|x| rows.iter().map(move |row| row[x])).collect();
    let lines = rows.iter().copied().chain(turned.chunks(side)).map(|line| runs(line) + eyes(line));
    let alike = |pair: &[&[bool]]| {
        // How many of each two modules above each other are dark; in a block of four that are alike both pairs have none, or both two.
        let mut pairs = pair[0].iter().zip(pair[1]).map(|(above, below)| u8::from(*above) + u8::from(*below));
        let mut left = pairs.next().unwrap_or(1);
        let same = |right: &u8| std::mem::replace(&mut left, *right) == *right && *right != 1;
        3 * pairs.filter(same).count()
    };
    let dark = qr.dark.iter().filter(|dark| **dark).count();
    let balance = (dark * 200 / qr.dark.len()).abs_diff(100);
    lines.sum::<usize>() + rows.windows(2).map(alike).sum::<usize>() + balance
}

/// Five or more modules alike.
fn runs(line: &[bool]) -> usize {
    line.chunk_by(|left, right| left == right)
        .map(<[bool]>::len)
        .filter(|run| *run >= 5)
        .map(|run| run - 2)
        .sum()
}

/// What looks like a finder pattern with light beside it.
fn eyes(line: &[bool]) -> usize {
    const EYE: u8 = 0b101_1101;
    let light = |from: usize, to: usize| !line[from.min(line.len())..to.min(line.len())].contains(&true);
    let mut last_seven = 0;
    let eye = |(end, dark): (usize, &bool)| {
        last_seven = last_seven << 1 & 0x7F | u8::from(*dark);
        last_seven == EYE && (light(end.saturating_sub(10), end - 6) || light(end + 1, end + 5))
    };
    40 * line.iter().enumerate().map(eye).filter(|found| *found).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_square_and_has_its_three_eyes() {
        let qr = qr_modules("TOLEM:V1:123456789014").unwrap();
        let size = usize::from(qr.size);
        assert_eq!(qr.dark.len(), size * size);
        let dark = |x: usize, y: usize| qr.dark[y * size + x];
        for (x, y) in [(0, 0), (size - 7, 0), (0, size - 7)] {
            assert!((0..7).all(|i| dark(x + i, y) && dark(x, y + i)), "{x} {y}");
            assert!(!dark(x + 1, y + 1) && dark(x + 3, y + 3));
        }
    }

    #[test]
    fn what_is_remembered_is_what_would_be_drawn() {
        let mut last = LastSymbol::default();
        for text in ["A", "A", "B", "A"] {
            assert_eq!(last.modules(text.into()), qr_modules(text));
        }
        last.forget();
        assert!(last.0.borrow().is_none());
    }

    /// The crate's own choice of the mask is the other opinion.
    #[test]
    fn a_symbol_is_the_one_that_the_crate_would_make() {
        let letters: String = ('0'..='Z').cycle().take(1_500).collect();
        for length in [1, 2, 20, 21, 77, 150, 270, 400, 850, 1_250, 1_500] {
            for (level, from) in [(EcLevel::L, 0), (EcLevel::M, 0), (EcLevel::M, 3), (EcLevel::L, 7)] {
                let text = &letters[from.min(length - 1)..length];
                let code = qrcode::QrCode::with_error_correction_level(text, level).unwrap();
                let colors: Vec<bool> =
                    code.into_colors().into_iter().map(|color| color == Color::Dark).collect();
                assert_eq!(symbol(text, level).unwrap().dark, colors, "{level:?} {text:?}");
            }
        }
    }

    #[test]
    fn the_longest_slip_fits_common_papers() {
        let letters: String = ('A'..='Z').cycle().take(1_400).collect();
        for (length, width, dots) in
            [(21, 576, 8), (270, 576, 6), (850, 576, 5), (1_250, 576, 5), (1_400, 576, 5), (1_250, 384, 3)]
        {
            let (qr, found) = for_paper(&letters[..length], width).unwrap();
            assert!((usize::from(qr.size) + 2 * QUIET) * found <= width, "{length} on {width}");
            assert_eq!(found, dots, "{length} on {width}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        assert_eq!(qr_modules(&"A".repeat(5_000)), None);
        assert_eq!(for_paper(&"A".repeat(1_400), 200), None);
    }
}
