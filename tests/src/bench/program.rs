//! The programs under test as processes: found where cargo put them, and never left behind.

use super::{PATIENCE, Terminal};
use crate::secrets::{self, SearchedFolder};
use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, OnceLock, mpsc},
    time::{Duration, Instant},
};

/// Lines of a program's output that are kept for a failure's report.
const KEPT_LINES: usize = 400;

/// How a demo is started.
#[derive(Clone, Copy, Debug)]
pub struct DemoOptions {
    /// Kiosks on the bench.
    pub kiosks: usize,
    /// Name of a reader on PC/SC for the cards of the first.
    pub pcsc: Option<&'static str>,
    /// Card reader and PIN pad are one secure unit that hides card numbers.
    pub sred: bool,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self { kiosks: 1, pcsc: None, sred: false }
    }
}

/// A running `tolem demo` in a directory of its own. Ends with its value; the directory stays after a failure.
pub struct Demo {
    program: Option<Program>,
    directory: Option<SearchedFolder>,
    path: PathBuf,
    url: String,
    options: DemoOptions,
}

impl Demo {
    /// Starts a bench with one kiosk on fresh state.
    pub fn start() -> Self {
        Self::with(DemoOptions::default())
    }

    /// Starts a bench on fresh state.
    pub fn with(options: DemoOptions) -> Self {
        let directory = SearchedFolder::new("tolem-");
        let path = directory.path().to_path_buf();
        let mut demo = Self { program: None, directory: Some(directory), path, url: String::new(), options };
        demo.resume();
        demo
    }

    /// Ends the whole bench in an orderly way; its state stays.
    pub fn stop(&mut self) {
        self.program = None;
    }

    /// Starts the bench again on the state that it left.
    pub fn resume(&mut self) {
        assert!(self.program.is_none(), "the bench runs already");
        let mut command = Command::new(tolem());
        command.arg("demo").arg("--dir").arg(&self.path).args(["--listen", "127.0.0.1:0", "--fast"]);
        command.args(["--kiosks", &self.options.kiosks.to_string()]);
        if let Some(reader) = self.options.pcsc {
            command.args(["--pcsc", reader]);
        }
        if self.options.sred {
            command.arg("--sred");
        }
        let mut program = Program::start(command);
        self.url = program.wait_for_line("its address", |line| {
            let start = line.find("http://127.0.0.1:")?;
            Some(line[start..].split_whitespace().next()?.trim_end_matches('/').to_owned())
        });
        self.program = Some(program);
    }

    /// Where the bench page is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the demo keeps everything.
    pub fn directory(&self) -> &Path {
        &self.path
    }

    /// How many kiosks it has.
    pub fn kiosks(&self) -> usize {
        self.options.kiosks
    }

    /// One of its kiosks, from 0.
    pub fn terminal(&self, index: usize) -> Terminal<'_> {
        Terminal::new(self, index)
    }

    /// The last lines of what it wrote.
    pub fn log(&self) -> String {
        self.program.as_ref().map(Program::log).unwrap_or_default()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if self.program.is_some() && !failed {
            (0..self.kiosks()).for_each(|index| self.terminal(index).read_wires());
        }
        self.program = None;
        if failed && let Some(directory) = self.directory.take() {
            eprintln!("the demo's directory is kept: {}", directory.keep().display());
        }
    }
}

/// A process that ends with its value, first asked, then forced. A secret in what it writes fails its test.
pub struct Program {
    child: Child,
    name: String,
    said: Arc<Mutex<Said>>,
    fresh: mpsc::Receiver<String>,
}

/// What a process wrote.
#[derive(Default)]
struct Said {
    /// The last lines.
    lines: Vec<String>,
    /// What nobody may read, if it was in one of all its lines.
    secret: Option<&'static str>,
}

impl Program {
    /// Starts it with its output caught.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(mut command: Command) -> Self {
        let name = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name} cannot be started: {e}"));
        let said = Arc::new(Mutex::new(Said::default()));
        let (sender, fresh) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            follow(stdout, Arc::clone(&said), Some(sender));
        }
        if let Some(stderr) = child.stderr.take() {
            follow(stderr, Arc::clone(&said), None);
        }
        Self { child, name, said, fresh }
    }

    /// The first line of its standard output in which `find` finds something.
    ///
    /// # Panics
    /// If it ends or takes too long before.
    pub fn wait_for_line<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.fresh.recv_timeout(left) {
                Ok(line) => {
                    if let Some(found) = find(&line) {
                        return found;
                    }
                }
                Err(why) => panic!("{} did not say {what} ({why}). It said:\n{}", self.name, self.log()),
            }
        }
    }

    /// The last lines of its output, both streams.
    pub fn log(&self) -> String {
        self.said.lock().map(|said| said.lines.join("\n")).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
        let secret = self.said.lock().ok().and_then(|said| said.secret);
        if let Some(secret) = secret
            && !std::thread::panicking()
        {
            panic!("{} wrote {secret}", self.name);
        }
    }
}

