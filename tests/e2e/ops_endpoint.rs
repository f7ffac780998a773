//! Metrics, the API and the page: each caller sees only the policies that the caller has permission to get.

use anyhow::{Context, Result, bail};
use domain::reason::Reason;
use k8s_openapi::{
    ByteString,
    api::{
        authentication::v1::TokenRequest,
        core::v1::{Pod, ServiceAccount},
    },
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, PostParams},
};
use pgbackup_tests::{Env, Postgres, cluster::SYSTEM, story};
use serde_json::{Value, json};

/// Sends requests from a pod in the cluster, with the tools of the PostgreSQL image.
struct Caller<'a> {
    from: &'a Postgres,
    operator: String,
    token: Option<String>,
}

impl<'a> Caller<'a> {
    async fn new(env: &Env, from: &'a Postgres, account: Option<&str>) -> Result<Self> {
        let pods: Api<Pod> = Api::namespaced(env.client.clone(), SYSTEM);
        let pods =
            pods.list(&ListParams::default().labels("app.kubernetes.io/name=pgbackup-operator")).await?;
        let mut ips = pods.items.into_iter().filter_map(|pod| pod.status?.pod_ip);
        let operator = ips.next().context("the operator's address")?;
        let token = match account {
            Some(account) => Some(token(env, account).await?),
            None => None,
        };
        Ok(Self { from, operator, token })
    }

    /// Returns the status code and the body of the response.
    async fn get(&self, path: &str) -> Result<(u16, String)> {
        let shown = self.token.as_ref().map(|token| format!("Bearer {token}"));
        self.get_with(path, shown.as_deref()).await
    }

    /// Sends the token as a password, like a browser.
    async fn get_with_password(&self, path: &str) -> Result<(u16, String)> {
        let pair = format!("anybody:{}", self.token.as_deref().unwrap_or_default());
        // Kubernetes formats bytes as base64.
        let pair = serde_json::to_value(ByteString(pair.into_bytes()))?;
        self.get_with(path, Some(&format!("Basic {}", pair.as_str().unwrap_or_default()))).await
    }

    async fn get_with(&self, path: &str, shown: Option<&str>) -> Result<(u16, String)> {
        let header = shown.map(|shown| format!("Authorization: {shown}\\r\\n")).unwrap_or_default();
        let script = format!(
            "exec 3<>/dev/tcp/{}/8080; printf 'GET {path} HTTP/1.0\\r\\nHost: ops\\r\\n{header}\\r\\n' >&3; cat <&3",
            self.operator
        );
        let answer = self.from.sh(&script).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head and a body")?;
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("a status code")?;
        Ok((code, body.to_owned()))
    }

    async fn json(&self, path: &str) -> Result<(u16, Value)> {
        let (code, body) = self.get(path).await?;
        Ok((code, serde_json::from_str(&body).with_context(|| body.clone())?))
    }
}

async fn token(env: &Env, account: &str) -> Result<String> {
    let accounts = env.api::<ServiceAccount>();
    let made: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": account}}))?;
    accounts.create(&PostParams::default(), &made).await?;
    let request: TokenRequest =
        serde_json::from_value(json!({"spec": {"audiences": [], "expirationSeconds": 600}}))?;
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await?;
    answer.status.and_then(|status| status.token).context("a token")
}

/// Gives a service account permission to get one policy, or all policies of the namespace.
async fn allow(env: &Env, account: &str, only: Option<&str>) -> Result<()> {
    let mut rule = json!({"apiGroups": ["pgbackup.dev"], "resources": ["backuppolicies"], "verbs": ["get"]});
    if let Some(name) = only {
        rule["resourceNames"] = json!([name]);
    }
    let role = serde_json::from_value(json!({"metadata": {"name": account}, "rules": [rule]}))?;
    env.api::<k8s_openapi::api::rbac::v1::Role>().create(&PostParams::default(), &role).await?;
    let binding = serde_json::from_value(json!({
        "metadata": {"name": account},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": env.namespace}],
    }))?;
    env.api::<k8s_openapi::api::rbac::v1::RoleBinding>().create(&PostParams::default(), &binding).await?;
    Ok(())
}

fn names(answer: &Value) -> Vec<&str> {
    answer["policies"].as_array().into_iter().flatten().filter_map(|policy| policy["name"].as_str()).collect()
}

