//! The outcome of a run: its exit code, its log, and the termination message.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use domain::{
    reason::Reason,
    report::{Outcome, RunReport},
};
use tempfile::TempDir;

/// Returns the runner's command with a termination message in `folder`.
fn runner(folder: &Path, arguments: &[&str]) -> Command {
    let termination = folder.join("termination-log");
    fs::write(&termination, "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgbackup-runner"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env("PGBACKUP_JOB", "shop-backup-29730375")
        .env("PGBACKUP_JOB_UID", "uid-1")
        .env("PGBACKUP_TERMINATION_LOG", termination);
    command
}

fn report(folder: &TempDir) -> RunReport {
    let text = fs::read_to_string(folder.path().join("termination-log")).unwrap();
    RunReport::parse(text.trim_end()).unwrap_or_else(|| panic!("no report: {text}"))
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()
}

#[test]
fn invalid_argument_is_reported_as_invalid_configuration() {
    for (arguments, wanted) in [
        (&["backup", "--policy=shop", "--nope"][..], "unexpected argument '--nope'"),
        (&["scrub", "--policy=shop"], "required arguments were not provided: --namespace <NAMESPACE>"),
        (
            &[
                "backup",
                "--namespace=n",
                "--policy=shop",
                "--policy-uid=u",
                "--store=/x",
                "--time-zone=Mars/North",
            ],
            "Mars/North",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = runner(folder.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        let report = report(&folder);
        assert_eq!((report.outcome, report.reason), (Outcome::Failed, Some(Reason::InvalidConfiguration)));
        let message = report.message.to_string();
        assert!(message.starts_with("invalid arguments: ") && message.contains(wanted), "{message}");
        assert!(!message.contains("Usage") && !message.contains('\n'), "{message}");
        assert_eq!(report.run.job, "shop-backup-29730375");
    }
}

#[test]
fn failed_run_is_logged_as_one_error_line() {
    let folder = tempfile::tempdir().unwrap();
    let scrub = ["scrub", "--namespace=n", "--policy=shop", "--policy-uid=u", "--store=/proc/nothing"];
    let output = runner(folder.path(), &scrub).output().unwrap();
    let report = report(&folder);
    assert_eq!(output.status.code(), report.reason.and_then(Reason::exit_code).map(i32::from));
    let lines = lines(&output);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.contains(" ERROR ") && line.contains("/proc/nothing"), "{line}");
    assert!(line.contains(". reason=StoreFailed"), "the line has no hint: {line}");
}

#[test]
fn successful_run_is_logged_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("--store={}", folder.path().display());
    let scrub = ["scrub", "--namespace=n", "--policy=shop", "--policy-uid=u", &store];
    let output = runner(folder.path(), &scrub).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(report(&folder).message.to_string(), "no backups to scrub yet");
    let lines = lines(&output);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.contains(" INFO no backups to scrub yet"), "{line}");
}

/// Opening a FIFO in the store blocks the run. A signal must end the run anyway.
#[test]
fn sigterm_ends_a_run_whose_store_does_not_respond() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("n/shop");
    fs::create_dir_all(&policy).unwrap();
    let blocked = policy.join("repository.json");
    assert!(Command::new("mkfifo").arg(&blocked).status().unwrap().success());
    let store = format!("--store={}", folder.path().display());
    let scrub = ["scrub", "--namespace=n", "--policy=shop", "--policy-uid=u", &store];
    let mut child = runner(folder.path(), &scrub).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(500));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Reason::Interrupted.exit_code().map(i32::from));
    let report = report(&folder);
    assert_eq!(report.reason, Some(Reason::Interrupted));
    assert!(report.message.to_string().starts_with("the scrub was stopped by SIGTERM"), "{report:?}");
}
