//! Opens journal and keys, or finds the words why the terminal stays closed.
//!
//! Whatever is wrong with disk or keys, the terminal starts and shows it: a dark screen tells a citizen with money inside
//! nothing. Only a configuration that cannot be used at all ends the program.

use super::log;
use crate::{
    config::{Cards, Config, ReaderDriver},
    keys::{KioskKeys, OnMissing},
    link::tls::Clock,
    store::{Reader, SqliteStore},
    verify::Keys,
};
use anyhow::Context;
use std::sync::Arc;
use tolem_core::{
    card_reader::Abilities,
    drivers::{card_reader, ccnet, escpos, pinpad},
    emv::Terminal,
    journal::JournalFault,
    kiosk::{self, Kiosk, Patience},
    ports::{Signer, Store, StoreError},
    time::Instant,
};
use tolem_protocol::{
    UtcTime,
    record::{Fact, Record},
    signed_note,
};

/// The newest records among which the center's last word is looked for.
const LOOK_BACK: u64 = 1024;

/// A terminal ready to run.
pub(super) struct Opened {
    pub kiosk: Kiosk<SqliteStore, KioskKeys>,
    pub clock: Arc<Clock>,
    pub seed: u64,
    /// Keys to verify the journal with; `None` when it cannot be read.
    pub verify_with: Option<Keys>,
}

pub(super) fn open(config: &Config, now: Instant, utc: UtcTime) -> anyhow::Result<Opened> {
    let clock = Arc::new(Clock::new());
    let core = core_config(config);
    match open_parts(config, &clock) {
        Ok((store, signer)) => {
            if !store.reserve_ready() {
                log("no space could be set aside for finishing a payment: cash stays closed until it can");
            }
            let nonce = signer.nonce()?;
            let verify_with = Some(config.journal_keys(signer.public_key()));
            let kiosk = match Kiosk::open(core.clone(), store, signer, nonce, now, utc) {
                Ok(kiosk) => kiosk,
                Err((fault, signer)) => {
                    log(&format!("CLOSED: {fault}"));
                    Kiosk::closed(core, &fault, signer, nonce, now, utc)
                }
            };
            Ok(Opened { kiosk, clock, seed: seed(nonce), verify_with })
        }
        Err(fault) => {
            log(&format!("CLOSED: {fault}"));
            let signer =
                KioskKeys::ephemeral(&config.center.keys).context("the terminal cannot even start closed")?;
            let nonce = signer.nonce()?;
            let kiosk = Kiosk::closed(core, &fault, signer, nonce, now, utc);
            Ok(Opened { kiosk, clock, seed: seed(nonce), verify_with: None })
        }
    }
}

fn open_parts(config: &Config, clock: &Clock) -> Result<(SqliteStore, KioskKeys), JournalFault> {
    let store = SqliteStore::open(&config.journal.path)?;
    let missing = if store.size()? == 0 { OnMissing::Create } else { OnMissing::Refuse };
    let signer = KioskKeys::open(&config.journal.keys, &config.center.keys, missing)
        .map_err(|error| JournalFault::Store(error.to_string()))?;
    if let Some(seen) = last_seen(store.reader())? {
        clock.raise(seen);
    }
    Ok((store, signer))
}

/// When the center last cosigned, by its own clock. Other times in the journal come from our clock, which may have been wrong, and
/// a wrong future would lock the kiosk out for ever.
fn last_seen(reader: &Reader) -> Result<Option<UtcTime>, StoreError> {
    let from = reader.size()?.saturating_sub(LOOK_BACK);
    let entries = reader.batch(from, u32::try_from(LOOK_BACK).unwrap_or(u32::MAX))?;
    Ok(entries.iter().rev().find_map(|entry| match Record::from_bytes(&entry.bytes).ok()?.fact {
        Fact::Cosigned { line, .. } => cosigned_at(&line),
        _ => None,
    }))
}

/// The time in a cosignature line: key id, seconds since 1970, signature (c2sp.org/tlog-cosignature).
fn cosigned_at(line: &str) -> Option<UtcTime> {
    let note = format!("-\n\n{}\n", line.trim_end_matches('\n'));
    let (_, lines) = signed_note::split(&note)?;
    let (_, blob) = lines.first()?.rsplit_once(' ')?;
    let blob = data_encoding::BASE64.decode(blob.as_bytes()).ok()?;
    let seconds = u64::from_be_bytes(blob.get(4..12)?.try_into().ok()?);
    i64::try_from(seconds).ok().map(UtcTime::from_seconds)
}

fn core_config(config: &Config) -> kiosk::Config {
    kiosk::Config {
        kiosk: config.kiosk.number,
        operator: config.kiosk.operator.clone(),
        address: config.kiosk.address.clone(),
        nearest: config.kiosk.nearest.clone(),
        software: concat!("tolem ", env!("CARGO_PKG_VERSION")).into(),
        acceptor: ccnet::Config { countries: vec![config.acceptor.country], ..ccnet::Config::default() },
        patterns: config.acceptor.patterns.clone(),
        printer: escpos::Config {
            bytes_per_second: config.printer.baud / 10,
            bytes_per_row: config.printer.width / 8,
            ..escpos::Config::default()
        },
        page_width: config.printer.width,
        cards: config.cards.as_ref().map(cards),
        patience: Patience::default(),
    }
}

fn cards(config: &Cards) -> kiosk::Cards {
    let sred = matches!(config.reader.driver, ReaderDriver::Omron { sred: true, .. });
    let (reader, abilities) = match &config.reader.driver {
        ReaderDriver::Omron { keeps, .. } => (
            kiosk::Reader::Line(card_reader::Config { seals: sred, ..card_reader::Config::default() }),
            Abilities { can_eject: true, can_retain: *keeps, has_latch: true },
        ),
        ReaderDriver::Pcsc { .. } => (kiosk::Reader::Outside, super::pcsc::ABILITIES),
    };
    kiosk::Cards {
        reader,
        abilities,
        pad: pinpad::Config::default(),
        terminal: Terminal {
            terminal_id: config.reader.terminal,
            merchant_id: config.reader.merchant,
            ..Terminal::default()
        },
        sred,
    }
}

fn seed(nonce: [u8; 16]) -> u64 {
    nonce.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}
