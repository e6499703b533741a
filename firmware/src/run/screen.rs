//! The screen's side of the main thread: which backend, and what a screen is given.

use super::{Heart, Inputs};
use crate::config::{Backend, Format};
use anyhow::anyhow;
use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, TrySendError},
    time::Duration,
};
use tolem_core::{
    kiosk::Event,
    view::{Intent, ViewModel},
};

/// A screen without a picture shows at least this often that it is alive.
const BEAT: Duration = Duration::from_secs(1);

/// Runs a screen on the main thread until the view models end or the window is closed.
pub type ScreenLoop = Box<dyn FnOnce(Glass) -> anyhow::Result<()>>;

/// What a screen is given.
pub struct Glass {
    /// Its shape.
    pub format: Format,
    /// What to show; closed when the terminal stops. Only the newest one matters.
    pub views: Receiver<ViewModel>,
    /// Where touches go.
    pub intents: Intents,
    /// Beats while the screen is alive; a screen that never beats is not watched.
    pub heart: Heart,
}

/// Takes the citizen's intents. Never waits: a touch for which there is no room is lost, and the citizen touches again.
#[derive(Clone)]
pub struct Intents(pub(super) Inputs);

impl Intents {
    /// Passes a touch on; false when the terminal has stopped.
    pub fn send(&self, intent: Intent) -> bool {
        let touch = self.0.stamped(Event::Touch(intent));
        !matches!(self.0.try_send(touch), Err(TrySendError::Disconnected(_)))
    }
}

/// Runs the configured backend.
pub(super) fn run(backend: Backend, glass: Glass) -> anyhow::Result<()> {
    match backend {
        Backend::Headless => {
            headless(glass);
            Ok(())
        }
        #[cfg(feature = "kms")]
        Backend::Kms => native(tolem_ui::Backend::Kms, glass),
        #[cfg(feature = "window")]
        Backend::Window => native(tolem_ui::Backend::Window, glass),
        #[cfg(not(feature = "kms"))]
        Backend::Kms => {
            Err(anyhow!("[screen] backend = \"kms\": this build has none; build with --features kms"))
        }
        #[cfg(not(feature = "window"))]
        Backend::Window => {
            Err(anyhow!("[screen] backend = \"window\": this build has none; build with --features window"))
        }
    }
}

/// Nobody looks: view models are taken and forgotten.
fn headless(glass: Glass) {
    while !matches!(glass.views.recv_timeout(BEAT), Err(RecvTimeoutError::Disconnected)) {
        glass.heart.beat();
    }
}

#[cfg(any(feature = "kms", feature = "window"))]
fn native(backend: tolem_ui::Backend, glass: Glass) -> anyhow::Result<()> {
    let intents = glass.intents;
    let on_intent = Box::new(move |intent| {
        intents.send(intent);
    });
    tolem_ui::run(backend, glass.format.into(), glass.views, on_intent)
        .map_err(|error| anyhow!("[screen]: {error}"))
}

impl From<Format> for tolem_ui::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Portrait => Self::Portrait,
            Format::Landscape => Self::Landscape,
        }
    }
}
