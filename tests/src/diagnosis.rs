//! What the cluster knows of a test that failed.

use std::fmt::Write;

use crate::cluster::{Cluster, SYSTEM};

/// Everything of a namespace that helps to find out why a test failed.
pub fn describe(cluster: &Cluster, namespace: &str) -> String {
    let mut text = format!("\n======== namespace {namespace} ========\n");
    let mut add = |args: &[&str]| printed(&mut text, cluster, &[&["--namespace", namespace], args].concat());
    for kind in ["backuppolicies.pgbackup.dev", "cronjobs"] {
        add(&["get", kind, "-o", "yaml"]);
    }
    add(&["get", "jobs,pods,persistentvolumeclaims", "-o", "wide"]);
    let ends =
        "{range .items[*]}{.metadata.name}{range .status.containerStatuses[*]} {.state}{end}{'\\n'}{end}";
    add(&["get", "pods", "-o", &format!("jsonpath={ends}")]);
    add(&["get", "events", "--sort-by=.metadata.creationTimestamp"]);
    let pods = add(&["get", "pods", "-o", "name"]);
    for pod in pods.lines().filter(|pod| pod.starts_with("pod/")) {
        add(&["logs", pod, "--all-containers", "--prefix", "--tail=60"]);
    }
    text + &of_operator(cluster)
}

/// What the operator says.
pub fn of_operator(cluster: &Cluster) -> String {
    let mut text = String::from("\n======== operator ========\n");
    let mut add = |args: &[&str]| printed(&mut text, cluster, &[&["--namespace", SYSTEM], args].concat());
    add(&["get", "pods", "-o", "wide"]);
    add(&["get", "events", "--sort-by=.metadata.creationTimestamp"]);
    add(&["logs", "deployment/pgbackup-operator", "--tail=80", "--prefix"]);
    text
}

/// Adds what kubectl prints to the text.
fn printed(text: &mut String, cluster: &Cluster, args: &[&str]) -> String {
    let printed = cluster.kubectl(&[args, &["--request-timeout=20s"]].concat(), "");
    let printed = printed.unwrap_or_else(|error| format!("{error}\n"));
    let _ = writeln!(text, "---- kubectl {}\n{printed}", args.join(" "));
    printed
}
