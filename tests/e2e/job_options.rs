//! `spec.job` and `spec.catchUp` take effect on pods and CronJobs.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use api::policy::{JobOptions, Resources};
use k8s_openapi::{
    api::core::v1::{Pod, ServiceAccount, Toleration},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{
    ResourceExt as _,
    api::{ListParams, PostParams},
};
use pgbackup_tests::story;
use serde_json::json;

#[test]
fn pods_have_the_job_options_of_their_policy() -> Result<()> {
    story("job-options", async |env| {
        env.postgres(17).await?;
        let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "backup"}}))?;
        env.api().create(&PostParams::default(), &account).await?;
        let policy = env
            .policy("shop", |spec| {
                spec.catch_up = false;
                spec.job = JobOptions {
                    resources: Some(Resources {
                        requests: BTreeMap::from([(
                            "cpu".to_owned(),
                            IntOrString::String("0.02".to_owned()),
                        )]),
                        limits: BTreeMap::from([(
                            "memory".to_owned(),
                            IntOrString::String("512Mi".to_owned()),
                        )]),
                    }),
                    active_deadline_seconds: 600,
                    backoff_limit: 1,
                    successful_jobs_history_limit: 1,
                    failed_jobs_history_limit: 5,
                    run_as_user: Some(26),
                    node_selector: BTreeMap::from([("kubernetes.io/os".to_owned(), "linux".to_owned())]),
                    tolerations: vec![Toleration {
                        key: Some("backup".to_owned()),
                        operator: Some("Exists".to_owned()),
                        ..Toleration::default()
                    }],
                    pod_labels: BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
                    pod_annotations: BTreeMap::from([("example.org/why".to_owned(), "backup".to_owned())]),
                    service_account_name: Some("backup".to_owned()),
                    ..JobOptions::default()
                };
            })
            .await?;
        let good = policy.backup("with-options").await?;

        let cron_job = policy.cron_job().await?;
        let spec = &cron_job.spec;
        assert_eq!(spec.starting_deadline_seconds, Some(300));
        assert_eq!((spec.successful_jobs_history_limit, spec.failed_jobs_history_limit), (Some(1), Some(5)));
        let pods = env.api::<Pod>().list(&ListParams::default().labels("team=shop")).await?;
        let pod = pods.items.first().context("the backup's pod")?;
        assert!(pod.name_any().starts_with(&good.job), "{}", pod.name_any());
        assert_eq!(pod.annotations().get("example.org/why").map(String::as_str), Some("backup"));
        let spec = pod.spec.as_ref().context("a spec")?;
        assert_eq!(spec.service_account_name.as_deref(), Some("backup"));
        assert_eq!(spec.automount_service_account_token, Some(false));
        let user = spec.security_context.as_ref().and_then(|context| context.run_as_user);
        assert_eq!(user, Some(26), "and its copy was stored and read back");
        let limits = spec.containers[0].resources.as_ref().and_then(|resources| resources.limits.as_ref());
        assert_eq!(
            limits.and_then(|limits| limits.get("memory")).map(|memory| memory.0.as_str()),
            Some("512Mi")
        );

        // Kubernetes stores 0.02 as 20m, which must not be corrected.
        assert_eq!(cron_job.metadata.generation, Some(1));
        policy.wait_until_observed().await?;
        assert_eq!(policy.cron_job().await?.metadata.generation, Some(2), "one edit, one write");
        Ok(())
    })
}
