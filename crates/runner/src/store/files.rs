//! Files and folders on a volume, written atomically and synced to the device.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use domain::manifest;

use super::error::{StoreError, failed};

/// The mode of folders: access for the owner and the group only. [`FILE_MODE`] is the same for files.
pub const DIRECTORY_MODE: u32 = 0o750;
pub const FILE_MODE: u32 = 0o640;
/// The mode of files that only the owner may read.
pub const SECRET_MODE: u32 = 0o600;

/// Runs `work` on a separate thread, because it may block for long on a slow disk. Meanwhile signals are
/// handled.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await?
}

/// Creates a folder and its missing parents, and syncs the parent. An existing folder keeps its mode.
pub fn make_folder(folder: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(folder)
        .map_err(failed("create", folder))?;
    sync_folder(folder.parent().unwrap_or(folder))
}

/// Returns the names in a folder, sorted; an empty list if the folder does not exist. Skips names that are
/// not UTF-8, because pgbackup never writes such names.
pub fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("list", folder))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// Returns the text of a file; `None` if it does not exist.
pub fn read_if_there(path: &Path) -> Result<Option<String>, StoreError> {
    match fs::read(path).map_err(failed("read", path)) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(StoreError::NotText { location: path.display().to_string() }),
        },
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether a path exists. Returns an error if that cannot be determined.
pub fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(failed("stat", path))
}

/// Writes a file atomically: writes it under another name, syncs it and renames it.
pub fn write_atomic(folder: &Path, file: &str, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let part = folder.join(format!("{file}.part"));
    write_synced(&part, bytes, mode)?;
    rename_synced(&part, &folder.join(file))
}

/// Writes a file and syncs its content. Does not sync the folder.
pub fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .map_err(failed("create", path))?;
    file.write_all(bytes).map_err(failed("write", path))?;
    file.sync_all().map_err(failed("sync", path))
}

/// Renames a file within its folder and syncs the folder.
pub fn rename_synced(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(failed("rename", from))?;
    sync_folder(to.parent().unwrap_or(to))
}

/// Syncs a folder, so that renames in it are durable. Ignores EINVAL and EBADF, with which some file systems
/// reject this; PostgreSQL ignores the same errors (`fsync_fname`).
pub fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let unsupported =
        [rustix::io::Errno::INVAL, rustix::io::Errno::BADF].map(rustix::io::Errno::raw_os_error);
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if error.raw_os_error().is_some_and(|code| unsupported.contains(&code)) => Ok(()),
        done => done.map_err(failed("sync", folder)),
    }
}

/// Removes a file. A missing file is not an error.
pub fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes the backup's folder `<parent>/<id>`, its manifest first. A missing folder is not an error.
pub fn remove_backup_folder(parent: &Path, id: &str) -> Result<(), StoreError> {
    let folder = parent.join(id);
    remove_file(&folder.join(manifest::FILE))?;
    if exists(&folder)? {
        sync_folder(&folder)?;
    }
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &folder)(error));
        }
        _ => {}
    }
    sync_folder(parent)
}
