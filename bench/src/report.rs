//! The figures as a table that people read, beside the goals that they were to reach.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use jiff::Zoned;

use crate::{
    Measured, Runs,
    measure::Run,
    parts::Root,
    pipelines::Pipeline::{
        self, Bare, DumpallPigzUpload, FileThenUpload, OursToS3, OursToVolume, PlainToVolume,
    },
};

const BEGIN: &str = "<!-- make bench writes from here -->\n";
const END: &str = "<!-- to here -->\n";

/// A goal, and the value from which on it is a fault.
struct Goal {
    what: &'static str,
    measured: f64,
    wanted: f64,
    limit: f64,
    unit: &'static str,
}

impl Goal {
    fn verdict(&self) -> &'static str {
        match self.measured {
            measured if measured <= self.wanted => "reached",
            measured if measured <= self.limit => "missed, within the limit",
            _ => "**missed**",
        }
    }
}

/// The whole text.
pub fn write(root: &Root, measured: &Measured) -> Result<String> {
    let mut text = String::new();
    let large = &measured.large;
    writeln!(text, "Measured on {}: {}.", Zoned::now().date(), machine()?)?;
    writeln!(
        text,
        "{}; {}; pgbackup {}.",
        root.version_of("postgres")?,
        root.version_of("rclone")?,
        env!("CARGO_PKG_VERSION")
    )?;
    let database = &measured.database;
    writeln!(
        text,
        "The database has {:.2} GB ({} tables, {} large objects); {} rounds.\n",
        mega(database.size) / 1e3,
        database.tables,
        database.large_objects,
        large.values().map(Vec::len).max().unwrap_or_default()
    )?;
    pipelines(&mut text, large)?;
    text.push('\n');
    goals(&mut text, measured)?;
    Ok(text)
}

fn pipelines(text: &mut String, runs: &Runs) -> Result<()> {
    text.push_str("| pipeline | wall, median (least to most) | of D | CPU of the clients | of D's | stored |\n| --- | --- | --- | --- | --- | --- |\n");
    let bare = (median(runs, Bare, wall), median(runs, Bare, cpu));
    for pipeline in Pipeline::ALL {
        let values = sorted(runs, pipeline, wall);
        let (least, most) =
            (values.first().copied().unwrap_or(f64::NAN), values.last().copied().unwrap_or(f64::NAN));
        let (wall, cpu) = (median(runs, pipeline, wall), median(runs, pipeline, cpu));
        let stored = match median(runs, pipeline, stored) {
            0.0 => "nothing".to_owned(),
            megabytes => format!("{megabytes:.0} MB"),
        };
        writeln!(
            text,
            "| {} | {wall:.2} s ({least:.2} to {most:.2}) | {:.2} | {cpu:.2} s | {:.2} | {stored} |",
            pipeline.title(),
            wall / bare.0,
            cpu / bare.1
        )?;
    }
    Ok(())
}

fn goals(text: &mut String, Measured { large, small, empty, .. }: &Measured) -> Result<()> {
    let ratio = |a: Pipeline, b: Pipeline, of: fn(&Run) -> f64| median(large, a, of) / median(large, b, of);
    let fixed = |ours| median(empty, ours, wall) - median(empty, Bare, wall);
    let growth = |ours| median(large, ours, memory) / median(small, ours, memory);
    let goal = |what, measured, wanted, limit, unit| Goal { what, measured, wanted, limit, unit };
    let goals = [
        goal("verified backup to a volume, wall / D", ratio(OursToVolume, Bare, wall), 1.2, 1.4, ""),
        goal("verified backup to S3, wall / D", ratio(OursToS3, Bare, wall), 1.2, 1.4, ""),
        goal(
            "S3, wall / `pg_dump` to a file, then an upload",
            ratio(OursToS3, FileThenUpload, wall),
            0.4,
            1.0,
            "",
        ),
        goal(
            "S3, wall / `pg_dumpall \\| pigz \\| upload`",
            ratio(OursToS3, DumpallPigzUpload, wall),
            0.55,
            1.0,
            "",
        ),
        goal("volume, wall / `pg_dump -Z1`", ratio(OursToVolume, PlainToVolume, wall), 0.8, 1.0, ""),
        goal("an empty database, wall over `pg_dump`'s, volume", fixed(OursToVolume), 0.25, 0.5, " s"),
        goal("an empty database, wall over `pg_dump`'s, S3", fixed(OursToS3), 0.25, 0.5, " s"),
        goal("CPU of the clients / D's, volume", ratio(OursToVolume, Bare, cpu), 1.6, 2.0, ""),
        goal("CPU of the clients / D's, S3", ratio(OursToS3, Bare, cpu), 1.7, 2.1, ""),
        goal("memory of the runner (VmHWM), volume", median(large, OursToVolume, memory), 16.0, 32.0, " MiB"),
        goal("memory of the runner (VmHWM), S3", median(large, OursToS3, memory), 56.0, 64.0, " MiB"),
        goal("that memory against a database of a fifteenth, volume", growth(OursToVolume), 1.25, 1.5, ""),
        goal("that memory against a database of a fifteenth, S3", growth(OursToS3), 1.25, 1.5, ""),
    ];
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
pub fn insert(document: &Path, text: &str) -> Result<()> {
    let was = fs::read_to_string(document).with_context(|| document.display().to_string())?;
    let (before, rest) = was.split_once(BEGIN).context("the document has no line where figures begin")?;
    let (_, after) = rest.split_once(END).context("the document has no line where figures end")?;
    Ok(fs::write(document, format!("{before}{BEGIN}\n{text}\n{END}{after}"))?)
}

fn wall(run: &Run) -> f64 {
    run.wall.as_secs_f64()
}

fn cpu(run: &Run) -> f64 {
    run.cpu.as_secs_f64()
}

fn memory(run: &Run) -> f64 {
    mega(run.memory) * 1e6 / f64::from(1 << 20)
}

fn stored(run: &Run) -> f64 {
    mega(run.stored)
}

#[expect(clippy::cast_precision_loss, reason = "nobody reads the fifteenth digit")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn sorted(runs: &Runs, pipeline: Pipeline, of: impl Fn(&Run) -> f64) -> Vec<f64> {
    let mut values: Vec<f64> = runs.get(&pipeline).into_iter().flatten().map(of).collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(runs: &Runs, pipeline: Pipeline, of: impl Fn(&Run) -> f64) -> f64 {
    let values = sorted(runs, pipeline, of);
    match (values.len() / 2, values.len() % 2) {
        (_, _) if values.is_empty() => f64::NAN,
        (middle, 1) => values[middle],
        (middle, _) => f64::midpoint(values[middle - 1], values[middle]),
    }
}

fn machine() -> Result<String> {
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
