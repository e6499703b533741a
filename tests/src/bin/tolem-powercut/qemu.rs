//! Cuts the power of a virtual machine whose kernel, file system and block layer are Linux's own, and whose disk forgets.

use super::{
    nbd::{self, End, Plan},
    number, text,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::net::{UnixListener, UnixStream},
    process::{Child, Command, Stdio},
    sync::mpsc::channel,
    time::{Duration, Instant as Clock},
};
use tolem_crash_vfs::{Media, sectors::File};
use tolem_hal_sim::line::Dice;

/// Lives on one disk; then an empty one follows.
const LIVES: u64 = 20;
/// What the machine says without a file system, as `tests/qemu/run` has it.
const NOT_MOUNTED: &str = "the file system cannot be mounted";
/// Writes and flushes within which the machine has mounted its file system and opened the journal.
const START_OF_THE_MACHINE: u64 = 40;
/// Writes and flushes of a life in which nothing fails before the journal was open long since.
const CALM: u64 = 400;
/// The power goes so soon after a failed write that what was found by the next start may not be safe yet: within the start that
/// follows, or not long after it.
const AFTER_A_FAILURE: [u64; 2] = [16, 80];
/// A machine that has not come so far is taken for dead: its story is a fault, not a cut.
const PATIENCE: Duration = Duration::from_secs(240);
/// The control without flushes leaves its writes in the machine's cache: its power is cut by time, too.
const PATIENCE_WITH_NORMAL: Duration = Duration::from_secs(40);
/// File systems expect a sector of 512 bytes to be written wholly or not at all.
const MEDIA: Media = Media { tears: false, ..Media::HONEST };

/// What the machine is made of, as `tests/qemu/run` has prepared it.
struct Parts {
    kernel: String,
    initramfs: String,
    /// An empty file system.
    image: Vec<u8>,
    /// `tcg`, which works everywhere, or `kvm`.
    accelerator: String,
    /// What the machine does, in the words of its command line.
    setting: &'static str,
    /// The disk confirms flushes and does none.
    lies: bool,
}

impl Parts {
    /// The control that never waits for its disk.
    fn normal(&self) -> bool {
        self.setting == "normal"
    }

    /// One write of each life fails, some moments before the power goes.
    fn fails(&self) -> bool {
        matches!(self.setting, "errors" | "cache")
    }
}

/// What a life has said on the console.
#[derive(Default)]
struct Said {
    /// The starts of the program before the last one; each of them ended with a failed write.
    before: Vec<Start>,
    last: Start,
    fault: Option<String>,
    tail: Vec<String>,
}

/// What one start of the program has said.
#[derive(Default)]
struct Start {
    have: Option<(u64, String)>,
    at: Option<(u64, String)>,
    acks: Vec<(u64, String)>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        if self.tail.len() > 40 {
            self.tail.remove(0);
        }
        self.tail.push(line.to_owned());
        let Some(words) = line.trim().strip_prefix("TOLEM ") else { return };
        if let Some(fault) = words.strip_prefix("FAULT ") {
            self.fault = Some(fault.to_owned());
        }
        if words.starts_with("AGAIN ") {
            self.before.push(std::mem::take(&mut self.last));
        }
        let parts: Vec<&str> = words.split(' ').collect();
        let [what, count, chain] = parts[..] else { return };
        let (Ok(count), 64) = (count.parse(), chain.len()) else { return };
        let told = (count, chain.to_owned());
        match what {
            "HAVE" => self.last.have = Some(told),
            "AT" => self.last.at = Some(told),
            "ACK" => self.last.acks.push(told),
            _ => {}
        }
    }
}

/// What all lives together saw.
#[derive(Default)]
struct Sum {
    cuts: u64,
    failed: u64,
    before_ready: u64,
    acknowledged: u64,
    extra: u64,
    writes: u64,
    flushes: u64,
    lost: u64,
    lives_with_loss: u64,
    damaged: Vec<String>,
}

