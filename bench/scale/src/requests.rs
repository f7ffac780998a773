//! What the API server was asked, by its own count (`apiserver_request_total`): nobody else writes to policies, CronJobs
//! and Jobs while the benchmark does not.

use std::{collections::BTreeMap, ops::Sub};

use anyhow::Result;
use kube::Client;

/// The resources that the operator has to do with, in the groups in which only it writes them here. The scheduler's events
/// are in the same group, and so are not counted where pods run.
const RESOURCES: [(&str, &str); 4] = [
    ("pgbackup.dev", "backuppolicies"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
    ("events.k8s.io", "events"),
];

/// Requests since the API server started.
#[derive(Clone, Debug, Default)]
pub struct Requests(BTreeMap<Key, u64>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    resource: String,
    subresource: String,
    verb: String,
    code: String,
}

impl Requests {
    /// Asks for them.
    pub async fn now(client: &Client) -> Result<Self> {
        let text = client.request_text(http::Request::get("/metrics").body(Vec::new())?).await?;
        let counts = text.lines().filter_map(|line| {
            let (labels, count) = line.strip_prefix("apiserver_request_total{")?.split_once("} ")?;
            let label = |name: &str| {
                let labels = labels.split(',').filter_map(|label| label.split_once("=\""));
                let mut found = labels.filter(|(key, _)| *key == name);
                found.next().map(|(_, value)| value.trim_end_matches('"').to_owned()).unwrap_or_default()
            };
            let (group, resource) = (label("group"), label("resource"));
            let is_ours = RESOURCES.contains(&(group.as_str(), resource.as_str()));
            let key =
                Key { resource, subresource: label("subresource"), verb: label("verb"), code: label("code") };
            is_ours.then(|| Some((key, count.parse::<f64>().ok()?)))?
        });
        let mut requests = Self::default();
        for (key, count) in counts {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let count = count as u64;
            *requests.0.entry(key).or_default() += count;
        }
        Ok(requests)
    }

    /// How many of these verbs there were, whatever came of them.
    fn count(&self, wanted: impl Fn(&Key) -> bool) -> u64 {
        self.0.iter().filter(|(key, _)| wanted(key)).map(|(_, count)| count).sum()
    }

    /// Objects that were created, changed or deleted, or were to be.
    pub fn writes(&self) -> u64 {
        self.count(|key| is_write(&key.verb))
    }

    /// Writes of one resource.
    pub fn writes_of(&self, resource: &str) -> u64 {
        self.count(|key| is_write(&key.verb) && key.resource == resource)
    }

    /// Writes that the API server refused, for conflicts above all.
    pub fn refused_writes(&self) -> u64 {
        self.count(|key| is_write(&key.verb) && !key.code.starts_with('2'))
    }

    /// Single objects that were read, and lists.
    pub fn reads(&self) -> u64 {
        self.count(|key| matches!(key.verb.as_str(), "GET" | "LIST"))
    }
}

fn is_write(verb: &str) -> bool {
    matches!(verb, "POST" | "PUT" | "PATCH" | "APPLY" | "DELETE" | "DELETECOLLECTION")
}

impl Sub for &Requests {
    type Output = Requests;

    fn sub(self, before: Self) -> Requests {
        let counts = self.0.iter().map(|(key, count)| {
            (key.clone(), count - before.0.get(key).copied().unwrap_or_default().min(*count))
        });
        Requests(counts.collect())
    }
}
