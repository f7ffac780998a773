//! The repository agrees with itself: generated files are what the code would generate, documentation names
//! only what exists, and each crate sees only what it may.
//!
//! `make generate` (`UPDATE_GENERATED=1`) writes the generated files anew instead of complaining.

use std::{
    collections::BTreeSet,
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use domain::reason::Reason;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests should lie in the repository").to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below `folder` whose names end in `ending`, as paths from the root.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The Markdown files that people read.
fn documents() -> Vec<PathBuf> {
    let mut all = files("docs", ".md");
    all.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from));
    all
}

/// Compares a generated file with what the code generates now, or writes it.
fn fresh(path: &str, generated: &str) {
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(root().join(path), generated).unwrap();
    }
    let stored = fs::read_to_string(root().join(path)).unwrap_or_default();
    assert!(
        stored == generated,
        "{path} is not what the code says: run `make generate` and look at the difference"
    );
}

#[test]
fn reasons_are_documented_as_they_are() {
    let mut text = "\
# Reasons

<!-- Written from crates/domain/src/reason.rs by `make generate`. -->

The words that conditions, events, reports and metrics use. There are no others. A number is the exit code of the
runner: 0 is success, from 10 to 39 a retry is worth it and Kubernetes makes one, from 64 to 95 it is not. Words
without a number come from the operator: the runner never ran, or could not speak.

"
    .to_owned();
    text += "| reason | exit code | what it means | what to do |\n| --- | --- | --- | --- |\n";
    for reason in Reason::ALL {
        let code = reason.exit_code().map(|code| code.to_string()).unwrap_or_default();
        let (meaning, advice) = (reason.meaning(), reason.advice());
        writeln!(text, "| `{reason}` | {code} | {meaning} | {advice} |").unwrap();
    }
    fresh("docs/reasons.md", &text);
}

#[test]
fn documents_name_only_make_targets_that_exist() {
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> =
        makefile.lines().filter_map(|line| line.split_once(':')).map(|(target, _)| target).collect();
    for document in documents() {
        for words in read(&document).split("`make ").skip(1) {
            let target: String =
                words.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            assert!(targets.contains(target.as_str()), "{}: there is no `make {target}`", document.display());
        }
    }
}

#[test]
fn links_in_documents_lead_somewhere() {
    for document in documents() {
        let text = read(&document);
        let folder = root().join(&document).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let path = link.split('#').next().unwrap_or_default();
            let local = !path.is_empty() && !path.contains("://");
            assert!(!local || folder.join(path).exists(), "{}: {link} does not exist", document.display());
        }
    }
}

/// Each row of `docs/validation.md` ends with the tests that prove it, written `path::name`.
#[test]
fn every_promise_names_tests_that_exist() {
    let text = read("docs/validation.md");
    let rows = text.lines().filter(|line| {
        line.starts_with("| ") && !line.starts_with("| ---") && !line.ends_with("| proved by |")
    });
    let mut count = 0;
    for row in rows {
        let tests: Vec<&str> = row.split('`').filter(|word| word.contains(".rs::")).collect();
        assert!(!tests.is_empty(), "no test proves this: {row}");
        for test in tests {
            let (path, name) = test.split_once("::").unwrap();
            assert!(read(path).contains(&format!("fn {name}(")), "{path} has no test {name}");
            count += 1;
        }
    }
    assert!(count > 0, "docs/validation.md should have rows");
}

/// What a crate may never see, however it gets there. `deny.toml` cannot say this: it sees one graph in which
/// the features of all crates are on.
#[test]
fn each_crate_sees_only_what_it_may() {
    let kubernetes = ["kube", "kube-client", "kube-core", "kube-runtime", "k8s-openapi"];
    let client = ["kube-client", "kube-runtime", "hyper", "tower", "tokio"];
    let ours = ["pgbackup-api", "pgbackup-desired", "pgbackup-operator", "pgbackup-runner"];
    let table: &[(&str, &[&[&str]])] = &[
        ("pgbackup-domain", &[&kubernetes, &client, &ours]),
        ("pgbackup-api", &[&client, &ours[1..]]),
        ("pgbackup-desired", &[&client, &ours[2..]]),
        ("pgbackup-operator", &[&ours[3..], &["object_store"]]),
        ("pgbackup-runner", &[&kubernetes, &ours[..3]]),
    ];
    for (package, never) in table {
        let seen = dependencies(package);
        for banned in never.iter().copied().flatten() {
            assert!(!seen.contains(*banned), "{package} must never see {banned}");
        }
    }
}

/// The names of all packages that `package` is built with when it is built alone.
fn dependencies(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}", "--package", package])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != package)
        .collect()
}
