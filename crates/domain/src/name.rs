//! The names of things that are made: CronJobs, Jobs, backups, files; and what can be read back from them.

use jiff::{Timestamp, tz::TimeZone};

use crate::{hash, operation::Operation};

/// The longest name of a policy. A CronJob's name may have 52 characters (its Jobs get 11 more), and the
/// longest of ours is the policy's name with `-backup` behind it.
pub const POLICY_NAME_MAX: usize = 45;

/// The Job of one `pgbackup.dev/requested-at` token: the same token gives the same name, so that it runs once.
pub fn requested_job(policy: &str, token: &str) -> String {
    format!("{}-r{}", Operation::Backup.cron_job(policy), hash::short(token, 8))
}

/// The slot that a Job of `cron_job` stands for: the CronJob controller names its Jobs after the scheduled
/// time in minutes since 1970. `None` for any other name: a manual run.
pub fn slot(cron_job: &str, job: &str) -> Option<Timestamp> {
    let digits = job.strip_prefix(cron_job)?.strip_prefix('-')?;
    let canonical =
        !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    if !canonical {
        return None;
    }
    let minutes: i64 = digits.parse().ok()?;
    Timestamp::from_second(minutes.checked_mul(60)?).ok()
}

/// How long the name of a backup is.
pub const BACKUP_ID_LENGTH: usize = 23;

/// The name of a backup: the snapshot's time in UTC to the second, and six digits that tell apart the tries of one second,
/// each of which has a `token` of its own. On a standby whose primary is idle the time stands still.
pub fn backup_id(snapshot: Timestamp, token: &str) -> String {
    format!("{}-{}", backup_time(snapshot), hash::short(token, 6))
}

/// What the names of the backups of a snapshot begin with.
pub fn backup_time(snapshot: Timestamp) -> String {
    snapshot.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Whether `name` has the shape of a backup's name. What does not is never listed and never deleted.
pub fn is_backup_id(name: &str) -> bool {
    let shape = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        16 => byte == b'-',
        0..=14 => byte.is_ascii_digit(),
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    };
    name.len() == BACKUP_ID_LENGTH && name.bytes().enumerate().all(shape)
}

/// Whether a backup's name says that its snapshot is this one, to the second.
pub fn is_of_snapshot(backup: &str, snapshot: Timestamp) -> bool {
    let (time, _) = backup.split_once('-').unwrap_or_default();
    backup_id(snapshot, "").split_once('-').is_some_and(|(wanted, _)| wanted == time)
}

/// The file of a database's archive. Database names are the attacker's: everything outside `[A-Za-z0-9._-]`
/// is percent-encoded, and so is a leading dot.
pub fn archive_file(database: &str) -> String {
    format!("{}.dump", file_stem(database))
}

/// The file of a database's list of tables, where that is long.
pub fn tables_file(database: &str) -> String {
    format!("{}.tables.json", file_stem(database))
}

/// The encoded name, without its ending.
fn file_stem(database: &str) -> String {
    let mut stem = String::with_capacity(database.len());
    for (at, byte) in database.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || (byte == b'.' && at > 0);
        if plain {
            stem.push(char::from(byte));
        } else {
            stem.push('%');
            stem.push_str(&hash::hex(&[byte]).to_uppercase());
        }
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_read_from_the_name_that_the_cron_job_controller_gives() {
        let slot_of = |job| slot("shop-backup", job).map(|t| t.to_string());
        assert_eq!(slot_of("shop-backup-29730375").as_deref(), Some("2026-07-12T02:15:00Z"));
        for manual in [
            "shop-backup-r1a2b3c4d",
            "shop-backup-",
            "shop-backup",
            "shop-backup-012",
            "other-29730375",
            "mine",
        ] {
            assert_eq!(slot_of(manual), None, "{manual}");
        }
    }

    #[test]
    fn a_backup_is_named_by_its_snapshot_and_its_job() {
        let id = backup_id("2026-11-22T02:15:00.734Z".parse().unwrap(), "7b1f7b36");
        assert!(id.starts_with("20261122T021500Z-"), "{id}");
        assert!(is_backup_id(&id));
        assert!(is_of_snapshot(&id, "2026-11-22T02:15:00Z".parse().unwrap()));
        assert!(!is_of_snapshot(&id, "2026-11-22T02:15:01Z".parse().unwrap()));
        for other in [
            "runs",
            "20261122T021500Z",
            "20261122T021500Z-1A2B3C",
            "repository.json",
            "20261122T021500Z-1a2b3c.x",
        ] {
            assert!(!is_backup_id(other), "{other}");
        }
    }

    #[test]
    fn a_database_name_cannot_leave_its_folder() {
        assert_eq!(archive_file("shop"), "shop.dump");
        assert_eq!(archive_file("../etc"), "%2E.%2Fetc.dump");
        assert_eq!(archive_file("dbname=t host=x"), "dbname%3Dt%20host%3Dx.dump");
        assert_eq!(archive_file("Größe"), "Gr%C3%B6%C3%9Fe.dump");
    }

    #[test]
    fn a_requested_job_has_a_legal_name_whatever_the_token() {
        let name = requested_job(&"p".repeat(POLICY_NAME_MAX), "2026-11-23 02:15 / ops ☎");
        assert!(name.len() <= 63, "{name}");
        assert_eq!(slot(&Operation::Backup.cron_job(&"p".repeat(POLICY_NAME_MAX)), &name), None);
    }
}
