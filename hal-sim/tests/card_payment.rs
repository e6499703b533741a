//! A card payment from the slot to the issuer and back, through everything that stands: chip card, motorised reader, its driver, the EMV
//! kernel, PIN pad and its driver, over lines that misbehave by seed, and ISO 8583 to the test issuer, whose ledger is the judge. No session,
//! no center, no screen: those come with the payment itself; what the center will say to the acquirer is said here by [`CardPart`].

use std::time::Duration;
use tolem_card_keys::{TdesKey, pin_block::Pin};
use tolem_core::{
    card_reader::{self as reader, Found},
    drivers::{
        card_reader::{CardReader, Config as ReaderConfig},
        pinpad::{Config as PadConfig, PinPad, Scheme},
    },
    emv::{
        ChipFault, ChipTransport, Decline, Ending, Failure, HostAnswer, Kernel, OnlineRequest, PinEntry,
        Step, Terminal, Transaction,
    },
    pin_pad::{self as pad, EncryptedPin, PinEnd, PinKey, PinRequest},
    time::Instant,
};
use tolem_hal_sim::{
    card_reader_device::{CardReaderDevice, ReaderOutput, Thing},
    chip_card::{CardProfile, ChipCard, IssuerKeys},
    issuer::{Account, Mood, TestIssuer, Vault},
    line::LineFaults,
    pin_pad_device::{Display, Key, KeyStore, PadOutput, PinPadDevice, PinPadKeys},
};
use tolem_protocol::{
    Amount, Date,
    emv::{CardNumber, tags, tlv},
    iso8583::{Message, MessageType, Original, de},
};

const PIN: &str = "2580";

fn number() -> CardNumber {
    CardNumber::parse(concat!("5413", "3300", "8902", "0011")).expect("a public test number")
}

fn amount() -> Amount {
    Amount::from_tenge(4_325)
}

/// What the person at the terminal does when it asks for a PIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Person {
    Enters(&'static str),
    Cancels,
    GoesAway,
}

/// What came out.
struct Outcome {
    ending: Ending,
    /// The terminal heard an approval.
    approved: bool,
    /// Requests to the issuer.
    requests: u32,
    /// What the issuer's ledger says in the end: taken, held, still there.
    taken: Amount,
    held: Amount,
    available: Amount,
}

fn full() -> Amount {
    Amount::from_tenge(50_000)
}

fn nothing() -> Amount {
    Amount::from_tiyn(0)
}

impl Outcome {
    /// The issuer's ledger is the payment's truth: taken if and only if it was approved by all, never held for ever.
    fn judge(&self, what: &str) {
        let paid = matches!(self.ending, Ending::Approved(_));
        let expected = if paid { amount() } else { nothing() };
        assert_eq!((self.taken, self.held), (expected, nothing()), "{what}: {:?}", self.ending);
        assert_eq!(self.available, full().saturating_sub(expected), "{what}: {:?}", self.ending);
    }
}

/// The card's part of a terminal.
struct CardPart {
    now: Instant,
    reader: CardReaderDevice,
    reader_driver: CardReader,
    pad: PinPadDevice,
    pad_driver: PinPad,
    kernel: Option<Kernel>,
    card: Option<Thing>,
    person: Person,
    pin: Option<EncryptedPin>,
    bank: TestIssuer,
    /// The request as it was sent.
    sent: Option<Message>,
    trace: u32,
    approved: bool,
    /// A decline was heard.
    declined: bool,
    requests: u32,
    ending: Option<Ending>,
    home: bool,
}

impl CardPart {
    fn new(seed: u64, faults: LineFaults, card: ChipCard, person: Person) -> Self {
        let mut reader = CardReaderDevice::new(seed);
        reader.set_line_faults(faults);
        let mut pad = PinPadDevice::new(KeyStore::delivered(&PinPadKeys::test()), seed);
        pad.set_line_faults(faults);
        let scheme = Scheme::Dukpt { last: None };
        Self {
            now: Instant(0),
            reader,
            reader_driver: CardReader::new(ReaderConfig::default(), Instant(0)),
            pad,
            pad_driver: PinPad::new(PadConfig { scheme, ..PadConfig::default() }, Instant(0)),
            kernel: None,
            card: Some(Thing::Card(Box::new(card))),
            person,
            pin: None,
            bank: bank(),
            sent: None,
            trace: 0,
            approved: false,
            declined: false,
            requests: 0,
            ending: None,
            home: false,
        }
    }

