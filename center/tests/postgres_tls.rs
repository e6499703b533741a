//! A center whose PostgreSQL is reached over a network: one authority, the server's name, TLS 1.3, or nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tolem_center::{
    logic::store::Store as _,
    pki::{
        Profile,
        nca::{Authority, Purpose},
    },
    server::system_clock,
    sql::{Address, SqlStore},
};

/// An authority that was made for this test, and the certificate of a server that is called so.
fn certified(folder: &Path, host: &str) -> PathBuf {
    let authority = Authority::create(&folder.join("ca"), system_clock()).unwrap();
    let purpose = Purpose::Serve(vec![host.into()]);
    let made = authority.issue("database", &purpose, &Profile::standard(system_clock())).unwrap();
    let issuing = std::fs::read_to_string(authority.path("ca.crt")).unwrap();
    std::fs::write(folder.join("server.crt"), made.certificate + &issuing).unwrap();
    std::fs::write(folder.join("server.key"), made.key.as_bytes()).unwrap();
    authority.path("root.crt")
}

/// A server of its own on a port of this machine.
struct Database {
    folder: TempDir,
    root: PathBuf,
    port: u16,
    socket: String,
    child: Child,
}

impl Database {
    fn serving(host: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = certified(folder.path(), host);
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/with-postgres");
        let mut child = Command::new(script)
            .args(["sh", "-c", "echo $TOLEM_TEST_POSTGRES; cat"])
            .env_remove("TOLEM_TEST_POSTGRES")
            .env("TOLEM_TEST_POSTGRES_TLS", folder.path())
            .env("TOLEM_TEST_POSTGRES_PORT", port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut socket = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut socket).unwrap();
        assert!(socket.starts_with('/'), "PostgreSQL did not start, see above; apt-get install postgresql");
        Self { folder, root, port, socket: socket.trim().to_owned(), child }
    }

    fn address(&self, ca: &Path) -> Address {
        let connection = format!("host=localhost port={} user=tolem dbname=postgres", self.port);
        Address { connection, ca: Some(ca.to_owned()) }
    }

    /// A connection past the center, over the socket.
    fn client(&self) -> postgres::Client {
        let at = format!("host={} port={} user=tolem dbname=postgres", self.socket, self.port);
        postgres::Client::connect(&at, postgres::NoTls).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // It ends when its standard input does.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn refused(address: &Address) -> String {
    SqlStore::create_at(address, 7).err().map(|error| error.0).unwrap_or_default()
}

#[test]
fn a_database_over_the_network_is_the_one_that_our_authority_certified_or_nobody() {
    let database = Database::serving("localhost");
    let stranger = tempfile::tempdir().unwrap();
    let other = certified(stranger.path(), "localhost");
    let wrong = refused(&database.address(&other));
    assert!(wrong.contains("PostgreSQL: ") && wrong.contains("certificate"), "{wrong}");
    let none = refused(&Address { ca: None, ..database.address(&other) });
    assert!(none.contains("localhost is reached over a network"), "{none}");
    let empty = database.folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    assert!(refused(&database.address(&empty)).contains("no certificate in PEM"));
    // Nobody has written anything yet; now the right one.
    let address = database.address(&database.root);
    drop(SqlStore::create_at(&address, 7).unwrap());
    let store = SqlStore::open_at(&address).unwrap();
    assert_eq!(store.center_epoch().unwrap(), 7);
    let sql = "SELECT version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'tolem-center %'";
    let version: String = database.client().query_one(sql, &[]).unwrap().get(0);
    assert_eq!(version, "TLSv1.3");
    drop(store);
    // A server that cannot do better than TLS 1.2.
    for setting in ["ALTER SYSTEM SET ssl_max_protocol_version = 'TLSv1.2'", "SELECT pg_reload_conf()"] {
        database.client().batch_execute(setting).unwrap();
    }
    let old = (0..1_000).map(|_| SqlStore::open_at(&address).err()).find(Option::is_some);
    let old = old.flatten().expect("the server has read its settings by now").0;
    assert!(old.contains("PostgreSQL: "), "{old}");
}

#[test]
fn a_certificate_of_another_name_is_not_this_server() {
    let database = Database::serving("elsewhere.example");
    let wrong = refused(&database.address(&database.root));
    assert!(wrong.contains("not valid for name"), "{wrong}");
}
