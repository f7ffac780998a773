//! Reads and corrupts a store through a shell in a separate pod.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use domain::{
    manifest::{Content, DatabaseFacts, Manifest},
    name,
    report::RunReport,
};

use crate::{
    env::{Env, image},
    exec,
    manifests::{self, fill},
    policy::Policy,
    wait,
};

const CONTAINER: &str = "shell";
/// The mount path of the volume in the shell's pod.
pub const MOUNT: &str = "/backup";

/// The number of times that a shell checks for a file before it fails.
const POLLS: u32 = 1000;

/// A shell in which a store is mounted.
pub struct Store {
    env: Env,
    pod: String,
    root: String,
}

/// A stored backup that has a manifest.
#[derive(Clone, Debug)]
pub struct StoreBackup {
    /// The backup's folder, relative to the store's root.
    pub path: String,
    pub manifest: Manifest,
}

impl StoreBackup {
    /// Returns the manifest's facts about a database.
    pub fn database(&self, name: &str) -> Result<&DatabaseFacts> {
        let facts = self.manifest.artifacts.iter().find_map(|artifact| match &artifact.content {
            Content::Database(facts) if facts.name == name => Some(&**facts),
            _ => None,
        });
        facts.with_context(|| format!("{} has no database {name}", self.path))
    }

    /// Returns the number of rows of a table according to the manifest.
    pub fn rows(&self, database: &str, table: &str) -> Result<u64> {
        let tables = &self.database(database)?.tables;
        let facts = tables.iter().find(|facts| facts.name == table);
        facts.map(|facts| facts.rows).with_context(|| format!("{database} has no table {table}"))
    }
}

impl Store {
    /// Starts a shell with the claim's volume mounted.
    pub async fn open(env: &Env, claim: &str) -> Result<Self> {
        let pod = format!("store-of-{claim}");
        let values = [("NAME", pod.as_str()), ("IMAGE", &image(17)), ("CLAIM", claim)];
        env.create(&fill(manifests::STORE, &values)).await?;
        wait::pod_is_ready(&env.api(), &pod).await?;
        Ok(Self { env: env.clone(), pod, root: MOUNT.to_owned() })
    }

    /// Returns the shell beside an S3 server whose data is in `folder`.
    pub(crate) fn beside(env: &Env, pod: &str, folder: &str) -> Self {
        Self { env: env.clone(), pod: pod.to_owned(), root: format!("{MOUNT}/{folder}") }
    }

    /// Returns the store of policies with this `subPath` or `prefix`.
    #[must_use]
    pub fn below(self, sub_path: &str) -> Self {
        let root = format!("{}/{sub_path}", self.root);
        Self { root, ..self }
    }

    /// Runs a script in the store's root and returns its output. Fails unless the script succeeds.
    pub async fn sh(&self, script: &str) -> Result<String> {
        let script = format!("set -eu; cd {}; {script}", self.root);
        let pods = self.env.api();
        exec::stdout(&pods, &self.pod, CONTAINER, &["bash", "-c", &script], "").await
    }

    /// Returns the folder of a policy's repository, relative to the store's root.
    pub fn folder(&self, policy: &Policy) -> String {
        format!("{}/{}", self.env.namespace, policy.name)
    }

    /// Returns all files of a policy's repository, with their sizes and modes.
    pub async fn files(&self, policy: &Policy) -> Result<BTreeMap<String, (u64, String)>> {
        let folder = self.folder(policy);
        let listing =
            self.sh(&format!("find '{folder}' -type f -printf '%s %m %P\\n' 2> /dev/null || true")).await?;
        listing
            .lines()
            .map(|line| {
                let mut words = line.splitn(3, ' ');
                let mut word = || words.next().context("find should print three words");
                let (size, mode) = (word()?.parse()?, word()?.to_owned());
                Ok((word()?.to_owned(), (size, mode)))
            })
            .collect()
    }

