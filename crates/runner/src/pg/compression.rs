//! The compression methods that each version of pg_dump supports.

use domain::invocation::{Compression, CompressionMethod};

/// The first major version of pg_dump that supports zstd and lz4; older versions support only gzip. zstd at
/// level 1 is the default because it was best when measured: it made the smallest files and took no longer
/// than no compression. gzip at its default level took 4.7 times as long.
const METHODS_SINCE: u32 = 16;

/// gzip at level 1, which every pg_dump supports.
pub const GZIP: Compression = Compression::new(CompressionMethod::Gzip);

/// pg_dump is older than the compression method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pg_dump {client} does not support {wanted}, which needs version {METHODS_SINCE}")]
pub struct UnsupportedCompression {
    /// The major version of pg_dump.
    client: u32,
    wanted: Compression,
}

impl UnsupportedCompression {
    pub const HINT: &str = "Set dump.compression.method to Gzip.";
}

/// Returns the best compression that a pg_dump of this major version supports.
pub const fn best(client_major: u32) -> Compression {
    if client_major >= METHODS_SINCE { Compression::new(CompressionMethod::Zstd) } else { GZIP }
}

/// Returns the value of `--compress` in the syntax of a pg_dump of this major version. An error if that
/// version does not support the method.
pub fn option(compression: Compression, client_major: u32) -> Result<String, UnsupportedCompression> {
    match compression.method() {
        _ if client_major >= METHODS_SINCE => Ok(compression.to_string()),
        CompressionMethod::Gzip | CompressionMethod::None => Ok(compression.level().to_string()),
        CompressionMethod::Zstd | CompressionMethod::Lz4 => {
            Err(UnsupportedCompression { client: client_major, wanted: compression })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_option_depends_on_the_pg_dump_version() {
        let option = |text: &str, client| option(text.parse().unwrap(), client);
        assert_eq!(option("zstd:3", 17).as_deref(), Ok("zstd:3"));
        assert_eq!(option("gzip", 17).as_deref(), Ok("gzip:1"));
        assert_eq!(option("gzip:6", 15).as_deref(), Ok("6"));
        assert_eq!(option("none", 15).as_deref(), Ok("0"));
        assert_eq!(option("none", 16).as_deref(), Ok("none"));
        let error = option("lz4:1", 15).unwrap_err().to_string();
        assert_eq!(error, "pg_dump 15 does not support lz4:1, which needs version 16");
        assert_eq!(best(15).to_string(), "gzip:1");
        assert_eq!(best(16).to_string(), "zstd:1");
    }
}
