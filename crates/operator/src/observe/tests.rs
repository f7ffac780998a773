use std::cell::RefCell;

use serde_json::{Value, json};

use super::*;

/// What is seen, and its three watches.
#[derive(Default)]
struct Watched {
    children: Children,
    listed: RefCell<[Relisting; 3]>,
}

impl Watched {
    fn note_cron_job(&self, event: Event<PartialObjectMeta<CronJob>>) -> Vec<ObjectRef<BackupPolicy>> {
        self.children.note_cron_job(event, &mut self.listed.borrow_mut()[0])
    }

    fn note_job(&self, event: Event<Job>) -> Vec<ObjectRef<BackupPolicy>> {
        self.children.note_job(event, &mut self.listed.borrow_mut()[1])
    }

    fn note_pod(&self, event: Event<Pod>) -> Vec<ObjectRef<BackupPolicy>> {
        self.children.note_pod(event, &mut self.listed.borrow_mut()[2])
    }

    fn observe(&self) -> Observed {
        self.children.observe(&policy()).0
    }
}

fn cron_job() -> PartialObjectMeta<CronJob> {
    serde_json::from_value(json!({
        "metadata": {"name": "shop-backup", "namespace": "n", "uid": "c", "generation": 1, "ownerReferences": [
            {"apiVersion": "v1", "kind": "BackupPolicy", "name": "shop", "uid": "p", "controller": true}]}
    }))
    .unwrap()
}

fn job(status: &Value) -> Job {
    serde_json::from_value(json!({
        "metadata": {
            "name": "shop-backup-29923291", "namespace": "n", "uid": "j1",
            "creationTimestamp": "2026-11-23T02:15:00Z",
            "labels": {"pgbackup.dev/policy": "shop"},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "shop-backup", "uid": "c", "controller": true}]
        },
        "status": status
    }))
    .unwrap()
}

fn pod(uid: &str, created: &str, exit_code: i32) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": uid, "namespace": "n", "uid": uid, "creationTimestamp": created,
            "labels": {"pgbackup.dev/policy": "shop", "batch.kubernetes.io/controller-uid": "j1"}
        },
        "status": {"phase": "Failed", "containerStatuses": [{
            "name": "runner", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": exit_code, "reason": "Error"}}
        }]}
    }))
    .unwrap()
}

fn policy() -> BackupPolicy {
    serde_json::from_value(json!({
        "metadata": {"name": "shop", "namespace": "n", "uid": "p"},
        "spec": {
            "schedule": "* * * * *",
            "postgres": {"version": 17, "connection": {"host": "h", "user": "u", "passwordSecretRef": {"name": "s", "key": "k"}}},
            "storage": {"volume": {"claimName": "c"}}
        }
    }))
    .unwrap()
}

#[test]
fn the_newest_pod_that_says_something_speaks_for_its_job() {
    let children = Watched::default();
    children.note_job(Event::Apply(job(&json!({}))));
    children.note_pod(Event::Apply(pod("new", "2026-11-23T02:16:00Z", 2)));
    let touched = children.note_pod(Event::Apply(pod("old", "2026-11-23T02:15:00Z", 1)));
    assert_eq!(touched, [ObjectRef::new("shop").within("n")]);
    let observed = children.observe();
    assert_eq!(
        observed.operations.backup.runs[0].container.as_ref().map(|container| container.exit_code),
        Some(2)
    );
}

#[test]
fn a_job_has_not_ended_before_its_pod_has_spoken() {
    let children = Watched::default();
    let mut running = pod("p", "2026-11-23T02:15:00Z", 1);
    running.status = None;
    children.note_pod(Event::Apply(running));
    let ended = json!({"conditions": [{"type": "Complete", "status": "True"}]});
    children.note_job(Event::Apply(job(&ended)));
    assert_eq!(children.observe().operations.backup.runs[0].state, JobState::Active);
    children.note_pod(Event::Apply(pod("p", "2026-11-23T02:15:00Z", 1)));
    assert_eq!(children.observe().operations.backup.runs[0].state, JobState::Succeeded);
}

