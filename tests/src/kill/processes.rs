//! Terminal, center and gateway as processes, and the devices between them; all of it for one case.

use super::{PATIENCE, cards::Desk, case::How, cutter::Cutter, place::Place};
use crate::bench::{tolem, tolem_center};
use serde_json::Value;
use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};
use tolem_center::gateway::setup::GATEWAY_DATABASE;
use tolem_hal_sim::{
    ccnet_device::{CcnetConfig, Contents, Place as NotePlace, Timing},
    escpos_device::EscposConfig,
    served::{Cable, CassetteCount, DeviceHandle, ServeOptions, WireLog, serve_acceptor, serve_printer},
};
use tolem_protocol::{
    Denomination,
    ccnet::{Command as Ccnet, Decoded, Decoder},
    wire::Direction,
};

/// So long the loop sleeps when nothing is heard.
const BREATH: Duration = Duration::from_millis(10);

/// All calls of the kernel by which a program changes what is outside of it, as far as the cutter counts them.
pub(super) const TRACED: [&str; 13] = [
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "sendto",
    "sendmsg",
    "fsync",
    "fdatasync",
    "ftruncate",
    "unlink",
    "unlinkat",
    "rename",
    "renameat2",
];

/// Places that together are all there are.
pub(super) fn everything() -> Vec<(&'static str, String)> {
    let places = [
        ("path", "/"),
        ("inet", "inet"),
        ("socket", "socket:"),
        ("pipe", "pipe:"),
        ("anonymous", "anon_inode:"),
    ];
    places.map(|(name, place)| (name, place.to_owned())).into()
}

/// One life of a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Started {
    /// `kiosk`, `center` or `gateway`.
    pub name: &'static str,
    /// From 1.
    pub life: u32,
}

/// What the plain screen shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct View {
    /// Stable name; empty before the first picture.
    pub screen: String,
    /// What can be touched.
    pub offers: Vec<String>,
    /// The payment code on it, or nothing.
    pub code: String,
    /// The whole line, for a failure's report.
    pub line: String,
}

impl View {
    /// Whether this can be touched.
    pub fn offers(&self, touch: &str) -> bool {
        self.offers.iter().any(|offered| offered == touch)
    }
}

/// What the citizen saw and did and what the devices heard and did, with milliseconds.
#[derive(Clone)]
struct Diary(Arc<(File, Instant)>);

impl Diary {
    fn begin(path: PathBuf) -> Self {
        Self(Arc::new((File::create(path).expect("a log file"), Instant::now())))
    }

    fn note_down(&self, what: &str) {
        let (mut file, began) = (&self.0.0, self.0.1);
        let line = format!("{:>7} {what}\n", began.elapsed().as_millis());
        file.write_all(line.as_bytes()).expect("a log file can be written");
    }

    fn heard(&self, direction: Direction, bytes: &[u8]) {
        let way = if direction == Direction::FromHost { "to" } else { "from" };
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.note_down(&format!("{way} the acceptor {}", hex.join(" ")));
    }
}

enum News {
    Connected(UnixStream),
    Picture(View),
}

/// A running terminal.
struct Kiosk {
    child: Child,
    socket: PathBuf,
    news: Receiver<News>,
    touches: Option<UnixStream>,
    view: View,
}

impl Drop for Kiosk {
    fn drop(&mut self) {
        // It has ended already, or the case has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Lets go a thread that still waits for it to connect.
        let _ = UnixStream::connect(&self.socket);
    }
}

