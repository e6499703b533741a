//! A paper as a list of lines: laid out to dots for the printer, or dumped as text for tests and traces.

use super::{
    raster::{Canvas, Face, line_height},
    symbol,
};
use crate::printer::Page;

/// One block of a paper, from the top.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// White on black over the whole width: COPY, EMERGENCY.
    Banner(String),
    /// What this paper is; centred.
    Title(String),
    /// One sentence that matters; centred, bold.
    Lead(String),
    /// A label over a number; centred, small.
    Caption(String),
    /// The number this paper is about, as large as fits.
    Number(String),
    /// A sentence; small.
    Note(String),
    /// Label on the left, value on the right; under each other where both do not fit.
    Row {
        /// What it is.
        label: String,
        /// How much, who, when.
        value: String,
        /// Larger and bold.
        strong: bool,
    },
    /// A label and under it long values, one per language.
    Field {
        /// What it is.
        label: String,
        /// Texts.
        values: Vec<String>,
    },
    /// A QR symbol with this text.
    Qr(String),
    /// A thin line.
    Rule,
    /// A dashed line: another paper begins.
    Tear,
}

/// A paper before it becomes dots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sheet {
    width: u16,
    lines: Vec<Line>,
}

const SMALL: u16 = 22;
const BODY: u16 = 25;
const STRONG: u16 = 31;
const TITLE: u16 = 31;
const BANNER: u16 = 44;
const LARGEST: u16 = 76;
const GAP: usize = 6;
/// White on both sides of what is fitted to the width.
const MARGIN: usize = 12;

impl Sheet {
    /// An empty sheet for paper `width` dots wide.
    ///
    /// Panics unless `width` is a multiple of 8 and at least 200: the configuration is checked before.
    pub fn new(width: u16) -> Self {
        assert!(width.is_multiple_of(8) && width >= 200, "{width} dots: not a paper width");
        Self { width, lines: Vec::new() }
    }

    /// Adds a block at the end.
    pub fn push(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// The blocks.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The paper as text, one string per printed item; a QR symbol is named by its content.
    pub fn text(&self) -> Vec<String> {
        let mut out = Vec::new();
        for line in &self.lines {
            match line {
                Line::Banner(text) => out.push(format!("### {text} ###")),
                Line::Title(text) => out.push(format!("== {text} ==")),
                Line::Lead(text) | Line::Caption(text) | Line::Note(text) => out.push(text.clone()),
                Line::Number(text) => out.push(format!("[ {text} ]")),
                Line::Row { label, value, strong: false } => out.push(format!("{label}: {value}")),
                Line::Row { label, value, strong: true } => out.push(format!("{label}: *{value}*")),
                Line::Field { label, values } => {
                    out.push(format!("{label}:"));
                    out.extend(values.iter().map(|value| format!("  {value}")));
                }
                Line::Qr(text) => out.push(format!("[QR {text}]")),
                Line::Rule => out.push("----".to_owned()),
                Line::Tear => out.push("- - - -".to_owned()),
            }
        }
        out
    }

    /// The paper as dots.
    pub fn page(&self) -> Page {
        let mut layout = Layout { canvas: Canvas::new(self.width), width: usize::from(self.width) };
        layout.canvas.grow(GAP);
        for line in &self.lines {
            layout.line(line);
        }
        layout.canvas.grow(GAP * 2);
        layout.canvas.into_page()
    }
}

struct Layout {
    canvas: Canvas,
    width: usize,
}

impl Layout {
    fn line(&mut self, line: &Line) {
        match line {
            Line::Banner(text) => self.banner(text),
            Line::Title(text) => self.centred(text, Face::Bold, TITLE),
            Line::Lead(text) => self.centred(text, Face::Bold, BODY),
            Line::Caption(text) => self.centred(text, Face::Regular, SMALL),
            Line::Number(text) => self.number(text),
            Line::Note(text) => {
                self.paragraph(text, Face::Regular, SMALL);
                self.canvas.grow(GAP);
            }
            Line::Row { label, value, strong } => self.row(label, value, *strong),
            Line::Field { label, values } => {
                self.paragraph(label, Face::Regular, SMALL);
                for (place, value) in values.iter().enumerate() {
                    let face = if place == 0 { Face::Bold } else { Face::Regular };
                    self.paragraph(value, face, BODY);
                }
                self.canvas.grow(GAP);
            }
            Line::Qr(text) => self.symbol(text),
            Line::Rule => {
                let top = self.canvas.grow(GAP * 2 + 2) + GAP;
                self.canvas.fill(0, top, self.width, 2);
            }
            Line::Tear => {
                let top = self.canvas.grow(GAP * 8 + 3) + GAP * 4;
                (0..self.width).step_by(24).for_each(|left| self.canvas.fill(left, top, 12, 3));
            }
        }
    }

