//! The registry of persons, asked whether an IIN exists.
//!
//! The reference registry is a list. "Does not answer" is never "wrong": the citizen must not be told that a right IIN
//! is wrong because a line is down.

use std::collections::BTreeMap;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tolem_protocol::Iin;

/// What the registry says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// Exists; the name as it may be shown to others.
    Right {
        /// Masked name, maybe empty.
        name: heapless::String<64>,
    },
    /// No such person.
    Wrong,
    /// No answer.
    Unavailable,
}

/// Something that knows persons.
pub trait Registry {
    /// Asks about one IIN.
    fn lookup(&self, iin: &Iin) -> Lookup;
}

/// A switch that several owners share; for faults that an operator or a test turns on and off.
#[derive(Clone, Default, Debug)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// Turns it.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A registry that is a list of invented persons.
#[derive(Default)]
pub struct ListRegistry {
    persons: BTreeMap<[u8; 12], heapless::String<64>>,
    down: Switch,
}

impl ListRegistry {
    /// A registry of these persons, silent while `down` is on.
    pub fn new(persons: impl IntoIterator<Item = (Iin, heapless::String<64>)>, down: Switch) -> Self {
        Self { persons: persons.into_iter().map(|(iin, name)| (iin.ascii(), name)).collect(), down }
    }
}

impl Registry for ListRegistry {
    fn lookup(&self, iin: &Iin) -> Lookup {
        if self.down.is_on() {
            return Lookup::Unavailable;
        }
        match self.persons.get(&iin.ascii()) {
            Some(name) => Lookup::Right { name: name.clone() },
            None => Lookup::Wrong,
        }
    }
}
