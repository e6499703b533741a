//! A PostgreSQL server for tests, and a database of their own for each of them.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};
use tolem_center::sql::Address;

/// The directory of the server's socket: the one that `tests/with-postgres` has told, or one started for this process alone.
fn socket() -> &'static str {
    static STARTED: OnceLock<(String, Option<Child>)> = OnceLock::new();
    let (socket, _) = STARTED.get_or_init(|| {
        if let Ok(socket) = std::env::var("TOLEM_TEST_POSTGRES") {
            return (socket, None);
        }
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/with-postgres");
        // It ends when this process has: its command reads from our end of a pipe.
        let mut child = Command::new(&script)
            .args(["sh", "-c", "echo $TOLEM_TEST_POSTGRES; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let mut socket = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut socket).unwrap();
        assert!(socket.starts_with('/'), "PostgreSQL did not start, see above; apt-get install postgresql");
        (socket.trim().to_owned(), Some(child))
    });
    socket
}

fn address(database: &str) -> String {
    format!("host={} user=tolem dbname={database}", socket())
}

/// An empty database. It goes with the server.
pub fn database() -> Address {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut client = client("postgres");
    client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
    Address { connection: address(&name), ca: None }
}

/// A connection of one's own, past the center.
pub fn client(database: &str) -> postgres::Client {
    postgres::Client::connect(&address(database), postgres::NoTls).unwrap()
}

/// The same for an address.
pub fn client_of(address: &Address) -> postgres::Client {
    postgres::Client::connect(&address.connection, postgres::NoTls).unwrap()
}
