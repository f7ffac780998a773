//! The runner parses the arguments that `domain::invocation` writes, and has the same defaults.

use std::time::Duration;

use clap::CommandFactory as _;
use domain::{
    invocation::{
        BackupOptions, BucketOptions, DumpOptions, Globals, Invocation, Options, S3Checksum, S3Encryption,
        ScrubOptions, Store, default, flag,
    },
    manifest::{Level, PolicyIdentity},
    operation::Operation,
    report::RunIdentity,
    retention::{Bucket, Count, MINIMUM_VERIFIED, Rules},
    scrub, suspicion_rules,
};

use super::*;

#[test]
fn runner_command_line_definition_is_valid() {
    Cli::command().debug_assert();
}

#[test]
fn runner_has_a_subcommand_for_every_operation() {
    for operation in Operation::all() {
        assert_eq!(parsed(&invocation(operation)).options.operation(), operation);
    }
}

#[test]
fn runner_parses_every_argument_that_the_operator_writes() {
    for operation in Operation::all() {
        let invocation = invocation(operation);
        let arguments = invocation.arguments();
        assert_eq!(parsed(&invocation), invocation, "{arguments:?}");
    }
}

#[test]
fn runner_parses_every_enum_value_that_the_operator_writes() {
    for (globals, level) in Globals::all().zip(Level::all()) {
        let options = Options::Backup(Box::new(BackupOptions { globals, level, ..backup_options() }));
        let invocation = Invocation { options, ..invocation(Operation::Backup) };
        assert_eq!(parsed(&invocation), invocation);
    }
    for (encryption, checksum) in S3Encryption::all().zip(S3Checksum::all()) {
        let bucket = BucketOptions {
            encryption: Some(encryption),
            checksum: Some(checksum),
            ..BucketOptions::default()
        };
        let store = Store { location: "s3://bucket".to_owned(), bucket };
        let invocation = Invocation { store, ..invocation(Operation::Scrub) };
        assert_eq!(parsed(&invocation), invocation);
    }
}

#[test]
fn runner_arguments_have_the_defaults_of_the_policy() {
    let parse = |operation: &str| {
        let line = format!("{operation} --namespace n --policy p --policy-uid u --store /b");
        parsed_line(line.split(' ').map(str::to_owned))
    };
    let options = BackupOptions {
        time_zone: default::TIME_ZONE.to_owned(),
        include: vec![default::INCLUDE.to_owned()],
        exclude: Vec::new(),
        globals: Globals::default(),
        dump: DumpOptions {
            compression: None,
            lock_timeout: default::LOCK_TIMEOUT,
            exclude_table_data: Vec::new(),
            allow_newer_client: false,
            strict_extensions: false,
            max_replica_lag: default::MAX_REPLICA_LAG,
        },
        adopt_from: None,
        rules: Rules { minimum_verified: MINIMUM_VERIFIED, ..Rules::default() },
        dry_run: false,
        level: Level::default(),
        max_shrink: suspicion_rules::MAX_SHRINK,
        acknowledged: Vec::new(),
    };
    assert_eq!(parse("backup").options, Options::Backup(Box::new(options)));
    assert_eq!(parse("backup").store.bucket, BucketOptions::default());
    assert_eq!(parse("scrub").options, Options::Scrub(ScrubOptions { share: scrub::SHARE }));
}

#[test]
fn database_pattern_with_a_leading_dash_is_accepted() {
    let line = "backup --namespace n --policy p --policy-uid u --store /b --include=-x --exclude=--y";
    let Options::Backup(options) = parsed_line(line.split(' ').map(str::to_owned)).options else {
        panic!("not a backup")
    };
    assert_eq!((options.include, options.exclude), (vec!["-x".to_owned()], vec!["--y".to_owned()]));
}

#[test]
fn runner_rejects_names_that_escape_the_store() {
    let line = |names: &str| {
        let line = format!("pgbackup-runner backup --policy-uid u --store /b {names}");
        Cli::try_parse_from(line.split(' ').map(str::to_owned)).map(drop)
    };
    assert!(line("--namespace n --policy p --job shop-backup-1").is_ok());
    for names in
        ["--namespace .. --policy p", "--namespace n --policy a/b", "--namespace n --policy p --job ../../x"]
    {
        let error = line(names).expect_err(names).to_string();
        assert!(error.contains("is not a valid name"), "{error}");
    }
}

