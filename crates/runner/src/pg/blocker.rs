//! The session in the way of a lock: who it is, what it does and for how long. Its query goes into the report
//! without its values, which are the application's data.

use std::{fmt, time::Duration};

use serde::Deserialize;

use super::{
    session::{Session, SessionError},
    tools::Tools,
};

/// How much of a query goes into a message, in characters.
const QUERY_MAX: usize = 120;

/// How long the session that holds the tables may be asked while others wait behind it.
const PATIENCE: Duration = Duration::from_secs(1);

/// A session that holds or awaits an ACCESS EXCLUSIVE lock, the only one that keeps ACCESS SHARE out.
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
        write!(f, "{table} is locked or awaited by {who}, whose transaction is {seconds} s old: ")?;
        match query {
            Some(query) => f.write_str(&without_values(query)),
            None => f.write_str("COMMIT PREPARED or ROLLBACK PREPARED ends it"),
        }
    }
}

/// A prepared transaction holds locks and has no process; its lock on its own number tells which one it is. The one
/// that has its lock comes before those that wait for theirs.
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

/// Who is in the way, as far as can be seen just after; nobody, if it cannot be asked.
pub async fn seen_afterwards(tools: &Tools, database: &str) -> Option<Blocker> {
    let mut session = Session::open(tools, database).ok()?;
    let blocker = ask(&mut session).await;
    session.close().await;
    blocker.ok().flatten()
}

/// The same from the session that holds the tables, while it still does: whoever waits behind it is gone the moment
/// it ends, so the answer may not take long.
pub async fn seen_by(session: &mut Session) -> Option<Blocker> {
    tokio::time::timeout(PATIENCE, ask(session)).await.ok()?.ok().flatten()
}

async fn ask(session: &mut Session) -> Result<Option<Blocker>, SessionError> {
    Ok(session.rows(BLOCKERS).await?.pop())
}

/// A query's text on one line with `?` for each text and number in it, cut to what a message can hold.
fn without_values(query: &str) -> String {
    let mut shown = String::new();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let in_word = shown.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        // Comments are left out and names shown as they are: an apostrophe in one begins no value.
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

/// The bytes of the text literal that `rest` begins with, its quotes included; all, if it does not end. A doubled
/// quote is no end, as two literals in a row are none either.
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

/// The bytes of the comment that `rest` begins with, `-- ...` or `/* ... */` with others in it; all, if it does not end.
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

/// The bytes of the quoted name that `rest` begins with, its quotes included; a doubled one begins another at once.
fn name_length(rest: &str) -> usize {
    rest[1..].find('"').map_or(rest.len(), |end| end + 2)
}

/// The bytes of the dollar-quoted text that `rest` begins with; `None` if it is a parameter such as `$1`.
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
    fn a_query_is_shown_without_its_values() {
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
    fn a_prepared_transaction_is_told_with_what_ends_it() {
        let blocker =
            Blocker { who: "prepared transaction x".into(), table: "t".into(), seconds: 9, query: None };
        assert_eq!(
            blocker.to_string(),
            "t is locked or awaited by prepared transaction x, whose transaction is 9 s old: COMMIT PREPARED or ROLLBACK PREPARED ends it"
        );
    }
}
