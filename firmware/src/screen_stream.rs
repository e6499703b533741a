//! The kiosk's side of the bench: its screen as a stream, touches and switches from there, lamps and steps to there.
//!
//! Only in the demo build: with this a socket can touch the screen. The image has no such thing, and a build without the feature
//! `demo` does not know the option. When the bench ends, the kiosk ends too, so that none is left behind.

use crate::{
    config::{Backend, Config},
    pins::Pins,
    run::{
        Parts,
        screen::{Glass, Intents},
    },
};
use anyhow::{Context, anyhow};
use embedded_hal::digital::{ErrorType, OutputPin, PinState};
use std::{
    convert::Infallible,
    io::BufReader,
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};
use tolem_core::{
    kiosk::{Lamp, Pin},
    view::ViewModel,
};
use tolem_hal_sim::{
    bench::stream::{Element, Lamps, Phase, Scene, ToBench, ToKiosk, Touch, TraceStep},
    lamps::SimulatedPins,
};
use tolem_protocol::catalogue::Language;
use tolem_ui::Screen;

/// View models and touches on their way to the main thread.
const WAKES: usize = 64;
/// A screen without news shows at least this often that it is alive.
const BEAT: Duration = Duration::from_secs(1);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What wakes the main thread.
enum Wake {
    View(Box<ViewModel>),
    Touch(Touch),
    /// The kiosk has stopped, or the bench is gone.
    End,
}

/// The newest picture that was not sent yet. What is overtaken is never encoded.
#[derive(Default)]
struct Easel {
    picture: Mutex<Option<(Scene, Option<Vec<u8>>)>>,
    changed: Condvar,
}

impl Easel {
    fn put(&self, scene: Scene, pixels: Option<Vec<u8>>) {
        let mut picture = locked(&self.picture);
        // Pixels of an overtaken picture still count if the new one has the same.
        let pixels = pixels.or_else(|| picture.take().and_then(|(_, pixels)| pixels));
        *picture = Some((scene, pixels));
        self.changed.notify_one();
    }

    fn take(&self) -> (Scene, Option<Vec<u8>>) {
        let mut picture = locked(&self.picture);
        loop {
            if let Some(taken) = picture.take() {
                return taken;
            }
            picture = self.changed.wait(picture).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Sends to the bench from several threads.
#[derive(Clone)]
struct Out(Arc<Mutex<UnixStream>>);

impl Out {
    /// A bench that is gone is noticed by the reading thread, which ends the program.
    fn send(&self, message: &ToBench) {
        let _ = message.write(&mut *locked(&self.0));
    }
}

/// A lamp that the bench shows.
struct StreamedLamp {
    lamp: Lamp,
    lamps: Arc<Mutex<Lamps>>,
    out: Out,
}

impl ErrorType for StreamedLamp {
    type Error = Infallible;
}

impl StreamedLamp {
    fn set(&self, lit: bool) {
        let now = {
            let mut lamps = locked(&self.lamps);
            match self.lamp {
                Lamp::NoteSlot => lamps.note_slot = lit,
                Lamp::ReceiptSlot => lamps.receipt_slot = lit,
                Lamp::CardSlot => lamps.card_slot = lit,
                Lamp::Buzzer => lamps.buzzer = lit,
            }
            *lamps
        };
        self.out.send(&ToBench::Lamps(now));
    }
}

impl OutputPin for StreamedLamp {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set(true);
        Ok(())
    }
}

/// Connects to the bench at `socket` and gives the parts that make this kiosk one of the bench. A screen that is configured to be
/// seen stays where it is; lamps, switches and steps go over the stream in any case.
///
/// # Errors
/// If no bench listens there.
pub fn parts(socket: &Path, config: &Config) -> anyhow::Result<Parts> {
    let streamed = config.screen.backend == Backend::Headless;
    let stream = UnixStream::connect(socket)
        .with_context(|| format!("--bench {}: no bench listens there", socket.display()))?;
    let reader = stream.try_clone().context("--bench: cannot read from the bench")?;
    let out = Out(Arc::new(Mutex::new(stream)));
    let (wakes, wake_end) = sync_channel(WAKES);

    let pins = SimulatedPins::default();
    let lamps = Arc::new(Mutex::new(Lamps::default()));
    let lamp = |lamp| StreamedLamp { lamp, lamps: lamps.clone(), out: out.clone() };
    // A closed switch reads high, so that a cut wire reads as open.
    let cabinet = Pins::new()
        .with_lamp(Lamp::NoteSlot, lamp(Lamp::NoteSlot))
        .with_lamp(Lamp::ReceiptSlot, lamp(Lamp::ReceiptSlot))
        .with_lamp(Lamp::CardSlot, lamp(Lamp::CardSlot))
        .with_lamp(Lamp::Buzzer, lamp(Lamp::Buzzer))
        .with_switch(Pin::Door, pins.door.clone(), PinState::Low)
        .with_switch(Pin::Safe, pins.safe.clone(), PinState::Low);
    listen(reader, pins, wakes.clone(), streamed)?;

    let steps = out.clone();
    let screen: crate::run::screen::ScreenLoop = Box::new(move |glass| {
        let Glass { format, views, intents, heart } = glass;
        crate::run::spawn("views", move || {
            for view in views {
                if wakes.send(Wake::View(Box::new(view))).is_err() {
                    return;
                }
            }
            // The main thread may be gone already.
            let _ = wakes.send(Wake::End);
        })?;
        let easel = Arc::new(Easel::default());
        let pictures = easel.clone();
        crate::run::spawn("pictures", move || {
            loop {
                let (scene, pixels) = pictures.take();
                let png = pixels.map(|pixels| png(scene.width, scene.height, &pixels)).unwrap_or_default();
                out.send(&ToBench::Picture { scene, png });
            }
        })?;
        let screen = Screen::headless(format.into()).map_err(|error| anyhow!("[screen]: {error}"))?;
        let mut canvas = Canvas::new(screen, intents, easel);
        canvas.show_all(&wake_end, &|| heart.beat());
        Ok(())
    });
    Ok(Parts {
        screen: streamed.then_some(screen),
        cabinet: Some(Box::new(cabinet)),
        trace: Some(Box::new(move |step, text| {
            steps.send(&ToBench::Trace(TraceStep { step, text: text.to_owned() }));
        })),
    })
}

/// Takes touches and switches from the bench until it ends.
fn listen(
    reader: UnixStream,
    pins: SimulatedPins,
    wakes: SyncSender<Wake>,
    streamed: bool,
) -> anyhow::Result<()> {
    crate::run::spawn("bench", move || {
        let mut reader = BufReader::new(reader);
        loop {
            match ToKiosk::read(&mut reader) {
                Ok(Some(ToKiosk::Switches(switches))) => {
                    pins.set_door_open(switches.door_open);
                    pins.set_safe_open(switches.safe_open);
                }
                Ok(Some(ToKiosk::Touch(touch))) => {
                    if streamed && wakes.send(Wake::Touch(touch)).is_err() {
                        return;
                    }
                }
                Ok(None) => break crate::run::log("the bench has ended, so this kiosk ends too"),
                Err(error) => break crate::run::log(&format!("the bench stream failed: {error}")),
            }
        }
        if streamed {
            // The main thread may be gone already.
            let _ = wakes.send(Wake::End);
        } else if let Err(error) =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)
        {
            crate::run::log(&format!("cannot stop: {error}"));
        }
    })?;
    Ok(())
}

/// The screen and what of it is known to the bench.
struct Canvas {
    screen: Screen,
    easel: Arc<Easel>,
    shown: ViewModel,
    sent: Option<Scene>,
}

impl Canvas {
    fn new(screen: Screen, intents: Intents, easel: Arc<Easel>) -> Self {
        screen.on_intent(move |intent| {
            intents.send(intent);
        });
        Self { screen, easel, shown: ViewModel::default(), sent: None }
    }

