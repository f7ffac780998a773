//! Arguments that several subcommands share.

use std::path::PathBuf;

use clap::{Args, Parser};
use domain::{
    invocation::{default, flag, program, variable},
    name,
    operation::Operation,
    report::{RunIdentity, Trigger},
};

use super::store::StoreArgs;
use crate::store::Target;

/// Arguments of every operation.
#[derive(Debug, Args)]
pub struct OperationArgs {
    #[command(flatten)]
    pub stored: StoredArgs,
    #[command(flatten)]
    pub run: RunArgs,
}

/// The repository of a policy.
#[derive(Debug, Args)]
pub struct StoredArgs {
    /// Namespace of the policy. The repository is <store>/<namespace>/<policy>.
    #[arg(long = flag::NAMESPACE, value_parser = name::valid)]
    pub namespace: String,
    /// Name of the policy.
    #[arg(long = flag::POLICY, value_parser = name::valid)]
    pub policy: String,
    #[command(flatten)]
    store: StoreArgs,
}

impl StoredArgs {
    pub fn target(&self) -> Target {
        self.store.clone().target()
    }
}

/// Identity and report of a run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Name of this run and of its record in the repository.
    #[arg(long, env = variable::PGBACKUP_JOB, default_value = "by-hand", value_parser = name::valid)]
    job: String,
    /// UID of the Job, which distinguishes this run from others of the same name.
    #[arg(long, env = variable::PGBACKUP_JOB_UID, default_value = "")]
    job_uid: String,
    /// File for the report, which is the termination message of the container. If the file does not exist, no
    /// report is written.
    #[arg(long, env = variable::PGBACKUP_TERMINATION_LOG, default_value = default::TERMINATION_LOG)]
    pub termination_log: PathBuf,
}

impl RunArgs {
    /// Returns the values from the environment and the defaults, for reports about invalid arguments.
    pub fn from_environment() -> Self {
        #[derive(Parser)]
        struct Environment {
            #[command(flatten)]
            run: RunArgs,
        }
        Environment::parse_from([program::NAME]).run
    }

    /// Returns the identity of a run of `policy`. If the Job's UID is not given, `token` replaces it, which
    /// must be unique to the run.
    pub fn identity(&self, operation: Operation, policy: &str, token: &str) -> RunIdentity {
        let scheduled_time = name::slot(&name::cron_job(policy, operation), &self.job);
        RunIdentity {
            job: self.job.clone(),
            job_uid: if self.job_uid.is_empty() { token } else { &self.job_uid }.to_owned(),
            trigger: if scheduled_time.is_some() { Trigger::Schedule } else { Trigger::Manual },
            scheduled_time,
        }
    }
}
