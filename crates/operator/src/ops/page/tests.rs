use std::collections::BTreeMap;

use desired::overview::{Backups, Retention, Scrub};

use super::*;

fn now() -> Timestamp {
    "2026-11-23T06:30:00Z".parse().unwrap()
}

fn policy(name: &str, state: State, reason: &str) -> Overview {
    let run = |day: i64, result, bytes| Run {
        start_time: now() - SignedDuration::from_hours(24 * day + 4),
        result,
        reason: reason.to_owned(),
        size_bytes: bytes,
    };
    Overview {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        state,
        reason: reason.to_owned(),
        message: format!("{name} says <why> & what to do"),
        schedule: "15 2 * * *".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        next_schedule_time: Some("2026-11-24T01:15:00Z".parse().unwrap()),
        overdue_time: None,
        overdue: false,
        expected_interval_seconds: Some(86_400),
        last_success: Some(Copy {
            snapshot_time: now() - SignedDuration::from_hours(5),
            backup: None,
            size_bytes: Some(1_299_227_607),
            duration_seconds: Some(44.3),
            stages: BTreeMap::new(),
            verification: Some("Verified".to_owned()),
        }),
        last_verified_time: Some(now() - SignedDuration::from_hours(5)),
        max_age: Some("26h".to_owned()),
        max_age_seconds: Some(26 * 3600),
        retention: None,
        scrub: None,
        backups: Some(Backups { all: 16, verified: 14, suspicious: 1, size_bytes: 20_000_000_000 }),
        runs: vec![
            run(3, RunResult::Succeeded, Some(1_100_000_000)),
            run(2, RunResult::Failed, None),
            run(1, RunResult::Unknown, None),
            run(0, RunResult::Succeeded, Some(1_299_227_607)),
        ],
    }
}

#[test]
fn who_needs_somebody_comes_first_and_everything_is_said_in_words() {
    let page = page(
        vec![
            policy("fine", State::Healthy, "Verified"),
            policy("resting", State::Suspended, "Suspended"),
            policy("broken", State::Unhealthy, "Overdue"),
        ],
        now(),
        false,
    );
    let at = |name: &str| page.find(&format!("<span class=\"name\">{name}</span>")).unwrap();
    assert!(at("broken") < at("resting") && at("resting") < at("fine"));
    for words in [
        "<title>1 of 3 backup policies unhealthy - pgbackup</title>",
        "broken says &lt;why&gt; &amp; what to do",
        "5 h ago",
        "of at most 26h",
        "in 18 h 45 min",
        "size of the last 2 backups: from 1.02 GiB to 1.21 GiB",
        "14 verified",
        "1 suspicious",
        "2 of 4 good",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("fine says"), "nobody needs to read about what is well");
    assert!(!page.contains("<script"));
}

#[test]
fn a_page_of_nothing_says_so() {
    let page = page(Vec::new(), now(), false);
    assert!(page.contains("<h1>No backup policies</h1>"), "{page}");
    assert!(!page.contains("<table"));
}

#[test]
fn a_healthy_policy_whose_old_backups_stay_comes_before_those_that_are_well() {
    let mut keeping = policy("zzz", State::Healthy, "Verified");
    let message = "Permission denied".to_owned();
    keeping.retention = Some(Retention { healthy: false, reason: "PruneFailed".to_owned(), message });
    let page = page(vec![policy("fine", State::Healthy, "Verified"), keeping], now(), false);
    assert!(page.find(">zzz<").unwrap() < page.find(">fine<").unwrap(), "{page}");
    assert!(page.contains("PruneFailed") && page.contains("Permission denied"), "{page}");
}

#[test]
fn a_healthy_policy_with_rot_in_its_store_comes_before_those_that_are_well_and_says_so() {
    let mut rotten = policy("zzz", State::Healthy, "Verified");
    let message = "20261122T021505Z-2b3c4d is not what was written".to_owned();
    rotten.scrub = Some(Scrub {
        healthy: false,
        reason: "BackupCorrupted".to_owned(),
        message: message.clone(),
        last: None,
    });
    rotten.backups = Some(Backups { all: 16, verified: 14, suspicious: 1, size_bytes: 20 });
    let mut well = policy("fine", State::Healthy, "Verified");
    well.scrub = rotten.scrub.clone().map(|scrub| Scrub { healthy: true, ..scrub });
    well.backups = Some(Backups { all: 15, verified: 14, suspicious: 1, size_bytes: 20 });
    let page = page(vec![well, rotten], now(), false);
    assert!(page.find(">zzz<").unwrap() < page.find(">fine<").unwrap(), "{page}");
    assert_eq!(page.matches(&message).count(), 1, "{page}");
    assert_eq!(page.matches("Stored backups: BackupCorrupted").count(), 1, "{page}");
    assert_eq!(page.matches("1 corrupted").count(), 1, "{page}");
}

