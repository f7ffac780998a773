//! Tests how the chart's values change its objects. Helm renders them without a cluster. The end-to-end tests
//! install the chart with its default values.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// The rendered objects of a release.
struct Rendered(Vec<Value>);

impl Rendered {
    /// Returns all objects of a kind.
    fn of(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    /// Returns the only object of a kind. Fails if there is none or more than one.
    fn only(&self, kind: &str) -> Result<&Value> {
        let all = self.of(kind);
        ensure!(all.len() == 1, "there should be one {kind}: {all:?}");
        Ok(all[0])
    }

    /// Returns the spec of the operator's pod.
    fn pod(&self) -> Result<&Value> {
        Ok(&self.only("Deployment")?["spec"]["template"]["spec"])
    }

    fn has(&self, kind: &str, name: &str) -> bool {
        self.of(kind).iter().any(|object| object["metadata"]["name"] == name)
    }
}

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}

/// Renders a release named `pgbackup` with these settings (`name=value`).
fn render(settings: &[&str]) -> Result<Rendered> {
    let mut helm = Command::new(root().join("tests/cluster/cluster"));
    helm.args(["helm", "template", "pgbackup"]).arg(root().join("charts/pgbackup"));
    helm.args(["--namespace", "pgbackup-system"]);
    for setting in settings {
        helm.args(["--set", setting]);
    }
    let output = helm.output().context("Helm should start")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let documents = text.split("---\n").filter(|document| document.contains("kind:"));
    let objects = documents.map(|document| serde_saphyr::from_str(document).context(document.to_owned()));
    Ok(Rendered(objects.collect::<Result<_>>()?))
}

#[test]
fn chart_defaults_create_no_monitoring_resources() -> Result<()> {
    let rendered = render(&[])?;
    for kind in ["PrometheusRule", "ServiceMonitor", "ConfigMap"] {
        assert_eq!(rendered.of(kind), Vec::<&Value>::new());
    }
    let pod = rendered.pod()?;
    assert_eq!((&pod["imagePullSecrets"], &pod["volumes"]), (&Value::Null, &Value::Null));
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(pod["containers"][0][probe]["httpGet"]["scheme"], "HTTP");
    }
    assert!(rendered.has("ClusterRole", "pgbackup-operator-reviews"));
    assert!(rendered.has("ClusterRoleBinding", "pgbackup-operator-reviews"));
    Ok(())
}

#[test]
fn misspelt_chart_value_is_rejected() -> Result<()> {
    let error = render(&["alert=true"]).err().context("Helm should reject it")?.to_string();
    assert!(error.contains("alert"), "{error}");
    Ok(())
}

#[test]
fn chart_certificate_switches_probes_and_scrapes_to_https() -> Result<()> {
    let rendered = render(&["opsTls.secretName=pgbackup-tls", "serviceMonitor=true"])?;
    let pod = rendered.pod()?;
    let operator = &pod["containers"][0];
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(operator[probe]["httpGet"]["scheme"], "HTTPS", "{probe}");
    }
    let secret = json!({"secretName": "pgbackup-tls", "defaultMode": 0o440});
    assert_eq!(pod["volumes"], json!([{"name": "tls", "secret": secret}]));
    assert_eq!(operator["volumeMounts"], json!([{"name": "tls", "mountPath": "/tls", "readOnly": true}]));
    for (name, file) in [("PGBACKUP_OPS_TLS_CERT", "/tls/tls.crt"), ("PGBACKUP_OPS_TLS_KEY", "/tls/tls.key")]
    {
        let variable = json!({"name": name, "value": file});
        ensure!(operator["env"].as_array().context("its environment")?.contains(&variable), "{variable}");
    }
    // The documentation contains the same ServiceMonitor.
    let document = read("docs/operations.md")?;
    let example = document.split("```yaml\n").find(|block| block.contains("kind: ServiceMonitor"));
    let example = example.and_then(|block| block.split("```").next()).context("an example")?;
    let example: Value = serde_saphyr::from_str(example)?;
    let made = rendered.only("ServiceMonitor")?;
    assert_eq!(made["spec"], example["spec"]);
    assert_eq!(made["metadata"]["name"], example["metadata"]["name"]);
    assert_eq!(made["metadata"]["namespace"], example["metadata"]["namespace"]);
    Ok(())
}

#[test]
fn service_monitor_sends_a_token_if_authentication_is_on() -> Result<()> {
    let token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    let rendered = render(&["serviceMonitor=true"])?;
    let spec = &rendered.only("ServiceMonitor")?["spec"];
    let endpoint = json!({"port": "ops", "honorLabels": true, "bearerTokenFile": token});
    assert_eq!(spec["endpoints"], json!([endpoint]));
    let service = rendered.only("Service")?;
    assert_eq!(service["spec"]["ports"][0]["name"], "ops");
    for (label, value) in spec["selector"]["matchLabels"].as_object().context("labels")? {
        assert_eq!(&service["metadata"]["labels"][label], value, "{label}");
    }
    assert!(rendered.has("ClusterRole", "pgbackup-metrics"), "to be bound to Prometheus");

    let open = render(&["serviceMonitor=true", "opsAuth=None"])?;
    let endpoints = &open.only("ServiceMonitor")?["spec"]["endpoints"];
    assert_eq!(endpoints, &json!([{"port": "ops", "honorLabels": true}]));
    Ok(())
}

#[test]
fn chart_without_authentication_needs_no_cluster_wide_rights() -> Result<()> {
    let rendered = render(&["opsAuth=None", "watchNamespace=shop"])?;
    assert_eq!(rendered.of("ClusterRoleBinding"), Vec::<&Value>::new());
    let roles = rendered.of("ClusterRole");
    let names: Vec<_> = roles.iter().filter_map(|role| role["metadata"]["name"].as_str()).collect();
    assert_eq!(names, ["pgbackup-view", "pgbackup-edit", "pgbackup-metrics"], "roles for people");
    let variable = json!({"name": "PGBACKUP_OPS_AUTH", "value": "none"});
    let environment = &rendered.pod()?["containers"][0]["env"];
    assert!(environment.as_array().context("its environment")?.contains(&variable));

    let authenticated = render(&["watchNamespace=shop"])?;
    let bound = authenticated.only("ClusterRoleBinding")?;
    assert_eq!(bound["roleRef"]["name"], "pgbackup-operator-reviews", "the only one that remains");
    Ok(())
}

#[test]
fn chart_renders_the_tested_alerts_and_dashboard() -> Result<()> {
    let rendered = render(&["alerts=true", "dashboard=true"])?;
    let rules: Value = serde_saphyr::from_str(&read("charts/pgbackup/files/alerts.yaml")?)?;
    assert_eq!(rendered.only("PrometheusRule")?["spec"], rules);
    let dashboard = rendered.only("ConfigMap")?;
    assert_eq!(dashboard["metadata"]["labels"]["grafana_dashboard"], "1");
    let shown: Value = serde_json::from_str(dashboard["data"]["pgbackup.json"].as_str().context("a text")?)?;
    let file: Value = serde_json::from_str(&read("charts/pgbackup/files/dashboard.json")?)?;
    assert_eq!(shown, file);
    Ok(())
}

#[test]
fn chart_sets_image_pull_secrets_on_the_operator_pod() -> Result<()> {
    let rendered = render(&["imagePullSecrets[0].name=registry", "imagePullSecrets[1].name=mirror"])?;
    assert_eq!(rendered.pod()?["imagePullSecrets"], json!([{"name": "registry"}, {"name": "mirror"}]));
    Ok(())
}
