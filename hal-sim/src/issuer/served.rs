//! The test issuer on a TCP port, so that anybody's center can be pointed at it: one thread per connection, moved by lines of text.

use super::{Code, Mood, Standing, TestIssuer, host::HostLine};
use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufRead, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};
use tolem_protocol::{
    Amount,
    emv::CardNumber,
    iso8583::{
        frame::MAX_PUSH,
        mac::{Draw, LinkKey},
    },
};
use zeroize::Zeroizing;

/// What is read from and written to.
pub trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Puts TLS, or nothing, around a connection.
pub type Wrap = Arc<dyn Fn(TcpStream) -> io::Result<Box<dyn Stream>> + Send + Sync>;
/// Hears what happens, one line each; never a number, a PIN or a block.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// How the issuer is served.
#[derive(Clone)]
pub struct HostOptions {
    /// The key of the codes over messages; `None` for messages without codes.
    pub key: Option<Zeroizing<[u8; 32]>>,
    /// Around each connection.
    pub wrap: Wrap,
    /// Hears what happens.
    pub log: Option<Log>,
}

impl HostOptions {
    /// Without TLS.
    pub fn plain(key: Option<[u8; 32]>) -> Self {
        Self {
            key: key.map(Zeroizing::new),
            wrap: Arc::new(|stream| Ok(Box::new(stream) as Box<dyn Stream>)),
            log: None,
        }
    }
}

/// A served issuer. Dropping it closes its port and all connections.
pub struct ServedIssuer {
    /// Where it listens.
    pub addr: SocketAddr,
    issuer: Arc<Mutex<TestIssuer>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
    options: HostOptions,
}

const HELP: &str = "lose request|answer; late; decline CODE; cut; ledger; account NUMBER tenge N|pin tries N|block|free; moods";

