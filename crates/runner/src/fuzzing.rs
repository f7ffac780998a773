//! Functions for the fuzz targets. Each parses untrusted bytes and returns the result.

use std::path::Path;

use clap::Parser as _;
use domain::{reason::Reason, report::ScrubDetails};
use serde_json::json;

use crate::{
    args::{Cli, Command},
    pg::{blocker::Blocker, tool_error::ToolError},
    plan,
    scrub::{self, tally::Tally},
    store::{self, Repository, StoreError, Target},
};

/// Returns the reason and the message for an error response of an object store.
pub fn store_answer(status: u16, body: &str) -> (Reason, String) {
    let error = refusal(status, body);
    (error.reason(), error.to_string())
}

/// Returns the error for an error response of an object store.
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

/// Returns the reason and the message for a client program that failed with this standard error.
pub fn tool_error(stderr: &str) -> (Reason, String) {
    let error = ToolError::new("pg_dump", stderr);
    (error.reason(Reason::DumpFailed), error.to_string())
}

/// Returns the message about a blocking session that runs this query.
pub fn query(query: &str) -> Option<String> {
    let blocker = json!({"who": "", "table": "", "seconds": 0, "query": query});
    serde_json::from_value::<Blocker>(blocker).ok().map(|blocker| blocker.to_string())
}

/// Parses `repository.json` and formats it again; `None` if it is invalid.
pub fn owner_marker(text: &str) -> Option<String> {
    store::rewritten(text)
}

/// Returns the output of `plan --backups` for a list of backups in JSON; `None` if the list or an argument is
/// invalid.
pub fn planned(backups: &str, arguments: &[&str]) -> Option<String> {
    let line = ["pgbackup-runner", "plan", "--backups=-", "--output=json"].iter().chain(arguments);
    let Ok(Command::Plan(args)) = Cli::try_parse_from(line).map(|cli| cli.command) else { return None };
    plan::planned(backups, &args).ok()
}

/// Scrubs the repository `shop/nightly` in this folder. Returns the numbers of intact, corrupted and
/// unchecked backups; `None` if the repository cannot be read.
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
