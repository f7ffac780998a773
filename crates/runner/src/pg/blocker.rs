//! Finds the session that blocks a lock, and describes it by its name, its query and the age of its
//! transaction. Values in the query are replaced, because they are the application's data.

use std::{fmt, time::Duration};

use serde::Deserialize;

use super::{
    session::{Session, SessionError},
    tools::Tools,
};

/// The maximum length of a query in a message, in characters.
const QUERY_MAX: usize = 120;

/// The time limit for the query that finds the blocker. It is short because other sessions wait for the
/// holding session's locks.
const QUERY_TIMEOUT: Duration = Duration::from_secs(1);

/// A session that holds or waits for an ACCESS EXCLUSIVE lock. No other lock conflicts with ACCESS SHARE.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Blocker {
    who: String,
    table: String,
    seconds: u64,
    query: Option<String>,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, table, seconds, query } = self;
        write!(
            f,
            "{who} holds or waits for an exclusive lock on {table} in a transaction that is {seconds} s old"
        )?;
        match query {
            Some(query) => write!(f, ": {}", without_values(query)),
            None => Ok(()),
        }
    }
}

impl Blocker {
    /// Returns a hint that says how to end the blocking transaction.
    pub fn hint(&self) -> String {
        let Self { who, .. } = self;
        if self.query.is_none() {
            return format!("End the {who} with COMMIT PREPARED or ROLLBACK PREPARED.");
        }
        let pid = who.strip_prefix("process ").and_then(|rest| rest.split(' ').next());
        match pid {
            Some(pid) => format!(
                "Wait for the end of that transaction, end it with pg_terminate_backend({pid}), or change the schedule."
            ),
            None => "Wait for the end of that transaction, or change the schedule.".to_owned(),
        }
    }
}

/// Finds the blocker. Sessions that hold the lock come before sessions that wait for it. A prepared
/// transaction has no process; it is identified by the lock on its own transaction id.
const BLOCKERS: &str = r"
SELECT CASE WHEN a.pid IS NULL THEN 'prepared transaction ' || coalesce(p.gid, '?')
            ELSE 'process ' || a.pid || coalesce(' (' || nullif(a.application_name, '') || ')', '') END AS who,
       l.relation::regclass::text AS table,
       greatest(0, extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared, clock_timestamp())))::int8 AS seconds,
       left(a.query, 2000) AS query
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
     LEFT JOIN pg_locks own ON l.pid IS NULL AND own.pid IS NULL AND own.locktype = 'transactionid'
               AND own.virtualtransaction = l.virtualtransaction
     LEFT JOIN pg_prepared_xacts p ON p.transaction = own.transactionid
     JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY l.granted DESC, coalesce(a.xact_start, p.prepared) LIMIT 1";

/// Returns the blocker, queried in a new session after a lock timeout; `None` if it is not found.
pub async fn seen_afterwards(tools: &Tools, database: &str) -> Option<Blocker> {
    let mut session = Session::open(tools, database).ok()?;
    let blocker = ask(&mut session).await;
    session.close().await;
    blocker.ok().flatten()
}

/// Returns the blocker, queried in the session that holds the tables; `None` if it is not found. A new
/// session would be too late: a blocker that waits for this session's locks gets them as soon as this session
/// ends.
pub async fn seen_by(session: &mut Session) -> Option<Blocker> {
    tokio::time::timeout(QUERY_TIMEOUT, ask(session)).await.ok()?.ok().flatten()
}

async fn ask(session: &mut Session) -> Result<Option<Blocker>, SessionError> {
    Ok(session.rows(BLOCKERS).await?.pop())
}

/// Formats a query on one line with at most [`QUERY_MAX`] characters. Each text and number is replaced by
/// `?`.
fn without_values(query: &str) -> String {
    let mut shown = String::new();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let in_word = shown.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        // Comments are removed and quoted names are kept. An apostrophe in them does not begin a text
        // literal.
        if let Some(length) = comment_length(rest) {
            rest = &rest[length..];
            continue;
        }
        if first == '"' {
            let length = name_length(rest);
            shown.extend(rest[..length].chars().map(|c| if c.is_control() { ' ' } else { c }));
            rest = &rest[length..];
            continue;
        }
        let escapes = shown.ends_with(['E', 'e'])
            && !shown[..shown.len() - 1].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        let value = match first {
            '\'' => Some(text_length(rest, escapes)),
            '$' if !in_word => dollar_length(rest),
            '0'..='9' if !in_word => {
                let end = |c: char| !(c.is_ascii_alphanumeric() || c == '.');
                Some(rest.find(end).unwrap_or(rest.len()))
            }
            _ => None,
        };
        if let Some(length) = value {
            shown.push('?');
            rest = &rest[length..];
            continue;
        }
        if !first.is_whitespace() {
            shown.push(first);
        } else if !shown.ends_with(' ') {
            shown.push(' ');
        }
        rest = &rest[first.len_utf8()..];
    }
    let shown = shown.trim();
    match shown.char_indices().nth(QUERY_MAX) {
        Some((cut, _)) => format!("{}...", &shown[..cut]),
        None => shown.to_owned(),
    }
}

