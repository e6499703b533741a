//! The network between kiosk and center, with a switch: up, down, slow, or answers lost.
//!
//! A TCP proxy on the loopback that moves bytes and looks at none of them, so TLS passes untouched. It refuses to listen
//! anywhere but on 127.0.0.1.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How the link behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LinkMode {
    /// Everything passes.
    #[default]
    Up,
    /// New connections are closed at once, existing ones are cut.
    Down,
    /// Each chunk of at most 4 KiB waits this many milliseconds, in both directions.
    Slow(u64),
    /// Requests pass; whatever the center says is swallowed, and the connection stays open.
    AnswersLost,
}

/// Bytes that went through since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// From the kiosk to the center.
    pub requests: u64,
    /// From the center to the kiosk.
    pub answers: u64,
    /// From the center, swallowed.
    pub swallowed: u64,
}

/// At most this many connections at once; more are closed at once.
const MAX_CONNECTIONS: usize = 32;
const CHUNK: usize = 4096;
/// A single connection attempt to the center may take this long.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

struct Shared {
    mode: Mutex<LinkMode>,
    changed: Condvar,
    open: Mutex<Vec<(u64, TcpStream, TcpStream)>>,
    closing: AtomicBool,
    next_id: AtomicU64,
    requests: AtomicU64,
    answers: AtomicU64,
    swallowed: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running proxy; dropping it cuts everything and waits for its threads.
pub struct LinkProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl LinkProxy {
    /// Listens on 127.0.0.1 at `port` (0 = any free one) and passes to `target`.
    pub fn start(port: u16, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            mode: Mutex::new(LinkMode::Up),
            changed: Condvar::new(),
            open: Mutex::new(Vec::new()),
            closing: AtomicBool::new(false),
            next_id: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            swallowed: AtomicU64::new(0),
        });
        let inner = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("link-proxy".into())
            .spawn(move || accept_all(&listener, target, &inner))?;
        Ok(Self { address, shared, listener: Some(thread) })
    }

    /// Where the kiosk should connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How the link behaves now.
    pub fn mode(&self) -> LinkMode {
        *locked(&self.shared.mode)
    }

    /// Changes the behaviour at once, for connections that exist too.
    pub fn set_mode(&self, mode: LinkMode) {
        *locked(&self.shared.mode) = mode;
        self.shared.changed.notify_all();
        if mode == LinkMode::Down {
            self.shared.cut_all();
        }
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        locked(&self.shared.open).len()
    }

    /// Bytes so far.
    pub fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Traffic {
            requests: read(&self.shared.requests),
            answers: read(&self.shared.answers),
            swallowed: read(&self.shared.swallowed),
        }
    }
}

impl Drop for LinkProxy {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        self.shared.changed.notify_all();
        self.shared.cut_all();
        // A connection to ourselves wakes the listener; if it fails, the listener is gone already.
        let _ = TcpStream::connect_timeout(&self.address, CONNECT_LIMIT);
        if let Some(thread) = self.listener.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn cut_all(&self) {
        for (_, kiosk, center) in locked(&self.open).drain(..) {
            let _ = kiosk.shutdown(Shutdown::Both);
            let _ = center.shutdown(Shutdown::Both);
        }
    }

    fn forget(&self, id: u64) {
        locked(&self.open).retain(|(open, ..)| *open != id);
    }

    fn passes(&self) -> bool {
        !self.closing.load(Ordering::SeqCst) && *locked(&self.mode) != LinkMode::Down
    }

