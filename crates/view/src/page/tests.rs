use std::collections::BTreeMap;

use api::status::{RunResult, Verification};
use jiff::SignedDuration;

use super::*;
use crate::{
    overview::{Backup, BackupCounts, Check, Run, Scrub},
    state::ConditionState,
};

fn now() -> Timestamp {
    "2026-11-23T06:30:00Z".parse().unwrap()
}

fn policy(name: &str, state: State, reason: &str) -> Overview {
    let run = |day: i64, result, bytes| Run {
        start_time: now() - SignedDuration::from_hours(24 * day + 4),
        result,
        reason: reason.into(),
        size_bytes: bytes,
    };
    Overview {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        state,
        reason: reason.to_owned(),
        message: format!("message of <{name}> & more"),
        schedule: "15 2 * * *".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        next_schedule_time: Some("2026-11-24T01:15:00Z".parse().unwrap()),
        overdue_time: None,
        overdue: false,
        expected_interval_seconds: Some(86_400),
        last_success: Some(Backup {
            snapshot_time: now() - SignedDuration::from_hours(5),
            backup: None,
            size_bytes: Some(1_299_227_607),
            duration_seconds: Some(44.3),
            stages: BTreeMap::new(),
            verification: Some(Verification::Verified),
        }),
        last_verified_time: Some(now() - SignedDuration::from_hours(5)),
        max_age: Some("26h".to_owned()),
        max_age_seconds: Some(26 * 3600),
        retention: None,
        scrub: None,
        backups: Some(BackupCounts { all: 16, verified: 14, suspicious: 1, size_bytes: 20_000_000_000 }),
        runs: vec![
            run(3, RunResult::Succeeded, Some(1_100_000_000)),
            run(2, RunResult::Failed, None),
            run(1, RunResult::Unknown, None),
            run(0, RunResult::Succeeded, Some(1_299_227_607)),
        ],
    }
}

/// Returns the page of a healthy policy without failed checks, and of `other`, which sorts after it by name.
fn page_with(other: Overview) -> String {
    page(vec![policy("fine", State::Healthy, "Verified"), other], now(), false)
}

fn position(page: &str, name: &str) -> usize {
    page.find(&format!("<span class=\"name\">{name}</span>")).unwrap()
}

#[test]
fn page_shows_unhealthy_policies_first_with_message() {
    let page = page(
        vec![
            policy("fine", State::Healthy, "Verified"),
            policy("paused", State::Suspended, "Suspended"),
            policy("broken", State::Unhealthy, "Overdue"),
        ],
        now(),
        false,
    );
    let at = |name| position(&page, name);
    assert!(at("broken") < at("paused") && at("paused") < at("fine"));
    for text in [
        "<title>1 of 3 backup policies unhealthy - pgbackup</title>",
        "message of &lt;broken&gt; &amp; more",
        "5 h ago",
        "maxAge 26h",
        "in 18 h 45 min",
        "size of the last 2 backups: from 1.02 GiB to 1.21 GiB",
        "14 verified",
        "1 suspicious",
        "2 of 4 succeeded",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("message of &lt;fine"), "a healthy policy shows no message");
    assert!(!page.contains("<script"));
}

#[test]
fn page_without_policies_explains_why_it_is_empty() {
    let page = page(Vec::new(), now(), false);
    assert!(page.contains("<h1>No backup policies</h1>"), "{page}");
    assert!(page.contains("No BackupPolicy exists, or you have no permission to get any."), "{page}");
    assert!(!page.contains("<table"));
}

#[test]
fn page_shows_policy_with_failing_retention_first() {
    let failing = |state| {
        let (reason, message) = ("PruneFailed".to_owned(), "Permission denied".to_owned());
        let mut policy = policy("zzz", State::Healthy, "Verified");
        policy.retention = Some(Check { state, reason, message });
        page_with(policy)
    };
    let unhealthy = failing(ConditionState::Unhealthy);
    assert!(position(&unhealthy, "zzz") < position(&unhealthy, "fine"), "{unhealthy}");
    assert!(unhealthy.contains("Retention: PruneFailed") && unhealthy.contains("Permission denied"));
    for state in [ConditionState::Healthy, ConditionState::Unknown] {
        let page = failing(state);
        assert!(position(&page, "fine") < position(&page, "zzz"), "{page}");
        assert!(!page.contains("PruneFailed"), "{page}");
    }
}

