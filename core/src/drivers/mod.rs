//! One machine per device protocol: bytes and time in, bytes and events out.
//!
//! A driver frames, retries until the device is *seen* to act, and reports health. It never decides about money and never
//! confirms "stacked" by reflex. Its owner feeds it one input (`handle_bytes`, `handle_timeout` or `command`), then drains `poll` down
//! to `Wait`.

pub mod card_reader;
pub mod ccnet;
pub mod escpos;
pub mod pinpad;
