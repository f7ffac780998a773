//! Functions for the texts of conditions: they join sentences, and clean texts of other programs.

use std::fmt::Display;

use domain::message::cut;
pub use domain::time::minute;

/// Returns the message with a full stop at its end, and `sentence` after it.
pub fn and_sentence(message: impl Display, sentence: &str) -> String {
    let message = message.to_string();
    let stop = if message.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{message}{stop} {sentence}")
}

/// Returns the clause with a capital letter and a full stop.
pub fn as_sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// Returns the text on one line, without a full stop at its end. Messages of programs and kubelets can have
/// several lines.
pub fn one_line(text: &str) -> String {
    let text = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    text.trim_end_matches(['.', ';']).to_owned()
}

/// Returns the text on one line of at most `limit` bytes. Replaces control characters by spaces, because a
/// terminal would interpret them and the author of the text is unknown.
pub fn plain(text: &str, limit: usize) -> String {
    let mut text = one_line(text).replace(|c: char| c.is_control(), " ");
    cut(&mut text, limit);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_text_is_cut_and_has_no_control_characters() {
        assert_eq!(plain("denied:\n  \u{1b}[31mno\u{7}.\n", 99), "denied:  [31mno ");
        assert_eq!(plain("exceeded quota", 11), "exceeded…");
    }
}
