//! The parser of connection URIs in libpq's syntax ("Connection URIs" in its documentation), as CloudNativePG
//! and Crunchy's operator write them into Secrets.
//!
//! A URI contains a password, so neither an error nor `Debug` output may contain any part of the URI. If a
//! character of the password is not encoded, even the host or a parameter can be a part of the password.

use std::{collections::BTreeMap, fmt};

use crate::invocation::variable;

/// The supported parameters, and the environment variable of libpq for each.
const PARAMETERS: [(&str, &str); 9] = [
    ("host", variable::PGHOST),
    ("port", variable::PGPORT),
    ("user", variable::PGUSER),
    ("password", variable::PGPASSWORD),
    ("sslmode", variable::PGSSLMODE),
    ("channel_binding", "PGCHANNELBINDING"),
    ("gssencmode", "PGGSSENCMODE"),
    ("krbsrvname", "PGKRBSRVNAME"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
];

/// The parameters that are accepted and ignored, because each run sets its own values.
const OURS: [&str; 4] = ["dbname", "application_name", "fallback_application_name", "connect_timeout"];

/// The values of libpq's `sslmode`, from the least to the most strict.
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// A parsed connection URI: libpq's environment variables and their values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConnectionUri {
    variables: BTreeMap<&'static str, String>,
}

impl fmt::Debug for ConnectionUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// The reason why a connection URI is rejected. The message contains no part of the URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// The URI does not begin with `postgresql://` or `postgres://`.
    #[error("the connection URI does not begin with postgresql:// or postgres://")]
    Scheme,
    /// A percent sign is not followed by two hexadecimal digits, or the decoded text is not UTF-8 or contains
    /// a NUL.
    #[error("the connection URI has an invalid percent-encoding: write a literal % as %25")]
    Encoding,
    /// An IPv6 address has no closing bracket, or is followed by something other than a port.
    #[error("the connection URI has an invalid IPv6 address: write [address] or [address]:port")]
    Brackets,
    /// A port is not a number from 1 to 65535.
    #[error(
        "a port in the connection URI is not a number from 1 to 65535: write / ? # and @ in a password as %2F %3F %23 and %40"
    )]
    Port,
    /// The URI has no host, or a list of hosts has an empty one.
    #[error("the connection URI has no host, or an empty host in its list")]
    NoHost,
    /// A parameter has no value.
    #[error("a parameter of the connection URI has no value: write name=value")]
    Parameter,
    /// pgbackup does not support a parameter of the URI.
    #[error("the connection URI has an unsupported parameter: supported are {}", supported())]
    UnknownParameter,
    /// The `sslmode` is not one of libpq's.
    #[error("the connection URI has an unknown sslmode: write one of {}", SSL_MODES.join(", "))]
    SslMode,
}

fn supported() -> String {
    let supported: Vec<&str> = PARAMETERS.iter().map(|(name, _)| *name).chain(OURS).collect();
    supported.join(", ")
}

