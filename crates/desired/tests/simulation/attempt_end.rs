//! How a simulated pod ends, and what it reports.

use std::collections::BTreeSet;

use domain::{
    catalog::{BackupState, CatalogBackup},
    hash,
    message::Message,
    name,
    operation::Operation,
    reason::Reason,
    report::{
        ArtifactSummary, BackupDetails, BackupStage, BackupSummary, Details, Outcome, RunIdentity, RunReport,
        ScrubDetails, Trigger, Verification, termination_message,
    },
};
use jiff::SignedDuration;
use pgbackup_desired::ContainerExit;

use super::{
    cluster::{Job, Pod},
    random::Random,
    store::{Order, Store, StoredBackup},
    time::{HOUR, MINUTE, SECOND, at},
};

/// The ways in which a pod can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The run does all of its work.
    Works,
    /// The run fails and reports this reason.
    Fails(Reason),
    /// The run is stopped by a signal and reports that.
    Interrupted { after_manifest: bool },
    /// The run is killed with this reason of the kubelet. Only its provisional report is left.
    Killed { container_reason: &'static str, after_manifest: bool },
    /// The run ends with this exit code and no report.
    NoReport(i32),
    /// The run does not end.
    Hangs,
    /// Somebody deletes the run's Job.
    Vanishes,
}

/// The settings of the policy from which a backup's Job was created.
pub struct Setting<'a> {
    pub rules: &'a domain::retention::Rules,
    pub zone: &'a jiff::tz::TimeZone,
    /// Whether archives are not read (`verification.level: Checksum`).
    pub checksum: bool,
    /// The time since which the database has much less data; `None` if it has as much as before.
    pub less_since: Option<i64>,
    pub share: u8,
}

/// Chooses how a pod ends that starts while there is no other trouble.
pub fn choose(random: &mut Random, operation: Operation) -> AttemptEnd {
    // Scrubs are rare, and a killed scrub has a case of its own, so scrubs have fewer other failures.
    let late = if operation == Operation::Scrub { 80 } else { 40 };
    match random.between(0, 100) {
        78..=82 => AttemptEnd::Fails(random.pick(&match operation {
            Operation::Backup => [Reason::LockTimeout, Reason::DumpFailed, Reason::NoSpace],
            Operation::Scrub => [Reason::StoreFailed, Reason::StoreFailed, Reason::StoreUnreachable],
        })),
        83..=85 => AttemptEnd::Interrupted { after_manifest: random.percent(40) },
        86..=90 => AttemptEnd::Killed {
            container_reason: random.pick(&["OOMKilled", "Evicted", "Error"]),
            after_manifest: random.percent(late),
        },
        91..=92 => AttemptEnd::NoReport(random.pick(&[0, 1])),
        93..=94 => AttemptEnd::Hangs,
        95..=96 => AttemptEnd::Vanishes,
        _ => AttemptEnd::Works,
    }
}

/// Chooses how long a pod works.
pub fn duration(random: &mut Random, rarely: i64) -> i64 {
    if random.percent(3) {
        return random.between(5 * MINUTE, rarely.min(4 * HOUR));
    }
    random.between(8 * SECOND, rarely.min(20 * MINUTE))
}

