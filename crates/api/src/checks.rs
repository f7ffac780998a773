//! The rules that the API server checks when a policy is written, each with the message for a value that
//! breaks the rule.
//!
//! `desired::validate` checks the same rules and answers with the same messages, because the CRD in a cluster
//! may be older than the operator. The limits of numbers, lengths and enumerations have no rule here: the API
//! server checks them itself.
//!
//! A message states what the field must be, and gives an example. An instruction is a separate sentence of
//! the message.

pub mod dump;
pub mod job;
pub mod object;
pub mod postgres;
pub mod retention;
pub mod schedule;
pub mod storage;

use kube::core::Rule;

/// A validation rule of the CRD, and the message for a value that breaks the rule.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// The rule as a CEL expression. In it, `self` is the field's value, or the object if the rule compares
    /// several fields.
    pub cel: &'static str,
    /// The message for a value that breaks the rule: what the field must be, and usually an example.
    pub message: &'static str,
}

impl Check {
    /// Returns the rule and its message in the form that kube's `x_kube(validation)` attribute takes.
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

    /// Adds the messages of all rules in a schema to `messages`, at every depth.
    fn collect<'a>(value: &'a serde_json::Value, messages: &mut Vec<&'a str>) {
        if let Some(rules) = value["x-kubernetes-validations"].as_array() {
            messages.extend(rules.iter().filter_map(|rule| rule["message"].as_str()));
        }
        let inner = value.as_object().into_iter().flat_map(|object| object.values());
        inner.chain(value.as_array().into_iter().flatten()).for_each(|inner| collect(inner, messages));
    }
}
