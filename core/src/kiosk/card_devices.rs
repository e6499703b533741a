//! The card devices: what their drivers say, and what they are told.
//!
//! A reader is either a line of bytes with a driver of this house behind it, or somebody else's driver, as on PC/SC: then commands and
//! events of [`crate::card_reader`] go in and out instead of bytes. What follows from them is the same.

use super::{
    Kiosk, Output,
    card::Place,
    dialogue::{CardScreen, Dialogue},
    notes::Remark,
};
use crate::{
    card_reader::{self as reader, Command as ReaderCommand, Found, ReaderFault},
    drivers::{card_reader, pinpad},
    emv::{ChipFault, PinEntry},
    health::FaultCode,
    pin_pad::{self as pad, PadFault, PinEnd, PinKey},
    ports::{Signer, Store},
    secret::SecretBytes,
    time::Instant,
    view::Tone,
    words::Word,
};
use tolem_protocol::{card::CardMoved, record::Fact};

/// How the card reader is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reader {
    /// By a line of bytes, [`Output::CardReader`] and [`super::Event::CardReader`].
    Line(card_reader::Config),
    /// By a driver outside of the core: [`Output::Reader`] and [`super::Event::Reader`].
    Outside,
}

/// The driver of the reader.
pub(super) enum Driver {
    /// And when it wants to be called.
    Line(Box<card_reader::CardReader>, Instant),
    Outside,
}

/// Both devices.
pub(super) struct Devices {
    reader: Driver,
    pub(super) pad: pinpad::PinPad,
    pad_wait: Instant,
}

impl Devices {
    pub(super) fn new(reader: &Reader, pad: pinpad::Config, now: Instant) -> Self {
        let reader = match reader {
            Reader::Line(config) => {
                Driver::Line(Box::new(card_reader::CardReader::new(config.clone(), now)), now)
            }
            Reader::Outside => Driver::Outside,
        };
        Self { reader, pad: pinpad::PinPad::new(pad, now), pad_wait: now }
    }

    /// When one of them wants to be called.
    pub(super) fn wait(&self) -> Instant {
        match &self.reader {
            Driver::Line(_, wait) => self.pad_wait.min(*wait),
            Driver::Outside => self.pad_wait,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Driver::Line(driver, wait) = &mut self.reader
            && *wait <= now
        {
            driver.handle_timeout(now);
        }
        if self.pad_wait <= now {
            self.pad.handle_timeout(now);
        }
    }
}

impl<S: Store, K: Signer> Kiosk<S, K> {
    pub(super) fn drain_cards(&mut self) {
        let Some(desk) = &mut self.desk else { return };
        desk.devices.handle_timeout(self.now);
        while let Some(Driver::Line(driver, wait)) = self.desk.as_mut().map(|desk| &mut desk.devices.reader) {
            match driver.poll() {
                reader::Output::Transmit(bytes) => {
                    self.outputs.push_back(Output::CardReader(SecretBytes(bytes)));
                }
                reader::Output::Event(event) => self.reader_event(event),
                reader::Output::Wait(until) => {
                    *wait = until;
                    break;
                }
            }
        }
        while let Some(desk) = &mut self.desk {
            match desk.devices.pad.poll() {
                pad::Output::Transmit(bytes) => {
                    self.outputs.push_back(Output::PinPad(SecretBytes(bytes)));
                }
                pad::Output::Event(event) => self.pad_event(event),
                pad::Output::Wait(until) => {
                    desk.devices.pad_wait = until;
                    break;
                }
            }
        }
    }

    pub(super) fn card_bytes(&mut self, bytes: &[u8]) {
        if let Some(Driver::Line(driver, _)) = self.desk.as_mut().map(|desk| &mut desk.devices.reader) {
            driver.handle_bytes(self.now, bytes);
        }
    }

    pub(super) fn pad_bytes(&mut self, bytes: &[u8]) {
        if let Some(desk) = &mut self.desk {
            desk.devices.pad.handle_bytes(self.now, bytes);
        }
    }

    pub(super) fn command_reader(&mut self, command: ReaderCommand) {
        match self.desk.as_mut().map(|desk| &mut desk.devices.reader) {
            Some(Driver::Line(driver, _)) => driver.command(self.now, command),
            Some(Driver::Outside) => self.outputs.push_back(Output::Reader(command)),
            None => {}
        }
    }

    /// A reader whose driver is not here did something.
    pub(super) fn outside_reader_did(&mut self, event: reader::Event) {
        if self.desk.as_ref().is_some_and(|desk| matches!(desk.devices.reader, Driver::Outside)) {
            self.reader_event(event);
        }
    }

    fn reader_event(&mut self, event: reader::Event) {
        self.stale = true;
        match event {
            reader::Event::Ready(found) => self.reader_found(found),
            reader::Event::Inserted => {
                self.card_at(Place::Inside);
                self.active();
                self.card_moved(CardMoved::Inserted);
                if self.dialogue == Dialogue::Card(CardScreen::Insert) {
                    self.dialogue = Dialogue::Card(CardScreen::Reading);
                    self.command_reader(ReaderCommand::PowerChip);
                }
            }
            reader::Event::NotACard => {
                self.active();
                self.last_note = Some(Remark::new(Tone::Warning, Word::CardNotACard));
            }
            reader::Event::ChipReady(transport) => self.begin_chip(transport),
            reader::Event::Answer(answer) => {
                self.with_kernel(|kernel| kernel.answer(Ok(&answer.0)));
            }
            reader::Event::ChipFault(fault) => self.chip_failed(fault),
            reader::Event::Sealed(sealed) => self.number_sealed(sealed),
            reader::Event::AtGate => self.card_at(Place::AtGate),
            reader::Event::Taken => {
                self.card_at(Place::Nothing);
                self.active();
                self.card_moved(CardMoved::Taken);
                self.chip_failed(ChipFault::Removed);
            }
            reader::Event::Retained => {
                self.card_at(Place::Nothing);
                let boxed =
                    self.desk.as_ref().and_then(|desk| desk.boxed).map(|boxed| boxed.saturating_add(1));
                self.card_moved(CardMoved::Retained(boxed));
                self.say_card_kept();
            }
            reader::Event::Captured(count) => {
                if let Some(desk) = &mut self.desk {
                    desk.boxed = Some(count);
                }
            }
            reader::Event::Fault(fault, present) => self.card_fault(of_reader(fault), present),
        }
    }

