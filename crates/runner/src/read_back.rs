//! The check of what is stored: read back from where it is, compared with what went through the pipe, and with what
//! the database had.

use archive::{rows::Contents, toc::Toc};
use domain::{
    manifest::{DatabaseFacts, TableFacts},
    reason::Reason,
};
use sha2::{Digest as _, Sha256};

use crate::{
    pg::{
        archive::{ArchiveError, ArchiveReader, TocReader},
        source::Source,
    },
    store::{Reader, StoreError},
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
    /// The store has the backup but not this file of it.
    #[error("{file}: is gone from the store")]
    Gone {
        /// The file.
        file: String,
    },
    /// The archive cannot be read.
    #[error("{file}: {source}")]
    Archive {
        /// The file.
        file: String,
        /// Why.
        source: ArchiveError,
    },
    /// The archive is not what its manifest says.
    #[error("{file} does not hold what its manifest says: {}", missing.join(", "))]
    Changed {
        /// The file.
        file: String,
        /// The first few differences.
        missing: Vec<String>,
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
            Self::Differs { .. } | Self::Gone { .. } => Reason::ChecksumMismatch,
            Self::Archive { source, .. } => source.reason(),
            Self::Lacks { .. } | Self::Changed { .. } => Reason::ContentMismatch,
        }
    }
}

/// A file of a backup as it went through the pipe.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// Its name.
    pub file: &'a str,
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: &'a str,
}

/// What was read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadBack {
    /// How many bytes.
    pub size: u64,
    /// How many of them the device delivered, where that can be known.
    pub from_device: Option<u64>,
}

/// A stored archive, read back.
#[derive(Debug)]
pub struct StoredArchive {
    /// How much.
    pub read: ReadBack,
    /// Its table of contents.
    pub toc: Toc,
    /// Its data, where that was asked for.
    pub contents: Option<Contents>,
}

/// Reads a file back and compares it with what went through the pipe.
pub async fn file(reader: Reader, written: Written<'_>) -> Result<ReadBack, VerifyError> {
    read_back(reader, written, None, None).await
}

/// The same for an archive. The one pass over its bytes gives its table of contents too and, `with_data`, its data: for
/// when the dump's own stream could not be parsed.
pub async fn archive(
    reader: Reader,
    written: Written<'_>,
    with_data: bool,
) -> Result<StoredArchive, VerifyError> {
    let failed = |source| VerifyError::Archive { file: written.file.to_owned(), source };
    let mut toc = TocReader::start().map_err(failed)?;
    let mut data = with_data.then(ArchiveReader::start).transpose().map_err(failed)?;
    let read = read_back(reader, written, Some(&mut toc), data.as_mut()).await?;
    let contents = match data {
        Some(data) => Some(data.finish().await.map_err(failed)?),
        None => None,
    };
    Ok(StoredArchive { read, toc: toc.finish().await.map_err(failed)?, contents })
}

async fn read_back(
    mut reader: Reader,
    written: Written<'_>,
    mut toc: Option<&mut TocReader>,
    mut data: Option<&mut ArchiveReader>,
) -> Result<ReadBack, VerifyError> {
    let mut hasher = Sha256::new();
    let mut size = 0;
    while let Some(piece) = reader.next().await? {
        hasher.update(&piece);
        size += piece.len() as u64;
        if let Some(toc) = &mut toc {
            toc.push(&piece).await;
        }
        if let Some(data) = &mut data {
            data.push(piece).await;
        }
    }
    let sha256 = domain::hash::hex(&hasher.finalize());
    if size == written.size && sha256 == written.sha256 {
        return Ok(ReadBack { size, from_device: reader.bytes_from_device().map(|bytes| bytes.min(size)) });
    }
    Err(differs(written, size, &sha256))
}

fn differs(written: Written<'_>, size: u64, sha256: &str) -> VerifyError {
    // What was written may be a manifest's word, which holds anything.
    let short = |sha256: &str| sha256.get(..12).unwrap_or(sha256).to_owned();
    VerifyError::Differs {
        file: written.file.to_owned(),
        was: written.size,
        was_sha256: short(written.sha256),
        is: size,
        is_sha256: short(sha256),
    }
}

/// Compares the archive with what the database had in the snapshot.
pub fn holds_everything(
    file: &str,
    source: &Source,
    toc: &Toc,
    contents: &Contents,
) -> Result<(), VerifyError> {
    let mut missing: Vec<String> = toc
        .missing(&source.objects)
        .iter()
        .map(|object| format!("{} {}", object.kind, object.name))
        .collect();
    let without_rows = source.tables.iter().filter(|(oid, _)| !contents.tables.contains_key(oid));
    missing.extend(without_rows.map(|(_, (schema, name))| format!("rows of {schema}.{name}")));
    let counts = source.counts.iter().flatten();
    missing.extend(counts.filter_map(|(oid, counted)| {
        let (schema, name) = source.tables.get(oid)?;
        let stored = contents.tables.get(oid)?.count;
        (stored != *counted).then(|| format!("rows of {schema}.{name}: {stored} of {counted}"))
    }));
    if contents.large_objects != source.large_objects {
        missing.push(format!("large objects: {} of {}", contents.large_objects, source.large_objects));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let more = missing.len().saturating_sub(NAMED);
    missing.truncate(NAMED);
    if more > 0 {
        missing.push(format!("and {more} more"));
    }
    Err(VerifyError::Lacks { file: file.to_owned(), missing })
}

/// Compares what a stored archive holds by now with what its manifest says.
pub fn is_as_it_was(file: &str, was: &DatabaseFacts, is: &StoredArchive) -> Result<(), VerifyError> {
    let contents = is.contents.as_ref();
    let rows = |table: &TableFacts| {
        let rows = contents?.tables.get(&table.oid)?;
        Some((rows.count, format!("{:032x}", rows.fingerprint), &rows.columns))
    };
    let differs = was
        .tables
        .iter()
        .filter(|table| rows(table) != Some((table.rows, table.fingerprint.clone(), &table.columns)));
    let mut missing: Vec<String> =
        differs.map(|table| format!("rows of {}.{}", table.schema, table.name)).collect();
    missing.extend(
        was.objects
            .iter()
            .filter(|(kind, count)| is.toc.counts.get(*kind) != Some(count))
            .map(|(kind, count)| format!("{count} of kind {kind}")),
    );
    if missing.is_empty() {
        return Ok(());
    }
    missing.truncate(NAMED);
    Err(VerifyError::Changed { file: file.to_owned(), missing })
}

impl ReadBack {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        let from_device = self.from_device.zip(other.from_device).map(|(a, b)| a + b);
        Self { size: self.size + other.size, from_device }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_manifest_says_of_a_file_is_a_difference_and_no_panic() {
        for sha256 in ["", "abc", "0123456789äöü", &"0".repeat(64)] {
            let written = Written { file: "shop.dump", size: 7, sha256 };
            let error = differs(written, 9, &"f".repeat(64));
            assert_eq!(error.reason(), Reason::ChecksumMismatch);
            assert!(error.to_string().contains("ffffffffffff)"), "{error}");
        }
    }
}
