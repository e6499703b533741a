//! The io thread: serial lines, the link, pins, the disk's free space, signals and the watchdog, on one runtime.

use super::{FAREWELL, Input, Inputs, Pulse, certificate::CertificateKeeper, list::ListKeeper, log, spawn};
use crate::{
    config::{Config, ReaderDriver},
    link::{Link, LinkEvent, LinkOrder, Timing, tls::Clock},
    pins::{self, Cabinet, PinEvent},
    serial::{Line, LineEvent},
    store::{RESERVE_BYTES, disk_space, reserve_is_there, set_reserve_aside},
    systemd::Notifier,
};
use anyhow::Context;
use std::{
    path::Path,
    sync::{Arc, mpsc::TrySendError},
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};
use tolem_core::{
    card_reader::Command,
    kiosk::{DISK_RESERVE_BYTES, Event, Lamp},
    secret::SecretBytes,
};
use zeroize::Zeroizing;

/// Frames on their way to a device; CCNET has one under way at a time, a page of ESC/POS is a few dozen.
const LINE_ORDERS: usize = 256;
/// Questions on their way to the center; the core has few under way.
const LINK_ORDERS: usize = 64;
/// Revocation lists on their way.
const LISTS: usize = 2;
/// Lamp changes on their way.
const LAMP_ORDERS: usize = 16;
/// Events on their way from a task to the forwarding one.
const TASK_EVENTS: usize = 64;
/// How often the disk is looked at.
const DISK_EVERY: Duration = Duration::from_secs(10);
/// How often a full event channel is tried again.
const FULL_RETRY: Duration = Duration::from_millis(2);

/// The kiosk thread's ends of the channels to the io thread.
pub(super) struct Orders {
    pub acceptor: mpsc::Sender<Vec<u8>>,
    pub printer: mpsc::Sender<Vec<u8>>,
    pub card_reader: mpsc::Sender<Vec<u8>>,
    /// To a reader that is not a line of bytes.
    pub reader: mpsc::Sender<Command>,
    pub pin_pad: mpsc::Sender<Vec<u8>>,
    pub link: mpsc::Sender<LinkOrder>,
    /// Revocation lists from the center, to be judged.
    pub list: mpsc::Sender<Vec<u8>>,
    pub lamps: Option<mpsc::Sender<(Lamp, bool)>>,
}

/// The io thread's ends of the same channels.
struct Ends {
    acceptor: mpsc::Receiver<Vec<u8>>,
    printer: mpsc::Receiver<Vec<u8>>,
    card_reader: mpsc::Receiver<Vec<u8>>,
    reader: mpsc::Receiver<Command>,
    pin_pad: mpsc::Receiver<Vec<u8>>,
    link: mpsc::Receiver<LinkOrder>,
    /// Tells the link of a new revocation list.
    judge: mpsc::Sender<LinkOrder>,
    list: mpsc::Receiver<Vec<u8>>,
    lamps: mpsc::Receiver<(Lamp, bool)>,
}

/// Everything the io thread needs.
pub(super) struct Io {
    pub config: Config,
    pub cabinet: Option<Box<dyn Cabinet>>,
    pub clock: Arc<Clock>,
    pub seed: u64,
    pub inputs: Inputs,
    pub notifier: Arc<Notifier>,
    pub pulse: Pulse,
}

impl Io {
    /// Starts the thread. It ends when the kiosk thread has dropped its [`Orders`].
    pub fn start(self) -> anyhow::Result<(Orders, JoinHandle<()>)> {
        let runtime =
            Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        let (acceptor, acceptor_end) = mpsc::channel(LINE_ORDERS);
        let (printer, printer_end) = mpsc::channel(LINE_ORDERS);
        let (card_reader, card_reader_end) = mpsc::channel(LINE_ORDERS);
        let (reader, reader_end) = mpsc::channel(LINE_ORDERS);
        let (pin_pad, pin_pad_end) = mpsc::channel(LINE_ORDERS);
        let (link, link_end) = mpsc::channel(LINK_ORDERS);
        let (list, list_end) = mpsc::channel(LISTS);
        let (lamps, lamp_end) = mpsc::channel(LAMP_ORDERS);
        let lamps = self.cabinet.is_some().then_some(lamps);
        let ends = Ends {
            acceptor: acceptor_end,
            printer: printer_end,
            card_reader: card_reader_end,
            reader: reader_end,
            pin_pad: pin_pad_end,
            link: link_end,
            judge: link.clone(),
            list: list_end,
            lamps: lamp_end,
        };
        let thread = spawn("io", move || {
            runtime.block_on(self.serve(ends));
            runtime.shutdown_timeout(FAREWELL);
        })?;
        Ok((Orders { acceptor, printer, card_reader, reader, pin_pad, link, list, lamps }, thread))
    }

