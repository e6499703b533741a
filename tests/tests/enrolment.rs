//! A terminal enrols as its technician does it: `tolem enroll` against a served center, killed at every write and sync, with wrong
//! codes, wrong clocks and disks that take nothing; and its certificate renews itself with the old key.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use data_encoding::BASE64;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
};
use tolem_center::{
    config::Config as CenterConfig,
    logic::{
        Keys as _,
        enrolment::{Enrolment as _, InviteRow, Issued, note_certificate},
        store::Transact as _,
    },
    pki::{Pki, Profile, key_of_pem},
    server::{self, Options, Running, system_clock},
    setup,
};
use tolem_firmware::{
    config::Config,
    enroll::{life, renew},
    link::tls::{Clock, client_config},
};
use tolem_protocol::{KioskNumber, UtcTime};
use tolem_tests::secrets::SearchedFolder;
use tolem_tests::{
    bench::{tolem, tolem_center},
    kill::armed,
};

const KIOSK: u32 = 42;

fn number() -> KioskNumber {
    KioskNumber::new(KIOSK).unwrap()
}

/// A served center with the operator aigul, and the disk of a terminal that knows where it is.
struct Site {
    home: SearchedFolder,
    center: CenterConfig,
    running: Running,
}

impl Site {
    fn new() -> Self {
        let home = SearchedFolder::new("tolem-enrol-");
        let directory = home.path().join("center");
        let mut center = setup::init(&directory, &["localhost".into()], system_clock()).unwrap();
        setup::found_operator(&center, "aigul", &home.path().join("aigul.key"), system_clock()).unwrap();
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        center.listen = free;
        center.crl_listen = Some(free);
        center.enroll_listen = Some(free);
        let options =
            Options { config: center.clone(), observer: None, clock: system_clock, neighbours: None };
        let running = server::start(options).unwrap();
        let site = Self { home, center, running };
        site.kiosk("kiosk");
        site
    }

    /// Writes the configuration of a terminal in a directory of its own.
    fn kiosk(&self, name: &str) -> PathBuf {
        let directory = self.home.path().join(name);
        fs::create_dir_all(directory.join("tls")).unwrap();
        fs::copy(self.center.directory.join("pki/root.crt"), directory.join("tls/center-ca.pem")).unwrap();
        let keys = Pki::at(&self.center.directory).keys().unwrap();
        let text = format!(
            "[kiosk]\nnumber = {KIOSK}\noperator = \"bank\"\naddress = \"street\"\n\
             [center]\nhost = \"127.0.0.1\"\nport = {}\nserver_name = \"localhost\"\nca = \"tls/center-ca.pem\"\n\
             certificate = \"tls/kiosk.pem\"\nkey = \"tls/kiosk.key\"\ncrl = \"tls/center.crl\"\ncrl_port = {}\nenroll_port = {}\n\
             statement_key = \"{}\"\nsealing_key = \"{}\"\nwitness_key = \"{}\"\n\
             [acceptor]\ndriver = \"ccnet\"\nport = \"acceptor\"\n[printer]\ndriver = \"escpos\"\nport = \"printer\"\n\
             [screen]\nformat = \"portrait\"\nbackend = \"headless\"\n[journal]\npath = \"journal.db\"\nkeys = \"keys\"\n",
            self.running.addr.port(),
            self.running.crl_addr.unwrap().port(),
            self.running.enroll_addr.unwrap().port(),
            BASE64.encode(&keys.statement_public()),
            BASE64.encode(&keys.sealing_public()),
            keys.witness().to_vkey(),
        );
        let file = directory.join("kiosk.toml");
        fs::write(&file, text).unwrap();
        file
    }

    fn config(&self) -> PathBuf {
        self.home.path().join("kiosk/kiosk.toml")
    }

