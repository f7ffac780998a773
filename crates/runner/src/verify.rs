//! The check of what is stored: read back from the device, compared with what went through the pipe, and with what
//! the database had.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use domain::reason::Reason;
use tokio::io::AsyncReadExt;

use crate::{
    pg::{
        archive::{self, ArchiveError, ArchiveReader},
        copy::Contents,
        source::Source,
        toc::Toc,
        tools,
    },
    store::{OpenSet, ReadBack, StoreError},
};

/// How many missing objects a message names.
const NAMED: usize = 5;

/// A stored file that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other bytes came back.
    #[error(
        "{file}: what was read back is not what was written: {was} bytes (SHA-256 {was_sha256}) became {is} bytes (SHA-256 {is_sha256})"
    )]
    Differs {
        /// The file.
        file: String,
        /// Bytes written.
        was: u64,
        /// Their SHA-256, shortened.
        was_sha256: String,
        /// Bytes read.
        is: u64,
        /// Their SHA-256, shortened.
        is_sha256: String,
    },
    /// The archive cannot be read.
    #[error("{file}: {source}")]
    Archive {
        /// The file.
        file: String,
        /// Why.
        source: ArchiveError,
    },
    /// The archive lacks something.
    #[error("{file} lacks what the database has: {}", missing.join(", "))]
    Lacks {
        /// The file.
        file: String,
        /// The first few.
        missing: Vec<String>,
    },
}

impl VerifyError {
    /// The reason word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => error.reason(),
            Self::Differs { .. } => Reason::ChecksumMismatch,
            Self::Archive { source, .. } => source.reason(),
            Self::Lacks { .. } => Reason::ContentMismatch,
        }
    }
}

/// Reads a file back and compares it with what went through the pipe.
pub async fn bytes_are_those_written(
    set: &OpenSet,
    file: &str,
    size: u64,
    sha256: &str,
) -> Result<ReadBack, VerifyError> {
    let read = set.read_back(file).await?;
    if read.size == size && read.sha256 == sha256 {
        return Ok(read);
    }
    Err(VerifyError::Differs {
        file: file.to_owned(),
        was: size,
        was_sha256: sha256[..12].to_owned(),
        is: read.size,
        is_sha256: read.sha256[..12].to_owned(),
    })
}

/// The data of a stored archive, when the dump's own stream could not be parsed.
pub async fn parse_stored(path: &Path, file: &str) -> Result<Contents, VerifyError> {
    let failed = |source| VerifyError::Archive { file: file.to_owned(), source };
    let mut reader = ArchiveReader::start().map_err(failed)?;
    let mut stored = tokio::fs::File::open(path).await.map_err(|e| failed(ArchiveError::Start(e)))?;
    loop {
        let mut piece = bytes::BytesMut::with_capacity(128 * 1024);
        if stored.read_buf(&mut piece).await.map_err(|e| failed(ArchiveError::Start(e)))? == 0 {
            return reader.finish().await.map_err(failed);
        }
        reader.push(Bytes::from(piece)).await;
    }
}

/// Compares the archive with what the database had in the snapshot; gives the counts of its table of contents.
pub async fn holds_everything(
    path: &Path,
    file: &str,
    source: &Source,
    contents: &Contents,
) -> Result<BTreeMap<String, u64>, VerifyError> {
    let failed = |source| VerifyError::Archive { file: file.to_owned(), source };
    let output = tools::pg_restore()
        .arg("--list")
        .arg(path)
        .output()
        .await
        .map_err(|e| failed(ArchiveError::Start(e)))?;
    archive::refuse(Some(output.status), &String::from_utf8_lossy(&output.stderr)).map_err(failed)?;
    let toc = Toc::parse(&String::from_utf8_lossy(&output.stdout));
    let mut missing: Vec<String> = toc
        .missing(&source.objects)
        .iter()
        .map(|object| format!("{} {}", object.kind, object.name))
        .collect();
    let without_rows = source.tables.iter().filter(|(oid, _)| !contents.tables.contains_key(oid));
    missing.extend(without_rows.map(|(_, (schema, name))| format!("rows of {schema}.{name}")));
    if contents.large_objects != source.large_objects {
        missing.push(format!("large objects: {} of {}", contents.large_objects, source.large_objects));
    }
    if missing.is_empty() {
        return Ok(toc.counts);
    }
    let more = missing.len().saturating_sub(NAMED);
    missing.truncate(NAMED);
    if more > 0 {
        missing.push(format!("and {more} more"));
    }
    Err(VerifyError::Lacks { file: file.to_owned(), missing })
}
