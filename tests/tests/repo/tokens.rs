//! Splits Rust source into tokens, without comments, literals and lifetimes. That is enough to find paths.

/// Returns the names, numbers, `::` and single signs of a file.
pub fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = string(rest).or_else(|| character(rest)) {
            length
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            found.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                found.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// Returns the length of the string literal at the start of the text: `"..."`, `b"..."`, `c"..."` or
/// `r#"..."#`.
fn string(text: &str) -> Option<usize> {
    let prefix = text.len() - text.trim_start_matches(['b', 'c', 'r']).len();
    let raw = text[..prefix].contains('r');
    let hashes = text[prefix..].len() - text[prefix..].trim_start_matches('#').len();
    let start = prefix + hashes;
    if !text[start..].starts_with('"') || (hashes > 0 && !raw) {
        return None;
    }
    let body = &text[start + 1..];
    if raw {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(body.find(&end).map_or(text.len(), |at| start + 1 + at + end.len()));
    }
    let mut escaped = false;
    let end = body.find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    Some(end.map_or(text.len(), |at| start + at + 2))
}

/// Returns the length of the character literal or lifetime at the start of the text.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let first = body.chars().next()?;
    if let Some(escape) = body.strip_prefix('\\') {
        // The escaped character may itself be a quote.
        let skipped = escape.chars().next()?.len_utf8();
        return Some(2 + skipped + escape[skipped..].find('\'')? + 1);
    }
    let after = &body[first.len_utf8()..];
    Some(1 + first.len_utf8() + usize::from(after.starts_with('\'')))
}

#[test]
fn import_check_ignores_comments_and_literals() {
    let text = "use a::{b, c}; // crate::x\nlet d = \"crate::y \\\" \\\\\"; /* self::z */ let e: &'a str = r#\"super::\"v\"#;\n\
                match f { 'x' | '\\'' | '\\u{1F600}' | '\"' => g(b\"h\") }";
    let wanted = "use a :: { b , c } ; let d = ; let e : & str = ; match f { | | | = > g ( ) }";
    assert_eq!(tokens(text), wanted.split(' ').collect::<Vec<_>>());
}
