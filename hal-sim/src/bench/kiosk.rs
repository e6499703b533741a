//! One kiosk on the bench: its devices, cables, network, screen and plug.

use super::{
    cassette,
    papers::{Papers, Piece},
    plug::{Moment, Power, PowerState, Trap},
    screen::ScreenFeed,
    tell::locked,
    wire::{Decoding, WireLog},
};
use crate::{
    card_reader_device::SecureUnit,
    ccnet_device::{CcnetConfig, Contents},
    escpos_device::EscposConfig,
    link_proxy::{LinkMode, LinkProxy},
    pin_pad_device::{KeyStore, PinPadKeys},
    served::{
        AcceptorState, Cable, CardReaderState, DeviceHandle, PinPadState, PrinterState, Purse, ServeOptions,
        serve_acceptor, serve_card_reader, serve_pin_pad, serve_printer,
    },
};
use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock,
        mpsc::{Sender, channel},
    },
    time::Duration,
};
use tolem_protocol::{
    ccnet::{Command, Decoded, Decoder},
    wire::Direction,
};

/// How often it is looked whether the cassette holds something else.
const REMEMBER_EVERY: Duration = Duration::from_millis(500);
/// So long a piece of paper is printed before a plug that waits for it is pulled: about a third of a receipt.
const PRINTED_FOR: Duration = Duration::from_millis(500);

/// What one kiosk on the bench is made of.
pub struct KioskOptions {
    /// Its place on the bench, from 0.
    pub index: usize,
    /// Its number in the fleet.
    pub number: u32,
    /// The bill acceptor.
    pub acceptor: CcnetConfig,
    /// The printer.
    pub printer: EscposConfig,
    /// Directory for the links to the serial lines: `acceptor`, `printer`, `cards` and `pinpad`.
    pub lines: PathBuf,
    /// Socket of the screen.
    pub socket: PathBuf,
    /// The center.
    pub center: SocketAddr,
    /// File that remembers what lies in the cassette; `None` = a new world each time.
    pub cassette: Option<PathBuf>,
    /// Card reader and PIN pad are one secure unit that hides card numbers.
    pub sred: bool,
}

/// One kiosk on the bench.
pub struct Kiosk {
    /// Its place on the bench, from 0.
    pub index: usize,
    /// Its number in the fleet.
    pub number: u32,
    /// The bill acceptor.
    pub acceptor: DeviceHandle,
    /// The printer.
    pub printer: DeviceHandle,
    /// The card reader.
    pub card_reader: DeviceHandle,
    /// The PIN pad.
    pub pin_pad: DeviceHandle,
    /// The network to the center.
    pub link: LinkProxy,
    /// The screen.
    pub screen: ScreenFeed,
    trap: Arc<Trap>,
    power: Arc<OnceLock<Arc<dyn Power>>>,
    papers: Mutex<Papers>,
    wire: Arc<WireLog>,
    memory: Option<PathBuf>,
    pad_memory: Option<PathBuf>,
    remembered: Mutex<Contents>,
}

impl Drop for Kiosk {
    fn drop(&mut self) {
        self.remember();
    }
}