    /// Lives until the card is back with its owner, or in the box, at most half an hour.
    fn live(mut self) -> Outcome {
        let end = Instant(30 * 60 * 1_000);
        while !self.home && self.now < end {
            let mut next = self.exchange_bytes();
            if self.now.0.is_multiple_of(500) {
                self.hands();
                next = self.exchange_bytes();
            }
            let hands = Instant((self.now.0 / 500 + 1) * 500);
            self.now = next.min(hands).max(Instant(self.now.0 + 1));
            self.reader.handle_timeout(self.now);
            self.pad.handle_timeout(self.now);
            self.reader_driver.handle_timeout(self.now);
            self.pad_driver.handle_timeout(self.now);
        }
        assert!(self.home, "the card never came home: {:?}, {:?}", self.reader.place(), self.ending);
        let ending = self.ending.unwrap_or(Ending::Failed(Failure::Chip(ChipFault::Reader)));
        let (taken, held) = self.bank.taken_and_held();
        let available = self.bank.account(&number()).expect("an account").available;
        Outcome { ending, approved: self.approved, requests: self.requests, taken, held, available }
    }

    /// Carries bytes both ways until nobody says anything more; when somebody wants to be called next.
    fn exchange_bytes(&mut self) -> Instant {
        loop {
            let mut spoke = false;
            let mut next = Instant(u64::MAX);
            loop {
                match self.reader_driver.poll() {
                    reader::Output::Transmit(bytes) => self.reader.handle_bytes(self.now, &bytes),
                    reader::Output::Event(event) => {
                        spoke = true;
                        self.reader_says(event);
                    }
                    reader::Output::Wait(until) => {
                        next = next.min(until);
                        break;
                    }
                }
            }
            loop {
                match self.reader.poll() {
                    ReaderOutput::Transmit(bytes) => {
                        spoke = true;
                        self.reader_driver.handle_bytes(self.now, &bytes);
                    }
                    ReaderOutput::Happened(_) => {}
                    ReaderOutput::Wait(until) => {
                        next = next.min(until);
                        break;
                    }
                }
            }
            loop {
                match self.pad_driver.poll() {
                    pad::Output::Transmit(bytes) => self.pad.handle_bytes(self.now, &bytes),
                    pad::Output::Event(event) => {
                        spoke = true;
                        self.pad_says(event);
                    }
                    pad::Output::Wait(until) => {
                        next = next.min(until);
                        break;
                    }
                }
            }
            loop {
                match self.pad.poll() {
                    PadOutput::Transmit(bytes) => {
                        spoke = true;
                        self.pad_driver.handle_bytes(self.now, &bytes);
                    }
                    PadOutput::Happened(_) => {}
                    PadOutput::Wait(until) => {
                        next = next.min(until);
                        break;
                    }
                }
            }
            if !spoke {
                return next;
            }
        }
    }

    /// Twice a second: the person looks at slot, pad and gate.
    fn hands(&mut self) {
        if let Some(card) = self.card.take() {
            self.card = self.reader.insert(self.now, card).err();
        }
        if let Display::EnterPin { stars: 0, .. } = self.pad.display()
            && self.now.0.is_multiple_of(3_000)
        {
            match self.person {
                Person::Enters(pin) => drop(self.pad.enter(self.now, pin)),
                Person::Cancels => drop(self.pad.press(self.now, Key::Cancel)),
                Person::GoesAway => {}
            }
        }
        self.reader.take(self.now);
        let out = !self.reader.boxed().is_empty() || !self.reader.taken().is_empty();
        self.home = out && self.ending.is_some();
    }

