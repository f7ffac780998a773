//! The page in a real browser, with 0, 3 and 300 policies, served over HTTP as by the operator.
//! `tests/page/run` installs the browser and starts this test.

use std::{env, process::Command};

use jiff::SignedDuration;

use super::*;

/// The names, namespaces and golden cases of three policies: unhealthy, healthy and suspended.
const THREE: [(&str, &str, &str); 3] = [
    ("billing", "finance", "max-age-exceeded"),
    ("shop", "shop", "healthy-verified"),
    ("old-shop", "shop", "conditions-suspended"),
];

/// Realistic names of policies and namespaces, up to the longest allowed.
const NAMES: [&str; 10] = [
    "orders",
    "billing",
    "crm",
    "customer-relationship-management-reporting-eu",
    "keycloak",
    "gitlab",
    "inventory-replica",
    "nextcloud",
    "warehouse",
    "w",
];
const NAMESPACES: [&str; 7] = [
    "shop",
    "finance",
    "a-team-with-a-very-long-namespace-name-for-its-staging-databases",
    "identity",
    "tools",
    "de",
    "production-eu-central-1",
];

/// A time on the day of the golden files. Their times are moved by whole days to today, so the time of day is
/// kept.
const GOLDEN: &str = "2026-11-23T02:30:00Z";

/// Returns a policy of the golden files with another name, and with its times moved to today.
fn moved_to_today(case: &BackupPolicy, namespace: &str, name: &str, now: Timestamp) -> BackupPolicy {
    let golden: Timestamp = GOLDEN.parse().unwrap();
    let days = now.duration_since(golden).as_secs().div_euclid(86_400);
    let mut text = serde_json::to_string(case).unwrap().replace("shop-backup-", &format!("{name}-backup-"));
    for day in (-40..=10).rev() {
        let from = golden + SignedDuration::from_hours(24 * day);
        // Replacing "20" by a marker prevents moving a date twice.
        let to = from + SignedDuration::from_hours(24 * days);
        for form in ["%Y-%m-%d", "%Y%m%dT"] {
            let to = to.strftime(form).to_string().replacen("20", "\u{1}", 1);
            text = text.replace(&from.strftime(form).to_string(), &to);
        }
    }
    let mut policy: BackupPolicy = serde_json::from_str(&text.replace('\u{1}', "20")).unwrap();
    policy.metadata.namespace = Some(namespace.to_owned());
    policy.metadata.name = Some(name.to_owned());
    policy
}

/// Extends the history to ten runs whose sizes grow, shrink, fluctuate, drop or stay equal, depending on
/// `kind`.
fn with_history(mut policy: BackupPolicy, kind: usize) -> BackupPolicy {
    let status = policy.status.as_mut().unwrap();
    let Some(oldest) = status.history.last().cloned().filter(|run| run.size_bytes.is_some()) else {
        return policy;
    };
    for day in 1.. {
        if status.history.len() == api::status::HISTORY_LIMIT {
            break;
        }
        let mut run = oldest.clone();
        run.start_time = api::status::time(run.start_time.0 - SignedDuration::from_hours(24 * day));
        status.history.push(run);
    }
    let unit = 3_u64.pow(u32::try_from(kind % 17).unwrap()) * 100_000;
    let size_of_run = |age: usize| {
        let age = u64::try_from(age).unwrap();
        let percent = match kind % 5 {
            0 => 130 - 4 * age,
            1 => 60 + 6 * age,
            2 => 100 + [0, 17, 4, 26, 9][usize::try_from(age).unwrap() % 5],
            3 if age < 3 => 30,
            _ => 100,
        };
        unit * percent / 100
    };
    for (age, run) in status.history.iter_mut().enumerate() {
        run.size_bytes = run.size_bytes.map(|_| size_of_run(age));
    }
    let newest = status.history.iter().find_map(|run| run.size_bytes);
    let size = domain::size::human(newest.unwrap_or_default());
    for condition in &mut status.conditions {
        condition.message = condition.message.replace("1.21 GiB", &size);
    }
    if let Some(success) = &mut status.last_success {
        success.size_bytes = newest;
    }
    if let Some(retained) = &mut status.retained {
        retained.size_bytes = newest.unwrap_or_default() * u64::from(retained.backups);
    }
    policy
}

fn three(now: Timestamp) -> Vec<BackupPolicy> {
    let cases = policies_in_time();
    let case = |wanted: &str| cases.iter().find(|case| case.name_any() == wanted).unwrap();
    let policy = |(at, (name, namespace, wanted)): (usize, &(&str, &str, &str))| {
        let mut policy = with_history(moved_to_today(case(wanted), namespace, name, now), 9 + at);
        if *wanted == "healthy-verified" {
            policy.spec.objectives.max_age = Some("26h".to_owned());
        }
        policy
    };
    THREE.iter().enumerate().map(policy).collect()
}

/// Returns 300 policies. Four of five are healthy, and every fifth is one of the golden cases in turn.
fn three_hundred(now: Timestamp) -> Vec<BackupPolicy> {
    let cases = policies_in_time();
    let is_healthy = |case: &&BackupPolicy| {
        ["healthy-verified", "healthy-stored", "scrub-passed"].contains(&case.name_any().as_str())
    };
    let healthy: Vec<_> = cases.iter().filter(is_healthy).collect();
    let made = |at: usize| {
        let case =
            if at.is_multiple_of(5) { &cases[at / 5 % cases.len()] } else { healthy[at % healthy.len()] };
        // The offset gives the non-healthy policies all names and histories too.
        let turn = at + at / 5;
        let base = NAMES[turn % NAMES.len()];
        // Unique names, some of the maximum length.
        let name = if base.len() > 40 { format!("{}-{at:03}", &base[..41]) } else { format!("{base}-{at}") };
        let mut policy =
            with_history(moved_to_today(case, NAMESPACES[turn % NAMESPACES.len()], &name, now), turn);
        if at.is_multiple_of(3) {
            policy.spec.objectives.max_age = Some("26h".to_owned());
        }
        policy
    };
    (0..300).map(made).collect()
}

#[tokio::test]
async fn status_page_passes_browser_and_accessibility_checks() {
    let now = Timestamp::now();
    let (three, many) = (three(now), three_hundred(now));
    assert!(many.iter().any(|policy| policy.name_any().len() == 45));
    let mut addresses = Vec::new();
    for policies in [Vec::new(), three, many] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(format!("{}=http://{}/", policies.len(), listener.local_addr().unwrap()));
        let router = endpoint(OpsAuth::None, Some(policies));
        tokio::spawn(server::serve(listener, router, Limits::default(), CancellationToken::new()));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert!(env::var_os("PAGE_TOOLS").is_some(), "PAGE_TOOLS is not set; start this test by tests/page/run");
    let mut check = Command::new("node");
    check.arg("tests/page/check.mjs").args(addresses).current_dir(root);
    let ended = tokio::task::spawn_blocking(move || check.status()).await.unwrap().unwrap();
    assert!(ended.success(), "the page has faults, printed above");
}
