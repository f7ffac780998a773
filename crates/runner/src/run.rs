//! One run's state, and how it ends: the report to the kubelet, the record in the store, the exit code.

use std::{collections::BTreeMap, fmt, fs, io::Write, path::PathBuf, time::Instant};

use domain::{
    reason::Reason,
    report::{self, Outcome, RunIdentity, RunReport, Stage},
};
use jiff::Timestamp;

use crate::store::{BackupWriter, Repository, StoreError};

/// What a run has so far.
#[derive(Debug)]
pub struct Run {
    /// What it will say.
    pub report: RunReport,
    /// The store, once it is open.
    pub repository: Option<Repository>,
    /// The set in the making: removed if the run ends before its manifest is written.
    pub backup: Option<BackupWriter>,
    log: Vec<String>,
    stages: BTreeMap<Stage, f64>,
    stage_since: Instant,
    termination_log: PathBuf,
}

impl Run {
    /// A run that has just started, in its first stage.
    pub fn new(identity: RunIdentity, termination_log: PathBuf, stage: Stage) -> Self {
        let mut run = Self {
            report: RunReport {
                version: report::VERSION,
                outcome: Outcome::Running,
                stage,
                reason: None,
                message: String::new(),
                run: identity,
                start_time: now(),
                completion_time: None,
                server_version: None,
                client_version: None,
                backup: None,
                retained: None,
                prune: None,
                scrub: None,
                stages: BTreeMap::new(),
                warnings: Vec::new(),
                recent: Vec::new(),
                artifacts: Vec::new(),
                truncated: false,
            },
            repository: None,
            backup: None,
            log: Vec::new(),
            stages: BTreeMap::new(),
            stage_since: Instant::now(),
            termination_log,
        };
        run.stage(stage);
        run
    }

    /// Enters a stage: a run that is killed in it will have said so.
    pub fn stage(&mut self, stage: Stage) {
        *self.stages.entry(self.report.stage).or_default() += self.stage_since.elapsed().as_secs_f64();
        self.stage_since = Instant::now();
        self.report.stage = stage;
        self.report.stages =
            self.stages.iter().map(|(stage, s)| (*stage, (s * 1000.0).round() / 1000.0)).collect();
        self.tell_kubelet();
    }

    /// A line for people: to the pod's log and to the backup's `run.log`.
    pub fn log(&mut self, line: impl fmt::Display) {
        tracing::info!(stage = self.report.stage.as_str(), "{line}");
        let time = now().strftime("%Y-%m-%dT%H:%M:%SZ");
        self.log.push(format!("{time} {}: {line}", self.report.stage.as_str()));
    }

    /// A line that also belongs into the report and the manifest.
    pub fn warn(&mut self, line: String) {
        self.log(format_args!("warning: {line}"));
        self.report.warnings.push(line);
    }

    /// Everything logged so far.
    pub fn log_text(&self) -> String {
        self.log.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Ends the run. A set without a manifest goes; the record is written where the store can be written.
    pub async fn finish(mut self, outcome: Outcome, reason: Reason, message: String) -> Reason {
        let ended_in = self.report.stage;
        self.stage(Stage::Report);
        self.report.outcome = outcome;
        self.report.reason = Some(reason);
        self.report.message = message;
        if outcome == Outcome::Failed {
            self.report.stage = ended_in;
        }
        self.report.completion_time = Some(now());
        // The verdict first: what follows touches the store, and a run that was told to stop may be killed in it.
        self.tell_kubelet();
        if let Some(backup) = self.backup.take()
            && let Err(error) = backup.abandon().await
        {
            self.log(format_args!(
                "the unfinished backup stays behind, and the next run removes it: {error}"
            ));
        }
        self.write_record().await;
        self.tell_kubelet();
        tracing::info!(reason = reason.as_str(), "{}", self.report.message);
        if outcome == Outcome::Failed {
            tracing::info!("what to do: {}", reason.advice());
        }
        reason
    }

    /// Writes the run's record as it is now.
    pub async fn record(&self) -> Result<(), StoreError> {
        let Some(repository) = &self.repository else { return Ok(()) };
        repository.write_record(&self.report.run.job, &self.report.to_json()).await
    }

    async fn write_record(&mut self) {
        let Some(repository) = &self.repository else {
            return;
        };
        let records = repository.newest_records(report::RECENT_RUNS + 1).await.unwrap_or_default();
        let earlier = records.iter().filter_map(|text| RunReport::parse(text)?.record());
        self.report.recent =
            earlier.filter(|record| record.job != self.report.run.job).take(report::RECENT_RUNS).collect();
        if let Err(error) = self.record().await {
            tracing::warn!("this run's record is not kept: {error}");
        }
    }

    /// The termination message. Without a cluster there is no such file, and nobody to tell. A run may be killed
    /// between any two calls, so one call writes all of it, with spaces over what the message before it had more.
    fn tell_kubelet(&self) {
        let Ok(mut file) = fs::File::options().write(true).open(&self.termination_log) else {
            return;
        };
        let mut message = self.report.to_message(report::MESSAGE_LIMIT).into_bytes();
        let before = file.metadata().map_or(0, |meta| usize::try_from(meta.len()).unwrap_or_default());
        message.resize(message.len().max(before), b' ');
        if let Err(error) = file.write_all(&message) {
            tracing::warn!("{}: {error}", self.termination_log.display());
        }
    }
}

/// The time to the millisecond: more says nothing.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
