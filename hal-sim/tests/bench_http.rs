//! The bench over real HTTP, with real devices on ptys and a stand-in for the kiosk process at the end of the screen's socket.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tolem_hal_sim::{
    bench::{
        Bench, Books, CenterControl, Kiosk, KioskOptions, Power, PowerState, Server, Sums,
        stream::{Element, Phase, Scene, Switches, ToBench, ToKiosk},
        wire::{Way, WireLog},
    },
    ccnet_device::{CcnetConfig, Timing},
    escpos_device::EscposConfig,
    pty::open_tty,
};

#[derive(Default)]
struct FakePower {
    on: AtomicBool,
    starts: AtomicU32,
}

impl Power for FakePower {
    fn switch_on(&self) -> Result<(), String> {
        if self.on.swap(true, Ordering::SeqCst) {
            return Err("it is on already".into());
        }
        self.starts.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn kill(&self) {
        self.on.store(false, Ordering::SeqCst);
    }

    fn state(&self) -> PowerState {
        let on = self.on.load(Ordering::SeqCst);
        PowerState { on, pid: on.then_some(42), ended: (!on).then(|| "pulled".into()) }
    }
}

#[derive(Default)]
struct FakeCenter {
    registry_down: AtomicBool,
}

impl CenterControl for FakeCenter {
    fn registry_up(&self) -> bool {
        !self.registry_down.load(Ordering::SeqCst)
    }

    fn set_registry(&self, up: bool) {
        self.registry_down.store(!up, Ordering::SeqCst);
    }

    fn gateway_up(&self) -> bool {
        true
    }

    fn set_gateway(&self, _: bool) {}

    fn issuer(&self, line: &str) -> Result<String, String> {
        match line {
            "ledger" => Ok("taken 0 tenge, held 0 tenge".into()),
            _ => Err("allowed: ledger".into()),
        }
    }
}

struct FakeBooks;

impl Books for FakeBooks {
    fn read(&self, kiosk: usize) -> Result<Sums, String> {
        assert_eq!(kiosk, 0);
        Ok(Sums { journal: 7_500, records: 21, in_doubt: 500, center: 5_000 })
    }
}

struct Stand {
    server: Server,
    bench: Arc<Bench>,
    directory: PathBuf,
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl Stand {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("tolem-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let wire = Arc::new(WireLog::default());
        let kiosk = Kiosk::set_up(
            KioskOptions {
                index: 0,
                number: 1,
                acceptor: CcnetConfig { timing: Timing::FAST, ..CcnetConfig::default() },
                printer: EscposConfig::fast(),
                lines: directory.clone(),
                socket: directory.join("screen"),
                center: SocketAddr::from((Ipv4Addr::LOCALHOST, 9)),
                cassette: None,
                sred: false,
            },
            &wire,
        )
        .unwrap();
        kiosk.plug_in(Arc::new(FakePower::default()));
        kiosk.switch_on().unwrap();
        let bench = Arc::new(Bench {
            kiosks: vec![kiosk],
            center: Box::new(FakeCenter::default()),
            books: Box::new(FakeBooks),
            wire,
            directory: directory.clone(),
            commands: Vec::new(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = Server::start(bench.clone(), listener).unwrap();
        Self { server, bench, directory }
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        Reply { status, head: head.to_lowercase(), body: bytes[end + 4..].to_vec() }
    }

    fn host(&self) -> String {
        format!("host: {}\r\n", self.server.address())
    }

    fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &self.host(), "")
    }

    fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &(self.host() + "content-type: application/json\r\n"), &body.to_string())
    }

    fn act(&self, device: &str, what: &str) -> Reply {
        self.post(&format!("/api/device/{device}"), &json!({ "do": what }))
    }

    /// A kiosk process that has drawn one button and one text.
    fn kiosk(&self) -> UnixStream {
        let mut kiosk = UnixStream::connect(self.directory.join("screen")).unwrap();
        kiosk.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(ToKiosk::read(&mut kiosk).unwrap(), Some(ToKiosk::Switches(Switches::default())));
        let element = |role: &str, label: &str, enabled| Element {
            role: role.into(),
            label: label.into(),
            value: String::new(),
            x: 100.0,
            y: 200.0,
            w: 40.0,
            h: 20.0,
            enabled,
            selected: false,
        };
        let scene = Scene {
            screen: "quote".into(),
            language: "en".into(),
            width: 1080,
            height: 1920,
            elements: vec![
                element("text", "Total", true),
                element("button", "5\u{202f}000\u{202f}₸", true),
                element("button", "Next", false),
            ],
        };
        let after = self.get("/api/screen").json()["frame"].as_u64().unwrap();
        ToBench::Picture { scene, png: b"a picture".to_vec() }.write(&mut kiosk).unwrap();
        let seen = self.get(&format!("/api/screen?after={after}&wait_ms=10000")).json();
        assert_eq!((&seen["screen"], &seen["connected"]), (&json!("quote"), &json!(true)));
        kiosk
    }
}

#[test]
fn the_page_and_the_screen_are_served_and_an_end_of_the_kiosk_is_seen() {
    let stand = Stand::new("screen");
    let page = stand.get("/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-security-policy") && page.head.contains("frame-ancestors 'none'"));
    assert_eq!((stand.get("/bench.js").status, stand.get("/bench.css").status), (200, 200));
    assert_eq!(stand.get("/api/screen.png").status, 404, "dark");

