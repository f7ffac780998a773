//! SHA-256 hashes as hexadecimal text, in full and shortened for names.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Formats bytes as lower-case hexadecimal digits, two for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string should not fail");
        out
    })
}

/// Returns the SHA-256 of `text` as 64 hexadecimal digits.
pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Returns the first `digits` hexadecimal digits of the SHA-256 of `text`. Use it for names only: it is too
/// short to verify content.
pub fn short(text: &str, digits: usize) -> String {
    let mut hash = sha256(text);
    hash.truncate(digits);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_equals_the_output_of_sha256sum() {
        assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(short("abc", 6), "ba7816");
    }
}
