//! The compression of archives.

use std::{fmt, str::FromStr};

use strum::{Display, EnumString};

/// A method of compression and its level, in the syntax of pg_dump's `--compress`: `zstd:1`, `gzip:6` or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    method: CompressionMethod,
    level: u32,
}

/// A method of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum CompressionMethod {
    /// Zstandard.
    Zstd,
    /// gzip.
    Gzip,
    /// LZ4.
    Lz4,
    /// No compression.
    None,
}

impl CompressionMethod {
    /// The highest level; 0 if the method has no levels.
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
    /// The method with its lowest level, which is the default.
    pub const fn new(method: CompressionMethod) -> Self {
        Self { method, level: if method.max_level() == 0 { 0 } else { 1 } }
    }

    /// The method with a level; `None` if the method does not have this level.
    pub fn with_level(method: CompressionMethod, level: u32) -> Option<Self> {
        (1..=method.max_level()).contains(&level).then_some(Self { method, level })
    }

    /// The method.
    pub const fn method(self) -> CompressionMethod {
        self.method
    }

    /// The level; 0 without compression.
    pub const fn level(self) -> u32 {
        self.level
    }
}

/// A text that is not a compression.
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
    fn compression_is_a_method_and_its_level() {
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
