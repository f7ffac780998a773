//! The environment variables of a bucket: which of them each client uses, and whether their values are
//! usable.

use domain::invocation::variable;

use super::{error::StoreError, location::Kind, target::Variables};

/// Environment variables as pairs of name and value.
pub type Pairs = Vec<(String, String)>;

/// Returns the prefix of the variables that the cloud's own tools read, and the names of those that are
/// credentials.
const fn names(kind: Kind) -> (&'static str, &'static [&'static str]) {
    match kind {
        Kind::S3 => {
            ("AWS_", &[variable::AWS_ACCESS_KEY_ID, variable::AWS_SECRET_ACCESS_KEY, "AWS_SESSION_TOKEN"])
        }
        Kind::Gcs => ("GOOGLE_", &[variable::GOOGLE_SERVICE_ACCOUNT_KEY, "GOOGLE_APPLICATION_CREDENTIALS"]),
        Kind::Azure => ("AZURE_", &[variable::AZURE_STORAGE_ACCOUNT_KEY, variable::AZURE_STORAGE_SAS_TOKEN]),
    }
}

/// Returns the store's variables with trimmed values: `echo` appends a line break to a Secret's value.
/// Returns an error for a value that cannot be in an HTTP header, because it would crash the client.
pub fn checked(kind: Kind, variables: &Variables) -> Result<Pairs, StoreError> {
    let (prefix, _) = names(kind);
    let is_ours =
        |name: &str| name.strip_prefix(variable::PGBACKUP_PRUNE).unwrap_or(name).starts_with(prefix);
    let ours = variables.iter().filter(|(name, _)| is_ours(name));
    // Google's key is JSON, which may contain line breaks.
    let is_sound = |value: &str| kind == Kind::Gcs || value.chars().all(|c| matches!(c, ' '..='~'));
    let trimmed = ours.map(|(name, value)| match value.trim() {
        value if is_sound(value) => Ok((name.to_owned(), value.to_owned())),
        value if value.contains(['\n', '\r']) => Err(invalid(format!("{name} contains a line break"))),
        _ => Err(invalid(format!("{name} contains a character that is not printable ASCII"))),
    });
    trimmed.collect()
}

fn invalid(message: String) -> StoreError {
    StoreError::Configuration(message.into())
}

/// Returns the variables for all requests except removals.
pub fn own(kind: Kind, variables: &[(String, String)]) -> Pairs {
    let (prefix, _) = names(kind);
    variables.iter().filter(|(name, _)| name.starts_with(prefix)).cloned().collect()
}

/// Returns the variables for removals; `None` if there are no separate credentials for removals.
pub fn for_removals(kind: Kind, variables: &[(String, String)]) -> Option<Pairs> {
    let (prefix, credentials) = names(kind);
    let given: Vec<_> = variables
        .iter()
        .filter_map(|(name, value)| {
            Some((name.strip_prefix(variable::PGBACKUP_PRUNE)?.to_owned(), value.clone()))
        })
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    if given.is_empty() {
        return None;
    }
    let mut all = own(kind, variables);
    all.retain(|(name, _)| !credentials.contains(&name.as_str()));
    all.extend(given);
    Some(all)
}

#[cfg(test)]
mod tests {
    use domain::reason::Reason;

    use super::*;

    fn pairs(variables: Vec<(&str, &str)>) -> Pairs {
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn prune_credentials_replace_only_the_store_credentials() {
        let variables = pairs(vec![
            ("AWS_ACCESS_KEY_ID", "writer"),
            ("AWS_SECRET_ACCESS_KEY", "w"),
            ("AWS_SESSION_TOKEN", "t"),
            ("AWS_REGION", "eu-central-1"),
            ("PGBACKUP_PRUNE_AWS_ACCESS_KEY_ID", "pruner"),
            ("PGBACKUP_PRUNE_AWS_SECRET_ACCESS_KEY", "p"),
            ("PGPASSWORD", "x"),
        ]);
        let mut removals = for_removals(Kind::S3, &variables).unwrap();
        removals.sort();
        let wanted = vec![
            ("AWS_ACCESS_KEY_ID", "pruner"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_SECRET_ACCESS_KEY", "p"),
        ];
        assert_eq!(removals, pairs(wanted));
        assert_eq!(own(Kind::S3, &variables).len(), 4);
        assert_eq!(for_removals(Kind::Gcs, &variables), None);
    }

    #[test]
    fn store_credentials_are_trimmed_and_must_be_printable() {
        let variables = [("AWS_ACCESS_KEY_ID", " key\n"), ("AWS_REGION", "eu\r\n")].into();
        let wanted = pairs(vec![("AWS_ACCESS_KEY_ID", "key"), ("AWS_REGION", "eu")]);
        assert_eq!(checked(Kind::S3, &variables).unwrap(), wanted);
        for (name, key, problem) in [
            ("AWS_ACCESS_KEY_ID", "one\ntwo", "contains a line break"),
            ("AWS_ACCESS_KEY_ID", "ключ", "contains a character that is not printable ASCII"),
            ("PGBACKUP_PRUNE_AWS_ACCESS_KEY_ID", "one\ntwo", "contains a line break"),
        ] {
            let error = checked(Kind::S3, &[(name, key)].into()).unwrap_err();
            assert_eq!(error.reason(), Reason::InvalidConfiguration);
            assert_eq!(
                error.to_string(),
                format!("invalid configuration of the object store: {name} {problem}")
            );
            assert!(!error.to_string().contains(key), "{error}");
        }
    }
}
