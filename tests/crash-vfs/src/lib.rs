//! A disk below SQLite that loses its power, is full, fails or lies: in memory, from one seed, for tests only.
//!
//! SQLite is C and reaches the disk through a table of functions, its VFS. This crate is such a table (`layer.rs`, the only
//! place of the house with `unsafe`) over a model of files, sectors and a directory ([`sectors`], `state.rs`). Time and
//! randomness that SQLite asks for come from the seed too, so that the same seed writes the same bytes: [`Disk::digest`].
//!
//! SQLite keeps one source of randomness and this crate one disk for the whole process: a second [`Disk::new`] waits until the
//! first is dropped.

mod layer;
pub mod sectors;
mod state;

pub use layer::FILE_LAYER;
pub use sectors::{Media, SECTOR};
pub use state::{Counts, Failure};

use state::State;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Guards the one disk of the process.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) type Shared = Arc<Mutex<State>>;

pub(crate) fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A test that failed elsewhere must not hide what it found behind a second panic.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The disk of the process, as long as it lives.
pub struct Disk {
    hand: Hand,
    _turn: MutexGuard<'static, ()>,
}

impl Disk {
    /// An empty disk and a machine that is on.
    pub fn new(seed: u64, media: Media) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let hand = Hand(Arc::new(Mutex::new(State::new(seed, media))));
        layer::insert(&hand.0);
        let disk = Self { hand, _turn: turn };
        disk.start();
        disk
    }

    /// For the parts of the program that use the disk beside SQLite.
    pub fn hand(&self) -> Hand {
        self.hand.clone()
    }

    /// `operations` more writes, flushes, truncations and changes of the directory work; the next one fails like this. Once.
    pub fn fail_after(&self, operations: u64, failure: Failure) {
        locked(&self.hand.0).plan(operations, failure);
    }

    /// Whether the planned failure has come.
    pub fn has_failed(&self) -> bool {
        locked(&self.hand.0).has_failed()
    }

    /// Nothing planned happens any more.
    pub fn forget_plan(&self) {
        locked(&self.hand.0).forget_plan();
    }

    /// The power was gone and is back: what was not flushed is settled by chance. All connections must be closed.
    pub fn cut(&self) {
        locked(&self.hand.0).cut();
        self.start();
    }

    /// Only the process died and starts again: the system's cache is as it was. All connections must be closed.
    pub fn restart(&self) {
        locked(&self.hand.0).restart();
        self.start();
    }

    fn start(&self) {
        layer::start_randomness();
    }

    /// From now on the disk holds at most so many bytes; `None` is no limit.
    pub fn limit(&self, bytes: Option<u64>) {
        locked(&self.hand.0).capacity = bytes;
    }

    /// Whether [`Disk::limit`] or [`Failure::Full`] set a limit.
    pub fn is_limited(&self) -> bool {
        locked(&self.hand.0).capacity.is_some()
    }

    /// `PRAGMA name = ...` of the program under test means `value` from now on: how a control shows what a wrong setting does
    /// without a wrong setting in the program. `value` must not be longer than what the program writes there.
    pub fn bend_pragma(&self, name: &'static str, value: &'static str) {
        locked(&self.hand.0).bent.insert(name, value);
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        locked(&self.hand.0).counts
    }

    /// Hash over every operation and every byte written so far.
    pub fn digest(&self) -> [u8; 32] {
        locked(&self.hand.0).digest()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        layer::remove();
    }
}

/// The disk in the hands of the program under test.
#[derive(Clone)]
pub struct Hand(Shared);

impl Hand {
    /// Makes a file of `bytes` without content. True if there was room.
    pub fn set_aside(&self, name: &str, bytes: u64) -> bool {
        locked(&self.0).set_aside(name, bytes)
    }

    /// Deletes it. True if it was there.
    pub fn give_back(&self, name: &str) -> bool {
        locked(&self.0).give_back(name)
    }

    /// Puts durable zeros behind the end of a file that is there until it is `bytes` long, if there is room.
    pub fn lengthen(&self, name: &str, bytes: u64) -> io::Result<()> {
        locked(&self.0).lengthen(name, bytes).map_err(|_| io::Error::other("the disk failed"))
    }

    /// Flushes a file, if it is there, and forgets what only the system's cache shows.
    pub fn reread(&self, name: &str) -> io::Result<()> {
        locked(&self.0).reread(name).map_err(|_| io::Error::other("the disk failed"))
    }

    /// Makes all names durable.
    pub fn sync_directory(&self) -> io::Result<()> {
        locked(&self.0).sync_directory().map_err(|_| io::Error::other("the disk failed"))
    }
}
