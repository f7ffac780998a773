//! Answers to real requests, of policies in every state that the golden files of `desired` have.

#[cfg(feature = "browser")]
mod browser;
mod queries;

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use jsonschema::Validator;
use kube::{Config, runtime::watcher::Event};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

/// More than any answer has.
const LIMIT: usize = 1 << 20;

/// An endpoint that shows these policies, or has not listed any yet.
fn endpoint(auth: OpsAuth, policies: Option<Vec<BackupPolicy>>) -> Router {
    endpoint_with(auth, policies, ApiMetrics::default(), Arc::default())
}

fn endpoint_with(
    auth: OpsAuth,
    policies: Option<Vec<BackupPolicy>>,
    requests: ApiMetrics,
    readiness: Arc<Readiness>,
) -> Router {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_from(Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let (store, mut writer) = kube::runtime::reflector::store();
    if let Some(policies) = policies {
        writer.apply_watcher_event(&Event::Init);
        for policy in policies {
            writer.apply_watcher_event(&Event::InitApply(policy));
        }
        writer.apply_watcher_event(&Event::InitDone);
    }
    let reconciles = ReconcileMetrics::default();
    reconciles.record(true, Duration::from_millis(2));
    reconciles.record(false, Duration::from_secs(2));
    let shown = Shown { policies: store, reconciles, requests, readiness };
    router(auth, client, shown)
}

/// The policy of every golden case, called `<topic>-<case>`, with the status that it gets there. All are overdue by now.
fn policies() -> Vec<BackupPolicy> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../desired/tests/golden/status");
    let read = |path: &Path| -> Value { serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap() };
    let policies = cases(&golden).into_iter().map(|case| {
        // The case's own policy, or that of the nearest folder above.
        let policy = case.ancestors().map(|folder| folder.join("policy.yaml")).find(|path| path.exists());
        let mut policy = read(&policy.expect("the golden files should have a policy"));
        let name = case.strip_prefix(&golden).unwrap().to_str().unwrap().replace('/', "-");
        policy["metadata"]["name"] = json!(name);
        policy["status"] = read(&case.join("status.yaml"));
        serde_json::from_value(policy).unwrap()
    });
    policies.collect()
}

/// The folders below `folder` that have a status, in the order of their names.
fn cases(folder: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    let below = folders.into_iter().flat_map(|path| {
        let below = cases(&path);
        path.join("status.yaml").exists().then_some(path).into_iter().chain(below)
    });
    below.collect()
}

/// The same, overdue only where a condition says so.
fn policies_as_they_were() -> Vec<BackupPolicy> {
    let mut policies = policies();
    for policy in &mut policies {
        policy.status.as_mut().unwrap().overdue_time = None;
    }
    policies
}

async fn respond(endpoint: &Router, path: &str) -> Response {
    let request = Request::get(path).body(Body::empty()).unwrap();
    endpoint.clone().oneshot(request).await.unwrap()
}

async fn get(endpoint: &Router, path: &str) -> (u16, String) {
    let answer = respond(endpoint, path).await;
    let status = answer.status().as_u16();
    (status, String::from_utf8(to_bytes(answer.into_body(), LIMIT).await.unwrap().to_vec()).unwrap())
}

/// No object may have a field that is not documented.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(strict);
        }
        Value::Array(values) => values.iter_mut().for_each(strict),
        _ => {}
    }
}

