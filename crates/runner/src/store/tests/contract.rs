//! The rules that every store must follow, tested on a real file system and on real servers of each kind.

use std::time::Duration;

use bytes::Bytes;
use domain::{
    invocation::BucketOptions,
    manifest::{FILE, Manifest, PolicyIdentity},
    reason::Reason,
};

use super::{
    super::{backend::Unfinished, part_size, *},
    NEW, OLD, identity, ids, manifest,
    server::Server,
    time,
};

/// A store under test. Each rule uses its own namespace.
struct Stand {
    target: Target,
    server: Option<Server>,
    rule: &'static str,
}

impl Stand {
    fn policy(&self, uid: &str) -> PolicyIdentity {
        PolicyIdentity { namespace: self.rule.replace(' ', "-"), uid: uid.to_owned(), ..identity() }
    }

    async fn open(&self) -> Repository {
        self.open_as("uid-1", None).await
    }

    async fn open_as(&self, uid: &str, adopt_from: Option<&str>) -> Repository {
        let now = time("2026-05-03T00:00:00Z");
        Repository::open(&self.target, &self.policy(uid), adopt_from, now).await.unwrap()
    }

    /// Asserts that the store has no parts of uncompleted uploads. Only versitygw can be checked, which keeps
    /// them in a folder. The other stores do not list them; Azure deletes them after a week.
    fn has_no_parts(&self) {
        let Some(server) = &self.server else { return };
        let parts = std::process::Command::new("find")
            .args([server.folder.path().to_str().unwrap(), "-path", "*/.sgwtmp/multipart/*", "-type", "f"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(parts.stdout).unwrap(), "", "parts are left");
    }

    /// Opens the store with a leftover age of 0, so that every unfinished backup is old enough to be removed.
    async fn open_later(&self) -> Repository {
        let mut target = self.target.clone();
        target.options.leftover_age = Duration::ZERO;
        Repository::open(&target, &self.policy("uid-1"), None, time("2026-05-03T00:00:00Z")).await.unwrap()
    }
}

/// The user and the secret that `tests/stores/serve` creates.
pub(super) const S3_USER: (&str, &str) = ("pgbackup", "pgbackup-secret");

/// Azurite's documented default account and key.
const AZURE_ACCOUNT: (&str, &str) = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
);

pub(super) fn s3_variables(server: &Server, (user, secret): (&str, &str)) -> Variables {
    [
        ("AWS_ACCESS_KEY_ID", user),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_ENDPOINT_URL", server.url().as_str()),
    ]
    .into()
}

/// Returns pseudorandom bytes (xorshift64).
pub(super) fn noise(size: u64) -> Vec<u8> {
    let next = |state: &u64| {
        let mut state = *state;
        state ^= state << 13;
        state ^= state >> 7;
        Some(state ^ (state << 17))
    };
    let words = std::iter::successors(Some(0x9E37_79B9_7F4A_7C15), next);
    words.flat_map(u64::to_le_bytes).take(usize::try_from(size).unwrap()).collect()
}

