//! Card reader and PIN pad of a station, with the cards that people bring.

use super::{Center, Station};
use crate::{
    card_reader_device::{CardReaderDevice, ReaderOutput},
    chip_card::{CardProfile, ChipCard, IssuerKeys},
    dip_reader::{self, DipReader},
    issuer::{Account, TestIssuer, Vault, ZONE},
    pin_pad_device::{KeyStore, PadOutput, PinPadDevice, PinPadKeys},
};
use std::collections::VecDeque;
use tolem_card_keys::{TdesKey, pin_block::Pin};
use tolem_core::{
    card_reader::Abilities,
    drivers::{card_reader, pinpad},
    emv::Terminal,
    kiosk::{Cards, Event, Reader},
    secret::SecretBytes,
    time::Instant,
};
use tolem_protocol::{
    Amount,
    emv::{CardNumber, apdu::Transport},
};
use zeroize::Zeroizing;

/// The two devices.
pub struct CardBench {
    /// The reader.
    pub reader: CardReaderDevice,
    /// The PIN pad, with the test keys in it.
    pub pad: PinPadDevice,
    /// A reader that holds no card, in the place of the motorised one.
    pub dip: Option<DipReader>,
    wait: Instant,
}

impl CardBench {
    /// Both with power; all their chance from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            reader: CardReaderDevice::new(seed),
            pad: PinPadDevice::new(KeyStore::delivered(&PinPadKeys::test()), seed),
            dip: None,
            wait: Instant(0),
        }
    }

    /// The same with a reader into which cards are dipped.
    pub fn dipped(seed: u64) -> Self {
        Self { dip: Some(DipReader::default()), ..Self::new(seed) }
    }

    /// How the kiosk is set up for them.
    pub fn settings(&self) -> Cards {
        let motor = Abilities { can_eject: true, can_retain: true, has_latch: true };
        let line = Reader::Line(card_reader::Config::default());
        let (reader, abilities) =
            if self.dip.is_some() { (Reader::Outside, dip_reader::ABILITIES) } else { (line, motor) };
        Cards {
            reader,
            abilities,
            pad: pinpad::Config::default(),
            terminal: Terminal {
                terminal_id: *b"KSK00042",
                merchant_id: *b"KIOSKTEST000001",
                ..Terminal::default()
            },
        }
    }

    /// Power for both, or none.
    pub fn set_power(&mut self, now: Instant, on: bool) {
        self.reader.set_power(now, on);
        self.pad.set_power(now, on);
        self.start_driver(on);
    }

    /// The driver of a dip reader lives in the kiosk's program: each start of that is one of its own.
    pub(super) fn start_driver(&mut self, on: bool) {
        if let Some(dip) = &mut self.dip {
            dip.set_power(on);
        }
    }

    /// When something happens here next.
    pub fn wait(&self) -> Instant {
        self.wait
    }

    /// It is `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.reader.handle_timeout(now);
        self.pad.handle_timeout(now);
    }

    /// Brings out what they say.
    pub fn drain(&mut self, inbox: &mut VecDeque<Event>) {
        while let Some(event) = self.dip.as_mut().and_then(DipReader::poll) {
            inbox.push_back(Event::Reader(event));
        }
        let reader = loop {
            match self.reader.poll() {
                ReaderOutput::Transmit(bytes) if self.dip.is_none() => {
                    inbox.push_back(Event::CardReader(secret(&bytes)));
                }
                ReaderOutput::Transmit(_) => {}
                ReaderOutput::Happened(_) => {}
                ReaderOutput::Wait(until) => break until,
            }
        };
        let pad = loop {
            match self.pad.poll() {
                PadOutput::Transmit(bytes) => inbox.push_back(Event::PinPad(secret(&bytes))),
                PadOutput::Happened(_) => {}
                PadOutput::Wait(until) => break until,
            }
        };
        self.wait = reader.min(pad);
    }
}

fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes(Zeroizing::new(bytes.to_vec()))
}

impl<C: Center> Station<C> {
    /// Fits a card reader and a PIN pad; the program starts anew with them.
    pub fn fit_cards(&mut self) {
        self.cards = Some(CardBench::new(self.setup.seed));
        self.power_off();
        self.power_on();
    }

    /// The same with a dip reader.
    pub fn fit_dip_reader(&mut self) {
        self.cards = Some(CardBench::dipped(self.setup.seed));
        self.power_off();
        self.power_on();
    }

    pub(super) fn power_cards(&mut self, on: bool) {
        if let Some(cards) = &mut self.cards {
            cards.set_power(self.now, on);
        }
    }
}

/// The number of the card that people bring: a public test number.
pub fn number() -> CardNumber {
    CardNumber::parse(concat!("5413", "3300", "8902", "0011")).expect("invariant: a public test number")
}

/// That card.
pub fn card() -> ChipCard {
    ChipCard::new(CardProfile::common(number(), &IssuerKeys::test()), Transport::T0)
}

/// Its PIN.
pub const PIN: &str = "2580";

/// Its issuer, with so much in its account.
pub fn bank(available: Amount) -> TestIssuer {
    let vault = Vault::new(PinPadKeys::test().base, TdesKey::new(&ZONE).expect("invariant: 16 bytes"));
    let mut bank = TestIssuer::new(IssuerKeys::test(), vault);
    bank.open(&number(), Account::new(available, Pin::parse(PIN).expect("invariant: four digits")));
    bank
}
