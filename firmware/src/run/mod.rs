//! `tolem run`: the threads of a terminal and the channels between them.
//!
//! ```text
//!   main     the screen (Slint wants the main thread) ──── intents ───▶ ┌───────┐
//!   io       serial lines, link, pins, disk, signals ──── bytes ... ──▶ │ kiosk │ owns store and keys, may wait for fsync
//!   verify   reads the whole journal once, beside it ──── verdict ────▶ └───────┘ ──▶ views, frames, bytes, lamps
//! ```
//! The kiosk thread never waits for another thread: what a full channel does not take is dropped or replaced, and the core asks
//! again. A panic anywhere ends the process at once, because a terminal with half of its threads is worse than one that starts
//! again from its journal.

mod certificate;
mod health;
mod io;
mod kiosk;
mod list;
mod open;
mod pcsc;
pub mod screen;

use crate::{
    config::Config,
    pins::Cabinet,
    systemd::Notifier,
    verify::{Keys, verify},
};
use anyhow::{Context, anyhow};
use health::{Heart, Pulse};
use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    thread::{Builder, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tolem_core::{journal::JournalFault, kiosk::Event, time::Instant};
use tolem_protocol::UtcTime;

/// Events on their way to the kiosk thread; more than one second of everything at once.
const EVENTS: usize = 512;
/// View models on their way to the screen. It draws only the newest.
const VIEWS: usize = 8;
/// Longest time given to threads to end after the order to stop.
const FAREWELL: Duration = Duration::from_secs(5);

/// What takes the place of a configured part: the bench has its own screen and its own cabinet.
#[derive(Default)]
pub struct Parts {
    /// Runs the screen on the main thread instead of the configured backend.
    pub screen: Option<screen::ScreenLoop>,
    /// Lamps and switches instead of `[pins]`.
    pub cabinet: Option<Box<dyn Cabinet>>,
    /// Hears each step of a payment (1 to 25) besides the log.
    pub trace: Option<Box<dyn FnMut(u8, &'static str) + Send>>,
}

/// An event for the kiosk thread and when it came, or the order to stop.
pub(crate) enum Input {
    Event(Instant, Event),
    Stop,
}

/// The way into the kiosk thread. What goes in is stamped: a thread that was held up, by a slow disk or a receipt to draw, must
/// judge an answer by the time at which it came, and not call a device silent because it looked late.
#[derive(Clone)]
pub(crate) struct Inputs {
    sender: mpsc::SyncSender<Input>,
    time: Time,
}

impl Inputs {
    /// The event with the present time.
    pub fn stamped(&self, event: Event) -> Input {
        Input::Event(self.time.now(), event)
    }

    /// Never waits.
    pub fn try_send(&self, input: Input) -> Result<(), mpsc::TrySendError<Input>> {
        self.sender.try_send(input)
    }

    /// Waits for room; an error when the kiosk thread has ended.
    pub fn send(&self, input: Input) -> Result<(), mpsc::SendError<Input>> {
        self.sender.send(input)
    }
}

/// A clock for the core: milliseconds since the start of the program, and the wall clock.
#[derive(Clone, Copy)]
pub(crate) struct Time {
    start: std::time::Instant,
}

impl Time {
    fn now(self) -> Instant {
        Instant(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// What the system believes; the core corrects it by the center's.
    fn utc() -> UtcTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UtcTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Runs a terminal until it is told to stop (SIGTERM, SIGINT; a second one does not wait for the citizen) or its window is closed. Call it on the main thread.
pub fn run(config: &Config, parts: Parts) -> anyhow::Result<()> {
    harden();
    if let Some(why) = config.not_in_this_build() {
        return Err(anyhow!(why));
    }
    let notifier = Arc::new(Notifier::from_environment());
    let time = Time { start: std::time::Instant::now() };
    match crate::enroll::finish(&config.center) {
        Ok(true) => log("certificate: a renewal that was cut off is finished"),
        Ok(false) => {}
        Err(error) => log(&format!("certificate: {error}")),
    }
    let opened = open::open(config, time.now(), Time::utc())?;
    let pulse = Pulse::new(config.watchdog.stalled_after);

    let (sender, input_end) = mpsc::sync_channel(EVENTS);
    let inputs = Inputs { sender, time };
    let (views, view_end) = mpsc::sync_channel(VIEWS);
    let io = io::Io {
        config: config.clone(),
        cabinet: cabinet(config, parts.cabinet)?,
        clock: opened.clock,
        seed: opened.seed,
        inputs: inputs.clone(),
        notifier: notifier.clone(),
        pulse: pulse.clone(),
    };
    let (orders, io) = io.start()?;
    let kiosk_thread = kiosk::KioskThread {
        kiosk: opened.kiosk,
        time,
        inputs: input_end,
        views,
        pending_view: None,
        orders,
        trace: parts.trace,
        heart: pulse.heart("kiosk"),
        status: String::new(),
        notifier: notifier.clone(),
    };
    let kiosk = spawn("kiosk", move || kiosk_thread.run())?;
    // A database that does not even open has nothing to verify.
    if let Some(keys) = opened.verify_with {
        spawn_verifier(config.journal.path.clone(), keys, inputs.clone())?;
    }
    notifier.notify("READY=1");

    let glass = screen::Glass {
        format: config.screen.format,
        views: view_end,
        intents: screen::Intents(inputs.clone()),
        heart: pulse.heart("screen"),
    };
    let screen = match parts.screen {
        Some(screen) => screen(glass),
        None => screen::run(config.screen.backend, glass),
    };
    notifier.notify("STOPPING=1");
    inputs.send(Input::Stop).ok();
    join(kiosk, "kiosk")?;
    join(io, "io")?;
    screen
}

/// Files are for this user alone; half a program is none; what is in memory stays there.
fn harden() {
    close_memory();
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        default(panic);
        std::process::abort();
    }));
}

/// No core dump, and no other process of this user looks in: an IIN may be in memory while it is typed.
pub fn close_memory() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        log(&format!("core dumps cannot be switched off: {error}"));
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        log(&format!("memory cannot be closed to other processes: {error}"));
    }
}

