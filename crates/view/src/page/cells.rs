//! The cells of a policy's row.

use api::status::{RunResult, Verification};
use domain::{size as bytes, time::minute};
use jiff::Timestamp;
use maud::{Markup, html};

use super::drawing;
use crate::{
    duration,
    overview::{Backup, Overview, Run},
    state::State,
};

/// Shows the state and its reason, the message of a policy that is not healthy, and failed checks.
pub fn standing(policy: &Overview) -> Markup {
    html! {
        strong.state { (policy.state.as_str()) }
        @if policy.reason != policy.state.as_str() {
            " " span.reason { (policy.reason) }
        }
        @if policy.state != State::Healthy { p.message { (policy.message) } }
        @for (condition, check) in policy.failed_checks() {
            p.message { strong.waiting { (condition.subject()) ": " (check.reason) } " " (check.message) }
        }
    }
}

/// Shows the age of the newest verified backup, the age and verification of a newer unverified backup, and
/// how much of `objectives.maxAge` is used. The objective applies to the newest successful backup, or to the
/// newest verified one if that backup is corrupted.
pub fn recovery_point(policy: &Overview, now: Timestamp) -> Markup {
    let newest = policy.last_success.as_ref();
    let verified = policy.last_verified_time;
    let unverified = newest.filter(|newest| verified.is_none_or(|verified| verified < newest.snapshot_time));
    let is_corrupted = newest.is_some_and(|newest| newest.verification == Some(Verification::Corrupted));
    let measured = if is_corrupted { verified } else { newest.map(|newest| newest.snapshot_time) };
    let objective = measured.zip(policy.max_age.as_deref().zip(policy.max_age_seconds));
    let used = objective.map(|(since, (text, most))| (now.duration_since(since).as_secs(), text, most));
    let is_too_old = used.is_some_and(|(age, _, most)| age > most);
    html! {
        @match verified {
            Some(verified) if is_too_old => strong.exceeded { (time_ago(verified, now)) },
            Some(verified) => (time_ago(verified, now)),
            None if newest.is_some() => strong.none { "no verified backup" },
            None => strong.none { "no backup yet" },
        }
        @if let Some(newest) = unverified { (unverified_backup(newest, now)) }
        @if let Some((age, text, most)) = used {
            (drawing::share(age, most))
            span.fine {
                @if is_too_old { strong.exceeded { "too old:" } " " }
                "maxAge " (text)
            }
        }
    }
}

fn time_ago(time: Timestamp, now: Timestamp) -> Markup {
    let ago = duration::human(now.duration_since(time));
    html! { time datetime=(time) title=(minute(time)) { (ago) " ago" } }
}

/// Shows the age and the verification of the newest backup, which is not verified.
fn unverified_backup(newest: &Backup, now: Timestamp) -> Markup {
    let verification = match newest.verification {
        Some(Verification::Corrupted) => html! { strong.exceeded { "corrupted" } },
        Some(Verification::Stored) => html! { "stored, not verified" },
        _ => html! { "not verified" },
    };
    let age = duration::human(now.duration_since(newest.snapshot_time));
    html! { span.note { "newest backup, " (age) " ago: " (verification) } }
}

/// Shows the size of the newest successful backup, and the sizes of the newest runs' backups as a line.
pub fn size(policy: &Overview) -> Markup {
    html! {
        @match policy.last_success.as_ref().and_then(|newest| newest.size_bytes) {
            Some(size) => (bytes::human(size)),
            None => span.none { "none" },
        }
        (drawing::sizes(&policy.runs))
    }
}

/// Shows the number of backups in each state, and their total size. With `verification.level: Checksum`,
/// successful backups are labelled stored instead of verified.
pub fn backups(policy: &Overview) -> Markup {
    let newest = policy.last_success.as_ref().and_then(|newest| newest.verification);
    let successful = if newest == Some(Verification::Stored) { " stored" } else { " verified" };
    html! {
        @match policy.backups {
            Some(backups) => {
                (backups.verified) (successful)
                @if backups.suspicious > 0 { " " strong.waiting { (backups.suspicious) " suspicious" } }
                @if backups.corrupted() > 0 { " " strong.waiting { (backups.corrupted()) " corrupted" } }
                span.fine { (bytes::human(backups.size_bytes)) " in total" }
            }
            None => span.none { "unknown" },
        }
    }
}

/// Shows the time until the next scheduled backup, and the schedule.
pub fn next_backup(policy: &Overview, now: Timestamp) -> Markup {
    html! {
        @match policy.next_schedule_time {
            Some(next) => time datetime=(next) { (duration::until(next.duration_since(now))) },
            None => span.none { "none" },
        }
        span.schedule { (policy.schedule) " " span.zone { (policy.time_zone) } }
    }
}

/// Shows a mark for each of the newest runs, oldest first, and the number that succeeded.
pub fn runs(runs: &[Run]) -> Markup {
    if runs.is_empty() {
        return html! { span.none { "none yet" } };
    }
    let succeeded = runs.iter().filter(|run| run.result == RunResult::Succeeded).count();
    html! {
        ol.runs {
            @for run in runs {
                li class=(format!("{:?}", run.result).to_lowercase()) title=(format!("{} {}", minute(run.start_time), run.reason)) {
                    span aria-hidden="true" {
                        (match run.result {
                            RunResult::Succeeded => "●",
                            RunResult::Failed => "✕",
                            RunResult::Running | RunResult::Unknown => "?",
                        })
                    }
                    span.unseen { (minute(run.start_time)) " " (run.reason) }
                }
            }
        }
        span.fine { (succeeded) " of " (runs.len()) " succeeded" }
    }
}
