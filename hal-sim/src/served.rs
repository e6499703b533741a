//! One simulated device in real time on a pseudo terminal or a real cable, moved by lines of text.
//!
//! This is how somebody else's driver meets our devices, and how the bench moves them. One thread per device owns the model and
//! the cable; everybody else sends it a line (`insert 2000`, `jam`, `power off`) and gets a line back, or an error that says
//! what is allowed.

mod acceptor;
mod cardreader;
mod pinpad;
mod printer;
#[cfg(test)]
mod tests;

pub use acceptor::{AcceptorState, CassetteCount};
pub use cardreader::{CardReaderState, Purse};
pub use pinpad::PinPadState;
pub use printer::PrinterState;

use crate::{
    card_reader_device::{CardReaderDevice, SecureUnit},
    ccnet_device::{CcnetConfig, CcnetDevice},
    escpos_device::{EscposConfig, EscposDevice},
    pin_pad_device::{KeyStore, PinPadDevice},
    pty::{Pty, open_tty},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    fs::File,
    io::{self, BufRead, PipeReader, PipeWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};
use tolem_core::time::Instant;
use tolem_protocol::wire::Direction;

/// Hears every write on the wire, as the bytes came.
pub type WireLog = Arc<dyn Fn(Direction, &[u8]) + Send + Sync>;
/// Hears what happens inside the device, one line each.
pub type EventLog = Arc<dyn Fn(&str) + Send + Sync>;

/// Where the line goes.
#[derive(Clone, Debug)]
pub enum Cable {
    /// A new pseudo terminal, reachable under `link` if given.
    Pty {
        /// Symbolic link to make.
        link: Option<PathBuf>,
    },
    /// An existing tty: a real cable with a kiosk at the other end.
    Tty {
        /// Its device file.
        path: PathBuf,
        /// Bits per second.
        speed: u32,
    },
}

/// How a device is served.
#[derive(Clone)]
pub struct ServeOptions {
    /// Where the line goes.
    pub cable: Cable,
    /// Switched on from the start.
    pub powered: bool,
    /// Hears the wire.
    pub wire: Option<WireLog>,
    /// Hears the device.
    pub events: Option<EventLog>,
}

impl ServeOptions {
    /// A powered device on a new pseudo terminal, heard by nobody.
    pub fn pty(link: Option<&Path>) -> Self {
        Self { cable: Cable::Pty { link: link.map(Path::to_owned) }, powered: true, wire: None, events: None }
    }
}

/// What a device shows, as plain data.
#[derive(Clone, Debug)]
pub enum DeviceState {
    /// A bill acceptor.
    Acceptor(AcceptorState),
    /// A receipt printer.
    Printer(PrinterState),
    /// A PIN pad.
    PinPad(PinPadState),
    /// A motorised card reader.
    CardReader(CardReaderState),
}

/// What the model says next, whichever it is.
enum Step {
    Transmit(Vec<u8>),
    Log(String),
    Wait(Instant),
}

/// What serving needs of a model.
trait Model: Send {
    fn handle_bytes(&mut self, now: Instant, bytes: &[u8]);
    fn handle_timeout(&mut self, now: Instant);
    fn step(&mut self) -> Step;
    /// Bytes that it can take now.
    fn room(&self) -> usize;
    fn command(&mut self, now: Instant, words: &[&str]) -> Result<String, String>;
    fn state(&self, line: LineState) -> DeviceState;
    fn state_line(&self) -> String;
    fn help(&self) -> &'static str;
}

/// The cable as the state shows it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LineState {
    /// What the kiosk should open; `None` while unplugged.
    pub path: Option<PathBuf>,
}

enum Request {
    Command(String, Sender<Result<String, String>>),
    State(Sender<DeviceState>),
    Stop,
}

/// Serves a bill acceptor in a thread of its own.
pub fn serve_acceptor(config: CcnetConfig, options: ServeOptions) -> io::Result<DeviceHandle> {
    let mut device = CcnetDevice::new(config);
    if options.powered {
        device.power_on(Instant(0));
    }
    serve(Box::new(device), options, "sim-ccnet")
}

