//! The commands, by who gives them.

pub mod audit;
pub mod cards;
pub mod disputes;
pub mod office;
pub mod register;
pub mod reports;

use clap::Args;
use std::path::PathBuf;
use tolem_center::{
    config::Config,
    setup::{CONFIG_FILE, open_store},
    sql::SqlStore,
};

/// Which center.
#[derive(Args)]
pub struct At {
    /// Configuration file.
    #[arg(long, default_value = CONFIG_FILE)]
    pub config: PathBuf,
}

/// Opens its database beside a running center.
pub fn open(at: &At) -> anyhow::Result<(Config, SqlStore)> {
    let config = Config::read(&at.config)?;
    let store = open_store(&config)?;
    Ok((config, store))
}
