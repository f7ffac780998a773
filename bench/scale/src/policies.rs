//! The policies of the benchmark, and the status after ten runs.

use anyhow::{Context as _, Result};
use api::{BackupPolicy, BackupPolicyStatus};
use desired::{JobState, Observed, ObservedCronJob, ObservedOperation, ObservedRun};
use domain::{
    name,
    operation::{Operation, PerOperation},
    report::RunReport,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use serde_json::json;

/// A schedule that is not due while the benchmark runs.
const SCHEDULE: &str = "0 4 1 1 *";

/// The number of daily runs in a full status. With [`SCHEDULE`], no backup is overdue until the next New
/// Year.
const RUNS: i64 = 10;

/// The volume claim of all policies.
pub const CLAIM: &str = "backups";

/// Returns a typical policy: one server, one volume, and retention by days, weeks and months.
pub fn policy(namespace: &str, number: usize) -> Result<BackupPolicy> {
    let policy = json!({
        "apiVersion": "pgbackup.dev/v1alpha1",
        "kind": "BackupPolicy",
        "metadata": {"name": format!("policy-{number:05}"), "namespace": namespace, "labels": {"app": "shop"}},
        "spec": {
            "schedule": SCHEDULE,
            "timeZone": "Europe/Berlin",
            "postgres": {
                "version": 17,
                "connection": {
                    "host": "shop-db.shop.svc",
                    "user": "backup",
                    "passwordSecretRef": {"name": "shop-db", "key": "password"}
                },
                "databases": {"exclude": ["scratch_*"]}
            },
            "storage": {"volume": {"claimName": CLAIM, "subPath": "shop"}},
            "retention": {"keepDaily": 14, "keepWeekly": 8, "keepMonthly": 12},
            "job": {"backoffLimit": 0}
        }
    });
    serde_json::from_value(policy).context("parse the policy")
}

/// Returns the status that the operator writes after ten verified runs whose Jobs are deleted. The operator
/// finds nothing to change in it.
pub fn full_status(policy: &BackupPolicy, now: Timestamp) -> Result<BackupPolicyStatus> {
    let runs = (1..=RUNS).map(|back| run(policy, now - SignedDuration::from_hours(24 * back)));
    let with_jobs = observed(runs.collect::<Result<_>>()?);
    // A policy ignores Jobs that are older than the policy itself.
    let mut policy = policy.clone();
    let uid = policy.uid();
    policy.metadata.creation_timestamp =
        Some(api::status::time(now - SignedDuration::from_hours(24 * (RUNS + 1))));
    policy.status = None;
    let valid = desired::validate(&policy);
    let mut status = desired::status(&policy, valid.as_ref(), &with_jobs, now).status;
    anyhow::ensure!(status.history.len() == 10, "a status should have a full history: {uid:?}");
    policy.status = Some(status.clone());
    let without_jobs = observed(Vec::new());
    status = desired::status(&policy, valid.as_ref(), &without_jobs, now).status;
    Ok(status)
}

fn observed(runs: Vec<ObservedRun>) -> Observed {
    let backup = ObservedOperation { cron_job: ObservedCronJob::Ours, runs };
    Observed { operations: PerOperation { backup, ..PerOperation::default() }, ..Observed::default() }
}

fn run(policy: &BackupPolicy, start: Timestamp) -> Result<ObservedRun> {
    let policy = policy.name_any();
    let cron_job = name::cron_job(&policy, Operation::Backup);
    let job = format!("{cron_job}-{}", start.as_second() / 60);
    let scheduled = name::slot(&cron_job, &job).context("a Job's name should contain its slot")?;
    let backup = name::backup_id(start, &job);
    let artifact = |database: &str| {
        json!({"database": database, "file": format!("{database}.dump"), "sizeBytes": 1_234_567_890_u64,
               "sha256": "3f786850e387550fdab836ed7e6dc881de23001b3f786850e387550fdab836ed"})
    };
    let databases = ["crm", "shop", "stock", "billing", "archive", "reports", "sessions"].map(artifact);
    let report = json!({
        "version": 1, "operation": "backup", "outcome": "Succeeded", "stage": "report", "reason": "Verified",
        "message": "7 databases stored and verified: 9.20 GiB, read back from the device",
        "run": {"job": job, "jobUid": job, "trigger": "Schedule", "scheduledTime": scheduled},
        "startTime": start, "completionTime": start + SignedDuration::from_secs(75),
        "serverVersion": "17.6 (Debian 17.6-0+deb13u1)", "clientVersion": "17.6",
        "backup": {"id": backup, "snapshotTime": start + SignedDuration::from_secs(1), "sizeBytes": 9_876_543_210_u64,
                "artifacts": 8, "manifestSha256": "3f786850e387550fdab836ed7e6dc881de23001b3f786850e387550fdab836ed",
                "location": format!("shop/{policy}/{backup}"), "verification": "Verified"},
        "retained": {"backups": 34, "verified": 34, "bytes": 335_802_469_140_u64,
                     "oldest": start - SignedDuration::from_hours(24 * 300), "newest": start},
        "prune": {"reason": "Pruned", "kept": {"daily": 14, "weekly": 8, "monthly": 12, "minimum verified": 3},
                  "removed": 1, "leftovers": 0},
        "stages": {"preflight": 0.2, "hold": 0.1, "dump": 60.0, "upload": 0.5, "verify": 14.0, "manifest": 0.1},
        "warnings": ["database \"crm\": pg_dump does not dump the rows of gis.layer: the table belongs to extension gis, which does not mark it with pg_extension_config_dump"],
        "artifacts": databases,
    });
    // As read from a termination message, which is cut to 2048 bytes.
    let text = RunReport::parse(&report.to_string()).context("parse the report")?.to_message(2048);
    Ok(ObservedRun {
        job: job.clone(),
        job_uid: job,
        created: start,
        state: JobState::Succeeded,
        ended: Some(start + SignedDuration::from_secs(76)),
        report: RunReport::parse(&text),
        container: None,
        problem: None,
        unexplained_wait: None,
    })
}
