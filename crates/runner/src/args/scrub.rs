//! The arguments of the subcommand `scrub`.

use clap::Args;
use domain::{
    invocation::{ScrubOptions, flag},
    scrub,
};

use super::common::OperationArgs;

/// Arguments of `scrub`.
#[derive(Debug, Args)]
pub struct ScrubArgs {
    #[command(flatten)]
    pub common: OperationArgs,
    /// UID of the policy. With it, the report contains the number and size of the policy's backups.
    #[arg(long = flag::POLICY_UID)]
    pub policy_uid: Option<String>,
    /// Share of all stored bytes to read, in percent. At least one backup is read.
    #[arg(
        long = flag::SHARE,
        value_name = "PERCENT",
        default_value_t = scrub::SHARE,
        value_parser = clap::value_parser!(u8).range(1..=100)
    )]
    share: u8,
}

impl ScrubArgs {
    pub const fn options(&self) -> ScrubOptions {
        ScrubOptions { share: self.share }
    }
}
