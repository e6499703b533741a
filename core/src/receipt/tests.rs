use super::*;

#[path = "sample.rs"]
mod sample;
