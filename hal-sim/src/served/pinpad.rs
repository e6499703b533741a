//! The PIN pad's words.

use super::{DeviceState, LineState, Model, Step, line_faults, unknown};
use crate::pin_pad_device::{Display, Key, PadOutput, PinPadDevice};
use tolem_core::time::Instant;

const HELP: &str = "press DIGITS|clear|enter|cancel ...; tamper; load; broken on|off; throttled on|off; silent on|off; power off|on; \
                    line ok; line drop|corrupt|duplicate|split|noise PERMILLE; line delay MS";

/// What a PIN pad shows.
#[derive(Clone, Debug)]
pub struct PinPadState {
    /// Cable.
    pub line: LineState,
    /// Its display.
    pub display: Display,
    /// Serial number of the key it used last, in hexadecimal digits; `None` without keys.
    pub serial: Option<String>,
}

fn serial(device: &PinPadDevice) -> Option<String> {
    device.keys().serial().map(|serial| serial.iter().map(|byte| format!("{byte:02X}")).collect())
}

impl Model for PinPadDevice {
    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        Self::handle_bytes(self, now, bytes);
    }

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn step(&mut self) -> Step {
        match self.poll() {
            PadOutput::Transmit(bytes) => Step::Transmit(bytes),
            PadOutput::Happened(what) => Step::Log(what),
            PadOutput::Wait(until) => Step::Wait(until),
        }
    }

    fn room(&self) -> usize {
        usize::MAX
    }

    fn command(&mut self, now: Instant, words: &[&str]) -> Result<String, String> {
        let on = |word: &str| match word {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(format!("{word:?} is neither on nor off")),
        };
        match words {
            ["press", keys @ ..] if !keys.is_empty() => {
                let keys: Vec<Key> =
                    keys.iter().map(|word| pressed(word)).collect::<Result<Vec<_>, _>>()?.concat();
                let taken = keys.into_iter().filter(|key| self.press(now, *key)).count();
                // Digits are not said back.
                Ok(format!("{taken} keys taken, {}", self.state_line()))
            }
            ["press"] => Err("press what? allowed: press DIGITS|clear|enter|cancel ...".into()),
            ["tamper"] => {
                self.tamper(now);
                Ok(self.state_line())
            }
            ["load"] => {
                self.reload(now);
                Ok(self.state_line())
            }
            ["broken", word] => {
                self.set_broken(on(word)?);
                Ok(self.state_line())
            }
            ["throttled", word] => {
                self.set_throttled(on(word)?);
                Ok(self.state_line())
            }
            ["silent", word] => {
                self.set_silent(on(word)?);
                Ok(self.state_line())
            }
            ["power", word] => {
                self.set_power(now, on(word)?);
                Ok(self.state_line())
            }
            ["line", rest @ ..] => {
                self.set_line_faults(line_faults(rest)?);
                Ok(format!("line {}", rest.join(" ")))
            }
            _ => Err(unknown(words, HELP)),
        }
    }

    fn state(&self, line: LineState) -> DeviceState {
        DeviceState::PinPad(PinPadState { line, display: self.display().clone(), serial: serial(self) })
    }

    fn state_line(&self) -> String {
        let keys = serial(self).map_or("no keys".into(), |serial| format!("last key {serial}"));
        format!("shows {}, {keys}", self.display())
    }

    fn help(&self) -> &'static str {
        HELP
    }
}

fn pressed(word: &str) -> Result<Vec<Key>, String> {
    match word {
        "clear" => Ok(vec![Key::Clear]),
        "enter" => Ok(vec![Key::Enter]),
        "cancel" => Ok(vec![Key::Cancel]),
        digits if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Ok(digits.bytes().map(|digit| Key::Digit(digit - b'0')).collect())
        }
        _ => Err("allowed: press DIGITS|clear|enter|cancel ...".into()),
    }
}
