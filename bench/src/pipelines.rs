//! The compared backup methods: pgbackup, pg_dump alone, and other common ones.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    measure::{self, Run},
    parts::{ObjectStore, Root, Server, output},
};

/// One method of backing up one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pipeline {
    /// pg_dump with pgbackup's options, to /dev/null: the baseline of all comparisons.
    Bare,
    /// pgbackup to a volume, read back from the device.
    OursToVolume,
    /// pgbackup to S3, read back.
    OursToS3,
    /// pg_dump's custom format with default options to a file, then an upload.
    FileThenUpload,
    /// All databases as SQL, through pigz into an upload.
    DumpallPigzUpload,
    /// SQL, compressed by pg_dump at level 1, to a volume.
    PlainToVolume,
    /// The best result with a shell pipeline: pgbackup's compression, streamed into an upload, without any
    /// check.
    BestByHand,
}

impl Pipeline {
    /// All pipelines in the order of the report.
    pub const ALL: [Self; 7] = [
        Self::Bare,
        Self::OursToVolume,
        Self::OursToS3,
        Self::FileThenUpload,
        Self::DumpallPigzUpload,
        Self::PlainToVolume,
        Self::BestByHand,
    ];

    /// Returns the name in the report.
    pub fn title(self) -> &'static str {
        match self {
            Self::Bare => "`pg_dump -Fc -Z zstd:1 > /dev/null` (D)",
            Self::OursToVolume => "**pgbackup, verified, volume**",
            Self::OursToS3 => "**pgbackup, verified, S3**",
            Self::FileThenUpload => "`pg_dump -Fc -f FILE && rclone copyto FILE s3:`",
            Self::DumpallPigzUpload => "`pg_dumpall \\| pigz \\| rclone rcat s3:`",
            Self::PlainToVolume => "`pg_dump -Z1 -f FILE.sql.gz`, volume",
            Self::BestByHand => "`pg_dump -Fc -Z zstd:1 \\| rclone rcat s3:`",
        }
    }
}

/// The environment in which pipelines run.
pub struct Bench<'a> {
    /// The root file system with the programs and the volume.
    pub root: &'a Root,
    /// The PostgreSQL server.
    pub server: &'a Server<'a>,
    /// The object store.
    pub store: &'a ObjectStore,
}

const VOLUME: &str = "/volume";

impl Bench<'_> {
    /// Takes one backup and removes it. Earlier writes are synced to the disk before it starts.
    pub fn run(&self, pipeline: Pipeline, database: &str) -> Result<Run> {
        fs::create_dir_all(self.root.path(VOLUME))?;
        output(&mut Command::new("sync"))?;
        let run = measure::run(&mut self.command(pipeline, database))
            .with_context(|| format!("{pipeline:?} of {database}"))?;
        let stored = bytes_below(&self.root.path(VOLUME))?.max(bytes_below(&self.store.bucket())?);
        for folder in [self.root.path(VOLUME), self.store.bucket()] {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
            }
        }
        Ok(Run { stored, ..run })
    }

    fn command(&self, pipeline: Pipeline, database: &str) -> Command {
        match pipeline {
            Pipeline::Bare => self.shell(&format!("exec pg_dump -Fc -Z zstd:1 {database} > /dev/null")),
            Pipeline::OursToVolume => self.ours(VOLUME, database),
            Pipeline::OursToS3 => self.ours("s3://backups/ours", database),
            Pipeline::FileThenUpload => {
                self.shell(&format!("pg_dump -Fc -f /scratch.dump {database}; rclone copyto /scratch.dump s3:backups/x.dump; rm /scratch.dump"))
            }
            Pipeline::DumpallPigzUpload => self.shell("pg_dumpall | pigz | rclone rcat s3:backups/x.sql.gz"),
            Pipeline::PlainToVolume => self.shell(&format!("exec pg_dump -Z1 -f {VOLUME}/x.sql.gz {database}")),
            Pipeline::BestByHand => self.shell(&format!("pg_dump -Fc -Z zstd:1 {database} | rclone rcat s3:backups/x.dump")),
        }
    }

    fn ours(&self, store: &str, database: &str) -> Command {
        let mut command = self.server.client("pgbackup-runner");
        command
            .args(["backup", "--namespace=bench", "--policy=bench", "--policy-uid=bench", "--s3-path-style"])
            .arg(format!("--store={store}"))
            .arg(format!("--include={database}"))
            .env("AWS_ACCESS_KEY_ID", "pgbackup")
            .env("AWS_SECRET_ACCESS_KEY", "pgbackup-secret")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", self.store.endpoint())
            .env("AWS_ALLOW_HTTP", "true");
        command
    }

    fn shell(&self, script: &str) -> Command {
        let mut command = self.server.client("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .env("RCLONE_CONFIG", "/dev/null")
            .env("RCLONE_CONFIG_S3_TYPE", "s3")
            .env("RCLONE_CONFIG_S3_PROVIDER", "Other")
            .env("RCLONE_CONFIG_S3_ACCESS_KEY_ID", "pgbackup")
            .env("RCLONE_CONFIG_S3_SECRET_ACCESS_KEY", "pgbackup-secret")
            .env("RCLONE_CONFIG_S3_REGION", "us-east-1")
            .env("RCLONE_CONFIG_S3_ENDPOINT", self.store.endpoint())
            .env("RCLONE_S3_NO_CHECK_BUCKET", "true");
        command
    }
}

fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes +=
            if entry.file_type()?.is_dir() { bytes_below(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}
