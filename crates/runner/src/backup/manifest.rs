//! The end of a backup: what people read of it, then its manifest.

use domain::{
    hash,
    manifest::{self, Artifact, ClientFacts, Content, Level, Manifest},
    report::{ArtifactSummary, BackupSummary, Verification},
    size,
    suspicion::Suspicion,
};

use crate::{
    args::Config,
    backup::suspicion,
    backup::{BackupError, Checked},
    pg::preflight::Server,
    read_back::{self, Written},
    run::{self, Run},
    store::Listing,
};

/// Writes what `sha256sum -c` and people read, then the manifest.
pub async fn commit(
    run: &mut Run,
    config: &Config,
    server: Server,
    Checked { artifacts, check, emptied }: Checked,
    before: &Listing,
) -> Result<(String, Vec<Suspicion>), BackupError> {
    let snapshots = artifacts.iter().filter_map(|artifact| match &artifact.content {
        Content::Database(facts) => Some(facts.snapshot_time),
        _ => None,
    });
    let snapshot_time = snapshots.min().expect("a backup should have a database");
    let databases =
        artifacts.iter().filter(|artifact| matches!(artifact.content, Content::Database(_))).count();
    let from = match check.bytes_from_device {
        Some(bytes) if bytes < check.bytes_read => "a cache, so the device is not proven",
        Some(_) => "the device",
        None => "the store",
    };
    let message = format!(
        "{databases} database{} {}: {}, read back from {from}",
        if databases == 1 { "" } else { "s" },
        if check.level == Level::Checksum { "stored, archives not read" } else { "stored and verified" },
        size::human(artifacts.iter().map(|artifact| artifact.size_bytes).sum())
    );
    let repository = run.repository.clone().expect("the store should be open before the first dump");
    let id = run.backup.as_ref().expect("the databases should have made the backup").id().to_owned();
    let mut manifest = Manifest {
        format: manifest::FORMAT,
        id,
        policy: config.policy.clone(),
        run: config.run.clone(),
        snapshot_time,
        start_time: run.report.start_time,
        completion_time: run::now(),
        server: server.facts,
        client: ClientFacts { version: server.client_version, runner: env!("CARGO_PKG_VERSION").to_owned() },
        artifacts,
        check,
        suspicions: Vec::new(),
        warnings: Vec::new(),
    };
    manifest.suspicions = suspicion::suspicions(&repository, config, before, &manifest, &emptied).await?;
    for suspicion in &manifest.suspicions {
        run.log(format_args!("suspicious: the backup {suspicion}"));
    }
    let verdict = suspicion::verdict(&repository, config, before, &manifest);
    manifest.warnings.clone_from(&run.report.warnings);
    run.log(&message);
    let log = run.log_text();
    let backup = run.backup.as_mut().expect("the databases should have made the backup");
    for (file, text) in manifest.move_tables_out() {
        backup.write(&file, &text).await?;
        let written = Written { file: &file, size: text.len() as u64, sha256: &hash::sha256(&text) };
        read_back::file(backup.read(&file).await?, written).await?;
    }
    let own_sum = manifest::sum(&hash::sha256(&manifest.to_json()), manifest::FILE);
    backup.write(manifest::SUMS_FILE, &(manifest.sums() + &own_sum)).await?;
    backup.write("run.log", &log).await?;
    let manifest_sha256 = backup.commit(&manifest).await?;
    // From here on it is no backup in the making, whatever happens.
    let made = run.backup.take();
    summarize(run, &manifest, manifest_sha256, verdict);
    if let Some(backup) = made {
        backup.end().await;
    }
    Ok((message, manifest.suspicions))
}

/// Puts a stored and verified backup into the report.
pub fn summarize(run: &mut Run, manifest: &Manifest, manifest_sha256: String, verification: Verification) {
    let location =
        run.repository.as_ref().map(|repository| repository.location(&manifest.id)).unwrap_or_default();
    let summary = BackupSummary {
        id: manifest.id.clone(),
        snapshot_time: manifest.snapshot_time,
        size_bytes: manifest.size_bytes(),
        artifacts: u32::try_from(manifest.artifacts.len()).unwrap_or(u32::MAX),
        manifest_sha256,
        location,
        verification,
        password_hashes: manifest
            .artifacts
            .iter()
            .any(|artifact| matches!(artifact.content, Content::Globals { passwords: true, .. })),
    };
    run.report.server_version = Some(manifest.server.version.clone());
    run.report.client_version = Some(manifest.client.version.clone());
    run.report.artifacts = manifest.artifacts.iter().map(artifact_summary).collect();
    run.report.backup = Some(summary);
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
