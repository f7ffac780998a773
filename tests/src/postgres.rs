//! A PostgreSQL server of a test, and sessions in it.

use anyhow::{Context, Result};

use crate::{
    env::{Env, image},
    exec::{self, Dialogue},
    manifests::{self, fill},
    wait,
};

const CONTAINER: &str = "postgres";

/// psql as tests want it: no settings of a user, bare values, the first error ends it.
const PSQL: [&str; 7] = [
    "psql",
    "--no-psqlrc",
    "--no-align",
    "--tuples-only",
    "--quiet",
    "--set=ON_ERROR_STOP=1",
    "--username=postgres",
];

/// A server. Its pod, its Service and so its host name are its name.
pub struct Postgres {
    env: Env,
    name: String,
}

impl Postgres {
    /// Starts one and waits until it answers.
    pub async fn start(env: &Env, name: &str, major: u32) -> Result<Self> {
        Self::start_with(env, name, major, &[]).await
    }

    /// The same with settings: `name=value`.
    pub async fn start_with(env: &Env, name: &str, major: u32, settings: &[&str]) -> Result<Self> {
        let settings: String = settings.iter().map(|setting| format!(", -c, {setting}")).collect();
        let values = [("NAME", name), ("IMAGE", &image(major)), ("SETTINGS", &settings)];
        env.create(&fill(manifests::POSTGRES, &values)).await?;
        wait::pod_is_ready(&env.api(), name).await?;
        Ok(Self { env: env.clone(), name: name.to_owned() })
    }

    /// Runs statements, each by itself; returns what they print, one line a row, values separated by `|`.
    pub async fn sql(&self, database: &str, statements: &str) -> Result<String> {
        // A name that is an argument would be a connection string when it looks like one.
        let name = format!("PGDATABASE={database}");
        let command = [&["env", &name], &PSQL[..]].concat();
        exec::stdout(&self.env.api(), &self.name, CONTAINER, &command, statements).await
    }

    /// Runs a script in the server's container; returns what it prints.
    pub async fn sh(&self, script: &str) -> Result<String> {
        exec::stdout(&self.env.api(), &self.name, CONTAINER, &["bash", "-c", script], "").await
    }

    /// Creates a database and runs statements in it.
    pub async fn database(&self, name: &str, statements: &str) -> Result<()> {
        self.sql("postgres", &format!("CREATE DATABASE {}", identifier(name))).await?;
        self.sql(name, statements).await?;
        Ok(())
    }

    /// A table of `rows` rows that are not all alike.
    pub async fn table(&self, database: &str, table: &str, rows: u32) -> Result<()> {
        let statement = format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, price numeric, note text);
             INSERT INTO {table} SELECT n, n * 1.37, CASE WHEN n % 3 > 0 THEN md5(n::text) END
             FROM generate_series(1, {rows}) n"
        );
        self.sql(database, &statement).await.map(drop)
    }

    /// A digest of all rows of a table, whatever their order.
    pub async fn fingerprint(&self, database: &str, table: &str) -> Result<String> {
        let query = format!("SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t");
        self.sql(database, &query).await
    }

    /// Opens a session that stays open.
    pub async fn session(&self, database: &str) -> Result<Session> {
        // Not exec: containerd closes the standard input as soon as nobody holds the standard error any more.
        let script = format!("PGDATABASE='{database}' {} 2>&1; exit $?", PSQL.join(" "));
        let command = ["sh", "-c", &script];
        let mut session =
            Session { psql: Dialogue::start(&self.env.api(), &self.name, CONTAINER, &command).await? };
        session.run("").await.context("the session does not start")?;
        Ok(session)
    }

    /// Waits until the query, in the database `postgres`, says `t`.
    pub async fn until(&self, what: &str, query: &str) -> Result<()> {
        // One session asks every time: a command in a pod costs far more than a query.
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

/// A psql that stays open: what it begins, it holds. Dropping it ends it.
pub struct Session {
    psql: Dialogue,
}

impl Session {
    const DONE: &str = "-- done --";

    /// Runs statements and waits until they are done; returns what they print. The first error ends the session.
    pub async fn run(&mut self, statements: &str) -> Result<String> {
        self.send(statements).await?;
        self.done().await
    }

    /// Runs statements and does not wait.
    pub async fn send(&mut self, statements: &str) -> Result<()> {
        self.psql.write(&format!("{statements}\n\\echo '{}'", Self::DONE)).await
    }

    /// Waits until the statements that were sent are done; returns what they print.
    pub async fn done(&mut self) -> Result<String> {
        self.psql.read_to(Self::DONE).await
    }
}

/// A name, quoted for SQL.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