/// A running center or gateway.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything of one case.
pub(super) struct Bench {
    pub place: Place,
    acceptor: DeviceHandle,
    printer: DeviceHandle,
    /// Where cards are taken.
    pub desk: Option<Desk>,
    kiosk: Option<Kiosk>,
    center: Option<Server>,
    gateway: Option<Server>,
    lives: [u32; 3],
    diary: Diary,
    /// The states of the acceptor in which it lost its power.
    pub interrupted: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    /// Devices with power, configurations that know each other; no program yet. With `interrupt` the acceptor loses its power for
    /// a moment at this change of its answer to POLL. `contents` lies in its cassette already.
    pub fn set_up(place: Place, interrupt: Option<u32>, contents: Contents) -> Self {
        let config = CcnetConfig { timing: Timing::FAST, contents, ..CcnetConfig::default() };
        place.write_configs(config.types.iter().map(|kind| (kind.index, kind.pattern)).collect());
        let interrupted = Arc::<Mutex<Vec<String>>>::default();
        let (strike, struck) = channel();
        let wire: Option<WireLog> = interrupt.map(|number| changes(number, strike));
        let diary = Diary::begin(place.directory.join("diary.log"));
        let options = |name: &'static str, strike: Option<WireLog>| {
            let (wire, events) = (diary.clone(), diary.clone());
            ServeOptions {
                cable: Cable::Pty { link: Some(place.kiosk().join(name)) },
                powered: true,
                wire: Some(Arc::new(move |direction, bytes: &[u8]| {
                    if name == "acceptor" {
                        wire.heard(direction, bytes);
                    }
                    if let Some(strike) = &strike {
                        strike(direction, bytes);
                    }
                })),
                events: Some(Arc::new(move |event: &str| events.note_down(&format!("{name}: {event}")))),
            }
        };
        let acceptor = serve_acceptor(config, options("acceptor", wire)).expect("a pseudo terminal");
        let printer =
            serve_printer(EscposConfig::fast(), None, options("printer", None)).expect("a pseudo terminal");
        let folder = place.acquirer();
        let desk =
            folder.is_dir().then(|| Desk::set_up(&folder, options("cards", None), options("pinpad", None)));
        let (device, told) = (acceptor.clone(), interrupted.clone());
        std::thread::spawn(move || {
            for state in struck {
                told.lock().unwrap_or_else(PoisonError::into_inner).push(state);
                for order in ["power off", "power on"] {
                    // The device is gone when the case is over.
                    let _ = device.command(order);
                }
            }
        });
        Self {
            place,
            acceptor,
            printer,
            desk,
            kiosk: None,
            center: None,
            gateway: None,
            lives: [0; 3],
            diary,
            interrupted,
        }
    }

    /// Starts the terminal, cut as told.
    pub fn start_kiosk(&mut self, cut: Option<Option<(String, u32, How)>>) -> Started {
        let started = self.next_life("kiosk", 0);
        let (socket, news) = self.listen();
        let mut command = Command::new(tolem());
        command.arg("run").arg("--config").arg(self.place.kiosk_config()).arg("--plain").arg(&socket);
        if let Some(cut) = cut {
            let line = |name: &str| {
                let link = self.place.kiosk().join(name);
                fs::canonicalize(&link).unwrap_or_else(|e| panic!("{}: {e}", link.display()))
            };
            let mut watch = vec![
                ("journal", self.place.kiosk().join("journal").display().to_string()),
                ("keys", self.place.kiosk().join("keys").display().to_string()),
                ("acceptor", line("acceptor").display().to_string()),
                ("printer", line("printer").display().to_string()),
                ("center", "inet".to_owned()),
            ];
            if self.desk.is_some() {
                watch.push(("reader", line("cards").display().to_string()));
                watch.push(("pad", line("pinpad").display().to_string()));
            }
            Cutter { watch, cut, log: self.place.calls(&started) }.arm(&mut command);
        }
        self.run_kiosk(command, socket, news);
        started
    }

    /// Starts the terminal under the system's own tracer; the cutter counts everything and cuts nothing.
    pub fn start_traced_kiosk(&mut self, trace: &Path) -> Started {
        let started = self.next_life("kiosk", 0);
        let (socket, news) = self.listen();
        let mut command = Command::new("strace");
        // -D: the terminal is our child, and the tracer its child.
        command
            .args(["-D", "-f", "-s", "0", "-e"])
            .arg(format!("trace={}", TRACED.join(",")))
            .arg("-o")
            .arg(trace);
        let cutter = Cutter { watch: everything(), cut: None, log: self.place.calls(&started) };
        for (name, value) in cutter.environment() {
            command.arg("-E").arg(format!("{name}={value}"));
        }
        command.arg(tolem()).arg("run").arg("--config").arg(self.place.kiosk_config());
        command.arg("--plain").arg(&socket);
        self.run_kiosk(command, socket, news);
        started
    }

    /// A socket for the plain screen, and what comes over it.
    fn listen(&mut self) -> (PathBuf, Receiver<News>) {
        self.kiosk = None;
        let socket = self.place.directory.join("plain.sock");
        // The one of the life before.
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).expect("a socket for the screen");
        let (send, news) = channel();
        std::thread::spawn(move || watch(&listener, &send));
        (socket, news)
    }

    fn run_kiosk(&mut self, mut command: Command, socket: PathBuf, news: Receiver<News>) {
        let log = self.log("kiosk.log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(log);
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        self.kiosk = Some(Kiosk { child, socket, news, touches: None, view: View::default() });
    }

    /// Starts the center, cut as told, and waits until it serves or has ended.
    pub fn start_center(&mut self, cut: Option<Option<(String, u32, How)>>) -> Started {
        self.center = None;
        let started = self.next_life("center", 1);
        let mut command = Command::new(tolem_center());
        command.arg("serve").arg("--config").arg(self.place.center_config());
        if let Some(cut) = cut {
            let wire = if self.place.gateway.is_some() { "wire" } else { "kiosk" };
            let mut watch =
                vec![("ledger", self.place.directory.join("center/center.db").display().to_string())];
            watch.extend(
                self.desk.as_ref().map(|desk| ("acquirer", format!("inet:{}", desk.address().port()))),
            );
            watch.push((wire, "inet".to_owned()));
            Cutter { watch, cut, log: self.place.calls(&started) }.arm(&mut command);
        }
        self.center = Some(serve(command, self.log("center.log")));
        started
    }

    /// Starts the gateway, if there is one, cut as told, and waits until it serves or has ended.
    pub fn start_gateway(&mut self, cut: Option<Option<(String, u32, How)>>) -> Option<Started> {
        self.place.gateway?;
        self.gateway = None;
        let started = self.next_life("gateway", 2);
        let mut command = Command::new(tolem_center());
        command.arg("gateway").arg("serve").arg("--config").arg(self.place.gateway_config());
        if let Some(cut) = cut {
            let register = self.place.directory.join("gateway").join(GATEWAY_DATABASE);
            let watch = vec![("register", register.display().to_string()), ("wire", "inet".to_owned())];
            Cutter { watch, cut, log: self.place.calls(&started) }.arm(&mut command);
        }
        self.gateway = Some(serve(command, self.log("gateway.log")));
        Some(started)
    }

    fn next_life(&mut self, name: &'static str, index: usize) -> Started {
        self.lives[index] += 1;
        Started { name, life: self.lives[index] }
    }

    fn log(&self, name: &str) -> File {
        let log = self.place.directory.join(name);
        OpenOptions::new().create(true).append(true).open(&log).expect("a log file")
    }

    /// Listens for a moment; the newest picture.
    pub fn look(&mut self) -> View {
        let Some(kiosk) = &mut self.kiosk else {
            std::thread::sleep(BREATH);
            return View::default();
        };
        let mut news = kiosk.news.recv_timeout(BREATH).ok();
        if news.is_none() && kiosk.touches.is_some() {
            // A terminal that has gone leaves a closed channel, which does not wait.
            std::thread::sleep(BREATH / 5);
        }
        let before = kiosk.view.clone();
        while let Some(next) = news {
            match next {
                News::Connected(stream) => kiosk.touches = Some(stream),
                News::Picture(view) => kiosk.view = view,
            }
            news = kiosk.news.try_recv().ok();
        }
        let view = kiosk.view.clone();
        if view != before {
            self.diary.note_down(&format!("sees {}", view.line));
        }
        view
    }

    /// Touches what is named, if it is there then.
    pub fn touch(&mut self, what: &str) {
        self.diary.note_down(&format!("touches {what}"));
        if let Some(touches) = self.kiosk.as_mut().and_then(|kiosk| kiosk.touches.as_mut()) {
            // A terminal that is dead now is found by `ended`.
            let _ = touches.write_all(format!("{what}\n").as_bytes());
        }
    }

    /// How the terminal ended, if it has; then it is gone.
    pub fn kiosk_ended(&mut self) -> Option<ExitStatus> {
        let status = self.kiosk.as_mut()?.child.try_wait().expect("a child can be waited for")?;
        self.kiosk = None;
        Some(status)
    }

    /// How the center ended, if it has; then it is gone.
    pub fn center_ended(&mut self) -> Option<ExitStatus> {
        let status = self.center.as_mut()?.0.try_wait().expect("a child can be waited for")?;
        self.center = None;
        Some(status)
    }

    /// How the gateway ended, if it has; then it is gone.
    pub fn gateway_ended(&mut self) -> Option<ExitStatus> {
        let status = self.gateway.as_mut()?.0.try_wait().expect("a child can be waited for")?;
        self.gateway = None;
        Some(status)
    }

    /// SIGKILL from outside.
    pub fn kill_kiosk(&mut self) {
        if let Some(kiosk) = &mut self.kiosk {
            // It may have ended by itself at this moment.
            let _ = kiosk.child.kill();
        }
    }

    /// The devices lose their power for a moment.
    pub fn blackout(&self) {
        let desk = self.desk.as_ref().map(Desk::devices);
        for device in [&self.acceptor, &self.printer].into_iter().chain(desk.into_iter().flatten()) {
            for order in ["power off", "power on"] {
                device.command(order).expect("a device answers");
            }
        }
    }

    /// Waits for the start screen.
    pub fn until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let view = self.look();
            if view.screen == "attract" {
                return;
            }
            assert!(self.kiosk_ended().is_none(), "the terminal ended\n{}", self.report());
            assert!(Instant::now() < deadline, "never ready\n{}", self.report());
        }
    }

    /// Ends all programs in an orderly way; how they ended: terminal, center, gateway.
    pub fn stop(&mut self) -> [ExitStatus; 3] {
        let kiosk = self.kiosk.take().map(|mut kiosk| terminate(&mut kiosk.child));
        let center = self.center.take().map(|mut center| terminate(&mut center.0));
        let gateway = self.gateway.take().map(|mut gateway| terminate(&mut gateway.0));
        [kiosk, center, gateway].map(Option::unwrap_or_default)
    }

    /// Puts a note into the slot if the slot takes one.
    pub fn insert(&self, tenge: u32) -> bool {
        let answer = self.acceptor.command(&format!("insert {tenge}"));
        if answer.is_ok() {
            self.diary.note_down(&format!("inserts {tenge}"));
        }
        answer.is_ok()
    }

    /// Whether a note is neither with the citizen nor in the cassette.
    pub fn note_is_moving(&self) -> bool {
        let state = self.acceptor.acceptor().expect("the acceptor answers");
        state.notes.iter().any(|note| {
            matches!(
                note.place,
                NotePlace::Inlet | NotePlace::Validator | NotePlace::Escrow | NotePlace::Transport
            )
        })
    }

    /// What lies in the cassette, in tenge.
    pub fn cassette_tenge(&self) -> u64 {
        self.acceptor.acceptor().expect("the acceptor answers").cassette_tenge()
    }

    /// Each note in the cassette.
    pub fn cassette(&self) -> Vec<Denomination> {
        let state = self.acceptor.acceptor().expect("the acceptor answers");
        let notes = |kind: &CassetteCount| std::iter::repeat_n(kind.denomination, kind.count as usize);
        state.cassette.iter().flat_map(notes).collect()
    }

    /// What the symbols on all whole papers say that the citizen could take.
    pub fn symbols(&self) -> Vec<String> {
        let state = self.printer.printer().expect("the printer answers");
        state.papers.iter().flat_map(|paper| paper.qr_texts()).collect()
    }

    /// What helps to understand a failure.
    pub fn report(&self) -> String {
        let view = self.kiosk.as_ref().map_or("no terminal", |kiosk| kiosk.view.line.as_str());
        let notes = self.acceptor.acceptor().map(|state| state.notes);
        let bank = self.desk.as_ref().map_or_else(String::new, Desk::told);
        let mut text = format!("screen {view}\nnotes {notes:?}\n{bank}\n");
        for name in ["diary.log", "kiosk.log", "center.log", "gateway.log"] {
            let log = fs::read_to_string(self.place.directory.join(name)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            text += &format!("{name}:\n{}\n", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        text
    }
}

/// Starts a server and waits until its first line says where it serves, or the end of the stream that it has ended.
fn serve(mut command: Command, log: File) -> Server {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let stdout = child.stdout.take().expect("invariant: it is piped");
    let mut line = String::new();
    let _ = BufReader::new(stdout).read_line(&mut line);
    Server(child)
}

/// SIGTERM, and how the program ended.
fn terminate(child: &mut Child) -> ExitStatus {
    let asked = Command::new("kill").arg(child.id().to_string()).status();
    assert!(asked.is_ok(), "kill is in every base system");
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status;
        }
        std::thread::sleep(BREATH);
    }
    panic!("{} does not listen to SIGTERM", child.id());
}

