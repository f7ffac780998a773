//! The rules that the CRD checks at admission, each with the message for a value that breaks it.
//!
//! `desired::validate` checks the same and answers with the same messages, because the CRD in a cluster may be older than
//! the operator. The limits of numbers, lengths and enumerations have no rule here: the API server checks them itself.
//!
//! A message states what the field must be, and gives an example. What to do is a sentence of its own.

pub mod dump;
pub mod job;
pub mod object;
pub mod postgres;
pub mod retention;
pub mod schedule;
pub mod storage;

use kube::core::Rule;

/// A rule of the CRD, and the message for a value that breaks it.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// The rule in CEL, where `self` is the value.
    pub cel: &'static str,
    /// What the field must be, and what to write.
    pub message: &'static str,
}

impl Check {
    /// The rule as the CRD has it.
    pub fn rule(self) -> Rule {
        Rule::new(self.cel).message(self.message)
    }
}

#[cfg(test)]
mod tests {
    use crate::crd;

    #[test]
    fn crd_validation_messages_have_no_line_breaks() {
        let crd = serde_json::to_value(crd()).unwrap();
        let mut messages = Vec::new();
        collect(&crd, &mut messages);
        assert!(messages.len() > 60, "{}", messages.len());
        for message in messages {
            assert!(!message.contains('\n') && !message.contains("  "), "{message:?}");
        }
    }

    /// The messages of all rules.
    fn collect<'a>(value: &'a serde_json::Value, messages: &mut Vec<&'a str>) {
        if let Some(rules) = value["x-kubernetes-validations"].as_array() {
            messages.extend(rules.iter().filter_map(|rule| rule["message"].as_str()));
        }
        let inner = value.as_object().into_iter().flat_map(|object| object.values());
        inner.chain(value.as_array().into_iter().flatten()).for_each(|inner| collect(inner, messages));
    }
}