/// Writes a file in chunks of about the size that pg_dump's pipe returns.
pub(super) async fn write(backup: &BackupWriter, file: &str, bytes: &[u8], database_bytes: u64) -> Upload {
    let mut upload = backup.upload(file, false, database_bytes).await.unwrap();
    for piece in bytes.chunks(131_072 - 7) {
        upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    upload
}

async fn read(backup: &BackupWriter, file: &str) -> Vec<u8> {
    let mut reader = backup.read(file).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    bytes
}

pub(super) async fn commit(repository: &Repository, id: &str) {
    let backup = repository.create_backup(id).await.unwrap();
    write(&backup, "shop.dump", b"rows", 4).await.finish().await.unwrap();
    backup.commit(&manifest(id)).await.unwrap().end().await;
}

async fn files(repository: &Repository, folder: &str) -> Vec<String> {
    let mut names: Vec<_> =
        repository.backend.entries(folder).await.unwrap().into_iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    names
}

async fn backup_exists_only_with_its_manifest(stand: &Stand) {
    let repository = stand.open().await;
    let backup = repository.create_backup(OLD).await.unwrap();
    write(&backup, "shop.dump", b"rows", 4).await.finish().await.unwrap();
    backup.write("SHA256SUMS", "sums\n").await.unwrap();
    let before = repository.list().await.unwrap();
    assert_eq!((ids(&before.backups), before.leftovers.as_slice()), (vec![], [OLD.to_owned()].as_slice()));
    assert!(!repository.remove_leftover(OLD).await.unwrap(), "its run is alive");

    let committed = backup.commit(&manifest(OLD)).await.unwrap();
    let sha256 = committed.manifest_sha256.clone();
    committed.end().await;

    let after = repository.list().await.unwrap();
    assert_eq!((ids(&after.backups), after.leftovers.len()), (vec![OLD], 0));
    assert_eq!(repository.manifest(OLD).await.unwrap(), (manifest(OLD), sha256));
    assert_eq!(files(&repository, OLD).await, ["SHA256SUMS", "manifest.json", "shop.dump"]);
    assert!(!repository.remove_leftover(OLD).await.unwrap(), "it has a manifest");
}

async fn files_of_all_sizes_are_read_back_unchanged(stand: &Stand) {
    let repository = stand.open().await;
    let backup = repository.create_backup(OLD).await.unwrap();
    // Less than one part; a whole number of parts; more parts than are sent concurrently.
    for (n, size) in [0, 1, 131_072, 2 * part_size::MIN, 7 * part_size::MIN + 1].into_iter().enumerate() {
        // The encoded name of a database that contains a space and a slash.
        let (file, bytes) = (format!("a%20%2F{n}.dump"), noise(size));
        write(&backup, &file, &bytes, size).await.finish().await.unwrap();
        assert!(read(&backup, &file).await == bytes, "{file} of {size} bytes");
    }
    backup.abandon().await.unwrap();
}

async fn upload_parts_grow_with_the_database_size(stand: &Stand) {
    let repository = stand.open().await;
    let backup = repository.create_backup(OLD).await.unwrap();
    // With parts of 8 MiB, 10,000 parts would be too few for three times this size.
    let database_bytes = 10_000 * (part_size::MIN + 1) / 3 + 10_000;
    let bytes = noise(2 * part_size::MIN);
    write(&backup, "shop.dump", &bytes, database_bytes).await.finish().await.unwrap();
    assert!(read(&backup, "shop.dump").await == bytes);
    backup.abandon().await.unwrap();
}

async fn existing_manifest_is_never_overwritten(stand: &Stand) {
    let repository = stand.open().await;
    let one = repository.create_backup(OLD).await.unwrap();
    one.clone().commit(&manifest(OLD)).await.unwrap();
    let other = Manifest { warnings: vec!["another".into()], ..manifest(OLD) };
    let error = one.clone().commit(&other).await.unwrap_err();
    assert!(matches!(error, StoreError::AlreadyThere { .. }), "{error}");
    assert_eq!(repository.manifest(OLD).await.unwrap().0, manifest(OLD), "the first one is kept");
    // A request whose response was lost is repeated, and finds the object that it created itself.
    one.commit(&manifest(OLD)).await.unwrap();
}

async fn unfinished_file_is_not_listed(stand: &Stand) {
    let repository = stand.open().await;
    let backup = repository.create_backup(OLD).await.unwrap();
    for size in [100, 3 * part_size::MIN] {
        let upload = write(&backup, "shop.dump", &noise(size), size).await;
        assert!(!files(&repository, OLD).await.contains(&"shop.dump".to_owned()), "{size} bytes");
        upload.discard().await.unwrap();
        assert!(!files(&repository, OLD).await.contains(&"shop.dump".to_owned()), "{size} bytes");
    }
    backup.abandon().await.unwrap();
    assert_eq!(files(&repository, OLD).await, Vec::<String>::new());
}

async fn abandoned_backup_leaves_no_files(stand: &Stand) {
    let repository = stand.open().await;
    let backup = repository.create_backup(OLD).await.unwrap();
    write(&backup, "one.dump", b"rows", 4).await.finish().await.unwrap();
    // A stopped run drops its upload.
    drop(write(&backup, "two.dump", &noise(3 * part_size::MIN), 0).await);
    backup.abandon().await.unwrap();
    let listing = repository.list().await.unwrap();
    assert_eq!((listing.backups.len(), listing.leftovers.len()), (0, 0));
    stand.has_no_parts();
}

async fn unfinished_backup_is_removed_only_after_its_run_ended(stand: &Stand) {
    let repository = stand.open().await;
    let backup = repository.create_backup(OLD).await.unwrap();
    write(&backup, "one.dump", b"rows", 4).await.finish().await.unwrap();
    drop(write(&backup, "two.dump", &noise(3 * part_size::MIN), 0).await);
    assert!(!repository.remove_leftover(OLD).await.unwrap(), "its run may be alive");
    if let Unfinished::Objects(uploads) = &*backup.unfinished {
        // A dead process sends no more parts.
        uploads.wait_for_parts().await;
    }
    drop(backup);

    let later = stand.open_later().await;
    assert_eq!(later.list().await.unwrap().leftovers, [OLD]);
    assert!(later.remove_leftover(OLD).await.unwrap());

    assert_eq!(files(&later, OLD).await, Vec::<String>::new());
    assert_eq!(later.list().await.unwrap().leftovers, Vec::<String>::new());
    stand.has_no_parts();
}

async fn removing_a_backup_keeps_the_others(stand: &Stand) {
    let repository = stand.open().await;
    commit(&repository, OLD).await;
    commit(&repository, NEW).await;
    repository.remove_backup(OLD).await.unwrap();
    assert_eq!(ids(&repository.list().await.unwrap().backups), [NEW]);
    assert_eq!(files(&repository, OLD).await, Vec::<String>::new());
    repository.remove_backup(OLD).await.expect("removing a missing backup should succeed");
}

async fn corrupted_manifest_is_kept_and_hides_no_other_backup(stand: &Stand) {
    let repository = stand.open().await;
    for id in [OLD, NEW] {
        commit(&repository, id).await;
    }
    repository.backend.write(&format!("{OLD}/{FILE}"), "{").await.unwrap();
    let listing = repository.list().await.unwrap();
    assert_eq!((ids(&listing.backups), listing.leftovers.len()), (vec![NEW], 0));
    assert_eq!((listing.unreadable.len(), listing.unreadable[0].0.as_str()), (1, OLD));
    assert!(!repository.remove_leftover(OLD).await.unwrap(), "a backup with a manifest is no leftover");
    assert_eq!(files(&repository, OLD).await, ["manifest.json", "shop.dump"]);
}

async fn backup_with_corrupted_check_file_is_unreadable(stand: &Stand) {
    let repository = stand.open().await;
    for id in [OLD, NEW] {
        commit(&repository, id).await;
    }
    repository.backend.write(&format!("{NEW}/check-20260503T000000Z.json"), "{").await.unwrap();
    let listing = repository.list().await.unwrap();
    assert_eq!((ids(&listing.backups), listing.unreadable[0].0.as_str()), (vec![OLD], NEW));
}

async fn first_policy_owns_the_repository(stand: &Stand) {
    assert_eq!(stand.open_as("uid-1", None).await.owner, Owner::ThisPolicy);
    assert_eq!(stand.open_as("uid-1", None).await.owner, Owner::ThisPolicy);
    assert_eq!(stand.open_as("uid-2", None).await.owner, Owner::OtherPolicy("uid-1".into()));
}

async fn one_of_two_simultaneous_policies_owns_the_repository(stand: &Stand) {
    let (one, two) = tokio::join!(stand.open_as("uid-1", None), stand.open_as("uid-2", None));
    let wanted = match (&one.owner, &two.owner) {
        (Owner::ThisPolicy, Owner::OtherPolicy(uid)) => uid == "uid-1",
        (Owner::OtherPolicy(uid), Owner::ThisPolicy) => uid == "uid-2",
        _ => false,
    };
    assert!(wanted, "{:?} and {:?}", one.owner, two.owner);
}

async fn adopt_from_takes_over_the_repository(stand: &Stand) {
    stand.open_as("uid-1", None).await;
    let wrong = stand.open_as("uid-2", Some("uid-7")).await;
    assert_eq!((wrong.owner, wrong.adopted), (Owner::OtherPolicy("uid-1".into()), vec![]));
    let right = stand.open_as("uid-2", Some("uid-1")).await;
    assert_eq!((right.owner, right.adopted), (Owner::ThisPolicy, vec!["uid-1".to_owned()]));
    // After the adoption, `adoptFrom` makes no difference.
    for stale in [None, Some("uid-1"), Some("uid-2")] {
        let later = stand.open_as("uid-2", stale).await;
        assert_eq!((later.owner, later.adopted), (Owner::ThisPolicy, vec!["uid-1".to_owned()]));
    }
    assert_eq!(
        stand.open_as("uid-1", None).await.owner,
        Owner::OtherPolicy("uid-2".into()),
        "the old owner has lost it"
    );
}

async fn corrupted_owner_file_does_not_fail_a_run(stand: &Stand) {
    let repository = stand.open().await;
    for corrupted in ["{", ""] {
        repository.backend.write(owner::FILE, corrupted).await.unwrap();
        assert!(matches!(stand.open().await.owner, Owner::Unknown(_)));
    }
}

async fn only_the_newest_run_records_are_kept(stand: &Stand) {
    let repository = stand.open().await;
    for job in ["a", "b", "c", "d"] {
        repository.write_record(job, job).await.unwrap();
    }
    assert_eq!(repository.newest_records(9).await.unwrap(), ["d\n", "c\n", "b\n", "a\n"]);
    assert_eq!(repository.newest_records(2).await.unwrap(), ["d\n", "c\n"]);
    repository.remove_old_records(2).await.unwrap();
    assert_eq!(repository.newest_records(9).await.unwrap(), ["d\n", "c\n"]);
}

async fn simultaneous_runs_do_not_disturb_each_other(stand: &Stand) {
    let (one, two) = (stand.open().await, stand.open().await);
    tokio::join!(commit(&one, OLD), commit(&two, NEW));
    assert_eq!(ids(&one.list().await.unwrap().backups), [OLD, NEW]);
}

/// Runs every listed rule on a store.
macro_rules! rules {
    ($stand:expr; $($rule:ident)*) => {{
        let mut stand: Stand = $stand;
        $(
            stand.rule = stringify!($rule);
            println!("{}", stand.rule);
            $rule(&stand).await;
        )*
    }};
}

macro_rules! every_rule {
    ($stand:expr) => {
        rules!($stand;
            backup_exists_only_with_its_manifest
            files_of_all_sizes_are_read_back_unchanged
            upload_parts_grow_with_the_database_size
            existing_manifest_is_never_overwritten
            unfinished_file_is_not_listed
            abandoned_backup_leaves_no_files
            unfinished_backup_is_removed_only_after_its_run_ended
            removing_a_backup_keeps_the_others
            corrupted_manifest_is_kept_and_hides_no_other_backup
            backup_with_corrupted_check_file_is_unreadable
            first_policy_owns_the_repository
            one_of_two_simultaneous_policies_owns_the_repository
            adopt_from_takes_over_the_repository
            corrupted_owner_file_does_not_fail_a_run
            only_the_newest_run_records_are_kept
            simultaneous_runs_do_not_disturb_each_other
        )
    };
}

/// Returns the target of a bucket of an S3-compatible store at this URL.
pub(super) fn s3(url: &str) -> Target {
    let (user, secret) = S3_USER;
    let variables =
        [("AWS_ACCESS_KEY_ID", user), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_ENDPOINT_URL", url)];
    target("s3://backups/a/b", true, variables.into())
}

/// Returns the target of a bucket of a GCS-compatible store at this URL.
pub(super) fn gcs(url: &str) -> Target {
    let key = serde_json::json!({
        "gcs_base_url": url, "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": "",
    });
    target("gs://backups/a/b", false, [("GOOGLE_SERVICE_ACCOUNT_KEY", key.to_string().as_str())].into())
}

/// Returns the target of a container of an Azure-compatible store at this URL.
pub(super) fn azure(url: &str) -> Target {
    let endpoint = format!("{url}/{}", AZURE_ACCOUNT.0);
    let variables = [
        ("AZURE_STORAGE_ACCOUNT_NAME", AZURE_ACCOUNT.0),
        ("AZURE_STORAGE_ACCOUNT_KEY", AZURE_ACCOUNT.1),
        ("AZURE_STORAGE_ENDPOINT", endpoint.as_str()),
    ];
    target("az://backups/a/b", false, variables.into())
}

pub(super) fn target(location: &str, path_style: bool, variables: Variables) -> Target {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let leftover_age = Duration::from_hours(24);
    let options = BucketOptions { path_style, leftover_age, ..BucketOptions::default() };
    Target { location: location.parse().unwrap(), options, variables }
}

/// Asserts that a missing bucket has the reason BucketNotFound.
async fn missing_bucket_is_reported(target: &Target) {
    let mut elsewhere = target.clone();
    let Location::Bucket { name, .. } = &mut elsewhere.location else { unreachable!("it is a bucket") };
    *name = "elsewhere".to_owned();
    let now = time("2026-05-03T00:00:00Z");
    let error = Repository::open(&elsewhere, &identity(), None, now).await.unwrap_err();
    assert_eq!(error.reason(), Reason::BucketNotFound, "{error}");
}

#[tokio::test]
async fn volume_passes_the_common_store_tests() {
    let root = tempfile::tempdir().unwrap();
    let target = target(root.path().to_str().unwrap(), false, Variables::default());
    every_rule!(Stand { target, server: None, rule: "" });
}

#[tokio::test]
async fn s3_passes_the_common_store_tests() {
    let server = Server::start("s3", &[]);
    let target = s3(&server.url());
    every_rule!(Stand { target, server: Some(server), rule: "" });
}

#[tokio::test]
async fn gcs_passes_the_common_store_tests() {
    let server = Server::start("gcs", &[]);
    let target = gcs(&server.url());
    missing_bucket_is_reported(&target).await;
    every_rule!(Stand { target, server: Some(server), rule: "" });
}

#[tokio::test]
async fn azure_passes_the_common_store_tests() {
    let server = Server::start("azure", &[]);
    let target = azure(&server.url());
    missing_bucket_is_reported(&target).await;
    every_rule!(Stand { target, server: Some(server), rule: "" });
}
