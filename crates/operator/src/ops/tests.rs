//! Responses to real requests. The policies are those of the golden files of `desired`, in every state.

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
use kube::{Config, ResourceExt as _, runtime::watcher::Event};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

/// More bytes than any response has.
const LIMIT: usize = 1 << 20;

/// Returns an endpoint that serves these policies. With `None`, it has not listed the policies yet.
fn endpoint(auth: OpsAuth, policies: Option<Vec<BackupPolicy>>) -> Router {
    endpoint_with(auth, policies, ApiMetrics::default(), Arc::default())
}

fn endpoint_with(
    auth: OpsAuth,
    policies: Option<Vec<BackupPolicy>>,
    api_metrics: ApiMetrics,
    readiness: Arc<Readiness>,
) -> Router {
    // Fails harmlessly if another test has installed the provider before.
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
    let reconcile_metrics = ReconcileMetrics::default();
    reconcile_metrics.record(true, Duration::from_millis(2));
    reconcile_metrics.record(false, Duration::from_secs(2));
    router(auth, client, Sources { policies: store, reconcile_metrics, api_metrics, readiness })
}

/// Returns the policy of every golden case, named `<topic>-<case>`, with the case's status. All are overdue
/// today.
fn policies() -> Vec<BackupPolicy> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../desired/tests/golden/status");
    let read = |path: &Path| -> Value { serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap() };
    let policies = cases(&golden).into_iter().map(|case| {
        // The case's own policy, or that of the nearest parent folder.
        let policy = case.ancestors().map(|folder| folder.join("policy.yaml")).find(|path| path.exists());
        let mut policy = read(&policy.expect("the golden files should have a policy"));
        let name = case.strip_prefix(&golden).unwrap().to_str().unwrap().replace('/', "-");
        policy["metadata"]["name"] = json!(name);
        policy["status"] = read(&case.join("status.yaml"));
        serde_json::from_value(policy).unwrap()
    });
    policies.collect()
}

/// Returns the folders below `folder` that have a status, sorted by name.
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

