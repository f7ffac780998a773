//! Writes figures into a document whose other text people write.

use std::{
    fmt::{self, Write as _},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};

/// The lines between which a benchmark writes.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    /// The line before the figures.
    pub begin: &'static str,
    /// The line after the figures.
    pub end: &'static str,
}

/// A goal for a measured value, and the limit above which the value is a fault.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// The name of the measured value.
    pub what: &'static str,
    /// The measured value.
    pub measured: f64,
    /// The goal: the largest desired value.
    pub wanted: f64,
    /// The limit: a larger value is a fault.
    pub limit: f64,
    /// The unit that is appended to each number.
    pub unit: &'static str,
}

impl Goal {
    /// Returns the verdict about the measured value, rounded as it is shown.
    fn verdict(&self) -> &'static str {
        match (self.measured * 100.0).round() / 100.0 {
            measured if measured <= self.wanted => "reached",
            measured if measured <= self.limit => "missed, within the limit",
            _ => "**missed**",
        }
    }
}

/// Writes a table of goals.
pub fn goals(text: &mut String, goals: &[Goal]) -> fmt::Result {
    text.push_str("| what | measured | goal | fault above | verdict |\n| --- | --- | --- | --- | --- |\n");
    for goal in goals {
        let Goal { what, measured, wanted, limit, unit } = goal;
        writeln!(
            text,
            "| {what} | {measured:.2}{unit} | {wanted}{unit} | {limit}{unit} | {} |",
            goal.verdict()
        )?;
    }
    Ok(())
}

/// Replaces the text between the two marks of a document, and keeps the text around them.
pub fn insert(document: &Path, marks: Marks, text: &str) -> Result<()> {
    let Marks { begin, end } = marks;
    let was = fs::read_to_string(document).with_context(|| document.display().to_string())?;
    let (before, rest) = was.split_once(begin).context("the document has no line where figures begin")?;
    let (_, after) = rest.split_once(end).context("the document has no line where figures end")?;
    Ok(fs::write(document, format!("{before}{begin}\n{text}\n{end}{after}"))?)
}

/// Describes the machine: cores, memory and kernel.
pub fn machine() -> Result<String> {
    let field = |file: &str, name: &str| -> Result<String> {
        let text = fs::read_to_string(file)?;
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        Ok(line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default())
    };
    let kilobytes: f64 = field("/proc/meminfo", "MemTotal")?.trim_end_matches(" kB").parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!(
        "{} cores ({}), {:.0} GiB, Linux {}",
        std::thread::available_parallelism()?,
        field("/proc/cpuinfo", "model name")?,
        kilobytes / f64::from(1 << 20),
        kernel.trim()
    ))
}
