//! A panic is reported. The panic hook is global, so this test runs in a process of its own.

use std::{fs, panic};

use domain::{
    operation::Operation,
    reason::Reason,
    report::{Outcome, RunIdentity, RunReport, Trigger},
};
use pgbackup_runner::{run::Run, termination::TerminationMessage};

#[test]
fn runner_panic_is_reported_as_internal_error_with_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("termination-log");
    fs::write(&path, "").unwrap();
    let termination = TerminationMessage::new(path.clone());
    termination.clone().report_panics();
    let identity = RunIdentity {
        job: "shop-backup-1".to_owned(),
        job_uid: "uid-1".to_owned(),
        trigger: Trigger::Manual,
        scheduled_time: None,
    };
    let _run = Run::new(identity, termination, Operation::Backup);

    panic::catch_unwind(|| panic!("port {} is out of range", 99_999)).unwrap_err();

    let report = RunReport::parse(fs::read_to_string(&path).unwrap().trim_end()).unwrap();
    assert_eq!((report.outcome, report.reason), (Outcome::Failed, Some(Reason::InternalError)));
    assert_eq!(report.run.job, "shop-backup-1");
    let message = report.message.to_string();
    assert!(message.contains("port 99999 is out of range") && message.contains("panics.rs:"), "{message}");
}
