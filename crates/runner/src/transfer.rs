//! The pipeline from a client program into the store: every piece is hashed, uploaded and parsed as it passes.

use archive::rows::Contents;
use domain::report::Stage;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use crate::{
    failpoint,
    pg::{
        archive::{ArchiveError, ArchiveReader},
        dump::{self, DumpOptions},
        dump_error::DumpError,
        program::Program,
        tools::Tools,
    },
    store::{StoreError, Upload},
};

/// A transfer that failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The parser could not be started.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TransferError {
    pub fn reason(&self) -> domain::reason::Reason {
        match self {
            Self::Dump(error) => error.reason(),
            Self::Archive(error) => error.reason(),
            Self::Store(error) => error.reason(),
        }
    }
}

/// A file that was uploaded and not yet read back.
#[derive(Debug)]
pub struct Uploaded {
    pub size: u64,
    pub sha256: String,
    /// Lines of the program's standard error.
    pub warnings: Vec<String>,
}

/// An archive that was uploaded and not yet read back.
#[derive(Debug)]
pub struct UploadedArchive {
    pub file: Uploaded,
    /// What the parser found in the stream, if it ran; `Err` when the stored archive must be parsed instead.
    pub contents: Result<Contents, ArchiveError>,
    /// The command line of pg_dump.
    pub command: Vec<String>,
}

/// Dumps a database into `upload` and, if `parse`, parses the archive beside it. `locked` is sent when pg_dump has all
/// its locks, which is before its first byte.
pub async fn dump(
    tools: &Tools,
    options: DumpOptions<'_>,
    parse: bool,
    upload: &mut Upload,
    locked: oneshot::Sender<()>,
) -> Result<UploadedArchive, TransferError> {
    let (program, command) = dump::start(tools, options)?;
    let mut reader = parse.then(ArchiveReader::start).transpose()?;
    let file = send(program, upload, reader.as_mut(), Some(locked)).await?;
    let contents = match reader {
        Some(reader) => reader.finish().await,
        None => Ok(Contents::default()),
    };
    Ok(UploadedArchive { file, contents, command })
}

/// Uploads what a program writes. Its exit status decides, never the end of its output.
pub async fn send(
    mut program: Program,
    upload: &mut Upload,
    mut reader: Option<&mut ArchiveReader>,
    mut locked: Option<oneshot::Sender<()>>,
) -> Result<Uploaded, TransferError> {
    let mut hasher = Sha256::new();
    let mut size = 0;
    while let Some(piece) = program.next().await? {
        if let Some(locked) = locked.take() {
            // Sending fails when the session that holds the tables has ended: then nobody waits.
            let _ = locked.send(());
        }
        hasher.update(&piece);
        size += piece.len() as u64;
        upload.write(piece.clone()).await?;
        if let Some(reader) = &mut reader {
            reader.push(piece).await;
        }
        failpoint::reach(Stage::Dump).await;
    }
    let warnings = program.finish().await?;
    Ok(Uploaded { size, sha256: domain::hash::hex(&hasher.finalize()), warnings })
}
