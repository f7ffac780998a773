//! Finds values of Secrets that end with a line break. `echo` appends one, and the server then rejects the
//! value.

use domain::invocation::variable;

/// The checked values: libpq's variable, its name in messages, and the policy's field.
const VALUES: [(&str, &str, &str); 2] = [
    (variable::PGUSER, "user name", "postgres.connection.userSecretRef"),
    (variable::PGPASSWORD, "password", "postgres.connection.passwordSecretRef"),
];

/// A value of a Secret that ends with a line break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineBreak {
    pub what: &'static str,
    field: &'static str,
}

impl LineBreak {
    pub fn hint(&self) -> String {
        format!(
            "Store the value in the Secret of {} without a line break: kubectl create secret generic --from-literal, or printf instead of echo.",
            self.field
        )
    }
}

/// Returns the first value that ends with a line break. `variable` returns the value of an environment
/// variable.
pub fn find(variable: impl Fn(&str) -> Option<String>) -> Option<LineBreak> {
    let ends = |name: &str| variable(name).is_some_and(|value| value.ends_with(['\n', '\r']));
    let (_, what, field) = VALUES.into_iter().find(|(name, ..)| ends(name))?;
    Some(LineBreak { what, field })
}

/// Removes the line break from the quoted user name in a message, which would otherwise show `user "postgres;
/// "`.
pub fn shown(message: &str, user: &str) -> String {
    let trimmed = user.trim_end_matches(['\n', '\r']);
    message.replace(&format!("\"{user}\""), &format!("\"{trimmed}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_line_break_in_a_connection_value_is_found() {
        let with = |name: &'static str, value: &'static str| {
            find(move |variable| (variable == name).then(|| value.to_owned())).map(|found| found.what)
        };
        assert_eq!(with("PGUSER", "postgres\n"), Some("user name"));
        assert_eq!(with("PGPASSWORD", "s3cret\r\n"), Some("password"));
        assert_eq!(with("PGUSER", "postgres"), None);
        let hint = find(|_| Some("x\n".to_owned())).unwrap().hint();
        assert!(
            hint.starts_with("Store the value in the Secret of postgres.connection.userSecretRef"),
            "{hint}"
        );
    }

    #[test]
    fn error_shows_the_user_name_without_its_line_break() {
        let message = "FATAL:  password authentication failed for user \"postgres\n\"";
        let wanted = "FATAL:  password authentication failed for user \"postgres\"";
        assert_eq!(shown(message, "postgres\n"), wanted);
    }
}
