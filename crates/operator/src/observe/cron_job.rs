//! A CronJob reduced to its metadata, and its owner.

use api::BackupPolicy;
use desired::{ForeignObject, ObservedCronJob};
use domain::{name, operation::Operation};
use k8s_openapi::{
    api::batch::v1::CronJob,
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta},
};
use kube::{Resource as _, ResourceExt, core::PartialObjectMeta};

/// The metadata of a CronJob. The owner reference shows who owns it; the generation and the operator's
/// annotations show whether somebody changed it. It is stored as JSON, which takes a third of the memory of
/// the typed object.
#[derive(Debug, PartialEq, Eq)]
pub struct CronJobSummary {
    pub uid: String,
    json: Box<[u8]>,
}

impl CronJobSummary {
    /// Reduces the metadata to the fields that matter, so that it does not change with each run, when the
    /// CronJob controller writes the status. Of the managed fields it keeps only the creator of a CronJob
    /// without an owner.
    pub fn new(mut metadata: ObjectMeta) -> Self {
        let creator = controller(&metadata).is_none().then(|| creator(&metadata)).flatten();
        metadata.managed_fields = creator.map(|manager| {
            vec![ManagedFieldsEntry { manager: Some(manager), ..ManagedFieldsEntry::default() }]
        });
        metadata.resource_version = None;
        let json = serde_json::to_vec(&metadata).expect("metadata should always be JSON");
        Self { uid: metadata.uid.unwrap_or_default(), json: json.into() }
    }

    pub fn metadata(&self) -> ObjectMeta {
        serde_json::from_slice(&self.json).expect("metadata that was written as JSON should be readable")
    }
}

/// Returns the operation and the policy of a CronJob, according to its name. Labels are not used, because a
/// CronJob with edited labels must still be recognised.
pub fn operation_and_policy(cron_job: &PartialObjectMeta<CronJob>) -> Option<(Operation, String)> {
    let name = cron_job.name_any();
    name::of_cron_job(&name).map(|(operation, policy)| (operation, policy.to_owned()))
}

pub fn ownership(policy: &BackupPolicy, cron_job: &ObjectMeta) -> ObservedCronJob {
    match controller(cron_job) {
        Some((_, _, uid)) if Some(uid) == policy.metadata.uid.as_deref() => ObservedCronJob::Ours,
        // An earlier policy of this name owned it, so the garbage collector is about to delete it.
        Some((kind, name, _)) if kind == BackupPolicy::kind(&()) && name == policy.name_any() => {
            ObservedCronJob::Missing
        }
        _ => ObservedCronJob::Foreign(foreign(cron_job)),
    }
}

/// Returns the owner of an object that the policy does not own, or its creator if it has no owner.
pub fn foreign(metadata: &ObjectMeta) -> ForeignObject {
    match controller(metadata) {
        Some((kind, name, _)) => ForeignObject { owner: Some(format!("{kind} {name}")), creator: None },
        None => ForeignObject { owner: None, creator: creator(metadata) },
    }
}

/// Returns kind, name and UID of the controlling owner; `None` if there is no owner.
pub fn controller(metadata: &ObjectMeta) -> Option<(&str, &str, &str)> {
    let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
    Some((&owner.kind, &owner.name, &owner.uid))
}

/// Returns the field manager that wrote first, which is the program that created the object.
fn creator(metadata: &ObjectMeta) -> Option<String> {
    let managers = metadata.managed_fields.iter().flatten().filter(|entry| entry.subresource.is_none());
    managers.min_by_key(|entry| entry.time.as_ref().map(|time| time.0))?.manager.clone()
}

/// Returns whether the CronJob is older than the policy. If so, an earlier policy of the same name owned it
/// and is deleted. Normally the garbage collector deletes such a CronJob, but it can miss the end of a policy
/// if the API server stops while the CRD changes. A younger CronJob may belong to a newer policy of this name
/// that has not been observed yet.
pub fn is_older_than_policy(policy: &BackupPolicy, cron_job: &ObjectMeta) -> bool {
    let [policy, cron_job] = [policy.creation_timestamp(), cron_job.creation_timestamp.clone()];
    cron_job.zip(policy).is_some_and(|(cron_job, policy)| cron_job.0 < policy.0)
}

