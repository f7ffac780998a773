use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use proptest::prelude::*;

use super::*;
use crate::{
    catalog::{BackupState, Catalog, CatalogBackup},
    invocation::flag,
    schedule::{Schedule, time_zone},
};

const OWNER: &str = "uid-1";

/// Returns count rules, with a minimum of one verified backup of each database.
fn keep(counts: &[(Bucket, u32)]) -> Rules {
    let keep = counts.iter().map(|(bucket, count)| (*bucket, Count::Newest(*count))).collect();
    Rules { keep, minimum_verified: 1, ..Rules::default() }
}

fn backup(id: &str, at: Timestamp, state: BackupState, databases: &[&str]) -> CatalogBackup {
    CatalogBackup {
        id: id.into(),
        policy_uid: OWNER.into(),
        snapshot_time: at,
        state,
        databases: databases.iter().map(|&name| name.to_owned()).collect(),
        size_bytes: 1,
        suspicions: BTreeSet::new(),
    }
}

/// Returns verified backups of one database, named by their times.
fn verified(times: &[&str]) -> Vec<CatalogBackup> {
    times.iter().map(|at| backup(at, at.parse().unwrap(), BackupState::Verified, &["shop"])).collect()
}

#[test]
fn suspicious_backup_is_kept_and_not_counted_by_keep_rules() {
    let mut backups = verified(&["2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z", "2026-05-03T00:00:00Z"]);
    for (n, day) in ["2026-05-04T00:00:00Z", "2026-05-05T00:00:00Z"].iter().enumerate() {
        backups.push(backup(&format!("odd-{n}"), day.parse().unwrap(), BackupState::Suspicious, &["shop"]));
    }
    let expected = [
        "odd-1: suspicious",
        "odd-0: suspicious",
        "2026-05-03T00:00:00Z: newest verified, minimum verified, last",
        "2026-05-02T00:00:00Z: last",
        "-2026-05-01T00:00:00Z: expired",
    ];
    assert_eq!(shown(&backups, &keep(&[(Bucket::Last, 2)]), "Etc/UTC"), expected);
    // `keepWithin` counts back from the newest verified backup, not from a suspicious one.
    let within = Rules {
        keep_within: [(Bucket::Last, "1d1h".parse().unwrap())].into(),
        minimum_verified: 1,
        ..Rules::default()
    };
    let kept = plan(&Catalog::new(OWNER, backups), &within, &time_zone("Etc/UTC").unwrap(), None);
    assert_eq!(
        kept.delete.iter().map(|backup| backup.id.as_str()).collect::<Vec<_>>(),
        ["2026-05-01T00:00:00Z"]
    );
}