impl Kiosk {
    /// Switches the devices on, connects their cables, starts the network and waits for a screen. The kiosk process is started
    /// by [`Kiosk::switch_on`], after [`Kiosk::plug_in`].
    pub fn set_up(options: KioskOptions, wire: &Arc<WireLog>) -> io::Result<Arc<Self>> {
        let KioskOptions {
            index,
            number,
            mut acceptor,
            printer,
            lines,
            socket,
            center,
            cassette: memory,
            sred,
        } = options;
        let unit = sred.then(SecureUnit::default);
        if let Some(path) = &memory {
            acceptor.contents = cassette::load(path)?;
        }
        let remembered = Mutex::new(acceptor.contents.clone());
        let trap = Arc::new(Trap::default());
        let power: Arc<OnceLock<Arc<dyn Power>>> = Arc::default();
        // The devices' threads must not wait for themselves: what pulls the plug is a thread of its own.
        let (pull, pulled) = channel::<Moment>();
        let spring = spring(&trap, &power, pull);

        let acceptor =
            serve_acceptor(acceptor, acceptor_options(index, lines.join("acceptor"), wire, &spring))?;
        let printer =
            serve_printer(printer, None, printer_options(index, lines.join("printer"), wire, &spring))?;
        let card_reader = serve_card_reader(
            index as u64,
            unit.clone(),
            Purse::shared(),
            quiet_options(index, lines.join("cards"), wire, "card reader"),
        )?;
        let mut keys = KeyStore::delivered(&PinPadKeys::test());
        let pad_memory = memory.as_ref().map(|_| lines.join("pinpad.txt"));
        // A pad never uses a key twice, and a kiosk would notice; so its counter outlives the bench.
        let used = pad_memory.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        keys.set_counter(used.and_then(|text| text.trim().parse().ok()).unwrap_or(0));
        let pin_pad = serve_pin_pad(
            keys,
            index as u64,
            unit,
            quiet_options(index, lines.join("pinpad"), wire, "PIN pad"),
        )?;
        let link = LinkProxy::start(0, center)?;
        let log = Arc::clone(wire);
        let screen =
            ScreenFeed::listen(&socket, Box::new(move |step| log.step(index, step.step, step.text)))?;

        let papers = Mutex::default();
        let wire = Arc::clone(wire);
        let kiosk = Arc::new(Self {
            index,
            number,
            acceptor,
            printer,
            card_reader,
            pin_pad,
            link,
            screen,
            trap,
            power,
            papers,
            wire,
            memory,
            pad_memory,
            remembered,
        });
        // The thread ends when the devices go: they own the other end of the channel.
        let weak = Arc::downgrade(&kiosk);
        std::thread::Builder::new().name("plug".into()).spawn(move || {
            for moment in pulled {
                if moment == Moment::Printing {
                    std::thread::sleep(PRINTED_FOR);
                }
                let Some(kiosk) = weak.upgrade() else { return };
                kiosk.pull_plug();
                kiosk.tell(format!("the armed plug was pulled: {}", moment.name()));
            }
        })?;
        let weak = Arc::downgrade(&kiosk);
        std::thread::Builder::new().name("cassette".into()).spawn(move || {
            while let Some(kiosk) = weak.upgrade() {
                kiosk.remember();
                drop(kiosk);
                std::thread::sleep(REMEMBER_EVERY);
            }
        })?;
        Ok(kiosk)
    }

    /// Writes down what lies in the cassette, if that has changed.
    fn remember(&self) {
        self.remember_pad();
        let (Some(path), Some(state)) = (&self.memory, self.acceptor.acceptor()) else { return };
        let mut remembered = locked(&self.remembered);
        if *remembered != state.contents {
            match cassette::save(path, &state.contents) {
                Ok(()) => *remembered = state.contents,
                Err(error) => self.tell(format!("cannot write {}: {error}", path.display())),
            }
        }
    }

    /// Writes down which key the PIN pad used last.
    fn remember_pad(&self) {
        let (Some(path), Some(state)) = (&self.pad_memory, self.pin_pad.pin_pad()) else { return };
        let Some(serial) = state.serial else { return };
        let counter = u32::from_str_radix(serial.get(14..).unwrap_or_default(), 16).unwrap_or(0) & 0x1F_FFFF;
        let text = format!("{counter}\n");
        if std::fs::read_to_string(path).ok().as_deref() != Some(&text)
            && let Err(error) = std::fs::write(path, text)
        {
            self.tell(format!("cannot write {}: {error}", path.display()));
        }
    }

    /// Gives it the process that its plug switches. Only the first call counts.
    pub fn plug_in(&self, power: Arc<dyn Power>) {
        // A second plug would be a mistake of the demo, and harmless.
        let _ = self.power.set(power);
    }

    /// Power for devices and process.
    pub fn switch_on(&self) -> Result<(), String> {
        let power = self.power.get().ok_or("this kiosk has no process on this bench")?;
        for device in [&self.acceptor, &self.printer, &self.card_reader, &self.pin_pad] {
            device.command("power on")?;
        }
        power.switch_on()?;
        self.wire.event(self.index, "power on".into());
        Ok(())
    }

    /// Pulls the plug: the process is killed without a word, the devices stop where they are.
    pub fn pull_plug(&self) {
        self.crash();
        for device in [&self.acceptor, &self.printer, &self.card_reader, &self.pin_pad] {
            // A device whose thread is gone has no power either.
            let _ = device.command("power off");
        }
        self.wire.event(self.index, "the plug was pulled".into());
    }

    /// Kills the process alone; the devices keep their power.
    pub fn crash(&self) {
        self.trap.arm(None);
        if let Some(power) = self.power.get() {
            power.kill();
        }
    }

    /// Pulls the plug by itself at `moment`; `None` disarms.
    pub fn arm(&self, moment: Option<Moment>) {
        self.trap.arm(moment);
        let text = moment
            .map_or("the plug is not armed".into(), |moment| format!("the plug is armed: {}", moment.name()));
        self.wire.event(self.index, text);
    }

    /// What the plug waits for.
    pub fn armed(&self) -> Option<Moment> {
        self.trap.armed()
    }

    /// Whether the process runs.
    pub fn power(&self) -> PowerState {
        self.power.get().map(|power| power.state()).unwrap_or_default()
    }

    /// Changes the network.
    pub fn set_link(&self, mode: LinkMode) {
        self.link.set_mode(mode);
        self.wire.event(self.index, format!("link {}", link_words(mode)));
    }

