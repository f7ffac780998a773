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
        // Of a policy that was deleted and made anew: the garbage collector is about to take it away.
        Some(owner) if owner.kind == BackupPolicy::kind(&()) && owner.name == policy.name_any() => {
            ObservedCronJob::Missing
        }
        Some(owner) => ObservedCronJob::Foreign { owner: format!("{} {}", owner.kind, owner.name) },
        None => ObservedCronJob::Foreign { owner: "nobody that Kubernetes knows".to_owned() },
    }
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
        policy.metadata.name = Some("other".into());
        let foreign = ObservedCronJob::Foreign { owner: "BackupPolicy shop".into() };
        assert_eq!(ownership(&policy, &cron_job("shop-backup")), foreign);
    }
}
