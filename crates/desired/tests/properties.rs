//! Properties that every status has, whatever the operator observes.

use api::{
    BackupPolicy,
    status::{HISTORY_LIMIT, RunResult},
};
use domain::{
    operation::PerOperation,
    reason::Reason,
    report::{Details, RunReport, ScrubDetails},
};
use jiff::{SignedDuration, Timestamp};
use pgbackup_desired::{
    ContainerExit, JobState, Observed, ObservedCronJob, ObservedOperation, ObservedRun, Problem,
    StatusOutcome, UnexplainedWait, events, status, validate,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn policy() -> BackupPolicy {
    serde_json::from_value(json!({
        "apiVersion": "pgbackup.dev/v1alpha1",
        "kind": "BackupPolicy",
        "metadata": {
            "namespace": "shop", "name": "shop", "uid": "u-1", "generation": 1,
            "creationTimestamp": "2026-11-23T00:00:00Z",
        },
        "spec": {
            "schedule": "*/10 * * * *",
            "postgres": { "version": 17, "connection": {
                "host": "db", "user": "backup", "passwordSecretRef": { "name": "db", "key": "password" },
            }},
            "storage": { "volume": { "claimName": "backups" } },
            "verification": { "scrub": { "schedule": "5/20 * * * *" } },
        },
    }))
    .expect("a policy should be one")
}

/// The backups that runs store and scrubs find corrupted.
const BACKUPS: [&str; 3] = ["20261123T000100Z-000001", "20261123T000100Z-000002", "20261123T000100Z-000003"];

/// Returns the snapshot time of all [`BACKUPS`], if the server's clock is right.
fn taken() -> Timestamp {
    "2026-11-23T00:01:00Z".parse().expect("a time should be one")
}

/// Generates a time within two hours of the policy's creation. There are few different seconds, so that some
/// times are equal.
fn moment() -> impl Strategy<Value = Timestamp> {
    let start: Timestamp = "2026-11-23T00:00:00Z".parse().expect("a time should be one");
    (0_i64..120, 0_i64..3, 0_i64..1000).prop_map(move |(minute, second, milli)| {
        start + SignedDuration::from_millis((minute * 60 + second) * 1000 + milli)
    })
}

fn record() -> impl Strategy<Value = Value> {
    let end = prop_oneof![Just(("Succeeded", "Verified")), Just(("Failed", "LockTimeout"))];
    let duration = prop_oneof![0.0..4000.0, Just(1e300), Just(-1.0)];
    (job(), end, moment(), duration, clock()).prop_map(|(id, (result, reason), start, duration, clock)| {
        let start = start + SignedDuration::from_mins(clock);
        json!({
            "job": id, "trigger": "Schedule", "result": result, "reason": reason, "startTime": start,
            "durationSeconds": duration, "sizeBytes": 1,
        })
    })
}

/// Generates a Job's name. There are no more different names than a history holds: the observations of one
/// run may contradict each other here, and the result must not depend on a run that has left the history.
fn job() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_i64..7).prop_map(|slot| format!("shop-backup-{}", 29_923_200 + slot * 10)),
        (0_u8..3).prop_map(|token| format!("shop-backup-r{token}")),
    ]
}

/// Generates the error of a node's clock in minutes, mostly 0.
fn clock() -> impl Strategy<Value = i64> {
    prop_oneof![6 => Just(0), 1 => Just(90), 1 => Just(4000), 1 => Just(-4000), 1 => -3_i64..3]
}

fn report(job: &str, words: (Value, Timestamp, u8, Vec<Value>), clock: i64) -> RunReport {
    let (mut report, start, minutes, recent) = words;
    let start = start + SignedDuration::from_mins(clock);
    report["version"] = json!(1);
    report["operation"] = json!("backup");
    report["stage"] = json!("dump");
    report["run"] = json!({ "job": job, "jobUid": "j", "trigger": "Manual" });
    report["startTime"] = json!(start);
    if report["outcome"] != "Running" {
        report["completionTime"] = json!(start + SignedDuration::from_mins(minutes.into()));
        report["recent"] = json!(recent);
    }
    serde_json::from_value(report).expect("a report should be one")
}

fn words() -> impl Strategy<Value = (Value, Timestamp, u8, Vec<Value>)> {
    let outcome = prop_oneof![
        Just(json!({ "outcome": "Running" })),
        Just(json!({ "outcome": "Failed", "reason": "LockTimeout", "message": "locked" })),
        Just(json!({ "outcome": "Failed", "reason": "Interrupted" })),
        (0_u32..3, clock()).prop_map(|(backups, clock)| json!({
            "outcome": "Succeeded", "reason": "Verified", "serverVersion": format!("17.{backups}"),
            "backup": {
                "id": BACKUPS[backups as usize], "sizeBytes": 1, "artifacts": 1,
                "snapshotTime": taken() + SignedDuration::from_mins(clock),
                "manifestSha256": "00", "location": "shop/shop/backup", "verification": "Verified",
            },
            "retained": { "backups": backups, "verified": backups, "bytes": 1 },
            "prune": { "reason": "Pruned", "removed": 0, "leftovers": 0 },
        })),
    ];
    (outcome, moment(), 0_u8..90, prop::collection::vec(record(), 0..3))
}

