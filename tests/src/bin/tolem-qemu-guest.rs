//! Runs inside the virtual machine of `tests/qemu`: the kiosk's own journal on a file system of the real kernel, record after record
//! until the machine dies. Everything that the outside may know is a line on the serial console:
//!
//! ```text
//! TOLEM HAVE <records> <chain>   after the start: what is there
//! TOLEM AT <records> <chain>     the same for the number that the outside asked about
//! TOLEM ACK <records> <chain>    after each append that returned
//! TOLEM AGAIN <words>            the disk failed; the program starts again
//! TOLEM FAULT <words>            something is wrong
//! ```
//! The chain is SHA-256 over the chain before and the record's bytes. What to do stands on the kernel's command line, see [`Order`].

use ring::digest::{Context, SHA256};
use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};
use tolem_core::{
    journal::Journal,
    ports::{Signer as _, Store as _, StoreError},
    time::Instant,
};
use tolem_firmware::{
    store::{Entry, Ground, Reader, SqliteStore, SystemGround},
    verify::{BadJournal, Keys, Source, verify},
};
use tolem_hal_sim::line::Dice;
use tolem_protocol::{
    KioskNumber, UtcTime,
    merkle::Hash,
    record::Fact,
    signed_note::{KeyKind, NoteKey, journal_origin},
};
use tolem_tests::rig::KioskKeys;

const JOURNAL: &str = "/data/journal.db";
/// Starts in one life of the machine; then it gives up.
const STARTS: u32 = 20;
/// More than any life appends before its power goes.
const FOR_EVER: u64 = 1_000_000;

type Failed = Box<dyn std::error::Error>;

fn main() {
    if let Err(cause) = work() {
        say(&format!("FAULT {}", cause.to_string().replace('\n', " ")));
    }
}

/// What the kernel's command line asks for.
struct Order {
    /// `tolem.acked=N`: so many records were acknowledged before.
    acked: u64,
    /// `tolem.seed=N`: for the records' contents.
    seed: u64,
    setting: Setting,
}

/// `tolem.setting=WORD`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Setting {
    /// `ours`: the journal; a failed write is a fault.
    Ours,
    /// `errors`: the journal on a disk that fails; after that the program starts again, as the service manager has it.
    Errors,
    /// `cache`: the same, but the start believes what the kernel remembers of the log.
    Cache,
    /// `normal`: not the journal, but a plain table under `synchronous=NORMAL`, as most programs have it.
    Normal,
}

impl Order {
    fn read() -> Result<Self, Failed> {
        let line = fs::read_to_string("/proc/cmdline")?;
        let find = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
        let number = |name: &str| find(name).ok_or_else(|| format!("no {name}"));
        Ok(Self {
            acked: number("tolem.acked=")?.parse()?,
            seed: number("tolem.seed=")?.parse()?,
            setting: match find("tolem.setting=") {
                Some("errors") => Setting::Errors,
                Some("cache") => Setting::Cache,
                Some("normal") => Setting::Normal,
                _ => Setting::Ours,
            },
        })
    }
}

/// One line, in one write.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    // Nobody listens any more when this fails.
    let _ = out.write_all(format!("\nTOLEM {line}\n").as_bytes()).and_then(|()| out.flush());
}

/// Number of records and the hash over all of them.
#[derive(Clone, Copy)]
struct Chain(u64, [u8; 32]);

impl Chain {
    fn add(&mut self, record: &[u8]) {
        let mut context = Context::new(&SHA256);
        context.update(&self.1);
        context.update(record);
        self.1.copy_from_slice(context.finish().as_ref());
        self.0 += 1;
    }

    fn say(&self, what: &str) {
        say(&format!("{what} {} {}", self.0, data_encoding::HEXLOWER.encode(&self.1)));
    }
}

/// Adds what is there, and speaks about the record that the outside asked for.
struct Back {
    chain: Chain,
    acked: u64,
}

impl Back {
    fn begin(acked: u64) -> Self {
        let back = Self { chain: Chain(0, [0; 32]), acked };
        back.tell();
        back
    }

    fn tell(&self) {
        if self.chain.0 == self.acked {
            self.chain.say("AT");
        }
    }

    fn add(&mut self, record: &[u8]) {
        self.chain.add(record);
        self.tell();
    }
}

fn work() -> Result<(), Failed> {
    let mut order = Order::read()?;
    match order.setting {
        Setting::Normal => return plain_table(&order),
        Setting::Ours => return journal(&mut order).map_err(Ended::into_cause),
        Setting::Errors | Setting::Cache => {}
    }
    for _ in 0..STARTS {
        match journal(&mut order) {
            Err(Ended::Disk(cause)) => say(&format!("AGAIN {}", cause.replace('\n', " "))),
            end => return end.map_err(Ended::into_cause),
        }
    }
    Ok(())
}

/// Why a start of the program came to its end.
enum Ended {
    /// The disk failed.
    Disk(String),
    /// What is there is wrong.
    Wrong(String),
}

impl Ended {
    /// Anything else than a disk that fails means that what is there does not fit together.
    fn by(error: StoreError) -> Self {
        let words = error.0.to_lowercase();
        let failed = ["input/output error", "read-only"].iter().any(|failure| words.contains(failure));
        if failed { Self::Disk(error.0) } else { Self::Wrong(error.0) }
    }