    /// A code from the command line of the center.
    fn invite(&self) -> String {
        let output = Command::new(tolem_center())
            .args(["kiosk", "invite", "42", "--config"])
            .arg(self.center.directory.join("center.toml"))
            .arg("--as")
            .arg(self.home.path().join("aigul.key"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        text.lines().next().unwrap().to_owned()
    }

    /// Says hello over the link with the certificate of this terminal.
    fn greet(&self, config: &Path) -> Result<(), String> {
        let center = Config::load(config).unwrap().center;
        let (config, name) = client_config(&center, &Arc::new(Clock::new()))?;
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let tcp = std::net::TcpStream::connect(self.running.addr).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, tcp);
        let hello = tolem_protocol::messages::Request::Hello(tolem_protocol::messages::Hello {
            software: heapless::String::new(),
            boot_nonce: [7; 16],
            epoch: 0,
            journal_size: 0,
            clock: system_clock(),
            center_epoch: 0,
        });
        let say = |error: std::io::Error| error.to_string();
        stream.write_all(&tolem_protocol::messages::encode(1, &hello)).map_err(say)?;
        let mut field = [0; 4];
        stream.read_exact(&mut field).map_err(say)
    }
}

fn enroll(config: &Path, code: &str, more: &[&str]) -> Output {
    let mut child = Command::new(tolem())
        .arg("enroll")
        .args(more)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{code}\n").as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// It failed, with these words.
fn fails(output: &Output, words: &str) {
    assert!(!output.status.success() && said(output).contains(words), "{words}: {}", said(output));
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

#[test]
fn a_technician_enrols_a_terminal() {
    let site = Site::new();
    let config = site.config();
    let code = site.invite();
    fails(&enroll(&config, "hello", &[]), "this is no code");
    fails(&enroll(&config, "0000-0000-0000-0000", &[]), "no such code for this terminal");
    assert!(!config.with_file_name("tls").join("kiosk.pem").exists());
    // As somebody types it.
    succeeds(&enroll(&config, &code.to_lowercase().replace('-', " "), &[]));
    site.greet(&config).unwrap();
    fails(&enroll(&config, &code, &[]), "this terminal has a certificate until");
    fails(&enroll(&config, &code, &["--again"]), "was used before");
    site.greet(&config).unwrap();
    // The key that was begun with goes on to be used with the next code.
    succeeds(&enroll(&config, &site.invite(), &["--again"]));
    site.greet(&config).unwrap();

    let check = Command::new(tolem()).args(["config", "check"]).arg(&config).output().unwrap();
    assert!(
        said(&check).contains("729 days left") || said(&check).contains("730 days left"),
        "{}",
        said(&check)
    );
    let list = Command::new(tolem_center())
        .args(["kiosk", "list", "--config"])
        .arg(site.center.directory.join("center.toml"))
        .output()
        .unwrap();
    assert!(said(&list).contains("days left  open"), "{}", said(&list));
}

#[test]
fn what_is_in_the_way_uses_no_code_up() {
    let site = Site::new();
    let config = site.config();
    let code = site.invite();
    let text = fs::read_to_string(&config).unwrap();
    let change = |from: &str, to: &str| {
        assert!(text.contains(from));
        fs::write(&config, text.replace(from, to)).unwrap();
    };
    change("tls/kiosk.pem", "/proc/kiosk.pem");
    fails(&enroll(&config, &code, &[]), "/proc/kiosk.pem");
    change("tls/kiosk.key", "/proc/kiosk.key");
    fails(&enroll(&config, &code, &[]), "/proc/kiosk.key.pending");
    change(&format!("enroll_port = {}", site.running.enroll_addr.unwrap().port()), "");
    fails(&enroll(&config, &code, &[]), "enroll_port is not set");
    change("\"localhost\"", "\"center.example.kz\"");
    fails(&enroll(&config, &code, &[]), "not valid for name");
    fs::write(&config, &text).unwrap();
    succeeds(&enroll(&config, &code, &[]));
    site.greet(&config).unwrap();
}

#[test]
fn a_code_past_its_end_is_named() {
    let site = Site::new();
    let code = site.invite();
    site.running
        .operate(|store, _| {
            store.transact(|store| {
                let row = store.invite(number())?.unwrap();
                store.put_invite(&InviteRow { until: system_clock(), ..row })
            })
        })
        .unwrap()
        .unwrap();
    fails(&enroll(&site.config(), &code, &[]), "too old");
}

#[test]
fn killed_at_every_write_and_sync_it_is_finished_by_the_next_try() {
    let site = Site::new();
    let mut cuts = 0;
    for how in ["kill", "half"] {
        for cut in 1.. {
            let config = site.kiosk(&format!("{how}-{cut}"));
            let directory = config.parent().unwrap();
            let code = site.invite();
            let log = directory.join("calls");
            let watch = [("disk", directory.display().to_string()), ("center", "inet".to_owned())];
            let mut command = Command::new(tolem());
            command.args(["enroll", "--code", &code, "--config"]).arg(&config);
            command.envs(armed(&watch, Some(&format!("any {cut} {how}")), &log));
            let output = command.output().unwrap();
            if output.status.success() {
                break;
            }
            cuts += 1;
            let again = enroll(&config, &code, &[]);
            // It may have died after the last rename, with nothing left to do.
            assert!(
                again.status.success() || said(&again).contains("this terminal has a certificate until"),
                "{how} at {cut}: {}\n{}",
                said(&again),
                fs::read_to_string(&log).unwrap_or_default()
            );
            site.greet(&config).unwrap_or_else(|error| panic!("{how} at {cut}: {error}"));
            let left: Vec<_> = fs::read_dir(directory.join("tls"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.contains("pending"))
                .collect();
            assert_eq!(left, Vec::<String>::new(), "{how} at {cut}");
        }
    }
    // The journal, two key files, the list, the TLS key, the question, the certificate: fewer mean that something is not counted.
    assert!(cuts > 40, "{cuts} cuts");
    println!("{cuts} cuts");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn ask_renewal(config: &Path, wall: Option<fn() -> i64>) -> Result<(), String> {
    let clock = Arc::new(wall.map_or_else(Clock::new, Clock::with_wall));
    runtime().block_on(renew(&Config::load(config).unwrap().center, number(), &clock)).map(drop)
}

/// Puts a certificate with this end on the terminal and into the center's books.
fn plant(site: &Site, until: UtcTime) -> Issued {
    let now = system_clock();
    let profile =
        Profile { not_before: until.plus_seconds(-86_400 * 30), not_after: until, ..Profile::standard(now) };
    let identity = Pki::at(&site.center.directory).make(number(), &profile).unwrap();
    let tls = site.home.path().join("kiosk/tls");
    fs::write(tls.join("kiosk.pem"), &identity.certificate).unwrap();
    fs::write(tls.join("kiosk.key"), identity.key.as_bytes()).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(tls.join("kiosk.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let (key, issued) = key_of_pem(&identity.certificate).unwrap();
    let copy = issued.clone();
    site.running
        .operate(move |store, _| store.transact(|store| note_certificate(store, number(), key, &copy)))
        .unwrap()
        .unwrap();
    issued
}

#[test]
fn a_certificate_past_its_end_opens_no_link_but_gets_the_next_one() {
    let site = Site::new();
    let config = site.config();
    succeeds(&enroll(&config, &site.invite(), &[]));
    plant(&site, system_clock().plus_seconds(-3_600));
    let refused = site.greet(&config).unwrap_err();
    assert!(refused.contains("xpired"), "{refused}");
    let tls = site.home.path().join("kiosk/tls");
    let old = [fs::read(tls.join("kiosk.pem")).unwrap(), fs::read(tls.join("kiosk.key")).unwrap()];
    ask_renewal(&config, None).unwrap();
    site.greet(&config).unwrap();
    let days = life(&Config::load(&config).unwrap().center).unwrap().days_left(system_clock());
    assert!((729..=730).contains(&days), "{days} days are left");
    // Whoever finds the old key on an old disk gets nothing with it.
    fs::write(tls.join("kiosk.pem"), &old[0]).unwrap();
    fs::write(tls.join("kiosk.key"), &old[1]).unwrap();
    let refused = ask_renewal(&config, None).unwrap_err();
    assert!(refused.contains("newer certificate"), "{refused}");
}

#[test]
fn a_wrong_clock_is_named() {
    let site = Site::new();
    let config = site.config();
    succeeds(&enroll(&config, &site.invite(), &[]));
    // 2040: the center's certificate and its revocation list are long over.
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("crl = \"tls/center.crl\"\n", "")).unwrap();
    let refused = ask_renewal(&config, Some(|| 2_208_988_800)).unwrap_err();
    assert!(refused.contains("xpired") && refused.contains("our clock: 01.01.2040"), "{refused}");
}

#[test]
fn a_revoked_terminal_renews_nothing_with_any_of_its_keys() {
    let site = Site::new();
    let config = site.config();
    succeeds(&enroll(&config, &site.invite(), &[]));
    let tls = site.home.path().join("kiosk/tls");
    let pair = || [fs::read(tls.join("kiosk.pem")).unwrap(), fs::read(tls.join("kiosk.key")).unwrap()];
    let first = pair();
    ask_renewal(&config, None).unwrap();
    let second = pair();
    assert_ne!(first, second);
    Pki::at(&site.center.directory).revoke(number(), system_clock()).unwrap();
    site.running.reload().unwrap();
    for [certificate, key] in [second, first] {
        fs::write(tls.join("kiosk.pem"), certificate).unwrap();
        fs::write(tls.join("kiosk.key"), key).unwrap();
        let refused = ask_renewal(&config, None).unwrap_err();
        assert!(refused.contains("evoked"), "{refused}");
        assert!(site.greet(&config).is_err());
    }
    // Invited again, it comes back.
    succeeds(&enroll(&config, &site.invite(), &["--again"]));
    site.greet(&config).unwrap();
}
