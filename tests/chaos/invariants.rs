//! The conditions that must hold after all faults have ended.

use api::status::ConditionType;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Result, bail, ensure};
use api::{BackupPolicy, BackupPolicyStatus, meta};
use domain::{name, operation::Operation};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::CronJob;
use kube::{ResourceExt as _, api::ListParams};
use pgbackup_tests::{Env, wait};

use crate::{faults::Chaos, jobs::SeenJobs};

/// Waits until every policy has the expected state, then checks what must never have happened.
pub async fn hold(env: &Env, chaos: &Chaos, jobs: &SeenJobs, deadline: Duration) -> Result<()> {
    let mut last = Vec::new();
    let converged = wait::until("everything is as the policies say", deadline, async || {
        // Limits the number of reads of the whole cluster.
        tokio::time::sleep(Duration::from_secs(1)).await;
        last = differences(env, chaos).await?;
        Ok(last.is_empty().then_some(()))
    })
    .await;
    if let Err(error) = converged {
        bail!("{error}\n{}", last.join("\n"));
    }
    let twice = jobs.twice();
    ensure!(twice.is_empty(), "these ran twice: {twice:?}");
    statuses_are_true(env, chaos).await?;
    nothing_is_written(env, chaos).await?;
    let log = env.operator_log()?;
    ensure!(!log.contains("panic"), "the operator panicked: {log}");
    let policy = chaos.policies.last().ok_or_else(|| anyhow::anyhow!("no policies"))?;
    policy.backup("after-the-storm").await.map(drop)
}

/// Returns the differences from the expected state.
async fn differences(env: &Env, chaos: &Chaos) -> Result<Vec<String>> {
    let all = ListParams::default();
    let policies = env.api::<BackupPolicy>().list(&all).await?.items;
    let cron_jobs = env.api::<CronJob>().list(&all).await?.items;
    let cron_jobs: BTreeMap<String, CronJob> =
        cron_jobs.into_iter().map(|cron_job| (cron_job.name_any(), cron_job)).collect();
    let mut wrong = Vec::new();
    let mut wanted = BTreeSet::new();
    for policy in &policies {
        let name = policy.name_any();
        let scrub = policy.spec.verification.scrub.as_ref().map(|scrub| (Operation::Scrub, &scrub.schedule));
        for (operation, _) in [(Operation::Backup, &policy.spec.schedule)].into_iter().chain(scrub) {
            let cron_job = name::cron_job(&name, operation);
            wrong.extend(cron_job_differs(policy, operation, cron_jobs.get(&cron_job)));
            wanted.insert(cron_job);
        }
        wrong.extend(status_differs(policy, chaos.requests.get(&name)));
    }
    wrong.extend(
        cron_jobs.keys().filter(|name| !wanted.contains(*name)).map(|name| format!("{name} is left over")),
    );
    Ok(wrong)
}

fn cron_job_differs(
    policy: &BackupPolicy,
    operation: Operation,
    cron_job: Option<&CronJob>,
) -> Option<String> {
    let name = name::cron_job(&policy.name_any(), operation);
    let Some(cron_job) = cron_job else { return Some(format!("{name} is missing")) };
    let is_owned = cron_job.owner_references().iter().any(|owner| Some(&owner.uid) == policy.uid().as_ref());
    let status = policy.status.as_ref()?;
    let effective = match operation {
        Operation::Backup => status.effective_schedule.as_ref(),
        Operation::Scrub => status.scrub_schedule.as_ref().map(|known| &known.effective_schedule),
    };
    let as_wanted = is_owned
        && Some(&cron_job.spec.schedule) == effective
        && cron_job.spec.suspend == Some(policy.spec.suspend);
    (!as_wanted).then(|| format!("{name} is not what its policy says: {:?}", cron_job.spec.schedule))
}

