//! The connection itself: opened, kept, opened again with growing pauses. Runs as one task beside the kiosks' links.

use super::{
    config::{self, ACQUIRER_FILE, Number, Pin, Terms},
    hsm::Hsm,
    session::{Bounds, Now, Output, Session},
};
use crate::{
    gateway::{channel::client, party::PartyError},
    logic::cards::ascii,
    server::{
        cards::Word,
        desk::{Heard, Job, fresh},
        shared::Shared,
    },
};
use data_encoding::HEXUPPER;
use rustls::pki_types::ServerName;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::Instant,
};
use tokio_rustls::TlsConnector;
use tolem_protocol::{
    UtcTime,
    card::SealedNumber,
    emv::CardNumber,
    iso8583::{
        Message, de,
        frame::MAX_PUSH,
        mac::{Draw, LinkKey},
    },
    pinpad::{KeySerial, PinBlock},
};
use zeroize::Zeroizing;

/// First pause after a connection that came to nothing, in milliseconds; it doubles.
const FIRST_PAUSE_MS: u64 = 500;
/// No pause is longer, in milliseconds.
const LONGEST_PAUSE_MS: u64 = 30_000;

/// A way to an acquirer, with everything that its folder holds.
pub(crate) struct Line {
    pub terms: Terms,
    key: Option<Zeroizing<[u8; 32]>>,
    /// Its folder: certificates and lists are read for each connection, because lists run out.
    folder: PathBuf,
    /// The security module, if something is opened here.
    hsm: Option<Arc<dyn Hsm>>,
}

impl Line {
    /// Reads an acquirer's folder.
    ///
    /// # Errors
    /// Names the file and the key that is missing or wrong.
    pub fn open(folder: &Path, hsm: Option<Arc<dyn Hsm>>) -> Result<Self, PartyError> {
        let terms = Terms::read(folder)?;
        let needed = [
            (terms.pin == Pin::Translate).then_some("key pin: \"translate\""),
            (terms.number == Number::Open).then_some("key number: \"open\""),
        ];
        if let Some(key) = needed.into_iter().flatten().next().filter(|_| hsm.is_none()) {
            let file = folder.join(ACQUIRER_FILE);
            return Err(PartyError(format!(
                "{}: {key} needs a security module, and this program has none",
                file.display()
            )));
        }
        let key = terms.codes.then(|| config::read_key(folder)).transpose()?;
        if terms.tls {
            client(folder, &[])?;
        }
        Ok(Self { terms, key, folder: folder.to_owned(), hsm })
    }

    /// Keeps the line, until the desk is gone.
    pub async fn run(self, desk: mpsc::Sender<Job>, shared: Arc<Shared>, clock: fn() -> UtcTime) {
        let (mut failures, mut said) = (0_u32, String::new());
        while !desk.is_closed() {
            let why = match self.connect().await {
                Ok(stream) => self.converse(stream, &desk, &shared, clock, &mut failures).await,
                Err(error) => error.to_string(),
            };
            // The same again would fill the log of a night.
            if why != said {
                shared.note(&format!("acquirer {}: {why}", self.terms.host));
                said = why;
            }
            let pause = FIRST_PAUSE_MS.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE_MS);
            failures = failures.saturating_add(1);
            // A little different each time, so that two centers do not come in step.
            let pause = pause * 3 / 4 + fresh()() % (pause / 2).max(1);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn connect(&self) -> io::Result<Box<dyn Wire>> {
        let connecting = async {
            let stream = TcpStream::connect(&self.terms.host).await?;
            stream.set_nodelay(true)?;
            if !self.terms.tls {
                return Ok(Box::new(stream) as Box<dyn Wire>);
            }
            let tls = TlsConnector::from(Arc::new(client(&self.folder, &[]).map_err(io::Error::other)?));
            let name = ServerName::try_from(self.terms.host_name().to_owned()).map_err(io::Error::other)?;
            Ok(Box::new(tls.connect(name, stream).await?) as Box<dyn Wire>)
        };
        let wait = Duration::from_millis(self.terms.wait_ms);
        tokio::time::timeout(wait, connecting)
            .await
            .unwrap_or_else(|_| Err(io::Error::other(format!("not connected within {wait:?}"))))
    }

    /// One connection, from the sign-on to its end. Gives why it ended.
    async fn converse(
        &self,
        stream: Box<dyn Wire>,
        desk: &mpsc::Sender<Job>,
        shared: &Shared,
        clock: fn() -> UtcTime,
        failures: &mut u32,
    ) -> String {
        let began = Instant::now();
        let now = || Now { ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), utc: clock() };
        let mut random = fresh();
        let draw: Draw = (u128::from(random()) << 64 | u128::from(random())).to_be_bytes();
        let trace = u32::try_from(random() % 1_000_000).unwrap_or(0);
        let bounds = Bounds { wait_ms: self.terms.wait_ms, echo_ms: self.terms.echo_ms };
        let key = self.key.clone().map(LinkKey::new);
        let mut talk = Talk {
            session: Session::new(key, bounds, draw, trace, now()),
            stream,
            desk,
            shared,
            words: None,
            open: false,
            hsm: self.hsm.as_ref(),
            terms: &self.terms,
        };
        let why = talk.go(&now, failures).await;
        // Whatever was on its way has no answer on this connection.
        if talk.open {
            tell(desk, Heard::AcquirerGone).await;
        }
        why
    }
}

/// What a connection is read from and written to.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// One connection under way.
struct Talk<'a> {
    session: Session,
    stream: Box<dyn Wire>,
    desk: &'a mpsc::Sender<Job>,
    shared: &'a Shared,
    /// What the desk says on this connection, from when it is open.
    words: Option<mpsc::UnboundedReceiver<Word>>,
    open: bool,
    hsm: Option<&'a Arc<dyn Hsm>>,
    terms: &'a Terms,
}