    fn reader_says(&mut self, event: reader::Event) {
        let command = match event {
            reader::Event::Ready(Found::Nothing) if self.ending.is_none() => reader::Command::Accept,
            // After a gap: whatever the chip was asked has failed.
            reader::Event::Ready(Found::Inside) => {
                self.kernel_hears(Err(ChipFault::Reader));
                reader::Command::Eject
            }
            reader::Event::Ready(_) | reader::Event::Taken => {
                return self.kernel_hears(Err(ChipFault::Removed));
            }
            reader::Event::Inserted => reader::Command::PowerChip,
            reader::Event::ChipReady(transport) => return self.begin(transport),
            reader::Event::Answer(answer) => return self.kernel_hears(Ok(&answer.0)),
            reader::Event::ChipFault(fault) => {
                self.kernel_hears(Err(fault));
                reader::Command::Eject
            }
            _ => return,
        };
        self.reader_driver.command(self.now, command);
    }

    fn begin(&mut self, transport: ChipTransport) {
        let transaction = Transaction {
            amount: amount(),
            date: Date::parse_iso("2026-11-22").expect("a day"),
            time: [12, 0, 0],
            unpredictable: [0xDE, 0xAD, 0xBE, 0xEF],
            sequence: 7,
        };
        let mut kernel = Kernel::new(Terminal::default(), transaction, transport);
        let step = kernel.start();
        self.kernel = Some(kernel);
        self.follow(step);
    }

    fn kernel_hears(&mut self, answer: Result<&[u8], ChipFault>) {
        match (&mut self.kernel, answer) {
            (Some(kernel), answer) => {
                let step = kernel.answer(answer);
                self.follow(step);
            }
            // Before the first command, or after the last.
            (None, Err(fault)) => drop(self.ending.get_or_insert(Ending::Failed(Failure::Chip(fault)))),
            (None, Ok(_)) => {}
        }
    }

    fn pad_says(&mut self, event: pad::Event) {
        let entry = match event {
            pad::Event::Entered(pin) => {
                self.pin = Some(pin);
                PinEntry::Entered
            }
            pad::Event::Ended(PinEnd::Cancelled | PinEnd::TimedOut) => PinEntry::NotEntered,
            pad::Event::Ended(PinEnd::Failed) => PinEntry::PadFailed,
            _ => return,
        };
        if let Some(kernel) = &mut self.kernel {
            let step = kernel.pin(entry);
            self.follow(step);
        }
    }

    fn follow(&mut self, step: Step) {
        match step {
            Step::Transmit(bytes) => {
                self.reader_driver.command(self.now, reader::Command::Transmit(bytes));
            }
            Step::Choose(_) => {
                let kernel = self.kernel.as_mut().expect("invariant: a step comes from a kernel");
                let step = kernel.choose(0);
                self.follow(step);
            }
            Step::EnterPin(card) => {
                let limit = Duration::from_secs(45);
                let request = PinRequest { card, amount: amount(), limit };
                self.pad_driver.command(self.now, pad::Command::EnterPin(request));
            }
            Step::GoOnline(request) => {
                let answer = self.issuer(&request);
                let kernel = self.kernel.as_mut().expect("invariant: a step comes from a kernel");
                let step = kernel.host(answer);
                self.follow(step);
            }
            Step::Over(ending) => {
                self.kernel = None;
                self.ending = Some(ending);
                self.settle();
                self.reader_driver.command(self.now, reader::Command::Eject);
            }
        }
    }

    /// A message with the next trace number, which is never used again.
    fn message(&mut self, kind: MessageType) -> Message {
        self.trace += 1;
        let mut message = Message::new(kind)
            .with(de::PROCESSING, b"000000")
            .with(de::SENT, b"1122120000")
            .with(de::TRACE, format!("{:06}", self.trace).as_bytes())
            .with(de::TERMINAL, b"KSK00001")
            .with(de::MERCHANT, b"KIOSKTEST000001")
            .with(de::CURRENCY, b"398");
        message.set_amount(amount()).expect("twelve digits");
        message
    }

