//! Stores and runs that fail during a backup. An incomplete backup must never look complete.

use std::{
    env,
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{invocation::BucketOptions, reason::Reason};
use rustix::{
    fs::inotify,
    process::{Pid, Signal, kill_process},
};

use super::{
    super::{part_size, writer::CommittedBackup},
    contract::{commit, noise, s3, write},
    server::Server,
    wire::{Answer, Wire},
    *,
};

/// The part at which the failure happens. Four parts are sent concurrently, so this one is among the second
/// four.
const PART: usize = 6;

async fn open(target: &Target) -> Repository {
    Repository::open(target, &identity(), None, time("2026-05-03T00:00:00Z")).await.unwrap()
}

/// Returns the number of parts of uncompleted uploads that versitygw keeps.
fn parts(server: &Server) -> usize {
    let folder = server.folder.path().to_str().unwrap();
    let found = Command::new("find").args([folder, "-path", "*/.sgwtmp/multipart/*", "-type", "f"]).output();
    String::from_utf8(found.unwrap().stdout).unwrap().lines().count()
}

/// Asserts that there is only an unfinished backup, and that a later run removes it completely.
async fn leftover_is_cleaned_up(server: &Server, parts_are_left: bool) {
    let mut target = s3(&server.url());
    let repository = open(&target).await;
    let listing = repository.list().await.unwrap();
    assert_eq!((listing.backups.len(), listing.leftovers.as_slice()), (0, [OLD.to_owned()].as_slice()));
    let files = repository.backend.entries(OLD).await.unwrap();
    assert!(files.iter().all(|file| file.name != "shop.dump"), "{files:?}");
    assert_eq!(parts(server) > 0, parts_are_left);
    assert!(!repository.remove_leftover(OLD).await.unwrap(), "its run may be alive");

    target.options.leftover_age = Duration::ZERO;
    assert!(open(&target).await.remove_leftover(OLD).await.unwrap());
    assert_eq!(parts(server), 0, "parts are left");
    assert_eq!(repository.backend.entries(OLD).await.unwrap().len(), 0);
}

#[tokio::test]
async fn store_outage_during_upload_leaves_no_complete_backup() {
    let server = Server::start("s3", &[]);
    let (address, sent) = (server.address, AtomicUsize::new(0));
    let gone = Arc::new(AtomicBool::new(false));
    let is_gone = Arc::clone(&gone);
    let wire = Wire::start(move |request| {
        if request.is_part() && sent.fetch_add(1, Ordering::Relaxed) + 1 == PART {
            gone.store(true, Ordering::Relaxed);
        }
        if gone.load(Ordering::Relaxed) { Answer::HangUp } else { Answer::Of(address) }
    });
    let repository = open(&s3(&wire.url())).await;
    let backup = repository.create_backup(OLD).await.unwrap();
    let mut upload = backup.upload("shop.dump", false, 0).await.unwrap();

    let sending = async {
        for piece in noise(12 * part_size::MIN).chunks(1 << 20) {
            upload.write(piece.to_vec().into()).await?;
        }
        upload.finish().await
    };
    let error = sending.await.unwrap_err();

    assert!(is_gone.load(Ordering::Relaxed));
    assert_eq!(error.reason(), Reason::StoreUnreachable, "{error}");
    assert!(error.to_string().contains(&format!("{OLD}/shop.dump")), "{error}");
    backup.abandon().await.expect_err("the store should be unreachable");
    leftover_is_cleaned_up(&server, true).await;
}

/// The environment variable with the store's URL, for the process that the next test starts.
const UPLOAD_TO: &str = "PGBACKUP_TEST_UPLOAD_TO";

/// The test runs its own program in a second process, and kills that process during the upload.
#[tokio::test]
async fn run_killed_during_upload_leaves_no_complete_backup() {
    const NAME: &str = "store::tests::faults::run_killed_during_upload_leaves_no_complete_backup";
    if let Ok(url) = env::var(UPLOAD_TO) {
        let repository = open(&s3(&url)).await;
        let backup = repository.create_backup(OLD).await.unwrap();
        write(&backup, "shop.dump", &noise(12 * part_size::MIN), 0).await.finish().await.unwrap();
        backup.commit(&manifest(OLD)).await.unwrap();
        return;
    }
    let server = Server::start("s3", &[]);
    let (address, sent) = (server.address, AtomicUsize::new(0));
    let child = Arc::new(AtomicU32::new(0));
    let uploader = Arc::clone(&child);
    let wire = Wire::start(move |request| {
        if request.is_part() && sent.fetch_add(1, Ordering::Relaxed) + 1 == PART {
            let id = i32::try_from(uploader.load(Ordering::Relaxed)).ok().and_then(Pid::from_raw);
            kill_process(id.expect("it should have been started"), Signal::KILL).unwrap();
        }
        Answer::Of(address)
    });
    let mut run = Command::new(env::current_exe().unwrap());
    run.args(["--exact", NAME]).env(UPLOAD_TO, wire.url()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = run.spawn().unwrap();
    child.store(run.id(), Ordering::Relaxed);

    let ended = tokio::task::spawn_blocking(move || run.wait().unwrap()).await.unwrap();

    assert_eq!(ended.signal(), Some(9), "{ended}");
    // Dropping the proxy waits for the requests that were sent.
    drop(wire);
    leftover_is_cleaned_up(&server, true).await;
}

/// The environment variable with the folder of a small file system, for the process of a test.
const SMALL: &str = "PGBACKUP_TEST_SMALL";

/// Runs a test of this file in a separate process with a file system of `size`. Works without root, in a user
/// namespace.
fn again_on_a_small_file_system(test: &str, size: &str) {
    let root = tempfile::tempdir().unwrap();
    let script = format!("mount -t tmpfs -o size={size} none \"$TMPDIR\" && exec \"$@\"");
    let done = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-euc", &script, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", &format!("store::tests::faults::{test}"), "--nocapture"])
        .env(SMALL, root.path())
        .env("TMPDIR", root.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{stdout}{}", String::from_utf8_lossy(&done.stderr));
    assert!(stdout.contains("1 passed"), "{stdout}");
}

#[tokio::test]
async fn volume_full_at_any_step_fails_with_no_space() {
    match env::var(SMALL) {
        Ok(folder) => fill_at_each_step(&folder).await,
        Err(_) => again_on_a_small_file_system("volume_full_at_any_step_fails_with_no_space", "1m"),
    }
}

#[tokio::test]
async fn full_bucket_fails_with_no_space() {
    if env::var(SMALL).is_err() {
        let test = "full_bucket_fails_with_no_space";
        return again_on_a_small_file_system(test, "20m");
    }
    let server = Server::start("s3", &[]);
    let target = s3(&server.url());
    let repository = open(&target).await;
    let backup = repository.create_backup(OLD).await.unwrap();
    let mut upload = backup.upload("shop.dump", false, 0).await.unwrap();
    let sending = async {
        for piece in noise(4 * part_size::MIN).chunks(1 << 20) {
            upload.write(piece.to_vec().into()).await?;
        }
        upload.finish().await
    };
    let error = sending.await.unwrap_err();
    assert_eq!(error.reason(), Reason::NoSpace, "{error}");
    assert!(error.to_string().contains("No space left on device. (InsufficientStorage)"), "{error}");
    backup.abandon().await.unwrap();
    assert_eq!(parts(&server), 0, "parts are left");
    // After the abort there is enough space again.
    commit(&repository, NEW).await;
    assert_eq!(ids(&repository.list().await.unwrap().backups), [NEW]);
}

/// Stores a backup repeatedly, each time with one more page of free space, until it fits.
async fn fill_at_each_step(folder: &str) {
    let target = Target {
        location: folder.parse().unwrap(),
        options: BucketOptions::default(),
        variables: Variables::default(),
    };
    let repository = open(&target).await;
    let filler = format!("{folder}/filler");
    let mut failed = std::collections::BTreeSet::new();
    for pages in 0.. {
        let free = repository.free_bytes().await.unwrap().unwrap();
        let fills = usize::try_from(free - pages * 4096).unwrap();
        fs::write(&filler, vec![1; fills]).unwrap();

        let mut step = "begin";
        let done = match repository.create_backup(OLD).await {
            Ok(backup) => {
                let done = store(&backup, &mut step).await;
                assert_eq!(done.is_ok(), repository.list().await.unwrap().backups.len() == 1, "{step}");
                match done {
                    Ok(committed) => {
                        committed.end().await;
                        Ok(())
                    }
                    Err(error) => {
                        backup.abandon().await.unwrap();
                        Err(error)
                    }
                }
            }
            Err(error) => Err(error),
        };

        fs::remove_file(&filler).unwrap();
        match done {
            Ok(()) => break,
            Err(error) => {
                assert_eq!(error.reason(), Reason::NoSpace, "{step}: {error}");
                let listing = repository.list().await.unwrap();
                for id in &listing.leftovers {
                    assert_eq!(step, "begin", "{listing:?}");
                    assert!(repository.remove_leftover(id).await.unwrap());
                }
                assert_eq!(listing.backups.len() + listing.unreadable.len(), 0, "{step}: {listing:?}");
                failed.insert(step);
            }
        }
    }
    let all = ["dump", "tables", "sums", "log", "manifest"];
    assert!(all.iter().all(|step| failed.contains(step)), "{failed:?}");
}

/// Stores the files of a backup in the same order as a run.
async fn store(backup: &BackupWriter, step: &mut &str) -> Result<CommittedBackup, StoreError> {
    *step = "dump";
    let mut upload = backup.upload("shop.dump", false, 0).await?;
    for piece in noise(20_000).chunks(3000) {
        upload.write(piece.to_vec().into()).await?;
    }
    upload.finish().await?;
    for (name, file) in [("tables", "shop.tables.json"), ("sums", "SHA256SUMS"), ("log", "run.log")] {
        *step = name;
        backup.write(file, &"x".repeat(5000)).await?;
    }
    *step = "manifest";
    backup.clone().commit(&manifest(OLD)).await
}

/// Returns the names of the files that the kernel reports as removed from a folder, in order.
fn removed_from(watch: &rustix::fd::OwnedFd) -> Vec<String> {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 16384];
    let mut events = inotify::Reader::new(watch, &mut buffer);
    let mut names = Vec::new();
    while let Ok(event) = events.next() {
        names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    names
}

#[tokio::test]
async fn removing_a_backup_from_a_volume_deletes_manifest_first() {
    let (root, repository) = repository().await;
    let folder = folder(&root).join(OLD);
    for n in 0..50 {
        fs::write(folder.join(format!("{n}.dump")), "rows").unwrap();
    }
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    inotify::add_watch(&watch, &folder, inotify::WatchFlags::DELETE).unwrap();

    repository.remove_backup(OLD).await.unwrap();

    let removed = removed_from(&watch);
    assert_eq!((removed.len(), removed[0].as_str()), (51, "manifest.json"), "{removed:?}");
}

#[tokio::test]
async fn removing_a_backup_from_a_bucket_deletes_manifest_first() {
    let server = Server::start("s3", &[]);
    let address = server.address;
    let wire = Wire::start(move |request| {
        if request.method == "DELETE" && !request.target.contains("manifest.json") {
            let body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
            return Answer::Is("403 Forbidden", vec![], body.to_owned());
        }
        Answer::Of(address)
    });
    let direct = open(&s3(&server.url())).await;
    commit(&direct, OLD).await;
    for n in 0..20 {
        direct.backend.write(&format!("{OLD}/{n}.dump"), "rows").await.unwrap();
    }
    let repository = open(&s3(&wire.url())).await;

    let error = repository.remove_backup(OLD).await.unwrap_err();

    assert_eq!(error.reason(), Reason::StoreAccessDenied, "{error}");
    let removals = wire.requests(|request| request.method == "DELETE");
    assert!(removals[0].target.contains("manifest.json"), "{removals:?}");
    let listing = repository.list().await.unwrap();
    assert_eq!((listing.backups.len(), listing.leftovers.as_slice()), (0, [OLD.to_owned()].as_slice()));
}

#[tokio::test]
async fn backup_stays_complete_if_manifest_cannot_be_deleted() {
    let server = Server::start("s3", &[]);
    let address = server.address;
    let wire = Wire::start(move |request| {
        if request.method == "DELETE" && request.target.contains("manifest.json") {
            let body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
            return Answer::Is("403 Forbidden", vec![], body.to_owned());
        }
        Answer::Of(address)
    });
    let repository = open(&s3(&wire.url())).await;
    commit(&repository, OLD).await;
    let files = repository.backend.entries(OLD).await.unwrap().len();

    repository.remove_backup(OLD).await.unwrap_err();

    assert_eq!(repository.backend.entries(OLD).await.unwrap().len(), files);
    assert_eq!(ids(&repository.list().await.unwrap().backups), [OLD]);
}