/// Ends the Job's newest pod as chosen. Returns the exit code.
pub fn end(random: &mut Random, store: &mut Store, job: &mut Job, setting: &Setting<'_>, now: i64) -> i32 {
    let start = job.pods.last().expect("a Job that ends should have a pod").created;
    let mut report = blank(job, start);
    let mut works = |report: &mut RunReport| match job.operation {
        Operation::Backup => back_up(random, store, job, setting, report, now),
        Operation::Scrub => scrub(store, job, setting, report, now),
    };
    let (reason, code, has_report) = match job.planned_end {
        AttemptEnd::Works => {
            works(&mut report);
            let reason = report.reason.expect("work should have an end");
            ("Completed", i32::from(reason.exit_code().unwrap_or_default()), true)
        }
        AttemptEnd::Fails(reason) => {
            let stage = random.pick(&[BackupStage::Preflight, BackupStage::Hold, BackupStage::Dump]);
            report.details.enter(stage.into(), 0.5);
            fail(&mut report, reason, now);
            ("Error", i32::from(reason.exit_code().expect("a run should have ended with a code")), true)
        }
        AttemptEnd::Interrupted { after_manifest } => {
            if after_manifest {
                works(&mut report);
            }
            interrupt(&mut report, now);
            ("Error", 30, true)
        }
        AttemptEnd::Killed { container_reason, after_manifest } => {
            if after_manifest {
                works(&mut report);
            }
            stop_in(&mut report, after_manifest);
            provisional(&mut report);
            (container_reason, 137, true)
        }
        AttemptEnd::NoReport(code) => ("Error", code, false),
        AttemptEnd::Hangs | AttemptEnd::Vanishes => {
            if random.percent(50) {
                interrupt(&mut report, now);
                ("Error", 30, true)
            } else {
                ("Error", 137, false)
            }
        }
    };
    use_clock_of_node(&mut report, job);
    if job.operation == Operation::Backup && has_report {
        report.recent = if report.outcome == Outcome::Running { vec![] } else { store.recent(&job.name) };
        store.write_record(&job.name, report.record());
    }
    let reason = if code == 0 { "Completed" } else { reason };
    let container = ContainerExit { reason: reason.to_owned(), exit_code: code, message: None };
    let pod = job.pods.last_mut().expect("a Job that ends should have a pod");
    *pod = Pod {
        running: false,
        silent: false,
        problem: None,
        report: has_report.then(|| as_termination_message(&report)).flatten(),
        container: Some(container),
        ..pod.clone()
    };
    code
}

/// Changes the times in the report to those of the node's clock.
fn use_clock_of_node(report: &mut RunReport, job: &Job) {
    let skew = SignedDuration::from_millis(job.pods.last().map_or(0, |pod| pod.skew));
    report.start_time += skew;
    report.completion_time = report.completion_time.map(|end| end + skew);
}

/// Returns the report as the operator reads it: cut to the kubelet's limit, with spaces after it.
fn as_termination_message(report: &RunReport) -> Option<RunReport> {
    let message = report.to_message(termination_message::LIMIT);
    assert!(message.len() <= termination_message::LIMIT, "a message fits: {message}");
    let read = RunReport::parse(&format!("{message}  "));
    assert!(read.is_some(), "a message can be read back: {message}");
    read
}

fn blank(job: &Job, start: i64) -> RunReport {
    let slot = name::slot(&name::cron_job(policy_of(job), job.operation), &job.name);
    let identity = RunIdentity {
        job: job.name.clone(),
        job_uid: job.uid.clone(),
        trigger: if slot.is_some() { Trigger::Schedule } else { Trigger::Manual },
        scheduled_time: slot,
    };
    let mut report = RunReport::started(identity, Details::new(job.operation), at(start));
    if let Some(details) = backup_details(&mut report) {
        details.server_version = Some("17.6 (Debian 17.6-0+deb13u1)".into());
        details.client_version = Some("17.6".into());
        details.progress.stages = BackupStage::all().map(|stage| (stage, 0.125)).collect();
    }
    report
}

fn backup_details(report: &mut RunReport) -> Option<&mut BackupDetails> {
    match &mut report.details {
        Details::Backup(details) => Some(details),
        Details::Scrub(_) => None,
    }
}

/// Sets the stage in which a backup run is stopped.
fn stop_in(report: &mut RunReport, after_manifest: bool) {
    if let Some(details) = backup_details(report) {
        details.progress.stage = if after_manifest { BackupStage::Prune } else { BackupStage::Dump };
    }
}

fn policy_of(job: &Job) -> &str {
    job.name.split('-').next().unwrap_or_default()
}

fn fail(report: &mut RunReport, reason: Reason, now: i64) {
    report.outcome = Outcome::Failed;
    report.reason = Some(reason);
    report.message = format!("it is said why: {reason}").into();
    report.completion_time = Some(at(now));
}

fn interrupt(report: &mut RunReport, now: i64) {
    let stored = report.backup().is_some();
    stop_in(report, stored);
    fail(report, Reason::Interrupted, now);
}

/// Changes the report to the provisional one that the run wrote while it worked.
fn provisional(report: &mut RunReport) {
    report.outcome = Outcome::Running;
    report.reason = None;
    report.message = Message::default();
    report.completion_time = None;
    report.retained = None;
    if let Some(details) = backup_details(report) {
        details.prune = None;
    }
}

