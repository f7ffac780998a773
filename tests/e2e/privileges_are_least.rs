//! The operator may not read Secrets; the pods of backups have no token, no privilege and no writable root. That they
//! are admitted at all, in a namespace that enforces `restricted`, every other test shows.

use anyhow::{Context, Result};
use k8s_openapi::api::{
    apps::v1::Deployment,
    authorization::v1::SubjectAccessReview,
    core::v1::{Pod, PodSpec},
};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use pgbackup_tests::{cluster::SYSTEM, story};
use serde_json::json;

#[test]
fn the_operator_may_not_read_secrets() -> Result<()> {
    story("rights", async |env| {
        let deployments: Api<Deployment> = Api::namespaced(env.client.clone(), SYSTEM);
        let deployments = deployments.list(&ListParams::default()).await?;
        let pod = deployments.items.first().and_then(|operator| operator.spec.template.spec.as_ref());
        let account =
            pod.and_then(|pod| pod.service_account_name.clone()).context("the operator's account")?;
        let user = format!("system:serviceaccount:{SYSTEM}:{account}");
        let reviews: Api<SubjectAccessReview> = Api::all(env.client.clone());
        let may = async |verb: &str, group: &str, resource: &str, subresource: &str| {
            let review = serde_json::from_value(json!({"spec": {"user": user, "resourceAttributes": {
                "namespace": env.namespace, "verb": verb, "group": group, "resource": resource,
                "subresource": subresource,
            }}}))?;
            let answer = reviews.create(&PostParams::default(), &review).await?;
            anyhow::Ok(answer.status.is_some_and(|status| status.allowed))
        };

        assert!(may("create", "batch", "jobs", "").await?, "the question is asked rightly");
        for (verbs, group, resource, subresource) in [
            (&["get", "list", "watch", "create", "update", "patch", "delete"][..], "", "secrets", ""),
            (&["get", "create"], "", "pods", "exec"),
            (&["create", "delete", "update", "patch"], "", "pods", ""),
            (&["get", "list"], "", "configmaps", ""),
            (&["create"], "", "serviceaccounts", "token"),
            (&["delete", "create", "update"], "pgbackup.dev", "backuppolicies", ""),
            (&["delete", "get", "list"], "", "persistentvolumeclaims", ""),
            (&["create", "escalate", "bind"], "rbac.authorization.k8s.io", "roles", ""),
        ] {
            for verb in verbs {
                let allowed = may(verb, group, resource, subresource).await?;
                assert!(!allowed, "the operator may {verb} {resource} {subresource}");
            }
        }
        Ok(())
    })
}

#[test]
fn the_pods_of_backups_have_no_privilege() -> Result<()> {
    story("pods", async |env| {
        env.postgres(17).await?;
        let policy = env.policy("shop", |_| ()).await?;
        policy.backup("now").await?;

        let job = policy.jobs().await?.pop().context("a Job")?;
        let selector = format!("{}={job}", api::meta::JOB_NAME_LABEL);
        let pods = env.api::<Pod>().list(&ListParams::default().labels(&selector)).await?;
        let spec = pods.items.into_iter().next().and_then(|pod| pod.spec).context("its pod")?;
        assert_eq!(spec.automount_service_account_token, Some(false));
        assert!(!has_token(&spec), "{:?}", spec.volumes);
        assert_eq!(spec.enable_service_links, Some(false));
        let user = spec.security_context.as_ref().and_then(|context| context.run_as_user);
        assert_eq!(user, Some(65532));
        for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
            let context = container.security_context.as_ref().context("a security context")?;
            assert_eq!(context.read_only_root_filesystem, Some(true), "{}", container.name);
            assert_eq!(context.allow_privilege_escalation, Some(false), "{}", container.name);
            for variable in container.env.iter().flatten() {
                let plain = variable.value.as_deref().unwrap_or_default();
                assert!(!plain.contains(&env.password), "{} is in the pod's spec", variable.name);
            }
        }
        Ok(())
    })
}

fn has_token(spec: &PodSpec) -> bool {
    let volumes = spec.volumes.iter().flatten();
    let projected = volumes.filter_map(|volume| volume.projected.as_ref());
    projected
        .flat_map(|projected| projected.sources.iter().flatten())
        .any(|source| source.service_account_token.is_some())
}
