//! CronJobs as they are seen: reduced, and whose they are.

use api::BackupPolicy;
use desired::{ForeignObject, ObservedCronJob};
use domain::operation::Operation;
use k8s_openapi::{api::batch::v1::CronJob, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Resource as _, ResourceExt, core::PartialObjectMeta};

/// The metadata of a CronJob: it tells whose it is, and by our annotations and the generation whether somebody has changed
/// it. As JSON, which takes a third of the room of the typed object.
#[derive(Debug, PartialEq, Eq)]
pub struct SeenCronJob {
    /// Its UID.
    pub uid: String,
    json: Box<[u8]>,
}

impl SeenCronJob {
    /// Without what changes though nothing has that we look at: its controller writes its status with each run.
    pub fn new(mut metadata: ObjectMeta) -> Self {
        metadata.managed_fields = None;
        metadata.resource_version = None;
        let json = serde_json::to_vec(&metadata).expect("metadata should always be JSON");
        Self { uid: metadata.uid.unwrap_or_default(), json: json.into() }
    }

    /// The metadata.
    pub fn read(&self) -> ObjectMeta {
        serde_json::from_slice(&self.json).expect("what was written as JSON should be readable")
    }
}

/// What a CronJob of this name does, and for which policy. Not by its labels: those can be edited, and then must be seen
/// as what they are.
pub fn purpose(cron_job: &PartialObjectMeta<CronJob>) -> Option<(Operation, String)> {
    let name = cron_job.name_any();
    Operation::of_cron_job(&name).map(|(operation, policy)| (operation, policy.to_owned()))
}

/// Whose the CronJob is.
pub fn ownership(policy: &BackupPolicy, cron_job: &ObjectMeta) -> ObservedCronJob {
    let mut owners = cron_job.owner_references.iter().flatten();
    let controller = owners.find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if Some(&owner.uid) == policy.uid().as_ref() => ObservedCronJob::Ours,
        // Of a policy that was deleted and made anew, or is about to be: it is on its way out.
        Some(owner) if owner.kind == BackupPolicy::kind(&()) && owner.name == policy.name_any() => {
            ObservedCronJob::Missing
        }
        Some(owner) => ObservedCronJob::Foreign(ForeignObject {
            owner: Some(format!("{} {}", owner.kind, owner.name)),
            creator: None,
        }),
        None => ObservedCronJob::Foreign(ForeignObject::default()),
    }
}

/// Whether a CronJob of another policy of this name was there before this policy was: then its owner is gone for good. The
/// garbage collector takes it away, unless it has missed that policy's end, and then it never will: seen where the API
/// server ended and the definition changed at the same time. One that is younger may be of the policy that follows this
/// one, which we have not seen.
pub fn is_of_before(policy: &BackupPolicy, cron_job: &ObjectMeta) -> bool {
    let [policy, cron_job] = [policy.creation_timestamp(), cron_job.creation_timestamp.clone()];
    cron_job.zip(policy).is_some_and(|(cron_job, policy)| cron_job.0 < policy.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cron_job(name: &str) -> PartialObjectMeta<CronJob> {
        serde_json::from_value(json!({
            "metadata": {"name": name, "uid": "c", "ownerReferences": [
                {"apiVersion": "v1", "kind": "BackupPolicy", "name": "shop", "uid": "p", "controller": true}]}
        }))
        .unwrap()
    }

    #[test]
    fn a_cron_job_is_read_as_it_was_seen() {
        let metadata = || cron_job("shop-backup").metadata;
        let seen = SeenCronJob::new(metadata());
        assert_eq!((seen.uid.as_str(), seen.read()), ("c", metadata()));
        let later = ObjectMeta { resource_version: Some("8".into()), ..metadata() };
        assert_eq!(SeenCronJob::new(later), seen, "its controller has noted a run");
        let edited = ObjectMeta { generation: Some(2), ..metadata() };
        assert_ne!(SeenCronJob::new(edited), seen);
    }

    #[test]
    fn a_cron_job_belongs_to_the_policy_of_its_name() {
        assert_eq!(purpose(&cron_job("shop-backup")), Some((Operation::Backup, "shop".to_owned())));
        assert_eq!(purpose(&cron_job("shop")), None);
    }

    #[test]
    fn a_cron_job_of_another_owner_is_foreign() {
        let mut policy: BackupPolicy = serde_json::from_value(json!({
            "metadata": {"name": "shop", "uid": "p"},
            "spec": {
                "schedule": "* * * * *",
                "postgres": {"version": 17, "connection": {"host": "h", "user": "u", "passwordSecretRef": {"name": "s", "key": "k"}}},
                "storage": {"volume": {"claimName": "c"}}
            }
        }))
        .unwrap();
        assert_eq!(ownership(&policy, &cron_job("shop-backup").metadata), ObservedCronJob::Ours);
        policy.metadata.uid = Some("made anew".into());
        assert_eq!(
            ownership(&policy, &cron_job("shop-backup").metadata),
            ObservedCronJob::Missing,
            "it is on its way out"
        );
        let mut old = cron_job("shop-backup").metadata;
        let at =
            |time: &str| Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time.parse().unwrap()));
        policy.metadata.creation_timestamp = at("2026-11-23T02:15:01Z");
        for (made, is_of_before) in [("2026-11-23T02:15:00Z", true), ("2026-11-23T02:15:01Z", false)] {
            old.creation_timestamp = at(made);
            assert_eq!(super::is_of_before(&policy, &old), is_of_before, "{made}");
        }
        policy.metadata.name = Some("other".into());
        let foreign = ForeignObject { owner: Some("BackupPolicy shop".into()), creator: None };
        let foreign = ObservedCronJob::Foreign(foreign);
        assert_eq!(ownership(&policy, &cron_job("shop-backup").metadata), foreign);
    }
}
