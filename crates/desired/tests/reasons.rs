//! The reason that a run reports is the reason that the status and the events show.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use api::{
    BackupPolicy,
    status::{ConditionStatus, ConditionType},
};
use domain::{operation::PerOperation, reason::Reason};
use pgbackup_desired::{
    ContainerExit, JobState, Observed, ObservedCronJob, ObservedOperation, ObservedRun, events, status,
    validate,
};
use serde_json::json;

fn policy() -> BackupPolicy {
    serde_json::from_value(json!({
        "apiVersion": "pgbackup.dev/v1alpha1",
        "kind": "BackupPolicy",
        "metadata": {
            "namespace": "shop", "name": "shop", "uid": "u-1", "generation": 1,
            "creationTimestamp": "2026-11-22T12:00:00Z",
        },
        "spec": {
            "schedule": "15 2 * * *",
            "postgres": { "version": 17, "connection": {
                "host": "db", "user": "backup", "passwordSecretRef": { "name": "db", "key": "password" },
            }},
            "storage": { "volume": { "claimName": "backups" } },
        },
    }))
    .unwrap()
}

fn observed(runs: Vec<ObservedRun>) -> Observed {
    let backup = ObservedOperation { cron_job: ObservedCronJob::Ours, runs };
    Observed { operations: PerOperation { backup, ..PerOperation::default() }, ..Observed::default() }
}

/// Returns an observation of a run whose report contains `reason` and nothing else.
fn failed(reason: Reason) -> Observed {
    let job = "shop-backup-29923335";
    let report = json!({
        "version": 1, "operation": "backup", "outcome": "Failed", "stage": "preflight", "reason": reason,
        "run": { "job": job, "jobUid": "j-1", "trigger": "Schedule" },
        "startTime": "2026-11-23T02:15:04Z", "completionTime": "2026-11-23T02:15:05Z",
    });
    let run = ObservedRun {
        job: job.to_owned(),
        job_uid: "j-1".to_owned(),
        created: "2026-11-23T02:15:00Z".parse().unwrap(),
        state: JobState::Failed { reason: "PodFailurePolicy".to_owned() },
        ended: None,
        report: Some(serde_json::from_value(report).unwrap()),
        container: Some(ContainerExit {
            reason: "Error".to_owned(),
            exit_code: reason.exit_code().unwrap().into(),
            message: None,
        }),
        problem: None,
        unexplained_wait: None,
    };
    observed(vec![run])
}

#[test]
fn runner_failure_reason_appears_in_status_and_event() {
    let now = "2026-11-23T02:15:10Z".parse().unwrap();
    let look =
        |policy: &BackupPolicy, seen: &Observed| status(policy, validate(policy).as_ref(), seen, now).status;
    let nothing = observed(Vec::new());
    let before = look(&policy(), &nothing);
    let known = BackupPolicy { status: Some(before.clone()), ..policy() };
    let failures = Reason::all().filter(|reason| reason.exit_code().is_some_and(|c| c > 0));
    for reason in failures {
        let after = look(&known, &failed(reason));
        let health = after.condition(ConditionType::BackupHealthy).unwrap();
        assert!(ConditionStatus::False.is_of(health));
        assert_eq!(health.reason, reason.as_str());
        let meaning = reason.meaning().trim_end_matches('.')[1..].replace('`', "");
        assert!(health.message.contains(&meaning), "{reason}: {}", health.message);
        assert_eq!(after.history[0].reason, reason);
        assert_eq!(after.last_failure.as_ref().unwrap().reason, reason);
        let emitted = events(Some(&before), &after);
        let emitted: Vec<_> = emitted.iter().map(|event| (event.warning, event.reason.as_str())).collect();
        assert_eq!(emitted, [(true, reason.as_str())]);
    }
}
