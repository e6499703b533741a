//! The screen and the process that shows it: a full redraw, the first frame after exec, the memory while nobody is there.

use super::{ROUNDS, Target, Verdict, ms, series};
use std::{
    io::BufReader,
    os::unix::net::UnixListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant as Clock,
};
use tolem_hal_sim::bench::stream::ToBench;
use tolem_tests::{
    bench::{Demo, tolem},
    rig::Rig,
};
use tolem_ui::{Format, Screen};

/// Pictures drawn in one round.
const PICTURES: usize = 5;

pub(super) fn redraw() -> Vec<Verdict> {
    println!("\nfull redraw of 1080x1920, start screen, {PICTURES} in a round");
    let view = Rig::ready(1).view;
    assert_eq!(view.screen, "attract");
    let mut screen = Screen::headless(Format::Portrait).expect("the one screen of this process");
    screen.show(&view);
    screen.render();
    let mut spans = Vec::new();
    for _ in 0..ROUNDS {
        let mut of_round = Vec::new();
        for _ in 0..PICTURES {
            // A buffer of another size is drawn whole, and so is the next one.
            screen.set_format(Format::Landscape);
            screen.render();
            screen.set_format(Format::Portrait);
            let start = Clock::now();
            assert!(screen.render());
            of_round.push(ms(start.elapsed()));
        }
        spans.push(super::median(&of_round));
    }
    let value = series("layout and all pixels", "ms", &spans);
    vec![Verdict { what: "full redraw 1080x1920", value, unit: "ms", target: Target::AtMost(33.0) }]
}

pub(super) fn process(directory: &Path) -> Vec<Verdict> {
    println!("\nthe kiosk process of the demo");
    let mut demo = Demo::start();
    let idle = idle_memory(&demo);
    let home = demo.directory().to_path_buf();
    demo.stop();
    let config = home.join("kiosk-1/kiosk.toml");
    let frames: Vec<f64> = (0..ROUNDS).map(|_| first_frame(&config, &directory.join("s"))).collect();
    let first = series("exec to first frame (drawn, compressed, received)", "ms", &frames);
    vec![
        Verdict {
            what: "resident memory at the start screen",
            value: idle,
            unit: "MiB",
            target: Target::AtMost(80.0),
        },
        Verdict { what: "exec to first frame", value: first, unit: "ms", target: Target::AtMost(500.0) },
    ]
}

/// VmRSS of the kiosk process in MiB once the start screen stands and the journal is verified.
fn idle_memory(demo: &Demo) -> f64 {
    let terminal = demo.terminal(0);
    terminal.until_screen("attract");
    let pid = terminal.state()["power"]["pid"].as_u64().expect("the kiosk runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
    let mut values = Vec::new();
    for name in ["VmRSS", "VmHWM", "RssAnon", "RssFile"] {
        let line = status.lines().find(|line| line.starts_with(name)).expect("Linux says so");
        let kib: f64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
        println!("  {name}: {:.1} MiB", kib / 1024.0);
        values.push(kib / 1024.0);
    }
    values[0]
}

/// A process that ends with its value.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Milliseconds from the start of the process to its first picture at the other end of the socket.
fn first_frame(config: &Path, socket: &Path) -> f64 {
    // A socket of the last round.
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket).expect("a socket; its path has at most 107 bytes");
    let start = Clock::now();
    let mut command = Command::new(tolem());
    command.args(["run", "--config"]).arg(config).arg("--bench").arg(socket);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _child = Killed(child.expect("tolem starts"));
    let (stream, _) = listener.accept().expect("the kiosk connects");
    let mut reader = BufReader::new(stream);
    loop {
        match ToBench::read(&mut reader).expect("the stream of a kiosk") {
            Some(ToBench::Picture { scene, png }) if !scene.screen.is_empty() && !png.is_empty() => {
                return ms(start.elapsed());
            }
            Some(_) => {}
            None => panic!("the kiosk ended before its first picture"),
        }
    }
}
