//! Checks how far a standby is behind its primary.

use std::time::Duration;

use serde::Deserialize;

/// The state of replay on a standby.
#[derive(Clone, Debug, Deserialize)]
pub struct Replay {
    /// Whether another server currently sends WAL to this standby.
    receiving: bool,
    /// Whether the standby has replayed everything that it has received.
    caught_up: bool,
    /// Whether the standby has replayed everything that the sending server has written; `None` if the role
    /// has no permission to see that.
    level: Option<bool>,
    /// The age of the newest replayed transaction, in seconds; `None` if none was replayed yet.
    seconds: Option<f64>,
    /// Whether replay is paused.
    paused: bool,
    /// The replay position.
    lsn: Option<String>,
}

/// An error: the standby is too far behind its primary.
#[derive(Debug, thiserror::Error)]
#[error("the standby is too far behind its primary: {age}{at}, but dump.maxReplicaLag is {allowed} s; {why}")]
pub struct StaleError {
    age: String,
    at: String,
    why: &'static str,
    /// The lag that the policy allows, in seconds.
    allowed: u64,
}

const UNKNOWN_LEVEL: &str = "the role has no permission (pg_read_all_stats) to see whether the primary has written newer transactions";

impl StaleError {
    /// Returns a hint for this case; `None` if the reason's general advice is enough.
    pub fn hint(&self) -> Option<String> {
        match self.why {
            UNKNOWN_LEVEL => Some("GRANT pg_read_all_stats to the role of the backup.".to_owned()),
            _ => None,
        }
    }
}

impl Replay {
    /// Returns an error if the standby is further behind than `allowed`. A standby that receives WAL and has
    /// replayed everything that its sender has written is up to date, even if the primary wrote its last
    /// transaction long ago. For any other standby, the lag is the age of its newest replayed transaction.
    pub fn refuse_stale(&self, allowed: Duration) -> Result<(), StaleError> {
        let Self { receiving, caught_up, level, seconds, paused, ref lsn } = *self;
        if receiving && caught_up && level == Some(true) && !paused {
            return Ok(());
        }
        if seconds.is_some_and(|seconds| seconds <= allowed.as_secs_f64()) {
            return Ok(());
        }
        let why = if paused {
            "replay is paused"
        } else if !receiving {
            "no server sends WAL to the standby"
        } else if !caught_up {
            "the standby has not replayed all WAL that it has received"
        } else if level.is_none() {
            UNKNOWN_LEVEL
        } else {
            "the standby has not received all WAL that its primary has written"
        };
        let age = seconds.map_or("it has not replayed any transaction yet".to_owned(), |seconds| {
            format!("its newest replayed transaction is {seconds:.0} s old")
        });
        let at = lsn.as_ref().map(|lsn| format!(" (at {lsn})")).unwrap_or_default();
        Err(StaleError { age, at, why, allowed: allowed.as_secs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_standby_is_rejected_with_the_cause() {
        let level = Replay {
            receiving: true,
            caught_up: true,
            level: Some(true),
            seconds: Some(7200.0),
            paused: false,
            lsn: Some("0/3000060".into()),
        };
        for (replay, why) in [
            (level.clone(), None),
            (Replay { seconds: None, ..level.clone() }, None),
            (Replay { paused: true, ..level.clone() }, Some("replay is paused")),
            (
                Replay { receiving: false, level: None, ..level.clone() },
                Some("no server sends WAL to the standby"),
            ),
            (Replay { caught_up: false, ..level.clone() }, Some("not replayed all WAL that it has received")),
            (Replay { level: Some(false), ..level.clone() }, Some("not received all WAL")),
            (Replay { level: None, ..level.clone() }, Some("pg_read_all_stats")),
            (
                Replay { receiving: false, seconds: None, ..level.clone() },
                Some("not replayed any transaction yet"),
            ),
        ] {
            let refused_by = |replay: &Replay| replay.refuse_stale(Duration::from_mins(5)).err();
            let refused = refused_by(&replay);
            assert_eq!(refused.is_some(), why.is_some(), "{replay:?}");
            if let (Some(refused), Some(why)) = (refused, why) {
                let message = refused.to_string();
                assert!(
                    message.contains(why) && message.contains("dump.maxReplicaLag is 300 s"),
                    "{message}"
                );
            }
            // A transaction within the allowed lag is enough, whatever the other values are.
            assert!(refused_by(&Replay { seconds: Some(300.0), ..replay.clone() }).is_none(), "{replay:?}");
            assert_eq!(refused_by(&Replay { seconds: Some(300.1), ..replay }).is_some(), why.is_some());
        }
    }
}
