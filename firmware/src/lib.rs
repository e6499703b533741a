//! The kiosk application: composes, decides nothing.

pub mod store;
