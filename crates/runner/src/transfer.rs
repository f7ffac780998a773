//! The pipeline between client programs, the store and the parsers of archives, in both directions. Every
//! chunk is hashed, stored and parsed as it passes.

use archive::rows::Contents;
use bytes::Bytes;
use domain::{hash, reason::Reason, report::BackupStage};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use crate::{
    failpoint,
    pg::{
        archive::{ArchiveError, ArchiveReader, TocReader},
        dump::{self, DumpOptions},
        dump_error::DumpError,
        program::Program,
        tools::Tools,
    },
    store::{Reader, StoreError, Upload},
};

/// The reason why an upload failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The parser of archives could not be started.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TransferError {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Dump(error) => error.reason(),
            Self::Archive(error) => error.reason(),
            Self::Store(error) => error.reason(),
        }
    }

    /// Returns a hint for this case; `None` if the reason's general advice is enough.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Dump(error) => error.hint(),
            Self::Archive(_) => None,
        }
    }
}

/// The size and the SHA-256 of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSum {
    pub size: u64,
    pub sha256: String,
}

/// A file that was uploaded but not yet read back.
#[derive(Debug)]
pub struct Uploaded {
    pub sum: FileSum,
    /// The lines of the program's standard error.
    pub warnings: Vec<String>,
}

/// An archive that was uploaded but not yet read back.
#[derive(Debug)]
pub struct UploadedArchive {
    pub file: Uploaded,
    /// The rows that the parser found in the stream, empty if it did not run. An error if the parser failed;
    /// the stored archive must then be parsed instead.
    pub contents: Result<Contents, ArchiveError>,
    /// The command line of pg_dump, without secrets.
    pub command: Vec<String>,
}

/// Dumps a database into `upload`. If `parse`, also parses the archive on the way. Sends a message to
/// `locked` when pg_dump has all its locks, which is when its output begins.
pub async fn dump(
    tools: &Tools,
    options: DumpOptions<'_>,
    parse: bool,
    upload: &mut Upload,
    locked: oneshot::Sender<()>,
) -> Result<UploadedArchive, TransferError> {
    let (program, command) = dump::start(tools, options)?;
    let mut contents = parse.then(ArchiveReader::start).transpose()?;
    let sinks =
        Sinks { first: Some(locked), upload: Some(upload), contents: contents.as_mut(), ..Sinks::default() };
    let file = upload_output(program, sinks).await?;
    let contents = match contents {
        Some(contents) => contents.finish().await,
        None => Ok(Contents::default()),
    };
    Ok(UploadedArchive { file, contents, command })
}

/// Uploads the output of a program.
pub async fn upload(program: Program, upload: &mut Upload) -> Result<Uploaded, TransferError> {
    upload_output(program, Sinks { upload: Some(upload), ..Sinks::default() }).await
}

/// Uploads the output of a program. The program's exit status decides about success, not the end of its
/// output.
async fn upload_output(mut program: Program, sinks: Sinks<'_>) -> Result<Uploaded, TransferError> {
    let sum = run(async || program.next().await.map_err(TransferError::from), sinks).await?;
    Ok(Uploaded { sum, warnings: program.finish().await? })
}

/// Reads a stored file to its end, and passes it to the parsers of archives.
pub async fn download(
    reader: &mut Reader,
    toc: Option<&mut TocReader>,
    contents: Option<&mut ArchiveReader>,
) -> Result<FileSum, StoreError> {
    run(async || reader.next().await, Sinks { toc, contents, ..Sinks::default() }).await
}

/// The receivers of each chunk.
#[derive(Default)]
struct Sinks<'a> {
    /// Receives a message before the first chunk is stored.
    first: Option<oneshot::Sender<()>>,
    upload: Option<&'a mut Upload>,
    toc: Option<&'a mut TocReader>,
    contents: Option<&'a mut ArchiveReader>,
}

/// Passes all chunks that `next` returns to the receivers. Returns their total size and SHA-256.
async fn run<E: From<StoreError>>(
    mut next: impl AsyncFnMut() -> Result<Option<Bytes>, E>,
    mut sinks: Sinks<'_>,
) -> Result<FileSum, E> {
    let (mut hasher, mut size) = (Sha256::new(), 0);
    while let Some(piece) = next().await? {
        if let Some(first) = sinks.first.take() {
            // Sending fails if the session that holds the tables has ended. Then nothing waits for the
            // message.
            let _ = first.send(());
        }
        hasher.update(&piece);
        size += piece.len() as u64;
        if let Some(upload) = &mut sinks.upload {
            upload.write(piece.clone()).await?;
            failpoint::reach(BackupStage::Dump).await;
        }
        if let Some(toc) = &mut sinks.toc {
            toc.push(&piece).await;
        }
        if let Some(contents) = &mut sinks.contents {
            contents.push(piece).await;
        }
    }
    Ok(FileSum { size, sha256: hash::hex(&hasher.finalize()) })
}
