//! The bench: a whole kiosk on a web page, and the same for scripts as a small HTTP API (`docs/bench.md`).
//!
//! The kiosk is a process of its own that knows nothing of the bench but its two serial lines, its network, and - in the demo
//! build alone - a socket for its screen. The bench owns what is outside of it: devices, cables, the plug. It decides
//! nothing and shows the physical truth: where each note is, each dot on paper. It listens on the loopback only, refuses requests
//! that were not meant for it, and answers bad ones by saying what is allowed.

mod answer;
mod cassette;
mod guard;
mod http;
mod kiosk;
mod papers;
mod plug;
pub mod screen;
mod state;
pub mod stream;
mod tell;
pub mod wire;

pub use http::Server;
pub use kiosk::{Kiosk, KioskOptions};
pub use plug::{Power, PowerState};

use std::{path::PathBuf, sync::Arc};

/// Switches of the processing center and its neighbours.
pub trait CenterControl: Send + Sync {
    /// Whether the IIN registry answers.
    fn registry_up(&self) -> bool;
    /// Makes the IIN registry answer or not.
    fn set_registry(&self, up: bool);
    /// Whether the payment gateway answers.
    fn gateway_up(&self) -> bool;
    /// Makes the payment gateway answer or not.
    fn set_gateway(&self, up: bool);
    /// Moves the test issuer by a line of text. The error says what is allowed, or that there is none.
    fn issuer(&self, line: &str) -> Result<String, String>;
}

/// What the books say about the money of one kiosk, in tenge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sums {
    /// Stacked, by the kiosk's journal.
    pub journal: u64,
    /// Records in that journal.
    pub records: u64,
    /// In doubt, by the kiosk's journal: held until an operator has counted.
    pub in_doubt: u64,
    /// In the kiosk's cassette, by the center's ledger: what the kiosk has settled so far.
    pub center: i64,
}

/// The books, so that everybody can compare them with the cassette.
pub trait Books: Send + Sync {
    /// What they say about the kiosk at this place. The error says which book cannot be read.
    fn read(&self, kiosk: usize) -> Result<Sums, String>;
}

/// Everything on the bench.
pub struct Bench {
    /// The kiosks, in the order of their tabs.
    pub kiosks: Vec<Arc<Kiosk>>,
    /// The one center of them all.
    pub center: Box<dyn CenterControl>,
    /// Journals and ledger.
    pub books: Box<dyn Books>,
    /// What was said on all wires.
    pub wire: Arc<wire::WireLog>,
    /// Where everything is kept, for the page to show.
    pub directory: PathBuf,
    /// Commands worth trying in a terminal: what they do, and the whole line.
    pub commands: Vec<(String, String)>,
}
