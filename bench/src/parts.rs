//! The servers that the pipelines use: a PostgreSQL server and an object store on this machine, both removed
//! afterwards.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// The longest wait for a server to answer.
const START: Duration = Duration::from_mins(5);

/// A root file system that contains PostgreSQL, rclone and pigz.
pub struct Root(pub PathBuf);

impl Root {
    /// Returns a command that runs a program in the root file system. chroot replaces itself with the
    /// program, so the process is the program's own.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command
            .arg(&self.0)
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin")
            .env("LANG", "C.UTF-8");
        command
    }

    /// Returns the path of a file or folder in the root file system, as this process sees it.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.0.join(inside.trim_start_matches('/'))
    }

    /// Returns the first line of a program's output with `--version`.
    pub fn version_of(&self, program: &str) -> Result<String> {
        let text = output(self.command(program).arg("--version"))?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

/// A process that ends when this value is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Send SIGTERM, so that the server removes its files. kill(1) is used because the standard library
        // supports only SIGKILL.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// A PostgreSQL server, configured for fast loading without durability. Reads come from its files and the
/// page cache.
pub struct Server<'a> {
    root: &'a Root,
    port: u16,
    _process: Running,
}

impl<'a> Server<'a> {
    /// Creates a new database cluster in `/data` of the root file system, and starts it on a free port of the
    /// loopback interface.
    pub fn start(root: &'a Root) -> Result<Self> {
        let port = free_port()?.port();
        let data = root.path("/data");
        fs::create_dir_all(&data)?;
        output(root.command("chown").args(["postgres:", "/data"]))?;
        output(as_postgres(root, "initdb").args([
            "--no-sync",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "-D",
            "/data",
        ]))?;
        let log = fs::File::create(root.path("/server.log"))?;
        let process = as_postgres(root, "postgres")
            .args([
                "-D",
                "/data",
                "-p",
                &port.to_string(),
                "-k",
                "",
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "fsync=off",
            ])
            .args([
                "-c",
                "shared_buffers=512MB",
                "-c",
                "max_wal_size=16GB",
                "-c",
                "wal_level=minimal",
                "-c",
                "max_wal_senders=0",
            ])
            .args(["-c", "autovacuum=off", "-c", "maintenance_work_mem=256MB"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let server = Self { root, port, _process: Running(process) };
        let asked = Instant::now();
        while !server.client("pg_isready").output()?.status.success() {
            if asked.elapsed() > START {
                bail!("the server does not answer; its log is {}", root.path("/server.log").display());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Returns a command that runs a client program, with the connection in its environment.
    pub fn client(&self, program: &str) -> Command {
        let mut command = self.root.command(program);
        command.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.to_string()).env("PGUSER", "postgres");
        command
    }

    /// Runs a query and returns its single value.
    pub fn ask(&self, database: &str, sql: &str) -> Result<String> {
        Ok(output(self.client("psql").args(["-XAtqc", sql, database]))?.trim().to_owned())
    }

    /// Creates a database and fills it with approximately this number of gigabytes.
    pub fn load(&self, database: &str, gigabytes: f64) -> Result<()> {
        self.ask("postgres", &format!("CREATE DATABASE {database}"))?;
        fs::write(self.root.path("/load.sql"), include_str!("../load.sql"))?;
        let scale = (gigabytes * 22.0).round().max(1.0).to_string();
        output(self.client("pgbench").args([
            "--initialize",
            "--quiet",
            "--foreign-keys",
            "--scale",
            &scale,
            database,
        ]))?;
        output(self.client("psql").args([
            "-X",
            "-f",
            "/load.sql",
            "-v",
            &format!("gb={gigabytes}"),
            database,
        ]))?;
        self.ask(database, "VACUUM (ANALYZE, FREEZE)")?;
        self.ask(database, "CHECKPOINT")?;
        Ok(())
    }
}

/// A versitygw server with the bucket "backups", started as in the tests.
pub struct ObjectStore {
    folder: PathBuf,
    address: SocketAddr,
    process: Running,
}

impl ObjectStore {
    /// Starts a server that keeps everything in a folder.
    pub fn start(folder: &Path) -> Result<Self> {
        let address = free_port()?;
        let process = Command::new("tests/stores/serve")
            .arg("s3")
            .arg(folder)
            .arg(address.to_string())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.with_extension("log"))?)
            .spawn()?;
        let mut store = Self { folder: folder.to_owned(), address, process: Running(process) };
        let asked = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = store.process.0.try_wait()? {
                bail!(
                    "the object store ended with {status}; its log is {}",
                    folder.with_extension("log").display()
                );
            }
            if asked.elapsed() > START {
                bail!(
                    "the object store does not answer; its log is {}",
                    folder.with_extension("log").display()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(store)
    }

    /// Returns the URL of the server.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the folder of the bucket on this machine's disk.
    pub fn bucket(&self) -> PathBuf {
        self.folder.join("buckets/backups")
    }
}

/// Runs a program and returns its standard output. If it fails, returns an error with its standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().with_context(|| format!("starting {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}: {}", String::from_utf8_lossy(&stderr).trim());
    }
    Ok(String::from_utf8(stdout)?)
}

fn as_postgres(root: &Root, program: &str) -> Command {
    let mut command = root.command("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program]);
    command
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
