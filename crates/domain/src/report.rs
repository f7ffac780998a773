//! What a run says of itself: the termination message of its pod, and its record in the store.
//!
//! One format, version 1, JSON. The whole goes to `runs/<job>.json`; the termination message gets as much as
//! fits into [`MESSAGE_LIMIT`] bytes. A provisional report is written when each stage starts, so that a run
//! that is killed still says how far it came; the final one says how it ended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

use crate::{name, reason::Reason};

/// The version of the format. Readers refuse a greater one and ignore fields they do not know.
pub const VERSION: u32 = 1;

/// The kubelet keeps 4096 bytes of a container's termination message and 12 KiB of a pod's; injected
/// sidecars take their share of the latter. Half of the former is left alone even with four of them.
pub const MESSAGE_LIMIT: usize = 2048;

/// How many records of earlier runs a report carries, so that a status can be repaired from it.
pub const RECENT_RUNS: usize = 5;

/// The longest message of a report, in bytes.
pub const TEXT_LIMIT: usize = 480;

/// One run, in full or as far as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// The format's version, [`VERSION`].
    pub version: u32,
    /// How the run ended, or that it has not.
    pub outcome: Outcome,
    /// Where it is, or where it ended.
    pub stage: Stage,
    /// Why it ended so; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The same for a person, in one or two sentences; at most [`TEXT_LIMIT`] bytes. What to do about it goes with the
    /// reason ([`Reason::advice`]).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Which run this is.
    pub run: RunIdentity,
    /// When the runner started.
    pub start_time: Timestamp,
    /// When it ended; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Timestamp>,
    /// The server's version, as it says it: `17.6 (Debian 17.6-0+deb13u1)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// The version of the client tools: `17.6`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// The set that the run stored; absent when it stored none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupSummary>,
    /// What the store holds after the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained: Option<Retained>,
    /// What pruning did; absent when the run did not come so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<PruneOutcome>,
    /// What a scrub found; absent in a backup's report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrub: Option<ScrubOutcome>,
    /// How long each stage took, in seconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<Stage, f64>,
    /// Things worth knowing that did not make the run fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The newest runs before this one that the store knows of, newest first; at most [`RECENT_RUNS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<RunRecord>,
    /// The files of the backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactSummary>,
    /// Something was left out to fit into the termination message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// Which run a report speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunIdentity {
    /// The Job's name; it names the run's record in the store too.
    pub job: String,
    /// The Job's UID.
    pub job_uid: String,
    /// What started it.
    pub trigger: Trigger,
    /// The slot of the schedule it stands for; absent for manual runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_time: Option<Timestamp>,
}

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
pub enum Trigger {
    /// The schedule.
    Schedule,
    /// A person, by the annotation or by a Job made from the CronJob.
    Manual,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
pub enum Outcome {
    /// It has not: the report is provisional.
    Running,
    /// A verified backup is stored.
    Succeeded,
    /// It did not come to its end. It left no backup, or, when it was stopped after its manifest, a verified one
    /// that `set` names.
    Failed,
}

/// The stages of a backup, in their order.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum Stage {
    /// Everything that can be known to fail before a byte is dumped.
    Preflight,
    /// Locking the tables, then taking the snapshot.
    Hold,
    /// pg_dump into the store, hashed and parsed on the way.
    Dump,
    /// Making what was written durable.
    Upload,
    /// Reading the stored bytes back.
    Verify,
    /// Writing the manifest: from here on the backup exists.
    Manifest,
    /// Removing old backups as the rules say.
    Prune,
    /// Writing the record and the report.
    Report,
}

impl Stage {
    /// All stages, in their order.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The name in reports and metrics: `preflight`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Trigger {
    /// The name in reports and statuses: `Schedule`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Outcome {
    /// The name in reports and statuses: `Succeeded`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The set that a run stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupSummary {
    /// The set's name in the store.
    pub id: String,
    /// The recovery point: the oldest snapshot of the backup's databases.
    pub snapshot_time: Timestamp,
    /// The stored bytes of all its artifacts.
    pub size_bytes: u64,
    /// How many artifacts it has.
    pub artifacts: u32,
    /// The SHA-256 of its `manifest.json`.
    pub manifest_sha256: String,
    /// Where it is, below the store's root: `<namespace>/<policy>/<set>`.
    pub location: String,
    /// What reading it back gave.
    pub verification: Verification,
    /// Whether password hashes of roles are in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub password_hashes: bool,
}

