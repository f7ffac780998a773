//! What people read: the documents, the Makefile that they name, and the examples.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context, Result, ensure};
use api::BackupPolicy;
use domain::reason::Reason;
use serde_json::Value;

use crate::{files, read, root};

fn documents() -> Result<Vec<PathBuf>> {
    let mut all = files("docs", ".md")?;
    all.extend(files("charts", ".md")?);
    all.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from));
    Ok(all)
}

#[test]
fn documents_name_only_make_targets_that_exist() -> Result<()> {
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
fn links_in_documents_lead_somewhere() -> Result<()> {
    for document in documents()? {
        let text = read(&document)?;
        let folder = root().join(document.parent().context("a document should lie in a folder")?);
        let links = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
        for link in links {
            let path = link.split('#').next().unwrap_or_default();
            let local = !path.is_empty() && !path.contains("://");
            ensure!(!local || folder.join(path).exists(), "{}: {link} does not exist", document.display());
        }
    }
    Ok(())
}

/// Each row of `docs/validation.md` names the tests that prove it, written `path::name`.
#[test]
fn every_promise_names_tests_that_exist() -> Result<()> {
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
        ensure!(!tests.is_empty(), "no test proves this: {row}");
        for (file, name) in tests {
            let source = read(format!("{file}.rs"))?;
            ensure!(source.contains(&format!("fn {name}(")), "{file}.rs has no test {name}");
        }
    }
    Ok(())
}

/// And back: an end-to-end test that proves no promise is one that nobody asked for, or a promise that is not written.
#[test]
fn every_end_to_end_test_proves_a_promise() -> Result<()> {
    let promises = read("docs/validation.md")?;
    let mut tests = 0;
    for file in [files("tests/e2e", ".rs")?, files("tests/serial", ".rs")?].concat() {
        let source = read(&file)?;
        for test in source.split("#[test]").skip(1) {
            let name = test.split_once("fn ").and_then(|(_, rest)| Some(rest.split_once('(')?.0));
            let name = name.with_context(|| format!("{}: a test without a name", file.display()))?;
            let row = format!("`{}::{name}`", file.display());
            ensure!(promises.contains(&row), "docs/validation.md says nothing of {row}");
            tests += 1;
        }
    }
    ensure!(tests > 0, "there are no end-to-end tests");
    Ok(())
}

/// A reason that no test brings about from its real cause is a guess.
#[test]
fn every_reason_of_the_runner_is_brought_about_end_to_end() -> Result<()> {
    // A bug; and a clock that the containers of one machine cannot have each for itself: the store's real answer is
    // in crates/runner/src/store/tests/answers.rs.
    const NOT_BROUGHT_ABOUT: [Reason; 2] = [Reason::InternalError, Reason::ClockSkew];
    let mut tests = String::new();
    for file in [files("tests/e2e", ".rs")?, files("tests/serial", ".rs")?].concat() {
        tests.push_str(&read(&file)?);
    }
    for reason in Reason::all().filter(|reason| reason.exit_code().is_some()) {
        let named = tests.split("Reason::").skip(1).any(|rest| {
            rest.strip_prefix(reason.as_str()).is_some_and(|end| !end.starts_with(char::is_alphanumeric))
        });
        ensure!(named != NOT_BROUGHT_ABOUT.contains(&reason), "{reason}: brought about by a test? {named}");
    }
    Ok(())
}

/// Who is woken by an alert must find out what to do. That alerts ask for metrics that exist is tested where these are made:
/// `crates/operator/src/ops/tests/queries.rs`.
#[test]
fn every_alert_has_a_runbook_and_a_test() -> Result<()> {
    let alerts = read("charts/pgbackup/files/alerts.yaml")?;
    let (ops, tests) = (read("docs/operations.md")?, read("tests/alerts/alerts.yaml")?);
    let names: BTreeSet<&str> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    for name in &names {
        ensure!(root().join(format!("docs/runbooks/{name}.md")).exists(), "{name} has no runbook");
        ensure!(ops.contains(&format!("runbooks/{name}.md")), "docs/operations.md does not name {name}");
        ensure!(
            alerts.contains(&format!("/docs/runbooks/{name}.md\n")),
            "{name} does not lead to its runbook"
        );
        ensure!(tests.contains(name), "tests/alerts/alerts.yaml never lets {name} fire");
    }
    let runbooks = files("docs/runbooks", ".md")?;
    let runbooks = runbooks.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
    ensure!(names == runbooks, "alerts and runbooks: {names:?}, {runbooks:?}");
    Ok(())
}

#[test]
fn documents_have_no_blanks_to_fill_in() -> Result<()> {
    const BLANKS: [&str; 4] = ["TODO", "TBD", "FIXME", "XXX"];
    for document in documents()? {
        let text = read(&document)?;
        let blank = text.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| BLANKS.contains(word));
        ensure!(blank.is_none(), "{}: {}", document.display(), blank.unwrap_or_default());
    }
    Ok(())
}

/// The types ignore fields that they do not know, so a wrong one shows only in what comes back.
#[test]
fn examples_have_only_fields_that_exist() -> Result<()> {
    let mut policies = 0;
    for file in files("examples", ".yaml")? {
        for text in read(&file)?.split("\n---\n") {
            let written: Value = serde_saphyr::from_str(text).with_context(|| file.display().to_string())?;
            if written["kind"] != "BackupPolicy" {
                continue;
            }
            let policy: BackupPolicy =
                serde_json::from_value(written.clone()).with_context(|| file.display().to_string())?;
            kept(&written, &serde_json::to_value(policy)?).with_context(|| file.display().to_string())?;
            policies += 1;
        }
    }
    ensure!(policies >= 2, "there should be examples");
    Ok(())
}

/// Everything that was written is in what was understood.
fn kept(written: &Value, understood: &Value) -> Result<()> {
    let Value::Object(fields) = written else {
        ensure!(written == understood, "{written} was understood as {understood}");
        return Ok(());
    };
    fields.iter().try_for_each(|(name, value)| {
        let same = understood.get(name).with_context(|| format!("no field {name}"))?;
        kept(value, same).with_context(|| format!("in {name}"))
    })
}