fn back_up(
    random: &mut Random,
    store: &mut Store,
    job: &Job,
    setting: &Setting<'_>,
    report: &mut RunReport,
    now: i64,
) {
    store.settle(&job.acknowledged, now);
    let start = report.start_time.as_millisecond();
    let counts = if let Some(backup) = store.of_job(&job.uid) {
        let backup = backup.clone();
        summary(report, &backup);
        backup.entry.state == BackupState::Verified
    } else {
        let backup = dump(random, job, start, now);
        summary(report, &backup);
        let less = setting.less_since.is_some_and(|since| !store.is_used_to_less(since));
        store.add(backup, less, &job.acknowledged)
    };
    let details = backup_details(report).expect("a backup run should have a backup's details");
    let backup = details.backup.as_mut().expect("a backup run should have a backup");
    backup.verification = match (counts, setting.checksum) {
        (false, _) => Verification::Suspicious,
        (true, true) => Verification::Stored,
        (true, false) => Verification::Verified,
    };
    let id = backup.id.clone();
    if counts && let Some(backup) = store.backups.iter_mut().find(|backup| backup.entry.id == id) {
        backup.counted = true;
    }
    let order =
        Order { rules: setting.rules, zone: setting.zone, acknowledged: &job.acknowledged, just_made: &id };
    let killed_before_prune = matches!(job.planned_end, AttemptEnd::Killed { .. }) && random.percent(50);
    if !killed_before_prune {
        details.prune = Some(store.prune(&order, now));
    }
    details.progress.stage = BackupStage::Report;
    report.retained = Some(store.list(job, start, &job.acknowledged, now));
    if counts {
        report.outcome = Outcome::Succeeded;
        report.reason = report.backup().map(|backup| backup.verification.reason());
        report.completion_time = Some(at(now));
    } else {
        fail(report, Reason::Suspicious, now);
    }
}

fn dump(random: &mut Random, job: &Job, start: i64, now: i64) -> StoredBackup {
    // Most snapshots are taken at once; some wait for locks.
    let patience = if random.percent(10) { now - start } else { (now - start).min(3 * SECOND) };
    let snapshot = start + random.between(0, patience.max(1));
    let entry = CatalogBackup {
        id: name::backup_id(at(snapshot), &format!("{} {}", job.uid, job.pods.len())),
        policy_uid: "owner".into(),
        snapshot_time: at(snapshot),
        state: BackupState::Verified,
        databases: Store::databases(random),
        size_bytes: u64::try_from(random.between(1 << 20, 1 << 34)).expect("a size should not be negative"),
        suspicions: BTreeSet::new(),
    };
    StoredBackup {
        entry,
        job: job.name.clone(),
        job_uid: job.uid.clone(),
        made: now,
        checked: now,
        corrupted: false,
        counted: false,
    }
}

fn summary(report: &mut RunReport, backup: &StoredBackup) {
    let CatalogBackup { id, snapshot_time, databases, size_bytes, .. } = &backup.entry;
    let details = backup_details(report).expect("a backup run should have a backup's details");
    details.artifacts = databases
        .iter()
        .map(|database| ArtifactSummary {
            database: Some(database.clone()),
            file: name::archive_file(database),
            size_bytes: size_bytes / 4,
            sha256: hash::sha256(database),
        })
        .collect();
    details.backup = Some(BackupSummary {
        id: id.clone(),
        snapshot_time: *snapshot_time,
        size_bytes: *size_bytes,
        artifacts: u32::try_from(databases.len()).expect("databases should be few"),
        manifest_sha256: hash::sha256(id),
        location: format!("shop/{}/{id}", backup.job),
        verification: Verification::Verified,
        password_hashes: false,
    });
}

fn scrub(store: &mut Store, job: &Job, setting: &Setting<'_>, report: &mut RunReport, now: i64) {
    let mut found = ScrubDetails::default();
    for id in store.choose(setting.share) {
        if store.check(&id, now) {
            found.corrupted.push(id);
        } else {
            found.passed += 1;
        }
    }
    let corrupted = found.corrupted.len();
    report.details = Details::Scrub(found);
    let start = report.start_time.as_millisecond();
    report.retained = Some(store.list(job, start, &[], now));
    if corrupted > 0 {
        fail(report, Reason::BackupCorrupted, now);
        report.message = format!("corrupted: {corrupted}").into();
    } else {
        report.outcome = Outcome::Succeeded;
        report.reason = Some(Reason::Verified);
        report.message = "all as they were written".into();
        report.completion_time = Some(at(now));
    }
}
