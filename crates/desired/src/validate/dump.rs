//! Validates the options of dumps.

use std::time::Duration;

use api::{
    checks::dump as check,
    policy::{Compression, CompressionMethod, Dump},
};
use domain::invocation::{self, DumpOptions};

use super::field::{Invalid, entries, invalid, require};

/// Validates `dump`.
pub fn dump(dump: &Dump) -> Result<DumpOptions, Invalid> {
    let Dump {
        compression,
        lock_timeout,
        exclude_table_data,
        allow_newer_client,
        strict_extensions,
        max_replica_lag,
    } = dump;
    entries("dump.excludeTableData", exclude_table_data.len(), 0..=100)?;
    let is_table = |table: &String| (1..=127).contains(&table.chars().count()) && table.contains('.');
    require("dump.excludeTableData", check::TABLE, exclude_table_data.iter().all(is_table))?;
    let duration = |text: &str, most: u64| {
        seconds(text).filter(|seconds| (1..=most).contains(seconds)).map(Duration::from_secs)
    };
    Ok(DumpOptions {
        compression: compression.as_ref().map(self::compression).transpose()?,
        lock_timeout: duration(lock_timeout, 4 * 60)
            .ok_or_else(|| invalid("dump.lockTimeout", check::LOCK_TIMEOUT.message))?,
        exclude_table_data: exclude_table_data.clone(),
        allow_newer_client: *allow_newer_client,
        strict_extensions: *strict_extensions,
        max_replica_lag: duration(max_replica_lag, 24 * 60 * 60)
            .ok_or_else(|| invalid("dump.maxReplicaLag", check::REPLICA_LAG.message))?,
    })
}

fn compression(Compression { method, level }: &Compression) -> Result<invocation::Compression, Invalid> {
    let check = match method {
        CompressionMethod::Zstd => check::ZSTD_LEVEL,
        CompressionMethod::Gzip => check::GZIP_LEVEL,
        CompressionMethod::Lz4 => check::LZ4_LEVEL,
        CompressionMethod::None => check::NO_LEVEL,
    };
    let method = (*method).into();
    match level {
        None => Ok(invocation::Compression::new(method)),
        Some(level) => invocation::Compression::with_level(method, *level)
            .ok_or_else(|| invalid("dump.compression", check.message)),
    }
}

/// Parses a duration such as `90s`, `5m` or `1h`. Returns its seconds.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}
