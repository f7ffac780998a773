//! Reasons: why a run or a condition has its result. Reports, conditions, events and metrics use this closed
//! set.
//!
//! A reason describes what happened. The reason alone decides the exit code and so whether Kubernetes
//! retries. Messages add names and a specific hint; the advice in this file is for the documentation and for
//! messages without a specific hint. `docs/reference/reasons.md` is generated from this file.

pub mod exit_code_ranges;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

macro_rules! reasons {
    ($($(#[doc = $meaning:literal])+ $name:ident = $code:expr, $advice:literal;)+) => {
        /// Why a run ended as it did. The number is the runner's exit code; reasons that only the operator finds (the
        /// runner did not start or left no report) have none.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Display, EnumIter,
            EnumString, IntoStaticStr,
        )]
        pub enum Reason { $($(#[doc = $meaning])+ $name,)+ }

        impl Reason {
            /// The runner's exit code: 0 for success, 10 to 39 if a retry may help, 64 to 95 if not.
            pub const fn exit_code(self) -> Option<u8> {
                match self { $(Self::$name => $code,)+ }
            }

            /// What happened, in one or two sentences.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($meaning),+).trim_ascii(),)+ }
            }

            /// What to do, in one or two sentences, with `code` in backticks.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)+ }
            }
        }
    };
}

reasons! {
    /// The backup was read back from the store and passed every check, or the newest scrub found every backup intact.
    Verified = Some(0), "Nothing.";

    /// The stored bytes are those that were written. The archives were not read, because `verification.level` is `Checksum`.
    Stored = Some(0), "Nothing. To check that archives can be read, set `verification.level: Archive`.";

    /// The server does not answer on its host and port, or closed the connection.
    Unreachable = Some(10), "Check host and port, that the server runs, and that network policies allow connections from backup pods to it.";
    /// The server's host name cannot be resolved to an address.
    NameNotResolved = Some(11), "Correct `postgres.connection.host`. The name of a Service in another namespace is `<service>.<namespace>.svc`.";
    /// The server accepts no new session now: it is starting, shutting down or out of connections. Also used if the connection fails with an unknown error.
    ServerNotReady = Some(12), "Wait until the server has started. If it is out of connections, raise `max_connections`.";
    /// Another session held a lock on a table for longer than `dump.lockTimeout`, in each of five rounds (lock, snapshot, dump).
    LockTimeout = Some(13), "End the other session, or change the schedule so that backups do not run at the same time as statements that take an ACCESS EXCLUSIVE lock, for example ALTER TABLE.";
    /// The standby is further behind its primary than `dump.maxReplicaLag` allows, or its lag cannot be read.
    ReplicaStale = Some(18), "Check the standby's replication. Raise `dump.maxReplicaLag`, or back up another server.";
    /// Tables were created or dropped in each attempt to lock all tables.
    SchemaChanging = Some(14), "Change the schedule so that backups do not run at the same time as migrations or jobs that create and drop tables.";
    /// The session that locks the tables and exports the snapshot ended too early, or the server cancelled it because of a deadlock or a conflict with recovery on a standby, in each of five rounds (lock, snapshot, dump).
    HoldLost = Some(15), "Find the cause in the server's log: a failover, an administrator who ended the session, or a timeout of idle sessions.";
    /// pg_dump or pg_dumpall failed.
    DumpFailed = Some(16), "Check the error of `pg_dump` or `pg_dumpall`, and the server's log of the same time.";
    /// A read from the store, or a write to it, failed.
    StoreFailed = Some(17), "Check the volume (its server, disk and mount options) or the object store.";
    /// The object store does not answer, or its host name cannot be resolved to an address.
    StoreUnreachable = Some(19), "Check the store's `endpoint`, that the store runs, and that network policies allow connections from backup pods to it.";
    /// The HTTP proxy between the pod and the object store refuses the connection or does not answer.
    ProxyFailed = Some(24), "Check the proxy's address and its rules, or exclude the store's host with `NO_PROXY`.";
    /// The clocks of the store and of the node differ too much for signed requests.
    ClockSkew = Some(23), "Correct the node's clock. The node needs a time service (NTP).";
    /// The stored bytes differ from those that were written.
    ChecksumMismatch = Some(20), "Check the storage: its disk, its controller and the memory of the node.";
    /// A new archive, or in a scrub a stored archive with unchanged bytes, cannot be read to its end.
    ArchiveUnreadable = Some(21), "If it happens again, check the storage and the memory of the node.";
    /// The new archive can be read but lacks an object or rows that the database has.
    ContentMismatch = Some(22), "Report it as a bug with the pod's log. `pg_dump` should not leave anything out.";
    /// The run was stopped or killed, for example because its node was drained or its Job was deleted.
    Interrupted = Some(30), "If the node was not drained, read the events of the pod and its node.";
    /// The pod ran out of memory.
    OutOfMemory = Some(31), "Raise the memory limit: `job.resources`, or a LimitRange of the namespace. Without a limit, free memory on the node.";
    /// The runner failed because of a bug or of an unexpected environment.
    InternalError = Some(39), "Report it as a bug with the pod's log.";

    /// An argument or an environment variable of the runner is invalid, the image lacks PostgreSQL's client programs or the compression method, or a later version of pgbackup wrote a file.
    InvalidConfiguration = Some(64), "Correct the argument. If the operator wrote it, use the same version of operator and runner.";
    /// The server refuses the role, its password, its certificate or the client's address.
    AuthenticationFailed = Some(65), "Check `userSecretRef`, `passwordSecretRef` and the server's pg_hba.conf. If the server reports \"no encryption\", set `sslMode: require`.";
    /// A TLS connection to the server or to the store fails, or a Secret with a certificate is missing.
    TlsFailed = Some(66), "Check `sslMode`, the host name in the certificate, and the certificate authority in `caSecretRef`.";
    /// A connection pooler answers instead of a PostgreSQL server.
    PoolerNotSupported = Some(67), "Set `postgres.connection` to the address of the server itself. Through a pooler, pg_dump can break the application's sessions.";
    /// The client tools have an older major version than the server.
    ClientTooOld = Some(68), "Set `postgres.version` or `postgres.image` to the server's major version.";
    /// The client tools have a newer major version than the server, which cannot always restore their archives.
    ClientTooNew = Some(69), "Set `postgres.version` or `postgres.image` to the server's major version. To accept the risk, set `dump.allowNewerClient: true`.";
    /// No database matches the policy's patterns, or all matching databases were dropped during the run.
    NoDatabases = Some(70), "Correct `databases.include` and `databases.exclude`, and grant CONNECT to the user.";
    /// A database that `databases.include` lists does not exist or cannot be dumped.
    DatabaseUnavailable = Some(71), "Correct the name in `databases.include`, remove it from `databases.exclude`, or grant CONNECT.";
    /// The user has no permission to read something that the backup needs.
    MissingPrivilege = Some(72), "Grant the permission to the user. `GRANT pg_read_all_data` (PostgreSQL 14 and later) covers tables, schemas and sequences.";
    /// The pod has no permission to read or write the volume, or the volume is read-only.
    StoreNotWritable = Some(73), "Make the volume readable and writable for the user and group of the pods (65532, or `job.runAsUser`). Kubernetes does not change the owner of a hostPath directory.";
    /// The store is full.
    NoSpace = Some(74), "Enlarge the volume or the bucket's quota, or keep fewer backups.";
    /// A name in the database is not valid UTF-8, so its table cannot be locked by name.
    EncodingNotSupported = Some(75), "Rename the table, or create the database again with the encoding of its names.";
    /// The server's lock table has too few entries for a lock on each table.
    LockTableTooSmall = Some(76), "Raise `max_locks_per_transaction` on the server and restart it.";
    /// A table of an extension has rows that pg_dump leaves out, and the policy sets `dump.strictExtensions`.
    ExtensionDataLeftOut = Some(77), "Remove the table from the extension, have the extension mark it with `pg_extension_config_dump`, or set `dump.strictExtensions: false`.";
    /// The object store refuses the credentials or the request.
    StoreAccessDenied = Some(78), "Check the credentials in the policy's Secrets, and that they have permission to list, read and write objects under the prefix.";
    /// The bucket or container does not exist.
    BucketNotFound = Some(79), "Create the bucket, or correct its name, `region` and `endpoint`. pgbackup creates no buckets.";
    /// The bucket is in another region than the one that the policy sets.
    RegionMismatch = Some(82), "Set `storage.s3.region` to the bucket's region.";
    /// The object store moved an object to an archive class, where it cannot be read.
    ObjectArchived = Some(83), "Restore the object in the store, and exclude the repository from the lifecycle rule that archives objects.";
    /// The policy gives no credentials for the bucket, and the platform offers none.
    CredentialsMissing = Some(84), "Set the store's `credentials`, or a `job.serviceAccountName` with workload identity.";

    /// The backup is stored and intact, but it differs too much from earlier ones: far fewer rows or bytes, an emptied table,
    /// another server, or a missing database. Retention ignores it until a person acknowledges it or, for lost rows and
    /// emptied tables, until three more backups in a row have lost rows or emptied tables in the same databases.
    Suspicious = Some(80), "Find the cause before retention deletes older backups. To accept the backup: `kubectl annotate backuppolicy <policy> pgbackup.dev/acknowledged=<backup> --overwrite`.";

    /// The files of a stored backup no longer match its manifest.
    BackupCorrupted = Some(81), "Check the storage: its disk, its controller, and who else can write there. If no newer backup is verified, request a new one.";
    /// The manifest of a stored backup cannot be read or parsed. Its archives may be intact.
    ManifestCorrupted = Some(85), "Check the archives: run `sha256sum -c SHA256SUMS` in the backup's folder, or in a copy of it if the store is a bucket. Check the storage, and request a new backup.";
    /// A file that the manifest of a stored backup lists does not exist.
    FileMissing = Some(86), "Find out who deletes files of the repository (a lifecycle rule, a person), and request a new backup.";
    /// The file with the result of a later check of a stored backup cannot be parsed. The archives are intact.
    CheckFileCorrupted = Some(87), "Delete the check file. The next scrub checks the backup again.";

    /// The image cannot be pulled.
    ImagePullFailed = None, "Correct the image's name, or give the node access to its registry.";
    /// A Secret, or a key in it, does not exist.
    SecretNotFound = None, "Create the Secret with the key in the policy's namespace.";
    /// No node accepted the pod within half a minute.
    Unschedulable = None, "Correct what the scheduler reports about each node, for example too little memory, a taint or a missing volume.";
    /// The pod could not be created, or its container not started: a quota, an admission policy, a volume that cannot be
    /// mounted, a failed init container, or an image that cannot run the runner.
    PodCannotStart = None, "Correct the quota, the admission policy, the image or the volume. The events of the pod show which one is the cause.";
    /// The run took longer than the Job's deadline.
    DeadlineExceeded = None, "Find out what made the run slow, or raise `job.activeDeadlineSeconds`.";
    /// The pod was evicted: its node ran short of a resource, somebody drained it, or a pod of higher priority needed the room.
    Evicted = None, "If the node was not drained, check its memory and its disk.";
    /// The pod's node is gone, does not answer, or has a taint that evicts pods.
    NodeLost = None, "Check the node. If it does not come back, delete its Node object: only then does the run start on another node.";
    /// The pod failed without a report.
    PodFailed = None, "Read the pod's log and the events of its namespace.";
    /// The Job ended or was deleted without a report, so its outcome is unknown.
    ReportLost = None, "Wait for the next run: its report corrects the status. If it happens again, check that the image has a writable /dev/termination-log.";

    /// No backup run has ended yet, and none is overdue.
    AwaitingFirstBackup = None, "Nothing. To start a run now, set the annotation `pgbackup.dev/requested-at`.";
    /// A backup or a scrub was due and none succeeded in time, or the newest successful backup is older than
    /// `objectives.maxAge`.
    Overdue = None, "Check the Jobs and events of the policy: either the CronJob controller started no Job, or a Job does not end.";
    /// No scrub was due yet.
    AwaitingFirstScrub = None, "Nothing.";
    /// The policy is suspended and starts no runs.
    Suspended = None, "To resume, set `suspend: false`.";

    /// The policy is accepted and its objects exist.
    Accepted = None, "Nothing.";
    /// The operator has not processed the policy yet.
    Reconciling = None, "Nothing.";
    /// The schedule or the time zone is invalid.
    InvalidSchedule = None, "Correct the schedule or the time zone.";
    /// A field other than the schedule and the time zone is invalid.
    InvalidSpec = None, "Correct the field.";
    /// The API server rejects an object that the policy needs. The operator retries every minute.
    Refused = None, "Correct what the API server reports, for example a quota, an admission policy or a permission that the operator lacks.";
    /// An object with a name that the policy needs has another owner.
    NameTaken = None, "Rename the policy, or delete the other object.";

    /// Retention works: backups that no rule keeps are removed.
    Pruned = None, "Nothing.";
    /// The policy has no retention rules, so nothing is removed.
    NoRules = None, "Nothing. To remove old backups, set rules in `retention`.";
    /// Retention is a dry run, so nothing is removed.
    DryRun = None, "Check which backups the rules would remove. To remove them, set `retention.dryRun: false`.";
    /// Expired backups could not be removed, or the repository could not be listed.
    PruneFailed = None, "Check the store, and whether the credentials have permission to delete. The new backup is not affected.";
    /// The repository belongs to another policy, or its owner is unknown: backups are stored there, but nothing is removed.
    RepositoryOwnedByOther = None, "Give the policy another volume or path. If no other policy uses the repository, take it over with `storage.adoptFrom`.";
}

impl Reason {
    /// Returns all reasons in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Returns the name in conditions, events, reports and metrics, for example `LockTimeout`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the advice as the hint of a message; `None` if the advice is to do nothing.
    pub fn hint(self) -> Option<String> {
        let advice = self.advice();
        (!advice.starts_with("Nothing")).then(|| advice.replace('`', ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_serialized_and_parsed_by_its_name() {
        for reason in Reason::all() {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert_eq!(reason.to_string().parse(), Ok(reason));
            assert!(reason.meaning().ends_with('.') && reason.advice().ends_with('.'), "{reason}");
        }
    }

    #[test]
    fn every_failure_reason_has_a_hint_and_verified_has_none() {
        assert_eq!(Reason::Verified.hint(), None);
        assert_eq!(Reason::Suspended.hint().as_deref(), Some("To resume, set suspend: false."));
        for reason in Reason::all().filter(|reason| reason.exit_code().is_some_and(|code| code > 0)) {
            assert!(reason.hint().is_some(), "{reason}: a failure needs a hint");
        }
    }

    #[test]
    fn reason_texts_do_not_refer_to_another_message() {
        for reason in Reason::all() {
            let text = format!("{} {}", reason.meaning(), reason.advice());
            assert!(!text.contains("message"), "{reason}: {text}");
        }
    }
}
