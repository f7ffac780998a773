//! Reads a file back from the storage device instead of the page cache.

use std::{
    fs::{self, File},
    io::Read as _,
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::{
    super::{
        error::{StoreError, failed},
        reader::{BytesFromDevice, Reader},
    },
    partial_file::{CACHED_MAX, drop_pages},
};

/// The size of a chunk, in bytes.
const READ_SIZE: usize = 256 * 1024;

/// The number of chunks that are read ahead.
const READ_AHEAD: usize = 4;

/// Reads a file on a separate thread. First drops its cached pages: reading them from memory would prove
/// nothing about the device.
pub fn reader(path: PathBuf) -> Reader {
    let (sender, pieces) = mpsc::channel(READ_AHEAD);
    let from_device = BytesFromDevice::default();
    let counter = from_device.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read_pieces(&path, &counter, |piece| sender.blocking_send(Ok(piece)).is_ok()) {
            // Sending fails if the reader was dropped. Then the error is of no interest.
            let _ = sender.blocking_send(Err(error));
        }
    });
    Reader::of_volume(pieces, from_device)
}

/// Reads a file and passes its content to `take` in chunks until `take` returns false. Counts the bytes that
/// the device delivered.
fn read_pieces(
    path: &Path,
    from_device: &BytesFromDevice,
    mut take: impl FnMut(Bytes) -> bool,
) -> Result<(), StoreError> {
    let mut file = File::open(path).map_err(failed("open", path))?;
    // The file was synced, so its pages are clean and can be dropped. If the file system does not support
    // that, the count of bytes from the device shows it.
    drop_pages(&file, 0, None);
    let before = bytes_from_devices();
    let (mut position, mut dropped) = (0, 0);
    loop {
        let mut piece = BytesMut::zeroed(READ_SIZE);
        let read = file.read(&mut piece).map_err(failed("read", path))?;
        from_device.set(bytes_from_devices().saturating_sub(before));
        position += read as u64;
        if position - dropped >= CACHED_MAX {
            drop_pages(&file, dropped, NonZeroU64::new(position - dropped));
            dropped = position;
        }
        piece.truncate(read);
        if read == 0 || !take(piece.freeze()) {
            return Ok(());
        }
    }
}

/// Returns `read_bytes` of /proc/thread-self/io: the number of bytes that this thread caused to be read from
/// storage (proc(5)). Returns 0 if the kernel does not report it.
fn bytes_from_devices() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|number| number.parse().ok()).unwrap_or_default()
}
