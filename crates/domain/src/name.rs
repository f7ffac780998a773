//! The names of CronJobs, Jobs, backups and files: how they are built, validated and parsed.

use jiff::{Timestamp, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode_byte, utf8_percent_encode};

use crate::{hash, operation::Operation};

/// The maximum length of a policy's name. Kubernetes limits a CronJob's name to 52 characters, because Job
/// names append 11 more. A policy's longest CronJob name is the policy's name with `-backup`.
pub const POLICY_NAME_MAX: usize = 45;

/// The maximum length of a Kubernetes object's name.
const OBJECT_NAME_MAX: usize = 253;

/// An error: the text is not a valid name of a namespace, a policy or a Job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a valid name: a name has at most 253 letters, digits, \"-\", \"_\" and \".\", and starts with a letter or digit"
)]
pub struct InvalidName {
    /// The rejected text.
    pub text: String,
}

/// Validates the name of a namespace, a policy or a Job, which becomes the name of a folder or file in a
/// repository. Accepts every name that Kubernetes allows. An accepted name cannot point outside its folder.
///
/// # Errors
///
/// [`InvalidName`] if the text is empty, too long, or has other characters or another first character, as in
/// `..` and `a/b`.
pub fn valid(text: &str) -> Result<String, InvalidName> {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let starts = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    if starts && text.len() <= OBJECT_NAME_MAX && text.bytes().all(is_inner) {
        Ok(text.to_owned())
    } else {
        Err(InvalidName { text: text.to_owned() })
    }
}

/// Returns the name of the CronJob that runs an operation for a policy: `<policy>-<operation>`.
pub fn cron_job(policy: &str, operation: Operation) -> String {
    format!("{policy}-{}", operation.as_str())
}

/// Splits a CronJob's name into its operation and its policy. Returns `None` if the name does not end with an
/// operation's name.
pub fn of_cron_job(name: &str) -> Option<(Operation, &str)> {
    let (policy, operation) = name.rsplit_once('-')?;
    Some((operation.parse().ok()?, policy))
}

/// Returns the name of the Job that the annotation `pgbackup.dev/requested-at` with the value `token`
/// requests. Equal values give equal names, so each value starts only one run.
pub fn requested_job(policy: &str, token: &str) -> String {
    format!("{}-r{}", cron_job(policy, Operation::Backup), hash::short(token, 8))
}

/// Returns the scheduled time of a Job that the CronJob controller created: the controller appends it to the
/// CronJob's name in minutes since 1970. Returns `None` for other names, which are those of manual runs.
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

/// The length of every backup's name, in bytes.
pub const BACKUP_ID_LENGTH: usize = 23;

/// Returns a backup's name: the snapshot time in UTC to the second, and six hexadecimal digits of a hash of
/// `token`, which must be unique to the attempt. The hash distinguishes two backups with the same time: on a
/// standby whose primary is idle, the snapshot time does not advance.
pub fn backup_id(snapshot: Timestamp, token: &str) -> String {
    format!("{}-{}", backup_time(snapshot), hash::short(token, 6))
}

/// Formats a snapshot time as at the beginning of a backup's name, for example `20260501T020003Z`.
pub fn backup_time(snapshot: Timestamp) -> String {
    snapshot.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Returns whether `name` has the form of a backup's name. Folders with other names are never listed and
/// never deleted.
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

/// Returns whether a backup's name begins with the time of `snapshot`, to the second.
pub fn is_of_snapshot(backup: &str, snapshot: Timestamp) -> bool {
    let (time, _) = backup.split_once('-').unwrap_or_default();
    backup_id(snapshot, "").split_once('-').is_some_and(|(wanted, _)| wanted == time)
}

/// The characters of a database's name that file names keep. All others are percent-encoded.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

/// Returns the file name of a database's archive. Database names can have any characters, so everything
/// outside `[A-Za-z0-9._-]` is percent-encoded. A leading dot or dash is encoded too: the file is never
/// hidden, and no program reads its name as an option.
pub fn archive_file(database: &str) -> String {
    format!("{}.dump", file_stem(database))
}

/// Returns the file name of a database's list of tables, which is used if the list is too long for the
/// manifest.
pub fn tables_file(database: &str) -> String {
    format!("{}.tables.json", file_stem(database))
}

fn file_stem(database: &str) -> String {
    let encoded = utf8_percent_encode(database, PLAIN).to_string();
    match encoded.as_bytes().first() {
        Some(first @ (b'.' | b'-')) => format!("{}{}", percent_encode_byte(*first), &encoded[1..]),
        _ => encoded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheduled_time_is_parsed_from_the_job_name() {
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
    fn backup_id_starts_with_its_snapshot_time() {
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
    fn database_name_cannot_escape_the_backup_folder() {
        assert_eq!(archive_file("shop"), "shop.dump");
        assert_eq!(archive_file("../etc"), "%2E.%2Fetc.dump");
        assert_eq!(archive_file("a.b-c_d"), "a.b-c_d.dump");
        assert_eq!(archive_file("dbname=t host=x"), "dbname%3Dt%20host%3Dx.dump");
        assert_eq!(archive_file("Größe"), "Gr%C3%B6%C3%9Fe.dump");
    }

    #[test]
    fn archive_file_name_never_starts_with_a_dash() {
        assert_eq!(archive_file("-f"), "%2Df.dump");
        assert_eq!(archive_file("--"), "%2D-.dump");
        assert_eq!(tables_file("-f"), "%2Df.tables.json");
    }

    #[test]
    fn requested_job_has_a_valid_name_for_any_requested_at() {
        let name = requested_job(&"p".repeat(POLICY_NAME_MAX), "2026-11-23 02:15 / ops ☎");
        assert!(name.len() <= 63, "{name}");
        assert_eq!(slot(&cron_job(&"p".repeat(POLICY_NAME_MAX), Operation::Backup), &name), None);
    }

    #[test]
    fn valid_kubernetes_object_names_are_accepted() {
        for text in ["shop", "shop-eu.v2", "by-hand", "My_Job", "0", &"x".repeat(OBJECT_NAME_MAX)] {
            assert_eq!(valid(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn object_name_unsafe_as_a_file_name_is_rejected() {
        let long = "x".repeat(OBJECT_NAME_MAX + 1);
        for text in
            ["", ".", "..", "../../x", "a/b", "/etc", ".hidden", "-x", "a\\b", "a b", "a\0", "é", &long]
        {
            assert_eq!(valid(text), Err(InvalidName { text: text.to_owned() }));
        }
    }

    #[test]
    fn operation_and_policy_are_parsed_from_cron_job_name() {
        for operation in Operation::all() {
            let cron_job_name = cron_job("shop-eu", operation);
            assert!(cron_job(&"p".repeat(POLICY_NAME_MAX), operation).len() <= 52);
            assert_eq!(of_cron_job(&cron_job_name), Some((operation, "shop-eu")));
        }
        assert_eq!(of_cron_job("shop-eu"), None);
    }
}
