//! A chip card through the real `pcscd`: card model, vpcd driver, `pcscd`, our reader, EMV kernel, ISO 8583, and the issuer who checks the
//! card's cryptogram. It needs Debian's pcscd and vsmartcard-vpcd, and runs in a network and a mount namespace of its own, so that it never
//! meets a `pcscd` of the machine, and nobody else meets its port.

use std::{
    sync::mpsc::{Receiver, channel},
    time::Duration,
};
use tolem_card_keys::{
    dukpt_tdes,
    pin_block::{self, Pin},
};
use tolem_core::{
    card_reader::{Command, Event, Found},
    emv::{
        ChipFault, ChipTransport, Ending, Failure, HostAnswer, Kernel, OnlineRequest, PinEntry, Step,
        Terminal, Transaction,
    },
};
use tolem_hal_sim::{
    chip_card::{
        CardProfile, ChipCard, IssuerKeys,
        pcscd::{self, Inserted},
    },
    issuer::TestIssuer,
    pin_pad_device::PinPadKeys,
};
use tolem_pcsc::{Options, PcscReader};
use tolem_protocol::{
    Amount, Date,
    emv::{CardNumber, apdu::Transport, tags, tlv},
    iso8583::{Message, MessageType, de},
};

/// Says that this is the process in the namespaces.
const INSIDE: &str = "TOLEM_PCSC_BENCH";
/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

fn main() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    // Runners that list the tests of a program before they run them (cargo-nextest) find one here, and none that is ignored.
    if std::env::args().any(|word| word == "--list") {
        if std::env::args().all(|word| word != "--ignored") {
            println!("stories_through_pcscd: test");
        }
        return;
    }
    pcscd::run_beside(INSIDE, &[]).expect("the stories");
    println!("test result: ok. 5 stories through pcscd");
}

/// In the namespaces.
fn inside() {
    for transport in [Transport::T0, Transport::T1] {
        a_card_pays_and_the_issuer_believes_its_cryptogram(transport);
    }
    a_card_that_is_torn_out_is_gone_and_the_next_one_works();
    a_chip_that_keeps_silent_is_given_up_and_the_next_one_works();
    a_reader_that_nobody_has_is_absent();
}

fn number() -> CardNumber {
    CardNumber::parse(concat!("5413", "3300", "8902", "0011")).expect("a public test number")
}

fn card(transport: Transport) -> ChipCard {
    ChipCard::new(CardProfile::common(number(), &IssuerKeys::test()), transport)
}

struct Bench {
    reader: PcscReader,
    events: Receiver<Event>,
}

impl Bench {
    fn new(patience: Duration) -> Self {
        let (sender, events) = channel();
        let options = Options { name: Some(pcscd::READER.into()), patience, ..Options::default() };
        let tell = move |event| drop(sender.send(event));
        let bench = Self { reader: PcscReader::start(options, tell).expect("threads"), events };
        assert_eq!(bench.next(), Event::Ready(Found::Nothing));
        bench
    }

    fn next(&self) -> Event {
        self.events.recv_timeout(LONG).expect("an event")
    }

    /// From the open slot to a chip with power.
    fn insert(&self, card: ChipCard) -> (Inserted, ChipTransport) {
        self.reader.command(Command::Accept);
        let inserted = Inserted::new(card, LONG).expect("the driver listens");
        assert_eq!(self.next(), Event::Inserted);
        self.reader.command(Command::PowerChip);
        match self.next() {
            Event::ChipReady(transport) => (inserted, transport),
            other => panic!("{other:?}"),
        }
    }

    /// One payment of the card inside.
    fn pay(&self, transport: ChipTransport, issuer: &mut TestIssuer) -> Ending {
        let transaction = Transaction {
            amount: Amount::from_tenge(4_325),
            date: Date::parse_iso("2026-11-22").expect("a day"),
            time: [12, 0, 0],
            unpredictable: [0xDE, 0xAD, 0xBE, 0xEF],
            sequence: 7,
        };
        let mut kernel = Kernel::new(Terminal::default(), transaction, transport);
        let mut step = kernel.start();
        loop {
            step = match step {
                Step::Transmit(bytes) => {
                    self.reader.command(Command::Transmit(bytes));
                    match self.next() {
                        Event::Answer(answer) => kernel.answer(Ok(&answer.0)),
                        Event::ChipFault(fault) => kernel.answer(Err(fault)),
                        other => panic!("{other:?}"),
                    }
                }
                Step::Choose(_) => kernel.choose(0),
                Step::EnterPin(_) => kernel.pin(PinEntry::Entered),
                Step::GoOnline(request) => kernel.host(ask(issuer, &request)),
                Step::Over(ending) => return ending,
            };
        }
    }

    fn card_leaves(&self, inserted: Inserted) -> ChipCard {
        self.reader.command(Command::Eject);
        assert_eq!(self.next(), Event::AtGate);
        let card = inserted.draw_out().expect("the card lives");
        assert_eq!(self.next(), Event::Taken);
        card
    }
}

