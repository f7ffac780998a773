//! Checks the server's lock table, which must have room for a lock on each table.

use serde::Deserialize;

/// The number of sessions that lock every table: the session that holds the tables, and pg_dump.
const LOCKERS: u64 = 2;

/// The percentage of the lock table above which the run warns. [`REFUSE`] is the percentage above which the
/// run fails, because other sessions need locks too.
const WARN: u64 = 50;
const REFUSE: u64 = 80;

/// The settings that determine the size of the lock table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct LockSettings {
    /// The setting `max_locks_per_transaction`.
    per_transaction: u64,
    /// The setting `max_connections`.
    connections: u64,
    /// The setting `max_prepared_transactions`.
    prepared: u64,
}

/// An error: the dump would use too much of the lock table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server's lock table is too small: a dump of {tables} tables takes {} locks, which is more than {REFUSE} % of its capacity of {} (max_locks_per_transaction {} for each of {} connections)",
    tables * LOCKERS,
    settings.room(),
    settings.per_transaction,
    settings.sessions()
)]
pub struct LockTableError {
    tables: u64,
    settings: LockSettings,
}

impl LockTableError {
    pub fn hint(&self) -> String {
        let least = self.settings.per_transaction_for(self.tables, REFUSE);
        format!("Raise max_locks_per_transaction to at least {least} and restart the server.")
    }
}

impl LockSettings {
    const fn sessions(self) -> u64 {
        self.connections.saturating_add(self.prepared)
    }

    const fn room(self) -> u64 {
        self.per_transaction.saturating_mul(self.sessions())
    }

    /// Returns the smallest `max_locks_per_transaction` with which a dump of `tables` tables uses at most
    /// `percent` of the lock table.
    fn per_transaction_for(self, tables: u64, percent: u64) -> u64 {
        (tables * LOCKERS * 100).div_ceil(percent * self.sessions().max(1))
    }

    /// Checks a dump of `tables` tables. Returns an error if it would use more than [`REFUSE`] percent of the
    /// lock table, and a warning if it would use more than [`WARN`] percent. The server's reserve of further
    /// locks is not counted.
    pub fn check(self, tables: u64) -> Result<Option<String>, LockTableError> {
        let (needed, room) = (tables * LOCKERS, self.room());
        let percent = (needed * 100).checked_div(room).unwrap_or(u64::MAX);
        if percent > REFUSE {
            return Err(LockTableError { tables, settings: self });
        }
        Ok((percent > WARN).then(|| {
            let enough = self.per_transaction_for(tables, WARN);
            format!(
                "the dump takes {percent} % of the server's lock table ({needed} of {room} locks). Above {REFUSE} %, backups fail. Raise max_locks_per_transaction to at least {enough} and restart the server."
            )
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_table_use_warns_above_50_and_fails_above_80_percent() {
        let settings = LockSettings { per_transaction: 64, connections: 100, prepared: 0 };
        assert_eq!(settings.check(1600), Ok(None));
        let warning = settings.check(1700).unwrap().unwrap();
        assert_eq!(
            warning,
            "the dump takes 53 % of the server's lock table (3400 of 6400 locks). Above 80 %, backups fail. Raise max_locks_per_transaction to at least 68 and restart the server."
        );
        assert!(settings.check(2560).is_ok());
        let error = settings.check(2700).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the server's lock table is too small: a dump of 2700 tables takes 5400 locks, which is more than 80 % of its capacity of 6400 (max_locks_per_transaction 64 for each of 100 connections)"
        );
        assert_eq!(error.hint(), "Raise max_locks_per_transaction to at least 68 and restart the server.");
        let raised = LockSettings { per_transaction: 68, ..settings };
        assert!(raised.check(2700).is_ok());
    }
}