impl Program {
    fn end(&mut self) {
        // SIGTERM lets it end its own children; `kill` is in every base system.
        let asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .is_ok_and(|status| status.success());
        let deadline = Instant::now() + Duration::from_secs(20);
        while asked && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        // It did not listen; nobody is left to be told.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(stream: impl Read + Send + 'static, said: Arc<Mutex<Said>>, fresh: Option<mpsc::Sender<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if let Ok(mut said) = said.lock() {
                said.secret = said.secret.or_else(|| secrets::find(line.as_bytes()));
                if said.lines.len() >= KEPT_LINES {
                    said.lines.remove(0);
                }
                said.lines.push(line.clone());
            }
            if let Some(fresh) = &fresh {
                // Nobody waits for lines any more.
                let _ = fresh.send(line);
            }
        }
    });
}

/// The kiosk's program.
pub fn tolem() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| binary("tolem", "tolem-firmware")).clone()
}

/// The center's program.
pub fn tolem_center() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| binary("tolem-center", "tolem-center")).clone()
}

/// Where cargo puts the programs of the workspace, beside the directory of this test. Cargo does not build another package's
/// programs for a test, so an old one is refused instead of being tested in place of what was just written.
fn binary(name: &str, package: &str) -> PathBuf {
    let test = std::env::current_exe().expect("invariant: a test knows its own file");
    let folder = test.parent().expect("invariant: a file lies in a directory");
    // Tests lie in target/PROFILE/deps, the benchmark in target/PROFILE.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let program = folder.join(name);
    let how = format!("run `cargo build -p {package}` first, or test the whole workspace");
    let Ok(built) = program.metadata().and_then(|data| data.modified()) else {
        panic!("{} is not built: {how}", program.display());
    };
    // cargo lists beside a program what it was made of.
    let sources = std::fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    // `\ ` is a space within a path, other spaces stand between paths.
    let sources = sources.replace("\\ ", "\u{0}");
    for source in sources.split_whitespace().skip(1).filter(|source| source.ends_with(".rs")) {
        let source = source.replace('\u{0}', " ");
        let changed = Path::new(&source).metadata().and_then(|data| data.modified());
        assert!(
            changed.is_ok_and(|changed| changed <= built),
            "{} is older than {source}: {how}",
            program.display()
        );
    }
    program
}

/// Runs a program to its end: exit status and output.
///
/// # Panics
/// If it cannot be started.
pub fn run(program: &Path, arguments: &[&dyn AsArgument]) -> Ended {
    run_with(program, arguments, "")
}

/// Runs a program to the end of `lines` on its standard input.
///
/// # Panics
/// If it cannot be started.
pub fn run_with(program: &Path, arguments: &[&dyn AsArgument], lines: &str) -> Ended {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for argument in arguments {
        command.arg(argument.argument());
    }
    let cannot = |e: io::Error| -> ! { panic!("{} cannot be run: {e}", program.display()) };
    let mut child = command.spawn().unwrap_or_else(|e| cannot(e));
    // The lines are few and fit into the pipe; a program that refuses its arguments does not read them.
    let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(lines.as_bytes()));
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        cannot(error);
    }
    Ended(child.wait_with_output().unwrap_or_else(|e| cannot(e)))
}

/// What can stand on a command line.
pub trait AsArgument {
    /// As the system takes it.
    fn argument(&self) -> std::ffi::OsString;
}

impl<T: AsRef<std::ffi::OsStr>> AsArgument for T {
    fn argument(&self) -> std::ffi::OsString {
        self.as_ref().into()
    }
}

/// How a program ended.
pub struct Ended(Output);

impl Ended {
    /// Whether it said that all is well.
    pub fn success(&self) -> bool {
        self.0.status.success()
    }

    /// Its standard output.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    /// Both streams.
    pub fn text(&self) -> String {
        self.stdout() + &String::from_utf8_lossy(&self.0.stderr)
    }

    /// Its standard output, if all is well.
    ///
    /// # Panics
    /// If not.
    pub fn good(&self) -> String {
        assert!(self.success(), "{self}");
        self.stdout()
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.0.status, self.text())
    }
}