impl Talk<'_> {
    async fn go(&mut self, now: &impl Fn() -> Now, failures: &mut u32) -> String {
        let mut buffer = Zeroizing::new([0_u8; MAX_PUSH]);
        loop {
            while let Some(output) = self.session.poll() {
                match output {
                    Output::Send(bytes) => {
                        if let Err(error) = self.stream.write_all(&bytes).await {
                            return error.to_string();
                        }
                    }
                    Output::Open => {
                        *failures = 0;
                        self.open = true;
                        let (say, words) = mpsc::unbounded_channel();
                        self.words = Some(words);
                        self.shared.note(&format!("acquirer {}: signed on", self.terms.host));
                        tell(self.desk, Heard::AcquirerOpen(say)).await;
                    }
                    Output::Heard(message) => tell(self.desk, Heard::Acquirer(Box::new(message))).await,
                    Output::Note(line) => self.shared.note(&format!("acquirer {}: {line}", self.terms.host)),
                    Output::Close(why) => return why.to_string(),
                }
            }
            if self.desk.is_closed() {
                return "the center closes".into();
            }
            let until = self.session.wait().unwrap_or(0).saturating_sub(now().ms);
            tokio::select! {
                read = self.stream.read(buffer.as_mut_slice()) => match read {
                    Ok(0) => return "the host has closed the connection".into(),
                    Ok(count) => self.session.handle_bytes(now(), &buffer[..count]),
                    Err(error) => return error.to_string(),
                },
                Some(word) = next(&mut self.words) => self.say(word).await,
                () = tokio::time::sleep(Duration::from_millis(until)) => self.session.handle_timeout(now()),
            }
        }
    }

    async fn say(&mut self, word: Word) {
        let Word { message, asks } = word;
        let opens = (self.terms.pin, self.terms.number);
        let owed = asks.is_none().then(|| message.clone());
        match (in_the_clear(message, self.hsm, opens).await, asks, owed) {
            (Ok(message), ..) => self.session.say(message),
            // No byte of it has left, and none will: the only copy ends here.
            (Err(why), Some(payment), _) => tell(self.desk, Heard::NotSent(payment, why)).await,
            // A confirmation or a reversal whose number does not open now: it is still owed, and comes again.
            (Err(why), None, Some(message)) => {
                self.shared.note(&format!("acquirer {}: not said, and still owed: {why}", self.terms.host));
                tell(self.desk, Heard::NotSaid(Box::new(message), why)).await;
            }
            (Err(_), None, None) => {}
        }
    }
}

/// What this center opens for its acquirer: first the number, then the PIN block that is bound to it.
async fn in_the_clear(
    mut message: Message,
    hsm: Option<&Arc<dyn Hsm>>,
    (pin, number): (Pin, Number),
) -> Result<Message, String> {
    let Some(hsm) = hsm else { return Ok(message) };
    if number == Number::Open {
        message = opened(message, hsm).await?;
    }
    if pin == Pin::Translate {
        message = translated(message, hsm).await?;
    }
    Ok(message)
}

/// The number that a reader has enciphered, in the field for numbers.
async fn opened(mut message: Message, hsm: &Arc<dyn Hsm>) -> Result<Message, String> {
    let Some(sealed) = message.get(de::SEALED_NUMBER) else { return Ok(message) };
    let sealed = HEXUPPER.decode(sealed).ok().and_then(|bytes| SealedNumber::from_bytes(&bytes));
    let sealed = sealed.ok_or("its enciphered number is none")?;
    let hsm = hsm.clone();
    let asked = tokio::task::spawn_blocking(move || hsm.open(&sealed)).await;
    let opened = asked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    // A confirmation or reversal names no expiry; it is of a request that did.
    if message.get(de::EXPIRY).is_some_and(|expiry| expiry != ascii(&opened.expiry).as_slice()) {
        return Err(
            "the enciphered number is another card's: its expiry is not the one that the kiosk names".into(),
        );
    }
    message.remove(de::SEALED_NUMBER);
    message.set(de::NUMBER, &ascii(opened.number.digits())).map_err(|error| error.to_string())?;
    Ok(message)
}

/// The block of a request under the key between center and acquirer.
async fn translated(mut message: Message, hsm: &Arc<dyn Hsm>) -> Result<Message, String> {
    let block = message.get(de::PIN_BLOCK).and_then(|block| block.try_into().ok()).map(PinBlock::new);
    let serial = message.get(de::PIN_KEY).and_then(|text| HEXUPPER.decode(text).ok()?.try_into().ok());
    let (Some(block), Some(serial)) = (block, serial) else { return Ok(message) };
    let digits = Zeroizing::new(message.get(de::NUMBER).unwrap_or_default().to_vec());
    let number =
        std::str::from_utf8(&digits).ok().and_then(CardNumber::parse).ok_or("it has no card number")?;
    let hsm = hsm.clone();
    // A module may take its time; the echoes of this line may not wait for ever, so its own wait is bounded.
    let asked = tokio::task::spawn_blocking(move || hsm.translate(&block, KeySerial(serial), &number)).await;
    let block = asked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    message.remove(de::PIN_KEY);
    message.set(de::PIN_BLOCK, block.bytes()).map_err(|error| error.to_string())?;
    Ok(message)
}

async fn tell(desk: &mpsc::Sender<Job>, heard: Heard) {
    // A closed desk has it all written down.
    let _ = desk.send(Job::Heard(heard)).await;
}

async fn next(words: &mut Option<mpsc::UnboundedReceiver<Word>>) -> Option<Word> {
    match words {
        Some(words) => words.recv().await,
        None => std::future::pending().await,
    }
}
