//! The backup that the annotation `pgbackup.dev/requested-at` requests.

use api::{BackupPolicy, meta};

/// Returns the value (token) of the annotation `requested-at`; `None` if it is empty or its backup was
/// already started.
pub fn open_request(policy: &BackupPolicy) -> Option<&str> {
    let token = policy.metadata.annotations.as_ref()?.get(meta::REQUESTED_AT)?.as_str();
    let handled = policy.status.as_ref().and_then(|status| status.last_handled_request.as_deref());
    (!token.is_empty() && Some(token) != handled).then_some(token)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn backup_request_is_pending_until_status_records_it() {
        let policy = |token: &str, handled: &str| -> BackupPolicy {
            serde_json::from_value(json!({
                "metadata": { "annotations": { meta::REQUESTED_AT: token } },
                "spec": {
                    "schedule": "15 2 * * *",
                    "postgres": { "version": 17, "connection": { "host": "db", "user": "backup" } },
                    "storage": { "volume": { "claimName": "backups" } },
                },
                "status": { "lastHandledRequest": handled },
            }))
            .unwrap()
        };
        assert_eq!(open_request(&policy("", "first")), None);
        assert_eq!(open_request(&policy("first", "first")), None);
        assert_eq!(open_request(&policy("second", "first")), Some("second"));
        let mut without = policy("first", "");
        without.metadata.annotations = None;
        assert_eq!(open_request(&without), None);
    }
}
