//! The program pgbackup-runner: parses the arguments, runs the subcommand, handles signals, and exits with
//! the code of the outcome.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;
use domain::{
    invocation::flag, message::Message, operation::Operation, reason::Reason, report::ScrubDetails, size,
};
use pgbackup_runner::{
    args::{self, BackupArgs, Cli, Command, RunArgs, ScrubArgs},
    backup, install, list, plan,
    run::Run,
    scrub,
    signals::unless_stopped,
    termination::TerminationMessage,
    verify,
};

/// Parses the arguments and runs the subcommand.
///
/// # Errors
///
/// Only failures that have no reason: for example, the asynchronous runtime cannot start. Every other failure
/// becomes an exit code.
fn main() -> anyhow::Result<ExitCode> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .with_writer(std::io::stderr)
        .init();
    // Permit access to files for the owner and the group only.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return invalid_arguments(&error),
    };
    match cli.command {
        Command::Install { folder } => {
            install::install(&folder)
                .with_context(|| format!("cannot copy the runner to {}", folder.display()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Plan(args) => Ok(match plan::plan(&args) {
            Ok(text) => {
                std::io::stdout().write_all(text.as_bytes()).context("cannot print the plan")?;
                ExitCode::SUCCESS
            }
            Err(error) => failed("plan", Reason::InvalidConfiguration, error.message()),
        }),
        Command::Backup(args) => Ok(exit_code(in_runtime(backup(*args))??)),
        Command::Verify { stored, backups } => Ok(match in_runtime(verify::verify(&stored, &backups))? {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed("verify", error.reason(), error.message()),
        }),
        Command::Scrub(args) => Ok(exit_code(in_runtime(scrub(args))??)),
        Command::List { stored, output } => Ok(match in_runtime(list::list(&stored, output))? {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                let message = Message::new(error.to_string()).or_hint(error.hint().as_deref());
                failed("list", error.reason(), message)
            }
        }),
    }
}

/// Reports invalid arguments, or prints the help if it was requested. For a run, the failure is also written
/// into the termination message.
fn invalid_arguments(error: &clap::Error) -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let operation = words.get(1).and_then(|word| word.parse::<Operation>().ok());
    match operation {
        Some(operation) if error.use_stderr() => {
            let option = format!("--{}=", flag::POLICY);
            let policy = words.iter().find_map(|word| word.strip_prefix(&option)).unwrap_or_default();
            let run = start(&RunArgs::from_environment(), operation, policy, &random_token());
            let message = invalid(&args::first_paragraph(error));
            Ok(exit_code(in_runtime(run.finish(Reason::InvalidConfiguration, message))?))
        }
        _ => {
            error.print()?;
            Ok(exit_code(if error.use_stderr() { Reason::InvalidConfiguration } else { Reason::Verified }))
        }
    }
}

fn invalid(detail: &str) -> Message {
    Message::new("invalid arguments").detail(detail).hint(
        "Correct the argument (`--help` lists all). If the operator wrote it, use the same version of operator and runner.",
    )
}

fn failed(command: &str, reason: Reason, message: Message) -> ExitCode {
    eprintln!("pgbackup-runner {command}: {reason}: {}", message.or_hint(reason.hint()));
    exit_code(reason)
}

/// Runs a command in an asynchronous runtime. Does not wait for blocking reads at the end: on a slow disk,
/// one could outlast the pod's grace period.
fn in_runtime<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider is already installed");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(ended)
}

/// Returns the exit code of a reason. Every reason that the runner reports has one.
fn exit_code(reason: Reason) -> ExitCode {
    ExitCode::from(reason.exit_code().unwrap_or(1))
}

/// Returns a random token that identifies this attempt.
fn random_token() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// Creates a run. From now on, panics are reported in the termination message. `token` must be unique to this
/// attempt.
fn start(args: &RunArgs, operation: Operation, policy: &str, token: &str) -> Run {
    let termination = TerminationMessage::new(args.termination_log.clone());
    termination.clone().report_panics();
    Run::new(args.identity(operation, policy, token), termination, operation)
}

/// Runs a backup and reports its outcome.
async fn backup(args: BackupArgs) -> anyhow::Result<Reason> {
    let token = random_token();
    let mut run = start(&args.common.run, Operation::Backup, &args.common.stored.policy, &token);
    let config = match args.config(run.report.run.clone()) {
        Ok(config) => config,
        Err(error) => {
            let message = invalid(&format!("--time-zone: {error}"));
            return Ok(run.finish(Reason::InvalidConfiguration, message).await);
        }
    };
    let ended = unless_stopped(Box::pin(backup::backup(&mut run, &config, &token))).await?;
    let (reason, message) = match ended {
        Ok(Ok((verification, message))) => (verification.reason(), Message::new(message)),
        Ok(Err(error)) => (error.reason(), error.message()),
        Err(signal) => {
            let stage = run.report.details.stage().as_str();
            let backup = run.report.backup().map(|backup| format!("backup {} is stored", backup.id));
            let backup = backup.unwrap_or_else(|| "no backup was stored".to_owned());
            (Reason::Interrupted, format!("the run was stopped by {signal} during {stage}: {backup}").into())
        }
    };
    Ok(run.finish(reason, message).await)
}

/// Runs a scrub and reports its outcome.
async fn scrub(args: ScrubArgs) -> anyhow::Result<Reason> {
    let mut run = start(&args.common.run, Operation::Scrub, &args.common.stored.policy, &random_token());
    let ended = unless_stopped(Box::pin(scrub::scrub(&mut run, &args))).await?;
    let outcome = run.report.details.as_scrub().cloned().unwrap_or_default();
    let (reason, message) = match ended {
        Ok(Ok(())) if outcome.passed == 0 => (Reason::Verified, "no backups to scrub yet".into()),
        Ok(Ok(())) => (Reason::Verified, format!("{} read back and intact", backups(&outcome)).into()),
        Ok(Err(error)) => (error.reason(), error.message()),
        Err(signal) => {
            let message =
                format!("the scrub was stopped by {signal} after it had read {}", backups(&outcome));
            (Reason::Interrupted, message.into())
        }
    };
    Ok(run.finish(reason, message).await)
}

/// Formats the checked backups, for example `3 backups (1.2 GiB)`.
fn backups(scrub: &ScrubDetails) -> String {
    let backups = if scrub.passed == 1 { "backup" } else { "backups" };
    format!("{} {backups} ({})", scrub.passed, size::human(scrub.bytes_read))
}