fn cabinet(config: &Config, given: Option<Box<dyn Cabinet>>) -> anyhow::Result<Option<Box<dyn Cabinet>>> {
    match (&config.pins, given) {
        (_, Some(given)) => Ok(Some(given)),
        (None, None) => Ok(None),
        #[cfg(feature = "gpio")]
        (Some(pins), None) => {
            let opened = crate::pins::gpio::open(pins).map_err(|error| anyhow!("[pins]: {error}"))?;
            Ok(Some(Box::new(opened)))
        }
        #[cfg(not(feature = "gpio"))]
        (Some(pins), None) => Err(anyhow!(
            "[pins] chip = {}: this build has no GPIO; leave the section out or build with --features gpio",
            pins.chip.display()
        )),
    }
}

fn spawn_verifier(path: PathBuf, keys: Keys, inputs: Inputs) -> anyhow::Result<()> {
    spawn("verify", move || {
        let result = match crate::store::Reader::open(&path) {
            Err(error) => Err(JournalFault::from(error)),
            Ok(mut reader) => verify(&mut reader, &keys, &mut |_| true)
                .map(|report| {
                    log(&format!("journal verified: {} records", report.records));
                    report.records
                })
                .map_err(|bad| {
                    log(&format!("JOURNAL BAD: {bad}"));
                    bad.fault
                }),
        };
        inputs.send(inputs.stamped(Event::JournalVerified(result))).ok();
    })?;
    Ok(())
}

pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    Builder::new().name(name.into()).spawn(body).with_context(|| format!("cannot start the thread {name}"))
}

fn join(thread: JoinHandle<()>, name: &str) -> anyhow::Result<()> {
    thread.join().map_err(|_| anyhow!("the thread {name} panicked"))
}

/// One line for the system's journal.
pub(crate) fn log(text: &str) {
    eprintln!("tolem: {text}");
}
