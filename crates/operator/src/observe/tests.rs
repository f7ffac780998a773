use std::cell::RefCell;

use desired::JobState;
use serde_json::{Value, json};

use super::*;

/// The children, and the lists of their three watches.
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

    fn observe(&self) -> PerOperation<FoundOperation> {
        self.children.observe(&policy())
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
fn newest_pod_with_a_result_decides_the_job_result() {
    let children = Watched::default();
    children.note_job(Event::Apply(job(&json!({}))));
    children.note_pod(Event::Apply(pod("new", "2026-11-23T02:16:00Z", 2)));
    let touched = children.note_pod(Event::Apply(pod("old", "2026-11-23T02:15:00Z", 1)));
    assert_eq!(touched, [ObjectRef::new("shop").within("n")]);
    let observed = children.observe();
    assert_eq!(observed.backup.runs[0].container.as_ref().map(|container| container.exit_code), Some(2));
}

#[test]
fn completed_job_stays_active_until_its_pod_has_reported() {
    let children = Watched::default();
    let mut running = pod("p", "2026-11-23T02:15:00Z", 1);
    running.status = None;
    children.note_pod(Event::Apply(running));
    let ended = json!({"conditions": [{"type": "Complete", "status": "True"}]});
    children.note_job(Event::Apply(job(&ended)));
    assert_eq!(children.observe().backup.runs[0].state, JobState::Active);
    children.note_pod(Event::Apply(pod("p", "2026-11-23T02:15:00Z", 1)));
    assert_eq!(children.observe().backup.runs[0].state, JobState::Succeeded);
}

#[test]
fn end_time_of_a_job_is_kept_after_the_job_is_deleted() {
    let children = Watched::default();
    let running = json!({"conditions": [{"type": "Failed", "status": "False", "lastTransitionTime": "2026-11-23T02:15:01Z"}]});
    children.note_job(Event::Apply(job(&running)));
    assert_eq!(children.observe().backup.runs[0].ended, None);
    for condition in ["Complete", "Failed"] {
        let end = json!({"type": condition, "status": "True", "lastTransitionTime": "2026-11-23T02:16:00Z"});
        let ended = job(&json!({"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, end]}));
        children.note_job(Event::Apply(ended.clone()));
        assert_eq!(children.observe().backup.runs[0].ended, Some("2026-11-23T02:16:00Z".parse().unwrap()));
        children.note_job(Event::Delete(ended));
        assert_eq!(children.observe().backup.runs[0].ended, Some("2026-11-23T02:16:00Z".parse().unwrap()));
    }
}

#[test]
fn deleted_job_is_remembered_until_the_status_is_written() {
    let children = Watched::default();
    children.note_job(Event::Apply(job(&json!({}))));
    children.note_pod(Event::Delete(pod("p", "2026-11-23T02:15:00Z", 1)));
    children.note_job(Event::Delete(job(&json!({}))));
    let observed = children.observe();
    assert_eq!(observed.backup.runs[0].state, JobState::Gone);
    assert!(observed.backup.runs[0].container.is_some());
    children.children.remove_deleted(&policy(), &observed);
    assert!(children.observe().backup.runs.is_empty());
}

#[test]
fn job_deleted_during_a_watch_outage_is_detected() {
    let children = Watched::default();
    children.note_job(Event::Apply(job(&json!({}))));
    children.note_job(Event::Init);
    children.note_job(Event::InitDone);
    assert_eq!(children.observe().backup.runs[0].state, JobState::Gone);
}

#[test]
fn job_with_policy_label_but_without_owner_is_not_a_run() {
    let children = Watched::default();
    let mut stranger = job(&json!({}));
    stranger.metadata.owner_references = None;
    assert!(children.note_job(Event::Apply(stranger)).is_empty());
    assert!(children.observe().backup.runs.is_empty());
}

#[test]
fn cron_job_deleted_during_a_watch_outage_is_detected() {
    let children = Watched::default();
    children.note_cron_job(Event::Apply(cron_job()));
    assert_eq!(children.observe().backup.cron_job.state, ObservedCronJob::Ours);
    children.note_cron_job(Event::Init);
    assert_eq!(children.note_cron_job(Event::InitDone), [ObjectRef::new("shop").within("n")]);
    assert_eq!(children.observe().backup.cron_job.state, ObservedCronJob::Missing);
}

#[test]
fn unchanged_cron_job_in_a_new_list_starts_no_reconcile() {
    let children = Watched::default();
    children.note_cron_job(Event::Apply(cron_job()));
    children.note_cron_job(Event::Init);
    children.note_cron_job(Event::InitApply(cron_job()));
    assert!(children.note_cron_job(Event::InitDone).is_empty());
    assert_eq!(children.observe().backup.cron_job.state, ObservedCronJob::Ours);
}

#[test]
fn cron_job_with_edited_labels_is_found_by_its_owner() {
    let children = Watched::default();
    let mut edited = cron_job();
    edited.metadata.labels = Some([(meta::POLICY_LABEL.to_owned(), "another".to_owned())].into());
    assert_eq!(children.note_cron_job(Event::Apply(edited)), [ObjectRef::new("shop").within("n")]);
    assert_eq!(children.observe().backup.cron_job.state, ObservedCronJob::Ours);
}

#[test]
fn operator_write_to_a_cron_job_starts_no_reconcile() {
    let children = Watched::default();
    let shop = [ObjectRef::new("shop").within("n")];
    children.children.add_written(&policy(), Operation::Backup, &cron_job().metadata);
    assert!(children.note_cron_job(Event::Apply(cron_job())).is_empty(), "the operator's own write");
    assert_eq!(children.observe().backup.cron_job.state, ObservedCronJob::Ours);

    let mut later = cron_job();
    later.metadata.resource_version = Some("9".to_owned());
    assert!(children.note_cron_job(Event::Apply(later)).is_empty(), "the controller started a Job");

    let mut edited = cron_job();
    edited.metadata.generation = Some(2);
    assert_eq!(children.note_cron_job(Event::Apply(edited)), shop);
    assert_eq!(children.note_cron_job(Event::Apply(cron_job())), shop, "the event of a write comes once");
    assert_eq!(children.note_cron_job(Event::Delete(cron_job())), shop);
    assert_eq!(children.note_cron_job(Event::Apply(cron_job())), shop, "somebody created it again");
}

#[test]
fn pod_deleted_during_a_watch_outage_is_not_awaited() {
    let children = Watched::default();
    let mut running = pod("p", "2026-11-23T02:15:00Z", 1);
    running.status = None;
    children.note_pod(Event::Apply(running));
    children.note_job(Event::Apply(job(&json!({"conditions": [{"type": "Complete", "status": "True"}]}))));
    children.note_pod(Event::Init);
    assert_eq!(children.observe().backup.runs[0].state, JobState::Active);
    assert_eq!(children.note_pod(Event::InitDone), [ObjectRef::new("shop").within("n")]);
    assert_eq!(children.observe().backup.runs[0].state, JobState::Succeeded);
}

#[test]
fn deleted_job_is_active_until_its_pod_has_stopped() {
    let children = Watched::default();
    let mut running = pod("p", "2026-11-23T02:15:00Z", 1);
    running.status = None;
    children.note_pod(Event::Apply(running));
    children.note_job(Event::Delete(job(&json!({}))));
    let observed = children.observe();
    assert_eq!(observed.backup.runs[0].state, JobState::Active);
    children.children.remove_deleted(&policy(), &observed);
    children.note_pod(Event::Delete(pod("p", "2026-11-23T02:15:00Z", 75)));
    let observed = children.observe();
    assert_eq!(observed.backup.runs[0].state, JobState::Gone);
    assert_eq!(observed.backup.runs[0].container.as_ref().map(|container| container.exit_code), Some(75));
}

#[test]
fn job_result_arriving_during_a_status_write_is_kept() {
    let children = Watched::default();
    children.note_job(Event::Apply(job(&json!({}))));
    let written = children.observe();
    children.note_job(Event::Delete(job(&json!({"conditions": [{"type": "Complete", "status": "True"}]}))));
    children.children.remove_deleted(&policy(), &written);
    assert_eq!(children.observe().backup.runs[0].state, JobState::Succeeded);
}

#[test]
fn job_of_a_deleted_policy_of_same_name_is_not_a_run() {
    let children = Watched::default();
    children.note_job(Event::Apply(job(&json!({}))));
    let mut policy = policy();
    policy.metadata.creation_timestamp = Some(api::status::time("2026-11-23T02:15:01Z".parse().unwrap()));
    assert!(children.children.observe(&policy).backup.runs.is_empty());
}

#[test]
fn job_that_lost_its_owner_remains_the_same_run() {
    let watched = Watched::default();
    watched.note_cron_job(Event::Apply(cron_job()));
    watched.note_job(Event::Apply(job(&json!({}))));
    let mut orphan = job(&json!({"conditions": [
        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    ]}));
    orphan.metadata.owner_references = None;
    assert_eq!(watched.note_job(Event::Apply(orphan.clone())).len(), 1);
    let failed = JobState::Failed { reason: "BackoffLimitExceeded".to_owned() };
    assert_eq!(watched.observe().backup.runs[0].state, failed);
    watched.note_job(Event::Delete(orphan));
    watched.children.remove_deleted(&policy(), &watched.observe());
    assert_eq!(watched.observe().backup.runs, []);

    let mut stranger = job(&json!({}));
    stranger.metadata.owner_references = None;
    assert_eq!(watched.note_job(Event::Apply(stranger)), [], "it never had the owner");
}

#[test]
fn wait_for_the_pod_of_the_next_attempt_is_detected() {
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
    let unexplained_wait = watched.observe().backup.runs[0].unexplained_wait.clone().unwrap();
    assert_eq!(
        (unexplained_wait.uid.as_str(), unexplained_wait.since),
        ("j1", "2026-11-23T02:15:40Z".parse().unwrap())
    );

    let mut second = pod("p2", "2026-11-23T02:15:41Z", 10);
    second.status = Some(ended);
    watched.note_pod(Event::Apply(second));
    let unexplained_wait = watched.observe().backup.runs[0].unexplained_wait.clone().unwrap();
    assert_eq!(unexplained_wait.since, "2026-11-23T02:15:50Z".parse().unwrap(), "20 s after the second");

    watched.note_job(Event::Apply(job(&json!({"conditions": [{"type": "Failed", "status": "True"}]}))));
    assert_eq!(watched.observe().backup.runs[0].unexplained_wait, None, "a failed Job gets no more pods");
}
