//! Words, made fit to stand in a condition.

use domain::message::cut;
pub use domain::time::minute;

/// The words of tools and kubelets span lines; a column of a table does not.
pub fn one_line(words: &str) -> String {
    let words = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    words.trim_end_matches(['.', ';']).to_owned()
}

/// One line of at most `limit` bytes, of text that anybody may have written: a terminal must not obey it.
pub fn plain(words: &str, limit: usize) -> String {
    let mut words = one_line(words).replace(|c: char| c.is_control(), " ");
    cut(&mut words, limit);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_are_short_and_no_terminal_obeys_them() {
        assert_eq!(plain("denied:\n  \u{1b}[31mno\u{7}.\n", 99), "denied:  [31mno ");
        assert_eq!(plain("exceeded quota", 11), "exceeded…");
    }
}
