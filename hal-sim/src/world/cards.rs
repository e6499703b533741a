//! Card reader and PIN pad of a station, with the cards that people bring.

use super::{Center, Station};
use crate::{
    card_reader_device::{CardReaderDevice, ReaderOutput, SecureUnit, Whereabouts},
    chip_card::{CardFaults, CardProfile, ChipCard, IssuerKeys},
    dip_reader::{self, DipReader},
    issuer::{Account, Code, TestIssuer, Vault, ZONE},
    line::LineFaults,
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
    /// Reader and pad are one secure unit, and the kiosk sees no number.
    sred: bool,
    /// Everything that was on both lines since somebody listens, a piece at a time.
    pub wires: Option<Vec<Vec<u8>>>,
    wait: Instant,
}

impl CardBench {
    /// Both with power; all their chance from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            reader: CardReaderDevice::new(seed),
            pad: PinPadDevice::new(KeyStore::delivered(&PinPadKeys::test()), seed),
            dip: None,
            sred: false,
            wires: None,
            wait: Instant(0),
        }
    }

    /// The same with a reader into which cards are dipped.
    pub fn dipped(seed: u64) -> Self {
        Self { dip: Some(DipReader::default()), ..Self::new(seed) }
    }

    /// One secure unit, whose reader hides numbers.
    pub fn secure(seed: u64) -> Self {
        let (unit, plain) = (SecureUnit::default(), Self::new(seed));
        let reader = plain.reader.with_sred(unit.clone());
        Self {
            reader,
            pad: plain.pad.in_one_case(unit),
            sred: true,
            dip: None,
            wires: None,
            wait: plain.wait,
        }
    }

    /// How kiosk number `kiosk` is set up for them.
    pub fn settings(&self, kiosk: u32) -> Cards {
        let name = format!("KSK{kiosk:05}");
        let motor = Abilities { can_eject: true, can_retain: true, has_latch: true };
        let line = Reader::Line(card_reader::Config { seals: self.sred, ..card_reader::Config::default() });
        let (reader, abilities) =
            if self.dip.is_some() { (Reader::Outside, dip_reader::ABILITIES) } else { (line, motor) };
        Cards {
            reader,
            abilities,
            pad: pinpad::Config::default(),
            terminal: Terminal {
                terminal_id: name.as_bytes().first_chunk().copied().unwrap_or(*b"KSK00000"),
                merchant_id: *b"KIOSKTEST000001",
                ..Terminal::default()
            },
            sred: self.sred,
        }
    }

    /// The kiosk says this to the reader.
    pub(super) fn tell_reader(&mut self, now: Instant, bytes: &[u8]) {
        overhear(&mut self.wires, bytes);
        self.reader.handle_bytes(now, bytes);
    }

    /// The kiosk says this to the pad.
    pub(super) fn tell_pad(&mut self, now: Instant, bytes: &[u8]) {
        overhear(&mut self.wires, bytes);
        self.pad.handle_bytes(now, bytes);
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

    /// Nothing is wrong with them any more; a technician has taken out what was stuck.
    pub fn mend(&mut self, now: Instant) {
        self.reader.set_trouble(now, None);
        self.reader.set_silent(false);
        self.reader.refuse_next(0);
        self.reader.set_line_faults(LineFaults::default());
        self.pad.set_silent(false);
        self.pad.refuse_next(0);
        self.pad.set_line_faults(LineFaults::default());
        if !self.reader.is_powered() {
            self.reader.set_power(now, true);
        }
        if !self.pad.is_powered() {
            self.pad.set_power(now, true);
        }
    }

    /// No card is anywhere in the reader.
    pub fn is_empty(&self) -> bool {
        self.reader.place() == Whereabouts::Nowhere
    }

    /// Brings out what they say, and tells what happened.
    pub fn drain(&mut self, inbox: &mut VecDeque<Event>, mut tell: impl FnMut(String)) {
        while let Some(event) = self.dip.as_mut().and_then(DipReader::poll) {
            inbox.push_back(Event::Reader(event));
        }
        let reader = loop {
            match self.reader.poll() {
                ReaderOutput::Transmit(bytes) if self.dip.is_none() => {
                    overhear(&mut self.wires, &bytes);
                    inbox.push_back(Event::CardReader(secret(&bytes)));
                }
                ReaderOutput::Transmit(_) => {}
                ReaderOutput::Happened(what) => tell(what),
                ReaderOutput::Wait(until) => break until,
            }
        };
        let pad = loop {
            match self.pad.poll() {
                PadOutput::Transmit(bytes) => {
                    overhear(&mut self.wires, &bytes);
                    inbox.push_back(Event::PinPad(secret(&bytes)));
                }
                PadOutput::Happened(what) => tell(what),
                PadOutput::Wait(until) => break until,
            }
        };
        self.wait = reader.min(pad);
    }
}