/// What reading a backup back gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
pub enum Verification {
    /// Everything was as it should be.
    Verified,
    /// The stored bytes are those that were written; more was not asked for.
    Stored,
    /// It is whole, and not like those before it.
    Suspicious,
}

impl Verification {
    /// The name in reports and statuses: `Verified`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The reason of a run that stored such a backup.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Verified => Reason::Verified,
            Self::Stored => Reason::Stored,
            Self::Suspicious => Reason::Suspicious,
        }
    }
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactSummary {
    /// The database; absent for the roles and tablespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The file's name in the backup.
    pub file: String,
    /// Its stored bytes.
    pub size_bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// What the store holds of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retained {
    /// The backups that have a manifest.
    pub backups: u32,
    /// Those whose newest check passed.
    pub verified: u32,
    /// Those that are whole and not like those before them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suspicious: u32,
    /// The stored bytes of all of them.
    pub bytes: u64,
    /// The oldest backup's snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// The newest backup's snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if gives a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What pruning did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PruneOutcome {
    /// `Pruned`, `NoRules`, `DryRun`, `PruneFailed` or `RepositoryOwnedByOther`.
    pub reason: Reason,
    /// The same for a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How many backups each rule keeps: `{"last": 3, "daily": 7, "minimum verified": 3}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, u32>,
    /// How many backups were removed.
    pub removed: u32,
    /// How many leftovers of runs that died were removed.
    pub leftovers: u32,
}

/// How many names of corrupted backups a scrub's report has, at most; they take 26 bytes each.
pub const CORRUPTED_LIMIT: usize = 20;

/// What a scrub found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrubOutcome {
    /// How many backups were read to their end and are as they were written.
    pub passed: u32,
    /// Those that are not, at most [`DAMAGED_LIMIT`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrupted: Vec<String>,
    /// How many could not be read for another reason, which says nothing of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unchecked: u32,
    /// The bytes that were read.
    pub bytes_read: u64,
}

/// A run in one line, as reports carry those before them and as a status keeps its history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// The Job's name.
    pub job: String,
    /// What started it.
    pub trigger: Trigger,
    /// How it ended.
    pub result: Outcome,
    /// Why.
    pub reason: Reason,
    /// When it started.
    pub start_time: Timestamp,
    /// How long it took.
    pub duration_seconds: f64,
    /// The size of what it stored; absent when it stored nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// The snapshot of what it stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_time: Option<Timestamp>,
}

impl RunReport {
    /// Reads a termination message or a record; `None` when it is neither (another program's words, a
    /// message cut short, a version from the future).
    pub fn parse(text: &str) -> Option<Self> {
        let report: Self = serde_json::from_str(text).ok()?;
        (report.version <= VERSION).then_some(report)
    }

    /// The whole report, as the store keeps it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report should always be JSON")
    }

    /// As much of the report as fits into `limit` bytes: artifacts go first, last of them first, then the
    /// earlier runs, then warnings and stages, then the ends of long texts. Verification, reason and totals always stay.
    pub fn to_message(&self, limit: usize) -> String {
        let mut report = self.clone();
        cut(&mut report.message, TEXT_LIMIT);
        if let Some(prune) = &mut report.prune {
            cut(&mut prune.message, TEXT_LIMIT / 2);
        }
        loop {
            let text = report.to_json();
            if text.len() <= limit {
                return text;
            }
            report.truncated = true;
            if report.artifacts.pop().is_none()
                && report.recent.pop().is_none()
                && report.warnings.pop().is_none()
                && report.stages.pop_last().is_none()
            {
                break;
            }
        }
        // Control characters take six bytes each in JSON.
        for least in [256, 64, 16] {
            report.shorten(least);
            if report.to_json().len() <= limit {
                break;
            }
        }
        report.to_json()
    }

    fn shorten(&mut self, limit: usize) {
        let Self { message, server_version, client_version, backup, prune, scrub, .. } = self;
        let backup = backup.as_mut().map(|backup| &mut backup.location);
        if let Some(scrub) = scrub {
            scrub.corrupted.truncate(CORRUPTED_LIMIT);
            scrub.corrupted.iter_mut().for_each(|backup| cut(backup, name::BACKUP_ID_LENGTH));
        }
        let prune = prune.as_mut().map(|prune| {
            prune.kept.clear();
            &mut prune.message
        });
        let texts = [Some(message), server_version.as_mut(), client_version.as_mut(), backup, prune];
        texts.into_iter().flatten().for_each(|text| cut(text, limit));
    }

    /// The run in one line; `None` while it runs.
    pub fn record(&self) -> Option<RunRecord> {
        Some(RunRecord {
            job: self.run.job.clone(),
            trigger: self.run.trigger,
            result: self.outcome,
            reason: self.reason?,
            start_time: self.start_time,
            duration_seconds: seconds(self.completion_time?.duration_since(self.start_time)),
            size_bytes: self.backup.as_ref().map(|backup| backup.size_bytes),
            snapshot_time: self.backup.as_ref().map(|backup| backup.snapshot_time),
        })
    }
}

