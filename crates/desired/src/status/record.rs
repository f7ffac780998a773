//! A run as the status remembers it.

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

use super::run::{AssessedRun, described};

/// A finished run in one line.
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

/// A run that another run's report tells of.
pub fn from_record(record: &RunRecord) -> RunStatus {
    RunStatus {
        job: record.job.clone(),
        trigger: record.trigger.into(),
        result: if record.result == Outcome::Succeeded { RunResult::Succeeded } else { RunResult::Failed },
        reason: record.reason.into(),
        start_time: time(record.start_time),
        duration_seconds: told_duration(record).map(seconds),
        size_bytes: record.size_bytes,
    }
}

/// Puts the runs, oldest first, and those that new reports tell of among the last ones of the status where they are
/// newer than what stands there. What is told comes after all that is seen: a run's own words may move its start, and
/// with it what counts as newer.
pub fn remember(status: &mut BackupPolicyStatus, runs: &[AssessedRun<'_>], news: &[&RunReport]) {
    // Twice: the run that stands there may by now say of itself that it is older than one that came before it.
    for run in runs.iter().chain(runs) {
        remember_run(status, run);
    }
    // Of its own copy a run has told more.
    let has_told = |id: &String| {
        runs.iter()
            .any(|run| run.observed.job == *id && run.report.is_some_and(|report| report.backup().is_some()))
    };
    for record in news.iter().flat_map(|report| &report.recent).filter(|record| !has_told(&record.job)) {
        remember_record(status, record);
    }
}

fn remember_run(status: &mut BackupPolicyStatus, run: &AssessedRun<'_>) {
    let backup = backup(run);
    let is_this = |known: &BackupStatus| known.job == backup.job;
    // A run that was stopped after its manifest has failed, and its copy is there all the same; a suspicious one counts
    // for nothing yet.
    let counts = run.result == RunResult::Succeeded || (backup.backup.is_some() && !is_suspicious(&backup));
    let known = status.last_success.as_ref();
    if counts && (known.is_some_and(is_this) || is_newer_backup(known, &backup)) {
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

/// A suspicious backup that a person has settled is the newest good one.
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

/// A run that nobody watched, as a later run's report tells of it. The history knows whether something better is
/// known of it.
fn remember_record(status: &mut BackupPolicyStatus, record: &RunRecord) {
    // One that was lost has kept the later start.
    let is_told = |known: &&RunStatus| {
        let start_time = known.start_time.clone().max(time(record.start_time));
        **known == RunStatus { start_time, ..from_record(record) }
    };
    let Some(start) = status.history.iter().find(is_told).map(|known| known.start_time.0) else { return };
    match record.result {
        Outcome::Succeeded => {
            let copy = success_from_record(record);
            if is_newer_backup(status.last_success.as_ref(), &copy) {
                status.last_success = Some(copy);
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

/// Whether a run is a later one than `known`; the name decides between runs of one second.
fn is_newer(known: Option<&BackupStatus>, start: Timestamp, job: &str) -> bool {
    known.is_none_or(|known| {
        let known_start = known.start_time.as_ref().map(|time| time.0);
        (known_start, known.job.as_str()) < (Some(start), job)
    })
}

/// Whether a backup is newer than `known`: by its snapshot, as retention has it, so that the one that is claimed is the last
/// that would go. A run that began earlier may have waited for locks.
fn is_newer_backup(known: Option<&BackupStatus>, copy: &BackupStatus) -> bool {
    let rank = |copy: &BackupStatus| {
        let time = |at: &Option<Time>| at.as_ref().map(|at| at.0);
        let start = time(&copy.start_time);
        (time(&copy.snapshot_time).or(start), start, copy.job.clone())
    };
    known.is_none_or(|known| rank(known) < rank(copy))
}

/// The same for failures. When they started stands in the history; one that fell out of it started before it ended.
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

/// How long each stage took. Of a report's numbers only those that can be durations, to the millisecond.
fn stages(report: &RunReport) -> BTreeMap<String, f64> {
    let took = |took: f64| SignedDuration::try_from_secs_f64(took).ok().filter(|took| !took.is_negative());
    let stages = report.details.stages().into_iter();
    stages.filter_map(|(stage, span)| Some((stage.as_str().to_owned(), seconds(took(span)?)))).collect()
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

/// What is known of a backup.
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

/// A success that nobody watched, as a later run's report tells of it.
fn success_from_record(record: &RunRecord) -> BackupStatus {
    BackupStatus {
        job: record.job.clone(),
        result: RunResult::Succeeded,
        scheduled_time: slot(record).map(time),
        start_time: Some(time(record.start_time)),
        completion_time: end(record).map(time),
        duration_seconds: told_duration(record).map(seconds),
        snapshot_time: record.snapshot_time.map(time),
        size_bytes: record.size_bytes,
        size: record.size_bytes.map(size::human),
        verification: Verification::of_reason(record.reason),
        ..BackupStatus::default()
    }
}

/// The slot that it stands for.
pub fn slot(record: &RunRecord) -> Option<Timestamp> {
    let (cron_job, _) = record.job.rsplit_once('-').filter(|_| record.trigger == Trigger::Schedule)?;
    name::slot(cron_job, &record.job)
}

/// How long it took. A store's record may claim any number, with more digits than come back from the cluster.
fn told_duration(record: &RunRecord) -> Option<SignedDuration> {
    SignedDuration::try_from_secs_f64(record.duration_seconds).ok().filter(SignedDuration::is_positive)
}

fn end(record: &RunRecord) -> Option<Timestamp> {
    record.start_time.checked_add(told_duration(record)?).ok()
}

fn artifact(artifact: &domain::report::ArtifactSummary) -> ArtifactStatus {
    ArtifactStatus {
        database: artifact.database.clone(),
        file: artifact.file.clone(),
        size_bytes: artifact.size_bytes,
        sha256: artifact.sha256.clone(),
    }
}
