//! A policy's repository on a volume or in an object store.
//!
//! A folder is a backup only once it has a manifest. A file that cannot be read is kept, and it never
//! prevents a new backup.

mod backend;
mod bucket_client;
mod certificates;
mod client_error;
mod connect;
mod credentials;
mod entry;
mod error;
mod files;
mod http;
mod listing;
mod location;
mod objects;
mod owner;
mod part_size;
mod reader;
mod repository;
mod target;
mod timeouts;
mod volume;
mod writer;

pub use self::{
    backend::Upload,
    error::StoreError,
    listing::{Listing, StoredBackup, Unreadable},
    location::Location,
    owner::{Owner, rewritten},
    reader::Reader,
    repository::Repository,
    target::{Target, Variables},
    writer::BackupWriter,
};

#[cfg(test)]
mod tests;
