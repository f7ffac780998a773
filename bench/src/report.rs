//! Formats the figures as tables, with their goals.

use std::fmt::Write as _;

use anyhow::Result;
use jiff::Zoned;
use pgbackup_bench::{Goal, Marks, machine};

use crate::{
    Measured, Runs,
    measure::Run,
    parts::Root,
    pipelines::Pipeline::{
        self, Bare, DumpallPigzUpload, FileThenUpload, OursToS3, OursToVolume, PlainToVolume,
    },
};

/// The lines of the document between which `make bench` writes.
pub const MARKS: Marks = Marks { begin: "<!-- make bench writes from here -->\n", end: "<!-- to here -->\n" };

/// Returns the whole text that is written into the document.
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
    text.push_str("| pipeline | wall, median (least to most) | wall / D's | CPU of the clients | CPU / D's | stored |\n| --- | --- | --- | --- | --- | --- |\n");
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
        goal("verified backup to a volume, wall / D's", ratio(OursToVolume, Bare, wall), 1.2, 1.4, ""),
        goal("verified backup to S3, wall / D's", ratio(OursToS3, Bare, wall), 1.2, 1.4, ""),
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
        goal("an empty database, wall minus `pg_dump`'s, volume", fixed(OursToVolume), 0.25, 0.5, " s"),
        goal("an empty database, wall minus `pg_dump`'s, S3", fixed(OursToS3), 0.25, 0.5, " s"),
        goal("CPU of the clients / D's, volume", ratio(OursToVolume, Bare, cpu), 1.6, 2.0, ""),
        goal("CPU of the clients / D's, S3", ratio(OursToS3, Bare, cpu), 1.7, 2.1, ""),
        goal("memory of the runner (VmHWM), volume", median(large, OursToVolume, memory), 16.0, 32.0, " MiB"),
        goal("memory of the runner (VmHWM), S3", median(large, OursToS3, memory), 56.0, 64.0, " MiB"),
        goal(
            "memory / memory with a database of one fifteenth the size, volume",
            growth(OursToVolume),
            1.25,
            1.5,
            "",
        ),
        goal(
            "memory / memory with a database of one fifteenth the size, S3",
            growth(OursToS3),
            1.25,
            1.5,
            "",
        ),
    ];
    Ok(pgbackup_bench::goals(text, &goals)?)
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
