//! Checks the packages that each crate must not depend on, directly or through other packages. `deny.toml`
//! cannot check this, because its graph enables the features of all crates.

use std::{collections::BTreeSet, process::Command};

use anyhow::{Result, ensure};

use crate::root;

const KUBERNETES: &[&str] = &["kube", "kube-client", "kube-core", "kube-runtime", "k8s-openapi"];
const CLIENT: &[&str] = &["kube-client", "kube-runtime", "hyper", "tower", "tokio"];

const NEVER: &[(&str, &[&[&str]])] = &[
    ("pgbackup-domain", &[KUBERNETES, CLIENT, &["pgbackup-api", "pgbackup-desired"], PROGRAMS]),
    (
        "pgbackup-archive",
        &[KUBERNETES, CLIENT, &["pgbackup-domain", "pgbackup-api", "pgbackup-desired"], PROGRAMS],
    ),
    ("pgbackup-api", &[CLIENT, &["pgbackup-desired"], PROGRAMS]),
    ("pgbackup-desired", &[CLIENT, PROGRAMS]),
    ("pgbackup-view", &[CLIENT, PROGRAMS]),
    ("pgbackup-operator", &[&["pgbackup-runner", "object_store"]]),
    ("pgbackup-kubectl", &[PROGRAMS]),
    (
        "pgbackup-runner",
        &[KUBERNETES, &["pgbackup-api", "pgbackup-desired", "pgbackup-operator", "pgbackup-view"]],
    ),
];

const PROGRAMS: &[&str] = &["pgbackup-operator", "pgbackup-runner"];

#[test]
fn crates_depend_only_on_allowed_crates() -> Result<()> {
    for (package, never) in NEVER {
        let found = dependencies(package)?;
        for banned in never.iter().copied().flatten() {
            ensure!(!found.contains(*banned), "{package} must not depend on {banned}");
        }
    }
    Ok(())
}

/// Returns the names of all packages that a build of `package` alone compiles.
fn dependencies(package: &str) -> Result<BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}", "--package", package])
        .current_dir(root())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != package)
        .collect();
    Ok(names)
}
