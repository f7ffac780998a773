//! Messages for people: a fact, a detail and a hint, and how they are joined.
//!
//! The fact and the detail describe what happened. The hint is a sentence of its own that recommends an
//! action. The code that detects a failure builds all three. They stay separate until the message is shown,
//! so that no code has to parse a message.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A message for a person, shown as `<fact>: <detail>. <Hint.>`.
///
/// The fact is a short clause in lower case without a full stop, with names in double quotes. The detail is a
/// text from another program, or figures. The hint starts with a capital letter and ends with a full stop.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Message {
    /// The fact and the detail.
    #[serde(rename = "message", default, skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    hint: String,
}

impl Message {
    /// Creates a message from a fact, without detail and hint.
    pub fn new(fact: impl Into<String>) -> Self {
        Self { text: fact.into(), hint: String::new() }
    }

    /// Appends a detail after a colon. An empty detail changes nothing.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string();
        if !detail.is_empty() {
            self.text = format!("{}: {detail}", self.text);
        }
        self
    }

    /// Sets the hint: whole sentences that recommend an action.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Sets the hint unless the message already has one.
    #[must_use]
    pub fn or_hint(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) if self.hint.is_empty() => self.hint(hint),
            _ => self,
        }
    }

    /// Returns the fact and the detail, without the hint.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the hint; `None` if there is no useful action.
    pub fn what_to_do(&self) -> Option<&str> {
        Some(self.hint.as_str()).filter(|hint| !hint.is_empty())
    }

    /// Returns whether both the text and the hint are empty.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.hint.is_empty()
    }

    /// Shortens the fact with its detail to at most `text` bytes and the hint to at most `hint` bytes.
    pub fn cut(&mut self, text: usize, hint: usize) {
        cut(&mut self.text, text);
        cut(&mut self.hint, hint);
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, hint } = self;
        match (text.is_empty(), hint.is_empty()) {
            (_, true) => f.write_str(text),
            (true, _) => f.write_str(hint),
            // A text from another program may already end with a full stop.
            _ if text.ends_with(['.', '!', '?', '…']) => write!(f, "{text} {hint}"),
            _ => write!(f, "{text}. {hint}"),
        }
    }
}

impl<T: Into<String>> From<T> for Message {
    fn from(fact: T) -> Self {
        Self::new(fact)
    }
}

/// Lists the first `limit` items and counts the others, for example `"a", "b" and 59 more databases`. `noun`
/// is the items' name in the plural.
pub fn list(items: impl IntoIterator<Item = impl fmt::Display>, limit: usize, noun: &str) -> String {
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(limit).map(|item| item.to_string()).collect();
    let more = items.count();
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more {noun}") }
}

/// Shortens `text` to at most `limit` bytes at a character boundary. A shortened text ends with an ellipsis.
pub fn cut(text: &mut String, limit: usize) {
    if text.len() <= limit {
        return;
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push('…');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_joins_fact_detail_and_hint_into_sentences() {
        let fact = || Message::new("database \"shop\" cannot be read");
        let detail = || fact().detail("permission denied");
        assert_eq!(fact().to_string(), "database \"shop\" cannot be read");
        assert_eq!(
            fact().detail("").hint("Grant it.").to_string(),
            "database \"shop\" cannot be read. Grant it."
        );
        assert_eq!(detail().to_string(), "database \"shop\" cannot be read: permission denied");
        assert_eq!(
            detail().hint("Grant it.").to_string(),
            "database \"shop\" cannot be read: permission denied. Grant it."
        );
        assert_eq!(Message::new("it failed.").hint("Look.").to_string(), "it failed. Look.");
        assert_eq!(Message::default().hint("Look.").to_string(), "Look.");
    }

    #[test]
    fn message_uses_the_generic_hint_only_without_another() {
        let message = Message::new("refused").or_hint(Some("Generic."));
        assert_eq!(message.what_to_do(), Some("Generic."));
        assert_eq!(Message::new("refused").hint("Own.").or_hint(Some("Generic.")).what_to_do(), Some("Own."));
        assert_eq!(Message::new("refused").or_hint(None::<&str>).what_to_do(), None);
    }

    #[test]
    fn message_is_serialized_as_message_and_hint() {
        let message = Message::new("refused").detail("by the server").hint("Ask.");
        let json = serde_json::json!({ "message": "refused: by the server", "hint": "Ask." });
        assert_eq!(serde_json::to_value(&message).unwrap(), json);
        assert_eq!(serde_json::from_value::<Message>(json).unwrap(), message);
        assert_eq!(serde_json::to_value(Message::default()).unwrap(), serde_json::json!({}));
    }

    #[test]
    fn long_list_in_message_ends_with_number_of_omitted_items() {
        assert_eq!(list(["a", "b"], 2, "tables"), "a, b");
        assert_eq!(list(["a", "b", "c", "d"], 2, "tables"), "a, b and 2 more tables");
        assert_eq!(list(Vec::<String>::new(), 2, "tables"), "");
    }

    #[test]
    fn long_text_is_cut_at_a_character_boundary() {
        let mut text = "ééééé".to_owned();
        cut(&mut text, 8);
        assert_eq!(text, "éé…");
    }
}
