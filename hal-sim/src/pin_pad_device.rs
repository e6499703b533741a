//! A PIN pad, seen from its own side of the line: keys inside, digits that never leave it, and every way it can fail.
//!
//! Written from the device's point of view (programmer's manual of UIC's PP791). It holds real keys, derives one for each PIN (DUKPT) or
//! uses a session key under one of its own, and refuses what a real unit refuses. Its keypad is moved by hands: [`PinPadDevice::press`].

mod keys;
#[cfg(test)]
mod tests;

pub use keys::{KeyStore, PinPadKeys};

use crate::{
    card_reader_device::SecureUnit,
    line::{Line, LineFaults, OneFault},
};
use std::{collections::VecDeque, fmt, time::Duration};
use tolem_card_keys::{
    pin_block::{self, Pin},
    tdes::Padding,
};
use tolem_core::time::Instant;
use tolem_protocol::{
    emv::CardNumber,
    pinpad::{ACK, Answer, Decoded, Decoder, EOT, Frame, KeySerial, KeySlot, NAK, PinBlock, SelfTest},
};
use zeroize::{Zeroize, Zeroizing};

pub use crate::ccnet_device::Way;

/// A key of the keypad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// `0` to `9`.
    Digit(u8),
    /// Begins anew.
    Clear,
    /// Done.
    Enter,
    /// No.
    Cancel,
}

/// What it shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Display {
    /// Nothing: no power.
    Dark,
    /// Its greeting.
    Idle,
    /// "Total amount", "enter PIN", and a star for each digit.
    EnterPin {
        /// As the terminal said it.
        amount: String,
        /// Digits entered.
        stars: usize,
    },
    /// After a PIN.
    Processing,
}

impl fmt::Display for Display {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dark => f.write_str("dark"),
            Self::Idle => f.write_str("welcome"),
            Self::EnterPin { amount, stars } => write!(f, "total {amount}, enter PIN {}", "*".repeat(*stars)),
            Self::Processing => f.write_str("processing"),
        }
    }
}

/// What it wants done next.
#[derive(Clone, PartialEq, Eq)]
pub enum PadOutput {
    /// Send these bytes.
    Transmit(Vec<u8>),
    /// This happened, in words; never with a digit of a PIN or card.
    Happened(String),
    /// Nothing before this instant unless bytes or hands come.
    Wait(Instant),
}

/// What is being taken.
struct Entry {
    number: CardNumber,
    amount: String,
    /// The session key as it came; none: DUKPT.
    session: Option<[u8; 16]>,
    digits: Zeroizing<Vec<u8>>,
    until: Instant,
}

/// A message that waits for the terminal's ACK.
#[derive(Clone)]
struct Open {
    frame: Frame,
    until: Instant,
    sent: u8,
    then: Then,
}

/// What an ACK leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    /// EOT.
    End,
    /// The key is stored, then EOT.
    Store,
}

/// How long it waits for an ACK before it sends again.
const RESEND: Duration = Duration::from_secs(3);
/// After so many it says EOT.
const MOST_SENT: u8 = 3;
/// Its own limit for DUKPT.
const LONGEST_ENTRY: Duration = Duration::from_secs(270);
/// From the last byte of a message to the first of its answer.
const THINKING: Duration = Duration::from_millis(20);

/// The device.
pub struct PinPadDevice {
    keys: KeyStore,
    /// The reader in the same case, which knows the card that is in.
    unit: Option<SecureUnit>,
    /// What it is loaded with again by a technician.
    delivered: KeyStore,
    now: Instant,
    powered: bool,
    silent: bool,
    broken: bool,
    throttled: bool,
    /// Messages that it will not understand.
    refuses: u32,
    decoder: Decoder,
    naks: u8,
    entry: Option<Entry>,
    open: Option<Open>,
    selected: Option<KeySlot>,
    full_serials: bool,
    display: Display,
    pending_key: Option<(KeySlot, String)>,
    mac: Zeroizing<Vec<u8>>,
    mac_next: u8,
    to_host: Line,
    to_device: Line,
    events: VecDeque<String>,
}