    async fn serve(self, ends: Ends) {
        // These end with the kiosk thread's orders.
        let mut working = JoinSet::new();
        let inputs = &self.inputs;
        let (ports, devices) = (&self.config.acceptor, &self.config.printer);
        let line = Line { name: "acceptor", path: ports.port.clone(), baud: ports.baud, even: false };
        working.spawn(serve_line(line, ends.acceptor, inputs.clone(), Event::Acceptor));
        let line = Line { name: "printer", path: devices.port.clone(), baud: devices.baud, even: false };
        working.spawn(serve_line(line, ends.printer, inputs.clone(), Event::Printer));
        if let Some(cards) = &self.config.cards {
            match &cards.reader.driver {
                ReaderDriver::Omron { port, baud, .. } => {
                    let line = Line { name: "card reader", path: port.clone(), baud: *baud, even: true };
                    let event = |bytes| Event::CardReader(SecretBytes(Zeroizing::new(bytes)));
                    working.spawn(serve_line(line, ends.card_reader, inputs.clone(), event));
                }
                #[cfg(feature = "pcsc")]
                ReaderDriver::Pcsc { reader, patience } => {
                    let options = tolem_pcsc::Options {
                        name: reader.clone(),
                        patience: *patience,
                        ..tolem_pcsc::Options::default()
                    };
                    working.spawn(super::pcsc::serve(options, ends.reader, inputs.clone()));
                }
                // Refused at the start.
                #[cfg(not(feature = "pcsc"))]
                ReaderDriver::Pcsc { .. } => drop(ends.reader),
            }
            let (port, baud) = (cards.pad.port.clone(), cards.pad.baud);
            let line = Line { name: "PIN pad", path: port, baud, even: false };
            let event = |bytes| Event::PinPad(SecretBytes(Zeroizing::new(bytes)));
            working.spawn(serve_line(line, ends.pin_pad, inputs.clone(), event));
        }
        let connection = Link {
            center: self.config.center.clone(),
            clock: self.clock.clone(),
            timing: Timing::default(),
            seed: self.seed,
        };
        working.spawn(serve_link(connection, ends.link, inputs.clone()));
        let keeper = ListKeeper {
            center: self.config.center.clone(),
            clock: self.clock.clone(),
            link: ends.judge,
            inputs: inputs.clone(),
            good_until: None,
            told: String::new(),
        };
        working.spawn(keeper.run(ends.list));
        if let Some(cabinet) = self.cabinet {
            working.spawn(serve_pins(cabinet, ends.lamps, inputs.clone()));
        }
        // These would go on for ever and are dropped with the runtime.
        let keeper = CertificateKeeper {
            center: self.config.center.clone(),
            number: self.config.kiosk.number,
            clock: self.clock,
            inputs: inputs.clone(),
            told: String::new(),
        };
        tokio::spawn(keeper.run());
        tokio::spawn(watch_disk(self.config.journal.path.clone(), inputs.clone()));
        tokio::spawn(watch_signals(inputs.clone()));
        tokio::spawn(feed_watchdog(self.notifier, self.pulse));
        while working.join_next().await.is_some() {}
    }
}

/// Passes an event on, waiting while the kiosk thread is behind. False when it is gone.
pub(super) async fn deliver(inputs: &Inputs, event: Event) -> bool {
    pass(inputs, inputs.stamped(event)).await
}

async fn pass(inputs: &Inputs, mut input: Input) -> bool {
    loop {
        match inputs.try_send(input) {
            Ok(()) => return true,
            Err(TrySendError::Disconnected(_)) => return false,
            Err(TrySendError::Full(back)) => input = back,
        }
        tokio::time::sleep(FULL_RETRY).await;
    }
}