    let kiosk = stand.kiosk();
    let picture = stand.get("/api/screen.png");
    assert_eq!((picture.status, picture.body.as_slice()), (200, &b"a picture"[..]));
    let frame: u64 = picture.head.split("x-frame: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert_eq!(stand.get(&format!("/api/screen.png?after={frame}")).status, 204);

    drop(kiosk);
    let gone = stand.get(&format!("/api/screen?after={frame}&wait_ms=10000")).json();
    assert_eq!((&gone["connected"], &gone["elements"]), (&json!(false), &json!([])));
    assert_eq!(stand.post("/api/touch", &json!({ "x": 1, "y": 1 })).status, 409);
}

#[test]
fn a_label_is_tapped_in_its_middle_and_a_wrong_one_names_those_that_are_there() {
    let stand = Stand::new("touch");
    let mut kiosk = stand.kiosk();
    let done = stand.post("/api/touch", &json!({ "label": "5 000 ₸", "role": "button" }));
    assert_eq!(done.status, 200);
    let Some(ToKiosk::Touch(touch)) = ToKiosk::read(&mut kiosk).unwrap() else { panic!("no touch") };
    assert_eq!((touch.phase, touch.x, touch.y), (Phase::Tap, 120.0, 210.0));

    for missing in ["Next", "Total", "Nothing"] {
        let refused = stand.post("/api/touch", &json!({ "label": missing }));
        assert_eq!(
            (refused.status, &refused.json()["allowed"]),
            (404, &json!(["5\u{202f}000\u{202f}₸"])),
            "{missing}"
        );
    }
    assert_eq!(stand.post("/api/touch", &json!({ "x": 7, "y": 9, "phase": "moved" })).status, 200);
    let Some(ToKiosk::Touch(touch)) = ToKiosk::read(&mut kiosk).unwrap() else { panic!("no touch") };
    assert_eq!((touch.phase, touch.x, touch.y), (Phase::Moved, 7.0, 9.0));
    for wrong in [
        json!({}),
        json!({ "x": 1080, "y": 0 }),
        json!({ "x": -1, "y": 0 }),
        json!({ "x": 1, "y": 1, "phase": "hit" }),
        json!({ "x": 1, "y": 1, "z": 1 }),
    ] {
        assert_eq!(stand.post("/api/touch", &wrong).status, 400, "{wrong}");
    }
}

#[test]
fn hands_move_devices_and_the_state_tells_the_truth() {
    let stand = Stand::new("hands");
    let mut kiosk = stand.kiosk();
    for (device, words, fault) in [
        ("acceptor", "cassette out", "cassette out"),
        ("acceptor", "unplug", "acceptor unplugged"),
        ("printer", "paper low", "paper low"),
        ("printer", "cover open", "cover open"),
        ("link", "slow 50", "link slow"),
        ("link", "answers-lost", "answers lost"),
        ("link", "down", "link down"),
        ("cabinet", "door open", "door open"),
        ("center", "registry down", "registry down"),
    ] {
        assert_eq!(stand.act(device, words).status, 200, "{device} {words}");
        let faults = stand.get("/api/state").json()["faults"].clone();
        assert!(faults.as_array().unwrap().contains(&json!(fault)), "{words}: {faults}");
    }
    let doors = ToKiosk::Switches(Switches { door_open: true, safe_open: false });
    assert_eq!(ToKiosk::read(&mut kiosk).unwrap(), Some(doors));
    for (device, words, status) in [
        ("acceptor", "explode", 400),
        ("acceptor", "insert", 400),
        ("acceptor", "take", 409),
        ("printer", "paper blue", 400),
        ("link", "slow", 400),
        ("link", "slow 0", 400),
        ("power", "maybe", 400),
        ("power", "off when", 400),
        ("power", "on", 409),
        ("cabinet", "door ajar", 400),
        ("center", "gateway", 400),
        ("toaster", "on", 404),
    ] {
        let refused = stand.act(device, words);
        assert_eq!(refused.status, status, "{device} {words}");
        assert!(refused.json()["error"].as_str().is_some_and(|text| !text.is_empty()));
    }
}

#[test]
fn the_books_stand_beside_the_cassette() {
    let stand = Stand::new("books");
    let books = stand.get("/api/books").json();
    let wanted = json!({ "cassette": 0, "collected": 0, "journal": 7_500, "records": 21, "in_doubt": 500, "center": 5_000 });
    assert_eq!(books, wanted);
}

#[test]
fn the_plug_can_be_pulled_put_back_and_armed() {
    use tolem_protocol::ccnet::Command;
    let stand = Stand::new("plug");
    let power = || stand.get("/api/state").json()["power"].clone();
    assert_eq!(power()["on"], json!(true));
    assert_eq!(stand.act("power", "off").status, 200);
    assert_eq!((&power()["on"], &power()["ended"]), (&json!(false), &json!("pulled")));
    assert_eq!(stand.get("/api/state").json()["acceptor"]["powered"], json!(false), "the devices too");
    assert_eq!(stand.act("power", "on").status, 200);
    assert_eq!(stand.get("/api/state").json()["acceptor"]["powered"], json!(true));
    assert_eq!(stand.act("power", "crash").status, 200);
    assert_eq!(stand.get("/api/state").json()["acceptor"]["powered"], json!(true), "only the process");
    assert_eq!(stand.act("power", "on").status, 200);

    assert_eq!(stand.act("power", "off when ordered").status, 200);
    assert_eq!(power()["armed"], json!("ordered"));
    let mut line = open_tty(&stand.directory.join("acceptor"), 9600).unwrap();
    line.write_all(&Command::Stack.frame()).unwrap();
    // The log says it when it is done.
    let mut after = 0;
    loop {
        let wire = stand.get(&format!("/api/wire?source=bench&after={after}&wait_ms=10000")).json();
        let entries = wire["entries"].as_array().unwrap().clone();
        assert!(!entries.is_empty(), "the plug was never pulled");
        if entries.iter().any(|entry| entry["text"] == "the armed plug was pulled: ordered") {
            break;
        }
        after = wire["next"].as_u64().unwrap();
    }
    assert_eq!((&power()["on"], &power()["armed"]), (&json!(false), &json!(null)));
}

#[test]
fn the_wire_is_read_on_from_where_one_was() {
    let stand = Stand::new("wire");
    stand.bench.wire.message(0, Way::FromKiosk, "Hello".into());
    stand.bench.wire.step(0, 10, "notes".into());
    let all = stand.get("/api/wire?after=0").json();
    let texts: Vec<&Value> = all["entries"].as_array().unwrap().iter().map(|entry| &entry["text"]).collect();
    assert!(texts.contains(&&json!("Hello")) && texts.contains(&&json!("notes")));
    let next = all["next"].as_u64().unwrap();
    let later = stand.bench.clone();
    let waiting = std::thread::scope(|scope| {
        let answer = scope.spawn(|| stand.get(&format!("/api/wire?after={next}&wait_ms=10000")).json());
        later.wire.message(0, Way::ToKiosk, "Welcome".into());
        answer.join().unwrap()
    });
    assert_eq!(waiting["entries"][0]["text"], json!("Welcome"));
    let traced = stand.get("/api/wire?source=trace").json();
    assert_eq!((traced["entries"].as_array().unwrap().len(), &traced["entries"][0]["step"]), (1, &json!(10)));
    assert_eq!(stand.get("/api/wire?source=gossip").status, 400);
}

#[test]
fn strangers_and_nonsense_are_refused_with_what_is_allowed() {
    let stand = Stand::new("strangers");
    let json_type = "content-type: application/json\r\n";
    let off = r#"{"do":"off"}"#;
    for (headers, status) in [
        ("host: bench.example\r\n".to_owned() + json_type, 403),
        (json_type.to_owned(), 403),
        (stand.host() + "origin: http://evil.example\r\n" + json_type, 403),
        (stand.host() + "sec-fetch-site: cross-site\r\n" + json_type, 403),
        (stand.host() + "content-type: text/plain\r\n", 415),
    ] {
        assert_eq!(stand.send("POST", "/api/device/power", &headers, off).status, status, "{headers}");
    }
    assert_eq!(stand.get("/api/state").json()["power"]["on"], json!(true), "nobody pulled the plug");
    assert!(!stand.get("/api/state").head.contains("access-control"), "no CORS");

    for (path, status) in [
        ("/api/screen?kiosk=1", 400),
        ("/api/screen?kiosk=-1", 400),
        ("/api/screen?wait_ms=99999", 400),
        ("/api/state?wait_ms=1", 400),
        ("/api/paper/1.png", 404),
        ("/api/paper/..%2f..%2fetc", 404),
        ("/nothing", 404),
        ("/api/touch", 405),
    ] {
        let refused = stand.get(path);
        assert_eq!(refused.status, status, "{path}");
        assert!(refused.json()["allowed"].is_array(), "{path}");
    }
    let post = |body: &str| stand.send("POST", "/api/device/power", &(stand.host() + json_type), body).status;
    assert_eq!(
        (post("{"), post("[]"), post("{}"), post(r#"{"do":7}"#), post(r#"{"do":"off","why":1}"#)),
        (400, 400, 400, 400, 400)
    );
    assert_eq!(post(&format!(r#"{{"do":"{}"}}"#, "x".repeat(5_000))), 413);
    assert_eq!(stand.send("PUT", "/api/state", &stand.host(), "").status, 405);
}

#[test]
fn a_listener_that_others_could_reach_is_refused() {
    let stand = Stand::new("listener");
    let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let error = Server::start(stand.bench.clone(), listener).err().unwrap().to_string();
    assert!(error.contains("127.0.0.1 only"), "{error}");
}