    fn into_cause(self) -> Failed {
        let (Self::Disk(cause) | Self::Wrong(cause)) = self;
        cause.into()
    }
}

/// The system's, but it forgets nothing before it reads.
struct Believing(SystemGround);

impl Ground for Believing {
    fn file_layer(&self) -> Option<&str> {
        self.0.file_layer()
    }

    fn lock(&self, path: &Path) -> Result<Option<fs::File>, String> {
        self.0.lock(path)
    }

    fn set_aside(&self, path: &Path, bytes: u64) -> bool {
        self.0.set_aside(path, bytes)
    }

    fn give_back(&self, path: &Path) -> bool {
        self.0.give_back(path)
    }

    fn lengthen(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.0.lengthen(path, bytes)
    }

    fn reread(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.0.sync_directory(directory)
    }
}

/// Something for the record behind the first `size`.
fn fact(dice: &mut Dice, size: u64) -> Fact {
    let part = heapless::String::try_from("door").expect("it fits");
    match dice.below(4) {
        0 => {
            let line = "c".repeat(1 + dice.below(256) as usize);
            Fact::Cosigned { size, line: line.as_str().try_into().expect("it fits") }
        }
        1 => Fact::CassetteRemoved(dice.chance(500)),
        _ => Fact::Opened { part, open: dice.chance(500) },
    }
}

/// The kiosk's store and journal as they are, until the disk fails.
fn journal(order: &mut Order) -> Result<(), Ended> {
    let kiosk = KioskNumber::new(42).expect("in range");
    let keys = KioskKeys::new(7, [1; 32], [9; 32]);
    let ground: Box<dyn Ground + Send> = match order.setting {
        Setting::Cache => Box::new(Believing(SystemGround)),
        _ => Box::new(SystemGround),
    };
    let store = SqliteStore::open_on(ground, Path::new(JOURNAL)).map_err(Ended::by)?;
    let mut back = Back::begin(order.acked);
    let read = store.records(0, &mut |_, bytes| {
        back.add(bytes);
        true
    });
    read.map_err(Ended::by)?;
    let key = NoteKey { name: journal_origin(kiosk), kind: KeyKind::Log, public: keys.public_key() };
    let keys_known = Keys { log: Some(key), witnesses: vec![] };
    let report = verify(&mut Seen(store.reader()), &keys_known, &mut |_| true);
    let report = report.map_err(|bad| Ended::Wrong(format!("verification: {bad}")))?;
    let (mut journal, mut session) =
        Journal::open(store, kiosk, &keys).map_err(|fault| Ended::Wrong(fault.to_string()))?;
    if (report.records, journal.size()) != (back.chain.0, back.chain.0) {
        return Err(Ended::Wrong(format!(
            "{} verify, {} open, {} are there",
            report.records,
            journal.size(),
            back.chain.0
        )));
    }
    back.chain.say("HAVE");
    order.acked = back.chain.0;
    let mut dice = Dice::new(order.seed);
    for turn in 0..FOR_EVER {
        let nonce = [dice.below(256) as u8; 16];
        let software = heapless::String::try_from("a test").expect("it fits");
        let fact = if turn == 0 { Fact::Booted { nonce, software } } else { fact(&mut dice, back.chain.0) };
        let now = (Instant(turn * 10), UtcTime::from_seconds(1_795_000_000 + turn as i64));
        let journaled = journal.append(now.0, now.1, fact, &session, &keys).map_err(Ended::by)?;
        session.commit(&journaled);
        back.chain.add(&journaled.record().to_bytes());
        back.chain.say("ACK");
        order.acked = back.chain.0;
    }
    Ok(())
}

/// The control: the same records in a table of SQLite's under WAL and `synchronous=NORMAL`.
fn plain_table(order: &Order) -> Result<(), Failed> {
    let connection = rusqlite::Connection::open(JOURNAL)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection
        .execute_batch("CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")?;
    let mut back = Back::begin(order.acked);
    {
        let mut statement = connection.prepare("SELECT bytes FROM record ORDER BY seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            back.add(row.get_ref(0)?.as_blob()?);
        }
    }
    back.chain.say("HAVE");
    let mut dice = Dice::new(order.seed);
    for _ in 0..FOR_EVER {
        let bytes = format!("{:?}", fact(&mut dice, back.chain.0)).into_bytes();
        connection.execute("INSERT INTO record (bytes) VALUES (?1)", [&bytes])?;
        back.chain.add(&bytes);
        back.chain.say("ACK");
    }
    Ok(())
}

/// The reader of an open store, as the verifier takes it.
struct Seen<'a>(&'a Reader);

impl Source for Seen<'_> {
    fn head(&mut self) -> Result<(u64, Option<String>), BadJournal> {
        self.0.signed_size().map_err(|error| BadJournal::unreadable(error.0))
    }

    fn batch(&mut self, from: u64, limit: u32) -> Result<Vec<Entry>, BadJournal> {
        self.0.batch(from, limit).map_err(|error| BadJournal::unreadable(error.0))
    }

    fn node(&mut self, level: u8, index: u64) -> Result<Hash, BadJournal> {
        self.0.node(level, index).map_err(|error| BadJournal::unreadable(error.0))
    }
}
