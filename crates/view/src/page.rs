//! The page of all policies: plain HTML with a style sheet and no script, readable on a phone. Everything
//! that colour shows is also shown as text. `tests/page` checks the page in a real browser.

mod cells;
mod drawing;
#[cfg(test)]
mod tests;

use domain::time::minute;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{overview::Overview, state::State};

const STYLE: &str = include_str!("page/page.css");

const COLUMNS: [&str; 7] =
    ["Policy", "State", "Recovery point", "Size", "Backups", "Next backup", "Last runs"];

/// Returns the page of these policies at the time `now`. A live page refreshes itself every minute.
/// Refreshing is off by default, because it moves readers and screen readers back to the start.
pub fn page(mut policies: Vec<Overview>, now: Timestamp, live: bool) -> String {
    policies.sort_by(|a, b| {
        let key = |policy: &Overview| (policy.state, policy.failed_checks().next().is_none());
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
                        span { "As of " time datetime=(now) { (minute(now)) } } " "
                        @if live {
                            span { "Refreshes every minute" } " " a href="?" { "Stop refreshing" }
                        } @else {
                            a href="?" { "Refresh" } " " a href="?live" { "Refresh every minute" }
                        }
                    }
                    @if !policies.is_empty() { (counts(&policies)) }
                }
                main {
                    @if policies.is_empty() {
                        p { "No BackupPolicy exists, or you have no permission to get any." }
                        p { "To list the policies of all namespaces: " code { "kubectl get backuppolicies --all-namespaces" } }
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
    let (all, unhealthy) = (policies.len(), in_state(policies, State::Unhealthy).count());
    let noun = if all == 1 { "policy" } else { "policies" };
    match (all, unhealthy) {
        (0, _) => "No backup policies".to_owned(),
        (_, 0) => format!("{all} backup {noun}, none unhealthy"),
        _ => format!("{unhealthy} of {all} backup {noun} unhealthy"),
    }
}

fn in_state(policies: &[Overview], state: State) -> impl Iterator<Item = &Overview> {
    policies.iter().filter(move |policy| policy.state == state)
}

/// Returns the number of policies in each state, with links to their rows.
fn counts(policies: &[Overview]) -> Markup {
    html! {
        nav aria-label="Policies by state" {
            ul.counts {
                @for (state, count) in State::ALL.map(|state| (state, in_state(policies, state).count())) {
                    @if count > 0 {
                        li { a class=(class(state)) href=(format!("#{}", class(state))) { (count) " " (state.as_str()) } }
                    }
                }
            }
        }
    }
}

/// Returns the table of policies. Its elements have their roles explicitly, because browsers drop the
/// implicit roles where the style shows rows as cards.
fn table(policies: &[Overview], now: Timestamp) -> Markup {
    html! {
        table role="table" {
            caption { "Backup policies, unhealthy ones first" }
            thead role="rowgroup" { tr role="row" {
                @for column in COLUMNS { th scope="col" role="columnheader" { (column) } }
            } }
            @for state in State::ALL {
                @if in_state(policies, state).next().is_some() {
                    tbody role="rowgroup" id=(class(state)) {
                        @for policy in in_state(policies, state) { (row(policy, now)) }
                    }
                }
            }
        }
    }
}

fn row(policy: &Overview, now: Timestamp) -> Markup {
    let cells = [
        cells::standing(policy),
        cells::recovery_point(policy, now),
        cells::size(policy),
        cells::backups(policy),
        cells::next_backup(policy, now),
        cells::runs(&policy.runs),
    ];
    html! {
        tr class=(format!("policy {}", class(policy.state))) role="row" {
            th scope="row" role="rowheader" {
                span.name { (policy.name) }
                " " span.namespace { (policy.namespace) }
            }
            @for (column, cell) in COLUMNS[1..].iter().zip(cells) {
                td role="cell" data-label=(column) { div { (cell) } }
            }
        }
    }
}

/// Returns a state's CSS class, which is also the id of its rows.
fn class(state: State) -> String {
    state.as_str().to_lowercase()
}
