//! A PostgreSQL server of a test, and sessions on it.

use anyhow::{Context, Result};

use crate::{
    env::{Env, image},
    exec::{self, Dialogue},
    manifests::{self, fill},
    wait,
};

const CONTAINER: &str = "postgres";

/// The psql command line: without user settings, with unaligned output, ending at the first error.
const PSQL: [&str; 7] = [
    "psql",
    "--no-psqlrc",
    "--no-align",
    "--tuples-only",
    "--quiet",
    "--set=ON_ERROR_STOP=1",
    "--username=postgres",
];

/// A PostgreSQL server. Its pod and its Service have the server's name, so this is also the host name.
pub struct Postgres {
    env: Env,
    name: String,
}

impl Postgres {
    /// Starts a server and waits until it accepts connections.
    pub async fn start(env: &Env, name: &str, major: u32) -> Result<Self> {
        Self::start_with(env, name, major, &[]).await
    }

    /// Starts a server with settings (`name=value`) and waits until it accepts connections.
    pub async fn start_with(env: &Env, name: &str, major: u32, settings: &[&str]) -> Result<Self> {
        let settings: String = settings.iter().map(|setting| format!(", -c, {setting}")).collect();
        let values = [("NAME", name), ("IMAGE", &image(major)), ("SETTINGS", &settings)];
        env.create(&fill(manifests::POSTGRES, &values)).await?;
        wait::pod_is_ready(&env.api(), name).await?;
        Ok(Self { env: env.clone(), name: name.to_owned() })
    }

    /// Runs statements, each in its own transaction, and returns their rows: one line per row, with values
    /// separated by `|`.
    pub async fn sql(&self, database: &str, statements: &str) -> Result<String> {
        // The name is not an argument, because psql would parse some names as connection strings.
        let name = format!("PGDATABASE={database}");
        let command = [&["env", &name], &PSQL[..]].concat();
        exec::stdout(&self.env.api(), &self.name, CONTAINER, &command, statements).await
    }

    /// Runs a script in the server's container and returns its output.
    pub async fn sh(&self, script: &str) -> Result<String> {
        exec::stdout(&self.env.api(), &self.name, CONTAINER, &["bash", "-c", script], "").await
    }

    /// Creates a database and runs statements in it.
    pub async fn database(&self, name: &str, statements: &str) -> Result<()> {
        self.sql("postgres", &format!("CREATE DATABASE {}", identifier(name))).await?;
        self.sql(name, statements).await?;
        Ok(())
    }

    /// Creates a table with `rows` different rows.
    pub async fn table(&self, database: &str, table: &str, rows: u32) -> Result<()> {
        let statement = format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, price numeric, note text);
             INSERT INTO {table} SELECT n, n * 1.37, CASE WHEN n % 3 > 0 THEN md5(n::text) END
             FROM generate_series(1, {rows}) n"
        );
        self.sql(database, &statement).await.map(drop)
    }

    /// Returns a digest of all rows of a table, independent of their order.
    pub async fn fingerprint(&self, database: &str, table: &str) -> Result<String> {
        let query = format!("SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t");
        self.sql(database, &query).await
    }

    /// Opens a session and keeps it open.
    pub async fn session(&self, database: &str) -> Result<Session> {
        // Without exec: containerd closes standard input once no process holds standard error.
        let script = format!("PGDATABASE='{database}' {} 2>&1; exit $?", PSQL.join(" "));
        let command = ["sh", "-c", &script];
        let mut session =
            Session { psql: Dialogue::start(&self.env.api(), &self.name, CONTAINER, &command).await? };
        session.run("").await.context("the session does not start")?;
        Ok(session)
    }

    /// Waits until the query, run in the database `postgres`, returns `t`.
    pub async fn until(&self, what: &str, query: &str) -> Result<()> {
        // One session runs all queries: each command in a pod costs far more than a query.
        let mut session = self.session("postgres").await?;
        wait::until(what, wait::DEADLINE, async || {
            Ok((session.run(&format!("{query};")).await? == "t").then_some(()))
        })
        .await
    }

    /// Waits until a session of a backup waits for a lock.
    pub async fn until_a_backup_waits_for_a_lock(&self) -> Result<()> {
        self.until(
            "a session of the backup waits for a lock",
            "SELECT count(*) > 0 FROM pg_stat_activity
             WHERE application_name LIKE 'pgbackup/%' AND wait_event_type = 'Lock'",
        )
        .await
    }
}

/// An open psql session. It keeps its transaction and locks until it is dropped.
pub struct Session {
    psql: Dialogue,
}

impl Session {
    const DONE: &str = "-- done --";

    /// Runs statements, waits for them and returns their output. The first error ends the session.
    pub async fn run(&mut self, statements: &str) -> Result<String> {
        self.send(statements).await?;
        self.done().await
    }

    /// Sends statements without waiting for them.
    pub async fn send(&mut self, statements: &str) -> Result<()> {
        self.psql.write(&format!("{statements}\n\\echo '{}'", Self::DONE)).await
    }

    /// Waits for all statements sent so far and returns their output.
    pub async fn done(&mut self) -> Result<String> {
        self.psql.read_to(Self::DONE).await
    }
}

/// Quotes a name for SQL.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
