//! One serial line: bytes in, bytes out, and opening again when the device comes back.
//!
//! 8 data bits, no or even parity, 1 stop bit at the configured speed, on any tty: a port, a USB adapter, a pty. Nothing here knows
//! what the bytes mean; that a device is absent is seen by its driver, which gets no answers. Bytes that could not be written when the line
//! broke, or that nobody took for [`STUCK`], are thrown away: half of an old page must not come out on new paper.

use std::{path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_serial::{DataBits, FlowControl, Parity, SerialPortBuilder, SerialPortBuilderExt, StopBits};
use zeroize::{Zeroize, Zeroizing};

/// No progress in writing for this long: the line is dead.
pub const STUCK: Duration = Duration::from_secs(10);
/// Unwritten bytes are kept up to this; a page of 576 x 2400 dots has 173 kB.
pub const MAX_PENDING: usize = 512 * 1024;

const READ_CHUNK: usize = 4096;
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(2);

/// One line and its device's name for the log.
#[derive(Clone, Debug)]
pub struct Line {
    /// `acceptor`, `printer`.
    pub name: &'static str,
    /// Its tty.
    pub path: PathBuf,
    /// Bits per second.
    pub baud: u32,
    /// Even parity instead of none.
    pub even: bool,
}

/// What the line tells its owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineEvent {
    /// The tty is open.
    Opened,
    /// Bytes from the device.
    Bytes(Vec<u8>),
    /// The tty cannot be opened or broke. Said once for each reason in a row.
    Lost(String),
}

enum Ending {
    Lost(String),
    Stopped,
}

impl Line {
    /// Serves the line until `outgoing` is closed or nobody hears `events` any more.
    pub async fn run(self, mut outgoing: mpsc::Receiver<Vec<u8>>, events: mpsc::Sender<LineEvent>) {
        let mut wait = RETRY_FIRST;
        let mut told = String::new();
        loop {
            let reason = match self.serve(&mut outgoing, &events, &mut wait).await {
                Ending::Stopped => return,
                Ending::Lost(reason) => reason,
            };
            if reason != told {
                told.clone_from(&reason);
                if events.send(LineEvent::Lost(reason)).await.is_err() {
                    return;
                }
            }
            let until = Instant::now() + wait;
            loop {
                tokio::select! {
                    () = sleep_until(until) => break,
                    // There is no line to send it on.
                    bytes = outgoing.recv() => if bytes.is_none() {
                        return;
                    },
                }
            }
            wait = (wait * 2).min(RETRY_LAST);
        }
    }

    /// Settings of the tty. A pty keeps 8N1 whatever is asked; a real port does what stands here.
    pub fn settings(&self) -> SerialPortBuilder {
        tokio_serial::new(self.path.to_string_lossy(), self.baud)
            .data_bits(DataBits::Eight)
            .parity(if self.even { Parity::Even } else { Parity::None })
            .stop_bits(StopBits::One)
            .flow_control(FlowControl::None)
    }

