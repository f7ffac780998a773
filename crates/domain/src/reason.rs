//! Why a run ended as it did: a closed set of words, used alike in reports, conditions, events and metrics.
//!
//! A word says what happened; whether a retry is worth it follows from the word and decides the exit code.
//! `docs/reference/reasons.md` is written from this file (a test holds the two together).

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

macro_rules! reasons {
    ($($(#[doc = $meaning:literal])+ $name:ident = $code:expr, $advice:literal;)+) => {
        /// The reason words. The number is the runner's exit code; reasons that only the operator can see
        /// (the runner never ran, or could not speak) have none.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Display, EnumIter,
            EnumString, IntoStaticStr,
        )]
        pub enum Reason { $($(#[doc = $meaning])+ $name,)+ }

        impl Reason {
            /// The runner's exit code: 0 success; 10 to 39 worth a retry; 64 to 95 not.
            pub const fn exit_code(self) -> Option<u8> {
                match self { $(Self::$name => $code,)+ }
            }

            /// What it means, in a sentence or two.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($meaning),+).trim_ascii(),)+ }
            }

            /// What a person should do about it.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)+ }
            }
        }
    };
}

reasons! {
    /// The backup was read back from the store and found whole.
    Verified = Some(0), "Nothing.";

    /// The stored bytes are those that were written; the policy asks for no more (`verification.level: Checksum`).
    Stored = Some(0), "Nothing; or backup `verification.level: Archive` to know that the backup can be read.";

    /// The server did not answer on that host and port.
    Unreachable = Some(10), "Check host, port, that the server runs, and network policies between the backup pod and the server.";
    /// The host's name has no address.
    NameNotResolved = Some(11), "Check `postgres.connection.host`: a Service in another namespace needs `<service>.<namespace>.svc`.";
    /// The server answers but takes no new session now: starting, shutting down, or out of connections.
    ServerNotReady = Some(12), "Wait, or raise `max_connections`.";
    /// A table's lock was held by another session longer than the lock timeout, at every try.
    LockTimeout = Some(13), "End or move the session that the message names; backups need ACCESS SHARE, which only ACCESS EXCLUSIVE blocks.";
    /// The standby is further behind its primary than the policy allows.
    ReplicaStale = Some(18), "Look at the standby's replication; grant `pg_read_all_stats` where the message asks for it; or raise `dump.maxReplicaLag`, or back up another server.";
    /// Tables were created or dropped at every try to hold them.
    SchemaChanging = Some(14), "Move the schedule away from migrations or jobs that create and drop tables.";
    /// The session that holds the tables ended before pg_dump had its snapshot and its own locks, at every try.
    HoldLost = Some(15), "Look in the server's log for why the session was ended (failover, an administrator, an idle-session killer).";
    /// pg_dump or pg_dumpall ended with an error.
    DumpFailed = Some(16), "Act on the tool's own words in the message.";
    /// The store failed while it was read or written.
    StoreFailed = Some(17), "Check the volume (its server, its disk, its mount options) or the object store; the words are its own.";
    /// The object store does not answer, or its host has no address.
    StoreUnreachable = Some(19), "Check `endpoint`, that the store runs, and network policies between the backup pod and the store.";
    /// The store's clock and the node's differ too much for signed requests.
    ClockSkew = Some(23), "Set the node's clock right: it needs a time service (NTP).";
    /// The stored bytes are not those that were written.
    ChecksumMismatch = Some(20), "Suspect the storage: check the disk, its controller and the memory of the node. The bad backup was removed.";
    /// The archive cannot be read to its end.
    ArchiveUnreadable = Some(21), "If it comes again, suspect storage or memory; the words are pg_restore's.";
    /// The archive is sound but lacks something that the database has.
    ContentMismatch = Some(22), "The message names what is missing; please report it, since pg_dump should not leave it out.";
    /// The run was told to stop (a drained node, a deleted Job) or was killed.
    Interrupted = Some(30), "Nothing, if the node was drained.";
    /// Something that should never happen.
    InternalError = Some(39), "Please report it with the pod's log.";

    /// The runner was started with arguments it cannot work with.
    InvalidConfiguration = Some(64), "Correct what the message names.";
    /// The server refused the user or the password.
    AuthenticationFailed = Some(65), "Check `userSecretRef` and `passwordSecretRef`, the server's pg_hba.conf, and `sslMode` where the server says \"no encryption\".";
    /// An encrypted connection could not be made as asked.
    TlsFailed = Some(66), "Check `sslMode` against what the server offers, the host against its certificate, and the CA in `caSecretRef`.";
    /// A connection pooler answered instead of a PostgreSQL server.
    PoolerNotSupported = Some(67), "Give the server's own address: through a pooler pg_dump can break the application's sessions.";
    /// The client tools are older than the server.
    ClientTooOld = Some(68), "Set `postgres.version` (or the image) to the server's major version.";
    /// The client tools are newer than the server: their archives may not restore into it.
    ClientTooNew = Some(69), "Set `postgres.version` (or the image) to the server's major version; `dump.allowNewerClient: true` takes the risk.";
    /// No database matches.
    NoDatabases = Some(70), "Check `databases.include` and `databases.exclude`, and that the user may CONNECT.";
    /// A database that `include` names does not exist or cannot be dumped.
    DatabaseUnavailable = Some(71), "Correct its name, take it out of `databases.exclude`, or grant CONNECT; the message says which and why.";
    /// A name in the database is not valid UTF-8, so its table cannot be locked by name.
    EncodingNotSupported = Some(75), "Rename what the message names, or give the database the encoding that its names are in.";
    /// A table that belongs to an extension holds rows that pg_dump leaves out, and the policy is strict about it.
    ExtensionDataLeftOut = Some(77), "Take the table out of the extension, or let its author mark it by `pg_extension_config_dump`; or backup `dump.strictExtensions: false`.";
    /// The server's table of locks has no room for a lock on each table.
    LockTableTooSmall = Some(76), "Raise `max_locks_per_transaction` on the server; it needs a restart.";
    /// The user may not read something that the backup needs.
    MissingPrivilege = Some(72), "Grant what the message names, for example `GRANT pg_read_all_data TO <user>` (PostgreSQL 14 and later).";
    /// The store refuses to be written.
    StoreNotWritable = Some(73), "Make the volume writable for user and group 65532 (hostPath volumes keep the directory's owner).";
    /// The object store refuses the credentials, or what they ask for.
    StoreAccessDenied = Some(78), "Check the Secrets of the store's credentials, and that they may list, read and write below the prefix.";
    /// The bucket or container does not exist.
    BucketNotFound = Some(79), "Create it, or correct its name, its region and the endpoint: pgbackup makes no buckets.";
    /// The store is full.
    NoSpace = Some(74), "Enlarge the volume (or the bucket's quota), or keep fewer backups.";

    /// The backup is stored and whole, but not like those before it: far fewer rows, an empty table, another server, a
    /// missing database. It counts for nothing until that is settled.
    Suspicious = Some(80), "Find out what happened before older backups expire. If all is as it should be: `kubectl annotate backuppolicy <policy> pgbackup.dev/acknowledged=<backup> --overwrite`.";

    /// A backup that was whole when it was stored is not what was written any more: a scrub found it.
    BackupCorrupted = Some(81), "Suspect the storage (its disk, its controller, who else may write there); ask for a new backup now if the backup was the newest, since a corrupted one counts for nothing.";

    /// The image cannot be pulled.
    ImagePullFailed = None, "Correct the image's name, or give the node access to its registry.";
    /// A Secret, or a key in it, does not exist.
    SecretNotFound = None, "Create the Secret that the message names, in the policy's namespace.";
    /// No node has taken the pod for half a minute.
    Unschedulable = None, "Act on the scheduler's words: most often a volume claim does not exist or is not bound.";
    /// The pod could not be made, or its container not be created or started: a quota, an admission policy, a volume that
    /// cannot be mounted.
    PodCannotStart = None, "Act on the words of the kubelet or the API server.";
    /// The pod ran out of memory.
    OutOfMemory = Some(31), "Raise the limit that a LimitRange of the namespace backups, or free memory on the node.";
    /// The run took longer than the Job's deadline.
    DeadlineExceeded = None, "Find out what made it slow; the message names the stage it was in.";
    /// The pod was evicted: by its node, by somebody who drained it, or for a pod of higher priority.
    Evicted = None, "Nothing, if the node was drained; else act on the words: most often the node ran short of memory or disk.";
    /// The pod's node is gone, does not answer, or was given a taint that drives pods away.
    NodeLost = None, "Look at the node; if it does not come back, delete its Node object: only then is the run tried on another one.";
    /// The pod failed and said nothing of use.
    PodFailed = None, "Look at the pod, if it is still there, and at the events of its namespace.";
    /// The Job ended or vanished and left no report: what it did is not known.
    ReportLost = None, "Nothing by hand: the next run's report repairs the status. The image needs a writable /dev/termination-log.";

    /// No run was due yet.
    AwaitingFirstBackup = None, "Nothing; or ask for one now with the annotation `pgbackup.dev/requested-at`.";
    /// A run was due, and no verified backup came of it in time.
    Overdue = None, "Look at the policy's Jobs and events: the CronJob controller did not start one, or it hangs.";
    /// No scrub was due yet.
    AwaitingFirstScrub = None, "Nothing.";
    /// The policy is suspended: no backups are taken.
    Suspended = None, "Set `suspend: false` to go on.";

    /// The policy is accepted and its objects are in place.
    Accepted = None, "Nothing.";
    /// The policy was not looked at yet.
    Reconciling = None, "Nothing.";
    /// The schedule or the time zone cannot work.
    InvalidSchedule = None, "Correct it as the message says.";
    /// Another field of the policy cannot work.
    InvalidSpec = None, "Correct it as the message says.";
    /// The API server refuses an object that the policy needs.
    Refused = None, "Read its words in the message: most often a quota, an admission policy, or a right that the operator lacks. It is tried again every minute.";
    /// An object of the name that the policy needs belongs to somebody else.
    NameTaken = None, "Rename the policy, or delete the object that the message names.";

    /// Old backups are removed as the rules say.
    Pruned = None, "Nothing.";
    /// The policy has no rules: nothing is removed.
    NoRules = None, "Nothing; or backup `retention`.";
    /// The policy's retention is a dry run: nothing is removed.
    DryRun = None, "Read in the message what the rules would remove; backup `retention.dryRun: false` to let them.";
    /// Old backups could not be removed.
    PruneFailed = None, "Read the message; the backup itself is not touched by it.";
    /// The store's folder belongs to another policy: backups are taken, nothing is removed.
    RepositoryOwnedByOther = None, "Give the policy another volume or path; or, if no other policy uses the folder any more, take it over with the line in the message.";
}

impl Reason {
    /// All reasons, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The name in conditions, events, reports and metrics: `LockTimeout`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The reason of a runner's exit code; `None` for a code that the runner never returns. 101 is Rust's code for a panic.
    pub fn from_exit_code(code: i32) -> Option<Self> {
        match u8::try_from(code).ok()? {
            0 => Some(Self::Verified),
            101 => Some(Self::InternalError),
            code => Self::all().find(|reason| reason.exit_code() == Some(code)),
        }
    }

    /// The advice as a message's hint; `None` where there is nothing to do.
    pub fn hint(self) -> Option<&'static str> {
        Some(self.advice()).filter(|advice| !advice.starts_with("Nothing"))
    }

    /// Whether the same run may succeed a little later.
    pub const fn retriable(self) -> bool {
        matches!(self.exit_code(), Some(10..=39))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn exit_codes_are_in_the_ranges_that_the_jobs_failure_policy_knows() {
        let codes: Vec<u8> = Reason::all().filter_map(Reason::exit_code).collect();
        assert!(codes.iter().all(|c| matches!(c, 0 | 10..=39 | 64..=95)), "{codes:?}");
        let failures: Vec<_> = codes.iter().filter(|code| **code != 0).collect();
        assert_eq!(failures.iter().collect::<BTreeSet<_>>().len(), failures.len(), "each means one thing");
    }

    #[test]
    fn reason_is_written_and_parsed_as_its_name() {
        for reason in Reason::all() {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert_eq!(reason.to_string().parse(), Ok(reason));
            assert!(reason.meaning().ends_with('.') && reason.advice().ends_with('.'), "{reason}");
        }
    }

    #[test]
    fn every_exit_code_maps_back_to_its_reason() {
        let failures = Reason::all().filter_map(|reason| Some((reason, reason.exit_code()?)));
        for (reason, code) in failures.filter(|(_, code)| *code > 0) {
            assert_eq!(Reason::from_exit_code(code.into()), Some(reason));
        }
        assert_eq!(Reason::from_exit_code(0), Some(Reason::Verified));
        assert_eq!(Reason::from_exit_code(101), Some(Reason::InternalError), "a panic");
        for code in [1, 2, 137, 256 + 30, -1] {
            assert_eq!(Reason::from_exit_code(code), None, "{code}");
        }
    }
}