impl ConnectionUri {
    /// Parses a URI. Ignores the URI's database, because the policy selects the databases.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let text = text.trim();
        let schemes = ["postgresql://", "postgres://"];
        let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or(UriError::Scheme)?;
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = rest.split_once('/').map_or(rest, |(authority, _database)| authority);
        let mut uri = Self::default();
        let hosts = match authority.rsplit_once('@') {
            Some((user, hosts)) => {
                let (user, password) = user.split_once(':').unwrap_or((user, ""));
                uri.set(variable::PGUSER, decode(user)?);
                uri.set(variable::PGPASSWORD, decode(password)?);
                hosts
            }
            None => authority,
        };
        uri.take_hosts(hosts)?;
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').ok_or(UriError::Parameter)?;
            uri.take_parameter(&decode(name)?, decode(value)?)?;
        }
        if uri.variables.get(variable::PGHOST).is_none_or(|hosts| hosts.split(',').any(str::is_empty)) {
            return Err(UriError::NoHost);
        }
        Ok(uri)
    }

    /// Returns libpq's environment variables. `PGSSLMODE` is the stricter of the URI's `sslmode` and
    /// `ssl_mode`.
    pub fn variables(&self, ssl_mode: &str) -> BTreeMap<&'static str, String> {
        let strictness = |mode: &str| SSL_MODES.iter().position(|known| *known == mode);
        let own = self.variables.get(variable::PGSSLMODE).map_or("", String::as_str);
        let mode = if strictness(own) > strictness(ssl_mode) { own } else { ssl_mode };
        let mut variables = self.variables.clone();
        variables.insert(variable::PGSSLMODE, mode.to_owned());
        variables
    }

    /// Sets a variable, or leaves libpq's default if the value is empty.
    fn set(&mut self, variable: &'static str, value: String) {
        if !value.is_empty() {
            self.variables.insert(variable, value);
        }
    }

    /// Parses a list of hosts and ports, for example `host:port,[::1]:5433`.
    fn take_hosts(&mut self, hosts: &str) -> Result<(), UriError> {
        if hosts.is_empty() {
            return Ok(());
        }
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for host in hosts.split(',') {
            let (name, port) = match host.strip_prefix('[') {
                Some(address) => {
                    let (address, rest) = address.split_once(']').ok_or(UriError::Brackets)?;
                    (
                        address,
                        if rest.is_empty() {
                            ""
                        } else {
                            rest.strip_prefix(':').ok_or(UriError::Brackets)?
                        },
                    )
                }
                None => host.split_once(':').unwrap_or((host, "")),
            };
            names.push(decode(name)?);
            ports.push(valid_port(&decode(port)?)?);
        }
        self.set(variable::PGHOST, names.join(","));
        if ports.iter().any(|port| !port.is_empty()) {
            self.set(variable::PGPORT, ports.join(","));
        }
        Ok(())
    }

    fn take_parameter(&mut self, name: &str, value: String) -> Result<(), UriError> {
        if OURS.contains(&name) {
            return Ok(());
        }
        // libpq accepts `ssl=true` too, for compatibility with other drivers.
        let (name, value) = match (name, value.as_str()) {
            ("ssl", "true") => ("sslmode", "require".to_owned()),
            _ => (name, value),
        };
        if name == "sslmode" && !SSL_MODES.contains(&value.as_str()) {
            return Err(UriError::SslMode);
        }
        if name == "port" {
            value.split(',').try_for_each(|port| valid_port(port).map(drop))?;
        }
        let known = PARAMETERS.iter().find(|(known, _)| *known == name).ok_or(UriError::UnknownParameter)?;
        self.set(known.1, value);
        Ok(())
    }
}

fn valid_port(text: &str) -> Result<String, UriError> {
    let is_port = text.is_empty() || text.parse::<u16>().is_ok_and(|port| port > 0);
    if is_port { Ok(text.to_owned()) } else { Err(UriError::Port) }
}

