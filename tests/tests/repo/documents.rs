//! Documents and examples mention only things that exist.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context, Result, ensure};
use api::BackupPolicy;
use domain::{manifest::Manifest, reason::Reason};
use serde_json::Value;

use crate::{files, read, root};

fn documents() -> Result<Vec<PathBuf>> {
    let mut all = files("docs", ".md")?;
    all.extend(files("charts", ".md")?);
    all.extend(files("tests", "README.md")?);
    all.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from));
    Ok(all)
}

#[test]
fn documents_mention_only_existing_make_targets() -> Result<()> {
    let makefile = read("Makefile")?;
    let targets: BTreeSet<&str> = makefile.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
    for document in documents()? {
        let text = read(&document)?;
        let in_words = text.split("`make ").skip(1);
        let blocks = text.split("```").skip(1).step_by(2);
        let in_blocks = blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("make "));
        for words in in_words.chain(in_blocks) {
            let end = words.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(words.len());
            let target = &words[..end];
            ensure!(targets.contains(target), "{}: there is no `make {target}`", document.display());
        }
    }
    Ok(())
}

#[test]
fn links_in_documents_resolve() -> Result<()> {
    let mut broken = Vec::new();
    for document in documents()? {
        let text = read(&document)?;
        let folder = root().join(document.parent().context("a document should lie in a folder")?);
        for link in text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)) {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if path.is_empty() { root().join(&document) } else { folder.join(path) };
            let resolves = file.exists() && (anchor.is_empty() || anchors(&read(&file)?).contains(anchor));
            if !resolves {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    ensure!(broken.is_empty(), "these links lead nowhere: {broken:#?}");
    Ok(())
}

/// Returns the anchors of a document's headings, as GitHub creates them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| heading.chars().filter(|c| allowed(*c)).collect::<String>().replace(' ', "-"))
        .collect()
}

/// The table "to change X, open Y" in the architecture document contains only existing files and folders.
#[test]
fn paths_in_architecture_document_exist() -> Result<()> {
    let text = read("docs/internals/architecture.md")?;
    let mut paths = 0;
    for path in text.split('`').skip(1).step_by(2) {
        let begins = ["crates/", "charts/", "tests/", "docs/", "bench/", "fuzz/", "examples/"];
        if begins.iter().any(|folder| path.starts_with(folder)) {
            ensure!(root().join(path).exists(), "docs/internals/architecture.md: {path} does not exist");
            paths += 1;
        }
    }
    ensure!(paths >= 25, "docs/internals/architecture.md names only {paths} paths");
    Ok(())
}

/// Each row of `docs/validation.md` lists the tests of its promise as `path::name`.
#[test]
fn validation_document_lists_only_existing_tests() -> Result<()> {
    let text = read("docs/validation.md")?;
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| {
            line.starts_with("| ") && !line.starts_with("| ---") && !line.ends_with("| proved by |")
        })
        .collect();
    ensure!(!rows.is_empty(), "docs/validation.md has no rows");
    for row in rows {
        let tests: Vec<_> = row.split('`').filter_map(|word| word.split_once(".rs::")).collect();
        ensure!(!tests.is_empty(), "no test proves this promise: {row}");
        for (file, name) in tests {
            let source = read(format!("{file}.rs"))?;
            ensure!(source.contains(&format!("fn {name}(")), "{file}.rs has no test {name}");
        }
    }
    Ok(())
}

/// An end-to-end test without a row in `docs/validation.md` is unnecessary, or its promise is missing there.
#[test]
fn validation_document_lists_every_end_to_end_test() -> Result<()> {
    let promises = read("docs/validation.md")?;
    let mut tests = 0;
    for file in [files("tests/e2e", ".rs")?, files("tests/serial", ".rs")?].concat() {
        let source = read(&file)?;
        for test in source.split("#[test]").skip(1) {
            let name = test.split_once("fn ").and_then(|(_, rest)| Some(rest.split_once('(')?.0));
            let name = name.with_context(|| format!("{}: a test without a name", file.display()))?;
            let row = format!("`{}::{name}`", file.display());
            ensure!(promises.contains(&row), "docs/validation.md has no row with {row}");
            tests += 1;
        }
    }
    ensure!(tests > 0, "there are no end-to-end tests");
    Ok(())
}