    /// Waits out the slowness; a change of mode ends the wait. Returns the mode to act by.
    fn hold_back(&self) -> LinkMode {
        let mut mode = locked(&self.mode);
        let began = Instant::now();
        loop {
            let LinkMode::Slow(ms) = *mode else { return *mode };
            let left = Duration::from_millis(ms).saturating_sub(began.elapsed());
            if left.is_zero() || self.closing.load(Ordering::SeqCst) {
                return *mode;
            }
            mode = self.changed.wait_timeout(mode, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn accept_all(listener: &TcpListener, target: SocketAddr, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for stream in listener.incoming() {
        if shared.closing.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        let Ok(kiosk) = stream else { continue };
        if threads.len() >= MAX_CONNECTIONS || !shared.passes() {
            continue;
        }
        let inner = Arc::clone(shared);
        let work = move || pass_connection(&kiosk, target, &inner);
        if let Ok(thread) = std::thread::Builder::new().name("link-connection".into()).spawn(work) {
            threads.push(thread);
        }
    }
    shared.cut_all();
    for thread in threads {
        let _ = thread.join();
    }
}

/// Carries one connection until both directions have ended.
fn pass_connection(kiosk: &TcpStream, target: SocketAddr, shared: &Arc<Shared>) {
    let Ok(center) = TcpStream::connect_timeout(&target, CONNECT_LIMIT) else { return };
    let _ = (kiosk.set_nodelay(true), center.set_nodelay(true));
    let id = shared.next_id.fetch_add(1, Ordering::SeqCst);
    let (Ok(kiosk_copy), Ok(center_copy)) = (kiosk.try_clone(), center.try_clone()) else { return };
    locked(&shared.open).push((id, kiosk_copy, center_copy));
    if !shared.passes() {
        shared.cut_all();
    }
    std::thread::scope(|scope| {
        scope.spawn(|| pass(kiosk, &center, shared, Direction::ToCenter));
        pass(&center, kiosk, shared, Direction::ToKiosk);
    });
    shared.forget(id);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToCenter,
    ToKiosk,
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared, direction: Direction) {
    let mut chunk = [0; CHUNK];
    let mut lost_any = false;
    loop {
        let length = match from.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        let mode = shared.hold_back();
        // Once a part of an answer is lost the rest of that stream is useless: passing it on would be corruption, not loss.
        lost_any |= direction == Direction::ToKiosk && mode == LinkMode::AnswersLost;
        let counter = match direction {
            Direction::ToCenter => &shared.requests,
            Direction::ToKiosk if lost_any => &shared.swallowed,
            Direction::ToKiosk => &shared.answers,
        };
        counter.fetch_add(length as u64, Ordering::SeqCst);
        if !lost_any && to.write_all(&chunk[..length]).is_err() {
            break;
        }
    }
    if !lost_any {
        let _ = to.shutdown(Shutdown::Write);
    }
    let _ = from.shutdown(Shutdown::Read);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A center that answers every line with itself, for as many connections as come.
    fn echo_center() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || {
                    let (mut from, mut to) = (&stream, &stream);
                    let _ = io::copy(&mut from, &mut to);
                });
            }
        });
        address
    }

    fn ask(mut stream: &TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(text)?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    fn connect(proxy: &LinkProxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    #[test]
    fn down_cuts_what_is_open_and_refuses_what_comes_and_up_heals() {
        let proxy = LinkProxy::start(0, echo_center()).unwrap();
        let before = connect(&proxy);
        assert_eq!(ask(&before, b"hello").unwrap(), b"hello");
        proxy.set_mode(LinkMode::Down);
        assert!(ask(&before, b"again").is_err());
        let during = connect(&proxy);
        assert!(ask(&during, b"anyone").is_err());
        assert_eq!(proxy.connections(), 0);
        proxy.set_mode(LinkMode::Up);
        assert_eq!(ask(&connect(&proxy), b"back").unwrap(), b"back");
    }

    #[test]
    fn lost_answers_leave_the_connection_half_open() {
        let proxy = LinkProxy::start(0, echo_center()).unwrap();
        let stream = connect(&proxy);
        assert_eq!(ask(&stream, b"one").unwrap(), b"one");
        proxy.set_mode(LinkMode::AnswersLost);
        stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        let error = ask(&stream, b"two").unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
        assert_eq!(proxy.connections(), 1, "not cut, only silent");
        assert_eq!(proxy.traffic(), Traffic { requests: 6, answers: 3, swallowed: 3 });
        proxy.set_mode(LinkMode::Up);
        assert!(ask(&stream, b"three").is_err(), "a stream with a hole never speaks again");
        assert_eq!(ask(&connect(&proxy), b"new").unwrap(), b"new");
    }

    #[test]
    fn slow_holds_each_chunk_back_and_a_change_of_mode_frees_it() {
        let proxy = LinkProxy::start(0, echo_center()).unwrap();
        let stream = connect(&proxy);
        proxy.set_mode(LinkMode::Slow(40));
        let began = Instant::now();
        assert_eq!(ask(&stream, b"slow").unwrap(), b"slow");
        assert!(began.elapsed() >= Duration::from_millis(80), "40 ms each way");
        proxy.set_mode(LinkMode::Slow(600_000));
        (&stream).write_all(b"held").unwrap();
        proxy.set_mode(LinkMode::Up);
        let mut answer = [0; 4];
        (&stream).read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"held");
    }

    #[test]
    fn connections_are_bounded_and_a_dead_center_closes_them() {
        let proxy = LinkProxy::start(0, echo_center()).unwrap();
        let open: Vec<TcpStream> = (0..MAX_CONNECTIONS).map(|_| connect(&proxy)).collect();
        for stream in &open {
            assert_eq!(ask(stream, b"x").unwrap(), b"x");
        }
        assert!(ask(&connect(&proxy), b"one too many").is_err());
        assert_eq!(proxy.connections(), MAX_CONNECTIONS);

        let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let proxy = LinkProxy::start(0, nobody).unwrap();
        assert!(ask(&connect(&proxy), b"x").is_err());
    }

    #[test]
    fn dropping_it_ends_all_its_threads_and_connections() {
        let proxy = LinkProxy::start(0, echo_center()).unwrap();
        let stream = connect(&proxy);
        assert_eq!(ask(&stream, b"x").unwrap(), b"x");
        let address = proxy.address();
        drop(proxy);
        assert!(ask(&stream, b"y").is_err());
        assert!(TcpStream::connect(address).is_err());
    }
}
