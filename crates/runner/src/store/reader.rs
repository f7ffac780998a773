//! Reads a stored file in chunks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use tokio::sync::mpsc;

use super::error::StoreError;

pub struct Reader {
    source: Source,
}

enum Source {
    Volume { pieces: mpsc::Receiver<Result<Bytes, StoreError>>, from_device: BytesFromDevice },
    Objects(BoxStream<'static, Result<Bytes, StoreError>>),
}

/// A shared counter of the bytes that the storage device has delivered.
#[derive(Clone, Debug, Default)]
pub struct BytesFromDevice(Arc<AtomicU64>);

impl BytesFromDevice {
    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

impl Reader {
    pub(super) fn of_volume(
        pieces: mpsc::Receiver<Result<Bytes, StoreError>>,
        from_device: BytesFromDevice,
    ) -> Self {
        Self { source: Source::Volume { pieces, from_device } }
    }

    pub(super) fn of_object(stream: BoxStream<'static, Result<Bytes, StoreError>>) -> Self {
        Self { source: Source::Objects(stream) }
    }

    /// Returns the next chunk; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match &mut self.source {
            Source::Volume { pieces, .. } => pieces.recv().await,
            Source::Objects(stream) => stream.next().await,
        }
        .transpose()
    }

    /// Returns the number of bytes that the storage device has delivered so far, as counted by the kernel for
    /// the reading thread. `None` for an object store, whose devices cannot be observed.
    pub fn bytes_from_device(&self) -> Option<u64> {
        match &self.source {
            Source::Volume { from_device, .. } => Some(from_device.0.load(Ordering::Relaxed)),
            Source::Objects(_) => None,
        }
    }
}
