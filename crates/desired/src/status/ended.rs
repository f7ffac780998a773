//! The newest ended run of an operation that stores no backup, as the status has it.

use api::status::{EndedRun, RunResult, time};
use domain::report::{Outcome, seconds};

use super::{run_result::AssessedRun, text::one_line};

/// Returns the newest ended run of an operation: the newest of `runs` (sorted, oldest first) if it is newer
/// than the status field `known`, else `known`. `run_of` returns the fields that all operations share;
/// `complete` adds the fields of the operation.
pub fn last<T: Clone>(
    known: Option<&T>,
    run_of: impl Fn(&T) -> &EndedRun,
    runs: &[AssessedRun<'_>],
    complete: impl FnOnce(EndedRun, &AssessedRun<'_>) -> T,
) -> Option<T> {
    match newest_ended(known.map(run_of), runs) {
        Some(run) => Some(complete(ended_run(run), run)),
        None => known.cloned(),
    }
}

/// Returns the newest ended run, if the status does not contain it or contains less about it. `runs` are
/// sorted, oldest first.
fn newest_ended<'a, 'b>(
    known: Option<&EndedRun>,
    runs: &'a [AssessedRun<'b>],
) -> Option<&'a AssessedRun<'b>> {
    let run = runs.iter().rfind(|run| run.result != RunResult::Running)?;
    let is_newer = known.is_some_and(|known| {
        let start = known.start_time.as_ref().map(|time| time.0);
        (start, &known.job) > (Some(run.start), &run.observed.job)
    });
    // A Job whose pods are gone has no report any more.
    let knows_more = known.is_some_and(|known| {
        known.job == run.observed.job && known.result != RunResult::Unknown && run.report.is_none()
    });
    (!is_newer && !knows_more).then_some(run)
}

/// Converts an ended run to its form in the status.
fn ended_run(run: &AssessedRun<'_>) -> EndedRun {
    let report = run.final_report();
    let end = report.and_then(|report| report.completion_time);
    let failure = run.failure.as_ref().map(|failure| failure.message.to_string());
    let success = report.filter(|report| report.outcome == Outcome::Succeeded);
    EndedRun {
        job: run.observed.job.clone(),
        result: run.result,
        reason: run.reason().into(),
        message: failure
            .or_else(|| success.map(|report| one_line(report.message.text())))
            .unwrap_or_default(),
        scheduled_time: run.slot.map(time),
        start_time: Some(time(run.start)),
        completion_time: end.map(time),
        duration_seconds: report.and_then(|report| Some(seconds(end?.duration_since(report.start_time)))),
    }
}