    fn show_all(&mut self, wakes: &Receiver<Wake>, beat: &dyn Fn()) {
        loop {
            beat();
            let wait = self.screen.next_timer().map_or(BEAT, |timer| timer.min(BEAT));
            let mut wake = match wakes.recv_timeout(wait) {
                Ok(wake) => Some(wake),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // Of several view models only the newest is drawn, but a touch meets the screen that the finger saw.
            while let Some(next) = wake {
                match next {
                    Wake::View(view) => {
                        self.screen.show(&view);
                        self.shown = *view;
                    }
                    Wake::Touch(touch) => self.touch(touch),
                    Wake::End => return,
                }
                wake = wakes.try_recv().ok();
            }
            self.draw();
        }
    }

    fn touch(&mut self, touch: Touch) {
        use tolem_ui::Touch as Finger;
        let Touch { phase, x, y } = touch;
        match phase {
            Phase::Pressed => self.screen.touch(Finger::Pressed, x, y),
            Phase::Moved => self.screen.touch(Finger::Moved, x, y),
            Phase::Released => self.screen.touch(Finger::Released, x, y),
            Phase::Tap => {
                self.screen.touch(Finger::Pressed, x, y);
                self.draw();
                self.screen.touch(Finger::Released, x, y);
            }
        }
    }

    fn draw(&mut self) {
        // Before the first view model there is nothing to see.
        if self.shown.screen.is_empty() {
            return;
        }
        let changed = self.screen.render();
        let scene = self.scene();
        if changed || self.sent.as_ref() != Some(&scene) {
            self.sent = Some(scene.clone());
            self.easel.put(scene, changed.then(|| self.screen.pixels().to_vec()));
        }
    }

    fn scene(&self) -> Scene {
        let (width, height) = self.screen.size();
        let language = match self.shown.language {
            Language::Kazakh => "kk",
            Language::Russian => "ru",
            Language::English => "en",
        };
        let elements = self.screen.elements().into_iter().filter(|element| !element.inside);
        let elements = elements
            .map(|element| Element {
                role: element.role.name().to_owned(),
                label: element.label,
                value: element.value,
                x: element.x,
                y: element.y,
                w: element.width,
                h: element.height,
                enabled: element.enabled,
                selected: element.selected,
            })
            .collect();
        Scene { screen: self.shown.screen.to_owned(), language: language.to_owned(), width, height, elements }
    }
}

/// Three bytes per pixel as PNG, fast rather than small.
fn png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 18);
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels));
    if written.is_err() {
        out.clear();
    }
    out
}