/// Serves a receipt printer in a thread of its own. With `png` each piece of paper is written into that directory as
/// `receipt-000001.png` and so on.
pub fn serve_printer(
    config: EscposConfig,
    png: Option<PathBuf>,
    options: ServeOptions,
) -> io::Result<DeviceHandle> {
    let device = if options.powered { EscposDevice::new_running(config) } else { EscposDevice::new(config) };
    serve(Box::new(printer::Printer { device, png }), options, "sim-escpos")
}

/// Serves a PIN pad with these keys in a thread of its own; with `unit` in one case with the reader that has it.
pub fn serve_pin_pad(
    keys: KeyStore,
    seed: u64,
    unit: Option<SecureUnit>,
    options: ServeOptions,
) -> io::Result<DeviceHandle> {
    let mut device = PinPadDevice::new(keys, seed);
    if let Some(unit) = unit {
        device = device.in_one_case(unit);
    }
    if !options.powered {
        device.set_power(Instant(0), false);
    }
    serve(Box::new(device), options, "sim-pinpad")
}

/// Serves a motorised card reader in a thread of its own; with `unit` it hides card numbers and shares them with the pad of its unit.
pub fn serve_card_reader(
    seed: u64,
    unit: Option<SecureUnit>,
    purse: Purse,
    options: ServeOptions,
) -> io::Result<DeviceHandle> {
    let mut device = CardReaderDevice::new(seed);
    if let Some(unit) = unit {
        device = device.with_sred(unit);
    }
    if !options.powered {
        device.set_power(Instant(0), false);
    }
    serve(Box::new(cardreader::CardReader { device, purse }), options, "sim-cardreader")
}

fn serve(model: Box<dyn Model>, options: ServeOptions, name: &str) -> io::Result<DeviceHandle> {
    let port = Port::open(&options.cable)?;
    let (requests, inbox) = channel();
    let (bell, doorbell) = io::pipe()?;
    let server = Server { model, port: Some(port), options, inbox, bell, began: std::time::Instant::now() };
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || server.run())?;
    let inner = Inner { requests, doorbell, thread: Mutex::new(Some(thread)) };
    Ok(DeviceHandle(Arc::new(inner)))
}

