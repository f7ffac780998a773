//! Finds parts of URLs in the texts of errors.

/// Returns `http://host:port` or `https://host:port` of the first URL in a text.
pub fn server(text: &str) -> Option<&str> {
    let start = text.find("http://").into_iter().chain(text.find("https://")).min()?;
    let url = &text[start..];
    let host = url.find("://")? + "://".len();
    let end = url[host..].find(['/', '?', ' ']).map_or(url.len(), |end| host + end);
    Some(&url[..end])
}

/// Returns the host of `http://host:port`.
pub fn host(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    match rest.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => rest,
    }
}
