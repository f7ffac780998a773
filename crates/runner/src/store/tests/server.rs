//! A real object store on this machine, for one test.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The maximum time for the server to start. The first start compiles or installs it.
const START: Duration = Duration::from_mins(10);

/// A server process that is killed when this value is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// The folder with the stored objects.
    pub folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server. `kind` is one of those in `tests/stores/serve`.
    pub fn start(kind: &str, variables: &[(&str, &Path)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let serve = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/stores/serve");
        let mut child = Command::new(serve)
            .arg(kind)
            .arg(folder.path())
            .arg(address.to_string())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "{kind} exited at once");
            assert!(started.elapsed() < START, "{kind} does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Self { child, address, folder }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a loopback address on which nothing listens.
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