fn overhear(wires: &mut Option<Vec<Vec<u8>>>, bytes: &[u8]) {
    if let Some(wires) = wires {
        wires.push(bytes.to_vec());
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

    /// The same with a secure unit of reader and pad.
    pub fn fit_secure_unit(&mut self) {
        self.cards = Some(CardBench::secure(self.setup.seed));
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

/// The PIN of the cards of the town: so long that its digits are nowhere by chance.
pub const LONG_PIN: &str = "259913570864";

/// Numbers of the cards of the town, all public test numbers: the first two can pay, the third has no money.
fn town() -> [CardNumber; 3] {
    let number = |text| CardNumber::parse(text).expect("invariant: a public test number");
    [
        self::number(),
        number(concat!("4761", "7390", "0101", "0119")),
        number(concat!("4012", "3456", "7890", "9")),
    ]
}

/// Digits that nobody may read outside of the center and the bank.
pub fn town_secrets() -> Vec<String> {
    let digits = |number: &CardNumber| number.digits().iter().map(|digit| char::from(b'0' + digit)).collect();
    town().iter().map(digits).chain([LONG_PIN.to_owned()]).collect()
}

/// The bank of the town.
pub fn town_bank() -> TestIssuer {
    let mut bank = bank(Amount::ZERO);
    let pin = || Pin::parse(LONG_PIN).expect("invariant: twelve digits");
    for (number, tenge) in town().iter().zip([50_000_000, 50_000_000, 100]) {
        bank.open(number, Account::new(Amount::from_tenge(tenge), pin()));
    }
    bank
}

/// The cards of a town: each is in a pocket, or in some reader.
pub struct Wallet([Option<ChipCard>; 3]);

impl Default for Wallet {
    fn default() -> Self {
        let [rich, double, poor] = town();
        let keys = IssuerKeys::test();
        let double = CardProfile::with_two_applications(double, &keys);
        Self([
            Some(ChipCard::new(CardProfile::common(rich, &keys), Transport::T0)),
            Some(ChipCard::new(double, Transport::T1)),
            Some(ChipCard::new(CardProfile::common(poor, &keys), Transport::T0)),
        ])
    }
}

impl Wallet {
    /// The card in this place, if it is here.
    pub fn take(&mut self, place: usize) -> Option<ChipCard> {
        self.0.get_mut(place).and_then(Option::take)
    }

    /// A card is back, and well.
    pub fn put(&mut self, mut card: ChipCard) {
        card.faults = CardFaults::default();
        let number = card.profile().applications.first().map(|application| application.number.clone());
        let place = town().iter().position(|known| Some(known) == number.as_ref());
        if let Some(pocket) = place.and_then(|place| self.0.get_mut(place)) {
            *pocket = Some(card);
        }
    }
}

/// What the bank says when it is told to decline.
pub fn decline(why: u64) -> Code {
    let codes = [
        Code::FUNDS,
        Code::EXPIRED,
        Code::LIMIT,
        Code::BLOCKED,
        Code::PIN_TRIES,
        Code::REFUSED,
        Code(*b"91"),
    ];
    codes[(why % codes.len() as u64) as usize]
}
