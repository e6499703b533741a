//! Writes pictures of all papers to a directory, to be looked at as a citizen would: `cargo run --example papers -- DIR`.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an example writes files and looks at the clock; the ban is for the library"
)]

use std::{fs::File, path::Path, time::Instant};
use tolem_core::{
    printer::Page,
    receipt::{PaperFacts, claim_slip, receipt, voucher},
};
use tolem_protocol::{
    Amount,
    catalogue::Language,
    messages::{HeldBalance, HoldReason},
};

#[path = "../src/receipt/sample.rs"]
mod sample;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let directory = std::env::args().nth(1).ok_or("usage: papers DIRECTORY")?;
    std::fs::create_dir_all(&directory)?;
    let sample = sample::sample();
    let claim = sample.quote.payment.claim_number();
    let held = HeldBalance {
        amount: Amount::from_tenge(4_000),
        reason: HoldReason::Stopped,
        number: sample.remainder.number,
    };
    for (name, second) in [("kk", Language::Kazakh), ("ru", Language::Russian), ("en", Language::English)] {
        let facts = sample.facts(second);
        let copy = PaperFacts { copy: true, ..facts.clone() };
        let narrow = PaperFacts { width: 384, ..facts.clone() };
        let sheets = [
            ("receipt", receipt(&facts, &sample.code, &sample.code_qr(), None)),
            ("receipt-remainder", receipt(&facts, &sample.code, &sample.code_qr(), Some(&sample.remainder))),
            ("receipt-copy", receipt(&copy, &sample.code, &sample.code_qr(), None)),
            ("receipt-narrow", receipt(&narrow, &sample.code, &sample.code_qr(), None)),
            ("claim", claim_slip(&facts, claim, &sample.deposit_qr(), false)),
            ("claim-emergency", claim_slip(&facts, claim, &sample.deposit_qr(), true)),
            ("voucher", voucher(&facts, &held, &sample.balance_qr())),
        ];
        for (kind, sheet) in sheets {
            let start = Instant::now();
            let page = sheet.page();
            let took = start.elapsed();
            let path = Path::new(&directory).join(format!("{kind}-{name}.png"));
            write(&path, &page)?;
            println!(
                "{} {}x{} dots, {} mm, {took:.1?}",
                path.display(),
                page.width,
                page.height(),
                page.height() / 8
            );
        }
    }
    Ok(())
}

/// One bit per dot, ink black on white.
fn write(path: &Path, page: &Page) -> Result<(), Failure> {
    let mut encoder =
        png::Encoder::new(File::create(path)?, u32::from(page.width), u32::try_from(page.height())?);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let white: Vec<u8> = page.rows.iter().map(|byte| !byte).collect();
    encoder.write_header()?.write_image_data(&white)?;
    Ok(())
}
