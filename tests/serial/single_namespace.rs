//! The chart with `watchNamespace`: the operator sees one namespace and has permissions only there.

use anyhow::{Context, Result, ensure};
use api::BackupPolicy;
use api::status::{ConditionStatus, ConditionType};
use domain::reason::Reason;
use k8s_openapi::api::{
    batch::v1::CronJob,
    core::v1::Namespace,
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use pgbackup_tests::{Env, Policy, serial_story, wait, wait::DEADLINE};
use serde_json::json;

#[test]
fn operator_of_one_namespace_works_without_other_rights() -> Result<()> {
    serial_story("single-namespace", async |env, operator| {
        env.postgres(17).await?;
        let elsewhere = another_namespace(&env).await?;
        // Stop the shared operator, which watches all namespaces.
        operator.scale(0).await?;
        let installed = match env.install(&[&format!("watchNamespace={}", env.namespace)]) {
            Ok(()) => Box::pin(works_in_its_namespace_only(&env, &elsewhere)).await,
            Err(error) => Err(error),
        };
        // Uninstall in any case: otherwise later tests would have two operators.
        let removed = env.uninstall();
        let namespaces: Api<Namespace> = Api::all(env.client.clone());
        namespaces.delete(&elsewhere.namespace, &DeleteParams::default()).await?;
        installed?;
        removed?;
        let roles: Api<ClusterRole> = Api::all(env.client.clone());
        let left = roles.list_metadata(&ListParams::default()).await?;
        ensure!(!left.iter().any(|role| role.name_any().starts_with(&env.namespace)), "roles are left");
        Ok(())
    })
}

async fn works_in_its_namespace_only(env: &Env, elsewhere: &Env) -> Result<()> {
    let ignored = Policy::create(elsewhere, "ignored", elsewhere.spec()).await?;
    let policy = env.policy("shop", |_| ()).await?;
    policy.backup("one").await?;
    policy.edit(|spec| spec.schedule = "5 5 1 1 *".into()).await?;
    wait::object(&env.api::<CronJob>(), &policy.cron_job_name(), "it follows its policy", DEADLINE, |seen| {
        (seen?.spec.schedule == "5 5 1 1 *").then_some(())
    })
    .await?;
    policy.condition_is(ConditionType::BackupHealthy, ConditionStatus::True, Reason::Verified).await?;

    // The policy in the other namespace existed all the time, but was never reconciled.
    let status = elsewhere.api::<BackupPolicy>().get(&ignored.name).await?.status.unwrap_or_default();
    ensure!(status.conditions.is_empty() && status.effective_schedule.is_none(), "{status:?}");
    ensure!(elsewhere.api::<CronJob>().list(&ListParams::default()).await?.items.is_empty());
    rights_are_there_only(env, elsewhere).await
}

async fn rights_are_there_only(env: &Env, elsewhere: &Env) -> Result<()> {
    let user = format!("system:serviceaccount:{0}:{0}-operator", env.namespace);
    let may = async |namespace: &str, verb: &str, group: &str, resource: &str, subresource: &str| {
        let asked = json!({
            "namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource,
        });
        env.may(&user, &asked).await
    };
    for (verb, group, resource, subresource) in [
        ("list", "pgbackup.dev", "backuppolicies", ""),
        ("patch", "pgbackup.dev", "backuppolicies", "status"),
        ("create", "batch", "cronjobs", ""),
        ("delete", "batch", "cronjobs", ""),
        ("create", "batch", "jobs", ""),
        ("list", "", "pods", ""),
        ("list", "", "events", ""),
    ] {
        ensure!(may(&env.namespace, verb, group, resource, subresource).await?, "here: {verb} {resource}");
        for namespace in [elsewhere.namespace.as_str(), ""] {
            let allowed = may(namespace, verb, group, resource, subresource).await?;
            ensure!(!allowed, "it may {verb} {resource} {subresource} in {namespace:?}");
        }
    }
    // The only permissions for the whole cluster are those to authenticate and authorize callers of the ops
    // endpoint.
    let bindings: Api<ClusterRoleBinding> = Api::all(env.client.clone());
    let is_its_own = |binding: &ClusterRoleBinding| {
        let subjects = binding.subjects.iter().flatten();
        subjects.into_iter().any(|subject| subject.namespace.as_ref() == Some(&env.namespace))
    };
    let mut asks = Vec::new();
    for binding in bindings.list(&ListParams::default()).await?.iter().filter(|binding| is_its_own(binding)) {
        let roles: Api<ClusterRole> = Api::all(env.client.clone());
        for rule in roles.get(&binding.role_ref.name).await?.rules.unwrap_or_default() {
            ensure!(rule.verbs == ["create"], "{rule:?}");
            asks.extend(rule.resources.context("a rule about resources")?);
        }
    }
    asks.sort_unstable();
    ensure!(asks == ["subjectaccessreviews", "tokenreviews"], "{asks:?}");
    Ok(())
}

/// Creates a second namespace for the test.
async fn another_namespace(env: &Env) -> Result<Env> {
    let mut elsewhere = env.clone();
    elsewhere.namespace = format!("{}-other", env.namespace);
    let labels = json!({"pgbackup.dev/e2e": "true"});
    let namespace =
        serde_json::from_value(json!({"metadata": {"name": elsewhere.namespace, "labels": labels}}))?;
    let namespaces: Api<Namespace> = Api::all(env.client.clone());
    namespaces.create(&PostParams::default(), &namespace).await?;
    Ok(elsewhere)
}
