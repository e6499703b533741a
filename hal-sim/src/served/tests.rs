//! Devices on real pseudo terminals. Nothing here waits for a fixed time; every wait is for bytes, with a limit.

use super::*;
use crate::{ccnet_device::Timing, paper::Paper};
use expect_test::expect;
use tolem_protocol::{
    ccnet::{Command, Decoded, Decoder, PollStatus, Reply, TypeMask},
    escpos::{Query, feed_and_cut, print_done_reply, print_done_request, raster},
};

/// A kiosk's end of the line.
struct Line(File);

impl Line {
    fn open(handle: &DeviceHandle) -> Self {
        Self(open_tty(&handle.path().unwrap(), 9600).unwrap())
    }

    fn send(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.ready(PollFlags::OUT, 5);
            let length = self.0.write(bytes).unwrap();
            bytes = &bytes[length..];
        }
    }

    fn ready(&self, flags: PollFlags, seconds: i64) -> bool {
        let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.0, flags)], Some(&limit)).unwrap() > 0
    }

    fn some_bytes(&mut self) -> Vec<u8> {
        assert!(self.ready(PollFlags::IN, 5), "no answer within five seconds");
        let mut chunk = [0; 256];
        let length = self.0.read(&mut chunk).unwrap();
        chunk[..length].to_vec()
    }

    fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < count {
            got.extend(self.some_bytes());
        }
        got
    }

    /// Asks again each second, because a printer that boots hears nothing.
    fn status(&mut self, query: Query) -> u8 {
        for _ in 0..5 {
            self.send(&query.bytes());
            if self.ready(PollFlags::IN, 1) {
                return self.exactly(1)[0];
            }
        }
        panic!("no status within five seconds");
    }

    fn ask(&mut self, command: Command) -> Vec<u8> {
        self.send(&command.frame());
        let mut decoder = Decoder::new();
        loop {
            let bytes = self.some_bytes();
            let mut bytes = bytes.as_slice();
            if let Some(Decoded::Frame(frame)) = decoder.next(&mut bytes) {
                return frame.payload.to_vec();
            }
        }
    }

    /// Polls until this state, confirming everything before it and it.
    fn until(&mut self, wanted: PollStatus) {
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(10);
        loop {
            let data = self.ask(Command::Poll);
            self.send(&Command::Ack.frame());
            if PollStatus::parse(&data) == Ok(wanted) {
                return;
            }
            assert!(std::time::Instant::now() < limit, "never {wanted}, but {data:02x?}");
        }
    }
}

fn acceptor() -> DeviceHandle {
    let config = CcnetConfig { timing: Timing::FAST, ..CcnetConfig::default() };
    serve_acceptor(config, ServeOptions::pty(None)).unwrap()
}

fn enable(line: &mut Line) {
    assert_eq!(Reply::parse(&line.ask(Command::Reset)), Reply::Ack);
    line.until(PollStatus::Disabled);
    let types = TypeMask::new(0x3F);
    line.ask(Command::EnableBillTypes { accept: types, escrow: types });
    line.until(PollStatus::Idling);
}

#[test]
fn a_note_goes_all_the_way_over_a_pty() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    let options = ServeOptions {
        events: Some(Arc::new(move |line: &str| log.lock().unwrap().push(line.to_owned()))),
        ..ServeOptions::pty(None)
    };
    let config = CcnetConfig { timing: Timing::FAST, ..CcnetConfig::default() };
    let handle = serve_acceptor(config, options).unwrap();
    let mut line = Line::open(&handle);
    line.until(PollStatus::PowerUp);
    enable(&mut line);
    assert_eq!(handle.command("insert 2000").unwrap(), "note 1 (2000) goes in");
    line.until(PollStatus::Escrow(2));
    line.ask(Command::Stack);
    line.until(PollStatus::Stacked(2));
    line.until(PollStatus::Idling);
    let state = handle.acceptor().unwrap();
    assert_eq!((state.cassette_tenge(), state.counter, state.unconfirmed), (2000, 1, false));
    assert_eq!((state.cassette[0].count, state.cassette_present), (1, true));
    assert!(handle.printer().is_none());
    expect![[r#"
        power on
        note 1 to validator
        note 1 from validator to escrow
        note 1 from escrow to transport
        note 1 from transport to cassette"#]]
    .assert_eq(&heard.lock().unwrap().join("\n"));
}

#[test]
fn the_wire_is_heard_in_both_directions() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    let wire: WireLog =
        Arc::new(move |direction, bytes| log.lock().unwrap().push((direction, bytes.to_vec())));
    let options = ServeOptions { wire: Some(wire), ..ServeOptions::pty(None) };
    let handle = serve_acceptor(CcnetConfig::default(), options).unwrap();
    let mut line = Line::open(&handle);
    line.ask(Command::Poll);
    let heard = heard.lock().unwrap();
    let of =
        |wanted| heard.iter().filter(move |(way, _)| *way == wanted).flat_map(|(_, bytes)| bytes.clone());
    assert_eq!(of(Direction::FromHost).collect::<Vec<u8>>(), Command::Poll.frame().as_slice());
    let status = Reply::Data(&PollStatus::PowerUp.payload()).frame().unwrap();
    assert_eq!(of(Direction::FromDevice).collect::<Vec<u8>>(), status.as_slice());
}

