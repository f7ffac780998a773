//! `list`: what a policy's folder holds, for people and for programs.

use domain::{catalog::BackupState, manifest::Level, size};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    args::{Output, StoredArgs},
    store::{Listing, Repository, StoreError, StoredBackup},
};

/// A set, as it is printed.
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

/// Lists the stored backups, newest first, as text to print.
pub async fn list(stored: &StoredArgs, output: Output) -> Result<String, StoreError> {
    let repository = Repository::open_read_only(&stored.target(), &stored.namespace, &stored.policy)?;
    Ok(format(&repository.list().await?, output))
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
        format!("{id:<22}  {state:<10}  {size:>10}  {checked:<20}  {rest}\n")
    };
    let backups = rows.iter().map(|row| {
        let checked = row.checked.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        line(row.id, row.state, &size::human(row.size_bytes), &checked, &row.databases.join(", "))
    });
    let unreadable =
        listing.unreadable.iter().map(|(id, why)| line(id, "Unreadable", "", "", &why.to_string()));
    [line("SET", "STATE", "SIZE", "CHECKED", "DATABASES")]
        .into_iter()
        .chain(backups)
        .chain(unreadable)
        .collect()
}
