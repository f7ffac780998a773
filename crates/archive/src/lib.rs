//! What `pg_restore` says of an archive: its table of contents, and the rows in its text. Pure functions on bytes that come
//! from a store, so nothing in them is to be trusted.

pub mod rows;
pub mod toc;
