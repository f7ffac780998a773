//! The command line and the environment variables with which the operator starts the runner.
//!
//! The operator writes them into the pods of a policy, and the runner parses them. Each name, each spelling
//! of a value and each default is defined only in this module. Arguments never contain secrets. Secrets are
//! in environment variables, whose values Kubernetes takes from Secret objects.
//!
//! Operator and runner cannot differ in their options: [`Invocation::arguments`] destructures the options
//! without `..`, and the runner builds the same types from its command line.

mod backup;
mod compression;
pub mod default;
pub mod flag;
mod globals;
mod line;
pub mod program;
mod store;
pub mod variable;

use self::line::Line;
pub use self::{
    backup::{BackupOptions, DumpOptions},
    compression::{Compression, CompressionMethod, InvalidCompression},
    globals::Globals,
    store::{BucketOptions, S3Checksum, S3Encryption, Store, scheme},
};
use crate::{manifest::PolicyIdentity, operation::Operation};

/// A run of the runner for a policy: everything that its command line contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The namespace, the name and the UID of the policy.
    pub policy: PolicyIdentity,
    /// The store that contains the policy's repository.
    pub store: Store,
    /// The operation of the run, and the options of that operation.
    pub options: Options,
}

/// An operation and its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Options {
    /// The run stores a new backup.
    Backup(Box<BackupOptions>),
    /// The run reads stored backups back and checks them again.
    Scrub(ScrubOptions),
}

/// The options of a scrub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubOptions {
    /// The share of the stored bytes that the scrub reads, in percent.
    pub share: u8,
}

impl Options {
    /// Returns the operation to which these options belong.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Backup(_) => Operation::Backup,
            Self::Scrub(_) => Operation::Scrub,
        }
    }
}

impl Invocation {
    /// Returns the subcommand and its arguments, without the name of the program.
    pub fn arguments(&self) -> Vec<String> {
        let Self { policy: PolicyIdentity { namespace, name, uid }, store, options } = self;
        let mut line = Line::new(options.operation().as_str());
        line.option(flag::NAMESPACE, namespace);
        line.option(flag::POLICY, name);
        line.option(flag::POLICY_UID, uid);
        store.write(&mut line);
        match options {
            Options::Backup(options) => options.write(&mut line),
            Options::Scrub(ScrubOptions { share }) => line.option(flag::SHARE, share),
        }
        line.switch(flag::S3_PATH_STYLE, store.bucket.path_style);
        line.finish()
    }
}
