//! The output formats of commands.

use clap::ValueEnum;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table for people
    Table,
    /// JSON for programs
    Json,
}

/// Formats a value as one line of JSON.
pub fn json(value: &Value) -> String {
    format!("{value}\n")
}
