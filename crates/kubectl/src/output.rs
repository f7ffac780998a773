//! The formats in which commands print.

use clap::ValueEnum;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table for people
    Table,
    /// JSON for programs
    Json,
}

/// One line of JSON.
pub fn json(value: &Value) -> String {
    format!("{value}\n")
}
