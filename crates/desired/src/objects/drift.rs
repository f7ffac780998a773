//! Detects whether a CronJob in the cluster differs from what the operator wrote.

use api::meta;
use domain::hash;
use k8s_openapi::{api::batch::v1::CronJob, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::Serialize;
use serde_json::Value;

/// Adds a hash of the CronJob to its annotations.
pub fn with_hash(mut cron_job: CronJob) -> CronJob {
    let hash = hash::sha256(&json(&cron_job).to_string());
    cron_job.metadata.annotations.get_or_insert_default().insert(meta::APPLIED_HASH.to_owned(), hash);
    cron_job
}

/// Returns whether the CronJob with the metadata `observed` needs no write: it has all labels, annotations
/// and owners that the operator sets, and nobody has changed its spec.
pub fn up_to_date(wanted: &CronJob, observed: &ObjectMeta) -> bool {
    within(&json(&wanted.metadata), &json(observed)) && spec_is_as_applied(wanted, observed)
}

/// Returns whether the spec is what the operator wrote: the hash shows that the operator wrote `wanted` last,
/// and the generation shows that nobody has written the spec since. The specs themselves are not compared,
/// because an admission webhook may have changed the operator's (another registry, an image digest), and
/// would change it again after each write.
pub fn spec_is_as_applied(wanted: &CronJob, observed: &ObjectMeta) -> bool {
    let hash = |metadata: &ObjectMeta| metadata.annotations.as_ref()?.get(meta::APPLIED_HASH).cloned();
    let generation = observed.generation;
    hash(&wanted.metadata) == hash(observed)
        && generation.is_some()
        && applied_generation(observed) == generation
}

/// Returns the generation of the object after the operator's last write, which an annotation records. The API
/// server increments the generation with each write of the spec, so another generation means that somebody
/// else wrote the spec later. This detects even changes to fields that the operator does not set.
pub fn applied_generation(observed: &ObjectMeta) -> Option<i64> {
    observed.annotations.as_ref()?.get(meta::APPLIED_GENERATION)?.parse().ok()
}

fn json(object: &impl Serialize) -> Value {
    serde_json::to_value(object).expect("a CronJob should always be JSON")
}

/// Returns whether `observed` contains everything in `wanted`. Maps in `observed` may have more keys.
fn within(wanted: &Value, observed: &Value) -> bool {
    match (wanted, observed) {
        (Value::Object(wanted), Value::Object(observed)) => wanted.iter().all(|(key, value)| {
            observed.get(key).map_or_else(|| is_empty(value), |found| within(value, found))
        }),
        (Value::Array(wanted), Value::Array(observed)) => {
            wanted.len() == observed.len() && wanted.iter().zip(observed).all(|(a, b)| within(a, b))
        }
        _ => wanted == observed,
    }
}

/// Returns whether a value is empty. The API server removes empty values.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        Value::Null => true,
        _ => false,
    }
}
