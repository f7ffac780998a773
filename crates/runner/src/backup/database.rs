//! Stores one database, and repeats the round after a lock timeout or a lost snapshot.

use std::time::Duration;

use domain::{reason::Reason, report::BackupStage};

use super::{
    error::BackupError,
    round::{Destination, Round},
    stored::StoredDatabase,
};
use crate::{
    args::Config,
    pg::{compression, databases::Database, dump_error::DumpError, inspect, preflight::Server},
    run::Run,
    store::BackupWriter,
    transfer::TransferError,
};

/// The maximum number of rounds for one database within an attempt.
const ROUNDS: u32 = 5;

/// Stores `database` in the backup of `destination`. Returns the database and the backup's writer.
pub async fn store(
    run: &mut Run,
    config: &Config,
    server: &Server,
    database: &Database,
    destination: &Destination<'_>,
) -> Result<(StoredDatabase, BackupWriter), BackupError> {
    run.stage(BackupStage::Hold);
    for warning in
        inspect::inspect(&server.tools, &database.name, config.options.dump.strict_extensions).await?
    {
        run.warn(format!("database {:?}: {warning}", database.name));
    }
    let compression = config.options.dump.compression.unwrap_or(compression::best(server.client_major));
    let mut round = Round { config, server, database, compression };
    let mut number = 1;
    loop {
        let error = match round.run(run, destination).await {
            Ok(stored) => return Ok(stored),
            Err(error) => error,
        };
        let may_use_gzip =
            config.options.dump.compression.is_none() && round.compression != compression::GZIP;
        if may_use_gzip && lacks_method(&error) {
            run.log(format_args!(
                "database {:?}: pg_dump does not support {}, compressing with {} instead: {error}",
                database.name,
                round.compression,
                compression::GZIP
            ));
            round.compression = compression::GZIP;
        } else if number < ROUNDS && matches!(error.reason(), Reason::LockTimeout | Reason::HoldLost) {
            let pause = pause(config.retry_wait);
            run.log(format_args!(
                "database {:?}: round {number} of {ROUNDS} failed, retrying in {} s: {error}",
                database.name,
                pause.as_secs()
            ));
            tokio::time::sleep(pause).await;
        } else {
            return Err(error);
        }
        number += 1;
    }
}

/// Returns a random duration between `least` and a third more. The random part prevents two runs that block
/// each other from colliding again.
fn pause(least: Duration) -> Duration {
    least + least * fastrand::u32(..1000) / 3000
}

/// Returns whether this pg_dump was built without the compression method. Its version does not show that.
const fn lacks_method(error: &BackupError) -> bool {
    matches!(error, BackupError::Transfer(TransferError::Dump(DumpError::NoSuchCompression(_))))
}
