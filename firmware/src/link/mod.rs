//! The link to the processing center: one TCP connection with mutual TLS, frames in and out, and reconnection.
//!
//! It decides nothing: the core says hello, keeps the link alive, matches answers with questions and calls the link up or down. A
//! question from before a connection is never sent on the next one: everything up to the next `Hello` is dropped, because
//! the core has given those questions up. A peer that stops in the middle of a frame, or says nothing at all for
//! [`Timing::silence`], is left.

pub mod list;
pub mod tls;

use crate::config::Center;
use rustls::InvalidMessage;
use std::{fmt, future::Future, io, sync::Arc, time::Duration};
use tls::Clock;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tolem_core::kiosk::LinkFault;
use tolem_protocol::messages::{MAX_FRAME, Request, Response, decode, encode, frame_length};

/// What the link tells the kiosk.
#[derive(Debug)]
pub enum LinkEvent {
    /// TCP and TLS stand. A revoked kiosk comes this far: only an answer proves that the center takes it.
    Connected,
    /// There is no connection, or not any more.
    Lost {
        /// Which kind of trouble.
        fault: LinkFault,
        /// In words, for the log.
        reason: String,
    },
    /// An answer.
    Answer {
        /// Number of the question.
        number: u32,
        /// The answer.
        response: Box<Response>,
    },
}

/// What the kiosk wants of the link.
#[derive(Debug)]
pub enum LinkOrder {
    /// Ask the center.
    Send {
        /// Number of the question.
        number: u32,
        /// The question.
        request: Box<Request>,
    },
    /// Leave this connection and make a new one.
    Reconnect,
    /// Another revocation list is in force: leave, if it revokes the center we talk to.
    Judge,
}

/// How long the link waits.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For the TCP connection, and again for the TLS handshake.
    pub connect: Duration,
    /// For the rest of a frame whose first byte is there, and for the taking of a frame by the other side.
    pub frame: Duration,
    /// For any byte at all. Longer than the core's keep-alive and answer time together.
    pub silence: Duration,
    /// Before the first new attempt; doubled for each further one.
    pub retry_first: Duration,
    /// The longest wait between attempts.
    pub retry_last: Duration,
    /// A connection that lived this long was a good one: waits begin anew after it.
    pub settled: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            frame: Duration::from_secs(10),
            silence: Duration::from_secs(60),
            retry_first: Duration::from_millis(500),
            retry_last: Duration::from_secs(30),
            settled: Duration::from_secs(20),
        }
    }
}

/// One link, until its channels close.
pub struct Link {
    /// Where to and with which files.
    pub center: Center,
    /// What certificates are judged by.
    pub clock: Arc<Clock>,
    /// Waits.
    pub timing: Timing,
    /// Spreads the attempts of many kiosks after an outage.
    pub seed: u64,
}

