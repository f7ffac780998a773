//! `make bench`: what a verified backup costs, side by side with what people run today, on this machine.
//!
//! Everything is real: a PostgreSQL server, an object store, files on a disk. The pipelines run one after the other, round
//! by round, so that whatever else the machine does hits them alike; what counts are ratios of medians.

mod measure;
mod parts;
mod pipelines;
mod report;

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Result;
use clap::Parser;

use crate::{
    measure::Run,
    parts::{ObjectStore, Root, Server},
    pipelines::{Bench, Pipeline},
};

/// Measures the runner, and writes what it found into a document.
#[derive(Debug, Parser)]
struct Args {
    /// About how many gigabytes the database has.
    #[arg(long, env = "BENCH_GB", default_value_t = 3.0)]
    gigabytes: f64,
    /// How often each pipeline runs.
    #[arg(long, env = "BENCH_ROUNDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// A root file system with PostgreSQL, rclone, pigz and the runner.
    #[arg(long)]
    root: PathBuf,
    /// A folder for the object store.
    #[arg(long)]
    store: PathBuf,
    /// The document that has the lines between which the figures go.
    #[arg(long)]
    document: PathBuf,
}

/// All runs of each pipeline on one database.
type Runs = BTreeMap<Pipeline, Vec<Run>>;

/// What was measured.
struct Measured {
    database: Database,
    /// On the large database.
    large: Runs,
    /// On one fifteenth of it: what grows with the size.
    small: Runs,
    /// On an empty one: what a backup costs before it has any row to copy.
    empty: Runs,
}

struct Database {
    size: u64,
    tables: u64,
    large_objects: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let root = Root(args.root);
    let server = Server::start(&root)?;
    let store = ObjectStore::start(&args.store)?;
    let bench = Bench { root: &root, server: &server, store: &store };

    server.ask("postgres", "CREATE DATABASE empty")?;
    let ours = [Pipeline::Bare, Pipeline::OursToVolume, Pipeline::OursToS3];
    let empty = rounds(&bench, &ours, "empty", args.rounds * 3)?;
    eprintln!("bench: loading {} GB", args.gigabytes / 15.0);
    server.load("small", args.gigabytes / 15.0)?;
    let small = rounds(&bench, &ours, "small", args.rounds)?;
    // pg_dumpall takes every database.
    for database in ["empty", "small"] {
        server.ask("postgres", &format!("DROP DATABASE {database}"))?;
    }
    eprintln!("bench: loading {} GB", args.gigabytes);
    server.load("large", args.gigabytes)?;
    let database = Database {
        size: server.ask("large", "SELECT pg_database_size(current_database())")?.parse()?,
        tables: server
            .ask("large", "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384")?
            .parse()?,
        large_objects: server.ask("large", "SELECT count(*) FROM pg_largeobject_metadata")?.parse()?,
    };
    let large = rounds(&bench, &Pipeline::ALL, "large", args.rounds)?;

    let measured = Measured { database, large, small, empty };
    let text = report::write(&root, &measured)?;
    pgbackup_bench::insert(&args.document, report::MARKS, &text)?;
    println!("{text}");
    Ok(())
}

/// Each pipeline once a round; every round starts with the next one, so that none always follows the same other.
fn rounds(bench: &Bench<'_>, pipelines: &[Pipeline], database: &str, rounds: u32) -> Result<Runs> {
    let mut runs = Runs::new();
    for round in 0..rounds {
        for step in 0..pipelines.len() {
            let pipeline = pipelines[(round as usize + step) % pipelines.len()];
            let run = bench.run(pipeline, database)?;
            eprintln!(
                "bench: {database} {}/{rounds} {pipeline:?}: {:.2} s, CPU {:.2} s",
                round + 1,
                run.wall.as_secs_f64(),
                run.cpu.as_secs_f64()
            );
            runs.entry(pipeline).or_default().push(run);
        }
    }
    Ok(runs)
}
