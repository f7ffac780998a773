//! The state of a run, and its end: the report in the termination message, the record in the repository, and
//! the last line of the log.

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
    /// The repository for the run's record; `None` until the store is open.
    repository: Option<Repository>,
    /// The backup to remove if the run ends before the manifest is written.
    unfinished: Option<BackupWriter>,
    /// The lines of the backup's file `run.log`.
    log: Vec<String>,
    stage_since: Instant,
    termination: TerminationMessage,
}

impl Run {
    /// Creates a run in its first stage and writes the first provisional report.
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

    /// Starts a stage and writes a provisional report, so that a killed run still reports its stage.
    pub fn stage(&mut self, stage: impl Into<Stage>) {
        self.report.details.enter(stage.into(), self.stage_since.elapsed().as_secs_f64());
        self.stage_since = Instant::now();
        self.termination.write(&self.report);
    }

    /// Returns the details of the report. Panics unless this is a backup run.
    pub fn backup_details(&mut self) -> &mut BackupDetails {
        let Details::Backup(details) = &mut self.report.details else {
            unreachable!("only backup runs should ask for a backup's details")
        };
        details
    }

    /// Writes a line to the pod's log and to the backup's `run.log`.
    pub fn log(&mut self, line: impl fmt::Display) {
        tracing::info!(stage = self.report.details.stage().as_str(), "{line}");
        self.note(line);
    }

    /// Writes a line to the backup's `run.log` only.
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

    /// Returns the text of the backup's `run.log`.
    pub fn log_text(&self) -> String {
        self.log.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Sets the repository into which the run's record is written.
    pub fn opened(&mut self, repository: &Repository) {
        self.repository = Some(repository.clone());
    }

    /// Creates an unfinished backup with this id. First removes the unfinished backup of an earlier round.
    pub async fn begin(&mut self, repository: &Repository, id: &str) -> Result<BackupWriter, StoreError> {
        if let Some(unfinished) = self.unfinished.clone() {
            unfinished.abandon().await?;
            self.unfinished = None;
        }
        let writer = repository.create_backup(id).await?;
        self.unfinished = Some(writer.clone());
        Ok(writer)
    }

    /// Marks the backup as complete: it has its manifest and is kept even if the run fails later.
    pub fn committed(&mut self) {
        self.unfinished = None;
    }

    /// Ends the run: removes an unfinished backup, writes the final report and the record, and logs the
    /// outcome in one line. Returns `reason`.
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
        // The report is written before the store is used: after SIGTERM, the run may be killed while it waits
        // for the store.
        self.termination.write(&self.report);
        if let Some(unfinished) = self.unfinished.take()
            && let Err(error) = unfinished.abandon().await
        {
            self.log(format_args!("cannot remove the unfinished backup, the next run tries again: {error}"));
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

    /// Writes the current report into the repository as the run's record. Does nothing if the store is not
    /// open.
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