impl PinPadDevice {
    /// A powered device with these keys.
    pub fn new(keys: KeyStore, seed: u64) -> Self {
        Self {
            delivered: keys.clone(),
            keys,
            unit: None,
            now: Instant(0),
            powered: true,
            silent: false,
            broken: false,
            throttled: false,
            refuses: 0,
            decoder: Decoder::new(),
            naks: 0,
            entry: None,
            open: None,
            selected: None,
            full_serials: false,
            display: Display::Idle,
            pending_key: None,
            mac: Zeroizing::default(),
            mac_next: 0,
            to_host: Line::new(seed ^ 0xC3C3),
            to_device: Line::new(seed ^ 0x3C3C),
            events: VecDeque::new(),
        }
    }

    /// The same in one case with a reader.
    #[must_use]
    pub fn in_one_case(mut self, unit: SecureUnit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// What comes out next; call until [`PadOutput::Wait`].
    pub fn poll(&mut self) -> PadOutput {
        if let Some(event) = self.events.pop_front() {
            return PadOutput::Happened(event);
        }
        if let Some(bytes) = self.to_host.receive(self.now) {
            return PadOutput::Transmit(bytes);
        }
        let next = [self.deadline(), self.to_host.next_due(), self.to_device.next_due()];
        PadOutput::Wait(next.into_iter().flatten().min().unwrap_or(Instant(u64::MAX)))
    }

    /// Time went by.
    pub fn handle_timeout(&mut self, now: Instant) {
        loop {
            let timer = self.deadline().filter(|due| *due <= now);
            let bytes = self.to_device.next_due().filter(|due| *due <= now);
            match (timer, bytes) {
                (Some(timer), bytes) if bytes.is_none_or(|bytes| timer <= bytes) => {
                    self.now = self.now.max(timer);
                    self.time_out();
                }
                (_, Some(due)) => {
                    self.now = self.now.max(due);
                    if let Some(bytes) = self.to_device.receive(due) {
                        self.hear(&bytes);
                    }
                }
                _ => break,
            }
        }
        self.now = self.now.max(now);
    }

    /// Bytes came from the terminal, in any split.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.to_device.send(now, bytes);
        self.handle_timeout(now);
    }

    /// How both directions of the line misbehave from now on.
    pub fn set_line_faults(&mut self, faults: LineFaults) {
        self.to_host.set_faults(faults);
        self.to_device.set_faults(faults);
    }

    /// One fault for the next bytes in this direction.
    pub fn fault_next(&mut self, way: Way, fault: OneFault) {
        match way {
            Way::ToHost => self.to_host.fault_next(fault),
            Way::ToDevice => self.to_device.fault_next(fault),
        }
    }

    /// A finger on a key. False if nobody asked for one: the pad beeps.
    pub fn press(&mut self, now: Instant, key: Key) -> bool {
        self.handle_timeout(now);
        if !self.powered || self.silent {
            return false;
        }
        let Some(entry) = &mut self.entry else {
            if key == Key::Clear && self.display == Display::Processing {
                self.display = Display::Idle;
            }
            return false;
        };
        match key {
            Key::Digit(digit) if digit <= 9 && entry.digits.len() < 12 => entry.digits.push(digit),
            Key::Digit(_) => return false,
            Key::Clear => entry.digits.zeroize(),
            Key::Enter if entry.digits.len() < 4 => return false,
            Key::Enter => self.entered(),
            Key::Cancel => self.end_entry("cancelled by the citizen"),
        }
        self.show();
        true
    }

    /// Digits, then the enter key.
    pub fn enter(&mut self, now: Instant, pin: &str) -> bool {
        let digits = pin.bytes().filter(u8::is_ascii_digit).map(|digit| Key::Digit(digit - b'0'));
        // Every key is pressed, whatever became of the one before.
        digits.chain([Key::Enter]).filter(|key| !self.press(now, *key)).count() == 0
    }

    /// Somebody opened it: it wipes its keys and says so.
    pub fn tamper(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.keys.wipe();
        self.drop_entry();
        self.note("opened: all keys are wiped");
    }

    /// A technician brings it back with the keys it was delivered with, its serial numbers going on.
    pub fn reload(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.keys.restore(&self.delivered);
        self.note("loaded with keys again");
    }

