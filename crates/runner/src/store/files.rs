//! Files and folders: written whole or not at all, and synced.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use domain::manifest;

use super::error::{StoreError, failed};

/// Nobody outside the group reads backups.
pub const DIRECTORY_MODE: u32 = 0o750;
/// The mode of files.
pub const FILE_MODE: u32 = 0o640;
/// The mode of files that only their owner reads.
pub const SECRET_MODE: u32 = 0o600;

/// Makes a folder and those above it; one that is there already is left as it is.
pub fn make_folder(folder: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(folder)
        .map_err(failed("make", folder))?;
    sync_folder(folder.parent().unwrap_or(folder))
}

/// What is in a folder, by name; nothing where it does not exist. Names that are not UTF-8 are none of ours.
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

/// A file that is not there is `None`; one that cannot be read, or is not UTF-8, is an error.
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

/// Whether something is there. What cannot be known is an error, never "no".
pub fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(failed("look for", path))
}

/// Writes a file whole or not at all: under another name, synced, then renamed.
pub fn write_atomic(folder: &Path, file: &str, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let part = folder.join(format!("{file}.part"));
    write_synced(&part, bytes, mode)?;
    let path = folder.join(file);
    fs::rename(&part, &path).map_err(failed("rename", &part))?;
    sync_folder(folder)
}

/// Writes a file and makes its bytes durable, its name not yet.
pub fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .map_err(failed("make", path))?;
    file.write_all(bytes).map_err(failed("write", path))?;
    file.sync_all().map_err(failed("sync", path))
}

/// Some file systems cannot sync a folder and say EINVAL or EBADF; there the rename is as durable as it gets.
/// PostgreSQL ignores the same two (`fsync_fname`).
pub fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let folder_cannot =
        [rustix::io::Errno::INVAL, rustix::io::Errno::BADF].map(rustix::io::Errno::raw_os_error);
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if error.raw_os_error().is_some_and(|code| folder_cannot.contains(&code)) => Ok(()),
        done => done.map_err(failed("sync", folder)),
    }
}

/// Removes a file; one that is gone already is no error.
pub fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes `<parent>/<id>`, its manifest first. What is gone already is gone.
pub fn remove_folder(parent: &Path, id: &str) -> Result<(), StoreError> {
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
