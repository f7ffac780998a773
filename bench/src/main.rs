//! `make bench`: measures the cost of a verified backup in comparison with other common backup methods, on
//! this machine.
//!
//! Everything is real: a PostgreSQL server, an object store, files on a disk. The pipelines run one after the
//! other in rounds, so that other load on the machine affects all of them alike. The results are ratios of
//! medians.

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

/// Measure the runner, and write the figures into a document
#[derive(Debug, Parser)]
struct Args {
    /// Approximate size of the database, in gigabytes
    #[arg(long, env = "BENCH_GB", default_value_t = 3.0)]
    gigabytes: f64,
    /// Number of runs of each pipeline
    #[arg(long, env = "BENCH_ROUNDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Root file system with PostgreSQL, rclone, pigz and the runner
    #[arg(long)]
    root: PathBuf,
    /// Folder for the object store
    #[arg(long)]
    store: PathBuf,
    /// Document with the marks between which the figures are written
    #[arg(long)]
    document: PathBuf,
}

/// All runs of each pipeline on one database.
type Runs = BTreeMap<Pipeline, Vec<Run>>;

/// The measured runs on databases of three sizes.
struct Measured {
    database: Database,
    /// The runs on the large database.
    large: Runs,
    /// The runs on a database of one fifteenth of the size, which show what grows with the size.
    small: Runs,
    /// The runs on an empty database, which show the fixed cost of a backup.
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
    // pg_dumpall dumps every database, so drop the others.
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

/// Runs each pipeline once per round. Each round starts with the next pipeline, so that no pipeline always
/// follows the same other one.
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
