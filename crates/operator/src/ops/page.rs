//! The page: all policies at a glance. Plain HTML with a style and no script, for tired people on phones; everything that
//! colour says is said in words too.

use api::status::RunResult;
use desired::overview::{Overview, Run, State};
use domain::size;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What one policy's plot measures, in its own units.
const PLOT: (f64, f64) = (96.0, 24.0);

const STYLE: &str = include_str!("page.css");

/// The page of these policies at this moment.
pub fn page(mut policies: Vec<Overview>, now: Timestamp) -> String {
    // Who needs somebody comes first.
    policies.sort_by(|a, b| (a.state, &a.namespace, &a.name).cmp(&(b.state, &b.namespace, &b.name)));
    let count = |state: State| policies.iter().filter(|policy| policy.state == state).count();
    let unhealthy = count(State::Unhealthy);
    let title = match (policies.len(), unhealthy) {
        (0, _) => "No backup policies".to_owned(),
        (all, 0) => format!("{all} backup {}, none unhealthy", plural(all)),
        (all, bad) => format!("{bad} of {all} backup {} unhealthy", plural(all)),
    };
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content="60";
                title { (title) " - pgbackup" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p.when { "as of " (moment(now, &TimeZone::UTC)) " UTC" }
                    @if !policies.is_empty() {
                        ul.counts {
                            @for state in [State::Unhealthy, State::Unknown, State::Suspended, State::Healthy] {
                                @if count(state) > 0 { li class=(class(state)) { (count(state)) " " (word(state)) } }
                            }
                        }
                    }
                }
                main {
                    @if policies.is_empty() {
                        p { "There is no BackupPolicy that you may see. The README's first example is one." }
                    } @else {
                        (table(&policies, now))
                    }
                }
            }
        }
    };
    markup.into_string()
}

fn table(policies: &[Overview], now: Timestamp) -> Markup {
    html! {
        table {
            caption { "Backup policies, those that need somebody first" }
            thead { tr {
                th scope="col" { "Policy" }
                th scope="col" { "State" }
                th scope="col" { "Last verified" }
                th scope="col" { "Size" }
                th scope="col" { "Copies" }
                th scope="col" { "Next backup" }
                th scope="col" { "Runs" }
            } }
            tbody {
                @for policy in policies { (row(policy, now)) }
            }
        }
    }
}

fn row(policy: &Overview, now: Timestamp) -> Markup {
    let copy = policy.last_success.as_ref();
    html! {
        tr class=(class(policy.state)) {
            th scope="row" data-label="Policy" {
                span.name { (policy.name) }
                " " span.namespace { (policy.namespace) }
            }
            td data-label="State" {
                strong.state { (word(policy.state)) }
                @if !policy.reason.eq_ignore_ascii_case(word(policy.state)) {
                    " " span.reason { (policy.reason) }
                }
                @if policy.state != State::Healthy { p.message { (policy.message) } }
            }
            td data-label="Last verified" {
                @match copy {
                    Some(copy) => {
                        time datetime=(copy.snapshot_time) { (age(now.duration_since(copy.snapshot_time))) " ago" }
                        @if let Some(most) = &policy.max_age { span.objective { " of at most " (most) } }
                    }
                    None => span.none { "never" }
                }
            }
            td data-label="Size" {
                @match copy.and_then(|copy| copy.size_bytes) {
                    Some(bytes) => (size::human(bytes)),
                    None => span.none { "-" }
                }
                (plot(&policy.runs))
            }
            td data-label="Copies" {
                @match policy.copies {
                    Some(copies) => {
                        (copies.verified) " verified"
                        @if copies.suspicious > 0 { ", " (copies.suspicious) " suspicious" }
                    }
                    None => span.none { "-" }
                }
                @if let Some(retention) = policy.retention.as_ref().filter(|retention| !retention.healthy) {
                    p.message { strong { (retention.reason) } ": " (retention.message) }
                }
            }
            td data-label="Next backup" {
                @match policy.next_schedule_time {
                    Some(next) => {
                        time datetime=(next) { (coming(next.duration_since(now))) }
                        span.schedule { " " (policy.schedule) " " (policy.time_zone) }
                    }
                    None => span.none { "none" }
                }
            }
            td data-label="Runs" { (runs(&policy.runs)) }
        }
    }
}

/// The newest runs, oldest first: a mark for each, and the same in words.
fn runs(runs: &[Run]) -> Markup {
    if runs.is_empty() {
        return html! { span.none { "none yet" } };
    }
    html! {
        ol.runs {
            @for run in runs {
                li class=(format!("{:?}", run.result).to_lowercase())
                    title=(format!("{} {}", moment(run.start_time, &TimeZone::UTC), run.reason)) {
                    span.mark aria-hidden="true" {
                        (match run.result {
                            RunResult::Succeeded => "●",
                            RunResult::Failed => "✕",
                            RunResult::Running | RunResult::Unknown => "?",
                        })
                    }
                    span.words { (run.reason) }
                }
            }
        }
    }
}

