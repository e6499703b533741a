//! The kiosk application: composes, decides nothing.

pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod enroll;
pub mod export;
pub mod keys;
pub mod link;
pub mod pins;
#[cfg(feature = "demo")]
pub mod plain_screen;
pub mod receipt;
pub mod run;
#[cfg(test)]
mod scratch;
#[cfg(feature = "demo")]
pub mod screen_stream;
pub mod serial;
pub mod show;
pub mod store;
pub mod systemd;
pub mod verify;
