//! The kinds of simulated policies, by the frequency of their backups.

use api::BackupPolicy;
use serde_json::json;

use super::{
    random::Random,
    time::{DAY, HOUR, SECOND, at},
};

/// A frequency of backups: its period, and schedules of this frequency.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub period: i64,
    pub schedules: &'static [&'static str],
}

pub const FREQUENT: Kind =
    Kind { period: 2 * HOUR, schedules: &["H */2 * * *", "30 1-23/2 * * *", "0 */2 * * *"] };
pub const OFTEN: Kind =
    Kind { period: 6 * HOUR, schedules: &["H */6 * * *", "15 2,8,14,20 * * *", "30 1-23/6 * * *"] };
pub const DAILY: Kind = Kind {
    period: DAY,
    schedules: &["H H(0-6) * * *", "30 2 * * *", "@daily", "45 1 * * *", "15 23 * * 1-5"],
};
pub const WEEKLY: Kind =
    Kind { period: 7 * DAY, schedules: &["@weekly", "30 2 * * 0", "H H * * 6", "0 12 * * 3"] };
pub const MONTHLY: Kind =
    Kind { period: 30 * DAY, schedules: &["@monthly", "H 3 1 * *", "30 2 15 * *", "0 12 31 * *"] };

pub const ZONES: [&str; 8] = [
    "Etc/UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Santiago",
    "Pacific/Auckland",
    "Africa/Cairo",
];

/// Returns a random policy of this kind, created at `now`.
pub fn policy(random: &mut Random, index: u64, kind: Kind, checksum: bool, now: i64) -> BackupPolicy {
    let retention = random.pick(&[
        r#"{"keepLast": 1, "minimumVerified": 1}"#,
        r#"{"keepLast": 3}"#,
        r#"{"keepDaily": 7, "keepWeekly": 4, "keepMonthly": 6}"#,
        r#"{"keepWithin": "14d", "minimumVerified": 2}"#,
        r#"{"keepHourly": 24, "keepWithinDaily": "30d", "minimumVerified": 5}"#,
        r#"{"keepLast": 60}"#,
    ]);
    let retention: serde_json::Value = serde_json::from_str(retention).expect("rules should be JSON");
    let level = if checksum { "Checksum" } else { "Archive" };
    let mut verification = json!({ "level": level });
    if random.percent(35) {
        let slow = ["@monthly", "H H 3 * *", "30 2 29 * *"];
        let fast = ["@weekly", "H H * * 3", "@monthly"];
        let schedule = random.pick(if kind.period > 7 * DAY { &slow } else { &fast });
        verification["scrub"] = json!({ "schedule": schedule, "share": random.pick(&[10, 34, 100]) });
    }
    let max_age = random.percent(15).then(|| format!("{}h", kind.period * 3 / HOUR / 2 + 3));
    serde_json::from_value(json!({
        "apiVersion": "pgbackup.dev/v1alpha1",
        "kind": "BackupPolicy",
        "metadata": {
            "namespace": "shop", "name": format!("p{index}"), "uid": "owner", "generation": 1,
            "creationTimestamp": at(now / SECOND * SECOND),
        },
        "spec": {
            "schedule": random.pick(kind.schedules),
            "timeZone": random.pick(&ZONES),
            "catchUp": random.percent(60),
            "postgres": { "version": 17, "connection": {
                "host": "db", "user": "backup", "passwordSecretRef": { "name": "db", "key": "password" },
            }},
            "storage": { "volume": { "claimName": "backups" } },
            "retention": retention,
            "verification": verification,
            "objectives": max_age.map_or_else(|| json!({}), |age| json!({ "maxAge": age })),
        },
    }))
    .expect("a policy should be one")
}