/// Returns the length of the text literal at the start of `rest`, with its quotes; the length of `rest` if
/// the literal has no end. A doubled quote does not end the literal. `escapes` is true for `E'...'`, where a
/// backslash escapes a quote.
fn text_length(rest: &str, escapes: bool) -> usize {
    let mut bytes = rest.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if escapes => drop(bytes.next()),
            b'\'' if rest.as_bytes().get(at + 1) == Some(&b'\'') => drop(bytes.next()),
            b'\'' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Returns the length of the comment at the start of `rest`, either `-- ...` or a nested `/* ... */`; the
/// length of `rest` if the comment has no end. `None` if there is no comment.
fn comment_length(rest: &str) -> Option<usize> {
    if rest.starts_with("--") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.starts_with("/*").then_some(())?;
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let two = rest.as_bytes().get(at..at + 2);
        (depth, at) = match two {
            Some(b"/*") => (depth + 1, at + 2),
            Some(b"*/") => (depth - 1, at + 2),
            _ => (depth, at + 1),
        };
        if depth == 0 {
            return Some(at);
        }
    }
    Some(rest.len())
}

/// Returns the length of the quoted name at the start of `rest`, with its quotes. A doubled quote ends it;
/// the rest of the name then counts as another quoted name.
fn name_length(rest: &str) -> usize {
    rest[1..].find('"').map_or(rest.len(), |end| end + 2)
}

/// Returns the length of the dollar-quoted text at the start of `rest`; `None` for a parameter such as `$1`.
fn dollar_length(rest: &str) -> Option<usize> {
    let tag_end = rest[1..].find('$')? + 2;
    let tag = &rest[..tag_end];
    let name = &tag[1..tag_end - 1];
    if name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(|c| c.is_alphanumeric() || c == '_')
    {
        return None;
    }
    Some(rest[tag_end..].find(tag).map_or(rest.len(), |end| tag_end + end + tag.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocking_query_is_shown_without_its_values() {
        for (query, wanted) in [
            ("ALTER TABLE goods\n  ADD c int", "ALTER TABLE goods ADD c int"),
            (
                "UPDATE t1 SET pin = '12''34', n = -12.5e3 WHERE id=7",
                "UPDATE t1 SET pin = ?, n = -? WHERE id=?",
            ),
            (r"SELECT E'a\'secret', 'b\', 'c'", "SELECT E?, ?, ?"),
            ("DO $$ secret $$; DO $x$ a $$ secret $x$", "DO ?; DO ?"),
            ("SELECT $1, a$b, $2", "SELECT $1, a$b, $2"),
            ("SELECT 'cut in the mid", "SELECT ?"),
            ("SELECT $a$ cut", "SELECT ?"),
            ("SELECT 'größe' FROM größe2", "SELECT ? FROM größe2"),
            ("/* don't /* nest */ */ UPDATE u SET pin='s3cret'", "UPDATE u SET pin=?"),
            ("SELECT 1 -- it's\n, 's3cret'", "SELECT ? , ?"),
            ("UPDATE \"o'brien\" SET \"a\"\"b'\" = 's3cret'", "UPDATE \"o'brien\" SET \"a\"\"b'\" = ?"),
            (r"SELECT a LIKE'x\', 's3cret'", "SELECT a LIKE?, ?"),
            ("SELECT 1 /* cut", "SELECT ?"),
            ("DROP TABLE \"two\nlines\"", "DROP TABLE \"two lines\""),
        ] {
            assert_eq!(without_values(query), wanted, "{query}");
        }
        assert_eq!(without_values(&"ä".repeat(500)).chars().count(), QUERY_MAX + 3);
    }

    #[test]
    fn blocking_transaction_is_reported_with_how_to_end_it() {
        let blocker =
            Blocker { who: "prepared transaction x".into(), table: "t".into(), seconds: 9, query: None };
        assert_eq!(
            blocker.to_string(),
            "prepared transaction x holds or waits for an exclusive lock on t in a transaction that is 9 s old"
        );
        assert_eq!(
            blocker.hint(),
            "End the prepared transaction x with COMMIT PREPARED or ROLLBACK PREPARED."
        );
        let query = Some("ALTER TABLE t ADD c int".to_owned());
        let blocker = Blocker { who: "process 7 (app 2)".into(), query, ..blocker };
        assert_eq!(
            blocker.to_string(),
            "process 7 (app 2) holds or waits for an exclusive lock on t in a transaction that is 9 s old: ALTER TABLE t ADD c int"
        );
        assert!(blocker.hint().contains("pg_terminate_backend(7)"), "{}", blocker.hint());
    }
}
