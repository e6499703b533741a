//! Text as dots: two faces of one font, thresholded to black and white.
//!
//! Printers have no code page with all Kazakh letters and the tenge sign that can be relied on, so every letter is drawn
//! here. One letter is one glyph: Kazakh, Russian and English in composed form (NFC) need no shaping. Same text, same dots,
//! on every machine.

use crate::printer::Page;
use fontdue::{Font, FontSettings, Metrics};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::LazyLock};

/// Weight of the letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Face {
    Regular,
    Bold,
}

static REGULAR: LazyLock<Font> = LazyLock::new(|| parse(include_bytes!("../../fonts/NotoSans-Regular.ttf")));
static BOLD: LazyLock<Font> = LazyLock::new(|| parse(include_bytes!("../../fonts/NotoSans-Bold.ttf")));

fn parse(bytes: &[u8]) -> Font {
    let settings = FontSettings { load_substitutions: false, ..FontSettings::default() };
    Font::from_bytes(bytes, settings).expect("invariant: the bundled font files parse, a test reads both")
}

/// A letter drawn once: where it stands, and the coverage of its dots.
type Glyph = Rc<(Metrics, Vec<u8>)>;

thread_local! {
    /// Papers use a handful of sizes and the letters of three languages, so this stays small.
    static DRAWN: RefCell<BTreeMap<(Face, u16, char), Glyph>> = const { RefCell::new(BTreeMap::new()) };
    /// Widths alone, because more sizes are tried than drawn.
    static WIDTHS: RefCell<BTreeMap<(Face, u16, char), f32>> = const { RefCell::new(BTreeMap::new()) };
}

impl Face {
    fn glyph(self, px: u16, letter: char) -> Glyph {
        DRAWN.with_borrow_mut(|drawn| {
            let draw = || Rc::new(self.font().rasterize(letter, f32::from(px)));
            drawn.entry((self, px, letter)).or_insert_with(draw).clone()
        })
    }

    fn font(self) -> &'static Font {
        match self {
            Self::Regular => &REGULAR,
            Self::Bold => &BOLD,
        }
    }

    /// Whether there is a glyph for `letter`.
    #[cfg(test)]
    pub(super) fn has(self, letter: char) -> bool {
        self.font().has_glyph(letter)
    }

    /// Width of `text` at `px` pixels per em, in dots, rounded up.
    pub(super) fn width(self, px: u16, text: &str) -> usize {
        let exact: f32 = text.chars().map(|letter| self.advance(px, letter)).sum();
        exact.ceil() as usize
    }

    fn advance(self, px: u16, letter: char) -> f32 {
        if letter == NARROW_SPACE {
            return f32::from(px) * NARROW_SPACE_EM;
        }
        WIDTHS.with_borrow_mut(|widths| {
            let measure = || self.font().metrics(letter, f32::from(px)).advance_width;
            *widths.entry((self, px, letter)).or_insert_with(measure)
        })
    }

    /// Breaks `text` at spaces into lines of at most `width` dots. No-break spaces hold together; a word that is wider
    /// than the line is broken wherever it must be.
    pub(super) fn wrap(self, px: u16, text: &str, width: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
            let candidate = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if self.width(px, &candidate) <= width {
                line = candidate;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for letter in word.chars() {
                line.push(letter);
                if self.width(px, &line) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, letter.to_string()));
                }
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        lines
    }
}

/// Height of one line of text at `px` pixels per em.
pub(super) const fn line_height(px: u16) -> usize {
    px as usize * 13 / 10
}

/// Groups the digits of a sum.
const NARROW_SPACE: char = '\u{202f}';
/// Its width. The font's own is so narrow that groups of digits run together at 203 dpi.
const NARROW_SPACE_EM: f32 = 0.22;

/// Coverage from which a dot is black. A little below half: thin strokes must not break on thermal paper.
const INK: u8 = 112;

/// A strip of paper that grows downwards.
pub(super) struct Canvas {
    width: usize,
    rows: Vec<u8>,
}

impl Canvas {
    /// An empty strip `width` dots wide; `width` is a multiple of 8.
    pub(super) fn new(width: u16) -> Self {
        assert!(width.is_multiple_of(8), "a page is a whole number of bytes wide, not {width} dots");
        Self { width: usize::from(width), rows: Vec::new() }
    }

    /// Rows so far.
    pub(super) fn height(&self) -> usize {
        self.rows.len() / (self.width / 8).max(1)
    }

    /// Adds `rows` white rows and gives the number of the first.
    pub(super) fn grow(&mut self, rows: usize) -> usize {
        let top = self.height();
        self.rows.resize(self.rows.len() + rows * (self.width / 8), 0);
        top
    }

    /// Blackens the dots of a rectangle that lie on the strip.
    pub(super) fn fill(&mut self, left: usize, top: usize, width: usize, height: usize) {
        let stride = self.width / 8;
        let (right, bottom) = ((left + width).min(self.width), (top + height).min(self.height()));
        for y in top..bottom {
            let row = &mut self.rows[y * stride..(y + 1) * stride];
            let mut x = left;
            while x < right {
                if x.is_multiple_of(8) && x + 8 <= right {
                    row[x / 8] = 0xFF;
                    x += 8;
                } else {
                    row[x / 8] |= 0x80 >> (x % 8);
                    x += 1;
                }
            }
        }
    }

    /// Repeats row `top` in the `times` rows below it.
    pub(super) fn repeat(&mut self, top: usize, times: usize) {
        let stride = self.width / 8;
        for below in top + 1..=top + times {
            self.rows.copy_within(top * stride..(top + 1) * stride, below * stride);
        }
    }