    /// Returns the folders of backups, with or without a manifest.
    pub async fn backup_folders(&self, policy: &Policy) -> Result<Vec<String>> {
        let folder = self.folder(policy);
        let names = self.sh(&format!("ls '{folder}' 2> /dev/null || true")).await?;
        Ok(names.lines().filter(|name| name::is_backup_id(name)).map(str::to_owned).collect())
    }

    /// Returns the backups that have a manifest, oldest first.
    pub async fn backups(&self, policy: &Policy) -> Result<Vec<StoreBackup>> {
        let folder = self.folder(policy);
        let script = format!(
            "for backup in '{folder}'/2*; do cat \"$backup/manifest.json\" 2> /dev/null || true; done"
        );
        let manifests = self.sh(&script).await?;
        let manifests = serde_json::Deserializer::from_str(&manifests).into_iter::<Manifest>();
        manifests
            .map(|manifest| {
                let manifest = manifest.context("a manifest should be readable")?;
                Ok(StoreBackup { path: format!("{folder}/{}", manifest.id), manifest })
            })
            .collect()
    }

    /// Returns the only backup of a policy. Fails unless there is exactly one.
    pub async fn only_backup(&self, policy: &Policy) -> Result<StoreBackup> {
        let backups = self.backups(policy).await?;
        match backups.as_slice() {
            [backup] => Ok(backup.clone()),
            _ => bail!("{} backups instead of one", backups.len()),
        }
    }

    /// Verifies a backup with `sha256sum`, without pgbackup. Fails unless SHA256SUMS lists every file of the
    /// manifest.
    pub async fn check(&self, backup: &StoreBackup) -> Result<()> {
        let files = backup.manifest.artifacts.iter();
        let lines: String = files.map(|file| format!("{}  {}\n", file.sha256, file.file)).collect();
        let script = format!(
            "cd '{}'; sha256sum --check --strict --quiet SHA256SUMS
             diff <(sort SHA256SUMS) <({{ sha256sum manifest.json; cat <<< '{}'; }} | sort)",
            backup.path,
            lines.trim_end()
        );
        self.sh(&script).await.map(drop)
    }

    /// Returns the record of a run.
    pub async fn record(&self, policy: &Policy, job: &str) -> Result<RunReport> {
        let path = format!("{}/runs/{job}.json", self.folder(policy));
        let text = self.sh(&format!("cat '{path}'")).await?;
        RunReport::parse(&text).with_context(|| format!("{path} is no record: {text}"))
    }

    /// Waits for a file of this name in a backup without a manifest. Returns the file's path.
    pub async fn await_file(&self, policy: &Policy, name: &str) -> Result<String> {
        // The loop runs in the pod, because each command in a pod costs far more than listing a folder.
        let script = format!(
            "until [ $((waited++)) -gt {POLLS} ]; do
               for backup in '{}'/2*; do
                 if [ ! -e $backup/manifest.json ] && [ -e $backup/{name} ]; then echo $backup/{name}; exit; fi
               done
               sleep 0.1
             done
             echo 'no backup has {name}' >&2; exit 1",
            self.folder(policy)
        );
        self.sh(&format!("waited=0; {script}")).await
    }

    /// Flips one bit in the middle of a file.
    pub async fn flip_bit(&self, path: &str) -> Result<()> {
        self.sh(&format!(
            "at=$(($(stat -c %s '{path}') / 2))
             byte=$(od -A n -t u1 -j $at -N 1 '{path}' | tr -d ' ')
             printf \"\\\\x$(printf %x $((byte ^ 1)))\" | dd of='{path}' bs=1 seek=$at conv=notrunc status=none"
        ))
        .await
        .map(drop)
    }

    /// Truncates a file by one byte.
    pub async fn truncate(&self, path: &str) -> Result<()> {
        self.sh(&format!("truncate --size=-1 '{path}'")).await.map(drop)
    }
}
