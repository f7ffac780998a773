//! The reason in a status, which a newer operator may have written.

use std::{borrow::Cow, fmt};

use domain::reason::Reason;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// A reason that this version defines, or the name of a reason that a newer version defines.
///
/// Both serialize as the reason's name. An older operator thus keeps the reasons of a newer one when it
/// writes a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnyReason {
    /// A reason that this version defines.
    Known(Reason),
    /// The name of a reason that this version does not define.
    Newer(String),
}

impl AnyReason {
    /// Returns the reason's name, for example `Verified`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(reason) => reason.as_str(),
            Self::Newer(text) => text.as_str(),
        }
    }

    /// Returns the reason, or `None` if this version does not define it.
    pub const fn known(&self) -> Option<Reason> {
        match self {
            Self::Known(reason) => Some(*reason),
            Self::Newer(_) => None,
        }
    }
}

impl From<Reason> for AnyReason {
    fn from(reason: Reason) -> Self {
        Self::Known(reason)
    }
}

impl From<&str> for AnyReason {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Newer(text.to_owned()), Self::Known)
    }
}

impl PartialEq<Reason> for AnyReason {
    fn eq(&self, other: &Reason) -> bool {
        self.known() == Some(*other)
    }
}

impl fmt::Display for AnyReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl JsonSchema for AnyReason {
    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_reason_in_status_keeps_its_text() {
        let read: AnyReason = serde_json::from_value(json!("OfTomorrow")).unwrap();
        assert_eq!((read.known(), read.as_str()), (None, "OfTomorrow"));
        assert_eq!(serde_json::to_value(&read).unwrap(), "OfTomorrow");
    }

    #[test]
    fn known_reason_in_status_is_parsed_as_a_reason() {
        let read: AnyReason = serde_json::from_value(json!("LockTimeout")).unwrap();
        assert_eq!(read, Reason::LockTimeout);
        assert_eq!(serde_json::to_value(&read).unwrap(), "LockTimeout");
    }
}
