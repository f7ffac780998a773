//! A CronJob that somebody edited or deleted is restored. A CronJob that belongs to somebody else is not
//! changed.

use anyhow::{Context, Result};
use api::status::{ConditionStatus, ConditionType};
use api::{
    meta::{MANAGED_BY_LABEL, OPERATION_LABEL, POLICY_LABEL, RUNNER_CONTAINER},
    policy::SecretKeyRef,
};
use domain::reason::Reason;
use k8s_openapi::api::{batch::v1::CronJob, core::v1::Container};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use pgbackup_tests::{
    env::{CLAIM, NEW_YEAR, on_volume},
    manifests::{self, fill},
    story,
    wait::{self, DEADLINE},
};
use serde_json::{Value, json};

#[test]
fn edited_cron_job_is_restored() -> Result<()> {
    story("cronjob-edited", async |env| {
        let policy = env.policy("shop", |_| ()).await?;
        let before = policy.cron_job().await?;
        let cron_jobs = env.api::<CronJob>();
        let name = policy.cron_job_name();

        for edit in [
            json!({"spec": {"schedule": "* * * * *"}}),
            json!({"spec": {"suspend": true}}),
            json!({"spec": {"timeZone": "Europe/Berlin"}}),
            json!({"spec": {"concurrencyPolicy": "Replace"}}),
            in_pod(&json!({"containers": [{"name": "theirs", "image": "localhost/theirs"}]})),
            in_pod(&json!({"initContainers": [{"name": "theirs", "image": "localhost/theirs"}]})),
            in_pod(&json!({"containers": [{"name": "runner", "env": [{"name": "THEIRS", "value": "1"}]}]})),
            in_pod(&json!({"volumes": [{"name": "theirs", "emptyDir": {}}]})),
        ] {
            let edited = cron_jobs.patch(&name, &PatchParams::default(), &Patch::Strategic(&edit)).await?;
            assert_ne!(edited.spec, before.spec, "{edit}");
            let what = format!("it is as it was before {edit}");
            wait::object(&cron_jobs, &name, &what, DEADLINE, |seen| {
                (seen?.spec == before.spec).then_some(())
            })
            .await?;
        }

        cron_jobs.delete(&name, &DeleteParams::default()).await?;
        wait::object(&cron_jobs, &name, "it is there again", DEADLINE, |seen| {
            let seen = seen?;
            (seen.uid() != before.uid() && seen.spec == before.spec).then_some(())
        })
        .await
    })
}

/// The webhook would undo each correction, so the webhook and the operator would write in turn forever.
#[test]
fn cron_job_changes_by_mutating_admission_are_kept() -> Result<()> {
    story("cronjob-mutated", async |env| {
        env.create(&fill(manifests::MUTATION, &[("NAMESPACE", &env.namespace)])).await?;
        let dry = [
            "create",
            "cronjob",
            "x",
            "--image=x",
            "--schedule=0 0 1 1 *",
            "--dry-run=server",
            "--output=yaml",
        ];
        wait::until("admission changes CronJobs", DEADLINE, async || {
            Ok(env.kubectl(&dry)?.contains("terminationGracePeriodSeconds: 61").then_some(()))
        })
        .await?;
        env.postgres(17).await?;
        let policy = env.policy("shop", |_| ()).await?;
        policy.backup("one").await?;
        let cron_job = policy.cron_job().await?;
        let grace = |cron_job: &CronJob| {
            let pod = cron_job.spec.job_template.spec.as_ref()?.template.spec.as_ref()?;
            pod.termination_grace_period_seconds
        };
        assert_eq!(grace(&cron_job), Some(61), "what admission wants stays");
        assert_eq!(env.operator_log()?.matches("differed").count(), 0, "nothing was corrected");

        policy.edit(|spec| spec.schedule = "5 0 1 1 *".to_owned()).await?;
        policy.backup("two").await?;
        let edited = policy.cron_job().await?;
        assert_eq!((edited.spec.schedule.as_str(), grace(&edited)), ("5 0 1 1 *", Some(61)));
        assert_eq!(env.operator_log()?.matches("differed").count(), 1, "the edit, once");

        let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
        env.api::<CronJob>().patch(&policy.cron_job_name(), &PatchParams::default(), &suspend).await?;
        wait::object(&env.api::<CronJob>(), &policy.cron_job_name(), "drift is repaired", DEADLINE, |seen| {
            (seen?.spec == edited.spec).then_some(())
        })
        .await?;
        for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
            env.kubectl(&["delete", kind, &env.namespace])?;
        }
        Ok(())
    })
}

