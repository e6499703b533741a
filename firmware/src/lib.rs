//! The kiosk application: composes, decides nothing.

pub mod config;
pub mod export;
pub mod keys;
pub mod link;
pub mod pins;
pub mod run;
#[cfg(test)]
mod scratch;
pub mod serial;
pub mod store;
pub mod systemd;
pub mod verify;
