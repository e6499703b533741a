//! Bands: the raster commands for the next rows of a page, white left out where it can be.
//!
//! A receipt is mostly white. GS v 0 says its own width, so the white right of the last ink is not sent, and a stretch of
//! white rows is a band one byte wide. ESC J would be shorter still, but its unit is a dot on some models and half a dot on others,
//! and half of the white around a QR code makes it unreadable; a white row of a band is a row on all of them.

use crate::printer::Page;
use tolem_protocol::escpos;

/// White rows in a row that are worth a command of their own: the gap between two lines of text has more. Bands then begin and end
/// in white, where a printer's pause between two commands shows nothing.
const MIN_WHITE: usize = 4;
/// What GS v 0 costs besides its dots.
pub(super) const HEAD: usize = 8;

/// The commands for rows of `page` from `first` on: at most `max_rows` rows and `max_bytes` bytes, but at least one row. Gives the
/// bytes and the number of rows.
pub(super) fn next(page: &Page, first: usize, max_rows: usize, max_bytes: usize) -> (Vec<u8>, usize) {
    let width = usize::from(page.width / 8);
    let last = page.height().min(first + max_rows.max(1));
    let mut bytes = Vec::new();
    let mut row = first;
    while row < last {
        let rest = &page.rows[row * width..last * width];
        let (inked, rows) = stretch(rest, width);
        let left = max_bytes.saturating_sub(bytes.len() + HEAD);
        let (inked, rows) = fitting(rest, width, inked, rows, left);
        if rows == 0 && row > first {
            break;
        }
        let (inked, rows) = if rows == 0 { (ink(&rest[..width]), 1) } else { (inked, rows) };
        let dots: Vec<u8> = rest.chunks(width).take(rows).flat_map(|row| &row[..inked]).copied().collect();
        let narrow = u16::try_from(inked).expect("invariant: not wider than the page");
        bytes.extend(escpos::raster(narrow, &dots).expect("invariant: at least one whole row"));
        row += rows;
    }
    (bytes, row - first)
}

/// Bytes of a row up to its last ink; a white row has one, because a band of no width is none.
fn ink(row: &[u8]) -> usize {
    row.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1)
}

fn is_white(row: &[u8]) -> bool {
    row.iter().all(|byte| *byte == 0)
}

/// The rows that go together: a stretch of white, or everything up to the next one. Width in bytes and number of rows.
fn stretch(rows: &[u8], width: usize) -> (usize, usize) {
    let white = rows.chunks(width).take_while(|row| is_white(row)).count();
    if white >= MIN_WHITE {
        return (1, white);
    }
    let (mut inked, mut count, mut white) = (1, 0, 0);
    for row in rows.chunks(width) {
        white = if is_white(row) { white + 1 } else { 0 };
        count += 1;
        if white == MIN_WHITE {
            return (inked, count - white);
        }
        inked = inked.max(ink(row));
    }
    (inked, count)
}

/// As many of these rows as fit into `left` bytes.
fn fitting(rows: &[u8], width: usize, inked: usize, count: usize, left: usize) -> (usize, usize) {
    if inked * count <= left {
        return (inked, count);
    }
    let (mut wide, mut fit) = (1, 0);
    for row in rows.chunks(width).take(count) {
        let wider = wide.max(ink(row));
        if wider * (fit + 1) > left {
            break;
        }
        (wide, fit) = (wider, fit + 1);
    }
    (wide, fit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use escpos::{Decoded, Decoder};

    /// What a printer 16 bytes wide has on paper after these bytes, and how wide the bands were.
    fn print(bytes: &[u8]) -> (Vec<u8>, Vec<(u16, u16)>) {
        let (mut paper, mut bands) = (Vec::new(), Vec::new());
        let (mut decoder, mut stride, mut column) = (Decoder::new(), 0, 0);
        for found in bytes.iter().filter_map(|byte| decoder.push(*byte)) {
            match found {
                Decoded::Raster { mode: 0, bytes_per_row, rows } => {
                    bands.push((bytes_per_row, rows));
                    (stride, column) = (usize::from(bytes_per_row), 0);
                }
                Decoded::Dots(dots) => {
                    paper.push(dots);
                    column += 1;
                    if column == stride {
                        paper.resize(paper.len() + 16 - stride, 0);
                        column = 0;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        (paper, bands)
    }

    /// A page 16 bytes wide; each number is a row with ink up to that byte, 0 white.
    fn page(rows: &[usize]) -> Page {
        let row =
            |inked: &usize| (0..16).map(|at| if at + 1 == *inked { 0x5A } else { 0 }).collect::<Vec<u8>>();
        Page { width: 128, rows: rows.iter().flat_map(row).collect() }
    }

    fn send(page: &Page, max_rows: usize, max_bytes: usize) -> (Vec<u8>, Vec<(u16, u16)>) {
        let (mut first, mut stream) = (0, Vec::new());
        while first < page.height() {
            let (bytes, rows) = next(page, first, max_rows, max_bytes);
            assert!((1..=max_rows).contains(&rows), "{rows}");
            assert!(bytes.len() <= max_bytes || rows == 1, "{} of {max_bytes} bytes", bytes.len());
            first += rows;
            stream.extend(bytes);
        }
        print(&stream)
    }

    #[test]
    fn white_rows_and_the_white_margin_are_not_sent() {
        let rows = [vec![0; 20], vec![3, 0, 5], vec![0; 4], vec![16], vec![0; 3]].concat();
        let page = page(&rows);
        let (paper, bands) = send(&page, 1000, 10_000);
        assert!(paper == page.rows);
        assert_eq!(bands, [(1, 20), (5, 3), (1, 4), (16, 4)]);
    }

    #[test]
    fn any_page_comes_out_dot_by_dot_under_any_bound() {
        let mut state = 0x7011_u64;
        let mut below = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % bound as u64) as usize
        };
        for _ in 0..200 {
            let mut rows = Vec::new();
            for _ in 0..below(12) + 1 {
                let inked = if below(2) == 0 { 0 } else { below(17) };
                rows.extend(vec![inked; below(40) + 1]);
            }
            let page = page(&rows);
            let (max_rows, max_bytes) = (below(60) + 1, below(400));
            let (paper, _) = send(&page, max_rows, max_bytes);
            assert!(paper == page.rows, "{rows:?} {max_rows} {max_bytes}");
        }
    }
}
