use serde_json::{Value, json};

use super::*;

fn report(artifacts: usize) -> RunReport {
    let mut details = BackupDetails {
        server_version: Some("17.6".into()),
        client_version: Some("17.6".into()),
        artifacts: (0..artifacts)
            .map(|n| ArtifactSummary {
                database: Some(format!("db{n}")),
                file: format!("db{n}.dump"),
                size_bytes: 1,
                sha256: "0".repeat(64),
            })
            .collect(),
        ..BackupDetails::default()
    };
    BackupStage::all().for_each(|stage| details.progress.enter(stage, 0.123));
    let run = RunIdentity {
        job: "shop-backup-29730375".into(),
        job_uid: "7b1f7b36-0e9f-4a53-9d0b-0c9c1f0e9a11".into(),
        trigger: Trigger::Schedule,
        scheduled_time: Some("2026-07-11T06:15:00Z".parse().unwrap()),
    };
    RunReport {
        outcome: Outcome::Succeeded,
        reason: Some(Reason::Verified),
        message: Message::new("m".repeat(2 * TEXT_LIMIT)).hint("h".repeat(2 * HINT_LIMIT)),
        completion_time: Some("2026-07-11T06:15:04Z".parse().unwrap()),
        ..RunReport::started(run, Details::Backup(details), "2026-07-11T06:15:02.5Z".parse().unwrap())
    }
}

fn artifacts(report: &RunReport) -> &[ArtifactSummary] {
    &report.details.as_backup().unwrap().artifacts
}

#[test]
fn too_long_run_report_omits_its_last_artifacts() {
    let text = report(100).to_message(termination_message::LIMIT);
    assert!(text.len() <= termination_message::LIMIT);
    let read = RunReport::parse(&text).unwrap();
    assert!(read.truncated);
    assert!(!artifacts(&read).is_empty());
    assert_eq!(artifacts(&read)[0].file, "db0.dump");
    assert_eq!(read.reason, Some(Reason::Verified));
}

#[test]
fn report_with_control_characters_fits_termination_message() {
    let mut long = report(100);
    long.message = Message::new("\u{1}".repeat(2000)).hint("\u{1}".repeat(2000));
    let text = long.to_message(termination_message::LIMIT);
    assert!(text.len() <= termination_message::LIMIT, "{}", text.len());
    assert!(RunReport::parse(&text).is_some_and(|read| read.truncated));
}

#[test]
fn run_report_that_fits_is_not_truncated() {
    let mut short = report(1);
    short.message = Message::new("stored").hint("Look.");
    let read = RunReport::parse(&short.to_message(termination_message::LIMIT)).unwrap();
    assert_eq!(read, short);
}

#[test]
fn run_report_of_invalid_or_newer_format_is_not_parsed() {
    let mut later = report(0);
    later.version = VERSION + 1;
    assert_eq!(RunReport::parse(&later.to_json()), None);
    assert_eq!(RunReport::parse("panic: at the disco"), None);
    assert_eq!(RunReport::parse(&report(0).to_json()[..100]), None);
}

#[test]
fn run_record_contains_the_duration_of_the_run() {
    assert_eq!(report(0).record().map(|r| r.duration_seconds), Some(1.5));
}

#[test]
fn run_report_has_the_fields_of_its_operation() {
    let json = |report: &RunReport| serde_json::from_str::<Value>(&report.to_json()).unwrap();
    let backup = json(&report(1));
    assert_eq!((&backup["operation"], &backup["stage"]), (&json!("backup"), &json!("report")));
    assert_eq!((&backup["serverVersion"], &backup["stages"]["dump"]), (&json!("17.6"), &json!(0.123)));
    let mut scrub = report(0);
    scrub.details = Details::Scrub(ScrubDetails { passed: 2, bytes_read: 7, ..ScrubDetails::default() });
    let written = json(&scrub);
    assert_eq!((&written["operation"], &written["stage"]), (&json!("scrub"), &json!("verify")));
    assert_eq!((&written["passed"], &written["bytesRead"]), (&json!(2), &json!(7)));
    assert_eq!(RunReport::parse(&scrub.to_json()), Some(scrub));
}

#[test]
fn run_report_ignores_a_stage_of_another_operation() {
    let mut details = Details::new(crate::operation::Operation::Scrub);
    details.enter(BackupStage::Dump.into(), 1.0);
    assert_eq!(details, Details::new(crate::operation::Operation::Scrub));
}
