//! Writes the last files of a backup: checksums, log and, at the very end, the manifest.

use domain::{
    hash,
    manifest::{self, Artifact, ClientFacts, Content, Level, Manifest},
    report::{ArtifactSummary, BackupSummary, Verification},
    size,
    suspicion::Suspicion,
};

use super::{earlier_backups, error::BackupError, verification::Verified};
use crate::{
    args::Config,
    clock::now,
    pg::preflight::Server,
    read_back,
    run::Run,
    store::{BackupWriter, Listing, Repository},
    transfer::FileSum,
};

/// A backup that this attempt, or an earlier attempt of the same run, stored.
pub struct Stored {
    pub id: String,
    pub verification: Verification,
    pub suspicions: Vec<Suspicion>,
    /// A sentence that describes the backup.
    pub message: String,
}

/// Writes the lists of tables, the checksums, the log and the manifest, and adds the backup to the report.
pub async fn write(
    run: &mut Run,
    config: &Config,
    repository: &Repository,
    before: &Listing,
    server: Server,
    writer: BackupWriter,
    verified: Verified,
) -> Result<Stored, BackupError> {
    let message = summary(&verified);
    let Verified { artifacts, check, emptied } = verified;
    let snapshot_time = snapshot_time(&artifacts).expect("a backup should have a database");
    let mut manifest = Manifest {
        format: manifest::FORMAT,
        id: writer.id().to_owned(),
        policy: config.policy.clone(),
        run: config.run.clone(),
        snapshot_time,
        start_time: run.report.start_time,
        completion_time: now(),
        server: server.facts,
        client: ClientFacts { version: server.client_version, runner: env!("CARGO_PKG_VERSION").to_owned() },
        artifacts,
        check,
        suspicions: Vec::new(),
        warnings: Vec::new(),
    };
    manifest.suspicions = earlier_backups::find(repository, config, before, &manifest, &emptied).await?;
    for suspicion in &manifest.suspicions {
        run.log(format_args!("the backup is suspicious: {suspicion}"));
    }
    let verification = earlier_backups::verification(repository, config, before, &manifest);
    manifest.warnings.clone_from(&run.report.warnings);
    run.note(&message);
    for (file, text) in manifest.move_tables_out() {
        writer.write(&file, &text).await?;
        let sum = FileSum { size: text.len() as u64, sha256: hash::sha256(&text) };
        read_back::file(writer.read(&file).await?, &file, &sum).await?;
    }
    let own_sum = manifest::sum(&hash::sha256(&manifest.to_json()), manifest::FILE);
    writer.write(manifest::SUMS_FILE, &(manifest.sums() + &own_sum)).await?;
    writer.write("run.log", &run.log_text()).await?;
    let committed = writer.commit(&manifest).await?;
    run.committed();
    report(run, repository, &manifest, committed.manifest_sha256.clone(), verification);
    committed.end().await;
    let Manifest { id, suspicions, .. } = manifest;
    Ok(Stored { id, verification, suspicions, message })
}

/// Returns the oldest snapshot time of the databases.
fn snapshot_time(artifacts: &[Artifact]) -> Option<jiff::Timestamp> {
    let snapshots = artifacts.iter().filter_map(|artifact| match &artifact.content {
        Content::Database(facts) => Some(facts.snapshot_time),
        _ => None,
    });
    snapshots.min()
}

/// Describes the backup, for example `2 databases stored and verified: 1.2 GiB, read back from the device`.
fn summary(Verified { artifacts, check, .. }: &Verified) -> String {
    let databases =
        artifacts.iter().filter(|artifact| matches!(artifact.content, Content::Database(_))).count();
    let from = match check.bytes_from_device {
        Some(bytes) if bytes < check.bytes_read => "the page cache, not from the device",
        Some(_) => "the device",
        None => "the store",
    };
    format!(
        "{databases} database{} {}: {}, read back from {from}",
        if databases == 1 { "" } else { "s" },
        if check.level == Level::Checksum { "stored, archives not checked" } else { "stored and verified" },
        size::human(artifacts.iter().map(|artifact| artifact.size_bytes).sum())
    )
}

/// Adds a stored backup to the report.
pub fn report(
    run: &mut Run,
    repository: &Repository,
    manifest: &Manifest,
    manifest_sha256: String,
    verification: Verification,
) {
    let has_passwords =
        |artifact: &Artifact| matches!(artifact.content, Content::Globals { passwords: true, .. });
    let details = run.backup_details();
    details.server_version = Some(manifest.server.version.clone());
    details.client_version = Some(manifest.client.version.clone());
    details.artifacts = manifest.artifacts.iter().map(artifact_summary).collect();
    details.backup = Some(BackupSummary {
        id: manifest.id.clone(),
        snapshot_time: manifest.snapshot_time,
        size_bytes: manifest.size_bytes(),
        artifacts: u32::try_from(manifest.artifacts.len()).unwrap_or(u32::MAX),
        manifest_sha256,
        location: repository.location(&manifest.id),
        verification,
        password_hashes: manifest.artifacts.iter().any(has_passwords),
    });
}

fn artifact_summary(artifact: &Artifact) -> ArtifactSummary {
    let database = match &artifact.content {
        Content::Database(facts) => Some(facts.name.clone()),
        Content::Tables { database } => Some(database.clone()),
        Content::Globals { .. } => None,
    };
    ArtifactSummary {
        database,
        file: artifact.file.clone(),
        size_bytes: artifact.size_bytes,
        sha256: artifact.sha256.clone(),
    }
}
