//! A real journal with its kiosk, its witness and its exports, and the judges that are not ours.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};
use tempfile::TempDir;
use tolem_core::{journal::Journal, ports::Signer as _, session::Session, time::Instant};
use tolem_firmware::{
    export::{ExportDirectory, Files},
    store::SqliteStore,
    verify::{BadJournal, Keys, Report, Witness, verify},
};
use tolem_hal_sim::world::Center as _;
use tolem_protocol::{
    Denomination, KioskNumber, UtcTime,
    merkle::{Frontier, leaf_hash},
    messages::{Request, Response},
    record::Fact,
    signed_note::{self, Checkpoint, KeyKind, NoteKey, journal_origin},
};
use tolem_tests::{
    bench::{AsArgument, Ended, run, tolem},
    files::top,
    rig::{KioskKeys, SharedCenter},
};

/// Records between two cosignatures.
const COSIGNED_EVERY: u64 = 100;

pub fn kiosk() -> KioskNumber {
    KioskNumber::new(42).unwrap()
}

pub fn noon() -> UtcTime {
    UtcTime::from_seconds(1_795_000_000)
}

/// A kiosk's journal on disk, and the center that cosigns it.
pub struct Kept {
    directory: TempDir,
    keys: KioskKeys,
    pub center: SharedCenter,
    /// Records that the center has cosigned.
    pub cosigned: u64,
}

impl Kept {
    pub fn new() -> Self {
        Self::new_with_seed(1)
    }

    pub fn new_with_seed(seed: u64) -> Self {
        let center = SharedCenter::new(seed);
        let (statement, sealing) = center.public_keys();
        let keys = KioskKeys::new(seed, statement, sealing);
        center.enrol(kiosk(), keys.public_key());
        Self { directory: tempfile::tempdir().unwrap(), keys, center, cosigned: 0 }
    }

    pub fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    pub fn log_key(&self) -> NoteKey {
        NoteKey { name: journal_origin(kiosk()), kind: KeyKind::Log, public: self.keys.public_key() }
    }

    pub fn witness_key(&self) -> NoteKey {
        self.center.operate(|center, _| center.keys.witness().clone())
    }

    pub fn keys(&self) -> Keys {
        Keys { log: Some(self.log_key()), witnesses: vec![Witness { key: self.witness_key(), until: None }] }
    }

    /// One start of the program that leaves the journal with `size` records.
    pub fn grow(&mut self, size: u64) {
        let store = SqliteStore::open(Path::new(&self.path("journal.db"))).unwrap();
        let (mut journal, mut session) = Journal::open(store, kiosk(), &self.keys).unwrap();
        while journal.size() < size {
            let fact = self.fact(&journal);
            self.append(&mut journal, &mut session, fact);
        }
    }

    fn append(&self, journal: &mut Journal<SqliteStore>, session: &mut Session, fact: Fact) {
        let now = Instant(journal.size() * 10);
        let journaled = journal.append(now, noon(), fact, session, &self.keys).unwrap();
        session.commit(&journaled);
    }

    fn fact(&mut self, journal: &Journal<SqliteStore>) -> Fact {
        let size = journal.size();
        if size > 0 && size.is_multiple_of(COSIGNED_EVERY) {
            return self.cosign(journal);
        }
        match size % 7 {
            0 => Fact::Booted { nonce: [7; 16], software: "tolem 0.1.0".try_into().unwrap() },
            1 | 2 => Fact::FaultChanged { code: "PRN-PAPER-LOW".try_into().unwrap(), present: size % 2 == 1 },
            3 => Fact::Opened { part: "door".try_into().unwrap(), open: true },
            4 => Fact::CassetteRemoved(size.is_multiple_of(2)),
            5 => Fact::AcceptorIdentified {
                serial: "0123456789".try_into().unwrap(),
                part: "SM-KZ1234".try_into().unwrap(),
                bills: heapless::Vec::from_slice(&[(2, Denomination(500)), (9, Denomination(2000))]).unwrap(),
            },
            _ => Fact::CheatReported,
        }
    }

    fn cosign(&mut self, journal: &Journal<SqliteStore>) -> Fact {
        let request = Request::Checkpoint {
            old_size: self.cosigned,
            proof: heapless::Vec::from_slice(&journal.consistency_proof(self.cosigned).unwrap()).unwrap(),
            note: journal.checkpoint().unwrap().unwrap().as_str().try_into().unwrap(),
        };
        let Some(Response::Cosigned(line)) = self.center.handle(noon(), kiosk(), request) else {
            panic!("the center does not cosign");
        };
        self.cosigned = journal.size();
        fs::write(self.path("line"), line.as_str()).unwrap();
        Fact::Cosigned { size: self.cosigned, line: line.as_str().trim_end().try_into().unwrap() }
    }

    /// The note that the center cosigned last, with its cosignature.
    pub fn cosigned_note(&self) -> String {
        use tolem_center::logic::store::Store as _;
        let row = self.center.store(|store| store.witness(kiosk())).unwrap().unwrap();
        row.note + &fs::read_to_string(self.path("line")).unwrap()
    }

    /// The newest signed checkpoint.
    pub fn note(&self) -> String {
        let reader = tolem_firmware::store::Reader::open(Path::new(&self.path("journal.db"))).unwrap();
        reader.signed_size().unwrap().1.unwrap()
    }

    /// Has the real program export the journal into the directory `name`.
    pub fn export(&self, name: &str) -> String {
        let (directory, journal) = (self.path(name), self.path("journal.db"));
        run(&tolem(), &[&"journal", &"export", &directory, &"--journal", &journal]).good();
        name.to_owned()
    }