/// The sizes of the newest runs as a line from nothing up: whether they grow, shrink or fell to nothing.
fn plot(runs: &[Run]) -> Markup {
    let sizes: Vec<u64> = runs.iter().filter_map(|run| run.size_bytes).collect();
    let (Some(most), 2..) = (sizes.iter().copied().max().filter(|most| *most > 0), sizes.len()) else {
        return html! {};
    };
    let (width, height) = PLOT;
    #[expect(clippy::cast_precision_loss, reason = "it is a drawing")]
    let points: Vec<String> = sizes
        .iter()
        .enumerate()
        .map(|(at, bytes)| {
            let x = at as f64 / (sizes.len() - 1) as f64 * width;
            let y = height - *bytes as f64 / most as f64 * (height - 2.0) - 1.0;
            format!("{x:.1},{y:.1}")
        })
        .collect();
    let (first, last) = (size::human(sizes[0]), size::human(sizes[sizes.len() - 1]));
    html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" preserveAspectRatio="none"
            aria-label=(format!("size of the last {} copies: from {first} to {last}", sizes.len())) {
            polyline points=(points.join(" ")) {}
        }
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

const fn word(state: State) -> &'static str {
    match state {
        State::Unhealthy => "unhealthy",
        State::Unknown => "not known yet",
        State::Suspended => "suspended",
        State::Healthy => "healthy",
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "policy" } else { "policies" }
}

fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use desired::overview::{Copies, Copy};

    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T06:30:00Z".parse().unwrap()
    }

    fn policy(name: &str, state: State, reason: &str) -> Overview {
        let run = |day: i64, result, bytes| Run {
            start_time: now() - SignedDuration::from_hours(24 * day + 4),
            result,
            reason: reason.to_owned(),
            size_bytes: bytes,
        };
        Overview {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            state,
            reason: reason.to_owned(),
            message: format!("{name} says <why> & what to do"),
            schedule: "15 2 * * *".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            next_schedule_time: Some("2026-11-24T01:15:00Z".parse().unwrap()),
            overdue_time: None,
            overdue: false,
            expected_interval_seconds: Some(86_400),
            last_success: Some(Copy {
                snapshot_time: now() - SignedDuration::from_hours(5),
                set: None,
                size_bytes: Some(1_299_227_607),
                duration_seconds: Some(44.3),
                stages: BTreeMap::new(),
                verification: Some("Verified".to_owned()),
            }),
            last_verified_time: Some(now() - SignedDuration::from_hours(5)),
            max_age: Some("26h".to_owned()),
            max_age_seconds: Some(93_600),
            retention: None,
            scrub: None,
            copies: Some(Copies { all: 16, verified: 14, suspicious: 1, size_bytes: 20_000_000_000 }),
            runs: vec![
                run(3, RunResult::Succeeded, Some(1_100_000_000)),
                run(2, RunResult::Failed, None),
                run(1, RunResult::Unknown, None),
                run(0, RunResult::Succeeded, Some(1_299_227_607)),
            ],
        }
    }

    #[test]
    fn who_needs_somebody_comes_first_and_everything_is_said_in_words() {
        let page = page(
            vec![
                policy("fine", State::Healthy, "Verified"),
                policy("resting", State::Suspended, "Suspended"),
                policy("broken", State::Unhealthy, "Overdue"),
            ],
            now(),
        );
        let at = |name: &str| page.find(&format!("<span class=\"name\">{name}</span>")).unwrap();
        assert!(at("broken") < at("resting") && at("resting") < at("fine"));
        for words in [
            "<title>1 of 3 backup policies unhealthy - pgbackup</title>",
            "broken says &lt;why&gt; &amp; what to do",
            "5 h ago",
            "of at most 26h",
            "in 18 h 45 min",
            "size of the last 2 copies: from 1.02 GiB to 1.21 GiB",
            "14 verified, 1 suspicious",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert!(!page.contains("fine says"), "nobody needs to read about what is well");
        assert!(!page.contains("<script"));
    }

    #[test]
    fn a_page_of_nothing_says_so() {
        let page = page(Vec::new(), now());
        assert!(page.contains("<h1>No backup policies</h1>"), "{page}");
        assert!(!page.contains("<table"));
    }

    #[test]
    fn an_age_has_two_units_at_most() {
        for (minutes, wanted) in [
            (0, "less than a minute"),
            (7, "7 min"),
            (61, "1 h 1 min"),
            (120, "2 h"),
            (1445, "1 d"),
            (4500, "3 d 3 h"),
        ] {
            assert_eq!(age(SignedDuration::from_mins(minutes)), wanted, "{minutes}");
        }
    }
}