/// Each reason of the runner occurs in an end-to-end test with its real cause.
#[test]
fn every_runner_reason_has_an_end_to_end_test() -> Result<()> {
    // InternalError is a bug. ClockSkew needs a separate clock for one container, which a single machine
    // cannot provide; crates/runner/src/store/tests/answers.rs tests a real store's response. The test bucket
    // has one region, no archive class and no platform identity, and there is no proxy: that file also tests
    // other stores' responses. crates/runner/src/scrub/tests.rs tests corrupted files other than archives.
    const WITHOUT_TEST: [Reason; 9] = [
        Reason::InternalError,
        Reason::ClockSkew,
        Reason::RegionMismatch,
        Reason::ObjectArchived,
        Reason::CredentialsMissing,
        Reason::ProxyFailed,
        Reason::ManifestCorrupted,
        Reason::FileMissing,
        Reason::CheckFileCorrupted,
    ];
    let mut tests = String::new();
    for file in [files("tests/e2e", ".rs")?, files("tests/serial", ".rs")?].concat() {
        tests.push_str(&read(&file)?);
    }
    for reason in Reason::all().filter(|reason| reason.exit_code().is_some()) {
        let named = tests.split("Reason::").skip(1).any(|rest| {
            rest.strip_prefix(reason.as_str()).is_some_and(|end| !end.starts_with(char::is_alphanumeric))
        });
        ensure!(named != WITHOUT_TEST.contains(&reason), "{reason}: is in an end-to-end test? {named}");
    }
    Ok(())
}

/// `crates/operator/src/ops/tests/queries.rs` checks that the metrics of the alerts exist.
#[test]
fn every_alert_has_a_runbook_and_a_test() -> Result<()> {
    let alerts = read("charts/pgbackup/files/alerts.yaml")?;
    let (operations, tests) = (read("docs/operations.md")?, read("tests/alerts/alerts.yaml")?);
    let names: BTreeSet<&str> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    for name in &names {
        ensure!(root().join(format!("docs/runbooks/{name}.md")).exists(), "{name} has no runbook");
        ensure!(
            operations.contains(&format!("runbooks/{name}.md")),
            "docs/operations.md has no link to the runbook of {name}"
        );
        ensure!(alerts.contains(&format!("/docs/runbooks/{name}.md\n")), "{name} has no link to its runbook");
        ensure!(tests.contains(name), "tests/alerts/alerts.yaml has no test of {name}");
    }
    let runbooks = files("docs/runbooks", ".md")?;
    let runbooks = runbooks.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
    ensure!(names == runbooks, "alerts and runbooks: {names:?}, {runbooks:?}");
    Ok(())
}

#[test]
fn documents_have_no_placeholders() -> Result<()> {
    const PLACEHOLDERS: [&str; 4] = ["TODO", "TBD", "FIXME", "XXX"];
    for document in documents()? {
        let text = read(&document)?;
        let placeholder =
            text.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| PLACEHOLDERS.contains(word));
        ensure!(placeholder.is_none(), "{}: {}", document.display(), placeholder.unwrap_or_default());
    }
    Ok(())
}

/// The types ignore unknown fields, so the test parses each example, formats it again, and compares the two.
#[test]
fn examples_use_only_existing_fields() -> Result<()> {
    let mut policies = 0;
    for file in files("examples", ".yaml")? {
        for text in read(&file)?.split("\n---\n") {
            let written: Value = serde_saphyr::from_str(text).with_context(|| file.display().to_string())?;
            if written["kind"] != "BackupPolicy" {
                continue;
            }
            let policy: BackupPolicy =
                serde_json::from_value(written.clone()).with_context(|| file.display().to_string())?;
            is_contained(&written, &serde_json::to_value(policy)?)
                .with_context(|| file.display().to_string())?;
            policies += 1;
        }
    }
    ensure!(policies >= 2, "there should be examples");
    Ok(())
}

/// Checks that `understood` contains every field of `written`.
fn is_contained(written: &Value, understood: &Value) -> Result<()> {
    let Value::Object(fields) = written else {
        ensure!(written == understood, "{written} was understood as {understood}");
        return Ok(());
    };
    fields.iter().try_for_each(|(name, value)| {
        let same = understood.get(name).with_context(|| format!("no field {name}"))?;
        is_contained(value, same).with_context(|| format!("in {name}"))
    })
}

#[test]
fn sample_manifest_in_documents_has_the_current_format() -> Result<()> {
    let text = read("docs/reference/formats.md")?;
    let (_, sample) = text.split_once("```json\n").context("a sample")?;
    let (sample, _) = sample.split_once("```").context("the end of the sample")?;
    let manifest = Manifest::parse(sample).context("a manifest")?;
    ensure!(manifest.is_plausible(), "the sample is not plausible");
    assert_eq!(manifest.to_json(), sample);
    Ok(())
}