    async fn serve(
        &self,
        outgoing: &mut mpsc::Receiver<Vec<u8>>,
        events: &mpsc::Sender<LineEvent>,
        wait: &mut Duration,
    ) -> Ending {
        let lost = |error: &dyn std::fmt::Display| Ending::Lost(format!("{}: {error}", self.path.display()));
        let stream = match self.settings().open_native_async() {
            Ok(stream) => stream,
            Err(error) => return lost(&error),
        };
        if events.send(LineEvent::Opened).await.is_err() {
            return Ending::Stopped;
        }
        let (mut read, mut write) = tokio::io::split(stream);
        // A card's number may pass here: what was used is wiped.
        let mut pending: Zeroizing<Vec<u8>> = Zeroizing::default();
        let mut chunk = [0; READ_CHUNK];
        let mut progress = Instant::now();
        loop {
            tokio::select! {
                bytes = outgoing.recv(), if pending.len() < MAX_PENDING => {
                    let Some(mut bytes) = bytes else { return Ending::Stopped };
                    if pending.is_empty() {
                        progress = Instant::now();
                    }
                    pending.extend_from_slice(&bytes);
                    bytes.zeroize();
                }
                written = write.write(&pending), if !pending.is_empty() => match written {
                    Ok(0) => return lost(&"takes no bytes"),
                    Ok(count) => {
                        pending[..count].zeroize();
                        pending.drain(..count);
                        progress = Instant::now();
                    }
                    Err(error) => return lost(&error),
                },
                count = read.read(&mut chunk) => match count {
                    Ok(0) => return lost(&"hung up"),
                    Ok(count) => {
                        // It lives: after the next loss we look for it quickly again.
                        *wait = RETRY_FIRST;
                        let bytes = chunk[..count].to_vec();
                        chunk[..count].zeroize();
                        if events.send(LineEvent::Bytes(bytes)).await.is_err() {
                            return Ending::Stopped;
                        }
                    }
                    Err(error) => return lost(&error),
                },
                () = sleep(STUCK.saturating_sub(progress.elapsed())), if !pending.is_empty() => {
                    return lost(&format!("took no byte for {} s", STUCK.as_secs()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::{ffi::OsStr, fs::File, io::Read, io::Write, os::unix::ffi::OsStrExt, path::Path};

    /// The device's end of a pty whose other end is reachable under `link`.
    fn device(link: &Path) -> File {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        std::fs::remove_file(link).ok();
        std::os::unix::fs::symlink(OsStr::from_bytes(name.as_bytes()), link).unwrap();
        File::from(master)
    }

    fn line(path: &Path) -> Line {
        Line { name: "acceptor", path: path.to_owned(), baud: 9_600, even: false }
    }

    #[test]
    fn a_real_port_is_asked_for_8n1_at_the_configured_speed() {
        let expected = tokio_serial::new("/dev/ttyS9", 9_600)
            .data_bits(DataBits::Eight)
            .parity(Parity::None)
            .stop_bits(StopBits::One)
            .flow_control(FlowControl::None);
        assert_eq!(line(Path::new("/dev/ttyS9")).settings(), expected);
        let even = Line { even: true, ..line(Path::new("/dev/ttyS9")) };
        assert_eq!(even.settings(), expected.parity(Parity::Even));
    }

    async fn next(events: &mut mpsc::Receiver<LineEvent>) -> LineEvent {
        tokio::time::timeout(Duration::from_secs(20), events.recv()).await.unwrap().unwrap()
    }

    async fn bytes(events: &mut mpsc::Receiver<LineEvent>, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count {
            match next(events).await {
                LineEvent::Bytes(more) => all.extend(more),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    #[test]
    fn bytes_go_both_ways_and_a_device_that_vanished_is_found_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = Scratch::new("serial");
            let path = dir.path().join("tty");
            let (send, outgoing) = mpsc::channel(4);
            let (event_end, mut events) = mpsc::channel(16);
            let running = tokio::spawn(line(&path).run(outgoing, event_end));
            let LineEvent::Lost(reason) = next(&mut events).await else { panic!("opened nothing") };
            assert!(reason.starts_with(&path.display().to_string()), "{reason}");
            // What is said while there is no device goes nowhere.
            send.send(b"lost".to_vec()).await.unwrap();
            send.reserve_many(4).await.unwrap();

            for round in 0..2u8 {
                let mut master = device(&path);
                assert_eq!(next(&mut events).await, LineEvent::Opened);
                master.write_all(&[2, 3, 6, round]).unwrap();
                assert_eq!(bytes(&mut events, 4).await, [2, 3, 6, round]);
                send.send(vec![0x33, round]).await.unwrap();
                let mut heard = [0; 2];
                // The write is done by the runtime, the read blocks: let it run on another thread.
                let mut ear = master.try_clone().unwrap();
                tokio::task::spawn_blocking(move || {
                    ear.read_exact(&mut heard).unwrap();
                    assert_eq!(heard, [0x33, round]);
                })
                .await
                .unwrap();
                drop(master);
                assert!(matches!(next(&mut events).await, LineEvent::Lost(_)));
            }
            drop(send);
            running.await.unwrap();
        });
    }
}
