//! The command line of the runner. Every option has the form `--name=value`, since a pattern may begin with a dash.

use api::policy::{Compression, CompressionMethod, Globals, VerificationLevel};
use domain::{operation::Operation, retention::Rules};

use super::{env_var::literal, lifetime, store};
use crate::validate::{ValidDump, ValidPolicy, ValidStorage};

/// The age from which on the runner takes files without a manifest for leftovers, unless an option sets another.
const LEFTOVER_SECONDS: i64 = 86_400;

/// The arguments of an operation's run.
pub fn arguments(policy: &ValidPolicy, operation: Operation) -> Vec<String> {
    match operation {
        Operation::Backup => backup(policy),
        Operation::Scrub => scrub(policy),
    }
}

fn backup(policy: &ValidPolicy) -> Vec<String> {
    let ValidPolicy {
        time_zone,
        include,
        exclude,
        globals,
        dump,
        adopt_from,
        rules,
        dry_run,
        level,
        max_shrink,
        acknowledged,
        ..
    } = policy;
    let globals = match globals {
        Globals::WithoutPasswords => "without-passwords",
        Globals::WithPasswords => "with-passwords",
        Globals::None => "none",
    };
    let level = match level {
        VerificationLevel::Checksum => "checksum",
        VerificationLevel::Archive => "archive",
        VerificationLevel::Counts => "counts",
    };
    let mut arguments = command(Operation::Backup, policy);
    let mut option = |name: &str, value: &str| arguments.push(option(name, value));
    option("time-zone", time_zone);
    for pattern in include {
        option("include", pattern);
    }
    for pattern in exclude {
        option("exclude", pattern);
    }
    option("globals", globals);
    let ValidDump {
        compression,
        lock_timeout,
        exclude_table_data,
        allow_newer_client,
        strict_extensions,
        max_replica_lag,
    } = dump;
    if let Some(compression) = compression {
        option("compress", &compress(compression));
    }
    option("lock-timeout", &lock_timeout.to_string());
    for pattern in exclude_table_data {
        option("exclude-table-data", pattern);
    }
    option("max-replica-lag", &max_replica_lag.to_string());
    if let Some(uid) = adopt_from {
        option("adopt-from", uid);
    }
    let Rules { keep, keep_within, minimum_verified, retired } = rules;
    for (bucket, count) in keep {
        option(&bucket.keep_option(), &count.to_string());
    }
    for (bucket, within) in keep_within {
        option(&bucket.keep_within_option(), &within.to_string());
    }
    option("minimum-verified", &minimum_verified.to_string());
    for database in retired {
        option("retired", database);
    }
    option("verify", level);
    option("max-shrink", &max_shrink.to_string());
    for backup in acknowledged {
        option("acknowledged", backup);
    }
    let flags = [
        ("allow-newer-client", allow_newer_client),
        ("strict-extensions", strict_extensions),
        ("dry-run", dry_run),
        ("s3-path-style", &store::path_style(policy)),
    ];
    arguments.extend(flags.into_iter().filter(|(_, given)| **given).map(|(name, _)| format!("--{name}")));
    arguments
}

fn scrub(policy: &ValidPolicy) -> Vec<String> {
    let mut arguments = command(Operation::Scrub, policy);
    if let Some(scrub) = &policy.scrub {
        arguments.push(option("share", &scrub.share.to_string()));
    }
    arguments.extend(store::path_style(policy).then(|| "--s3-path-style".to_owned()));
    arguments
}

/// The command, the policy and the store.
fn command(operation: Operation, policy: &ValidPolicy) -> Vec<String> {
    let identity = &policy.identity;
    let mut arguments = vec![
        operation.as_str().to_owned(),
        option("namespace", &identity.namespace),
        option("policy", &identity.name),
        option("policy-uid", &identity.uid),
    ];
    arguments.extend(store::options(policy).iter().map(|(name, value)| option(name, value)));
    arguments.extend(leftover_age(policy).map(|age| option("leftover-age", &age.to_string())));
    arguments
}

/// The age of leftovers where the runner's default is shorter than a run may last. On a volume locks show which runs are
/// active, so the age does not matter.
fn leftover_age(policy: &ValidPolicy) -> Option<i64> {
    let longest = lifetime::longest_seconds(policy);
    let has_locks = matches!(policy.storage, ValidStorage::Volume(_));
    (longest > LEFTOVER_SECONDS && !has_locks).then_some(longest)
}

fn option(name: &str, value: &str) -> String {
    format!("--{name}={}", literal(value))
}

/// The compression in pg_dump's form: `zstd:1`.
fn compress(Compression { method, level }: &Compression) -> String {
    let method = match method {
        CompressionMethod::Zstd => "zstd",
        CompressionMethod::Gzip => "gzip",
        CompressionMethod::Lz4 => "lz4",
        CompressionMethod::None => return "none".to_owned(),
    };
    format!("{method}:{}", level.unwrap_or(1))
}