#[test]
fn relabelled_cron_job_gets_its_labels_back() -> Result<()> {
    story("cronjob-relabelled", async |env| {
        let policy = env.policy("shop", |_| ()).await?;
        env.policy("other", |_| ()).await?.ready().await?;
        let ours = policy.cron_job().await?.labels().clone();
        assert_eq!(ours.get(POLICY_LABEL).map(String::as_str), Some("shop"));
        let cron_jobs = env.api::<CronJob>();
        let name = policy.cron_job_name();

        for (label, value) in [
            (MANAGED_BY_LABEL, json!(null)),
            (MANAGED_BY_LABEL, json!("theirs")),
            (POLICY_LABEL, json!(null)),
            (POLICY_LABEL, json!("other")),
            (OPERATION_LABEL, json!(null)),
            (OPERATION_LABEL, json!("theirs")),
        ] {
            let edit = json!({"metadata": {"labels": {label: value, "theirs": "stays"}}});
            let edited = cron_jobs.patch(&name, &PatchParams::default(), &Patch::Merge(&edit)).await?;
            assert_ne!(edited.labels().get(label), ours.get(label), "{edit}");
            let what = format!("it has its labels again after {edit}");
            let labels = wait::object(&cron_jobs, &name, &what, DEADLINE, |seen| {
                let labels = seen?.labels();
                ours.iter().all(|(key, value)| labels.get(key) == Some(value)).then(|| labels.clone())
            });
            assert_eq!(labels.await?.get("theirs").map(String::as_str), Some("stays"), "{edit}");
        }
        policy.ready().await
    })
}

#[test]
fn policy_change_updates_its_cron_job() -> Result<()> {
    story("policy-changed", async |env| {
        let policy = env.policy("shop", |_| ()).await?;
        assert_eq!(policy.cron_job().await?.spec.schedule, NEW_YEAR);
        policy.edit(|spec| spec.schedule = "5 5 1 1 *".into()).await?;
        wait::object(
            &env.api::<CronJob>(),
            &policy.cron_job_name(),
            "it has the new schedule",
            DEADLINE,
            |seen| (seen?.spec.schedule == "5 5 1 1 *").then_some(()),
        )
        .await?;
        let now = policy.status_with("the status speaks of it", DEADLINE, |status| {
            (status.observed_generation == Some(2)).then(|| status.effective_schedule.clone())
        });
        assert_eq!(now.await?.as_deref(), Some("5 5 1 1 *"));
        Ok(())
    })
}

/// A field that is removed from the policy must not remain in the CronJob.
#[test]
fn field_removed_from_policy_is_removed_from_cron_job() -> Result<()> {
    story("field-removed", async |env| {
        let policy = env
            .policy("shop", |spec| {
                spec.storage = on_volume(CLAIM, Some("databases"));
                spec.retention.keep_daily = Some(7);
                spec.postgres.databases.exclude = vec!["scratch-*".into()];
                spec.postgres.connection.user = Some("of-before".into());
            })
            .await?;
        let before = runner(&*policy.cron_job().await?)?;
        assert_eq!(sub_paths(&before), ["databases"]);
        for argument in ["--keep-daily=7", "--exclude=scratch-*"] {
            assert!(before.args.iter().flatten().any(|seen| seen == argument), "{argument}: {before:?}");
        }
        assert_eq!(user(&before), [json!({"name": "PGUSER", "value": "of-before"})]);

        policy
            .edit(|spec| {
                *spec = env.spec();
                spec.postgres.connection.user = None;
                spec.postgres.connection.user_secret_ref =
                    Some(SecretKeyRef { name: "role".into(), key: "name".into() });
            })
            .await?;
        let what = "its user is from the Secret";
        let secret = json!({"name": "role", "key": "name"});
        let after = wait::object(&env.api::<CronJob>(), &policy.cron_job_name(), what, DEADLINE, |seen| {
            let runner = runner(seen?).ok()?;
            let named = user(&runner).iter().any(|user| user["valueFrom"]["secretKeyRef"] == secret);
            named.then_some(runner)
        })
        .await?;
        assert_eq!(user(&after), [json!({"name": "PGUSER", "valueFrom": {"secretKeyRef": secret}})]);
        assert!(sub_paths(&after).is_empty(), "{after:?}");
        let lingers = |seen: &String| seen.contains("keep-daily") || seen.contains("exclude");
        assert!(!after.args.iter().flatten().any(lingers), "{after:?}");

        policy.edit(|spec| *spec = env.spec()).await?;
        let what = "its user is a word again";
        wait::object(&env.api::<CronJob>(), &policy.cron_job_name(), what, DEADLINE, |seen| {
            (user(&runner(seen?).ok()?) == [json!({"name": "PGUSER", "value": "postgres"})]).then_some(())
        })
        .await
    })
}