fn run() -> impl Strategy<Value = ObservedRun> {
    let state = prop_oneof![
        Just(JobState::Active),
        Just(JobState::Succeeded),
        Just(JobState::Gone),
        Just(JobState::Failed { reason: "BackoffLimitExceeded".into() }),
        Just(JobState::Failed { reason: "DeadlineExceeded".into() }),
    ];
    let container = prop_oneof![Just(("OOMKilled", 137)), Just(("Error", 13)), Just(("Completed", 0))];
    let problem = prop_oneof![Just((Reason::SecretNotFound, None)), Just((Reason::Unschedulable, Some(12)))];
    let problem = problem.prop_map(|(reason, seconds)| Problem {
        reason,
        message: "words".into(),
        since: seconds.map(|seconds| now() - SignedDuration::from_secs(seconds)),
        cause: None,
    });
    (
        (job(), moment(), state, prop::option::of(0_i64..90), clock()),
        (prop::option::of(words()), prop::option::of(container), prop::option::weighted(0.2, problem)),
    )
        .prop_map(|((job, created, state, minutes, clock), (report_words, container, problem))| {
            ObservedRun {
                report: report_words.map(|words| report(&job, words, clock)),
                ended: minutes
                    .filter(|_| state != JobState::Active)
                    .map(|minutes| created + SignedDuration::from_mins(minutes)),
                container: container.map(|(reason, exit_code)| ContainerExit {
                    reason: reason.to_owned(),
                    exit_code,
                    message: None,
                }),
                job_uid: format!("uid of {job}"),
                job,
                unexplained_wait: (state == JobState::Active).then(|| UnexplainedWait {
                    uid: "u".into(),
                    since: created + SignedDuration::from_secs(7000),
                }),
                created,
                state,
                problem,
            }
        })
}

fn observed() -> impl Strategy<Value = Observed> {
    (prop::collection::vec(run(), 0..14), prop::collection::vec(scrub(), 0..5)).prop_map(|runs| {
        let [runs, scrubs] = <[_; 2]>::from(runs).map(|mut runs| {
            runs.sort_by(|a, b| a.job.cmp(&b.job));
            runs.dedup_by(|a, b| a.job == b.job);
            runs
        });
        seen(PerOperation { backup: runs, scrub: scrubs })
    })
}

/// Generates a scrub run.
fn scrub() -> impl Strategy<Value = ObservedRun> {
    (run(), prop::sample::subsequence(BACKUPS.to_vec(), 0..=1)).prop_map(|(mut run, corrupted)| {
        run.job = run.job.replace("-backup-", "-scrub-");
        if let Some(report) = &mut run.report {
            report.run.job.clone_from(&run.job);
            let corrupted = corrupted.into_iter().map(str::to_owned).collect();
            report.details = Details::Scrub(ScrubDetails { corrupted, ..ScrubDetails::default() });
        }
        run
    })
}

fn nothing() -> Observed {
    seen(PerOperation::default())
}

fn seen(runs: PerOperation<Vec<ObservedRun>>) -> Observed {
    let operations = runs.map(|_, runs| ObservedOperation { cron_job: ObservedCronJob::Ours, runs });
    Observed { operations, ..Observed::default() }
}

fn look(policy: &BackupPolicy, observed: &Observed, now: Timestamp) -> StatusOutcome {
    status(policy, validate(policy).as_ref(), observed, now)
}

/// Returns the policy with the status as the API server returns it.
fn with(outcome: &StatusOutcome) -> BackupPolicy {
    let text = serde_json::to_string(&outcome.status).expect("a status should be JSON");
    BackupPolicy { status: serde_json::from_str(&text).expect("a status should be read back"), ..policy() }
}

fn now() -> Timestamp {
    "2026-11-23T02:00:30.5Z".parse().expect("a time should be one")
}

proptest! {
    #[test]
    fn second_reconcile_changes_no_status_and_emits_no_event(before in observed(), seen in observed()) {
        let earlier = with(&look(&policy(), &before, now() - SignedDuration::from_mins(7)));
        let outcome = look(&earlier, &seen, now());
        let again = look(&with(&outcome), &seen, now());
        prop_assert_eq!(&again, &outcome);
        prop_assert_eq!(events(Some(&outcome.status), &again.status), vec![]);
    }

    #[test]
    fn status_stays_the_same_until_its_next_change_time(seen in observed(), share in 0.0..1.0) {
        let outcome = look(&policy(), &seen, now());
        let until = outcome.next_change.expect("there should be a next slot");
        let later = now() + SignedDuration::from_secs_f64(until.duration_since(now()).as_secs_f64() * share);
        let again = look(&with(&outcome), &seen, later);
        prop_assert_eq!(again, outcome);
    }

    #[test]
    fn status_does_not_depend_on_the_order_of_jobs(seen in observed(), rotation in 0_usize..14) {
        let mut other = seen.clone();
        for operation in other.operations.values_mut() {
            operation.runs.reverse();
            let count = operation.runs.len();
            operation.runs.rotate_left(rotation % count.max(1));
        }
        prop_assert_eq!(look(&policy(), &other, now()), look(&policy(), &seen, now()));
    }

    #[test]
    fn status_keeps_ended_runs_after_their_jobs_are_deleted(seen in observed()) {
        let outcome = look(&policy(), &seen, now());
        let after = look(&with(&outcome), &nothing(), now()).status;
        prop_assert_eq!(&after.last_scrub, &outcome.status.last_scrub);
        prop_assert_eq!(&after.last_success, &outcome.status.last_success);
        prop_assert_eq!(&after.last_failure, &outcome.status.last_failure);
        let running = |run: &api::status::BackupStatus| run.result == RunResult::Running;
        prop_assert!(!after.last_run.as_ref().is_some_and(running));
    }

    #[test]
    fn status_history_is_limited_sorted_and_has_no_duplicates(seen in observed()) {
        let history = look(&policy(), &seen, now()).status.history;
        prop_assert!(history.len() <= HISTORY_LIMIT);
        prop_assert!(history.is_sorted_by(|a, b| a.start_time.0 >= b.start_time.0));
        for (at, run) in history.iter().enumerate() {
            prop_assert!(history[..at].iter().all(|newer| newer.job != run.job));
        }
    }
}
