//! Reconciles against a fake API server.

use std::convert::Infallible;

use desired::Images;
use http::{Method, Request, Response};
use kube::{Client, client::Body, runtime::reflector};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use super::*;
use crate::pending_statuses::PendingStatuses;

fn policy(name: &str) -> Arc<BackupPolicy> {
    let policy = json!({
        "apiVersion": "pgbackup.dev/v1alpha1", "kind": "BackupPolicy",
        "metadata": {"name": name, "namespace": "n", "uid": name, "creationTimestamp": "2026-11-20T12:00:00Z", "generation": 1},
        "spec": {
            "schedule": "15 2 * * *",
            "postgres": {"version": 17, "connection": {"host": "h", "user": "u", "passwordSecretRef": {"name": "s", "key": "k"}}},
            "storage": {"volume": {"claimName": "c"}}
        }
    });
    Arc::new(serde_json::from_value(policy).unwrap())
}

/// Responds to a create with the created object, and to other requests with the policy in the path. Writes to
/// the policy `cursed` panic, like a bug in the operator.
async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let sent = request.into_body().collect_bytes().await.unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    let name = sent["metadata"]["name"].as_str().unwrap_or_default();
    assert!(!name.starts_with("cursed"), "a bug");
    let answer = match method {
        Method::POST => sent,
        _ => json!(*policy(path.trim_end_matches("/status").rsplit('/').next().unwrap())),
    };
    Ok(Response::new(Body::from(answer.to_string().into_bytes())))
}

fn images() -> Images {
    Images { runner: "runner".into(), postgres_repository: "postgres".into(), pull_policy: "Always".into() }
}

fn context() -> Arc<Context> {
    let client = Client::new(tower::service_fn(answer), "n");
    let listed: [Arc<SetOnce<()>>; 3] = Default::default();
    for listed in &listed {
        listed.set(()).unwrap();
    }
    let (store, _) = reflector::store();
    let pending = Arc::new(PendingStatuses::new(store));
    Arc::new(Context {
        reconciler: Reconciler::new(client, images(), "operator", pending),
        listed,
        failures: Mutex::default(),
        metrics: ReconcileMetrics::default(),
    })
}

/// Returns whether the metrics count one successful and one failed reconcile.
fn counted(context: &Context) -> [bool; 2] {
    let mut registry = Registry::default();
    context.metrics.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    ["success", "error"].map(|result| text.contains(&format!("{{result=\"{result}\"}} 1")))
}

#[tokio::test]
async fn panic_fails_only_the_reconcile_of_its_policy() {
    let context = context();
    let cursed = policy("cursed");
    let error = contained_reconcile(cursed.clone(), context.clone()).await.unwrap_err();
    assert!(matches!(error, ReconcileError::Panic), "{error}");
    assert_eq!(counted(&context), [false, true]);
    pause_after_failure(cursed.clone(), &error, context.clone());
    assert_eq!(context.failures().get(&ObjectRef::from_obj(&*cursed)), Some(&1));

    let good = policy("good");
    contained_reconcile(good.clone(), context.clone()).await.unwrap();
    assert_eq!(counted(&context), [true, true]);
    assert!(!context.failures().contains_key(&ObjectRef::from_obj(&*good)));
    let again = contained_reconcile(cursed, context.clone()).await.unwrap_err();
    assert!(matches!(again, ReconcileError::Panic), "{again}");
}

#[test]
fn retry_pause_doubles_with_each_failure_up_to_5_minutes() {
    let seconds: Vec<f64> = (1..=12).map(|failures| pause(failures, 0).as_secs_f64()).collect();
    assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]);
    assert_eq!(pause(u32::MAX, 0), LONGEST_PAUSE, "also after days without an API server");
}

#[tokio::test]
async fn retries_of_policies_that_failed_together_are_spread() {
    for failures in [1, 12] {
        let [least, half, most] = [0, 500, 999].map(|jitter| pause(failures, jitter));
        assert!(least < half && half < most && most < least * 4 / 3, "{least:?}, {half:?}, {most:?}");
    }
    let context = context();
    let fails = |name: &str| pause_after_failure(policy(name), &ReconcileError::Panic, context.clone());
    let pauses: Vec<Action> = (0..100).map(|n| fails(&format!("p{n}"))).collect();
    assert!(pauses.iter().any(|pause| *pause != pauses[0]), "each pause has its own jitter");
    let failures: Vec<u32> = context.failures().values().copied().collect();
    assert_eq!(failures, [1; 100], "failures are counted per policy");
}