/// Returns an invocation in which every option is set, and no option has its default.
fn invocation(operation: Operation) -> Invocation {
    let bucket = BucketOptions {
        ca: Some("/tls/store-ca.crt".into()),
        path_style: true,
        encryption: Some(S3Encryption::Kms),
        kms_key: Some("alias/backups".to_owned()),
        checksum: Some(S3Checksum::Crc64Nvme),
        storage_class: Some("STANDARD_IA".to_owned()),
        leftover_age: default::LEFTOVER_AGE * 2,
    };
    let options = match operation {
        Operation::Backup => Options::Backup(Box::new(backup_options())),
        Operation::Scrub => Options::Scrub(ScrubOptions { share: scrub::SHARE + 1 }),
    };
    Invocation {
        policy: PolicyIdentity {
            namespace: "shop".to_owned(),
            name: "nightly".to_owned(),
            uid: "u-1".to_owned(),
        },
        store: Store { location: "s3://bucket/a/b".to_owned(), bucket },
        options,
    }
}

fn backup_options() -> BackupOptions {
    let texts = |texts: [&str; 2]| texts.map(str::to_owned).to_vec();
    BackupOptions {
        time_zone: "Europe/Berlin".to_owned(),
        include: texts(["-shop", "a b"]),
        exclude: texts(["--x", "$(y)"]),
        globals: Globals::None,
        dump: DumpOptions {
            compression: Some("gzip:6".parse().unwrap()),
            lock_timeout: default::LOCK_TIMEOUT + Duration::from_secs(1),
            exclude_table_data: texts(["-a.*", "b.c"]),
            allow_newer_client: true,
            strict_extensions: true,
            max_replica_lag: default::MAX_REPLICA_LAG + Duration::from_secs(1),
        },
        adopt_from: Some("u-0".to_owned()),
        rules: Rules {
            keep: Bucket::all().zip([Count::All].into_iter().chain((1..).map(Count::Newest))).collect(),
            keep_within: Bucket::all().zip((1..).map(|n| format!("1y{n}h").parse().unwrap())).collect(),
            minimum_verified: MINIMUM_VERIFIED + 1,
            retired: texts(["-old", "older"]).into_iter().collect(),
        },
        dry_run: true,
        level: Level::Counts,
        max_shrink: suspicion_rules::MAX_SHRINK + 1,
        acknowledged: texts(["20260101T000000Z-abc", "20260102T000000Z-abc"]),
    }
}

/// Returns the invocation that the runner builds from the arguments of `invocation`.
fn parsed(invocation: &Invocation) -> Invocation {
    parsed_line(invocation.arguments())
}

fn parsed_line(arguments: impl IntoIterator<Item = String>) -> Invocation {
    let arguments: Vec<String> = arguments.into_iter().collect();
    let option = format!("--{}=", flag::STORE);
    // The runner parses the location into one of its own types.
    let location = arguments.iter().find_map(|argument| argument.strip_prefix(&option));
    let location = location.unwrap_or("/b").to_owned();
    let line = [program::NAME.to_owned()].into_iter().chain(arguments.iter().cloned());
    let command = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{arguments:?}: {error}")).command;
    let (policy, target, options) = match command {
        Command::Backup(args) => {
            let run = args.common.run.identity(Operation::Backup, "nightly", "token");
            let Config { policy, store, options, run: RunIdentity { .. }, zone: _, retry_wait: _ } =
                args.config(run).unwrap();
            (policy, store, Options::Backup(Box::new(options)))
        }
        Command::Scrub(args) => {
            let StoredArgs { namespace, policy: name, .. } = &args.common.stored;
            let uid = args.policy_uid.clone().unwrap();
            let policy = PolicyIdentity { namespace: namespace.clone(), name: name.clone(), uid };
            (policy, args.common.stored.target(), Options::Scrub(args.options()))
        }
        other => panic!("not an operation: {other:?}"),
    };
    assert_eq!(target.location, location.parse().unwrap());
    Invocation { policy, store: Store { location, bucket: target.options }, options }
}