/// A duration in seconds, rounded to milliseconds: what reports and statuses show.
pub fn seconds(duration: jiff::SignedDuration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Shortens `text` to at most `limit` bytes, at a character's border, with an ellipsis.
pub fn cut(text: &mut String, limit: usize) {
    if text.len() <= limit {
        return;
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push('…');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(artifacts: usize) -> RunReport {
        RunReport {
            version: VERSION,
            outcome: Outcome::Succeeded,
            stage: Stage::Report,
            reason: Some(Reason::Verified),
            message: "m".repeat(2 * TEXT_LIMIT),
            run: RunIdentity {
                job: "shop-backup-29730375".into(),
                job_uid: "7b1f7b36-0e9f-4a53-9d0b-0c9c1f0e9a11".into(),
                trigger: Trigger::Schedule,
                scheduled_time: Some("2026-07-11T06:15:00Z".parse().unwrap()),
            },
            start_time: "2026-07-11T06:15:02.5Z".parse().unwrap(),
            completion_time: Some("2026-07-11T06:15:04Z".parse().unwrap()),
            server_version: Some("17.6".into()),
            client_version: Some("17.6".into()),
            backup: None,
            retained: None,
            prune: None,
            scrub: None,
            stages: Stage::all().map(|s| (s, 0.123)).collect(),
            warnings: vec![],
            recent: vec![],
            artifacts: (0..artifacts)
                .map(|n| ArtifactSummary {
                    database: Some(format!("db{n}")),
                    file: format!("db{n}.dump"),
                    size_bytes: 1,
                    sha256: "0".repeat(64),
                })
                .collect(),
            truncated: false,
        }
    }

    #[test]
    fn a_long_report_loses_its_last_artifacts_and_says_so() {
        let text = report(100).to_message(MESSAGE_LIMIT);
        assert!(text.len() <= MESSAGE_LIMIT);
        let read = RunReport::parse(&text).unwrap();
        assert!(read.truncated);
        assert!(!read.artifacts.is_empty());
        assert_eq!(read.artifacts[0].file, "db0.dump");
        assert_eq!(read.reason, Some(Reason::Verified));
    }

    #[test]
    fn a_short_report_is_whole() {
        let mut short = report(1);
        short.message.truncate(10);
        let read = RunReport::parse(&short.to_message(MESSAGE_LIMIT)).unwrap();
        assert_eq!(read, short);
    }

    #[test]
    fn a_report_of_a_later_format_or_a_strangers_words_is_no_report() {
        let mut later = report(0);
        later.version = VERSION + 1;
        assert_eq!(RunReport::parse(&later.to_json()), None);
        assert_eq!(RunReport::parse("panic: at the disco"), None);
        assert_eq!(RunReport::parse(&report(0).to_json()[..100]), None);
    }

    #[test]
    fn a_run_in_one_line_has_its_duration() {
        assert_eq!(report(0).record().map(|r| r.duration_seconds), Some(1.5));
    }

    #[test]
    fn text_is_cut_between_characters() {
        let mut text = "ééééé".to_owned();
        cut(&mut text, 8);
        assert_eq!(text, "éé…");
    }
}
