//! Generated files are current. `make generate` (`UPDATE_GENERATED=1`) rewrites them.

use std::{env, fmt::Write as _, fs, process::Command};

use anyhow::{Result, ensure};
use domain::reason::Reason;

use crate::{fields, root};

/// Compares a file with `generated`, or writes it if `UPDATE_GENERATED` is set.
fn fresh(path: &str, generated: &str) -> Result<()> {
    let file = root().join(path);
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&file, generated)?;
    }
    let stored = fs::read_to_string(&file).unwrap_or_default();
    ensure!(stored == generated, "{path} is out of date. Run `make generate` and review the difference.");
    Ok(())
}

const REASONS: &str = "\
# Reasons

<!-- Generated from crates/domain/src/reason.rs by `make generate`. -->

A reason is a word for the cause of a condition, an event or the result of a run. Conditions, events, reports, metrics and
the API use only the reasons of this table.

The exit code is that of the runner ([exit codes](exit-codes.md)). The operator sets the reasons without an exit code, for
example if the runner never started.

| reason | exit code | meaning | what to do |
| --- | --- | --- | --- |
";

#[test]
fn reference_of_reasons_matches_the_code() -> Result<()> {
    let mut text = REASONS.to_owned();
    for reason in Reason::all() {
        let code = reason.exit_code().map(|code| code.to_string()).unwrap_or_default();
        let (meaning, advice) = (reason.meaning(), reason.advice());
        writeln!(text, "| `{reason}` | {code} | {meaning} | {advice} |")?;
    }
    fresh("docs/reference/reasons.md", &text)
}

const EXIT_CODES: &str = "\
# Exit codes

<!-- Generated from crates/domain/src/reason.rs by `make generate`. -->

Each exit code of the runner stands for a reason. [Reasons](reasons.md) lists what to do about each reason.
";

const SUCCESS: &str = "
## Success

| exit code | reason | meaning |
| --- | --- | --- |
";

const RETRIED: &str = "
## Failures that Kubernetes retries

The Job starts another pod, up to `job.backoffLimit` times.

| exit code | reason | meaning |
| --- | --- | --- |
";

/// The rows of exit codes that Kubernetes retries too, but that no reason has.
const RETRIED_TOO: &str = "\
| 101 | `InternalError` | The runner panicked. |
| 137 | `OutOfMemory`, `DeadlineExceeded`, `Evicted` or `Interrupted` | SIGKILL ended the runner. |
";

const FINAL: &str = "
## Failures that need a change

The Job fails at once. The next run starts at the next time of the schedule, or when you request a backup.

| exit code | reason | meaning |
| --- | --- | --- |
";

#[test]
fn reference_of_exit_codes_matches_the_code() -> Result<()> {
    let mut failures: Vec<(u8, Reason)> =
        Reason::all().filter_map(|reason| Some((reason.exit_code()?, reason))).collect();
    failures.sort_unstable();
    let mut text = EXIT_CODES.to_owned();
    let rows = |text: &mut String, head: &str, chosen: &dyn Fn(u8, Reason) -> bool| -> Result<()> {
        text.push_str(head);
        for (code, reason) in failures.iter().filter(|(code, reason)| chosen(*code, *reason)) {
            writeln!(text, "| {code} | `{reason}` | {} |", reason.meaning())?;
        }
        Ok(())
    };
    rows(&mut text, SUCCESS, &|code, _| code == 0)?;
    rows(&mut text, RETRIED, &|_, reason| reason.retriable())?;
    text.push_str(RETRIED_TOO);
    rows(&mut text, FINAL, &|code, reason| code != 0 && !reason.retriable())?;
    fresh("docs/reference/exit-codes.md", &text)
}

#[test]
fn reference_of_policy_fields_matches_the_code() -> Result<()> {
    fresh("docs/reference/crd.md", &fields::document(&serde_json::to_value(api::crd())?)?)
}

#[test]
fn openapi_document_matches_the_code() -> Result<()> {
    fresh("docs/openapi.json", &operator("openapi")?)
}

/// Returns the output of a subcommand of the operator.
fn operator(command: &str) -> Result<String> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--locked", "--quiet", "--package", "pgbackup-operator", "--", command])
        .current_dir(root())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn crd_files_match_the_code() -> Result<()> {
    // Formatted like `pgbackup-operator crd`.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let definition = serde_saphyr::to_string_with_options(&api::crd(), options)?;
    fresh("crds/backuppolicies.pgbackup.dev.yaml", &definition)?;
    fresh("charts/pgbackup/crds/backuppolicies.pgbackup.dev.yaml", &definition)
}