/// Serves `issuer` on a port that listens already.
pub fn serve(
    listener: TcpListener,
    issuer: Arc<Mutex<TestIssuer>>,
    options: HostOptions,
) -> io::Result<ServedIssuer> {
    let addr = listener.local_addr()?;
    let shared = Arc::new(Shared { stop: AtomicBool::new(false), open: Mutex::new(Vec::new()), options });
    let (accounts, common) = (issuer.clone(), shared.clone());
    let thread = std::thread::Builder::new().name("sim-issuer".into()).spawn(move || {
        let mut threads = Vec::new();
        for stream in listener.incoming() {
            if common.stop.load(Ordering::SeqCst) {
                break;
            }
            let Ok(stream) = stream else { continue };
            let (accounts, common) = (accounts.clone(), common.clone());
            threads.push(std::thread::spawn(move || common.converse(stream, &accounts)));
        }
        common.close_all();
        threads.into_iter().for_each(|thread| drop(thread.join()));
    })?;
    Ok(ServedIssuer { addr, issuer, shared, thread: Some(thread) })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn log(&self, line: &str) {
        if let Some(log) = &self.options.log {
            log(line);
        }
    }

    fn close_all(&self) {
        for stream in locked(&self.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn converse(&self, stream: TcpStream, issuer: &Mutex<TestIssuer>) {
        let peer = stream.peer_addr().map_or_else(|_| "somebody".into(), |peer| peer.to_string());
        let why = self.talk(stream, issuer).err().map_or_else(|| "closed".into(), |error| error.to_string());
        self.log(&format!("{peer}: {why}"));
    }

    fn talk(&self, stream: TcpStream, issuer: &Mutex<TestIssuer>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        locked(&self.open).push(stream.try_clone()?);
        if self.stop.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut line = HostLine::new(self.options.key.clone().map(LinkKey::new), draw()?);
        let mut stream = (self.options.wrap)(stream)?;
        let mut buffer = Zeroizing::new([0; MAX_PUSH]);
        loop {
            let count = stream.read(buffer.as_mut_slice())?;
            if count == 0 {
                return Ok(());
            }
            let said = line.handle_bytes(&mut locked(issuer), &buffer[..count]);
            said.lines.iter().for_each(|line| self.log(line));
            for frame in &said.frames {
                stream.write_all(frame)?;
            }
            stream.flush()?;
            if let Some(why) = said.close {
                return Err(io::Error::other(why));
            }
        }
    }
}

fn draw() -> io::Result<Draw> {
    let mut draw = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut draw)?;
    Ok(draw)
}

impl ServedIssuer {
    /// The issuer itself.
    pub fn issuer(&self) -> MutexGuard<'_, TestIssuer> {
        locked(&self.issuer)
    }

    /// Cuts all connections; new ones are taken.
    pub fn cut(&self) {
        self.shared.close_all();
    }

    /// Does what a line says.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn command(&self, words: &[&str]) -> Result<String, String> {
        let mut issuer = self.issuer();
        match words {
            ["lose", "request"] => issuer.moods.push_back(Mood::LosesRequest),
            ["lose", "answer"] => issuer.moods.push_back(Mood::LosesAnswer),
            ["late"] => issuer.moods.push_back(Mood::AnswersLate),
            ["decline", code] => {
                let code = code.as_bytes().try_into().ok().filter(|code: &[u8; 2]| *code != *b"00");
                let code = code.ok_or("a code has two characters and is not 00")?;
                issuer.moods.push_back(Mood::Declines(Code(code)));
            }
            ["moods"] => issuer.moods.clear(),
            ["cut"] => {
                drop(issuer);
                self.cut();
                return Ok("cut".into());
            }
            ["ledger"] => return Ok(ledger(&issuer)),
            ["account", number, rest @ ..] => {
                let number = CardNumber::parse(number).ok_or("that is no card number")?;
                let account = issuer.account(&number).ok_or("nobody has this card")?;
                let count = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
                match rest {
                    ["tenge", tenge] => account.available = Amount::from_tenge(count(tenge)?),
                    ["pin", "tries", tries] => {
                        account.tries = u8::try_from(count(tries)?).map_err(|_| "at most 255 tries")?;
                    }
                    ["block"] => account.blocked = true,
                    ["free"] => account.blocked = false,
                    _ => return Err(format!("allowed: {HELP}")),
                }
            }
            _ => return Err(format!("allowed: {HELP}")),
        }
        Ok(format!("messages with a fate of their own: {}", self.moods(issuer)))
    }

    fn moods(&self, issuer: MutexGuard<'_, TestIssuer>) -> usize {
        issuer.moods.len()
    }

    /// Does what each line says until there are no more, and writes what came of it.
    ///
    /// # Errors
    /// If a line cannot be read or an answer not be written.
    pub fn console(&self, lines: impl BufRead, mut answers: impl Write) -> io::Result<()> {
        for line in lines.lines() {
            let line = line?;
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            match self.command(&words) {
                Ok(answer) => writeln!(answers, "{answer}")?,
                Err(why) => writeln!(answers, "error: {why}")?,
            }
            answers.flush()?;
        }
        Ok(())
    }
}

/// A line for each payment: terminal, trace number, time, sum, standing. No card.
fn ledger(issuer: &TestIssuer) -> String {
    let mut text = String::new();
    for ((terminal, original), entry) in issuer.ledger() {
        let standing = match entry.standing {
            Standing::Declined(code) => format!("declined {code:?}"),
            Standing::Held => "held".into(),
            Standing::Taken => "taken".into(),
            Standing::Reversed => "reversed".into(),
        };
        let words = [&terminal[..], &original.trace, &original.sent].map(String::from_utf8_lossy);
        let _ = writeln!(text, "{} {} tenge {standing}", words.join(" "), entry.amount.tiyn() / 100);
    }
    let (taken, held) = issuer.taken_and_held();
    text + &format!("taken {} tenge, held {} tenge", taken.tiyn() / 100, held.tiyn() / 100)
}

impl Drop for ServedIssuer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.close_all();
        // Wakes whoever waits for the next connection.
        drop(TcpStream::connect(self.addr));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
