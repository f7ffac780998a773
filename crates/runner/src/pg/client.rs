//! The version of the client programs in the image.

use super::tools;

/// The version of pg_dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientVersion {
    /// The version as pg_dump prints it, for example `17.6 (Debian 17.6-0+deb13u1)`.
    pub text: String,
    pub major: u32,
}

/// An error: the image has no pg_dump, or `pg_dump --version` prints no version.
#[derive(Debug, thiserror::Error)]
#[error("the image has no usable pg_dump: {0}")]
pub struct NoClientError(String);

/// Runs `pg_dump --version` and returns the version.
pub async fn version() -> Result<ClientVersion, NoClientError> {
    let output = tools::offline("pg_dump").arg("--version").output().await;
    let output = output.map_err(|error| NoClientError(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).ok_or_else(|| NoClientError(format!("pg_dump --version printed {:?}", text.trim())))
}

/// Parses the output of `pg_dump --version`, for example `pg_dump (PostgreSQL) 17.6 (Debian 17.6-0+deb13u1)`.
fn parse(text: &str) -> Option<ClientVersion> {
    let (_, version) = text.trim().split_once("(PostgreSQL) ")?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some(ClientVersion { text: version.to_owned(), major: digits.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_pg_dump_is_parsed() {
        let major = |text| parse(text).map(|version| version.major);
        assert_eq!(major("pg_dump (PostgreSQL) 17.6 (Debian 17.6-0+deb13u1)\n"), Some(17));
        assert_eq!(major("pg_dump (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major("something else"), None);
    }
}
