//! The citizen's screen: draws a view model, sends intents.
//!
//! [`tolem_core::view::ViewModel`] goes in, [`tolem_core::view::Intent`] comes out. Everything drawn was worded by the core; what
//! stands here and in the `.slint` files is type, colour, place and the finger. There is no rule, no timer, no sum and no sentence.
//! A button knows its place in a list and nothing else: the place is looked up in the view model that is on the screen.
//!
//! - [`Screen`]: without any window system; the owner passes touches in and takes pixels out.
//! - `run` (features `window`, `kms`): a native window or the bare display, with view models from another thread.
//! - `Screen::elements` (feature `inspect`): labels, roles and rectangles, for tests and the bench; never in the image.
//!
//! What it refuses: fonts of the system. Both weights of Noto Sans are in the binary, and a device without any font draws the
//! same pixels.

#[cfg(feature = "inspect")]
mod inspect;
#[cfg(any(feature = "window", feature = "kms"))]
mod native;
mod present;
mod screen;

#[cfg(feature = "inspect")]
pub use inspect::{Element, Role};
#[cfg(any(feature = "window", feature = "kms"))]
pub use native::{Backend, run};
pub use screen::{Screen, Touch};

// Not used by name: its feature `fontconfig-dlopen` keeps Slint from failing where fontconfig is installed without fonts.
use fontique as _;

/// Shape of the display.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// 1080 x 1920 pixels, made for 32 inch.
    #[default]
    Portrait,
    /// 1280 x 1024 pixels, made for 17 inch.
    Landscape,
}

impl Format {
    /// Width and height in pixels.
    pub fn size(self) -> (u32, u32) {
        match self {
            Self::Portrait => (1_080, 1_920),
            Self::Landscape => (1_280, 1_024),
        }
    }

    /// Smallest side of anything that can be touched, in pixels: 20 mm on the display this format is made for.
    pub fn target(self) -> u32 {
        match self {
            Self::Portrait => 55,
            Self::Landscape => 76,
        }
    }

    /// Smallest distance between two of them, in pixels: 6 mm.
    pub fn gap(self) -> u32 {
        match self {
            Self::Portrait => 17,
            Self::Landscape => 23,
        }
    }
}

/// Why there is no screen.
#[derive(Debug)]
pub enum Error {
    /// This process already has a screen; there can be one per process.
    SecondScreen,
    /// The display, the window system or the renderer refused; the text is theirs.
    Platform(slint::PlatformError),
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::SecondScreen => {
                f.write_str("this process already has a screen; start another process for another one")
            }
            Self::Platform(error) => write!(f, "cannot open the screen: {error}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<slint::PlatformError> for Error {
    fn from(error: slint::PlatformError) -> Self {
        Self::Platform(error)
    }
}
