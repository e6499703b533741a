//! The newest picture of one kiosk's screen, and the way for a finger back to it.
//!
//! A kiosk process connects to a Unix socket and streams; it may die at any moment, and the bench then says so instead of
//! showing its last picture as if it lived.

use super::{
    stream::{Lamps, Scene, Switches, ToBench, ToKiosk, Touch, TraceStep},
    tell::locked,
};
use std::{
    io::{self, BufReader},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;

/// A kiosk that does not read its touches for this long is not listening any more.
const WRITE_LIMIT: Duration = Duration::from_secs(2);

/// What was seen last.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Counts every change since the bench was started.
    pub frame: u64,
    /// The kiosk process is connected.
    pub connected: bool,
    /// What it shows; of the last kiosk process if none is connected.
    pub scene: Arc<Scene>,
    /// The pixels as PNG; empty before the first picture.
    pub png: Arc<Vec<u8>>,
    /// The lamps.
    pub lamps: Lamps,
}

/// Is told each step of a payment.
pub type OnTrace = Box<dyn Fn(TraceStep) + Send>;

/// One kiosk's screen on the bench.
pub struct ScreenFeed {
    path: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    picture: watch::Sender<Picture>,
    kiosk: Mutex<Option<UnixStream>>,
    switches: Mutex<Switches>,
}

impl ScreenFeed {
    /// Listens on a Unix socket at `path`; an old socket there is replaced.
    pub fn listen(path: &Path, on_trace: OnTrace) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let named = |error: io::Error| {
            let text =
                format!("cannot listen on {} ({error}); a socket path has at most 107 bytes", path.display());
            io::Error::new(error.kind(), text)
        };
        let listener = UnixListener::bind(path).map_err(named)?;
        let shared = Arc::new(Shared {
            picture: watch::Sender::new(Picture::default()),
            kiosk: Mutex::new(None),
            switches: Mutex::new(Switches::default()),
        });
        let inner = Arc::clone(&shared);
        std::thread::Builder::new().name("screen-feed".into()).spawn(move || {
            for kiosk in listener.incoming() {
                let Ok(kiosk) = kiosk else { return };
                // A kiosk that breaks the protocol is cut off; it ends itself and is shown as ended.
                let _ = inner.follow(kiosk, &on_trace);
                inner.gone();
            }
        })?;
        Ok(Self { path: path.to_owned(), shared })
    }

    /// Where the kiosk connects.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was seen last.
    pub fn picture(&self) -> Picture {
        self.shared.picture.borrow().clone()
    }

    /// Waits for a picture newer than `after`, for as long as `limit`; then what there is.
    pub async fn newer(&self, after: u64, limit: Duration) -> Picture {
        let mut seen = self.shared.picture.subscribe();
        // Too late, or the bench is ending: what there is will do.
        let _ = tokio::time::timeout(limit, seen.wait_for(|picture| picture.frame > after)).await;
        self.picture()
    }

    /// Touches the glass. The error says why nobody felt it.
    pub fn touch(&self, touch: Touch) -> Result<(), String> {
        self.shared.send(ToKiosk::Touch(touch))
    }

    /// The switches as they are.
    pub fn switches(&self) -> Switches {
        *locked(&self.shared.switches)
    }

    /// Opens or closes door or safe; a kiosk that is off sees it when it starts.
    pub fn set_switches(&self, change: impl FnOnce(&mut Switches)) {
        let switches = {
            let mut switches = locked(&self.shared.switches);
            change(&mut switches);
            *switches
        };
        // Without a kiosk there is nobody to tell yet.
        let _ = self.shared.send(ToKiosk::Switches(switches));
    }
}

impl Drop for ScreenFeed {
    fn drop(&mut self) {
        // A socket that is left behind is replaced at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Shared {
    fn send(&self, message: ToKiosk) -> Result<(), String> {
        let mut kiosk = locked(&self.kiosk);
        let stream = kiosk.as_mut().ok_or("the kiosk is off")?;
        message.write(stream).map_err(|error| {
            *kiosk = None;
            format!("the kiosk does not take it: {error}")
        })
    }

    fn follow(&self, kiosk: UnixStream, on_trace: &OnTrace) -> io::Result<()> {
        let mut writer = kiosk.try_clone()?;
        writer.set_write_timeout(Some(WRITE_LIMIT))?;
        ToKiosk::Switches(*locked(&self.switches)).write(&mut writer)?;
        *locked(&self.kiosk) = Some(writer);
        let mut reader = BufReader::with_capacity(1 << 16, kiosk);
        while let Some(message) = ToBench::read(&mut reader)? {
            match message {
                ToBench::Picture { scene, png } => self.picture.send_modify(|picture| {
                    picture.frame += 1;
                    picture.connected = true;
                    picture.scene = Arc::new(scene);
                    if !png.is_empty() {
                        picture.png = Arc::new(png);
                    }
                }),
                ToBench::Lamps(lamps) => self.picture.send_modify(|picture| picture.lamps = lamps),
                ToBench::Trace(step) => on_trace(step),
            }
        }
        Ok(())
    }

    fn gone(&self) {
        *locked(&self.kiosk) = None;
        self.picture.send_modify(|picture| {
            picture.frame += 1;
            picture.connected = false;
            picture.scene = Arc::default();
            picture.lamps = Lamps::default();
        });
    }
}
