//! Parsers for the output of `pg_restore`: an archive's table of contents, and its rows. All functions are
//! pure. Their input comes from a store, so none of it is trusted.

pub mod rows;
pub mod toc;
