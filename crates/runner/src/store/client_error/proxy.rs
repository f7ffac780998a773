//! The HTTP proxy that the environment variables configure.

use std::fmt;

use super::url::host;

#[derive(Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The name of the environment variable.
    variable: &'static str,
    /// The proxy's URL from the variable, without user name and password.
    url: String,
}

impl Proxy {
    /// Returns the proxy for requests to `server`, a URL such as `https://host:port`; `None` if requests go
    /// directly to the server.
    pub fn of_url(server: &str) -> Option<Self> {
        Self::find(server, |name| std::env::var(name).ok())
    }

    /// Returns the proxy from the same variables, in the same order, as reqwest.
    fn find(server: &str, variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let names = match server.split_once("://")?.0 {
            "https" => ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
            "http" => ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
            _ => return None,
        };
        let set = |name: &'static str| Some((name, variable(name).filter(|value| !value.is_empty())?));
        let (variable_name, value) = names.into_iter().find_map(set)?;
        let bypass = ["NO_PROXY", "no_proxy"].into_iter().find_map(set);
        if bypass.is_some_and(|(_, list)| is_bypassed(host(server), &list)) {
            return None;
        }
        let value = if value.contains("://") { value } else { format!("http://{value}") };
        let parsed = reqwest::Url::parse(&value).ok()?;
        let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
        let url = format!("{}://{}{port}", parsed.scheme(), parsed.host_str()?);
        Some(Self { variable: variable_name, url })
    }

    #[cfg(test)]
    pub fn at(url: &str) -> Self {
        Self { variable: "HTTPS_PROXY", url: url.to_owned() }
    }

    pub fn hint(&self) -> String {
        format!(
            "Check {} in the pod's environment and the rules of the proxy; to bypass the proxy, add the host to NO_PROXY.",
            self.variable
        )
    }
}

/// Returns whether `list`, the value of NO_PROXY, contains the host or a parent domain. If the list has
/// address ranges, an IP address is assumed to be in one of them.
fn is_bypassed(host: &str, list: &str) -> bool {
    let is_address = host.starts_with('[') || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    list.split(',').map(str::trim).any(|entry| {
        let domain = entry.trim_start_matches('*').trim_start_matches('.');
        entry == "*"
            || (is_address && entry.contains('/'))
            || (!domain.is_empty()
                && host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
    })
}

/// Formats the proxy as `http://proxy:3128 (HTTPS_PROXY)`.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.url, self.variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(server: &str, variables: &[(&str, &str)]) -> Option<String> {
        let value =
            |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, v)| (*v).to_owned());
        Proxy::find(server, value).map(|proxy| proxy.to_string())
    }

    #[test]
    fn error_shows_the_proxy_without_its_password() {
        let set = [("HTTPS_PROXY", "http://me:s3cret@proxy.shop:3128/")];
        let shown = found("https://s3.example:443", &set).unwrap();
        assert_eq!(shown, "http://proxy.shop:3128 (HTTPS_PROXY)");
        assert_eq!(found("http://s3.example", &set), None, "of the other scheme");
        let all = [("all_proxy", "proxy:8080")];
        assert_eq!(found("http://s3.example", &all).as_deref(), Some("http://proxy:8080 (all_proxy)"));
    }

    #[test]
    fn host_listed_in_no_proxy_bypasses_the_proxy() {
        for (list, bypassed) in [
            ("minio.shop", true),
            ("localhost, .shop", true),
            ("*.shop", true),
            ("*", true),
            ("hop", false),
            ("other", false),
            ("10.0.0.0/8", false),
        ] {
            let variables = [("HTTPS_PROXY", "http://proxy"), ("NO_PROXY", list)];
            assert_eq!(found("https://minio.shop:9000", &variables).is_none(), bypassed, "{list}");
        }
        let variables = [("HTTPS_PROXY", "http://proxy"), ("NO_PROXY", "10.0.0.0/8")];
        assert_eq!(found("https://10.1.2.3:9000", &variables), None);
    }
}
