//! A command line of the runner under construction.

use std::fmt::Display;

/// A subcommand and its arguments. An option and its value are a single argument, `--name=value`, because a
/// value can begin with a dash.
pub struct Line(Vec<String>);

impl Line {
    pub fn new(command: &str) -> Self {
        Self(vec![command.to_owned()])
    }

    pub fn option(&mut self, name: &str, value: impl Display) {
        self.0.push(format!("--{name}={value}"));
    }

    /// Adds the option once for each value.
    pub fn options(&mut self, name: &str, values: impl IntoIterator<Item: Display>) {
        for value in values {
            self.option(name, value);
        }
    }

    /// Adds the option, which has no value, if `is_given`.
    pub fn switch(&mut self, name: &str, is_given: bool) {
        if is_given {
            self.0.push(format!("--{name}"));
        }
    }

    pub fn finish(self) -> Vec<String> {
        self.0
    }
}
