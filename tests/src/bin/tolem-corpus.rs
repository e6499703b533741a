//! Writes what the fuzz targets start from as files, for engines that keep a directory for each target:
//! `cargo run -p tolem-tests --bin tolem-corpus -- tests/fuzz/corpus`. With `--new-authority` it makes the authority and the signed
//! messages of `tests/fuzz/gateway` anew.

use std::{fs, path::Path};
use tolem_tests::fuzz::{TARGETS, found_authority};

fn main() -> anyhow::Result<()> {
    let argument = std::env::args().nth(1);
    match argument.as_deref() {
        Some("--new-authority") => found_authority(),
        Some(directory) => write(Path::new(directory)),
        None => anyhow::bail!("usage: tolem-corpus DIRECTORY | --new-authority"),
    }
}

fn write(directory: &Path) -> anyhow::Result<()> {
    for target in &TARGETS {
        let folder = directory.join(target.name);
        fs::create_dir_all(&folder)?;
        let corpus = target.corpus();
        println!("{}: {} inputs", target.name, corpus.len());
        for (number, input) in corpus.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), input)?;
        }
    }
    Ok(())
}