#[test]
fn when_a_job_ended_is_known_and_remembered_when_it_is_gone() {
    let children = Watched::default();
    let running = json!({"conditions": [{"type": "Failed", "status": "False", "lastTransitionTime": "2026-11-23T02:15:01Z"}]});
    children.note_job(Event::Apply(job(&running)));
    assert_eq!(children.observe().operations.backup.runs[0].ended, None);
    for word in ["Complete", "Failed"] {
        let end = json!({"type": word, "status": "True", "lastTransitionTime": "2026-11-23T02:16:00Z"});
        let ended = job(&json!({"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, end]}));
        children.note_job(Event::Apply(ended.clone()));
        assert_eq!(
            children.observe().operations.backup.runs[0].ended,
            Some("2026-11-23T02:16:00Z".parse().unwrap())
        );
        children.note_job(Event::Delete(ended));
        assert_eq!(
            children.observe().operations.backup.runs[0].ended,
            Some("2026-11-23T02:16:00Z".parse().unwrap())
        );
    }
}

#[test]
fn a_deleted_job_is_remembered_until_its_status_is_written() {
    let children = Watched::default();
    children.note_job(Event::Apply(job(&json!({}))));
    children.note_pod(Event::Delete(pod("p", "2026-11-23T02:15:00Z", 1)));
    children.note_job(Event::Delete(job(&json!({}))));
    let observed = children.observe();
    assert_eq!(observed.operations.backup.runs[0].state, JobState::Gone);
    assert!(observed.operations.backup.runs[0].container.is_some());
    children.children.forget_deleted(&policy(), &observed);
    assert!(children.observe().operations.backup.runs.is_empty());
}

#[test]
fn a_job_that_vanished_while_the_watch_was_down_is_gone() {
    let children = Watched::default();
    children.note_job(Event::Apply(job(&json!({}))));
    children.note_job(Event::Init);
    children.note_job(Event::InitDone);
    assert_eq!(children.observe().operations.backup.runs[0].state, JobState::Gone);
}

#[test]
fn a_strangers_job_with_the_policys_label_is_not_its_run() {
    let children = Watched::default();
    let mut stranger = job(&json!({}));
    stranger.metadata.owner_references = None;
    assert!(children.note_job(Event::Apply(stranger)).is_empty());
    assert!(children.observe().operations.backup.runs.is_empty());
}

#[test]
fn a_cron_job_that_vanished_while_the_watch_was_down_is_missing() {
    let children = Watched::default();
    children.note_cron_job(Event::Apply(cron_job()));
    assert_eq!(children.observe().operations.backup.cron_job, ObservedCronJob::Ours);
    children.note_cron_job(Event::Init);
    assert_eq!(children.note_cron_job(Event::InitDone), [ObjectRef::new("shop").within("n")]);
    assert_eq!(children.observe().operations.backup.cron_job, ObservedCronJob::Missing);
}

#[test]
fn a_cron_job_that_is_listed_again_is_no_news() {
    let children = Watched::default();
    children.note_cron_job(Event::Apply(cron_job()));
    children.note_cron_job(Event::Init);
    children.note_cron_job(Event::InitApply(cron_job()));
    assert!(children.note_cron_job(Event::InitDone).is_empty());
    assert_eq!(children.observe().operations.backup.cron_job, ObservedCronJob::Ours);
}

#[test]
fn a_cron_job_whose_label_was_edited_is_still_that_of_its_policy() {
    let children = Watched::default();
    let mut edited = cron_job();
    edited.metadata.labels = Some([(meta::POLICY_LABEL.to_owned(), "another".to_owned())].into());
    assert_eq!(children.note_cron_job(Event::Apply(edited)), [ObjectRef::new("shop").within("n")]);
    assert_eq!(children.observe().operations.backup.cron_job, ObservedCronJob::Ours);
}

#[test]
fn what_changes_nothing_of_a_cron_job_or_was_written_by_us_wakes_nobody() {
    let children = Watched::default();
    let shop = [ObjectRef::new("shop").within("n")];
    children.children.note_written(&policy(), Operation::Backup, &cron_job().metadata);
    assert!(children.note_cron_job(Event::Apply(cron_job())).is_empty(), "our own write");
    assert_eq!(children.observe().operations.backup.cron_job, ObservedCronJob::Ours);

    let mut later = cron_job();
    later.metadata.resource_version = Some("9".to_owned());
    assert!(children.note_cron_job(Event::Apply(later)).is_empty(), "its controller has started a Job");

    let mut edited = cron_job();
    edited.metadata.generation = Some(2);
    assert_eq!(children.note_cron_job(Event::Apply(edited)), shop);
    assert_eq!(children.note_cron_job(Event::Apply(cron_job())), shop, "what was written is shown once");
    assert_eq!(children.note_cron_job(Event::Delete(cron_job())), shop);
    assert_eq!(children.note_cron_job(Event::Apply(cron_job())), shop, "made anew by somebody");
}

#[test]
fn a_job_does_not_wait_for_a_pod_that_vanished_while_the_watch_was_down() {
    let children = Watched::default();
    let mut running = pod("p", "2026-11-23T02:15:00Z", 1);
    running.status = None;
    children.note_pod(Event::Apply(running));
    children.note_job(Event::Apply(job(&json!({"conditions": [{"type": "Complete", "status": "True"}]}))));
    children.note_pod(Event::Init);
    assert_eq!(children.observe().operations.backup.runs[0].state, JobState::Active);
    assert_eq!(children.note_pod(Event::InitDone), [ObjectRef::new("shop").within("n")]);
    assert_eq!(children.observe().operations.backup.runs[0].state, JobState::Succeeded);
}

#[test]
fn a_deleted_job_waits_for_what_its_pod_says_as_it_stops() {
    let children = Watched::default();
    let mut running = pod("p", "2026-11-23T02:15:00Z", 1);
    running.status = None;
    children.note_pod(Event::Apply(running));
    children.note_job(Event::Delete(job(&json!({}))));
    let observed = children.observe();
    assert_eq!(observed.operations.backup.runs[0].state, JobState::Active);
    children.children.forget_deleted(&policy(), &observed);
    children.note_pod(Event::Delete(pod("p", "2026-11-23T02:15:00Z", 75)));
    let observed = children.observe();
    assert_eq!(observed.operations.backup.runs[0].state, JobState::Gone);
    assert_eq!(
        observed.operations.backup.runs[0].container.as_ref().map(|container| container.exit_code),
        Some(75)
    );
}

#[test]
fn what_a_job_says_while_its_status_is_written_is_kept_for_the_next() {
    let children = Watched::default();
    children.note_job(Event::Apply(job(&json!({}))));
    let written = children.observe();
    children.note_job(Event::Delete(job(&json!({"conditions": [{"type": "Complete", "status": "True"}]}))));
    children.children.forget_deleted(&policy(), &written);
    assert_eq!(children.observe().operations.backup.runs[0].state, JobState::Succeeded);
}

#[test]
fn a_job_of_an_earlier_policy_of_the_same_name_is_not_a_run() {
    let children = Watched::default();
    children.note_job(Event::Apply(job(&json!({}))));
    let mut policy = policy();
    policy.metadata.creation_timestamp = Some(api::status::time("2026-11-23T02:15:01Z".parse().unwrap()));
    assert!(children.children.observe(&policy).0.operations.backup.runs.is_empty());
}

#[test]
fn a_job_that_lost_its_owner_is_still_the_run_that_it_was() {
    let watched = Watched::default();
    watched.note_cron_job(Event::Apply(cron_job()));
    watched.note_job(Event::Apply(job(&json!({}))));
    let mut orphan = job(&json!({"conditions": [
        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    ]}));
    orphan.metadata.owner_references = None;
    assert_eq!(watched.note_job(Event::Apply(orphan.clone())).len(), 1);
    let failed = JobState::Failed { reason: "BackoffLimitExceeded".to_owned() };
    assert_eq!(watched.observe().operations.backup.runs[0].state, failed);
    watched.note_job(Event::Delete(orphan));
    watched.children.forget_deleted(&policy(), &watched.observe());
    assert_eq!(watched.observe().operations.backup.runs, []);

    let mut stranger = job(&json!({}));
    stranger.metadata.owner_references = None;
    assert_eq!(watched.note_job(Event::Apply(stranger)), [], "one that never was ours");
}

#[test]
fn a_job_whose_next_pod_does_not_come_is_silent() {
    let watched = Watched::default();
    watched.note_job(Event::Apply(job(&json!({}))));
    let mut failed = pod("p1", "2026-11-23T02:15:01Z", 10);
    let ended: k8s_openapi::api::core::v1::PodStatus = serde_json::from_value(json!({
        "phase": "Failed", "containerStatuses": [{
            "name": "runner", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 10, "reason": "Error", "finishedAt": "2026-11-23T02:15:30Z"}}
        }]
    }))
    .unwrap();
    failed.status = Some(ended.clone());
    watched.note_pod(Event::Apply(failed));
    let unexplained_wait = watched.observe().operations.backup.runs[0].unexplained_wait.clone().unwrap();
    assert_eq!(
        (unexplained_wait.uid.as_str(), unexplained_wait.since),
        ("j1", "2026-11-23T02:15:40Z".parse().unwrap())
    );

    let mut second = pod("p2", "2026-11-23T02:15:41Z", 10);
    second.status = Some(ended);
    watched.note_pod(Event::Apply(second));
    let unexplained_wait = watched.observe().operations.backup.runs[0].unexplained_wait.clone().unwrap();
    assert_eq!(unexplained_wait.since, "2026-11-23T02:15:50Z".parse().unwrap(), "20 s after the second");

    watched.note_job(Event::Apply(job(&json!({"conditions": [{"type": "Failed", "status": "True"}]}))));
    assert_eq!(
        watched.observe().operations.backup.runs[0].unexplained_wait,
        None,
        "a Job that was given up gets no pod"
    );
}
