//! QR symbols for paper and screen.

use crate::view::Qr;
use qrcode::{EcLevel, QrCode};

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
    let code = QrCode::with_error_correction_level(text, level).ok()?;
    let size = u16::try_from(code.width()).ok()?;
    Some(Qr {
        size,
        dark: code.into_colors().into_iter().map(|color| color == qrcode::Color::Dark).collect(),
    })
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
