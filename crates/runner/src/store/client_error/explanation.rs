//! An error in plain words.

use domain::reason::Reason;

#[derive(Debug, PartialEq, Eq)]
pub struct Explanation {
    pub reason: Reason,
    pub text: String,
    /// What to do, where it is more than the reason's advice.
    pub hint: Option<String>,
}