    /// Swaps black and white in whole rows from `top` to the end.
    pub(super) fn invert_from(&mut self, top: usize) {
        for byte in &mut self.rows[top * (self.width / 8)..] {
            *byte = !*byte;
        }
    }

    /// Draws `text` into the line whose upper edge is `top`, from dot `left` on.
    pub(super) fn text(&mut self, left: usize, top: usize, face: Face, px: u16, text: &str) {
        // Capitals of Noto Sans are 0.71 em high, accents reach 0.95 em: the baseline lies 1 em under the upper edge.
        let baseline = i64::try_from(top).unwrap_or(i64::MAX - i64::from(px)) + i64::from(px);
        let mut pen = left as f32;
        for letter in text.chars() {
            let glyph = face.glyph(px, letter);
            let (metrics, coverage) = &*glyph;
            let x0 = pen.round() as i64 + i64::from(metrics.xmin);
            let y0 = baseline - i64::from(metrics.ymin) - metrics.height as i64;
            for (row, line) in coverage.chunks_exact(metrics.width.max(1)).enumerate() {
                let Ok(y) = usize::try_from(y0 + row as i64) else { continue };
                for (column, _) in line.iter().enumerate().filter(|(_, ink)| **ink >= INK) {
                    if let Ok(x) = usize::try_from(x0 + column as i64) {
                        self.blacken(x, y);
                    }
                }
            }
            pen += face.advance(px, letter);
        }
    }

    fn blacken(&mut self, x: usize, y: usize) {
        if x < self.width
            && let Some(byte) = self.rows.get_mut(y * (self.width / 8) + x / 8)
        {
            *byte |= 0x80 >> (x % 8);
        }
    }

    /// The finished page.
    pub(super) fn into_page(self) -> Page {
        Page { width: u16::try_from(self.width).expect("invariant: made from a u16"), rows: self.rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faces_have_all_kazakh_letters_and_the_tenge_sign() {
        for face in [Face::Regular, Face::Bold] {
            for letter in "ӘәҒғҚқҢңӨөҰұҮүҺһІіЁёЙй₸№•·×«»“”’–—…\u{a0}\u{202f}".chars()
            {
                assert!(face.has(letter), "{face:?} {letter:?}");
            }
        }
    }

    #[test]
    fn figures_are_tabular() {
        for face in [Face::Regular, Face::Bold] {
            let one = face.advance(24, '0');
            for digit in '1'..='9' {
                assert_eq!(face.advance(24, digit), one, "{face:?} {digit}");
            }
        }
    }

    #[test]
    fn lines_keep_to_the_width_and_lose_no_letter() {
        let text = "Төлем орталығынан соманы сұрап жатырмыз 34\u{202f}600\u{202f}₸ \
                    Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz";
        for width in [60, 150, 560] {
            let lines = Face::Regular.wrap(24, text, width);
            for line in &lines {
                assert!(Face::Regular.width(24, line) <= width, "{width}: {line}");
            }
            let squeeze = |text: &str| text.replace(' ', "");
            assert_eq!(squeeze(&lines.concat()), squeeze(text), "{width}");
        }
        let sum = "34\u{202f}600\u{202f}₸";
        assert_eq!(Face::Regular.wrap(24, &format!("aaaa {sum}"), 110), ["aaaa", sum]);
        assert_eq!(Face::Regular.wrap(24, "", 100), Vec::<String>::new());
        assert_eq!(Face::Regular.wrap(24, "ab", 1), ["a", "b"], "even an absurd width ends");
    }

    #[test]
    fn drawing_beside_the_strip_changes_nothing() {
        let mut canvas = Canvas::new(16);
        canvas.grow(4);
        canvas.fill(20, 0, 5, 5);
        canvas.fill(0, 9, 5, 5);
        canvas.text(40, 2, Face::Bold, 24, "Ж");
        assert_eq!(canvas.into_page().rows, [0; 8]);
    }

    /// Pins size, threshold and spacing: the same on every machine.
    #[test]
    fn letters_look_like_this() {
        let mut canvas = Canvas::new(64);
        canvas.grow(line_height(22));
        canvas.text(0, 0, Face::Regular, 22, "Құ1\u{202f}₸");
        let page = canvas.into_page();
        let mut picture = String::new();
        for row in page.rows.chunks(8) {
            let dots: String = row
                .iter()
                .flat_map(|byte| (0..8).map(move |bit| if byte & (0x80 >> bit) != 0 { '#' } else { '.' }))
                .collect();
            picture += dots.trim_end_matches('.');
            picture.push('\n');
        }
        expect_test::expect![[r#"






            ..##.......##...................##.........############
            ..##......##...................###.........############
            ..##.....##..................#####
            ..##....##..................###.##
            ..##...###.....##.......##...#..##.........############
            ..##..###......###......##......##..........##########
            ..##.###........##.....##.......##..............##
            ..#####.........##.....##.......##..............##
            ..#####..........##...###.......##..............##
            ..##.###.........##...##........##..............##
            ..##..###........##...##........##..............##
            ..##...###........##.##.........##..............##
            ..##....###.......##.##.........##..............##
            ..##.....##........####.........##..............##
            ..##......####.....###..........##..............##
            ..##.......###.....###..........##..............##
            ............##...########
            ............##...#######
            ............##......##
            ............##......##
            ....................##

        "#]]
        .assert_eq(&picture);
    }
}