#[cfg(test)]
mod tests {
    use api::status::time;
    use serde_json::json;

    use super::*;

    fn cron_job(name: &str) -> PartialObjectMeta<CronJob> {
        serde_json::from_value(json!({
            "metadata": {"name": name, "uid": "c", "ownerReferences": [
                {"apiVersion": "v1", "kind": "BackupPolicy", "name": "shop", "uid": "p", "controller": true}]}
        }))
        .unwrap()
    }

    fn policy() -> BackupPolicy {
        serde_json::from_value(json!({
            "metadata": {"name": "shop", "uid": "p"},
            "spec": {
                "schedule": "* * * * *",
                "postgres": {"version": 17, "connection": {"host": "h", "user": "u", "passwordSecretRef": {"name": "s", "key": "k"}}},
                "storage": {"volume": {"claimName": "c"}}
            }
        }))
        .unwrap()
    }

    #[test]
    fn cron_job_summary_changes_only_with_the_generation() {
        let metadata = || cron_job("shop-backup").metadata;
        let summary = CronJobSummary::new(metadata());
        assert_eq!((summary.uid.as_str(), summary.metadata()), ("c", metadata()));
        let later = ObjectMeta { resource_version: Some("8".into()), ..metadata() };
        assert_eq!(CronJobSummary::new(later), summary, "the controller recorded a run");
        let edited = ObjectMeta { generation: Some(2), ..metadata() };
        assert_ne!(CronJobSummary::new(edited), summary);
    }

    #[test]
    fn watched_cron_job_is_mapped_to_operation_and_policy() {
        let found = operation_and_policy(&cron_job("shop-backup"));
        assert_eq!(found, Some((Operation::Backup, "shop".to_owned())));
        assert_eq!(operation_and_policy(&cron_job("shop")), None);
    }

    #[test]
    fn cron_job_of_another_policy_is_recognized_by_its_owner() {
        let mut policy = policy();
        let found = cron_job("shop-backup").metadata;
        assert_eq!(ownership(&policy, &found), ObservedCronJob::Ours);
        policy.metadata.name = Some("other".into());
        policy.metadata.uid = Some("another policy".into());
        let owner = Some("BackupPolicy shop".to_owned());
        let foreign = ObservedCronJob::Foreign(ForeignObject { owner, creator: None });
        assert_eq!(ownership(&policy, &found), foreign);
    }

    #[test]
    fn cron_job_of_an_earlier_policy_with_same_name_is_missing() {
        let mut policy = policy();
        policy.metadata.uid = Some("recreated".into());
        policy.metadata.creation_timestamp = Some(time("2026-11-23T02:15:01Z".parse().unwrap()));
        let mut found = cron_job("shop-backup").metadata;
        assert_eq!(ownership(&policy, &found), ObservedCronJob::Missing);
        for (created, is_older) in [("2026-11-23T02:15:00Z", true), ("2026-11-23T02:15:01Z", false)] {
            found.creation_timestamp = Some(time(created.parse().unwrap()));
            assert_eq!(is_older_than_policy(&policy, &found), is_older, "{created}");
        }
    }

    #[test]
    fn cron_job_without_owner_shows_the_client_that_created_it() {
        let mut found = cron_job("shop-backup").metadata;
        found.owner_references = None;
        found.managed_fields = serde_json::from_value(json!([
            {"manager": "kube-controller-manager", "subresource": "status", "time": "2026-11-20T01:00:00Z"},
            {"manager": "kubectl-edit", "operation": "Update", "time": "2026-11-22T02:00:00Z"},
            {"manager": "kubectl-create", "operation": "Update", "time": "2026-11-21T02:00:00Z", "fieldsV1": {"f:spec": {}}},
        ]))
        .unwrap();
        let creator = Some("kubectl-create".to_owned());
        let foreign = ObservedCronJob::Foreign(ForeignObject { owner: None, creator });
        assert_eq!(ownership(&policy(), &CronJobSummary::new(found).metadata()), foreign);
    }
}
