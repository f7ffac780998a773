//! Runs pg_dump beside the session that holds the table locks and the snapshot.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::oneshot;

use super::error::BackupError;
use crate::{
    pg::{
        blocker::{self, Blocker},
        dump_error::DumpError,
        hold::HoldError,
        session::Session,
        source::{self, Source},
    },
    transfer::{TransferError, UploadedArchive},
};

/// The two ways in which the session that holds the table locks can end.
#[derive(Debug)]
pub enum Held {
    /// pg_dump acquired its own locks, so the session was no longer needed. Contains the database's contents
    /// in the snapshot.
    UntilLocked(Box<Source>),
    /// pg_dump ended before it acquired its locks. Contains the session that blocked a table at that moment,
    /// if it was found.
    WithoutDump(Option<Blocker>),
}

/// Waits for pg_dump and for the holding session. Returns at once if the holding session is lost, and if the
/// dump fails. After a lock timeout it still waits for the holding session, which reports the blocker.
pub async fn side_by_side(
    dumping: impl Future<Output = Result<UploadedArchive, TransferError>>,
    holding: impl Future<Output = Result<Held, HoldError>>,
) -> Result<(Result<UploadedArchive, TransferError>, Held), HoldError> {
    tokio::pin!(dumping, holding);
    tokio::select! {
        held = &mut holding => {
            let held = held?;
            Ok((dumping.await, held))
        }
        dumped = &mut dumping => match dumped {
            Err(error) if !matches!(error, TransferError::Dump(DumpError::LockTimeout { .. })) => {
                Ok((Err(error), Held::WithoutDump(None)))
            }
            dumped => holding.await.map(|held| (dumped, held)),
        },
    }
}

/// Holds the tables until pg_dump has acquired its own locks, then describes the snapshot and counts its rows
/// with `count`. If pg_dump cannot acquire its locks, the session ends at once, because other sessions wait
/// for its locks. If the session is lost before, the dump is inconsistent, and an error is returned.
pub async fn hold_until_locked(
    mut session: Session,
    locked: oneshot::Receiver<()>,
    count: impl AsyncFnOnce(&Source) -> Result<Option<BTreeMap<u32, u64>>, HoldError>,
) -> Result<Held, HoldError> {
    if locked.await.is_err() {
        let blocker = blocker::seen_by(&mut session).await;
        session.close().await;
        return Ok(Held::WithoutDump(blocker));
    }
    let mut source = source::describe(&mut session).await.map_err(HoldError::while_holding)?;
    source.counts = count(&source).await?;
    session.execute("COMMIT").await.map_err(HoldError::while_holding)?;
    session.close().await;
    Ok(Held::UntilLocked(Box::new(source)))
}

/// Combines the results of the dump and of the holding session. `lock_timeout` is how long pg_dump waited for
/// a lock.
pub fn result(
    both: Result<(Result<UploadedArchive, TransferError>, Held), HoldError>,
    lock_timeout: Duration,
) -> Result<(UploadedArchive, Source), BackupError> {
    match both? {
        (Ok(dumped), Held::UntilLocked(source)) => Ok((dumped, *source)),
        (Err(TransferError::Dump(DumpError::LockTimeout { tables, error })), held) => {
            tracing::info!("{error}");
            let blocker = match held {
                Held::WithoutDump(blocker) => blocker.map(Box::new),
                Held::UntilLocked(_) => None,
            };
            Err(HoldError::LockTimeout { what: tables, wait: lock_timeout, blocker }.into())
        }
        (Err(error), _) => Err(error.into()),
        (Ok(_), Held::WithoutDump(_)) => Err(TransferError::from(DumpError::Empty).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use domain::reason::Reason;

    use super::*;
    use crate::pg::tool_error::ToolError;

    #[tokio::test]
    async fn failed_dump_ends_without_waiting_for_row_count() {
        let failed = || Err(DumpError::Failed(ToolError::new("pg_dump", "oh no")).into());
        let (dumped, _) = side_by_side(ready(failed()), pending()).await.unwrap();
        assert!(matches!(dumped, Err(TransferError::Dump(DumpError::Failed(_)))));
    }

    #[tokio::test]
    async fn lock_timeout_of_pg_dump_reports_the_blocking_session() {
        let error = ToolError::new("pg_dump", "canceling statement");
        let late = Err(DumpError::LockTimeout { tables: "t".into(), error }.into());
        let holding = async {
            tokio::task::yield_now().await;
            let blocker = r#"{"who": "process 7", "table": "t", "seconds": 9, "query": null}"#;
            Ok(Held::WithoutDump(Some(serde_json::from_str(blocker).unwrap())))
        };
        let both = side_by_side(ready(late), holding).await;
        let error = result(both, Duration::from_secs(5)).unwrap_err();
        assert_eq!(error.reason(), Reason::LockTimeout);
        assert!(error.to_string().contains("process 7"), "{error}");
    }

    #[tokio::test]
    async fn dump_fails_when_the_session_with_its_locks_ends() {
        let lost = HoldError::Lost(Box::new(ToolError::new("psql", "FATAL:  57P01: terminating").into()));
        let error = side_by_side(pending(), ready(Err(lost))).await.unwrap_err();
        assert_eq!(error.reason(), Reason::HoldLost);
    }
}