fn decode(text: &str) -> Result<String, UriError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit =
            || rest.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or(UriError::Encoding);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).map_err(|_| UriError::Encoding)?);
    }
    if bytes.contains(&0) {
        return Err(UriError::Encoding);
    }
    String::from_utf8(bytes).map_err(|_| UriError::Encoding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Result<String, UriError> {
        let variables = ConnectionUri::parse(text)?.variables("prefer");
        let words: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(words.join(" "))
    }

    #[test]
    fn connection_uri_is_parsed_like_libpq() {
        for (text, wanted) in [
            // Formats of CloudNativePG and of Crunchy's operator.
            (
                "postgresql://app:Zx%2F9%40@shop-rw.shop:5432/app",
                "PGHOST=shop-rw.shop PGPASSWORD=Zx/9@ PGPORT=5432 PGSSLMODE=prefer PGUSER=app",
            ),
            (
                "postgresql://hippo:p%5Ba%7D@hippo-primary.db.svc:5432/hippo\n",
                "PGHOST=hippo-primary.db.svc PGPASSWORD=p[a} PGPORT=5432 PGSSLMODE=prefer PGUSER=hippo",
            ),
            ("postgres://db", "PGHOST=db PGSSLMODE=prefer"),
            ("postgres://u@db/?sslmode=verify-full", "PGHOST=db PGSSLMODE=verify-full PGUSER=u"),
            // The stricter of the two modes is used.
            ("postgres://u@db/?sslmode=disable", "PGHOST=db PGSSLMODE=prefer PGUSER=u"),
            ("postgres://u@db/?ssl=true", "PGHOST=db PGSSLMODE=require PGUSER=u"),
            ("postgres://[fd00::1]:5433,b/x", "PGHOST=fd00::1,b PGPORT=5433, PGSSLMODE=prefer"),
            (
                "postgres:///x?host=a,b&port=1,2&user=u&target_session_attrs=any&dbname=y&connect_timeout=9",
                "PGHOST=a,b PGPORT=1,2 PGSSLMODE=prefer PGTARGETSESSIONATTRS=any PGUSER=u",
            ),
            // The password contains an unencoded @: the last @ ends it.
            ("postgres://u:p@ss@db", "PGHOST=db PGPASSWORD=p@ss PGSSLMODE=prefer PGUSER=u"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn invalid_connection_uri_is_rejected_and_not_printed() {
        for (text, wanted) in [
            ("", UriError::Scheme),
            ("host=db password=secret", UriError::Scheme),
            ("jdbc:postgresql://db/?password=secret", UriError::Scheme),
            ("postgres://", UriError::NoHost),
            ("postgres://u:secret@/x", UriError::NoHost),
            ("postgres://a,,b", UriError::NoHost),
            ("postgres://u:secret%2@db", UriError::Encoding),
            ("postgres://u:secret%00@db", UriError::Encoding),
            ("postgres://u:secret%ff@db", UriError::Encoding),
            ("postgres://[::1", UriError::Brackets),
            ("postgres://[::1]5432", UriError::Brackets),
            ("postgres://u:sec/ret@db", UriError::Port),
            ("postgres://db:0", UriError::Port),
            ("postgres://db:70000", UriError::Port),
            ("postgres://u:sec?ret@db", UriError::Port),
            ("postgres://db/?secret", UriError::Parameter),
            ("postgres://db/?sslrootcert=/secret", UriError::UnknownParameter),
            ("postgres://db/?options=-csecret", UriError::UnknownParameter),
            ("postgres://db/?sslmode=secret", UriError::SslMode),
        ] {
            let error = ConnectionUri::parse(text).expect_err(text);
            assert_eq!(error, wanted, "{text}");
            assert!(!error.to_string().contains("sec"), "{text}: {error}");
        }
    }

    #[test]
    fn debug_output_of_connection_uri_hides_values() {
        let uri = ConnectionUri::parse("postgres://user:secret@host").unwrap();
        assert_eq!(format!("{uri:?}"), r#"{"PGHOST", "PGPASSWORD", "PGUSER"}"#);
    }

    proptest! {
        #[test]
        fn connection_uri_parser_never_panics(text in "(postgres://)?[a-z%0-9@:/?&=,\\[\\]é-]{0,40}") {
            if let Ok(uri) = ConnectionUri::parse(&text) {
                prop_assert!(uri.variables("prefer").values().all(|value| !value.contains('\0')));
            }
        }

        #[test]
        fn percent_encoded_user_and_password_are_decoded(user in "\\PC{1,20}", password in "\\PC{1,20}") {
            let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            let uri = format!("postgresql://{}:{}@db", encode(&user), encode(&password));
            let variables = ConnectionUri::parse(&uri).unwrap().variables("prefer");
            prop_assert_eq!(variables.get("PGUSER"), Some(&user));
            prop_assert_eq!(variables.get("PGPASSWORD"), Some(&password));
        }
    }
}
