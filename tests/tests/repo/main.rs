//! Tests of the repository itself: generated files are current, documents mention only things that exist, and
//! crates and files import only what they may.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

mod boundaries;
mod documents;
mod fields;
mod generated;
mod imports;
mod tokens;
mod versions;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    fs::read_to_string(root().join(path)).with_context(|| path.display().to_string())
}

/// Returns all files below `folder` whose names end in `ending`, as paths from the repository's root.
fn files(folder: &str, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root().join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
