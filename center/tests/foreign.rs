//! Judged by software that nobody here wrote: libxml2, xmlsec1, signxml, zeep, openssl.
//!
//! `./tests/run` installs them: `xmlsec1` and `openssl` from Debian, the Python packages of `tests/foreign/requirements.txt` into
//! `target/foreign`. What is missing fails loudly.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

use serde_json::Value;
use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;
use tolem_center::{
    config::Config,
    gateway::{
        config::{GATEWAY_FILE, GatewayConfig},
        server::{self as gateway, Running},
        setup,
    },
    pki::{
        Pki, Profile,
        nca::{Authority, Purpose},
    },
    server::{self, system_clock},
    xmlsig::{KeyFile, Trust, c14n, sign, verify},
};
use tolem_protocol::KioskNumber;

const PAY: &str = "<t:Pay xmlns:t=\"urn:t\"><t:Amount currency=\"KZT\">3932.00</t:Amount></t:Pay>";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(name)
}

fn python() -> PathBuf {
    let place = std::env::var_os("TOLEM_FOREIGN").map(PathBuf::from);
    let place = place.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign"));
    let python = place.join("bin/python");
    assert!(python.exists(), "{} is missing: ./tests/run makes it", python.display());
    python
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command that must succeed, and gives what it printed.
fn done(command: &mut Command) -> String {
    let output = output(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed:\n{out}\n{err}");
    out.into_owned()
}

#[test]
fn the_canonical_form_is_libxml2s() {
    let text = done(Command::new(python()).arg(script("documents.py")).args(["1", "1500"]));
    let mut documents = 0;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| case[name].as_str().unwrap();
        let xml = field("xml");
        let document = roxmltree::Document::parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
        let index = usize::try_from(case["index"].as_u64().unwrap()).unwrap();
        let part = document.descendants().filter(roxmltree::Node::is_element).nth(index).unwrap();
        let prefixes: Vec<&str> =
            case["prefixes"].as_array().unwrap().iter().map(|prefix| prefix.as_str().unwrap()).collect();
        let plain = c14n::Options::default();
        let listed = c14n::Options { inclusive: &prefixes, without: None };
        let all =
            [("whole", document.root(), &plain), ("part", part, &plain), ("part_inclusive", part, &listed)];
        for (name, node, options) in all {
            let ours = String::from_utf8(c14n::canonical(node, options)).unwrap();
            assert_eq!(ours, field(name), "{name} of {xml:?} with {prefixes:?}");
        }
        documents += 1;
    }
    assert_eq!(documents, 1_500);
}

/// An RSA key made by openssl, with a certificate of the authority.
fn rsa_pair(authority: &Authority, folder: &Path, file: &str, who: &str) {
    let (key, request) = (folder.join(format!("{file}.key")), folder.join("request.pem"));
    done(
        Command::new("openssl")
            .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"])
            .arg(&key),
    );
    done(
        Command::new("openssl")
            .args(["req", "-new", "-subj", "/CN=x", "-key"])
            .arg(&key)
            .arg("-out")
            .arg(&request),
    );
    let request = fs::read_to_string(request).unwrap();
    let certificate =
        authority.certify(who, &Purpose::Sign, &request, &Profile::standard(system_clock())).unwrap();
    fs::write(folder.join(format!("{file}.crt")), certificate).unwrap();
}

fn pair(authority: &Authority, folder: &Path, file: &str, purpose: &Purpose) {
    let identity = authority.issue("bank", purpose, &Profile::standard(system_clock())).unwrap();
    fs::write(folder.join(format!("{file}.crt")), identity.certificate).unwrap();
    fs::write(folder.join(format!("{file}.key")), identity.key.as_bytes()).unwrap();
}

#[test]
fn others_verify_our_signatures_and_we_verify_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let authority = Authority::create(&home.join("nca"), system_clock()).unwrap();
    rsa_pair(&authority, home, "rsa", "bank");
    pair(&authority, home, "ec", &Purpose::Sign);
    pair(&authority, home, "channel", &Purpose::Connect);
    let subject = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bank", "-days", "2"];
    let usage =
        ["-addext", "extendedKeyUsage=emailProtection", "-addext", "basicConstraints=critical,CA:false"];
    done(
        Command::new("openssl")
            .args(subject)
            .args(usage)
            .arg("-keyout")
            .arg(home.join("self.key"))
            .arg("-out")
            .arg(home.join("self.crt")),
    );
    fs::create_dir(home.join("ours")).unwrap();
    for kind in ["rsa", "ec"] {
        let signer =
            KeyFile::read(&home.join(format!("{kind}.crt")), &home.join(format!("{kind}.key"))).unwrap();
        let ours = |name: &str, text: String| {
            fs::write(home.join("ours").join(format!("{name}-{kind}.xml")), text).unwrap()
        };
        ours("message", sign::message(&signer, PAY, system_clock()).unwrap());
        ours("document", sign::enveloped(&signer, PAY).unwrap());
    }
    seal_of_a_record(home);
    done(Command::new(python()).arg(script("signatures.py")).arg(home));

    let trust = Trust::read(&home.join("nca")).unwrap();
    let judge = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        if path.to_string_lossy().contains("document")
            || !String::from_utf8_lossy(&bytes).contains("Envelope")
        {
            verify::enveloped(&bytes, &trust, system_clock()).map(|read| read.root)
        } else {
            verify::message(&bytes, &trust, system_clock()).map(|read| read.body)
        }
    };
    let files = |folder: &str| -> Vec<PathBuf> {
        fs::read_dir(home.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let theirs = files("theirs");
    assert_eq!(theirs.len(), 10, "signxml, zeep and xmlsec1 with three prefix lists, two algorithms each");
    for path in theirs {
        let read = judge(&path).unwrap_or_else(|refused| panic!("{}: {refused}", path.display()));
        assert!(String::from_utf8(read).unwrap().contains("3932.00"), "{}", path.display());
    }
    let bad = files("bad");
    assert_eq!(bad.len(), 12);
    for path in bad {
        let wanted = path.file_name().unwrap().to_str().unwrap().split("--").next().unwrap().to_owned();
        let said = judge(&path).map(|_| "ACCEPTED").map_err(|refused| refused.reason.word());
        assert_eq!(said, Err(wanted.as_str()), "{}", path.display());
    }
}

/// Takes one message at a gateway and lays its sealed record and the gateway's certificate beside our signatures.
fn seal_of_a_record(home: &Path) {
    use tolem_center::gateway::{
        server::Faults,
        words::{Request, Token},
    };
    let place = home.join("gateway");
    setup::init(&place, &["localhost".into()], system_clock()).unwrap();
    let config = GatewayConfig::read(&place.join(GATEWAY_FILE)).unwrap();
    let desk = gateway::open(&config, &Faults::default(), system_clock()).unwrap();
    let bank = place.join("parties/bank");
    let signer = KeyFile::read(&bank.join("sign.crt"), &bank.join("sign.key")).unwrap();
    let order = format!(
        "<t:CreateUpc xmlns:t=\"urn:tolem:gateway:1\"><t:MessageId>{}</t:MessageId><t:TransactionNumber>1</t:TransactionNumber>\
         <t:Kiosk>42</t:Kiosk><t:ServiceCode>id-card</t:ServiceCode><t:PayerIin>000101300019</t:PayerIin>\
         <t:AmountTiyn>86500</t:AmountTiyn></t:CreateUpc>",
        Token::random()
    );
    let message = sign::message(&signer, &order, system_clock()).unwrap();
    let answer = desk.answer(message.as_bytes(), "bank", Request::OPERATIONS, system_clock()).unwrap();
    assert_eq!(answer.fault, None);
    let mut seals = Vec::new();
    desk.store.lock().unwrap().each_record(&mut |record| seals.push(record.seal)).unwrap();
    fs::write(home.join("ours/record.xml"), &seals[0]).unwrap();
    fs::copy(place.join("identity/sign.crt"), home.join("gateway.crt")).unwrap();
}

fn served() -> (TempDir, Running) {
    let directory = tempfile::tempdir().unwrap();
    setup::init(directory.path(), &["localhost".into()], system_clock()).unwrap();
    let file = directory.path().join(GATEWAY_FILE);
    let text = fs::read_to_string(&file).unwrap().replace("127.0.0.1:7543", "127.0.0.1:0");
    fs::write(&file, text).unwrap();
    let config = GatewayConfig::read(&file).unwrap();
    let running = gateway::start(gateway::Options { config, observer: None, clock: system_clock }).unwrap();
    (directory, running)
}

#[test]
fn zeep_calls_every_operation_from_the_description() {
    let (directory, running) = served();
    let authority = Authority::at(&directory.path().join("nca"));
    // The portal signs with RSA, everybody else with P-256.
    let portal = directory.path().join("parties/portal");
    rsa_pair(&authority, &portal, "sign", "portal");
    fs::write(portal.join("rsa"), "").unwrap();
    let said = done(
        Command::new(python())
            .arg(script("calls.py"))
            .arg(directory.path().join("parties"))
            .arg(directory.path().join("identity/sign.crt"))
            .arg(format!("localhost:{}", running.addr.port())),
    );
    assert_eq!(said.trim(), "every operation was called");
}

/// A TLS port as `openssl s_client` sees it, with one participant's files.
struct Port<'a> {
    addr: SocketAddr,
    root: &'a Path,
    /// What a good client says, so that the server answers or hangs up by itself.
    greeting: &'a str,
}

