//! Backup runs in the status: in the history, and as last run, last success and last failure.

use std::collections::BTreeMap;

use api::{
    BackupPolicyStatus,
    status::{ArtifactStatus, BackupStatus, FailureStatus, RunResult, RunStatus, Verification, time},
};
use domain::{
    name,
    report::{BackupSummary, Outcome, RunRecord, RunReport, Trigger, seconds},
    size,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::run_result::{AssessedRun, described};

/// Converts an ended run to an entry of the history; `None` while it is running.
pub fn from_assessed(run: &AssessedRun<'_>) -> Option<RunStatus> {
    if run.result == RunResult::Running {
        return None;
    }
    let report = run.final_report();
    Some(RunStatus {
        job: run.observed.job.clone(),
        trigger: run.trigger.into(),
        result: run.result,
        reason: run.reason().into(),
        start_time: time(run.start),
        duration_seconds: report.and_then(duration),
        size_bytes: report.and_then(RunReport::backup).map(|backup| backup.size_bytes),
    })
}

/// Converts a record in a later run's report to an entry of the history.
pub fn from_record(record: &RunRecord) -> RunStatus {
    RunStatus {
        job: record.job.clone(),
        trigger: record.trigger.into(),
        result: if record.result == Outcome::Succeeded { RunResult::Succeeded } else { RunResult::Failed },
        reason: record.reason.into(),
        start_time: time(record.start_time),
        duration_seconds: recorded_duration(record).map(seconds),
        size_bytes: record.size_bytes,
    }
}

/// Updates last run, last success and last failure from the runs, oldest first, and then from the records in
/// the reports `news`. Records are processed after all observed runs, because a report can change the start
/// of its run, and so the order of the runs.
pub fn remember(status: &mut BackupPolicyStatus, runs: &[AssessedRun<'_>], news: &[&RunReport]) {
    // Twice: the report of the last run can change its start, so that an earlier one is newer.
    for run in runs.iter().chain(runs) {
        remember_run(status, run);
    }
    // A run's own report has more about its backup than a record.
    let has_report = |job: &String| {
        runs.iter()
            .any(|run| run.observed.job == *job && run.report.is_some_and(|report| report.backup().is_some()))
    };
    for record in news.iter().flat_map(|report| &report.recent).filter(|record| !has_report(&record.job)) {
        remember_record(status, record);
    }
}

fn remember_run(status: &mut BackupPolicyStatus, run: &AssessedRun<'_>) {
    let backup = backup(run);
    let is_this = |known: &BackupStatus| known.job == backup.job;
    // A run that was stopped after it wrote its manifest failed, but its backup exists. A suspicious backup
    // is not successful.
    let is_success =
        run.result == RunResult::Succeeded || (backup.backup.is_some() && !is_suspicious(&backup));
    let known = status.last_success.as_ref();
    if is_success && (known.is_some_and(is_this) || is_newer_backup(known, &backup)) {
        status.last_success = Some(backup.clone());
    }
    if let (Some(failure), RunResult::Failed) = (&run.failure, run.result) {
        let reported = run.final_report().and_then(|report| report.completion_time);
        let ended = reported.or(run.observed.ended).unwrap_or(run.start);
        let failure = FailureStatus {
            job: backup.job.clone(),
            time: time(ended),
            reason: failure.reason.into(),
            message: failure.message.to_string(),
            stage: run.report.map(|report| report.details.stage().as_str().to_owned()),
        };
        if status.last_failure.as_ref().is_none_or(|known| known.job == failure.job)
            || is_newer_failure(status, run.start, &failure.job)
        {
            status.last_failure = Some(failure);
        }
    }
    let known = status.last_run.as_ref();
    if known.is_some_and(is_this) || is_newer(known, run.start, &backup.job) {
        status.last_run = Some(backup);
    }
}

/// Makes the suspicious backup of the last run successful if a person accepts it.
pub fn acknowledge(status: &mut BackupPolicyStatus, acknowledged: &[String]) {
    let Some(last) = status.last_run.as_mut().filter(|last| is_suspicious(last)) else { return };
    if last.backup.as_ref().is_some_and(|backup| acknowledged.contains(backup)) {
        last.verification = Some(Verification::Acknowledged);
        let known = status.last_success.as_ref();
        if known.is_some_and(|known| known.job == last.job) || is_newer_backup(known, last) {
            status.last_success = Some(last.clone());
        }
    }
}

fn is_suspicious(backup: &BackupStatus) -> bool {
    backup.verification == Some(Verification::Suspicious)
}

/// Updates last success and last failure from the record of a run that was not observed, unless the history
/// contains more about that run.
fn remember_record(status: &mut BackupPolicyStatus, record: &RunRecord) {
    // A run whose report was lost has kept the later start.
    let is_of_record = |known: &&RunStatus| {
        let start_time = known.start_time.clone().max(time(record.start_time));
        **known == RunStatus { start_time, ..from_record(record) }
    };
    let Some(start) = status.history.iter().find(is_of_record).map(|known| known.start_time.0) else {
        return;
    };
    match record.result {
        Outcome::Succeeded => {
            let backup = success_from_record(record);
            if is_newer_backup(status.last_success.as_ref(), &backup) {
                status.last_success = Some(backup);
            }
        }
        Outcome::Failed if is_newer_failure(status, start, &record.job) => {
            status.last_failure = Some(FailureStatus {
                job: record.job.clone(),
                time: time(end(record).unwrap_or(record.start_time)),
                reason: record.reason.into(),
                message: described(record.reason).to_string(),
                stage: None,
            });
        }
        _ => {}
    }
}

/// Returns whether a run is newer than `known`. If both started in the same second, the names decide.
fn is_newer(known: Option<&BackupStatus>, start: Timestamp, job: &str) -> bool {
    known.is_none_or(|known| {
        let known_start = known.start_time.as_ref().map(|time| time.0);
        (known_start, known.job.as_str()) < (Some(start), job)
    })
}

/// Returns whether a backup is newer than `known`, by snapshot time. Retention uses the same order, so the
/// newest backup is the last one that retention would delete. A run that started earlier can have the newer
/// snapshot, because it waited for locks.
fn is_newer_backup(known: Option<&BackupStatus>, backup: &BackupStatus) -> bool {
    let rank = |backup: &BackupStatus| {
        let time = |at: &Option<Time>| at.as_ref().map(|at| at.0);
        let start = time(&backup.start_time);
        (time(&backup.snapshot_time).or(start), start, backup.job.clone())
    };
    known.is_none_or(|known| rank(known) < rank(backup))
}

/// Returns whether a run is newer than the last failure. The start of the last failure is taken from the
/// history, or its end is used if the history does not contain it.
fn is_newer_failure(status: &BackupPolicyStatus, start: Timestamp, job: &str) -> bool {
    status.last_failure.as_ref().is_none_or(|known| {
        let in_history = status.history.iter().find(|run| run.job == known.job);
        let known_start = in_history.map_or(known.time.0, |run| run.start_time.0);
        (known_start, known.job.as_str()) < (start, job)
    })
}

fn duration(report: &RunReport) -> Option<f64> {
    Some(seconds(report.completion_time?.duration_since(report.start_time)))
}

/// Returns the duration of each stage, rounded to milliseconds. Omits numbers that cannot be durations.
fn stages(report: &RunReport) -> BTreeMap<String, f64> {
    let duration = |seconds: f64| {
        SignedDuration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_negative())
    };
    let stages = report.details.stages().into_iter();
    stages.filter_map(|(stage, took)| Some((stage.as_str().to_owned(), seconds(duration(took)?)))).collect()
}

fn backup(run: &AssessedRun<'_>) -> BackupStatus {
    let report = run.report;
    let backup = report.and_then(RunReport::backup);
    let details = run.final_report().and_then(|report| report.details.as_backup());
    let artifacts = details.map(|details| details.artifacts.as_slice()).unwrap_or_default();
    BackupStatus {
        job: run.observed.job.clone(),
        result: run.result,
        scheduled_time: run.slot.map(time),
        start_time: Some(time(run.start)),
        completion_time: run.final_report().and_then(|report| report.completion_time).map(time),
        duration_seconds: run.final_report().and_then(duration),
        stage: report.map(|report| report.details.stage().as_str().to_owned()),
        stages: run.final_report().map(stages).unwrap_or_default(),
        artifacts: artifacts.iter().map(artifact).collect(),
        warnings: run.final_report().map(|report| report.warnings.clone()).unwrap_or_default(),
        ..backup.map_or_else(BackupStatus::default, stored)
    }
}

/// Returns a status with the fields about the stored backup.
fn stored(backup: &BackupSummary) -> BackupStatus {
    BackupStatus {
        backup: Some(backup.id.clone()),
        snapshot_time: Some(time(backup.snapshot_time)),
        size_bytes: Some(backup.size_bytes),
        size: Some(size::human(backup.size_bytes)),
        artifact_count: Some(backup.artifacts),
        manifest_sha256: Some(backup.manifest_sha256.clone()),
        location: Some(backup.location.clone()),
        verification: Some(backup.verification.into()),
        password_hashes: backup.password_hashes,
        ..BackupStatus::default()
    }
}

/// Converts a record in a later run's report to a successful backup.
fn success_from_record(record: &RunRecord) -> BackupStatus {
    BackupStatus {
        job: record.job.clone(),
        result: RunResult::Succeeded,
        scheduled_time: slot(record).map(time),
        start_time: Some(time(record.start_time)),
        completion_time: end(record).map(time),
        duration_seconds: recorded_duration(record).map(seconds),
        snapshot_time: record.snapshot_time.map(time),
        size_bytes: record.size_bytes,
        size: record.size_bytes.map(size::human),
        verification: Verification::of_reason(record.reason),
        ..BackupStatus::default()
    }
}

/// Returns the slot of a record's Job; `None` if the run was not scheduled.
pub fn slot(record: &RunRecord) -> Option<Timestamp> {
    let (cron_job, _) = record.job.rsplit_once('-').filter(|_| record.trigger == Trigger::Schedule)?;
    name::slot(cron_job, &record.job)
}

/// Returns the duration in a record; `None` if the number cannot be a duration. The store may contain any
/// number.
fn recorded_duration(record: &RunRecord) -> Option<SignedDuration> {
    SignedDuration::try_from_secs_f64(record.duration_seconds).ok().filter(SignedDuration::is_positive)
}

fn end(record: &RunRecord) -> Option<Timestamp> {
    record.start_time.checked_add(recorded_duration(record)?).ok()
}

fn artifact(artifact: &domain::report::ArtifactSummary) -> ArtifactStatus {
    ArtifactStatus {
        database: artifact.database.clone(),
        file: artifact.file.clone(),
        size_bytes: artifact.size_bytes,
        sha256: artifact.sha256.clone(),
    }
}
