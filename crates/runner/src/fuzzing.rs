//! Functions for the fuzz targets: each takes bytes from outside and returns what the runner makes of them.

use std::path::Path;

use clap::Parser as _;
use domain::{reason::Reason, report::ScrubDetails};
use serde_json::json;

use crate::{
    args::{Cli, Command},
    pg::{blocker::Blocker, error::ToolError},
    plan,
    scrub::{self, tally::Tally},
    store::{self, Repository, StoreError, Target},
};

/// The reason and the message of a failed answer of an object store.
pub fn store_answer(status: u16, body: &str) -> (Reason, String) {
    let error = refusal(status, body);
    (error.reason(), error.to_string())
}

/// The error of a failed answer of an object store.
pub fn refusal(status: u16, body: &str) -> StoreError {
    use object_store::Error as Kind;
    let url = "http://127.0.0.1:9000/backups/repository.json".to_owned();
    let text =
        format!("Error performing PUT {url} in 1ms - Server returned non-2xx status code: {status}: {body}");
    let (path, source) = ("repository.json".to_owned(), text.into());
    let source = match status {
        401 => Kind::Unauthenticated { path, source },
        403 => Kind::PermissionDenied { path, source },
        404 => Kind::NotFound { path, source },
        409 => Kind::AlreadyExists { path, source },
        412 => Kind::Precondition { path, source },
        _ => Kind::Generic { store: "S3", source },
    };
    StoreError::Object { action: "write", url, source: Box::new(source) }
}

/// The reason and the message of a client program that failed with this standard error.
pub fn tool_error(stderr: &str) -> (Reason, String) {
    let error = ToolError::new("pg_dump", stderr);
    (error.reason(Reason::DumpFailed), error.to_string())
}

/// The message about a blocking session with this query.
pub fn query(query: &str) -> Option<String> {
    let blocker = json!({"who": "", "table": "", "seconds": 0, "query": query});
    serde_json::from_value::<Blocker>(blocker).ok().map(|blocker| blocker.to_string())
}

/// `repository.json`, parsed and written again; `None` if it is invalid.
pub fn owner_marker(text: &str) -> Option<String> {
    store::rewritten(text)
}

/// The output of `plan --backups` for these backups; `None` if they are invalid.
pub fn planned(backups: &str, arguments: &[&str]) -> Option<String> {
    let line = ["pgbackup-runner", "plan", "--backups=-", "--output=json"].iter().chain(arguments);
    let Ok(Command::Plan(args)) = Cli::try_parse_from(line).map(|cli| cli.command) else { return None };
    plan::planned(backups, &args).ok()
}

/// How many backups of the repository `shop/nightly` in this folder are intact, corrupted, and unchecked; `None` if the
/// repository cannot be read.
pub fn scrubbed(folder: &Path) -> Option<(u32, usize, u32)> {
    let target = Target::folder(folder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let repository = Repository::open_read_only(&target, "shop", "nightly").ok()?;
        let mut tally = Tally::default();
        scrub::read_share(&repository, 100, &mut tally, |_| ()).await.ok()?;
        let mut found = ScrubDetails::default();
        tally.fill(&mut found);
        Some((found.passed, found.corrupted.len(), found.unchecked))
    })
}
