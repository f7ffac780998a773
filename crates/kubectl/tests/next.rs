//! `kubectl pgbackup next`, as people run it.

#![allow(missing_docs, reason = "a test")]

use std::process::{Command, Output};

fn next(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-pgbackup"))
        .arg("next")
        .args(args)
        .output()
        .expect("the program should start")
}

fn printed(args: &[&str]) -> String {
    let output = next(args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_next_runs_are_printed_for_programs() {
    let args = [
        "--schedule",
        "15 2 * * *",
        "--time-zone",
        "Europe/Berlin",
        "--from",
        "2026-10-24T00:00:00Z",
        "-n",
        "3",
        "-o",
        "json",
    ];
    // The clocks go back on 25 October: a quarter past two comes twice, and the controller starts at both.
    assert_eq!(
        printed(&args),
        "{\"next\":[\"2026-10-24T00:15:00Z\",\"2026-10-25T00:15:00Z\",\"2026-10-25T01:15:00Z\"]}\n"
    );
}

#[test]
fn the_next_runs_are_printed_for_people() {
    let args = [
        "--schedule",
        "15 2 * * *",
        "--time-zone",
        "Europe/Berlin",
        "--from",
        "2026-10-24T00:00:00Z",
        "-n",
        "3",
    ];
    assert_eq!(
        printed(&args),
        "\
EUROPE/BERLIN (15 2 * * *)        UTC
Sat 2026-10-24 02:15 CEST         2026-10-24 00:15
Sun 2026-10-25 02:15 CEST         2026-10-25 00:15
Sun 2026-10-25 02:15 CET          2026-10-25 01:15
"
    );
}

#[test]
fn an_h_is_resolved_for_a_policy() {
    let of = |policy| {
        printed(&[
            "--schedule",
            "H H * * *",
            "--policy",
            policy,
            "--from",
            "2026-10-24T00:00:00Z",
            "-o",
            "json",
        ])
    };
    assert_eq!(of("shop/nightly"), of("shop/nightly"));
    assert_ne!(of("shop/nightly"), of("shop/weekly"));
}

#[test]
fn a_refused_schedule_says_why() {
    for (args, why) in [
        (["--schedule", "0 0 30 2 *"], "error: --schedule: the dates of this schedule never come"),
        (["--schedule", "*/5 * * * * *"], "error: --schedule: the schedule has 6 field(s)"),
        (["--schedule", "@every 5m"], "error: --schedule: @every counts from the last run"),
        (["--schedule", "TZ=UTC 0 0 * * *"], "error: --schedule: write the time zone in spec.timeZone"),
    ] {
        let output = next(&args);
        assert_eq!(output.status.code(), Some(1));
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.starts_with(why), "{words}");
        assert_eq!(words.lines().count(), 1, "{words}");
        assert!(output.stdout.is_empty());
    }
    let output = next(&["--schedule", "@daily", "--time-zone", "Mars/Olympus"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: --time-zone: "), "{output:?}");
}
