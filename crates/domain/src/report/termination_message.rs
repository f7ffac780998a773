//! The termination message: the part of a report that fits into the status of a run's pod.

use super::{BackupDetails, Details, HINT_LIMIT, RunReport, TEXT_LIMIT};

/// The maximum size of a termination message, in bytes. Kubernetes keeps at most 4096 bytes for a container
/// and 12 KiB for a pod; 2048 still fit if a pod has four injected sidecars.
pub const LIMIT: usize = 2048;

impl RunReport {
    /// Formats the report in at most `limit` bytes. If it is too long, it loses parts in this order:
    /// artifacts (the last one first), earlier runs, warnings, the seconds of stages, and then the ends of
    /// long texts. Outcome, reason and totals always remain.
    pub fn to_message(&self, limit: usize) -> String {
        let mut report = self.clone();
        report.message.cut(TEXT_LIMIT, HINT_LIMIT);
        if let Details::Backup(BackupDetails { prune: Some(prune), .. }) = &mut report.details {
            prune.message.cut(TEXT_LIMIT / 2, HINT_LIMIT / 2);
        }
        loop {
            let text = report.to_json();
            if text.len() <= limit {
                return text;
            }
            report.truncated = true;
            if !report.details.drop_last_artifact()
                && report.recent.pop().is_none()
                && report.warnings.pop().is_none()
                && !report.details.drop_last_stage()
            {
                break;
            }
        }
        // Shorter and shorter limits: a control character takes six bytes in JSON.
        for least in [256, 64, 16] {
            report.message.cut(least, least);
            report.details.shorten(least);
            if report.to_json().len() <= limit {
                break;
            }
        }
        report.to_json()
    }
}
