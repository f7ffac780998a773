//! Counts requests to the API server with its own metric `apiserver_request_total`. While the benchmark
//! writes nothing, only the operator writes policies, CronJobs and Jobs.

use std::{collections::BTreeMap, ops::Sub};

use anyhow::Result;
use kube::Client;

/// The groups and resources that only the operator writes here. The scheduler writes events of the same
/// group, so events are not measured while pods run.
const RESOURCES: [(&str, &str); 4] = [
    ("pgbackup.dev", "backuppolicies"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
    ("events.k8s.io", "events"),
];

/// The requests since the API server started, or the difference of two such counts.
#[derive(Clone, Debug, Default)]
pub struct ApiRequests(BTreeMap<Key, u64>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    resource: String,
    subresource: String,
    verb: String,
    code: String,
}

impl ApiRequests {
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

    fn count(&self, wanted: impl Fn(&Key) -> bool) -> u64 {
        self.0.iter().filter(|(key, _)| wanted(key)).map(|(_, count)| count).sum()
    }

    /// Returns the number of writes, including rejected ones.
    pub fn writes(&self) -> u64 {
        self.count(|key| is_write(&key.verb))
    }

    pub fn writes_of(&self, resource: &str) -> u64 {
        self.count(|key| is_write(&key.verb) && key.resource == resource)
    }

    /// Returns the number of writes that were answered with another code than 2xx, for example 409 (conflict).
    pub fn rejected_writes(&self) -> u64 {
        self.count(|key| is_write(&key.verb) && !key.code.starts_with('2'))
    }

    /// Returns the number of reads of single objects and of lists.
    pub fn reads(&self) -> u64 {
        self.count(|key| matches!(key.verb.as_str(), "GET" | "LIST"))
    }
}

fn is_write(verb: &str) -> bool {
    matches!(verb, "POST" | "PUT" | "PATCH" | "APPLY" | "DELETE" | "DELETECOLLECTION")
}

impl Sub for &ApiRequests {
    type Output = ApiRequests;

    fn sub(self, before: Self) -> ApiRequests {
        let counts = self.0.iter().map(|(key, count)| {
            (key.clone(), count - before.0.get(key).copied().unwrap_or_default().min(*count))
        });
        ApiRequests(counts.collect())
    }
}
