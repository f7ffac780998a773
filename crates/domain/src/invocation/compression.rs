//! The compression of archives.

use std::{fmt, str::FromStr};

use strum::{Display, EnumString};

/// A compression method and its level. `Display` and `FromStr` use the syntax of pg_dump's `--compress`:
/// `zstd:1`, `gzip:6` or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    method: CompressionMethod,
    level: u32,
}

/// A compression method of pg_dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum CompressionMethod {
    /// The method `zstd`, with levels from 1 to 22.
    Zstd,
    /// The method `gzip`, with levels from 1 to 9.
    Gzip,
    /// The method `lz4`, with levels from 1 to 12.
    Lz4,
    /// No compression.
    None,
}

impl CompressionMethod {
    /// Returns the highest level of the method; 0 if the method has no levels.
    pub const fn max_level(self) -> u32 {
        match self {
            Self::Zstd => 22,
            Self::Gzip => 9,
            Self::Lz4 => 12,
            Self::None => 0,
        }
    }
}

impl Compression {
    /// Creates the compression with the method's lowest level, which is the default level.
    pub const fn new(method: CompressionMethod) -> Self {
        Self { method, level: if method.max_level() == 0 { 0 } else { 1 } }
    }

    /// Creates the compression with this level; `None` if the method does not have the level.
    pub fn with_level(method: CompressionMethod, level: u32) -> Option<Self> {
        (1..=method.max_level()).contains(&level).then_some(Self { method, level })
    }

    /// Returns the compression method.
    pub const fn method(self) -> CompressionMethod {
        self.method
    }

    /// Returns the level; 0 if the method has no levels.
    pub const fn level(self) -> u32 {
        self.level
    }
}

/// An error: the text is not a compression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a compression: write zstd:1 to zstd:22, gzip:1 to gzip:9, lz4:1 to lz4:12, or none")]
pub struct InvalidCompression {
    text: String,
}

impl FromStr for Compression {
    type Err = InvalidCompression;

    fn from_str(text: &str) -> Result<Self, InvalidCompression> {
        let parsed = match text.split_once(':') {
            None => text.parse().ok().map(Self::new),
            Some((method, level)) => method
                .parse()
                .ok()
                .zip(level.parse().ok())
                .and_then(|(method, level)| Self::with_level(method, level)),
        };
        parsed.ok_or_else(|| InvalidCompression { text: text.to_owned() })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, level } = self;
        match method {
            CompressionMethod::None => write!(f, "{method}"),
            _ => write!(f, "{method}:{level}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_parsed_as_a_method_and_a_level() {
        let shown = |text: &str| text.parse::<Compression>().map(|parsed| parsed.to_string());
        for (text, parsed) in [
            ("zstd:22", "zstd:22"),
            ("zstd", "zstd:1"),
            ("gzip:9", "gzip:9"),
            ("lz4:12", "lz4:12"),
            ("none", "none"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(parsed));
        }
        for text in ["", "brotli", "gzip:0", "gzip:10", "zstd:23", "zstd:", "zstd:1:2", "lz4:13", "none:1"] {
            let error = shown(text).expect_err(text).to_string();
            assert!(
                error.starts_with(&format!("{text:?} is not a compression: write zstd:1 to ")),
                "{error}"
            );
        }
    }
}