fn status_differs(policy: &BackupPolicy, token: Option<&String>) -> Option<String> {
    let name = policy.name_any();
    let Some(status) = &policy.status else { return Some(format!("{name} has no status")) };
    if status.observed_generation != policy.metadata.generation {
        return Some(format!("{name} was not looked at as it is"));
    }
    let ready = status.condition(ConditionType::Ready).map(|ready| ready.status.as_str());
    if ready != Some("True") {
        return Some(format!("{name} is not ready: {ready:?}"));
    }
    if let Some(wrong) = time_that_cannot_be(status) {
        return Some(format!("{name}: {wrong}"));
    }
    let asked = policy.annotations().get(meta::REQUESTED_AT);
    let is_open = asked.is_some() && asked == token && asked != status.last_handled_request.as_ref();
    is_open.then(|| format!("{name} was asked for a backup and did not take it"))
}

/// Returns a time in a status that only a wrong clock can have caused.
fn time_that_cannot_be(status: &BackupPolicyStatus) -> Option<String> {
    let now = Timestamp::now();
    let off = SignedDuration::from_hours(2);
    let turned = status.conditions.iter().map(|condition| &condition.last_transition_time);
    let past = turned.chain(&status.schedule_since).chain(&status.last_verified_time);
    let ahead = past.map(|at| at.0).find(|at| at.duration_since(now) > off);
    // All schedules have a slot every year.
    let slots = status.next_schedule_time.iter().map(|at| at.0.duration_since(now));
    let far = slots.into_iter().find(|wait| *wait > SignedDuration::from_hours(24 * 366) || *wait < -off);
    let overdue = status.condition(ConditionType::BackupHealthy).filter(|health| health.reason == "Overdue");
    ahead
        .map(|at| format!("{at} is ahead"))
        .or_else(|| far.map(|wait| format!("the next slot is after {wait:#}")))
        .or_else(|| overdue.map(|health| format!("overdue: {}", health.message)))
}

/// Checks that the store contains the newest backup of each policy's status, and that no Job stored two
/// backups.
async fn statuses_are_true(env: &Env, chaos: &Chaos) -> Result<()> {
    let store = env.store().await?;
    let mut claims = 0;
    for policy in &chaos.policies {
        let Some(claimed) = policy.status().await?.last_success else { continue };
        let backups = store.backups(policy).await?;
        let there = backups.iter().any(|backup| Some(&backup.manifest.id) == claimed.backup.as_ref());
        // If the operator did not observe a run, a later report includes it without the name of its backup.
        ensure!(
            there || claimed.backup.is_none(),
            "{} claims {claimed:?}, and the store has {backups:?}",
            policy.name
        );
        let jobs: BTreeSet<&str> =
            backups.iter().map(|backup| backup.manifest.run.job_uid.as_str()).collect();
        ensure!(jobs.len() == backups.len(), "two backups of one Job: {backups:?}");
        claims += 1;
    }
    ensure!(claims > 0, "no backup was taken: the chaos was too short to say anything");
    eprintln!("{claims} policies claim a copy, and the store holds each");
    Ok(())
}

/// Checks that the operator writes nothing while nothing changes.
async fn nothing_is_written(env: &Env, chaos: &Chaos) -> Result<()> {
    let versions = async || -> Result<BTreeMap<String, Option<String>>> {
        let policies = env.api::<BackupPolicy>().list_metadata(&ListParams::default()).await?;
        Ok(policies.into_iter().map(|policy| (policy.name_any(), policy.resource_version())).collect())
    };
    let before = versions().await?;
    // The operator has reconciled this policy after everything that happened before.
    let marker = chaos.policies.last().ok_or_else(|| anyhow::anyhow!("no policies"))?;
    marker.wait_until_observed().await?;
    let busy: BTreeSet<&String> =
        chaos.policies.iter().take(crate::BUSY).map(|policy| &policy.name).chain([&marker.name]).collect();
    let after = versions().await?;
    let changed: Vec<_> = before
        .iter()
        .filter(|(name, version)| after.get(*name) != Some(*version))
        .map(|(name, _)| name)
        // Busy policies continue their backups, and policies with requested backups change too.
        .filter(|name| !busy.contains(name) && !chaos.requests.contains_key(*name))
        .collect();
    ensure!(changed.is_empty(), "written though nothing happened: {changed:?}");
    Ok(())
}