/// Formats the plan as `reasons: id` lines, newest first. Deleted backups begin with `-`.
fn shown(backups: &[CatalogBackup], rules: &Rules, zone: &str) -> Vec<String> {
    let catalog = Catalog::new(OWNER, backups.to_vec());
    let plan = plan(&catalog, rules, &time_zone(zone).unwrap(), None);
    let mut lines: Vec<(usize, String)> = Vec::new();
    let at = |id: &str| catalog.backups().iter().position(|backup| backup.id == id).unwrap();
    for kept in &plan.keep {
        let reasons: Vec<String> = kept.reasons.iter().map(ToString::to_string).collect();
        lines.push((at(&kept.id), format!("{}: {}", kept.id, reasons.join(", "))));
    }
    for deleted in &plan.delete {
        lines.push((at(&deleted.id), format!("-{}: {}", deleted.id, deleted.reason)));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Returns the ids that one count rule keeps. Backups that only the minimum keeps are left out.
fn kept_by(bucket: Bucket, count: u32, times: &[&str], zone: &str) -> Vec<String> {
    let rules = keep(&[(bucket, count)]);
    let plan = plan(&Catalog::new(OWNER, verified(times)), &rules, &time_zone(zone).unwrap(), None);
    let by_rule = |kept: &Kept| kept.reasons.contains(&KeepReason::Rule(bucket));
    plan.keep.into_iter().filter(by_rule).map(|kept| kept.id).collect()
}

#[test]
fn retention_without_rules_deletes_nothing() {
    let mut backups = verified(&["2026-05-02T00:00:00Z", "2020-05-01T00:00:00Z"]);
    backups.push(backup("bad", "2020-01-01T00:00:00Z".parse().unwrap(), BackupState::Failed, &["shop"]));
    let expected = ["2026-05-02T00:00:00Z: no rules", "2020-05-01T00:00:00Z: no rules", "bad: no rules"];
    assert_eq!(shown(&backups, &keep(&[]), "UTC"), expected);
    // As in restic, a count of zero means that there is no rule.
    let mut zero = keep(&[(Bucket::Last, 0), (Bucket::Daily, 0)]);
    zero.keep_within.insert(Bucket::Last, "0d".parse().unwrap());
    assert!(zero.is_empty());
    assert_eq!(shown(&backups, &zero, "UTC"), expected);
}

#[test]
fn keep_last_keeps_the_newest_backups() {
    let times = ["2026-05-01T03:00:00Z", "2026-05-01T02:00:00Z", "2026-05-01T01:00:00Z"];
    assert_eq!(kept_by(Bucket::Last, 2, &times, "UTC"), times[..2]);
    assert_eq!(kept_by(Bucket::Last, 9, &times, "UTC"), times);
}

#[test]
fn keep_daily_keeps_the_newest_backup_of_each_day() {
    let times = [
        "2027-01-01T01:00:00Z",
        "2026-12-31T23:59:59Z",
        "2026-12-31T00:00:00Z",
        // Days and weeks without a backup do not use up the count.
        "2026-11-02T12:00:00Z",
        "2026-11-01T12:00:00Z",
        "2026-11-01T11:00:00Z",
    ];
    assert_eq!(kept_by(Bucket::Daily, 3, &times, "UTC"), [times[0], times[1], times[3]]);
    // In New York all three times around New Year are on 30 and 31 December.
    assert_eq!(kept_by(Bucket::Daily, 3, &times, "America/New_York"), [times[0], times[2], times[3]]);
    // In Tokyo they are on 31 December and 1 January.
    assert_eq!(kept_by(Bucket::Daily, 3, &times, "Asia/Tokyo"), [times[0], times[2], times[3]]);
}

#[test]
fn keep_daily_handles_days_of_23_and_25_hours() {
    // In Berlin, clocks are set forward on 29 March 2026 and back on 25 October 2026.
    let spring = ["2026-03-29T21:59:00Z", "2026-03-28T23:00:00Z", "2026-03-28T22:59:00Z"];
    assert_eq!(kept_by(Bucket::Daily, 2, &spring, "Europe/Berlin"), [spring[0], spring[2]]);
    let autumn = ["2026-10-25T22:59:00Z", "2026-10-24T22:00:00Z", "2026-10-24T21:59:00Z"];
    assert_eq!(kept_by(Bucket::Daily, 2, &autumn, "Europe/Berlin"), [autumn[0], autumn[2]]);
    // 02:30 comes twice on this day, and both times are on the same day.
    let twice = ["2026-10-25T01:30:00Z", "2026-10-25T00:30:00Z", "2026-10-24T00:30:00Z"];
    assert_eq!(kept_by(Bucket::Daily, 2, &twice, "Europe/Berlin"), [twice[0], twice[2]]);
}

#[test]
fn keep_rules_distinguish_the_same_date_of_two_years() {
    let times = ["2027-05-01T00:00:00Z", "2026-05-01T00:00:00Z"];
    for bucket in Bucket::all().skip(1) {
        assert_eq!(kept_by(bucket, 2, &times, "UTC"), times, "{bucket}");
    }
}

#[test]
fn keep_weekly_keeps_the_newest_backup_of_each_iso_week() {
    // 2026 has 53 weeks; the last one is from Monday 28 December to Sunday 3 January 2027.
    let times = [
        "2027-01-04T00:00:00Z",
        "2027-01-03T23:59:59Z",
        "2026-12-28T00:00:00Z",
        "2026-12-27T23:59:59Z",
        "2026-12-21T00:00:00Z",
    ];
    assert_eq!(kept_by(Bucket::Weekly, 9, &times, "UTC"), [times[0], times[1], times[3]]);
    // In New York, midnight UTC on Monday is still Sunday.
    assert_eq!(kept_by(Bucket::Weekly, 9, &times, "America/New_York"), [times[0], times[2], times[4]]);
    // In Tokyo, the last second of Sunday UTC is already Monday.
    assert_eq!(kept_by(Bucket::Weekly, 9, &times, "Asia/Tokyo"), [times[0], times[2], times[4]]);
}

#[test]
fn keep_weekly_uses_iso_weeks_across_new_year() {
    // Monday 30 December 2024 is in week 1 of 2025; Friday 1 January 2021 is in week 53 of 2020.
    let times = ["2025-01-05T00:00:00Z", "2024-12-30T00:00:00Z", "2024-01-01T00:00:00Z"];
    assert_eq!(kept_by(Bucket::Weekly, 9, &times, "UTC"), [times[0], times[2]]);
    let times = ["2021-01-04T00:00:00Z", "2021-01-01T00:00:00Z", "2020-12-28T00:00:00Z"];
    assert_eq!(kept_by(Bucket::Weekly, 9, &times, "UTC"), [times[0], times[1]]);
}

#[test]
fn keep_monthly_keeps_the_newest_backup_of_each_month() {
    let times = [
        "2027-01-01T00:30:00Z",
        "2026-12-31T23:30:00Z",
        "2026-12-01T00:00:00Z",
        "2026-11-30T23:59:59Z",
        "2025-11-30T00:00:00Z",
    ];
    assert_eq!(kept_by(Bucket::Monthly, 9, &times, "UTC"), [times[0], times[1], times[3], times[4]]);
    assert_eq!(kept_by(Bucket::Monthly, 9, &times, "America/New_York"), [times[0], times[2], times[4]]);
    assert_eq!(kept_by(Bucket::Monthly, 9, &times, "Asia/Tokyo"), [times[0], times[2], times[4]]);
}

#[test]
fn keep_hourly_keeps_the_newest_backup_of_each_clock_hour() {
    let times =
        ["2026-05-02T00:59:59Z", "2026-05-02T00:00:00Z", "2026-05-01T23:59:59Z", "2026-05-01T00:30:00Z"];
    assert_eq!(kept_by(Bucket::Hourly, 9, &times, "UTC"), [times[0], times[2], times[3]]);
    assert_eq!(kept_by(Bucket::Hourly, 2, &times, "UTC"), [times[0], times[2]]);
    // Kolkata is half an hour off full hours, so the first two times are in different hours there.
    assert_eq!(kept_by(Bucket::Hourly, 9, &times, "Asia/Kolkata"), [times[0], times[1], times[3]]);
    // In Berlin the hour from two to three comes twice on 25 October 2026.
    let twice = ["2026-10-25T01:30:00Z", "2026-10-25T00:30:00Z", "2026-10-24T23:30:00Z"];
    assert_eq!(kept_by(Bucket::Hourly, 9, &twice, "Europe/Berlin"), [twice[0], twice[2]]);
}

#[test]
fn keep_yearly_keeps_the_newest_backup_of_each_year() {
    let times =
        ["2027-01-01T00:30:00Z", "2026-12-31T23:30:00Z", "2026-01-01T00:00:00Z", "2020-06-01T00:00:00Z"];
    assert_eq!(kept_by(Bucket::Yearly, 9, &times, "UTC"), [times[0], times[1], times[3]]);
    assert_eq!(kept_by(Bucket::Yearly, 9, &times, "America/New_York"), [times[0], times[2], times[3]]);
    assert_eq!(kept_by(Bucket::Yearly, 9, &times, "Asia/Tokyo"), [times[0], times[2], times[3]]);
}

#[test]
fn keep_daily_of_minus_one_keeps_one_backup_of_every_day() {
    let backups = verified(&["2026-05-03T02:00:00Z", "2026-05-03T01:00:00Z", "2020-05-01T02:00:00Z"]);
    let mut rules = keep(&[]);
    rules.keep.insert(Bucket::Daily, Count::All);
    assert_eq!(
        shown(&backups, &rules, "UTC"),
        [
            "2026-05-03T02:00:00Z: newest verified, minimum verified, daily",
            "-2026-05-03T01:00:00Z: expired",
            "2020-05-01T02:00:00Z: daily",
        ]
    );
}

#[test]
fn keep_within_is_measured_from_the_newest_verified_backup() {
    let mut backups = verified(&[
        "2026-05-08T02:00:00Z",
        "2026-05-07T14:00:00Z",
        "2026-05-07T02:00:00Z",
        "2026-05-06T02:00:01Z",
        "2026-05-06T02:00:00Z",
        "2026-04-08T02:00:01Z",
    ]);
    // This backup is newer but not verified, so durations do not count back from it.
    backups.push(backup("bad", "2026-06-01T02:00:00Z".parse().unwrap(), BackupState::Failed, &["shop"]));
    let within = |rules: &[(Bucket, &str)]| Rules {
        keep_within: rules.iter().map(|(bucket, text)| (*bucket, text.parse().unwrap())).collect(),
        ..keep(&[])
    };
    let shown_of = |rules: &[(Bucket, &str)]| shown(&backups, &within(rules), "UTC")[1..].to_vec();
    assert_eq!(
        shown_of(&[(Bucket::Last, "2d")]),
        [
            "2026-05-08T02:00:00Z: newest verified, minimum verified, within",
            "2026-05-07T14:00:00Z: within",
            "2026-05-07T02:00:00Z: within",
            "2026-05-06T02:00:01Z: within",
            // Exactly two days old is too old.
            "-2026-05-06T02:00:00Z: expired",
            "-2026-04-08T02:00:01Z: expired",
        ]
    );
    assert_eq!(
        shown_of(&[(Bucket::Daily, "1m"), (Bucket::Last, "12h")]),
        [
            "2026-05-08T02:00:00Z: newest verified, minimum verified, within, daily within",
            "2026-05-07T14:00:00Z: daily within",
            "-2026-05-07T02:00:00Z: expired",
            "2026-05-06T02:00:01Z: daily within",
            "-2026-05-06T02:00:00Z: expired",
            "2026-04-08T02:00:01Z: daily within",
        ]
    );
}

#[test]
fn minimum_verified_ignores_retired_databases() {
    let at = |day: u32| format!("2026-05-{day:02}T00:00:00Z").parse().unwrap();
    let backups = [
        backup("new", at(5), BackupState::Verified, &["shop"]),
        backup("mixed", at(4), BackupState::Verified, &["shop", "legacy"]),
        backup("old", at(3), BackupState::Verified, &["legacy"]),
        backup("bad", at(2), BackupState::Failed, &["legacy2"]),
    ];
    let rules = keep(&[(Bucket::Last, 1)]);
    assert_eq!(
        shown(&backups, &rules, "UTC")[1..],
        ["mixed: minimum verified", "-old: expired", "bad: only backup"]
    );
    let retired = Rules { retired: ["legacy".to_owned(), "legacy2".to_owned()].into(), ..rules };
    assert_eq!(
        shown(&backups, &retired, "UTC"),
        [
            "new: newest verified, minimum verified, last",
            "-mixed: expired",
            "-old: expired",
            "-bad: check failed"
        ]
    );
    // The newest verified backup is kept even if all of its databases are retired.
    let all = Rules { retired: ["shop".to_owned()].into(), ..retired };
    assert_eq!(shown(&backups[..1], &all, "UTC"), ["new: newest verified, minimum verified, last"]);
}

#[test]
fn oldest_backup_is_kept_while_a_keep_rule_is_not_full() {
    let backups = verified(&["2026-05-03T02:00:00Z", "2026-05-02T02:00:00Z", "2026-05-01T02:00:00Z"]);
    let rules = keep(&[(Bucket::Last, 1), (Bucket::Monthly, 12)]);
    assert_eq!(
        shown(&backups, &rules, "UTC"),
        [
            "2026-05-03T02:00:00Z: newest verified, minimum verified, last, monthly",
            "-2026-05-02T02:00:00Z: expired",
            "2026-05-01T02:00:00Z: oldest monthly",
        ]
    );
    // If the rule has filled its buckets, it does not keep the oldest backup.
    let full = keep(&[(Bucket::Last, 1), (Bucket::Monthly, 1)]);
    assert_eq!(
        shown(&backups, &full, "UTC"),
        [
            "2026-05-03T02:00:00Z: newest verified, minimum verified, last, monthly",
            "-2026-05-02T02:00:00Z: expired",
            "-2026-05-01T02:00:00Z: expired",
        ]
    );
}

#[test]
fn minimum_verified_keeps_newest_backups_of_each_database() {
    let at = |day: i64| "2026-05-01T02:00:00Z".parse::<Timestamp>().unwrap() + (24 * day).hours();
    let backups = [
        backup("day5", at(5), BackupState::Verified, &["shop"]),
        backup("day4", at(4), BackupState::Verified, &["shop"]),
        backup("day3", at(3), BackupState::Verified, &["shop", "dropped"]),
        backup("day2", at(2), BackupState::Verified, &["shop", "dropped"]),
        backup("day1", at(1), BackupState::Verified, &["shop", "dropped"]),
        backup("day0", at(0), BackupState::Verified, &["shop", "ancient"]),
    ];
    let rules = Rules { minimum_verified: 2, ..keep(&[(Bucket::Last, 1)]) };
    assert_eq!(
        shown(&backups, &rules, "UTC"),
        [
            "day5: newest verified, minimum verified, last",
            "day4: minimum verified",
            "day3: minimum verified",
            "day2: minimum verified",
            "-day1: expired",
            "day0: minimum verified",
        ]
    );
    // Validation rejects a minimum of 0. If one occurred anyway, one backup of each database would be kept.
    let none = Rules { minimum_verified: 0, ..rules.clone() };
    let kept = ["day5: newest verified, minimum verified, last", "-day4: expired"];
    assert_eq!(shown(&backups[..2], &none, "UTC"), kept);
}

#[test]
fn corrupted_backup_is_kept_until_enough_newer_are_verified() {
    let at = |day: i64| "2026-05-01T02:00:00Z".parse::<Timestamp>().unwrap() + (24 * day).hours();
    let backups = [
        backup("bad5", at(5), BackupState::Failed, &["shop"]),
        backup("day4", at(4), BackupState::Verified, &["shop"]),
        backup("bad3", at(3), BackupState::Failed, &["shop"]),
        backup("day2", at(2), BackupState::Verified, &["shop"]),
        backup("bad1", at(1), BackupState::Failed, &["shop"]),
        backup("lost", at(0), BackupState::Failed, &["shop", "gone"]),
    ];
    let rules = Rules { minimum_verified: 2, ..keep(&[(Bucket::Last, 2)]) };
    assert_eq!(
        shown(&backups, &rules, "UTC"),
        [
            "bad5: awaiting verified",
            "day4: newest verified, minimum verified, last",
            "bad3: awaiting verified",
            "day2: minimum verified, last",
            "-bad1: check failed",
            // The check failed, but no other backup has this database.
            "lost: only backup",
        ]
    );
    let one = Rules { minimum_verified: 0, ..rules.clone() };
    assert_eq!(shown(&backups, &one, "UTC")[0], "bad5: awaiting verified", "at least one newer good one");
}

#[test]
fn backup_of_other_policy_is_kept_and_not_counted_by_rules() {
    let mut backups = verified(&["2026-05-03T02:00:00Z", "2026-05-02T02:00:00Z", "2026-05-01T02:00:00Z"]);
    backups[0].policy_uid = "uid-2".into();
    let rules = keep(&[(Bucket::Last, 1)]);
    assert_eq!(
        shown(&backups, &rules, "UTC"),
        [
            "2026-05-03T02:00:00Z: foreign",
            "2026-05-02T02:00:00Z: newest verified, minimum verified, last",
            "-2026-05-01T02:00:00Z: expired",
        ]
    );
    assert_eq!(shown(&backups, &keep(&[]), "UTC")[0], "2026-05-03T02:00:00Z: foreign");
}

#[test]
fn backups_with_equal_snapshot_times_are_ordered_by_id() {
    let at: Timestamp = "2026-05-01T02:00:00Z".parse().unwrap();
    let backups = ["b", "c", "a"].map(|id| backup(id, at, BackupState::Verified, &["shop"]));
    let rules = keep(&[(Bucket::Daily, 1)]);
    assert_eq!(
        shown(&backups, &rules, "UTC"),
        ["c: newest verified, minimum verified, daily", "-b: expired", "-a: expired"]
    );
}

#[test]
fn prune_plan_counts_kept_backups_by_reason() {
    let backups = verified(&["2026-05-03T02:00:00Z", "2026-05-02T02:00:00Z", "2026-05-01T02:00:00Z"]);
    let rules = Rules { minimum_verified: 2, ..keep(&[(Bucket::Last, 2), (Bucket::Monthly, 2)]) };
    let counts = plan(&Catalog::new(OWNER, backups), &rules, &TimeZone::UTC, None).counts();
    let expected: BTreeMap<String, u32> =
        [("newest verified", 1), ("minimum verified", 2), ("last", 2), ("monthly", 1), ("oldest monthly", 1)]
            .map(|(reason, count)| (reason.to_owned(), count))
            .into();
    assert_eq!(counts, expected);
}

/// If the older verified backup were deleted, a failed backup would be the only one of database b.
#[test]
fn newest_verified_backup_of_each_database_is_kept() {
    let at = |day: u32| format!("2026-05-{day:02}T00:00:00Z").parse().unwrap();
    let backups = [
        backup("new", at(4), BackupState::Verified, &["a"]),
        backup("bad", at(3), BackupState::Failed, &["b"]),
        backup("old", at(2), BackupState::Verified, &["b"]),
        backup("older", at(1), BackupState::Verified, &["a"]),
    ];
    let rules = Rules { minimum_verified: 0, ..keep(&[(Bucket::Last, 1)]) };
    assert_eq!(
        shown(&backups, &rules, "UTC"),
        [
            "new: newest verified, minimum verified, last",
            "-bad: check failed",
            "old: minimum verified",
            "-older: expired"
        ]
    );
}

#[test]
fn new_backup_is_kept_despite_backups_dated_in_the_future() {
    // The server's clock was a year ahead for some time and was then corrected.
    let times =
        ["2027-05-02T00:00:00Z", "2027-05-01T00:00:00Z", "2026-05-03T00:00:00Z", "2026-05-02T00:00:00Z"];
    let rules = keep(&[(Bucket::Last, 2)]);
    let plan = plan(&Catalog::new(OWNER, verified(&times)), &rules, &TimeZone::UTC, Some(times[2]));
    let kept: Vec<&str> = plan.keep.iter().map(|kept| kept.id.as_str()).collect();
    assert_eq!(kept, times[..3]);
    assert_eq!(plan.keep[2].reasons, [KeepReason::JustMade]);
    assert_eq!(plan.delete[0].id, times[3]);
}

#[test]
fn keep_within_ignores_backups_dated_in_the_future() {
    let times =
        ["2027-05-01T00:00:00Z", "2026-05-03T00:00:00Z", "2026-05-02T00:00:00Z", "2026-04-01T00:00:00Z"];
    let rules = Rules {
        keep_within: [(Bucket::Last, "14d".parse().unwrap())].into(),
        minimum_verified: 1,
        ..Rules::default()
    };
    let seen_at = |now: &str| {
        let catalog = Catalog::new(OWNER, verified(&times)).seen_at(now.parse().unwrap());
        plan(&catalog, &rules, &TimeZone::UTC, None)
            .delete
            .into_iter()
            .map(|backup| backup.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(seen_at("2026-05-04T00:00:00Z"), [times[3]]);
    assert_eq!(seen_at("2027-05-01T12:00:00Z"), times[1..], "it is the newest by now");
    // All snapshots are in the future: the node's clock is behind.
    assert_eq!(seen_at("2026-01-01T00:00:00Z"), Vec::<String>::new());
}

#[test]
fn prune_plan_for_an_empty_repository_is_empty() {
    let rules = keep(&[(Bucket::Last, 1)]);
    assert_eq!(plan(&Catalog::new(OWNER, vec![]), &rules, &TimeZone::UTC, None), PrunePlan::default());
}

/// Parses rules from options such as `--keep-daily=7 --keep-within=2d12h`.
fn rules_of(options: &str) -> Rules {
    let mut rules = keep(&[]);
    for option in options.split(' ') {
        let (name, value) = option.trim_start_matches("--").split_once('=').unwrap();
        for bucket in Bucket::all() {
            if name == flag::keep(bucket) {
                rules.keep.insert(bucket, value.parse().unwrap());
            } else if name == flag::keep_within(bucket) {
                rules.keep_within.insert(bucket, value.parse().unwrap());
            }
        }
    }
    rules
}

#[test]
fn retention_rules_keep_the_same_backups_as_restic() {
    let mut zone = "";
    let mut times: Vec<&str> = Vec::new();
    let mut compared = 0;
    for line in include_str!("restic.txt").lines() {
        match line.split_once(' ').unwrap() {
            ("zone", name) => (zone, times) = (name, Vec::new()),
            ("at", time) => times.push(time),
            ("rules", rest) => {
                let (options, kept) = rest.split_once(" keep ").unwrap();
                let kept: Vec<&str> =
                    kept.split(',').map(|place| times[place.parse::<usize>().unwrap()]).collect();
                let catalog = Catalog::new(OWNER, verified(&times));
                let plan = plan(&catalog, &rules_of(options), &time_zone(zone).unwrap(), None);
                let ours: Vec<&str> = plan.keep.iter().map(|kept| kept.id.as_str()).collect();
                assert_eq!(ours, kept, "{zone}: {options}");
                compared += 1;
            }
            _ => {}
        }
    }
    assert_eq!(compared, 141);
}

fn any_backups() -> impl Strategy<Value = Vec<CatalogBackup>> {
    // Times are full hours within three years, so some are equal. A quarter of the backups failed their
    // check, and a few belong to another policy.
    let one = (0_i64..26_000, 0..4_u8, 0..20_u8, prop::sample::subsequence(vec!["a", "b", "c"], 0..=3));
    prop::collection::vec(one, 0..60).prop_map(|backups| {
        let start: Timestamp = "2025-12-01T00:00:00Z".parse().unwrap();
        let build = |(n, (hour, state, owner, databases)): (usize, (i64, u8, u8, Vec<&str>))| {
            let state = if state == 0 { BackupState::Failed } else { BackupState::Verified };
            let mut backup = backup(&format!("backup-{n}"), start + hour.hours(), state, &databases);
            if owner == 0 {
                backup.policy_uid = "uid-2".into();
            }
            backup
        };
        backups.into_iter().enumerate().map(build).collect()
    })
}

fn any_count() -> impl Strategy<Value = Count> {
    prop_oneof![30 => (0..15_u32).prop_map(Count::Newest), 1 => Just(Count::All)]
}

fn any_within() -> impl Strategy<Value = Within> {
    (0..3_u8, 0..14_u8, 0..40_u8, 0..30_u8)
        .prop_map(|(y, m, d, h)| format!("{y}y{m}m{d}d{h}h").parse().unwrap())
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let bucket = || prop::sample::select(Bucket::all().collect::<Vec<_>>());
    (
        prop::collection::btree_map(bucket(), any_count(), 0..5),
        prop::collection::btree_map(bucket(), any_within(), 0..3),
        0..5_u32,
        prop::sample::subsequence(vec!["a".to_owned(), "gone".to_owned()], 0..=2),
    )
        .prop_map(|(keep, keep_within, minimum_verified, retired)| Rules {
            keep,
            keep_within,
            minimum_verified,
            retired: retired.into_iter().collect(),
        })
}

fn any_zone() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland"])
        .prop_map(|name| time_zone(name).unwrap())
}

fn deleted(plan: &PrunePlan) -> BTreeSet<&str> {
    plan.delete.iter().map(|deleted| deleted.id.as_str()).collect()
}

/// Checks the properties that every plan must have.
fn check(catalog: &Catalog, rules: &Rules, plan: &PrunePlan) -> Result<(), TestCaseError> {
    let gone = deleted(plan);
    let kept: BTreeSet<&str> = plan.keep.iter().map(|kept| kept.id.as_str()).collect();
    let all: BTreeSet<&str> = catalog.backups().iter().map(|backup| backup.id.as_str()).collect();
    prop_assert!(gone.is_disjoint(&kept));
    prop_assert_eq!(&(&gone | &kept), &all);
    prop_assert_eq!(plan.keep.len() + plan.delete.len(), all.len());
    prop_assert!(plan.keep.iter().all(|kept| !kept.reasons.is_empty()));
    if let Some(newest) = catalog.verified().next() {
        prop_assert!(kept.contains(newest.id.as_str()), "the newest verified backup");
    }
    let databases: BTreeSet<&String> = catalog.verified().flat_map(|backup| &backup.databases).collect();
    let databases: Vec<&String> =
        databases.into_iter().filter(|name| !rules.retired.contains(*name)).collect();
    let minimum = usize::try_from(rules.minimum_verified.max(1)).unwrap();
    for database in databases {
        for backup in catalog.verified().filter(|backup| backup.databases.contains(database)).take(minimum) {
            prop_assert!(kept.contains(backup.id.as_str()), "{} holds {database}", backup.id);
        }
    }
    for backup in catalog.backups().iter().filter(|backup| gone.contains(backup.id.as_str())) {
        prop_assert!(catalog.owns(backup), "{} is of another policy", backup.id);
        prop_assert!(!rules.is_empty());
        if backup.state == BackupState::Failed {
            let newer = catalog.verified().filter(|good| good.snapshot_time >= backup.snapshot_time).count();
            prop_assert!(newer >= minimum.max(1), "{} has {newer} newer good ones", backup.id);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_prune_plan_keeps_minimum_verified_backups(backups in any_backups(), rules in any_rules(), zone in any_zone()) {
        let catalog = Catalog::new(OWNER, backups);
        check(&catalog, &rules, &plan(&catalog, &rules, &zone, None))?;
    }

    #[test]
    fn prune_plan_does_not_depend_on_the_order_of_backups(
        (backups, shuffled) in any_backups().prop_flat_map(|backups| (Just(backups.clone()), Just(backups).prop_shuffle())),
        rules in any_rules(),
        zone in any_zone(),
    ) {
        prop_assert_eq!(
            plan(&Catalog::new(OWNER, backups), &rules, &zone, None),
            plan(&Catalog::new(OWNER, shuffled), &rules, &zone, None)
        );
    }

    #[test]
    fn second_prune_deletes_no_further_backups(
        backups in any_backups(), rules in any_rules(), zone in any_zone(),
    ) {
        let first = plan(&Catalog::new(OWNER, backups.clone()), &rules, &zone, None);
        let gone = deleted(&first);
        let left: Vec<CatalogBackup> = backups.into_iter().filter(|backup| !gone.contains(backup.id.as_str())).collect();
        let second = plan(&Catalog::new(OWNER, left), &rules, &zone, None);
        prop_assert_eq!(&second.delete, &vec![]);
        prop_assert_eq!(second.keep.len(), first.keep.len());
        for (again, before) in second.keep.iter().zip(&first.keep) {
            prop_assert_eq!(&again.id, &before.id);
            // A duration rule keeps the oldest backup of all, as in restic, and after pruning the oldest may
            // be another one.
            prop_assert!(before.reasons.iter().all(|reason| again.reasons.contains(reason)), "{:?}", before);
        }
    }

    #[test]
    fn larger_keep_rules_never_delete_more_backups(
        backups in any_backups(), rules in any_rules(), more in any_rules(), zone in any_zone(),
    ) {
        // Adding a first rule is excluded: without rules nothing is deleted.
        prop_assume!(!rules.is_empty());
        let mut raised = rules.clone();
        for (bucket, by) in more.keep {
            let count = raised.keep.entry(bucket).or_insert(Count::Newest(0));
            *count = match (*count, by) {
                (Count::Newest(n), Count::Newest(by)) => Count::Newest(n + by),
                _ => Count::All,
            };
        }
        for (bucket, within) in more.keep_within {
            raised.keep_within.entry(bucket).or_insert(within);
        }
        raised.minimum_verified += more.minimum_verified;
        raised.retired.clear();
        let catalog = Catalog::new(OWNER, backups);
        let before = plan(&catalog, &rules, &zone, None);
        let after = plan(&catalog, &raised, &zone, None);
        prop_assert!(deleted(&after).is_subset(&deleted(&before)));
    }

    #[test]
    fn keep_rules_count_only_verified_backups_of_this_policy(backups in any_backups(), rules in any_rules(), zone in any_zone()) {
        let catalog = Catalog::new(OWNER, backups.clone());
        let good: Vec<CatalogBackup> = catalog.verified().cloned().collect();
        let ids: BTreeSet<String> = good.iter().map(|backup| backup.id.clone()).collect();
        let mut with = plan(&catalog, &rules, &zone, None);
        with.keep.retain(|kept| ids.contains(&kept.id));
        with.delete.retain(|deleted| ids.contains(&deleted.id));
        prop_assert_eq!(with, plan(&Catalog::new(OWNER, good), &rules, &zone, None));
    }
}

/// Returns whether the rules keep few backups. With other rules the simulated repository would hold thousands
/// of backups.
fn keep_few(rules: &Rules) -> bool {
    let counting = rules.keep.values().all(|count| *count != Count::All);
    !rules.is_empty() && counting && rules.keep_within.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Simulates three years with two backups a day: some runs store none, some backups fail a later check,
    /// one database is removed and one is added. The plan is executed after each backup.
    #[test]
    fn minimum_verified_is_kept_through_years_of_pruning(
        fates in prop::collection::vec((0..100_u8, any::<prop::sample::Index>()), 2200),
        rules in any_rules().prop_filter("rules that keep few", keep_few),
        zone in any_zone(),
    ) {
        let schedule = Schedule::parse("H */12 * * *", "shop/nightly").unwrap();
        let mut now: Timestamp = "2025-12-01T00:00:00Z".parse().unwrap();
        let mut backups: Vec<CatalogBackup> = Vec::new();
        let mut stored: BTreeSet<&str> = BTreeSet::new();
        for (n, (fate, which)) in fates.iter().enumerate() {
            now = schedule.after(&zone, now).unwrap();
            match fate {
                // The run stores no backup.
                0..10 => continue,
                // A scrub finds an older backup corrupted.
                10..13 if !backups.is_empty() => which.get_mut(&mut backups).state = BackupState::Failed,
                _ => {}
            }
            let databases: &[&str] = match n {
                0..500 => &["shop", "old"],
                500..1000 => &["shop"],
                _ => &["shop", "new"],
            };
            stored.extend(databases);
            backups.push(backup(&format!("backup-{n:05}"), now, BackupState::Verified, databases));
            let catalog = Catalog::new(OWNER, backups.clone());
            let plan = plan(&catalog, &rules, &zone, None);
            check(&catalog, &rules, &plan)?;
            let gone = deleted(&plan);
            backups.retain(|backup| !gone.contains(backup.id.as_str()));
            prop_assert!(backups.len() < 100, "a store under rules does not grow for ever: {}", backups.len());
            let held = |name: &&&str| backups.iter().any(|backup| backup.databases.contains(**name));
            prop_assert_eq!(stored.iter().find(|name| !held(name)), None, "no database ever vanishes");
        }
    }
}
