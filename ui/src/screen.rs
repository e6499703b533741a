//! A screen without a window system: touches in, pixels out.
//!
//! The owner drives it from one thread (the main thread: Slint binds its state to the thread). Nothing here waits; the owner asks
//! [`Screen::next_timer`] how long it may sleep.

use crate::present::Presenter;
use crate::{Error, Format};
use slint::platform::software_renderer::{MinimalSoftwareWindow, RepaintBufferType};
use slint::platform::{Platform, PointerEventButton, WindowAdapter, WindowEvent};
use slint::{ComponentHandle, LogicalPosition, PhysicalSize, Rgb8Pixel, SharedPixelBuffer};
use std::rc::Rc;
use std::time::Duration;
use tolem_core::view::{Intent, ViewModel};
use tolem_glass::{KioskWindow, Theme};

/// What a finger does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Touch {
    /// Comes down.
    Pressed,
    /// Moves while down.
    Moved,
    /// Goes up.
    Released,
}

/// While something moves, the next frame is wanted after this time.
const FRAME: Duration = Duration::from_millis(16);

/// The screen of a kiosk, drawn into memory.
pub struct Screen {
    pub(crate) presenter: Rc<Presenter>,
    window: Rc<MinimalSoftwareWindow>,
    pixels: SharedPixelBuffer<Rgb8Pixel>,
}

struct Headless(Rc<MinimalSoftwareWindow>);

impl Platform for Headless {
    fn create_window_adapter(&self) -> Result<Rc<dyn WindowAdapter>, slint::PlatformError> {
        Ok(Rc::<MinimalSoftwareWindow>::clone(&self.0))
    }
}

impl Screen {
    /// Opens the one screen of this process; [`Error::SecondScreen`] if there is one already.
    pub fn headless(format: Format) -> Result<Self, Error> {
        let window = MinimalSoftwareWindow::new(RepaintBufferType::ReusedBuffer);
        slint::platform::set_platform(Box::new(Headless(Rc::clone(&window))))
            .map_err(|_| Error::SecondScreen)?;
        let presenter = Presenter::new(KioskWindow::new()?);
        presenter.window().show()?;
        let mut screen = Self { presenter, window, pixels: SharedPixelBuffer::new(0, 0) };
        screen.set_format(format);
        Ok(screen)
    }

    /// Changes the shape; the next [`Screen::render`] draws everything.
    pub fn set_format(&mut self, format: Format) {
        let (width, height) = format.size();
        if self.size() == (width, height) {
            // The renderer draws everything only into a buffer of another size: the one that is there stays.
            return;
        }
        self.presenter.window().global::<Theme>().set_landscape(format == Format::Landscape);
        self.pixels = SharedPixelBuffer::new(width, height);
        self.window.set_size(PhysicalSize::new(width, height));
        self.window.request_redraw();
    }

    /// Calls `handler` for each intent, on this thread, from inside [`Screen::touch`].
    pub fn on_intent(&self, handler: impl Fn(Intent) + 'static) {
        self.presenter.on_intent(handler);
    }

    /// Shows `view`; costs next to nothing when it equals the one on the screen.
    pub fn show(&self, view: &ViewModel) {
        self.presenter.show(view);
    }

    /// A finger at `x`, `y` in pixels from the upper left corner.
    pub fn touch(&self, touch: Touch, x: f32, y: f32) {
        let position = LogicalPosition::new(x, y);
        let button = PointerEventButton::Left;
        slint::platform::update_timers_and_animations();
        match touch {
            Touch::Pressed => self.window.dispatch_event(WindowEvent::PointerPressed { position, button }),
            Touch::Moved => self.window.dispatch_event(WindowEvent::PointerMoved { position }),
            Touch::Released => {
                self.window.dispatch_event(WindowEvent::PointerReleased { position, button });
                // A finger that is gone points at nothing.
                self.window.dispatch_event(WindowEvent::PointerExited);
            }
        }
    }

    /// Draws what changed into [`Screen::pixels`]; false if nothing did.
    pub fn render(&mut self) -> bool {
        slint::platform::update_timers_and_animations();
        let stride = self.pixels.width() as usize;
        let pixels = self.pixels.make_mut_slice();
        let mut changed = false;
        self.window.draw_if_needed(|renderer| {
            let size = renderer.render(pixels, stride).bounding_box_size();
            changed = size.width > 0 && size.height > 0;
        });
        changed
    }

    /// The picture: rows from the top, three bytes (red, green, blue) per pixel.
    pub fn pixels(&self) -> &[u8] {
        self.pixels.as_bytes()
    }

    /// Width and height of the picture.
    pub fn size(&self) -> (u32, u32) {
        (self.pixels.width(), self.pixels.height())
    }

    /// [`Screen::render`], and if anything changed a copy of [`Screen::pixels`] in `out`.
    pub fn render_if_needed(&mut self, out: &mut Vec<u8>) -> bool {
        let changed = self.render();
        if changed {
            out.clear();
            out.extend_from_slice(self.pixels());
        }
        changed
    }

    /// How long the owner may sleep before it renders again; `None` = until something happens.
    pub fn next_timer(&self) -> Option<Duration> {
        if self.window.has_active_animations() {
            return Some(FRAME);
        }
        slint::platform::duration_until_next_timer_update()
    }

    /// Lets bars grow in 180 ms instead of at once. Off at first: pictures are then exact at any moment.
    pub fn set_motion(&self, motion: bool) {
        self.presenter.window().global::<Theme>().set_motion(motion);
    }
}
