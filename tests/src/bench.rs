//! A client of the bench: starts `tolem demo` and does with its HTTP interface what a citizen does with hands and eyes.
//!
//! It knows the kiosk only from outside: labels on the glass, notes, paper. Waiting is always waiting *for something*, with
//! a deadline that a slow machine keeps, and whoever waits in vain is shown the screen and the last lines of the wire log.

pub(crate) mod books;
mod citizen;
mod program;
mod terminal;

pub use citizen::Citizen;
pub use program::{AsArgument, Demo, DemoOptions, Ended, Program, run, run_with, tolem, tolem_center};
pub use terminal::{Element, Paper, Screen, Terminal};

use std::time::Duration;

/// Longest wait for something that must happen. Two slow processors, shared with other tests, need seconds.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The name of a service on the glass, by its code in the reference catalogue.
///
/// # Panics
/// If there is no such service.
pub fn service(code: &str, language: tolem_protocol::catalogue::Language) -> String {
    let catalogue = tolem_center::catalogue::Catalogue::parse(tolem_center::catalogue::REFERENCE);
    let catalogue = catalogue.expect("invariant: the reference catalogue is checked at the center");
    let found = catalogue.services.iter().find(|service| service.code.as_str() == code);
    found.unwrap_or_else(|| panic!("no service {code:?}")).name.get(language).to_owned()
}
