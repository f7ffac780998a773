//! The explanation of an object store's error.

use domain::reason::Reason;

#[derive(Debug, PartialEq, Eq)]
pub struct Explanation {
    pub reason: Reason,
    pub text: String,
    /// A hint for this case; `None` if the reason's general advice is enough.
    pub hint: Option<String>,
}