/// A cluster whose first list of policies contains `old`. The watch that follows expires at once. The next
/// list contains `first`; its second page contains `second` and is delayed until `page_may_come`.
struct Cluster {
    page_is_asked_for: Notify,
    page_may_come: Notify,
    /// Receives the names of policies whose status is written.
    written: mpsc::UnboundedSender<String>,
    lists: Mutex<u32>,
}

async fn respond(request: Request<Body>, cluster: Arc<Cluster>) -> Result<Response<Body>, Infallible> {
    let (path, query) =
        (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let kind = path.rsplit('/').next().unwrap_or_default().to_owned();
    let is_of_kind = ["backuppolicies", "cronjobs", "jobs", "pods"].contains(&kind.as_str());
    if request.method() != Method::GET || !is_of_kind {
        if let Some(policy) = path.strip_suffix("/status") {
            let _ = cluster.written.send(policy.rsplit('/').next().unwrap_or_default().to_owned());
        }
        return answer(request).await;
    }
    let list = |names: &[&str], more: &str| {
        let items: Vec<Value> = names.iter().map(|name| json!(*policy(name))).collect();
        json!({"metadata": {"resourceVersion": "1", "continue": more}, "items": items})
    };
    let lists = *cluster.lists.lock().unwrap();
    let body = match kind.as_str() {
        "backuppolicies" if query.contains("watch=") && lists == 1 => {
            json!({"type": "ERROR", "object": {"status": "Failure", "reason": "Expired", "message": "too old", "code": 410}})
        }
        _ if query.contains("watch=") => future::pending().await,
        "backuppolicies" if query.contains("continue=") => {
            cluster.page_is_asked_for.notify_one();
            cluster.page_may_come.notified().await;
            list(&["second"], "")
        }
        "backuppolicies" => {
            *cluster.lists.lock().unwrap() += 1;
            if lists == 0 { list(&["old"], "") } else { list(&["first"], "more") }
        }
        _ => list(&[], ""),
    };
    Ok(Response::new(Body::from(body.to_string().into_bytes())))
}

#[tokio::test]
async fn waiting_replica_reconciles_every_policy_when_it_leads() {
    let (written, mut seen) = mpsc::unbounded_channel();
    let cluster = Arc::new(Cluster {
        page_is_asked_for: Notify::new(),
        page_may_come: Notify::new(),
        written,
        lists: Mutex::new(0),
    });
    let served = cluster.clone();
    let client = Client::new(tower::service_fn(move |request| respond(request, served.clone())), "n");
    let scope = Scope::new(client.clone(), None, 33);
    let (store, writer) = reflector::store();
    let mut policies = Policies::new(&scope, writer);
    let names = || {
        let mut names: Vec<String> = store.state().iter().map(|policy| policy.name_any()).collect();
        names.sort();
        names
    };
    policies.follow(store.wait_until_ready()).await.unwrap();
    assert_eq!(names(), ["old"]);

    // The replica becomes the leader in the middle of a list.
    policies.follow(cluster.page_is_asked_for.notified()).await;
    assert!(seen.try_recv().is_err(), "a waiting replica writes nothing");
    let reconciler = Reconciler::new(client, images(), "me", policies.pending.clone());
    let shared = Shared { policies, metrics: ReconcileMetrics::default(), readiness: Arc::default() };
    let stop = CancellationToken::new();
    let works = tokio::spawn({
        let stop = stop.clone();
        async move { run(reconciler, scope, shared, stop).await }
    });
    cluster.page_may_come.notify_one();
    let mut reconciled = std::collections::BTreeSet::new();
    let all = async {
        while !["first", "second"].iter().all(|name| reconciled.contains(*name)) {
            reconciled.insert(seen.recv().await.unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("both should be reconciled");
    assert_eq!(names(), ["first", "second"]);
    stop.cancel();
    works.await.unwrap();
}
