//! Threads that connections live in: one for each processor, each with a runtime of its own. One thread accepts and hands each
//! connection to the next room, so TLS and signatures of many kiosks use all processors, and the order at the desk stays one.

use super::{
    link::{self, Door},
    shared::Shared,
};
use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};

/// Connections that the system keeps for us until they are accepted: a fleet may come back all at once.
pub(super) const BACKLOG: u32 = 4_096;

/// Somebody at the door.
struct Arrived {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    /// Numbered as they came, whichever room is faster.
    link: u64,
    place: OwnedSemaphorePermit,
}

/// The rooms. They close when this is dropped, with everybody in them.
pub(super) struct Rooms {
    ways: Vec<mpsc::UnboundedSender<Arrived>>,
    shared: Arc<Shared>,
}

impl Rooms {
    /// Opens as many as there are processors.
    pub fn open(door: &Door) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let (mut ways, mut threads) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let (way, arrivals) = mpsc::unbounded_channel();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let door = door.clone();
            let thread = std::thread::Builder::new().name(format!("center-room-{number}"));
            threads.push(thread.spawn(move || runtime.block_on(live(door, arrivals)))?);
            ways.push(way);
        }
        Ok((Self { ways, shared: door.shared.clone() }, threads))
    }

    /// Accepts whoever comes, until it is dropped.
    pub async fn accept(&self, listener: std::net::TcpListener) {
        let shared = &self.shared;
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return shared.note(&format!("the listening socket failed: {error}")),
        };
        let places = Arc::new(Semaphore::new(shared.links.most));
        for way in self.ways.iter().cycle() {
            let (stream, peer, place) = loop {
                match listener.accept().await.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                    Ok((stream, peer)) => match places.clone().try_acquire_owned() {
                        Ok(place) => break (stream, peer, place),
                        Err(_) => shared
                            .note(&format!("{peer}: refused: all {} places are taken", shared.links.most)),
                    },
                    Err(error) => {
                        // Out of file descriptors, most likely: the peers that are there will leave.
                        shared.note(&format!("a connection was not accepted: {error}"));
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            };
            // A room that is gone has taken the center with it.
            let link = shared.next_link();
            let _ = way.send(Arrived { stream, peer, link, place });
        }
    }
}

async fn live(door: Door, mut arrivals: mpsc::UnboundedReceiver<Arrived>) {
    while let Some(Arrived { stream, peer, link, place }) = arrivals.recv().await {
        let door = door.clone();
        tokio::spawn(async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => link::serve(door, stream, peer, link).await,
                Err(error) => door.shared.note(&format!("{peer}: refused: {error}")),
            }
            drop(place);
        });
    }
}