pub(crate) fn run(words: &[&str]) -> Result<bool, String> {
    let (seed, cuts) = (number(words, "--seed", 1)?, number(words, "--cuts", 100)?);
    let read = |name: &str| text(words, name).ok_or_else(|| format!("{name} FILE is missing"));
    let image = read("--image")?;
    let control = text(words, "--control");
    let errors = words.contains(&"--errors");
    let (setting, lies) = match control.as_deref() {
        None if errors => ("errors", false),
        None => ("ours", false),
        Some("normal") => ("normal", false),
        Some("lies") => ("ours", true),
        Some("cache") => ("cache", false),
        Some(_) => return Err("--control normal | lies | cache".into()),
    };
    let parts = Parts {
        kernel: read("--kernel")?,
        initramfs: read("--initramfs")?,
        image: fs::read(&image).map_err(|error| format!("{image}: {error}"))?,
        accelerator: text(words, "--accel").unwrap_or_else(|| "tcg".into()),
        setting,
        lies,
    };
    let start = Clock::now();
    let mut sum = Sum::default();
    let mut dice = Dice::new(seed);
    'disks: while sum.cuts < cuts {
        let mut disk = File::default();
        disk.write(0, &parts.image);
        disk.flush();
        let mut known: (u64, String) = (0, "0".repeat(64));
        // The next life has a disk that works until the journal is open long since, and must find everything.
        let mut calm = false;
        let lives = LIVES.min(cuts - sum.cuts);
        // One more judges the last cut; the control that never waits for its disk does without.
        for life in 0..lives + u64::from(!parts.normal()) {
            calm |= life == lives;
            let reach = if dice.chance(100) { 6_000 } else { 500 };
            let mut after = dice.below(reach);
            let mut fails = None;
            if calm {
                after = CALM;
            } else if parts.fails() {
                // Not while the machine starts: without its file system it tells nothing.
                fails = Some(after + START_OF_THE_MACHINE);
                let soon = AFTER_A_FAILURE[dice.below(2) as usize];
                after += START_OF_THE_MACHINE + dice.below(soon);
            }
            let plan = Plan { after, fails, lies: parts.lies };
            let life_seed = dice.next_u64();
            let (end, served, mut said) = live(&parts, &mut disk, plan, life_seed, known.0)?;
            disk.cut(&MEDIA, &mut dice);
            sum.writes += served.writes;
            sum.flushes += served.flushes;
            if end == End::HungUp && said.fault.is_none() && !parts.normal() && fails.is_none() {
                return Err(format!("the machine ended by itself:\n{}", said.tail.join("\n")));
            }
            sum.cuts += 1;
            if fails.is_some() && said.fault.as_deref() == Some(NOT_MOUNTED) {
                // The write that failed was one of the file system's own recovery.
                said.fault = None;
            }
            let silent = said.last.have.is_none();
            let judged = match judge(&said, &mut known, &mut sum) {
                Ok(()) if calm && silent => Err("the journal is not opened any more".into()),
                judged => judged,
            };
            calm = parts.fails() && silent;
            let broken =
                judged.map_err(|fault| sum.damaged.push(format!("cut {}: {fault}", sum.cuts))).is_err();
            if control.is_some() && (broken || sum.lost > 0) {
                // It has bitten.
                break 'disks;
            }
            if broken {
                continue 'disks;
            }
        }
    }
    let Sum {
        cuts,
        failed,
        before_ready,
        acknowledged,
        extra,
        writes,
        flushes,
        lost,
        lives_with_loss,
        damaged,
    } = &sum;
    println!(
        "qemu, seed {seed}, {}: {cuts} cuts ({before_ready} before the journal was open), {failed} starts after a failed write, {writes} writes and {flushes} flushes of the disk, \
         {acknowledged} acknowledged, {extra} extra, {lost} lost in {lives_with_loss} lives, {} damaged, {:.1} s a cut{}",
        control.as_deref().unwrap_or(setting),
        damaged.len(),
        start.elapsed().as_secs_f64() / *cuts as f64,
        damaged.first().map(|first| format!("; {first}")).unwrap_or_default()
    );
    let faults = lost + damaged.len() as u64;
    Ok(if control.is_some() {
        faults > 0
    } else {
        faults == 0 && *acknowledged > 0 && (!errors || *failed > 0)
    })
}

