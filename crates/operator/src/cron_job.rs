//! CronJobs as they are seen: reduced, and whose they are.

use api::BackupPolicy;
use desired::ObservedCronJob;
use domain::name::Operation;
use k8s_openapi::api::batch::v1::CronJob;
use kube::{Resource as _, ResourceExt};

/// A CronJob, as JSON: the typed object is mostly room for fields that nobody has set, 40 kB where this has 4.
#[derive(Debug)]
pub struct SeenCronJob {
    /// Its UID.
    pub uid: String,
    json: Box<[u8]>,
}

impl SeenCronJob {
    /// Without what nobody asks for.
    pub fn new(mut cron_job: CronJob) -> Self {
        cron_job.status = None;
        let json = serde_json::to_vec(&cron_job).expect("a CronJob should always be JSON");
        Self { uid: cron_job.uid().unwrap_or_default(), json: json.into() }
    }

    /// The CronJob.
    pub fn read(&self) -> CronJob {
        serde_json::from_slice(&self.json).expect("what was written as JSON should be readable")
    }
}

/// What a CronJob of this name does, and for which policy. Not by its labels: those can be edited, and then must be seen
/// as what they are.
pub fn purpose(cron_job: &CronJob) -> Option<(Operation, String)> {
    let name = cron_job.name_any();
    Operation::of_cron_job(&name).map(|(operation, policy)| (operation, policy.to_owned()))
}

/// Whose the CronJob is.
pub fn ownership(policy: &BackupPolicy, cron_job: &CronJob) -> ObservedCronJob {
    let controller = cron_job.owner_references().iter().find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if Some(&owner.uid) == policy.uid().as_ref() => ObservedCronJob::Ours,
        // Of a policy that was deleted and made anew, or is about to be: it is on its way out.
        Some(owner) if owner.kind == BackupPolicy::kind(&()) && owner.name == policy.name_any() => {
            ObservedCronJob::Missing
        }
        Some(owner) => ObservedCronJob::Foreign { owner: format!("{} {}", owner.kind, owner.name) },
        None => ObservedCronJob::Foreign { owner: "nobody that Kubernetes knows".to_owned() },
    }
}

/// Whether a CronJob of another policy of this name was there before this policy was: then its owner is gone for good. The
/// garbage collector takes it away, unless it has missed that policy's end, and then it never will: seen where the API
/// server ended and the definition changed at the same time. One that is younger may be of the policy that follows this
/// one, which we have not seen.
pub fn is_of_before(policy: &BackupPolicy, cron_job: &CronJob) -> bool {
    let [policy, cron_job] = [policy.creation_timestamp(), cron_job.creation_timestamp()];
    cron_job.zip(policy).is_some_and(|(cron_job, policy)| cron_job.0 < policy.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cron_job(name: &str) -> CronJob {
        serde_json::from_value(json!({
            "metadata": {"name": name, "uid": "c", "ownerReferences": [
                {"apiVersion": "v1", "kind": "BackupPolicy", "name": "shop", "uid": "p", "controller": true}]},
            "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"backoffLimit": 2}}}
        }))
        .unwrap()
    }

    #[test]
    fn a_cron_job_is_read_as_it_was_seen() {
        let seen = SeenCronJob::new(cron_job("shop-backup"));
        assert_eq!((seen.uid.as_str(), seen.read()), ("c", cron_job("shop-backup")));
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
        assert_eq!(ownership(&policy, &cron_job("shop-backup")), ObservedCronJob::Ours);
        policy.metadata.uid = Some("made anew".into());
        assert_eq!(
            ownership(&policy, &cron_job("shop-backup")),
            ObservedCronJob::Missing,
            "it is on its way out"
        );
        let mut old = cron_job("shop-backup");
        let at =
            |time: &str| Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time.parse().unwrap()));
        policy.metadata.creation_timestamp = at("2026-11-23T02:15:01Z");
        for (made, is_of_before) in [("2026-11-23T02:15:00Z", true), ("2026-11-23T02:15:01Z", false)] {
            old.metadata.creation_timestamp = at(made);
            assert_eq!(super::is_of_before(&policy, &old), is_of_before, "{made}");
        }
        policy.metadata.name = Some("other".into());
        let foreign = ObservedCronJob::Foreign { owner: "BackupPolicy shop".into() };
        assert_eq!(ownership(&policy, &cron_job("shop-backup")), foreign);
    }
}
