//! The state of a run, and its end: the report to the kubelet, the record in the repository, the last line of the log.

use std::{fmt, time::Instant};

use crate::{
    clock::now,
    store::{BackupWriter, Repository, StoreError},
    termination::TerminationMessage,
};
use domain::{
    message::Message,
    operation::Operation,
    reason::Reason,
    report::{self, BackupDetails, Details, Outcome, RunIdentity, RunReport, Stage},
};

/// A run that has started.
#[derive(Debug)]
pub struct Run {
    pub report: RunReport,
    /// Where the record is written; `None` before the store is open.
    repository: Option<Repository>,
    /// The backup that is removed if the run ends before the manifest is written.
    unfinished: Option<BackupWriter>,
    /// The lines of the backup's `run.log`.
    log: Vec<String>,
    stage_since: Instant,
    termination: TerminationMessage,
}

impl Run {
    /// Starts a run in its first stage, and writes the first report.
    pub fn new(identity: RunIdentity, termination: TerminationMessage, operation: Operation) -> Self {
        let run = Self {
            report: RunReport::started(identity, Details::new(operation), now()),
            repository: None,
            unfinished: None,
            log: Vec::new(),
            stage_since: Instant::now(),
            termination,
        };
        run.termination.write(&run.report);
        run
    }

    /// Enters a stage. The report names it, in case the run is killed.
    pub fn stage(&mut self, stage: impl Into<Stage>) {
        self.report.details.enter(stage.into(), self.stage_since.elapsed().as_secs_f64());
        self.stage_since = Instant::now();
        self.termination.write(&self.report);
    }

    /// The details of a backup run's report.
    pub fn backup_details(&mut self) -> &mut BackupDetails {
        match &mut self.report.details {
            Details::Backup(details) => details,
            Details::Scrub(_) => unreachable!("only backup runs should ask for a backup's details"),
        }
    }

    /// Writes a line to the pod's log and to `run.log` in the backup.
    pub fn log(&mut self, line: impl fmt::Display) {
        tracing::info!(stage = self.report.details.stage().as_str(), "{line}");
        self.note(line);
    }

    /// Writes a line to `run.log` only.
    pub fn note(&mut self, line: impl fmt::Display) {
        let time = now().strftime("%Y-%m-%dT%H:%M:%SZ");
        self.log.push(format!("{time} {}: {line}", self.report.details.stage().as_str()));
    }

    /// Writes a warning to both logs, the report and the manifest.
    pub fn warn(&mut self, line: String) {
        tracing::warn!(stage = self.report.details.stage().as_str(), "{line}");
        self.note(format_args!("warning: {line}"));
        self.report.warnings.push(line);
    }

    /// The text of `run.log`.
    pub fn log_text(&self) -> String {
        self.log.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The store is open: the record is written there.
    pub fn opened(&mut self, repository: &Repository) {
        self.repository = Some(repository.clone());
    }

    /// Begins a backup. An unfinished backup of an earlier round is removed.
    pub async fn begin(&mut self, repository: &Repository, id: &str) -> Result<BackupWriter, StoreError> {
        if let Some(unfinished) = self.unfinished.clone() {
            unfinished.abandon().await?;
            self.unfinished = None;
        }
        let writer = repository.create_backup(id).await?;
        self.unfinished = Some(writer.clone());
        Ok(writer)
    }

    /// The backup has its manifest: it stays, however the run ends.
    pub fn committed(&mut self) {
        self.unfinished = None;
    }

    /// Ends the run: removes an unfinished backup, writes the record and the final report, and logs the outcome in one line.
    pub async fn finish(mut self, reason: Reason, message: impl Into<Message>) -> Reason {
        let outcome = if reason.exit_code() == Some(0) { Outcome::Succeeded } else { Outcome::Failed };
        let ended_in = self.report.details.stage();
        self.stage(Stage::last(self.report.details.operation()));
        self.report.outcome = outcome;
        self.report.reason = Some(reason);
        self.report.message = message.into().or_hint(reason.hint());
        if outcome == Outcome::Failed {
            self.report.details.failed_in(ended_in);
        }
        self.report.completion_time = Some(now());
        // The report comes first: a run that was told to stop may be killed while it waits for the store.
        self.termination.write(&self.report);
        if let Some(unfinished) = self.unfinished.take()
            && let Err(error) = unfinished.abandon().await
        {
            self.log(format_args!("cannot remove the unfinished backup, the next run will: {error}"));
        }
        self.write_record().await;
        self.termination.write(&self.report);
        let (stage, message) = (self.report.details.stage().as_str(), &self.report.message);
        if outcome == Outcome::Failed {
            tracing::error!(%reason, stage, "{message}");
        } else {
            tracing::info!(%reason, "{message}");
        }
        reason
    }

    /// Writes the report to the repository as the record of this run.
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
            tracing::warn!("cannot write the record of this run: {error}");
        }
    }
}