    fn banner(&mut self, text: &str) {
        let px = self.fitting(text, BANNER, SMALL);
        let top = self.canvas.grow(GAP);
        self.centred(text, Face::Bold, px);
        self.canvas.grow(GAP);
        self.canvas.invert_from(top);
        self.canvas.grow(GAP);
    }

    fn number(&mut self, text: &str) {
        let px = self.fitting(text, LARGEST, BODY);
        self.centred(text, Face::Bold, px);
    }

    /// The largest size from `most` down to `least` at which `text` stays on one line.
    fn fitting(&self, text: &str, most: u16, least: u16) -> u16 {
        let room = self.width - 2 * MARGIN;
        (least..=most).rev().find(|px| Face::Bold.width(*px, text) <= room).unwrap_or(least)
    }

    fn centred(&mut self, text: &str, face: Face, px: u16) {
        // Two languages that do not fit one line get a line each.
        let parts: Vec<&str> =
            if face.width(px, text) <= self.width { vec![text] } else { text.split(" / ").collect() };
        for line in parts.into_iter().flat_map(|part| face.wrap(px, part, self.width)) {
            let left = self.width.saturating_sub(face.width(px, &line)) / 2;
            let top = self.canvas.grow(line_height(px));
            self.canvas.text(left, top, face, px, &line);
        }
    }

    fn paragraph(&mut self, text: &str, face: Face, px: u16) {
        for line in face.wrap(px, text, self.width) {
            let top = self.canvas.grow(line_height(px));
            self.canvas.text(0, top, face, px, &line);
        }
    }

    fn row(&mut self, label: &str, value: &str, strong: bool) {
        let (face, label_px, px) =
            if strong { (Face::Bold, BODY, STRONG) } else { (Face::Regular, SMALL, BODY) };
        let label_width = face.width(label_px, label);
        let value_width = face.width(px, value);
        if label_width + value_width + 16 <= self.width {
            let top = self.canvas.grow(line_height(px));
            // Both stand on one baseline.
            self.canvas.text(0, top + usize::from(px - label_px), face, label_px, label);
            self.canvas.text(self.width - value_width, top, face, px, value);
            return;
        }
        self.paragraph(label, face, label_px);
        for line in face.wrap(px, value, self.width) {
            let top = self.canvas.grow(line_height(px));
            let left = self.width.saturating_sub(face.width(px, &line));
            self.canvas.text(left, top, face, px, &line);
        }
    }

    fn symbol(&mut self, text: &str) {
        let Some((qr, dots)) = symbol::for_paper(text, self.width) else {
            // Too long for this paper: the letters themselves are still evidence.
            self.paragraph(text, Face::Regular, SMALL);
            return;
        };
        let size = usize::from(qr.size);
        let left = (self.width - size * dots) / 2;
        let quiet = symbol::QUIET * dots;
        let top = self.canvas.grow(size * dots + 2 * quiet) + quiet;
        for (row, modules) in qr.dark.chunks(size).enumerate() {
            let top = top + row * dots;
            for (column, _) in modules.iter().enumerate().filter(|(_, dark)| **dark) {
                self.canvas.fill(left + column * dots, top, dots, 1);
            }
            self.canvas.repeat(top, dots - 1);
        }
    }
}
