//! The kiosk application: composes, decides nothing.

pub mod config;
pub mod export;
pub mod keys;
pub mod link;
#[cfg(test)]
mod scratch;
pub mod store;
pub mod verify;