#[test]
fn page_shows_policy_with_corrupted_backup_first() {
    let mut corrupted = policy("zzz", State::Healthy, "Verified");
    let message = "20261122T021505Z-2b3c4d is corrupted".to_owned();
    let scrub = |state| {
        let check = Check { state, reason: "BackupCorrupted".to_owned(), message: message.clone() };
        Some(Scrub { check, last: None })
    };
    corrupted.scrub = scrub(ConditionState::Unhealthy);
    let mut intact = policy("fine", State::Healthy, "Verified");
    intact.scrub = scrub(ConditionState::Healthy);
    intact.backups = Some(BackupCounts { all: 15, verified: 14, suspicious: 1, size_bytes: 20 });
    let page = page(vec![intact, corrupted], now(), false);
    assert!(position(&page, "zzz") < position(&page, "fine"), "{page}");
    for text in [message.as_str(), "Scrub: BackupCorrupted", "1 corrupted"] {
        assert_eq!(page.matches(text).count(), 1, "{text}: {page}");
    }
}

/// Returns the page of a policy whose newest backup is five hours old and has this verification. The newest
/// verified backup is `verified_hours` old, or does not exist.
fn unverified(verification: Verification, verified_hours: Option<i64>, max_hours: i64) -> String {
    let mut policy = policy("shop", State::Healthy, "Stored");
    policy.last_success.as_mut().unwrap().verification = Some(verification);
    policy.last_verified_time = verified_hours.map(|hours| now() - SignedDuration::from_hours(hours));
    policy.max_age = Some(format!("{max_hours}h"));
    policy.max_age_seconds = Some(max_hours * 3600);
    page(vec![policy], now(), false)
}

#[test]
fn page_does_not_show_unverified_backup_as_verified() {
    let stored = unverified(Verification::Stored, Some(53), 26);
    assert!(stored.contains("2 d 5 h ago</time>"), "{stored}");
    assert!(stored.contains("newest backup, 5 h ago: stored, not verified"), "{stored}");
    assert!(stored.contains("14 stored") && !stored.contains("14 verified"), "{stored}");
    assert!(!stored.contains(">5 h ago<"), "{stored}");
    let corrupted = unverified(Verification::Corrupted, None, 26);
    assert!(corrupted.contains("no verified backup") && !corrupted.contains(" ago</time>"), "{corrupted}");
    assert!(
        corrupted.contains("newest backup, 5 h ago: <strong class=\"exceeded\">corrupted"),
        "{corrupted}"
    );
    let verified = page(vec![policy("shop", State::Healthy, "Verified")], now(), false);
    assert!(verified.contains(">5 h ago<") && !verified.contains("newest backup"), "{verified}");
}

#[test]
fn page_applies_max_age_to_the_newest_intact_backup() {
    let young = unverified(Verification::Stored, Some(53), 26);
    assert!(young.contains("maxAge 26h") && !young.contains("too old"), "{young}");
    let old = unverified(Verification::Stored, Some(53), 4);
    assert!(old.contains("too old:</strong> maxAge 4h"), "{old}");
    let corrupted = unverified(Verification::Corrupted, Some(53), 26);
    assert!(corrupted.contains("too old:</strong> maxAge 26h"), "{corrupted}");
    let none_verified = unverified(Verification::Corrupted, None, 26);
    assert!(!none_verified.contains("maxAge"), "{none_verified}");
}

#[test]
fn page_marks_backup_older_than_max_age_as_too_old() {
    let aged = |minutes: i64| {
        let mut policy = policy("shop", State::Unhealthy, "Overdue");
        let snapshot = now() - SignedDuration::from_mins(minutes);
        policy.last_success.as_mut().unwrap().snapshot_time = snapshot;
        policy.last_verified_time = Some(snapshot);
        page(vec![policy], now(), false)
    };
    let (allowed, exceeded) = (aged(26 * 60), aged(26 * 60 + 1));
    assert!(allowed.contains("maxAge 26h") && !allowed.contains("too old"), "{allowed}");
    assert!(exceeded.contains("too old:</strong> maxAge 26h"), "{exceeded}");
}

#[test]
fn page_reloads_itself_only_in_live_mode() {
    let refresh = "http-equiv=\"refresh\"";
    assert!(!page(Vec::new(), now(), false).contains(refresh));
    assert!(page(Vec::new(), now(), true).contains(refresh));
}