/// Returns the policies of all golden cases without an overdue time, so that only their conditions make them
/// unhealthy.
fn policies_in_time() -> Vec<BackupPolicy> {
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

/// Changes the schema so that it rejects undocumented fields in every object.
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

/// Returns the documented schema of a response.
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

/// Returns the response's body after validating it against the documented schema.
async fn documented_answer(endpoint: &Router, template: &str, path: &str, wanted: u16) -> Value {
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
async fn api_responses_match_the_openapi_document() {
    let all = policies_in_time();
    let listed = endpoint(OpsAuth::None, Some(all.clone()));
    let list = documented_answer(&listed, ALL, ALL, 200).await;
    assert_eq!(list["policies"].as_array().unwrap().len(), all.len());
    let mut counts = [0; 2];
    for policy in &all {
        let one = format!("{ALL}/shop/{}", policy.name_any());
        let one_policy = documented_answer(&listed, ONE, &one, 200).await;
        let wanted = if one_policy["state"] == "Unhealthy" { 503 } else { 200 };
        documented_answer(&listed, HEALTH, &format!("{one}/health"), wanted).await;
        counts[usize::from(wanted == 503)] += 1;
    }
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");

    let missing = format!("{ALL}/shop/nobody");
    documented_answer(&listed, ONE, &missing, 404).await;
    documented_answer(&listed, HEALTH, &format!("{missing}/health"), 404).await;
    let none = endpoint(OpsAuth::None, Some(Vec::new()));
    documented_answer(&none, ALL, ALL, 200).await;
    for (case, wanted) in [(endpoint(OpsAuth::Token, None), 401), (endpoint(OpsAuth::None, None), 503)] {
        documented_answer(&case, ALL, ALL, wanted).await;
        documented_answer(&case, ONE, &missing, wanted).await;
        documented_answer(&case, HEALTH, &format!("{missing}/health"), wanted).await;
    }
    assert_eq!(get(&none, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&none, "/readyz").await.0, 503);
    assert_eq!(get(&none, "/openapi.json").await, (200, openapi::document().to_string()));
}

#[test]
fn undocumented_response_field_violates_openapi_schema() {
    let schema = documented(HEALTH, 200);
    let valid = json!({"state": "Healthy", "reason": "Verified", "message": "m"});
    assert!(schema.is_valid(&valid));
    for (field, value) in [("more", json!(1)), ("state", json!("Fine")), ("reason", Value::Null)] {
        let mut invalid = valid.clone();
        invalid[field] = value;
        assert!(!schema.is_valid(&invalid), "{invalid}");
    }
}

#[tokio::test]
async fn health_endpoint_returns_503_when_a_backup_is_overdue() {
    let path = format!("{ALL}/shop/healthy-verified/health");
    let then = endpoint(OpsAuth::None, Some(policies_in_time()));
    assert_eq!(documented_answer(&then, HEALTH, &path, 200).await["reason"], "Verified");
    let now = endpoint(OpsAuth::None, Some(policies()));
    assert_eq!(documented_answer(&now, HEALTH, &path, 503).await["reason"], "Overdue");
    let suspended = format!("{ALL}/shop/conditions-suspended/health");
    assert_eq!(documented_answer(&now, HEALTH, &suspended, 200).await["reason"], "Suspended");
}

#[tokio::test]
async fn every_http_response_forbids_caching_and_framing() {
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
async fn request_with_two_authorization_headers_gets_400() {
    let endpoint = endpoint(OpsAuth::Token, Some(Vec::new()));
    let one = format!("{ALL}/shop/verified");
    for (template, path) in
        [(ALL, ALL), (ONE, &one), (HEALTH, &format!("{one}/health")), (ALL, "/metrics"), (ALL, "/")]
    {
        let request = Request::get(path)
            .header(header::AUTHORIZATION, "Bearer one")
            .header(header::AUTHORIZATION, "Bearer other");
        let answer = endpoint.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 400, "{path}");
        let body: Value =
            serde_json::from_slice(&to_bytes(answer.into_body(), LIMIT).await.unwrap()).unwrap();
        assert!(documented(template, 400).is_valid(&body), "{path}: {body}");
        let error = "the request has more than one Authorization header. Send exactly one.";
        assert_eq!(body["error"], error, "{path}");
    }
}

#[tokio::test]
async fn only_status_page_asks_browsers_for_basic_authentication() {
    let closed = endpoint(OpsAuth::Token, Some(Vec::new()));
    for (path, wanted) in [("/", &["Bearer", "Basic realm=\"pgbackup\""][..]), (ALL, &["Bearer"][..])] {
        let answer = respond(&closed, path).await;
        assert_eq!(answer.status(), 401);
        let challenges: Vec<_> = answer.headers().get_all(header::WWW_AUTHENTICATE).iter().collect();
        assert_eq!(challenges, wanted, "{path}");
    }
}

/// Responds like an API server that knows every token and denies every permission.
async fn denying(
    request: Request<kube::client::Body>,
) -> Result<http::Response<kube::client::Body>, Infallible> {
    let mut review: Value =
        serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap()).unwrap();
    review["status"] = json!({"authenticated": true, "user": {"username": "somebody"}, "allowed": false});
    Ok(http::Response::new(kube::client::Body::from(review.to_string().into_bytes())))
}

#[tokio::test]
async fn overlong_names_in_a_url_are_rejected_without_api_call() {
    let sources = Sources {
        policies: kube::runtime::reflector::store().0,
        reconcile_metrics: ReconcileMetrics::default(),
        api_metrics: ApiMetrics::default(),
        readiness: Arc::default(),
    };
    let router = router(OpsAuth::Token, Client::new(tower::service_fn(denying), "n"), sources);
    let ask = async |namespace: usize, name: usize| {
        let path = format!("{ALL}/{}/{}", "n".repeat(namespace), "n".repeat(name));
        let request =
            Request::get(path).header(header::AUTHORIZATION, "Bearer t").body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    assert_eq!([ask(63, 253).await, ask(64, 1).await, ask(1, 254).await], [403, 404, 404]);
}

#[tokio::test]
async fn status_page_distinguishes_verified_from_unverified_backups() {
    let page = async |case: &str| {
        let only = policies_in_time().into_iter().filter(|policy| policy.name_any() == case);
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
async fn health_endpoint_reports_why_a_policy_is_invalid() {
    let endpoint = endpoint(OpsAuth::None, Some(policies()));
    let (_, body) = get(&endpoint, &format!("{ALL}/shop/first-run-invalid-spec/health")).await;
    assert!(body.contains("write exactly one of version and image"), "{body}");
}
