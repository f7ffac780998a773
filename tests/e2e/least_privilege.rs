//! The operator has no permission to read Secrets. The pods of backups have no token, no privileges and no
//! writable root file system. All other tests run in namespaces that enforce `restricted`, so they show that
//! the pods are admitted.

use anyhow::{Context, Result};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, PodSpec},
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding, Subject},
};
use kube::{Api, api::ListParams};
use pgbackup_tests::{
    Env,
    cluster::SYSTEM,
    story,
    wait::{self, DEADLINE},
};
use serde_json::json;

#[test]
fn operator_cannot_read_secrets() -> Result<()> {
    story("operator-rights", async |env| {
        let user = format!("system:serviceaccount:{SYSTEM}:{}", operators_account(&env).await?);
        let may = async |verb: &str, group: &str, resource: &str, subresource: &str| {
            let namespace = &env.namespace;
            let asked = json!({"namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource});
            env.may(&user, &asked).await
        };

        assert!(may("create", "batch", "jobs", "").await?, "the question is asked rightly");
        for (verbs, group, resource, subresource) in [
            (&["get", "list", "watch", "create", "update", "patch", "delete"][..], "", "secrets", ""),
            (&["get", "create"], "", "pods", "exec"),
            (&["get", "create", "delete", "update", "patch"], "", "pods", ""),
            (&["get", "list"], "", "configmaps", ""),
            (&["create"], "", "serviceaccounts", "token"),
            (&["get", "delete", "create", "update"], "pgbackup.dev", "backuppolicies", ""),
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

/// Checks all roles that are bound to the operator's service account, whatever their names are.
#[test]
fn operator_has_only_the_documented_rights() -> Result<()> {
    story("operator-roles", async |env| {
        let account = operators_account(&env).await?;
        let is_the_operator = |subjects: &Option<Vec<Subject>>| {
            subjects.iter().flatten().any(|subject| {
                subject.kind == "ServiceAccount"
                    && subject.name == account
                    && subject.namespace.as_deref() == Some(SYSTEM)
            })
        };
        let client = || env.client.clone();
        let mut rules = Vec::new();
        for binding in Api::<ClusterRoleBinding>::all(client()).list(&ListParams::default()).await? {
            if is_the_operator(&binding.subjects) {
                let roles: Api<ClusterRole> = Api::all(client());
                rules.extend(roles.get(&binding.role_ref.name).await?.rules.unwrap_or_default());
            }
        }
        let of_the_cluster = rules.len();
        for binding in Api::<RoleBinding>::all(client()).list(&ListParams::default()).await? {
            if is_the_operator(&binding.subjects) {
                let namespace = binding.metadata.namespace.unwrap_or_default();
                let roles: Api<Role> = Api::namespaced(client(), &namespace);
                rules.extend(roles.get(&binding.role_ref.name).await?.rules.unwrap_or_default());
            }
        }
        assert!(0 < of_the_cluster && of_the_cluster < rules.len(), "both kinds of roles: {rules:?}");
        for rule in &rules {
            let groups = rule.api_groups.iter().flatten();
            let named = groups.chain(rule.resources.iter().flatten()).chain(&rule.verbs);
            for name in named.chain(rule.non_resource_urls.iter().flatten()) {
                assert!(!name.contains('*') && !name.starts_with("secrets"), "{rule:?}");
            }
        }
        Ok(())
    })
}

/// The default roles of Kubernetes for users include the chart's roles.
#[test]
fn view_edit_and_admin_roles_grant_documented_rights() -> Result<()> {
    const READ: [&str; 3] = ["get", "list", "watch"];
    const WRITE: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];
    story("user-roles", async |env| {
        for (role, may_write) in [("view", false), ("edit", true), ("admin", true)] {
            let user = format!("{role}-of-{}", env.namespace);
            let may = async |verb: &str, namespace: &str, subresource: &str| {
                let asked = json!({
                    "namespace": namespace, "verb": verb, "group": "pgbackup.dev",
                    "resource": "backuppolicies", "subresource": subresource,
                });
                env.may(&user, &asked).await
            };
            assert!(!may("get", &env.namespace, "").await?, "nobody may before it is bound to {role}");
            let bind = ["create", "rolebinding", role];
            env.kubectl(
                &[&bind[..], &[&format!("--clusterrole={role}"), &format!("--user={user}")]].concat(),
            )?;
            wait::until(&format!("{role} is bound"), DEADLINE, async || {
                Ok(may("get", &env.namespace, "").await?.then_some(()))
            })
            .await?;
            for verb in READ {
                assert!(may(verb, &env.namespace, "").await?, "{role} may {verb} policies");
            }
            for verb in WRITE {
                assert_eq!(may(verb, &env.namespace, "").await?, may_write, "{role}: {verb} policies");
                assert!(!may(verb, &env.namespace, "status").await?, "{role}: {verb} what the operator says");
            }
            for verb in READ.into_iter().chain(WRITE) {
                assert!(!may(verb, SYSTEM, "").await?, "{role} may {verb} policies of another namespace");
            }
        }
        Ok(())
    })
}

/// Returns the operator's service account.
async fn operators_account(env: &Env) -> Result<String> {
    let deployments: Api<Deployment> = Api::namespaced(env.client.clone(), SYSTEM);
    let deployments = deployments.list(&ListParams::default()).await?;
    let pod = deployments.items.first().and_then(|operator| operator.spec.template.spec.as_ref());
    pod.and_then(|pod| pod.service_account_name.clone()).context("the operator's account")
}

#[test]
fn backup_pods_meet_the_restricted_pod_security_standard() -> Result<()> {
    story("restricted-pods", async |env| {
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
