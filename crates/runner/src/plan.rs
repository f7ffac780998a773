//! What pruning would do with given backups: the function that backups use, for people and scripts.

use std::{
    collections::BTreeSet,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use domain::{
    catalog::{BackupState, Catalog, CatalogBackup},
    retention::{self, PrunePlan},
    schedule::{self, ScheduleError},
};
use jiff::Timestamp;
use serde::Deserialize;

use crate::args::{Output, PlanArgs};

/// Whose backups they are does not matter here: one owner has them all.
const OWNER: &str = "";

/// A plan that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The backups could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// From where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// They are not what is wanted.
    #[error(
        "the backups are not as expected, [{{\"id\": \"...\", \"time\": \"RFC 3339\", \"verified\": true}}, ...]: {0}"
    )]
    Parse(#[from] serde_json::Error),
    /// Two of them have one name.
    #[error("two backups have the id {id:?}")]
    Twice {
        /// The name.
        id: String,
    },
    /// The time zone is none.
    #[error("--time-zone: {0}")]
    TimeZone(#[from] ScheduleError),
}

/// A backup, as it is written for a plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Copy {
    id: String,
    time: Timestamp,
    verified: bool,
    /// What it holds; the floors are counted for each database.
    #[serde(default)]
    databases: BTreeSet<String>,
}

/// Reads the backups and plans; gives the text to print.
pub fn plan(args: &PlanArgs) -> Result<String, PlanError> {
    let text =
        read(&args.backups).map_err(|source| PlanError::Read { path: args.backups.clone(), source })?;
    planned(&text, args)
}

/// The same for backups that were read already.
pub fn planned(text: &str, args: &PlanArgs) -> Result<String, PlanError> {
    let backups: Vec<Copy> = serde_json::from_str(text)?;
    let zone = schedule::time_zone(&args.retention.time_zone)?;
    let plan = retention::plan(&catalog(backups)?, &args.retention.rules(), &zone, None);
    Ok(match args.output {
        Output::Json => serde_json::to_string_pretty(&plan)? + "\n",
        Output::Table => table(&plan),
    })
}

fn read(path: &Path) -> io::Result<String> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path);
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

fn catalog(backups: Vec<Copy>) -> Result<Catalog, PlanError> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = backups.iter().find(|copy| !seen.insert(copy.id.as_str())) {
        return Err(PlanError::Twice { id: twice.id.clone() });
    }
    let backup = |Copy { id, time, verified, databases }| CatalogBackup {
        id,
        policy_uid: OWNER.to_owned(),
        snapshot_time: time,
        state: if verified { BackupState::Verified } else { BackupState::Failed },
        databases,
        size_bytes: 0,
        suspicions: BTreeSet::new(),
    };
    Ok(Catalog::new(OWNER, backups.into_iter().map(backup).collect()))
}

fn table(plan: &PrunePlan) -> String {
    let kept = plan.keep.iter().map(|kept| {
        let reasons: Vec<String> = kept.reasons.iter().map(ToString::to_string).collect();
        ("keep", &kept.id, reasons.join(", "))
    });
    let deleted = plan.delete.iter().map(|deleted| ("delete", &deleted.id, deleted.reason.to_string()));
    let rows: Vec<_> = kept.chain(deleted).collect();
    let width = rows.iter().map(|(_, id, _)| id.chars().count()).max().unwrap_or_default();
    let lines = rows.iter().map(|(verb, id, why)| format!("{verb:<6}  {id:<width$}  {why}\n"));
    let total = format!("{} to keep, {} to delete\n", plan.keep.len(), plan.delete.len());
    lines.chain([total]).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn planned_of(backups: &str, words: &str) -> Result<String, PlanError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backups.json");
        std::fs::write(&path, backups).unwrap();
        let line = format!("pgbackup-runner plan --backups {} {words}", path.display());
        let Command::Plan(args) = Cli::parse_from(line.split(' ')).command else { panic!("not a plan") };
        plan(&args)
    }

    const BACKUPS: &str = r#"[
        {"id": "a", "time": "2026-05-01T02:00:00Z", "verified": true},
        {"id": "b", "time": "2026-05-02T04:00:00+02:00", "verified": true},
        {"id": "c", "time": "2026-05-03T02:00:00Z", "verified": false},
        {"id": "d", "time": "2026-05-04T02:00:00Z", "verified": true, "databases": ["shop"]}
    ]"#;

    #[test]
    fn a_plan_is_printed_as_json() {
        let text = planned_of(BACKUPS, "--keep-daily 1 --minimum-verified 1 -o json").unwrap();
        let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            plan,
            serde_json::json!({
                "keep": [{"id": "d", "reasons": ["newest verified", "minimum verified", "daily"]}],
                "delete": [
                    {"id": "c", "reason": "check failed"},
                    {"id": "b", "reason": "expired"},
                    {"id": "a", "reason": "expired"},
                ],
            })
        );
    }

    #[test]
    fn a_plan_is_printed_for_people() {
        let text = planned_of(BACKUPS, "--keep-last 2 --minimum-verified 1").unwrap();
        assert_eq!(
            text,
            "keep    d  newest verified, minimum verified, last\n\
             keep    b  last\n\
             delete  c  check failed\n\
             delete  a  expired\n\
             2 to keep, 2 to delete\n"
        );
    }

    #[test]
    fn what_is_no_list_of_backups_is_refused() {
        for (backups, named) in [
            ("", "EOF"),
            ("{}", "expected"),
            (r#"[{"id": "a", "time": "yesterday", "verified": true}]"#, "year"),
            (r#"[{"id": "a", "time": "2026-05-01T02:00:00Z"}]"#, "verified"),
            (r#"[{"id": "a", "time": "2026-05-01T02:00:00Z", "verified": true, "size": 1}]"#, "size"),
        ] {
            let error = planned_of(backups, "--keep-last 1").unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        let twice = r#"[{"id": "a", "time": "2026-05-01T02:00:00Z", "verified": true},
                        {"id": "a", "time": "2026-05-02T02:00:00Z", "verified": true}]"#;
        assert!(matches!(planned_of(twice, "--keep-last 1"), Err(PlanError::Twice { .. })));
        assert!(matches!(planned_of("[]", "--time-zone Mars/North"), Err(PlanError::TimeZone(_))));
    }
}