#[test]
fn unplugging_breaks_the_line_and_plugging_gives_it_back_under_the_same_name() {
    let link = std::env::temp_dir().join(format!("tolem-served-{}", std::process::id()));
    let handle = serve_acceptor(CcnetConfig::default(), ServeOptions::pty(Some(&link))).unwrap();
    let mut line = Line::open(&handle);
    line.until(PollStatus::PowerUp);
    assert_eq!(handle.command("unplug").unwrap(), "unplugged");
    assert!(line.0.write(&Command::Poll.frame()).is_err());
    assert_eq!((handle.path(), std::fs::symlink_metadata(&link).is_ok()), (None, false));
    assert_eq!(handle.command("unplug").unwrap_err(), "it is unplugged already; plug it first");
    assert_eq!(handle.command("plug").unwrap(), format!("plugged in at {}", link.display()));
    assert!(handle.command("plug").is_err());
    Line::open(&handle).until(PollStatus::PowerUp);
    drop(handle);
    assert!(std::fs::symlink_metadata(&link).is_err(), "the last handle takes the device with it");
}

#[test]
fn a_kiosk_that_dies_and_comes_back_finds_the_device_as_it_left_it() {
    let handle = acceptor();
    let mut line = Line::open(&handle);
    enable(&mut line);
    handle.command("insert 500").unwrap();
    line.until(PollStatus::Escrow(0));
    line.ask(Command::Stack);
    drop(line);
    let mut line = Line::open(&handle);
    line.until(PollStatus::Stacked(0));
    line.until(PollStatus::Idling);
}

