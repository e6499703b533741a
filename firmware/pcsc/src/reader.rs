//! The threads of a reader: one that speaks to `pcscd`, and one that watches it.

use pcsc::{
    Card, Context, Disposition, Error, MAX_BUFFER_SIZE, Protocol, Protocols, ReaderState, Scope, ShareMode,
    State,
};
use std::{
    ffi::{CStr, CString},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};
use tolem_core::{
    card_reader::{ChipAnswer, Command, Event, Found, ReaderFault},
    emv::{ChipFault, ChipTransport},
};
use zeroize::Zeroizing;

/// How a reader is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// Part of the name of the reader that is meant; `None` for the first one.
    pub name: Option<String>,
    /// How long a chip may take for one command.
    pub patience: Duration,
    /// How long a change of the reader is waited for at once; commands wait so long at most.
    pub look: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { name: None, patience: Duration::from_secs(10), look: Duration::from_millis(200) }
    }
}

/// A reader on PC/SC. Dropping it ends its threads; one that waits for a silent chip ends when the chip does.
pub struct PcscReader {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Command(Command),
    /// The worker of this generation has something to tell.
    Told(u64, Told),
    /// No more commands.
    End,
}

enum Told {
    Event(Event),
    /// It is done with its command.
    Idle,
    /// It cannot go on: `pcscd` or the reader is not there.
    Gone,
}

impl PcscReader {
    /// Starts the threads. `tell` hears each event; it must not block.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(options: Options, tell: impl Fn(Event) + Send + 'static) -> std::io::Result<Self> {
        let (orders, inbox) = channel();
        let own = orders.clone();
        let thread = Builder::new().name("pcsc-watch".into()).spawn(move || {
            Watch {
                options,
                tell: Box::new(tell),
                own,
                generation: 0,
                worker: None,
                busy: None,
                absent: false,
                mute: false,
            }
            .run(&inbox);
        })?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Wants something of the reader.
    pub fn command(&self, command: Command) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(Order::Command(command));
        }
    }
}

