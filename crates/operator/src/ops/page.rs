//! The page: all policies at a glance. Plain HTML with a style and no script, for tired people on phones; everything that
//! colour says is said in words too. `tests/page` holds it against a real browser.

mod drawing;
#[cfg(test)]
mod tests;

use api::status::RunResult;
use desired::overview::{Copy, Overview, Run, State};
use domain::size;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");

/// Who needs somebody comes first.
const STATES: [State; 4] = [State::Unhealthy, State::Unknown, State::Suspended, State::Healthy];

const COLUMNS: [&str; 7] =
    ["Policy", "State", "Last verified", "Size", "Backups", "Next backup", "Last runs"];

/// The page of these policies at this moment; a live one loads itself anew each minute. That is for those who ask for it: it
/// takes away the place where somebody reads, or listens.
pub fn page(mut policies: Vec<Overview>, now: Timestamp, live: bool) -> String {
    policies.sort_by(|a, b| {
        let key = |policy: &Overview| (policy.state, !needs_a_look(policy));
        (key(a), &a.namespace, &a.name).cmp(&(key(b), &b.namespace, &b.name))
    });
    let title = title(&policies);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if live { meta http-equiv="refresh" content="60"; }
                title { (title) " - pgbackup" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p.when {
                        span { "As of " time datetime=(now) { (moment(now)) } " UTC" } " "
                        @if live {
                            span { "Loaded anew each minute" } " " a href="?" { "Stop that" }
                        } @else {
                            a href="?" { "Load anew" } " " a href="?live" { "Load anew each minute" }
                        }
                    }
                    @if !policies.is_empty() { (counts(&policies)) }
                }
                main {
                    @if policies.is_empty() {
                        p { "There is no BackupPolicy, or none that you may see." }
                        p { "To look for yourself: " code { "kubectl get backuppolicies --all-namespaces" } }
                    } @else {
                        (table(&policies, now))
                    }
                }
            }
        }
    };
    markup.into_string()
}

fn title(policies: &[Overview]) -> String {
    let (all, bad) = (policies.len(), of(policies, State::Unhealthy).count());
    let noun = if all == 1 { "policy" } else { "policies" };
    match (all, bad) {
        (0, _) => "No backup policies".to_owned(),
        (_, 0) => format!("{all} backup {noun}, none unhealthy"),
        _ => format!("{bad} of {all} backup {noun} unhealthy"),
    }
}

fn of(policies: &[Overview], state: State) -> impl Iterator<Item = &Overview> {
    policies.iter().filter(move |policy| policy.state == state)
}

/// Old backups are not removed as the rules say, or not as they were written, however the newest backup is.
fn needs_a_look(policy: &Overview) -> bool {
    policy.retention.as_ref().is_some_and(|retention| !retention.healthy)
        || policy.scrub.as_ref().is_some_and(|scrub| !scrub.healthy)
}

/// How many there are in each state, with the way to them.
fn counts(policies: &[Overview]) -> Markup {
    html! {
        nav aria-label="Policies by state" {
            ul.counts {
                @for (state, count) in STATES.map(|state| (state, of(policies, state).count())) {
                    @if count > 0 {
                        li { a class=(class(state)) href=(format!("#{}", class(state))) { (count) " " (as_str(state)) } }
                    }
                }
            }
        }
    }
}

/// The roles are those that the elements have already. A browser forgets them where the style makes cards of the rows.
fn table(policies: &[Overview], now: Timestamp) -> Markup {
    html! {
        table role="table" {
            caption { "Backup policies, those that need somebody first" }
            thead role="rowgroup" { tr role="row" {
                @for column in COLUMNS { th scope="col" role="columnheader" { (column) } }
            } }
            @for state in STATES {
                @if of(policies, state).next().is_some() {
                    tbody role="rowgroup" id=(class(state)) {
                        @for policy in of(policies, state) { (row(policy, now)) }
                    }
                }
            }
        }
    }
}

fn row(policy: &Overview, now: Timestamp) -> Markup {
    let copy = policy.last_success.as_ref();
    let cell = |column: usize, content: Markup| {
        html! { td role="cell" data-label=(COLUMNS[column]) { div { (content) } } }
    };
    html! {
        tr class=(format!("policy {}", class(policy.state))) role="row" {
            th scope="row" role="rowheader" {
                span.name { (policy.name) }
                " " span.namespace { (policy.namespace) }
            }
            (cell(1, standing(policy)))
            (cell(2, verified(policy, now)))
            (cell(3, html! {
                @match copy.and_then(|copy| copy.size_bytes) {
                    Some(bytes) => (size::human(bytes)),
                    None => span.none { "none" },
                }
                (drawing::sizes(&policy.runs))
            }))
            (cell(4, backups(policy)))
            (cell(5, html! {
                @match policy.next_schedule_time {
                    Some(next) => time datetime=(next) { (coming(next.duration_since(now))) },
                    None => span.none { "none" },
                }
                span.schedule { (policy.schedule) " " span.zone { (policy.time_zone) } }
            }))
            (cell(6, runs(&policy.runs)))
        }
    }
}