async fn serve_line(
    line: Line,
    orders: mpsc::Receiver<Vec<u8>>,
    inputs: Inputs,
    event: fn(Vec<u8>) -> Event,
) {
    let name = line.name;
    let (send, mut events) = mpsc::channel(TASK_EVENTS);
    let serving = line.run(orders, send);
    let passing = async move {
        while let Some(happened) = events.recv().await {
            match happened {
                LineEvent::Bytes(bytes) => {
                    if !deliver(&inputs, event(bytes)).await {
                        return;
                    }
                }
                LineEvent::Opened => log(&format!("{name}: line open")),
                LineEvent::Lost(reason) => log(&format!("{name}: line lost: {reason}")),
            }
        }
    };
    tokio::join!(serving, passing);
}

async fn serve_link(link: Link, orders: mpsc::Receiver<LinkOrder>, inputs: Inputs) {
    let (send, mut events) = mpsc::channel(TASK_EVENTS);
    let serving = link.run(orders, send);
    let passing = async move {
        let mut told = String::new();
        while let Some(happened) = events.recv().await {
            let event = match happened {
                LinkEvent::Connected => {
                    told.clear();
                    log("link: connected");
                    Event::LinkConnected
                }
                LinkEvent::Lost { fault, reason } => {
                    if reason != told {
                        log(&format!("link: {fault:?}: {reason}"));
                        told = reason;
                    }
                    Event::LinkLost(fault)
                }
                LinkEvent::Answer { number, response } => Event::Answer { number, response },
            };
            if !deliver(&inputs, event).await {
                return;
            }
        }
    };
    tokio::join!(serving, passing);
}

async fn serve_pins(cabinet: Box<dyn Cabinet>, lamps: mpsc::Receiver<(Lamp, bool)>, inputs: Inputs) {
    let (send, mut events) = mpsc::channel(TASK_EVENTS);
    let passing = async move {
        while let Some(happened) = events.recv().await {
            match happened {
                PinEvent::Changed { pin, open } => {
                    if !deliver(&inputs, Event::Pin { pin, open }).await {
                        return;
                    }
                }
                PinEvent::Broken(reason) => log(&format!("pins: {reason}")),
            }
        }
    };
    tokio::join!(pins::serve(cabinet, lamps, send), passing);
}

async fn watch_disk(path: std::path::PathBuf, inputs: Inputs) {
    let mut looks = tokio::time::interval(DISK_EVERY);
    loop {
        looks.tick().await;
        let (free_bytes, writable) = disk_space(&path).unwrap_or((0, false));
        let has_reserve = reserve_is_there(&path) || set_aside_again(&path, free_bytes).await;
        let free_bytes = if has_reserve { free_bytes } else { 0 };
        if !deliver(&inputs, Event::DiskSpace { free_bytes, writable }).await {
            return;
        }
    }
}

/// Takes the reserve from a disk that has room again, or that failed only once. Where it would be short, the open payment that the reserve was
/// given back for needs it more.
async fn set_aside_again(journal: &Path, free_bytes: u64) -> bool {
    if free_bytes < DISK_RESERVE_BYTES + RESERVE_BYTES {
        return false;
    }
    let path = journal.to_owned();
    // It waits for the disk, and the lines are served here.
    let ready = tokio::task::spawn_blocking(move || set_reserve_aside(&path)).await.unwrap_or(false);
    if ready {
        log("space is set aside for finishing a payment again");
    }
    ready
}

async fn watch_signals(inputs: Inputs) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        log("signals cannot be heard: stop the program with SIGKILL");
        return;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        log("told to stop");
        if !pass(&inputs, Input::Stop).await {
            return;
        }
    }
}

async fn feed_watchdog(notifier: Arc<Notifier>, pulse: Pulse) {
    let Some(limit) = notifier.watchdog() else { return };
    let mut meals = tokio::time::interval(limit / 3);
    loop {
        meals.tick().await;
        match pulse.stalled() {
            None => notifier.notify("WATCHDOG=1"),
            Some(name) => log(&format!("the thread {name} is stalled: the watchdog is not fed")),
        }
    }
}
