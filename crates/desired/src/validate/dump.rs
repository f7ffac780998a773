//! How databases are dumped.

use api::{
    messages,
    policy::{Compression, CompressionMethod, Dump},
};

use super::{Invalid, value};

/// How databases are dumped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidDump {
    /// How archives are compressed, if not as is best.
    pub compression: Option<Compression>,
    /// How long to wait for a lock, in seconds.
    pub lock_timeout: u32,
    /// Tables whose rows are left out.
    pub exclude_table_data: Vec<String>,
    /// Client tools may be newer than the server.
    pub allow_newer_client: bool,
    /// Rows in tables of extensions that are left out are a failure.
    pub strict_extensions: bool,
    /// How far a standby may be behind, in seconds.
    pub max_replica_lag: u32,
}

/// Checks `dump`.
pub fn dump(dump: &Dump) -> Result<ValidDump, Invalid> {
    let Dump {
        compression,
        lock_timeout,
        exclude_table_data,
        allow_newer_client,
        strict_extensions,
        max_replica_lag,
    } = dump;
    if exclude_table_data.len() > 100
        || exclude_table_data.iter().any(|p| !(1..=127).contains(&p.chars().count()) || !p.contains('.'))
    {
        return Err(value("dump.excludeTableData", messages::TABLE));
    }
    if let Some(Compression { method, level }) = compression {
        let (most, wanted) = match method {
            CompressionMethod::Zstd => (22, messages::ZSTD_LEVEL),
            CompressionMethod::Gzip => (9, messages::GZIP_LEVEL),
            CompressionMethod::Lz4 => (12, messages::LZ4_LEVEL),
            CompressionMethod::None => (0, messages::NO_LEVEL),
        };
        if level.is_some_and(|level| !(1..=most).contains(&level)) {
            return Err(value("dump.compression", wanted));
        }
    }
    let lock_timeout = seconds(lock_timeout).filter(|time| (1..=240).contains(time));
    let max_replica_lag = seconds(max_replica_lag).filter(|time| (1..=86_400).contains(time));
    Ok(ValidDump {
        compression: compression.clone(),
        lock_timeout: lock_timeout.ok_or(value("dump.lockTimeout", messages::LOCK_TIMEOUT))?,
        exclude_table_data: exclude_table_data.clone(),
        allow_newer_client: *allow_newer_client,
        strict_extensions: *strict_extensions,
        max_replica_lag: max_replica_lag.ok_or(value("dump.maxReplicaLag", messages::REPLICA_LAG))?,
    })
}

/// `90s`, `5m`, `1h`.
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