/// The newest backup is five hours old, and `verification` says what it is; the newest that is known to be good is older, or
/// there is none.
fn unread(verification: &str, good: Option<i64>, most_hours: i64) -> String {
    let mut policy = policy("shop", State::Healthy, "Stored");
    policy.last_success.as_mut().unwrap().verification = Some(verification.to_owned());
    policy.last_verified_time = good.map(|hours| now() - SignedDuration::from_hours(hours));
    policy.max_age = Some(format!("{most_hours}h"));
    policy.max_age_seconds = Some(most_hours * 3600);
    page(vec![policy], now(), false)
}

#[test]
fn a_newest_backup_that_is_only_stored_or_was_found_corrupted_is_not_shown_as_verified() {
    let stored = unread("Stored", Some(53), 26);
    assert!(stored.contains("2 d 5 h ago</time>"), "{stored}");
    assert!(stored.contains("newest backup, 5 h ago: only stored"), "{stored}");
    assert!(stored.contains("14 stored") && !stored.contains("14 verified"), "{stored}");
    assert!(!stored.contains(">5 h ago<"), "{stored}");
    let corrupted = unread("Corrupted", None, 26);
    assert!(corrupted.contains("none known") && !corrupted.contains(" ago</time>"), "{corrupted}");
    assert!(
        corrupted.contains("newest backup, 5 h ago: <strong class=\"exceeded\">found corrupted"),
        "{corrupted}"
    );
    let both = page(vec![policy("shop", State::Healthy, "Verified")], now(), false);
    assert!(both.contains(">5 h ago<") && !both.contains("newest backup"), "{both}");
}

#[test]
fn the_objective_is_for_the_newest_backup_unless_it_is_corrupted() {
    let young = unread("Stored", Some(53), 26);
    assert!(young.contains("of at most 26h") && !young.contains("too old"), "{young}");
    let old = unread("Stored", Some(53), 4);
    assert!(old.contains("too old:</strong> at most 4h"), "{old}");
    let corrupted = unread("Corrupted", Some(53), 26);
    assert!(corrupted.contains("too old:</strong> at most 26h"), "{corrupted}");
    let nothing_good = unread("Corrupted", None, 26);
    assert!(!nothing_good.contains("at most"), "{nothing_good}");
}

#[test]
fn an_age_beyond_the_objective_is_said_to_be_so() {
    let aged = |minutes: i64| {
        let mut aged = policy("shop", State::Unhealthy, "Overdue");
        let snapshot = now() - SignedDuration::from_mins(minutes);
        aged.last_success.as_mut().unwrap().snapshot_time = snapshot;
        aged.last_verified_time = Some(snapshot);
        page(vec![aged], now(), false)
    };
    let (just, over) = (aged(26 * 60), aged(26 * 60 + 1));
    assert!(just.contains("of at most 26h") && !just.contains("too old"), "{just}");
    assert!(over.contains("too old:</strong> at most 26h"), "{over}");
}

#[test]
fn only_who_asks_for_it_gets_a_page_that_loads_itself_anew() {
    let refresh = "http-equiv=\"refresh\"";
    assert!(!page(Vec::new(), now(), false).contains(refresh));
    assert!(page(Vec::new(), now(), true).contains(refresh));
}

#[test]
fn an_age_has_two_units_at_most() {
    for (minutes, wanted) in [
        (0, "less than a minute"),
        (7, "7 min"),
        (61, "1 h 1 min"),
        (120, "2 h"),
        (1445, "1 d"),
        (4500, "3 d 3 h"),
    ] {
        assert_eq!(age(SignedDuration::from_mins(minutes)), wanted, "{minutes}");
    }
}
