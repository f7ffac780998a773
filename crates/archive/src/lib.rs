//! Parsers for the output of `pg_restore`: an archive's table of contents, and its rows. Pure functions. The bytes come from a
//! store, so nothing in them is trusted.

pub mod rows;
pub mod toc;