/// Compares what is back with what was acknowledged. `known` is what the outside may rely on afterwards.
fn judge(said: &Said, known: &mut (u64, String), sum: &mut Sum) -> Result<(), String> {
    if let Some(fault) = &said.fault {
        return Err(fault.clone());
    }
    for start in &said.before {
        judge_start(start, known, sum)?;
        sum.failed += 1;
    }
    judge_start(&said.last, known, sum)
}

fn judge_start(said: &Start, known: &mut (u64, String), sum: &mut Sum) -> Result<(), String> {
    let Some(have) = &said.have else {
        // The power went before anybody could look; what was known is asked for again.
        sum.before_ready += 1;
        return Ok(());
    };
    if let Some(missing) = known.0.checked_sub(have.0).filter(|missing| *missing > 0) {
        sum.lost += missing;
        sum.lives_with_loss += 1;
    } else {
        if said.at.as_ref() != Some(&*known) {
            return Err(format!("records came back changed: {:?}, not {known:?}", said.at));
        }
        match have.0 - known.0 {
            extra @ 0..=1 => sum.extra += extra,
            more => return Err(format!("{more} records came back that nobody heard of")),
        }
    }
    known.clone_from(have);
    for ack in &said.acks {
        if ack.0 != known.0 + 1 {
            return Err(format!("{} acknowledged after {}", ack.0, known.0));
        }
        known.clone_from(ack);
        sum.acknowledged += 1;
    }
    Ok(())
}

/// One life of the machine, until its power goes as planned.
fn live(
    parts: &Parts,
    disk: &mut File,
    plan: Plan,
    seed: u64,
    acked: u64,
) -> Result<(End, nbd::Served, Said), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let socket = folder.path().join("disk");
    let listener = UnixListener::bind(&socket).map_err(|error| error.to_string())?;
    let setting = parts.setting;
    let mut machine = Machine(
        Command::new("qemu-system-x86_64")
            .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-m", "256", "-smp", "1"])
            .args(["-accel", &parts.accelerator, "-cpu", "max", "-serial", "stdio"])
            .args(["-kernel", &parts.kernel, "-initrd", &parts.initramfs])
            .args(["-append", &format!("console=ttyS0 quiet loglevel=1 panic=-1 no_timer_check tolem.acked={acked} tolem.seed={seed} tolem.setting={setting}")])
            .arg("-drive")
            .arg(format!("file=nbd:unix:{},format=raw,if=virtio,cache=writeback", socket.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("qemu-system-x86_64: {error}"))?,
    );
    let console = machine.0.stdout.take().ok_or("no console")?;
    let hearing = std::thread::spawn(move || {
        let mut said = Said::default();
        let mut console = BufReader::new(console);
        let mut line = Vec::new();
        // A line that was not ended was not said.
        while matches!(console.read_until(b'\n', &mut line), Ok(1..)) && line.ends_with(b"\n") {
            said.hear(&String::from_utf8_lossy(&line));
            line.clear();
        }
        // If it died before it asked for its disk, nobody shall wait for that.
        let _ = UnixStream::connect(&socket);
        said
    });
    let (done, watched) = channel::<()>();
    let pid = machine.0.id();
    let patience = if parts.normal() { PATIENCE_WITH_NORMAL } else { PATIENCE };
    let watch = std::thread::spawn(move || {
        let overdue = watched.recv_timeout(patience).is_err();
        if overdue {
            // Its connection to the disk breaks, and the story ends.
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
        overdue
    });
    let served = listener.accept().and_then(|(mut stream, _)| nbd::serve(&mut stream, disk, plan));
    drop(machine);
    let _ = done.send(());
    let _ = watch.join();
    let said = hearing.join().map_err(|_| "the console's listener died")?;
    let (end, served) = served.map_err(|error| format!("the disk: {error}\n{}", said.tail.join("\n")))?;
    Ok((end, served, said))
}

/// SIGKILL at the end, whatever happens.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