#[test]
fn the_console_answers_each_line_and_says_what_is_allowed() {
    let handle = acceptor();
    let script = "power off\ninsert 500\npower on\ninsert 500\ninsert 300\ninsert much\ninsert\ntake\n\ncassette\ncassette out\n\
                  cassette out\ncassette new\nfail zz\nfail 50\nclear\nline drop\nline bite 5\nline drop 3\nline ok\nbusy 900\nsing\n";
    let mut output = Vec::new();
    handle.console(script.as_bytes(), &mut output).unwrap();
    expect![[r#"
        ok no power, cassette in with 0 notes of 0 tenge
        error: the acceptor has no power; switch it on first
        ok POWER UP, cassette in with 0 notes of 0 tenge
        error: the acceptor takes no notes now (POWER UP); it must be IDLING
        error: there is no note of 300 tenge; allowed: insert 500|1000|2000|5000|10000|20000 [foreign] [bad] [YEAR]
        error: "much" is not a face value in tenge
        error: insert which note? allowed: insert 500|1000|2000|5000|10000|20000 [foreign] [bad] [YEAR]
        error: no note sticks out of the slot
        error: allowed: cassette out|in|new|full|jam|jam soft
        ok POWER UP, cassette out with 0 notes of 0 tenge
        error: the cassette is out already; cassette in, or cassette new
        ok POWER UP, cassette in with 0 notes of 0 tenge
        error: "zz" is not a failure code, e.g. 50 (two hexadecimal digits)
        ok POWER UP, cassette in with 0 notes of 0 tenge
        ok POWER UP, cassette in with 0 notes of 0 tenge
        error: allowed: line ok | line drop|corrupt|duplicate|split|noise PERMILLE | line delay MS
        error: "bite" is no line fault; allowed: line ok | line drop|corrupt|duplicate|split|noise PERMILLE | line delay MS
        ok line drop 3
        ok line ok
        error: "900" is not tenths of a second, 1..255
        error: unknown command "sing"; allowed: insert TENGE [foreign] [bad] [YEAR]; take; jam [soft]; cassette out|in|new|full|jam|jam soft; cheat; fail CODE; reject CODE; misread TYPE; busy TENTHS; silent; forget; clear; power off|on; line ok; line drop|corrupt|duplicate|split|noise PERMILLE; line delay MS; unplug; plug; state; help
    "#]]
    .assert_eq(&String::from_utf8(output).unwrap());
    assert!(handle.command("help").unwrap().starts_with("insert TENGE"));
    assert!(handle.command("state").unwrap().contains(", line /dev/pts/"));
}

#[test]
fn a_receipt_comes_out_of_the_printer_as_a_picture() {
    let directory = std::env::temp_dir().join(format!("tolem-paper-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let handle =
        serve_printer(EscposConfig::fast(), Some(directory.clone()), ServeOptions::pty(None)).unwrap();
    let mut line = Line::open(&handle);
    line.send(&Query::Printer.bytes());
    assert_eq!(line.exactly(1), [0x12]);
    let rows: Vec<u8> = crate::paper::tests::qr_rows("TOLEM", 576, 6).concat();
    for band in rows.chunks(72 * 64) {
        line.send(&raster(72, band).unwrap());
    }
    line.send(&feed_and_cut(true, 0));
    line.send(&print_done_request(*b"0001"));
    assert_eq!(line.exactly(7), print_done_reply(*b"0001"));
    let state = handle.printer().unwrap();
    assert_eq!((state.papers.len(), state.pieces, state.busy), (1, 1, false));
    assert_eq!(state.papers[0].qr_texts(), ["TOLEM"]);
    let written = std::fs::read(directory.join("receipt-000001.png")).unwrap();
    assert_eq!(Paper::from_png(&written).unwrap().rows(), state.papers[0].rows());
    assert_eq!(handle.command("take").unwrap(), "took 1 pieces");
    assert!(handle.acceptor().is_none() && handle.printer().unwrap().papers.is_empty());
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn printer_faults_are_moved_by_words_and_seen_in_the_status() {
    let handle = serve_printer(EscposConfig::fast(), None, ServeOptions::pty(None)).unwrap();
    let mut line = Line::open(&handle);
    let mut story = String::new();
    for words in [
        "paper low",
        "paper out",
        "paper ok",
        "cover open",
        "cover closed",
        "head hot",
        "head ok",
        "mechanism broken",
        "clear",
        "power off",
        "power on",
        "paper out after 5",
        "paper out after",
        "cutter",
        "take",
    ] {
        let answer = handle.command(words).unwrap_or_else(|error| format!("error: {error}"));
        let mut bytes = String::new();
        if handle.printer().unwrap().powered {
            for query in Query::ALL {
                bytes += &format!(" {:02x}", line.status(query));
            }
        }
        story += &format!("{words} ->{bytes} {answer}\n");
    }
    expect![[r#"
        paper low -> 12 12 12 1e ready, paper low, 0 pieces to take
        paper out -> 1a 32 12 7e ready, paper out, 0 pieces to take
        paper ok -> 12 12 12 12 ready, paper ok, 0 pieces to take
        cover open -> 1a 16 12 12 ready, paper ok, cover open, 0 pieces to take
        cover closed -> 12 12 12 12 ready, paper ok, 0 pieces to take
        head hot -> 1a 52 52 12 ready, paper ok, head hot, 0 pieces to take
        head ok -> 12 12 12 12 ready, paper ok, 0 pieces to take
        mechanism broken -> 1a 52 32 12 ready, paper ok, mechanism broken, 0 pieces to take
        clear -> 1a 52 32 12 ready, paper ok, mechanism broken, 0 pieces to take
        power off -> no power, paper ok, 0 pieces to take
        power on -> 12 12 12 12 ready, paper ok, 0 pieces to take
        paper out after 5 -> 12 12 12 1e ready, paper low, 0 pieces to take
        paper out after -> 12 12 12 1e error: allowed: paper ok|low|out|out after ROWS
        cutter -> 12 12 12 1e error: allowed: cutter jam|ok
        take -> 12 12 12 1e error: no paper has come off
    "#]]
    .assert_eq(&story);
}

#[test]
fn a_small_buffer_holds_the_host_back_instead_of_losing_dots() {
    let config = EscposConfig { buffer: 2000, ..EscposConfig::fast() };
    let handle = serve_printer(config, None, ServeOptions::pty(None)).unwrap();
    let mut line = Line::open(&handle);
    let rows = vec![0x55; 72 * 400];
    for band in rows.chunks(72 * 20) {
        line.send(&raster(72, band).unwrap());
    }
    line.send(&feed_and_cut(false, 0));
    line.send(&print_done_request(*b"0001"));
    assert_eq!(line.exactly(7), print_done_reply(*b"0001"));
    assert_eq!(handle.printer().unwrap().papers[0].trimmed().rows(), rows);
}

#[test]
fn a_tty_that_is_not_there_is_named() {
    let cable = Cable::Tty { path: "/dev/tolem-none".into(), speed: 9600 };
    let options = ServeOptions { cable, ..ServeOptions::pty(None) };
    let error = serve_acceptor(CcnetConfig::default(), options).err().unwrap().to_string();
    assert!(error.starts_with("cannot open /dev/tolem-none: "), "{error}");
}

#[test]
fn a_device_can_be_served_on_an_existing_tty() {
    let cable = Pty::open(None).unwrap();
    let options = ServeOptions {
        cable: Cable::Tty { path: cable.path().to_owned(), speed: 9600 },
        ..ServeOptions::pty(None)
    };
    let handle = serve_acceptor(CcnetConfig::default(), options).unwrap();
    let mut line = Line(cable.file().try_clone().unwrap());
    line.until(PollStatus::PowerUp);
    assert_eq!(handle.path().unwrap(), cable.path());
    drop(cable);
    drop(line);
    assert!(handle.command("state").is_ok(), "a cable cut at the other end does not end the device");
}

#[test]
fn a_pin_pad_takes_a_pin_on_a_pty_and_says_no_digit_back() {
    use crate::pin_pad_device::{Display, KeyStore, PinPadKeys};
    use tolem_protocol::{
        Amount,
        emv::CardNumber,
        pinpad::{self, Answer, Request},
    };
    let keys = KeyStore::delivered(&PinPadKeys::test());
    let handle = serve_pin_pad(keys, 1, None, ServeOptions::pty(None)).unwrap();
    let mut line = Line::open(&handle);
    let number = CardNumber::parse(concat!("5413", "3300", "8902", "0011")).unwrap();
    line.send(&Request::Pin(Some(&number), Amount::from_tenge(10)).frame().unwrap().to_bytes());
    assert_eq!(line.exactly(1), [pinpad::ACK]);
    assert!(matches!(handle.pin_pad().unwrap().display, Display::EnterPin { .. }));
    let said = handle.command("press 1739 enter").unwrap();
    assert!(said.starts_with("5 keys taken, shows processing") && !said.contains("1739"), "{said}");
    let (mut decoder, mut answer) = (pinpad::Decoder::new(), None);
    while answer.is_none() {
        let bytes = line.some_bytes();
        answer = decoder.next(&mut &bytes[..]);
    }
    let Some(pinpad::Decoded::Frame(frame)) = answer else { panic!("an answer, not {answer:?}") };
    assert!(matches!(Answer::parse(&frame), Ok(Answer::Pin(serial, _)) if serial.counter() == 1));
    assert!(handle.command("press x").unwrap_err().contains("allowed"));
    assert!(handle.command("tamper").unwrap().contains("no keys"));
    assert_eq!(handle.pin_pad().unwrap().serial, None);
}

#[test]
fn a_card_reader_takes_a_card_on_a_pty_when_it_was_told_to() {
    use crate::card_reader_device::Whereabouts;
    use tolem_protocol::card_reader::{Answer, CardGoes, Command, Control, Decoded, Decoder, Place};
    fn ask(line: &mut Line, command: &Command) -> Result<Place, tolem_protocol::card_reader::ReaderError> {
        line.send(&command.text().unwrap().frame());
        assert_eq!(line.exactly(2), Control::Acknowledge.bytes());
        line.send(&Control::Enquire.bytes());
        let mut decoder = Decoder::new();
        loop {
            let bytes = line.some_bytes();
            if let Some(Decoded::Text(text)) = decoder.next(&mut &bytes[..]) {
                return Answer::parse(&text).unwrap().result;
            }
        }
    }
    let purse = Purse::default();
    let handle = serve_card_reader(1, None, purse.clone(), ServeOptions::pty(None)).unwrap();
    let mut line = Line::open(&handle);
    assert!(handle.command("insert common").unwrap_err().contains("closed"));
    // Pushed against a closed slot it does not count: one that tries for long would come round to counts that its issuer knows.
    assert_eq!(*purse.counter(), 0);
    assert_eq!(ask(&mut line, &Command::Reset(CardGoes::Held, CardGoes::Out)), Ok(Place::Nowhere));
    assert_eq!(ask(&mut line, &Command::Permit), Ok(Place::Nowhere));
    assert!(handle.command("insert common t1").unwrap().contains("draws a card in"));
    // An issuer takes no count twice: without this every payment after the first would be declined.
    assert_eq!(*purse.counter(), 16);
    assert_ne!(handle.card_reader().unwrap().place, Whereabouts::Nowhere);
    assert!(handle.command("insert gold").unwrap_err().contains("allowed"));
    assert!(handle.command("power off").unwrap().contains("no power"));
}
