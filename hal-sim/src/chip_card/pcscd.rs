//! The real `pcscd` with a virtual reader, and a hand that puts our card into it.
//!
//! It needs Debian's pcscd and vsmartcard-vpcd, and runs in a network and a mount namespace of its own, so that it never meets a `pcscd` of
//! the machine, and nobody else meets its port.

use super::{ChipCard, vpcd};
use std::{
    fs, io,
    net::{Shutdown, TcpStream},
    path::Path,
    process::Command,
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// The port of the driver's first slot.
const PORT: u16 = 35_963;
/// The virtual reader's name, as `pcscd` lists it.
pub const READER: &str = "Virtual PCD";

/// Own /run, own loopback, own pcscd with the reader in the folder `$1`; then the rest of `"$@"`.
const BENCH: &str = r#"
set -u
PATH="$PATH:/usr/sbin:/sbin"
mount -t tmpfs tmpfs /run && mkdir -p /run/pcscd && ip link set lo up || exit 99
pcscd --foreground --config "$1" >"$1/pcscd.log" 2>&1 &
daemon=$!
tries=0
until [ -S /run/pcscd/pcscd.comm ]; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat "$1/pcscd.log"; kill $daemon; exit 98; }
    sleep 0.1
done
shift
"$@"
code=$?
kill $daemon
exit $code
"#;

const DRIVER: &str = r#"FRIENDLYNAME "Virtual PCD"
DEVICENAME   /dev/null:0x8C7B
LIBPATH      /usr/lib/pcsc/drivers/serial/libifdvpcd.so
CHANNELID    0x8C7B
"#;

/// Runs this very program again with `arguments` beside such a `pcscd`, with `mark` set in its environment.
///
/// # Errors
/// Says which package is missing, or with what it ended, if that was not success.
pub fn run_beside(mark: &str, arguments: &[&str]) -> io::Result<()> {
    for needed in ["/usr/sbin/pcscd", "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"] {
        if !Path::new(needed).exists() {
            let missing = format!("{needed} is missing: apt-get install pcscd vsmartcard-vpcd");
            return Err(io::Error::new(io::ErrorKind::NotFound, missing));
        }
    }
    let folder = std::env::temp_dir().join(format!("tolem-pcscd-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("vpcd"), DRIVER)?;
    // Root needs no user namespace, and may be where none is allowed.
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let mut bench = Command::new("unshare");
    bench.args(if root { &["-n", "-m"][..] } else { &["-r", "-n", "-m"] });
    bench.args(["sh", "-c", BENCH, "bench"]).arg(&folder);
    bench.arg(std::env::current_exe()?).args(arguments).env(mark, "1");
    let status = bench.status();
    let _ = fs::remove_dir_all(&folder);
    match status? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("the bench ended with {status}"))),
    }
}

/// A card in the virtual reader.
pub struct Inserted {
    stream: TcpStream,
    thread: JoinHandle<ChipCard>,
}

impl Inserted {
    /// Puts it in, as soon as the driver listens.
    ///
    /// # Errors
    /// If it does not within `patience`.
    pub fn new(mut card: ChipCard, patience: Duration) -> io::Result<Self> {
        let end = Instant::now() + patience;
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", PORT)) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => std::thread::yield_now(),
            }
        };
        stream.set_nodelay(true)?;
        let mut wire = stream.try_clone()?;
        let thread = std::thread::spawn(move || {
            // Torn out or drawn out: the line ends, one way or the other.
            let _ = vpcd::serve(&mut card, &mut wire, |_| {});
            let _ = wire.shutdown(Shutdown::Both);
            card
        });
        Ok(Self { stream, thread })
    }

    /// A hand draws it out. `None` if the card's thread has died.
    pub fn draw_out(self) -> Option<ChipCard> {
        let _ = self.stream.shutdown(Shutdown::Both);
        self.thread.join().ok()
    }
}
