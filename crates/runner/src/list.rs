//! The subcommand `list`: prints the stored backups of a policy as a table or as JSON.

use domain::{catalog::BackupState, manifest::Level, name, size};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    args::{Output, StoredArgs},
    store::{Listing, Repository, StoreError, StoredBackup},
};

/// Returns the list of stored backups, newest first, as text to print.
pub async fn list(stored: &StoredArgs, output: Output) -> Result<String, StoreError> {
    let repository = Repository::open_read_only(&stored.target(), &stored.namespace, &stored.policy)?;
    Ok(format(&repository.list().await?, output))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: &'a str,
    snapshot_time: Timestamp,
    size_bytes: u64,
    state: &'static str,
    checked: Timestamp,
    databases: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn new(backup: &'a StoredBackup) -> Self {
        Self {
            id: &backup.entry.id,
            snapshot_time: backup.entry.snapshot_time,
            size_bytes: backup.entry.size_bytes,
            state: match backup.entry.state {
                BackupState::Verified if backup.level == Level::Checksum => "Stored",
                BackupState::Verified => "Verified",
                BackupState::Suspicious => "Suspicious",
                BackupState::Failed => "Failed",
            },
            checked: backup.checked,
            databases: backup.entry.databases.iter().map(String::as_str).collect(),
        }
    }
}

fn format(listing: &Listing, output: Output) -> String {
    let rows: Vec<Row<'_>> = listing.backups.iter().rev().map(Row::new).collect();
    match output {
        Output::Json => {
            serde_json::to_string_pretty(&rows).expect("names and numbers should always be JSON") + "\n"
        }
        Output::Table => table(&rows, listing),
    }
}

fn table(rows: &[Row<'_>], listing: &Listing) -> String {
    let line = |id: &str, state: &str, size: &str, checked: &str, rest: &str| {
        let width = name::BACKUP_ID_LENGTH;
        format!("{id:<width$}  {state:<10}  {size:>10}  {checked:<20}  {rest}\n")
    };
    let backups = rows.iter().map(|row| {
        let checked = row.checked.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let databases: Vec<String> =
            row.databases.iter().map(|database| quoted_if_needed(database)).collect();
        line(row.id, row.state, &size::human(row.size_bytes), &checked, &databases.join(", "))
    });
    let unreadable =
        listing.unreadable.iter().map(|(id, why)| line(id, "Unreadable", "", "", &one_line(why)));
    [line("BACKUP", "STATE", "SIZE", "CHECKED", "DATABASES")]
        .into_iter()
        .chain(backups)
        .chain(unreadable)
        .collect()
}

/// Returns the name unchanged if it cannot be misread in the table; otherwise escaped and in double quotes.
fn quoted_if_needed(name: &str) -> String {
    let quoted = format!("{name:?}");
    if quoted.len() == name.len() + 2 && !name.contains([' ', ',']) { name.to_owned() } else { quoted }
}

/// Escapes line breaks, other control characters, and characters that reverse the direction of the text
/// (U+202E).
fn one_line(text: &impl ToString) -> String {
    let escape = |c: char| {
        let is_plain = matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1;
        if is_plain { c.to_string() } else { c.escape_debug().to_string() }
    };
    text.to_string().chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use domain::catalog::CatalogBackup;

    use super::*;
    use crate::store::Unreadable;

    fn listing(databases: &[&str]) -> Listing {
        let backup = StoredBackup {
            entry: CatalogBackup {
                id: "20260501T020003Z-1a2b3c".to_owned(),
                policy_uid: String::new(),
                snapshot_time: "2026-05-01T02:00:03Z".parse().unwrap(),
                state: BackupState::Verified,
                databases: databases.iter().map(|database| (*database).to_owned()).collect(),
                size_bytes: 4096,
                suspicions: BTreeSet::new(),
            },
            job_uid: String::new(),
            sizes: BTreeMap::new(),
            checked: "2026-05-02T02:00:03Z".parse().unwrap(),
            level: Level::Archive,
        };
        let why = Unreadable::corrupted("manifest.json", &"line\nbreak\u{202E}");
        let unreadable = vec![("20260401T020003Z-1a2b3c".to_owned(), why)];
        Listing { backups: vec![backup], unreadable, ..Listing::default() }
    }

    #[test]
    fn backup_list_columns_are_aligned() {
        let text = format(&listing(&["crm", "shop"]), Output::Table);
        let lines: Vec<&str> = text.lines().collect();
        for (at, header, value) in [(25, "STATE", "Verified"), (49, "CHECKED", "2026-05-02T02:00:03Z")] {
            assert!(lines[0][at..].starts_with(header) && lines[1][at..].starts_with(value), "{text}");
        }
        assert!(lines[1].ends_with("  crm, shop") && lines[2][25..].starts_with("Unreadable"), "{text}");
    }

    #[test]
    fn backup_list_escapes_line_breaks_and_direction_marks() {
        let text = format(&listing(&["a\nb", "plain", "x\u{202E}y", "with, comma"]), Output::Table);
        assert!(text.contains(r#""a\nb", plain, "with, comma", "x\u{202e}y""#), "{text}");
        assert!(text.contains(r"line\nbreak\u{202e}"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(!text.contains('\u{202E}'), "{text}");
    }
}