struct Inner {
    requests: Sender<Request>,
    doorbell: PipeWriter,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Inner {
    fn ask(&self, request: Request) -> bool {
        self.requests.send(request).is_ok() && (&self.doorbell).write_all(&[1]).is_ok()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.ask(Request::Stop);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

/// A served device. Clones move the same device; when the last one is dropped it stops and its cable is gone.
#[derive(Clone)]
pub struct DeviceHandle(Arc<Inner>);

impl DeviceHandle {
    /// Does what the line says and answers with one line. The error says what is allowed.
    pub fn command(&self, line: &str) -> Result<String, String> {
        let (reply, answer) = channel();
        self.0.ask(Request::Command(line.to_owned(), reply));
        answer.recv().map_err(|_| STOPPED.to_owned())?
    }

    /// What it shows now; `None` if its thread has died.
    pub fn state(&self) -> Option<DeviceState> {
        let (reply, answer) = channel();
        self.0.ask(Request::State(reply));
        answer.recv().ok()
    }

    /// The state of an acceptor; `None` for other devices.
    pub fn acceptor(&self) -> Option<AcceptorState> {
        match self.state()? {
            DeviceState::Acceptor(state) => Some(state),
            _ => None,
        }
    }

    /// The state of a printer; `None` for other devices.
    pub fn printer(&self) -> Option<PrinterState> {
        match self.state()? {
            DeviceState::Printer(state) => Some(state),
            _ => None,
        }
    }

    /// The state of a PIN pad; `None` for other devices.
    pub fn pin_pad(&self) -> Option<PinPadState> {
        match self.state()? {
            DeviceState::PinPad(state) => Some(state),
            _ => None,
        }
    }

    /// The state of a card reader; `None` for other devices.
    pub fn card_reader(&self) -> Option<CardReaderState> {
        match self.state()? {
            DeviceState::CardReader(state) => Some(state),
            _ => None,
        }
    }

    /// What the kiosk should open; `None` while unplugged.
    pub fn path(&self) -> Option<PathBuf> {
        match self.state()? {
            DeviceState::Acceptor(state) => state.line.path,
            DeviceState::Printer(state) => state.line.path,
            DeviceState::PinPad(state) => state.line.path,
            DeviceState::CardReader(state) => state.line.path,
        }
    }

    /// Answers each line of `input` with a line on `output` (`ok ...` or `error: ...`) until the input ends.
    pub fn console(&self, input: impl BufRead, mut output: impl Write) -> io::Result<()> {
        for line in input.lines() {
            match self.command(&line?) {
                Ok(answer) if answer.is_empty() => {}
                Ok(answer) => writeln!(output, "ok {answer}")?,
                Err(error) => writeln!(output, "error: {error}")?,
            }
            output.flush()?;
        }
        Ok(())
    }
}

const STOPPED: &str = "the device is stopped";

enum Port {
    Pty(Pty),
    Tty(File, PathBuf),
}

impl Port {
    fn open(cable: &Cable) -> io::Result<Self> {
        match cable {
            Cable::Pty { link } => Pty::open(link.as_deref()).map(Self::Pty),
            Cable::Tty { path, speed } => {
                open_tty(path, *speed).map(|file| Self::Tty(file, path.clone())).map_err(|error| {
                    io::Error::new(error.kind(), format!("cannot open {}: {error}", path.display()))
                })
            }
        }
    }

    fn file(&self) -> &File {
        match self {
            Self::Pty(pty) => pty.file(),
            Self::Tty(file, _) => file,
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Pty(pty) => pty.path(),
            Self::Tty(_, path) => path,
        }
    }
}

/// A kiosk that opened the line for itself and died before it said a word is forgotten after this time.
const LONGEST_SLEEP_MS: u128 = 500;
/// Bytes taken from the line at once.
const CHUNK: usize = 4096;

struct Server {
    model: Box<dyn Model>,
    port: Option<Port>,
    options: ServeOptions,
    inbox: Receiver<Request>,
    bell: PipeReader,
    began: std::time::Instant,
}

impl Server {
    fn run(mut self) {
        loop {
            if !self.serve_requests() {
                return;
            }
            self.model.handle_timeout(self.now());
            let until = self.drain();
            let (rang, readable) = self.wait(until);
            if rang {
                let mut rings = [0; 64];
                // The requests themselves are in the inbox.
                let _ = self.bell.read(&mut rings);
            }
            if let Some(Port::Pty(pty)) = &self.port
                && let Err(error) = pty.allow_reopen()
            {
                self.lose_port(&error);
            }
            if readable {
                self.read();
            }
        }
    }

    fn now(&self) -> Instant {
        Instant(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// False when it is over.
    fn serve_requests(&mut self) -> bool {
        while let Ok(request) = self.inbox.try_recv() {
            match request {
                Request::Stop => return false,
                // Whoever asked may have gone; that is no concern of ours.
                Request::State(reply) => drop(reply.send(self.model.state(self.line_state()))),
                Request::Command(line, reply) => {
                    let answer = self.command(&line);
                    self.drain();
                    let _ = reply.send(answer);
                }
            }
        }
        true
    }

    fn line_state(&self) -> LineState {
        LineState { path: self.port.as_ref().map(|port| port.path().to_owned()) }
    }

    fn command(&mut self, line: &str) -> Result<String, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let now = self.now();
        self.model.handle_timeout(now);
        match words.as_slice() {
            [] => Ok(String::new()),
            ["help"] => Ok(format!("{}; unplug; plug; state; help", self.model.help())),
            ["state"] => {
                let plugged =
                    self.line_state().path.map_or("unplugged".into(), |path| path.display().to_string());
                Ok(format!("{}, line {plugged}", self.model.state_line()))
            }
            ["unplug"] => match self.port.take() {
                Some(_) => Ok("unplugged".into()),
                None => Err("it is unplugged already; plug it first".into()),
            },
            ["plug"] if self.port.is_some() => Err("it is plugged in already; unplug it first".into()),
            ["plug"] => {
                let port = Port::open(&self.options.cable).map_err(|error| error.to_string())?;
                let answer = format!("plugged in at {}", port.path().display());
                self.port = Some(port);
                Ok(answer)
            }
            words => self.model.command(now, words),
        }
    }

    /// Carries out everything that the model wants now; returns when it wants to be called again.
    fn drain(&mut self) -> Instant {
        loop {
            match self.model.step() {
                Step::Transmit(bytes) => self.write(&bytes),
                Step::Log(text) => self.log(&text),
                Step::Wait(until) => return until,
            }
        }
    }

    fn log(&self, text: &str) {
        if let Some(log) = &self.options.events {
            log(text);
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some(port) = &self.port else { return };
        // Heard before it is sent, so that the log never shows a reaction before its cause.
        if let Some(wire) = &self.options.wire {
            wire(Direction::FromDevice, bytes);
        }
        match port.file().write(bytes) {
            Ok(length) if length < bytes.len() => {
                self.log("nobody reads at the other end: an answer was cut");
            }
            Ok(_) => {}
            // A serial line does not wait for a host that does not listen.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.log("nobody reads at the other end: an answer was lost");
            }
            Err(error) => self.lose_port(&error),
        }
    }

    fn read(&mut self) {
        let Some(port) = &self.port else { return };
        let mut chunk = [0; CHUNK];
        let room = self.model.room().min(CHUNK);
        match port.file().read(&mut chunk[..room]) {
            Ok(0) => self.lose_port(&io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                if let Some(wire) = &self.options.wire {
                    wire(Direction::FromHost, &chunk[..length]);
                }
                self.model.handle_bytes(self.now(), &chunk[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.lose_port(&error),
        }
    }

    fn lose_port(&mut self, error: &io::Error) {
        self.port = None;
        self.log(&format!("the line is gone: {error}; plug it again"));
    }

    /// Sleeps until something happens: a request, bytes, or the model's own time. Returns which of the first two.
    fn wait(&self, until: Instant) -> (bool, bool) {
        let ms = until.since(self.now()).as_millis().min(LONGEST_SLEEP_MS) as i64;
        let limit = Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 };
        let mut fds = vec![PollFd::new(&self.bell, PollFlags::IN)];
        if let Some(port) = &self.port
            && self.model.room() > 0
        {
            fds.push(PollFd::new(port.file(), PollFlags::IN));
        }
        // An interrupted wait is a short wait.
        if poll(&mut fds, Some(&limit)).is_err() {
            return (false, false);
        }
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        (ready(0), ready(1))
    }
}

/// A whole number, or what was expected instead.
fn number<T: std::str::FromStr>(word: &str, what: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word:?} is not {what}"))
}

/// A two-digit hexadecimal code, or what was expected instead.
fn code(word: &str, what: &str) -> Result<u8, String> {
    u8::from_str_radix(word, 16).map_err(|_| format!("{word:?} is not {what} (two hexadecimal digits)"))
}

fn unknown(words: &[&str], help: &str) -> String {
    format!("unknown command {:?}; allowed: {help}; unplug; plug; state; help", words.join(" "))
}

/// `line ok`, or `line drop 50`: thousandths of frames, both ways.
fn line_faults(words: &[&str]) -> Result<crate::line::LineFaults, String> {
    const ALLOWED: &str = "line ok | line drop|corrupt|duplicate|split|noise PERMILLE | line delay MS";
    let mut faults = crate::line::LineFaults::default();
    let (kind, count) = match words {
        ["ok"] => return Ok(faults),
        [kind, count] => (*kind, number::<u16>(count, "a number up to 65535")?),
        _ => return Err(format!("allowed: {ALLOWED}")),
    };
    match kind {
        "drop" => faults.drop = count,
        "corrupt" => faults.corrupt = count,
        "duplicate" => faults.duplicate = count,
        "split" => faults.split = count,
        "noise" => faults.noise = count,
        "delay" => {
            faults.delay = 1000;
            faults.delay_by = std::time::Duration::from_millis(count.into());
        }
        _ => return Err(format!("{kind:?} is no line fault; allowed: {ALLOWED}")),
    }
    Ok(faults)
}
