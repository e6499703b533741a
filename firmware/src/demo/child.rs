//! The kiosk process of the demo: this same binary, started, killed and watched.

use super::home::Place;
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::OpenOptions,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tolem_hal_sim::bench::{Power, PowerState};

/// So long a kiosk may take to stop by itself when the demo ends.
const FAREWELL: Duration = Duration::from_secs(4);

/// One kiosk process, running or not.
pub(super) struct Child {
    program: PathBuf,
    config: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    life: Mutex<Life>,
}

#[derive(Default)]
struct Life {
    process: Option<std::process::Child>,
    ended: Option<String>,
}

impl Child {
    /// Nothing is started yet.
    pub fn new(place: &Place, socket: &Path) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            program: std::env::current_exe().context("this program does not know where it is")?,
            config: place.config(),
            socket: socket.to_owned(),
            log: place.log(),
            life: Mutex::default(),
        }))
    }

    /// SIGTERM: the kiosk closes its journal and ends.
    pub fn ask_to_stop(&self) {
        let life = self.life();
        if let Some(pid) = life.process.as_ref().and_then(|process| Pid::from_raw(process.id().cast_signed()))
        {
            // It may have ended at this moment.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits for the end, and kills what does not end.
    pub fn wait_or_kill(&self) {
        let limit = Instant::now() + FAREWELL;
        while self.state().on && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }

    /// The life as it is now: a process that has ended is buried.
    fn life(&self) -> MutexGuard<'_, Life> {
        let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = match life.process.as_mut().map(std::process::Child::try_wait) {
            Some(Ok(Some(status))) => Some(in_words(status)),
            Some(Err(error)) => Some(format!("lost: {error}")),
            Some(Ok(None)) | None => None,
        };
        if let Some(ended) = ended {
            life.process = None;
            life.ended = Some(format!("{ended}; see {}", self.log.display()));
        }
        life
    }

    fn start(&self) -> std::io::Result<std::process::Child> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        Command::new(&self.program)
            .args(["run", "--config"])
            .arg(&self.config)
            .arg("--bench")
            .arg(&self.socket)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // The demo stops it; a Ctrl-C in the terminal is not meant for it.
            .process_group(0)
            .spawn()
    }
}

impl Power for Child {
    fn switch_on(&self) -> Result<(), String> {
        let mut life = self.life();
        if life.process.is_some() {
            return Err("it is on already".into());
        }
        let process =
            self.start().map_err(|error| format!("cannot start {}: {error}", self.program.display()))?;
        life.process = Some(process);
        life.ended = None;
        Ok(())
    }

    fn kill(&self) {
        let mut life = self.life();
        if let Some(mut process) = life.process.take() {
            // Both fail only if it has ended by itself in this moment.
            let _ = process.kill();
            let _ = process.wait();
            life.ended = Some("the plug was pulled (SIGKILL)".into());
        }
    }

    fn state(&self) -> PowerState {
        let life = self.life();
        let pid = life.process.as_ref().map(std::process::Child::id);
        PowerState { on: pid.is_some(), pid, ended: life.ended.clone() }
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".into(),
    }
}