    pub fn verify(&self, export: &str) -> Result<Report, BadJournal> {
        let mut source = ExportDirectory::open(Path::new(&self.path(export)));
        verify(&mut source, &self.keys(), &mut |_| true)
    }

    /// An export, read back.
    pub fn files(&self, name: &str) -> Memory {
        self.read(&self.export(name))
    }

    pub fn read(&self, name: &str) -> Memory {
        let top = PathBuf::from(self.path(name));
        let (mut files, mut left) = (BTreeMap::new(), vec![top.clone()]);
        while let Some(path) = left.pop() {
            if path.is_dir() {
                left.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                let name = path.strip_prefix(&top).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
        Memory(files)
    }

    /// Writes files as a directory and gives its path.
    pub fn write(&self, name: &str, files: &Memory) -> String {
        for (file, bytes) in &files.0 {
            let path = Path::new(&self.path(name)).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        self.path(name)
    }
}

/// The files of an export, by name.
#[derive(PartialEq, Eq, Debug)]
pub struct Memory(pub BTreeMap<String, Vec<u8>>);

impl Files for &Memory {
    fn read(&self, name: &Path, _: u64) -> Result<Vec<u8>, String> {
        let bytes = name.to_str().and_then(|name| self.0.get(name));
        bytes.cloned().ok_or_else(|| format!("{}: it is not there", name.display()))
    }
}

/// An export with one bit of one byte turned over.
pub struct Flipped<'a> {
    pub good: &'a Memory,
    pub name: &'a str,
    pub at: usize,
}

impl Files for Flipped<'_> {
    fn read(&self, name: &Path, limit: u64) -> Result<Vec<u8>, String> {
        let mut bytes = self.good.read(name, limit)?;
        if name == Path::new(self.name) {
            bytes[self.at] ^= 1 << (self.at % 8);
        }
        Ok(bytes)
    }
}

/// Name of a tile below number 1000 (c2sp.org/tlog-tiles).
pub fn tile_name(level: &str, number: usize, width: usize) -> String {
    let part = if width < 256 { format!(".p/{width}") } else { String::new() };
    format!("tile/{level}/{number:03}{part}")
}

/// The records in the bundles of an export, as bytes.
pub fn records_of(files: &Memory) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    // Names sort as numbers do: each has three digits.
    for (_, bundle) in files.0.iter().filter(|(name, _)| name.starts_with("tile/entries/")) {
        let mut rest = &bundle[..];
        while let [high, low, tail @ ..] = rest {
            let (record, after) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            records.push(record.to_vec());
            rest = after;
        }
    }
    records
}

/// All files of an export of `records`, whatever they say, under the checkpoint `note`.
pub fn lay_out(records: &[Vec<u8>], note: &str) -> Memory {
    let mut files = BTreeMap::from([("checkpoint".to_owned(), note.as_bytes().to_vec())]);
    let mut levels: BTreeMap<u8, Vec<[u8; 32]>> = BTreeMap::new();
    let mut frontier = Frontier::default();
    for record in records {
        frontier.push(leaf_hash(record), |level, _, hash| {
            if level % 8 == 0 {
                levels.entry(level / 8).or_default().push(*hash);
            }
        });
    }
    for (number, bundle) in records.chunks(256).enumerate() {
        let length = |record: &Vec<u8>| u16::try_from(record.len()).unwrap().to_be_bytes();
        let bytes = bundle.iter().flat_map(|record| [&length(record)[..], record].concat()).collect();
        files.insert(tile_name("entries", number, bundle.len()), bytes);
    }
    for (level, hashes) in levels {
        for (number, tile) in hashes.chunks(256).enumerate() {
            files.insert(tile_name(&level.to_string(), number, tile.len()), tile.concat());
        }
    }
    Memory(files)
}

/// A checkpoint over `records`, signed with the kiosk's own key.
pub fn signed_by(kept: &Kept, records: &[Vec<u8>]) -> String {
    let mut frontier = Frontier::default();
    records.iter().for_each(|record| frontier.push(leaf_hash(record), |_, _, _| ()));
    let checkpoint =
        Checkpoint { origin: journal_origin(kiosk()), size: frontier.size(), root: frontier.root() };
    signed_note::sign(&checkpoint.text(), &kept.log_key(), |message| kept.keys.sign(message))
}

/// Runs one of the judges in `tests/oracles/journal`: Go's transparency-log packages or plain Python.
pub fn oracle(judge: &str, arguments: &[&str]) -> Ended {
    let source = top().join("tests/oracles/journal").join(judge);
    let arguments = arguments.iter().map(|text| text as &dyn AsArgument);
    match judge {
        "verify.go" => run(&go_program(&source), &arguments.collect::<Vec<_>>()),
        // Debian's own Python: `python3-cryptography` is installed for it.
        _ => run(
            Path::new("/usr/bin/python3"),
            &[&source as &dyn AsArgument].into_iter().chain(arguments).collect::<Vec<_>>(),
        ),
    }
}

/// Built once for each process, without a module proxy: the packages are those of `golang-golang-x-mod-dev`.
fn go_program(source: &Path) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (program, fresh) =
            (directory.join("journal-verify"), format!("journal-verify-{}", std::process::id()));
        let fresh = directory.join(fresh);
        let output = Command::new("go")
            .args(["build", "-o"])
            .args([fresh.as_path(), source])
            .env("GO111MODULE", "off")
            .env("GOPATH", "/usr/share/gocode")
            .env("GOCACHE", directory.join("go-cache"))
            .output()
            .expect("Go is needed: apt-get install golang-go golang-golang-x-mod-dev");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Another test may be running the same program: it keeps the file it has open.
        fs::rename(fresh, &program).unwrap();
        program
    };
    BUILT.get_or_init(build).clone()
}
