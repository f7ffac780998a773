//! What the cluster knows of a test that failed.

use std::fmt::Write;

use crate::cluster::{Cluster, SYSTEM};

/// Everything of a namespace that helps to find out why a test failed.
pub fn describe(cluster: &Cluster, namespace: &str) -> String {
    let mut text = format!("\n======== namespace {namespace} ========\n");
    let mut add = |args: &[&str]| {
        let printed = cluster
            .kubectl(&[&["--request-timeout=20s"], args].concat(), "")
            .unwrap_or_else(|error| format!("{error}\n"));
        let _ = writeln!(text, "---- kubectl {}\n{printed}", args.join(" "));
        printed
    };
    for kind in ["backuppolicies.pgbackup.dev", "cronjobs"] {
        add(&["-n", namespace, "get", kind, "-o", "yaml"]);
    }
    add(&["-n", namespace, "get", "jobs,pods,persistentvolumeclaims", "-o", "wide"]);
    add(&["-n", namespace, "get", "events", "--sort-by=.metadata.creationTimestamp"]);
    let pods = add(&["-n", namespace, "get", "pods", "-o", "name"]);
    for pod in pods.lines().filter(|pod| pod.starts_with("pod/")) {
        add(&["-n", namespace, "logs", pod, "--all-containers", "--prefix", "--tail=60"]);
    }
    let ends =
        "{range .items[*]}{.metadata.name}{range .status.containerStatuses[*]} {.state}{end}{'\\n'}{end}";
    add(&["-n", namespace, "get", "pods", "-o", &format!("jsonpath={ends}")]);
    add(&["-n", SYSTEM, "get", "pods", "-o", "wide"]);
    add(&["-n", SYSTEM, "logs", "--selector=app.kubernetes.io/name=pgbackup", "--tail=80", "--prefix"]);
    text
}
