//! The subcommand `plan`: prints what retention would do with a list of backups. Runs prune with the same
//! function.

use std::{
    collections::BTreeSet,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use domain::{
    catalog::{BackupState, Catalog, CatalogBackup},
    message::Message,
    retention::{self, PrunePlan},
    schedule::{self, ScheduleError},
};
use jiff::Timestamp;
use serde::Deserialize;

use crate::args::{Output, PlanArgs};

/// The owner of all listed backups.
const OWNER: &str = "";

/// The reason why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("cannot read the backups from {:?}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("invalid list of backups: {0}")]
    Parse(#[from] serde_json::Error),
    #[error("two backups have the id {id:?}")]
    Twice { id: String },
    #[error("--time-zone: {0}")]
    TimeZone(#[from] ScheduleError),
}

impl PlanError {
    pub fn message(&self) -> Message {
        let hint = match self {
            Self::Read { .. } => "Give --backups a readable file, or - for the standard input.",
            Self::Parse(_) => {
                r#"Write the backups as [{"id": "...", "time": "2026-05-01T02:00:00Z", "verified": true}, ...]."#
            }
            Self::Twice { .. } => "Write a different id for each backup.",
            // The error ends with what to write.
            Self::TimeZone(_) => "",
        };
        Message::new(self.to_string()).hint(hint)
    }
}

/// A backup in the input of `plan`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    id: String,
    time: Timestamp,
    verified: bool,
    /// The names of the databases in the backup. `--minimum-verified` applies to each database.
    #[serde(default)]
    databases: BTreeSet<String>,
}

/// Reads the list of backups and returns the plan as text.
pub fn plan(args: &PlanArgs) -> Result<String, PlanError> {
    let text =
        read(&args.backups).map_err(|source| PlanError::Read { path: args.backups.clone(), source })?;
    planned(&text, args)
}

/// Returns the plan for the backups in `text`, a list in JSON.
pub fn planned(text: &str, args: &PlanArgs) -> Result<String, PlanError> {
    let backups: Vec<Given> = serde_json::from_str(text)?;
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

fn catalog(backups: Vec<Given>) -> Result<Catalog, PlanError> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = backups.iter().find(|backup| !seen.insert(backup.id.as_str())) {
        return Err(PlanError::Twice { id: twice.id.clone() });
    }
    let backup = |Given { id, time, verified, databases }| CatalogBackup {
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
    fn prune_plan_is_printed_as_json() {
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
    fn prune_plan_is_printed_as_a_table() {
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
    fn plan_command_rejects_an_invalid_list_of_backups() {
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
