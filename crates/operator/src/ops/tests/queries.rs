//! Alerts, the dashboard and the documentation use only metrics, labels and values that a scrape contains.

use std::{
    collections::{BTreeMap, BTreeSet},
    future,
};

use tower::{ServiceBuilder, service_fn};

use super::*;

/// The labels of each series, by metric name.
type Series = BTreeMap<String, Vec<BTreeMap<String, String>>>;

/// The labels that Prometheus adds.
const SCRAPER: [&str; 2] = ["instance", "pod"];

/// The labels whose values are names of objects.
const NAMES: [&str; 2] = ["namespace", "policy"];

/// PromQL keywords and functions, which are not names of metrics.
const KEYWORDS: [&str; 14] = [
    "and", "or", "unless", "bool", "offset", "sum", "min", "max", "avg", "count", "group", "topk", "bottomk",
    "inf",
];

/// PromQL keywords before a list of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// Returns a scrape of a leader with policies in every state and API requests with every result.
async fn scrape() -> String {
    let api_metrics = ApiMetrics::default();
    let server = service_fn(|request: Request<u16>| {
        future::ready(match *request.body() {
            0 => Err(()),
            status => Ok(http::Response::builder().status(status).body(()).unwrap()),
        })
    });
    let client = ServiceBuilder::new().layer(api_metrics.clone()).service(server);
    for status in [0, 200, 404, 503] {
        let _ = client.clone().oneshot(Request::new(status)).await;
    }
    let (status, text) = get(&leader(api_metrics), "/metrics").await;
    assert_eq!(status, 200, "{text}");
    text
}

/// Returns the endpoint of a replica that leads.
fn leader(api_metrics: ApiMetrics) -> Router {
    let readiness = Arc::new(Readiness::default());
    readiness.syncing();
    endpoint_with(OpsAuth::None, Some(policies()), api_metrics, readiness)
}

fn series(text: &str) -> Series {
    let mut all = Series::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap().split_terminator("\",");
        let pair = |label: &str| {
            let (name, value) = label.split_once("=\"").unwrap();
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        };
        all.entry(name.to_owned()).or_default().push(labels.map(pair).collect());
    }
    all
}

/// A token of a query. Numbers and durations are omitted.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

fn tokens(query: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => {
                let end = rest[1..].find('"').expect("a string should be terminated") + 2;
                tokens.push(Token::Text(rest[1..end - 1].to_owned()));
                end
            }
            _ if first.is_ascii_alphanumeric() || "_$".contains(first) => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_:$.".contains(c)));
                let end = end.unwrap_or(rest.len());
                if !first.is_ascii_digit() {
                    tokens.push(Token::Word(rest[..end].to_owned()));
                }
                end
            }
            _ => {
                tokens.push(Token::Sign(first));
                first.len_utf8()
            }
        };
        rest = rest[end..].trim_start();
    }
    tokens
}

/// Returns the tokens between the bracket at index `open` and the next `close`.
fn inside(tokens: &[Token], open: usize, close: char) -> &[Token] {
    let rest = &tokens[open + 1..];
    let end = rest.iter().position(|token| *token == Token::Sign(close)).expect("a bracket should close");
    &rest[..end]
}

/// Returns the mistakes in a query, and the labels of its metrics.
fn check(query: &str, series: &Series) -> (Vec<String>, BTreeSet<String>) {
    let tokens = tokens(query);
    let (mut mistakes, mut grouped, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut inside_labels = 0;
    for (at, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let next = tokens.get(at + 1);
        if at < inside_labels || word.starts_with('$') || KEYWORDS.contains(&word.as_str()) {
            continue;
        }
        if LISTS.contains(&word.as_str()) {
            let list = inside(&tokens, at + 1, ')');
            inside_labels = at + 2 + list.len();
            grouped.extend(list.iter().filter_map(|token| match token {
                Token::Word(label) => Some(label.clone()),
                _ => None,
            }));
            continue;
        }
        if next == Some(&Token::Sign('(')) {
            continue;
        }
        let Some(found) = series.get(word) else {
            mistakes.push(format!("{word} is not exposed"));
            continue;
        };
        known.extend(found.iter().flat_map(BTreeMap::keys).cloned());
        if next == Some(&Token::Sign('{')) {
            let matchers = inside(&tokens, at + 1, '}');
            inside_labels = at + 2 + matchers.len();
            mistakes.extend(matcher_mistakes(word, matchers, found));
        }
    }
    let is_known = |label: &&String| !known.contains(*label) && !SCRAPER.contains(&label.as_str());
    mistakes.extend(grouped.iter().filter(is_known).map(|label| format!("no metric has the label {label}")));
    (mistakes, known)
}

fn matcher_mistakes(metric: &str, matchers: &[Token], found: &[BTreeMap<String, String>]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for matcher in matchers.split(|token| *token == Token::Sign(',')) {
        let [Token::Word(label), .., Token::Text(text)] = matcher else {
            mistakes.push(format!("{metric}: {matcher:?} is not a matcher"));
            continue;
        };
        let values: BTreeSet<&String> = found.iter().filter_map(|labels| labels.get(label)).collect();
        if values.is_empty() {
            mistakes.push(format!("{metric} has no label {label}"));
        } else if !NAMES.contains(&label.as_str()) && !text.contains('$') {
            let missing = text.split('|').filter(|word| !values.iter().any(|value| value == word));
            mistakes.extend(missing.map(|word| format!("{metric} never has {label}={word}")));
        }
    }
    mistakes
}

/// Returns the labels in a template such as `{{ $labels.policy }}` or `{{policy}}`.
fn template_labels(text: &str) -> impl Iterator<Item = &str> {
    let between = text.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.trim()));
    between.filter_map(|word| word.strip_prefix("$labels.").or((!word.starts_with('$')).then_some(word)))
}