/// What the document says of an answer.
fn documented(path: &str, status: u16) -> Validator {
    let mut document = openapi::document();
    let answer = &document["paths"][path]["get"]["responses"][status.to_string()];
    let schema = answer["content"]["application/json"]["schema"].clone();
    assert!(schema.is_object(), "{path} is not documented to answer {status}");
    strict(&mut document["components"]);
    let mut schema = json!({"allOf": [schema], "components": document["components"]});
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

async fn is_as_documented(endpoint: &Router, template: &str, path: &str, wanted: u16) -> Value {
    let (status, body) = get(endpoint, path).await;
    assert_eq!(status, wanted, "{path}: {body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let errors: Vec<_> = documented(template, status).iter_errors(&body).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new(), "{path}: {body:#}");
    body
}

const ALL: &str = "/api/v1/policies";
const ONE: &str = "/api/v1/policies/{namespace}/{name}";
const HEALTH: &str = "/api/v1/policies/{namespace}/{name}/health";

#[tokio::test]
async fn every_answer_is_as_the_document_says() {
    let all = policies_as_they_were();
    let shown = endpoint(OpsAuth::None, Some(all.clone()));
    let list = is_as_documented(&shown, ALL, ALL, 200).await;
    assert_eq!(list["policies"].as_array().unwrap().len(), all.len());
    let mut answered = [0; 2];
    for policy in &all {
        let one = format!("{ALL}/shop/{}", policy.name_any());
        let seen = is_as_documented(&shown, ONE, &one, 200).await;
        let wanted = if seen["state"] == "Unhealthy" { 503 } else { 200 };
        is_as_documented(&shown, HEALTH, &format!("{one}/health"), wanted).await;
        answered[usize::from(wanted == 503)] += 1;
    }
    assert!(answered.iter().all(|count| *count > 10), "{answered:?}");

    let missing = format!("{ALL}/shop/nobody");
    is_as_documented(&shown, ONE, &missing, 404).await;
    is_as_documented(&shown, HEALTH, &format!("{missing}/health"), 404).await;
    let none = endpoint(OpsAuth::None, Some(Vec::new()));
    is_as_documented(&none, ALL, ALL, 200).await;
    for (case, wanted) in [(endpoint(OpsAuth::Token, None), 401), (endpoint(OpsAuth::None, None), 503)] {
        is_as_documented(&case, ALL, ALL, wanted).await;
        is_as_documented(&case, ONE, &missing, wanted).await;
        is_as_documented(&case, HEALTH, &format!("{missing}/health"), wanted).await;
    }
    assert_eq!(get(&none, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&none, "/readyz").await.0, 503);
    assert_eq!(get(&none, "/openapi.json").await, (200, openapi::document().to_string()));
}

#[test]
fn a_field_that_is_not_documented_would_be_found() {
    let answers = documented(HEALTH, 200);
    let good = json!({"state": "Healthy", "reason": "Verified", "message": "m"});
    assert!(answers.is_valid(&good));
    for (field, value) in [("more", json!(1)), ("state", json!("Fine")), ("reason", Value::Null)] {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(!answers.is_valid(&bad), "{bad}");
    }
}

#[tokio::test]
async fn a_probe_is_told_of_what_is_overdue_though_nobody_wrote_that_down() {
    let path = format!("{ALL}/shop/healthy-verified/health");
    let then = endpoint(OpsAuth::None, Some(policies_as_they_were()));
    assert_eq!(is_as_documented(&then, HEALTH, &path, 200).await["reason"], "Verified");
    let now = endpoint(OpsAuth::None, Some(policies()));
    assert_eq!(is_as_documented(&now, HEALTH, &path, 503).await["reason"], "Overdue");
    let resting = format!("{ALL}/shop/conditions-suspended/health");
    assert_eq!(is_as_documented(&now, HEALTH, &resting, 200).await["reason"], "Suspended");
}

#[tokio::test]
async fn every_answer_stays_out_of_caches_and_frames() {
    let closed = endpoint(OpsAuth::Token, None);
    let open = endpoint(OpsAuth::None, Some(policies()));
    let waiting = endpoint(OpsAuth::None, None);
    for (endpoint, path, wanted) in [
        (&open, "/", 200),
        (&open, ALL, 200),
        (&open, "/metrics", 200),
        (&open, "/openapi.json", 200),
        (&open, "/healthz", 200),
        (&closed, "/", 401),
        (&closed, ALL, 401),
        (&closed, "/metrics", 401),
        (&open, "/api/v1/policies/shop/nobody", 404),
        (&open, "/nowhere", 404),
        (&waiting, ALL, 503),
        (&waiting, "/readyz", 503),
    ] {
        let answer = respond(endpoint, path).await;
        assert_eq!(answer.status(), wanted, "{path}");
        for (name, value) in HEADERS {
            assert_eq!(
                answer.headers().get_all(&name).iter().collect::<Vec<_>>(),
                [&value],
                "{path} {wanted}"
            );
        }
    }
}

#[tokio::test]
async fn only_the_page_makes_a_browser_ask_for_a_password() {
    let closed = endpoint(OpsAuth::Token, Some(Vec::new()));
    for (path, wanted) in [("/", &["Bearer", "Basic realm=\"pgbackup\""][..]), (ALL, &["Bearer"][..])] {
        let answer = respond(&closed, path).await;
        assert_eq!(answer.status(), 401);
        let challenges: Vec<_> = answer.headers().get_all(header::WWW_AUTHENTICATE).iter().collect();
        assert_eq!(challenges, wanted, "{path}");
    }
}

/// Whoever calls is known, and may see nothing.
async fn denying(
    request: Request<kube::client::Body>,
) -> Result<http::Response<kube::client::Body>, Infallible> {
    let mut review: Value =
        serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap()).unwrap();
    review["status"] = json!({"authenticated": true, "user": {"username": "somebody"}, "allowed": false});
    Ok(http::Response::new(kube::client::Body::from(review.to_string().into_bytes())))
}

#[tokio::test]
async fn names_that_no_policy_can_have_are_neither_asked_about_nor_remembered() {
    let shown = Shown {
        policies: kube::runtime::reflector::store().0,
        reconciles: ReconcileMetrics::default(),
        requests: ApiMetrics::default(),
        readiness: Arc::default(),
    };
    let shown = router(OpsAuth::Token, Client::new(tower::service_fn(denying), "n"), shown);
    let ask = async |namespace: usize, name: usize| {
        let path = format!("{ALL}/{}/{}", "n".repeat(namespace), "n".repeat(name));
        let request =
            Request::get(path).header(header::AUTHORIZATION, "Bearer t").body(Body::empty()).unwrap();
        shown.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    assert_eq!([ask(63, 253).await, ask(64, 1).await, ask(1, 254).await], [403, 404, 404]);
}

#[tokio::test]
async fn the_page_tells_verified_backups_from_those_that_are_not() {
    let page = async |case: &str| {
        let only = policies_as_they_were().into_iter().filter(|policy| policy.name_any() == case);
        get(&endpoint(OpsAuth::None, Some(only.collect())), "/").await.1
    };
    let stored = page("healthy-stored").await;
    assert!(stored.contains(" ago: stored, not verified"), "{stored}");
    let corrupted = page("scrub-newest-backup-corrupted").await;
    for text in ["no verified backup", ">corrupted</strong>", "1 corrupted", "Scrub: BackupCorrupted"] {
        assert!(corrupted.contains(text), "{text}: {corrupted}");
    }
    let verified = page("healthy-verified").await;
    assert!(!verified.contains("newest backup,") && !verified.contains("corrupted"), "{verified}");
}

#[tokio::test]
async fn what_is_wrong_is_said_and_not_what_comes_of_it() {
    let shown = endpoint(OpsAuth::None, Some(policies()));
    let (_, body) = get(&shown, &format!("{ALL}/shop/first-run-invalid-spec/health")).await;
    assert!(body.contains("write either version (17) or image"), "{body}");
}