impl Drop for PcscReader {
    fn drop(&mut self) {
        if let Some(orders) = self.orders.take() {
            let _ = orders.send(Order::End);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts workers, passes commands on, and gives up on a worker whose chip keeps silent.
struct Watch {
    options: Options,
    tell: Box<dyn Fn(Event) + Send>,
    own: Sender<Order>,
    generation: u64,
    worker: Option<Sender<Command>>,
    /// Since when the chip is waited for.
    busy: Option<Instant>,
    /// `Absent` was raised.
    absent: bool,
    /// The chip of the card that is inside keeps silent; its thread is still in it.
    mute: bool,
}

/// From attempt to attempt while the reader is absent.
const RETRY: Duration = Duration::from_secs(1);

impl Watch {
    fn run(mut self, inbox: &Receiver<Order>) {
        let mut again: Option<Instant> = Some(Instant::now());
        loop {
            if again.is_some_and(|at| at <= Instant::now()) {
                again = None;
                self.open();
            }
            let now = Instant::now();
            let until =
                [self.busy.map(|since| since + self.options.patience), again].into_iter().flatten().min();
            let wait = until.map_or(Duration::from_secs(3_600), |until| until.saturating_duration_since(now));
            match inbox.recv_timeout(wait) {
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Order::Command(command)) => self.pass_on(command),
                Ok(Order::Told(generation, told)) if generation == self.generation => match told {
                    Told::Event(event) => {
                        if self.absent && matches!(event, Event::Ready(_)) {
                            self.absent = false;
                            (self.tell)(Event::Fault(ReaderFault::Absent, false));
                        }
                        if std::mem::take(&mut self.mute) && event == Event::Ready(Found::Nothing) {
                            (self.tell)(Event::Taken);
                        }
                        (self.tell)(event);
                    }
                    Told::Idle => self.busy = None,
                    Told::Gone => {
                        self.lost();
                        again = Some(Instant::now() + RETRY);
                    }
                },
                // Of a worker that was given up: its chip has answered at last, or was drawn out. Now there can be a new one.
                Ok(Order::Told(_, Told::Gone)) if self.mute => {
                    again = Some(Instant::now());
                }
                Ok(Order::Told(..)) => {}
                Err(RecvTimeoutError::Timeout) => self.give_up(),
            }
        }
    }

    fn open(&mut self) {
        self.generation += 1;
        let (commands, inbox) = channel();
        let (own, generation, options) = (self.own.clone(), self.generation, self.options.clone());
        let started = Builder::new().name("pcsc-reader".into()).spawn(move || {
            let worker = Worker {
                options,
                tell: own,
                generation,
                card: None,
                accepting: false,
                inside: false,
                leaving: false,
            };
            worker.run(&inbox);
        });
        self.worker = started.is_ok().then_some(commands);
    }

    fn pass_on(&mut self, command: Command) {
        let chip = matches!(command, Command::PowerChip | Command::Transmit(_) | Command::Seal);
        let command_moves = matches!(command, Command::Eject | Command::Retain);
        match &self.worker {
            Some(worker) if worker.send(command).is_ok() => {
                self.busy = chip.then(Instant::now).or(self.busy);
            }
            // One answer for each order, even if nobody is there.
            // Nobody can let the chip go, but the card can be drawn out.
            _ if self.mute && command_moves => (self.tell)(Event::AtGate),
            _ if chip => {
                (self.tell)(Event::ChipFault(if self.mute { ChipFault::Mute } else { ChipFault::Reader }))
            }
            _ => {}
        }
    }

    /// The reader or `pcscd` is not there.
    fn lost(&mut self) {
        self.worker = None;
        if self.busy.take().is_some() {
            (self.tell)(Event::ChipFault(ChipFault::Reader));
        }
        if !self.absent {
            self.absent = true;
            (self.tell)(Event::Fault(ReaderFault::Absent, true));
        }
    }

    /// The chip keeps silent. Its thread cannot be called back; it ends by itself when the card is drawn out.
    fn give_up(&mut self) {
        let Some(since) = self.busy else { return };
        if since.elapsed() < self.options.patience {
            return;
        }
        self.busy = None;
        self.worker = None;
        self.mute = true;
        // Whatever the old one still says is not heard, except that it has ended.
        self.generation += 1;
        (self.tell)(Event::ChipFault(ChipFault::Mute));
    }
}

/// Speaks to `pcscd`.
struct Worker {
    options: Options,
    tell: Sender<Order>,
    generation: u64,
    card: Option<Card>,
    /// A card is let in: told when one is there.
    accepting: bool,
    /// A card was told of, and is there.
    inside: bool,
    /// It was told to be taken.
    leaving: bool,
}

/// A reader that is there.
struct Reader {
    context: Context,
    name: CString,
    state: State,
}

impl Worker {
    fn run(mut self, inbox: &Receiver<Command>) {
        let _ = self.work(inbox);
        // The card is let go before the end is told: the next worker wants it for itself.
        drop(self.card.take());
        let _ = self.tell.send(Order::Told(self.generation, Told::Gone));
    }

    fn event(&self, event: Event) {
        let _ = self.tell.send(Order::Told(self.generation, Told::Event(event)));
    }

    fn work(&mut self, inbox: &Receiver<Command>) -> Result<(), Error> {
        let context = Context::establish(Scope::User)?;
        let name = self.find(&context)?;
        let mut reader = Reader { context, name, state: State::UNAWARE };
        let there = reader.look(Duration::ZERO)?;
        self.inside = there;
        self.event(Event::Ready(if there { Found::Inside } else { Found::Nothing }));
        loop {
            match inbox.try_recv() {
                Ok(command) => self.obey(&reader, command)?,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return Ok(()),
                Err(std::sync::mpsc::TryRecvError::Empty) => {
                    let there = reader.look(self.options.look)?;
                    self.see(there);
                }
            }
        }
    }

    fn find(&self, context: &Context) -> Result<CString, Error> {
        let mut buffer = [0; 2_048];
        let mut names = context.list_readers(&mut buffer)?;
        let fits = |name: &&CStr| {
            self.options.name.as_ref().is_none_or(|wanted| name.to_string_lossy().contains(wanted.as_str()))
        };
        names.find(fits).map(CStr::to_owned).ok_or(Error::UnknownReader)
    }

    fn see(&mut self, there: bool) {
        match (there, self.inside) {
            (true, false) if self.accepting => {
                (self.inside, self.accepting) = (true, false);
                self.event(Event::Inserted);
            }
            (false, true) => {
                (self.inside, self.leaving) = (false, false);
                self.card = None;
                self.event(Event::Taken);
            }
            _ => {}
        }
    }

    fn obey(&mut self, reader: &Reader, command: Command) -> Result<(), Error> {
        match command {
            Command::Accept => self.accepting = true,
            Command::Refuse => self.accepting = false,
            Command::PowerChip => {
                let event = match self.power(reader) {
                    Ok(transport) => Event::ChipReady(transport),
                    Err(error) => Event::ChipFault(fault(error)?),
                };
                self.event(event);
                let _ = self.tell.send(Order::Told(self.generation, Told::Idle));
            }
            Command::Transmit(bytes) => {
                let event = match self.transmit(&bytes) {
                    Ok(answer) => Event::Answer(answer),
                    Err(error) => Event::ChipFault(fault(error)?),
                };
                self.event(event);
                let _ = self.tell.send(Order::Told(self.generation, Told::Idle));
            }
            // Nothing is hidden here, and nothing enciphered.
            Command::Seal => {
                self.event(Event::ChipFault(ChipFault::Reader));
                let _ = self.tell.send(Order::Told(self.generation, Told::Idle));
            }
            // Nothing moves here: the chip loses its power, and the citizen draws the card out.
            Command::Eject | Command::Retain => {
                if let Some(card) = self.card.take() {
                    let _ = card.disconnect(Disposition::UnpowerCard);
                }
                if self.inside && !self.leaving {
                    self.leaving = true;
                    self.event(Event::AtGate);
                }
            }
            Command::Restart => return Err(Error::InternalError),
        }
        Ok(())
    }

    fn power(&mut self, reader: &Reader) -> Result<ChipTransport, Error> {
        drop(self.card.take());
        let protocols = Protocols::T0 | Protocols::T1;
        let card = reader.context.connect(&reader.name, ShareMode::Exclusive, protocols)?;
        let status = card.status2_owned()?;
        let transport = match status.protocol2() {
            Some(Protocol::T0) => ChipTransport::T0,
            Some(Protocol::T1) => ChipTransport::T1,
            _ => return Err(Error::ProtoMismatch),
        };
        self.card = Some(card);
        Ok(transport)
    }

    fn transmit(&self, bytes: &[u8]) -> Result<ChipAnswer, Error> {
        let Some(card) = &self.card else { return Err(Error::RemovedCard) };
        let mut buffer = Zeroizing::new([0; MAX_BUFFER_SIZE]);
        let answer = card.transmit(bytes, buffer.as_mut_slice())?;
        // A card that is drawn out while it works gives an answer of no bytes, and no error.
        if answer.len() < 2 {
            Err(Error::RemovedCard)
        } else {
            Ok(ChipAnswer(Zeroizing::new(answer.to_vec())))
        }
    }
}

impl Reader {
    /// Whether a card is there, at the latest after so long.
    fn look(&mut self, wait: Duration) -> Result<bool, Error> {
        let mut states = [ReaderState::new(self.name.clone(), self.state)];
        match self.context.get_status_change(wait, &mut states) {
            Ok(()) | Err(Error::Timeout) => {}
            Err(error) => return Err(error),
        }
        let state = states[0].event_state();
        if state.intersects(State::UNKNOWN | State::UNAVAILABLE) {
            return Err(Error::ReaderUnavailable);
        }
        self.state = state & !State::CHANGED;
        Ok(state.contains(State::PRESENT))
    }
}

/// What an error says of the chip; those that say that the reader is gone are given back.
fn fault(error: Error) -> Result<ChipFault, Error> {
    match error {
        Error::RemovedCard | Error::NoSmartcard | Error::ResetCard => Ok(ChipFault::Removed),
        Error::UnresponsiveCard | Error::UnpoweredCard | Error::UnsupportedCard | Error::ProtoMismatch => {
            Ok(ChipFault::Mute)
        }
        Error::NoService | Error::ServiceStopped | Error::ReaderUnavailable | Error::UnknownReader => {
            Err(error)
        }
        _ => Ok(ChipFault::Reader),
    }
}