    fn reader_found(&mut self, found: Found) {
        let place = match found {
            Found::Nothing => Place::Nothing,
            Found::Inside => Place::Inside,
            Found::AtGate => Place::AtGate,
        };
        let Some(desk) = &mut self.desk else { return };
        let first = desk.place == Place::Unknown && desk.kernel.is_none();
        desk.from_before = first && place != Place::Nothing;
        (desk.accepting, desk.leaving, desk.keeping) = (false, false, None);
        self.card_at(place);
        let known = self.session.card_inside();
        match (place, known) {
            // It went while nobody could see.
            (Place::Nothing, Some(_)) => self.card_moved(CardMoved::Taken),
            (Place::Inside | Place::AtGate, None) => self.card_moved(CardMoved::Inserted),
            _ => {}
        }
        // After a gap, whatever the chip was asked has failed.
        let fault = if place == Place::Nothing { ChipFault::Removed } else { ChipFault::Reader };
        self.chip_failed(fault);
    }

    fn card_at(&mut self, place: Place) {
        if let Some(desk) = &mut self.desk {
            desk.place = place;
            desk.given_up = false;
            if place == Place::Inside || place == Place::Nothing {
                desk.accepting = false;
            }
            if place == Place::Nothing {
                (desk.leaving, desk.from_before, desk.retry, desk.chosen) = (false, false, None, None);
                (desk.left, desk.keeping, desk.keep_tries) = (false, None, 0);
                self.fault(FaultCode::CardLeft, false);
            }
        }
    }

    /// Where the card goes is a fact: it is somebody's property.
    pub(super) fn card_moved(&mut self, moved: CardMoved) {
        let payment = match moved {
            CardMoved::Inserted => self.session.current().map(|payment| payment.id),
            _ => self.session.card_inside().flatten(),
        };
        self.record(Fact::CardMoved { payment, moved });
    }

    pub(super) fn card_fault(&mut self, fault: FaultCode, present: bool) {
        if let Some(desk) = &mut self.desk {
            if present {
                desk.faults.insert(fault);
                if fault == FaultCode::CardReaderAbsent {
                    desk.place = Place::Unknown;
                }
            } else {
                desk.faults.remove(&fault);
            }
        }
        self.fault(fault, present);
        if present && matches!(fault, FaultCode::CardReaderAbsent | FaultCode::CardJam) {
            self.chip_failed(ChipFault::Reader);
        }
    }

    fn pad_event(&mut self, event: pad::Event) {
        self.stale = true;
        match event {
            pad::Event::Entered(pin) => {
                if let PinKey::Dukpt(serial) = pin.key {
                    self.record(Fact::PinKeyUsed { serial: serial.0 });
                }
                let asked = matches!(self.dialogue, Dialogue::Card(CardScreen::Pin));
                if let Some(desk) = self.desk.as_mut().filter(|_| asked) {
                    (desk.pin, desk.pad_at_work) = (Some(pin), true);
                    self.active();
                    self.dialogue = Dialogue::Card(CardScreen::Reading);
                    self.with_kernel(|kernel| kernel.pin(PinEntry::Entered));
                }
            }
            pad::Event::Ended(end) => {
                if matches!(self.dialogue, Dialogue::Card(CardScreen::Pin)) {
                    self.active();
                    match end {
                        PinEnd::Cancelled => self.give_up(None),
                        PinEnd::TimedOut => self.give_up(Some((Word::PinTimedOut, Word::NothingTaken))),
                        PinEnd::Failed => self.give_up(Some((Word::PinPadFailed, Word::NothingTaken))),
                    }
                }
            }
            pad::Event::Fault(fault, present) => self.card_fault(of_pad(fault), present),
            pad::Event::Ready
            | pad::Event::KeyLoaded(_)
            | pad::Event::KeyNotLoaded(..)
            | pad::Event::Authenticated(_)
            | pad::Event::NotAuthenticated(_) => {}
        }
    }
}

fn of_reader(fault: ReaderFault) -> FaultCode {
    match fault {
        ReaderFault::Absent => FaultCode::CardReaderAbsent,
        ReaderFault::Protocol => FaultCode::CardReaderProtocol,
        ReaderFault::Jam => FaultCode::CardJam,
        ReaderFault::BoxJam => FaultCode::CardBoxJam,
        ReaderFault::NotSealing => FaultCode::CardReaderNotSealing,
        ReaderFault::Failure(_) => FaultCode::CardReaderFailure,
    }
}

fn of_pad(fault: PadFault) -> FaultCode {
    match fault {
        PadFault::Absent => FaultCode::PinPadAbsent,
        PadFault::Protocol => FaultCode::PinPadProtocol,
        PadFault::KeysLost => FaultCode::PinPadKeysLost,
        PadFault::UsedUp => FaultCode::PinPadUsedUp,
        PadFault::KeySerial => FaultCode::PinPadKeySerial,
        PadFault::Broken => FaultCode::PinPadBroken,
    }
}
