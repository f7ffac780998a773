//! Validates the options of dumps.

use api::{
    messages::dump as check,
    policy::{Compression, CompressionMethod, Dump},
};

use super::field::{Invalid, entries, invalid, require};

/// The validated options of dumps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidDump {
    /// The compression of archives; `None` if the runner chooses it.
    pub compression: Option<Compression>,
    /// The maximum time that a backup waits for the lock of a table, in seconds.
    pub lock_timeout: u32,
    /// The tables whose rows are left out, as patterns of `schema.table`.
    pub exclude_table_data: Vec<String>,
    /// Whether the client programs may be newer than the server.
    pub allow_newer_client: bool,
    /// Whether a backup fails if rows in tables of extensions are left out.
    pub strict_extensions: bool,
    /// The maximum lag of a standby, in seconds.
    pub max_replica_lag: u32,
}

/// Validates `dump`.
pub fn dump(dump: &Dump) -> Result<ValidDump, Invalid> {
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
    if let Some(Compression { method, level: Some(level) }) = compression {
        let (most, check) = match method {
            CompressionMethod::Zstd => (22, check::ZSTD_LEVEL),
            CompressionMethod::Gzip => (9, check::GZIP_LEVEL),
            CompressionMethod::Lz4 => (12, check::LZ4_LEVEL),
            CompressionMethod::None => (0, check::NO_LEVEL),
        };
        require("dump.compression", check, (1..=most).contains(level))?;
    }
    let seconds = |text: &str, most: u32| seconds(text).filter(|seconds| (1..=most).contains(seconds));
    Ok(ValidDump {
        compression: compression.clone(),
        lock_timeout: seconds(lock_timeout, 4 * 60)
            .ok_or_else(|| invalid("dump.lockTimeout", check::LOCK_TIMEOUT.message))?,
        exclude_table_data: exclude_table_data.clone(),
        allow_newer_client: *allow_newer_client,
        strict_extensions: *strict_extensions,
        max_replica_lag: seconds(max_replica_lag, 24 * 60 * 60)
            .ok_or_else(|| invalid("dump.maxReplicaLag", check::REPLICA_LAG.message))?,
    })
}

/// Parses a duration such as `90s`, `5m` or `1h`. Returns its seconds.
fn seconds(text: &str) -> Option<u32> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(unit)
}