impl Link {
    /// Connects, passes messages, connects again. Returns when `orders` is closed or nobody hears `events` any more.
    pub async fn run(mut self, mut orders: mpsc::Receiver<LinkOrder>, events: mpsc::Sender<LinkEvent>) {
        let mut attempt = 0;
        loop {
            let started = Instant::now();
            let ending = match drain(&mut orders, self.connect()).await {
                Drained::Closed => return,
                Drained::Done(Err(lost)) => Ending::Lost(lost),
                Drained::Done(Ok(stream)) => {
                    if events.send(LinkEvent::Connected).await.is_err() {
                        return;
                    }
                    self.converse(stream, &mut orders, &events).await
                }
            };
            let Ending::Lost(Lost { fault, reason }) = ending else { return };
            if events.send(LinkEvent::Lost { fault, reason }).await.is_err() {
                return;
            }
            attempt = if started.elapsed() >= self.timing.settled { 0 } else { attempt + 1 };
            let wait = self.wait_before(attempt);
            if let Drained::Closed = drain(&mut orders, sleep(wait)).await {
                return;
            }
        }
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, Lost> {
        let (config, name) = tls::client_config(&self.center, &self.clock)
            .map_err(|reason| Lost::new(LinkFault::Refused, reason))?;
        let place = format!("{}:{}", self.center.host, self.center.port);
        let tcp =
            timeout(self.timing.connect, TcpStream::connect((self.center.host.as_str(), self.center.port)))
                .await
                .map_err(|_| Lost::new(LinkFault::Unreachable, format!("{place}: no answer")))?
                .map_err(|error| Lost::new(LinkFault::Unreachable, format!("{place}: {error}")))?;
        // Small frames, each waited for: do not collect them.
        tcp.set_nodelay(true).map_err(|error| Lost::new(LinkFault::Closed, format!("{place}: {error}")))?;
        timeout(self.timing.connect, TlsConnector::from(Arc::new(config)).connect(name, tcp))
            .await
            .map_err(|_| Lost::new(LinkFault::Timeout, format!("{place}: no TLS handshake")))?
            .map_err(|error| {
                let lost = Lost::from_io(&error);
                Lost {
                    reason: format!("{place}: {} (our clock: {})", lost.reason, self.clock.now().local()),
                    ..lost
                }
            })
    }

    async fn converse(
        &self,
        stream: TlsStream<TcpStream>,
        orders: &mut mpsc::Receiver<LinkOrder>,
        events: &mpsc::Sender<LinkEvent>,
    ) -> Ending {
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
        let (mut read, mut write) = tokio::io::split(stream);
        let mut frames = Frames::new();
        let mut greeted = false;
        loop {
            tokio::select! {
                order = orders.recv() => {
                    let (number, request) = match order {
                        None => {
                            write.shutdown().await.ok();
                            return Ending::Closed;
                        }
                        Some(LinkOrder::Reconnect) => return Lost::ending(LinkFault::Closed, "given up by the kiosk"),
                        Some(LinkOrder::Judge) => match tls::judge(&self.center, &self.clock, &chain) {
                            Ok(()) => continue,
                            Err(reason) => return Lost::ending(LinkFault::Refused, &reason),
                        },
                        Some(LinkOrder::Send { number, request }) => (number, request),
                    };
                    greeted |= matches!(*request, Request::Hello(_));
                    if !greeted {
                        continue;
                    }
                    let frame = encode(number, &*request);
                    let sent = timeout(self.timing.frame, async {
                        write.write_all(&frame).await?;
                        write.flush().await
                    });
                    match sent.await {
                        Err(_) => return Lost::ending(LinkFault::Timeout, "the other side takes no more bytes"),
                        Ok(Err(error)) => return Ending::Lost(Lost::from_io(&error)),
                        Ok(Ok(())) => {}
                    }
                }
                answer = frames.next(&mut read, &self.timing) => {
                    let (number, response) = match answer {
                        Ok(answer) => answer,
                        Err(lost) => return Ending::Lost(lost),
                    };
                    match &*response {
                        Response::Welcome(welcome) => self.clock.raise(welcome.clock),
                        Response::Time(time) | Response::CardService { clock: time, .. } => {
                            self.clock.raise(*time);
                        }
                        _ => {}
                    }
                    if events.send(LinkEvent::Answer { number, response }).await.is_err() {
                        return Ending::Closed;
                    }
                }
            }
        }
    }

    /// Half of the doubled wait for certain, the other half by lot.
    fn wait_before(&mut self, attempt: u32) -> Duration {
        let full = self.timing.retry_first.saturating_mul(1 << attempt.min(16)).min(self.timing.retry_last);
        let half = full / 2;
        // SplitMix64 (S. Vigna, public domain): plenty for spreading.
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.seed;
        bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        let lot = (bits ^ bits >> 31) % 1_000;
        half + half * u32::try_from(lot).unwrap_or(0) / 1_000
    }
}

/// How a connection ended.
enum Ending {
    Lost(Lost),
    /// The program stops.
    Closed,
}

struct Lost {
    fault: LinkFault,
    reason: String,
}

impl Lost {
    fn new(fault: LinkFault, reason: impl Into<String>) -> Self {
        Self { fault, reason: reason.into() }
    }

    fn ending(fault: LinkFault, reason: &str) -> Ending {
        Ending::Lost(Self::new(fault, reason))
    }

    fn from_io(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                Self::new(LinkFault::Protocol, "the other side does not speak TLS")
            }
            Some(tls) => Self::new(LinkFault::Refused, tls.to_string()),
            None => Self::new(LinkFault::Closed, error.to_string()),
        }
    }
}

/// Bytes that came and are not a whole frame yet. Kept outside the future, so that dropping it loses nothing.
struct Frames {
    buffer: Vec<u8>,
    last_byte: Instant,
    frame_began: Instant,
}

impl Frames {
    fn new() -> Self {
        Self { buffer: Vec::new(), last_byte: Instant::now(), frame_began: Instant::now() }
    }

    async fn next(
        &mut self,
        read: &mut (impl AsyncRead + Unpin),
        timing: &Timing,
    ) -> Result<(u32, Box<Response>), Lost> {
        loop {
            if let Some(answer) = self.take()? {
                self.frame_began = Instant::now();
                return Ok(answer);
            }
            let empty = self.buffer.is_empty();
            let deadline =
                if empty { self.last_byte + timing.silence } else { self.frame_began + timing.frame };
            match timeout_at(deadline, read.read_buf(&mut self.buffer)).await {
                Err(_) => return Err(Lost::new(LinkFault::Timeout, "the other side is silent")),
                Ok(Err(error)) => return Err(Lost::from_io(&error)),
                Ok(Ok(0)) => return Err(Lost::new(LinkFault::Closed, "closed by the other side")),
                Ok(Ok(_)) => {}
            }
            self.last_byte = Instant::now();
            if empty {
                self.frame_began = self.last_byte;
            }
        }
    }

    fn take(&mut self) -> Result<Option<(u32, Box<Response>)>, Lost> {
        let Some(field) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let wrong = |error: &dyn fmt::Display| Lost::new(LinkFault::Protocol, error.to_string());
        let length = frame_length(*field).map_err(|error| wrong(&error))?;
        debug_assert!(length <= MAX_FRAME, "the length field is checked");
        let Some(frame) = self.buffer.get(4..4 + length) else { return Ok(None) };
        let (number, response) = decode::<Response>(frame).map_err(|error| wrong(&error))?;
        self.buffer.drain(..4 + length);
        Ok(Some((number, Box::new(response))))
    }
}

enum Drained<T> {
    Done(T),
    Closed,
}

/// Throws orders away until `work` is done: without a connection they have nowhere to go.
async fn drain<T>(orders: &mut mpsc::Receiver<LinkOrder>, work: impl Future<Output = T>) -> Drained<T> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Drained::Done(done),
            order = orders.recv() => if order.is_none() {
                return Drained::Closed;
            },
        }
    }
}
