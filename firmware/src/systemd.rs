//! What systemd wants to hear: ready, alive, status, stopping (sd_notify(3)), over its datagram socket and without its library.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

/// The socket of the service manager; silent when the program was started by hand.
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Takes the socket from `NOTIFY_SOCKET` and the watchdog's time from `WATCHDOG_USEC`.
    pub fn from_environment() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|name| connect(name.as_bytes()).ok());
        let for_us = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        let watchdog = env::var("WATCHDOG_USEC")
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|usec| for_us && *usec > 0)
            .map(Duration::from_micros);
        Self { socket, watchdog }
    }

    /// How often the watchdog must be fed at least; `None` without one.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sends assignments, e.g. `READY=1`, separated by line feeds. A lost datagram only costs what it would have said.
    pub fn notify(&self, state: &str) {
        if let Some((socket, address)) = &self.socket {
            socket.send_to_addr(state.as_bytes(), address).ok();
        }
    }
}

fn connect(name: &[u8]) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    Ok((UnixDatagram::unbound()?, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn words_reach_a_named_and_an_abstract_socket() {
        let dir = Scratch::new("notify");
        let path = dir.path().join("notify");
        let abstract_name = format!("@tolem-test-{}", std::process::id());
        let ears = [
            (path.as_os_str().as_bytes().to_vec(), UnixDatagram::bind(&path).unwrap()),
            (
                abstract_name.clone().into_bytes(),
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&abstract_name[1..]).unwrap())
                    .unwrap(),
            ),
        ];
        for (name, ear) in ears {
            let notifier = Notifier { socket: Some(connect(&name).unwrap()), watchdog: None };
            notifier.notify("READY=1\nSTATUS=open");
            let mut heard = [0; 64];
            let count = ear.recv(&mut heard).unwrap();
            assert_eq!(&heard[..count], b"READY=1\nSTATUS=open");
        }
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        Notifier { socket: None, watchdog: None }.notify("READY=1");
    }
}