    /// Asks the issuer, once.
    fn issuer(&mut self, request: &OnlineRequest) -> HostAnswer {
        self.requests += 1;
        let ascii = |digits: &[u8]| digits.iter().map(|digit| digit + b'0').collect::<Vec<u8>>();
        let mut message = self
            .message(MessageType::AUTHORIZATION)
            .with(de::NUMBER, &ascii(request.card.number().expect("in the clear").digits()))
            .with(de::EXPIRY, &ascii(&request.expiry))
            .with(de::ENTRY, b"051")
            .with(de::SEQUENCE, format!("{:03}", request.sequence.unwrap_or(0)).as_bytes())
            .with(de::CHIP, &request.chip_data);
        // The block is used once.
        if let Some(pin) = self.pin.take().filter(|_| request.pin_entered) {
            let PinKey::Dukpt(serial) = pin.key else { panic!("a key for this one PIN") };
            message = message
                .with(de::PIN_BLOCK, pin.block.bytes())
                .with(de::PIN_KEY, format!("{serial:?}").as_bytes());
        }
        let answer = self.bank.hear(&message.encode());
        self.sent = Some(message);
        let Some(answer) = answer.map(|answer| Message::decode(&answer).expect("a message")) else {
            return HostAnswer::Unreachable;
        };
        let response_code: [u8; 2] =
            answer.need(de::RESPONSE).expect("a code").try_into().expect("two characters");
        self.approved = response_code == *b"00";
        self.declined = !self.approved;
        let chip = answer.get(de::CHIP).unwrap_or(&[]);
        let proof = tlv::find(chip, tags::ISSUER_AUTHENTICATION).expect("well formed").unwrap_or_default();
        HostAnswer::Answered {
            approved: self.approved,
            response_code,
            issuer_authentication: proof.to_vec(),
            scripts: Vec::new(),
        }
    }

    /// Tells the issuer how it ended, until it is acknowledged. Neither PIN nor track is in these messages.
    fn settle(&mut self) {
        let (kind, repeat) = match (&self.ending, self.sent.is_some(), self.declined) {
            (Some(Ending::Approved(_)), ..) => (MessageType::ADVICE, MessageType::ADVICE),
            // Asked, and no decline was heard: whatever the card says, the money may be held.
            (_, true, false) => (MessageType::REVERSAL, MessageType::REVERSAL_REPEAT),
            _ => return,
        };
        let original = self.sent.as_ref().and_then(Original::of).expect("it was asked");
        let mut message = self.message(kind).with(de::ORIGINAL, &original.to_field());
        for _ in 0..10 {
            if let Some(answer) = self.bank.hear(&message.encode()) {
                let answer = Message::decode(&answer).expect("a message");
                assert_eq!(answer.get(de::RESPONSE), Some(&b"00"[..]), "{answer:?}");
                return;
            }
            message.kind = repeat;
        }
        panic!("nobody acknowledged {message:?}");
    }
}

fn bank() -> TestIssuer {
    let zone = TdesKey::new(&[0x5B; 16]).expect("16 bytes");
    let mut bank = TestIssuer::new(IssuerKeys::test(), Vault::new(PinPadKeys::test().base, zone));
    bank.open(&number(), Account::new(full(), Pin::parse(PIN).expect("a PIN")));
    bank
}

fn card(transport: ChipTransport) -> ChipCard {
    ChipCard::new(CardProfile::common(number(), &IssuerKeys::test()), transport)
}

fn quiet(card: ChipCard, person: Person) -> Outcome {
    let outcome = CardPart::new(1, LineFaults::default(), card, person).live();
    outcome.judge("a quiet line");
    outcome
}

#[test]
fn a_card_pays_with_its_pin_and_comes_home() {
    for transport in [ChipTransport::T0, ChipTransport::T1] {
        let outcome = quiet(card(transport), Person::Enters(PIN));
        assert!(matches!(outcome.ending, Ending::Approved(_)), "{:?}", outcome.ending);
        assert_eq!((outcome.approved, outcome.requests), (true, 1));
    }
    let two = CardProfile::with_two_applications(number(), &IssuerKeys::test());
    let outcome = quiet(ChipCard::new(two, ChipTransport::T1), Person::Enters(PIN));
    assert!(matches!(outcome.ending, Ending::Approved(_)), "{:?}", outcome.ending);
}

#[test]
fn a_wrong_pin_is_declined_by_the_issuer_and_no_pin_by_the_terms_of_the_card() {
    let outcome = quiet(card(ChipTransport::T0), Person::Enters("1111"));
    assert!(matches!(outcome.ending, Ending::Declined(Decline::Issuer, _)), "{:?}", outcome.ending);
    for person in [Person::Cancels, Person::GoesAway] {
        let outcome = quiet(card(ChipTransport::T0), person);
        assert!(
            !outcome.approved && !matches!(outcome.ending, Ending::Approved(_)),
            "{person:?}: {:?}",
            outcome.ending
        );
    }
}

