//! Figures in a document that people write around.

use std::{
    fmt::{self, Write as _},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};

/// The lines between which a benchmark writes.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    /// The line before.
    pub begin: &'static str,
    /// The line after.
    pub end: &'static str,
}

/// A goal, and the value from which on it is a fault.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// What was measured.
    pub what: &'static str,
    /// How much it is.
    pub measured: f64,
    /// How much it should be at most.
    pub wanted: f64,
    /// Above this it is a fault.
    pub limit: f64,
    /// What to write behind each number.
    pub unit: &'static str,
}

impl Goal {
    /// Of the number that is shown.
    fn verdict(&self) -> &'static str {
        match (self.measured * 100.0).round() / 100.0 {
            measured if measured <= self.wanted => "reached",
            measured if measured <= self.limit => "missed, within the limit",
            _ => "**missed**",
        }
    }
}

/// Writes a table of them.
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

/// Puts the text between the two marks of a document; what people wrote around them stays.
pub fn insert(document: &Path, marks: Marks, text: &str) -> Result<()> {
    let Marks { begin, end } = marks;
    let was = fs::read_to_string(document).with_context(|| document.display().to_string())?;
    let (before, rest) = was.split_once(begin).context("the document has no line where figures begin")?;
    let (_, after) = rest.split_once(end).context("the document has no line where figures end")?;
    Ok(fs::write(document, format!("{before}{begin}\n{text}\n{end}{after}"))?)
}

/// The machine, in words.
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