/// A query of an alert or a panel, and the templates that show labels of its result.
struct Query {
    origin: String,
    promql: String,
    templates: Vec<String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn alerts() -> Vec<Query> {
    let alerts: Value = serde_saphyr::from_str(&file("charts/pgbackup/files/alerts.yaml")).unwrap();
    let groups = alerts["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    let query = |rule: &Value| Query {
        origin: text(&rule["alert"]),
        promql: text(&rule["expr"]),
        templates: rule["annotations"].as_object().unwrap().values().map(text).collect(),
    };
    rules.map(query).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&file("charts/pgbackup/files/dashboard.json")).unwrap()
}

fn panels() -> Vec<Value> {
    dashboard()["panels"].as_array().unwrap().clone()
}

fn panel_queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for panel in panels() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push(Query {
                origin: format!("panel {}", panel["title"]),
                promql: text(&target["expr"]),
                templates: vec![text(&target["legendFormat"])],
            });
        }
    }
    for variable in dashboard()["templating"]["list"].as_array().unwrap() {
        // The definition has the form `label_values(<selector>, <label>)`.
        let definition = text(&variable["query"]["query"]);
        if let Some((selector, label)) = definition
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')')?.rsplit_once(", "))
        {
            queries.push(Query {
                origin: format!("variable {}", variable["name"]),
                promql: format!("sum by ({label}) ({selector})"),
                templates: Vec::new(),
            });
        }
    }
    queries
}

