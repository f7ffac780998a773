//! Files that are written from the code. `make generate` (`UPDATE_GENERATED=1`) writes them anew.

use std::{env, fmt::Write as _, fs, process::Command};

use anyhow::{Result, ensure};
use domain::reason::Reason;

use crate::root;

/// Compares a file with what the code says now, or writes it.
fn fresh(path: &str, generated: &str) -> Result<()> {
    let file = root().join(path);
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&file, generated)?;
    }
    let stored = fs::read_to_string(&file).unwrap_or_default();
    ensure!(
        stored == generated,
        "{path} is not what the code says: run `make generate` and look at the difference"
    );
    Ok(())
}

const REASONS: &str = "\
# Reasons

<!-- Written from crates/domain/src/reason.rs by `make generate`. -->

The words that conditions, events, reports and metrics use. There are no others. A number is the exit code of the
runner: 0 is success, from 10 to 39 a retry is worth it and Kubernetes makes one, from 64 to 95 it is not. Words
without a number come from the operator: the runner never ran, or could not speak.

| reason | exit code | what it means | what to do |
| --- | --- | --- | --- |
";

#[test]
fn the_reasons_are_documented_as_they_are() -> Result<()> {
    let mut text = REASONS.to_owned();
    for reason in Reason::all() {
        let code = reason.exit_code().map(|code| code.to_string()).unwrap_or_default();
        let (meaning, advice) = (reason.meaning(), reason.advice());
        writeln!(text, "| `{reason}` | {code} | {meaning} | {advice} |")?;
    }
    fresh("docs/reference/reasons.md", &text)
}

#[test]
fn the_ops_endpoint_is_documented_as_it_is() -> Result<()> {
    fresh("docs/openapi.json", &operator("openapi")?)
}

/// What a subcommand of the operator prints.
fn operator(command: &str) -> Result<String> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--locked", "--quiet", "--package", "pgbackup-operator", "--", command])
        .current_dir(root())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn the_resource_is_defined_as_the_code_has_it() -> Result<()> {
    // As `pgbackup-operator crd` prints it.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let definition = serde_saphyr::to_string_with_options(&api::crd(), options)?;
    fresh("crds/backuppolicies.pgbackup.dev.yaml", &definition)?;
    fresh("charts/pgbackup/crds/backuppolicies.pgbackup.dev.yaml", &definition)
}