/// The issuer, asked by an acquirer who has the PIN from the pad.
fn ask(issuer: &mut TestIssuer, request: &OnlineRequest) -> HostAnswer {
    let keys = PinPadKeys::test();
    let serial = dukpt_tdes::advance(keys.serial).expect("a first key");
    let initial = dukpt_tdes::initial_key(&keys.base, keys.serial);
    let clear = pin_block::format_0(
        &Pin::parse("2580").expect("a PIN"),
        request.card.number().expect("in the clear"),
    );
    let block = dukpt_tdes::pin_key(&initial, serial).encrypt(clear);
    let ascii = |digits: &[u8]| digits.iter().map(|digit| digit + b'0').collect::<Vec<u8>>();
    let named: String = serial.iter().map(|byte| format!("{byte:02X}")).collect();
    let mut message = Message::new(MessageType::AUTHORIZATION)
        .with(de::SENT, b"1122120000")
        .with(de::TRACE, b"000001")
        .with(de::TERMINAL, b"KSK00001")
        .with(de::CURRENCY, b"398")
        .with(de::NUMBER, &ascii(request.card.number().expect("in the clear").digits()))
        .with(de::EXPIRY, &ascii(&request.expiry))
        .with(de::SEQUENCE, format!("{:03}", request.sequence.unwrap_or(0)).as_bytes())
        .with(de::CHIP, &request.chip_data)
        .with(de::PIN_BLOCK, &block)
        .with(de::PIN_KEY, named.as_bytes());
    message.set_amount(Amount::from_tenge(4_325)).expect("twelve digits");
    let answer = Message::decode(&issuer.hear(&message.encode()).expect("an answer")).expect("a message");
    let response_code: [u8; 2] =
        answer.need(de::RESPONSE).expect("a code").try_into().expect("two characters");
    let proof = tlv::find(answer.get(de::CHIP).unwrap_or(&[]), tags::ISSUER_AUTHENTICATION);
    HostAnswer::Answered {
        approved: response_code == *b"00",
        response_code,
        issuer_authentication: proof.expect("well formed").unwrap_or_default().to_vec(),
        scripts: Vec::new(),
    }
}

/// With T=0 the kernel fetches what the card has to say (61, 6C); both kinds come out of the answer to reset that `pcscd` reads.
fn a_card_pays_and_the_issuer_believes_its_cryptogram(transport: Transport) {
    let (bench, mut issuer) = (Bench::new(LONG), TestIssuer::common());
    let (inserted, found) = bench.insert(card(transport));
    let wanted = if transport == Transport::T0 { ChipTransport::T0 } else { ChipTransport::T1 };
    assert_eq!(found, wanted);
    let ending = bench.pay(found, &mut issuer);
    assert!(matches!(ending, Ending::Approved(_)), "{ending:?}");
    assert_eq!(issuer.taken_and_held(), (Amount::from_tenge(0), Amount::from_tenge(4_325)), "it believed it");
    let card = bench.card_leaves(inserted);
    assert_eq!(card.cryptograms().len(), 2, "a request and the end");
    println!("ok: {transport:?}");
}

fn a_card_that_is_torn_out_is_gone_and_the_next_one_works() {
    let bench = Bench::new(LONG);
    for at in [0, 3, 6] {
        let mut torn = card(Transport::T1);
        torn.faults.torn_at = Some(at);
        let (inserted, transport) = bench.insert(torn);
        let ending = bench.pay(transport, &mut TestIssuer::common());
        assert!(matches!(ending, Ending::Failed(Failure::Chip(ChipFault::Removed))), "{at}: {ending:?}");
        assert_eq!(bench.next(), Event::Taken);
        drop(inserted.draw_out().expect("the card lives"));
        // Asked once more, it is still gone.
        bench.reader.command(Command::PowerChip);
        assert_eq!(bench.next(), Event::ChipFault(ChipFault::Removed));
    }
    let (inserted, transport) = bench.insert(card(Transport::T1));
    assert!(matches!(bench.pay(transport, &mut TestIssuer::common()), Ending::Approved(_)));
    bench.card_leaves(inserted);
    println!("ok: torn out");
}

fn a_chip_that_keeps_silent_is_given_up_and_the_next_one_works() {
    let bench = Bench::new(Duration::from_secs(2));
    let mut mute = card(Transport::T1);
    mute.faults.mute_from = Some(2);
    let (inserted, transport) = bench.insert(mute);
    let ending = bench.pay(transport, &mut TestIssuer::common());
    assert!(matches!(ending, Ending::Failed(Failure::Chip(ChipFault::Mute))), "{ending:?}");
    // Nobody waits for the thread that is still in it.
    bench.reader.command(Command::PowerChip);
    assert_eq!(bench.next(), Event::ChipFault(ChipFault::Mute));
    bench.reader.command(Command::Eject);
    assert_eq!(bench.next(), Event::AtGate);
    drop(inserted.draw_out().expect("the card lives"));
    assert_eq!(bench.next(), Event::Taken);
    assert_eq!(bench.next(), Event::Ready(Found::Nothing));
    let (inserted, transport) = bench.insert(card(Transport::T1));
    assert!(matches!(bench.pay(transport, &mut TestIssuer::common()), Ending::Approved(_)));
    bench.card_leaves(inserted);
    println!("ok: silent");
}

fn a_reader_that_nobody_has_is_absent() {
    use tolem_core::card_reader::ReaderFault;
    let (sender, events) = channel();
    let options = Options { name: Some("No Such Reader".into()), ..Options::default() };
    let reader = PcscReader::start(options, move |event| drop(sender.send(event))).expect("threads");
    assert_eq!(events.recv_timeout(LONG), Ok(Event::Fault(ReaderFault::Absent, true)));
    reader.command(Command::PowerChip);
    assert_eq!(events.recv_timeout(LONG), Ok(Event::ChipFault(ChipFault::Reader)));
    println!("ok: absent");
}
