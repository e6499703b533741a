//! The kiosk thread: takes events, lets the core decide and write, and hands out what the core wishes.

use super::{Heart, Input, Time, io::Orders, log};
use crate::{keys::KioskKeys, link::LinkOrder, store::SqliteStore, systemd::Notifier};
use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    time::Duration,
};
use tokio::sync::mpsc::error::TrySendError as Full;
use tolem_core::{
    kiosk::{Event, Kiosk, Output},
    view::ViewModel,
};

pub(super) struct KioskThread {
    pub kiosk: Kiosk<SqliteStore, KioskKeys>,
    pub time: Time,
    pub inputs: Receiver<Input>,
    pub views: SyncSender<ViewModel>,
    /// The newest view model that the screen has not taken yet.
    pub pending_view: Option<Box<ViewModel>>,
    pub orders: Orders,
    pub trace: Option<Box<dyn FnMut(u8, &'static str) + Send>>,
    pub heart: Heart,
    /// What systemd was told last.
    pub status: String,
    pub notifier: Arc<Notifier>,
}

impl KioskThread {
    pub fn run(mut self) {
        let mut stopping = false;
        loop {
            let Some(wait) = self.drain() else { return };
            self.tell_status();
            self.heart.beat();
            let (at, event) = match self.inputs.recv_timeout(wait) {
                Ok(Input::Event(at, event)) => (at, event),
                Err(RecvTimeoutError::Timeout) => (self.time.now(), Event::Tick),
                Ok(Input::Stop) if !stopping => {
                    stopping = true;
                    (self.time.now(), Event::Stop)
                }
                // Told twice: whoever insists has a reason.
                Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            };
            self.kiosk.handle(at, Time::utc(), event);
        }
    }

    /// Carries out all wishes; gives the time until the next is due, `None` at the end: all is done, or the screen is gone.
    fn drain(&mut self) -> Option<Duration> {
        let until = loop {
            match self.kiosk.poll() {
                Output::Acceptor(bytes) => told("acceptor", self.orders.acceptor.try_send(bytes)),
                Output::Printer(bytes) => told("printer", self.orders.printer.try_send(bytes)),
                Output::CardReader(bytes) => {
                    told("card reader", self.orders.card_reader.try_send(bytes.0.to_vec()));
                }
                Output::Reader(command) => told("card reader", self.orders.reader.try_send(command)),
                Output::PinPad(bytes) => told("PIN pad", self.orders.pin_pad.try_send(bytes.0.to_vec())),
                Output::Send { number, request } => {
                    told("link", self.orders.link.try_send(LinkOrder::Send { number, request }));
                }
                Output::Reconnect => told("link", self.orders.link.try_send(LinkOrder::Reconnect)),
                Output::RevocationList(list) => told("list", self.orders.list.try_send(list)),
                Output::Stopped => return None,
                Output::View(view) => self.pending_view = Some(view),
                Output::Lamp { lamp, on } => {
                    if let Some(lamps) = &self.orders.lamps {
                        told("lamps", lamps.try_send((lamp, on)));
                    }
                }
                Output::Trace { step, text } => {
                    log(&format!("step {step}: {text}"));
                    if let Some(trace) = &mut self.trace {
                        trace(step, text);
                    }
                }
                Output::Wait(until) => break until,
                Output::Abort(reason) => {
                    log(&format!("THE JOURNAL FAILED: {reason}"));
                    self.notifier.notify("STATUS=the journal failed, restarting");
                    // What is on disk is unknown. Only a new start, which reads it, may go on.
                    std::process::abort();
                }
            }
        };
        if let Some(view) = self.pending_view.take() {
            match self.views.try_send(*view) {
                Ok(()) => {}
                Err(TrySendError::Full(view)) => self.pending_view = Some(Box::new(view)),
                Err(TrySendError::Disconnected(_)) => return None,
            }
        }
        Some(until.since(self.time.now()))
    }

    fn tell_status(&mut self) {
        let faults: Vec<&str> = self.kiosk.health().present().map(|fault| fault.code()).collect();
        let state = if self.kiosk.health().closed_by().is_some() { "closed" } else { "open" };
        let status = format!("{state} {}", faults.join(" "));
        if status != self.status {
            self.notifier.notify(&format!("STATUS={status}"));
            log(&status);
            self.status = status;
        }
    }
}

/// A full channel means that the other side has been stuck for long; the core repeats what matters.
fn told<T>(what: &str, result: Result<(), Full<T>>) {
    match result {
        Ok(()) | Err(Full::Closed(_)) => {}
        Err(Full::Full(_)) => log(&format!("{what}: too much is waiting, one order is dropped")),
    }
}
