//! Paper: the dots that are really on it, as a picture and as what a phone would read from it.
//!
//! Nothing here knows what was meant to be printed. Whoever wants to know what the citizen holds looks at these dots.

use std::fmt;

/// How a piece of paper ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum End {
    /// Still hanging in the printer.
    #[default]
    Hanging,
    /// Cut off.
    FullCut,
    /// Cut but for a small bridge.
    PartialCut,
    /// Torn off by hand, when the roll was changed.
    Torn,
}

/// One piece of paper. Rows from the top (printed first), 1 = black, most significant bit left.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Paper {
    width: u16,
    rows: Vec<u8>,
    end: End,
}

impl fmt::Debug for Paper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Paper({}x{}, {:?})", self.width, self.height(), self.end)
    }
}

impl Paper {
    /// Paper `width` dots wide (rounded up to a multiple of 8, at least 8) of no length yet.
    pub fn new(width: u16) -> Self {
        Self { width: width.max(1).div_ceil(8).saturating_mul(8), rows: Vec::new(), end: End::Hanging }
    }

    /// Dots per row.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.rows.len() / self.stride()
    }

    /// How it ended.
    pub fn end(&self) -> End {
        self.end
    }

    /// All rows, `width / 8` bytes each.
    pub fn rows(&self) -> &[u8] {
        &self.rows
    }

    /// The dot is black. Outside the paper nothing is.
    pub fn is_black(&self, x: usize, y: usize) -> bool {
        x < usize::from(self.width)
            && self.rows.get(y * self.stride() + x / 8).is_some_and(|byte| byte & (0x80 >> (x % 8)) != 0)
    }

    /// True if no dot is black.
    pub fn is_blank(&self) -> bool {
        self.rows.iter().all(|byte| *byte == 0)
    }

    /// Adds one row; what is too long is lost beyond the edge, what is missing stays white.
    pub fn push_row(&mut self, row: &[u8]) {
        let stride = self.stride();
        let used = row.len().min(stride);
        self.rows.extend_from_slice(&row[..used]);
        self.rows.resize(self.rows.len() + stride - used, 0);
    }

    /// Adds white rows.
    pub fn feed(&mut self, rows: usize) {
        let stride = self.stride();
        self.rows.resize(self.rows.len() + rows * stride, 0);
    }

    /// Takes off the first `rows` rows as a piece that ended as `end`; the rest stays.
    pub fn split_off_top(&mut self, rows: usize, end: End) -> Self {
        let at = (rows * self.stride()).min(self.rows.len());
        let rest = self.rows.split_off(at);
        Self { width: self.width, rows: std::mem::replace(&mut self.rows, rest), end }
    }

    /// The same piece without white rows above and below; a blank piece keeps none.
    pub fn trimmed(&self) -> Self {
        let stride = self.stride();
        let black = |row: &[u8]| row.iter().any(|byte| *byte != 0);
        let first = self.rows.chunks(stride).position(black).unwrap_or(self.height());
        let last = self.rows.chunks(stride).rposition(black).map_or(first, |row| row + 1);
        Self { width: self.width, rows: self.rows[first * stride..last * stride].to_vec(), end: self.end }
    }

    /// A black and white PNG, one pixel per dot. Paper of no length gives one white row, because PNG knows no empty picture.
    pub fn to_png(&self) -> Vec<u8> {
        let height = self.height().max(1);
        let mut inverted: Vec<u8> = self.rows.iter().map(|byte| !byte).collect();
        inverted.resize(height * self.stride(), 0xFF);
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, u32::from(self.width), height as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&inverted))
            .expect("invariant: size and data agree, and memory takes every byte");
        out
    }

    /// Reads a PNG of one channel back into paper: pixels darker than half are black.
    ///
    /// The error names what the picture is instead.
    pub fn from_png(bytes: &[u8]) -> Result<Self, String> {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let mut reader = decoder.read_info().map_err(|error| format!("not a PNG: {error}"))?;
        let size = reader.output_buffer_size().ok_or("the picture is too large for memory")?;
        let mut pixels = vec![0; size];
        let info = reader.next_frame(&mut pixels).map_err(|error| format!("broken PNG: {error}"))?;
        if info.color_type != png::ColorType::Grayscale {
            return Err(format!("paper is grey, this picture is {:?}", info.color_type));
        }
        let width = u16::try_from(info.width).map_err(|_| format!("{} dots wide is no paper", info.width))?;
        let mut paper = Self::new(width);
        for line in pixels.chunks(info.line_size).take(info.height as usize) {
            let mut row = vec![0u8; paper.stride()];
            for (x, pixel) in line.iter().take(usize::from(width)).enumerate() {
                if *pixel < 128 {
                    row[x / 8] |= 0x80 >> (x % 8);
                }
            }
            paper.push_row(&row);
        }
        Ok(paper)
    }

    /// What the QR symbols on it say, from the top. Symbols that cannot be read are left out.
    pub fn qr_texts(&self) -> Vec<String> {
        let (width, height) = (usize::from(self.width), self.height());
        if height == 0 || self.is_blank() {
            return Vec::new();
        }
        let mut image = rqrr::PreparedImage::prepare_from_bitmap(width, height, |x, y| self.is_black(x, y));
        let mut found: Vec<(i32, String)> = image
            .detect_grids()
            .iter()
            .filter_map(|grid| {
                let top = grid.bounds.iter().map(|point| point.y).min().unwrap_or(0);
                grid.decode().ok().map(|(_, text)| (top, text))
            })
            .collect();
        found.sort();
        found.into_iter().map(|(_, text)| text).collect()
    }

    fn stride(&self) -> usize {
        usize::from(self.width / 8).max(1)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A QR symbol as rows of `width` dots, `module` dots per module, four modules of quiet zone.
    pub(crate) fn qr_rows(text: &str, width: usize, module: usize) -> Vec<Vec<u8>> {
        let code = qrcode::QrCode::new(text).unwrap();
        let side = code.width();
        let colors = code.to_colors();
        let black = |x: usize, y: usize| {
            let (column, row) = ((x / module).wrapping_sub(4), (y / module).wrapping_sub(4));
            column < side && row < side && colors[row * side + column] == qrcode::Color::Dark
        };
        (0..(side + 8) * module)
            .map(|y| {
                let mut row = vec![0u8; width / 8];
                for x in (0..width).filter(|x| black(*x, y)) {
                    row[x / 8] |= 0x80 >> (x % 8);
                }
                row
            })
            .collect()
    }

    #[test]
    fn a_qr_symbol_is_read_back_from_the_png_bytes() {
        let mut paper = Paper::new(576);
        paper.feed(30);
        for row in qr_rows("TOLEM:1:0001 2345 6789", 576, 5) {
            paper.push_row(&row);
        }
        for row in qr_rows("second", 576, 6) {
            paper.push_row(&row);
        }
        let read = Paper::from_png(&paper.to_png()).unwrap();
        assert_eq!(read.rows(), paper.rows());
        assert_eq!(read.qr_texts(), ["TOLEM:1:0001 2345 6789", "second"]);
    }

    #[test]
    fn a_damaged_symbol_gives_nothing_rather_than_something_wrong() {
        let mut paper = Paper::new(576);
        for (y, row) in qr_rows("a payment code", 576, 6).iter().enumerate() {
            let half: Vec<u8> = row.iter().map(|byte| if y > 90 { 0 } else { *byte }).collect();
            paper.push_row(&half);
        }
        assert_eq!(paper.qr_texts(), Vec::<String>::new());
        assert_eq!(Paper::new(576).qr_texts(), Vec::<String>::new());
    }

    #[test]
    fn rows_beyond_the_edge_are_lost_and_short_rows_are_white() {
        let mut paper = Paper::new(16);
        paper.push_row(&[0x80, 0x01, 0xFF]);
        paper.push_row(&[0xFF]);
        assert_eq!(paper.rows(), [0x80, 0x01, 0xFF, 0x00]);
        assert!(
            paper.is_black(0, 0) && paper.is_black(15, 0) && !paper.is_black(16, 0) && !paper.is_black(0, 2)
        );
    }

    #[test]
    fn cutting_keeps_every_row_exactly_once() {
        let mut paper = Paper::new(8);
        (0..10u8).for_each(|row| paper.push_row(&[row]));
        let top = paper.split_off_top(4, End::FullCut);
        assert_eq!((top.rows(), top.end()), (&[0, 1, 2, 3][..], End::FullCut));
        assert_eq!((paper.rows(), paper.end()), (&[4, 5, 6, 7, 8, 9][..], End::Hanging));
        assert_eq!(paper.split_off_top(99, End::Torn).height(), 6);
        assert_eq!(top.trimmed().rows(), [1, 2, 3]);
        assert_eq!(paper.trimmed().height(), 0);
    }

    #[test]
    fn pictures_that_are_not_paper_are_named() {
        assert!(Paper::from_png(b"GIF89a").unwrap_err().starts_with("not a PNG"));
        let mut png = Paper::new(16).to_png();
        png.truncate(40);
        assert!(Paper::from_png(&png).is_err());
    }
}
