//! Reference processing center and reference e-government gateway.
//!
//! The kiosks' only peer: it checks payers, signs quotes, turns deposits into codes or held balances exactly once, and witnesses
//! the kiosks' journals. `logic` holds the rules and is pure; the rest is the shell around it. It re-reads the wire with its
//! own eyes: nothing here depends on the kiosk's code.

pub mod acquirer;
pub mod catalogue;
pub mod config;
pub mod export;
pub mod gateway;
pub mod keys;
pub mod logic;
pub mod pen;
pub mod pki;
pub mod server;
pub mod setup;
pub mod sql;

/// The store in an SQLite file, under the name that says so: the same type serves PostgreSQL.
pub mod sqlite {
    pub use crate::sql::SqlStore as SqliteStore;
}
pub mod xmlsig;
