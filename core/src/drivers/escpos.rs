use crate::{
    printer::{Command, Output},
    time::Instant,
};
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config;
pub struct Escpos;
impl Escpos {
    pub fn new(_: Config, _: Instant) -> Self {
        Self
    }
    pub fn handle_bytes(&mut self, _: Instant, _: &[u8]) {}
    pub fn handle_timeout(&mut self, _: Instant) {}
    pub fn command(&mut self, _: Instant, _: Command) {}
    pub fn poll(&mut self) -> Output {
        Output::Wait(Instant(0))
    }
}