fn standing(policy: &Overview) -> Markup {
    html! {
        strong.state { (as_str(policy.state)) }
        @if !policy.reason.eq_ignore_ascii_case(as_str(policy.state)) {
            " " span.reason { (policy.reason) }
        }
        @if policy.state != State::Healthy { p.message { (policy.message) } }
        @if let Some(retention) = policy.retention.as_ref().filter(|retention| !retention.healthy) {
            p.message { strong.waiting { "Old backups stay: " (retention.reason) } " " (retention.message) }
        }
        @if let Some(scrub) = policy.scrub.as_ref().filter(|scrub| !scrub.healthy) {
            p.message { strong.waiting { "Stored backups: " (scrub.reason) } " " (scrub.message) }
        }
    }
}

/// The age of the newest backup that is known to be good, and what the newest one is where that is another. The objective is for
/// the newest that counts, or for the last good one where that is corrupted.
fn verified(policy: &Overview, now: Timestamp) -> Markup {
    let counts = policy.last_success.as_ref();
    let good = policy.last_verified_time;
    let unread = counts.filter(|copy| good.is_none_or(|good| good < copy.snapshot_time));
    let shown = good.map(|good| {
        html! { time datetime=(good) title=(moment(good)) { (age(now.duration_since(good))) " ago" } }
    });
    let is_corrupted = counts.is_some_and(|copy| copy.verification.as_deref() == Some("Corrupted"));
    let taken = if is_corrupted { good } else { counts.map(|copy| copy.snapshot_time) };
    let objective = taken.zip(policy.max_age.as_deref().zip(policy.max_age_seconds));
    let used = objective.map(|(taken, (most, seconds))| (now.duration_since(taken).as_secs(), most, seconds));
    let too_old = used.is_some_and(|(old, _, seconds)| old > seconds);
    html! {
        @match shown {
            Some(words) if too_old => strong.exceeded { (words) },
            Some(words) => (words),
            None if counts.is_some() => strong.none { "none known" },
            None => strong.none { "never" },
        }
        @if let Some(copy) = unread { (newest(copy, now)) }
        @if let Some((old, most, seconds)) = used {
            (drawing::share(old, seconds))
            span.fine {
                @if too_old { strong.exceeded { "too old:" } " at most " } @else { "of at most " }
                (most)
            }
        }
    }
}

/// The newest backup, which is not known to be good.
fn newest(copy: &Copy, now: Timestamp) -> Markup {
    let old = age(now.duration_since(copy.snapshot_time));
    let found = match copy.verification.as_deref() {
        Some("Corrupted") => html! { strong.exceeded { "found corrupted" } },
        Some("Stored") => html! { "only stored" },
        _ => html! { "not read back" },
    };
    html! { span.note { "newest backup, " (old) " ago: " (found) } }
}

/// Those that count. A policy that does not ask for more has them stored and no more.
fn backups(policy: &Overview) -> Markup {
    let newest = policy.last_success.as_ref().and_then(|copy| copy.verification.as_deref());
    let counts = if newest == Some("Stored") { " stored" } else { " verified" };
    html! {
        @match policy.backups {
            Some(backups) => {
                (backups.verified) (counts)
                @if backups.suspicious > 0 { " " strong.waiting { (backups.suspicious) " suspicious" } }
                @if backups.failed() > 0 { " " strong.waiting { (backups.failed()) " corrupted" } }
                span.fine { (size::human(backups.size_bytes)) " in all" }
            }
            None => span.none { "not known yet" },
        }
    }
}

/// The newest runs, oldest first: a mark for each, and the same in words.
fn runs(runs: &[Run]) -> Markup {
    if runs.is_empty() {
        return html! { span.none { "none yet" } };
    }
    let good = runs.iter().filter(|run| run.result == RunResult::Succeeded).count();
    html! {
        ol.runs {
            @for run in runs {
                li class=(format!("{:?}", run.result).to_lowercase()) title=(format!("{} {}", moment(run.start_time), run.reason)) {
                    span aria-hidden="true" {
                        (match run.result {
                            RunResult::Succeeded => "●",
                            RunResult::Failed => "✕",
                            RunResult::Running | RunResult::Unknown => "?",
                        })
                    }
                    span.unseen { (moment(run.start_time)) " " (run.reason) }
                }
            }
        }
        span.fine { (good) " of " (runs.len()) " good" }
    }
}

const fn class(state: State) -> &'static str {
    match state {
        State::Unhealthy => "unhealthy",
        State::Unknown => "unknown",
        State::Suspended => "suspended",
        State::Healthy => "healthy",
    }
}

const fn as_str(state: State) -> &'static str {
    match state {
        State::Unhealthy => "unhealthy",
        State::Unknown => "not known yet",
        State::Suspended => "suspended",
        State::Healthy => "healthy",
    }
}

fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Two units at most: `3 d 4 h`, `12 min`.
fn age(duration: SignedDuration) -> String {
    let minutes = duration.as_mins().max(0);
    let units = [("d", minutes / 1440), ("h", minutes / 60 % 24), ("min", minutes % 60)];
    let first = units.iter().position(|(_, count)| *count > 0).unwrap_or(2);
    let shown = units.iter().skip(first).take(2).filter(|(_, count)| *count > 0);
    let shown: Vec<String> = shown.map(|(unit, count)| format!("{count} {unit}")).collect();
    if shown.is_empty() { "less than a minute".to_owned() } else { shown.join(" ") }
}

fn coming(duration: SignedDuration) -> String {
    if duration.is_negative() { "due now".to_owned() } else { format!("in {}", age(duration)) }
}
