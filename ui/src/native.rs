//! The screen on a real display: a window for developers, the bare display (KMS) in the kiosk.
//!
//! The main thread belongs to the event loop. View models come through a channel from the thread that owns the kiosk; only the
//! newest is drawn.

use crate::present::Presenter;
use crate::{Error, Format};
use slint::ComponentHandle;
use std::sync::mpsc::{Receiver, channel};
use tolem_core::view::{Intent, ViewModel};
use tolem_glass::{KioskWindow, Theme};

/// Where to draw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    /// A native window (X11).
    #[cfg(feature = "window")]
    Window,
    /// The display itself, by the kernel's mode setting; touches come by libinput.
    #[cfg(feature = "kms")]
    Kms,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "window")]
            Self::Window => "winit",
            #[cfg(feature = "kms")]
            Self::Kms => "linuxkms",
        }
    }
}

/// Runs the screen on this thread, which must be the main one, until `views` is closed or the window is.
///
/// `on_intent` is called on this thread and must not wait.
pub fn run(
    backend: Backend,
    format: Format,
    views: Receiver<ViewModel>,
    on_intent: Box<dyn Fn(Intent) + Send>,
) -> Result<(), Error> {
    slint::BackendSelector::new()
        .backend_name(backend.name().into())
        .renderer_name("software".into())
        .select()?;
    let presenter = Presenter::new(KioskWindow::new()?);
    let window = presenter.window();
    let theme = window.global::<Theme>();
    theme.set_landscape(format == Format::Landscape);
    theme.set_motion(true);
    let (width, height) = format.size();
    window.window().set_size(slint::PhysicalSize::new(width, height));
    presenter.on_intent(on_intent);

    // The forwarding thread cannot touch the window: it leaves the view model in a second channel and wakes the event loop,
    // which draws the newest one.
    let (forward, newest) = channel::<ViewModel>();
    let weak = std::rc::Rc::downgrade(&presenter);
    window.on_wake(move || {
        if let (Some(presenter), Some(view)) = (weak.upgrade(), newest.try_iter().last()) {
            presenter.show(&view);
        }
    });
    let loop_handle = window.as_weak();
    window.show()?;
    let forwarder = std::thread::Builder::new().name("views".into()).spawn(move || {
        for view in views {
            let sent = forward.send(view).is_ok();
            let woken = loop_handle.upgrade_in_event_loop(|window| window.invoke_wake()).is_ok();
            if !sent || !woken {
                return;
            }
        }
        // Nobody will ever send again: the screen ends with the kiosk. An error means that it has ended already.
        let _ = slint::quit_event_loop();
    });
    if let Err(error) = forwarder {
        return Err(Error::Platform(slint::PlatformError::Other(format!(
            "no thread for the screen: {error}"
        ))));
    }
    slint::run_event_loop()?;
    window.hide()?;
    Ok(())
}
