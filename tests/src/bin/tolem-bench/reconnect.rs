//! A fleet that comes back at once: 10,000 connections with client certificates until the first answer, at the center and at nginx with the
//! same certificates, by the same generator, without resumption.

use super::{
    Target, Verdict, median,
    payments::{AT_ONCE, Terminal, found, serve},
    series,
};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Connections of each of the terminals in a round: 10,048 in all.
const EACH: u32 = 157;
/// Rounds.
const ROUNDS: usize = 3;

/// nginx with the center's certificates, on all processors, that answers every request with four letters.
struct Nginx {
    child: Child,
    addr: SocketAddr,
}

impl Nginx {
    /// `None` if there is no nginx.
    fn start(center: &Path, scratch: &Path) -> Option<Self> {
        let pki = center.join("pki");
        let read = |file: &str| fs::read_to_string(pki.join(file)).expect("a certificate");
        let trusted = scratch.join("trusted.crt");
        fs::write(&trusted, read("device-ca.crt") + &read("root.crt")).expect("a file");
        // A port that was free a moment ago.
        let addr = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
        let config = format!(
            "worker_processes auto; daemon off; pid {0}/nginx.pid; error_log {0}/nginx.log;
             events {{ worker_connections 4096; }}
             http {{ access_log off; keepalive_timeout 300; client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f;
               uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
               server {{ listen {addr} ssl backlog=4096; ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;
                 ssl_certificate {1}/server.crt; ssl_certificate_key {1}/server.key;
                 ssl_client_certificate {2}; ssl_verify_client on; ssl_verify_depth 3;
                 location / {{ return 200 here; }} }} }}",
            scratch.display(),
            pki.display(),
            trusted.display()
        );
        let file = scratch.join("nginx.conf");
        fs::write(&file, config).expect("a file");
        let mut nginx = Command::new("nginx");
        nginx.arg("-e").arg(scratch.join("nginx.log")).arg("-c").arg(&file);
        let child = nginx.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let nginx = Self { child, addr };
        let since = Instant::now();
        while TcpStream::connect(addr).is_err() {
            assert!(
                since.elapsed() < Duration::from_secs(20),
                "nginx does not listen: {}",
                scratch.display()
            );
            std::thread::yield_now();
        }
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers go with it, if it is told and not killed.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn ask_nginx(terminal: &Terminal, addr: SocketAddr) {
    let tcp = TcpStream::connect(addr).expect("nginx listens");
    tcp.set_nodelay(true).expect("a socket");
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(terminal.tls.clone(), name).expect("a connection");
    let mut stream = StreamOwned::new(connection, tcp);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("nginx listens");
    let mut answer = Vec::new();
    let mut part = [0; 512];
    while !answer.ends_with(b"here") {
        let length = stream.read(&mut part).expect("nginx answers");
        assert!(length > 0, "nginx refuses: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..length]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// Connections a second.
fn come_back(terminals: &[Terminal], connect: impl Fn(&Terminal) + Sync) -> f64 {
    let since = Instant::now();
    std::thread::scope(|scope| {
        for terminal in terminals {
            let connect = &connect;
            scope.spawn(move || (0..EACH).for_each(|_| connect(terminal)));
        }
    });
    terminals.len() as f64 * f64::from(EACH) / since.elapsed().as_secs_f64()
}

pub fn reconnect(scratch: &Path) -> Vec<Verdict> {
    let directory = scratch.join("fleet");
    let (config, terminals) = found(&directory, AT_ONCE, None);
    println!("reconnect: {} connections a round, {AT_ONCE} at a time", AT_ONCE * EACH);
    let Some(nginx) = Nginx::start(&directory, scratch) else {
        println!("  left out: nginx is missing (apt-get install nginx)");
        return Vec::new();
    };
    let center = serve(&config);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(come_back(&terminals, |terminal| drop(terminal.connect(center.addr))));
        theirs.push(come_back(&terminals, |terminal| ask_nginx(terminal, nginx.addr)));
    }
    series("connections to the center, greeted", "per s", &ours);
    series("connections to nginx, answered", "per s", &theirs);
    vec![Verdict {
        what: "reconnecting terminals, times nginx",
        value: median(&ours) / median(&theirs),
        unit: "",
        target: Target::AtLeast(1.0),
    }]
}
