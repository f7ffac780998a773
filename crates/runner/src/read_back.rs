//! Reads a stored file back and compares it with what was written.

use archive::{rows::Contents, toc::Toc};
use domain::reason::Reason;

use crate::{
    pg::archive::{ArchiveError, ArchiveReader, TocReader},
    store::{Reader, StoreError},
    transfer::{self, FileSum},
};

/// The reason why a stored file failed its check.
#[derive(Debug, thiserror::Error)]
pub enum ReadBackError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "{file:?} is corrupted: checksum mismatch: {} bytes with SHA-256 {} were written, {} bytes with SHA-256 {} were read back",
        written.size, short(&written.sha256), read.size, short(&read.sha256)
    )]
    ChecksumMismatch { file: String, written: FileSum, read: FileSum },
    #[error("archive {file:?}: {source}")]
    Archive { file: String, source: ArchiveError },
}

impl ReadBackError {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => error.reason(),
            Self::ChecksumMismatch { .. } => Reason::ChecksumMismatch,
            Self::Archive { source, .. } => source.reason(),
        }
    }

    /// Returns a hint for this case; `None` if the reason's general advice is enough.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::ChecksumMismatch { .. } | Self::Archive { .. } => None,
        }
    }

    /// Returns whether pg_restore could not be started. Such an error does not mean that the archive is
    /// corrupted.
    pub const fn is_missing_program(&self) -> bool {
        matches!(self, Self::Archive { source: ArchiveError::Start(_), .. })
    }
}

/// Returns the first 12 characters of a SHA-256. The text may come from a corrupted manifest, so it may have
/// any form.
fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

/// The number of bytes that were read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadBack {
    pub bytes: u64,
    /// The number of these bytes that came from the storage device; `None` if the kernel does not report it.
    pub from_device: Option<u64>,
}

impl ReadBack {
    /// Adds the numbers of two files.
    pub fn and(self, other: Self) -> Self {
        let from_device = self.from_device.zip(other.from_device).map(|(a, b)| a + b);
        Self { bytes: self.bytes + other.bytes, from_device }
    }
}

/// A stored archive that was read back and parsed.
#[derive(Debug)]
pub struct StoredArchive {
    pub read: ReadBack,
    pub toc: Toc,
    /// The rows of the archive; `None` if they were not requested.
    pub contents: Option<Contents>,
}

/// Reads a file back and compares its size and SHA-256 with `written`. `name` is its name in errors.
pub async fn file(reader: Reader, name: &str, written: &FileSum) -> Result<ReadBack, ReadBackError> {
    compare(reader, name, written, None, None).await
}

/// Reads an archive back. One pass computes its checksum and parses its table of contents and, if
/// `with_contents`, its rows.
pub async fn archive(
    reader: Reader,
    name: &str,
    written: &FileSum,
    with_contents: bool,
) -> Result<StoredArchive, ReadBackError> {
    let failed = |source| ReadBackError::Archive { file: name.to_owned(), source };
    let mut toc = TocReader::start().map_err(failed)?;
    let mut contents = with_contents.then(ArchiveReader::start).transpose().map_err(failed)?;
    let read = compare(reader, name, written, Some(&mut toc), contents.as_mut()).await?;
    let contents = match contents {
        Some(contents) => Some(contents.finish().await.map_err(failed)?),
        None => None,
    };
    Ok(StoredArchive { read, toc: toc.finish().await.map_err(failed)?, contents })
}

async fn compare(
    mut reader: Reader,
    name: &str,
    written: &FileSum,
    toc: Option<&mut TocReader>,
    contents: Option<&mut ArchiveReader>,
) -> Result<ReadBack, ReadBackError> {
    let read = transfer::download(&mut reader, toc, contents).await?;
    if read == *written {
        let from_device = reader.bytes_from_device().map(|bytes| bytes.min(read.size));
        return Ok(ReadBack { bytes: read.size, from_device });
    }
    Err(ReadBackError::ChecksumMismatch { file: name.to_owned(), written: written.clone(), read })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_mismatch_is_reported_for_a_malformed_checksum() {
        for sha256 in ["", "abc", "0123456789äöü", &"0".repeat(64)] {
            let written = FileSum { size: 7, sha256: sha256.to_owned() };
            let read = FileSum { size: 9, sha256: "f".repeat(64) };
            let error = ReadBackError::ChecksumMismatch { file: "shop.dump".to_owned(), written, read };
            assert_eq!(error.reason(), Reason::ChecksumMismatch);
            assert!(error.to_string().contains("SHA-256 ffffffffffff were"), "{error}");
        }
    }
}