#[tokio::test]
async fn alerts_and_dashboard_query_existing_metrics() {
    let series = series(&scrape().await);
    let (alerts, panels) = (alerts(), panel_queries());
    assert!(alerts.len() >= 10 && panels.len() >= 15, "{} alerts, {} queries", alerts.len(), panels.len());
    let mut mistakes = Vec::new();
    for Query { origin, promql, templates } in alerts.iter().chain(&panels) {
        let (found, labels) = check(promql, &series);
        mistakes.extend(found.into_iter().map(|mistake| format!("{origin}: {mistake}: {promql}")));
        let missing = templates.iter().flat_map(|template| template_labels(template));
        let missing = missing.filter(|label| !labels.contains(*label));
        mistakes.extend(missing.map(|label| format!("{origin}: no metric has the label {label}: {promql}")));
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[tokio::test]
async fn query_of_an_unknown_metric_or_label_is_reported() {
    let series = series(&scrape().await);
    let valid = r#"sum by (state) (pgbackup_policy_state{namespace=~"$namespace",state=~"Unknown|Healthy"}) and on (policy)
        rate(pgbackup_reconciles_total{result="error"}[$__rate_interval]) > 0.5 unless max without (pod) (pgbackup_leader offset 5m)"#;
    assert_eq!(check(valid, &series).0, Vec::<String>::new());
    for (query, wanted) in [
        ("pgbackup_policy_status == 1", "pgbackup_policy_status is not exposed"),
        ("rate(pgbackup_reconciles[5m])", "pgbackup_reconciles is not exposed"),
        ("up == 0", "up is not exposed"),
        (r#"pgbackup_policy_state{phase="Healthy"}"#, "pgbackup_policy_state has no label phase"),
        (r#"pgbackup_policy_state{state="Well"}"#, "pgbackup_policy_state never has state=Well"),
        (
            r#"pgbackup_policy_backups{state=~"corrupted|rotten"}"#,
            "pgbackup_policy_backups never has state=rotten",
        ),
        ("sum by (state) (pgbackup_policy_overdue)", "no metric has the label state"),
    ] {
        assert_eq!(check(query, &series).0, [wanted], "{query}");
    }
    assert_eq!(template_labels("{{ $labels.a }}/{{b}} {{ $value }}").collect::<Vec<_>>(), ["a", "b"]);
}

/// The table in docs/reference/metrics.md contains each metric with its help, under the name that a query
/// uses (a histogram under its base name).
#[tokio::test]
async fn documented_metrics_match_exposed_metrics() {
    let text = scrape().await;
    let is_counter = |name: &str| text.contains(&format!("# TYPE {name} counter\n"));
    let help = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let exposed: BTreeMap<String, String> = help
        .map(|(name, help)| {
            (format!("{name}{}", if is_counter(name) { "_total" } else { "" }), help.to_owned())
        })
        .collect();
    let metrics = file("docs/reference/metrics.md");
    let rows = metrics.lines().filter_map(|line| line.strip_prefix("| `pgbackup_")?.strip_suffix(" |"));
    let documented: Vec<(String, String)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            (format!("pgbackup_{}", cells[0].trim_end_matches('`')), cells[2].replace('`', ""))
        })
        .collect();
    assert_eq!(documented.len(), exposed.len());
    assert_eq!(documented.into_iter().collect::<BTreeMap<_, _>>(), exposed);
}

#[tokio::test]
async fn metrics_match_the_status_of_each_policy() {
    let text = scrape().await;
    let series = series(&text);
    for name in ["pgbackup_policy_overdue", "pgbackup_policy_suspended"] {
        assert_eq!(series[name].len(), policies().len(), "{name}");
    }
    let value = |name: &str, policy: &str, more: &str| -> Option<f64> {
        let series = format!("{name}{{namespace=\"shop\",policy=\"{policy}\"{more}}} ");
        Some(text.lines().find_map(|line| line.strip_prefix(&series))?.parse().unwrap())
    };
    let unix = |time: &str| {
        let seconds = time.parse::<Timestamp>().unwrap().as_second();
        Some(f64::from(u32::try_from(seconds).unwrap()))
    };
    let (stage, success, verified) = (
        "pgbackup_policy_last_success_stage_duration_seconds",
        "pgbackup_policy_last_success_timestamp_seconds",
        "pgbackup_policy_last_verified_timestamp_seconds",
    );
    for (name, policy, more, wanted) in [
        (stage, "healthy-verified", ",stage=\"dump\"", Some(30.5)),
        (stage, "healthy-verified", ",stage=\"report\"", None),
        (stage, "overdue-after-grace", ",stage=\"dump\"", None),
        (success, "healthy-stored", "", unix("2026-11-23T02:15:05Z")),
        (verified, "healthy-stored", "", unix("2026-11-22T02:15:05Z")),
        (verified, "healthy-verified", "", unix("2026-11-23T02:15:05Z")),
        (verified, "scrub-newest-backup-corrupted", "", None),
        (verified, "scrub-last-verified-backup-corrupted", "", None),
        (success, "scrub-last-verified-backup-corrupted", "", unix("2026-11-23T02:15:05Z")),
        ("pgbackup_policy_max_age_seconds", "max-age-exceeded", "", Some(12.0 * 3600.0)),
        ("pgbackup_policy_max_age_seconds", "healthy-verified", "", None),
        ("pgbackup_policy_last_scrub_timestamp_seconds", "scrub-passed", "", unix("2026-11-23T04:30:03Z")),
        ("pgbackup_policy_scrub_healthy", "scrub-passed", "", Some(1.0)),
        ("pgbackup_policy_scrub_healthy", "scrub-overdue", "", Some(0.0)),
        ("pgbackup_policy_scrub_healthy", "healthy-verified", "", None),
        ("pgbackup_policy_scrub_healthy", "scrub-within-grace", "", None),
        ("pgbackup_policy_retention_healthy", "conditions-retention-failed", "", Some(0.0)),
        ("pgbackup_policy_retention_healthy", "healthy-verified", "", Some(1.0)),
        ("pgbackup_policy_retention_healthy", "new-reconciling", "", None),
        (
            "pgbackup_policy_last_scrub_backups",
            "scrub-older-backup-corrupted",
            ",result=\"corrupted\"",
            Some(1.0),
        ),
    ] {
        assert_eq!(value(name, policy, more), wanted, "{name} {policy} {more}");
    }
}

#[tokio::test]
async fn waiting_replica_exposes_no_policy_metrics() {
    let waiting = endpoint(OpsAuth::None, Some(policies()));
    assert_eq!(get(&waiting, ALL).await.0, 200, "its API serves them");
    let (status, text) = get(&waiting, "/metrics").await;
    let exposed = series(&text);
    assert_eq!(status, 200);
    assert!(text.contains("\npgbackup_leader 0") && text.ends_with("# EOF\n"), "{text}");
    assert!(!exposed.keys().any(|name| name.starts_with("pgbackup_polic")), "{text}");
    let all = series(&scrape().await);
    assert!(all.contains_key("pgbackup_policies") && all.contains_key("pgbackup_leader"));
}

/// Grafana does not run in tests, so the layout is checked as data.
#[test]
fn dashboard_panels_are_described_and_do_not_overlap() {
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels() {
        let title = text(&panel["title"]);
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is not unique");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|field| panel["gridPos"][field].as_u64().unwrap());
        assert!(x + w <= 24, "{title} is too wide");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{title} overlaps another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(!text(&panel["description"]).is_empty(), "{title} has no description");
        let targets = panel["targets"].as_array().unwrap();
        let names: BTreeSet<String> = targets.iter().map(|target| text(&target["refId"])).collect();
        assert_eq!(names.len(), targets.len(), "{title}: two queries have the same refId");
        for source in targets.iter().chain([&panel]).map(|part| &part["datasource"]) {
            assert_eq!(source, &json!({"type": "prometheus", "uid": "${datasource}"}), "{title}");
        }
    }
    assert_eq!(dashboard()["uid"], "pgbackup");
}