#[test]
fn cron_job_of_another_owner_is_not_adopted() -> Result<()> {
    story("name-taken", async |env| {
        let theirs: CronJob = serde_json::from_value(json!({
            "metadata": {"name": "shop-backup"},
            "spec": {"schedule": NEW_YEAR, "jobTemplate": {"spec": {"template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "theirs", "image": "localhost/theirs"}],
            }}}}},
        }))?;
        let cron_jobs = env.api::<CronJob>();
        let before = cron_jobs.create(&PostParams::default(), &theirs).await?;

        let policy = env.policy("shop", |_| ()).await?;
        let message =
            policy.condition_is(ConditionType::Ready, ConditionStatus::False, Reason::NameTaken).await?;
        assert!(message.contains("shop-backup"), "{message}");
        policy.condition_is(ConditionType::Stalled, ConditionStatus::True, Reason::NameTaken).await?;
        policy.request("now").await?;
        policy.wait_until_observed().await?;
        let after = cron_jobs.get("shop-backup").await?;
        assert_eq!(after.resource_version(), before.resource_version(), "nobody touched it");
        assert!(policy.jobs().await?.is_empty());

        cron_jobs.delete("shop-backup", &DeleteParams::default()).await?;
        policy.ready().await
    })
}

/// Fields that the policy leaves to their defaults must not be set by others either: each of these changes
/// what a run does, or prevents it.
#[test]
fn field_added_to_cron_job_is_removed() -> Result<()> {
    story("field-added", async |env| {
        let policy = env.policy("shop", |_| ()).await?;
        policy.ready().await?;
        let before = policy.cron_job().await?;
        let cron_jobs = env.api::<CronJob>();
        let name = policy.cron_job_name();
        let in_job = |edit: Value| json!({"spec": {"jobTemplate": {"spec": edit}}});
        let in_runner = |edit: Value| in_pod(&json!({"containers": [edit]}));
        for edit in [
            json!({"spec": {"startingDeadlineSeconds": 1}}),
            in_job(json!({"ttlSecondsAfterFinished": 0})),
            in_job(json!({"parallelism": 2})),
            in_job(json!({"suspend": true})),
            in_pod(&json!({"hostNetwork": true})),
            in_pod(&json!({"nodeSelector": {"no": "such-node"}})),
            in_pod(&json!({"serviceAccountName": "theirs"})),
            in_runner(
                json!({"name": RUNNER_CONTAINER, "securityContext": {"runAsUser": 0, "runAsNonRoot": false}}),
            ),
            in_runner(
                json!({"name": RUNNER_CONTAINER, "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}),
            ),
            in_runner(json!({"name": RUNNER_CONTAINER, "resources": {"limits": {"memory": "64Mi"}}})),
            in_runner(json!({"name": RUNNER_CONTAINER, "workingDir": "/tmp"})),
        ] {
            let edited = cron_jobs.patch(&name, &PatchParams::default(), &Patch::Strategic(&edit)).await?;
            assert_ne!(edited.spec, before.spec, "{edit}");
            wait::object(&cron_jobs, &name, &format!("it is as it was before {edit}"), DEADLINE, |seen| {
                (seen?.spec == before.spec).then_some(())
            })
            .await?;
        }
        Ok(())
    })
}

/// Returns an edit of a CronJob's pod template.
fn in_pod(edit: &Value) -> Value {
    json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": edit}}}}})
}

/// Returns the runner's container in a CronJob's pod template.
fn runner(cron_job: &CronJob) -> Result<Container> {
    let job = cron_job.spec.job_template.spec.as_ref().context("a Job's spec")?;
    let pod = job.template.spec.as_ref().context("a pod's spec")?;
    let runner = pod.containers.iter().find(|container| container.name == RUNNER_CONTAINER);
    runner.cloned().context("the runner's container")
}

/// Returns the environment variables of a container that set the user.
fn user(container: &Container) -> Vec<Value> {
    let env = container.env.iter().flatten().filter(|variable| variable.name == "PGUSER");
    env.map(|variable| json!(variable)).collect()
}

fn sub_paths(container: &Container) -> Vec<String> {
    let mounts = container.volume_mounts.iter().flatten();
    mounts.filter_map(|mount| mount.sub_path.clone()).collect()
}