#[test]
fn a_card_torn_out_at_any_command_ends_the_payment_and_an_approval_is_to_be_reversed() {
    let mut reversed = 0;
    for at in 0..20 {
        let mut torn = card(ChipTransport::T0);
        torn.faults.torn_at = Some(at);
        let outcome = quiet(torn, Person::Enters(PIN));
        match outcome.ending {
            Ending::Failed(Failure::Chip(_)) => assert!(!outcome.approved, "{at}"),
            Ending::RefusedAfterApproval(_) => {
                assert!(outcome.approved, "{at}");
                reversed += 1;
            }
            // Torn after the last command.
            Ending::Approved(_) => assert!(outcome.approved && at > 8, "{at}"),
            other => panic!("{at}: {other:?}"),
        }
    }
    assert!(reversed > 0, "somewhere it is torn between approval and the second cryptogram");
}

#[test]
fn a_lost_answer_and_a_lost_request_are_both_reversed_until_that_is_acknowledged() {
    use Mood::{LosesAnswer, LosesRequest};
    for moods in [
        vec![LosesRequest],
        vec![LosesAnswer],
        vec![LosesAnswer, LosesRequest, LosesAnswer, LosesAnswer],
        vec![LosesRequest, LosesRequest, LosesAnswer],
    ] {
        let mut part = CardPart::new(1, LineFaults::default(), card(ChipTransport::T1), Person::Enters(PIN));
        part.bank.moods = moods.clone().into();
        let outcome = part.live();
        assert!(matches!(outcome.ending, Ending::Declined(Decline::Unreachable, _)), "{:?}", outcome.ending);
        outcome.judge(&format!("{moods:?}"));
    }
}

#[test]
fn a_card_torn_out_while_the_answer_is_missing_is_reversed_too() {
    for at in 0..14 {
        let mut torn = card(ChipTransport::T0);
        torn.faults.torn_at = Some(at);
        let mut part = CardPart::new(1, LineFaults::default(), torn, Person::Enters(PIN));
        part.bank.moods.push_back(Mood::LosesAnswer);
        let outcome = part.live();
        outcome.judge(&format!("torn at {at}"));
    }
}

#[test]
fn a_card_that_refuses_after_the_approval_gets_its_money_back() {
    let mut stubborn = card(ChipTransport::T0);
    stubborn.faults.refuses_after_approval = true;
    let outcome = quiet(stubborn, Person::Enters(PIN));
    assert!(matches!(outcome.ending, Ending::RefusedAfterApproval(Ok(_))), "{:?}", outcome.ending);
    assert!(outcome.approved);
}

/// Over bad lines: nothing is approved that the issuer did not approve, the issuer is asked at most once, an approval that the card did not
/// hear of is called one, and the card always comes home.
#[test]
fn bad_lines_cost_payments_but_never_their_truth() {
    let (mut approved, mut others) = (0, 0);
    for seed in 0..60 {
        let faults = LineFaults {
            drop: 5,
            corrupt: 15,
            duplicate: 15,
            delay: 60,
            split: 200,
            noise: 15,
            delay_by: Duration::from_millis(800),
        };
        let transport = if seed % 2 == 0 { ChipTransport::T0 } else { ChipTransport::T1 };
        let outcome = CardPart::new(seed, faults, card(transport), Person::Enters(PIN)).live();
        assert!(outcome.requests <= 1, "seed {seed}: one payment, one request");
        outcome.judge(&format!("seed {seed}"));
        match outcome.ending {
            Ending::Approved(_) => {
                assert!(outcome.approved, "seed {seed}");
                approved += 1;
            }
            Ending::RefusedAfterApproval(_) => {
                assert!(outcome.approved, "seed {seed}");
                others += 1;
            }
            _ => {
                assert!(!outcome.approved, "seed {seed}: {:?}", outcome.ending);
                others += 1;
            }
        }
    }
    assert!(approved > others, "{approved} approved, {others} not");
}