impl Port<'_> {
    /// What openssl printed: `Ok` if the server let it in, `Err` if it got an alert or no channel.
    fn try_with(&self, certificate: Option<(&Path, &Path)>, options: &[&str]) -> Result<String, String> {
        let mut command = Command::new("timeout");
        command
            .args(["20", "openssl", "s_client", "-ign_eof", "-servername", "localhost", "-CAfile"])
            .arg(self.root);
        command.arg("-connect").arg(format!("localhost:{}", self.addr.port())).args(options);
        if let Some((certificate, key)) = certificate {
            command.arg("-cert").arg(certificate).arg("-cert_chain").arg(certificate).arg("-key").arg(key);
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(self.greeting.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_ne!(output.status.code(), Some(124), "openssl waits for ever: {text}");
        if text.contains("alert") || !text.contains("Verify return code: 0 (ok)") {
            Err(text)
        } else {
            Ok(text)
        }
    }

    fn judge(&self, good: (&Path, &Path), wrong_purpose: (&Path, &Path), revoked: (&Path, &Path)) {
        let session = tempfile::tempdir().unwrap();
        let kept = session.path().join("session");
        let kept_name = kept.to_str().unwrap().to_owned();
        let welcome = self.try_with(Some(good), &["-sess_out", &kept_name]).unwrap();
        assert!(welcome.contains("TLSv1.3"), "{welcome}");
        assert!(
            !kept.exists() && !welcome.contains("New Session Ticket arrived"),
            "nothing can be resumed: {welcome}"
        );
        let old = self.try_with(Some(good), &["-tls1_2"]).unwrap_err();
        assert!(old.contains("alert protocol version"), "{old}");
        let nobody = self.try_with(None, &[]).unwrap_err();
        assert!(nobody.contains("alert certificate required"), "{nobody}");
        for (name, pair) in [("wrong purpose", wrong_purpose), ("revoked", revoked)] {
            let said = self.try_with(Some(pair), &[]).unwrap_err();
            assert!(said.contains("alert"), "{name}: {said}");
        }
    }
}

#[test]
fn openssl_finds_the_gateways_port_closed_to_all_but_participants() {
    let (directory, running) = served();
    let party = |who: &str, file: &str| directory.path().join("parties").join(who).join(file);
    let port = Port {
        addr: running.addr,
        root: &directory.path().join("nca/root.crt"),
        greeting: "GET /crl HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    };
    setup::revoke(directory.path(), "auditor", system_clock()).unwrap();
    running.reload().unwrap();
    let files: Vec<PathBuf> = [
        "bank channel.crt",
        "bank channel.key",
        "bank sign.crt",
        "bank sign.key",
        "auditor channel.crt",
        "auditor channel.key",
    ]
    .iter()
    .map(|text| text.split_once(' ').unwrap())
    .map(|(who, file)| party(who, file))
    .collect();
    port.judge((&files[0], &files[1]), (&files[2], &files[3]), (&files[4], &files[5]));
    let page = port.try_with(Some((&files[0], &files[1])), &[]).unwrap();
    assert!(page.contains("HTTP/1.1 200 OK"), "{page}");
}

#[test]
fn openssl_finds_the_centers_port_closed_to_all_but_kiosks() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    tolem_center::setup::init(place, &["localhost".into()], system_clock()).unwrap();
    let config = Config::new("127.0.0.1:0".parse().unwrap(), place);
    let pki = Pki::at(place);
    let write = |name: &str, identity: tolem_center::pki::Identity| {
        let files = (place.join(format!("{name}.crt")), place.join(format!("{name}.key")));
        fs::write(&files.0, identity.certificate).unwrap();
        fs::write(&files.1, identity.key.as_bytes()).unwrap();
        files
    };
    let kiosk = |number| KioskNumber::new(number).unwrap();
    let good = write("good", pki.issue(kiosk(1), system_clock()).unwrap());
    let unfit = Profile { client_auth: false, ..Profile::standard(system_clock()) };
    let unfit = write("unfit", pki.make(kiosk(2), &unfit).unwrap());
    let revoked = write("revoked", pki.issue(kiosk(3), system_clock()).unwrap());
    pki.revoke(kiosk(3), system_clock()).unwrap();
    let running =
        server::start(server::Options { config, observer: None, clock: system_clock, neighbours: None })
            .unwrap();
    let port = Port { addr: running.addr, root: &place.join("pki/root.crt"), greeting: "\u{7f}no frame" };
    port.judge((&good.0, &good.1), (&unfit.0, &unfit.1), (&revoked.0, &revoked.1));
}