#[test]
fn callers_see_only_the_policies_they_can_get() -> Result<()> {
    story("ops-permissions", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        let good =
            env.policy("good", |spec| spec.postgres.databases.include = vec!["shop".to_owned()]).await?;
        let bad =
            env.policy("bad", |spec| spec.postgres.databases.include = vec!["nowhere".to_owned()]).await?;
        let success = good.backup("now").await?;
        bad.failure("now", Reason::DatabaseUnavailable).await?;
        let path = |name: &str, rest: &str| format!("/api/v1/policies/{}/{name}{rest}", env.namespace);

        let nobody = Caller::new(&env, &server, None).await?;
        for path in ["/", "/metrics", "/api/v1/policies", &path("good", "")] {
            assert_eq!(nobody.get(path).await?.0, 401, "{path}");
        }
        assert_eq!(nobody.get("/healthz").await?, (200, "ok".to_owned()));

        let stranger = Caller::new(&env, &server, Some("stranger")).await?;
        assert_eq!(stranger.get(&path("good", "")).await?.0, 403);
        assert_eq!(
            stranger.get(&path("no-such", "/health")).await?.0,
            403,
            "the caller learns nothing about other policies"
        );
        assert_eq!(stranger.get("/metrics").await?.0, 403);
        assert!(names(&stranger.json("/api/v1/policies").await?.1).is_empty());

        allow(&env, "one", Some("good")).await?;
        let one = Caller::new(&env, &server, Some("one")).await?;
        assert_eq!(names(&one.json("/api/v1/policies").await?.1), ["good"]);
        assert_eq!(one.get(&path("bad", "/health")).await?.0, 403);

        allow(&env, "all", None).await?;
        let all = Caller::new(&env, &server, Some("all")).await?;
        assert_eq!(names(&all.json("/api/v1/policies").await?.1), ["bad", "good"]);
        let (code, policy) = all.json(&path("good", "")).await?;
        assert_eq!((code, &policy["state"], &policy["reason"]), (200, &json!("Healthy"), &json!("Verified")));
        assert_eq!(policy["lastSuccess"]["backup"], json!(success.backup));
        assert_eq!(all.get(&path("good", "/health")).await?.0, 200);
        let (code, health) = all.json(&path("bad", "/health")).await?;
        assert_eq!(
            (code, &health["state"], &health["reason"]),
            (503, &json!("Unhealthy"), &json!("DatabaseUnavailable"))
        );
        assert_eq!(all.get(&path("no-such", "")).await?.0, 404);

        let (code, page) = all.get_with_password("/").await?;
        assert_eq!(code, 200, "{page}");
        assert!(
            page.contains("1 of 2 backup policies unhealthy") && page.contains("DatabaseUnavailable"),
            "{page}"
        );
        assert!(!page.contains("<script"), "{page}");
        Ok(())
    })
}

#[test]
fn metrics_endpoint_covers_each_policy() -> Result<()> {
    story("ops-metrics", async |env| {
        let server = env.postgres(17).await?;
        server.database("shop", "").await?;
        let policy = env
            .policy("shop", |spec| {
                spec.schedule = "0 * * * *".to_owned();
                spec.objectives.max_age = Some("2h".to_owned());
                spec.postgres.databases.include = vec!["shop".to_owned()];
            })
            .await?;
        let success = policy.backup("now").await?;

        let scraper = Caller::new(&env, &server, Some("prometheus")).await?;
        let binding = serde_json::from_value(json!({
            "metadata": {"name": format!("{}-metrics", env.namespace)},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "pgbackup-metrics"},
            "subjects": [{"kind": "ServiceAccount", "name": "prometheus", "namespace": env.namespace}],
        }))?;
        let bindings: Api<k8s_openapi::api::rbac::v1::ClusterRoleBinding> = Api::all(env.client.clone());
        let binding = bindings.create(&PostParams::default(), &binding).await?;
        let scraped = scraper.get("/metrics").await;
        bindings.delete(&binding.name_any(), &kube::api::DeleteParams::default()).await?;
        let (code, text) = scraped?;
        assert_eq!(code, 200);
        assert!(text.ends_with("# EOF"), "{text}");

        assert!(text.contains("\npgbackup_reconciles_total{result=\"success\"} "), "{text}");
        assert!(text.contains("\npgbackup_build_info{version="), "{text}");
        assert!(text.contains("\npgbackup_leader 1.0\n"), "{text}");
        for operation in ["watch", "create", "patch_status"] {
            let requests =
                format!("\npgbackup_api_requests_total{{operation=\"{operation}\",code=\"2xx\"}} ");
            assert!(text.contains(&requests), "no {operation} in\n{text}");
        }
        let value = |metric: &str, labels: &str| -> Result<f64> {
            let series = format!("{metric}{{namespace=\"{}\",policy=\"shop\"{labels}}} ", env.namespace);
            let Some(line) = text.lines().find_map(|line| line.strip_prefix(&series)) else {
                bail!("no {series}in\n{text}");
            };
            Ok(line.parse()?)
        };
        let snapshot = success.snapshot_time.context("a snapshot time")?.0.as_second();
        #[expect(clippy::cast_precision_loss, reason = "seconds are exact for longer than we live")]
        let (snapshot, size) = (snapshot as f64, success.size_bytes.unwrap_or_default() as f64);
        for (metric, labels, wanted) in [
            ("pgbackup_policy_last_success_timestamp_seconds", "", snapshot),
            ("pgbackup_policy_last_verified_timestamp_seconds", "", snapshot),
            ("pgbackup_policy_last_success_size_bytes", "", size),
            ("pgbackup_policy_max_age_seconds", "", 7200.0),
            ("pgbackup_policy_expected_interval_seconds", "", 3600.0),
            ("pgbackup_policy_overdue", "", 0.0),
            ("pgbackup_policy_last_run_failed", "", 0.0),
            ("pgbackup_policy_suspended", "", 0.0),
            ("pgbackup_policy_state", ",state=\"Healthy\"", 1.0),
            ("pgbackup_policy_state", ",state=\"Unhealthy\"", 0.0),
            ("pgbackup_policy_backups", ",state=\"verified\"", 1.0),
        ] {
            let found = value(metric, labels)?;
            assert!((found - wanted).abs() < 0.5, "{metric}{labels}: {found}, not {wanted}");
        }
        for stage in ["preflight", "hold", "dump", "upload", "verify", "manifest", "prune"] {
            let took =
                value("pgbackup_policy_last_success_stage_duration_seconds", &format!(",stage=\"{stage}\""))?;
            assert!(took < 600.0, "{stage}: {took}");
            assert_eq!(success.stages.get(stage), Some(&took));
        }
        Ok(())
    })
}
