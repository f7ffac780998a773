//! Describes the state of the cluster for a failed test.

use std::fmt::Write;

use crate::cluster::{Cluster, SYSTEM};

/// The prefix of the tests' namespaces.
const OTHERS: &str = "e2e-";

/// The maximum number of lines of the operator's log that are printed.
const LOG_LINES: usize = 100;

/// Returns the objects, events and logs of a namespace.
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
    text + &of_operator(cluster, namespace)
}

/// Returns the operator's log lines about a namespace, and its newest lines.
pub fn of_operator(cluster: &Cluster, namespace: &str) -> String {
    let mut text = String::from("\n======== operator ========\n");
    let mut add = |args: &[&str]| printed(&mut text, cluster, &[&["--namespace", SYSTEM], args].concat());
    add(&["get", "pods", "-o", "wide"]);
    add(&["get", "events", "--sort-by=.metadata.creationTimestamp"]);
    let mut log = String::new();
    printed(
        &mut log,
        cluster,
        &["--namespace", SYSTEM, "logs", "deployment/pgbackup-operator", "--tail=5000"],
    );
    let others = |line: &str| line.contains(OTHERS) && !line.contains(namespace);
    let lines: Vec<&str> = log.lines().filter(|line| !others(line)).collect();
    text + &lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// Appends the output of a kubectl command to `text`, and returns the output.
fn printed(text: &mut String, cluster: &Cluster, args: &[&str]) -> String {
    let printed = cluster.kubectl(&[args, &["--request-timeout=20s"]].concat(), "");
    let printed = printed.unwrap_or_else(|error| format!("{error}\n"));
    let _ = writeln!(text, "---- kubectl {}\n{printed}", args.join(" "));
    printed
}