/// Takes the terminal's connection and passes on each picture.
fn watch(listener: &UnixListener, send: &Sender<News>) {
    let Ok((stream, _)) = listener.accept() else { return };
    let Ok(touches) = stream.try_clone() else { return };
    if send.send(News::Connected(touches)).is_err() {
        return;
    }
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        // Half a line is all that a killed terminal leaves.
        let Ok(json) = serde_json::from_str::<Value>(&line) else { return };
        let offers = json["offers"].as_array().into_iter().flatten();
        let offers = offers.filter_map(|offer| offer.as_str().map(str::to_owned)).collect();
        let word = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let (screen, code) = (word("screen"), word("code"));
        if send.send(News::Picture(View { screen, offers, code, line })).is_err() {
            return;
        }
    }
}

/// Hears the acceptor's wire and says once when the answer to POLL has changed for the `number`-th time.
fn changes(number: u32, strike: Sender<String>) -> WireLog {
    struct Heard {
        host: Decoder,
        device: Decoder,
        polled: bool,
        last: Vec<u8>,
        changes: u32,
    }
    let heard =
        Heard { host: Decoder::new(), device: Decoder::new(), polled: false, last: Vec::new(), changes: 0 };
    let (heard, strike) = (Mutex::new(heard), Mutex::new(strike));
    Arc::new(move |direction, bytes: &[u8]| {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut input = bytes;
        if direction == Direction::FromHost {
            while let Some(found) = heard.host.next(&mut input) {
                if let Decoded::Frame(frame) = found {
                    match Ccnet::parse(&frame.payload) {
                        Ok(Ccnet::Poll) => heard.polled = true,
                        // The host's thanks come after the answer.
                        Ok(Ccnet::Ack) => {}
                        _ => heard.polled = false,
                    }
                }
            }
            return;
        }
        while let Some(found) = heard.device.next(&mut input) {
            let Decoded::Frame(frame) = found else { continue };
            let payload = frame.payload.to_vec();
            if heard.polled && payload != heard.last {
                heard.changes += 1;
                if heard.changes == number {
                    let state: Vec<String> = payload.iter().map(|byte| format!("{byte:02x}")).collect();
                    // Nobody hears it when the case is over.
                    let _ = strike.lock().unwrap_or_else(PoisonError::into_inner).send(state.join(" "));
                }
                heard.last = payload;
            }
        }
    })
}