    /// Power on or off. Keys stay, everything else is forgotten.
    pub fn set_power(&mut self, now: Instant, on: bool) {
        self.handle_timeout(now);
        self.powered = on;
        self.drop_entry();
        self.open = None;
        self.pending_key = None;
        self.selected = None;
        self.full_serials = false;
        self.decoder.clear();
        self.to_host.clear();
        self.to_device.clear();
        self.show();
        self.note(if on { "power on" } else { "power off" });
    }

    /// It hears and says nothing, though it has power.
    pub fn set_silent(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Its self test finds damage.
    pub fn set_broken(&mut self, broken: bool) {
        self.broken = broken;
    }

    /// It refuses PINs because there were too many in an hour.
    pub fn set_throttled(&mut self, throttled: bool) {
        self.throttled = throttled;
    }

    /// The next so many messages are answered with NAK.
    pub fn refuse_next(&mut self, naks: u32) {
        self.refuses = naks;
    }

    /// What it shows.
    pub fn display(&self) -> &Display {
        &self.display
    }

    /// It has power.
    pub fn is_powered(&self) -> bool {
        self.powered
    }

    /// Its keys.
    pub fn keys(&self) -> &KeyStore {
        &self.keys
    }

    fn note(&mut self, text: &str) {
        self.events.push_back(text.to_owned());
    }

    fn show(&mut self) {
        self.display = match (&self.entry, self.powered) {
            (_, false) => Display::Dark,
            (Some(entry), _) => Display::EnterPin { amount: entry.amount.clone(), stars: entry.digits.len() },
            (None, _) if self.display == Display::Processing => Display::Processing,
            (None, _) => Display::Idle,
        };
    }

    fn deadline(&self) -> Option<Instant> {
        let entry = self.entry.as_ref().map(|entry| entry.until);
        let open = self.open.as_ref().map(|open| open.until);
        [entry, open].into_iter().flatten().min().filter(|_| self.powered)
    }

    fn time_out(&mut self) {
        if self.entry.as_ref().is_some_and(|entry| entry.until <= self.now) {
            self.end_entry("nobody entered a PIN");
        }
        if self.open.as_ref().is_some_and(|open| open.until <= self.now) {
            self.send_again();
        }
    }

    fn transmit(&mut self, bytes: &[u8]) {
        self.to_host.send(self.now + THINKING, bytes);
    }

    fn send(&mut self, frame: Frame, then: Then) {
        self.transmit(&frame.to_bytes());
        self.open = Some(Open { frame, until: self.now + RESEND, sent: 1, then });
    }

    fn send_again(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        if open.sent == MOST_SENT {
            self.pending_key = None;
            return self.transmit(&[EOT]);
        }
        self.transmit(&open.frame.to_bytes());
        open.sent += 1;
        open.until = self.now + RESEND;
        self.open = Some(open);
    }

    fn say(&mut self, answer: &Answer, then: Then) {
        if let Some(frame) = answer.frame() {
            self.send(frame, then);
        }
    }

    fn drop_entry(&mut self) {
        self.entry = None;
        self.show();
    }

    fn end_entry(&mut self, why: &str) {
        self.drop_entry();
        self.transmit(&[EOT]);
        self.note(why);
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        if !self.powered || self.silent {
            return;
        }
        while let Some(found) = self.decoder.next(&mut bytes) {
            match found {
                Decoded::Ack => self.confirmed(),
                Decoded::Nak => self.send_again(),
                Decoded::Eot => {
                    self.open = None;
                    self.pending_key = None;
                }
                Decoded::Bad => {
                    self.naks += 1;
                    let word = if self.naks > MOST_SENT { EOT } else { NAK };
                    self.transmit(&[word]);
                    if word == EOT {
                        self.naks = 0;
                    }
                }
                Decoded::Frame(_) if self.refuses > 0 => {
                    self.refuses -= 1;
                    self.transmit(&[NAK]);
                }
                Decoded::Frame(frame) => {
                    self.naks = 0;
                    self.request(&frame);
                }
            }
        }
    }

    fn confirmed(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.then == Then::Store
            && let Some((slot, block)) = self.pending_key.take()
        {
            match self.keys.load(slot, &block) {
                Ok(()) => self.note("key loaded"),
                // It was opened before it was repeated.
                Err(_) => self.note("key not loaded"),
            }
        }
        if open.then != Then::Nothing {
            self.transmit(&[EOT]);
        }
    }

    fn request(&mut self, frame: &Frame) {
        let text = frame.text();
        if text == b"72" {
            let asked = self.entry.is_some();
            self.open = None;
            self.drop_entry();
            self.display = Display::Idle;
            if asked {
                self.note("cancelled by the terminal");
            }
            return self.transmit(&[if asked { EOT } else { ACK }]);
        }
        // While it takes a PIN it hears nothing else.
        if self.entry.is_some() {
            return;
        }
        self.open = None;
        self.transmit(&[ACK]);
        match (frame.admin, text) {
            (true, b"16") => {
                let test = SelfTest { broken: self.broken, keys_lost: self.keys.is_wiped() };
                self.say(&Answer::SelfTest(test), Then::End);
            }
            (true, [b'0', b'4', slot, ..]) => {
                let there = KeySlot::new(*slot).is_some_and(|slot| self.keys.has(slot));
                self.say(&Answer::KeyPresent(there), Then::End);
            }
            (true, [b'0', b'8', slot]) => {
                let slot = KeySlot::new(*slot).filter(|slot| slot.letter().is_ascii_digit());
                self.selected = slot.or(self.selected);
                self.say(&Answer::KeySelected(slot.map(|_| ()).ok_or(b'1')), Then::End);
            }
            (true, [b'0', b'2', slot, block @ ..]) => self.load(*slot, block, frame),
            (false, [b'9', b'0', block @ ..]) => {
                let loaded = self.keys.load_initial(&String::from_utf8_lossy(block));
                if loaded.is_ok() {
                    self.note("initial key loaded");
                }
                self.say(&Answer::InitialKey(loaded), Then::Nothing);
            }
            (false, b"960" | b"961") => {}
            (false, [b'7', b'A', format]) => self.full_serials = *format == b'1',
            (false, [b'7', b'0', b'.', rest @ ..]) => self.begin(rest, true),
            (false, [b'7', b'0', rest @ ..]) => self.begin(rest, false),
            (false, [b'Z', b'6', b'6', rest @ ..]) => self.authenticate(rest),
            _ => self.transmit(&[EOT]),
        }
    }

    fn load(&mut self, slot: u8, block: &[u8], echo: &Frame) {
        let block = String::from_utf8_lossy(block).into_owned();
        let opened = KeySlot::new(slot).ok_or(b'E').and_then(|slot| {
            self.keys.open(slot, &block)?;
            Ok(slot)
        });
        match opened {
            Ok(slot) => {
                self.pending_key = Some((slot, block));
                self.send(echo.clone(), Then::Store);
            }
            Err(letter) => self.say(&Answer::KeyRefused(letter), Then::End),
        }
    }

    fn begin(&mut self, rest: &[u8], under_session: bool) {
        match self.entry_of(rest, under_session) {
            Ok(entry) => {
                self.entry = Some(entry);
                self.show();
                self.note("asks for a PIN");
            }
            Err(letter) => self.say(&Answer::PinRefused(letter), Then::Nothing),
        }
    }

    fn entry_of(&self, rest: &[u8], under_session: bool) -> Result<Entry, u8> {
        let mut fields = rest.split(|byte| *byte == 0x1C);
        let account = fields.next().unwrap_or_default();
        let account = std::str::from_utf8(account).map_err(|_| b'4')?;
        let number = if account.is_empty() {
            // The card that is in the reader of the same case.
            self.unit.as_ref().and_then(SecureUnit::number).ok_or(b'0')?
        } else {
            CardNumber::parse(account).ok_or(match account.len() {
                0..8 => b'2',
                8..=19 => b'4',
                _ => b'3',
            })?
        };
        let money = fields.next().ok_or(b'5')?;
        let (session, amount, until) = if under_session {
            let (key, amount) = money.split_first_chunk::<32>().ok_or(b'5')?;
            let key = keys::hex(key).ok_or(b'5')?;
            let half_minutes = match fields.next() {
                Some([digit @ b'1'..=b'9']) => u64::from(digit - b'0'),
                None => 9,
                Some(_) => return Err(b'6'),
            };
            (Some(key), amount, self.now + Duration::from_secs(30 * half_minutes))
        } else {
            let [b'D' | b'C', amount @ ..] = money else { return Err(b'5') };
            (None, amount, self.now + LONGEST_ENTRY)
        };
        let shown = amount.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.'));
        if !(4..=8).contains(&amount.len()) || !shown {
            return Err(b'8');
        }
        if self.throttled {
            return Err(b'7');
        }
        match session {
            Some(key) => drop(self.keys.session_key(self.selected, &key)?),
            None => self.keys.can_derive()?,
        }
        let amount = String::from_utf8_lossy(amount).into_owned();
        Ok(Entry { number, amount, session, digits: Zeroizing::default(), until })
    }

    fn entered(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        let text: Zeroizing<String> =
            Zeroizing::new(entry.digits.iter().map(|digit| char::from(b'0' + digit)).collect());
        let pin = Pin::parse(&text).expect("invariant: four to twelve digits");
        let clear = Zeroizing::new(pin_block::format_0(&pin, &entry.number));
        let answer = match entry.session {
            Some(key) => self
                .keys
                .session_key(self.selected, &key)
                .map(|key| Answer::PinUnderSession(PinBlock::new(key.encrypt(*clear)))),
            None => self
                .keys
                .next_pin_key()
                .map(|(serial, key)| Answer::Pin(KeySerial(serial), PinBlock::new(key.encrypt(*clear)))),
        };
        self.display = Display::Processing;
        self.note("a PIN was entered");
        match answer {
            Ok(Answer::Pin(serial, block)) if !self.full_serials => {
                self.send(without_leading_letters(&Answer::Pin(serial, block)), Then::Nothing);
            }
            Ok(answer) => self.say(&answer, Then::Nothing),
            Err(letter) => self.say(&Answer::PinRefused(letter), Then::Nothing),
        }
    }

    fn authenticate(&mut self, rest: &[u8]) {
        let answer = self.mac_of(rest).unwrap_or_else(Answer::MacRefused);
        if answer != Answer::MacContinues {
            self.mac.zeroize();
            self.mac_next = 0;
        }
        self.say(&answer, Then::Nothing);
    }

    fn mac_of(&mut self, rest: &[u8]) -> Result<Answer, u8> {
        let (head, data) = rest.split_first_chunk::<4>().ok_or(b'5')?;
        let [kind, tens, ones, slot] = *head;
        let data = data.rsplit(|byte| *byte == 0x1C).next().unwrap_or(&[]);
        let number = (tens.wrapping_sub(b'0')).wrapping_mul(10).wrapping_add(ones.wrapping_sub(b'0'));
        if number == 0 {
            self.mac.zeroize();
            self.mac_next = 0;
        }
        if number != self.mac_next {
            return Err(b'2');
        }
        let last = match kind {
            b'2' => true,
            b'3' => false,
            _ => return Err(b'6'),
        };
        let (pairs, odd) = data.as_chunks::<2>();
        if pairs.is_empty() || !odd.is_empty() {
            return Err(b'5');
        }
        for pair in pairs {
            self.mac.push(keys::hex::<1>(pair).ok_or(b'7')?[0]);
        }
        let key = KeySlot::new(slot).and_then(|slot| self.keys.mac_key(slot)).ok_or(b'3')?;
        self.mac_next += 1;
        if !last {
            return Ok(Answer::MacContinues);
        }
        Ok(Answer::Mac(key.retail_mac(Padding::Zeros, &self.mac)))
    }
}

/// As old terminals want it: a serial number without its leading `F`s.
fn without_leading_letters(answer: &Answer) -> Frame {
    let frame = answer.frame().expect("invariant: a PIN has a message");
    let text = frame.text();
    let (head, rest) = text.split_at(3);
    let serial = rest.len() - 16;
    let letters = rest[..serial].iter().take_while(|letter| **letter == b'F').count().min(serial - 10);
    Frame::new(false, &[head, &rest[letters..]].concat()).expect("invariant: shorter than the message was")
}
