//! A run as the status remembers it.

use api::{
    BackupPolicyStatus,
    status::{ArtifactStatus, BackupStatus, FailureStatus, RunResult, RunStatus, time},
};
use domain::report::{Outcome, RunRecord, RunReport, SetSummary, Trigger, seconds};

use super::run::Judged;
use crate::size;

/// The word of a trigger.
const fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Schedule => "Schedule",
        Trigger::Manual => "Manual",
    }
}

/// A finished run in one line.
pub fn from_judged(run: &Judged<'_>) -> Option<RunStatus> {
    if run.result == RunResult::Running {
        return None;
    }
    let report = run.final_report();
    Some(RunStatus {
        id: run.observed.job.clone(),
        trigger: trigger(run.trigger).to_owned(),
        result: run.result,
        reason: run.reason().word().to_owned(),
        start_time: time(run.start),
        duration_seconds: report.and_then(duration),
        size_bytes: report.and_then(|report| report.set.as_ref()).map(|set| set.size_bytes),
    })
}

/// A run that another run's report tells of.
pub fn from_record(record: &RunRecord) -> RunStatus {
    RunStatus {
        id: record.id.clone(),
        trigger: trigger(record.trigger).to_owned(),
        result: if record.result == Outcome::Succeeded { RunResult::Succeeded } else { RunResult::Failed },
        reason: record.reason.word().to_owned(),
        start_time: time(record.start_time),
        duration_seconds: Some(record.duration_seconds),
        size_bytes: record.size_bytes,
    }
}

/// Puts a run among the last ones of the status, where it is newer than what stands there.
pub fn remember(status: &mut BackupPolicyStatus, run: &Judged<'_>) {
    if let Some(report) = run.report {
        status.server_version = report.server_version.clone().or_else(|| status.server_version.take());
        status.client_version = report.client_version.clone().or_else(|| status.client_version.take());
    }
    let told = run.final_report().map(|report| report.recent.as_slice()).unwrap_or_default();
    if let Some(record) = told
        .iter()
        .filter(|record| record.result == Outcome::Succeeded)
        .max_by_key(|record| record.start_time)
        && is_newer(status.last_success.as_ref(), record.start_time, "")
    {
        status.last_success = Some(success_from_record(record));
    }
    let backup = backup(run);
    if run.result == RunResult::Succeeded && is_newer(status.last_success.as_ref(), run.start, &backup.job) {
        status.last_success = Some(backup.clone());
    }
    if is_newer(status.last_backup.as_ref(), run.start, &backup.job) {
        status.last_backup = Some(backup);
    }
    if let (Some(failure), true) = (&run.failure, run.result != RunResult::Unknown) {
        let ended = run.final_report().and_then(|report| report.completion_time).unwrap_or(run.start);
        let known = status.last_failure.as_ref().map(|known| known.time.0.as_second());
        if known.is_none_or(|known| known <= ended.as_second()) {
            status.last_failure = Some(FailureStatus {
                job: run.observed.job.clone(),
                time: time(ended),
                reason: failure.reason.word().to_owned(),
                message: failure.message.clone(),
                stage: run.report.map(|report| report.stage.word().to_owned()),
            });
        }
    }
}

/// Whether a run that started at `start` says more than `known`: a later one, or the same one looked at again.
fn is_newer(known: Option<&BackupStatus>, start: jiff::Timestamp, job: &str) -> bool {
    known.is_none_or(|known| {
        known.job == job
            || known.start_time.as_ref().is_none_or(|time| time.0.as_second() < start.as_second())
    })
}

fn duration(report: &RunReport) -> Option<f64> {
    Some(seconds(report.completion_time?.duration_since(report.start_time)))
}

fn backup(run: &Judged<'_>) -> BackupStatus {
    let report = run.report;
    let set = run.final_report().and_then(|report| report.set.as_ref());
    let artifacts = run.final_report().map(|report| report.artifacts.as_slice()).unwrap_or_default();
    BackupStatus {
        job: run.observed.job.clone(),
        result: run.result,
        scheduled_time: run.slot.map(time),
        start_time: Some(time(run.start)),
        completion_time: run.final_report().and_then(|report| report.completion_time).map(time),
        duration_seconds: run.final_report().and_then(duration),
        stage: report.map(|report| report.stage.word().to_owned()),
        artifacts: artifacts.iter().map(artifact).collect(),
        warnings: run.final_report().map(|report| report.warnings.clone()).unwrap_or_default(),
        ..set.map_or_else(BackupStatus::default, stored)
    }
}

/// What is known of a set.
fn stored(set: &SetSummary) -> BackupStatus {
    BackupStatus {
        set: Some(set.id.clone()),
        snapshot_time: Some(time(set.snapshot_time)),
        size_bytes: Some(set.size_bytes),
        size: Some(size::human(set.size_bytes)),
        artifact_count: Some(set.artifacts),
        manifest_sha256: Some(set.manifest_sha256.clone()),
        location: Some(set.location.clone()),
        verification: Some(format!("{:?}", set.verification)),
        ..BackupStatus::default()
    }
}

/// A success that nobody watched, as a later run's report tells of it.
fn success_from_record(record: &RunRecord) -> BackupStatus {
    let completion =
        record.start_time.checked_add(jiff::SignedDuration::from_secs_f64(record.duration_seconds));
    let slot = record.id.rsplit_once('-').and_then(|(cron_job, _)| domain::name::slot(cron_job, &record.id));
    BackupStatus {
        job: record.id.clone(),
        result: RunResult::Succeeded,
        scheduled_time: slot.map(time),
        start_time: Some(time(record.start_time)),
        completion_time: completion.ok().map(time),
        duration_seconds: Some(record.duration_seconds),
        snapshot_time: record.snapshot_time.map(time),
        size_bytes: record.size_bytes,
        size: record.size_bytes.map(size::human),
        verification: Some(record.reason.word().to_owned()),
        ..BackupStatus::default()
    }
}

fn artifact(artifact: &domain::report::ArtifactSummary) -> ArtifactStatus {
    ArtifactStatus {
        database: artifact.database.clone(),
        file: artifact.file.clone(),
        size_bytes: artifact.size_bytes,
        sha256: artifact.sha256.clone(),
    }
}
