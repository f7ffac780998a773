//! Tests `kubectl pgbackup next` as a program.

use std::process::{Command, Output};

const EVERY_NIGHT: [&str; 8] = [
    "--schedule",
    "15 2 * * *",
    "--time-zone",
    "Europe/Berlin",
    "--from",
    "2026-10-24T00:00:00Z",
    "--count",
    "3",
];

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-pgbackup"))
        .args(args)
        .output()
        .expect("the program should start")
}

fn next(args: &[&str]) -> Output {
    run(&[&["next"], args].concat())
}

fn printed(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("the output should be UTF-8")
}

#[test]
fn next_command_prints_both_times_of_a_repeated_hour() {
    // Clocks are set back on 25 October: 02:15 comes twice, and the controller starts a Job at both times.
    assert_eq!(
        printed(next(&[&EVERY_NIGHT[..], &["-o", "json"]].concat())),
        "{\"next\":[\"2026-10-24T00:15:00Z\",\"2026-10-25T00:15:00Z\",\"2026-10-25T01:15:00Z\"]}\n"
    );
}

#[test]
fn next_command_prints_local_and_utc_times_as_a_table() {
    assert_eq!(
        printed(next(&EVERY_NIGHT)),
        "\
EUROPE/BERLIN (15 2 * * *)  UTC
Sat 2026-10-24 02:15 CEST   2026-10-24 00:15
Sun 2026-10-25 02:15 CEST   2026-10-25 00:15
Sun 2026-10-25 02:15 CET    2026-10-25 01:15
"
    );
}

#[test]
fn next_command_resolves_h_in_a_schedule_by_policy() {
    let of = |policy| {
        let args =
            ["--schedule", "H H * * *", "--policy", policy, "--from", "2026-10-24T00:00:00Z", "-o", "json"];
        printed(next(&args))
    };
    assert_eq!(of("shop/nightly"), of("shop/nightly"));
    assert_ne!(of("shop/nightly"), of("shop/weekly"));
}

#[test]
fn next_command_rejects_invalid_schedule_with_one_line() {
    for (args, error) in [
        (["--schedule", "0 0 30 2 *"], "error: --schedule: the schedule matches no date"),
        (["--schedule", "*/5 * * * * *"], "error: --schedule: the number of fields is 6 instead of five"),
        (["--schedule", "@every 5m"], "error: --schedule: @every has no fixed times"),
        (["--schedule", "TZ=UTC 0 0 * * *"], "error: --schedule: the schedule contains a time zone"),
    ] {
        let output = next(&args);
        assert_eq!(output.status.code(), Some(1));
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(printed.starts_with(error), "{printed}");
        assert_eq!(printed.lines().count(), 1, "{printed}");
        assert!(output.stdout.is_empty());
    }
    let output = next(&["--schedule", "@daily", "--time-zone", "Mars/Olympus"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: --time-zone: "), "{output:?}");
}

#[test]
fn examples_in_the_help_of_next_command_run() {
    let help = printed(next(&["--help"]));
    let examples: Vec<&str> =
        help.lines().filter_map(|line| line.trim().strip_prefix("kubectl pgbackup ")).collect();
    assert_eq!(examples.len(), 2, "{help}");
    for example in examples {
        // Arguments with spaces are in single quotes.
        let parts = example.split('\'').enumerate();
        let args: Vec<&str> = parts
            .flat_map(|(at, part)| if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
            .collect();
        assert!(!printed(run(&args)).is_empty(), "{example}");
    }
}