    /// The acceptor and all notes; `None` if its thread has died.
    pub fn acceptor_state(&self) -> Option<AcceptorState> {
        self.acceptor.acceptor()
    }

    /// The printer; `None` if its thread has died. Its papers are taken over into [`Kiosk::pieces`].
    pub fn printer_state(&self) -> Option<PrinterState> {
        let state = self.printer.printer()?;
        locked(&self.papers).update(&state.papers, state.pieces);
        Some(state)
    }

    /// The card reader; `None` if its thread has died.
    pub fn card_reader_state(&self) -> Option<CardReaderState> {
        self.card_reader.card_reader()
    }

    /// The PIN pad; `None` if its thread has died.
    pub fn pin_pad_state(&self) -> Option<PinPadState> {
        self.pin_pad.pin_pad()
    }

    /// All pieces of paper, newest first.
    pub fn pieces(&self) -> Vec<Piece> {
        locked(&self.papers).newest_first().cloned().collect()
    }

    /// One piece of paper.
    pub fn piece(&self, number: u64) -> Option<Piece> {
        self.printer_state()?;
        locked(&self.papers).get(number).cloned()
    }

    /// A line for the log of this kiosk.
    pub fn tell(&self, text: String) {
        self.wire.event(self.index, text);
    }
}

/// How a link mode is said in the API.
pub(super) fn link_words(mode: LinkMode) -> String {
    match mode {
        LinkMode::Up => "up".into(),
        LinkMode::Down => "down".into(),
        LinkMode::Slow(ms) => format!("slow {ms}"),
        LinkMode::AnswersLost => "answers-lost".into(),
    }
}

type Spring = Arc<dyn Fn(Moment) + Send + Sync>;

/// Kills the process at once when the armed moment comes, and has the devices switched off right after.
fn spring(trap: &Arc<Trap>, power: &Arc<OnceLock<Arc<dyn Power>>>, pull: Sender<Moment>) -> Spring {
    let (trap, power) = (Arc::clone(trap), Arc::clone(power));
    Arc::new(move |moment| {
        if trap.springs(moment) {
            if moment != Moment::Printing
                && let Some(power) = power.get()
            {
                power.kill();
            }
            // Nobody is there when the bench is ending.
            let _ = pull.send(moment);
        }
    })
}

fn acceptor_options(index: usize, link: PathBuf, wire: &Arc<WireLog>, spring: &Spring) -> ServeOptions {
    let decoding = Mutex::new((Decoding::ccnet(index), Decoder::new()));
    let (log, at_order) = (Arc::clone(wire), Arc::clone(spring));
    let heard = move |direction, bytes: &[u8]| {
        let mut decoding = locked(&decoding);
        decoding.0.heard(&log, direction, bytes);
        let mut input = bytes;
        while direction == Direction::FromHost
            && let Some(found) = decoding.1.next(&mut input)
        {
            if let Decoded::Frame(frame) = found
                && matches!(Command::parse(&frame.payload), Ok(Command::Stack))
            {
                at_order(Moment::Ordered);
            }
        }
    };
    let (log, at_event) = (Arc::clone(wire), Arc::clone(spring));
    let happened = move |event: &str| {
        if let Some(moment) = Moment::of_event(event) {
            at_event(moment);
        }
        log.event(index, format!("acceptor: {event}"));
    };
    ServeOptions {
        cable: Cable::Pty { link: Some(link) },
        powered: true,
        wire: Some(Arc::new(heard)),
        events: Some(Arc::new(happened)),
    }
}

/// What passes on these lines is nobody's business: a card's number, an enciphered PIN. What happens in the device is told.
fn quiet_options(index: usize, link: PathBuf, wire: &Arc<WireLog>, name: &'static str) -> ServeOptions {
    let log = Arc::clone(wire);
    ServeOptions {
        cable: Cable::Pty { link: Some(link) },
        powered: true,
        wire: None,
        events: Some(Arc::new(move |event: &str| log.event(index, format!("{name}: {event}")))),
    }
}

fn printer_options(index: usize, link: PathBuf, wire: &Arc<WireLog>, spring: &Spring) -> ServeOptions {
    let decoding = Mutex::new(Decoding::escpos(index));
    let (log, at_dots) = (Arc::clone(wire), Arc::clone(spring));
    let heard = move |direction, bytes: &[u8]| {
        if locked(&decoding).heard(&log, direction, bytes) {
            at_dots(Moment::Printing);
        }
    };
    let log = Arc::clone(wire);
    ServeOptions {
        cable: Cable::Pty { link: Some(link) },
        powered: true,
        wire: Some(Arc::new(heard)),
        events: Some(Arc::new(move |event: &str| log.event(index, format!("printer: {event}")))),
    }
}
