//! The termination message: the file with the report that the kubelet reads when the container ends.

use std::{fs, io::Write as _, panic, path::PathBuf};

use domain::{
    message::Message,
    reason::Reason,
    report::{self, Outcome, RunReport},
};
use jiff::Timestamp;

/// The file of the termination message. Outside a cluster the file does not exist, and nothing is written.
#[derive(Clone, Debug)]
pub struct TerminationMessage {
    path: PathBuf,
}

impl TerminationMessage {
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Replaces the message with this report. The process may be killed at any time, so a single `write` call
    /// writes the whole message, and spaces over the rest of a longer earlier message.
    pub fn write(&self, report: &RunReport) {
        let Ok(mut file) = fs::File::options().write(true).open(&self.path) else {
            return;
        };
        let mut message = report.to_message(report::termination_message::LIMIT).into_bytes();
        let before = file.metadata().map_or(0, |meta| usize::try_from(meta.len()).unwrap_or_default());
        message.resize(message.len().max(before), b' ');
        if let Err(error) = file.write_all(&message) {
            tracing::warn!("cannot write the termination message {}: {error}", self.path.display());
        }
    }

    /// Returns the report that was written last.
    fn read(&self) -> Option<RunReport> {
        RunReport::parse(fs::read_to_string(&self.path).ok()?.trim_end())
    }

    /// Installs a panic hook for the whole process. A panic then logs one line and changes the last report
    /// into a failure with the reason `InternalError`. A run that survives the panic of a task overwrites
    /// this report later.
    pub fn report_panics(self) {
        panic::set_hook(Box::new(move |panic| {
            let text = panic.payload_as_str().unwrap_or("no message");
            let location = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
            let fact = format!("the runner panicked{}", location.unwrap_or_default());
            let message = Message::new(fact).detail(text).or_hint(Reason::InternalError.hint());
            tracing::error!(reason = Reason::InternalError.as_str(), "{message}");
            if let Some(mut report) = self.read() {
                report.outcome = Outcome::Failed;
                report.reason = Some(Reason::InternalError);
                report.message = message;
                report.completion_time = Some(Timestamp::now());
                self.write(&report);
            }
        }));
    }
}
