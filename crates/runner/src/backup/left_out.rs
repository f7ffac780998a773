//! Reports the databases that are not in the backup, with one line for each cause.

use std::collections::BTreeMap;

use domain::message;

use crate::{pg::databases::LeftOut, run::Run};

/// The number of databases that a line lists.
const NAMED: usize = 5;

/// Warns about databases that a person may need, and logs the others.
pub fn report(run: &mut Run, databases: &[LeftOut]) {
    for (is_missed, line) in lines(databases) {
        if is_missed { run.warn(line) } else { run.log(line) }
    }
}

fn lines(databases: &[LeftOut]) -> Vec<(bool, String)> {
    let mut by_cause: BTreeMap<(bool, &str), Vec<&str>> = BTreeMap::new();
    for LeftOut { name, why, missed } in databases {
        by_cause.entry((*missed, why)).or_default().push(name);
    }
    let line = |((is_missed, why), names): ((bool, &str), Vec<&str>)| {
        let line = match names.as_slice() {
            [name] => format!("database {name:?} is not in this backup: it {why}"),
            names => format!(
                "{} databases are not in this backup, because each of them {why}: {}",
                names.len(),
                message::list(names.iter().map(|name| format!("{name:?}")), NAMED, "databases")
            ),
        };
        (is_missed, line)
    };
    by_cause.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_databases_are_reported_in_one_line_per_cause() {
        let database = |name: String, why, missed| LeftOut { name, why, missed };
        let mut databases: Vec<LeftOut> =
            (10..71).map(|n| database(format!("t{n}"), "is closed", true)).collect();
        databases.push(database("template1".to_owned(), "is a template", false));
        assert_eq!(
            lines(&databases),
            [
                (false, "database \"template1\" is not in this backup: it is a template".to_owned()),
                (
                    true,
                    "61 databases are not in this backup, because each of them is closed: \
                     \"t10\", \"t11\", \"t12\", \"t13\", \"t14\" and 56 more databases"
                        .to_owned()
                ),
            ]
        );
    }
}
